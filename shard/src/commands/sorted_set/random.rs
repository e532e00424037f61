//! Random members of a sorted set: ZRANDMEMBER.
//!
//! Path: `shard::Shard::execute` -> here -> `commands::sample`, `types::sorted_set`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::sample::Draw;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::sorted_set::SortedSet;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::{Resp, Writer};

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -2,
        flags: Flags::READONLY,
        categories: Categories::SORTEDSET,
        keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
        tips: &["nondeterministic_output"],
        docs: &ZRANDMEMBER,
        ..CommandSpec::new("zrandmember", Group::SortedSet)
    },
    run: Run::Read(zrandmember),
}];
const _: () = check(COMMANDS);

/// Reply: one member or null; with a count an array of members, with WITHSCORES as ZRANGE has it.
fn zrandmember(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    if args.is_empty() {
        match ctx.get::<SortedSet>(key)? {
            Some(set) => {
                let index = ctx.rng().below(set.len());
                set.pick(&[index]).into_iter().for_each(|(member, _)| reply.bulk(member));
            }
            None => reply.null(),
        }
        return Ok(());
    }
    let count = args.symmetric()?;
    let has_scores = args.take_token("WITHSCORES");
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    if has_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    let Some(set) = ctx.get::<SortedSet>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let draw = Draw::from_count(count);
    let is_nested = has_scores && reply.resp() == Resp::V3;
    let drawn_count = draw.count(set.len());
    reply.array(if has_scores && !is_nested { 2 * drawn_count } else { drawn_count });
    let write = |(member, score): (&[u8], f64), reply: &mut Writer<'_>| {
        if is_nested {
            reply.array(2);
        }
        reply.bulk(member);
        if has_scores {
            reply.double(score);
        }
    };
    draw.write(set.len(), &mut ctx.rng(), reply, |indices| set.pick(indices), write)
}

const ZRANDMEMBER: Docs = Docs {
    summary: "Returns random members of a sorted set, all equally likely.",
    since: "6.2.0",
    complexity: "O(n), n members returned",
    arguments: &[
        Argument::key("key"),
        Argument::block(
            "options",
            &[Argument::integer("count"), Argument::word("withscores", "WITHSCORES").optional()],
        )
        .optional(),
    ],
    examples: &[
        "> ZADD board 1 a\n(integer) 1\n> ZRANDMEMBER board\n\"a\"\n> ZRANDMEMBER board -2 WITHSCORES\n1) \"a\"\n2) \"1\"\n3) \"a\"\n4) \"1\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn a_count_draws_with_or_without_repetition() {
        for zset_max_listpack_entries in [0, 128] {
            check_with(
                Options { zset_max_listpack_entries, ..options() },
                r#"
                > ZADD z 1 a
                (integer) 1
                > ZRANDMEMBER z
                "a"
                > ZRANDMEMBER z 0
                (empty array)
                > ZRANDMEMBER z 5 WITHSCORES
                1) "a"
                2) "1"
                > ZRANDMEMBER z -3
                1) "a"
                2) "a"
                3) "a"
                > ZRANDMEMBER none
                (nil)
                > ZRANDMEMBER none 3
                (empty array)
                # resp3
                > ZRANDMEMBER z -2 withscores
                1) 1) "a"
                   2) (double) 1
                2) 1) "a"
                   2) (double) 1
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
            > ZRANDMEMBER s x
            (error) ERR value is not an integer or out of range
            > ZRANDMEMBER s 1 SCORES
            (error) ERR syntax error
            > ZRANDMEMBER s 1 WITHSCORES x
            (error) ERR syntax error
            > ZRANDMEMBER s 9223372036854775807 WITHSCORES
            (error) ERR value is out of range
            > ZRANDMEMBER s 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZRANDMEMBER s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
