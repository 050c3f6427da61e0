//! Has the kernel put a secondary address in the place of a primary one that goes
//! (`promote_secondaries`, specification D.7).
//!
//! Decides that what was on before is never switched off. By number, since an interface
//! may get another name, and through netlink, since /proc/sys may be read-only, as in a
//! container.

use std::collections::BTreeSet;
use std::io;

use super::link::{self, Ipv4Setting};
use super::socket::RequestSocket;
use crate::ids::IfIndex;

/// Interfaces on which addresses are promoted because of us.
#[derive(Debug, Default)]
pub(super) struct Promotion {
    ours: BTreeSet<IfIndex>,
}

impl Promotion {
    /// Switches it on. `ENODEV`: there is no such interface; `EAFNOSUPPORT`: it has no
    /// IPv4.
    pub(super) fn begin(&mut self, socket: &mut RequestSocket, on: IfIndex) -> io::Result<()> {
        let no_device = || io::Error::from_raw_os_error(libc::ENODEV);
        let found = link::by_index(socket, on)?.ok_or_else(no_device)?;
        match found.ipv4(Ipv4Setting::PROMOTE_SECONDARIES) {
            Some(0) => {
                link::set_ipv4(socket, on, Ipv4Setting::PROMOTE_SECONDARIES, 1)?;
                self.ours.insert(on);
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        }
    }

    /// Switches it off if it was. An interface that is gone is no error.
    pub(super) fn end(&mut self, socket: &mut RequestSocket, on: IfIndex) -> io::Result<()> {
        match self.ours.remove(&on) {
            true => switch_off(socket, on),
            false => Ok(()),
        }
    }
}

/// Switches it off on these interfaces, as far as they are there. For a process without a
/// runtime; blocks until it is done. The first error is told when all have been tried.
pub fn stop_promoting(on: &[IfIndex]) -> io::Result<()> {
    if on.is_empty() {
        return Ok(());
    }
    let mut socket = RequestSocket::open()?;
    let mut outcome = Ok(());
    for index in on {
        outcome = outcome.and(switch_off(&mut socket, *index));
    }
    outcome
}

fn switch_off(socket: &mut RequestSocket, on: IfIndex) -> io::Result<()> {
    let found = link::by_index(socket, on)?;
    let is_on = found.and_then(|it| it.ipv4(Ipv4Setting::PROMOTE_SECONDARIES));
    match is_on {
        None | Some(0) => Ok(()),
        Some(_) => link::set_ipv4(socket, on, Ipv4Setting::PROMOTE_SECONDARIES, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Family;
    use crate::system::sysctl;
    use crate::system::testing::{in_namespace, ip};

    /// A dot means nothing else.
    const NAME: &str = "left.1";

    fn is_promoted(name: &str) -> bool {
        let key = Ipv4Setting::PROMOTE_SECONDARIES.key;
        sysctl::read(Family::Inet, name, key).expect("a setting") != 0
    }

    #[test]
    fn promotion_is_put_back_under_another_name_and_not_where_it_was_on() {
        in_namespace(|| {
            let key = Ipv4Setting::PROMOTE_SECONDARIES.key;
            ip("link add left.1 type veth peer name right");
            sysctl::write(Family::Inet, NAME, key, 0).expect("off");
            let mut socket = RequestSocket::open().expect("a socket");
            let on = IfIndex(nix::net::if_::if_nametoindex(NAME).expect("an interface"));
            let mut promotion = Promotion::default();
            promotion.begin(&mut socket, on).expect("on");
            promotion.begin(&mut socket, on).expect("on already");
            assert!(is_promoted(NAME));
            ip("link set left.1 name other");
            promotion.end(&mut socket, on).expect("off");
            assert!(!is_promoted("other"));
            // It was on before us.
            ip("link set other name left.1");
            sysctl::write(Family::Inet, NAME, key, 1).expect("on");
            promotion.begin(&mut socket, on).expect("on already");
            promotion.end(&mut socket, on).expect("not ours");
            assert!(is_promoted(NAME));
            ip("link del left.1");
            promotion.end(&mut socket, on).expect("gone");
            let missing = promotion.begin(&mut socket, on);
            assert_eq!(
                missing.map_err(|it| it.raw_os_error()),
                Err(Some(libc::ENODEV))
            );
        });
    }
}
