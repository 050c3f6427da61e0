//! The socket on which the daemon takes orders: `keepalived-rs reload`.
//!
//! Decides what is asked and answered: a client sends one line of JSON
//! ([`Request`]) and gets one line of JSON, an [`Answer`] or a
//! [`Refusal`]; then the connection ends. Who is
//! served is decided in `desk.rs`; what a reload does, in `supervisor/reload.rs`.
//!
//! The supervisor serves it, so that a VRRP process that hangs or is being replaced
//! is in nobody's way. It lies beside the status socket and is the owner's alone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::status::client::Asked;
use super::status::compose::refusal;
use super::status::document::Refusal;

pub mod desk;

/// The version of requests and answers.
pub const VERSION: u32 = 1;

/// What is asked when the configuration shall be read again.
pub const RELOAD: &str = "reload";

/// Where the socket of the daemon with this pid file lies.
pub fn beside(pid_file: &Path) -> PathBuf {
    pid_file.with_extension("control")
}

/// What a client sends, on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`]
    pub version: u32,
    /// [`RELOAD`]
    pub request: String,
    /// Change nothing, tell only what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// With `dry_run`: read this file instead of the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl Request {
    /// Asks for a reload, or what it would do.
    pub fn reload(dry_run: bool, file: Option<PathBuf>) -> Self {
        Self {
            version: VERSION,
            request: RELOAD.to_owned(),
            dry_run,
            file,
        }
    }
}

impl Asked for Request {
    fn understood(&self) -> Result<(), Refusal> {
        let problem = if self.version != VERSION {
            let version = self.version;
            format!("version {version} of the request is not known, but version {VERSION} is")
        } else if self.request != RELOAD {
            format!("request '{}' is not known", self.request)
        } else {
            return Ok(());
        };
        Err(refusal("bad-request", problem))
    }
}

/// How a reload ended, or would end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// [`VERSION`]
    pub version: u32,
    /// The main file that was read.
    pub file: String,
    /// Nothing was changed, since nothing should be.
    pub dry_run: bool,
    /// Whether the new configuration runs, or would run.
    pub accepted: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What changes, a line each; empty if it was refused.
    pub plan: Vec<String>,
    /// What was found in the text, as `check` prints it; with an accepted text
    /// too.
    pub findings: Vec<String>,
}
