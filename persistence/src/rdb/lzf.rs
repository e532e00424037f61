//! LZF: the compression of strings in RDB.
//!
//! The compressed form is a run of two kinds of pieces, told apart by the first byte:
//! ```text
//! 000lllll bytes                     l + 1 bytes of text
//! lllooooo oooooooo                  l + 2 bytes that stood o + 1 bytes before; l is 1 to 6
//! 111ooooo llllllll oooooooo         l + 9 bytes that stood o + 1 bytes before
//! ```

/// Longest run of text in one piece.
const LITERAL_LEN_MAX: usize = 32;
/// Shortest repetition that is worth a piece of its own.
const MATCH_LEN_MIN: usize = 3;
/// Longest repetition in one piece.
const MATCH_LEN_MAX: usize = 255 + 9;
/// Farthest that a repetition may lie back.
const OFFSET_MAX: usize = 1 << 13;

/// A text is never more than this many times as long as its compressed form.
pub const RATIO_MAX: usize = MATCH_LEN_MAX / 3;

/// Most bits of the positions that [`compress`] remembers: 64 KiB of memory while it runs.
const TABLE_BITS_MAX: u32 = 14;
/// Fewest bits, for short texts.
const TABLE_BITS_MIN: u32 = 8;

/// Compresses `text`, if that takes at most `size_max` bytes. Cost: O(n).
#[must_use]
pub fn compress(text: &[u8], size_max: usize) -> Option<Vec<u8>> {
    let bits = text.len().checked_ilog2().unwrap_or(0).clamp(TABLE_BITS_MIN, TABLE_BITS_MAX);
    // Where each hash of three bytes was last seen, plus one; 0 for nowhere.
    let mut seen = vec![0_u32; 1 << bits];
    let mut out = Vec::with_capacity(size_max.min(text.len()));
    let (mut at, mut literal_start) = (0, 0);
    while let Some(three) = text[at..].first_chunk() {
        let next = u32::try_from(at + 1).ok()?;
        let last = std::mem::replace(&mut seen[hash(three, bits)], next) as usize;
        let len = last.checked_sub(1).map_or(0, |source| match_len(text, source, at));
        if len < MATCH_LEN_MIN {
            at += 1;
            continue;
        }
        push_literals(&mut out, &text[literal_start..at]);
        push_match(&mut out, at - last, len);
        if out.len() > size_max {
            return None;
        }
        at += len;
        // Of what is skipped only the last place is remembered: to remember all takes longer and saves nothing.
        if let Some(three) = text[at - 1..].first_chunk() {
            seen[hash(three, bits)] = u32::try_from(at).ok()?;
        }
        literal_start = at;
    }
    push_literals(&mut out, &text[literal_start..]);
    (out.len() <= size_max).then_some(out)
}

/// A number below `1 << bits` for three bytes.
fn hash(&[a, b, c]: &[u8; MATCH_LEN_MIN], bits: u32) -> usize {
    let three = u32::from_le_bytes([a, b, c, 0]);
    (three.wrapping_mul(0x9e37_79b1) >> (u32::BITS - bits)) as usize
}

/// How many bytes at `at` are the same as those at `source`; 0 if that is too far back.
fn match_len(text: &[u8], source: usize, at: usize) -> usize {
    if at - source > OFFSET_MAX {
        return 0;
    }
    let len_max = (text.len() - at).min(MATCH_LEN_MAX);
    let (old, new) = (&text[source..source + len_max], &text[at..at + len_max]);
    let mut len = 0;
    for (old, new) in old.as_chunks::<8>().0.iter().zip(new.as_chunks::<8>().0) {
        let differing = u64::from_le_bytes(*old) ^ u64::from_le_bytes(*new);
        if differing != 0 {
            return len + differing.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = old[len..].iter().zip(&new[len..]);
    len + rest.take_while(|(old, new)| old == new).count()
}

fn push_literals(out: &mut Vec<u8>, text: &[u8]) {
    for run in text.chunks(LITERAL_LEN_MAX) {
        out.push(run.len() as u8 - 1);
        // Most runs are a few bytes.
        match run {
            [byte] => out.push(*byte),
            _ => out.extend_from_slice(run),
        }
    }
}

/// `offset` counts from 0 for the byte right before.
fn push_match(out: &mut Vec<u8>, offset: usize, len: usize) {
    let [high, low] = (offset as u16).to_be_bytes();
    match u8::try_from(len - 2) {
        Ok(short @ ..7) => out.extend_from_slice(&[short << 5 | high, low]),
        _ => out.extend_from_slice(&[7 << 5 | high, (len - 9) as u8, low]),
    }
}

/// The text of `len` bytes whose compressed form is `bytes`; `None` if they are not one. Cost: O(len).
#[must_use]
pub fn decompress(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    if len / RATIO_MAX > bytes.len() {
        return None;
    }
    let mut text = Vec::with_capacity(len);
    let mut rest = bytes;
    while let [control, behind @ ..] = rest {
        let control = usize::from(*control);
        if control < LITERAL_LEN_MAX {
            let (run, behind) = behind.split_at_checked(control + 1)?;
            text.extend_from_slice(run);
            rest = behind;
        } else {
            let (match_len, behind) = match control >> 5 {
                7 => {
                    let (more, behind) = behind.split_first()?;
                    (usize::from(*more) + 9, behind)
                }
                short => (short + 2, behind),
            };
            let (low, behind) = behind.split_first()?;
            let source = text.len().checked_sub(((control & 31) << 8 | usize::from(*low)) + 1)?;
            copy_within(&mut text, source, match_len);
            rest = behind;
        }
        if text.len() > len {
            return None;
        }
    }
    (text.len() == len).then_some(text)
}

/// Appends `len` bytes that begin at `source`; the copy may read what it has just written.
fn copy_within(text: &mut Vec<u8>, source: usize, len: usize) {
    let distance = text.len() - source;
    if distance >= len {
        text.extend_from_within(source..source + len);
    } else {
        (source..source + len).for_each(|at| text.push(text[at]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetition_is_compressed_and_noise_is_not() {
        let text = [b'a'; 1000];
        let small = compress(&text, 900).unwrap();
        assert!(small.len() < 20, "{}", small.len());
        assert_eq!(decompress(&small, 1000).unwrap(), text);
        assert_eq!(compress(b"0123456789abcdefghijklmnopqrstuvwxyz", 35), None);
        assert_eq!(compress(b"", 0), Some(Vec::new()));
    }

    #[test]
    fn what_redis_compressed_is_read() {
        // A string of a hundred `x`, as Redis 7.2 compresses it.
        let bytes = [1, b'x', b'x', 0xe0, 87, 0, 1, b'x', b'x'];
        assert_eq!(decompress(&bytes, 100).unwrap(), [b'x'; 100]);
    }

    #[test]
    fn a_claim_that_no_compression_could_reach_allocates_nothing() {
        assert_eq!(decompress(&[0, b'x'], usize::MAX), None);
        assert_eq!(decompress(&[0, b'x'], 1 << 40), None);
        // The same run of bytes, over and over: as far as it goes.
        let mut best = vec![0, b'x'];
        best.extend([0xe0, 0xff, 0].repeat(1000));
        assert_eq!(decompress(&best, 1 + 264 * 1000).unwrap().len(), 264_001);
    }

    #[test]
    fn damaged_forms_are_refused() {
        assert_eq!(decompress(&[2, b'a', b'b'], 3), None, "a run that ends early");
        assert_eq!(decompress(&[0x20, 0], 3), None, "a repetition of nothing");
        assert_eq!(decompress(&[0xe0], 9), None, "no length");
        assert_eq!(decompress(&[0, b'a', 0x20], 4), None, "no offset");
        assert_eq!(decompress(&[0, b'a'], 2), None, "too short");
        assert_eq!(decompress(&[1, b'a', b'b'], 1), None, "too long");
    }

    proptest! {
        #[test]
        fn compressing_and_back(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 1..6),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..2000),
        ) {
            let text: Vec<u8> = order.iter().flat_map(|at| at.get(&words).clone()).collect();
            let size_max = text.len().saturating_sub(4);
            if let Some(small) = compress(&text, size_max) {
                prop_assert!(small.len() <= size_max);
                prop_assert_eq!(decompress(&small, text.len()), Some(text));
            }
        }

        #[test]
        fn any_bytes_are_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            len in 0_usize..20_000,
        ) {
            if let Some(text) = decompress(&bytes, len) {
                prop_assert_eq!(text.len(), len);
            }
        }
    }
}
