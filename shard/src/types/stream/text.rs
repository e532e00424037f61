//! Fields and values as a block holds them: short prefixes, numbers as numbers, with a point or without.
//!
//! Path: `types::stream::block` -> here -> `types::decimal`.
//! Layout of one text: a byte `b`, then
//!
//! | `b` | what follows | stands for |
//! |---|---|---|
//! | 0 to 127 | nothing | the decimal digits of `b` |
//! | 128 to 223 | `b - 128` bytes | these bytes |
//! | 224 | a varint `n`, then `n` bytes | these bytes |
//! | 225 to 232 | `b - 224` bytes, le, sign extended | the decimal digits of this integer |
//! | 233 to 249 | a varint | the decimal digits of an integer, with a point before the last `b - 232` of them |
//!
//! The varint behind the last is twice the integer, or its complement if that is below 0 (*zigzag*).
//!
//! Beside it stands what the same text takes in a listpack of Redis, since that decides when a block is full.

use crate::types::decimal::Decimal;
use crate::types::element::Element;
use protocol::number;

/// First byte of a string whose length is in that byte too.
const SHORT: u8 = 128;
/// First byte of a longer string.
const LONG: u8 = 224;
/// First byte of an integer of so many bytes more.
const INTEGER: u8 = LONG;
/// First byte of a number with so many digits more behind its point.
const DECIMAL: u8 = INTEGER + 8;
/// Lengths below this stand in the first byte.
const SHORT_LEN_END: usize = (LONG - SHORT) as usize;

/// One field or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// The decimal digits of an integer.
    Integer(i64),
    /// A number with a point.
    Decimal(Decimal),
}

impl Text<'_> {
    /// Hands its bytes to `take`.
    #[inline]
    pub fn with_bytes<T>(self, take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Text::Bytes(bytes) => take(bytes),
            Text::Integer(integer) => take(itoa::Buffer::new().format(integer).as_bytes()),
            Text::Decimal(decimal) => decimal.with_bytes(take),
        }
    }
}

/// Appends `text` to `out`; returns what it would take in a listpack.
pub(super) fn push(out: &mut Vec<u8>, text: &[u8]) -> usize {
    if let Some(integer) = number::parse_i64(text) {
        push_integer(out, integer);
        return Element::Integer(integer).listpack_size();
    }
    match Decimal::of(text) {
        Some(Decimal { digits, places }) => {
            out.push(DECIMAL + places);
            push_varint(out, ((digits << 1) ^ (digits >> 63)) as u64);
        }
        None => push_bytes(out, text),
    }
    Element::Text(text).listpack_size()
}

fn push_bytes(out: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(len) if text.len() < SHORT_LEN_END => out.push(SHORT + len),
        _ => {
            out.push(LONG);
            push_varint(out, text.len() as u64);
        }
    }
    out.extend_from_slice(text);
}

fn push_integer(out: &mut Vec<u8>, integer: i64) {
    if let Ok(small @ 0..SHORT) = u8::try_from(integer) {
        out.push(small);
        return;
    }
    // The sign bit must fit too.
    let magnitude = if integer < 0 { !integer } else { integer };
    let bit_count = 65 - magnitude.leading_zeros();
    let size = bit_count.div_ceil(8) as usize;
    out.push(INTEGER + size as u8);
    out.extend_from_slice(&integer.to_le_bytes()[..size]);
}

/// Appends `value` with seven bits a byte, the lowest first; the highest bit says that more follow.
pub(super) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`push_varint`] appends.
pub(super) fn varint_size(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Reads from the front of bytes that were written here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    /// What has not been read.
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn byte(&mut self) -> u8 {
        let (&first, rest) = self.rest.split_first().expect("what is read was written");
        self.rest = rest;
        first
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        bytes
    }

    #[inline]
    pub(super) fn varint(&mut self) -> u64 {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return value;
            }
            shift += 7;
        }
    }

    #[inline]
    pub(super) fn text(&mut self) -> Text<'a> {
        match self.byte() {
            small @ 0..SHORT => Text::Integer(i64::from(small)),
            short @ SHORT..LONG => Text::Bytes(self.bytes(usize::from(short - SHORT))),
            LONG => {
                let len = self.varint() as usize;
                Text::Bytes(self.bytes(len))
            }
            wide @ ..=DECIMAL => {
                let bytes = self.bytes(usize::from(wide - INTEGER));
                let mut all = [0; 8];
                all[8 - bytes.len()..].copy_from_slice(bytes);
                Text::Integer(i64::from_le_bytes(all) >> (64 - 8 * bytes.len()))
            }
            decimal => {
                let zigzag = self.varint();
                let digits = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                Text::Decimal(Decimal { digits, places: decimal - DECIMAL })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes_are_short() {
        for (text, size) in [
            ("", 1),
            ("a", 2),
            ("0", 1),
            ("127", 1),
            ("128", 3),
            ("-1", 2),
            ("-128", 2),
            ("-129", 3),
            ("32767", 3),
            ("32768", 4),
            ("9223372036854775807", 9),
            ("-9223372036854775808", 9),
            ("9223372036854775808", 20),
            ("007", 4),
            ("0.5", 2),
            ("101.25", 4),
            ("-101.250", 4),
            ("1700000000.125", 7),
            ("0.00000000000000001", 2),
            ("9999999.99999999999", 10),
            ("99999999.99999999999", 21),
            (".5", 3),
            ("5.", 3),
            ("00.5", 5),
            ("-0.0", 5),
            ("1.5e3", 6),
        ] {
            let mut out = Vec::new();
            push(&mut out, text.as_bytes());
            assert_eq!(out.len(), size, "{text}");
        }
        let mut out = Vec::new();
        push(&mut out, &[b'x'; 95]);
        assert_eq!(out.len(), 96);
        push(&mut out, &[b'x'; 96]);
        assert_eq!(out.len(), 96 + 98);
    }

    #[test]
    fn sizes_are_those_of_a_listpack() {
        for (text, size) in [
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
        ] {
            assert_eq!(push(&mut Vec::new(), text.as_bytes()), size, "{text}");
        }
        for (len, size) in [(63, 65), (64, 67), (125, 128), (126, 130), (4095, 4099), (4096, 4103)]
        {
            assert_eq!(push(&mut Vec::new(), &vec![b'x'; len]), size, "{len}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            texts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..300),
                    any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
                    (any::<i64>(), 0..63_u32)
                        .prop_map(|(integer, shift)| (integer >> shift).to_string().into_bytes()),
                    "-?[0-9]{0,19}[.][0-9]{0,19}".prop_map(String::into_bytes),
                ],
                0..10,
            ),
            varint in any::<u64>(),
            shift in 0..64_u32,
        ) {
            let mut out = Vec::new();
            push_varint(&mut out, varint >> shift);
            prop_assert_eq!(out.len(), varint_size(varint >> shift));
            texts.iter().for_each(|text| {
                push(&mut out, text);
            });
            let mut reader = Reader { rest: &out };
            prop_assert_eq!(reader.varint(), varint >> shift);
            for text in texts {
                prop_assert_eq!(reader.text().with_bytes(<[u8]>::to_vec), text);
            }
            prop_assert!(reader.rest.is_empty());
        }
    }
}
