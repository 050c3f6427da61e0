//! Which of root's rights the kernel grants this process.
//!
//! Decides nothing: what the daemon needs is in `daemon/rights.rs`, what the worker
//! keeps in `daemon/confinement.rs`, and who gives all of them up, in
//! `daemon/bus/service.rs`.
//! Source: capabilities(7).

use std::fmt;
use std::fs;
use std::io;

/// `_LINUX_CAPABILITY_VERSION_3`, with two words for each of the three sets.
const VERSION: u32 = 0x2008_0522;

/// More numbers of capabilities than any kernel has.
const NUMBERS_MAX: libc::c_ulong = 64;

/// Gives up all rights of root, for good: this process, and whatever it might execute,
/// can do what any process of its user can. To be called while there is one thread.
///
/// # Errors
/// Whatever the kernel says; some rights may be left then.
pub fn give_up_all() -> io::Result<()> {
    never_gain()?;
    set([0; 2])
}

/// No program that this thread or a later one executes gets more rights than it has.
///
/// # Errors
/// A kernel before 3.5.
pub fn never_gain() -> io::Result<()> {
    // SAFETY: a system call on numbers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives up for good what is not in `kept`, in every set; what this process does not
/// have it does not get. To be called while there is one thread.
///
/// The bounding set stays as it is where `CAP_SETPCAP` is missing: it says what an
/// executed program may get.
///
/// # Errors
/// Whatever the kernel says; some rights may be left then.
pub fn keep_only(kept: &[Capability]) -> io::Result<()> {
    let mask = kept
        .iter()
        .fold(0_u64, |mask, right| mask | 1 << right.number());
    for number in 0..NUMBERS_MAX {
        if mask >> number & 1 == 0 {
            // SAFETY: a system call on numbers; it refuses those that do not exist.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        }
    }
    // SAFETY: a system call on numbers. Kernels before 4.3 have no such set.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    let permitted = permitted()?;
    let word = |shift: u32| u32::try_from(mask >> shift & 0xffff_ffff).unwrap_or(0);
    let [low, high] = permitted;
    set([low & word(0), high & word(32)])
}

/// What this thread may make effective, in two words.
fn permitted() -> io::Result<[u32; 2]> {
    let header = [VERSION, 0];
    // Effective, permitted and inheritable, the low words first.
    let mut sets = [0_u32; 6];
    // SAFETY: the kernel reads two words and writes six, which outlive the call.
    let outcome = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    let [_, low, _, _, high, _] = sets;
    match outcome {
        0 => Ok([low, high]),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes these two words the effective and the permitted set, and nothing inheritable.
fn set([low, high]: [u32; 2]) -> io::Result<()> {
    let header = [VERSION, 0];
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: the kernel reads two words and six, which outlive the call.
    let outcome = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// One of root's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Files that the rights of their owner do not open, for any use.
    DacOverride,
    /// The same, to read them.
    DacReadSearch,
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
    /// Ports below 1024.
    NetBindService,
    /// Processes of others, where `/proc` hides them.
    SysPtrace,
    /// Another network namespace.
    SysAdmin,
    /// Real-time priorities, without a limit.
    SysNice,
    /// Limits beyond those that were given.
    SysResource,
}

impl Capability {
    /// Its number in the kernel (linux/capability.h).
    const fn number(self) -> u32 {
        match self {
            Self::DacOverride => 1,
            Self::DacReadSearch => 2,
            Self::Kill => 5,
            Self::SetGid => 6,
            Self::SetUid => 7,
            Self::NetBindService => 10,
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
            Self::IpcLock => 14,
            Self::SysPtrace => 19,
            Self::SysAdmin => 21,
            Self::SysNice => 23,
            Self::SysResource => 24,
        }
    }
}

/// The name that container tools take, without `CAP_`.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DacOverride => "DAC_OVERRIDE",
            Self::DacReadSearch => "DAC_READ_SEARCH",
            Self::Kill => "KILL",
            Self::SetGid => "SETGID",
            Self::SetUid => "SETUID",
            Self::NetBindService => "NET_BIND_SERVICE",
            Self::NetAdmin => "NET_ADMIN",
            Self::NetRaw => "NET_RAW",
            Self::IpcLock => "IPC_LOCK",
            Self::SysPtrace => "SYS_PTRACE",
            Self::SysAdmin => "SYS_ADMIN",
            Self::SysNice => "SYS_NICE",
            Self::SysResource => "SYS_RESOURCE",
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
