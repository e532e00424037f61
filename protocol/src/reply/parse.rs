//! Encoded replies, cut apart without decoding them: how long is this reply, what are its elements.
//!
//! Path: `server::merge` cuts the replies of several shards with [`elements`] and puts the pieces together with
//! [`Writer::raw`](super::Writer::raw). [`Token`] is the common ground with [`Reply`](super::Reply).
//!
//! Nothing here allocates or recurses, whatever the bytes claim. Streamed strings and arrays (`$?`, `*?`), which no
//! Redis sends, are refused.

use crate::error::ReplyError;
use crate::number::parse_i64;

/// The first line of a reply, and for a string all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `+`, `-`, `:`, `,`, `#` or `(` and what stands on its line.
    Line { kind: u8, text: &'a [u8] },
    /// `$`, `!` or `=` and what the string holds.
    Bulk { kind: u8, text: &'a [u8] },
    /// `_`, `$-1` or `*-1`.
    Null { kind: u8 },
    /// `*`, `~` or `>`: so many elements follow. `%`: so many pairs.
    Aggregate { kind: u8, count: u64 },
    /// `|`: so many pairs follow, and then the reply they belong to.
    Attribute { count: u64 },
}

impl<'a> Token<'a> {
    /// The token at the start of `bytes` and its length. `None` if it is not all there.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Option<(Token<'a>, usize)>, ReplyError> {
        let [kind, rest @ ..] = bytes else {
            return Ok(None);
        };
        let kind = *kind;
        if !matches!(
            kind,
            b'+' | b'-'
                | b':'
                | b','
                | b'#'
                | b'('
                | b'$'
                | b'!'
                | b'='
                | b'_'
                | b'*'
                | b'~'
                | b'>'
                | b'%'
                | b'|'
        ) {
            return Err(ReplyError::UnknownType(kind));
        }
        let Some(line_len) = memchr::memchr(b'\r', rest) else {
            return Ok(None);
        };
        let line = &rest[..line_len];
        let line_end = 1 + line_len;
        let Some(&byte) = bytes.get(line_end + 1) else {
            return Ok(None);
        };
        if byte != b'\n' {
            return Err(ReplyError::MissingLineEnd);
        }
        let start = line_end + 2;
        let token = match kind {
            b'$' | b'*' if line == b"-1" => Token::Null { kind },
            b'_' if line.is_empty() => Token::Null { kind },
            b'_' => return Err(ReplyError::InvalidValue),
            b'$' | b'!' | b'=' => {
                let len = usize::try_from(read_len(line)?).map_err(|_| ReplyError::InvalidLen)?;
                let end = start.checked_add(len).ok_or(ReplyError::InvalidLen)?;
                return read_bulk_end(bytes, start, end)
                    .map(|text| text.map(|text| (Token::Bulk { kind, text }, end + 2)));
            }
            b'*' | b'~' | b'>' | b'%' => Token::Aggregate { kind, count: read_len(line)? },
            b'|' => Token::Attribute { count: read_len(line)? },
            _ => Token::Line { kind, text: line },
        };
        Ok(Some((token, start)))
    }

    /// How many whole replies must follow before the reply that begins with this token is whole.
    fn parts(self) -> u64 {
        // `read_len` keeps counts far below what could overflow here.
        match self {
            Token::Line { .. } | Token::Bulk { .. } | Token::Null { .. } => 0,
            Token::Aggregate { kind: b'%', count } => 2 * count,
            Token::Aggregate { count, .. } => count,
            Token::Attribute { count } => 2 * count + 1,
        }
    }
}

fn read_len(line: &[u8]) -> Result<u64, ReplyError> {
    let len = parse_i64(line).ok_or(ReplyError::InvalidLen)?;
    if !(0..=i64::from(u32::MAX)).contains(&len) {
        return Err(ReplyError::InvalidLen);
    }
    Ok(len.unsigned_abs())
}

/// The string from `start` to `end`, if it and the line end behind it are there.
fn read_bulk_end(bytes: &[u8], start: usize, end: usize) -> Result<Option<&[u8]>, ReplyError> {
    match bytes.get(end..) {
        None | Some([] | [b'\r']) => Ok(None),
        Some([b'\r', b'\n', ..]) => Ok(Some(&bytes[start..end])),
        Some(_) => Err(ReplyError::MissingLineEnd),
    }
}

/// Length in bytes of the whole reply that `bytes` begins with, all its elements included. `None` if it is not all
/// there yet.
///
/// Values are not looked into: only types, lengths and line ends are checked. Cost: one step per element, no memory
/// at any depth.
///
/// # Errors
/// If the bytes are no reply.
pub fn element_len(bytes: &[u8]) -> Result<Option<usize>, ReplyError> {
    let mut position = 0;
    let mut missing = 1_u64;
    while missing > 0 {
        let Some((token, len)) = Token::read(&bytes[position..])? else {
            return Ok(None);
        };
        position += len;
        missing = (missing - 1).checked_add(token.parts()).ok_or(ReplyError::InvalidLen)?;
    }
    Ok(Some(position))
}

/// The elements of an encoded array, set or push, or keys and values of a map in turn.
///
/// # Errors
/// If `encoded` does not begin with the head of one of these; [`Elements::next`] finds errors further on.
pub fn elements(encoded: &[u8]) -> Result<Elements<'_>, ReplyError> {
    let (token, len) = Token::read(encoded)?.ok_or(ReplyError::CutOff)?;
    match token {
        Token::Aggregate { .. } => Ok(Elements { rest: &encoded[len..], missing: token.parts() }),
        _ => Err(ReplyError::UnexpectedType),
    }
}

/// Iterator over encoded elements; see [`elements`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    missing: u64,
}

impl<'a> Elements<'a> {
    /// How many elements are left, by the count at the head.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// The bytes behind the elements seen so far.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn element(&mut self) -> Result<&'a [u8], ReplyError> {
        let len = element_len(self.rest)?.ok_or(ReplyError::CutOff)?;
        let (element, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(element)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], ReplyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.missing == 0 {
            return None;
        }
        let element = self.element();
        self.missing = if element.is_ok() { self.missing - 1 } else { 0 };
        Some(element)
    }
}

/// Reads an encoded integer.
///
/// # Errors
/// If `encoded` is anything but one whole integer.
pub fn integer(encoded: &[u8]) -> Result<i64, ReplyError> {
    match Token::read(encoded)?.ok_or(ReplyError::CutOff)? {
        (Token::Line { kind: b':', text }, len) if len == encoded.len() => {
            parse_i64(text).ok_or(ReplyError::InvalidValue)
        }
        _ => Err(ReplyError::UnexpectedType),
    }
}

/// The bytes of an encoded bulk string; `None` if it is anything else, null included.
#[must_use]
pub fn bulk(encoded: &[u8]) -> Option<&[u8]> {
    let rest = encoded.strip_prefix(b"$")?;
    let head_len = rest.windows(2).position(|end| end == b"\r\n")?;
    let len = crate::number::parse_u64(&rest[..head_len])?;
    rest.get(head_len + 2..)?.get(..usize::try_from(len).ok()?)
}

/// Whether an encoded reply is an error.
#[must_use]
pub fn is_error(encoded: &[u8]) -> bool {
    matches!(encoded, [b'-' | b'!', ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reply_ends_where_its_last_element_ends() {
        for reply in [
            "+OK\r\n",
            "-ERR x\r\n",
            ":1\r\n",
            "$0\r\n\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "_\r\n",
            ",1.5\r\n",
            "#t\r\n",
            "(123\r\n",
            "=7\r\ntxt:abc\r\n",
            "!3\r\nERR\r\n",
            "*0\r\n",
            "*2\r\n:1\r\n*1\r\n$1\r\na\r\n",
            "%1\r\n+k\r\n*0\r\n",
            "~1\r\n:1\r\n",
            ">1\r\n+x\r\n",
            "|1\r\n+k\r\n:1\r\n*1\r\n:2\r\n",
        ] {
            let bytes = reply.as_bytes();
            assert_eq!(element_len(bytes), Ok(Some(bytes.len())), "{reply:?}");
            assert_eq!(
                element_len(&[bytes, b"$rest"].concat()),
                Ok(Some(bytes.len())),
                "{reply:?}"
            );
            for len in 0..bytes.len() {
                assert_eq!(element_len(&bytes[..len]), Ok(None), "{reply:?} cut at {len}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_reply_are_refused() {
        let facts = [
            ("x\r\n", ReplyError::UnknownType(b'x')),
            ("\r\n", ReplyError::UnknownType(b'\r')),
            ("+OK\r+", ReplyError::MissingLineEnd),
            ("$1\r\nab\r\n", ReplyError::MissingLineEnd),
            ("$1\r\na\rb", ReplyError::MissingLineEnd),
            ("$\r\n", ReplyError::InvalidLen),
            ("$-2\r\n", ReplyError::InvalidLen),
            ("$?\r\n", ReplyError::InvalidLen),
            ("*-2\r\n", ReplyError::InvalidLen),
            ("~-1\r\n", ReplyError::InvalidLen),
            ("%x\r\n", ReplyError::InvalidLen),
            ("$9223372036854775807\r\n", ReplyError::InvalidLen),
            ("*9223372036854775807\r\n", ReplyError::InvalidLen),
            ("_x\r\n", ReplyError::InvalidValue),
        ];
        for (bytes, error) in facts {
            assert_eq!(element_len(bytes.as_bytes()), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = "*1\r\n".repeat(1_000_000);
        assert_eq!(element_len(deep.as_bytes()), Ok(None));
        let whole = deep + ":1\r\n";
        assert_eq!(element_len(whole.as_bytes()), Ok(Some(whole.len())));
        let wide = "*4294967295\r\n".repeat(100_000);
        assert_eq!(element_len(wide.as_bytes()), Ok(None));
    }

    #[test]
    fn elements_come_out_as_they_went_in() {
        let mut array = elements(b"*3\r\n:1\r\n*1\r\n+x\r\n$-1\r\ntail").expect("an array");
        assert_eq!(array.missing(), 3);
        assert_eq!(array.next(), Some(Ok(&b":1\r\n"[..])));
        assert_eq!(array.next(), Some(Ok(&b"*1\r\n+x\r\n"[..])));
        assert_eq!(array.next(), Some(Ok(&b"$-1\r\n"[..])));
        assert_eq!(array.next(), None);
        assert_eq!(array.rest(), b"tail");
        assert_eq!(elements(b"%2\r\n").map(|map| map.missing()), Ok(4));

        let mut cut_off = elements(b"*2\r\n:1\r\n:").expect("an array");
        assert_eq!(cut_off.next(), Some(Ok(&b":1\r\n"[..])));
        assert_eq!(cut_off.next(), Some(Err(ReplyError::CutOff)));
        assert_eq!(cut_off.next(), None);
        assert_eq!(elements(b":1\r\n").err(), Some(ReplyError::UnexpectedType));
        assert_eq!(elements(b"*-1\r\n").err(), Some(ReplyError::UnexpectedType));
        assert_eq!(elements(b"*1").err(), Some(ReplyError::CutOff));
    }

    #[test]
    fn integers_and_errors_are_told_apart() {
        assert_eq!(integer(b":-12\r\n"), Ok(-12));
        assert_eq!(integer(b":x\r\n"), Err(ReplyError::InvalidValue));
        assert_eq!(integer(b":1\r\n:2\r\n"), Err(ReplyError::UnexpectedType));
        assert_eq!(integer(b"$1\r\n1\r\n"), Err(ReplyError::UnexpectedType));
        assert_eq!(integer(b":1"), Err(ReplyError::CutOff));
        assert_eq!(bulk(b"$2\r\nab\r\n"), Some(b"ab".as_slice()));
        assert_eq!(bulk(b"$0\r\n\r\n"), Some(b"".as_slice()));
        for other in [b"$-1\r\n".as_slice(), b"+ab\r\n", b"$3\r\nab", b"$2", b"_\r\n"] {
            assert_eq!(bulk(other), None);
        }
        assert!(is_error(b"-ERR x\r\n"));
        assert!(!is_error(b"+OK\r\n"));
    }

    proptest! {
        #[test]
        fn random_bytes_do_no_harm(text in "[-+:,#($!=_*~>%|0-9a\r\n]{0,60}", bytes: Vec<u8>) {
            for bytes in [text.as_bytes(), &bytes] {
                if let Ok(Some(len)) = element_len(bytes) {
                    prop_assert!(0 < len && len <= bytes.len());
                }
                let _ = bulk(bytes);
                let _: Vec<_> = elements(bytes).into_iter().flatten().collect();
            }
        }
    }
}
