//! `interface_up_down_delays` beside the instances on these interfaces (specification
//! D.6).
//!
//! Decides how long a change of a link may be waited with: a backup whose link is down
//! must notice it before it misses its master, and a master before its peer does.

use super::super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::super::model::{Instance, InterfaceDelay, SharedInstance};
use super::Origin;
use crate::time::Interval;

/// The delays that hold. `places`: where the instances stand.
pub(super) fn fitting(
    written: &[InterfaceDelay],
    instances: &[SharedInstance],
    places: &[Origin],
    found: &mut Collector,
) -> Vec<InterfaceDelay> {
    let mut delays = written.to_vec();
    for (instance, place) in instances.iter().zip(places) {
        let own = delays
            .iter_mut()
            .filter(|it| *it.interface == *instance.interface);
        for delay in own {
            if let Some(text) = fit(delay, instance) {
                let code = "link-delay";
                let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
                found.push(diagnostic.at(place).after_reading());
            }
        }
    }
    delays
}

/// Makes a delay fit an instance; what there is to tell if it did not.
fn fit(delay: &mut InterfaceDelay, instance: &Instance) -> Option<String> {
    let (name, interface) = (&instance.name, &instance.interface);
    let missed = instance.down_timer_adverts.saturating_sub(1);
    let interval_us = instance.advert_interval.as_us();
    let most_us = u64::from(missed).saturating_mul(interval_us);
    let most_us = most_us.saturating_sub(interval_us / 256);
    let most = Interval::from_us(most_us);
    if delay.down <= most && delay.up <= most {
        return None;
    }
    delay.down = delay.down.min(most);
    delay.up = delay.up.min(most);
    Some(match missed {
        0 => format!("{name}: cannot use debounce timers with down_timer_adverts = 1 - resetting"),
        _ => format!(
            "{name}: interface {interface} debounce timer(s) not less that {missed} * advert_int \
             - resetting"
        ),
    })
}
