//! Two owners of the same addresses: S6 of the conformance checklist. Node 1 has
//! the lower address.

use keepalived_rs::config::model::Instance;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{self, Advert3, Node, VIP, Wire, instance, instance3, ms, source};

const TWO_OWNERS: &str = "CONFIGURATION ERROR: local instance and 10.0.0.2 are both configured \
                          as address owner, please resolve";

fn two_owners() -> Wire {
    Wire::new([Node::new(1, instance(255)), Node::new(2, instance(255))])
}

/// A lonely owner, MASTER for a while.
fn owner(number: u8, config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(number, config)]);
    wire.start();
    wire.run_until(500_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

#[test]
fn s6_of_two_owners_the_lower_address_gives_way_and_counts_with_254() {
    for order in [[0, 1], [1, 0]] {
        let mut wire = two_owners();
        wire.start_node(order[0]);
        wire.run_until(2_500_000);
        wire.start_node(order[1]);
        wire.run_until(10_000_000);
        assert_eq!(wire.states(), [State::Backup, State::Master], "{order:?}");
        assert_eq!((wire[0].priority(), wire[1].priority()), (254, 255));
        assert!(wire[0].vips.is_empty());
        assert_eq!(wire[1].vips, [VIP]);
        assert_eq!(wire[0].times_logged(TWO_OWNERS), 1);
        assert!(wire[0].logged(
            "Master received advert from 10.0.0.2 with same priority 255 but higher IP address \
             than ours"
        ));
        assert!(wire[0].logged("(VI_1) Changing effective priority from 255 to 254"));
    }
}

#[test]
fn s6_the_owner_that_gave_way_is_the_owner_again_when_the_other_is_silent() {
    let mut wire = two_owners();
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    let last = wire[1].sent.last().expect("sent").at_us;
    wire.cut = true;
    // Three adverts and 2 / 256 s.
    wire.run_until(last + 3_000_000 + 7_812 - 1);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(last + 3_000_000 + 7_812);
    assert_eq!(wire[0].state(), State::Master);
    assert!(
        wire[0].logged(
            "(VI_1) Restoring our priority to 255 since other address owner has disappeared"
        )
    );
    // Already the first advert says so.
    assert_eq!(wire[0].sent.last().expect("sent").priority, 255);
    // They meet again, and it begins anew.
    wire.cut = false;
    wire.run_until(last + 10_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    assert_eq!(wire[0].times_logged(TWO_OWNERS), 2);
}

#[test]
fn s6_the_owner_that_gave_way_is_the_owner_again_when_somebody_lower_is_master() {
    let mut wire = two_owners();
    wire.start();
    wire.run_until(10_000_000);
    wire.cut = true;
    wire.run_until(11_500_000);
    wire.inject(0, &world::advert(source(3), 100));
    assert_eq!((wire[0].state(), wire[0].priority()), (State::Backup, 255));
    assert!(
        wire[0].logged(
            "(VI_1) Restoring our priority to 255 since received advert with lower priority"
        )
    );
    // The lower master does not prolong the wait.
    wire.run_until(13_100_000);
    assert_eq!(wire[0].state(), State::Master);
}

/// The other owner does not hear, or does not listen: after two adverts and 1.2
/// intervals it is the one that hears who gives way.
#[test]
fn s6_the_higher_address_gives_way_to_an_owner_that_goes_on() {
    let mut wire = owner(2, instance(255));
    wire.run_until(1_500_000);
    let deaf = world::advert(source(1), 255);
    wire.inject(0, &deaf);
    assert!(wire[0].logged(
        "CONFIGURATION ERROR: local instance and 10.0.0.1 are both configured as address owner"
    ));
    assert_eq!(wire[0].state(), State::Master);
    // It has answered once; the other one goes on, and is answered once more.
    wire.run_until(2_400_000);
    wire.inject(0, &deaf);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].sent_since(1_500_000), [1_500_000, 2_400_000]);
    wire.run_until(3_300_000);
    wire.inject(0, &deaf);
    assert_eq!((wire[0].state(), wire[0].priority()), (State::Backup, 254));
    assert!(wire[0].vips.is_empty());
    assert!(wire[0].logged(
        "(VI_1) 10.0.0.1 is still advertising as address owner, please resolve - reducing our \
         priority"
    ));
    assert!(
        wire[0].logged(
            "(VI_1) Master received advert from 10.0.0.1 with higher priority 255, ours 254"
        )
    );
}

#[test]
fn s6_the_higher_address_stays_if_the_other_owner_falls_silent() {
    let mut wire = owner(2, instance(255));
    wire.run_until(1_500_000);
    wire.inject(0, &world::advert(source(1), 255));
    let answered = wire[0].sent.last().expect("sent").at_us;
    assert_eq!(answered, 1_500_000);
    // The next advert is the second; then it listens for 1.2 s.
    let said = "(VI_1): rogue address owner appears to have stopped advertising";
    wire.run_until(2_500_000 + 1_200_000 - 1);
    assert!(!wire[0].logged(said));
    wire.run_until(2_500_000 + 1_200_000);
    assert!(wire[0].logged(said));
    assert_eq!((wire[0].state(), wire[0].priority()), (State::Master, 255));
    // What comes after that is another dispute.
    wire.inject(0, &world::advert(source(1), 255));
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].times_logged("CONFIGURATION ERROR"), 2);
}

/// Version 3: the longer of both intervals counts.
#[test]
fn s6_listens_for_the_longer_interval() {
    let mut config = instance3(255);
    config.advert_interval = ms(100);
    let mut wire = owner(2, config);
    let mut rival = Advert3::new(source(1), 255);
    rival.interval_cs = 200;
    wire.run_until(550_000);
    wire.advert3(0, &rival);
    let said = "rogue address owner appears to have stopped advertising";
    wire.run_until(650_000 + 2_400_000 - 1);
    assert!(!wire[0].logged(said));
    wire.run_until(650_000 + 2_400_000);
    assert!(wire[0].logged(said));
}

#[test]
fn s6_an_owner_that_comes_back_from_a_fault_leaves_the_addresses_to_the_other() {
    let mut wire = Wire::new([Node::new(1, instance(255)), Node::new(2, instance(255))]);
    wire[1].interface.up = false;
    wire.start();
    wire.run_until(2_000_000);
    assert_eq!(wire.states(), [State::Master, State::Fault]);
    wire.change_interface(1, |interface| interface.up = true);
    wire.run_until(8_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert_eq!(wire[1].priority(), 254);
    assert_eq!(wire[1].times_logged("CONFIGURATION ERROR"), 1);
    // A fault ends the dispute.
    wire.change_interface(1, |interface| interface.up = false);
    assert_eq!((wire[1].state(), wire[1].priority()), (State::Fault, 255));
}

#[test]
fn s6_an_owner_that_ignores_adverts_disputes_nothing() {
    let mut config = instance(255);
    config.owner_ignore_adverts = true;
    let mut wire = owner(1, config);
    for _ in 0..5 {
        wire.inject(0, &world::advert(source(2), 255));
    }
    assert_eq!((wire[0].state(), wire[0].priority()), (State::Master, 255));
    assert!(!wire[0].logged("CONFIGURATION ERROR"));
    assert_eq!(wire[0].statistics().owner_ignored, 5);
}

/// Our own address with priority 255 is no other owner.
#[test]
fn s6_our_own_address_is_a_warning() {
    let mut wire = owner(1, instance(255));
    wire.inject(0, &world::advert(source(1), 255));
    assert_eq!((wire[0].state(), wire[0].priority()), (State::Master, 255));
    assert!(!wire[0].logged("CONFIGURATION ERROR"));
    assert!(wire[0].logged("remote host with our IP address"));
}
