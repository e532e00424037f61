//! Commands that draw members: SPOP SRANDMEMBER.
//!
//! Path: `shard::Shard::execute` -> here -> `types::set`.

use super::write_member;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::sample::{self, Draw};
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::rng::Rng;
use crate::types::set::{Set, SetLimits};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use protocol::request::ArgvBuf;

/// Most members in one command of the journal.
const JOURNAL_MEMBERS_MAX: usize = 1024;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::DELETE,
            ]))],
            tips: &["nondeterministic_output"],
            docs: &SPOP,
            ..CommandSpec::new("spop", Group::Set)
        },
        run: Run::Write(spop),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &SRANDMEMBER,
            ..CommandSpec::new("srandmember", Group::Set)
        },
        run: Run::Read(srandmember),
    },
];
const _: () = check(COMMANDS);

/// Takes random members out. Reply: a member or null; with a count a set. Journal: SREM, or DEL if none is left.
fn spop(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    match args.remaining() {
        0 => spop_one(ctx, key, reply),
        1 => spop_count(ctx, key, args.count()?, reply),
        _ => Err(CommandError::Syntax),
    }
}

fn spop_one(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut rng = Rng::new(ctx.rng.next_u64());
    let Some(mut set) = ctx.get_mut::<Set>(key)? else {
        reply.null();
        return Ok(Written::unchanged());
    };
    let index = rng.below(set.len());
    let member = set.take(index);
    let is_emptied = set.is_empty();
    drop(set);
    reply.bulk(&member);
    ctx.journal(&[b"SREM", key, &member]);
    ctx.changed(key, Event::SPOP);
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported().journaled())
}

fn spop_count(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    count: usize,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let limits = SetLimits::from(ctx.options);
    let mut rng = Rng::new(ctx.rng.next_u64());
    let Some(mut set) = ctx.get_mut::<Set>(key)?.filter(|_| count > 0) else {
        reply.set(0);
        return Ok(Written::unchanged());
    };
    if count >= set.len() {
        reply.set(set.len());
        set.iter().for_each(|member| write_member(member, reply));
        drop(set);
        ctx.journal(&[b"DEL", key]);
        ctx.changed(key, Event::SPOP);
        ctx.remove_emptied(key);
        return Ok(Written::reported().journaled());
    }
    let mut indices = sample::distinct(count, set.len(), &mut rng);
    indices.sort_unstable();
    let mut commands = Vec::new();
    reply.set(count);
    for members in set.pick(&indices).chunks(JOURNAL_MEMBERS_MAX) {
        let mut command = [b"SREM", key].into_iter().collect::<ArgvBuf>();
        for member in members {
            member.with_bytes(|bytes| {
                reply.bulk(bytes);
                command.push(bytes);
            });
        }
        commands.push(command);
    }
    set.remove_all(&indices);
    if set.len() * REPACK_FACTOR <= count {
        set.repack(limits);
    }
    Ok(Written::changed(Event::SPOP).rewritten_all(commands))
}

/// A set that has lost this many times what is left is built anew, as in Redis: it may be packed again.
const REPACK_FACTOR: usize = 5;

/// Draws members. Reply: a member or null; with a count an array.
fn srandmember(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    if args.is_empty() {
        match ctx.get::<Set>(key)? {
            Some(set) => write_member(set.at(ctx.rng().below(set.len())), reply),
            None => reply.null(),
        }
        return Ok(());
    }
    if args.remaining() > 1 {
        return Err(CommandError::Syntax);
    }
    let draw = Draw::from_count(args.symmetric()?);
    let Some(set) = ctx.get::<Set>(key)? else {
        reply.array(0);
        return Ok(());
    };
    reply.array(draw.count(set.len()));
    draw.write(set.len(), &mut ctx.rng(), reply, |indices| set.pick(indices), write_member)
}

const SPOP: Docs = Docs {
    summary: "Takes random members out of a set and returns them.",
    since: "1.0.0",
    complexity: "O(1) per member taken",
    arguments: &[Argument::key("key"), Argument::integer("count").optional().since("3.2.0")],
    examples: &[
        "> SADD s only\n(integer) 1\n> SPOP s\n\"only\"\n> SPOP s\n(nil)",
        "> SADD s 1 2 3\n(integer) 3\n> SPOP s 5\n1) \"1\"\n2) \"2\"\n3) \"3\"\n> EXISTS s\n(integer) 0",
    ],
    ..Docs::NONE
};

const SRANDMEMBER: Docs = Docs {
    summary: "Returns random members of a set; with a negative count the same one may come again.",
    since: "1.0.0",
    complexity: "O(1) per member returned",
    arguments: &[Argument::key("key"), Argument::integer("count").optional().since("2.6.0")],
    examples: &[
        "> SADD s only\n(integer) 1\n> SRANDMEMBER s\n\"only\"\n> SRANDMEMBER s 5\n1) \"only\"\n> SRANDMEMBER s -2\n1) \"only\"\n2) \"only\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_draw_reads_its_count() {
        check(
            r#"
            > SRANDMEMBER none
            (nil)
            > SRANDMEMBER none 3
            (empty array)
            > SRANDMEMBER none x
            (error) ERR value is not an integer or out of range
            > SRANDMEMBER none 1 2
            (error) ERR syntax error
            > SRANDMEMBER none -9223372036854775808
            (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
            > SADD s 1 2
            (integer) 2
            > SRANDMEMBER s 0
            (empty array)
            > SRANDMEMBER s 9223372036854775807
            1) "1"
            2) "2"
            > SET k v
            OK
            > SRANDMEMBER k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SRANDMEMBER k 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn a_pop_is_journaled_as_what_it_took() {
        check(
            r#"
            > SADD s a
            (integer) 1
            > SPOP s
            "a"
            > SADD s a b
            (integer) 2
            > SPOP s 2
            1) "a"
            2) "b"
            > SADD s 1 2
            (integer) 2
            > SPOP s 0
            (empty array)
            ~ journal
            SADD s a
            SREM s a
            SADD s a b
            DEL s
            SADD s 1 2
            ~ events
            sadd s
            spop s
            del s
            sadd s
            spop s
            del s
            sadd s
        "#,
        );
    }

    #[test]
    fn a_pop_reads_its_count() {
        check(
            r#"
            > SPOP none
            (nil)
            > SPOP none 1
            (empty array)
            > SPOP none -1
            (error) ERR value is out of range, must be positive
            > SPOP none x
            (error) ERR value is out of range, must be positive
            > SPOP none x y
            (error) ERR syntax error
            # resp3
            > SPOP none 1
            (empty set)
            > SET k v
            OK
            > SPOP k
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SPOP k 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn what_is_left_of_a_large_set_is_packed_again() {
        let members = (0..1000).map(|number| format!("m{number}")).collect::<Vec<_>>().join(" ");
        for (count, encoding) in [(833, "hashtable"), (900, "listpack")] {
            let mut shard = crate::testing::TestShard::new(crate::testing::options());
            let mut run = |line: &str| {
                let argv = line.split(' ').map(str::as_bytes).collect::<super::ArgvBuf>();
                let reply = crate::testing::dialogue::Peer::request(
                    &mut shard,
                    argv.as_argv(),
                    protocol::reply::Resp::V2,
                );
                let crate::testing::dialogue::Answer::Reply(reply) = reply else {
                    panic!("{line} blocks")
                };
                String::from_utf8(reply).unwrap()
            };
            run(&format!("SADD s {members}"));
            run(&format!("SPOP s {count}"));
            assert_eq!(run("SCARD s"), format!(":{}\r\n", 1000 - count));
            assert!(run("OBJECT ENCODING s").contains(encoding), "{count}");
        }
    }
}
