//! What will go wrong when a script is run, told before it is.
//!
//! Decides the texts, which are C keepalived's, and names the part of the path
//! and the command that mends it. What a run does is in `spawn.rs`, by the same
//! rules. Source: specification D.8.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::Policy;
use super::spawn;
use super::user::{self, Identity};
use super::walk::{self, Part};
use crate::config::machine::ScriptFinding;
use crate::config::model::ScriptUser;
use crate::ids::Errno;

const EXECUTE: u32 = 0o1;

/// Whether the user, and the group if one is given, exist.
pub fn user_exists(user: &ScriptUser) -> bool {
    // A user whom we may not become exists all the same.
    user::resolve(Some(user), Policy::default()) != Err(Errno(libc::ENOENT))
}

/// What is wrong with a command that `user` runs (`None`: the default user).
/// `security` is `enable_script_security`. A user that does not exist is not
/// looked into, nor a redirection, which is a test of existence by itself.
pub fn examine(argv: &[String], user: Option<&ScriptUser>, security: bool) -> Vec<ScriptFinding> {
    let policy = Policy {
        security,
        supplementary_groups: false,
    };
    let (Some(name), Ok(identity)) = (argv.first(), user::resolve(user, policy)) else {
        return Vec::new();
    };
    if spawn::is_redirection(name) {
        return Vec::new();
    }
    let Some(path) = spawn::find(name) else {
        let text = format!("Cannot find script {name} in path - disabling");
        return vec![finding("script-not-found", text, Disables::AsMissing)];
    };
    let mut findings = Vec::new();
    if !name.contains('/') {
        let shown = path.display();
        let text = format!(
            "WARNING - script `{name}` resolved by path search to `{shown}`. Please specify full path."
        );
        findings.push(finding("script-path-search", text, Disables::Nothing));
    }
    match inaccessible(&path, &identity) {
        Err((errno, help)) => {
            let shown = path.display();
            let text = format!("Script {shown} cannot be accessed - {errno}");
            let mut missing = finding("script-not-found", text, Disables::AsMissing);
            missing.help.extend(help);
            findings.push(missing);
        }
        Ok(metadata) => findings.extend(wrong_with(&path, &metadata, &identity, security)),
    }
    findings
}

/// What follows from a finding in C.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disables {
    Nothing,
    AsMissing,
    AsInsecure,
    /// Insecure, but nobody asked for security.
    NothingYet,
}

fn finding(code: &'static str, text: String, disables: Disables) -> ScriptFinding {
    ScriptFinding {
        code,
        text,
        help: Vec::new(),
        security: matches!(disables, Disables::AsInsecure | Disables::NothingYet),
        disables: matches!(disables, Disables::AsMissing | Disables::AsInsecure),
    }
}

/// The file, or why it cannot be reached and how to mend that.
fn inaccessible(path: &Path, identity: &Identity) -> Result<Metadata, (Errno, Option<String>)> {
    for directory in directories(path) {
        match fs::metadata(&directory) {
            Err(error) => return Err(absent(&directory, &error)),
            Ok(metadata) if !metadata.is_dir() => {
                let help = format!("`{}` is not a directory.", directory.display());
                return Err((Errno(libc::ENOTDIR), Some(help)));
            }
            Ok(metadata) if !may_execute(&metadata, identity) => {
                let shown = directory.display();
                let help = format!(
                    "Its user may not pass `{shown}`; `chmod o+x {shown}` would allow it to all."
                );
                return Err((Errno(libc::EACCES), Some(help)));
            }
            Ok(_) => {}
        }
    }
    fs::metadata(path).map_err(|error| absent(path, &error))
}

fn absent(path: &Path, error: &std::io::Error) -> (Errno, Option<String>) {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let shown = path.display();
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let help = match errno {
        libc::ENOENT if is_link => Some(format!("`{shown}` is a link to nothing.")),
        libc::ENOENT => Some(format!("There is no `{shown}`.")),
        _ => None,
    };
    (Errno(errno), help)
}

/// The directories above a path, from the root on.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    parts.retain(|part| !part.as_os_str().is_empty());
    parts.reverse();
    parts
}

/// What is wrong with a file that is there.
fn wrong_with(
    path: &Path,
    metadata: &Metadata,
    identity: &Identity,
    security: bool,
) -> Vec<ScriptFinding> {
    let shown = path.display();
    if !metadata.is_file() {
        let text = format!("Wrong file type found in script path '{shown}'.");
        let mut finding = finding("script-file-type", text, Disables::AsInsecure);
        finding
            .help
            .push(format!("`{shown}` is not a regular file."));
        return vec![finding];
    }
    let mut findings = Vec::new();
    if !may_execute(metadata, identity) {
        let (user, group) = numbers(identity);
        let text = format!(
            "WARNING - script '{shown}' is not executable for uid:gid {user}:{group} - disabling."
        );
        let mut finding = finding("script-not-executable", text, Disables::Nothing);
        finding
            .help
            .push(format!("`chmod a+x {shown}` would allow it."));
        findings.push(finding);
    }
    let walked = walk::walk(path).ok();
    let walked = walked.filter(|walked| identity.is_root() || walked.becomes_root);
    if let Some(part) = walked.and_then(|walked| walked.changeable) {
        let (end, disables) = match security {
            true => (" - disabling", Disables::AsInsecure),
            false => ("", Disables::NothingYet),
        };
        let text = format!("Unsafe permissions found for script '{shown}'{end}.");
        let mut finding = finding("script-unsafe", text, disables);
        finding.help.extend(remedy(&part));
        findings.push(finding);
    }
    findings
}

/// How to take a part of a path away from everybody but root.
fn remedy(part: &Part) -> Vec<String> {
    let mut help = vec![format!("{part}: others than root can change it.")];
    let commands = part.remedies();
    if let [first, others @ ..] = commands.as_slice() {
        let mut text = format!("`{first}`");
        for other in others {
            text.push_str(&format!(" and `{other}`"));
        }
        help.push(format!("{text} mends it."));
    }
    help
}

fn numbers(identity: &Identity) -> (u32, u32) {
    match identity {
        Identity::Ours => (geteuid().as_raw(), getegid().as_raw()),
        Identity::Other { user, group, .. } => (*user, *group),
    }
}

/// Whether somebody may run a file or pass a directory. Access lists are not
/// looked at.
fn may_execute(metadata: &Metadata, identity: &Identity) -> bool {
    let (user, group) = numbers(identity);
    let mode = metadata.mode();
    if user == 0 {
        return metadata.is_dir() || mode & 0o111 != 0;
    }
    let in_group = match identity {
        Identity::Ours => metadata.gid() == group,
        Identity::Other { groups, .. } => {
            metadata.gid() == group || groups.contains(&metadata.gid())
        }
    };
    let bits = match (metadata.uid() == user, in_group) {
        (true, _) => mode >> 6,
        (false, true) => mode >> 3,
        (false, false) => mode,
    };
    bits & EXECUTE != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn named(user: &str) -> ScriptUser {
        ScriptUser {
            user: user.to_owned(),
            group: None,
            supplementary_groups: false,
        }
    }

    fn told(path: &str, user: &str, security: bool) -> Vec<ScriptFinding> {
        examine(&[path.to_owned()], Some(&named(user)), security)
    }

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_missing_part_of_the_path_is_named() {
        let user = geteuid().to_string();
        let [missing] = told("/no/such/script", &user, false).try_into().unwrap();
        let text = "Script /no/such/script cannot be accessed - No such file or directory";
        assert_eq!(missing.text, text);
        assert_eq!(missing.help, ["There is no `/no`."]);
        assert!(missing.disables && !missing.security);

        let [missing] = told("no-such-program", &user, false).try_into().unwrap();
        let text = "Cannot find script no-such-program in path - disabling";
        assert_eq!(missing.text, text);

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let below = file.join("x").display().to_string();
        let [missing] = told(&below, &user, false).try_into().unwrap();
        let text = format!("Script {below} cannot be accessed - Not a directory");
        assert_eq!(missing.text, text);
        assert_eq!(
            missing.help,
            [format!("`{}` is not a directory.", file.display())]
        );
    }

    #[test]
    fn a_program_found_by_search_is_named_in_full() {
        let [search] = told("sh", "root", true).try_into().unwrap();
        assert!(
            search
                .text
                .starts_with("WARNING - script `sh` resolved by path search to `/")
        );
        assert!(!search.disables && !search.security);
    }

    #[test]
    fn the_command_that_mends_it_is_told() {
        if !geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("check");
        let path = script.display().to_string();
        fs::write(&script, "#!/bin/sh\n").unwrap();
        allow(&script, 0o644);
        let [plain] = told(&path, "root", true).try_into().unwrap();
        let text =
            format!("WARNING - script '{path}' is not executable for uid:gid 0:0 - disabling.");
        assert_eq!((plain.text, plain.disables), (text, false));
        assert_eq!(plain.help, [format!("`chmod a+x {path}` would allow it.")]);

        allow(&script, 0o757);
        for (security, end) in [(true, " - disabling."), (false, ".")] {
            let [open] = told(&path, "root", security).try_into().unwrap();
            let text = format!("Unsafe permissions found for script '{path}'{end}");
            assert_eq!((open.text, open.disables), (text, security));
            assert!(open.security);
            let help = [
                format!(
                    "{path} belongs to root:root and has mode 0757: others than root can change it."
                ),
                format!("`chmod o-w {path}` mends it."),
            ];
            assert_eq!(open.help, help);
        }

        allow(&script, 0o755);
        assert_eq!(told(&path, "root", true), []);
        allow(directory.path(), 0o700);
        let [closed] = told(&path, "daemon", true).try_into().unwrap();
        let text = format!("Script {path} cannot be accessed - Permission denied");
        assert_eq!((closed.text, closed.disables), (text, true));
        let shown = directory.path().display();
        assert!(
            closed.help[0].contains(&format!("`chmod o+x {shown}`")),
            "{:?}",
            closed.help
        );
    }

    #[test]
    fn a_directory_is_no_script() {
        let user = geteuid().to_string();
        let [wrong] = told("/usr", &user, false).try_into().unwrap();
        assert_eq!(wrong.text, "Wrong file type found in script path '/usr'.");
    }

    #[test]
    fn users_and_groups_are_looked_up() {
        assert!(user_exists(&named("root")));
        assert!(!user_exists(&named("no_such_user_here")));
        let mut user = named("root");
        user.group = Some("no_such_group_here".to_owned());
        assert!(!user_exists(&user));
    }
}
