//! Commands over several sets that only read: SINTER SINTERCARD SUNION SDIFF.
//!
//! Path: `shard::Shard::execute` -> here -> `types::set`. Sets on different shards come as pieces, whole. The
//! computations serve `super::store` too.

use super::write_member;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Piece, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::options::Options;
use crate::types::set::{Beginning, Builder, Lookup, Member, Set, SetLimits};
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::number;
use protocol::reply::Writer;
use std::cmp::Reverse;

const ALL_READ: &[KeySpec] =
    &[KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 1, -1, 1)];

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::SET,
            keys: ALL_READ,
            tips: &["nondeterministic_output_order"],
            docs: &SINTER,
            ..CommandSpec::new("sinter", Group::Set)
        },
        run: Run::Gather { local: sinter, piece: set_piece, finish: sinter_finish },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::READONLY]),
            categories: Categories::SET,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
                begin: BeginSearch::Index(1),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &SINTERCARD,
            ..CommandSpec::new("sintercard", Group::Set)
        },
        run: Run::Gather { local: sintercard, piece: sintercard_piece, finish: sintercard_finish },
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::SET,
            keys: ALL_READ,
            tips: &["nondeterministic_output_order"],
            docs: &SUNION,
            ..CommandSpec::new("sunion", Group::Set)
        },
        run: Run::Gather { local: sunion, piece: set_piece, finish: sunion_finish },
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::SET,
            keys: ALL_READ,
            tips: &["nondeterministic_output_order"],
            docs: &SDIFF,
            ..CommandSpec::new("sdiff", Group::Set)
        },
        run: Run::Gather { local: sdiff, piece: set_piece, finish: sdiff_finish },
    },
];
const _: () = check(COMMANDS);

/// The sets of a command; `None` stands for a key that is not there.
pub(super) type Sets<'a> = Vec<Option<&'a Set>>;

/// How sets become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Inter,
    Union,
    Diff,
}

impl Operation {
    /// The result.
    pub(super) fn result<'a>(self, sets: &[Option<&'a Set>], limits: SetLimits) -> Builder<'a> {
        match self {
            Operation::Inter => {
                let smallest = sets.iter().min_by_key(|set| set.map_or(0, Set::len));
                let beginning = match smallest {
                    Some(Some(set)) if set.integers().is_some() => Beginning::Integers,
                    _ => Beginning::Packed,
                };
                let mut result = Builder::new(beginning, limits);
                for_each_common(sets, |member| {
                    result.push(member);
                    true
                });
                result
            }
            Operation::Union => {
                let mut result = Builder::new(Beginning::Integers, limits);
                result.reserve(sets.iter().flatten().map(|set| set.len()).sum());
                sets.iter().flatten().flat_map(|set| set.iter()).for_each(|m| result.insert(m));
                result
            }
            Operation::Diff => difference(sets, limits),
        }
    }
}

/// Visits the members that all sets have, in the order of the smallest set, until `visit` says no.
fn for_each_common<'a>(sets: &[Option<&'a Set>], mut visit: impl FnMut(Member<'a>) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<_>>>() else { return };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    let others = lookups(others, smallest.len());
    for member in smallest.iter() {
        if others.iter().all(|set| set.has(member)) && !visit(member) {
            return;
        }
    }
}

/// Gets ready to look up to `count` members up in each of `sets`.
fn lookups<'a>(sets: &[&'a Set], count: usize) -> Vec<Lookup<'a>> {
    sets.iter().map(|set| Lookup::new(set, count)).collect()
}

/// The members of the first set that no other has. Looks each up in the others, the largest first; where the others
/// are small beside the first, takes their members out of what the first has.
fn difference<'a>(sets: &[Option<&'a Set>], limits: SetLimits) -> Builder<'a> {
    let mut result = Builder::new(Beginning::Integers, limits);
    let Some((Some(first), others)) = sets.split_first() else { return result };
    result.reserve(first.len());
    let mut others = others.iter().flatten().copied().collect::<Vec<_>>();
    let lookup_count = first.len() * (others.len() + 1) / 2;
    let member_count = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if lookup_count <= member_count {
        others.sort_by_key(|set| Reverse(set.len()));
        let others = lookups(&others, first.len());
        let rest = first.iter().filter(|&member| !others.iter().any(|set| set.has(member)));
        rest.for_each(|member| result.push(member));
    } else {
        first.iter().for_each(|member| result.push(member));
        result.exclude(others.iter().flat_map(|set| set.iter()));
    }
    result
}

/// The sets of all keys in `args`.
fn sets_of<'a>(ctx: &ReadContext<'a>, args: Args<'_>) -> Result<Sets<'a>, CommandError> {
    args.rest().map(|key| ctx.get::<Set>(key)).collect()
}

/// A copy of the set.
pub(super) fn set_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let Some(entry) = args.argv().get(key_index).and_then(|key| ctx.find(key)) else {
        return Ok(Piece::Missing);
    };
    entry.value.as_type::<Set>()?;
    Ok(Piece::Entry(Box::new(entry.to_entry())))
}

/// The sets in `pieces`.
pub(super) fn sets_in(pieces: &[Piece]) -> Result<Sets<'_>, CommandError> {
    pieces.iter().map(set_in).collect()
}

fn set_in(piece: &Piece) -> Result<Option<&Set>, CommandError> {
    match piece {
        Piece::Entry(entry) => entry.value.view().as_type::<Set>().map(Some),
        Piece::Missing | Piece::Present => Ok(None),
    }
}

fn sinter(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_common(&sets_of(ctx, args)?, reply);
    Ok(())
}

fn sinter_finish(
    _options: &Options,
    _args: Args<'_>,
    pieces: &[Piece],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_common(&sets_in(pieces)?, reply);
    Ok(())
}

fn write_common(sets: &[Option<&Set>], reply: &mut Writer<'_>) {
    let start = reply.position();
    let mut count = 0;
    for_each_common(sets, |member| {
        write_member(member, reply);
        count += 1;
        true
    });
    reply.set_before(start, count);
}

fn sunion(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_result(Operation::Union.result(&sets_of(ctx, args)?, ctx.options.into()), reply);
    Ok(())
}

fn sunion_finish(
    options: &Options,
    _args: Args<'_>,
    pieces: &[Piece],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_result(Operation::Union.result(&sets_in(pieces)?, options.into()), reply);
    Ok(())
}

fn sdiff(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_result(Operation::Diff.result(&sets_of(ctx, args)?, ctx.options.into()), reply);
    Ok(())
}

fn sdiff_finish(
    options: &Options,
    _args: Args<'_>,
    pieces: &[Piece],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_result(Operation::Diff.result(&sets_in(pieces)?, options.into()), reply);
    Ok(())
}

fn write_result(result: Builder<'_>, reply: &mut Writer<'_>) {
    reply.set(result.len());
    result.for_each(|member| write_member(member, reply));
}

/// What SINTERCARD asks for.
struct CardOptions {
    key_count: usize,
    /// Where to stop counting; 0 for nowhere.
    limit: usize,
}

impl CardOptions {
    /// Reads `numkeys key [key …] [LIMIT limit]`; the last LIMIT wins.
    fn parse(mut args: Args<'_>) -> Result<Self, CommandError> {
        let key_count =
            number::parse_i64(args.bytes()?).and_then(|count| usize::try_from(count).ok());
        let key_count = key_count
            .filter(|&count| count > 0)
            .ok_or(CommandError::text("ERR numkeys should be greater than 0"))?;
        if key_count > args.remaining() {
            return Err(CommandError::text(
                "ERR Number of keys can't be greater than number of args",
            ));
        }
        (0..key_count).for_each(|_| args.skip());
        let mut options = CardOptions { key_count, limit: 0 };
        while !args.is_empty() {
            if !args.take_token("LIMIT") || args.is_empty() {
                return Err(CommandError::Syntax);
            }
            options.limit = args.count_or("ERR LIMIT can't be negative")?;
        }
        Ok(options)
    }

    fn write(&self, sets: &[Option<&Set>], reply: &mut Writer<'_>) {
        let mut count = 0;
        for_each_common(sets, |_| {
            count += 1;
            count != self.limit
        });
        reply.integer(count as i64);
    }
}

/// Counts the members that all sets have. Reply: how many, no more than the limit.
fn sintercard(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let options = CardOptions::parse(args)?;
    args.skip();
    let keys = args.rest().take(options.key_count);
    let sets = keys.map(|key| ctx.get::<Set>(key)).collect::<Result<Sets<'_>, _>>()?;
    options.write(&sets, reply);
    Ok(())
}

/// A copy of the set, once the request is known to be well formed.
fn sintercard_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    CardOptions::parse(args)?;
    set_piece(ctx, key_index, args)
}

fn sintercard_finish(
    _options: &Options,
    args: Args<'_>,
    pieces: &[Piece],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    CardOptions::parse(args)?.write(&sets_in(pieces)?, reply);
    Ok(())
}

const SINTER: Docs = Docs {
    summary: "Returns the members that all of the sets have.",
    since: "1.0.0",
    complexity: "O(n*k), n members of the smallest of k sets",
    arguments: &[Argument::key("key").repeated()],
    examples: &[
        "> SADD a 1 2 3\n(integer) 3\n> SADD b 2 3 4\n(integer) 3\n> SINTER a b\n1) \"2\"\n2) \"3\"\n> SINTER a none\n(empty array)",
    ],
    ..Docs::NONE
};

const SINTERCARD: Docs = Docs {
    summary: "Returns how many members all of the sets have, counting no further than a limit.",
    since: "7.0.0",
    complexity: "O(n*k), n members of the smallest of k sets",
    arguments: &[
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::integer("limit").token("LIMIT").optional(),
    ],
    examples: &[
        "> SADD a 1 2 3\n(integer) 3\n> SADD b 2 3 4\n(integer) 3\n> SINTERCARD 2 a b\n(integer) 2\n> SINTERCARD 2 a b LIMIT 1\n(integer) 1",
    ],
    ..Docs::NONE
};

const SUNION: Docs = Docs {
    summary: "Returns the members that any of the sets has.",
    since: "1.0.0",
    complexity: "O(n), n members of all sets",
    arguments: &[Argument::key("key").repeated()],
    examples: &[
        "> SADD a 1 2\n(integer) 2\n> SADD b 2 3\n(integer) 2\n> SUNION a b none\n1) \"1\"\n2) \"2\"\n3) \"3\"",
    ],
    ..Docs::NONE
};

const SDIFF: Docs = Docs {
    summary: "Returns the members of the first set that none of the others has.",
    since: "1.0.0",
    complexity: "O(n), n members of all sets",
    arguments: &[Argument::key("key").repeated()],
    examples: &[
        "> SADD a 1 2 3\n(integer) 3\n> SADD b 2\n(integer) 1\n> SDIFF a b none\n1) \"1\"\n2) \"3\"\n> SDIFF none a\n(empty array)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::testing::check;
    use std::collections::BTreeSet;

    #[test]
    fn types_are_checked_before_anything_is_computed() {
        check(
            r#"
            > SET k v
            OK
            > SINTER none k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SUNION none k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SDIFF none k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SINTERCARD 2 none k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn replies_are_sets_in_version_3() {
        check(
            r#"
            > SADD a 1 2
            (integer) 2
            > SADD b 2 3
            (integer) 2
            # resp3
            > SINTER a b
            1~ "2"
            > SUNION a b
            1~ "1"
            2~ "2"
            3~ "3"
            > SDIFF a b
            1~ "1"
            > SDIFF a a
            (empty set)
            > SINTER a none
            (empty set)
        "#,
        );
    }

    #[test]
    fn a_count_of_common_members_reads_its_options() {
        check(
            r#"
            > SADD a 1 2 3
            (integer) 3
            > SINTERCARD 0 a
            (error) ERR numkeys should be greater than 0
            > SINTERCARD x a
            (error) ERR numkeys should be greater than 0
            > SINTERCARD 2 a
            (error) ERR Number of keys can't be greater than number of args
            > SINTERCARD 1 a LIMIT
            (error) ERR syntax error
            > SINTERCARD 1 a b
            (error) ERR syntax error
            > SINTERCARD 1 a LIMIT -1
            (error) ERR LIMIT can't be negative
            > SINTERCARD 1 a LIMIT x
            (error) ERR LIMIT can't be negative
            > SINTERCARD 1 a LIMIT 1 LIMIT 2
            (integer) 2
            > SINTERCARD 1 a LIMIT 0
            (integer) 3
        "#,
        );
    }

    #[test]
    fn results_are_those_of_ordered_sets_of_strings() {
        let seed = 0x0a19_eb2a;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for round in 0..300 {
            let limits = SetLimits { integers_max: 20, entries_max: 10, value_len_max: 64 };
            let mut model = Vec::new();
            for _ in 0..1 + rng.below(4) {
                let range = 1 + rng.below(60);
                let prefix = if rng.below(2) == 0 { "" } else { "m" };
                let members = (0..rng.below(60)).map(|_| {
                    let number = rng.below(range);
                    format!("{}{number}", if number % 3 == 0 { prefix } else { "" })
                });
                model.push(members.map(String::into_bytes).collect::<BTreeSet<_>>());
            }
            let sets = model.iter().map(|members| {
                let mut set = Set::default();
                members.iter().for_each(|member| assert!(set.insert(member, limits)));
                set
            });
            let sets = sets.collect::<Vec<_>>();
            let sets = sets.iter().map(|set| Some(set).filter(|set| !set.is_empty()));
            let sets = sets.collect::<Sets<'_>>();
            for operation in [Operation::Inter, Operation::Union, Operation::Diff] {
                let result = operation.result(&sets, limits).finish();
                let result = result.iter().map(Member::to_vec).collect::<BTreeSet<_>>();
                let join = |all: BTreeSet<Vec<u8>>, other: &BTreeSet<Vec<u8>>| match operation {
                    Operation::Inter => &all & other,
                    Operation::Union => &all | other,
                    Operation::Diff => &all - other,
                };
                let (first, others) = model.split_first().unwrap();
                let expected = others.iter().fold(first.clone(), join);
                assert_eq!(result, expected, "round {round} {operation:?}");
            }
        }
    }
}
