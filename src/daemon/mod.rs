//! The life of the processes: who starts whom, what is said between them, and
//! what is left behind.
//!
//! Decides the order of a start. `supervisor/mod.rs` goes on from there.
//!
//! Source: specification E.1 to E.4, A.11, A.12.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::cli::Format;
use crate::config::source::Files;
use crate::config::{self, Loaded};
use crate::system::files::DiskFiles;
use crate::system::logging;
use crate::system::machine::ThisMachine;
use crate::system::signals::Signals;

pub mod buffers;
pub mod channel;
pub mod check;
pub mod cleanup;
pub mod control;
pub mod fifos;
mod firewall;
pub mod key_files;
pub mod last_text;
pub mod left_behind;
pub mod lifecycle;
pub mod notices;
pub mod pid_files;
pub mod process;
pub mod reactor;
pub mod rights;
pub mod signs;
pub mod simulate;
pub mod state_files;
pub mod status;
pub mod supervisor;
pub mod worker;

use pid_files::{PidFile, PidFileError};
use supervisor::{Entries, PidFiles, Start};

/// Our version, in the place and form where tools look for C keepalived's.
pub const VERSION: &str = concat!("v2.4.3 (keepalived-rs ", env!("CARGO_PKG_VERSION"), ")");

/// The configuration file that is read if none is named.
pub const DEFAULT_CONFIGURATION: &str = "/etc/keepalived/keepalived.conf";

/// Exit codes of the daemon (specification A.11).
pub mod exit_code {
    /// All is well.
    pub const OK: u8 = 0;
    /// The daemon cannot go on.
    pub const FATAL: u8 = 1;
    /// The configuration does not allow a start.
    pub const CONFIG: u8 = 2;
    /// A right is missing.
    pub const PERMISSION: u8 = 4;
    /// There is no configuration.
    pub const NO_CONFIG: u8 = 6;
}

/// How the daemon runs: what the command line says, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `-f`.
    pub config_file: PathBuf,
    /// `-i`, `-e`, `-P`, `-C`.
    pub options: config::Options,
    /// `-n`.
    pub foreground: bool,
    /// `-l`, `-D`, `-S`, `-G`.
    pub log: logging::Settings,
    /// `-p`.
    pub pid_file: PathBuf,
    /// `-r`.
    pub vrrp_pid_file: PathBuf,
    /// Where `keepalived-rs status` asks.
    pub status_socket: PathBuf,
    /// Not `-R`: a worker that dies is replaced.
    pub respawn: bool,
    /// `-V`: the VIPs stay when the daemon stops.
    pub keep_addresses: bool,
    /// `-d`: the configuration goes to the log.
    pub dump_configuration: bool,
    /// `--ignore-sigint`.
    pub ignore_interrupt: bool,
    /// `-m`: no limit on the size of core files.
    pub core_files: bool,
    /// `-u`.
    pub umask: Option<u32>,
    /// `-s`.
    pub namespace: Option<String>,
    /// The words of the command line, for the log.
    pub command_line: Vec<String>,
    /// Options that were given and that do nothing yet, for the log.
    pub without_effect: Vec<String>,
}

/// Runs the daemon until it stops; returns its exit code. Without `-n` the
/// calling process ends here and a child goes on.
pub fn run(settings: &Settings) -> u8 {
    let entries = Entries {
        worker: worker::run,
        cleanup: cleanup::run,
    };
    match prepare(settings) {
        Ok(()) => begin(settings, entries),
        Err((code, text)) => {
            let _ = writeln!(io::stderr(), "{text}");
            code
        }
    }
}

/// What comes first, and what is said on stderr if it fails.
fn prepare(settings: &Settings) -> Result<(), (u8, String)> {
    if let Some(name) = &settings.namespace {
        process::enter_namespace(name).map_err(|error| {
            let text = format!("Unable to enter network namespace {name}: {error}");
            (exit_code::FATAL, text)
        })?;
        // Where the pid files of a namespace lie, if no option says otherwise.
        // If it cannot be made, the pid file says why.
        let _ = fs::create_dir_all(runtime_directory(Some(name)));
    }
    if let Some(mask) = settings.umask {
        process::set_umask(mask);
    }
    if settings.core_files {
        process::allow_core_files().map_err(|error| {
            let text = format!("Unable to allow core files: {error}");
            (exit_code::FATAL, text)
        })?;
    }
    let is_orphan = || PidFile::orphan(&settings.vrrp_pid_file).is_some();
    if PidFile::is_held(&settings.pid_file)
        || PidFile::is_held(&settings.vrrp_pid_file) && !is_orphan()
    {
        return Err((exit_code::OK, PidFileError::AlreadyRunning.to_string()));
    }
    if !settings.foreground {
        process::detach().map_err(|error| {
            let text = format!("Unable to go to the background: {error}");
            (exit_code::FATAL, text)
        })?;
    }
    Ok(())
}

/// Where pid files lie (specification E.3).
pub fn runtime_directory(namespace: Option<&str>) -> PathBuf {
    match namespace {
        Some(name) => Path::new("/run/keepalived").join(name),
        None => PathBuf::from("/run"),
    }
}

/// The pid file of the parent, unless `-p` names another (specification E.3).
pub fn default_pid_file(namespace: Option<&str>) -> PathBuf {
    runtime_directory(namespace).join("keepalived.pid")
}

/// From here on everything is said in the log.
fn begin(settings: &Settings, entries: Entries) -> u8 {
    if let Err(error) = logging::install(settings.log.clone()) {
        let _ = writeln!(io::stderr(), "Unable to begin a log: {error}");
        return exit_code::FATAL;
    }
    log_start(settings);
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!("Unable to take signals: {error}");
            return exit_code::FATAL;
        }
    };
    let own = match PidFile::create(&settings.pid_file, process::own_id()) {
        Ok(file) => file,
        Err(error) => {
            tracing::error!("{error}");
            return match error {
                PidFileError::AlreadyRunning => exit_code::OK,
                PidFileError::System(..) => exit_code::FATAL,
            };
        }
    };
    if left_behind::take_away(settings) != exit_code::OK
        && PidFile::is_locked(&settings.vrrp_pid_file)
    {
        own.remove();
        return exit_code::FATAL;
    }
    let loaded = load(&ThisMachine::for_daemon(), settings);
    log_diagnostics(&loaded);
    let processes = &loaded.config.globals.processes;
    if processes.max_auto_priority == 0 && processes.vrrp.realtime_priority.is_none() {
        tracing::info!(
            "NOTICE: setting config option max_auto_priority should result in better \
             keepalived performance"
        );
    }
    if loaded.is_usable() && !rights::suffice(&loaded.config) {
        own.remove();
        tracing::info!("Stopped Keepalived {VERSION}");
        return exit_code::PERMISSION;
    }
    if loaded.is_usable() {
        return supervisor::run(Start {
            settings,
            entries,
            pid_files: PidFiles::new(own),
            signals,
            loaded,
        });
    }
    let code = if DiskFiles.read(&settings.config_file).is_err() {
        exit_code::NO_CONFIG
    } else {
        exit_code::CONFIG
    };
    own.remove();
    tracing::info!("Stopped Keepalived {VERSION}");
    code
}

/// `-t`: reads the configuration and says what is wrong with it, on stderr or
/// at the end of the file `log`; JSON without a file goes to stdout. Returns C's
/// exit code.
pub fn test_configuration(settings: &Settings, log: Option<&Path>, format: Format) -> u8 {
    let loaded = load(&ThisMachine::new(), settings);
    let snippets = log.is_none() && io::stderr().is_terminal();
    let text = check::tested(&loaded, &settings.config_file, format, snippets);
    let written = match log {
        None if format == Format::Json => io::stdout().write_all(text.as_bytes()),
        None => io::stderr().write_all(text.as_bytes()),
        Some(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
    };
    if let (Err(error), Some(path)) = (written, log) {
        let place = path.display();
        let _ = writeln!(
            io::stderr(),
            "Unable to open config-test log file {place}: {error}"
        );
        return exit_code::FATAL;
    }
    loaded.exit_code()
}

/// Reads the configuration as it is on disk now.
fn load(machine: &ThisMachine, settings: &Settings) -> Loaded {
    load_with(machine, &DiskFiles, &settings.config_file, settings)
}

/// Reads the configuration in `file`, wherever files come from.
fn load_with(machine: &ThisMachine, files: &dyn Files, file: &Path, settings: &Settings) -> Loaded {
    let mut loaded = config::load_on(machine, files, file, &settings.options);
    key_files::read(&mut loaded);
    loaded
}

fn log_diagnostics(loaded: &Loaded) {
    for diagnostic in &loaded.diagnostics {
        tracing::info!("{}", diagnostic.as_c_line(&loaded.sources));
    }
}

fn log_start(settings: &Settings) {
    tracing::info!("Starting Keepalived {VERSION}");
    tracing::info!("Running on {}", process::running_on());
    let words: Vec<String> = settings
        .command_line
        .iter()
        .map(|word| format!("'{word}'"))
        .collect();
    tracing::info!("Command line: {}", words.join(" "));
    for option in &settings.without_effect {
        tracing::info!("option {option} has no effect yet");
    }
    tracing::info!("Configuration file {}", settings.config_file.display());
}
