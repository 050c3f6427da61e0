//! Two nodes and the virtual addresses between them: ours next to C keepalived
//! on real kernel networking, in private namespaces.
//!
//! Every scenario is one body, run for ours and ours, ours and C, C and ours,
//! and for C and C, which validates the body itself. A scenario decides what an
//! operator must see; it knows nothing of how a daemon does it.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons in real time"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod bench;
mod election;
mod faults;
mod reload;
mod setups;
mod sync_groups;
mod wire_format;

use bench::Program::{C, Ours};
use bench::{run, run_scripts};

/// Declares the four tests of each scenario, run by the function named first.
macro_rules! for_each_pair {
    ($run:ident: $($scenario:ident => $body:path;)*) => {$(
        mod $scenario {
            use super::{C, Ours, $run};
            #[test]
            fn ours_and_ours() { $run(Ours, Ours, $body); }
            #[test]
            fn ours_and_c() { $run(Ours, C, $body); }
            #[test]
            fn c_and_ours() { $run(C, Ours, $body); }
            #[test]
            fn c_and_c() { $run(C, C, $body); }
        }
    )*};
}

for_each_pair! { run:
    first_election => crate::election::first_election;
    graceful_stop => crate::election::graceful_stop;
    power_off => crate::election::power_off;
    preemption => crate::election::preemption;
    no_preemption => crate::election::no_preemption;
    equal_priorities => crate::election::equal_priorities;
    wrong_password => crate::election::wrong_password;
    forged_adverts => crate::election::forged_adverts;
    unicast => crate::election::unicast;
    carrier_lost => crate::faults::carrier_lost;
    interface_down => crate::faults::interface_down;
    late_interface => crate::faults::late_interface;
    double_master => crate::setups::double_master;
    reloaded => crate::reload::reload;
    two_legs => crate::sync_groups::two_legs;
    mail_file => crate::setups::mail_file;
}

for_each_pair! { run_scripts:
    script_with_weight => crate::faults::script_with_weight;
    script_without_weight => crate::faults::script_without_weight;
    haproxy_pair => crate::setups::haproxy_pair;
    nginx_pair => crate::setups::nginx_pair;
    group_notifies => crate::sync_groups::notifies;
}

mod worker_killed {
    use super::{C, Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::faults::worker_killed);
    }
    #[test]
    fn ours_and_c() {
        run(Ours, C, crate::faults::worker_killed);
    }
}

mod read_by_tshark {
    use super::{C, Ours, run};
    #[test]
    fn ours() {
        run(Ours, Ours, crate::wire_format::read_by_tshark);
    }
    #[test]
    fn c() {
        run(C, C, crate::wire_format::read_by_tshark);
    }
}
