//! Words that instances and sync groups have in common: scripts on a change of
//! state, and what is tracked (specification D.5, D.7).

use super::super::model::{Command, Notify};
use super::super::tree::Statement;
use super::Context;
use super::tracking::{self, Kind};

/// An instance or a sync group while it is read.
pub trait Party {
    /// Its name.
    fn name(&self) -> &str;

    /// How C begins a message about one of its scripts.
    fn title(&self) -> String;

    /// Its scripts.
    fn notify(&mut self) -> &mut Notify;

    /// What it tracks.
    fn tracking(&mut self) -> &mut tracking::Draft;
}

/// `notify`
pub fn notify<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    script(party, |notify| &mut notify.any, statement, cx);
}

/// `notify_master`
pub fn notify_master<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    script(party, |notify| &mut notify.master, statement, cx);
}

/// `notify_backup`
pub fn notify_backup<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    script(party, |notify| &mut notify.backup, statement, cx);
}

/// `notify_fault`
pub fn notify_fault<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    script(party, |notify| &mut notify.fault, statement, cx);
}

/// `notify_stop`
pub fn notify_stop<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    script(party, |notify| &mut notify.stop, statement, cx);
}

/// The first script of its kind wins, as in C.
pub fn script<P: Party>(
    party: &mut P,
    slot: fn(&mut Notify) -> &mut Option<Box<Command>>,
    statement: &Statement,
    cx: &mut Context<'_>,
) {
    let title = party.title();
    cx.first_command(slot(party.notify()), &title, statement);
}

/// `track_interface`
pub fn track_interface<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    track(party, Kind::Interface, statement, cx);
}

/// `track_script`
pub fn track_script<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    track(party, Kind::Script, statement, cx);
}

/// `track_file`
pub fn track_file<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    track(party, Kind::File, statement, cx);
}

/// `track_process`
pub fn track_process<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    track(party, Kind::Process, statement, cx);
}

/// `track_bfd`
pub fn track_bfd<P: Party>(party: &mut P, statement: &Statement, cx: &mut Context<'_>) {
    track(party, Kind::Bfd, statement, cx);
}

fn track<P: Party>(party: &mut P, kind: Kind, statement: &Statement, cx: &mut Context<'_>) {
    let owner = party.name().to_string();
    party.tracking().read(kind, &owner, statement, cx);
}
