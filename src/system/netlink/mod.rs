//! The netlink thread: addresses, routes and rules on and off, and news of links and
//! addresses.
//!
//! Changes are carried out strictly in the order in which they were asked for.
//! It is a thread of its own because a change may wait for the kernel's lock,
//! which adverts must not. It reports what the kernel says, and judges nothing.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc};

use crate::config::model::{Buffers, VirtualAddress};
use crate::ids::{Errno, IfIndex};
use crate::system::realtime::Thread;
use crate::vrrp::action::{Operation, Token};
use crate::vrrp::event::{InterfaceAddress, InterfaceState, LinkPart, LostWay};

use monitor::{Monitor, Table};
use names::Names;
use nftables::Firewall;
use own_links::OwnLinks;
pub use own_links::{LeftLink, clean_up_links};
use promotion::Promotion;
pub use promotion::stop_promoting;
use socket::RequestSocket;

mod address;
mod link;
mod link_kind;
mod metrics;
mod monitor;
mod names;
pub mod nftables;
mod operation;
mod own_links;
mod promotion;
mod route;
mod rule;
mod socket;

/// When a turn has cost so much, no other request is taken into it: as much as 64
/// addresses, which is about a millisecond.
const COST_OF_TURN: usize = 64;

/// What the thread tells. `All` always comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// An interface is new, or something of it changed: this is its present state.
    Interface(InterfaceState),
    /// An interface is gone.
    Gone(IfIndex),
    /// Every interface there is: at the start, and after news were lost.
    All(Vec<InterfaceState>),
    /// An address was taken off an interface that is still there, by us or by
    /// others. The state without it has been reported before.
    AddressRemoved {
        /// The interface.
        on: IfIndex,
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix_length: u8,
    },
    /// Duplicate address detection found that somebody else has an IPv6 address of an
    /// interface. The kernel does not use it. The state without it has been reported before.
    AddressDuplicate {
        /// The interface.
        on: IfIndex,
        /// The address.
        address: IpAddr,
    },
    /// A route or a rule with our protocol is gone, by us or by others.
    WayRemoved(LostWay),
    /// The kernel did not do one operation of a request; the others were tried all
    /// the same, and `Done` follows.
    Refused {
        /// The request.
        token: Token,
        /// What was refused.
        operation: Operation,
        /// Why. `ENODEV`: there is no such interface. `ENODATA`: a name, of a table say,
        /// is in no file of this machine.
        errno: Errno,
    },
    /// An interface that a request asked for is there, but without a part of what
    /// belongs to it. `Done` follows, and does not count it.
    LinkFlawed {
        /// Its name.
        link: String,
        /// What is missing.
        part: LinkPart,
        /// Why.
        errno: Errno,
    },
    /// A request has been carried out. What it changed has been reported before.
    Done {
        /// The request.
        token: Token,
        /// The first error, if any; the other operations were tried all the same.
        result: Result<(), Errno>,
    },
    /// Somebody else took away rules that drop packets; whether they are back.
    FirewallDisturbed(Result<(), Errno>),
    /// The thread cannot go on and has ended; nothing follows.
    Failed(Errno),
}

/// The way to the thread, which ends when this is dropped and all requests
/// before have been carried out.
#[derive(Debug)]
pub struct Handle {
    requests: mpsc::UnboundedSender<Request>,
    alarm: Arc<Notify>,
    thread: Thread,
    join: JoinHandle<()>,
    /// What is blocked stays so at the end.
    leaves_blocked: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Request {
    token: Token,
    operations: Vec<Operation>,
}

impl Request {
    /// In addresses. A link takes as long as many of them.
    fn cost(&self) -> usize {
        let costs = self.operations.iter().map(|operation| match operation {
            Operation::AddLink(_) | Operation::RemoveLink { .. } => COST_OF_TURN,
            _ => 1,
        });
        costs.sum()
    }
}

impl Handle {
    /// Starts the thread, in the network namespace and scheduling class of the
    /// caller. Changing addresses needs `CAP_NET_ADMIN`. The first report is `All`.
    pub fn start() -> io::Result<(Self, mpsc::UnboundedReceiver<Report>)> {
        Self::start_with(&Buffers::default(), nftables::Options::default())
    }

    /// The same with receive buffers of other sizes: that for answers as it is asked
    /// for, that for news no smaller than ours. What blocks addresses looks as
    /// `firewall` says, and goes away with the thread.
    pub fn start_with(
        buffers: &Buffers,
        firewall: nftables::Options,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Report>)> {
        let (requests, incoming) = mpsc::unbounded_channel();
        let (outgoing, reports) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        // Opened here, so that the caller gets the errors.
        let (monitor, requests_socket) = {
            let _inside = runtime.enter();
            let (monitor, requests) = (Monitor::open()?, RequestSocket::open()?);
            monitor.enlarge_buffer(buffers.vrrp_netlink_monitor);
            requests.set_buffer(buffers.vrrp_netlink_command);
            (monitor, requests)
        };
        let leaves_blocked = Arc::new(AtomicBool::new(false));
        let leaves = Arc::clone(&leaves_blocked);
        let alarm = Arc::new(Notify::new());
        let heard = Arc::clone(&alarm);
        let (begun, beginning) = std::sync::mpsc::sync_channel(1);
        let join = std::thread::Builder::new()
            .name("netlink".into())
            .spawn(move || {
                // The capacity is one: it never waits.
                let _ = begun.send(Thread::current());
                let mut kernel = Kernel {
                    socket: requests_socket,
                    names: Names::default(),
                    firewall: Firewall::new(firewall),
                    promotion: Promotion::default(),
                    own_links: OwnLinks::default(),
                };
                let end =
                    runtime.block_on(serve(monitor, &mut kernel, incoming, &heard, &outgoing));
                if !leaves.load(Ordering::Relaxed) {
                    // Nobody listens any more, and the next daemon begins by doing the same.
                    let _ = kernel.firewall.close();
                }
                if let Err(error) = end {
                    let errno = Errno(error.raw_os_error().unwrap_or(libc::EIO));
                    let _ = outgoing.send(Report::Failed(errno));
                }
            })?;
        // Fails only for a thread that is gone already, which its reports tell.
        let thread = beginning.recv().unwrap_or(Thread::current());
        let handle = Self {
            requests,
            alarm,
            thread,
            join,
            leaves_blocked,
        };
        Ok((handle, reports))
    }

    /// The thread.
    pub fn thread(&self) -> Thread {
        self.thread
    }

    /// Asks for these changes, after all that were asked for before. `Report::Done`
    /// with the token follows, unless the thread has failed. Never blocks.
    pub fn carry_out(&self, token: Token, operations: Vec<Operation>) {
        // The send fails only after `Report::Failed`.
        let _ = self.requests.send(Request { token, operations });
    }

    /// Wakes the thread up, for nothing: a processor that has just been awake begins
    /// sooner with what is asked for within the next tenths of a millisecond.
    pub fn wake_up(&self) {
        self.alarm.notify_one();
    }

    /// Waits until all requests have been carried out, and the firewall is open, unless
    /// `leaves_blocked`: what drops packets to addresses that stay has to stay, too.
    pub fn finish(self, leaves_blocked: bool) {
        self.leaves_blocked.store(leaves_blocked, Ordering::Relaxed);
        drop(self.requests);
        // A panic of the thread has ended the process already, or told the test.
        let _ = self.join.join();
    }
}

/// Takes these addresses off the interfaces that they name, and adds those that
/// were there to `removed`. For a process without a runtime; blocks until it is
/// done. An error does not stop it: the first is told when all have been tried.
pub fn clean_up(addresses: &[VirtualAddress], removed: &mut Vec<VirtualAddress>) -> io::Result<()> {
    let mut socket = RequestSocket::open()?;
    let interfaces = Table::read(&mut socket)?.states();
    let mut outcome = Ok(());
    for address in addresses {
        let Some(interface) = interfaces
            .iter()
            .find(|interface| *interface.name == *address.interface && is_on(address, interface))
        else {
            continue;
        };
        match address::remove(&mut socket, interface.index, address) {
            Ok(true) => removed.push(address.clone()),
            Ok(false) => {}
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// Carries out these operations, whatever the outcome of each. For a process without a
/// runtime; blocks until it is done. The first error is told when all have been tried.
pub fn take_out(operations: &[Operation]) -> io::Result<()> {
    let mut socket = RequestSocket::open()?;
    let mut names = Names::default();
    let outcomes = operations
        .iter()
        .map(|operation| operation::carry_out(&mut socket, &mut names, operation));
    let outcome = outcomes.fold(Ok(()), Result::and);
    outcome.map_err(|errno| io::Error::from_raw_os_error(errno.0))
}

/// Every interface there is, now. For a process without a runtime.
pub fn interfaces_now() -> io::Result<Vec<InterfaceState>> {
    Ok(Table::read(&mut RequestSocket::open()?)?.states())
}

/// Every interface as it is now, without its addresses, and whether it is of the hardware
/// type Ethernet.
///
/// # Errors
/// Whatever the kernel says.
pub fn links_now() -> io::Result<Vec<(InterfaceState, bool)>> {
    monitor::links(&mut RequestSocket::open()?)
}

/// Whether an interface has an address.
fn is_on(address: &VirtualAddress, interface: &InterfaceState) -> bool {
    interface.addresses.contains(&InterfaceAddress {
        address: address.address,
        prefix_length: address.prefix_length,
    })
}

/// The thread's life: until the handle is dropped, or the kernel fails us.
async fn serve(
    mut monitor: Monitor,
    kernel: &mut Kernel,
    mut requests: mpsc::UnboundedReceiver<Request>,
    alarm: &Notify,
    outgoing: &mpsc::UnboundedSender<Report>,
) -> io::Result<()> {
    let mut reports = vec![monitor.refill(&mut kernel.socket)?];
    loop {
        for report in reports.drain(..) {
            if outgoing.send(report).is_err() {
                return Ok(());
            }
        }
        let first = tokio::select! {
            ready = monitor.readable() => ready.map(|()| None)?,
            // Its errors are told by `heal`.
            _ = kernel.firewall.disturbed() => None,
            () = alarm.notified() => None,
            request = requests.recv() => match request {
                Some(request) => Some(request),
                None => return Ok(()),
            },
        };
        let asked = first.map_or_else(Vec::new, |first| together(first, &mut requests));
        let mut operations = asked.iter().flat_map(|request| &request.operations);
        let has_way = |it: &Operation| matches!(it, Operation::AddRoute(_) | Operation::AddRule(_));
        if operations.any(has_way) {
            monitor.watch_ways()?;
        }
        kernel.watch_firewall(&asked);
        if let Some(healed) = kernel.firewall.heal() {
            let healed = healed.map_err(errno_of);
            reports.push(Report::FirewallDisturbed(healed));
        }
        let outcomes = kernel.carry_out(&asked);
        // What the requests changed is known before they are called done.
        monitor.take(&mut kernel.socket, &mut reports)?;
        kernel.notice(&reports);
        reports.extend(outcomes);
    }
}

/// A request, and those that wait behind it. Of each interface the news come once for
/// all of them: where thousands of instances change their state at once, as many reports
/// of the addresses of an interface would be quadratic work. Few enough that the first
/// does not wait long for its answer.
fn together(first: Request, requests: &mut mpsc::UnboundedReceiver<Request>) -> Vec<Request> {
    let mut cost = first.cost();
    let mut asked = vec![first];
    while cost < COST_OF_TURN
        && let Ok(next) = requests.try_recv()
    {
        cost = cost.saturating_add(next.cost());
        asked.push(next);
    }
    asked
}

/// What requests are carried out with.
struct Kernel {
    socket: RequestSocket,
    names: Names,
    firewall: Firewall,
    promotion: Promotion,
    own_links: OwnLinks,
}

impl Kernel {
    /// Before the first address is blocked, or the first link guarded: others may take away
    /// what does that.
    fn watch_firewall(&mut self, requests: &[Request]) {
        let mut operations = requests.iter().flat_map(|request| &request.operations);
        let uses_it =
            |it: &Operation| matches!(it, Operation::Block { .. } | Operation::AddLink(_));
        if operations.any(uses_it)
            && let Err(error) = self.firewall.watch()
        {
            tracing::warn!("Unable to watch the firewall rules: {error}");
        }
    }

    /// Carries out every operation; what there is to report of each request, with its
    /// `Done` at the end. What goes together is asked of the kernel at once, whoever
    /// wants it.
    fn carry_out(&mut self, requests: &[Request]) -> Vec<Report> {
        let mut carried: Vec<Carried> = requests.iter().map(Carried::of).collect();
        let mut operations: Vec<(usize, &Operation)> = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            operations.extend(request.operations.iter().map(|it| (place, it)));
        }
        for run in operations.chunk_by(|(_, one), (_, next)| go_together(one, next)) {
            let outcomes = self.carry_out_run(run, &mut carried);
            for ((place, operation), outcome) in run.iter().zip(outcomes) {
                if let (Some(carried), Err(errno)) = (carried.get_mut(*place), outcome) {
                    carried.refuse(operation, errno);
                }
            }
        }
        carried
            .into_iter()
            .flat_map(Carried::into_reports)
            .collect()
    }

    /// Carries out operations that go together; the outcome of each.
    fn carry_out_run(
        &mut self,
        run: &[(usize, &Operation)],
        carried: &mut [Carried],
    ) -> Vec<Result<(), Errno>> {
        if run.iter().all(|(_, it)| address::is_change(it)) {
            let operations: Vec<&Operation> = run.iter().map(|(_, it)| *it).collect();
            let outcomes = address::change_together(&mut self.socket, &operations);
            return outcomes
                .into_iter()
                .map(|it| it.map_err(errno_of))
                .collect();
        }
        let links = run.iter().filter_map(|(_, it)| match it {
            Operation::RemoveLink { on, name } => Some((*on, name.as_str())),
            _ => None,
        });
        self.own_links.delete_together(&mut self.socket, links);
        let mut outcomes = Vec::with_capacity(run.len());
        for (place, operation) in run {
            let mut flaws = Vec::new();
            outcomes.push(self.carry_out_one(operation, &mut flaws));
            if let Some(carried) = carried.get_mut(*place) {
                carried.reports.append(&mut flaws);
            }
        }
        outcomes
    }

    fn carry_out_one(
        &mut self,
        operation: &Operation,
        reports: &mut Vec<Report>,
    ) -> Result<(), Errno> {
        let (socket, firewall) = (&mut self.socket, &mut self.firewall);
        let own_links = &mut self.own_links;
        let result = match operation {
            Operation::Block { on, address } => firewall.block(*on, *address),
            Operation::Unblock { on, address } => firewall.unblock(*on, *address),
            Operation::Promote { on } => self.promotion.begin(socket, *on),
            Operation::Unpromote { on } => self.promotion.end(socket, *on),
            Operation::AddLink(link) => own_links.add(socket, firewall, link).map(|flaws| {
                reports.extend(flaws.into_iter().map(|(part, errno)| Report::LinkFlawed {
                    link: link.name.clone(),
                    part,
                    errno,
                }));
            }),
            Operation::RemoveLink { on, name } => own_links.remove(socket, firewall, *on, name),
            other => return operation::carry_out(socket, &mut self.names, other),
        };
        result.map_err(errno_of)
    }

    /// Takes notice of interfaces that are gone.
    fn notice(&mut self, reports: &[Report]) {
        for report in reports {
            if let Report::Gone(index) = report {
                self.own_links.gone(&mut self.firewall, *index);
            }
        }
    }
}

/// Whether the kernel can be asked for both at once.
fn go_together(one: &Operation, next: &Operation) -> bool {
    let removes = |it: &Operation| matches!(it, Operation::RemoveLink { .. });
    address::is_change(one) && address::is_change(next) || removes(one) && removes(next)
}

/// What has become of a request so far.
struct Carried {
    token: Token,
    reports: Vec<Report>,
    /// The first error.
    result: Result<(), Errno>,
}

impl Carried {
    fn of(request: &Request) -> Self {
        Self {
            token: request.token,
            reports: Vec::new(),
            result: Ok(()),
        }
    }

    fn refuse(&mut self, operation: &Operation, errno: Errno) {
        self.result = self.result.and(Err(errno));
        self.reports.push(Report::Refused {
            token: self.token,
            operation: operation.clone(),
            errno,
        });
    }

    fn into_reports(self) -> impl Iterator<Item = Report> {
        let done = Report::Done {
            token: self.token,
            result: self.result,
        };
        self.reports.into_iter().chain(std::iter::once(done))
    }
}

fn errno_of(error: io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests;
