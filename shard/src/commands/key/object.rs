//! How a value is held: OBJECT ENCODING, FREQ, IDLETIME, REFCOUNT, HELP.
//!
//! Path: `shard::Shard::execute` -> here -> `keyspace::entry`. Asking is no use of the key.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::keyspace::entry::EntryRef;
use crate::types::string::StrRef;
use crate::value::ValueRef;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -2,
        docs: &OBJECT,
        subcommands: &[
            CommandSpec {
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                tips: &["nondeterministic_output"],
                docs: &OBJECT_ENCODING,
                ..CommandSpec::new("encoding", Group::Generic)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                tips: &["nondeterministic_output"],
                docs: &OBJECT_FREQ,
                ..CommandSpec::new("freq", Group::Generic)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                categories: Categories::KEYSPACE,
                docs: &OBJECT_HELP,
                ..CommandSpec::new("help", Group::Generic)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                tips: &["nondeterministic_output"],
                docs: &OBJECT_IDLETIME,
                ..CommandSpec::new("idletime", Group::Generic)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::READONLY,
                categories: Categories::KEYSPACE,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                tips: &["nondeterministic_output"],
                docs: &OBJECT_REFCOUNT,
                ..CommandSpec::new("refcount", Group::Generic)
            },
        ],
        ..CommandSpec::new("object", Group::Generic)
    },
    run: Run::Read(object),
}];
const _: () = check(COMMANDS);

/// What Redis shows as the reference count of integers that all keys share.
const REFCOUNT_SHARED: i64 = i32::MAX as i64;
/// Integers below this one and not negative are shared in Redis.
const SHARED_INTEGERS: i64 = 10_000;

/// What OBJECT HELP replies.
const HELP_LINES: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Name of the encoding that holds the value of <key>.",
    "FREQ <key>",
    "    Logarithmic counter of how often <key> is used; needs an LFU maxmemory policy.",
    "IDLETIME <key>",
    "    Seconds since <key> was last used.",
    "REFCOUNT <key>",
    "    Number of owners of the value of <key>.",
    "HELP",
    "    These lines.",
];

const NO_FREQUENCY: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
    Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";
const NO_IDLE_TIME: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. \
    Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";

/// Runs a subcommand, which the dispatcher has found to exist and to have enough arguments.
fn object(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    if args.take_token("HELP") {
        reply.array(HELP_LINES.len());
        HELP_LINES.iter().for_each(|line| reply.status(line));
        return Ok(());
    }
    let word = args.bytes()?.to_ascii_lowercase();
    let Some(entry) = ctx.peek_quietly(args.key()?) else {
        reply.null();
        return Ok(());
    };
    let access = entry.access();
    let is_lfu = ctx.options.maxmemory_policy.is_lfu();
    match &*word {
        b"encoding" => reply.bulk(entry.value.encoding().as_bytes()),
        b"idletime" if is_lfu => return Err(CommandError::text(NO_IDLE_TIME)),
        b"idletime" => reply.integer(i64::from(access.idle_seconds(ctx.now))),
        b"freq" if !is_lfu => return Err(CommandError::text(NO_FREQUENCY)),
        b"freq" => reply.integer(i64::from(access.frequency(ctx.now, ctx.options.use_rule))),
        b"refcount" => reply.integer(refcount(&entry)),
        _ => return Err(CommandError::Syntax),
    }
    Ok(())
}

/// Every value here has one owner; what Redis shares shows as it does there.
fn refcount(entry: &EntryRef<'_>) -> i64 {
    match entry.value {
        ValueRef::String(StrRef::Int(0..SHARED_INTEGERS)) => REFCOUNT_SHARED,
        _ => 1,
    }
}

const OBJECT: Docs = Docs {
    summary: "Tells how a value is held; a container.",
    since: "2.2.3",
    complexity: "Depends on the subcommand",
    ..Docs::NONE
};

const OBJECT_ENCODING: Docs = Docs {
    summary: "Names the encoding of a value.",
    since: "2.2.3",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> SET k 10\nOK\n> OBJECT ENCODING k\n\"int\"\n> SET k text\nOK\n> OBJECT ENCODING k\n\"embstr\"\n> OBJECT ENCODING none\n(nil)",
    ],
    ..Docs::NONE
};

const OBJECT_FREQ: Docs = Docs {
    summary: "Returns how often a key is used, on a logarithmic scale.",
    since: "4.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> OBJECT FREQ none\n(nil)"],
    ..Docs::NONE
};

const OBJECT_HELP: Docs = Docs {
    summary: "Describes the subcommands.",
    since: "6.2.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const OBJECT_IDLETIME: Docs = Docs {
    summary: "Returns for how many seconds a key has not been used.",
    since: "2.2.3",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> HSET k f v\n(integer) 1\n> OBJECT IDLETIME k\n(integer) 0"],
    ..Docs::NONE
};

const OBJECT_REFCOUNT: Docs = Docs {
    summary: "Returns how many owners a value has.",
    since: "2.2.3",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET k text\nOK\n> OBJECT REFCOUNT k\n(integer) 1"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::keyspace::access::UseRule;
    use crate::keyspace::eviction::{Among, Order, Policy};
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn idle_time_ends_with_a_use_and_not_with_a_question() {
        check(
            r#"
            > HSET k f v
            (integer) 1
            ~ advance 7s
            > OBJECT IDLETIME k
            (integer) 7
            > TTL k
            (integer) -1
            > OBJECT idletime k
            (integer) 7
            > HGET k f
            "v"
            > OBJECT IDLETIME k
            (integer) 0
        "#,
        );
    }

    #[test]
    fn under_an_lfu_policy_uses_are_counted_and_no_idle_time() {
        let policy = Policy::Evict { among: Among::AllKeys, order: Order::LeastFrequent };
        let options = Options {
            maxmemory_policy: policy,
            use_rule: UseRule::Frequency { log_factor: 0, decay_minutes: 1 },
            ..options()
        };
        check_with(
            options,
            r#"
            > SET k v
            OK
            > OBJECT FREQ k
            (integer) 5
            > GET k
            "v"
            > OBJECT FREQ k
            (integer) 6
            > SET k w
            OK
            > OBJECT FREQ k
            (integer) 7
            ~ advance 120s
            > OBJECT FREQ k
            (integer) 5
            > OBJECT IDLETIME k
            (error) ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
        "#,
        );
    }

    #[test]
    fn small_integers_count_as_shared() {
        check(
            r#"
            > SET k 9999
            OK
            > OBJECT REFCOUNT k
            (integer) 2147483647
            > SET k 10000
            OK
            > OBJECT REFCOUNT k
            (integer) 1
            > SET k -1
            OK
            > OBJECT REFCOUNT k
            (integer) 1
        "#,
        );
    }

    #[test]
    fn a_missing_key_is_null_before_anything_else() {
        check(
            r#"
            > OBJECT FREQ k
            (nil)
            > SET k v
            OK
            > OBJECT FREQ k
            (error) ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.
            > OBJECT ENCODING
            (error) ERR wrong number of arguments for 'object|encoding' command
        "#,
        );
    }
}
