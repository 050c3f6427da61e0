//! What the VRRP process keeps of root's rights and of the files, once it has begun.
//!
//! Decides which rights and which places a configuration needs, and when a reload asks
//! for one that the process has given up: what is given up does not come back, so that
//! the reload is refused then. How they are taken away is in `system/confinement`, with
//! the list of system calls. The supervisor, whose children users' scripts are, keeps
//! everything. Source: capabilities(7), landlock(7).

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use crate::config::model::{Config, MetricsListen, RoutingName, SmtpTls, TrackedFile};
use crate::system::capabilities::{Capabilities, Capability};
use crate::system::confinement::{self, Places, can_restrict_files};

use super::state_files::Surroundings;

/// The kernel's own files, programs' libraries, what is there until the next boot.
/// Addresses of names, certificates, times and routing tables are among them.
const READABLE: [&str; 37] = [
    "/proc",
    "/sys",
    "/run",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/iproute2",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/var/lib/ca-certificates",
];

/// Where a line may still be said to somebody.
const WRITABLE: [&str; 3] = ["/dev/null", "/dev/console", "/dev/tty"];

/// What has to stay, whatever a reload brings: addresses, links, rules, buffers and
/// settings of the network; adverts; real time and niceness; locked memory; metrics on
/// a port below 1024.
const ALWAYS: [Capability; 5] = [
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::SysNice,
    Capability::IpcLock,
    Capability::NetBindService,
];

/// Variables that say where certificates are.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What else is known where it is decided what a worker keeps.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Where the files are that show the state.
    pub files: &'a Surroundings,
    /// The worker writes files with `init_file`.
    pub is_first: bool,
    /// `-m`: the kernel writes core files in the name of the worker.
    pub core_files: bool,
}

/// What a process keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    rights: Vec<Capability>,
    /// `None`: all files, because the kernel cannot take them away, or must not.
    places: Option<Places>,
}

impl Confinement {
    /// What a worker with this configuration keeps; `None`: everything, as
    /// `worker_confinement no` asks for.
    pub fn of_worker(config: &Config, around: Around<'_>) -> Option<Self> {
        config.globals.worker_confinement.then(|| {
            let hidden = tracks_hidden_processes(config);
            Self {
                rights: held(rights(config, around)),
                places: (!around.core_files && !hidden).then(|| places(config, around)),
            }
        })
    }

    /// What a clean-up keeps that speaks to the kernel and sends a last advert.
    pub fn of_cleanup(configs: &[&Config]) -> Option<Self> {
        let is_wanted = configs.iter().all(|it| it.globals.worker_confinement);
        is_wanted.then(|| Self {
            rights: held(ALWAYS.to_vec()),
            places: Some(Places {
                readable: READABLE.map(PathBuf::from).into(),
                writable: WRITABLE.map(PathBuf::from).into(),
            }),
        })
    }

    /// Gives up everything else, for good. To be called while there is one thread. What
    /// cannot be given up is said, and no reason to stop.
    pub fn begin(&self) {
        for refused in confinement::confine(&self.rights, self.places.as_ref()) {
            tracing::info!(
                "The VRRP process goes on without {}: {}",
                refused.what,
                refused.error
            );
        }
        let rights: Vec<String> = self.rights.iter().map(ToString::to_string).collect();
        tracing::debug!("Rights kept: {}", rights.join(" "));
    }

    /// What `config` needs that a worker does not have which keeps this; for people.
    pub fn lacks(&self, config: &Config, around: Around<'_>) -> Vec<String> {
        let mut lacking = Vec::new();
        let needed = held(rights(config, around));
        for right in needed.into_iter().filter(|it| !self.rights.contains(it)) {
            match right {
                Capability::DacReadSearch => lacking.extend(closed_files(config)),
                // In the place of the other.
                Capability::DacOverride if !writes_elsewhere(config, around) => {
                    lacking.extend(closed_files(config));
                }
                // A limit that is lower than none can be set without it.
                Capability::SysResource => {}
                other => lacking.push(format!("the right {other}")),
            }
        }
        let Some(kept) = self.places.as_ref().filter(|_| can_restrict_files()) else {
            return lacking;
        };
        if tracks_hidden_processes(config) {
            lacking.push("processes that /proc hides".to_owned());
        }
        let needed = places(config, around);
        let read = || kept.readable.iter().chain(&kept.writable);
        let mut missing = |needed: &[PathBuf], kept: &[&PathBuf]| {
            // Usually it is what was needed before, word for word. Where links lead is asked
            // for the others only: it takes hundreds of system calls.
            let mut others = needed.iter().filter(|it| !kept.contains(it)).peekable();
            if others.peek().is_none() {
                return;
            }
            let kept: Vec<PathBuf> = kept.iter().map(|it| found(it)).collect();
            for place in others {
                let place = found(place);
                if !kept.iter().any(|it| place.starts_with(it)) {
                    lacking.push(place.display().to_string());
                }
            }
        };
        missing(&needed.readable, &read().collect::<Vec<_>>());
        missing(&needed.writable, &kept.writable.iter().collect::<Vec<_>>());
        lacking
    }
}

/// What this process has of them. Containers grant the wider of the two rights to read
/// files of others, and not the other one.
fn held(mut rights: Vec<Capability>) -> Vec<Capability> {
    let Some(held) = Capabilities::effective() else {
        return rights;
    };
    let reads = rights.contains(&Capability::DacReadSearch);
    let has_wider = rights.contains(&Capability::DacOverride);
    if reads && !has_wider && !held.has(Capability::DacReadSearch) {
        rights.push(Capability::DacOverride);
    }
    rights.retain(|it| held.has(*it));
    rights
}

/// Whether the worker makes files where it needs a right of root for it.
fn writes_elsewhere(config: &Config, around: Around<'_>) -> bool {
    let mut written = directories_written(config, around).into_iter();
    written.any(|it| !is_ours_to_write(&it))
}

/// The tracked files that only a right of root opens, for people.
fn closed_files(config: &Config) -> impl Iterator<Item = String> {
    let files = config.track_files.iter().filter(|it| !is_open_to_us(it));
    files.map(|it| format!("track_file {} ({})", it.name, it.path))
}

fn rights(config: &Config, around: Around<'_>) -> Vec<Capability> {
    let mut rights = ALWAYS.to_vec();
    if !config.track_files.is_empty() {
        rights.push(Capability::DacReadSearch);
    }
    if writes_elsewhere(config, around) {
        rights.push(Capability::DacOverride);
    }
    if config.globals.processes.vrrp.realtime_limit.is_some() {
        rights.push(Capability::SysResource);
    }
    if tracks_hidden_processes(config) {
        rights.push(Capability::SysPtrace);
    }
    rights
}

fn places(config: &Config, around: Around<'_>) -> Places {
    let mut readable: Vec<PathBuf> = READABLE.map(PathBuf::from).into();
    // For the lines of a crash.
    readable.extend(std::env::current_exe().ok());
    for file in &config.track_files {
        readable.extend(around_tracked(Path::new(&file.path)));
    }
    let globals = &config.globals;
    let server = globals.smtp_server.as_ref();
    let is_name = |host: &str| host.parse::<std::net::IpAddr>().is_err();
    if server.is_some_and(|it| is_name(&it.host)) || routing_names(config) {
        // The files in which names are looked up are replaced as a whole, or come and go,
        // so that only their directory can be named.
        readable.push(PathBuf::from("/etc"));
    }
    if globals.mail.tls != SmtpTls::Off {
        let named = CERTIFICATES.into_iter().filter_map(std::env::var_os);
        readable.extend(named.map(PathBuf::from));
    }
    let mut writable: Vec<PathBuf> = WRITABLE.map(PathBuf::from).into();
    let written = directories_written(config, around);
    writable.extend(written.iter().map(|it| nearest(it)));
    Places { readable, writable }
}

/// Whether routes or rules have names that the files of this machine explain.
fn routing_names(config: &Config) -> bool {
    let instances = || config.instances.iter();
    let routes = instances().flat_map(|it| &it.virtual_routes);
    let rules = instances().flat_map(|it| &it.virtual_rules);
    let mut routes = routes.chain(&config.static_routes);
    let mut rules = rules.chain(&config.static_rules);
    routes.any(|it| it.names().any(RoutingName::is_looked_up))
        || rules.any(|it| it.names().any(RoutingName::is_looked_up))
}

/// Where the worker makes files and sockets.
fn directories_written(config: &Config, around: Around<'_>) -> Vec<PathBuf> {
    let mut written = around.files.directories(&config.globals);
    if let Some(MetricsListen::Unix(path)) = &config.globals.metrics_listen {
        written.extend(Path::new(path).parent().map(Path::to_owned));
    }
    if around.is_first {
        let first = config.track_files.iter();
        let first = first.filter(|it| it.initial_value.is_some());
        let first = first.filter_map(|it| Path::new(&it.path).parent());
        written.extend(first.map(Path::to_owned));
    }
    written
}

/// What has to be readable for a tracked file, as it is named and behind links: the
/// directory of the root that it is in, because those in between may be made anew at any
/// time. Of `/etc` only its own directory.
fn around_tracked(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = path.parent().map(nearest).into_iter().collect();
    found.extend(fs::canonicalize(path).ok());
    for place in &mut found {
        let mut parts = place.components().skip(1).map(Component::as_os_str);
        let top = parts.next().map(|top| Path::new("/").join(top));
        *place = match top {
            Some(top) if top == Path::new("/etc") => place
                .parent()
                .filter(|_| !place.is_dir())
                .unwrap_or(place)
                .to_owned(),
            Some(top) => top,
            // Nothing of its path is there yet.
            None => PathBuf::from("/"),
        };
    }
    found
}

/// The place itself without links; or what is there of the way to it.
fn nearest(path: &Path) -> PathBuf {
    let mut ways = path.ancestors();
    ways.find_map(|it| fs::canonicalize(it).ok())
        .unwrap_or_else(|| PathBuf::from("/"))
}

/// The place without links, or as it is written.
fn found(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether files can be made there without the rights of root.
fn is_ours_to_write(directory: &Path) -> bool {
    fs::metadata(nearest(directory)).is_ok_and(|found| may(&found, 0o3))
}

/// Whether a tracked file is there and can be read without the rights of root.
fn is_open_to_us(file: &TrackedFile) -> bool {
    let Ok(path) = fs::canonicalize(&file.path) else {
        return false;
    };
    let mut above = path.ancestors().skip(1);
    let is_reachable = above.all(|it| fs::metadata(it).is_ok_and(|found| may(&found, 0o1)));
    is_reachable && fs::metadata(&path).is_ok_and(|found| may(&found, 0o4))
}

/// Whether the mode grants us these three bits.
fn may(found: &Metadata, bits: u32) -> bool {
    let shift = if found.uid() == geteuid().as_raw() {
        6
    } else if found.gid() == getegid().as_raw() {
        3
    } else {
        0
    };
    found.mode() >> shift & bits == bits
}

/// Whether processes are counted that only a further right shows: one that Landlock
/// would make useless.
fn tracks_hidden_processes(config: &Config) -> bool {
    if config.track_processes.is_empty() {
        return false;
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    hides_processes(&mounts)
}

fn hides_processes(mounts: &str) -> bool {
    let proc = mounts.lines().rfind(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == Some("/proc") && words.next() == Some("proc")
    });
    let options = proc.and_then(|line| line.split(' ').nth(3));
    let mut options = options.into_iter().flat_map(|it| it.split(','));
    let hiding = options.find_map(|it| it.strip_prefix("hidepid="));
    !matches!(hiding, None | Some("0" | "off"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, load};

    fn config(text: &str, companion: &str) -> Config {
        let files = vec![
            ("/k/keepalived.conf".into(), text.as_bytes().to_vec()),
            (
                "/k/keepalived-rs.conf".into(),
                companion.as_bytes().to_vec(),
            ),
        ];
        load(&files, Path::new("/k/keepalived.conf"), &Options::default()).config
    }

    fn files() -> Surroundings {
        Surroundings::now(None, None, None)
    }

    fn around(files: &Surroundings) -> Around<'_> {
        Around {
            files,
            is_first: false,
            core_files: false,
        }
    }

    fn tracking(path: &Path) -> Config {
        let path = path.display();
        config(&format!("vrrp_track_file f {{\nfile {path}\n}}\n"), "")
    }

    #[test]
    fn a_right_is_kept_where_something_needs_it() {
        let files = files();
        let around = around(&files);
        let plain = rights(&config("", ""), around);
        assert_eq!(plain, ALWAYS);
        let tracking = rights(&tracking(Path::new("/run/f")), around);
        assert_eq!(
            tracking,
            [&ALWAYS[..], &[Capability::DacReadSearch]].concat()
        );
        let limited = config("global_defs {\nvrrp_rlimit_rttime 10000\n}\n", "");
        assert!(rights(&limited, around).contains(&Capability::SysResource));
    }

    #[test]
    fn nobody_is_confined_who_is_not_to_be() {
        let off = config("", "global_defs {\nworker_confinement no\n}\n");
        let files = files();
        assert_eq!(Confinement::of_worker(&off, around(&files)), None);
        assert_eq!(Confinement::of_cleanup(&[&off]), None);
        let with_core_files = Around {
            core_files: true,
            ..around(&files)
        };
        let kept = Confinement::of_worker(&config("", ""), with_core_files);
        assert_eq!(kept.expect("confined").places, None);
    }

    #[test]
    fn a_tracked_file_opens_the_directory_of_the_root_that_it_is_in() {
        let read = |path: &str| around_tracked(Path::new(path));
        assert_eq!(read("/usr/no/such/file"), [PathBuf::from("/usr")]);
        assert_eq!(read("/etc/passwd"), [PathBuf::from("/etc"), "/etc".into()]);
        assert_eq!(read("/does/not/exist"), [PathBuf::from("/")]);
        if Path::new("/etc/init.d").is_dir() {
            assert_eq!(read("/etc/init.d/none"), [PathBuf::from("/etc/init.d")]);
        }
    }

    #[test]
    fn names_of_mail_servers_are_looked_up_in_etc() {
        let files = files();
        for (server, opens) in [
            ("192.0.2.1", false),
            ("[::1]", true),
            ("mail.example", true),
        ] {
            let text = format!("global_defs {{\nsmtp_server {server}\n}}\n");
            let readable = places(&config(&text, ""), around(&files)).readable;
            let is_there = readable.contains(&PathBuf::from("/etc"));
            assert_eq!(is_there, opens, "{server}");
        }
    }

    #[test]
    fn names_of_routing_tables_are_looked_up_in_etc() {
        let files = files();
        for (words, opens) in [
            ("table 100", false),
            ("table main proto static scope link", false),
            ("table no_such_table", true),
            ("realms no_such_realm", true),
        ] {
            let text = format!("static_routes {{\n10.0.0.0/8 via 192.0.2.1 {words}\n}}\n");
            let readable = places(&config(&text, ""), around(&files)).readable;
            let is_there = readable.contains(&PathBuf::from("/etc"));
            assert_eq!(is_there, opens, "{words}");
        }
        let text = "static_rules {\nfrom 192.0.2.0/24 table no_such_table\n}\n";
        assert!(routing_names(&config(text, "")));
    }

    #[test]
    fn a_reload_that_needs_what_was_given_up_is_told() {
        if !can_restrict_files() || !geteuid().is_root() {
            return;
        }
        let files = files();
        let around = around(&files);
        let plain = config("", "");
        let kept = Confinement::of_worker(&plain, around).expect("confined");
        assert!(kept.lacks(&plain, around).is_empty());
        // A file that everybody can read, in a place that was readable anyway.
        assert!(
            kept.lacks(&tracking(Path::new("/usr/bin/env")), around)
                .is_empty()
        );
        let lacking = kept.lacks(&tracking(Path::new("/srv/none")), around);
        assert_eq!(lacking, ["track_file f (/srv/none)", "/srv"]);
        let kept = Confinement::of_worker(&tracking(Path::new("/srv/none")), around);
        let again = kept
            .expect("confined")
            .lacks(&tracking(Path::new("/srv/other")), around);
        assert!(again.is_empty(), "{again:?}");
        let dumped = config("global_defs {\nstate_dump_file /srv/dump\n}\n", "");
        let kept = Confinement::of_worker(&plain, around).expect("confined");
        assert_eq!(kept.lacks(&dumped, around), ["/srv"]);
    }

    #[test]
    fn proc_hides_processes_where_it_is_mounted_so() {
        let with = |options| format!("proc /proc proc rw,{options} 0 0\nx /tmp tmpfs rw 0 0\n");
        assert!(hides_processes(&with("nosuid,hidepid=2")));
        assert!(hides_processes(&with("hidepid=invisible")));
        assert!(!hides_processes(&with("hidepid=0")));
        assert!(!hides_processes(&with("nosuid")));
        assert!(!hides_processes(""));
    }
}
