//! Commands that add and count: PFADD PFCOUNT PFMERGE.
//!
//! Path: `shard::Shard::execute` -> here -> `types::hyperloglog`. The keys of PFCOUNT and PFMERGE may lie on different
//! shards: then the strings travel as pieces.

use crate::args::Args;
use crate::call::Now;
use crate::commands::bytes;
use crate::commands::check::check;
use crate::commands::{Command, KeyWrite, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::options::Options;
use crate::types::hyperloglog::{self as hll, Form, NotValid, REGISTER_COUNT, Registers};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::DENYOOM, Flags::FAST, Flags::WRITE]),
            categories: Categories::HYPERLOGLOG,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]))],
            docs: &PFADD,
            ..CommandSpec::new("pfadd", Group::HyperLogLog)
        },
        run: Run::Write(pfadd),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::MAY_REPLICATE, Flags::READONLY]),
            categories: Categories::HYPERLOGLOG,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS]), 1, -1, 1)
                .noted("RW because it may change the internal representation of the key, and propagate to replicas")],
            docs: &PFCOUNT,
            ..CommandSpec::new("pfcount", Group::HyperLogLog)
        },
        run: Run::GatherWrite { local: pfcount, piece: pf_piece, plan: pfcount_plan },
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::HYPERLOGLOG,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::INSERT])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, -1, 1),
            ],
            docs: &PFMERGE,
            ..CommandSpec::new("pfmerge", Group::HyperLogLog)
        },
        run: Run::GatherWrite { local: pfmerge, piece: pf_piece, plan: pfmerge_plan },
    },
];

const _: () = check(COMMANDS);

/// Adds elements.
///
/// Args: `key [element ...]`. Reply: 1 if a register changed or the key is new, 0 otherwise. Errors: no HyperLogLog, a
/// corrupted one. Journal: verbatim, if anything changed. Cost: O(1) per element.
fn pfadd(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let sparse_len_max = ctx.options.hll_sparse_max_bytes;
    let mut is_changed = false;
    let added = bytes::edit(ctx, key, |string| {
        is_changed = string.is_new;
        if !is_changed {
            string.look(hll::form)?;
        }
        let bytes = string.bytes();
        if is_changed {
            *bytes = hll::empty();
        }
        for element in args.rest() {
            is_changed |= hll::add(bytes, element, sparse_len_max)?;
        }
        if is_changed {
            hll::invalidate(bytes);
        }
        Ok::<(), NotValid>(())
    })?;
    if let Err(not_valid) = added {
        if is_changed {
            // Some elements were added before the damage showed: what the string has become is the effect.
            journal_whole(ctx, key)?;
        }
        return Err(not_valid.into());
    }
    reply.integer(i64::from(is_changed));
    Ok(if is_changed { Written::changed(Event::PFADD) } else { Written::unchanged() })
}

/// Has the string under `key` replayed as it is now.
fn journal_whole(ctx: &mut WriteContext<'_>, key: &[u8]) -> Result<(), CommandError> {
    let bytes = bytes::edit(ctx, key, |string| string.look(<[u8]>::to_vec))?;
    ctx.journal(&[b"SET", key, &bytes, b"KEEPTTL"]);
    Ok(())
}

/// Estimates how many different elements were added, to all keys together.
///
/// Args: `key [key ...]`. Reply: integer. Errors: no HyperLogLog, a corrupted one. Journal: verbatim, if the estimate
/// of a single key was out of date: it is noted in the string. Cost: O(1) if it was not, otherwise O(registers) per
/// key.
fn pfcount(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    if args.remaining() > 1 {
        let mut registers = [0; REGISTER_COUNT];
        for key in args.rest() {
            bytes::read_in_write(ctx, key, |bytes| hll::merge_into(&mut registers, bytes))?
                .transpose()?;
        }
        reply.integer(hll::cardinality_of(&registers) as i64);
        return Ok(Written::unchanged());
    }
    let key = args.key()?;
    let count = bytes::read_in_write(ctx, key, |bytes| {
        hll::form(bytes)?;
        let cached = hll::cached_cardinality(bytes);
        let count = cached.map_or_else(|| hll::cardinality(bytes), Ok)?;
        Ok::<_, NotValid>((cached.is_some(), count))
    })?;
    let (is_cached, count) = count.transpose()?.unwrap_or((true, 0));
    reply.integer(count as i64);
    if is_cached {
        return Ok(Written::unchanged());
    }
    bytes::edit(ctx, key, |string| hll::cache_cardinality(string.bytes(), count))?;
    ctx.touched(key);
    Ok(Written::reported())
}

fn pf_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    Ok(bytes::piece(ctx, key_index, args.argv()))
}

fn pfcount_plan(
    _options: &Options,
    _now: Now,
    _db: u16,
    _args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let mut merged = Merged::default();
    for piece in &pieces {
        bytes::read_piece(piece, |bytes| merged.add(bytes))?.transpose()?;
    }
    reply.integer(hll::cardinality_of(&merged.registers) as i64);
    Ok(Vec::new())
}

/// The registers of several HyperLogLogs.
struct Merged {
    registers: Box<Registers>,
    /// Whether one of them was dense.
    has_dense: bool,
}

impl Default for Merged {
    fn default() -> Self {
        Merged { registers: Box::new([0; REGISTER_COUNT]), has_dense: false }
    }
}

impl Merged {
    fn add(&mut self, bytes: &[u8]) -> Result<(), NotValid> {
        self.has_dense |= hll::form(bytes)? == Form::Dense;
        hll::merge_into(&mut self.registers, bytes)
    }

    /// Raises the registers of a HyperLogLog, which was added before, to these; makes it dense if one of them was.
    fn write_to(&self, bytes: &mut Vec<u8>, sparse_len_max: usize) -> Result<(), NotValid> {
        if self.has_dense {
            hll::make_dense(bytes)?;
        }
        hll::raise_all(bytes, &self.registers, sparse_len_max)
    }
}

/// Merges HyperLogLogs into one.
///
/// Args: `destkey [sourcekey ...]`. Reply: OK. Errors: no HyperLogLog, a corrupted one. Journal: verbatim.
/// Cost: O(registers) per key.
fn pfmerge(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut merged = Merged::default();
    for key in args.rest() {
        bytes::read_in_write(ctx, key, |bytes| merged.add(bytes))?.transpose()?;
    }
    let target = args.peek().expect("the arity guarantees it");
    let sparse_len_max = ctx.options.hll_sparse_max_bytes;
    bytes::edit(ctx, target, |string| {
        let is_new = string.is_new;
        let bytes = string.bytes();
        if is_new {
            *bytes = hll::empty();
        }
        merged.write_to(bytes, sparse_len_max)
    })??;
    reply.ok();
    Ok(Written::changed(Event::PFADD))
}

fn pfmerge_plan(
    options: &Options,
    _now: Now,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let mut merged = Merged::default();
    for piece in &pieces {
        bytes::read_piece(piece, |bytes| merged.add(bytes))?.transpose()?;
    }
    let target = pieces.first();
    let string = target.map_or(Ok(None), |piece| bytes::read_piece(piece, <[u8]>::to_vec))?;
    let mut bytes = string.unwrap_or_else(hll::empty);
    merged.write_to(&mut bytes, options.hll_sparse_max_bytes)?;
    let expire_at_ms = match target {
        Some(Piece::Entry(entry)) => entry.expire_at_ms(),
        _ => None,
    };
    let entry = Some(Box::new(bytes::raw(bytes).with_expiry(expire_at_ms)));
    reply.ok();
    Ok(vec![KeyWrite { key_index: args.position(), db, entry, event: Event::PFADD }])
}

const PFADD: Docs = Docs {
    summary: "Adds elements to a HyperLogLog, which is made if there is no such key.",
    since: "2.8.9",
    complexity: "O(1) per element",
    arguments: &[Argument::key("key"), Argument::string("element").optional().repeated()],
    examples: &["> PFADD visitors ann bob\n(integer) 1\n> PFADD visitors ann\n(integer) 0"],
    ..Docs::NONE
};

const PFCOUNT: Docs = Docs {
    summary: "Estimates how many different elements were added to one or several HyperLogLogs together.",
    since: "2.8.9",
    complexity: "O(1) for one key as long as nothing new was added, O(N) with N the number of keys otherwise; each takes a while",
    arguments: &[Argument::key("key").repeated()],
    examples: &[
        "> PFADD {v}mon ann bob\n(integer) 1\n> PFADD {v}tue bob carl\n(integer) 1\n> PFCOUNT {v}mon\n(integer) 2\n> PFCOUNT {v}mon {v}tue\n(integer) 3",
    ],
    ..Docs::NONE
};

const PFMERGE: Docs = Docs {
    summary: "Merges HyperLogLogs into one, which then has seen what any of them has.",
    since: "2.8.9",
    complexity: "O(N) with N the number of keys; each takes a while",
    arguments: &[
        Argument::key("destkey"),
        Argument::key("sourcekey").key_spec(1).optional().repeated(),
    ],
    examples: &[
        "> PFADD {v}mon ann bob\n(integer) 1\n> PFADD {v}tue bob carl\n(integer) 1\n> PFMERGE {v}both {v}mon {v}tue\nOK\n> PFCOUNT {v}both\n(integer) 3",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
