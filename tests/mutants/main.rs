//! Whether the simulator finds mistakes: copies of the engine with one mistake
//! each, and which rule catches it at which seed.
//!
//! `cargo test` only makes sure that every mistake can still be made. All of them
//! are made, built and run, one after the other, by
//!
//! ```sh
//! cargo test --test mutants -- --ignored --nocapture
//! ```
//!
//! which fails if one survives. `MUTANT=words,words` takes those with one of these in
//! their names.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a command says what it does, and how long it took"
)]

mod table;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use table::{MUTANTS, Mutant};

/// How many seeds a mistake has to show in.
const SEEDS: &str = "2000";

/// A mistake that makes the engine go round in circles is caught, too.
const TIME_MAX: Duration = Duration::from_secs(600);

#[test]
fn every_mistake_can_still_be_made() {
    assert!(MUTANTS.len() >= 20);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let failures: Vec<String> = MUTANTS
        .iter()
        .filter_map(|mutant| {
            Some(format!(
                "{}: {}\n",
                mutant.name,
                made(mutant, source).err()?
            ))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.concat());
}

#[test]
#[ignore = "builds the engine once for each mistake, which takes a quarter of an hour"]
fn every_mistake_is_found() {
    let words = std::env::var("MUTANT").unwrap_or_default();
    let is_wanted = |name: &str| words.split(',').any(|words| name.contains(words));
    let copy = Copy::new().expect("a copy of the source");
    let (mut survivors, mut count) = (Vec::new(), 0);
    println!();
    for mutant in MUTANTS.iter().filter(|it| is_wanted(it.name)) {
        count += 1;
        let began = Instant::now();
        let path = copy.root.join("src/vrrp").join(mutant.file);
        let right = fs::read_to_string(&path).expect("a source file");
        fs::write(&path, made(mutant, &copy.root).expect("a mistake")).expect("a file to write");
        let result = copy.run();
        fs::write(&path, right).expect("a file to write");
        let seconds = began.elapsed().as_secs();
        let verdict = result.unwrap_or_else(|| {
            survivors.push(mutant.name);
            "SURVIVES".to_owned()
        });
        println!("{:<55} {verdict} ({seconds} s)", mutant.name);
        io::stdout().flush().expect("an output");
    }
    println!("{} of {count} caught", count - survivors.len());
    assert!(survivors.is_empty(), "nobody noticed: {survivors:?}");
}

/// The file with the mistake in it, from the source in `root`.
fn made(mutant: &Mutant, root: &Path) -> Result<String, String> {
    let path = root.join("src/vrrp").join(mutant.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
    let places: Vec<_> = find(&text, mutant.found);
    match places.as_slice() {
        [(from, to)] => Ok([&text[..*from], mutant.instead, &text[*to..]].concat()),
        other => Err(format!("found {} times in {}", other.len(), mutant.file)),
    }
}

/// Where `wanted` stands in `text`, if all white space is the same.
fn find(text: &str, wanted: &str) -> Vec<(usize, usize)> {
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    let starts = text.match_indices(first).map(|(from, _)| from);
    starts
        .filter_map(|from| {
            let mut to = from;
            for (place, word) in words.iter().enumerate() {
                if place > 0 {
                    let rest = &text[to..];
                    let space = rest.len() - rest.trim_start().len();
                    to += space;
                    if space == 0 {
                        return None;
                    }
                }
                text[to..].starts_with(word).then_some(())?;
                to += word.len();
            }
            Some((from, to))
        })
        .collect()
}

/// The source aside, with what it takes to run the simulation.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> io::Result<Self> {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let aside = from.join("target/mutants");
        let (root, target) = (aside.join("source"), aside.join("target"));
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        copy_directory(&from.join("src"), &root.join("src"))?;
        // The upper floors are not run here, and take most of the time to build.
        for floor in ["cli", "daemon", "system"] {
            fs::remove_dir_all(root.join("src").join(floor))?;
        }
        fs::remove_file(root.join("src/main.rs"))?;
        let library = fs::read_to_string(from.join("src/lib.rs"))?;
        let library = without_lines(
            &library,
            &["pub mod cli;", "pub mod daemon;", "pub mod system;"],
        );
        fs::write(root.join("src/lib.rs"), library)?;
        fs::create_dir_all(root.join("tests"))?;
        let test = Path::new("tests/simulation.rs");
        fs::copy(from.join(test), root.join(test))?;
        fs::copy(from.join("Cargo.lock"), root.join("Cargo.lock"))?;
        let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
        fs::write(root.join("Cargo.toml"), library_only(&manifest))?;
        Ok(Self { root, target })
    }

    /// Builds and runs; who caught it, or `None` if nobody did.
    fn run(&self) -> Option<String> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let log = self.root.join("output");
        let output = fs::File::create(&log).expect("a file to write");
        let mut child = Command::new(cargo)
            .args(["test", "--offline", "--test", "simulation", "no_world"])
            // Each is built once and soon caught.
            .args(["--config", "profile.dev.package.keepalived-rs.opt-level=0"])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("RUSTFLAGS", "-Awarnings")
            .env("SIMULATION_SEEDS", SEEDS)
            .env("SIMULATION_STOP_AT_FIRST", "1")
            .stdout(output.try_clone().expect("a file"))
            .stderr(Stdio::from(output))
            .spawn()
            .expect("cargo");
        let began = Instant::now();
        let status = loop {
            match child.try_wait().expect("a child") {
                Some(status) => break status,
                None if began.elapsed() > TIME_MAX => {
                    child.kill().expect("a child to end");
                    child.wait().expect("a child that ended");
                    return Some("caught: does not come to an end".to_owned());
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let text = fs::read_to_string(&log).expect("an output");
        assert!(
            text.contains("running 1 test"),
            "it does not build:\n{text}"
        );
        if status.success() {
            return None;
        }
        let breach = text
            .lines()
            .find(|line| line.starts_with("seed ") && line.contains(": rule "));
        let panic = || text.lines().find(|line| line.contains("panicked"));
        let line = breach.or_else(panic).unwrap_or("fails");
        Some(format!(
            "caught: {}",
            line.chars().take(100).collect::<String>()
        ))
    }
}

/// The manifest without the programs, tests and examples that it names, and
/// without what only the upper floors need.
fn library_only(manifest: &str) -> String {
    let named = [
        "[bin]]",
        "[example]]",
        "[test]]",
        "[bench]]",
        "features]",
        "dev-dependencies]",
        "profile.",
    ];
    let sections = manifest.split("\n[");
    let kept = sections.filter(|it| !named.iter().any(|name| it.starts_with(name)));
    let kept: Vec<&str> = kept.collect();
    let upper = [
        "default-run",
        "clap ",
        "landlock ",
        "lettre ",
        "seccompiler ",
        "zbus ",
        "netlink-",
        "nix ",
        "socket2 ",
        "tokio ",
        "tracing",
    ];
    without_lines(&kept.join("\n["), &upper)
}

fn without_lines(text: &str, beginnings: &[&str]) -> String {
    let lines = text.lines();
    let kept = lines.filter(|line| !beginnings.iter().any(|begin| line.starts_with(begin)));
    kept.map(|line| format!("{line}\n")).collect()
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_directory(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
