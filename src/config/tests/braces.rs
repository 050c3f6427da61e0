//! Braces: where they may stand, and what becomes of missing ones.

use super::*;

#[test]
fn stand_anywhere() {
    let inner = "interface e0\nvirtual_router_id 5\n";
    for text in [
        format!("vrrp_instance VI {{ {inner}virtual_ipaddress {{ 192.0.2.1 }}\n}}"),
        format!("vrrp_instance VI\n{{\n{inner}virtual_ipaddress\n{{\n192.0.2.1\n}}\n}}"),
        format!("vrrp_instance VI{{\n{inner}virtual_ipaddress{{\n192.0.2.1}}}}"),
        format!("vrrp_instance VI {{\r\n{inner}virtual_ipaddress {{\r\n192.0.2.1\r\n}}\r\n}}\r\n"),
        format!("vrrp_instance VI {{ # x }}\n{inner}virtual_ipaddress {{ ! {{\n192.0.2.1\n}}}}"),
    ] {
        let config = clean(&text);
        let [instance] = config.instances.as_slice() else {
            panic!("{text}")
        };
        assert_eq!(instance.vrid.get(), 5, "{text}");
        assert_eq!(
            instance.virtual_addresses[0].to_string(),
            "192.0.2.1",
            "{text}"
        );
    }
}

#[test]
fn do_not_separate_statements_on_one_line() {
    let loaded = parse("vrrp_instance VI { interface e0 virtual_router_id 5 }");
    assert!(lines(&loaded).contains(&"(VI) the virtual router id must be set".to_string()));
    assert!(!loaded.is_usable());
}

#[test]
fn in_double_quotes_are_text() {
    let config = clean("global_defs {\nrouter_id \"a{b}\"\n}");
    assert_eq!(config.globals.router_id.as_deref(), Some("a{b}"));
}

#[test]
fn too_many_or_too_few_are_mended() {
    let loaded = parse(&format!("{}}}\n", with("priority 7")));
    assert_eq!(lines(&loaded), ["(Line 9) Extra '}' found"]);
    assert_eq!((loaded.exit_code(), loaded.config.instances.len()), (5, 1));

    let text = with("priority 7");
    let loaded = parse(text.trim_end().trim_end_matches('}'));
    assert_eq!(lines(&loaded), ["There are 1 missing '}'s or extra '{'s"]);
    assert_eq!((loaded.exit_code(), loaded.config.instances.len()), (5, 1));

    let loaded = parse(
        "vrrp_instance VI\ninterface e0\nvirtual_router_id 5\n\
                        virtual_ipaddress {\n192.0.2.1\n}\n}",
    );
    assert_eq!(
        lines(&loaded),
        ["(Line 2) Missing '{' at beginning of configuration block"]
    );
    assert_eq!(loaded.config.instances.len(), 1);
}

#[test]
fn that_a_list_lacks_do_not_swallow_the_next_block() {
    let (instance, said) = instance(
        "authentication {\nauth_type PASS\nauth_pass a\n}\n\
                                     notify_stop /s\ntrack_script {",
    );
    assert_eq!(instance.virtual_addresses.len(), 1);
    assert_eq!(
        said.first().map(String::as_str),
        Some("(Line 10) There are 1 missing '}'s or extra '{'s")
    );
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn of_an_unknown_word_take_nothing_else_with_them() {
    let (instance, said) = instance("virtul_routes {\n10.0.0.0/8 via 1.2.3.4\n}\npriority 7");
    assert_eq!(said, ["(Line 4) Unknown keyword 'virtul_routes'"]);
    assert_eq!(instance.priority.0, 7);
}
