//! Commands on single places: GEOADD GEODIST GEOHASH GEOPOS.
//!
//! Path: `shard::Shard::execute` -> here -> `types::{geohash, sorted_set}`.

use super::{parse_place, parse_unit, write_distance, write_place};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::geohash::{self, Place};
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use protocol::request::ArgvBuf;
use smallvec::SmallVec;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -5,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]))],
            docs: &GEOADD,
            ..CommandSpec::new("geoadd", Group::Geo)
        },
        run: Run::Write(geoadd),
    },
    Command {
        spec: CommandSpec {
            arity: -4,
            flags: Flags::READONLY,
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GEODIST,
            ..CommandSpec::new("geodist", Group::Geo)
        },
        run: Run::Read(geodist),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GEOHASH,
            ..CommandSpec::new("geohash", Group::Geo)
        },
        run: Run::Read(geohash),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            categories: Categories::GEO,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GEOPOS,
            ..CommandSpec::new("geopos", Group::Geo)
        },
        run: Run::Read(geopos),
    },
];

const _: () = check(COMMANDS);

/// Options of GEOADD.
#[derive(Clone, Copy, Debug, Default)]
struct AddOptions {
    /// Only new members.
    nx: bool,
    /// Only members that exist.
    xx: bool,
    /// Count changed members too.
    ch: bool,
}

impl AddOptions {
    /// Takes all options that stand before the first longitude.
    fn parse(args: &mut Args<'_>) -> Self {
        let mut options = AddOptions::default();
        loop {
            if args.take_token("NX") {
                options.nx = true;
            } else if args.take_token("XX") {
                options.xx = true;
            } else if args.take_token("CH") {
                options.ch = true;
            } else {
                return options;
            }
        }
    }
}

/// Adds places, or moves them.
///
/// Args: `key [NX|XX] [CH] longitude latitude member ...`. Reply: integer, how many are new (with CH: or moved).
/// Errors: syntax, not a float, no such place, WRONGTYPE. Journal: as ZADD, if anything changed.
fn geoadd(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let options = AddOptions::parse(&mut args);
    if !args.remaining().is_multiple_of(3) || args.is_empty() || options.nx && options.xx {
        return Err(CommandError::Syntax);
    }
    let mut places = SmallVec::<[(f64, &[u8]); 4]>::new();
    while !args.is_empty() {
        places.push((parse_place(&mut args)?.score(), args.bytes()?));
    }
    let limits = SortedSetLimits::from(ctx.options);
    if options.xx && ctx.get_mut::<SortedSet>(key)?.is_none() {
        reply.integer(0);
        return Ok(Written::unchanged());
    }
    let mut added = ArgvBuf::default();
    [b"ZADD", key].iter().for_each(|arg| added.push(arg));
    let (mut new_count, mut moved_count) = (0, 0);
    let mut set = ctx.get_or_create::<SortedSet>(key)?;
    set.prepare(places.len(), limits);
    for (score, member) in places {
        match set.score(member) {
            Some(old) if options.nx || old == score => continue,
            None if options.xx => continue,
            Some(_) => moved_count += 1,
            None => new_count += 1,
        }
        set.insert(member, score, limits);
        added.push(number::format_f64(score).as_bytes());
        added.push(member);
    }
    reply.integer(if options.ch { new_count + moved_count } else { new_count });
    if new_count + moved_count == 0 {
        return Ok(Written::unchanged());
    }
    Ok(Written::changed(Event::ZADD).rewritten(added))
}

/// Asks how far two members are apart.
///
/// Args: `key member1 member2 [M|KM|FT|MI]`. Reply: string with four digits behind the point, null if a member is
/// missing. Errors: unit, syntax, WRONGTYPE.
fn geodist(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let (key, from, to) = (args.key()?, args.bytes()?, args.bytes()?);
    let unit = match args.remaining() {
        0 => 1.0,
        1 => parse_unit(args.bytes()?)?,
        _ => return Err(CommandError::Syntax),
    };
    let set = ctx.get::<SortedSet>(key)?;
    match (place_of(set, from), place_of(set, to)) {
        (Some(from), Some(to)) => write_distance(from.distance(to) / unit, reply),
        _ => reply.null(),
    }
    Ok(())
}

/// Asks for the usual geohashes of members.
///
/// Args: `key [member ...]`. Reply: array of strings of 11 letters, null for a member that is missing. Errors:
/// WRONGTYPE.
fn geohash(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<SortedSet>(args.key()?)?;
    reply.array(args.remaining());
    for member in args.rest() {
        match place_of(set, member) {
            Some(place) => reply.bulk(&geohash::text(place)),
            None => reply.null(),
        }
    }
    Ok(())
}

/// Asks for the coordinates of members.
///
/// Args: `key [member ...]`. Reply: array of pairs, null for a member that is missing. Errors: WRONGTYPE.
fn geopos(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let set = ctx.get::<SortedSet>(args.key()?)?;
    reply.array(args.remaining());
    for member in args.rest() {
        match place_of(set, member) {
            Some(place) => write_place(place, reply),
            None => reply.null_array(),
        }
    }
    Ok(())
}

fn place_of(set: Option<&SortedSet>, member: &[u8]) -> Option<Place> {
    set?.score(member).map(Place::of_score)
}

const GEOADD: Docs = Docs {
    summary: "Adds places to a sorted set, or moves them.",
    since: "3.2.0",
    complexity: "O(log n) per place, n members",
    arguments: &[
        Argument::key("key"),
        Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")])
            .optional()
            .since("6.2.0"),
        Argument::word("change", "CH").optional().since("6.2.0"),
        Argument::block(
            "data",
            &[
                Argument::double("longitude"),
                Argument::double("latitude"),
                Argument::string("member"),
            ],
        )
        .repeated(),
    ],
    examples: &[
        "> GEOADD towns 11.576 48.137 munich 13.405 52.52 berlin\n(integer) 2\n> GEOADD towns CH 11.58 48.14 munich\n(integer) 1",
    ],
    ..Docs::NONE
};

const GEODIST: Docs = Docs {
    summary: "Returns how far two members are apart, in metres or another unit.",
    since: "3.2.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::string("member1"),
        Argument::string("member2"),
        Argument::one_of(
            "unit",
            &[
                Argument::word("m", "M"),
                Argument::word("km", "KM"),
                Argument::word("ft", "FT"),
                Argument::word("mi", "MI"),
            ],
        )
        .optional(),
    ],
    examples: &[
        "> GEOADD towns 13.361389 38.115556 palermo 15.087269 37.502669 catania\n(integer) 2\n> GEODIST towns palermo catania km\n\"166.2742\"\n> GEODIST towns palermo nowhere\n(nil)",
    ],
    ..Docs::NONE
};

const GEOHASH: Docs = Docs {
    summary: "Returns the usual geohashes of members: 11 letters, of which fewer name a wider area.",
    since: "3.2.0",
    complexity: "O(1) per member",
    arguments: &[Argument::key("key"), Argument::string("member").optional().repeated()],
    examples: &[
        "> GEOADD towns 13.361389 38.115556 palermo\n(integer) 1\n> GEOHASH towns palermo nowhere\n1) \"sqc8b49rny0\"\n2) (nil)",
    ],
    ..Docs::NONE
};

const GEOPOS: Docs = Docs {
    summary: "Returns longitude and latitude of members.",
    since: "3.2.0",
    complexity: "O(1) per member",
    arguments: &[Argument::key("key"), Argument::string("member").optional().repeated()],
    examples: &[
        "> GEOADD towns 13.361389 38.115556 palermo\n(integer) 1\n> GEOPOS towns palermo nowhere\n1) 1) \"13.36138933897018433\"\n   2) \"38.11555639549629859\"\n2) (nil)",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn places_are_members_of_a_sorted_set() {
        check(
            r#"
            > GEOADD g 13.361389 38.115556 palermo 15.087269 37.502669 catania
            (integer) 2
            > ZRANGE g 0 -1 WITHSCORES
            1) "palermo"
            2) "3479099956230698"
            3) "catania"
            4) "3479447370796909"
            > GEOADD g NX 0 0 palermo 1 1 new
            (integer) 1
            > GEOADD g XX CH 2 2 new 3 3 other
            (integer) 1
            > GEOADD g CH 2 2 new
            (integer) 0
            > GEOADD none xx 2 2 new
            (integer) 0
            > EXISTS none
            (integer) 0
            ~ journal
            ZADD g 3479099956230698 palermo 3479447370796909 catania
            ZADD g 3377822707026402 new
            ZADD g 3378191666521995 new
            ~ events
            zadd g
            zadd g
            zadd g
        "#,
        );
    }

    #[test]
    fn arguments_are_checked_in_redis_order() {
        check(
            r#"
            > SET s x
            OK
            > GEOADD s NX XX 1 1 a
            (error) ERR syntax error
            > GEOADD s 1 1 a 1
            (error) ERR syntax error
            > GEOADD s NX CH CH
            (error) ERR syntax error
            > GEOADD s x 1 a
            (error) ERR value is not a valid float
            > GEOADD s 1 1 a 1 86 b
            (error) ERR invalid longitude,latitude pair 1.000000,86.000000
            > GEOADD s inf 1 a
            (error) ERR invalid longitude,latitude pair inf,1.000000
            > GEOADD s 1 1 a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GEODIST s a b x
            (error) ERR unsupported unit provided. please use M, KM, FT, MI
            > GEODIST s a b m m
            (error) ERR syntax error
            > GEODIST s a b
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GEOHASH s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > GEOPOS s
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
        );
    }

    #[test]
    fn missing_members_are_null() {
        check(
            r#"
            > GEODIST none a b
            (nil)
            > GEOHASH none a b
            1) (nil)
            2) (nil)
            > GEOPOS none a
            1) (nil)
            > GEOPOS none
            (empty array)
            > GEOADD g 13.361389 38.115556 a
            (integer) 1
            > GEODIST g a a
            "0.0000"
            > GEODIST g a b
            (nil)
            # resp3
            > GEOPOS g a b
            1) 1) (double) 13.36138933897018433
               2) (double) 38.11555639549629859
            2) (nil)
        "#,
        );
    }

    #[test]
    fn distances_come_in_four_units() {
        check(
            r#"
            > GEOADD g 13.361389 38.115556 a 15.087269 37.502669 b
            (integer) 2
            > GEODIST g a b
            "166274.1516"
            > GEODIST g a b m
            "166274.1516"
            > GEODIST g a b KM
            "166.2742"
            > GEODIST g a b ft
            "545518.8700"
            > GEODIST g b a mi
            "103.3182"
        "#,
        );
    }
}
