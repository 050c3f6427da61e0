//! What supervisor and worker say to each other.
//!
//! Decides the messages and how they travel: one JSON text per datagram of a
//! `SOCK_SEQPACKET` pair, at most one descriptor with it. Does not decide what
//! either side does about a message.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno as NixErrno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, setsockopt, socketpair, sockopt,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bus::{Member, Standing};
use super::state_files::StateFile;
use super::status::About;
pub use crate::config::model::Command as ScriptCommand;
use crate::ids::{Errno, ScriptId};
use crate::system::fifo::Which;
pub use crate::system::scripts::{News, Notice, Owner};
pub use crate::vrrp::event::Outcome as ScriptOutcome;
use crate::vrrp::orders::{InForce, Order};

/// The longest message in bytes.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// How many messages may wait for a peer that does not read.
pub const QUEUE_MAX: usize = 16 * 1024;

/// What the kernel is asked to hold for a peer that reads late, in bytes.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// A run asked for by `RunScript` is over. There is exactly one of this or
    /// `ScriptRefused` for each `RunScript` that was not skipped because the
    /// script was still running.
    ScriptEnded {
        /// Which script.
        id: ScriptId,
        /// How it ended.
        outcome: ScriptOutcome,
    },
    /// A run asked for by `RunScript` could not begin.
    ScriptRefused {
        /// Which script.
        id: ScriptId,
        /// The error number that stands for the reason.
        errno: Errno,
        /// The reason.
        reason: String,
    },
    /// Change over to the configuration in the memfd that comes along; answer
    /// `Reloaded` or `ReloadFailed`.
    Reload,
    /// Read the configuration in the memfd that comes along, beside the other work: it is
    /// being judged, and most likely `ReloadAsRead` follows.
    ReadAhead,
    /// Change over to what was read ahead; answer `Reloaded` or `ReloadFailed`. A memfd
    /// that comes along has what stands in files of secrets.
    ReloadAsRead,
    /// What was read ahead is not gone over to.
    ForgetAhead,
    /// The lines of this notify FIFO go into the descriptor that comes along; with
    /// none, nowhere.
    Fifo {
        /// Which one.
        which: Which,
        /// Where it is, for the log.
        path: String,
    },
    /// So many notices about this owner were overtaken by later ones before their
    /// scripts began.
    NoticesSkipped {
        /// The instance or group.
        owner: Owner,
        /// How many, since this was said last.
        count: u64,
    },
    /// Programs that run here and may take addresses away, by name.
    Culprits(Vec<String>),
    /// Write a file that shows the state; with a descriptor, one for a `bus::Receipt`.
    Show(StateFile),
    /// Somebody asks over D-Bus that the instance of this name announces its addresses.
    /// Comes with a `bus::Receipt`.
    Announce(String),
    /// The D-Bus service is new: it has to learn where all instances stand.
    TellStandings,
    /// What the status socket shows of the supervisor has changed.
    About(About),
    /// An administrator orders something; answer `Ordered`.
    Order {
        /// What the answer names it by.
        number: u64,
        /// What.
        order: Order,
    },
    /// Leave every mastership, take everything off, say `Stopped`, exit with 0.
    Stop,
}

/// From the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// Every instance has begun.
    Ready,
    /// The new configuration runs.
    Reloaded,
    /// The old configuration still runs, for this reason.
    ReloadFailed(String),
    /// Run a check script.
    RunScript {
        /// Which one.
        id: ScriptId,
        /// What to run.
        command: ScriptCommand,
    },
    /// End its run; `ScriptEnded` follows as for any other run.
    EndScript {
        /// Which one.
        id: ScriptId,
    },
    /// Run notify scripts, when it is their turn (specification E.6).
    RunNotify(Notice),
    /// Find out which programs run here that may take addresses away; answer
    /// `Culprits`.
    FindCulprits,
    /// Secondary addresses are promoted on the interface with this number from now on,
    /// and were not before; to be put back if this process cannot.
    Promotes(u32),
    /// Where the instances stand, for people; said when it has changed.
    States(String),
    /// Where an instance stands now, for D-Bus; said in the order of the changes.
    Stands(Member, Standing),
    /// What has become of an order. What is in force because of it was said before.
    Ordered {
        /// The number that it came with.
        number: u64,
        /// What was done, a line for each instance; or the code of a refusal, and why.
        outcome: Result<Vec<String>, (String, String)>,
    },
    /// The orders that are in force for an instance, for a worker that may replace
    /// this one; none in force: forget it.
    InForce {
        /// Its name.
        instance: String,
        /// What is in force.
        orders: InForce,
    },
    /// Everything is taken off; the worker exits next.
    Stopped,
}

/// Why a message did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelError {
    /// The other side is gone.
    Closed,
    /// Longer than [`MESSAGE_MAX`] bytes.
    TooLong,
    /// Not a message that this side knows.
    Garbled,
    /// The other side has not read for so long that [`QUEUE_MAX`] messages wait.
    Full,
    /// The kernel refused.
    System(Errno),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the other process is gone"),
            Self::TooLong => write!(f, "message longer than {MESSAGE_MAX} bytes"),
            Self::Garbled => f.write_str("message not understood"),
            Self::Full => write!(f, "{QUEUE_MAX} messages are waiting already"),
            Self::System(errno) => errno.fmt(f),
        }
    }
}

impl std::error::Error for ChannelError {}

/// The supervisor's end.
pub type SupervisorEnd = Channel<ToWorker, ToSupervisor>;

/// The worker's end.
pub type WorkerEnd = Channel<ToSupervisor, ToWorker>;

/// One end: sends `Out`, receives `In`. Never blocks.
#[derive(Debug)]
pub struct Channel<Out, In> {
    fd: OwnedFd,
    waiting: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    directions: PhantomData<fn(Out) -> In>,
}

/// Two connected descriptors, close-on-exec and non-blocking, to be wrapped by
/// [`Channel::new`] on either side of a fork.
///
/// # Errors
/// Whatever the kernel says; in practice only too many open files.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    )?;
    for end in [&one, &other] {
        // The force needs a capability; without it the system's limit has to do,
        // and the rest waits in our own queue.
        if setsockopt(end, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            let _ = setsockopt(end, sockopt::SndBuf, &SEND_BUFFER);
        }
    }
    Ok((one, other))
}

impl<Out: Serialize, In: DeserializeOwned> Channel<Out, In> {
    /// Speaks over one end of a [`pair`].
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            waiting: VecDeque::new(),
            directions: PhantomData,
        }
    }

    /// Sends a message, with a descriptor if one is given (it is duplicated).
    /// If the kernel cannot take it now it waits here for [`Channel::flush`],
    /// and the order is kept.
    ///
    /// # Errors
    /// `TooLong`, `Full`, `Closed`, or `System`; the message is then dropped.
    pub fn send(
        &mut self,
        message: &Out,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ChannelError> {
        let text = serde_json::to_vec(message).map_err(|_| ChannelError::Garbled)?;
        if text.len() > MESSAGE_MAX {
            return Err(ChannelError::TooLong);
        }
        self.flush()?;
        if self.waiting.is_empty() && self.transmit(&text, descriptor)? {
            return Ok(());
        }
        if self.waiting.len() >= QUEUE_MAX {
            return Err(ChannelError::Full);
        }
        let kept = match descriptor {
            Some(fd) => Some(fd.try_clone_to_owned().map_err(|error| {
                ChannelError::System(Errno(error.raw_os_error().unwrap_or(libc::EMFILE)))
            })?),
            None => None,
        };
        self.waiting.push_back((text, kept));
        Ok(())
    }

    /// Whether messages wait: then poll for writing too, and call [`Channel::flush`].
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends what waits, as far as the kernel takes it.
    ///
    /// # Errors
    /// `Closed` or `System`.
    pub fn flush(&mut self) -> Result<(), ChannelError> {
        while let Some((text, descriptor)) = self.waiting.pop_front() {
            if !self.transmit(&text, descriptor.as_ref().map(AsFd::as_fd))? {
                self.waiting.push_front((text, descriptor));
                break;
            }
        }
        Ok(())
    }

    /// The next message with its descriptor; `None` if there is none at this moment.
    ///
    /// # Errors
    /// `Closed` once the other side is gone and everything was read; `TooLong`
    /// or `Garbled` for a datagram that was dropped: reading can go on.
    pub fn receive(&mut self) -> Result<Option<(In, Option<OwnedFd>)>, ChannelError> {
        // One more, so that an overlong datagram is told from a full one.
        let mut buffer = vec![0; MESSAGE_MAX + 1];
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let received = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
            match recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut space), flags) {
                Err(NixErrno::EINTR) => {}
                Err(NixErrno::EAGAIN) => return Ok(None),
                Err(NixErrno::ECONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(ChannelError::System(Errno(errno as i32))),
                Ok(received) => break received,
            }
        };
        let mut descriptor = None;
        for message in received.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                for number in numbers {
                    // SAFETY: the kernel has just put this descriptor into our
                    // table; nobody else knows of it. Any but the first close here.
                    let owned = unsafe { OwnedFd::from_raw_fd(number) };
                    descriptor.get_or_insert(owned);
                }
            }
        }
        let length = received.bytes;
        let truncated = received.flags.contains(MsgFlags::MSG_TRUNC);
        if truncated || length > MESSAGE_MAX {
            return Err(ChannelError::TooLong);
        }
        if length == 0 {
            return Err(ChannelError::Closed);
        }
        let text = buffer.get(..length).unwrap_or_default();
        let message = serde_json::from_slice(text).map_err(|_| ChannelError::Garbled)?;
        Ok(Some((message, descriptor)))
    }

    /// Whether the kernel took it.
    fn transmit(
        &self,
        text: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<bool, ChannelError> {
        let numbers = descriptor.map(|fd| [fd.as_raw_fd()]);
        let rights = numbers.as_ref().map(|n| ControlMessage::ScmRights(n));
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            let parts = [IoSlice::new(text)];
            return match sendmsg::<()>(self.fd.as_raw_fd(), &parts, rights.as_slice(), flags, None)
            {
                Ok(_) => Ok(true),
                Err(NixErrno::EINTR) => continue,
                Err(NixErrno::EAGAIN) => Ok(false),
                Err(NixErrno::EPIPE | NixErrno::ECONNRESET) => Err(ChannelError::Closed),
                Err(errno) => Err(ChannelError::System(Errno(errno as i32))),
            };
        }
    }
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<Out, In> AsRawFd for Channel<Out, In> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;
    use crate::config::model::ScriptUser;
    use crate::time::Instant;

    fn ends() -> (SupervisorEnd, WorkerEnd) {
        let (one, other) = pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    fn command(word: &str) -> ScriptCommand {
        ScriptCommand {
            argv: vec!["/bin/true".to_owned(), word.to_owned()],
            user: Some(ScriptUser {
                user: "nobody".to_owned(),
                group: None,
                supplementary_groups: true,
            }),
        }
    }

    #[test]
    fn messages_arrive_as_they_were_sent_and_in_order() {
        let (mut supervisor, mut worker) = ends();
        let id = ScriptId(7);
        let up = [
            ToSupervisor::Ready,
            ToSupervisor::ReloadFailed("no \"such\" thing\n".to_owned()),
            ToSupervisor::RunScript {
                id,
                command: command("a b"),
            },
            ToSupervisor::EndScript { id },
            ToSupervisor::RunNotify(Notice {
                owner: Owner::Instance("VI_1".to_owned()),
                news: News::State,
                state: "MASTER".to_owned(),
                previous: "BACKUP".to_owned(),
                priority: 100,
                reason: "started".to_owned(),
                commands: vec![command("1"), command("2")],
            }),
            ToSupervisor::Promotes(7),
            ToSupervisor::States("VI_1 MASTER".to_owned()),
            ToSupervisor::Ordered {
                number: u64::MAX,
                outcome: Err(("refused".to_owned(), "so".to_owned())),
            },
            ToSupervisor::InForce {
                instance: "VI_1".to_owned(),
                orders: InForce {
                    drained: Some(Instant::from_us(7)),
                    priority: None,
                },
            },
            ToSupervisor::Stopped,
        ];
        for message in &up {
            worker.send(message, None).unwrap();
        }
        for message in up {
            assert_eq!(supervisor.receive().unwrap().unwrap().0, message);
        }
        assert!(supervisor.receive().unwrap().is_none());

        for outcome in [
            ScriptOutcome::Exited(3),
            ScriptOutcome::Signalled(9),
            ScriptOutcome::NotRun(Errno(2)),
        ] {
            let message = ToWorker::ScriptEnded { id, outcome };
            supervisor.send(&message, None).unwrap();
            assert_eq!(worker.receive().unwrap().unwrap().0, message);
        }
    }

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (mut supervisor, mut worker) = ends();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"priority 150").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        supervisor
            .send(&ToWorker::Reload, Some(file.as_fd()))
            .unwrap();
        supervisor.send(&ToWorker::Stop, None).unwrap();

        let (message, fd) = worker.receive().unwrap().unwrap();
        assert_eq!(message, ToWorker::Reload);
        let mut text = String::new();
        File::from(fd.unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "priority 150");
        let (message, fd) = worker.receive().unwrap().unwrap();
        assert_eq!(message, ToWorker::Stop);
        assert!(fd.is_none());
    }

    #[test]
    fn what_is_too_long_is_refused_and_the_channel_lives_on() {
        let (mut supervisor, mut worker) = ends();
        let long = ToSupervisor::ReloadFailed("x".repeat(MESSAGE_MAX));
        assert_eq!(worker.send(&long, None), Err(ChannelError::TooLong));
        // A peer that does not keep to the limit.
        let raw = vec![b'1'; MESSAGE_MAX + 10];
        nix::unistd::write(worker.as_fd(), &raw).unwrap();
        worker.send(&ToSupervisor::Ready, None).unwrap();
        assert_eq!(supervisor.receive().unwrap_err(), ChannelError::TooLong);
        assert_eq!(
            supervisor.receive().unwrap().unwrap().0,
            ToSupervisor::Ready
        );
    }

    #[test]
    fn garbage_is_an_error_and_the_channel_lives_on() {
        let (mut supervisor, mut worker) = ends();
        for garbage in [
            &b"\xff\x00"[..],
            b"{}",
            b"\"Nonsense\"",
            b"{\"RunScript\":{\"id\":-1}}",
        ] {
            nix::unistd::write(worker.as_fd(), garbage).unwrap();
            assert_eq!(supervisor.receive().unwrap_err(), ChannelError::Garbled);
        }
        worker.send(&ToSupervisor::Stopped, None).unwrap();
        assert!(supervisor.receive().unwrap().is_some());
    }

    #[test]
    fn the_end_of_the_peer_is_seen_after_its_last_words() {
        let (mut supervisor, mut worker) = ends();
        worker.send(&ToSupervisor::Stopped, None).unwrap();
        drop(worker);
        assert_eq!(
            supervisor.receive().unwrap().unwrap().0,
            ToSupervisor::Stopped
        );
        assert_eq!(supervisor.receive().unwrap_err(), ChannelError::Closed);
        assert_eq!(
            supervisor.send(&ToWorker::Stop, None),
            Err(ChannelError::Closed)
        );
    }

    #[test]
    fn messages_wait_in_order_for_a_peer_that_is_slow() {
        let (mut supervisor, mut worker) = ends();
        setsockopt(&worker, sockopt::SndBuf, &4096).unwrap();
        const COUNT: u32 = 500;
        for number in 0..COUNT {
            let id = ScriptId(number);
            worker.send(&ToSupervisor::EndScript { id }, None).unwrap();
        }
        assert!(
            worker.is_waiting(),
            "the buffer was too large for this test"
        );
        for number in 0..COUNT {
            worker.flush().unwrap();
            let expected = ToSupervisor::EndScript {
                id: ScriptId(number),
            };
            assert_eq!(supervisor.receive().unwrap().unwrap().0, expected);
        }
        assert!(!worker.is_waiting());
    }
}
