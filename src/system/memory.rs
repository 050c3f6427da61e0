//! Memory that is used no more goes back to the machine.
//!
//! The allocator keeps what is freed for later: after a configuration has been read, or
//! thousands of instances have taken over at once, a daemon would keep several times as
//! much as it uses. Decides nothing: who calls knows that much has been freed. Of the C
//! library of GNU only; others keep less.

/// What is at least so large goes back as soon as it is freed, always. Otherwise the
/// allocator would raise the limit with each large piece that is freed (mallopt(3)).
#[cfg(target_env = "gnu")]
const LARGE_BYTES: libc::c_int = 128 << 10;

/// Once in the life of a process, before much is in memory. Children inherit it.
pub fn give_back_what_is_large() {
    #[cfg(target_env = "gnu")]
    for limit in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: it takes two numbers, and no reference to anything.
        unsafe { libc::mallopt(limit, LARGE_BYTES) };
    }
}

/// Gives back every page that nothing is in. Takes about a millisecond for each ten
/// megabytes.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, and touches only what is not in use.
    unsafe {
        libc::malloc_trim(0)
    };
}
