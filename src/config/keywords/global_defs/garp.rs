//! Gratuitous ARP: `vrrp_garp_*` and, in an instance, `garp_*`.
//!
//! Decides ranges, messages, and which of several places counts. Where a line
//! stands does not matter, except for `vrrp_min_garp`, which holds for what was
//! not set before it. Source: specification B.2, B.3, A.14.

use std::ops::RangeInclusive;

use crate::time::Interval;

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::model::Garp;
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, deprecated, short_switch};

/// Microseconds of 32 bits, in whole seconds.
const DELAY_MAX_SECONDS: i64 = 4_294;
/// One day.
const EXTRA_MAX_SECONDS: i64 = 86_400;

/// Gratuitous ARP, global or of an instance; `None` means not set here.
#[derive(Debug, Clone, Default)]
pub struct GarpDraft {
    /// `garp_master_delay`
    pub master_delay: Option<Interval>,
    /// `garp_master_repeat`
    pub master_repeat: Option<u32>,
    /// `garp_master_refresh`
    pub master_refresh: Option<Interval>,
    /// `garp_master_refresh_repeat`
    pub master_refresh_repeat: Option<u32>,
    /// `garp_lower_prio_delay`
    pub lower_prio_delay: Option<Interval>,
    /// `garp_lower_prio_repeat`
    pub lower_prio_repeat: Option<u32>,
    /// `vrrp_garp_interval`
    pub interval: Option<Interval>,
    /// `vrrp_gna_interval`
    pub gna_interval: Option<Interval>,
    /// `garp_extra_if`: the period, and whether it is for all interfaces.
    pub extra: Option<(Interval, bool)>,
}

impl GarpDraft {
    /// Takes a line; `keyword` is its word without `vrrp_`, `who` goes before messages.
    pub fn set(&mut self, who: &str, keyword: &str, statement: &Statement, cx: &mut Context<'_>) {
        let name = statement.keyword();
        let max = match keyword {
            "garp_master_delay" | "garp_lower_prio_delay" => DELAY_MAX_SECONDS,
            _ => i64::from(u32::MAX),
        };
        let invalid = |text: &str| match keyword {
            "garp_master_refresh" => format!("{who}Invalid {name} '{text}' - ignoring"),
            "garp_lower_prio_repeat" => format!("{who}Invalid {name} '{text}'"),
            _ => format!("{who}{name} '{text}' invalid - ignoring"),
        };
        let Some(value) = cx.number(statement, 0..=max, invalid) else {
            return;
        };
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        let span = Some(Interval::from_secs(u64::from(value)));
        match keyword {
            "garp_master_delay" => self.master_delay = span,
            "garp_master_refresh" => self.master_refresh = span,
            "garp_lower_prio_delay" => self.lower_prio_delay = span,
            "garp_lower_prio_repeat" => self.lower_prio_repeat = Some(value),
            _ => {
                if value == 0 {
                    let text = format!("{who}{name} must be greater than 0, setting to 1");
                    let origin = statement.line.whole();
                    cx.found
                        .push(Diagnostic::error("garp-repeat", text).at(&origin));
                }
                let value = Some(value.max(1));
                match keyword {
                    "garp_master_repeat" => self.master_repeat = value,
                    _ => self.master_refresh_repeat = value,
                }
            }
        }
    }

    /// Takes `[all] SECONDS`; an instance may turn it off with 0 (`min` 0).
    pub fn set_extra(&mut self, who: &str, min: i64, statement: &Statement, cx: &mut Context<'_>) {
        let name = statement.keyword();
        let on_all = statement.word(1).is_some_and(|word| word.text == "all");
        let Some(word) = statement.word(if on_all { 2 } else { 1 }) else {
            let text = format!("{who}{name} specified without time - ignoring");
            let origin = statement.line.whole();
            cx.found
                .push(Diagnostic::error("no-time", text).at(&origin));
            return;
        };
        let number = arguments::number(&word.text, min..=EXTRA_MAX_SECONDS);
        let invalid = || format!("{who}{name} '{}' invalid - ignoring", word.text);
        let seconds = cx.usable(word, number, invalid);
        if let Some(seconds) = seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
            self.extra = Some((Interval::from_secs(seconds), on_all));
        }
    }

    /// The settings that count: these, then `globals`, then the defaults. The
    /// two for lower priority follow those for a new master.
    pub fn resolved(&self, globals: &Self) -> Garp {
        let default = Garp::default();
        let delay = self.master_delay.or(globals.master_delay);
        let delay = delay.unwrap_or(default.master_delay);
        let repeat = self.master_repeat.or(globals.master_repeat);
        let repeat = repeat.unwrap_or(default.master_repeat);
        let refresh = self.master_refresh.or(globals.master_refresh);
        let refresh_repeat = self.master_refresh_repeat.or(globals.master_refresh_repeat);
        let lower_delay = self.lower_prio_delay.or(globals.lower_prio_delay);
        let lower_repeat = self.lower_prio_repeat.or(globals.lower_prio_repeat);
        let interval = self.interval.or(globals.interval);
        let gna_interval = self.gna_interval.or(globals.gna_interval);
        let extra = self.extra.or(globals.extra);
        let (extra_interfaces, extra_on_all) =
            extra.unwrap_or((default.extra_interfaces, default.extra_on_all));
        Garp {
            master_delay: delay,
            master_repeat: repeat,
            master_refresh: refresh.unwrap_or(default.master_refresh),
            master_refresh_repeat: refresh_repeat.unwrap_or(default.master_refresh_repeat),
            lower_prio_delay: lower_delay.unwrap_or(delay),
            lower_prio_repeat: lower_repeat.unwrap_or(repeat),
            interval: interval.unwrap_or(default.interval),
            gna_interval: gna_interval.unwrap_or(default.gna_interval),
            extra_interfaces,
            extra_on_all,
        }
    }
}

/// A `vrrp_garp_*` line with one number.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword().trim_start_matches("vrrp_");
    draft.garp.set("", keyword, statement, cx);
}

/// `vrrp_garp_extra_if`
pub fn extra(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.garp.set_extra("", 1, statement, cx);
}

/// `vrrp_vmac_garp_intvl`
pub fn vmac_interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    deprecated(statement, "vrrp_garp_extra_if", cx);
    extra(draft, statement, cx);
}

/// C remarks on a large span, and does not count it.
pub fn tell_if_large(
    value: Interval,
    limit: Interval,
    statement: &Statement,
    cx: &mut Context<'_>,
) {
    if value < limit {
        return;
    }
    let keyword = statement.keyword();
    let seconds = value.to_string();
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    let text = format!("The {keyword} is very large - {seconds} seconds");
    cx.found
        .push(Diagnostic::hint("very-large", text).at(&statement.line.whole()));
}

/// C refuses 0 although it is what holds without the keyword, and so do we.
fn pacing(statement: &Statement, cx: &mut Context<'_>) -> Option<Interval> {
    let range: RangeInclusive<_> = Interval::from_us(1)..=Interval::from_us(4_294_967_295);
    let keyword = statement.keyword();
    let invalid = |text: &str| format!("{keyword} '{text}' is invalid");
    let value = cx.seconds(statement, 6, range, invalid)?;
    tell_if_large(value, Interval::from_secs(1), statement, cx);
    Some(value)
}

/// `vrrp_garp_interval`
pub fn interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.garp.interval = pacing(statement, cx).or(draft.garp.interval);
}

/// `vrrp_gna_interval`. It paces what is sent for IPv6 addresses only.
pub fn gna_interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.garp.gna_interval = pacing(statement, cx).or(draft.garp.gna_interval);
}

/// `vrrp_min_garp`: fewer gratuitous ARPs, for what nothing was set yet.
pub fn minimum(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if short_switch(statement, cx) != Some(true) {
        return;
    }
    let garp = &mut draft.garp;
    garp.master_repeat.get_or_insert(1);
    garp.master_refresh.get_or_insert(Interval::ZERO);
    garp.master_refresh_repeat.get_or_insert(1);
    garp.master_delay.get_or_insert(Interval::ZERO);
}
