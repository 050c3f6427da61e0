//! How the daemon stands, for people.
//!
//! Decides the lines: one block for each instance, or one line if there are many,
//! and then only the scripts that are not up; none longer than 80 columns unless
//! names are. Does not decide what is known: that is the document of
//! `daemon/status`.

use std::fmt::Write as _;

use crate::daemon::status::document::{
    Contended, Contribution, Counters, Document, Group, Instance, LastRun, Moment, Peer, Script,
};
use crate::system::clock;

/// How many instances are shown in full; more of them become a table.
pub const BLOCKS_MAX: usize = 8;

/// No line is longer, unless names are.
const COLUMNS: usize = 80;

/// Where values begin.
const INDENT: usize = 14;

/// How it is printed.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// With the colours of a terminal.
    pub colour: bool,
    /// The local time of a number of seconds after the beginning of 1970.
    pub date: fn(u64) -> String,
}

impl Style {
    /// With dates in the time zone of this machine.
    pub fn local(colour: bool) -> Self {
        Self {
            colour,
            date: |epoch_s| clock::date_of(epoch_s, "%Y-%m-%d %H:%M:%S"),
        }
    }
}

/// The whole text. `detailed`: one instance was asked for.
pub fn text(document: &Document, detailed: bool, style: Style) -> String {
    let mut page = Page {
        text: String::new(),
        style,
    };
    page.daemon(document);
    if document.instances.len() > BLOCKS_MAX {
        page.table(&document.instances);
    } else {
        for instance in &document.instances {
            page.block(instance, detailed);
        }
    }
    page.groups(&document.groups);
    page.scripts(&document.scripts, detailed);
    page.text
}

struct Page {
    text: String,
    style: Style,
}

// Pieces.
impl Page {
    /// A line of its own.
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A name, and a value that goes on in the column where it began.
    fn field(&mut self, name: &str, value: &str) {
        let width = COLUMNS.saturating_sub(INDENT);
        let mut name = format!("  {name}");
        for line in wrapped(value, width) {
            let line = format!("{name:<INDENT$}{line}");
            self.line(&line);
            name.clear();
        }
    }

    /// As [`Page::field`], one line for each value, the name before the first.
    fn fields(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        let mut name = name;
        for value in values {
            self.field(name, &value);
            name = "";
        }
    }

    fn since(&self, moment: Moment) -> String {
        let date = self.date(moment);
        format!("{date} ({} ago)", span(moment.seconds_ago))
    }

    fn date(&self, moment: Moment) -> String {
        (self.style.date)(whole(moment.unix_seconds))
    }

    /// A state, in colour where there is any.
    fn state(&self, state: &str) -> String {
        let colour = match state {
            "MASTER" => "32",
            "FAULT" => "31",
            _ => return state.to_owned(),
        };
        self.coloured(colour, state)
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.style.colour {
            format!("\u{1b}[1;{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

// The daemon.
impl Page {
    fn daemon(&mut self, document: &Document) {
        let daemon = &document.daemon;
        let mut head = format!("keepalived-rs {} on {}", daemon.version, daemon.host);
        if let Some(namespace) = &daemon.namespace {
            let _ = write!(head, ", network namespace {namespace}");
        }
        self.line(&head);
        let mut processes = format!("{}", daemon.pid);
        if let Some(vrrp) = daemon.vrrp_pid {
            let _ = write!(processes, ", VRRP {vrrp}");
        }
        match daemon.replaced {
            0 => {}
            1 => processes.push_str(", which had to be replaced once"),
            times => {
                let _ = write!(processes, ", which had to be replaced {times} times");
            }
        }
        self.field("Process", &processes);
        self.field("Started", &self.since(daemon.started));
        self.field("File", &daemon.config_file);
        if let Some(reload) = &daemon.reload {
            let at = self.since(reload.at);
            if reload.accepted {
                self.field("Reloaded", &at);
            } else {
                let reason = reload.reason.as_deref().unwrap_or("no reason known");
                let refused = self.coloured("31", "REFUSED");
                self.field(
                    "Reload",
                    &format!("{refused} {at}; what ran before runs on"),
                );
                self.field("", reason);
                let others = reload.mistakes.iter().filter(|it| *it != reason);
                others.for_each(|it| self.field("", it));
            }
        }
        if let Some(reason) = &daemon.without_vrrp {
            let value = format!("{}: {reason}", self.coloured("31", "NOT RUNNING"));
            self.field("VRRP", &value);
        }
    }
}

// Instances.
impl Page {
    fn block(&mut self, it: &Instance, detailed: bool) {
        let state = self.state(&it.state);
        let since = self.since(it.since);
        self.line("");
        self.line(&format!("{}  {state}  since {since}", it.name));
        let faults: Vec<&str> = it.faults.iter().map(|it| it.text.as_str()).collect();
        // What put it into FAULT is said once if it is the same that keeps it there.
        let known = faults.join(", ");
        if let Some(reason) = it.reason.as_ref().filter(|reason| **reason != known) {
            self.field("Why", reason);
        }
        if let Some(evidence) = it.evidence.as_ref().filter(|_| detailed) {
            self.field("Seen then", evidence);
        }
        self.fields("Fault", faults.into_iter().map(str::to_owned));
        if !it.awaits.is_empty() {
            let scripts = it.awaits.join(", ");
            self.field("Waits for", &format!("the first result of {scripts}"));
        }
        if let Some(contended) = &it.contended {
            self.contended(contended);
        }
        self.orders(it);
        let (version, family) = (it.vrrp_version, &it.family);
        let source = it.source.as_ref().map(|source| format!(" from {source}"));
        let source = source.unwrap_or_default();
        let interface = match it.interface.as_str() {
            "" => "no interface of its own",
            name => name,
        };
        let on = format!(
            "{interface}, VRID {}, VRRP {version} {family}{source}, advert every {}",
            it.vrid,
            seconds(it.advert_seconds)
        );
        self.field("On", &on);
        if let Some(group) = &it.group {
            self.field("Group", group);
        }
        self.field("Priority", &priority(it));
        if let Some(master) = &it.master {
            let text = format!(
                "{}, priority {}, advert every {}; counts as gone after {}",
                master.address,
                master.priority,
                seconds(master.advert_seconds),
                seconds(it.master_down_seconds)
            );
            self.field("Master", &text);
        }
        self.fields("VIPs", vips(it));
        self.fields("Peers", it.peers.iter().map(peer));
        self.field("Adverts", &adverts(&it.counters));
        let unusual = unusual(&it.counters);
        if !unusual.is_empty() {
            self.field("Counters", &unusual);
        }
        if it.notify_skipped > 0 {
            self.field("Notify", &skipped(it.notify_skipped));
        }
        if detailed {
            let counters = &it.counters;
            let text = format!(
                "became MASTER {}, gave up {}",
                times(counters.become_master),
                times(counters.release_master)
            );
            self.field("Changes", &text);
        }
    }

    /// What an administrator has ordered.
    fn orders(&mut self, it: &Instance) {
        if let Some(drained) = &it.drained {
            let since = self.since(drained.since);
            let so = match (it.state.as_str(), drained.handing_over) {
                ("MASTER", true) => "; has asked others to take over",
                ("MASTER", false) => "; MASTER, as nobody took over",
                _ => "",
            };
            self.field("DRAINED", &format!("since {since}{so}"));
        }
        if let Some(ordered) = &it.ordered_priority {
            let left = ordered
                .seconds_left
                .map(|left| format!("for {} more", span(left)));
            let left = left.unwrap_or_else(|| "until it is taken back".to_owned());
            self.field("Order", &format!("priority {}, {left}", ordered.priority));
        }
    }

    fn contended(&mut self, contended: &Contended) {
        let text = format!(
            "with {}, priority {}, since {}",
            contended.peer,
            contended.priority,
            self.since(contended.since)
        );
        self.field("CONTENDED", &text);
        self.field("", &contended.reason);
        self.field("", &format!("fix: {}", contended.fix));
    }

    /// One line for each instance, then what is wrong.
    fn table(&mut self, instances: &[Instance]) {
        self.line("");
        let count = |state: &str| instances.iter().filter(|it| it.state == state).count();
        let mut states = format!("{} instances", instances.len());
        for state in ["MASTER", "BACKUP", "FAULT", "INIT", "STOP"] {
            match count(state) {
                0 => {}
                count => {
                    let _ = write!(states, ", {count} {state}");
                }
            }
        }
        self.line(&states);
        let names = instances.iter().map(|it| it.name.as_str());
        let name = longest(names.chain(["INSTANCE"]));
        let on = longest(instances.iter().map(|it| it.interface.as_str()));
        self.line(&format!(
            "{:name$}  STATE   {:on$}  VRID  PRIO  {:>8}  MASTER",
            "INSTANCE", "ON", "SINCE"
        ));
        for it in instances {
            let padding = " ".repeat(6_usize.saturating_sub(it.state.len()));
            let master = match (&it.master, it.state.as_str()) {
                (_, "MASTER") if it.contended.is_some() => Some("CONTENDED".to_owned()),
                (_, "MASTER") => it.drained.as_ref().map(|_| "DRAINED".to_owned()),
                (Some(master), _) => Some(master.address.clone()),
                (None, _) => None,
            };
            let line = format!(
                "{:name$}  {}{padding}  {:on$}  {:>4}  {:>4}  {:>8}",
                it.name,
                self.state(&it.state),
                it.interface,
                it.vrid,
                it.priority.effective,
                short_span(it.since.seconds_ago),
            );
            let master = master.unwrap_or_default();
            if visible(&line) + visible(&master) + 2 > COLUMNS {
                self.line(&line);
                self.line(&format!("{master:>COLUMNS$}"));
            } else {
                self.line(&format!("{line}  {master}"));
            }
        }
        self.trouble(instances);
    }

    /// What an administrator should look at.
    fn trouble(&mut self, instances: &[Instance]) {
        let mut first = true;
        for it in instances {
            let mut troubles: Vec<String> = it.faults.iter().map(|it| it.text.clone()).collect();
            if let Some(contended) = &it.contended {
                troubles.push(format!(
                    "contended with {}: {}",
                    contended.peer, contended.reason
                ));
            }
            if it.drained.is_some() {
                troubles.push("drained".to_owned());
            } else if let Some(ordered) = &it.ordered_priority {
                troubles.push(format!("priority {} by order", ordered.priority));
            }
            if it.state == "MASTER" {
                let missing = it.vips.iter().filter(|vip| !vip.installed);
                let missing = missing.map(|vip| format!("{} is not installed", vip.address));
                troubles.extend(missing);
            }
            if troubles.is_empty() {
                continue;
            }
            if std::mem::take(&mut first) {
                self.line("");
                self.line("Trouble");
            }
            let text = format!("{}: {}", it.name, troubles.join("; "));
            self.hanging(&text);
        }
    }

    /// Two blanks in, and four where it goes on.
    fn hanging(&mut self, text: &str) {
        let mut indent = "  ";
        for line in wrapped(text, COLUMNS.saturating_sub(4)) {
            self.line(&format!("{indent}{line}"));
            indent = "    ";
        }
    }
}

// Groups and scripts.
impl Page {
    fn groups(&mut self, groups: &[Group]) {
        if groups.is_empty() {
            return;
        }
        self.line("");
        self.line("Sync groups");
        let name = longest(groups.iter().map(|it| it.name.as_str()));
        for group in groups {
            let state = self.state(&group.state);
            let members = group.members.join(", ");
            self.hanging(&format!("{:name$}  {state}  {members}", group.name));
            if group.notify_skipped > 0 {
                self.hanging(&format!("{:name$}  {}", "", skipped(group.notify_skipped)));
            }
        }
    }

    fn scripts(&mut self, scripts: &[Script], detailed: bool) {
        if scripts.is_empty() {
            return;
        }
        self.line("");
        let is_up = |script: &&Script| script.standing == "up";
        let up = scripts.iter().filter(is_up).count();
        let many = scripts.len() > BLOCKS_MAX;
        if many {
            self.line(&format!("Scripts: {up} of {} up", scripts.len()));
        } else {
            self.line("Scripts");
        }
        let shown = || scripts.iter().filter(|script| !many || !is_up(script));
        let name = longest(shown().map(|it| it.name.as_str()));
        for script in shown() {
            let standing = match script.standing.as_str() {
                "down" => self.coloured("31", "DOWN"),
                "unknown" => "no result yet".to_owned(),
                other => other.to_owned(),
            };
            let mut line = format!("{:name$}  {standing}", script.name);
            match (&script.disabled, &script.last_run) {
                (Some(reason), _) => {
                    let _ = write!(line, ", disabled ({reason})");
                }
                (None, Some(run)) => {
                    let _ = write!(line, ", {}", outcome(run));
                }
                (None, None) => {}
            }
            if script.running && script.disabled.is_none() {
                line.push_str(", runs now");
            }
            self.hanging(&line);
            if detailed || script.disabled.is_some() {
                self.line(&format!("    {}", script.command.join(" ")));
            }
        }
    }
}

fn skipped(count: u64) -> String {
    let what = if count == 1 {
        "change was"
    } else {
        "changes were"
    };
    format!("{count} {what} not told, as a script still ran and later ones came")
}

/// A priority and what it is made of.
pub fn priority(it: &Instance) -> String {
    let priority = &it.priority;
    let added: Vec<String> = priority.contributions.iter().map(added).collect();
    if added.is_empty() {
        return priority.effective.to_string();
    }
    format!(
        "{} = {} base {}",
        priority.effective,
        priority.base,
        added.join(" ")
    )
}

fn added(it: &Contribution) -> String {
    let sign = if it.amount < 0 { '-' } else { '+' };
    let name = it.name.as_deref().unwrap_or_default();
    let of_group = if it.of_group { " of the group" } else { "" };
    let what = match it.kind.as_str() {
        "limit" => "(kept within 1 to 254)".to_owned(),
        "owner" => "(the owner's is fixed)".to_owned(),
        "rival" => "(another node owns the addresses, too)".to_owned(),
        "order" => "by order".to_owned(),
        "drained" => "(drained)".to_owned(),
        kind => format!("{kind} {name}{of_group}"),
    };
    let idle = match it.weight {
        Some(weight) if it.amount == 0 => format!(" (weight {weight})"),
        _ => String::new(),
    };
    format!("{sign} {} {what}{idle}", it.amount.unsigned_abs())
}

/// What is not as it should be is said in capitals.
fn vips(it: &Instance) -> Vec<String> {
    let is_master = it.state == "MASTER";
    let vips = it.vips.iter().map(|vip| {
        let there = match (vip.installed, is_master) {
            (true, true) => "installed",
            (true, false) => "INSTALLED",
            (false, true) => "NOT INSTALLED",
            (false, false) => "not installed",
        };
        if vip.interface == it.interface {
            format!("{} {there}", vip.address)
        } else {
            format!("{} on {} {there}", vip.address, vip.interface)
        }
    });
    vips.collect()
}

fn peer(it: &Peer) -> String {
    let mut text = it.address.clone();
    if let Some(priority) = it.priority {
        let _ = write!(text, ", priority {priority}");
    }
    if let Some(every) = it.advert_seconds {
        let _ = write!(text, ", advert every {}", seconds(every));
    }
    match it.last_heard {
        Some(at) => {
            let _ = write!(text, ", heard {} ago", span(at.seconds_ago));
        }
        None => text.push_str(", never heard"),
    }
    if let Some(refusal) = &it.last_refusal {
        let ago = span(refusal.at.seconds_ago);
        let _ = write!(
            text,
            "; {} refused, the last {ago} ago: {}",
            it.refused, refusal.reason
        );
    }
    if it.addresses_differ {
        text.push_str("; has other VIPs");
    }
    text
}

fn adverts(it: &Counters) -> String {
    let mut text = format!("{} sent, {} received", it.advert_sent, it.advert_rcvd);
    if it.pri_zero_sent > 0 || it.pri_zero_rcvd > 0 {
        let (sent, received) = (it.pri_zero_sent, it.pri_zero_rcvd);
        let _ = write!(text, "; priority 0: {sent} sent, {received} received");
    }
    text
}

/// The counters that are zero where all is well, those that are not.
fn unusual(it: &Counters) -> String {
    let named = [
        ("packet_len_err", it.packet_len_err),
        ("ip_ttl_err", it.ip_ttl_err),
        ("vers_err", it.vers_err),
        ("invalid_type_rcvd", it.invalid_type_rcvd),
        ("advert_interval_err", it.advert_interval_err),
        ("addr_list_err", it.addr_list_err),
        ("chk_err", it.chk_err),
        ("invalid_authtype", it.invalid_authtype),
        ("authtype_mismatch", it.authtype_mismatch),
        ("auth_failure", it.auth_failure),
        ("auth_ext_missing", it.auth_ext_missing),
        ("auth_ext_malformed", it.auth_ext_malformed),
        ("auth_ext_unknown_key", it.auth_ext_unknown_key),
        ("auth_ext_invalid_hmac", it.auth_ext_invalid_hmac),
        ("auth_ext_stale", it.auth_ext_stale),
        ("auth_ext_replay", it.auth_ext_replay),
        ("not_a_peer", it.not_a_peer),
        ("other_checksum", it.other_checksum),
        ("owner_ignored", it.owner_ignored),
        ("adverts_skipped", it.adverts_skipped),
        ("send_failed", it.send_failed),
    ];
    let counted = named.into_iter().filter(|(_, count)| *count > 0);
    let counted: Vec<String> = counted
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counted.join(", ")
}

fn outcome(it: &LastRun) -> String {
    let number = it.number.unwrap_or_default();
    let ago = span(it.at.seconds_ago);
    match it.outcome.as_str() {
        "exited" => format!("exit status {number}, {ago} ago"),
        "signalled" => format!("ended by signal {number}, {ago} ago"),
        "timed-out" => format!("took too long, {ago} ago"),
        other => format!("{other}, {ago} ago"),
    }
}

/// How wide a column of names is; names that are still longer push what follows.
fn longest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let widths = names.map(|name| name.chars().count());
    widths.max().unwrap_or(0).min(24)
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// Seconds without zeros at the end: `1 s`, `0.05 s`, `3.609 s`.
fn seconds(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} s")
}

/// A span by its two largest units: `2 d 3 h`, `5 min 2 s`, `0.4 s`.
pub fn span(value: f64) -> String {
    let all = whole(value);
    let (days, hours, minutes) = (all / 86_400, all / 3_600 % 24, all / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if all < 10 => format!("{value:.1} s"),
        (0, 0, 0) => format!("{all} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", all % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// The same without blanks, for tables: `2d3h`, `5m2s`.
fn short_span(value: f64) -> String {
    let all = whole(value);
    let (days, hours, minutes) = (all / 86_400, all / 3_600 % 24, all / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{all}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", all % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

/// Whole seconds; a number that makes no sense counts as 0.
fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded down on purpose; out of range it saturates"
    )]
    let whole = value as u64;
    whole
}

/// Lines of at most `width` characters, without counting colours. At least one.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = visible(word);
        match lines.last_mut() {
            Some(line) if used + length < width => {
                line.push(' ');
                line.push_str(word);
                used += length + 1;
            }
            _ => {
                lines.push(word.to_owned());
                used = length;
            }
        }
    }
    lines
}

/// How many columns a text takes: escape sequences take none.
fn visible(text: &str) -> usize {
    let mut escaped = false;
    let shown = text.chars().filter(|&letter| {
        let was_escaped = escaped;
        escaped = match letter {
            '\u{1b}' => true,
            'm' if escaped => false,
            _ => escaped,
        };
        !escaped && !was_escaped
    });
    shown.count()
}
