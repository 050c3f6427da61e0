//! One node: the shipped engine, a kernel, scripts, and what waits while it
//! stands still.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::model::{Command, Config, TrackedFile, TrackedProcess};
use crate::ids::{Errno, IfIndex, ScriptId};
use crate::time::{Instant, Interval, WallClock};
use crate::vrrp::Engine;
use crate::vrrp::action::Transmit;
use crate::vrrp::event::{Envelope, Outcome};
use crate::wire::advert::Family;

use super::kernel::{Interface, Kernel, Report};
use super::monitor::Watch;
use super::ordered::Ordered;
use super::watched::Found;

/// How many datagrams wait in the socket of a node that stands still.
pub const SOCKET_QUEUE_MAX: usize = 256;

/// How many datagrams are kept to come again.
pub const RECENT_MAX: usize = 32;

/// When the world begins, in microseconds since 1970: the first of January 2026.
const MORNING_US: u64 = 1_767_225_600_000_000;

/// What a script does when it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It exits with this status.
    Exits(u8),
    /// It runs until it is ended.
    Hangs,
}

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What people call it.
    pub name: String,
    /// Its configuration.
    pub config: Config,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
}

/// A datagram on its way in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The node that sent it.
    pub from: usize,
    /// The interface that it came in on.
    pub on: IfIndex,
    /// The sender's address.
    pub source: IpAddr,
    /// What the kernel tells of it.
    pub envelope: Envelope,
    /// What the socket gives.
    pub bytes: Rc<[u8]>,
    /// Nobody has sent it like this.
    pub forged: bool,
}

/// What reaches the engine besides datagrams.
#[derive(Debug, Clone)]
pub enum News {
    /// From the kernel.
    Kernel(Report),
    /// A run of a script ended.
    Script {
        /// Which script.
        id: ScriptId,
        /// How.
        outcome: Outcome,
    },
    /// A tracked file has this number in it now.
    File {
        /// Which file.
        file: Arc<TrackedFile>,
        /// The number.
        value: i32,
    },
    /// So many of the tracked processes run now.
    Processes {
        /// Which processes.
        process: Arc<TrackedProcess>,
        /// How many.
        count: u32,
    },
}

/// A node of the world.
#[derive(Debug)]
pub struct Node {
    /// What people call it.
    pub name: String,
    /// The configuration that it starts with.
    pub config: Config,
    /// The configuration that it was made with.
    pub original: Config,
    /// The configurations of the last daemon: the file beside its pid file has them until
    /// what they put on is gone.
    pub last: Vec<Config>,
    /// Its daemon; `None` while none runs.
    pub engine: Option<Engine>,
    /// Its kernel.
    pub kernel: Kernel,
    /// When the daemon last heard that it refused something.
    pub refused_at: Option<Instant>,
    /// What its scripts do, by name; those without an entry succeed.
    pub behaviours: BTreeMap<String, Behaviour>,
    /// What its daemon finds in tracked files and of tracked processes.
    pub found: Found,
    /// How long a run of a script takes.
    pub script_time: Interval,
    /// Counts the daemons that have run here: what was meant for one of them
    /// does not reach the next.
    pub boot: u32,
    /// It stands still.
    pub paused: bool,
    /// The first turn after a standstill.
    pub is_late: bool,
    /// The receive sockets.
    pub listening: BTreeSet<(IfIndex, Family, Option<IpAddr>)>,
    /// Datagrams that wait in sockets.
    pub datagrams: VecDeque<Arrival>,
    /// Other things that wait.
    pub news: VecDeque<News>,
    /// Runs under way: which run of that script it is.
    pub runs: BTreeMap<ScriptId, u64>,
    /// How many runs there were.
    pub run_count: u64,
    /// News that the kernel has sent and that have not arrived.
    pub expected_news: u32,
    /// VIPs that may be announced: put on, and not asked to be taken off.
    pub announceable: BTreeSet<IpAddr>,
    /// The second opinion on each instance.
    pub watches: Vec<Watch>,
    /// What the engine's count of datagrams for nobody was.
    pub ignored: u64,
    /// What an administrator has ordered of its daemon, by instance.
    pub ordered: BTreeMap<String, Ordered>,
    /// How far its calendar is ahead of everybody's.
    pub ahead_us: i64,
    /// It has heard forged or old adverts, or a clock was set: it had reason to
    /// refuse what a good peer sends, and says so for a while.
    pub was_deceived: bool,
    /// Datagrams that reached it last, to come again.
    pub recent: VecDeque<Arrival>,
    /// When something was last announced on an interface.
    pub announced: BTreeMap<(IfIndex, Family), Instant>,
}

impl Node {
    /// A node that is switched off.
    pub fn new(setup: Setup) -> Self {
        Self {
            name: setup.name,
            original: setup.config.clone(),
            config: setup.config,
            engine: None,
            kernel: Kernel::new(setup.interfaces),
            behaviours: BTreeMap::new(),
            found: Found::default(),
            script_time: Interval::from_ms(5),
            boot: 0,
            paused: false,
            is_late: false,
            refused_at: None,
            last: Vec::new(),
            listening: BTreeSet::new(),
            datagrams: VecDeque::new(),
            news: VecDeque::new(),
            runs: BTreeMap::new(),
            run_count: 0,
            expected_news: 0,
            announceable: BTreeSet::new(),
            watches: Vec::new(),
            ignored: 0,
            ordered: BTreeMap::new(),
            ahead_us: 0,
            was_deceived: false,
            recent: VecDeque::new(),
            announced: BTreeMap::new(),
        }
    }

    /// What its calendar says.
    pub fn wall(&self, now: Instant) -> WallClock {
        let unix_us = MORNING_US
            .saturating_add(now.as_us())
            .saturating_add_signed(self.ahead_us);
        WallClock::new(now, unix_us)
    }

    /// Whether its daemon runs and is not held up.
    pub fn is_awake(&self) -> bool {
        self.engine.is_some() && !self.paused
    }

    /// When the engine wants a turn.
    pub fn deadline(&self) -> Option<Instant> {
        if self.paused {
            return None;
        }
        self.engine.as_ref()?.deadline()
    }

    /// The socket that hears of a datagram for this address: that of its interface,
    /// or the one of unicast without an interface. A real kernel gives unicast to
    /// both, and the engine leaves one of them alone.
    pub fn socket(&self, arrival: &Arrival, to: IpAddr) -> Option<IfIndex> {
        let mut instances = self.config.instances.iter();
        let is_anywhere = instances.any(|it| it.interface.is_empty() && it.is_peer(arrival.source));
        let order = match is_anywhere {
            true => [IfIndex::ANY, arrival.on],
            false => [arrival.on, IfIndex::ANY],
        };
        order.into_iter().find(|on| self.listens(*on, to))
    }

    /// Whether a socket takes a datagram for this address.
    fn listens(&self, on: IfIndex, to: IpAddr) -> bool {
        let family = Family::of(to);
        self.listening.iter().any(|(there, of, group)| {
            (*there, *of) == (on, family) && (!to.is_multicast() || *group == Some(to))
        })
    }

    /// What the script with this command does. Scripts with the same command do
    /// the same.
    pub fn behaviour(&self, command: &Command) -> Behaviour {
        let scripts = self.config.scripts.iter();
        let mut names = scripts
            .filter(|script| script.command == *command)
            .map(|script| &script.name);
        let set = names.find_map(|name| self.behaviours.get(name));
        set.copied().unwrap_or(Behaviour::Exits(0))
    }

    /// The daemon is gone, for whatever reason.
    pub fn forget_daemon(&mut self) {
        self.engine = None;
        self.boot = self.boot.saturating_add(1);
        self.paused = false;
        self.is_late = false;
        self.listening.clear();
        self.datagrams.clear();
        self.news.clear();
        self.runs.clear();
        self.expected_news = 0;
        self.announceable.clear();
        self.watches.clear();
        self.ignored = 0;
        self.ordered.clear();
        self.announced.clear();
        self.kernel.forget_requests();
        // Whoever takes the VIPs off after it opens the firewall, too.
        self.kernel.blocked.clear();
    }
}

/// Takes the adverts of one turn; the world delivers them afterwards.
pub struct Outbox<'a> {
    /// Whose.
    pub kernel: &'a Kernel,
    /// What was sent: out of which interface, where to, the packet, and whether
    /// the kernel took it.
    pub sent: Vec<(IfIndex, IpAddr, Rc<[u8]>, bool)>,
}

impl Transmit for Outbox<'_> {
    fn send(&mut self, via: IfIndex, to: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        let result = match self.kernel.outgoing(via, source_of(frame)) {
            None => Err(Errno(libc::ENODEV)),
            Some(interface) if !interface.state.up => Err(Errno(libc::ENETDOWN)),
            Some(_) => Ok(()),
        };
        self.sent.push((via, to, frame.into(), result.is_ok()));
        result
    }
}

/// The sender's address in the header of an IP packet.
pub fn source_of(frame: &[u8]) -> Option<IpAddr> {
    if frame.first()? >> 4 == 4 {
        let octets: [u8; 4] = frame.get(12..16)?.try_into().ok()?;
        return Some(octets.into());
    }
    let octets: [u8; 16] = frame.get(8..24)?.try_into().ok()?;
    Some(octets.into())
}
