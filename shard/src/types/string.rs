//! Strings: an integer in place where the text is one, bytes otherwise.

use protocol::number;

/// A string value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Str {
    /// The text of this integer, in its shortest decimal form (encoding `int`).
    Int(i64),
    /// Any bytes (encodings `embstr` and `raw`).
    Bytes(Vec<u8>),
}

impl Str {
    /// Stores `bytes`, as an integer if they are the text of one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Str {
        match number::parse_i64(bytes) {
            Some(integer) => Str::Int(integer),
            None => Str::Bytes(bytes.to_vec()),
        }
    }

    /// Hands the text to `read`; an integer is printed on the stack first.
    pub fn with_bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Str::Int(integer) => read(itoa::Buffer::new().format(*integer).as_bytes()),
            Str::Bytes(bytes) => read(bytes),
        }
    }
}
