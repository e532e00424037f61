//! Ids of stream entries: milliseconds and a sequence number, `1526919030474-55`.

use protocol::number;
use smallvec::SmallVec;

/// The longest text that may be an id.
const TEXT_LEN_MAX: usize = 127;

/// An id. Ids are ordered; every entry's is above those of all entries before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since 1970, unless the client chose otherwise.
    pub ms: u64,
    /// Tells entries of the same millisecond apart.
    pub seq: u64,
}

/// An id as text; its bytes are on the stack.
pub type IdText = SmallVec<[u8; 64]>;

/// The sequence number of an id as a client gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// `5-3`.
    Given(u64),
    /// `5`.
    Missing,
    /// `5-*`.
    Auto,
}

impl StreamId {
    /// The least id. No entry has it.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// An id.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    /// The id behind this one; `None` behind the greatest.
    #[must_use]
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id before this one; `None` before the least.
    #[must_use]
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// `<ms>-<seq>`.
    #[must_use]
    pub fn text(self) -> IdText {
        let mut text = IdText::new();
        text.extend_from_slice(itoa::Buffer::new().format(self.ms).as_bytes());
        text.push(b'-');
        text.extend_from_slice(itoa::Buffer::new().format(self.seq).as_bytes());
        text
    }

    /// Reads `<ms>` or `<ms>-<seq>`; `missing_seq` stands in where there is no sequence number.
    #[must_use]
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        match split(text)? {
            (ms, Sequence::Given(seq)) => Some(StreamId { ms, seq }),
            (ms, Sequence::Missing) => Some(StreamId { ms, seq: missing_seq }),
            (_, Sequence::Auto) => None,
        }
    }

    /// The id as one number with the same order.
    pub(super) fn bits(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    /// The id with these bits.
    pub(super) fn from_bits(bits: u128) -> StreamId {
        StreamId { ms: (bits >> 64) as u64, seq: bits as u64 }
    }
}

/// Reads the parts of an id, `<ms>`, `<ms>-<seq>` or `<ms>-*`. As in Redis a NUL ends it, and each part is read as
/// C's `strtoull` does.
#[must_use]
pub fn split(text: &[u8]) -> Option<(u64, Sequence)> {
    if text.len() > TEXT_LEN_MAX {
        return None;
    }
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    match text.iter().position(|&byte| byte == b'-') {
        None => Some((parse_part(text)?, Sequence::Missing)),
        Some(at) => {
            let ms = parse_part(&text[..at])?;
            match &text[at + 1..] {
                b"*" => Some((ms, Sequence::Auto)),
                seq => Some((ms, Sequence::Given(parse_part(seq)?))),
            }
        }
    }
}

/// An unsigned integer; what is no integer in its shortest form is read as C's `strtoull` does: blanks, a sign and
/// zeros may stand before it, and a minus takes it from 2^64.
fn parse_part(text: &[u8]) -> Option<u64> {
    if let Some(integer) = number::parse_i64(text) {
        return u64::try_from(integer).ok();
    }
    // ASCII's vertical tabulator is blank for C, not for Rust.
    let start = text.iter().position(|&byte| byte != 0x0b && !byte.is_ascii_whitespace())?;
    match &text[start..] {
        [b'-', digits @ ..] => parse_digits(digits).map(u64::wrapping_neg),
        [b'+', digits @ ..] | digits => parse_digits(digits),
    }
}

fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        let id = StreamId::parse(text.as_bytes(), 7)?;
        Some(String::from_utf8(id.text().to_vec()).unwrap())
    }

    #[test]
    fn ids_are_read_as_redis_does() {
        for (text, id) in [
            ("5-3", "5-3"),
            ("5", "5-7"),
            ("0-0", "0-0"),
            (
                "18446744073709551615-18446744073709551615",
                "18446744073709551615-18446744073709551615",
            ),
            ("007-03", "7-3"),
            (" 5-+3", "5-3"),
            ("\u{b}\t 5- -1", "5-18446744073709551615"),
            ("5\0junk", "5-7"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(id), "{text:?}");
        }
        for text in [
            "",
            "-",
            "+",
            "a",
            "5-",
            "-5",
            "5--3",
            "5-3-1",
            "5-*",
            "5 ",
            "18446744073709551616",
            "5-x",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(&"0".repeat(128)), None);
        assert_eq!(parse(&"0".repeat(127)).as_deref(), Some("0-7"));
        assert_eq!(split(b"5-*"), Some((5, Sequence::Auto)));
    }

    #[test]
    fn neighbours_carry() {
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(StreamId::new(2, 0).previous(), Some(StreamId::new(1, u64::MAX)));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
        assert_eq!(StreamId::from_bits(StreamId::new(3, 4).bits()), StreamId::new(3, 4));
    }
}
