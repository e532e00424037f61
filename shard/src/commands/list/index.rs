//! Commands that read a list by position: LINDEX LLEN LRANGE LPOS.
//!
//! Path: `shard::Shard::execute` -> here -> `types::list`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::indices;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::list::{Element, List};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::READONLY,
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &LINDEX,
            ..CommandSpec::new("lindex", Group::List)
        },
        run: Run::Read(lindex),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &LLEN,
            ..CommandSpec::new("llen", Group::List)
        },
        run: Run::Read(llen),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::READONLY,
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &LRANGE,
            ..CommandSpec::new("lrange", Group::List)
        },
        run: Run::Read(lrange),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::LIST,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &LPOS,
            ..CommandSpec::new("lpos", Group::List)
        },
        run: Run::Read(lpos),
    },
];
const _: () = check(COMMANDS);

fn lindex(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let Some(list) = ctx.get::<List>(args.key()?)? else {
        reply.null();
        return Ok(());
    };
    match indices::position(args.integer()?, list.len()).and_then(|index| list.get(index)) {
        Some(element) => reply.bulk(&element.text()),
        None => reply.null(),
    }
    Ok(())
}

fn llen(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    reply.integer(ctx.get::<List>(args.key()?)?.map_or(0, List::len) as i64);
    Ok(())
}

fn lrange(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let (key, first, last) = (args.key()?, args.integer()?, args.integer()?);
    let Some(list) = ctx.get::<List>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let range = indices::span(first, last, list.len());
    reply.array(range.len());
    list.range(range).for_each(|element| reply.bulk(&element.text()));
    Ok(())
}

/// Options of LPOS.
struct Search {
    /// Which match is the first that counts, from 1 on.
    rank: usize,
    /// Whether the search goes from the tail to the head.
    is_backward: bool,
    /// How many matches to return, 0 for all; `None` for one that is no array.
    count: Option<usize>,
    /// How many elements to look at, 0 for all.
    len_max: usize,
}

impl Search {
    fn parse(mut args: Args<'_>) -> Result<Self, CommandError> {
        let mut search = Search { rank: 1, is_backward: false, count: None, len_max: 0 };
        while !args.is_empty() {
            if args.take_token("RANK") {
                let rank = args.symmetric()?;
                if rank == 0 {
                    return Err(RANK_ZERO);
                }
                search.rank = rank.unsigned_abs() as usize;
                search.is_backward = rank < 0;
            } else if args.take_token("COUNT") {
                search.count = Some(args.count_or("ERR COUNT can't be negative")?);
            } else if args.take_token("MAXLEN") {
                search.len_max = args.count_or("ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    /// The positions of `element` in `list` that are wanted.
    fn run(&self, list: &List, element: &[u8]) -> Vec<usize> {
        let last = list.len() - 1;
        let (mut forward, mut backward) = (list.iter(), list.iter().rev());
        let element = Element::of(element);
        let elements: &mut dyn Iterator<Item = Element<'_>> =
            if self.is_backward { &mut backward } else { &mut forward };
        let no_limit = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        elements
            .take(no_limit(self.len_max))
            .enumerate()
            .filter(|(_, candidate)| *candidate == element)
            .skip(self.rank - 1)
            .take(no_limit(self.count.unwrap_or(1)))
            .map(|(index, _)| if self.is_backward { last - index } else { index })
            .collect()
    }
}

const RANK_ZERO: CommandError = CommandError::text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
     from the end of the list",
);

/// Finds an element. Reply: a position or null; with COUNT an array of positions.
fn lpos(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let (key, element) = (args.key()?, args.bytes()?);
    let search = Search::parse(args)?;
    let list = ctx.get::<List>(key)?;
    let positions = list.map(|list| search.run(list, element)).unwrap_or_default();
    match (search.count, positions.first()) {
        (Some(_), _) => {
            reply.array(positions.len());
            positions.iter().for_each(|&position| reply.integer(position as i64));
        }
        (None, Some(&position)) => reply.integer(position as i64),
        (None, None) => reply.null(),
    }
    Ok(())
}

const LINDEX: Docs = Docs {
    summary: "Returns the element at a position of a list.",
    since: "1.0.0",
    complexity: "O(1); O(n) in the small form",
    arguments: &[Argument::key("key"), Argument::integer("index")],
    examples: &[
        "> RPUSH q a b c\n(integer) 3\n> LINDEX q 0\n\"a\"\n> LINDEX q -1\n\"c\"\n> LINDEX q 3\n(nil)",
    ],
    ..Docs::NONE
};

const LLEN: Docs = Docs {
    summary: "Returns how many elements a list has.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> RPUSH q a b c\n(integer) 3\n> LLEN q\n(integer) 3\n> LLEN none\n(integer) 0"],
    ..Docs::NONE
};

const LRANGE: Docs = Docs {
    summary: "Returns the elements of a list between two positions, both included.",
    since: "1.0.0",
    complexity: "O(n), n elements returned",
    arguments: &[Argument::key("key"), Argument::integer("start"), Argument::integer("stop")],
    examples: &[
        "> RPUSH q a b c\n(integer) 3\n> LRANGE q 0 1\n1) \"a\"\n2) \"b\"\n> LRANGE q -2 -1\n1) \"b\"\n2) \"c\"",
    ],
    ..Docs::NONE
};

const LPOS: Docs = Docs {
    summary: "Returns the positions of an element in a list.",
    since: "6.0.6",
    complexity: "O(n), n elements looked at",
    arguments: &[
        Argument::key("key"),
        Argument::string("element"),
        Argument::integer("rank").token("RANK").optional(),
        Argument::integer("num-matches").token("COUNT").optional(),
        Argument::integer("len").token("MAXLEN").optional(),
    ],
    examples: &[
        "> RPUSH q a b c b\n(integer) 4\n> LPOS q b\n(integer) 1\n> LPOS q b RANK -1\n(integer) 3\n> LPOS q b COUNT 0\n1) (integer) 1\n2) (integer) 3",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn positions_count_from_either_end() {
        for list_max_listpack_size in [1, -2] {
            check_with(
                Options { list_max_listpack_size, ..options() },
                r#"
                > RPUSH q a b c
                (integer) 3
                > LINDEX q 2
                "c"
                > LINDEX q -3
                "a"
                > LINDEX q -4
                (nil)
                > LINDEX q -9223372036854775808
                (nil)
                > LRANGE q 1 1
                1) "b"
                > LRANGE q -100 100
                1) "a"
                2) "b"
                3) "c"
                > LRANGE q 2 1
                (empty array)
                > LRANGE q -9223372036854775808 9223372036854775807
                1) "a"
                2) "b"
                3) "c"
            "#,
            );
        }
    }

    #[test]
    fn what_is_checked_first() {
        check(
            r#"
            > LINDEX none x
            (nil)
            > LRANGE none 0 x
            (error) ERR value is not an integer or out of range
            > LRANGE none 0 1
            (empty array)
            > SET s v
            OK
            > LINDEX s x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LRANGE s x 1
            (error) ERR value is not an integer or out of range
            > LRANGE s 0 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LLEN s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LPOS s v RANK 0
            (error) ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
            > LPOS s v
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn lpos_reads_its_options() {
        for list_max_listpack_size in [1, -2] {
            check_with(
                Options { list_max_listpack_size, ..options() },
                r#"
                > RPUSH q a b c 1 2 3 c c
                (integer) 8
                > LPOS q c
                (integer) 2
                > LPOS q c RANK 3
                (integer) 7
                > LPOS q c RANK 4
                (nil)
                > LPOS q c RANK -3
                (integer) 2
                > LPOS q c COUNT 2
                1) (integer) 2
                2) (integer) 6
                > LPOS q c COUNT 0 RANK -1
                1) (integer) 7
                2) (integer) 6
                3) (integer) 2
                > LPOS q c COUNT 0 RANK 9223372036854775807
                (empty array)
                > LPOS q c MAXLEN 2
                (nil)
                > LPOS q c MAXLEN 3 COUNT 0
                1) (integer) 2
                > LPOS q c RANK -1 MAXLEN 1 COUNT 0
                1) (integer) 7
                > LPOS q c MAXLEN 0 RANK 2
                (integer) 6
                > LPOS q none COUNT 0
                (empty array)
                > LPOS none c
                (nil)
                > LPOS none c COUNT 1
                (empty array)
                > LPOS q c RANK x
                (error) ERR value is not an integer or out of range
                > LPOS q c RANK -9223372036854775808
                (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
                > LPOS q c COUNT -1
                (error) ERR COUNT can't be negative
                > LPOS q c COUNT x
                (error) ERR COUNT can't be negative
                > LPOS q c MAXLEN -1
                (error) ERR MAXLEN can't be negative
                > LPOS q c MAXLEN
                (error) ERR syntax error
                > LPOS q c NONSENSE 1
                (error) ERR syntax error
            "#,
            );
        }
    }
}
