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

/// How many settings of an interface are changed for the VMACs on it.
const COUNT: usize = 3;

/// What those settings were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::system::netlink) struct Settings([u32; COUNT]);

impl Settings {
    /// Which ones they are, and what they must be. The VIP is not its own to answer
    /// for, nor is an address that is reached another way; and it must not ask in the
    /// name of the VIP, which would tell everybody its hardware address for it.
    pub(super) const WANTED: [(Ipv4Setting, u32); COUNT] = [
        (Ipv4Setting::ARP_IGNORE, 1),
        (Ipv4Setting::ARP_FILTER, 1),
        (Ipv4Setting::ARP_ANNOUNCE, 2),
    ];

    /// Those of this interface, now.
    pub(super) fn of(link: &Link) -> Self {
        Self(Self::WANTED.map(|(setting, _)| link.ipv4(setting).unwrap_or_default()))
    }

    /// Each with what it must be, and what it was.
    pub(super) fn each(self) -> impl Iterator<Item = (Ipv4Setting, u32, u32)> {
        let pairs = Self::WANTED.into_iter().zip(self.0);
        pairs.map(|((setting, wanted), before)| (setting, wanted, before))
    }

    /// Words as they are written; `None` unless they are all there.
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut values = [0; COUNT];
        for ((setting, _), value) in Self::WANTED.into_iter().zip(&mut values) {
            let (key, number) = words.next()?.split_once('=')?;
            *value = number.parse().ok().filter(|_| key == setting.key)?;
        }
        Some(Self(values))
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
        let parent = Settings::parse(words);
        Some(Self { parent })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OURS)?;
        for (setting, _, before) in self.parent.into_iter().flat_map(Settings::each) {
            write!(f, " {}={before}", setting.key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let settings = Settings([2, 0, 1]);
        for parent in [None, Some(settings)] {
            let mark = Mark { parent };
            assert_eq!(Mark::parse(&mark.to_string()), Some(mark), "{mark}");
        }
        let text = "keepalived-rs arp_ignore=2 arp_filter=0 arp_announce=1";
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
            "keepalived-rs arp_ignore=0 arp_filter=0",
            "keepalived-rs arp_ignore=x arp_filter=0 arp_announce=0",
            "keepalived-rs arp_filter=0 arp_ignore=0 arp_announce=0",
            "keepalived-rs arp_ignore=-1 arp_filter=99999999999 arp_announce=0",
        ] {
            let mark = Mark { parent: None };
            assert_eq!(Mark::parse(alias), Some(mark), "{alias}");
        }
    }
}
