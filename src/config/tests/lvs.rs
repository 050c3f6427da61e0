//! What is said about the balancer's blocks; the texts are those of C 2.2.7.

use super::*;

/// A virtual server that nothing can be said about, with more lines in it.
fn virtual_server(more: &str) -> String {
    format!(
        "virtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{more}\n\
         real_server 10.0.0.2 80 {{\n}}\n}}\n"
    )
}

/// A real server with more lines in it.
fn real_server(more: &str) -> String {
    virtual_server(&format!("real_server 10.0.0.3 80 {{\n{more}\n}}"))
}

/// With it nothing is said about scripts.
const SECURE: &str = "global_defs {\nenable_script_security\n}\n";

/// Reads as a daemon with `-P -B` does.
fn left_out(text: &str) -> Loaded {
    let files = vec![(PathBuf::from("/k"), text.as_bytes().to_vec())];
    let options = Options {
        without_checkers: true,
        without_bfd: true,
        ..options()
    };
    load(&files, Path::new("/k"), &options)
}

/// What is said besides the refusal; all of it stops no daemon.
#[track_caller]
fn said(text: &str) -> Vec<String> {
    let loaded = left_out(text);
    assert!(loaded.is_usable(), "{text}");
    lines(&loaded)
}

/// The one thing that is said, without its place.
#[track_caller]
fn only(text: &str) -> String {
    let said = said(text);
    let [line] = said.as_slice() else {
        panic!("{said:?} of\n{text}");
    };
    match line.split_once(") ") {
        Some((place, rest)) if place.starts_with("(Line ") => rest.to_string(),
        _ => line.clone(),
    }
}

#[test]
fn a_file_with_them_is_refused_with_the_exit_code_of_c() {
    for text in [
        virtual_server(""),
        "virtual_server_group g {\n10.0.0.1 80\n}\n".to_string(),
        "SSL {\nca x\n}\n".to_string(),
        "bfd_instance b {\nneighbor_ip 10.0.0.1\n}\n".to_string(),
    ] {
        let loaded = parse(&text);
        assert!(!loaded.is_usable(), "{text}");
        assert_eq!(loaded.exit_code(), 0, "{text}");
        let word = text.split_whitespace().next().unwrap();
        let refusal = format!("(Line 1) '{word}' does not work yet");
        assert_eq!(lines(&loaded), [refusal]);
        assert!(said(&text).is_empty(), "{text}");
    }
    let wrong = virtual_server("foo");
    assert_eq!(parse(&wrong).exit_code(), 5);
}

#[test]
fn left_out_they_are_still_read_but_stop_nothing() {
    let text = format!(
        "{}bfd_instance {{\n}}\n{}",
        virtual_server("foo {\n}"),
        with("")
    );
    let loaded = left_out(&text);
    assert!(loaded.is_usable());
    assert_eq!(loaded.exit_code(), 5);
    assert_eq!(loaded.config.instances.len(), 1);
    assert!(
        loaded
            .diagnostics
            .iter()
            .all(|found| found.severity <= Severity::Warning)
    );
    let loaded = left_out(&real_server("TCP_CHECK {\nconnect_port\n}"));
    assert!(loaded.is_usable());
    assert_eq!(loaded.exit_code(), 2);
    // What follows counts in full.
    let refused = "global_defs {\nlvs_sync_daemon e0\n}\n";
    assert!(!left_out(&format!("{}{refused}", virtual_server(""))).is_usable());
    assert!(!left_out(&format!("{}{refused}", virtual_server("foo"))).is_usable());
}

#[test]
fn values_of_a_virtual_server() {
    for (line, text) in [
        (
            "delay_loop 0",
            "virtual server delay loop '0' invalid - ignoring",
        ),
        ("delay_loop 5x", "invalid number '5x'"),
        (
            "connect_timeout x",
            "virtual server connect_timeout x invalid - ignoring",
        ),
        ("retry 0", "retry value invalid - 0"),
        ("retry 3x", "retry value invalid - 3x"),
        ("warmup -1", "virtual server warmup '-1' invalid - ignoring"),
        ("ip_family inet7", "unknown address family inet7"),
        (
            "ip_family inet6",
            "Virtual server specified family inet6 conflicts with server family",
        ),
        (
            "lvs_sched conhash",
            "Invalid lvs_scheduler 'conhash' - ignoring",
        ),
        ("hashed", "hashed only applies to sh scheduler - ignoring"),
        ("sh-port", "sh-port only applies to sh scheduler - ignoring"),
        (
            "lb_kind FNAT",
            "PARSER : unknown [FNAT] routing method for virtual server.",
        ),
        (
            "lb_kind NAT foo",
            "Invalid tunnel option foo for virtual server.",
        ),
        (
            "lvs_method TUN type",
            "Missing tunnel type for virtual server.",
        ),
        (
            "lb_kind TUN type x",
            "Unknown tunnel type x for virtual server.",
        ),
        (
            "lb_kind TUN type gue",
            "gue tunnels require port, otherwise cannot have port.",
        ),
        (
            "lb_kind TUN type gue port",
            "Missing port for virtual server gue tunnel.",
        ),
        (
            "lb_kind TUN type gue port 0",
            "Invalid gue tunnel port 0 for virtual server.",
        ),
        (
            "lb_kind TUN type ipip csum",
            "ipip tunnels do not support checksum option.",
        ),
        (
            "lb_kind TUN type gre remcsum",
            "gre tunnels do not support remote checksum option.",
        ),
        ("persistence_timeout 0", "persistence_timeout invalid"),
        (
            "persistence_granularity 64",
            "Invalid IPv4 persistence_granularity specified - 64",
        ),
        ("protocol foo", "Unknown protocol foo - ignoring"),
        (
            "smtp_alert foo",
            "Invalid virtual_server smtp_alert parameter foo",
        ),
        ("virtualhost", "virtual server virtualhost missing"),
        (
            "snmp_name a b",
            "virtual server snmp_name missing or extra parameters",
        ),
        (
            "quorum 0",
            "Quorum 0 must be in [1, 4294967295]. Setting to 1.",
        ),
        (
            "hysteresis -1",
            "Hysteresis -1 must be in [0, 4294967295] - ignoring",
        ),
        (
            "weight 0",
            "Virtual server weight 0 is outside range 1-2147483647",
        ),
        (
            "sorry_server x 80",
            "Invalid sorry server IP address x - skipping",
        ),
        (
            "sorry_server_inhibit",
            "Ignoring sorry_server inhibit used before or without sorry_server",
        ),
        (
            "real_server x 80 {\nfoo\n}",
            "Invalid real server ip address/port x/80 - skipping",
        ),
        (
            "lb_algo",
            "*** Configuration line starting `lb_algo` is missing a parameter after keyword `lb_algo` at word position 2",
        ),
    ] {
        assert_eq!(only(&virtual_server(line)), text, "{line}");
    }
    for fine in [
        "lb_algo sh\nsh-port\nmh-port\nhashed",
        "lb_kind TUN type gue port 5 remcsum",
        "persistence_timeout",
        "persistence_granularity 255.255.255.0",
        "protocol udp\nops",
        "sorry_server 10.0.0.9 0\nsorry_server_lvs_method NAT\nsorry_server_inhibit",
        "alpha\nomega\ninhibit_on_failure\nflag-1\nha_suspend\nvirtualhost a",
    ] {
        assert_eq!(said(&virtual_server(fine)), [""; 0], "{fine}");
    }
}

#[test]
fn values_of_a_real_server_and_its_checkers() {
    for (block, text) in [
        (
            "weight -1",
            "Real server weight -1 is outside range 0-2147483647",
        ),
        (
            "lvs_method dr",
            "PARSER : unknown [dr] routing method for real server.",
        ),
        (
            "lthreshold x",
            "Invalid real_server lthreshold 'x' - ignoring",
        ),
        ("alpha foo", "Invalid alpha parameter foo"),
        (
            "delay_loop x",
            "real server delay_loop 'x' invalid - ignoring",
        ),
        (
            "TCP_CHECK {\nconnect_port 80x\n}",
            "Invalid checker connect_port '80x'",
        ),
        (
            "TCP_CHECK {\nconnect_ip x\n}",
            "Invalid connect_ip address x - ignoring",
        ),
        (
            "TCP_CHECK {\nbindto ::1\n}",
            "bindto address ::1 does not match address family of connect_ip - skipping",
        ),
        (
            "SMTP_CHECK {\nconnect_ip fe80::1\n}",
            "Checker link local address fe80::1 requires a bind_if",
        ),
        (
            "PING_CHECK {\nbind_if abcdefghijklmnop\n}",
            "Interface name abcdefghijklmnop is too long - ignoring",
        ),
        (
            "DNS_CHECK {\nretry x\n}",
            "Invalid retry connection value 'x'",
        ),
        (
            "DNS_CHECK {\ntype x\n}",
            "Unknown DNS check type x - ignoring",
        ),
        (
            "DNS_CHECK {\nname aa..org\n}",
            "DNS_CHECK name 'aa..org' has empty label - ignoring",
        ),
        (
            "HTTP_GET {\n}",
            "HTTP/SSL_GET checker has no urls specified - ignoring",
        ),
        (
            "HTTP_GET {\nurl {\npath /\n}\nnb_get_retry 3\n}",
            "nb_get_retry is deprecated - please use 'retry'",
        ),
        (
            "SSL_GET {\nurl {\npath /\n}\nhttp_protocol 2\n}",
            "Invalid http_protocol version 2",
        ),
        (
            "HTTP_GET {\nurl {\npath /\ndigest 12\n}\n}",
            "digest '12' character length should be 32 rather than 2",
        ),
        (
            "HTTP_GET {\nurl {\npath /\nstatus_code 200 2xx\n}\n}",
            "Invalid HTTP_GET status code '2xx'",
        ),
        (
            "HTTP_GET {\nurl {\npath /\nstatus_code 300-200\n}\n}",
            "Invalid HTTP_GET status code '300-200'",
        ),
        (
            "HTTP_GET {\nurl {\npath /\n}\nurl {\n}\n}",
            "HTTP/SSL_GET checker url has no path - ignoring",
        ),
        (
            "MISC_CHECK {\n}",
            "No script path has been specified for MISC_CHECKER - skipping",
        ),
        (
            "MISC_CHECK {\nmisc_path /x\nmisc_timeout 5.5\n}",
            "Invalid misc_timeout value '5.5'",
        ),
        (
            "MISC_CHECK {\nmisc_path /x\nconnect_port 5\n}",
            "Unknown keyword 'connect_port'",
        ),
        (
            "UDP_CHECK {\npayload xyz\n}",
            "Invalid hex string for UDP_CHECK payload",
        ),
        (
            "UDP_CHECK {\nmin_reply_length 300\n}",
            "UDP_CHECK min_reply length 300 > max_reply_length 255 - will always fail",
        ),
        (
            "FILE_CHECK {\n}",
            "FILE_CHECK has no track_file specified - ignoring",
        ),
        (
            "BFD_CHECK {\nname b\n}",
            "([10.0.0.3]:tcp:80) BFD_CHECK - BFD b not configured",
        ),
        (
            "TCP_CHECK {\nnb_get_retry 3\n}",
            "Unknown keyword 'nb_get_retry'",
        ),
        (
            "HTTP_GET {\npath /\nurl {\npath /\n}\n}",
            "Unknown keyword 'path'",
        ),
    ] {
        assert_eq!(
            only(&format!("{}{SECURE}", real_server(block))),
            text,
            "{block}"
        );
    }
    for fine in [
        "TCP_CHECK {\nconnect_ip ::1\nbindto ::2\nfwmark 0\nretry 0\nwarmup 0\n}",
        "SSL_GET {\ntls_compliant\nsni_name a\nurl {\npath /\ntls_compliant\nregex \"(a b\"\nstatus_code 200-299 404\n}\n}",
        "SMTP_CHECK {\nhost {\nconnect_ip 10.0.0.9\n}\nhelo_name x\n}",
        "DNS_CHECK {\nname a.root-servers.net\ntype mx\n}",
        "UDP_CHECK {\npayload 01 02\nrequire_reply 0X\n}",
        "MISC_CHECK {\nmisc_path \"/bin/x a\"\nuser bob staff\nmisc_dynamic\n}",
    ] {
        assert_eq!(
            said(&format!("{}{SECURE}", real_server(fine))),
            [""; 0],
            "{fine}"
        );
    }
}

#[test]
fn scripts_may_be_given_once() {
    let text = real_server("notify_up /a\nnotify_up /b\nnotify_down /c");
    assert_eq!(
        only(&format!("{text}{SECURE}")),
        "([10.0.0.3]:tcp:80) notify_up script already specified - ignoring /b"
    );
}

#[test]
fn scripts_of_checkers_count_as_scripts() {
    for script in [
        "notify_up /a",
        "notify_down \"/a b\"",
        "MISC_CHECK {\nmisc_path /a\n}",
    ] {
        let text = real_server(script);
        assert_eq!(
            only(&text),
            "SECURITY VIOLATION - check scripts are being executed but script_security not \
             enabled."
        );
        assert_eq!(parse(&text).exit_code(), 6, "{script}");
    }
    assert_eq!(parse(&virtual_server("quorum_up /a")).exit_code(), 6);
}

#[test]
fn what_does_not_fit_is_told_after_reading() {
    let server = |head: &str, real: &str| {
        said(&format!(
            "virtual_server {head}\nreal_server 10.0.0.2 {real} {{\n}}\n}}\n"
        ))
    };
    assert_eq!(
        server("10.0.0.1 80 {", "80"),
        [
            "Virtual server [10.0.0.1]:none:80: no protocol set - defaulting to UDP",
            "Virtual server [10.0.0.1]:udp:80: no scheduler set, setting default 'wlc'",
            "Virtual server [10.0.0.1]:udp:80: no forwarding method set, setting default NAT",
        ]
    );
    let rest = "lb_algo rr\nlb_kind DR\nprotocol TCP";
    assert_eq!(
        server(
            &format!("10.0.0.1 80 {{\n{rest}\nops\nquorum 5\nhysteresis 7"),
            "81"
        ),
        [
            "Virtual server [10.0.0.1]:tcp:80: one packet scheduling requires UDP - resetting",
            "Warning - quorum 5 for [10.0.0.1]:tcp:80 exceeds total weight of real servers 1, reducing quorum to 1",
            "Virtual server [10.0.0.1]:tcp:80: hysteresis 7 >= quorum 1; setting hysteresis to 0",
            "WARNING - virtual server [10.0.0.1]:tcp:80 and real server [10.0.0.2]:tcp:81 ports don't match - resetting",
        ]
    );
    assert_eq!(
        server(&format!("fwmark 5 {{\n{rest}\nha_suspend"), "80"),
        [
            "Warning: Virtual server FWM 5: protocol specified for fwmark - protocol will be ignored",
            "Virtual server FWM 5: cannot use ha_suspend with fwmarks - clearing ha_suspend",
            "WARNING - fwmark virtual server FWM 5, real server [10.0.0.2]:none:80 has port specified - clearing",
        ]
    );
    assert_eq!(
        server(&format!("10.0.0.1 {{\n{rest}"), ""),
        ["Virtual server [10.0.0.1]:tcp:0: zero port only valid for persistent services - setting"]
    );
    assert_eq!(
        only("virtual_server 10.0.0.1 83 {\nprotocol TCP\n}"),
        "Virtual server [10.0.0.1]:tcp:83 has no real servers - ignoring"
    );
    assert_eq!(
        only(&virtual_server("real_server 10.0.0.2 80 {\n}")),
        "VS [10.0.0.1]:tcp:80: real server [10.0.0.2]:tcp:80 is duplicated - removing second rs"
    );
    assert_eq!(
        only(&virtual_server("real_server ::1 80 {\n}")),
        "Address family of virtual server and real server ::1 don't match - skipping real server."
    );
    assert_eq!(
        said(&virtual_server("lb_kind TUN\nreal_server ::1 80 {\n}")),
        [""; 0]
    );
}

#[test]
fn entries_of_a_group() {
    let group = |entry: &str| format!("virtual_server_group g {{\n192.0.2.9 80\n{entry}\n}}\n");
    for (entry, text) in [
        (
            "weight 1",
            "Invalid virtual server group IP address weight /port/1 - skipping",
        ),
        (
            "HTTP_GET",
            "Invalid virtual server group IP address HTTP_GET  - skipping",
        ),
        (
            "10.0.0.1 70000",
            "Invalid virtual server group IP address 10.0.0.1 /port/70000 - skipping",
        ),
        (
            "10.0.0.5-5",
            "Address range end is not greater than address range start - 10.0.0.5-5 - skipping",
        ),
        (
            "10.0.0.9-10.0.0.1",
            "Address range end is less than address range start - 10.0.0.9-10.0.0.1 - skipping",
        ),
        (
            "10.0.0.1-300 80",
            "Virtual server group range '10.0.0.1-300' end '300' too large",
        ),
        (
            "10.0.0.1/24",
            "Address mask bits not empty - 10.0.0.1/24 - skipping",
        ),
        ("10.0.0.0/33", "Invalid netmask - 10.0.0.0/33 - skipping"),
        (
            "fwmark x",
            "(g): fwmark 'x' must be in [0, 4294967295] - ignoring",
        ),
        (
            "fwmark 5 inet7",
            "(g): fwmark '5' family inet7 unknown - ignoring",
        ),
        (
            "::1\nfwmark 5",
            "virtual server group g cannot have IPv4, IPv6 and fwmark without family - removing",
        ),
    ] {
        assert_eq!(only(&group(entry)), text, "{entry}");
    }
    for fine in [
        "10.0.0.1-5 80",
        "10.0.0.1-10.0.1.5",
        "10.0.0.0/24",
        "2001:db8::1-ff 80",
        "2001:db8::/64",
        "fwmark 5 inet6",
        "0.0.0.0-255.255.255.255",
    ] {
        assert_eq!(said(&group(fine)), [""; 0], "{fine}");
    }
    assert_eq!(
        only("virtual_server_group g {\n}\n"),
        "virtual server group g has no entries - removing"
    );
    let user = "virtual_server group g {\nlb_algo rr\nlb_kind DR\nprotocol TCP\n\
                real_server 10.0.0.2 81 {\n}\n}\n";
    assert_eq!(
        only(&format!("{user}{}", group("10.0.0.1-5 81"))),
        "virtual server [g]:0:[192.0.2.9,80] and real server [10.0.0.2]:tcp:81 ports don't match"
    );
    // Of a group that nobody defined C says nothing and exits with 0.
    assert_eq!(said(user), [""; 0]);
}

#[test]
fn first_words_that_are_no_service() {
    for (head, text) in [
        (
            "x 80",
            "Invalid virtual server IP address/port x/80 - skipping",
        ),
        ("x", "Invalid virtual server IP address x - skipping"),
        (
            "10.0.0.1 x",
            "Invalid virtual server IP address/port 10.0.0.1/x - skipping",
        ),
        (
            "fwmark x",
            "virtual server fwmark 'x' must be in [0, 4294967295] - ignoring",
        ),
    ] {
        // What is inside is not looked at.
        let text_of = format!("virtual_server {head} {{\nfoo\n}}\n");
        assert_eq!(only(&text_of), text);
    }
}

#[test]
fn the_ssl_block() {
    assert_eq!(only("SSL {\nkey\n}\n"), "SSL keyfile missing");
    assert_eq!(only("SSL {\nfoo x\n}\n"), "Unknown keyword 'foo'");
    assert_eq!(
        only("SSL {\nca x\n}\nSSL {\nca y\n}\n"),
        "SSL context already specified - replacing"
    );
}

#[test]
fn bfd_sessions() {
    let session = |more: &str| format!("bfd_instance b {{\nneighbor_ip 10.0.0.1\n{more}\n}}\n");
    let of = "Configuration error: BFD instance b";
    for (line, text) in [
        ("source_ip x", "has malformed source address x, ignoring"),
        (
            "min_rx 0",
            "min_rx value 0 is not valid (must be in range [1-4294967]), ignoring",
        ),
        (
            "idle_tx 5",
            "idle_tx value 5 is not valid (must be in range [1000-4294967]), ignoring",
        ),
        (
            "multiplier 256",
            "multiplier value 256 not valid (must be in range [1-255]), ignoring",
        ),
        (
            "hoplimit 0",
            "ttl/hoplimit value 0 not valid (must be in range [1-255]), ignoring",
        ),
        (
            "max_hops -2",
            "max_hops value -2 not valid (must be in range [-1-255]), ignoring",
        ),
        (
            "weight 5x",
            "weight value 5x not valid (must be in range [-253-253]), ignoring",
        ),
        ("weight 5 foo", "unknown weight option foo"),
        (
            "neighbour_ip x",
            "has malformed neighbor address x, ignoring instance",
        ),
        (
            "source_ip ::1",
            "source address ::1 and neighbor address 10.0.0.1 are not of the same family, disabling instance",
        ),
    ] {
        assert_eq!(only(&session(line)), format!("{of} {text}"), "{line}");
    }
    assert_eq!(
        only(&session("ttl 10\nmax_hops 20")),
        "BFD instance b: max_hops exceeds ttl/hoplimit - setting to ttl/hoplimit"
    );
    assert_eq!(
        only("bfd_instance b {\nmin_rx 1\n}\n"),
        format!("{of} has no neighbor address set, disabling instance")
    );
    assert_eq!(
        only(&session("").repeat(2)),
        format!("{of} already configured - ignoring")
    );
    let other = session("").replace(" b ", " c ");
    assert_eq!(
        only(&format!("{other}{}", session(""))),
        format!("{of} has duplicate neighbor address 10.0.0.1, ignoring instance")
    );
    assert_eq!(
        said(&session("multihop\npassive\nvrrp\nchecker\nmin_tx 5.125")),
        [""; 0]
    );
}

#[test]
fn checkers_find_what_stands_above() {
    let checks = real_server("FILE_CHECK {\ntrack_file f\n}\nBFD_CHECK {\nname b\n}");
    let above = "bfd_instance b {\nneighbor_ip 10.0.0.1\n}\ntrack_file f {\nfile /x\n}\n";
    assert_eq!(said(&format!("{above}{checks}")), [""; 0]);
    assert_eq!(
        said(&format!("{checks}{above}")),
        [
            "(Line 7) track_file f not found",
            "(Line 8) FILE_CHECK has no track_file specified - ignoring",
            "(Line 10) ([10.0.0.3]:tcp:80) BFD_CHECK - BFD b not configured",
        ]
    );
}

#[test]
fn hints_name_the_block_where_a_word_belongs() {
    let help = |text: &str| {
        let loaded = left_out(text);
        loaded.diagnostics.first().unwrap().help.join(" ")
    };
    for (text, expected) in [
        (
            with("real_server"),
            "`real_server` belongs into `virtual_server`.",
        ),
        (
            real_server("HTTP_GET {\nurl {\npath /\n}\nregex x\n}"),
            "`regex` belongs into `url` of `HTTP_GET` or into `url` of `SSL_GET`.",
        ),
        (
            with("connect_port 5"),
            "`connect_port` belongs into a checker of a `real_server`.",
        ),
        (
            with("delay_loop 5"),
            "`delay_loop` belongs into `virtual_server` or a block in it.",
        ),
        (
            virtual_server("TCP_CHECK {\n}"),
            "`TCP_CHECK` belongs into `real_server`. The whole block behind it is ignored.",
        ),
        (
            real_server("TPC_CHECK {\n}"),
            "Did you mean `TCP_CHECK`? The whole block behind it is ignored.",
        ),
    ] {
        assert_eq!(help(&text), expected);
    }
}

#[test]
fn a_block_without_an_end_is_closed_where_it_opens() {
    let said = said("bfd_instance b {\nmin_rx 1\n");
    assert_eq!(said.len(), 2);
    assert!(
        said.iter().any(|line| line.starts_with("(Line 1) ")),
        "{said:?}"
    );
}

#[test]
fn many_blocks_take_no_longer_than_their_size_asks_for() {
    let servers: String = (0..20_000)
        .map(|n| format!("real_server 10.1.{}.{} 81 {{\n}}\n", n / 250, n % 250))
        .collect();
    let entries: String = (0..20_000)
        .map(|n| format!("10.2.{}.{} 81\n", n / 250, n % 250))
        .collect();
    let sessions: String = (0..20_000)
        .map(|n| {
            format!(
                "bfd_instance b{n} {{\nneighbor_ip 10.3.{}.{}\n}}\n",
                n / 250,
                n % 250
            )
        })
        .collect();
    let text = format!(
        "virtual_server_group g {{\n{entries}}}\nvirtual_server group g {{\nlb_kind DR\n\
         lb_algo rr\nprotocol TCP\n{servers}}}\n{sessions}"
    );
    let start = processor_time_ms();
    assert_eq!(said(&text), [""; 0]);
    assert!(processor_time_ms() - start < 5_000);
}
