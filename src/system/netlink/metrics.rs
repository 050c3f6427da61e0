//! The metrics of a route as the kernel wants them (specification C.2).

use netlink_packet_route::route::RouteMetric;

use crate::config::model::{Lockable, RouteMetrics};
use crate::time::Interval;

/// The numbers of the metrics that may be locked (linux/rtnetlink.h): the bit of
/// each in the kernel's set of locks.
const MTU: u32 = 2;
const RTT: u32 = 4;
const RTT_VARIATION: u32 = 5;
const SSTHRESH: u32 = 6;
const CWND: u32 = 7;
const ADVMSS: u32 = 8;
const REORDERING: u32 = 9;
const RTO_MIN: u32 = 13;
const CONGESTION_CONTROL: u32 = 16;

/// The units of times: an eighth, a quarter and a whole millisecond.
const RTT_UNIT_US: u64 = 125;
const RTT_VARIATION_UNIT_US: u64 = 250;
const RTO_UNIT_US: u64 = 1_000;

/// `features ecn`
const FEATURE_ECN: u32 = 1;

/// Everything that was asked for, with the locks at the end.
pub(super) fn list(metrics: &RouteMetrics) -> Vec<RouteMetric> {
    let mut list = List::default();
    list.lockable(
        CONGESTION_CONTROL,
        &metrics.congestion_control,
        |name: &String| RouteMetric::CcAlgo(name.clone()),
    );
    list.time(RTT, &metrics.rtt, RTT_UNIT_US, RouteMetric::Rtt);
    let variation = &metrics.rtt_variation;
    list.time(
        RTT_VARIATION,
        variation,
        RTT_VARIATION_UNIT_US,
        RouteMetric::RttVar,
    );
    list.time(RTO_MIN, &metrics.rto_min, RTO_UNIT_US, RouteMetric::RtoMin);
    list.number(
        metrics.ecn.then_some(FEATURE_ECN).as_ref(),
        RouteMetric::Features,
    );
    list.lockable(MTU, &metrics.mtu, |value| RouteMetric::Mtu(*value));
    list.number(metrics.window.as_ref(), RouteMetric::Window);
    list.lockable(SSTHRESH, &metrics.ssthresh, |value| {
        RouteMetric::SsThresh(*value)
    });
    list.lockable(CWND, &metrics.cwnd, |value| RouteMetric::Cwnd(*value));
    list.lockable(ADVMSS, &metrics.advmss, |value| RouteMetric::Advmss(*value));
    list.lockable(REORDERING, &metrics.reordering, |value| {
        RouteMetric::Reordering(*value)
    });
    let hop_limit = metrics.hop_limit.map(u32::from);
    list.number(hop_limit.as_ref(), RouteMetric::Hoplimit);
    list.number(metrics.initial_cwnd.as_ref(), RouteMetric::InitCwnd);
    list.number(metrics.initial_rwnd.as_ref(), RouteMetric::InitRwnd);
    let quickack = metrics.quickack.map(u32::from);
    list.number(quickack.as_ref(), RouteMetric::QuickAck);
    let no_cookie = metrics.fastopen_no_cookie.map(u32::from);
    list.number(no_cookie.as_ref(), RouteMetric::FastopenNoCookie);
    list.finish()
}

#[derive(Default)]
struct List {
    metrics: Vec<RouteMetric>,
    locks: u32,
}

impl List {
    fn number(&mut self, value: Option<&u32>, metric: fn(u32) -> RouteMetric) {
        self.metrics.extend(value.copied().map(metric));
    }

    fn lockable<T>(
        &mut self,
        number: u32,
        value: &Option<Lockable<T>>,
        metric: impl Fn(&T) -> RouteMetric,
    ) {
        let Some(Lockable { lock, value }) = value else {
            return;
        };
        self.metrics.push(metric(value));
        if *lock {
            self.locks |= 1 << number;
        }
    }

    fn time(
        &mut self,
        number: u32,
        value: &Option<Lockable<Interval>>,
        unit_us: u64,
        metric: fn(u32) -> RouteMetric,
    ) {
        self.lockable(number, value, |value| {
            let units = value.as_us().checked_div(unit_us).unwrap_or_default();
            metric(u32::try_from(units).unwrap_or(u32::MAX))
        });
    }

    fn finish(mut self) -> Vec<RouteMetric> {
        if self.locks != 0 {
            self.metrics.push(RouteMetric::Lock(self.locks));
        }
        self.metrics
    }
}
