//! Instances without addresses and with too many, and `state` beside the priority
//! of an owner (specification D.7, F.2).

use keepalived_rs::config::model::InitialState;
use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::world::{Node, VIP, Wire, instance, instance3, vip};

/// A cluster that only tells: adverts without an address, scripts, no ARP.
#[test]
fn f5_without_addresses_there_are_elections_and_nothing_to_announce() {
    for make in [instance, instance3] {
        let config = |priority| {
            let mut config = make(priority);
            config.virtual_addresses.clear();
            config
        };
        let mut wire = Wire::new([Node::new(1, config(150)), Node::new(2, config(100))]);
        wire.start();
        wire.run_until(DOWN_150 + 100_000);
        assert_eq!(wire.states(), [State::Master, State::Backup]);
        assert_eq!(wire[0].told, ["BACKUP 150", "MASTER 150"]);
        assert_eq!(wire[0].sent[0].message()[3], 0, "addresses in the advert");
        assert!(wire[0].announced.is_empty() && wire[0].operations.is_empty());
        // The other one has none either, and so nothing to complain about.
        assert_eq!(wire[1].statistics().advert_rcvd, 1);
        assert_eq!(wire[1].statistics().addr_list_err, 0);
        wire.stop(0);
        wire.run_until(DOWN_150 + 1_000_000);
        assert_eq!(wire[1].state(), State::Master);
        assert!(wire[0].stopped);
    }
}

/// An interface with short frames: all addresses are held, what fits is sent, and
/// the rest is told of.
#[test]
fn f5_addresses_that_do_not_fit_are_told() {
    let mut config = instance3(150);
    config.virtual_addresses = (0..60).map(|n| vip([10, 0, 1, n])).collect();
    let mut wire = Wire::new([Node::new(1, config)]);
    wire[0].interface.mtu = 128;
    wire.start();
    wire.run_until(DOWN_150);
    // 20 octets of IPv4, 8 of VRRP, 4 for each address.
    assert_eq!(wire[0].sent[0].message()[3], 25);
    assert_eq!(wire[0].sent[0].bytes.len(), 128);
    assert_eq!(wire[0].vips.len(), 60);
    let line = "(VI_1) Number of VIPs (60) exceeds maximum/space available in packet (max 25 \
                addresses) - excess moved to eVIPs";
    assert_eq!(wire[0].times_logged(line), 1);
}

#[test]
fn m9_an_owner_with_state_backup_listens_first() {
    let mut config = instance(255);
    config.initial_state = InitialState::Backup;
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    assert_eq!(wire[0].state(), State::Backup);
    assert_eq!(wire[0].told, ["BACKUP 255"]);
    // Three adverts and 1 / 256 s.
    wire.run_until(3_003_906);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].vips, [VIP]);
}

/// The lines of C 2.2.7, one for each list that has an address.
#[test]
fn excluded_addresses_have_lines_of_their_own() {
    let logged = |with: bool, excluded: bool| {
        let mut config = instance3(150);
        if excluded {
            config.excluded_addresses = vec![vip([10, 0, 1, 1])];
        }
        if !with {
            config.virtual_addresses.clear();
        }
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(DOWN_150 + 100_000);
        wire.stop(0);
        wire.run_until(DOWN_150 + 200_000);
        [
            "(VI_1) setting VIPs.",
            "(VI_1) setting E-VIPs.",
            "(VI_1) removing VIPs.",
            "(VI_1) removing E-VIPs.",
        ]
        .map(|line| wire[0].times_logged(line))
    };
    assert_eq!(logged(true, true), [1, 1, 1, 1]);
    assert_eq!(logged(true, false), [1, 0, 1, 0]);
    assert_eq!(logged(false, true), [0, 1, 0, 1]);
    assert_eq!(logged(false, false), [0; 4]);
}
