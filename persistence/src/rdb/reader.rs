//! Reading RDB bytes, one part after the other.

use super::error::RdbError;
use super::lzf;
use super::writer::{COMPRESSED, INT8, INT16, INT32};
use protocol::number::double;
use std::borrow::Cow;

/// A place in some bytes. After an error it stands anywhere: make a new one to try again with more bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// A length, or in its place the form of a string that has none.
enum Length {
    Plain(u64),
    Special(u8),
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, position: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error about what has just been read.
    #[must_use]
    pub fn damaged(&self, what: &'static str) -> RdbError {
        RdbError::Damaged { offset: self.position, what }
    }

    /// The next byte.
    ///
    /// # Errors
    /// Truncated.
    pub fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next `len` bytes as they are.
    ///
    /// # Errors
    /// Truncated.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], RdbError> {
        let rest = &self.bytes[self.position..];
        let bytes = rest.get(..len).ok_or(RdbError::Truncated { offset: self.position })?;
        self.position += len;
        Ok(bytes)
    }

    /// The next `N` bytes as they are.
    ///
    /// # Errors
    /// Truncated.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        self.bytes(N).map(|bytes| bytes.try_into().expect("it asked for N bytes"))
    }

    /// A length, or another number that is written as one.
    ///
    /// # Errors
    /// Truncated; damaged if an encoded string stands there.
    pub fn length(&mut self) -> Result<u64, RdbError> {
        let offset = self.position;
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Special(_) => {
                Err(RdbError::Damaged { offset, what: "a string stands where a length should" })
            }
        }
    }

    /// A length that counts things, each of which takes one byte at least: so never more than there are bytes.
    ///
    /// # Errors
    /// As for [`Reader::length`]; truncated if it is more.
    pub fn count(&mut self) -> Result<usize, RdbError> {
        let offset = self.position;
        let count = usize::try_from(self.length()?).unwrap_or(usize::MAX);
        if count > self.remaining() {
            return Err(RdbError::Truncated { offset });
        }
        Ok(count)
    }

    /// A string in whatever form.
    ///
    /// # Errors
    /// Truncated, damaged.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, RdbError> {
        let offset = self.position;
        match self.any_length()? {
            Length::Plain(len) => {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                Ok(Cow::Borrowed(self.bytes(len)?))
            }
            Length::Special(INT8) => Ok(text_of(i8::from_le_bytes(self.array()?))),
            Length::Special(INT16) => Ok(text_of(i16::from_le_bytes(self.array()?))),
            Length::Special(INT32) => Ok(text_of(i32::from_le_bytes(self.array()?))),
            Length::Special(COMPRESSED) => {
                let size = self.count()?;
                let len = usize::try_from(self.length()?).unwrap_or(usize::MAX);
                let text = lzf::decompress(self.bytes(size)?, len);
                text.map(Cow::Owned)
                    .ok_or(RdbError::Damaged { offset, what: "a string that does not decompress" })
            }
            Length::Special(_) => {
                Err(RdbError::Damaged { offset, what: "a string of an unknown form" })
            }
        }
    }

    /// A score of 8 bytes.
    ///
    /// # Errors
    /// Truncated.
    pub fn double(&mut self) -> Result<f64, RdbError> {
        self.array().map(f64::from_le_bytes)
    }

    /// A score as text, as servers before 4.0 wrote it: its length in one byte, or 253 for NaN, 254 and 255 for the
    /// infinities.
    ///
    /// # Errors
    /// Truncated; damaged if the text is no number.
    pub fn double_text(&mut self) -> Result<f64, RdbError> {
        let offset = self.position;
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => double::parse_f64_bound(self.bytes(usize::from(len))?)
                .filter(|_| len > 0)
                .ok_or(RdbError::Damaged { offset, what: "a score that is no number" }),
        }
    }

    /// A moment in milliseconds since 1970, as 8 bytes.
    ///
    /// # Errors
    /// Truncated.
    pub fn milliseconds(&mut self) -> Result<i64, RdbError> {
        self.array().map(i64::from_le_bytes)
    }

    fn any_length(&mut self) -> Result<Length, RdbError> {
        let offset = self.position;
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, low) {
            (0, _) => Length::Plain(u64::from(low)),
            (1, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (2, 0) => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            (2, 1) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (2, _) => return Err(RdbError::Damaged { offset, what: "a length of unknown width" }),
            _ => Length::Special(low),
        })
    }
}

fn text_of(integer: impl itoa::Integer) -> Cow<'static, [u8]> {
    Cow::Owned(itoa::Buffer::new().format(integer).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_is_never_trusted() {
        let huge = [0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'x'];
        assert_eq!(Reader::new(&huge).string(), Err(RdbError::Truncated { offset: 9 }));
        assert_eq!(Reader::new(&huge).count(), Err(RdbError::Truncated { offset: 0 }));
        assert_eq!(Reader::new(&huge).length(), Ok(0x7fff_ffff_ffff_ffff));
        // Compressed: ten bytes that claim to be more than they could.
        let claim = [&[0xc3, 2, 0x80, 0xff, 0xff, 0xff, 0xff][..], &[0, b'x']].concat();
        let damaged = RdbError::Damaged { offset: 0, what: "a string that does not decompress" };
        assert_eq!(Reader::new(&claim).string(), Err(damaged));
    }

    #[test]
    fn damage_has_an_offset() {
        let mut reader = Reader::new(&[1, b'a', 0xc4]);
        assert_eq!(reader.string().unwrap().as_ref(), b"a");
        let what = "a string of an unknown form";
        assert_eq!(reader.string(), Err(RdbError::Damaged { offset: 2, what }));
        let what = "a string stands where a length should";
        assert_eq!(Reader::new(&[0xc0, 1]).length(), Err(RdbError::Damaged { offset: 0, what }));
        let what = "a length of unknown width";
        assert_eq!(Reader::new(&[0x82]).length(), Err(RdbError::Damaged { offset: 0, what }));
    }

    #[test]
    fn scores_as_text() {
        assert_eq!(Reader::new(b"\x041e-3").double_text(), Ok(0.001));
        assert_eq!(Reader::new(&[255]).double_text(), Ok(f64::NEG_INFINITY));
        assert_eq!(Reader::new(&[254]).double_text(), Ok(f64::INFINITY));
        assert!(Reader::new(&[253]).double_text().unwrap().is_nan());
        assert!(Reader::new(&[0]).double_text().is_err());
        assert!(Reader::new(b"\x01x").double_text().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() && reader.string().is_ok() {}
            prop_assert!(reader.position() <= bytes.len());
        }
    }
}
