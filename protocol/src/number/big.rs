//! Exact integers of any size: just what reading and printing the extremes of a long double takes.
//!
//! Not for speed: numbers that people use never come here. The largest one is a long double with 5 KiB of digits.

/// A natural number in base 2^64, least significant limb first, without leading zero limbs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Big {
    limbs: Vec<u64>,
}

/// The greatest power of ten, and of five, that fits in a limb.
const TEN_POWER: (u64, u32) = (10_000_000_000_000_000_000, 19);
const FIVE_POWER: (u64, u32) = (7_450_580_596_923_828_125, 27);

impl Big {
    pub(super) fn from_decimal(digits: impl Iterator<Item = u8>) -> Big {
        let mut big = Big::default();
        let (mut chunk, mut scale) = (0, 1);
        for digit in digits {
            chunk = 10 * chunk + u64::from(digit - b'0');
            scale *= 10;
            if scale == TEN_POWER.0 {
                big.multiply_add(scale, chunk);
                (chunk, scale) = (0, 1);
            }
        }
        big.multiply_add(scale, chunk);
        big
    }

    pub(super) fn from_u64(value: u64) -> Big {
        let mut big = Big::default();
        big.multiply_add(1, value);
        big
    }

    pub(super) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Position of the highest bit, counted from 1; 0 for zero.
    pub(super) fn bits(&self) -> u64 {
        match self.limbs.last() {
            None => 0,
            Some(last) => 64 * self.limbs.len() as u64 - u64::from(last.leading_zeros()),
        }
    }

    /// `self * factor + addend`.
    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for limb in &mut self.limbs {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            self.limbs.push(carry as u64);
        }
    }

    pub(super) fn multiply_by_power_of_five(&mut self, mut exponent: u32) {
        while exponent >= FIVE_POWER.1 {
            self.multiply_add(FIVE_POWER.0, 0);
            exponent -= FIVE_POWER.1;
        }
        self.multiply_add(5_u64.pow(exponent), 0);
    }

    pub(super) fn shift_left(&mut self, bits: u64) {
        let bit = (bits % 64) as u32;
        if bit != 0 {
            self.multiply_add(1 << bit, 0);
        }
        if !self.is_zero() {
            let zeros = std::iter::repeat_n(0, (bits / 64) as usize);
            self.limbs.splice(0..0, zeros);
        }
    }

    fn is_at_least(&self, other: &Big) -> bool {
        let by_value = || self.limbs.iter().rev().cmp(other.limbs.iter().rev());
        self.limbs.len().cmp(&other.limbs.len()).then_with(by_value).is_ge()
    }

    /// `self - other`, which is at most as great.
    fn subtract(&mut self, other: &Big) {
        let mut is_borrowed = false;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let subtrahend = other.limbs.get(index).copied().unwrap_or(0);
            (*limb, is_borrowed) = limb.borrowing_sub(subtrahend, is_borrowed);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    /// Divides by `divisor` and returns the remainder.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0_u128;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = remainder << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = dividend % u128::from(divisor);
        }
        self.trim();
        remainder as u64
    }

    /// The highest 128 bits, the power of two they count, and whether the bits below are all zero.
    pub(super) fn top(&self) -> (u128, i64, bool) {
        let limb = |index: usize| u128::from(self.limbs.get(index).copied().unwrap_or(0));
        let count = self.limbs.len();
        if count <= 2 {
            return (limb(1) << 64 | limb(0), 0, true);
        }
        let shift = (self.bits() % 64) as u32; // bits of the highest limb, or 0 if it is full
        let skipped = if shift == 0 { count - 2 } else { count - 3 };
        let mut top = limb(skipped + 1) << 64 | limb(skipped);
        let mut is_exact = self.limbs[..skipped].iter().all(|&limb| limb == 0);
        if shift != 0 {
            is_exact &= top & ((1 << shift) - 1) == 0;
            top = top >> shift | limb(skipped + 2) << (128 - shift);
        }
        (top, 64 * skipped as i64 + i64::from(shift), is_exact)
    }

    /// `self / divisor` as 70 leading bits, the power of two they count, and whether nothing is left. Both are
    /// greater than zero.
    pub(super) fn divide_to_bits(mut self, mut divisor: Big) -> (u128, i64, bool) {
        let mut exponent = self.bits() as i64 - divisor.bits() as i64;
        if exponent < 0 {
            self.shift_left(exponent.unsigned_abs());
        } else {
            divisor.shift_left(exponent.unsigned_abs());
        }
        // Equally long, the quotient is more than a half and less than two; now one bit at a time.
        let mut quotient = 0_u128;
        while quotient >> 69 == 0 {
            quotient <<= 1;
            if self.is_at_least(&divisor) {
                self.subtract(&divisor);
                quotient |= 1;
            }
            self.shift_left(1);
            exponent -= 1;
        }
        (quotient, exponent + 1, self.is_zero())
    }

    /// Appends the decimal digits.
    pub(super) fn print(mut self, out: &mut Vec<u8>) {
        let mut chunks = Vec::new();
        while !self.is_zero() {
            chunks.push(self.divide(TEN_POWER.0));
        }
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(chunks.pop().unwrap_or(0)).as_bytes());
        for chunk in chunks.into_iter().rev() {
            let text = digits.format(chunk);
            out.extend(std::iter::repeat_n(b'0', TEN_POWER.1 as usize - text.len()));
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn big(value: u128) -> Big {
        Big::from_decimal(value.to_string().bytes())
    }

    fn printed(big: Big) -> String {
        let mut out = Vec::new();
        big.print(&mut out);
        String::from_utf8(out).expect("digits")
    }

    proptest! {
        #[test]
        fn digits_survive_a_round_trip(text in "[1-9][0-9]{0,200}") {
            prop_assert_eq!(printed(Big::from_decimal(text.bytes())), text);
        }

        #[test]
        fn small_numbers_behave_like_machine_integers(a: u64, b in 1_u64.., shift in 0_u64..64, power in 0_u32..27) {
            let mut product = big(u128::from(a));
            product.shift_left(shift);
            prop_assert_eq!(&product, &big(u128::from(a) << shift));
            let mut product = big(u128::from(a));
            product.multiply_by_power_of_five(power);
            prop_assert_eq!(product, big(u128::from(a) * 5_u128.pow(power)));
            prop_assert_eq!(big(u128::from(a)).is_at_least(&big(u128::from(b))), a >= b);
            let mut difference = big(u128::from(a.max(b)));
            difference.subtract(&big(u128::from(a.min(b))));
            prop_assert_eq!(difference, big(u128::from(a.abs_diff(b))));
        }

        #[test]
        fn the_top_of_a_shifted_number_is_the_number(value in 1_u128.., shift in 0_u64..300, extra in 0_u64..2) {
            let mut number = big(value);
            number.shift_left(shift);
            prop_assert_eq!(number.bits(), u64::from(128 - value.leading_zeros()) + shift);
            number.multiply_add(1, extra);
            let (top, exponent, is_exact) = number.top();
            let kept = u64::try_from(exponent).expect("never negative");
            let mut again = big(top);
            again.shift_left(kept);
            let is_lost = again != number;
            prop_assert_eq!(is_exact, !is_lost);
            number.subtract(&again);
            prop_assert!(number.bits() <= kept, "only bits below the top are lost");
        }

        #[test]
        fn a_quotient_has_70_correct_bits(a in 1_u64.., b in 1_u64.., shift in 0_u64..200) {
            let mut dividend = big(u128::from(a));
            dividend.shift_left(shift);
            let (quotient, exponent, is_exact) = dividend.clone().divide_to_bits(big(u128::from(b)));
            prop_assert_eq!(quotient >> 69, 1);
            // quotient * b * 2^exponent <= dividend < (quotient + 1) * b * 2^exponent, scaled by 2^200
            let scaled = |quotient: u128| {
                let mut product = big(quotient);
                product.multiply_add(b, 0);
                product.shift_left(u64::try_from(exponent + 200).expect("above -200"));
                product
            };
            dividend.shift_left(200);
            prop_assert!(dividend.is_at_least(&scaled(quotient)));
            prop_assert!(!dividend.is_at_least(&scaled(quotient + 1)));
            prop_assert_eq!(is_exact, dividend == scaled(quotient));
        }
    }
}
