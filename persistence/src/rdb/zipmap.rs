//! Zipmaps: small hashes as Redis before 2.6 had them. They are only read.
//!
//! ```text
//! u8         count of pairs; 254 or more if there are that many
//! pairs      length, field, length, u8 of unused bytes, value, unused bytes
//! FF
//! ```
//! A length is one byte below 254, or 254 and `u32` le.

/// The byte behind the last pair.
const END: u8 = 0xff;
/// Says that four bytes of length follow; as a count, that it does not fit.
const LONG_LEN: u8 = 254;

/// A field and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The pairs of a zipmap in order; `None` unless `bytes` are exactly one and not empty. Cost: O(n).
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Vec<Pair<'_>>> {
    let (&count, rest) = bytes.split_first()?;
    let (&end, mut rest) = rest.split_last()?;
    if end != END {
        return None;
    }
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (len, behind) = split_len(rest)?;
        let (field, behind) = behind.split_at_checked(len)?;
        let (len, behind) = split_len(behind)?;
        let (&unused_len, behind) = behind.split_first()?;
        let (value, behind) = behind.split_at_checked(len)?;
        let (_, behind) = behind.split_at_checked(usize::from(unused_len))?;
        rest = behind;
        pairs.push((field, value));
    }
    let is_right = count >= LONG_LEN || usize::from(count) == pairs.len();
    (is_right && !pairs.is_empty()).then_some(pairs)
}

fn split_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes.split_first()? {
        (&END, _) => None,
        (&LONG_LEN, rest) => {
            let (len, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*len) as usize, rest))
        }
        (&short, rest) => Some((usize::from(short), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &[u8] = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world..\xff";

    #[test]
    fn pairs_are_read_and_unused_bytes_are_not() {
        let pairs: [Pair<'_>; 2] = [(b"foo", b"bar"), (b"hello", b"world")];
        assert_eq!(parse(GOOD).unwrap(), pairs);
        let long = [&b"\x01\xfe\x04\x00\x00\x00long\x01\x00v\xff"[..]].concat();
        assert_eq!(parse(&long).unwrap(), [(b"long".as_slice(), b"v".as_slice())]);
    }

    #[test]
    fn what_is_no_zipmap_is_refused() {
        for len in 0..GOOD.len() {
            assert!(parse(&GOOD[..len]).is_none(), "{len} bytes");
        }
        assert!(parse(b"\x00\xff").is_none(), "empty");
        assert!(parse(b"\x03\x01f\x01\x00v\xff").is_none(), "count");
        assert!(parse(b"\x01\x01f\x01\x01v\xff").is_none(), "unused bytes past the end");
        assert!(parse(b"\x01\xfe\xff\xff\xff\xfff\x01\x00v\xff").is_none(), "length");
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_harm(body in prop::collection::vec(0_u8..6, 0..40)) {
            let bytes = [&[254], body.as_slice(), &[END]].concat();
            let _ = parse(&bytes);
        }
    }
}
