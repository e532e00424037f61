//! Searches for places by a radius, as they were before GEOSEARCH: GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER
//! GEORADIUSBYMEMBER_RO.
//!
//! Path: `shard::Shard::execute` -> here -> `search`.

use super::query::{Form, Storing};
use super::search::{answer, piece, plan, store};
use crate::args::Args;
use crate::call::Now;
use crate::commands::check::check;
use crate::commands::{Command, KeyWrite, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::options::Options;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -6,
            flags: Flags::of(&[Flags::DENYOOM, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::GEO,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS])),
                target("STORE", 6),
                target("STOREDIST", 6),
            ],
            docs: &GEORADIUS,
            ..CommandSpec::new("georadius", Group::Geo)
        },
        run: Run::GatherWrite { local: georadius, piece: georadius_piece, plan: georadius_plan },
    },
    Command {
        spec: CommandSpec {
            arity: -6,
            flags: Flags::READONLY,
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GEORADIUS_RO,
            ..CommandSpec::new("georadius_ro", Group::Geo)
        },
        run: Run::Read(georadius_ro),
    },
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::of(&[Flags::DENYOOM, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: Categories::GEO,
            keys: &[
                KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS])),
                target("STORE", 5),
                target("STOREDIST", 5),
            ],
            docs: &GEORADIUSBYMEMBER,
            ..CommandSpec::new("georadiusbymember", Group::Geo)
        },
        run: Run::GatherWrite { local: by_member, piece: by_member_piece, plan: by_member_plan },
    },
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::READONLY,
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GEORADIUSBYMEMBER_RO,
            ..CommandSpec::new("georadiusbymember_ro", Group::Geo)
        },
        run: Run::Read(by_member_ro),
    },
];

const _: () = check(COMMANDS);

/// The key behind `keyword`, looked for from argument `start_from` on.
const fn target(keyword: &'static str, start_from: i32) -> KeySpec {
    KeySpec {
        flags: KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]),
        begin: BeginSearch::Keyword { keyword, start_from },
        find: FindKeys::Range { last: 0, step: 1, limit: 0 },
        notes: None,
    }
}

const RADIUS: Form = Form::Radius(Storing::Allowed);
const BY_MEMBER: Form = Form::RadiusByMember(Storing::Allowed);

fn georadius(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    store(ctx, RADIUS, args, reply)
}

fn georadius_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    piece(ctx, RADIUS, key_index, args)
}

fn georadius_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    plan(RADIUS, db, args, pieces, reply)
}

fn georadius_ro(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    answer(ctx, Form::Radius(Storing::Refused), args, reply)
}

fn by_member(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    store(ctx, BY_MEMBER, args, reply)
}

fn by_member_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    piece(ctx, BY_MEMBER, key_index, args)
}

fn by_member_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    plan(BY_MEMBER, db, args, pieces, reply)
}

fn by_member_ro(
    ctx: &ReadContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    answer(ctx, Form::RadiusByMember(Storing::Refused), args, reply)
}

const GEORADIUS: Docs = Docs {
    summary: "Finds the members of a sorted set within a radius around a place given by its coordinates; older than GEOSEARCH.",
    since: "3.2.0",
    complexity: "O(log n + m), n members, m in the cells around the search",
    arguments: &[
        Argument::key("key"),
        Argument::double("longitude"),
        Argument::double("latitude"),
        Argument::double("radius"),
        Argument::one_of(
            "unit",
            &[
                Argument::word("m", "M"),
                Argument::word("km", "KM"),
                Argument::word("ft", "FT"),
                Argument::word("mi", "MI"),
            ],
        ),
        Argument::word("withcoord", "WITHCOORD").optional(),
        Argument::word("withdist", "WITHDIST").optional(),
        Argument::word("withhash", "WITHHASH").optional(),
        Argument::block(
            "count-block",
            &[
                Argument::integer("count").token("COUNT"),
                Argument::word("any", "ANY").optional().since("6.2.0"),
            ],
        )
        .optional(),
        Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
            .optional(),
        Argument::one_of(
            "store",
            &[
                Argument::key("storekey").token("STORE").shown_as("key").key_spec(1),
                Argument::key("storedistkey").token("STOREDIST").shown_as("key").key_spec(2),
            ],
        )
        .optional(),
    ],
    deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
    examples: &[
        "> GEOADD {t}towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEORADIUS {t}towns 15 37 100 km\n1) \"catania\"",
    ],
    ..Docs::NONE
};

const GEORADIUS_RO: Docs = Docs {
    summary: "Finds the members of a sorted set within a radius around a place given by its coordinates, and never stores them.",
    since: "3.2.10",
    complexity: "O(log n + m), n members, m in the cells around the search",
    arguments: &[
        Argument::key("key"),
        Argument::double("longitude"),
        Argument::double("latitude"),
        Argument::double("radius"),
        Argument::one_of(
            "unit",
            &[
                Argument::word("m", "M"),
                Argument::word("km", "KM"),
                Argument::word("ft", "FT"),
                Argument::word("mi", "MI"),
            ],
        ),
        Argument::word("withcoord", "WITHCOORD").optional(),
        Argument::word("withdist", "WITHDIST").optional(),
        Argument::word("withhash", "WITHHASH").optional(),
        Argument::block(
            "count-block",
            &[
                Argument::integer("count").token("COUNT"),
                Argument::word("any", "ANY").optional().since("6.2.0"),
            ],
        )
        .optional(),
        Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
            .optional(),
    ],
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
    examples: &[
        "> GEOADD {t}towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEORADIUS_RO {t}towns 15 37 100 km\n1) \"catania\"",
    ],
    ..Docs::NONE
};

const GEORADIUSBYMEMBER: Docs = Docs {
    summary: "Finds the members of a sorted set within a radius around one of them; older than GEOSEARCH.",
    since: "3.2.0",
    complexity: "O(log n + m), n members, m in the cells around the search",
    arguments: &[
        Argument::key("key"),
        Argument::string("member"),
        Argument::double("radius"),
        Argument::one_of(
            "unit",
            &[
                Argument::word("m", "M"),
                Argument::word("km", "KM"),
                Argument::word("ft", "FT"),
                Argument::word("mi", "MI"),
            ],
        ),
        Argument::word("withcoord", "WITHCOORD").optional(),
        Argument::word("withdist", "WITHDIST").optional(),
        Argument::word("withhash", "WITHHASH").optional(),
        Argument::block(
            "count-block",
            &[Argument::integer("count").token("COUNT"), Argument::word("any", "ANY").optional()],
        )
        .optional(),
        Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
            .optional(),
        Argument::one_of(
            "store",
            &[
                Argument::key("storekey").token("STORE").shown_as("key").key_spec(1),
                Argument::key("storedistkey").token("STOREDIST").shown_as("key").key_spec(2),
            ],
        )
        .optional(),
    ],
    deprecated: Some((
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )),
    examples: &[
        "> GEOADD {t}towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEORADIUSBYMEMBER {t}towns catania 100 km\n1) \"catania\"",
    ],
    ..Docs::NONE
};

const GEORADIUSBYMEMBER_RO: Docs = Docs {
    summary: "Finds the members of a sorted set within a radius around one of them, and never stores them.",
    since: "3.2.10",
    complexity: "O(log n + m), n members, m in the cells around the search",
    arguments: &[
        Argument::key("key"),
        Argument::string("member"),
        Argument::double("radius"),
        Argument::one_of(
            "unit",
            &[
                Argument::word("m", "M"),
                Argument::word("km", "KM"),
                Argument::word("ft", "FT"),
                Argument::word("mi", "MI"),
            ],
        ),
        Argument::word("withcoord", "WITHCOORD").optional(),
        Argument::word("withdist", "WITHDIST").optional(),
        Argument::word("withhash", "WITHHASH").optional(),
        Argument::block(
            "count-block",
            &[Argument::integer("count").token("COUNT"), Argument::word("any", "ANY").optional()],
        )
        .optional(),
        Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
            .optional(),
    ],
    deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
    examples: &[
        "> GEOADD {t}towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEORADIUSBYMEMBER_RO {t}towns catania 100 km\n1) \"catania\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn results_can_be_stored_under_another_key() {
        check(
            r#"
            > GEOADD g 13.361389 38.115556 palermo 15.087269 37.502669 catania
            (integer) 2
            > GEORADIUS g 15 37 200 km STORE t
            (integer) 2
            > ZRANGE t 0 -1 WITHSCORES
            1) "palermo"
            2) "3479099956230698"
            3) "catania"
            4) "3479447370796909"
            > GEORADIUSBYMEMBER g palermo 200 km COUNT 1 DESC STOREDIST t
            (integer) 1
            > ZRANGE t 0 -1 WITHSCORES
            1) "catania"
            2) "166.27415156960032"
            > GEORADIUS none 15 37 200 km STORE t
            (integer) 0
            > EXISTS t
            (integer) 0
            > GEORADIUSBYMEMBER none x y z STORE t
            (integer) 0
            ~ events
            zadd g
            georadiusstore t
            georadiusstore t
            del t
        "#,
        );
    }

    #[test]
    fn only_those_that_may_write_take_a_key_to_store() {
        check(
            r#"
            > GEOADD g 13.361389 38.115556 palermo
            (integer) 1
            > GEORADIUS_RO g 15 37 200 km STORE t
            (error) ERR syntax error
            > GEORADIUSBYMEMBER_RO g palermo 200 km STOREDIST t
            (error) ERR syntax error
            > GEORADIUS g 15 37 200 km STORE
            (error) ERR syntax error
            > GEORADIUS g 15 37 200 km WITHDIST STORE t
            (error) ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
            > GEORADIUS g 15 37 200 km FROMMEMBER palermo
            (error) ERR syntax error
            > GEORADIUSBYMEMBER g nowhere 200 km
            (error) ERR could not decode requested zset member
            > GEORADIUSBYMEMBER g palermo x km
            (error) ERR need numeric radius
            > GEORADIUS g 15 37 -1 km
            (error) ERR radius cannot be negative
            > GEORADIUS g 15 37 1 miles
            (error) ERR unsupported unit provided. please use M, KM, FT, MI
            > GEORADIUS none 190 37 1 km
            (error) ERR invalid longitude,latitude pair 190.000000,37.000000
            > GEORADIUS g 15 37 1 km COUNT 0
            (error) ERR COUNT must be > 0
            > GEORADIUS g 15 37 1 km ANY
            (error) ERR the ANY argument requires COUNT argument
            > SET s x
            OK
            > GEORADIUS s x y z
            (error) ERR wrong number of arguments for 'georadius' command
            > GEORADIUS s x y z m
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }
}
