//! `keepalived-rs check`, and how the findings of `-t` are printed.
//!
//! Decides what is read, which machine it is compared with, the order of what is
//! printed and the exit code. What is suspicious is decided in `config/lints`.
//! Source: specification A.11.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Format;
use crate::config::diagnostic::{Class, Diagnostic, Record, Severity, explanation};
use crate::config::lints::{self, Subject};
use crate::config::machine::{Anywhere, Machine};
use crate::config::source::Sources;
use crate::config::tree::Statement;
use crate::config::{self, Loaded};
use crate::system::files::DiskFiles;
use crate::system::machine::ThisMachine;

use super::{firewall, key_files};

/// Something was found.
const FINDINGS: u8 = 5;

/// What `check` is asked for.
#[derive(Debug)]
pub struct Task {
    /// The configurations, one for each node.
    pub files: Vec<PathBuf>,
    /// `--strict`: hints count, too.
    pub counts_hints: bool,
    /// `--format`
    pub format: Format,
    /// `--elsewhere`: nothing is asked of this machine.
    pub elsewhere: bool,
    /// `-i`, `-P`
    pub options: config::Options,
}

/// Findings with the texts that they point into.
struct Section {
    sources: Sources,
    found: Vec<Diagnostic>,
}

/// One file that was read.
struct Node {
    name: String,
    loaded: Loaded,
    statements: Vec<Statement>,
}

/// Checks the files; returns what is for standard output and the exit code: 0 if
/// nothing was found, 5 otherwise.
pub fn run(task: &Task) -> (String, u8) {
    let mut not_checked = Vec::new();
    let mut sections = Vec::new();
    let mut nodes = Vec::new();
    for (index, file) in task.files.iter().enumerate() {
        let is_here = index == 0 && !task.elsewhere;
        let (node, section) = one(task, file, is_here, &mut not_checked);
        nodes.push(node);
        sections.push(section);
    }
    sections.extend(pairs(&nodes));
    let least = if task.counts_hints {
        Severity::Hint
    } else {
        Severity::Warning
    };
    // The prediction who becomes MASTER is no mistake.
    let counts = |found: &Diagnostic| found.severity >= least && found.code != "who-is-master";
    let mut all = sections.iter().flat_map(|section| &section.found);
    let code = if all.any(counts) { FINDINGS } else { 0 };
    let text = match task.format {
        Format::Text => as_text(&sections, &not_checked),
        Format::Json => as_json(task, &sections, &not_checked, code),
    };
    (text, code)
}

/// Reads one file; `is_here`: it is that of this machine.
fn one(task: &Task, file: &Path, is_here: bool, not_checked: &mut Vec<String>) -> (Node, Section) {
    let this_machine = ThisMachine::new();
    let machine: &dyn Machine = if is_here { &this_machine } else { &Anywhere };
    let (mut loaded, statements) =
        config::load_with_statements(machine, &DiskFiles, file, &task.options);
    if is_here {
        key_files::read(&mut loaded);
    }
    let node = Node {
        name: file.display().to_string(),
        loaded,
        statements,
    };
    let mut found = node.loaded.diagnostics.clone();
    let is_alone = task.files.len() == 1;
    lints::one_file(&node.subject(0), machine, is_alone, &mut found);
    if is_here {
        look_at_firewall(&node, machine, &mut found, not_checked);
    } else {
        not_checked.push(format!(
            "scripts, users, interfaces and the firewall of the machine of {}",
            node.name
        ));
    }
    let sources = node.loaded.sources.clone();
    (node, Section { sources, found })
}

impl Node {
    fn subject(&self, files_before: usize) -> Subject<'_> {
        let config = &self.loaded.config;
        Subject::new(self.name.clone(), config, &self.statements, files_before)
    }
}

/// Every two nodes.
fn pairs(nodes: &[Node]) -> Vec<Section> {
    let mut sections = Vec::new();
    for (index, left) in nodes.iter().enumerate() {
        for right in nodes.iter().skip(index.saturating_add(1)) {
            let mut sources = left.loaded.sources.clone();
            let before = sources.len();
            sources.append(&right.loaded.sources);
            let found = lints::pair(&left.subject(0), &right.subject(before));
            sections.push(Section { sources, found });
        }
    }
    sections
}

fn look_at_firewall(
    node: &Node,
    machine: &dyn Machine,
    found: &mut Vec<Diagnostic>,
    not_checked: &mut Vec<String>,
) {
    let instances = &node.loaded.config.instances;
    let is_here = |name: &str| machine.interface(name).is_some();
    if !instances.iter().any(|one| is_here(&one.interface)) {
        not_checked.push(format!(
            "the firewall: no interface of {} is on this machine",
            node.name
        ));
        return;
    }
    let seen = firewall::look();
    not_checked.extend(seen.not_checked);
    for text in seen.drops {
        let diagnostic =
            Diagnostic::new("firewall-drops-vrrp", Severity::Warning, Class::None, text);
        let help = "Let IP protocol 112 in from the other node: \
                    `nft insert rule inet filter input meta l4proto vrrp accept` or \
                    `iptables -I INPUT -p vrrp -j ACCEPT`.";
        found.push(diagnostic.help(help));
    }
}

fn as_text(sections: &[Section], not_checked: &[String]) -> String {
    let mut text = String::new();
    let mut counts = [0_usize; 2];
    for section in sections {
        for found in &section.found {
            text.push_str(&found.as_snippet(&section.sources));
            text.push('\n');
            let place = usize::from(found.severity == Severity::Hint);
            if let Some(count) = counts.get_mut(place) {
                *count = count.saturating_add(1);
            }
        }
    }
    for what in not_checked {
        let _ = writeln!(text, "not checked: {what}");
    }
    let [findings, hints] = counts;
    let word = |count, one, many| if count == 1 { one } else { many };
    let _ = writeln!(
        text,
        "{findings} {} and {hints} {}; `keepalived-rs explain CODE` tells more",
        word(findings, "finding", "findings"),
        word(hints, "hint", "hints")
    );
    text
}

#[derive(Serialize)]
struct Checked<'a> {
    files: Vec<String>,
    exit_code: u8,
    diagnostics: Vec<Explained<'a>>,
    not_checked: &'a [String],
}

#[derive(Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    record: Record<'a>,
    explanation: Option<&'static str>,
}

fn as_json(task: &Task, sections: &[Section], not_checked: &[String], code: u8) -> String {
    let checked = Checked {
        files: task
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
        exit_code: code,
        diagnostics: sections
            .iter()
            .flat_map(|section| section.found.iter().map(move |found| (section, found)))
            .map(|(section, found)| Explained {
                record: found.record(&section.sources),
                explanation: explanation(found.code),
            })
            .collect(),
        not_checked,
    };
    serde_json::to_string_pretty(&checked).unwrap_or_default() + "\n"
}

#[derive(Serialize)]
struct Tested<'a> {
    file: String,
    exit_code: u8,
    starts: bool,
    diagnostics: Vec<Record<'a>>,
}

/// What `-t` prints. `snippets`: for a person at a terminal.
pub fn tested(loaded: &Loaded, file: &Path, format: Format, snippets: bool) -> String {
    let sources = &loaded.sources;
    if format == Format::Json {
        let records = loaded.diagnostics.iter().map(|found| found.record(sources));
        let tested = Tested {
            file: file.display().to_string(),
            exit_code: loaded.exit_code(),
            starts: loaded.is_usable(),
            diagnostics: records.collect(),
        };
        return serde_json::to_string_pretty(&tested).unwrap_or_default() + "\n";
    }
    let (lines, between): (Vec<String>, _) = if snippets {
        let snippets = loaded.diagnostics.iter().map(|one| one.as_snippet(sources));
        (snippets.collect(), "\n")
    } else {
        let c_lines = loaded.diagnostics.iter().map(|one| one.as_c_line(sources));
        (c_lines.map(|line| line + "\n").collect(), "")
    };
    lines.join(between)
}
