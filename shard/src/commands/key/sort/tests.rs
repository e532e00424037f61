//! SORT: order, patterns, ranges and what it stores.

use super::*;
use crate::testing::{check, options};
use crate::value::Value;
use protocol::reply::Resp;

#[test]
fn numbers_are_sorted_as_numbers_and_texts_as_texts() {
    check(
        r#"
        > RPUSH l 10 9.5 -inf 1e2 " 3"
        (integer) 5
        > SORT l
        1) "-inf"
        2) " 3"
        3) "9.5"
        4) "10"
        5) "1e2"
        > SORT l ALPHA
        1) " 3"
        2) "-inf"
        3) "10"
        4) "1e2"
        5) "9.5"
        > RPUSH words b "" a
        (integer) 3
        > SORT words
        (error) ERR One or more scores can't be converted into double
        > SORT words ALPHA DESC
        1) "b"
        2) "a"
        3) ""
        > RPUSH huge 1e999
        (integer) 1
        > SORT huge
        (error) ERR One or more scores can't be converted into double
        > RPUSH nan nan
        (integer) 1
        > SORT nan
        (error) ERR One or more scores can't be converted into double
    "#,
    );
}

#[test]
fn equal_numbers_are_ordered_by_their_text() {
    check(
        r#"
        > RPUSH l 1.0 1 01
        (integer) 3
        > SORT l
        1) "01"
        2) "1"
        3) "1.0"
        > SORT l DESC
        1) "1.0"
        2) "1"
        3) "01"
    "#,
    );
}

#[test]
fn options_are_read_in_redis_order() {
    check(
        r#"
        > SET k v
        OK
        > SORT k NONSENSE
        (error) ERR syntax error
        > SORT k LIMIT 1
        (error) ERR syntax error
        > SORT k LIMIT 1 x
        (error) ERR value is not an integer or out of range
        > SORT k BY
        (error) ERR syntax error
        > SORT k GET
        (error) ERR syntax error
        > SORT k STORE
        (error) ERR syntax error
        > SORT_RO k STORE t
        (error) ERR syntax error
        > SORT k
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SORT_RO k
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > SORT none
        (empty array)
    "#,
    );
}

#[test]
fn a_limit_cuts_what_is_sorted() {
    check(
        r#"
        > RPUSH l 3 1 2
        (integer) 3
        > SORT l LIMIT 1 1
        1) "2"
        > SORT l LIMIT -5 2
        1) "1"
        2) "2"
        > SORT l LIMIT 1 -1
        1) "2"
        2) "3"
        > SORT l LIMIT 3 1
        (empty array)
        > SORT l LIMIT 0 0
        (empty array)
        > SORT l LIMIT 1 9223372036854775807
        1) "2"
        2) "3"
    "#,
    );
}

#[test]
fn without_sorting_the_order_of_the_key_stays() {
    check(
        r#"
        > RPUSH l c a b
        (integer) 3
        > SORT l BY nosort LIMIT 0 2
        1) "c"
        2) "a"
        > SORT l BY nosort DESC LIMIT 0 2
        1) "b"
        2) "a"
        > ZADD z 1 x 2 a 3 m
        (integer) 3
        > SORT z BY nosort DESC
        1) "m"
        2) "a"
        3) "x"
        > SORT z BY nosort BY w_* GET #
        1) "x"
        2) "a"
        3) "m"
        > SADD s c a b
        (integer) 3
        > SORT s BY nosort STORE t
        (integer) 3
        > LRANGE t 0 -1
        1) "a"
        2) "b"
        3) "c"
    "#,
    );
}

#[test]
fn weights_and_values_come_from_other_keys() {
    check(
        r#"
        > RPUSH l 1 2 3
        (integer) 3
        > MSET w1 30 w2 10 v1 one v2 two
        OK
        > HSET h3 f x
        (integer) 1
        > SORT l BY w*
        1) "3"
        2) "2"
        3) "1"
        > SORT l BY w* ALPHA GET v* GET # GET none GET h*->f GET h*
         1) (nil)
         2) "3"
         3) (nil)
         4) "x"
         5) (nil)
         6) "two"
         7) "2"
         8) (nil)
         9) (nil)
        10) (nil)
        11) "one"
        12) "1"
        13) (nil)
        14) (nil)
        15) (nil)
        > SORT l BY h*->f
        (error) ERR One or more scores can't be converted into double
        # resp3
        > SORT_RO l BY w* GET v* LIMIT 0 1
        1) (nil)
    "#,
    );
}

#[test]
fn what_is_stored_replaces_what_was_there() {
    check(
        r#"
        > RPUSH l 2 1
        (integer) 2
        > SET t old
        OK
        > SET v1 one
        OK
        ~ events
        rpush l
        set t
        set v1
        ~ journal
        RPUSH l 2 1
        SET t old
        SET v1 one
        > SORT l GET v* GET # STORE t
        (integer) 4
        > LRANGE t 0 -1
        1) "one"
        2) "1"
        3) ""
        4) "2"
        > SORT l STORE new
        (integer) 2
        > SORT l STORE l
        (integer) 2
        > SORT none STORE new
        (integer) 0
        > SORT none STORE new
        (integer) 0
        > EXISTS new
        (integer) 0
        ~ events
        sortstore t
        sortstore new
        sortstore l
        del new
        ~ journal
        DEL t
        RPUSH t one 1 "" 2
        RPUSH new 1 2
        DEL l
        RPUSH l 1 2
        DEL new
    "#,
    );
}

#[test]
fn patterns_name_keys_and_fields() {
    let reference = |pattern: &str| {
        let reference = Reference::new(pattern.as_bytes(), b"E")?;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some((text(reference.key), reference.field.map(text)))
    };
    for (pattern, key, field) in [
        ("a*b", "aEb", None),
        ("*", "E", None),
        ("a*b*", "aEb*", None),
        ("a*b->f", "aEb", Some("f")),
        ("a*->f->g", "aE", Some("f->g")),
        ("a*->", "aE->", None),
        ("x->y*", "x->yE", None),
    ] {
        let expected = (key.to_owned(), field.map(str::to_owned));
        assert_eq!(reference(pattern), Some(expected), "{pattern}");
    }
    assert_eq!(reference("#"), None);
}

/// What the last step makes of a list and of the values of other keys, on other shards.
fn over_shards(line: &str, elements: &[&str], value_of: impl Fn(&str) -> &'static str) -> String {
    let argv = line.split(' ').map(str::as_bytes).collect::<ArgvBuf>();
    let args = Args::new(argv.as_argv());
    let values = elements.iter().map(|element| Some(element.as_bytes().to_vec()));
    let list = stored(&values.collect::<Vec<_>>(), &options()).unwrap();
    let pieces = vec![Piece::Entry(Box::new(list)), Piece::Missing];
    let commands = next(args, &pieces).unwrap();
    let replies = commands.iter().map(|command| {
        let words = command.as_argv().iter().map(|word| std::str::from_utf8(word).unwrap());
        value_of(&words.collect::<Vec<_>>().join(" ")).as_bytes().to_vec()
    });
    let gathered = Gathered { replies: replies.collect(), pieces };
    let mut out = Vec::new();
    let mut reply = Writer::new(&mut out, Resp::V2);
    let writes = finish(&options(), 0, args, gathered, &mut reply).unwrap();
    let stored = writes.into_iter().map(|write| match write.entry.map(|entry| entry.value) {
        Some(Value::List(list)) => format!("{} {}", write.key_index, list.len()),
        other => panic!("{other:?}"),
    });
    format!("{}{}", String::from_utf8(out).unwrap(), stored.collect::<String>())
}

#[test]
fn steps_over_shards_give_the_same_reply() {
    let value_of = |command: &str| match command {
        "GET w1" => "$1\r\n2\r\n",
        "GET w2" => "$1\r\n1\r\n",
        "HGET h1 f" => "$3\r\none\r\n",
        "HGET h2 f" => "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        _ => panic!("{command}"),
    };
    let reply = over_shards("SORT l BY w* GET h*->f GET #", &["1", "2"], value_of);
    assert_eq!(reply, "*4\r\n$-1\r\n$1\r\n2\r\n$3\r\none\r\n$1\r\n1\r\n");
    let reply = over_shards("SORT l BY w* STORE t", &["1", "2"], value_of);
    assert_eq!(reply, ":2\r\n5 2");
    let reply = over_shards("SORT l LIMIT 0 1 GET w*", &["2", "1"], value_of);
    assert_eq!(reply, "*1\r\n$1\r\n2\r\n");
}

#[test]
fn a_request_tells_which_keys_it_may_need() {
    for (line, expected) in [
        ("SORT k", Reach::Row),
        ("SORT k GET #", Reach::Row),
        ("SORT k BY nosort", Reach::Row),
        ("SORT k STORE t", Reach::And(3)),
        ("SORT k STORE a STORE t", Reach::And(5)),
        ("SORT k GET a*", Reach::Anywhere(None)),
        ("SORT k STORE t BY a*", Reach::Anywhere(Some(3))),
        ("SORT_RO k STORE t", Reach::Row),
        ("SORT k NONSENSE", Reach::Row),
    ] {
        let argv = line.split(' ').map(str::as_bytes).collect::<ArgvBuf>();
        assert_eq!(reach(Args::new(argv.as_argv())), expected, "{line}");
    }
}
