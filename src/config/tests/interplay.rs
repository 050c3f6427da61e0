//! How settings of an instance work together.

use super::*;

#[test]
fn of_state_priority_and_nopreempt() {
    let (master, said) = instance("state MASTER");
    assert_eq!(
        (master.priority.0, master.initial_state),
        (255, InitialState::Master)
    );
    assert_eq!(said, [""; 0]);
    let (backup, _) = instance("");
    assert_eq!(
        (backup.priority.0, backup.initial_state),
        (100, InitialState::Backup)
    );
    let (owner, _) = instance("priority 255");
    assert_eq!(owner.initial_state, InitialState::Master);

    let (master, said) = instance("state MASTER\npriority 160\nnopreempt");
    let text = "(VI) Warning - nopreempt will not work with initial state MASTER - clearing";
    assert_eq!((master.nopreempt, said), (false, vec![text.to_string()]));
    let (owner, said) = instance("nopreempt\npriority 255");
    let text = "(VI) nopreempt is incompatible with priority 255. resetting nopreempt";
    assert_eq!((owner.nopreempt, said), (false, vec![text.to_string()]));
    assert!(instance("nopreempt").0.nopreempt);
    assert!(!instance("nopreempt\npreempt").0.nopreempt);

    let (twice, said) = instance("state MASTER\nstate BACKUP\npriority 5");
    assert_eq!(twice.initial_state, InitialState::Master);
    assert_eq!(
        said,
        ["(Line 5) (VI) state previously set as MASTER - ignoring BACKUP"]
    );
    let (wrong, said) = instance("state Master");
    assert_eq!(wrong.initial_state, InitialState::Backup);
    assert_eq!(
        said,
        ["(Line 4) (VI) unknown state 'Master', defaulting to BACKUP"]
    );
}

#[test]
fn numbers_out_of_range() {
    let (priority, said) = instance("priority 256");
    let text = "(Line 4) (VI) Priority not valid! must be between 1 & 255. Using default 100";
    assert_eq!((priority.priority.0, said), (100, vec![text.to_string()]));
    let (_, said) = instance("virtual_router_id 0");
    assert_eq!(
        said,
        ["(Line 4) (VI): VRID '0' not valid - must be between 1 & 255"]
    );
    let loaded = parse("vrrp_instance VI {\ninterface e0\nvirtual_router_id 5x\n}");
    assert!(lines(&loaded).contains(&"(VI) the virtual router id must be set".to_string()));
    let (garp, said) = instance("garp_master_delay 5x\ngarp_master_repeat 0");
    assert_eq!(
        (garp.garp.master_delay.as_secs(), garp.garp.master_repeat),
        (5, 1)
    );
    assert_eq!(
        said,
        [
            "(Line 4) invalid number '5x'",
            "(Line 5) (VI): garp_master_repeat must be greater than 0, setting to 1"
        ]
    );
}

#[test]
fn the_advert_interval_counts_whole_seconds() {
    for (written, seconds) in [("1", 1), ("0.3", 1), ("1.5", 2), ("2.4", 2), ("255", 255)] {
        let (instance, _) = instance(&format!("advert_int {written}"));
        assert_eq!(instance.advert_interval.as_secs(), seconds, "{written}");
    }
    let (_, said) = instance("advert_int 1.5");
    let text = "(VI) VRRPv2 advertisement interval 1.500000s must be an integer. rounding";
    assert_eq!(said, [text]);
    let (zero, said) = instance("advert_int 0");
    assert_eq!(zero.advert_interval.as_secs(), 1);
    assert_eq!(
        said,
        ["(Line 4) (VI) Advert interval (0) not valid! Must be > 0 - ignoring"]
    );
}

#[test]
fn passwords_are_cut_and_never_told() {
    let (instance, said) = instance("authentication {\nauth_type PASS\nauth_pass secret789\n}");
    assert_eq!(instance.password().unwrap().0, *b"secret78");
    assert_eq!(said, ["(Line 6) Truncating auth_pass to 8 characters"]);
    assert!(!format!("{instance:?}").contains("secret"));
    let (instance, said) = super::instance("authentication {\nauth_type PASS\n}");
    assert_eq!(instance.password(), None);
    assert_eq!(
        said,
        ["(VI) Authentication specified but no password given. Ignoring"]
    );
    let (instance, said) = super::instance("authentication {\nauth_type PASS\nauth_pass 1111\n}");
    assert_eq!(
        (instance.password().unwrap().0, said.len()),
        (*b"1111\0\0\0\0", 0)
    );
}

#[test]
fn unicast() {
    let more = "unicast_src_ip 10.0.0.1\nunicast_peer {\n10.0.0.1\n10.0.0.2\n10.0.0.2\nx\n}";
    let (instance, said) = instance(more);
    assert_eq!(
        instance.destinations().collect::<Vec<_>>(),
        ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(instance.source_address, Some("10.0.0.1".parse().unwrap()));
    assert_eq!(
        said,
        [
            "(Line 8) (VI) 10.0.0.2 - duplicate unicast_peer",
            "(Line 9) Configuration error: VRRP instance[VI] malformed unicast peer \
             address[x]. Skipping..."
        ]
    );
    let (_, said) = super::instance("unicast_src_ip 10.0.0.1");
    assert!(said[0].starts_with("(VI) A unicast keyword has been specified without any"));
}

#[test]
fn two_instances_with_one_router_identifier() {
    let other = with("")
        .replace("VI", "VJ")
        .replace("192.0.2.1", "192.0.2.2");
    let loaded = parse(&format!("{}{other}", with("")));
    assert_eq!(
        lines(&loaded),
        ["VI and VJ both use VRID 5 with IPv4 on interface e0"]
    );
    assert!(!loaded.is_usable());
    let peer = |n| with(&format!("unicast_peer {{\n10.0.0.{n}\n}}"));
    let other = |n| peer(n).replace("VI", "VJ");
    clean(&format!("{}{}", peer(1), other(2)));
    let loaded = parse(&format!("{}{}", peer(1), other(1)));
    assert_eq!(
        lines(&loaded),
        ["(VI) duplicate VRID conflict with VJ VRID 5"]
    );
    let loaded = parse(&format!("{}{}", with(""), with("priority 5")));
    assert_eq!(
        lines(&loaded),
        ["(Line 9) vrrp instance VI already defined"]
    );
    assert_eq!(loaded.config.instances[0].priority.0, 100);
}

#[test]
fn globals_count_wherever_they_stand() {
    let loaded = parse(&format!(
        "{}global_defs {{\nvrrp_garp_master_delay 7\nvrrp_garp_master_repeat 2\n\
         vrrp_mcast_group4 224.0.0.99\nvrrp_skip_check_adv_addr\nsmtp_alert\n\
         script_user bob :staff\nenable_script_security\n}}\n",
        with("notify /n.sh\ngarp_master_repeat 3")
    ));
    assert_eq!(lines(&loaded), [""; 0]);
    let instance = &loaded.config.instances[0];
    assert_eq!(
        (
            instance.garp.master_delay.as_secs(),
            instance.garp.master_repeat
        ),
        (7, 3)
    );
    assert_eq!(instance.garp.lower_prio_delay.as_secs(), 7);
    assert_eq!(instance.garp.lower_prio_repeat, 3);
    assert_eq!(instance.multicast_group.to_string(), "224.0.0.99");
    assert!(instance.skip_check_adv_addr && instance.smtp_alert);
    let user = instance.notify.any.as_ref().unwrap().user.as_ref().unwrap();
    assert_eq!(
        (user.user.as_str(), user.group.as_deref()),
        ("bob", Some("staff"))
    );
}

#[test]
fn a_switch_of_an_instance_beats_that_of_all() {
    let global = "global_defs {\nvrrp_skip_check_adv_addr\n}\n";
    let value =
        |line: &str| clean(&format!("{global}{}", with(line))).instances[0].skip_check_adv_addr;
    assert!(value(""));
    assert!(!value("skip_check_adv_addr false"));
    assert!(value("skip_check_adv_addr"));
}
