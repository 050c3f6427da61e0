//! Which of root's rights the kernel grants this process.
//!
//! Decides nothing: what the daemon needs is in `daemon/rights.rs`, and who gives all
//! of them up, in `daemon/bus/service.rs`.
//! Source: capabilities(7).

use std::fmt;
use std::fs;
use std::io;

/// Gives up all rights of root, for good: this process, and whatever it might execute,
/// can do what any process of its user can. To be called while there is one thread.
///
/// # Errors
/// Whatever the kernel says; some rights may be left then.
pub fn give_up_all() -> io::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`, with two words for each of the three sets.
    const VERSION: u32 = 0x2008_0522;
    let header = [VERSION, 0];
    let none = [0_u32; 6];
    // SAFETY: the kernel reads two words and six, which outlive the calls; the rest are
    // numbers.
    let outcome = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr())
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// One of root's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Signals to processes of other users.
    Kill,
    /// Another group for a child.
    SetGid,
    /// Another user for a child.
    SetUid,
    /// Addresses, routes and interfaces.
    NetAdmin,
    /// Raw sockets.
    NetRaw,
    /// Memory that is never swapped out, without a limit.
    IpcLock,
    /// Another network namespace.
    SysAdmin,
    /// Real-time priorities, without a limit.
    SysNice,
}

impl Capability {
    /// Its number in the kernel (linux/capability.h).
    const fn number(self) -> u32 {
        match self {
            Self::Kill => 5,
            Self::SetGid => 6,
            Self::SetUid => 7,
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
            Self::IpcLock => 14,
            Self::SysAdmin => 21,
            Self::SysNice => 23,
        }
    }
}

/// The name that container tools take, without `CAP_`.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "KILL",
            Self::SetGid => "SETGID",
            Self::SetUid => "SETUID",
            Self::NetAdmin => "NET_ADMIN",
            Self::NetRaw => "NET_RAW",
            Self::IpcLock => "IPC_LOCK",
            Self::SysAdmin => "SYS_ADMIN",
            Self::SysNice => "SYS_NICE",
        })
    }
}

/// A set of rights, as a mask of the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// What this process may do now; `None` if the kernel does not say.
    pub fn effective() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/status").ok()?)
    }

    /// Whether `capability` is in the set.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability.number()) != 0
    }

    fn parse(status: &str) -> Option<Self> {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(mask.trim(), 16).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_the_kernel_is_read_by_number() {
        let found = Capabilities::parse("CapPrm:\tffff\nCapEff:\t0000000000003000\n").unwrap();
        assert!(found.has(Capability::NetAdmin) && found.has(Capability::NetRaw));
        assert!(!found.has(Capability::SysNice) && !found.has(Capability::Kill));
    }

    #[test]
    fn what_is_no_mask_is_not_known() {
        for text in ["", "CapEff:", "CapEff:\tnone\n", "CapPrm:\t0\n"] {
            assert_eq!(Capabilities::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_kernel_says_it() {
        assert!(Capabilities::effective().is_some());
    }
}
