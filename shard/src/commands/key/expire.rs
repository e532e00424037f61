//! Commands on when a key expires: EXPIRE PEXPIRE EXPIREAT PEXPIREAT EXPIRETIME PEXPIRETIME TTL PTTL PERSIST.
//!
//! Path: `shard::Shard::execute` -> here -> `keyspace`. The journal knows only points in time (PEXPIREAT), so that a
//! replay gives the same expiry whenever it runs.

use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &EXPIRE,
            ..CommandSpec::new("expire", Group::Generic)
        },
        run: Run::Write(expire),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &PEXPIRE,
            ..CommandSpec::new("pexpire", Group::Generic)
        },
        run: Run::Write(pexpire),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &EXPIREAT,
            ..CommandSpec::new("expireat", Group::Generic)
        },
        run: Run::Write(expireat),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &PEXPIREAT,
            ..CommandSpec::new("pexpireat", Group::Generic)
        },
        run: Run::Write(pexpireat),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &EXPIRETIME,
            ..CommandSpec::new("expiretime", Group::Generic)
        },
        run: Run::Read(expiretime),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &PEXPIRETIME,
            ..CommandSpec::new("pexpiretime", Group::Generic)
        },
        run: Run::Read(pexpiretime),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &TTL,
            ..CommandSpec::new("ttl", Group::Generic)
        },
        run: Run::Read(ttl),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &PTTL,
            ..CommandSpec::new("pttl", Group::Generic)
        },
        run: Run::Read(pttl),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::KEYSPACE,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &PERSIST,
            ..CommandSpec::new("persist", Group::Generic)
        },
        run: Run::Write(persist),
    },
];
const _: () = check(COMMANDS);

/// How a command writes a point in time.
#[derive(Clone, Copy, Debug)]
struct Notation {
    unit_ms: i64,
    is_relative: bool,
    /// The command's name, for its error.
    command: &'static str,
}

impl Notation {
    /// The point in time in milliseconds since 1970; may lie in the past.
    fn read(self, value: i64, now: Now) -> Result<i64, CommandError> {
        let base_ms = if self.is_relative { now.unix_ms() } else { 0 };
        let at_ms = value.checked_mul(self.unit_ms).and_then(|ms| ms.checked_add(base_ms));
        at_ms.ok_or(CommandError::InvalidExpire(self.command.into()))
    }
}

/// Under which conditions an expiry is changed.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    has_none: bool,
    has_one: bool,
    is_later: bool,
    is_sooner: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut conditions = Conditions::default();
        for word in args.rest() {
            let flag = match &*word.to_ascii_lowercase() {
                b"nx" => &mut conditions.has_none,
                b"xx" => &mut conditions.has_one,
                b"gt" => &mut conditions.is_later,
                b"lt" => &mut conditions.is_sooner,
                _ => {
                    return Err(CommandError::showing("ERR Unsupported option ", word, ""));
                }
            };
            *flag = true;
        }
        let Conditions { has_none, has_one, is_later, is_sooner } = conditions;
        if has_none && (has_one || is_later || is_sooner) {
            return Err(CommandError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if is_later && is_sooner {
            return Err(CommandError::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether an expiry at `at_ms` may replace `current`, where none counts as never.
    fn hold(self, current: Option<i64>, at_ms: i64) -> bool {
        !(self.has_none && current.is_some()
            || self.has_one && current.is_none()
            || self.is_later && current.is_none_or(|current| at_ms <= current)
            || self.is_sooner && current.is_some_and(|current| at_ms >= current))
    }
}

fn expire(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set(ctx, args, reply, Notation { unit_ms: 1000, is_relative: true, command: "expire" })
}

fn pexpire(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set(ctx, args, reply, Notation { unit_ms: 1, is_relative: true, command: "pexpire" })
}

fn expireat(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set(ctx, args, reply, Notation { unit_ms: 1000, is_relative: false, command: "expireat" })
}

fn pexpireat(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set(ctx, args, reply, Notation { unit_ms: 1, is_relative: false, command: "pexpireat" })
}

/// Sets the expiry of a key. Reply: 1 if it did, 0 if there is no such key or a condition does not hold.
/// A point in the past removes the key. Journal: PEXPIREAT, or DEL.
fn set(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    notation: Notation,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let value = args.bytes()?;
    // The conditions are read first: a wrong one is reported before a wrong number.
    let conditions = Conditions::parse(args)?;
    let value = protocol::number::parse_i64(value).ok_or(CommandError::NotInteger)?;
    let at_ms = notation.read(value, ctx.now)?;
    let is_past = at_ms <= ctx.now.unix_ms() && !ctx.is_replaying;
    let mut entry = ctx.entry(key);
    if !entry.exists() || !conditions.hold(entry.expire_at_ms(), at_ms) {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    reply.integer(1);
    if is_past {
        entry.remove();
        ctx.journal(&[b"DEL", key]);
        return Ok(Written::changed(Event::DEL).journaled());
    }
    entry.set_expiry(Some(at_ms));
    ctx.journal(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at_ms).as_bytes()]);
    Ok(Written::changed(Event::EXPIRE).journaled())
}

fn expiretime(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    get(ctx, args, reply, |at_ms, _| in_seconds(at_ms))
}

fn pexpiretime(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    get(ctx, args, reply, |at_ms, _| at_ms)
}

fn ttl(ctx: &ReadContext<'_>, args: Args<'_>, reply: &mut Writer<'_>) -> Result<(), CommandError> {
    get(ctx, args, reply, |at_ms, now| in_seconds(left_ms(at_ms, now)))
}

fn pttl(ctx: &ReadContext<'_>, args: Args<'_>, reply: &mut Writer<'_>) -> Result<(), CommandError> {
    get(ctx, args, reply, left_ms)
}

/// Replies with the expiry of a key as `show` shows it, -1 if it has none, -2 if there is no such key.
fn get(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
    show: impl Fn(i64, Now) -> i64,
) -> Result<(), CommandError> {
    reply.integer(match ctx.peek(args.key()?).map(|entry| entry.expire_at_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => show(at_ms, ctx.now),
    });
    Ok(())
}

fn left_ms(at_ms: i64, now: Now) -> i64 {
    at_ms.saturating_sub(now.unix_ms()).max(0)
}

/// Rounded to the nearest second, as Redis does, up to the largest time there is.
fn in_seconds(ms: i64) -> i64 {
    ms / 1000 + i64::from(ms % 1000 >= 500)
}

/// Takes the expiry of a key away. Reply: 1 if it had one. Journal: verbatim.
fn persist(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut entry = ctx.entry(args.key()?);
    if entry.expire_at_ms().is_none() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    entry.set_expiry(None);
    reply.integer(1);
    Ok(Written::changed(Event::PERSIST))
}

const EXPIRE: Docs = Docs {
    summary: "Lets a key expire after some seconds.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::integer("seconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::word("nx", "NX"),
                Argument::word("xx", "XX"),
                Argument::word("gt", "GT"),
                Argument::word("lt", "LT"),
            ],
        )
        .optional()
        .since("7.0.0"),
    ],
    examples: &[
        "> SET k v\nOK\n> EXPIRE k 60\n(integer) 1\n> TTL k\n(integer) 60\n> EXPIRE k 30 GT\n(integer) 0",
        "> EXPIRE none 60\n(integer) 0",
    ],
    ..Docs::NONE
};

const PEXPIRE: Docs = Docs {
    summary: "Lets a key expire after some milliseconds.",
    since: "2.6.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::integer("milliseconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::word("nx", "NX"),
                Argument::word("xx", "XX"),
                Argument::word("gt", "GT"),
                Argument::word("lt", "LT"),
            ],
        )
        .optional()
        .since("7.0.0"),
    ],
    examples: &["> SET k v\nOK\n> PEXPIRE k 60000\n(integer) 1\n> TTL k\n(integer) 60"],
    ..Docs::NONE
};

const EXPIREAT: Docs = Docs {
    summary: "Lets a key expire at a second since 1970.",
    since: "1.2.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::unix_time("unix-time-seconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::word("nx", "NX"),
                Argument::word("xx", "XX"),
                Argument::word("gt", "GT"),
                Argument::word("lt", "LT"),
            ],
        )
        .optional()
        .since("7.0.0"),
    ],
    examples: &[
        "> SET k v\nOK\n> EXPIREAT k 33177117420\n(integer) 1\n> EXPIRETIME k\n(integer) 33177117420",
    ],
    ..Docs::NONE
};

const PEXPIREAT: Docs = Docs {
    summary: "Lets a key expire at a millisecond since 1970.",
    since: "2.6.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::unix_time("unix-time-milliseconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::word("nx", "NX"),
                Argument::word("xx", "XX"),
                Argument::word("gt", "GT"),
                Argument::word("lt", "LT"),
            ],
        )
        .optional()
        .since("7.0.0"),
    ],
    examples: &[
        "> SET k v\nOK\n> PEXPIREAT k 33177117420000\n(integer) 1\n> PEXPIRETIME k\n(integer) 33177117420000",
    ],
    ..Docs::NONE
};

const EXPIRETIME: Docs = Docs {
    summary: "Returns the second since 1970 at which a key expires: -1 for never, -2 for no such key.",
    since: "7.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> SET k v\nOK\n> EXPIRETIME k\n(integer) -1\n> EXPIREAT k 33177117420\n(integer) 1\n> EXPIRETIME k\n(integer) 33177117420",
    ],
    ..Docs::NONE
};

const PEXPIRETIME: Docs = Docs {
    summary: "Returns the millisecond since 1970 at which a key expires: -1 for never, -2 for no such key.",
    since: "7.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> SET k v\nOK\n> PEXPIREAT k 33177117420000\n(integer) 1\n> PEXPIRETIME k\n(integer) 33177117420000",
    ],
    ..Docs::NONE
};

const TTL: Docs = Docs {
    summary: "Returns in how many seconds a key expires: -1 for never, -2 for no such key.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> SET k v\nOK\n> TTL k\n(integer) -1\n> EXPIRE k 60\n(integer) 1\n> TTL k\n(integer) 60\n> TTL none\n(integer) -2",
    ],
    ..Docs::NONE
};

const PTTL: Docs = Docs {
    summary: "Returns in how many milliseconds a key expires: -1 for never, -2 for no such key.",
    since: "2.6.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET k v\nOK\n> PTTL k\n(integer) -1\n> PTTL none\n(integer) -2"],
    ..Docs::NONE
};

const PERSIST: Docs = Docs {
    summary: "Takes the expiry of a key away.",
    since: "2.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> SET k v\nOK\n> EXPIRE k 60\n(integer) 1\n> PERSIST k\n(integer) 1\n> PERSIST k\n(integer) 0\n> TTL k\n(integer) -1",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
