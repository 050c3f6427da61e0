//! When a change of a link counts (specification D.6): what is polled beside what the
//! kernel tells, and how long a change is waited with.
//!
//! Decides whether an interface passes for up. What follows from that is decided by
//! the instances. An interface that comes into being passes for what it is, at once.

use std::collections::BTreeMap;

use crate::config::model::Config;
use crate::ids::IfIndex;
use crate::time::Interval;

use super::event::InterfaceState;

/// What is known of links besides the table of interfaces.
#[derive(Debug, Default)]
pub struct LinkStates {
    /// Whether the kernel says that it is up, by number.
    told: BTreeMap<IfIndex, bool>,
    /// Whether it was up when it was polled last, by name. One that was not polled yet
    /// is as the kernel says.
    polled: BTreeMap<String, bool>,
    delays: BTreeMap<String, Delays>,
}

/// How long a change of one interface is waited with.
#[derive(Debug, Clone, Copy)]
struct Delays {
    down: Interval,
    up: Interval,
}

/// What a report means for an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes for what it is.
    Is(bool),
    /// It passes for what it was; the change counts after this time, unless it is
    /// being waited with already.
    After(Interval),
}

impl LinkStates {
    /// Goes over to these settings.
    pub fn adopt(&mut self, config: &Config) {
        let delays = config.interface_delays.iter();
        let delays = delays.map(|line| {
            let (down, up) = (line.down, line.up);
            (line.interface.clone(), Delays { down, up })
        });
        self.delays = delays.collect();
        let polled = config.polled_interfaces();
        self.polled
            .retain(|name, _| polled.iter().any(|line| line.interface == *name));
    }

    /// Notes what the kernel says of an interface. `before`: whether the interface of
    /// this number and name passed for up, if it was there. `base`: the name of the
    /// interface below it, or its own.
    pub fn told(&mut self, state: &InterfaceState, base: &str, before: Option<bool>) -> Verdict {
        self.told.insert(state.index, state.up);
        self.verdict((state.index, &state.name), base, before)
    }

    /// Notes what polling has found; whether that is new.
    pub fn polled(&mut self, interface: &str, up: bool) -> bool {
        self.polled.insert(interface.to_owned(), up) != Some(up)
    }

    /// Whether polling has found anything of an interface.
    pub fn is_polled(&self, interface: &str) -> bool {
        self.polled.contains_key(interface)
    }

    /// Forgets an interface that is gone.
    pub fn forget(&mut self, index: IfIndex, interface: &str) {
        self.told.remove(&index);
        self.polled.remove(interface);
    }

    /// Whether the kernel says that it is up.
    pub fn is_told_up(&self, index: IfIndex) -> bool {
        self.told.get(&index) == Some(&true)
    }

    /// Whether the kernel says that it is down.
    pub fn is_told_down(&self, index: IfIndex) -> bool {
        self.told.get(&index) == Some(&false)
    }

    /// Whether an interface is up, without any delay.
    pub fn is_up(&self, index: IfIndex, name: &str) -> bool {
        let told = self.told.get(&index).copied().unwrap_or_default();
        told && self.polled.get(name).copied().unwrap_or(true)
    }

    /// What an interface passes for that passed for up or down `before`. One above another
    /// goes down and up with that, and is held as long.
    pub fn verdict(
        &self,
        (index, name): (IfIndex, &str),
        base: &str,
        before: Option<bool>,
    ) -> Verdict {
        let up = self.is_up(index, name);
        let delays = self.delays.get(name).or_else(|| self.delays.get(base));
        let delays = delays.filter(|_| before == Some(!up));
        let delay = delays.map(|delays| if up { delays.up } else { delays.down });
        match delay.filter(|delay| !delay.is_zero()) {
            Some(delay) => Verdict::After(delay),
            None => Verdict::Is(up),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{InterfaceDelay, LinkbeatInterface};
    use crate::ids::MacAddress;
    use crate::vrrp::event::LinkDetails;

    const INDEX: IfIndex = IfIndex(3);

    fn state(up: bool) -> InterfaceState {
        InterfaceState {
            index: INDEX,
            name: "e0".into(),
            up,
            loopback: false,
            multicast: true,
            no_arp: false,
            forwarding: false,
            mac: MacAddress([2; 6]),
            mtu: 1500,
            link: LinkDetails::default(),
            addresses: Vec::new(),
        }
    }

    fn with(down_ms: u64, up_ms: u64) -> LinkStates {
        let mut states = LinkStates::default();
        states.adopt(&Config {
            interface_delays: vec![InterfaceDelay {
                interface: "e0".into(),
                down: Interval::from_ms(down_ms),
                up: Interval::from_ms(up_ms),
            }],
            linkbeat_interfaces: vec![LinkbeatInterface {
                interface: "e0".into(),
                method: None,
            }],
            ..Config::default()
        });
        states
    }

    #[test]
    fn a_delay_is_that_of_its_direction_and_of_a_change_only() {
        let mut states = with(5, 0);
        assert_eq!(states.told(&state(false), "e0", None), Verdict::Is(false));
        assert_eq!(
            states.told(&state(true), "e0", Some(false)),
            Verdict::Is(true)
        );
        let down = Verdict::After(Interval::from_ms(5));
        assert_eq!(states.told(&state(false), "e0", Some(true)), down);
        assert_eq!(
            states.told(&state(true), "e0", Some(true)),
            Verdict::Is(true)
        );
        let up = Verdict::After(Interval::from_ms(7));
        assert_eq!(with(0, 7).told(&state(true), "e0", Some(false)), up);
    }

    #[test]
    fn a_link_is_up_when_both_say_so() {
        let mut states = with(0, 0);
        assert_eq!(states.told(&state(true), "e0", None), Verdict::Is(true));
        assert!(states.polled("e0", false));
        assert!(!states.polled("e0", false));
        assert!(!states.is_up(INDEX, "e0"));
        assert_eq!(
            states.told(&state(true), "e0", Some(false)),
            Verdict::Is(false)
        );
        assert!(states.polled("e0", true));
        assert!(states.is_up(INDEX, "e0"));
        assert_eq!(
            states.told(&state(false), "e0", Some(true)),
            Verdict::Is(false)
        );
        // Whoever is not polled any more is as the kernel says.
        states.told(&state(true), "e0", None);
        states.polled("e0", false);
        states.adopt(&Config::default());
        assert!(states.is_up(INDEX, "e0"));
    }

    #[test]
    fn an_interface_that_comes_back_is_not_judged_by_what_was_there_before() {
        let mut states = with(0, 0);
        states.told(&state(true), "e0", None);
        states.polled("e0", false);
        states.forget(INDEX, "e0");
        assert!(!states.is_up(INDEX, "e0"));
        assert_eq!(states.told(&state(true), "e0", None), Verdict::Is(true));
    }
}
