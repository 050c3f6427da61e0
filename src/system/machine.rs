//! What this machine has, for the messages of a configuration test.
//!
//! Decides how the questions of `config::machine` are answered. Source:
//! specification A.11, B.3, D.8.

use crate::config::machine::{Anywhere, Interface, Machine, ScriptFinding};
use crate::config::model::ScriptUser;

/// The machine that we run on.
#[derive(Debug, Default)]
pub struct ThisMachine;

impl ThisMachine {
    /// Nothing is asked yet.
    pub fn new() -> Self {
        Self
    }
}

impl Machine for ThisMachine {
    fn interface(&self, name: &str) -> Option<Interface> {
        Anywhere.interface(name)
    }

    fn resolves(&self, host: &str) -> bool {
        Anywhere.resolves(host)
    }

    fn user_exists(&self, user: &ScriptUser) -> bool {
        Anywhere.user_exists(user)
    }

    fn script(
        &self,
        argv: &[String],
        user: Option<&ScriptUser>,
        security: bool,
    ) -> Vec<ScriptFinding> {
        Anywhere.script(argv, user, security)
    }
}
