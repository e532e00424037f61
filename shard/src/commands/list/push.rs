//! Commands that add elements to a list: LPUSH RPUSH LPUSHX RPUSHX.
//!
//! Path: `shard::Shard::execute` -> here -> `types::list`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::list::{End, List, ListLimit};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &LPUSH,
            ..CommandSpec::new("lpush", Group::List)
        },
        run: Run::Write(lpush),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &RPUSH,
            ..CommandSpec::new("rpush", Group::List)
        },
        run: Run::Write(rpush),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &LPUSHX,
            ..CommandSpec::new("lpushx", Group::List)
        },
        run: Run::Write(lpushx),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &RPUSHX,
            ..CommandSpec::new("rpushx", Group::List)
        },
        run: Run::Write(rpushx),
    },
];
const _: () = check(COMMANDS);

/// Adds elements at the head. Reply: the new length. Journal: verbatim.
fn lpush(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    push(ctx, args, reply, End::Left)
}

/// Adds elements at the tail. Reply: the new length. Journal: verbatim.
fn rpush(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    push(ctx, args, reply, End::Right)
}

/// Adds elements at the head of a list that exists. Reply: the new length. Journal: verbatim.
fn lpushx(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    push_if_exists(ctx, args, reply, End::Left)
}

/// Adds elements at the tail of a list that exists. Reply: the new length. Journal: verbatim.
fn rpushx(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    push_if_exists(ctx, args, reply, End::Right)
}

fn push_if_exists(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    end: End,
) -> Result<Written, CommandError> {
    let all_args = args;
    if ctx.get_mut::<List>(args.key()?)?.is_none() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    push(ctx, all_args, reply, end)
}

fn push(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    end: End,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let limit = ListLimit::from(ctx.options);
    let mut list = ctx.get_or_create::<List>(key)?;
    let size = args.rest().map(<[u8]>::len).sum::<usize>();
    list.prepare(args.remaining(), size, limit);
    args.rest().for_each(|element| list.push(end, element));
    reply.integer(list.len() as i64);
    Ok(Written::changed(match end {
        End::Left => Event::LPUSH,
        End::Right => Event::RPUSH,
    }))
}

const LPUSH: Docs = Docs {
    summary: "Adds elements at the head of a list, which is made if there is none.",
    since: "1.0.0",
    complexity: "O(1) per element",
    arguments: &[Argument::key("key"), Argument::string("element").repeated()],
    examples: &[
        "> LPUSH queue a\n(integer) 1\n> LPUSH queue b c\n(integer) 3\n> LRANGE queue 0 -1\n1) \"c\"\n2) \"b\"\n3) \"a\"",
    ],
    ..Docs::NONE
};

const RPUSH: Docs = Docs {
    summary: "Adds elements at the tail of a list, which is made if there is none.",
    since: "1.0.0",
    complexity: "O(1) per element",
    arguments: &[Argument::key("key"), Argument::string("element").repeated()],
    examples: &[
        "> RPUSH queue a\n(integer) 1\n> RPUSH queue b c\n(integer) 3\n> LRANGE queue 0 -1\n1) \"a\"\n2) \"b\"\n3) \"c\"",
    ],
    ..Docs::NONE
};

const LPUSHX: Docs = Docs {
    summary: "Adds elements at the head of a list if it exists.",
    since: "2.2.0",
    complexity: "O(1) per element",
    arguments: &[Argument::key("key"), Argument::string("element").repeated()],
    examples: &[
        "> LPUSHX queue a\n(integer) 0\n> LPUSH queue a\n(integer) 1\n> LPUSHX queue b\n(integer) 2",
    ],
    ..Docs::NONE
};

const RPUSHX: Docs = Docs {
    summary: "Adds elements at the tail of a list if it exists.",
    since: "2.2.0",
    complexity: "O(1) per element",
    arguments: &[Argument::key("key"), Argument::string("element").repeated()],
    examples: &[
        "> RPUSHX queue a\n(integer) 0\n> RPUSH queue a\n(integer) 1\n> RPUSHX queue b\n(integer) 2",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn every_change_is_recorded_and_reported() {
        check(
            r#"
            > LPUSHX q a
            (integer) 0
            > RPUSHX q a
            (integer) 0
            > LPUSH q a b
            (integer) 2
            > RPUSH q c
            (integer) 3
            > LPUSHX q d e
            (integer) 5
            > RPUSHX q ""
            (integer) 6
            > LRANGE q 0 -1
            1) "e"
            2) "d"
            3) "b"
            4) "a"
            5) "c"
            6) ""
            ~ journal
            LPUSH q a b
            RPUSH q c
            LPUSHX q d e
            RPUSHX q ""
            ~ events
            lpush q
            rpush q
            lpush q
            rpush q
        "#,
        );
    }

    #[test]
    fn another_type_is_refused() {
        check(
            r#"
            > SET s v
            OK
            > LPUSH s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > RPUSH s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LPUSHX s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > RPUSHX s a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
