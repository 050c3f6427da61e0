//! The pages lead somewhere: every link to a file of the project, and to a heading in
//! one, is there.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The README and everything below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut found = vec![Path::new(ROOT).join("README.md")];
    let mut open = vec![Path::new(ROOT).join("docs")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                found.push(path);
            }
        }
    }
    found
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_default()
}

/// The targets of links outside of listings.
fn links(text: &str) -> Vec<&str> {
    let mut listing = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            listing = !listing;
        }
        if !listing {
            let rests = line.split("](").skip(1);
            found.extend(rests.filter_map(|rest| rest.split(')').next()));
        }
    }
    found
}

/// The headings as links name them: lower case, hyphens, no other signs.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    let name = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    lines.map(name).collect()
}

/// Links of a page that lead nowhere.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let here = page.parent().unwrap_or(page);
    let own = |link: &&str| !link.contains("://") && !link.starts_with("mailto:");
    let leads = |link: &&str| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            page.to_owned()
        } else {
            here.join(file)
        };
        let text = if file.is_empty() {
            text.to_owned()
        } else {
            read(&target)
        };
        target.exists() && (heading.is_empty() || headings(&text).iter().any(|it| it == heading))
    };
    let lost = links(text)
        .into_iter()
        .filter(own)
        .filter(|link| !leads(link));
    lost.map(|link| format!("{}: {link}", page.display()))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 10, "{pages:?}");
    let lost: Vec<String> = pages
        .iter()
        .flat_map(|page| broken(page, &read(page)))
        .collect();
    assert_eq!(lost, [""; 0]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = Path::new(ROOT).join("README.md");
    let text =
        "# A `b`, c\n[1](LICENSE-MIT) [2](nowhere.md) [3](#a-b-c) [4](#d)\n```\n[5](x)\n```\n";
    let lost: Vec<String> = broken(&page, text);
    let names: Vec<_> = lost
        .iter()
        .map(|it| it.rsplit(": ").next().unwrap_or_default())
        .collect();
    assert_eq!(names, ["nowhere.md", "#d"]);
}
