//! The command lines with which deployments start a keepalived: each starts ours, which
//! takes the address, leaves its pid file where it is looked for, reloads by a signal,
//! and takes the address away when it is told to end. C keepalived does the same.

use std::path::Path;

use crate::lab::{Result, namespace};
use crate::machine::{Daemon, Machine, PATIENCE, VIP, in_lab, same_for_both};

/// The @ lines count with `-i node1`, or not at all.
const CONFIGURATION: &str = "@node1 global_defs {
@node1     router_id node
@node1 }
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 255
    virtual_ipaddress {
        192.0.2.100/24
    }
}
";
const ADDED: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 101);

/// Where packages have the configuration.
const USUAL: &str = "/etc/keepalived";

/// What can be seen of a life: the mode of the pid file, and the configuration with
/// which it ran.
type Seen = (String, String);

/// One life with these options, on both.
fn works(options: &str, pid_file: &str) {
    same_for_both(|machine| life(machine, options, pid_file));
}

/// The same for ours alone: Debian's C keepalived is built without that option.
fn works_with_ours(options: &str, pid_file: &str) {
    in_lab(|lab| {
        let mut machine = Machine::new(lab, Daemon::Ours)?;
        life(&mut machine, options, pid_file).map(drop)
    });
}

fn life(machine: &mut Machine, options: &str, pid_file: &str) -> Result<Seen> {
    let text = CONFIGURATION;
    machine
        .node
        .write_file("/run/keepalived/keepalived.conf", text)?;
    let mut words: Vec<&str> = options.split(' ').collect();
    if Path::new(USUAL).is_dir() {
        let usual = || namespace::bind("/run/keepalived", USUAL);
        machine.node.inside(usual)?;
    } else if !options.contains("/run/keepalived/keepalived.conf") {
        words.extend(["-f", "/run/keepalived/keepalived.conf"]);
    }
    let stays = words.iter().any(|word| {
        let letters = word.starts_with('-') && !word.starts_with("--");
        *word == "--dont-fork" || (letters && word.contains('n'))
    });
    let process = machine.start(&words)?;
    machine.node.await_address(VIP, true, PATIENCE)?;
    machine.await_file(pid_file, |text| text.ends_with('\n'))?;
    if !stays {
        let (_, status) = process.await_end(PATIENCE)?;
        assert!(status.success(), "{options}: {status}");
    }
    assert_eq!(process.is_running(), stays, "{options}");
    let output = machine.run(&["stat", "-c", "%a", pid_file])?;
    let mode = String::from_utf8_lossy(&output.stdout).trim().to_owned();

    let text = text.replace("192.0.2.100/24", "192.0.2.100/24\n        192.0.2.101/24");
    machine
        .node
        .write_file("/run/keepalived/keepalived.conf", &text)?;
    machine.signal_by_pid_file(pid_file, "HUP")?;
    machine.node.await_address(ADDED, true, PATIENCE)?;
    machine.signal_by_pid_file(pid_file, "TERM")?;
    machine.node.await_address(VIP, false, PATIENCE)?;
    if stays {
        let (_, status) = process.await_end(PATIENCE)?;
        assert!(status.success(), "{options}: {status}");
    }
    machine.await_file(pid_file, str::is_empty)?;
    Ok((mode, text))
}

macro_rules! start_it {
    ($($name:ident: $options:expr, $pid_file:expr;)*) => {$(
        #[test]
        fn $name() {
            works($options, $pid_file);
        }
    )*};
}

const USUAL_PID_FILE: &str = "/run/keepalived.pid";

start_it! {
    kolla: "-nld -p /run/keepalived.pid", USUAL_PID_FILE;
    k0s: "--dont-fork --use-file /run/keepalived/keepalived.conf --no-syslog --log-console \
          --log-detail --dump-conf", USUAL_PID_FILE;
    osixia: "-f /etc/keepalived/keepalived.conf --dont-fork --log-console -D -d", USUAL_PID_FILE;
    neutron: "-P -f /run/keepalived/keepalived.conf -p /run/keepalived/router.pid \
              -r /run/keepalived/router.pid-vrrp", "/run/keepalived/router.pid";
    neutron_in_a_container: "-n -l -D -P -f /run/keepalived/keepalived.conf \
              -p /run/keepalived/router.pid -r /run/keepalived/router.pid-vrrp -D",
        "/run/keepalived/router.pid";
    octavia: "-D -d -f /run/keepalived/keepalived.conf -p /run/keepalived/octavia.pid",
        "/run/keepalived/octavia.pid";
    openshift: "-f /run/keepalived/keepalived.conf --dont-fork -D -l -P", USUAL_PID_FILE;
    kube_keepalived_vip: "--dont-fork --log-console --release-vips --pid /run/k.pid --vrrp",
        "/run/k.pid";
    haproxy_images: "-n -l -D -f /run/keepalived/keepalived.conf --dont-fork --log-console",
        USUAL_PID_FILE;
    hades: "--log-console --vrrp --use-file=/run/keepalived/keepalived.conf \
            --pid=/run/keepalived/k.pid --vrrp_pid=/run/keepalived/v.pid", "/run/keepalived/k.pid";
    rare_options: "-n -i node1 --dont-respawn --address-monitoring --log-facility 7 \
                   --vrrp_pid /run/v.pid -c /run/c.pid -S 7 -l", USUAL_PID_FILE;
    snmp: "-n -l -x -f /run/keepalived/keepalived.conf", USUAL_PID_FILE;
}

#[test]
fn shawly() {
    works_with_ours(
        "--dont-fork --log-detail --dump-conf --no-syslog --log-console --log-file=/run/k.log \
         --use-file /run/keepalived/keepalived.conf",
        USUAL_PID_FILE,
    );
}

#[test]
fn a_log_file_in_the_usual_place() {
    works_with_ours("-n -g -S 7", USUAL_PID_FILE);
}
