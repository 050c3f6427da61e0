//! How an answer looks to people, next to files.

use keepalived_rs::cli::status::{BLOCKS_MAX, Style, text};
use keepalived_rs::daemon::status::document::{
    Contended, Contribution, Daemon, Document, Fault, Group, Instance, LastRefusal, LastRun,
    Master, Moment, Peer, Priority, Reload, Script, Vip,
};

/// A day in 2026.
const NOW: f64 = 1_795_259_444.0;

const PLAIN: Style = Style {
    colour: false,
    date,
};

/// Does not depend on the time zone of this machine.
fn date(epoch_s: u64) -> String {
    let of_day = epoch_s % 86_400;
    let (hours, minutes, seconds) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("2026-11-21 {hours:02}:{minutes:02}:{seconds:02}")
}

fn ago(seconds_ago: f64) -> Moment {
    Moment {
        unix_seconds: NOW - seconds_ago,
        seconds_ago,
    }
}

fn vip(address: &str, installed: bool) -> Vip {
    Vip {
        address: address.to_owned(),
        interface: "eth0".to_owned(),
        installed,
    }
}

fn weight(kind: &str, name: &str, weight: i32, amount: i32) -> Contribution {
    Contribution {
        kind: kind.to_owned(),
        name: Some(name.to_owned()),
        weight: Some(weight),
        reverse: false,
        of_group: false,
        amount,
    }
}

fn peer(address: &str) -> Peer {
    Peer {
        address: address.to_owned(),
        configured: true,
        priority: Some(100),
        advert_seconds: Some(1.0),
        vrrp_version: Some(2),
        last_heard: Some(ago(4_000.0)),
        accepted: 12,
        ..Peer::default()
    }
}

fn instance(name: &str, state: &str) -> Instance {
    let is_master = state == "MASTER";
    let mut it = Instance {
        name: name.to_owned(),
        state: state.to_owned(),
        since: ago(4_002.5),
        reason: Some("master 192.0.2.2 silent for 3.415 s".to_owned()),
        evidence: Some(
            "last advert 3.415 s ago from 192.0.2.2 with priority 200, link eth0 up, \
             2 scripts ok, own priority 150"
                .to_owned(),
        ),
        vrrp_version: 2,
        family: "IPv4".to_owned(),
        vrid: 51,
        interface: "eth0".to_owned(),
        source: Some("192.0.2.1".to_owned()),
        advert_seconds: 1.0,
        master_down_seconds: 3.609_375,
        priority: Priority {
            effective: 150,
            base: 150,
            contributions: Vec::new(),
        },
        vips: vec![vip("192.0.2.100/24", is_master)],
        ..Instance::default()
    };
    it.counters.advert_sent = 4_003;
    it.counters.become_master = 1;
    it
}

fn daemon() -> Daemon {
    Daemon {
        version: "1.2.3".to_owned(),
        host: "lb1".to_owned(),
        pid: 1_234,
        vrrp_pid: Some(1_236),
        config_file: "/etc/keepalived/keepalived.conf".to_owned(),
        started: ago(273_000.0),
        ..Daemon::default()
    }
}

fn script(name: &str, standing: &str) -> Script {
    Script {
        name: name.to_owned(),
        standing: standing.to_owned(),
        command: vec![format!("/usr/local/bin/{name}"), "--quick".to_owned()],
        tracked_by: vec!["VI_front".to_owned()],
        ..Script::default()
    }
}

/// All is well.
fn healthy() -> Document {
    let mut master = instance("VI_front", "MASTER");
    master.group = Some("G".to_owned());
    master.priority.effective = 170;
    master.priority.contributions = vec![
        weight("script", "chk_nginx", 20, 20),
        weight("interface", "eth1", -30, 0),
    ];
    master.vips.push(Vip {
        interface: "eth1".to_owned(),
        ..vip("10.0.0.1/24", true)
    });
    master.peers = vec![peer("192.0.2.2")];
    let mut backup = instance("VI_back", "BACKUP");
    backup.vrrp_version = 3;
    backup.family = "IPv6".to_owned();
    backup.source = Some("fe80::1".to_owned());
    backup.vips = vec![vip("2001:db8::100/64", false)];
    backup.advert_seconds = 0.05;
    backup.reason = Some("fe80::2 has priority 200".to_owned());
    backup.master = Some(Master {
        address: "fe80::2".to_owned(),
        priority: 200,
        advert_seconds: 0.05,
    });
    backup.master_down_seconds = 0.180_4;
    backup.peers = vec![Peer {
        priority: Some(200),
        advert_seconds: Some(0.05),
        vrrp_version: Some(3),
        last_heard: Some(ago(0.03)),
        ..peer("fe80::2")
    }];
    let mut good = script("chk_nginx", "up");
    good.last_run = Some(LastRun {
        at: ago(0.4),
        outcome: "exited".to_owned(),
        number: Some(0),
    });
    let mut fresh = script("chk_fresh", "unknown");
    fresh.running = true;
    Document {
        version: 1,
        daemon: Daemon {
            reload: Some(Reload {
                at: ago(7_260.0),
                accepted: true,
                reason: None,
                mistakes: Vec::new(),
            }),
            ..daemon()
        },
        instances: vec![master, backup],
        groups: vec![Group {
            name: "G".to_owned(),
            state: "MASTER".to_owned(),
            members: vec!["VI_front".to_owned(), "VI_other".to_owned()],
            ..Group::default()
        }],
        scripts: vec![good, fresh],
    }
}

/// Nothing is.
fn troubled() -> Document {
    let mut contended = instance("VI_front", "MASTER");
    contended.vips.push(vip("192.0.2.101/24", false));
    contended.contended = Some(Contended {
        since: ago(65.0),
        peer: "192.0.2.2".to_owned(),
        priority: 100,
        reason: "its adverts are refused (wrong password)".to_owned(),
        fix: "use the same auth_pass on both nodes".to_owned(),
    });
    contended.peers = vec![
        Peer {
            accepted: 0,
            refused: 66,
            last_heard: Some(ago(0.2)),
            last_refusal: Some(LastRefusal {
                at: ago(0.2),
                reason: "wrong password".to_owned(),
            }),
            ..peer("192.0.2.2")
        },
        Peer {
            address: "192.0.2.3".to_owned(),
            configured: true,
            ..Peer::default()
        },
    ];
    contended.counters.auth_failure = 66;
    contended.counters.chk_err = 1;
    let mut fault = instance("VI_back", "FAULT");
    fault.reason = Some("script chk_lost fails".to_owned());
    fault.faults = ["script chk_lost fails", "interface eth0 is down"]
        .map(|text| Fault {
            text: text.to_owned(),
            ..Fault::default()
        })
        .to_vec();
    fault.vips = vec![vip("192.0.2.102/24", true)];
    let mut waiting = instance("VI_slow", "INIT");
    waiting.reason = Some("started".to_owned());
    waiting.awaits = vec!["chk_slow".to_owned(), "file limit".to_owned()];
    waiting.notify_skipped = 3;
    let mut lost = script("chk_lost", "down");
    lost.disabled = Some("others than root can change /usr/local/bin".to_owned());
    let mut slow = script("chk_slow", "down");
    slow.last_run = Some(LastRun {
        at: ago(12.0),
        outcome: "timed-out".to_owned(),
        number: None,
    });
    Document {
        version: 1,
        daemon: Daemon {
            namespace: Some("blue".to_owned()),
            replaced: 2,
            reload: Some(Reload {
                at: ago(3.0),
                accepted: false,
                reason: Some(
                    "(/etc/keepalived/conf.d/front.conf: Line 8) (VI_front) Priority not valid! \
                     must be between 1 & 255. Using default 100"
                        .to_owned(),
                ),
                mistakes: Vec::new(),
            }),
            ..daemon()
        },
        instances: vec![contended, fault, waiting],
        groups: Vec::new(),
        scripts: vec![lost, slow],
    }
}

/// More than fit as blocks.
fn many() -> Document {
    let states = ["MASTER", "BACKUP", "MASTER", "FAULT"];
    let count = u8::try_from(BLOCKS_MAX + 3).expect("a small number");
    let instances = (1..=count).map(|number| {
        let state = states[usize::from(number) % states.len()];
        let mut it = instance(&format!("VI_{number}"), state);
        it.vrid = number;
        it.interface = format!("bond0.{}", u16::from(number) * 100);
        it.since = ago(f64::from(number).powi(5));
        it.vips = vec![vip(&format!("192.0.2.{number}/24"), state == "MASTER")];
        match state {
            "BACKUP" => {
                let long = if number == 5 {
                    "9abc:def0:1357:2468:"
                } else {
                    ":"
                };
                it.master = Some(Master {
                    address: format!("2001:db8:1234:5678:{long}2"),
                    priority: 200,
                    advert_seconds: 1.0,
                });
            }
            "FAULT" => {
                it.faults = vec![Fault {
                    text: "interface bond0 does not exist".to_owned(),
                    ..Fault::default()
                }];
            }
            _ => {}
        }
        it
    });
    let mut document = Document {
        version: 1,
        daemon: daemon(),
        instances: instances.collect(),
        ..Document::default()
    };
    let scripts = (1..=20).map(|number| {
        let standing = if number == 7 { "down" } else { "up" };
        script(&format!("chk_{number}"), standing)
    });
    document.scripts = scripts.collect();
    let bad = &mut document.instances[1];
    bad.contended = troubled().instances[0].contended.clone();
    bad.vips[0].installed = false;
    document
}

fn without_vrrp() -> Document {
    Document {
        version: 1,
        daemon: Daemon {
            vrrp_pid: None,
            replaced: 1,
            without_vrrp: Some("the VRRP process died, and is started again soon".to_owned()),
            ..daemon()
        },
        ..Document::default()
    }
}

fn one() -> Document {
    let mut document = healthy();
    document.instances.truncate(1);
    document.instances[0].peers.clear();
    document
}

#[test]
fn the_text_is_as_in_the_files() {
    let cases = [
        ("healthy", healthy(), false),
        ("troubled", troubled(), false),
        ("many", many(), false),
        ("without-vrrp", without_vrrp(), false),
        ("one", one(), true),
    ];
    for (name, document, detailed) in cases {
        let shown = text(&document, detailed, PLAIN);
        let path = format!("tests/status/{name}.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &shown).expect("a writable checkout");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(shown == expected, "{path} differs:\n{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "too wide: {line}");
            assert_eq!(line, line.trim_end());
        }
        let coloured = text(
            &document,
            detailed,
            Style {
                colour: true,
                ..PLAIN
            },
        );
        assert_eq!(without_colours(&coloured), shown, "colours move nothing");
        assert_eq!(
            coloured.contains('\u{1b}'),
            !document.daemon.host.is_empty()
        );
        let again: Document =
            serde_json::from_str(&serde_json::to_string(&document).expect("JSON")).expect("JSON");
        assert_eq!(again, document, "nothing is lost on the way");
    }
}

#[test]
fn every_field_is_described() {
    let page = std::fs::read_to_string("docs/operating/status.md").expect("the page");
    for document in [healthy(), troubled()] {
        let value = serde_json::to_value(&document).expect("JSON");
        let mut names = Vec::new();
        collect(&value, &mut names);
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            assert!(
                page.contains(&format!("`{name}`")),
                "{name} is not described"
            );
        }
    }
}

/// The names of all fields but those of the counters, which are C's.
fn collect(value: &serde_json::Value, names: &mut Vec<String>) {
    if let Some(object) = value.as_object() {
        for (name, inner) in object {
            names.push(name.clone());
            if name != "counters" {
                collect(inner, names);
            }
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        collect(inner, names);
    }
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain
}
