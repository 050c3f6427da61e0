//! Settings of the kernel that are changed while the daemon runs, and put back at its
//! end, whatever became of the worker: the promotion of secondary addresses, which a
//! worker switches on (`netlink/promotion.rs`), and IGMP for groups of the link
//! (specification B.2, D.7).
//!
//! Decides what they were before, and that what somebody else has changed since is left
//! alone. When they are wanted is decided elsewhere. All of it is of the network
//! namespace of the caller.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use nix::net::if_::if_nametoindex;

use crate::config::model::Family;
use crate::ids::IfIndex;
use crate::system::{netlink, sysctl};

/// Whether the kernel reports groups of 224.0.0.0/24, which no switch needs to be told.
const LOCAL_REPORTS: &str = "/proc/sys/net/ipv4/igmp_link_local_mcast_reports";

/// What settings were before any worker changed them, in case that one dies.
#[derive(Debug, Default)]
pub struct Before {
    /// Whether secondary addresses were promoted, by interface.
    promotion: BTreeMap<IfIndex, bool>,
    /// Groups of the link were reported, and are not now.
    silenced: bool,
}

impl Before {
    /// Remembers what is so on this interface, if it is there.
    pub fn note_promotion(&mut self, interface: &str) {
        let Ok(index) = if_nametoindex(interface) else {
            return;
        };
        if let Some(promotes) = promotes(interface) {
            self.promotion.entry(IfIndex(index)).or_insert(promotes);
        }
    }

    /// A worker switches it on for this interface, where it was off.
    pub fn note_promotion_begun(&mut self, on: IfIndex) {
        self.promotion.entry(on).or_insert(false);
    }

    /// Reports no groups of 224.0.0.0/24 until [`Before::put_back`].
    pub fn silence_local_igmp(&mut self) -> io::Result<()> {
        if !self.silenced && reports_local()? {
            report_local(false)?;
            self.silenced = true;
        }
        Ok(())
    }

    /// Puts everything back, whoever changed it for us. The first error is told when
    /// all has been tried.
    pub fn put_back(&mut self) -> io::Result<()> {
        let promotion = std::mem::take(&mut self.promotion).into_iter();
        let off = promotion.filter(|(_, was_on)| !was_on);
        let off: Vec<IfIndex> = off.map(|(index, _)| index).collect();
        let mut outcome = netlink::stop_promoting(&off);
        if std::mem::take(&mut self.silenced) {
            outcome = outcome.and(report_local(true));
        }
        outcome
    }
}

/// Whether secondary addresses are promoted on an interface; `None`: it has no such setting.
pub fn promotes(interface: &str) -> Option<bool> {
    let value = sysctl::read(Family::Inet, interface, "promote_secondaries");
    value.ok().map(|value| value != 0)
}

fn reports_local() -> io::Result<bool> {
    Ok(fs::read_to_string(LOCAL_REPORTS)?.trim() != "0")
}

/// Not made anew: a file that is not there is no setting.
fn report_local(on: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(LOCAL_REPORTS)?;
    file.write_all(if on { b"1" } else { b"0" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{in_namespace, ip};

    const NAME: &str = "left.1";

    fn set_promotion(value: i64) {
        sysctl::write(Family::Inet, NAME, "promote_secondaries", value).expect("set");
    }

    #[test]
    fn what_a_dead_worker_changed_is_put_back() {
        in_namespace(|| {
            ip("link add left.1 type veth peer name right");
            set_promotion(0);
            assert!(reports_local().expect("there"));
            let mut before = Before::default();
            before.note_promotion(NAME);
            before.note_promotion("missing");
            before.silence_local_igmp().expect("silent");
            assert!(!reports_local().expect("there"));
            set_promotion(1);
            // The next worker begins with what the last one left.
            before.note_promotion(NAME);
            ip("link set left.1 name other");
            before.put_back().expect("back");
            let promotion = sysctl::read(Family::Inet, "other", "promote_secondaries");
            assert_eq!(promotion.expect("there"), 0);
            assert!(reports_local().expect("there"));
            // Whatever was so before stays so.
            report_local(false).expect("silent");
            before.silence_local_igmp().expect("silent already");
            before.put_back().expect("nothing");
            assert!(!reports_local().expect("there"));
        });
    }
}
