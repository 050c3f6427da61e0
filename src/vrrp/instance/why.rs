//! Why an instance is in its state, and what its priority is made of: what is
//! told of decisions that were made elsewhere.

use crate::ids::Priority;
use crate::time::Instant;

use super::super::election::Rank;
use super::super::log_lines::InstanceLine;
use super::super::reasons::{Cause, Contribution, Contributor, FaultReason};
use super::super::state_machine::{Input, State};
use super::super::tracking::{
    Standing, Surroundings, contribution, interface_contribution, interfaces_of, scripts_of,
    total_priority,
};
use super::super::transition::{Evidence, LastAdvert, Link, Share, Transition};
use super::super::watched::{
    file_contribution, files_of, is_file_fault, process_contribution, processes_of,
};
use super::{Context, Running, Sender};

impl Running {
    /// Why `input` leads to another state, before it does. `own_timer` says that
    /// a timer that ran out is its own, and not that of another member of the group.
    pub(super) fn cause_of(
        &self,
        input: Input,
        sender: Option<Sender>,
        own_timer: bool,
        now: Instant,
    ) -> Cause {
        match (input, sender) {
            (Input::Stop, _) => Cause::Stopped,
            (Input::Fault, _) => Cause::Fault(self.fault_reasons()),
            (Input::Recovered, _) => Cause::Recovered,
            (Input::GroupGaveWay, _) => Cause::GroupGaveWay,
            (Input::Superseded, _) => Cause::StoodStill,
            (Input::Lost, _) => Cause::Lost,
            (Input::Ready, _) if self.begins_as_owner() => Cause::Owner,
            (Input::TimerExpired, _) if !own_timer => Cause::GroupTookOver,
            (Input::TimerExpired, _) => self.why_master(now),
            (Input::Advert(_), Some(sender)) if self.is_handing_over() => Cause::HandedOver {
                address: sender.address,
                priority: sender.priority,
            },
            (Input::Advert(rank), Some(sender)) => Cause::Outranked {
                address: sender.address,
                priority: sender.priority,
                by_address: rank == Rank::EqualHigherAddress,
            },
            _ => Cause::Started,
        }
    }

    /// Why a backup takes over.
    fn why_master(&self, now: Instant) -> Cause {
        let listening = self.entered_at.unwrap_or_default();
        let heard = self.heard.filter(|(_, at)| *at >= listening);
        let Some((sender, at)) = heard else {
            let waited = now.since(listening);
            return Cause::NoMaster { waited };
        };
        let Sender {
            address, priority, ..
        } = sender;
        let silent = now.since(at);
        let goes_on = silent < sender.advert_interval.times(2);
        match priority {
            Priority::ZERO => Cause::MasterResigned { address },
            priority if priority < self.priority && goes_on => {
                Cause::Preempts { address, priority }
            }
            _ => Cause::MasterSilent { address, silent },
        }
    }

    /// Looks at what is told of the change of state that happens now.
    pub(super) fn see(&mut self, cx: &Context<'_>) {
        let (config, group) = (&self.config, self.group.as_deref());
        let (around, watched) = (cx.around(), cx.watched);
        let last_advert = self.heard.map(|(sender, at)| LastAdvert {
            address: sender.address,
            priority: sender.priority,
            ago: cx.now.since(at),
        });
        let link = Some(self.link()).filter(|name| !name.is_empty());
        let link = link.map(|name| {
            let state = cx.interfaces.named(name);
            let state = state.map_or(Link::Missing, |state| match state.up {
                true => Link::Up,
                false => Link::Down,
            });
            (name.to_owned(), state)
        });
        let scripts = scripts_of(config, group);
        let interfaces = interfaces_of(config, group);
        let files = files_of(config, group);
        let processes = processes_of(config, group);
        self.evidence = Evidence {
            last_advert,
            link,
            scripts: Share::of(scripts.map(|it| around.standing(&it.script) == Standing::Up)),
            interfaces: Share::of(interfaces.map(|it| around.is_up(&it.interface))),
            files: Share::of(files.map(|it| {
                let value = watched.value(&it.file);
                value.is_some() && !is_file_fault(it, value)
            })),
            processes: Share::of(processes.map(|it| watched.quorum(&it.process) == Some(true))),
            priority: self.priority,
        };
    }

    /// Counts the change of state from `before`, and says why it happened.
    pub(super) fn tell_why(&mut self, before: State, cx: &mut Context<'_>) {
        self.transitions.count(self.state, &self.cause);
        let transition = Transition {
            from: before,
            to: self.state,
            cause: self.cause.clone(),
            evidence: self.evidence.clone(),
        };
        self.log(InstanceLine::Changed(Box::new(transition)), cx);
    }

    /// What stands against taking part, the group included.
    pub(super) fn fault_reasons(&self) -> Vec<FaultReason> {
        let mut reasons = self.faults.reasons(self.link(), self.config.family());
        let member = self.fault_of.iter().cloned();
        reasons.extend(member.map(FaultReason::GroupMember));
        reasons
    }

    /// What its priority is made of.
    pub(super) fn contributions(&self, around: Surroundings<'_>) -> Vec<Contribution> {
        let (config, group) = (&self.config, self.group.as_deref());
        let base = Contribution {
            from: Contributor::Base,
            amount: i32::from(config.priority.0),
        };
        let scripts = scripts_of(config, group).enumerate();
        let scripts = scripts.filter(|(_, tracked)| tracked.weight != 0);
        let scripts = scripts.map(|(number, tracked)| Contribution {
            amount: contribution(tracked, around.standing(&tracked.script)),
            from: Contributor::Script {
                name: tracked.script.name.clone(),
                weight: tracked.weight,
                reverse: tracked.reverse,
                of_group: number >= config.track_scripts.len(),
            },
        });
        let interfaces = interfaces_of(config, group).enumerate();
        let interfaces = interfaces.filter(|(_, tracked)| tracked.weight != 0);
        let interfaces = interfaces.map(|(number, tracked)| Contribution {
            amount: interface_contribution(tracked, around.is_up(&tracked.interface)),
            from: Contributor::Interface {
                name: tracked.interface.clone(),
                weight: tracked.weight,
                reverse: tracked.reverse,
                of_group: number >= config.track_interfaces.len(),
            },
        });
        let total = total_priority(self.base_priority(), config, group, around);
        let limit = Contribution {
            amount: i32::from(self.priority.0).saturating_sub(total),
            from: if self.is_drained() {
                Contributor::Drained
            } else if self.has_given_way() {
                Contributor::Rival
            } else if self.is_owner() {
                Contributor::Owner
            } else {
                Contributor::Limit
            },
        };
        let ordered = i32::from(self.base_priority().0).saturating_sub(base.amount);
        let ordered = (ordered != 0).then_some(Contribution {
            from: Contributor::Order,
            amount: ordered,
        });
        let parts = std::iter::once(base).chain(ordered);
        let parts = parts.chain(scripts).chain(interfaces);
        let parts = parts.chain(self.watched_contributions(around));
        parts.chain((limit.amount != 0).then_some(limit)).collect()
    }

    /// The part of files and processes.
    fn watched_contributions(&self, around: Surroundings<'_>) -> Vec<Contribution> {
        let (config, group) = (&self.config, self.group.as_deref());
        let known = around.watched;
        let files = files_of(config, group).enumerate();
        let files = files.filter(|(_, tracked)| tracked.weight != 0);
        let files = files.map(|(number, tracked)| Contribution {
            amount: file_contribution(tracked, known.value(&tracked.file)),
            from: Contributor::File {
                name: tracked.file.name.clone(),
                weight: tracked.weight,
                reverse: tracked.reverse,
                of_group: number >= config.track_files.len(),
            },
        });
        let processes = processes_of(config, group).enumerate();
        let processes = processes.filter(|(_, tracked)| tracked.weight != 0);
        let processes = processes.map(|(number, tracked)| Contribution {
            amount: process_contribution(tracked, known.quorum(&tracked.process)),
            from: Contributor::Process {
                name: tracked.process.name.clone(),
                weight: tracked.weight,
                reverse: tracked.reverse,
                of_group: number >= config.track_processes.len(),
            },
        });
        files.chain(processes).collect()
    }
}
