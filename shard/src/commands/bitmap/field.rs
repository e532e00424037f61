//! BITFIELD and BITFIELD_RO: integers of any width inside a string.
//!
//! Path: `shard::Shard::execute` -> here -> `integer`. All operations are read before the first one runs.

use super::integer::{Field, Overflow};
use super::{OFFSET, check_offset, len_max, parse_offset};
use crate::args::Args;
use crate::commands::bytes;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::error::shown;
use protocol::number;
use protocol::reply::Writer;
use smallvec::SmallVec;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::BITMAP,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
                KeyFlags::VARIABLE_FLAGS,
            ]))
            .noted("This command allows both access and modification of the key")],
            docs: &BITFIELD,
            ..CommandSpec::new("bitfield", Group::Bitmap)
        },
        run: Run::Write(bitfield),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::BITMAP,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &BITFIELD_RO,
            ..CommandSpec::new("bitfield_ro", Group::Bitmap)
        },
        run: Run::Read(bitfield_ro),
    },
];

const _: () = check(COMMANDS);

/// One operation on one field.
#[derive(Clone, Copy, Debug)]
struct Operation {
    field: Field,
    action: Action,
    overflow: Overflow,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

impl Operation {
    fn is_write(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    /// Answers and changes the string, which holds the fields of all writes; says whether the field has changed
    /// (`None`: it was not written).
    fn run(&self, bytes: &mut [u8], reply: &mut Writer<'_>) -> Option<bool> {
        let old = self.field.get(bytes);
        let value = match self.action {
            Action::Get => {
                reply.integer(old);
                return None;
            }
            Action::Set(value) => self.field.given(value),
            Action::Add(increment) => i128::from(old) + i128::from(increment),
        };
        let Some(new) = self.field.fit(value, self.overflow) else {
            reply.null();
            return None;
        };
        self.field.set(bytes, new);
        reply.integer(if matches!(self.action, Action::Set(_)) { old } else { new });
        Some(new != old)
    }
}

type Operations = SmallVec<[Operation; 4]>;

/// Reads all operations of a request, for strings of at most `len_max` bytes.
fn parse(mut args: Args<'_>, len_max: usize) -> Result<Operations, CommandError> {
    let mut operations = Operations::new();
    let mut overflow = Overflow::Wrap;
    while !args.is_empty() {
        let word = args.bytes()?;
        let is_word = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is_word("OVERFLOW") && args.remaining() >= 1 {
            overflow = parse_overflow(args.bytes()?)?;
            continue;
        }
        let make: Option<fn(i64) -> Action> = match args.remaining() {
            2.. if is_word("GET") => None,
            3.. if is_word("SET") => Some(Action::Set),
            3.. if is_word("INCRBY") => Some(Action::Add),
            _ => return Err(CommandError::Syntax),
        };
        let (is_signed, width) = parse_type(args.bytes()?)?;
        let offset = parse_field_offset(args.bytes()?, width, len_max)?;
        let field = Field { offset, width, is_signed };
        let action = make.map_or(Ok(Action::Get), |make| args.integer().map(make))?;
        operations.push(Operation { field, action, overflow });
    }
    Ok(operations)
}

fn parse_overflow(word: &[u8]) -> Result<Overflow, CommandError> {
    match word.to_ascii_uppercase().as_slice() {
        b"WRAP" => Ok(Overflow::Wrap),
        b"SAT" => Ok(Overflow::Saturate),
        b"FAIL" => Ok(Overflow::Fail),
        _ => Err(CommandError::text("ERR Invalid OVERFLOW type specified")),
    }
}

/// Reads a type such as `i16`: whether it is signed, and its width in bits.
fn parse_type(text: &[u8]) -> Result<(bool, u32), CommandError> {
    let (is_signed, width) = match text {
        [b'i', width @ ..] => (true, width),
        [b'u', width @ ..] => (false, width),
        _ => return Err(INVALID_TYPE),
    };
    // Redis reads the width up to the first NUL.
    let width = number::parse_i64(shown(width)).and_then(|width| u32::try_from(width).ok());
    let width_max = if is_signed { 64 } else { 63 };
    match width {
        Some(width @ 1..) if width <= width_max => Ok((is_signed, width)),
        _ => Err(INVALID_TYPE),
    }
}

const INVALID_TYPE: CommandError = CommandError::text(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);

/// Reads an offset in bits, or with `#` in front in fields of this width.
fn parse_field_offset(text: &[u8], width: u32, len_max: usize) -> Result<u64, CommandError> {
    match text {
        [b'#', index @ ..] => {
            let index = number::parse_i64(index).ok_or(OFFSET)?;
            check_offset(index.checked_mul(i64::from(width)).ok_or(OFFSET)?, len_max)
        }
        _ => parse_offset(text, len_max),
    }
}

/// Reads and writes fields.
///
/// Args: `key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET type offset value | INCRBY type offset increment ...]`.
/// Reply: array, one integer per operation, null where one would overflow and must not. Errors: syntax, type, offset,
/// not an integer, WRONGTYPE. Journal: verbatim, if anything changed. Cost: O(1) per operation.
fn bitfield(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let operations = parse(args, len_max(ctx))?;
    let writes = operations.iter().filter(|operation| operation.is_write());
    let Some(len) = writes.map(|operation| operation.field.end()).max() else {
        let written = bytes::read_in_write(ctx, key, |bytes| get_all(&operations, bytes, reply))?;
        written.unwrap_or_else(|| get_all(&operations, b"", reply));
        return Ok(Written::unchanged());
    };
    let (has_grown, is_written) = bytes::edit(ctx, key, |string| {
        let bytes = string.bytes();
        let has_grown = bytes.len() < len;
        if has_grown {
            bytes.resize(len, 0);
        }
        reply.array(operations.len());
        let mut is_written = false;
        for operation in &operations {
            is_written |= operation.run(bytes, reply).is_some_and(|is_new| is_new || has_grown);
        }
        (has_grown, is_written)
    })?;
    if is_written {
        return Ok(Written::changed(Event::SETBIT));
    }
    if has_grown {
        // Nothing fitted, but the string has become longer: Redis says nothing of it.
        ctx.touched(key);
        return Ok(Written::reported());
    }
    Ok(Written::unchanged())
}

/// Reads fields.
///
/// Args: `key [GET type offset ...]`. Reply: array of integers. Errors: as BITFIELD, and any operation but GET.
fn bitfield_ro(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let operations = parse(args, ctx.options.proto_max_bulk_len)?;
    let has_writes = operations.iter().any(Operation::is_write);
    // A key of another type is the first mistake only where nothing would be written.
    if has_writes {
        return Err(CommandError::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    bytes::read(ctx, key, |bytes| get_all(&operations, bytes, reply))?
        .unwrap_or_else(|| get_all(&operations, b"", reply));
    Ok(())
}

fn get_all(operations: &Operations, bytes: &[u8], reply: &mut Writer<'_>) {
    reply.array(operations.len());
    for operation in operations {
        reply.integer(operation.field.get(bytes));
    }
}

const BITFIELD: Docs = Docs {
    summary: "Reads and writes integers of any width inside a string.",
    since: "3.2.0",
    complexity: "O(1) per operation",
    arguments: &[
        Argument::key("key"),
        Argument::one_of(
            "operation",
            &[
                Argument::block(
                    "get-block",
                    &[Argument::string("encoding"), Argument::integer("offset")],
                )
                .token("GET"),
                Argument::block(
                    "write",
                    &[
                        Argument::one_of(
                            "overflow-block",
                            &[
                                Argument::word("wrap", "WRAP"),
                                Argument::word("sat", "SAT"),
                                Argument::word("fail", "FAIL"),
                            ],
                        )
                        .token("OVERFLOW")
                        .optional(),
                        Argument::one_of(
                            "write-operation",
                            &[
                                Argument::block(
                                    "set-block",
                                    &[
                                        Argument::string("encoding"),
                                        Argument::integer("offset"),
                                        Argument::integer("value"),
                                    ],
                                )
                                .token("SET"),
                                Argument::block(
                                    "incrby-block",
                                    &[
                                        Argument::string("encoding"),
                                        Argument::integer("offset"),
                                        Argument::integer("increment"),
                                    ],
                                )
                                .token("INCRBY"),
                            ],
                        ),
                    ],
                ),
            ],
        )
        .optional()
        .repeated(),
    ],
    examples: &[
        "> BITFIELD k SET u8 #0 200 INCRBY u8 #0 100\n1) (integer) 0\n2) (integer) 44\n> BITFIELD k OVERFLOW SAT INCRBY u8 #0 300 OVERFLOW FAIL INCRBY u8 #0 1\n1) (integer) 255\n2) (nil)",
    ],
    ..Docs::NONE
};

const BITFIELD_RO: Docs = Docs {
    summary: "Reads integers of any width inside a string.",
    since: "6.0.0",
    complexity: "O(1) per operation",
    arguments: &[
        Argument::key("key"),
        Argument::block("get-block", &[Argument::string("encoding"), Argument::integer("offset")])
            .token("GET")
            .optional()
            .token_repeated(),
    ],
    examples: &[
        "> SET k \"\\xff\\x01\"\nOK\n> BITFIELD_RO k GET u8 8 GET i4 0\n1) (integer) 1\n2) (integer) -1",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn operations_see_what_those_before_them_wrote() {
        check(
            r#"
            > BITFIELD k SET i8 0 -1 GET u4 2 INCRBY i5 100 1 GET i5 100
            1) (integer) 0
            2) (integer) 15
            3) (integer) 1
            4) (integer) 1
            > STRLEN k
            (integer) 14
            > BITFIELD k set u8 0 258 get u8 0
            1) (integer) 255
            2) (integer) 2
            > BITFIELD k GET u63 1000
            1) (integer) 0
            > BITFIELD k
            (empty array)
            > BITFIELD none GET u8 0 OVERFLOW FAIL
            1) (integer) 0
            > EXISTS none
            (integer) 0
            ~ journal
            BITFIELD k SET i8 0 -1 GET u4 2 INCRBY i5 100 1 GET i5 100
            BITFIELD k set u8 0 258 get u8 0
            ~ events
            setbit k
            setbit k
        "#,
        );
    }

    #[test]
    fn overflow_is_said_before_the_operation_and_holds_on() {
        check(
            r#"
            > BITFIELD k OVERFLOW FAIL SET u4 0 16 OVERFLOW SAT SET u4 0 16 INCRBY u4 0 1 OVERFLOW WRAP INCRBY u4 0 2
            1) (nil)
            2) (integer) 0
            3) (integer) 15
            4) (integer) 1
            # resp3
            > BITFIELD k OVERFLOW FAIL INCRBY i4 0 7
            1) (nil)
        "#,
        );
    }

    #[test]
    fn a_string_that_only_grew_is_journaled_without_an_event() {
        check(
            r#"
            > BITFIELD k OVERFLOW FAIL SET u4 0 16
            1) (nil)
            > STRLEN k
            (integer) 1
            > BITFIELD k SET u4 0 0
            1) (integer) 0
            ~ journal
            BITFIELD k OVERFLOW FAIL SET u4 0 16
            ~ events
        "#,
        );
    }

    #[test]
    fn arguments_are_checked_in_redis_order() {
        check(
            r#"
            > HSET h f v
            (integer) 1
            > BITFIELD h GET u8
            (error) ERR syntax error
            > BITFIELD h SET u8 0
            (error) ERR syntax error
            > BITFIELD h FOO u8 0
            (error) ERR syntax error
            > BITFIELD h OVERFLOW FOO
            (error) ERR Invalid OVERFLOW type specified
            > BITFIELD h OVERFLOW
            (error) ERR syntax error
            > BITFIELD h GET u64 0
            (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD h GET x8 0
            (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD h GET i65 0
            (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD h GET "" 0
            (error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
            > BITFIELD h GET i64 x
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD h GET i64 -1
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD h GET i64 #
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD h GET i64 #9223372036854775807
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD h SET i64 0 x
            (error) ERR value is not an integer or out of range
            > BITFIELD h GET i64 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BITFIELD h SET i64 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BITFIELD_RO h GET i64 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BITFIELD_RO h SET i64 0 1
            (error) ERR BITFIELD_RO only supports the GET subcommand
            > BITFIELD_RO none OVERFLOW SAT GET "i8\x00x" #1
            1) (integer) 0
        "#,
        );
    }

    #[test]
    fn a_field_begins_within_proto_max_bulk_len() {
        let script = r#"
            > BITFIELD k SET u8 63 255
            1) (integer) 0
            > BITFIELD k SET u8 64 255
            (error) ERR bit offset is not an integer or out of range
            > BITFIELD k GET u8 #8
            (error) ERR bit offset is not an integer or out of range
            > STRLEN k
            (integer) 9
        "#;
        check_with(Options { proto_max_bulk_len: 8, ..options() }, script);
    }
}
