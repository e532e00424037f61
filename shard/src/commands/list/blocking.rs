//! Commands that wait for an element of a list: BLPOP BRPOP.
//!
//! Path: `shard::Shard::execute` -> here -> `commands::list::pop`. Who waits, and what happens when a list gets
//! elements, is the business of `shard::blocking`; here is only how one key serves.

use super::pop;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::types::list::{End, List};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use protocol::request::ArgvBuf;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::BLOCKING, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::range(
                KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                1,
                -2,
                1,
            )],
            docs: &BLPOP,
            ..CommandSpec::new("blpop", Group::List)
        },
        run: Run::FirstOf {
            serve: blpop,
            timeout: Some(timeout),
            empty: |reply| reply.null_array(),
        },
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::BLOCKING, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::range(
                KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                1,
                -2,
                1,
            )],
            docs: &BRPOP,
            ..CommandSpec::new("brpop", Group::List)
        },
        run: Run::FirstOf {
            serve: brpop,
            timeout: Some(timeout),
            empty: |reply| reply.null_array(),
        },
    },
];
const _: () = check(COMMANDS);

/// Takes the first element of one key. Reply: the key and the element. Journal: LPOP.
fn blpop(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    serve(ctx, key_index, args, reply, End::Left)
}

/// Takes the last element of one key. Reply: the key and the element. Journal: RPOP.
fn brpop(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    serve(ctx, key_index, args, reply, End::Right)
}

fn serve(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
    end: End,
) -> Result<Option<Written>, CommandError> {
    let key = args.argv().get(key_index).expect("the index of a key lies inside the request");
    let Some(list) = ctx.get::<List>(key)? else { return Ok(None) };
    reply.array(2);
    reply.bulk(key);
    pop::reply_with_end(list, end, reply);
    let name = if end == End::Left { b"LPOP" } else { b"RPOP" };
    let pop = [name.as_slice(), key].into_iter().collect::<ArgvBuf>();
    Ok(Some(pop::remove_at(ctx, key, end, 1)?.rewritten(pop)))
}

/// The last argument: seconds, as a double.
fn timeout(args: Args<'_>) -> Result<u64, CommandError> {
    let last = args.rest().last().ok_or(CommandError::Syntax)?;
    Args::timeout_ms(last)
}

const BLPOP: Docs = Docs {
    summary: "Removes the element at the head of the first of several lists that has one, and waits for one if none has.",
    since: "2.0.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated(), Argument::double("timeout")],
    examples: &["> RPUSH tasks a b\n(integer) 2\n> BLPOP tasks 1\n1) \"tasks\"\n2) \"a\""],
    ..Docs::NONE
};

const BRPOP: Docs = Docs {
    summary: "Removes the element at the tail of the first of several lists that has one, and waits for one if none has.",
    since: "2.0.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated(), Argument::double("timeout")],
    examples: &["> LPUSH tasks a b\n(integer) 2\n> BRPOP tasks 1\n1) \"tasks\"\n2) \"a\""],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_first_key_with_an_element_serves() {
        check(
            r#"
            > RPUSH b 1 2 3
            (integer) 3
            > BLPOP a b c 0
            1) "b"
            2) "1"
            > RPUSH a 4
            (integer) 1
            > BRPOP b a 0.5
            1) "b"
            2) "3"
            > BRPOP a b 0
            1) "a"
            2) "4"
            > BLPOP b b 0
            1) "b"
            2) "2"
            > BLPOP a b 0
            (blocked)
            ~ journal
            RPUSH b 1 2 3
            LPOP b
            RPUSH a 4
            RPOP b
            RPOP a
            LPOP b
            ~ events
            rpush b
            lpop b
            rpush a
            rpop b
            rpop a
            del a
            lpop b
            del b
        "#,
        );
    }

    #[test]
    fn the_timeout_is_checked_before_the_keys() {
        check(
            r#"
            > SET s v
            OK
            > BLPOP s x
            (error) ERR timeout is not a float or out of range
            > BLPOP s nan
            (error) ERR timeout is not a float or out of range
            > BRPOP s -1
            (error) ERR timeout is negative
            > BRPOP s 1e400
            (error) ERR timeout is out of range
            > BRPOP s 0x7FFFFFFFFFFFFFFF
            (error) ERR timeout is out of range
            > BRPOP s inf
            (error) ERR timeout is out of range
            > BRPOP s ""
            (error) ERR timeout is not a float or out of range
            > BRPOP none s 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > RPUSH l a b c
            (integer) 3
            > BLPOP l s 1
            1) "l"
            2) "a"
            > BLPOP l -0.0001
            1) "l"
            2) "b"
            > BLPOP l 1e-400
            1) "l"
            2) "c"
        "#,
        );
    }
}
