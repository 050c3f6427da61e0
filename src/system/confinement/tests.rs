//! What an intruder would try, in a thread that is confined as the worker is. A thread,
//! because all of this is a matter of threads, and a test program has many.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::*;

/// What `body` makes of a thread of its own.
fn in_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(body).join().expect("the thread ended")
}

/// The error number of a system call with these arguments; 0 if it succeeded.
fn attempt(number: libc::c_long, arguments: [libc::c_long; 4]) -> i32 {
    let [a, b, c, d] = arguments;
    // SAFETY: no call here has an argument that the kernel would write to.
    let outcome = unsafe { libc::syscall(number, a, b, c, d, 0, 0) };
    match outcome {
        0.. => 0,
        _ => io::Error::last_os_error().raw_os_error().unwrap_or(0),
    }
}

/// An address for a call.
fn address<T>(of: &T) -> libc::c_long {
    std::ptr::from_ref(of)
        .addr()
        .try_into()
        .expect("an address")
}

fn assert_refused(tried: &[(&str, i32)]) {
    let done: Vec<_> = tried.iter().filter(|it| it.1 != libc::EPERM).collect();
    assert!(done.is_empty(), "not refused: {done:?}");
}

/// Each of them fails without a filter as well, but in another way: one that succeeded
/// would put another program into the place of this one.
fn programs_and_processes() -> Vec<(&'static str, i32)> {
    let path = *b"/does/not/exist\0";
    let nothing: [usize; 1] = [0];
    let execve = [address(&path), address(&nothing), address(&nothing), 0];
    let execveat = [-1, address(&path), address(&nothing), address(&nothing)];
    // A process; the kernel takes these flags with others only.
    let shares_nothing = (libc::CLONE_SIGHAND | libc::SIGCHLD).into();
    let parent = nix::unistd::getppid().as_raw().into();
    let own = std::process::id().into();
    vec![
        ("execve", attempt(libc::SYS_execve, execve)),
        ("execveat", attempt(libc::SYS_execveat, execveat)),
        ("fork", attempt(libc::SYS_clone, [shares_nothing, 0, 0, 0])),
        ("ptrace", attempt(libc::SYS_ptrace, [9_999, parent, 0, 0])),
        (
            "process_vm_readv",
            attempt(libc::SYS_process_vm_readv, [own, 0, 0, 0]),
        ),
        (
            "process_vm_writev",
            attempt(libc::SYS_process_vm_writev, [own, 0, 0, 0]),
        ),
        ("pidfd_getfd", attempt(libc::SYS_pidfd_getfd, [-1, 0, 0, 0])),
        (
            "kill of the parent",
            attempt(libc::SYS_kill, [parent, 0, 0, 0]),
        ),
        (
            "limits of the parent",
            attempt(libc::SYS_prlimit64, [parent, 0, 0, 0]),
        ),
    ]
}

fn the_machine() -> Vec<(&'static str, i32)> {
    let uid = nix::unistd::getuid().as_raw().into();
    let (alg, inet) = (libc::AF_ALG.into(), libc::AF_INET);
    let vsock = libc::AF_VSOCK.into();
    assert_eq!(
        attempt(
            libc::SYS_socket,
            [inet.into(), libc::SOCK_DGRAM.into(), 0, 0]
        ),
        0
    );
    vec![
        ("mount", attempt(libc::SYS_mount, [0; 4])),
        ("umount2", attempt(libc::SYS_umount2, [0; 4])),
        ("move_mount", attempt(libc::SYS_move_mount, [-1, 0, -1, 0])),
        ("unshare", attempt(libc::SYS_unshare, [0; 4])),
        ("setns", attempt(libc::SYS_setns, [-1, 0, 0, 0])),
        ("bpf", attempt(libc::SYS_bpf, [-1, 0, 0, 0])),
        (
            "perf_event_open",
            attempt(libc::SYS_perf_event_open, [0, 0, -1, -1]),
        ),
        ("init_module", attempt(libc::SYS_init_module, [0; 4])),
        (
            "finit_module",
            attempt(libc::SYS_finit_module, [-1, 0, 0, 0]),
        ),
        ("kexec_load", attempt(libc::SYS_kexec_load, [0, 17, 0, 0])),
        ("io_uring_setup", attempt(libc::SYS_io_uring_setup, [0; 4])),
        (
            "open_by_handle_at",
            attempt(libc::SYS_open_by_handle_at, [-1, 0, 0, 0]),
        ),
        ("setuid", attempt(libc::SYS_setuid, [uid, 0, 0, 0])),
        (
            "socket of another family",
            attempt(libc::SYS_socket, [alg, 5, 0, 0]),
        ),
        (
            "socket to the host",
            attempt(libc::SYS_socket, [vsock, 1, 0, 0]),
        ),
        (
            "input for a terminal",
            attempt(libc::SYS_ioctl, [-1, TIOCSTI, 0, 0]),
        ),
    ]
}

const TIOCSTI: libc::c_long = 0x5412;

#[test]
fn what_only_an_intruder_would_call_is_refused() {
    in_thread(|| {
        let refused = confine(&[], None);
        assert!(refused.is_empty(), "{refused:?}");
        assert_refused(&programs_and_processes());
        assert_refused(&the_machine());
        let clone3 = attempt(libc::SYS_clone3, [0; 4]);
        assert_eq!(clone3, libc::ENOSYS, "so that clone is taken instead");
        // Threads still begin, and are no better off.
        assert_refused(&in_thread(programs_and_processes));
    });
}

#[test]
fn without_confinement_most_of_it_fails_in_another_way_or_not_at_all() {
    let outcomes = in_thread(|| {
        [
            attempt(libc::SYS_unshare, [0; 4]),
            attempt(libc::SYS_setns, [-1, 0, 0, 0]),
            attempt(libc::SYS_ioctl, [-1, TIOCSTI, 0, 0]),
        ]
    });
    assert_eq!(outcomes, [0, libc::EBADF, libc::EBADF]);
}

/// The lines of `/proc/thread-self/status` that begin with these names.
fn status(names: [&str; 6]) -> [u64; 6] {
    let text = fs::read_to_string("/proc/thread-self/status").expect("status");
    names.map(|name| {
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        u64::from_str_radix(line.expect(name).trim(), 16).expect("a mask")
    })
}

#[test]
fn the_rights_that_are_kept_are_all_there_are() {
    let names = [
        "CapPrm",
        "CapEff",
        "CapInh",
        "CapAmb",
        "CapBnd",
        "NoNewPrivs",
    ];
    let [before, after] = in_thread(move || {
        let before = status(names);
        let refused = confine(&[Capability::NetRaw, Capability::NetAdmin], None);
        assert!(refused.is_empty(), "{refused:?}");
        [before, status(names)]
    });
    let mask = 0x3000;
    let [permitted, .., bounding, _] = before;
    // Who may not change the bounding set has it as it was.
    let bounding = match permitted >> 8 & 1 {
        1 => bounding & mask,
        _ => bounding,
    };
    let kept = permitted & mask;
    assert_eq!(after, [kept, kept, 0, 0, bounding, 1]);
}

#[test]
fn what_the_kernel_does_not_have_is_told_and_the_rest_is_done() {
    let (refused, kept) = in_thread(|| {
        capabilities::never_gain().expect("asked for by the filter");
        let absent = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
        let rules: calls::Rules = absent.map(|number| (number, Vec::new())).into();
        calls::apply(rules, libc::ENOSYS).expect("a kernel without them");
        assert!(!can_restrict_files());
        let refused = confine(&[Capability::NetRaw], Some(&Places::default()));
        let refused: Vec<_> = refused.iter().map(|it| it.what).collect();
        (refused, status(["CapPrm"; 6])[0])
    });
    assert_eq!(refused, ["Landlock", "seccomp"]);
    assert_eq!(kept & !(1 << 13), 0);
}

/// The error number of opening a file.
fn opened(path: &Path, writing: bool) -> i32 {
    let opened = File::options().read(true).write(writing).open(path);
    opened.err().and_then(|it| it.raw_os_error()).unwrap_or(0)
}

#[test]
fn only_files_in_the_places_open() {
    if !can_restrict_files() {
        return;
    }
    let directories = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let [readable, writable, other] = directories.each_ref().map(|it| it.path().to_owned());
    for directory in [&readable, &writable, &other] {
        fs::write(directory.join("file"), "text").expect("written");
    }
    in_thread(move || {
        let mut open_before = File::open(other.join("file")).expect("open");
        let places = Places {
            readable: vec![readable.clone(), "/does/not/exist".into()],
            writable: vec![writable.clone(), "/dev/null".into()],
        };
        let refused = confine(&[Capability::DacReadSearch], Some(&places));
        assert!(refused.is_empty(), "{refused:?}");
        let outcomes = [
            opened(&readable.join("file"), false),
            opened(&readable.join("file"), true),
            opened(&writable.join("file"), true),
            opened(&other.join("file"), false),
            opened(Path::new("/etc/shadow"), false),
            opened(Path::new("/dev/null"), true),
            opened(Path::new("/proc/sys/net/ipv4/ip_forward"), false),
            opened(Path::new("/proc/sys/kernel/core_pattern"), true),
        ];
        let denied = libc::EACCES;
        assert_eq!(outcomes, [0, denied, 0, denied, denied, 0, 0, denied]);
        // As state files are written.
        fs::write(writable.join(".new"), "new").expect("made");
        fs::rename(writable.join(".new"), writable.join("file")).expect("renamed");
        fs::remove_file(writable.join("file")).expect("removed");
        let made = fs::write(readable.join("new"), "").map_err(|it| it.kind());
        assert_eq!(made, Err(io::ErrorKind::PermissionDenied));
        let mut text = String::new();
        open_before.read_to_string(&mut text).expect("read");
        assert_eq!(text, "text");
    });
}
