//! The table of the README that says what works is true.
//!
//! Each keyword in it has the status of its column in the rows of the
//! configuration, in some block at least, and no refused keyword is forgotten.

use keepalived_rs::config::keywords::{Row, Status, rows};

const README: &str = include_str!("../README.md");

#[test]
fn each_keyword_stands_in_the_column_of_its_status() {
    let rows = rows();
    for (status, word) in table(README) {
        assert!(
            is_true(&rows, status, word),
            "the README says of `{word}`: {status:?}"
        );
    }
}

#[test]
fn no_refused_keyword_is_forgotten() {
    let named: Vec<&str> = table(README).into_iter().map(|(_, word)| word).collect();
    let rows = rows();
    let refused = rows.iter().filter(|row| row.status == Status::Decisive);
    let forgotten: Vec<&str> = refused
        .filter(|row| !stands_in_a_refused_block(&rows, row.block))
        .map(|row| row.name)
        .filter(|name| !named.iter().any(|word| is_meant(word, name)))
        .collect();
    assert_eq!(forgotten, [""; 0]);
}

#[test]
fn a_wrong_table_is_found() {
    let text = "| | Works |\n|---|---|\n| a | `track_bfd` | `priority 3` | `notify` |\n";
    let rows = rows();
    let wrong = table(text)
        .into_iter()
        .filter(|(status, word)| !is_true(&rows, *status, word));
    assert_eq!(wrong.count(), 3);
}

/// The first word of everything in backquotes, with the status of its column.
fn table(text: &str) -> Vec<(Status, &str)> {
    let columns = [Status::Works, Status::Decisive, Status::Harmless];
    let lines = text.lines().filter(|line| line.starts_with('|'));
    lines
        .skip_while(|line| !line.starts_with("| | Works"))
        .flat_map(|line| line.split('|').skip(2).zip(columns))
        .flat_map(|(cell, status)| {
            let quoted = cell.split('`').skip(1).step_by(2);
            quoted.filter_map(move |text| Some((status, text.split_whitespace().next()?)))
        })
        .collect()
}

/// Whether some block has the word with this status. Words that are no
/// keywords, such as options of lines, are true.
fn is_true(rows: &[Row], status: Status, word: &str) -> bool {
    let mut meant = rows
        .iter()
        .filter(|row| is_meant(word, row.name) && !stands_in_a_refused_block(rows, row.block))
        .peekable();
    meant.peek().is_none() || meant.any(|row| row.status == status)
}

/// Nobody need know of the words in a block that is refused as a whole.
fn stands_in_a_refused_block(rows: &[Row], block: &str) -> bool {
    let opener = block.rsplit('/').next().unwrap_or(block);
    let mut openers = rows.iter().filter(|row| row.name == opener).peekable();
    openers.peek().is_some() && openers.all(|row| row.status == Status::Decisive)
}

/// `garp_*` means every keyword that begins like that, and `version` also means
/// its default in `global_defs`, `vrrp_version`.
fn is_meant(word: &str, name: &str) -> bool {
    match word.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == word || name.strip_prefix("vrrp_") == Some(word),
    }
}
