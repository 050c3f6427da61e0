//! Monitoring: an exporter for Prometheus, Checkmk, forch, scripts with `grep`, and
//! the notify script that stores its words.

use serde_json::Value;

use crate::lab::Result;
use crate::machine::{Daemon, Machine, PATIENCE, same_for_both};
use crate::readers;

const EXPORTER: &str = include_str!("programs/exporter.py");
const CHECKMK: &str = include_str!("programs/checkmk.sh");
const GREP: &str = include_str!("programs/grep.sh");

/// A MASTER, and an instance in FAULT because its script fails.
const CONFIGURATION: &str = r#"global_defs {
    script_user root
}
vrrp_script chk_yes {
    script "/run/yes"
    interval 60
}
vrrp_script chk_no {
    script "/run/no"
    interval 60
    rise 1
    fall 1
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 255
    notify /run/notify
    virtual_ipaddress {
        192.0.2.100/24
        192.0.2.101/24
    }
    virtual_ipaddress_excluded {
        198.51.100.1/32
    }
    track_script {
        chk_yes
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    priority 100
    virtual_ipaddress {
        192.0.2.102/24
    }
    track_script {
        chk_no
    }
}
"#;

/// What the notify scripts of Nagios, Zabbix and LuCI do.
const NOTIFY: &str = "#!/bin/sh\necho \"$# $1 $2 $3 $4\" >> /run/stored\n";

/// Starts the daemon without any option that names a file of its own.
fn started(machine: &mut Machine) -> Result<()> {
    machine.node.write_file("/run/k.conf", CONFIGURATION)?;
    machine.node.write_file("/run/notify", NOTIFY)?;
    let process = machine.start(&["-n", "-l", "-D", "-f", "/run/k.conf"])?;
    // C 2.2.7 does not say that this makes VI_2 FAULT.
    process.await_line(PATIENCE, "VRRP_Script(chk_no) failed")?;
    process.await_line(PATIENCE, "(VI_1) Entering MASTER STATE")?;
    process.await_line(PATIENCE, "gratuitous ARPs on eth0 for 198.51.100.1")?;
    process.await_line(PATIENCE, "VRRP_Script(chk_yes) succeeded")?;
    Ok(())
}

/// How many adverts were sent depends on the moment.
fn without_sent(metrics: &str) -> Vec<String> {
    let sent =
        |line: &&str| !line.starts_with("keepalived_advertisements_sent_total{iname=\"VI_1\"");
    metrics.lines().filter(sent).map(str::to_owned).collect()
}

#[test]
fn the_exporter_shows_the_same_metrics_from_the_text_files() {
    let metrics = same_for_both(|machine| {
        started(machine)?;
        // The second time it finds files that are there already.
        machine.consumer("python3", EXPORTER, &["text"])?;
        let again = machine.consumer("python3", EXPORTER, &["text"])?;
        Ok(without_sent(&again))
    });
    let Some(metrics) = metrics else { return };
    for line in [
        "keepalived_up 1",
        r#"keepalived_vrrp_state{iname="VI_1",intf="eth0",vrid="51",ip_address="192.0.2.101"} 2"#,
        r#"keepalived_vrrp_excluded_state{iname="VI_1",intf="eth0",vrid="51",ip_address="198.51.100.1"} 2"#,
        r#"keepalived_vrrp_state{iname="VI_2",intf="eth0",vrid="52",ip_address="192.0.2.102"} 3"#,
        r#"keepalived_become_master_total{iname="VI_1",intf="eth0",vrid="51"} 1"#,
        r#"keepalived_gratuitous_arp_delay_total{iname="VI_1",intf="eth0",vrid="51"} 5"#,
        r#"keepalived_script_status{name="chk_yes"} 1"#,
        r#"keepalived_script_status{name="chk_no"} 0"#,
        r#"keepalived_script_state{name="chk_no"} 0"#,
    ] {
        assert!(metrics.iter().any(|it| it == line), "{line}: {metrics:#?}");
    }
}

#[test]
fn the_exporter_shows_the_same_metrics_from_the_json_file() {
    let metrics = same_for_both(|machine| {
        started(machine)?;
        let metrics = machine.consumer("python3", EXPORTER, &["json"])?;
        Ok(without_sent(&metrics))
    });
    let Some(metrics) = metrics else { return };
    let state =
        r#"keepalived_vrrp_state{iname="VI_1",intf="eth0",vrid="51",ip_address="192.0.2.100"} 2"#;
    assert!(metrics.iter().any(|it| it == state), "{metrics:#?}");
}

#[test]
fn checkmk_finds_states_and_counters() {
    same_for_both(|machine| {
        started(machine)?;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let text = machine.consumer("bash", CHECKMK, &[])?;
            let document: Value = match serde_json::from_str(&text) {
                Ok(document) => document,
                // Half a file, which C may show.
                Err(error) if machine.daemon == Daemon::Ours => panic!("{error}: {text}"),
                Err(_) => {
                    let text = machine.consumer("bash", CHECKMK, &[])?;
                    serde_json::from_str(&text).unwrap_or_default()
                }
            };
            let routers = document.as_array().or_else(|| document["vrrp"].as_array());
            for router in routers.into_iter().flatten() {
                let state = router["data"]["state"].as_u64();
                assert!(state.is_some_and(|it| [0, 1, 2, 3, 97, 98].contains(&it)));
                let counters = router["stats"].as_object().into_iter().flatten();
                for (name, value) in counters {
                    assert!(value.is_u64(), "{name} is a metric: {value}");
                }
                seen.push((router["data"]["iname"].clone(), state));
            }
        }
        let names = seen.iter().map(|(name, state)| (name.as_str(), *state));
        let expected = [(Some("VI_1"), Some(2)), (Some("VI_2"), Some(3))].repeat(2);
        assert!(names.eq(expected), "{seen:?}");
        Ok(seen)
    });
}

/// forch leaves out the first line and reads the rest as YAML; it knows one instance.
#[test]
fn forch_reads_the_statistics_as_yaml() {
    same_for_both(|machine| {
        let one = CONFIGURATION.split("vrrp_instance VI_2").next();
        machine
            .node
            .write_file("/run/k.conf", one.unwrap_or_default())?;
        let process = machine.start(&["-n", "-l", "-D", "-f", "/run/k.conf"])?;
        process.await_line(PATIENCE, "(VI_1) Entering MASTER STATE")?;
        machine.signal_by_pid_file("/run/keepalived.pid", "USR2")?;
        let complete = |text: &str| text.contains("Priority Zero:") && text.ends_with('\n');
        let text = machine.await_file("/tmp/keepalived.stats", complete)?;
        readers::yaml(&text);
        let (first, rest) = text.split_once('\n').unwrap_or_default();
        assert_eq!(first, "VRRP Instance: VI_1");
        let keys = rest.lines().filter(|line| {
            let words = ["Became", "Released", "Packet", "Authentication Errors"];
            words.iter().any(|word| line.trim_start().starts_with(word))
        });
        Ok(keys.map(str::to_owned).collect::<Vec<_>>())
    });
}

#[test]
fn a_script_that_greps_finds_the_states() {
    let lines = same_for_both(|machine| {
        started(machine)?;
        let mut text = machine.consumer("bash", GREP, &[])?;
        while machine.daemon == Daemon::C && text.is_empty() {
            text = machine.consumer("bash", GREP, &[])?;
        }
        Ok(text.lines().map(str::to_owned).collect::<Vec<_>>())
    });
    if let Some(lines) = lines {
        assert!(lines.contains(&"VI_1 State MASTER".to_owned()), "{lines:?}");
        assert!(lines.contains(&"VI_2 State FAULT".to_owned()), "{lines:?}");
    }
}

#[test]
fn a_notify_script_is_given_four_words() {
    let stored = same_for_both(|machine| {
        started(machine)?;
        let text = machine.await_file("/run/stored", |text| text.ends_with("MASTER 255\n"))?;
        Ok(text.lines().last().map(str::to_owned))
    });
    if let Some(stored) = stored {
        assert_eq!(stored.as_deref(), Some("4 INSTANCE VI_1 MASTER 255"));
    }
}
