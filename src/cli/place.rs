//! Which daemon is meant: `-s`, `-p`.
//!
//! Decides where its sockets are looked for. Which daemon runs there is not decided.

use std::path::PathBuf;

use crate::daemon::control;
use crate::daemon::places::pid_file_of_running;
use crate::daemon::status::socket::beside;

/// Which daemon is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Place {
    /// The network namespace that the daemon was started with
    #[arg(short = 's', long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The pid file that the daemon was started with
    #[arg(short = 'p', long, value_name = "FILE")]
    pub pid: Option<PathBuf>,
}

impl Place {
    fn pid_file(&self) -> PathBuf {
        let pid_file = self.pid.clone();
        pid_file.unwrap_or_else(|| pid_file_of_running(self.namespace.as_deref()))
    }

    /// The socket on which it tells how it stands.
    pub fn status_socket(&self) -> PathBuf {
        beside(&self.pid_file())
    }

    /// The socket on which it takes orders.
    pub fn control_socket(&self) -> PathBuf {
        control::beside(&self.pid_file())
    }
}
