//! Commands that change a list inside: LSET LINSERT LREM LTRIM.
//!
//! Path: `shard::Shard::execute` -> here -> `types::list`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::indices;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::list::{Element, End, List, ListLimit};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &LSET,
            ..CommandSpec::new("lset", Group::List)
        },
        run: Run::Write(lset),
    },
    Command {
        spec: CommandSpec {
            arity: 5,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &LINSERT,
            ..CommandSpec::new("linsert", Group::List)
        },
        run: Run::Write(linsert),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::WRITE,
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &LREM,
            ..CommandSpec::new("lrem", Group::List)
        },
        run: Run::Write(lrem),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::WRITE,
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &LTRIM,
            ..CommandSpec::new("ltrim", Group::List)
        },
        run: Run::Write(ltrim),
    },
];
const _: () = check(COMMANDS);

/// Replaces an element. Reply: OK. Errors: no such key; index out of range. Journal: verbatim.
fn lset(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let limit = ListLimit::from(ctx.options);
    let mut list = ctx.get_mut::<List>(key)?.ok_or(CommandError::NoSuchKey)?;
    let (index, element) = (args.integer()?, args.bytes()?);
    let index = indices::position(index, list.len()).ok_or(CommandError::IndexOutOfRange)?;
    list.prepare(1, element.len(), limit);
    list.set(index, element);
    list.settle(limit);
    reply.ok();
    Ok(Written::changed(Event::LSET))
}

/// Inserts an element beside the first one equal to the pivot. Reply: the new length, -1 if there is no pivot, 0 if
/// there is no list. Journal: verbatim.
fn linsert(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let offset = if args.take_token("BEFORE") {
        0
    } else if args.take_token("AFTER") {
        1
    } else {
        return Err(CommandError::Syntax);
    };
    let (pivot, element) = (args.bytes()?, args.bytes()?);
    let limit = ListLimit::from(ctx.options);
    let Some(mut list) = ctx.get_mut::<List>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let pivot = Element::of(pivot);
    let Some(index) = list.iter().position(|candidate| candidate == pivot) else {
        reply.integer(-1);
        return Ok(Written::unchanged());
    };
    list.prepare(1, element.len(), limit);
    list.insert(index + offset, element);
    reply.integer(list.len() as i64);
    Ok(Written::changed(Event::LINSERT))
}

/// Removes elements: a positive count from the head, a negative one from the tail, 0 all. Reply: how many are gone.
/// Journal: verbatim.
fn lrem(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, count, element) = (args.key()?, args.integer()?, args.bytes()?);
    let limit = ListLimit::from(ctx.options);
    let Some(mut list) = ctx.get_mut::<List>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let end = if count < 0 { End::Right } else { End::Left };
    let count_max = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let removed_count = list.remove_equal(end, element, count_max);
    list.settle(limit);
    let is_emptied = list.is_empty();
    drop(list);
    reply.integer(removed_count as i64);
    if removed_count == 0 {
        return Ok(Written::unchanged());
    }
    ctx.changed(key, Event::LREM);
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported())
}

/// Keeps only a range. Reply: OK. Journal: verbatim, if anything is gone; the event comes in any case, as in Redis.
fn ltrim(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, first, last) = (args.key()?, args.integer()?, args.integer()?);
    let limit = ListLimit::from(ctx.options);
    let Some(mut list) = ctx.get_mut::<List>(key)? else {
        reply.ok();
        return Ok(Written::unchanged());
    };
    let old_len = list.len();
    let kept = indices::span(first, last, old_len);
    list.remove(kept.end..old_len);
    list.remove(0..kept.start);
    list.settle(limit);
    let new_len = list.len();
    drop(list);
    reply.ok();
    ctx.changed(key, Event::LTRIM);
    if new_len == 0 {
        ctx.remove_emptied(key);
    }
    Ok(if new_len == old_len { Written::unchanged() } else { Written::reported() })
}

const LSET: Docs = Docs {
    summary: "Replaces the element at a position of a list.",
    since: "1.0.0",
    complexity: "O(1); O(n) in the small form",
    arguments: &[Argument::key("key"), Argument::integer("index"), Argument::string("element")],
    examples: &[
        "> RPUSH q a b c\n(integer) 3\n> LSET q 1 x\nOK\n> LRANGE q 0 -1\n1) \"a\"\n2) \"x\"\n3) \"c\"\n> LSET q 3 x\n(error) ERR index out of range",
    ],
    ..Docs::NONE
};

const LINSERT: Docs = Docs {
    summary: "Inserts an element before or after another one.",
    since: "2.2.0",
    complexity: "O(n), n elements up to the other one",
    arguments: &[
        Argument::key("key"),
        Argument::one_of(
            "where",
            &[Argument::word("before", "BEFORE"), Argument::word("after", "AFTER")],
        ),
        Argument::string("pivot"),
        Argument::string("element"),
    ],
    examples: &[
        "> RPUSH q a c\n(integer) 2\n> LINSERT q BEFORE c b\n(integer) 3\n> LRANGE q 0 -1\n1) \"a\"\n2) \"b\"\n3) \"c\"",
    ],
    ..Docs::NONE
};

const LREM: Docs = Docs {
    summary: "Removes elements that are equal to a given one.",
    since: "1.0.0",
    complexity: "O(n), n elements of the list",
    arguments: &[Argument::key("key"), Argument::integer("count"), Argument::string("element")],
    examples: &[
        "> RPUSH q a b a a\n(integer) 4\n> LREM q -2 a\n(integer) 2\n> LRANGE q 0 -1\n1) \"a\"\n2) \"b\"",
    ],
    ..Docs::NONE
};

const LTRIM: Docs = Docs {
    summary: "Removes all elements of a list outside two positions.",
    since: "1.0.0",
    complexity: "O(n), n elements removed",
    arguments: &[Argument::key("key"), Argument::integer("start"), Argument::integer("stop")],
    examples: &[
        "> RPUSH q a b c d\n(integer) 4\n> LTRIM q 1 2\nOK\n> LRANGE q 0 -1\n1) \"b\"\n2) \"c\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn every_change_is_recorded_and_reported() {
        for list_max_listpack_size in [1, -2] {
            check_with(
                Options { list_max_listpack_size, ..options() },
                r#"
                > RPUSH q a b c b
                (integer) 4
                > LSET q -1 z
                OK
                > LINSERT q AFTER b x
                (integer) 5
                > LINSERT q before b y
                (integer) 6
                > LINSERT q before none y
                (integer) -1
                > LINSERT q BEFORE after y
                (integer) -1
                > LREM q 0 none
                (integer) 0
                > LRANGE q 0 -1
                1) "a"
                2) "y"
                3) "b"
                4) "x"
                5) "c"
                6) "z"
                > LREM q 1 b
                (integer) 1
                > LTRIM q -100 100
                OK
                > LTRIM q 1 -2
                OK
                > LRANGE q 0 -1
                1) "y"
                2) "x"
                3) "c"
                > LREM q 0 x
                (integer) 1
                > LTRIM q 5 7
                OK
                > LTRIM q 0 1
                OK
                > RPUSH q a
                (integer) 1
                > LREM q -5 a
                (integer) 1
                ~ journal
                RPUSH q a b c b
                LSET q -1 z
                LINSERT q AFTER b x
                LINSERT q before b y
                LREM q 1 b
                LTRIM q 1 -2
                LREM q 0 x
                LTRIM q 5 7
                RPUSH q a
                LREM q -5 a
                ~ events
                rpush q
                lset q
                linsert q
                linsert q
                lrem q
                ltrim q
                ltrim q
                lrem q
                ltrim q
                del q
                rpush q
                lrem q
                del q
            "#,
            );
        }
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > LSET none x x
            (error) ERR no such key
            > LINSERT none MIDDLE a b
            (error) ERR syntax error
            > LINSERT none BEFORE a b
            (integer) 0
            > LREM none x a
            (error) ERR value is not an integer or out of range
            > LREM none 0 a
            (integer) 0
            > LTRIM none 0 x
            (error) ERR value is not an integer or out of range
            > LTRIM none 0 1
            OK
            > RPUSH q a
            (integer) 1
            > LSET q x x
            (error) ERR value is not an integer or out of range
            > LSET q 1 x
            (error) ERR index out of range
            > LSET q -2 x
            (error) ERR index out of range
            > SET s v
            OK
            > LSET s x x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LINSERT s BEFORE a b
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LREM s 0 a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LTRIM s 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn lrem_takes_from_the_end_that_the_sign_names() {
        check(
            r#"
            > RPUSH q a b a c a
            (integer) 5
            > LREM q -1 a
            (integer) 1
            > LREM q 1 a
            (integer) 1
            > LRANGE q 0 -1
            1) "b"
            2) "a"
            3) "c"
            > LREM q -9223372036854775808 a
            (integer) 1
        "#,
        );
    }
}
