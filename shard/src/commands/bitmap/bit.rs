//! Commands on single bits: SETBIT GETBIT.
//!
//! Path: `shard::Shard::execute` -> here -> `commands::bytes`.

use super::{len_max, parse_offset};
use crate::args::Args;
use crate::commands::bytes;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::BITMAP,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))],
            docs: &SETBIT,
            ..CommandSpec::new("setbit", Group::Bitmap)
        },
        run: Run::Write(setbit),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::BITMAP,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GETBIT,
            ..CommandSpec::new("getbit", Group::Bitmap)
        },
        run: Run::Read(getbit),
    },
];

const _: () = check(COMMANDS);

const NO_BIT: CommandError = CommandError::text("ERR bit is not an integer or out of range");

/// Sets or clears a bit; the string grows by zero bytes up to it.
///
/// Args: `key offset value`. Reply: integer, the old bit. Errors: offset, bit, WRONGTYPE. Journal: verbatim, if
/// anything changed. Cost: O(1), but for the bytes the string grows by.
fn setbit(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let offset = parse_offset(args.bytes()?, len_max(ctx))?;
    let bit = match number::parse_i64(args.bytes()?) {
        Some(0) => 0,
        Some(1) => 1,
        _ => return Err(NO_BIT),
    };
    let index = (offset / 8) as usize;
    let shift = 7 - offset % 8;
    let (old, has_grown) = bytes::edit(ctx, key, |string| {
        let bytes = string.bytes();
        let has_grown = bytes.len() <= index;
        if has_grown {
            bytes.resize(index + 1, 0);
        }
        let byte = &mut bytes[index];
        let old = (*byte >> shift) & 1;
        *byte = *byte & !(1 << shift) | bit << shift;
        (old, has_grown)
    })?;
    reply.integer(i64::from(old));
    if has_grown || old != bit {
        Ok(Written::changed(Event::SETBIT))
    } else {
        Ok(Written::unchanged())
    }
}

/// Reads a bit.
///
/// Args: `key offset`. Reply: integer, 0 behind the end of the string. Errors: offset, WRONGTYPE.
fn getbit(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let offset = parse_offset(args.bytes()?, ctx.options.proto_max_bulk_len)?;
    let byte = bytes::read(ctx, key, |bytes| bytes.get((offset / 8) as usize).copied())?;
    let byte = byte.flatten().unwrap_or(0);
    reply.integer(i64::from((byte >> (7 - offset % 8)) & 1));
    Ok(())
}

const SETBIT: Docs = Docs {
    summary: "Sets or clears one bit of a string, which grows as far as needed, and returns what it was.",
    since: "2.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("offset"), Argument::integer("value")],
    examples: &[
        "> SETBIT seen 7 1\n(integer) 0\n> SETBIT seen 7 0\n(integer) 1\n> STRLEN seen\n(integer) 1",
    ],
    ..Docs::NONE
};

const GETBIT: Docs = Docs {
    summary: "Returns one bit of a string; behind its end all bits are 0.",
    since: "2.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("offset")],
    examples: &[
        "> SETBIT seen 7 1\n(integer) 0\n> GETBIT seen 7\n(integer) 1\n> GETBIT seen 100\n(integer) 0",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn a_string_grows_by_zero_bytes_up_to_the_bit() {
        check(
            r#"
            > SETBIT k 20 1
            (integer) 0
            > GET k
            "\x00\x00\b"
            > SETBIT k 0 1
            (integer) 0
            > SETBIT k 20 0
            (integer) 1
            > GET k
            "\x80\x00\x00"
            > SETBIT none 15 0
            (integer) 0
            > GET none
            "\x00\x00"
            ~ journal
            SETBIT k 20 1
            SETBIT k 0 1
            SETBIT k 20 0
            SETBIT none 15 0
            ~ events
            setbit k
            setbit k
            setbit k
            setbit none
        "#,
        );
    }

    #[test]
    fn a_bit_that_stays_the_same_is_no_change_but_the_encoding_is() {
        check(
            r#"
            > SET k 12 EX 10
            OK
            > OBJECT ENCODING k
            "int"
            > GETBIT k 2
            (integer) 1
            > GETBIT k 14
            (integer) 1
            > SETBIT k 2 1
            (integer) 1
            > OBJECT ENCODING k
            "raw"
            > TTL k
            (integer) 10
            ~ journal
            SET k 12 PXAT 1700000010000
            ~ events
            set k
            expire k
        "#,
        );
    }

    #[test]
    fn arguments_are_checked_in_redis_order() {
        check(
            r#"
            > HSET h f v
            (integer) 1
            > SETBIT h x 1
            (error) ERR bit offset is not an integer or out of range
            > SETBIT h 0 2
            (error) ERR bit is not an integer or out of range
            > SETBIT h 0 x
            (error) ERR bit is not an integer or out of range
            > SETBIT h -1 x
            (error) ERR bit offset is not an integer or out of range
            > SETBIT h 4294967296 1
            (error) ERR bit offset is not an integer or out of range
            > SETBIT h 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GETBIT h 4294967296
            (error) ERR bit offset is not an integer or out of range
            > GETBIT h 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GETBIT none 4294967295
            (integer) 0
            > EXISTS none
            (integer) 0
        "#,
        );
    }

    #[test]
    fn a_string_grows_up_to_proto_max_bulk_len() {
        let script = r#"
            > SETBIT k 63 1
            (integer) 0
            > SETBIT k 64 1
            (error) ERR bit offset is not an integer or out of range
            > GETBIT k 64
            (error) ERR bit offset is not an integer or out of range
            > STRLEN k
            (integer) 8
        "#;
        check_with(Options { proto_max_bulk_len: 8, ..options() }, script);
    }
}
