//! Sync groups: members, weights, start. The texts are those of C 2.2.7.

use super::*;
use crate::config::model::SyncGroup;

const GROUP: &str = "vrrp_sync_group G {\ngroup {\nVI\nVJ\n}\n";

/// Two instances; `more` goes into the first one, `other` into the second one.
fn pair(more: &str, other: &str) -> String {
    let second = format!(
        "vrrp_instance VJ {{\ninterface e0\nvirtual_router_id 6\n{other}\n\
         virtual_ipaddress {{\n192.0.2.2\n}}\n}}\n"
    );
    format!("{}{second}", with(more))
}

fn told(loaded: &Loaded) -> Vec<String> {
    let told = loaded.diagnostics.iter().filter(|found| {
        found.severity > diagnostic::Severity::Hint && found.code != "does-not-work-yet"
    });
    told.map(|found| found.as_c_line(&loaded.sources)).collect()
}

#[track_caller]
fn group(loaded: &Loaded) -> SyncGroup {
    SyncGroup::clone(loaded.config.sync_groups.first().expect("a group"))
}

#[test]
fn have_members_that_exist_once() {
    let one = "Sync group G has only 1 virtual router(s) - this probably isn't what you want";
    let cases: &[(&str, &[&str])] = &[
        ("", &["Sync group G has no virtual router(s). removing"]),
        (
            "group {\n}\n",
            &[
                "(Line 3) Warning - sync group G has empty group block",
                "Sync group G has no virtual router(s). removing",
            ],
        ),
        ("group {\nVI\n}\n", &[one]),
        ("group {\nVI VJ\n}\n", &[]),
        (
            "group {\nVX\n}\n",
            &[
                "Virtual router VX specified in sync group G doesn't exist - ignoring",
                "Sync group G, no matching virtual router found in group declaration - removing",
            ],
        ),
        (
            "group {\nVI\nVI\n}\n",
            &[
                "Virtual router VI cannot exist in more than one sync group; ignoring G",
                one,
            ],
        ),
        (
            "group {\nVI\nVJ\n}\ngroup {\nVX\n}\n",
            &["(Line 6) Group list already specified for sync group G"],
        ),
        (
            "group {\nVI\nVJ\n}\nglobal_tracking\nsmtp_alert x\nnotify_priority_changes x\n",
            &[
                "(Line 6) (G) global_tracking is deprecated. Use track_interface/script/file on \
                 the sync group",
                "(Line 7) Invalid vrrp_group smtp_alert parameter x",
                "(Line 8) (G) Invalid value 'x' for sync group notify_priority_changes specified",
            ],
        ),
    ];
    for (inner, said) in cases {
        let loaded = parse(&format!(
            "vrrp_sync_group G {{\n{inner}}}\n{}",
            pair("", "")
        ));
        assert_eq!(told(&loaded), *said, "{inner}");
        assert_eq!(
            loaded.exit_code(),
            if said.is_empty() { 0 } else { 5 },
            "{inner}"
        );
        assert!(loaded.is_usable(), "{inner}");
        let removed = said.iter().any(|text| text.ends_with("removing"));
        assert_eq!(loaded.config.sync_groups.is_empty(), removed, "{inner}");
    }
    let two = format!(
        "{GROUP}}}\nvrrp_sync_group H {{\ngroup {{\nVI\n}}\n}}\n{}",
        pair("", "")
    );
    let loaded = parse(&two);
    assert_eq!(
        told(&loaded),
        [
            "Virtual router VI cannot exist in more than one sync group; ignoring H",
            "Sync group H, no matching virtual router found in group declaration - removing",
        ]
    );
    assert_eq!(group(&loaded).instances, ["VI", "VJ"]);
    let twice = format!("{GROUP}}}\n{GROUP}}}\n{}", pair("", ""));
    assert_eq!(
        told(&parse(&twice)),
        ["(Line 7) vrrp sync group G already defined"]
    );
    let nameless = format!("vrrp_sync_group {{\n}}\n{}", pair("", ""));
    assert_eq!(
        told(&parse(&nameless)),
        ["(Line 1) vrrp_sync_group must have a name - skipping"]
    );
}

#[test]
fn start_as_master_only_if_every_member_owns_its_addresses() {
    let owner = "state MASTER\npriority 255";
    for (first, second, state) in [
        (owner, owner, InitialState::Master),
        (
            "state MASTER\npriority 50",
            "state MASTER\npriority 50",
            InitialState::Backup,
        ),
        (owner, "", InitialState::Backup),
    ] {
        let loaded = parse(&format!("{GROUP}}}\n{}", pair(first, second)));
        assert_eq!(group(&loaded).initial_state, state, "{first} {second}");
        for member in &loaded.config.instances {
            assert_eq!(member.initial_state, state, "{first} {second}");
        }
    }
    let loaded = parse(&format!("{GROUP}}}\n{}", pair(owner, "")));
    let text = "Sync group G has some member(s) as address owner and some not as address owner. \
                This won't work.";
    assert_eq!(told(&loaded), [text]);
}

#[test]
fn take_the_weights_of_their_members() {
    let files = "track_file f {\nfile /f\n}\ntrack_file g {\nfile /g\n}\n";
    let more = "track_interface {\ne1 weight 5\n}\ntrack_file {\nf weight 5\ng\n}";
    let said = [
        "(VI) ignoring e1 tracked interface weight due to SYNC group",
        "(VI) ignoring tracked file f with weight 5 due to SYNC group",
        "(VI) ignoring weight from tracked file g due to SYNC group. specify weight 0",
    ];
    let loaded = parse(&format!("{files}{GROUP}}}\n{}", pair(more, "")));
    assert_eq!(told(&loaded), said);
    let member = &loaded.config.instances[0];
    assert_eq!(
        (
            member.track_interfaces.len(),
            member.track_interfaces[0].weight
        ),
        (1, 0)
    );
    let files_left: Vec<_> = member
        .track_files
        .iter()
        .map(|f| (&*f.file.name, f.weight))
        .collect();
    assert_eq!(files_left, [("g", 0)]);

    let kept = format!(
        "{files}{GROUP}sync_group_tracking_weight\n}}\n{}",
        pair(more, "")
    );
    let loaded = parse(&kept);
    assert_eq!(told(&loaded), [""; 0]);
    assert_eq!(loaded.config.instances[0].track_interfaces[0].weight, 5);
    assert!(group(&loaded).tracking_weight);
}

#[test]
fn keep_their_own_weights_unless_a_member_is_an_owner() {
    let text = "track_file f {\nfile /f\n}\n".to_string()
        + GROUP
        + "track_interface {\ne1 weight 5\n}\ntrack_file {\nf weight 3\n}\n}\n";
    let loaded = parse(&format!("{text}{}", pair("", "")));
    assert_eq!(told(&loaded), [""; 0]);
    assert_eq!(group(&loaded).track_interfaces[0].weight, 5);
    let owner = "priority 255";
    let loaded = parse(&format!("{text}{}", pair(owner, owner)));
    assert_eq!(
        told(&loaded),
        [
            "(G) Cannot have weighted track file 'f' with member having priority 255 - setting \
             weight 0",
            "(G) Cannot have weighted track interface 'e1' with member having priority 255 - \
             clearing weight",
        ]
    );
    assert_eq!(group(&loaded).track_interfaces[0].weight, 0);
}

#[test]
fn track_for_their_members() {
    let text =
        format!("{GROUP}track_interface {{\ne1 weight 5\n}}\nsync_group_tracking_weight\n}}\n");
    let said = "(VI) track_interface e1 is configured on VRRP instance and sync group. Remove \
                vrrp instance or sync group config";
    for (own, left) in [("e1 weight 7", 0), ("e1", 1)] {
        let more = format!("track_interface {{\n{own}\n}}");
        let loaded = parse(&format!("{text}{}", pair(&more, "")));
        assert_eq!(told(&loaded), [said], "{own}");
        assert_eq!(
            loaded.config.instances[0].track_interfaces.len(),
            left,
            "{own}"
        );
    }
}

#[test]
fn have_scripts_and_defaults_for_their_members() {
    let text = format!(
        "global_defs {{\nenable_script_security\nsmtp_alert\n}}\n{GROUP}notify /a\nnotify /b\n\
         notify_master \"/m x\"\nnotify_priority_changes\n}}\n{}",
        pair("", "notify_priority_changes off")
    );
    let loaded = parse(&text);
    assert_eq!(
        told(&loaded),
        ["(Line 11) vrrp group G: notify script already specified - ignoring /b"]
    );
    let group = group(&loaded);
    assert_eq!(group.notify.any.unwrap().argv, ["/a"]);
    assert_eq!(group.notify.master.unwrap().argv, ["/m", "x"]);
    assert!(group.smtp_alert);
    let changes: Vec<bool> = loaded
        .config
        .instances
        .iter()
        .map(|member| member.notify_priority_changes)
        .collect();
    assert_eq!(changes, [true, false]);
}
