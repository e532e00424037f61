//! The form that clients send: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`.
//!
//! As in Redis, only the `\r` of a line end is looked for: whatever byte stands in the place of `\n`, and whatever
//! two bytes follow an argument, are skipped. A NUL byte in a line hides the rest of it, so such a line never ends.

use super::{Parsed, Span};
use crate::error::ProtocolError;
use crate::limits::{
    ARGUMENT_COUNT_MAX, ARGUMENT_COUNT_UNAUTHENTICATED_MAX, BULK_LEN_UNAUTHENTICATED_MAX,
    INLINE_LEN_MAX, Limits, REQUEST_LEN_MAX,
};
use crate::number::parse_i64;

/// Bytes of the shortest argument, `$0\r\n\r\n`.
const ARGUMENT_LEN_MIN: usize = 6;

/// How far a request has been read. Offsets count from its first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Multibulk {
    /// Where the next `$` line begins, which is where the last argument found ends: possibly beyond the input.
    position: usize,
    /// Bytes of the line at `position` that hold no line end.
    pub(super) searched: usize,
    /// Arguments whose `$` line has not been read.
    missing: usize,
}

/// The number on a `*` or `$` line.
enum Head {
    Whole {
        /// Length of the line with its end.
        line_len: usize,
        number: usize,
    },
    Partial {
        /// Bytes that hold no line end.
        searched: usize,
    },
}

/// A line without its end.
enum Line<'a> {
    Whole(&'a [u8]),
    Partial {
        /// Bytes that hold no line end.
        searched: usize,
    },
}

impl Multibulk {
    /// Reads on from where the last call stopped, and pushes the arguments it finds.
    #[inline]
    pub(super) fn parse(
        &mut self,
        input: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        if self.position == 0 {
            match read_count(input, self.searched, limits)? {
                Head::Whole { line_len, number: 0 } => return Ok(Parsed::Empty { len: line_len }),
                Head::Whole { line_len, number } => {
                    *self = Multibulk { position: line_len, searched: 0, missing: number };
                }
                Head::Partial { searched } => {
                    self.searched = searched;
                    return Ok(Parsed::Incomplete { wanted: line_wanted(input) });
                }
            }
        }
        self.read_arguments(input, limits, spans)
    }

    /// The loop every request goes through: a `$` line, then over the argument to the next.
    #[inline]
    fn read_arguments(
        &mut self,
        input: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        let Multibulk { mut position, mut searched, mut missing } = *self; // kept in registers
        while missing > 0 {
            let Some(rest) = input.get(position..) else {
                break; // the argument before is not all there
            };
            let (line_len, len) = match read_bulk_len(rest, searched)? {
                Head::Whole { line_len, number } => (line_len, number),
                Head::Partial { searched: more } => {
                    searched = more;
                    break;
                }
            };
            let start = position + line_len;
            check_bulk_len(start, len, limits)?;
            // Neither cast cuts anything off: `check_bulk_len` holds both below 4 Gi.
            spans.push(Span { start: start as u32, len: len as u32 });
            position = start + len + 2;
            searched = 0;
            missing -= 1;
        }
        if missing == 0 && position <= input.len() {
            return Ok(Parsed::Request { len: position });
        }
        *self = Multibulk { position, searched, missing };
        Ok(Parsed::Incomplete { wanted: self.wanted(input) })
    }

    /// Fewest bytes that are missing at the end of `input`.
    fn wanted(self, input: &[u8]) -> usize {
        if self.position >= input.len() {
            return self.position - input.len() + self.missing * ARGUMENT_LEN_MIN;
        }
        let others = (self.missing - 1) * ARGUMENT_LEN_MIN;
        line_wanted(&input[self.position..]) + 2 + others
    }
}

/// Reads the `*` line: how many arguments follow, none if the client says less.
#[inline]
fn read_count(input: &[u8], searched: usize, limits: &Limits) -> Result<Head, ProtocolError> {
    match *input {
        // 9 at most: allowed to everybody.
        [_, a @ b'1'..=b'9', b'\r', _, ..] => Ok(Head::Whole { line_len: 4, number: digit(a) }),
        _ => read_any_count(input, searched, limits),
    }
}

#[cold]
fn read_any_count(input: &[u8], searched: usize, limits: &Limits) -> Result<Head, ProtocolError> {
    let line = match find_line(input, searched, ProtocolError::CountLineTooBig)? {
        Line::Whole(line) => line,
        Line::Partial { searched } => return Ok(Head::Partial { searched }),
    };
    let count = parse_i64(&line[1..]).ok_or(ProtocolError::InvalidCount)?;
    let count = usize::try_from(count).unwrap_or(0);
    if count > ARGUMENT_COUNT_MAX {
        return Err(ProtocolError::InvalidCount);
    }
    if limits.is_unauthenticated && count > ARGUMENT_COUNT_UNAUTHENTICATED_MAX {
        return Err(ProtocolError::UnauthenticatedCount);
    }
    Ok(Head::Whole { line_len: line.len() + 2, number: count })
}

/// Reads a `$` line. Nearly every length has one to three digits; longer lines and all mistakes go the long way.
#[inline]
fn read_bulk_len(rest: &[u8], searched: usize) -> Result<Head, ProtocolError> {
    let (line_len, number) = match *rest {
        [b'$', a @ b'0'..=b'9', b'\r', _, ..] => (4, digit(a)),
        [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => (5, 10 * digit(a) + digit(b)),
        [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _, ..] => {
            (6, 100 * digit(a) + 10 * digit(b) + digit(c))
        }
        _ => return read_any_bulk_len(rest, searched),
    };
    Ok(Head::Whole { line_len, number })
}

#[cold]
fn read_any_bulk_len(rest: &[u8], searched: usize) -> Result<Head, ProtocolError> {
    let line = match find_line(rest, searched, ProtocolError::BulkLineTooBig)? {
        Line::Whole(line) => line,
        Line::Partial { searched } => return Ok(Head::Partial { searched }),
    };
    match *line {
        [b'$', ref digits @ ..] => {
            let len = parse_i64(digits).and_then(|len| usize::try_from(len).ok());
            let number = len.ok_or(ProtocolError::InvalidBulkLen)?;
            Ok(Head::Whole { line_len: line.len() + 2, number })
        }
        [got, ..] => Err(ProtocolError::ExpectedBulk { got }),
        // The line is empty: what stands in the place of its first byte is the line end.
        [] => Err(ProtocolError::ExpectedBulk { got: b'\r' }),
    }
}

/// The line at the start of `rest`, of which `searched` bytes are known to hold no line end.
fn find_line(
    rest: &[u8],
    searched: usize,
    too_big: ProtocolError,
) -> Result<Line<'_>, ProtocolError> {
    let window = &rest[..rest.len().min(INLINE_LEN_MAX + 1)];
    let found = memchr::memchr2(b'\r', 0, &window[searched..]);
    let searched = found.map_or(window.len(), |offset| searched + offset);
    match window.get(searched) {
        Some(b'\r') if rest.len() >= searched + 2 => Ok(Line::Whole(&rest[..searched])),
        Some(b'\r') => Ok(Line::Partial { searched }),
        _ if rest.len() > INLINE_LEN_MAX => Err(too_big),
        _ => Ok(Line::Partial { searched }),
    }
}

/// Fewest bytes that are missing at the end of an unfinished line, of which one byte at least is there.
fn line_wanted(line: &[u8]) -> usize {
    match *line {
        [_] => 3, // a digit and the line end
        [.., b'\r'] => 1,
        _ => 2,
    }
}

#[inline]
fn digit(byte: u8) -> usize {
    usize::from(byte - b'0')
}

#[inline]
fn check_bulk_len(start: usize, len: usize, limits: &Limits) -> Result<(), ProtocolError> {
    if len > limits.bulk_len_max || len > REQUEST_LEN_MAX - 2 || start > REQUEST_LEN_MAX - 2 - len {
        return Err(ProtocolError::InvalidBulkLen);
    }
    if limits.is_unauthenticated && len > BULK_LEN_UNAUTHENTICATED_MAX {
        return Err(ProtocolError::UnauthenticatedBulkLen);
    }
    Ok(())
}
