//! Clients of the daemon's sockets: they ask on one line, and get one line.
//!
//! Decides what a question looks like. What is asked and answered is decided by those
//! who hold them: `server.rs` here, and `daemon/control`.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::compose::refusal;
use super::document::Refusal;
use crate::daemon::client::{self, Answer, Question};

/// The longest request in bytes, with its end of line.
pub const REQUEST_MAX: usize = 4096;

/// What may be asked.
pub trait Asked: DeserializeOwned {
    /// Whether we know what is asked.
    ///
    /// # Errors
    /// We do not.
    fn understood(&self) -> Result<(), Refusal>;
}

/// Somebody who asks.
pub type Client<R> = client::Client<UnixStream, R>;

/// Those who do.
pub type Clients<R> = client::Clients<UnixStream, R>;

impl<R: Asked> Question for R {
    const BYTES_MAX: usize = REQUEST_MAX;

    fn read(asked: &[u8], _seen: usize) -> Option<Result<Self, Answer>> {
        let end = asked.iter().position(|byte| *byte == b'\n')?;
        let request = serde_json::from_slice(asked.get(..end).unwrap_or_default());
        let request: Result<R, _> = request.map_err(|error| {
            let text = format!("the request is not understood: {error}");
            refusal("bad-request", text)
        });
        let request = request.and_then(|request| request.understood().map(|()| request));
        Some(request.map_err(|refusal| answer(&refusal)))
    }

    fn too_long() -> Answer {
        let text = format!("a request has at most {REQUEST_MAX} bytes");
        answer(&refusal("bad-request", text))
    }
}

/// An answer of one line.
pub fn answer(value: &impl Serialize) -> Answer {
    Answer::new(line(value), Arc::default())
}

/// On one line, with its end.
pub fn line(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text
}
