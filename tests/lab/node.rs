//! A machine on the segment: namespaces, the interface `eth0`, programs. It can
//! lose its link, lose its power, and come back.

use super::BRIDGE;
use super::failure::{Context, Failure, Result};
use super::frames::Mac;
use super::namespace::{self, Namespaces};
use super::netlink::{self, Ipv6Address};
use super::process::Process;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The interface of every node.
pub const INTERFACE: &str = "eth0";

/// The flag of an IPv6 address that cannot be used yet (linux/if_addr.h).
const TENTATIVE: u8 = 0x40;

/// A machine on the segment.
#[derive(Debug)]
pub struct Node {
    name: String,
    mac: Mac,
    address: Ipv4Addr,
    prefix_length: u8,
    port: String,
    running: Option<Running>,
}

/// What a power cut takes away.
#[derive(Debug)]
struct Running {
    namespaces: Namespaces,
    processes: Vec<Arc<Process>>,
}

impl Node {
    /// Makes a machine, switched on, without an interface.
    pub fn new(number: u8, name: &str, address: Ipv4Addr, prefix_length: u8) -> Result<Self> {
        let mut node = Self {
            name: name.to_owned(),
            mac: Mac([2, 0, 0, 0, 0, number]),
            address,
            prefix_length,
            port: format!("port{number}"),
            running: None,
        };
        node.power_on()?;
        Ok(node)
    }

    /// Its name, which is also its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hardware address of its interface.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Its own address on the segment.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Gives the node its interface, its address, and connects it.
    pub fn plug(&self) -> Result<()> {
        self.connect(&self.port, BRIDGE, INTERFACE, self.mac, self.address)
    }

    /// Gives the node one more interface, with an address on another segment.
    /// The port at the other end of the cable has the name that is given back.
    pub fn plug_into(&self, segment: &str, interface: &str, address: Ipv4Addr) -> Result<String> {
        let port = format!("{}{interface}", self.port);
        let mut mac = self.mac;
        mac.0[4] = 1;
        self.connect(&port, segment, interface, mac, address)?;
        Ok(port)
    }

    fn connect(
        &self,
        port: &str,
        segment: &str,
        interface: &str,
        mac: Mac,
        address: Ipv4Addr,
    ) -> Result<()> {
        let namespaces = &self.running()?.namespaces;
        let peer = format!("{port}in");
        netlink::add_veth(port, &peer)?;
        netlink::attach(port, segment)?;
        netlink::move_link(&peer, namespaces.network(), interface, mac.0)?;
        let prefix_length = self.prefix_length;
        self.inside(move || {
            netlink::add_address(interface, address, prefix_length)?;
            netlink::set_up(interface, true)
        })
    }

    /// Gives the interface IPv6: its link-local address and [`Node::ipv6_address`],
    /// without a search for duplicates.
    pub fn enable_ipv6(&self) -> Result<()> {
        let (address, link_local) = (self.ipv6_address(), self.link_local());
        self.inside(move || {
            let root = format!("/proc/sys/net/ipv6/conf/{INTERFACE}");
            for (setting, value) in [("accept_dad", "0"), ("disable_ipv6", "0")] {
                let path = format!("{root}/{setting}");
                std::fs::write(&path, value).context(path)?;
            }
            netlink::add_ipv6_address(INTERFACE, address, 64)?;
            // The kernel makes addresses good for use when it finds the time.
            let deadline = Instant::now() + Duration::from_secs(5);
            let ready = netlink::await_ipv6_addresses(INTERFACE, deadline, |found| {
                [address, link_local].iter().all(|wanted| {
                    let mut usable = found.iter().filter(|it| it.flags & TENTATIVE == 0);
                    usable.any(|it| it.address == *wanted)
                })
            })?;
            match ready {
                true => Ok(()),
                false => Err(Failure::new("the IPv6 addresses are not there")),
            }
        })
    }

    /// The global IPv6 address that it has with [`Node::enable_ipv6`].
    pub fn ipv6_address(&self) -> Ipv6Addr {
        let number = u16::from(self.mac.0[5]);
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number)
    }

    /// The link-local address that the kernel makes of the hardware address
    /// (RFC 4291 appendix A).
    pub fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac.0.map(u16::from);
        let (first, last) = ((a ^ 2) << 8 | b, e << 8 | f);
        Ipv6Addr::new(0xfe80, 0, 0, 0, first, c << 8 | 0xff, 0xfe00 | d, last)
    }

    /// The IPv6 addresses on the interface; none if the machine is off.
    pub fn ipv6_addresses(&self) -> Result<Vec<Ipv6Address>> {
        if self.running.is_none() {
            return Ok(Vec::new());
        }
        self.inside(|| netlink::ipv6_addresses(INTERFACE))
    }

    /// Removes the interface from the node.
    pub fn unplug(&self) -> Result<()> {
        netlink::remove_link(&self.port)
    }

    /// Takes the carrier from the interface, or gives it back: the interface
    /// stays, as when a cable is pulled.
    pub fn set_carrier(&self, connected: bool) -> Result<()> {
        netlink::set_up(&self.port, connected)
    }

    /// Cuts the node off from the segment, or connects it again, without its
    /// noticing: the carrier stays, as behind a broken switch.
    pub fn set_connected(&self, connected: bool) -> Result<()> {
        if connected {
            netlink::attach(&self.port, BRIDGE)
        } else {
            netlink::detach(&self.port)
        }
    }

    /// Sets the interface up or down inside the node, as an operator does.
    pub fn set_interface_up(&self, up: bool) -> Result<()> {
        self.inside(move || netlink::set_up(INTERFACE, up))?;
        let (address, prefix_length) = (self.address, self.prefix_length);
        if !up {
            return Ok(());
        }
        // IPv4 addresses stay on a link that goes down; this is for the case
        // that somebody removed it meanwhile.
        match self.addresses()?.iter().any(|(found, _)| *found == address) {
            true => Ok(()),
            false => self.inside(move || netlink::add_address(INTERFACE, address, prefix_length)),
        }
    }

    /// Gives the node one more interface, with a carrier, that leads nowhere.
    pub fn add_spare(&self, name: &str) -> Result<()> {
        let end = format!("{name}end");
        self.inside(|| {
            netlink::add_veth(name, &end)?;
            netlink::set_up(name, true)?;
            netlink::set_up(&end, true)
        })
    }

    /// Gives any interface of the node an address without a network.
    pub fn add_host_address(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        self.inside(|| netlink::add_address(name, address, 32))
    }

    /// Takes it off again.
    pub fn remove_host_address(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        self.inside(|| netlink::remove_address(name, address, 32))
    }

    /// Sets any interface of the node up or down.
    pub fn set_link_up(&self, name: &str, up: bool) -> Result<()> {
        self.inside(|| netlink::set_up(name, up))
    }

    /// A power cut: from one instant on nothing is heard from the machine, and
    /// none of its programs gets to know why. Its link is gone with it.
    pub fn power_off(&mut self) -> Result<()> {
        let plugged = netlink::index_of(&self.port).is_ok();
        if plugged {
            netlink::detach(&self.port)?;
        }
        if let Some(running) = &self.running {
            running.namespaces.kill();
        }
        if plugged {
            self.unplug()?;
        }
        self.end_processes();
        Ok(())
    }

    /// Makes the machine anew, without an interface and without programs.
    pub fn power_on(&mut self) -> Result<()> {
        let namespaces = Namespaces::new(&self.name)?;
        namespaces.run(|| netlink::set_up("lo", true))?;
        self.running = Some(Running {
            namespaces,
            processes: Vec::new(),
        });
        Ok(())
    }

    /// Whether the machine has power.
    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Runs `work` on a thread inside the node. It must not start threads.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.running()?
            .namespaces
            .run(work)
            .context(format!("node {}", self.name))
    }

    /// Starts a program in the node.
    pub fn start(
        &mut self,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Arc<Process>> {
        let mut command = Command::new(program);
        // Dump files go to a place that only this node sees.
        command
            .args(arguments)
            .env("TMPDIR", "/run")
            .envs(environment.iter().copied());
        command.current_dir("/");
        let name = format!("{} on {}", program.display(), self.name);
        let unwatched = self.inside(|| Process::start(&name, &mut command))?;
        let process = Arc::new(unwatched.watch());
        if let Some(running) = &mut self.running {
            running.processes.push(Arc::clone(&process));
        }
        Ok(process)
    }

    /// Writes a file in the node; only /run is private to it. A text that
    /// begins with `#!` becomes executable.
    pub fn write_file(&self, path: &str, contents: &str) -> Result<()> {
        self.inside(|| {
            std::fs::write(path, contents).context(path)?;
            let mode = if contents.starts_with("#!") {
                0o755
            } else {
                0o644
            };
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).context(path)
        })
    }

    /// Removes a file in the node.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        self.inside(|| std::fs::remove_file(path).context(path))
    }

    /// Copies a program of this machine into the node under another name.
    pub fn copy_program(&self, from: &Path, to: &str) -> Result<()> {
        self.inside(|| std::fs::copy(from, to).map(drop).context(to))
    }

    /// The contents of a file in the node.
    pub fn read_file(&self, path: &str) -> Result<String> {
        self.inside(|| std::fs::read_to_string(path).context(path))
    }

    /// The contents of a file in the node, text or not.
    pub fn read_file_bytes(&self, path: &str) -> Result<Vec<u8>> {
        self.inside(|| std::fs::read(path).context(path))
    }

    /// Lets the node see other contents in a file of this machine, which stays
    /// as it is.
    pub fn replace_file(&self, path: &str, contents: &str) -> Result<()> {
        let copy = format!("/run/instead{}", path.replace('/', "_"));
        self.write_file(&copy, contents)?;
        self.inside(|| namespace::bind(&copy, path))
    }

    /// The IPv4 addresses on the interface with their prefix lengths; none if
    /// the machine is off.
    pub fn addresses(&self) -> Result<Vec<(Ipv4Addr, u8)>> {
        if self.running.is_none() {
            return Ok(Vec::new());
        }
        self.inside(|| netlink::addresses(INTERFACE))
    }

    /// Waits until `address` is on the interface, or is not.
    pub fn await_address(
        &self,
        address: Ipv4Addr,
        there: bool,
        timeout: Duration,
    ) -> Result<Instant> {
        let deadline = Instant::now() + timeout;
        let reached = self.inside(|| {
            netlink::await_addresses(INTERFACE, deadline, |addresses| {
                addresses.iter().any(|(found, _)| *found == address) == there
            })
        })?;
        if reached {
            return Ok(Instant::now());
        }
        let verb = if there { "has" } else { "is rid of" };
        Err(Failure::new(format!(
            "not seen within {timeout:?}: {} {verb} {address}",
            self.name
        )))
    }

    /// Waits until an IPv6 address is not on the interface.
    pub fn await_ipv6_release(&self, address: Ipv6Addr, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let reached = self.inside(|| {
            netlink::await_ipv6_addresses(INTERFACE, deadline, |addresses| {
                addresses.iter().all(|found| found.address != address)
            })
        })?;
        if reached {
            return Ok(());
        }
        Err(Failure::new(format!(
            "not seen within {timeout:?}: {} is rid of {address}",
            self.name
        )))
    }

    /// Does `trigger` and waits until the kernel announces that `address` was
    /// removed from the interface, even if it comes back at once.
    pub fn await_removal(
        &self,
        address: Ipv4Addr,
        timeout: Duration,
        trigger: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Instant> {
        let removed = self.inside(|| netlink::await_removal(address, timeout, trigger))?;
        removed.ok_or_else(|| {
            Failure::new(format!(
                "not seen within {timeout:?}: {} gives up {address}",
                self.name
            ))
        })
    }

    /// Packets received and sent on the interface.
    pub fn counters(&self) -> Result<(u64, u64)> {
        self.inside(|| netlink::counters(INTERFACE))
    }

    /// The id by which [`process::send_signal`](super::process::send_signal)
    /// knows the process that is called `id` inside the node, for example by a
    /// pid file.
    pub fn outer_id(&self, id: u32) -> Result<u32> {
        let processes = self.processes()?;
        let found = processes.into_iter().find(|(_, inner, _)| *inner == id);
        found
            .map(|(outer, _, _)| outer)
            .ok_or_else(|| Failure::new(format!("no process {id} on {}", self.name)))
    }

    /// The processes of the node except its init: the id outside, the id
    /// inside, the short name.
    pub fn processes(&self) -> Result<Vec<(u32, u32, String)>> {
        let namespace = self.running()?.namespaces.process_namespace()?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").context("/proc")?.flatten() {
            let path = entry.path();
            // Processes come and go while this looks at them.
            let Ok(link) = std::fs::read_link(path.join("ns/pid")) else {
                continue;
            };
            if link.as_os_str() != namespace.as_str() {
                continue;
            }
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
            let outer = field("Pid:").and_then(|text| text.trim().parse().ok());
            let inner = field("NSpid:")
                .and_then(|text| text.split_whitespace().last())
                .and_then(|text| text.parse().ok());
            let name = field("Name:").unwrap_or_default().trim().to_owned();
            if let (Some(outer), Some(inner)) = (outer, inner)
                && inner != 1
            {
                found.push((outer, inner, name));
            }
        }
        Ok(found)
    }

    fn running(&self) -> Result<&Running> {
        self.running
            .as_ref()
            .ok_or_else(|| Failure::new(format!("node {} has no power", self.name)))
    }

    fn end_processes(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.namespaces.kill();
        // The kernel ends the namespaces only after our own children in them
        // are reaped; their watchers do that.
        for process in &running.processes {
            let _ = process.await_end(Duration::from_secs(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end_processes();
    }
}
