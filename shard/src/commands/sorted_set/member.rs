//! Commands on single members of a sorted set: ZADD ZINCRBY ZREM ZCARD ZSCORE ZMSCORE ZSCAN.
//!
//! Path: `shard::Shard::execute` -> here -> `types::sorted_set`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::scan_args::{self, ScanOptions};
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use smallvec::SmallVec;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &ZADD,
            ..CommandSpec::new("zadd", Group::SortedSet)
        },
        run: Run::Write(zadd),
    },
    Command {
        spec: CommandSpec {
            arity: 4,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
            ]))],
            docs: &ZINCRBY,
            ..CommandSpec::new("zincrby", Group::SortedSet)
        },
        run: Run::Write(zincrby),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::WRITE]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]))],
            docs: &ZREM,
            ..CommandSpec::new("zrem", Group::SortedSet)
        },
        run: Run::Write(zrem),
    },
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::RO)],
            docs: &ZCARD,
            ..CommandSpec::new("zcard", Group::SortedSet)
        },
        run: Run::Read(zcard),
    },
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZSCORE,
            ..CommandSpec::new("zscore", Group::SortedSet)
        },
        run: Run::Read(zscore),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &ZMSCORE,
            ..CommandSpec::new("zmscore", Group::SortedSet)
        },
        run: Run::Read(zmscore),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::READONLY,
            categories: Categories::SORTEDSET,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            tips: &["nondeterministic_output"],
            docs: &ZSCAN,
            ..CommandSpec::new("zscan", Group::SortedSet)
        },
        run: Run::Read(zscan),
    },
];
const _: () = check(COMMANDS);

/// Options of ZADD.
#[derive(Clone, Copy, Debug, Default)]
struct AddOptions {
    /// Only new members.
    nx: bool,
    /// Only members that exist.
    xx: bool,
    /// Only to a higher score.
    gt: bool,
    /// Only to a lower score.
    lt: bool,
    /// Count changed members too.
    ch: bool,
    /// Add to the score instead of setting it.
    incr: bool,
}

impl AddOptions {
    /// Takes all options that stand before the first score.
    fn parse(args: &mut Args<'_>) -> Self {
        let mut options = AddOptions::default();
        loop {
            let option = match args.peek().unwrap_or_default() {
                word if word.eq_ignore_ascii_case(b"NX") => &mut options.nx,
                word if word.eq_ignore_ascii_case(b"XX") => &mut options.xx,
                word if word.eq_ignore_ascii_case(b"GT") => &mut options.gt,
                word if word.eq_ignore_ascii_case(b"LT") => &mut options.lt,
                word if word.eq_ignore_ascii_case(b"CH") => &mut options.ch,
                word if word.eq_ignore_ascii_case(b"INCR") => &mut options.incr,
                _ => return options,
            };
            *option = true;
            args.skip();
        }
    }

    /// Whether the options fit together and to `pair_count` members.
    fn check(self, pair_count: usize) -> Result<(), CommandError> {
        let text = if self.nx && self.xx {
            "ERR XX and NX options at the same time are not compatible"
        } else if (self.gt || self.lt) && self.nx || self.gt && self.lt {
            "ERR GT, LT, and/or NX options at the same time are not compatible"
        } else if self.incr && pair_count > 1 {
            "ERR INCR option supports a single increment-element pair"
        } else {
            return Ok(());
        };
        Err(CommandError::text(text))
    }

    /// The score a member gets that has the score `old`, given `score`; `None` if it is left alone.
    fn new_score(self, old: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else { return Ok((!self.xx).then_some(score)) };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + score } else { score };
        if new.is_nan() {
            return Err(CommandError::text("ERR resulting score is not a number (NaN)"));
        }
        let is_refused = self.gt && new <= old || self.lt && new >= old;
        Ok((!is_refused).then_some(new))
    }
}

/// Adds members or changes scores. Reply: how many are new (with CH: or changed); with INCR the score or null.
/// Journal: verbatim, if anything changed.
fn zadd(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let options = AddOptions::parse(&mut args);
    add(ctx, key, options, args, reply)
}

/// Adds to a score. Reply: the new score. Journal: verbatim, if it changed.
fn zincrby(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    add(ctx, key, AddOptions { incr: true, ..AddOptions::default() }, args, reply)
}

fn add(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    options: AddOptions,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    if args.is_empty() || args.remaining() % 2 == 1 {
        return Err(CommandError::Syntax);
    }
    options.check(args.remaining() / 2)?;
    let mut pairs = SmallVec::<[(f64, &[u8]); 4]>::new();
    while !args.is_empty() {
        pairs
            .push((number::parse_f64(args.bytes()?).ok_or(CommandError::NotFloat)?, args.bytes()?));
    }
    let limits = SortedSetLimits::from(ctx.options);
    if options.xx && ctx.get_mut::<SortedSet>(key)?.is_none() {
        if options.incr {
            reply.null()
        } else {
            reply.integer(0)
        }
        return Ok(Written::unchanged());
    }
    let mut set = ctx.get_or_create::<SortedSet>(key)?;
    set.prepare(pairs.len(), limits);
    let (mut added_count, mut changed_count, mut last_score) = (0, 0, None);
    for (score, member) in pairs {
        let old = set.score(member);
        last_score = options.new_score(old, score)?;
        match (old, last_score) {
            (_, None) => {}
            (Some(old), Some(new)) if old == new => {}
            (old, Some(new)) => {
                set.insert(member, new, limits);
                added_count += i64::from(old.is_none());
                changed_count += 1;
            }
        }
    }
    match (options.incr, last_score) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) => reply.integer(if options.ch { changed_count } else { added_count }),
    }
    if changed_count == 0 {
        return Ok(Written::unchanged());
    }
    Ok(Written::changed(if options.incr { Event::ZINCR } else { Event::ZADD }))
}

/// Removes members. Reply: how many there were. Journal: verbatim.
fn zrem(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let Some(mut set) = ctx.get_mut::<SortedSet>(key)? else {
        reply.integer(0);
        return Ok(Written::unchanged());
    };
    let removed_count = args.rest().filter(|member| set.remove(member)).count();
    let is_emptied = set.is_empty();
    drop(set);
    reply.integer(removed_count as i64);
    if removed_count == 0 {
        return Ok(Written::unchanged());
    }
    ctx.changed(key, Event::ZREM);
    if is_emptied {
        ctx.remove_emptied(key);
    }
    Ok(Written::reported())
}

fn zcard(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    reply.integer(ctx.get::<SortedSet>(args.key()?)?.map_or(0, SortedSet::len) as i64);
    Ok(())
}

fn zscore(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<SortedSet>(args.key()?)?;
    score_of(set, args.bytes()?, reply);
    Ok(())
}

fn zmscore(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<SortedSet>(args.key()?)?;
    reply.array(args.remaining());
    args.rest().for_each(|member| score_of(set, member, reply));
    Ok(())
}

/// Replies with the score of one member, null if there is none.
fn score_of(set: Option<&SortedSet>, member: &[u8], reply: &mut Writer<'_>) {
    match set.and_then(|set| set.score(member)) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

/// Visits some members. Reply: the next cursor, and members with scores in turn, as bulk strings in RESP3 too.
fn zscan(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let key = args.key()?;
    let cursor = scan_args::parse_cursor(args.bytes()?)?;
    let Some(set) = ctx.get::<SortedSet>(key)? else {
        scan_args::reply_with(reply, 0, |_| 0);
        return Ok(());
    };
    let options = ScanOptions::parse(args)?;
    let is_small = set.is_small();
    let (cursor, members) = set.scan(cursor, options.count);
    scan_args::reply_with(reply, cursor, |reply| {
        let mut count = 0;
        for (member, score) in members.filter(|(member, _)| options.wants(member)) {
            reply.bulk(member);
            if is_small {
                reply.bulk(number::format_f64(score).as_bytes());
            } else {
                reply.bulk(seventeen_digits(score).as_bytes());
            }
            count += 2;
        }
        count
    });
    Ok(())
}

/// Prints a score as C's `%.17g` does: how ZSCAN, and only ZSCAN, shows the scores of a large sorted set in Redis.
fn seventeen_digits(score: f64) -> String {
    if !score.is_finite() {
        return score.to_string();
    }
    let scientific = format!("{score:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("this notation has an exponent");
    let exponent = exponent.parse::<i32>().expect("an exponent is an integer");
    let without_zeros = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(16 - exponent) {
        Ok(decimal_count) if exponent >= -4 => without_zeros(&format!("{score:.decimal_count$}")),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", without_zeros(digits), exponent.unsigned_abs())
        }
    }
}

const ZADD: Docs = Docs {
    summary: "Adds members to a sorted set, or changes their scores.",
    since: "1.2.0",
    complexity: "O(log n) per member, n members",
    arguments: &[
        Argument::key("key"),
        Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")])
            .optional()
            .since("3.0.2"),
        Argument::one_of("comparison", &[Argument::word("gt", "GT"), Argument::word("lt", "LT")])
            .optional()
            .since("6.2.0"),
        Argument::word("change", "CH").optional().since("3.0.2"),
        Argument::word("increment", "INCR").optional().since("3.0.2"),
        Argument::block("data", &[Argument::double("score"), Argument::string("member")])
            .repeated(),
    ],
    examples: &[
        "> ZADD board 1.5 alpha 2 beta\n(integer) 2\n> ZADD board XX CH 3 alpha 9 gamma\n(integer) 1\n> ZADD board INCR 0.5 beta\n\"2.5\"\n> ZRANGE board 0 -1 WITHSCORES\n1) \"beta\"\n2) \"2.5\"\n3) \"alpha\"\n4) \"3\"",
    ],
    ..Docs::NONE
};

const ZINCRBY: Docs = Docs {
    summary: "Adds to the score of a member of a sorted set, which counts as 0 if it does not exist.",
    since: "1.2.0",
    complexity: "O(log n), n members",
    arguments: &[Argument::key("key"), Argument::integer("increment"), Argument::string("member")],
    examples: &["> ZINCRBY board 2 alpha\n\"2\"\n> ZINCRBY board -0.5 alpha\n\"1.5\""],
    ..Docs::NONE
};

const ZREM: Docs = Docs {
    summary: "Removes members of a sorted set, and the key with the last of them.",
    since: "1.2.0",
    complexity: "O(log n) per member, n members",
    arguments: &[Argument::key("key"), Argument::string("member").repeated()],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZREM board a none\n(integer) 1\n> ZCARD board\n(integer) 2",
    ],
    ..Docs::NONE
};

const ZCARD: Docs = Docs {
    summary: "Returns how many members a sorted set has.",
    since: "1.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZCARD board\n(integer) 3\n> ZCARD none\n(integer) 0",
    ],
    ..Docs::NONE
};

const ZSCORE: Docs = Docs {
    summary: "Returns the score of a member of a sorted set.",
    since: "1.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("member")],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZSCORE board b\n\"2\"\n> ZSCORE board none\n(nil)",
    ],
    ..Docs::NONE
};

const ZMSCORE: Docs = Docs {
    summary: "Returns the scores of several members of a sorted set, null for those that do not exist.",
    since: "6.2.0",
    complexity: "O(1) per member",
    arguments: &[Argument::key("key"), Argument::string("member").repeated()],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZMSCORE board b none\n1) \"2\"\n2) (nil)",
    ],
    ..Docs::NONE
};

const ZSCAN: Docs = Docs {
    summary: "Goes through the members of a sorted set step by step.",
    since: "2.8.0",
    complexity: "O(COUNT) per step",
    arguments: &[
        Argument::key("key"),
        Argument::integer("cursor"),
        Argument::pattern("pattern").token("MATCH").optional(),
        Argument::integer("count").token("COUNT").optional(),
    ],
    examples: &[
        "> ZADD board 1 a 2 b 3 c\n(integer) 3\n> ZSCAN board 0 MATCH [ab]\n1) \"0\"\n2) 1) \"a\"\n   2) \"1\"\n   3) \"b\"\n   4) \"2\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
