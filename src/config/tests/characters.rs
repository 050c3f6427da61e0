//! Characters that are no part of the language.

use super::*;

#[test]
fn foreign_blanks_are_blanks_with_one_hint() {
    let text = with("state BACKUP\u{3000}\u{3000}\npriority\u{a0}7\u{3000}# 优先级");
    let loaded = parse(&format!("\u{feff}{text}"));
    assert_eq!(lines(&loaded), [""; 0]);
    let hints: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|d| d.as_c_line(&loaded.sources))
        .collect();
    assert_eq!(hints, ["(Line 1) U+FEFF is taken for a blank here"]);
    assert_eq!(loaded.config.instances[0].priority.0, 7);
}

#[test]
fn of_other_encodings_are_fine_in_comments_only() {
    let main = PathBuf::from("/k");
    let file = |text: &[u8]| vec![(main.clone(), text.to_vec())];
    let comment = file(b"global_defs { # \xd6\xd0\xce\xc4\nrouter_id a\n}");
    let loaded = load(&comment, &main, &options());
    assert_eq!((lines(&loaded).len(), loaded.exit_code()), (0, 0));
    let value = file(b"global_defs {\nrouter_id \xd6\xd0\n}");
    let loaded = load(&value, &main, &options());
    assert_eq!(lines(&loaded), ["(Line 2) the text is not valid UTF-8"]);
}

#[test]
fn that_no_line_may_have() {
    let loaded = parse("global_defs {\nrouter_id a\0b\n}");
    assert_eq!(
        lines(&loaded),
        ["(Line 2) configuration appears to have embedded NULs - ignoring line"]
    );
    let loaded = parse(&format!("# {}\nfoo", "x".repeat(70_000)));
    assert_eq!(
        lines(&loaded),
        [
            "(Line 1) line too long - ignoring",
            "(Line 2) Unknown keyword 'foo'"
        ]
    );
    let loaded = parse("global_defs {\nrouter_id \"a b\n}");
    assert_eq!(
        lines(&loaded),
        ["(Line 2) Unterminated quote 'router_id \"a b'"]
    );
}
