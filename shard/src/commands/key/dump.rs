//! Values as bytes that any Redis understands, and back: DUMP RESTORE RESTORE-ASKING.
//!
//! Path: `shard::Shard::execute` -> here -> `types::rdb`.

use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::access::{Access, UseRule};
use crate::keyspace::entry::Entry;
use crate::types::rdb::{self, RestoreError};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use protocol::request::ArgvBuf;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::READONLY,
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &DUMP,
            ..CommandSpec::new("dump", Group::Generic)
        },
        run: Run::Read(dump),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::of(&[Categories::DANGEROUS, Categories::KEYSPACE]),
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]))],
            docs: &RESTORE,
            ..CommandSpec::new("restore", Group::Generic)
        },
        run: Run::Write(restore),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::ASKING, Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::of(&[Categories::DANGEROUS, Categories::KEYSPACE]),
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]))],
            docs: &RESTORE_ASKING,
            ..CommandSpec::new("restore-asking", Group::Server)
        },
        run: Run::Write(restore),
    },
];
const _: () = check(COMMANDS);

/// Where the time to live stands in a request.
const TTL_INDEX: usize = 2;

/// Longest idle time that is stored, half of what the clock of an entry can tell: 97 days.
const IDLE_SECONDS_MAX: u32 = 1 << 23;

/// Writes a value as RDB bytes. Reply: the payload, or null if there is no such key.
fn dump(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    match ctx.find(args.key()?) {
        Some(entry) => reply.bulk(&rdb::dump(entry.value, ctx.options.rdb_compression)),
        None => reply.null(),
    }
    Ok(())
}

/// How RESTORE stores the value.
#[derive(Clone, Copy, Debug, Default)]
struct RestoreOptions {
    is_replacing: bool,
    is_absolute: bool,
    idle_seconds: Option<u32>,
    frequency: Option<u8>,
}

impl RestoreOptions {
    fn parse(mut args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = RestoreOptions::default();
        while !args.is_empty() {
            let has_value = args.remaining() > 1;
            if args.take_token("REPLACE") {
                options.is_replacing = true;
            } else if args.take_token("ABSTTL") {
                options.is_absolute = true;
            } else if has_value && options.frequency.is_none() && args.take_token("IDLETIME") {
                let seconds = args.integer()?;
                if seconds < 0 {
                    return Err(CommandError::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                options.idle_seconds = Some(seconds.min(IDLE_SECONDS_MAX));
            } else if has_value && options.idle_seconds.is_none() && args.take_token("FREQ") {
                let frequency = u8::try_from(args.integer()?);
                options.frequency = Some(frequency.map_err(|_| {
                    CommandError::text("ERR Invalid FREQ value, must be >= 0 and <= 255")
                })?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// How the key has been used, as far as the policy in force asks for it and the request says it.
    fn access(self, now: Now, rule: UseRule) -> Option<Access> {
        match rule {
            UseRule::Recency => self.idle_seconds.map(|idle| Access::with_idle(now, idle)),
            UseRule::Frequency { .. } => {
                self.frequency.map(|counter| Access::with_frequency(now, counter))
            }
        }
    }
}

/// Makes a key of a payload of DUMP. Reply: OK. Journal: with its expiry as a moment; DEL if that has passed.
///
/// Cost: O(size) beside what adding the members one by one costs.
fn restore(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let argv = args.argv();
    let (key, ttl_text, payload) = (args.key()?, args.bytes()?, args.bytes()?);
    let options = RestoreOptions::parse(args)?;
    if !options.is_replacing && ctx.find(key).is_some() {
        return Err(CommandError::text("BUSYKEY Target key name already exists."));
    }
    let ttl_ms = number::parse_i64(ttl_text).ok_or(CommandError::NotInteger)?;
    if ttl_ms < 0 {
        return Err(CommandError::text("ERR Invalid TTL value, must be >= 0"));
    }
    let value = rdb::restore(payload, ctx.options.payload_checksum, ctx.options);
    let value = value.map_err(|error| match error {
        RestoreError::Frame(_) => {
            CommandError::text("ERR DUMP payload version or checksum are wrong")
        }
        RestoreError::Value(_) => CommandError::text("ERR Bad data format"),
    })?;

    let (now, use_rule) = (ctx.now, ctx.options.use_rule);
    let expire_at_ms = match ttl_ms {
        0 => None,
        at_ms if options.is_absolute => Some(at_ms),
        // Wraps where Redis does: such a moment lies in the past.
        ttl_ms => Some(ttl_ms.wrapping_add(now.unix_ms())),
    };
    let is_past = expire_at_ms.is_some_and(|at_ms| at_ms <= now.unix_ms()) && !ctx.is_replaying;
    let mut target = ctx.entry(key);
    let is_deleted = target.remove();
    reply.ok();
    if is_past {
        if !is_deleted {
            return Ok(Written::unchanged());
        }
        let del: ArgvBuf = [b"DEL".as_slice(), key].into_iter().collect();
        return Ok(Written::changed(Event::DEL).rewritten(del));
    }
    let mut entry = Entry::new(value).with_expiry(expire_at_ms);
    if let Some(access) = options.access(now, use_rule) {
        entry = entry.with_access(access);
    }
    target.store(entry);
    let written = Written::changed(Event::RESTORE);
    match expire_at_ms.filter(|_| !options.is_absolute) {
        Some(at_ms) => {
            let mut digits = itoa::Buffer::new();
            let at_ms = digits.format(at_ms).as_bytes();
            let command = argv.iter().enumerate();
            let command = command.map(|(i, arg)| if i == TTL_INDEX { at_ms } else { arg });
            Ok(written.rewritten(command.chain([b"ABSTTL".as_slice()]).collect()))
        }
        None => Ok(written),
    }
}

const DUMP: Docs = Docs {
    summary: "Returns a value as bytes that RESTORE understands, of this server and of Redis.",
    since: "2.6.0",
    complexity: "O(1) to find the key, O(n) in the size of the value",
    arguments: &[Argument::key("key")],
    examples: &["> DUMP none\n(nil)"],
    ..Docs::NONE
};

const RESTORE_ARGUMENTS: &[Argument] = &[
    Argument::key("key"),
    Argument::integer("ttl"),
    Argument::string("serialized-value"),
    Argument::word("replace", "REPLACE").optional().since("3.0.0"),
    Argument::word("absttl", "ABSTTL").optional().since("5.0.0"),
    Argument::integer("seconds").token("IDLETIME").optional().since("5.0.0"),
    Argument::integer("frequency").token("FREQ").optional().since("5.0.0"),
];

const RESTORE: Docs = Docs {
    summary: "Makes a key of what DUMP has returned.",
    since: "2.6.0",
    complexity: "O(1) to make the key, and what adding its members one by one costs",
    arguments: RESTORE_ARGUMENTS,
    examples: &[
        r#"> RESTORE n 0 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2"
OK
> GET n
"10""#,
        "> RESTORE n 0 damaged\n(error) ERR DUMP payload version or checksum are wrong",
    ],
    ..Docs::NONE
};

const RESTORE_ASKING: Docs = Docs {
    summary: "The same as RESTORE, sent by one node of a cluster to another.",
    since: "3.0.0",
    complexity: "O(1) to make the key, and what adding its members one by one costs",
    arguments: RESTORE_ARGUMENTS,
    is_syscmd: true,
    examples: &[r#"> RESTORE-ASKING n 0 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2"
OK
> GET n
"10""#],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::keyspace::access::UseRule;
    use crate::keyspace::eviction::{Among, Order, Policy};
    use crate::options::Options;
    use crate::testing::{check, check_with, options};

    #[test]
    fn the_policy_decides_whether_idle_time_or_frequency_counts() {
        let policy = Policy::Evict { among: Among::AllKeys, order: Order::LeastFrequent };
        let options = Options {
            maxmemory_policy: policy,
            use_rule: UseRule::Frequency { log_factor: 10, decay_minutes: 1 },
            ..options()
        };
        check_with(
            options,
            r#"
            > RESTORE n 0 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" FREQ 200
            OK
            > OBJECT FREQ n
            (integer) 200
            > RESTORE n 0 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" REPLACE IDLETIME 200
            OK
            > OBJECT FREQ n
            (integer) 5
        "#,
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_this_order() {
        check(
            r#"
            > SET k v
            OK
            > RESTORE k x damaged WHAT
            (error) ERR syntax error
            > RESTORE k x damaged IDLETIME
            (error) ERR syntax error
            > RESTORE k x damaged IDLETIME x
            (error) ERR value is not an integer or out of range
            > RESTORE k x damaged IDLETIME -1
            (error) ERR Invalid IDLETIME value, must be >= 0
            > RESTORE k x damaged FREQ 256
            (error) ERR Invalid FREQ value, must be >= 0 and <= 255
            > RESTORE k x damaged FREQ 1 IDLETIME 1
            (error) ERR syntax error
            > RESTORE k x damaged IDLETIME 1 FREQ 1
            (error) ERR syntax error
            > RESTORE k x damaged
            (error) BUSYKEY Target key name already exists.
            > RESTORE k x damaged REPLACE
            (error) ERR value is not an integer or out of range
            > RESTORE k -1 damaged REPLACE
            (error) ERR Invalid TTL value, must be >= 0
            > RESTORE k 0 damaged REPLACE
            (error) ERR DUMP payload version or checksum are wrong
            > RESTORE k 0 "\x07\x01\x0b\x00%\xe0w\xb1\x04\xc2\x14|" REPLACE
            (error) ERR Bad data format
            > GET k
            "v"
            ~ journal
            SET k v
        "#,
        );
    }

    #[test]
    fn an_expiry_is_journaled_as_a_moment() {
        check(
            r#"
            > RESTORE n 1000 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" IDLETIME 9
            OK
            > OBJECT IDLETIME n
            (integer) 9
            > PTTL n
            (integer) 1000
            > RESTORE n 1700000000500 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" ABSTTL REPLACE FREQ 5
            OK
            > PTTL n
            (integer) 500
            > OBJECT IDLETIME n
            (integer) 0
            > RESTORE n 0 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" replace
            OK
            > PTTL n
            (integer) -1
            ~ journal
            RESTORE n 1700000001000 "\x00\xc0\n\x0b\x00\a@\xea6\xf31\x8a2" IDLETIME 9 ABSTTL
            RESTORE n 1700000000500 "\x00\xc0\n\x0b\x00\a@\xea6\xf31\x8a2" ABSTTL REPLACE FREQ 5
            RESTORE n 0 "\x00\xc0\n\x0b\x00\a@\xea6\xf31\x8a2" replace
            ~ events
            restore n
            restore n
            restore n
        "#,
        );
    }

    #[test]
    fn a_moment_that_has_passed_deletes_what_is_there() {
        check(
            r#"
            > RESTORE n 1 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" ABSTTL
            OK
            > EXISTS n
            (integer) 0
            > SET n v
            OK
            > RESTORE n 1700000000000 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2" ABSTTL REPLACE
            OK
            > EXISTS n
            (integer) 0
            > RESTORE n 9223372036854775807 "\x00\xc0\n\x0b\x00\x07@\xea6\xf31\x8a2"
            OK
            > EXISTS n
            (integer) 0
            ~ journal
            SET n v
            DEL n
            ~ events
            set n
            del n
        "#,
        );
    }
}
