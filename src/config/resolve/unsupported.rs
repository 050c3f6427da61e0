//! What is understood and what the daemon cannot do yet.
//!
//! Decides on properties that no single word asks for, and makes sure that
//! nothing slips through: what is not known to work must have its default.

use super::super::diagnostic::Collector;
use super::super::keywords::{not_yet, root};
use super::super::model::{Instance, SharedInstance, SyncGroup};

/// Refuses to run with what the daemon cannot do.
pub(super) fn tell(
    draft: &root::Draft,
    instances: &[SharedInstance],
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

/// Whether an instance asks for anything beyond what the daemon can do. Each setting is
/// named here, so that a new one cannot be forgotten.
fn is_beyond(instance: &Instance) -> bool {
    let Instance {
        name: _,
        version: _,
        ipv6: _,
        initial_state: _,
        interface: _,
        vrf: _,
        vmac: _,
        vmac_addresses: _,
        vmac_transmit_on_base: _,
        ipvlan: _,
        vrid: _,
        priority: _,
        advert_interval: _,
        down_timer_adverts: _,
        timer_expired_backup: _,
        strict: _,
        nopreempt: _,
        preempt_delay: _,
        authentication: _,
        auth_hmac: _,
        source_address: _,
        track_source_address: _,
        unicast_peers: _,
        fault_without_peer: _,
        check_unicast_source: _,
        unicast_ttl: _,
        multicast_group: _,
        virtual_addresses: _,
        excluded_addresses: _,
        virtual_routes: _,
        virtual_rules: _,
        accept: _,
        ignore_own_interface: _,
        track_interfaces: _,
        track_scripts: _,
        track_files: _,
        track_processes: _,
        track_bfds,
        garp: _,
        skip_check_adv_addr: _,
        lower_prio_no_advert: _,
        higher_prio_send_advert: _,
        owner_ignore_adverts: _,
        sync_daemon_interface,
        notify: _,
        notify_priority_changes: _,
        smtp_alert: _,
        fast_handover: _,
        vip_loss: _,
        // These have no effect, or only on version 3.
        old_unicast_checksum: _,
        v3_checksum_as_v2: _,
        linkbeat_polling: _,
        receive_buffer_bytes: _,
        debug: _,
        promote_secondaries: _,
    } = instance;
    !track_bfds.is_empty() || sync_daemon_interface.is_some()
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
