//! `keepalived-rs.conf` beside the main file.

use super::super::source::Sources;
use super::*;

const MAIN: &str = "/etc/keepalived/keepalived.conf";
const OWN: &str = "/etc/keepalived/keepalived-rs.conf";

/// Instances A and B, and C in the group G.
fn main_file() -> String {
    let mut text = String::new();
    for (index, name) in ["A", "B", "C"].iter().enumerate() {
        text.push_str(&format!(
            "vrrp_instance {name} {{\ninterface e0\nvirtual_router_id {}\n\
             virtual_ipaddress {{\n192.0.2.{index}\n}}\n}}\n",
            index + 1
        ));
    }
    text.push_str("vrrp_sync_group G {\ngroup {\nB\nC\n}\n}\n");
    text
}

fn beside(own: &str) -> Loaded {
    parse_files(&[(MAIN, &main_file()), (OWN, own)])
}

/// Of A, B and C.
fn switches(own: &str) -> [bool; 3] {
    let loaded = beside(own);
    assert_eq!(lines(&loaded), [""; 0], "in\n{own}");
    let instances = &loaded.config.instances;
    let on = |name: &str| {
        instances
            .iter()
            .any(|it| it.name == name && it.fast_handover)
    };
    ["A", "B", "C"].map(on)
}

#[test]
fn the_nearest_switch_counts() {
    assert_eq!(switches(""), [false; 3]);
    assert_eq!(switches("global_defs {\nfast_handover\n}\n"), [true; 3]);
    let global_defs = "global_defs {\nfast_handover on\n}\n";
    let group = "vrrp_sync_group G {\nfast_handover off\n}\n";
    let instance = "vrrp_instance C {\nfast_handover\n}\n";
    assert_eq!(
        switches(&format!("{instance}{group}{global_defs}")),
        [true, false, true]
    );
    assert_eq!(switches(instance), [false, false, true]);
}

#[test]
fn a_file_that_is_missing_is_no_matter_and_stays_missing() {
    let without = parse_files(&[(MAIN, &main_file())]);
    assert_eq!(lines(&without), [""; 0]);
    let replay = Sources::from_bytes(&without.sources.to_bytes()).unwrap();
    let again = load(&replay, Path::new(MAIN), &options());
    assert_eq!(again.config, without.config);
}

/// The second process reads what the first one read, whatever is on disk by then.
#[test]
fn a_replay_has_the_file() {
    let loaded = beside("@box global_defs {\n@box fast_handover\n@box }\n");
    assert!(loaded.config.instances[0].fast_handover);
    let replay = Sources::from_bytes(&loaded.sources.to_bytes()).unwrap();
    assert_eq!(
        load(&replay, Path::new(MAIN), &options()).config,
        loaded.config
    );
}

#[test]
fn mistakes_name_this_file() {
    for (own, expected) in [
        (
            "vrrp_instance A {\nfast_handover maybe\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 2) Invalid value 'maybe' for \
             fast_handover specified",
        ),
        (
            "global_defs {\nfast_handover\n",
            "There are 1 missing '}'s or extra '{'s",
        ),
        (
            "vrrp_instance A {\n}\nvrrp_instance A {\nfast_handover\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 3) vrrp instance A already defined",
        ),
        (
            "vrrp_instance {\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 1) vrrp_instance must have a name",
        ),
        (
            "vrrp_sync_group H {\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 1) No vrrp sync group H in the main file \
             - ignoring",
        ),
    ] {
        let loaded = beside(own);
        assert_eq!(lines(&loaded), [expected], "in\n{own}");
        assert_eq!(loaded.exit_code(), 5);
        let snippet = loaded.diagnostics[0].as_snippet(&loaded.sources);
        assert!(snippet.contains(OWN), "{snippet}");
    }
}

/// The help of the only finding.
fn help(main: &str, own: &str) -> String {
    let loaded = parse_files(&[(MAIN, main), (OWN, own)]);
    let [found] = loaded.diagnostics.as_slice() else {
        panic!("{:?}", lines(&loaded));
    };
    found.help.join(" ")
}

#[test]
fn a_name_that_no_instance_has_gets_the_nearest() {
    let main = main_file().replace("A {", "web_front {");
    let found = help(&main, "vrrp_instance web_frnt {\nfast_handover\n}\n");
    assert_eq!(found, "Did you mean `web_front`?");
}

#[test]
fn words_of_the_other_file_are_sent_there() {
    let found = help(&main_file(), "vrrp_instance A {\npriority 100\n}\n");
    let expected = "`priority` belongs into `vrrp_instance`, in the main file, which C keepalived \
                    reads, too.";
    assert_eq!(found, expected);
    let main = main_file().replacen("interface", "fast_handover\ninterface", 1);
    let found = help(&main, "");
    assert!(
        found.contains("`vrrp_instance`")
            && found.ends_with(
                "in the file keepalived-rs.conf beside this one, because C does not know it."
            ),
        "{found}"
    );
    let found = help(&main_file(), "vrrp_instance A {\nfast_hand_over\n}\n");
    assert_eq!(found, "Did you mean `fast_handover`?");
}

#[test]
fn a_main_file_of_this_name_has_nothing_beside_it() {
    let loaded = parse_files(&[(OWN, &main_file())]);
    assert_eq!(lines(&loaded), [""; 0]);
    assert_eq!(loaded.config.instances.len(), 3);
    assert_eq!(loaded.sources.len(), 1);
}

#[test]
fn nothing_is_read_where_vrrp_is_not_wanted() {
    let files = vec![
        (PathBuf::from(MAIN), main_file().into_bytes()),
        (PathBuf::from(OWN), b"vrrp_instance A {\n}\n".to_vec()),
    ];
    let options = Options {
        without_vrrp: true,
        ..options()
    };
    let loaded = load(&files, Path::new(MAIN), &options);
    assert_eq!(lines(&loaded), [""; 0]);
}
