//! `keepalived-rs simulate`: what an administrator sees.

use std::process::{Command, Output};

const FILES: [&str; 2] = ["etc/keepalived/lb1.conf", "etc/keepalived/lb2.conf"];

fn simulate(files: &[&str], options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepalived-rs"))
        .arg("simulate")
        .args(files)
        .args(options)
        .output()
        .expect("the program runs")
}

fn printed(options: &[&str]) -> String {
    let output = simulate(&FILES, options);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// RFC 3768 section 6.1: 3.414 s of priority 150 and 3.609 s of priority 100.
#[test]
fn the_table_tells_who_is_master_when_and_why() {
    let table = printed(&["--events", "10s kill lb1; 30s start lb1"]);
    let expected = "     time  node  instance  state             prio  why
    0.000  *** start lb1
    0.000  lb1   VI_1      INIT > BACKUP      150  started
    0.000  *** start lb2
    0.000  lb2   VI_1      INIT > BACKUP      100  started
    3.414  lb1   VI_1      BACKUP > MASTER    150  no master heard for 3.414 s
   10.000  *** power off lb1
   13.023  lb2   VI_1      BACKUP > MASTER    100  lb1 silent for 3.609 s
   30.000  *** start lb1
   30.000  lb1   VI_1      INIT > BACKUP      150  started
   33.414  lb1   VI_1      BACKUP > MASTER    150  preempts lb2, whose priority is 100
   33.414  lb2   VI_1      MASTER > BACKUP    100  lb1 has priority 150

MASTER of VI_1 (VRID 51)
    0.000 to     3.414  nobody
    3.414 to    10.000  lb1
   10.000 to    13.023  nobody
   13.023 to    33.414  lb2
   33.414 to    60.000  lb1
  nobody for 6.437 s, more than one for 0.000 s

holder of 192.0.2.100
    0.000 to     3.414  nobody
    3.414 to    10.000  lb1
   10.000 to    13.023  nobody
   13.023 to    33.414  lb2
   33.414 to    60.000  lb1
  nobody for 6.437 s, more than one for 0.000 s
";
    assert_eq!(table, expected);
}

/// A master that stops says so: the other takes over in its skew time.
#[test]
fn a_stop_costs_a_skew_time_only() {
    let table = printed(&["--events", "10s stop lb1", "--seconds", "20"]);
    assert!(table.contains("10.609  lb2   VI_1      BACKUP > MASTER    100  lb1 resigned"));
}

/// Who is drained stays away until somebody says otherwise, and goes only when another
/// one is there.
#[test]
fn a_drained_node_hands_over_and_comes_back_when_told() {
    let table = printed(&[
        "--events",
        "5s start lb1; 20s drain lb1; 40s resume lb1 VI_1",
    ]);
    assert!(table.contains("20.609  lb2   VI_1      BACKUP > MASTER    100  lb1 resigned"));
    assert!(table.contains("43.023  lb1   VI_1      BACKUP > MASTER    150  preempts lb2"));
    let alone = printed(&["--events", "10s drain lb1", "--seconds", "20"]);
    assert!(alone.contains("refused: "), "{alone}");
    assert!(!alone.contains("MASTER > BACKUP"), "{alone}");
}

#[test]
fn a_cut_gives_two_masters_and_is_counted() {
    let events = ["--events", "10s cut lb1 lb2", "--seconds", "20"];
    let table = printed(&events);
    assert!(table.contains("   13.023 to    20.000  lb1 and lb2 at once\n"));
    assert!(table.contains("more than one for 6.977 s"));
    let json = printed(&[&events[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["addresses"][0]["name"], "192.0.2.100");
    assert_eq!(json["addresses"][0]["spans"][2]["holders"][1], "lb2");
    let picture = printed(&[&events[..], &["--format", "svg"]].concat());
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(
        picture.matches("fill=\"#c33\"").count(),
        4,
        "both nodes, router and VIP"
    );
}

/// Loss is drawn from the seed.
#[test]
fn a_seed_decides_about_loss() {
    let with = |seed| printed(&["--loss", "40%", "--seed", seed]);
    assert_eq!(with("1"), with("1"));
    assert_ne!(with("1"), with("2"));
}

/// The number of a file moves the priority, far down it is FAULT; and so is a process
/// that does not run any more.
#[test]
fn numbers_in_files_and_processes_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (name, priority) in [("a", 110), ("b", 100)] {
        let path = folder.path().join(format!("{name}.conf"));
        let text = format!(
            "track_file load {{\n file /run/load\n}}\n\
             vrrp_track_process nginx {{\n process nginx\n}}\n\
             vrrp_instance VI_1 {{\n interface ens3\n virtual_router_id 7\n priority {priority}\n\
             track_file {{\n load\n }}\n track_process {{\n nginx\n }}\n\
             virtual_ipaddress {{\n 10.1.1.1/24\n }}\n}}\n"
        );
        std::fs::write(&path, text).expect("a file");
        files.push(path.to_str().expect("text").to_owned());
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let events = "10s number a load -20; 20s number a load -300; 30s number a load 0; \
                  40s processes a nginx 0; 50s processes a nginx 1";
    let output = simulate(&files, &["--events", events]);
    let table = String::from_utf8(output.stdout).expect("text");
    for line in [
        "   10.000  *** file load of a has -20 in it\n",
        "MASTER > BACKUP     90  b has priority 100\n",
        "   20.000  a     VI_1      BACKUP > FAULT     110  tracked file load has -300 in it\n",
        "   30.000  a     VI_1      FAULT > BACKUP     110  nothing stands against it any more\n",
        "   40.000  *** 0 of nginx run on a\n",
        "   40.000  a     VI_1      MASTER > FAULT     110  tracked process nginx",
        "   50.000  a     VI_1      FAULT > BACKUP     110  nothing stands against it any more\n",
    ] {
        assert!(table.contains(line), "{line}{table}");
    }
    let output = simulate(&files, &["--events", "1s number a lod 3"]);
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(
        error.contains("no tracked file is called 'lod' there; there are load"),
        "{error}"
    );
}

#[test]
fn a_failing_script_shows_in_priority_and_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (name, priority) in [("a", 110), ("b", 100)] {
        let path = folder.path().join(format!("{name}.conf"));
        let text = format!(
            "vrrp_script chk_nginx {{\n script \"/usr/bin/pgrep nginx\"\n interval 1\n fall 2\n}}\n\
             vrrp_instance VI_1 {{\n interface ens3\n virtual_router_id 7\n priority {priority}\n\
             track_script {{\n chk_nginx\n }}\n virtual_ipaddress {{\n 10.1.1.1/24\n }}\n}}\n"
        );
        std::fs::write(&path, text).expect("a file");
        files.push(path.to_str().expect("text").to_owned());
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let output = simulate(
        &files,
        &["--events", "9.5s fail a chk_nginx; 20s fix a chk_nginx"],
    );
    let table = String::from_utf8(output.stdout).expect("text");
    // Runs at 10 s and 11 s fail, each after 5 ms.
    let fault = "   11.005  a     VI_1      MASTER > FAULT     110  script chk_nginx fails\n";
    assert!(table.contains(fault), "{table}");
    assert!(
        table.contains("BACKUP > MASTER    100  a resigned"),
        "{table}"
    );
    assert!(
        table.contains("preempts b, whose priority is 100"),
        "{table}"
    );
}

/// `keepalived-rs.conf` beside the files belongs to them, and its mistakes to theirs.
#[test]
fn our_own_words_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (name, priority) in [("a", 110), ("b", 100)] {
        let path = folder.path().join(format!("{name}.conf"));
        let text = format!(
            "vrrp_script chk {{\n script \"/usr/bin/pgrep nginx\"\n interval 1\n}}\n\
             vrrp_instance VI_1 {{\n interface ens3\n virtual_router_id 7\n priority {priority}\n\
             track_script {{\n chk weight -20\n }}\n virtual_ipaddress {{\n 10.1.1.1/24\n }}\n}}\n"
        );
        std::fs::write(&path, text).expect("a file");
        files.push(path.to_str().expect("text").to_owned());
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let own = folder.path().join("keepalived-rs.conf");
    std::fs::write(&own, "vrrp_instance VI_1 {\n fast_handover\n}\n").expect("a file");
    let events = "1s stop a; 10s start a; 30.5s fail a chk";
    let output = simulate(&files, &["--events", events]);
    let table = String::from_utf8(output.stdout).expect("text");
    // The run at 31 s fails after 5 ms; skew of priority 100 is 0.609 s.
    let takeover = "   31.614  b     VI_1      BACKUP > MASTER    100  a resigned\n";
    assert!(table.contains(takeover), "{table}");
    std::fs::write(&own, "vrrp_instance VI_1 {\n").expect("a file");
    let output = simulate(&files, &[]);
    assert!(output.status.success(), "as in the main file: {output:?}");
    std::fs::remove_file(&own).expect("there");
    std::fs::create_dir(&own).expect("a directory");
    let output = simulate(&files, &[]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

#[test]
fn what_is_wrong_is_said() {
    for (event, what) in [
        (
            "1s kill lb3",
            "event '1s kill lb3': no node is called 'lb3'; there are lb1, lb2\n",
        ),
        (
            "1s remove lb1 10.1.1.1",
            "event '1s remove lb1 10.1.1.1': no VIP is called '10.1.1.1' there; \
             there are 192.0.2.100\n",
        ),
        (
            "1s cut lb1 lb1",
            "event '1s cut lb1 lb1': 'lb1' is named twice; two nodes are expected\n",
        ),
        (
            "1s mend-way lb2 lb2",
            "event '1s mend-way lb2 lb2': 'lb2' is named twice; two nodes are expected\n",
        ),
        (
            "61s kill lb1",
            "an event is later than the end; --seconds sets the end\n",
        ),
    ] {
        let output = simulate(&FILES, &["--events", event]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stderr), what);
    }
    let output = simulate(&["/does/not/exist.conf"], &[]);
    assert_eq!(output.status.code(), Some(5));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("/does/not/exist.conf cannot be used"),
        "{text}"
    );
}

/// Where no interface is named, the adverts take the way of the first address.
#[test]
fn unicast_without_an_interface_is_simulated() {
    let directory = std::env::temp_dir().join(format!("simulate-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = |name: &str, own: u8, peer: u8, priority: u8| {
        let path = directory.join(name);
        let text = format!(
            "vrrp_instance VI_1 {{\n virtual_router_id 51\n priority {priority}\n \
             unicast_src_ip 10.0.0.{own}\n unicast_peer {{\n 10.0.0.{peer}\n }}\n \
             virtual_ipaddress {{\n 192.0.2.100/24 dev eth7\n }}\n}}\n"
        );
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let files = [file("a.conf", 1, 2, 150), file("b.conf", 2, 1, 100)];
    let files = files.each_ref().map(String::as_str);
    let output = simulate(&files, &["--events", "10s stop a", "--seconds", "20"]);
    std::fs::remove_dir_all(&directory).expect("removed");
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{table}");
    assert!(
        table.contains("3.414  a     VI_1      BACKUP > MASTER    150"),
        "{table}"
    );
    assert!(
        table.contains("10.609  b     VI_1      BACKUP > MASTER    100  a resigned"),
        "{table}"
    );
    assert!(table.contains("more than one for 0.000 s"), "{table}");
}

/// A weight that does not count in a sync group: the script fails, nothing happens,
/// and without the warning nobody knew why.
#[test]
fn what_the_daemons_would_warn_of_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.conf");
    let text = "vrrp_script chk {\n script /bin/true\n weight -20\n}\n\
                vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n\
                vrrp_instance VI_1 {\n interface ens3\n virtual_router_id 7\n\
                track_script {\n chk\n }\n virtual_ipaddress {\n 10.1.1.1/24\n }\n}\n\
                vrrp_instance VI_2 {\n interface ens3\n virtual_router_id 8\n\
                virtual_ipaddress {\n 10.1.1.2/24\n }\n}\n";
    std::fs::write(&path, text).expect("a file");
    let output = simulate(
        &[path.to_str().expect("text")],
        &["--events", "9s fail a chk", "--format", "json"],
    );
    assert!(output.status.success(), "{output:?}");
    let warnings = String::from_utf8(output.stderr).expect("text");
    let warning = "(VI_1) ignoring tracked script chk with weights due to SYNC group";
    assert_eq!(warnings.matches(warning).count(), 1, "{warnings}");
    let json = serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON");
    assert_eq!(json["nodes"][0], "a");
}
