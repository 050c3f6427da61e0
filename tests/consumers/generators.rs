//! Files of the shape that generators write: `-t` judges them as C does, and says
//! nothing of a good one, because modules for Puppet and Ansible install a file only if
//! `-t` accepts it from a temporary place.

use crate::lab::Result;
use crate::machine::{Machine, same_for_both};

/// Sync groups stand before the instances they name; comments follow values.
const ANSIBLE: &str = r#"# Ansible managed
global_defs {
  router_id lb1
  script_user root
  enable_script_security
}
vrrp_sync_group G1 {
  group {
    external
  }
  notify "/run/yes"
  notify_master "/run/yes"
}
vrrp_script chk_haproxy {
  script "/run/yes"    # a comment behind a value
  interval 5           # another one
  fall 2
  rise 4
  timeout 10
}
vrrp_instance external {
  interface eth0
  state BACKUP
  virtual_router_id 10
  priority 50
  nopreempt
  preempt_delay 30
  authentication {
    auth_type PASS
    auth_pass secret12
  }
  unicast_src_ip 192.0.2.1
  unicast_peer {
    192.0.2.2
  }
  virtual_ipaddress {
    192.0.2.100 dev eth0
  }
  virtual_ipaddress_excluded {
    192.0.2.101 dev eth0
  }
  track_script {
    chk_haproxy
  }
  track_interface {
    eth0
  }
}
"#;

/// Options of an address in alphabetical order; many words of `global_defs`.
const PUPPET: &str = r"global_defs {
  notification_email {
    root@example.com
  }
  notification_email_from keepalived@example.com
  smtp_server 192.0.2.25
  smtp_connect_timeout 30
  router_id lb1
  script_user root
  vrrp_version 2
  vrrp_garp_master_delay 1
  vrrp_skip_check_adv_addr
  vrrp_higher_prio_send_advert true
}
vrrp_instance VI_50 {
  interface                 eth0
  state                     MASTER
  virtual_router_id         50
  priority                  101
  advert_int                1
  garp_master_delay         5
  higher_prio_send_advert   true
  authentication {
    auth_type PASS
    auth_pass secret12
  }
  virtual_ipaddress {
    192.0.2.100/24 brd 192.0.2.255 dev eth0 label eth0:vip scope global
  }
}
";

/// A small file that `include`s another, BACKUP everywhere with one priority.
const K0S: &str = r"global_defs {
  script_user root
}
include /run/tmp/more*.conf
vrrp_instance k0s-vip-0 {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 200
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass secret12
  }
  virtual_ipaddress {
    192.0.2.100/32
  }
}
";

/// A script without quotes that has arguments, `accept`, numbers of bursts.
const OCTAVIA: &str = r"global_defs {
  script_user root
  enable_script_security
}
vrrp_script check_script {
  script /run/yes check-and more
  interval 5
  fall 2
  rise 2
}
vrrp_instance 0a1b2c {
  state BACKUP
  interface eth0
  virtual_router_id 1
  priority 100
  nopreempt
  accept
  garp_master_refresh 5
  garp_master_refresh_repeat 2
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass secret12
  }
  unicast_src_ip 192.0.2.1
  unicast_peer {
    192.0.2.2
  }
  virtual_ipaddress {
    192.0.2.100
  }
  track_script {
    check_script
  }
}
";

/// The first address is for the router itself, all others are excluded from adverts.
const NEUTRON: &str = r"global_defs {
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
    advert_int 2
    authentication {
        auth_type PASS
        auth_pass secret12
    }
    track_interface {
        eth0
    }
    virtual_ipaddress {
        169.254.0.1/24 dev eth0
    }
    virtual_ipaddress_excluded {
        192.0.2.100/24 dev eth0
        fe80::f816:3eff:fe00:1/64 dev eth0
    }
}
";

/// A slip of the pen in a template.
const SLIP: (&str, &str) = ("virtual_router_id", "virtual_router_di");

/// The exit code, and what is printed.
fn verdict(machine: &Machine, text: &str) -> Result<(Option<i32>, String)> {
    machine.node.write_file("/tmp/generated12345", text)?;
    let output = machine.run(&["keepalived", "-t", "-f", "/tmp/generated12345"])?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    Ok((output.status.code(), printed))
}

#[test]
fn files_are_judged_as_c_judges_them() {
    let codes = same_for_both(|machine| {
        let mut codes = Vec::new();
        for text in [ANSIBLE, PUPPET, K0S, OCTAVIA, NEUTRON] {
            let (code, printed) = verdict(machine, text)?;
            let is_quiet = [PUPPET, K0S].contains(&text);
            assert!(!is_quiet || printed.is_empty(), "{printed}");
            let (right, wrong) = SLIP;
            let (slip, printed) = verdict(machine, &text.replace(right, wrong))?;
            let named = "Unknown keyword 'virtual_router_di'";
            assert!(printed.contains(named), "{printed}");
            codes.push((code, slip));
        }
        Ok(codes)
    });
    if let Some(codes) = codes {
        // C tells Ansible's and Neutron's that a line has no effect.
        let good = codes.iter().map(|(code, _)| *code);
        let expected = [5, 0, 0, 0, 5].map(Some);
        assert_eq!(good.collect::<Vec<_>>(), expected);
        assert!(codes.iter().all(|(_, slip)| *slip == Some(5)), "{codes:?}");
    }
}
