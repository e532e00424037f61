//! Fields and values as a block holds them: short prefixes, integers as integers.
//!
//! Path: `types::stream::block` -> here.
//! Layout of one text: a byte `b`, then
//!
//! | `b` | what follows | stands for |
//! |---|---|---|
//! | 0 to 127 | nothing | the decimal digits of `b` |
//! | 128 to 223 | `b - 128` bytes | these bytes |
//! | 224 | a varint `n`, then `n` bytes | these bytes |
//! | 225 to 232 | `b - 224` bytes, le, sign extended | the decimal digits of this integer |
//!
//! Beside it stands what the same text takes in a listpack of Redis, since that decides when a block is full.

use protocol::number;

/// First byte of a string whose length is in that byte too.
const SHORT: u8 = 128;
/// First byte of a longer string.
const LONG: u8 = 224;
/// Lengths below this stand in the first byte.
const SHORT_LEN_END: usize = (LONG - SHORT) as usize;

/// One field or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// The decimal digits of an integer.
    Integer(i64),
}

impl Text<'_> {
    /// Hands its bytes to `take`.
    #[inline]
    pub fn with_bytes<T>(self, take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Text::Bytes(bytes) => take(bytes),
            Text::Integer(integer) => take(itoa::Buffer::new().format(integer).as_bytes()),
        }
    }
}

/// Appends `text` to `out`; returns what it would take in a listpack.
pub(super) fn push(out: &mut Vec<u8>, text: &[u8]) -> usize {
    match number::parse_i64(text) {
        Some(integer) => {
            push_integer(out, integer);
            listpack_integer_size(integer)
        }
        None => {
            match u8::try_from(text.len()) {
                Ok(len) if text.len() < SHORT_LEN_END => out.push(SHORT + len),
                _ => {
                    out.push(LONG);
                    push_varint(out, text.len() as u64);
                }
            }
            out.extend_from_slice(text);
            listpack_string_size(text.len())
        }
    }
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
    out.push(LONG + size as u8);
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
            wide => {
                let bytes = self.bytes(usize::from(wide - LONG));
                let mut all = [0; 8];
                all[8 - bytes.len()..].copy_from_slice(bytes);
                Text::Integer(i64::from_le_bytes(all) >> (64 - 8 * bytes.len()))
            }
        }
    }
}

/// What an integer takes in a listpack, with the length behind it.
pub(super) fn listpack_integer_size(integer: i64) -> usize {
    match integer {
        0..=127 => 2,
        -4096..=4095 => 3,
        -32_768..=32_767 => 4,
        -8_388_608..=8_388_607 => 5,
        -2_147_483_648..=2_147_483_647 => 6,
        _ => 10,
    }
}

/// What a string of `len` bytes that is no integer takes in a listpack, with the lengths around it.
fn listpack_string_size(len: usize) -> usize {
    let size = match len {
        0..64 => 1 + len,
        64..4096 => 2 + len,
        _ => 5 + len,
    };
    let back_size = match size {
        0..128 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    size + back_size
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
