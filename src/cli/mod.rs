//! The command line (specification E.2).
//!
//! Decides which options exist, what they mean together, and what is answered
//! at once. Does not decide anything about the daemon's life: `daemon` does.
//! Every option of C keepalived is accepted; an option that does nothing yet is
//! named in the log.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

use crate::config;
use crate::daemon::status::socket::beside;
use crate::daemon::{
    DEFAULT_CONFIGURATION, Named, Settings, VERSION, check, exit_code, places, process, simulate,
};
use crate::system::logging::{self, Facility};
use crate::system::signals::Signal;

pub mod events;
pub mod explain;
pub mod orders;
pub mod place;
pub mod reload;
pub mod status;
mod tools;

pub use tools::{Format, status_word};

/// Exit code for a command line that is not understood.
const BAD_COMMAND_LINE: u8 = 1;

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Write this and exit.
    Answer(Answer),
    /// Run the daemon.
    Run(Box<Task>),
    /// `--cleanup`: take away what a daemon left that was killed.
    CleanUp(Box<Task>),
    /// `-t`: test the configuration; messages go to the file, or to stderr.
    Test(Box<Task>, Option<PathBuf>, Format),
    /// `check`: look for mistakes in configurations.
    Check(Box<check::Task>),
    /// `simulate`: what would happen.
    Simulate(Box<simulate::Task>),
    /// `status`: how a running daemon stands.
    Status(Box<status::Task>),
    /// `reload`: a running daemon reads its configuration again.
    Reload(Box<reload::Task>),
    /// `events`: what happens in a running daemon.
    Events(Box<events::Task>),
    /// `drain`, `resume`, `priority`, `garp`: orders to a running daemon.
    Order(Box<orders::Task>),
    /// `explain`: why an instance of a running daemon is where it is.
    Explain(Box<explain::Task>),
}

/// Something to write, and an exit code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// The exit code.
    pub code: u8,
}

/// Something to run, and what is to be written before.
#[derive(Debug)]
pub struct Task {
    /// How.
    pub settings: Settings,
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
}

/// Understands a command line, the program's name included.
pub fn understand(words: impl IntoIterator<Item = OsString>) -> Request {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some(request) = tools::understand(&words) {
        return request;
    }
    let arguments = match parse(&words) {
        Ok(arguments) => arguments,
        Err(answer) => return Request::Answer(answer),
    };
    if let Some(answer) = arguments.answer() {
        return Request::Answer(answer);
    }
    let mut stdout = String::new();
    if !arguments.unexpected.is_empty() {
        let unexpected: Vec<_> = arguments
            .unexpected
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        stdout = format!("Unexpected argument(s): {}\n", unexpected.join(" "));
    }
    let (test, format) = (arguments.config_test.clone(), arguments.format);
    let cleanup = arguments.cleanup;
    let (settings, stderr) = arguments.settings(&words);
    let task = Box::new(Task {
        settings,
        stdout,
        stderr,
    });
    match test {
        Some(log) => Request::Test(task, log, format),
        None if cleanup => Request::CleanUp(task),
        None => Request::Run(task),
    }
}

/// The definitions of the options and of the tools, for the manual.
pub fn commands() -> [clap::Command; 2] {
    [Arguments::command(), tools::command()]
}

// The help texts are the documentation of the fields.
#[derive(Debug, Parser)]
#[command(
    name = "keepalived-rs",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    infer_long_args = true,
    override_usage = "keepalived-rs [OPTION...]"
)]
struct Arguments {
    /// Use the specified configuration file
    #[arg(short = 'f', long, value_name = "FILE", default_value = DEFAULT_CONFIGURATION, allow_hyphen_values = true)]
    use_file: PathBuf,
    /// Do not run the health checkers
    #[arg(short = 'P', long)]
    vrrp: bool,
    /// Do not run VRRP
    #[arg(short = 'C', long)]
    check: bool,
    /// Do not run BFD
    #[arg(short = 'B', long = "no_bfd")]
    no_bfd: bool,
    /// Start every child process, even without configuration for it
    #[arg(long)]
    all: bool,
    /// Log to stderr too; only with -n
    #[arg(short = 'l', long)]
    log_console: bool,
    /// Log more; twice for still more
    #[arg(short = 'D', long, action = ArgAction::Count)]
    log_detail: u8,
    /// Syslog facility: 0 to 7, local0 to local7, user, daemon
    #[arg(short = 'S', long, value_name = "FACILITY", value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    log_facility: Option<String>,
    /// Log to a file too
    #[arg(short = 'g', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    log_file: Option<Option<PathBuf>>,
    /// Write each line of the log file at once
    #[arg(long)]
    flush_log_file: bool,
    /// Do not log to syslog
    #[arg(short = 'G', long)]
    no_syslog: bool,
    /// File mode creation mask
    #[arg(short = 'u', long, value_name = "MASK", value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    umask: Option<String>,
    /// Take VIPs off at a transition even if they are not known to be set
    #[arg(short = 'X', long)]
    release_vips: bool,
    /// Leave VIPs and routes in place when the daemon stops
    #[arg(short = 'V', long)]
    dont_release_vrrp: bool,
    /// Leave IPVS as it is when the daemon stops
    #[arg(short = 'I', long)]
    dont_release_ipvs: bool,
    /// Stop when a child process dies, instead of replacing it
    #[arg(short = 'R', long)]
    dont_respawn: bool,
    /// Stay in the foreground
    #[arg(short = 'n', long)]
    dont_fork: bool,
    /// Write the configuration to the log at the start
    #[arg(short = 'd', long)]
    dump_conf: bool,
    /// Pid file of the parent process
    #[arg(short = 'p', long, value_name = "FILE", allow_hyphen_values = true)]
    pid: Option<PathBuf>,
    /// Pid file of the VRRP process
    #[arg(
        short = 'r',
        long = "vrrp_pid",
        value_name = "FILE",
        allow_hyphen_values = true
    )]
    vrrp_pid: Option<PathBuf>,
    /// Be the program genhash
    #[arg(short = 'T', long)]
    genhash: bool,
    /// Pid file of the checker process
    #[arg(
        short = 'c',
        long = "checkers_pid",
        value_name = "FILE",
        allow_hyphen_values = true
    )]
    checkers_pid: Option<PathBuf>,
    /// Log every change of an address
    #[arg(short = 'a', long)]
    address_monitoring: bool,
    /// Pid file of the BFD process
    #[arg(
        short = 'b',
        long = "bfd_pid",
        value_name = "FILE",
        allow_hyphen_values = true
    )]
    bfd_pid: Option<PathBuf>,
    /// Run in this network namespace
    #[arg(short = 's', long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    namespace: Option<String>,
    /// Allow core files of any size
    #[arg(short = 'm', long)]
    core_dump: bool,
    /// As -m, and set the system's pattern for their names
    #[arg(short = 'M', long, value_name = "PATTERN", num_args = 0..=1, require_equals = true)]
    core_dump_pattern: Option<Option<OsString>>,
    /// Serve SNMP
    #[arg(short = 'x', long)]
    snmp: bool,
    /// Socket of the SNMP master agent
    #[arg(short = 'A', long, value_name = "SOCKET", allow_hyphen_values = true)]
    snmp_agent_socket: Option<OsString>,
    /// Treat every missing include file as an error
    #[arg(short = 'e', long)]
    all_config: bool,
    /// Which lines that begin with @ count; default: the name of this host
    #[arg(short = 'i', long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    config_id: Option<String>,
    /// Print the signal number for STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON, TDUMP
    #[arg(long, value_name = "FUNCTION", value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    signum: Option<String>,
    /// Test the configuration; messages go to stderr, or to the file
    #[arg(short = 't', long, value_name = "LOG", num_args = 0..=1, require_equals = true)]
    config_test: Option<Option<PathBuf>>,
    /// How -t prints what it finds; JSON goes to standard output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// With a warning the daemon does not start, and -t fails
    #[arg(long)]
    strict_config: bool,
    /// Take away what a daemon with these options left behind that was killed, and exit; does nothing while it lives, or with -V
    #[arg(long)]
    cleanup: bool,
    #[arg(long, hide = true, value_name = "N", allow_hyphen_values = true)]
    config_fd: Option<OsString>,
    #[arg(long, hide = true)]
    ignore_sigint: bool,
    #[arg(long, hide = true, value_name = "WHAT", num_args = 0..=1, require_equals = true)]
    perf: Option<Option<OsString>>,
    #[arg(long, hide = true, value_name = "WHAT", num_args = 0..=1, require_equals = true)]
    debug: Option<Option<OsString>>,
    #[arg(long, hide = true)]
    no_mem_check: bool,
    #[arg(short = 'L', hide = true)]
    mem_check_log: bool,
    #[arg(short = 'O', hide = true)]
    mem_check_option: bool,
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
    /// Print this text
    #[arg(short = 'h', long)]
    help: bool,
    #[arg(hide = true, num_args = 0..)]
    unexpected: Vec<OsString>,
}

impl Arguments {
    /// What is answered without running anything.
    fn answer(&self) -> Option<Answer> {
        if self.version {
            return Some(said_on_stderr(version(), exit_code::OK));
        }
        if self.help {
            let text = Self::command().render_help().to_string();
            return Some(said_on_stderr(text, exit_code::OK));
        }
        if let Some(function) = &self.signum {
            return Some(match signal_number(function) {
                Some(number) => Answer {
                    stdout: format!("{number}\n"),
                    ..Answer::default()
                },
                None => {
                    let text = format!("Unknown sigfunc {function}\n");
                    said_on_stderr(text, BAD_COMMAND_LINE)
                }
            });
        }
        self.genhash
            .then(|| said_on_stderr("genhash is not available\n".to_owned(), BAD_COMMAND_LINE))
    }

    /// The settings, and what there is to complain about.
    fn settings(self, words: &[OsString]) -> (Settings, String) {
        let mut complaints = String::new();
        let mut facility = Facility::default();
        if let Some(text) = &self.log_facility {
            match text.parse() {
                Ok(known) => facility = known,
                Err(_) => complaints.push_str(&format!("Invalid log facility '{text}'\n")),
            }
        }
        let mut umask = None;
        if let Some(text) = &self.umask {
            umask = number_of_any_base(text).filter(|&mask| mask <= 0o777);
            if umask.is_none() {
                complaints.push_str(&format!("Invalid --umask option {text}\n"));
            }
        }
        let namespace = self.namespace.as_deref();
        let runtime = places::runtime_directory(namespace, false);
        let named = Named {
            pid_file: self.pid.is_some(),
            vrrp_pid_file: self.vrrp_pid.is_some(),
        };
        let pid_file = self.pid.clone();
        let pid_file = pid_file.unwrap_or_else(|| places::default_pid_file(namespace));
        let pid_file = absolute(pid_file);
        let without_effect = self.without_effect();
        let settings = Settings {
            config_file: absolute(self.use_file),
            options: config::Options {
                config_id: self.config_id.unwrap_or_else(process::config_id),
                random_seed: process::random_seed(),
                all_include_checks: self.all_config,
                without_checkers: self.vrrp,
                without_bfd: self.no_bfd,
                without_vrrp: self.check,
                strict: self.strict_config,
            },
            all: self.all,
            foreground: self.dont_fork,
            log: logging::Settings {
                console: self.log_console && (self.dont_fork || self.cleanup),
                syslog: (!self.no_syslog).then_some(facility),
                file: self.log_file.map(log_file),
                detail: self.log_detail > 0,
                ident: places::ident("Keepalived", namespace, None),
            },
            status_socket: beside(&pid_file),
            pid_file,
            vrrp_pid_file: absolute(self.vrrp_pid.unwrap_or_else(|| runtime.join("vrrp.pid"))),
            respawn: !self.dont_respawn,
            keep_addresses: self.dont_release_vrrp,
            dump_configuration: self.dump_conf,
            ignore_interrupt: self.ignore_sigint,
            core_files: self.core_dump || self.core_dump_pattern.is_some(),
            umask,
            namespace: self.namespace,
            instance: None,
            named,
            command_line: words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            without_effect,
        };
        (settings, complaints)
    }

    /// The options that were given and that do nothing yet.
    fn without_effect(&self) -> Vec<String> {
        [
            ("--release-vips", self.release_vips),
            ("--address-monitoring", self.address_monitoring),
            ("--core-dump-pattern", self.core_dump_pattern.is_some()),
            ("--snmp", self.snmp),
            ("--snmp-agent-socket", self.snmp_agent_socket.is_some()),
            ("--config-fd", self.config_fd.is_some()),
            ("--perf", self.perf.is_some()),
            ("--debug", self.debug.is_some()),
            ("--no-mem-check", self.no_mem_check),
            ("-L", self.mem_check_log),
            ("-O", self.mem_check_option),
        ]
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| name.to_owned())
        .collect()
    }
}

fn said_on_stderr(stderr: String, code: u8) -> Answer {
    Answer {
        stderr,
        code,
        ..Answer::default()
    }
}

fn parse(words: &[OsString]) -> Result<Arguments, Answer> {
    let mut command = Arguments::command();
    let words = with_equals_signs(&command, words);
    command
        .try_get_matches_from_mut(&words)
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| said_on_stderr(complaint(&error, &words), BAD_COMMAND_LINE))
}

/// C's words for what is wrong.
fn complaint(error: &clap::Error, words: &[OsString]) -> String {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.split([' ', '=', '[']).next().unwrap_or(text),
        _ => "",
    };
    match error.kind() {
        ErrorKind::UnknownArgument => format!("Unknown option {option}\n"),
        // A value for an option that takes none.
        ErrorKind::TooManyValues => {
            let given = words.iter().map(|word| word.to_string_lossy());
            let word = given
                .into_iter()
                .find(|word| word.starts_with(&format!("{option}=")));
            format!("Unknown option {}\n", word.as_deref().unwrap_or(option))
        }
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues | ErrorKind::ValueValidation => {
            // The option as it was written: the last letter of a last word
            // that is a group of letters.
            let last = words.last().map(|word| word.to_string_lossy());
            match last.as_deref() {
                Some(word) if word.starts_with('-') && !word.starts_with("--") => {
                    let letter = word.chars().next_back().unwrap_or('-');
                    format!("Missing parameter for option -{letter}\n")
                }
                _ => format!("Missing parameter for option {option}\n"),
            }
        }
        _ => format!("{error}\n"),
    }
}

/// A value that may be left out follows its letter directly, as in
/// `-t/tmp/log`; the parser wants `-t=/tmp/log`.
fn with_equals_signs(command: &clap::Command, words: &[OsString]) -> Vec<OsString> {
    let mut result = Vec::with_capacity(words.len());
    let mut is_value = true; // The program's name is none of ours.
    let mut options_end = false;
    for word in words {
        let text = word.to_str().unwrap_or("");
        if std::mem::take(&mut is_value) || options_end || !text.starts_with('-') {
            result.push(word.clone());
            continue;
        }
        options_end = text == "--";
        let mut rewritten = None;
        if text.starts_with("--") {
            is_value = !text.contains('=') && takes_value(command, text);
        } else {
            for (place, letter) in text.char_indices().skip(1) {
                let Some(option) = option_of(command, letter) else {
                    continue;
                };
                let after = text.split_at(place + letter.len_utf8());
                if option.is_require_equals_set() {
                    if !after.1.is_empty() && !after.1.starts_with('=') {
                        rewritten = Some(OsString::from(format!("{}={}", after.0, after.1)));
                    }
                    break;
                }
                if option.get_action().takes_values() {
                    is_value = after.1.is_empty();
                    break;
                }
            }
        }
        result.push(rewritten.unwrap_or_else(|| word.clone()));
    }
    result
}

fn option_of(command: &clap::Command, letter: char) -> Option<&clap::Arg> {
    command
        .get_arguments()
        .find(|option| option.get_short() == Some(letter))
}

fn takes_value(command: &clap::Command, long: &str) -> bool {
    let name = long.trim_start_matches('-');
    command.get_arguments().any(|option| {
        option.get_action().takes_values()
            && !option.is_require_equals_set()
            && option
                .get_long()
                .is_some_and(|long| !name.is_empty() && long.starts_with(name))
    })
}

/// The file of `-g`; without a name, one where the dumps lie if nobody says otherwise.
fn log_file(named: Option<PathBuf>) -> PathBuf {
    absolute(named.unwrap_or_else(|| PathBuf::from("/tmp/keepalived.log")))
}

/// The daemon may go to `/`, and a reload reads the file again.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// As C's `strtoul` with base 0: `0x` for 16, `0` for 8, else 10.
fn number_of_any_base(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

fn signal_number(function: &str) -> Option<i32> {
    Some(match function {
        "STOP" => Signal::Stop.number(),
        "RELOAD" => Signal::Reload.number(),
        "DATA" => Signal::Data.number(),
        "STATS" => Signal::Statistics.number(),
        "STATS_CLEAR" => Signal::ClearStatistics.number(),
        "JSON" => Signal::Json.number(),
        "TDUMP" => libc::SIGRTMAX(),
        _ => return None,
    })
}

/// Programs read the first line, and look for `--enable-json`: the signal for
/// the JSON dump is taken.
fn version() -> String {
    let mut text = format!("Keepalived {VERSION}\n\n");
    text.push_str("A drop-in replacement for keepalived's VRRP daemon, in Rust\n\n");
    let _ = writeln!(text, "Running on {}", process::running_on());
    if let Some(distribution) = process::distribution() {
        let _ = writeln!(text, "Distro: {distribution}");
    }
    text.push_str("\nconfigure options: --enable-json\n");
    text.push_str("\nConfig options:  VRRP VRRP_AUTH SYSTEMD_NOTIFY\n");
    text.push_str("\nSystem options:  MEMFD_CREATE SIGNALFD\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> (Settings, String) {
        let words = std::iter::once("keepalived").chain(line.split_whitespace());
        match understand(words.map(OsString::from)) {
            Request::Run(task) | Request::Test(task, ..) => (task.settings, task.stderr),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn log_of_test(line: &str) -> Option<PathBuf> {
        let words = std::iter::once("keepalived").chain(line.split_whitespace());
        match understand(words.map(OsString::from)) {
            Request::Test(_, log, _) => log,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_options_agree_with_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_options_it_is_a_background_daemon() {
        let (settings, _) = settings("");
        assert_eq!(settings.config_file, PathBuf::from(DEFAULT_CONFIGURATION));
        assert_eq!(settings.pid_file, PathBuf::from("/run/keepalived.pid"));
        assert_eq!(settings.vrrp_pid_file, PathBuf::from("/run/vrrp.pid"));
        assert!(!settings.foreground && !settings.log.console && !settings.log.detail);
        assert!(settings.log.syslog.is_some() && settings.respawn);
        assert_eq!(settings.options.config_id, process::config_id());
        assert!(!settings.options.config_id.contains('.'));
        assert!(settings.without_effect.is_empty());
    }

    #[test]
    fn bundles_repetitions_and_long_forms_mean_the_same() {
        for line in [
            "-nlD -f /a -p /b -r /c -P",
            "-nlDf /a -p/b -r=/c -P",
            "--dont-fork --log-console --log-detail --use-file=/a --pid /b --vrrp_pid=/c --vrrp",
            "-n -l -D -D --dont-fork -f /z -f /a -p /b -r /c -PP",
        ] {
            let (settings, _) = settings(line);
            assert!(settings.foreground && settings.log.console && settings.log.detail);
            assert!(settings.options.without_checkers && !settings.options.without_vrrp);
            assert_eq!(settings.config_file, PathBuf::from("/a"), "{line}");
            assert_eq!(settings.pid_file, PathBuf::from("/b"), "{line}");
            assert_eq!(settings.vrrp_pid_file, PathBuf::from("/c"), "{line}");
        }
        assert!(!settings("-l").0.log.console, "-l needs -n");
    }

    #[test]
    fn each_part_is_left_out_by_its_own_option() {
        for (line, expected) in [
            ("-P", (true, false, false)),
            ("-B", (false, true, false)),
            ("-C", (false, false, true)),
            ("--no_bfd --vrrp", (true, true, false)),
        ] {
            let options = settings(line).0.options;
            let left_out = (
                options.without_checkers,
                options.without_bfd,
                options.without_vrrp,
            );
            assert_eq!(left_out, expected, "{line}");
        }
    }

    #[test]
    fn paths_do_not_depend_on_the_directory() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(settings("-f a.conf").0.config_file, here.join("a.conf"));
    }

    #[test]
    fn a_namespace_has_pid_files_of_its_own() {
        let (settings, _) = settings("-s blue");
        assert_eq!(
            settings.pid_file,
            PathBuf::from("/run/keepalived/blue/keepalived.pid")
        );
        assert_eq!(
            settings.status_socket,
            PathBuf::from("/run/keepalived/blue/keepalived.sock")
        );
    }

    #[test]
    fn the_name_for_conditional_lines_may_be_given() {
        for line in ["-i a.b", "-ia.b", "--config-id=a.b", "--config-id a.b"] {
            assert_eq!(settings(line).0.options.config_id, "a.b", "{line}");
        }
    }

    #[test]
    fn facilities_and_masks_are_read_as_c_reads_them() {
        let local3 = "local3".parse().ok();
        for line in ["-S 3", "-S local3", "--log-facility=3", "-S3"] {
            assert_eq!(settings(line).0.log.syslog, local3, "{line}");
        }
        assert_eq!(settings("-S user").0.log.syslog, Some(Facility::USER));
        assert_eq!(settings("-S 3 -G").0.log.syslog, None);
        for line in ["-u 022", "-u 18", "-u 0x12"] {
            assert_eq!(settings(line).0.umask, Some(0o22), "{line}");
        }
        let (bad, complaint) = settings("-u 8x -S local8");
        assert_eq!(bad.umask, None);
        assert_eq!(bad.log.syslog, Some(Facility::default()));
        assert_eq!(
            complaint,
            "Invalid log facility 'local8'\nInvalid --umask option 8x\n"
        );
    }

    #[test]
    fn a_value_that_may_be_left_out_does_not_take_the_next_word() {
        assert_eq!(log_of_test("-t"), None);
        assert_eq!(log_of_test("-t -f /x"), None);
        let log = Some(PathBuf::from("/log"));
        for line in ["-t/log", "-t=/log", "--config-test=/log", "-nlDt/log"] {
            assert_eq!(log_of_test(line), log, "{line}");
        }
        assert_eq!(log_of_test("-p -tx -t/log"), log, "the first is -p's value");
    }

    #[test]
    fn options_without_effect_are_named() {
        let (settings, _) = settings("-x -d -M -a");
        assert_eq!(
            settings.without_effect,
            ["--address-monitoring", "--core-dump-pattern", "--snmp"]
        );
        assert!(settings.core_files && settings.dump_configuration);
    }
}
