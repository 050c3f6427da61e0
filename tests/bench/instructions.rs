//! What one piece of work costs, in instructions: an advert read and written, a turn of
//! the engine, a deadline, a configuration. Instructions are counted by valgrind's
//! callgrind, so that what else the machine does is not seen. Where valgrind is missing
//! the time is told instead, and the heading says so.
//!
//!     cargo bench --bench instructions [-- WORD]
//!
//! WORD takes the cases with that word in their name. The last results are kept in
//! `target/instructions.txt`; what is there from before is printed beside the new ones.
//! Without `--bench`, as `cargo test` does it, every case is run once and nothing is told.
//!
//! Only what [`counted`] does is counted. Caches and branches are not: two cases with
//! equal counts may take unequal time.

#![expect(
    clippy::disallowed_macros,
    reason = "a program that prints its results"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command as Process, ExitCode, Stdio};
use std::{env, fs};

use nix::time::{ClockId, clock_gettime};

mod cases;

use cases::{CASES, Case, Work};

/// How often a case is done while it is counted.
const ROUNDS: u32 = 100;
/// The same for what is long.
const ROUNDS_OF_LONG: u32 = 2;
/// With how many instances `cargo test` tries the cases.
const INSTANCES_OF_A_TRIAL: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, rounds] = arguments.as_slice()
        && flag == "--one"
    {
        let case = CASES.iter().find(|case| case.name == name);
        let (Some(case), Ok(rounds)) = (case, rounds.parse()) else {
            eprintln!("no such case: {name}");
            return ExitCode::FAILURE;
        };
        run(case, rounds);
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        for case in CASES {
            let mut work = (case.prepare)(INSTANCES_OF_A_TRIAL);
            work.before();
            work.work();
        }
        return ExitCode::SUCCESS;
    }
    let word = arguments.iter().find(|argument| !argument.starts_with('-'));
    let word = word.map_or("", String::as_str);
    compare(CASES.iter().filter(|case| case.name.contains(word)))
}

/// Does one case; gives its time in nanoseconds of this process.
fn run(case: &Case, rounds: u32) -> u128 {
    let mut work = (case.prepare)(case.instances);
    // The first time memory is fetched that is there later.
    work.before();
    work.work();
    let mut total = 0;
    for _ in 0..rounds {
        work.before();
        let start = processor_time_ns();
        counted(&mut *work);
        total += processor_time_ns() - start;
    }
    total
}

/// What callgrind looks for by name: it counts from the entry to the return.
#[inline(never)]
fn counted(work: &mut dyn Work) {
    black_box(work).work();
}

fn processor_time_ns() -> u128 {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a clock");
    u128::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec()).expect("not negative")
}

/// Prints a table of all of them, next to the results before, and keeps the results.
fn compare(cases: impl Iterator<Item = &'static Case>) -> ExitCode {
    let has_valgrind = Process::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let unit = if has_valgrind { "instructions" } else { "ns" };
    if !has_valgrind {
        println!("valgrind is missing: these are nanoseconds of processor time.\n");
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/instructions.txt");
    let before = read_results(&kept, unit);
    let mut results = before.clone();
    println!("| What | {unit} | before | ratio |\n|---|---:|---:|---:|");
    let mut all_counted = true;
    for case in cases {
        let rounds = if case.is_for_each {
            ROUNDS_OF_LONG
        } else {
            ROUNDS
        };
        let total = match has_valgrind {
            true => count(case, rounds),
            false => Some(run(case, rounds)),
        };
        let Some(total) = total else {
            println!("| {} | callgrind failed | | |", case.name);
            all_counted = false;
            continue;
        };
        let pieces = if case.is_for_each { case.instances } else { 1 };
        let each = total / u128::from(rounds) / pieces as u128;
        let (last, ratio) = match before.get(case.name) {
            Some(last) => (
                last.to_string(),
                format!("{:.2}", each as f64 / *last as f64),
            ),
            None => (String::new(), String::new()),
        };
        println!("| {} | {each} | {last} | {ratio} |", case.name);
        results.insert(case.name.to_owned(), each);
    }
    let text = results
        .iter()
        .fold(String::new(), |mut text, (name, each)| {
            let _ = writeln!(text, "{unit}\t{each}\t{name}");
            text
        });
    if let Err(error) = fs::write(&kept, text) {
        eprintln!("{}: {error}", kept.display());
        all_counted = false;
    }
    if all_counted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Results in the same unit, by name; none if there is no such file.
fn read_results(path: &Path, unit: &str) -> BTreeMap<String, u128> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.splitn(3, '\t');
        let is_alike = words.next()? == unit;
        let each = words.next()?.parse().ok()?;
        is_alike.then_some((words.next()?.to_owned(), each))
    };
    text.lines().filter_map(line).collect()
}

/// The instructions of all rounds of a case, by this program under callgrind.
fn count(case: &Case, rounds: u32) -> Option<u128> {
    let out = env::temp_dir().join(format!("callgrind.{}", std::process::id()));
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(&out);
    let ended = Process::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted*"])
        .arg(file)
        .arg(env::current_exe().ok()?)
        .args(["--one", case.name, &rounds.to_string()])
        .output()
        .ok()?;
    let total = total_of(&out);
    // What was counted is read; the file is of no other use.
    let _ = fs::remove_file(&out);
    if !ended.status.success() {
        eprint!("{}", String::from_utf8_lossy(&ended.stderr));
        return None;
    }
    total
}

/// The line `totals:` of callgrind's file.
fn total_of(out: &Path) -> Option<u128> {
    let text = fs::read_to_string(out).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}
