//! What is said of a virtual server when all is read: defaults, and what does not
//! fit together (keepalived-lvs.md A.1, A.3).

use std::collections::{HashMap, HashSet};

use super::super::super::super::diagnostic::{Collector, Diagnostic};
use super::super::virtual_server_group as group;
use super::super::{self as lvs, Method, real_server};
use super::{Draft, Service};

/// Defaults, and what does not fit together.
pub fn complete(draft: &lvs::Draft, found: &mut Collector) {
    let mut groups: HashMap<&str, &group::Draft> = HashMap::new();
    for group in &draft.groups {
        groups.entry(&group.name).or_insert(group);
    }
    let mut sequences: HashMap<&str, usize> = HashMap::new();
    for server in &draft.virtual_servers {
        let (mut group, mut sequence) = (None, 0);
        if let Service::Group(name) = &server.service {
            // C drops it without counting it.
            let Some(known) = groups.get(name.as_str()) else {
                let text = format!("Virtual server group {name} is not known - ignoring it");
                let hint = Diagnostic::hint("unknown-group", text);
                found.push(hint.at(&server.keyword).after_reading());
                continue;
            };
            let next = sequences.entry(name).or_default();
            sequence = *next;
            *next = next.saturating_add(1);
            group = Some(*known);
        }
        let mut check = Check {
            server,
            group,
            sequence,
            name: server.shown(server.protocol.unwrap_or("none"), sequence),
            found: &mut *found,
        };
        check.run();
    }
}

/// The checks of one virtual server after reading.
struct Check<'a> {
    server: &'a Draft,
    group: Option<&'a group::Draft>,
    sequence: usize,
    name: String,
    found: &'a mut Collector,
}

impl<'a> Check<'a> {
    fn run(&mut self) {
        let name = &self.name;
        if self.server.real_servers.is_empty() {
            let text = format!("Virtual server {name} has no real servers - ignoring");
            self.tell("no-real-server", text);
            return;
        }
        if !self.is_of_the_family_of_its_group() {
            return;
        }
        let protocol = self.protocol();
        let real_servers = self.distinct_servers(protocol);
        self.service(protocol);
        self.scheduler_and_method(&real_servers);
        self.quorum(&real_servers);
        self.ports(&real_servers, protocol);
    }

    /// C says nothing and drops the server; so nothing else is said of it.
    fn is_of_the_family_of_its_group(&mut self) -> bool {
        let (Some(group), Some(is_ipv4)) = (self.group, self.server.is_ipv4) else {
            return true;
        };
        let is_other = match is_ipv4 {
            true => group.has_ipv6 && !group.has_ipv4,
            false => group.has_ipv4 && !group.has_ipv6,
        };
        if is_other {
            let text = format!(
                "Virtual server {}: its group and its real servers are of different address \
                 families - ignoring it",
                self.name
            );
            let hint = Diagnostic::hint("address-family", text).at(&self.server.keyword);
            self.found.push(hint.after_reading());
        }
        !is_other
    }

    /// Something is left out.
    fn tell(&mut self, code: &'static str, text: String) {
        let diagnostic = Diagnostic::error(code, text).at(&self.server.keyword);
        self.found.push(diagnostic.after_reading());
    }

    /// Something is taken to be meant.
    fn warn(&mut self, code: &'static str, text: String) {
        let diagnostic = Diagnostic::warning(code, text).at(&self.server.keyword);
        self.found.push(diagnostic.after_reading());
    }

    fn protocol(&mut self) -> &'static str {
        let is_mark = self.has_only_marks();
        match self.server.protocol {
            Some(_) if is_mark => {
                let text = format!(
                    "Warning: Virtual server {}: protocol specified for fwmark - protocol will \
                     be ignored",
                    self.name
                );
                self.warn("protocol", text);
                "none"
            }
            Some(protocol) => protocol,
            None if is_mark => "none",
            None => {
                let text = format!(
                    "Virtual server {}: no protocol set - defaulting to UDP",
                    self.name
                );
                self.warn("protocol", text);
                self.name = self.server.shown("udp", self.sequence);
                "udp"
            }
        }
    }

    fn distinct_servers(&mut self, protocol: &str) -> Vec<&'a real_server::Draft> {
        let server = self.server;
        let mut seen = HashSet::new();
        let mut distinct = Vec::new();
        for real in &server.real_servers {
            if seen.insert((real.address, real.port)) {
                distinct.push(real);
                continue;
            }
            let text = format!(
                "VS {}: real server {} is duplicated - removing second rs",
                self.name,
                real.shown_with(protocol)
            );
            self.tell("duplicate-real-server", text);
        }
        distinct
    }

    fn has_only_marks(&self) -> bool {
        matches!(self.server.service, Service::Mark(_))
            || self.group.is_some_and(|group| !group.has_ranges())
    }

    fn has_marks(&self) -> bool {
        matches!(self.server.service, Service::Mark(_))
            || self.group.is_some_and(|group| group.marks > 0)
    }

    /// Whether the service is every port of an address.
    fn has_open_port(&self) -> bool {
        match &self.server.service {
            Service::Address(_, port) => port.is_none(),
            Service::Mark(_) => false,
            Service::Group(_) => self.group.is_some_and(|group| group.has_open_port),
        }
    }

    fn service(&mut self, protocol: &str) {
        let name = self.name.clone();
        if self.has_open_port() && !self.server.persistent {
            let text = format!(
                "Virtual server {name}: zero port only valid for persistent services - setting"
            );
            self.tell("persistence", text);
        }
        if self.server.ha_suspend && self.has_marks() {
            let text = format!(
                "Virtual server {name}: cannot use ha_suspend with fwmarks - clearing ha_suspend"
            );
            self.tell("ha-suspend", text);
        }
        if self.server.one_packet && protocol != "udp" && !self.has_only_marks() {
            let text =
                format!("Virtual server {name}: one packet scheduling requires UDP - resetting");
            self.tell("one-packet", text);
        }
    }

    fn scheduler_and_method(&mut self, real_servers: &[&real_server::Draft]) {
        let (name, server) = (self.name.clone(), self.server);
        if server.scheduler.is_none() {
            let text = format!("Virtual server {name}: no scheduler set, setting default 'wlc'");
            self.warn("scheduler", text);
        }
        let is_open = real_servers.iter().any(|real| real.method.is_none())
            || server
                .sorry_server
                .is_some_and(|sorry| sorry.method.is_none());
        if server.method.is_none() && is_open {
            let text =
                format!("Virtual server {name}: no forwarding method set, setting default NAT");
            self.warn("forwarding-method", text);
        }
    }

    /// C lets the hysteresis wrap if all weights are zero.
    fn quorum(&mut self, real_servers: &[&real_server::Draft]) {
        let (name, server) = (self.name.clone(), self.server);
        let weights = real_servers
            .iter()
            .map(|real| real.weight.unwrap_or(server.weight));
        let total = weights.fold(0_i64, i64::saturating_add);
        let quorum = server.quorum.min(total);
        if server.quorum > total {
            let text = format!(
                "Warning - quorum {} for {name} exceeds total weight of real servers {total}, \
                 reducing quorum to {total}",
                server.quorum
            );
            self.warn("quorum", text);
        }
        let hysteresis = server.hysteresis;
        if hysteresis > 0 && hysteresis >= quorum {
            let text = format!(
                "Virtual server {name}: hysteresis {hysteresis} >= quorum {quorum}; setting \
                 hysteresis to {}",
                quorum.saturating_sub(1).max(0)
            );
            self.warn("hysteresis", text);
        }
    }

    /// Only NAT can change the port of a packet.
    fn ports(&mut self, real_servers: &[&real_server::Draft], protocol: &str) {
        let (name, server) = (self.name.clone(), self.server);
        let is_nat = |own: Option<Method>| {
            own.or(server.method)
                .is_none_or(|method| method == Method::Nat)
        };
        for real in real_servers {
            let Some(port) = real.port.filter(|_| !is_nat(real.method)) else {
                continue;
            };
            let real = real.shown_with(protocol);
            let text = match &server.service {
                Service::Address(_, own) if own.unwrap_or(0) == port => continue,
                Service::Address(..) => format!(
                    "WARNING - virtual server {name} and real server {real} ports don't match - \
                     resetting"
                ),
                Service::Mark(_) => format!(
                    "WARNING - fwmark virtual server {name}, real server {real} has port \
                     specified - clearing"
                ),
                Service::Group(_) => {
                    self.ports_of_group(&real, port);
                    continue;
                }
            };
            self.warn("ports", text);
        }
        if let (Service::Address(_, own), Some(sorry)) = (&server.service, server.sorry_server)
            && let Some(port) = sorry.port.filter(|_| !is_nat(sorry.method))
            && own.unwrap_or(0) != port
        {
            let text = format!(
                "WARNING - virtual server {name} and sorry server ports don't match - resetting"
            );
            self.warn("ports", text);
        }
    }

    fn ports_of_group(&mut self, real: &str, port: u16) {
        let Some(group) = self.group else {
            return;
        };
        let name = self.name.clone();
        if group.marks > 0 {
            let text = format!(
                "WARNING - fwmark virtual server {name}, real server {real} has port specified - \
                 port will be ignored"
            );
            self.warn("ports", text);
        }
        if let Some((range, own)) = group.with_other_port(port) {
            let text = format!(
                "virtual server {name}:[{range},{own}] and real server {real} ports don't match"
            );
            self.warn("ports", text);
        }
    }
}
