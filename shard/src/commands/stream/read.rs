//! Entries that come behind an id, of several streams, now or when there are some: XREAD; and the arguments that
//! XREADGROUP shares with it.
//!
//! Path: `shard::Shard::execute` -> `shard::serving` -> here. Who waits, and when a waiting client is looked at again,
//! is the business of `shard::serving`; here is only what one key has.

use super::arguments::{count_or_all, parse_id, reply_entries};
use crate::args::{Args, TIMEOUT_MS_MAX};
use crate::commands::check::check;
use crate::commands::{Command, KeyState, Run, ServeEach};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::stream::{Stream, StreamId};
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::number;
use protocol::reply::{Resp, Writer};
use protocol::request::Argv;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -4,
        flags: Flags::of(&[Flags::BLOCKING, Flags::MOVABLEKEYS, Flags::READONLY]),
        categories: Categories::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
            begin: BeginSearch::Keyword { keyword: "STREAMS", start_from: 1 },
            find: FindKeys::Range { last: -1, step: 1, limit: 2 },
            notes: None,
        }],
        docs: &XREAD,
        ..CommandSpec::new("xread", Group::Stream)
    },
    run: Run::AllOf { look, serve: ServeEach::Read(xread), patience },
}];
const _: () = check(COMMANDS);

/// Which of the two commands reads its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// XREAD.
    Anybody,
    /// XREADGROUP.
    Group,
}

/// The arguments of XREAD and XREADGROUP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    argv: Argv<'a>,
    /// Most entries of one stream.
    pub(super) count: usize,
    /// How long to wait, in milliseconds, 0 for ever; `None`: not at all.
    pub(super) timeout_ms: Option<u64>,
    /// The group and the consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// NOACK.
    pub(super) is_noack: bool,
    /// How many keys there are; as far behind each stands its id.
    key_count: usize,
}

impl<'a> Reading<'a> {
    /// Reads everything but the ids, whose meaning depends on the keys.
    pub(super) fn parse(mut args: Args<'a>, reader: Reader) -> Result<Self, CommandError> {
        let argv = args.argv();
        let is_group = reader == Reader::Group;
        let mut count = 0;
        let mut timeout_ms = None;
        let mut group = None;
        let mut is_noack = false;
        let mut key_count = None;
        while key_count.is_none() {
            let word = args.bytes()?;
            let more = args.remaining();
            if word.eq_ignore_ascii_case(b"STREAMS") && more > 0 {
                if !more.is_multiple_of(2) {
                    return Err(unbalanced(reader));
                }
                key_count = Some(more / 2);
            } else if word.eq_ignore_ascii_case(b"COUNT") && more > 0 {
                count = args.integer()?;
            } else if word.eq_ignore_ascii_case(b"BLOCK") && more > 0 {
                timeout_ms = Some(parse_timeout(args.bytes()?)?);
            } else if word.eq_ignore_ascii_case(b"GROUP") && more >= 2 {
                if !is_group {
                    return Err(only_of_groups("GROUP"));
                }
                group = Some((args.bytes()?, args.bytes()?));
            } else if word.eq_ignore_ascii_case(b"NOACK") {
                if !is_group {
                    return Err(only_of_groups("NOACK"));
                }
                is_noack = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if is_group && group.is_none() {
            return Err(CommandError::text("ERR Missing GROUP option for XREADGROUP"));
        }
        let key_count = key_count.unwrap_or_default();
        Ok(Reading { argv, count: count_or_all(count), timeout_ms, group, is_noack, key_count })
    }

    /// The key at an index of argv.
    pub(super) fn key(&self, key_index: usize) -> &'a [u8] {
        self.argv.get(key_index).unwrap_or_default()
    }

    /// Where the id of a key stands.
    pub(super) fn id_index(&self, key_index: usize) -> usize {
        key_index + self.key_count
    }

    /// The id of a key, as it stands there.
    pub(super) fn id(&self, key_index: usize) -> &'a [u8] {
        self.argv.get(self.id_index(key_index)).unwrap_or_default()
    }
}

fn unbalanced(reader: Reader) -> CommandError {
    CommandError::text(match reader {
        Reader::Anybody => {
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."
        }
        Reader::Group => {
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
        }
    })
}

fn only_of_groups(option: &str) -> CommandError {
    let text = "option is only supported by XREADGROUP. You called XREAD instead.";
    CommandError::Text(format!("ERR The {option} {text}").into())
}

/// Reads milliseconds.
fn parse_timeout(text: &[u8]) -> Result<u64, CommandError> {
    let ms = number::parse_i64(text)
        .ok_or(CommandError::text("ERR timeout is not an integer or out of range"))?;
    if ms > TIMEOUT_MS_MAX {
        return Err(CommandError::text("ERR timeout is out of range"));
    }
    u64::try_from(ms).map_err(|_| CommandError::TimeoutNegative)
}

fn patience(args: Args<'_>) -> Result<Option<u64>, CommandError> {
    Ok(Reading::parse(args, Reader::Anybody)?.timeout_ms)
}

/// Whether a stream has an entry behind the id; what `$` means.
fn look(ctx: &ReadContext<'_>, key_index: usize, args: Args<'_>) -> Result<KeyState, CommandError> {
    let reading = Reading::parse(args, Reader::Anybody)?;
    let stream = ctx.get::<Stream>(reading.key(key_index))?;
    match reading.id(key_index) {
        b"$" => {
            let last_id = stream.map_or(StreamId::MIN, |stream| stream.entries.last_id());
            let meaning = last_id.text().to_vec();
            Ok(KeyState {
                is_ready: false,
                now_means: Some((reading.id_index(key_index), meaning)),
            })
        }
        b">" => Err(CommandError::text(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        text => {
            let id = parse_id(text)?;
            let last_id = stream.and_then(|stream| stream.entries.last_live_id());
            Ok(KeyState { is_ready: last_id.is_some_and(|last| last > id), now_means: None })
        }
    }
}

/// Entries of one stream behind an id. Reply: for each stream that has some, its key and an array of ids with fields;
/// null if none has.
fn xread(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<bool, CommandError> {
    let reading = Reading::parse(args, Reader::Anybody)?;
    let key = reading.key(key_index);
    let Some(stream) = ctx.get::<Stream>(key)? else { return Ok(false) };
    if reading.id(key_index) == b"$" {
        return Ok(false);
    }
    let id = parse_id(reading.id(key_index))?;
    if stream.entries.last_live_id().is_none_or(|last| last <= id) {
        return Ok(false);
    }
    reply_key(reply, key);
    let start = id.next().unwrap_or(StreamId::MAX);
    reply_entries(reply, stream.entries.range(start, StreamId::MAX).take(reading.count));
    Ok(true)
}

/// Begins the element of one key: a pair in RESP2, in RESP3 the key of a map.
pub(super) fn reply_key(reply: &mut Writer<'_>, key: &[u8]) {
    if reply.resp() == Resp::V2 {
        reply.array(2);
    }
    reply.bulk(key);
}

const XREAD: Docs = Docs {
    summary: "Returns entries that come behind an id, of one stream or several, and waits for some if asked to.",
    since: "5.0.0",
    complexity: "O(log n + m) per stream, m entries returned",
    arguments: &[
        Argument::integer("count").token("COUNT").optional(),
        Argument::integer("milliseconds").token("BLOCK").optional(),
        Argument::block(
            "streams",
            &[Argument::key("key").repeated(), Argument::string("id").repeated()],
        )
        .token("STREAMS"),
    ],
    examples: &[
        "> XADD log 1-0 line first\n\"1-0\"\n> XADD log 2-0 line second\n\"2-0\"\n> XREAD COUNT 10 STREAMS log other 1-0 0\n1) 1) \"log\"\n   2) 1) 1) \"2-0\"\n         2) 1) \"line\"\n            2) \"second\"\n> XREAD STREAMS log $\n(nil)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn mistakes_are_found_key_by_key() {
        check(
            r#"
            > XREAD STREAMS a b 0
            (error) ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.
            > XREAD COUNT 5 COUNT
            (error) ERR syntax error
            > XREAD COUNT x STREAMS a 0
            (error) ERR value is not an integer or out of range
            > XREAD BLOCK x STREAMS a 0
            (error) ERR timeout is not an integer or out of range
            > XREAD BLOCK -1 STREAMS a 0
            (error) ERR timeout is negative
            > XREAD BLOCK 9223372036854775807 STREAMS a 0
            (error) ERR timeout is out of range
            > XREAD GROUP g c STREAMS a 0
            (error) ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.
            > XREAD NOACK STREAMS a 0
            (error) ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.
            > SET text x
            OK
            > XREAD STREAMS a text x 0
            (error) ERR Invalid stream ID specified as stream command argument
            > XREAD STREAMS text a 0 x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XREAD STREAMS a >
            (error) ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.
            > XREAD STREAMS a -
            (error) ERR Invalid stream ID specified as stream command argument
            > XREAD STREAMS a b c
            (error) ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.
        "#,
        );
    }

    #[test]
    fn deleted_entries_are_no_reason_to_reply() {
        check(
            r#"
            > XADD s 1-0 f v
            "1-0"
            > XADD s 2-0 f v
            "2-0"
            > XDEL s 2-0
            (integer) 1
            > XREAD STREAMS s 1-0
            (nil)
            > XREAD COUNT 0 STREAMS s 0
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
            > XREAD STREAMS s 18446744073709551615-18446744073709551615
            (nil)
            # resp3
            > XREAD COUNT -1 STREAMS s s 0 0-5
            1# "s" =>
               1) 1) "1-0"
                  2) 1) "f"
                     2) "v"
            2# "s" =>
               1) 1) "1-0"
                  2) 1) "f"
                     2) "v"
        "#,
        );
    }
}
