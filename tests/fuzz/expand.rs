//! Fuzz target: files to logical lines. No panic, not too long, every line is
//! trimmed and its places exist, and whoever reads the same again gets the same.

use std::path::Path;
use std::process::ExitCode;

use keepalived_rs::config::Options;
use keepalived_rs::config::diagnostic::{Collector, Diagnostic};
use keepalived_rs::config::expand::{Token, read_all};
use keepalived_rs::config::lex::{self, Origin};
use keepalived_rs::config::source::{Files, Sources};

mod common;

use common::{MAIN, Memory};

/// Of a very long result the beginning is enough.
const TOKENS_MAX: usize = 5_000;

fn main() -> ExitCode {
    common::run("expand", check)
}

/// What came out of all files.
struct Expanded {
    tokens: Vec<Token>,
    sources: Sources,
}

fn read(files: &dyn Files) -> (Expanded, Vec<Diagnostic>) {
    let options = Options {
        config_id: "a".to_string(),
        random_seed: 1,
        ..Options::default()
    };
    let mut found = Collector::default();
    let mut tokens = Vec::new();
    let mut take = |token| tokens.push(token);
    let sources = read_all(files, Path::new(MAIN), &options, &mut found, &mut take);
    let expanded = Expanded { tokens, sources };
    (expanded, found.into_found())
}

fn check(files: &Memory<'_>) {
    let (expanded, found) = read(files);
    for diagnostic in &found {
        common::check_finding(diagnostic, &expanded.sources);
    }
    for token in expanded.tokens.iter().take(TOKENS_MAX) {
        match token {
            Token::Line(line) => {
                let text = line.text.as_str();
                assert_eq!(text, text.trim_matches(lex::is_blank));
                assert!(!text.is_empty());
                check_origin(line.whole(), &expanded.sources);
                for word in lex::words(line) {
                    check_origin(word.origin, &expanded.sources);
                }
            }
            Token::Open(origin) | Token::Close(origin) => {
                check_origin(*origin, &expanded.sources);
            }
        }
    }
    let (again, found_again) = read(files);
    assert!(expanded.tokens == again.tokens && found == found_again);
    let replay = Sources::from_bytes(&expanded.sources.to_bytes()).expect("own bytes");
    let (again, found_again) = read(&replay);
    assert!(
        expanded.tokens == again.tokens && found == found_again,
        "the replay differs"
    );
}

fn check_origin(origin: Origin, sources: &Sources) {
    common::check_span(origin.span, sources);
    if let Some(defined) = origin.defined {
        common::check_span(defined, sources);
    }
}
