//! Commands that wait for a member of a sorted set: BZPOPMIN BZPOPMAX BZMPOP.
//!
//! Path: `shard::Shard::execute` -> here -> `commands::sorted_set::pop`. Who waits, and what happens when a sorted set
//! gets members, is the business of `shard::blocking`; here is only how one key serves.

use super::pop::{self, End};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::pop_args::PopArgs;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::types::sorted_set::SortedSet;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;

/// What these commands do to their keys.
const TAKEN: KeyFlags = KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]);

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::BLOCKING, Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::range(TAKEN, 1, -2, 1)],
            docs: &BZPOPMIN,
            ..CommandSpec::new("bzpopmin", Group::SortedSet)
        },
        run: Run::FirstOf {
            check: |_| Ok(()),
            serve: bzpopmin,
            timeout: Some(timeout),
            empty: |reply| reply.null_array(),
        },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::BLOCKING, Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::range(TAKEN, 1, -2, 1)],
            docs: &BZPOPMAX,
            ..CommandSpec::new("bzpopmax", Group::SortedSet)
        },
        run: Run::FirstOf {
            check: |_| Ok(()),
            serve: bzpopmax,
            timeout: Some(timeout),
            empty: |reply| reply.null_array(),
        },
    },
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::of(&[Flags::BLOCKING, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec {
                flags: TAKEN,
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &BZMPOP,
            ..CommandSpec::new("bzmpop", Group::SortedSet)
        },
        run: Run::FirstOf {
            check: |args| parse_several(args).map(|_| ()),
            serve: bzmpop,
            timeout: Some(first_as_timeout),
            empty: |reply| reply.null_array(),
        },
    },
];
const _: () = check(COMMANDS);

/// Takes the lowest member of one key. Reply: the key, the member and its score. Journal: ZPOPMIN.
fn bzpopmin(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    take_one(ctx, key_index, args, reply, End::Min)
}

/// Takes the highest member of one key. Reply: the key, the member and its score. Journal: ZPOPMAX.
fn bzpopmax(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    take_one(ctx, key_index, args, reply, End::Max)
}

fn take_one(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
    end: End,
) -> Result<Option<Written>, CommandError> {
    let key = args.argv().get(key_index).expect("the index of a key lies inside the request");
    if ctx.get_mut::<SortedSet>(key)?.is_none() {
        return Ok(None);
    }
    reply.array(3);
    reply.bulk(key);
    let written = pop::take(ctx, key, end, 1, false, reply)?;
    ctx.journal(&[end.command(), key]);
    Ok(Some(written.journaled()))
}

/// Takes members of one key. Reply: the key, and an array of pairs. Journal: ZPOPMIN or ZPOPMAX with a count.
fn bzmpop(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    pop::take_several(ctx, key_index, args, parse_several(args)?, reply)
}

/// Reads the arguments of BZMPOP behind the timeout, which is looked at last.
fn parse_several(mut args: Args<'_>) -> Result<PopArgs<End>, CommandError> {
    args.skip();
    pop::parse_several(args)
}

/// The first argument: seconds, as a double.
fn first_as_timeout(mut args: Args<'_>) -> Result<u64, CommandError> {
    Args::timeout_ms(args.bytes()?)
}

/// The last argument: seconds, as a double.
fn timeout(args: Args<'_>) -> Result<u64, CommandError> {
    let last = args.rest().last().ok_or(CommandError::Syntax)?;
    Args::timeout_ms(last)
}

const BZPOPMIN: Docs = Docs {
    summary: "Removes the lowest member of the first of several sorted sets that has one, and waits for one if none has.",
    since: "5.0.0",
    complexity: "O(k + log n), k keys, n members",
    arguments: &[Argument::key("key").repeated(), Argument::double("timeout")],
    examples: &[
        "> ZADD board 1 a 2 b\n(integer) 2\n> BZPOPMIN none board 1\n1) \"board\"\n2) \"a\"\n3) \"1\"",
    ],
    ..Docs::NONE
};

const BZPOPMAX: Docs = Docs {
    summary: "Removes the highest member of the first of several sorted sets that has one, and waits for one if none has.",
    since: "5.0.0",
    complexity: "O(k + log n), k keys, n members",
    arguments: &[Argument::key("key").repeated(), Argument::double("timeout")],
    examples: &[
        "> ZADD board 1 a 2 b\n(integer) 2\n> BZPOPMAX none board 1\n1) \"board\"\n2) \"b\"\n3) \"2\"",
    ],
    ..Docs::NONE
};

const BZMPOP: Docs = Docs {
    summary: "Removes members at one end of the first of several sorted sets that is not empty, and waits for one if all are.",
    since: "7.0.0",
    complexity: "O(k + m log n), k keys, n members, m of them taken",
    arguments: &[
        Argument::double("timeout"),
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::one_of("where", &[Argument::word("min", "MIN"), Argument::word("max", "MAX")]),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b\n(integer) 2\n> BZMPOP 1 2 none board MIN COUNT 2\n1) \"board\"\n2) 1) 1) \"a\"\n      2) \"1\"\n   2) 1) \"b\"\n      2) \"2\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn waiting_clients_are_served_in_turn() {
        check(
            r#"
            > BZPOPMIN a z 0
            (blocked)
            > BZMPOP 0 2 y z MAX COUNT 2
            (blocked)
            > BZPOPMAX z 0
            (blocked)
            > ZADD z 1 a 2 b 3 c 4 d
            (integer) 4
            ~ served
            1) "z"
            2) "a"
            3) "1"
            1) "z"
            2) 1) 1) "d"
                  2) "4"
               2) 1) "c"
                  2) "3"
            1) "z"
            2) "b"
            3) "2"
            ~ journal
            ZADD z 1 a 2 b 3 c 4 d
            ZPOPMIN z
            ZPOPMAX z 2
            ZPOPMAX z
            ~ events
            zadd z
            zpopmin z
            zpopmax z
            zpopmax z
            del z
        "#,
        );
    }

    #[test]
    fn a_member_that_is_there_is_taken_at_once() {
        check(
            r#"
            > ZADD z 1 a 2.5 b
            (integer) 2
            > BZPOPMAX none z 0
            1) "z"
            2) "b"
            3) "2.5"
            # resp3
            > BZPOPMIN none z 0
            1) "z"
            2) "a"
            3) (double) 1
        "#,
        );
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > SET s v
            OK
            > BZPOPMIN s x
            (error) ERR timeout is not a float or out of range
            > BZPOPMIN none s 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BZMPOP x 0 s MIN
            (error) ERR numkeys should be greater than 0
            > BZMPOP x 1 s LEFT
            (error) ERR syntax error
            > BZMPOP x 1 s MIN
            (error) ERR timeout is not a float or out of range
            > BZMPOP -1 1 s MIN
            (error) ERR timeout is negative
            > BZMPOP 1 1 s MIN COUNT 0
            (error) ERR count should be greater than 0
        "#,
        );
    }
}
