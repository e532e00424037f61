//! Ziplists: what Redis had before listpacks. They are only read.
//!
//! ```text
//! u32 le     size in bytes, all included
//! u32 le     where the last entry begins
//! u16 le     count of entries; 65535 if there are that many or more
//! entries    size of the entry before: one byte below 254, or 254 and u32 le; then text or integer
//! FF
//! ```
//! A text or integer:
//! ```text
//! 00xxxxxx bytes              text, length of 6 bits
//! 01xxxxxx x bytes            text, length of 14 bits be
//! 10000000 u32 bytes          text, length be
//! 11000000 xx                 integer of 16 bits le; D0: 32, E0: 64, F0: 24, FE: 8 bits
//! 1111xxxx                    integer x - 1, for x from 1 to 13
//! ```

use super::element::Element;
use super::listpack::split_integer;

/// Bytes before the first entry.
const HEAD_SIZE: usize = 10;
/// The byte behind the last entry.
const END: u8 = 0xff;
/// Says that the size of the entry before takes four bytes more.
const LONG_SIZE: u8 = 254;
/// Stands for a count that does not fit.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The entries of a ziplist in order; `None` unless `bytes` are exactly one and all its parts agree. Cost: O(n).
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let (size, rest) = bytes.split_first_chunk()?;
    let (tail, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (&end, mut rest) = rest.split_last()?;
    if u32::from_le_bytes(*size) as usize != bytes.len() || end != END {
        return None;
    }
    let mut entries = Vec::new();
    let mut previous_size = 0;
    while !rest.is_empty() {
        let (entry, behind) = split_first(rest, previous_size)?;
        previous_size = rest.len() - behind.len();
        rest = behind;
        entries.push(entry);
    }
    let last = (bytes.len() - 1 - previous_size).max(HEAD_SIZE);
    let count = u16::from_le_bytes(*count);
    let is_right = u32::from_le_bytes(*tail) as usize == last
        && (count == COUNT_UNKNOWN || usize::from(count) == entries.len());
    is_right.then_some(entries)
}

/// The first entry of `bytes`, which says that the one before takes `previous_size` bytes, and the rest.
fn split_first(bytes: &[u8], previous_size: usize) -> Option<(Element<'_>, &[u8])> {
    let (said_size, rest) = match bytes.split_first()? {
        (&LONG_SIZE, rest) => {
            let (size, rest) = rest.split_first_chunk()?;
            (u32::from_le_bytes(*size) as usize, rest)
        }
        (&END, _) => return None,
        (&short, rest) => (usize::from(short), rest),
    };
    if said_size != previous_size {
        return None;
    }
    let (&head, rest) = rest.split_first()?;
    match head {
        0..0x40 => split_text(rest, usize::from(head)),
        0x40..0x80 => {
            let (&low, rest) = rest.split_first()?;
            split_text(rest, usize::from(head & 0x3f) << 8 | usize::from(low))
        }
        0x80 => {
            let (len, rest) = rest.split_first_chunk()?;
            split_text(rest, u32::from_be_bytes(*len) as usize)
        }
        0xc0 => split_integer::<2>(rest),
        0xd0 => split_integer::<4>(rest),
        0xe0 => split_integer::<8>(rest),
        0xf0 => split_integer::<3>(rest),
        0xfe => split_integer::<1>(rest),
        0xf1..=0xfd => Some((Element::Integer(i64::from(head & 0x0f) - 1), rest)),
        _ => None,
    }
}

fn split_text(bytes: &[u8], len: usize) -> Option<(Element<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(len)?;
    Some((Element::Text(text), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Encodes as Redis 6 did: integers of every width, texts of every length.
    fn build(entries: &[Element<'_>]) -> Vec<u8> {
        let mut body = Vec::new();
        let (mut previous_size, mut last) = (0_usize, HEAD_SIZE);
        for entry in entries {
            last = HEAD_SIZE + body.len();
            let start = body.len();
            if previous_size < 254 {
                body.push(previous_size as u8);
            } else {
                body.push(LONG_SIZE);
                body.extend((previous_size as u32).to_le_bytes());
            }
            match *entry {
                Element::Text(text) => {
                    match text.len() {
                        len @ 0..0x40 => body.push(len as u8),
                        len @ 0x40..0x4000 => body.extend((0x4000 | len as u16).to_be_bytes()),
                        len => {
                            body.push(0x80);
                            body.extend((len as u32).to_be_bytes());
                        }
                    }
                    body.extend(text);
                }
                Element::Integer(n @ 0..=12) => body.push(0xf1 + n as u8),
                Element::Integer(n) => {
                    let (head, width) = match n {
                        -0x80..=0x7f => (0xfe, 1),
                        -0x8000..=0x7fff => (0xc0, 2),
                        -0x80_0000..=0x7f_ffff => (0xf0, 3),
                        -0x8000_0000..=0x7fff_ffff => (0xd0, 4),
                        _ => (0xe0, 8),
                    };
                    body.push(head);
                    body.extend(&n.to_le_bytes()[..width]);
                }
            }
            previous_size = body.len() - start;
        }
        let mut bytes = (HEAD_SIZE as u32 + body.len() as u32 + 1).to_le_bytes().to_vec();
        bytes.extend((last as u32).to_le_bytes());
        bytes.extend((entries.len() as u16).to_le_bytes());
        bytes.extend(body);
        bytes.push(END);
        bytes
    }

    #[test]
    fn every_damage_to_the_frame_is_found() {
        let good = build(&[Element::Text(b"ab"), Element::Integer(7), Element::Text(b"c")]);
        assert_eq!(parse(&good).unwrap().len(), 3);
        for len in 0..good.len() {
            assert!(parse(&good[..len]).is_none(), "{len} bytes");
        }
        // Everything but the texts themselves and the integer.
        for at in (0..good.len()).filter(|at| ![12, 13, 15, 18].contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 0x85;
            assert!(parse(&bad).is_none(), "byte {at}");
        }
        assert_eq!(parse(&build(&[])), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_redis_built_is_parsed(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
            integers in prop::collection::vec(
                prop_oneof![any::<i64>(), -40_000_i64..40_000, -1_i64..14], 0..6),
        ) {
            let long = vec![b'x'; 0x4000];
            let mut entries: Vec<_> = texts.iter().map(|text| Element::Text(text)).collect();
            entries.push(Element::Text(&long));
            entries.extend(integers.iter().copied().map(Element::Integer));
            let bytes = build(&entries);
            prop_assert_eq!(parse(&bytes), Some(entries));
        }

        #[test]
        fn any_bytes_are_no_harm(body in prop::collection::vec(any::<u8>(), 0..60), at in 0_u32..70) {
            let mut bytes = (body.len() as u32 + 11).to_le_bytes().to_vec();
            bytes.extend(at.to_le_bytes());
            bytes.extend([0xff, 0xff]);
            bytes.extend(&body);
            bytes.push(END);
            let _ = parse(&bytes);
        }
    }
}
