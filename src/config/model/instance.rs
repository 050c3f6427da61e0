//! A virtual router, and a group of them.
//!
//! Source: specification D.1, D.7.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::ids::{Priority, Vrid};
use crate::time::Interval;
use crate::wire::advert::Family;
pub use crate::wire::advert::Version;

use super::{
    Command, Route, Rule, TrackBfd, TrackFile, TrackInterface, TrackProcess, TrackScript, VipLoss,
    VirtualAddress,
};

/// What `state` asks for. A wish only (specification F.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialState {
    /// `state MASTER`.
    Master,
    /// `state BACKUP`, or nothing.
    Backup,
}

/// The first eight bytes of `auth_pass`, padded with zeros. Never printed, and
/// gone from memory with the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub [u8; 8]);

impl Password {
    /// The bytes without the padding: the key of `auth_type AH`.
    pub fn key(&self) -> &[u8] {
        let padding = self.0.iter().rev().take_while(|byte| **byte == 0).count();
        let length = self.0.len().saturating_sub(padding);
        self.0.get(..length).unwrap_or_default()
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(********)")
    }
}

/// The bytes of a key. Never printed, and gone from memory with the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites what nobody will read, so that it does not stay in memory.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // Else the compiler might leave a write out that nothing reads.
    std::hint::black_box(bytes);
}

/// `authentication` (specification D.7). Version 2 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// `auth_type PASS`
    Password(Password),
    /// `auth_type AH`
    Header(Password),
}

/// `auth_hmac` (specification D.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthHmac {
    /// Number and bytes of each key, 32 to 64 bytes.
    pub keys: Vec<(u8, HmacKey)>,
    /// The number of the key that signs.
    pub active_key: u8,
    /// How far clocks may differ. Default: three advert intervals, at least 5 s.
    pub time_window: Interval,
    /// `anti_replay monotonic`: the clock is not compared.
    pub monotonic: bool,
    /// `mode`
    pub mode: HmacMode,
}

/// A key of `auth_hmac`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HmacKey {
    /// Text or `hex:`, decoded.
    Bytes(Secret),
    /// `file:PATH`, read when the daemon starts or reloads; the engine gets the
    /// bytes instead.
    File(String),
}

impl AuthHmac {
    /// The key with this number, if its bytes are known.
    pub fn key(&self, number: u8) -> Option<&[u8]> {
        let mut keys = self.keys.iter();
        match keys.find(|(known, _)| *known == number)? {
            (_, HmacKey::Bytes(secret)) => Some(secret.bytes()),
            (_, HmacKey::File(_)) => None,
        }
    }
}

/// What `auth_hmac` does with adverts without a good trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HmacMode {
    /// They are dropped.
    #[default]
    Enforce,
    /// Those without any trailer pass.
    Permissive,
    /// Own adverts have no trailer, and those without one pass.
    ReceiveOnly,
}

/// `use_vmac` (specification D.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vmac {
    /// The name; `None`: made from the prefix and the VRID.
    pub interface: Option<String>,
    /// The hardware address; `None`: that of the RFC.
    pub hardware_address: Option<HardwareAddress>,
    /// `group`
    pub group: Option<u32>,
    /// `netlink_notify_msg`
    pub netlink_notify: bool,
}

/// The hardware address of a virtual MAC that is not that of the RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HardwareAddress {
    /// All of it.
    Whole([u8; 6]),
    /// What stands before the VRID.
    BeforeVrid([u8; 5]),
}

/// `use_ipvlan` (specification D.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ipvlan {
    /// The name; `None`: made from the prefix and the VRID.
    pub interface: Option<String>,
    /// Its address and prefix length.
    pub address: Option<(IpAddr, u8)>,
    /// `bridge`, `private` or `vepa`; `None`: the kernel's default.
    pub mode: Option<IpvlanMode>,
    /// `group`
    pub group: Option<u32>,
}

/// Which ports of an ipvlan see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IpvlanMode {
    /// `bridge`
    #[default]
    Bridge,
    /// `private`
    Private,
    /// `vepa`
    Vepa,
}

/// A line of `unicast_peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnicastPeer {
    /// Where it is.
    pub address: IpAddr,
    /// Adverts with a smaller TTL are dropped.
    pub min_ttl: Option<u8>,
    /// Adverts with a greater TTL are dropped.
    pub max_ttl: Option<u8>,
}

impl From<IpAddr> for UnicastPeer {
    /// A peer whose TTL does not matter.
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            min_ttl: None,
            max_ttl: None,
        }
    }
}

/// A `vrrp_instance` block (specification D.7), with everything resolved:
/// instance, then group, then global, then default, after the interplay rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The name of the block.
    pub name: String,
    /// `version`, or deduced from the addresses. Default 2, for IPv6 3.
    pub version: Version,
    /// IPv6 adverts; from the first word that fixes a family.
    pub ipv6: bool,
    /// `state`.
    pub initial_state: InitialState,
    /// `interface`; empty for unicast that goes without one.
    pub interface: Arc<str>,
    /// `vrf`
    pub vrf: Option<String>,
    /// `use_vmac`
    pub vmac: Option<Box<Vmac>>,
    /// `use_vmac_addr`
    pub vmac_addresses: bool,
    /// `vmac_xmit_base`
    pub vmac_transmit_on_base: bool,
    /// `use_ipvlan`
    pub ipvlan: Option<Box<Ipvlan>>,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// `priority`, 1 to 255.
    pub priority: Priority,
    /// `advert_int`; whole seconds in version 2, 10 ms to 40.95 s in steps of
    /// 10 ms in version 3. Default 1 s.
    pub advert_interval: Interval,
    /// `down_timer_adverts`, 1 to 100. Default 3.
    pub down_timer_adverts: u8,
    /// `timer_expired_backup`: the highest priority that another node may have, 1 to
    /// 254. A MASTER steps back if it stood still for so long that a backup of that
    /// priority has taken over.
    pub timer_expired_backup: Option<u8>,
    /// `strict_mode`
    pub strict: bool,
    /// `nopreempt`.
    pub nopreempt: bool,
    /// `preempt_delay`. Default 0.
    pub preempt_delay: Interval,
    /// `authentication`
    pub authentication: Option<Authentication>,
    /// `auth_hmac`
    pub auth_hmac: Option<Box<AuthHmac>>,
    /// `mcast_src_ip` or `unicast_src_ip`; `None` means the interface's primary address.
    pub source_address: Option<IpAddr>,
    /// `track_src_ip`: FAULT while the configured source address is missing.
    pub track_source_address: bool,
    /// `unicast_peer`; empty means multicast.
    pub unicast_peers: Vec<UnicastPeer>,
    /// `unicast_fault_no_peer`, and there is no peer: FAULT for ever.
    pub fault_without_peer: bool,
    /// `check_unicast_src`: adverts of others than peers are dropped.
    pub check_unicast_source: bool,
    /// `unicast_ttl`; `None`: 255.
    pub unicast_ttl: Option<u8>,
    /// `old_unicast_checksum`: `Some(false)` is `never`.
    pub old_unicast_checksum: Option<bool>,
    /// `v3_checksum_as_v2`: the checksum of version 3 over IPv4 has no pseudo header.
    pub v3_checksum_as_v2: bool,
    /// Where adverts go if there are no peers. Default 224.0.0.18 or ff02::12.
    pub multicast_group: IpAddr,
    /// `virtual_ipaddress`, no duplicates, no more than an advert holds.
    pub virtual_addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`, and what does not fit into an advert.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// `virtual_routes`
    pub virtual_routes: Vec<Route>,
    /// `virtual_rules`
    pub virtual_rules: Vec<Rule>,
    /// `promote_secondaries`
    pub promote_secondaries: bool,
    /// Packets to the addresses are accepted: `accept`, `no_accept`, strict mode.
    pub accept: bool,
    /// `dont_track_primary`: the state of the own interface does not matter.
    pub ignore_own_interface: bool,
    /// `track_interface`
    pub track_interfaces: Vec<TrackInterface>,
    /// `track_script`, no script twice.
    pub track_scripts: Vec<TrackScript>,
    /// `track_file`
    pub track_files: Vec<TrackFile>,
    /// `track_process`
    pub track_processes: Vec<TrackProcess>,
    /// `track_bfd`
    pub track_bfds: Vec<TrackBfd>,
    /// `linkbeat_use_polling`
    pub linkbeat_polling: bool,
    /// Gratuitous ARP.
    pub garp: Garp,
    /// `skip_check_adv_addr`: the VIP list of the known master is not compared.
    pub skip_check_adv_addr: bool,
    /// `lower_prio_no_advert`
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`
    pub higher_prio_send_advert: bool,
    /// `owner_ignore_adverts`
    pub owner_ignore_adverts: bool,
    /// `kernel_rx_buf_size`, bytes.
    pub receive_buffer_bytes: Option<u32>,
    /// `lvs_sync_daemon_interface`, deprecated.
    pub sync_daemon_interface: Option<String>,
    /// `notify*`.
    pub notify: Notify,
    /// `notify_priority_changes`, resolved: instance, group, global, off.
    pub notify_priority_changes: bool,
    /// `smtp_alert`, resolved: instance, `smtp_alert_vrrp`, `smtp_alert`, off.
    pub smtp_alert: bool,
    /// `debug`, 0 to 4. Only printed.
    pub debug: u8,
    /// `fast_handover` of `keepalived-rs.conf`, resolved: instance, group, global,
    /// off.
    pub fast_handover: bool,
    /// `vip_loss` and `vip_loss_limit` of `keepalived-rs.conf`, resolved in the same way.
    pub vip_loss: VipLoss,
}

impl Instance {
    /// What carries the adverts.
    pub const fn family(&self) -> Family {
        if self.ipv6 { Family::V6 } else { Family::V4 }
    }

    /// An instance with every default.
    pub fn new(name: impl Into<String>, interface: impl Into<Arc<str>>, vrid: Vrid) -> Self {
        Self {
            name: name.into(),
            version: Version::V2,
            ipv6: false,
            initial_state: InitialState::Backup,
            interface: interface.into(),
            vrf: None,
            vmac: None,
            vmac_addresses: false,
            vmac_transmit_on_base: false,
            ipvlan: None,
            vrid,
            priority: Priority::DEFAULT,
            advert_interval: Interval::from_secs(1),
            down_timer_adverts: 3,
            timer_expired_backup: None,
            strict: false,
            nopreempt: false,
            preempt_delay: Interval::ZERO,
            authentication: None,
            auth_hmac: None,
            source_address: None,
            track_source_address: false,
            unicast_peers: Vec::new(),
            fault_without_peer: false,
            check_unicast_source: false,
            unicast_ttl: None,
            old_unicast_checksum: None,
            v3_checksum_as_v2: false,
            multicast_group: Ipv4Addr::new(224, 0, 0, 18).into(),
            virtual_addresses: Vec::new(),
            excluded_addresses: Vec::new(),
            virtual_routes: Vec::new(),
            virtual_rules: Vec::new(),
            promote_secondaries: false,
            accept: true,
            ignore_own_interface: false,
            track_interfaces: Vec::new(),
            track_scripts: Vec::new(),
            track_files: Vec::new(),
            track_processes: Vec::new(),
            track_bfds: Vec::new(),
            linkbeat_polling: false,
            garp: Garp::default(),
            skip_check_adv_addr: false,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            receive_buffer_bytes: None,
            sync_daemon_interface: None,
            notify: Notify::default(),
            notify_priority_changes: false,
            smtp_alert: false,
            debug: 0,
            fast_handover: false,
            vip_loss: VipLoss::default(),
        }
    }

    /// Everything that the master has: addresses of the advert, and excluded ones.
    pub fn all_addresses(&self) -> impl Iterator<Item = &VirtualAddress> {
        self.virtual_addresses
            .iter()
            .chain(&self.excluded_addresses)
    }

    /// Where an advert goes: to each peer, or to the group.
    pub fn destinations(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let group = self
            .unicast_peers
            .is_empty()
            .then_some(self.multicast_group);
        self.unicast_peers
            .iter()
            .map(|peer| peer.address)
            .chain(group)
    }

    /// Whether `address` is one of the peers.
    pub fn is_peer(&self, address: IpAddr) -> bool {
        self.unicast_peers
            .iter()
            .any(|peer| peer.address == address)
    }

    /// The password of `auth_type PASS`.
    pub fn password(&self) -> Option<&Password> {
        match &self.authentication {
            Some(Authentication::Password(password)) => Some(password),
            Some(Authentication::Header(_)) | None => None,
        }
    }

    /// The key of the authentication header, if there is one.
    pub fn header_key(&self) -> Option<&[u8]> {
        match &self.authentication {
            Some(Authentication::Header(password)) => Some(password.key()),
            Some(Authentication::Password(_)) | None => None,
        }
    }

    /// The extension, if own adverts have its trailer.
    pub fn signing(&self) -> Option<&AuthHmac> {
        let extension = self.auth_hmac.as_deref();
        extension.filter(|it| it.mode != HmacMode::ReceiveOnly)
    }
}

/// A `vrrp_sync_group` block (specification D.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    /// The name of the block.
    pub name: String,
    /// Names of instances, at least one, each in one group only.
    pub instances: Vec<String>,
    /// MASTER only if every member is an address owner that wishes it.
    pub initial_state: InitialState,
    /// `track_interface`
    pub track_interfaces: Vec<TrackInterface>,
    /// `track_script`
    pub track_scripts: Vec<TrackScript>,
    /// `track_file`
    pub track_files: Vec<TrackFile>,
    /// `track_process`
    pub track_processes: Vec<TrackProcess>,
    /// `track_bfd`
    pub track_bfds: Vec<TrackBfd>,
    /// `sync_group_tracking_weight`: weights of the members are kept.
    pub tracking_weight: bool,
    /// `notify*`; `deleted` and `master_rx_lower_pri` are never set.
    pub notify: Notify,
    /// `smtp_alert`, resolved.
    pub smtp_alert: bool,
    /// `notify_priority_changes`
    pub notify_priority_changes: Option<bool>,
}

/// `garp_*`, each resolved instance, global, default (specification B.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garp {
    /// After becoming MASTER a second burst follows this much later; 0 = none. Default 5 s.
    pub master_delay: Interval,
    /// Packets for each VIP in a burst, at least 1. Default 5.
    pub master_repeat: u32,
    /// Period of repeated bursts while MASTER; 0 = none. Default 0.
    pub master_refresh: Interval,
    /// Packets for each VIP in a repeated burst, at least 1. Default 1.
    pub master_refresh_repeat: u32,
    /// After an advert of lower priority a second burst follows this much later.
    /// Default: `master_delay`.
    pub lower_prio_delay: Interval,
    /// Packets for each VIP after an advert of lower priority, may be 0.
    /// Default: `master_repeat`.
    pub lower_prio_repeat: u32,
    /// `vrrp_garp_interval`: the least time between two packets on one interface. Default 0.
    pub interval: Interval,
    /// `vrrp_gna_interval`: the same for neighbour adverts. Default 0.
    pub gna_interval: Interval,
    /// `garp_extra_if`: period on other interfaces; 0 = none. Default 0.
    pub extra_interfaces: Interval,
    /// `garp_extra_if all`
    pub extra_on_all: bool,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            master_delay: Interval::from_secs(5),
            master_repeat: 5,
            master_refresh: Interval::ZERO,
            master_refresh_repeat: 1,
            lower_prio_delay: Interval::from_secs(5),
            lower_prio_repeat: 5,
            interval: Interval::ZERO,
            gna_interval: Interval::ZERO,
            extra_interfaces: Interval::ZERO,
            extra_on_all: false,
        }
    }
}

/// The commands that tell of a change of state (specification E.6). Most instances
/// have few of them or none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// `notify`, with `INSTANCE NAME STATE PRIORITY` appended.
    pub any: Option<Box<Command>>,
    /// `notify_master`.
    pub master: Option<Box<Command>>,
    /// `notify_backup`.
    pub backup: Option<Box<Command>>,
    /// `notify_fault`.
    pub fault: Option<Box<Command>>,
    /// `notify_stop`.
    pub stop: Option<Box<Command>>,
    /// `notify_master_rx_lower_pri`
    pub master_rx_lower_pri: Option<Box<Command>>,
    /// `notify_deleted`: tell of DELETED, not of FAULT, when a reload removes it.
    pub tell_deleted: bool,
    /// The command of `notify_deleted`.
    pub deleted: Option<Box<Command>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_ever_printed() {
        let password = Password(*b"secret\0\0");
        assert_eq!(password.key(), b"secret");
        let all = (
            Authentication::Password(password.clone()),
            Authentication::Header(password),
            HmacKey::Bytes(b"secret".to_vec().into()),
        );
        let printed = format!("{all:?} {all:#?}");
        assert!(!printed.contains("secret"), "{printed}");
        assert!(!printed.contains("115"), "{printed}");
    }

    #[test]
    fn a_key_may_have_all_eight_bytes_or_none() {
        assert_eq!(Password(*b"12345678").key(), b"12345678");
        assert_eq!(Password([0; 8]).key(), b"");
    }

    #[test]
    fn what_is_wiped_is_zero() {
        let mut bytes = *b"secret";
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 6]);
    }
}
