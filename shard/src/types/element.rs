//! One element of a list, or of another collection while that is small, as it is stored: a head, and what does not fit
//! into it.
//!
//! Path: `types::{list::run, packed}` -> here -> `types::decimal`. Text that is a number is stored as one, if it comes back
//! as it was, byte for byte. So an element has exactly one form, and two elements are equal if their forms are.
//!
//! | Head | Behind it | Element |
//! |---|---|---|
//! | 0x00 - 0x7F | | the integer 0 to 127 |
//! | 0x80 - 0xBF | text | text of 0 to 63 bytes, the length in the head |
//! | 0xC0 - 0xDF | 1 byte | an integer of 13 bits, the high five in the head |
//! | 0xE0 - 0xEF | 1 byte, text | text of up to 4095 bytes, the high four bits of the length in the head |
//! | 0xF0 - 0xF6 | 2 to 8 bytes le | an integer |
//! | 0xF8 | `u32` le, text | longer text |
//! | 0xF9 - 0xFF | 1 to 7 bytes le | a number with a point: sixteen times the integer without it, and the digits behind it |

use crate::types::decimal::Decimal;
use protocol::number;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

const SHORT_TEXT: u8 = 0x80;
const SMALL_INTEGER: u8 = 0xC0;
const MEDIUM_TEXT: u8 = 0xE0;
const INTEGER: u8 = 0xF0;
const LONG_TEXT: u8 = 0xF8;
/// And as many bytes as follow.
const DECIMAL: u8 = 0xF8;

/// Bits in which stands how many digits of a number are behind its point.
const PLACES_BITS: u32 = 4;
const PLACES_MASK: i64 = (1 << PLACES_BITS) - 1;
/// Bytes of the widest number with a point.
const DECIMAL_WIDTH_MAX: usize = 7;

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// Text that is an integer as Redis prints it.
    Integer(i64),
    /// Text that is a number with a point, of up to 15 digits.
    Decimal(Decimal),
    /// Any other text.
    Text(&'a [u8]),
}

/// The text of an element, wherever it lies.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// In the collection.
    Stored(&'a [u8]),
    /// Here: that of a number, in the last bytes, and where it begins.
    Digits([u8; Decimal::LEN_MAX], u8),
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Text::Stored(text) => text,
            Text::Digits(digits, start) => &digits[usize::from(*start)..],
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Neither the kind of an element nor the length of a text enters its hash: the bytes tell elements apart well enough, and
/// there is less to hash.
impl Hash for Element<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Element::Text(text) => state.write(text),
            Element::Integer(integer) => state.write_i64(*integer),
            Element::Decimal(decimal) => decimal.hash(state),
        }
    }
}

impl<'a> Element<'a> {
    /// The element with this text.
    #[must_use]
    pub fn of(text: &'a [u8]) -> Self {
        if let Some(integer) = number::parse_i64(text) {
            return Element::Integer(integer);
        }
        match Decimal::of(text) {
            Some(decimal) if is_narrow(decimal) => Element::Decimal(decimal),
            _ => Element::Text(text),
        }
    }

    /// The bytes of an element that is no number, which the caller knows.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Element::Text(text) => text,
            Element::Integer(_) | Element::Decimal(_) => {
                unreachable!("the element was stored as text")
            }
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(self) -> Text<'a> {
        match self {
            Element::Text(text) => Text::Stored(text),
            Element::Integer(integer) => {
                let mut buffer = itoa::Buffer::new();
                let text = buffer.format(integer).as_bytes();
                let mut digits = [0; Decimal::LEN_MAX];
                let start = digits.len() - text.len();
                digits[start..].copy_from_slice(text);
                Text::Digits(digits, start as u8)
            }
            Element::Decimal(decimal) => {
                let mut digits = [0; Decimal::LEN_MAX];
                let start = decimal.write(&mut digits);
                Text::Digits(digits, start as u8)
            }
        }
    }

    /// Bytes that it would take in a listpack of Redis, where thresholds are about those: its head, its text unless it
    /// is an integer, and its length again for walking backwards.
    #[must_use]
    pub fn listpack_size(self) -> usize {
        let size = match self {
            Element::Integer(0..=127) => 1,
            Element::Integer(-4096..=4095) => 2,
            Element::Integer(-32_768..=32_767) => 3,
            Element::Integer(-8_388_608..=8_388_607) => 4,
            Element::Integer(-2_147_483_648..=2_147_483_647) => 5,
            Element::Integer(_) => 9,
            Element::Decimal(decimal) => 1 + decimal.text_len(),
            Element::Text(text) => match text.len() {
                len @ 0..64 => 1 + len,
                len @ 64..4096 => 2 + len,
                len => 5 + len,
            },
        };
        let size_len = match size {
            0..128 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        };
        size + size_len
    }

    /// Bytes that it takes here.
    #[must_use]
    pub(crate) fn size(self) -> usize {
        match self {
            Element::Integer(0..=127) => 1,
            Element::Integer(-4096..=4095) => 2,
            Element::Integer(integer) => 1 + integer_width(integer),
            Element::Decimal(decimal) => 1 + width(decimal_bits(decimal)),
            Element::Text(text) => match text.len() {
                len @ 0..64 => 1 + len,
                len @ 64..4096 => 2 + len,
                len => 5 + len,
            },
        }
    }

    /// Appends its stored form.
    #[inline]
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        self.store(|bytes| out.extend_from_slice(bytes));
    }

    /// Writes its stored form to `out`, which is as long as that.
    pub(crate) fn write(self, out: &mut [u8]) {
        let mut end = 0;
        self.store(|bytes| {
            out[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
        });
    }

    /// Hands its stored form to `put`, in two pieces at most.
    #[inline]
    fn store(self, mut put: impl FnMut(&[u8])) {
        match self {
            Element::Integer(integer @ 0..=127) => put(&[integer as u8]),
            Element::Integer(integer @ -4096..=4095) => {
                let [low, high, ..] = integer.to_le_bytes();
                put(&[SMALL_INTEGER | (high & 0x1F), low]);
            }
            Element::Integer(integer) => {
                let width = integer_width(integer);
                put(&[INTEGER + width as u8 - 2]);
                put(&integer.to_le_bytes()[..width]);
            }
            Element::Decimal(decimal) => {
                let bits = decimal_bits(decimal);
                let width = width(bits);
                put(&[DECIMAL + width as u8]);
                put(&bits.to_le_bytes()[..width]);
            }
            Element::Text(text) => {
                match text.len() {
                    len @ 0..64 => put(&[SHORT_TEXT | len as u8]),
                    len @ 64..4096 => put(&[MEDIUM_TEXT | (len >> 8) as u8, len as u8]),
                    len => {
                        let len = u32::try_from(len).expect("an argument is smaller than 4 GiB");
                        let [a, b, c, d] = len.to_le_bytes();
                        put(&[LONG_TEXT, a, b, c, d]);
                    }
                }
                put(text);
            }
        }
    }

    /// The element that `bytes` begins with, and the bytes it takes.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8]) -> (Self, usize) {
        let head = bytes[0];
        match head {
            SHORT_TEXT..SMALL_INTEGER => {
                let end = 1 + usize::from(head - SHORT_TEXT);
                (Element::Text(&bytes[1..end]), end)
            }
            _ => Element::decode_rarer(bytes),
        }
    }

    /// The same for all heads but those of short texts: apart, so that walks over these stay small loops.
    fn decode_rarer(bytes: &'a [u8]) -> (Self, usize) {
        let head = bytes[0];
        match head {
            0..SMALL_INTEGER => (Element::Integer(i64::from(head)), 1),
            SMALL_INTEGER..MEDIUM_TEXT => {
                // The five high bits, brought to the top so that the sign is kept on the way down.
                let bits = i16::from_be_bytes([head << 3, 0]) >> 3;
                (Element::Integer(i64::from(bits) | i64::from(bytes[1])), 2)
            }
            MEDIUM_TEXT..INTEGER => {
                let len = usize::from(head - MEDIUM_TEXT) << 8 | usize::from(bytes[1]);
                (Element::Text(&bytes[2..2 + len]), 2 + len)
            }
            INTEGER..LONG_TEXT => {
                let width = usize::from(head - INTEGER) + 2;
                (Element::Integer(read_integer(&bytes[1..], width)), 1 + width)
            }
            LONG_TEXT => {
                let len = bytes[1..].first_chunk().expect("a long text begins with its length");
                let end = 5 + u32::from_le_bytes(*len) as usize;
                (Element::Text(&bytes[5..end]), end)
            }
            _ => {
                let width = usize::from(head - DECIMAL);
                let bits = read_integer(&bytes[1..], width);
                let (digits, places) = (bits >> PLACES_BITS, (bits & PLACES_MASK) as u8);
                (Element::Decimal(Decimal { digits, places }), 1 + width)
            }
        }
    }

    /// Whether `bytes` begin with this element.
    #[inline]
    pub(crate) fn is_at(self, bytes: &[u8]) -> bool {
        match self {
            Element::Text(text) if text.len() < 64 => {
                bytes[0] == SHORT_TEXT | text.len() as u8 && bytes[1..].starts_with(text)
            }
            _ => Element::decode(bytes).0 == self,
        }
    }

    /// The bytes that the element at the beginning of `bytes` takes.
    #[inline]
    pub(crate) fn size_at(bytes: &[u8]) -> usize {
        let head = bytes[0];
        match head {
            0..SHORT_TEXT => 1,
            SHORT_TEXT..SMALL_INTEGER => 1 + usize::from(head - SHORT_TEXT),
            SMALL_INTEGER..MEDIUM_TEXT => 2,
            MEDIUM_TEXT..INTEGER | LONG_TEXT => Element::decode_rarer(bytes).1,
            INTEGER..LONG_TEXT => 3 + usize::from(head - INTEGER),
            _ => 1 + usize::from(head - DECIMAL),
        }
    }
}

/// The integer in the first `width` bytes, 1 to 8.
#[inline]
fn read_integer(bytes: &[u8], width: usize) -> i64 {
    let unused_bits = 64 - 8 * width;
    let shifted = match bytes.first_chunk() {
        Some(wide) => i64::from_le_bytes(*wide) << unused_bits,
        None => {
            let mut wide = [0; 8];
            wide[8 - width..].copy_from_slice(&bytes[..width]);
            i64::from_le_bytes(wide)
        }
    };
    shifted >> unused_bits
}

/// A number with a point as the integer that is stored.
fn decimal_bits(decimal: Decimal) -> i64 {
    decimal.digits << PLACES_BITS | i64::from(decimal.places)
}

/// Whether a number with a point is short enough to be stored as one.
fn is_narrow(decimal: Decimal) -> bool {
    const DIGITS_END: i64 = 1 << (8 * DECIMAL_WIDTH_MAX as u32 - 1 - PLACES_BITS);
    i64::from(decimal.places) <= PLACES_MASK && (-DIGITS_END..DIGITS_END).contains(&decimal.digits)
}

/// How many bytes an integer needs.
fn width(integer: i64) -> usize {
    let sign_bits = if integer < 0 { integer.leading_ones() } else { integer.leading_zeros() };
    (64 - sign_bits as usize + 1).div_ceil(8)
}

/// How many bytes an integer takes that takes two at least.
fn integer_width(integer: i64) -> usize {
    width(integer).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn hold(text: &[u8]) -> usize {
        let element = Element::of(text);
        let mut bytes = vec![0xAA];
        element.encode(&mut bytes);
        assert_eq!(bytes.len() - 1, element.size(), "{text:?}");
        assert_eq!(Element::size_at(&bytes[1..]), element.size(), "{text:?}");
        let size = element.size();
        let mut written = vec![0; size];
        element.write(&mut written);
        assert_eq!(written, bytes[1..], "{text:?}");
        bytes.push(0xAA);
        assert_eq!(Element::decode(&bytes[1..]), (element, size), "{text:?}");
        assert!(element.is_at(&bytes[1..]), "{text:?}");
        assert!(!Element::of(&[text, b"x"].concat()).is_at(&bytes[1..]), "{text:?}");
        assert_eq!(&*element.text(), text);
        size
    }

    #[test]
    fn integers_take_as_many_bytes_as_they_need() {
        for (text, size) in [
            ("0", 1),
            ("127", 1),
            ("128", 2),
            ("-1", 2),
            ("4095", 2),
            ("-4096", 2),
            ("4096", 3),
            ("-32768", 3),
            ("32768", 4),
            ("8388607", 4),
            ("8388608", 5),
            ("2147483648", 6),
            ("1700000000000", 7),
            ("9223372036854775807", 9),
            ("-9223372036854775808", 9),
            ("01", 3),
            ("-0", 3),
            ("+1", 3),
            ("9223372036854775808", 20),
        ] {
            assert_eq!(hold(text.as_bytes()), size, "{text}");
        }
    }

    #[test]
    fn numbers_with_a_point_take_as_many_bytes_as_they_need() {
        for (text, size) in [
            ("0.0", 2),
            ("0.7", 2),
            ("-0.8", 2),
            ("0.8", 3),
            ("20.47", 3),
            ("20.48", 4),
            ("101.25", 4),
            ("-5242.88", 4),
            ("5242.88", 5),
            ("1700000000.125", 7),
            ("0.000000000000001", 2),
            ("0.0000000000000001", 19),
            ("2251799813685.247", 8),
            ("-2251799813685.248", 8),
            ("2251799813685.248", 18),
            ("1.5e3", 6),
            ("01.5", 5),
        ] {
            assert_eq!(hold(text.as_bytes()), size, "{text}");
        }
    }

    #[test]
    fn text_of_any_length_is_kept() {
        for (len, head_size) in
            [(0, 1), (1, 1), (63, 1), (64, 2), (4095, 2), (4096, 5), (70_000, 5)]
        {
            assert_eq!(hold(&vec![b'x'; len]), len + head_size);
        }
    }

    #[test]
    fn every_number_comes_back() {
        let seed = 0x0e1e_3e27;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for _ in 0..20_000 {
            let integer = rng.next_u64().cast_signed() >> rng.below(64);
            let text = integer.to_string();
            hold(text.as_bytes());
            // And with a point somewhere, which often makes it text.
            let (whole, fraction) = text.split_at(rng.below(text.len() + 1));
            hold(format!("{whole}.{fraction}").as_bytes());
        }
    }

    #[test]
    fn sizes_are_those_of_a_listpack() {
        for (element, size) in [
            ("", 2),
            ("a", 3),
            ("0", 2),
            ("127", 2),
            ("128", 3),
            ("-1", 3),
            ("4095", 3),
            ("4096", 4),
            ("32768", 5),
            ("8388608", 6),
            ("2147483648", 10),
            ("01", 4),
            ("0.5", 5),
            ("-101.25", 9),
        ] {
            assert_eq!(Element::of(element.as_bytes()).listpack_size(), size, "{element:?}");
        }
        let texts = [
            (63, 65),
            (64, 67),
            (125, 128),
            (126, 130),
            (4096, 4103),
            (16_377, 16_384),
            (16_378, 16_386),
        ];
        for (len, size) in texts {
            assert_eq!(Element::Text(&vec![b'x'; len]).listpack_size(), size);
        }
    }
}
