//! Commands that wait for an element of a list: BLPOP BRPOP BLMPOP BLMOVE BRPOPLPUSH.
//!
//! Path: `shard::Shard::execute` -> here -> `commands::list::{pop, transfer}`. Who waits, and what happens when a list gets
//! elements, is the business of `shard::blocking`; here is only how one key serves.

use super::pop;
use super::transfer::{self, Move};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::pop_args::PopArgs;
use crate::commands::{Command, Run, Transfer};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::types::list::End;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;

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
            check: |_| Ok(()),
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
            check: |_| Ok(()),
            serve: brpop,
            timeout: Some(timeout),
            empty: |reply| reply.null_array(),
        },
    },
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::of(&[Flags::BLOCKING, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &BLMPOP,
            ..CommandSpec::new("blmpop", Group::List)
        },
        run: Run::FirstOf {
            check: |args| parse_several(args).map(|_| ()),
            serve: blmpop,
            timeout: Some(first_as_timeout),
            empty: |reply| reply.null_array(),
        },
    },
    Command {
        spec: CommandSpec {
            arity: 6,
            flags: Flags::of(&[Flags::BLOCKING, Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::LIST,
            keys: transfer::KEYS,
            docs: &BLMOVE,
            ..CommandSpec::new("blmove", Group::List)
        },
        run: Run::Transfer(Transfer {
            local: blmove,
            piece: transfer::list_piece,
            take: |args| Move::parse(args).map(|movement| movement.take()),
            give: |args, element| Move::parse(args).map(|movement| movement.give(element)),
            timeout: Some(|args| Move::parse(args).and_then(|_| timeout(args))),
            empty: |reply| reply.null(),
        }),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::BLOCKING, Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::LIST,
            keys: transfer::KEYS,
            docs: &BRPOPLPUSH,
            ..CommandSpec::new("brpoplpush", Group::List)
        },
        run: Run::Transfer(Transfer {
            local: brpoplpush,
            piece: transfer::list_piece,
            take: |args| Move::parse_fixed(args).map(|movement| movement.take()),
            give: |args, element| Move::parse_fixed(args).map(|movement| movement.give(element)),
            timeout: Some(timeout),
            empty: |reply| reply.null(),
        }),
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
    let taken = pop::take_end(ctx, key, end, |element| {
        reply.array(2);
        reply.bulk(key);
        reply.bulk(&element.text());
    })?;
    let Some(written) = taken else { return Ok(None) };
    ctx.journal(&[if end == End::Left { b"LPOP" } else { b"RPOP" }, key]);
    Ok(Some(written.journaled()))
}

/// Takes elements of one key. Reply: the key and an array of elements. Journal: LPOP or RPOP with a count.
fn blmpop(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    pop::take_several(ctx, key_index, args, parse_several(args)?, reply)
}

/// Moves an element from either end to either end. Reply: the element. Journal: LMOVE.
fn blmove(
    ctx: &mut WriteContext<'_>,
    _key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    let movement = Move::parse(args)?;
    let written = movement.run(ctx, reply)?;
    Ok(written.map(|written| written.rewritten(movement.command())))
}

/// Moves the last element of a list to the head of another. Reply: the element. Journal: RPOPLPUSH.
fn brpoplpush(
    ctx: &mut WriteContext<'_>,
    _key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    let movement = Move::parse_fixed(args)?;
    let written = movement.run(ctx, reply)?;
    Ok(written.map(|written| written.rewritten(movement.fixed_command())))
}

/// Reads the arguments of BLMPOP behind the timeout, which is looked at last.
fn parse_several(mut args: Args<'_>) -> Result<PopArgs<End>, CommandError> {
    args.skip();
    pop::parse_several(args)
}

/// The first argument: seconds, as a double.
fn first_as_timeout(mut args: Args<'_>) -> Result<u64, CommandError> {
    Args::timeout_ms(args.bytes()?)
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

const BLMPOP: Docs = Docs {
    summary: "Removes elements at one end of the first of several lists that is not empty, and waits for one if all are.",
    since: "7.0.0",
    complexity: "O(k + n), k keys, n elements taken",
    arguments: &[
        Argument::double("timeout"),
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::one_of(
            "where",
            &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")],
        ),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> RPUSH tasks a b c\n(integer) 3\n> BLMPOP 1 2 none tasks LEFT COUNT 2\n1) \"tasks\"\n2) 1) \"a\"\n   2) \"b\"",
    ],
    ..Docs::NONE
};

const BLMOVE: Docs = Docs {
    summary: "Moves the element at one end of a list to one end of another list, and waits for one if there is none.",
    since: "6.2.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("source"),
        Argument::key("destination").key_spec(1),
        Argument::one_of(
            "wherefrom",
            &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")],
        ),
        Argument::one_of(
            "whereto",
            &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")],
        ),
        Argument::double("timeout"),
    ],
    examples: &[
        "> RPUSH todo a b\n(integer) 2\n> BLMOVE todo done LEFT RIGHT 1\n\"a\"\n> LRANGE done 0 -1\n1) \"a\"",
    ],
    ..Docs::NONE
};

const BRPOPLPUSH: Docs = Docs {
    summary: "Moves the last element of a list to the head of another list, and waits for one if there is none.",
    since: "2.2.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("source"),
        Argument::key("destination").key_spec(1),
        Argument::double("timeout"),
    ],
    deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
    examples: &[
        "> RPUSH todo a b\n(integer) 2\n> BRPOPLPUSH todo done 1\n\"b\"\n> LRANGE done 0 -1\n1) \"b\"",
    ],
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

    #[test]
    fn waiting_clients_are_served_in_turn_and_elements_go_on() {
        check(
            r#"
            > BLMPOP 0 2 c d LEFT COUNT 2
            (blocked)
            > BLMOVE b c LEFT RIGHT 0
            (blocked)
            > BRPOPLPUSH a b 0
            (blocked)
            > RPUSH a 1 2
            (integer) 2
            ~ served
            "2"
            "2"
            1) "c"
            2) 1) "2"
            > LRANGE a 0 -1
            1) "1"
            > EXISTS b c
            (integer) 0
            ~ journal
            RPUSH a 1 2
            RPOPLPUSH a b
            LMOVE b c LEFT RIGHT
            LPOP c 1
            ~ events
            rpush a
            lpush b
            rpop a
            rpush c
            lpop b
            del b
            lpop c
            del c
        "#,
        );
    }

    #[test]
    fn a_push_to_the_destination_does_not_serve() {
        check(
            r#"
            > BLMOVE a b LEFT LEFT 0
            (blocked)
            > RPUSH b x
            (integer) 1
            ~ served
            > RPUSH a y
            (integer) 1
            ~ served
            "y"
            > LRANGE b 0 -1
            1) "y"
            2) "x"
        "#,
        );
    }

    #[test]
    fn a_wrong_destination_is_an_error_when_its_turn_comes() {
        check(
            r#"
            > SET s v
            OK
            > BLMOVE a s LEFT LEFT 0
            (blocked)
            > BLPOP a 0
            (blocked)
            > RPUSH a x
            (integer) 1
            ~ served
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            1) "a"
            2) "x"
            > RPUSH a y
            (integer) 1
            > BRPOPLPUSH a s 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > BRPOPLPUSH s a 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LRANGE a 0 -1
            1) "y"
        "#,
        );
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > BLMPOP x 0 a LEFT
            (error) ERR numkeys should be greater than 0
            > BLMPOP x 1 a UP
            (error) ERR syntax error
            > BLMPOP x 1 a LEFT COUNT x
            (error) ERR count should be greater than 0
            > BLMPOP x 1 a LEFT
            (error) ERR timeout is not a float or out of range
            > BLMPOP -1 1 a LEFT
            (error) ERR timeout is negative
            > BLMOVE a b UP LEFT x
            (error) ERR syntax error
            > BLMOVE a b LEFT LEFT x
            (error) ERR timeout is not a float or out of range
            > BRPOPLPUSH a b -1
            (error) ERR timeout is negative
        "#,
        );
    }
}
