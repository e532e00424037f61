//! Commands on whole databases: DBSIZE FLUSHDB FLUSHALL SWAPDB.
//!
//! Path: `shard::Shard::execute` on every shard -> here -> `keyspace`. Emptying a database takes no time whatever its
//! size: the entries are freed behind, by `Shard::free_cycle`, whether the client says SYNC or ASYNC.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Body, Command, Merge, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};
use protocol::number::parse_i64;
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            tips: &["request_policy:all_shards", "response_policy:agg_sum"],
            docs: &DBSIZE,
            ..CommandSpec::new("dbsize", Group::Server)
        },
        run: Run::EveryShard { body: Body::Read(dbsize), merge: Merge::Sum },
    },
    Command {
        spec: CommandSpec {
            arity: -1,
            flags: Flags::WRITE,
            categories: Categories::of(&[Categories::DANGEROUS, Categories::KEYSPACE]),
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            docs: &FLUSHDB,
            ..CommandSpec::new("flushdb", Group::Server)
        },
        run: Run::EveryShard { body: Body::Write(flushdb), merge: Merge::AllOk },
    },
    Command {
        spec: CommandSpec {
            arity: -1,
            flags: Flags::WRITE,
            categories: Categories::of(&[Categories::DANGEROUS, Categories::KEYSPACE]),
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            docs: &FLUSHALL,
            ..CommandSpec::new("flushall", Group::Server)
        },
        run: Run::EveryShard { body: Body::Write(flushall), merge: Merge::AllOk },
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::of(&[Categories::DANGEROUS, Categories::KEYSPACE]),
            docs: &SWAPDB,
            ..CommandSpec::new("swapdb", Group::Server)
        },
        run: Run::EveryShard { body: Body::Write(swapdb), merge: Merge::AllOk },
    },
];
const _: () = check(COMMANDS);

/// Counts keys, expired ones that nobody has met yet included.
fn dbsize(
    ctx: &ReadContext<'_>,
    _args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    reply.integer(ctx.db.len() as i64);
    Ok(())
}

/// Empties the selected database. Reply: OK. Journal: verbatim.
fn flushdb(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    check_flush_type(args)?;
    ctx.flush(ctx.db_index);
    reply.ok();
    Ok(Written::reported())
}

/// Empties all databases. Reply: OK. Journal: verbatim.
fn flushall(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    check_flush_type(args)?;
    for db in (0..ctx.keyspace.database_count()).map_while(|db| u16::try_from(db).ok()) {
        ctx.flush(db);
    }
    reply.ok();
    Ok(Written::reported())
}

/// `[ASYNC | SYNC]`, which makes no difference here.
fn check_flush_type(mut args: Args<'_>) -> Result<(), CommandError> {
    let is_known = args.is_empty() || args.take_token("ASYNC") || args.take_token("SYNC");
    if is_known && args.is_empty() { Ok(()) } else { Err(CommandError::Syntax) }
}

/// Exchanges two databases. Reply: OK. Journal: verbatim.
fn swapdb(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let first = parse_int(args.bytes()?, Some("ERR invalid first DB index"))?;
    let second = parse_int(args.bytes()?, Some("ERR invalid second DB index"))?;
    let database_count = ctx.keyspace.database_count();
    ctx.swap(check_index(first, database_count)?, check_index(second, database_count)?);
    reply.ok();
    Ok(Written::reported())
}

/// Reads the index of a database.
pub(super) fn parse_index(text: &[u8], database_count: usize) -> Result<u16, CommandError> {
    check_index(parse_int(text, None)?, database_count)
}

fn check_index(index: i32, database_count: usize) -> Result<u16, CommandError> {
    let index = u16::try_from(index).ok().filter(|&index| usize::from(index) < database_count);
    index.ok_or(CommandError::text("ERR DB index is out of range"))
}

/// Reads a 32-bit integer; `error` replaces the usual ones.
fn parse_int(text: &[u8], error: Option<&'static str>) -> Result<i32, CommandError> {
    let error = |usual| error.map_or(usual, CommandError::text);
    let integer = parse_i64(text).ok_or_else(|| error(CommandError::NotInteger))?;
    i32::try_from(integer).map_err(|_| {
        error(CommandError::text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ))
    })
}

const DBSIZE: Docs = Docs {
    summary: "Counts the keys of the selected database.",
    since: "1.0.0",
    complexity: "O(1)",
    examples: &["> SET a 1\nOK\n> DBSIZE\n(integer) 1"],
    ..Docs::NONE
};

const FLUSHDB: Docs = Docs {
    summary: "Removes all keys of the selected database.",
    since: "1.0.0",
    complexity: "O(1); the memory is freed behind",
    arguments: &[Argument::one_of(
        "flush-type",
        &[
            Argument::word("async", "ASYNC").since("4.0.0"),
            Argument::word("sync", "SYNC").since("6.2.0"),
        ],
    )
    .optional()],
    examples: &["> SET a 1\nOK\n> FLUSHDB\nOK\n> DBSIZE\n(integer) 0"],
    ..Docs::NONE
};

const FLUSHALL: Docs = Docs {
    summary: "Removes all keys of all databases.",
    since: "1.0.0",
    complexity: "O(databases); the memory is freed behind",
    arguments: &[Argument::one_of(
        "flush-type",
        &[
            Argument::word("async", "ASYNC").since("4.0.0"),
            Argument::word("sync", "SYNC").since("6.2.0"),
        ],
    )
    .optional()],
    examples: &["> SET a 1\nOK\n> FLUSHALL\nOK\n> DBSIZE\n(integer) 0"],
    ..Docs::NONE
};

const SWAPDB: Docs = Docs {
    summary: "Exchanges two databases.",
    since: "4.0.0",
    complexity: "O(1), and O(clients that wait for a key of one)",
    arguments: &[Argument::integer("index1"), Argument::integer("index2")],
    examples: &["> SET a 1\nOK\n> SWAPDB 0 1\nOK\n> DBSIZE\n(integer) 0"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn one_database_is_emptied_or_all() {
        check(
            r#"
            > SET a 1
            OK
            > SELECT 1
            OK
            > SET b 1
            OK
            > FLUSHDB ASYNC
            OK
            > DBSIZE
            (integer) 0
            > SELECT 0
            OK
            > DBSIZE
            (integer) 1
            > FLUSHALL sync
            OK
            > GET a
            (nil)
            ~ journal
            SET a 1
            SELECT 1
            SET b 1
            FLUSHDB ASYNC
            SELECT 0
            FLUSHALL sync
        "#,
        );
    }

    #[test]
    fn only_one_flush_type_is_understood() {
        check(
            r#"
            > FLUSHDB SYNC ASYNC
            (error) ERR syntax error
            > FLUSHALL NOW
            (error) ERR syntax error
        "#,
        );
    }

    #[test]
    fn a_swap_needs_two_indices() {
        check(
            r#"
            > SET a 1
            OK
            > SWAPDB 0 3
            OK
            > SELECT 3
            OK
            > GET a
            "1"
            > SWAPDB 3 3
            OK
            > GET a
            "1"
            > SWAPDB x 0
            (error) ERR invalid first DB index
            > SWAPDB 0 99999999999
            (error) ERR invalid second DB index
            > SWAPDB 16 0
            (error) ERR DB index is out of range
            > SWAPDB 0 -1
            (error) ERR DB index is out of range
        "#,
        );
    }
}
