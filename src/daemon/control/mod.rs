//! The socket on which the daemon takes orders: `keepalived-rs reload`, `drain`,
//! `resume`, `priority` and `garp`.
//!
//! Decides what is asked and answered: a client sends one line of JSON
//! ([`Request`]) and gets one line of JSON, an [`Answer`] to a reload, [`Obeyed`] to
//! anything else, or a [`Refusal`]; then the connection ends. Who is
//! served is decided in `desk.rs`; what a reload does, in `supervisor/reload.rs`; what
//! the others do, in `vrrp/engine/orders.rs`.
//!
//! The supervisor serves it, so that a VRRP process that hangs or is being replaced
//! is in nobody's way. It lies beside the status socket and is the owner's alone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::status::client::Asked;
use super::status::compose::refusal;
use super::status::document::Refusal;
use crate::vrrp::orders::Order;

pub mod desk;

/// The version of requests and answers.
pub const VERSION: u32 = 1;

/// What is asked when the configuration shall be read again.
pub const RELOAD: &str = "reload";

/// What an administrator may order besides; see [`Order`].
pub const DRAIN: &str = "drain";
/// See [`DRAIN`].
pub const RESUME: &str = "resume";
/// See [`DRAIN`].
pub const PRIORITY: &str = "priority";
/// See [`DRAIN`].
pub const GARP: &str = "garp";

/// Where the socket of the daemon with this pid file lies.
pub fn beside(pid_file: &Path) -> PathBuf {
    pid_file.with_extension("control")
}

/// What a client sends, on one line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`]
    pub version: u32,
    /// [`RELOAD`], [`DRAIN`], [`RESUME`], [`PRIORITY`] or [`GARP`]
    pub request: String,
    /// With `reload`: change nothing, tell only what would change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// With `dry_run`: read this file instead of the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Which instance; `drain` and `resume` without one mean all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// With `drain`: also if nobody is known who would take over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// With `priority`: 1 to 254; without one, that of the configuration again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// With `priority`: for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(it: &bool) -> bool {
    !*it
}

impl Request {
    /// Asks for a reload, or what it would do.
    pub fn reload(dry_run: bool, file: Option<PathBuf>) -> Self {
        Self {
            version: VERSION,
            request: RELOAD.to_owned(),
            dry_run,
            file,
            ..Self::default()
        }
    }

    /// Orders something.
    pub fn order(order: Order) -> Self {
        let (request, instance) = match &order {
            Order::Drain { instance, .. } => (DRAIN, instance.clone()),
            Order::Resume { instance } => (RESUME, instance.clone()),
            Order::Priority { instance, .. } => (PRIORITY, Some(instance.clone())),
            Order::Announce { instance } => (GARP, Some(instance.clone())),
        };
        let mut asked = Self {
            version: VERSION,
            request: request.to_owned(),
            instance,
            ..Self::default()
        };
        match order {
            Order::Drain { force, .. } => asked.force = force,
            Order::Priority {
                priority, seconds, ..
            } => (asked.priority, asked.seconds) = (priority, seconds),
            Order::Resume { .. } | Order::Announce { .. } => {}
        }
        asked
    }

    /// What is ordered; `None`: a reload.
    ///
    /// # Errors
    /// It is not known, or an instance is missing.
    pub fn ordered(&self) -> Result<Option<Order>, String> {
        let instance = self.instance.clone();
        let one = || {
            let request = &self.request;
            let missing = || format!("'{request}' needs an instance");
            instance.clone().ok_or_else(missing)
        };
        Ok(Some(match self.request.as_str() {
            RELOAD => return Ok(None),
            DRAIN => Order::Drain {
                instance,
                force: self.force,
            },
            RESUME => Order::Resume { instance },
            PRIORITY => Order::Priority {
                instance: one()?,
                priority: self.priority,
                seconds: self.seconds,
            },
            GARP => Order::Announce { instance: one()? },
            other => return Err(format!("request '{other}' is not known")),
        }))
    }
}

impl Asked for Request {
    fn understood(&self) -> Result<(), Refusal> {
        let problem = if self.version != VERSION {
            let version = self.version;
            format!("version {version} of the request is not known, but version {VERSION} is")
        } else {
            match self.ordered() {
                Ok(_) => return Ok(()),
                Err(problem) => problem,
            }
        };
        Err(refusal("bad-request", problem))
    }
}

/// What an order has done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Obeyed {
    /// [`VERSION`]
    pub version: u32,
    /// A line for each instance.
    pub done: Vec<String>,
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
