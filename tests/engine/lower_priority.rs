//! What a MASTER tells of adverts of lower priority: when
//! `notify_master_rx_lower_pri` is called (specification F.4).

use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::world::{self, Node, Wire, instance, source};

fn calls(wire: &Wire) -> usize {
    wire[0]
        .calls
        .iter()
        .filter(|call| *call == "LOWER VI_1")
        .count()
}

#[test]
fn s3_each_advert_of_lower_priority_is_told_and_nothing_else() {
    for silent in [false, true] {
        let mut config = instance(150);
        config.lower_prio_no_advert = silent;
        let mut wire = Wire::new([Node::new(5, config)]);
        wire.start();
        wire.inject(0, &world::advert(source(9), 100));
        assert_eq!(calls(&wire), 0, "not as backup");
        wire.run_until(DOWN_150);
        let cases = [
            (source(9), 100, 1),
            (source(9), 1, 2),
            // The same priority from a lower address.
            (source(4), 150, 3),
            // Our own address, and a farewell.
            (source(5), 150, 3),
            (source(9), 0, 3),
        ];
        for (number, (from, priority, expected)) in cases.into_iter().enumerate() {
            wire.run_until(DOWN_150 + 100_000 * (number as u64 + 1));
            wire.inject(0, &world::advert(from, priority));
            assert_eq!(calls(&wire), expected, "{from} {priority}");
            assert_eq!(wire[0].state(), State::Master);
        }
        // The line says whether an advert was the answer.
        let line = "with lower priority 100, ours 150, forcing new election";
        assert_eq!(wire[0].logged(line), !silent);
        wire.run_until(DOWN_150 + 900_000);
        wire.inject(0, &world::advert(source(9), 200));
        assert_eq!((wire[0].state(), calls(&wire)), (State::Backup, 3));
    }
}

#[test]
fn a_flood_is_told_once() {
    let mut wire = Wire::new([Node::new(5, instance(150))]);
    wire.start();
    wire.run_until(DOWN_150 + 100_000);
    for _ in 0..500 {
        wire.inject(0, &world::advert(source(9), 100));
    }
    assert_eq!(calls(&wire), 1);
}
