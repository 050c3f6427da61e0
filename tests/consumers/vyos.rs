//! VyOS: an appliance that writes the configuration, reads the files behind a signal,
//! and follows the states through the FIFO.

use crate::lab::Result;
use crate::machine::{Machine, PATIENCE, same_for_both};

const READER: &str = include_str!("programs/vyos.py");
const FIFO_READER: &str = include_str!("programs/vyos-fifo.py");

/// The shape of its template: repeated `track_script`, one-line blocks, quotes.
const CONFIGURATION: &str = r#"global_defs {
    dynamic_interfaces
    script_user root
    vrrp_startup_delay 0.5
    vrrp_garp_master_delay 1
    vrrp_version 2
    notify_fifo /run/keepalived/keepalived_notify_fifo
    notify_fifo_script /run/keepalived-fifo.py
}

vrrp_script healthcheck_lan {
    script "/run/yes"
    interval 60
    fall 3
    rise 2
}

vrrp_instance lan-1 {
    state BACKUP
    interface eth0
    virtual_router_id 10
    priority 255
    advert_int 1
    preempt_delay 0
    garp_master_delay 5
    garp_master_repeat 5
    unicast_peer { 192.0.2.9 }
    unicast_src_ip 192.0.2.NUMBER
    authentication {
        auth_pass "s3cret"
        auth_type PASS
    }
    virtual_ipaddress {
        192.0.2.100/24 dev eth0
    }
    virtual_ipaddress_excluded {
        198.51.100.1/32
    }
    track_interface {
        eth0
    }
}

vrrp_sync_group MAIN {
    group {
        lan-1
    }
    track_script {
        healthcheck_lan
    }
    notify_master "/run/yes master"
    notify_backup "/run/yes backup"
}
"#;

const OPTIONS: [&str; 7] = [
    "--dont-fork",
    "--log-console",
    "--log-detail",
    "--use-file",
    "/run/keepalived/keepalived.conf",
    "--pid",
    "/run/keepalived/keepalived.pid",
];

fn started(machine: &mut Machine) -> Result<std::sync::Arc<crate::lab::Process>> {
    let number = machine.node.address().octets()[3].to_string();
    let text = CONFIGURATION.replace("NUMBER", &number);
    machine
        .node
        .write_file("/run/keepalived/keepalived.conf", &text)?;
    let fifo_reader = format!("#!/usr/bin/env python3\n{FIFO_READER}");
    machine
        .node
        .write_file("/run/keepalived-fifo.py", &fifo_reader)?;
    let process = machine.start(&OPTIONS)?;
    process.await_line(PATIENCE, "(lan-1) Entering MASTER STATE")?;
    machine
        .node
        .await_address(crate::machine::VIP, true, PATIENCE)?;
    Ok(process)
}

#[test]
fn its_reader_gets_each_file_and_may_remove_it() {
    let lines = same_for_both(|machine| {
        started(machine)?;
        for (kind, word) in [("state", "VRRP Instance = lan-1"), ("statistics", "lan-1")] {
            let text = machine.consumer("python3", READER, &[kind, "2"])?;
            let times = text.matches(word).count();
            assert_eq!(times, 2, "{kind}: {text}");
        }
        let lines = machine.consumer("python3", READER, &["json", "3"])?;
        Ok(lines.lines().map(str::to_owned).collect::<Vec<_>>())
    });
    if let Some(lines) = lines {
        assert_eq!(lines, ["lan-1 eth0 10 2 255"; 3]);
    }
}

#[test]
fn its_fifo_reader_understands_every_line() {
    let records = same_for_both(|machine| {
        let process = started(machine)?;
        let is_master = |text: &str| text.contains("GROUP MAIN MASTER 0");
        machine.await_file("/run/records", is_master)?;
        machine.signal_by_pid_file("/run/keepalived/keepalived.pid", "TERM")?;
        process.await_end(PATIENCE)?;
        let seen = machine.await_file("/run/records", |text| text.ends_with("end\n"))?;
        assert!(!seen.contains("not understood"), "{seen}");
        Ok(seen.lines().map(str::to_owned).collect::<Vec<_>>())
    });
    if let Some(records) = records {
        assert!(records.contains(&"INSTANCE lan-1 MASTER 255".to_owned()));
        assert!(records.contains(&"INSTANCE lan-1 STOP 255".to_owned()));
    }
}
