//! Settings of network interfaces (`net.ipv4.conf.NAME.KEY`, `net.ipv6.conf.NAME.KEY`)
//! below /proc/sys, of the network namespace of the caller.
//!
//! Decides that no other name than that of one interface is written to: what stands
//! under `all` and `default` is of every interface, and not ours to change. Names are
//! parts of paths, so that one with a dot in it means itself. Source: specification
//! F.12.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::model::Family;

/// Where the kernel has them.
const ROOT: &str = "/proc/sys/net";

/// The names that are of no interface.
pub const ALL: &str = "all";
const DEFAULT: &str = "default";

/// What a setting of an interface is, or of `all`. `ENOENT`: there is no such interface,
/// or its family is not in this kernel.
pub fn read(family: Family, interface: &str, key: &str) -> io::Result<i64> {
    let text = fs::read_to_string(path(family, interface, key)?)?;
    text.trim().parse().map_err(|_| invalid())
}

/// Makes a setting of one interface what it should be, unless it is that already.
/// `EROFS`: /proc/sys is not to be written here, as in a container.
pub fn write(family: Family, interface: &str, key: &str, value: i64) -> io::Result<()> {
    if matches!(interface, ALL | DEFAULT) {
        return Err(invalid());
    }
    if read(family, interface, key)? == value {
        return Ok(());
    }
    let path = path(family, interface, key)?;
    // Not made anew: a file that is not there is no setting.
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, value.to_string().as_bytes())
}

/// The kernel allows no slash in the name of an interface; what has one, or leads
/// elsewhere, is none.
fn path(family: Family, interface: &str, key: &str) -> io::Result<PathBuf> {
    let is_one_part = |name: &str| !name.is_empty() && name != "." && name != "..";
    for name in [interface, key] {
        if !is_one_part(name) || name.contains(['/', '\0']) {
            return Err(invalid());
        }
    }
    let family = match family {
        Family::Inet => "ipv4",
        Family::Inet6 => "ipv6",
    };
    let conf = Path::new(ROOT).join(family).join("conf");
    Ok(conf.join(interface).join(key))
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{in_namespace, ip};

    #[test]
    fn a_name_with_a_dot_in_it_means_itself() {
        in_namespace(|| {
            ip("link add left type veth peer name vrrp.51");
            let read = |name| read(Family::Inet6, name, "accept_ra").expect("there");
            assert_eq!(read("vrrp.51"), 1);
            write(Family::Inet6, "vrrp.51", "accept_ra", 0).expect("written");
            assert_eq!((read("vrrp.51"), read("left")), (0, 1));
            let missing = write(Family::Inet6, "vrrp.52", "accept_ra", 0);
            assert_eq!(
                missing.map_err(|it| it.kind()),
                Err(io::ErrorKind::NotFound)
            );
        });
    }

    #[test]
    fn what_is_of_every_interface_is_never_written() {
        in_namespace(|| {
            for name in ["all", "default", "", ".", "..", "../all", "a/b"] {
                let before = read(Family::Inet, ALL, "rp_filter").expect("there");
                let written = write(Family::Inet, name, "rp_filter", before ^ 1);
                assert!(written.is_err(), "{name}");
                let after = read(Family::Inet, ALL, "rp_filter").expect("there");
                assert_eq!(after, before, "{name}");
            }
        });
    }
}
