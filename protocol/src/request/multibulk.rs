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
            let Some(count) = self.read_count(input, limits)? else {
                return Ok(Parsed::Incomplete { wanted: self.line_wanted(input) });
            };
            if count == 0 {
                return Ok(Parsed::Empty { len: self.position });
            }
            self.missing = count;
        }
        self.read_arguments(input, limits, spans)
    }

    /// Reads the `*` line: how many arguments follow, none if the client says less. `None` if it has not ended.
    #[inline]
    fn read_count(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        if let [_, digit @ b'1'..=b'9', b'\r', _, ..] = *input {
            self.position = 4;
            self.searched = 0;
            return Ok(Some(usize::from(digit - b'0'))); // 9 at most: allowed to everybody
        }
        let Some(line) = self.read_line(input, ProtocolError::CountLineTooBig)? else {
            return Ok(None);
        };
        self.searched = 0;
        let count = parse_i64(&line[1..]).ok_or(ProtocolError::InvalidCount)?;
        let count = usize::try_from(count).unwrap_or(0);
        if count > ARGUMENT_COUNT_MAX {
            return Err(ProtocolError::InvalidCount);
        }
        if limits.is_unauthenticated && count > ARGUMENT_COUNT_UNAUTHENTICATED_MAX {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        Ok(Some(count))
    }

    /// The loop every request goes through: a `$` line, then over the argument to the next.
    #[inline]
    fn read_arguments(
        &mut self,
        input: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Parsed, ProtocolError> {
        while self.missing > 0 {
            let Some(rest) = input.get(self.position..) else {
                break; // the argument before is not all there
            };
            // Nearly every length has one to three digits; longer lines and all mistakes go the long way.
            let len = match *rest {
                [b'$', a @ b'0'..=b'9', b'\r', _, ..] => {
                    self.position += 4;
                    digit(a)
                }
                [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => {
                    self.position += 5;
                    10 * digit(a) + digit(b)
                }
                [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _, ..] => {
                    self.position += 6;
                    100 * digit(a) + 10 * digit(b) + digit(c)
                }
                _ => match self.read_bulk_len(input)? {
                    Some(len) => len,
                    None => break,
                },
            };
            let start = self.position;
            check_bulk_len(start, len, limits)?;
            // Neither cast cuts anything off: `check_bulk_len` holds both below 4 Gi.
            spans.push(Span { start: start as u32, len: len as u32 });
            self.position = start + len + 2;
            self.searched = 0;
            self.missing -= 1;
        }
        if self.missing == 0 && self.position <= input.len() {
            Ok(Parsed::Request { len: self.position })
        } else {
            Ok(Parsed::Incomplete { wanted: self.wanted(input) })
        }
    }

    /// Reads any `$` line. A length that no integer holds comes back as `usize::MAX`, which no limit allows.
    #[cold]
    fn read_bulk_len(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.read_line(input, ProtocolError::BulkLineTooBig)? else {
            return Ok(None);
        };
        match *line {
            [b'$', ref digits @ ..] => {
                let len = parse_i64(digits).and_then(|len| usize::try_from(len).ok());
                len.map(Some).ok_or(ProtocolError::InvalidBulkLen)
            }
            [got, ..] => Err(ProtocolError::ExpectedBulk { got }),
            // The line is empty: what stands in the place of its first byte is the line end.
            [] => Err(ProtocolError::ExpectedBulk { got: b'\r' }),
        }
    }

    /// The line at `position`, without its end, which is stepped over. `None` if it has not ended yet.
    fn read_line<'a>(
        &mut self,
        input: &'a [u8],
        too_big: ProtocolError,
    ) -> Result<Option<&'a [u8]>, ProtocolError> {
        let rest = &input[self.position..];
        let window = &rest[..rest.len().min(INLINE_LEN_MAX + 1)];
        let found = memchr::memchr2(b'\r', 0, &window[self.searched..]);
        self.searched = found.map_or(window.len(), |offset| self.searched + offset);
        match window.get(self.searched) {
            Some(b'\r') if rest.len() >= self.searched + 2 => {
                let line = &rest[..self.searched];
                self.position += line.len() + 2;
                Ok(Some(line))
            }
            Some(b'\r') => Ok(None),
            _ if rest.len() > INLINE_LEN_MAX => Err(too_big),
            _ => Ok(None),
        }
    }

    /// Fewest bytes that are missing at the end of `input`.
    fn wanted(&self, input: &[u8]) -> usize {
        if self.position >= input.len() {
            return self.position - input.len() + self.missing * ARGUMENT_LEN_MIN;
        }
        let others = (self.missing - 1) * ARGUMENT_LEN_MIN;
        self.line_wanted(input) + 2 + others
    }

    /// Fewest bytes that are missing at the end of the line at `position`, of which one byte is there.
    fn line_wanted(&self, input: &[u8]) -> usize {
        match input[self.position..] {
            [_] => 3, // a digit and the line end
            [.., b'\r'] => 1,
            _ => 2,
        }
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
