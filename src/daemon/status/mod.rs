//! The socket on which the daemon tells how it stands, for `keepalived-rs status`
//! and for programs.
//!
//! Decides what is asked and answered: a client sends one line of JSON
//! ([`Request`]) and gets one line of JSON, a [`document::Document`] or a
//! [`document::Refusal`]; then the connection ends, unless it asked for events, which
//! come line by line for as long as it stays (`events.rs`, `listeners.rs`). What stands in a document is
//! decided in `compose.rs` and described in `document.rs`, who is served and for
//! how long in `server.rs`, where the socket lies in `socket.rs`.
//!
//! The supervisor makes the socket and keeps it, so that it outlives a worker.
//! The worker gets a descriptor at its start and serves it on a thread of its
//! own, which asks the reactor for a view and does everything else itself. While
//! there is no worker, the supervisor says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ScriptId;
use crate::system::scripts::Owner;
use crate::time::WallClock;
use crate::vrrp::snapshot::Snapshot;

pub mod client;
pub mod compose;
pub mod document;
pub mod events;
pub mod keeper;
pub mod listeners;
pub mod server;
pub mod socket;

/// The version of requests and answers. Fields may be added to it; what is taken
/// away or changes its meaning needs a new one.
pub const VERSION: u32 = 1;

/// What is asked when the daemon shall tell how it stands.
pub const STATUS: &str = "status";

/// What is asked when the daemon shall tell what happens as it happens, beginning with
/// how it stands.
pub const EVENTS: &str = "events";

/// What a client sends, on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`]
    pub version: u32,
    /// [`STATUS`] or [`EVENTS`]
    pub request: String,
    /// Only this instance, its group and its scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl client::Asked for Request {
    fn understood(&self) -> Result<(), document::Refusal> {
        compose::understood(self)
    }
}

impl Request {
    /// Asks how everything stands, or one instance.
    pub fn status(instance: Option<String>) -> Self {
        Self {
            version: VERSION,
            request: STATUS.to_owned(),
            instance,
        }
    }

    /// Asks for what happens, to everything or to one instance.
    pub fn events(instance: Option<String>) -> Self {
        Self {
            request: EVENTS.to_owned(),
            ..Self::status(instance)
        }
    }
}

/// What only the supervisor knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// The process that signals go to.
    pub process: i32,
    /// The main file of the configuration.
    pub config_file: String,
    /// `-s`
    pub namespace: Option<String>,
    /// When it began to run, on the monotonic clock, in microseconds.
    pub started_us: u64,
    /// When the configuration that runs was accepted, likewise.
    #[serde(default)]
    pub accepted_us: u64,
    /// How often a worker died and was replaced.
    pub replaced: u32,
    /// The last reload.
    pub reload: Option<Reload>,
}

/// How a reload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// When, on the monotonic clock, in microseconds.
    pub at_us: u64,
    /// Why the configuration that ran before still runs; `None`: the new one does.
    pub refused: Option<String>,
    /// The mistakes that it was refused for.
    #[serde(default)]
    pub mistakes: Vec<String>,
}

/// Everything that a document is made of.
#[derive(Debug)]
pub struct View {
    /// The state of the engine.
    pub snapshot: Snapshot,
    /// What turns its times into those of the wall.
    pub wall: WallClock,
    /// What the supervisor told.
    pub about: Arc<About>,
    /// Why scripts could not be run.
    pub refusals: BTreeMap<ScriptId, String>,
    /// How many notices were overtaken by later ones before their scripts began.
    pub skipped: BTreeMap<Owner, u64>,
    /// It shows what has happened up to the event of this number.
    pub events: u64,
}
