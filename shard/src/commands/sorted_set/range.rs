//! Ranges of a sorted set: ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX.
//!
//! Path: `shard::Shard::execute` -> here -> `types::sorted_set`.

use super::bounds::{Bounds, By};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::{Resp, Writer};
use std::ops::Range;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZRANGE,
            ..CommandSpec::new("zrange", Group::SortedSet)
        },
        run: Run::Read(zrange),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZREVRANGE,
            ..CommandSpec::new("zrevrange", Group::SortedSet)
        },
        run: Run::Read(zrevrange),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZRANGEBYSCORE,
            ..CommandSpec::new("zrangebyscore", Group::SortedSet)
        },
        run: Run::Read(zrangebyscore),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZREVRANGEBYSCORE,
            ..CommandSpec::new("zrevrangebyscore", Group::SortedSet)
        },
        run: Run::Read(zrevrangebyscore),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZRANGEBYLEX,
            ..CommandSpec::new("zrangebylex", Group::SortedSet)
        },
        run: Run::Read(zrangebylex),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZREVRANGEBYLEX,
            ..CommandSpec::new("zrevrangebylex", Group::SortedSet)
        },
        run: Run::Read(zrevrangebylex),
    },
];
const _: () = check(COMMANDS);

/// What a range command asks for beside the bounds. What its name fixes cannot be asked for again.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    by: Option<By>,
    is_reversed: Option<bool>,
    has_scores: bool,
    /// How many members of the range to leave out; a negative number leaves out all.
    offset: i64,
    /// How many members to return; all if negative.
    limit: Option<i64>,
    /// Whether the members are stored: their scores cannot be asked for then.
    is_stored: bool,
}

impl Shape {
    fn fixed(by: By, is_reversed: bool) -> Self {
        Shape { by: Some(by), is_reversed: Some(is_reversed), ..Shape::default() }
    }

    /// Reads the options behind the bounds.
    fn parse(mut self, mut args: Args<'_>) -> Result<Self, CommandError> {
        while !args.is_empty() {
            if !self.is_stored && args.take_token("WITHSCORES") {
                self.has_scores = true;
            } else if args.remaining() > 2 && args.take_token("LIMIT") {
                self.offset = args.integer()?;
                self.limit = Some(args.integer()?);
            } else if self.is_reversed.is_none() && args.take_token("REV") {
                self.is_reversed = Some(true);
            } else if self.by.is_none() && args.take_token("BYLEX") {
                self.by = Some(By::Lex);
            } else if self.by.is_none() && args.take_token("BYSCORE") {
                self.by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let by = self.by.unwrap_or(By::Rank);
        // A limit of -1 is no limit, in Redis even where none is allowed.
        if self.limit.is_some_and(|limit| limit != -1) && by == By::Rank {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if self.has_scores && by == By::Lex {
            return Err(CommandError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(self)
    }

    /// The part of `ranks` that offset and limit leave.
    fn cut(&self, ranks: Range<usize>) -> Range<usize> {
        if self.by.unwrap_or(By::Rank) == By::Rank {
            return ranks;
        }
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let limit = usize::try_from(self.limit.unwrap_or(-1)).unwrap_or(usize::MAX);
        let count = limit.min(ranks.len() - offset);
        if self.is_reversed == Some(true) {
            ranks.end - offset - count..ranks.end - offset
        } else {
            ranks.start + offset..ranks.start + offset + count
        }
    }
}

/// A range with its options, as a request has them behind the key.
pub(super) struct Selection<'a> {
    shape: Shape,
    bounds: Bounds<'a>,
}

impl<'a> Selection<'a> {
    /// Reads the bounds and the options behind them. What is wrong with the options is said first.
    fn parse(mut args: Args<'a>, shape: Shape) -> Result<Self, CommandError> {
        let mut options = args;
        options.skip();
        options.skip();
        let shape = shape.parse(options)?;
        let is_reversed = shape.is_reversed == Some(true);
        let bounds = Bounds::parse(shape.by.unwrap_or(By::Rank), &mut args, is_reversed)?;
        Ok(Selection { shape, bounds })
    }

    /// The same for a range that is stored.
    ///
    /// # Errors
    /// Those of the bounds, and `ERR syntax error`.
    pub(super) fn parse_stored(args: Args<'a>) -> Result<Self, CommandError> {
        Selection::parse(args, Shape { is_stored: true, ..Shape::default() })
    }

    fn is_reversed(&self) -> bool {
        self.shape.is_reversed == Some(true)
    }

    /// The ranks in `set` that are meant, from the lowest score on.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        self.shape.cut(self.bounds.ranks(set, self.is_reversed()))
    }

    /// A sorted set of what is meant in `set`.
    pub(super) fn copy(&self, set: Option<&SortedSet>, limits: SortedSetLimits) -> SortedSet {
        let members = set.into_iter().flat_map(|set| set.range(self.ranks(set)));
        let members = members.map(|(member, score)| (score, member)).collect::<Vec<_>>();
        SortedSet::from_sorted(&members, limits)
    }
}

fn zrange(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    range(ctx, args, reply, Shape::default())
}

fn zrevrange(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    range(ctx, args, reply, Shape::fixed(By::Rank, true))
}

fn zrangebyscore(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    range(ctx, args, reply, Shape::fixed(By::Score, false))
}

fn zrevrangebyscore(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    range(ctx, args, reply, Shape::fixed(By::Score, true))
}

fn zrangebylex(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    range(ctx, args, reply, Shape::fixed(By::Lex, false))
}

fn zrevrangebylex(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    range(ctx, args, reply, Shape::fixed(By::Lex, true))
}

/// Reply: an array of members; with WITHSCORES members and scores in turn, or in RESP3 an array of pairs.
fn range(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    shape: Shape,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let selection = Selection::parse(args, shape)?;
    let Some(set) = ctx.get::<SortedSet>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let members = set.range(selection.ranks(set));
    if selection.is_reversed() {
        reply_with(members.rev(), selection.shape.has_scores, reply);
    } else {
        reply_with(members, selection.shape.has_scores, reply);
    }
    Ok(())
}

/// Replies with members, and with their scores if `has_scores`: in turn, or in RESP3 an array of pairs.
pub(super) fn reply_with<'m>(
    members: impl ExactSizeIterator<Item = (&'m [u8], f64)>,
    has_scores: bool,
    reply: &mut Writer<'_>,
) {
    let is_nested = has_scores && reply.resp() == Resp::V3;
    let width = if has_scores && !is_nested { 2 } else { 1 };
    reply.array(width * members.len());
    for (member, score) in members {
        if is_nested {
            reply.array(2);
        }
        reply.bulk(member);
        if has_scores {
            reply.double(score);
        }
    }
}

const ZRANGE: Docs = Docs {
    summary: "Returns the members of a sorted set in a range of ranks, scores or members.",
    since: "1.2.0",
    complexity: "O(log n + m), n members, m of them returned",
    arguments: &[
        Argument::key("key"),
        Argument::string("start"),
        Argument::string("stop"),
        Argument::one_of(
            "sortby",
            &[Argument::word("byscore", "BYSCORE"), Argument::word("bylex", "BYLEX")],
        )
        .optional()
        .since("6.2.0"),
        Argument::word("rev", "REV").optional().since("6.2.0"),
        Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
            .token("LIMIT")
            .optional()
            .since("6.2.0"),
        Argument::word("withscores", "WITHSCORES").optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZRANGE board 0 1\n1) \"a\"\n2) \"b\"\n> ZRANGE board (1 +inf BYSCORE WITHSCORES\n1) \"b\"\n2) \"2\"\n3) \"c\"\n4) \"3\"\n> ZRANGE board 0 0 REV\n1) \"c\"",
    ],
    ..Docs::NONE
};

const ZREVRANGE: Docs = Docs {
    summary: "Returns the members of a sorted set in a range of ranks, the highest score first.",
    since: "1.2.0",
    complexity: "O(log n + m), n members, m of them returned",
    arguments: &[
        Argument::key("key"),
        Argument::integer("start"),
        Argument::integer("stop"),
        Argument::word("withscores", "WITHSCORES").optional(),
    ],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZREVRANGE board 0 1 WITHSCORES\n1) \"c\"\n2) \"3\"\n3) \"b\"\n4) \"2\"",
    ],
    ..Docs::NONE
};

const ZRANGEBYSCORE: Docs = Docs {
    summary: "Returns the members of a sorted set in a range of scores.",
    since: "1.0.5",
    complexity: "O(log n + m), n members, m of them returned",
    arguments: &[
        Argument::key("key"),
        Argument::double("min"),
        Argument::double("max"),
        Argument::word("withscores", "WITHSCORES").optional().since("2.0.0"),
        Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
            .token("LIMIT")
            .optional(),
    ],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZRANGEBYSCORE board (1 3\n1) \"b\"\n2) \"c\"\n> ZRANGEBYSCORE board -inf +inf LIMIT 1 1\n1) \"b\"",
    ],
    ..Docs::NONE
};

const ZREVRANGEBYSCORE: Docs = Docs {
    summary: "Returns the members of a sorted set in a range of scores, the highest first.",
    since: "2.2.0",
    complexity: "O(log n + m), n members, m of them returned",
    arguments: &[
        Argument::key("key"),
        Argument::double("max"),
        Argument::double("min"),
        Argument::word("withscores", "WITHSCORES").optional(),
        Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
            .token("LIMIT")
            .optional(),
    ],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZREVRANGEBYSCORE board 3 (1\n1) \"c\"\n2) \"b\"",
    ],
    ..Docs::NONE
};

const ZRANGEBYLEX: Docs = Docs {
    summary: "Returns the members of a sorted set between two others, where all scores are equal.",
    since: "2.8.9",
    complexity: "O(log n + m), n members, m of them returned",
    arguments: &[
        Argument::key("key"),
        Argument::string("min"),
        Argument::string("max"),
        Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
            .token("LIMIT")
            .optional(),
    ],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
    examples: &[
        "> ZADD words 0 a 0 b 0 c\n(integer) 3\n> ZRANGEBYLEX words [b +\n1) \"b\"\n2) \"c\"",
    ],
    ..Docs::NONE
};

const ZREVRANGEBYLEX: Docs = Docs {
    summary: "Returns the members of a sorted set between two others, the highest first, where all scores are equal.",
    since: "2.8.9",
    complexity: "O(log n + m), n members, m of them returned",
    arguments: &[
        Argument::key("key"),
        Argument::string("max"),
        Argument::string("min"),
        Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
            .token("LIMIT")
            .optional(),
    ],
    deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
    examples: &[
        "> ZADD words 0 a 0 b 0 c\n(integer) 3\n> ZREVRANGEBYLEX words + (a\n1) \"c\"\n2) \"b\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn ranges_go_by_rank_score_or_member_in_either_direction() {
        for zset_max_listpack_entries in [0, 128] {
            check_with(
                Options { zset_max_listpack_entries, ..options() },
                r#"
                > ZADD z 1 a 2 b 2 c 3 d 4 e
                (integer) 5
                > ZRANGE z -2 -1
                1) "d"
                2) "e"
                > ZRANGE z 3 1
                (empty array)
                > ZRANGE z 1 100 REV WITHSCORES
                1) "d"
                2) "3"
                3) "c"
                4) "2"
                5) "b"
                6) "2"
                7) "a"
                8) "1"
                > ZREVRANGE z -1 -1
                1) "a"
                > ZRANGE z (1 (4 BYSCORE
                1) "b"
                2) "c"
                3) "d"
                > ZRANGE z (4 (1 BYSCORE REV LIMIT 1 5
                1) "c"
                2) "b"
                > ZRANGEBYSCORE z 2 2 WITHSCORES
                1) "b"
                2) "2"
                3) "c"
                4) "2"
                > ZREVRANGEBYSCORE z 2 1 LIMIT 0 2 WITHSCORES
                1) "c"
                2) "2"
                3) "b"
                4) "2"
                > ZRANGEBYSCORE z 1 2 LIMIT 3 1
                (empty array)
                > ZRANGEBYSCORE z 1 2 LIMIT -1 1
                (empty array)
                > ZRANGEBYSCORE z 1 2 LIMIT 1 -5
                1) "b"
                2) "c"
                > ZRANGEBYSCORE z 1 2 LIMIT 9223372036854775807 9223372036854775807
                (empty array)
                > ZREVRANGEBYSCORE z 1 2
                (empty array)
                > ZADD w 0 a 0 b 0 c 0 d
                (integer) 4
                > ZRANGE w (a [c BYLEX
                1) "b"
                2) "c"
                > ZRANGEBYLEX w - + LIMIT 1 2
                1) "b"
                2) "c"
                > ZREVRANGEBYLEX w (d -
                1) "c"
                2) "b"
                3) "a"
                > ZRANGE w + - BYLEX REV LIMIT 0 1
                1) "d"
                > ZRANGEBYLEX w + -
                (empty array)
                > ZRANGE z 0 -1 LIMIT 1 -1
                1) "a"
                2) "b"
                3) "c"
                4) "d"
                5) "e"
            "#,
            );
        }
    }

    #[test]
    fn resp3_gets_pairs() {
        check(
            r#"
            > ZADD z 1.5 a 2 b
            (integer) 2
            # resp3
            > ZRANGE z 0 -1 WITHSCORES
            1) 1) "a"
               2) (double) 1.5
            2) 1) "b"
               2) (double) 2
            > ZRANGE z 0 -1
            1) "a"
            2) "b"
            > ZRANGE none 0 -1 WITHSCORES
            (empty array)
            > ZREVRANGEBYSCORE z inf -inf WITHSCORES LIMIT 0 1
            1) 1) "b"
               2) (double) 2
        "#,
        );
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > SET s v
            OK
            > ZRANGE s x y LIMIT 0 1
            (error) ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
            > ZRANGE s x y BYLEX WITHSCORES
            (error) ERR syntax error, WITHSCORES not supported in combination with BYLEX
            > ZRANGE s x y BYLEX BYSCORE
            (error) ERR syntax error
            > ZRANGE s x y REV REV
            (error) ERR syntax error
            > ZREVRANGE s x y REV
            (error) ERR syntax error
            > ZRANGEBYSCORE s x y LIMIT 1
            (error) ERR syntax error
            > ZRANGEBYSCORE s x y LIMIT x 1
            (error) ERR value is not an integer or out of range
            > ZRANGEBYLEX s x y BYLEX
            (error) ERR syntax error
            > ZRANGE s x y
            (error) ERR value is not an integer or out of range
            > ZRANGEBYSCORE s x y
            (error) ERR min or max is not a float
            > ZREVRANGEBYLEX s x y
            (error) ERR min or max not valid string range item
            > ZRANGE s 0 -1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZRANGEBYSCORE s 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZRANGEBYSCORE none 0 1
            (empty array)
        "#,
        );
    }
}
