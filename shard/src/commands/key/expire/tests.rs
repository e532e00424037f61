//! Expiry commands: conditions, errors, rounding, what the journal gets.

use crate::testing::check;

#[test]
fn the_journal_gets_points_in_time() {
    check(
        r#"
        > SET k v
        OK
        > EXPIRE k 10
        (integer) 1
        > EXPIREAT k 1800000000 GT
        (integer) 1
        > PERSIST k
        (integer) 1
        > EXPIRE k -1
        (integer) 1
        ~ journal
        SET k v
        PEXPIREAT k 1700000010000
        PEXPIREAT k 1800000000000
        PERSIST k
        DEL k
        ~ events
        set k
        expire k
        expire k
        persist k
        del k
    "#,
    );
}

#[test]
fn conditions_compare_with_the_expiry_there_is() {
    check(
        r#"
        > SET k v
        OK
        > EXPIRE k 10 XX
        (integer) 0
        > EXPIRE k 10 GT
        (integer) 0
        > EXPIRE k 10 LT
        (integer) 1
        > EXPIRE k 20 NX
        (integer) 0
        > EXPIRE k 10 gt
        (integer) 0
        > EXPIRE k 20 GT XX
        (integer) 1
        > EXPIRE k 20 LT
        (integer) 0
        > TTL k
        (integer) 20
    "#,
    );
}

#[test]
fn options_are_wrong_before_numbers_and_numbers_before_keys() {
    check(
        r#"
        > EXPIRE none x NX XX
        (error) ERR NX and XX, GT or LT options at the same time are not compatible
        > EXPIRE none x GT LT
        (error) ERR GT and LT options at the same time are not compatible
        > EXPIRE none x what
        (error) ERR Unsupported option what
        > EXPIRE none x
        (error) ERR value is not an integer or out of range
        > EXPIRE none 9223372036854776
        (error) ERR invalid expire time in 'expire' command
        > EXPIRE none -9223372036854776
        (error) ERR invalid expire time in 'expire' command
        > PEXPIRE none 9223372036854775807
        (error) ERR invalid expire time in 'pexpire' command
        > EXPIREAT none 9223372036854776
        (error) ERR invalid expire time in 'expireat' command
        > PEXPIREAT none 9223372036854775807
        (integer) 0
    "#,
    );
}

#[test]
fn time_left_is_rounded_to_seconds_and_ends_behind_the_millisecond() {
    check(
        r#"
        > SET k v
        OK
        > PEXPIRE k 1500
        (integer) 1
        > TTL k
        (integer) 2
        ~ advance 1ms
        > TTL k
        (integer) 1
        > PTTL k
        (integer) 1499
        > PEXPIRETIME k
        (integer) 1700000001500
        > EXPIRETIME k
        (integer) 1700000002
        ~ advance 1498ms
        > PTTL k
        (integer) 1
        ~ advance 1ms
        > PTTL k
        (integer) 0
        ~ advance 1ms
        > PTTL k
        (integer) -2
    "#,
    );
}

#[test]
fn the_largest_expiry_is_kept_and_shown() {
    check(
        r#"
        > SET k v
        OK
        > PEXPIREAT k 9223372036854775807
        (integer) 1
        > PEXPIRETIME k
        (integer) 9223372036854775807
        > EXPIRETIME k
        (integer) 9223372036854776
        > TTL k
        (integer) 9223370336854776
    "#,
    );
}
