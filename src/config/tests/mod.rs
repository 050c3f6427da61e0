//! What a whole file means, and what is said about it.

use std::path::{Path, PathBuf};

use super::model::{Config, InitialState, Instance};
use super::*;

mod address_lines;
mod braces;
mod characters;
mod companion;
mod globals;
mod groups;
mod includes;
mod instances;
mod interplay;
mod lints;
mod lvs;
mod not_yet;
mod outer_level;
mod reading;
mod routes;
mod rules;
mod script_checks;
mod tracking;
mod whole_files;

fn options() -> Options {
    Options {
        config_id: "box".to_string(),
        ..Options::default()
    }
}

fn parse_files(files: &[(&str, &str)]) -> Loaded {
    let files: Vec<(PathBuf, Vec<u8>)> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
    let main = files.first().map(|(path, _)| path.clone()).unwrap();
    load(&files, &main, &options())
}

fn parse(text: &str) -> Loaded {
    parse_files(&[("/etc/keepalived/keepalived.conf", text)])
}

/// The findings above a hint, as C logs them.
fn lines(loaded: &Loaded) -> Vec<String> {
    let loud = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity > Severity::Hint);
    loud.map(|found| found.as_c_line(&loaded.sources)).collect()
}

/// The configuration of a file that is found faultless.
#[track_caller]
fn clean(text: &str) -> Config {
    let loaded = parse(text);
    assert_eq!(lines(&loaded), [""; 0], "in\n{text}");
    assert_eq!(loaded.exit_code(), 0);
    loaded.config
}

/// An instance that nothing can be said about, with more lines in it.
fn with(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\ninterface e0\nvirtual_router_id 5\n{more}\n\
         virtual_ipaddress {{\n192.0.2.1\n}}\n}}\n"
    )
}

/// The instance of a file, with what was said about it.
#[track_caller]
fn instance(more: &str) -> (Instance, Vec<String>) {
    let loaded = parse(&with(more));
    let instance = loaded.config.instances.first().expect("an instance");
    (Instance::clone(instance), lines(&loaded))
}

/// What this thread has used of a processor; others do not disturb it.
fn processor_time_ms() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writing for the time of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}
