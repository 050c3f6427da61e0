//! What the files of this machine call a routing table, a protocol and so on.
//!
//! Decides which files have which names. Source: specification C.2, C.3.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::machine::RoutingNames;

/// Whether some file has the name.
pub fn knows(names: RoutingNames, name: &str) -> bool {
    number(names, name).is_some()
}

/// The number that the first file which has the name gives to it. Numbers in files may
/// be hexadecimal.
pub fn number(names: RoutingNames, name: &str) -> Option<u32> {
    let file = match names {
        RoutingNames::Tables => "rt_tables",
        RoutingNames::Protocols => "rt_protos",
        RoutingNames::Scopes => "rt_scopes",
        RoutingNames::TypesOfService => "rt_dsfield",
        RoutingNames::Realms => "rt_realms",
        RoutingNames::Groups => "group",
        RoutingNames::IpProtocols => return number_in(Path::new("/etc/protocols"), true, name),
    };
    let directories = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];
    directories.iter().find_map(|directory| {
        let whole = Path::new(directory).join(file);
        let parts = parts(&whole.with_extension("d"));
        let first = number_in(&whole, false, name);
        first.or_else(|| parts.iter().find_map(|part| number_in(part, false, name)))
    })
}

/// The files `*.conf` of a directory.
fn parts(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .collect()
}

/// The number of the line that has the name: in front of it, or, where `aliases`
/// follow, behind the first of its names.
fn number_in(path: &Path, aliases: bool, name: &str) -> Option<u32> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [first, second, others @ ..] = words.as_slice() else {
            return None;
        };
        let (number, is_it) = if aliases {
            (second, *first == name || others.contains(&name))
        } else {
            (first, *second == name)
        };
        is_it.then(|| parse(number)).flatten()
    })
}

fn parse(number: &str) -> Option<u32> {
    match number.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_behind_their_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            &file,
            "# 7 old\n100\tblue # the blue one\n0x65 red\nx green\n",
        )
        .unwrap();
        let number = |name| number_in(file.path(), false, name);
        assert_eq!((number("blue"), number("red")), (Some(100), Some(101)));
        for none in ["old", "100", "one", "green"] {
            assert_eq!(number(none), None, "{none}");
        }
        assert_eq!(number_in(Path::new("/no/such/file"), false, "blue"), None);
    }

    #[test]
    fn protocols_have_aliases() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "tcp\t6\tTCP # transmission\n").unwrap();
        let number = |name| number_in(file.path(), true, name);
        assert_eq!((number("tcp"), number("TCP")), (Some(6), Some(6)));
        assert_eq!(number("transmission"), None);
    }

    #[test]
    fn a_directory_has_more_of_them() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.conf"), "102 green\n").unwrap();
        fs::write(directory.path().join("a.txt"), "103 grey\n").unwrap();
        let parts = parts(directory.path());
        assert_eq!(parts, [directory.path().join("a.conf")]);
    }
}
