//! The system calls that the VRRP process never makes, and an intruder would.
//!
//! Decides which they are. A list of what is refused, not of what is allowed: the C
//! library, the kernel and the libraries change what they call, and a daemon must not
//! fall over one day because of that. What is refused returns EPERM, for the same
//! reason; nothing is killed. Source: seccomp(2).

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Other programs; other processes; mounts and namespaces; the kernel itself; clocks and
/// names of the machine; other users; and ways around these rules.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_personality,
];

/// Those that other architectures do not have, or have under another name.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// The bit of a system call of the x32 interface, which has the architecture of the
/// 64-bit one: every number on the list has a second one.
#[cfg(target_arch = "x86_64")]
const SECOND_NUMBERS: Option<libc::c_long> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const SECOND_NUMBERS: Option<libc::c_long> = None;

/// The numbers that only the x32 interface has (`execve` and `ptrace` among them).
const X32_ONLY: std::ops::RangeInclusive<libc::c_long> = 512..=547;

/// Everything that the daemon speaks to: the log, IPv4, IPv6, the kernel, frames.
const FAMILIES: [libc::c_int; 5] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
    libc::AF_PACKET,
];

/// From now on these calls are refused, for this thread and those that begin later.
///
/// # Errors
/// A kernel without seccomp filters, or a processor that there is no list for.
pub fn restrict() -> io::Result<()> {
    // clone3 hides its flags; whoever hears that there is no such call takes clone.
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    apply(unknown, libc::ENOSYS)?;
    apply(refused()?, libc::EPERM)
}

pub(super) type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// These calls are answered with an error from now on.
pub(super) fn apply(rules: Rules, errno: libc::c_int) -> io::Result<()> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture);
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

fn refused() -> io::Result<Rules> {
    let mut rules = Rules::new();
    for number in REFUSED.iter().chain(REFUSED_HERE) {
        rules.insert(*number, Vec::new());
        if let Some(bit) = SECOND_NUMBERS {
            rules.insert(number | bit, Vec::new());
        }
    }
    if let Some(bit) = SECOND_NUMBERS {
        rules.extend(X32_ONLY.map(|number| (number | bit, Vec::new())));
    }
    for (number, rule) in conditional()? {
        rules.entry(number).or_default().push(rule);
    }
    Ok(rules)
}

/// What is refused with some arguments only.
fn conditional() -> io::Result<Vec<(libc::c_long, SeccompRule)>> {
    let other_family = FAMILIES.map(|family| is_not(0, family.unsigned_abs()));
    let own = std::process::id();
    let another_process = || vec![is_not(0, own)];
    let rules = [
        // A process, and no thread.
        (
            libc::SYS_clone,
            vec![condition(
                0,
                SeccompCmpOp::MaskedEq(u64::from(libc::CLONE_THREAD.unsigned_abs())),
                0,
            )],
        ),
        (libc::SYS_socket, other_family.into()),
        (libc::SYS_kill, another_process()),
        (libc::SYS_tgkill, another_process()),
        (libc::SYS_rt_sigqueueinfo, another_process()),
        (libc::SYS_rt_tgsigqueueinfo, another_process()),
        (libc::SYS_prlimit64, vec![is_not(0, 0), is_not(0, own)]),
        // Input for the shell whose terminal we were started from.
        (
            libc::SYS_ioctl,
            vec![condition(1, SeccompCmpOp::Eq, TIOCSTI)],
        ),
    ];
    rules
        .into_iter()
        .map(|(number, conditions)| {
            let conditions: Result<Vec<_>, _> = conditions.into_iter().collect();
            let rule = conditions.and_then(SeccompRule::new);
            Ok((number, rule.map_err(io::Error::other)?))
        })
        .collect()
}

/// asm-generic/ioctls.h
const TIOCSTI: u32 = 0x5412;

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

fn is_not(argument: u8, value: u32) -> Condition {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn condition(argument: u8, how: SeccompCmpOp, value: u32) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, u64::from(value))
}
