//! Removing ranges of a sorted set: ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX.
//!
//! Path: `shard::Shard::execute` -> here -> `types::sorted_set`.

use super::bounds::{Bounds, By};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::sorted_set::SortedSet;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::WRITE,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &ZREMRANGEBYRANK,
            ..CommandSpec::new("zremrangebyrank", Group::SortedSet)
        },
        run: Run::Write(zremrangebyrank),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::WRITE,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &ZREMRANGEBYSCORE,
            ..CommandSpec::new("zremrangebyscore", Group::SortedSet)
        },
        run: Run::Write(zremrangebyscore),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::WRITE,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &ZREMRANGEBYLEX,
            ..CommandSpec::new("zremrangebylex", Group::SortedSet)
        },
        run: Run::Write(zremrangebylex),
    },
];
const _: () = check(COMMANDS);

fn zremrangebyrank(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    remove(ctx, args, reply, By::Rank, Event::ZREMRANGEBYRANK)
}

fn zremrangebyscore(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    remove(ctx, args, reply, By::Score, Event::ZREMRANGEBYSCORE)
}

fn zremrangebylex(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    remove(ctx, args, reply, By::Lex, Event::ZREMRANGEBYLEX)
}

/// Reply: how many members are gone. Journal: verbatim, if there are any.
fn remove(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    by: By,
    event: Event,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let bounds = Bounds::parse(by, &mut args, false)?;
    let Some(mut set) = ctx.get_mut::<SortedSet>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let ranks = bounds.ranks(&set, false);
    let removed_count = ranks.len();
    reply.integer(removed_count as i64);
    if removed_count == 0 {
        return Ok(Written::unchanged());
    }
    set.remove_range(ranks);
    let is_emptied = set.is_empty();
    drop(set);
    ctx.changed(key, event);
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported())
}

const ZREMRANGEBYRANK: Docs = Docs {
    summary: "Removes the members of a sorted set in a range of ranks.",
    since: "2.0.0",
    complexity: "O(log n) per member removed, n members",
    arguments: &[Argument::key("key"), Argument::integer("start"), Argument::integer("stop")],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZREMRANGEBYRANK board 0 1\n(integer) 2\n> ZRANGE board 0 -1\n1) \"c\"",
    ],
    ..Docs::NONE
};

const ZREMRANGEBYSCORE: Docs = Docs {
    summary: "Removes the members of a sorted set in a range of scores.",
    since: "1.2.0",
    complexity: "O(log n) per member removed, n members",
    arguments: &[Argument::key("key"), Argument::double("min"), Argument::double("max")],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZREMRANGEBYSCORE board -inf (3\n(integer) 2\n> ZRANGE board 0 -1\n1) \"c\"",
    ],
    ..Docs::NONE
};

const ZREMRANGEBYLEX: Docs = Docs {
    summary: "Removes the members of a sorted set between two others, where all scores are equal.",
    since: "2.8.9",
    complexity: "O(log n) per member removed, n members",
    arguments: &[Argument::key("key"), Argument::string("min"), Argument::string("max")],
    examples: &[
        "> ZADD words 0 a 0 b 0 c\n(integer) 3\n> ZREMRANGEBYLEX words [a (c\n(integer) 2\n> ZRANGE words 0 -1\n1) \"c\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn every_change_is_recorded_and_reported() {
        for zset_max_listpack_entries in [0, 128] {
            check_with(
                Options { zset_max_listpack_entries, ..options() },
                r#"
                > ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
                (integer) 6
                > ZREMRANGEBYRANK z 6 9
                (integer) 0
                > ZREMRANGEBYRANK z -1 -1
                (integer) 1
                > ZREMRANGEBYSCORE z (1 (2
                (integer) 0
                > ZREMRANGEBYSCORE z 2 (4
                (integer) 2
                > ZREMRANGEBYLEX z - [a
                (integer) 1
                > ZRANGE z 0 -1
                1) "d"
                2) "e"
                > ZREMRANGEBYSCORE z -inf inf
                (integer) 2
                > ZREMRANGEBYSCORE z -inf inf
                (integer) 0
                ~ journal
                ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
                ZREMRANGEBYRANK z -1 -1
                ZREMRANGEBYSCORE z 2 (4
                ZREMRANGEBYLEX z - [a
                ZREMRANGEBYSCORE z -inf inf
                ~ events
                zadd z
                zremrangebyrank z
                zremrangebyscore z
                zremrangebylex z
                zremrangebyscore z
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
            > ZREMRANGEBYRANK s x 1
            (error) ERR value is not an integer or out of range
            > ZREMRANGEBYSCORE s x 1
            (error) ERR min or max is not a float
            > ZREMRANGEBYLEX s x 1
            (error) ERR min or max not valid string range item
            > ZREMRANGEBYRANK s 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZREMRANGEBYLEX none - +
            (integer) 0
        "#,
        );
    }
}
