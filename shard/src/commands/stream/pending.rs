//! What a group has delivered and nobody has acknowledged: XPENDING XACK.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream::group`.

use super::arguments::{no_group, parse_end, parse_ids, parse_start, reply_id};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::types::stream::{self, Pending, Stream, StreamId};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use protocol::request::Argv;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &XPENDING,
            ..CommandSpec::new("xpending", Group::Stream)
        },
        run: Run::Read(xpending),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::STREAM,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &XACK,
            ..CommandSpec::new("xack", Group::Stream)
        },
        run: Run::Write(xack),
    },
];
const _: () = check(COMMANDS);

/// Which pending entries XPENDING shows.
#[derive(Clone, Copy, Debug)]
struct Filter<'a> {
    idle_min_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// Reads `[IDLE ms] start end count [consumer]`; the count comes first, as in Redis.
    fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
        let arg = |index: usize| argv.get(index).ok_or(CommandError::Syntax);
        let integer = |index: usize| number::parse_i64(arg(index)?).ok_or(CommandError::NotInteger);
        let mut index = 3;
        let mut idle_min_ms = 0;
        if arg(index)?.eq_ignore_ascii_case(b"IDLE") {
            idle_min_ms = integer(index + 1)?;
            if argv.len() < 8 {
                return Err(CommandError::Syntax);
            }
            index += 2;
        }
        let count = usize::try_from(integer(index + 2)?).unwrap_or(0);
        let start = parse_start(arg(index)?)?;
        let end = parse_end(arg(index + 1)?)?;
        Ok(Filter { idle_min_ms, start, end, count, consumer: argv.get(index + 3) })
    }
}

/// Sums up what is pending, or shows it. Reply: the count, the least and greatest id and the consumers with their
/// counts; or an array of id, consumer, milliseconds since the delivery and number of deliveries.
fn xpending(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let argv = args.argv();
    let filter = match argv.len() {
        3 => None,
        6..=9 => Some(Filter::parse(argv)?),
        _ => return Err(CommandError::Syntax),
    };
    let (key, name) = (args.key()?, args.bytes()?);
    let stream = ctx.get::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.groups.get(name));
    let group = group.ok_or_else(|| no_group(key, name, ""))?;
    match filter {
        None => sum_up(group, reply),
        Some(filter) => show(group, &filter, ctx.now.unix_ms(), reply),
    }
    Ok(())
}

fn sum_up(group: &stream::Group, reply: &mut Writer<'_>) {
    reply.array(4);
    reply.integer(group.pending_count() as i64);
    let mut all = group.pending(StreamId::MIN..=StreamId::MAX);
    let Some((first, _)) = all.next() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    let (last, _) = all.next_back().unwrap_or((first, group.pending_at(first).expect("it is")));
    reply_id(reply, first);
    reply_id(reply, last);
    let with_some = || group.consumers().filter(|consumer| consumer.pending_count() > 0);
    reply.array(with_some().count());
    for consumer in with_some() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk(consumer.pending_count().to_string().as_bytes());
    }
}

fn show(group: &stream::Group, filter: &Filter<'_>, now_ms: i64, reply: &mut Writer<'_>) {
    let range = filter.start..=filter.end;
    let is_idle = |pending: &Pending| {
        let idle_ms = now_ms.wrapping_sub(pending.delivered_at_ms);
        filter.idle_min_ms == 0 || idle_ms >= filter.idle_min_ms
    };
    let mut count = 0;
    let start = reply.position();
    let mut show_one = |(id, pending): (StreamId, Pending)| {
        count += 1;
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.integer(now_ms.wrapping_sub(pending.delivered_at_ms).max(0));
        reply.integer(pending.delivery_count);
    };
    match filter.consumer {
        None => {
            let all = group.pending(range).filter(|(_, pending)| is_idle(pending));
            all.take(filter.count).for_each(&mut show_one);
        }
        Some(name) => {
            let consumer = group.find(name).map(|consumer| group.consumer(consumer));
            let ids = consumer.into_iter().flat_map(|consumer| consumer.pending(range.clone()));
            let own = ids.filter_map(|id| Some((id, group.pending_at(id)?)));
            let own = own.filter(|(_, pending)| is_idle(pending));
            own.take(filter.count).for_each(&mut show_one);
        }
    }
    reply.array_before(start, count);
}

/// Acknowledges entries. Reply: how many were pending. Journal: verbatim.
fn xack(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, name) = (args.key()?, args.bytes()?);
    let _ = ctx.entry(key).counted();
    let mut stream = ctx.get_mut::<Stream>(key)?;
    let found = stream.as_mut();
    let Some(mut group) = found.and_then(|stream| stream.groups.get_mut(name)) else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let ids = parse_ids(args.rest())?;
    let acknowledged_count = ids.iter().filter(|id| group.acknowledge(**id)).count();
    drop(group);
    drop(stream);
    reply.integer(acknowledged_count as i64);
    if acknowledged_count == 0 {
        return Ok(Written::unchanged());
    }
    ctx.count_change();
    Ok(Written::reported())
}

const XPENDING: Docs = Docs {
    summary: "Tells what a group has delivered and nobody has acknowledged.",
    since: "5.0.0",
    complexity: "O(log n + m), m entries shown; O(c) with c consumers for the summary",
    arguments: &[
        Argument::key("key"),
        Argument::string("group"),
        Argument::block(
            "filters",
            &[
                Argument::integer("min-idle-time").token("IDLE").optional().since("6.2.0"),
                Argument::string("start"),
                Argument::string("end"),
                Argument::integer("count"),
                Argument::string("consumer").optional(),
            ],
        )
        .optional(),
    ],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XGROUP CREATE jobs painters 0\nOK\n> XREADGROUP GROUP painters alice STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"1-0\"\n         2) 1) \"job\"\n            2) \"paint\"\n> XPENDING jobs painters\n1) (integer) 1\n2) \"1-0\"\n3) \"1-0\"\n4) 1) 1) \"alice\"\n      2) \"1\"",
    ],
    ..Docs::NONE
};

const XACK: Docs = Docs {
    summary: "Acknowledges entries that a consumer of a group has got.",
    since: "5.0.0",
    complexity: "O(log n) per id",
    arguments: &[
        Argument::key("key"),
        Argument::string("group"),
        Argument::string("id").repeated(),
    ],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XGROUP CREATE jobs painters 0\nOK\n> XREADGROUP GROUP painters alice STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"1-0\"\n         2) 1) \"job\"\n            2) \"paint\"\n> XACK jobs painters 1-0\n(integer) 1\n> XACK jobs painters 1-0\n(integer) 0",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn pending_entries_are_filtered() {
        check(
            r#"
            > XADD s 1-0 f v
            "1-0"
            > XADD s 2-0 f v
            "2-0"
            > XADD s 3-0 f v
            "3-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g bob COUNT 1 STREAMS s >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
            ~ advance 20ms
            > XREADGROUP GROUP g alice NOACK COUNT 1 STREAMS s >
            1) 1) "s"
               2) 1) 1) "2-0"
                     2) 1) "f"
                        2) "v"
            > XREADGROUP GROUP g alice STREAMS s >
            1) 1) "s"
               2) 1) 1) "3-0"
                     2) 1) "f"
                        2) "v"
            > XPENDING s g
            1) (integer) 2
            2) "1-0"
            3) "3-0"
            4) 1) 1) "alice"
                  2) "1"
               2) 1) "bob"
                  2) "1"
            > XPENDING s g - + 10
            1) 1) "1-0"
               2) "bob"
               3) (integer) 20
               4) (integer) 1
            2) 1) "3-0"
               2) "alice"
               3) (integer) 0
               4) (integer) 1
            > XPENDING s g IDLE 20 - + 10
            1) 1) "1-0"
               2) "bob"
               3) (integer) 20
               4) (integer) 1
            > XPENDING s g (1-0 + 10 alice
            1) 1) "3-0"
               2) "alice"
               3) (integer) 0
               4) (integer) 1
            > XPENDING s g IDLE 1 - + 10 alice
            (empty array)
            > XPENDING s g - + 10 nobody
            (empty array)
            > XPENDING s g + - 10
            (empty array)
            > XPENDING s g - + -1
            (empty array)
            > XPENDING s h
            (error) NOGROUP No such key 's' or consumer group 'h'
            > XPENDING t g - + 10
            (error) NOGROUP No such key 't' or consumer group 'g'
        "#,
        );
    }

    #[test]
    fn arguments_are_read_before_the_key() {
        check(
            r#"
            > SET text x
            OK
            > XPENDING text g - +
            (error) ERR syntax error
            > XPENDING text g IDLE 5 - +
            (error) ERR syntax error
            > XPENDING text g IDLE x - +
            (error) ERR value is not an integer or out of range
            > XPENDING text g x + many
            (error) ERR value is not an integer or out of range
            > XPENDING text g x + 1
            (error) ERR Invalid stream ID specified as stream command argument
            > XPENDING text g - + 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XACK text g x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XACK none g x
            (integer) 0
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XACK s g 1-0 x
            (error) ERR Invalid stream ID specified as stream command argument
            > XACK s h x
            (integer) 0
        "#,
        );
    }
}
