//! Errors that a client sees: one variant per Redis error, each with Redis's exact text.

use std::borrow::Cow;

/// A command's error. [`CommandError::as_bytes`] gives the reply text, code first, without `-` and line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The key holds another type.
    WrongType,
    /// Options contradict each other or are unknown.
    Syntax,
    /// An argument or a stored value is no 64-bit integer.
    NotInteger,
    /// An argument or a stored value is no double.
    NotFloat,
    /// An integer argument lies outside what the command allows.
    OutOfRange,
    /// Wrong number of arguments, with the command's full name (`client|kill`).
    WrongArity(Cow<'static, str>),
    /// The key does not exist, where the command needs one.
    NoSuchKey,
    /// An index past the end of a list.
    IndexOutOfRange,
    /// An expiry that is not positive or overflows; with the command's name.
    InvalidExpire(Cow<'static, str>),
    /// An increment that would overflow.
    Overflow,
    /// A floating-point increment that would give NaN or infinity.
    NanOrInfinity,
    /// A string that would be longer than `proto-max-bulk-len`.
    StringTooLong,
    /// A timeout that is no number.
    TimeoutNotFloat,
    /// A negative timeout.
    TimeoutNegative,
    /// Any other text, its code included.
    Text(Cow<'static, str>),
    /// A text that shows bytes of the client's.
    Showing(Vec<u8>),
}

impl CommandError {
    /// An error with a text of its own, code included: `CommandError::text("ERR no such thing")`.
    #[must_use]
    pub const fn text(text: &'static str) -> Self {
        CommandError::Text(Cow::Borrowed(text))
    }

    /// An error that shows bytes of the client's between two texts, up to their first NUL as Redis does:
    /// `CommandError::showing("ERR Unsupported option ", word, "")`.
    #[must_use]
    pub fn showing(before: &str, bytes: &[u8], behind: &str) -> Self {
        let mut text = before.as_bytes().to_vec();
        text.extend_from_slice(protocol::error::shown(bytes));
        text.extend_from_slice(behind.as_bytes());
        CommandError::Showing(text)
    }

    /// The reply text.
    #[must_use]
    pub fn as_bytes(&self) -> Cow<'_, [u8]> {
        let text: &str = match self {
            CommandError::WrongType => {
                "WRONGTYPE Operation against a key holding the wrong kind of value"
            }
            CommandError::Syntax => "ERR syntax error",
            CommandError::NotInteger => "ERR value is not an integer or out of range",
            CommandError::NotFloat => "ERR value is not a valid float",
            CommandError::OutOfRange => "ERR value is out of range",
            CommandError::NoSuchKey => "ERR no such key",
            CommandError::IndexOutOfRange => "ERR index out of range",
            CommandError::Overflow => "ERR increment or decrement would overflow",
            CommandError::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            CommandError::StringTooLong => {
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
            }
            CommandError::TimeoutNotFloat => "ERR timeout is not a float or out of range",
            CommandError::TimeoutNegative => "ERR timeout is negative",
            CommandError::WrongArity(name) => {
                let text = format!("ERR wrong number of arguments for '{name}' command");
                return Cow::Owned(text.into_bytes());
            }
            CommandError::InvalidExpire(name) => {
                let text = format!("ERR invalid expire time in '{name}' command");
                return Cow::Owned(text.into_bytes());
            }
            CommandError::Text(text) => text,
            CommandError::Showing(text) => return Cow::Borrowed(text),
        };
        Cow::Borrowed(text.as_bytes())
    }
}
