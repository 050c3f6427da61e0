//! What a reload touches, and what it leaves alone (specification F.10).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use keepalived_rs::config::model::{
    Authentication, Command, Config, Instance, Password, Script, TrackInterface, TrackScript,
    VirtualAddress,
};
use keepalived_rs::ids::{Priority, Vrid};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::action::Operation;
use keepalived_rs::vrrp::event::Outcome;
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    Node, VIP, Wire, advert, config, instance, instance3, ms, other_interface, source, vip,
};

const SECOND: u64 = 1_000_000;

fn second(priority: u8) -> Instance {
    let mut second = instance(priority);
    second.name = "VI_2".into();
    second.vrid = Vrid::new(52).expect("not 0");
    second.virtual_addresses = vec![vip(address(101))];
    second
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// A node that has been MASTER for all of these since 3.5 s, and it is 10 s now.
fn masters(instances: impl IntoIterator<Item = Instance>) -> Wire {
    let mut wire = Wire::new([Node::with(1, config(instances))]);
    wire.start();
    wire.run_until(10 * SECOND);
    let states = states(&wire);
    assert!(states.iter().all(|state| *state == State::Master));
    wire
}

fn states(wire: &Wire) -> Vec<State> {
    wire[0].engine.instances().map(|it| it.state).collect()
}

/// What a reload did.
struct Did {
    /// VRID and priority of each advert.
    said: Vec<(u8, u8)>,
    told: Vec<String>,
    operations: Vec<String>,
    announced: Vec<IpAddr>,
}

fn reload(wire: &mut Wire, config: Config) -> Did {
    let node = &wire[0];
    let (sent, told) = (node.sent.len(), node.told.len());
    let (operations, announced) = (node.operations.len(), node.announcements.len());
    wire.reload(0, config);
    let node = &wire[0];
    let operation = |it: &Operation| match it {
        Operation::AddAddress { address, .. } => format!("add {address}"),
        Operation::RemoveAddress { address, .. } => format!("remove {address}"),
        way if way.adds() => format!("add {way}"),
        way => format!("remove {way}"),
    };
    let mut announced: Vec<IpAddr> = node.announcements[announced..]
        .iter()
        .map(|it| it.address)
        .collect();
    announced.dedup();
    Did {
        said: node.sent[sent..]
            .iter()
            .map(|sent| (sent.message()[1], sent.priority))
            .collect(),
        told: node.told[told..].to_vec(),
        operations: node.operations[operations..]
            .iter()
            .map(operation)
            .collect(),
        announced,
    }
}

impl Did {
    fn nothing(&self) -> bool {
        self.said.is_empty()
            && self.told.is_empty()
            && self.operations.is_empty()
            && self.announced.is_empty()
    }
}

#[test]
fn an_instance_that_did_not_change_is_not_touched() {
    let mut wire = masters([instance(150), second(150)]);
    let deadline = wire[0].engine.deadline();
    assert!(reload(&mut wire, config([instance(150), second(150)])).nothing());
    assert_eq!(wire[0].engine.deadline(), deadline);
    // Nor when the other one changes.
    let did = reload(&mut wire, config([instance(150), second(151)]));
    assert_eq!(did.said, [(52, 151)]);
    assert_eq!(did.told, [""; 0]);
    assert_eq!(did.operations, [""; 0]);
    assert_eq!(states(&wire), [State::Master; 2]);
}

#[test]
fn a_master_says_its_new_priority_at_once_and_stays_master() {
    let mut wire = masters([instance(150)]);
    wire.run_until(10 * SECOND + 300_000);
    let statistics = wire[0].statistics();
    let did = reload(&mut wire, config([instance(120)]));
    assert_eq!(did.said, [(51, 120)]);
    assert!(did.told.is_empty() && did.operations.is_empty() && did.announced.is_empty());
    let (before, after) = (statistics, wire[0].statistics());
    assert_eq!(after.advert_sent, before.advert_sent + 1);
    assert_eq!(after.become_master, before.become_master);
    // From there on the interval counts.
    wire.run_until(12 * SECOND);
    assert_eq!(
        wire[0].sent_since(10 * SECOND + 300_000),
        [10_300_000, 11_300_000]
    );
    // The wish of a configuration is for the next start.
    let mut wish = instance(120);
    wish.initial_state = keepalived_rs::config::model::InitialState::Master;
    assert!(reload(&mut wire, config([wish])).nothing());
}

#[test]
fn another_name_or_each_others_names_change_nothing_else() {
    let mut wire = masters([instance(150), second(150)]);
    let statistics = wire[0].statistics();
    let deadline = wire[0].engine.deadline();
    let renamed = |name: &str, it: Instance| Instance {
        name: name.into(),
        ..it
    };
    let did = reload(
        &mut wire,
        config([renamed("NEW", instance(150)), second(150)]),
    );
    assert!(did.nothing());
    assert_eq!(wire[0].statistics(), statistics);
    assert_eq!(wire[0].engine.deadline(), deadline);
    let names = |wire: &Wire| -> Vec<String> {
        let instances = wire[0].engine.instances();
        instances.map(|it| it.config.name.clone()).collect()
    };
    assert_eq!(names(&wire), ["NEW", "VI_2"]);
    let swapped = [renamed("VI_2", instance(150)), renamed("NEW", second(150))];
    assert!(reload(&mut wire, config(swapped)).nothing());
    assert_eq!(names(&wire), ["VI_2", "NEW"]);
    let snapshot = wire[0].engine.snapshot(wire.now);
    assert_eq!(snapshot.instances[0].config.vrid.get(), 51);
    wire.stop(0);
    assert!(wire[0].calls.contains(&"INSTANCE NEW STOP 150".to_owned()));
}

/// The wait for a silent master goes on from where it began, whatever is changed and
/// however often.
#[test]
fn no_row_of_reloads_puts_a_takeover_off() {
    let mut wire = Wire::new([Node::new(1, instance(100))]);
    wire.start();
    wire.run_until(5 * SECOND / 2);
    wire.deliver(0, &advert(source(9), 200));
    let heard_us = 2_500_000;
    for step in 1..=33 {
        wire.run_until(heard_us + step * 100_000);
        // The last one is even: as it was at the beginning.
        let mut changed = instance(100 + u8::try_from(step % 3).expect("small"));
        changed.down_timer_adverts = 3 + u8::try_from(step % 2).expect("small");
        changed.name = format!("VI_{step}");
        wire.reload(0, config([changed]));
        assert_eq!(states(&wire), [State::Backup]);
    }
    wire.reload(0, config([instance(100)]));
    let due_us = heard_us + 3_000_000 + 156 * 1_000_000 / 256;
    wire.run_until(due_us - 1);
    assert_eq!(states(&wire), [State::Backup]);
    wire.run_until(due_us + 1);
    assert_eq!(states(&wire), [State::Master]);
}

#[test]
fn a_backup_counts_a_new_interval_from_the_last_advert() {
    let takeover = |version3: bool, new: Interval, hears: bool| {
        let it = |interval: Interval| Instance {
            advert_interval: interval,
            ..if version3 {
                instance3(128)
            } else {
                instance(128)
            }
        };
        let mut wire = Wire::new([Node::new(1, it(ms(1_000)))]);
        wire.start();
        if hears {
            wire.run_until(1);
            let advert = crate::world::Advert3::new(source(9), 200);
            wire.advert3(0, &advert);
        }
        wire.run_until(2 * SECOND);
        wire.reload(0, config([it(new)]));
        wire.run_until(30 * SECOND);
        assert_eq!(states(&wire), [State::Master]);
        wire[0].sent_since(0)[0] / 100_000
    };
    assert_eq!(takeover(false, ms(2_000), false), 65);
    assert_eq!(takeover(true, ms(2_000), false), 70);
    // Version 3 waits as the master says.
    assert_eq!(takeover(true, ms(2_000), true), 35);
    // What is over by then happens now.
    assert_eq!(takeover(false, ms(100), false), 20);
}

#[test]
fn only_an_address_that_is_new_is_put_on_and_announced() {
    let mut wire = masters([instance(150)]);
    let mut changed = instance(150);
    changed.virtual_addresses.push(vip(address(110)));
    let did = reload(&mut wire, config([changed.clone()]));
    assert_eq!(did.operations, ["add 10.0.0.110/24"]);
    assert_eq!(did.announced, [IpAddr::from(address(110))]);
    assert_eq!(did.said, [(51, 150)], "the addresses of the advert changed");
    assert_eq!(did.told, [""; 0]);
    // Once more after the usual delay, and still only that one.
    let count = wire[0].announcements.len();
    wire.run_until(20 * SECOND);
    let later = &wire[0].announcements[count..];
    assert_eq!(later.len(), 5);
    assert!(
        later
            .iter()
            .all(|it| it.address == IpAddr::from(address(110)))
    );
    assert!(later.iter().all(|it| it.at_us == 15 * SECOND));

    changed.virtual_addresses = vec![vip(address(110))];
    let did = reload(&mut wire, config([changed]));
    // What stays of its network is put on again, in case the kernel took it, too.
    assert_eq!(
        did.operations,
        ["remove 10.0.0.100/24", "add 10.0.0.110/24"]
    );
    assert!(did.announced.is_empty());
    assert!(wire[0].logged("(VI_1) ip address 10.0.0.100/24 dev eth0, no longer exist"));
    assert_eq!(wire[0].vips, [address(110)]);
}

#[test]
fn another_prefix_length_comes_before_the_old_one_goes() {
    let mut wire = masters([instance(150)]);
    let mut changed = instance(150);
    changed.virtual_addresses = vec![VirtualAddress::new(VIP.into(), 25, "eth0")];
    let did = reload(&mut wire, config([changed.clone()]));
    assert_eq!(
        did.operations,
        ["add 10.0.0.100/25", "remove 10.0.0.100/24"]
    );
    // The kernel has no two that differ in anything else.
    changed.virtual_addresses[0].scope = 253;
    let did = reload(&mut wire, config([changed.clone()]));
    assert_eq!(
        did.operations,
        ["remove 10.0.0.100/25", "add 10.0.0.100/25"]
    );
    changed.virtual_addresses[0].no_track = true;
    assert_eq!(reload(&mut wire, config([changed])).operations, [""; 0]);
}

#[test]
fn an_address_that_moves_from_master_to_master_stays_where_it_is() {
    let mut wire = masters([instance(150), second(150)]);
    let (mut one, mut two) = (instance(150), second(150));
    two.virtual_addresses.append(&mut one.virtual_addresses);
    let did = reload(&mut wire, config([one.clone(), two.clone()]));
    assert_eq!(did.operations, [""; 0]);
    assert_eq!(did.announced, [IpAddr::from(VIP)], "by its new owner");
    assert_eq!(states(&wire), [State::Master; 2]);
    assert_eq!(wire[0].vips.len(), 2);
    // Whoever ends leaves it to whoever has it now.
    let back = Instance {
        virtual_addresses: two.virtual_addresses.clone(),
        ..instance(150)
    };
    let did = reload(&mut wire, config([back]));
    assert_eq!(did.operations, [""; 0]);
    assert!(did.said.contains(&(52, 0)));
    assert_eq!(wire[0].vips.len(), 2);
}

#[test]
fn an_address_that_moves_to_a_backup_is_taken_off() {
    let mut wire = Wire::new([Node::with(1, config([instance(150), second(100)]))]);
    wire.start();
    for at in 1..10 {
        wire.run_until(at * SECOND);
        let mut better = advert(source(9), 200);
        better[21] = 52;
        crate::world::fix_checksum(&mut better);
        wire.deliver(0, &better);
    }
    assert_eq!(states(&wire), [State::Master, State::Backup]);
    let (mut one, mut two) = (instance(150), second(100));
    two.virtual_addresses.append(&mut one.virtual_addresses);
    let did = reload(&mut wire, config([one, two]));
    assert_eq!(did.operations, ["remove 10.0.0.100/24"]);
    assert!(wire[0].vips.is_empty());
}

/// Two instances swap their numbers: each VIP is on one of the two all the time.
#[test]
fn two_instances_that_change_numbers_lose_no_address() {
    let mut wire = masters([instance(150), second(150)]);
    let number = |vrid: u8, it: Instance| Instance {
        vrid: Vrid::new(vrid).expect("not 0"),
        ..it
    };
    let did = reload(
        &mut wire,
        config([number(52, instance(150)), number(51, second(150))]),
    );
    assert_eq!(did.operations, [""; 0]);
    assert_eq!(did.told, [""; 0]);
    assert!(did.said.iter().all(|(_, priority)| *priority == 150));
    assert_eq!(states(&wire), [State::Master; 2]);
}

#[test]
fn what_is_said_with_another_password_is_said_at_once() {
    let mut wire = masters([instance(150)]);
    let mut changed = instance(150);
    changed.authentication = Some(Authentication::Password(Password(*b"12345678")));
    let did = reload(&mut wire, config([changed]));
    assert_eq!(did.said, [(51, 150)]);
    let message = wire[0].sent.last().expect("sent").message().to_vec();
    assert_eq!(message[4], 1, "the type");
    assert_eq!(message[12..], *b"12345678");
}

#[test]
fn another_interface_is_another_instance() {
    let mut node = Node::with(1, config([instance(150)]));
    node.others = vec![other_interface(3, "eth1", true)];
    node.others[0].addresses = node.interface.addresses.clone();
    let mut wire = Wire::new([node]);
    wire.start();
    wire.run_until(10 * SECOND);
    let mut moved = instance(150);
    moved.interface = "eth1".into();
    let did = reload(&mut wire, config([moved]));
    assert_eq!(did.said, [(51, 0)]);
    assert_eq!(did.operations, ["remove 10.0.0.100/24"]);
    assert_eq!(did.told, ["BACKUP 150"]);
    assert_eq!(states(&wire), [State::Backup]);
}

fn checked(command: &str, name: &str) -> Instance {
    let script = Script {
        name: name.into(),
        command: Command {
            argv: vec![command.into()],
            user: None,
        },
        interval: ms(1_000),
        timeout: ms(1_000),
        rise: 1,
        fall: 1,
        init_fail: false,
    };
    let mut it = instance(150);
    it.track_scripts.push(TrackScript {
        script: Arc::new(script),
        weight: 0,
        reverse: false,
    });
    it
}

/// Specification F.10: what is the same keeps its result, what is another counts as
/// good until it has one.
#[test]
fn a_script_keeps_its_result_unless_it_is_another() {
    let mut wire = Wire::new([Node::with(1, config([checked("/bin/check", "chk")]))]);
    wire[0].answer = Some(Outcome::Exited(1));
    wire.start();
    wire.run_until(2 * SECOND + 500_000);
    assert_eq!(states(&wire), [State::Fault]);
    let mut slower = checked("/bin/check", "chk");
    let script = Arc::make_mut(&mut slower.track_scripts[0].script);
    script.interval = ms(3_000);
    script.rise = 2;
    let runs = wire[0].runs.len();
    reload(&mut wire, config([slower.clone()]));
    assert_eq!(states(&wire), [State::Fault]);
    // Two seconds after the last run; one would have been due at 3 s.
    wire.run_until(5 * SECOND - 1);
    assert_eq!(wire[0].runs.len(), runs);
    wire.run_until(5 * SECOND);
    assert_eq!(wire[0].runs.len(), runs + 1);

    wire[0].answer = None;
    reload(&mut wire, config([checked("/bin/other", "chk")]));
    assert_eq!(states(&wire), [State::Backup], "the new one counts as good");
    wire.run_until(5 * SECOND);
    wire.script(0, Outcome::Exited(1));
    assert_eq!(states(&wire), [State::Fault], "until it fails");
}

/// What a master tracks from now on takes nothing away before it has a result.
#[test]
fn a_script_that_is_added_to_a_master_is_waited_for() {
    let mut wire = masters([instance(150)]);
    assert!(reload(&mut wire, config([checked("/bin/check", "chk")])).nothing());
    wire.run_until(10 * SECOND);
    assert_eq!(states(&wire), [State::Master]);
    wire.script(0, Outcome::Exited(1));
    assert_eq!(states(&wire), [State::Fault]);
}

#[test]
fn fault_is_what_the_new_configuration_says() {
    let tracking = |weight: i32| {
        let mut it = instance(150);
        it.track_interfaces.push(TrackInterface {
            interface: "eth9".into(),
            weight,
            reverse: false,
        });
        it
    };
    let mut wire = masters([instance(150)]);
    let did = reload(&mut wire, config([tracking(0)]));
    assert_eq!(did.told, ["FAULT 150"]);
    assert_eq!(did.said, [(51, 0)]);
    assert_eq!(did.operations, ["remove 10.0.0.100/24"]);
    let did = reload(&mut wire, config([tracking(-20)]));
    assert_eq!(did.told, ["BACKUP 130"]);
    wire.run_until(20 * SECOND);
    assert_eq!(states(&wire), [State::Master]);
    // A weight that goes is a priority that changes.
    let did = reload(&mut wire, config([instance(150)]));
    assert_eq!(did.said, [(51, 150)]);
}

#[test]
fn an_instance_that_is_taken_out_leaves_nothing() {
    let mut wire = masters([instance(150), second(150)]);
    let did = reload(&mut wire, config([instance(150)]));
    assert_eq!(wire[0].vips, [VIP]);
    assert_eq!(did.said, [(52, 0)]);
    assert_eq!(did.told, ["FAULT 150"]);
    wire.reload(0, config([]));
    assert!(wire[0].vips.is_empty());
    assert!(wire[0].listening.is_empty());
    assert_eq!(wire[0].engine.deadline(), None);
}

#[test]
fn notify_deleted_tells_of_it_in_any_state() {
    let told = |is_up: bool| {
        let mut deleted = instance(150);
        deleted.notify.tell_deleted = true;
        let mut wire = Wire::new([Node::new(1, deleted)]);
        wire[0].interface.up = is_up;
        wire.start();
        wire.run_until(10 * SECOND);
        wire.reload(0, config([]));
        wire[0].told.clone()
    };
    assert_eq!(told(true), ["BACKUP 150", "MASTER 150", "DELETED 150"]);
    assert_eq!(told(false), ["FAULT 150", "DELETED 150"]);
}

#[test]
fn an_instance_that_is_put_in_begins() {
    let mut wire = masters([instance(150)]);
    wire.reload(0, config([instance(150), second(100)]));
    wire.run_until(20 * SECOND);
    assert_eq!(states(&wire), [State::Master, State::Master]);
}

/// The owner of addresses that another instance had takes them over at once.
#[test]
fn an_owner_that_is_put_in_takes_addresses_over_without_a_gap() {
    let mut wire = masters([instance(150)]);
    let mut owner = second(255);
    owner.initial_state = keepalived_rs::config::model::InitialState::Master;
    owner.virtual_addresses = vec![vip(VIP)];
    let did = reload(&mut wire, config([owner]));
    assert_eq!(did.operations, [""; 0]);
    assert_eq!(did.said, [(51, 0), (52, 255)]);
    assert_eq!(did.told, ["FAULT 150", "MASTER 255"]);
    assert_eq!(did.announced, [IpAddr::from(VIP)]);
}

#[test]
fn a_plan_that_comes_while_the_daemon_stops_changes_nothing() {
    let mut wire = masters([instance(150)]);
    wire.stop(0);
    let path = plan(wire[0].engine.config(), config([second(150)]));
    assert_eq!(path.describe(), ["VI_2: new", "VI_1: removed"]);
    assert!(reload(&mut wire, config([second(150)])).nothing());
    assert_eq!(states(&wire), [State::Stopped]);
    assert_eq!(wire[0].priority(), Priority(150).0);
}
