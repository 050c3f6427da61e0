//! Which metrics there are: their names, kinds and what they say.
//!
//! Decides the names, which never change: dashboards and alerts have them. Those that
//! begin with `keepalived_` alone are the names and labels of keepalived-exporter, so
//! that what was made for it goes on to work; our own begin with `keepalived_rs_`.
//! `docs/operating/metrics.md` describes them for people.

/// A metric, with all its values.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, for a counter without `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says, in one line.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It goes up, or begins anew.
    Counter,
    /// Its labels are what it says.
    Info,
    /// Counts up to limits.
    Histogram,
    /// A sum and a count.
    Summary,
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Gauge;
    Family { name, kind, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Counter;
    Family { name, kind, help }
}

macro_rules! families {
    ($($name:ident = $family:expr;)*) => {
        $(pub(super) static $name: Family = $family;)*
        /// All of them, in the order in which they are written.
        pub static ALL: &[&Family] = &[$(&$name),*];
    };
}

families! {
    BUILD = Family { name: "keepalived_rs_build", kind: Kind::Info, help: "The version of keepalived-rs" };
    UP = gauge("keepalived_up", "The VRRP process answers");
    START_TIME = gauge("keepalived_rs_start_time_seconds", "When the daemon began to run, in seconds since 1970");
    REPLACEMENTS = counter("keepalived_rs_worker_replacements", "How often the VRRP process died and was replaced");
    RELOAD_SUCCESS = gauge("keepalived_rs_config_last_reload_successful", "1: the last reload, or the start, was accepted; 0: it was refused and what ran before runs on");
    RELOAD_TIME = gauge("keepalived_rs_config_last_reload_success_timestamp_seconds", "When the configuration that runs was accepted, in seconds since 1970");
    IGNORED = counter("keepalived_rs_ignored_datagrams", "Datagrams that were for no instance");
    LATENESS = Family { name: "keepalived_rs_advert_lateness_seconds", kind: Kind::Histogram, help: "How late the turns began that sent the adverts of masters" };

    VRRP_STATE = gauge("keepalived_vrrp_state", "State of the instance of each virtual address: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT, 98 STOP");
    EXCLUDED_STATE = gauge("keepalived_vrrp_excluded_state", "The same for each address of virtual_ipaddress_excluded");
    ADVERTS_RECEIVED = counter("keepalived_advertisements_received", "Advertisements received and accepted");
    ADVERTS_SENT = counter("keepalived_advertisements_sent", "Advertisements sent");
    BECOME_MASTER = counter("keepalived_become_master", "How often the instance became MASTER");
    RELEASE_MASTER = counter("keepalived_release_master", "How often the instance ceased to be MASTER");
    LENGTH_ERRORS = counter("keepalived_packet_length_errors", "Adverts refused because of their length");
    INTERVAL_ERRORS = counter("keepalived_advertisements_interval_errors", "Adverts refused because of their interval");
    TTL_ERRORS = counter("keepalived_ip_ttl_errors", "Adverts refused because of their TTL or hop limit");
    INVALID_TYPE = counter("keepalived_invalid_type_received", "Adverts refused because of their type");
    ADDRESS_ERRORS = counter("keepalived_address_list_errors", "Adverts with other addresses than ours");
    AUTH_INVALID = counter("keepalived_authentication_invalid", "Adverts refused because of an unknown kind of authentication");
    AUTH_MISMATCH = counter("keepalived_authentication_mismatch", "Adverts refused because of another kind of authentication than ours");
    AUTH_FAILURE = counter("keepalived_authentication_failure", "Adverts refused because of a wrong password");
    ZERO_RECEIVED = counter("keepalived_priority_zero_received", "Adverts of priority 0 received");
    ZERO_SENT = counter("keepalived_priority_zero_sent", "Adverts of priority 0 sent");
    GARP_DELAY = counter("keepalived_gratuitous_arp_delay", "Seconds until gratuitous ARP is repeated, as configured");
    SCRIPT_STATUS = gauge("keepalived_script_status", "What the results of a tracked script say: 1 good, 0 bad");
    SCRIPT_STATE = gauge("keepalived_script_state", "What a tracked script does: 0 idle, 1 running, 2 being ended");

    STATE = gauge("keepalived_rs_state", "State of an instance: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT, 98 STOP");
    PRIORITY = gauge("keepalived_rs_priority", "Effective priority of an instance");
    BASE_PRIORITY = gauge("keepalived_rs_base_priority", "Priority of an instance in the configuration");
    LAST_TRANSITION = gauge("keepalived_rs_last_transition_timestamp_seconds", "When an instance entered its state, in seconds since 1970");
    TRANSITIONS = counter("keepalived_rs_transitions", "How often an instance entered which state, and for which cause");
    CONTENDED = gauge("keepalived_rs_contended", "1: another router claims to be MASTER, too");
    FAULTS = gauge("keepalived_rs_faults", "How many things stand against taking part");
    VIP_INSTALLED = gauge("keepalived_rs_vip_installed", "1: the kernel has the address on that interface");
    VERSION_ERRORS = counter("keepalived_rs_version_errors", "Adverts refused because of their version of VRRP");
    CHECKSUM_ERRORS = counter("keepalived_rs_checksum_errors", "Adverts refused because of their checksum");
    NOT_A_PEER = counter("keepalived_rs_not_a_peer", "Adverts refused because their sender is not a peer");
    EXTENSION_ERRORS = counter("keepalived_rs_authentication_extension_errors", "Adverts refused because of their signature, by what is wrong with it");
    OTHER_CHECKSUM = counter("keepalived_rs_other_checksum", "Accepted adverts of version 3 whose checksum is of the other kind");
    OWNER_IGNORED = counter("keepalived_rs_owner_ignored", "Adverts that an owner of the addresses ignored");
    ADVERTS_SKIPPED = counter("keepalived_rs_adverts_skipped", "Adverts that a standstill made too late to be worth sending");
    SEND_FAILURES = counter("keepalived_rs_send_failures", "Adverts that the kernel did not take");
    NOTIFY_SKIPPED = counter("keepalived_rs_notify_skipped", "Changes that notify scripts were not told of, because later ones overtook them");
    PEERS = gauge("keepalived_rs_peers", "How many other routers are configured or were heard");
    PEER_PRIORITY = gauge("keepalived_rs_peer_priority", "Priority in the last advert of another router");
    PEER_LAST_SEEN = gauge("keepalived_rs_peer_last_seen_timestamp_seconds", "When another router was heard last, in seconds since 1970");
    PEER_ACCEPTED = counter("keepalived_rs_peer_adverts_accepted", "Adverts of another router that were accepted");
    PEER_REFUSED = counter("keepalived_rs_peer_adverts_refused", "Adverts of another router that were refused");
    GROUP_STATE = gauge("keepalived_rs_group_state", "State of a sync group: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT, 98 STOP");
    GROUP_NOTIFY_SKIPPED = counter("keepalived_rs_group_notify_skipped", "Changes that notify scripts of a sync group were not told of, because later ones overtook them");
    SCRIPT_DURATION = Family { name: "keepalived_rs_script_duration_seconds", kind: Kind::Summary, help: "How long the runs of a tracked script took" };
    SCRIPT_LAST_DURATION = gauge("keepalived_rs_script_last_duration_seconds", "How long the last run of a tracked script took");
}
