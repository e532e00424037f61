//! Scores in the small form of sorted sets: as few bytes as they need, in front of the member.
//!
//! One byte below 0xF0 is an integer from 0 to 239. 0xF0 + n - 1 stands before an integer of n bytes (le, up to 7), 0xFF
//! before any other double (le). So there is no negative zero, as there is none in Redis's small form.

use crate::types::element::Element;
use smallvec::SmallVec;
use std::ops::Deref;

/// A score as the small form has it.
struct SmallScore {
    bytes: [u8; 9],
    len: usize,
}

/// Heads of scores from here on say how many bytes follow.
const WIDE_SCORE: u8 = 0xF0;
/// The head of a score that is no integer, or too great.
const DOUBLE_SCORE: u8 = 0xFF;
/// Bytes of the widest integer.
const INTEGER_WIDTH_MAX: usize = 7;

impl SmallScore {
    /// The stored form of `score`, which is not NaN.
    fn of(score: f64) -> Self {
        let integer = score as i64;
        let sign_bits = if integer < 0 { integer.leading_ones() } else { integer.leading_zeros() };
        let width = (64 - sign_bits as usize + 1).div_ceil(8);
        let mut bytes = [0; 9];
        let len = if integer as f64 != score || width > INTEGER_WIDTH_MAX {
            bytes[0] = DOUBLE_SCORE;
            bytes[1..].copy_from_slice(&score.to_le_bytes());
            9
        } else if (0..i64::from(WIDE_SCORE)).contains(&integer) {
            bytes[0] = integer as u8;
            1
        } else {
            bytes[0] = WIDE_SCORE + width as u8 - 1;
            bytes[1..].copy_from_slice(&integer.to_le_bytes());
            1 + width
        };
        SmallScore { bytes, len }
    }
}

impl Deref for SmallScore {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// An entry of the small form: score and member.
pub(super) fn join(score: f64, member: &[u8]) -> SmallVec<[u8; 96]> {
    let mut entry = SmallVec::from_slice(&SmallScore::of(score));
    entry.extend_from_slice(member);
    entry
}

/// The member of an entry of the small form.
#[inline]
pub(super) fn member(entry: Element<'_>) -> &[u8] {
    let entry = entry.bytes();
    &entry[score_len(entry)..]
}

/// The score and the member of an entry of the small form.
#[inline]
pub(super) fn split(entry: Element<'_>) -> (f64, &[u8]) {
    let entry = entry.bytes();
    let (score, member) = entry.split_at(score_len(entry));
    (read(score), member)
}

/// Bytes of the score that `entry` begins with.
#[inline]
fn score_len(entry: &[u8]) -> usize {
    match entry[0] {
        0..WIDE_SCORE => 1,
        DOUBLE_SCORE => 9,
        head => usize::from(head - WIDE_SCORE) + 2,
    }
}

/// The score that is stored so.
#[inline]
fn read(bytes: &[u8]) -> f64 {
    let (&head, rest) = bytes.split_first().expect("an entry begins with its score");
    match head {
        0..WIDE_SCORE => f64::from(head),
        DOUBLE_SCORE => f64::from_le_bytes(*rest.first_chunk().expect("a double has eight bytes")),
        _ => {
            let mut wide = [0; 8];
            wide[8 - rest.len()..].copy_from_slice(rest);
            (i64::from_le_bytes(wide) >> (64 - 8 * rest.len())) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_kept_in_few_bytes() {
        for (score, len) in [
            (0.0, 1),
            (-0.0, 1),
            (239.0, 1),
            (240.0, 3),
            (-1.0, 2),
            (-128.0, 2),
            (32_767.0, 3),
            (32_768.0, 4),
            (-8_388_608.0, 4),
            (1_700_000_000_000.0, 7),
            (f64::from(1 << 30) * f64::from(1 << 24), 8),
            (f64::from(1 << 30) * f64::from(1 << 25), 9),
            (0.5, 9),
            (f64::INFINITY, 9),
            (f64::NEG_INFINITY, 9),
            (f64::MAX, 9),
            (f64::MIN_POSITIVE, 9),
            (i64::MAX as f64, 9),
            (i64::MIN as f64, 9),
        ] {
            let small = SmallScore::of(score);
            assert_eq!(small.len(), len, "{score}");
            let entry = join(score, b"member");
            assert_eq!(split(Element::Text(&entry)), (score, b"member".as_slice()));
            assert_eq!(member(Element::Text(&entry)), b"member");
        }
    }
}
