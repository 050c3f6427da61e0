//! Sync groups: who follows whom, and in what order (specification F.7).
//!
//! What a group decides is in `sync_group.rs`; what a member then does, in
//! `state_machine.rs`, as for any other instance.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::config::model::Config;
use crate::ids::InstanceId;
use crate::time::Instant;

use super::super::action::{Action, Cause, GroupNotification, Transmit};
use super::super::log_lines::{GroupLine, LogLine};
use super::super::snapshot::GroupSnapshot;
use super::super::state_machine::{Effects, Input, State};
use super::super::sync_group::{self, Group, Health};
use super::{Engine, Phase};

impl Engine {
    /// Takes the groups of a configuration over. What was told of a group of the
    /// same name, or of the same members, is remembered, so that it is not told again.
    pub(super) fn adopt_groups(&mut self, config: &Config) {
        let members = config.sync_groups.iter().flat_map(|it| &it.instances);
        let members: HashSet<&str> = members.map(|name| &**name).collect();
        let instances = self.instances.iter();
        let by_name: HashMap<&str, InstanceId> = instances
            .filter_map(|(id, running)| Some((*members.get(&*running.config.name)?, *id)))
            .collect();
        for running in self.instances.values_mut() {
            running.group = None;
        }
        let before = std::mem::take(&mut self.groups);
        let names_before: BTreeMap<Vec<InstanceId>, String> = before
            .iter()
            .map(|(name, group)| (sorted(&group.members), name.clone()))
            .collect();
        let wanted: BTreeSet<&str> = config.sync_groups.iter().map(|it| &*it.name).collect();
        for group in &config.sync_groups {
            let names = group.instances.iter();
            let members: Arc<[InstanceId]> = names
                .filter_map(|name| by_name.get(&**name).copied())
                .collect();
            for id in members.iter() {
                if let Some(running) = self.instances.get_mut(id) {
                    running.group = Some(Arc::clone(group));
                }
            }
            let renamed = || {
                let name = names_before.get(&sorted(&members))?;
                before.get(name).filter(|_| !wanted.contains(&**name))
            };
            let known = before.get(&group.name).or_else(renamed);
            let told = known.and_then(|group| group.told);
            let gathering = known.is_some_and(|group| group.gathering);
            let config = Arc::clone(group);
            self.groups.insert(
                group.name.clone(),
                Group {
                    config,
                    members,
                    told,
                    gathering,
                },
            );
        }
        self.told_changed = true;
    }

    /// The members of the group that an instance is in, itself among them.
    pub(super) fn members_with(&self, id: InstanceId) -> Option<Arc<[InstanceId]>> {
        let group = self.instances.get(&id)?.group.as_ref()?;
        Some(Arc::clone(&self.groups.get(&group.name)?.members))
    }

    fn state_of(&self, id: InstanceId) -> State {
        self.instances.get(&id).map_or(State::Init, |it| it.state)
    }

    fn log_syncing(&mut self, id: InstanceId, state: State) {
        let running = self.instances.get(&id);
        if let Some(group) = running.and_then(|running| running.group.as_ref()) {
            let line = LogLine::Group(group.name.clone(), GroupLine::Syncing(state));
            self.log(line);
        }
    }

    /// What was found around each instance moves it in or out of FAULT: alone,
    /// or with its group.
    pub(super) fn act_on_health(&mut self, now: Instant, tx: &mut impl Transmit) {
        self.each(now, tx, |it, cx| {
            if it.group.is_none() {
                it.act(it.health(), None, cx);
            }
        });
        let groups = self.groups.values();
        let groups: Vec<Arc<[InstanceId]>> =
            groups.map(|group| Arc::clone(&group.members)).collect();
        for members in groups {
            self.act_together(now, &members, tx);
        }
    }

    /// The members that are faulty themselves come first: the others follow.
    fn act_together(&mut self, now: Instant, members: &[InstanceId], tx: &mut impl Transmit) {
        let running = || members.iter().filter_map(|id| self.instances.get(id));
        let health = sync_group::health(running().map(|it| it.health()));
        let faulty = running().find(|it| it.health() == Health::Faulty);
        let faulty = faulty.map(|it| it.config.name.clone());
        let mut order = members.to_vec();
        let is_well = |id: &InstanceId| {
            let running = self.instances.get(id);
            running.is_none_or(|it| it.health() != Health::Faulty)
        };
        order.sort_by_key(is_well);
        let mut told = false;
        for id in order {
            let before = self.state_of(id);
            self.one(now, id, tx, |it, cx| it.act(health, faulty.as_deref(), cx));
            let after = self.state_of(id);
            if !told && before != after && before != State::Init && members.len() > 1 {
                told = true;
                self.log_syncing(id, after);
            }
        }
    }

    /// The timer of an instance ran out. A backup in a group becomes MASTER with
    /// all others, or waits once more.
    pub(super) fn protocol_timer(
        &mut self,
        now: Instant,
        id: InstanceId,
        deadline: Instant,
        tx: &mut impl Transmit,
    ) {
        let is_backup = self.state_of(id) == State::Backup;
        if self.state_of(id) == State::Master {
            self.lateness.note(now.since(deadline));
        }
        self.settle_link_of(now, id, tx);
        if is_backup && self.state_of(id) != State::Backup {
            return;
        }
        if self
            .instances
            .get(&id)
            .is_some_and(|it| it.state == State::Backup && it.is_deaf())
        {
            self.one(now, id, tx, |it, cx| it.input(Input::TimerHeld, cx));
            return;
        }
        let group = self.members_with(id);
        let Some(members) = group.filter(|_| self.state_of(id) == State::Backup) else {
            let effects = self.one(now, id, tx, |it, cx| it.timer_expired(deadline, cx));
            self.follow_in_group(now, id, effects.unwrap_or_default(), tx);
            return;
        };
        let others = || members.iter().copied().filter(|other| *other != id);
        let may_lead = sync_group::may_lead(
            others()
                .filter_map(|other| self.instances.get(&other))
                .map(|it| (it.state, it.wants_master)),
        );
        if !may_lead {
            self.one(now, id, tx, |it, cx| it.timer_held(cx));
            return;
        }
        self.one(now, id, tx, |it, cx| it.timer_expired(deadline, cx));
        if members.len() > 1 {
            self.log_syncing(id, State::Master);
        }
        for other in others() {
            if self.state_of(other) == State::Backup {
                self.one(now, other, tx, |it, cx| it.input(Input::TimerExpired, cx));
            }
        }
    }

    /// After an advert, or a standstill, did this to an instance: the others of its
    /// group give way with it, or remind the network with it.
    pub(super) fn follow_in_group(
        &mut self,
        now: Instant,
        id: InstanceId,
        effects: Effects,
        tx: &mut impl Transmit,
    ) {
        let gave_way = effects.contains(Effects::REMOVE)
            || (effects.contains(Effects::LEARN_MASTER) && self.holds_its_group_back(id));
        if !gave_way && !effects.contains(Effects::REPEAT_GARP) {
            return;
        }
        let Some(members) = self.members_with(id) else {
            return;
        };
        if gave_way && members.len() > 1 {
            self.log_syncing(id, State::Backup);
        }
        for other in members.iter().copied().filter(|other| *other != id) {
            if gave_way {
                self.one(now, other, tx, |it, cx| it.input(Input::GroupGaveWay, cx));
            } else {
                self.one(now, other, tx, |it, cx| it.answer_with_garp(cx));
            }
        }
    }

    /// After a reload: which groups have members that are not all in one state.
    pub(super) fn note_gathering_groups(&mut self) {
        for group in self.groups.values_mut() {
            let members = group.members.iter();
            let mut states = members.filter_map(|id| Some(self.instances.get(id)?.state));
            let first = states.next();
            group.gathering = states.any(|state| Some(state) != first);
        }
    }

    /// Whether others of its group are MASTER, while it has heard a better master.
    fn holds_its_group_back(&mut self, id: InstanceId) -> bool {
        let group = self.instances.get(&id).and_then(|it| it.group.as_ref());
        let group = group.and_then(|group| self.groups.get_mut(&group.name));
        let Some(group) = group.filter(|group| group.gathering) else {
            return false;
        };
        let members = group.members.iter();
        let mut states = members.filter_map(|id| Some(self.instances.get(id)?.state));
        group.gathering = states.any(|state| state == State::Master);
        group.gathering
    }

    /// Tells of each group whose members have all been told of the same state.
    pub(super) fn tell_of_groups(&mut self) {
        if !std::mem::take(&mut self.told_changed) || self.phase == Phase::New {
            return;
        }
        for group in self.groups.values_mut() {
            let members = group.members.iter();
            let told = members.filter_map(|id| self.instances.get(id).map(|it| it.told));
            let state = sync_group::to_tell(told);
            if let Some(state) = state.filter(|state| group.told != Some(*state)) {
                let members = group.members.iter();
                let causes = members.filter_map(|id| Some(&self.instances.get(id)?.cause));
                let previous = group.told.replace(state);
                let notification = GroupNotification {
                    group: Arc::clone(&group.config),
                    state,
                    previous,
                    cause: first_cause(causes),
                };
                self.actions.push_back(Action::NotifyGroup(notification));
            }
        }
    }

    /// What can be seen of the groups, in the order of the configuration.
    pub(super) fn group_snapshots(&self) -> Vec<GroupSnapshot> {
        let groups = self.config.sync_groups.iter();
        groups
            .filter_map(|config| {
                let group = self.groups.get(&config.name)?;
                let members = || group.members.iter().filter_map(|id| self.instances.get(id));
                Some(GroupSnapshot {
                    config: Arc::clone(&group.config),
                    state: sync_group::state(members().map(|it| it.state)),
                })
            })
            .collect()
    }
}

/// Members in an order that says nothing.
fn sorted(members: &[InstanceId]) -> Vec<InstanceId> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members
}

/// Why a group is in its state: because of the first member that did not just
/// follow another one.
fn first_cause<'a>(causes: impl Iterator<Item = &'a Cause> + Clone) -> Cause {
    let first = causes.clone().find(|cause| !cause.is_of_group());
    first.or(causes.last()).cloned().unwrap_or_default()
}
