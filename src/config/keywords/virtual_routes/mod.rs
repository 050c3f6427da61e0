//! The lines of `virtual_routes` and `static_routes` (specification C.2).
//!
//! Decides what one line means. A line with a mistake is left out whole, with
//! all its ways: half a route leads elsewhere.

use std::net::IpAddr;

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::lex::{Origin, Word};
use super::super::machine::RoutingNames;
use super::super::model::{Family, Prefix, Realms, Route, RouteCreate, RouteType, RoutingName};
use super::super::tree::Statement;
use super::Context;
use super::routing_words::{self, Owner, Words};
use super::vrrp_instance::Draft;

mod encapsulation;
mod metrics;
mod next_hops;

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands.
    pub origin: Origin,
    /// What it means.
    pub route: Route,
    /// The interfaces that it names.
    pub devices: Vec<Word>,
}

/// Reads `virtual_routes`.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.routes.extend(read(statement, Owner::Instance, cx));
}

/// The lines of a block.
pub fn read(statement: &Statement, owner: Owner<'_>, cx: &mut Context<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for value in statement.inner() {
        cx.expect_no_block(value);
        lines.extend(Reader::line(value, owner, cx));
    }
    lines
}

/// A type of service of a route or a rule.
pub fn type_of_service(word: &Word, cx: &mut Context<'_>) -> Option<RoutingName> {
    let invalid = |text: &str| format!("TOS value {text} is invalid");
    routing_words::named(RoutingNames::TypesOfService, word, cx, invalid)
}

/// What C says of a protocol that is not its own.
pub fn protocol_is_reset(kind: &str) -> String {
    format!("{kind} cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol")
}

/// RTPROT_KEEPALIVED
const KEEPALIVED: RoutingName = RoutingName::Number(18);

struct Reader<'s, 'o> {
    owner: Owner<'o>,
    words: Words<'s>,
    route: Route,
    /// As it was written, with its prefix; without one all addresses are meant.
    destination: Option<(&'s Word, Option<Prefix>)>,
    family: Option<Family>,
    has_type: bool,
    create: Option<RouteCreate>,
    devices: Vec<Word>,
}

impl<'s, 'o> Reader<'s, 'o> {
    /// `None` drops the line.
    fn line(statement: &'s Statement, owner: Owner<'o>, cx: &mut Context<'_>) -> Option<Line> {
        let mut reader = Self {
            owner,
            words: Words::of(statement),
            route: Route::new(Family::Inet.everything()),
            destination: None,
            family: None,
            has_type: false,
            create: None,
            devices: Vec::new(),
        };
        while let Some(word) = reader.words.next() {
            match word.text.as_str() {
                "nexthop" => {
                    reader.next_hops(cx)?;
                    break;
                }
                "or" => {
                    reader.or(word, cx)?;
                    break;
                }
                _ => reader.word(word, cx)?,
            }
        }
        let origin = statement.keyword_origin();
        let route = reader.finish(origin, cx)?;
        Some(Line {
            origin,
            route,
            devices: reader.devices,
        })
    }

    fn word(&mut self, word: &'s Word, cx: &mut Context<'_>) -> Option<()> {
        match word.text.as_str() {
            "inet" => return self.family(Family::Inet, word, cx),
            "inet6" => return self.family(Family::Inet6, word, cx),
            "onlink" => self.route.onlink = true,
            "no_track" => self.route.no_track = true,
            "add" => self.create = Some(RouteCreate::Add),
            "append" => self.create = Some(RouteCreate::Append),
            "prepend" => self.create = Some(RouteCreate::Prepend),
            "to" => {
                let value = self.words.argument(cx)?;
                return self.destination(value, cx);
            }
            "as" => {
                self.words.accept("to");
                self.words.argument(cx)?;
                cx.error(
                    "route",
                    word,
                    "\"as to\" for MPLS only - ignoring".to_string(),
                );
            }
            "via" | "gw" => return self.via(word, cx),
            "src" | "from" | "dev" | "oif" | "tos" | "dsfield" | "table" | "vrf" | "protocol"
            | "scope" | "metric" | "priority" | "preference" | "realms" | "expires" | "pref"
            | "ttl-propagate" | "encap" => {
                let value = self.words.argument(cx)?;
                return self.with_value(word, value, cx);
            }
            "track_group" => {
                let Owner::Static(groups) = self.owner else {
                    return self.destination(word, cx);
                };
                let value = self.words.argument(cx)?;
                let slot = &mut self.route.track_group;
                routing_words::track_group(groups, slot, value, cx);
            }
            name if metrics::is_one(name) => return self.metric(word, cx),
            name => {
                let Some(kind) = RouteType::named(name) else {
                    return self.destination(word, cx);
                };
                self.route.kind = kind;
                self.has_type = true;
                self.words.accept("to");
                let value = self.words.argument(cx)?;
                return self.destination(value, cx);
            }
        }
        Some(())
    }

    fn with_value(&mut self, option: &Word, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        let route = &mut self.route;
        match option.text.as_str() {
            "src" => {
                let invalid = |text: &str| format!("invalid route src address {text}");
                self.route.source = Some(self.address(value, cx, invalid)?);
            }
            "from" => return self.from(value, cx),
            "dev" | "oif" => {
                route.interface = Some(value.text.clone());
                self.devices.push(value.clone());
            }
            "tos" | "dsfield" => route.tos = Some(type_of_service(value, cx)?),
            "table" => {
                let invalid = |text: &str| format!("Routing table {text} not found for route");
                let table = routing_words::named(RoutingNames::Tables, value, cx, invalid)?;
                (route.table, route.vrf) = (Some(table), None);
            }
            "vrf" => {
                if cx.machine.interface(&value.text).is_none() {
                    let text = format!("VRF {} not found for route", value.text);
                    let diagnostic = Diagnostic::warning("routing-name", text);
                    cx.found.push(diagnostic.at(&value.origin));
                }
                (route.table, route.vrf) = (None, Some(value.text.clone()));
            }
            "protocol" => {
                let names = RoutingNames::Protocols;
                let invalid =
                    |text: &str| format!("Protocol {text} not found or invalid for route");
                route.protocol = Some(routing_words::named(names, value, cx, invalid)?);
            }
            "scope" => {
                let names = RoutingNames::Scopes;
                let invalid = |text: &str| format!("Scope {text} not found or invalid for route");
                route.scope = Some(routing_words::named(names, value, cx, invalid)?);
            }
            "encap" => route.encapsulation = Some(encapsulation::read(value, &mut self.words, cx)?),
            "realms" => {
                let message = "realms are only valid for IPv4";
                self.only_for(Family::Inet, value, cx, message.to_string())?;
                self.route.realms = Some(realms(value, cx)?);
            }
            "expires" => {
                let message = "expires is only valid for IPv6";
                self.only_for(Family::Inet6, value, cx, message.to_string())?;
                let invalid =
                    |text: &str| format!("Invalid expires time {text} specified for route");
                let seconds = routing_words::number(value, u32::MAX, cx, invalid)?;
                self.route.expires_s = Some(seconds);
            }
            "pref" => return self.router_preference(value, cx),
            "ttl-propagate" => match value.text.as_str() {
                "enabled" => route.ttl_propagate = Some(true),
                "disabled" => route.ttl_propagate = Some(false),
                text => {
                    let text = format!("ttl-propagate value {text} not recognised");
                    cx.error("route", value, text);
                }
            },
            _ => {
                let invalid = |text: &str| format!("Invalid metric {text} specified for route");
                route.metric = Some(routing_words::number(value, u32::MAX, cx, invalid)?);
            }
        }
        Some(())
    }

    /// `None` if the line has addresses of the other family already.
    fn family(&mut self, family: Family, word: &Word, cx: &mut Context<'_>) -> Option<()> {
        let message = "Cannot mix IPv4 and IPv6 addresses for route";
        self.only_for(family, word, cx, message.to_string())
    }

    fn only_for(
        &mut self,
        family: Family,
        word: &Word,
        cx: &mut Context<'_>,
        message: String,
    ) -> Option<()> {
        if self.family.is_some_and(|known| known != family) {
            cx.error("route", word, message);
            return None;
        }
        self.family = Some(family);
        Some(())
    }

    fn address(
        &mut self,
        value: &Word,
        cx: &mut Context<'_>,
        invalid: impl FnOnce(&str) -> String,
    ) -> Option<IpAddr> {
        let Some(address) = routing_words::address(value) else {
            cx.error("route", value, invalid(&value.text));
            return None;
        };
        self.family(Family::of(&address), value, cx)?;
        Some(address)
    }

    fn destination(&mut self, word: &'s Word, cx: &mut Context<'_>) -> Option<()> {
        let prefix = match word.text.as_str() {
            text if routing_words::is_everything(text) => None,
            "default6" => {
                self.family(Family::Inet6, word, cx)?;
                None
            }
            text => {
                let Some((prefix, _)) = routing_words::prefix(word, cx) else {
                    cx.error("route", word, format!("unknown route keyword {text}"));
                    return None;
                };
                self.family(Family::of(&prefix.address), word, cx)?;
                Some(prefix)
            }
        };
        if let Some((earlier, _)) = self.destination.replace((word, prefix)) {
            let text = format!("{} takes the place of {}", word.text, earlier.text);
            let diagnostic = Diagnostic::hint("route", text);
            cx.found.push(diagnostic.at(&word.origin));
        }
        Some(())
    }

    fn from(&mut self, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        let Some((prefix, _)) = routing_words::prefix(value, cx) else {
            let text = format!("invalid route from address {}", value.text);
            cx.error("route", value, text);
            return None;
        };
        if prefix.address.is_ipv4() {
            let text = format!(
                "route from address only supported with IPv6 ({})",
                value.text
            );
            cx.error("route", value, text);
            return None;
        }
        self.family(Family::Inet6, value, cx)?;
        self.route.from = Some(prefix);
        Some(())
    }

    fn via(&mut self, option: &Word, cx: &mut Context<'_>) -> Option<()> {
        if option.text == "gw" {
            let text = "\"gw\" for routes is deprecated. Please use \"via\"";
            let diagnostic = Diagnostic::warning("deprecated", text);
            cx.found.push(diagnostic.at(&option.origin));
        }
        let family = accept_family(&mut self.words);
        let value = self.words.argument(cx)?;
        if let Some(family) = family {
            self.family(family, value, cx)?;
        }
        let invalid = |text: &str| format!("invalid route via address {text}");
        self.route.via = Some(self.address(value, cx, invalid)?);
        Some(())
    }

    fn router_preference(&mut self, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        let message = "pref is only valid for IPv6";
        self.only_for(Family::Inet6, value, cx, message.to_string())?;
        let preference = match value.text.as_str() {
            "medium" => 0,
            "high" => 1,
            "low" => 3,
            _ => {
                let invalid = |text: &str| format!("Invalid pref value {text} specified for route");
                routing_words::number(value, 255, cx, invalid)?
            }
        };
        self.route.router_preference = Some(preference);
        Some(())
    }

    fn finish(&mut self, origin: Origin, cx: &mut Context<'_>) -> Option<Route> {
        let error = |text: String| Diagnostic::error("route", text).at(&origin);
        let Some((written, destination)) = self.destination else {
            let text = "Route must have a destination".to_string();
            cx.found.push(error(text));
            return None;
        };
        let route = &mut self.route;
        route.family = self.family.unwrap_or_default();
        route.destination = destination.unwrap_or(route.family.everything());
        route.create = self.create.unwrap_or(if self.has_type {
            RouteCreate::Add
        } else {
            RouteCreate::Prepend
        });
        if !route.no_track {
            let other = |protocol: &RoutingName| *protocol != KEEPALIVED;
            if route.protocol.as_ref().is_some_and(other) {
                cx.found.push(error(protocol_is_reset("Route")));
            }
            route.protocol = Some(KEEPALIVED);
        }
        if !route.no_track && route.interface.is_none() {
            let text = format!(
                "Warning - cannot track route {} with no interface specified, not tracking",
                written.text
            );
            let diagnostic = Diagnostic::warning("untracked-route", text);
            let help = "Add `dev` and the name of the interface, or `no_track`.";
            cx.found.push(diagnostic.at(&origin).help(help));
            route.no_track = true;
        }
        if route.track_group.is_some() && route.interface.is_none() {
            let text = "Static route cannot have track group if no oif specified";
            cx.found.push(error(text.to_string()));
            route.track_group = None;
        }
        let short = metrics::raise(&mut route.metrics);
        for text in short {
            let code = "number";
            let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
            cx.found.push(diagnostic.at(&origin).after_reading());
        }
        Some(route.clone())
    }
}

fn realms(word: &Word, cx: &mut Context<'_>) -> Option<Realms> {
    routing_words::realms(word, cx, |text| format!("Invalid realms {text} for route"))
}

fn accept_family(words: &mut Words<'_>) -> Option<Family> {
    if words.accept("inet") {
        return Some(Family::Inet);
    }
    words.accept("inet6").then_some(Family::Inet6)
}
