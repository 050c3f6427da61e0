//! What is understood and what the daemon cannot do yet.
//!
//! Decides on properties that no single word asks for, and makes sure that
//! nothing slips through: each field of an instance is looked at here.

use std::sync::Arc;

use super::super::diagnostic::Collector;
use super::super::keywords::{not_yet, root};
use super::super::lex::Origin;
use super::super::model::{Authentication, Instance, SyncGroup, Version};

/// Refuses to run with what the daemon cannot do.
pub(super) fn tell(
    draft: &root::Draft,
    instances: &[Arc<Instance>],
    groups: &[SyncGroup],
    found: &mut Collector,
) {
    let mut drafts = draft.instances.iter().peekable();
    for instance in instances {
        while drafts
            .next_if(|draft| draft.name.text != instance.name)
            .is_some()
        {}
        let Some(draft) = drafts.next() else { continue };
        let name = &instance.name;
        let mut refuse = |what: &str, origin: &Origin| {
            found.push(not_yet(format!("({name}) {what} does not work yet")).at(origin));
        };
        let origin = draft.name.origin;
        if let Some((true, origin)) = draft.ipv6 {
            refuse("IPv6", &origin);
        } else if instance.version == Version::V3 && draft.version.is_none() {
            refuse("VRRP version 3", &origin);
        }
        if instance.interface.is_empty() {
            refuse("unicast without an interface", &origin);
        }
        if !instance.excluded_addresses.is_empty() {
            refuse("having more addresses than an advert holds", &origin);
        }
    }
    if found.is_refused() {
        return;
    }
    // The words that ask for these are refused where they stand.
    for (instance, draft) in instances.iter().zip(&draft.instances) {
        if is_beyond(instance) {
            let text = format!("({}) something here does not work yet", instance.name);
            found.push(not_yet(text).at(&draft.name.origin));
        }
    }
    for group in groups {
        found.push(not_yet(format!(
            "sync group {} does not work yet",
            group.name
        )));
    }
}

/// Whether an instance asks for anything beyond what the daemon can do. Every
/// field is named, so that a new one cannot be forgotten.
fn is_beyond(instance: &Instance) -> bool {
    let Instance {
        // These work.
        name: _,
        initial_state: _,
        interface,
        vrid: _,
        priority: _,
        advert_interval: _,
        nopreempt: _,
        source_address: _,
        unicast_peers,
        multicast_group: _,
        virtual_addresses,
        track_scripts: _,
        skip_check_adv_addr: _,
        notify,
        smtp_alert: _,
        // These are printed only, or matter to version 3 only, or are harmless.
        old_unicast_checksum: _,
        v3_checksum_as_v2: _,
        linkbeat_polling: _,
        receive_buffer_bytes: _,
        notify_priority_changes: _,
        vmac_transmit_on_base: _,
        debug: _,
        // These do not work with other values than their defaults.
        version,
        ipv6,
        vrf,
        vmac,
        vmac_addresses,
        ipvlan,
        down_timer_adverts,
        timer_expired_backup,
        strict,
        preempt_delay,
        authentication,
        auth_hmac,
        track_source_address,
        fault_without_peer,
        check_unicast_source,
        unicast_ttl,
        excluded_addresses,
        virtual_routes,
        virtual_rules,
        promote_secondaries,
        accept,
        ignore_own_interface,
        track_interfaces,
        track_files,
        track_processes,
        track_bfds,
        garp,
        lower_prio_no_advert,
        higher_prio_send_advert,
        owner_ignore_adverts,
        sync_daemon_interface,
    } = instance;
    let address_kinds = virtual_addresses.iter().any(|address| {
        address.use_vmac || address.address.is_ipv6() || address.track_group.is_some()
    });
    let peer_ttl = unicast_peers
        .iter()
        .any(|peer| peer.min_ttl.is_some() || peer.max_ttl.is_some());
    let header = matches!(authentication, Some(Authentication::Header(_)));
    let link = interface.is_empty()
        || vrf.is_some()
        || vmac.is_some()
        || *vmac_addresses
        || ipvlan.is_some()
        || *promote_secondaries
        || sync_daemon_interface.is_some();
    let protocol = *version != Version::V2
        || *ipv6
        || *strict
        || header
        || auth_hmac.is_some()
        || *down_timer_adverts != 3
        || timer_expired_backup.is_some()
        || !preempt_delay.is_zero()
        || *lower_prio_no_advert
        || *higher_prio_send_advert
        || *owner_ignore_adverts;
    let unicast = *track_source_address
        || *fault_without_peer
        || *check_unicast_source && !unicast_peers.is_empty()
        || unicast_ttl.is_some_and(|ttl| ttl != 255)
        || peer_ttl;
    let kernel = !excluded_addresses.is_empty()
        || !virtual_routes.is_empty()
        || !virtual_rules.is_empty()
        || !*accept
        || garp.extra_on_all
        || address_kinds;
    let tracking = *ignore_own_interface
        || !track_interfaces.is_empty()
        || !track_files.is_empty()
        || !track_processes.is_empty()
        || !track_bfds.is_empty();
    let scripts = notify.tell_deleted || notify.master_rx_lower_pri.is_some();
    link || protocol || unicast || kernel || tracking || scripts
}
