//! Commands on parts of a string: APPEND STRLEN GETRANGE SETRANGE SUBSTR.
//!
//! Path: `shard::Shard::execute` -> here -> `types::string`. A string changed in place has the encoding `raw`.

use super::{NewExpiry, check_len, len_max, store};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::types::string::{Str, StrRef};
use crate::value::Value;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use std::ops::Range;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &APPEND,
            ..CommandSpec::new("append", Group::String)
        },
        run: Run::Write(append),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &STRLEN,
            ..CommandSpec::new("strlen", Group::String)
        },
        run: Run::Read(strlen),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::READONLY,
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GETRANGE,
            ..CommandSpec::new("getrange", Group::String)
        },
        run: Run::Read(getrange),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &SETRANGE,
            ..CommandSpec::new("setrange", Group::String)
        },
        run: Run::Write(setrange),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::READONLY,
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &SUBSTR,
            ..CommandSpec::new("substr", Group::String)
        },
        run: Run::Read(getrange),
    },
];

const _: () = check(COMMANDS);

/// Adds bytes at the end of a string.
///
/// Args: `key value`. Reply: integer, the new length. Errors: WRONGTYPE, longer than `proto-max-bulk-len`.
fn append(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let appended = args.bytes()?;
    let len_max = len_max(ctx);
    let mut found = ctx.entry(key);
    if let Some(mut string) = found.value_mut::<Str>()? {
        check_len(string.len(), appended.len(), len_max)?;
        let bytes = string.make_raw();
        bytes.extend_from_slice(appended);
        reply.integer(bytes.len() as i64);
    } else {
        store(&mut found, appended, NewExpiry::Never);
        reply.integer(appended.len() as i64);
    }
    Ok(Written::changed(Event::APPEND))
}

/// Asks for the length of a string.
///
/// Args: `key`. Reply: integer, bytes; 0 if there is no such key. Errors: WRONGTYPE.
fn strlen(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let len = ctx.get_string(args.key()?)?.map_or(0, StrRef::len);
    reply.integer(len as i64);
    Ok(())
}

/// Reads a part of a string. Also SUBSTR, its old name.
///
/// Args: `key start end`, both inclusive, negative from the end. Reply: the bytes, as many as there are.
/// Errors: not an integer, WRONGTYPE.
fn getrange(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let start = args.integer()?;
    let end = args.integer()?;
    match ctx.get_string(key)? {
        Some(string) => string.with_bytes(|bytes| {
            reply.bulk(&bytes[inclusive_range(start, end, bytes.len())]);
        }),
        None => reply.bulk(b""),
    }
    Ok(())
}

/// Overwrites a part of a string; a gap before it is filled with zero bytes.
///
/// Args: `key offset value`. Reply: integer, the new length. Errors: not an integer, a negative offset, WRONGTYPE,
/// longer than `proto-max-bulk-len`.
fn setrange(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let offset = usize::try_from(args.integer()?)
        .map_err(|_| CommandError::text("ERR offset is out of range"))?;
    let written = args.bytes()?;
    let len_max = len_max(ctx);
    let mut found = ctx.entry(key);
    let old_len = found.value::<Str>()?.map_or(0, StrRef::len);
    if written.is_empty() {
        reply.integer(old_len as i64);
        return Ok(Written::unchanged());
    }
    check_len(offset, written.len(), len_max)?;
    if !found.exists() {
        found.store(Entry::new(Value::String(Str::Raw(Vec::new()))));
    }
    let mut string = found.value_mut::<Str>()?.expect("it was there or has just been stored");
    string.write_at(offset, written);
    reply.integer(string.len() as i64);
    Ok(Written::changed(Event::SETRANGE))
}

/// The bytes that `start` and `end` name in a string of `len` bytes: both inclusive, negative from the end, cut off
/// where the string ends.
fn inclusive_range(start: i64, end: i64, len: usize) -> Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    // A string is far shorter than i64::MAX bytes, so that nothing overflows here.
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { (len + index).max(0) } else { index };
    let start = from_end(start);
    let end = from_end(end).min(len - 1);
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}

const APPEND: Docs = Docs {
    summary: "Adds bytes at the end of a string, which begins empty if there is no such key.",
    since: "2.0.0",
    complexity: "O(N) with N the number of bytes added, on average",
    arguments: &[Argument::key("key"), Argument::string("value")],
    examples: &["> APPEND k foo\n(integer) 3\n> APPEND k bar\n(integer) 6\n> GET k\n\"foobar\""],
    ..Docs::NONE
};

const STRLEN: Docs = Docs {
    summary: "Returns the length of a string in bytes.",
    since: "2.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET k hello\nOK\n> STRLEN k\n(integer) 5\n> STRLEN none\n(integer) 0"],
    ..Docs::NONE
};

const GETRANGE: Docs = Docs {
    summary: "Returns a part of a string, both ends included.",
    since: "2.4.0",
    complexity: "O(N) with N the length of the part",
    arguments: &[Argument::key("key"), Argument::integer("start"), Argument::integer("end")],
    examples: &[
        "> SET k \"hello world\"\nOK\n> GETRANGE k 0 4\n\"hello\"\n> GETRANGE k -5 -1\n\"world\"",
    ],
    ..Docs::NONE
};

const SETRANGE: Docs = Docs {
    summary: "Overwrites a part of a string; zero bytes fill the gap if the string was shorter.",
    since: "2.2.0",
    complexity: "O(N) with N the number of bytes written and filled",
    arguments: &[Argument::key("key"), Argument::integer("offset"), Argument::string("value")],
    examples: &[
        "> SET k \"hello world\"\nOK\n> SETRANGE k 6 redis\n(integer) 11\n> GET k\n\"hello redis\"",
        "> SETRANGE k 2 x\n(integer) 3\n> GET k\n\"\\x00\\x00x\"",
    ],
    ..Docs::NONE
};

const SUBSTR: Docs = Docs {
    summary: "The old name of GETRANGE.",
    since: "1.0.0",
    complexity: "O(N) with N the length of the part",
    arguments: &[Argument::key("key"), Argument::integer("start"), Argument::integer("end")],
    deprecated: Some(("2.0.0", "`GETRANGE`")),
    examples: &["> SET k hello\nOK\n> SUBSTR k 1 3\n\"ell\""],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn getrange_reads_what_there_is_of_the_range() {
        check(
            r#"
            > SET k "Hello World"
            OK
            > GETRANGE k 0 3
            "Hell"
            > GETRANGE k 0 -1
            "Hello World"
            > GETRANGE k -4 -1
            "orld"
            > GETRANGE k 5 3
            ""
            > GETRANGE k -1 -5
            ""
            > GETRANGE k 5 5000
            " World"
            > GETRANGE k -5000 10000
            "Hello World"
            > GETRANGE k 0 -100
            "H"
            > GETRANGE k -100 -90
            "H"
            > GETRANGE k 11 20
            ""
            > GETRANGE k 9223372036854775807 9223372036854775807
            ""
            > GETRANGE k -9223372036854775808 9223372036854775807
            "Hello World"
            > GETRANGE k 0 -9223372036854775808
            "H"
            > SET n 1234
            OK
            > SUBSTR n 1 -2
            "23"
            > SET empty ""
            OK
            > GETRANGE empty 0 -1
            ""
            > GETRANGE none 0 -1
            ""
            # resp3
            > GETRANGE none 0 -1
            ""
        "#,
        );
    }

    #[test]
    fn numbers_are_read_before_the_key() {
        check(
            r#"
            > HSET h f v
            (integer) 1
            > GETRANGE h x 1
            (error) ERR value is not an integer or out of range
            > GETRANGE h 1 x
            (error) ERR value is not an integer or out of range
            > GETRANGE h 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SETRANGE h x v
            (error) ERR value is not an integer or out of range
            > SETRANGE h -1 v
            (error) ERR offset is out of range
            > SETRANGE h 0 ""
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > APPEND h v
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > STRLEN h
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn setrange_fills_gaps_and_ignores_nothing() {
        check(
            r#"
            > SETRANGE k 5 ""
            (integer) 0
            > EXISTS k
            (integer) 0
            > SETRANGE k 0 foo
            (integer) 3
            > OBJECT ENCODING k
            "raw"
            > SETRANGE k 5 x
            (integer) 6
            > GET k
            "foo\x00\x00x"
            > SETRANGE k 1 abc
            (integer) 6
            > GET k
            "fabc\x00x"
            > SETRANGE k 100 ""
            (integer) 6
            > SET n 1234
            OK
            > SETRANGE n 0 ""
            (integer) 4
            > OBJECT ENCODING n
            "int"
            > SETRANGE n 1 9
            (integer) 4
            > OBJECT ENCODING n
            "raw"
            > GET n
            "1934"
            ~ journal
            SETRANGE k 0 foo
            SETRANGE k 5 x
            SETRANGE k 1 abc
            SET n 1234
            SETRANGE n 1 9
            ~ events
            setrange k
            setrange k
            setrange k
            set n
            setrange n
        "#,
        );
    }

    #[test]
    fn append_turns_anything_into_a_raw_string() {
        check(
            r#"
            > APPEND k 12
            (integer) 2
            > OBJECT ENCODING k
            "int"
            > APPEND k ""
            (integer) 2
            > OBJECT ENCODING k
            "raw"
            > APPEND k 3
            (integer) 3
            > GET k
            "123"
            > STRLEN k
            (integer) 3
            > APPEND empty ""
            (integer) 0
            > OBJECT ENCODING empty
            "embstr"
            > SET n -10 EX 10
            OK
            > STRLEN n
            (integer) 3
            > APPEND n x
            (integer) 4
            > TTL n
            (integer) 10
            ~ journal
            APPEND k 12
            APPEND k ""
            APPEND k 3
            APPEND empty ""
            SET n -10 PXAT 1700000010000
            APPEND n x
            ~ events
            append k
            append k
            append k
            append empty
            set n
            expire n
            append n
        "#,
        );
    }

    #[test]
    fn a_string_grows_up_to_proto_max_bulk_len() {
        let script = r#"
            > APPEND k 12345
            (integer) 5
            > APPEND k 678
            (integer) 8
            > APPEND k 9
            (error) ERR string exceeds maximum allowed size (proto-max-bulk-len)
            > SETRANGE k 7 x
            (integer) 8
            > SETRANGE k 8 x
            (error) ERR string exceeds maximum allowed size (proto-max-bulk-len)
            > SETRANGE none 9223372036854775807 xy
            (error) ERR string exceeds maximum allowed size (proto-max-bulk-len)
            > SETRANGE k 9 ""
            (integer) 8
            > GET k
            "1234567x"
            > EXISTS none
            (integer) 0
        "#;
        check_with(Options { proto_max_bulk_len: 8, ..options() }, script);
    }
}
