//! Commands that store what several sets give: SINTERSTORE SUNIONSTORE SDIFFSTORE.
//!
//! Path: `shard::Shard::execute` -> here -> `super::algebra` -> `types::set`. Sets on different shards come as pieces,
//! whole; the shard of the target gets the result.

use super::algebra::{self, Operation, Sets};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Body, Command, Gathered, KeyWrite, Piece, Reach, Run, Steps};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::options::Options;
use crate::types::set::{Set, SetLimits};
use crate::value::Typed;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

const SOURCES: KeySpec = KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, -1, 1);

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE])), SOURCES],
            docs: &SINTERSTORE,
            ..CommandSpec::new("sinterstore", Group::Set)
        },
        run: steps(sinterstore, sinterstore_finish),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE])), SOURCES],
            docs: &SUNIONSTORE,
            ..CommandSpec::new("sunionstore", Group::Set)
        },
        run: steps(sunionstore, sunionstore_finish),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE])), SOURCES],
            docs: &SDIFFSTORE,
            ..CommandSpec::new("sdiffstore", Group::Set)
        },
        run: steps(sdiffstore, sdiffstore_finish),
    },
];
const _: () = check(COMMANDS);

const fn steps(local: crate::commands::WriteFn, finish: crate::commands::EndFn) -> Run {
    Run::Steps(Steps {
        local: Body::Write(local),
        reach: |_| Reach::Row,
        piece: source_piece,
        next: |_, _| Ok(Vec::new()),
        finish,
    })
}

fn sinterstore(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    store(ctx, args, Operation::Inter, reply)
}

fn sunionstore(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    store(ctx, args, Operation::Union, reply)
}

fn sdiffstore(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    store(ctx, args, Operation::Diff, reply)
}

fn event_of(operation: Operation) -> Event {
    match operation {
        Operation::Inter => Event::SINTERSTORE,
        Operation::Union => Event::SUNIONSTORE,
        Operation::Diff => Event::SDIFFSTORE,
    }
}

/// Stores the result in place of whatever the target holds; an empty one removes the target. Reply: how many members
/// the result has. Journal: verbatim.
fn store(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let target = args.key()?;
    let limits = SetLimits::from(ctx.options);
    let result = operation.result(&sets_of(ctx, args)?, limits).finish();
    reply.integer(result.len() as i64);
    if !result.is_empty() {
        ctx.insert(target, Entry::new(result.into_value()));
        return Ok(Written::changed(event_of(operation)));
    }
    if !ctx.remove(target) {
        return Ok(Written::unchanged());
    }
    Ok(Written::changed(Event::DEL))
}

/// The sets of all keys in `args`.
fn sets_of<'c>(ctx: &'c mut WriteContext<'_>, args: Args<'_>) -> Result<Sets<'c>, CommandError> {
    for key in args.rest() {
        ctx.entry(key).counted().value::<Set>()?;
    }
    // Those that had expired are gone by now.
    let database = ctx.keyspace.database(ctx.db_index);
    let sets = args.rest().map(|key| database.find_any(key));
    sets.map(|entry| entry.map(|entry| entry.value.as_type::<Set>()).transpose()).collect()
}

/// Of a source a copy; of the target nothing, whatever it holds.
fn source_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    if key_index == 1 { Ok(Piece::Missing) } else { algebra::set_piece(ctx, key_index, args) }
}

fn sinterstore_finish(
    options: &Options,
    db: u16,
    _args: Args<'_>,
    gathered: Gathered,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    finish(options, db, &gathered.pieces, Operation::Inter, reply)
}

fn sunionstore_finish(
    options: &Options,
    db: u16,
    _args: Args<'_>,
    gathered: Gathered,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    finish(options, db, &gathered.pieces, Operation::Union, reply)
}

fn sdiffstore_finish(
    options: &Options,
    db: u16,
    _args: Args<'_>,
    gathered: Gathered,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    finish(options, db, &gathered.pieces, Operation::Diff, reply)
}

fn finish(
    options: &Options,
    db: u16,
    pieces: &[Piece],
    operation: Operation,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let (_target, sources) = pieces.split_first().expect("the target is a key too");
    let result = operation.result(&algebra::sets_in(sources)?, options.into()).finish();
    reply.integer(result.len() as i64);
    let (entry, event) = if result.is_empty() {
        (None, Event::DEL)
    } else {
        (Some(Box::new(Entry::new(result.into_value()))), event_of(operation))
    };
    Ok(vec![KeyWrite { key_index: 1, db, entry, event }])
}

const SINTERSTORE: Docs = Docs {
    summary: "Stores the members that all of the sets have.",
    since: "1.0.0",
    complexity: "O(n*k), n members of the smallest of k sets",
    arguments: &[Argument::key("destination"), Argument::key("key").key_spec(1).repeated()],
    examples: &[
        "> SADD a 1 2 3\n(integer) 3\n> SADD b 2 3 4\n(integer) 3\n> SINTERSTORE both a b\n(integer) 2\n> SMEMBERS both\n1) \"2\"\n2) \"3\"",
    ],
    ..Docs::NONE
};

const SUNIONSTORE: Docs = Docs {
    summary: "Stores the members that any of the sets has.",
    since: "1.0.0",
    complexity: "O(n), n members of all sets",
    arguments: &[Argument::key("destination"), Argument::key("key").key_spec(1).repeated()],
    examples: &[
        "> SADD a 1 2\n(integer) 2\n> SADD b 2 3\n(integer) 2\n> SUNIONSTORE any a b\n(integer) 3\n> SMEMBERS any\n1) \"1\"\n2) \"2\"\n3) \"3\"",
    ],
    ..Docs::NONE
};

const SDIFFSTORE: Docs = Docs {
    summary: "Stores the members of the first set that none of the others has.",
    since: "1.0.0",
    complexity: "O(n), n members of all sets",
    arguments: &[Argument::key("destination"), Argument::key("key").key_spec(1).repeated()],
    examples: &[
        "> SADD a 1 2 3\n(integer) 3\n> SADD b 2\n(integer) 1\n> SDIFFSTORE rest a b\n(integer) 2\n> SDIFFSTORE rest b b\n(integer) 0\n> EXISTS rest\n(integer) 0",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_result_replaces_whatever_was_there() {
        check(
            r#"
            > SET t old EX 100
            OK
            > SADD a 1 2 x
            (integer) 3
            > SADD b 1 2
            (integer) 2
            ~ events
            set t
            expire t
            sadd a
            sadd b
            > SINTERSTORE t a b
            (integer) 2
            > TTL t
            (integer) -1
            > OBJECT ENCODING t
            "intset"
            > SUNIONSTORE t t a
            (integer) 3
            > OBJECT ENCODING t
            "listpack"
            > SDIFFSTORE t a b
            (integer) 1
            > SDIFFSTORE t none b
            (integer) 0
            > SINTERSTORE t none b
            (integer) 0
            ~ events
            sinterstore t
            sunionstore t
            sdiffstore t
            del t
            ~ journal
            SET t old PXAT 1700000100000
            SADD a 1 2 x
            SADD b 1 2
            SINTERSTORE t a b
            SUNIONSTORE t t a
            SDIFFSTORE t a b
            SDIFFSTORE t none b
        "#,
        );
    }

    #[test]
    fn a_wrong_type_leaves_the_target_alone() {
        check(
            r#"
            > MSET t old k v
            OK
            > SINTERSTORE t none k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SUNIONSTORE t t
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GET t
            "old"
        "#,
        );
    }
}
