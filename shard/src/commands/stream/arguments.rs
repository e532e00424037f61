//! What the commands on streams share: ids as arguments, ids and entries as replies, errors, journal entries.

use crate::context::WriteContext;
use crate::error::CommandError;
use crate::types::stream::id::{self, Sequence};
use crate::types::stream::{Entry, Pending, StreamId};
use protocol::error::shown;
use protocol::reply::Writer;
use protocol::request::Argv;
use smallvec::SmallVec;

/// An argument that should be an id and is none.
pub(super) const INVALID_ID: CommandError =
    CommandError::text("ERR Invalid stream ID specified as stream command argument");

/// Reads an id; `-` and `+` are none here. Without a sequence number it is the first of its millisecond.
pub(super) fn parse_id(text: &[u8]) -> Result<StreamId, CommandError> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

/// Reads the id of a new entry, which may leave its sequence number open.
pub(super) fn parse_new_id(text: &[u8]) -> Result<(u64, Sequence), CommandError> {
    id::split(text).ok_or(INVALID_ID)
}

/// Reads several ids; the first error wins.
pub(super) fn parse_ids<'a>(
    texts: impl Iterator<Item = &'a [u8]>,
) -> Result<SmallVec<[StreamId; 8]>, CommandError> {
    texts.map(parse_id).collect()
}

/// Reads an id where `-` and `+` stand for the least and the greatest.
pub(super) fn parse_any_id(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => StreamId::parse(text, missing_seq).ok_or(INVALID_ID),
    }
}

/// Reads the lower end of a range; `(` leaves the id itself out.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let outside = parse_id(rest)?;
            outside.next().ok_or(CommandError::text("ERR invalid start ID for the interval"))
        }
        _ => parse_any_id(text, 0),
    }
}

/// Reads the upper end of a range; `(` leaves the id itself out.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let outside = StreamId::parse(rest, u64::MAX).ok_or(INVALID_ID)?;
            outside.previous().ok_or(CommandError::text("ERR invalid end ID for the interval"))
        }
        _ => parse_any_id(text, u64::MAX),
    }
}

/// NOGROUP, with the key and the group that were looked for.
pub(super) fn no_group(key: &[u8], group: &[u8], behind: &str) -> CommandError {
    let parts: [&[u8]; 5] =
        [b"NOGROUP No such key '", shown(key), b"' or consumer group '", shown(group), b"'"];
    let mut text = parts.concat();
    text.extend_from_slice(behind.as_bytes());
    CommandError::Showing(text)
}

/// NOGROUP where the key exists.
pub(super) fn no_group_of_key(key: &[u8], group: &[u8]) -> CommandError {
    let parts: [&[u8]; 5] =
        [b"NOGROUP No such consumer group '", shown(group), b"' for key name '", shown(key), b"'"];
    CommandError::Showing(parts.concat())
}

/// A subcommand whose arguments its arity could not judge.
pub(super) fn wrong_subcommand(argv: Argv<'_>) -> CommandError {
    /// Bytes of the subcommand that are shown.
    const SHOWN_LEN_MAX: usize = 128;
    let name = argv.get(0).unwrap_or_default().to_ascii_uppercase();
    let word = shown(argv.get(1).unwrap_or_default());
    let before = "ERR unknown subcommand or wrong number of arguments for '";
    let behind = format!("'. Try {} HELP.", String::from_utf8_lossy(&name));
    CommandError::showing(before, &word[..word.len().min(SHOWN_LEN_MAX)], &behind)
}

/// Replies with an id.
pub(super) fn reply_id(reply: &mut Writer<'_>, id: StreamId) {
    reply.bulk(&id.text());
}

/// Replies with an entry: its id, and its fields with their values.
pub(super) fn reply_entry(reply: &mut Writer<'_>, entry: Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    let pairs = entry.pairs();
    reply.array(2 * pairs.len());
    for (field, value) in pairs {
        field.with_bytes(|bytes| reply.bulk(bytes));
        value.with_bytes(|bytes| reply.bulk(bytes));
    }
}

/// Replies with an array of entries; returns how many.
pub(super) fn reply_entries<'a>(
    reply: &mut Writer<'_>,
    entries: impl Iterator<Item = Entry<'a>>,
) -> usize {
    let start = reply.position();
    let mut count = 0;
    for entry in entries {
        reply_entry(reply, entry);
        count += 1;
    }
    reply.array_before(start, count);
    count
}

/// How many of something: the integer `limit`, or all of them.
pub(super) fn count_or_all(limit: i64) -> usize {
    match usize::try_from(limit) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    }
}

/// Whose deliveries are journaled.
#[derive(Clone, Copy)]
pub(super) struct Delivery<'a> {
    /// The stream.
    pub(super) key: &'a [u8],
    /// The group.
    pub(super) group: &'a [u8],
    /// The last id of the group, which the entry carries too.
    pub(super) last_id: StreamId,
}

impl Delivery<'_> {
    /// Journals that the consumer exists.
    pub(super) fn journal_consumer(self, ctx: &mut WriteContext<'_>, consumer: &[u8]) {
        ctx.journal(&[b"XGROUP", b"CREATECONSUMER", self.key, self.group, consumer]);
    }

    /// Journals that an entry is pending, or that it is no longer because it has been deleted: the same command does
    /// both, since it looks whether the entry exists.
    pub(super) fn journal_claim(
        self,
        ctx: &mut WriteContext<'_>,
        consumer: &[u8],
        id: StreamId,
        pending: Pending,
    ) {
        let mut time = itoa::Buffer::new();
        let mut count = itoa::Buffer::new();
        ctx.journal(&[
            b"XCLAIM",
            self.key,
            self.group,
            consumer,
            b"0",
            &id.text(),
            b"TIME",
            time.format(pending.delivered_at_ms).as_bytes(),
            b"RETRYCOUNT",
            count.format(pending.delivery_count).as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            &self.last_id.text(),
        ]);
    }

    /// Journals how far the group has read.
    pub(super) fn journal_position(self, ctx: &mut WriteContext<'_>, entries_read: Option<i64>) {
        ctx.journal(&[
            b"XGROUP",
            b"SETID",
            self.key,
            self.group,
            &self.last_id.text(),
            b"ENTRIESREAD",
            itoa::Buffer::new().format(entries_read.unwrap_or(-1)).as_bytes(),
        ]);
    }
}

/// Journals `argv` with other arguments at some places.
pub(super) fn journal_replaced(
    ctx: &mut WriteContext<'_>,
    argv: Argv<'_>,
    replaced: &[(usize, &[u8])],
) {
    if !ctx.options.is_journaling {
        return;
    }
    let mut args: SmallVec<[&[u8]; 32]> = argv.iter().collect();
    for &(index, arg) in replaced {
        args[index] = arg;
    }
    ctx.journal(&args);
}
