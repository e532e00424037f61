//! The 80-bit arithmetic of INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis on x86-64 adds in C's `long double`: the x87 format with a mantissa of 64 bits and exponents to 2^16383. So
//! 0.1 + 0.2 prints as 0.3, where doubles give 0.30000000000000004. Here the same numbers are computed with integers:
//! reading and adding round to the nearest 64-bit mantissa (ties to even), printing rounds the exact value to 17
//! digits behind the point, and all three are exact over the whole range, subnormal numbers included. A test compares
//! with what a Redis server answered.
//!
//! Numbers of up to 19 digits with up to 18 behind the point are read, and numbers below 2^64 printed, in machine
//! integers; the others go through [`Big`](super::big::Big).

use super::big::Big;
use super::scan::{self, Binary, Digits, Format};
use std::ops::Add;

/// The x87 extended format.
const EXTENDED: Format = Format { bits: 64, exponents: EXPONENT_MIN..=16320 };
const EXPONENT_MIN: i64 = -16445;
/// Longest text Redis reads as a long double, in bytes.
const TEXT_LEN_MAX: usize = 5119;
/// Digits printed behind the point, before trailing zeros are cut off.
const FRACTION_DIGITS: u32 = 17;

/// A floating-point number with a 64-bit mantissa.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    is_negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    /// `mantissa * 2^exponent`. The highest bit is set unless the exponent is the least one.
    Finite {
        mantissa: u64,
        exponent: i64,
    },
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// Nothing: what a key that does not exist counts as.
    pub const ZERO: LongDouble = LongDouble {
        is_negative: false,
        magnitude: Magnitude::Finite { mantissa: 0, exponent: EXPONENT_MIN },
    };

    /// Reads a number the way Redis's `string2ld` does: all that C's `strtold` takes (hexadecimal and `inf` too) and
    /// nothing else around it. `None` for anything else, for NaN, for a number that is too great or so small that it
    /// vanishes, and for a text of more than 5119 bytes.
    ///
    /// Cost: some 30 ns for usual numbers; up to 0.1 ms for thousands of digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_LEN_MAX {
            return None;
        }
        let number = scan::number(text)?;
        let binary = match number.magnitude {
            scan::Magnitude::Infinity => {
                let magnitude = Magnitude::Infinite;
                return Some(LongDouble { is_negative: number.is_negative, magnitude });
            }
            scan::Magnitude::Decimal { digits, .. } | scan::Magnitude::Hex { digits, .. }
                if digits.is_zero() =>
            {
                return Some(LongDouble { is_negative: number.is_negative, ..LongDouble::ZERO });
            }
            scan::Magnitude::Decimal { digits, exponent } => from_decimal(digits, exponent)?,
            scan::Magnitude::Hex { digits, exponent } => Binary::from_hex(digits, exponent),
        };
        let value = LongDouble::from_binary(number.is_negative, binary);
        (value.is_finite() && !value.is_zero()).then_some(value)
    }

    /// Whether this is neither infinite nor what infinity minus infinity gives.
    #[must_use]
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    fn is_zero(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { mantissa: 0, .. })
    }

    /// The nearest number to `binary`; infinite if that is too great.
    fn from_binary(is_negative: bool, binary: Binary) -> LongDouble {
        let magnitude = match binary.round(&EXTENDED) {
            None => Magnitude::Infinite,
            Some((0, _)) => return LongDouble { is_negative, ..LongDouble::ZERO },
            Some((mantissa, exponent)) => Magnitude::Finite { mantissa, exponent },
        };
        LongDouble { is_negative, magnitude }
    }

    /// Appends the text Redis stores and answers: at most 17 digits behind the point, no trailing zeros, no exponent,
    /// never `-0`. Up to 4933 digits long.
    pub fn append_to(self, out: &mut Vec<u8>) {
        let (mantissa, exponent) = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => (mantissa, exponent),
            Magnitude::Infinite if self.is_negative => return out.extend_from_slice(b"-inf"),
            Magnitude::Infinite => return out.extend_from_slice(b"inf"),
            Magnitude::NotANumber => return out.extend_from_slice(b"nan"),
        };
        if exponent > 0 {
            if self.is_negative {
                out.push(b'-');
            }
            let mut whole = Big::from_u64(mantissa);
            whole.shift_left(exponent.unsigned_abs());
            return whole.print(out);
        }
        let (whole, fraction) = split_at_point(mantissa, exponent.unsigned_abs());
        if self.is_negative && (whole, fraction) != (0, 0) {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        append_fraction(fraction, out);
    }

    /// The text, in memory of its own; see [`LongDouble::append_to`].
    #[must_use]
    pub fn to_text(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_to(&mut out);
        out
    }
}

impl From<i64> for LongDouble {
    /// Exact.
    fn from(value: i64) -> Self {
        let mantissa = u128::from(value.unsigned_abs());
        LongDouble::from_binary(value < 0, Binary { mantissa, exponent: 0, is_exact: true })
    }
}

impl From<f64> for LongDouble {
    /// Exact.
    fn from(value: f64) -> Self {
        let is_negative = value.is_sign_negative();
        let bits = value.to_bits();
        let fraction = u128::from(bits & ((1 << 52) - 1));
        let (mantissa, exponent) = match (bits >> 52 & 0x7ff) as i64 {
            0x7ff if fraction != 0 => {
                return LongDouble { is_negative, magnitude: Magnitude::NotANumber };
            }
            0x7ff => return LongDouble { is_negative, magnitude: Magnitude::Infinite },
            0 => (fraction, -1074),
            exponent => (fraction | 1 << 52, exponent - 1075),
        };
        LongDouble::from_binary(is_negative, Binary { mantissa, exponent, is_exact: true })
    }
}

impl Add for LongDouble {
    type Output = LongDouble;

    /// The sum, rounded to the nearest number, ties to even.
    fn add(self, other: LongDouble) -> LongDouble {
        match (self.magnitude, other.magnitude) {
            (
                Magnitude::Finite { mantissa: a, exponent: a_exponent },
                Magnitude::Finite { mantissa: b, exponent: b_exponent },
            ) => {
                if (a_exponent, a) >= (b_exponent, b) {
                    add_finite(
                        self.is_negative,
                        other.is_negative,
                        (a, a_exponent),
                        (b, b_exponent),
                    )
                } else {
                    add_finite(
                        other.is_negative,
                        self.is_negative,
                        (b, b_exponent),
                        (a, a_exponent),
                    )
                }
            }
            (Magnitude::Finite { .. }, _) => other,
            (_, Magnitude::Finite { .. }) => self,
            (Magnitude::Infinite, Magnitude::Infinite) if self.is_negative == other.is_negative => {
                self
            }
            _ => LongDouble { is_negative: false, magnitude: Magnitude::NotANumber },
        }
    }
}

/// Adds two numbers, of which the first has the greater magnitude.
fn add_finite(
    is_negative: bool,
    is_other_negative: bool,
    (great, exponent): (u64, i64),
    (small, small_exponent): (u64, i64),
) -> LongDouble {
    // One bit is left free for the carry, 63 below for what the smaller number has there.
    let great = u128::from(great) << 63;
    let small = u128::from(small) << 63;
    let shift = u32::try_from(exponent - small_exponent).expect("the greater number comes first");
    let aligned = small.checked_shr(shift).unwrap_or(0);
    let is_exact = aligned.checked_shl(shift).unwrap_or(0) == small;
    let mantissa = if is_negative == is_other_negative {
        great + aligned
    } else {
        // What is cut off the smaller number is missing here: take one more, and the rest is less than one again.
        great - aligned - u128::from(!is_exact)
    };
    if mantissa == 0 {
        return LongDouble { is_negative: is_negative && is_other_negative, ..LongDouble::ZERO };
    }
    LongDouble::from_binary(is_negative, Binary { mantissa, exponent: exponent - 63, is_exact })
}

/// The value of decimal digits, not all zero, times a power of ten. `None` if it is far above or far
/// below all numbers there are.
fn from_decimal(digits: Digits<'_>, exponent: i64) -> Option<Binary> {
    if let Some(binary) = from_short_decimal(digits, exponent) {
        return Some(binary);
    }
    // Zeros before the first digit aside, the number is between a tenth of 10^magnitude and 10^magnitude.
    let magnitude = digits.iter().skip_while(|&digit| digit == b'0').count() as i64 + exponent;
    if !(-4960..=4940).contains(&magnitude) {
        return None;
    }
    let mut value = Big::from_decimal(digits.iter());
    // Ten is two times five, and a factor of two only moves the exponent.
    let power = exponent.unsigned_abs() as u32;
    let (mantissa, shift, is_exact) = if exponent >= 0 {
        value.multiply_by_power_of_five(power);
        value.top()
    } else {
        let mut divisor = Big::from_u64(1);
        divisor.multiply_by_power_of_five(power);
        value.divide_to_bits(divisor)
    };
    Some(Binary { mantissa, exponent: exponent + shift, is_exact })
}

/// The same for digits that fit in 64 bits and a power of ten that fits as well: the usual case.
fn from_short_decimal(digits: Digits<'_>, exponent: i64) -> Option<Binary> {
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    let value = u128::from(value);
    match exponent {
        0..=19 => {
            let power = 10_u128.pow(exponent as u32);
            Some(Binary { mantissa: value * power, exponent: 0, is_exact: true })
        }
        -18..0 => {
            // The divisor is below 2^60, so that the quotient has 68 bits at least.
            let power = 10_u128.pow(exponent.unsigned_abs() as u32);
            let shift = value.leading_zeros();
            let (quotient, rest) = ((value << shift) / power, (value << shift) % power);
            Some(Binary { mantissa: quotient, exponent: -i64::from(shift), is_exact: rest == 0 })
        }
        _ => None,
    }
}

/// `mantissa / 2^shift` as its whole part and 17 digits behind the point, the last one rounded, ties to even.
fn split_at_point(mantissa: u64, shift: u64) -> (u64, u64) {
    const SCALE: u128 = 10_u128.pow(FRACTION_DIGITS);
    let Ok(shift @ 0..=127) = u32::try_from(shift) else {
        return (0, 0); // below 2^-64, nothing of it is seen
    };
    let value = u128::from(mantissa);
    let one = 1_u128 << shift;
    let (whole, rest) = (value >> shift, value & (one - 1));
    let scaled = rest * SCALE; // 64 and 57 bits
    let (kept, lost) = (scaled >> shift, scaled & (one - 1));
    let twice = lost << 1; // `lost` is at most 121 bits long
    let is_up = twice > one || twice == one && kept & 1 == 1;
    let fraction = kept + u128::from(is_up);
    if fraction == SCALE { (whole as u64 + 1, 0) } else { (whole as u64, fraction as u64) }
}

/// Appends the point and 17 digits, without trailing zeros; nothing if all are zero.
fn append_fraction(mut fraction: u64, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    let mut digit_count = FRACTION_DIGITS as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digit_count -= 1;
    }
    let mut digits = itoa::Buffer::new();
    let text = digits.format(fraction);
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', digit_count - text.len()));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> LongDouble {
        LongDouble::parse(text.as_bytes()).expect(text)
    }

    fn printed(value: LongDouble) -> String {
        String::from_utf8(value.to_text()).expect("ASCII")
    }

    #[test]
    fn sums_surprise_nobody() {
        let facts = [
            ("0.1", "0.2", "0.3"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-1.25", "1.75"),
            ("-0.0", "0", "0"),
            ("-0.000000000000000001", "0", "0"),
            ("1", "-1", "0"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("17179869184", "0.000000001", "17179869184.00000000186264515"),
            ("18446744073709551615", "0", "18446744073709551615"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("2e-4951", "0", "0"),
        ];
        for (a, b, sum) in facts {
            assert_eq!(printed(parse(a) + parse(b)), sum, "{a} + {b}");
            assert_eq!(parse(a) + parse(b), parse(b) + parse(a), "{a} + {b}");
        }
    }

    #[test]
    fn infinity_is_a_number_but_not_finite() {
        let infinity = parse("inf");
        assert!(!infinity.is_finite());
        assert!(!(infinity + parse("1")).is_finite());
        assert!(!(infinity + parse("-inf")).is_finite());
        assert_eq!(printed(infinity + infinity), "inf");
        assert_eq!(printed(parse("-inf") + parse("1")), "-inf");
        assert_eq!(printed(infinity + parse("-inf")), "nan");
        assert!(!(parse("1.1e4932") + parse("1.1e4932")).is_finite());
    }

    #[test]
    fn a_text_too_long_is_no_number() {
        let longest = "0".repeat(TEXT_LEN_MAX - 1) + "1";
        assert_eq!(parse(&longest), LongDouble::from(1));
        assert_eq!(LongDouble::parse(format!("0{longest}").as_bytes()), None);
        let ones = "1".repeat(4900);
        assert_eq!(printed(parse(&ones)).len(), 4900);
        assert_eq!(LongDouble::parse("1".repeat(5000).as_bytes()), None);
        let small = format!("0.{}1e4951", "0".repeat(5000 - 50));
        assert_eq!(parse(&small), parse("1"));
    }

    proptest! {
        #[test]
        fn integers_stay_exact(a: i64, b: i64) {
            let (a_text, b_text) = (a.to_string(), b.to_string());
            prop_assert_eq!(parse(&a_text), LongDouble::from(a));
            prop_assert_eq!(printed(LongDouble::from(a)), a_text);
            let sum = (i128::from(a) + i128::from(b)).to_string();
            prop_assert_eq!(printed(parse(&b_text) + LongDouble::from(a)), sum);
        }

        #[test]
        fn short_and_long_way_read_the_same(value in 1_u64.., exponent in -18_i64..20) {
            let text = format!("{value}e{exponent}");
            let number = scan::number(text.as_bytes()).expect("a number");
            let scan::Magnitude::Decimal { digits, exponent } = number.magnitude else {
                unreachable!("written as a decimal number");
            };
            let short = from_short_decimal(digits, exponent).expect("short");
            let long = format!("{value}{}e{}", "0".repeat(30), exponent - 30);
            prop_assert_eq!(LongDouble::from_binary(false, short), parse(&long));
        }

        #[test]
        fn doubles_are_exact(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let fraction_bits = bits & ((1 << 52) - 1);
                let hex = match bits >> 52 & 0x7ff {
                    0 => format!("0x0.{fraction_bits:013x}p-1022"),
                    exponent => format!("0x1.{fraction_bits:013x}p{}", exponent as i64 - 1023),
                };
                let expected = parse(&hex);
                let expected = LongDouble { is_negative: value.is_sign_negative(), ..expected };
                prop_assert_eq!(LongDouble::from(value), expected, "{}", hex);
            }
        }

        #[test]
        fn any_text_is_read_without_harm(text in "[-+0-9a-fA-FxXpPeEinf.]{0,40}") {
            if let Some(value) = LongDouble::parse(text.as_bytes()) {
                prop_assert!(value.to_text().len() < 5000);
            }
        }
    }
}
