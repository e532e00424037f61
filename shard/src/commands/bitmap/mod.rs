//! Commands on bitmaps: strings whose bits have numbers, bit 0 the highest of the first byte.
//!
//! What they share stands here: how an offset and a range are read. [`bits`] counts and finds.

pub mod bit;
mod bits;
pub mod combine;
pub mod count;
pub mod field;
mod integer;

use crate::context::WriteContext;
use crate::error::CommandError;
use protocol::number;
use std::ops::Range;

const OFFSET: CommandError = CommandError::text("ERR bit offset is not an integer or out of range");

/// How long a string may get by a write: `proto-max-bulk-len` bytes, but what is in the journal was allowed once.
fn len_max(ctx: &WriteContext<'_>) -> usize {
    if ctx.is_replaying { usize::MAX } else { ctx.options.proto_max_bulk_len }
}

/// Reads the number of a bit in a string of at most `len_max` bytes.
fn parse_offset(text: &[u8], len_max: usize) -> Result<u64, CommandError> {
    check_offset(number::parse_i64(text).ok_or(OFFSET)?, len_max)
}

fn check_offset(offset: i64, len_max: usize) -> Result<u64, CommandError> {
    let offset = u64::try_from(offset).map_err(|_| OFFSET)?;
    if offset / 8 >= len_max as u64 { Err(OFFSET) } else { Ok(offset) }
}

/// What the numbers of a range count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// `BYTE`
    Byte,
    /// `BIT`
    Bit,
}

impl Unit {
    fn parse(word: &[u8]) -> Result<Unit, CommandError> {
        match word {
            _ if word.eq_ignore_ascii_case(b"BIT") => Ok(Unit::Bit),
            _ if word.eq_ignore_ascii_case(b"BYTE") => Ok(Unit::Byte),
            _ => Err(CommandError::Syntax),
        }
    }

    /// How many bits one of it is.
    fn bits(self) -> u64 {
        match self {
            Unit::Byte => 8,
            Unit::Bit => 1,
        }
    }
}

/// The bits from `start` to `end` of a string of `len` bytes: both inclusive, negative from the end, cut off where the
/// string ends. Empty if there are none.
fn bit_range(start: i64, end: i64, unit: Unit, len: usize) -> Range<u64> {
    // A string is far shorter than i64::MAX / 8 bytes, so that nothing overflows here.
    let total = (len as u64 * 8 / unit.bits()) as i64;
    let from_end = |index: i64| if index < 0 { (total + index).max(0) } else { index };
    let (start, end) = (from_end(start), from_end(end).min(total - 1));
    if start > end {
        return 0..0;
    }
    start as u64 * unit.bits()..(end as u64 + 1) * unit.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_off_where_the_string_ends() {
        for (start, end, unit, len, range) in [
            (0, -1, Unit::Byte, 3, 0..24),
            (0, -1, Unit::Bit, 3, 0..24),
            (1, 1, Unit::Byte, 3, 8..16),
            (1, 1, Unit::Bit, 3, 1..2),
            (-2, 100, Unit::Byte, 3, 8..24),
            (-2, 100, Unit::Bit, 3, 22..24),
            (-100, -100, Unit::Byte, 3, 0..8),
            (2, 1, Unit::Byte, 3, 0..0),
            (3, 5, Unit::Byte, 3, 0..0),
            (0, -1, Unit::Byte, 0, 0..0),
            (i64::MIN, i64::MAX, Unit::Bit, 1, 0..8),
            (i64::MAX, i64::MIN, Unit::Bit, 1, 0..0),
        ] {
            assert_eq!(bit_range(start, end, unit, len), range, "{start} {end} {unit:?} {len}");
        }
    }

    #[test]
    fn an_offset_lies_in_the_longest_string() {
        assert_eq!(parse_offset(b"79", 10), Ok(79));
        for text in ["80", "-1", "", "x", "9223372036854775808"] {
            assert_eq!(parse_offset(text.as_bytes(), 10), Err(OFFSET), "{text}");
        }
    }
}
