//! The lines of `virtual_rules` and `static_rules` (specification C.3).
//!
//! Decides what one line means. A line with a mistake is left out whole: a rule
//! without one of its conditions would catch packets that it must not.

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::machine::RoutingNames;
use super::super::model::{Family, Prefix, RoutingName, Rule, RuleAction};
use super::super::tree::Statement;
use super::routing_words::{self, Owner, Words};
use super::vrrp_instance::Draft;
use super::{Context, virtual_routes};

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands.
    pub origin: Origin,
    /// What it means.
    pub rule: Rule,
    /// The interfaces that it names.
    pub devices: Vec<Word>,
}

/// The next preferences of rules that have none: they count down for each
/// family, over all blocks.
#[derive(Debug, Clone, Copy)]
pub struct Preferences {
    ipv4: u32,
    ipv6: u32,
}

impl Default for Preferences {
    fn default() -> Self {
        let first = 16384;
        Self {
            ipv4: first,
            ipv6: first,
        }
    }
}

impl Preferences {
    fn next(&mut self, family: Family) -> u32 {
        let slot = match family {
            Family::Inet => &mut self.ipv4,
            Family::Inet6 => &mut self.ipv6,
        };
        let preference = *slot;
        *slot = preference.saturating_sub(1).max(1);
        preference
    }
}

/// Reads `virtual_rules`.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.rules.extend(read(statement, Owner::Instance, cx));
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

struct Reader<'o> {
    owner: Owner<'o>,
    rule: Rule,
    family: Option<Family>,
    preference: Option<u32>,
    action: Option<RuleAction>,
    devices: Vec<Word>,
    /// Words that only the look into a table goes with.
    for_tables: bool,
}

impl<'o> Reader<'o> {
    /// `None` drops the line.
    fn line(statement: &Statement, owner: Owner<'o>, cx: &mut Context<'_>) -> Option<Line> {
        let origin = statement.keyword_origin();
        let mut reader = Self {
            owner,
            rule: Rule::new(0, RuleAction::Nop),
            family: None,
            preference: None,
            action: None,
            devices: Vec::new(),
            for_tables: false,
        };
        let mut words = Words::of(statement);
        while let Some(option) = words.next() {
            reader.option(option, &mut words, cx)?;
        }
        reader.finish(origin, cx)
    }

    fn option<'s>(
        &mut self,
        option: &'s Word,
        words: &mut Words<'s>,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        match option.text.as_str() {
            "inet" => self.family(Family::Inet, option, cx),
            "inet6" => self.family(Family::Inet6, option, cx),
            "not" => {
                self.rule.inverted = true;
                Some(())
            }
            "no_track" => {
                self.rule.no_track = true;
                Some(())
            }
            "type" => {
                let word = words.argument(cx)?;
                self.action(word, words, cx)
            }
            "l3mdev" | "blackhole" | "unreachable" | "prohibit" | "nop" | "goto" => {
                self.action(option, words, cx)
            }
            "track_group" if matches!(self.owner, Owner::Instance) => unknown(option, cx),
            "from"
            | "to"
            | "table"
            | "lookup"
            | "preference"
            | "order"
            | "priority"
            | "tos"
            | "dsfield"
            | "fwmark"
            | "realms"
            | "suppress_prefixlength"
            | "sup_pl"
            | "suppress_ifgroup"
            | "sup_group"
            | "dev"
            | "iif"
            | "oif"
            | "tunnel-id"
            | "uidrange"
            | "protocol"
            | "ipproto"
            | "sport"
            | "dport"
            | "track_group" => {
                let value = words.argument(cx)?;
                self.with_value(option, value, cx)
            }
            _ if super::super::model::RouteType::named(&option.text).is_some() => {
                self.action(option, words, cx)
            }
            _ => unknown(option, cx),
        }
    }

    fn family(&mut self, family: Family, word: &Word, cx: &mut Context<'_>) -> Option<()> {
        if self.family.is_some_and(|known| known != family) {
            let text = "rule specification has mixed IPv4 and IPv6";
            cx.error("rule", word, text.to_string());
            return None;
        }
        self.family = Some(family);
        Some(())
    }

    fn with_value(&mut self, option: &Word, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        let rule = &mut self.rule;
        match option.text.as_str() {
            "from" => self.rule.from = self.prefix(option, value, cx)?,
            "to" => self.rule.to = self.prefix(option, value, cx)?,
            "table" | "lookup" => return self.table(value, cx),
            "preference" | "order" | "priority" => {
                let name = &option.text;
                let preference = arguments::any_base(&value.text);
                let preference = preference.and_then(|number| u32::try_from(number).ok());
                let invalid = || format!("Invalid rule {name} {} specified", value.text);
                self.preference = Some(valid(preference, value, cx, invalid)?);
            }
            "tos" | "dsfield" => rule.tos = Some(virtual_routes::type_of_service(value, cx)?),
            "fwmark" => {
                let invalid = || format!("Invalid rule fwmark {} specified", value.text);
                rule.mark = Some(valid(mark(&value.text), value, cx, invalid)?);
            }
            "realms" => {
                let invalid = |text: &str| format!("invalid realms {text} for rule");
                rule.realms = Some(routing_words::realms(value, cx, invalid)?);
                self.for_tables = true;
            }
            "suppress_prefixlength" | "sup_pl" => {
                let invalid =
                    |text: &str| format!("Invalid suppress_prefixlength {text} specified");
                rule.suppress_prefix_length = Some(routing_words::number(value, 128, cx, invalid)?);
                self.for_tables = true;
            }
            "suppress_ifgroup" | "sup_group" => {
                let invalid = |text: &str| format!("suppress_group {text} is invalid");
                let group = routing_words::named(RoutingNames::Groups, value, cx, invalid)?;
                rule.suppress_group = Some(group);
                self.for_tables = true;
            }
            "dev" | "iif" => {
                rule.input_interface = Some(value.text.clone());
                self.devices.push(value.clone());
            }
            "oif" => {
                rule.output_interface = Some(value.text.clone());
                self.devices.push(value.clone());
            }
            "track_group" => {
                if let Owner::Static(groups) = self.owner {
                    routing_words::track_group(groups, &mut rule.track_group, value, cx);
                }
            }
            _ => return self.rarer(option, value, cx),
        }
        Some(())
    }

    fn rarer(&mut self, option: &Word, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        let rule = &mut self.rule;
        let text = value.text.as_str();
        match option.text.as_str() {
            "tunnel-id" => {
                let id = text.chars().all(|c| c.is_ascii_digit());
                let id = id.then(|| text.parse().ok()).flatten();
                let invalid = || format!("Invalid tunnel-id {text} specified");
                rule.tunnel_id = Some(valid(id, value, cx, invalid)?);
            }
            "uidrange" => {
                let ids = range(text).filter(|_| text.contains('-'));
                let invalid = || format!("Invalid uidrange {text} specified");
                rule.user_ids = Some(valid(ids, value, cx, invalid)?);
            }
            "protocol" => {
                let invalid = |text: &str| format!("Invalid protocol {text}");
                rule.protocol = Some(routing_words::number(value, 255, cx, invalid)?);
            }
            "ipproto" => {
                let invalid = |text: &str| format!("Invalid ipproto {text}");
                let names = RoutingNames::IpProtocols;
                rule.ip_protocol = Some(routing_words::named(names, value, cx, invalid)?);
            }
            name => {
                let invalid = || format!("invalid {name} range {text}");
                let ports = Some(valid(range(text), value, cx, invalid)?);
                if name == "sport" {
                    rule.source_ports = ports;
                } else {
                    rule.destination_ports = ports;
                }
            }
        }
        Some(())
    }

    /// `None` inside stands for every address.
    fn prefix(
        &mut self,
        option: &Word,
        value: &Word,
        cx: &mut Context<'_>,
    ) -> Option<Option<Prefix>> {
        if routing_words::is_everything(&value.text) {
            let family = self.family.unwrap_or_default();
            return Some(Some(family.everything()));
        }
        let Some((prefix, _)) = routing_words::prefix(value, cx) else {
            let text = format!("Invalid rule {} address {}", option.text, value.text);
            cx.error("rule", value, text);
            return None;
        };
        self.family(Family::of(&prefix.address), value, cx)?;
        Some(Some(prefix))
    }

    fn table(&mut self, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        if self.action.is_some() {
            return several(value, "", cx);
        }
        let invalid = |text: &str| format!("Routing table {text} not found for rule");
        let table = routing_words::named(RoutingNames::Tables, value, cx, invalid)?;
        if table == RoutingName::Number(0) {
            cx.error("rule", value, "Table 0 is not valid".to_string());
            return None;
        }
        self.action = Some(RuleAction::Table(table));
        Some(())
    }

    fn action<'s>(
        &mut self,
        word: &'s Word,
        words: &mut Words<'s>,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        let action = match word.text.as_str() {
            "l3mdev" if self.action.is_some() => {
                let text = "Cannot specify l3mdev with other action";
                cx.error("rule", word, text.to_string());
                return None;
            }
            "l3mdev" => RuleAction::L3mdev,
            "nop" => RuleAction::Nop,
            "blackhole" => RuleAction::Blackhole,
            "unreachable" => RuleAction::Unreachable,
            "prohibit" => RuleAction::Prohibit,
            "goto" => {
                let value = words.argument(cx)?;
                let invalid = |text: &str| format!("Invalid target {text} specified");
                RuleAction::Goto(routing_words::number(value, u32::MAX, cx, invalid)?)
            }
            text if super::super::model::RouteType::named(text).is_some() => {
                cx.error("rule", word, format!("Invalid rule action {text}"));
                return None;
            }
            _ => return unknown(word, cx),
        };
        if self.action.is_some() {
            return several(word, "/l3mdev", cx);
        }
        self.action = Some(action);
        Some(())
    }

    fn finish(mut self, origin: Origin, cx: &mut Context<'_>) -> Option<Line> {
        let mut error = |text: String| {
            let diagnostic = Diagnostic::error("rule", text);
            cx.found.push(diagnostic.at(&origin));
        };
        let Some(action) = self.action else {
            error("No action specified for rule - ignoring".to_string());
            return None;
        };
        if self.for_tables && !matches!(action, RuleAction::Table(_)) {
            error("suppressor/realm specified for non table action - skipping".to_string());
            return None;
        }
        let family = self.family.unwrap_or_default();
        if self.rule.realms.is_some() && family == Family::Inet6 {
            error("realms is only valid for IPv4".to_string());
            return None;
        }
        if let RuleAction::Goto(target) = action {
            match self.preference {
                Some(preference) if preference < target => {}
                Some(preference) => {
                    error(format!(
                        "Invalid rule - preference {preference} >= goto target {target}"
                    ));
                    return None;
                }
                None => {
                    error(format!(
                        "Invalid rule - goto target {target} specified without preference"
                    ));
                    return None;
                }
            }
        }
        let rule = &mut self.rule;
        if rule.track_group.is_some() && rule.input_interface.is_none() {
            error("Static rule cannot have track_group if dev/iif not specified".to_string());
            rule.track_group = None;
        }
        if !rule.no_track {
            if rule.protocol.is_some_and(|protocol| protocol != 18) {
                error(virtual_routes::protocol_is_reset("Rule"));
            }
            rule.protocol = Some(18);
        }
        rule.preference = self.preference.unwrap_or_else(|| {
            let preference = cx.rule_preferences.next(family);
            let text = format!(
                "Rule has no preference specified - setting to {preference}. \
                 This is probably not what you want."
            );
            let diagnostic = Diagnostic::warning("rule-preference", text);
            cx.found.push(diagnostic.at(&origin));
            preference
        });
        rule.action = action;
        rule.family = family;
        // `from any` before the word that tells the family.
        for prefix in [&mut rule.from, &mut rule.to].into_iter().flatten() {
            if prefix.length == 0 {
                *prefix = family.everything();
            }
        }
        Some(Line {
            origin,
            rule: self.rule,
            devices: self.devices,
        })
    }
}

fn unknown(word: &Word, cx: &mut Context<'_>) -> Option<()> {
    let text = format!("Unknown rule option {}", word.text);
    cx.error("rule", word, text);
    None
}

fn several(word: &Word, more: &str, cx: &mut Context<'_>) -> Option<()> {
    let text = format!(
        "Cannot specify more than one of \
         table/nop/goto/blackhole/prohibit/unreachable{more} for rule"
    );
    cx.error("rule", word, text);
    None
}

fn valid<T>(
    value: Option<T>,
    word: &Word,
    cx: &mut Context<'_>,
    invalid: impl FnOnce() -> String,
) -> Option<T> {
    if value.is_none() {
        cx.error("number", word, invalid());
    }
    value
}

/// `MARK[/MASK]`
fn mark(text: &str) -> Option<(u32, Option<u32>)> {
    let number = |text| u32::try_from(arguments::any_base(text)?).ok();
    match text.split_once('/') {
        Some((mark, mask)) => Some((number(mark)?, Some(number(mask)?))),
        None => Some((number(text)?, None)),
    }
}

/// `N[-M]`, in order.
fn range<N: std::str::FromStr + PartialOrd + Copy>(text: &str) -> Option<(N, N)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (N, N) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}
