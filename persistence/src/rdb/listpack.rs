//! Listpacks: elements one behind the other, each with its size behind it, so that they can be walked from both ends.
//!
//! ```text
//! u32 le     size in bytes, all included
//! u16 le     count of elements; 65535 if there are that many or more
//! elements
//! FF
//! ```
//! An element:
//! ```text
//! 0xxxxxxx                    integer of 7 bits, not negative
//! 10xxxxxx bytes              text, length of 6 bits
//! 110xxxxx x                  integer of 13 bits be
//! 1110xxxx x bytes            text, length of 12 bits be
//! 11110000 u32 bytes          text, length le
//! 11110001 xx                 integer of 16 bits le; F2: 24, F3: 32, F4: 64 bits
//! size                        of all that, in groups of 7 bits be; every byte but the first has its highest bit set
//! ```

use super::element::Element;
use protocol::number;

/// Bytes before the first element.
const HEAD_SIZE: usize = 6;
/// A listpack without elements.
pub const EMPTY_SIZE: usize = HEAD_SIZE + 1;
/// The byte behind the last element.
const END: u8 = 0xff;
/// Texts of fewer bytes have their length in the head.
const SHORT_LEN_MAX: usize = 64;
/// Stands for a count that does not fit.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A listpack whose every byte has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Listpack<'a> {
    elements: &'a [u8],
    count: usize,
}

impl<'a> Listpack<'a> {
    /// Checks `bytes`; `None` unless they are exactly one listpack. Cost: O(elements).
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (head_count, rest) = rest.split_first_chunk()?;
        let (&end, elements) = rest.split_last()?;
        if u32::from_le_bytes(*size) as usize != bytes.len() || end != END {
            return None;
        }
        let mut walk = elements;
        let mut count = 0;
        while !walk.is_empty() {
            let (_, behind) = split_first(walk)?;
            walk = behind;
            count += 1;
        }
        let head_count = u16::from_le_bytes(*head_count);
        let is_right = head_count == COUNT_UNKNOWN || usize::from(head_count) == count;
        is_right.then_some(Listpack { elements, count })
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let mut rest = self.elements;
        std::iter::from_fn(move || {
            let (element, behind) = split_first(rest)?;
            rest = behind;
            Some(element)
        })
    }
}

/// The first element of `bytes` and what stands behind it; `None` if it is not right.
fn split_first(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (element, behind) = split_body(bytes)?;
    let body_size = bytes.len() - behind.len();
    let (size, size_len) = encode_size(body_size);
    let behind = behind.strip_prefix(&size[..size_len])?;
    Some((element, behind))
}

/// The first element of `bytes` without the size behind it, and the rest.
fn split_body(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let low = usize::from(head);
    match head {
        0..0x80 => Some((Element::Integer(i64::from(head)), rest)),
        0x80..0xc0 => split_text(rest, low & 0x3f),
        0xc0..0xe0 => {
            let (&next, rest) = rest.split_first()?;
            // Shifted so far up that the sign stands where that of 16 bits does.
            let bits = (u16::from(head & 0x1f) << 8 | u16::from(next)) << 3;
            Some((Element::Integer(i64::from(bits as i16 >> 3)), rest))
        }
        0xe0..0xf0 => {
            let (&next, rest) = rest.split_first()?;
            split_text(rest, (low & 0x0f) << 8 | usize::from(next))
        }
        0xf0 => {
            let (len, rest) = rest.split_first_chunk()?;
            split_text(rest, u32::from_le_bytes(*len) as usize)
        }
        0xf1 => split_integer::<2>(rest),
        0xf2 => split_integer::<3>(rest),
        0xf3 => split_integer::<4>(rest),
        0xf4 => split_integer::<8>(rest),
        _ => None,
    }
}

fn split_text(bytes: &[u8], len: usize) -> Option<(Element<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(len)?;
    Some((Element::Text(text), rest))
}

/// An integer of `N` bytes le.
pub(super) fn split_integer<const N: usize>(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (low, rest) = bytes.split_first_chunk::<N>()?;
    let mut wide = [0; 8];
    wide[8 - N..].copy_from_slice(low);
    let integer = i64::from_le_bytes(wide) >> (8 * (8 - N));
    Some((Element::Integer(integer), rest))
}

/// The size that stands behind an element of `size` bytes, and how many bytes it takes.
fn encode_size(size: usize) -> ([u8; 5], usize) {
    // Redis goes over to the next width one too early, but for the first.
    let len = match size {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let mut bytes = [0; 5];
    for (index, byte) in bytes[..len].iter_mut().enumerate() {
        let group = (size >> (7 * (len - 1 - index))) as u8;
        *byte = if index == 0 { group } else { group | 0x80 };
    }
    (bytes, len)
}

/// Makes a listpack.
#[derive(Clone, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    count: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::with_room(0)
    }
}

impl Builder {
    /// A listpack to which about `size` bytes are going to be added.
    #[must_use]
    pub fn with_room(size: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEAD_SIZE + size + 1);
        bytes.resize(HEAD_SIZE, 0);
        Builder { bytes, count: 0 }
    }

    /// Bytes of the listpack so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Whether it has no elements yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds the element with this text, as an integer if it is the text of one.
    pub fn push(&mut self, text: &[u8]) {
        match number::parse_i64(text) {
            Some(integer) => self.push_integer(integer),
            None => self.push_text(text),
        }
    }

    /// Adds an integer.
    pub fn push_integer(&mut self, integer: i64) {
        let start = self.bytes.len();
        let wide = integer.to_le_bytes();
        match integer {
            0..=0x7f => self.bytes.push(wide[0]),
            -0x1000..=0xfff => self.bytes.extend([0xc0 | wide[1] & 0x1f, wide[0]]),
            -0x8000..=0x7fff => self.push_wide(0xf1, &wide[..2]),
            -0x80_0000..=0x7f_ffff => self.push_wide(0xf2, &wide[..3]),
            -0x8000_0000..=0x7fff_ffff => self.push_wide(0xf3, &wide[..4]),
            _ => self.push_wide(0xf4, &wide),
        }
        // Few enough bytes for a size of one.
        self.bytes.push((self.bytes.len() - start) as u8);
        self.count += 1;
    }

    /// Adds a text that is not the text of an integer.
    pub fn push_text(&mut self, text: &[u8]) {
        debug_assert_eq!(number::parse_i64(text), None);
        if text.len() < SHORT_LEN_MAX {
            // Head and size are one byte each.
            self.bytes.reserve(text.len() + 2);
            self.bytes.push(0x80 | text.len() as u8);
            self.bytes.extend_from_slice(text);
            self.bytes.push(text.len() as u8 + 1);
            self.count += 1;
            return;
        }
        let start = self.bytes.len();
        match text.len() {
            len @ ..4096 => self.bytes.extend((0xe000 | len as u16).to_be_bytes()),
            len => {
                let len = u32::try_from(len).expect("an argument is smaller than 4 GiB");
                self.push_wide(0xf0, &len.to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
        self.close(start);
    }

    fn push_wide(&mut self, head: u8, bytes: &[u8]) {
        self.bytes.push(head);
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts the size behind the element that begins at `start`.
    fn close(&mut self, start: usize) {
        let (size, size_len) = encode_size(self.bytes.len() - start);
        self.bytes.extend_from_slice(&size[..size_len]);
        self.count += 1;
    }

    /// The listpack. It must be smaller than 4 GiB.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let size = u32::try_from(self.bytes.len()).expect("its maker keeps it small");
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
        self.bytes[4..HEAD_SIZE].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

/// A listpack of these texts.
#[must_use]
pub fn of<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut builder = Builder::default();
    texts.into_iter().for_each(|text| builder.push(text));
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_have_the_bytes_that_redis_gives_them() {
        let cases: [(&[u8], &[u8]); 14] = [
            (b"0", &[0, 1]),
            (b"127", &[127, 1]),
            (b"128", &[0xc0, 0x80, 2]),
            (b"-1", &[0xdf, 0xff, 2]),
            (b"4095", &[0xcf, 0xff, 2]),
            (b"-4096", &[0xd0, 0, 2]),
            (b"4096", &[0xf1, 0, 0x10, 3]),
            (b"-32769", &[0xf2, 0xff, 0x7f, 0xff, 4]),
            (b"8388608", &[0xf3, 0, 0, 0x80, 0, 5]),
            (b"2147483648", &[0xf4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9]),
            (b"", &[0x80, 1]),
            (b"a", &[0x81, b'a', 2]),
            (b"007", &[0x83, b'0', b'0', b'7', 4]),
            (b"-", &[0x81, b'-', 2]),
        ];
        for (text, element) in cases {
            let bytes = of([text]);
            assert_eq!(&bytes[HEAD_SIZE..bytes.len() - 1], element, "{}", text.escape_ascii());
            let listpack = Listpack::parse(&bytes).unwrap();
            assert_eq!(listpack.iter().next().unwrap().to_text(), text);
        }
        assert_eq!(of([b"a".as_slice()]), [10, 0, 0, 0, 1, 0, 0x81, b'a', 2, 0xff]);
        assert_eq!(of([]), [7, 0, 0, 0, 0, 0, 0xff]);
    }

    #[test]
    fn sizes_behind_elements_grow_with_them() {
        for (len, size_len) in [(62, 1), (124, 1), (125, 1), (126, 2), (16_377, 2), (16_378, 3)] {
            let text = vec![b'x'; len];
            let bytes = of([text.as_slice()]);
            let head = if len < 64 {
                1
            } else if len < 4096 {
                2
            } else {
                5
            };
            assert_eq!(bytes.len(), EMPTY_SIZE + head + len + size_len, "{len}");
            assert_eq!(Listpack::parse(&bytes).unwrap().iter().next().unwrap().to_text(), text);
        }
        assert_eq!(encode_size(16_382), ([0x7f, 0xfe, 0, 0, 0], 2));
        assert_eq!(encode_size(16_383), ([0, 0xff, 0xff, 0, 0], 3));
    }

    #[test]
    fn many_elements_are_counted_by_walking() {
        let bytes = of(std::iter::repeat_n(b"1".as_slice(), 70_000));
        assert_eq!(bytes[4..6], [0xff, 0xff]);
        assert_eq!(Listpack::parse(&bytes).unwrap().len(), 70_000);
    }

    #[test]
    fn every_damage_to_the_frame_is_found() {
        let good = of([b"ab".as_slice(), b"300", b"c"]);
        assert!(Listpack::parse(&good).is_some());
        for len in 0..good.len() {
            assert!(Listpack::parse(&good[..len]).is_none(), "{len} bytes");
        }
        // Everything but the texts themselves and the value of the integer.
        for at in (0..good.len()).filter(|at| ![7, 8, 11, 14].contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 0x85;
            assert!(Listpack::parse(&bad).is_none(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_built_is_parsed(
            texts in prop::collection::vec(
                prop_oneof![
                    any::<i64>().prop_map(|n| n.to_string().into_bytes()),
                    (-70_000_i32..70_000).prop_map(|n| n.to_string().into_bytes()),
                    prop::collection::vec(any::<u8>(), 0..140),
                ],
                0..20,
            ),
        ) {
            let bytes = of(texts.iter().map(Vec::as_slice));
            let listpack = Listpack::parse(&bytes).unwrap();
            prop_assert_eq!(listpack.len(), texts.len());
            let read: Vec<Vec<u8>> = listpack.iter().map(|e| e.to_text().into_owned()).collect();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn any_bytes_are_no_harm(elements in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = (elements.len() as u32 + 7).to_le_bytes().to_vec();
            bytes.extend([0xff, 0xff]);
            bytes.extend(&elements);
            bytes.push(END);
            if let Some(listpack) = Listpack::parse(&bytes) {
                prop_assert_eq!(listpack.iter().count(), listpack.len());
            }
        }
    }
}
