//! Drops packets to and from VIPs that a MASTER holds without being their owner
//! (`no_accept`, strict mode; RFC 9568 section 6.4.3, specification D.7), and what
//! VMACs would send of their own accord (specification F.12).
//!
//! Speaks to nf_tables itself: a failover runs no command. Everything lies in one
//! table for each family, which is ours alone and taken away as a whole, so that no
//! rule of anybody else is ever touched. Does not decide which address is blocked when, nor which
//! VMACs there are.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::config::model;
use crate::ids::IfIndex;
use crate::system::clock::now;

use super::socket::{ANSWER_LIMIT_S, BUFFER_BYTES, TYPE_ERROR, error_of, messages};
use message::{Batch, Family, Request};
use watch::Watch;

mod message;
mod rules;
mod watch;

/// As many fit into an attribute, whatever the set.
const ELEMENTS_PER_MESSAGE: usize = 1_000;

/// What the kernel is to take at once, in bytes: 100,000 elements.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// How the table looks (`nftables`, `nftables_priority`, `nftables_counters`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its name.
    pub table: String,
    /// Where its chains stand among those of others; a lower number comes first.
    pub priority: i32,
    /// Whether its rules count what they drop.
    pub counters: bool,
}

impl Default for Options {
    /// Those of C keepalived.
    fn default() -> Self {
        Self::from(&model::Firewall::default())
    }
}

impl From<&model::Firewall> for Options {
    /// What `vrrp_iptables` asks for is done here too, in the default table.
    fn from(firewall: &model::Firewall) -> Self {
        let table = firewall.nftables.as_deref();
        Self {
            table: table.unwrap_or("keepalived").to_owned(),
            priority: firewall.nftables_priority.unwrap_or(-1),
            counters: firewall.nftables_counters,
        }
    }
}

/// Takes away the tables of a daemon that is gone. That there are none is no error.
pub fn clean_up(options: Options) -> io::Result<()> {
    Firewall::new(options).clear()
}

/// A VMAC that must not be heard with what the kernel sends of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) on: IfIndex,
    /// The interface below, which sends its multicast reports.
    pub(super) parent: IfIndex,
}

/// What there is of the table of a family.
#[derive(Debug, Clone, Copy, Default)]
struct Made {
    table: bool,
    vips: bool,
    guards: bool,
}

/// One half of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Addresses.
    Vips,
    /// VMACs.
    Guards,
}

/// The tables of one daemon. Nothing is opened and nothing made before the first
/// address is blocked, or the first VMAC made.
#[derive(Debug)]
pub(super) struct Firewall {
    options: Options,
    socket: Option<Socket>,
    sequence: u32,
    /// Of IPv4 and IPv6.
    made: [Made; 2],
    guards: Vec<(model::Family, Guard)>,
    /// The port of the socket, by which the kernel names who did something.
    port: u32,
    /// What is blocked.
    blocked: BTreeSet<(IfIndex, IpAddr)>,
    watch: Option<Watch>,
}

impl Firewall {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            socket: None,
            sequence: 0,
            made: [Made::default(); 2],
            guards: Vec::new(),
            port: 0,
            blocked: BTreeSet::new(),
            watch: None,
        }
    }

    /// Drops what comes to `address` or goes out from it; a link-local one only on
    /// this interface. That it is blocked already is no error. If somebody took the
    /// table away, it is made again.
    pub(super) fn block(&mut self, on: IfIndex, address: IpAddr) -> io::Result<()> {
        let family = family_of(address);
        self.blocked.insert((on, address));
        self.make(family, Part::Vips)?;
        match self.change(Request::NewElement, on, address) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.make_anew(family),
            result => result,
        }
    }

    /// Lets it through again. That it is not blocked is no error.
    pub(super) fn unblock(&mut self, on: IfIndex, address: IpAddr) -> io::Result<()> {
        self.blocked.remove(&(on, address));
        if !self.made[place(family_of(address))].vips {
            return Ok(());
        }
        absent_is_fine(self.change(Request::DeleteElement, on, address))
    }

    /// Keeps a VMAC from being heard with reports of multicast groups, which leave by
    /// its parent, and with solicitations of routers. If somebody took the table away,
    /// it is made again.
    pub(super) fn guard(&mut self, family: model::Family, guard: Guard) -> io::Result<()> {
        if self.guards.contains(&(family, guard)) {
            return Ok(());
        }
        self.guards.push((family, guard));
        let result = self.add_guard(family.into(), guard);
        if result.is_err() {
            self.guards.retain(|it| *it != (family, guard));
        }
        result
    }

    /// Forgets a VMAC, which may be gone already.
    pub(super) fn unguard(&mut self, on: IfIndex) -> io::Result<()> {
        let mut outcome = Ok(());
        for (family, guard) in std::mem::take(&mut self.guards) {
            if guard.on == on {
                let removed = self.change_guard(Request::DeleteElement, family.into(), guard);
                outcome = outcome.and(absent_is_fine(removed));
            } else {
                self.guards.push((family, guard));
            }
        }
        outcome
    }

    fn add_guard(&mut self, family: Family, guard: Guard) -> io::Result<()> {
        self.make(family, Part::Guards)?;
        match self.change_guard(Request::NewElement, family, guard) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.make_anew(family),
            result => result,
        }
    }

    /// Begins to watch for others who take from the tables. Needs a tokio runtime with
    /// I/O; does nothing where it watches already.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        if self.watch.is_none() {
            self.watch = Some(Watch::open()?);
        }
        Ok(())
    }

    /// Waits until somebody else may have taken from the tables. May be dropped while it
    /// waits.
    pub(super) async fn disturbed(&self) -> io::Result<()> {
        match &self.watch {
            Some(watch) => watch.readable().await,
            None => std::future::pending().await,
        }
    }

    /// Puts everything back, if somebody else took something away; `None` if not, or if
    /// it fails as it did before. What fails is tried again.
    pub(super) fn heal(&mut self) -> Option<io::Result<()>> {
        let now = now();
        let watch = self.watch.as_mut()?;
        let healed = match watch.is_due(now, &self.options.table, self.port) {
            Ok(false) => return None,
            Ok(true) => self.make_all_anew(),
            Err(error) => return Some(Err(self.be_deaf(error))),
        };
        let watch = self.watch.as_mut()?;
        match watch.is_news(healed.is_ok(), now) {
            Ok(is_news) => is_news.then_some(healed),
            Err(error) => Some(Err(self.be_deaf(error))),
        }
    }

    /// Better deaf than turning without end.
    fn be_deaf(&mut self, error: io::Error) -> io::Error {
        self.watch = None;
        error
    }

    fn make_all_anew(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for family in [Family::Inet, Family::Inet6] {
            if self.made[place(family)].table {
                outcome = outcome.and(self.make_anew(family));
            }
        }
        outcome
    }

    /// Makes the table of a family with all that is blocked in it, in the place of
    /// whatever is there. At no moment it lets through what it blocked before.
    fn make_anew(&mut self, family: Family) -> io::Result<()> {
        let table = &self.options.table;
        let mut batch = Batch::new(self.sequence);
        // To take away what is not there would be an error.
        batch.ask(Request::NewTable, family, |it| it.text(1, table));
        batch.ask(Request::DeleteTable, family, |it| it.text(1, table));
        rules::create(&mut batch, family, &self.options);
        let has_vips = self.made[place(family)].vips
            || self.blocked.iter().any(|(_, it)| family_of(*it) == family);
        if has_vips {
            rules::create_vips(&mut batch, family, &self.options);
            self.add_blocked(&mut batch, family);
        }
        let of_family = |of: &model::Family| Family::from(*of) == family;
        let guards = self.guards.iter().filter(|(of, _)| of_family(of));
        let guards: Vec<Guard> = guards.map(|(_, guard)| *guard).collect();
        if !guards.is_empty() {
            rules::create_guards(&mut batch, family, &self.options);
        }
        for guard in &guards {
            ask_guard(&mut batch, Request::NewElement, family, table, *guard);
        }
        self.send(batch)?;
        self.made[place(family)] = Made {
            table: true,
            vips: has_vips,
            guards: !guards.is_empty(),
        };
        Ok(())
    }

    /// Adds everything that is blocked. In few messages: the kernel answers each, and
    /// has no room for thousands of answers.
    fn add_blocked(&self, batch: &mut Batch, family: Family) {
        let table = self.options.table.as_str();
        let (mut ipv4, mut ipv6, mut link_local) = (Vec::new(), Vec::new(), Vec::new());
        for (on, address) in &self.blocked {
            match (family, address) {
                (Family::Inet, IpAddr::V4(address)) => ipv4.push(address.octets()),
                (Family::Inet6, IpAddr::V6(address)) if address.is_unicast_link_local() => {
                    link_local.push(link_local_key(*on, *address));
                }
                (Family::Inet6, IpAddr::V6(address)) => ipv6.push(address.octets()),
                _ => {}
            }
        }
        add_elements(batch, family, table, rules::VIPS, &ipv4);
        add_elements(batch, family, table, rules::VIPS, &ipv6);
        add_elements(batch, family, table, rules::LINK_LOCAL, &link_local);
    }

    /// Takes away the tables that it has made.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if !self.made.iter().any(|made| made.table) {
            return Ok(());
        }
        self.clear()
    }

    /// Takes both tables away, whoever made them.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        self.blocked.clear();
        for family in [Family::Inet, Family::Inet6] {
            self.made[place(family)] = Made::default();
            let result = absent_is_fine(self.delete(family));
            outcome = outcome.and(result);
        }
        outcome
    }

    /// Makes a half of the table of a family, after what an earlier daemon may have left.
    /// If somebody took the table away, all of it is made again.
    fn make(&mut self, family: Family, part: Part) -> io::Result<()> {
        let made = self.made[place(family)];
        let is_there = match part {
            Part::Vips => made.vips,
            Part::Guards => made.guards,
        };
        if is_there {
            return Ok(());
        }
        if !made.table {
            absent_is_fine(self.delete(family))?;
        }
        let mut batch = Batch::new(self.sequence);
        if !made.table {
            rules::create(&mut batch, family, &self.options);
        }
        match part {
            Part::Vips => rules::create_vips(&mut batch, family, &self.options),
            Part::Guards => rules::create_guards(&mut batch, family, &self.options),
        }
        match self.send(batch) {
            Err(error) if made.table && error.raw_os_error() == Some(libc::ENOENT) => {
                return self.make_anew(family);
            }
            result => result?,
        }
        let made = &mut self.made[place(family)];
        made.table = true;
        match part {
            Part::Vips => made.vips = true,
            Part::Guards => made.guards = true,
        }
        Ok(())
    }

    fn delete(&mut self, family: Family) -> io::Result<()> {
        let mut batch = Batch::new(self.sequence);
        let table = &self.options.table;
        batch.ask(Request::DeleteTable, family, |it| it.text(1, table));
        self.send(batch)
    }

    fn change(&mut self, request: Request, on: IfIndex, address: IpAddr) -> io::Result<()> {
        let mut batch = Batch::new(self.sequence);
        let table = self.options.table.as_str();
        batch.ask(request, family_of(address), |it| match address {
            IpAddr::V4(address) => rules::elements(it, table, rules::VIPS, [address.octets()]),
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                let key = link_local_key(on, address);
                rules::elements(it, table, rules::LINK_LOCAL, [key]);
            }
            IpAddr::V6(address) => rules::elements(it, table, rules::VIPS, [address.octets()]),
        });
        self.send(batch)
    }

    fn change_guard(&mut self, request: Request, family: Family, guard: Guard) -> io::Result<()> {
        let mut batch = Batch::new(self.sequence);
        let table = self.options.table.as_str();
        ask_guard(&mut batch, request, family, table, guard);
        self.send(batch)
    }

    /// Sends a batch and waits for the outcome: the first error of the kernel.
    fn send(&mut self, batch: Batch) -> io::Result<()> {
        let first = self.sequence;
        let (bytes, last) = batch.finish();
        // The end of the batch has a number too.
        self.sequence = last.wrapping_add(2);
        let socket = match &mut self.socket {
            Some(socket) => socket,
            empty => {
                let (socket, port) = open()?;
                self.port = port;
                empty.insert(socket)
            }
        };
        socket.send(&bytes, 0)?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let mut outcome = Ok(());
        loop {
            buffer.clear();
            match socket.recv(&mut buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            for message in messages(&buffer) {
                let number = message.sequence.wrapping_sub(first);
                // What is left of an earlier batch lies far behind.
                if message.kind != TYPE_ERROR || number > last.wrapping_sub(first) {
                    continue;
                }
                outcome = outcome.and(error_of(message));
                // The whole batch is refused where it begins, or the last one is told.
                if message.sequence == last || (number == 0 && outcome.is_err()) {
                    return outcome;
                }
            }
        }
    }
}

fn open() -> io::Result<(Socket, u32)> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    let port = socket.bind_auto()?.port_number();
    socket.connect(&SocketAddr::new(0, 0))?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::seconds(ANSWER_LIMIT_S),
    )?;
    // A smaller one is enough for most.
    let _ = setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER_BYTES);
    Ok((socket, port))
}

/// Asks for a VMAC to be guarded, or not.
fn ask_guard(batch: &mut Batch, request: Request, family: Family, table: &str, guard: Guard) {
    batch.ask(request, family, |it| rules::guarded(it, table, guard));
    if family == Family::Inet6 {
        let key = guard.on.0.to_ne_bytes();
        batch.ask(request, family, |it| {
            rules::elements(it, table, rules::SILENT, [key]);
        });
    }
}

/// Asks for these elements of a set.
fn add_elements<const N: usize>(
    batch: &mut Batch,
    family: Family,
    table: &str,
    set: &str,
    keys: &[[u8; N]],
) {
    for keys in keys.chunks(ELEMENTS_PER_MESSAGE) {
        batch.ask(Request::NewElement, family, |it| {
            rules::elements(it, table, set, keys.iter().copied());
        });
    }
}

/// A link-local address with the number of its interface.
fn link_local_key(on: IfIndex, address: Ipv6Addr) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(&address.octets());
    key[16..].copy_from_slice(&on.0.to_ne_bytes());
    key
}

impl From<model::Family> for Family {
    fn from(family: model::Family) -> Self {
        match family {
            model::Family::Inet => Self::Inet,
            model::Family::Inet6 => Self::Inet6,
        }
    }
}

const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Inet,
        IpAddr::V6(_) => Family::Inet6,
    }
}

const fn place(family: Family) -> usize {
    match family {
        Family::Inet => 0,
        Family::Inet6 => 1,
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
