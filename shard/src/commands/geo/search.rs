//! Searches for places: GEOSEARCH GEOSEARCHSTORE.
//!
//! Path: `shard::Shard::execute` -> here -> `query`. The two keys of GEOSEARCHSTORE may lie on different shards: then
//! the result travels as a piece.

use super::query::{Form, Query};
use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Command, KeyWrite, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::options::Options;
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use crate::value::Typed;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -7,
            flags: Flags::READONLY,
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GEOSEARCH,
            ..CommandSpec::new("geosearch", Group::Geo)
        },
        run: Run::Read(geosearch),
    },
    Command {
        spec: CommandSpec {
            arity: -8,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::GEO,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE])),
                KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 2, 0, 1),
            ],
            docs: &GEOSEARCHSTORE,
            ..CommandSpec::new("geosearchstore", Group::Geo)
        },
        run: Run::GatherWrite {
            local: geosearchstore,
            piece: geosearchstore_piece,
            plan: geosearchstore_plan,
        },
    },
];

const _: () = check(COMMANDS);

fn geosearch(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    answer(ctx, Form::Search, args, reply)
}

fn geosearchstore(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    store(ctx, Form::SearchStore, args, reply)
}

fn geosearchstore_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    piece(ctx, Form::SearchStore, key_index, args)
}

fn geosearchstore_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    plan(Form::SearchStore, db, args, pieces, reply)
}

/// Searches and answers with what was found.
///
/// Reply: array of members, or of arrays with what was asked for of each. Errors: WRONGTYPE, then those of the
/// options.
pub(super) fn answer(
    ctx: &ReadContext<'_>,
    form: Form,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let (source, args) = source_and_options(form, args);
    let set = ctx.get::<SortedSet>(source)?;
    Query::parse(form, set, args)?.answer(set, reply);
    Ok(())
}

/// Searches and stores what was found, or answers with it if no key is given for that.
///
/// Reply: integer, how many places were stored. Errors: as [`answer`]. Journal: verbatim.
pub(super) fn store(
    ctx: &mut WriteContext<'_>,
    form: Form,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let limits = SortedSetLimits::from(ctx.options);
    let (source, options) = source_and_options(form, args);
    let found = ctx.entry(source).counted();
    let set = found.value::<SortedSet>()?;
    let query = Query::parse(form, set, options)?;
    let Some(target) = query.target else {
        query.answer(set, reply);
        return Ok(Written::unchanged());
    };
    let result = query.result(set, limits);
    reply.integer(result.len() as i64);
    let key = args.argv().get(target.key_index).expect("it has been read from there");
    if !result.is_empty() {
        ctx.insert(key, Entry::new(result.into_value()));
        ctx.changed(key, stored_event(form));
    } else if ctx.remove(key) {
        ctx.changed(key, Event::DEL);
    } else {
        return Ok(Written::unchanged());
    }
    Ok(Written::reported())
}

/// The result, if this is the key that is searched, for a command over several shards.
pub(super) fn piece(
    ctx: &ReadContext<'_>,
    form: Form,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    if key_index != form.source_index() {
        return Ok(Piece::Missing); // whatever it holds is replaced
    }
    let (source, args) = source_and_options(form, args);
    let set = ctx.get::<SortedSet>(source)?;
    let query = Query::parse(form, set, args)?;
    let result = query.result(set, SortedSetLimits::from(ctx.options));
    if result.is_empty() {
        return Ok(Piece::Missing);
    }
    Ok(Piece::Entry(Box::new(Entry::new(result.into_value()))))
}

/// What is written of the result.
pub(super) fn plan(
    form: Form,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    // Its options have been read where the sorted set is; without one they give the target all the same.
    let (_, options) = source_and_options(form, args);
    let query = Query::parse(form, None, options)?;
    let target = query.target.expect("a command over several shards has a target");
    let result = pieces.into_iter().find_map(|piece| match piece {
        Piece::Entry(entry) => Some(entry),
        Piece::Missing | Piece::Present => None,
    });
    let count = match &result {
        Some(entry) => entry.value.view().as_type::<SortedSet>()?.len(),
        None => 0,
    };
    reply.integer(count as i64);
    let event = if result.is_some() { stored_event(form) } else { Event::DEL };
    Ok(vec![KeyWrite { key_index: target.key_index, db, entry: result, event }])
}

fn stored_event(form: Form) -> Event {
    if form == Form::SearchStore { Event::GEOSEARCHSTORE } else { Event::GEORADIUSSTORE }
}

/// The key that is searched, and the arguments behind the keys.
fn source_and_options<'a>(form: Form, mut args: Args<'a>) -> (&'a [u8], Args<'a>) {
    let index = form.source_index();
    let source = args.argv().get(index).expect("the arity guarantees it");
    (0..index).for_each(|_| args.skip());
    (source, args)
}

const GEOSEARCH: Docs = Docs {
    summary: "Finds the members of a sorted set that lie in a circle or a rectangle.",
    since: "6.2.0",
    complexity: "O(log n + m), n members, m in the cells around the search",
    arguments: &[
        Argument::key("key"),
        Argument::one_of(
            "from",
            &[
                Argument::string("member").token("FROMMEMBER"),
                Argument::block(
                    "fromlonlat",
                    &[Argument::double("longitude"), Argument::double("latitude")],
                )
                .token("FROMLONLAT"),
            ],
        ),
        Argument::one_of(
            "by",
            &[
                Argument::block(
                    "circle",
                    &[
                        Argument::double("radius").token("BYRADIUS"),
                        Argument::one_of(
                            "unit",
                            &[
                                Argument::word("m", "M"),
                                Argument::word("km", "KM"),
                                Argument::word("ft", "FT"),
                                Argument::word("mi", "MI"),
                            ],
                        ),
                    ],
                ),
                Argument::block(
                    "box",
                    &[
                        Argument::double("width").token("BYBOX"),
                        Argument::double("height"),
                        Argument::one_of(
                            "unit",
                            &[
                                Argument::word("m", "M"),
                                Argument::word("km", "KM"),
                                Argument::word("ft", "FT"),
                                Argument::word("mi", "MI"),
                            ],
                        ),
                    ],
                ),
            ],
        ),
        Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
            .optional(),
        Argument::block(
            "count-block",
            &[Argument::integer("count").token("COUNT"), Argument::word("any", "ANY").optional()],
        )
        .optional(),
        Argument::word("withcoord", "WITHCOORD").optional(),
        Argument::word("withdist", "WITHDIST").optional(),
        Argument::word("withhash", "WITHHASH").optional(),
    ],
    examples: &[
        "> GEOADD {t}towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEOSEARCH {t}towns FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST\n1) 1) \"catania\"\n   2) \"56.4413\"\n2) 1) \"palermo\"\n   2) \"190.4424\"\n> GEOSEARCH {t}towns FROMMEMBER palermo BYBOX 100 100 km\n1) \"palermo\"",
    ],
    ..Docs::NONE
};

const GEOSEARCHSTORE: Docs = Docs {
    summary: "Finds the members of a sorted set that lie in a circle or a rectangle, and stores them under another key.",
    since: "6.2.0",
    complexity: "O(log n + m), n members, m in the cells around the search",
    arguments: &[
        Argument::key("destination"),
        Argument::key("source").key_spec(1),
        Argument::one_of(
            "from",
            &[
                Argument::string("member").token("FROMMEMBER"),
                Argument::block(
                    "fromlonlat",
                    &[Argument::double("longitude"), Argument::double("latitude")],
                )
                .token("FROMLONLAT"),
            ],
        ),
        Argument::one_of(
            "by",
            &[
                Argument::block(
                    "circle",
                    &[
                        Argument::double("radius").token("BYRADIUS"),
                        Argument::one_of(
                            "unit",
                            &[
                                Argument::word("m", "M"),
                                Argument::word("km", "KM"),
                                Argument::word("ft", "FT"),
                                Argument::word("mi", "MI"),
                            ],
                        ),
                    ],
                ),
                Argument::block(
                    "box",
                    &[
                        Argument::double("width").token("BYBOX"),
                        Argument::double("height"),
                        Argument::one_of(
                            "unit",
                            &[
                                Argument::word("m", "M"),
                                Argument::word("km", "KM"),
                                Argument::word("ft", "FT"),
                                Argument::word("mi", "MI"),
                            ],
                        ),
                    ],
                ),
            ],
        ),
        Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
            .optional(),
        Argument::block(
            "count-block",
            &[Argument::integer("count").token("COUNT"), Argument::word("any", "ANY").optional()],
        )
        .optional(),
        Argument::word("storedist", "STOREDIST").optional(),
    ],
    examples: &[
        "> GEOADD {t}towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEOSEARCHSTORE {t}near {t}towns FROMLONLAT 15 37 BYRADIUS 100 km STOREDIST\n(integer) 1\n> ZRANGE {t}near 0 -1 WITHSCORES\n1) \"catania\"\n2) \"56.4412578701582\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
