//! The state machine of one virtual router: one table.
//!
//! Decides, for each state and input, the next state and what has to be done.
//! Does not do it: `instance` carries the effects out, in the order in which
//! they are declared here. How an advert compares is decided in `election.rs`,
//! whether it is acceptable in `receive.rs`.
//!
//! Source: RFC 3768 section 6.4, specification F.2 to F.6.

use std::fmt;

use super::election::Rank;

/// Where an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started: its interface, or the first result of a script that can
    /// fault it, is not known yet.
    Init,
    /// Listens for a master.
    Backup,
    /// Holds the VIPs.
    Master,
    /// Cannot take part; holds nothing, sends nothing.
    Fault,
    /// Ended for good.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stopped => "STOP",
        })
    }
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// Everything needed is known, and nothing stands against taking part.
    Ready,
    /// The timer ran out: master down in BACKUP, advert interval in MASTER.
    TimerExpired,
    /// An acceptable advert of priority 0: its sender stops being master.
    PriorityZero,
    /// An acceptable advert of any other priority.
    Advert(Rank),
    /// Something stands against taking part: link, address, script.
    Fault,
    /// Nothing stands against it any more.
    Recovered,
    /// The timer ran out in BACKUP, and the sync group does not allow MASTER yet.
    TimerHeld,
    /// Another member of the sync group gave way to a better master.
    GroupGaveWay,
    /// It stood still for so long that another node must be master.
    Superseded,
    /// The daemon stops, or the instance is taken out of the configuration.
    Stop,
    /// `fast_handover`: a peer is better now and shall take over.
    HandOver,
    /// `vip_loss reelect`: somebody else took away what it had in the kernel.
    Lost,
}

/// What the table has to know of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Params {
    /// The priority of the configuration is 255.
    pub owner: bool,
    /// `nopreempt`, or a `preempt_delay` that has not passed: a lower master is
    /// left alone.
    pub nopreempt: bool,
    /// `lower_prio_no_advert`: an advert of lower priority gets no answer.
    pub silent_to_lower: bool,
    /// `higher_prio_send_advert`: one more advert before giving way to a higher
    /// priority.
    pub last_word_to_higher: bool,
}

/// A set of things to do; carried out in the order of the constants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Effects(u16);

impl Effects {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Send an advert of priority 0.
    pub const SEND_PRIORITY_ZERO: Self = Self(1 << 0);
    /// Send an advert.
    pub const SEND_ADVERT: Self = Self(1 << 1);
    /// Remember the sender as the master.
    pub const LEARN_MASTER: Self = Self(1 << 2);
    /// Put the VIPs on; gratuitous ARP follows when they are.
    pub const INSTALL: Self = Self(1 << 3);
    /// Take the VIPs off.
    pub const REMOVE: Self = Self(1 << 4);
    /// Repeat gratuitous ARP, since somebody else claimed the VIPs.
    pub const REPEAT_GARP: Self = Self(1 << 5);
    /// Wait for the next own advert.
    pub const ARM_ADVERT: Self = Self(1 << 6);
    /// Wait for the master to go silent.
    pub const ARM_MASTER_DOWN: Self = Self(1 << 7);
    /// Wait a skew time only.
    pub const ARM_SKEW: Self = Self(1 << 8);
    /// Wait for nothing.
    pub const DISARM: Self = Self(1 << 9);
    /// Warn of a sender that uses our own address.
    pub const WARN_OWN_ADDRESS: Self = Self(1 << 10);
    /// Note that a lower master is about to be superseded.
    pub const NOTE_LOWER: Self = Self(1 << 11);

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 12] = [
            "priority 0",
            "advert",
            "learn",
            "install",
            "remove",
            "garp",
            "arm advert",
            "arm master down",
            "arm skew",
            "disarm",
            "warn",
            "note lower",
        ];
        let set = NAMES.iter().enumerate();
        let names = set.filter(|(bit, _)| self.0 & (1 << bit) != 0);
        f.debug_list().entries(names.map(|(_, name)| name)).finish()
    }
}

/// The next state, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Where the instance is now; its being another one than before is what
    /// gets logged and notified.
    pub state: State,
    /// What to do.
    pub effects: Effects,
}

const BECOME_MASTER: Effects = Effects::SEND_ADVERT
    .and(Effects::INSTALL)
    .and(Effects::ARM_ADVERT);
const YIELD: Effects = Effects::LEARN_MASTER
    .and(Effects::REMOVE)
    .and(Effects::ARM_MASTER_DOWN);
const ACCEPT: Effects = Effects::LEARN_MASTER.and(Effects::ARM_MASTER_DOWN);
const ANSWER: Effects = Effects::SEND_ADVERT.and(Effects::ARM_ADVERT);
const RESIGN: Effects = Effects::SEND_PRIORITY_ZERO
    .and(Effects::REMOVE)
    .and(Effects::DISARM);

/// The table. Total: every state answers every input.
pub const fn transition(state: State, input: Input, params: Params) -> Transition {
    match state {
        State::Init => init(input, params),
        State::Backup => backup(input, params),
        State::Master => master(input, params),
        State::Fault => fault(input),
        State::Stopped => to(State::Stopped, Effects::NONE),
    }
}

const fn to(state: State, effects: Effects) -> Transition {
    Transition { state, effects }
}

/// RFC 3768 section 6.4.1; specification F.2.
const fn init(input: Input, params: Params) -> Transition {
    match input {
        // The owner does not wait: nobody can have a better claim.
        Input::Ready if params.owner => to(State::Master, BECOME_MASTER),
        // Everybody else listens first, also with `state MASTER`.
        Input::Ready => to(State::Backup, Effects::ARM_MASTER_DOWN),
        Input::Fault => to(State::Fault, Effects::NONE),
        Input::Stop => to(State::Stopped, Effects::DISARM),
        Input::TimerExpired
        | Input::PriorityZero
        | Input::Advert(_)
        | Input::Recovered
        | Input::TimerHeld
        | Input::GroupGaveWay
        | Input::Superseded
        | Input::HandOver
        | Input::Lost => to(State::Init, Effects::NONE),
    }
}

/// RFC 3768 section 6.4.2; specification F.3.
const fn backup(input: Input, params: Params) -> Transition {
    match input {
        Input::TimerExpired => to(State::Master, BECOME_MASTER),
        // Specification F.7: the member waits for the others.
        Input::TimerHeld => to(State::Backup, Effects::ARM_MASTER_DOWN),
        Input::PriorityZero => to(State::Backup, Effects::ARM_SKEW),
        // The address does not matter to a backup.
        Input::Advert(
            Rank::Higher
            | Rank::EqualHigherAddress
            | Rank::EqualSameAddress
            | Rank::EqualLowerAddress,
        ) => to(State::Backup, ACCEPT),
        Input::Advert(Rank::Lower) if params.nopreempt => to(State::Backup, ACCEPT),
        // The timer runs on: what is left of it is all that the lower master gets.
        Input::Advert(Rank::Lower) => to(State::Backup, Effects::NOTE_LOWER),
        Input::Fault => to(State::Fault, Effects::DISARM),
        Input::Stop => to(State::Stopped, Effects::DISARM),
        Input::Ready
        | Input::Recovered
        | Input::GroupGaveWay
        | Input::Superseded
        | Input::HandOver
        | Input::Lost => to(State::Backup, Effects::NONE),
    }
}

/// RFC 3768 section 6.4.3; specification F.4, F.5.
const fn master(input: Input, params: Params) -> Transition {
    match input {
        Input::TimerExpired => to(State::Master, ANSWER),
        Input::PriorityZero => to(State::Master, ANSWER),
        Input::Advert(Rank::Higher | Rank::EqualHigherAddress) if params.last_word_to_higher => {
            to(State::Backup, Effects::SEND_ADVERT.and(YIELD))
        }
        Input::Advert(Rank::Higher | Rank::EqualHigherAddress) => to(State::Backup, YIELD),
        Input::Advert(Rank::EqualSameAddress) => to(State::Master, Effects::WARN_OWN_ADDRESS),
        Input::Advert(Rank::Lower | Rank::EqualLowerAddress) if params.silent_to_lower => {
            to(State::Master, Effects::REPEAT_GARP)
        }
        Input::Advert(Rank::Lower | Rank::EqualLowerAddress) => {
            to(State::Master, ANSWER.and(Effects::REPEAT_GARP))
        }
        Input::Fault => to(State::Fault, RESIGN),
        Input::Stop => to(State::Stopped, RESIGN),
        // No priority 0: nobody better is known on this wire, so the backups there
        // wait for the whole group of theirs (specification F.7).
        // Nor after a standstill: those who are left to listen have one already, or
        // will in their own time.
        Input::GroupGaveWay | Input::Superseded => {
            to(State::Backup, Effects::REMOVE.and(Effects::ARM_MASTER_DOWN))
        }
        // Not of any RFC: everybody counts from here, we among them, and who is best
        // speaks first. Until somebody better has spoken the VIPs stay.
        Input::HandOver => to(
            State::Master,
            Effects::SEND_PRIORITY_ZERO.and(Effects::ARM_SKEW),
        ),
        // Specification F.9: all that is left goes too, and whoever is best after a skew
        // time, often itself, puts everything on.
        Input::Lost => to(
            State::Backup,
            Effects::SEND_PRIORITY_ZERO
                .and(Effects::REMOVE)
                .and(Effects::ARM_SKEW),
        ),
        Input::Ready | Input::Recovered | Input::TimerHeld => to(State::Master, Effects::NONE),
    }
}

/// Specification F.6: recovery leads through BACKUP with a full timer, the
/// owner's too.
const fn fault(input: Input) -> Transition {
    match input {
        Input::Recovered => to(State::Backup, Effects::ARM_MASTER_DOWN),
        Input::Stop => to(State::Stopped, Effects::DISARM),
        Input::Ready
        | Input::TimerExpired
        | Input::PriorityZero
        | Input::Advert(_)
        | Input::Fault
        | Input::TimerHeld
        | Input::GroupGaveWay
        | Input::Superseded
        | Input::HandOver
        | Input::Lost => to(State::Fault, Effects::NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Params = Params {
        owner: false,
        nopreempt: false,
        silent_to_lower: false,
        last_word_to_higher: false,
    };
    const OWNER: Params = Params {
        owner: true,
        ..PLAIN
    };
    const NOPREEMPT: Params = Params {
        nopreempt: true,
        ..PLAIN
    };

    const SILENT: Params = Params {
        silent_to_lower: true,
        ..PLAIN
    };
    const LAST_WORD: Params = Params {
        last_word_to_higher: true,
        ..PLAIN
    };
    const EVERYTHING: Params = Params {
        owner: true,
        nopreempt: true,
        silent_to_lower: true,
        last_word_to_higher: true,
    };
    const ALL: [Params; 6] = [PLAIN, OWNER, NOPREEMPT, SILENT, LAST_WORD, EVERYTHING];

    const STATES: [State; 5] = [
        State::Init,
        State::Backup,
        State::Master,
        State::Fault,
        State::Stopped,
    ];
    const INPUTS: [Input; 16] = [
        Input::Ready,
        Input::TimerExpired,
        Input::PriorityZero,
        Input::Advert(Rank::Higher),
        Input::Advert(Rank::EqualHigherAddress),
        Input::Advert(Rank::EqualSameAddress),
        Input::Advert(Rank::EqualLowerAddress),
        Input::Advert(Rank::Lower),
        Input::Fault,
        Input::Recovered,
        Input::Stop,
        Input::TimerHeld,
        Input::GroupGaveWay,
        Input::Superseded,
        Input::HandOver,
        Input::Lost,
    ];

    /// The effects by name, so that the expectation is read and not recomputed.
    fn effects(names: &str) -> Effects {
        names.split_whitespace().fold(Effects::NONE, |set, name| {
            set.and(match name {
                "zero" => Effects::SEND_PRIORITY_ZERO,
                "advert" => Effects::SEND_ADVERT,
                "learn" => Effects::LEARN_MASTER,
                "install" => Effects::INSTALL,
                "remove" => Effects::REMOVE,
                "garp" => Effects::REPEAT_GARP,
                "arm-advert" => Effects::ARM_ADVERT,
                "arm-down" => Effects::ARM_MASTER_DOWN,
                "arm-skew" => Effects::ARM_SKEW,
                "disarm" => Effects::DISARM,
                "warn" => Effects::WARN_OWN_ADDRESS,
                "note" => Effects::NOTE_LOWER,
                other => panic!("no effect is called {other}"),
            })
        })
    }

    fn check(params: Params, state: State, expected: [(State, &str); 16]) {
        for (input, (next, names)) in INPUTS.into_iter().zip(expected) {
            let got = transition(state, input, params);
            let want = Transition {
                state: next,
                effects: effects(names),
            };
            let section = section(state, input);
            assert_eq!(
                got, want,
                "{state:?} on {input:?} with {params:?}: {section}"
            );
        }
    }

    /// Where the expectation of a cell comes from. RFC 9568 words version 3 as RFC 3768
    /// words version 2, but for what a MASTER does with an advert that loses.
    const fn section(state: State, input: Input) -> &'static str {
        match (state, input) {
            (State::Init, Input::Ready) => "RFC 3768 section 6.4.1; RFC 9568 section 6.4.1",
            (
                State::Backup,
                Input::TimerExpired | Input::PriorityZero | Input::Advert(_) | Input::Stop,
            ) => "RFC 3768 section 6.4.2; RFC 9568 section 6.4.2",
            (State::Master, Input::Advert(Rank::EqualLowerAddress | Rank::Lower)) => {
                "RFC 9568 section 6.4.3; RFC 3768 section 6.4.3 sends no answer"
            }
            (State::Master, Input::Advert(Rank::EqualSameAddress)) => {
                "no RFC: a loop or a second node with our address; specification F.4"
            }
            (
                State::Master,
                Input::TimerExpired | Input::PriorityZero | Input::Advert(_) | Input::Stop,
            ) => "RFC 3768 section 6.4.3; RFC 9568 section 6.4.3",
            (State::Fault, _) | (_, Input::Fault | Input::Recovered) => {
                "no RFC: they know no FAULT; specification F.6"
            }
            (_, Input::TimerHeld | Input::GroupGaveWay) => {
                "no RFC: they know no groups; specification F.7"
            }
            (_, Input::HandOver) => "no RFC: fast_handover departs from them",
            (_, Input::Lost) => "no RFC: they know no thief; specification F.9",
            (_, Input::Superseded) => "no RFC: they know no standstill; specification F.9",
            // What ended, or has not begun, hears nothing; what runs is ready already.
            (State::Stopped, _) | (State::Init, _) | (_, Input::Ready) => {
                "no RFC: cannot happen, and changes nothing; specification F.2"
            }
        }
    }

    /// RFC 3768 section 6.4.1; specification F.2.
    #[test]
    fn init_waits_until_it_is_ready() {
        let rest = [(State::Init, ""); 7];
        let row = |first| {
            let mut cells = [(State::Init, ""); 16];
            cells[0] = first;
            cells[1..8].copy_from_slice(&rest);
            cells[8] = (State::Fault, "");
            cells[10] = (State::Stopped, "disarm");
            cells
        };
        for params in [PLAIN, NOPREEMPT, SILENT, LAST_WORD] {
            check(params, State::Init, row((State::Backup, "arm-down")));
        }
        let become_master = (State::Master, "advert install arm-advert");
        for params in [OWNER, EVERYTHING] {
            check(params, State::Init, row(become_master));
        }
    }

    /// RFC 3768 section 6.4.2, RFC 9568 section 6.4.2; specification F.3.
    #[test]
    fn backup_follows_a_better_master_and_outlives_a_silent_one() {
        let row = |lower| {
            let accept = (State::Backup, "learn arm-down");
            [
                (State::Backup, ""),
                (State::Master, "advert install arm-advert"),
                (State::Backup, "arm-skew"),
                accept,
                accept,
                accept,
                accept,
                lower,
                (State::Fault, "disarm"),
                (State::Backup, ""),
                (State::Stopped, "disarm"),
                (State::Backup, "arm-down"),
                (State::Backup, ""),
                (State::Backup, ""),
                (State::Backup, ""),
                (State::Backup, ""),
            ]
        };
        for params in [PLAIN, OWNER, SILENT, LAST_WORD] {
            check(params, State::Backup, row((State::Backup, "note")));
        }
        let accept = (State::Backup, "learn arm-down");
        for params in [NOPREEMPT, EVERYTHING] {
            check(params, State::Backup, row(accept));
        }
    }

    /// RFC 3768 section 6.4.3, RFC 9568 section 6.4.3; specification F.4 for
    /// what the words of the configuration change.
    #[test]
    fn master_yields_to_better_and_answers_the_rest() {
        let yields = (State::Backup, "learn remove arm-down");
        let answers = (State::Master, "advert garp arm-advert");
        let row = |yields, answers| {
            [
                (State::Master, ""),
                (State::Master, "advert arm-advert"),
                (State::Master, "advert arm-advert"),
                yields,
                yields,
                (State::Master, "warn"),
                answers,
                answers,
                (State::Fault, "zero remove disarm"),
                (State::Master, ""),
                (State::Stopped, "zero remove disarm"),
                (State::Master, ""),
                (State::Backup, "remove arm-down"),
                (State::Backup, "remove arm-down"),
                (State::Master, "zero arm-skew"),
                (State::Backup, "zero remove arm-skew"),
            ]
        };
        for params in [PLAIN, OWNER, NOPREEMPT] {
            check(params, State::Master, row(yields, answers));
        }
        let only_announces = (State::Master, "garp");
        check(SILENT, State::Master, row(yields, only_announces));
        let speaks_once_more = (State::Backup, "advert learn remove arm-down");
        check(LAST_WORD, State::Master, row(speaks_once_more, answers));
        check(
            EVERYTHING,
            State::Master,
            row(speaks_once_more, only_announces),
        );
    }

    /// No RFC has this state; specification F.6.
    #[test]
    fn fault_ignores_everything_but_its_end() {
        let mut row = [(State::Fault, ""); 16];
        row[9] = (State::Backup, "arm-down");
        row[10] = (State::Stopped, "disarm");
        for params in ALL {
            check(params, State::Fault, row);
        }
    }

    /// The Initialize state after a Shutdown event of RFC 3768 section 6.4; here nothing
    /// leads out of it.
    #[test]
    fn stopped_is_the_end() {
        for params in ALL {
            check(params, State::Stopped, [(State::Stopped, ""); 16]);
        }
    }

    /// What must hold whatever the table says: VIPs go on with MASTER and off
    /// with its end, and nowhere else.
    #[test]
    fn vips_follow_the_state() {
        for params in ALL {
            for state in STATES {
                for input in INPUTS {
                    let next = transition(state, input, params);
                    let enters = state != State::Master && next.state == State::Master;
                    let leaves = state == State::Master && next.state != State::Master;
                    assert_eq!(next.effects.contains(Effects::INSTALL), enters);
                    assert_eq!(next.effects.contains(Effects::REMOVE), leaves);
                }
            }
        }
    }
}
