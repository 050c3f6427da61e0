//! `vrrp_instance NAME { ... }` (specification D.7).
//!
//! Decides what each keyword leaves in the draft of an instance. How the
//! settings work together is decided in `resolve.rs`.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::ids::Vrid;
use crate::time::Interval;

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::model::{Command, InitialState, Notify, Password};
use super::super::tree::Statement;
use super::global_defs::GarpDraft;
use super::{
    Content, Context, Keyword, already, authentication, decisive, harmless, is_not_all, is_off,
    is_three, is_two, is_zero, track_script, unicast_peer, unread, virtual_ipaddress,
    virtual_routes, virtual_rules, works,
};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    decisive("use_vmac", "[[name] IFNAME] [MAC] [group G] [netlink_notify_msg]", "Run on a private macvlan with MAC 00:00:5e:00:01:VRID (02 for v6)", unread),
    decisive("use_vmac_addr", "", "VMACs for VIPs on other interfaces", unread),
    harmless("vmac_xmit_base", "", "Adverts via the base interface", unread),
    decisive("use_ipvlan", "[[name] IF] [ADDR] [bridge|private|vepa] [group G]", "ipvlan; IPv4 requires an address else config fault", unread),
    works("unicast_peer", "{ ADDR [min_ttl 0..255] [max_ttl 0..255] }", "Send adverts to these addresses instead of multicast", unicast_peer::set).with(Content::Values),
    decisive("unicast_fault_no_peer", "", "FAULT rather than multicast if no peers", unread),
    decisive("check_unicast_src", "", "Reject adverts of non peers", unread),
    harmless("old_unicast_checksum", "[never]", "VRRPv3 unicast checksum of <=1.3.6", unread),
    decisive("native_ipv6", "", "Force IPv6/v3; error after IPv4 VIPs", unread),
    works("state", "MASTER|BACKUP", "State that is wished for at the start", state),
    works("interface", "IFNAME", "Network interface", interface),
    decisive("vrf", "IFNAME", "Unicast without interface only", unread),
    decisive("dont_track_primary", "", "Ignore own interface state", unread),
    decisive("track_interface", "{ ... }", "Interfaces whose state counts", unread).with(Content::Values),
    works("track_script", "{ ... }", "Scripts whose result counts", track_script::set).with(Content::Values),
    decisive("track_file", "{ ... }", "Files whose content counts", unread).with(Content::Values),
    decisive("track_process", "{ ... }", "Processes whose presence counts", unread).with(Content::Values),
    decisive("track_bfd", "{ ... }", "BFD sessions whose state counts", unread).with(Content::Values),
    works("mcast_src_ip", "ADDR", "Source address of adverts", mcast_src_ip),
    works("unicast_src_ip", "ADDR", "Source address of adverts to peers", unicast_src_ip),
    decisive("mcast_dst_ip", "ADDR", "Destination group; IPv6 must be link-local multicast", unread),
    decisive("track_src_ip", "", "FAULT while the configured source is missing", unread),
    works("virtual_router_id", "1..255", "Number of the virtual router", virtual_router_id),
    decisive("unicast_ttl", "0..255", "TTL of adverts to peers", unicast_ttl).unless(|statement| statement.word(1).is_some_and(|word| word.text == "255")),
    decisive("version", "2|3", "Version of VRRP; 3 does not work yet", version).unless(is_two),
    works("priority", "1..255", "Who is higher becomes MASTER; default 100", priority),
    works("advert_int", "SECONDS", "Time between adverts, whole seconds in version 2", advert_int),
    works("virtual_ipaddress", "{ ... }", "Addresses that the master has", virtual_ipaddress::set).with(Content::Values),
    decisive("virtual_ipaddress_excluded", "{ ... }", "Non advertised VIPs, either family", virtual_ipaddress::set_excluded).with(Content::Values),
    works("no_virtual_ipaddress", "", "No warning about missing addresses", no_virtual_ipaddress),
    decisive("promote_secondaries", "", "Set sysctl on interface, restored at stop", unread),
    harmless("linkbeat_use_polling", "", "Deprecated per instance polling", unread),
    harmless("v3_checksum_as_v2", "[BOOL]", "VRRPv3 over IPv4: checksum without pseudo header", unread),
    decisive("virtual_routes", "{ ... }", "Routes that the master has", virtual_routes::set).with(Content::Values),
    decisive("virtual_rules", "{ ... }", "Rules that the master has", virtual_rules::set).with(Content::Values),
    works("accept", "", "Accept packets to the addresses; always so here", already),
    decisive("no_accept", "", "Firewall drop of packets to VIPs when not owner", unread),
    works("skip_check_adv_addr", "[BOOL]", "Skip the VIP list check when the sender is the known master", skip_check_adv_addr),
    decisive("strict_mode", "[BOOL]", "Keep strictly to the RFC", unread).unless(is_off),
    works("preempt", "", "Undoes nopreempt", preempt),
    works("nopreempt", "", "Never preempt a live lower priority master", nopreempt),
    decisive("preempt_delay", "0..1000 s decimal", "Delay preemption", unread).unless(is_zero),
    harmless("debug", "0..4", "Stored, printed only", unread),
    works("notify_master", "SCRIPT [USER [[:]GROUP]]", "Run on becoming MASTER", notify_master),
    works("notify_backup", "SCRIPT [USER [[:]GROUP]]", "Run on becoming BACKUP", notify_backup),
    works("notify_fault", "SCRIPT [USER [[:]GROUP]]", "Run on FAULT", notify_fault),
    works("notify_stop", "SCRIPT [USER [[:]GROUP]]", "Run when the daemon stops", notify_stop),
    decisive("notify_deleted", "[SCRIPT ...]", "Notify DELETED when removed by reload", unread),
    works("notify", "SCRIPT [USER [[:]GROUP]]", "Run on each change, with INSTANCE NAME STATE PRIORITY appended", notify),
    decisive("notify_master_rx_lower_pri", "SCRIPT ...", "Run when master gets lower priority advert", unread),
    works("smtp_alert", "[BOOL]", "Mail on changes of state", smtp_alert),
    harmless("notify_priority_changes", "[BOOL]", "Tell of changes of priority in the FIFOs", unread),
    decisive("lvs_sync_daemon_interface", "IF", "Run the IPVS synchronisation daemon on this interface", unread),
    works("garp_master_delay", "SECONDS", "Second burst of GARPs this long after the first", garp),
    works("garp_master_refresh", "SECONDS", "Repeat GARPs this often while MASTER", garp),
    works("garp_master_repeat", "N", "GARPs for each VIP in a burst", garp),
    works("garp_master_refresh_repeat", "N", "GARPs for each VIP in a repeated burst", garp),
    works("garp_lower_prio_delay", "SECONDS", "Second burst this long after an advert of lower priority", garp),
    works("garp_lower_prio_repeat", "N", "GARPs for each VIP after an advert of lower priority", garp),
    decisive("down_timer_adverts", "N", "Adverts that may be missed before taking over", unread).unless(is_three),
    decisive("timer_expired_backup", "[1..254]", "A stalled master gives up before it goes on", unread),
    decisive("thread_timer_expired", "", "Old name of timer_expired_backup", unread),
    decisive("garp_extra_if", "[all] 0..86400", "Repeat GARPs on interfaces that are not the one of the instance", unread).unless(is_not_all),
    harmless("vmac_garp_intvl", "", "Deprecated alias", unread),
    decisive("lower_prio_no_advert", "[BOOL]", "Do not answer an advert of lower priority", unread).unless(is_off),
    decisive("higher_prio_send_advert", "[BOOL]", "Send one advert before giving way to a higher priority", unread).unless(is_off),
    decisive("owner_ignore_adverts", "[BOOL]", "The address owner drops all adverts", unread).unless(is_off),
    harmless("kernel_rx_buf_size", "BYTES", "As the global setting of this name", unread),
    works("authentication", "{ ... }", "Password of VRRP version 2", authentication).with(Content::Keywords),
    decisive("auth_hmac", "{ ... }", "HMAC trailer extension", unread).with(Content::Keywords),
];

/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// How many `vrrp_script` blocks stand before it.
    pub known_scripts: usize,
    /// `state`
    pub state: Option<InitialState>,
    /// `interface`
    pub interface: Option<Word>,
    /// `virtual_router_id`
    pub vrid: Option<(Vrid, Origin)>,
    /// `priority`
    pub priority: Option<u8>,
    /// `advert_int`
    pub advert_interval: Option<(Interval, Origin)>,
    /// `nopreempt`
    pub nopreempt: Option<Origin>,
    /// `auth_type`
    pub auth_type: Option<(authentication::Kind, Origin)>,
    /// `auth_pass`
    pub password: Option<Password>,
    /// `mcast_src_ip`, `unicast_src_ip`
    pub source: Option<IpAddr>,
    /// The last keyword that only makes sense with unicast.
    pub unicast: Option<Origin>,
    /// `unicast_peer`
    pub peers: Vec<(IpAddr, Origin)>,
    /// The addresses in `peers`.
    pub known_peers: HashSet<IpAddr>,
    /// `virtual_ipaddress`
    pub addresses: Vec<virtual_ipaddress::Line>,
    /// `virtual_ipaddress_excluded`
    pub excluded: Vec<virtual_ipaddress::Line>,
    /// `virtual_routes`
    pub routes: Vec<virtual_routes::Line>,
    /// `virtual_rules`
    pub rules: Vec<virtual_rules::Line>,
    /// `track_script`
    pub track_scripts: Vec<track_script::Line>,
    /// The names in `track_scripts`.
    pub tracked_names: HashSet<String>,
    /// `garp_*`
    pub garp: GarpDraft,
    /// `skip_check_adv_addr`
    pub skip_check_adv_addr: bool,
    /// `notify*`
    pub notify: Notify,
    /// `smtp_alert`
    pub smtp_alert: Option<bool>,
    /// `no_virtual_ipaddress`
    pub may_have_no_address: bool,
}

impl Draft {
    /// An empty block of this name.
    pub fn new(name: Word, known_scripts: usize) -> Self {
        Self {
            name,
            known_scripts,
            state: None,
            interface: None,
            vrid: None,
            priority: None,
            advert_interval: None,
            nopreempt: None,
            auth_type: None,
            password: None,
            source: None,
            unicast: None,
            peers: Vec::new(),
            known_peers: HashSet::new(),
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            track_scripts: Vec::new(),
            tracked_names: HashSet::new(),
            garp: GarpDraft::default(),
            skip_check_adv_addr: false,
            notify: Notify::default(),
            smtp_alert: None,
            may_have_no_address: false,
        }
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
            if let Some(near) = ["MASTER", "BACKUP"].into_iter().find(near) {
                diagnostic = diagnostic.help(format!("Did you mean `{near}`?"));
            }
            cx.found.push(diagnostic);
            draft.state.get_or_insert(InitialState::Backup);
        }
    }
}

fn interface(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1) {
        draft.interface = Some(word.clone());
    }
}

/// A number that is not exactly one is refused here, in every case.
fn strict_number(
    statement: &Statement,
    cx: &mut Context<'_>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<u8> {
    let word = cx.argument(statement, 1)?;
    let result = arguments::number(&word.text, 1..=255).map_err(|mut problem| {
        problem.usable = None;
        problem
    });
    let value = cx.usable(word, result, || invalid(&word.text))?;
    u8::try_from(value).ok()
}

fn virtual_router_id(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid =
        |text: &str| format!("({name}): VRID '{text}' not valid - must be between 1 & 255");
    if let Some(vrid) = strict_number(statement, cx, invalid).and_then(Vrid::new) {
        draft.vrid = Some((vrid, statement.line.whole()));
    }
}

fn priority(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |_: &str| {
        format!("({name}) Priority not valid! must be between 1 & 255. Using default 100")
    };
    if statement.word(1).is_some() {
        draft.priority = Some(strict_number(statement, cx, invalid).unwrap_or(100));
    } else {
        let _ = cx.argument(statement, 1);
    }
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

fn source(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match arguments::address(arguments::address_and_length(&word.text).0) {
        Some(address) if address.is_ipv4() => draft.source = Some(address),
        Some(address) => {
            let text = format!(
                "({}) source address {address} does not work yet",
                draft.name.text
            );
            cx.found
                .push(Diagnostic::fatal("does-not-work-yet", text).at(&word.origin));
        }
        None => {
            let text = format!(
                "Configuration error: VRRP instance[{}] malformed src address[{}]. Skipping...",
                draft.name.text, word.text
            );
            cx.error("source-address", word, text);
        }
    }
}

fn mcast_src_ip(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    source(draft, statement, cx);
}

fn unicast_src_ip(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.unicast = Some(statement.keyword_origin());
    source(draft, statement, cx);
}

fn unicast_ttl(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.unicast = Some(statement.keyword_origin());
}

fn version(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |_: &str| "Version must be either 2 or 3".to_string();
    cx.number(statement, 2..=3, invalid);
}

/// Any valid word sets it, `false` too; C does that.
fn skip_check_adv_addr(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |text: &str| format!("({name}) invalid skip_check_adv_addr {text} specified");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.skip_check_adv_addr = true;
        if !on {
            let text = "'skip_check_adv_addr' is switched on here, whatever its argument says";
            let origin = statement.line.whole();
            cx.found.push(Diagnostic::hint("switch", text).at(&origin));
        }
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

/// The first script of its kind wins, as in C.
fn script(slot: &mut Option<Command>, name: &str, statement: &Statement, cx: &mut Context<'_>) {
    let Some(command) = cx.command(statement, true) else {
        return;
    };
    if slot.is_some() {
        let (keyword, program) = (statement.keyword(), command.argv.join(" "));
        let text = format!("({name}) {keyword} script already specified - ignoring {program}");
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("notify-twice", text).at(&origin));
        return;
    }
    *slot = Some(command);
}

fn notify(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    script(&mut draft.notify.any, &draft.name.text, statement, cx);
}

fn notify_master(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    script(&mut draft.notify.master, &draft.name.text, statement, cx);
}

fn notify_backup(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    script(&mut draft.notify.backup, &draft.name.text, statement, cx);
}

fn notify_fault(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    script(&mut draft.notify.fault, &draft.name.text, statement, cx);
}

fn notify_stop(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    script(&mut draft.notify.stop, &draft.name.text, statement, cx);
}

fn garp(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let who = format!("({}): ", draft.name.text);
    draft.garp.set(&who, statement.keyword(), statement, cx);
}
