//! What a reload cannot change: only a restart can.
//!
//! Decides which words these are; the whole reload is refused then, so that the
//! file and the daemon never tell different things. Source: specification B.3
//! (reload refusals).

use crate::config::diagnostic::Diagnostic;
use crate::config::model::Config;

/// What is different in `new` that a daemon which runs `old` keeps until its end.
pub(super) fn changed(old: &Config, new: &Config) -> Vec<Diagnostic> {
    let (old, new) = (&old.globals, &new.globals);
    let (old_places, new_places) = (&old.places, &new.places);
    let differences = [
        (
            "network namespace",
            old_places.network_namespace != new_places.network_namespace,
        ),
        (
            "IPVS network namespace",
            old_places.ipvs_network_namespace != new_places.ipvs_network_namespace,
        ),
        ("instance name", old_places.instance != new_places.instance),
        (
            "nftables table name",
            old.firewall.nftables != new.firewall.nftables,
        ),
        (
            "IPVS nftables table name",
            old.lvs.nftables != new.lvs.nftables,
        ),
        (
            "config_directory",
            old_places.temporary_config_directory != new_places.temporary_config_directory,
        ),
        (
            "disable_local_igmp",
            old.disable_local_igmp != new.disable_local_igmp,
        ),
        (
            "worker_confinement",
            old.worker_confinement != new.worker_confinement,
        ),
    ];
    let changed = differences.into_iter().filter(|(_, differs)| *differs);
    changed
        .map(|(what, _)| {
            let text = format!("Cannot change {what} at a reload - please restart keepalived");
            Diagnostic::fatal("not-by-reload", text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::{Options, load};

    fn config(text: &str) -> Config {
        let path = PathBuf::from("/k.conf");
        let files = vec![(path, text.as_bytes().to_vec())];
        load(&files, Path::new("/k.conf"), &Options::default()).config
    }

    #[test]
    fn each_word_is_named_and_others_are_not() {
        let plain = config("global_defs {\nrouter_id a\n}\n");
        for (text, named) in [
            ("net_namespace x\n", "network namespace"),
            ("net_namespace_ipvs x\n", "IPVS network namespace"),
            ("instance x\n", "instance name"),
            ("global_defs {\nnftables x\n}\n", "nftables table name"),
            (
                "global_defs {\ntmp_config_directory /tmp\n}\n",
                "config_directory",
            ),
            (
                "global_defs {\ndisable_local_igmp\n}\n",
                "disable_local_igmp",
            ),
        ] {
            let new = config(text);
            let found = changed(&plain, &new);
            let [found] = found.as_slice() else {
                panic!("{text}: {found:?}");
            };
            let expected = format!("Cannot change {named} at a reload - please restart keepalived");
            assert_eq!(found.message, expected);
            assert!(changed(&new, &new).is_empty());
        }
        assert!(changed(&plain, &config("global_defs {\nrouter_id b\n}\n")).is_empty());
        let mut open = plain.clone();
        open.globals.worker_confinement = false;
        let found = changed(&plain, &open);
        let expected = "Cannot change worker_confinement at a reload - please restart keepalived";
        assert!(found.iter().map(|it| &*it.message).eq([expected]));
    }
}
