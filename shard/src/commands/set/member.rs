//! Commands that change which members a set has: SADD SREM SMOVE.
//!
//! Path: `shard::Shard::execute` -> here -> `types::set`. The two keys of SMOVE may lie on different shards: then each
//! shard is asked about its key, and runs a SREM or a SADD of its own.

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
use protocol::request::ArgvBuf;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &SADD,
            ..CommandSpec::new("sadd", Group::Set)
        },
        run: Run::Write(sadd),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &SREM,
            ..CommandSpec::new("srem", Group::Set)
        },
        run: Run::Write(srem),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]), 2, 0, 1),
            ],
            docs: &SMOVE,
            ..CommandSpec::new("smove", Group::Set)
        },
        run: Run::Steps(Steps {
            local: Body::Write(smove),
            reach: |_| Reach::Row,
            piece: smove_piece,
            next: smove_next,
            finish: smove_finish,
        }),
    },
];
const _: () = check(COMMANDS);

/// Adds members. Reply: how many are new. Journal: verbatim.
fn sadd(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let limits = SetLimits::from(ctx.options);
    let mut set = ctx.get_or_create::<Set>(key)?;
    set.prepare(args.peek().unwrap_or_default(), args.remaining(), limits);
    let mut added_count = 0;
    for member in args.rest() {
        added_count += i64::from(set.insert(member, limits));
    }
    drop(set);
    reply.integer(added_count);
    if added_count == 0 { Ok(Written::unchanged()) } else { Ok(Written::changed(Event::SADD)) }
}

/// Removes members. Reply: how many were there. Journal: verbatim.
fn srem(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let Some(mut set) = ctx.get_mut::<Set>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let mut removed_count = 0;
    for member in args.rest() {
        removed_count += i64::from(set.remove(member));
    }
    let is_emptied = set.is_empty();
    drop(set);
    reply.integer(removed_count);
    if removed_count == 0 {
        return Ok(Written::unchanged());
    }
    ctx.changed(key, Event::SREM);
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported())
}

/// Takes a member from one set to another. Reply: 1 if it was there, 0 if not. Journal: verbatim.
fn smove(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (source, target, member) = (args.key()?, args.key()?, args.bytes()?);
    // Without a source Redis does not look at the other key.
    let is_member = match ctx.get::<Set>(source)? {
        Some(set) => {
            let is_member = set.contains(member);
            ctx.get::<Set>(target)?;
            is_member
        }
        None => false,
    };
    reply.integer(i64::from(is_member));
    if !is_member || source == target {
        return Ok(Written::unchanged());
    }
    let mut is_emptied = false;
    if let Some(mut set) = ctx.get_mut::<Set>(source)? {
        set.remove(member);
        is_emptied = set.is_empty();
    }
    ctx.changed(source, Event::SREM);
    if is_emptied {
        ctx.remove_emptied(source);
    }
    let limits = SetLimits::from(ctx.options);
    let mut set = ctx.get_or_create::<Set>(target)?;
    set.prepare(member, 1, limits);
    let is_new = set.insert(member, limits);
    drop(set);
    if is_new {
        ctx.changed(target, Event::SADD);
    }
    Ok(Written::reported())
}

/// Of the source a set that has the member, if the source has it, and nothing else; of the target whether it is wrong:
/// present if it is no set.
fn smove_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let argv = args.argv();
    let (key, member) = (argv.get(key_index), argv.get(3).unwrap_or_default());
    let entry = key.and_then(|key| ctx.peek_in(ctx.db_index, key));
    let found = entry.map(|entry| entry.value.as_type::<Set>()).transpose();
    if key_index != 1 {
        return Ok(if found.is_err() { Piece::Present } else { Piece::Missing });
    }
    let Some(set) = found? else { return Ok(Piece::Missing) };
    let mut part = Set::default();
    if set.contains(member) {
        part.insert(member, SetLimits::from(ctx.options));
    }
    Ok(Piece::Entry(Box::new(Entry::new(part.into_value()))))
}

/// Whether the member is in the source, which must be answered before the target may be wrong.
fn smove_is_member(pieces: &[Piece]) -> Result<bool, CommandError> {
    let [source, target] = pieces else { unreachable!("SMOVE has two keys") };
    let Piece::Entry(entry) = source else { return Ok(false) };
    if *target == Piece::Present {
        return Err(CommandError::WrongType);
    }
    Ok(!entry.value.view().as_type::<Set>()?.is_empty())
}

fn smove_next(mut args: Args<'_>, pieces: &[Piece]) -> Result<Vec<ArgvBuf>, CommandError> {
    if !smove_is_member(pieces)? {
        return Ok(Vec::new());
    }
    let (source, target, member) = (args.key()?, args.key()?, args.bytes()?);
    let run = |name: &[u8], key| [name, key, member].into_iter().collect();
    Ok(vec![run(b"SREM", source), run(b"SADD", target)])
}

fn smove_finish(
    _options: &Options,
    _db: u16,
    _args: Args<'_>,
    gathered: Gathered,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    reply.integer(i64::from(smove_is_member(&gathered.pieces)?));
    Ok(Vec::new())
}

const SADD: Docs = Docs {
    summary: "Adds members to a set, which is created if there is none.",
    since: "1.0.0",
    complexity: "O(1) per member",
    arguments: &[Argument::key("key"), Argument::string("member").repeated()],
    examples: &[
        "> SADD s bid ask bid\n(integer) 2\n> SADD s ask last\n(integer) 1\n> SCARD s\n(integer) 3",
        "> SET k v\nOK\n> SADD k a\n(error) WRONGTYPE Operation against a key holding the wrong kind of value",
    ],
    ..Docs::NONE
};

const SREM: Docs = Docs {
    summary: "Removes members from a set; a set without members is removed itself.",
    since: "1.0.0",
    complexity: "O(1) per member",
    arguments: &[Argument::key("key"), Argument::string("member").repeated()],
    examples: &[
        "> SADD s bid ask\n(integer) 2\n> SREM s bid last\n(integer) 1\n> SREM s ask\n(integer) 1\n> EXISTS s\n(integer) 0",
    ],
    ..Docs::NONE
};

const SMOVE: Docs = Docs {
    summary: "Takes a member from one set to another.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("source"),
        Argument::key("destination").key_spec(1),
        Argument::string("member"),
    ],
    examples: &[
        "> SADD open o1 o2\n(integer) 2\n> SMOVE open done o1\n(integer) 1\n> SMEMBERS done\n1) \"o1\"\n> SMOVE open done o1\n(integer) 0",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn writes_report_what_changed() {
        check(
            r#"
            > SADD s a b
            (integer) 2
            > SADD s a
            (integer) 0
            > SREM s none
            (integer) 0
            > SREM none a
            (integer) 0
            > SREM s a b c
            (integer) 2
            ~ journal
            SADD s a b
            SREM s a b c
            ~ events
            sadd s
            srem s
            del s
        "#,
        );
    }

    #[test]
    fn a_member_moves() {
        check(
            r#"
            > SADD a 1 x
            (integer) 2
            > SADD b x
            (integer) 1
            ~ events
            sadd a
            sadd b
            > SMOVE a b x
            (integer) 1
            > SMOVE a b 1
            (integer) 1
            > SMOVE b b 1
            (integer) 1
            > SMOVE b b none
            (integer) 0
            > SMOVE none b 1
            (integer) 0
            > SMEMBERS b
            1) "x"
            2) "1"
            ~ events
            srem a
            srem a
            del a
            sadd b
            ~ journal
            SADD a 1 x
            SADD b x
            SMOVE a b x
            SMOVE a b 1
        "#,
        );
    }

    #[test]
    fn the_target_matters_only_if_there_is_a_source() {
        check(
            r#"
            > SET k v
            OK
            > SADD s a
            (integer) 1
            > SMOVE none k a
            (integer) 0
            > SMOVE s k none
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SMOVE k s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
