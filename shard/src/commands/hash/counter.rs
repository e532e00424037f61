//! Counters in a hash: HINCRBY HINCRBYFLOAT.
//!
//! Path: `shard::Shard::execute` -> here -> `types::hash`.

use super::field::set_field;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::hash::{Hash, HashLimits};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number::{self, LongDouble};
use protocol::reply::Writer;
use protocol::request::ArgvBuf;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))],
            docs: &HINCRBY,
            ..CommandSpec::new("hincrby", Group::Hash)
        },
        run: Run::Write(hincrby),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))],
            docs: &HINCRBYFLOAT,
            ..CommandSpec::new("hincrbyfloat", Group::Hash)
        },
        run: Run::Write(hincrbyfloat),
    },
];
const _: () = check(COMMANDS);

/// Adds an integer. Reply: the sum. Journal: verbatim.
fn hincrby(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, field, increment) = (args.key()?, args.bytes()?, args.integer()?);
    let limits = HashLimits::from(ctx.options);
    let mut hash = ctx.get_or_create::<Hash>(key)?;
    let old = match hash.view().get(field) {
        Some(text) => number::parse_i64(&text)
            .ok_or(CommandError::text("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = old.checked_add(increment).ok_or(CommandError::Overflow)?;
    set_field(&mut hash, field, itoa::Buffer::new().format(sum).as_bytes(), limits);
    reply.integer(sum);
    Ok(Written::changed(Event::HINCRBY))
}

/// Adds a number. Reply: the sum, as stored. Journal: HSET of the sum, so that no replay can round otherwise.
fn hincrbyfloat(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let (key, field) = (args.key()?, args.bytes()?);
    let increment = LongDouble::parse(args.bytes()?).ok_or(CommandError::NotFloat)?;
    if !increment.is_finite() {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let limits = HashLimits::from(ctx.options);
    let mut hash = ctx.get_or_create::<Hash>(key)?;
    let old = match hash.view().get(field) {
        Some(text) => {
            LongDouble::parse(&text).ok_or(CommandError::text("ERR hash value is not a float"))?
        }
        None => LongDouble::ZERO,
    };
    let sum = old + increment;
    if !sum.is_finite() {
        return Err(CommandError::NanOrInfinity);
    }
    let text = sum.to_text();
    set_field(&mut hash, field, &text, limits);
    reply.bulk(&text);
    let set = [b"HSET", key, field, &text].into_iter().collect::<ArgvBuf>();
    Ok(Written::changed(Event::HINCRBYFLOAT).rewritten(set))
}

const HINCRBY: Docs = Docs {
    summary: "Adds an integer to a field of a hash, which counts as 0 if it does not exist.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field"), Argument::integer("increment")],
    examples: &["> HINCRBY h visits 1\n(integer) 1\n> HINCRBY h visits -5\n(integer) -4"],
    ..Docs::NONE
};

const HINCRBYFLOAT: Docs = Docs {
    summary: "Adds a number to a field of a hash, which counts as 0 if it does not exist.",
    since: "2.6.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("field"), Argument::double("increment")],
    examples: &["> HINCRBYFLOAT h price 10.5\n\"10.5\"\n> HINCRBYFLOAT h price -0.25\n\"10.25\""],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_number_is_added() {
        check(
            r#"
            > HSET h x 10.50
            (integer) 1
            > HINCRBYFLOAT h x 0.1
            "10.6"
            > HINCRBYFLOAT h x 5.0e3
            "5010.60000000000000009"
            > HINCRBYFLOAT h new -3
            "-3"
            > HINCRBYFLOAT h x nan
            (error) ERR value is not a valid float
            > HINCRBYFLOAT h x inf
            (error) ERR value is NaN or Infinity
            > HINCRBYFLOAT none x inf
            (error) ERR value is NaN or Infinity
            > HSET h text abc infinite inf
            (integer) 2
            > HINCRBYFLOAT h text 1
            (error) ERR hash value is not a float
            > HINCRBYFLOAT h infinite 1
            (error) ERR increment would produce NaN or Infinity
            > SET s v
            OK
            > HINCRBYFLOAT s x abc
            (error) ERR value is not a valid float
            > HINCRBYFLOAT s x 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            # resp3
            > HINCRBYFLOAT h new 0.5
            "-2.5"
            ~ journal
            HSET h x 10.50
            HSET h x 10.6
            HSET h x 5010.60000000000000009
            HSET h new -3
            HSET h text abc infinite inf
            SET s v
            HSET h new -2.5
            ~ events
            hset h
            hincrbyfloat h
            hincrbyfloat h
            hincrbyfloat h
            hset h
            set s
            hincrbyfloat h
        "#,
        );
    }

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
