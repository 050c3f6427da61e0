//! The packet-facing process: how it begins.
//!
//! It has the configuration that the supervisor read, by the fork. Gives up what it does
//! not need (`confinement.rs`), opens what it needs, and
//! hands over to the reactor. What it opens in
//! which order is decided here; what happens then, in `reactor/mod.rs`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use crate::config::model::Config;
use crate::config::source::Sources;
use crate::config::{self, Loaded};
use crate::system::logging;
use crate::system::{memory, watch};

use super::exit_code;
use super::key_files;
use super::places;
use super::process::{self, Part};
use super::reactor::{self, Reactor};
use super::state_files::Surroundings;
use super::supervisor::WorkerStart;

/// The name under which it writes to the log.
pub const IDENT: &str = "Keepalived_vrrp";

/// Runs until the supervisor says stop; returns the exit code of the process.
pub fn run(start: WorkerStart, config: Config) -> u8 {
    let (namespace, instance) = (start.namespace.as_deref(), start.instance.as_deref());
    logging::begin_child(&places::ident(IDENT, namespace, instance), "vrrp");
    let code = work(start, config);
    logging::finish();
    code
}

fn work(start: WorkerStart, config: Config) -> u8 {
    let text = Text {
        config_file: start.config_file,
        options: start.options,
    };
    process::follow_globals(Part::Worker, &config.globals, start.umask);
    let around = Surroundings::now(start.namespace, start.instance, start.umask);
    let elsewhere = start
        .confinement
        .as_ref()
        .and_then(|_| watch::connector_for(&config));
    if let Err(error) = process::allow_many_files() {
        tracing::info!("Unable to raise the limit of open files: {error}");
    }
    // No packet was read yet, and there is one thread.
    if let Some(confinement) = start.confinement {
        confinement.begin();
    }
    logging::write_in_thread();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed("begin", &error),
    };
    runtime.block_on(async move {
        let settings = reactor::Settings {
            text,
            keep_addresses: start.keep_addresses,
            dump_configuration: start.dump_configuration,
            around,
            elsewhere,
            lifeline: start.lifeline,
            began: start.began,
            is_first: start.is_first,
            status: start.status,
            about: start.about,
            fifos: start.fifos,
            orders: start.orders,
        };
        match Reactor::new(start.channel, settings, config) {
            Ok(reactor) => {
                memory::give_back();
                match reactor.run().await {
                    Ok(()) => exit_code::OK,
                    Err(error) => failed("go on", &error),
                }
            }
            Err(error) => failed("begin", &error),
        }
    })
}

fn failed(what: &str, error: &io::Error) -> u8 {
    tracing::error!("Unable to {what}: {error}");
    // Trying again would not give us the right.
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => exit_code::PERMISSION,
        _ => exit_code::FATAL,
    }
}

/// How the text of a new configuration becomes one, at a reload.
#[derive(Debug, Clone)]
pub struct Text {
    /// The name of the main file.
    pub config_file: std::path::PathBuf,
    /// How it is read.
    pub options: config::Options,
}

impl Text {
    /// Reads the text in a memfd, positioned at its beginning, with what the files said
    /// that it names. The supervisor has found it usable, and reading it is pure: so
    /// will we.
    pub fn read(&self, sources: OwnedFd) -> io::Result<Loaded> {
        let bytes = bytes_in(sources)?;
        // The text is one line of JSON; a second one has what the worker must not open.
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let text = lines.next().unwrap_or_default();
        let handed = key_files::Handed::from_bytes(lines.next().unwrap_or_default())?;
        let sources = Sources::from_bytes(text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let mut loaded = config::load(&sources, &self.config_file, &self.options);
        handed.put_into(&mut loaded.config);
        if loaded.is_usable() {
            Ok(loaded)
        } else {
            let text = "the text that the supervisor checked is not usable";
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
    }
}

/// Everything in a memfd that is positioned at its beginning.
pub fn bytes_in(memory_file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(memory_file).read_to_end(&mut bytes)?;
    Ok(bytes)
}
