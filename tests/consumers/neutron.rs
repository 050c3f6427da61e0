//! OpenStack Neutron: a highly available router. It has an address of its own for
//! VRRP, all others are excluded from the adverts, and the default route is a virtual
//! one. Every change of a floating address is a reload, and none may cost the route.

use std::net::Ipv4Addr;

use crate::lab::Result;
use crate::machine::{Machine, PATIENCE, same_for_both};

const CONFIGURATION: &str = "global_defs {
    notification_email_from neutron@openstack.local
    router_id neutron
}
vrrp_instance VR_1 {
    state BACKUP
    interface eth0
    virtual_router_id 1
    priority 50
    garp_master_delay 60
    nopreempt
    advert_int 1
    virtual_ipaddress {
        169.254.0.1/24 dev eth0
    }
    virtual_ipaddress_excluded {
        198.51.100.10/24 dev eth0
    }
    virtual_routes {
        0.0.0.0/0 via 198.51.100.1 dev eth0
        203.0.113.0/24 dev eth0 scope link
    }
}
";

const FILE: &str = "/run/keepalived/keepalived.conf";
const PID_FILE: &str = "/run/keepalived/router.pid";

/// The default route and that of the network behind it, without who made them.
fn routes(machine: &Machine) -> Result<Vec<String>> {
    let output = machine.run(&["ip", "-4", "route", "show"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = ["default", "203.0.113.0/24"];
    let lines = text
        .lines()
        .filter(|line| wanted.iter().any(|it| line.starts_with(it)));
    let short = |line: &str| {
        line.split(" proto ")
            .next()
            .unwrap_or(line)
            .trim()
            .to_owned()
    };
    Ok(lines.map(short).collect())
}

fn reload(machine: &Machine, from: &str, to: &str, added: Ipv4Addr) -> Result<()> {
    let text = machine.node.read_file(FILE)?;
    assert!(text.contains(from), "{from}");
    machine.node.write_file(FILE, &text.replace(from, to))?;
    machine.signal_by_pid_file(PID_FILE, "HUP")?;
    machine.node.await_address(added, true, PATIENCE)?;
    Ok(())
}

#[test]
fn no_reload_costs_the_default_route() {
    let routes = same_for_both(|machine| {
        machine.node.write_file(FILE, CONFIGURATION)?;
        let pid_files = ["-p", PID_FILE, "-r", "/run/keepalived/router.pid-vrrp"];
        machine.start(&[&["-P", "-f", FILE], &pid_files[..]].concat())?;
        let first = Ipv4Addr::new(169, 254, 0, 1);
        machine.node.await_address(first, true, PATIENCE)?;
        let before = await_routes(machine)?;
        let watch = machine.node.start(
            std::path::Path::new("/bin/sh"),
            &["-c", "exec ip -4 monitor route"],
            &[],
        )?;
        // A route of the test's own shows that the monitor listens.
        let mark = "203.0.113.77";
        while watch.count_lines(mark) == 0 {
            machine.run(&["ip", "route", "replace", mark, "dev", "eth0"])?;
            machine.run(&["ip", "route", "delete", mark, "dev", "eth0"])?;
        }

        // A floating address.
        let floating = "198.51.100.11/32 dev eth0";
        let excluded = "198.51.100.10/24 dev eth0";
        let both = format!("{excluded}\n        {floating}");
        reload(machine, excluded, &both, Ipv4Addr::new(198, 51, 100, 11))?;
        let after_first = await_routes(machine)?;

        // Another address in the place of the first.
        let old = "169.254.0.1/24 dev eth0";
        let new = "169.254.0.9/24 dev eth0";
        reload(machine, old, new, Ipv4Addr::new(169, 254, 0, 9))?;
        let after_second = await_routes(machine)?;
        if machine.daemon == crate::machine::Daemon::Ours {
            assert_eq!(watch.count_lines("Deleted default"), 0);
        }
        machine.signal_by_pid_file(PID_FILE, "TERM")?;
        let gone = Ipv4Addr::new(169, 254, 0, 9);
        machine.node.await_address(gone, false, PATIENCE)?;
        Ok([before, after_first, after_second])
    });
    if let Some([before, first, second]) = routes {
        assert_eq!(
            before.first().map(String::as_str),
            Some("default via 198.51.100.1 dev eth0")
        );
        assert_eq!((&first, &second), (&before, &before));
    }
}

/// Both routes, as soon as they are there.
fn await_routes(machine: &Machine) -> Result<Vec<String>> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let seen = routes(machine)?;
        if seen.len() == 2 || std::time::Instant::now() > deadline {
            return Ok(seen);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
