//! `vrrp_instance NAME { ... }` (specification D.7).
//!
//! Decides what each keyword leaves in the draft of an instance, and which
//! family of addresses it is: the first address in it fixes that (A.14). How the
//! settings work together is decided when everything is read.

use std::net::IpAddr;

use crate::hashing::QuickSet;
use crate::ids::Vrid;
use crate::time::Interval;

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::model::{InitialState, Ipvlan, Notify, Password, UnicastPeer, Version, Vmac};
use super::super::tree::Statement;
use super::global_defs::GarpDraft;
use super::party::{self, Party};
use super::routing_words::Owner;
use super::tracking;
use super::{
    Content, Context, Keyword, auth_hmac, authentication, decisive, own_interface, unicast_peer,
    virtual_ipaddress, virtual_routes, virtual_rules, works,
};

mod sending;

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("use_vmac", "[[name] IFNAME] [MAC] [group G] [netlink_notify_msg]", "Run on a private macvlan with MAC 00:00:5e:00:01:VRID (02 for v6)", own_interface::use_vmac),
    works("use_vmac_addr", "", "VMACs for VIPs on other interfaces", use_vmac_addr),
    works("vmac_xmit_base", "", "Adverts via the base interface", vmac_xmit_base),
    works("use_ipvlan", "[[name] IF] [ADDR] [bridge|private|vepa] [group G]", "ipvlan; IPv4 requires an address else config fault", own_interface::use_ipvlan),
    works("unicast_peer", "{ ADDR [min_ttl 0..255] [max_ttl 0..255] }", "Send adverts to these addresses instead of multicast", unicast_peer::set).with(Content::Values),
    works("unicast_fault_no_peer", "", "FAULT rather than multicast if no peers", sending::unicast_fault_no_peer),
    works("check_unicast_src", "", "Reject adverts of non peers", sending::check_unicast_src),
    works("old_unicast_checksum", "[never]", "VRRPv3 unicast checksum of <=1.3.6", sending::old_unicast_checksum),
    works("native_ipv6", "", "Force IPv6/v3; error after IPv4 VIPs", native_ipv6),
    works("state", "MASTER|BACKUP", "State that is wished for at the start", state),
    works("interface", "IFNAME", "Network interface", own_interface::interface),
    works("vrf", "IFNAME", "Unicast without interface only", own_interface::vrf),
    works("dont_track_primary", "", "Ignore own interface state", dont_track_primary),
    works("track_interface", "{ ... }", "Interfaces whose state counts", party::track_interface).with(Content::Values),
    works("track_script", "{ ... }", "Scripts whose result counts", party::track_script).with(Content::Values),
    works("track_file", "{ ... }", "Files whose content counts", party::track_file).with(Content::Values),
    works("track_process", "{ ... }", "Processes whose presence counts", party::track_process).with(Content::Values),
    decisive("track_bfd", "{ ... }", "BFD sessions whose state counts", party::track_bfd).with(Content::Values),
    works("mcast_src_ip", "ADDR", "Source address of adverts", sending::mcast_src_ip),
    works("unicast_src_ip", "ADDR", "Source address of adverts to peers", sending::unicast_src_ip),
    works("mcast_dst_ip", "ADDR", "Destination group; IPv6 must be link-local multicast", sending::mcast_dst_ip),
    works("track_src_ip", "", "FAULT while the configured source is missing", sending::track_src_ip),
    works("virtual_router_id", "1..255", "Number of the virtual router", virtual_router_id),
    works("unicast_ttl", "0..255", "TTL of adverts to peers", sending::unicast_ttl),
    works("version", "2|3", "Version of VRRP", version),
    works("priority", "1..255", "Who is higher becomes MASTER; default 100", priority),
    works("advert_int", "SECONDS", "Time between adverts, whole seconds in version 2", advert_int),
    works("virtual_ipaddress", "{ ... }", "Addresses that the master has", virtual_addresses).with(Content::Values),
    works("virtual_ipaddress_excluded", "{ ... }", "Non advertised VIPs, either family", virtual_ipaddress::set_excluded).with(Content::Values),
    works("no_virtual_ipaddress", "", "No warning about missing addresses", no_virtual_ipaddress),
    works("promote_secondaries", "", "Set sysctl on interface, restored at stop", promote_secondaries),
    works("linkbeat_use_polling", "", "Deprecated per instance polling", linkbeat_use_polling),
    works("v3_checksum_as_v2", "[BOOL]", "VRRPv3 over IPv4: checksum without pseudo header", v3_checksum_as_v2),
    works("virtual_routes", "{ ... }", "Routes that the master has", virtual_routes::set).with(Content::Values),
    works("virtual_rules", "{ ... }", "Rules that the master has", virtual_rules::set).with(Content::Values),
    works("accept", "", "Accept packets to the addresses, in strict mode too", accept),
    works("no_accept", "", "Drop packets to the addresses unless it is their owner", accept),
    works("skip_check_adv_addr", "[BOOL]", "Skip the VIP list check when the sender is the known master", skip_check_adv_addr),
    works("strict_mode", "[BOOL]", "Keep strictly to the RFC", strict_mode),
    works("preempt", "", "Undoes nopreempt", preempt),
    works("nopreempt", "", "Never preempt a live lower priority master", nopreempt),
    works("preempt_delay", "0..1000 s decimal", "Delay preemption", preempt_delay),
    works("debug", "0..4", "Stored, printed only", debug),
    works("notify_master", "SCRIPT [USER [[:]GROUP]]", "Run on becoming MASTER", party::notify_master),
    works("notify_backup", "SCRIPT [USER [[:]GROUP]]", "Run on becoming BACKUP", party::notify_backup),
    works("notify_fault", "SCRIPT [USER [[:]GROUP]]", "Run on FAULT", party::notify_fault),
    works("notify_stop", "SCRIPT [USER [[:]GROUP]]", "Run when the daemon stops", party::notify_stop),
    works("notify_deleted", "[SCRIPT ...]", "Notify DELETED when removed by reload", notify_deleted),
    works("notify", "SCRIPT [USER [[:]GROUP]]", "Run on each change, with INSTANCE NAME STATE PRIORITY appended", party::notify),
    works("notify_master_rx_lower_pri", "SCRIPT ...", "Run when master gets lower priority advert", notify_master_rx_lower_pri),
    works("smtp_alert", "[BOOL]", "Mail on changes of state", smtp_alert),
    works("notify_priority_changes", "[BOOL]", "Tell of changes of priority in the FIFOs", notify_priority_changes),
    decisive("lvs_sync_daemon_interface", "IF", "Run the IPVS synchronisation daemon on this interface", lvs_sync_daemon_interface),
    works("garp_master_delay", "SECONDS", "Second burst of GARPs this long after the first", garp),
    works("garp_master_refresh", "SECONDS", "Repeat GARPs this often while MASTER", garp),
    works("garp_master_repeat", "N", "GARPs for each VIP in a burst", garp),
    works("garp_master_refresh_repeat", "N", "GARPs for each VIP in a repeated burst", garp),
    works("garp_lower_prio_delay", "SECONDS", "Second burst this long after an advert of lower priority", garp),
    works("garp_lower_prio_repeat", "N", "GARPs for each VIP after an advert of lower priority", garp),
    works("down_timer_adverts", "N", "Adverts that may be missed before taking over", down_timer_adverts),
    works("timer_expired_backup", "[1..254]", "With nopreempt: a master that stood still steps back once a backup of this priority (default 254) has taken over", timer_expired_backup),
    works("thread_timer_expired", "", "Old name of timer_expired_backup", timer_expired_backup),
    works("garp_extra_if", "[all] 0..86400", "Repeat GARPs on interfaces that are not the one of the instance", garp_extra_if),
    works("vmac_garp_intvl", "", "Deprecated alias", garp_extra_if),
    works("lower_prio_no_advert", "[BOOL]", "Do not answer an advert of lower priority", lower_prio_no_advert),
    works("higher_prio_send_advert", "[BOOL]", "Send one advert before giving way to a higher priority", higher_prio_send_advert),
    works("owner_ignore_adverts", "[BOOL]", "The address owner drops all adverts", owner_ignore_adverts),
    works("kernel_rx_buf_size", "BYTES", "As the global setting of this name", kernel_rx_buf_size),
    works("authentication", "{ ... }", "Authentication of VRRP version 2", authentication).with(Content::Keywords),
    works("auth_hmac", "{ ... }", "Signed adverts, in any version", auth_hmac).with(Content::Keywords),
];

/// The settings of one block so far. An `Origin` beside a value is the place to
/// point at when the value is found not to fit.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// Where the block ends.
    pub end: Origin,
    /// `state`
    pub state: Option<InitialState>,
    /// `interface`
    pub interface: Option<Word>,
    /// `interface` without a name stands in it, which was told.
    pub lacks_interface_name: bool,
    /// `vrf`
    pub vrf: Option<Word>,
    /// `use_vmac`
    pub vmac: Option<Vmac>,
    /// The name that it or `use_ipvlan` gives.
    pub link_name: Option<Origin>,
    /// `use_vmac_addr`
    pub vmac_addresses: bool,
    /// `vmac_xmit_base`
    pub vmac_transmit_on_base: Option<Origin>,
    /// `use_ipvlan`
    pub ipvlan: Option<Ipvlan>,
    /// `virtual_router_id`
    pub vrid: Option<(Vrid, Origin)>,
    /// `version`
    pub version: Option<(Version, Origin)>,
    /// `native_ipv6`
    pub native_ipv6: bool,
    /// Whether the addresses are IPv6, and the address that decided it.
    pub ipv6: Option<(bool, Origin)>,
    /// `priority`
    pub priority: Option<u8>,
    /// `advert_int`
    pub advert_interval: Option<(Interval, Origin)>,
    /// `down_timer_adverts`
    pub down_timer_adverts: Option<(u8, Origin)>,
    /// `timer_expired_backup`
    pub timer_expired_backup: Option<(u8, Origin)>,
    /// `strict_mode`
    pub strict: Option<bool>,
    /// `nopreempt`
    pub nopreempt: Option<Origin>,
    /// `preempt_delay`, if it is not 0
    pub preempt_delay: Option<(Interval, Origin)>,
    /// `auth_type`
    pub auth_type: Option<(authentication::Kind, Origin)>,
    /// `auth_pass`
    pub password: Option<Password>,
    /// `auth_hmac`
    pub hmac: Option<Box<auth_hmac::Draft>>,
    /// `mcast_src_ip`, `unicast_src_ip`
    pub source: Option<IpAddr>,
    /// `track_src_ip`
    pub track_source: bool,
    /// The last keyword that only makes sense with unicast.
    pub unicast: Option<Origin>,
    /// `unicast_peer`
    pub peers: Vec<(UnicastPeer, Origin)>,
    /// The addresses in `peers`.
    pub known_peers: QuickSet<IpAddr>,
    /// `unicast_fault_no_peer`
    pub fault_without_peer: Option<Origin>,
    /// `check_unicast_src`
    pub check_unicast_source: bool,
    /// `unicast_ttl`
    pub unicast_ttl: Option<u8>,
    /// `old_unicast_checksum`; `Some(false)` is `never`.
    pub old_unicast_checksum: Option<bool>,
    /// `v3_checksum_as_v2`
    pub v3_checksum_as_v2: Option<bool>,
    /// `mcast_dst_ip`
    pub multicast_group: Option<(IpAddr, Origin)>,
    /// `virtual_ipaddress`
    pub addresses: Vec<virtual_ipaddress::Line>,
    /// `virtual_ipaddress_excluded`
    pub excluded: Vec<virtual_ipaddress::Line>,
    /// `virtual_routes`
    pub routes: Vec<virtual_routes::Line>,
    /// `virtual_rules`
    pub rules: Vec<virtual_rules::Line>,
    /// `no_virtual_ipaddress`
    pub may_have_no_address: bool,
    /// `promote_secondaries`
    pub promote_secondaries: Option<Origin>,
    /// `accept`, `no_accept`
    pub accept: Option<(bool, Origin)>,
    /// `dont_track_primary`
    pub ignore_own_interface: bool,
    /// `linkbeat_use_polling`
    pub linkbeat_polling: bool,
    /// `track_*`
    pub tracking: Option<Box<tracking::Draft>>,
    /// `garp_*`
    pub garp: GarpDraft,
    /// `garp_lower_prio_delay`
    pub garp_lower_prio_delay: Option<Origin>,
    /// `garp_lower_prio_repeat`
    pub garp_lower_prio_repeat: Option<Origin>,
    /// `skip_check_adv_addr`
    pub skip_check_adv_addr: Option<bool>,
    /// `lower_prio_no_advert`
    pub lower_prio_no_advert: Option<(bool, Origin)>,
    /// `higher_prio_send_advert`
    pub higher_prio_send_advert: Option<(bool, Origin)>,
    /// `owner_ignore_adverts`
    pub owner_ignore_adverts: Option<(bool, Origin)>,
    /// `kernel_rx_buf_size`
    pub receive_buffer_bytes: Option<u32>,
    /// `lvs_sync_daemon_interface`
    pub sync_daemon_interface: Option<String>,
    /// `notify*`
    pub notify: Notify,
    /// `notify_priority_changes`
    pub notify_priority_changes: Option<bool>,
    /// `smtp_alert`
    pub smtp_alert: Option<bool>,
    /// `debug`
    pub debug: u8,
}

impl Draft {
    /// An empty block of this name; `end` is where it ends.
    pub fn new(name: Word, end: Origin) -> Self {
        Self {
            name,
            end,
            state: None,
            interface: None,
            lacks_interface_name: false,
            vrf: None,
            vmac: None,
            link_name: None,
            vmac_addresses: false,
            vmac_transmit_on_base: None,
            ipvlan: None,
            vrid: None,
            version: None,
            native_ipv6: false,
            ipv6: None,
            priority: None,
            advert_interval: None,
            down_timer_adverts: None,
            timer_expired_backup: None,
            strict: None,
            nopreempt: None,
            preempt_delay: None,
            auth_type: None,
            password: None,
            hmac: None,
            source: None,
            track_source: false,
            unicast: None,
            peers: Vec::new(),
            known_peers: QuickSet::default(),
            fault_without_peer: None,
            check_unicast_source: false,
            unicast_ttl: None,
            old_unicast_checksum: None,
            v3_checksum_as_v2: None,
            multicast_group: None,
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            may_have_no_address: false,
            promote_secondaries: None,
            accept: None,
            ignore_own_interface: false,
            linkbeat_polling: false,
            tracking: None,
            garp: GarpDraft::default(),
            garp_lower_prio_delay: None,
            garp_lower_prio_repeat: None,
            skip_check_adv_addr: None,
            lower_prio_no_advert: None,
            higher_prio_send_advert: None,
            owner_ignore_adverts: None,
            receive_buffer_bytes: None,
            sync_daemon_interface: None,
            notify: Notify::default(),
            notify_priority_changes: None,
            smtp_alert: None,
            debug: 0,
        }
    }

    /// Whether an address is of the family of the instance; the first one
    /// decides which that is.
    pub fn fixes_family(&mut self, address: IpAddr, origin: &Origin) -> bool {
        let (ipv6, _) = *self.ipv6.get_or_insert((address.is_ipv6(), *origin));
        ipv6 == address.is_ipv6()
    }
}

impl Party for Draft {
    fn name(&self) -> &str {
        &self.name.text
    }

    fn title(&self) -> String {
        format!("({})", self.name.text)
    }

    fn notify(&mut self) -> &mut Notify {
        &mut self.notify
    }

    fn tracking(&mut self) -> &mut tracking::Draft {
        self.tracking.get_or_insert_default()
    }
}

fn state(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let name = &draft.name.text;
    match word.text.as_str() {
        "MASTER" => draft.state = Some(InitialState::Master),
        "BACKUP" if draft.state == Some(InitialState::Master) => {
            let text = format!("({name}) state previously set as MASTER - ignoring BACKUP");
            cx.error("state-twice", word, text);
        }
        "BACKUP" => draft.state = Some(InitialState::Backup),
        other => {
            let text = format!("({name}) unknown state '{other}', defaulting to BACKUP");
            let mut diagnostic = Diagnostic::error("state", text).at(&word.origin);
            let upper = other.to_ascii_uppercase();
            let near = |known: &&str| strsim::osa_distance(known, &upper) <= 2;
            diagnostic = diagnostic.help(match ["MASTER", "BACKUP"].into_iter().find(near) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "It is `MASTER` or `BACKUP`.".to_string(),
            });
            cx.found.push(diagnostic);
            draft.state.get_or_insert(InitialState::Backup);
        }
    }
}

fn virtual_router_id(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid =
        |text: &str| format!("({name}): VRID '{text}' not valid - must be between 1 & 255");
    if let Some(vrid) = exact_byte(statement, cx, 1..=255, invalid).and_then(Vrid::new) {
        draft.vrid = Some((vrid, statement.line.whole()));
    }
}

fn priority(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |_: &str| {
        format!("({name}) Priority not valid! must be between 1 & 255. Using default 100")
    };
    if statement.word(1).is_some() {
        draft.priority = Some(exact_byte(statement, cx, 1..=255, invalid).unwrap_or(100));
    } else {
        let _ = cx.argument(statement, 1);
    }
}

fn nopreempt(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.nopreempt = Some(statement.line.whole());
}

fn preempt(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.nopreempt = None;
}

fn authentication(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let table = authentication::KEYWORDS;
    super::apply("authentication", table, statement.inner(), draft, cx);
}

/// In C any valid word sets it, `false` too.
fn skip_check_adv_addr(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some((on, _)) = named_switch(draft, statement, cx) {
        draft.skip_check_adv_addr = Some(on);
    }
}

fn smtp_alert(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid vrrp_instance smtp_alert parameter {text}");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.smtp_alert = Some(on);
    }
}

fn no_virtual_ipaddress(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.may_have_no_address = true;
}

/// Without a script only `notify` is told.
fn notify_deleted(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if draft.notify.tell_deleted {
        let written = statement.arguments().iter().map(|word| word.text.as_str());
        let written: Vec<&str> = written.collect();
        let text = format!(
            "({}) notify_deleted already specified - ignoring {}",
            draft.name.text,
            written.join(" ")
        );
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("notify-twice", text).at(&origin));
        return;
    }
    draft.notify.tell_deleted = true;
    if statement.word(1).is_some() {
        draft.notify.deleted = cx.command(statement, true).map(Box::new);
    }
}

fn notify_master_rx_lower_pri(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    party::script(
        draft,
        |notify| &mut notify.master_rx_lower_pri,
        statement,
        cx,
    );
}

fn notify_priority_changes(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |text: &str| {
        format!("({name}) Invalid value '{text}' for notify_priority_changes specified")
    };
    if let Some(on) = cx.switch(statement, invalid) {
        draft.notify_priority_changes = Some(on);
    }
}

fn garp(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let who = format!("({}): ", draft.name.text);
    draft.garp.set(&who, statement.keyword(), statement, cx);
    let place = Some(statement.line.whole());
    match statement.keyword() {
        "garp_lower_prio_delay" => draft.garp_lower_prio_delay = place,
        "garp_lower_prio_repeat" => draft.garp_lower_prio_repeat = place,
        _ => {}
    }
}

/// `garp_extra_if [all] SECONDS`, and its old name.
fn garp_extra_if(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if statement.keyword() == "vmac_garp_intvl" {
        let text = "Keyword \"vmac_garp_intvl\" is deprecated - please use \"garp_extra_if\"";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::warning("deprecated", text).at(&origin));
    }
    let who = format!("({}): ", draft.name.text);
    draft.garp.set_extra(&who, 0, statement, cx);
}

/// A number that is not exactly one is refused here, in every case.
fn exact_byte(
    statement: &Statement,
    cx: &mut Context<'_>,
    range: std::ops::RangeInclusive<i64>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<u8> {
    let word = cx.argument(statement, 1)?;
    let result = arguments::exact_number(&word.text, range);
    let value = cx.usable(word, result, || invalid(&word.text))?;
    u8::try_from(value).ok()
}

fn advert_int(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let range = Interval::from_us(10_000)..=Interval::from_secs(255);
    let name = &draft.name.text;
    let invalid =
        |text: &str| format!("({name}) Advert interval ({text}) not valid! Must be > 0 - ignoring");
    if let Some(value) = cx.seconds(statement, 6, range, invalid) {
        draft.advert_interval = Some((value, statement.line.whole()));
    }
}

fn down_timer_adverts(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |text: &str| format!("({name}): Invalid down_timer_adverts [1:100] '{text}'");
    if let Some(value) = exact_byte(statement, cx, 1..=100, invalid) {
        draft.down_timer_adverts = Some((value, statement.line.whole()));
    }
}

/// `timer_expired_backup [1..254]`, and its old name.
fn timer_expired_backup(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (name, keyword) = (&draft.name.text, statement.keyword());
    let origin = statement.line.whole();
    if keyword == "thread_timer_expired" {
        let text = "Keyword \"thread_timer_expired\" is deprecated - please use \
                    \"timer_expired_backup\"";
        cx.found
            .push(Diagnostic::warning("deprecated", text).at(&origin));
    }
    let invalid = |text: &str| format!("({name}) Invalid {keyword} [1:254] '{text}'");
    let value = match statement.word(1) {
        Some(_) => exact_byte(statement, cx, 1..=254, invalid),
        None => Some(254),
    };
    draft.timer_expired_backup = value.map(|value| (value, origin));
}

fn preempt_delay(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |_: &str| format!("({name}) Preempt_delay not valid! must be between 0-1000");
    let range = Interval::ZERO..=Interval::from_secs(1000);
    if let Some(value) = cx.seconds(statement, 6, range, invalid) {
        let place = (value, statement.line.whole());
        draft.preempt_delay = Some(place).filter(|(value, _)| !value.is_zero());
    }
}

fn version(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let invalid = |_: &str| format!("({name}): Version must be either 2 or 3");
    let Some(number) = cx.number(statement, 2..=3, invalid) else {
        return;
    };
    let version = if number == 3 {
        Version::V3
    } else {
        Version::V2
    };
    let is_ipv6 = draft.ipv6.is_some_and(|(ipv6, _)| ipv6);
    let known = match draft.version {
        Some((known, _)) => Some(known),
        None => is_ipv6.then_some(Version::V3),
    };
    let origin = statement.line.whole();
    if let Some(known) = known.filter(|known| *known != version) {
        let known = if known == Version::V3 { 3 } else { 2 };
        let text = format!(
            "({name}) vrrp_version {number} conflicts with configured or deduced version \
             {known}; ignoring."
        );
        cx.found
            .push(Diagnostic::error("version", text).at(&origin));
        return;
    }
    draft.version = Some((version, origin));
}

fn native_ipv6(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let origin = statement.line.whole();
    let (ipv6, _) = *draft.ipv6.get_or_insert((true, origin));
    if ipv6 {
        draft.native_ipv6 = true;
        return;
    }
    let text = format!(
        "({}) Cannot specify native_ipv6 with IPv4 addresses",
        draft.name.text
    );
    cx.found.push(Diagnostic::error("family", text).at(&origin));
}

/// Those of the other family are left out.
fn virtual_addresses(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let lines = virtual_ipaddress::read(statement, Owner::Instance, cx);
    draft.addresses.reserve_exact(lines.len());
    for line in lines {
        if draft.fixes_family(line.address(), &line.origin) {
            draft.addresses.push(line);
            continue;
        }
        let text = format!(
            "({}): address family must match VRRP instance [{}] - ignoring",
            draft.name.text, line.written
        );
        let help = "Write one instance for IPv4 and another one for IPv6.";
        let diagnostic = Diagnostic::error("family", text).at(&line.origin);
        cx.found.push(diagnostic.help(help));
    }
}

fn v3_checksum_as_v2(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some((on, _)) = named_switch(draft, statement, cx) {
        draft.v3_checksum_as_v2 = Some(on);
    }
}

fn use_vmac_addr(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.vmac_addresses = true;
}

fn vmac_xmit_base(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.vmac_transmit_on_base = Some(statement.keyword_origin());
}

fn promote_secondaries(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.promote_secondaries = Some(statement.keyword_origin());
}

fn linkbeat_use_polling(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let text = format!(
        "({}) 'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block",
        draft.name.text
    );
    let origin = statement.line.whole();
    cx.found
        .push(Diagnostic::warning("deprecated", text).at(&origin));
    draft.linkbeat_polling = true;
}

fn dont_track_primary(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.ignore_own_interface = true;
}

/// `accept` and `no_accept`; the last one counts.
fn accept(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.accept = Some((statement.keyword() == "accept", statement.keyword_origin()));
}

/// A switch of an instance with C's most common message.
fn named_switch(
    draft: &Draft,
    statement: &Statement,
    cx: &mut Context<'_>,
) -> Option<(bool, Origin)> {
    let (name, keyword) = (&draft.name.text, statement.keyword());
    let invalid = |text: &str| format!("({name}) invalid {keyword} {text} specified");
    let on = cx.switch(statement, invalid)?;
    Some((on, statement.line.whole()))
}

fn strict_mode(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let switch = named_switch(draft, statement, cx);
    draft.strict = switch.map(|(on, _)| on).or(draft.strict);
}

fn lower_prio_no_advert(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let switch = named_switch(draft, statement, cx);
    draft.lower_prio_no_advert = switch.or(draft.lower_prio_no_advert);
}

fn higher_prio_send_advert(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let switch = named_switch(draft, statement, cx);
    draft.higher_prio_send_advert = switch.or(draft.higher_prio_send_advert);
}

fn owner_ignore_adverts(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let switch = named_switch(draft, statement, cx);
    draft.owner_ignore_adverts = switch.or(draft.owner_ignore_adverts);
}

fn debug(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid =
        |text: &str| format!("({name}) Debug value '{text}' not valid; must be between 0-4");
    if let Some(value) = exact_byte(statement, cx, 0..=4, invalid) {
        draft.debug = value;
    }
}

fn kernel_rx_buf_size(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |_: &str| format!("({name}) invalid kernel_rx_buf_size specified");
    let value = cx.number(statement, 0..=i64::from(u32::MAX), invalid);
    // 0 is what holds without the keyword.
    let value = value.and_then(|value| u32::try_from(value).ok());
    draft.receive_buffer_bytes = value.filter(|bytes| *bytes > 0);
}

fn lvs_sync_daemon_interface(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let text =
        format!("({name}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated.");
    let help = "Please use global lvs_sync_daemon";
    let diagnostic = Diagnostic::warning("deprecated", text).at(&statement.line.whole());
    cx.found.push(diagnostic.help(help));
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if let Some(other) = &cx.names.sync_daemon_interface {
        let text = format!(
            "({name}) lvs_sync_daemon_interface has already been specified as {other} - ignoring"
        );
        cx.error("sync-daemon-twice", word, text);
        return;
    }
    cx.names.sync_daemon_interface = Some(word.text.clone());
    draft.sync_daemon_interface = Some(word.text.clone());
}

fn auth_hmac(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let origin = statement.keyword_origin();
    let mut block = auth_hmac::Draft::new(&draft.name.text, origin);
    let table = auth_hmac::KEYWORDS;
    super::apply("auth_hmac", table, statement.inner(), &mut block, cx);
    draft.hmac = auth_hmac::finish(block, cx).map(Box::new);
}

/// What can be said when the block ends.
pub fn finish(draft: &mut Draft, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let mut tell = |code, text: String| {
        cx.found
            .push(Diagnostic::warning(code, text).at(&draft.end));
    };
    if draft.peers.is_empty() {
        if draft.unicast_ttl.take().is_some() {
            let text =
                format!("({name}): Cannot use unicast_ttl without unicast peers - resetting");
            tell("unicast-ttl", text);
        }
        return;
    }
    if draft.interface.is_none() && (draft.vmac.is_some() || draft.ipvlan.is_some()) {
        let text = format!(
            "({name}): Cannot use VMAC/ipvlan with unicast and no interface - clearing use_vmac"
        );
        tell("unicast-vmac", text);
        draft.vmac = None;
        draft.ipvlan = None;
    } else if draft.vmac.is_some() && draft.vmac_transmit_on_base.is_none() {
        let text = format!("({name}) unicast with use_vmac requires vmac_xmit_base - setting");
        tell("unicast-vmac", text);
        draft.vmac_transmit_on_base = Some(draft.end);
    }
}
