//! Drops packets to and from VIPs that a MASTER holds without being their owner
//! (`no_accept`, strict mode; RFC 9568 section 6.4.3, specification D.7).
//!
//! Speaks to nf_tables itself: a failover runs no command. Everything lies in one
//! table for each family, which is ours alone and taken away as a whole, so that no
//! rule of anybody else is ever touched. Does not decide which address is blocked when.

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

/// The tables of one daemon. Nothing is opened and nothing made before the first
/// address is blocked.
#[derive(Debug)]
pub(super) struct Firewall {
    options: Options,
    socket: Option<Socket>,
    sequence: u32,
    /// The port of the socket, by which the kernel names who did something.
    port: u32,
    /// Which families have their table: IPv4, IPv6.
    made: [bool; 2],
    /// What is blocked.
    blocked: BTreeSet<(IfIndex, IpAddr)>,
    watch: Option<Watch>,
}

impl Firewall {
    pub(super) const fn new(options: Options) -> Self {
        Self {
            options,
            socket: None,
            sequence: 0,
            port: 0,
            made: [false; 2],
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
        self.make(family)?;
        match self.change(Request::NewElement, on, address) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.make_anew(family),
            result => result,
        }
    }

    /// Lets it through again. That it is not blocked is no error.
    pub(super) fn unblock(&mut self, on: IfIndex, address: IpAddr) -> io::Result<()> {
        self.blocked.remove(&(on, address));
        if !self.made[place(family_of(address))] {
            return Ok(());
        }
        absent_is_fine(self.change(Request::DeleteElement, on, address))
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

    /// Puts everything back, if somebody else took something away; `None` if not.
    pub(super) fn heal(&mut self) -> Option<io::Result<()>> {
        let watch = self.watch.as_mut()?;
        match watch.is_due(now(), &self.options.table, self.port) {
            Ok(false) => None,
            Ok(true) => {
                let families = [Family::Inet, Family::Inet6];
                let mut made = families.into_iter().filter(|it| self.made[place(*it)]);
                let made: Vec<Family> = made.by_ref().collect();
                if made.is_empty() {
                    return None;
                }
                Some(made.into_iter().try_for_each(|it| self.make_anew(it)))
            }
            Err(error) => {
                // Better deaf than turning without end.
                self.watch = None;
                Some(Err(error))
            }
        }
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
        self.add_blocked(&mut batch, family);
        self.send(batch)
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
        if self.made == [false; 2] {
            return Ok(());
        }
        self.clear()
    }

    /// Takes both tables away, whoever made them.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        self.blocked.clear();
        for family in [Family::Inet, Family::Inet6] {
            self.made[place(family)] = false;
            let result = absent_is_fine(self.delete(family));
            outcome = outcome.and(result);
        }
        outcome
    }

    /// Makes the table of a family, after what an earlier daemon may have left.
    fn make(&mut self, family: Family) -> io::Result<()> {
        if self.made[place(family)] {
            return Ok(());
        }
        absent_is_fine(self.delete(family))?;
        let mut batch = Batch::new(self.sequence);
        rules::create(&mut batch, family, &self.options);
        self.send(batch)?;
        self.made[place(family)] = true;
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
