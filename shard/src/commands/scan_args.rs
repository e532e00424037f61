//! Arguments of HSCAN, SSCAN and ZSCAN: the cursor, MATCH and COUNT.
//!
//! As in Redis the cursor is read before the key is looked up and the options after it, so a missing key answers
//! even where the options are wrong.

use crate::args::Args;
use crate::error::CommandError;
use protocol::glob;
use protocol::reply::Writer;

/// How many members a step visits unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 10;

/// Options of a scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanOptions<'a> {
    /// How many members to visit, about.
    pub(crate) count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Reads `[MATCH pattern] [COUNT count]`, in any order; the last of each wins.
    ///
    /// # Errors
    /// A syntax error for any other word and for a count below 1; `value is not an integer` for one that is none.
    pub(crate) fn parse(mut args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = ScanOptions { count: COUNT_DEFAULT, pattern: None };
        while !args.is_empty() {
            if args.take_token("MATCH") {
                options.pattern = Some(args.bytes()?).filter(|pattern| *pattern != b"*");
            } else if args.take_token("COUNT") {
                let count = usize::try_from(args.integer()?).ok().filter(|&count| count > 0);
                options.count = count.ok_or(CommandError::Syntax)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Whether `member` is wanted.
    pub(crate) fn wants(&self, member: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, member, false))
    }
}

/// Reads a cursor as `strtoul` does: a sign is allowed, a negative one counts back from 2^64, nothing at all is 0.
///
/// # Errors
/// `ERR invalid cursor`.
pub(crate) fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    let invalid = CommandError::text("ERR invalid cursor");
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        [] => return Ok(0),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(invalid);
    }
    let mut cursor: u64 = 0;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        let next = cursor.checked_mul(10).and_then(|cursor| cursor.checked_add(u64::from(value)));
        cursor = next.filter(|_| value < 10).ok_or(invalid.clone())?;
    }
    Ok(if is_negative { cursor.wrapping_neg() } else { cursor })
}

/// Replies with `[cursor, [element, …]]`; `elements` writes the elements and returns how many there are.
pub(crate) fn reply_with(
    reply: &mut Writer<'_>,
    cursor: u64,
    elements: impl FnOnce(&mut Writer<'_>) -> usize,
) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    let start = reply.position();
    let count = elements(reply);
    reply.array_before(start, count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_strtoul_reads_it() {
        for (text, cursor) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("+7", Some(7)),
            ("007", Some(7)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-", None),
            (" 1", None),
            ("1 ", None),
            ("0x1", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), cursor, "{text:?}");
        }
    }
}
