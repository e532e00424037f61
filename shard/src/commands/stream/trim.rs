//! Commands that take entries out of a stream: XTRIM XDEL; and the options that trim, which XADD has too.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream::entries`.

use super::arguments::{journal_replaced, parse_id, parse_ids, parse_new_id};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::stream::id::{IdText, Sequence};
use crate::types::stream::{Entries, Stream, StreamId, Threshold, Trim};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use protocol::request::Argv;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::WRITE,
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            tips: &["nondeterministic_output"],
            docs: &XTRIM,
            ..CommandSpec::new("xtrim", Group::Stream)
        },
        run: Run::Write(xtrim),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &XDEL,
            ..CommandSpec::new("xdel", Group::Stream)
        },
        run: Run::Write(xdel),
    },
];
const _: () = check(COMMANDS);

/// Blocks that trimming with `~` drops at most, unless LIMIT says otherwise.
const BLOCKS_TRIMMED_MAX: u64 = 100;
/// Entries that stand for so many blocks where blocks have no limit of entries.
const TRIMMED_DEFAULT: u64 = 10_000;
/// Entries that trimming with `~` removes at most, unless LIMIT says otherwise.
const TRIMMED_MAX: u64 = 1_000_000;

/// What XADD and XTRIM read before their other arguments.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrimArgs {
    /// How to trim, if at all.
    pub(super) trim: Option<Trim>,
    /// Where the threshold stands.
    threshold_index: usize,
    /// NOMKSTREAM.
    pub(super) is_existing_only: bool,
    /// The id of the new entry; `None` for `*`.
    pub(super) id: Option<(u64, Sequence)>,
    /// Where it stands.
    pub(super) id_index: usize,
}

impl TrimArgs {
    /// Reads the arguments of XADD up to the id.
    pub(super) fn of_add(ctx: &WriteContext<'_>, argv: Argv<'_>) -> Result<Self, CommandError> {
        TrimArgs::read(ctx, argv, true)
    }

    fn of_trim(ctx: &WriteContext<'_>, argv: Argv<'_>) -> Result<Self, CommandError> {
        TrimArgs::read(ctx, argv, false)
    }

    fn read(ctx: &WriteContext<'_>, argv: Argv<'_>, is_add: bool) -> Result<Self, CommandError> {
        let mut found = TrimArgs::default();
        let mut limit = None;
        let mut index = 2;
        while let Some(word) = argv.get(index) {
            let has_next = index + 1 < argv.len();
            let is = |token: &[u8]| has_next && word.eq_ignore_ascii_case(token);
            if is_add && word == b"*" {
                break;
            } else if is(b"maxlen") || is(b"minid") {
                index = found.read_threshold(argv, index)?;
            } else if is(b"limit") {
                index += 1;
                let arg = argv.get(index).and_then(number::parse_i64);
                let given = arg.ok_or(CommandError::NotInteger)?;
                limit = Some(
                    u64::try_from(given)
                        .map_err(|_| CommandError::text("ERR The LIMIT argument must be >= 0."))?,
                );
            } else if is_add && word.eq_ignore_ascii_case(b"nomkstream") {
                found.is_existing_only = true;
            } else if is_add {
                found.id = Some(parse_new_id(word)?);
                break;
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        found.id_index = index;
        found.set_limit(ctx, limit, is_add)?;
        Ok(found)
    }

    /// Reads MAXLEN or MINID, which stands at `index`; returns where its last argument stands.
    fn read_threshold(&mut self, argv: Argv<'_>, index: usize) -> Result<usize, CommandError> {
        if self.trim.is_some() {
            return Err(CommandError::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let is_len = argv.get(index).is_some_and(|word| word.eq_ignore_ascii_case(b"maxlen"));
        let operator = argv.get(index + 1).filter(|_| index + 2 < argv.len());
        let is_approximate = operator == Some(b"~");
        let at = index + 1 + usize::from(is_approximate || operator == Some(b"="));
        let arg = argv.get(at).unwrap_or_default();
        let threshold = if is_len {
            let len = number::parse_i64(arg).ok_or(CommandError::NotInteger)?;
            Threshold::Len(
                u64::try_from(len)
                    .map_err(|_| CommandError::text("ERR The MAXLEN argument must be >= 0."))?,
            )
        } else {
            Threshold::Id(parse_id(arg)?)
        };
        self.trim = Some(Trim { threshold, is_approximate, limit: 0 });
        self.threshold_index = at;
        Ok(at)
    }

    fn set_limit(
        &mut self,
        ctx: &WriteContext<'_>,
        limit: Option<u64>,
        is_add: bool,
    ) -> Result<(), CommandError> {
        if self.trim.is_none() && limit.is_some_and(|limit| limit > 0) {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.trim.is_none() && !is_add {
            return Err(CommandError::text(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        if ctx.is_replaying {
            // The threshold in the journal is what was reached.
            return Ok(());
        }
        let approximate = self.trim.as_mut().filter(|trim| trim.is_approximate);
        match (approximate, limit) {
            (None, None) => {}
            (None, Some(_)) => {
                return Err(CommandError::text(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option",
                ));
            }
            (Some(trim), Some(limit)) => trim.limit = limit,
            (Some(trim), None) => {
                let entries_max = ctx.options.stream_node_max_entries as u64;
                trim.limit = match BLOCKS_TRIMMED_MAX.saturating_mul(entries_max) {
                    0 => TRIMMED_DEFAULT,
                    limit => limit.min(TRIMMED_MAX),
                };
            }
        }
        Ok(())
    }

    /// What stands in the journal for `~` and its threshold: `=` and what was reached, as of `entries` behind it.
    pub(super) fn reached(&self, entries: &Entries) -> Option<Reached> {
        let trim = self.trim.filter(|trim| trim.is_approximate)?;
        let text = match trim.threshold {
            Threshold::Len(_) => IdText::from_slice(entries.len().to_string().as_bytes()),
            Threshold::Id(_) => entries.first_held_id().unwrap_or(StreamId::MAX).text(),
        };
        Some(Reached { threshold_index: self.threshold_index, text })
    }
}

/// Where a trimming that was not exact has ended.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    threshold_index: usize,
    text: IdText,
}

impl Reached {
    /// The arguments that change in the journal.
    pub(super) fn arguments(&self) -> [(usize, &[u8]); 2] {
        [(self.threshold_index - 1, b"="), (self.threshold_index, &self.text)]
    }
}

/// Removes entries from the front. Reply: how many. Journal: with the threshold that was reached.
fn xtrim(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let argv = args.argv();
    let options = TrimArgs::of_trim(ctx, argv)?;
    let key = args.key()?;
    let trim = options.trim.expect("it was demanded");
    let Some(mut stream) = ctx.get_mut::<Stream>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let trimmed_count = stream.entries.trim(trim);
    let reached = options.reached(&stream.entries);
    drop(stream);
    reply.integer(trimmed_count as i64);
    if trimmed_count == 0 {
        return Ok(Written::unchanged());
    }
    ctx.changed(key, Event::XTRIM);
    if let Some(reached) = reached {
        journal_replaced(ctx, argv, &reached.arguments());
        return Ok(Written::reported().journaled());
    }
    Ok(Written::reported())
}

/// Deletes entries by id. Reply: how many there were. Journal: verbatim.
fn xdel(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let Some(mut stream) = ctx.get_mut::<Stream>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let ids = parse_ids(args.rest())?;
    let deleted_count = stream.entries.delete(&ids);
    reply.integer(deleted_count as i64);
    if deleted_count == 0 {
        return Ok(Written::unchanged());
    }
    Ok(Written::changed(Event::XDEL))
}

const XTRIM: Docs = Docs {
    summary: "Removes the oldest entries of a stream.",
    since: "5.0.0",
    complexity: "O(n), n entries removed; whole blocks of them cost O(1) each",
    arguments: &[
        Argument::key("key"),
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
        ),
    ],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XADD log 2-0 line second\n\"2-0\"\n> XTRIM log MAXLEN 1\n(integer) 1\n> XRANGE log - +\n1) 1) \"2-0\"\n   2) 1) \"line\"\n      2) \"second\"",
    ],
    ..Docs::NONE
};

const XDEL: Docs = Docs {
    summary: "Deletes entries of a stream by their ids.",
    since: "5.0.0",
    complexity: "O(log n) per id",
    arguments: &[Argument::key("key"), Argument::string("id").repeated()],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XADD log 2-0 line second\n\"2-0\"\n> XDEL log 1-0 7-0\n(integer) 1\n> XLEN log\n(integer) 1",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn options_contradict_each_other() {
        check(
            r#"
            > XTRIM s LIMIT 5
            (error) ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
            > XTRIM s LIMIT 5 x
            (error) ERR syntax error
            > XTRIM s LIMIT 5 LIMIT 6
            (error) ERR syntax error, LIMIT cannot be used without specifying a trimming strategy
            > XTRIM s LIMIT 0 LIMIT 0
            (error) ERR syntax error, XTRIM must be called with a trimming strategy
            > XTRIM s MAXLEN 5 LIMIT 5
            (error) ERR syntax error, LIMIT cannot be used without the special ~ option
            > XTRIM s MAXLEN = 5 LIMIT 0
            (error) ERR syntax error, LIMIT cannot be used without the special ~ option
            > XTRIM s MAXLEN ~ 5 MINID 3
            (error) ERR syntax error, MAXLEN and MINID options at the same time are not compatible
            > XTRIM s MAXLEN -1
            (error) ERR The MAXLEN argument must be >= 0.
            > XTRIM s MAXLEN ~ 5 LIMIT -1
            (error) ERR The LIMIT argument must be >= 0.
            > XTRIM s MAXLEN ~
            (error) ERR value is not an integer or out of range
            > XTRIM s MINID x
            (error) ERR Invalid stream ID specified as stream command argument
            > XTRIM s MINID ~ 5 NOMKSTREAM
            (error) ERR syntax error
            > XTRIM s MAXLEN ~ 5 LIMIT 5
            (integer) 0
            > SET text x
            OK
            > XTRIM text MAXLEN 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn the_journal_has_what_trimming_about_has_reached() {
        check_with(
            Options { stream_node_max_entries: 2, ..options() },
            r#"
            > XADD s 1 f v
            "1-0"
            > XADD s 2 f v
            "2-0"
            > XADD s 3 f v
            "3-0"
            > XADD s 4 f v
            "4-0"
            > XADD s MAXLEN ~ 2 5 f v
            "5-0"
            > XLEN s
            (integer) 3
            > XTRIM s MINID ~ 4
            (integer) 0
            > XTRIM s MINID ~ 5 LIMIT 10
            (integer) 2
            > XTRIM s MAXLEN 0
            (integer) 1
            > XADD s MINID ~ 9 5-* f v
            "5-1"
            > XLEN s
            (integer) 0
            ~ journal
            XADD s 1 f v
            XADD s 2 f v
            XADD s 3 f v
            XADD s 4 f v
            XADD s MAXLEN = 3 5 f v
            XTRIM s MINID = 5-0 LIMIT 10
            XTRIM s MAXLEN 0
            XADD s MINID = 18446744073709551615-18446744073709551615 5-1 f v
            ~ events
            xadd s
            xadd s
            xadd s
            xadd s
            xadd s
            xtrim s
            xtrim s
            xtrim s
            xadd s
            xtrim s
        "#,
        );
    }

    #[test]
    fn all_ids_are_read_before_any_entry_goes() {
        check(
            r#"
            > XADD s 1-1 f v
            "1-1"
            > XDEL s 1-1 x
            (error) ERR Invalid stream ID specified as stream command argument
            > XDEL none x
            (integer) 0
            > XLEN s
            (integer) 1
            > XDEL s 1-1 1-1
            (integer) 1
            > TYPE s
            stream
            > XADD s 1-1 f v
            (error) ERR The ID specified in XADD is equal or smaller than the target stream top item
            ~ events
            xadd s
            xdel s
        "#,
        );
    }
}
