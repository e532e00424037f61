//! Commands that count or find bits: BITCOUNT BITPOS.
//!
//! Path: `shard::Shard::execute` -> here -> `bits`.

use super::{Unit, bit_range, bits};
use crate::args::Args;
use crate::commands::bytes;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::BITMAP,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &BITCOUNT,
            ..CommandSpec::new("bitcount", Group::Bitmap)
        },
        run: Run::Read(bitcount),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::BITMAP,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &BITPOS,
            ..CommandSpec::new("bitpos", Group::Bitmap)
        },
        run: Run::Read(bitpos),
    },
];

const _: () = check(COMMANDS);

/// Counts the bits that are set.
///
/// Args: `key [start end [BYTE|BIT]]`. Reply: integer. Errors: WRONGTYPE, then not an integer and syntax, which a
/// missing key hides (as in Redis).
fn bitcount(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let count = bytes::read(ctx, key, |bytes| count(bytes, args))?;
    reply.integer(count.transpose()?.unwrap_or(0) as i64);
    Ok(())
}

fn count(bytes: &[u8], mut args: Args<'_>) -> Result<u64, CommandError> {
    let range = match args.remaining() {
        0 => 0..bytes.len() as u64 * 8,
        2 | 3 => {
            let (start, end) = (args.integer()?, args.integer()?);
            // Such a range is empty whatever the unit, so that a wrong one goes unnoticed.
            if start < 0 && end < 0 && start > end {
                return Ok(0);
            }
            let unit = args.peek().map_or(Ok(Unit::Byte), Unit::parse)?;
            bit_range(start, end, unit, bytes.len())
        }
        _ => return Err(CommandError::Syntax),
    };
    Ok(bits::count_ones(bytes, range))
}

/// Finds the first bit of a value.
///
/// Args: `key bit [start [end [BYTE|BIT]]]`. Reply: integer, -1 if there is none; a clear bit is found behind the
/// string unless `end` is given. Errors: no bit, WRONGTYPE, then not an integer and syntax, which a missing key hides.
fn bitpos(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let wanted = match args.integer()? {
        0 => 0,
        1 => 1,
        _ => return Err(CommandError::text("ERR The bit argument must be 1 or 0.")),
    };
    let found = bytes::read(ctx, key, |bytes| position(bytes, wanted, args))?;
    // A key that does not exist is an endless row of clear bits.
    reply.integer(found.transpose()?.unwrap_or(-i64::from(wanted)));
    Ok(())
}

fn position(bytes: &[u8], wanted: u8, mut args: Args<'_>) -> Result<i64, CommandError> {
    if args.remaining() > 3 {
        return Err(CommandError::Syntax);
    }
    let start = if args.is_empty() { 0 } else { args.integer()? };
    let unit = args.rest().nth(1).map_or(Ok(Unit::Byte), Unit::parse)?;
    let end = if args.is_empty() { None } else { Some(args.integer()?) };
    let range = bit_range(start, end.unwrap_or(-1), unit, bytes.len());
    if range.is_empty() {
        return Ok(-1);
    }
    let behind = (wanted == 0 && end.is_none()).then_some(range.end);
    let found = bits::find(bytes, wanted, range).or(behind);
    Ok(found.map_or(-1, |bit| bit as i64))
}

const BITCOUNT: Docs = Docs {
    summary: "Counts the bits that are set in a string, or in a part of it.",
    since: "2.6.0",
    complexity: "O(N) with N the number of bytes counted",
    arguments: &[
        Argument::key("key"),
        Argument::block(
            "range",
            &[
                Argument::integer("start"),
                Argument::integer("end"),
                Argument::one_of(
                    "unit",
                    &[Argument::word("byte", "BYTE"), Argument::word("bit", "BIT")],
                )
                .optional()
                .since("7.0.0"),
            ],
        )
        .optional(),
    ],
    examples: &[
        "> SET k foobar\nOK\n> BITCOUNT k\n(integer) 26\n> BITCOUNT k 1 1\n(integer) 6\n> BITCOUNT k 5 30 BIT\n(integer) 17",
    ],
    ..Docs::NONE
};

const BITPOS: Docs = Docs {
    summary: "Finds the first bit of a string, or of a part of it, that is set or clear.",
    since: "2.8.7",
    complexity: "O(N) with N the number of bytes looked at",
    arguments: &[
        Argument::key("key"),
        Argument::integer("bit"),
        Argument::block(
            "range",
            &[
                Argument::integer("start"),
                Argument::block(
                    "end-unit-block",
                    &[
                        Argument::integer("end"),
                        Argument::one_of(
                            "unit",
                            &[Argument::word("byte", "BYTE"), Argument::word("bit", "BIT")],
                        )
                        .optional()
                        .since("7.0.0"),
                    ],
                )
                .optional(),
            ],
        )
        .optional(),
    ],
    examples: &[
        "> SET k \"\\xff\\xf0\\x00\"\nOK\n> BITPOS k 0\n(integer) 12\n> BITPOS k 1 2\n(integer) -1\n> BITPOS k 1 7 15 BIT\n(integer) 7",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn bits_are_counted_in_bytes_or_bits() {
        check(
            r#"
            > SET k "\xff\x00\x0f\xf0\xff\xff\xff\xff\xff\x01"
            OK
            > BITCOUNT k
            (integer) 57
            > BITCOUNT k 0 0
            (integer) 8
            > BITCOUNT k 1 3
            (integer) 8
            > BITCOUNT k -1 -1 byte
            (integer) 1
            > BITCOUNT k 20 27 BIT
            (integer) 8
            > BITCOUNT k -8 -1 BIT
            (integer) 1
            > BITCOUNT k 3 2
            (integer) 0
            > SET n 123
            OK
            > BITCOUNT n
            (integer) 10
            > BITCOUNT none 0 -1 BIT
            (integer) 0
        "#,
        );
    }

    #[test]
    fn a_clear_bit_is_found_behind_the_string_unless_the_end_is_given() {
        check(
            r#"
            > SET ones "\xff\xff\xff"
            OK
            > BITPOS ones 0
            (integer) 24
            > BITPOS ones 0 1
            (integer) 24
            > BITPOS ones 0 0 -1
            (integer) -1
            > BITPOS ones 0 0 -1 BIT
            (integer) -1
            > BITPOS ones 0 3
            (integer) -1
            > BITPOS ones 1 9 20 BIT
            (integer) 9
            > SET zeros "\x00\x00"
            OK
            > BITPOS zeros 1
            (integer) -1
            > BITPOS zeros 0 1
            (integer) 8
            > BITPOS none 1
            (integer) -1
            > BITPOS none 0 5 6
            (integer) 0
            > SET empty ""
            OK
            > BITPOS empty 0
            (integer) -1
        "#,
        );
    }

    #[test]
    fn a_missing_key_hides_a_wrong_range() {
        check(
            r#"
            > BITCOUNT none x
            (integer) 0
            > BITPOS none 1 x
            (integer) -1
            > BITPOS none 2
            (error) ERR The bit argument must be 1 or 0.
            > BITPOS none x
            (error) ERR value is not an integer or out of range
            > SET k abc
            OK
            > BITCOUNT k 0
            (error) ERR syntax error
            > BITCOUNT k 0 x
            (error) ERR value is not an integer or out of range
            > BITCOUNT k 0 1 BITS
            (error) ERR syntax error
            > BITCOUNT k -1 -2 BITS
            (integer) 0
            > BITCOUNT k 0 1 BIT 2
            (error) ERR syntax error
            > BITPOS k 0 x 1 BITS
            (error) ERR value is not an integer or out of range
            > BITPOS k 0 1 x BITS
            (error) ERR syntax error
            > BITPOS k 0 1 x
            (error) ERR value is not an integer or out of range
            > BITPOS k 0 1 2 BIT 3
            (error) ERR syntax error
            > HSET h f v
            (integer) 1
            > BITCOUNT h x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BITPOS h 1 x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
