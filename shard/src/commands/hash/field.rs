//! Commands on single fields of a hash: HSET HSETNX HMSET HGET HMGET HDEL HEXISTS HLEN HSTRLEN.
//!
//! Path: `shard::Shard::execute` -> here -> `types::hash`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::ValueMut;
use crate::types::hash::{Hash, HashLimits, HashRef, overwrite};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use std::borrow::Cow;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &HSET,
            ..CommandSpec::new("hset", Group::Hash)
        },
        run: Run::Write(hset),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &HSETNX,
            ..CommandSpec::new("hsetnx", Group::Hash)
        },
        run: Run::Write(hsetnx),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &HMSET,
            ..CommandSpec::new("hmset", Group::Hash)
        },
        run: Run::Write(hmset),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &HGET,
            ..CommandSpec::new("hget", Group::Hash)
        },
        run: Run::Read(hget),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &HMGET,
            ..CommandSpec::new("hmget", Group::Hash)
        },
        run: Run::Read(hmget),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &HDEL,
            ..CommandSpec::new("hdel", Group::Hash)
        },
        run: Run::Write(hdel),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &HEXISTS,
            ..CommandSpec::new("hexists", Group::Hash)
        },
        run: Run::Read(hexists),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &HLEN,
            ..CommandSpec::new("hlen", Group::Hash)
        },
        run: Run::Read(hlen),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &HSTRLEN,
            ..CommandSpec::new("hstrlen", Group::Hash)
        },
        run: Run::Read(hstrlen),
    },
];
const _: () = check(COMMANDS);

/// Sets fields. Reply: how many are new. Journal: verbatim.
fn hset(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let added_count = set_fields(ctx, &mut args, "hset")?;
    reply.integer(added_count);
    Ok(Written::changed(Event::HSET))
}

/// Sets fields. Reply: OK. Journal: verbatim.
fn hmset(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set_fields(ctx, &mut args, "hmset")?;
    reply.ok();
    Ok(Written::changed(Event::HSET))
}

fn set_fields(
    ctx: &mut WriteContext<'_>,
    args: &mut Args<'_>,
    name: &'static str,
) -> Result<i64, CommandError> {
    let key = args.key()?;
    if args.remaining() % 2 == 1 {
        return Err(CommandError::WrongArity(Cow::Borrowed(name)));
    }
    let limits = HashLimits::from(ctx.options);
    let mut hash = ctx.get_or_create::<Hash>(key)?;
    let len_max = args.rest().map(<[u8]>::len).max().unwrap_or(0);
    if limits.are_exceeded_by(args.remaining() / 2, len_max) {
        hash.enlarge();
    }
    let mut added_count = 0;
    while !args.is_empty() {
        added_count += i64::from(set_field(&mut hash, args.bytes()?, args.bytes()?, limits));
    }
    Ok(added_count)
}

/// Sets a field, in the record of its key if it can be done there; `true` if it is new.
pub(super) fn set_field(
    hash: &mut ValueMut<'_, Hash>,
    field: &[u8],
    value: &[u8],
    limits: HashLimits,
) -> bool {
    let in_record = hash.elements();
    match in_record.is_some_and(|mut packed| overwrite(&mut packed, field, value, limits)) {
        true => false,
        false => hash.set(field, value, limits),
    }
}

/// Sets a field that does not exist yet. Reply: 1 if set. Journal: verbatim.
fn hsetnx(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, field, value) = (args.key()?, args.bytes()?, args.bytes()?);
    let limits = HashLimits::from(ctx.options);
    let mut hash = ctx.get_or_create::<Hash>(key)?;
    if hash.view().get(field).is_some() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    hash.set(field, value, limits);
    reply.integer(1);
    Ok(Written::changed(Event::HSET))
}

fn hget(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    value_of(hash, args.bytes()?, reply);
    Ok(())
}

fn hmget(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    reply.array(args.remaining());
    for field in args.rest() {
        value_of(hash, field, reply);
    }
    Ok(())
}

/// Replies with the value of one field, null if there is none.
fn value_of(hash: Option<HashRef<'_>>, field: &[u8], reply: &mut Writer<'_>) {
    match hash.and_then(|hash| hash.get(field)) {
        Some(value) => reply.bulk(&value),
        None => reply.null(),
    }
}

/// Removes fields. Reply: how many there were. Journal: verbatim.
fn hdel(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let Some(mut hash) = ctx.get_mut::<Hash>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let old_len = hash.view().len();
    args.rest().for_each(|field| {
        hash.remove(field);
    });
    let removed_count = old_len - hash.view().len();
    let is_emptied = hash.view().is_empty();
    drop(hash);
    reply.integer(removed_count as i64);
    if removed_count == 0 {
        return Ok(Written::unchanged());
    }
    ctx.changed(key, Event::HDEL);
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported())
}

fn hexists(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    let field = args.bytes()?;
    reply.integer(i64::from(hash.is_some_and(|hash| hash.get(field).is_some())));
    Ok(())
}

fn hlen(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    reply.integer(ctx.get::<Hash>(args.key()?)?.map_or(0, HashRef::len) as i64);
    Ok(())
}

fn hstrlen(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    let field = args.bytes()?;
    reply.integer(hash.and_then(|hash| hash.get(field)).map_or(0, |value| value.len()) as i64);
    Ok(())
}

const HSET: Docs = Docs {
    summary: "Sets fields of a hash and says how many of them are new.",
    since: "2.0.0",
    complexity: "O(1) per field",
    arguments: &[
        Argument::key("key"),
        Argument::block("data", &[Argument::string("field"), Argument::string("value")]).repeated(),
    ],
    examples: &[
        "> HSET snapshot price 101.5 volume 300\n(integer) 2\n> HSET snapshot price 102 bid 101.9\n(integer) 1\n> HGET snapshot price\n\"102\"",
    ],
    ..Docs::NONE
};

const HSETNX: Docs = Docs {
    summary: "Sets a field of a hash unless it exists.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field"), Argument::string("value")],
    examples: &[
        "> HSETNX h owner a\n(integer) 1\n> HSETNX h owner b\n(integer) 0\n> HGET h owner\n\"a\"",
    ],
    ..Docs::NONE
};

const HMSET: Docs = Docs {
    summary: "Sets fields of a hash.",
    since: "2.0.0",
    complexity: "O(1) per field",
    arguments: &[
        Argument::key("key"),
        Argument::block("data", &[Argument::string("field"), Argument::string("value")]).repeated(),
    ],
    deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
    examples: &["> HMSET h a 1 b 2\nOK\n> HMGET h a b\n1) \"1\"\n2) \"2\""],
    ..Docs::NONE
};

const HGET: Docs = Docs {
    summary: "Returns the value of a field of a hash.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field")],
    examples: &["> HSET h a 1\n(integer) 1\n> HGET h a\n\"1\"\n> HGET h b\n(nil)"],
    ..Docs::NONE
};

const HMGET: Docs = Docs {
    summary: "Returns the values of several fields of a hash, null for those that do not exist.",
    since: "2.0.0",
    complexity: "O(1) per field",
    arguments: &[Argument::key("key"), Argument::string("field").repeated()],
    examples: &["> HSET h a 1 b 2\n(integer) 2\n> HMGET h a none b\n1) \"1\"\n2) (nil)\n3) \"2\""],
    ..Docs::NONE
};

const HDEL: Docs = Docs {
    summary: "Removes fields of a hash, and the key with the last of them.",
    since: "2.0.0",
    complexity: "O(1) per field",
    arguments: &[Argument::key("key"), Argument::string("field").repeated()],
    examples: &[
        "> HSET h a 1 b 2\n(integer) 2\n> HDEL h a none\n(integer) 1\n> HLEN h\n(integer) 1",
    ],
    ..Docs::NONE
};

const HEXISTS: Docs = Docs {
    summary: "Says whether a hash has a field.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field")],
    examples: &[
        "> HSET h a 1\n(integer) 1\n> HEXISTS h a\n(integer) 1\n> HEXISTS h b\n(integer) 0",
    ],
    ..Docs::NONE
};

const HLEN: Docs = Docs {
    summary: "Returns how many fields a hash has.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> HSET h a 1 b 2\n(integer) 2\n> HLEN h\n(integer) 2\n> HLEN none\n(integer) 0"],
    ..Docs::NONE
};

const HSTRLEN: Docs = Docs {
    summary: "Returns how many bytes the value of a field of a hash has.",
    since: "3.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field")],
    examples: &[
        "> HSET h a hello\n(integer) 1\n> HSTRLEN h a\n(integer) 5\n> HSTRLEN h none\n(integer) 0",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn fields_come_in_pairs() {
        check(
            r#"
            > HSET h a 1 b
            (error) ERR wrong number of arguments for 'hset' command
            > HMSET h a 1 b
            (error) ERR wrong number of arguments for 'hmset' command
            > HLEN h
            (integer) 0
            ~ journal
            ~ events
        "#,
        );
    }

    #[test]
    fn every_change_is_recorded_and_reported() {
        check(
            r#"
            > HSET h a 1 b 2
            (integer) 2
            > HMSET h a 1
            OK
            > HSETNX h c 3
            (integer) 1
            > HSETNX h c 4
            (integer) 0
            > HDEL h none
            (integer) 0
            > HDEL h a
            (integer) 1
            > HDEL h b none c c
            (integer) 2
            > HDEL h b
            (integer) 0
            ~ journal
            HSET h a 1 b 2
            HMSET h a 1
            HSETNX h c 3
            HDEL h a
            HDEL h b none c c
            ~ events
            hset h
            hset h
            hset h
            hdel h
            hdel h
            del h
        "#,
        );
    }

    #[test]
    fn another_type_is_refused() {
        check(
            r#"
            > SET s v
            OK
            > HSET s a 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HSETNX s a 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HGET s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HMGET s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HDEL s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HEXISTS s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HLEN s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HSTRLEN s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HSET h a 1
            (integer) 1
            > GET h
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn a_field_may_be_empty_and_binary() {
        check(
            r#"
            > HSET h "" "" "\x00\r\n" "a b"
            (integer) 2
            > HGET h ""
            ""
            > HGET h "\x00\r\n"
            "a b"
            > HSET h "" full
            (integer) 0
            > HMGET h "" x
            1) "full"
            2) (nil)
            # resp3
            > HGET h x
            (nil)
        "#,
        );
    }

    #[test]
    fn both_forms_answer_alike() {
        for entries_max in [0, 2, 512] {
            check_with(
                Options { hash_max_listpack_entries: entries_max, ..options() },
                r#"
                > HSET h a 1 b 2 a 3
                (integer) 2
                > HSET h a longer c 4
                (integer) 1
                > HMGET h a b c d
                1) "longer"
                2) "2"
                3) "4"
                4) (nil)
                > HDEL h b
                (integer) 1
                > HEXISTS h b
                (integer) 0
                > HSTRLEN h a
                (integer) 6
                > HLEN h
                (integer) 2
                > HDEL h a c
                (integer) 2
                > DEL h
                (integer) 0
            "#,
            );
        }
    }
}
