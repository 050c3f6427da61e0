//! What instances and groups track: scripts, files, processes, interfaces, BFD
//! sessions.
//!
//! Source: specification D.2 to D.5.

use std::sync::Arc;

use crate::time::Interval;

use super::Command;

/// A `vrrp_script` block (specification D.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The name of the block.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// From one start to the next. Default 1 s.
    pub interval: Interval,
    /// How long one run may take. Default: the interval.
    pub timeout: Interval,
    /// Successes in a row that bring it up, at least 1.
    pub rise: u32,
    /// Failures in a row that bring it down, at least 1.
    pub fall: u32,
    /// Counts as failed until `rise` successes were seen.
    pub init_fail: bool,
}

/// A line of `track_script`: the script, with the weight that counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackScript {
    /// The script; also in `Config::scripts`.
    pub script: Arc<Script>,
    /// -253 to 253. 0: a failing script means FAULT. Positive: added while the
    /// script is up. Negative: added while it is down.
    pub weight: i32,
    /// `reverse`: the contribution changes sign; with weight 0 a script that
    /// succeeds means FAULT.
    pub reverse: bool,
}

/// A `track_file` block (specification D.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedFile {
    /// The name of the block.
    pub name: String,
    /// The file whose number counts.
    pub path: String,
    /// -254 to 254, multiplied with the number in the file. Default 1.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
    /// `init_file`: the number that the file is created with.
    pub initial_value: Option<i32>,
    /// `init_file ... overwrite`: an existing file is overwritten, too.
    pub overwrite: bool,
}

/// A line of `track_file` in an instance or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackFile {
    /// The file; also in `Config::track_files`.
    pub file: Arc<TrackedFile>,
    /// -254 to 254. 0: a number other than 0 means FAULT.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
}

/// How the parameters of a process are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParameterMatch {
    /// They do not matter.
    #[default]
    None,
    /// All of them are equal.
    Exact,
    /// Those of the process begin with those of the configuration, the last one
    /// may be longer.
    Partial,
    /// Those of the process begin with those of the configuration.
    Initial,
}

/// A `vrrp_track_process` block (specification D.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedProcess {
    /// The name of the block.
    pub name: String,
    /// Name or path of the program.
    pub program: String,
    /// Its parameters.
    pub parameters: Vec<String>,
    /// `param_match`
    pub parameter_match: ParameterMatch,
    /// -254 to 254. Default 0.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
    /// Least number of processes. Default 1.
    pub quorum: u32,
    /// Greatest number of processes.
    pub quorum_max: Option<u32>,
    /// The quorum is lost only after this time. Default 0.
    pub terminate_delay: Interval,
    /// The quorum is gained only after this time. Default 0.
    pub fork_delay: Interval,
    /// `full_command`: the command line counts, not the name of the process.
    pub full_command: bool,
}

impl TrackedProcess {
    /// Whether the same processes count for both.
    pub fn is_same_program(&self, other: &Self) -> bool {
        self.program == other.program
            && self.parameters == other.parameters
            && self.parameter_match == other.parameter_match
            && self.full_command == other.full_command
    }
}

/// A line of `track_process` in an instance or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackProcess {
    /// The process; also in `Config::track_processes`.
    pub process: Arc<TrackedProcess>,
    /// -254 to 254. 0: a lost quorum means FAULT.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
}

/// A line of `track_interface` in an instance or group (specification D.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackInterface {
    /// The interface.
    pub interface: String,
    /// -253 to 253. 0: a link that is down means FAULT.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
}

/// A line of `track_bfd` in an instance or group (specification D.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackBfd {
    /// The name of a `bfd_instance` block.
    pub name: String,
    /// -253 to 253. 0: a session that is down means FAULT.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
}
