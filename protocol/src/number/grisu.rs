//! Doubles to decimal digits that read back as the same double: Grisu2.
//!
//! Redis 7.2 prints doubles with this algorithm, and not with one that always finds the shortest digits: about one
//! double in a thousand comes out a digit longer, or with another last digit. To give the same bytes we must make the
//! same choices. Source: Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers",
//! PLDI 2010; with powers of ten 8 apart, scaled exponents from -60 to -32, rounded products.

/// Most digits of a double: more are never needed to tell it from its neighbours.
pub(super) const DIGIT_COUNT_MAX: usize = 18;

/// `mantissa * 2^exponent`.
#[derive(Clone, Copy)]
struct Float {
    mantissa: u64,
    exponent: i32,
}

impl Float {
    /// Moves the highest bit to the top.
    fn normalized(self) -> Float {
        let shift = self.mantissa.leading_zeros();
        Float { mantissa: self.mantissa << shift, exponent: self.exponent - shift as i32 }
    }

    /// The upper half of the product, rounded.
    fn multiply(self, other: Float) -> Float {
        let product = u128::from(self.mantissa) * u128::from(other.mantissa);
        let mantissa = ((product + (1 << 63)) >> 64) as u64;
        Float { mantissa, exponent: self.exponent + other.exponent + 64 }
    }
}

/// Decimal digits, as text, times a power of ten.
#[derive(Debug)]
pub(super) struct Decimal {
    digits: [u8; DIGIT_COUNT_MAX],
    digit_count: usize,
    /// Power of ten of the last digit.
    pub(super) exponent: i32,
}

impl Decimal {
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.digit_count]
    }

    fn push(&mut self, digit: u64) {
        if digit != 0 || self.digit_count != 0 {
            self.digits[self.digit_count] = b'0' + digit as u8;
            self.digit_count += 1;
        }
    }

    /// Lowers the last digit while that brings the number closer to the double.
    ///
    /// All distances are from the upper boundary, in one unit: `done` of what was generated, `wanted` of the double,
    /// `delta` of the lower boundary; `unit` is one of the last digit.
    fn approach(&mut self, delta: u64, mut done: u64, unit: u64, wanted: u64) {
        while done < wanted
            && delta - done >= unit
            && (done + unit < wanted || wanted - done > done + unit - wanted)
        {
            self.digits[self.digit_count - 1] -= 1;
            done += unit;
        }
    }
}

/// The digits of a finite double greater than zero.
pub(super) fn digits(value: f64) -> Decimal {
    const HIDDEN_BIT: u64 = 1 << 52;
    let bits = value.to_bits();
    let fraction = bits & (HIDDEN_BIT - 1);
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let value = match exponent {
        0 => Float { mantissa: fraction, exponent: -1074 },
        _ => Float { mantissa: fraction | HIDDEN_BIT, exponent: exponent - 1075 },
    };

    // Half way to the neighbours. Below a power of two they are twice as dense.
    let upper =
        Float { mantissa: 2 * value.mantissa + 1, exponent: value.exponent - 1 }.normalized();
    let shift = if value.mantissa == HIDDEN_BIT { 2 } else { 1 };
    let lower = Float { mantissa: (value.mantissa << shift) - 1, exponent: value.exponent - shift };
    let lower = Float {
        mantissa: lower.mantissa << (lower.exponent - upper.exponent),
        exponent: upper.exponent,
    };

    let (power, power_exponent) = power_of_ten(upper.exponent);
    let value = value.normalized().multiply(power);
    // Each product is off by less than one: stay safely inside.
    let upper = upper.multiply(power).mantissa - 1;
    let lower = lower.multiply(power).mantissa + 1;
    generate(value, upper, lower, -power_exponent)
}

/// Generates digits of `upper` until what is left out is less than its distance from `lower`.
fn generate(value: Float, upper: u64, lower: u64, exponent: i32) -> Decimal {
    let mut decimal = Decimal { digits: [0; DIGIT_COUNT_MAX], digit_count: 0, exponent };
    let one_bits = value.exponent.unsigned_abs(); // all three are scaled by 2^-one_bits
    let one = 1_u64 << one_bits;
    let mut wanted = upper - value.mantissa;
    let mut delta = upper - lower;
    let mut whole = upper >> one_bits; // below 2^32
    let mut fraction = upper & (one - 1);

    for power in (0..10).rev() {
        let unit = 10_u64.pow(power);
        decimal.push(whole / unit);
        whole %= unit;
        let rest = (whole << one_bits) + fraction;
        if rest <= delta {
            decimal.exponent += power as i32;
            decimal.approach(delta, rest, unit << one_bits, wanted);
            return decimal;
        }
    }
    loop {
        fraction *= 10;
        delta *= 10;
        wanted = wanted.wrapping_mul(10);
        decimal.push(fraction >> one_bits);
        fraction &= one - 1;
        decimal.exponent -= 1;
        if fraction < delta {
            decimal.approach(delta, fraction, one, wanted);
            return decimal;
        }
    }
}

/// The least of the cached powers that brings a number with this exponent to -60 or above (and below -32), and the
/// power of ten it is.
fn power_of_ten(exponent: i32) -> (Float, i32) {
    let needed = -60 - 64 - exponent;
    // Neighbours are 26.6 bits apart, so this is never too high and at most two too low.
    let mut index = (needed - binary_exponent(POWER_MIN)).max(0) / 27;
    loop {
        let power = POWER_MIN + index * POWER_STEP;
        let float = Float { mantissa: POWERS[index as usize], exponent: binary_exponent(power) };
        if float.exponent >= needed {
            return (float, power);
        }
        index += 1;
    }
}

/// Exponent of a power of ten whose mantissa has 64 bits. Right for every power in the table.
fn binary_exponent(power: i32) -> i32 {
    ((power * 1_741_647) >> 19) - 63
}

const POWER_MIN: i32 = -348;
const POWER_STEP: i32 = 8;

/// Mantissas of 10^-348, 10^-340, ... 10^340, rounded to 64 bits. A test computes them anew.
#[rustfmt::skip]
static POWERS: [u64; 87] = [
    0xfa8fd5a0081c0288, 0xbaaee17fa23ebf76, 0x8b16fb203055ac76, 0xcf42894a5dce35ea,
    0x9a6bb0aa55653b2d, 0xe61acf033d1a45df, 0xab70fe17c79ac6ca, 0xff77b1fcbebcdc4f,
    0xbe5691ef416bd60c, 0x8dd01fad907ffc3c, 0xd3515c2831559a83, 0x9d71ac8fada6c9b5,
    0xea9c227723ee8bcb, 0xaecc49914078536d, 0x823c12795db6ce57, 0xc21094364dfb5637,
    0x9096ea6f3848984f, 0xd77485cb25823ac7, 0xa086cfcd97bf97f4, 0xef340a98172aace5,
    0xb23867fb2a35b28e, 0x84c8d4dfd2c63f3b, 0xc5dd44271ad3cdba, 0x936b9fcebb25c996,
    0xdbac6c247d62a584, 0xa3ab66580d5fdaf6, 0xf3e2f893dec3f126, 0xb5b5ada8aaff80b8,
    0x87625f056c7c4a8b, 0xc9bcff6034c13053, 0x964e858c91ba2655, 0xdff9772470297ebd,
    0xa6dfbd9fb8e5b88f, 0xf8a95fcf88747d94, 0xb94470938fa89bcf, 0x8a08f0f8bf0f156b,
    0xcdb02555653131b6, 0x993fe2c6d07b7fac, 0xe45c10c42a2b3b06, 0xaa242499697392d3,
    0xfd87b5f28300ca0e, 0xbce5086492111aeb, 0x8cbccc096f5088cc, 0xd1b71758e219652c,
    0x9c40000000000000, 0xe8d4a51000000000, 0xad78ebc5ac620000, 0x813f3978f8940984,
    0xc097ce7bc90715b3, 0x8f7e32ce7bea5c70, 0xd5d238a4abe98068, 0x9f4f2726179a2245,
    0xed63a231d4c4fb27, 0xb0de65388cc8ada8, 0x83c7088e1aab65db, 0xc45d1df942711d9a,
    0x924d692ca61be758, 0xda01ee641a708dea, 0xa26da3999aef774a, 0xf209787bb47d6b85,
    0xb454e4a179dd1877, 0x865b86925b9bc5c2, 0xc83553c5c8965d3d, 0x952ab45cfa97a0b3,
    0xde469fbd99a05fe3, 0xa59bc234db398c25, 0xf6c69a72a3989f5c, 0xb7dcbf5354e9bece,
    0x88fcf317f22241e2, 0xcc20ce9bd35c78a5, 0x98165af37b2153df, 0xe2a0b5dc971f303a,
    0xa8d9d1535ce3b396, 0xfb9b7cd9a4a7443c, 0xbb764c4ca7a44410, 0x8bab8eefb6409c1a,
    0xd01fef10a657842c, 0x9b10a4e5e9913129, 0xe7109bfba19c0c9d, 0xac2820d9623bf429,
    0x80444b5e7aa7cf85, 0xbf21e44003acdd2d, 0x8e679c2f5e44ff8f, 0xd433179d9c8cb841,
    0x9e19db92b4e31ba9, 0xeb96bf6ebadf77d9, 0xaf87023b9bf0ee6b,
];

#[cfg(test)]
mod tests {
    use super::super::big::Big;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_powers_of_ten_are_right() {
        for (index, &mantissa) in POWERS.iter().enumerate() {
            let power = POWER_MIN + POWER_STEP * i32::try_from(index).expect("87 of them");
            let one = Big::from_u64(1);
            let mut five = one.clone();
            five.multiply_by_power_of_five(power.unsigned_abs());
            let (bits, exponent, _) = if power < 0 { one.divide_to_bits(five) } else { five.top() };
            let shift = i64::from(128 - bits.leading_zeros()) - 64;
            let exponent = exponent + i64::from(power) + shift;
            let rounded =
                if shift <= 0 { bits << -shift } else { (bits + (1 << (shift - 1))) >> shift };
            assert_eq!(u128::from(mantissa), rounded, "10^{power}");
            assert_eq!(i64::from(binary_exponent(power)), exponent, "10^{power}");
        }
    }

    #[test]
    fn every_exponent_finds_its_power() {
        for exponent in -1137..=960 {
            let (power, _) = power_of_ten(exponent);
            assert!((-60..=-32).contains(&(exponent + power.exponent + 64)), "{exponent}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn digits_read_back_as_the_same_double(bits in 1_u64..0x7ff0_0000_0000_0000) {
            let value = f64::from_bits(bits);
            let decimal = digits(value);
            let text = String::from_utf8(decimal.digits().to_vec()).expect("digits");
            prop_assert!(text.len() <= 17 && !text.starts_with('0'));
            let text = format!("{text}e{}", decimal.exponent);
            prop_assert_eq!(text.parse::<f64>(), Ok(value), "{}", text);
        }
    }
}
