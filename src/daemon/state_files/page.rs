//! The pieces that the dump files share: lines, dates, numbers, commands,
//! addresses, in C keepalived's form (specification E.8 to E.10).
//!
//! Decides how a value looks. Which values there are is decided in the files
//! beside this one.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use nix::unistd::{getegid, geteuid};

use crate::config::model::{Command, Globals, ScriptUser};
use crate::system::clock;
use crate::system::scripts::{Identity, Policy, resolve};
use crate::time::{Instant, Interval};

/// A text that grows line by line.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a line.
    pub fn line(&mut self, line: impl fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Adds `title` and below it one line for each of `items`, five blanks in.
    /// Nothing if there are none.
    pub fn list<T: fmt::Display>(&mut self, title: &str, items: impl IntoIterator<Item = T>) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        self.line(format_args!("   {title} :"));
        for item in items {
            self.line(format_args!("     {item}"));
        }
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        self.line(format_args!("------< {title} >------"));
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// What turns the engine's time into that of the wall.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// A moment in the engine's time.
    pub at: Instant,
    /// The same moment: microseconds since 1970.
    pub epoch_us: u64,
}

impl WallClock {
    /// `then` in microseconds since 1970.
    pub fn epoch_us(&self, then: Instant) -> u64 {
        let later = then.since(self.at).as_us();
        let earlier = self.at.since(then).as_us();
        self.epoch_us.saturating_add(later).saturating_sub(earlier)
    }

    /// `SECONDS.MICROSECONDS`
    pub fn seconds(&self, then: Instant) -> String {
        Interval::from_us(self.epoch_us(then)).to_string()
    }

    /// `SECONDS.MICROSECONDS (DATE)`
    pub fn seconds_and_date(&self, then: Instant) -> String {
        let epoch_us = self.epoch_us(then);
        let us = epoch_us % 1_000_000;
        let format = format!("%a %b %e %H:%M:%S.{us:06} %Y");
        let date = clock::date_of(epoch_us / 1_000_000, &format);
        format!("{} ({date})", self.seconds(then))
    }
}

/// Who scripts run as; each user is looked up once.
#[derive(Debug, Default)]
pub struct Users {
    policy: Policy,
    known: RefCell<Vec<(Option<ScriptUser>, String)>>,
}

impl Users {
    /// With `enable_script_security` there may be no default user.
    pub fn new(globals: &Globals) -> Self {
        Self {
            policy: Policy::of(globals),
            known: RefCell::default(),
        }
    }

    /// `UID:GID`
    pub fn numbers(&self, user: Option<&ScriptUser>) -> String {
        let mut known = self.known.borrow_mut();
        if let Some((_, numbers)) = known.iter().find(|(named, _)| named.as_ref() == user) {
            return numbers.clone();
        }
        let numbers = match resolve(user, self.policy) {
            Ok(Identity::Other { user, group, .. }) => format!("{user}:{group}"),
            Ok(Identity::Ours) | Err(_) => format!("{}:{}", geteuid(), getegid()),
        };
        known.push((user.cloned(), numbers.clone()));
        numbers
    }

    /// The words of a command in quotes, and who runs it.
    pub fn command(&self, command: &Command) -> String {
        let numbers = self.numbers(command.user.as_ref());
        format!("{}, uid:gid {numbers}", quoted(command))
    }
}

/// The words of a command, each in single quotes. The program is shown by its
/// real path, as C does.
pub fn quoted(command: &Command) -> String {
    let mut text = String::new();
    for (place, word) in command.argv.iter().enumerate() {
        let real = (place == 0).then(|| real_path(word)).flatten();
        let separator = if place == 0 { "" } else { " " };
        let word = real.as_deref().unwrap_or(word);
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}'{word}'");
    }
    text
}

/// The path without links in its directories; the program itself may be one,
/// whose name counts (busybox).
fn real_path(program: &str) -> Option<String> {
    let path = Path::new(program);
    let directory = fs::canonicalize(path.parent()?).ok()?;
    let real = directory.join(path.file_name()?);
    real.into_os_string().into_string().ok()
}

/// Seconds as C's `%g` prints them: up to six digits, no zeros at the end.
pub fn general_seconds(span: Interval) -> String {
    let whole = span.as_secs();
    let decimals = match whole {
        0 => 6,
        1..=9 => 5,
        10..=99 => 4,
        100..=999 => 3,
        1_000..=9_999 => 2,
        10_000..=99_999 => 1,
        _ => 0,
    };
    #[expect(clippy::cast_precision_loss, reason = "six digits are printed")]
    let text = format!("{:.decimals$}", span.as_us() as f64 / 1e6);
    if text.contains('.') {
        let text = text.trim_end_matches('0').trim_end_matches('.');
        return text.to_owned();
    }
    text
}

/// `true` or `false`.
pub const fn truth(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

/// `enabled` or `disabled`.
pub const fn able(is: bool) -> &'static str {
    if is { "enabled" } else { "disabled" }
}

/// `yes` or `no`.
pub const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// A name and what it adds to a priority.
pub fn weight(value: i32, reverse: bool) -> String {
    let reverse = if reverse { " reverse" } else { "" };
    format!("weight {value}{reverse}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_up_to_six_digits_and_no_zeros_at_the_end() {
        for (us, text) in [
            (0, "0"),
            (3_000_000, "3"),
            (500_000, "0.5"),
            (10_000, "0.01"),
            (1_234_567, "1.23457"),
            (40_950_000, "40.95"),
            (600_000_000, "600"),
            (1_000_000_000_000, "1000000"),
        ] {
            assert_eq!(general_seconds(Interval::from_us(us)), text);
        }
    }

    #[test]
    fn times_of_the_engine_become_times_of_the_wall() {
        let wall = WallClock {
            at: Instant::from_us(5_000_000),
            epoch_us: 1_795_247_775_000_001,
        };
        assert_eq!(
            wall.seconds(Instant::from_us(3_999_999)),
            "1795247774.000000"
        );
        assert_eq!(
            wall.seconds(Instant::from_us(5_500_000)),
            "1795247775.500001"
        );
        let date = wall.seconds_and_date(Instant::from_us(5_000_000));
        assert!(date.starts_with("1795247775.000001 ("), "{date}");
        assert!(date.ends_with(".000001 2026)"), "{date}");
    }
}
