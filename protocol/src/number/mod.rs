//! Integers and doubles as text, read and printed exactly as Redis does.
//!
//! [`parse_i64`] for counts and counters, [`double`] for scores and RESP3 doubles, [`long_double`] for the 80-bit
//! arithmetic of INCRBYFLOAT and HINCRBYFLOAT. [`scan`] and [`big`] are their tools: the grammar of numbers in C,
//! and exact integers of any size.

mod big;
pub mod double;
mod grisu;
pub mod long_double;
mod scan;

pub use double::{DoubleText, format_f64, format_f64_shortest, parse_f64};
pub use long_double::LongDouble;

/// Reads a signed 64-bit integer the way Redis's `string2ll` does: the shortest decimal form only, so no sign `+`,
/// no leading zero, no space. `None` for anything else or out of range.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] => return (!is_negative).then_some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0'); // 19 digits fit in 64 bits
    }
    if is_negative {
        (value <= i64::MIN.unsigned_abs()).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

/// Reads an unsigned 64-bit integer: up to `i64::MAX` in the form of [`parse_i64`], above it twenty digits at most.
/// `None` for anything else or out of range. Stream ids and cursors are of this kind.
#[must_use]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    text.iter().try_fold(0_u64, |value, &digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: the shortest text of some integer.
    fn parse_i64_slow(text: &[u8]) -> Option<i64> {
        let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (value.to_string().as_bytes() == text).then_some(value)
    }

    fn parse_u64_slow(text: &[u8]) -> Option<u64> {
        let value: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (value.to_string().as_bytes() == text).then_some(value)
    }

    /// Integers of every width, near the limits too, and texts that nearly are integers.
    fn integer_text() -> impl Strategy<Value = Vec<u8>> {
        let wide = (any::<i128>(), 0..127_u32).prop_map(|(value, shift)| value >> shift);
        let near = prop::sample::select(vec![0, i128::from(i64::MAX), i128::from(i64::MIN)]);
        let near = (near, -11..12_i128).prop_map(|(limit, offset)| limit + offset);
        let near_u64 = (-11..12_i128).prop_map(|offset| i128::from(u64::MAX) + offset);
        prop_oneof![
            wide.prop_map(|value| value.to_string().into_bytes()),
            near.prop_map(|value| value.to_string().into_bytes()),
            near_u64.prop_map(|value| value.to_string().into_bytes()),
            "[-+ 0]{0,2}[0-9]{0,21}[ .x]?".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..4),
        ]
    }

    #[test]
    fn limits_of_integers() {
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        for text in
            ["", "-", "-0", "+1", "01", " 1", "1 ", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        for text in ["", "-0", "-1", "+1", "01", "18446744073709551616", "99999999999999999999"] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn integers_are_read_as_defined(text in integer_text()) {
            prop_assert_eq!(parse_i64(&text), parse_i64_slow(&text));
            prop_assert_eq!(parse_u64(&text), parse_u64_slow(&text));
        }
    }
}
