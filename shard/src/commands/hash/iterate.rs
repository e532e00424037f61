//! Commands over all fields of a hash: HGETALL HKEYS HVALS HRANDFIELD HSCAN.
//!
//! Path: `shard::Shard::execute` -> here -> `types::hash`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::sample::Draw;
use crate::commands::scan_args::{self, ScanOptions};
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::element::Element;
use crate::types::hash::{Hash, HashRef};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::{Resp, Writer};

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::READONLY,
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output_order"],
            docs: &HGETALL,
            ..CommandSpec::new("hgetall", Group::Hash)
        },
        run: Run::Read(hgetall),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::READONLY,
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output_order"],
            docs: &HKEYS,
            ..CommandSpec::new("hkeys", Group::Hash)
        },
        run: Run::Read(hkeys),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::READONLY,
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output_order"],
            docs: &HVALS,
            ..CommandSpec::new("hvals", Group::Hash)
        },
        run: Run::Read(hvals),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &HRANDFIELD,
            ..CommandSpec::new("hrandfield", Group::Hash)
        },
        run: Run::Read(hrandfield),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::HASH,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &HSCAN,
            ..CommandSpec::new("hscan", Group::Hash)
        },
        run: Run::Read(hscan),
    },
];
const _: () = check(COMMANDS);

fn hgetall(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    reply.map(hash.map_or(0, HashRef::len));
    hash.into_iter().flat_map(HashRef::iter).for_each(|(field, value)| {
        reply.bulk(&field.text());
        reply.bulk(&value.text());
    });
    Ok(())
}

fn hkeys(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    reply.array(hash.map_or(0, HashRef::len));
    hash.into_iter().flat_map(HashRef::iter).for_each(|(field, _)| reply.bulk(&field.text()));
    Ok(())
}

fn hvals(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let hash = ctx.get::<Hash>(args.key()?)?;
    reply.array(hash.map_or(0, HashRef::len));
    hash.into_iter().flat_map(HashRef::iter).for_each(|(_, value)| reply.bulk(&value.text()));
    Ok(())
}

/// Draws fields. Reply: a field or null; with a count an array, of pairs in RESP3 with WITHVALUES.
fn hrandfield(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    if args.is_empty() {
        match ctx.get::<Hash>(key)? {
            Some(hash) => reply.bulk(&hash.at(ctx.rng().below(hash.len())).0.text()),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = args.symmetric()?;
    let has_values = args.take_token("WITHVALUES");
    if !args.is_empty() {
        return Err(CommandError::Syntax);
    }
    if has_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    let Some(hash) = ctx.get::<Hash>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let draw = Draw::from_count(count);
    let is_nested = has_values && reply.resp() == Resp::V3;
    let drawn_count = draw.count(hash.len());
    reply.array(if has_values && !is_nested { 2 * drawn_count } else { drawn_count });
    let write = |(field, value): (Element<'_>, Element<'_>), reply: &mut Writer<'_>| {
        if is_nested {
            reply.array(2);
        }
        reply.bulk(&field.text());
        if has_values {
            reply.bulk(&value.text());
        }
    };
    draw.write(hash.len(), &mut ctx.rng(), reply, |indices| hash.pick(indices), write)
}

/// Visits some fields. Reply: the next cursor, and fields with values in turn (flat in RESP3 too).
fn hscan(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let cursor = scan_args::parse_cursor(args.bytes()?)?;
    let Some(hash) = ctx.get::<Hash>(key)? else {
        scan_args::reply_with(reply, 0, |_| 0);
        return Ok(());
    };
    let options = ScanOptions::parse(args)?;
    let (cursor, fields) = hash.scan(cursor, options.count);
    scan_args::reply_with(reply, cursor, |reply| {
        let mut count = 0;
        for (field, value) in fields.filter(|(field, _)| options.wants(&field.text())) {
            reply.bulk(&field.text());
            reply.bulk(&value.text());
            count += 2;
        }
        count
    });
    Ok(())
}

const HGETALL: Docs = Docs {
    summary: "Returns all fields of a hash with their values.",
    since: "2.0.0",
    complexity: "O(n), n fields",
    arguments: &[Argument::key("key")],
    examples: &[
        "> HSET h price 101.5 volume 300\n(integer) 2\n> HGETALL h\n1) \"price\"\n2) \"101.5\"\n3) \"volume\"\n4) \"300\"",
    ],
    ..Docs::NONE
};

const HKEYS: Docs = Docs {
    summary: "Returns the names of all fields of a hash.",
    since: "2.0.0",
    complexity: "O(n), n fields",
    arguments: &[Argument::key("key")],
    examples: &[
        "> HSET h price 101.5 volume 300\n(integer) 2\n> HKEYS h\n1) \"price\"\n2) \"volume\"",
    ],
    ..Docs::NONE
};

const HVALS: Docs = Docs {
    summary: "Returns the values of all fields of a hash.",
    since: "2.0.0",
    complexity: "O(n), n fields",
    arguments: &[Argument::key("key")],
    examples: &[
        "> HSET h price 101.5 volume 300\n(integer) 2\n> HVALS h\n1) \"101.5\"\n2) \"300\"",
    ],
    ..Docs::NONE
};

const HRANDFIELD: Docs = Docs {
    summary: "Returns random fields of a hash.",
    since: "6.2.0",
    complexity: "O(n), n fields returned",
    arguments: &[
        Argument::key("key"),
        Argument::block(
            "options",
            &[Argument::integer("count"), Argument::word("withvalues", "WITHVALUES").optional()],
        )
        .optional(),
    ],
    examples: &[
        "> HSET h only 1\n(integer) 1\n> HRANDFIELD h\n\"only\"\n> HRANDFIELD h -2 WITHVALUES\n1) \"only\"\n2) \"1\"\n3) \"only\"\n4) \"1\"",
    ],
    ..Docs::NONE
};

const HSCAN: Docs = Docs {
    summary: "Goes through the fields of a hash step by step.",
    since: "2.8.0",
    complexity: "O(COUNT) per step",
    arguments: &[
        Argument::key("key"),
        Argument::integer("cursor"),
        Argument::pattern("pattern").token("MATCH").optional(),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> HSET h price 101.5 volume 300\n(integer) 2\n> HSCAN h 0 MATCH p*\n1) \"0\"\n2) 1) \"price\"\n   2) \"101.5\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn a_missing_key_is_an_empty_hash() {
        check(
            r#"
            > HGETALL none
            (empty array)
            > HKEYS none
            (empty array)
            > HVALS none
            (empty array)
            > HSCAN none 5 NONSENSE
            1) "0"
            2) (empty array)
            # resp3
            > HGETALL none
            (empty hash)
            > HKEYS none
            (empty array)
        "#,
        );
    }

    #[test]
    fn another_type_is_refused() {
        check(
            r#"
            > SET s v
            OK
            > HGETALL s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HKEYS s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HVALS s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > HSCAN s 0 NONSENSE
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn a_draw_reads_its_count() {
        for hash_max_listpack_entries in [0, 512] {
            check_with(
                Options { hash_max_listpack_entries, ..options() },
                r#"
                > HRANDFIELD none
                (nil)
                > HRANDFIELD none 3
                (empty array)
                > HRANDFIELD none x
                (error) ERR value is not an integer or out of range
                > HRANDFIELD none 1 NONSENSE
                (error) ERR syntax error
                > HRANDFIELD none 1 WITHVALUES more
                (error) ERR syntax error
                > HRANDFIELD none -9223372036854775808
                (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
                > HRANDFIELD none -9223372036854775807 WITHVALUES
                (error) ERR value is out of range
                > HSET h a 1 b 2
                (integer) 2
                > HRANDFIELD h 0 WITHVALUES
                (empty array)
                > HRANDFIELD h 9223372036854775807
                1) "a"
                2) "b"
                > HRANDFIELD h 3 WITHVALUES
                1) "a"
                2) "1"
                3) "b"
                4) "2"
                > HDEL h b
                (integer) 1
                > HRANDFIELD h -3
                1) "a"
                2) "a"
                3) "a"
                # resp3
                > HRANDFIELD h -2 WITHVALUES
                1) 1) "a"
                   2) "1"
                2) 1) "a"
                   2) "1"
                > HRANDFIELD h 5
                1) "a"
                # resp2
                > SET s v
                OK
                > HRANDFIELD s
                (error) WRONGTYPE Operation against a key holding the wrong kind of value
                > HRANDFIELD s 1
                (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
            );
        }
    }

    #[test]
    fn an_endless_draw_ends_with_an_error() {
        let value = "v".repeat(50_000);
        check(&format!(
            r#"
            > HSET h a {value}
            (integer) 1
            > HRANDFIELD h -4611686018427387903 WITHVALUES
            (error) ERR value is out of range
        "#
        ));
    }

    #[test]
    fn resp3_gets_a_map() {
        check(
            r#"
            > HSET h a 1 b 2
            (integer) 2
            # resp3
            > HGETALL h
            1# "a" => "1"
            2# "b" => "2"
            > HSCAN h 0
            1) "0"
            2) 1) "a"
               2) "1"
               3) "b"
               4) "2"
        "#,
        );
    }

    #[test]
    fn a_scan_reads_its_options() {
        check(
            r#"
            > HSET h a 1 b 2 ab 3
            (integer) 3
            > HSCAN h 0 COUNT 1 MATCH none MATCH a*
            1) "0"
            2) 1) "a"
               2) "1"
               3) "ab"
               4) "3"
            > HSCAN h 17
            1) "0"
            2) 1) "a"
               2) "1"
               3) "b"
               4) "2"
               5) "ab"
               6) "3"
            > HSCAN h x
            (error) ERR invalid cursor
            > HSCAN h 0 MATCH
            (error) ERR syntax error
            > HSCAN h 0 COUNT 0
            (error) ERR syntax error
            > HSCAN h 0 COUNT many
            (error) ERR value is not an integer or out of range
            > HSCAN h 0 TYPE string
            (error) ERR syntax error
        "#,
        );
    }

    #[test]
    fn a_scan_of_a_large_hash_goes_step_by_step() {
        check_with(
            Options { hash_max_listpack_entries: 2, ..options() },
            r#"
            > HSET h a 1 b 2 c 3 d 4
            (integer) 4
            > HSCAN h 0 COUNT 3
            1) "1"
            2) 1) "b"
               2) "2"
               3) "c"
               4) "3"
               5) "d"
               6) "4"
            > HSCAN h 1 COUNT 3
            1) "0"
            2) 1) "a"
               2) "1"
            > HSCAN h 18446744073709551615 COUNT 9223372036854775807 MATCH a
            1) "0"
            2) 1) "a"
               2) "1"
        "#,
        );
    }
}
