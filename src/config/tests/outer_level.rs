//! Words and blocks of the outer level that belong to no instance.

use super::super::model::{InterfaceDelay, LinkbeatInterface, LinkbeatMethod};
use super::globals::{on_small, said};
use super::*;
use crate::time::Interval;

#[test]
fn words_of_the_outer_level_are_checked() {
    for (text, message, code) in [
        (
            "net_namespace",
            "(Line 1) net_namespace name missing - ignoring",
            5,
        ),
        (
            "net_namespace a\nnet_namespace b",
            "(Line 2) Duplicate net_namespace definition b - ignoring",
            0,
        ),
        (
            "net_namespace_ipvs\nnet_namespace_ipvs b",
            "(Line 2) Duplicate net_namespace_ipvs definition b - ignoring",
            5,
        ),
        ("instance", "(Line 1) instance name missing - ignoring", 5),
        (
            "instance a\ninstance b",
            "(Line 2) Duplicate instance definition b - ignoring",
            5,
        ),
        ("child_wait_time x", "(Line 1) Invalid child_wait_time x", 5),
        (
            "child_wait_time -1",
            "(Line 1) Invalid child_wait_time -1",
            5,
        ),
        (
            "child_wait_time",
            "(Line 1) *** Configuration line starting `child_wait_time` is missing a parameter \
             after keyword `child_wait_time` at word position 2",
            2,
        ),
    ] {
        let loaded = parse(text);
        assert_eq!(said(&loaded), [message], "{text}");
        assert_eq!(loaded.exit_code(), code, "{text}");
    }
    let loaded = parse(
        "linkbeat_use_polling\nnet_namespace a\nnet_namespace_ipvs\nnamespace_with_ipsets\n\
         use_pid_dir\ninstance i\nchild_wait_time 9\n",
    );
    assert_eq!(said(&loaded), [""; 0]);
    let globals = loaded.config.globals;
    assert!(globals.linkbeat_polling);
    let places = globals.places;
    assert_eq!(places.network_namespace.as_deref(), Some("a"));
    assert_eq!(places.ipvs_network_namespace.as_deref(), Some(""));
    assert_eq!(places.instance.as_deref(), Some("i"));
    assert_eq!(places.child_wait_time, Some(Interval::from_secs(9)));
    assert!(places.use_pid_directory && places.namespace_with_ipsets);
}

#[test]
fn garp_groups_are_checked() {
    for (text, message, code) in [
        (
            "",
            "(Line 3) garp group 0 does not have any delay set - removing",
            5,
        ),
        (
            "interface e0",
            "(Line 3) garp group 0 does not have any delay set - removing",
            5,
        ),
        (
            "garp_interval x",
            "(Line 2) garp_group garp_interval 'x' invalid",
            5,
        ),
        (
            "gna_interval 5000",
            "(Line 2) garp_group gna_interval '5000' invalid",
            5,
        ),
        (
            "garp_interval .5\ninterfaces {\n}",
            "(Line 4) Warning - empty garp_group interfaces block",
            5,
        ),
        (
            "garp_interval .5\ninterface e0\ninterface e0",
            "(Line 4) garp_group already specified for e0 - ignoring",
            5,
        ),
        (
            "garp_interval .5\ninterval 3",
            "(Line 3) Unknown keyword 'interval'",
            5,
        ),
    ] {
        let loaded = parse(&format!("garp_group {{\n{text}\n}}\n"));
        assert_eq!(said(&loaded), [message], "{text}");
        assert_eq!(loaded.exit_code(), code, "{text}");
    }
    let text = "garp_group {\ngarp_interval 0.5\ngna_interval 0.25\ninterface e0\n\
                interfaces {\ne1 e2\ne3\n}\n}\n";
    let loaded = parse(text);
    assert_eq!(said(&loaded), [""; 0]);
    let [group] = loaded.config.garp_groups.as_slice() else {
        panic!("{:?}", loaded.config.garp_groups)
    };
    assert_eq!(group.interfaces, ["e0", "e1", "e2", "e3"]);
    assert_eq!(group.garp_interval, Interval::from_us(500_000));
    assert_eq!(group.gna_interval, Interval::from_us(250_000));
    assert!(loaded.is_usable());

    // An interface is in one group only, but for groups that are removed.
    let loaded =
        parse("garp_group {\ninterface e0\n}\ngarp_group {\ngarp_interval .1\ninterface e0\n}\n");
    assert_eq!(loaded.config.garp_groups.len(), 1);
    assert_eq!(said(&loaded).len(), 1);
    let text = "garp_group {\ngarp_interval 0.5\ninterface e0\ninterface e7\n}\n";
    let said = [
        "(Line 4) WARNING - interface e7 specified for garp_group doesn't exist",
        "Non-existent interface specified in configuration",
    ];
    assert_eq!(on_small(text), (said.map(String::from).to_vec(), 5));
    // Not if interfaces may come later, wherever that is written.
    let dynamic = format!("{text}global_defs {{\ndynamic_interfaces\n}}\n");
    assert_eq!(on_small(&dynamic), (Vec::new(), 0));
}

#[test]
fn linkbeat_interfaces_are_checked() {
    let text = "linkbeat_interfaces {\ne0\ne0 MII\ne0 ETHTOOL\ne0 IOCTL\n}\n";
    let loaded = parse(text);
    assert_eq!(said(&loaded), [""; 0]);
    let methods: Vec<_> = loaded
        .config
        .linkbeat_interfaces
        .iter()
        .map(|line: &LinkbeatInterface| line.method)
        .collect();
    let expected = [
        None,
        Some(LinkbeatMethod::Mii),
        Some(LinkbeatMethod::Ethtool),
        Some(LinkbeatMethod::Ioctl),
    ];
    assert_eq!(methods, expected);
    let loaded = parse("linkbeat_interfaces {\ne0 mii\n}\n");
    assert_eq!(
        said(&loaded),
        ["(Line 2) extra characters mii in linkbeat interface"]
    );
    assert_eq!(loaded.exit_code(), 5);
    let message = "(Line 2) unknown interface e7 specified for linkbeat interface";
    let said = on_small("linkbeat_interfaces {\ne7\n}\n");
    assert_eq!(said, (vec![message.to_string()], 4));
}

#[test]
fn delays_of_interfaces_are_checked() {
    let loaded = parse("interface_up_down_delays {\ne0 5\ne1 1.5 0.5\n}\n");
    assert_eq!(said(&loaded), [""; 0]);
    let delay = |interface: &str, down, up| InterfaceDelay {
        interface: interface.to_string(),
        down: Interval::from_us(down),
        up: Interval::from_us(up),
    };
    let expected = [delay("e0", 5_000_000, 0), delay("e1", 1_500_000, 500_000)];
    assert_eq!(loaded.config.interface_delays, expected);
    // Not longer than an instance on it allows, in either direction (observed).
    for (line, own, held, message) in [
        (
            "e0 5 6",
            "",
            (1_996_094, 1_996_094),
            "VI: interface e0 debounce timer(s) not less that 2 * advert_int - resetting",
        ),
        (
            "e0 0.1 4",
            "advert_int 2\ndown_timer_adverts 2",
            (100_000, 1_992_188),
            "VI: interface e0 debounce timer(s) not less that 1 * advert_int - resetting",
        ),
        (
            "e0 0.5 9",
            "down_timer_adverts 1",
            (0, 0),
            "VI: cannot use debounce timers with down_timer_adverts = 1 - resetting",
        ),
    ] {
        let text = format!("interface_up_down_delays {{\n{line}\n}}\n{}", with(own));
        let loaded = parse(&text);
        assert_eq!(
            (&*said(&loaded), loaded.exit_code()),
            (&[message.to_string()][..], 0)
        );
        let expected = [delay("e0", held.0, held.1)];
        assert_eq!(loaded.config.interface_delays, expected, "{line}");
        // One that is only tracked may take its time.
        let text = text.replacen("e0", "e1", 1);
        assert_eq!(said(&parse(&text)), [""; 0], "{line}");
    }
    for (line, message) in [
        ("e0 x", "invalid number 'x'"),
        ("e0 -1", "negative number '-1'"),
        (
            "e0 5 256",
            "number '256' outside range [0.000000, 255.000000]",
        ),
    ] {
        let loaded = parse(&format!("interface_up_down_delays {{\n{line}\n}}\n"));
        assert_eq!(said(&loaded), [format!("(Line 2) {message}")], "{line}");
        assert_eq!(loaded.exit_code(), 5);
        assert!(loaded.config.interface_delays.is_empty());
    }
    let message = "(Line 2) unknown interface e7 specified for up/down delay";
    let said = on_small("interface_up_down_delays {\ne7 5\n}\n");
    assert_eq!(said, (vec![message.to_string()], 4));
}
