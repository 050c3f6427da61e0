//! The alias of an interface of our own (`ip link`), which says that it is ours, and
//! what the settings of the interface below were before it.
//!
//! Written by one process and read by another, perhaps of a later version: what is not
//! understood is no mark.

use std::fmt;

use crate::system::netlink::link::{Ipv4Setting, Link};

/// What an alias of ours begins with.
const OURS: &str = "keepalived-rs";

/// What an alias of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// What the settings of the interface below were, if they were changed.
    pub(super) parent: Option<Settings>,
}

/// Settings of an interface with VMACs that the VMACs need to be 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::system::netlink) struct Settings {
    arp_ignore: u32,
    arp_filter: u32,
}

impl Settings {
    /// Which ones they are.
    pub(super) const KEYS: [Ipv4Setting; 2] = [Ipv4Setting::ARP_IGNORE, Ipv4Setting::ARP_FILTER];

    /// Those of this interface, now.
    pub(super) fn of(link: &Link) -> Self {
        let value = |setting| link.ipv4(setting).unwrap_or_default();
        Self {
            arp_ignore: value(Ipv4Setting::ARP_IGNORE),
            arp_filter: value(Ipv4Setting::ARP_FILTER),
        }
    }

    /// Each with its value.
    pub(super) fn each(self) -> [(Ipv4Setting, u32); 2] {
        let [ignore, filter] = Self::KEYS;
        [(ignore, self.arp_ignore), (filter, self.arp_filter)]
    }
}

impl Mark {
    /// The mark of this interface, if it has one.
    pub(super) fn of(link: &Link) -> Option<Self> {
        link.alias.as_deref().and_then(Self::parse)
    }

    fn parse(alias: &str) -> Option<Self> {
        let mut words = alias.split(' ');
        if words.next() != Some(OURS) {
            return None;
        }
        let mut value = |key: Ipv4Setting| {
            let (name, value) = words.next()?.split_once('=')?;
            (name == key.key).then(|| value.parse().ok())?
        };
        let [ignore, filter] = Settings::KEYS;
        let parent = value(ignore).zip(value(filter));
        let parent = parent.map(|(arp_ignore, arp_filter)| Settings {
            arp_ignore,
            arp_filter,
        });
        Some(Self { parent })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OURS)?;
        for (setting, value) in self.parent.into_iter().flat_map(Settings::each) {
            write!(f, " {}={value}", setting.key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let settings = Settings {
            arp_ignore: 2,
            arp_filter: 0,
        };
        for parent in [None, Some(settings)] {
            let mark = Mark { parent };
            assert_eq!(Mark::parse(&mark.to_string()), Some(mark), "{mark}");
        }
        let text = "keepalived-rs arp_ignore=2 arp_filter=0";
        let mark = Mark {
            parent: Some(settings),
        };
        assert_eq!(mark.to_string(), text);
    }

    #[test]
    fn an_alias_of_somebody_else_is_no_mark() {
        for alias in ["", "uplink", "keepalived-rs2", "my keepalived-rs"] {
            assert_eq!(Mark::parse(alias), None, "{alias}");
        }
        for alias in [
            "keepalived-rs ",
            "keepalived-rs arp_ignore=0",
            "keepalived-rs arp_ignore=x arp_filter=0",
            "keepalived-rs arp_filter=0 arp_ignore=0",
            "keepalived-rs arp_ignore=-1 arp_filter=99999999999",
        ] {
            let mark = Mark { parent: None };
            assert_eq!(Mark::parse(alias), Some(mark), "{alias}");
        }
    }
}
