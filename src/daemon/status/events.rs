//! What happens in the worker, as it happens, for `keepalived-rs events` and for
//! programs.
//!
//! Decides what is told and how it gets from the reactor to the thread that serves the
//! status socket: over a queue of [`QUEUE_MAX`], and only while somebody listens. If
//! the queue is full the listeners are told that they missed something, by the end of
//! their connection. Who listens, and for how long, is decided in `listeners.rs`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::{Deserialize, Serialize};

use super::document::{Document, Instance};
use super::{Reload, VERSION};
use crate::system::clock::epoch_us;
use crate::time::Interval;
use crate::vrrp::action::{GroupNotification, Notification};
use crate::vrrp::log_lines::{InstanceLine, LogLine, ScriptLine};

/// How many events wait for the thread that writes them.
pub const QUEUE_MAX: usize = 4096;

/// One line of the stream. What does not concern an event is left out of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// [`VERSION`]
    pub version: u32,
    /// What happened: `daemon`, `state`, `group`, `priority`, `drained`, `resumed`,
    /// `priority-ordered`, `priority-order-ended`, `hands-over`, `nobody-took-over`,
    /// `contended`, `not-contended`, `script` or `reload`.
    pub event: String,
    /// When, by the wall clock: seconds since 1970.
    pub unix_seconds: f64,
    /// It is how things stood when the listener came, and has not just happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub current: bool,
    /// The name of an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The name of a sync group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The name of a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The state of an instance or a group; of a script `up` or `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The effective priority; with `priority-ordered` the ordered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Another router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a reload was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// The name of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The process that speaks VRRP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vrrp_pid: Option<i32>,
}

impl Event {
    /// One that happens now.
    fn now(event: &str) -> Self {
        Self {
            version: VERSION,
            event: event.to_owned(),
            unix_seconds: seconds(epoch_us()),
            ..Self::default()
        }
    }

    fn of(event: &str, instance: &str) -> Self {
        Self {
            instance: Some(instance.to_owned()),
            ..Self::now(event)
        }
    }

    /// An instance has entered a state.
    pub fn of_state(told: &Notification) -> Self {
        Self {
            state: Some(told.state.as_str().to_owned()),
            previous: told.previous.map(|state| state.as_str().to_owned()),
            priority: Some(told.priority.0),
            reason: Some(told.cause.to_string()),
            ..Self::of("state", &told.instance.name)
        }
    }

    /// A sync group has entered a state.
    pub fn of_group(told: &GroupNotification) -> Self {
        Self {
            group: Some(told.group.name.clone()),
            state: Some(told.state.as_str().to_owned()),
            previous: told.previous.map(|state| state.as_str().to_owned()),
            reason: Some(told.cause.to_string()),
            ..Self::now("group")
        }
    }

    /// A reload has ended.
    pub fn of_reload(reload: &Reload) -> Self {
        Self {
            accepted: Some(reload.refused.is_none()),
            reason: reload.refused.clone(),
            ..Self::now("reload")
        }
    }

    /// What a line of the log means for programs, if it is more than words.
    pub fn of_line(line: &LogLine) -> Option<Self> {
        match line {
            LogLine::Instance(name, line) => Self::of_instance_line(name, line),
            LogLine::Script(name, line) => {
                let state = match line {
                    ScriptLine::Succeeded => "up",
                    ScriptLine::Failed(_) | ScriptLine::TimedOut => "down",
                    ScriptLine::Returns(_) | ScriptLine::Skipped { .. } => return None,
                };
                Some(Self {
                    script: Some(name.clone()),
                    state: Some(state.to_owned()),
                    ..Self::now("script")
                })
            }
            _ => None,
        }
    }

    fn of_instance_line(name: &str, line: &InstanceLine) -> Option<Self> {
        let plain = |event| Some(Self::of(event, name));
        match line {
            InstanceLine::PriorityChanged { to, .. } => Some(Self {
                priority: Some(to.0),
                ..Self::of("priority", name)
            }),
            InstanceLine::Drained => plain("drained"),
            InstanceLine::Resumed => plain("resumed"),
            InstanceLine::PriorityOrdered { to, .. } => Some(Self {
                priority: Some(to.0),
                ..Self::of("priority-ordered", name)
            }),
            InstanceLine::PriorityOrderEnded { .. } => plain("priority-order-ended"),
            InstanceLine::HandsOver { peer, .. } => Some(Self {
                peer: Some(peer.to_string()),
                ..Self::of("hands-over", name)
            }),
            InstanceLine::AsksAnybody => plain("hands-over"),
            InstanceLine::NobodyTookOver => plain("nobody-took-over"),
            InstanceLine::Contended(contended) => Some(Self {
                peer: Some(contended.peer.to_string()),
                reason: Some(contended.reason.to_string()),
                ..Self::of("contended", name)
            }),
            InstanceLine::NotContended { peer, .. } => Some(Self {
                peer: Some(peer.to_string()),
                ..Self::of("not-contended", name)
            }),
            _ => None,
        }
    }
}

/// How things stand, as the events that a new listener gets first.
pub fn current(document: &Document) -> Vec<Event> {
    let daemon = &document.daemon;
    let mut events = vec![Event {
        current: true,
        host: Some(daemon.host.clone()),
        vrrp_pid: daemon.vrrp_pid,
        ..Event::now("daemon")
    }];
    for it in &document.instances {
        events.extend(of_instance(it));
    }
    events.extend(document.groups.iter().map(|group| Event {
        current: true,
        group: Some(group.name.clone()),
        state: Some(group.state.clone()),
        ..Event::now("group")
    }));
    events
}

fn of_instance(it: &Instance) -> impl Iterator<Item = Event> {
    let state = Event {
        current: true,
        unix_seconds: it.since.unix_seconds,
        state: Some(it.state.clone()),
        priority: Some(it.priority.effective),
        reason: it.reason.clone(),
        ..Event::of("state", &it.name)
    };
    let drained = it.drained.as_ref().map(|drained| Event {
        current: true,
        unix_seconds: drained.since.unix_seconds,
        ..Event::of("drained", &it.name)
    });
    let ordered = it.ordered_priority.as_ref().map(|ordered| Event {
        current: true,
        priority: Some(ordered.priority),
        ..Event::of("priority-ordered", &it.name)
    });
    let contended = it.contended.as_ref().map(|contended| Event {
        current: true,
        unix_seconds: contended.since.unix_seconds,
        peer: Some(contended.peer.clone()),
        reason: Some(contended.reason.clone()),
        ..Event::of("contended", &it.name)
    });
    std::iter::once(state)
        .chain(drained)
        .chain(ordered)
        .chain(contended)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 fit for two more centuries"
)]
fn seconds(unix_us: u64) -> f64 {
    unix_us as f64 / 1e6
}

/// What travels from the reactor to the thread.
#[derive(Debug)]
pub enum Item {
    /// The number and the event.
    Event(u64, Box<Event>),
    /// The worker ends: write what there is, and say so.
    Finish(SyncSender<()>),
}

/// What both sides look at.
#[derive(Debug)]
struct Shared {
    wake: EventFd,
    /// How many listen.
    listeners: AtomicUsize,
    /// The queue was full.
    lost: AtomicBool,
}

/// The reactor's end.
#[derive(Debug)]
pub struct Teller {
    queue: SyncSender<Item>,
    shared: Arc<Shared>,
    /// The number of the last event.
    last: u64,
}

/// The thread's end.
#[derive(Debug)]
pub struct Hearer {
    queue: Receiver<Item>,
    shared: Arc<Shared>,
}

/// Both ends.
///
/// # Errors
/// There are too many descriptors.
pub fn pair() -> Result<(Teller, Hearer), Errno> {
    let (send, receive) = sync_channel(QUEUE_MAX);
    let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let shared = Arc::new(Shared {
        wake,
        listeners: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    });
    let teller = Teller {
        queue: send,
        shared: Arc::clone(&shared),
        last: 0,
    };
    let queue = receive;
    Ok((teller, Hearer { queue, shared }))
}

impl Teller {
    /// Tells of something, if anybody listens. Never waits.
    pub fn tell(&mut self, event: impl FnOnce() -> Option<Event>) {
        if self.shared.listeners.load(Ordering::Acquire) == 0 {
            return;
        }
        let Some(event) = event() else {
            return;
        };
        self.last = self.last.wrapping_add(1);
        let item = Item::Event(self.last, Box::new(event));
        if let Err(TrySendError::Full(_)) = self.queue.try_send(item) {
            self.shared.lost.store(true, Ordering::Release);
        }
        self.wake();
    }

    /// The number of the last event: what a view shows has happened up to it.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The worker ends: what there is to tell is written, if that takes no longer than
    /// this.
    pub fn finish(&self, limit: Interval) {
        if self.shared.listeners.load(Ordering::Acquire) == 0 {
            return;
        }
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Item::Finish(done)).is_ok() {
            self.wake();
            // Who does not read by then has had its chance.
            let _ = written.recv_timeout(Duration::from(limit));
        }
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = self.shared.wake.write(1);
    }
}

impl Hearer {
    /// What to poll for reading.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }

    /// From now on so many listen.
    pub fn set_listeners(&self, count: usize) {
        self.shared.listeners.store(count, Ordering::Release);
    }

    /// The next item.
    pub fn next(&self) -> Option<Item> {
        self.queue.try_recv().ok()
    }

    /// Before the queue is read: what comes from now on wakes again.
    pub fn rest(&self) {
        // Nothing to read: nobody has woken us.
        let _ = self.shared.wake.read();
    }

    /// Whether something did not fit into the queue since this was last asked.
    pub fn has_lost(&self) -> bool {
        self.shared.lost.swap(false, Ordering::AcqRel)
    }
}
