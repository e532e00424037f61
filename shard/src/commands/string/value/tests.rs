//! Edge cases of SET and its kin: options, expiries, encodings, what goes to the journal and to observers.

use crate::call::{Call, ClientFacts, Now, Outcome};
use crate::options::Options;
use crate::shard::Shard;
use crate::testing::check;
use protocol::reply::Resp;
use protocol::request::ArgvBuf;

#[test]
fn set_knows_its_conditions() {
    check(
        r#"
        > SET k v XX
        (nil)
        > EXISTS k
        (integer) 0
        > SET k v NX
        OK
        > SET k w nx
        (nil)
        > SET k w xx xx
        OK
        > GET k
        "w"
        > SET k v NX XX
        (error) ERR syntax error
        > SET k v XX NX
        (error) ERR syntax error
        ~ journal
        SET k v NX
        SET k w xx xx
        ~ events
        set k
        set k
        # resp3
        > SET k v NX
        (nil)
        > GET none
        (nil)
    "#,
    );
}

#[test]
fn set_with_get_returns_what_was_there() {
    check(
        r#"
        > SET k 1 GET
        (nil)
        > SET k 2 get GET
        "1"
        > SET k 3 NX GET
        "2"
        > GET k
        "2"
        > SET none 1 XX GET
        (nil)
        > EXISTS none
        (integer) 0
        > SET k 4 XX GET KEEPTTL
        "2"
        ~ journal
        SET k 1
        SET k 2
        SET k 4 XX KEEPTTL
        > HSET h f v
        (integer) 1
        > SET h 1 GET
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > TYPE h
        hash
        > SET h 1
        OK
        > TYPE h
        string
    "#,
    );
}

#[test]
fn set_takes_an_expiry_in_four_forms() {
    check(
        r#"
        > SET a v EX 10
        OK
        > SET b v px 1500
        OK
        > SET c v EXAT 1700000020
        OK
        > SET d v PXAT 1700000030000 NX
        OK
        > PTTL a
        (integer) 10000
        > PTTL b
        (integer) 1500
        > PTTL c
        (integer) 20000
        > PTTL d
        (integer) 30000
        ~ journal
        SET a v PXAT 1700000010000
        SET b v PXAT 1700000001500
        SET c v PXAT 1700000020000
        SET d v PXAT 1700000030000 NX
        ~ events
        set a
        expire a
        set b
        expire b
        set c
        expire c
        set d
        expire d
        > SET a v EX 10 EX 20
        OK
        > PTTL a
        (integer) 20000
        ~ advance 1499ms
        > GET b
        "v"
        ~ advance 2ms
        > GET b
        (nil)
    "#,
    );
}

#[test]
fn set_drops_the_expiry_unless_told_to_keep_it() {
    check(
        r#"
        > SET k 1 EX 10
        OK
        > SET k 2 KEEPTTL
        OK
        > TTL k
        (integer) 10
        > SET k 3
        OK
        > TTL k
        (integer) -1
        > SET none 1 KEEPTTL
        OK
        > TTL none
        (integer) -1
        > SET k 4 EX 10
        OK
        > HSET h f v
        (integer) 1
        > EXPIRE h 50
        (integer) 1
        > SET h 1 KEEPTTL
        OK
        > TTL h
        (integer) 50
    "#,
    );
}

#[test]
fn expiry_options_exclude_each_other() {
    let pairs = ["EX 10", "PX 10", "EXAT 1700000020", "PXAT 1700000020000", "KEEPTTL"];
    for a in pairs {
        for b in pairs.iter().filter(|b| **b != a) {
            check(&format!("> SET k v {a} {b}\n(error) ERR syntax error"));
        }
        check(&format!("> SET k v {a} {a}\nOK"));
    }
    for option in ["EX", "PX", "EXAT", "PXAT", "PERSIST", "FOO", "EX 10 FOO", "NXX", "\"\""] {
        check(&format!("> SET k v {option}\n(error) ERR syntax error"));
    }
    for option in ["KEEPTTL", "NX", "GET", "EX", "EX 10 PERSIST", "PX 10 EX 10"] {
        check(&format!("> GETEX k {option}\n(error) ERR syntax error"));
    }
}

#[test]
fn an_expiry_must_be_a_positive_integer_that_does_not_overflow() {
    for (option, amounts) in [
        ("EX", ["0", "-1", "9223372036854775807", "9223372036854775"]),
        ("PX", ["0", "-1", "9223372036854775807", "-9223372036854775808"]),
        ("EXAT", ["0", "-1", "9223372036854775807", "9223372036854776"]),
        ("PXAT", ["0", "-1", "-5", "-9223372036854775808"]),
    ] {
        for amount in amounts {
            check(&format!(
                "> SET k v\nOK\n\
                 > SET k w {option} {amount}\n(error) ERR invalid expire time in 'set' command\n\
                 > GETEX k {option} {amount}\n(error) ERR invalid expire time in 'getex' command\n\
                 > GET k\n\"v\"\n> TTL k\n(integer) -1"
            ));
        }
    }
    for option in ["EX x", "PX 1.5", "EXAT 9223372036854775808", "PXAT \"\""] {
        let error = "(error) ERR value is not an integer or out of range";
        check(&format!("> SET k v {option}\n{error}\n> SET k v\nOK\n> GETEX k {option}\n{error}"));
    }
    check(
        r#"
        > SETEX k 0 v
        (error) ERR invalid expire time in 'setex' command
        > SETEX k 9223372036854775807 v
        (error) ERR invalid expire time in 'setex' command
        > SETEX k x v
        (error) ERR value is not an integer or out of range
        > PSETEX k -1 v
        (error) ERR invalid expire time in 'psetex' command
        > PSETEX k 9223372036854775807 v
        (error) ERR invalid expire time in 'psetex' command
        > SET k v PXAT 9223372036854775807
        OK
        > EXISTS k
        (integer) 1
    "#,
    );
}

#[test]
fn an_expiry_in_the_past_is_stored_by_set_and_removes_by_getex() {
    check(
        r#"
        > SET k v PXAT 1
        OK
        > GET k
        (nil)
        ~ journal
        SET k v PXAT 1
        DEL k
        ~ events
        set k
        expire k
        expired k
        > SET k v
        OK
        > GETEX k EXAT 1700000000
        "v"
        > EXISTS k
        (integer) 0
        ~ journal
        SET k v
        DEL k
        ~ events
        set k
        del k
    "#,
    );
}

#[test]
fn getex_changes_the_expiry_only_when_asked() {
    check(
        r#"
        > SET k v EX 100
        OK
        ~ journal
        SET k v PXAT 1700000100000
        ~ events
        set k
        expire k
        > GETEX k
        "v"
        > TTL k
        (integer) 100
        > GETEX k EX 200
        "v"
        > PTTL k
        (integer) 200000
        > GETEX k PXAT 1700000000001
        "v"
        > PTTL k
        (integer) 1
        > GETEX k PERSIST
        "v"
        > GETEX k PERSIST
        "v"
        > TTL k
        (integer) -1
        ~ journal
        PEXPIREAT k 1700000200000
        PEXPIREAT k 1700000000001
        PERSIST k
        ~ events
        expire k
        expire k
        persist k
    "#,
    );
}

#[test]
fn getex_looks_at_the_key_before_the_amount() {
    check(
        r#"
        > GETEX none EX 0
        (nil)
        > GETEX none EX x
        (nil)
        > GETEX none FOO
        (error) ERR syntax error
        > HSET h f v
        (integer) 1
        > GETEX h EX x
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
    "#,
    );
}

#[test]
fn getdel_and_getset_are_journaled_as_del_and_set() {
    check(
        r#"
        > SETEX k 10 1
        OK
        > GETSET k 2
        "1"
        > TTL k
        (integer) -1
        > GETDEL k
        "2"
        > GETDEL k
        (nil)
        > GETSET k 3
        (nil)
        > PSETEX k 10 4
        OK
        ~ journal
        SET k 1 PXAT 1700000010000
        SET k 2
        DEL k
        SET k 3
        SET k 4 PXAT 1700000000010
        ~ events
        set k
        expire k
        set k
        del k
        set k
        set k
        expire k
        > HSET h f v
        (integer) 1
        > GETDEL h
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GETSET h v
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > GET h
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SETNX h v
        (integer) 0
        > TYPE h
        hash
    "#,
    );
}

#[test]
fn setnx_is_journaled_as_it_came() {
    check(
        r#"
        > SETNX k 1
        (integer) 1
        > SETNX k 2
        (integer) 0
        ~ journal
        SETNX k 1
        ~ events
        set k
    "#,
    );
}

#[test]
fn an_expired_key_is_reported_before_it_is_written_anew() {
    check(
        r#"
        > SET k 1 PX 5
        OK
        ~ journal
        SET k 1 PXAT 1700000000005
        ~ events
        set k
        expire k
        ~ advance 6ms
        > SET k 2 KEEPTTL GET
        (nil)
        > TTL k
        (integer) -1
        ~ journal
        DEL k
        SET k 2 KEEPTTL
        ~ events
        expired k
        set k
    "#,
    );
}

#[test]
fn stored_strings_have_redis_encodings() {
    let long = "a".repeat(44);
    check(&format!(
        r#"
        > SET k 123
        OK
        > OBJECT ENCODING k
        "int"
        > SET k 0123
        OK
        > OBJECT ENCODING k
        "embstr"
        > SET k {long}
        OK
        > OBJECT ENCODING k
        "embstr"
        > SET k {long}a
        OK
        > OBJECT ENCODING k
        "raw"
        > GETSET k ""
        "{long}a"
        > OBJECT ENCODING k
        "embstr"
        > GET k
        ""
    "#
    ));
}

#[test]
fn nothing_is_journaled_when_nobody_wants_it() {
    let mut shard = Shard::new(Options::default(), 1, 1);
    let mut reply = Vec::new();
    for line in ["SET k v EX 10", "GETEX k PERSIST", "GETSET k w", "GETDEL k"] {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        let argv = argv.as_argv();
        let command = crate::commands::find(argv.get(0).unwrap()).unwrap();
        let call = Call { command, argv, db: 0, resp: Resp::V2, client: ClientFacts::default() };
        assert_eq!(shard.execute(Now::default(), &call, &mut reply), Outcome::Replied);
    }
    assert_eq!(reply, b"+OK\r\n$1\r\nv\r\n$1\r\nv\r\n$1\r\nw\r\n");
    assert_eq!(shard.effects_mut().journal.as_bytes(), b"");
    assert_eq!(shard.effects_mut().change_count, 4);
}
