//! Commands that read or replace a whole string: GET SET GETSET GETDEL GETEX SETNX SETEX PSETEX.
//!
//! Path: `shard::Shard::execute` -> here -> `types::string`. Source: COMMAND INFO and t_string.c of Redis 7.2.

use super::expiry::{ExpiryKind, ExpiryOption, expire_at_ms};
use super::{NewExpiry, replayed_as, store};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::string::{Str, StrRef};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use smallvec::SmallVec;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GET,
            ..CommandSpec::new("get", Group::String)
        },
        run: Run::Read(get),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
                KeyFlags::VARIABLE_FLAGS,
            ]))
            .noted("RW and ACCESS due to the optional `GET` argument")],
            docs: &SET,
            ..CommandSpec::new("set", Group::String)
        },
        run: Run::Write(set),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))],
            docs: &GETSET,
            ..CommandSpec::new("getset", Group::String)
        },
        run: Run::Write(getset),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::DELETE,
            ]))],
            docs: &GETDEL,
            ..CommandSpec::new("getdel", Group::String)
        },
        run: Run::Write(getdel),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))
            .noted("RW and UPDATE because it changes the TTL")],
            docs: &GETEX,
            ..CommandSpec::new("getex", Group::String)
        },
        run: Run::Write(getex),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::INSERT]))],
            docs: &SETNX,
            ..CommandSpec::new("setnx", Group::String)
        },
        run: Run::Write(setnx),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]))],
            docs: &SETEX,
            ..CommandSpec::new("setex", Group::String)
        },
        run: Run::Write(setex),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]))],
            docs: &PSETEX,
            ..CommandSpec::new("psetex", Group::String)
        },
        run: Run::Write(psetex),
    },
];

const _: () = check(COMMANDS);

/// Reads a string.
///
/// Args: `key`. Reply: the string, or null. Errors: WRONGTYPE.
fn get(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    write_string(ctx.get_string(args.key()?)?, reply);
    Ok(())
}

/// Stores a string. Its key may have held anything.
///
/// Args: `key value [options]`. Reply: OK; null if the condition fails; with GET the old string or null.
/// Errors: syntax, an invalid expiry, WRONGTYPE with GET only. Journal: with EX, PX or EXAT as SET PXAT; without GET.
fn set(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let value = args.bytes()?;
    if args.is_empty() {
        store(&mut ctx.entry(key), value, NewExpiry::Never);
        reply.ok();
        return Ok(Written::changed(Event::SET));
    }
    let options = SetOptions::read(&mut args)?;
    let expiry = match options.expiry {
        None => NewExpiry::Never,
        Some(option) if option.kind == ExpiryKind::Keep => NewExpiry::Keep,
        Some(option) => NewExpiry::At(option.at_ms(ctx.now, "set")?),
    };
    let mut found = ctx.entry(key);
    if options.returns_old {
        found = found.counted();
        write_string(found.value::<Str>()?, reply);
    }
    let is_allowed = match options.condition {
        None => true,
        Some(Condition::IfAbsent) => !found.exists(),
        Some(Condition::IfPresent) => found.exists(),
    };
    if !is_allowed {
        if !options.returns_old {
            reply.null();
        }
        return Ok(Written::unchanged());
    }
    store(&mut found, value, expiry);
    if !options.returns_old {
        reply.ok();
    }
    let is_unix_ms =
        options.expiry.is_some_and(|option| option.kind == ExpiryKind::UnixMilliseconds);
    Ok(match expiry {
        // Milliseconds since 1970 can be replayed as they came.
        NewExpiry::At(_) if is_unix_ms => report_set_and_expire(ctx, key),
        NewExpiry::At(at_ms) => {
            let written = report_set_and_expire(ctx, key);
            replayed_with_expiry(ctx, written, key, value, at_ms)
        }
        _ if options.returns_old => {
            let (head, options) = (args.argv().iter().take(3), args.argv().iter().skip(3));
            let options = options.filter(|arg| !arg.eq_ignore_ascii_case(b"GET"));
            let args: SmallVec<[&[u8]; 8]> = head.chain(options).collect();
            replayed_as(ctx, Written::changed(Event::SET), &args)
        }
        _ => Written::changed(Event::SET),
    })
}

/// Stores a string and returns the one it replaces.
///
/// Args: `key value`. Reply: the old string, or null. Errors: WRONGTYPE. Journal: SET.
fn getset(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let value = args.bytes()?;
    let mut found = ctx.entry(key).counted();
    write_string(found.value::<Str>()?, reply);
    store(&mut found, value, NewExpiry::Never);
    Ok(replayed_as(ctx, Written::changed(Event::SET), &[b"SET", key, value]))
}

/// Returns a string and removes its key.
///
/// Args: `key`. Reply: the string, or null. Errors: WRONGTYPE. Journal: DEL.
fn getdel(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let mut found = ctx.entry(key).counted();
    write_string(found.value::<Str>()?, reply);
    if !found.remove() {
        return Ok(Written::unchanged());
    }
    Ok(replayed_as(ctx, Written::changed(Event::DEL), &[b"DEL", key]))
}

/// Returns a string and changes when it expires.
///
/// Args: `key [EX n | PX n | EXAT n | PXAT n | PERSIST]`. Reply: the string, or null. Errors: syntax, WRONGTYPE, an
/// invalid expiry (only if the key exists). Journal: PEXPIREAT, PERSIST, DEL for a moment that has passed.
fn getex(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let mut option = None;
    while !args.is_empty() {
        if !ExpiryOption::take(&mut args, ("PERSIST", ExpiryKind::Persist), &mut option)? {
            return Err(CommandError::Syntax);
        }
    }
    let now = ctx.now;
    let mut found = ctx.entry(key).counted();
    write_string(found.value::<Str>()?, reply);
    let Some(option) = option.filter(|_| found.exists()) else { return Ok(Written::unchanged()) };
    if option.kind == ExpiryKind::Persist {
        if found.expire_at_ms().is_none() {
            return Ok(Written::unchanged());
        }
        found.set_expiry(None);
        let written = Written::changed(Event::PERSIST);
        return Ok(replayed_as(ctx, written, &[b"PERSIST", key]));
    }
    let at_ms = option.at_ms(now, "getex")?;
    if option.kind.is_absolute() && at_ms <= now.unix_ms() {
        found.remove();
        return Ok(replayed_as(ctx, Written::changed(Event::DEL), &[b"DEL", key]));
    }
    found.set_expiry(Some(at_ms));
    let mut digits = itoa::Buffer::new();
    let args = [b"PEXPIREAT".as_slice(), key, digits.format(at_ms).as_bytes()];
    Ok(replayed_as(ctx, Written::changed(Event::EXPIRE), &args))
}

/// Stores a string if the key does not exist.
///
/// Args: `key value`. Reply: 1 if it was stored, 0 otherwise.
fn setnx(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let value = args.bytes()?;
    let mut found = ctx.entry(key);
    if found.exists() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    store(&mut found, value, NewExpiry::Never);
    reply.integer(1);
    Ok(Written::changed(Event::SET))
}

/// Stores a string that expires after some seconds.
///
/// Args: `key seconds value`. Reply: OK. Errors: an invalid expiry. Journal: SET PXAT.
fn setex(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set_expiring(ctx, args, ExpiryKind::Seconds, "setex", reply)
}

/// Stores a string that expires after some milliseconds.
///
/// Args: `key milliseconds value`. Reply: OK. Errors: an invalid expiry. Journal: SET PXAT.
fn psetex(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    set_expiring(ctx, args, ExpiryKind::Milliseconds, "psetex", reply)
}

fn set_expiring(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    kind: ExpiryKind,
    command: &'static str,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let at_ms = expire_at_ms(kind, args.bytes()?, ctx.now, command)?;
    let value = args.bytes()?;
    store(&mut ctx.entry(key), value, NewExpiry::At(at_ms));
    reply.ok();
    let written = report_set_and_expire(ctx, key);
    Ok(replayed_with_expiry(ctx, written, key, value, at_ms))
}

/// What SET does only in certain cases.
struct SetOptions<'a> {
    condition: Option<Condition>,
    /// `GET`: the reply is the old string.
    returns_old: bool,
    expiry: Option<ExpiryOption<'a>>,
}

/// When SET stores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// `NX`
    IfAbsent,
    /// `XX`
    IfPresent,
}

impl<'a> SetOptions<'a> {
    /// Reads all arguments that are left. An option may be repeated, but not contradicted.
    fn read(args: &mut Args<'a>) -> Result<Self, CommandError> {
        let mut options = SetOptions { condition: None, returns_old: false, expiry: None };
        while !args.is_empty() {
            let condition = if args.take_token("NX") {
                Condition::IfAbsent
            } else if args.take_token("XX") {
                Condition::IfPresent
            } else if args.take_token("GET") {
                options.returns_old = true;
                continue;
            } else {
                let keep = ("KEEPTTL", ExpiryKind::Keep);
                if ExpiryOption::take(args, keep, &mut options.expiry)? {
                    continue;
                }
                return Err(CommandError::Syntax);
            };
            if options.condition.is_some_and(|before| before != condition) {
                return Err(CommandError::Syntax);
            }
            options.condition = Some(condition);
        }
        Ok(options)
    }
}

/// The string, or null.
fn write_string(string: Option<StrRef<'_>>, reply: &mut Writer<'_>) {
    match string {
        Some(string) => string.with_bytes(|bytes| reply.bulk(bytes)),
        None => reply.null(),
    }
}

/// Reports a string that was stored with an expiry: one change, two events.
fn report_set_and_expire(ctx: &mut WriteContext<'_>, key: &[u8]) -> Written {
    ctx.changed(key, Event::SET);
    ctx.notify(key, Event::EXPIRE);
    Written::reported()
}

/// Has a string that expires replayed with the point in time.
fn replayed_with_expiry(
    ctx: &mut WriteContext<'_>,
    written: Written,
    key: &[u8],
    value: &[u8],
    at_ms: i64,
) -> Written {
    let mut digits = itoa::Buffer::new();
    let at_ms = digits.format(at_ms).as_bytes();
    replayed_as(ctx, written, &[b"SET", key, value, b"PXAT", at_ms])
}

const GET: Docs = Docs {
    summary: "Returns the string that a key holds.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET k v\nOK\n> GET k\n\"v\"\n> GET none\n(nil)"],
    ..Docs::NONE
};

const SET: Docs = Docs {
    summary: "Stores a string under a key, whatever the key held before; its expiry is gone unless asked for.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::string("value"),
        Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")])
            .optional()
            .since("2.6.12"),
        Argument::word("get", "GET").optional().since("6.2.0"),
        Argument::one_of(
            "expiration",
            &[
                Argument::integer("seconds").token("EX").since("2.6.12"),
                Argument::integer("milliseconds").token("PX").since("2.6.12"),
                Argument::unix_time("unix-time-seconds").token("EXAT").since("6.2.0"),
                Argument::unix_time("unix-time-milliseconds").token("PXAT").since("6.2.0"),
                Argument::word("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ],
    examples: &[
        "> SET k v\nOK\n> SET k w NX\n(nil)\n> SET k w XX GET\n\"v\"\n> GET k\n\"w\"",
        "> SET session abc EX 3600\nOK\n> SET session def KEEPTTL\nOK\n> GET session\n\"def\"",
        "> SET k v EX 0\n(error) ERR invalid expire time in 'set' command\n> SET k v NX XX\n(error) ERR syntax error",
    ],
    ..Docs::NONE
};

const GETSET: Docs = Docs {
    summary: "Stores a string under a key and returns the string that it replaces.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("value")],
    deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
    examples: &["> GETSET k 1\n(nil)\n> GETSET k 2\n\"1\""],
    ..Docs::NONE
};

const GETDEL: Docs = Docs {
    summary: "Returns the string that a key holds and removes the key.",
    since: "6.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET token abc\nOK\n> GETDEL token\n\"abc\"\n> GETDEL token\n(nil)"],
    ..Docs::NONE
};

const GETEX: Docs = Docs {
    summary: "Returns the string that a key holds and sets or removes the key's expiry.",
    since: "6.2.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::one_of(
            "expiration",
            &[
                Argument::integer("seconds").token("EX"),
                Argument::integer("milliseconds").token("PX"),
                Argument::unix_time("unix-time-seconds").token("EXAT"),
                Argument::unix_time("unix-time-milliseconds").token("PXAT"),
                Argument::word("persist", "PERSIST"),
            ],
        )
        .optional(),
    ],
    examples: &["> SET k v EX 100\nOK\n> GETEX k EX 200\n\"v\"\n> GETEX k PERSIST\n\"v\""],
    ..Docs::NONE
};

const SETNX: Docs = Docs {
    summary: "Stores a string under a key that does not exist yet.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("value")],
    deprecated: Some(("2.6.12", "`SET` with the `NX` argument")),
    examples: &["> SETNX lock a\n(integer) 1\n> SETNX lock b\n(integer) 0\n> GET lock\n\"a\""],
    ..Docs::NONE
};

const SETEX: Docs = Docs {
    summary: "Stores a string under a key that expires after some seconds.",
    since: "2.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("seconds"), Argument::string("value")],
    deprecated: Some(("2.6.12", "`SET` with the `EX` argument")),
    examples: &[
        "> SETEX k 60 v\nOK\n> GET k\n\"v\"",
        "> SETEX k 0 v\n(error) ERR invalid expire time in 'setex' command",
    ],
    ..Docs::NONE
};

const PSETEX: Docs = Docs {
    summary: "Stores a string under a key that expires after some milliseconds.",
    since: "2.6.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::integer("milliseconds"),
        Argument::string("value"),
    ],
    deprecated: Some(("2.6.12", "`SET` with the `PX` argument")),
    examples: &[
        "> PSETEX k 60000 v\nOK\n> GET k\n\"v\"",
        "> PSETEX k -1 v\n(error) ERR invalid expire time in 'psetex' command",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
