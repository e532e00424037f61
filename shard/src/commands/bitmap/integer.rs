//! Integers of any width at any bit of a string: what BITFIELD reads and writes.

/// What happens to an integer that does not fit its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// `WRAP`: the lower bits stay.
    Wrap,
    /// `SAT`: the greatest or least integer of the type.
    Saturate,
    /// `FAIL`: nothing is written.
    Fail,
}

/// A place in a string and the type of the integer there: `width` bits from bit `offset` on, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Number of its first bit.
    pub(super) offset: u64,
    /// Bits: 1 to 64 if it is signed, 1 to 63 otherwise.
    pub(super) width: u32,
    /// Whether the highest bit is the sign.
    pub(super) is_signed: bool,
}

/// Bytes that a field of 64 bits may touch.
const BYTES_MAX: usize = 9;

impl Field {
    /// How many bytes a string must have to hold this field.
    pub(super) fn end(&self) -> usize {
        ((self.offset + u64::from(self.width)).div_ceil(8)) as usize
    }

    /// The integer; behind the end of the string all bits are 0.
    pub(super) fn get(&self, bytes: &[u8]) -> i64 {
        let unused = 64 - self.width;
        let raw = (self.window(bytes) >> self.shift()) as u64;
        if self.is_signed {
            ((raw << unused) as i64) >> unused
        } else {
            ((raw << unused) >> unused) as i64
        }
    }

    /// Writes the lower bits of `value`; the string holds the field.
    pub(super) fn set(&self, bytes: &mut [u8], value: i64) {
        let mask = (u128::MAX >> (128 - self.width)) << self.shift();
        let window = self.window(bytes) & !mask | ((value as u128) << self.shift()) & mask;
        let place = &mut bytes[self.first_byte()..self.end()];
        place.copy_from_slice(&window.to_be_bytes()[..place.len()]);
    }

    /// `value` as this type holds it; `None` if it does not fit and must.
    pub(super) fn fit(&self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, greatest) = if self.is_signed {
            let half = 1_i128 << (self.width - 1);
            (-half, half - 1)
        } else {
            (0, (1_i128 << self.width) - 1)
        };
        let unused = 128 - self.width;
        let fitting = match overflow {
            Overflow::Saturate => value.clamp(least, greatest),
            Overflow::Wrap if self.is_signed => (value << unused) >> unused,
            Overflow::Wrap => value & greatest,
            Overflow::Fail => Some(value).filter(|value| (least..=greatest).contains(value))?,
        };
        Some(fitting as i64) // 64 bits, or 63 without a sign
    }

    /// The argument of SET as an integer. An unsigned field takes a negative one for a very large one, as in Redis; a
    /// signed one too, where Redis's distance to the greatest integer of the type does not fit 64 bits.
    pub(super) fn given(&self, value: i64) -> i128 {
        let is_distant = self.width < 64 && value < i64::MIN + (1 << (self.width - 1));
        if self.is_signed && !is_distant { i128::from(value) } else { i128::from(value as u64) }
    }

    fn first_byte(&self) -> usize {
        (self.offset / 8) as usize
    }

    /// How many bits of the window stand behind the field.
    fn shift(&self) -> u32 {
        128 - self.width - (self.offset % 8) as u32
    }

    /// The bytes from the first one of the field on.
    fn window(&self, bytes: &[u8]) -> u128 {
        let bytes = bytes.get(self.first_byte()..).unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
        let mut window = [0; 16];
        window[..bytes.len()].copy_from_slice(bytes);
        u128::from_be_bytes(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_field_changes_its_own_bits_only() {
        let seed = 11;
        let mut rng = Rng::new(seed);
        for round in 0..5000 {
            let is_signed = rng.below(2) == 0;
            let width = 1 + rng.below(if is_signed { 64 } else { 63 }) as u32;
            let field = Field { offset: rng.below(40) as u64, width, is_signed };
            let mut bytes: Vec<u8> =
                (0..field.end() + rng.below(3)).map(|_| rng.next_u64() as u8).collect();
            let before = bytes.clone();
            let value = field.fit(i128::from(rng.next_u64() as i64), Overflow::Wrap).unwrap();
            field.set(&mut bytes, value);
            let context = format!("seed {seed}, round {round}: {field:?} = {value}");
            assert_eq!(field.get(&bytes), value, "{context}");
            let own = field.offset..field.offset + u64::from(width);
            for bit in (0..bytes.len() as u64 * 8).filter(|bit| !own.contains(bit)) {
                let at = |bytes: &[u8]| bytes[(bit / 8) as usize] >> (7 - bit % 8) & 1;
                assert_eq!(at(&bytes), at(&before), "{context}, bit {bit}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_wraps_saturates_or_fails() {
        use Overflow::{Fail, Saturate, Wrap};
        let signed = |width| Field { offset: 0, width, is_signed: true };
        let unsigned = |width| Field { offset: 0, width, is_signed: false };
        for (field, value, overflow, fitting) in [
            (signed(8), 128, Wrap, Some(-128)),
            (signed(8), 128, Saturate, Some(127)),
            (signed(8), 128, Fail, None),
            (signed(8), -129, Wrap, Some(127)),
            (signed(8), -129, Saturate, Some(-128)),
            (signed(8), -128, Fail, Some(-128)),
            (unsigned(8), 256, Wrap, Some(0)),
            (unsigned(8), 256, Saturate, Some(255)),
            (unsigned(8), -1, Saturate, Some(0)),
            (unsigned(8), -1, Wrap, Some(255)),
            (unsigned(8), -1, Fail, None),
            (unsigned(63), i128::from(i64::MAX), Fail, Some(i64::MAX)),
            (unsigned(63), i128::from(i64::MAX) + 1, Wrap, Some(0)),
            (signed(64), i128::from(i64::MAX) + 1, Wrap, Some(i64::MIN)),
            (signed(64), i128::from(i64::MIN) - 1, Saturate, Some(i64::MIN)),
            (signed(1), 1, Wrap, Some(-1)),
        ] {
            assert_eq!(field.fit(value, overflow), fitting, "{field:?} {value} {overflow:?}");
        }
        assert_eq!(unsigned(8).fit(unsigned(8).given(-1), Saturate), Some(255));
        let given = |value| signed(8).fit(signed(8).given(value), Saturate);
        assert_eq!([given(i64::MIN + 127), given(i64::MIN + 128)], [Some(127), Some(-128)]);
        assert_eq!(signed(64).given(i64::MIN), i128::from(i64::MIN));
    }

    #[test]
    fn behind_the_string_all_bits_are_0() {
        let field = Field { offset: 4, width: 16, is_signed: false };
        assert_eq!(field.get(b"\xab"), 0xB000);
        assert_eq!(field.get(b""), 0);
        assert_eq!(Field { offset: u64::MAX / 2, ..field }.get(b"abc"), 0);
    }
}
