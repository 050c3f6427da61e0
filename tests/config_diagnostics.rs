//! What people see: for each file under `config/diagnostics` the printed
//! findings must be those in the `.txt` beside it.
//!
//! With `UPDATE_EXPECTED=1` in the environment the `.txt` files are written anew;
//! read the difference before you keep it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keepalived_rs::config::diagnostic::{EXPLANATIONS, explanation};
use keepalived_rs::config::{Options, load, source::FileProblem, source::Files};
use keepalived_rs::system::files::DiskFiles;

/// The directory of the cases, seen from where Cargo runs tests.
const CASES: &str = "tests/config/diagnostics";

/// Files below the directory of the cases; the names in messages are short.
struct Cases;

impl Files for Cases {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        DiskFiles.read(&Path::new(CASES).join(path))
    }

    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let found = DiskFiles.matching(pattern, &Path::new(CASES).join(directory));
        let short = |path: &PathBuf| path.strip_prefix(CASES).ok().map(Path::to_path_buf);
        found.iter().filter_map(short).collect()
    }
}

fn printed(name: &Path) -> String {
    let options = Options {
        config_id: "node".to_string(),
        ..Options::default()
    };
    let loaded = load(&Cases, name, &options);
    let mut out = String::new();
    for diagnostic in &loaded.diagnostics {
        out.push_str(&diagnostic.as_snippet(&loaded.sources));
        out.push('\n');
    }
    for diagnostic in &loaded.diagnostics {
        out.push_str(&format!("log: {}\n", diagnostic.as_c_line(&loaded.sources)));
    }
    let usable = if loaded.is_usable() {
        "starts"
    } else {
        "does not start"
    };
    out.push_str(&format!(
        "exit code {}, a daemon {usable}\n",
        loaded.exit_code()
    ));
    out
}

#[test]
fn findings_are_printed_as_expected() {
    let cases = DiskFiles.matching(Path::new("*.conf"), Path::new(CASES));
    assert!(cases.len() >= 12, "the cases are gone: {cases:?}");
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.strip_prefix(CASES).expect("a path below the cases");
        let printed = printed(name);
        let expected = case.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, &printed).expect("a writable checkout");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if printed != expected {
            wrong.push(format!(
                "{}\n--- expected\n{expected}--- printed\n{printed}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In front of the code of a finding stands one of these, then perhaps blanks.
const BEFORE_A_CODE: [&str; 14] = [
    "Diagnostic::new(",
    "Diagnostic::error(",
    "Diagnostic::warning(",
    "Diagnostic::hint(",
    "Diagnostic::fatal(",
    ".error(",
    "finding(",
    ".on_machine(",
    "fatal(",
    ".warn(",
    ".warning(",
    ".hint(",
    "code = ",
    "code: ",
];

/// The codes in the text of a source file.
fn codes_in(text: &str) -> Vec<&str> {
    let behind = BEFORE_A_CODE.iter().flat_map(|before| {
        text.match_indices(before)
            .filter_map(|(at, _)| text.get(at + before.len()..))
    });
    behind
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .filter(|code| !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect()
}

fn sources_below(directory: &Path, out: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources_below(&path, out);
        } else {
            let text = std::fs::read_to_string(&path).expect("a source");
            out.push((path, text));
        }
    }
}

#[test]
fn each_code_is_explained() {
    assert_eq!(
        codes_in("cx.error(\n   \"a-b\", x); code = \"c\""),
        ["a-b", "c"]
    );
    let mut sources = Vec::new();
    sources_below(Path::new("src"), &mut sources);
    sources.retain(|(path, _)| {
        !path.ends_with("explanations.rs")
            && !path.components().any(|part| part.as_os_str() == "tests")
    });
    let is_config = |path: &Path| {
        let others = ["daemon/check.rs", "system/scripts/examine.rs"];
        path.starts_with("src/config") || others.iter().any(|other| path.ends_with(other))
    };
    let mut missing = BTreeSet::new();
    for (path, text) in sources.iter().filter(|(path, _)| is_config(path)) {
        for code in codes_in(text) {
            if explanation(code).is_none() {
                missing.insert(format!("{code} in {}", path.display()));
            }
        }
    }
    assert_eq!(missing, BTreeSet::new(), "without a row in explanations.rs");
    assert!(EXPLANATIONS.is_sorted_by_key(|(code, _)| code));
}
