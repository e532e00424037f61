//! The grammar of floating-point numbers in C (`strtod`), as far as Redis lets it through: no space before or behind
//! the number, and no NaN.

/// A number, taken apart but not yet rounded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Number<'a> {
    pub(super) is_negative: bool,
    pub(super) magnitude: Magnitude<'a>,
}

/// What stands behind the sign.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Magnitude<'a> {
    /// `inf` or `infinity` in any case.
    Infinity,
    /// The digits as if there were no point, times ten to the exponent.
    Decimal { digits: Digits<'a>, exponent: i64 },
    /// The hexadecimal digits as if there were no point, times two to the exponent.
    Hex { digits: Digits<'a>, exponent: i64 },
}

/// Digits before and behind the point; at least one in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = u8> + 'a {
        self.whole.iter().chain(self.fraction).copied()
    }

    pub(super) fn is_zero(self) -> bool {
        self.iter().all(|digit| digit == b'0')
    }
}

/// Bound of an exponent as written: beyond it every number with a thinkable count of digits overflows or vanishes.
const EXPONENT_MAX: i64 = 1 << 40;

/// Takes a number apart. `None` if `text` is anything else than one number.
pub(super) fn number(text: &[u8]) -> Option<Number<'_>> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = match text {
        [b'i' | b'I', ..] => infinity(text)?,
        [b'0', b'x' | b'X', rest @ ..] => hex(rest)?,
        _ => decimal(text)?,
    };
    Some(Number { is_negative, magnitude })
}

fn infinity(text: &[u8]) -> Option<Magnitude<'_>> {
    let is_infinity = text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity");
    is_infinity.then_some(Magnitude::Infinity)
}

fn decimal(text: &[u8]) -> Option<Magnitude<'_>> {
    let (digits, rest) = digits(text, |byte| byte.is_ascii_digit())?;
    let exponent = exponent(rest, b'e')? - digits.fraction.len() as i64;
    Some(Magnitude::Decimal { digits, exponent })
}

fn hex(text: &[u8]) -> Option<Magnitude<'_>> {
    let (digits, rest) = digits(text, |byte| byte.is_ascii_hexdigit())?;
    let exponent = exponent(rest, b'p')? - 4 * digits.fraction.len() as i64;
    Some(Magnitude::Hex { digits, exponent })
}

/// Splits off digits with at most one point among them; there must be a digit.
fn digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(Digits<'_>, &[u8])> {
    let (whole, rest) = split_while(text, is_digit);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_while(rest, is_digit),
        _ => (&[][..], rest),
    };
    let digits = Digits { whole, fraction };
    (whole.len() + fraction.len() > 0).then_some((digits, rest))
}

/// The exponent, which is all that is left of the text; 0 if nothing is left.
fn exponent(text: &[u8], letter: u8) -> Option<i64> {
    let text = match text {
        [] => return Some(0),
        [first, rest @ ..] if first.eq_ignore_ascii_case(&letter) => rest,
        _ => return None,
    };
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |value, &digit| (10 * value + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(if is_negative { -magnitude } else { magnitude })
}

fn split_while(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !is_digit(byte)).unwrap_or(text.len()))
}

/// A positive number: `(mantissa + rest) * 2^exponent`, where `rest` is nothing if `is_exact`, else between 0 and 1.
/// Unless it is exact, the mantissa has at least 66 bits, so that no rounding depends on how much the rest is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binary {
    pub(super) mantissa: u128,
    pub(super) exponent: i64,
    pub(super) is_exact: bool,
}

/// A binary floating-point format.
pub(super) struct Format {
    /// Bits of the mantissa, the leading one included.
    pub(super) bits: u32,
    /// Least and greatest weight of the mantissa's last bit, as powers of two.
    pub(super) exponents: std::ops::RangeInclusive<i64>,
}

impl Binary {
    /// The value of hexadecimal digits times a power of two.
    pub(super) fn from_hex(digits: Digits<'_>, exponent: i64) -> Binary {
        let mut binary = Binary { mantissa: 0, exponent, is_exact: true };
        for digit in digits.iter() {
            let value =
                char::from(digit).to_digit(16).expect("the scanner let only hex digits through");
            if binary.mantissa >> 124 == 0 {
                binary.mantissa = binary.mantissa << 4 | u128::from(value);
            } else {
                binary.exponent += 4;
                binary.is_exact &= value == 0;
            }
        }
        binary
    }

    /// The nearest number of a format as mantissa and exponent, of two equally near ones the even one. The mantissa
    /// is 0 if the number vanishes. `None` if it is too great.
    pub(super) fn round(self, format: &Format) -> Option<(u64, i64)> {
        let excess = i64::from(128 - self.mantissa.leading_zeros()) - i64::from(format.bits);
        let shift = excess.max(format.exponents.start() - self.exponent);
        let exponent = self.exponent + shift;
        let mut mantissa = match shift {
            ..=0 => self.mantissa << -shift, // at most `bits` bits wide; never inexact, see the type
            1..=127 => {
                let kept = self.mantissa >> shift;
                let half = 1 << (shift - 1);
                let rest = self.mantissa & ((1 << shift) - 1);
                let is_above_half = rest > half || rest == half && !self.is_exact;
                let is_tie = rest == half && self.is_exact;
                kept + u128::from(is_above_half || is_tie && kept & 1 == 1)
            }
            128 => {
                let half = 1 << 127;
                u128::from(self.mantissa > half || self.mantissa == half && !self.is_exact)
            }
            _ => 0,
        };
        let mut exponent = exponent;
        if mantissa >> format.bits != 0 {
            mantissa >>= 1; // rounded up to a power of two
            exponent += 1;
        }
        if mantissa != 0 && exponent > *format.exponents.end() {
            return None;
        }
        Some((mantissa as u64, exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_and_what_is_not_a_number() {
        for text in [
            "0",
            "-0",
            "+1",
            "1.",
            ".5",
            "1.5e10",
            "1E+5",
            "1e-5",
            "00012",
            "inf",
            "-INF",
            "+Infinity",
            "0x1",
            "0X.8p-3",
            "0x1.P1",
            "0xabcdef",
            "1e99999999999999999999",
        ] {
            assert!(number(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            "-",
            "+",
            ".",
            "e5",
            ".e5",
            "1e",
            "1e+",
            "1e5.",
            "--1",
            "+-1",
            " 1",
            "1 ",
            "1\0",
            "1_0",
            "in",
            "infin",
            "infinityx",
            "nan",
            "nan(1)",
            "-nan",
            "0x",
            "0x.",
            "0x.p1",
            "0x1p",
            "0x1p+",
            "0x1e5g",
            "0xp1",
            "1p5",
            "1f",
            "1d",
            "\u{661}",
        ] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn rounding_goes_to_the_nearest_and_to_even() {
        let format = Format { bits: 3, exponents: -2..=2 };
        let round =
            |mantissa, exponent, is_exact| Binary { mantissa, exponent, is_exact }.round(&format);
        assert_eq!(round(0b1001, 0, true), Some((0b100, 1))); // a tie goes down to even
        assert_eq!(round(0b1001, 0, false), Some((0b101, 1)));
        assert_eq!(round(0b1011, 0, true), Some((0b110, 1))); // a tie goes up to even
        assert_eq!(round(0b1111, 0, true), Some((0b100, 2))); // up to a power of two
        assert_eq!(round(0b1111, 1, true), None);
        assert_eq!(round(1, 2, true), Some((0b100, 0)));
        assert_eq!(round(1, -2, true), Some((1, -2))); // the least number there is
        assert_eq!(round(1, -3, true), Some((0, -2))); // half of it
        assert_eq!(round(3, -4, true), Some((1, -2)));
        assert_eq!(round(1 << 127, -2 - 128, false), Some((1, -2)));
        assert_eq!(round(1 << 127, -2 - 128, true), Some((0, -2)));
        assert_eq!(round(u128::MAX, -2 - 129, false), Some((0, -2)));
    }
}
