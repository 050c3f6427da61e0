//! Changes of state as they are told: from where to where, why, and what was seen at
//! that moment; and how often each of them happened.
//!
//! Plain data and its words; `instance/why.rs` decides what applies. The cause itself
//! is in `reasons.rs`.

use std::fmt;
use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::Interval;

use super::reasons::{Cause, Ms};
use super::state_machine::State;

/// One change of state of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// What brought it about.
    pub cause: Cause,
    /// What was seen at that moment.
    pub evidence: Evidence,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            cause,
            evidence,
        } = self;
        write!(f, "{from} -> {to}: {cause}; {evidence}")
    }
}

/// What an instance saw when it changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The last acceptable advert.
    pub last_advert: Option<LastAdvert>,
    /// The interface that it is on; `None` if it has none of its own.
    pub link: Option<(String, Link)>,
    /// The scripts that count for it: up, of all.
    pub scripts: Share,
    /// The tracked interfaces: up, of all.
    pub interfaces: Share,
    /// The tracked files that do not keep it in FAULT, of all.
    pub files: Share,
    /// The tracked processes with a quorum, of all.
    pub processes: Share,
    /// Its effective priority.
    pub priority: Priority,
}

/// The last acceptable advert before a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAdvert {
    /// Its sender.
    pub address: IpAddr,
    /// The priority in it.
    pub priority: Priority,
    /// How long before.
    pub ago: Interval,
}

/// How an interface stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It is up and has a carrier.
    Up,
    /// It is there, and is not up.
    Down,
    /// There is none of this name.
    Missing,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Missing => "missing",
        })
    }
}

/// So many of so many are well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Those that are well.
    pub well: u32,
    /// All of them.
    pub all: u32,
}

impl Share {
    /// Of those that are well or are not.
    pub fn of(each: impl Iterator<Item = bool>) -> Self {
        let mut share = Self::default();
        for well in each {
            share.all = share.all.saturating_add(1);
            share.well = share.well.saturating_add(u32::from(well));
        }
        share
    }

    /// `, 3 scripts ok` or `, 2 of 3 scripts ok`; nothing if there are none.
    fn write(self, [one, several]: [&str; 2], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { well, all } = self;
        let what = if all == 1 { one } else { several };
        match all {
            0 => Ok(()),
            _ if well == all => write!(f, ", {all} {what} ok"),
            _ => write!(f, ", {well} of {all} {what} ok"),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_advert {
            Some(LastAdvert {
                address,
                priority,
                ago,
            }) => {
                let ago = Ms(ago);
                write!(
                    f,
                    "last advert {ago} ago from {address} with priority {priority}"
                )?;
            }
            None => f.write_str("no advert heard yet")?,
        }
        if let Some((interface, link)) = &self.link {
            write!(f, ", link {interface} {link}")?;
        }
        self.scripts.write(["script", "scripts"], f)?;
        let interfaces = ["tracked interface", "tracked interfaces"];
        self.interfaces.write(interfaces, f)?;
        self.files.write(["file", "files"], f)?;
        self.processes.write(["process", "processes"], f)?;
        write!(f, ", own priority {}", self.priority)
    }
}

/// How often an instance entered a state, and for which cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transitions(Vec<Count>);

/// How often an instance entered this state for this cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The state that it entered.
    pub to: State,
    /// As [`Cause::code`] says it.
    pub cause: &'static str,
    /// How often.
    pub times: u64,
}

impl Transitions {
    /// None yet, with room for the two that most instances need.
    pub fn with_room() -> Self {
        Self(Vec::with_capacity(2))
    }

    /// It has entered this state.
    pub fn count(&mut self, to: State, cause: &Cause) {
        let cause = cause.code();
        let mut known = self.0.iter_mut();
        match known.find(|it| (it.to, it.cause) == (to, cause)) {
            Some(count) => count.times = count.times.saturating_add(1),
            None => self.0.push(Count {
                to,
                cause,
                times: 1,
            }),
        }
    }

    /// All of them, in the order in which they happened first.
    pub fn iter(&self) -> impl Iterator<Item = &Count> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_names_what_is_there_and_how_much_of_it_is_well() {
        let mut evidence = Evidence {
            priority: Priority(100),
            ..Evidence::default()
        };
        assert_eq!(
            evidence.to_string(),
            "no advert heard yet, own priority 100"
        );
        evidence.last_advert = Some(LastAdvert {
            address: IpAddr::from([10, 0, 0, 1]),
            priority: Priority(150),
            ago: Interval::from_ms(3_609),
        });
        evidence.link = Some(("eth0".to_owned(), Link::Down));
        evidence.scripts = Share::of([true, true, true].into_iter());
        evidence.files = Share::of([true].into_iter());
        evidence.processes = Share::of([true, false].into_iter());
        assert_eq!(
            evidence.to_string(),
            "last advert 3.609 s ago from 10.0.0.1 with priority 150, link eth0 down, \
             3 scripts ok, 1 file ok, 1 of 2 processes ok, own priority 100"
        );
    }

    #[test]
    fn changes_are_counted_by_state_and_cause() {
        let mut transitions = Transitions::default();
        transitions.count(State::Backup, &Cause::Started);
        for _ in 0..2 {
            let waited = Interval::from_secs(3);
            transitions.count(State::Master, &Cause::NoMaster { waited });
        }
        transitions.count(State::Master, &Cause::Owner);
        let counts = transitions.iter().map(|it| (it.to, it.cause, it.times));
        let expected = [
            (State::Backup, "started", 1),
            (State::Master, "no-master", 2),
            (State::Master, "owner", 1),
        ];
        assert!(counts.eq(expected), "{transitions:?}");
    }
}
