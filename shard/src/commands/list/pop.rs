//! Commands that take elements from an end of a list: LPOP RPOP LMPOP.
//!
//! Path: `shard::Shard::execute` -> here -> `types::list`. `blocking` takes elements with the functions here.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::pop_args::PopArgs;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::list::{Element, End, List, ListLimit};
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;
use protocol::request::ArgvBuf;
use std::borrow::Cow;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::DELETE,
            ]))],
            docs: &LPOP,
            ..CommandSpec::new("lpop", Group::List)
        },
        run: Run::Write(lpop),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::DELETE,
            ]))],
            docs: &RPOP,
            ..CommandSpec::new("rpop", Group::List)
        },
        run: Run::Write(rpop),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                begin: BeginSearch::Index(1),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &LMPOP,
            ..CommandSpec::new("lmpop", Group::List)
        },
        run: Run::FirstOf {
            check: |args| parse_several(args).map(|_| ()),
            serve: lmpop,
            timeout: None,
            empty: |reply| reply.null_array(),
        },
    },
];
const _: () = check(COMMANDS);

/// Takes from the head. Reply: an element, or an array if a count is given. Journal: verbatim.
fn lpop(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    pop(ctx, args, reply, End::Left)
}

/// Takes from the tail, the last element first. Reply and journal as [`lpop`].
fn rpop(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    pop(ctx, args, reply, End::Right)
}

fn pop(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    end: End,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    if args.remaining() > 1 {
        let name = if end == End::Left { "lpop" } else { "rpop" };
        return Err(CommandError::WrongArity(Cow::Borrowed(name)));
    }
    let count = match args.is_empty() {
        true => None,
        false => Some(args.count()?),
    };
    let Some(count) = count else {
        if let Some(written) = take_end(ctx, key, end, |element| reply.bulk(&element.text()))? {
            return Ok(written);
        }
        reply.null();
        return Ok(Written::unchanged());
    };
    match ctx.get::<List>(key)? {
        None => reply.null_array(),
        Some(_) if count == 0 => reply.array(0),
        Some(list) => {
            reply_with_some(list, end, count, reply);
            return remove_at(ctx, key, end, count);
        }
    }
    Ok(Written::unchanged())
}

/// Takes from one of several keys. Reply: the key and an array of elements. Journal: LPOP or RPOP with a count.
fn lmpop(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    take_several(ctx, key_index, args, parse_several(args)?, reply)
}

/// Reads the arguments of LMPOP from `numkeys` on.
pub(super) fn parse_several(args: Args<'_>) -> Result<PopArgs<End>, CommandError> {
    PopArgs::parse(args, End::parse)
}

/// Takes elements from key number `key_index`, with its name in the reply; `None` if there is no such key.
pub(super) fn take_several(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    PopArgs { end, count_max }: PopArgs<End>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    let key = args.argv().get(key_index).expect("the index of a key lies inside the request");
    let Some(list) = ctx.get_mut::<List>(key)? else { return Ok(None) };
    let count = count_max.min(list.len());
    reply.array(2);
    reply.bulk(key);
    reply_with_some(&list, end, count, reply);
    drop(list);
    let name = if end == End::Left { b"LPOP" } else { b"RPOP" };
    let mut digits = itoa::Buffer::new();
    let pop = [name.as_slice(), key, digits.format(count).as_bytes()];
    let pop = pop.into_iter().collect::<ArgvBuf>();
    Ok(Some(remove_at(ctx, key, end, count)?.rewritten(pop)))
}

/// Replies with an array of the `count` elements nearest to one end, that end's first.
fn reply_with_some(list: &List, end: End, count: usize, reply: &mut Writer<'_>) {
    let range = list.range_at(end, count);
    reply.array(range.len());
    match end {
        End::Left => list.range(range).for_each(|element| reply.bulk(&element.text())),
        End::Right => list.range(range).rev().for_each(|element| reply.bulk(&element.text())),
    }
}

/// Takes the element at one end, which `read` is shown, and the key with the last element; `None` if there is no such
/// key.
pub(super) fn take_end(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    end: End,
    read: impl FnOnce(Element<'_>),
) -> Result<Option<Written>, CommandError> {
    let limit = ListLimit::from(ctx.options);
    let Some(mut list) = ctx.get_mut::<List>(key)? else { return Ok(None) };
    list.pop(end, read);
    list.settle(limit);
    let is_emptied = list.is_empty();
    drop(list);
    Ok(Some(taken(ctx, key, end, is_emptied)))
}

/// Removes `count` elements at one end of a list that exists, and the key with the last of them.
fn remove_at(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Written, CommandError> {
    let limit = ListLimit::from(ctx.options);
    let Some(mut list) = ctx.get_mut::<List>(key)? else { return Ok(Written::unchanged()) };
    let range = list.range_at(end, count);
    list.remove(range);
    list.settle(limit);
    let is_emptied = list.is_empty();
    drop(list);
    Ok(taken(ctx, key, end, is_emptied))
}

/// Reports that elements were taken from one end; the key goes if none is left.
fn taken(ctx: &mut WriteContext<'_>, key: &[u8], end: End, is_emptied: bool) -> Written {
    ctx.changed(key, event(end));
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Written::reported()
}

/// The event of an element taken from one end.
pub(super) fn event(end: End) -> Event {
    if end == End::Left { Event::LPOP } else { Event::RPOP }
}

const LPOP: Docs = Docs {
    summary: "Removes elements at the head of a list and returns them.",
    since: "1.0.0",
    complexity: "O(n), n elements taken",
    arguments: &[Argument::key("key"), Argument::integer("count").optional().since("6.2.0")],
    examples: &[
        "> RPUSH queue a b c d\n(integer) 4\n> LPOP queue\n\"a\"\n> LPOP queue 2\n1) \"b\"\n2) \"c\"",
    ],
    ..Docs::NONE
};

const RPOP: Docs = Docs {
    summary: "Removes elements at the tail of a list and returns them.",
    since: "1.0.0",
    complexity: "O(n), n elements taken",
    arguments: &[Argument::key("key"), Argument::integer("count").optional().since("6.2.0")],
    examples: &[
        "> RPUSH queue a b c d\n(integer) 4\n> RPOP queue\n\"d\"\n> RPOP queue 2\n1) \"c\"\n2) \"b\"",
    ],
    ..Docs::NONE
};

const LMPOP: Docs = Docs {
    summary: "Removes elements at one end of the first of several lists that is not empty, and returns them.",
    since: "7.0.0",
    complexity: "O(k + n), k keys, n elements taken",
    arguments: &[
        Argument::integer("numkeys"),
        Argument::key("key").repeated(),
        Argument::one_of(
            "where",
            &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")],
        ),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> RPUSH queue a b c\n(integer) 3\n> LMPOP 2 none queue RIGHT COUNT 2\n1) \"queue\"\n2) 1) \"c\"\n   2) \"b\"\n> LMPOP 1 none LEFT\n(nil)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn a_count_makes_the_reply_an_array() {
        for list_max_listpack_size in [1, -2] {
            check_with(
                Options { list_max_listpack_size, ..options() },
                r#"
                > RPUSH q a b c d e
                (integer) 5
                > LPOP q 0
                (empty array)
                > LPOP q 1
                1) "a"
                > RPOP q 2
                1) "e"
                2) "d"
                > RPOP q 9223372036854775807
                1) "c"
                2) "b"
                > RPOP q
                (nil)
                > RPOP q 0
                (nil)
                ~ journal
                RPUSH q a b c d e
                LPOP q 1
                RPOP q 2
                RPOP q 9223372036854775807
                ~ events
                rpush q
                lpop q
                rpop q
                rpop q
                del q
            "#,
            );
        }
    }

    #[test]
    fn a_count_is_not_negative() {
        check(
            r#"
            > LPOP none -1
            (error) ERR value is out of range, must be positive
            > RPOP none many
            (error) ERR value is out of range, must be positive
            > LPOP none 1 2
            (error) ERR wrong number of arguments for 'lpop' command
            > RPOP none 1 2
            (error) ERR wrong number of arguments for 'rpop' command
            > SET s v
            OK
            > LPOP s -1
            (error) ERR value is out of range, must be positive
            > LPOP s 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > RPOP s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn the_first_list_of_several_gives_some() {
        check(
            r#"
            > RPUSH b 1 2 3
            (integer) 3
            > LMPOP 2 a b LEFT
            1) "b"
            2) 1) "1"
            > LMPOP 2 a b right COUNT 5
            1) "b"
            2) 1) "3"
               2) "2"
            > LMPOP 2 a b LEFT
            (nil)
            > SET s v
            OK
            > LMPOP 2 a s LEFT
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LMPOP 0 s LEFT
            (error) ERR numkeys should be greater than 0
            > LMPOP 2 s LEFT
            (error) ERR syntax error
            > LMPOP 1 s LEFT COUNT 0
            (error) ERR count should be greater than 0
            > LMPOP 1 s MIDDLE
            (error) ERR syntax error
            ~ journal
            RPUSH b 1 2 3
            LPOP b 1
            RPOP b 2
            SET s v
            ~ events
            rpush b
            lpop b
            rpop b
            del b
            set s
        "#,
        );
    }
}
