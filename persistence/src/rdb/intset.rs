//! Intsets: different integers in ascending order, all of the same width.
//!
//! ```text
//! u32 le     width in bytes: 2, 4 or 8
//! u32 le     count
//! integers   le
//! ```

/// The integers of an intset; `None` unless `bytes` are exactly one, not empty and in order. Cost: O(n).
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Vec<i64>> {
    let (width, rest) = bytes.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let width = u32::from_le_bytes(*width) as usize;
    let count = u32::from_le_bytes(*count) as usize;
    if !matches!(width, 2 | 4 | 8) || count == 0 || count.checked_mul(width)? != rest.len() {
        return None;
    }
    let integers: Vec<i64> = rest.chunks_exact(width).map(widen).collect();
    integers.is_sorted_by(|a, b| a < b).then_some(integers)
}

fn widen(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (8 * (8 - bytes.len()))
}

/// The intset of these integers, which are different and in ascending order: as narrow as they allow.
#[must_use]
pub fn of(integers: &[i64]) -> Vec<u8> {
    let fits = |low: i64, high: i64| integers.iter().all(|n| (low..=high).contains(n));
    let width = if fits(i16::MIN.into(), i16::MAX.into()) {
        2
    } else if fits(i32::MIN.into(), i32::MAX.into()) {
        4
    } else {
        8
    };
    let count = u32::try_from(integers.len()).expect("a set has fewer members than 2^32");
    let mut bytes = Vec::with_capacity(8 + width * integers.len());
    bytes.extend((width as u32).to_le_bytes());
    bytes.extend(count.to_le_bytes());
    integers.iter().for_each(|integer| bytes.extend(&integer.to_le_bytes()[..width]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_widest_integer_gives_the_width() {
        assert_eq!(of(&[-1, 2]), [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 2, 0]);
        assert_eq!(of(&[-32_769])[..4], [4, 0, 0, 0]);
        assert_eq!(of(&[1, 1 << 31])[..4], [8, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_intset_is_refused() {
        let good = of(&[1, 2, 3]);
        for len in 0..good.len() {
            assert_eq!(parse(&good[..len]), None);
        }
        assert_eq!(parse(&[2, 0, 0, 0, 0, 0, 0, 0]), None, "empty");
        assert_eq!(parse(&[3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]), None, "width");
        assert_eq!(parse(&[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0]), None, "order");
        assert_eq!(parse(&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0]), None, "twice the same");
        assert_eq!(parse(&[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), None, "count");
    }

    proptest! {
        #[test]
        fn what_is_built_is_parsed(
            integers in prop::collection::btree_set(
                prop_oneof![any::<i64>(), -40_000_i64..40_000, -100_i64..100], 1..30),
        ) {
            let integers: Vec<i64> = integers.into_iter().collect();
            prop_assert_eq!(parse(&of(&integers)), Some(integers));
        }

        #[test]
        fn any_bytes_are_no_harm(bytes in prop::collection::vec(0_u8..9, 0..40)) {
            if let Some(integers) = parse(&bytes) {
                prop_assert!(integers.is_sorted());
            }
        }
    }
}
