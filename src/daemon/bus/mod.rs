//! D-Bus (specification E.12): what is said between the processes about it.
//!
//! Decides who knows what. The service is a process of its own, a child of the
//! supervisor without capabilities (`service.rs`), though root's: what comes in over the
//! bus is read where nothing of VRRP can break, and the name stays on the bus when a
//! worker is replaced. The worker tells where its instances stand (`teller.rs`), the supervisor
//! passes that on (`supervisor/bus.rs`). What the objects look like and what they
//! answer is decided in `objects.rs`.
//!
//! An order travels the other way with one end of a pipe, its [`Receipt`]: whoever has
//! carried it out says so there, and the caller gets its answer. If it is closed
//! without a word, as by a worker that dies, the caller hears that it was not done.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::state_files::{StateFile, state_number};
use crate::config::model::{Dbus, Instance};
use crate::vrrp::action::NotifyState;
use crate::vrrp::state_machine::State;

#[cfg(feature = "dbus")]
pub mod objects;
#[cfg(feature = "dbus")]
pub mod service;
#[cfg(not(feature = "dbus"))]
#[path = "without.rs"]
pub mod service;
pub mod teller;

/// The supervisor's end of the way to the service.
pub type SupervisorEnd = Channel<ToService, FromService>;

/// The service's end.
pub type ServiceEnd = Channel<FromService, ToService>;

/// From the supervisor to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToService {
    /// These are the instances from now on: a `Vec<Member>` as JSON, in the memfd that
    /// comes along.
    Members,
    /// Where an instance stands now.
    Stands(Member, Standing),
    /// The process that does VRRP is gone; all instances are as before their start.
    NobodyStands,
    /// Something happened to the daemon as a whole.
    Happened(Happening),
}

/// From the service to the supervisor; with each comes a [`Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromService {
    /// Write a file that shows the state.
    Show(StateFile),
    /// Read the configuration again.
    Reload,
    /// The instance of this name announces its addresses.
    Announce(String),
}

/// What happens to the daemon as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// VRRP has begun.
    Started,
    /// A new configuration runs.
    Reloaded,
    /// The daemon ends now.
    Stopped,
}

/// An instance, as the bus knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its interface; empty if it has none.
    pub interface: String,
    /// Its virtual router identifier.
    pub vrid: u8,
    /// Its adverts are IPv6.
    pub ipv6: bool,
    /// `notify_deleted`: when it is taken out, this is told and not FAULT.
    pub notify_deleted: bool,
}

impl From<&Instance> for Member {
    fn from(instance: &Instance) -> Self {
        Self {
            name: instance.name.clone(),
            interface: instance.interface.to_string(),
            vrid: instance.vrid.get(),
            ipv6: instance.ipv6,
            notify_deleted: instance.notify.tell_deleted,
        }
    }
}

/// Where an instance stands, in the words and numbers of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Standing {
    /// It has not begun.
    #[default]
    Init,
    /// Listens for a master.
    Backup,
    /// Holds the VIPs.
    Master,
    /// Cannot take part.
    Fault,
    /// The daemon stops.
    Stop,
    /// A reload has taken it out; only with `notify_deleted`.
    Deleted,
}

impl Standing {
    /// The number of a state.
    pub fn number(self) -> u32 {
        let state = match self {
            Self::Init => State::Init,
            Self::Backup => State::Backup,
            Self::Master => State::Master,
            Self::Fault => State::Fault,
            Self::Stop => State::Stopped,
            Self::Deleted => return 97,
        };
        u32::from(state_number(state))
    }

    /// The name of a state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "Init",
            Self::Backup => "Backup",
            Self::Master => "Master",
            Self::Fault => "Fault",
            Self::Deleted => "Deleted",
            Self::Stop => "Stop",
        }
    }
}

impl From<NotifyState> for Standing {
    fn from(state: NotifyState) -> Self {
        match state {
            NotifyState::Master => Self::Master,
            NotifyState::Backup => Self::Backup,
            NotifyState::Fault => Self::Fault,
            NotifyState::Stop => Self::Stop,
            NotifyState::Deleted => Self::Deleted,
        }
    }
}

impl From<State> for Standing {
    /// Of an engine that was started: an instance that waits for a script counts as
    /// FAULT, as in C.
    fn from(state: State) -> Self {
        match state {
            State::Init | State::Fault => Self::Fault,
            State::Backup => Self::Backup,
            State::Master => Self::Master,
            State::Stopped => Self::Stop,
        }
    }
}

/// What makes a service another one: with something of this changed a reload replaces
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name on the bus.
    pub service_name: String,
    /// The network namespace, which is part of all paths.
    pub namespace: Option<String>,
    /// `instance`, which is part of all paths.
    pub instance: Option<String>,
    /// What stands in a path for an interface that there is not.
    pub no_interface: String,
}

impl Settings {
    /// What the configuration asks for; `None` if it wants no service.
    pub fn of(dbus: &Dbus, namespace: Option<&str>, instance: Option<&str>) -> Option<Self> {
        let or = |word: &Option<String>, default: &str| {
            word.clone().unwrap_or_else(|| default.to_owned())
        };
        dbus.enabled.then(|| Self {
            service_name: or(&dbus.service_name, "org.keepalived.Vrrp1"),
            namespace: namespace.map(str::to_owned),
            instance: instance.map(str::to_owned),
            no_interface: or(&dbus.no_interface_name, "none"),
        })
    }
}

/// The end of a pipe on which is said that an order was carried out.
#[derive(Debug)]
pub struct Receipt(File);

impl Receipt {
    /// The byte that says so.
    pub const DONE: u8 = b'+';

    /// Came with an order.
    pub fn new(pipe: OwnedFd) -> Self {
        Self(File::from(pipe))
    }

    /// The order is carried out.
    pub fn done(mut self) {
        // The service may be gone, and nobody is left to hear it.
        let _ = self.0.write(&[Self::DONE]);
    }
}
