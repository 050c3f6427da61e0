//! The namespaces of one node: network, mounts, processes and host name.
//!
//! A process that does nothing, the anchor, is their init. Killing it kills
//! every process of the node, and it dies with the thread that made it, so that
//! nothing survives a test, however the test ends.

use super::failure::{Context, Failure, Result, last_os_error};
use super::isolation::{make_mounts_private, write_file};
use nix::sched::{CloneFlags, setns, unshare};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

/// The namespaces of a node, alive as long as this value.
#[derive(Debug)]
pub struct Namespaces {
    anchor: libc::pid_t,
    network: File,
    mounts: File,
    processes: File,
}

impl Namespaces {
    /// Makes namespaces with a /run of their own and no interface but `lo`.
    /// The calling thread must outlive them.
    pub fn new(host_name: &str) -> Result<Self> {
        let (reader, writer) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).context("making a pipe")?;
        let flags = libc::CLONE_NEWNET
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::SIGCHLD;
        let nothing: libc::c_long = 0;
        // SAFETY: without CLONE_VM the child has its own copy of the memory, and
        // `be_anchor` makes system calls only and never returns.
        let anchor =
            unsafe { libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing) };
        match anchor {
            -1 => return Err(last_os_error("creating the namespaces of a node")),
            0 => be_anchor(writer.as_raw_fd(), host_name.as_bytes()),
            _ => drop(writer),
        }
        let anchor = libc::pid_t::try_from(anchor).context("process id of the anchor")?;
        let mut report = [0; 1];
        let length = File::from(reader)
            .read(&mut report)
            .context("reading from the anchor")?;
        if (length, report) != (1, [READY]) {
            end_anchor(anchor);
            return Err(Failure::new(
                "the private mounts of a node could not be made",
            ));
        }
        let open = |kind: &str| {
            let path = format!("/proc/{anchor}/ns/{kind}");
            File::open(&path).context(path)
        };
        Ok(Self {
            anchor,
            network: open("net")?,
            mounts: open("mnt")?,
            processes: open("pid")?,
        })
    }

    /// The descriptor by which a link is moved into the network namespace.
    pub fn network(&self) -> RawFd {
        self.network.as_raw_fd()
    }

    /// Identity of the process namespace, as the link text of `/proc/*/ns/pid`.
    pub fn process_namespace(&self) -> Result<String> {
        let path = format!("/proc/{}/ns/pid", self.anchor);
        let link = std::fs::read_link(&path).context(path)?;
        Ok(link.display().to_string())
    }

    /// Runs `work` on a thread inside the network and mount namespaces; a
    /// process that it starts is also in the process namespace. It must not
    /// start threads.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_FS).context("leaving the shared directory")?;
                setns(&self.network, CloneFlags::CLONE_NEWNET).context("entering the network")?;
                setns(&self.mounts, CloneFlags::CLONE_NEWNS).context("entering the mounts")?;
                setns(&self.processes, CloneFlags::CLONE_NEWPID)
                    .context("entering the processes")?;
                work()
            });
            worker
                .join()
                .unwrap_or_else(|_| Err(Failure::new("work inside a node panicked")))
        })
    }

    /// Kills every process of the node. Returns at once: the kernel keeps the
    /// anchor until the processes that we started inside are reaped.
    pub fn kill(&self) {
        // SAFETY: a system call without pointers, on our own unreaped child.
        unsafe { libc::kill(self.anchor, libc::SIGKILL) };
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        end_anchor(self.anchor);
    }
}

/// What the anchor writes when its mounts are made.
const READY: u8 = 1;

fn end_anchor(anchor: libc::pid_t) {
    // SAFETY: system calls on our own child, which is not reaped before; a null
    // status pointer is allowed.
    unsafe {
        libc::kill(anchor, libc::SIGKILL);
        libc::waitpid(anchor, std::ptr::null_mut(), 0);
    }
}

/// The life of the anchor, in a copy of a process that had other threads:
/// nothing here may allocate or take a lock.
fn be_anchor(report: RawFd, host_name: &[u8]) -> ! {
    // SAFETY: plain system calls; all strings are constants or live through the
    // call, and `report` was inherited from the parent.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Orphans of the node's processes are reaped by the kernel.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::sethostname(host_name.as_ptr().cast(), host_name.len());
        let mounted = make_mounts_private().is_ok() && mount(c"tmpfs", c"/run");
        // A container may forbid a new /proc. Then `killall` in a script sees
        // other nodes too, but the rest works.
        let _ = mount(c"proc", c"/proc");
        // No IPv6 noise on a segment that carries IPv4 only.
        let _ = write_file(c"/proc/sys/net/ipv6/conf/default/disable_ipv6", b"1");
        if mounted {
            libc::write(report, [READY].as_ptr().cast(), 1);
        }
        // Descriptors inherited here would keep the pipes of other tests open.
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        loop {
            libc::pause();
        }
    }
}

fn mount(kind: &CStr, on: &CStr) -> bool {
    // SAFETY: both strings are NUL-terminated and no data is passed.
    let result = unsafe {
        libc::mount(
            kind.as_ptr(),
            on.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    result == 0
}

/// Puts one file in the place of another, in the mount namespace of the calling
/// thread.
pub fn bind(from: &str, to: &str) -> Result<()> {
    let [source, target] = [from, to].map(CString::new);
    let (source, target) = (source.context(from)?, target.context(to)?);
    // SAFETY: both strings are NUL-terminated and no data is passed.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            std::ptr::null(),
            libc::MS_BIND,
            std::ptr::null(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_os_error("binding a file"))
    }
}

/// Takes over a descriptor that a system call has just made.
///
/// # Safety
/// `descriptor` must be open and owned by nobody else.
pub unsafe fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: promised by the caller.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
