//! Commands that take members from an end of a sorted set: ZPOPMIN ZPOPMAX ZMPOP.
//!
//! Path: `shard::Shard::execute` -> here -> `types::sorted_set`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::pop_args::PopArgs;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::sorted_set::SortedSet;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::{Resp, Writer};
use protocol::request::ArgvBuf;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::DELETE,
            ]))],
            docs: &ZPOPMIN,
            ..CommandSpec::new("zpopmin", Group::SortedSet)
        },
        run: Run::Write(zpopmin),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::DELETE,
            ]))],
            docs: &ZPOPMAX,
            ..CommandSpec::new("zpopmax", Group::SortedSet)
        },
        run: Run::Write(zpopmax),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                begin: BeginSearch::Index(1),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &ZMPOP,
            ..CommandSpec::new("zmpop", Group::SortedSet)
        },
        run: Run::FirstOf {
            check: |args| parse_several(args).map(|_| ()),
            serve: zmpop,
            timeout: None,
            empty: |reply| reply.null_array(),
        },
    },
];
const _: () = check(COMMANDS);

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

impl End {
    /// Reads `MIN` or `MAX`, in any case.
    fn parse(word: &[u8]) -> Option<End> {
        match word {
            _ if word.eq_ignore_ascii_case(b"MIN") => Some(End::Min),
            _ if word.eq_ignore_ascii_case(b"MAX") => Some(End::Max),
            _ => None,
        }
    }

    /// The command that takes from this end of one key.
    pub(super) fn command(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }
}

fn zpopmin(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    pop(ctx, args, reply, End::Min)
}

fn zpopmax(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    pop(ctx, args, reply, End::Max)
}

/// Reply: members and scores in turn; with a count in RESP3 an array of pairs. Journal: verbatim.
fn pop(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    end: End,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    if args.remaining() > 1 {
        return Err(CommandError::Syntax);
    }
    let is_nested = !args.is_empty() && reply.resp() == Resp::V3;
    let count = if args.is_empty() { 1 } else { args.count()? };
    let set = match ctx.get_mut::<SortedSet>(key)? {
        Some(set) if count > 0 => set,
        _ => {
            reply.array(0);
            return Ok(Written::unchanged());
        }
    };
    let count = count.min(set.len());
    reply.array(if is_nested { count } else { 2 * count });
    drop(set);
    take(ctx, key, end, count, is_nested, reply)
}

/// Takes `count` members at one end of a sorted set that has so many. Reply: for each the member and its score, as a
/// pair of its own if `is_nested`; the head of the array has been written.
pub(super) fn take(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    end: End,
    count: usize,
    is_nested: bool,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let Some(mut set) = ctx.get_mut::<SortedSet>(key)? else { return Ok(Written::unchanged()) };
    let ranks = match end {
        End::Min => 0..count,
        End::Max => set.len() - count..set.len(),
    };
    let mut write = |(member, score): (&[u8], f64)| {
        if is_nested {
            reply.array(2);
        }
        reply.bulk(member);
        reply.double(score);
    };
    match end {
        End::Min => set.range(ranks.clone()).for_each(&mut write),
        End::Max => set.range(ranks.clone()).rev().for_each(&mut write),
    }
    set.remove_range(ranks);
    let is_emptied = set.is_empty();
    drop(set);
    ctx.changed(key, if end == End::Min { Event::ZPOPMIN } else { Event::ZPOPMAX });
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported())
}

/// Takes from one of several keys. Reply: the key, and an array of pairs. Journal: ZPOPMIN or ZPOPMAX with a count.
fn zmpop(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    take_several(ctx, key_index, args, parse_several(args)?, reply)
}

/// Reads the arguments of ZMPOP from `numkeys` on.
pub(super) fn parse_several(args: Args<'_>) -> Result<PopArgs<End>, CommandError> {
    PopArgs::parse(args, End::parse)
}

/// Takes members from key number `key_index`, with its name in the reply; `None` if there is no such key.
pub(super) fn take_several(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    PopArgs { end, count_max }: PopArgs<End>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    let key = args.argv().get(key_index).expect("the index of a key lies inside the request");
    let Some(set) = ctx.get_mut::<SortedSet>(key)? else { return Ok(None) };
    let count = count_max.min(set.len());
    reply.array(2);
    reply.bulk(key);
    reply.array(count);
    drop(set);
    let mut digits = itoa::Buffer::new();
    let pop = [end.command(), key, digits.format(count).as_bytes()];
    let pop = pop.into_iter().collect::<ArgvBuf>();
    Ok(Some(take(ctx, key, end, count, true, reply)?.rewritten(pop)))
}

const ZPOPMIN: Docs = Docs {
    summary: "Removes the members with the lowest scores from a sorted set and returns them.",
    since: "5.0.0",
    complexity: "O(log n) per member, n members",
    arguments: &[Argument::key("key"), Argument::integer("count").optional()],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZPOPMIN board\n1) \"a\"\n2) \"1\"\n> ZPOPMIN board 2\n1) \"b\"\n2) \"2\"\n3) \"c\"\n4) \"3\"",
    ],
    ..Docs::NONE
};

const ZPOPMAX: Docs = Docs {
    summary: "Removes the members with the highest scores from a sorted set and returns them.",
    since: "5.0.0",
    complexity: "O(log n) per member, n members",
    arguments: &[Argument::key("key"), Argument::integer("count").optional()],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZPOPMAX board\n1) \"c\"\n2) \"3\"\n> ZPOPMAX board 2\n1) \"b\"\n2) \"2\"\n3) \"a\"\n4) \"1\"",
    ],
    ..Docs::NONE
};

const ZMPOP: Docs = Docs {
    summary: "Removes members at one end of the first of several sorted sets that is not empty, and returns them.",
    since: "7.0.0",
    complexity: "O(k + m log n), k keys, n members, m of them taken",
    arguments: &[
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::one_of("where", &[Argument::word("min", "MIN"), Argument::word("max", "MAX")]),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZMPOP 2 none board MAX COUNT 2\n1) \"board\"\n2) 1) 1) \"c\"\n      2) \"3\"\n   2) 1) \"b\"\n      2) \"2\"\n> ZMPOP 1 none MIN\n(nil)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn members_come_from_either_end() {
        for zset_max_listpack_entries in [0, 128] {
            check_with(
                Options { zset_max_listpack_entries, ..options() },
                r#"
                > ZADD z 1 a 2 b 3 c 4 d 5 e
                (integer) 5
                > ZPOPMIN z
                1) "a"
                2) "1"
                > ZPOPMAX z 1
                1) "e"
                2) "5"
                > ZPOPMIN z 0
                (empty array)
                # resp3
                > ZPOPMIN z
                1) "b"
                2) (double) 2
                > ZPOPMAX z 9223372036854775807
                1) 1) "d"
                   2) (double) 4
                2) 1) "c"
                   2) (double) 3
                > ZPOPMAX z
                (empty array)
                ~ journal
                ZADD z 1 a 2 b 3 c 4 d 5 e
                ZPOPMIN z
                ZPOPMAX z 1
                ZPOPMIN z
                ZPOPMAX z 9223372036854775807
                ~ events
                zadd z
                zpopmin z
                zpopmax z
                zpopmin z
                zpopmax z
                del z
            "#,
            );
        }
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > SET s v
            OK
            > ZPOPMIN s 1 2
            (error) ERR syntax error
            > ZPOPMIN s -1
            (error) ERR value is out of range, must be positive
            > ZPOPMAX s x
            (error) ERR value is out of range, must be positive
            > ZPOPMAX s 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn the_first_sorted_set_of_several_gives_some() {
        check(
            r#"
            > ZADD b 1 x 2 y 3 z
            (integer) 3
            > ZMPOP 2 a b min
            1) "b"
            2) 1) 1) "x"
                  2) "1"
            # resp3
            > ZMPOP 2 a b MAX COUNT 5
            1) "b"
            2) 1) 1) "z"
                  2) (double) 3
               2) 1) "y"
                  2) (double) 2
            # resp2
            > ZMPOP 2 a b MIN
            (nil)
            > SET s v
            OK
            > ZMPOP 2 a s MIN
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZMPOP 0 s MIN
            (error) ERR numkeys should be greater than 0
            > ZMPOP 1 s LEFT
            (error) ERR syntax error
            ~ journal
            ZADD b 1 x 2 y 3 z
            ZPOPMIN b 1
            ZPOPMAX b 2
            SET s v
            ~ events
            zadd b
            zpopmin b
            zpopmax b
            del b
            set s
        "#,
        );
    }
}
