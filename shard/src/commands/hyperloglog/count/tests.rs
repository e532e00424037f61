//! Tests of PFADD, PFCOUNT and PFMERGE.

use super::*;
use crate::testing::{check, check_with, options};
use protocol::reply::Resp;
use protocol::request::ArgvBuf;

#[test]
fn adding_says_whether_a_register_changed() {
    check(
        r#"
        > PFADD k
        (integer) 1
        > PFADD k
        (integer) 0
        > GET k
        "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff"
        > PFADD k a b c
        (integer) 1
        > PFADD k a b c
        (integer) 0
        > PFADD k d a
        (integer) 1
        > PFCOUNT k
        (integer) 4
        ~ journal
        PFADD k
        PFADD k a b c
        PFADD k d a
        PFCOUNT k
        ~ events
        pfadd k
        pfadd k
        pfadd k
    "#,
    );
}

#[test]
fn counting_notes_the_estimate_in_the_string_once() {
    check(
        r#"
        > PFCOUNT k
        (integer) 0
        > PFADD k a
        (integer) 1
        > PFCOUNT k k
        (integer) 1
        > GET k
        "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80q\xa6\x84NW"
        > PFCOUNT k
        (integer) 1
        > PFCOUNT k
        (integer) 1
        > GETRANGE k 8 15
        "\x01\x00\x00\x00\x00\x00\x00\x00"
        > EXPIRE k 10
        (integer) 1
        > PFADD k b
        (integer) 1
        > TTL k
        (integer) 10
        ~ journal
        PFADD k a
        PFCOUNT k
        PEXPIREAT k 1700000010000
        PFADD k b
    "#,
    );
}

#[test]
fn merging_writes_the_union_and_keeps_the_expiry() {
    check(
        r#"
        > PFADD a x y
        (integer) 1
        > PFADD b y z
        (integer) 1
        > PFMERGE t a b none
        OK
        > PFCOUNT t
        (integer) 3
        > PFCOUNT a b none
        (integer) 3
        > EXPIRE t 10
        (integer) 1
        > PFADD c w
        (integer) 1
        > PFMERGE t c
        OK
        > PFCOUNT t
        (integer) 4
        > TTL t
        (integer) 10
        > PFMERGE new
        OK
        > PFDEBUG ENCODING new
        sparse
        > PFDEBUG TODENSE a
        (integer) 1
        > PFMERGE new a
        OK
        > PFDEBUG ENCODING new
        dense
        ~ events
        pfadd a
        pfadd b
        pfadd t
        expire t
        pfadd c
        pfadd t
        pfadd new
        pfadd new
    "#,
    );
}

#[test]
fn what_is_no_hyperloglog_is_refused() {
    check(
        r#"
        > MSET s text n 12 e "" short HYLL\x01
        OK
        > HSET h f v
        (integer) 1
        > PFADD h a
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > PFADD s a
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFADD n
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFADD e
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFCOUNT short
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > PFCOUNT none h
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > PFMERGE t none s
        (error) WRONGTYPE Key is not a valid HyperLogLog string value.
        > EXISTS t
        (integer) 0
        > OBJECT ENCODING s
        "embstr"
        > OBJECT ENCODING n
        "int"
    "#,
    );
}

#[test]
fn corruption_is_found_and_what_was_done_before_is_journaled() {
    check(
        r#"
        > PFADD k a
        (integer) 1
        > APPEND k hello
        (integer) 26
        > PFCOUNT k
        (error) INVALIDOBJ Corrupted HLL object detected
        > PFCOUNT k none
        (error) INVALIDOBJ Corrupted HLL object detected
        > PFMERGE t k
        (error) INVALIDOBJ Corrupted HLL object detected
        > EXISTS t
        (integer) 0
        > SET half "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x70\x00"
        OK
        > PFADD half c a
        (error) INVALIDOBJ Corrupted HLL object detected
        ~ journal
        PFADD k a
        APPEND k hello
        SET half "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80p\x00"
        SET half "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80`\xf3\x80O\x0b" KEEPTTL
    "#,
    );
}

#[test]
fn a_long_sparse_string_becomes_dense() {
    let script = r#"
        > PFADD k a
        (integer) 1
        > PFDEBUG ENCODING k
        sparse
        > PFADD k b
        (integer) 1
        > PFDEBUG ENCODING k
        dense
        > PFCOUNT k
        (integer) 2
        > STRLEN k
        (integer) 12304
    "#;
    check_with(Options { hll_sparse_max_bytes: 21, ..options() }, script);
}

#[test]
fn pieces_of_several_shards_give_the_same_replies() {
    let string = |elements: &[&[u8]]| {
        let mut bytes = hll::empty();
        for element in elements {
            hll::add(&mut bytes, element, 3000).unwrap();
        }
        bytes
    };
    let piece = |elements: &[&[u8]]| Piece::Entry(Box::new(bytes::raw(string(elements))));
    let argv: ArgvBuf = ["PF", "t", "a", "b"].map(str::as_bytes).into_iter().collect();
    let run = |plan: crate::commands::PlanFn, pieces| {
        let mut out = Vec::new();
        let mut reply = Writer::new(&mut out, Resp::V2);
        let args = Args::new(argv.as_argv());
        let writes = plan(&options(), Now::default(), 1, args, pieces, &mut reply).unwrap();
        (writes, out)
    };
    let pieces = || vec![Piece::Missing, piece(&[b"x", b"y"]), piece(&[b"y", b"z"])];
    assert_eq!(run(pfcount_plan, pieces()), (vec![], b":3\r\n".to_vec()));
    let (writes, reply) = run(pfmerge_plan, pieces());
    assert_eq!(reply, b"+OK\r\n");
    let mut merged = string(&[b"x", b"y", b"z"]);
    hll::invalidate(&mut merged);
    let [KeyWrite { key_index: 1, db: 1, entry: Some(entry), event: Event::PFADD }] = &writes[..]
    else {
        panic!("{writes:?}")
    };
    assert_eq!(**entry, bytes::raw(merged));
    let target = Piece::Entry(Box::new(bytes::raw(string(&[b"w"])).with_expiry(Some(5))));
    let (writes, _) = run(pfmerge_plan, vec![target, piece(&[b"x"]), Piece::Missing]);
    assert_eq!(writes[0].entry.as_ref().unwrap().expire_at_ms(), Some(5));
}

#[test]
fn of_several_mistakes_the_one_of_the_first_key_counts() {
    let argv: ArgvBuf = ["PFMERGE", "t", "a"].map(str::as_bytes).into_iter().collect();
    let run = |pieces| {
        let mut out = Vec::new();
        let mut reply = Writer::new(&mut out, Resp::V2);
        let args = Args::new(argv.as_argv());
        pfmerge_plan(&options(), Now::default(), 0, args, pieces, &mut reply).unwrap_err()
    };
    let foreign = || Piece::Entry(Box::new(bytes::raw(b"text".to_vec())));
    assert_eq!(run(vec![Piece::Present, foreign()]), CommandError::WrongType);
    assert_eq!(run(vec![foreign(), Piece::Present]), NotValid::Foreign.into());
}
