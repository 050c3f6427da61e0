//! What the world does to nodes and wires.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::time::{Instant, Interval};
use crate::vrrp::event::Envelope;
use crate::vrrp::orders::Order;

use super::delivery::{forgery, noise};
use super::edits::Edit;
use super::kernel::Report;
use super::monitor::Watch;
use super::network::Quality;
use super::node::{Arrival, Behaviour, News};
use super::trace::What;
use super::world::{Occurrence, World};

/// A node that stands still is asked again after this.
const AGAIN: Interval = Interval::from_ms(100);

/// One thing that the world does. Nodes are named by their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The daemon starts, on a node that has power again.
    Start(usize),
    /// The daemon is told to stop.
    Stop(usize),
    /// The power goes off.
    PowerOff(usize),
    /// The daemon and its supervisor are killed; what they set up stays.
    Kill(usize),
    /// The daemon stands still for so long, then makes a late turn.
    Pause(usize, Interval),
    /// A link goes down or comes up.
    Link {
        /// Where.
        node: usize,
        /// The interface.
        interface: String,
        /// Up, or down.
        up: bool,
    },
    /// An interface is deleted and made again.
    Recreate {
        /// Where.
        node: usize,
        /// The interface.
        interface: String,
    },
    /// Somebody takes a VIP away.
    TakeAway {
        /// Where.
        node: usize,
        /// The VIP.
        address: IpAddr,
    },
    /// A script does something else from now on.
    Script {
        /// Where.
        node: usize,
        /// Its name.
        script: String,
        /// What it does.
        behaviour: Behaviour,
    },
    /// Another number is written into a tracked file.
    Number {
        /// Where.
        node: usize,
        /// The name of its block.
        file: String,
        /// The number.
        number: i32,
    },
    /// So many of a tracked process run from now on.
    Processes {
        /// Where.
        node: usize,
        /// The name of its block.
        process: String,
        /// How many.
        count: u32,
    },
    /// A wire is cut or mended, in one direction.
    Cut {
        /// From this node.
        from: usize,
        /// To this one.
        to: usize,
        /// Cut, or mended.
        cut: bool,
    },
    /// The same in one segment only.
    CutLeg {
        /// From this node.
        from: usize,
        /// To this one.
        to: usize,
        /// The segment.
        segment: usize,
        /// Cut, or mended.
        cut: bool,
    },
    /// The calendar of a node is set.
    Clock {
        /// Where.
        node: usize,
        /// So far ahead of everybody's.
        ahead_us: i64,
    },
    /// A datagram that reached a node before reaches it again.
    Again(usize),
    /// The same, with an octet changed.
    Forged(usize),
    /// All wires are this good.
    Quality(Quality),
    /// One operation of the kernel takes this long.
    KernelTakes(usize, Interval),
    /// So many operations of the kernel fail.
    KernelFails(usize, u32),
    /// A reload.
    Reload {
        /// Where.
        node: usize,
        /// What is changed before it.
        edit: Edit,
    },
    /// An administrator orders something.
    Order {
        /// Where.
        node: usize,
        /// What.
        order: Order,
    },
    /// A datagram of nobody's arrives.
    Noise {
        /// Where.
        node: usize,
        /// The virtual router that it may speak of.
        vrid: u8,
    },
}

/// A fault and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// When.
    pub at: Instant,
    /// What.
    pub fault: Fault,
}

impl Fault {
    /// In words, with the names of the nodes.
    pub fn in_words(&self, names: &[String]) -> String {
        let name = |node: usize| names.get(node).map_or("?", String::as_str);
        match self {
            Self::Start(node) => format!("start {}", name(*node)),
            Self::Stop(node) => format!("stop {}", name(*node)),
            Self::PowerOff(node) => format!("power off {}", name(*node)),
            Self::Kill(node) => format!("kill {}, VIPs stay", name(*node)),
            Self::Pause(node, span) => format!("pause {} for {span} s", name(*node)),
            Self::Link {
                node,
                interface,
                up,
            } => {
                let state = if *up { "up" } else { "down" };
                format!("link {} {interface} {state}", name(*node))
            }
            Self::Recreate { node, interface } => {
                format!("recreate {} {interface}", name(*node))
            }
            Self::TakeAway { node, address } => {
                format!("take {address} away from {}", name(*node))
            }
            Self::Script {
                node,
                script,
                behaviour,
            } => {
                let what = match behaviour {
                    Behaviour::Exits(0) => "works".to_owned(),
                    Behaviour::Exits(status) => format!("exits with {status}"),
                    Behaviour::Hangs => "hangs".to_owned(),
                };
                format!("script {script} of {} {what}", name(*node))
            }
            Self::Number { node, file, number } => {
                format!("file {file} of {} has {number} in it", name(*node))
            }
            Self::Processes {
                node,
                process,
                count,
            } => format!("{count} of {process} run on {}", name(*node)),
            Self::Cut { from, to, cut } => {
                let what = if *cut { "cut" } else { "mend" };
                format!("{what} {} -> {}", name(*from), name(*to))
            }
            Self::CutLeg {
                from,
                to,
                segment,
                cut,
            } => {
                let what = if *cut { "cut" } else { "mend" };
                format!(
                    "{what} {} -> {} in segment {segment}",
                    name(*from),
                    name(*to)
                )
            }
            Self::Clock { node, ahead_us: us } => format!("clock of {} {us} us ahead", name(*node)),
            Self::Again(node) => format!("{} hears an advert again", name(*node)),
            Self::Forged(node) => format!("{} hears a forged advert", name(*node)),
            Self::Quality(quality) => format!("{quality}"),
            Self::KernelTakes(node, span) => {
                format!("kernel of {} takes {span} s for an operation", name(*node))
            }
            Self::KernelFails(node, count) => {
                format!("kernel of {} fails {count} times", name(*node))
            }
            Self::Reload { node, edit } => {
                format!("reload {} with {}", name(*node), edit.in_words())
            }
            Self::Order { node, order } => format!("order {order} at {}", name(*node)),
            Self::Noise { node, vrid } => format!("noise at {} for VRID {vrid}", name(*node)),
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "wires: of a million {} lost, {} doubled, {} late; {} s and up to {} s more",
            self.loss_per_million,
            self.twice_per_million,
            self.late_per_million,
            self.delay,
            self.jitter
        )
    }
}

impl World {
    /// Does it now.
    pub(super) fn apply(&mut self, fault: Fault) {
        // Noise is a datagram, and no news to people.
        if !matches!(fault, Fault::Noise { .. }) {
            let text = fault.in_words(&self.names());
            self.record(None, What::Event(text));
        }
        match fault {
            Fault::Start(node) => self.start(node),
            Fault::Stop(node) => self.resume_and_stop(node),
            Fault::PowerOff(node) => self.power_off(node),
            Fault::Kill(node) => self.end_daemon(node),
            Fault::Pause(node, span) => self.pause(node, span),
            Fault::Link {
                node,
                interface,
                up,
            } => self.set_link(node, &interface, up),
            Fault::Recreate { node, interface } => self.recreate(node, &interface),
            Fault::TakeAway { node, address } => self.take_away(node, address),
            Fault::Script {
                node,
                script,
                behaviour,
            } => {
                if let Some(here) = self.nodes.get_mut(node) {
                    here.behaviours.insert(script, behaviour);
                }
            }
            Fault::Number { node, file, number } => self.set_number(node, file, number),
            Fault::Processes {
                node,
                process,
                count,
            } => self.set_count(node, process, count),
            Fault::Cut { from, to, cut } => self.network.set_cut(from, to, cut),
            Fault::CutLeg {
                from,
                to,
                segment,
                cut,
            } => self.network.set_leg_cut(from, to, segment, cut),
            Fault::Clock { node, ahead_us } => self.set_clock(node, ahead_us),
            Fault::Again(node) => self.again(node, false),
            Fault::Forged(node) => self.again(node, true),
            Fault::Quality(quality) => self.network.set_all(quality),
            Fault::KernelTakes(node, span) => {
                if let Some(here) = self.nodes.get_mut(node) {
                    here.kernel.latency = span;
                }
            }
            Fault::KernelFails(node, count) => {
                if let Some(here) = self.nodes.get_mut(node) {
                    here.kernel.failing = count;
                }
            }
            Fault::Reload { node, edit } => self.edit(node, edit),
            Fault::Order { node, order } => self.order(node, &order),
            Fault::Noise { node, vrid } => self.noise(node, vrid),
        }
    }

    /// Who stands still reads nothing; what is taken back is taken back when it can be.
    fn edit(&mut self, node: usize, edit: Edit) {
        let Some(here) = self.nodes.get(node) else {
            return;
        };
        if here.paused {
            if edit == Edit::Back {
                let at = self.now + AGAIN;
                self.push(at, Occurrence::Fault(Fault::Reload { node, edit }));
            }
            return;
        }
        let config = edit.apply(&here.config, &here.original);
        self.reload(node, config);
    }

    fn resume_and_stop(&mut self, node: usize) {
        if self.nodes.get(node).is_some_and(|here| here.paused) {
            self.resume(node);
        }
        self.stop(node);
    }

    fn end_daemon(&mut self, node: usize) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let names: Vec<_> = here.watches.iter().map(|it| it.name.clone()).collect();
        here.forget_daemon();
        for instance in names {
            self.record(Some(node), What::Ended { instance });
        }
    }

    fn power_off(&mut self, node: usize) {
        self.end_daemon(node);
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let added: Vec<IpAddr> = here.kernel.added().collect();
        here.kernel.reboot();
        for address in added {
            self.record(Some(node), What::Removed(address));
        }
    }

    fn pause(&mut self, node: usize, span: Interval) {
        let at = self.now + span;
        let Some(here) = self.nodes.get_mut(node).filter(|here| here.is_awake()) else {
            return;
        };
        here.paused = true;
        let boot = here.boot;
        self.push(at, Occurrence::Resumes { node, boot });
    }

    fn set_link(&mut self, node: usize, interface: &str, up: bool) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let Some(interface) = here.kernel.by_name(interface) else {
            return;
        };
        interface.state.up = up;
        let report = Report::Interface(interface.state.clone());
        self.tell_soon(node, vec![report]);
    }

    fn set_number(&mut self, node: usize, name: String, value: i32) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let mut files = here.config.track_files.iter();
        let file = files.find(|file| file.name == name).map(Arc::clone);
        here.found.numbers.insert(name, value);
        if let Some(file) = file {
            self.news(node, News::File { file, value });
        }
    }

    fn set_count(&mut self, node: usize, name: String, count: u32) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let mut processes = here.config.track_processes.iter();
        let process = processes.find(|it| it.name == name).map(Arc::clone);
        here.found.counts.insert(name, count);
        if let Some(process) = process {
            self.news(node, News::Processes { process, count });
        }
    }

    fn recreate(&mut self, node: usize, interface: &str) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let before: Vec<IpAddr> = here.kernel.added().collect();
        let reports = here.kernel.recreate(interface);
        let after: Vec<IpAddr> = here.kernel.added().collect();
        for address in before.into_iter().filter(|it| !after.contains(it)) {
            self.record(Some(node), What::Removed(address));
        }
        self.tell_soon(node, reports);
    }

    fn take_away(&mut self, node: usize, address: IpAddr) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let reports = here.kernel.take_away(address);
        if !reports.is_empty() {
            self.record(Some(node), What::Removed(address));
        }
        self.tell_soon(node, reports);
    }

    fn set_clock(&mut self, node: usize, ahead_us: i64) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        here.ahead_us = ahead_us;
        here.watches.iter_mut().for_each(Watch::forget_newest);
        for node in &mut self.nodes {
            node.was_deceived = true;
        }
        self.tell_time(node);
    }

    fn again(&mut self, node: usize, forged: bool) {
        let Some(here) = self.nodes.get(node).filter(|here| here.is_awake()) else {
            return;
        };
        let recent = here.recent.as_slices().0;
        let Some(mut arrival) = self.random.pick(recent).cloned() else {
            return;
        };
        if forged {
            let Some(forgery) = forgery(&arrival, &mut self.random) else {
                return;
            };
            arrival = forgery;
        }
        if let Some(here) = self.nodes.get_mut(node) {
            here.was_deceived = true;
        }
        self.datagram(node, &arrival);
    }

    fn noise(&mut self, node: usize, vrid: u8) {
        let bytes = noise(&mut self.random, vrid);
        let Some(here) = self.nodes.get(node).filter(|here| here.is_awake()) else {
            return;
        };
        let Some(interface) = here.kernel.interfaces.first() else {
            return;
        };
        let arrival = Arrival {
            from: node,
            on: interface.state.index,
            source: IpAddr::from([10, 0, 0, 99]),
            envelope: Envelope::Ipv4,
            bytes: Rc::from(bytes),
            forged: false,
        };
        self.datagram(node, &arrival);
    }
}
