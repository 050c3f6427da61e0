//! What the kernel shows of a process in `/proc`, and whether it is a tracked one.
//!
//! Source: specification D.3.

use std::fs;

use crate::config::model::{ParameterMatch, TrackedProcess};

/// How much of a name the kernel keeps, in bytes.
const NAME_MAX: usize = 15;

/// A number of a process.
pub type Pid = i32;

/// What a process is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The name that the kernel keeps of it, at most [`NAME_MAX`] bytes.
    pub name: Vec<u8>,
    /// Its command line: program and arguments.
    pub words: Vec<Vec<u8>>,
}

impl Program {
    /// What process `pid` is called now; `None` if there is none, or one that
    /// has ended and that nobody has asked for yet. The command line is only
    /// read if it is wanted.
    pub fn of(pid: Pid, with_words: bool) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, parentheses too; what follows it may not.
        let begin = stat.iter().position(|byte| *byte == b'(')?.checked_add(1)?;
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let state = stat.get(end.checked_add(2)?)?;
        if matches!(state, b'Z' | b'X' | b'x') {
            return None;
        }
        let name = stat.get(begin..end)?.to_vec();
        let words = match with_words {
            true => words(&fs::read(format!("/proc/{pid}/cmdline")).ok()?),
            false => Vec::new(),
        };
        Some(Self { name, words })
    }

    /// Whether it is one of these.
    pub fn is(&self, wanted: &TrackedProcess) -> bool {
        if !needs_words(wanted) {
            let name = wanted.program.as_bytes();
            return self.name == name.get(..NAME_MAX).unwrap_or(name);
        }
        let Some((program, arguments)) = self.words.split_first() else {
            return false;
        };
        program == wanted.program.as_bytes() && are_like(arguments, wanted)
    }
}

/// Whether the command line decides, and not the name.
pub fn needs_words(wanted: &TrackedProcess) -> bool {
    wanted.full_command
        || wanted.parameter_match != ParameterMatch::None
        || !wanted.parameters.is_empty()
        || wanted.program.contains('/')
}

fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let line = line.strip_suffix(b"\0").unwrap_or(line);
    if line.is_empty() {
        return Vec::new();
    }
    line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

fn are_like(arguments: &[Vec<u8>], wanted: &TrackedProcess) -> bool {
    let same = |(have, want): (&Vec<u8>, &String)| have == want.as_bytes();
    let parameters = &wanted.parameters;
    let long_enough = arguments.len() >= parameters.len();
    let mut both = arguments.iter().zip(parameters);
    match wanted.parameter_match {
        ParameterMatch::None => true,
        ParameterMatch::Exact => arguments.len() == parameters.len() && both.all(same),
        ParameterMatch::Initial => long_enough && both.all(same),
        ParameterMatch::Partial => {
            let begins = |(have, want): (&Vec<u8>, &String)| have.starts_with(want.as_bytes());
            let last = both.next_back();
            long_enough && both.all(same) && last.is_none_or(begins)
        }
    }
}

/// The numbers of all processes there are.
pub fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Interval;

    fn wanted(words: &str, parameter_match: ParameterMatch) -> TrackedProcess {
        let mut words = words.split(' ').map(str::to_owned);
        TrackedProcess {
            name: "p".into(),
            program: words.next().unwrap(),
            parameters: words.collect(),
            parameter_match,
            weight: 0,
            reverse: false,
            quorum: 1,
            quorum_max: None,
            terminate_delay: Interval::ZERO,
            fork_delay: Interval::ZERO,
            full_command: false,
        }
    }

    fn program(name: &str, line: &str) -> Program {
        let line = line.replace(' ', "\0") + "\0";
        Program {
            name: name.into(),
            words: words(line.as_bytes()),
        }
    }

    #[test]
    fn a_name_is_compared_as_far_as_the_kernel_keeps_it() {
        use ParameterMatch::None;
        let have = program("a-very-long-nam", "/usr/bin/a-very-long-name -x");
        assert!(have.is(&wanted("a-very-long-name", None)));
        assert!(have.is(&wanted("a-very-long-nam", None)));
        assert!(!have.is(&wanted("a-very-long-na", None)));
        assert!(have.is(&wanted("/usr/bin/a-very-long-name", None)));
        assert!(!have.is(&wanted("/bin/a-very-long-name", None)));
        let full = TrackedProcess {
            full_command: true,
            ..wanted("a-very-long-name", None)
        };
        assert!(!have.is(&full));
        assert!(!Program::default().is(&full), "a kernel thread");
    }

    #[test]
    fn parameters_are_compared_as_asked() {
        use ParameterMatch::{Exact, Initial, None, Partial};
        for (line, want, expected) in [
            ("d", "d", [true, true, true, true]),
            ("d -a", "d", [true, false, true, true]),
            ("d -a", "d -a", [true, true, true, true]),
            ("d -a -b", "d -a", [true, false, true, true]),
            ("d -ax", "d -a", [true, false, false, true]),
            ("d -ax -b", "d -a -b", [true, false, false, false]),
            ("d", "d -a", [true, false, false, false]),
            ("e -a", "d -a", [false, false, false, false]),
        ] {
            let have = program("d", line);
            let found = [None, Exact, Initial, Partial].map(|kind| have.is(&wanted(want, kind)));
            assert_eq!(found, expected, "{line} for {want}");
        }
    }

    #[test]
    fn this_very_process_is_seen() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(all().any(|pid| pid == own));
        let program = Program::of(own, true).unwrap();
        let arguments: Vec<_> = std::env::args().map(String::into_bytes).collect();
        assert_eq!(program.words, arguments);
        assert!(Program::of(i32::MAX, false).is_none());
    }
}
