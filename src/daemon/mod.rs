//! The life of the processes: who starts whom, what is said between them, and
//! what is left behind.
//!
//! Decides the order of a start. `supervisor/mod.rs` goes on from there.
//!
//! Source: specification E.1 to E.4, A.11, A.12.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::cli::Format;
use crate::config::source::Files;
use crate::config::{self, Loaded};
use crate::system::files::DiskFiles;
use crate::system::logging;
use crate::system::machine::ThisMachine;
use crate::system::memory;
use crate::system::signals::Signals;

pub mod ahead;
pub mod buffers;
pub mod bus;
pub mod channel;
pub mod check;
pub mod cleanup;
pub mod client;
pub mod confinement;
pub mod control;
pub mod fifos;
mod firewall;
pub mod key_files;
pub mod last_text;
pub mod left_behind;
pub mod lifecycle;
pub mod metrics;
pub mod notices;
mod orders;
pub mod pid_files;
pub mod places;
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
    /// `--all`: there is a worker even if it has nothing to do.
    pub all: bool,
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
    /// `-s`, or `net_namespace`.
    pub namespace: Option<String>,
    /// `instance`
    pub instance: Option<String>,
    /// What the command line decides, whatever the configuration says.
    pub named: Named,
    /// The words of the command line, for the log.
    pub command_line: Vec<String>,
    /// Options that were given and that do nothing yet, for the log.
    pub without_effect: Vec<String>,
}

/// The files that the command line names; the places of the others depend on the
/// configuration, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// `-p`
    pub pid_file: bool,
    /// `-r`
    pub vrrp_pid_file: bool,
}

/// Runs the daemon until it stops; returns its exit code. Without `-n` the
/// calling process ends here and a child goes on.
pub fn run(settings: &Settings) -> u8 {
    let entries = Entries {
        worker: worker::run,
        cleanup: cleanup::run,
    };
    memory::give_back_what_is_large();
    match prepare(settings) {
        Ok((settings, loaded)) => begin(&settings, loaded, entries),
        Err((code, text)) => {
            let _ = writeln!(io::stderr(), "{text}");
            code
        }
    }
}

/// What comes first, and what is said on stderr if it fails: the configuration is
/// read, because it says where the daemon runs and where its files lie.
fn prepare(settings: &Settings) -> Result<(Settings, Loaded), (u8, String)> {
    let (settings, loaded) = read(settings)?;
    if settings.core_files {
        process::allow_core_files().map_err(fatal("Unable to allow core files"))?;
    }
    let is_orphan = || PidFile::orphan(&settings.vrrp_pid_file).is_some();
    if PidFile::is_held(&settings.pid_file)
        || PidFile::is_held(&settings.vrrp_pid_file) && !is_orphan()
    {
        return Err((exit_code::OK, PidFileError::AlreadyRunning.to_string()));
    }
    if let Some(directory) = settings.own_directory() {
        // If it cannot be made, the pid file says why.
        let _ = DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory);
    }
    let globals = &loaded.config.globals;
    process::follow_globals(process::Part::Supervisor, globals, settings.umask);
    if !settings.foreground {
        process::detach().map_err(fatal("Unable to go to the background"))?;
    }
    Ok((settings, loaded))
}

/// Reads the configuration in the network namespace in which the daemon runs, as it
/// asks about interfaces.
fn read(settings: &Settings) -> Result<(Settings, Loaded), (u8, String)> {
    let enter = |name: &str| {
        let what = format!("Unable to set network namespace {name} - exiting");
        process::enter_namespace(name).map_err(fatal(&what))
    };
    if let Some(name) = &settings.namespace {
        enter(name)?;
    }
    let loaded = load(&ThisMachine::for_daemon(), settings);
    let completed = settings.completed(&loaded.config.globals);
    let Some(name) = &completed.namespace else {
        return Ok((completed, loaded));
    };
    if settings.namespace.is_some() {
        return Ok((completed, loaded));
    }
    enter(name)?;
    let loaded = load(&ThisMachine::for_daemon(), &completed);
    // The file may have changed meanwhile, but not the place where we are.
    let globals = &loaded.config.globals;
    Ok((completed.completed(globals), loaded))
}

fn fatal(what: &str) -> impl Fn(io::Error) -> (u8, String) {
    move |error| (exit_code::FATAL, format!("{what}: {error}"))
}

/// From here on everything is said in the log.
fn begin(settings: &Settings, loaded: Loaded, entries: Entries) -> u8 {
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
    log_diagnostics(&loaded);
    let own = match pid_files(settings, &loaded) {
        Ok(file) => file,
        Err(code) => return code,
    };
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

/// Makes our own pid file, takes away what an earlier daemon left behind, and makes
/// sure that the worker can have a pid file: a daemon that nobody finds again must not
/// begin. Otherwise the exit code.
fn pid_files(settings: &Settings, loaded: &Loaded) -> Result<PidFile, u8> {
    let refused = |error: PidFileError| {
        tracing::error!("{error}");
        match error {
            PidFileError::AlreadyRunning => exit_code::OK,
            PidFileError::System(..) => exit_code::FATAL,
        }
    };
    let own = PidFile::create(&settings.pid_file, process::own_id()).map_err(refused)?;
    if left_behind::take_away(settings) != exit_code::OK
        && PidFile::is_locked(&settings.vrrp_pid_file)
    {
        own.remove();
        return Err(exit_code::FATAL);
    }
    if loaded.is_usable() && !loaded.config.instances.is_empty() {
        match PidFile::create(&settings.vrrp_pid_file, process::own_id()) {
            Ok(file) => file.remove(),
            Err(error) => {
                own.remove();
                return Err(refused(error));
            }
        }
    }
    Ok(own)
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
    let code = loaded.exit_code();
    // The process ends. To give back piece by piece what thousands of instances have would
    // take a twentieth of its time.
    std::mem::forget(loaded);
    code
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
    if settings.namespace.is_some() || settings.instance.is_some() {
        tracing::info!("Changing syslog ident to {}", settings.log.ident);
    }
}
