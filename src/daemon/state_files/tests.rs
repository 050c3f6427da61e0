//! The texts for configurations that the daemon does not run yet, next to what C
//! keepalived 2.2.7 printed for them, and how files are written.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::*;
use crate::config::model::{
    Authentication, Command, InitialState, Instance, Notify, ParameterMatch, Password,
    PreferredLifetime, Script, ScriptUser, SyncGroup, TrackInterface, TrackScript, TrackedProcess,
    UnicastPeer, Version, VirtualAddress,
};
use crate::ids::{Priority, Vrid};
use crate::vrrp::Engine;
use crate::vrrp::statistics::Statistics;

fn view(config: Config) -> View {
    let snapshot = Engine::new(config).snapshot(crate::time::Instant::ZERO);
    View::new(snapshot, BTreeMap::new(), -1)
}

fn around(directory: &Path) -> Surroundings {
    Surroundings {
        directory: directory.to_owned(),
        namespace: None,
        instance: None,
        host_name: "box".to_owned(),
        umask: None,
    }
}

fn data(config: Config) -> String {
    view(config).data(&around(Path::new("/tmp")))
}

fn command(words: &[&str]) -> Option<Command> {
    let user = ScriptUser {
        user: "root".to_owned(),
        group: None,
        supplementary_groups: false,
    };
    Some(Command {
        argv: words.iter().map(ToString::to_string).collect(),
        user: Some(user),
    })
}

fn instance(name: &str, interface: &str, vrid: u8) -> Instance {
    Instance::new(name, interface, Vrid::new(vrid).unwrap())
}

fn vip(text: &str, prefix_length: u8, interface: &str) -> VirtualAddress {
    VirtualAddress::new(text.parse().unwrap(), prefix_length, interface)
}

/// What the configuration means for which C printed the texts below.
fn groups() -> Config {
    let script = Arc::new(Script {
        name: "chk".to_owned(),
        command: command(&["/usr/bin/true", "a", "b"]).unwrap(),
        interval: Interval::from_secs(2),
        timeout: Interval::from_secs(2),
        rise: 2,
        fall: 3,
        init_fail: false,
    });
    let group = SyncGroup {
        name: "G1".to_owned(),
        instances: vec!["VI_1".to_owned(), "VI_2".to_owned()],
        initial_state: InitialState::Backup,
        track_interfaces: vec![TrackInterface {
            interface: "v0".to_owned(),
            weight: 2,
            reverse: false,
        }],
        track_scripts: vec![TrackScript {
            script: Arc::clone(&script),
            weight: -4,
            reverse: false,
        }],
        track_files: Vec::new(),
        track_processes: Vec::new(),
        track_bfds: Vec::new(),
        tracking_weight: false,
        notify: Notify {
            master: command(&["/usr/bin/true"]).map(Box::new),
            any: command(&["/usr/bin/true", "x"]).map(Box::new),
            ..Notify::default()
        },
        smtp_alert: true,
        notify_priority_changes: None,
    };
    let process = TrackedProcess {
        name: "sshd".to_owned(),
        program: "/usr/sbin/sshd".to_owned(),
        parameters: vec!["a".to_owned(), "b".to_owned()],
        parameter_match: ParameterMatch::Partial,
        weight: 0,
        reverse: false,
        quorum: 2,
        quorum_max: Some(3),
        terminate_delay: Interval::ZERO,
        fork_delay: Interval::from_ms(1_500),
        full_command: true,
    };
    Config {
        instances: vec![
            Arc::new(Box::new(first())),
            Arc::new(Box::new(second())),
            Arc::new(Box::new(sixth())),
        ],
        sync_groups: vec![Arc::new(group)],
        scripts: vec![script],
        track_processes: vec![Arc::new(process)],
        ..Config::default()
    }
}

fn first() -> Instance {
    let mut it = instance("VI_1", "v0", 51);
    it.initial_state = InitialState::Master;
    it.authentication = Some(Authentication::Password(Password(*b"secret12")));
    let mut labelled = vip("10.0.0.100", 24, "v0");
    labelled.label = Some("v0:1".to_owned());
    it.virtual_addresses.push(labelled);
    let mut link = vip("10.0.0.102", 24, "v0");
    link.broadcast = Some("10.0.0.255".parse().unwrap());
    link.scope = 253;
    it.excluded_addresses = vec![link, vip("2001:db8::5", 64, "v0")];
    it
}

fn second() -> Instance {
    let mut it = instance("VI_2", "v1", 52);
    let peers: [IpAddr; 2] = ["10.1.0.2".parse().unwrap(), "10.1.0.3".parse().unwrap()];
    it.unicast_peers = peers.map(UnicastPeer::from).to_vec();
    it.unicast_peers[1].min_ttl = Some(250);
    it.virtual_addresses.push(vip("10.1.0.100", 24, "v1"));
    it
}

fn sixth() -> Instance {
    let mut it = instance("VI_6", "v1", 53);
    (it.version, it.ipv6) = (Version::V3, true);
    it.priority = Priority(90);
    it.advert_interval = Interval::from_ms(500);
    it.preempt_delay = Interval::from_secs(5);
    let mut deprecated = vip("2001:db8:1::1", 64, "v1");
    deprecated.preferred_lifetime = Some(PreferredLifetime::Seconds(0));
    it.virtual_addresses = vec![vip("fe80::100", 128, "v1"), deprecated];
    it
}

#[track_caller]
fn assert_in(text: &str, block: &str) {
    assert!(text.contains(block), "no\n{block}in\n{text}");
}

#[test]
fn groups_and_what_they_track_are_printed_as_c_does() {
    let text = data(groups());
    assert_in(
        &text,
        "   VRRP member instances :
     VI_1
     VI_2
   Using smtp notification = yes
   Tracked interfaces :
     v0 weight 2
   Tracked scripts :
     chk weight -4
   Master state transition script = '/usr/bin/true', uid:gid 0:0
   Generic state transition script = '/usr/bin/true' 'x', uid:gid 0:0
",
    );
    assert_in(
        &text,
        "------< VRRP Scripts >------
 VRRP Script = chk
   Command = '/usr/bin/true' 'a' 'b'
   Interval = 2 sec
   Timeout = 0 sec
   Weight = -4
   Rise = 2
   Fall = 3
",
    );
    assert_in(
        &text,
        "   Insecure = no
   Init state = INIT
   Status = BAD
   Script uid:gid = 0:0
   VRRP instances :
   Tracking instances :
     VI_1, weight -4
     VI_2, weight -4
   State = idle
",
    );
}

#[test]
fn addresses_and_passwords_are_printed_as_c_does() {
    assert_in(
        &data(groups()),
        "   Authentication type = SIMPLE_PASSWORD
   Password = ********
   Virtual IP (1):
     10.0.0.100/24 dev v0 scope global label v0:1
   Virtual IP Excluded :
     10.0.0.102/24 brd 10.0.0.255 dev v0 scope link
     2001:db8::5/64 dev v0 scope global preferred_lft forever
   No sockets allocated
   Using smtp notification = ",
    );
}

#[test]
fn processes_are_printed_as_c_does() {
    assert_in(
        &data(groups()),
        "------< VRRP Track processes >------
 VRRP Track process = sshd
   Process = /usr/sbin/sshd
   Parameters = a b
   Param match = partial
   Min processes = 2
   Max processes = 3
   Current processes = 0
   Have quorum = false
   Weight = 0
   Terminate delay = 0.000000s
   Fork delay = 1.500000s
   Full command = true
",
    );
}

#[test]
fn version_3_and_unicast_are_printed_as_c_does() {
    let text = data(groups());
    assert_in(
        &text,
        "   Virtual Router ID = 53
   Priority = 90
   Advert interval = 500 milli-sec
   Accept = enabled
   Preempt = enabled
   Preempt delay = 5 secs
   Promote_secondaries = disabled
   Virtual IP (2):
     fe80::100 dev v1 scope global deprecated
     2001:db8:1::1/64 dev v1 scope global deprecated
",
    );
    assert_in(
        &text,
        "   Unicast Peer :
     10.1.0.2 min_ttl 0 max_ttl 255
     10.1.0.3 min_ttl 250 max_ttl 255
   Unicast checksum compatibility = no
",
    );
}

#[test]
fn before_the_start_no_state_is_printed() {
    let text = data(groups());
    for line in [
        "   State = MASTER",
        "   Effective priority",
        "   Last transition",
    ] {
        assert!(!text.contains(line), "{line}");
    }
    assert_in(&text, "   Wantstate = MASTER\n");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn json_version_2_is_an_object() {
    let with = |version: u8| {
        let mut config = groups();
        config.globals.json_version = version;
        let text = view(config).text(StateFile::Json, &around(Path::new("/tmp")));
        let text = text.expect("instances");
        assert!(!text.contains("secret"), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    assert_eq!(with(1).as_array().map(Vec::len), Some(3));
    let whole = with(2);
    let instances = whole.get("vrrp").and_then(|it| it.as_array());
    assert_eq!(instances.map(Vec::len), Some(3));
    let interval = instances
        .and_then(|all| all.get(2))
        .map(|it| &it["data"]["adver_int"]);
    assert_eq!(interval, Some(&serde_json::json!(0.5)));
    let process = &whole["track_process"][0];
    assert_eq!(process["param_match"], "partial");
    assert_eq!(process["fork_delay"], serde_json::json!(1.5));
}

#[test]
fn without_instances_there_is_no_json() {
    let view = view(Config::default());
    assert_eq!(view.text(StateFile::Json, &around(Path::new("/tmp"))), None);
    assert_eq!(
        view.text(StateFile::Statistics, &around(Path::new("/tmp"))),
        Some(String::new())
    );
}

#[test]
fn a_file_replaces_what_was_there_and_follows_no_link() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("victim"), "precious").unwrap();
    let path = at("keepalived.data");
    symlink(at("victim"), &path).unwrap();
    for text in ["one\n", "the second\n", ""] {
        write_file(&path, text, 0o600).unwrap();
        assert_eq!(fs::read_to_string(at("keepalived.data")).unwrap(), text);
    }
    assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
    let metadata = fs::symlink_metadata(at("keepalived.data")).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_replaced_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keepalived.data");
    fs::create_dir(&path).unwrap();
    assert!(write_file(&path, "text", 0o600).is_err());
    assert!(
        write_file(
            &directory.path().join("none/keepalived.data"),
            "text",
            0o600
        )
        .is_err()
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// Every counter with a number of its own, so that none can stand for another.
#[test]
fn every_counter_stands_where_its_readers_look_for_it() {
    let config = Config {
        instances: vec![Arc::new(Box::new(first()))],
        ..Config::default()
    };
    let mut view = view(config);
    view.snapshot.instances[0].statistics = Statistics {
        advert_rcvd: 1,
        advert_sent: 2,
        become_master: 3,
        release_master: 4,
        packet_len_err: 5,
        ip_ttl_err: 6,
        invalid_type_rcvd: 7,
        advert_interval_err: 8,
        addr_list_err: 9,
        invalid_authtype: 10,
        authtype_mismatch: 11,
        auth_failure: 12,
        auth_ext_missing: 13,
        auth_ext_malformed: 14,
        auth_ext_unknown_key: 15,
        auth_ext_invalid_hmac: 16,
        auth_ext_stale: 17,
        auth_ext_replay: 18,
        pri_zero_rcvd: 19,
        pri_zero_sent: 20,
        // Not in C's files.
        ..Statistics::default()
    };
    let around = around(Path::new("/tmp"));
    let text = view.text(StateFile::Statistics, &around).unwrap();
    let expected = "VRRP Instance: VI_1
  Advertisements:
    Received: 1
    Sent: 2
  Became master: 3
  Released master: 4
  Packet Errors:
    Length: 5
    TTL: 6
    Invalid Type: 7
    Advertisement Interval: 8
    Address List: 9
  Authentication Errors:
    Invalid Type: 10
    Type Mismatch: 11
    Failure: 12
  Authentication Extension Errors:
    Missing: 13
    Malformed: 14
    Unknown Key: 15
    Invalid HMAC: 16
    Stale: 17
    Replay: 18
  Priority Zero:
    Received: 19
    Sent: 20
";
    assert_eq!(text, expected);
    let json = view.text(StateFile::Json, &around).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "advert_rcvd": 1, "advert_sent": 2, "become_master": 3, "release_master": 4,
        "packet_len_err": 5, "ip_ttl_err": 6, "invalid_type_rcvd": 7,
        "advert_interval_err": 8, "addr_list_err": 9, "invalid_authtype": 10,
        "authtype_mismatch": 11, "auth_failure": 12, "auth_ext_missing": 13,
        "auth_ext_malformed": 14, "auth_ext_unknown_key": 15, "auth_ext_invalid_hmac": 16,
        "auth_ext_stale": 17, "auth_ext_replay": 18, "pri_zero_rcvd": 19, "pri_zero_sent": 20,
    });
    assert_eq!(json[0]["stats"], expected);
}

/// Tools tell an instance without an interface by the field that is not there.
#[test]
fn an_instance_without_an_interface_names_none() {
    let config = || Config {
        instances: vec![Arc::new(Box::new(Instance {
            source_address: Some("192.0.2.1".parse().unwrap()),
            unicast_peers: vec![UnicastPeer::from("192.0.2.2".parse::<IpAddr>().unwrap())],
            virtual_addresses: vec![vip("192.0.2.9", 24, "v0")],
            ..instance("VI_1", "", 51)
        }))],
        ..Config::default()
    };
    let text = view(config()).text(StateFile::Json, &around(Path::new("/tmp")));
    let json: serde_json::Value = serde_json::from_str(&text.unwrap()).expect("JSON");
    assert_eq!(json[0]["data"]["iname"], "VI_1");
    assert_eq!(json[0]["data"].get("ifp_ifname"), None);
    let text = data(config());
    assert!(
        !text.lines().any(|line| line.trim_end() == "   Interface ="),
        "{text}"
    );
}

#[test]
fn a_file_lies_where_the_configuration_wants_it() {
    let around = Surroundings {
        namespace: Some("blue".to_owned()),
        instance: Some("FOO".to_owned()),
        ..around(Path::new("/dumps"))
    };
    let mut globals = Globals::default();
    let names = [DATA, PARENT_DATA, STATISTICS, JSON];
    let all =
        |globals: &Globals| names.map(|name| around.place(name, globals).display().to_string());
    let plain = names.map(|name| format!("/dumps/{name}"));
    assert_eq!(all(&globals), plain);
    globals.places.data_use_instance = true;
    let [data, parent, stats, json] = all(&globals);
    assert_eq!(data, "/dumps/keepalived.blue_FOO.data");
    assert_eq!(parent, "/dumps/keepalived_parent.blue_FOO.data");
    assert_eq!(
        [stats, json],
        ["/dumps/keepalived.stats", "/dumps/keepalived.json"]
    );
    globals.places.data_use_instance = false;
    globals.places.state_dump_file = Some("/there/state.txt".to_owned());
    globals.places.statistics_dump_file = Some("/there/".to_owned());
    globals.places.json_dump_file = Some("j".to_owned());
    let [data, parent, stats, json] = all(&globals);
    assert_eq!(data, "/there/state.txt");
    assert_eq!(parent, "/dumps/keepalived_parent.data");
    assert_eq!([stats, json], ["/there/keepalived.stats", "/dumps/j"]);
}

/// `umask` says who may read; the owner always may.
#[test]
fn the_mask_says_who_may_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keepalived.data");
    for (mask, mode) in [(0o177, 0o600), (0o022, 0o644), (0o777, 0o600), (0, 0o666)] {
        write_file(&path, "text", 0o666 & !mask).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
    }
}

/// In a directory for all with the sticky bit, where somebody else has taken the name,
/// nothing is written into his file.
#[test]
fn a_file_of_somebody_else_is_never_written_to() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let path = directory.path().join("keepalived.data");
    fs::write(&path, "theirs").unwrap();
    if std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).is_err() {
        return; // Only root can give a file away.
    }
    let theirs = File::open(&path).unwrap();
    write_file(&path, "secret", 0o600).unwrap();
    assert_eq!(io::read_to_string(theirs).unwrap(), "theirs");
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
}
