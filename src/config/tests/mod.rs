//! What a whole file means, and what is said about it.

use std::path::{Path, PathBuf};

mod groups;
mod instances;
mod lints;

use super::model::{Config, InitialState, Instance};
use super::*;

mod address_lines;
mod reading;
mod routes;
mod rules;
mod script_checks;
mod tracking;

fn options() -> Options {
    Options {
        config_id: "box".to_string(),
        ..Options::default()
    }
}

fn parse_files(files: &[(&str, &str)]) -> Loaded {
    let files: Vec<(PathBuf, Vec<u8>)> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
    let main = files.first().map(|(path, _)| path.clone()).unwrap();
    load(&files, &main, &options())
}

fn parse(text: &str) -> Loaded {
    parse_files(&[("/etc/keepalived/keepalived.conf", text)])
}

/// The findings above a hint, as C logs them.
fn lines(loaded: &Loaded) -> Vec<String> {
    let loud = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity > Severity::Hint);
    loud.map(|found| found.as_c_line(&loaded.sources)).collect()
}

/// The configuration of a file that is found faultless.
#[track_caller]
fn clean(text: &str) -> Config {
    let loaded = parse(text);
    assert_eq!(lines(&loaded), [""; 0], "in\n{text}");
    assert_eq!(loaded.exit_code(), 0);
    loaded.config
}

/// An instance that nothing can be said about, with more lines in it.
fn with(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\ninterface e0\nvirtual_router_id 5\n{more}\n\
         virtual_ipaddress {{\n192.0.2.1\n}}\n}}\n"
    )
}

/// The instance of a file, with what was said about it.
#[track_caller]
fn instance(more: &str) -> (Instance, Vec<String>) {
    let loaded = parse(&with(more));
    let instance = loaded.config.instances.first().expect("an instance");
    (Instance::clone(instance), lines(&loaded))
}

mod globals;
mod lvs;

mod braces {
    use super::*;

    #[test]
    fn stand_anywhere() {
        let inner = "interface e0\nvirtual_router_id 5\n";
        for text in [
            format!("vrrp_instance VI {{ {inner}virtual_ipaddress {{ 192.0.2.1 }}\n}}"),
            format!("vrrp_instance VI\n{{\n{inner}virtual_ipaddress\n{{\n192.0.2.1\n}}\n}}"),
            format!("vrrp_instance VI{{\n{inner}virtual_ipaddress{{\n192.0.2.1}}}}"),
            format!(
                "vrrp_instance VI {{\r\n{inner}virtual_ipaddress {{\r\n192.0.2.1\r\n}}\r\n}}\r\n"
            ),
            format!(
                "vrrp_instance VI {{ # x }}\n{inner}virtual_ipaddress {{ ! {{\n192.0.2.1\n}}}}"
            ),
        ] {
            let config = clean(&text);
            let [instance] = config.instances.as_slice() else {
                panic!("{text}")
            };
            assert_eq!(instance.vrid.get(), 5, "{text}");
            assert_eq!(
                instance.virtual_addresses[0].to_string(),
                "192.0.2.1",
                "{text}"
            );
        }
    }

    #[test]
    fn do_not_separate_statements_on_one_line() {
        let loaded = parse("vrrp_instance VI { interface e0 virtual_router_id 5 }");
        assert!(lines(&loaded).contains(&"(VI) the virtual router id must be set".to_string()));
        assert!(!loaded.is_usable());
    }

    #[test]
    fn in_double_quotes_are_text() {
        let config = clean("global_defs {\nrouter_id \"a{b}\"\n}");
        assert_eq!(config.globals.router_id.as_deref(), Some("a{b}"));
    }

    #[test]
    fn too_many_or_too_few_are_mended() {
        let loaded = parse(&format!("{}}}\n", with("priority 7")));
        assert_eq!(lines(&loaded), ["(Line 9) Extra '}' found"]);
        assert_eq!((loaded.exit_code(), loaded.config.instances.len()), (5, 1));

        let text = with("priority 7");
        let loaded = parse(text.trim_end().trim_end_matches('}'));
        assert_eq!(lines(&loaded), ["There are 1 missing '}'s or extra '{'s"]);
        assert_eq!((loaded.exit_code(), loaded.config.instances.len()), (5, 1));

        let loaded = parse(
            "vrrp_instance VI\ninterface e0\nvirtual_router_id 5\n\
                            virtual_ipaddress {\n192.0.2.1\n}\n}",
        );
        assert_eq!(
            lines(&loaded),
            ["(Line 1) Missing '{' at beginning of configuration block"]
        );
        assert_eq!(loaded.config.instances.len(), 1);
    }

    #[test]
    fn that_a_list_lacks_do_not_swallow_the_next_block() {
        let (instance, said) = instance(
            "authentication {\nauth_type PASS\nauth_pass a\n}\n\
                                         notify_stop /s\ntrack_script {",
        );
        assert_eq!(instance.virtual_addresses.len(), 1);
        assert_eq!(
            said.first().map(String::as_str),
            Some("(Line 10) There are 1 missing '}'s or extra '{'s")
        );
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn of_an_unknown_word_take_nothing_else_with_them() {
        let (instance, said) = instance("virtul_routes {\n10.0.0.0/8 via 1.2.3.4\n}\npriority 7");
        assert_eq!(said, ["(Line 4) Unknown keyword 'virtul_routes'"]);
        assert_eq!(instance.priority.0, 7);
    }
}

mod definitions {
    use super::*;

    #[test]
    fn are_replaced_when_used() {
        let config = clean(&format!(
            "$IF=e${{N}} # which\n$N=7\n$EMPTY=\n{}",
            "vrrp_instance VI_${N}${EMPTY} {\ninterface $IF\nvirtual_router_id ${N}\n\
             virtual_ipaddress {\n192.0.2.${N} label ${_INSTANCE}\n}\n}"
        ));
        let instance = &config.instances[0];
        assert_eq!(
            (instance.name.as_str(), instance.interface.as_str()),
            ("VI_7", "e7")
        );
        assert_eq!(instance.virtual_addresses[0].label.as_deref(), Some("box"));
    }

    #[test]
    fn may_hold_braces_and_are_known_behind_an_include() {
        let loaded = parse_files(&[
            (
                "/k/main.conf",
                "include sub/*.conf\nglobal_defs $OPEN\nrouter_id ${PATH} }\n\
                 vrrp_instance VI $OPEN\n$END",
            ),
            (
                "/k/sub/a.conf",
                "$OPEN={\n$END=interface e0 }\n$PATH=${_PWD}\n",
            ),
        ]);
        assert_eq!(
            loaded.config.globals.router_id.as_deref(),
            Some("/k"),
            "where it is used"
        );
        assert_eq!(lines(&loaded), ["(VI) the virtual router id must be set"]);
    }

    #[test]
    fn that_are_missing_or_circular_are_named() {
        let loaded = parse("$ROUTER=x\nglobal_defs {\nrouter_id ${ROUTR}\n}");
        assert_eq!(lines(&loaded), ["(Line 3) 'ROUTR' is not defined"]);
        let loaded = parse("$A=${B}\n$B=$A\nglobal_defs {\nrouter_id $A\n}");
        assert_eq!(
            lines(&loaded)[0],
            "(Line 4) definition 'A' refers to itself"
        );
        assert!(!loaded.is_usable());
    }

    #[test]
    fn in_quotes_that_are_missing_stay_for_the_shell() {
        let (instance, said) = instance("notify \"/s.sh ${HOME}\"");
        assert_eq!(instance.notify.any.unwrap().argv, ["/s.sh", "${HOME}"]);
        let security = "SECURITY VIOLATION - scripts are being executed but script_security not \
                        enabled.";
        assert_eq!(said, [security]);
    }
}

mod includes {
    use super::*;

    #[test]
    fn continue_in_the_middle_of_a_block() {
        let loaded = parse_files(&[
            ("/k/main.conf", "vrrp_instance VI {\ninclude rest\n"),
            (
                "/k/rest",
                "interface e0\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.1 }\n}",
            ),
        ]);
        assert_eq!(lines(&loaded), [""; 0]);
        assert_eq!(loaded.config.instances[0].interface, "e0");
    }

    #[test]
    fn name_the_file_in_messages_as_soon_as_there_are_two() {
        let loaded = parse_files(&[("/k/main.conf", "include a\nfoo"), ("/k/a", "\nbar")]);
        assert_eq!(
            lines(&loaded),
            [
                "(/k/a: Line 2) Unknown keyword 'bar'",
                "(/k/main.conf: Line 2) Unknown keyword 'foo'"
            ]
        );
    }

    #[test]
    fn that_fail_matter_only_if_they_are_checked() {
        let missing = |text| {
            let loaded = parse(text);
            (lines(&loaded), loaded.exit_code(), loaded.is_usable())
        };
        let line = |text: &str| vec![text.to_string()];
        let text = "(Line 1) Config files missing 'no'.";
        assert_eq!(missing("include no"), (line(text), 0, true));
        assert_eq!(missing("includea no"), (line(text), 6, false));
        assert_eq!(missing("includem no*"), (vec![], 0, true));
        let text = "(Line 1) No config files matched 'no*'.";
        assert_eq!(missing("includew no*"), (line(text), 6, false));
        let (said, code, _) = missing("global_defs {\ninclude_check\n}\ninclude no");
        assert_eq!((said.len(), code), (1, 6));
    }

    #[test]
    fn cannot_go_round() {
        let loaded = parse_files(&[("/k/a", "include b"), ("/k/b", "include a")]);
        assert_eq!(lines(&loaded), ["(/k/b: Line 1) /k/a includes itself"]);
        assert!(!loaded.is_usable());
    }

    #[test]
    fn are_repeated_by_a_replay() {
        let loaded = parse_files(&[
            ("/k/main.conf", "include conf.d/*\ninclude none\n"),
            (
                "/k/conf.d/a",
                &with("state MASTER\nauthentication {\nauth_type PASS\n}"),
            ),
        ]);
        let replay = source::Sources::from_bytes(&loaded.sources.to_bytes()).unwrap();
        let again = load(&replay, Path::new("/k/main.conf"), &options());
        assert_eq!(again.config, loaded.config);
        assert_eq!(again.config.instances.len(), 1);
        assert_eq!(again.diagnostics, loaded.diagnostics);
    }
}

mod characters {
    use super::*;

    #[test]
    fn foreign_blanks_are_blanks_with_one_hint() {
        let text = with("state BACKUP\u{3000}\u{3000}\npriority\u{a0}7\u{3000}# 优先级");
        let loaded = parse(&format!("\u{feff}{text}"));
        assert_eq!(lines(&loaded), [""; 0]);
        let hints: Vec<_> = loaded
            .diagnostics
            .iter()
            .map(|d| d.as_c_line(&loaded.sources))
            .collect();
        assert_eq!(hints, ["(Line 1) U+FEFF is taken for a blank here"]);
        assert_eq!(loaded.config.instances[0].priority.0, 7);
    }

    #[test]
    fn of_other_encodings_are_fine_in_comments_only() {
        let main = PathBuf::from("/k");
        let file = |text: &[u8]| vec![(main.clone(), text.to_vec())];
        let comment = file(b"global_defs { # \xd6\xd0\xce\xc4\nrouter_id a\n}");
        let loaded = load(&comment, &main, &options());
        assert_eq!((lines(&loaded).len(), loaded.exit_code()), (0, 0));
        let value = file(b"global_defs {\nrouter_id \xd6\xd0\n}");
        let loaded = load(&value, &main, &options());
        assert_eq!(lines(&loaded), ["(Line 2) the text is not valid UTF-8"]);
    }

    #[test]
    fn that_no_line_may_have() {
        let loaded = parse("global_defs {\nrouter_id a\0b\n}");
        assert_eq!(
            lines(&loaded),
            ["(Line 2) configuration appears to have embedded NULs - ignoring line"]
        );
        let loaded = parse(&format!("# {}\nfoo", "x".repeat(70_000)));
        assert_eq!(
            lines(&loaded),
            [
                "(Line 1) line too long - ignoring",
                "(Line 2) Unknown keyword 'foo'"
            ]
        );
        let loaded = parse("global_defs {\nrouter_id \"a b\n}");
        assert_eq!(
            lines(&loaded),
            ["(Line 2) Unterminated quote 'router_id \"a b'"]
        );
    }
}

mod not_yet {
    use super::*;

    #[test]
    fn what_would_change_the_cluster_is_refused_with_its_place() {
        for (text, said) in [
            (with("use_vmac"), "(Line 4) 'use_vmac' does not work yet"),
            (with("version 3"), "(Line 4) 'version 3' does not work yet"),
            (
                with("native_ipv6"),
                "(Line 4) 'native_ipv6' does not work yet",
            ),
            (
                with("track_interface {\neth1 weight 5\n}"),
                "(Line 4) 'track_interface' does not work yet",
            ),
            (
                with("preempt_delay 5"),
                "(Line 4) 'preempt_delay 5' does not work yet",
            ),
            (
                with("authentication {\nauth_type AH\nauth_pass x\n}"),
                "(Line 5) 'auth_type AH' does not work yet",
            ),
            (
                with("unicast_peer {\n10.0.0.1 min_ttl 3\n}"),
                "(Line 5) (VI) 'min_ttl' does not work yet",
            ),
            (
                with("virtual_ipaddress {\n2001:db8::1\n}"),
                "(Line 5) (VI) IPv6 does not work yet",
            ),
            (
                with("virtual_ipaddress {\n10.0.0.1 use_vmac\n}"),
                "(Line 5) 'use_vmac' does not work yet",
            ),
            (
                format!("global_defs {{\nvrrp_strict\n}}\n{}", with("")),
                "(Line 2) 'vrrp_strict' does not work yet",
            ),
            (
                format!("net_namespace x\n{}", with("")),
                "(Line 1) 'net_namespace x' does not work yet",
            ),
            (
                format!(
                    "vrrp_track_process p {{\nprocess p\n}}\nvrrp_sync_group G {{\n\
                     group {{\nVI\n}}\ntrack_process {{\np\n}}\n}}\n{}",
                    with("")
                ),
                "(Line 8) 'track_process' does not work yet",
            ),
            (
                format!(
                    "virtual_server 10.0.0.1 80 {{\nreal_server 1.2.3.4 80 {{\n}}\n}}\n{}",
                    with("")
                ),
                "(Line 1) 'virtual_server' does not work yet",
            ),
        ] {
            let loaded = parse(&text);
            assert!(
                lines(&loaded).contains(&said.to_string()),
                "{text}{:?}",
                lines(&loaded)
            );
            assert!(!loaded.is_usable(), "{text}");
        }
    }

    #[test]
    fn what_asks_for_what_is_done_anyway_is_accepted() {
        clean(&format!(
            "global_defs {{\nvrrp_version 2\nvrrp_strict no\nvrrp_down_timer_adverts 3\n\
             dynamic_interfaces\nvrrp_gna_interval 0.5\n}}\n{}",
            with("version 2\ndown_timer_adverts 3\nstrict_mode off\npreempt_delay 0\naccept")
        ));
    }

    #[test]
    fn what_is_harmless_is_accepted_with_a_hint() {
        let loaded = parse(&format!(
            "global_defs {{\nenable_snmp_vrrp\n}}\n{}",
            with("debug 2")
        ));
        assert_eq!((lines(&loaded).len(), loaded.exit_code()), (0, 0));
        let all: Vec<_> = loaded
            .diagnostics
            .iter()
            .map(|d| d.as_c_line(&loaded.sources))
            .collect();
        assert_eq!(
            all,
            [
                "(Line 2) 'enable_snmp_vrrp' has no effect yet",
                "(Line 7) 'debug' has no effect yet"
            ]
        );
    }
}

mod interplay {
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
        let (instance, said) =
            super::instance("authentication {\nauth_type PASS\nauth_pass 1111\n}");
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
}

mod scripts {
    use super::*;

    const SECURE: &str = "global_defs {\nenable_script_security\n}\n";

    #[test]
    fn are_tracked_by_name_with_weights() {
        let loaded = parse(&format!(
            "{SECURE}vrrp_script a {{\nscript \"/a 'b c'\" x\ninterval 2\nweight 5\nfall 3\n}}\n\
             vrrp_script unused {{\nscript /u\n}}\n\
             vrrp_script b {{\nscript /b\nweight -7 reverse\ntimeout 0.5\nrise 2\nuser u g\n}}\n{}",
            with("track_script {\nb weight 254 noreverse\na\na\nnone\nunused foo\n}")
        ));
        let instance = &loaded.config.instances[0];
        let tracked: Vec<_> = instance
            .track_scripts
            .iter()
            .map(|t| (t.script.name.as_str(), t.weight, t.reverse))
            .collect();
        assert_eq!(tracked, [("b", 253, false), ("a", 5, false)]);
        let [a, b] = loaded.config.scripts.as_slice() else {
            panic!("{:?}", loaded.config)
        };
        assert_eq!(a.command.argv, ["/a", "b c"]);
        assert_eq!(
            (a.interval.as_secs(), a.timeout, a.rise, a.fall),
            (2, a.interval, 1, 3)
        );
        assert_eq!((b.timeout.as_us(), b.rise), (500_000, 2));
        assert_eq!(b.command.user.as_ref().unwrap().group.as_deref(), Some("g"));
        assert_eq!(
            lines(&loaded),
            [
                "(Line 5) 'x' is ignored",
                "(Line 24) (VI) weight for b cannot be +/-254. Setting to +/-253",
                "(Line 26) (VI) duplicate track_script a - ignoring",
                "(Line 28) (VI) unknown track script option foo - ignoring",
                "(Line 27) (VI) track script none not found, ignoring...",
                "Warning - script unused is not used",
            ]
        );
    }

    #[test]
    fn must_stand_before_who_tracks_them() {
        let loaded = parse(&format!(
            "{SECURE}{}vrrp_script a {{\nscript /a\n}}\n",
            with("track_script {\na\n}")
        ));
        assert_eq!(
            lines(&loaded)[0],
            "(Line 8) (VI) track script a not found, ignoring..."
        );
        assert!(loaded.config.instances[0].track_scripts.is_empty());
    }

    #[test]
    fn with_weights_do_not_move_the_address_owner() {
        let loaded = parse(&format!(
            "{SECURE}vrrp_script a {{\nscript /a\nweight 5\n}}\n{}",
            with("priority 255\ntrack_script {\na\n}")
        ));
        let text = "(VI) ignoring tracked script a with weights due to address_owner";
        assert_eq!(lines(&loaded), [text]);
    }

    #[test]
    fn without_security_are_only_a_warning_to_a_daemon() {
        let loaded = parse(&with(
            "notify_master \"/m.sh a\" bob\nnotify_master /second",
        ));
        let notify = loaded.config.instances[0].notify.master.as_ref().unwrap();
        assert_eq!(notify.argv, ["/m.sh", "a"]);
        assert_eq!(
            lines(&loaded),
            [
                "(Line 5) (VI) notify_master script already specified - ignoring /second",
                "SECURITY VIOLATION - scripts are being executed but script_security not enabled."
            ]
        );
        assert_eq!((loaded.exit_code(), loaded.is_usable()), (6, true));
    }
}

mod addresses {
    use super::*;

    fn addresses(lines: &str) -> (Vec<model::VirtualAddress>, Vec<String>) {
        let (instance, said) = instance(&format!("virtual_ipaddress {{\n{lines}\n}}"));
        let mut addresses = instance.virtual_addresses;
        addresses.pop();
        (addresses, said)
    }

    #[test]
    fn have_options_in_any_order() {
        let (found, said) = addresses(
            "10.0.0.1/24 brd + dev e1 label e1:vip scope link no_track noprefixroute\n\
             10.0.0.2/16 broadcast -\n10.0.0.3 peer 10.0.0.4\n10.0.0.5/8 brd 10.9.9.9",
        );
        assert_eq!(said, [""; 0]);
        let [first, second, third, fourth] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (first.to_string().as_str(), first.interface.as_str()),
            ("10.0.0.1/24", "e1")
        );
        assert_eq!(first.broadcast.unwrap().to_string(), "10.0.0.255");
        assert_eq!((first.label.as_deref(), first.scope), (Some("e1:vip"), 253));
        assert!(first.no_track && first.no_prefix_route);
        assert_eq!(second.broadcast.unwrap().to_string(), "10.0.0.0");
        assert_eq!(second.interface, "e0");
        assert_eq!(
            (
                third.peer.unwrap().to_string().as_str(),
                third.prefix_length
            ),
            ("10.0.0.4", 32)
        );
        assert_eq!(fourth.broadcast.unwrap().to_string(), "10.9.9.9");
    }

    #[test]
    fn that_are_wrong_are_told_as_c_tells_them() {
        let (found, said) = addresses(
            "10.0.0.1/33\n10.0.0.1\n10.0.0.2 label\n10.0.0.3 foo\n10.0.0.4 scope bar\n\
             10.0.0.300\n10.0.0.5 label aaaaaaaaaaaaaaaaaaaaaaaaa\n10.0.0.6/31 brd +\n\
             10.0.0.7/24 peer 10.0.0.9",
        );
        assert_eq!(
            said,
            [
                "(Line 5) Invalid address prefix len 33 for address 10.0.0.1/33 - using 32",
                "(Line 7) No label parameter specified for 10.0.0.2",
                "(Line 8) Unknown configuration entry 'foo' for ip address - ignoring",
                "(Line 9) Invalid scope 'bar' specified for 10.0.0.4 - ignoring",
                "(Line 10) VRRP parsed invalid IP 10.0.0.300. skipping IP...",
                "(Line 11) Address label aaaaaaaaaaaaaaaaaaaaaaaaa is longer than maximum length \
                 15 - removing address",
                "(Line 12) Address prefix length 31 too long for broadcast",
                "(Line 13) Cannot specify address prefix when specifying peer address - ignoring",
                "(Line 6) (VI): VIP duplicates a VIP 10.0.0.1 - ignoring",
            ]
        );
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn none_at_all_is_only_a_warning() {
        let loaded = parse("vrrp_instance VI {\ninterface e0\nvirtual_router_id 5\n}");
        assert_eq!(
            lines(&loaded),
            ["(VI) No VIP specified; at least one is sensible"]
        );
        assert_eq!((loaded.exit_code(), loaded.is_usable()), (5, true));
        clean("vrrp_instance VI {\ninterface e0\nvirtual_router_id 5\nno_virtual_ipaddress\n}");
    }
}

mod exit_codes {
    use super::*;

    #[test]
    fn follow_c() {
        let code = |text: &str| parse(text).exit_code();
        assert_eq!(code(""), 0);
        assert_eq!(code("foo"), 5);
        assert_eq!(code("vrrp_instance {\n}"), 5);
        // The daemon does not start with it, but the file itself is right.
        assert_eq!(code(&with("use_vmac")), 0);
        assert_eq!(code(&with("use_vmac\nfoo")), 5);
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
        let loaded = parse(&format!("{}{}", "foo\n".repeat(5_000), with("use_vmac")));
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

#[test]
fn every_row_has_a_name_of_its_own_in_its_block() {
    let mut seen = std::collections::HashSet::new();
    for row in keywords::rows() {
        assert!(
            seen.insert((row.block, row.name)),
            "{} {}",
            row.block,
            row.name
        );
        assert!(!row.doc.is_empty(), "{}", row.name);
    }
    assert!(seen.len() > 200);
}

/// What this thread has used of a processor; others do not disturb it.
fn processor_time_ms() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writing for the time of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
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
