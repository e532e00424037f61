//! What a stream, its groups and their consumers are like: XINFO STREAM, GROUPS, CONSUMERS, HELP.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream`.

use super::arguments::{
    count_or_all, no_group_of_key, reply_entries, reply_entry, reply_id, wrong_subcommand,
};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::stream::{self, Consumer, Stream, StreamId};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use protocol::request::Argv;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -2,
        docs: &XINFO,
        subcommands: &[
            CommandSpec {
                arity: 4,
                flags: Flags::READONLY,
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, 0, 1)],
                tips: &["nondeterministic_output"],
                docs: &XINFO_CONSUMERS,
                ..CommandSpec::new("consumers", Group::Stream)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, 0, 1)],
                docs: &XINFO_GROUPS,
                ..CommandSpec::new("groups", Group::Stream)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                categories: Categories::STREAM,
                docs: &XINFO_HELP,
                ..CommandSpec::new("help", Group::Stream)
            },
            CommandSpec {
                arity: -3,
                flags: Flags::READONLY,
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, 0, 1)],
                docs: &XINFO_STREAM,
                ..CommandSpec::new("stream", Group::Stream)
            },
        ],
        ..CommandSpec::new("xinfo", Group::Stream)
    },
    run: Run::Read(xinfo),
}];
const _: () = check(COMMANDS);

/// Entries and pending entries XINFO STREAM FULL shows, unless COUNT says otherwise.
const COUNT_DEFAULT: i64 = 10;

/// What XINFO HELP replies.
const HELP_LINES: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Shows the consumers of a group.",
    "GROUPS <key>",
    "    Shows the groups of a stream.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Shows what a stream is like.",
    "HELP",
    "    These lines.",
];

/// Runs a subcommand, which the dispatcher has found to exist and to have enough arguments.
fn xinfo(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    if args.take_token("HELP") {
        reply.array(HELP_LINES.len());
        HELP_LINES.iter().for_each(|line| reply.status(line));
        return Ok(());
    }
    let word = args.bytes()?.to_ascii_lowercase();
    let key = args.key()?;
    let stream = ctx.get::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    match &*word {
        b"groups" => groups(stream, reply),
        b"consumers" => {
            let name = args.bytes()?;
            let group = stream.groups.get(name).ok_or_else(|| no_group_of_key(key, name))?;
            consumers(group, ctx.now.unix_ms(), reply);
        }
        _ => match full_count(args.argv())? {
            None => summary(stream, reply),
            Some(count) => full(stream, count, reply),
        },
    }
    Ok(())
}

/// Reads `[FULL [COUNT n]]`; `None` if it is not there.
fn full_count(argv: Argv<'_>) -> Result<Option<i64>, CommandError> {
    let is = |index: usize, token: &[u8]| {
        argv.get(index).is_some_and(|word| word.eq_ignore_ascii_case(token))
    };
    match argv.len() {
        3 => Ok(None),
        4 if is(3, b"FULL") => Ok(Some(COUNT_DEFAULT)),
        6 if is(3, b"FULL") && is(4, b"COUNT") => {
            let count = argv.get(5).and_then(number::parse_i64).ok_or(CommandError::NotInteger)?;
            Ok(Some(if count < 0 { COUNT_DEFAULT } else { count }))
        }
        _ => Err(wrong_subcommand(argv)),
    }
}

/// What STREAM and STREAM FULL begin with, in a map of `pair_count` pairs.
fn figures(stream: &Stream, pair_count: usize, reply: &mut Writer<'_>) {
    let entries = &stream.entries;
    reply.map(pair_count);
    reply.bulk(b"length");
    reply.integer(entries.len() as i64);
    reply.bulk(b"radix-tree-keys");
    reply.integer(entries.block_count() as i64);
    reply.bulk(b"radix-tree-nodes");
    reply.integer(entries.radix_node_count() as i64);
    reply.bulk(b"last-generated-id");
    reply_id(reply, entries.last_id());
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, entries.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.integer(entries.added_count() as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, entries.first_id());
}

fn summary(stream: &Stream, reply: &mut Writer<'_>) {
    figures(stream, 10, reply);
    reply.bulk(b"groups");
    reply.integer(stream.groups.len() as i64);
    let entries = &stream.entries;
    let first = entries.range(StreamId::MIN, StreamId::MAX).next();
    let last = entries.range_back(StreamId::MIN, StreamId::MAX).next();
    for (name, entry) in [(b"first-entry".as_slice(), first), (b"last-entry", last)] {
        reply.bulk(name);
        match entry {
            Some(entry) => reply_entry(reply, entry),
            None => reply.null(),
        }
    }
}

fn full(stream: &Stream, count: i64, reply: &mut Writer<'_>) {
    let count = count_or_all(count);
    figures(stream, 9, reply);
    reply.bulk(b"entries");
    reply_entries(reply, stream.entries.range(StreamId::MIN, StreamId::MAX).take(count));
    reply.bulk(b"groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id);
        position(stream, group, reply);
        reply.bulk(b"pel-count");
        reply.integer(group.pending_count() as i64);
        reply.bulk(b"pending");
        reply.array(group.pending_count().min(count));
        for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX).take(count) {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.integer(pending.delivered_at_ms);
            reply.integer(pending.delivery_count);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumers().len());
        group.consumers().for_each(|consumer| full_consumer(group, consumer, count, reply));
    }
}

fn full_consumer(group: &stream::Group, consumer: &Consumer, count: usize, reply: &mut Writer<'_>) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen_at_ms);
    reply.bulk(b"active-time");
    reply.integer(consumer.active_at_ms);
    reply.bulk(b"pel-count");
    reply.integer(consumer.pending_count() as i64);
    reply.bulk(b"pending");
    reply.array(consumer.pending_count().min(count));
    for id in consumer.pending(StreamId::MIN..=StreamId::MAX).take(count) {
        let pending = group.pending_at(id).expect("the consumer has it");
        reply.array(3);
        reply_id(reply, id);
        reply.integer(pending.delivered_at_ms);
        reply.integer(pending.delivery_count);
    }
}

/// How many entries a group has read, and how many it has before it.
fn position(stream: &Stream, group: &stream::Group, reply: &mut Writer<'_>) {
    for (name, count) in
        [(b"entries-read".as_slice(), group.entries_read), (b"lag", stream.lag(group))]
    {
        reply.bulk(name);
        match count {
            Some(count) => reply.integer(count),
            None => reply.null(),
        }
    }
}

fn groups(stream: &Stream, reply: &mut Writer<'_>) {
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.integer(group.consumers().len() as i64);
        reply.bulk(b"pending");
        reply.integer(group.pending_count() as i64);
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id);
        position(stream, group, reply);
    }
}

fn consumers(group: &stream::Group, now_ms: i64, reply: &mut Writer<'_>) {
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        let inactive_ms = match consumer.active_at_ms {
            -1 => -1,
            active_at_ms => now_ms.wrapping_sub(active_at_ms),
        };
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.integer(consumer.pending_count() as i64);
        reply.bulk(b"idle");
        reply.integer(now_ms.wrapping_sub(consumer.seen_at_ms).max(0));
        reply.bulk(b"inactive");
        reply.integer(inactive_ms);
    }
}

const XINFO: Docs = Docs {
    summary: "Tells what a stream and its groups are like; a container.",
    since: "5.0.0",
    complexity: "Depends on the subcommand",
    ..Docs::NONE
};

const XINFO_CONSUMERS: Docs = Docs {
    summary: "Describes the consumers of a group.",
    since: "5.0.0",
    complexity: "O(c), c consumers",
    arguments: &[Argument::key("key"), Argument::string("group")],
    examples: &[
        "> XGROUP CREATE jobs painters $ MKSTREAM\nOK\n> XINFO CONSUMERS jobs painters\n(empty array)\n> XINFO CONSUMERS jobs dryers\n(error) NOGROUP No such consumer group 'dryers' for key name 'jobs'",
    ],
    ..Docs::NONE
};

const XINFO_GROUPS: Docs = Docs {
    summary: "Describes the groups of a stream.",
    since: "5.0.0",
    complexity: "O(g), g groups",
    arguments: &[Argument::key("key")],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XGROUP CREATE jobs painters 0\nOK\n> XINFO GROUPS jobs\n1)  1) \"name\"\n    2) \"painters\"\n    3) \"consumers\"\n    4) (integer) 0\n    5) \"pending\"\n    6) (integer) 0\n    7) \"last-delivered-id\"\n    8) \"0-0\"\n    9) \"entries-read\"\n   10) (nil)\n   11) \"lag\"\n   12) (integer) 1",
    ],
    ..Docs::NONE
};

const XINFO_HELP: Docs = Docs {
    summary: "Lists the subcommands of XINFO.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const XINFO_STREAM: Docs = Docs {
    summary: "Describes a stream, and with FULL what is in it.",
    since: "5.0.0",
    complexity: "O(1); with FULL O(n), n entries and pending entries shown",
    arguments: &[
        Argument::key("key"),
        Argument::block(
            "full-block",
            &[Argument::word("full", "FULL"), Argument::integer("count").token("COUNT").optional()],
        )
        .optional(),
    ],
    examples: &[
        "> XGROUP CREATE jobs painters $ MKSTREAM\nOK\n> XINFO STREAM jobs FULL\n 1) \"length\"\n 2) (integer) 0\n 3) \"radix-tree-keys\"\n 4) (integer) 0\n 5) \"radix-tree-nodes\"\n 6) (integer) 1\n 7) \"last-generated-id\"\n 8) \"0-0\"\n 9) \"max-deleted-entry-id\"\n10) \"0-0\"\n11) \"entries-added\"\n12) (integer) 0\n13) \"recorded-first-entry-id\"\n14) \"0-0\"\n15) \"entries\"\n16) (empty array)\n17) \"groups\"\n18) 1)  1) \"name\"\n        2) \"painters\"\n        3) \"last-delivered-id\"\n        4) \"0-0\"\n        5) \"entries-read\"\n        6) (nil)\n        7) \"lag\"\n        8) (integer) 0\n        9) \"pel-count\"\n       10) (integer) 0\n       11) \"pending\"\n       12) (empty array)\n       13) \"consumers\"\n       14) (empty array)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn consumers_are_seen_and_active() {
        check(
            r#"
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XGROUP CREATECONSUMER s g alice
            (integer) 1
            ~ advance 10ms
            > XREADGROUP GROUP g bob STREAMS s >
            (nil)
            > XADD s 1-0 f v
            "1-0"
            > XREADGROUP GROUP g carl STREAMS s >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
            ~ advance 5ms
            > XINFO CONSUMERS s g
            1) 1) "name"
               2) "alice"
               3) "pending"
               4) (integer) 0
               5) "idle"
               6) (integer) 15
               7) "inactive"
               8) (integer) -1
            2) 1) "name"
               2) "bob"
               3) "pending"
               4) (integer) 0
               5) "idle"
               6) (integer) 5
               7) "inactive"
               8) (integer) -1
            3) 1) "name"
               2) "carl"
               3) "pending"
               4) (integer) 1
               5) "idle"
               6) (integer) 5
               7) "inactive"
               8) (integer) 5
            # resp3
            > XINFO STREAM s FULL COUNT 1
            1# "length" => (integer) 1
            2# "radix-tree-keys" => (integer) 1
            3# "radix-tree-nodes" => (integer) 2
            4# "last-generated-id" => "1-0"
            5# "max-deleted-entry-id" => "0-0"
            6# "entries-added" => (integer) 1
            7# "recorded-first-entry-id" => "1-0"
            8# "entries" =>
               1) 1) "1-0"
                  2) 1) "f"
                     2) "v"
            9# "groups" =>
               1) 1# "name" => "g"
                  2# "last-delivered-id" => "1-0"
                  3# "entries-read" => (integer) 1
                  4# "lag" => (integer) 0
                  5# "pel-count" => (integer) 1
                  6# "pending" =>
                     1) 1) "1-0"
                        2) "carl"
                        3) (integer) 1700000000010
                        4) (integer) 1
                  7# "consumers" =>
                     1) 1# "name" => "alice"
                        2# "seen-time" => (integer) 1700000000000
                        3# "active-time" => (integer) -1
                        4# "pel-count" => (integer) 0
                        5# "pending" => (empty array)
                     2) 1# "name" => "bob"
                        2# "seen-time" => (integer) 1700000000010
                        3# "active-time" => (integer) -1
                        4# "pel-count" => (integer) 0
                        5# "pending" => (empty array)
                     3) 1# "name" => "carl"
                        2# "seen-time" => (integer) 1700000000010
                        3# "active-time" => (integer) 1700000000010
                        4# "pel-count" => (integer) 1
                        5# "pending" =>
                           1) 1) "1-0"
                              2) (integer) 1700000000010
                              3) (integer) 1
        "#,
        );
    }

    #[test]
    fn mistakes_are_found_behind_the_key() {
        check(
            r#"
            > XINFO STREAM none FULL x
            (error) ERR no such key
            > XINFO GROUPS none
            (error) ERR no such key
            > XINFO CONSUMERS none g
            (error) ERR no such key
            > SET text x
            OK
            > XINFO STREAM text
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XADD s 1-0 f v
            "1-0"
            > XINFO STREAM s FULL COUNT
            (error) ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
            > XINFO stream s HALF
            (error) ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.
            > XINFO STREAM s FULL COUNT x
            (error) ERR value is not an integer or out of range
        "#,
        );
    }
}
