//! Union, intersection and difference of sorted sets, compared with replies of Redis.

use crate::options::Options;
use crate::testing::{check, check_with, options};

#[test]
fn weights_and_aggregates_make_the_scores() {
    for zset_max_listpack_entries in [0, 128] {
        check_with(
            Options { zset_max_listpack_entries, ..options() },
            r#"
            > ZADD a 1 x 2 y 3 z
            (integer) 3
            > ZADD b 10 y 20 z 30 w
            (integer) 3
            > ZUNION 2 a b
            1) "x"
            2) "y"
            3) "z"
            4) "w"
            > ZUNION 2 a b WEIGHTS 2 3 withscores
            1) "x"
            2) "2"
            3) "y"
            4) "34"
            5) "z"
            6) "66"
            7) "w"
            8) "90"
            > ZINTER 2 a b AGGREGATE max WITHSCORES
            1) "y"
            2) "10"
            3) "z"
            4) "20"
            > ZINTER 2 a b WITHSCORES AGGREGATE MIN WEIGHTS -1 1
            1) "z"
            2) "-3"
            3) "y"
            4) "-2"
            > ZINTER 3 a none b
            (empty array)
            > ZUNION 2 a a WEIGHTS 1 -0.5 WITHSCORES
            1) "x"
            2) "0.5"
            3) "y"
            4) "1"
            5) "z"
            6) "1.5"
            > ZDIFF 3 a none b WITHSCORES
            1) "x"
            2) "1"
            > ZDIFF 2 none a
            (empty array)
            > ZDIFF 2 a a
            (empty array)
            > ZINTERCARD 2 a b
            (integer) 2
            > ZINTERCARD 2 a b LIMIT 1
            (integer) 1
            > ZINTERCARD 2 a b LIMIT 0
            (integer) 2
            # resp3
            > ZDIFF 2 a b WITHSCORES
            1) 1) "x"
               2) (double) 1
        "#,
        );
    }
}

#[test]
fn what_is_no_number_is_zero() {
    check(
        r#"
        > ZADD a inf x -inf y
        (integer) 2
        > ZADD b -inf x
        (integer) 1
        > ZUNION 2 a b WITHSCORES
        1) "y"
        2) "-inf"
        3) "x"
        4) "0"
        > ZUNION 1 a WEIGHTS 0 WITHSCORES
        1) "x"
        2) "0"
        3) "y"
        4) "0"
        > ZINTER 2 a b WEIGHTS 1 inf WITHSCORES
        1) "x"
        2) "0"
        > ZUNION 2 a b AGGREGATE MAX WITHSCORES
        1) "y"
        2) "-inf"
        3) "x"
        4) "inf"
    "#,
    );
}

#[test]
fn what_is_checked_first() {
    check(
        r#"
        > SET s v
        OK
        > ZUNION x s
        (error) ERR value is not an integer or out of range
        > zunion 0 s
        (error) ERR at least 1 input key is needed for 'zunion' command
        > ZINTERCARD -1 s
        (error) ERR at least 1 input key is needed for 'zintercard' command
        > ZUNION 2 s
        (error) ERR syntax error
        > ZUNION 9223372036854775807 s
        (error) ERR syntax error
        > ZUNION 1 s WEIGHTS x
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > ZUNION 1 a WEIGHTS x
        (error) ERR weight value is not a float
        > ZUNION 2 a b WEIGHTS 1
        (error) ERR syntax error
        > ZUNION 1 a WEIGHTS nan
        (error) ERR weight value is not a float
        > ZUNION 1 a AGGREGATE
        (error) ERR syntax error
        > ZUNION 1 a AGGREGATE mean
        (error) ERR syntax error
        > ZDIFF 1 a WEIGHTS 1
        (error) ERR syntax error
        > ZINTERCARD 1 a WITHSCORES
        (error) ERR syntax error
        > ZINTERCARD 1 a LIMIT -1
        (error) ERR LIMIT can't be negative
        > ZINTERCARD 1 a LIMIT
        (error) ERR syntax error
        > ZINTER 1 a LIMIT 1
        (error) ERR syntax error
    "#,
    );
}
