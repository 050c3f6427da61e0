//! What is understood and what the daemon cannot do yet.
//!
//! Decides on properties that no single word asks for, and makes sure that
//! nothing slips through: what is not known to work must have its default.

use std::sync::Arc;

use super::super::diagnostic::Collector;
use super::super::keywords::{not_yet, root};
use super::super::model::{Instance, SyncGroup};

/// Refuses to run with what the daemon cannot do.
pub(super) fn tell(
    draft: &root::Draft,
    instances: &[Arc<Instance>],
    groups: &[SyncGroup],
    found: &mut Collector,
) {
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
    for group in groups.iter().filter(|group| is_group_beyond(group)) {
        let text = format!("({}) something here does not work yet", group.name);
        found.push(not_yet(text));
    }
}

/// Whether an instance asks for anything beyond what the daemon can do. What is
/// not named here must have its default, so that a new setting cannot be forgotten.
fn is_beyond(instance: &Instance) -> bool {
    let (name, interface) = (instance.name.clone(), instance.interface.clone());
    let plain = Instance::new(name, interface, instance.vrid);
    let only_what_works = Instance {
        vrf: instance.vrf.clone(),
        vmac: instance.vmac.clone(),
        vmac_addresses: instance.vmac_addresses,
        vmac_transmit_on_base: instance.vmac_transmit_on_base,
        ipvlan: instance.ipvlan.clone(),
        version: instance.version,
        ipv6: instance.ipv6,
        down_timer_adverts: instance.down_timer_adverts,
        preempt_delay: instance.preempt_delay,
        timer_expired_backup: instance.timer_expired_backup,
        strict: instance.strict,
        accept: instance.accept,
        track_source_address: instance.track_source_address,
        fault_without_peer: instance.fault_without_peer,
        check_unicast_source: instance.check_unicast_source,
        excluded_addresses: instance.excluded_addresses.clone(),
        ignore_own_interface: instance.ignore_own_interface,
        track_interfaces: instance.track_interfaces.clone(),
        lower_prio_no_advert: instance.lower_prio_no_advert,
        higher_prio_send_advert: instance.higher_prio_send_advert,
        owner_ignore_adverts: instance.owner_ignore_adverts,
        initial_state: instance.initial_state,
        priority: instance.priority,
        advert_interval: instance.advert_interval,
        nopreempt: instance.nopreempt,
        authentication: instance.authentication.clone(),
        auth_hmac: instance.auth_hmac.clone(),
        source_address: instance.source_address,
        unicast_peers: instance.unicast_peers.clone(),
        unicast_ttl: instance.unicast_ttl,
        multicast_group: instance.multicast_group,
        virtual_addresses: instance.virtual_addresses.clone(),
        virtual_routes: instance.virtual_routes.clone(),
        virtual_rules: instance.virtual_rules.clone(),
        track_scripts: instance.track_scripts.clone(),
        track_files: instance.track_files.clone(),
        track_processes: instance.track_processes.clone(),
        garp: instance.garp.clone(),
        skip_check_adv_addr: instance.skip_check_adv_addr,
        notify: instance.notify.clone(),
        smtp_alert: instance.smtp_alert,
        notify_priority_changes: instance.notify_priority_changes,
        fast_handover: instance.fast_handover,
        vip_loss: instance.vip_loss,
        // These have no effect, or only on version 3.
        old_unicast_checksum: instance.old_unicast_checksum,
        v3_checksum_as_v2: instance.v3_checksum_as_v2,
        linkbeat_polling: instance.linkbeat_polling,
        receive_buffer_bytes: instance.receive_buffer_bytes,
        debug: instance.debug,
        promote_secondaries: instance.promote_secondaries,
        ..plain
    };
    *instance != only_what_works
}

/// The same for a group.
fn is_group_beyond(group: &SyncGroup) -> bool {
    let SyncGroup {
        name: _,
        instances: _,
        initial_state: _,
        track_interfaces: _,
        track_scripts: _,
        track_files: _,
        track_processes: _,
        track_bfds,
        tracking_weight: _,
        notify,
        smtp_alert: _,
        // The default of the members.
        notify_priority_changes: _,
    } = group;
    let never = notify.deleted.is_some() || notify.master_rx_lower_pri.is_some();
    !track_bfds.is_empty() || never
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{InitialState, Notify, TrackBfd};
    use crate::ids::Vrid;

    #[test]
    fn the_net_holds_what_no_word_refuses() {
        let plain = || Instance::new("VI", "e0", Vrid::new(5).unwrap());
        assert!(!is_beyond(&plain()));
        let works = Instance {
            nopreempt: true,
            timer_expired_backup: Some(254),
            strict: true,
            accept: false,
            unicast_ttl: Some(255),
            check_unicast_source: true,
            debug: 3,
            ..plain()
        };
        assert!(!is_beyond(&works));
        let beyond = Instance {
            sync_daemon_interface: Some("e0".into()),
            ..plain()
        };
        assert!(is_beyond(&beyond));
    }

    #[test]
    fn a_group_that_tracks_what_is_not_watched_is_held() {
        let plain = SyncGroup {
            name: "G".into(),
            instances: vec!["VI".into()],
            initial_state: InitialState::Backup,
            track_interfaces: Vec::new(),
            track_scripts: Vec::new(),
            track_files: Vec::new(),
            track_processes: Vec::new(),
            track_bfds: Vec::new(),
            tracking_weight: true,
            notify: Notify::default(),
            smtp_alert: true,
            notify_priority_changes: Some(true),
        };
        assert!(!is_group_beyond(&plain));
        let mut group = plain;
        group.track_bfds.push(TrackBfd {
            name: "b".into(),
            weight: 0,
            reverse: false,
        });
        assert!(is_group_beyond(&group));
    }
}
