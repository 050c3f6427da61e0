//! Arguments to values: numbers, times, switches, addresses.
//!
//! Decides what is a number (specification A.10) and how C words a number that
//! is none. Does not decide what happens then; the rows do.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char as character, digit1, one_of};
use nom::combinator::{opt, recognize};
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

use crate::time::Interval;

use super::lex::Word;
use super::model::ScriptUser;

/// Why an argument is no number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberProblem<N> {
    /// C's text.
    pub text: String,
    /// What can be used all the same: the leading digits before some garbage,
    /// or the value after rounding.
    pub usable: Option<N>,
}

/// A whole number in a range.
///
/// # Errors
/// C's text for what is wrong; with garbage behind a number in range, that number.
pub fn number(text: &str, range: RangeInclusive<i64>) -> Result<i64, NumberProblem<i64>> {
    let problem = |text: String| NumberProblem { text, usable: None };
    let sign = opt(one_of::<_, _, nom::error::Error<&str>>("+-"));
    let Ok((rest, digits)) = recognize(pair(sign, digit1)).parse(text) else {
        return Err(problem(format!("invalid number '{text}'")));
    };
    let (min, max) = (range.start(), range.end());
    if digits.starts_with('-') && *min >= 0 {
        return Err(problem(format!("negative number '{text}'")));
    }
    let value = digits
        .parse::<i64>()
        .ok()
        .filter(|value| range.contains(value));
    match value {
        None => Err(problem(format!(
            "number '{text}' outside range [{min}, {max}]"
        ))),
        Some(value) if rest.is_empty() => Ok(value),
        usable => Err(NumberProblem {
            text: format!("invalid number '{text}'"),
            usable,
        }),
    }
}

/// A whole number in a range, with nothing behind it.
///
/// # Errors
/// C's text for what is wrong.
pub fn exact_number(text: &str, range: RangeInclusive<i64>) -> Result<i64, NumberProblem<i64>> {
    number(text, range).map_err(|mut problem| {
        problem.usable = None;
        problem
    })
}

/// A number as programmers write it: decimal, `0` octal, `0x` hexadecimal.
pub fn any_base(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `DIGITS[.DIGITS]` or `.DIGITS`.
fn decimal(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let whole_first = pair(digit1, opt(preceded(character('.'), take_while(is_digit))));
    let point_first = pair(
        tag(""),
        preceded(character('.'), take_while1(is_digit)).map(Some),
    );
    nom::branch::alt((whole_first, point_first)).parse(input)
}

/// A time in seconds with up to `places` (at most 6) decimals, in a range.
///
/// # Errors
/// C's text for what is wrong; the value after rounding if only the decimals
/// are too many, and the leading number if there is garbage behind it.
pub fn seconds(
    text: &str,
    places: usize,
    range: RangeInclusive<Interval>,
) -> Result<Interval, NumberProblem<Interval>> {
    let problem = |text: String, usable| NumberProblem { text, usable };
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let Ok((rest, (whole, fraction))) = decimal(unsigned) else {
        return Err(problem(format!("invalid number '{text}'"), None));
    };
    if negative {
        return Err(problem(format!("negative number '{text}'"), None));
    }
    let fraction = fraction.unwrap_or("");
    let value = rounded(whole, fraction, places).filter(|value| range.contains(value));
    let Some(value) = value else {
        let places = places.min(6);
        let (min, max) = (
            in_places(*range.start(), places),
            in_places(*range.end(), places),
        );
        return Err(problem(
            format!("number '{text}' outside range [{min}, {max}]"),
            None,
        ));
    };
    if !rest.is_empty() {
        return Err(problem(format!("invalid number '{text}'"), Some(value)));
    }
    if fraction.len() > places {
        return Err(problem(
            format!("number '{text}' has too many decimal places"),
            Some(value),
        ));
    }
    Ok(value)
}

/// Rounds half up to `places` decimals; `None` beyond the range of an interval.
fn rounded(whole: &str, fraction: &str, places: usize) -> Option<Interval> {
    let places = places.min(6);
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut micros: u64 = 0;
    let mut unit: u64 = 1_000_000;
    for digit in fraction.bytes().take(places) {
        unit /= 10;
        micros = micros.checked_add(u64::from(digit.wrapping_sub(b'0')).checked_mul(unit)?)?;
    }
    let step = (0..places).fold(1_000_000, |step: u64, _| step / 10);
    if fraction
        .as_bytes()
        .get(places)
        .is_some_and(|digit| *digit >= b'5')
    {
        micros = micros.checked_add(step)?;
    }
    whole
        .checked_mul(1_000_000)?
        .checked_add(micros)
        .map(Interval::from_us)
}

fn in_places(value: Interval, places: usize) -> String {
    let text = value.to_string();
    let cut = if places == 0 {
        7
    } else {
        6_usize.saturating_sub(places)
    };
    text.get(..text.len().saturating_sub(cut))
        .unwrap_or(&text)
        .to_string()
}

/// A switch: exactly these six words (specification A.10).
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// An address of either family.
pub fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// `ADDR[/LEN]`, not yet looked at.
pub fn address_and_length(text: &str) -> (&str, Option<&str>) {
    let not_slash = take_while::<_, _, nom::error::Error<&str>>(|c| c != '/');
    match pair(
        not_slash,
        opt(preceded(character('/'), nom::combinator::rest)),
    )
    .parse(text)
    {
        Ok((_, parts)) => parts,
        Err(_) => (text, None),
    }
}

/// `USER [[:]GROUP]` (specification B.3, group argument).
pub fn script_user(words: &[Word]) -> Option<ScriptUser> {
    let user = words.first()?.text.clone();
    let group = words.get(1).map(|word| word.text.as_str());
    let supplementary_groups = group.is_some_and(|group| group.starts_with(':'));
    let group = group
        .map(|group| group.trim_start_matches(':'))
        .filter(|group| !group.is_empty());
    Some(ScriptUser {
        user,
        group: group.map(str::to_string),
        supplementary_groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_c_reads_them() {
        let text = |text, range| number(text, range).unwrap_err().text;
        assert_eq!(number("255", 1..=255), Ok(255));
        assert_eq!(number("+5", 1..=255), Ok(5));
        assert_eq!(number("-5", -253..=253), Ok(-5));
        assert_eq!(text("256", 1..=255), "number '256' outside range [1, 255]");
        assert_eq!(
            text("99999999999999999999", 1..=255).get(..6),
            Some("number")
        );
        assert_eq!(text("-1", 0..=255), "negative number '-1'");
        assert_eq!(text("x", 0..=255), "invalid number 'x'");
        let garbage = number("5x", 1..=255).unwrap_err();
        assert_eq!(
            (garbage.text.as_str(), garbage.usable),
            ("invalid number '5x'", Some(5))
        );
    }

    #[test]
    fn times_are_rounded_half_up() {
        let range = Interval::from_us(10_000)..=Interval::from_secs(255);
        let us = |text, places| seconds(text, places, range.clone()).map(Interval::as_us);
        assert_eq!(us("1", 6), Ok(1_000_000));
        assert_eq!(us("0.25", 6), Ok(250_000));
        assert_eq!(us(".5", 6), Ok(500_000));
        let long = us("1.0005", 3).unwrap_err();
        assert_eq!(long.text, "number '1.0005' has too many decimal places");
        assert_eq!(long.usable, Some(Interval::from_us(1_001_000)));
        assert_eq!(
            us("0", 6).unwrap_err().text,
            "number '0' outside range [0.010000, 255.000000]"
        );
        assert_eq!(
            us("300", 3).unwrap_err().text,
            "number '300' outside range [0.010, 255.000]"
        );
        assert_eq!(us("x", 6).unwrap_err().text, "invalid number 'x'");
        assert!(us("99999999999999999999999", 6).is_err());
    }

    #[test]
    fn groups_may_ask_for_supplementary_groups() {
        let user = |line: &str| {
            let text = crate::config::lex::Text::literal(line, Default::default(), 0);
            let user = script_user(&crate::config::lex::words(&text)).unwrap();
            (user.user, user.group, user.supplementary_groups)
        };
        assert_eq!(user("bob"), ("bob".into(), None, false));
        assert_eq!(
            user("bob staff"),
            ("bob".into(), Some("staff".into()), false)
        );
        assert_eq!(
            user("bob :staff"),
            ("bob".into(), Some("staff".into()), true)
        );
        assert_eq!(user("bob :"), ("bob".into(), None, true));
    }
}
