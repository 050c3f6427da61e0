//! Every line that the engine may log, in one enum.
//!
//! The texts are those of C keepalived 2.4.3, word for word where it has one
//! (specification E.5): people grep for them.

use std::fmt;
use std::net::IpAddr;

use crate::config::model::VirtualAddress;
use crate::ids::{Errno, IfIndex, Priority};
use crate::time::Interval;
use crate::wire::advert::Family;

use super::action::Operation;
use super::contention::Contended;
use super::event::{LinkPart, Outcome};
use super::link_lines::LinkLine;
use super::orders::{DRAINED, Lasting};
use super::reasons::Ms;
use super::receive::Reject;
use super::state_machine::State;
use super::transition::Transition;

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// About one instance, by name.
    Instance(String, InstanceLine),
    /// About one sync group, by name.
    Group(String, GroupLine),
    /// About one script, by name.
    Script(String, ScriptLine),
    /// A tracked process has its quorum, or has it no more.
    Quorum {
        /// The name of the block.
        name: String,
        /// It has it.
        gained: bool,
    },
    /// The link of an interface that some instance tracks went up or down.
    Link {
        /// Its name.
        interface: String,
        /// Up, or down.
        up: bool,
        /// It is polled (`linkbeat_interfaces`).
        polled: bool,
    },
    /// A change of a link is waited with (`interface_up_down_delays`).
    LinkDelayed {
        /// The interface.
        interface: String,
        /// What it is now.
        up: bool,
        /// How long.
        delay: Interval,
    },
    /// The link is what it was before the delay was over.
    LinkDelayCancelled(String),
    /// An interface of the configuration came into being.
    InterfaceAdded(String),
    /// An interface of the configuration is gone.
    InterfaceDeleted(String),
    /// An interface of the configuration is not there at the start.
    InterfaceMissing(String),
    /// An advert for a virtual router that nobody here is part of.
    UnknownVrid {
        /// Its number.
        vrid: u8,
        /// Where it came in.
        interface: String,
    },
    /// A datagram too short to say whose it is.
    TooShort {
        /// What carried it.
        family: Family,
        /// It had, or should have had, an authentication header.
        signed: bool,
        /// Its length in bytes.
        length: usize,
    },
    /// A VIP of ours was taken away by somebody else.
    AddressRemoved {
        /// The address.
        address: IpAddr,
        /// The interface it was on.
        interface: String,
        /// It is put back.
        is_put_back: bool,
    },
    /// A route or a rule of ours was taken out by somebody else.
    WayRemoved {
        /// What it was.
        what: String,
        /// It is put back.
        is_put_back: bool,
    },
    /// Programs that run here and take away what they have not put in.
    Culprits(Vec<String>),
    /// The kernel did not do one operation.
    Refused {
        /// The name and the number of the request.
        request: (&'static str, u16),
        /// Why.
        errno: Errno,
        /// What it was about.
        what: String,
    },
    /// What has become of a link of our own.
    OwnLink(LinkLine),
    /// The kernel does not use a VIP, because somebody else on the link has it.
    AddressDuplicate {
        /// The instance that holds it.
        instance: String,
        /// The VIP.
        address: IpAddr,
        /// The interface that it is on.
        interface: String,
    },
    /// A link of our own gets another name than the configuration gives it, because an
    /// interface has that which is something else.
    LinkNameTaken {
        /// The instance.
        instance: String,
        /// The name that the configuration gives.
        given: String,
        /// The one that it gets.
        link: String,
    },
    /// An interface of our own is there, but without a part of what belongs to it.
    LinkFlawed {
        /// Its name.
        link: String,
        /// What is missing.
        part: LinkPart,
        /// Why.
        errno: Errno,
    },
    /// What the kernel had refused is in now.
    InAtLast(String),
    /// What the kernel had refused to take off or out is gone now.
    GoneAtLast(String),
    /// A static address was taken away by somebody else, and is put back.
    RestoringStatic(IpAddr),
    /// The first start is put off for this long.
    StartDelayed(Interval),
    /// The first start was put off, and happens now.
    StartDelayEnded,
    /// The daemon stood still for this long after an advert was due.
    TimerExpired(Interval),
}

/// What there is to say of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceLine {
    /// First state.
    EnteringBackupInit,
    /// Any later time.
    EnteringBackup,
    /// The VIPs are about to be added.
    EnteringMaster,
    /// At run time.
    EnteringFault,
    /// First state.
    EnteringFaultInit,
    /// Why it starts in FAULT: the link.
    FaultInterfaceDown(String),
    /// Why it starts in FAULT: no address to send from.
    FaultNoAddress(Family),
    /// Why it starts in FAULT: its source address is on no interface.
    FaultNoSource,
    /// Why it starts in FAULT: a script.
    FaultScript(String),
    /// Why it starts in FAULT: a file.
    FaultFile(String),
    /// Why it starts in FAULT: a process.
    FaultProcess(String),
    /// Why it starts in FAULT: something static that the kernel does not take.
    FaultStatic(String),
    /// A file stands against it from now on.
    FileFault(String),
    /// A file does so no more.
    FileFine(String),
    /// Loopback interfaces cannot carry VRRP.
    Loopback(String),
    /// An interface without multicast, and no unicast peers.
    NoMulticast(String),
    /// It is in another state: why, and what was seen. A line of our own, after C's.
    Changed(Box<Transition>),
    /// Its own address is announced, because it takes part again.
    AnnouncingSource(IpAddr),
    /// The master went silent.
    MasterDown,
    /// The effective priority changed.
    PriorityChanged {
        /// Before.
        from: Priority,
        /// Now.
        to: Priority,
    },
    /// The effective priority, as a file with a weight leaves FAULT.
    PrioritySet(Priority),
    /// Resigned.
    SentPriorityZero,
    /// `fast_handover`: a peer is better now.
    HandsOver {
        /// The peer.
        peer: IpAddr,
        /// Its priority, as it said last.
        theirs: Priority,
        /// Our own.
        ours: Priority,
    },
    /// `fast_handover`: nobody better has spoken within the skew time.
    NobodyTookOver,
    /// `fast_handover`: the priority has risen before anybody spoke.
    HandoverCalledOff {
        /// Our own.
        ours: Priority,
    },
    /// By order of an administrator.
    Drained,
    /// As a MASTER that was drained, and that knows nobody better.
    AsksAnybody,
    /// By order of an administrator.
    Resumed,
    /// By order of an administrator.
    PriorityOrdered {
        /// The priority, before weights.
        to: Priority,
        /// For how long.
        lasts: Option<Interval>,
    },
    /// The priority of the configuration counts again.
    PriorityOrderEnded {
        /// The priority of the configuration.
        to: Priority,
        /// Its time was over.
        in_time: bool,
    },
    /// By order of an administrator.
    AnnouncesAgain,
    /// What somebody else takes away is put back; told at the first time.
    Heals,
    /// A fight over what it has in the kernel is given up for this time.
    GivesUpFight(Interval),
    /// That time is over.
    EndsPause,
    /// As MASTER.
    MasterGotPriorityZero,
    /// As BACKUP.
    BackupGotPriorityZero,
    /// As MASTER.
    HeardLower {
        /// The sender.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
        /// An advert is sent back.
        answered: bool,
    },
    /// As MASTER; we step back.
    YieldedToHigher {
        /// The sender.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// As MASTER; we step back.
    YieldedToHigherAddress {
        /// The sender.
        from: IpAddr,
        /// Both our priorities.
        priority: Priority,
    },
    /// Two routers with one address.
    OwnAddressReceived,
    /// As BACKUP, about to preempt.
    DiscardedLower {
        /// The sender.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
    },
    /// The first master we hear.
    MasterSet(IpAddr),
    /// The master sends with another interval than was known.
    IntervalLearned {
        /// Known before.
        from: Interval,
        /// Known now.
        to: Interval,
    },
    /// The interval of the configuration counts again.
    IntervalForgotten {
        /// The one that was learned.
        from: Interval,
        /// The one of the configuration.
        to: Interval,
    },
    /// A lower master was heard, and is left alone for this time.
    PreemptDelayStarted(Interval),
    /// The master is no longer a lower one.
    PreemptDelayStopped,
    /// An advert was dropped since we own the addresses.
    IgnoredAsOwner(IpAddr),
    /// Another node claims to own the addresses, too.
    TwoOwners(IpAddr),
    /// It does not hear us, so we step back.
    GaveWayToOwner(IpAddr),
    /// It has stepped back.
    RivalStopped,
    /// We are the only owner again.
    OwnershipRestored {
        /// The priority that counts now.
        to: Priority,
        /// Why, in words.
        why: &'static str,
    },
    /// Another one than before.
    MasterChanged {
        /// Before.
        from: IpAddr,
        /// Now.
        to: IpAddr,
    },
    /// VIPs go on.
    SettingVips,
    /// VIPs come off.
    RemovingVips,
    /// A VIP comes off a MASTER, because a new configuration does not have it.
    NoLongerExists(Box<VirtualAddress>),
    /// Packets to the VIPs are dropped from now on.
    SettingDropRule,
    /// And no longer.
    RemovingDropRule,
    /// VIPs that stand in no advert go on.
    SettingExcludedVips,
    /// VIPs that stand in no advert come off.
    RemovingExcludedVips,
    /// Routes go in.
    SettingRoutes,
    /// Routes come out.
    RemovingRoutes,
    /// Rules go in.
    SettingRules,
    /// Rules come out.
    RemovingRules,
    /// One VIP in one burst.
    Announcing {
        /// The interface's number and name.
        on: String,
        /// The VIP.
        address: IpAddr,
    },
    /// A datagram was refused.
    Rejected {
        /// The sender.
        from: IpAddr,
        /// Why.
        reason: Reject,
    },
    /// Another router is MASTER as well.
    Contended(Contended),
    /// No other router is MASTER any more, or we are not.
    NotContended {
        /// Who was.
        peer: IpAddr,
        /// For how long.
        lasted: Interval,
        /// It fell silent; else we are not MASTER any more.
        silent: bool,
    },
    /// A line like others that were not logged.
    Repeated {
        /// The line.
        line: Box<InstanceLine>,
        /// How many were not logged since the last one.
        left_out: u32,
    },
    /// The number of VIPs in an accepted advert is another than ours.
    VipCountDiffers {
        /// Ours.
        expected: usize,
        /// Theirs.
        received: usize,
    },
    /// One of our VIPs is not in an accepted advert.
    VipMissing {
        /// The first such VIP.
        address: IpAddr,
        /// The sender.
        from: IpAddr,
        /// The virtual router.
        vrid: u8,
    },
    /// The clock of a node differs from ours so much that its adverts will soon
    /// count as replays.
    ClockSkew {
        /// The sender.
        from: IpAddr,
        /// Our time without theirs, in seconds.
        skew_s: i32,
        /// What is allowed, in seconds.
        window_s: u64,
    },
    /// An advert could not be sent.
    SendFailed(Errno),
    /// The kernel refused a VIP.
    KernelRefused {
        /// Adding, or removing.
        adding: bool,
        /// Why.
        errno: Errno,
    },
    /// More VIPs than an advert has room for.
    TooManyVips {
        /// How many there are.
        count: usize,
        /// How many fit.
        room: usize,
    },
    /// The daemon stood still so long that adverts were missed.
    AdvertsSkipped(u64),
}

/// What there is to say of a sync group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupLine {
    /// One member has entered this state, and the others follow.
    Syncing(State),
    /// This member starts in FAULT because of another one.
    SyncingMember(String),
}

/// What there is to say of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptLine {
    /// The exit status is another than last time.
    Returns(u8),
    /// It is up now.
    Succeeded,
    /// It is down now.
    Failed(Outcome),
    /// It is down now, having run too long.
    TimedOut,
    /// The next run is due, and the last has not ended.
    Skipped {
        /// Whether its end was already asked for.
        timing_out: bool,
    },
}

impl LogLine {
    /// The kernel did not do `operation`.
    pub fn refused(operation: &Operation, errno: Errno) -> Self {
        Self::Refused {
            request: operation.request(),
            errno,
            what: operation.to_string(),
        }
    }

    /// Whether it is printed with `-D` only.
    pub fn is_detail(&self) -> bool {
        match self {
            Self::Instance(_, line) => line.is_detail(),
            _ => false,
        }
    }
}

/// The number in the name of a protocol.
const fn version_of(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

/// What becomes of what somebody took away.
const fn putting_back(is_put_back: bool) -> &'static str {
    if is_put_back {
        " - putting it back"
    } else {
        ""
    }
}

/// `A runs`, or `A and B run`.
fn running(names: &[String]) -> String {
    let verb = if names.len() == 1 { "runs" } else { "run" };
    format!("{} {verb}", names.join(" and "))
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(name, line) => line.write(name, f),
            Self::Script(name, line) => line.write(name, f),
            Self::Quorum { name, gained } => {
                let what = if *gained { "gained" } else { "lost" };
                write!(f, "Quorum {what} for tracked process {name}")
            }
            Self::Group(name, GroupLine::Syncing(state)) => {
                write!(f, "VRRP_Group({name}) Syncing instances to {state} state")
            }
            Self::Group(name, GroupLine::SyncingMember(member)) => {
                write!(f, "VRRP_Group({name}): Syncing {member} to FAULT state")
            }
            Self::Link {
                interface,
                up,
                polled,
            } => {
                let teller = if *polled { "Linkbeat" } else { "Netlink" };
                let state = if *up { "up" } else { "down" };
                write!(f, "{teller} reports {interface} {state}")
            }
            Self::LinkDelayed {
                interface,
                up,
                delay,
            } => {
                let (from, to) = if *up { ("down", "up") } else { ("up", "down") };
                let delay = delay.as_us();
                write!(
                    f,
                    "{interface}: Adding flags change from {from} to {to} delay by {delay}"
                )
            }
            Self::LinkDelayCancelled(name) => write!(f, "Delay timer for {name} cancelled"),
            Self::InterfaceAdded(name) => write!(f, "Interface {name} added"),
            Self::InterfaceDeleted(name) => write!(f, "Interface {name} deleted"),
            Self::InterfaceMissing(name) => write!(
                f,
                "Configuration specifies interface {name} which doesn't currently exist \
                 - will use if created"
            ),
            Self::UnknownVrid { vrid, interface } => write!(
                f,
                "Unknown VRID({vrid}) received on interface({interface}). ignoring..."
            ),
            Self::TooShort {
                family,
                signed,
                length,
            } => {
                let version = version_of(*family);
                let header = if *signed { " with AH" } else { "" };
                write!(
                    f,
                    "IPv{version} VRRP packet{header} too short - {length} bytes"
                )
            }
            Self::AddressRemoved {
                address,
                interface,
                is_put_back,
            } => write!(
                f,
                "Netlink reflector reports IP {address} removed from {interface}, not by us{}",
                putting_back(*is_put_back)
            ),
            Self::WayRemoved { what, is_put_back } => write!(
                f,
                "Netlink reflector reports {what} removed, not by us{}",
                putting_back(*is_put_back)
            ),
            Self::Culprits(names) => write!(
                f,
                "{} on this machine and may have taken it away - how to stop that is in \
                 the documentation, operating/healing.md",
                running(names)
            ),
            Self::Refused {
                request: (name, number),
                errno,
                what,
            } => write!(
                f,
                "Netlink: error: {errno}({}), type={name}({number}) - {what}",
                errno.0
            ),
            Self::OwnLink(line) => line.fmt(f),
            Self::AddressDuplicate {
                instance,
                address,
                interface,
            } => write!(
                f,
                "({instance}) VIP {address} on {interface} is unusable: another host on the link \
                 has it (duplicate address detection) - take it off there, or leave out -nodad; \
                 it is tried again when this node becomes master again"
            ),
            Self::LinkNameTaken {
                instance,
                given,
                link,
            } => write!(
                f,
                "({instance}) Interface {given} exists and is not what this instance would make of \
                 it; it is left alone, and the instance uses {link} instead - rename or delete \
                 {given}, or give another name in the configuration, then restart"
            ),
            Self::LinkFlawed { link, part, errno } => {
                write!(f, "Unable to set {part} of {link}: {errno}")
            }
            Self::InAtLast(what) => write!(f, "The kernel has {what} now"),
            Self::GoneAtLast(what) => write!(f, "The kernel has {what} no more"),
            Self::RestoringStatic(address) => {
                write!(f, "Restoring deleted static address {address}")
            }
            Self::StartDelayed(rest) => {
                write!(f, "Delaying startup for {} seconds", shortest(*rest))
            }
            Self::StartDelayEnded => f.write_str("Delayed start completed"),
            Self::TimerExpired(late) => {
                write!(f, "VRRP thread timer expired {late} seconds ago")
            }
        }
    }
}

impl InstanceLine {
    fn is_detail(&self) -> bool {
        match self {
            Self::Repeated { line, .. } => line.is_detail(),
            Self::MasterDown
            | Self::SentPriorityZero
            | Self::MasterGotPriorityZero
            | Self::BackupGotPriorityZero
            | Self::MasterSet(_)
            | Self::MasterChanged { .. }
            | Self::IntervalLearned { .. }
            | Self::IntervalForgotten { .. }
            | Self::PreemptDelayStarted(_)
            | Self::PreemptDelayStopped
            | Self::PrioritySet(_)
            | Self::FileFault(_)
            | Self::FileFine(_)
            | Self::SettingVips
            | Self::RemovingVips
            | Self::SettingDropRule
            | Self::RemovingDropRule
            | Self::SettingExcludedVips
            | Self::RemovingExcludedVips
            | Self::SettingRoutes
            | Self::RemovingRoutes
            | Self::SettingRules
            | Self::RemovingRules
            | Self::Announcing { .. }
            | Self::AnnouncingSource(_) => true,
            _ => false,
        }
    }

    /// A line whose beginning is not `(NAME) `: C writes a colon after some names.
    fn write_whole(&self, name: &str, f: &mut fmt::Formatter<'_>) -> Option<fmt::Result> {
        let written = match self {
            Self::Repeated { line, left_out } => {
                let mut all = || {
                    line.write(name, f)?;
                    write!(f, " ({left_out} more like it were not logged)")
                };
                all()
            }
            Self::FaultInterfaceDown(interface) => write!(
                f,
                "({name}): entering FAULT state (interface {interface} down)"
            ),
            Self::FaultScript(script) => {
                write!(f, "({name}): entering FAULT state due to script {script}")
            }
            // C's status is what the file adds, and this is its word for FAULT.
            Self::FaultFile(file) => write!(
                f,
                "({name}): entering FAULT state (tracked file {file} has status -254)"
            ),
            Self::FileFault(file) => write!(f, "({name}): tracked file {file} now FAULT state"),
            Self::FileFine(file) => write!(f, "({name}): tracked file {file} leaving FAULT state"),
            Self::RivalStopped => {
                let text = "rogue address owner appears to have stopped advertising";
                write!(f, "({name}): {text}")
            }
            Self::FaultNoSource => write!(
                f,
                "({name}): entering FAULT state (src address not configured)"
            ),
            Self::AnnouncingSource(address @ IpAddr::V4(_)) => {
                write!(f, "{name}: sending gratuitous ARP for {address}")
            }
            Self::AnnouncingSource(address) => {
                write!(f, "{name}: sending gratuitous NA for {address}")
            }
            Self::SendFailed(errno) => {
                write!(f, "({name}): send advert error {} ({errno})", errno.0)
            }
            _ => return None,
        };
        Some(written)
    }

    fn write(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(written) = self.write_whole(name, f) {
            return written;
        }
        write!(f, "({name}) ")?;
        match self {
            Self::EnteringBackupInit => f.write_str("Entering BACKUP STATE (init)"),
            Self::EnteringBackup => f.write_str("Entering BACKUP STATE"),
            Self::EnteringMaster => f.write_str("Entering MASTER STATE"),
            Self::EnteringFault => f.write_str("Entering FAULT STATE"),
            Self::EnteringFaultInit => f.write_str("Entering FAULT STATE (init)"),
            Self::FaultNoAddress(family) => {
                let version = version_of(*family);
                write!(
                    f,
                    "entering FAULT state (no IPv{version} address for interface)"
                )
            }
            Self::FaultProcess(process) => write!(
                f,
                "entering FAULT state (tracked process {process} quorum not achieved)"
            ),
            Self::Changed(transition) => write!(f, "{transition}"),
            Self::FaultStatic(what) => write!(f, "entering FAULT state (static {what} missing)"),
            Self::Loopback(interface) => write!(
                f,
                "cannot use a loopback interface ({interface}) for vrrp - ignoring"
            ),
            Self::NoMulticast(interface) => write!(
                f,
                "interface {interface} does not support multicast, \
                 specify unicast peers - disabling"
            ),
            Self::MasterDown => f.write_str("Receive advertisement timeout"),
            Self::PriorityChanged { from, to } => {
                write!(f, "Changing effective priority from {from} to {to}")
            }
            Self::PrioritySet(to) => write!(f, "Setting effective priority to {to}"),
            Self::SentPriorityZero => f.write_str("sent 0 priority"),
            Self::MasterGotPriorityZero => f.write_str("Master received priority 0 message"),
            Self::BackupGotPriorityZero => f.write_str("Backup received priority 0 advertisement"),
            other => other.write_handover(f),
        }
    }

    /// The lines about a fast handover, after the name.
    fn write_handover(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandsOver { peer, theirs, ours } => write!(
                f,
                "Priority {ours} is below {theirs} of {peer}: asking it to take over"
            ),
            Self::NobodyTookOver => f.write_str("Nobody took over: staying MASTER"),
            Self::HandoverCalledOff { ours } => {
                write!(
                    f,
                    "Priority is {ours} again before a peer took over: staying MASTER"
                )
            }
            other => other.write_orders(f),
        }
    }

    /// The lines about adverts, after the name.
    fn write_adverts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeardLower {
                from,
                theirs,
                ours,
                answered,
            } => {
                let answer = if *answered {
                    ", forcing new election"
                } else {
                    ""
                };
                write!(
                    f,
                    "Received advert from {from} with lower priority {theirs}, ours {ours}{answer}"
                )
            }
            Self::YieldedToHigher { from, theirs, ours } => write!(
                f,
                "Master received advert from {from} with higher priority {theirs}, ours {ours}"
            ),
            Self::YieldedToHigherAddress { from, priority } => write!(
                f,
                "Master received advert from {from} with same priority {priority} \
                 but higher IP address than ours"
            ),
            Self::OwnAddressReceived => f.write_str(
                "WARNING - equal priority advert received from remote host with our IP address.",
            ),
            Self::DiscardedLower { from, theirs } => write!(
                f,
                "received lower priority ({theirs}) advert from {from} - discarding"
            ),
            Self::MasterSet(to) => write!(f, "master set to {to}"),
            Self::IntervalLearned { from, to } => write!(
                f,
                "advertisement interval updated from {}ms to {}ms by master",
                from.as_us() / 1_000,
                to.as_us() / 1_000
            ),
            Self::IntervalForgotten { from, to } => write!(
                f,
                "changing advert interval from {}ms to locally configured {}ms",
                from.as_us() / 1_000,
                to.as_us() / 1_000
            ),
            Self::PreemptDelayStarted(delay) => write!(
                f,
                "start preempt delay ({}.{:06})",
                delay.as_secs(),
                delay.as_us() % 1_000_000
            ),
            Self::PreemptDelayStopped => f.write_str("stop preempt delay"),
            Self::MasterChanged { from, to } => write!(f, "master changed from {from} to {to}"),
            other => other.write_owners(f),
        }
    }

    /// The lines about orders of an administrator, after the name.
    fn write_orders(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => write!(
                f,
                "Drained: counts with priority {DRAINED} until it is resumed"
            ),
            Self::AsksAnybody => {
                f.write_str("No better router is known: asking whoever is there to take over")
            }
            Self::Resumed => f.write_str("Resumed: not drained any more"),
            Self::PriorityOrdered { to, lasts } => {
                write!(f, "Priority {to} ordered{}", Lasting(*lasts))
            }
            Self::PriorityOrderEnded { to, in_time: true } => write!(
                f,
                "Priority {to} of the configuration counts again: the time of the order is over"
            ),
            Self::PriorityOrderEnded { to, in_time: false } => {
                write!(f, "Priority {to} of the configuration counts again")
            }
            Self::AnnouncesAgain => f.write_str("Announcing the VIPs again by order"),
            other => other.write_adverts(f),
        }
    }

    /// The lines about address owners, after the name.
    fn write_owners(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IgnoredAsOwner(from) => write!(
                f,
                "Dropping packet(s) from {from} since we are address owner"
            ),
            Self::TwoOwners(rival) => write!(
                f,
                "CONFIGURATION ERROR: local instance and {rival} are both configured as \
                 address owner, please resolve"
            ),
            Self::GaveWayToOwner(rival) => write!(
                f,
                "{rival} is still advertising as address owner, please resolve - \
                 reducing our priority"
            ),
            Self::OwnershipRestored { to, why } => {
                write!(f, "Restoring our priority to {to} since {why}")
            }
            other => other.write_addresses(f),
        }
    }

    /// The lines about VIPs in the kernel, after the name.
    fn write_addresses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SettingVips => f.write_str("setting VIPs."),
            Self::RemovingVips => f.write_str("removing VIPs."),
            Self::SettingDropRule => f.write_str("setting firewall drop rule"),
            Self::RemovingDropRule => f.write_str("removing firewall drop rule"),
            Self::SettingExcludedVips => f.write_str("setting E-VIPs."),
            Self::NoLongerExists(vip) => write!(
                f,
                "ip address {}/{} dev {}, no longer exist",
                vip.address, vip.prefix_length, vip.interface
            ),
            Self::RemovingExcludedVips => f.write_str("removing E-VIPs."),
            Self::SettingRoutes => f.write_str("setting Virtual Routes"),
            Self::RemovingRoutes => f.write_str("removing Virtual Routes"),
            Self::SettingRules => f.write_str("setting Virtual Rules"),
            Self::RemovingRules => f.write_str("removing Virtual Rules"),
            Self::Heals => f.write_str(
                "What others take away from a MASTER is put back: \
                 `keepalived-rs drain` moves it to another node",
            ),
            Self::GivesUpFight(pause) => write!(
                f,
                "Giving up a fight for {} s, or until a reload",
                pause.as_secs()
            ),
            Self::EndsPause => f.write_str("Trying again after a fight"),
            Self::Announcing { on, address } => {
                let what = match address {
                    IpAddr::V4(_) => "gratuitous ARPs",
                    IpAddr::V6(_) => "Unsolicited Neighbour Adverts",
                };
                write!(f, "Sending/queueing {what} on {on} for {address}")
            }
            Self::KernelRefused { adding, errno } => {
                let what = if *adding { "set" } else { "remove" };
                write!(f, "the kernel did not {what} every VIP: {errno}")
            }
            Self::TooManyVips { count, room } => write!(
                f,
                "Number of VIPs ({count}) exceeds maximum/space available in packet \
                 (max {room} addresses) - excess moved to eVIPs"
            ),
            other => other.write_rest(f),
        }
    }

    /// The other lines, after the name.
    fn write_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { from, reason } => reason.write(*from, f),
            Self::Contended(Contended {
                peer,
                priority,
                reason,
                ..
            }) => write!(
                f,
                "contended: {peer} is MASTER as well (priority {priority}), {reason} - {}",
                reason.fix()
            ),
            Self::NotContended {
                peer,
                lasted,
                silent,
            } => {
                let why = if *silent {
                    format_args!("{peer} sends no adverts any more")
                } else {
                    format_args!("this node is not MASTER any more")
                };
                write!(f, "not contended any more after {}: {why}", Ms(*lasted))
            }
            Self::VipCountDiffers { expected, received } => {
                write!(f, "expected {expected} VIPs but received {received}")
            }
            Self::VipMissing {
                address,
                from,
                vrid,
            } => write!(
                f,
                "ip address associated with VRID {vrid} not present in advert from {from}: {address}"
            ),
            Self::ClockSkew {
                from,
                skew_s,
                window_s,
            } => write!(
                f,
                "authentication clock skew {skew_s} sec from {from} \
                 approaching window {window_s} sec"
            ),
            Self::AdvertsSkipped(count) => {
                write!(f, "was held up so long that {count} adverts were not sent")
            }
            // Written by `write`.
            _ => Ok(()),
        }
    }
}

impl ScriptLine {
    fn write(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returns(status) => write!(f, "Script `{name}` now returning {status}"),
            Self::Succeeded => write!(f, "VRRP_Script({name}) succeeded"),
            Self::Failed(Outcome::Exited(status)) => {
                write!(
                    f,
                    "VRRP_Script({name}) failed (exited with status {status})"
                )
            }
            Self::Failed(Outcome::Signalled(signal)) => {
                write!(f, "VRRP_Script({name}) failed (due to signal {signal})")
            }
            Self::Failed(Outcome::NotRun(errno)) => {
                write!(f, "VRRP_Script({name}) failed (cannot be run: {errno})")
            }
            Self::TimedOut => write!(f, "VRRP_Script({name}) timed_out"),
            Self::Skipped { timing_out } => {
                let state = if *timing_out {
                    "being timed out"
                } else {
                    "already running"
                };
                write!(
                    f,
                    "Track script {name} is {state}, expect idle - skipping run"
                )
            }
        }
    }
}

/// The interface's name, or its number where the name is not known.
pub fn interface_name(name: Option<&str>, index: IfIndex) -> String {
    name.map_or_else(|| format!("interface {}", index.0), str::to_owned)
}

/// Seconds without the zeros at the end.
fn shortest(span: Interval) -> String {
    let text = span.to_string();
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_owned()
}
