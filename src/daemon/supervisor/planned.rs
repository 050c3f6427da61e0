//! A reload at a time that stands in a file (`reload_time_file`, `reload_repeat`).
//!
//! Decides which time is meant and when it has come. Does not reload.
//!
//! Source: specification B.3 (`reload_time_file`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::config::model::ReloadSettings;
use crate::system::calendar::{Date, TimeOfDay, Zone, date_at, epoch_s};
use crate::system::clock::{date_of, epoch_us};
use crate::time::{Instant, Interval};

/// More than any time that can be meant.
const FILE_BYTES_MAX: u64 = 64;

/// How late we may learn that the wall clock was set.
const WALL_CLOCK_CHECK: Interval = Interval::from_secs(30);

/// The file, and the time that stands in it.
#[derive(Debug, Default)]
pub(super) struct Planned {
    file: Option<PathBuf>,
    repeat: bool,
    watch: Option<Inotify>,
    /// In seconds since 1970.
    at_s: Option<u64>,
}

impl Planned {
    /// Looks at the file that these settings name from now on.
    pub(super) fn follow(&mut self, settings: &ReloadSettings) {
        let file = settings.time_file.as_ref().map(PathBuf::from);
        self.repeat = settings.repeat;
        if file == self.file {
            return;
        }
        self.watch = file.as_deref().and_then(|path| {
            let watch = watch(path);
            watch
                .map_err(|error| {
                    let path = path.display();
                    tracing::error!("Unable to watch reload_time_file {path}: {error}");
                })
                .ok()
        });
        self.file = file;
        self.read();
    }

    /// What to poll for reading.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// What a child closes.
    pub(super) fn as_raw_fd(&self) -> Option<RawFd> {
        Some(self.watch.as_ref()?.as_fd().as_raw_fd())
    }

    /// When it has to be looked at [`Planned::is_due`] next.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let left_us = self.at_s?.saturating_mul(1_000_000);
        let left = Interval::from_us(left_us.saturating_sub(epoch_us()));
        Some(now + left.min(WALL_CLOCK_CHECK))
    }

    /// Whether the time has come; it comes once.
    pub(super) fn is_due(&mut self) -> bool {
        if self.has_news() {
            self.read();
        }
        let now_s = epoch_us() / 1_000_000;
        if self.at_s.is_none_or(|at_s| now_s < at_s) {
            return false;
        }
        self.at_s = None;
        let Some(file) = &self.file else {
            return false;
        };
        if self.repeat {
            // A time without a date comes again tomorrow, one with a date never.
            self.plan(read(file).and_then(|text| time(&text, now_s).ok()));
        } else if let Err(error) = fs::remove_file(file) {
            tracing::error!("Unable to remove {}: {error}", file.display());
        }
        true
    }

    /// Whether something happened to the file.
    fn has_news(&self) -> bool {
        let Some(watch) = &self.watch else {
            return false;
        };
        let name = self.file.as_deref().and_then(Path::file_name);
        let mut news = false;
        loop {
            match watch.read_events() {
                Ok(events) => {
                    let is_ours = |it: Option<&OsString>| it.map(OsString::as_os_str) == name;
                    news |= events.iter().any(|event| {
                        let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                        lost || is_ours(event.name.as_ref())
                    });
                }
                Err(Errno::EINTR) => {}
                Err(_) => return news,
            }
        }
    }

    fn read(&mut self) {
        let Some(text) = self.file.as_deref().and_then(read) else {
            return self.plan(None);
        };
        let now_s = epoch_us() / 1_000_000;
        let found = time(&text, now_s);
        match found {
            Ok(_) => {}
            Err(Wrong::Form) => {
                tracing::info!("Invalid reload time '{text}' specified - ignoring");
            }
            Err(Wrong::Past) => tracing::info!("Reload time {text} is in the past - ignoring"),
        }
        self.plan(found.ok());
    }

    fn plan(&mut self, at_s: Option<u64>) {
        let date = |at_s| date_of(at_s, "%Y-%m-%d %H:%M:%S");
        match (self.at_s, at_s) {
            (None, None) => {}
            (None, Some(new)) => tracing::info!("Scheduling reload for {}", date(new)),
            (Some(old), None) => tracing::info!("Cancelling reload scheduled for {}", date(old)),
            (Some(old), Some(new)) if old != new => {
                let (old, new) = (date(old), date(new));
                tracing::info!("Reload time updated from {old} to {new}");
            }
            _ => {}
        }
        self.at_s = at_s;
    }
}

/// Watches the directory, since files are replaced as a whole.
fn watch(file: &Path) -> io::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    let changes = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE;
    inotify.add_watch(directory.unwrap_or(Path::new("/")), changes)?;
    Ok(inotify)
}

/// The line in the file, without its end; `None` if there is no such file.
fn read(path: &Path) -> Option<String> {
    // A pipe must not stop the daemon.
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let file = opened.ok().filter(|file| {
        let metadata = file.metadata();
        metadata.is_ok_and(|it| it.is_file())
    })?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Some(text.chars().filter(|it| !it.is_control()).collect())
}

/// Why no time is meant.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// It does not look like one.
    Form,
    /// It has a date and is past.
    Past,
}

/// The second that is meant, later than `now_s`: `HH:MM:SS`, or with a date of two
/// or four digits for the year in front, or `Z` behind.
fn time(text: &str, now_s: u64) -> Result<u64, Wrong> {
    let (rest, zone) = match text.strip_suffix('Z') {
        Some(rest) => (rest, Zone::Utc),
        None => (text, Zone::Local),
    };
    let (date, time) = match rest.split_once(' ') {
        Some((date, time)) => (Some(numbers(date, '-').ok_or(Wrong::Form)?), time),
        None => (None, rest),
    };
    let [hour, minute, second] = numbers(time, ':').ok_or(Wrong::Form)?;
    let small = |number| u8::try_from(number).map_err(|_| Wrong::Form);
    let time = TimeOfDay {
        hour: small(hour)?,
        minute: small(minute)?,
        second: small(second)?,
    };
    let Some([year, month, day]) = date else {
        let today = date_at(now_s, zone).ok_or(Wrong::Form)?;
        let at = |later| epoch_s(today, time, zone, later).ok_or(Wrong::Form);
        let at_s = at(0)?;
        return if at_s > now_s { Ok(at_s) } else { at(1) };
    };
    let date = Date {
        year: if year < 100 {
            year.saturating_add(2000)
        } else {
            year
        },
        month: small(month)?,
        day: small(day)?,
    };
    let at_s = epoch_s(date, time, zone, 0).ok_or(Wrong::Form)?;
    if at_s > now_s {
        Ok(at_s)
    } else {
        Err(Wrong::Past)
    }
}

/// Three numbers, the last two of two digits.
fn numbers(text: &str, between: char) -> Option<[u16; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (place, number) in found.iter_mut().enumerate() {
        let part = parts.next()?;
        let digits = part.len() == 2 || (place == 0 && part.len() == 4 && between == '-');
        if !digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 12:00:00 UTC.
    const NOON_S: u64 = 1_795_262_400;

    #[test]
    fn times_are_read_as_c_reads_them() {
        for (text, after_noon_s) in [
            ("12:00:01Z", 1),
            ("12:00:00Z", 86_400),
            ("11:59:59Z", 86_399),
            ("26-11-21 12:01:00Z", 60),
            ("2026-11-22 12:00:00Z", 86_400),
        ] {
            assert_eq!(time(text, NOON_S), Ok(NOON_S + after_noon_s), "{text}");
        }
        assert_eq!(time("2020-01-01 10:00:00", NOON_S), Err(Wrong::Past));
        for text in [
            "",
            "garbage",
            "12:00",
            "12:00:00:00",
            "1:02:03",
            " 12:00:00",
            "12:00:00 ",
            "12:00:00z",
            "24:00:00",
            "12:60:00",
            "2026-02-30 12:00:00",
            "026-02-20 12:00:00",
            "2026-11-22  12:00:00",
            "2026-11-22T12:00:00",
            "+1:00:00",
            "99999999999999999999-01-01 00:00:00",
        ] {
            assert_eq!(time(text, NOON_S), Err(Wrong::Form), "{text:?}");
        }
        let tomorrow = time("00:00:00", NOON_S).unwrap();
        assert!((1..=86_400).contains(&(tomorrow - NOON_S)));
    }

    #[test]
    fn a_time_that_has_come_is_due_once_and_its_file_goes_unless_it_repeats() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("time");
        for repeat in [false, true] {
            let mut planned = Planned::default();
            planned.follow(&ReloadSettings {
                time_file: Some(file.display().to_string()),
                repeat,
                ..ReloadSettings::default()
            });
            assert!(planned.at_s.is_none() && !planned.is_due());
            fs::write(&file, "23:59:58Z\n").unwrap();
            assert!(!planned.is_due() || planned.at_s.is_none());
            planned.at_s = Some(1);
            assert!(planned.is_due());
            assert_eq!(file.exists(), repeat);
            assert_eq!(planned.at_s.is_some(), repeat);
            assert!(!planned.is_due());
        }
        fs::remove_file(&file).unwrap();
    }
}
