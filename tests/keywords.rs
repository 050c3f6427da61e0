//! Every keyword of C keepalived is a row of ours, in the same block.
//!
//! The lists stand in a folder `shared` next to the checkout. Where it is
//! missing nothing can be compared, and the test says so.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use keepalived_rs::config::keywords::rows;

#[test]
fn every_keyword_of_c_is_known_in_its_block() {
    let ours: HashSet<(&str, &str)> = rows().iter().map(|row| (row.block, row.name)).collect();
    let mut missing = Vec::new();
    for (block, word) in listed("keywords-vrrp.tsv").chain(listed("keywords-lvs.tsv")) {
        if !ids(&block).any(|id| ours.contains(&(id, word.as_str()))) {
            missing.push(format!("{block}: {word}"));
        }
    }
    assert_eq!(missing, [""; 0], "{} of C's keywords", missing.len());
}

#[test]
fn no_keyword_is_invented() {
    let theirs: HashSet<(String, String)> = listed("keywords-vrrp.tsv")
        .chain(listed("keywords-lvs.tsv"))
        .flat_map(|(block, word)| {
            let ids: Vec<String> = ids(&block).map(str::to_string).collect();
            ids.into_iter().map(move |id| (id, word.clone()))
        })
        .collect();
    if theirs.is_empty() {
        return;
    }
    let invented: Vec<String> = rows()
        .iter()
        // C's lists name the words of these blocks in one sentence.
        .filter(|row| !["SMTP_CHECK/host", "track_group", "vrrp_track_file"].contains(&row.block))
        .filter(|row| !theirs.contains(&(row.block.to_string(), row.name.to_string())))
        .map(|row| format!("{}: {}", row.block, row.name))
        .collect();
    assert_eq!(invented, [""; 0]);
}

#[test]
fn a_word_in_another_block_is_not_found() {
    let ours: HashSet<(&str, &str)> = rows().iter().map(|row| (row.block, row.name)).collect();
    assert!(ours.contains(&("HTTP_GET/url", "path")));
    assert!(!ours.contains(&("HTTP_GET", "path")));
    assert!(ours.contains(&("SSL_GET", "tls_compliant")));
    assert!(!ours.contains(&("HTTP_GET", "tls_compliant")));
    assert_eq!(
        ids("vrrp_instance/authentication").collect::<Vec<_>>(),
        ["vrrp_instance/authentication", "authentication"]
    );
}

/// Block and word of every line of a list.
fn listed(name: &str) -> impl Iterator<Item = (String, String)> {
    let path = shared().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        // Written past the harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {} cannot be read ({error}), so our keywords are not compared with C's",
            path.display()
        );
        String::new()
    });
    let lines: Vec<(String, String)> = text.lines().skip(1).flat_map(keywords).collect();
    lines.into_iter()
}

/// A line may name several blocks: `A / B`. What stands in angle brackets is a
/// kind of value, not a word.
fn keywords(line: &str) -> Vec<(String, String)> {
    let mut cells = line.split('\t');
    let (Some(blocks), Some(word)) = (cells.next(), cells.next()) else {
        return Vec::new();
    };
    let blocks = blocks.split(" / ").filter(|_| !word.starts_with('<'));
    blocks
        .map(|block| {
            let block = match block.trim() {
                "top" | "(root)" => String::new(),
                block => block.replace('.', "/"),
            };
            (block, word.trim().to_string())
        })
        .collect()
}

/// The names that a block of the list may have with us.
fn ids(block: &str) -> impl Iterator<Item = &str> {
    let inner = block.rsplit_once('/').map(|(_, inner)| inner);
    std::iter::once(block).chain(inner)
}

fn shared() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    checkout.parent().unwrap_or(checkout).join("shared")
}
