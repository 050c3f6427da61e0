//! Fuzz target: a whole configuration. No panic, not too long, all findings can
//! be printed, and whoever reads the same again gets the same.

use std::path::Path;
use std::process::ExitCode;

use keepalived_rs::config::source::Sources;
use keepalived_rs::config::{Loaded, Options, load};

mod common;

use common::{MAIN, Memory};

fn main() -> ExitCode {
    common::run("config", check)
}

fn check(files: &Memory<'_>) {
    let options = Options {
        config_id: "a".to_string(),
        random_seed: 1,
        ..Options::default()
    };
    let loaded = load(files, Path::new(MAIN), &options);
    for diagnostic in &loaded.diagnostics {
        common::check_finding(diagnostic, &loaded.sources);
    }
    check_same(&loaded, &load(files, Path::new(MAIN), &options));
    let replay = Sources::from_bytes(&loaded.sources.to_bytes()).expect("own bytes");
    check_same(&loaded, &load(&replay, Path::new(MAIN), &options));
}

fn check_same(one: &Loaded, other: &Loaded) {
    assert!(one.config == other.config, "another configuration");
    assert!(one.diagnostics == other.diagnostics, "other findings");
}
