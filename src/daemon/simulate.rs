//! `keepalived-rs simulate`: what would happen to these configurations if.
//!
//! Decides what is read, what the nodes are called, and what is printed. What
//! happens is decided in `simulation`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::diagnostic::Severity;
use crate::config::{self, Loaded, Options};
use crate::simulation::report::Report;
use crate::simulation::scenario::{self, Named, Scenario};
use crate::system::files::DiskFiles;
use crate::time::{Instant, Interval};

/// A configuration cannot be used, as with `-t`.
const UNUSABLE: u8 = 5;

/// The command line is not understood.
const BAD_COMMAND_LINE: u8 = 1;

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// A picture.
    Svg,
}

/// What `simulate` is asked for.
#[derive(Debug)]
pub struct Task {
    /// The configurations, one for each node.
    pub files: Vec<PathBuf>,
    /// What happens.
    pub events: String,
    /// How long it is watched.
    pub length: String,
    /// Decides about loss.
    pub seed: u64,
    /// How much of what is sent is lost.
    pub loss: String,
    /// `--format`
    pub format: Format,
    /// `-P`
    pub without_checkers: bool,
}

/// Why there is no result: what to say of it, and the exit code.
type Refusal = (String, u8);

/// What there is to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// For standard output: what happened, in the format that was asked for.
    pub result: String,
    /// For standard error: what the daemons would warn of. A script whose weight
    /// does not count, for instance, fails without any effect.
    pub warnings: String,
}

/// Runs the simulation; what it shows, or what was wrong.
pub fn run(task: &Task) -> Result<Printed, Refusal> {
    let wrong = |text: String| (format!("{text}\n"), BAD_COMMAND_LINE);
    let mut nodes: Vec<Named> = Vec::new();
    let mut warnings = String::new();
    for (file, name) in task.files.iter().zip(names(&task.files)) {
        let loaded = read(file, &name, task.without_checkers)?;
        for text in snippets(&loaded, Severity::Warning) {
            warnings.push_str(&text);
            warnings.push('\n');
        }
        nodes.push((name, loaded.config));
    }
    let length = limited(scenario::span(&task.length).map_err(wrong)?).map_err(wrong)?;
    let events = scenario::events(&task.events, &nodes).map_err(wrong)?;
    if events.iter().any(|timed| timed.at > Instant::ZERO + length) {
        let text = "an event is later than the end; --seconds sets the end";
        return Err(wrong(text.to_owned()));
    }
    let scenario = Scenario {
        events,
        length,
        loss_per_million: scenario::loss(&task.loss).map_err(wrong)?,
        seed: task.seed,
        nodes,
    };
    let report = Report::new(&scenario.run());
    let result = match task.format {
        Format::Table => report.as_table(),
        Format::Json => report.as_json(),
        Format::Svg => report.as_svg(),
    };
    Ok(Printed { result, warnings })
}

/// An hour of virtual time is enough, and bounds what is remembered.
fn limited(length: Interval) -> Result<Interval, String> {
    if length > Interval::from_secs(3_600) {
        return Err("no more than an hour (60m) is simulated".to_owned());
    }
    Ok(length)
}

/// Nodes are called as their files are, without the ending; where that does not
/// tell them apart, they are numbered.
fn names(files: &[PathBuf]) -> Vec<String> {
    let stem = |file: &PathBuf| {
        let stem = file.file_stem().unwrap_or(file.as_os_str());
        stem.to_string_lossy().into_owned()
    };
    let stems: Vec<String> = files.iter().map(stem).collect();
    let different: BTreeSet<&String> = stems.iter().collect();
    if different.len() == stems.len() {
        return stems;
    }
    (1..=files.len())
        .map(|number| format!("node{number}"))
        .collect()
}

fn read(file: &Path, name: &str, without_checkers: bool) -> Result<Loaded, Refusal> {
    let options = Options {
        config_id: name.to_owned(),
        without_checkers,
        ..Options::default()
    };
    let loaded = config::load(&DiskFiles, file, &options);
    if loaded.is_usable() {
        return Ok(loaded);
    }
    let texts: Vec<String> = snippets(&loaded, Severity::Fatal).collect();
    let text = format!("{}\n{} cannot be used\n", texts.join("\n"), file.display());
    Err((text, UNUSABLE))
}

/// The findings that are at least so grave, as a person reads them.
fn snippets(loaded: &Loaded, least: Severity) -> impl Iterator<Item = String> {
    let found = loaded.diagnostics.iter();
    let found = found.filter(move |one| one.severity >= least);
    found.map(|one| one.as_snippet(&loaded.sources))
}
