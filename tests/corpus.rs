//! Real configurations: our verdict is C keepalived's.
//!
//! The corpus lies beside the checkout, in `../shared/corpus`; without it the
//! test says that it is skipped. For each file of its `open/`
//!
//! - the exit code of our `-t` is the one of C 2.2.7 or of C 2.4.3;
//! - what we find is what one of the two found, compared as sets of places.
//!
//! A place is (line, word). The line is the number in C's `(Line n)` or
//! `(FILE: Line n)`, 0 if the message has none. The word is what the message is
//! about: the first word in quotes, or else the message itself without the name
//! in front and with every number as `N`. Sets, because C says one thing up to
//! four times. Where C says two things about one value on one line (what is
//! wrong with the number or the address, then what it is for), either of the two
//! will do.
//!
//! Four documented differences are taken out, so that only what follows from them
//! does not count.
//!
//! - C ends at once when an argument is missing (exit code 2). Then all that it
//!   said must be among ours, which go on.
//! - C ends after reading when an interface is missing, where ours waits for it.
//!   Then what ours says without a line may be more.
//! - C drops a script that cannot run, which ours keeps as failed. Then what is
//!   said of the lines that track a script does not count.
//! - C reads the inside of an unknown block as if it stood in the block around
//!   it, and ends that with the inner brace, where ours skips the inner block.
//!   Then what one of the two alone says behind the unknown word, up to the end of
//!   the outer block, does not count.
//!
//! Every other file with another verdict stands in a list here, with the reason.
//!
//! Of our findings those count that C counts, too: a finding of `Class::None`
//! is one that C only logs, or has not at all. Includes are the exception: the
//! verdicts of C have those lines.
//!
//! `CORPUS_REPORT=1 cargo test --test corpus -- --nocapture` prints every file
//! that differs, and what it is that differs, the most frequent first.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "reports on real processes"
)]

#[path = "lab/mod.rs"]
mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keepalived_rs::config::diagnostic::Class;
use keepalived_rs::config::{self, Options};
use keepalived_rs::system::files::DiskFiles;
use keepalived_rs::system::machine::ThisMachine;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Files whose exit code differs on purpose, and why.
const OTHER_CODE: &[(&str, &str)] = &[(
    "005.conf",
    "the missing argument stands in an unknown block, which is skipped",
)];

/// Files whose findings differ on purpose, and why.
const OTHER_FINDINGS: &[(&str, &str)] = &[
    (
        "077.conf",
        "its definitions open more blocks than they close, so the second server comes to stand in \
         an unknown block, which is skipped",
    ),
    ("156.conf", "its lines begin with no-break spaces"),
    (
        "216.conf",
        "servers stand in a group of addresses: C takes the words of their blocks for addresses \
         and its first brace for the group's, ours skips the blocks",
    ),
    (
        "230.conf",
        "a virtual_server without its brace: ours says so once and reads on in it, C's other \
         readers, which would skip the block, call its words unknown, too",
    ),
    (
        "355.conf",
        "a virtual_server that is never closed: C happens to go on in the next one, which it calls \
         empty, ours skips what is unknown in the first one to the end",
    ),
];

/// Where C hangs or kills itself, ours answers within this time of the processor;
/// without the optimiser it may take longer.
const ANSWER_TIME_MAX: Duration = match cfg!(debug_assertions) {
    true => Duration::from_secs(5),
    false => Duration::from_secs(1),
};

/// After this C says nothing more.
const MISSING_INTERFACE: &str = "Non-existent interface specified in configuration";

/// C's exit code when it ends at once.
const MISSING_ARGUMENT: u8 = 2;

/// A line, or 0, and the word that a message is about.
type Place = (usize, String);

/// One file of the corpus, with C's verdicts: 2.2.7, then 2.4.3.
#[derive(Debug)]
struct Case {
    name: String,
    text: String,
    /// `None`: C did not answer.
    codes: [Option<u8>; 2],
    places: [Said; 2],
}

/// What one program said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    places: BTreeSet<Place>,
    /// What follows from C's dropping of scripts.
    about_dropped: BTreeSet<Place>,
    /// Unknown words, and braces that C did not expect: their lines.
    unknown: BTreeSet<usize>,
    braces: BTreeSet<usize>,
    /// Lines on which C says what is wrong with a number or an address.
    values: BTreeSet<usize>,
}

#[derive(Debug)]
struct Verdict {
    code: Option<u8>,
    said: Said,
    time: Duration,
}

#[test]
fn real_configurations_get_the_verdict_of_c() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let name = "real_configurations_get_the_verdict_of_c";
    if !corpus.join("index.tsv").is_file() {
        let why = "there is no corpus of configurations beside the checkout";
        return lab::isolation::report_skipped(name, why);
    }
    if lab::isolation::needs_user_namespace() || !nix::unistd::geteuid().is_root() {
        return lab::isolation::report_skipped(name, "the verdicts were taken as root");
    }
    // The body runs in a process of its own, whose output is shown if it fails.
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus-report.txt");
    lab::isolation::isolated(|| {
        make_interfaces(&corpus);
        let cases = cases(&corpus);
        assert!(cases.len() > 300, "only {} files", cases.len());
        let mut verdicts = judge_all(&corpus, &cases);
        measure(&corpus, &cases, &mut verdicts);
        let comparison = compare(&cases, &verdicts);
        fs::write(&report, comparison.report()).unwrap();
        println!("{}", comparison.report());
        comparison.check();
    });
    if !lab::isolation::is_inside() {
        println!("{}", fs::read_to_string(&report).unwrap_or_default());
    }
}

/// Every interface that the verdicts were taken with.
fn make_interfaces(corpus: &Path) {
    let names = fs::read_to_string(corpus.join("interfaces.txt")).unwrap();
    let names: Vec<&str> = names.lines().filter(|name| *name != "lo").collect();
    let mut made = Vec::new();
    for pair in names.chunks(2) {
        let peer = pair.get(1).copied().unwrap_or("corpus-peer");
        lab::netlink::add_veth(pair[0], peer).unwrap();
        made.extend([pair[0], peer]);
    }
    for (index, name) in made.into_iter().chain(["lo"]).enumerate() {
        lab::netlink::set_up(name, true).unwrap();
        if name != "lo" {
            let address = Ipv4Addr::new(10, 99, u8::try_from(index).unwrap(), 1);
            lab::netlink::add_address(name, address, 24).unwrap();
        }
    }
}

fn cases(corpus: &Path) -> Vec<Case> {
    let index = fs::read_to_string(corpus.join("index.tsv")).unwrap();
    let mut lines = index.lines();
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| head.iter().position(|word| *word == name).unwrap();
    let (old, new) = (column("rc_2.2.7"), column("rc_2.4.3"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let name = cells[0].to_owned();
            let messages = corpus.join("messages").join(&name).with_extension("txt");
            Case {
                codes: [old, new].map(|index| cells[index].parse().ok()),
                places: what_c_said(&fs::read_to_string(messages).unwrap()),
                text: String::from_utf8_lossy(&fs::read(corpus.join("open").join(&name)).unwrap())
                    .into_owned(),
                name,
            }
        })
        .collect()
}

/// The messages of the two versions, each behind a line with its number.
fn what_c_said(text: &str) -> [Said; 2] {
    let (old, new) = text.split_once("# 2.4.3\n").unwrap_or((text, ""));
    let old = old.strip_prefix("# 2.2.7\n").unwrap_or(old);
    [old, new].map(|text| said(text.lines()))
}

fn said<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Said {
    let mut said = Said::default();
    let drops = [
        "Disabling track script",
        "Unable to set default user for vrrp script",
    ];
    let drops = |message: &str| {
        drops.iter().any(|start| message.starts_with(start))
            || message.starts_with("Unable to set uid/gid for script")
    };
    let dropped = lines.clone().any(|line| drops(place_of(line).1));
    for line in lines {
        let (number, message) = place_of(line);
        let follows = message.contains(") ignoring tracked script ")
            || message.contains(") track script ") && message.ends_with(" not found, ignoring...");
        if dropped && follows {
            said.about_dropped.insert((number, word_of(message)));
            continue;
        }
        // A second line of the same message is set in.
        if message.starts_with("  ") || message.is_empty() {
            continue;
        }
        if message.starts_with("Unknown keyword '") {
            said.unknown.insert(number);
        } else if message.starts_with("Unexpected '{'") {
            said.braces.insert(number);
        }
        if is_about_a_value(message) {
            said.values.insert(number);
        } else {
            said.places.insert((number, word_of(message)));
        }
    }
    said
}

/// `(Line 3) text` and `(FILE: Line 3) text`.
fn place_of(line: &str) -> (usize, &str) {
    let parts = || {
        let (inside, rest) = line.strip_prefix('(')?.split_once(')')?;
        let number = inside.rsplit(": ").next()?.strip_prefix("Line ")?;
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        Some((number.parse().ok()?, rest))
    };
    parts().unwrap_or((0, line))
}

fn is_about_a_value(message: &str) -> bool {
    let message = message.strip_prefix("WARNING - ").unwrap_or(message);
    let starts = [
        "number '",
        "invalid number '",
        "negative number '",
        "VRRP parsed invalid IP ",
    ];
    starts.iter().any(|start| message.starts_with(start))
}

fn word_of(message: &str) -> String {
    if let Some(start) = message.find(['\'', '"', '`']) {
        let rest = &message[start + 1..];
        if let Some(end) = rest.find(['\'', '"', '`']) {
            return rest[..end].to_owned();
        }
    }
    let without_name = message
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .map_or(message, |(_, rest)| rest.trim_start_matches([':', ' ']));
    let mut word = String::new();
    for c in without_name.chars() {
        match c {
            '0'..='9' if word.ends_with('N') => {}
            '0'..='9' => word.push('N'),
            c => word.push(c),
        }
    }
    word
}

/// Our verdicts, in the order of `cases`.
fn judge_all(corpus: &Path, cases: &[Case]) -> Vec<Verdict> {
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    let verdict = judge(corpus, directory.path(), &case.name);
                    done.lock().unwrap().insert(index, verdict);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

fn judge(corpus: &Path, directory: &Path, name: &str) -> Verdict {
    // Alone in its directory: an include may have a pattern.
    let directory = directory.join(name);
    fs::create_dir(&directory).unwrap();
    let file: PathBuf = directory.join("keepalived.conf");
    fs::write(&file, fs::read(corpus.join("open").join(name)).unwrap()).unwrap();
    let code = ours(&file);
    let loaded = config::load_on(&ThisMachine::new(), &DiskFiles, &file, &Options::default());
    let lines: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|found| found.class != Class::None || found.code == "include")
        .map(|found| found.as_c_line(&loaded.sources))
        .collect();
    Verdict {
        code,
        said: said(lines.iter().map(String::as_str)),
        time: Duration::ZERO,
    }
}

/// The exit code of our test of a file.
fn ours(file: &Path) -> Option<u8> {
    let status = Command::new(env!("CARGO_BIN_EXE_keepalived-rs"))
        .args(["-t", "-f"])
        .arg(file)
        .current_dir(file.parent().unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.code().and_then(|code| u8::try_from(code).ok())
}

/// Takes the time of those that C does not answer, one after the other, because
/// the clock of all ended processes is one.
fn measure(corpus: &Path, cases: &[Case], verdicts: &mut [Verdict]) {
    let directory = tempfile::tempdir().unwrap();
    let unanswered = |case: &Case| case.codes.iter().all(Option::is_none);
    for (case, verdict) in cases.iter().zip(verdicts) {
        if unanswered(case) {
            let file = directory.path().join(&case.name);
            fs::write(
                &file,
                fs::read(corpus.join("open").join(&case.name)).unwrap(),
            )
            .unwrap();
            let before = time_of_children();
            ours(&file);
            verdict.time = time_of_children().saturating_sub(before);
        }
    }
}

/// Time of the processor that all ended processes took.
fn time_of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let times = [usage.user_time(), usage.system_time()];
    times
        .map(|time| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap()))
        .iter()
        .sum()
}

/// The sum of all comparisons.
#[derive(Debug, Default)]
struct Comparison {
    files: usize,
    same_code: usize,
    /// Files that C answers.
    comparable: usize,
    same_findings: usize,
    /// Lines about exit codes, and about lists that are not true any more.
    wrong: Vec<String>,
    /// Files with other findings, and the findings.
    other: Vec<(String, Vec<Difference>)>,
}

fn compare(cases: &[Case], verdicts: &[Verdict]) -> Comparison {
    let mut sum = Comparison::default();
    for (case, verdict) in cases.iter().zip(verdicts) {
        let is_listed = |list: &[(&str, &str)]| list.iter().any(|(name, _)| *name == case.name);
        sum.files += 1;
        let answered = case.codes.iter().any(Option::is_some);
        let codes_agree = match answered {
            true => verdict.code.is_some() && case.codes.contains(&verdict.code),
            false => verdict.code.is_some() && verdict.time <= ANSWER_TIME_MAX,
        };
        sum.same_code += usize::from(codes_agree);
        if codes_agree == is_listed(OTHER_CODE) {
            let (ours, time) = (verdict.code, verdict.time);
            let name = &case.name;
            let line = format!("{name}: exit code {ours:?} in {time:?}, C {:?}", case.codes);
            sum.wrong.push(line);
        }
        if !answered {
            continue;
        }
        sum.comparable += 1;
        let differences = differences(case, &verdict.said);
        if differences.is_empty() {
            sum.same_findings += 1;
            if is_listed(OTHER_FINDINGS) {
                let line = format!("{}: is listed, but its findings are C's", case.name);
                sum.wrong.push(line);
            }
        } else if !is_listed(OTHER_FINDINGS) {
            sum.other.push((case.name.clone(), differences));
        }
    }
    sum
}

impl Comparison {
    /// The counts; with `CORPUS_REPORT` what differs, too.
    fn report(&self) -> String {
        let mut out = format!(
            "{} files; exit code as C: {}, not by choice: {}; of {} files that C answers, findings \
             as C: {}, not by choice: {}\n",
            self.files,
            self.same_code,
            OTHER_CODE.len(),
            self.comparable,
            self.same_findings,
            OTHER_FINDINGS.len(),
        );
        if std::env::var_os("CORPUS_REPORT").is_none() {
            return out;
        }
        let mut kinds: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (name, differences) in &self.other {
            let _ = writeln!(out, "{name}");
            for (who, line, word) in differences {
                let _ = writeln!(out, "    {who}, line {line}: {word}");
                let files = kinds.entry(format!("{who}: {word}")).or_default();
                files.insert(name);
            }
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(kind, files)| (usize::MAX - files.len(), kind.clone()));
        for (kind, files) in kinds {
            let some: Vec<&str> = files.iter().take(9).copied().collect();
            let _ = writeln!(out, "{:4} {kind}    {}", files.len(), some.join(" "));
        }
        out
    }

    #[track_caller]
    fn check(&self) {
        let other = self.other.iter().map(|(name, differences)| {
            let differences: Vec<String> = differences
                .iter()
                .map(|(who, line, word)| format!("    {who}, line {line}: {word}"))
                .collect();
            format!("{name}: other findings\n{}", differences.join("\n"))
        });
        let wrong: Vec<String> = self.wrong.iter().cloned().chain(other).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Who alone found it, the line and the word.
type Difference = (&'static str, usize, String);

/// In what our findings differ from those of the version of C that is nearer:
/// `ours only` or `C only`, line, word.
fn differences(case: &Case, ours: &Said) -> Vec<Difference> {
    let versions = case.codes.iter().zip(&case.places);
    versions
        .filter_map(|(code, c)| Some((code.as_ref()?, c)))
        .map(|(code, c)| {
            let mut out = difference(c, ours);
            let ended = *code == MISSING_ARGUMENT;
            let waits = c.places.contains(&(0, MISSING_INTERFACE.to_owned()));
            let skipped = in_unknown_blocks(c, &case.text);
            out.retain(|(who, line, word)| match *who {
                "ours only" if ended || waits && *line == 0 => false,
                "C only" if word == "{" && c.unknown.contains(line) => false,
                _ => !skipped.contains(line),
            });
            out
        })
        .min_by_key(Vec::len)
        .unwrap_or_default()
}

/// The lines behind unknown words that have a block, each to the end of the
/// outermost block.
fn in_unknown_blocks(c: &Said, text: &str) -> BTreeSet<usize> {
    // The brace may stand on one of the next lines.
    let has_block = |line: usize| c.braces.range(line..line + 3).next().is_some();
    let mut skipped = BTreeSet::new();
    let mut depth = 0_usize;
    let mut skips = false;
    for (line, text) in (1..).zip(text.lines()) {
        skips &= depth > 0 || c.braces.contains(&line);
        if skips {
            skipped.insert(line);
        }
        if c.unknown.contains(&line) && has_block(line) {
            skips = true;
        }
        let text = text.split(['#', '!']).next().unwrap_or_default();
        for c in text.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    skipped
}

fn difference(c: &Said, ours: &Said) -> Vec<Difference> {
    let dropped = &c.about_dropped | &ours.about_dropped;
    let our_lines: BTreeSet<usize> = ours.places.iter().map(|(line, _)| *line).collect();
    let our_lines = &our_lines | &ours.values;
    let mut out = Vec::new();
    for (line, word) in ours.places.difference(&c.places) {
        let place = (*line, word.clone());
        if !c.values.contains(line) && !dropped.contains(&place) {
            out.push(("ours only", *line, word.clone()));
        }
    }
    for (line, word) in c.places.difference(&ours.places) {
        let place = (*line, word.clone());
        let is_value = c.values.contains(line) && our_lines.contains(line);
        if !is_value && !dropped.contains(&place) {
            out.push(("C only", *line, word.clone()));
        }
    }
    for line in ours.values.difference(&c.values) {
        out.push(("ours only", *line, "a value".to_owned()));
    }
    for line in c.values.difference(&our_lines) {
        out.push(("C only", *line, "a value".to_owned()));
    }
    out
}

#[test]
fn places_are_read_from_both_forms_of_a_line() {
    let lines = [
        "(Line 3) Unknown keyword 'nat_mask'",
        "(keepalived.conf: Line 8) (VI_1) unknown state 'X', defaulting to BACKUP",
        "(VI_1) Truncating auth_pass to 8 characters",
        "(Line 9) number '0.5' outside range [1, 2]",
        "(Line 10)           Please use global lvs_sync_daemon",
    ];
    let said = said(lines.into_iter());
    let expected = [
        (0, "Truncating auth_pass to N characters"),
        (3, "nat_mask"),
        (8, "X"),
    ];
    let expected = expected.map(|(line, word)| (line, word.to_owned()));
    assert_eq!(said.places, BTreeSet::from(expected));
    assert_eq!(said.values, BTreeSet::from([9]));
}
