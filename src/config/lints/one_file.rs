//! Lints of one node.
//!
//! Decides what in one file will surprise its author. Source: specification B.3,
//! C.1, D.7, F.4, F.8.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::ids::Priority;

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::keywords::{Status, rows};
use super::super::lex::Origin;
use super::super::machine::Machine;
use super::super::model::{InitialState, Instance, Version, VirtualAddress};
use super::super::tree::Statement;
use super::{Subject, Weight, best, limited};

/// Adds to `found`, which has what reading the file has said. `is_alone`: there
/// is no second file to compare numbers with.
pub fn one_file(
    subject: &Subject<'_>,
    machine: &dyn Machine,
    is_alone: bool,
    found: &mut Vec<Diagnostic>,
) {
    for instance in &subject.config.instances {
        let mut lints = Lints {
            subject,
            instance,
            found,
        };
        lints.owner_by_state();
        lints.strict();
        if is_alone {
            lints.nopreempt();
        }
        lints.weights(is_alone);
        lints.unicast();
        lints.mixed_families();
        lints.prefixes(machine);
        lints.too_many_addresses(machine);
    }
}

struct Lints<'a, 's> {
    subject: &'a Subject<'s>,
    instance: &'a Instance,
    found: &'a mut Vec<Diagnostic>,
}

impl Lints<'_, '_> {
    fn warn(&mut self, code: &'static str, text: &str, origin: Option<Origin>, help: String) {
        let text = format!("({}) {text}", self.instance.name);
        let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
        self.push(diagnostic, origin, help);
    }

    fn hint(&mut self, code: &'static str, text: &str, origin: Option<Origin>, help: String) {
        let diagnostic = Diagnostic::hint(code, format!("({}) {text}", self.instance.name));
        self.push(diagnostic, origin, help);
    }

    fn push(&mut self, diagnostic: Diagnostic, origin: Option<Origin>, help: String) {
        let diagnostic = match origin {
            Some(origin) => diagnostic.at(&origin),
            None => diagnostic,
        };
        self.found.push(diagnostic.help(help));
    }

    fn place(&self, keywords: &[&str]) -> Option<Origin> {
        self.subject.place(self.instance, keywords)
    }

    fn owner_by_state(&mut self) {
        let is_wished = self.instance.initial_state == InitialState::Master;
        let has_priority = self.subject.line(self.instance, "priority").is_some();
        if !is_wished || has_priority || self.instance.priority != Priority::OWNER {
            return;
        }
        let text = "`state MASTER` without `priority` means priority 255: it owns the addresses, \
                    weights do not count, and it always takes the addresses back";
        let help = "Add `priority 150` here and a lower one on the other node.";
        let origin = self.place(&["state"]);
        self.warn("owner-by-state", text, origin, help.to_string());
    }

    fn strict(&mut self) {
        let instance = self.instance;
        if !instance.strict || instance.accept || instance.priority == Priority::OWNER {
            return;
        }
        let origin = match self.subject.line(instance, "strict_mode") {
            Some(line) => Some(line),
            None => self.subject.global("vrrp_strict"),
        };
        let origin = origin.map(|line| self.subject.moved(line.line.whole()));
        let text = "strict mode drops every packet to the virtual addresses, so nobody can ping \
                    or use them";
        let help = match instance.version {
            Version::V2 => "Take `vrrp_strict` out; version 2 does not allow `accept` with it.",
            Version::V3 => "Add `accept` to the instance, or take `vrrp_strict` out.",
        };
        let code = "strict-vip-unreachable";
        self.warn(code, text, origin, help.to_string());
    }

    fn nopreempt(&mut self) {
        if !self.instance.nopreempt {
            return;
        }
        for weight in self.subject.weights(self.instance) {
            let text = format!(
                "with `nopreempt` on both nodes a failure of `{}` moves nothing: it only lowers \
                 the priority by {}, and no BACKUP with `nopreempt` takes over from a live MASTER",
                weight.name, weight.amount
            );
            let help = format!(
                "Give `{}` weight 0: the instance goes to FAULT when it fails, and the other node \
                 takes over.",
                weight.name
            );
            let origin = weight.origin.or_else(|| self.place(&["nopreempt"]));
            self.warn("nopreempt-with-weight", &text, origin, help);
        }
    }

    fn weights(&mut self, is_alone: bool) {
        let weights = self.subject.weights(self.instance);
        let Some(best) = best(self.instance, &weights) else {
            return;
        };
        for weight in &weights {
            let (high, low) = (limited(best), limited(best.saturating_sub(weight.amount)));
            let difference = high.saturating_sub(low);
            // Nothing is lost at the lower end: 1 is below every other node.
            if difference < weight.amount && (best > high || difference == 0) {
                self.limited_weight(weight, best, (high, low));
            } else if is_alone && !self.instance.nopreempt {
                let text = format!(
                    "a failure of `{}` lowers the priority by {difference}, from {high} to {low}: \
                     the addresses move only to a node whose priority is above {low}",
                    weight.name
                );
                let help = format!(
                    "The other node's priority must be less than {difference} below this one's. \
                     Give both files to `check` to see the numbers of both."
                );
                self.hint("weight-needs-difference", &text, weight.origin, help);
            }
        }
    }

    fn limited_weight(&mut self, weight: &Weight, best: i64, (high, low): (i64, i64)) {
        let difference = high.saturating_sub(low);
        let text = format!(
            "priorities stay between 1 and 254, so a failure of `{}` changes the priority by {} \
             and not by {}: from {high} to {low}",
            weight.name, difference, weight.amount
        );
        let help = if best > 254 {
            "Lower `priority` so that all weights together do not lift it above 254."
        } else {
            "Raise `priority`."
        };
        let origin = weight.origin;
        self.warn("weight-is-limited", &text, origin, help.to_string());
    }

    fn unicast(&mut self) {
        let instance = self.instance;
        if instance.unicast_peers.is_empty() {
            return;
        }
        let own: HashSet<IpAddr> = addresses(instance).map(|vip| vip.address).collect();
        for line in self.subject.values(instance, "unicast_peer") {
            let address = line.keyword().parse().ok();
            if let Some(peer) = address.filter(|peer| own.contains(peer)) {
                let text = format!("the peer {peer} is one of the virtual addresses");
                let help = "List the address that the other node always has.".to_string();
                let origin = Some(self.subject.moved(line.keyword_origin()));
                self.warn("peer-is-virtual", &text, origin, help);
            }
        }
        if !instance.check_unicast_source && instance.auth_hmac.is_none() {
            let text = "adverts of any sender are accepted, not only those of the peers";
            let mut help = "Let the packet filter accept protocol 112 from the peers only. \
                            `check_unicast_src` does it, too"
                .to_string();
            if is_refused("vrrp_instance", "check_unicast_src") {
                help.push_str(" (this daemon does not start with it yet)");
            }
            help.push('.');
            let origin = self.place(&["unicast_peer"]);
            self.hint("unicast-without-source-check", text, origin, help);
        }
    }

    /// Reading has said so of each address that it left out; what is missing is
    /// the way out.
    fn mixed_families(&mut self) {
        let lines = self.subject.values(self.instance, "virtual_ipaddress");
        let is_v6 = |line: &&Statement| line.keyword().contains(':');
        let (six, four): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_v6);
        let other = if self.instance.ipv6 { &four } else { &six };
        let (Some(first), false) = (other.first(), four.is_empty() || six.is_empty()) else {
            return;
        };
        let help = format!(
            "Use one instance for each family:\n{}",
            two_instances(self.subject, self.instance, &four, &six)
        );
        let origin = self.subject.moved(first.keyword_origin());
        let known = self.found.iter_mut().find(|found| {
            found.span == Some(origin.span) && found.message.contains("address family must match")
        });
        match known {
            Some(known) => {
                known.help.clear();
                *known = known.clone().help(help);
            }
            None => {
                let text = "IPv4 and IPv6 addresses do not go together in one instance";
                self.warn("mixed-families", text, Some(origin), help);
            }
        }
    }

    fn prefixes(&mut self, machine: &dyn Machine) {
        let mut without = Vec::new();
        for line in self.subject.values(self.instance, "virtual_ipaddress") {
            let origin = Some(self.subject.moved(line.keyword_origin()));
            match line.keyword().split_once('/') {
                Some((address, length)) => self.host_bits(address, length, origin),
                None if line.words.iter().any(|word| word.text == "peer") => {}
                None if self.is_in_network(line, machine) => {}
                None => without.push((line.keyword(), origin)),
            }
        }
        let Some((address, origin)) = without.first() else {
            return;
        };
        let length = if address.contains(':') { 128 } else { 32 };
        let more = match without.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(", and so are {more} more"),
        };
        let text = format!("{address} is set as {address}/{length}{more}");
        let help = "This is right if the interface has another address of that network; write the \
                    prefix length otherwise.";
        self.hint("vip-without-prefix", &text, *origin, help.to_string());
    }

    /// Whether the interface of a virtual address is known to have another of its
    /// network, so that it needs no prefix length.
    fn is_in_network(&self, line: &Statement, machine: &dyn Machine) -> bool {
        let Ok(virtual_address) = line.keyword().parse::<IpAddr>() else {
            return true;
        };
        let mut words = line.words.iter().skip_while(|word| word.text != "dev");
        let interface = words
            .nth(1)
            .map_or(&*self.instance.interface, |word| &*word.text);
        let networks = machine.networks(interface).unwrap_or_default();
        networks
            .iter()
            .any(|(own, length)| match (own, virtual_address) {
                (IpAddr::V4(own), IpAddr::V4(address)) if own.to_bits() != address.to_bits() => {
                    let other = own.to_bits() ^ address.to_bits();
                    *length < 32 && other.leading_zeros() >= *length
                }
                (IpAddr::V6(own), IpAddr::V6(address)) if own.to_bits() != address.to_bits() => {
                    let other = own.to_bits() ^ address.to_bits();
                    *length < 128 && other.leading_zeros() >= *length
                }
                _ => false,
            })
    }

    fn host_bits(&mut self, address: &str, length: &str, origin: Option<Origin>) {
        let (Ok(IpAddr::V4(address)), Ok(length @ 1..=30)) = (address.parse(), length.parse())
        else {
            return;
        };
        let host: u32 = u32::MAX.checked_shr(length).unwrap_or(0);
        let what = match address.to_bits() & host {
            0 => "the address of the network itself",
            bits if bits == host => "the broadcast address",
            _ => return,
        };
        let text = format!("{address}/{length} is {what}, which no node can use");
        let help = "Write the address of a host in that network.".to_string();
        self.warn("vip-not-a-host", &text, origin, help);
    }

    fn too_many_addresses(&mut self, machine: &dyn Machine) {
        let instance = self.instance;
        let Some(interface) = machine.interface(&instance.interface) else {
            return;
        };
        // IP header, VRRP header, and in version 2 eight bytes of authentication.
        let (headers, each) = match (instance.ipv6, instance.version) {
            (true, _) => (40 + 8, 16),
            (false, Version::V2) => (20 + 8 + 8, 4),
            (false, Version::V3) => (20 + 8, 4),
        };
        let room = interface.mtu.saturating_sub(headers) / each;
        let room = usize::try_from(room.min(255)).unwrap_or(255);
        let count = instance.virtual_addresses.len();
        let is_known = |found: &Diagnostic| found.message.contains("exceeds maximum");
        if count <= room || self.found.iter().any(is_known) {
            return;
        }
        let text = format!("{count} addresses do not fit into an advert, only {room} do");
        let help = "Move the rest to `virtual_ipaddress_excluded`.".to_string();
        let origin = self.place(&["virtual_ipaddress"]);
        self.warn("too-many-addresses", &text, origin, help);
    }
}

/// Whether the daemon does not start with a keyword yet.
fn is_refused(block: &str, keyword: &str) -> bool {
    let mut rows = rows().into_iter();
    let row = rows.find(|row| row.block == block && row.name == keyword);
    row.is_some_and(|row| row.status == Status::Decisive)
}

fn addresses(instance: &Instance) -> impl Iterator<Item = &VirtualAddress> {
    let excluded = instance.excluded_addresses.iter();
    instance.virtual_addresses.iter().chain(excluded)
}

/// An instance for each family, to be pasted.
fn two_instances(
    subject: &Subject<'_>,
    instance: &Instance,
    four: &[&Statement],
    six: &[&Statement],
) -> String {
    let mut text = String::new();
    for (suffix, lines) in [("", four), ("_v6", six)] {
        text.push_str(&format!("vrrp_instance {}{suffix} {{\n", instance.name));
        for keyword in [
            "state",
            "interface",
            "virtual_router_id",
            "priority",
            "nopreempt",
        ] {
            if let Some(line) = subject.line(instance, keyword) {
                text.push_str(&format!("    {}\n", line.line.text.trim()));
            }
        }
        text.push_str("    # And the other lines of this instance.\n");
        text.push_str("    virtual_ipaddress {\n");
        let is_link_local = |line: &&Statement| line.keyword().starts_with("fe80");
        if suffix == "_v6" && !lines.first().is_some_and(is_link_local) {
            text.push_str("        # First a link-local address, such as fe80::1/64.\n");
        }
        for line in lines {
            text.push_str(&format!("        {}\n", line.line.text.trim()));
        }
        text.push_str("    }\n}\n");
    }
    text.trim_end().to_string()
}
