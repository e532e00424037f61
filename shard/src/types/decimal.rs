//! Numbers with a point, as prices are: texts that are kept as an integer and a count of places.
//!
//! Path: `types::{element, stream::text}` -> here. Each of them stores the two in its own way.

/// A number with a point whose text has no sign or digit that it could do without: one text has one number at most, and
/// the number gives that text back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Its digits without the point, and its sign.
    pub(crate) digits: i64,
    /// How many of them stand behind the point: one at least.
    pub(crate) places: u8,
}

impl Decimal {
    /// So many digits surely fit into an `i64`.
    const DIGITS_MAX: usize = 18;
    /// Bytes of the longest text: a sign, the digits and the point.
    pub const LEN_MAX: usize = Self::DIGITS_MAX + 2;

    /// The number whose text is this one, byte for byte. Cost: O(1) for most other texts, by their first byte.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Decimal> {
        let (is_negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        if unsigned.len() > Self::DIGITS_MAX + 1 || !unsigned.first()?.is_ascii_digit() {
            return None;
        }
        // Without a point there may be one digit more, which `u64` holds too.
        let mut digits: u64 = 0;
        let mut point = None;
        for (index, &byte) in unsigned.iter().enumerate() {
            match byte {
                b'0'..=b'9' => digits = 10 * digits + u64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(index),
                _ => return None,
            }
        }
        let point = point?;
        let places = unsigned.len() - point - 1;
        let has_spare_zero = point > 1 && unsigned[0] == b'0';
        let is_minus_zero = is_negative && digits == 0;
        let is_shortest = places > 0 && !has_spare_zero && !is_minus_zero;
        let digits = if is_negative { -(digits as i64) } else { digits as i64 };
        is_shortest.then_some(Decimal { digits, places: places as u8 })
    }

    /// Writes its text to the end of `out`; returns where that begins.
    #[must_use]
    pub fn write(self, out: &mut [u8; Self::LEN_MAX]) -> usize {
        let mut start = out.len();
        let mut put = |byte| {
            start -= 1;
            out[start] = byte;
        };
        let mut digits = self.digits.unsigned_abs();
        let mut place = 0;
        // Before the point stands a zero at least.
        while digits > 0 || place <= self.places {
            if place == self.places {
                put(b'.');
            }
            put(b'0' + (digits % 10) as u8);
            digits /= 10;
            place += 1;
        }
        if self.digits < 0 {
            put(b'-');
        }
        start
    }

    /// Hands its text to `take`.
    pub fn with_bytes<T>(self, take: impl FnOnce(&[u8]) -> T) -> T {
        let mut text = [0; Self::LEN_MAX];
        let start = self.write(&mut text);
        take(&text[start..])
    }

    /// Bytes of its text.
    #[must_use]
    pub fn text_len(self) -> usize {
        let digit_count = self.digits.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
        usize::from(self.digits < 0) + digit_count.max(usize::from(self.places) + 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_text_that_comes_back_is_a_number() {
        for (text, digits, places) in [
            ("0.0", 0, 1),
            ("0.5", 5, 1),
            ("-0.5", -5, 1),
            ("101.25", 10_125, 2),
            ("1.00", 100, 2),
            ("-7.0", -70, 1),
            ("0.00000000000000001", 1, 17),
            ("-9999999999999999.99", -999_999_999_999_999_999, 2),
        ] {
            assert_eq!(Decimal::of(text.as_bytes()), Some(Decimal { digits, places }), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "-.",
            "1",
            "-1",
            "1.",
            ".5",
            "-.5",
            "00.5",
            "01.5",
            "-0.0",
            "-00.5",
            "+1.5",
            "1.5 ",
            "1..5",
            "1.2.3",
            "1.5e3",
            "--1.5",
            "1,5",
            "9999999999.9999999999",
        ] {
            assert_eq!(Decimal::of(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_text_comes_back(text in "-?[0-9.]{0,21}|-?[0-9]{1,9}[.][0-9]{1,10}") {
            if let Some(decimal) = Decimal::of(text.as_bytes()) {
                prop_assert_eq!(decimal.with_bytes(<[u8]>::to_vec), text.as_bytes());
                prop_assert_eq!(decimal.text_len(), text.len());
                prop_assert!(text.contains('.'));
            }
        }

        #[test]
        fn a_number_is_that_of_its_text(digits in -999_999_999_999_999_999..=999_999_999_999_999_999_i64, shift in 0..60, places in 1..18_u8) {
            let digits = digits >> shift;
            let decimal = Decimal { digits, places };
            prop_assert_eq!(decimal.with_bytes(Decimal::of), Some(decimal));
        }
    }
}
