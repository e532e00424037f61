//! Commands that combine sorted sets and answer the result: ZUNION ZINTER ZDIFF ZINTERCARD.
//!
//! Path: `shard::Shard::execute` -> here -> `combine`. Over several shards the inputs come together first.

use super::combine::{Input, Operation, Outlet, Request, input_keys};
use super::range;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Piece, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;

/// Where the inputs stand when the request begins with `numkeys`.
const INPUTS: KeySpec = KeySpec {
    flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
    begin: BeginSearch::Index(1),
    find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
    notes: None,
};

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[INPUTS],
            docs: &ZUNION,
            ..CommandSpec::new("zunion", Group::SortedSet)
        },
        run: Run::Gather {
            local: |ctx, args, reply| local(ctx, args, Operation::Union, Outlet::Reply, reply),
            piece: input_piece,
            finish: |_, args, pieces, reply| {
                finish(args, pieces, Operation::Union, Outlet::Reply, reply)
            },
        },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[INPUTS],
            docs: &ZINTER,
            ..CommandSpec::new("zinter", Group::SortedSet)
        },
        run: Run::Gather {
            local: |ctx, args, reply| local(ctx, args, Operation::Inter, Outlet::Reply, reply),
            piece: input_piece,
            finish: |_, args, pieces, reply| {
                finish(args, pieces, Operation::Inter, Outlet::Reply, reply)
            },
        },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[INPUTS],
            docs: &ZDIFF,
            ..CommandSpec::new("zdiff", Group::SortedSet)
        },
        run: Run::Gather {
            local: |ctx, args, reply| local(ctx, args, Operation::Diff, Outlet::Reply, reply),
            piece: input_piece,
            finish: |_, args, pieces, reply| {
                finish(args, pieces, Operation::Diff, Outlet::Reply, reply)
            },
        },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[INPUTS],
            docs: &ZINTERCARD,
            ..CommandSpec::new("zintercard", Group::SortedSet)
        },
        run: Run::Gather {
            local: |ctx, args, reply| local(ctx, args, Operation::Inter, Outlet::Count, reply),
            piece: input_piece,
            finish: |_, args, pieces, reply| {
                finish(args, pieces, Operation::Inter, Outlet::Count, reply)
            },
        },
    },
];
const _: () = check(COMMANDS);

/// The whole command, when all inputs lie on one shard.
fn local(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    operation: Operation,
    outlet: Outlet,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let keys = args.argv();
    let inputs = input_keys(&mut args)?
        .filter_map(|index| keys.get(index))
        .map(|key| Input::of(ctx.find(key).map(|entry| entry.value)))
        .collect::<Result<Vec<_>, _>>()?;
    answer(&inputs, args, operation, outlet, reply)
}

/// A copy of one input.
pub(super) fn input_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let key = args.argv().get(key_index).ok_or(CommandError::Syntax)?;
    let entry = ctx.find(key);
    Input::of(entry.map(|entry| entry.value))?;
    Ok(entry.map_or(Piece::Missing, |entry| Piece::Entry(Box::new(entry.to_entry()))))
}

/// The inputs that have been copied.
pub(super) fn inputs_of(pieces: &[Piece]) -> Result<Vec<Input<'_>>, CommandError> {
    let inputs = pieces.iter().map(|piece| match piece {
        Piece::Entry(entry) => Input::of(Some(entry.value.view())),
        Piece::Missing | Piece::Present => Ok(Input::Missing),
    });
    inputs.collect()
}

fn finish(
    mut args: Args<'_>,
    pieces: &[Piece],
    operation: Operation,
    outlet: Outlet,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    input_keys(&mut args)?;
    answer(&inputs_of(pieces)?, args, operation, outlet, reply)
}

/// Reply: an array of members, with WITHSCORES as ZRANGE has it; or their number.
fn answer(
    inputs: &[Input<'_>],
    options: Args<'_>,
    operation: Operation,
    outlet: Outlet,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let request = Request::parse(operation, outlet, inputs.len(), options)?;
    if outlet == Outlet::Count {
        reply.integer(request.count(inputs) as i64);
        return Ok(());
    }
    let members = request.run(inputs);
    let pairs = members.iter().map(|(score, member)| (&**member, *score));
    range::reply_with(pairs, request.has_scores, reply);
    Ok(())
}

/// The arguments that ZUNION and ZINTER share.
const ARGUMENTS: &[Argument] = &[
    Argument::integer("numkeys"),
    Argument::key("key").repeated(),
    Argument::integer("weight").token("WEIGHTS").optional().repeated(),
    Argument::one_of(
        "aggregate",
        &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")],
    )
    .token("AGGREGATE")
    .optional(),
    Argument::word("withscores", "WITHSCORES").optional(),
];

const ZUNION: Docs = Docs {
    summary: "Returns the members that any of several sorted sets has, their scores added up.",
    since: "6.2.0",
    complexity: "O(m + n log n), m members in all, n in the result",
    arguments: ARGUMENTS,
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y\n(integer) 1\n> ZUNION 2 a b WITHSCORES\n1) \"x\"\n2) \"1\"\n3) \"y\"\n4) \"12\"\n> ZUNION 2 a b WEIGHTS 1 -1 AGGREGATE MIN WITHSCORES\n1) \"y\"\n2) \"-10\"\n3) \"x\"\n4) \"1\"",
    ],
    ..Docs::NONE
};

const ZINTER: Docs = Docs {
    summary: "Returns the members that all of several sorted sets have, their scores added up.",
    since: "6.2.0",
    complexity: "O(k s + n log n), k sorted sets, s members in the smallest, n in the result",
    arguments: ARGUMENTS,
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y\n(integer) 1\n> ZINTER 2 a b WITHSCORES\n1) \"y\"\n2) \"12\"",
    ],
    ..Docs::NONE
};

const ZDIFF: Docs = Docs {
    summary: "Returns the members of the first of several sorted sets that none of the others has.",
    since: "6.2.0",
    complexity: "O(m + n log n), m members in all, n in the result",
    arguments: &[
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::word("withscores", "WITHSCORES").optional(),
    ],
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y\n(integer) 1\n> ZDIFF 2 a b WITHSCORES\n1) \"x\"\n2) \"1\"",
    ],
    ..Docs::NONE
};

const ZINTERCARD: Docs = Docs {
    summary: "Returns how many members all of several sorted sets have.",
    since: "7.0.0",
    complexity: "O(k s), k sorted sets, s members in the smallest",
    arguments: &[
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::integer("limit").token("LIMIT").optional(),
    ],
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y 20 x\n(integer) 2\n> ZINTERCARD 2 a b\n(integer) 2\n> ZINTERCARD 2 a b LIMIT 1\n(integer) 1",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
