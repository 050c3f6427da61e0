//! The floors of the house: imports point down only, and what touches the world
//! stays on the upper floors.
//!
//! Reads every file below `src/` as text, tests in it included. A path counts
//! wherever it stands, in a `use` or in the middle of code.

use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each module of the crate's root. Those of one floor may use
/// each other only if they are the same module, or on floor 0 or 5.
const FLOORS: [(&str, u8); 10] = [
    ("hashing", 0),
    ("time", 0),
    ("ids", 0),
    ("wire", 1),
    ("config", 2),
    ("vrrp", 3),
    ("simulation", 4),
    ("system", 4),
    ("daemon", 5),
    ("cli", 5),
];

/// What `system` may know of the engine.
const SYSTEM_KNOWS_OF_VRRP: [&str; 2] = ["event", "action"];

/// What only `system`, `daemon`, `cli` and `main` may use: clocks, files,
/// sockets, processes, threads, the log.
const WORLD: [&str; 31] = [
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os::fd",
    "std::os::linux",
    "std::os::unix::fs",
    "std::os::unix::net",
    "std::os::unix::process",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "libc",
    "landlock",
    "lettre",
    "netlink_packet_route",
    "netlink_sys",
    "nix",
    "rtnetlink",
    "seccompiler",
    "socket2",
    "tokio",
    "tracing",
    "tracing_subscriber",
    "zbus",
];

/// Everything in `libc` is the world, but for the numbers of errors.
const ERROR_NUMBERS: &str = "libc::E";

#[test]
fn imports_point_down_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    assert!(files.len() > 40, "only {} files found", files.len());
    let mut offences = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source file");
        let name = file.strip_prefix(&source).expect("below src");
        offences.extend(offences_of(name, &text));
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn an_import_that_points_up_is_found() {
    let bad = [
        ("wire/advert.rs", "use crate::config::model::Config;"),
        ("config/lex.rs", "use crate::{time, vrrp::engine::Engine};"),
        (
            "config/lex.rs",
            "use crate::{\n    ids::{self},\n    daemon,\n};",
        ),
        ("vrrp/engine.rs", "fn now() { crate::system::clock::now() }"),
        ("vrrp/engine.rs", "use super::super::system::clock;"),
        ("vrrp/mod.rs", "use super::daemon;"),
        ("simulation/mod.rs", "use crate::system::clock;"),
        ("system/mail.rs", "use crate::vrrp::{action, engine};"),
        ("system/mail.rs", "use crate::vrrp::*;"),
        ("system/mail.rs", "use crate::daemon::VERSION;"),
        ("time.rs", "use crate::wire;"),
        ("attic.rs", "use crate::time;"),
    ];
    for (file, text) in bad {
        assert_ne!(
            offences_of(Path::new(file), text),
            [""; 0],
            "{file}: {text}"
        );
    }
}

#[test]
fn the_world_on_a_pure_floor_is_found() {
    let bad = [
        "use std::fs;",
        "use std::{collections::BTreeMap, env};",
        "use std::net::{IpAddr, UdpSocket};",
        "fn f() { let _ = std::time::Instant::now(); }",
        "fn f() { std::thread::sleep(x) }",
        "let text = \"// no comment\"; std::process::exit(1)",
        "let quote = '\"'; tracing::info!(\"{quote}\")",
        "let raw = r#\"\"#; libc::getpid()",
        "fn f<'a>(x: &'a str) { nix::unistd::fork() }",
    ];
    for text in bad {
        assert_eq!(
            offences_of(Path::new("simulation/world.rs"), text).len(),
            1,
            "{text}"
        );
        assert_eq!(
            offences_of(Path::new("vrrp/engine.rs"), text).len(),
            1,
            "{text}"
        );
        assert_eq!(
            offences_of(Path::new("daemon/worker.rs"), text),
            [""; 0],
            "{text}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let good = [
        (
            "vrrp/engine.rs",
            "use crate::{config::model, ids, wire::advert};",
        ),
        ("vrrp/engine.rs", "use super::super::time::Instant;"),
        ("vrrp/engine.rs", "fn f(now: Instant) { Instant::now }"),
        (
            "vrrp/engine.rs",
            "// use std::fs;\n/* std::env /* */ nix:: */",
        ),
        (
            "vrrp/engine.rs",
            "let text = \"use crate::daemon;\\\" libc::fork\";",
        ),
        ("vrrp/engine.rs", "let text = r#\"use \"crate::daemon;\"#;"),
        ("vrrp/log_lines.rs", "match errno { libc::ENODEV => 1 }"),
        ("config/mod.rs", "use std::net::{IpAddr, Ipv4Addr};"),
        (
            "system/mail.rs",
            "use crate::vrrp::action::{Action, Token};",
        ),
        (
            "daemon/worker.rs",
            "use crate::cli; use crate::vrrp::engine;",
        ),
        ("main.rs", "use crate::cli; use std::env;"),
        ("config/source.rs", "use std::os::unix::ffi::OsStrExt;"),
        ("config/tests/mod.rs", "use std::fs;"),
    ];
    for (file, text) in good {
        assert_eq!(
            offences_of(Path::new(file), text),
            [""; 0],
            "{file}: {text}"
        );
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Everything in a file, named as it lies below `src/`, that must not be there.
fn offences_of(file: &Path, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(own) = module.first() else {
        return Vec::new();
    };
    let Some(floor) = floor_of(own) else {
        return vec![format!("{}: `{own}` has no floor", file.display())];
    };
    paths(text)
        .iter()
        .filter(|path| is_offence(&module, floor, path))
        .map(|path| format!("{}: `{}`", file.display(), path.join("::")))
        .collect()
}

fn is_offence(module: &[String], floor: u8, path: &[String]) -> bool {
    let Some(inside) = from_root(module, path) else {
        // A file of nothing but tests may measure and read.
        let is_pure =
            (floor < 4 || module[0] == "simulation") && !module.iter().any(|name| name == "tests");
        return is_pure && is_world(&path.join("::"));
    };
    let Some(other) = inside.first() else {
        return false;
    };
    let Some(other_floor) = floor_of(other) else {
        return false;
    };
    let own = &module[0];
    if own == "system" && *other == "vrrp" {
        return !inside
            .get(1)
            .is_some_and(|part| SYSTEM_KNOWS_OF_VRRP.contains(&part.as_str()));
    }
    other_floor > floor || (other_floor == floor && *other != own && (1..5).contains(&floor))
}

fn is_world(path: &str) -> bool {
    let is_it = |world: &str| {
        path.strip_prefix(world)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    WORLD.into_iter().any(is_it) && !path.starts_with(ERROR_NUMBERS)
}

fn floor_of(module: &str) -> Option<u8> {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found.map(|(_, floor)| *floor)
}

/// `vrrp/engine.rs` is the module `vrrp::engine`; `lib.rs` and `main.rs` are the root.
fn module_of(file: &Path) -> Vec<String> {
    let file = file.with_extension("");
    let mut module: Vec<String> = file
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    module
}

/// A path of this crate as seen from the crate's root; `None` for other crates'.
fn from_root<'a>(module: &'a [String], path: &'a [String]) -> Option<Vec<&'a String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path.first().map(String::as_str) {
        Some("crate") => Some(path.iter().skip(1).collect()),
        Some("super") => {
            let kept = module.len().saturating_sub(ups);
            Some(
                module
                    .iter()
                    .take(kept)
                    .chain(path.iter().skip(ups))
                    .collect(),
            )
        }
        _ => None,
    }
}

/// Every path of two or more parts in a source text, braces resolved.
fn paths(text: &str) -> Vec<Vec<String>> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_name(&tokens[at]) {
            at = path_tree(&tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found.retain(|path| path.len() > 1);
    found
}

/// Reads `a::b`, `a::{b, c::d}` or `a::*` from `at` on; where it ends.
fn path_tree(
    tokens: &[String],
    mut at: usize,
    before: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = match is_name(&tokens[at]) || tokens[at] == "{" {
                        true => path_tree(tokens, at, &path, found),
                        false => at + 1,
                    };
                }
                return at + 1;
            }
            Some(name) if is_name(name) => path.push(name.to_string()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single other characters; no blanks, comments and literals.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let is = |at: usize, word: &str| {
        word.chars()
            .enumerate()
            .all(|(i, c)| text.get(at + i) == Some(&c))
    };
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let c = text[at];
        if is(at, "//") {
            at += text[at..].iter().take_while(|c| **c != '\n').count();
        } else if is(at, "/*") {
            let mut depth = 0;
            loop {
                depth += i32::from(is(at, "/*")) - i32::from(is(at, "*/"));
                at += if is(at, "/*") || is(at, "*/") { 2 } else { 1 };
                if depth == 0 || at >= text.len() {
                    break;
                }
            }
        } else if c == '"' {
            at = after_string(&text, at);
        } else if c == '\'' {
            // A character, or a lifetime.
            at += match (text.get(at + 1), text.get(at + 2)) {
                (Some('\\'), _) => 3 + text[at + 3..].iter().take_while(|c| **c != '\'').count(),
                (_, Some('\'')) => 2,
                _ => 0,
            } + 1;
        } else if c.is_alphanumeric() || c == '_' {
            let length = text[at..]
                .iter()
                .take_while(|c| c.is_alphanumeric() || **c == '_')
                .count();
            let name: String = text[at..at + length].iter().collect();
            at += length;
            let hashes = text[at..].iter().take_while(|c| **c == '#').count();
            let raw = matches!(name.as_str(), "r" | "br" | "cr");
            if raw && text.get(at + hashes) == Some(&'"') {
                let end = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < text.len() && !is(at, &end) {
                    at += 1;
                }
                at += end.len();
            } else {
                tokens.push(name);
            }
        } else if is(at, "::") {
            tokens.push("::".to_string());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Where the string that begins at `at` has ended.
fn after_string(text: &[char], mut at: usize) -> usize {
    at += 1;
    while text.get(at).is_some_and(|c| *c != '"') {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}
