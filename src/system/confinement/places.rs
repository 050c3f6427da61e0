//! Which files this process can still open, by Landlock.
//!
//! Decides what reading and writing are; which places there are is decided elsewhere.
//! What is open already stays open. What Landlock does not know about stays possible:
//! to look whether a file is there, to watch a directory, to connect to a socket with a
//! name. Source: landlock(7).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::Places;

/// The youngest rules that are meant here. Older kernels know a part of them.
const KNOWN: ABI = ABI::V6;

/// `LANDLOCK_CREATE_RULESET_VERSION`
const ASK_VERSION: u32 = 1;

/// The settings of the network. The kernel makes a new node of the same name when it is
/// short of memory, which no rule would know, unless somebody has it open.
const NETWORK_SETTINGS: &str = "/proc/sys/net";

/// Whether the kernel has Landlock and uses it.
pub fn is_available() -> bool {
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: asked for its version the kernel reads nothing.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, ASK_VERSION) };
    version > 0
}

/// From now on only these files can be opened, by this thread and those that begin
/// later. Signals reach nobody else either, where the kernel is able to do that.
///
/// # Errors
/// A kernel without Landlock, or one where it is switched off.
pub fn restrict(places: &Places) -> io::Result<()> {
    let reading = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let writing = reading
        | make_bitflags!(AccessFs::{
            WriteFile | Truncate | MakeReg | MakeSock | RemoveFile
        });
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    for place in &places.readable {
        rules = allow(rules, place, reading)?;
    }
    for place in &places.writable {
        rules = allow(rules, place, writing)?;
    }
    if let Some(kept) = place_at(Path::new(NETWORK_SETTINGS)) {
        let access = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});
        rules = add(rules, kept.as_fd(), access)?;
        // Open for as long as this process lives.
        let _ = kept.into_raw_fd();
    }
    let status = rules.restrict_self().map_err(io::Error::other)?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// A place that is not there cannot be allowed.
fn allow(
    rules: RulesetCreated,
    place: &Path,
    access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    match place_at(place) {
        Some(found) => add(rules, found.as_fd(), access),
        None => Ok(rules),
    }
}

/// Not by what the library has for it, which opens devices where the C library is musl.
fn place_at(path: &Path) -> Option<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

fn add(
    rules: RulesetCreated,
    place: BorrowedFd<'_>,
    access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    rules
        .add_rule(PathBeneath::new(place, access))
        .map_err(io::Error::other)
}
