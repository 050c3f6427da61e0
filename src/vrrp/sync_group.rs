//! What a sync group decides (specification F.7): its members are MASTER
//! together, BACKUP together and in FAULT together.
//!
//! Pure: told what the members are, it says what may happen. Who is asked when,
//! and in what order the members follow, is in `engine/groups.rs`.

use std::sync::Arc;

use crate::config::model::SyncGroup;
use crate::ids::InstanceId;

use super::action::NotifyState;
use super::state_machine::State;

/// A running group.
#[derive(Debug)]
pub struct Group {
    /// Its configuration.
    pub config: Arc<SyncGroup>,
    /// Its members, in the order of the configuration.
    pub members: Arc<[InstanceId]>,
    /// The state that was told last.
    pub told: Option<NotifyState>,
    /// A reload has put members together that are not all in one state. Those who are
    /// MASTER wait until the others are, too, or hear a better master.
    pub gathering: bool,
}

/// Whether an instance, or a group, can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It can.
    Well,
    /// A script has no result yet.
    Unknown,
    /// Something stands against it.
    Faulty,
}

/// Whether a member whose master is silent may become MASTER: when each of the
/// others is MASTER, or waits for nothing but the group.
pub fn may_lead(mut others: impl Iterator<Item = (State, bool)>) -> bool {
    others.all(|(state, wants_master)| match state {
        State::Master => true,
        State::Backup => wants_master,
        State::Init | State::Fault | State::Stopped => false,
    })
}

/// The health of a whole group: that of its worst member.
pub fn health(members: impl Iterator<Item = Health>) -> Health {
    members.max().unwrap_or(Health::Well)
}

/// The state of a whole group: that of all members, or the least of them if
/// they differ, which they do only within one turn of the engine.
pub fn state(members: impl Iterator<Item = State>) -> State {
    let rank = |state: &State| match state {
        State::Stopped => 0,
        State::Init => 1,
        State::Fault => 2,
        State::Backup => 3,
        State::Master => 4,
    };
    members.min_by_key(rank).unwrap_or(State::Init)
}

/// The state to tell of a group: the one that was told of each member, once it
/// is the same for all.
pub fn to_tell(mut members: impl Iterator<Item = Option<NotifyState>>) -> Option<NotifyState> {
    let first = members.next()??;
    members.all(|told| told == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Specification F.7: the first two rows, for one other member and for two.
    #[test]
    fn a_member_becomes_master_when_all_others_want_it_or_are() {
        use State::{Backup, Fault, Init, Master, Stopped};
        let cases = [
            ((Backup, true), true),
            ((Backup, false), false),
            ((Master, false), true),
            ((Master, true), true),
            ((Fault, false), false),
            ((Fault, true), false),
            ((Init, true), false),
            ((Stopped, true), false),
        ];
        for (one, alone) in cases {
            assert_eq!(may_lead([one].into_iter()), alone, "{one:?}");
            for (two, also) in cases {
                let both = [one, two];
                assert_eq!(may_lead(both.into_iter()), alone && also, "{both:?}");
            }
        }
        assert!(may_lead([].into_iter()), "a group of one");
    }

    /// Specification F.7: FAULT of one is FAULT of all, and the last one that
    /// is well again ends it.
    #[test]
    fn a_group_is_as_well_as_its_worst_member() {
        use Health::{Faulty, Unknown, Well};
        for (members, expected) in [
            ([Well, Well], Well),
            ([Well, Unknown], Unknown),
            ([Unknown, Well], Unknown),
            ([Faulty, Well], Faulty),
            ([Well, Faulty], Faulty),
            ([Unknown, Faulty], Faulty),
            ([Faulty, Faulty], Faulty),
        ] {
            assert_eq!(health(members.into_iter()), expected, "{members:?}");
        }
    }

    #[test]
    fn a_group_is_told_when_all_members_were() {
        use NotifyState::{Backup, Fault, Master};
        for (members, expected) in [
            (vec![None, None], None),
            (vec![Some(Backup), None], None),
            (vec![None, Some(Backup)], None),
            (vec![Some(Backup), Some(Backup)], Some(Backup)),
            (vec![Some(Backup), Some(Master)], None),
            (vec![Some(Master), Some(Master), Some(Fault)], None),
            (vec![Some(Fault)], Some(Fault)),
            (vec![], None),
        ] {
            assert_eq!(to_tell(members.iter().copied()), expected, "{members:?}");
        }
    }

    #[test]
    fn the_state_of_a_group_is_that_of_all() {
        use State::{Backup, Fault, Init, Master};
        for (members, expected) in [
            ([Master, Master], Master),
            ([Backup, Backup], Backup),
            ([Fault, Fault], Fault),
            ([Init, Init], Init),
            ([Master, Backup], Backup),
        ] {
            assert_eq!(state(members.into_iter()), expected, "{members:?}");
        }
    }
}
