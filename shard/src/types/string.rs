//! Strings: an integer in place where the text is one, bytes otherwise.
//!
//! The three forms are Redis's encodings, and OBJECT ENCODING tells them apart: a whole value that is stored becomes
//! `int`, or `embstr` up to [`EMBEDDED_LEN_MAX`] bytes, or `raw`; one that is changed inside becomes `raw` and stays so.

use crate::memory::block_size;
use protocol::number;

/// Longest string of the encoding `embstr`, in bytes. Source: OBJECT ENCODING of Redis 7.2.
pub const EMBEDDED_LEN_MAX: usize = 44;

/// A string value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Str {
    /// The text of this integer, in its shortest decimal form (encoding `int`).
    Int(i64),
    /// Bytes that were stored whole: an exact allocation (encoding `embstr`).
    Embedded(Box<[u8]>),
    /// Many bytes, or bytes that were changed in place: room to grow (encoding `raw`).
    Raw(Vec<u8>),
}

const _: () = assert!(size_of::<Str>() == 24, "a string is three words");

impl Str {
    /// Stores `bytes`, as an integer if they are the text of one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Str {
        StrRef::new(bytes).to_str()
    }

    /// Stores `bytes` as they are, even if they are the text of an integer.
    #[must_use]
    pub fn from_text(bytes: &[u8]) -> Str {
        StrRef::from_text(bytes).to_str()
    }

    /// The same as `*self = new.to_str()`, but in the memory it has, if that fits: the length of an embedded string
    /// must be the same, a raw one may use its room as long as that is at most twice what it needs.
    pub fn assign(&mut self, new: StrRef<'_>) {
        match (self, new) {
            (Str::Embedded(old), StrRef::Embedded(bytes)) if old.len() == bytes.len() => {
                old.copy_from_slice(bytes);
            }
            (Str::Raw(old), StrRef::Raw(bytes))
                if (bytes.len()..=2 * bytes.len()).contains(&old.capacity()) =>
            {
                old.clear();
                old.extend_from_slice(bytes);
            }
            (string, new) => *string = new.to_str(),
        }
    }

    /// The string, to read.
    #[must_use]
    #[inline]
    pub fn view(&self) -> StrRef<'_> {
        match self {
            Str::Int(integer) => StrRef::Int(*integer),
            Str::Embedded(bytes) => StrRef::Embedded(bytes),
            Str::Raw(bytes) => StrRef::Raw(bytes),
        }
    }

    /// Hands the text to `read`; an integer is printed on the stack first.
    #[inline]
    pub fn with_bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        self.view().with_bytes(read)
    }

    /// Length of the text in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with_bytes(<[u8]>::len)
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integer that the text stands for; `None` if it is not the shortest form of a 64-bit integer.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        self.view().as_integer()
    }

    /// The bytes, to change them in place: from here on the encoding is `raw`.
    ///
    /// Cost: one copy the first time.
    pub fn make_raw(&mut self) -> &mut Vec<u8> {
        if !matches!(self, Str::Raw(_)) {
            *self = Str::Raw(self.with_bytes(<[u8]>::to_vec));
        }
        match self {
            Str::Raw(bytes) => bytes,
            Str::Int(_) | Str::Embedded(_) => unreachable!("it has just been made raw"),
        }
    }

    /// Writes `bytes` from byte `offset` on, with zero bytes between the old end and `offset`.
    ///
    /// The caller has checked that `offset + bytes.len()` is a length that a string may have.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        let raw = self.make_raw();
        if raw.len() < end {
            raw.resize(end, 0);
        }
        raw[offset..end].copy_from_slice(bytes);
    }

    /// What OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        self.view().encoding()
    }

    /// Bytes of heap it holds, as the allocator counts them.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match self {
            Str::Int(_) => 0,
            Str::Embedded(bytes) => block_size(bytes.len()),
            Str::Raw(bytes) => block_size(bytes.capacity()),
        }
    }
}

/// The empty string.
impl Default for Str {
    fn default() -> Self {
        Str::Embedded(Box::default())
    }
}

/// A string value, to read or to be stored: a [`Str`] that owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrRef<'a> {
    /// The text of this integer (encoding `int`).
    Int(i64),
    /// A short text (encoding `embstr`).
    Embedded(&'a [u8]),
    /// A long text, or one that was changed in place (encoding `raw`).
    Raw(&'a [u8]),
}

impl<'a> StrRef<'a> {
    /// `bytes` as a whole string that is stored: as an integer if they are the text of one.
    #[must_use]
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        match number::parse_i64(bytes) {
            Some(integer) => StrRef::Int(integer),
            None => StrRef::from_text(bytes),
        }
    }

    /// `bytes` as they are, even if they are the text of an integer.
    #[must_use]
    #[inline]
    pub fn from_text(bytes: &'a [u8]) -> Self {
        if bytes.len() <= EMBEDDED_LEN_MAX { StrRef::Embedded(bytes) } else { StrRef::Raw(bytes) }
    }

    /// Hands the text to `read`; an integer is printed on the stack first.
    #[inline]
    pub fn with_bytes<T>(self, read: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            StrRef::Int(integer) => read(itoa::Buffer::new().format(integer).as_bytes()),
            StrRef::Embedded(bytes) | StrRef::Raw(bytes) => read(bytes),
        }
    }

    /// Length of the text in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.with_bytes(<[u8]>::len)
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The integer that the text stands for; `None` if it is not the shortest form of a 64-bit integer.
    #[must_use]
    pub fn as_integer(self) -> Option<i64> {
        match self {
            StrRef::Int(integer) => Some(integer),
            StrRef::Embedded(bytes) | StrRef::Raw(bytes) => number::parse_i64(bytes),
        }
    }

    /// What OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        match self {
            StrRef::Int(_) => "int",
            StrRef::Embedded(_) => "embstr",
            StrRef::Raw(_) => "raw",
        }
    }

    /// A copy of its own, in an exact allocation.
    #[must_use]
    pub fn to_str(self) -> Str {
        match self {
            StrRef::Int(integer) => Str::Int(integer),
            StrRef::Embedded(bytes) => Str::Embedded(bytes.into()),
            StrRef::Raw(bytes) => Str::Raw(bytes.to_vec()),
        }
    }
}

impl From<i64> for Str {
    fn from(integer: i64) -> Str {
        Str::Int(integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(string: &Str) -> Vec<u8> {
        string.with_bytes(<[u8]>::to_vec)
    }

    #[test]
    fn a_stored_string_takes_the_encoding_that_redis_names() {
        let cases: [(&[u8], &str); 11] = [
            (b"", "embstr"),
            (b"0", "int"),
            (b"-1", "int"),
            (b"9223372036854775807", "int"),
            (b"-9223372036854775808", "int"),
            (b"9223372036854775808", "embstr"),
            (b"01", "embstr"),
            (b"+1", "embstr"),
            (b" 1", "embstr"),
            (&[b'a'; 44], "embstr"),
            (&[b'a'; 45], "raw"),
        ];
        for (bytes, encoding) in cases {
            let string = Str::new(bytes);
            assert_eq!(string.encoding(), encoding, "{}", bytes.escape_ascii());
            assert_eq!(text(&string), bytes);
            assert_eq!(string.len(), bytes.len());
        }
        assert_eq!(Str::from_text(b"1").encoding(), "embstr");
    }

    #[test]
    fn assigning_gives_what_storing_anew_gives() {
        let values: [&[u8]; 7] =
            [b"", b"1", b"abc", b"xyz", &[b'a'; 44], &[b'b'; 100], &[b'c'; 120]];
        for old in values {
            for new in values {
                let mut string = Str::new(old);
                string.assign(StrRef::new(new));
                assert_eq!(string, Str::new(new));
                let mut changed = Str::new(old);
                changed.make_raw();
                changed.assign(StrRef::new(new));
                assert_eq!(changed, Str::new(new), "after a change in place");
            }
        }
    }

    #[test]
    fn a_value_of_the_same_length_keeps_its_memory() {
        for len in [3, 44, 45, 1000] {
            let mut string = Str::new(&vec![b'a'; len]);
            let before = string.with_bytes(<[u8]>::as_ptr);
            string.assign(StrRef::new(&vec![b'b'; len]));
            assert_eq!(string.with_bytes(<[u8]>::as_ptr), before, "{len} bytes");
        }
    }

    #[test]
    fn a_short_value_does_not_keep_the_memory_of_a_long_one() {
        let mut string = Str::new(&[b'a'; 1000]);
        string.assign(StrRef::new(&[b'b'; 100]));
        assert_eq!(string.heap_size(), block_size(100));
    }

    #[test]
    fn writing_fills_the_gap_with_zero_bytes() {
        let mut string = Str::new(b"12");
        string.write_at(4, b"ab");
        assert_eq!(text(&string), b"12\0\0ab");
        string.write_at(1, b"xyz");
        assert_eq!(text(&string), b"1xyzab");
        assert_eq!(string.encoding(), "raw");
    }

    #[test]
    fn an_integer_is_read_from_every_encoding() {
        assert_eq!(Str::Int(5).as_integer(), Some(5));
        assert_eq!(Str::from_text(b"-5").as_integer(), Some(-5));
        assert_eq!(Str::Raw(b"7".to_vec()).as_integer(), Some(7));
        assert_eq!(Str::new(b"5.0").as_integer(), None);
    }
}
