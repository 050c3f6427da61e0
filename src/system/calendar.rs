//! Dates and times of day, as people write them, and seconds since 1970.
//!
//! Decides nothing: the rules of the calendar and of the time zone are the C
//! library's.

use std::mem;

/// Whose wall clock is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// That of this machine.
    Local,
    /// Universal time.
    Utc,
}

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// With all its digits, from 1900 on.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// The day in which that second is; `None` for years that nobody will see.
pub fn date_at(epoch_s: u64, zone: Zone) -> Option<Date> {
    let seconds = libc::time_t::try_from(epoch_s).ok()?;
    // SAFETY: an all-zero `tm` is a valid value: numbers and a null pointer.
    let mut broken_down: libc::tm = unsafe { mem::zeroed() };
    let found = match zone {
        // SAFETY: both pointers are to live values of the right type, and neither
        // is kept.
        Zone::Local => unsafe { libc::localtime_r(&seconds, &mut broken_down) },
        // SAFETY: as above.
        Zone::Utc => unsafe { libc::gmtime_r(&seconds, &mut broken_down) },
    };
    if found.is_null() {
        return None;
    }
    Some(Date {
        year: u16::try_from(broken_down.tm_year.checked_add(1900)?).ok()?,
        month: u8::try_from(broken_down.tm_mon.checked_add(1)?).ok()?,
        day: u8::try_from(broken_down.tm_mday).ok()?,
    })
}

/// The second in which it is `time` on the day `days_later` after `date`; `None` if
/// there is no such day or time.
pub fn epoch_s(date: Date, time: TimeOfDay, zone: Zone, days_later: u8) -> Option<u64> {
    let fits = (1..=12).contains(&date.month)
        && (1..=days_in(date.year, date.month)).contains(&date.day)
        && time.hour < 24
        && time.minute < 60
        && time.second <= 60;
    if !fits {
        return None;
    }
    // SAFETY: an all-zero `tm` is a valid value: numbers and a null pointer.
    let mut broken_down: libc::tm = unsafe { mem::zeroed() };
    broken_down.tm_year = i32::from(date.year).checked_sub(1900)?;
    broken_down.tm_mon = i32::from(date.month).checked_sub(1)?;
    // One that is past the end of the month is taken to be in the next.
    broken_down.tm_mday = i32::from(date.day).checked_add(i32::from(days_later))?;
    broken_down.tm_hour = i32::from(time.hour);
    broken_down.tm_min = i32::from(time.minute);
    broken_down.tm_sec = i32::from(time.second);
    // Whether it is summer time is to be found out.
    broken_down.tm_isdst = -1;
    let seconds = match zone {
        // SAFETY: the pointer is to a live value of the right type, and is not kept.
        Zone::Local => unsafe { libc::mktime(&mut broken_down) },
        // SAFETY: as above.
        Zone::Utc => unsafe { libc::timegm(&mut broken_down) },
    };
    u64::try_from(seconds).ok()
}

/// The days of a month of the Gregorian calendar.
const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: TimeOfDay = TimeOfDay {
        hour: 12,
        minute: 0,
        second: 0,
    };

    const fn date(year: u16, month: u8, day: u8) -> Date {
        Date { year, month, day }
    }

    #[test]
    fn the_calendar_is_the_usual_one() {
        let at = |date, later| epoch_s(date, NOON, Zone::Utc, later);
        assert_eq!(at(date(2026, 11, 21), 0), Some(1_795_262_400));
        assert_eq!(at(date(2024, 2, 28), 1), at(date(2024, 2, 29), 0));
        assert_eq!(at(date(2025, 12, 31), 1), at(date(2026, 1, 1), 0));
        for wrong in [
            date(2025, 2, 29),
            date(2100, 2, 29),
            date(2025, 13, 1),
            date(2025, 0, 1),
            date(2025, 4, 31),
            date(2025, 4, 0),
        ] {
            assert_eq!(at(wrong, 0), None, "{wrong:?}");
        }
        let midnight = TimeOfDay { hour: 24, ..NOON };
        assert_eq!(epoch_s(date(2025, 1, 1), midnight, Zone::Utc, 0), None);
    }

    #[test]
    fn a_second_is_in_its_day() {
        for zone in [Zone::Utc, Zone::Local] {
            for day in [date(2026, 11, 21), date(2024, 2, 29), date(2025, 1, 1)] {
                let noon = epoch_s(day, NOON, zone, 0).unwrap();
                assert_eq!(date_at(noon, zone), Some(day));
            }
        }
        assert_eq!(date_at(u64::MAX, Zone::Utc), None);
    }
}
