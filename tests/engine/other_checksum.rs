//! A master that goes on beside us, and whose adverts of version 3 have the checksum
//! that we do not send: most routers accept only the one that they send themselves.

use keepalived_rs::vrrp::contention::Contention;

use crate::world::{Advert3, Cover, Node, Wire, instance3, source};

/// What a master of priority 150 says of the other one after five adverts.
fn told(as_v2: bool, cover: Cover) -> (Option<Contention>, String) {
    let mut config = instance3(150);
    config.v3_checksum_as_v2 = as_v2;
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(5_000_000);
    let mut other = Advert3::new(source(2), 100);
    other.cover = cover;
    for _ in 0..5 {
        wire.advert3(0, &other);
        let now = wire.now.as_us();
        wire.run_until(now + 1_000_000);
    }
    let snapshot = wire[0].engine.snapshot(wire.now);
    let reason = snapshot.instances[0].contended.map(|it| it.reason);
    (reason, wire[0].log.join("\n"))
}

#[test]
fn a_master_with_the_other_checksum_is_told_with_the_fix() {
    let (reason, log) = told(false, Cover::Message);
    assert_eq!(reason, Some(Contention::OtherChecksum));
    let line = "its checksum is of the other form, and it does not give way to our adverts - \
                use the same v3_checksum_as_v2 on both nodes";
    assert!(log.contains(line), "{log}");
    assert_eq!(
        told(true, Cover::PseudoHeader).0,
        Some(Contention::OtherChecksum)
    );
}

#[test]
fn with_the_same_checksum_it_is_something_else() {
    assert_eq!(
        told(false, Cover::PseudoHeader).0,
        Some(Contention::Unheard)
    );
    assert_eq!(told(true, Cover::Message).0, Some(Contention::Unheard));
}
