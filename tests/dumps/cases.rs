//! Configurations that stand for those that people have, and by what lines of
//! the log each has come to rest.

/// One configuration.
pub struct Case {
    pub configuration: &'static str,
    /// Lines that both daemons write before they are compared.
    pub lines: &'static [&'static str],
    /// The configuration of a third node that both hear.
    pub master: Option<&'static str>,
}

const UP_LINE: &str = "gratuitous ARPs on eth0 for 192.0.2.100";
const UP: &[&str] = &[UP_LINE];

fn alone(configuration: &'static str, lines: &'static [&'static str]) -> Case {
    Case {
        configuration,
        lines,
        master: None,
    }
}

pub fn one_instance() -> Case {
    alone(
        "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
         priority 150\n advert_int 1\n authentication {\n auth_type PASS\n auth_pass secret12\n }\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn address_owner() -> Case {
    alone(
        "vrrp_instance VI_1 {\n state MASTER\n interface eth0\n virtual_router_id 1\n \
         priority 255\n virtual_ipaddress {\n 192.0.2.100\n }\n}\n",
        UP,
    )
}

pub fn without_authentication() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 255\n priority 254\n \
         virtual_ipaddress {\n 192.0.2.100/32\n }\n}\n",
        UP,
    )
}

pub fn unicast() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 9\n priority 200\n \
         unicast_peer {\n 192.0.2.7\n 192.0.2.8\n }\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn addresses_with_options() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 250\n \
         virtual_ipaddress {\n 192.0.2.100/24 label eth0:1\n 198.51.100.1/25 brd + scope site\n \
         203.0.113.9 dev eth0 scope host\n 203.0.113.10/32 dev lo noprefixroute\n \
         203.0.113.11/28 dev eth0 no_track brd 203.0.113.15\n }\n}\n",
        &["gratuitous ARPs on eth0 for 203.0.113.11"],
    )
}

pub fn several_instances() -> Case {
    alone(
        "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n priority 250\n \
         virtual_ipaddress {\n 192.0.2.101/24\n }\n}\n\
         vrrp_instance \"B b\" {\n interface eth0\n virtual_router_id 2\n priority 200\n \
         virtual_ipaddress {\n 192.0.2.102/24\n }\n}\n\
         vrrp_instance C {\n interface eth0\n virtual_router_id 3\n priority 150\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn sync_group() -> Case {
    alone(
        "global_defs {\n script_user root\n enable_script_security\n}\n\
         vrrp_script chk {\n script /bin/true\n interval 50\n}\n\
         vrrp_sync_group G {\n group {\n A\n B\n }\n track_script {\n chk\n }\n \
         notify_master \"/bin/true a\"\n notify /usr/bin/true\n smtp_alert\n}\n\
         vrrp_instance A {\n interface eth0\n virtual_router_id 1\n priority 250\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n\
         vrrp_instance B {\n interface eth0\n virtual_router_id 2\n priority 200\n \
         virtual_ipaddress {\n 192.0.2.101/24\n }\n}\n",
        &[UP_LINE, "gratuitous ARPs on eth0 for 192.0.2.101"],
    )
}

pub fn notify_scripts() -> Case {
    alone(
        "global_defs {\n script_user root\n enable_script_security\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n notify_master \"/bin/true a b\"\n \
         notify_backup /bin/true\n notify_fault \"/bin/true c\" nobody\n notify_stop /bin/true\n \
         notify /usr/bin/true\n}\n",
        UP,
    )
}

pub fn script_that_adds() -> Case {
    alone(
        "global_defs {\n script_user root\n}\n\
         vrrp_script chk {\n script /bin/true\n interval 2\n weight 20\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 200\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_script {\n chk\n }\n}\n",
        &["VRRP_Script(chk) succeeded", UP_LINE],
    )
}

pub fn script_that_subtracts() -> Case {
    alone(
        "global_defs {\n script_user root\n}\n\
         vrrp_script chk {\n script /bin/false\n interval 1\n weight -60\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_script {\n chk\n }\n}\n",
        &["Changing effective priority from 254 to 194", UP_LINE],
    )
}

pub fn script_that_faults() -> Case {
    alone(
        "global_defs {\n script_user root\n}\n\
         vrrp_script chk {\n script \"/bin/false x\"\n interval 50\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 100\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_script {\n chk\n }\n}\n",
        &["now returning 1"],
    )
}

pub fn script_that_waits() -> Case {
    alone(
        "global_defs {\n script_user root\n}\n\
         vrrp_script chk {\n script \"/bin/sleep 100\"\n interval 50\n timeout 60\n}\n\
         vrrp_instance VI_1 {\n state MASTER\n interface eth0\n virtual_router_id 51\n \
         priority 100\n virtual_ipaddress {\n 192.0.2.100/24\n }\n track_script {\n chk\n }\n}\n",
        &["Startup complete"],
    )
}

pub fn script_with_everything() -> Case {
    alone(
        "global_defs {\n script_user nobody\n}\n\
         vrrp_script chk {\n script \"/bin/sh -c 'exit 0'\"\n interval 40\n timeout 3\n rise 2\n \
         fall 5\n weight 4\n user root\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 250\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_script {\n chk\n }\n}\n\
         vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 52\n priority 250\n \
         virtual_ipaddress {\n 192.0.2.101/24\n }\n track_script {\n chk\n }\n}\n",
        UP,
    )
}

pub fn nopreempt() -> Case {
    alone(
        "vrrp_instance VI_1 {\n state BACKUP\n nopreempt\n interface eth0\n \
         virtual_router_id 51\n priority 250\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn gratuitous_arp() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         garp_master_delay 7\n garp_master_repeat 2\n garp_master_refresh 30\n \
         garp_master_refresh_repeat 3\n garp_lower_prio_delay 4\n garp_lower_prio_repeat 1\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn gratuitous_arp_for_all() -> Case {
    alone(
        "global_defs {\n vrrp_garp_master_delay 2\n vrrp_garp_master_repeat 1\n \
         vrrp_garp_master_refresh 60\n vrrp_garp_master_refresh_repeat 2\n \
         vrrp_garp_lower_prio_delay 3\n vrrp_garp_lower_prio_repeat 4\n \
         vrrp_skip_check_adv_addr\n vrrp_mcast_group4 224.0.0.99\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn long_interval() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 17\n \
         advert_int 20\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        &["(VI_1) Entering BACKUP STATE"],
    )
}

pub fn multicast_source() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         mcast_src_ip 192.0.2.77\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn address_on_another_interface() -> Case {
    alone(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         virtual_ipaddress {\n 192.0.2.100/24\n 198.51.100.9/24 dev lo\n }\n smtp_alert false\n}\n",
        UP,
    )
}

pub fn mail() -> Case {
    alone(
        "global_defs {\n router_id LVS_1\n notification_email {\n root@localhost\n \
         ops@example.org\n }\n notification_email_from keepalived@example.org\n \
         smtp_server 127.0.0.1 2525\n smtp_connect_timeout 4\n smtp_helo_name here.example.org\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 254\n \
         smtp_alert\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        UP,
    )
}

pub fn definitions() -> Case {
    alone(
        "$IF=eth0\n$VRID=77\nglobal_defs {\n smtp_server 127.0.0.1\n}\n\
         vrrp_instance VI_1 {\n interface $IF\n virtual_router_id ${VRID}\n priority 254 # high\n \
         virtual_ipaddress {\n 192.0.2.100/24 dev $IF\n }\n}\n",
        UP,
    )
}

pub fn backup_of_a_master() -> Case {
    Case {
        configuration: "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n \
             priority 100\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        lines: &["(VI_1) Entering BACKUP STATE"],
        master: Some(
            "vrrp_instance VI_1 {\n state MASTER\n interface eth0\n virtual_router_id 51\n \
             priority 254\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n",
        ),
    }
}

pub fn tracked_files() -> Case {
    alone(
        "track_file zero {\n file /run/zero\n weight 0\n init_file 0\n}\n\
         track_file adds {\n file /run/adds\n weight 2\n init_file 10 overwrite\n}\n\
         track_file turned {\n file /run/turned\n weight -3 reverse\n init_file 5\n}\n\
         track_file absent {\n file /run/absent\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 200\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_file {\n zero\n adds weight 1\n \
         turned\n absent weight 4 reverse\n }\n}\n\
         vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 52\n priority 200\n \
         virtual_ipaddress {\n 192.0.2.101/24\n }\n track_file {\n adds\n }\n}\n",
        &[UP_LINE, "gratuitous ARPs on eth0 for 192.0.2.101"],
    )
}

pub fn file_that_faults() -> Case {
    alone(
        "track_file far {\n file /run/far\n weight -100\n init_file 3\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 200\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_file {\n far\n }\n}\n",
        &["tracked file far has status"],
    )
}

pub fn tracked_processes() -> Case {
    alone(
        "vrrp_track_process keeps {\n process keepalived-none\n weight -10\n quorum 2\n \
         quorum_max 7\n delay 3\n}\n\
         vrrp_track_process full {\n process /usr/bin/none one \"two three\"\n weight 20 reverse\n \
         param_match initial\n fork_delay 1.5\n terminate_delay 0.25\n full_command\n}\n\
         vrrp_track_process none {\n process nobody-runs-this\n quorum_max 0\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 240\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_process {\n keeps weight -7\n full\n \
         none\n }\n}\n",
        UP,
    )
}

pub fn process_that_subtracts_all() -> Case {
    alone(
        "vrrp_track_process gone {\n process nobody-runs-this\n weight -254\n}\n\
         vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n priority 240\n \
         virtual_ipaddress {\n 192.0.2.100/24\n }\n track_process {\n gone\n }\n}\n",
        &["Changing effective priority from 240 to 1", UP_LINE],
    )
}

/// Backups for a long time.
pub fn many_instances(count: u8) -> String {
    let instance = |number: u8| {
        format!(
            "vrrp_instance VI_{number} {{\n interface eth0\n virtual_router_id {number}\n \
             priority 100\n advert_int 30\n virtual_ipaddress {{\n 10.0.{number}.1/24\n }}\n}}\n"
        )
    };
    (1..=count).map(instance).collect()
}
