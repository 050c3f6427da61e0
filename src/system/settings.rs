//! Settings of the kernel that are changed while the daemon runs, and put back: the
//! promotion of secondary addresses on an interface, and IGMP for groups of the link
//! (specification B.2, D.7).
//!
//! Decides what they were before, and that what somebody else has changed since is left
//! alone. When they are wanted is decided elsewhere. All of it is of the network
//! namespace of the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::net::if_::{if_indextoname, if_nametoindex};

use crate::ids::IfIndex;

/// Where the kernel has the settings of IPv4.
const ROOT: &str = "/proc/sys/net/ipv4";

/// Whether it reports groups of 224.0.0.0/24, which no switch needs to be told.
const LOCAL_REPORTS: &str = "igmp_link_local_mcast_reports";

/// Interfaces on which a secondary address takes the place of a primary one that goes,
/// because of us.
#[derive(Debug, Default)]
pub struct Promotion {
    ours: BTreeSet<IfIndex>,
}

impl Promotion {
    /// Switches it on. `ENODEV`: there is no such interface.
    pub fn begin(&mut self, on: IfIndex) -> io::Result<()> {
        let path = promotion_of(on).ok_or_else(no_device)?;
        if !read(&path)? {
            write(&path, true)?;
            self.ours.insert(on);
        }
        Ok(())
    }

    /// Switches it off if it was. An interface that is gone is no error.
    pub fn end(&mut self, on: IfIndex) -> io::Result<()> {
        match promotion_of(on).filter(|_| self.ours.remove(&on)) {
            Some(path) => write(&path, false),
            None => Ok(()),
        }
    }
}

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
        let index = IfIndex(index);
        if let Some(path) = promotion_of(index)
            && let Ok(is_on) = read(&path)
        {
            self.promotion.entry(index).or_insert(is_on);
        }
    }

    /// Reports no groups of 224.0.0.0/24 until [`Before::put_back`].
    pub fn silence_local_igmp(&mut self) -> io::Result<()> {
        let path = Path::new(ROOT).join(LOCAL_REPORTS);
        if !self.silenced && read(&path)? {
            write(&path, false)?;
            self.silenced = true;
        }
        Ok(())
    }

    /// Puts everything back, whoever changed it for us. The first error is told when
    /// all has been tried.
    pub fn put_back(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for (index, was_on) in std::mem::take(&mut self.promotion) {
            let path = promotion_of(index).filter(|_| !was_on);
            outcome = outcome.and(path.map_or(Ok(()), |path| switch_off(&path)));
        }
        if std::mem::take(&mut self.silenced) {
            outcome = outcome.and(write(&Path::new(ROOT).join(LOCAL_REPORTS), true));
        }
        outcome
    }
}

fn switch_off(path: &Path) -> io::Result<()> {
    match read(path)? {
        true => write(path, false),
        false => Ok(()),
    }
}

/// By number, since an interface may get another name. A name is one part of a path,
/// dots in it mean nothing else.
fn promotion_of(on: IfIndex) -> Option<PathBuf> {
    let name = if_indextoname(on.0).ok()?;
    let name = name.to_str().ok().filter(|name| !name.is_empty())?;
    let place = Path::new(ROOT).join("conf").join(name);
    Some(place.join("promote_secondaries"))
}

fn no_device() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODEV)
}

fn read(path: &Path) -> io::Result<bool> {
    Ok(fs::read_to_string(path)?.trim() != "0")
}

/// What is not there is not made.
fn write(path: &Path, on: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(if on { b"1" } else { b"0" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{in_namespace, ip};

    const NAME: &str = "left.1";

    fn index() -> IfIndex {
        IfIndex(if_nametoindex(NAME).expect("an interface"))
    }

    fn is_promoted(name: &str) -> bool {
        let path = format!("{ROOT}/conf/{name}/promote_secondaries");
        read(Path::new(&path)).expect("a setting")
    }

    fn cable() {
        ip("link add left.1 type veth peer name right");
        write(
            Path::new(&format!("{ROOT}/conf/{NAME}/promote_secondaries")),
            false,
        )
        .expect("off");
    }

    #[test]
    fn promotion_is_put_back_under_another_name_and_not_where_it_was_on() {
        in_namespace(|| {
            cable();
            let mut promotion = Promotion::default();
            promotion.begin(index()).expect("on");
            promotion.begin(index()).expect("on already");
            assert!(is_promoted(NAME));
            let on = index();
            ip("link set left.1 name other");
            promotion.end(on).expect("off");
            assert!(!is_promoted("other"));
            // It was on before us.
            ip("link set other name left.1");
            write(&promotion_of(on).expect("there"), true).expect("on");
            promotion.begin(on).expect("on already");
            promotion.end(on).expect("not ours");
            assert!(is_promoted(NAME));
            ip("link del left.1");
            promotion.end(on).expect("gone");
            let missing = promotion.begin(on).map_err(|it| it.raw_os_error());
            assert_eq!(missing, Err(Some(libc::ENODEV)));
        });
    }

    #[test]
    fn what_a_dead_worker_changed_is_put_back() {
        in_namespace(|| {
            cable();
            let reports = Path::new(ROOT).join(LOCAL_REPORTS);
            assert!(read(&reports).expect("there"));
            let mut before = Before::default();
            before.note_promotion(NAME);
            before.note_promotion("missing");
            before.silence_local_igmp().expect("silent");
            assert!(!read(&reports).expect("there"));
            Promotion::default().begin(index()).expect("on");
            // The next worker begins with what the last one left.
            before.note_promotion(NAME);
            before.put_back().expect("back");
            assert!(!is_promoted(NAME) && read(&reports).expect("there"));
            // Whatever was so before stays so.
            write(&reports, false).expect("silent");
            before.silence_local_igmp().expect("silent already");
            before.put_back().expect("nothing");
            assert!(!read(&reports).expect("there"));
        });
    }
}
