//! Numbers as configuration spells them: plain integers, memory sizes, octal modes.

/// Reads a decimal integer without sign `+`, blanks or leading zeros; must fit a signed 64-bit number.
pub(super) fn integer(text: &[u8]) -> Option<i128> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_canonical {
        return None;
    }
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(value.into())
}

/// Reads a whole text as C's `strtoll` does: leading blanks, a sign, digits of the base.
/// The empty text is 0; a number out of range is the nearest 64-bit number.
pub(super) fn lenient_integer(text: &[u8], base: u32) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for &byte in digits {
        let digit = i64::from(char::from(byte).to_digit(base)?);
        value = value.saturating_mul(i64::from(base));
        value = if is_negative { value.saturating_sub(digit) } else { value.saturating_add(digit) };
    }
    Some(value)
}

/// Reads an amount of memory in bytes. `k m g` are powers of 1000, `kb mb gb` powers of 1024, `b` is one.
/// A unit without digits is 0, as in Redis; more than 2^64 - 1 bytes is refused.
pub(super) fn memory(text: &[u8]) -> Option<i128> {
    let digit_count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(digit_count);
    let multiplier: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let count: u64 = match digits {
        [] => 0,
        _ => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    count.checked_mul(multiplier).map(i128::from)
}

/// Writes bytes with the largest of `gb mb kb` that divides them, the form used in redis.conf.
pub(super) fn memory_text(bytes: i128) -> String {
    for (unit, size) in [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes > 0 && bytes % size == 0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        assert_eq!(integer(b"0"), Some(0));
        assert_eq!(integer(b"-12"), Some(-12));
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX.into()));
        for text in ["", "-", "+1", " 1", "1 ", "01", "-0", "1.5", "9223372036854775808", "1k"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn lenient_integers_read_like_strtoll() {
        assert_eq!(lenient_integer(b" +12", 10), Some(12));
        assert_eq!(lenient_integer(b"-07", 10), Some(-7));
        assert_eq!(lenient_integer(b"", 10), Some(0));
        assert_eq!(lenient_integer(b"99999999999999999999", 10), Some(i64::MAX));
        assert_eq!(lenient_integer(b"-99999999999999999999", 10), Some(i64::MIN));
        assert_eq!(lenient_integer(b"0777", 8), Some(0o777));
        for text in ["1 ", "x", "-", " ", "1x", "8"] {
            assert_eq!(lenient_integer(text.as_bytes(), 8), None, "{text}");
        }
    }

    #[test]
    fn memory_sizes_know_their_units() {
        let cases = [
            ("0", 0),
            ("12b", 12),
            ("1k", 1000),
            ("1kb", 1024),
            ("1M", 1_000_000),
            ("1Mb", 1 << 20),
            ("2g", 2_000_000_000),
            ("2GB", 2 << 30),
            ("mb", 0),
            ("18446744073709551615", i128::from(u64::MAX)),
        ];
        for (text, bytes) in cases {
            assert_eq!(memory(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in ["-1", "1 mb", "1tb", "1.5gb", "18446744073709551616", "17179869184gb"] {
            assert_eq!(memory(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn memory_is_written_with_the_largest_whole_unit() {
        assert_eq!(memory_text(3 << 30), "3gb");
        assert_eq!(memory_text(1536 << 20), "1536mb");
        assert_eq!(memory_text(4096), "4kb");
        assert_eq!(memory_text(1000), "1000");
        assert_eq!(memory_text(0), "0");
    }
}
