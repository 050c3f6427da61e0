//! Settings of the whole daemon: `global_defs` and words of the outer level.
//!
//! Source: specification B.1, B.2.

use crate::time::Interval;

/// Settings that belong to the whole daemon (specification B.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globals {
    /// `router_id`; `None` means the local host name.
    pub router_id: Option<String>,
    /// `notification_email`: who gets mail, as written.
    pub notification_email: Vec<String>,
    /// `notification_email_from`; `None` means the running user at this host.
    pub notification_email_from: Option<String>,
    /// `smtp_server`; without one no mail is sent.
    pub smtp_server: Option<SmtpServer>,
    /// `smtp_helo_name`; `None` means the local host name.
    pub smtp_helo_name: Option<String>,
    /// `smtp_connect_timeout`: the limit of each step of the dialogue. Default 30 s.
    pub smtp_connect_timeout: Interval,
    /// `enable_script_security`.
    pub enable_script_security: bool,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            router_id: None,
            notification_email: Vec::new(),
            notification_email_from: None,
            smtp_server: None,
            smtp_helo_name: None,
            smtp_connect_timeout: Interval::from_secs(30),
            enable_script_security: false,
        }
    }
}

/// `smtp_server HOST [PORT]`. The name is looked up when a mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// Host name or address.
    pub host: String,
    /// TCP port, default 25.
    pub port: u16,
}
