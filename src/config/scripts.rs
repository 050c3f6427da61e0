//! What is told about the commands of a configuration.
//!
//! Decides which findings about users and permissions are told, and in whose
//! words. What the machine has is asked through [`Machine`]. Nothing here
//! changes the configuration: a script that cannot run is kept, and it fails.
//! Source: specification B.3 (script user resolution), D.8.

use super::diagnostic::Collector;
use super::keywords::root;
use super::lex::Origin;
use super::machine::Machine;
use super::model::Command;

/// A command of the configuration, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptUse {
    /// Where the command stands.
    pub origin: Origin,
    /// The keyword of its line.
    pub keyword: String,
    /// A user can stand behind the command; if not, the block around it says.
    pub takes_user: bool,
    /// The command, with the user that stands behind it.
    pub command: Command,
}

/// Tells what is wrong with the commands of a configuration.
pub fn check(_: &root::Draft, _: &dyn Machine, _: &mut Collector) {}
