//! Commands that store a sorted set made of others: ZUNIONSTORE ZINTERSTORE ZDIFFSTORE ZRANGESTORE.
//!
//! Path: `shard::Shard::execute` -> here -> `combine`, `range`. Over several shards the inputs come together first; of a
//! range only what lies in it travels.

use super::algebra::{input_piece, inputs_of};
use super::combine::{Input, Operation, Outlet, Request, Scored, input_keys};
use super::range::Selection;
use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Command, KeyWrite, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::options::Options;
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use crate::value::Typed;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;

/// The key that is overwritten, and the inputs behind `numkeys`.
const KEYS: &[KeySpec] = &[
    KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE])),
    KeySpec {
        flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
        begin: BeginSearch::Index(2),
        find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
        notes: None,
    },
];

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: KEYS,
            docs: &ZUNIONSTORE,
            ..CommandSpec::new("zunionstore", Group::SortedSet)
        },
        run: Run::GatherWrite {
            local: |ctx, args, reply| combine(ctx, args, Operation::Union, reply),
            piece,
            plan: |options, _, db, args, pieces, reply| {
                plan_combine(options, db, args, &pieces, Operation::Union, reply)
            },
        },
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: KEYS,
            docs: &ZINTERSTORE,
            ..CommandSpec::new("zinterstore", Group::SortedSet)
        },
        run: Run::GatherWrite {
            local: |ctx, args, reply| combine(ctx, args, Operation::Inter, reply),
            piece,
            plan: |options, _, db, args, pieces, reply| {
                plan_combine(options, db, args, &pieces, Operation::Inter, reply)
            },
        },
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: KEYS,
            docs: &ZDIFFSTORE,
            ..CommandSpec::new("zdiffstore", Group::SortedSet)
        },
        run: Run::GatherWrite {
            local: |ctx, args, reply| combine(ctx, args, Operation::Diff, reply),
            piece,
            plan: |options, _, db, args, pieces, reply| {
                plan_combine(options, db, args, &pieces, Operation::Diff, reply)
            },
        },
    },
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, 0, 1),
            ],
            docs: &ZRANGESTORE,
            ..CommandSpec::new("zrangestore", Group::SortedSet)
        },
        run: Run::GatherWrite { local: zrangestore, piece: range_piece, plan: plan_range },
    },
];
const _: () = check(COMMANDS);

/// What each of these commands reports.
fn event(operation: Operation) -> Event {
    match operation {
        Operation::Union => Event::ZUNIONSTORE,
        Operation::Inter => Event::ZINTERSTORE,
        Operation::Diff => Event::ZDIFFSTORE,
    }
}

/// Combines the inputs and stores the result. Reply: how many members it has. Journal: verbatim.
fn combine(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (target, argv) = (args.key()?, args.argv());
    let keys = input_keys(&mut args)?;
    for key in keys.clone().filter_map(|index| argv.get(index)) {
        Input::of(ctx.entry(key).counted().get().map(|entry| entry.value))?;
    }
    let database = ctx.keyspace.database(ctx.db_index);
    let inputs = keys
        .filter_map(|index| argv.get(index))
        .map(|key| Input::of(database.find(key, ctx.now).map(|entry| entry.value)))
        .collect::<Result<Vec<_>, _>>()?;
    let request = Request::parse(operation, Outlet::Store, inputs.len(), args)?;
    let limits = SortedSetLimits::from(ctx.options);
    let result = sorted_set_of(&request.run(&inputs), limits);
    Ok(store(ctx, target, result, event(operation), reply))
}

/// A sorted set of members that are in order.
fn sorted_set_of(members: &[Scored<'_>], limits: SortedSetLimits) -> SortedSet {
    let members: Vec<_> = members.iter().map(|(score, member)| (*score, &**member)).collect();
    SortedSet::from_sorted(&members, limits)
}

/// Stores a range of one key under another. Reply: how many members it has. Journal: verbatim.
fn zrangestore(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (target, source) = (args.key()?, args.key()?);
    let selection = Selection::parse_stored(args)?;
    let limits = SortedSetLimits::from(ctx.options);
    let found = ctx.entry(source).counted();
    let result = selection.copy(found.value::<SortedSet>()?, limits);
    Ok(store(ctx, target, result, Event::ZRANGESTORE, reply))
}

/// Puts `result` in the place of whatever `target` is; nothing remains of it if the result is empty.
fn store(
    ctx: &mut WriteContext<'_>,
    target: &[u8],
    result: SortedSet,
    event: Event,
    reply: &mut Writer<'_>,
) -> Written {
    reply.integer(result.len() as i64);
    if !result.is_empty() {
        ctx.insert(target, Entry::new(result.into_value()));
        return Written::changed(event);
    }
    if !ctx.remove(target) {
        return Written::unchanged();
    }
    Written::changed(Event::DEL)
}

/// What the shard of the target is to write, for the same effect as [`store`].
fn stored(db: u16, result: SortedSet, event: Event, reply: &mut Writer<'_>) -> Vec<KeyWrite> {
    reply.integer(result.len() as i64);
    let (entry, event) = match result.is_empty() {
        true => (None, Event::DEL),
        false => (Some(Box::new(Entry::new(result.into_value()))), event),
    };
    vec![KeyWrite { key_index: 1, db, entry, event }]
}

/// A copy of an input; of the target nothing is wanted.
fn piece(ctx: &ReadContext<'_>, key_index: usize, args: Args<'_>) -> Result<Piece, CommandError> {
    if key_index == 1 { Ok(Piece::Missing) } else { input_piece(ctx, key_index, args) }
}

fn plan_combine(
    options: &Options,
    db: u16,
    mut args: Args<'_>,
    pieces: &[Piece],
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    args.skip();
    input_keys(&mut args)?;
    let inputs = inputs_of(&pieces[1..])?;
    let request = Request::parse(operation, Outlet::Store, inputs.len(), args)?;
    let result = sorted_set_of(&request.run(&inputs), SortedSetLimits::from(options));
    Ok(stored(db, result, event(operation), reply))
}

/// A copy of what lies in the range; of the target nothing is wanted.
fn range_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    mut args: Args<'_>,
) -> Result<Piece, CommandError> {
    if key_index == 1 {
        return Ok(Piece::Missing);
    }
    args.skip();
    let source = args.key()?;
    let selection = Selection::parse_stored(args)?;
    let limits = SortedSetLimits::from(ctx.options);
    let part = selection.copy(ctx.get::<SortedSet>(source)?, limits);
    Ok(match part.is_empty() {
        true => Piece::Missing,
        false => Piece::Entry(Box::new(Entry::new(part.into_value()))),
    })
}

fn plan_range(
    _options: &Options,
    _now: Now,
    db: u16,
    _args: Args<'_>,
    mut pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let result = match pieces.pop() {
        Some(Piece::Entry(entry)) => entry.value.view().as_type::<SortedSet>()?.clone(),
        _ => SortedSet::default(),
    };
    Ok(stored(db, result, Event::ZRANGESTORE, reply))
}

/// The arguments that ZUNIONSTORE and ZINTERSTORE share.
const ARGUMENTS: &[Argument] = &[
    Argument::key("destination"),
    Argument::integer("numkeys"),
    Argument::key("key").key_spec(1).repeated(),
    Argument::integer("weight").token("WEIGHTS").optional().repeated(),
    Argument::one_of(
        "aggregate",
        &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")],
    )
    .token("AGGREGATE")
    .optional(),
];

const ZUNIONSTORE: Docs = Docs {
    summary: "Stores the members that any of several sorted sets has, their scores added up.",
    since: "2.0.0",
    complexity: "O(m + n log n), m members in all, n in the result",
    arguments: ARGUMENTS,
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y\n(integer) 1\n> ZUNIONSTORE c 2 a b WEIGHTS 1 2\n(integer) 2\n> ZRANGE c 0 -1 WITHSCORES\n1) \"x\"\n2) \"1\"\n3) \"y\"\n4) \"22\"",
    ],
    ..Docs::NONE
};

const ZINTERSTORE: Docs = Docs {
    summary: "Stores the members that all of several sorted sets have, their scores added up.",
    since: "2.0.0",
    complexity: "O(k s + n log n), k sorted sets, s members in the smallest, n in the result",
    arguments: ARGUMENTS,
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y\n(integer) 1\n> ZINTERSTORE c 2 a b AGGREGATE MAX\n(integer) 1\n> ZRANGE c 0 -1 WITHSCORES\n1) \"y\"\n2) \"10\"",
    ],
    ..Docs::NONE
};

const ZDIFFSTORE: Docs = Docs {
    summary: "Stores the members of the first of several sorted sets that none of the others has.",
    since: "6.2.0",
    complexity: "O(m + n log n), m members in all, n in the result",
    arguments: &[
        Argument::key("destination"),
        Argument::integer("numkeys"),
        Argument::key("key").key_spec(1).repeated(),
    ],
    examples: &[
        "> ZADD a 1 x 2 y\n(integer) 2\n> ZADD b 10 y\n(integer) 1\n> ZDIFFSTORE c 2 a b\n(integer) 1\n> ZRANGE c 0 -1\n1) \"x\"",
    ],
    ..Docs::NONE
};

const ZRANGESTORE: Docs = Docs {
    summary: "Stores the members of a sorted set in a range of ranks, scores or members under another key.",
    since: "6.2.0",
    complexity: "O(log n + m), n members, m of them stored",
    arguments: &[
        Argument::key("dst"),
        Argument::key("src").key_spec(1),
        Argument::string("min"),
        Argument::string("max"),
        Argument::one_of(
            "sortby",
            &[Argument::word("byscore", "BYSCORE"), Argument::word("bylex", "BYLEX")],
        )
        .optional(),
        Argument::word("rev", "REV").optional(),
        Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
            .token("LIMIT")
            .optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZRANGESTORE top board 0 1 REV\n(integer) 2\n> ZRANGE top 0 -1\n1) \"b\"\n2) \"c\"",
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
                > ZADD a 1 x 2 y 3 z
                (integer) 3
                > ZADD b 10 y
                (integer) 1
                > SET c text EX 100
                OK
                > ZUNIONSTORE c 2 a b
                (integer) 3
                > TTL c
                (integer) -1
                > ZRANGE c 0 -1 WITHSCORES
                1) "x"
                2) "1"
                3) "z"
                4) "3"
                5) "y"
                6) "12"
                > ZINTERSTORE a 2 a b WEIGHTS 1 0
                (integer) 1
                > ZRANGE a 0 -1 WITHSCORES
                1) "y"
                2) "2"
                > ZDIFFSTORE b 2 b a
                (integer) 0
                > ZDIFFSTORE b 2 b a
                (integer) 0
                > EXISTS b
                (integer) 0
                > ZRANGESTORE d c (1 12 BYSCORE LIMIT 1 5
                (integer) 1
                > ZRANGE d 0 -1
                1) "y"
                > ZRANGESTORE d c 5 9
                (integer) 0
                > ZRANGESTORE d none 0 -1
                (integer) 0
                ~ journal
                ZADD a 1 x 2 y 3 z
                ZADD b 10 y
                SET c text PXAT 1700000100000
                ZUNIONSTORE c 2 a b
                ZINTERSTORE a 2 a b WEIGHTS 1 0
                ZDIFFSTORE b 2 b a
                ZRANGESTORE d c (1 12 BYSCORE LIMIT 1 5
                ZRANGESTORE d c 5 9
                ~ events
                zadd a
                zadd b
                set c
                expire c
                zunionstore c
                zinterstore a
                del b
                zrangestore d
                del d
            "#,
            );
        }
    }

    #[test]
    fn the_result_is_small_if_it_fits() {
        check_with(
            Options { zset_max_listpack_entries: 2, zset_max_listpack_value: 5, ..options() },
            r#"
            > ZADD a 1 x 2 y 3 longer
            (integer) 3
            > OBJECT ENCODING a
            "skiplist"
            > ZRANGESTORE b a 0 1
            (integer) 2
            > OBJECT ENCODING b
            "listpack"
            > ZRANGESTORE b a 1 2
            (integer) 2
            > OBJECT ENCODING b
            "skiplist"
            > ZUNIONSTORE b 2 a none
            (integer) 3
            > OBJECT ENCODING b
            "skiplist"
            > ZRANGESTORE b a 0 -1 REV
            (integer) 3
            > ZRANGE b 0 -1
            1) "x"
            2) "y"
            3) "longer"
        "#,
        );
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > SET s v
            OK
            > ZUNIONSTORE d 0 s
            (error) ERR at least 1 input key is needed for 'zunionstore' command
            > ZUNIONSTORE d 2 s
            (error) ERR syntax error
            > ZUNIONSTORE d 1 s WITHSCORES
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > ZUNIONSTORE d 1 a WITHSCORES
            (error) ERR syntax error
            > ZRANGESTORE d s 0 x
            (error) ERR value is not an integer or out of range
            > ZRANGESTORE d s 0 -1 WITHSCORES
            (error) ERR syntax error
            > ZRANGESTORE d s 0 -1 LIMIT 1 2
            (error) ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
            > ZRANGESTORE d s 0 -1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
