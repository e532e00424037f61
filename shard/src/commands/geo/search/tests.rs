//! Tests of GEOSEARCH and GEOSEARCHSTORE.

use super::*;
use crate::testing::{check, check_with, options};
use protocol::reply::Resp;
use protocol::request::ArgvBuf;

#[test]
fn circles_and_rectangles_are_searched() {
    check(
        r#"
        > GEOADD g 13.361389 38.115556 palermo 15.087269 37.502669 catania 12.758489 38.788135 edge1 17.241510 38.788135 edge2
        (integer) 4
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
        1) "catania"
        2) "palermo"
        > GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST WITHHASH
        1) 1) "catania"
           2) "56.4413"
           3) (integer) 3479447370796909
           4) 1) "15.08726745843887329"
              2) "37.50266842333162032"
        2) 1) "palermo"
           2) "190.4424"
           3) (integer) 3479099956230698
           4) 1) "13.36138933897018433"
              2) "38.11555639549629859"
        3) 1) "edge2"
           2) "279.7403"
           3) (integer) 3481342659049484
           4) 1) "17.24151045083999634"
              2) "38.78813451624225195"
        4) 1) "edge1"
           2) "279.7405"
           3) (integer) 3479273021651468
           4) 1) "12.7584877610206604"
              2) "38.78813451624225195"
        > GEOSEARCH g FROMMEMBER palermo BYRADIUS 0 m
        1) "palermo"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1000 km COUNT 2 DESC
        1) "edge1"
        2) "edge2"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1000 km COUNT 1
        1) "catania"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1000 km COUNT 100 ANY ASC
        1) "catania"
        2) "palermo"
        3) "edge2"
        4) "edge1"
        > GEOSEARCH g FROMLONLAT 100 37 BYRADIUS 100 km
        (empty array)
        > GEOSEARCH none FROMMEMBER x BYRADIUS 100 km
        (empty array)
    "#,
    );
}

#[test]
fn results_are_stored_as_geohashes_or_distances() {
    check(
        r#"
        > GEOADD g 13.361389 38.115556 palermo 15.087269 37.502669 catania
        (integer) 2
        > SET t old EX 100
        OK
        > GEOSEARCHSTORE t g FROMLONLAT 15 37 BYRADIUS 200 km
        (integer) 2
        > ZRANGE t 0 -1 WITHSCORES
        1) "palermo"
        2) "3479099956230698"
        3) "catania"
        4) "3479447370796909"
        > TTL t
        (integer) -1
        > GEOSEARCHSTORE t g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 STOREDIST
        (integer) 1
        > GEOSEARCHSTORE t g FROMLONLAT 100 37 BYRADIUS 1 km
        (integer) 0
        > GEOSEARCHSTORE t g FROMLONLAT 100 37 BYRADIUS 1 km
        (integer) 0
        > GEOSEARCHSTORE g g FROMLONLAT 15 37 BYRADIUS 100 km
        (integer) 1
        > ZRANGE g 0 -1
        1) "catania"
        ~ journal
        ZADD g 3479099956230698 palermo 3479447370796909 catania
        SET t old PXAT 1700000100000
        GEOSEARCHSTORE t g FROMLONLAT 15 37 BYRADIUS 200 km
        GEOSEARCHSTORE t g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 STOREDIST
        GEOSEARCHSTORE t g FROMLONLAT 100 37 BYRADIUS 1 km
        GEOSEARCHSTORE g g FROMLONLAT 15 37 BYRADIUS 100 km
        ~ events
        zadd g
        set t
        expire t
        geosearchstore t
        geosearchstore t
        del t
        geosearchstore g
    "#,
    );
}

#[test]
fn options_are_checked_in_redis_order() {
    check(
        r#"
        > GEOADD g 13.361389 38.115556 palermo
        (integer) 1
        > SET s x
        OK
        > GEOSEARCH s FOO FOO FOO FOO FOO
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GEOSEARCH g FROMMEMBER palermo FROMLONLAT 1 1 BYRADIUS 1 m
        (error) ERR syntax error
        > GEOSEARCH g FROMMEMBER nowhere BYRADIUS 1 m ASC
        (error) ERR could not decode requested zset member
        > GEOSEARCH g FROMMEMBER palermo BYRADIUS 1 m BYBOX 1 1 m
        (error) ERR syntax error
        > GeoSearch g BYRADIUS 1 m ASC ASC
        (error) ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GeoSearch
        > GEOSEARCH g FROMLONLAT 1 1 ASC DESC
        (error) ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
        > GEOSEARCH g FROMLONLAT 1 1 BYBOX x 1 m
        (error) ERR need numeric width
        > GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 x m
        (error) ERR need numeric height
        > GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 -1 m
        (error) ERR height or width cannot be negative
        > GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 1 x
        (error) ERR unsupported unit provided. please use M, KM, FT, MI
        > GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 m STOREDIST
        (error) ERR syntax error
        > GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 m COUNT x
        (error) ERR value is not an integer or out of range
        > GEOSEARCHSTORE t g FROMLONLAT 1 1 BYRADIUS 1 m WITHHASH
        (error) ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        > GEOSEARCHSTORE t none FROMLONLAT 1 1 BYRADIUS x m
        (error) ERR need numeric radius
        > GEOSEARCH none FROMMEMBER x FROMLONLAT 1 1 BYRADIUS 1 m
        (error) ERR syntax error
    "#,
    );
}

#[test]
fn large_sets_are_searched_alike() {
    let script = r#"
        > GEOADD g 13.361389 38.115556 palermo 15.087269 37.502669 catania 2.35 48.85 paris
        (integer) 3
        > OBJECT ENCODING g
        "skiplist"
        > GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km
        1) "palermo"
        2) "catania"
        > GEOSEARCHSTORE t g FROMLONLAT 15 37 BYRADIUS 200 km
        (integer) 2
        > OBJECT ENCODING t
        "listpack"
    "#;
    check_with(Options { zset_max_listpack_entries: 2, ..options() }, script);
}

#[test]
fn a_piece_is_the_result() {
    let argv: ArgvBuf = ["GEOSEARCHSTORE", "t", "g", "FROMMEMBER", "a", "BYRADIUS", "1", "m"]
        .map(str::as_bytes)
        .into_iter()
        .collect();
    let run = |pieces| {
        let mut out = Vec::new();
        let mut reply = Writer::new(&mut out, Resp::V2);
        let args = Args::new(argv.as_argv());
        let writes =
            geosearchstore_plan(&options(), Now::default(), 1, args, pieces, &mut reply).unwrap();
        (writes, out)
    };
    let mut result = SortedSet::default();
    result.insert(b"a", 1.0, SortedSetLimits::from(&options()));
    let entry = Some(Box::new(Entry::new(result.into_value())));
    let (writes, reply) = run(vec![Piece::Missing, Piece::Entry(entry.clone().unwrap())]);
    let write = |entry, event| [KeyWrite { key_index: 1, db: 1, entry, event }];
    assert_eq!(writes, write(entry, Event::GEOSEARCHSTORE));
    assert_eq!(reply, b":1\r\n");
    let (writes, reply) = run(vec![Piece::Missing, Piece::Missing]);
    assert_eq!(writes, write(None, Event::DEL));
    assert_eq!(reply, b":0\r\n");
}
