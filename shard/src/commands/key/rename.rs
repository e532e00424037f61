//! Commands that put the value of one key under another: RENAME RENAMENX COPY MOVE.
//!
//! Path: `shard::Shard::execute` -> here -> `keyspace`. The two keys of RENAME and COPY may lie on different shards:
//! then the value travels as a piece and is written by plan.

use super::database::parse_index;
use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Command, KeyWrite, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::{Entry, EntryRef};
use crate::options::Options;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::WRITE,
            categories: Categories::KEYSPACE,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]), 2, 0, 1),
            ],
            docs: &RENAME,
            ..CommandSpec::new("rename", Group::Generic)
        },
        run: Run::GatherWrite { local: rename, piece: rename_piece, plan: rename_plan },
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::OW, KeyFlags::INSERT]), 2, 0, 1),
            ],
            docs: &RENAMENX,
            ..CommandSpec::new("renamenx", Group::Generic)
        },
        run: Run::GatherWrite { local: renamenx, piece: rename_piece, plan: renamenx_plan },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]), 2, 0, 1),
            ],
            docs: &COPY,
            ..CommandSpec::new("copy", Group::Generic)
        },
        run: Run::GatherWrite { local: copy, piece: copy_piece, plan: copy_plan },
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))],
            docs: &MOVE,
            ..CommandSpec::new("move", Group::Generic)
        },
        run: Run::Write(move_key),
    },
];
const _: () = check(COMMANDS);

/// Puts a value under another key. Reply: OK. Journal: verbatim.
fn rename(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (source, target) = (args.key()?, args.key()?);
    if source == target {
        ctx.find(source).ok_or(CommandError::NoSuchKey)?;
        reply.ok();
        return Ok(Written::unchanged());
    }
    let entry = ctx.take(source).ok_or(CommandError::NoSuchKey)?;
    put(ctx, target, entry);
    ctx.changed(source, Event::RENAME_FROM);
    ctx.also_changed(target, Event::RENAME_TO);
    reply.ok();
    Ok(Written::reported())
}

/// The same unless the other key exists. Reply: 1 if it did, 0 if not. Journal: verbatim.
fn renamenx(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (source, target) = (args.key()?, args.key()?);
    ctx.find(source).ok_or(CommandError::NoSuchKey)?;
    if ctx.find(target).is_some() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    let entry = ctx.take(source).expect("it has just been found");
    put(ctx, target, entry);
    ctx.changed(source, Event::RENAME_FROM);
    ctx.also_changed(target, Event::RENAME_TO);
    reply.integer(1);
    Ok(Written::reported())
}

/// Stores an entry as a new key: whatever was there goes first.
fn put(ctx: &mut WriteContext<'_>, key: &[u8], entry: Entry) {
    let mut target = ctx.entry(key);
    target.remove();
    target.store(entry);
}

/// The entry of the source, and whether the target is there.
fn rename_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let entry = args.argv().get(key_index).and_then(|key| ctx.peek_in(ctx.db_index, key));
    Ok(piece_of(entry, key_index == 1))
}

fn piece_of(entry: Option<EntryRef<'_>>, is_source: bool) -> Piece {
    match entry {
        None => Piece::Missing,
        Some(entry) if is_source => Piece::Entry(Box::new(entry.to_entry())),
        Some(_) => Piece::Present,
    }
}

fn rename_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    _args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let (entry, _) = source_and_target(pieces).ok_or(CommandError::NoSuchKey)?;
    reply.ok();
    Ok(rename_writes(db, entry))
}

fn renamenx_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    _args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let (entry, target) = source_and_target(pieces).ok_or(CommandError::NoSuchKey)?;
    if target != Piece::Missing {
        reply.integer(0);
        return Ok(Vec::new());
    }
    reply.integer(1);
    Ok(rename_writes(db, entry))
}

/// The entry of the source, if there is one, and what is known of the target.
fn source_and_target(pieces: Vec<Piece>) -> Option<(Box<Entry>, Piece)> {
    let [source, target] = <[Piece; 2]>::try_from(pieces).expect("there are two keys");
    match source {
        Piece::Entry(entry) => Some((entry, target)),
        _ => None,
    }
}

fn rename_writes(db: u16, entry: Box<Entry>) -> Vec<KeyWrite> {
    vec![
        KeyWrite { key_index: 1, db, entry: None, event: Event::RENAME_FROM },
        KeyWrite { key_index: 2, db, entry: Some(entry), event: Event::RENAME_TO },
    ]
}

/// Where COPY copies to, and over what.
#[derive(Clone, Copy, Debug)]
struct CopyOptions {
    target_db: u16,
    is_replacing: bool,
}

impl CopyOptions {
    /// Reads `source destination [DB index] [REPLACE]` in database `db` of `database_count`.
    fn parse(mut args: Args<'_>, db: u16, database_count: usize) -> Result<Self, CommandError> {
        let (source, target) = (args.key()?, args.key()?);
        let mut options = CopyOptions { target_db: db, is_replacing: false };
        while !args.is_empty() {
            if args.take_token("REPLACE") {
                options.is_replacing = true;
            } else if args.take_token("DB") {
                options.target_db = parse_index(args.bytes()?, database_count)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if source == target && options.target_db == db {
            return Err(CommandError::text("ERR source and destination objects are the same"));
        }
        Ok(options)
    }
}

/// Copies a value and its expiry. Reply: 1 if it did, 0 if not. Journal: verbatim.
fn copy(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let options = CopyOptions::parse(args, ctx.db_index, ctx.keyspace.database_count())?;
    let (source, target) = (args.key()?, args.key()?);
    let entry = ctx.entry(source).counted().get().map(|entry| entry.to_entry());
    let mut ctx = ctx.in_database(options.target_db);
    match entry {
        Some(entry) if options.is_replacing || ctx.find(target).is_none() => {
            put(&mut ctx, target, entry);
            ctx.changed(target, Event::COPY_TO);
            reply.integer(1);
            Ok(Written::reported())
        }
        _ => {
            reply.integer(0);
            Ok(Written::unchanged())
        }
    }
}

/// The entry of the source, and whether the target is there, in the database that DB names.
fn copy_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let options = CopyOptions::parse(args, ctx.db_index, ctx.keyspace.database_count())?;
    let key = args.argv().get(key_index).ok_or(CommandError::Syntax)?;
    let is_source = key_index == 1;
    let entry = if is_source { ctx.find(key) } else { ctx.peek_in(options.target_db, key) };
    Ok(piece_of(entry, is_source))
}

fn copy_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    // The pieces have been read with the same arguments, so the index has been checked.
    let options = CopyOptions::parse(args, db, usize::from(u16::MAX))?;
    match source_and_target(pieces) {
        Some((entry, target)) if options.is_replacing || target == Piece::Missing => {
            reply.integer(1);
            let db = options.target_db;
            Ok(vec![KeyWrite { key_index: 2, db, entry: Some(entry), event: Event::COPY_TO }])
        }
        _ => {
            reply.integer(0);
            Ok(Vec::new())
        }
    }
}

/// Moves a key to another database. Reply: 1 if it did, 0 if not. Journal: verbatim.
fn move_key(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let target_db = parse_index(args.bytes()?, ctx.keyspace.database_count())?;
    if target_db == ctx.db_index {
        return Err(CommandError::text("ERR source and destination objects are the same"));
    }
    if ctx.find(key).is_none() || ctx.in_database(target_db).find(key).is_some() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    let entry = ctx.take(key).expect("it has just been found");
    put(&mut ctx.in_database(target_db), key, entry);
    ctx.changed(key, Event::MOVE_FROM);
    ctx.in_database(target_db).also_changed(key, Event::MOVE_TO);
    reply.integer(1);
    Ok(Written::reported())
}

const RENAME: Docs = Docs {
    summary: "Puts a value under another key, in place of what is there.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::key("newkey").key_spec(1)],
    examples: &[
        "> SET a 1\nOK\n> RENAME a b\nOK\n> GET b\n\"1\"",
        "> RENAME none b\n(error) ERR no such key",
    ],
    ..Docs::NONE
};

const RENAMENX: Docs = Docs {
    summary: "Puts a value under another key, unless there is one already.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::key("newkey").key_spec(1)],
    examples: &[
        "> SET a 1\nOK\n> RENAMENX a b\n(integer) 1\n> SET a 2\nOK\n> RENAMENX a b\n(integer) 0",
    ],
    ..Docs::NONE
};

const COPY: Docs = Docs {
    summary: "Copies the value and the expiry of a key to another.",
    since: "6.2.0",
    complexity: "O(n) in the size of the value",
    arguments: &[
        Argument::key("source"),
        Argument::key("destination").key_spec(1),
        Argument::integer("destination-db").token("DB").optional(),
        Argument::word("replace", "REPLACE").optional(),
    ],
    examples: &[
        "> SET a 1\nOK\n> COPY a b\n(integer) 1\n> COPY a b\n(integer) 0\n> COPY a b REPLACE\n(integer) 1",
    ],
    ..Docs::NONE
};

const MOVE: Docs = Docs {
    summary: "Moves a key to another database, unless it is there already.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("db")],
    examples: &["> SET a 1\nOK\n> MOVE a 1\n(integer) 1\n> EXISTS a\n(integer) 0"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_key_renamed_to_itself_must_exist_and_does_not_change() {
        check(
            r#"
            > RENAME k k
            (error) ERR no such key
            > RENAMENX k k
            (error) ERR no such key
            > SET k v
            OK
            > RENAME k k
            OK
            > RENAMENX k k
            (integer) 0
            ~ journal
            SET k v
        "#,
        );
    }

    #[test]
    fn the_expiry_goes_with_the_value_and_that_of_the_target_goes() {
        check(
            r#"
            > SET a 1
            OK
            > EXPIRE a 10
            (integer) 1
            > SET b 2
            OK
            > RENAME a c
            OK
            > TTL c
            (integer) 10
            > RENAME b c
            OK
            > TTL c
            (integer) -1
            > GET c
            "2"
        "#,
        );
    }

    #[test]
    fn both_keys_are_reported() {
        check(
            r#"
            > SET a 1
            OK
            > RENAME a b
            OK
            > RENAMENX b c
            (integer) 1
            > COPY c d
            (integer) 1
            > COPY c d DB 2
            (integer) 1
            > MOVE c 1
            (integer) 1
            ~ events
            set a
            rename_from a
            rename_to b
            rename_from b
            rename_to c
            copy_to d
            copy_to d in 2
            move_from c
            move_to c in 1
            ~ journal
            SET a 1
            RENAME a b
            RENAMENX b c
            COPY c d
            COPY c d DB 2
            MOVE c 1
        "#,
        );
    }

    #[test]
    fn an_expired_target_does_not_stand_in_the_way() {
        check(
            r#"
            > SET a 1
            OK
            > SET b 2
            OK
            > PEXPIRE b 5
            (integer) 1
            ~ advance 6ms
            > RENAMENX a b
            (integer) 1
            > GET b
            "1"
            > TTL b
            (integer) -1
            ~ journal
            SET a 1
            SET b 2
            PEXPIREAT b 1700000000005
            DEL b
            RENAMENX a b
        "#,
        );
    }

    #[test]
    fn databases_are_numbered_within_bounds() {
        check(
            r#"
            > SET a 1
            OK
            > COPY a b DB 16
            (error) ERR DB index is out of range
            > COPY a b DB 2147483648
            (error) ERR value is out of range, value must between -2147483648 and 2147483647
            > COPY a b DB x
            (error) ERR value is not an integer or out of range
            > COPY a a DB 0
            (error) ERR source and destination objects are the same
            > COPY a b WHAT
            (error) ERR syntax error
            > MOVE a 16
            (error) ERR DB index is out of range
            > MOVE a 0
            (error) ERR source and destination objects are the same
            > MOVE none 1
            (integer) 0
        "#,
        );
    }
}
