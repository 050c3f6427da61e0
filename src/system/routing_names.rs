//! Whether the files of this machine know the name of a routing table, a protocol
//! and so on.
//!
//! Decides which files have which names. Source: specification C.2, C.3.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::machine::RoutingNames;

/// Whether some file has the name.
pub fn knows(names: RoutingNames, name: &str) -> bool {
    let file = match names {
        RoutingNames::Tables => "rt_tables",
        RoutingNames::Protocols => "rt_protos",
        RoutingNames::Scopes => "rt_scopes",
        RoutingNames::TypesOfService => "rt_dsfield",
        RoutingNames::Realms => "rt_realms",
        RoutingNames::Groups => "group",
        RoutingNames::IpProtocols => return has_name(Path::new("/etc/protocols"), 0, name),
    };
    let directories = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];
    directories.iter().any(|directory| {
        let whole = Path::new(directory).join(file);
        let parts = parts(&whole.with_extension("d"));
        has_name(&whole, 1, name) || parts.iter().any(|part| has_name(part, 1, name))
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

/// Whether word number `column` of some line is the name, or, in the first
/// column, any word of it: there aliases follow.
fn has_name(path: &Path, column: usize, name: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if column == 0 {
            return words.any(|word| word == name);
        }
        words.nth(column) == Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_behind_their_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "# 7 old\n100\tblue # the blue one\n101 red\n").unwrap();
        let has = |name| has_name(file.path(), 1, name);
        assert!(has("blue") && has("red"));
        assert!(!has("old") && !has("100") && !has("one"));
        assert!(!has_name(Path::new("/no/such/file"), 1, "blue"));
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
