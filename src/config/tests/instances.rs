//! Instances: what each word leaves, and how words work together. The texts and
//! exit codes are those of C 2.2.7 or of the specification.

use super::*;
use crate::config::machine::{Interface, Machine, ScriptFinding};
use crate::config::model::{
    Authentication, HardwareAddress, HmacKey, HmacMode, IpvlanMode, ScriptUser, UnicastPeer,
    Version,
};
use crate::time::Interval;

/// An instance without an address of its own.
fn bare(lines: &str) -> String {
    format!("vrrp_instance VI {{\ninterface e0\nvirtual_router_id 5\n{lines}\n}}\n")
}

/// What is told of a file, without what is not carried out yet.
fn told(loaded: &Loaded) -> Vec<String> {
    let found = loaded.diagnostics.iter();
    let told = found.filter(|found| {
        found.severity > diagnostic::Severity::Hint && found.code != "does-not-work-yet"
    });
    told.map(|found| found.as_c_line(&loaded.sources)).collect()
}

#[track_caller]
fn one(loaded: &Loaded) -> Instance {
    Instance::clone(loaded.config.instances.first().expect("an instance"))
}

/// Each case: lines of an instance, what is told.
#[track_caller]
fn check(cases: &[(&str, &[&str])]) {
    for (more, expected) in cases {
        let loaded = parse(&with(more));
        assert_eq!(told(&loaded), *expected, "{more}");
        let code = if expected.is_empty() { 0 } else { 5 };
        assert_eq!(loaded.exit_code(), code, "{more}");
    }
}

mod words {
    use super::*;

    #[test]
    fn of_the_interface_are_checked() {
        check(&[
            ("use_vmac", &[]),
            ("use_vmac 02:00:00:00:00:01 v1", &[]),
            (
                "use_vmac foo 1",
                &["(Line 4) VMAC interface name already specified"],
            ),
            (
                "use_vmac vrrpname00000000000000",
                &[
                    "(Line 4) VMAC interface name 'vrrpname00000000000000' too long or invalid \
                   characters - ignoring",
                ],
            ),
            (
                "use_vmac 00:00:5e:00:01:05",
                &[
                    "(Line 4) VMAC MAC address not allowed to be RFC5798 address \
                   (00:00:5e:00:01:05) - ignoring",
                ],
            ),
            (
                "use_vmac 01:00:5e:00:01:05",
                &["(Line 4) VMAC MAC address is multicast 01:00:5e:00:01:05 - ignoring"],
            ),
            (
                "use_vmac 02:00:00:00",
                &["(Line 4) VMAC invalid MAC address 02:00:00:00"],
            ),
            ("use_vmac 02:00:00:00:00", &[]),
            (
                "use_vmac 00:00:5e:00:02",
                &[
                    "(Line 4) VMAC MAC address not allowed to be RFC5798 address \
                   (00:00:5e:00:02) - ignoring",
                ],
            ),
            (
                "use_vmac\nvirtual_ipaddress_excluded {\n10.9.0.7/24 use_vmac\n}",
                &["(VI) use_vmac specified for VIP/eVIP 10.9.0.7/24 and vrrp instance"],
            ),
            (
                "use_vmac_addr\nvirtual_ipaddress_excluded {\n10.9.0.7/24 dev e1 use_vmac\n}",
                &[
                    "(VI) use_vmac_addr specified and use_vmac specified for VIP/eVIP \
                   10.9.0.7/24",
                ],
            ),
            (
                "virtual_ipaddress_excluded {\n10.9.0.7/24 dev e1 use_vmac\n}",
                &[],
            ),
            (
                "use_ipvlan",
                &[
                    "(VI) IPv4 ipvlan requires a source ip address to be configured. setting \
                   instance to fault state",
                ],
            ),
            (
                "use_ipvlan 10.9.0.2 v5 v6",
                &["(Line 4) (VI) IPVLAN interface already specified - ignoring 'v6'"],
            ),
            (
                "use_ipvlan 10.9.0.2 private vepa",
                &["(Line 4) (VI) ipvlan type already specified - ignoring 'vepa'"],
            ),
            (
                "use_ipvlan 10.9.0.2\nuse_ipvlan",
                &["(Line 5) (VI) use_ipvlan already specified"],
            ),
            (
                "vmac_xmit_base",
                &["(VI) vmac_xmit_base is only valid with a vmac"],
            ),
            (
                "use_vmac\npromote_secondaries",
                &["(VI) promote_secondaries is automatically set for vmacs - ignoring"],
            ),
            (
                "vrf e1",
                &["(VI) vrf can only be specified without interface - clearing"],
            ),
            (
                "interface averyveryverylongname",
                &["(Line 4) Interface name 'averyveryverylongname' too long - ignoring"],
            ),
            (
                "linkbeat_use_polling",
                &[
                    "(Line 4) (VI) 'linkbeat_use_polling' in vrrp instance deprecated - use \
                   linkbeat_interfaces block",
                ],
            ),
            (
                "lvs_sync_daemon_interface e0",
                &[
                    "(Line 4) (VI) Specifying lvs_sync_daemon_interface against a vrrp is \
                   deprecated.",
                ],
            ),
        ]);
    }

    #[test]
    fn with_numbers_are_checked() {
        check(&[
            (
                "unicast_ttl 256",
                &["(Line 4) (VI): TTL '256' not valid - must be between 0 & 255"],
            ),
            (
                "version 4",
                &["(Line 4) (VI): Version must be either 2 or 3"],
            ),
            (
                "version 3\nversion 2",
                &[
                    "(Line 5) (VI) vrrp_version 2 conflicts with configured or deduced version 3; \
                   ignoring.",
                ],
            ),
            (
                "debug 5",
                &["(Line 4) (VI) Debug value '5' not valid; must be between 0-4"],
            ),
            (
                "preempt_delay 1001",
                &["(Line 4) (VI) Preempt_delay not valid! must be between 0-1000"],
            ),
            (
                "down_timer_adverts 0",
                &["(Line 4) (VI): Invalid down_timer_adverts [1:100] '0'"],
            ),
            (
                "garp_extra_if all",
                &["(Line 4) (VI): garp_extra_if specified without time - ignoring"],
            ),
            (
                "garp_extra_if all 86401",
                &["(Line 4) (VI): garp_extra_if '86401' invalid - ignoring"],
            ),
            (
                "vmac_garp_intvl 5",
                &[
                    "(Line 4) Keyword \"vmac_garp_intvl\" is deprecated - please use \
                   \"garp_extra_if\"",
                ],
            ),
            (
                "kernel_rx_buf_size x",
                &["(Line 4) (VI) invalid kernel_rx_buf_size specified"],
            ),
        ]);
    }

    #[test]
    fn that_are_switches_are_checked() {
        for word in [
            "strict_mode",
            "lower_prio_no_advert",
            "higher_prio_send_advert",
            "owner_ignore_adverts",
            "skip_check_adv_addr",
        ] {
            let line = format!("{word} maybe");
            check(&[(
                line.as_str(),
                &[format!("(Line 4) (VI) invalid {word} maybe specified").as_str()],
            )]);
        }
        check(&[
            (
                "notify_priority_changes maybe",
                &["(Line 4) (VI) Invalid value 'maybe' for notify_priority_changes specified"],
            ),
            (
                "smtp_alert maybe",
                &["(Line 4) Invalid vrrp_instance smtp_alert parameter maybe"],
            ),
            (
                "notify_deleted\nnotify_deleted",
                &["(Line 5) (VI) notify_deleted already specified - ignoring "],
            ),
        ]);
    }

    #[test]
    fn reach_the_configuration() {
        let loaded = parse(&with(
            "use_vmac name v1 02:00:00:00:00:01 group 7 netlink_notify_msg\nuse_vmac_addr\n\
             vmac_xmit_base\ndont_track_primary\ndown_timer_adverts 4\ndebug 2\n\
             kernel_rx_buf_size 5000\nlower_prio_no_advert\nhigher_prio_send_advert\n\
             notify_priority_changes\nnopreempt\ntimer_expired_backup 3\nno_accept\n\
             garp_extra_if all 60\nnotify_deleted\nmcast_src_ip 10.0.0.9\ntrack_src_ip\n\
             mcast_dst_ip 224.0.0.99\nlvs_sync_daemon_interface e9",
        ));
        let got = one(&loaded);
        let vmac = got.vmac.clone().unwrap();
        assert_eq!(vmac.interface.as_deref(), Some("v1"));
        let whole = HardwareAddress::Whole([2, 0, 0, 0, 0, 1]);
        assert_eq!(vmac.hardware_address, Some(whole));
        assert_eq!((vmac.group, vmac.netlink_notify), (Some(7), true));
        assert!(got.vmac_addresses && got.vmac_transmit_on_base && got.ignore_own_interface);
        assert_eq!((got.down_timer_adverts, got.debug), (4, 2));
        assert_eq!(got.receive_buffer_bytes, Some(5000));
        assert!(got.lower_prio_no_advert && got.higher_prio_send_advert);
        assert!(got.notify_priority_changes && got.notify.tell_deleted);
        assert_eq!((got.timer_expired_backup, got.accept), (Some(3), false));
        assert_eq!(got.garp.extra_interfaces, Interval::from_secs(60));
        assert!(got.garp.extra_on_all && got.track_source_address);
        assert_eq!(got.multicast_group.to_string(), "224.0.0.99");
        assert_eq!(got.sync_daemon_interface.as_deref(), Some("e9"));

        let got = one(&parse(&with("use_ipvlan v5 10.9.0.2/24 bridge group 4")));
        let ipvlan = got.ipvlan.unwrap();
        assert_eq!(ipvlan.interface.as_deref(), Some("v5"));
        assert_eq!(ipvlan.address, Some(("10.9.0.2".parse().unwrap(), 24)));
        assert_eq!(
            (ipvlan.mode, ipvlan.group),
            (Some(IpvlanMode::Bridge), Some(4))
        );
    }

    #[test]
    fn of_hmac_are_read_and_never_told() {
        let key = "k".repeat(32);
        let lines = format!(
            "auth_hmac {{\nkey 1 {key}\nkey 2 hex:{}\nkey 3 file:/k\nkey 4 short\nkey 300 x\n\
             active_key 2\ntime_window 9\nanti_replay monotonic\nmode permissive\n}}",
            "ab".repeat(32)
        );
        let loaded = parse(&with(&lines));
        let hmac = one(&loaded).auth_hmac.unwrap();
        assert_eq!(
            hmac.keys[0],
            (1, HmacKey::Bytes(key.clone().into_bytes().into()))
        );
        assert_eq!(hmac.keys[1], (2, HmacKey::Bytes(vec![0xab; 32].into())));
        assert_eq!(hmac.keys[2], (3, HmacKey::File("/k".to_string())));
        assert_eq!((hmac.keys.len(), hmac.active_key), (3, 2));
        assert_eq!(hmac.time_window, Interval::from_secs(9));
        assert!(hmac.monotonic && hmac.mode == HmacMode::Permissive);
        let told = told(&loaded);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(!told.concat().contains("short"));
        assert!(!format!("{hmac:?}").contains(&key));

        let lines = format!("auth_hmac {{\nkey 1 {key}\nactive_key 2\n}}");
        let loaded = parse(&with(&lines));
        assert_eq!(one(&loaded).auth_hmac, None);
        let text = "(Line 6) (VI) auth_hmac active_key 2 is not defined, disabling extension";
        assert_eq!(super::told(&loaded), [text]);
        assert!(loaded.is_usable());
    }
}

mod interplay {
    use super::*;

    #[test]
    fn of_preemption() {
        check(&[
            (
                "state MASTER\npriority 50\npreempt_delay 5",
                &[
                    "(VI) Warning - preempt delay will not work with initial state MASTER - \
                   clearing",
                ],
            ),
            (
                "preempt_delay 5\nnopreempt",
                &["(VI) preempt_delay is incompatible with nopreempt mode - resetting"],
            ),
            (
                "timer_expired_backup 3",
                &["(VI) expired_timer_backup requires nopreempt - resetting"],
            ),
        ]);
        let delay = |more| one(&parse(&with(more))).preempt_delay;
        assert_eq!(delay("preempt_delay 5"), Interval::from_secs(5));
        assert_eq!(delay("preempt_delay 5\nnopreempt"), Interval::ZERO);
    }

    #[test]
    fn of_strict_mode() {
        check(&[
            (
                "strict_mode\npreempt_delay 5",
                &["(VI) preempt_delay is incompatible with strict mode - resetting"],
            ),
            (
                "strict_mode on\nstate MASTER\npriority 50",
                &["(VI) State MASTER must match being address owner"],
            ),
            (
                "strict_mode on\nauthentication {\nauth_type PASS\nauth_pass 1\n}",
                &["(VI) Strict mode does not support authentication. Ignoring."],
            ),
            (
                "strict_mode on\ndown_timer_adverts 5",
                &["(VI) down_timer_adverts is incompatible with strict mode - resetting"],
            ),
            (
                "strict_mode on\naccept",
                &[
                    "(VI) warning - accept mode for VRRP version 2 does not comply with RFC3768 - \
                   resetting",
                ],
            ),
            ("strict_mode\npriority 255\naccept", &[]),
            (
                "strict_mode on\ngarp_lower_prio_repeat 5",
                &["(VI) Strict mode requires no repeat garps. resetting"],
            ),
            (
                "strict_mode on\ngarp_lower_prio_delay 5",
                &["(VI) Strict mode requires no repeat garp delay. resetting"],
            ),
            (
                "strict_mode\ngarp_lower_prio_delay 0\ngarp_lower_prio_repeat 0",
                &[],
            ),
            (
                "strict_mode on\nlower_prio_no_advert off\nhigher_prio_send_advert",
                &[
                    "(VI) Strict mode requires no lower priority advert. resetting",
                    "(VI) strict mode requires higher_prio_send_advert to be clear. resetting",
                ],
            ),
            (
                "strict_mode on\nuse_vmac 02:00:00:00:00:01",
                &["(VI): cannot specify MAC address with strict mode - clearing"],
            ),
            (
                "strict_mode on\nuse_vmac\nvmac_xmit_base",
                &["(VI) xmit_base is incompatible with strict mode - resetting"],
            ),
        ]);
        let got = one(&parse(&with("strict_mode")));
        assert!(got.strict && !got.accept && got.lower_prio_no_advert);
        let garp = (got.garp.lower_prio_delay, got.garp.lower_prio_repeat);
        assert_eq!(garp, (Interval::ZERO, 0));
        let global = format!(
            "global_defs {{\nvrrp_strict\n}}\n{}",
            with("strict_mode no")
        );
        assert!(!one(&parse(&global)).strict);
        let global = format!("global_defs {{\nvrrp_strict\n}}\n{}", with(""));
        assert!(one(&parse(&global)).strict);
    }

    #[test]
    fn of_the_advert_interval_and_version_3() {
        check(&[
            (
                "version 3\nadvert_int 0.015",
                &[
                    "(VI) VRRPv3 advertisement interval 0.015000s must be in units of 10ms - \
                   rounding",
                ],
            ),
            (
                "version 3\nadvert_int 50",
                &[
                    "(VI) VRRPv3 advertisement interval 50.00s is out of range. Must be less than \
                   40.96s. Setting to 40.95s",
                ],
            ),
            ("version 3\nadvert_int 0.25", &[]),
        ]);
        let interval = |more| one(&parse(&with(more))).advert_interval.as_us();
        assert_eq!(interval("version 3\nadvert_int 0.25"), 250_000);
        assert_eq!(interval("version 3\nadvert_int 0.015"), 20_000);
        assert_eq!(interval("version 3\nadvert_int 50"), 40_950_000);
        let global = format!("global_defs {{\nvrrp_version 3\n}}\n{}", with(""));
        assert_eq!(one(&parse(&global)).version, Version::V3);
        let global = format!("global_defs {{\nvrrp_version 3\n}}\n{}", with("version 2"));
        assert_eq!(one(&parse(&global)).version, Version::V2);
    }

    #[test]
    fn of_authentication() {
        check(&[
            (
                "version 3\nauthentication {\nauth_type PASS\nauth_pass 1\n}",
                &["(VI) VRRP version 3 does not support authentication. Ignoring."],
            ),
            (
                "authentication {\nauth_type AH\nauth_pass 1\n}\nstate MASTER\npriority 50",
                &["(VI) Initial state master is incompatible with AH authentication - clearing"],
            ),
            (
                "authentication {\nauth_type FOO\nauth_pass 1\n}",
                &["(Line 5) (VI) unknown authentication type 'FOO'"],
            ),
            ("authentication {\nauth_pass 1\n}", &[]),
        ]);
        let got = one(&parse(&with(
            "authentication {\nauth_type AH\nauth_pass 1\n}",
        )));
        assert!(matches!(
            got.authentication,
            Some(Authentication::Header(_))
        ));
    }

    #[test]
    fn of_an_owner_and_adverts() {
        let text = "(VI) owner_ignore_adverts is only valid for address owners - clearing";
        check(&[
            ("owner_ignore_adverts", &[text]),
            ("priority 255\nowner_ignore_adverts off", &[]),
        ]);
        let ignores = |more| one(&parse(&with(more))).owner_ignore_adverts;
        assert!(ignores("priority 255\nowner_ignore_adverts"));
        assert!(!ignores("owner_ignore_adverts"));
        assert!(!ignores("priority 255\nowner_ignore_adverts off"));
        assert!(ignores("priority 255\nstrict_mode"));
        assert!(one(&parse(&with("priority 255\nno_accept"))).accept);
    }

    #[test]
    fn of_no_address_at_all() {
        for (lines, said, code, usable) in [
            ("", Some("sensible"), 5, true),
            ("strict_mode", Some("required"), 5, false),
            ("version 3", Some("required"), 5, false),
            ("no_virtual_ipaddress", None, 0, true),
            (
                "no_virtual_ipaddress\nstrict_mode",
                Some("required"),
                5,
                false,
            ),
        ] {
            let loaded = parse(&bare(lines));
            let said: Vec<_> = said
                .map(|word| format!("(VI) No VIP specified; at least one is {word}"))
                .into_iter()
                .collect();
            assert_eq!(told(&loaded), said, "{lines}");
            assert_eq!(
                (loaded.exit_code(), loaded.is_usable()),
                (code, usable),
                "{lines}"
            );
        }
    }
}

mod unicast {
    use super::*;

    const NO_PEERS: &str = "(VI) A unicast keyword has been specified without any unicast peers. \
                            Defaulting to multicast. This usage is deprecated - please update \
                            your configuration.";

    #[test]
    fn needs_peers() {
        check(&[
            ("check_unicast_src", &[NO_PEERS]),
            ("old_unicast_checksum", &[NO_PEERS]),
            (
                "old_unicast_checksum foo",
                &[
                    "(Line 4) (VI) Unknown old_unicast_chksum mode foo - ignoring",
                    NO_PEERS,
                ],
            ),
            (
                "unicast_ttl 5",
                &["(Line 8) (VI): Cannot use unicast_ttl without unicast peers - resetting"],
            ),
            (
                "unicast_peer {\n10.9.0.2\n}\nmcast_dst_ip 224.0.0.99",
                &["(VI) multicast destination specified with unicast - ignoring"],
            ),
            (
                "unicast_peer {\n10.9.0.2\n}\nuse_vmac",
                &["(Line 11) (VI) unicast with use_vmac requires vmac_xmit_base - setting"],
            ),
        ]);
        assert_eq!(one(&parse(&with("unicast_ttl 5"))).unicast_ttl, None);
        let loaded = parse(&with("unicast_fault_no_peer"));
        assert!(one(&loaded).fault_without_peer);
        assert_eq!(loaded.exit_code(), 0);
    }

    #[test]
    fn knows_the_distance_of_peers() {
        let loaded = parse(&with(
            "unicast_peer {\n10.9.0.2 min_ttl 5 max_ttl 3\n10.9.0.3 bar\n10.9.0.4 min_ttl 300\n\
             10.9.0.5 foo 3 max_ttl 9\nfe80::1\n}",
        ));
        assert_eq!(
            told(&loaded),
            [
                "(Line 5) (VI) min_ttl 5 > max_ttl 3 - all packets will be discarded",
                "(Line 6) (VI) bar is missing a value",
                "(Line 7) number '300' outside range [0, 255]",
                "(Line 8) (VI) unknown unicast_peer option foo",
                "(Line 9) Configuration error: VRRP instance[VI] and unicast peer \
                 address[fe80::1] MUST be of the same family !!! Skipping...",
            ]
        );
        let got = one(&loaded);
        let expected = UnicastPeer {
            address: "10.9.0.5".parse().unwrap(),
            min_ttl: None,
            max_ttl: Some(9),
        };
        assert_eq!(got.unicast_peers.last(), Some(&expected));
        assert!(got.check_unicast_source);
    }

    #[test]
    fn may_go_without_an_interface() {
        let text = |lines: &str| {
            format!(
                "vrrp_instance VI {{\nvirtual_router_id 5\n{lines}\nvirtual_ipaddress {{\n\
                 192.0.2.1 dev e0\n}}\n}}"
            )
        };
        let peer = "unicast_peer {\n10.9.0.2\n}";
        for lines in ["", peer, "unicast_src_ip 10.9.0.1"] {
            let loaded = parse(&text(lines));
            assert_eq!(told(&loaded), ["(VI) Unknown interface!"], "{lines}");
            assert_eq!((loaded.exit_code(), loaded.is_usable()), (5, false));
        }
        let loaded = parse(&text(&format!("unicast_src_ip 10.9.0.1\n{peer}\nvrf red")));
        assert_eq!((told(&loaded), loaded.exit_code()), (vec![], 0));
        assert_eq!(one(&loaded).vrf.as_deref(), Some("red"));
        assert!(loaded.is_usable());
        let without_vrf = parse(&text(&format!("unicast_src_ip 10.9.0.1\n{peer}")));
        assert!(without_vrf.is_usable());
        assert!(one(&without_vrf).interface.is_empty());
    }

    #[test]
    fn puts_addresses_without_dev_where_static_ones_go() {
        let text = "vrrp_instance VI {\nvirtual_router_id 5\nunicast_src_ip 10.9.0.1\n\
                    unicast_peer {\n10.9.0.2\n}\nvirtual_ipaddress {\n192.0.2.1\n\
                    192.0.2.2 dev e7\n}\n}";
        let interfaces = |text: &str| -> Vec<String> {
            let loaded = parse(text);
            let instance = one(&loaded);
            let addresses = instance.all_addresses();
            addresses.map(|vip| vip.interface.to_string()).collect()
        };
        assert_eq!(interfaces(text), ["eth0", "e7"]);
        let globals = format!("global_defs {{\ndefault_interface e1\n}}\n{text}");
        assert_eq!(interfaces(&globals), ["e1", "e7"]);
    }
}

mod families {
    use super::*;

    #[test]
    fn are_fixed_by_the_first_address() {
        let no_vip = "(VI) No VIP specified; at least one is required";
        let other = |line| {
            format!(
                "(Line {line}) (VI): address family must match VRRP instance [192.0.2.1] - ignoring"
            )
        };
        for first in [
            "native_ipv6",
            "mcast_src_ip fe80::1",
            "unicast_src_ip fe80::1\nunicast_peer {\nfe80::2\n}",
            "mcast_dst_ip ff02::1",
            "use_ipvlan fe80::5",
        ] {
            let loaded = parse(&with(first));
            let line = 5 + first.lines().count();
            assert_eq!(told(&loaded), [other(line), no_vip.to_string()], "{first}");
            assert_eq!(one(&loaded).version, Version::V3);
            assert!(one(&loaded).ipv6 && !loaded.is_usable(), "{first}");
        }
        let vip = "virtual_ipaddress {\n192.0.2.9\n}\n";
        for (second, said) in [
            (
                "native_ipv6",
                "(Line 7) (VI) Cannot specify native_ipv6 with IPv4 addresses",
            ),
            (
                "mcast_src_ip fe80::2",
                "(Line 7) Configuration error: VRRP instance[VI] and src address[fe80::2] MUST \
                 be of the same family !!! Skipping...",
            ),
            (
                "mcast_dst_ip ff02::1",
                "(Line 7) (VI) mcast dest address ff02::1 MUST match VRRP instance family. \
                 Skipping...",
            ),
        ] {
            let loaded = parse(&with(&format!("{vip}{second}")));
            assert_eq!(told(&loaded), [said], "{second}");
            assert!(!one(&loaded).ipv6);
        }
    }

    #[test]
    fn of_groups_are_checked() {
        check(&[
            (
                "mcast_dst_ip 10.0.0.1",
                &["(Line 4) (VI) mcast_dst_ip 10.0.0.1 not multicast. Skipping..."],
            ),
            (
                "mcast_dst_ip x",
                &["(Line 4) (VI) malformed mcast dest address x. Skipping..."],
            ),
        ]);
    }

    #[test]
    fn decide_on_version_and_first_address() {
        let of = |lines: &str| parse(&bare(lines));
        let vip = "virtual_ipaddress {\n2001:db8::5\n}";
        let loaded = of(vip);
        assert_eq!(
            told(&loaded),
            ["(VI) the first IPv6 VIP address should be link local"]
        );
        assert_eq!((loaded.exit_code(), loaded.is_usable()), (0, true));
        let got = one(&loaded);
        assert_eq!(got.multicast_group.to_string(), "ff02::12");
        assert_eq!((got.version, got.ipv6), (Version::V3, true));
        let loaded = of(&format!("version 2\nstrict_mode\n{vip}"));
        assert_eq!(
            told(&loaded),
            [
                "(VI) cannot use IPv6 with VRRP version 2; setting version 3",
                "(VI) the first IPv6 VIP address must be link local",
            ]
        );
        assert_eq!(one(&loaded).version, Version::V3);
        let loaded = of("version 2\nvirtual_ipaddress {\nfe80::5\n}");
        assert_eq!((told(&loaded), one(&loaded).version), (vec![], Version::V2));
        let ah = "authentication {\nauth_type AH\nauth_pass 1\n}";
        let loaded = of(&format!(
            "version 2\n{ah}\nvirtual_ipaddress {{\nfe80::5\n}}"
        ));
        assert_eq!(
            told(&loaded),
            ["(VI) Cannot use AH authentication with IPv6. ignoring"]
        );
    }
}

mod addresses {
    use super::*;

    #[test]
    fn stand_once() {
        let loaded = parse(&bare(
            "virtual_ipaddress {\n192.0.2.1\n192.0.2.1\n192.0.2.1/24\n}\n\
             virtual_ipaddress_excluded {\n192.0.2.1\n192.0.2.1 dev e1\n192.0.2.7\n192.0.2.7\n\
             fe80::1\n}",
        ));
        assert_eq!(
            told(&loaded),
            [
                "(Line 6) (VI): VIP duplicates a VIP 192.0.2.1 - ignoring",
                "(Line 10) (VI): Excluded VIP duplicates a VIP 192.0.2.1 - ignoring",
                "(Line 13) (VI): Excluded VIP duplicates an excluded VIP 192.0.2.7 - ignoring",
            ]
        );
        assert_eq!(loaded.exit_code(), 0);
        let got = one(&loaded);
        assert_eq!(
            (got.virtual_addresses.len(), got.excluded_addresses.len()),
            (2, 3)
        );
    }

    #[test]
    fn that_do_not_fit_into_an_advert_are_not_advertised() {
        let lines = |count: u32| -> String {
            (0..count)
                .map(|n| format!("10.0.{}.{}\n", n / 250, n % 250))
                .collect()
        };
        let loaded = parse(&bare(&format!("virtual_ipaddress {{\n{}}}", lines(260))));
        let text = "(VI) Number of VIPs (260) exceeds maximum/space available in packet (max 255 \
                    addresses) - excess moved to eVIPs";
        assert_eq!(told(&loaded), [text]);
        let got = one(&loaded);
        assert_eq!(
            (got.virtual_addresses.len(), got.excluded_addresses.len()),
            (255, 5)
        );
        assert!(loaded.is_usable());
        let loaded = parse(&bare(&format!("virtual_ipaddress {{\n{}}}", lines(255))));
        assert!(loaded.is_usable());
    }
}

mod machines {
    use super::*;

    /// A machine with one interface, `e0`, and the loopback.
    struct Small(Interface);

    impl Machine for Small {
        fn interface(&self, name: &str) -> Option<Interface> {
            match name {
                "e0" => Some(self.0),
                "lo" => Some(Interface {
                    loopback: true,
                    ..self.0
                }),
                _ => None,
            }
        }

        fn resolves(&self, _: &str) -> bool {
            true
        }

        fn user_exists(&self, _: &ScriptUser) -> bool {
            true
        }

        fn script(&self, _: &[String], _: Option<&ScriptUser>, _: bool) -> Vec<ScriptFinding> {
            Vec::new()
        }
    }

    const E0: Interface = Interface {
        loopback: false,
        multicast: true,
        ethernet: true,
        mtu: 1500,
    };

    fn on(interface: Interface, text: &str) -> Loaded {
        let files = vec![(PathBuf::from("/k"), text.as_bytes().to_vec())];
        load_on(&Small(interface), &files, Path::new("/k"), &options())
    }

    #[test]
    fn that_lack_an_interface_are_told_and_waited_for() {
        let missing = "Non-existent interface specified in configuration";
        let cases = [
            (
                with("interface nope"),
                vec![
                    "(Line 4) WARNING - interface nope for vrrp_instance VI doesn't exist",
                    missing,
                ],
            ),
            (
                with("track_interface {\nnope\n}"),
                vec![
                    "(Line 5) (VI) tracked interface nope doesn't exist",
                    missing,
                ],
            ),
            (
                with("interface lo"),
                vec!["(Line 4) (VI) cannot use a loopback interface (lo) for vrrp - ignoring"],
            ),
            (
                format!(
                    "global_defs {{\ndynamic_interfaces\n}}\n{}",
                    with("interface nope")
                ),
                vec![],
            ),
        ];
        for (text, said) in cases {
            let loaded = on(E0, &text);
            assert_eq!(told(&loaded), said, "{text}");
            assert_eq!(loaded.exit_code(), if said.is_empty() { 0 } else { 5 });
            assert_eq!(
                loaded.config,
                parse(&text).config,
                "the machine changes nothing"
            );
            assert_eq!(loaded.is_usable(), parse(&text).is_usable());
        }
    }

    #[test]
    fn that_cannot_multicast_are_told() {
        let deaf = Interface {
            multicast: false,
            ..E0
        };
        let loaded = on(deaf, &with(""));
        let text = "(VI) interface e0 does not support multicast, specify unicast peers - \
                    disabling";
        assert_eq!(
            (told(&loaded), loaded.exit_code()),
            (vec![text.to_string()], 5)
        );
        assert!(
            on(deaf, &with("unicast_peer {\n10.0.0.2\n}"))
                .diagnostics
                .is_empty()
        );
        let loaded = on(
            Interface {
                ethernet: false,
                ..E0
            },
            &with("use_vmac"),
        );
        let text = "(VI): vmacs are only supported on Ethernet type interfaces";
        assert_eq!(told(&loaded), [text]);
    }

    #[test]
    fn with_short_frames_hold_fewer_addresses() {
        let short = Interface { mtu: 56, ..E0 };
        let vips = "virtual_ipaddress {\n10.0.0.1\n10.0.0.2\n10.0.0.3\n10.0.0.4\n10.0.0.5\n}";
        let loaded = on(short, &with(vips));
        let text = "(VI) Number of VIPs (6) exceeds maximum/space available in packet (max 5 \
                    addresses) - excess moved to eVIPs";
        assert_eq!(told(&loaded), [text]);
        assert_eq!(one(&loaded).virtual_addresses.len(), 6);
    }
}

#[test]
fn nothing_that_does_not_work_gets_past() {
    let lines = "lvs_sync_daemon_interface e0";
    let loaded = parse(&with(lines));
    let refused = loaded
        .diagnostics
        .iter()
        .any(|found| found.code == "does-not-work-yet");
    assert!(refused && !loaded.is_usable(), "{lines}");
}

/// What the engine can do is accepted, and stands in the configuration.
#[test]
fn what_works_is_held() {
    type Held = fn(&Instance) -> bool;
    let cases: [(&str, Held); 30] = [
        ("promote_secondaries", |it| it.promote_secondaries),
        ("no_accept", |it| !it.accept),
        ("version 3\nstrict_mode", |it| it.strict && !it.accept),
        ("virtual_routes {\n10.0.0.0/8 dev e0\n}", |it| {
            it.virtual_routes.len() == 1
        }),
        (
            "virtual_rules {\nfrom 10.0.0.0/8 table 5 priority 9\n}",
            |it| it.virtual_rules.len() == 1,
        ),
        ("version 3", |it| it.version == Version::V3),
        ("version 3\nadvert_int 0.01", |it| {
            it.advert_interval == Interval::from_ms(10)
        }),
        ("dont_track_primary", |it| it.ignore_own_interface),
        ("track_interface {\ne1\n}", |it| {
            it.track_interfaces[0].interface == "e1" && it.track_interfaces[0].weight == 0
        }),
        ("track_interface {\ne1 weight -20 reverse\n}", |it| {
            it.track_interfaces[0].weight == -20 && it.track_interfaces[0].reverse
        }),
        ("preempt_delay 5", |it| {
            it.preempt_delay == Interval::from_secs(5)
        }),
        ("down_timer_adverts 5", |it| it.down_timer_adverts == 5),
        ("lower_prio_no_advert", |it| it.lower_prio_no_advert),
        ("higher_prio_send_advert", |it| it.higher_prio_send_advert),
        ("priority 255\nowner_ignore_adverts", |it| {
            it.owner_ignore_adverts
        }),
        ("mcast_src_ip 10.0.0.1\ntrack_src_ip", |it| {
            it.track_source_address
        }),
        ("unicast_fault_no_peer", |it| it.fault_without_peer),
        ("unicast_peer {\n10.0.0.2\n}\ncheck_unicast_src", |it| {
            it.check_unicast_source
        }),
        ("unicast_peer {\n10.0.0.2\n}\nunicast_ttl 5", |it| {
            it.unicast_ttl == Some(5)
        }),
        ("unicast_peer {\n10.0.0.2 min_ttl 250\n}", |it| {
            it.unicast_peers[0].min_ttl == Some(250)
        }),
        ("version 3\nstrict_mode\naccept", |it| {
            it.strict && it.accept
        }),
        ("strict_mode\nstate MASTER\npriority 255", |it| {
            it.strict && it.accept && it.owner_ignore_adverts
        }),
        ("nopreempt\ntimer_expired_backup", |it| {
            it.timer_expired_backup == Some(254)
        }),
        ("nopreempt\nthread_timer_expired 150", |it| {
            it.timer_expired_backup == Some(150)
        }),
        ("notify_master_rx_lower_pri /bin/true", |it| {
            it.notify.master_rx_lower_pri.is_some()
        }),
        ("debug 2", |it| it.debug == 2),
        ("mcast_dst_ip 224.0.0.99", |it| {
            it.multicast_group.to_string() == "224.0.0.99"
        }),
        ("virtual_ipaddress_excluded {\n10.0.0.8\n}", |it| {
            it.excluded_addresses.len() == 1
        }),
        ("version 3\nv3_checksum_as_v2", |it| it.v3_checksum_as_v2),
        ("unicast_peer {\n10.0.0.2\n}\nold_unicast_checksum", |it| {
            it.old_unicast_checksum == Some(true)
        }),
    ];
    for (lines, held) in cases {
        let loaded = parse(&with(lines));
        assert!(loaded.is_usable(), "{lines}: {:?}", told(&loaded));
        assert!(held(&one(&loaded)), "{lines}");
    }
}
