//! Integers and doubles as text, read and printed exactly as Redis does.

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
