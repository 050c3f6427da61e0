//! What an instance works with: timers, the queue to the caller, kernel requests
//! under way, and what it sees around it. Decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::ids::{IfIndex, InstanceId, ProcessId, ScriptId};
use crate::time::{Instant, WallClock};

use super::super::action::{Action, Operation, Token, Transmit};
use super::super::garp::{self, Pacer};
use super::super::interfaces::Interfaces;
use super::super::timers::Timers;
use super::super::tracking::{Scripts, Surroundings};
use super::super::watched::Watched;

/// What the timers of the engine are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKey {
    /// Advert interval, master down or skew time.
    Protocol(InstanceId),
    /// The second burst after becoming MASTER.
    SecondBurst(InstanceId),
    /// The periodic bursts.
    Refresh(InstanceId),
    /// The second burst after an advert of lower priority.
    LowerPriorityBurst(InstanceId),
    /// The periodic packets on interfaces of VIPs that are not the own one.
    ExtraInterfaces(InstanceId),
    /// The own address of one that takes part again, for the second time.
    OwnAddress(InstanceId),
    /// The next gratuitous ARP or neighbour advert of an interface.
    Pace(garp::Key),
    /// The next run of a script.
    ScriptStart(ScriptId),
    /// The end of the time that a run has.
    ScriptTimeout(ScriptId),
    /// The end of the delay of a quorum that was gained or lost.
    ProcessDelay(ProcessId),
    /// How long a fight over what it has in the kernel is given up.
    LossPause(InstanceId),
    /// A link that has changed passes for what it is from then on.
    Link(IfIndex),
    /// How long another owner of the addresses may be heard.
    Rival(InstanceId),
    /// The end of a priority that was ordered for some time.
    OrderedPriority(InstanceId),
    /// The end of the delay of the first start.
    StartupDelay,
    /// Links of our own are to be looked at again.
    OwnLinks,
    /// What the kernel refused is to be tried again.
    Refused,
}

/// What a kernel request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The VIPs, routes and rules of an instance that becomes MASTER.
    Install(InstanceId),
    /// A VIP that somebody else had removed.
    Restore(InstanceId),
    /// The VIPs, routes and rules of an instance that no longer is MASTER, or leftovers.
    Remove(InstanceId),
    /// Routes and rules of an instance that may be gone.
    Renew(InstanceId),
    /// What the kernel had refused to an instance.
    TryAgain(InstanceId),
    /// Links of our own.
    Links,
    /// What belongs to no instance.
    Static,
    /// What the kernel had refused of that.
    TryStaticAgain,
    /// What the kernel had refused to take off or out.
    TakeOff,
    /// What a new configuration means for all VIPs.
    Reload,
}

/// Everything outside an instance that carrying out an effect needs.
pub struct Context<'a> {
    /// The time of this turn.
    pub now: Instant,
    /// All deadlines.
    pub timers: &'a mut Timers<TimerKey>,
    /// The queue to the caller.
    pub actions: &'a mut VecDeque<Action>,
    /// The spacing of gratuitous ARP.
    pub pacer: &'a mut Pacer,
    /// Kernel requests under way.
    pub requests: &'a mut Requests,
    /// The interfaces there are.
    pub interfaces: &'a Interfaces,
    /// The scripts, by name.
    pub scripts: &'a Scripts,
    /// The tracked files and processes.
    pub watched: &'a Watched,
    /// Every VIP of the configuration: none of them is a source address.
    pub vips: &'a BTreeSet<IpAddr>,
    /// What the calendar says, for signatures.
    pub wall: WallClock,
    /// The end of the delay of the first start, until then.
    pub delayed_until: Option<Instant>,
    /// Sends adverts.
    pub tx: &'a mut dyn Transmit,
}

/// Kernel requests under way.
#[derive(Debug, Default)]
pub struct Requests {
    next: u64,
    open: BTreeMap<Token, Purpose>,
    /// While a new configuration is being taken over: what will name the one request
    /// for all VIPs that come and go with it.
    gathering: Option<Token>,
}

impl Requests {
    /// Takes a finished request out.
    pub fn finish(&mut self, token: Token) -> Option<Purpose> {
        self.open.remove(&token)
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What a request under way is for.
    pub fn purpose(&self, token: Token) -> Option<Purpose> {
        self.open.get(&token).copied()
    }

    /// Begins a request.
    pub fn ask(
        &mut self,
        purpose: Purpose,
        operations: Vec<Operation>,
        actions: &mut VecDeque<Action>,
    ) -> Token {
        let token = self.new_token();
        self.begin_as(token, purpose);
        actions.push_back(Action::Kernel { token, operations });
        token
    }

    /// From now on instances only say what they put on and take off.
    pub fn gather(&mut self) -> Token {
        let token = self.new_token();
        self.gathering = Some(token);
        token
    }

    /// The name of the request that is being gathered, if one is.
    pub fn gathering(&self) -> Option<Token> {
        self.gathering
    }

    /// Instances ask for themselves again.
    pub fn end_gathering(&mut self) {
        self.gathering = None;
    }

    /// Whether what a new configuration means for all VIPs is not done yet.
    pub fn is_reloading(&self) -> bool {
        let mut open = self.open.values();
        open.any(|purpose| *purpose == Purpose::Reload)
    }

    /// Whether something static is being exchanged.
    pub fn is_changing_statics(&self) -> bool {
        let mut open = self.open.values();
        open.any(|purpose| *purpose == Purpose::Static)
    }

    /// The request of this name is under way.
    pub fn begin_as(&mut self, token: Token, purpose: Purpose) {
        self.open.insert(token, purpose);
    }

    fn new_token(&mut self) -> Token {
        let token = Token(self.next);
        self.next = self.next.wrapping_add(1);
        token
    }
}

impl Context<'_> {
    /// Asks the kernel for something.
    pub fn request(&mut self, purpose: Purpose, operations: Vec<Operation>) -> Token {
        self.requests.ask(purpose, operations, self.actions)
    }

    /// Whether the first start is being put off.
    pub(super) const fn is_delayed(&self) -> bool {
        self.delayed_until.is_some()
    }

    /// This time, or the end of the delay of the first start, if that is later.
    pub(super) fn not_before_start(&self, at: Instant) -> Instant {
        self.delayed_until.map_or(at, |end| end.max(at))
    }

    pub(super) fn around(&self) -> Surroundings<'_> {
        Surroundings {
            interfaces: self.interfaces,
            scripts: self.scripts,
            watched: self.watched,
        }
    }
}
