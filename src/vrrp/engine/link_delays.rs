//! When a change of a link counts: what is told of it, and the timers of its delays.
//!
//! What a report means is decided in `vrrp/link_states.rs`. Source: specification D.6.

use std::borrow::Cow;

use crate::ids::{IfIndex, InstanceId};
use crate::time::Instant;

use super::super::action::{Action, Transmit};
use super::super::event::InterfaceState;
use super::super::instance::{Running, TimerKey};
use super::super::link_states::Verdict;
use super::super::log_lines::LogLine;
use super::super::state_machine::State;
use super::{Engine, Phase};

impl Engine {
    /// The state of an interface with the link as it passes now: one that has changed
    /// may have to wait.
    pub(super) fn as_it_passes<'s>(
        &mut self,
        now: Instant,
        state: &'s InterfaceState,
    ) -> Cow<'s, InterfaceState> {
        let known = self.interfaces.get(state.index);
        let before = known.filter(|known| known.name == state.name);
        let before = before.map(|before| before.up);
        let base = &self.interfaces.base_of(state).name;
        let verdict = self.links.told(state, base, before);
        let up = self.passes_for(now, state, before, verdict);
        if up == state.up {
            return Cow::Borrowed(state);
        }
        let mut passing = state.clone();
        passing.up = up;
        Cow::Owned(passing)
    }

    fn passes_for(
        &mut self,
        now: Instant,
        state: &InterfaceState,
        before: Option<bool>,
        verdict: Verdict,
    ) -> bool {
        let key = TimerKey::Link(state.index);
        let waits = self.timers.deadline_of(key).is_some();
        let interface = || state.name.clone();
        match (verdict, before) {
            (Verdict::After(delay), Some(before)) if self.phase == Phase::Running => {
                if !waits {
                    self.timers.arm(key, now + delay);
                    self.log(LogLine::LinkDelayed {
                        interface: interface(),
                        up: !before,
                        delay,
                    });
                }
                before
            }
            (Verdict::Is(up), _) => {
                if waits {
                    self.timers.disarm(key);
                    self.log(LogLine::LinkDelayCancelled(interface()));
                }
                up
            }
            (Verdict::After(_), _) => self.links.is_up(state.index, &state.name),
        }
    }

    /// Polling has found a link up or down.
    pub(super) fn linkbeat(
        &mut self,
        now: Instant,
        interface: &str,
        up: bool,
        tx: &mut impl Transmit,
    ) {
        if !self.links.polled(interface, up) {
            return;
        }
        let Some(mut known) = self.interfaces.named(interface).cloned() else {
            return;
        };
        known.up = self.links.is_told_up(known.index);
        self.interface(now, &known, tx);
    }

    /// A link has been what it is for long enough.
    pub(super) fn link_settled(&mut self, now: Instant, index: IfIndex, tx: &mut impl Transmit) {
        self.timers.disarm(TimerKey::Link(index));
        let Some(mut state) = self.interfaces.get(index).cloned() else {
            return;
        };
        state.up = self.links.is_up(index, &state.name);
        self.interface_passes(now, &state, false, tx);
    }

    /// Changes of links that no setting holds back any more count at once.
    pub(super) fn settle_links(&mut self, now: Instant, tx: &mut impl Transmit) {
        let passing = self.interfaces.iter();
        let changed: Vec<IfIndex> = passing
            .filter(|state| self.links.is_up(state.index, &state.name) != state.up)
            .filter(|state| {
                let base = &self.interfaces.base_of(state).name;
                let it = (state.index, state.name.as_str());
                let verdict = self.links.verdict(it, base, Some(state.up));
                matches!(verdict, Verdict::Is(_))
            })
            .map(|state| state.index)
            .collect();
        for index in changed {
            self.link_settled(now, index, tx);
        }
    }

    /// Whoever hears no master because its own link is down must not take over, however
    /// long that is still to be waited with: the delay ends here.
    pub(super) fn settle_link_of(&mut self, now: Instant, id: InstanceId, tx: &mut impl Transmit) {
        let running = self.instances.get(&id);
        let deaf =
            running.filter(|it| it.state == State::Backup && !it.config.ignore_own_interface);
        let on = deaf.and_then(|it| self.interfaces.get(it.on?));
        let base = on.map(|state| self.interfaces.base_of(state).index);
        for on in [on.map(|state| state.index), base].into_iter().flatten() {
            let waits = self.timers.deadline_of(TimerKey::Link(on)).is_some();
            let is_up = self.interfaces.get(on).is_some_and(|state| state.up);
            if waits && is_up {
                self.link_settled(now, on, tx);
            }
        }
    }

    /// Listens anew where the kernel may have dropped the groups of a receive socket: it
    /// does with a family that goes, which a small MTU brings about, too; and where
    /// packets have got another size.
    pub(super) fn listen_anew(&mut self, on: IfIndex) {
        if self.phase == Phase::Running && self.sockets.hears(on) {
            self.actions.push_back(Action::Relisten { on });
        }
    }

    /// The kernel has a link again that passed for up all the time: what it has dropped
    /// with it is put back.
    pub(super) fn link_returned(&mut self, now: Instant, tx: &mut impl Transmit) {
        self.put_back_missing(now, tx);
        self.each(now, tx, Running::link_returned);
    }
}
