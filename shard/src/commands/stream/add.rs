//! Commands that add entries and set what a stream counts: XADD XSETID; and XLEN.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream::entries`.

use super::arguments::{journal_replaced, parse_id};
use super::trim::TrimArgs;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::stream::id::Sequence;
use crate::types::stream::{BlockLimit, Stream, StreamId};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))
                .noted("UPDATE instead of INSERT because of the optional trimming feature")],
            tips: &["nondeterministic_output"],
            docs: &XADD,
            ..CommandSpec::new("xadd", Group::Stream)
        },
        run: Run::Write(xadd),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &XLEN,
            ..CommandSpec::new("xlen", Group::Stream)
        },
        run: Run::Read(xlen),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &XSETID,
            ..CommandSpec::new("xsetid", Group::Stream)
        },
        run: Run::Write(xsetid),
    },
];
const _: () = check(COMMANDS);

/// Bytes of all fields and values of one entry, as in Redis.
const ENTRY_LEN_MAX: usize = 1 << 30;

/// An id that is not above all others.
const ID_TOO_SMALL: CommandError = CommandError::text(
    "ERR The ID specified in XADD is equal or smaller than the target stream top item",
);

/// Adds an entry, and trims the stream if asked to. Reply: the id. Journal: with the id in full, and with the threshold
/// that trimming has reached.
fn xadd(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let argv = args.argv();
    let options = TrimArgs::of_add(ctx, argv)?;
    let items = argv.iter().skip(options.id_index + 1);
    let item_count = argv.len().saturating_sub(options.id_index + 1);
    if item_count < 2 || item_count % 2 == 1 {
        return Err(CommandError::WrongArity(Cow::Borrowed("xadd")));
    }
    if matches!(options.id, Some((0, Sequence::Given(0) | Sequence::Missing))) {
        return Err(CommandError::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = argv.get(1).ok_or(CommandError::Syntax)?;
    if options.is_existing_only && ctx.get::<Stream>(key)?.is_none() {
        reply.null();
        return Ok(Written::unchanged());
    }
    let limit = BlockLimit::from(ctx.options);
    let now_ms = ctx.now.unix_ms();
    let mut stream = ctx.get_or_create::<Stream>(key)?;
    let id = new_id(options.id, stream.entries.last_id(), now_ms)?;
    if items.clone().map(<[u8]>::len).sum::<usize>() > ENTRY_LEN_MAX {
        return Err(CommandError::text("ERR Elements are too large to be stored"));
    }
    stream.entries.push(id, item_count / 2, items, limit);
    let trimmed_count = options.trim.map_or(0, |trim| stream.entries.trim(trim));
    let reached = options.reached(&stream.entries);
    drop(stream);

    let id_text = id.text();
    reply.bulk(&id_text);
    ctx.changed(key, Event::XADD);
    if trimmed_count > 0 {
        ctx.notify(key, Event::XTRIM);
    }
    let is_id_open = !matches!(options.id, Some((_, Sequence::Given(_) | Sequence::Missing)));
    if !is_id_open && reached.is_none() {
        return Ok(Written::reported());
    }
    let mut replaced: SmallVec<[(usize, &[u8]); 3]> = SmallVec::new();
    if is_id_open {
        replaced.push((options.id_index, &id_text));
    }
    if let Some(reached) = &reached {
        replaced.extend(reached.arguments());
    }
    journal_replaced(ctx, argv, &replaced);
    Ok(Written::reported().journaled())
}

/// The id of a new entry behind `last`, as far as the client leaves it open.
fn new_id(
    given: Option<(u64, Sequence)>,
    last: StreamId,
    now_ms: i64,
) -> Result<StreamId, CommandError> {
    if last == StreamId::MAX {
        return Err(CommandError::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match given {
        Some((ms, Sequence::Given(seq))) => StreamId { ms, seq },
        Some((ms, Sequence::Missing)) => StreamId { ms, seq: 0 },
        Some((ms, Sequence::Auto)) if ms == last.ms => {
            StreamId { ms, seq: last.seq.checked_add(1).ok_or(ID_TOO_SMALL)? }
        }
        Some((ms, Sequence::Auto)) => StreamId { ms, seq: 0 },
        None => {
            let ms = u64::try_from(now_ms).unwrap_or(0);
            // The clock may have gone back.
            if ms > last.ms { StreamId { ms, seq: 0 } } else { last.next().unwrap_or(last) }
        }
    };
    if id > last { Ok(id) } else { Err(ID_TOO_SMALL) }
}

/// Counts the entries of a stream. Reply: integer.
fn xlen(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let stream = ctx.get::<Stream>(args.key()?)?;
    reply.integer(stream.map_or(0, |stream| stream.entries.len() as i64));
    Ok(())
}

/// Sets the last id of a stream and what it counts. Reply: OK. Journal: verbatim.
fn xsetid(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let id = parse_id(args.bytes()?)?;
    let mut added_count = None;
    let mut max_deleted_id = StreamId::MIN;
    while let Some(word) = args.peek() {
        args.skip();
        if word.eq_ignore_ascii_case(b"ENTRIESADDED") && !args.is_empty() {
            let count = number::parse_i64(args.bytes()?).ok_or(CommandError::NotInteger)?;
            added_count = Some(
                u64::try_from(count)
                    .map_err(|_| CommandError::text("ERR entries_added must be positive"))?,
            );
        } else if word.eq_ignore_ascii_case(b"MAXDELETEDID") && !args.is_empty() {
            max_deleted_id = parse_id(args.bytes()?)?;
            if id < max_deleted_id {
                return Err(CommandError::text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mut stream = ctx.get_mut::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
    let entries = &mut stream.entries;
    if id < entries.max_deleted_id() {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if entries.last_live_id().is_some_and(|last| id < last) {
        return Err(CommandError::text(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if !entries.is_empty() && added_count.is_some_and(|count| (entries.len() as u64) > count) {
        return Err(CommandError::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    let max_deleted_id = Some(max_deleted_id).filter(|id| *id != StreamId::MIN);
    entries.set_figures(id, added_count, max_deleted_id);
    drop(stream);
    reply.ok();
    ctx.changed_aside(key, Event::XSETID);
    Ok(Written::reported())
}

const XADD: Docs = Docs {
    summary: "Adds an entry to a stream, and makes the stream if there is none.",
    since: "5.0.0",
    complexity: "O(1), and O(n) for n entries trimmed",
    arguments: &[
        Argument::key("key"),
        Argument::word("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
        Argument::block(
            "trim",
            &[
                Argument::one_of(
                    "strategy",
                    &[
                        Argument::word("maxlen", "MAXLEN"),
                        Argument::word("minid", "MINID").since("6.2.0"),
                    ],
                ),
                Argument::one_of(
                    "operator",
                    &[Argument::word("equal", "="), Argument::word("approximately", "~")],
                )
                .optional(),
                Argument::string("threshold"),
                Argument::integer("count").token("LIMIT").optional().since("6.2.0"),
            ],
        )
        .optional(),
        Argument::one_of("id-selector", &[Argument::word("auto-id", "*"), Argument::string("id")]),
        Argument::block("data", &[Argument::string("field"), Argument::string("value")]).repeated(),
    ],
    examples: &[
        "> XADD trades 1700000000000-0 price 101.25 size 300\n\"1700000000000-0\"\n> XADD trades 1700000000000-* price 101.5 size 100\n\"1700000000000-1\"\n> XADD trades MAXLEN 2 1700000000007 price 101.5 size 200\n\"1700000000007-0\"\n> XLEN trades\n(integer) 2",
        "> XADD none NOMKSTREAM * f v\n(nil)",
    ],
    ..Docs::NONE
};

const XLEN: Docs = Docs {
    summary: "Counts the entries of a stream.",
    since: "5.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XLEN log\n(integer) 1\n> XLEN none\n(integer) 0",
    ],
    ..Docs::NONE
};

const XSETID: Docs = Docs {
    summary: "Sets the last id of a stream and what it counts; for replication and for rebuilding streams.",
    since: "5.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::string("last-id"),
        Argument::integer("entries-added").token("ENTRIESADDED").optional().since("7.0.0"),
        Argument::string("max-deleted-id").token("MAXDELETEDID").optional().since("7.0.0"),
    ],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XSETID log 5-0 ENTRIESADDED 3\nOK\n> XADD log 4-0 line second\n(error) ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn ids_are_made_from_the_clock_and_grow() {
        check(
            r#"
            > XADD s * f v
            "1700000000000-0"
            > XADD s * f v
            "1700000000000-1"
            ~ advance 3ms
            > XADD s * f v
            "1700000000003-0"
            > XADD s 1700000000009 f v
            "1700000000009-0"
            > XADD s * f v
            "1700000000009-1"
            > XADD s 1700000000009-* f v
            "1700000000009-2"
            > XADD s 1700000000008-* f v
            (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
            > XADD s 1700000000010-* f v
            "1700000000010-0"
            > XADD t 0-* f v
            "0-1"
            > XADD t 0-0 f v
            (error) ERR The ID specified in XADD must be greater than 0-0
            > XADD t 0 f v
            (error) ERR The ID specified in XADD must be greater than 0-0
            > XADD t 5-18446744073709551615 f v
            "5-18446744073709551615"
            > XADD t 5-* f v
            (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
            > XADD t 18446744073709551615-18446744073709551615 f v
            "18446744073709551615-18446744073709551615"
            > XADD t * f v
            (error) ERR The stream has exhausted the last possible ID, unable to add more items
            ~ journal
            XADD s 1700000000000-0 f v
            XADD s 1700000000000-1 f v
            XADD s 1700000000003-0 f v
            XADD s 1700000000009 f v
            XADD s 1700000000009-1 f v
            XADD s 1700000000009-2 f v
            XADD s 1700000000010-0 f v
            XADD t 0-1 f v
            XADD t 5-18446744073709551615 f v
            XADD t 18446744073709551615-18446744073709551615 f v
        "#,
        );
    }

    #[test]
    fn mistakes_are_found_in_the_order_of_redis() {
        check(
            r#"
            > XADD s * f v g
            (error) ERR wrong number of arguments for 'xadd' command
            > XADD s MAXLEN 5 NOMKSTREAM nomkstream
            (error) ERR wrong number of arguments for 'xadd' command
            > XADD s x f v
            (error) ERR Invalid stream ID specified as stream command argument
            > XADD s + f v
            (error) ERR Invalid stream ID specified as stream command argument
            > XADD s MAXLEN x 1-0 f v
            (error) ERR value is not an integer or out of range
            > XADD s LIMIT 5 * f v
            (error) ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
            > SET text x
            OK
            > XADD text NOMKSTREAM * f v
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XADD text * f v
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XADD text * f
            (error) ERR wrong number of arguments for 'xadd' command
            > XADD none nomkstream maxlen 3 1-1 f v
            (nil)
            > XADD s nomkstream 1-1 f
            (error) ERR wrong number of arguments for 'xadd' command
            > EXISTS s none
            (integer) 0
        "#,
        );
    }

    #[test]
    fn figures_are_set_within_reason() {
        check(
            r#"
            > XSETID s 1-1
            (error) ERR no such key
            > XADD s 3-0 f v
            "3-0"
            > XADD s 4-0 f v
            "4-0"
            > XSETID s 3-5
            (error) ERR The ID specified in XSETID is smaller than the target stream top item
            > XSETID s 9-0 ENTRIESADDED 1
            (error) ERR The entries_added specified in XSETID is smaller than the target stream length
            > XSETID s 9-0 ENTRIESADDED -1
            (error) ERR entries_added must be positive
            > XSETID s 9-0 ENTRIESADDED
            (error) ERR syntax error
            > XSETID s 9-0 MAXDELETEDID 10-0
            (error) ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id
            > XSETID s 9-0 ENTRIESADDED 7 MAXDELETEDID 8-0
            OK
            > XSETID s 7-0
            (error) ERR The ID specified in XSETID is smaller than current max_deleted_entry_id
            > XSETID s - ENTRIESADDED 1
            (error) ERR Invalid stream ID specified as stream command argument
            > XINFO STREAM s
             1) "length"
             2) (integer) 2
             3) "radix-tree-keys"
             4) (integer) 1
             5) "radix-tree-nodes"
             6) (integer) 2
             7) "last-generated-id"
             8) "9-0"
             9) "max-deleted-entry-id"
            10) "8-0"
            11) "entries-added"
            12) (integer) 7
            13) "recorded-first-entry-id"
            14) "3-0"
            15) "groups"
            16) (integer) 0
            17) "first-entry"
            18) 1) "3-0"
                2) 1) "f"
                   2) "v"
            19) "last-entry"
            20) 1) "4-0"
                2) 1) "f"
                   2) "v"
        "#,
        );
    }
}
