//! Entries shared out among the consumers of a group: XREADGROUP.
//!
//! Path: `shard::Shard::execute` -> `shard::serving` -> here. `>` asks for entries that the group has delivered to
//! nobody; an id asks for those that the consumer has got and not acknowledged.

use super::arguments::{Delivery, no_group, parse_id, reply_entry, reply_id};
use super::read::{Reader, Reading, reply_key};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, KeyState, Run, ServeEach};
use crate::context::{ReadContext, WriteContext};
use crate::error::CommandError;
use crate::event::Event;
use crate::types::stream::group::GroupMut;
use crate::types::stream::{ConsumerId, Entries, Pending, Stream, StreamId};
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -7,
        flags: Flags::of(&[Flags::BLOCKING, Flags::MOVABLEKEYS, Flags::WRITE]),
        categories: Categories::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
            begin: BeginSearch::Keyword { keyword: "STREAMS", start_from: 4 },
            find: FindKeys::Range { last: -1, step: 1, limit: 2 },
            notes: None,
        }],
        docs: &XREADGROUP,
        ..CommandSpec::new("xreadgroup", Group::Stream)
    },
    run: Run::AllOf { look, serve: ServeEach::Write(xreadgroup), patience },
}];
const _: () = check(COMMANDS);

/// What a consumer asks one stream for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// What nobody has got: `>`.
    New,
    /// What it has got itself, from this id on, and not acknowledged.
    History(StreamId),
}

fn patience(args: Args<'_>) -> Result<Option<u64>, CommandError> {
    Ok(Reading::parse(args, Reader::Group)?.timeout_ms)
}

fn no_such_group(key: &[u8], group: &[u8]) -> CommandError {
    no_group(key, group, " in XREADGROUP with GROUP option")
}

/// Reads the id of a key.
fn wanted(text: &[u8]) -> Result<Wanted, CommandError> {
    match text {
        b"$" => Err(CommandError::text(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
             this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID \
             would just return an empty result set.",
        )),
        b">" => Ok(Wanted::New),
        _ => match parse_id(text)? {
            StreamId::MAX => Ok(Wanted::New),
            id => Ok(Wanted::History(id.next().unwrap_or(StreamId::MAX))),
        },
    }
}

/// Whether the stream has something for the group, or history is asked for.
fn look(ctx: &ReadContext<'_>, key_index: usize, args: Args<'_>) -> Result<KeyState, CommandError> {
    let reading = Reading::parse(args, Reader::Group)?;
    let key = reading.key(key_index);
    let (group_name, _) = reading.group.unwrap_or_default();
    let stream = ctx.get::<Stream>(key)?;
    let found = stream.and_then(|stream| Some((stream, stream.groups.get(group_name)?)));
    let (stream, group) = found.ok_or_else(|| no_such_group(key, group_name))?;
    let is_ready = match wanted(reading.id(key_index))? {
        Wanted::History(_) => true,
        Wanted::New => has_new(&stream.entries, group.last_id),
    };
    Ok(KeyState { is_ready, now_means: None })
}

fn has_new(entries: &Entries, last_delivered: StreamId) -> bool {
    entries.last_live_id().is_some_and(|last| last > last_delivered)
}

/// Entries of one stream for a consumer of a group. Reply: as XREAD. Journal: XCLAIM for each entry, XGROUP SETID for
/// how far the group has come, XGROUP CREATECONSUMER for a new consumer.
fn xreadgroup(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<bool, CommandError> {
    let reading = Reading::parse(args, Reader::Group)?;
    let key = reading.key(key_index);
    let (group_name, consumer_name) = reading.group.unwrap_or_default();
    let wanted = wanted(reading.id(key_index))?;
    let now_ms = ctx.now.unix_ms();

    let mut stream = ctx.get_mut::<Stream>(key)?.ok_or_else(|| no_such_group(key, group_name))?;
    let Stream { entries, groups } = &mut *stream;
    let mut group = groups.get_mut(group_name).ok_or_else(|| no_such_group(key, group_name))?;
    let found = group.find(consumer_name);
    let consumer = found.unwrap_or_else(|| group.add_consumer(consumer_name, now_ms));
    group.consumer_mut(consumer).seen_at_ms = now_ms;
    let before = (group.last_id, group.entries_read);
    let mut delivered = Vec::new();
    let is_served = match wanted {
        Wanted::History(start) => {
            reply_key(reply, key);
            let mut history = History { entries, group: &mut group, consumer, now_ms };
            history.reply(start, reading.count, reply, &mut delivered);
            true
        }
        Wanted::New if has_new(entries, group.last_id) => {
            reply_key(reply, key);
            let mut news = News { entries, group: &mut group, consumer, now_ms };
            news.reply(&reading, reply, &mut delivered);
            true
        }
        Wanted::New => false,
    };
    let (last_id, entries_read) = (group.last_id, group.entries_read);
    drop(group);
    drop(stream);

    let delivery = Delivery { key, group: group_name, last_id };
    if found.is_none() {
        ctx.changed_aside(key, Event::XGROUP_CREATECONSUMER);
        delivery.journal_consumer(ctx, consumer_name);
    }
    if is_served {
        ctx.count_change();
    }
    for (id, pending) in delivered {
        delivery.journal_claim(ctx, consumer_name, id, pending);
    }
    if before != (last_id, entries_read) {
        delivery.journal_position(ctx, entries_read);
    }
    Ok(is_served)
}

/// Delivers what nobody has got.
struct News<'c, 'g> {
    entries: &'c Entries,
    group: &'c mut GroupMut<'g>,
    consumer: ConsumerId,
    now_ms: i64,
}

impl News<'_, '_> {
    /// Delivers entries; adds to `delivered` what is pending then.
    fn reply(
        &mut self,
        reading: &Reading<'_>,
        reply: &mut Writer<'_>,
        delivered: &mut Vec<(StreamId, Pending)>,
    ) {
        let News { entries, consumer, now_ms, .. } = *self;
        let start = self.group.last_id.next().unwrap_or(StreamId::MAX);
        let reply_start = reply.position();
        let mut count = 0;
        for entry in entries.range(start, StreamId::MAX).take(reading.count) {
            self.pass(entry.id);
            reply_entry(reply, entry);
            count += 1;
            if !reading.is_noack {
                let pending = Pending { consumer, delivered_at_ms: now_ms, delivery_count: 1 };
                self.group.deliver(entry.id, pending);
                delivered.push((entry.id, pending));
            }
        }
        reply.array_before(reply_start, count);
        if !delivered.is_empty() {
            self.group.consumer_mut(consumer).active_at_ms = now_ms;
        }
    }

    /// Notes that the group has come to this entry.
    fn pass(&mut self, id: StreamId) {
        let group = &mut **self.group;
        match &mut group.entries_read {
            Some(read_count) if !self.entries.may_have_gaps_from(id) => *read_count += 1,
            unknown if self.entries.added_count() > 0 => {
                *unknown = self.entries.added_up_to(id).map(|count| count as i64);
            }
            _ => {}
        }
        group.last_id = id;
    }
}

/// Delivers once more what a consumer has got.
struct History<'c, 'g> {
    entries: &'c Entries,
    group: &'c mut GroupMut<'g>,
    consumer: ConsumerId,
    now_ms: i64,
}

impl History<'_, '_> {
    /// Delivers entries from `start` on; adds to `delivered` what is pending then. An entry that has been deleted is
    /// shown by its id alone.
    fn reply(
        &mut self,
        start: StreamId,
        count: usize,
        reply: &mut Writer<'_>,
        delivered: &mut Vec<(StreamId, Pending)>,
    ) {
        let pending = self.group.consumer(self.consumer).pending(start..=StreamId::MAX);
        let ids: Vec<StreamId> = pending.take(count).collect();
        reply.array(ids.len());
        for id in ids {
            let Some(entry) = self.entries.get(id) else {
                reply.array(2);
                reply_id(reply, id);
                reply.null_array();
                continue;
            };
            reply_entry(reply, entry);
            let before = self.group.pending_at(id).expect("the consumer has it");
            let again = Pending {
                delivered_at_ms: self.now_ms,
                delivery_count: before.delivery_count.saturating_add(1),
                ..before
            };
            self.group.deliver(id, again);
            delivered.push((id, again));
        }
    }
}

const XREADGROUP: Docs = Docs {
    summary: "Returns entries to one consumer of a group, new ones or those it has not acknowledged, and waits for new ones if asked to.",
    since: "5.0.0",
    complexity: "O(log n + m) per stream, m entries returned",
    arguments: &[
        Argument::block("group-block", &[Argument::string("group"), Argument::string("consumer")])
            .token("GROUP"),
        Argument::integer("count").token("COUNT").optional(),
        Argument::integer("milliseconds").token("BLOCK").optional(),
        Argument::word("noack", "NOACK").optional(),
        Argument::block(
            "streams",
            &[Argument::key("key").repeated(), Argument::string("id").repeated()],
        )
        .token("STREAMS"),
    ],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XADD jobs 2-0 job dry\n\"2-0\"\n> XGROUP CREATE jobs painters 0\nOK\n> XREADGROUP GROUP painters alice COUNT 1 STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"1-0\"\n         2) 1) \"job\"\n            2) \"paint\"\n> XREADGROUP GROUP painters bob STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"2-0\"\n         2) 1) \"job\"\n            2) \"dry\"\n> XREADGROUP GROUP painters bob STREAMS jobs >\n(nil)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn what_is_delivered_is_journaled_and_stays_pending() {
        check(
            r#"
            > XADD s 1-0 f a
            "1-0"
            > XADD s 2-0 f b
            "2-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g alice COUNT 1 STREAMS s >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "a"
            ~ advance 5ms
            > XREADGROUP GROUP g bob NOACK STREAMS s >
            1) 1) "s"
               2) 1) 1) "2-0"
                     2) 1) "f"
                        2) "b"
            > XREADGROUP GROUP g carl STREAMS s >
            (nil)
            > XDEL s 1-0
            (integer) 1
            > XREADGROUP GROUP g alice STREAMS s 0
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) (nil)
            > XREADGROUP GROUP g bob STREAMS s 0
            1) 1) "s"
               2) (empty array)
            ~ journal
            XADD s 1-0 f a
            XADD s 2-0 f b
            XGROUP CREATE s g 0
            XGROUP CREATECONSUMER s g alice
            XCLAIM s g alice 0 1-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0
            XGROUP SETID s g 1-0 ENTRIESREAD 1
            XGROUP CREATECONSUMER s g bob
            XGROUP SETID s g 2-0 ENTRIESREAD 2
            XGROUP CREATECONSUMER s g carl
            XDEL s 1-0
            ~ events
            xadd s
            xadd s
            xgroup-create s
            xgroup-createconsumer s
            xgroup-createconsumer s
            xgroup-createconsumer s
            xdel s
        "#,
        );
    }

    #[test]
    fn history_counts_deliveries() {
        check(
            r#"
            > XADD s 1-0 f a
            "1-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g alice STREAMS s s > >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "a"
            ~ advance 10ms
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s 0-9
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "a"
            ~ advance 10ms
            > XPENDING s g - + 10
            1) 1) "1-0"
               2) "alice"
               3) (integer) 10
               4) (integer) 2
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            # resp3
            > XREADGROUP GROUP g alice STREAMS s 0
            1# "s" =>
               1) 1) "1-0"
                  2) 1) "f"
                     2) "a"
        "#,
        );
    }

    #[test]
    fn mistakes_are_found_before_anything_is_delivered() {
        check(
            r#"
            > XADD s 1-0 f a
            "1-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g alice STREAMS s t > >
            (error) NOGROUP No such key 't' or consumer group 'g' in XREADGROUP with GROUP option
            > XREADGROUP GROUP h alice STREAMS s >
            (error) NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option
            > XREADGROUP GROUP g alice STREAMS s $
            (error) ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.
            > XREADGROUP GROUP g alice STREAMS s s > x
            (error) ERR Invalid stream ID specified as stream command argument
            > XREADGROUP GROUP g alice STREAMS s t >
            (error) ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.
            > XREADGROUP COUNT 1 NOACK BLOCK 0 STREAMS s >
            (error) ERR Missing GROUP option for XREADGROUP
            > XREADGROUP GROUP g alice COUNT 1 NOACK
            (error) ERR syntax error
            > XPENDING s g
            1) (integer) 0
            2) (nil)
            3) (nil)
            4) (nil)
            > XINFO GROUPS s
            1)  1) "name"
                2) "g"
                3) "consumers"
                4) (integer) 0
                5) "pending"
                6) (integer) 0
                7) "last-delivered-id"
                8) "0-0"
                9) "entries-read"
               10) (nil)
               11) "lag"
               12) (integer) 1
        "#,
        );
    }
}
