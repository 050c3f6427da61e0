//! A fuzzer without instruments: seeds, changed at random but with a sense for
//! the language, for a given time.
//!
//! `FUZZ_SECONDS` is how long (5), `FUZZ_SEED` repeats a run, `FUZZ_INPUT` reads
//! one file only. The input in hand lies in a file while it is read, so that one
//! that kills or hangs the process is there afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use keepalived_rs::config::diagnostic::Diagnostic;
use keepalived_rs::config::keywords;
use keepalived_rs::config::source::{FileProblem, Files, Sources, Span};

/// Longer inputs take time and show nothing new.
const INPUT_BYTES_MAX: usize = 16_384;
/// Processor time for one input. The limits of the reading allow some hundred
/// thousand lines; a test is not optimised.
const INPUT_TIME_MAX: Duration = Duration::from_secs(15);
/// The name of the input among the files.
pub const MAIN: &str = "/k/main";

/// Texts that mean something to the reader, besides the keywords.
const TEXTS: &[&str] = &[
    "{",
    "}",
    "{}",
    "{ }",
    "\"",
    "'",
    "\\",
    "\\\n",
    "#",
    "!",
    "\\#",
    "\n",
    "\r\n",
    "\t",
    " ",
    ",",
    ")",
    "\u{3000}",
    "\u{feff}",
    "\0",
    "\u{7f}",
    "e\u{301}",
    "🙂",
    "@a ",
    "@^a ",
    "@b ",
    "@",
    "@@a",
    "$A=",
    "$B=",
    "$A",
    "${A}",
    "${B}",
    "$A= \\\n",
    "${",
    "$",
    "${A",
    "${A x}",
    "${_PWD}",
    "${_INSTANCE}",
    "${_RANDOM}",
    "${_RANDOM 1 9}",
    "${_RANDOM 9 1}",
    "${_ENV HOME}",
    "${_ENV}",
    "${_HASH}",
    "${_BANG}",
    "~SEQ(A, 3) ",
    "~SEQ(A, 1, 3) ",
    "~SEQ(A, 9, -3, 1) ",
    "~SEQx(A, 20) ",
    "~SEQ(",
    "~LST(A, x, y) ",
    "~LST({A, B}, {1, 2}, {3}) ",
    "~LST(",
    "~",
    "include ",
    "includea ",
    "include_check",
    "+match",
    "-read",
    "random_seed 7",
    "*",
    "{a,b}",
    "main",
    "0",
    "1",
    "-1",
    "51",
    "254",
    "255",
    "256",
    "1.5",
    "0.0001",
    "5x",
    ".",
    "1.",
    "0x10",
    "99999999999999999999",
    "on",
    "off",
    "true",
    "yes",
    "eth0",
    "192.0.2.1",
    "192.0.2.1/24",
    "192.0.2.1/33",
    "2001:db8::1/64",
    "fe80::1",
    "::",
    "/",
    "dev",
    "via",
    "weight",
    "reverse",
    "label",
    "scope",
    "brd",
    "+",
    "PASS",
    "MASTER",
    "BACKUP",
    "/bin/true",
    "\"/bin/sh -c 'exit 1'\"",
    "\\x41",
    "\\c",
];

/// The whole program of a fuzz target.
pub fn run(target: &str, check: impl Fn(&Memory<'_>)) -> ExitCode {
    let corpus = corpus(target);
    if let Some(path) = std::env::var_os("FUZZ_INPUT") {
        let main = std::fs::read(&path).expect("the input of FUZZ_INPUT");
        check(&Memory {
            main: &main,
            others: &corpus,
        });
        return ExitCode::SUCCESS;
    }
    let seed = number("FUZZ_SEED").unwrap_or_else(random);
    let seconds = number("FUZZ_SECONDS").unwrap_or(5);
    say(&format!("fuzz {target}: FUZZ_SEED={seed}, {seconds} s"));
    let in_hand = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}-input"));
    let mut fuzzer = Fuzzer::new(seed);
    let until = now() + Duration::from_secs(seconds);
    let mut count = 0_usize;
    // The seeds as they are come first.
    while count < corpus.len() || now() < until {
        let main = match corpus.get(count) {
            Some((_, bytes)) => bytes.clone(),
            None => fuzzer.input(&corpus),
        };
        count += 1;
        std::fs::write(&in_hand, &main).expect("a writable target directory");
        let memory = Memory {
            main: &main,
            others: &corpus,
        };
        let before = processor_time();
        let panicked = catch_unwind(AssertUnwindSafe(|| check(&memory))).is_err();
        let took = processor_time().saturating_sub(before);
        if panicked || took > INPUT_TIME_MAX {
            let kept = in_hand.with_file_name(format!("fuzz-{target}-{seed}-{count}"));
            std::fs::write(&kept, &main).expect("a writable target directory");
            say(&format!(
                "fuzz {target}: input {count} {} after {took:?}; it is in {}",
                if panicked { "fails" } else { "is slow" },
                kept.display()
            ));
            return ExitCode::FAILURE;
        }
    }
    say(&format!("fuzz {target}: {count} inputs, all well"));
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_macros, reason = "a test tells its reader")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::disallowed_methods, reason = "a test has a clock")]
fn now() -> Instant {
    Instant::now()
}

fn processor_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock.now().map(Duration::from).unwrap_or_default()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() >> 32
}

/// The seeds of a target, with the names under which they can be included.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let entries = std::fs::read_dir(directory.join(target)).expect("the seeds");
    let mut found: Vec<(PathBuf, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("a readable directory").path();
            let name = Path::new("/k").join(path.file_name().expect("a name"));
            (name, std::fs::read(&path).expect("a readable seed"))
        })
        .collect();
    found.sort();
    assert!(found.len() >= 15, "the seeds are gone");
    found
}

/// The input and the seeds, as files.
pub struct Memory<'a> {
    main: &'a [u8],
    others: &'a [(PathBuf, Vec<u8>)],
}

impl Files for Memory<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        if path == Path::new(MAIN) {
            return Ok(self.main.to_vec());
        }
        let found = self.others.iter().find(|(known, _)| known == path);
        found
            .map(|(_, bytes)| bytes.clone())
            .ok_or(FileProblem::Missing)
    }

    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let pattern = directory.join(pattern);
        if pattern.ends_with("*") {
            return self.others.iter().map(|(path, _)| path.clone()).collect();
        }
        match self.read(&pattern) {
            Ok(_) => vec![pattern],
            Err(_) => Vec::new(),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root ${A} $B @a".to_string())
    }
}

/// What holds of every finding: it can be printed, and its places exist.
pub fn check_finding(diagnostic: &Diagnostic, sources: &Sources) {
    let line = diagnostic.as_c_line(sources);
    assert!(!line.contains(['\n', '\0', '\u{1b}']), "{line:?}");
    let snippet = diagnostic.as_snippet(sources);
    assert!(snippet.ends_with('\n'), "{snippet:?}");
    assert!(!snippet.contains(['\0', '\u{1b}']), "{snippet:?}");
    let labels = diagnostic.labels.iter().map(|label| label.span);
    for span in diagnostic.span.into_iter().chain(labels) {
        check_span(span, sources);
    }
}

/// A span lies in a file that was read, on the borders of characters.
pub fn check_span(span: Span, sources: &Sources) {
    assert!(span.start <= span.end, "{span:?}");
    assert!(sources.place(span).is_some(), "{span:?}");
    let is_there = span.start == span.end || !sources.text(span).is_empty();
    assert!(is_there, "{span:?} is not in its file");
}

struct Fuzzer {
    state: u64,
    keywords: Vec<&'static str>,
}

impl Fuzzer {
    fn new(seed: u64) -> Self {
        Self {
            state: seed,
            keywords: keywords::rows().iter().map(|row| row.name).collect(),
        }
    }

    /// SplitMix64.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    fn word(&mut self) -> Vec<u8> {
        let word = if self.below(3) == 0 {
            let index = self.below(self.keywords.len());
            self.keywords[index]
        } else {
            TEXTS[self.below(TEXTS.len())]
        };
        word.as_bytes().to_vec()
    }

    fn input(&mut self, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].1.clone();
        for _ in 0..=self.below(8) {
            let other = &corpus[self.below(corpus.len())].1;
            match self.below(10) {
                0..3 => self.change_words(&mut bytes),
                3..7 => self.change_lines(&mut bytes, other),
                _ => self.change_bytes(&mut bytes, other),
            }
        }
        bytes.truncate(INPUT_BYTES_MAX);
        bytes
    }

    /// A word is replaced, doubled, moved or put in.
    fn change_words(&mut self, bytes: &mut Vec<u8>) {
        let mut words: Vec<Vec<u8>> = bytes
            .split_inclusive(|byte| byte.is_ascii_whitespace())
            .map(<[u8]>::to_vec)
            .collect();
        let at = self.below(words.len() + 1);
        let new = self.word();
        match (self.below(4), words.get_mut(at)) {
            (0, Some(word)) => {
                let end = word.pop().unwrap_or(b' ');
                *word = new;
                word.push(end);
            }
            (1, Some(word)) => {
                let word = word.clone();
                words.insert(self.below(words.len()), word);
            }
            (2, Some(_)) => {
                words.remove(at);
            }
            _ => words.insert(at.min(words.len()), [&new[..], b" "].concat()),
        }
        *bytes = words.concat();
    }

    /// Lines are doubled, moved, taken out, taken over, or get something before them.
    fn change_lines(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let split = |bytes: &[u8]| -> Vec<Vec<u8>> {
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect()
        };
        let (mut lines, other) = (split(bytes), split(other));
        let from = self.below(lines.len());
        let to = (from + 1 + self.below(6)).min(lines.len());
        match self.below(6) {
            0 => drop(lines.drain(from.min(to)..to)),
            1 => {
                let copied = lines[from.min(to)..to].to_vec();
                let at = self.below(lines.len());
                lines.splice(at..at, copied);
            }
            2 if !lines.is_empty() => {
                let with = self.below(lines.len());
                lines.swap(from, with);
            }
            3 => {
                let start = self.below(other.len());
                let end = (start + 1 + self.below(8)).min(other.len());
                lines.splice(from..from, other[start.min(end)..end].to_vec());
            }
            4 => {
                let brace = if self.below(2) == 0 { "{\n" } else { "}\n" };
                lines.insert(from, brace.as_bytes().to_vec());
            }
            _ => {
                let word = self.word();
                if let Some(line) = lines.get_mut(from) {
                    line.splice(0..0, word);
                }
            }
        }
        *bytes = lines.concat();
    }

    /// Bytes are changed without any sense for the language.
    fn change_bytes(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(16)).min(bytes.len());
        let random = self.below(256) as u8;
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, random),
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (random % 8);
                }
            }
            4 => {
                let start = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[start..]);
            }
            _ => {
                let word = self.word();
                bytes.splice(at..at, word);
            }
        }
    }
}
