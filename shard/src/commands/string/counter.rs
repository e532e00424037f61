//! Commands that count: INCR INCRBY INCRBYFLOAT DECR DECRBY.
//!
//! Path: `shard::Shard::execute` -> here -> `types::string`. A counter is a string; a missing one counts as 0.

use super::replayed_as;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::string::{Str, StrRef};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number::LongDouble;
use protocol::reply::Writer;

/// What all counters do to their key.
const COUNTER: &[KeySpec] =
    &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]))];

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: COUNTER,
            docs: &INCR,
            ..CommandSpec::new("incr", Group::String)
        },
        run: Run::Write(incr),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: COUNTER,
            docs: &INCRBY,
            ..CommandSpec::new("incrby", Group::String)
        },
        run: Run::Write(incrby),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: COUNTER,
            docs: &INCRBYFLOAT,
            ..CommandSpec::new("incrbyfloat", Group::String)
        },
        run: Run::Write(incrbyfloat),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: COUNTER,
            docs: &DECR,
            ..CommandSpec::new("decr", Group::String)
        },
        run: Run::Write(decr),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: COUNTER,
            docs: &DECRBY,
            ..CommandSpec::new("decrby", Group::String)
        },
        run: Run::Write(decrby),
    },
];

const _: () = check(COMMANDS);

/// Adds 1. Args: `key`. Reply: integer, the sum. Errors: as [`add`].
fn incr(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    add(ctx, args.key()?, 1, reply)
}

/// Adds an integer. Args: `key increment`. Reply: integer, the sum. Errors: not an integer; as [`add`].
fn incrby(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    add(ctx, key, args.integer()?, reply)
}

/// Subtracts 1. Args: `key`. Reply: integer, the difference. Errors: as [`add`].
fn decr(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    add(ctx, args.key()?, -1, reply)
}

/// Subtracts an integer. Args: `key decrement`. Reply: integer, the difference. Errors: not an integer, or one that
/// cannot be negated; as [`add`].
fn decrby(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let increment = args.integer()?.checked_neg();
    add(ctx, key, increment.ok_or(CommandError::text("ERR decrement would overflow"))?, reply)
}

/// Adds `increment` to the integer that `key` holds. Its expiry stays.
///
/// Errors: WRONGTYPE, no integer, overflow.
fn add(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    increment: i64,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut found = ctx.entry(key);
    let old = match found.value::<Str>()? {
        Some(string) => string.as_integer().ok_or(CommandError::NotInteger)?,
        None => 0,
    };
    let sum = old.checked_add(increment).ok_or(CommandError::Overflow)?;
    let expire_at_ms = found.expire_at_ms();
    found.store_string(StrRef::Int(sum), expire_at_ms);
    reply.integer(sum);
    Ok(Written::changed(Event::INCRBY))
}

/// Adds a number with a fraction, in C's `long double`. The expiry stays.
///
/// Args: `key increment`. Reply: the sum as a string, with at most 17 digits behind the point. Errors: WRONGTYPE, no
/// float, a sum that is none. Journal: SET KEEPTTL with the sum, so that nothing depends on rounding.
fn incrbyfloat(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let increment = args.bytes()?;
    let mut found = ctx.entry(key);
    let old = match found.value::<Str>()? {
        Some(StrRef::Int(integer)) => LongDouble::from(integer),
        Some(string) => string.with_bytes(LongDouble::parse).ok_or(CommandError::NotFloat)?,
        None => LongDouble::ZERO,
    };
    let sum = old + LongDouble::parse(increment).ok_or(CommandError::NotFloat)?;
    if !sum.is_finite() {
        return Err(CommandError::NanOrInfinity);
    }
    let text = sum.to_text();
    // Redis keeps the text as it is, even if it is that of an integer.
    let expire_at_ms = found.expire_at_ms();
    found.store_string(StrRef::from_text(&text), expire_at_ms);
    reply.bulk(&text);
    let written = Written::changed(Event::INCRBYFLOAT);
    Ok(replayed_as(ctx, written, &[b"SET", key, &text, b"KEEPTTL"]))
}

const INCR: Docs = Docs {
    summary: "Adds 1 to the integer that a key holds; a missing key counts as 0.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> INCR visits\n(integer) 1\n> INCR visits\n(integer) 2\n> GET visits\n\"2\"",
        "> SET k v\nOK\n> INCR k\n(error) ERR value is not an integer or out of range",
    ],
    ..Docs::NONE
};

const INCRBY: Docs = Docs {
    summary: "Adds to the integer that a key holds; a missing key counts as 0.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("increment")],
    examples: &["> SET k 10\nOK\n> INCRBY k 5\n(integer) 15\n> INCRBY k -20\n(integer) -5"],
    ..Docs::NONE
};

const INCRBYFLOAT: Docs = Docs {
    summary: "Adds to the number that a key holds, with a fraction; a missing key counts as 0.",
    since: "2.6.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::double("increment")],
    examples: &[
        "> SET price 10.50\nOK\n> INCRBYFLOAT price 0.1\n\"10.6\"\n> INCRBYFLOAT price -5\n\"5.6\"",
        "> INCRBYFLOAT k 5.0e3\n\"5000\"",
    ],
    ..Docs::NONE
};

const DECR: Docs = Docs {
    summary: "Subtracts 1 from the integer that a key holds; a missing key counts as 0.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET stock 10\nOK\n> DECR stock\n(integer) 9"],
    ..Docs::NONE
};

const DECRBY: Docs = Docs {
    summary: "Subtracts from the integer that a key holds; a missing key counts as 0.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("decrement")],
    examples: &["> SET stock 10\nOK\n> DECRBY stock 3\n(integer) 7"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn counters_count_in_every_encoding() {
        check(
            r#"
            > SET n 41
            OK
            > INCR n
            (integer) 42
            > OBJECT ENCODING n
            "int"
            > APPEND n 0
            (integer) 3
            > OBJECT ENCODING n
            "raw"
            > DECRBY n 20
            (integer) 400
            > OBJECT ENCODING n
            "int"
            > DECR none
            (integer) -1
            > INCRBY zero 0
            (integer) 0
            > OBJECT ENCODING zero
            "int"
        "#,
        );
    }

    #[test]
    fn only_the_shortest_form_of_an_integer_counts() {
        for text in ["\" 11\"", "11.0", "+1", "01", "9223372036854775808", "\"\"", "1e3"] {
            check(
                &format!(
                    "> SET n {text}
                OK
                > INCR n
                (error) ERR value is not an integer or out of range
                > INCRBY m {text}
                (error) ERR value is not an integer or out of range
                > DECRBY m {text}
                (error) ERR value is not an integer or out of range
                > EXISTS m
                (integer) 0"
                )
                .replace("                ", ""),
            );
        }
    }

    #[test]
    fn sums_do_not_wrap_around() {
        check(
            r#"
            > SET n 9223372036854775807
            OK
            > INCR n
            (error) ERR increment or decrement would overflow
            > DECRBY n -1
            (error) ERR increment or decrement would overflow
            > DECRBY n -9223372036854775808
            (error) ERR decrement would overflow
            > INCRBY n -9223372036854775808
            (integer) -1
            > SET n -9223372036854775808
            OK
            > DECR n
            (error) ERR increment or decrement would overflow
            > DECRBY none -9223372036854775808
            (error) ERR decrement would overflow
            > GET n
            "-9223372036854775808"
        "#,
        );
    }

    #[test]
    fn the_expiry_stays_and_the_event_is_one() {
        check(
            r#"
            > SET n 1 PX 1000
            OK
            ~ events
            set n
            expire n
            ~ journal
            SET n 1 PXAT 1700000001000
            > DECRBY n 5
            (integer) -4
            > INCRBYFLOAT n 0.5
            "-3.5"
            ~ events
            incrby n
            incrbyfloat n
            ~ journal
            DECRBY n 5
            SET n -3.5 KEEPTTL
            > PTTL n
            (integer) 1000
            ~ advance 1001ms
            > INCR n
            (integer) 1
            ~ events
            expired n
            incrby n
            ~ journal
            DEL n
            INCR n
            > TTL n
            (integer) -1
        "#,
        );
    }

    #[test]
    fn floats_are_summed_as_long_doubles_and_stored_as_text() {
        check(
            r#"
            > SET n 3
            OK
            > INCRBYFLOAT n 1.1
            "4.1"
            > INCRBYFLOAT n -1.1
            "3"
            > OBJECT ENCODING n
            "embstr"
            > INCR n
            (integer) 4
            > OBJECT ENCODING n
            "int"
            > SET n 0.1
            OK
            > INCRBYFLOAT n 0.2
            "0.3"
            > INCRBYFLOAT n 1e20
            "100000000000000000000"
            > INCRBYFLOAT none -0
            "0"
            > INCRBYFLOAT hex 0x10
            "16"
        "#,
        );
    }

    #[test]
    fn what_is_no_float_is_refused() {
        check(
            r#"
            > SET n 1
            OK
            > INCRBYFLOAT n x
            (error) ERR value is not a valid float
            > INCRBYFLOAT n " 1"
            (error) ERR value is not a valid float
            > INCRBYFLOAT n nan
            (error) ERR value is not a valid float
            > INCRBYFLOAT n inf
            (error) ERR increment would produce NaN or Infinity
            > SET big inf
            OK
            > INCRBYFLOAT big -inf
            (error) ERR increment would produce NaN or Infinity
            > SET s "1 "
            OK
            > INCRBYFLOAT s 1
            (error) ERR value is not a valid float
            > GET n
            "1"
            ~ journal
            SET n 1
            SET big inf
            SET s "1 "
        "#,
        );
    }

    #[test]
    fn other_types_are_refused() {
        check(
            r#"
            > HSET h f v
            (integer) 1
            > INCR h
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > INCRBYFLOAT h 1
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > INCRBYFLOAT h x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
