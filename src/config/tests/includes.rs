//! Includes: what they name, what they miss, and how they are repeated.

use super::*;

#[test]
fn continue_in_the_middle_of_a_block() {
    let loaded = parse_files(&[
        ("/k/main.conf", "vrrp_instance VI {\ninclude rest\n"),
        (
            "/k/rest",
            "interface e0\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.1 }\n}",
        ),
    ]);
    assert_eq!(lines(&loaded), [""; 0]);
    assert_eq!(&*loaded.config.instances[0].interface, "e0");
}

#[test]
fn name_the_file_in_messages_as_soon_as_there_are_two() {
    let loaded = parse_files(&[("/k/main.conf", "include a\nfoo"), ("/k/a", "\nbar")]);
    assert_eq!(
        lines(&loaded),
        [
            "(/k/a: Line 2) Unknown keyword 'bar'",
            "(/k/main.conf: Line 2) Unknown keyword 'foo'"
        ]
    );
}

#[test]
fn that_fail_matter_only_if_they_are_checked() {
    let missing = |text| {
        let loaded = parse(text);
        (lines(&loaded), loaded.exit_code(), loaded.is_usable())
    };
    let line = |text: &str| vec![text.to_string()];
    let text = "(Line 1) Config files missing 'no'.";
    assert_eq!(missing("include no"), (line(text), 0, true));
    assert_eq!(missing("includea no"), (line(text), 6, false));
    assert_eq!(missing("includem no*"), (vec![], 0, true));
    let text = "(Line 1) No config files matched 'no*'.";
    assert_eq!(missing("includew no*"), (line(text), 6, false));
    // A wildcard may fit nothing, but its directory must be there.
    let text = "(Line 1) Config files missing 'no/*.c'.";
    assert_eq!(missing("include no/*.c"), (line(text), 0, true));
    assert_eq!(missing("includew no/*.c"), (line(text), 6, false));
    assert_eq!(missing("include /etc/keepalived/*.c"), (vec![], 0, true));
    assert_eq!(missing("include no*/x.c"), (vec![], 0, true));
    let (said, code, _) = missing("global_defs {\ninclude_check\n}\ninclude no");
    assert_eq!((said.len(), code), (1, 6));
}

#[test]
fn cannot_go_round() {
    let loaded = parse_files(&[("/k/a", "include b"), ("/k/b", "include a")]);
    assert_eq!(lines(&loaded), ["(/k/b: Line 1) /k/a includes itself"]);
    assert!(!loaded.is_usable());
}

#[test]
fn are_repeated_by_a_replay() {
    let loaded = parse_files(&[
        ("/k/main.conf", "include conf.d/*\ninclude none\n"),
        (
            "/k/conf.d/a",
            &with("state MASTER\nauthentication {\nauth_type PASS\n}"),
        ),
    ]);
    let replay = source::Sources::from_bytes(&loaded.sources.to_bytes()).unwrap();
    let again = load(&replay, Path::new("/k/main.conf"), &options());
    assert_eq!(again.config, loaded.config);
    assert_eq!(again.config.instances.len(), 1);
    assert_eq!(again.diagnostics, loaded.diagnostics);
}
