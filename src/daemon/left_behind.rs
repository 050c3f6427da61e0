//! What a daemon leaves behind that was killed with both its processes, and who
//! takes it away: `keepalived-rs --cleanup`, which the service manager runs after
//! every end, and the next start.
//!
//! Decides that nothing is touched while a daemon lives. A worker without its
//! supervisor is on its way out; one that does not go is killed first, because it
//! could put its VIPs back. Source: specification E.1.

use std::fs;
use std::path::Path;

use nix::poll::{PollTimeout, poll};

use crate::system::clock::now;
use crate::system::logging;
use crate::time::Interval;

use super::last_text;
use super::pid_files::{PidFile, PidFileError};
use super::{Settings, cleanup, exit_code, process};

/// How long a worker may take to go by itself.
const LEAVE_LIMIT: Interval = Interval::from_secs(2);

/// How long the kernel may take to end one that was killed.
const KILL_LIMIT: Interval = Interval::from_secs(10);

/// How often it is looked whether it is gone, in milliseconds.
const LOOK_MS: u16 = 10;

/// `--cleanup`: takes away what is left, unless a daemon lives, or was told to leave
/// its addresses (`-V`). Returns the exit code of the process.
pub fn run(settings: &Settings) -> u8 {
    // The configuration says where the files lie. With a network namespace everything
    // in it is gone.
    let Ok((settings, _)) = super::read(settings) else {
        return exit_code::OK;
    };
    let settings = &settings;
    if settings.keep_addresses || PidFile::is_held(&settings.pid_file) {
        return exit_code::OK;
    }
    if logging::install(settings.log.clone()).is_err() {
        return exit_code::FATAL;
    }
    let own = match PidFile::create(&settings.pid_file, process::own_id()) {
        Ok(own) => own,
        Err(PidFileError::AlreadyRunning) => return exit_code::OK,
        Err(error) => {
            tracing::error!("{error}");
            return exit_code::FATAL;
        }
    };
    let code = take_away(settings);
    own.remove();
    code
}

/// Takes away what is left. The caller holds the pid file of the daemon.
pub fn take_away(settings: &Settings) -> u8 {
    if !end_worker(&settings.vrrp_pid_file) {
        tracing::error!("The VRRP process of an earlier daemon does not end");
        return exit_code::FATAL;
    }
    let path = last_text::beside(&settings.pid_file);
    let configs = match last_text::read(&path) {
        Ok(configs) => configs,
        Err(error) => {
            tracing::error!("Unable to read {}: {error}", path.display());
            let _ = fs::remove_file(&path);
            return exit_code::FATAL;
        }
    };
    let mut code = exit_code::OK;
    if !configs.is_empty() && !settings.keep_addresses {
        tracing::info!("An earlier daemon did not end in order: cleaning up after it");
        let codes = configs.iter().map(cleanup::run);
        code = codes.max().unwrap_or(code);
    }
    if code == exit_code::OK {
        let _ = fs::remove_file(&path);
    }
    code
}

/// Whether no worker is left at `pid_file`.
fn end_worker(pid_file: &Path) -> bool {
    if is_gone_within(pid_file, LEAVE_LIMIT) {
        return true;
    }
    let Some(worker) = PidFile::orphan(pid_file) else {
        return !PidFile::is_locked(pid_file);
    };
    tracing::info!("VRRP process {worker} has no parent and does not end - forcing termination");
    process::send_signal(worker, libc::SIGKILL);
    is_gone_within(pid_file, KILL_LIMIT)
}

/// Whether the file's lock is free within this time. It is free when the last
/// process that holds it has ended, and not before.
fn is_gone_within(pid_file: &Path, limit: Interval) -> bool {
    let give_up_at = now() + limit;
    while PidFile::is_locked(pid_file) {
        if now() >= give_up_at {
            return false;
        }
        let _ = poll(&mut [], PollTimeout::from(LOOK_MS));
    }
    true
}
