//! What a route may say about the connections over it: `mtu`, `rtt` and so on.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char as character, digit1};
use nom::combinator::{all_consuming, opt, recognize};
use nom::sequence::{pair, preceded};

use crate::time::Interval;

use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::model::{Lockable, RouteMetrics};
use super::super::{Context, routing_words};
use super::Reader;

/// Whether it is the name of a metric.
pub(super) fn is_one(name: &str) -> bool {
    let names = [
        "mtu",
        "advmss",
        "reordering",
        "cwnd",
        "ssthresh",
        "rtt",
        "rttvar",
        "rto_min",
        "hoplimit",
        "window",
        "initcwnd",
        "initrwnd",
        "features",
        "quickack",
        "fastopen_no_cookie",
        "congctl",
    ];
    names.contains(&name)
}

/// Times that are shorter than the kernel's least one are made that long; gives
/// what to say about it.
pub(super) fn raise(metrics: &mut RouteMetrics) -> Vec<String> {
    let least = Interval::from_us(200_000);
    let times = [
        ("rtt", &mut metrics.rtt),
        ("rttvar", &mut metrics.rtt_variation),
        ("rto_min", &mut metrics.rto_min),
    ];
    let mut said = Vec::new();
    for (name, time) in times {
        let Some(time) = time.as_mut().filter(|time| time.value < least) else {
            continue;
        };
        let ms = time.value.as_us() / 1000;
        said.push(format!("{name} value {ms} below minimum 200ms, resetting"));
        time.value = least;
    }
    said
}

impl<'s> Reader<'s, '_> {
    /// One metric with its value.
    pub(super) fn metric(&mut self, option: &'s Word, cx: &mut Context<'_>) -> Option<()> {
        let name = option.text.as_str();
        let lock = is_lockable(name) && self.words.accept("lock");
        let word = self.words.argument(cx)?;
        let metrics = &mut self.route.metrics;
        let number = |text: &str, cx: &mut Context<'_>| {
            let invalid = |value: &str| format!("Invalid {text} {value} specified for route");
            routing_words::number::<u32>(word, u32::MAX, cx, invalid)
        };
        let switch = |cx: &mut Context<'_>| {
            let invalid = |value: &str| format!("Invalid {name} value {value} specified for route");
            routing_words::number::<u8>(word, 1, cx, invalid).map(|value| value == 1)
        };
        let locked = |value: u32| Some(Lockable { lock, value });
        match name {
            "mtu" => metrics.mtu = locked(number("MTU", cx)?),
            "advmss" => metrics.advmss = locked(number("advmss", cx)?),
            "reordering" => metrics.reordering = locked(number("reordering value", cx)?),
            "cwnd" => metrics.cwnd = locked(number("cwnd value", cx)?),
            "ssthresh" => metrics.ssthresh = locked(number("ssthresh value", cx)?),
            "window" => metrics.window = Some(number("window value", cx)?),
            "initcwnd" => metrics.initial_cwnd = Some(number("initcwnd value", cx)?),
            "initrwnd" => metrics.initial_rwnd = Some(number("initrwnd value", cx)?),
            "hoplimit" => {
                let invalid = |text: &str| format!("Invalid hoplimit {text} specified for route");
                metrics.hop_limit = Some(routing_words::number(word, 255, cx, invalid)?);
            }
            "rtt" => metrics.rtt = Some(time(word, lock, 125, "rtt {} for", cx)?),
            "rttvar" => metrics.rtt_variation = Some(time(word, lock, 250, "rttvar {} for", cx)?),
            "rto_min" => {
                let text = "rto_min value {} specified for";
                metrics.rto_min = Some(time(word, lock, 1000, text, cx)?);
            }
            "quickack" => metrics.quickack = Some(switch(cx)?),
            "fastopen_no_cookie" => metrics.fastopen_no_cookie = Some(switch(cx)?),
            "congctl" => {
                let value = word.text.clone();
                metrics.congestion_control = Some(Lockable { lock, value });
            }
            _ if word.text == "ecn" => metrics.ecn = true,
            _ => {
                let text = format!("feature {} not supported", word.text);
                cx.error("route", word, text);
            }
        }
        Some(())
    }
}

fn is_lockable(name: &str) -> bool {
    let without = [
        "window",
        "initcwnd",
        "initrwnd",
        "hoplimit",
        "quickack",
        "fastopen_no_cookie",
        "features",
    ];
    !without.contains(&name)
}

/// A time with a unit, or a number of the kernel's units of `unit_us`.
fn time(
    word: &Word,
    lock: bool,
    unit_us: u64,
    message: &str,
    cx: &mut Context<'_>,
) -> Option<Lockable<Interval>> {
    let longest = Interval::from_secs(120);
    let value = time_text(&word.text, unit_us).filter(|value| *value <= longest);
    let Some(value) = value else {
        let text = format!("Invalid {} route", message.replace("{}", &word.text));
        let diagnostic = Diagnostic::error("number", text).at(&word.origin);
        let help = "A time of at most 120 s, for example 300ms or 1.5s.";
        cx.found.push(diagnostic.help(help));
        return None;
    };
    Some(Lockable { lock, value })
}

/// `DIGITS[.DIGITS][UNIT]`
fn time_text(text: &str, raw_unit_us: u64) -> Option<Interval> {
    type Error<'a> = nom::error::Error<&'a str>;
    let decimal = pair(
        digit1::<_, Error<'_>>,
        opt(preceded(character('.'), digit1)),
    );
    let second = alt((
        tag("seconds"),
        tag("second"),
        tag("secs"),
        tag("sec"),
        tag("s"),
    ));
    let milli = recognize(alt((tag("msecs"), tag("msec"), tag("ms"))));
    let unit = opt(alt((
        milli.map(|_| 1_000_u64),
        second.map(|_| 1_000_000_u64),
    )));
    let (_, ((whole, fraction), unit)) = all_consuming(pair(decimal, unit)).parse(text).ok()?;
    let unit_us = unit.unwrap_or(raw_unit_us);
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit_us)?;
    // More digits than these are less than a microsecond.
    let fraction = fraction.unwrap_or("");
    let digits = fraction.get(..fraction.len().min(9))?;
    let places = u32::try_from(digits.len()).ok()?;
    let numerator: u64 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let part = numerator.checked_mul(unit_us)? / 10_u64.checked_pow(places)?;
    whole.checked_add(part).map(Interval::from_us)
}
