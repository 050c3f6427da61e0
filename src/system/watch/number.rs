//! The number in the text of a tracked file (specification D.4).

/// What a text is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// This much; 0 for a text that does not begin with a number.
    Value(i32),
    /// A number that is not within 32 bits, kept within 64.
    TooLarge(i64),
}

/// The number that a text begins with: decimal, `0x` hexadecimal or `0` octal,
/// after white space and a sign. What follows it does not matter.
pub fn number(text: &[u8]) -> Number {
    let begin = text.trim_ascii_start();
    let (negative, digits) = match begin {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
            (16, rest)
        }
        [b'0', ..] => (8, digits),
        _ => (10, digits),
    };
    let digits = digits
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(radix));
    let size = digits.fold(0_i64, |sum, digit| {
        sum.saturating_mul(i64::from(radix))
            .saturating_add(i64::from(digit))
    });
    let value = if negative {
        size.saturating_neg()
    } else {
        size
    };
    i32::try_from(value).map_or(Number::TooLarge(value), Number::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_worth_the_number_that_it_begins_with() {
        for (text, expected) in [
            ("", 0),
            ("0\n", 0),
            ("12\n", 12),
            ("  -7 dwarfs", -7),
            ("+5", 5),
            ("0x10", 16),
            ("0xfg", 15),
            ("0x", 0),
            ("0xg", 0),
            ("010", 8),
            ("089", 0),
            ("-0x20", -32),
            ("1e3", 1),
            ("seven", 0),
            ("- 5", 0),
            ("--5", 0),
            ("2147483647", i32::MAX),
            ("-2147483648", i32::MIN),
            ("\u{0}5", 0),
        ] {
            assert_eq!(number(text.as_bytes()), Number::Value(expected), "{text:?}");
        }
        assert_eq!(number(b"2147483648"), Number::TooLarge(2_147_483_648));
        assert_eq!(number(&[b'9'; 127]), Number::TooLarge(i64::MAX));
    }
}
