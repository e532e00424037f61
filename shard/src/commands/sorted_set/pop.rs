//! Commands that take members from an end of a sorted set: ZPOPMIN ZPOPMAX.
//!
//! Path: `shard::Shard::execute` -> here -> `types::sorted_set`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::sorted_set::SortedSet;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::{Resp, Writer};

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
];
const _: () = check(COMMANDS);

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Min,
    Max,
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
    let mut set = match ctx.get_mut::<SortedSet>(key)? {
        Some(set) if count > 0 => set,
        _ => {
            reply.array(0);
            return Ok(Written::unchanged());
        }
    };
    let count = count.min(set.len());
    let ranks = match end {
        End::Min => 0..count,
        End::Max => set.len() - count..set.len(),
    };
    reply.array(if is_nested { count } else { 2 * count });
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
}
