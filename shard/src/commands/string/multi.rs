//! Commands on several strings at once: MGET MSET MSETNX.
//!
//! Path: `shard::Shard::execute` -> here -> `types::string`. Each shard runs MGET and MSET with its own keys; MSETNX
//! first asks for all keys and then writes them.

use super::{NewExpiry, store};
use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Body, Command, KeyWrite, Merge, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::keyspace::{Likely, WARM_MAX};
use crate::options::Options;
use crate::types::string::Str;
use crate::value::Value;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use std::borrow::Cow;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::STRING,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 1, -1, 1)],
            tips: &["request_policy:multi_shard"],
            docs: &MGET,
            ..CommandSpec::new("mget", Group::String)
        },
        run: Run::Split { body: Body::Read(mget), merge: Merge::ByKey },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]), 1, -1, 2)],
            tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
            docs: &MSET,
            ..CommandSpec::new("mset", Group::String)
        },
        run: Run::Split { body: Body::Write(mset), merge: Merge::AllOk },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::OW, KeyFlags::INSERT]), 1, -1, 2)],
            docs: &MSETNX,
            ..CommandSpec::new("msetnx", Group::String)
        },
        run: Run::GatherWrite { local: msetnx, piece: msetnx_piece, plan: msetnx_plan },
    },
];

const _: () = check(COMMANDS);

/// Reads several strings.
///
/// Args: `key [key ...]`. Reply: array of strings, null where there is none or the key holds another type.
fn mget(ctx: &ReadContext<'_>, args: Args<'_>, reply: &mut Writer<'_>) -> Result<(), CommandError> {
    reply.array(args.remaining());
    for (index, key) in args.rest().enumerate() {
        if index % WARM_MAX == 0 {
            ctx.db.warm(args.rest().skip(index).map(Likely::key));
        }
        match ctx.get_string(key) {
            Ok(Some(string)) => string.with_bytes(|bytes| reply.bulk(bytes)),
            Ok(None) | Err(_) => reply.null(),
        }
    }
    Ok(())
}

/// Stores several strings.
///
/// Args: `key value [key value ...]`. Reply: OK. Errors: wrong arity if a value is missing.
fn mset(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    check_pairs(&args, "mset")?;
    store_pairs(ctx, &mut args)?;
    reply.ok();
    Ok(Written::reported())
}

/// Stores several strings if none of the keys exists.
///
/// Args: `key value [key value ...]`. Reply: 1 if they were stored, 0 otherwise. Errors: wrong arity if a value is
/// missing.
fn msetnx(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    check_pairs(&args, "msetnx")?;
    if args.rest().step_by(2).any(|key| ctx.entry(key).exists()) {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    store_pairs(ctx, &mut args)?;
    reply.integer(1);
    Ok(Written::reported())
}

fn msetnx_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let key = args.argv().get(key_index).expect("an index of a key");
    Ok(if ctx.find(key).is_some() { Piece::Present } else { Piece::Missing })
}

fn msetnx_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    check_pairs(&args, "msetnx")?;
    if pieces.contains(&Piece::Present) {
        reply.integer(0);
        return Ok(Vec::new());
    }
    reply.integer(1);
    let values = args.rest().skip(1).step_by(2);
    let write = |(pair, value)| KeyWrite {
        key_index: args.position() + 2 * pair,
        db,
        entry: Some(Box::new(Entry::new(Value::String(Str::new(value))))),
        event: Event::SET,
    };
    Ok(values.enumerate().map(write).collect())
}

/// Refuses a key without a value.
fn check_pairs(args: &Args<'_>, command: &'static str) -> Result<(), CommandError> {
    if args.remaining().is_multiple_of(2) {
        Ok(())
    } else {
        Err(CommandError::WrongArity(Cow::Borrowed(command)))
    }
}

/// Stores each pair of key and value that is left, and reports it.
fn store_pairs(ctx: &mut WriteContext<'_>, args: &mut Args<'_>) -> Result<(), CommandError> {
    for index in 0.. {
        if args.is_empty() {
            break;
        }
        if index % WARM_MAX == 0 {
            ctx.db().warm(args.rest().step_by(2).map(Likely::key));
        }
        let key = args.key()?;
        store(&mut ctx.entry(key), args.bytes()?, NewExpiry::Never);
        ctx.changed(key, Event::SET);
    }
    Ok(())
}

const MGET: Docs = Docs {
    summary: "Returns the strings that several keys hold.",
    since: "1.0.0",
    complexity: "O(N) with N the number of keys",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> MSET a 1 b 2\nOK\n> MGET a none b\n1) \"1\"\n2) (nil)\n3) \"2\""],
    ..Docs::NONE
};

const MSET: Docs = Docs {
    summary: "Stores a string under each of several keys, all at once.",
    since: "1.0.1",
    complexity: "O(N) with N the number of keys",
    arguments: &[
        Argument::block("data", &[Argument::key("key"), Argument::string("value")]).repeated()
    ],
    examples: &[
        "> MSET a 1 b 2\nOK\n> GET b\n\"2\"",
        "> MSET a 1 b\n(error) ERR wrong number of arguments for 'mset' command",
    ],
    ..Docs::NONE
};

const MSETNX: Docs = Docs {
    summary: "Stores a string under each of several keys, unless one of them exists.",
    since: "1.0.1",
    complexity: "O(N) with N the number of keys",
    arguments: &[
        Argument::block("data", &[Argument::key("key"), Argument::string("value")]).repeated()
    ],
    examples: &[
        "> MSETNX a 1 b 2\n(integer) 1\n> MSETNX b 3 c 4\n(integer) 0\n> MGET b c\n1) \"2\"\n2) (nil)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check;
    use protocol::reply::Resp;
    use protocol::request::ArgvBuf;

    #[test]
    fn mget_gives_null_for_other_types_and_counts_repeated_keys() {
        check(
            r#"
            > MSET a 1 b "" c x
            OK
            > HSET h f v
            (integer) 1
            > MGET a a b h none
            1) "1"
            2) "1"
            3) ""
            4) (nil)
            5) (nil)
            # resp3
            > MGET none
            1) (nil)
        "#,
        );
    }

    #[test]
    fn mset_replaces_anything_and_takes_the_expiry_off() {
        check(
            r#"
            > SET a 1 EX 10
            OK
            > HSET h f v
            (integer) 1
            ~ journal
            SET a 1 PXAT 1700000010000
            HSET h f v
            ~ events
            set a
            expire a
            hset h
            > MSET a 2 h x a 3
            OK
            ~ journal
            MSET a 2 h x a 3
            ~ events
            set a
            set h
            set a
            > MGET a h
            1) "3"
            2) "x"
            > TTL a
            (integer) -1
        "#,
        );
    }

    #[test]
    fn msetnx_stores_all_or_nothing() {
        check(
            r#"
            > MSETNX a 1 b 2 a 3
            (integer) 1
            > MSETNX c 1 a 2
            (integer) 0
            > MGET a b c
            1) "3"
            2) "2"
            3) (nil)
            ~ journal
            MSETNX a 1 b 2 a 3
            ~ events
            set a
            set b
            set a
            > MSETNX a 1 b
            (error) ERR wrong number of arguments for 'msetnx' command
            > MSETNX a
            (error) ERR wrong number of arguments for 'msetnx' command
        "#,
        );
    }

    #[test]
    fn msetnx_over_several_shards_plans_one_write_for_each_pair() {
        let argv: ArgvBuf = [b"MSETNX".as_slice(), b"a", b"1", b"b", b"x"].into_iter().collect();
        let plan = |pieces: Vec<Piece>| {
            let mut out = Vec::new();
            let mut reply = Writer::new(&mut out, Resp::V2);
            let args = Args::new(argv.as_argv());
            let writes =
                msetnx_plan(&Options::default(), Now::default(), 3, args, pieces, &mut reply)
                    .unwrap();
            (writes, out)
        };
        let (writes, reply) = plan(vec![Piece::Missing, Piece::Missing]);
        assert_eq!(reply, b":1\r\n");
        let entry = |text: &[u8]| Some(Box::new(Entry::new(Value::String(Str::new(text)))));
        let write =
            |key_index, text| KeyWrite { key_index, db: 3, entry: entry(text), event: Event::SET };
        assert_eq!(writes, [write(1, b"1"), write(3, b"x")]);
        let (writes, reply) = plan(vec![Piece::Missing, Piece::Present]);
        assert_eq!((writes, reply.as_slice()), (vec![], b":0\r\n".as_slice()));
    }
}
