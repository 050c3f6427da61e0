//! What is understood and not carried out yet, and the rows as a whole.

use super::*;

#[test]
fn what_would_change_the_cluster_is_refused_with_its_place() {
    for (text, said) in [
        (
            format!("global_defs {{\nlvs_sync_daemon e0\n}}\n{}", with("")),
            "(Line 2) 'lvs_sync_daemon e0' does not work yet",
        ),
        (
            format!(
                "bfd_instance b {{\nneighbor_ip 10.0.0.9\n}}\nvrrp_sync_group G {{\n\
                 group {{\nVI\n}}\ntrack_bfd {{\nb\n}}\n}}\n{}",
                with("")
            ),
            "(Line 8) 'track_bfd' does not work yet",
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
fn names_and_files_are_accepted() {
    let outer = "net_namespace x\nuse_pid_dir\ninstance I\nchild_wait_time 3\n";
    let globals = "process_names\nprocess_name p\nvrrp_process_name v\numask 022\n\
                   data_use_instance\nstate_dump_file /a\nstats_dump_file /b\n\
                   json_dump_file /c";
    clean(&format!(
        "{outer}global_defs {{\n{globals}\n}}\n{}",
        with("")
    ));
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
        with("")
    ));
    assert_eq!((lines(&loaded).len(), loaded.exit_code()), (0, 0));
    let all: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|d| d.as_c_line(&loaded.sources))
        .collect();
    assert_eq!(all, ["(Line 2) 'enable_snmp_vrrp' has no effect yet"]);
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
