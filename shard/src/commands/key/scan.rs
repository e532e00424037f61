//! Walking all keys: SCAN KEYS RANDOMKEY.
//!
//! Path: `shard::Shard::execute` -> here -> `keyspace::scan`.
//!
//! **Cursors over several shards.** A client's cursor holds the shard in its upper bits and a place in hash order of that
//! shard in the lower [`LOCAL_CURSOR_BITS`]. The router sends SCAN as it is to the shard that [`cursor_shard`] names,
//! which looks at the lower bits only and replies with a cursor of its own; [`globalize_cursor`] then turns that into
//! the client's next one. So shards are walked one after the other. Cursors stay below 2^53, up to 8192 shards: some
//! clients read them as doubles.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::scan_args::{parse_cursor, reply_with};
use crate::commands::{Body, Command, Merge, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::scan::CURSOR_BITS;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};
use protocol::glob;
use protocol::number::parse_i64;
use protocol::reply::Writer;
use protocol::request::Argv;
use std::ops::Range;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::KEYSPACE,
            tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
            docs: &SCAN,
            ..CommandSpec::new("scan", Group::Generic)
        },
        run: Run::Scan(scan),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::READONLY,
            categories: Categories::of(&[Categories::DANGEROUS, Categories::KEYSPACE]),
            tips: &["request_policy:all_shards", "nondeterministic_output_order"],
            docs: &KEYS,
            ..CommandSpec::new("keys", Group::Generic)
        },
        run: Run::EveryShard { body: Body::Read(keys), merge: Merge::Concat },
    },
    Command {
        spec: CommandSpec {
            flags: Flags::READONLY,
            categories: Categories::KEYSPACE,
            tips: &[
                "request_policy:all_shards",
                "response_policy:special",
                "nondeterministic_output",
            ],
            docs: &RANDOMKEY,
            ..CommandSpec::new("randomkey", Group::Generic)
        },
        run: Run::AnyShard(randomkey),
    },
];
const _: () = check(COMMANDS);

/// How many of the lower bits of a cursor are the shard's own.
pub const LOCAL_CURSOR_BITS: u32 = CURSOR_BITS;
/// How many keys a step visits unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 10;
/// How often RANDOMKEY draws again when it meets an expired key, before it takes the first that is none.
const RANDOM_TRIES_MAX: usize = 100;

/// Which of `shard_count` shards a SCAN request goes to.
///
/// # Errors
/// `ERR invalid cursor`.
pub fn cursor_shard(argv: Argv<'_>, shard_count: usize) -> Result<usize, CommandError> {
    let cursor = parse_cursor(argv.get(1).ok_or(CommandError::Syntax)?)?;
    let shard = usize::try_from(cursor >> LOCAL_CURSOR_BITS).unwrap_or(usize::MAX);
    // A cursor that we never gave out may name any shard.
    Ok(shard.min(shard_count - 1))
}

/// Puts the client's next cursor in place of the shard's own in a reply to SCAN, which begins at `start` of `reply`.
/// Leaves errors as they are.
pub fn globalize_cursor(reply: &mut Vec<u8>, start: usize, shard: usize, shard_count: usize) {
    let Some((span, local)) = reply_cursor(&reply[start..]) else { return };
    let shard_of_next = if local == 0 { shard + 1 } else { shard };
    let cursor = if shard_of_next < shard_count {
        (shard_of_next as u64) << LOCAL_CURSOR_BITS | local
    } else {
        0
    };
    let cursor = cursor.to_string();
    let bulk = format!("${}\r\n{cursor}", cursor.len());
    reply.splice(start + span.start..start + span.end, bulk.into_bytes());
}

/// How many keys a SCAN request wants to visit (COUNT); the default if it does not say, or not rightly.
#[must_use]
pub fn count(argv: Argv<'_>) -> usize {
    let option = argv.iter().position(|arg| arg.eq_ignore_ascii_case(b"COUNT"));
    let count = option.and_then(|index| argv.get(index + 1)).and_then(protocol::number::parse_i64);
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(COUNT_DEFAULT)
}

/// Which shard an encoded cursor points into; `None` at the end.
#[must_use]
pub fn cursor_shard_of(encoded: &[u8]) -> Option<usize> {
    let text = encoded.split(|byte| *byte == b'\n').nth(1)?;
    let cursor: u64 = std::str::from_utf8(text).ok()?.trim_end().parse().ok()?;
    let is_end = cursor == 0;
    usize::try_from(cursor >> LOCAL_CURSOR_BITS).ok().filter(|_| !is_end)
}

/// Where the cursor stands in a reply to SCAN, as the bytes `$<length>\r\n<cursor>`, and its value.
fn reply_cursor(reply: &[u8]) -> Option<(Range<usize>, u64)> {
    const HEAD: &[u8] = b"*2\r\n";
    let text = reply.strip_prefix(HEAD)?;
    let mut lines = text.split(|&byte| byte == b'\r');
    let length = lines.next()?;
    let cursor = lines.next()?.strip_prefix(b"\n")?;
    let end = HEAD.len() + length.len() + b"\r\n".len() + cursor.len();
    Some((HEAD.len()..end, parse_cursor(cursor).ok()?))
}

/// Options of SCAN.
#[derive(Clone, Copy, Debug)]
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    /// Name of a type, in any case; one that does not exist fits no key.
    kind: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(mut args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = ScanOptions { count: COUNT_DEFAULT, pattern: None, kind: None };
        while !args.is_empty() {
            if args.take_token("MATCH") {
                options.pattern = Some(args.bytes()?).filter(|pattern| *pattern != b"*");
            } else if args.take_token("COUNT") {
                let count = parse_i64(args.bytes()?).ok_or(CommandError::NotInteger)?;
                let count = usize::try_from(count).ok().filter(|&count| count > 0);
                options.count = count.ok_or(CommandError::Syntax)?;
            } else if args.take_token("TYPE") {
                options.kind = Some(args.bytes()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    fn wants_key(&self, key: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, key, false))
    }

    fn wants_kind(&self, entry: &EntryRef<'_>) -> bool {
        let kind = entry.value.kind().name().as_bytes();
        self.kind.is_none_or(|wanted| wanted.eq_ignore_ascii_case(kind))
    }
}

/// One step. Reply: the next cursor and the keys of this step.
fn scan(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.bytes()?)? & ((1 << LOCAL_CURSOR_BITS) - 1);
    let options = ScanOptions::parse(args)?;
    let mut keys: Vec<&[u8]> = Vec::new();
    let next_cursor = ctx.db.scan(cursor, options.count, |key, entry| {
        if !options.wants_key(key) {
            return;
        }
        // One that has expired is removed, whatever its type.
        let live = ctx.live(ctx.db_index, key, Some(entry));
        if live.is_some_and(|entry| options.wants_kind(&entry)) {
            keys.push(key);
        }
    });
    reply_with(reply, next_cursor, |reply| {
        keys.iter().for_each(|key| reply.bulk(key));
        keys.len()
    });
    Ok(())
}

/// All keys that match. Expired ones are left out, and left to others to remove.
fn keys(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let pattern = args.bytes()?;
    let start = reply.position();
    let mut count = 0;
    for (key, entry) in ctx.db.iter() {
        let is_match = pattern == b"*" || glob::matches(pattern, key, false);
        if is_match && !entry.is_expired(ctx.now) {
            reply.bulk(key);
            count += 1;
        }
    }
    reply.array_before(start, count);
    Ok(())
}

/// One key that has not expired.
fn randomkey(
    ctx: &ReadContext<'_>,
    _args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    for _ in 0..RANDOM_TRIES_MAX {
        let Some((key, entry)) = ctx.db.sample(&mut ctx.rng()) else { break };
        if ctx.live(ctx.db_index, key, Some(entry)).is_some() {
            reply.bulk(key);
            return Ok(());
        }
    }
    // Nearly all keys have expired, or there are none.
    match ctx.db.iter().find(|(_, entry)| !entry.is_expired(ctx.now)) {
        Some((key, _)) => reply.bulk(key),
        None => reply.null(),
    }
    Ok(())
}

const SCAN: Docs = Docs {
    summary: "Walks the keys of the selected database in steps.",
    since: "2.8.0",
    complexity: "O(1) a step, O(n) a whole walk",
    arguments: &[
        Argument::integer("cursor"),
        Argument::pattern("pattern").token("MATCH").optional(),
        Argument::integer("count").token("COUNT").optional(),
        Argument::string("type").token("TYPE").optional().since("6.0.0"),
    ],
    examples: &["> SET a 1\nOK\n> SCAN 0 COUNT 100 MATCH a*\n1) \"0\"\n2) 1) \"a\""],
    ..Docs::NONE
};

const KEYS: Docs = Docs {
    summary: "Returns all keys that match a pattern.",
    since: "1.0.0",
    complexity: "O(n) in the number of keys",
    arguments: &[Argument::pattern("pattern")],
    examples: &["> SET abc 1\nOK\n> SET xyz 2\nOK\n> KEYS x*\n1) \"xyz\""],
    ..Docs::NONE
};

const RANDOMKEY: Docs = Docs {
    summary: "Returns a key chosen at random.",
    since: "1.0.0",
    complexity: "O(1)",
    examples: &["> RANDOMKEY\n(nil)\n> SET a 1\nOK\n> RANDOMKEY\n\"a\""],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check;
    use protocol::request::ArgvBuf;

    #[test]
    fn expired_keys_go_whatever_their_type() {
        check(
            r#"
            > SET a1 x PX 10
            OK
            > SET b1 x PX 10
            OK
            ~ events
            set a1
            expire a1
            set b1
            expire b1
            ~ advance 20ms
            > SCAN 0 TYPE hash MATCH a* COUNT 100
            1) "0"
            2) (empty array)
            ~ events
            expired a1
        "#,
        );
    }

    #[test]
    fn options_come_in_any_order_and_the_last_wins() {
        check(
            r#"
            > SET a1 x
            OK
            > SET a2 x
            OK
            > SET b1 x
            OK
            > HSET a3 f v
            (integer) 1
            > SCAN 0 TYPE HASH MATCH a* COUNT 100
            1) "0"
            2) 1) "a3"
            > SCAN 0 COUNT 100 MATCH a* MATCH b*
            1) "0"
            2) 1) "b1"
            > SCAN 0 TYPE nosuchtype COUNT 100
            1) "0"
            2) (empty array)
            > SCAN 0 TYPE
            (error) ERR syntax error
            > SCAN 0 COUNT 0
            (error) ERR syntax error
            > SCAN 0 COUNT x
            (error) ERR value is not an integer or out of range
            > SCAN x WHAT
            (error) ERR invalid cursor
            > SCAN 0 WHAT
            (error) ERR syntax error
        "#,
        );
    }

    #[test]
    fn expired_keys_are_never_shown() {
        check(
            r#"
            > SET gone 1
            OK
            > PEXPIRE gone 5
            (integer) 1
            ~ advance 6ms
            > KEYS *
            (empty array)
            > DBSIZE
            (integer) 1
            > RANDOMKEY
            (nil)
            > DBSIZE
            (integer) 0
            > SET gone 1
            OK
            > PEXPIRE gone 5
            (integer) 1
            > SET here 1
            OK
            ~ advance 6ms
            > SCAN 0 COUNT 100
            1) "0"
            2) 1) "here"
            > DBSIZE
            (integer) 1
        "#,
        );
    }

    fn globalized(reply: &str, shard: usize, shard_count: usize) -> String {
        let mut bytes = format!("+before\r\n{reply}").into_bytes();
        globalize_cursor(&mut bytes, 9, shard, shard_count);
        String::from_utf8(bytes).unwrap()[9..].to_owned()
    }

    fn shard_of(cursor: &str) -> Result<usize, CommandError> {
        let argv: ArgvBuf = [b"SCAN".as_slice(), cursor.as_bytes()].into_iter().collect();
        cursor_shard(argv.as_argv(), 4)
    }

    #[test]
    fn a_cursor_names_its_shard() {
        assert_eq!(shard_of("0"), Ok(0));
        assert_eq!(shard_of(&(3_u64 << LOCAL_CURSOR_BITS | 17).to_string()), Ok(3));
        assert_eq!(shard_of("18446744073709551615"), Ok(3));
        assert!(shard_of("x").is_err());
    }

    #[test]
    fn the_walk_goes_from_shard_to_shard_and_ends_behind_the_last() {
        let end = "*2\r\n$1\r\n0\r\n*0\r\n";
        assert_eq!(globalized(end, 0, 1), end);
        assert_eq!(globalized(end, 2, 3), end);
        assert_eq!(globalized(end, 0, 3), "*2\r\n$13\r\n1099511627776\r\n*0\r\n");
        let on = "*2\r\n$1\r\n7\r\n*1\r\n$1\r\na\r\n";
        assert_eq!(globalized(on, 0, 3), on);
        assert_eq!(globalized(on, 1, 3), "*2\r\n$13\r\n1099511627783\r\n*1\r\n$1\r\na\r\n");
        assert_eq!(globalized("-ERR syntax error\r\n", 1, 3), "-ERR syntax error\r\n");
    }
}
