//! How the worker stands with the scheduler and in memory: real time, niceness,
//! processors, memory that is not swapped out.
//!
//! Decides which threads get what. The urgent ones, the reactor and the netlink
//! thread, run under `SCHED_RR` where the configuration asks for it; the others write
//! files and mail and never do. The class is not inherited (`SCHED_RESET_ON_FORK`);
//! scripts are children of the supervisor, which has nothing of this. What cannot be
//! had is told in the log and done without: a daemon that runs late is better than
//! none.
//!
//! `RLIMIT_RTTIME` is set only where `vrrp_rlimit_rttime` stands in the configuration:
//! its default in C keepalived, 10 ms, kills a process that becomes MASTER on a slow
//! machine. That a worker runs away is found out by the supervisor
//! (`daemon/supervisor/pulse.rs`).
//!
//! Source: specification B.2, B.3; sched(7).

use std::fs;
use std::io;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{Pid, gettid};

use crate::config::model::{Process, Processes};
use crate::time::Interval;

/// The lateness that raises the priority, unless `min_auto_priority_delay` says more
/// or less (specification B.2).
const LATENESS_DEFAULT: Interval = Interval::from_secs(1);

/// The bit of `CAP_IPC_LOCK` in a set of capabilities (linux/capability.h).
const CAP_IPC_LOCK: u32 = 14;

/// A thread of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread(Pid);

impl Thread {
    /// The one that calls.
    pub fn current() -> Self {
        Self(gettid())
    }
}

/// The threads of the worker, and what was done to them.
#[derive(Debug)]
pub struct Realtime {
    urgent: Vec<Thread>,
    /// What was applied last.
    process: Process,
    /// Up to where the priority is raised by itself; 0: never.
    greatest: u8,
    lateness: Interval,
    /// What `late` has made of the priority.
    raised: u8,
}

impl Realtime {
    /// Nothing is done yet. `urgent` are the threads that adverts wait for.
    pub fn new(urgent: Vec<Thread>) -> Self {
        Self {
            urgent,
            process: Process::default(),
            greatest: 0,
            lateness: LATENESS_DEFAULT,
            raised: 0,
        }
    }

    /// Does what the configuration asks for, at the start and after a reload. Threads
    /// that begin later inherit processors and niceness.
    pub fn follow(&mut self, processes: &Processes) {
        let wanted = &processes.vrrp;
        if wanted.nice != self.process.nice {
            told(
                "process priority",
                each_thread(|it| set_nice(it, wanted.nice)),
            );
        }
        if wanted.processors != self.process.processors {
            told("CPU affinity", set_processors(&wanted.processors));
        }
        if wanted.no_swap != self.process.no_swap {
            told("memory lock", lock_memory(wanted.no_swap));
        }
        if wanted.realtime_limit != self.process.realtime_limit {
            told("real-time limit", limit_realtime(wanted.realtime_limit));
        }
        let is_raised = self.raised > self.process.realtime_priority.unwrap_or(0);
        if wanted.realtime_priority != self.process.realtime_priority || is_raised {
            self.raised = 0;
            self.set_class(wanted.realtime_priority);
        }
        self.process = wanted.clone();
        self.greatest = u8::try_from(processes.max_auto_priority).unwrap_or(0);
        let lateness = processes.min_auto_priority_delay;
        self.lateness = lateness.unwrap_or(LATENESS_DEFAULT);
    }

    /// Something was due `lateness` ago. By more than the configuration allows, the
    /// priority is raised: first to the lowest of real time, then by one each time
    /// (`max_auto_priority`).
    pub fn late(&mut self, lateness: Interval) {
        if self.greatest == 0 || lateness < self.lateness {
            return;
        }
        let present = self.process.realtime_priority.unwrap_or(0).max(self.raised);
        if present < self.greatest {
            self.raised = present.saturating_add(1);
            tracing::info!(
                "A timer was {} ms late: real-time priority is now {}",
                lateness.as_us() / 1000,
                self.raised
            );
            self.set_class(Some(self.raised));
        }
    }

    fn set_class(&self, priority: Option<u8>) {
        let mut outcome = Ok(());
        for &thread in &self.urgent {
            outcome = outcome.and(set_class(thread, priority));
        }
        told("real-time priority", outcome);
    }
}

fn told(what: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!("Unable to set {what}: {error}");
    }
}

/// Every thread of this process; the first error.
fn each_thread(act: impl Fn(Pid) -> io::Result<()>) -> io::Result<()> {
    let mut outcome = Ok(());
    for entry in fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        outcome = outcome.and(match act(Pid::from_raw(thread)) {
            // It ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other,
        });
    }
    outcome
}

fn set_nice(thread: Pid, nice: i8) -> io::Result<()> {
    let number = thread.as_raw().unsigned_abs();
    // SAFETY: a system call on numbers.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS as _, number, i32::from(nice)) };
    done(i64::from(result))
}

/// `SCHED_RR` of this priority, or the normal class.
fn set_class(thread: Thread, priority: Option<u8>) -> io::Result<()> {
    let (policy, priority) = match priority {
        Some(priority) => (libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, priority),
        None => (libc::SCHED_OTHER, 0),
    };
    // Not through the C library: that of a static build has no such call.
    let parameters = [i32::from(priority)];
    // SAFETY: `struct sched_param` is one number, which the kernel reads.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            thread.0.as_raw(),
            policy,
            parameters.as_ptr(),
        )
    };
    done(result)
}

/// These processors, or all that there are.
fn set_processors(processors: &[u32]) -> io::Result<()> {
    let mut set = CpuSet::new();
    let all = 0..CpuSet::count();
    let listed = processors.iter().filter_map(|it| usize::try_from(*it).ok());
    let chosen: Vec<usize> = match processors {
        [] => all.collect(),
        _ => listed.collect(),
    };
    for processor in chosen {
        set.set(processor)?;
    }
    each_thread(|thread| Ok(sched_setaffinity(thread, &set)?))
}

/// Keeps all memory of this process in memory, or no longer. Without the capability
/// memory to come is left out where it is limited: an allocation would fail then.
fn lock_memory(on: bool) -> io::Result<()> {
    if !on {
        return Ok(munlockall()?);
    }
    let mut flags = MlockAllFlags::MCL_CURRENT;
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if may_lock_memory() || limit == libc::RLIM_INFINITY {
        flags |= MlockAllFlags::MCL_FUTURE;
    }
    Ok(mlockall(flags)?)
}

fn may_lock_memory() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set >> CAP_IPC_LOCK & 1 == 1)
}

/// How long a real-time thread may run without waiting for anything; `None`: as long
/// as it likes. Half of it is the soft limit, as in C keepalived; its signal is
/// ignored, so that only the hard one ends the process.
fn limit_realtime(limit: Option<Interval>) -> io::Result<()> {
    let limit = match limit {
        Some(limit) => {
            // SAFETY: ignoring a signal installs no code.
            unsafe { libc::signal(libc::SIGXCPU, libc::SIG_IGN) };
            let hard = libc::rlim_t::from(limit.as_us());
            libc::rlimit {
                rlim_cur: hard / 2,
                rlim_max: hard,
            }
        }
        None => libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        },
    };
    // SAFETY: the kernel reads the two numbers.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_RTTIME as _, &limit) };
    done(i64::from(result))
}

fn done(result: i64) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
