//! Takes from this process what it does not need, for good: rights of root, files, and
//! system calls that no part of the VRRP process makes.
//!
//! Carries out, and says what this kernel cannot do; what a process keeps is decided in
//! `daemon/confinement.rs`. Nothing here is inherited by scripts: they are children of
//! the supervisor, which is not confined.
//! Source: capabilities(7), prctl(2), seccomp(2), landlock(7).

use std::io;
use std::path::PathBuf;

use super::capabilities::{self, Capability};

mod calls;
mod places;

pub use places::is_available as can_restrict_files;

/// Files and directories that can still be used, with all that is below them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// To read.
    pub readable: Vec<PathBuf>,
    /// To read, write, make and remove files.
    pub writable: Vec<PathBuf>,
}

/// Something that could not be taken away.
#[derive(Debug)]
pub struct Refused {
    /// What it is, for the log.
    pub what: &'static str,
    /// Why.
    pub error: io::Error,
}

/// Keeps `rights`, the files of `places` (`None`: all), and the system calls that are
/// not on the list in `calls.rs`. To be called while there is one thread: threads that
/// begin later are as it is then. What the kernel refuses is returned, and all else is
/// done.
pub fn confine(rights: &[Capability], places: Option<&Places>) -> Vec<Refused> {
    let mut refused = Vec::new();
    let mut note = |what, outcome: io::Result<()>| {
        if let Err(error) = outcome {
            refused.push(Refused { what, error });
        }
    };
    note("no_new_privs", capabilities::never_gain());
    // Before the rights are given up: some places can be found by them only.
    if let Some(places) = places {
        note("Landlock", places::restrict(places));
    }
    note("capabilities", capabilities::keep_only(rights));
    // Last, as it would be in the way of what comes before.
    note("seccomp", calls::restrict());
    refused
}

#[cfg(test)]
mod tests;
