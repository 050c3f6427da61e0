//! Whole files: exit codes, files of real clusters, and large ones.

use super::*;

mod exit_codes {
    use super::*;

    #[test]
    fn follow_c() {
        let code = |text: &str| parse(text).exit_code();
        assert_eq!(code(""), 0);
        assert_eq!(code("foo"), 5);
        assert_eq!(code("vrrp_instance {\n}"), 5);
        // The daemon does not start with it, but the file itself is right.
        let session = "bfd_instance b {\nneighbor_ip 10.0.0.9\n}\n";
        let refused =
            |own: &str| format!("{session}{}", with(&format!("track_bfd {{\nb\n}}\n{own}")));
        assert_eq!(code(&refused("")), 0);
        assert_eq!(code(&refused("foo")), 5);
        assert_eq!(code(&with("notify /x")), 6);
        let missing = parse(&with("notify /x\nfoo\nnotify_stop"));
        assert_eq!((missing.exit_code(), missing.is_usable()), (2, false));
        assert_eq!(
            lines(&missing)[1],
            "(Line 6) *** Configuration line starting `notify_stop` is missing a parameter after \
             keyword `notify_stop` at word position 2"
        );
    }

    #[test]
    fn a_flood_of_findings_keeps_the_worst() {
        let loaded = parse(&format!(
            "{}{}",
            "foo\n".repeat(5_000),
            with("track_bfd {\nb\n}")
        ));
        assert_eq!(loaded.diagnostics.len(), 1_002);
        assert!(!loaded.is_usable());
    }
}

mod real_files {
    use super::*;

    #[test]
    fn haproxy_pair() {
        let text = "! Configuration File for keepalived\u{3000}\n\
            global_defs {\n   router_id LVS_DEVEL  #\u{672c}\u{673a}\n}\u{3000}\u{3000}\n\n\
            vrrp_script chk_haproxy {\n    script \"killall -0 haproxy\"  #\u{68c0}\u{6d4b}\n\
            \u{3000}   interval 2\n    weight 2\n    fall 2\n    rise 1\n}\u{3000}\n\
            vrrp_instance VI_1 {\n    state MASTER\u{3000}\u{3000}#\u{4e3b}\n    interface ens33\n\
            \u{20}   virtual_router_id 51\n    priority 120\n    advert_int 1\n\
            \u{20}   virtual_ipaddress {\n        192.168.0.121\n    }\n\
            \u{20}   track_script {\n        chk_haproxy\n    }\u{3000}\n}\n";
        let loaded = parse(text);
        let security = "SECURITY VIOLATION - scripts are being executed but script_security not \
                        enabled.";
        assert_eq!(lines(&loaded), [security]);
        let hints = loaded
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Hint);
        assert_eq!(hints.count(), 1);
        let config = &loaded.config;
        assert_eq!(config.globals.router_id.as_deref(), Some("LVS_DEVEL"));
        let instance = &config.instances[0];
        assert_eq!((instance.name.as_str(), instance.vrid.get()), ("VI_1", 51));
        assert_eq!(
            (instance.priority.0, instance.initial_state),
            (120, InitialState::Master)
        );
        assert_eq!(instance.virtual_addresses[0].to_string(), "192.168.0.121");
        let tracked = &instance.track_scripts[0];
        assert_eq!((tracked.weight, tracked.reverse), (2, false));
        assert_eq!(tracked.script.command.argv, ["killall", "-0", "haproxy"]);
        assert_eq!((tracked.script.fall, tracked.script.rise), (2, 1));
        assert_eq!(tracked.script.interval.as_secs(), 2);
    }

    #[test]
    fn nginx_pair() {
        let text = "vrrp_script check_nginx {\n  script \"/etc/keepalived/check_nginx.sh\"\n\
            \u{20} interval 5\n}\nvrrp_instance VI_1 {\n  state BACKUP\n  interface eth0\n\
            \u{20} virtual_router_id 50\n  priority 150\n  nopreempt\n  advert_int 1\n\
            \u{20} authentication {\n    auth_type PASS\n    auth_pass 1111\n  }\n\
            \u{20} track_script {\n    check_nginx\n  }\n  virtual_ipaddress {\n    10.0.0.3\n  }\n}\n";
        let loaded = parse(text);
        let instance = &loaded.config.instances[0];
        assert!(instance.nopreempt);
        assert_eq!(instance.initial_state, InitialState::Backup);
        assert_eq!((instance.priority.0, instance.vrid.get()), (150, 50));
        assert_eq!(instance.password().unwrap().0, *b"1111\0\0\0\0");
        let tracked = &instance.track_scripts[0];
        assert_eq!((tracked.weight, tracked.script.interval.as_secs()), (0, 5));
        assert_eq!((loaded.exit_code(), loaded.is_usable()), (6, true));
    }

    #[test]
    fn the_one_with_mail() {
        let text = "global_defs {\n   notification_email {\n     a@example.com\n     b@example.com\n\
            \u{20}  }\n   notification_email_from k@example.com\n   smtp_server mail.example.com\n\
            \u{20}  smtp_connect_timeout 30\n   router_id n1\n   vrrp_skip_check_adv_addr\n\
            \u{20}  vrrp_garp_interval 0\n   vrrp_gna_interval 0\n}\n\
            vrrp_instance VI_1 {\n    state MASTER\n    nopreempt\n    interface eth0\n\
            \u{20}   virtual_router_id 56\n    priority 160\n    advert_int 1\n\
            \u{20}   virtual_ipaddress {\n        192.0.2.9/24\n    }\n}\n";
        let loaded = parse(text);
        assert_eq!(
            lines(&loaded),
            [
                "(Line 11) vrrp_garp_interval '0' is invalid",
                "(Line 12) vrrp_gna_interval '0' is invalid",
                "(VI_1) Warning - nopreempt will not work with initial state MASTER - clearing",
            ]
        );
        assert!(loaded.is_usable());
        let globals = &loaded.config.globals;
        assert_eq!(
            globals.notification_email,
            ["a@example.com", "b@example.com"]
        );
        let server = globals.smtp_server.as_ref().unwrap();
        assert_eq!(
            (server.host.as_str(), server.port),
            ("mail.example.com", 25)
        );
        let instance = &loaded.config.instances[0];
        assert!(instance.skip_check_adv_addr && !instance.nopreempt);
        assert_eq!(instance.virtual_addresses[0].to_string(), "192.0.2.9/24");
    }
}

/// Lines that begin alike and are all different.
fn numbered(start: &str, count: usize) -> String {
    (0..count)
        .map(|n| format!("{start}{}.{}\n", n / 250, n % 250))
        .collect()
}

#[test]
fn a_large_file_takes_no_longer_than_its_size_asks_for() {
    for text in [
        "foo bar baz\n".repeat(90_000),
        "global_defs {\nrouter_id ${A}\n}\n".repeat(30_000),
        "}{".repeat(500_000),
        format!("virtual_ipaddress {}", "{ x }".repeat(200_000)),
        with("virtual_ipaddress {\n10.0.0.1\n}\n").repeat(8_000),
        format!(
            "$A=x\nglobal_defs {{\n{}}}\n",
            "router_id ${A}\n".repeat(70_000)
        ),
        "# \u{4e2d}\u{6587}\n".repeat(100_000),
        with(&format!("track_script {{\n{}}}", numbered("a", 100_000))),
        with(&format!("unicast_peer {{\n{}}}", numbered("10.1.", 60_000))),
        with(&format!(
            "virtual_ipaddress {{\n{}}}",
            numbered("10.1.", 60_000)
        )),
        with("track_script {\nx\n}\nunicast_peer {\n10.0.0.1\n}\n").repeat(10),
        numbered("include /x/y", 70_000),
        format!(
            "{}{}",
            numbered("$A", 50_000)
                .replace('.', "_")
                .replace('\n', "=x\n"),
            "x ${A}\n".repeat(50_000)
        ),
        format!("{}\n", "${".repeat(30_000)).repeat(16),
        format!("{}\n", "${\u{4e2d}".repeat(13_000)).repeat(16),
        format!("{}\n", "\"$A \u{3000}' \\".repeat(5_000)).repeat(16),
    ] {
        let start = processor_time_ms();
        let _ = parse(&text);
        let took = processor_time_ms() - start;
        assert!(took < 5_000, "{took} ms for {}", text.get(..20).unwrap());
    }
}
