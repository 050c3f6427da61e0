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
pub fn give_back_what_was_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, and touches only what is not in use.
    unsafe {
        libc::malloc_trim(0);
    };
}

/// Gives back every page that nothing is in, and the pages of the program and its
/// libraries, which stand in files: most of them were needed to begin, since reading a
/// configuration is most of the program, and what is needed again comes back from the
/// machine's cache within microseconds. Where pages are locked (mlockall(2)) they stay.
/// Takes about a millisecond for each ten megabytes.
pub fn give_back() {
    give_back_what_was_freed();
    #[cfg(target_env = "gnu")]
    // SAFETY: the callback has the type that it asks for, and needs no data.
    unsafe {
        libc::dl_iterate_phdr(Some(give_back_object), std::ptr::null_mut());
    };
}

/// Gives back the read-only parts of one loaded object.
#[cfg(target_env = "gnu")]
extern "C" fn give_back_object(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader hands over an object that is loaded, with its table of segments,
    // both of which live as long as the call.
    let (base, segments) = unsafe {
        let info = &*info;
        let count = usize::from(info.dlpi_phnum);
        if count == 0 || info.dlpi_phdr.is_null() {
            return 0;
        }
        let segments = std::slice::from_raw_parts(info.dlpi_phdr, count);
        (info.dlpi_addr, segments)
    };
    // SAFETY: it takes a number.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(within_page) = usize::try_from(page_bytes)
        .ok()
        .and_then(|it| it.checked_sub(1))
    else {
        return 0;
    };
    for segment in segments {
        if segment.p_type != libc::PT_LOAD || segment.p_flags & libc::PF_W != 0 {
            continue;
        }
        let (Ok(at), Ok(length)) = (
            usize::try_from(base.wrapping_add(segment.p_vaddr)),
            usize::try_from(segment.p_memsz),
        ) else {
            continue;
        };
        let before = at & within_page;
        let start = std::ptr::with_exposed_provenance_mut(at - before);
        let length = length.saturating_add(before);
        // SAFETY: the segment is mapped from a file and can only be read, so whatever is
        // dropped is read again as it was. That also holds for this very code.
        unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
    }
    0
}
