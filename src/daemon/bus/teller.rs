//! The worker's part: where its instances stand, told as it changes.
//!
//! Decides what is told. Each change that the engine announces is told in its order;
//! what changes without being announced, as when an instance waits for a script, is
//! found by comparing.

use std::collections::HashMap;

use super::{Member, Standing};
use crate::daemon::channel::ToSupervisor;
use crate::vrrp::action::Notification;
use crate::vrrp::engine::Engine;

/// What was told of whom.
#[derive(Debug, Default)]
pub struct Teller {
    told: HashMap<String, (Member, Standing)>,
}

impl Teller {
    /// What to tell of a change that the engine announces.
    pub fn announced(&mut self, told: &Notification) -> ToSupervisor {
        self.tell(Member::from(&**told.instance), told.state.into())
    }

    /// What to tell of instances of a started engine that stand elsewhere than was
    /// told.
    pub fn differences(&mut self, engine: &Engine) -> Vec<ToSupervisor> {
        let mut found = Vec::new();
        let mut count = 0_usize;
        for instance in engine.instances() {
            count = count.saturating_add(1);
            let standing = Standing::from(instance.state);
            let config = instance.config;
            let known = self.told.get(&config.name);
            let is_same = known.is_some_and(|(member, told)| {
                *told == standing
                    && *member.interface == *config.interface
                    && member.vrid == config.vrid.get()
            });
            if !is_same {
                found.push(self.tell(Member::from(config), standing));
            }
        }
        if self.told.len() > count {
            // A reload has taken some out.
            let names = engine.instances().map(|it| it.config.name.as_str());
            let names: std::collections::HashSet<&str> = names.collect();
            self.told.retain(|name, _| names.contains(name.as_str()));
        }
        found
    }

    /// Nobody knows any more what was told.
    pub fn forget(&mut self) {
        self.told.clear();
    }

    fn tell(&mut self, member: Member, standing: Standing) -> ToSupervisor {
        let name = member.name.clone();
        self.told.insert(name, (member.clone(), standing));
        ToSupervisor::Stands(member, standing)
    }
}
