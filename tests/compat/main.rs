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

mod announcements;
mod any_lines;
mod anywhere;
mod authentication;
mod balancers;
mod bench;
mod checksums;
mod container;
mod contended;
#[cfg(feature = "dbus")]
mod dbus;
mod drain;
mod election;
mod families;
mod fast_handover;
mod faults;
mod fifo;
mod firewall;
mod frr;
mod hostile;
mod init_script;
mod interfaces;
mod kernel;
mod lateness;
mod mail;
mod mail_hostile;
mod metrics;
mod notify;
mod owner;
mod realtime;
mod reload;
mod reload_live;
mod rights;
mod scripts;
mod setups;
mod start_delays;
mod sync_groups;
mod tracking;
mod tricks;
mod virtual_mac;
mod wire_format;
mod words;

use balancers::run as run_balancers;
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
    signed_header => crate::authentication::signed_header;
    wrong_header_password => crate::authentication::wrong_password;
    forged_adverts => crate::election::forged_adverts;
    unicast => crate::election::unicast;
    carrier_lost => crate::faults::carrier_lost;
    interface_down => crate::faults::interface_down;
    late_interface => crate::faults::late_interface;
    double_master => crate::setups::double_master;
    reloaded => crate::reload::reload;
    reloaded_live => crate::reload_live::live;
    two_legs => crate::sync_groups::two_legs;
    mail_file => crate::setups::mail_file;
    mail_texts => crate::mail::texts;
    v3_one_second => crate::families::v3_one_second;
    v3_tenth => crate::families::v3_tenth;
    v3_hundredth => crate::families::v3_hundredth;
    v3_ipv6 => crate::families::v3_ipv6;
    ipv6_interface_down => crate::families::ipv6_interface_down;
    v3_unicast => crate::families::v3_unicast;
    v3_ipv6_unicast => crate::families::v3_ipv6_unicast;
    v2_unicast_ttl => crate::families::v2_unicast_ttl;
    preempt_delay => crate::words::preempt_delay;
    v3_no_preemption => crate::words::no_preemption;
    excluded_addresses => crate::words::excluded_addresses;
    tracked_interface => crate::words::tracked_interface;
    tracked_interface_with_weight => crate::words::tracked_interface_with_weight;
    different_versions => crate::words::different_versions;
    two_owners => crate::owner::two_owners;
    strict_and_accepting => crate::owner::strict_and_accepting;
    no_accept => crate::firewall::no_accept;
    tracked_file_with_weight => crate::tracking::file_with_weight;
    tracked_file_without_weight => crate::tracking::file_without_weight;
    virtual_mac_v4 => crate::virtual_mac::life_v4;
    virtual_mac_v6 => crate::virtual_mac::life_v6;
    virtual_mac_transmitted_on_base => crate::virtual_mac::transmitted_on_base;
    virtual_mac_unicast => crate::virtual_mac::unicast;
    virtual_mac_down => crate::virtual_mac::link_down;
}

// C goes through FAULT when its virtual MAC is deleted, loses addresses in a reload that
// renames it, and has no clean-up.
mod virtual_mac_of_ours {
    use super::{C, Ours, run};
    use crate::virtual_mac;
    #[test]
    fn a3_silence_v4_beside_ours() {
        run(Ours, Ours, virtual_mac::silence_v4);
    }
    #[test]
    fn a3_silence_v4_beside_c() {
        run(C, Ours, virtual_mac::silence_v4);
    }
    #[test]
    fn a3_silence_v6_beside_ours() {
        run(Ours, Ours, virtual_mac::silence_v6);
    }
    #[test]
    fn a3_silence_v6_beside_c() {
        run(C, Ours, virtual_mac::silence_v6);
    }
    #[test]
    fn deleted_beside_ours() {
        run(Ours, Ours, virtual_mac::deleted);
    }
    #[test]
    fn deleted_beside_c() {
        run(Ours, C, virtual_mac::deleted);
    }
    #[test]
    fn reloaded_beside_ours() {
        run(Ours, Ours, virtual_mac::reloaded);
    }
    #[test]
    fn reloaded_beside_c() {
        run(Ours, C, virtual_mac::reloaded);
    }
    #[test]
    fn other_links() {
        run(Ours, Ours, virtual_mac::other_links);
    }
    #[test]
    fn taken_names() {
        run(Ours, Ours, virtual_mac::taken_names);
    }
    #[test]
    fn many_with_few_open_files() {
        run(Ours, Ours, virtual_mac::many_with_few_open_files);
    }
    #[test]
    fn a5_killed() {
        run(Ours, Ours, virtual_mac::killed);
    }
}

for_each_pair! { run_scripts:
    script_with_weight => crate::faults::script_with_weight;
    script_without_weight => crate::faults::script_without_weight;
    haproxy_pair => crate::setups::haproxy_pair;
    nginx_pair => crate::setups::nginx_pair;
    group_notifies => crate::sync_groups::notifies;
    lower_priority_heard => crate::owner::lower_priority_heard;
}

// C counts processes in the first process namespace only, and these have their own.
mod tracked_process {
    use super::Ours;
    use crate::tracking::{self, run_with_balancers};
    #[test]
    fn haproxy() {
        run_with_balancers(Ours, Ours, tracking::haproxy);
    }
    #[test]
    fn nginx() {
        run_with_balancers(Ours, Ours, tracking::nginx);
    }
    #[test]
    fn forks() {
        crate::bench::run(Ours, Ours, tracking::forks);
    }
}

mod script_results {
    use super::{C, Ours, run_scripts};
    #[test]
    fn ours() {
        run_scripts(Ours, Ours, crate::scripts::results);
    }
    #[test]
    fn c() {
        run_scripts(C, C, crate::scripts::results);
    }
}

mod script_weights {
    use super::{C, Ours, run_scripts};
    #[test]
    fn ours() {
        run_scripts(Ours, Ours, crate::scripts::weights);
    }
    #[test]
    fn c() {
        run_scripts(C, C, crate::scripts::weights);
    }
}

mod notify_sequence {
    use super::{C, Ours, run_scripts};
    use crate::notify::sequence;
    #[test]
    fn ours_and_c() {
        run_scripts(Ours, C, sequence);
    }
    #[test]
    fn c_and_ours() {
        run_scripts(C, Ours, sequence);
    }
}

/// Declares tests of one node with scripts, each for both daemons.
macro_rules! for_each_program_with_scripts {
    ($($scenario:ident => $body:path;)*) => {$(
        mod $scenario {
            use super::{C, Ours, run_scripts};
            #[test]
            fn ours() { run_scripts(Ours, Ours, $body); }
            #[test]
            fn c() { run_scripts(C, C, $body); }
        }
    )*};
}

for_each_program_with_scripts! {
    lifecycle_scripts => crate::notify::lifecycle;
    lifecycle_limits => crate::notify::lifecycle_limits;
    lifecycle_stopped_early => crate::notify::stopped_early;
}

// C starts all at once, ends none, and adds nothing to the environment.
mod notify_scripts {
    use super::{Ours, run};
    use crate::notify;
    #[test]
    fn environment() {
        run(Ours, Ours, notify::environment);
    }
    #[test]
    fn hostile() {
        run(Ours, Ours, notify::hostile);
    }
    #[test]
    fn burst() {
        run(Ours, Ours, notify::burst);
    }
}

// What C does with some of these is the reason for them.
mod hostile_scripts {
    use super::{Ours, run};
    use crate::scripts;
    #[test]
    fn stubborn() {
        run(Ours, Ours, scripts::stubborn);
    }
    #[test]
    fn detached() {
        run(Ours, Ours, scripts::detached);
    }
    #[test]
    fn torrent() {
        run(Ours, Ours, scripts::torrent);
    }
    #[test]
    fn swapped() {
        scripts::run_with_security(scripts::swapped);
    }
    #[test]
    fn open_directory() {
        scripts::run_with_security(scripts::open_directory);
    }
    #[test]
    fn appears() {
        scripts::run_with_security(scripts::appears);
    }
    #[test]
    fn crowd() {
        scripts::run_with_security(scripts::crowd);
    }
}

for_each_pair! { run_balancers:
    real_nginx => crate::balancers::nginx;
    real_haproxy => crate::balancers::haproxy;
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

mod mail_server {
    use crate::mail::run;
    #[test]
    fn encrypted_and_with_a_login() {
        run(crate::mail::encrypted);
    }
    #[test]
    fn refused() {
        run(crate::mail::refused);
    }
}

mod hostile_mail_servers {
    use super::{Ours, run};
    #[test]
    fn silent() {
        run(Ours, Ours, crate::mail_hostile::silent);
    }
    #[test]
    fn garbage() {
        run(Ours, Ours, crate::mail_hostile::garbage);
    }
    #[test]
    fn half_way() {
        run(Ours, Ours, crate::mail_hostile::half_way);
    }
    #[test]
    fn endless_line() {
        run(Ours, Ours, crate::mail_hostile::endless_line);
    }
    #[test]
    fn byte_by_byte() {
        run(Ours, Ours, crate::mail_hostile::byte_by_byte);
    }
    #[test]
    fn refused_recipient() {
        run(Ours, Ours, crate::mail_hostile::refused_recipient);
    }
    #[test]
    fn reload() {
        run(Ours, Ours, crate::mail_hostile::reload);
    }
}

mod served_metrics {
    use super::{Ours, run};
    #[test]
    fn flood() {
        run(Ours, Ours, crate::metrics::flood);
    }
}

// Not with C: it loses an address that moves from one of its instances to another.
mod moved_address {
    use super::{Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::reload_live::moved);
    }
}

// Not with C: an invalid advert makes its master put off the next one, so that a
// flood of them silences it.
mod hostile_packets {
    use super::{Ours, run};
    #[test]
    fn version_2() {
        run(Ours, Ours, crate::hostile::version_2);
    }
    #[test]
    fn version_3() {
        run(Ours, Ours, crate::hostile::version_3);
    }
    #[test]
    fn ipv6() {
        run(Ours, Ours, crate::hostile::ipv6);
    }
    #[test]
    fn signed() {
        run(Ours, Ours, crate::hostile::signed);
    }
    #[test]
    fn from_scapy() {
        run(Ours, Ours, crate::hostile::from_scapy);
    }
}

/// The first node says it; the second is C or ours.
macro_rules! contended_with {
    ($($scenario:ident)*) => {$(
        mod $scenario {
            use super::super::{C, Ours, run};
            #[test]
            fn ours() { run(Ours, Ours, crate::contended::$scenario); }
            #[test]
            fn c() { run(Ours, C, crate::contended::$scenario); }
        }
    )*};
}

mod contended_with {
    contended_with! { wrong_password other_interval one_way not_a_peer preemption }
}

/// Declares tests of one node, each for both daemons.
macro_rules! for_each_program {
    ($($scenario:ident => $body:path;)*) => {$(
        mod $scenario {
            use super::{C, Ours, run};
            #[test]
            fn ours() { run(Ours, Ours, $body); }
            #[test]
            fn c() { run(C, C, $body); }
        }
    )*};
}

for_each_program! {
    garp_group => crate::announcements::group;
    router_flag => crate::announcements::router;
    garp_extra_if => crate::announcements::other_interface;
}

// Not with C: it sends the packet at the first news of its interface, which may be
// too early for it to leave.
mod own_address {
    use super::{Ours, run};
    #[test]
    fn ours() {
        run(Ours, Ours, crate::announcements::own_address);
    }
}

for_each_pair! { run:
    one_vrid_twice => crate::anywhere::one_vrid_twice;
    unknown_vrid => crate::anywhere::unknown_vrid;
}

// Where C has the place of ours it names its interface.
mod anywhere_ipv4 {
    use super::{C, Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::anywhere::ipv4);
    }
    #[test]
    fn ours_and_c() {
        run(Ours, C, crate::anywhere::ipv4);
    }
    #[test]
    fn c_and_ours() {
        run(C, Ours, crate::anywhere::ipv4);
    }
}

mod anywhere_ipv6 {
    use super::{C, Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::anywhere::ipv6);
    }
    #[test]
    fn c_and_ours() {
        run(C, Ours, crate::anywhere::ipv6);
    }
}

mod anywhere_source_lost {
    use super::{Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::anywhere::source_lost);
    }
}

mod v3_checksum_as_v2 {
    use super::{C, Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::families::v3_checksum_as_v2);
    }
    #[test]
    fn c_and_ours() {
        run(C, Ours, crate::families::v3_checksum_as_v2);
    }
}

mod with_frr {
    #[test]
    fn ipv4() {
        crate::frr::run(crate::frr::ipv4);
    }
    #[test]
    fn ipv6() {
        crate::frr::run(crate::frr::ipv6);
    }
}

mod signed_trailer {
    use super::{Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::authentication::signed_trailer);
    }
}

mod fast_handover_of_ours {
    use super::{C, Ours, run_scripts};
    #[test]
    fn beside_ours() {
        run_scripts(Ours, Ours, crate::fast_handover::weight);
    }
    #[test]
    fn beside_c() {
        run_scripts(Ours, C, crate::fast_handover::weight);
    }
    #[test]
    fn alone() {
        run_scripts(Ours, Ours, crate::fast_handover::alone);
    }
}

mod drained {
    use super::{C, Ours, run};
    #[test]
    fn beside_ours() {
        run(Ours, Ours, crate::drain::instance);
    }
    #[test]
    fn beside_c() {
        run(Ours, C, crate::drain::instance);
    }
    #[test]
    fn alone() {
        run(Ours, Ours, crate::drain::alone);
    }
}

mod signed_worker_killed {
    use super::{C, Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::authentication::signed_worker_killed);
    }
    #[test]
    fn ours_and_c() {
        run(Ours, C, crate::authentication::signed_worker_killed);
    }
}

mod deaf_owner {
    use super::{C, Ours, run};
    #[test]
    fn ours_and_ours() {
        run(Ours, Ours, crate::owner::deaf_owner);
    }
    #[test]
    fn ours_and_c() {
        run(Ours, C, crate::owner::deaf_owner);
    }
}

// One node, except where the other one is the master before.
mod startup_delay {
    use super::{C, Ours, run};
    #[test]
    fn ours() {
        run(Ours, Ours, crate::start_delays::backup);
    }
    #[test]
    fn c() {
        run(C, C, crate::start_delays::backup);
    }
    #[test]
    fn of_our_owner() {
        run(Ours, Ours, crate::start_delays::owner_begins);
    }
    #[test]
    fn of_the_owner_of_c() {
        run(C, C, crate::start_delays::owner_begins);
    }
    // C 2.2.7 never preempts after it.
    #[test]
    fn ours_after_ours() {
        run(Ours, Ours, crate::start_delays::preempts_afterwards);
    }
    #[test]
    fn ours_after_c() {
        run(Ours, C, crate::start_delays::preempts_afterwards);
    }
    #[test]
    fn is_over_for_a_new_worker() {
        run(Ours, Ours, crate::start_delays::not_for_a_new_worker);
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

mod any_lines_of_the_kernel {
    use super::{Ours, run};
    #[test]
    fn are_there_and_leave_nothing() {
        run(Ours, Ours, crate::any_lines::any_lines);
    }
}

mod changing_interfaces {
    use super::{C, Ours, run};
    use crate::interfaces;
    #[test]
    fn renamed() {
        run(Ours, Ours, interfaces::renamed);
    }
    #[test]
    fn created_again() {
        run(Ours, Ours, interfaces::created_again);
    }
    #[test]
    fn too_small_for_a_moment() {
        run(Ours, Ours, interfaces::too_small_for_a_moment);
    }
    #[test]
    fn other_hardware_address() {
        run(Ours, Ours, interfaces::other_hardware_address);
    }
    #[test]
    fn away_and_back() {
        run(Ours, Ours, interfaces::away_and_back);
    }
    #[test]
    fn source_address() {
        run(Ours, Ours, interfaces::source_address);
    }
    #[test]
    fn flushed() {
        run(Ours, Ours, interfaces::flushed);
    }
    #[test]
    fn tracked_source() {
        run(Ours, Ours, interfaces::tracked_source);
    }
    #[test]
    fn duplicate_link_local() {
        run(Ours, Ours, interfaces::duplicate_link_local);
    }
    #[test]
    fn duplicate_vip() {
        run(Ours, Ours, interfaces::duplicate_vip);
    }
    #[test]
    fn several_reasons() {
        run(Ours, Ours, interfaces::several_reasons);
    }
    #[test]
    fn debounced() {
        run(Ours, Ours, interfaces::debounced);
    }
    #[test]
    fn polled() {
        run(Ours, C, interfaces::polled);
    }
    #[test]
    fn polled_by_c() {
        run(C, C, interfaces::polled);
    }
    #[test]
    fn track_group() {
        run(Ours, Ours, interfaces::track_group);
    }
    #[test]
    fn track_group_of_c() {
        run(C, C, interfaces::track_group);
    }
    #[test]
    fn settings() {
        run(Ours, Ours, interfaces::settings);
    }
    #[test]
    fn settings_of_a_late_interface() {
        run(Ours, Ours, interfaces::settings_of_a_late_interface);
    }
    #[test]
    fn settings_of_c() {
        run(C, C, interfaces::settings);
    }
}

mod checksums_by_python {
    use super::{Ours, run};
    #[test]
    fn verified() {
        run(Ours, Ours, crate::checksums::verified);
    }
}

for_each_pair! { run:
    fifo_lines => crate::fifo::lines;
}

mod fifo_script {
    use super::{C, Ours, run_scripts};
    #[test]
    fn ours() {
        run_scripts(Ours, Ours, crate::fifo::script);
    }
    #[test]
    fn c() {
        run_scripts(C, C, crate::fifo::script);
    }
}

// C 2.2.7 writes into whatever it finds, and says nothing of lines that are lost.
mod hostile_fifo {
    use super::{Ours, run};
    #[test]
    fn replaced() {
        run(Ours, Ours, crate::fifo::replaced);
    }
    #[test]
    fn burst() {
        run(Ours, Ours, crate::fifo::burst);
    }
    #[test]
    fn kept() {
        run(Ours, Ours, crate::fifo::kept);
    }
}

mod real_time {
    use super::{C, Ours, run, run_scripts};
    #[test]
    fn values_of_ours() {
        run_scripts(Ours, Ours, crate::realtime::values);
    }
    #[test]
    fn values_of_c() {
        run_scripts(C, C, crate::realtime::values);
    }
    #[test]
    fn reloaded() {
        run(Ours, Ours, crate::realtime::reloaded);
    }
    #[test]
    fn buffers_of_ours() {
        run(Ours, Ours, crate::realtime::buffers);
    }
    #[test]
    fn buffers_of_c() {
        run(C, C, crate::realtime::buffers);
    }
    #[test]
    fn raised() {
        run(Ours, Ours, crate::realtime::raised);
    }
}

// C has none of this.
mod life_and_death {
    use super::{C, Ours, run};
    #[test]
    fn stalled_beside_ours() {
        run(Ours, Ours, crate::realtime::stalled);
    }
    #[test]
    fn stalled_beside_c() {
        run(Ours, C, crate::realtime::stalled);
    }
    #[test]
    fn cleaned_up() {
        run(Ours, Ours, crate::realtime::cleaned_up);
    }
    #[test]
    fn init_script() {
        run(Ours, Ours, crate::init_script::life);
    }
    #[test]
    fn next_start() {
        run(Ours, Ours, crate::realtime::next_start);
    }
    #[test]
    fn told_to_systemd() {
        run(Ours, Ours, crate::realtime::told_to_systemd);
    }
}

mod tricks_of_operators {
    use super::{C, Ours, run};
    use crate::tricks;
    #[test]
    fn address_deleted() {
        run(Ours, C, tricks::address_deleted);
    }
    #[test]
    fn address_deleted_from_c() {
        run(C, Ours, tricks::address_deleted);
    }
    #[test]
    fn addresses_flushed() {
        run(Ours, C, tricks::addresses_flushed);
    }
    #[test]
    fn addresses_flushed_from_c() {
        run(C, Ours, tricks::addresses_flushed);
    }
    #[test]
    fn source_removed() {
        run(Ours, C, tricks::source_removed);
    }
    #[test]
    fn source_removed_from_c() {
        run(C, Ours, tricks::source_removed);
    }
    #[test]
    fn link_down_and_up() {
        run(Ours, C, tricks::link_down_and_up);
    }
    #[test]
    fn link_of_c_down_and_up() {
        run(C, Ours, tricks::link_down_and_up);
    }
    #[test]
    fn interface_made_again() {
        run(Ours, C, tricks::interface_made_again);
    }
    #[test]
    fn interface_of_c_made_again() {
        run(C, Ours, tricks::interface_made_again);
    }
    #[test]
    fn reelect() {
        run(Ours, C, tricks::reelect);
    }
    #[test]
    fn reelect_of_c() {
        run(C, Ours, tricks::reelect);
    }
    // C has none of this.
    #[test]
    fn firewall_flushed() {
        run(Ours, Ours, tricks::firewall_flushed);
    }
    #[test]
    fn left_closed() {
        run(Ours, Ours, tricks::left_closed);
    }
    #[test]
    fn fight() {
        run(Ours, Ours, tricks::fight);
    }
    #[test]
    fn thousand() {
        run(Ours, Ours, tricks::thousand);
    }
}

// Ours on the first node, C on the second, one after the other.
mod in_the_kernel {
    use super::{C, Ours, run};
    use crate::kernel;
    #[test]
    fn same_as_c() {
        run(Ours, C, kernel::same_as_c);
    }
    #[test]
    fn static_ones() {
        run(Ours, C, kernel::static_ones);
    }
    #[test]
    fn better_than_c() {
        run(Ours, Ours, kernel::better_than_c);
    }
    #[test]
    fn put_back() {
        run(Ours, Ours, kernel::put_back);
    }
    #[test]
    fn tried_again() {
        run(Ours, Ours, kernel::tried_again);
    }
}

#[cfg(feature = "dbus")]
mod on_dbus {
    use super::{C, Ours, run};
    use crate::dbus;
    #[test]
    fn ours_as_master_and_c() {
        run(Ours, C, dbus::same_as_c);
    }
    #[test]
    fn c_and_ours_as_backup() {
        run(C, Ours, dbus::same_as_c);
    }
    #[test]
    fn signals() {
        run(Ours, Ours, dbus::signals);
    }
    #[test]
    fn orders() {
        run(Ours, Ours, dbus::orders);
    }
    #[test]
    fn bus_comes_and_goes() {
        run(Ours, Ours, dbus::bus_comes_and_goes);
    }
    #[test]
    fn service_killed() {
        run(Ours, Ours, dbus::service_killed);
    }
    #[test]
    fn flood() {
        run(Ours, Ours, dbus::flood);
    }
}
