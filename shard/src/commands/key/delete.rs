//! Commands that remove keys or ask whether they exist: DEL UNLINK EXISTS TOUCH TYPE.
//!
//! Path: `shard::Shard::execute` -> here -> `keyspace`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Body, Command, Merge, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::WRITE,
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RM, KeyFlags::DELETE]), 1, -1, 1)],
            tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
            docs: &DEL,
            ..CommandSpec::new("del", Group::Generic)
        },
        run: Run::Split { body: Body::Write(del), merge: Merge::Sum },
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RM, KeyFlags::DELETE]), 1, -1, 1)],
            tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
            docs: &UNLINK,
            ..CommandSpec::new("unlink", Group::Generic)
        },
        run: Run::Split { body: Body::Write(del), merge: Merge::Sum },
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
            tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
            docs: &EXISTS,
            ..CommandSpec::new("exists", Group::Generic)
        },
        run: Run::Split { body: Body::Read(exists), merge: Merge::Sum },
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
            tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
            docs: &TOUCH,
            ..CommandSpec::new("touch", Group::Generic)
        },
        run: Run::Split { body: Body::Read(touch), merge: Merge::Sum },
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &TYPE,
            ..CommandSpec::new("type", Group::Generic)
        },
        run: Run::Read(type_of),
    },
];
const _: () = check(COMMANDS);

/// Removes keys. Reply: how many there were. Journal: verbatim.
fn del(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut removed_count = 0;
    for key in args.rest() {
        if ctx.remove(key) {
            ctx.changed(key, Event::DEL);
            removed_count += 1;
        }
    }
    reply.integer(removed_count);
    Ok(if removed_count == 0 { Written::unchanged() } else { Written::reported() })
}

/// Counts keys that exist. Looking is no use of a key.
fn exists(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    reply.integer(args.rest().filter(|key| ctx.peek(key).is_some()).count() as i64);
    Ok(())
}

/// Marks keys as used. Reply: how many exist.
fn touch(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let found = args.rest().filter_map(|key| ctx.peek(key));
    // Whoever says TOUCH means it: CLIENT NO-TOUCH makes no difference.
    reply.integer(found.inspect(|entry| ctx.touch(entry)).count() as i64);
    Ok(())
}

/// Names the type of a value.
fn type_of(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let entry = ctx.peek(args.key()?);
    reply.status(entry.map_or("none", |entry| entry.value.kind().name()));
    Ok(())
}

const DEL: Docs = Docs {
    summary: "Removes keys.",
    since: "1.0.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> SET a 1\nOK\n> DEL a b\n(integer) 1"],
    ..Docs::NONE
};

const UNLINK: Docs = Docs {
    summary: "Removes keys, and frees large values behind.",
    since: "4.0.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> SET a 1\nOK\n> UNLINK a b\n(integer) 1"],
    ..Docs::NONE
};

const EXISTS: Docs = Docs {
    summary: "Counts which of the keys exist; one that is named twice counts twice.",
    since: "1.0.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> SET a 1\nOK\n> EXISTS a b a\n(integer) 2"],
    ..Docs::NONE
};

const TOUCH: Docs = Docs {
    summary: "Marks keys as used just now and counts which of them exist.",
    since: "3.2.1",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> SET a 1\nOK\n> TOUCH a b\n(integer) 1"],
    ..Docs::NONE
};

const TYPE: Docs = Docs {
    summary: "Names the type of the value that a key holds.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET a 1\nOK\n> TYPE a\nstring\n> TYPE none\nnone"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn keys_that_are_not_there_change_nothing() {
        check(
            r#"
            > DEL a b
            (integer) 0
            > SET a 1
            OK
            > DEL b a a
            (integer) 1
            ~ journal
            SET a 1
            DEL b a a
            ~ events
            set a
            del a
        "#,
        );
    }

    #[test]
    fn an_expired_key_is_deleted_by_its_time_not_by_the_command() {
        check(
            r#"
            > SET a 1
            OK
            > PEXPIRE a 10
            (integer) 1
            ~ advance 11ms
            > UNLINK a
            (integer) 0
            ~ journal
            SET a 1
            PEXPIREAT a 1700000000010
            DEL a
            ~ events
            set a
            expire a
            expired a
        "#,
        );
    }

    #[test]
    fn looking_at_an_expired_key_removes_it_once() {
        check(
            r#"
            > SET a 1
            OK
            > PEXPIRE a 10
            (integer) 1
            ~ advance 11ms
            > EXISTS a a
            (integer) 0
            > TYPE a
            none
            > DBSIZE
            (integer) 0
            ~ journal
            SET a 1
            PEXPIREAT a 1700000000010
            DEL a
        "#,
        );
    }

    #[test]
    fn touch_makes_a_key_used_and_exists_does_not() {
        check(
            r#"
            > HSET a f v
            (integer) 1
            ~ advance 5s
            > EXISTS a
            (integer) 1
            > TYPE a
            hash
            > OBJECT IDLETIME a
            (integer) 5
            > TOUCH a
            (integer) 1
            > OBJECT IDLETIME a
            (integer) 0
        "#,
        );
    }
}
