//! Bits of a byte string, counted and found eight bytes at a time.

use std::ops::Range;

/// How many bits in `range` are set; the range lies within `bytes`.
pub(super) fn count_ones(bytes: &[u8], range: Range<u64>) -> u64 {
    if range.is_empty() {
        return 0;
    }
    let covered = &bytes[byte_of(range.start)..=byte_of(range.end - 1)];
    let before = covered[0] & !mask_from(range.start);
    let behind = covered[covered.len() - 1] & !mask_until(range.end);
    count_all(covered) - u64::from(before.count_ones() + behind.count_ones())
}

fn count_all(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: u64 = words.iter().map(|word| u64::from(ones(*word))).sum();
    in_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

fn ones(word: [u8; 8]) -> u32 {
    u64::from_ne_bytes(word).count_ones()
}

/// The first bit in `range` that is set, or clear if `wanted` is 0; the range lies within `bytes`.
pub(super) fn find(bytes: &[u8], wanted: u8, range: Range<u64>) -> Option<u64> {
    if range.is_empty() {
        return None;
    }
    // Flipped where clear bits are wanted, so that always set ones are.
    let flip = if wanted == 0 { 0xFF } else { 0 };
    let first = byte_of(range.start);
    let head = (bytes[first] ^ flip) & mask_from(range.start);
    let at = |index: usize, byte: u8| index as u64 * 8 + u64::from(byte.leading_zeros());
    let found = if head != 0 {
        Some(at(first, head))
    } else {
        let rest = &bytes[first + 1..=byte_of(range.end - 1).max(first)];
        let (words, _) = rest.as_chunks::<8>();
        let skipped = words.iter().take_while(|word| **word == [flip; 8]).count() * 8;
        let index = rest[skipped..].iter().position(|byte| *byte != flip);
        index.map(|index| {
            let index = skipped + index;
            at(first + 1 + index, rest[index] ^ flip)
        })
    };
    found.filter(|bit| *bit < range.end)
}

fn byte_of(bit: u64) -> usize {
    (bit / 8) as usize
}

/// Of the byte that holds bit `start`: the bits from there on.
fn mask_from(start: u64) -> u8 {
    0xFF >> (start % 8)
}

/// Of the byte that holds the bit before `end`: the bits up to there.
fn mask_until(end: u64) -> u8 {
    0xFF << (7 - (end - 1) % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn is_set(bytes: &[u8], bit: u64) -> bool {
        bytes[(bit / 8) as usize] & (0x80 >> (bit % 8)) != 0
    }

    #[test]
    fn whole_words_give_what_single_bits_give() {
        let seed = 7;
        let mut rng = Rng::new(seed);
        for round in 0..3000 {
            let filling = [0, 0xFF][rng.below(2)];
            let mut bytes = vec![filling; 1 + rng.below(40)];
            for _ in 0..rng.below(4) {
                let index = rng.below(bytes.len());
                bytes[index] = rng.next_u64() as u8;
            }
            let start = rng.below(bytes.len() * 8) as u64;
            let end = start + rng.below(bytes.len() * 8 - start as usize + 1) as u64;
            let context = format!("seed {seed}, round {round}: {bytes:?}, {start}..{end}");
            let ones = (start..end).filter(|bit| is_set(&bytes, *bit)).count() as u64;
            assert_eq!(count_ones(&bytes, start..end), ones, "{context}");
            for wanted in [0, 1] {
                let first = (start..end).find(|bit| is_set(&bytes, *bit) == (wanted == 1));
                assert_eq!(find(&bytes, wanted, start..end), first, "{wanted}: {context}");
            }
        }
    }
}
