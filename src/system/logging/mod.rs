//! Where log lines go: the console and a file in C keepalived's form, and syslog.
//!
//! Decides the form of a line and that logging never holds up the daemon: what
//! cannot be written at once is dropped and counted. Texts and levels are the
//! business of those who log. Source: specification E.2 (`-l`, `-D`, `-S`, `-g`, `-G`).

use std::fmt::{self, Write as _};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::clock;

mod console;
mod file;

use console::Console;
use file::LogFile;

/// Where the system takes datagrams for the log.
const SYSLOG_SOCKET: &str = "/dev/log";

/// How long the end of a process waits for a disk that is to take the last lines.
const FILE_PATIENCE: Duration = Duration::from_millis(200);

/// Severities of syslog (RFC 5424 section 6.2.1).
const SEVERITY_ERROR: u8 = 3;
const SEVERITY_WARNING: u8 = 4;
const SEVERITY_INFO: u8 = 6;

/// What is logged where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Lines go to standard error (`-l` together with `-n`).
    pub console: bool,
    /// Lines go to syslog under this facility; `None` with `-G`.
    pub syslog: Option<Facility>,
    /// Lines go to this file too (`-g`).
    pub file: Option<PathBuf>,
    /// Lines of level DEBUG are shown too, as information (`-D`).
    pub detail: bool,
    /// The program's name in syslog: `Keepalived` or `Keepalived_vrrp`.
    pub ident: String,
}

/// A syslog facility, as its number (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// `LOG_USER`.
    pub const USER: Self = Self(1);
    /// `LOG_DAEMON`, the default.
    pub const DAEMON: Self = Self(3);
    /// `LOG_LOCAL0`; the other seven follow.
    const LOCAL0: u8 = 16;
}

impl Default for Facility {
    fn default() -> Self {
        Self::DAEMON
    }
}

/// The argument of `-S` names no facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownFacility;

impl fmt::Display for UnknownFacility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown log facility")
    }
}

impl std::error::Error for UnknownFacility {}

/// The argument of `-S`: 0 to 7, `local0` to `local7`, `user`, `daemon`.
impl FromStr for Facility {
    type Err = UnknownFacility;

    fn from_str(text: &str) -> Result<Self, UnknownFacility> {
        match text {
            "user" => return Ok(Self::USER),
            "daemon" => return Ok(Self::DAEMON),
            _ => {}
        }
        let digit = text.strip_prefix("local").unwrap_or(text);
        match digit.as_bytes() {
            [digit @ b'0'..=b'7'] => Ok(Self(Self::LOCAL0 | (digit & 7))),
            _ => Err(UnknownFacility),
        }
    }
}

/// The log of this process, for `set_ident`.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// Makes these settings the log of this process and of those forked from it.
/// Fails if that was done before.
pub fn install(settings: Settings) -> io::Result<()> {
    let console = match settings.console {
        true => Some(io::stderr().as_fd().try_clone_to_owned()?),
        false => None,
    };
    let file = settings.file.clone();
    let log = Arc::new(Log::new(settings, console, SYSLOG_SOCKET.into()));
    LOG.set(Arc::clone(&log))
        .map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    let subscriber = tracing_subscriber::registry().with(LogLayer(log));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    if let (Some(path), Some(log)) = (file, LOG.get()) {
        let opened = LogFile::open(&path);
        adopt_file(log, opened);
    }
    Ok(())
}

/// The log of a process that was forked from the supervisor: its name in syslog, and the
/// name that its log file bears.
pub fn begin_child(ident: &str, process: &str) {
    let Some(log) = LOG.get() else { return };
    ident.clone_into(&mut log.sinks().ident);
    let file = log.sinks().file.take();
    if let Some(file) = file {
        let opened = file.for_process(process);
        adopt_file(log, opened);
    }
}

/// From now on a log file is written by a thread. After the process has given up what
/// it does not need: a thread has the rights that there are when it begins.
pub fn write_in_thread() {
    let Some(log) = LOG.get() else { return };
    let file = log.sinks().file.take();
    if let Some(file) = file {
        adopt_file(log, file.in_thread());
    }
}

/// Before the end of a process: its last lines are written.
pub fn finish() {
    let file = LOG.get().and_then(|log| log.sinks().file.take());
    if let Some(file) = file {
        file.finish(FILE_PATIENCE);
    }
}

/// A log file that cannot be used is told in the other logs, and is no reason to stop.
fn adopt_file(log: &Log, opened: io::Result<LogFile>) {
    match opened {
        Ok(file) => log.sinks().file = Some(file),
        Err(error) => tracing::error!("Unable to open the log file: {error}"),
    }
}

/// Everything that a line needs.
#[derive(Debug)]
struct Log {
    detail: bool,
    sinks: Mutex<Sinks>,
}

#[derive(Debug)]
struct Sinks {
    ident: String,
    console: Option<Console>,
    file: Option<LogFile>,
    syslog: Option<Syslog>,
}

impl Log {
    fn new(settings: Settings, console: Option<OwnedFd>, socket: PathBuf) -> Self {
        Self {
            detail: settings.detail,
            sinks: Mutex::new(Sinks {
                ident: settings.ident,
                console: console.map(Console::new),
                file: None,
                syslog: settings.syslog.map(|facility| Syslog {
                    facility,
                    path: socket,
                    socket: None,
                    dropped: 0,
                }),
            }),
        }
    }

    /// The sinks, even if a thread panicked while it logged.
    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, severity: u8, text: &str) {
        let sinks = &mut *self.sinks();
        if let Some(console) = &mut sinks.console {
            console.write(text);
        }
        if let Some(file) = &mut sinks.file {
            file.write(text);
        }
        if let Some(syslog) = &mut sinks.syslog {
            syslog.write(&sinks.ident, severity, text);
        }
    }
}

/// The line that tells of lost ones.
fn lost(count: u64) -> String {
    format!("{count} log lines were lost")
}

/// The system's log.
#[derive(Debug)]
struct Syslog {
    facility: Facility,
    path: PathBuf,
    /// Connected when it is first needed, and anew when the other side restarted.
    socket: Option<UnixDatagram>,
    dropped: u64,
}

impl Syslog {
    fn write(&mut self, ident: &str, severity: u8, text: &str) {
        if self.dropped > 0 {
            if !self.put(ident, SEVERITY_WARNING, &lost(self.dropped)) {
                // Where nobody listens each line would cost twice as much.
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
            self.dropped = 0;
        }
        if !self.put(ident, severity, text) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Sends one line in the form of RFC 3164; whether it was taken.
    fn put(&mut self, ident: &str, severity: u8, text: &str) -> bool {
        let priority = self.facility.0 << 3 | severity;
        let date = clock::syslog_date();
        let process = std::process::id();
        let line = format!("<{priority}>{date} {ident}[{process}]: {text}");
        let is_new = self.socket.is_none();
        match self.send(&line) {
            Ok(()) => true,
            // Nobody is there, or it is full: another socket would not help.
            Err(_) if is_new => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                self.socket = None;
                self.send(&line).is_ok()
            }
        }
    }

    fn send(&mut self, line: &str) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(&self.path)?;
                socket
            }
        };
        self.socket.insert(socket).send(line.as_bytes()).map(|_| ())
    }
}

/// Takes the events of `tracing` to the log.
struct LogLayer(Arc<Log>);

impl LogLayer {
    /// The least severe level that is shown.
    fn least_severe(&self) -> LevelFilter {
        match self.0.detail {
            true => LevelFilter::DEBUG,
            false => LevelFilter::INFO,
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.least_severe())
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > self.least_severe() {
            return;
        }
        let severity = match level {
            Level::ERROR => SEVERITY_ERROR,
            Level::WARN => SEVERITY_WARNING,
            _ => SEVERITY_INFO,
        };
        let mut text = Text::default();
        event.record(&mut text);
        self.0.write(severity, &text.0);
    }
}

/// The message, then the other fields as ` name=value`, all on one line: a
/// control character would forge lines or confuse a terminal.
#[derive(Default)]
struct Text(String);

impl Text {
    fn push(&mut self, value: &str) {
        self.0
            .extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.push(value);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        if field.name() != "message" {
            text.push(' ');
            text.push_str(field.name());
            text.push('=');
        }
        // Writing into a string does not fail.
        let _ = write!(text, "{value:?}");
        self.push(&text);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn settings(detail: bool, syslog: Option<Facility>) -> Settings {
        Settings {
            console: true,
            syslog,
            file: None,
            detail,
            ident: "Keepalived".into(),
        }
    }

    /// Runs `body` with a log whose console is a pipe, and gives the log and what
    /// can be read from it.
    fn with_log(
        settings: Settings,
        socket: PathBuf,
        body: impl FnOnce(),
    ) -> (Arc<Log>, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let log = Arc::new(Log::new(settings, Some(writer.into()), socket));
        let subscriber = tracing_subscriber::registry().with(LogLayer(Arc::clone(&log)));
        tracing::subscriber::with_default(subscriber, body);
        (log, reader)
    }

    fn lines(log: Arc<Log>, mut reader: std::io::PipeReader) -> Vec<String> {
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("read");
        text.lines().map(str::to_owned).collect()
    }

    /// A line without its date, which must be there.
    fn undated(line: &str) -> &str {
        line.get(24..)
            .and_then(|rest| rest.strip_prefix(": "))
            .expect("a date")
    }

    #[test]
    fn a_console_line_is_a_date_a_colon_and_the_text() {
        let (log, reader) = with_log(settings(false, None), "/nowhere".into(), || {
            tracing::info!("(VI_1) Entering MASTER STATE");
            tracing::debug!("only with -D");
            tracing::error!(errno = 5, "one\nline");
        });
        let lines = lines(log, reader);
        let texts: Vec<_> = lines.iter().map(|line| undated(line)).collect();
        assert_eq!(texts, ["(VI_1) Entering MASTER STATE", "one line errno=5"]);
    }

    #[test]
    fn details_are_shown_when_asked_for() {
        let (log, reader) = with_log(settings(true, None), "/nowhere".into(), || {
            tracing::debug!("detail");
            tracing::trace!("never");
        });
        let lines = lines(log, reader);
        assert_eq!(lines.len(), 1);
        assert_eq!(undated(&lines[0]), "detail");
    }

    #[test]
    fn syslog_gets_priority_date_ident_and_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let listener = UnixDatagram::bind(&path).expect("bound");
        let facility = "local3".parse().expect("a facility");
        let heard = |listener: &UnixDatagram| {
            let mut buffer = [0; 512];
            let length = listener.recv(&mut buffer).expect("a line");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let process = std::process::id();
        with_log(settings(true, Some(facility)), path.clone(), || {
            // (16 + 3) * 8, then 3, 4 and 6 for the severity.
            for (priority, level) in [(155, Level::ERROR), (156, Level::WARN), (158, Level::DEBUG)]
            {
                match level {
                    Level::ERROR => tracing::error!("text"),
                    Level::WARN => tracing::warn!("text"),
                    _ => tracing::debug!("text"),
                }
                let line = heard(&listener);
                let rest = line.strip_prefix(&format!("<{priority}>")).expect(&line);
                assert_eq!(
                    rest.get(15..),
                    Some(format!(" Keepalived[{process}]: text").as_str())
                );
            }
            // The system's log is restarted; the second socket hears the next line.
            drop(listener);
            std::fs::remove_file(&path).expect("removed");
            tracing::info!("lost");
            let listener = UnixDatagram::bind(&path).expect("bound again");
            tracing::info!("found");
            assert!(heard(&listener).ends_with(": 1 log lines were lost"));
            assert!(heard(&listener).ends_with(": found"));
        });
    }

    #[test]
    fn a_syslog_that_hears_nothing_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let listener = UnixDatagram::bind(&path).expect("bound");
        let begun = clock::now();
        let (log, _reader) = with_log(settings(false, Some(Facility::DAEMON)), path, || {
            for _ in 0..5000 {
                tracing::info!("one of many");
            }
        });
        let limit = crate::time::Interval::from_secs(10);
        assert!(clock::now().since(begun) < limit);
        let dropped = log.sinks().syslog.as_ref().map_or(0, |sink| sink.dropped);
        assert!(dropped > 1000, "{dropped}");
        drop(listener);
    }

    #[test]
    fn a_full_console_drops_lines_and_says_how_many() {
        let (log, mut reader) = with_log(settings(false, None), "/nowhere".into(), || {
            for _ in 0..200 {
                tracing::info!("{}", "x".repeat(1000));
            }
        });
        let dropped = log.sinks().console.as_ref().map_or(0, |sink| sink.dropped);
        assert!((1..200).contains(&dropped), "{dropped}");
        let mut room = vec![0; 30_000];
        reader.read_exact(&mut room).expect("room in the pipe");
        log.write(SEVERITY_INFO, "after");
        let lines = lines(log, reader);
        let [.., told, last] = lines.as_slice() else {
            panic!("two lines at least");
        };
        assert_eq!(undated(told), format!("{dropped} log lines were lost"));
        assert_eq!(undated(last), "after");
    }

    #[test]
    fn facilities_have_the_names_of_the_option() {
        assert_eq!("daemon".parse(), Ok(Facility::DAEMON));
        assert_eq!("user".parse(), Ok(Facility::USER));
        assert_eq!("0".parse(), Ok(Facility(16)));
        assert_eq!("local7".parse(), Ok(Facility(23)));
        for wrong in ["8", "local8", "", "local", "local07", "kern"] {
            assert_eq!(wrong.parse::<Facility>(), Err(UnknownFacility), "{wrong}");
        }
    }
}
