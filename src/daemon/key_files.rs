//! Secrets that stand in files of their own: keys of `auth_hmac` (`key 1 file:PATH`)
//! and the password for the mail server (`smtp_password_file PATH`).
//!
//! Decides when a file with a key is refused, and when the rights of either are
//! told. What a key looks like is decided in `config`, which reads no files; what a
//! password looks like, in `system::mail`. Source: specification D.7.
//!
//! The supervisor reads them and hands them to the worker, which may open no secrets.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Loaded;
use crate::config::diagnostic::{Class, Diagnostic, Severity};
use crate::config::keywords::auth_hmac::secret;
use crate::config::model::{Config, HmacKey, Secret, SmtpPassword};
use crate::system::mail;

/// More than any key in any form, and a line end.
const FILE_BYTES_MAX: u64 = 256;

/// Puts the bytes of each key that is in a file into the configuration. A file
/// without a key is a fatal finding: without the key the instance would neither
/// be heard nor hear, or worse, believe everybody.
pub fn read(loaded: &mut Loaded) {
    check_mail_password(loaded);
    read_for_mail(&mut loaded.config);
    for instance in &mut loaded.config.instances {
        let keys = instance.auth_hmac.iter().flat_map(|it| &it.keys);
        if !keys
            .into_iter()
            .any(|(_, key)| matches!(key, HmacKey::File(_)))
        {
            continue;
        }
        let instance = Arc::make_mut(instance);
        let name = instance.name.clone();
        for (number, key) in instance.auth_hmac.iter_mut().flat_map(|it| &mut it.keys) {
            let HmacKey::File(path) = key else { continue };
            let about = format!("({name}) auth_hmac key {number} file '{path}'");
            match read_one(path) {
                Ok((secret, is_private)) => {
                    *key = HmacKey::Bytes(secret);
                    if !is_private {
                        let found = not_private("hmac-key-file-rights", &about);
                        loaded.diagnostics.push(found);
                    }
                }
                Err(problem) => {
                    let text = format!("{about} {problem}");
                    loaded
                        .diagnostics
                        .push(Diagnostic::fatal("hmac-key-file", text));
                }
            }
        }
    }
}

/// Tells a file with the password for the mail server that others can read. Whether
/// there is a password in it is told when mail is set up.
fn check_mail_password(loaded: &mut Loaded) {
    let Some(SmtpPassword::File(path)) = &loaded.config.globals.mail.password else {
        return;
    };
    let is_open = std::fs::metadata(path).is_ok_and(|found| !is_private(&found));
    if is_open {
        let about = format!("smtp_password_file '{path}'");
        let found = not_private("smtp-password-file-rights", &about);
        loaded.diagnostics.push(found);
    }
}

/// Reads what mail needs. What cannot be read is told when mail is set up: it keeps
/// nobody from an election.
fn read_for_mail(config: &mut Config) {
    let delivery = &mut config.globals.mail;
    if let Some(SmtpPassword::File(path)) = &delivery.password
        && let Ok(password) = mail::password_file(path)
    {
        delivery.password = Some(SmtpPassword::Written(password));
    }
    if let Some(path) = &delivery.ca_file {
        delivery.ca_text = mail::ca_file(path).ok();
    }
}

/// What was read from the files that a configuration names, for a process that reads
/// the same text and must not open them.
#[derive(Default, Serialize, Deserialize)]
pub struct Handed {
    /// By the place of the instance among all, and the number of the key.
    keys: Vec<(usize, u8, Vec<u8>)>,
    mail_password: Option<Vec<u8>>,
    ca_text: Option<Vec<u8>>,
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handed(********)")
    }
}

impl Handed {
    /// What `config` got from [`read`].
    pub fn of(config: &Config) -> Self {
        let mut keys = Vec::new();
        for (place, instance) in config.instances.iter().enumerate() {
            for (number, key) in instance.auth_hmac.iter().flat_map(|it| &it.keys) {
                if let HmacKey::Bytes(secret) = key {
                    keys.push((place, *number, secret.bytes().to_vec()));
                }
            }
        }
        let delivery = &config.globals.mail;
        Self {
            keys,
            mail_password: match &delivery.password {
                Some(SmtpPassword::Written(secret)) => Some(secret.bytes().to_vec()),
                _ => None,
            },
            ca_text: delivery.ca_text.clone(),
        }
    }

    /// As bytes for another process, without a line end among them; none if there is
    /// nothing to hand over.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.keys.is_empty() && self.mail_password.is_none() && self.ca_text.is_none() {
            return Vec::new();
        }
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Handed::to_bytes`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        match bytes {
            [] => Ok(Self::default()),
            _ => Ok(serde_json::from_slice(bytes)?),
        }
    }

    /// Puts everything into its place in the configuration that another process has read
    /// from the same text. A key that is missing stays so, and is heard by nobody.
    pub fn put_into(self, config: &mut Config) {
        for (place, number, bytes) in self.keys {
            let secret = Secret::from(bytes);
            let Some(instance) = config.instances.get_mut(place) else {
                continue;
            };
            let is_meant =
                |(known, key): &(u8, HmacKey)| *known == number && matches!(key, HmacKey::File(_));
            let mut keys = instance.auth_hmac.iter().flat_map(|it| &it.keys);
            if !keys.any(is_meant) {
                continue;
            }
            let instance = Arc::make_mut(instance);
            let keys = instance.auth_hmac.iter_mut().flat_map(|it| &mut it.keys);
            for (known, key) in keys {
                if *known == number {
                    *key = HmacKey::Bytes(secret.clone());
                }
            }
        }
        let delivery = &mut config.globals.mail;
        if let (Some(SmtpPassword::File(_)), Some(password)) =
            (&delivery.password, self.mail_password)
        {
            delivery.password = Some(SmtpPassword::Written(Secret::from(password)));
        }
        delivery.ca_text = self.ca_text;
    }
}

fn not_private(code: &'static str, about: &str) -> Diagnostic {
    let text = format!("{about} can be read by others than its owner");
    Diagnostic::new(code, Severity::Warning, Class::Security, text)
}

fn is_private(file: &Metadata) -> bool {
    file.mode() & 0o077 == 0
}

/// The key, and whether only the owner can read the file; or what is wrong.
fn read_one(path: &str) -> Result<(Secret, bool), String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    // Without O_NONBLOCK a pipe of that name would stop the daemon here.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    // Wiped when it goes.
    let bytes = Secret::from(bytes);
    read.map_err(cannot)?;
    let line = bytes.bytes();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let key = secret(line.strip_suffix(b"\r").unwrap_or(line))?;
    Ok((key, is_private(&metadata)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// What becomes of a configuration whose key file has these contents.
    fn with(contents: Option<&str>, mode: u32) -> (Loaded, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        if let Some(contents) = contents {
            fs::write(&path, contents).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set");
        }
        let path = path.display().to_string();
        let text = format!(
            "vrrp_instance VI {{\ninterface e0\nvirtual_router_id 5\nvirtual_ipaddress {{\n\
             10.0.0.9/24 dev e0\n}}\nauth_hmac {{\nkey 3 file:{path}\nactive_key 3\n}}\n}}\n"
        );
        let sources = vec![("main".into(), text.into_bytes())];
        let mut loaded = load(&sources);
        assert!(loaded.is_usable(), "{:?}", loaded.diagnostics);
        loaded.diagnostics.clear();
        read(&mut loaded);
        let told = loaded.diagnostics.iter().map(|it| it.message.as_str());
        let told = told.collect::<String>().replace(&path, "PATH");
        (loaded, told)
    }

    fn load(sources: &dyn crate::config::source::Files) -> Loaded {
        let options = crate::config::Options::default();
        crate::config::load(sources, Path::new("main"), &options)
    }

    fn load_again(before: &Loaded) -> Loaded {
        load(&before.sources)
    }

    fn key(loaded: &Loaded) -> Option<&[u8]> {
        loaded.config.instances[0].auth_hmac.as_ref()?.key(3)
    }

    #[test]
    fn its_last_line_end_does_not_count() {
        let text = "0123456789abcdef0123456789abcdef";
        for end in ["", "\n", "\r\n"] {
            let (loaded, told) = with(Some(&format!("{text}{end}")), 0o600);
            assert_eq!((key(&loaded), &*told), (Some(text.as_bytes()), ""));
        }
        let (loaded, _) = with(Some(&format!("hex:{}\n", "a5".repeat(32))), 0o400);
        assert_eq!(key(&loaded), Some(&[0xa5; 32][..]));
    }

    #[test]
    fn another_process_needs_the_text_alone() {
        let text = "0123456789abcdef0123456789abcdef";
        let (supervisors, _) = with(Some(text), 0o600);
        let bytes = Handed::of(&supervisors.config).to_bytes();
        assert!(!bytes.contains(&b'\n'));
        // Its file is gone by now.
        let mut loaded = load_again(&supervisors);
        Handed::from_bytes(&bytes)
            .expect("own bytes")
            .put_into(&mut loaded.config);
        assert_eq!(key(&loaded), Some(text.as_bytes()));
        assert_eq!(loaded.config, supervisors.config);
        let without = Handed::of(&Config::default()).to_bytes();
        assert!(without.is_empty());
        assert!(Handed::from_bytes(b"[1,").is_err());
    }

    #[test]
    fn what_mail_needs_goes_over_as_well() {
        let directory = tempfile::tempdir().expect("a directory");
        let (password, ca) = (directory.path().join("p"), directory.path().join("ca"));
        fs::write(&password, "s3cret\nmore\n").expect("written");
        fs::write(&ca, "certificate\n").expect("written");
        let mut config = Config::default();
        config.globals.mail.password = Some(SmtpPassword::File(password.display().to_string()));
        config.globals.mail.ca_file = Some(ca.display().to_string());
        let mut worker = config.clone();
        read_for_mail(&mut config);
        let bytes = Handed::of(&config).to_bytes();
        Handed::from_bytes(&bytes)
            .expect("own bytes")
            .put_into(&mut worker);
        let secret = Secret::from(b"s3cret".to_vec());
        let mail = &worker.globals.mail;
        assert_eq!(mail.password, Some(SmtpPassword::Written(secret)));
        assert_eq!(mail.ca_text.as_deref(), Some(&b"certificate\n"[..]));
    }

    #[test]
    fn others_who_can_read_it_are_told_and_the_key_is_not() {
        let text = "0123456789abcdef0123456789abcdef";
        let (loaded, told) = with(Some(text), 0o640);
        let expected = "(VI) auth_hmac key 3 file 'PATH' can be read by others than its owner";
        assert_eq!(told, expected);
        assert!(loaded.is_usable());
        assert_eq!(loaded.exit_code(), 6);
        assert!(!format!("{:?}", loaded.config).contains(text));
    }

    #[test]
    fn without_a_key_in_it_the_daemon_does_not_run() {
        let cases = [
            (
                None,
                "cannot be read: No such file or directory (os error 2)",
            ),
            (Some("short\n"), "must have 32 to 64 bytes"),
            (Some("hex:0g"), "is not valid hex"),
        ];
        for (contents, problem) in cases {
            let (loaded, told) = with(contents, 0o600);
            let expected = format!("(VI) auth_hmac key 3 file 'PATH' {problem}");
            assert_eq!(told, expected);
            assert!(!loaded.is_usable());
        }
    }
}
