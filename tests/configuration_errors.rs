//! The page about mistakes in a configuration shows what the program prints.
//!
//! With `UPDATE_EXPECTED=1` in the environment it is written anew.

use std::fs;
use std::path::Path;

use keepalived_rs::cli::Format;
use keepalived_rs::config::source::{FileProblem, Files};
use keepalived_rs::config::{Options, load};
use keepalived_rs::daemon::check;

const PAGE: &str = "docs/configuration-errors.md";

/// Title, what is said before, the files, the command.
struct Example {
    title: &'static str,
    text: &'static str,
    files: &'static [(&'static str, &'static str)],
    command: Shown,
}

enum Shown {
    /// `-t -f`, at a terminal.
    Test,
    /// `check --elsewhere`
    Check,
}

const NODE: &str = "vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 150
    virtual_ipaddress {
        192.0.2.10/24
    }
}
";

const EXAMPLES: &[Example] = &[
    Example {
        title: "A wrong word",
        text: "One letter is missing in `unicast_peer`. C keepalived logs an unknown keyword and \
               sends by multicast.",
        files: &[(
            "node-a.conf",
            "vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 150
    unicast_per {
        192.0.2.2
    }
    virtual_ipaddress {
        192.0.2.10/24
    }
}
",
        )],
        command: Shown::Test,
    },
    Example {
        title: "A missing brace",
        text: "The block `virtual_ipaddress` is not closed, so the next instance stands inside \
               of the first.",
        files: &[(
            "node-a.conf",
            "vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.10/24
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    virtual_ipaddress {
        192.0.2.20/24
    }
}
",
        )],
        command: Shown::Test,
    },
    Example {
        title: "A value out of range",
        text: "The value comes from a definition; both places are shown.",
        files: &[(
            "node-a.conf",
            "$PRIORITY=300
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority ${PRIORITY}
    virtual_ipaddress {
        192.0.2.10/24
    }
}
",
        )],
        command: Shown::Test,
    },
    Example {
        title: "An address that nobody can ping",
        text: "Nothing is wrong with the words; the question is what they do together.",
        files: &[(
            "node-a.conf",
            "global_defs {
    vrrp_strict
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 150
    virtual_ipaddress {
        192.0.2.10/24
    }
}
",
        )],
        command: Shown::Check,
    },
    Example {
        title: "Two nodes that will never fail over",
        text: "Each file is fine. With the numbers of both it shows that the weight is too small.",
        files: &[
            (
                "node-a.conf",
                "global_defs {
    enable_script_security
}
vrrp_script check_web {
    script \"/usr/local/bin/check_web\"
    weight -2
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        192.0.2.10/24
    }
    track_script {
        check_web
    }
}
",
            ),
            (
                "node-b.conf",
                "vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 90
    virtual_ipaddress {
        192.0.2.10/24
    }
}
",
            ),
        ],
        command: Shown::Check,
    },
];

const HEAD: &str = "# Mistakes in a configuration

What the program says about five common mistakes. This page is made by
`tests/configuration_errors.rs` from what it really prints.

There are two ways to ask. `keepalived-rs -t` reads the file as the daemon does and
has C keepalived's exit codes; its messages are C's, with the place and a way out
on a terminal, and one line each in a log. `keepalived-rs check` looks deeper: at
what the settings do together, at this machine, and at the other node's file.
`keepalived-rs explain CODE` tells more about a word in brackets, and
`--format json` makes the findings readable for programs.

With `--strict-config` the daemon does not start with a file that `-t` warns about.
";

fn run_in(files: &Path, words: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keepalived-rs"))
        .current_dir(files)
        .args(words)
        .output()
        .expect("the program");
    String::from_utf8(output.stdout).expect("UTF-8")
}

impl Example {
    fn written(&self) -> String {
        let mut out = format!("\n## {}\n\n{}\n", self.title, self.text);
        for (name, text) in self.files {
            out.push_str(&format!("\n`{name}`:\n\n```\n{text}```\n"));
        }
        let names: Vec<&str> = self.files.iter().map(|(name, _)| *name).collect();
        let (command, printed) = match self.command {
            Shown::Test => ("-t -f", self.tested()),
            Shown::Check => ("check --elsewhere", self.checked(&names)),
        };
        let names = names.join(" ");
        out.push_str(&format!(
            "\n```\n$ keepalived-rs {command} {names}\n{printed}```\n"
        ));
        out
    }

    /// What stands on a terminal, and the exit code.
    fn tested(&self) -> String {
        let (name, text) = self.files[0];
        let files = OneFile(name, text);
        let loaded = load(&files, Path::new(name), &Options::default());
        let text = check::tested(&loaded, Path::new(name), Format::Text, true);
        format!("{text}$ echo $?\n{}\n", loaded.exit_code())
    }

    fn checked(&self, names: &[&str]) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in self.files {
            fs::write(directory.path().join(name), text).expect("a file");
        }
        let words = [&["check", "--elsewhere"], names].concat();
        run_in(directory.path(), &words)
    }
}

struct OneFile(&'static str, &'static str);

impl Files for OneFile {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        match path == Path::new(self.0) {
            true => Ok(self.1.as_bytes().to_vec()),
            false => Err(FileProblem::Missing),
        }
    }

    fn matching(&self, pattern: &Path, _: &Path) -> Vec<std::path::PathBuf> {
        let own = (pattern == Path::new(self.0)).then(|| pattern.to_path_buf());
        own.into_iter().collect()
    }
}

#[test]
fn the_page_shows_what_is_printed() {
    let mut page = HEAD.to_string();
    for example in EXAMPLES {
        page.push_str(&example.written());
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(PAGE, &page).expect("a writable checkout");
    }
    let current = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        current == page,
        "{PAGE} is old: run this test with UPDATE_EXPECTED=1\n{page}"
    );
}

#[test]
fn a_file_without_a_mistake_is_not_on_the_page() {
    let loaded = load(&OneFile("a", NODE), Path::new("a"), &Options::default());
    assert_eq!(
        check::tested(&loaded, Path::new("a"), Format::Text, true),
        ""
    );
}
