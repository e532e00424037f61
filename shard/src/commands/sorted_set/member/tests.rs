//! Dialogues with ZADD and its kin.

use super::seventeen_digits;
use crate::options::Options;
use crate::testing::{check, check_with, options};

#[test]
fn options_say_which_members_change() {
    for zset_max_listpack_entries in [0, 128] {
        check_with(
            Options { zset_max_listpack_entries, ..options() },
            r#"
            > ZADD z XX 1 a
            (integer) 0
            > ZADD z XX INCR 1 a
            (nil)
            > ZADD z NX 1 a 2 b
            (integer) 2
            > ZADD z NX 9 a 3 c
            (integer) 1
            > ZADD z XX 5 a 6 none
            (integer) 0
            > ZADD z XX CH 6 a 6 none
            (integer) 1
            > ZADD z GT CH 5 a 3 b
            (integer) 1
            > ZADD z LT CH 5 a 4 b 1 d
            (integer) 2
            > ZADD z ch 5 a
            (integer) 0
            > ZADD z GT INCR -1 a
            (nil)
            > ZADD z NX INCR 1 a
            (nil)
            > ZADD z LT INCR -1 a
            "4"
            > ZADD z INCR 0 a
            "4"
            > ZADD z xx gt incr 2.5 a
            "6.5"
            > ZADD z NX INCR 7 e
            "7"
            > ZADD z 1 e 2 e
            (integer) 0
            > ZRANGE z 0 -1 WITHSCORES
             1) "d"
             2) "1"
             3) "e"
             4) "2"
             5) "b"
             6) "3"
             7) "c"
             8) "3"
             9) "a"
            10) "6.5"
            ~ journal
            ZADD z NX 1 a 2 b
            ZADD z NX 9 a 3 c
            ZADD z XX 5 a 6 none
            ZADD z XX CH 6 a 6 none
            ZADD z GT CH 5 a 3 b
            ZADD z LT CH 5 a 4 b 1 d
            ZADD z LT INCR -1 a
            ZADD z xx gt incr 2.5 a
            ZADD z NX INCR 7 e
            ZADD z 1 e 2 e
            ~ events
            zadd z
            zadd z
            zadd z
            zadd z
            zadd z
            zadd z
            zincr z
            zincr z
            zincr z
            zadd z
        "#,
        );
    }
}

#[test]
fn what_is_checked_first() {
    check(
        r#"
        > SET s v
        OK
        > ZADD s NX XX 1 a 2
        (error) ERR syntax error
        > ZADD s NX XX
        (error) ERR syntax error
        > ZADD s NX XX x a
        (error) ERR XX and NX options at the same time are not compatible
        > ZADD s NX GT x a
        (error) ERR GT, LT, and/or NX options at the same time are not compatible
        > ZADD s NX LT x a
        (error) ERR GT, LT, and/or NX options at the same time are not compatible
        > ZADD s GT LT x a
        (error) ERR GT, LT, and/or NX options at the same time are not compatible
        > ZADD s INCR 1 a x b
        (error) ERR INCR option supports a single increment-element pair
        > ZADD s 1 a x b
        (error) ERR value is not a valid float
        > ZADD s nan a
        (error) ERR value is not a valid float
        > ZADD s XX 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZADD s 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZINCRBY s x a
        (error) ERR value is not a valid float
        > ZINCRBY s 1 a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZREM s a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZCARD s
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZSCORE s a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZMSCORE s a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZSCAN s x
        (error) ERR invalid cursor
        > ZSCAN s 0 NONSENSE
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZSCAN none 0 NONSENSE
        1) "0"
        2) (empty array)
    "#,
    );
}

#[test]
fn infinity_minus_infinity_is_refused() {
    check(
        r#"
        > ZADD z inf a -INF b +Infinity c
        (integer) 3
        > ZADD z INCR -inf a
        (error) ERR resulting score is not a number (NaN)
        > ZINCRBY z +inf b
        (error) ERR resulting score is not a number (NaN)
        > ZINCRBY z inf c
        "inf"
        > ZMSCORE z a b c
        1) "inf"
        2) "-inf"
        3) "inf"
        > ZINCRBY new -inf a
        "-inf"
        # resp3
        > ZSCORE z b
        (double) -inf
        > ZINCRBY z 1e3 d
        (double) 1000
        > ZSCORE none a
        (nil)
        > ZMSCORE none a
        1) (nil)
    "#,
    );
}

#[test]
fn removing_the_last_member_removes_the_key() {
    for zset_max_listpack_entries in [0, 128] {
        check_with(
            Options { zset_max_listpack_entries, ..options() },
            r#"
            > ZADD z 1 a 2 b 3 c
            (integer) 3
            > ZREM z none
            (integer) 0
            > ZREM z b b none
            (integer) 1
            > ZREM z a c a
            (integer) 2
            > ZREM z a
            (integer) 0
            > ZCARD z
            (integer) 0
            ~ journal
            ZADD z 1 a 2 b 3 c
            ZREM z b b none
            ZREM z a c a
            ~ events
            zadd z
            zrem z
            zrem z
            del z
        "#,
        );
    }
}

#[test]
fn a_scan_shows_scores_as_redis_does() {
    check(
        r#"
        > ZADD z 0.1 a 1e20 b -0 c
        (integer) 3
        > ZSCAN z 0
        1) "0"
        2) 1) "c"
           2) "0"
           3) "a"
           4) "0.1"
           5) "b"
           6) "1e+20"
        # resp3
        > ZSCAN z 0 MATCH a COUNT 1
        1) "0"
        2) 1) "a"
           2) "0.1"
    "#,
    );
    check_with(
        Options { zset_max_listpack_entries: 1, ..options() },
        r#"
        > ZADD z 0.1 a 1e20 b -0 c
        (integer) 3
        > ZSCAN z 0
        1) "0"
        2) 1) "a"
           2) "0.10000000000000001"
           3) "b"
           4) "1e+20"
           5) "c"
           6) "-0"
        > ZSCAN z 0 COUNT 2
        1) "1"
        2) 1) "b"
           2) "1e+20"
           3) "c"
           4) "-0"
    "#,
    );
}

#[test]
fn seventeen_digits_are_those_of_c() {
    for (score, text) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (3.5, "3.5"),
        (0.1, "0.10000000000000001"),
        (1.5e-7, "1.4999999999999999e-07"),
        (0.0001, "0.0001"),
        (0.00001, "1.0000000000000001e-05"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (1e17, "1e+17"),
        (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
        (-1e300, "-1.0000000000000001e+300"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        assert_eq!(seventeen_digits(score), text);
    }
}
