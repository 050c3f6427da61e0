//! The supervisor with a stand-in worker: what a user sees in the log, in the
//! files and in the exit code when workers die, hang, reload and stop.
//!
//! The program calls itself again for each supervisor, because a supervisor
//! has one thread and takes signals.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real processes, and has no test harness"
)]

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio, exit};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use keepalived_rs::config::model::Config;
use keepalived_rs::config::{self, Loaded, Options};
use keepalived_rs::daemon::channel::{
    ChannelError, News, Notice, Owner, ScriptCommand, ToSupervisor, ToWorker, WorkerEnd,
};
use keepalived_rs::daemon::pid_files::PidFile;
use keepalived_rs::daemon::process;
use keepalived_rs::daemon::supervisor::{self, Entries, PidFiles, Start, WorkerStart};
use keepalived_rs::daemon::{Named, Settings};
use keepalived_rs::ids::ScriptId;
use keepalived_rs::system::files::DiskFiles;
use keepalived_rs::system::logging;
use keepalived_rs::system::signals::Signals;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(20);

const ONE_INSTANCE: &str = "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n  \
                            virtual_ipaddress {\n    10.99.0.1\n  }\n}\n";
const NO_INTERFACE: &str = "vrrp_instance VI_1 {\n  virtual_router_id 51\n}\n";

type Case = (&'static str, fn(&Path));

const CASES: [Case; 15] = [
    (
        "a_killed_worker_is_cleaned_up_after_and_replaced",
        a_killed_worker,
    ),
    ("a_stop_is_orderly", a_stop_is_orderly),
    ("a_worker_that_does_not_answer_a_reload", a_deaf_worker),
    (
        "a_broken_reload_leaves_everything_as_it_is",
        a_broken_reload,
    ),
    (
        "a_good_reload_is_what_the_next_worker_starts_from",
        a_good_reload,
    ),
    (
        "a_reload_that_names_another_file",
        a_reload_that_names_another_file,
    ),
    (
        "a_permanent_error_stops_the_daemon_with_its_code",
        a_permanent_error,
    ),
    ("without_respawn_everything_stops", without_respawn),
    (
        "the_worker_is_told_of_a_signal_for_a_state_file",
        a_state_file,
    ),
    ("our_own_words_are_read_with_the_main_file", our_own_words),
    ("a_worker_that_hangs_at_a_stop_is_killed", a_hanging_worker),
    (
        "a_check_that_waits_for_the_stop_is_not_waited_for",
        a_waiting_check,
    ),
    ("scripts_of_the_stop_are_waited_for", scripts_of_the_stop),
    (
        "without_instances_there_is_no_worker_until_a_reload",
        without_instances,
    ),
    (
        "a_worker_hears_that_the_supervisor_died",
        the_supervisor_dies,
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, directory, manner] = arguments.as_slice()
        && first == "--supervise"
    {
        exit(i32::from(supervise(Path::new(directory), manner)));
    }
    let filter = arguments.iter().find(|word| !word.starts_with('-'));
    let chosen = CASES
        .iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str())));
    let running: Vec<_> = chosen
        .map(|&(name, case)| {
            let work = move || {
                let directory = tempfile::tempdir().unwrap();
                case(directory.path());
            };
            (name, thread::spawn(work))
        })
        .collect();
    let mut failed = 0;
    for (name, thread) in running {
        let result = if thread.join().is_ok() {
            "ok"
        } else {
            "FAILED"
        };
        failed += i32::from(result != "ok");
        println!("test {name} ... {result}");
    }
    exit(i32::from(failed > 0));
}

// What runs in the supervisor's processes.

fn supervise(directory: &Path, manner: &str) -> u8 {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
    // Read by the worker, which is this process forked.
    MANNER
        .set((manner.to_owned(), directory.to_owned()))
        .unwrap();
    let settings = Settings {
        config_file: directory.join("keepalived.conf"),
        options: Options::default(),
        all: false,
        foreground: true,
        log: logging::Settings {
            console: true,
            syslog: None,
            file: None,
            detail: false,
            ident: "Keepalived".to_owned(),
        },
        pid_file: directory.join("keepalived.pid"),
        vrrp_pid_file: directory.join("vrrp.pid"),
        status_socket: directory.join("status.sock"),
        respawn: manner != "without_respawn",
        keep_addresses: false,
        dump_configuration: false,
        ignore_interrupt: false,
        core_files: false,
        umask: None,
        namespace: None,
        instance: None,
        named: Named::default(),
        command_line: Vec::new(),
        without_effect: Vec::new(),
    };
    let signals = Signals::open().unwrap();
    let start = Start {
        settings: &settings,
        entries: Entries { worker, cleanup },
        pid_files: PidFiles::new(PidFile::create(&settings.pid_file, process::own_id()).unwrap()),
        signals,
        loaded: config::load(&DiskFiles, &settings.config_file, &settings.options),
    };
    supervisor::run(start)
}

static MANNER: std::sync::OnceLock<(String, PathBuf)> = std::sync::OnceLock::new();

fn cleanup(config: &Config) -> u8 {
    for instance in &config.instances {
        say(&format!("cleanup of {}", instance.name));
    }
    0
}

fn worker(start: WorkerStart, config: Config) -> u8 {
    let (manner, directory) = MANNER.get().unwrap();
    say(&format!("worker with {}", print_of(&config)));
    let mut channel = WorkerEnd::new(start.channel);
    if manner == "permanent_error" {
        return 2;
    }
    channel.send(&ToSupervisor::Ready, None).unwrap();
    if manner == "waiting_check" {
        let supervisor = nix::unistd::getppid();
        let stop_and_wait = format!(
            "echo $$ > {}/check; kill -TERM {supervisor}; sleep 60",
            directory.display()
        );
        let id = ScriptId(1);
        let command = shell(&stop_and_wait);
        channel
            .send(&ToSupervisor::RunScript { id, command }, None)
            .unwrap();
    }
    if manner == "hanging" {
        let told = ToSupervisor::RunNotify(Notice {
            owner: Owner::Instance("VI_1".to_owned()),
            news: News::State,
            state: "MASTER".to_owned(),
            previous: "BACKUP".to_owned(),
            priority: 142,
            reason: "no master heard for 3 s".to_owned(),
            commands: Vec::new(),
        });
        channel.send(&told, None).unwrap();
    }
    let mut ahead = None;
    loop {
        let mut fds = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
        match channel.receive() {
            Ok(None) => {}
            Ok(Some((ToWorker::Stop, _))) if manner == "hanging" => say("worker hangs"),
            Ok(Some((ToWorker::Stop, _))) => {
                if manner == "stop_script" {
                    let late = format!("sleep 0.3; echo told > {}/told", directory.display());
                    let told = ToSupervisor::RunNotify(Notice {
                        owner: Owner::Instance("VI_1".to_owned()),
                        news: News::Stop,
                        state: "STOP".to_owned(),
                        previous: "BACKUP".to_owned(),
                        priority: 100,
                        reason: "stopped".to_owned(),
                        commands: vec![shell(&late), shell("sleep 60")],
                    });
                    channel.send(&told, None).unwrap();
                }
                say("worker stops");
                channel.send(&ToSupervisor::Stopped, None).unwrap();
                return 0;
            }
            Ok(Some((ToWorker::Reload | ToWorker::ReloadAsRead, _))) if manner == "deaf" => {
                say("worker is deaf");
            }
            Ok(Some((ToWorker::ReadAhead, file))) => {
                assert!(ahead.is_none(), "not told what became of the last one");
                ahead = file;
            }
            Ok(Some((ToWorker::ForgetAhead, _))) => ahead = None,
            Ok(Some((ToWorker::Reload, file))) => {
                ahead = None;
                let length = read(file.unwrap()).len();
                say(&format!("worker reloads {length} bytes"));
                channel.send(&ToSupervisor::Reloaded, None).unwrap();
            }
            Ok(Some((ToWorker::ReloadAsRead, _))) => {
                let length = read(ahead.take().unwrap()).len();
                say(&format!("worker reloads {length} bytes read ahead"));
                channel.send(&ToSupervisor::Reloaded, None).unwrap();
            }
            Ok(Some((ToWorker::Show(file), _))) => say(&format!("worker shows {file:?}")),
            Ok(Some((
                ToWorker::ScriptEnded { .. }
                | ToWorker::ScriptRefused { .. }
                | ToWorker::About(_)
                | ToWorker::NoticesSkipped { .. }
                | ToWorker::Announce(_)
                | ToWorker::TellStandings
                | ToWorker::Order { .. }
                | ToWorker::Culprits(_)
                | ToWorker::Fifo { .. },
                _,
            ))) => {}
            Err(ChannelError::Closed) => {
                say("worker is alone");
                return 0;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// In one piece, because several processes write to the same pipe.
fn say(line: &str) {
    io::Write::write_all(&mut io::stderr(), format!("{line}\n").as_bytes()).unwrap();
}

fn read(file: impl Into<fs::File>) -> String {
    io::read_to_string(file.into()).unwrap()
}

fn shell(text: &str) -> ScriptCommand {
    ScriptCommand {
        argv: ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
        user: Some(keepalived_rs::config::model::ScriptUser {
            user: nix::unistd::geteuid().to_string(),
            group: None,
            supplementary_groups: false,
        }),
    }
}

// The cases.

fn a_killed_worker(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    let (first, _) = daemon.worker_started();
    daemon.expect("Startup complete");
    assert_eq!(pid_in(&directory.join("vrrp.pid")), first);
    kill(first, Signal::SIGKILL).unwrap();
    daemon.expect("Keepalived_vrrp exited due to signal 9 (SIGKILL)");
    daemon.expect(&format!("VRRP child process({first}) died: Respawning"));
    daemon.expect("cleanup of VI_1");
    let (second, print) = daemon.worker_started();
    assert_ne!(first, second);
    assert_eq!(print, print_of(&loaded(directory).config));
    assert_eq!(pid_in(&directory.join("vrrp.pid")), second);
    // The second one in a short time has to wait.
    kill(second, Signal::SIGKILL).unwrap();
    daemon.expect("cleanup of VI_1");
    daemon.expect("Restart of Keepalived_vrrp process delayed 1 seconds to limit respawn rate");
    daemon.worker_started();
    daemon.stop();
}

fn a_stop_is_orderly(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    daemon.expect("Startup complete");
    assert_eq!(pid_in(&directory.join("keepalived.pid")), daemon.process());
    daemon.signal(Signal::SIGTERM);
    let seen = daemon.rest();
    let order: Vec<usize> = ["Stopping", "worker stops", "Stopped Keepalived v2.4.3"]
        .iter()
        .map(|text| position(&seen, text))
        .collect();
    assert!(order.is_sorted(), "{seen:#?}");
    assert!(
        !seen.iter().any(|line| line.contains("cleanup")),
        "{seen:#?}"
    );
    assert_eq!(daemon.exit_status().code(), Some(0));
    assert!(!directory.join("keepalived.pid").exists());
    assert!(!directory.join("vrrp.pid").exists());
}

fn a_broken_reload(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    let (first, _) = daemon.worker_started();
    daemon.expect("Startup complete");
    let good = loaded(directory);
    let bytes = good.sources.to_bytes().len();
    write_configuration(directory, NO_INTERFACE);
    daemon.signal(Signal::SIGHUP);
    daemon.expect("Reloading ...");
    daemon.expect("Reload refused");
    daemon.signal(Signal::SIGHUP);
    daemon.expect("Reload refused");
    write_configuration(directory, ONE_INSTANCE);
    daemon.signal(Signal::SIGHUP);
    daemon.expect(&format!("worker reloads {bytes} bytes read ahead"));
    daemon.expect("Reload complete");
    assert_eq!(pid_in(&directory.join("vrrp.pid")), first);
    // What runs, and what a new worker gets, is still the good text.
    kill(first, Signal::SIGKILL).unwrap();
    assert_eq!(daemon.worker_started().1, print_of(&good.config));
    daemon.stop();
}

/// The file with our own words is read with the main one: by the start, by a reload
/// and by each worker; a mistake in it refuses a reload, too.
fn our_own_words(directory: &Path) {
    let file = directory.join("keepalived-rs.conf");
    fs::write(&file, "global_defs {\nfast_handover\n}\n").unwrap();
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    let good = print_of(&loaded(directory).config);
    let (first, print) = daemon.worker_started();
    assert_eq!(print, good);
    daemon.expect("Startup complete");
    fs::write(&file, "vrrp_instance VI_2 {\nfast_handover\n}\n").unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.expect("No vrrp instance VI_2 in the main file - ignoring");
    daemon.expect("Reload refused");
    kill(first, Signal::SIGKILL).unwrap();
    assert_eq!(daemon.worker_started().1, good);
    fs::remove_file(&file).unwrap();
    let without = loaded(directory).sources.to_bytes().len();
    daemon.signal(Signal::SIGHUP);
    daemon.expect(&format!("worker reloads {without} bytes"));
    daemon.stop();
}

fn a_state_file(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    daemon.worker_started();
    daemon.expect("Startup complete");
    daemon.signal(Signal::SIGUSR2);
    daemon.expect("worker shows Statistics");
    daemon.stop();
}

fn a_good_reload(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    let (first, _) = daemon.worker_started();
    daemon.expect("Startup complete");
    write_configuration(
        directory,
        &format!("global_defs {{\nrouter_id another\n}}\n{ONE_INSTANCE}"),
    );
    let new = loaded(directory);
    let bytes = new.sources.to_bytes().len();
    daemon.signal(Signal::SIGHUP);
    daemon.expect(&format!("worker reloads {bytes} bytes"));
    daemon.expect("Reload complete");
    assert_eq!(
        pid_in(&directory.join("vrrp.pid")),
        first,
        "the worker lives on"
    );
    kill(first, Signal::SIGKILL).unwrap();
    assert_eq!(daemon.worker_started().1, print_of(&new.config));
    daemon.stop();
}

/// The worker reads at once what the last text named; only a file more has to be waited
/// for.
fn a_reload_that_names_another_file(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    daemon.worker_started();
    daemon.expect("Startup complete");
    let more = directory.join("more.conf");
    fs::write(&more, "# nothing\n").unwrap();
    let text = format!("include {}\n{ONE_INSTANCE}", more.display());
    write_configuration(directory, &text);
    let length = loaded(directory).sources.to_bytes().len();
    daemon.signal(Signal::SIGHUP);
    let line = daemon.expect(&format!("worker reloads {length} bytes"));
    assert!(!line.ends_with("read ahead"), "{line}");
    daemon.expect("Reload complete");
    fs::write(&more, "# nothing more\n").unwrap();
    let length = loaded(directory).sources.to_bytes().len();
    daemon.signal(Signal::SIGHUP);
    daemon.expect(&format!("worker reloads {length} bytes read ahead"));
    daemon.expect("Reload complete");
    daemon.stop();
}

/// It turns, and does not answer: as good as dead.
fn a_deaf_worker(directory: &Path) {
    let mut daemon = Daemon::start(directory, "deaf", ONE_INSTANCE);
    let (first, good) = daemon.worker_started();
    daemon.expect("Startup complete");
    write_configuration(directory, &format!("# a comment more\n{ONE_INSTANCE}"));
    daemon.signal(Signal::SIGHUP);
    daemon.expect("worker is deaf");
    daemon.expect("Keepalived_vrrp does not answer a reload - forcing termination");
    daemon.expect("Reload abandoned");
    let (second, bytes) = daemon.worker_started();
    assert_ne!(first, second);
    assert_eq!(bytes, good);
    daemon.stop();
}

fn a_permanent_error(directory: &Path) {
    let mut daemon = Daemon::start(directory, "permanent_error", ONE_INSTANCE);
    daemon.expect("Keepalived_vrrp exited with permanent error CONFIG. Terminating");
    daemon.expect("cleanup of VI_1");
    assert_eq!(daemon.exit_status().code(), Some(2));
    assert!(!directory.join("keepalived.pid").exists());
}

fn without_respawn(directory: &Path) {
    let mut daemon = Daemon::start(directory, "without_respawn", ONE_INSTANCE);
    let (first, _) = daemon.worker_started();
    kill(first, Signal::SIGKILL).unwrap();
    daemon.expect(&format!("VRRP child process({first}) died: Exiting"));
    daemon.expect("cleanup of VI_1");
    daemon.expect("Stopped Keepalived");
    assert_eq!(daemon.exit_status().code(), Some(1));
}

fn a_hanging_worker(directory: &Path) {
    let tell = directory.join("tell");
    let told = directory.join("told");
    let script = format!(
        "#!/bin/sh\necho $* $KEEPALIVED_PREVIOUS_STATE $KEEPALIVED_REASON >> {}\n",
        told.display()
    );
    fs::write(&tell, script).unwrap();
    fs::set_permissions(&tell, fs::Permissions::from_mode(0o755)).unwrap();
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap();
    let user = user.unwrap().name;
    let words = format!("{{\n  notify {}\n", tell.display());
    let group = "vrrp_sync_group G {\n  group {\n    VI_1\n  }\n";
    let group = format!("{group}  notify {}\n}}\n", tell.display());
    let text = format!(
        "global_defs {{\n  script_user {user}\n}}\n{}{group}",
        ONE_INSTANCE.replacen("{\n", &words, 1)
    );
    let mut daemon = Daemon::start(directory, "hanging", &text);
    let (process, _) = daemon.worker_started();
    daemon.expect("Startup complete");
    daemon.signal(Signal::SIGTERM);
    daemon.expect("worker hangs");
    daemon.expect("Keepalived_vrrp process failed to die - forcing termination");
    daemon.expect("cleanup of VI_1");
    assert_eq!(daemon.exit_status().code(), Some(0));
    assert!(kill(process, None).is_err(), "the worker is gone");
    // It could not tell of the stop any more.
    let mut lines: Vec<String> = fs::read_to_string(&told)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort_unstable();
    let expected = [
        "GROUP G STOP 0 INIT stopped",
        "INSTANCE VI_1 STOP 142 MASTER stopped",
    ];
    assert_eq!(lines, expected);
}

fn a_waiting_check(directory: &Path) {
    let begin = Instant::now();
    let mut daemon = Daemon::start(directory, "waiting_check", ONE_INSTANCE);
    assert_eq!(daemon.exit_status().code(), Some(0));
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    assert!(directory.join("check").exists(), "the check has run");
}

fn scripts_of_the_stop(directory: &Path) {
    let mut daemon = Daemon::start(directory, "stop_script", ONE_INSTANCE);
    daemon.expect("Startup complete");
    let begin = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.exit_status().code(), Some(0));
    assert_eq!(
        fs::read_to_string(directory.join("told")).unwrap(),
        "told\n"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
}

fn without_instances(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", "global_defs {\n}\n");
    daemon.expect("Warning - keepalived has no configuration to run");
    daemon.expect("Startup complete");
    assert!(!directory.join("vrrp.pid").exists());
    write_configuration(directory, ONE_INSTANCE);
    daemon.signal(Signal::SIGHUP);
    daemon.worker_started();
    daemon.stop();
}

fn the_supervisor_dies(directory: &Path) {
    let mut daemon = Daemon::start(directory, "plain", ONE_INSTANCE);
    daemon.expect("Startup complete");
    daemon.signal(Signal::SIGKILL);
    daemon.expect("worker is alone");
    // The lock went with it: the next daemon can start.
    PidFile::create(&directory.join("keepalived.pid"), 1)
        .unwrap()
        .remove();
}

// A supervisor, seen from outside.

struct Daemon {
    child: Child,
    lines: Receiver<String>,
    /// Lines that nobody has asked for yet. Those of different processes have
    /// no order among each other.
    unread: Vec<String>,
}

impl Daemon {
    fn start(directory: &Path, manner: &str, configuration: &str) -> Self {
        write_configuration(directory, configuration);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--supervise")
            .arg(directory)
            .arg(manner)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            unread: Vec::new(),
        }
    }

    fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.process(), signal).unwrap();
    }

    /// Waits for a line that contains `text` and takes it out.
    fn expect(&mut self, text: &str) -> String {
        loop {
            if let Some(place) = self.unread.iter().position(|line| line.contains(text)) {
                return self.unread.remove(place);
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.unread.push(line),
                Err(_) => panic!("{text:?} was expected after {:#?}", self.unread),
            }
        }
    }

    /// Waits for a worker; its process, and the print of the configuration that it has.
    fn worker_started(&mut self) -> (Pid, String) {
        let line = self.expect("Starting VRRP child process, pid=");
        let (_, process) = line.split_once("pid=").unwrap();
        let line = self.expect("worker with ");
        let (_, print) = line.split_once("worker with ").unwrap();
        (Pid::from_raw(process.parse().unwrap()), print.to_owned())
    }

    fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        self.expect("Stopped Keepalived");
        assert_eq!(self.exit_status().code(), Some(0));
    }

    fn rest(&mut self) -> Vec<String> {
        self.unread.drain(..).chain(self.lines.iter()).collect()
    }

    fn exit_status(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only after a failed assertion is it still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn position(lines: &[String], text: &str) -> usize {
    lines
        .iter()
        .position(|line| line.contains(text))
        .unwrap_or_else(|| panic!("{text:?} is not in {lines:#?}"))
}

fn write_configuration(directory: &Path, text: &str) {
    fs::write(directory.join("keepalived.conf"), text).unwrap();
}

/// What becomes of the present configuration.
fn loaded(directory: &Path) -> Loaded {
    let file = directory.join("keepalived.conf");
    let loaded = config::load(&DiskFiles, &file, &Options::default());
    assert!(loaded.is_usable());
    loaded
}

/// What tells one configuration from another, on one line.
fn print_of(config: &Config) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    format!("{config:?}").hash(&mut hasher);
    hasher.finish().to_string()
}

fn pid_in(path: &Path) -> Pid {
    let text = fs::read_to_string(path).unwrap();
    Pid::from_raw(text.strip_suffix('\n').unwrap().parse().unwrap())
}
