//! A configuration may be anything: reading it never panics and always ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keepalived_rs::config::{Options, load, source::Sources};
use proptest::prelude::*;

/// Pieces that mean something to the reader, and some that do not.
const PIECES: &[&str] = &[
    "global_defs",
    "vrrp_instance",
    "vrrp_script",
    "virtual_ipaddress",
    "track_script",
    "authentication",
    "unicast_peer",
    "notification_email",
    "virtual_server",
    "VI_1",
    "VI_2",
    "state",
    "MASTER",
    "interface",
    "eth0",
    "virtual_router_id",
    "priority",
    "advert_int",
    "0",
    "1",
    "51",
    "255",
    "256",
    "-1",
    "1.5",
    "5x",
    "99999999999999999999",
    ".",
    "1.",
    "nopreempt",
    "auth_type",
    "PASS",
    "auth_pass",
    "1111",
    "script",
    "interval",
    "weight",
    "rise",
    "fall",
    "reverse",
    "user",
    "notify_master",
    "smtp_server",
    "router_id",
    "10.0.0.1/24",
    "10.0.0.1",
    "::1",
    "/",
    "dev",
    "brd",
    "+",
    "label",
    "scope",
    "peer",
    "include",
    "includea",
    "other",
    "main",
    "*",
    "include_check",
    "+match",
    "$A=",
    "$B=",
    "$A",
    "${A}",
    "${B}",
    "${_PWD}",
    "${_RANDOM 1 2}",
    "${",
    "$",
    "~SEQ(i, 1, 3)",
    "~LST",
    "@a",
    "@^b",
    "@",
    "{",
    "}",
    "{{",
    "}}",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\\x4",
    "\\c",
    "\\7",
    "#",
    "!",
    "\\#",
    "\t",
    " ",
    "\n",
    "\n",
    "\r\n",
    "\u{3000}",
    "\u{feff}",
    "\u{a0}",
    "中文",
    "\0",
    "\u{fffd}",
    "\u{7f}",
    "e\u{301}",
    "🙂",
];

const GOOD: &str = include_str!("config/good.conf");

fn read(main: Vec<u8>, other: Vec<u8>) {
    let files = vec![
        (PathBuf::from("/k/main"), main),
        (PathBuf::from("/k/other"), other),
    ];
    let options = Options {
        config_id: "a".to_string(),
        ..Options::default()
    };
    let loaded = load(&files, Path::new("/k/main"), &options);
    for diagnostic in &loaded.diagnostics {
        let line = diagnostic.as_c_line(&loaded.sources);
        assert!(!line.contains(['\n', '\0', '\u{1b}']), "{line:?}");
        let snippet = diagnostic.as_snippet(&loaded.sources);
        assert!(
            snippet.ends_with('\n') && !snippet.contains('\u{1b}'),
            "{snippet:?}"
        );
    }
    let mut findings = loaded.diagnostics.iter();
    let is_not_yet = findings.any(|found| found.code == "does-not-work-yet");
    assert!(loaded.is_usable() || is_not_yet || loaded.exit_code() != 0);
    for instance in &loaded.config.instances {
        assert!(instance.priority.0 > 0);
        assert!((10_000..=255_000_000).contains(&instance.advert_interval.as_us()));
        assert!(instance.garp.master_repeat > 0 && instance.garp.master_refresh_repeat > 0);
        assert!(
            instance
                .track_scripts
                .iter()
                .all(|tracked| tracked.weight.abs() <= 253)
        );
    }
    for script in &loaded.config.scripts {
        assert!(!script.command.argv.is_empty() && !script.interval.is_zero());
    }
    // The replay costs as much as all the rest, and depends on little of the text.
    if !loaded.diagnostics.len().is_multiple_of(4) {
        return;
    }
    let replay = Sources::from_bytes(&loaded.sources.to_bytes()).expect("own bytes");
    let again = load(&replay, Path::new("/k/main"), &options);
    assert!(again.config == loaded.config, "a replay means the same");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Words of the language in any order.
    #[test]
    fn words_in_any_order(
        main in prop::collection::vec(prop::sample::select(PIECES), 0..60),
        other in prop::collection::vec(prop::sample::select(PIECES), 0..10),
        glue in prop::sample::select(&["", " ", "\n"][..]),
    ) {
        read(main.join(glue).into_bytes(), other.join(" ").into_bytes());
    }

    /// A good file with pieces of it moved, doubled, cut out or replaced.
    #[test]
    fn mutations_of_a_good_file(
        changes in prop::collection::vec(
            (0..GOOD.len(), 0..GOOD.len(), 0..20_usize, prop::sample::select(PIECES), 0..4_u8),
            1..6,
        ),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, from, length, piece, kind) in changes {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            let from = from.min(bytes.len());
            let copied = bytes[from..(from + length).min(bytes.len())].to_vec();
            let new = match kind {
                0 => Vec::new(),
                1 => piece.as_bytes().to_vec(),
                2 => copied,
                _ => { bytes.splice(at..at, piece.bytes()); continue }
            };
            bytes.splice(at..end, new);
        }
        read(bytes, b"router_id x".to_vec());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Bytes that mean nothing at all, as a file and as a recording.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(sources) = Sources::from_bytes(&bytes) {
            load(&sources, Path::new("/k/main"), &Options::default());
        }
        read(bytes.clone(), bytes);
    }
}

/// The good file is good, or the mutations would test nothing.
#[test]
fn the_good_file_is_good() {
    let files = vec![(PathBuf::from("/k/main"), GOOD.as_bytes().to_vec())];
    let loaded = load(&files, Path::new("/k/main"), &Options::default());
    assert_eq!(loaded.exit_code(), 0, "{:?}", loaded.diagnostics);
    assert_eq!(
        (loaded.config.instances.len(), loaded.config.scripts.len()),
        (2, 1)
    );
}

/// A file of a given size and shape.
type Shape = (&'static str, fn(usize) -> String);

/// What could take quadratic time, if somebody is careless.
const SHAPES: &[Shape] = &[
    ("good lines", |n| GOOD.repeat(n / 20)),
    ("one line of blocks", |n| "a { } ".repeat(n * 3)),
    ("open braces", |n| "a {\n".repeat(n * 10)),
    ("closing braces", |n| "}\n".repeat(n * 10)),
    ("unknown words", |n| "prioritie 5\n".repeat(n * 10)),
    ("definitions", |n| {
        let line = |i: usize| format!("$N{i}=${{N{}}}\n", i / 2);
        (1..n * 10).map(line).collect()
    }),
    ("uses", |n| {
        format!("$A=x\n{}", "router_id ${A}${A} $B ${C}\n".repeat(n * 3))
    }),
    ("circles", |n| {
        format!("$A=${{B}}\n$B=$A\n{}", "router_id $A\n".repeat(n))
    }),
    ("long definitions", |n| {
        format!("$A= \\\n{}\n$A\n$A\n", "a \\\n".repeat(n * 5))
    }),
    ("sequences", |n| format!("~SEQ(i, {}) x ${{i}}\n", n * 5)),
    ("open quotes", |n| "router_id \"a\n".repeat(n * 5)),
    ("a long line", |n| {
        format!("router_id {}", "x".repeat(n * 10_000))
    }),
    ("blanks", |n| "\u{a0}".repeat(n * 50)),
    ("includes", |n| "include /k/other\n".repeat(n * 5)),
];

/// Twice the text takes about twice the time; of quadratic work it would be
/// four times.
#[test]
fn time_grows_with_the_text_only() {
    for (name, shape) in SHAPES {
        let time = |n: usize| {
            let files = vec![
                (PathBuf::from("/k/main"), shape(n).into_bytes()),
                (PathBuf::from("/k/other"), b"# nothing\n".to_vec()),
            ];
            let before = processor_time();
            load(&files, Path::new("/k/main"), &Options::default());
            processor_time().saturating_sub(before)
        };
        // From where it takes long enough to be measured, and not only once.
        let mut n = 100;
        while n < 800 && time(n) < Duration::from_millis(20) {
            n *= 2;
        }
        let mut ratios = (0..5).map(|_| {
            let (one, two) = (time(n), time(2 * n));
            two.as_secs_f64() / one.as_secs_f64().max(0.002)
        });
        assert!(ratios.any(|ratio| ratio < 3.2), "{name}: quadratic");
    }
}

/// Any line may be too long, too often, or without an end: an answer comes soon.
#[test]
fn huge_files_are_answered() {
    let huge: &[(&str, Vec<u8>)] = &[
        ("line too long - ignoring", vec![b'x'; 20 << 20]),
        ("the configuration is too large", vec![b'\n'; 65 << 20]),
        ("embedded NULs", vec![0; 60_000]),
        ("line too long - ignoring", vec![0xff; 1 << 20]),
        ("Extra '}' found", b"}".repeat(60_000)),
        ("more than 200000 lines", b"~SEQ(i, 2000000000) x".to_vec()),
    ];
    for (said, bytes) in huge {
        let files = vec![(PathBuf::from("/k/main"), bytes.clone())];
        let before = processor_time();
        let loaded = load(&files, Path::new("/k/main"), &Options::default());
        let took = processor_time().saturating_sub(before);
        assert!(took < Duration::from_secs(20), "{said}: {took:?}");
        let first = &loaded.diagnostics[0];
        assert!(first.message.contains(said), "{first:?}");
        let line = first.as_c_line(&loaded.sources);
        assert!(line.starts_with("(Line 1) "), "{line}");
        assert!(first.as_snippet(&loaded.sources).len() < 2_000);
    }
}

fn processor_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock.now().map(Duration::from).unwrap_or_default()
}
