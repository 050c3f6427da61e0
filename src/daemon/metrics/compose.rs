//! From a view to metrics.
//!
//! Decides which value of the engine goes into which metric. Their names are in
//! `families.rs`.

use std::fmt::Display;

use super::families::{self, Family};
use super::page::{Format, Labels, Page};
use crate::config::model::VirtualAddress;
use crate::daemon::state_files::state_number;
use crate::daemon::status::View;
use crate::daemon::status::compose::{seconds, there};
use crate::system::scripts::Owner;
use crate::time::{Instant, Interval};
use crate::vrrp::snapshot::{InstanceSnapshot, PeerSnapshot};
use crate::vrrp::statistics::Statistics;
use crate::vrrp::tracking::{Run, Standing};

/// All metrics of this view.
pub(super) fn page(view: &View, format: Format) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let mut composer = Composer {
        page: Page::new(format, &families::BUILD),
        view,
    };
    composer.page.value(&[("version", version)], 1);
    composer.daemon();
    composer.exporter();
    composer.instances();
    composer.counters();
    composer.peers();
    composer.groups();
    composer.scripts();
    composer.page.finish()
}

/// A counter of each instance.
type Counted = (&'static Family, fn(&Statistics) -> u64);

/// What an instance is known by.
struct Place {
    vrid: String,
}

struct Composer<'v> {
    page: Page,
    view: &'v View,
}

impl Composer<'_> {
    /// A metric with one value.
    fn one(&mut self, family: &'static Family, value: impl Display) {
        self.page.begin(family);
        self.page.value(&[], value);
    }

    /// A metric with a value for each instance.
    fn each<V: Display>(
        &mut self,
        family: &'static Family,
        value: impl Fn(&InstanceSnapshot) -> V,
    ) {
        self.page.begin(family);
        for it in &self.view.snapshot.instances {
            let place = Place::of(it);
            self.page.value(&place.labels(it), value(it));
        }
    }

    fn counted(&mut self, counters: &[Counted]) {
        for (family, count) in counters {
            self.each(family, |it| count(&it.statistics));
        }
    }

    /// When it was by the wall clock, in seconds.
    fn unix(&self, at: Instant) -> f64 {
        seconds(Interval::from_us(self.view.wall.unix_us(at)))
    }

    fn daemon(&mut self) {
        let view = self.view;
        let (snapshot, about) = (&view.snapshot, &view.about);
        self.one(&families::UP, 1);
        let started = self.unix(Instant::from_us(about.started_us));
        self.one(&families::START_TIME, started);
        self.one(&families::REPLACEMENTS, about.replaced);
        let reload = about.reload.as_ref();
        let accepted = reload.is_none_or(|reload| reload.refused.is_none());
        self.one(&families::RELOAD_SUCCESS, u8::from(accepted));
        let accepted = self.unix(Instant::from_us(about.accepted_us));
        self.one(&families::RELOAD_TIME, accepted);
        self.one(&families::IGNORED, snapshot.ignored);
        let lateness = &snapshot.lateness;
        self.page.begin(&families::LATENESS);
        for (limit_us, count) in lateness.up_to() {
            let limit = float(seconds(Interval::from_us(limit_us)));
            self.page.part("_bucket", &[("le", &limit)], count);
        }
        let count = lateness.count();
        self.page.part("_bucket", &[("le", "+Inf")], count);
        self.page.part("_sum", &[], seconds(lateness.sum()));
        self.page.part("_count", &[], count);
    }

    /// The metrics of keepalived-exporter.
    fn exporter(&mut self) {
        self.states(&families::VRRP_STATE, |it| &it.config.virtual_addresses);
        self.states(&families::EXCLUDED_STATE, |it| {
            &it.config.excluded_addresses
        });
        let counters: [Counted; 14] = [
            (&families::ADVERTS_RECEIVED, |it| it.advert_rcvd),
            (&families::ADVERTS_SENT, |it| it.advert_sent),
            (&families::BECOME_MASTER, |it| it.become_master),
            (&families::RELEASE_MASTER, |it| it.release_master),
            (&families::LENGTH_ERRORS, |it| it.packet_len_err),
            (&families::INTERVAL_ERRORS, |it| it.advert_interval_err),
            (&families::TTL_ERRORS, |it| it.ip_ttl_err),
            (&families::INVALID_TYPE, |it| it.invalid_type_rcvd),
            (&families::ADDRESS_ERRORS, |it| it.addr_list_err),
            (&families::AUTH_INVALID, |it| it.invalid_authtype),
            (&families::AUTH_MISMATCH, |it| it.authtype_mismatch),
            (&families::AUTH_FAILURE, |it| it.auth_failure),
            (&families::ZERO_RECEIVED, |it| it.pri_zero_rcvd),
            (&families::ZERO_SENT, |it| it.pri_zero_sent),
        ];
        self.counted(&counters);
        self.each(&families::GARP_DELAY, |it| {
            seconds(it.config.garp.master_delay)
        });
        self.page.begin(&families::SCRIPT_STATUS);
        for it in &self.view.snapshot.scripts {
            let good = u8::from(it.standing == Standing::Up);
            self.page.value(&[("name", &it.script.name)], good);
        }
        self.page.begin(&families::SCRIPT_STATE);
        for it in &self.view.snapshot.scripts {
            let state = match it.run {
                Run::Idle => 0,
                Run::Running => 1,
                Run::TimingOut => 2,
            };
            self.page.value(&[("name", &it.script.name)], state);
        }
    }

    /// A value for each of these addresses: the state of its instance.
    fn states(
        &mut self,
        family: &'static Family,
        addresses: impl Fn(&InstanceSnapshot) -> &Vec<VirtualAddress>,
    ) {
        self.page.begin(family);
        for it in &self.view.snapshot.instances {
            for vip in addresses(it) {
                let state = state_number(it.state);
                Place::of(it).vip(&mut self.page, it, vip, state);
            }
        }
    }

    fn instances(&mut self) {
        let view = self.view;
        self.each(&families::STATE, |it| state_number(it.state));
        self.each(&families::PRIORITY, |it| it.priority.0);
        self.each(&families::BASE_PRIORITY, |it| it.config.priority.0);
        let unix_s = |at| seconds(Interval::from_us(view.wall.unix_us(at)));
        self.each(&families::LAST_TRANSITION, |it| unix_s(it.last_transition));
        self.page.begin(&families::TRANSITIONS);
        for it in &view.snapshot.instances {
            let place = Place::of(it);
            for count in it.transitions.iter() {
                let to = count.to.to_string();
                let [iname, intf, vrid] = place.labels(it);
                let labels = [iname, intf, vrid, ("to", &to), ("cause", count.cause)];
                self.page.value(&labels, count.times);
            }
        }
        self.each(&families::CONTENDED, |it| u8::from(it.contended.is_some()));
        self.each(&families::FAULTS, |it| it.fault_reasons.len());
        self.page.begin(&families::VIP_INSTALLED);
        let there = there(&view.snapshot);
        for it in &view.snapshot.instances {
            for (vip, link) in it.addresses() {
                let holder = link.map_or(&*vip.interface, |link| &*link.name);
                let is_there = there.contains(&(holder, vip.address));
                Place::of(it).vip(&mut self.page, it, vip, u8::from(is_there));
            }
        }
    }

    /// What the exporter does not know.
    fn counters(&mut self) {
        let counters: [Counted; 3] = [
            (&families::VERSION_ERRORS, |it| it.vers_err),
            (&families::CHECKSUM_ERRORS, |it| it.chk_err),
            (&families::NOT_A_PEER, |it| it.not_a_peer),
        ];
        self.counted(&counters);
        self.page.begin(&families::EXTENSION_ERRORS);
        for it in &self.view.snapshot.instances {
            let place = Place::of(it);
            let [iname, intf, vrid] = place.labels(it);
            let statistics = &it.statistics;
            for (kind, count) in [
                ("missing", statistics.auth_ext_missing),
                ("malformed", statistics.auth_ext_malformed),
                ("unknown-key", statistics.auth_ext_unknown_key),
                ("invalid-hmac", statistics.auth_ext_invalid_hmac),
                ("stale", statistics.auth_ext_stale),
                ("replay", statistics.auth_ext_replay),
            ] {
                let labels = [iname, intf, vrid, ("kind", kind)];
                self.page.value(&labels, count);
            }
        }
        let counters: [Counted; 4] = [
            (&families::OTHER_CHECKSUM, |it| it.other_checksum),
            (&families::OWNER_IGNORED, |it| it.owner_ignored),
            (&families::ADVERTS_SKIPPED, |it| it.adverts_skipped),
            (&families::SEND_FAILURES, |it| it.send_failed),
        ];
        self.counted(&counters);
        let view = self.view;
        self.each(&families::NOTIFY_SKIPPED, |it| {
            skipped(view, Owner::Instance(it.config.name.clone()))
        });
    }

    fn peers(&mut self) {
        self.each(&families::PEERS, |it| it.peers.len());
        let view = self.view;
        let unix_s = |at| seconds(Interval::from_us(view.wall.unix_us(at)));
        self.each_peer(&families::PEER_PRIORITY, |peer| {
            peer.claims.map(|claims| f64::from(claims.priority.0))
        });
        self.each_peer(&families::PEER_LAST_SEEN, |peer| peer.last_seen.map(unix_s));
        self.each_peer(&families::PEER_ACCEPTED, |peer| Some(peer.accepted));
        self.each_peer(&families::PEER_REFUSED, |peer| Some(peer.rejected));
    }

    /// A metric with a value for each peer of which it is known.
    fn each_peer<V: Display>(
        &mut self,
        family: &'static Family,
        value: impl Fn(&PeerSnapshot) -> Option<V>,
    ) {
        self.page.begin(family);
        for it in &self.view.snapshot.instances {
            let place = Place::of(it);
            let [iname, intf, vrid] = place.labels(it);
            for peer in &it.peers {
                if let Some(value) = value(peer) {
                    let address = peer.address.to_string();
                    self.page
                        .value(&[iname, intf, vrid, ("peer", &address)], value);
                }
            }
        }
    }

    fn groups(&mut self) {
        let view = self.view;
        self.page.begin(&families::GROUP_STATE);
        for it in &view.snapshot.groups {
            let state = state_number(it.state);
            self.page.value(&[("group", &it.config.name)], state);
        }
        self.page.begin(&families::GROUP_NOTIFY_SKIPPED);
        for it in &view.snapshot.groups {
            let skipped = skipped(view, Owner::Group(it.config.name.clone()));
            self.page.value(&[("group", &it.config.name)], skipped);
        }
    }

    fn scripts(&mut self) {
        self.page.begin(&families::SCRIPT_DURATION);
        for it in &self.view.snapshot.scripts {
            let labels: &Labels<'_> = &[("name", &it.script.name)];
            let durations = &it.durations;
            self.page.part("_sum", labels, seconds(durations.sum));
            self.page.part("_count", labels, durations.count);
        }
        self.page.begin(&families::SCRIPT_LAST_DURATION);
        for it in &self.view.snapshot.scripts {
            if let Some(last) = it.durations.last {
                let labels: &Labels<'_> = &[("name", &it.script.name)];
                self.page.value(labels, seconds(last));
            }
        }
    }
}

impl Place {
    fn of(it: &InstanceSnapshot) -> Self {
        Self {
            vrid: it.config.vrid.get().to_string(),
        }
    }

    fn labels<'l>(&'l self, it: &'l InstanceSnapshot) -> [(&'static str, &'l str); 3] {
        [
            ("iname", &it.config.name),
            ("intf", &it.config.interface),
            ("vrid", &self.vrid),
        ]
    }

    /// A value of an address, whose own interface counts.
    fn vip(&self, page: &mut Page, it: &InstanceSnapshot, vip: &VirtualAddress, value: u8) {
        let [iname, _, vrid] = self.labels(it);
        let address = vip.address.to_string();
        let labels = [
            iname,
            ("intf", &*vip.interface),
            vrid,
            ("ip_address", &address),
        ];
        page.value(&labels, value);
    }
}

fn skipped(view: &View, owner: Owner) -> u64 {
    view.skipped.get(&owner).copied().unwrap_or(0)
}

/// A limit as OpenMetrics writes it: with a dot in it.
fn float(value: f64) -> String {
    format!("{value:?}")
}
