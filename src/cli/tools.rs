//! The words that may stand first on the command line instead of options:
//! `check`, `simulate`, `status`, `events`, `reload`, `drain`, `resume`, `priority`,
//! `garp`, `keywords`, `explain`.
//!
//! Decides what they are called and what is printed for the last two, and that a word
//! after `explain` which is the code of a finding is one, and else an instance; what
//! `check` looks at is decided in `daemon/check.rs`, what `simulate` prints in
//! `daemon/simulate.rs`, what `status`, `events` and `reload`
//! say in files of those names, and the other orders in `orders.rs`. C keepalived has no such
//! words, so whatever else stands first is left to its options.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use super::place::Place;
use super::{Answer, BAD_COMMAND_LINE, Request, events, explain, orders, reload, status};
use crate::config::diagnostic::{EXPLANATIONS, explanation};
use crate::config::keywords::companion::FILE_NAME;
use crate::config::keywords::defaults::default_of;
use crate::config::keywords::{Content, Row, Status, companion_rows, rows};
use crate::config::{self};
use crate::daemon::{check, process, simulate};
use crate::simulation::scenario::EVENTS;
use crate::vrrp::orders::Order;

/// How findings and lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Parser)]
#[command(
    name = "keepalived-rs",
    disable_help_subcommand = true,
    about = "Tools around a configuration and a running daemon"
)]
struct Tools {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Look for mistakes in a configuration, and compare the nodes of a cluster
    Check(Check),
    /// Show what would happen to the nodes of a cluster: who is MASTER when, who has the VIPs, and why
    Simulate(Simulate),
    /// Show how a running daemon stands: the state of each instance and why, priorities, VIPs, peers, scripts
    Status(status::Task),
    /// Have a running daemon read its configuration again, and say what that changes or why it is refused
    Reload(reload::Task),
    /// Tell what happens in a running daemon, a line of JSON each: first how things stand, then each change
    Events(events::Task),
    /// Hand the addresses of an instance, or of all, over to another node, and leave them there while any other node can have them
    Drain(Drain),
    /// End what drain began
    Resume(Resume),
    /// Have an instance count with another priority than that of the configuration
    Priority(Priority),
    /// Announce the addresses of an instance again, by gratuitous ARP or neighbour adverts
    Garp(Garp),
    /// List every keyword with its block, arguments and status
    Keywords {
        /// How the list is printed
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Explain a code that stands in brackets in front of a message; or an instance of a running daemon: who wins, by how much, and what would change it
    Explain {
        /// The code, or the name of an instance; none lists all codes
        #[arg(value_name = "CODE|INSTANCE")]
        code: Option<String>,
        /// It is an instance, although there is such a code
        #[arg(long, requires = "code")]
        instance: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Drain {
    /// The instance, and with it all of its sync group; none: all
    #[arg(value_name = "INSTANCE")]
    instance: Option<String>,
    /// Also if no other router is known that would take over, and as the owner of the addresses
    #[arg(long)]
    force: bool,
    /// Do not wait until it is known whether somebody took over
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Resume {
    /// The instance, and with it all of its sync group; none: all
    #[arg(value_name = "INSTANCE")]
    instance: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Priority {
    /// The instance, and with it all of its sync group
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// The priority; weights are added to it as before
    #[arg(value_name = "N", required_unless_present = "reset", value_parser = clap::value_parser!(u8).range(1..=254))]
    priority: Option<u8>,
    /// For how long, as in 90s, 10m, 2h, 1d; else until it is taken back
    #[arg(long = "for", value_name = "SPAN", value_parser = orders::span, conflicts_with = "reset")]
    seconds: Option<u64>,
    /// That of the configuration again
    #[arg(long, conflicts_with = "priority")]
    reset: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Garp {
    /// The instance
    #[arg(value_name = "INSTANCE")]
    instance: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The configurations; the first one is taken to be this machine's
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Hints count as findings, too
    #[arg(long)]
    strict: bool,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Look at the files only, not at the scripts, interfaces and firewall of this machine
    #[arg(long)]
    elsewhere: bool,
    /// Which lines that begin with @ count; default: the name of this host
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,
    /// Skip the parts for the health checkers, as the daemon does with -P
    #[arg(short = 'P', long)]
    vrrp: bool,
}

#[derive(Debug, clap::Args)]
struct Simulate {
    /// The configurations, one for each node; a node is called as its file is, without
    /// .conf, or node1, node2 and so on if that is not different
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[arg(long, default_value = "", hide_default_value = true, value_name = "EVENTS", help = events_help())]
    events: String,
    /// How long is simulated
    #[arg(long, default_value = "60", value_name = "SECONDS")]
    seconds: String,
    /// Decides which adverts are lost
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How many adverts are lost
    #[arg(long, default_value = "0%", value_name = "PERCENT")]
    loss: String,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: simulate::Format,
    /// Skip the parts for the health checkers, as the daemon does with -P
    #[arg(short = 'P', long)]
    vrrp: bool,
}

fn events_help() -> String {
    format!("What happens, as in '10s kill lb1; 30s start lb1': {EVENTS}")
}

/// What a command line that begins with one of the words asks for; `None` if it
/// does not.
pub fn understand(words: &[OsString]) -> Option<Request> {
    let first = words.get(1)?.to_str()?;
    let mut tools = Tools::command();
    tools.find_subcommand_mut(first)?;
    Some(match Tools::try_parse_from(words) {
        Ok(tools) => tools.tool.request(),
        Err(error) if error.use_stderr() => Request::Answer(Answer {
            stderr: error.to_string(),
            code: code_of_mistake(words),
            ..Answer::default()
        }),
        Err(help) => Request::Answer(Answer {
            stdout: help.to_string(),
            ..Answer::default()
        }),
    })
}

/// A monitoring system takes 1 for a warning, and must not take a mistake for one.
fn code_of_mistake(words: &[OsString]) -> u8 {
    let mut words = words.iter().filter_map(|word| word.to_str());
    match words.any(|word| word == "--expect" || word.starts_with("--expect=")) {
        true => 3,
        false => BAD_COMMAND_LINE,
    }
}

/// The definition of the tools, for the manual.
pub fn command() -> clap::Command {
    Tools::command()
}

impl Tool {
    fn request(self) -> Request {
        match self {
            Self::Check(check) => Request::Check(Box::new(check::Task {
                files: check.files,
                counts_hints: check.strict,
                format: check.format,
                elsewhere: check.elsewhere,
                options: config::Options {
                    config_id: check.config_id.unwrap_or_else(process::host_name),
                    without_checkers: check.vrrp,
                    ..config::Options::default()
                },
            })),
            Self::Simulate(simulate) => Request::Simulate(Box::new(simulate::Task {
                files: simulate.files,
                events: simulate.events,
                length: simulate.seconds,
                seed: simulate.seed,
                loss: simulate.loss,
                format: simulate.format,
                without_checkers: simulate.vrrp,
            })),
            Self::Status(task) => Request::Status(Box::new(task)),
            Self::Reload(task) => Request::Reload(Box::new(task)),
            Self::Keywords { format } => Request::Answer(Answer {
                stdout: keywords(format),
                ..Answer::default()
            }),
            Self::Explain {
                code,
                instance,
                place,
            } => explain(code, instance, place),
            Self::Events(task) => Request::Events(Box::new(task)),
            Self::Drain(it) => {
                let (instance, force) = (it.instance, it.force);
                let waits = !it.no_wait;
                order(Order::Drain { instance, force }, it.place, waits)
            }
            Self::Resume(it) => {
                let instance = it.instance;
                order(Order::Resume { instance }, it.place, false)
            }
            Self::Priority(it) => {
                let new = Order::Priority {
                    instance: it.instance,
                    priority: it.priority,
                    seconds: it.seconds,
                };
                order(new, it.place, false)
            }
            Self::Garp(it) => {
                let instance = it.instance;
                order(Order::Announce { instance }, it.place, false)
            }
        }
    }
}

fn order(order: Order, place: Place, waits: bool) -> Request {
    Request::Order(Box::new(orders::Task {
        order,
        place,
        waits,
    }))
}

/// The word for a status, in lists and in the manual.
pub const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Works => "works",
        Status::Harmless => "no effect yet",
        Status::Decisive => "refused",
    }
}

/// The usual name of the main file.
const MAIN_FILE: &str = "keepalived.conf";

/// A keyword as JSON has it. The names of the fields are stable.
#[derive(Serialize)]
struct Listed {
    file: &'static str,
    block: &'static str,
    keyword: &'static str,
    arguments: &'static str,
    has_block: bool,
    default: Option<&'static str>,
    status: &'static str,
    doc: &'static str,
}

impl Listed {
    fn new(file: &'static str, row: &Row) -> Self {
        Self {
            file,
            block: row.block,
            keyword: row.name,
            arguments: row.args,
            has_block: row.content != Content::Line,
            default: default_of(row.block, row.name),
            status: status_word(row.status),
            doc: row.doc,
        }
    }
}

fn keywords(format: Format) -> String {
    let (main, companion) = (rows(), companion_rows());
    let main = main.iter().map(|row| Listed::new(MAIN_FILE, row));
    let companion = companion.iter().map(|row| Listed::new(FILE_NAME, row));
    let listed: Vec<Listed> = main.chain(companion).collect();
    if format == Format::Json {
        return serde_json::to_string_pretty(&listed).unwrap_or_default() + "\n";
    }
    let mut text = String::new();
    let mut block = None;
    for row in listed {
        if block != Some((row.file, row.block)) {
            let name = match row.block {
                "" => "(outer level)",
                name => name,
            };
            let gap = if block.is_some() { "\n" } else { "" };
            let file = match row.file {
                MAIN_FILE => String::new(),
                file => format!("{file}: "),
            };
            let _ = writeln!(text, "{gap}{file}{name}");
            block = Some((row.file, row.block));
        }
        let usage = format!("{} {}", row.keyword, row.arguments);
        let _ = writeln!(
            text,
            "  {:<48} {:<13}  {}",
            usage.trim_end(),
            row.status,
            row.doc
        );
    }
    text
}

fn explain(code: Option<String>, is_instance: bool, place: Place) -> Request {
    let Some(name) = code else {
        let codes = EXPLANATIONS.iter().map(|(code, _)| format!("{code}\n"));
        return Request::Answer(Answer {
            stdout: codes.collect(),
            ..Answer::default()
        });
    };
    match explanation(&name).filter(|_| !is_instance) {
        Some(text) => Request::Answer(Answer {
            stdout: format!("{}\n", wrapped(text)),
            ..Answer::default()
        }),
        None => Request::Explain(Box::new(explain::Task {
            name,
            is_instance,
            place,
        })),
    }
}

/// Lines of at most 78 characters.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < 78 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.join("\n")
}
