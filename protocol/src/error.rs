//! What can be wrong with bytes from the other side, one variant per sentence that Redis 7.2 has for it.

use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// A request that breaks the protocol. The client gets [`ProtocolError::text`] as an error reply and is then
/// disconnected: where the next request would begin is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// No line end within the longest inline request.
    InlineTooBig,
    /// No line end within the longest `*` line.
    CountLineTooBig,
    /// `*` is not followed by an integer, or by one above the most arguments.
    InvalidCount,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedCount,
    /// No line end within the longest `$` line.
    BulkLineTooBig,
    /// An argument does not begin with `$`.
    ExpectedBulk {
        /// Its first byte.
        got: u8,
    },
    /// `$` is not followed by a length from 0 to the longest bulk string.
    InvalidBulkLen,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulkLen,
    /// An inline request with a quote that is never closed, or closed in the middle of a word.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// The error reply, code included, without the leading `-` and the line end. Redis's bytes, except that
    /// a line break among them is left to [`Writer::error`](crate::reply::Writer::error) to replace.
    #[must_use]
    pub fn text(&self) -> Cow<'static, [u8]> {
        let text: &'static [u8] = match *self {
            ProtocolError::InlineTooBig => b"ERR Protocol error: too big inline request",
            ProtocolError::CountLineTooBig => b"ERR Protocol error: too big mbulk count string",
            ProtocolError::InvalidCount => b"ERR Protocol error: invalid multibulk length",
            ProtocolError::UnauthenticatedCount => {
                b"ERR Protocol error: unauthenticated multibulk length"
            }
            ProtocolError::BulkLineTooBig => b"ERR Protocol error: too big bulk count string",
            ProtocolError::ExpectedBulk { got } => {
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                text.extend_from_slice(&[got, b'\'']);
                return Cow::Owned(text);
            }
            ProtocolError::InvalidBulkLen => b"ERR Protocol error: invalid bulk length",
            ProtocolError::UnauthenticatedBulkLen => {
                b"ERR Protocol error: unauthenticated bulk length"
            }
            ProtocolError::UnbalancedQuotes => b"ERR Protocol error: unbalanced quotes in request",
        };
        Cow::Borrowed(text)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl std::error::Error for ProtocolError {}

/// Bytes that are no reply. A client that meets them closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// No type begins with this byte.
    #[error("no reply begins with {:?}", char::from(*.0))]
    UnknownType(u8),
    /// A line ends with `\r` alone, or a string is not followed by a line end.
    #[error("a line does not end with CR LF")]
    MissingLineEnd,
    /// A length or count is no integer, negative (other than the -1 of null), or beyond what memory could hold.
    #[error("a length is invalid")]
    InvalidLen,
    /// What stands behind the type does not belong to it.
    #[error("a value does not fit its type")]
    InvalidValue,
    /// The reply has another type than the caller asked for.
    #[error("the reply is of another type than expected")]
    UnexpectedType,
    /// The reply ends before it is whole.
    #[error("the reply is cut off")]
    CutOff,
    /// Arrays within arrays, deeper than any reply of Redis.
    #[error("the reply is nested too deep")]
    TooDeep,
}

/// What an error shows of a client's bytes: what stands before the first NUL, as in Redis, which prints C strings.
#[must_use]
pub fn shown(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
