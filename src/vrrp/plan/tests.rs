use std::net::Ipv4Addr;

use super::*;
use crate::config::model::{
    AuthHmac, Authentication, Command, HmacMode, InitialState, Password, Script, TrackBfd,
    TrackInterface, Version, VirtualAddress,
};
use crate::ids::Priority;
use crate::time::Interval;

fn instance(name: &str, vrid: u8) -> Instance {
    let vip = Ipv4Addr::new(10, 0, 0, vrid);
    Instance {
        virtual_addresses: vec![VirtualAddress::new(vip.into(), 24, "eth0")],
        ..Instance::new(name, "eth0", Vrid::new(vrid).unwrap())
    }
}

fn config(instances: impl IntoIterator<Item = Instance>) -> Config {
    Config {
        instances: instances.into_iter().map(Box::new).map(Arc::new).collect(),
        ..Config::default()
    }
}

fn describe(old: [Instance; 2], new: [Instance; 2]) -> Vec<String> {
    plan(&config(old), config(new)).describe()
}

#[test]
fn the_same_configuration_is_an_empty_plan() {
    let one = config([instance("A", 1), instance("B", 2)]);
    let plan = plan(&one, one.clone());
    assert!(plan.is_empty());
    assert_eq!(plan.describe(), [""; 0]);
    assert_eq!(plan.to_string(), "nothing changes");
}

#[test]
fn a_name_is_not_what_an_instance_is() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    let names = |one: &str, two: &str| [instance(one, 1), instance(two, 2)];
    assert_eq!(
        describe([a.clone(), b.clone()], names("A", "C")),
        ["C: was B before"]
    );
    // Both names change places, or both numbers do: it is the same.
    assert_eq!(
        describe([a, b], names("B", "A")),
        ["B: was A before", "A: was B before"]
    );
}

#[test]
fn what_it_is_on_the_network_ends_with_it() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    let other = Instance {
        interface: "eth1".into(),
        ..b.clone()
    };
    let old = config([a.clone(), b.clone()]);
    let new = config([a.clone(), other]);
    let there = plan(&old, new);
    assert_eq!(
        there.describe(),
        ["B: restarted, because its interface changes from eth0 to eth1"]
    );
    assert!(there.kept.is_empty() && there.removed.is_empty());
    assert_eq!((there.restarted.len(), there.started.len()), (1, 1));
    let gone = plan(&old, config([a, instance("C", 3)]));
    assert_eq!(gone.describe(), ["C: new", "B: removed"]);
}

/// The name goes to what was another instance, and what had it ends.
#[test]
fn a_name_that_moves_on_is_told_of_once_for_each_instance() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    assert_eq!(
        describe([a, b], [instance("B", 1), instance("C", 3)]),
        [
            "B: was A before",
            "C: new",
            "B as it was: ends, because its virtual_router_id changes from 2 to 1"
        ]
    );
}

#[test]
fn each_difference_has_its_words() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    let mut changed = a.clone();
    changed.priority = Priority(120);
    changed.advert_interval = Interval::from_ms(1_500);
    changed.virtual_addresses = b.virtual_addresses.clone();
    changed.nopreempt = true;
    let mut other = b.clone();
    other.virtual_addresses = vec![VirtualAddress::new([10, 0, 0, 9].into(), 24, "eth0")];
    assert_eq!(
        describe([a, b], [changed, other]),
        [
            "A: priority 100 -> 120, sent at once; advert_int 1 s -> 1.5 s, sent at once; \
             VIP 10.0.0.1 removed; VIP 10.0.0.2 comes from B; \
             VIPs of the advert changed, sent at once; nopreempt changed",
            "B: VIP 10.0.0.2 moves to A; VIP 10.0.0.9 added; \
             VIPs of the advert changed, sent at once",
        ]
    );
}

/// Each field is a difference with words, or part of what makes another instance of
/// it. A new field belongs into this list.
#[test]
fn each_field_that_changes_is_told_of() {
    type Edit = (&'static str, fn(&mut Instance));
    let changes: Vec<Edit> = vec![
        ("name", |it| it.name = "X".into()),
        ("version", |it| it.version = Version::V3),
        ("ipv6", |it| it.ipv6 = true),
        ("initial_state", |it| {
            it.initial_state = InitialState::Master
        }),
        ("interface", |it| it.interface = "eth1".into()),
        ("vrf", |it| it.vrf = Some("red".into())),
        ("vmac", |it| it.vmac = Some(Box::default())),
        ("vmac_addresses", |it| it.vmac_addresses = true),
        ("vmac_transmit_on_base", |it| {
            it.vmac_transmit_on_base = true
        }),
        ("ipvlan", |it| it.ipvlan = Some(Box::default())),
        ("vrid", |it| it.vrid = Vrid::new(9).unwrap()),
        ("priority", |it| it.priority = Priority(7)),
        ("advert_interval", |it| it.advert_interval = SPAN),
        ("down_timer_adverts", |it| it.down_timer_adverts = 9),
        ("timer_expired_backup", |it| {
            it.timer_expired_backup = Some(9)
        }),
        ("strict", |it| it.strict = true),
        ("nopreempt", |it| it.nopreempt = true),
        ("preempt_delay", |it| it.preempt_delay = SPAN),
        ("authentication", |it| {
            it.authentication = Some(Authentication::Password(Password([1; 8])));
        }),
        ("auth_hmac", |it| {
            it.auth_hmac = Some(Box::new(AuthHmac {
                keys: Vec::new(),
                active_key: 1,
                time_window: SPAN,
                monotonic: false,
                mode: HmacMode::Enforce,
            }));
        }),
        ("source_address", |it| it.source_address = Some(OTHER)),
        ("track_source_address", |it| it.track_source_address = true),
        ("unicast_peers", |it| it.unicast_peers.push(OTHER.into())),
        ("fault_without_peer", |it| it.fault_without_peer = true),
        ("check_unicast_source", |it| it.check_unicast_source = true),
        ("unicast_ttl", |it| it.unicast_ttl = Some(9)),
        ("old_unicast_checksum", |it| {
            it.old_unicast_checksum = Some(true)
        }),
        ("v3_checksum_as_v2", |it| it.v3_checksum_as_v2 = true),
        ("multicast_group", |it| it.multicast_group = OTHER),
        ("virtual_addresses", |it| it.virtual_addresses.clear()),
        ("excluded_addresses", |it| {
            it.excluded_addresses
                .push(VirtualAddress::new(OTHER, 24, "eth0"));
        }),
        ("promote_secondaries", |it| it.promote_secondaries = true),
        ("accept", |it| it.accept = !it.accept),
        ("ignore_own_interface", |it| it.ignore_own_interface = true),
        ("track_interfaces", |it| {
            it.track_interfaces.push(TrackInterface {
                interface: "eth9".into(),
                weight: 0,
                reverse: false,
            });
        }),
        ("track_bfds", |it| {
            it.track_bfds.push(TrackBfd {
                name: "bfd".into(),
                weight: 0,
                reverse: false,
            });
        }),
        ("linkbeat_polling", |it| it.linkbeat_polling = true),
        ("garp", |it| it.garp.master_repeat = 77),
        ("skip_check_adv_addr", |it| it.skip_check_adv_addr = true),
        ("lower_prio_no_advert", |it| it.lower_prio_no_advert = true),
        ("higher_prio_send_advert", |it| {
            it.higher_prio_send_advert = true
        }),
        ("owner_ignore_adverts", |it| it.owner_ignore_adverts = true),
        ("receive_buffer_bytes", |it| {
            it.receive_buffer_bytes = Some(9)
        }),
        ("sync_daemon_interface", |it| {
            it.sync_daemon_interface = Some("eth9".into());
        }),
        ("notify", |it| it.notify.tell_deleted = true),
        ("notify_priority_changes", |it| {
            it.notify_priority_changes = true
        }),
        ("smtp_alert", |it| it.smtp_alert = true),
        ("debug", |it| it.debug = 4),
        ("fast_handover", |it| it.fast_handover = true),
        ("vip_loss", |it| it.vip_loss.limit = None),
    ];
    for (field, change) in changes {
        let old = config([instance("A", 1)]);
        let mut changed = instance("A", 1);
        change(&mut changed);
        let plan = plan(&old, config([changed.clone()]));
        assert_ne!(changed, instance("A", 1), "{field}");
        let words = plan.describe();
        assert_eq!(words.len(), 1, "{field}: {words:?}");
        assert!(words[0].len() > "A: ".len(), "{field}: {words:?}");
        assert!(plan.kept.iter().all(|it| !it.changes.is_empty()), "{field}");
    }
}

const SPAN: Interval = Interval::from_secs(77);

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 9, 9));

#[test]
fn what_is_not_of_one_instance_has_lines_of_its_own() {
    let script = |argument: &str, rise: u32| {
        Arc::new(Script {
            name: "chk".into(),
            command: Command {
                argv: vec!["/bin/check".into(), argument.into()],
                user: None,
            },
            interval: SPAN,
            timeout: SPAN,
            rise,
            fall: 1,
            init_fail: false,
        })
    };
    let with = |script: Arc<Script>| Config {
        scripts: vec![script],
        ..config([instance("A", 1)])
    };
    let words = |old: &Config, new: Config| plan(old, new).describe();
    let first = with(script("a", 1));
    assert_eq!(
        words(&first, with(script("a", 2))),
        ["vrrp_script chk: changed, keeps its result"]
    );
    assert_eq!(
        words(&first, with(script("b", 1))),
        ["vrrp_script chk: changed, counts as good until its first result"]
    );
    let mut globals = first.clone();
    globals.globals.router_id = Some("other".into());
    assert_eq!(words(&first, globals), ["global settings: changed"]);
}
