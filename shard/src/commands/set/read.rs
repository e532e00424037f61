//! Commands that look at one set: SCARD SISMEMBER SMISMEMBER SMEMBERS SSCAN.
//!
//! Path: `shard::Shard::execute` -> here -> `types::set`.

use super::write_member;
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::scan_args::{self, ScanOptions};
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::types::set::Set;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &SCARD,
            ..CommandSpec::new("scard", Group::Set)
        },
        run: Run::Read(scard),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &SISMEMBER,
            ..CommandSpec::new("sismember", Group::Set)
        },
        run: Run::Read(sismember),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &SMISMEMBER,
            ..CommandSpec::new("smismember", Group::Set)
        },
        run: Run::Read(smismember),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::READONLY,
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output_order"],
            docs: &SMEMBERS,
            ..CommandSpec::new("smembers", Group::Set)
        },
        run: Run::Read(smembers),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::SET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &SSCAN,
            ..CommandSpec::new("sscan", Group::Set)
        },
        run: Run::Read(sscan),
    },
];
const _: () = check(COMMANDS);

fn scard(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<Set>(args.key()?)?;
    reply.integer(set.map_or(0, Set::len) as i64);
    Ok(())
}

fn sismember(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<Set>(args.key()?)?;
    let member = args.bytes()?;
    reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    Ok(())
}

fn smismember(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<Set>(args.key()?)?;
    reply.array(args.remaining());
    for member in args.rest() {
        reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn smembers(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<Set>(args.key()?)?;
    reply.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|member| write_member(member, reply));
    Ok(())
}

/// Visits some members. Reply: the next cursor, and the members.
fn sscan(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let cursor = scan_args::parse_cursor(args.bytes()?)?;
    let Some(set) = ctx.get::<Set>(key)? else {
        scan_args::reply_with(reply, 0, |_| 0);
        return Ok(());
    };
    let options = ScanOptions::parse(args)?;
    let (cursor, members) = set.scan(cursor, options.count);
    scan_args::reply_with(reply, cursor, |reply| {
        let wanted = members.filter(|member| member.with_bytes(|bytes| options.wants(bytes)));
        wanted.map(|member| write_member(member, reply)).count()
    });
    Ok(())
}

const SCARD: Docs = Docs {
    summary: "Returns how many members a set has.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SADD s bid ask\n(integer) 2\n> SCARD s\n(integer) 2\n> SCARD none\n(integer) 0"],
    ..Docs::NONE
};

const SISMEMBER: Docs = Docs {
    summary: "Says whether something is a member of a set.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("member")],
    examples: &[
        "> SADD s bid ask\n(integer) 2\n> SISMEMBER s bid\n(integer) 1\n> SISMEMBER s last\n(integer) 0",
    ],
    ..Docs::NONE
};

const SMISMEMBER: Docs = Docs {
    summary: "Says of several things which of them are members of a set.",
    since: "6.2.0",
    complexity: "O(1) per member asked for",
    arguments: &[Argument::key("key"), Argument::string("member").repeated()],
    examples: &[
        "> SADD s bid ask\n(integer) 2\n> SMISMEMBER s bid last\n1) (integer) 1\n2) (integer) 0",
    ],
    ..Docs::NONE
};

const SMEMBERS: Docs = Docs {
    summary: "Returns all members of a set.",
    since: "1.0.0",
    complexity: "O(n), n members",
    arguments: &[Argument::key("key")],
    examples: &["> SADD s bid ask\n(integer) 2\n> SMEMBERS s\n1) \"bid\"\n2) \"ask\""],
    ..Docs::NONE
};

const SSCAN: Docs = Docs {
    summary: "Goes through the members of a set step by step.",
    since: "2.8.0",
    complexity: "O(COUNT) per step",
    arguments: &[
        Argument::key("key"),
        Argument::integer("cursor"),
        Argument::pattern("pattern").token("MATCH").optional(),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &["> SADD s bid ask\n(integer) 2\n> SSCAN s 0 MATCH b*\n1) \"0\"\n2) 1) \"bid\""],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn a_missing_key_is_an_empty_set() {
        check(
            r#"
            > SCARD none
            (integer) 0
            > SISMEMBER none a
            (integer) 0
            > SMISMEMBER none a b
            1) (integer) 0
            2) (integer) 0
            > SMEMBERS none
            (empty array)
            > SSCAN none 5 NONSENSE
            1) "0"
            2) (empty array)
            # resp3
            > SMEMBERS none
            (empty set)
        "#,
        );
    }

    #[test]
    fn another_type_is_refused() {
        for command in ["SCARD k", "SISMEMBER k a", "SMISMEMBER k a", "SMEMBERS k", "SSCAN k 0 X"] {
            check(&format!(
                r#"
                > SET k v
                OK
                > {command}
                (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#
            ));
        }
    }

    #[test]
    fn integers_come_in_order_and_as_text() {
        check(
            r#"
            > SADD s 10 -3 007 +1
            (integer) 4
            > OBJECT ENCODING s
            "listpack"
            > SADD i 10 -3 9223372036854775807
            (integer) 3
            > OBJECT ENCODING i
            "intset"
            > SMEMBERS i
            1) "-3"
            2) "10"
            3) "9223372036854775807"
            > SISMEMBER i 10
            (integer) 1
            > SISMEMBER i 010
            (integer) 0
            # resp3
            > SMEMBERS i
            1~ "-3"
            2~ "10"
            3~ "9223372036854775807"
        "#,
        );
    }

    #[test]
    fn a_scan_goes_step_by_step_through_a_table_only() {
        let script = r#"
            > SADD s a b c d
            (integer) 4
            > SSCAN s 0 COUNT 3
            {}
            > SSCAN s 1 COUNT 3 MATCH a
            1) "0"
            2) 1) "a"
            > SSCAN s 0 COUNT 0
            (error) ERR syntax error
            > SSCAN s x
            (error) ERR invalid cursor
        "#;
        let whole = "1) \"0\"\n            2) 1) \"a\"\n               2) \"b\"\n               3) \"c\"\n               4) \"d\"";
        check(&script.replace("{}", whole));
        let step =
            "1) \"1\"\n            2) 1) \"b\"\n               2) \"c\"\n               3) \"d\"";
        let options = Options { set_max_listpack_entries: 2, ..options() };
        check_with(options, &script.replace("{}", step));
    }
}
