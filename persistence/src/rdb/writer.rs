//! Writing RDB bytes, one part after the other.

use super::lzf;
use super::opcode::ValueType;
use protocol::number;

/// Form of a string: the text of an 8-bit integer.
pub(super) const INT8: u8 = 0;
/// Of a 16-bit integer.
pub(super) const INT16: u8 = 1;
/// Of a 32-bit integer.
pub(super) const INT32: u8 = 2;
/// Compressed.
pub(super) const COMPRESSED: u8 = 3;

/// Bits of a first byte that is followed by no length.
const SPECIAL: u8 = 0xc0;
/// Longest text that may be a 32-bit integer.
const INTEGER_LEN_MAX: usize = 11;
/// Texts up to this length are not compressed.
const COMPRESSED_LEN_MIN: usize = 20;
/// Compression must save this many bytes.
const SAVED_SIZE_MIN: usize = 4;

/// Whether strings are compressed (`rdbcompression`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Where it makes them shorter.
    Lzf,
    /// Never.
    Off,
}

/// Appends to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    compression: Compression,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, compression: Compression) -> Self {
        Writer { out, compression }
    }

    /// The byte that says how a value is encoded.
    pub fn value_type(&mut self, value_type: ValueType) {
        self.byte(value_type.code());
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A length, in as few bytes as it takes.
    pub fn length(&mut self, length: u64) {
        if length < 1 << 6 {
            self.byte(length as u8);
        } else if length < 1 << 14 {
            self.bytes(&(1 << 14 | length as u16).to_be_bytes());
        } else if let Ok(length) = u32::try_from(length) {
            self.byte(0x80);
            self.bytes(&length.to_be_bytes());
        } else {
            self.byte(0x81);
            self.bytes(&length.to_be_bytes());
        }
    }

    /// A string: as an integer or compressed if that makes it shorter.
    pub fn string(&mut self, text: &[u8]) {
        if text.len() <= INTEGER_LEN_MAX
            && let Some(integer) = number::parse_i64(text).and_then(|n| i32::try_from(n).ok())
        {
            self.integer(integer);
            return;
        }
        if self.compression == Compression::Lzf
            && text.len() > COMPRESSED_LEN_MIN
            && let Some(compressed) = lzf::compress(text, text.len() - SAVED_SIZE_MIN)
        {
            self.byte(SPECIAL | COMPRESSED);
            self.length(compressed.len() as u64);
            self.length(text.len() as u64);
            self.bytes(&compressed);
            return;
        }
        self.length(text.len() as u64);
        self.bytes(text);
    }

    /// The string that is the text of `integer`.
    fn integer(&mut self, integer: i32) {
        if let Ok(integer) = i8::try_from(integer) {
            self.byte(SPECIAL | INT8);
            self.bytes(&integer.to_le_bytes());
        } else if let Ok(integer) = i16::try_from(integer) {
            self.byte(SPECIAL | INT16);
            self.bytes(&integer.to_le_bytes());
        } else {
            self.byte(SPECIAL | INT32);
            self.bytes(&integer.to_le_bytes());
        }
    }

    /// A score, as 8 bytes.
    pub fn double(&mut self, score: f64) {
        self.bytes(&score.to_le_bytes());
    }

    /// A moment in milliseconds since 1970, as 8 bytes.
    pub fn milliseconds(&mut self, moment: i64) {
        self.bytes(&moment.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::Reader;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out, Compression::Lzf));
        out
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        let cases: [(u64, &[u8]); 8] = [
            (0, &[0]),
            (63, &[63]),
            (64, &[0x40, 64]),
            (16_383, &[0x7f, 0xff]),
            (16_384, &[0x80, 0, 0, 0x40, 0]),
            (u32::MAX.into(), &[0x80, 0xff, 0xff, 0xff, 0xff]),
            (1 << 32, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
            (u64::MAX, &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (length, bytes) in cases {
            assert_eq!(written(|writer| writer.length(length)), bytes);
            assert_eq!(Reader::new(bytes).length(), Ok(length));
        }
    }

    #[test]
    fn texts_of_small_integers_are_written_as_such() {
        let cases: [(&[u8], &[u8]); 10] = [
            (b"0", &[0xc0, 0]),
            (b"-128", &[0xc0, 0x80]),
            (b"128", &[0xc1, 0x80, 0]),
            (b"-32768", &[0xc1, 0, 0x80]),
            (b"32768", &[0xc2, 0, 0x80, 0, 0]),
            (b"-2147483648", &[0xc2, 0, 0, 0, 0x80]),
            (b"2147483648", b"\x0a2147483648"),
            (b"007", b"\x03007"),
            (b"", b"\0"),
            (b"+1", b"\x02+1"),
        ];
        for (text, bytes) in cases {
            assert_eq!(written(|writer| writer.string(text)), bytes);
            assert_eq!(Reader::new(bytes).string().unwrap(), text);
        }
    }

    #[test]
    fn compression_must_pay() {
        assert_eq!(written(|writer| writer.string(&[b'a'; 20]))[0], 20);
        assert_eq!(written(|writer| writer.string(&[b'a'; 21]))[0], 0xc3);
        let mut out = Vec::new();
        Writer::new(&mut out, Compression::Off).string(&[b'a'; 21]);
        assert_eq!(out[0], 21);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            texts in prop::collection::vec(
                prop_oneof![
                    any::<i64>().prop_map(|n| n.to_string().into_bytes()),
                    any::<i16>().prop_map(|n| n.to_string().into_bytes()),
                    prop::collection::vec(any::<u8>(), 0..40),
                    prop::collection::vec(0_u8..2, 0..400),
                ],
                0..8,
            ),
            score in any::<f64>(),
        ) {
            let bytes = written(|writer| {
                writer.length(texts.len() as u64);
                texts.iter().for_each(|text| writer.string(text));
                writer.double(score);
            });
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.count().unwrap(), texts.len());
            for text in &texts {
                let read = reader.string().unwrap();
                prop_assert_eq!(read.as_ref(), text.as_slice());
            }
            prop_assert_eq!(reader.double().unwrap().to_bits(), score.to_bits());
            prop_assert!(reader.is_empty());
            for cut in 0..bytes.len() {
                let mut reader = Reader::new(&bytes[..cut]);
                let mut read = || {
                    reader.length()?;
                    texts.iter().try_for_each(|_| reader.string().map(drop))?;
                    reader.double()
                };
                let is_truncated = matches!(read(), Err(crate::rdb::RdbError::Truncated { .. }));
                prop_assert!(is_truncated, "cut at {}", cut);
            }
        }
    }
}
