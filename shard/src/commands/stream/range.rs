//! Entries by their ids: XRANGE XREVRANGE.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream::entries`.

use super::arguments::{count_or_all, parse_end, parse_start, reply_entries};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::stream::Stream;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &XRANGE,
            ..CommandSpec::new("xrange", Group::Stream)
        },
        run: Run::Read(xrange),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &XREVRANGE,
            ..CommandSpec::new("xrevrange", Group::Stream)
        },
        run: Run::Read(xrevrange),
    },
];
const _: () = check(COMMANDS);

/// Entries in order. Reply: an array of ids with fields; null if COUNT is 0.
fn xrange(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let start = parse_start(args.bytes()?)?;
    let end = parse_end(args.bytes()?)?;
    let count = count(args)?;
    let Some(stream) = find(ctx, key, count, reply)? else { return Ok(()) };
    reply_entries(reply, stream.entries.range(start, end).take(count_or_all(count)));
    Ok(())
}

/// Entries from the last to the first. Arguments and reply as [`xrange`], but the upper end comes first.
fn xrevrange(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let end = args.bytes()?;
    let start = parse_start(args.bytes()?)?;
    let end = parse_end(end)?;
    let count = count(args)?;
    let Some(stream) = find(ctx, key, count, reply)? else { return Ok(()) };
    reply_entries(reply, stream.entries.range_back(start, end).take(count_or_all(count)));
    Ok(())
}

/// Reads `[COUNT n]`; -1 if it is not there.
fn count(mut args: Args<'_>) -> Result<i64, CommandError> {
    let mut count = -1;
    while !args.is_empty() {
        if !args.take_token("COUNT") || args.is_empty() {
            return Err(CommandError::Syntax);
        }
        count = args.integer()?.max(0);
    }
    Ok(count)
}

/// The stream, unless the reply does not depend on it and has been given.
fn find<'a>(
    ctx: &ReadContext<'a>,
    key: &[u8],
    count: i64,
    reply: &mut Writer<'_>,
) -> Result<Option<&'a Stream>, CommandError> {
    let stream = ctx.get::<Stream>(key)?;
    if stream.is_none() {
        reply.array(0);
    } else if count == 0 {
        reply.null_array();
        return Ok(None);
    }
    Ok(stream)
}

const XRANGE: Docs = Docs {
    summary: "Returns the entries of a stream between two ids.",
    since: "5.0.0",
    complexity: "O(log n + m), m entries returned",
    arguments: &[
        Argument::key("key"),
        Argument::string("start"),
        Argument::string("end"),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XADD log 2-0 line second\n\"2-0\"\n> XRANGE log - + COUNT 1\n1) 1) \"1-0\"\n   2) 1) \"line\"\n      2) \"first\"\n> XRANGE log (1-0 5\n1) 1) \"2-0\"\n   2) 1) \"line\"\n      2) \"second\"",
    ],
    ..Docs::NONE
};

const XREVRANGE: Docs = Docs {
    summary: "Returns the entries of a stream between two ids, the last one first.",
    since: "5.0.0",
    complexity: "O(log n + m), m entries returned",
    arguments: &[
        Argument::key("key"),
        Argument::string("end"),
        Argument::string("start"),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XADD log 2-0 line second\n\"2-0\"\n> XREVRANGE log + - COUNT 1\n1) 1) \"2-0\"\n   2) 1) \"line\"\n      2) \"second\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn ends_may_be_left_out_or_incomplete() {
        check(
            r#"
            > XADD s 1-0 f a
            "1-0"
            > XADD s 1-5 f 12
            "1-5"
            > XADD s 2-0 g c
            "2-0"
            > XRANGE s 1 1
            1) 1) "1-0"
               2) 1) "f"
                  2) "a"
            2) 1) "1-5"
               2) 1) "f"
                  2) "12"
            > XREVRANGE s (2-0 (1-0
            1) 1) "1-5"
               2) 1) "f"
                  2) "12"
            > XRANGE s (1-18446744073709551615 +
            1) 1) "2-0"
               2) 1) "g"
                  2) "c"
            > XRANGE s + -
            (empty array)
            > XRANGE none - +
            (empty array)
            > XRANGE none - + COUNT 0
            (empty array)
            > XRANGE s - + COUNT 0
            (nil)
            > XRANGE s - + COUNT -4
            (nil)
            > XREVRANGE s + - COUNT 5 COUNT 1
            1) 1) "2-0"
               2) 1) "g"
                  2) "c"
        "#,
        );
    }

    #[test]
    fn mistakes_are_found_before_the_key_is_looked_up() {
        check(
            r#"
            > SET text x
            OK
            > XRANGE text x +
            (error) ERR Invalid stream ID specified as stream command argument
            > XRANGE text (- +
            (error) ERR Invalid stream ID specified as stream command argument
            > XRANGE text ( +
            (error) ERR Invalid stream ID specified as stream command argument
            > XRANGE text (18446744073709551615-18446744073709551615 +
            (error) ERR invalid start ID for the interval
            > XRANGE text - (0-0
            (error) ERR invalid end ID for the interval
            > XREVRANGE text (0-0 (+
            (error) ERR Invalid stream ID specified as stream command argument
            > XRANGE text - + COUNT
            (error) ERR syntax error
            > XRANGE text - + COUNT x
            (error) ERR value is not an integer or out of range
            > XRANGE text - + LIMIT 5
            (error) ERR syntax error
            > XRANGE text - +
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
