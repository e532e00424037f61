//! Counters in a hash: HINCRBY.
//!
//! Path: `shard::Shard::execute` -> here -> `types::hash`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::hash::{Hash, HashLimits};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: 4,
        flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
        categories: Categories::HASH,
        keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]))],
        docs: &HINCRBY,
        ..CommandSpec::new("hincrby", Group::Hash)
    },
    run: Run::Write(hincrby),
}];
const _: () = check(COMMANDS);

/// Adds an integer. Reply: the sum. Journal: verbatim.
fn hincrby(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, field, increment) = (args.key()?, args.bytes()?, args.integer()?);
    let limits = HashLimits::from(ctx.options);
    let hash = ctx.get_or_create::<Hash>(key)?;
    let old = match hash.get(field) {
        Some(text) => {
            number::parse_i64(text).ok_or(CommandError::text("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let sum = old.checked_add(increment).ok_or(CommandError::Overflow)?;
    hash.set(field, itoa::Buffer::new().format(sum).as_bytes(), limits);
    reply.integer(sum);
    Ok(Written::changed(Event::HINCRBY))
}

const HINCRBY: Docs = Docs {
    summary: "Adds an integer to a field of a hash, which counts as 0 if it does not exist.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field"), Argument::integer("increment")],
    examples: &["> HINCRBY h visits 1\n(integer) 1\n> HINCRBY h visits -5\n(integer) -4"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn an_integer_is_added() {
        check(
            r#"
            > HINCRBY h n 9223372036854775807
            (integer) 9223372036854775807
            > HINCRBY h n 1
            (error) ERR increment or decrement would overflow
            > HINCRBY h n -9223372036854775808
            (integer) -1
            > HINCRBY h n 1.5
            (error) ERR value is not an integer or out of range
            > HSET h text " 1" empty ""
            (integer) 2
            > HINCRBY h text 1
            (error) ERR hash value is not an integer
            > HINCRBY h empty 1
            (error) ERR hash value is not an integer
            > SET s v
            OK
            > HINCRBY s n x
            (error) ERR value is not an integer or out of range
            > HINCRBY s n 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HINCRBY none n x
            (error) ERR value is not an integer or out of range
            > DEL none
            (integer) 0
            ~ events
            hincrby h
            hincrby h
            hset h
            set s
            ~ journal
            HINCRBY h n 9223372036854775807
            HINCRBY h n -9223372036854775808
            HSET h text " 1" empty ""
            SET s v
        "#,
        );
    }
}
