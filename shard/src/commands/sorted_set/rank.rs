//! Ranks and counts of a sorted set: ZRANK ZREVRANK ZCOUNT ZLEXCOUNT.
//!
//! Path: `shard::Shard::execute` -> here -> `types::sorted_set`.

use super::bounds::{Bounds, By};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::sorted_set::SortedSet;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use std::borrow::Cow;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZRANK,
            ..CommandSpec::new("zrank", Group::SortedSet)
        },
        run: Run::Read(zrank),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZREVRANK,
            ..CommandSpec::new("zrevrank", Group::SortedSet)
        },
        run: Run::Read(zrevrank),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZCOUNT,
            ..CommandSpec::new("zcount", Group::SortedSet)
        },
        run: Run::Read(zcount),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZLEXCOUNT,
            ..CommandSpec::new("zlexcount", Group::SortedSet)
        },
        run: Run::Read(zlexcount),
    },
];
const _: () = check(COMMANDS);

fn zrank(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    rank(ctx, args, reply, false)
}

fn zrevrank(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    rank(ctx, args, reply, true)
}

/// Reply: the rank or null; WITHSCORE: an array of rank and score, or a null array.
fn rank(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    is_reversed: bool,
) -> Result<(), CommandError> {
    let (key, member) = (args.key()?, args.bytes()?);
    if args.remaining() > 1 {
        let name = if is_reversed { "zrevrank" } else { "zrank" };
        return Err(CommandError::WrongArity(Cow::Borrowed(name)));
    }
    let has_score = args.take_token("WITHSCORE");
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    let set = ctx.get::<SortedSet>(key)?;
    match set.and_then(|set| Some((set.len(), set.rank(member)?))) {
        Some((len, (rank, score))) => {
            if has_score {
                reply.array(2);
            }
            reply.integer(if is_reversed { len - 1 - rank } else { rank } as i64);
            if has_score {
                reply.double(score);
            }
        }
        None if has_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

fn zcount(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    count(ctx, args, reply, By::Score)
}

fn zlexcount(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    count(ctx, args, reply, By::Lex)
}

fn count(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    by: By,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let bounds = Bounds::parse(by, &mut args, false)?;
    let set = ctx.get::<SortedSet>(key)?;
    reply.integer(set.map_or(0, |set| bounds.ranks(set, false).len()) as i64);
    Ok(())
}

const ZRANK: Docs = Docs {
    summary: "Returns the rank of a member of a sorted set, from 0 for the lowest score.",
    since: "2.0.0",
    complexity: "O(log n), n members",
    arguments: &[
        Argument::key("key"),
        Argument::string("member"),
        Argument::word("withscore", "WITHSCORE").optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZRANK board c\n(integer) 2\n> ZRANK board b WITHSCORE\n1) (integer) 1\n2) \"2\"\n> ZRANK board none\n(nil)",
    ],
    ..Docs::NONE
};

const ZREVRANK: Docs = Docs {
    summary: "Returns the rank of a member of a sorted set, from 0 for the highest score.",
    since: "2.0.0",
    complexity: "O(log n), n members",
    arguments: &[
        Argument::key("key"),
        Argument::string("member"),
        Argument::word("withscore", "WITHSCORE").optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZREVRANK board c\n(integer) 0\n> ZREVRANK board a WITHSCORE\n1) (integer) 2\n2) \"1\"",
    ],
    ..Docs::NONE
};

const ZCOUNT: Docs = Docs {
    summary: "Returns how many members of a sorted set have scores between two bounds.",
    since: "2.0.0",
    complexity: "O(log n), n members",
    arguments: &[Argument::key("key"), Argument::double("min"), Argument::double("max")],
    examples: &["> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZCOUNT board (1 +inf\n(integer) 2"],
    ..Docs::NONE
};

const ZLEXCOUNT: Docs = Docs {
    summary: "Returns how many members of a sorted set lie between two others, where all scores are equal.",
    since: "2.8.9",
    complexity: "O(log n), n members",
    arguments: &[Argument::key("key"), Argument::string("min"), Argument::string("max")],
    examples: &["> ZADD words 0 a 0 b 0 c\n(integer) 3\n> ZLEXCOUNT words - (c\n(integer) 2"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn ranks_count_from_either_end() {
        for zset_max_listpack_entries in [0, 128] {
            check_with(
                Options { zset_max_listpack_entries, ..options() },
                r#"
                > ZADD z 1 b 1 a 0 c inf d
                (integer) 4
                > ZRANK z a
                (integer) 1
                > ZRANK z b
                (integer) 2
                > ZREVRANK z d
                (integer) 0
                > ZREVRANK z c WITHSCORE
                1) (integer) 3
                2) "0"
                > ZRANK z none
                (nil)
                > ZRANK z none WITHSCORE
                (nil)
                > ZREVRANK none a withscore
                (nil)
                # resp3
                > ZRANK z d WITHSCORE
                1) (integer) 3
                2) (double) inf
                > ZRANK none d WITHSCORE
                (nil)
            "#,
            );
        }
    }

    #[test]
    fn counts_have_open_and_closed_bounds() {
        for zset_max_listpack_entries in [0, 128] {
            check_with(
                Options { zset_max_listpack_entries, ..options() },
                r#"
                > ZADD z -inf a 1 b 2 c 2 d inf e
                (integer) 5
                > ZCOUNT z -inf +inf
                (integer) 5
                > ZCOUNT z (-inf (+inf
                (integer) 3
                > ZCOUNT z 1 (2
                (integer) 1
                > ZCOUNT z (1 2
                (integer) 2
                > ZCOUNT z 2 1
                (integer) 0
                > ZCOUNT z (2 (2
                (integer) 0
                > ZCOUNT z " 1" 2
                (integer) 3
                > ZCOUNT none 0 1
                (integer) 0
                > ZADD w 0 a 0 aa 0 b 0 "" 0 c
                (integer) 5
                > ZLEXCOUNT w - +
                (integer) 5
                > ZLEXCOUNT w + -
                (integer) 0
                > ZLEXCOUNT w - -
                (integer) 0
                > ZLEXCOUNT w + +
                (integer) 0
                > ZLEXCOUNT w [a (b
                (integer) 2
                > ZLEXCOUNT w (a [b
                (integer) 2
                > ZLEXCOUNT w [ (
                (integer) 0
                > ZLEXCOUNT w [ [
                (integer) 1
                > ZLEXCOUNT none - +
                (integer) 0
            "#,
            );
        }
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > ZRANK none a b
            (error) ERR syntax error
            > ZRANK none a WITHSCORE b
            (error) ERR wrong number of arguments for 'zrank' command
            > ZREVRANK none a b c
            (error) ERR wrong number of arguments for 'zrevrank' command
            > ZCOUNT none x 1
            (error) ERR min or max is not a float
            > ZCOUNT none 1 nan
            (error) ERR min or max is not a float
            > ZCOUNT none (x 1
            (error) ERR min or max is not a float
            > ZLEXCOUNT none a (b
            (error) ERR min or max not valid string range item
            > ZLEXCOUNT none - +b
            (error) ERR min or max not valid string range item
            > ZLEXCOUNT none "" +
            (error) ERR min or max not valid string range item
            > SET s v
            OK
            > ZRANK s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZCOUNT s 1 2
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZLEXCOUNT s - +
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
