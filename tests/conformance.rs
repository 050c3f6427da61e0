//! The page of what the protocol asks for is complete: each of its lines has a test
//! that begins with its id, or says what it waits for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keepalived_rs::config::source::{FileProblem, Files};
use keepalived_rs::config::{Loaded, Options, load};
use keepalived_rs::time::Interval;

const PAGE: &str = include_str!("../docs/conformance.md");
/// Where the tests are that may have an id.
const PLACES: [&str; 3] = ["tests/engine", "tests/compat", "tests/conformance.rs"];

#[test]
fn each_line_has_a_test_or_says_what_it_waits_for() {
    let tested = tested();
    let (mut lines, mut without) = (0, Vec::new());
    for (id, rest) in lines_of(PAGE) {
        lines += 1;
        let waits = rest.contains("waits for");
        // A line that no longer has to wait is as wrong as one that is forgotten.
        if waits == tested.contains(&id.to_lowercase()) {
            without.push(id);
        }
    }
    assert_eq!(without, [""; 0]);
    assert_eq!(lines, 7 + 16 + 10 + 7 + 5, "F, R, M, S and A");
}

/// No test claims a line that the page does not have.
#[test]
fn each_id_of_a_test_stands_on_the_page() {
    let known: BTreeSet<String> = lines_of(PAGE).map(|(id, _)| id.to_lowercase()).collect();
    let invented: Vec<String> = tested().difference(&known).cloned().collect();
    assert_eq!(invented, [""; 0]);
}

fn lines_of(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.lines().filter_map(|line| {
        let (id, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        is_id(&id.to_lowercase()).then_some((id, rest))
    })
}

fn is_id(word: &str) -> bool {
    let Some((first, number)) = word.split_at_checked(1) else {
        return false;
    };
    ["f", "r", "m", "s", "a"].contains(&first) && number.parse::<u8>().is_ok()
}

/// The ids of all tests; `r3_to_r12_…` has all of them from one to the other.
fn tested() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for path in PLACES.iter().flat_map(|place| sources(Path::new(place))) {
        let text = std::fs::read_to_string(&path).expect("a readable test");
        for line in text.lines().map(str::trim_start) {
            // Functions, and the names that a macro makes functions of.
            let name = match line.strip_prefix("fn ") {
                Some(rest) => rest.split('(').next(),
                None => line.split_once(" => ").map(|(name, _)| name),
            };
            ids.extend(name.map(ids_of).unwrap_or_default());
        }
    }
    ids
}

fn ids_of(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut words = name.split('_').peekable();
    while let Some(id) = words.next_if(|word| is_id(word)) {
        ids.push(id.to_string());
        if words.next_if_eq(&"to").is_some() {
            let number = |id: &str| id[1..].parse::<u8>().expect("an id");
            let last = words.next().filter(|word| is_id(word)).expect("an id");
            let between = number(id) + 1..=number(last);
            ids.extend(between.map(|number| format!("{}{number}", &id[..1])));
        }
    }
    ids
}

fn sources(place: &Path) -> Vec<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
    if place.is_file() {
        return vec![place];
    }
    let entries = std::fs::read_dir(place).expect("a readable directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some()).collect()
}

#[test]
fn ids_are_read_from_names() {
    assert_eq!(ids_of("f4_r11_both_forms"), ["f4", "r11"]);
    assert_eq!(ids_of("r3_to_r5_each"), ["r3", "r4", "r5"]);
    assert_eq!(ids_of("a_backup"), [""; 0]);
}

const MAIN: &str = "/k/main";

/// One file.
struct Text(String);

impl Files for Text {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        match path == Path::new(MAIN) {
            true => Ok(self.0.clone().into_bytes()),
            false => Err(FileProblem::Missing),
        }
    }

    fn matching(&self, pattern: &Path, _: &Path) -> Vec<PathBuf> {
        vec![pattern.to_path_buf()]
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn loaded(word: &str) -> Loaded {
    let text = format!(
        "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority 100\n \
         {word}\n virtual_ipaddress {{\n 192.0.2.100/24\n }}\n}}\n"
    );
    load(&Text(text), Path::new(MAIN), &Options::default())
}

/// RFC 9568 section 6.1 has it off by default; C keepalived, and we, on.
#[test]
fn s7_packets_to_the_addresses_are_accepted_by_default() {
    for (word, accept) in [("", true), ("accept", true), ("no_accept", false)] {
        let loaded = loaded(word);
        assert!(
            loaded.diagnostics.is_empty(),
            "{word}: {:?}",
            loaded.diagnostics
        );
        assert_eq!(loaded.config.instances[0].accept, accept, "{word}");
    }
}

/// What lies outside is told in the words of C, and the daemon keeps to what a packet
/// can say.
#[test]
fn m8_intervals_that_no_packet_can_say_are_told() {
    for (words, interval_ms, told) in [
        ("version 2\n advert_int 1", 1_000, None),
        ("version 2\n advert_int 255", 255_000, None),
        (
            "version 2\n advert_int 256",
            1_000,
            Some("(256) not valid!"),
        ),
        ("version 2\n advert_int 0", 1_000, Some("(0) not valid!")),
        (
            "version 2\n advert_int 0.5",
            1_000,
            Some("must be an integer"),
        ),
        ("version 3\n advert_int 0.01", 10, None),
        ("version 3\n advert_int 40.95", 40_950, None),
        (
            "version 3\n advert_int 40.96",
            40_950,
            Some("is out of range"),
        ),
        (
            "version 3\n advert_int 0.005",
            1_000,
            Some("(0.005) not valid!"),
        ),
    ] {
        let loaded = loaded(words);
        let instance = &loaded.config.instances[0];
        let messages: Vec<&str> = loaded
            .diagnostics
            .iter()
            .map(|it| it.message.as_str())
            .collect();
        assert_eq!(
            instance.advert_interval,
            Interval::from_ms(interval_ms),
            "{words}"
        );
        assert_eq!(
            messages.len(),
            usize::from(told.is_some()),
            "{words}: {messages:?}"
        );
        let is_told = |text: &str| messages.iter().any(|message| message.contains(text));
        assert!(told.is_none_or(is_told), "{words}: {messages:?}");
    }
}
