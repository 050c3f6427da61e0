//! What notify scripts were told last, and what they are told of a stop if the worker
//! could not say it any more.
//!
//! Decides whom a stop has still to be told to: everybody in the configuration whose
//! scripts were not. Mail and the notify FIFOs are the worker's, and get nothing then.
//!
//! Source: specification E.6.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::model::Config;
use crate::daemon::notices;
use crate::ids::{InstanceId, Priority};
use crate::system::scripts::{News, Notice, Owner};
use crate::vrrp::action::{Cause, Evidence, GroupNotification, Notification, NotifyState};

/// The last state that the scripts of each instance and group were told.
#[derive(Debug, Default)]
pub(super) struct LastWords {
    by_owner: BTreeMap<Owner, (String, Priority)>,
}

impl LastWords {
    /// This is being told.
    pub fn note(&mut self, notice: &Notice) {
        if notice.news != News::Event {
            let last = (notice.state.clone(), Priority(notice.priority));
            self.by_owner.insert(notice.owner.clone(), last);
        }
    }

    /// A stop that nobody was told of: the notices of all who have scripts, those of
    /// groups after those of their members.
    pub fn of_stop(&self, config: &Config) -> Vec<Notice> {
        let of_instances = config.instances.iter().filter_map(|instance| {
            let (previous, priority) = self.before_stop(&Owner::Instance(instance.name.clone()))?;
            notices::of_instance(&Notification {
                // Nobody asks for the number.
                id: InstanceId(0),
                instance: Arc::clone(instance),
                state: NotifyState::Stop,
                previous,
                cause: Cause::Stopped,
                evidence: Evidence::default(),
                priority: priority.unwrap_or(instance.priority),
            })
        });
        let of_groups = config.sync_groups.iter().filter_map(|group| {
            let (previous, _) = self.before_stop(&Owner::Group(group.name.clone()))?;
            notices::of_group(&GroupNotification {
                group: Arc::clone(group),
                state: NotifyState::Stop,
                previous,
                cause: Cause::Stopped,
            })
        });
        of_instances.chain(of_groups).collect()
    }

    /// The state and priority that were told before a stop; `None` if the stop was told.
    fn before_stop(&self, owner: &Owner) -> Option<(Option<NotifyState>, Option<Priority>)> {
        let Some((state, priority)) = self.by_owner.get(owner) else {
            return Some((None, None));
        };
        let states = [NotifyState::Master, NotifyState::Backup, NotifyState::Fault];
        let previous = states.into_iter().find(|it| it.as_str() == state);
        let is_told = state == NotifyState::Stop.as_str();
        (!is_told).then_some((previous, Some(*priority)))
    }
}
