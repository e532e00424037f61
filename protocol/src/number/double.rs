//! Doubles as text: scores, RESP3 doubles, everything that is not a counter.

use super::grisu;
use super::scan::{self, Binary, Format, Magnitude};

/// IEEE 754 binary64.
const BINARY64: Format = Format { bits: 53, exponents: -1074..=971 };

/// Longest text of a double: a sign, seventeen digits, a point, `e-` and three digits; or a sign and 24 digits.
const TEXT_LEN_MAX: usize = 32;

/// Reads a double the way Redis's `string2d` does: all that C's `strtod` takes (hexadecimal and `inf` too) and nothing
/// else around it. `None` for anything else, for NaN, and for a number that is too great or so small that it vanishes.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    match read(text)? {
        Rounded::Good(value) => Some(value),
        Rounded::Overflow { .. } | Rounded::Underflow { .. } => None,
    }
}

/// Reads a bound of a score range the way Redis does, which is more lenient than [`parse_f64`]: space before the
/// number is skipped, a NUL byte ends the text, no text at all is zero, a number too great is infinite and one too
/// small is zero. `None` for anything else.
#[must_use]
pub fn parse_f64_bound(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    let with_sign = |value: f64, is_negative| if is_negative { -value } else { value };
    Some(match read(&text[start..])? {
        Rounded::Good(value) => value,
        Rounded::Overflow { is_negative } => with_sign(f64::INFINITY, is_negative),
        Rounded::Underflow { is_negative } => with_sign(0.0, is_negative),
    })
}

/// The double nearest to a number.
enum Rounded {
    Good(f64),
    Overflow { is_negative: bool },
    Underflow { is_negative: bool },
}

fn read(text: &[u8]) -> Option<Rounded> {
    let parsed = std::str::from_utf8(text).ok()?.parse::<f64>();
    match parsed {
        Ok(value) if value.is_normal() => Some(Rounded::Good(value)),
        _ => read_rare(text, parsed.unwrap_or(0.0)),
    }
}

/// All that is not a plain number; `parsed` is the value if the number is decimal.
#[cold]
fn read_rare(text: &[u8], parsed: f64) -> Option<Rounded> {
    let number = scan::number(text)?;
    let is_negative = number.is_negative;
    Some(match number.magnitude {
        Magnitude::Infinity => Rounded::Good(parsed),
        Magnitude::Decimal { .. } if parsed.is_infinite() => Rounded::Overflow { is_negative },
        Magnitude::Decimal { digits, .. } if parsed == 0.0 && !digits.is_zero() => {
            Rounded::Underflow { is_negative }
        }
        Magnitude::Decimal { .. } => Rounded::Good(parsed),
        Magnitude::Hex { digits, exponent } => {
            let Some((mantissa, exponent)) = Binary::from_hex(digits, exponent).round(&BINARY64)
            else {
                return Some(Rounded::Overflow { is_negative });
            };
            if mantissa == 0 && !digits.is_zero() {
                return Some(Rounded::Underflow { is_negative });
            }
            let magnitude = from_parts(mantissa, exponent);
            Rounded::Good(if is_negative { -magnitude } else { magnitude })
        }
    })
}

/// `mantissa * 2^exponent`, rounded already.
fn from_parts(mantissa: u64, exponent: i64) -> f64 {
    const HIDDEN_BIT: u64 = 1 << 52;
    if mantissa < HIDDEN_BIT {
        return f64::from_bits(mantissa); // zero, or subnormal: the exponent is the least one
    }
    f64::from_bits((((exponent + 1075) as u64) << 52) | (mantissa - HIDDEN_BIT))
}

/// The text of one double. It owns its few bytes.
#[derive(Clone, Copy)]
pub struct DoubleText {
    bytes: [u8; TEXT_LEN_MAX],
    len: usize,
}

impl DoubleText {
    fn new() -> Self {
        DoubleText { bytes: [0; TEXT_LEN_MAX], len: 0 }
    }

    /// The text. Only ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn fill_zeros(&mut self, count: usize) {
        self.bytes[self.len..self.len + count].fill(b'0');
        self.len += count;
    }
}

/// Prints a double the way Redis 7.2's `d2string` does: `3`, `0.1`, `-0`, `1e+30`, `inf`, `nan`.
///
/// Integers up to 2^62 print without exponent; others with the fewest digits Grisu2 finds that read back as the same
/// double. (Redis 7.0 prints seventeen digits: `0.10000000000000001`.)
///
/// Cost: no allocation; about 50 ns, or 10 ns for an integer.
#[must_use]
pub fn format_f64(value: f64) -> DoubleText {
    /// Up to here Redis prints doubles without fraction as integers.
    const INTEGER_MAX: f64 = (1_u64 << 62) as f64;

    if value != 0.0 && value.abs() <= INTEGER_MAX && value.trunc() == value {
        let mut text = DoubleText::new();
        text.extend(itoa::Buffer::new().format(value as i64).as_bytes());
        return text;
    }
    format_f64_shortest(value)
}

/// Prints a double with the fewest digits, an integer with many zeros too with an exponent: `3`, `1e+20`, `1e+9`. Redis
/// does so where it computes digests.
#[must_use]
pub fn format_f64_shortest(value: f64) -> DoubleText {
    let mut text = DoubleText::new();
    if value.is_nan() {
        text.extend(b"nan");
    } else if value.is_infinite() {
        text.extend(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if value == 0.0 {
        text.extend(if value.is_sign_positive() { b"0" } else { b"-0" });
    } else {
        if value < 0.0 {
            text.push(b'-');
        }
        print_digits(&grisu::digits(value.abs()), &mut text);
    }
    text
}

/// Chooses between the plain and the scientific form by Redis's rules.
fn print_digits(decimal: &grisu::Decimal, text: &mut DoubleText) {
    let digits = decimal.digits();
    let count = digits.len() as i32;
    let scientific_exponent = decimal.exponent + count - 1;
    let width = scientific_exponent.abs();

    if decimal.exponent >= 0 && width < count + 7 {
        text.extend(digits);
        text.fill_zeros(decimal.exponent as usize);
    } else if decimal.exponent < 0 && (decimal.exponent > -7 || width < 4) {
        let whole_count = count + decimal.exponent;
        if whole_count <= 0 {
            text.extend(b"0.");
            text.fill_zeros(whole_count.unsigned_abs() as usize);
            text.extend(digits);
        } else {
            let (whole, fraction) = digits.split_at(whole_count as usize);
            text.extend(whole);
            text.push(b'.');
            text.extend(fraction);
        }
    } else {
        text.push(digits[0]);
        if let fraction @ [_, ..] = &digits[1..] {
            text.push(b'.');
            text.extend(fraction);
        }
        text.push(b'e');
        text.push(if scientific_exponent < 0 { b'-' } else { b'+' });
        text.extend(itoa::Buffer::new().format(width).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(value: f64) -> String {
        String::from_utf8(format_f64(value).as_bytes().to_vec()).expect("ASCII")
    }

    #[test]
    fn the_forms_of_a_double() {
        let facts = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.5, "-17.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (4_611_686_018_427_388_928.0, "4611686018427389000"),
            (1e19, "1e+19"),
            (123_456_789e14, "1.23456789e+22"),
            (1e30, "1e+30"),
            (1.5e300, "1.5e+300"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1.234e-5, "1.234e-5"),
            (1.234e-3, "0.001234"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in facts {
            assert_eq!(printed(value), text);
        }
    }

    #[test]
    fn out_of_range_is_refused() {
        for text in [
            "1e309",
            "-1e309",
            "1e-400",
            "-1e-400",
            "0x1p1024",
            "0x1p-1076",
            "1e999999999999999999999",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
        for text in ["nan", "", " 1", "1 ", "1\0", "1e", "0x", "1,5", "\u{661}"] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn all_notations_are_read() {
        let facts = [
            ("5e-324", 5e-324),
            ("-inf", f64::NEG_INFINITY),
            ("+Infinity", f64::INFINITY),
            ("0e999999999999999999999", 0.0),
            ("0x0p99999", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x1.8p1", 3.0),
            ("-0xA.8", -10.5),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7ffffffffffffffffffffffffp0", 1.999_999_999_999_999_8),
            ("0x1.00000000000008000000000000000000000000001p0", 1.000_000_000_000_000_2),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x0.8p-1022", 1.112_536_929_253_600_7e-308),
        ];
        for (text, value) in facts {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
    }

    #[test]
    fn a_bound_is_read_leniently() {
        let facts = [
            ("", 0.0),
            ("\0x", 0.0),
            (" \t1.5", 1.5),
            ("1\0x", 1.0),
            ("1e-400", 0.0),
            ("-0x8p-2", -2.0),
        ];
        for (text, value) in facts {
            assert_eq!(parse_f64_bound(text.as_bytes()), Some(value), "{text:?}");
        }
        assert_eq!(parse_f64_bound(b"-1e400"), Some(f64::NEG_INFINITY));
        for text in [" ", "x", "1 ", "nan", "1x", " nan"] {
            assert_eq!(parse_f64_bound(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn text_reads_back_as_the_same_double(bits: u64) {
            let value = f64::from_bits(bits);
            let text = format_f64(value);
            if value.is_nan() {
                prop_assert_eq!(text.as_bytes(), b"nan");
            } else {
                prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(bits));
            }
        }

        #[test]
        fn hexadecimal_text_reads_back_as_the_same_double(bits in 0..0x7ff0_0000_0000_0000_u64) {
            let fraction = bits & ((1 << 52) - 1);
            let text = match bits >> 52 {
                0 => format!("0x0.{fraction:013x}p-1022"),
                exponent => format!("0x1.{fraction:013x}p{}", exponent as i64 - 1023),
            };
            prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(bits), "{}", text);
        }
    }
}
