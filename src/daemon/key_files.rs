//! Secrets that stand in files of their own: keys of `auth_hmac` (`key 1 file:PATH`)
//! and the password for the mail server (`smtp_password_file PATH`).
//!
//! Decides when a file with a key is refused, and when the rights of either are
//! told. What a key looks like is decided in `config`, which reads no files; the
//! password is read by `system::mail`. Source: specification D.7.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;

use crate::config::Loaded;
use crate::config::diagnostic::{Class, Diagnostic, Severity};
use crate::config::keywords::auth_hmac::secret;
use crate::config::model::{HmacKey, Secret, SmtpPassword};

/// More than any key in any form, and a line end.
const FILE_BYTES_MAX: u64 = 256;

/// Puts the bytes of each key that is in a file into the configuration. A file
/// without a key is a fatal finding: without the key the instance would neither
/// be heard nor hear, or worse, believe everybody.
pub fn read(loaded: &mut Loaded) {
    check_mail_password(loaded);
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
        let options = crate::config::Options::default();
        let mut loaded = crate::config::load(&sources, Path::new("main"), &options);
        assert!(loaded.is_usable(), "{:?}", loaded.diagnostics);
        loaded.diagnostics.clear();
        read(&mut loaded);
        let told = loaded.diagnostics.iter().map(|it| it.message.as_str());
        let told = told.collect::<String>().replace(&path, "PATH");
        (loaded, told)
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
