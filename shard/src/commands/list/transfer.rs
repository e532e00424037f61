//! Commands that move an element from one list to another: LMOVE RPOPLPUSH.
//!
//! Path: `shard::Shard::execute` -> here -> `types::list`. `blocking` waits with the functions here. Over two shards the
//! element alone travels: the shard of the source runs LPOP or RPOP, that of the destination LPUSH or RPUSH.

use super::pop;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Piece, Run, Transfer};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::list::{End, List, ListLimit};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use protocol::request::ArgvBuf;

/// Keys of all commands that move an element.
pub(super) const KEYS: &[KeySpec] = &[
    KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])),
    KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]), 2, 0, 1),
];

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 5,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::LIST,
            keys: KEYS,
            docs: &LMOVE,
            ..CommandSpec::new("lmove", Group::List)
        },
        run: Run::Transfer(Transfer {
            local: lmove,
            piece: list_piece,
            take: |args| Move::parse(args).map(|movement| movement.take()),
            give: |args, element| Move::parse(args).map(|movement| movement.give(element)),
            timeout: None,
            empty: |reply| reply.null(),
        }),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::LIST,
            keys: KEYS,
            docs: &RPOPLPUSH,
            ..CommandSpec::new("rpoplpush", Group::List)
        },
        run: Run::Transfer(Transfer {
            local: rpoplpush,
            piece: list_piece,
            take: |args| Move::parse_fixed(args).map(|movement| movement.take()),
            give: |args, element| Move::parse_fixed(args).map(|movement| movement.give(element)),
            timeout: None,
            empty: |reply| reply.null(),
        }),
    },
];
const _: () = check(COMMANDS);

/// What goes from where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move<'a> {
    source: &'a [u8],
    target: &'a [u8],
    /// The end of the source that the element leaves.
    from: End,
    /// The end of the target that it comes to.
    to: End,
}

impl<'a> Move<'a> {
    /// Reads `source destination LEFT|RIGHT LEFT|RIGHT`; more may follow.
    ///
    /// # Errors
    /// `ERR syntax error`.
    pub(super) fn parse(mut args: Args<'a>) -> Result<Self, CommandError> {
        let (source, target) = (args.key()?, args.key()?);
        let from = End::parse(args.bytes()?).ok_or(CommandError::Syntax)?;
        let to = End::parse(args.bytes()?).ok_or(CommandError::Syntax)?;
        Ok(Move { source, target, from, to })
    }

    /// Reads `source destination`, the keys of RPOPLPUSH; more may follow.
    ///
    /// # Errors
    /// None where the arity has been checked.
    pub(super) fn parse_fixed(mut args: Args<'a>) -> Result<Self, CommandError> {
        let (source, target) = (args.key()?, args.key()?);
        Ok(Move { source, target, from: End::Right, to: End::Left })
    }

    /// Moves the element, if there is one. Reply: the element.
    pub(super) fn run(
        self,
        ctx: &mut WriteContext<'_>,
        reply: &mut Writer<'_>,
    ) -> Result<Option<Written>, CommandError> {
        let Move { source, target, from, to } = self;
        let limit = ListLimit::from(ctx.options);
        let Some(mut list) = ctx.get_mut::<List>(source)? else { return Ok(None) };
        if source == target {
            let element = list.pop(from, |element| element.text().to_vec());
            list.prepare(1, element.len(), limit);
            list.push(to, &element);
            list.settle(limit);
            drop(list);
            ctx.also_changed(target, push_event(to));
            ctx.changed(source, pop::event(from));
            reply.bulk(&element);
        } else {
            let element = list.end(from).expect("a list that is stored has elements");
            let element = element.text().to_vec();
            drop(list);
            let mut list = ctx.get_or_create::<List>(target)?;
            list.prepare(1, element.len(), limit);
            list.push(to, &element);
            drop(list);
            ctx.also_changed(target, push_event(to));
            let _ = pop::take_end(ctx, source, from, |_| ())?;
            reply.bulk(&element);
        }
        Ok(Some(Written::reported()))
    }

    /// The command that the shard of the source runs when the target lies on another.
    pub(super) fn take(self) -> ArgvBuf {
        let name = if self.from == End::Left { b"LPOP" } else { b"RPOP" };
        [name.as_slice(), self.source].into_iter().collect()
    }

    /// The command that the shard of the target runs then.
    pub(super) fn give(self, element: &[u8]) -> ArgvBuf {
        let name = if self.to == End::Left { b"LPUSH" } else { b"RPUSH" };
        [name.as_slice(), self.target, element].into_iter().collect()
    }

    /// LMOVE with these arguments.
    pub(super) fn command(self) -> ArgvBuf {
        let Move { source, target, from, to } = self;
        let args = [b"LMOVE", source, target, from.word().as_bytes(), to.word().as_bytes()];
        args.into_iter().collect()
    }

    /// RPOPLPUSH with these keys.
    pub(super) fn fixed_command(self) -> ArgvBuf {
        [b"RPOPLPUSH", self.source, self.target].into_iter().collect()
    }
}

fn push_event(end: End) -> Event {
    if end == End::Left { Event::LPUSH } else { Event::RPUSH }
}

/// Moves an element from either end to either end. Reply: the element. Journal: verbatim.
fn lmove(
    ctx: &mut WriteContext<'_>,
    _key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    Move::parse(args)?.run(ctx, reply)
}

/// Moves the last element of a list to the head of another. Reply: the element. Journal: verbatim.
fn rpoplpush(
    ctx: &mut WriteContext<'_>,
    _key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    Move::parse_fixed(args)?.run(ctx, reply)
}

/// Whether a list is there.
pub(super) fn list_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let key = args.argv().get(key_index).ok_or(CommandError::Syntax)?;
    Ok(if ctx.get::<List>(key)?.is_some() { Piece::Present } else { Piece::Missing })
}

const LMOVE: Docs = Docs {
    summary: "Moves the element at one end of a list to one end of another list, or of the same.",
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
    ],
    examples: &[
        "> RPUSH todo a b c\n(integer) 3\n> LMOVE todo done LEFT RIGHT\n\"a\"\n> LRANGE todo 0 -1\n1) \"b\"\n2) \"c\"\n> LRANGE done 0 -1\n1) \"a\"\n> LMOVE none done LEFT LEFT\n(nil)",
    ],
    ..Docs::NONE
};

const RPOPLPUSH: Docs = Docs {
    summary: "Moves the last element of a list to the head of another list, or of the same.",
    since: "1.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("source"), Argument::key("destination").key_spec(1)],
    deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
    examples: &[
        "> RPUSH ring a b c\n(integer) 3\n> RPOPLPUSH ring ring\n\"c\"\n> LRANGE ring 0 -1\n1) \"c\"\n2) \"a\"\n3) \"b\"",
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
                > RPUSH a 1 2 3
                (integer) 3
                > LMOVE a b right left
                "3"
                > RPOPLPUSH a b
                "2"
                > LMOVE b b LEFT RIGHT
                "2"
                > LMOVE b b LEFT LEFT
                "3"
                > LRANGE b 0 -1
                1) "3"
                2) "2"
                > RPOPLPUSH a b
                "1"
                > LMOVE a b LEFT RIGHT
                (nil)
                > RPOPLPUSH a b
                (nil)
                > EXISTS a
                (integer) 0
                ~ journal
                RPUSH a 1 2 3
                LMOVE a b right left
                RPOPLPUSH a b
                LMOVE b b LEFT RIGHT
                LMOVE b b LEFT LEFT
                RPOPLPUSH a b
                ~ events
                rpush a
                lpush b
                rpop a
                lpush b
                rpop a
                rpush b
                lpop b
                lpush b
                lpop b
                lpush b
                rpop a
                del a
            "#,
            );
        }
    }

    #[test]
    fn a_single_element_turns_on_the_spot() {
        check(
            r#"
            > RPUSH a 1
            (integer) 1
            > RPOPLPUSH a a
            "1"
            > LRANGE a 0 -1
            1) "1"
            > OBJECT ENCODING a
            "listpack"
        "#,
        );
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > SET s v
            OK
            > RPUSH l a
            (integer) 1
            > LMOVE s l UP LEFT
            (error) ERR syntax error
            > LMOVE s l LEFT DOWN
            (error) ERR syntax error
            > LMOVE none s LEFT LEFT
            (nil)
            > LMOVE s l LEFT LEFT
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LMOVE l s LEFT LEFT
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > RPOPLPUSH l s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LRANGE l 0 -1
            1) "a"
            ~ journal
            SET s v
            RPUSH l a
        "#,
        );
    }
}
