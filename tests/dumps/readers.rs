//! Readers of the files, as strict as the programs that users have: the
//! grammar of mehdy/keepalived-exporter, YAML of the shape that `.stats` has,
//! and what waits for inotify.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Reads `.data` and `.stats` by the grammar of the exporter.
pub fn exporter(data: &str, stats: &str) {
    let instances = instances(data);
    let counted: Vec<&str> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("VRRP Instance: "))
        .collect();
    let named: Vec<&str> = instances.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, counted, "the exporter pairs them by name");
    for (name, properties) in &instances {
        let value = |key: &str| {
            let found = properties.iter().find(|(there, _)| there == key);
            found.map(|(_, value)| value.as_str())
        };
        for key in ["State", "Wantstate"] {
            let state = value(key).unwrap_or_else(|| panic!("{name} has no {key}"));
            assert!(
                ["INIT", "BACKUP", "MASTER", "FAULT"].contains(&state),
                "{state}"
            );
        }
        assert!(value("Interface").is_some(), "{name}");
        for key in ["Gratuitous ARP delay", "Virtual Router ID"] {
            let number = value(key).and_then(|text| text.parse::<i64>().ok());
            assert!(number.is_some(), "{name}: {key} = {:?}", value(key));
        }
    }
    scripts(data);
    for line in stats.lines() {
        let Some((key, value)) = line.split_once(':') else {
            panic!("{line:?} has no colon");
        };
        if !value.is_empty() && key != "VRRP Instance" {
            assert!(value.trim().parse::<u64>().is_ok(), "{line:?}");
        }
    }
}

/// Name and properties of each instance; panics where the exporter gives up.
fn instances(data: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut all: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let (mut open, mut list) = (false, false);
    for line in data.lines() {
        if line.starts_with(" VRRP Instance") {
            let (_, name) = line.split_once('=').expect("a name");
            all.push((name.trim().to_owned(), Vec::new()));
            (open, list) = (true, false);
        } else if line.starts_with(" VRRP Version") || line.starts_with(" VRRP Script") {
            // These do not end an instance for the exporter.
        } else if !line.starts_with("   ") {
            open = false;
        } else if open {
            if line.starts_with("   Virtual IP") {
                assert!(line.ends_with(':'), "{line:?}");
                list = true;
            } else if line.starts_with("     ") && list {
                let words: Vec<&str> = line.split_whitespace().collect();
                let address = words[0].split('/').next().unwrap_or_default();
                assert!(address.parse::<std::net::IpAddr>().is_ok(), "{line:?}");
                let place = words.iter().position(|word| *word == "dev").expect("dev");
                assert!(place == 1 || words[1] == "brd", "{line:?}");
            } else {
                list = false;
                if let Some((key, value)) = line.split_once('=') {
                    let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                    all.last_mut().expect("an instance").1.push((key, value));
                }
            }
        }
    }
    all
}

fn scripts(data: &str) {
    let mut lines = data.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with(" VRRP Script = ") {
            continue;
        }
        let (mut status, mut state) = (None, None);
        while let Some(line) = lines.next_if(|line| line.starts_with("   ")) {
            status = line.strip_prefix("   Status = ").or(status);
            state = line.strip_prefix("   State = ").or(state);
        }
        assert!(
            status.is_some_and(|it| ["GOOD", "BAD"].contains(&it)),
            "{status:?}"
        );
        let states = [
            "idle",
            "running",
            "requested termination",
            "forcing termination",
        ];
        assert!(state.is_some_and(|it| states.contains(&it)), "{state:?}");
    }
}

/// Reads the lines of one instance, without the first, as YAML: maps in maps by
/// indentation, every key once, every value a number.
pub fn yaml(stats: &str) {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in stats.lines() {
        if line.starts_with("VRRP Instance: ") {
            blocks.push(Vec::new());
        } else {
            blocks.last_mut().expect("an instance first").push(line);
        }
    }
    for block in blocks {
        let mut seen: Vec<(usize, &str)> = Vec::new();
        let mut opened = true;
        for line in block {
            let depth = line.len() - line.trim_start().len();
            assert!(depth == 2 || depth == 4, "{line:?}");
            assert!(depth == 2 || opened, "{line:?} belongs to nothing");
            let (key, value) = line.trim_start().split_once(':').expect("a map");
            assert!(
                !key.is_empty() && !key.contains(['#', '"', '\'', '[', '{']),
                "{line:?}"
            );
            if depth == 2 {
                seen.retain(|(depth, _)| *depth == 2);
                opened = value.is_empty();
            }
            assert!(!seen.contains(&(depth, key)), "{key} twice");
            seen.push((depth, key));
            let number = value.strip_prefix(' ').map(str::parse::<u64>);
            let is_number = number.is_some_and(|number| number.is_ok());
            assert!(is_number || (depth == 2 && value.is_empty()), "{line:?}");
        }
    }
}

/// Watches a directory.
pub struct Watch(OwnedFd);

impl Watch {
    /// Watches `directory` from now on.
    pub fn new(directory: &Path) -> Self {
        let path = CString::new(directory.as_os_str().as_bytes()).expect("no NUL");
        // SAFETY: a system call on numbers; what it returns is ours alone.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        assert!(fd >= 0, "inotify");
        // SAFETY: the kernel has just made it, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = libc::IN_MOVED_TO | libc::IN_CLOSE_WRITE;
        // SAFETY: the path ends with a NUL and lives until the call returns.
        let watch = unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), events) };
        assert!(watch >= 0, "a watch");
        Self(fd)
    }

    /// All events until a file of this name was closed, kind and name each.
    pub fn until_closed(&self, name: &str, patience: Duration) -> Vec<(u32, String)> {
        let deadline = Instant::now() + patience;
        let mut all = Vec::new();
        while Instant::now() < deadline {
            let mut buffer = [0_u8; 4096];
            let mut poll = libc::pollfd {
                fd: self.0.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one structure, as said, that lives until the call returns.
            unsafe { libc::poll(&mut poll, 1, 1000) };
            let Ok(length) = nix::unistd::read(&self.0, &mut buffer) else {
                continue;
            };
            let mut rest = &buffer[..length];
            while rest.len() >= 16 {
                let number = |at: usize| {
                    u32::from_ne_bytes(rest[at..at + 4].try_into().expect("four bytes"))
                };
                let (kind, size) = (number(4), number(12) as usize);
                let text = String::from_utf8_lossy(&rest[16..16 + size]);
                all.push((kind, text.trim_end_matches('\0').to_owned()));
                rest = &rest[16 + size..];
            }
            if all.contains(&(libc::IN_CLOSE_WRITE, name.to_owned())) {
                break;
            }
        }
        all
    }
}
