//! What notify scripts are told, made of what the engine says.
//!
//! Decides which scripts of the configuration belong to a change, their arguments
//! and the words of their environment. When they run is decided in
//! `system/scripts/notices.rs`.
//!
//! Source: specification E.6, F.4 (adverts of lower priority).

use crate::config::model::{Command, Notify};
use crate::system::scripts::{News, Notice, Owner};
use crate::vrrp::action::{GroupNotification, LowerPriorityHeard, Notification, NotifyState};

/// The state before the first one.
const NO_STATE: &str = "INIT";

/// An advert of lower priority, as scripts get it.
const LOWER_PRIORITY: &str = "MASTER_RX_LOWER_PRI";

/// What to tell of an instance; `None` if it has no scripts at all.
pub fn of_instance(told: &Notification) -> Option<Notice> {
    let (notify, name) = (&told.instance.notify, &told.instance.name);
    has_scripts(notify).then(|| Notice {
        owner: Owner::Instance(name.clone()),
        news: news(told.state),
        state: told.state.as_str().to_owned(),
        previous: previous(told.previous),
        priority: told.priority.0,
        reason: told.cause.to_string(),
        commands: commands(notify, told.state, "INSTANCE", name, told.priority.0),
    })
}

/// What to tell of a sync group; `None` if it has no scripts at all.
pub fn of_group(told: &GroupNotification) -> Option<Notice> {
    let (notify, name) = (&told.group.notify, &told.group.name);
    has_scripts(notify).then(|| Notice {
        owner: Owner::Group(name.clone()),
        news: news(told.state),
        state: told.state.as_str().to_owned(),
        previous: previous(told.previous),
        // It stands where the priority of an instance would.
        priority: 0,
        reason: told.cause.to_string(),
        commands: commands(notify, told.state, "GROUP", name, 0),
    })
}

/// What to tell of an advert of lower priority; `None` if nobody is told. Only the
/// script for it runs, and it gets no arguments.
pub fn of_lower_priority(told: &LowerPriorityHeard) -> Option<Notice> {
    let command = told.instance.notify.master_rx_lower_pri.clone()?;
    Some(Notice {
        owner: Owner::Instance(told.instance.name.clone()),
        news: News::Event,
        state: LOWER_PRIORITY.to_owned(),
        previous: NotifyState::Master.as_str().to_owned(),
        priority: told.priority.0,
        reason: "an advert of lower priority was heard".to_owned(),
        commands: vec![*command],
    })
}

/// Then it is told of each change, because one that no script is for can overtake
/// one that waits.
const fn has_scripts(notify: &Notify) -> bool {
    notify.master.is_some()
        || notify.backup.is_some()
        || notify.fault.is_some()
        || notify.stop.is_some()
        || notify.deleted.is_some()
        || notify.any.is_some()
        || notify.master_rx_lower_pri.is_some()
}

fn news(state: NotifyState) -> News {
    match state {
        NotifyState::Stop => News::Stop,
        _ => News::State,
    }
}

fn previous(state: Option<NotifyState>) -> String {
    state.map_or(NO_STATE, NotifyState::as_str).to_owned()
}

/// The script for that state, then the general one with its arguments.
fn commands(
    notify: &Notify,
    state: NotifyState,
    kind: &str,
    name: &str,
    priority: u8,
) -> Vec<Command> {
    let specific = match state {
        NotifyState::Master => &notify.master,
        NotifyState::Backup => &notify.backup,
        NotifyState::Fault => &notify.fault,
        NotifyState::Stop => &notify.stop,
        NotifyState::Deleted => &notify.deleted,
    };
    let general = notify.any.clone().map(|mut command| {
        command.argv.extend([
            kind.to_owned(),
            name.to_owned(),
            state.as_str().to_owned(),
            priority.to_string(),
        ]);
        command
    });
    let commands = specific.clone().into_iter().chain(general);
    commands.map(|command| *command).collect()
}
