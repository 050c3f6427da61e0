//! The man pages are what the program says of itself.
//!
//! They are made from the definition of the command line, the rows of the
//! keywords and the table of explanations. With `UPDATE_EXPECTED=1` in the
//! environment they are written anew.

use std::fmt::Write;

use keepalived_rs::cli;
use keepalived_rs::config::diagnostic::EXPLANATIONS;
use keepalived_rs::config::keywords::defaults::default_of;
use keepalived_rs::config::keywords::{Row, companion_rows, rows};

/// keepalived-rs(8) before and behind the lists that are made.
const DAEMON: [&str; 2] = [
    include_str!("man_pages/keepalived-rs.8.head"),
    include_str!("man_pages/keepalived-rs.8.tail"),
];

/// What stands before the words of our own file.
const OWN_WORDS: &str = include_str!("man_pages/keepalived-rs.conf.5.own");

/// keepalived-rs.conf(5) before and behind the lists that are made.
const FILE: [&str; 2] = [
    include_str!("man_pages/keepalived-rs.conf.5.head"),
    include_str!("man_pages/keepalived-rs.conf.5.tail"),
];

#[test]
fn the_page_of_the_daemon_is_current() {
    let [head, tail] = DAEMON;
    let [options, tools] = cli::commands();
    let mut text = head.to_string();
    write_options(&mut text, &options);
    text.push_str(
        ".SH TOOLS\nA word in the place of the first option starts a tool that ends at once; no \
         daemon runs.\n",
    );
    for tool in tools.get_subcommands() {
        let about = tool.get_about().map(ToString::to_string);
        let values = tool.get_positionals().map(|argument| {
            let name = argument.get_id().as_str().to_uppercase();
            if argument.is_required_set() {
                format!(" {}...", name.trim_end_matches('S'))
            } else {
                format!(" [{name}]")
            }
        });
        let values: String = values.collect();
        let _ = writeln!(text, ".SS \"{}{values}\"", tool.get_name());
        let _ = writeln!(text, "{}.", roff(&about.unwrap_or_default()));
        write_options(&mut text, tool);
    }
    text.push_str(".SH CODES\nThe word in brackets in front of a message is its code.\n");
    for (code, explanation) in EXPLANATIONS {
        let _ = writeln!(text, ".TP\n.B {}\n{}", roff(code), prose(explanation));
    }
    text.push_str(tail);
    assert_current("keepalived-rs.8", &text);
}

#[test]
fn the_page_of_the_file_is_current() {
    let [head, tail] = FILE;
    let mut text = head.to_string();
    write_blocks(&mut text, &rows(), "SH");
    text.push_str(OWN_WORDS);
    write_blocks(&mut text, &companion_rows(), "SS");
    text.push_str(tail);
    assert_current("keepalived-rs.conf.5", &text);
}

fn write_blocks(text: &mut String, rows: &[Row], heading: &str) {
    let mut blocks: Vec<&str> = Vec::new();
    for row in rows {
        if !blocks.contains(&row.block) {
            blocks.push(row.block);
        }
    }
    for block in blocks {
        let title = match (heading, block) {
            ("SH", "") => "THE OUTER LEVEL".to_string(),
            ("SH", name) => format!("THE BLOCK {name}"),
            (_, "") => "The outer level".to_string(),
            (_, name) => format!("The block {name}"),
        };
        let _ = writeln!(text, ".{heading} \"{}\"", roff(&title));
        for row in rows.iter().filter(|row| row.block == block) {
            write_row(text, row);
        }
    }
}

#[test]
fn text_cannot_become_a_request_of_the_formatter() {
    assert_eq!(roff(".SH x"), "\\&.SH x");
    assert_eq!(roff("a-b \\ 'c"), "a\\-b \\e 'c");
    assert_eq!(prose("a `b-c` d"), "a \\fBb\\-c\\fR d");
}

fn write_options(text: &mut String, command: &clap::Command) {
    for option in command.get_arguments() {
        let is_positional = option.get_short().is_none() && option.get_long().is_none();
        if option.is_hide_set() || is_positional {
            continue;
        }
        let mut names: Vec<String> = Vec::new();
        names.extend(option.get_short().map(|letter| format!("-{letter}")));
        names.extend(option.get_long().map(|long| format!("--{long}")));
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("\\fB{}\\fR", roff(name)))
            .collect();
        let mut usage = names.join(", ");
        if option.get_action().takes_values() {
            let value = option.get_value_names().unwrap_or_default().join(" ");
            let value = format!("\\fI{}\\fR", roff(&value));
            if option.is_require_equals_set() {
                let _ = write!(usage, "[={value}]");
            } else {
                let _ = write!(usage, " {value}");
            }
        }
        let _ = writeln!(text, ".TP\n{usage}");
        let help = option.get_help().map(ToString::to_string);
        let _ = writeln!(text, "{}.", prose(&help.unwrap_or_default()));
        let values = option.get_possible_values();
        if option.get_action().takes_values() && !values.is_empty() {
            let words: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
            let _ = writeln!(text, "It is one of: {}.", roff(&words.join(", ")));
        }
        let default = option.get_default_values().first();
        if let Some(default) = default.filter(|_| option.get_action().takes_values()) {
            let _ = writeln!(text, "Default: {}.", roff(&default.to_string_lossy()));
        }
    }
}

fn write_row(text: &mut String, row: &Row) {
    let arguments = match row.args {
        "" => String::new(),
        arguments => format!(" \\fI{}\\fR", roff(arguments)),
    };
    let _ = writeln!(text, ".TP\n\\fB{}\\fR{arguments}", roff(row.name));
    let _ = writeln!(text, "{}.", prose(row.doc.trim_end_matches('.')));
    if let Some(default) = default_of(row.block, row.name) {
        let _ = writeln!(text, "Default: {}.", prose(default));
    }
    match cli::status_word(row.status) {
        "works" => {}
        status => {
            let _ = writeln!(text, "Status: {status}.");
        }
    }
}

/// Text that the formatter prints as it is.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        return format!("\\&{text}");
    }
    text
}

/// As [`roff`], with what stands in backquotes in bold.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in roff(text).split('`').enumerate() {
        out.push_str(match index {
            0 => "",
            odd if odd % 2 == 1 => "\\fB",
            _ => "\\fR",
        });
        out.push_str(part);
    }
    out
}

#[track_caller]
fn assert_current(name: &str, text: &str) {
    let path = format!("docs/man/{name}");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, text).expect("a writable checkout");
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == text,
        "{path} is old: run this test with UPDATE_EXPECTED=1"
    );
}
