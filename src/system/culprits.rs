//! Which programs run here that take addresses, routes or rules away that they have not
//! put in.
//!
//! Looks at the names of all processes in `/proc`, which takes milliseconds: not for a
//! thread that must be in time. Judges by the name alone, so it names who is likely, and
//! not who did it. Those of another network namespace do nothing here.

use std::fs;
use std::path::Path;

/// The name that the kernel keeps of a process, of 15 bytes at most, and what the
/// program is called.
const KNOWN: [(&str, &str); 8] = [
    ("systemd-network", "systemd-networkd"),
    ("NetworkManager", "NetworkManager"),
    ("cloud-init", "cloud-init"),
    ("dhclient", "dhclient"),
    ("dhcpcd", "dhcpcd"),
    ("connmand", "connman"),
    ("wickedd", "wicked"),
    ("netplan", "netplan"),
];

/// Those that run, each once, in the order of the table.
pub fn running() -> Vec<String> {
    running_below(Path::new("/proc"))
}

fn running_below(proc: &Path) -> Vec<String> {
    let own = fs::read_link(proc.join("self/ns/net")).ok();
    let mut found = [false; KNOWN.len()];
    for entry in fs::read_dir(proc).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path = entry.path();
        // Processes come and go while this looks at them.
        let Ok(name) = fs::read(path.join("comm")) else {
            continue;
        };
        let name = name.strip_suffix(b"\n").unwrap_or(&name);
        let known = KNOWN.iter().zip(&mut found);
        for (_, found) in known.filter(|((it, _), _)| it.as_bytes() == name) {
            let theirs = fs::read_link(path.join("ns/net")).ok();
            // Where one of them is not known it may be here.
            *found |= own.is_none() || theirs.is_none() || own == theirs;
        }
    }
    let known = KNOWN.iter().zip(found);
    known
        .filter(|(_, found)| *found)
        .map(|((_, name), _)| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn process(proc: &Path, pid: &str, name: &str, namespace: &str) {
        let path = proc.join(pid);
        fs::create_dir_all(path.join("ns")).expect("a directory");
        fs::write(path.join("comm"), format!("{name}\n")).expect("a file");
        symlink(namespace, path.join("ns/net")).expect("a link");
    }

    #[test]
    fn names_who_runs_in_this_network() {
        let directory = tempfile::tempdir().expect("a directory");
        let proc = directory.path();
        process(proc, "self", "x", "net:[1]");
        process(proc, "20", "NetworkManager", "net:[1]");
        process(proc, "21", "systemd-network", "net:[1]");
        process(proc, "22", "systemd-network", "net:[1]");
        process(proc, "23", "dhcpcd", "net:[2]");
        process(proc, "24", "dhclient-x", "net:[1]");
        fs::create_dir(proc.join("25")).expect("one that has just ended");
        assert_eq!(running_below(proc), ["systemd-networkd", "NetworkManager"]);
        assert_eq!(running_below(&proc.join("nothing")), [""; 0]);
    }
}
