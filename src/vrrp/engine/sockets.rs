//! Which receive sockets there are, which instance a datagram is for, and what
//! becomes of one that is for nobody.
//!
//! Each interface with an instance has sockets of its own; unicast instances
//! without an interface share one that hears all of them, too. Whether a datagram
//! is acceptable is decided in `receive.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ids::{IfIndex, InstanceId};
use crate::time::{Instant, Interval};
use crate::wire::advert::Family;

use super::super::action::{Action, Carrier};
use super::super::instance::Running;
use super::super::log_lines::{LogLine, interface_name};
use super::super::receive::{Arrival, addressee};
use super::Engine;
use super::lookup::Lookup;

/// A VRID that nobody here has is told of once in this time for each interface.
const UNKNOWN_GAP: Interval = Interval::from_secs(60);

/// What names a receive socket.
type Socket = (IfIndex, Family, Carrier);

/// What a datagram says of its addressee.
type Route = (IfIndex, Family, u8);

/// The sockets and who is behind them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Which instances a VRID on an interface means.
    routes: Lookup<Route>,
    /// The sockets of unicast instances without an interface.
    wide: BTreeSet<IfIndex>,
    /// If there is such a socket: the instances with a VRID, wherever they are.
    shared: Lookup<(Family, u8)>,
    /// The receive sockets that were asked for.
    listening: BTreeSet<(Socket, Option<IpAddr>)>,
    /// With `log_unknown_vrids`: when each was last told of. One entry for each
    /// interface, family and VRID at most.
    unknown: Option<BTreeMap<Route, Instant>>,
}

impl Sockets {
    /// `log_unknown_vrids`
    pub(super) fn log_unknown(&mut self, on: bool) {
        self.unknown = on.then(|| self.unknown.take().unwrap_or_default());
    }

    /// Whether there is a receive socket on this interface.
    pub(super) fn hears(&self, on: IfIndex) -> bool {
        let mut listening = self.listening.iter();
        listening.any(|((there, ..), _)| *there == on)
    }

    /// Whether a VRID that nobody here has is to be logged now.
    fn is_news(&mut self, now: Instant, route: Route) -> bool {
        let Some(told) = &mut self.unknown else {
            return false;
        };
        let is_news = told
            .get(&route)
            .is_none_or(|last| now.since(*last) >= UNKNOWN_GAP);
        if is_news {
            told.insert(route, now);
        }
        is_news
    }
}

impl Engine {
    /// Opens and closes receive sockets so that there is one for every
    /// interface that an instance is on, joined to the groups that are used, and
    /// says which VRIDs mean whom.
    pub(super) fn follow_sockets(&mut self) {
        self.moved = false;
        let wanted: BTreeSet<(Socket, Option<IpAddr>)> = self
            .instances
            .values()
            .flat_map(|it| sockets_of(it))
            .collect();
        self.follow_routes();
        let before = std::mem::replace(&mut self.sockets.listening, wanted);
        let wanted = &self.sockets.listening;
        let used: BTreeSet<Socket> = wanted.iter().map(|(socket, _)| *socket).collect();
        let mut closed = BTreeSet::new();
        for &(socket, group) in before.difference(wanted) {
            let (on, family, carrier) = socket;
            if !used.contains(&socket) {
                if closed.insert(socket) {
                    self.actions.push_back(Action::Unlisten {
                        on,
                        family,
                        carrier,
                    });
                }
            } else if let Some(group) = group {
                self.actions.push_back(Action::Leave {
                    on,
                    family,
                    carrier,
                    group,
                });
            }
        }
        for &((on, family, carrier), group) in wanted.difference(&before) {
            self.actions.push_back(Action::Listen {
                on,
                family,
                carrier,
                group,
            });
        }
    }

    fn follow_routes(&mut self) {
        let sockets = &mut self.sockets;
        let anywhere = self.instances.values().filter(|it| it.is_anywhere());
        sockets.wide = anywhere.filter_map(|running| running.on).collect();
        let heard = self.instances.iter().filter_map(|(id, running)| {
            let (family, vrid) = (running.config.family(), running.config.vrid.get());
            Some(((running.on?, family, vrid), *id))
        });
        sockets.routes = heard.clone().collect();
        let shared = heard.filter(|_| !sockets.wide.is_empty());
        let shared = shared.map(|((_, family, vrid), id)| ((family, vrid), id));
        sockets.shared = shared.collect();
    }

    /// The instance that a datagram from the socket of `on` is for.
    pub(super) fn addressee(
        &self,
        on: IfIndex,
        vrid: u8,
        arrival: &Arrival<'_>,
    ) -> Option<InstanceId> {
        let here = self.behind((on, Family::of(arrival.source), vrid));
        let candidates = here.map(|(id, running)| ((id, running), &**running.config));
        let (id, running) = addressee(candidates, arrival)?;
        // The kernel gives unicast to the socket of the interface and to the one of
        // all interfaces. Who does not name the sender leaves it to who does.
        let is_ours = running.config.is_peer(arrival.source)
            || arrival.destination.is_multicast()
            || !self.is_named_elsewhere(on, vrid, arrival);
        is_ours.then_some(id)
    }

    fn behind(&self, route: Route) -> impl Iterator<Item = (InstanceId, &Running)> + Clone {
        let ids = self.sockets.routes.of(route);
        ids.filter_map(|id| Some((id, &**self.instances.get(&id)?)))
    }

    /// Whether an instance behind another socket that hears this datagram, too,
    /// has the sender among its peers.
    fn is_named_elsewhere(&self, on: IfIndex, vrid: u8, arrival: &Arrival<'_>) -> bool {
        let mut others = self.behind_others(on, Family::of(arrival.source), vrid);
        others.any(|running| running.config.is_peer(arrival.source))
    }

    /// The instances with this VRID behind other sockets that hear the unicast
    /// which the socket of `on` hears.
    fn behind_others(
        &self,
        on: IfIndex,
        family: Family,
        vrid: u8,
    ) -> impl Iterator<Item = &Running> {
        let sockets = &self.sockets;
        let is_wide = sockets.wide.contains(&on);
        let ids = sockets.shared.of((family, vrid));
        let instances = ids.filter_map(|id| self.instances.get(&id).map(|it| &**it));
        instances.filter(move |it| it.on != Some(on) && (is_wide || it.is_anywhere()))
    }

    /// Whether an instance with this VRID hears the same on a virtual MAC above `on`: what
    /// has another sender comes to both.
    fn is_heard_above(&self, on: IfIndex, vrid: u8, family: Family) -> bool {
        let Some(state) = self.interfaces.get(on) else {
            return false;
        };
        let mut instances = self.instances.values();
        instances.any(|it| {
            let same = (it.config.vrid.get(), it.config.family()) == (vrid, family);
            same && *it.config.interface == *state.name && it.on.is_some_and(|other| other != on)
        })
    }

    /// A datagram whose VRID nobody behind this socket has. One that another
    /// socket takes is not counted here.
    pub(super) fn for_nobody(
        &mut self,
        now: Instant,
        on: IfIndex,
        vrid: u8,
        arrival: &Arrival<'_>,
    ) {
        let family = Family::of(arrival.source);
        let multicast = arrival.destination.is_multicast();
        if !multicast && self.behind_others(on, family, vrid).next().is_some() {
            return;
        }
        self.ignored = self.ignored.saturating_add(1);
        if multicast && self.is_heard_above(on, vrid, family) {
            return;
        }
        let route = (on, family, vrid);
        // A known VRID in another group is no unknown one.
        let is_unknown = self.sockets.routes.of(route).next().is_none();
        if is_unknown && self.sockets.is_news(now, route) {
            let name = self.interfaces.get(on).map(|state| &*state.name);
            let interface = match on {
                IfIndex::ANY => "any".to_owned(),
                _ => interface_name(name, on),
            };
            self.log(LogLine::UnknownVrid { vrid, interface });
        }
    }
}

/// The receive sockets that an instance needs, with the group to join. One with
/// the authentication header listens for adverts without it, too, so that it can
/// tell why it does not hear its peer.
fn sockets_of(running: &Running) -> impl Iterator<Item = (Socket, Option<IpAddr>)> {
    let config = &running.config;
    let multicast = config.unicast_peers.is_empty();
    let group = multicast.then_some(config.multicast_group);
    let family = config.family();
    let header = config.header_key().map(|_| Carrier::Header);
    let carriers = [Some(Carrier::Plain), header].into_iter().flatten();
    let here = running.on.into_iter();
    here.flat_map(move |on| {
        carriers
            .clone()
            .map(move |carrier| ((on, family, carrier), group))
    })
}
