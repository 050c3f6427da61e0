//! What the engine asks for, carried out in its order: sockets, the kernel, gratuitous
//! ARP, scripts and mail, the log.

use std::io;
use std::net::IpAddr;

use crate::ids::{IfIndex, MacAddress};
use crate::system::clock::now;
use crate::system::scripts::Notice;
use crate::system::sockets::receivers::Key;
use crate::system::sockets::rx::Receiver;
use crate::system::{fifo, settings};
use crate::vrrp::action::{
    Action, GroupNotification, LowerPriorityHeard, Notification, Operation, Token,
};
use crate::vrrp::log_lines::LogLine;
use crate::wire::frames::{gratuitous_arp, neighbour_advert};

use super::super::buffers::receive_bytes;
use super::super::channel::ToSupervisor;
use super::super::notices;
use super::super::process;
use super::super::status::events;
use super::Reactor;

/// Of an interface that is not known.
const DEFAULT_MTU: u32 = 1500;

impl Reactor {
    /// Carries out what the engine asks for.
    pub(super) fn act(&mut self) -> io::Result<()> {
        while let Some(action) = self.engine.poll() {
            match action {
                Action::Listen {
                    on,
                    family,
                    carrier,
                    group,
                } => self.listen((on, family, carrier), group)?,
                Action::Leave {
                    on,
                    family,
                    carrier,
                    group,
                } => self.leave((on, family, carrier), group),
                Action::Relisten { on } => self.listen_anew(on),
                Action::Unlisten {
                    on,
                    family,
                    carrier,
                } => {
                    self.receivers.remove((on, family, carrier));
                }
                Action::Kernel { token, operations } => self.kernel(token, operations),
                Action::Announce {
                    on,
                    mac,
                    address,
                    router,
                } => self.announce(on, mac, address, router),
                Action::Run { id, command } => self.tell(&ToSupervisor::RunScript { id, command }),
                Action::End(id) => self.tell(&ToSupervisor::EndScript { id }),
                Action::Notify(notification) => self.notify(&notification),
                Action::NotifyGroup(notification) => self.notify_group(&notification),
                Action::NotifyLowerPriority(told) => self.notify_lower_priority(&told),
                Action::NotifyPriority(told) => self.fifos.write(&fifo::line_of_priority(&told)),
                Action::FindCulprits => self.find_culprits(),
                Action::Log(line) => {
                    self.events.tell(|| events::Event::of_line(&line));
                    self.lines.push(line);
                }
                Action::Ready => {
                    self.signs.changed(now());
                    self.standings_due = true;
                    self.tell(&ToSupervisor::Ready);
                }
                Action::Stopped => {
                    self.tell(&ToSupervisor::Stopped);
                    self.stopped = true;
                }
            }
            if self.is_deadline_urgent() {
                self.expire_between()?;
            }
        }
        for line in self.lines.drain(..) {
            log(&line);
        }
        Ok(())
    }

    /// An instance that cannot hear must not run: every error but a vanished
    /// interface ends the worker.
    fn listen(&mut self, key: Key, group: Option<IpAddr>) -> io::Result<()> {
        let (on, family, carrier) = key;
        let opened = match (self.receivers.get_mut(key), group) {
            (Some(receiver), Some(group)) => receiver.join(group),
            (Some(_), None) => Ok(()),
            (None, group) => Receiver::open(on, family, carrier, group)
                .and_then(|receiver| self.receivers.insert(key, receiver))
                .map(|()| self.set_buffer(key)),
        };
        match opened {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => {
                // What came in meanwhile is read before the next deadline.
                self.more = true;
                other.inspect_err(|error| self.tell_of_deafness(on, error))
            }
        }
    }

    /// Says why the worker ends, and the way out.
    fn tell_of_deafness(&self, on: IfIndex, error: &io::Error) {
        let interface = self.engine.interface_at(on);
        let name = interface.map_or("any", |interface| interface.name.as_str());
        let help = match error.raw_os_error() {
            Some(libc::EMFILE) => format!(
                "; {} may be open, and each virtual MAC takes one: raise the hard limit \
                 (LimitNOFILE= of the service, ulimit -Hn)",
                process::files_max()
            ),
            _ => String::new(),
        };
        tracing::error!("Unable to listen on interface {name}: {error}{help}");
    }

    /// Gives a receive socket the buffer that the configuration asks for.
    pub(super) fn set_buffer(&self, key: Key) {
        let Some(receiver) = self.receivers.get(key) else {
            return;
        };
        let interface = self.engine.interface_at(key.0);
        let mtu = interface.map_or(DEFAULT_MTU, |interface| interface.mtu);
        let bytes = receive_bytes(self.engine.config(), mtu, |instance| {
            // One without an interface is heard wherever it has an address.
            interface.is_none_or(|it| self.engine.is_on(instance, it)) && instance.family() == key.1
        });
        if let Err(error) = receiver.set_buffer(bytes) {
            tracing::info!("Unable to set a receive buffer of {bytes} bytes: {error}");
        }
    }

    /// Where the interface has lost an address family, groups are joined again when it is
    /// back, which is told, too.
    fn listen_anew(&self, on: IfIndex) {
        for (key, receiver) in self.receivers.iter().filter(|(key, _)| key.0 == on) {
            if let Err(error) = receiver.join_anew() {
                tracing::info!("Unable to listen anew on interface {}: {error}", on.0);
            }
            self.set_buffer(key);
        }
    }

    fn leave(&mut self, key: Key, group: IpAddr) {
        if let Some(Err(error)) = self.receivers.get_mut(key).map(|it| it.leave(group)) {
            tracing::info!(
                "Unable to leave group {group} on interface {}: {error}",
                key.0.0
            );
        }
    }

    fn kernel(&mut self, token: Token, mut operations: Vec<Operation>) {
        if self.stopping && self.settings.keep_addresses {
            operations.retain(Operation::adds);
        }
        for operation in &operations {
            if let Operation::Promote { on } = operation {
                self.note_promotion(*on);
            }
        }
        self.netlink.carry_out(token, operations);
    }

    /// The supervisor knows the interfaces that were there when it read the
    /// configuration; this one may have come later.
    fn note_promotion(&mut self, on: IfIndex) {
        let interface = self.engine.interface_at(on);
        if interface.is_some_and(|interface| settings::promotes(&interface.name) == Some(false)) {
            self.tell(&ToSupervisor::Promotes(on.0));
        }
    }

    fn announce(&mut self, on: IfIndex, mac: MacAddress, address: IpAddr, router: bool) {
        let (sent, what) = match address {
            IpAddr::V4(address) => {
                let frame = gratuitous_arp(mac, address);
                (self.arp.send(on, &frame), "gratuitous ARP")
            }
            IpAddr::V6(address) => {
                let frame = neighbour_advert(mac, address, router);
                (self.arp.send(on, &frame), "unsolicited Neighbour Advert")
            }
        };
        if let Err(errno) = sent {
            tracing::info!(
                "Error {} ({errno}) sending {what} on interface {} for {address}",
                errno.0,
                on.0
            );
        }
    }

    /// One look is enough for all who ask meanwhile.
    fn find_culprits(&mut self) {
        if !std::mem::replace(&mut self.seeks_culprits, true) {
            self.tell(&ToSupervisor::FindCulprits);
        }
    }

    fn notify(&mut self, told: &Notification) {
        self.signs.changed(now());
        if self.engine.config().globals.dbus.enabled {
            let message = self.teller.announced(told);
            self.tell(&message);
        }
        self.events.tell(|| Some(events::Event::of_state(told)));
        self.mailer.send(told);
        self.run_notify(notices::of_instance(told));
        self.fifos.write(&fifo::line_of(told));
    }

    fn notify_group(&mut self, told: &GroupNotification) {
        self.events.tell(|| Some(events::Event::of_group(told)));
        self.mailer.send_group(told);
        self.run_notify(notices::of_group(told));
        self.fifos.write(&fifo::line_of_group(told));
    }

    /// Besides the FIFOs only the script for it is told, without arguments
    /// (specification F.4).
    fn notify_lower_priority(&mut self, told: &LowerPriorityHeard) {
        self.run_notify(notices::of_lower_priority(told));
        self.fifos.write(&fifo::line_of_lower_priority(told));
    }

    fn run_notify(&mut self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            self.tell(&ToSupervisor::RunNotify(notice));
        }
    }
}

fn log(line: &LogLine) {
    if line.is_detail() {
        tracing::debug!("{line}");
    } else {
        tracing::info!("{line}");
    }
}
