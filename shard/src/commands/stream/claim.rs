//! Pending entries that change hands: XCLAIM XAUTOCLAIM.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream::group`. Both journal each entry as one XCLAIM that says in
//! full who has it; entries that have been deleted are no longer pending after that.

use super::arguments::{Delivery, no_group, parse_id, parse_start, reply_entry, reply_id};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::stream::group::GroupMut;
use crate::types::stream::{ConsumerId, Entries, Pending, Stream, StreamId};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use smallvec::SmallVec;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -6,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            tips: &["nondeterministic_output"],
            docs: &XCLAIM,
            ..CommandSpec::new("xclaim", Group::Stream)
        },
        run: Run::Write(xclaim),
    },
    Command {
        spec: CommandSpec {
            arity: -6,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            tips: &["nondeterministic_output"],
            docs: &XAUTOCLAIM,
            ..CommandSpec::new("xautoclaim", Group::Stream)
        },
        run: Run::Write(xautoclaim),
    },
];
const _: () = check(COMMANDS);

/// Entries XAUTOCLAIM claims at most, unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 100;
/// Pending entries XAUTOCLAIM looks at for each one that it may claim.
const ATTEMPTS_PER_ENTRY: usize = 10;
/// The largest COUNT of XAUTOCLAIM.
const COUNT_MAX: i64 = i64::MAX / 16;

/// How an entry is claimed.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Only what nobody has got for so many milliseconds.
    idle_min_ms: i64,
    /// When it counts as delivered.
    delivered_at_ms: i64,
    /// How often it counts as delivered; negative: once more than before.
    delivery_count: i64,
    /// FORCE: also what is not pending.
    is_forced: bool,
    /// JUSTID: no fields, and it does not count as a delivery.
    is_just_id: bool,
}

/// The options of XCLAIM, behind the ids.
#[derive(Clone, Copy, Debug)]
struct ClaimOptions {
    terms: Terms,
    /// LASTID: at least so far the group has come.
    last_id: StreamId,
}

impl ClaimOptions {
    fn parse(mut args: Args<'_>, idle_min_ms: i64, now_ms: i64) -> Result<Self, CommandError> {
        let mut delivered_at_ms = now_ms;
        let mut found = ClaimOptions {
            terms: Terms {
                idle_min_ms,
                delivered_at_ms,
                delivery_count: -1,
                is_forced: false,
                is_just_id: false,
            },
            last_id: StreamId::MIN,
        };
        while let Some(word) = args.peek() {
            args.skip();
            let is = |token: &[u8]| word.eq_ignore_ascii_case(token);
            let has_next = !args.is_empty();
            if is(b"FORCE") {
                found.terms.is_forced = true;
            } else if is(b"JUSTID") {
                found.terms.is_just_id = true;
            } else if is(b"IDLE") && has_next {
                let text = "ERR Invalid IDLE option argument for XCLAIM";
                delivered_at_ms = now_ms.wrapping_sub(integer(&mut args, text)?);
            } else if is(b"TIME") && has_next {
                delivered_at_ms =
                    integer(&mut args, "ERR Invalid TIME option argument for XCLAIM")?;
            } else if is(b"RETRYCOUNT") && has_next {
                let text = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                found.terms.delivery_count = integer(&mut args, text)?;
            } else if is(b"LASTID") && has_next {
                found.last_id = parse_id(args.bytes()?)?;
            } else {
                return Err(CommandError::showing("ERR Unrecognized XCLAIM option '", word, "'"));
            }
        }
        // What clients compute from clocks of their own may be nonsense.
        let is_sensible = (0..=now_ms).contains(&delivered_at_ms);
        found.terms.delivered_at_ms = if is_sensible { delivered_at_ms } else { now_ms };
        Ok(found)
    }
}

fn integer(args: &mut Args<'_>, text: &'static str) -> Result<i64, CommandError> {
    number::parse_i64(args.bytes()?).ok_or(CommandError::text(text))
}

/// An entry of the journal: who has, or had, an entry.
type Record = (Box<[u8]>, StreamId, Pending);

/// A consumer that claims entries of its group.
struct Claimer<'c, 'g> {
    entries: &'c Entries,
    group: &'c mut GroupMut<'g>,
    consumer: ConsumerId,
    now_ms: i64,
    records: Vec<Record>,
}

impl Claimer<'_, '_> {
    /// Claims an entry that exists, and replies with it; `false` if it is not pending, or has not been idle enough.
    fn claim(&mut self, id: StreamId, terms: &Terms, reply: &mut Writer<'_>) -> bool {
        let before = self.group.pending_at(id);
        let delivery_count = match before {
            None if !terms.is_forced => return false,
            None => 1,
            Some(before) => {
                let idle_ms = self.now_ms.wrapping_sub(before.delivered_at_ms);
                if terms.idle_min_ms > 0 && idle_ms < terms.idle_min_ms {
                    return false;
                }
                before.delivery_count
            }
        };
        let pending = Pending {
            consumer: self.consumer,
            delivered_at_ms: terms.delivered_at_ms,
            delivery_count: match terms.delivery_count {
                given @ 0.. => given,
                _ => delivery_count.saturating_add(i64::from(!terms.is_just_id)),
            },
        };
        self.group.deliver(id, pending);
        let now_ms = self.now_ms;
        self.group.consumer_mut(self.consumer).active_at_ms = now_ms;
        match self.entries.get(id) {
            Some(entry) if !terms.is_just_id => reply_entry(reply, entry),
            _ => reply_id(reply, id),
        }
        self.note(id, pending);
        true
    }

    /// Forgets that an entry is pending which has been deleted.
    fn forget(&mut self, id: StreamId) {
        if let Some(pending) = self.group.pending_at(id) {
            self.note(id, pending);
            self.group.acknowledge(id);
        }
    }

    fn note(&mut self, id: StreamId, pending: Pending) {
        let name = self.group.consumer(pending.consumer).name().into();
        self.records.push((name, id, pending));
    }
}

/// Tells and journals what was claimed.
fn finish(
    ctx: &mut WriteContext<'_>,
    delivery: Delivery<'_>,
    new_consumer: Option<&[u8]>,
    records: &[Record],
) {
    if let Some(name) = new_consumer {
        ctx.changed_aside(delivery.key, Event::XGROUP_CREATECONSUMER);
        delivery.journal_consumer(ctx, name);
    }
    for (name, id, pending) in records {
        ctx.count_change();
        delivery.journal_claim(ctx, name, *id, *pending);
    }
}

/// Makes a consumer the owner of pending entries. Reply: an array of the entries, or of their ids.
fn xclaim(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, group_name, consumer_name) = (args.key()?, args.bytes()?, args.bytes()?);
    let now_ms = ctx.now.unix_ms();
    let none = || no_group(key, group_name, "");
    let _ = ctx.entry(key).counted();
    let mut stream = ctx.get_mut::<Stream>(key)?.ok_or_else(none)?;
    let Stream { entries, groups } = &mut *stream;
    let mut group = groups.get_mut(group_name).ok_or_else(none)?;
    let text = "ERR Invalid min-idle-time argument for XCLAIM";
    let idle_min_ms = integer(&mut args, text)?.max(0);
    let mut ids = SmallVec::<[StreamId; 8]>::new();
    while let Some(id) = args.peek().and_then(|text| StreamId::parse(text, 0)) {
        ids.push(id);
        args.skip();
    }
    let ClaimOptions { terms, last_id } = ClaimOptions::parse(args, idle_min_ms, now_ms)?;

    let is_ahead = last_id > group.last_id;
    if is_ahead {
        group.last_id = last_id;
    }
    let found = group.find(consumer_name);
    let consumer = found.unwrap_or_else(|| group.add_consumer(consumer_name, now_ms));
    group.consumer_mut(consumer).seen_at_ms = now_ms;
    let start = reply.position();
    let mut count = 0;
    let mut claimer = Claimer { entries, group: &mut group, consumer, now_ms, records: Vec::new() };
    for id in ids {
        if claimer.entries.contains(id) {
            count += usize::from(claimer.claim(id, &terms, reply));
        } else {
            claimer.forget(id);
        }
    }
    reply.array_before(start, count);

    let records = claimer.records;
    let (last_id, entries_read) = (group.last_id, group.entries_read);
    drop(group);
    drop(stream);
    let delivery = Delivery { key, group: group_name, last_id };
    finish(ctx, delivery, found.is_none().then_some(consumer_name), &records);
    if is_ahead && records.is_empty() {
        ctx.count_change();
        delivery.journal_position(ctx, entries_read);
    }
    Ok(Written::reported().journaled())
}

/// Makes a consumer the owner of pending entries that have been idle, from an id on. Reply: the id to go on from, an
/// array of the entries or of their ids, and the ids that are no longer pending because they have been deleted.
fn xautoclaim(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, group_name, consumer_name) = (args.key()?, args.bytes()?, args.bytes()?);
    let _ = ctx.entry(key).counted();
    let now_ms = ctx.now.unix_ms();
    let text = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    let idle_min_ms = integer(&mut args, text)?.max(0);
    let start = parse_start(args.bytes()?)?;
    let mut count_max = COUNT_DEFAULT;
    let mut is_just_id = false;
    while let Some(word) = args.peek() {
        args.skip();
        if word.eq_ignore_ascii_case(b"COUNT") && !args.is_empty() {
            let text = "ERR COUNT must be > 0";
            let count = integer(&mut args, text)?;
            if !(1..=COUNT_MAX).contains(&count) {
                return Err(CommandError::text(text));
            }
            count_max = count as usize;
        } else if word.eq_ignore_ascii_case(b"JUSTID") {
            is_just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let terms = Terms {
        idle_min_ms,
        delivered_at_ms: now_ms,
        delivery_count: -1,
        is_forced: false,
        is_just_id,
    };
    let none = || no_group(key, group_name, "");
    let mut stream = ctx.get_mut::<Stream>(key)?.ok_or_else(none)?;
    let Stream { entries, groups } = &mut *stream;
    let mut group = groups.get_mut(group_name).ok_or_else(none)?;
    let found = group.find(consumer_name);
    let consumer = found.unwrap_or_else(|| group.add_consumer(consumer_name, now_ms));
    group.consumer_mut(consumer).seen_at_ms = now_ms;

    let mut claimer = Claimer { entries, group: &mut group, consumer, now_ms, records: Vec::new() };
    let mut claimed = Vec::new();
    let mut claimed_reply = Writer::new(&mut claimed, reply.resp());
    let (mut claimed_count, mut deleted_ids) = (0, Vec::new());
    let mut next = claimer.group.next_pending(start);
    let mut attempts = count_max.saturating_mul(ATTEMPTS_PER_ENTRY);
    while let Some((id, _)) = next {
        if attempts == 0 || claimed_count + deleted_ids.len() == count_max {
            break;
        }
        attempts -= 1;
        if !claimer.entries.contains(id) {
            claimer.forget(id);
            deleted_ids.push(id);
        } else {
            claimed_count += usize::from(claimer.claim(id, &terms, &mut claimed_reply));
        }
        next = id.next().and_then(|behind| claimer.group.next_pending(behind));
    }
    reply.array(3);
    reply_id(reply, next.map_or(StreamId::MIN, |(id, _)| id));
    reply.array(claimed_count);
    reply.raw(&claimed);
    reply.array(deleted_ids.len());
    deleted_ids.iter().for_each(|&id| reply_id(reply, id));

    let records = claimer.records;
    let last_id = group.last_id;
    drop(group);
    drop(stream);
    let delivery = Delivery { key, group: group_name, last_id };
    finish(ctx, delivery, found.is_none().then_some(consumer_name), &records);
    Ok(Written::reported().journaled())
}

const XCLAIM: Docs = Docs {
    summary: "Makes a consumer of a group the owner of pending entries, whoever has got them.",
    since: "5.0.0",
    complexity: "O(log n) per id",
    arguments: &[
        Argument::key("key"),
        Argument::string("group"),
        Argument::string("consumer"),
        Argument::string("min-idle-time"),
        Argument::string("id").repeated(),
        Argument::integer("ms").token("IDLE").optional(),
        Argument::unix_time("unix-time-milliseconds").token("TIME").optional(),
        Argument::integer("count").token("RETRYCOUNT").optional(),
        Argument::word("force", "FORCE").optional(),
        Argument::word("justid", "JUSTID").optional(),
        Argument::string("lastid").token("LASTID").optional(),
    ],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XGROUP CREATE jobs painters 0\nOK\n> XREADGROUP GROUP painters alice STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"1-0\"\n         2) 1) \"job\"\n            2) \"paint\"\n> XCLAIM jobs painters bob 0 1-0 JUSTID\n1) \"1-0\"\n> XCLAIM jobs painters carl 3600000 1-0\n(empty array)",
    ],
    ..Docs::NONE
};

const XAUTOCLAIM: Docs = Docs {
    summary: "Makes a consumer of a group the owner of pending entries that have been idle for some time.",
    since: "6.2.0",
    complexity: "O(1) with a COUNT that does not grow",
    arguments: &[
        Argument::key("key"),
        Argument::string("group"),
        Argument::string("consumer"),
        Argument::string("min-idle-time"),
        Argument::string("start"),
        Argument::integer("count").token("COUNT").optional(),
        Argument::word("justid", "JUSTID").optional(),
    ],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XGROUP CREATE jobs painters 0\nOK\n> XREADGROUP GROUP painters alice STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"1-0\"\n         2) 1) \"job\"\n            2) \"paint\"\n> XAUTOCLAIM jobs painters bob 0 0 COUNT 10\n1) \"0-0\"\n2) 1) 1) \"1-0\"\n      2) 1) \"job\"\n         2) \"paint\"\n3) (empty array)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn entries_change_hands_with_their_counts() {
        check(
            r#"
            > XADD s 1-0 f a
            "1-0"
            > XADD s 2-0 f b
            "2-0"
            > XADD s 3-0 f c
            "3-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g alice COUNT 2 STREAMS s >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "a"
                  2) 1) "2-0"
                     2) 1) "f"
                        2) "b"
            ~ advance 30ms
            > XDEL s 2-0
            (integer) 1
            ~ journal
            XADD s 1-0 f a
            XADD s 2-0 f b
            XADD s 3-0 f c
            XGROUP CREATE s g 0
            XGROUP CREATECONSUMER s g alice
            XCLAIM s g alice 0 1-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0
            XCLAIM s g alice 0 2-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0
            XGROUP SETID s g 2-0 ENTRIESREAD 2
            XDEL s 2-0
            > XCLAIM s g bob 31 1-0
            (empty array)
            > XCLAIM s g bob 30 1-0 2-0 3-0 9-0 IDLE 5
            1) 1) "1-0"
               2) 1) "f"
                  2) "a"
            > XPENDING s g - + 10
            1) 1) "1-0"
               2) "bob"
               3) (integer) 5
               4) (integer) 2
            > XCLAIM s g carl 0 3-0 1-0 JUSTID FORCE RETRYCOUNT 7 TIME 1 LASTID 5-0
            1) "3-0"
            2) "1-0"
            > XCLAIM s g carl 0 LASTID 6-0
            (empty array)
            > XPENDING s g - + 10 carl
            1) 1) "1-0"
               2) "carl"
               3) (integer) 1700000000029
               4) (integer) 7
            2) 1) "3-0"
               2) "carl"
               3) (integer) 1700000000029
               4) (integer) 7
            ~ journal
            XGROUP CREATECONSUMER s g bob
            XCLAIM s g bob 0 1-0 TIME 1700000000025 RETRYCOUNT 2 FORCE JUSTID LASTID 2-0
            XCLAIM s g alice 0 2-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0
            XGROUP CREATECONSUMER s g carl
            XCLAIM s g carl 0 3-0 TIME 1 RETRYCOUNT 7 FORCE JUSTID LASTID 5-0
            XCLAIM s g carl 0 1-0 TIME 1 RETRYCOUNT 7 FORCE JUSTID LASTID 5-0
            XGROUP SETID s g 6-0 ENTRIESREAD 2
        "#,
        );
    }

    #[test]
    fn idle_entries_are_claimed_in_steps() {
        check(
            r#"
            > XADD s 1-0 f a
            "1-0"
            > XADD s 2-0 f b
            "2-0"
            > XADD s 3-0 f c
            "3-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g alice STREAMS s >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "a"
                  2) 1) "2-0"
                     2) 1) "f"
                        2) "b"
                  3) 1) "3-0"
                     2) 1) "f"
                        2) "c"
            > XDEL s 2-0
            (integer) 1
            > XAUTOCLAIM s g bob 1 - COUNT 1
            1) "3-0"
            2) (empty array)
            3) 1) "2-0"
            > XAUTOCLAIM s g bob 0 - COUNT 1 JUSTID
            1) "3-0"
            2) 1) "1-0"
            3) (empty array)
            > XAUTOCLAIM s g bob 0 (1-0
            1) "0-0"
            2) 1) 1) "3-0"
                  2) 1) "f"
                     2) "c"
            3) (empty array)
            > XPENDING s g - + 10
            1) 1) "1-0"
               2) "bob"
               3) (integer) 0
               4) (integer) 1
            2) 1) "3-0"
               2) "bob"
               3) (integer) 0
               4) (integer) 2
        "#,
        );
    }

    #[test]
    fn mistakes_are_found_in_the_order_of_redis() {
        check(
            r#"
            > XCLAIM s g c x 1-0
            (error) NOGROUP No such key 's' or consumer group 'g'
            > XAUTOCLAIM s g c x 1-0
            (error) ERR Invalid min-idle-time argument for XAUTOCLAIM
            > XAUTOCLAIM s g c 0 x
            (error) ERR Invalid stream ID specified as stream command argument
            > XAUTOCLAIM s g c 0 0 COUNT 0
            (error) ERR COUNT must be > 0
            > XAUTOCLAIM s g c 0 0 COUNT x
            (error) ERR COUNT must be > 0
            > XAUTOCLAIM s g c 0 0 COUNT 576460752303423488
            (error) ERR COUNT must be > 0
            > XAUTOCLAIM s g c 0 0 COUNT
            (error) ERR syntax error
            > XAUTOCLAIM s g c 0 0
            (error) NOGROUP No such key 's' or consumer group 'g'
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XCLAIM s g c x 1-0
            (error) ERR Invalid min-idle-time argument for XCLAIM
            > XCLAIM s g c 0 1-0 IDLE x
            (error) ERR Invalid IDLE option argument for XCLAIM
            > XCLAIM s g c 0 1-0 TIME x
            (error) ERR Invalid TIME option argument for XCLAIM
            > XCLAIM s g c 0 1-0 RETRYCOUNT x
            (error) ERR Invalid RETRYCOUNT option argument for XCLAIM
            > XCLAIM s g c 0 1-0 LASTID x
            (error) ERR Invalid stream ID specified as stream command argument
            > XCLAIM s g c 0 1-0 LASTID
            (error) ERR Unrecognized XCLAIM option 'LASTID'
            > XCLAIM s g c 0 1-0 FORCE 2-0
            (error) ERR Unrecognized XCLAIM option '2-0'
            > SET text x
            OK
            > XCLAIM text g c x 1-0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XAUTOCLAIM text g c 0 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
