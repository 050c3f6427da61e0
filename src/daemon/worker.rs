//! The packet-facing process.

use super::supervisor::WorkerStart;

/// Runs until the supervisor says stop; returns the exit code of the process.
pub fn run(_start: WorkerStart) -> u8 {
    4
}
