//! Where the files of a daemon lie and what it is called in the log, from the
//! command line and the configuration together.
//!
//! Decides names only. How pid files are made is in `pid_files.rs`, how the files
//! that show the state are written in `state_files/mod.rs`.
//!
//! Source: specification E.1 (names in the log), E.3, B.1 (`net_namespace`,
//! `instance`, `use_pid_dir`), B.2 (`data_use_instance`, `state_dump_file`).

use std::path::{Path, PathBuf};

use super::Settings;
use super::status::socket::beside;
use crate::config::model::Globals;

/// The file mode creation mask if nobody says anything: what is created belongs to
/// the daemon's user alone (specification B.3).
pub const UMASK: u32 = 0o177;

/// Where pid files lie (specification E.3); `set_apart` by `use_pid_dir` or `instance`.
pub fn runtime_directory(namespace: Option<&str>, set_apart: bool) -> PathBuf {
    match namespace {
        Some(name) => Path::new("/run/keepalived").join(name),
        None if set_apart => PathBuf::from("/run/keepalived"),
        None => PathBuf::from("/run"),
    }
}

/// The pid file of the parent, unless `-p` names another (specification E.3).
pub fn default_pid_file(namespace: Option<&str>) -> PathBuf {
    runtime_directory(namespace, false).join("keepalived.pid")
}

/// The pid file of a daemon that runs, for those who ask it: that of `use_pid_dir` if a
/// daemon has its status socket there and none has it at the usual place.
pub fn pid_file_of_running(namespace: Option<&str>) -> PathBuf {
    let usual = default_pid_file(namespace);
    let apart = runtime_directory(namespace, true).join("keepalived.pid");
    if !beside(&usual).exists() && beside(&apart).exists() {
        apart
    } else {
        usual
    }
}

impl Settings {
    /// With what the configuration says where the command line says nothing.
    pub fn completed(&self, globals: &Globals) -> Self {
        let places = &globals.places;
        let mut settings = self.clone();
        if settings.namespace.is_none() {
            settings.namespace.clone_from(&places.network_namespace);
        }
        settings.instance.clone_from(&places.instance);
        let set_apart = places.use_pid_directory || places.instance.is_some();
        let directory = runtime_directory(settings.namespace.as_deref(), set_apart);
        let instance = settings.instance.as_deref();
        let suffix = instance.map(|name| format!("_{name}")).unwrap_or_default();
        if !settings.named.pid_file {
            settings.pid_file = directory.join(format!("keepalived{suffix}.pid"));
            settings.status_socket = beside(&settings.pid_file);
        }
        if !settings.named.vrrp_pid_file {
            settings.vrrp_pid_file = directory.join(format!("vrrp{suffix}.pid"));
        }
        let namespace = settings.namespace.as_deref();
        settings.log.ident = ident("Keepalived", namespace, instance);
        settings
    }

    /// The directory of the pid files that is made if it is not there: that of the
    /// default names. What an option names must be there.
    pub fn own_directory(&self) -> Option<&Path> {
        let files = [
            (&self.pid_file, self.named.pid_file),
            (&self.vrrp_pid_file, self.named.vrrp_pid_file),
        ];
        let (file, _) = files.into_iter().find(|(_, named)| !named)?;
        file.parent()
    }
}

/// The name of a process in the log.
pub fn ident(process: &str, namespace: Option<&str>, instance: Option<&str>) -> String {
    let mut ident = process.to_owned();
    for part in [namespace, instance].into_iter().flatten() {
        ident.push('_');
        ident.push_str(part);
    }
    ident
}

/// A name with namespace and instance before its extension, as `data_use_instance`
/// wants it.
pub fn with_instance(name: &str, namespace: Option<&str>, instance: Option<&str>) -> String {
    let parts: Vec<&str> = [namespace, instance].into_iter().flatten().collect();
    if parts.is_empty() {
        return name.to_owned();
    }
    let parts = parts.join("_");
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.{parts}.{extension}"),
        None => format!("{name}.{parts}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Request};
    use crate::config::model::Places;

    /// Pid files, socket and name in the log.
    fn names(line: &str, places: Places) -> [String; 4] {
        let words = std::iter::once("keepalived").chain(line.split_whitespace());
        let Request::Run(task) = cli::understand(words.map(Into::into)) else {
            panic!("{line}");
        };
        let globals = Globals {
            places,
            ..Globals::default()
        };
        let settings = task.settings.completed(&globals);
        let shown = |path: &Path| path.display().to_string();
        [
            shown(&settings.pid_file),
            shown(&settings.vrrp_pid_file),
            shown(&settings.status_socket),
            settings.log.ident,
        ]
    }

    #[test]
    fn files_lie_where_c_has_them() {
        let some = |text: &str| Some(text.to_owned());
        let plain = Places::default;
        let cases = [
            ("", plain(), "/run/", "", "Keepalived"),
            (
                "",
                Places {
                    use_pid_directory: true,
                    ..plain()
                },
                "/run/keepalived/",
                "",
                "Keepalived",
            ),
            (
                "",
                Places {
                    instance: some("FOO"),
                    ..plain()
                },
                "/run/keepalived/",
                "_FOO",
                "Keepalived_FOO",
            ),
            (
                "",
                Places {
                    network_namespace: some("blue"),
                    ..plain()
                },
                "/run/keepalived/blue/",
                "",
                "Keepalived_blue",
            ),
            (
                "-s red",
                Places {
                    network_namespace: some("blue"),
                    instance: some("FOO"),
                    ..plain()
                },
                "/run/keepalived/red/",
                "_FOO",
                "Keepalived_red_FOO",
            ),
        ];
        for (line, places, directory, suffix, ident) in cases {
            let expected = [
                format!("{directory}keepalived{suffix}.pid"),
                format!("{directory}vrrp{suffix}.pid"),
                format!("{directory}keepalived{suffix}.sock"),
                ident.to_owned(),
            ];
            assert_eq!(names(line, places), expected);
        }
        let apart = Places {
            instance: some("FOO"),
            ..plain()
        };
        let [own, vrrp, socket, _] = names("-p /a/p.pid", apart);
        assert_eq!(own, "/a/p.pid");
        assert_eq!(vrrp, "/run/keepalived/vrrp_FOO.pid");
        assert_eq!(socket, "/a/p.sock");
    }

    #[test]
    fn dumps_get_the_instance_before_their_extension() {
        let with = |namespace, instance| with_instance("keepalived.data", namespace, instance);
        assert_eq!(with(None, None), "keepalived.data");
        assert_eq!(with(None, Some("FOO")), "keepalived.FOO.data");
        assert_eq!(with(Some("b"), None), "keepalived.b.data");
        assert_eq!(with(Some("b"), Some("F")), "keepalived.b_F.data");
    }
}
