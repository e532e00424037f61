//! Requests as a client would send them, and every way to send them wrong.

use super::*;
use crate::limits::{BULK_LEN_UNAUTHENTICATED_MAX, INLINE_LEN_MAX, REQUEST_LEN_MAX};

fn parse(input: &[u8]) -> Result<(usize, Vec<Vec<u8>>), ProtocolError> {
    parse_within(input, &Limits::default())
}

/// Bytes taken and arguments of the request that `input` begins with.
fn parse_within(input: &[u8], limits: &Limits) -> Result<(usize, Vec<Vec<u8>>), ProtocolError> {
    let mut parser = Parser::new();
    let mut spans = Vec::new();
    let parsed = parser.next(input, limits, &mut spans)?;
    let args = |argv: Argv<'_>| argv.iter().map(<[u8]>::to_vec).collect();
    Ok(match parsed {
        Parsed::Request { len } => (len, args(Argv::new(input, &spans))),
        Parsed::Quoted { len, argv } => (len, args(argv.as_argv())),
        Parsed::Empty { len } => (len, Vec::new()),
        Parsed::Incomplete { wanted } => panic!("incomplete, {wanted} bytes wanted"),
    })
}

fn wanted(input: &[u8]) -> usize {
    let mut spans = Vec::new();
    match Parser::new().next(input, &Limits::default(), &mut spans) {
        Ok(Parsed::Incomplete { wanted }) => wanted,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[track_caller]
fn check(input: &[u8], args: &[&[u8]]) {
    let (len, found) = parse(input).expect("a good request");
    assert_eq!(found, args, "{}", input.escape_ascii());
    assert_eq!(len, input.len(), "{}", input.escape_ascii());
}

#[track_caller]
fn check_error(input: &[u8], text: impl AsRef<[u8]>) {
    let error = parse(input).expect_err("a bad request");
    let expected = [b"ERR Protocol error: ", text.as_ref()].concat();
    assert_eq!(error.text().escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_request_is_cut_into_its_arguments() {
    check(b"*1\r\n$4\r\nPING\r\n", &[b"PING"]);
    check(b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", &[b"ECHO", b""]);
    check(b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\0$\r\n", &[b"ECHO", b"\r\n\0$"]);
}

#[test]
fn lengths_of_every_width_are_read() {
    for len in [1, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 70_000] {
        let arg = vec![b'x'; len];
        let input = [format!("*1\r\n${len}\r\n").as_bytes(), &arg, b"\r\n"].concat();
        check(&input, &[&arg]);
    }
    for count in [9, 10, 11, 1000] {
        let input = [format!("*{count}\r\n").into_bytes(), b"$1\r\na\r\n".repeat(count)].concat();
        check(&input, &vec![&b"a"[..]; count]);
    }
}

#[test]
fn the_next_request_is_left_alone() {
    assert_eq!(parse(b"*1\r\n$4\r\nPING\r\n*1\r\n").map(|(len, _)| len), Ok(14));
    assert_eq!(parse(b"PING\r\nPING\r\n").map(|(len, _)| len), Ok(6));
}

#[test]
fn spans_of_earlier_requests_stay() {
    let before = Span { start: 7, len: 7 };
    for input in [&b"*1\r\n$4\r\nPING\r\n"[..], b"PING\r\n"] {
        let mut spans = vec![before];
        let parsed = Parser::new().next(input, &Limits::default(), &mut spans);
        assert!(matches!(parsed, Ok(Parsed::Request { .. })));
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0], before);
    }
    let mut spans = vec![before];
    let mut parser = Parser::new();
    let half = b"*2\r\n$4\r\nECHO\r\n$2\r\n";
    assert!(matches!(
        parser.next(half, &Limits::default(), &mut spans),
        Ok(Parsed::Incomplete { wanted: 4 })
    ));
    assert_eq!(spans, [before], "an unfinished request leaves no span behind");
    let whole = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
    assert_eq!(
        parser.next(whole, &Limits::default(), &mut spans),
        Ok(Parsed::Request { len: whole.len() })
    );
    assert_eq!(spans[1..].len(), 2);
    assert!(!parser.is_inside_request());
    assert_eq!(parser.heap_size(), 0, "an idle parser owns no heap");
}

#[test]
fn nothing_to_run_is_not_a_request() {
    for input in ["*0\r\n", "*-1\r\n", "*-9223372036854775808\r\n", "\r\n", "\n", "  \t\r\n"] {
        check(input.as_bytes(), &[]);
    }
}

#[test]
fn only_the_carriage_return_of_a_line_end_counts() {
    check(b"*2\rX$4\rXECHOXX$1\rXaXX", &[b"ECHO", b"a"]);
}

#[test]
fn a_wrong_argument_count_is_refused() {
    for line in
        ["*", "*x", "*1x", "*+1", "*01", "* 1", "*1.0", "*2147483648", "*99999999999999999999"]
    {
        check_error(format!("{line}\r\n").as_bytes(), "invalid multibulk length");
    }
}

#[test]
fn a_wrong_argument_length_is_refused() {
    for line in
        ["$", "$x", "$-1", "$-0", "$00", "$01", "$1x", "$536870913", "$18446744073709551617"]
    {
        let input = format!("*2\r\n$4\r\nECHO\r\n{line}\r\n");
        check_error(input.as_bytes(), "invalid bulk length");
    }
}

#[test]
fn an_argument_begins_with_a_dollar() {
    check_error(b"*1\r\nPING\r\n", "expected '$', got 'P'");
    check_error(b"*1\r\n\r\n", "expected '$', got '\r'");
    check_error(b"*1\r\n\xff\r\n", b"expected '$', got '\xff'");
}

#[test]
fn a_line_without_end_is_refused_at_64_kib() {
    let long = |first: &str, len: usize| [first.as_bytes(), &vec![b'1'; len]].concat();
    for (first, text) in [
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
        ("a", "too big inline request"),
    ] {
        assert!(wanted(&long(first, INLINE_LEN_MAX - 1)) >= 1);
        check_error(&long(first, INLINE_LEN_MAX), text);
        // A NUL byte hides the line end behind it.
        let hidden = [first.as_bytes(), b"\0\r\n"].concat();
        assert!(wanted(&hidden) >= 1);
        check_error(&[&hidden[..], &vec![b'1'; INLINE_LEN_MAX]].concat(), text);
    }
    let whole = [vec![b'a'; INLINE_LEN_MAX], b"\n".to_vec()].concat();
    check(&whole, &[&whole[..INLINE_LEN_MAX]]);
}

#[test]
fn limits_are_lower_before_authentication() {
    let limits = Limits { is_unauthenticated: true, ..Limits::default() };
    let check = |input: &str, expected: Option<ProtocolError>| {
        assert_eq!(parse_within(input.as_bytes(), &limits).err(), expected, "{input}");
    };
    check(&format!("*10\r\n{}", "$1\r\na\r\n".repeat(10)), None);
    check("*11\r\n", Some(ProtocolError::UnauthenticatedCount));
    let len = BULK_LEN_UNAUTHENTICATED_MAX;
    check(&format!("*1\r\n${len}\r\n{}\r\n", "a".repeat(len)), None);
    check(&format!("*1\r\n${}\r\n", len + 1), Some(ProtocolError::UnauthenticatedBulkLen));
    check("*1\r\n$536870913\r\n", Some(ProtocolError::InvalidBulkLen));
    check("*2147483648\r\n", Some(ProtocolError::InvalidCount));
}

#[test]
fn a_request_stays_below_4_gib_whatever_the_limit() {
    let limits = Limits { bulk_len_max: usize::MAX, is_unauthenticated: false };
    let mut spans = Vec::new();
    let head_len = "*1\r\n$4294967295\r\n".len();
    let fits = format!("*1\r\n${}\r\n", REQUEST_LEN_MAX - head_len - 2);
    let parsed = Parser::new().next(fits.as_bytes(), &limits, &mut spans);
    assert_eq!(parsed, Ok(Parsed::Incomplete { wanted: REQUEST_LEN_MAX - head_len }));
    for len in [REQUEST_LEN_MAX - head_len - 1, REQUEST_LEN_MAX, i64::MAX as usize] {
        let exceeds = format!("*1\r\n${len}\r\n");
        let parsed = Parser::new().next(exceeds.as_bytes(), &limits, &mut spans);
        assert_eq!(parsed, Err(ProtocolError::InvalidBulkLen));
    }
}

#[test]
fn a_huge_announcement_reserves_nothing() {
    let mut parser = Parser::new();
    let mut spans = Vec::new();
    let input = b"*2147483647\r\n$1\r\na\r\n$536870912\r\n";
    assert!(parser.next(input, &Limits::default(), &mut spans).is_ok());
    assert!(spans.capacity() <= 8);
    assert!(parser.heap_size() <= 64);
}

#[test]
fn wanted_is_what_is_certainly_missing() {
    assert_eq!(wanted(b""), 1);
    assert_eq!(wanted(b"PIN"), 1);
    assert_eq!(wanted(b"*"), 3);
    assert_eq!(wanted(b"*1"), 2);
    assert_eq!(wanted(b"*1\r"), 1);
    assert_eq!(wanted(b"*1\r\n"), 6);
    assert_eq!(wanted(b"*2\r\n$"), 5 + 6);
    assert_eq!(wanted(b"*1\r\n$4\r"), 1 + 2);
    assert_eq!(wanted(b"*1\r\n$4\r\n"), 6);
    assert_eq!(wanted(b"*1\r\n$4\r\nPING\r"), 1);
    assert_eq!(wanted(b"*2\r\n$4\r\nPING\r\n"), 6);
}

#[test]
fn a_line_is_cut_into_words() {
    check(b"SET k v\r\n", &[b"SET", b"k", b"v"]);
    check(b"SET k v\n", &[b"SET", b"k", b"v"]);
    check(b"  SET\t k\x0b \x0c\rv \r\n", &[b"SET", b"k\x0b", b"v"]);
    check(b"a\rb\n", &[b"a", b"b"]);
    check(b"a\\n\xff\n", &[b"a\\n\xff"]);
}

#[test]
fn quotes_are_taken_off() {
    check(b"SET \"a b\" 'c d'\n", &[b"SET", b"a b", b"c d"]);
    check(b"\"\\n\\r\\t\\b\\a\\\\\\\"\\q\"\r\n", &[b"\n\r\t\x08\x07\\\"q"]);
    check(b"\"\\x00\\xfF\\xg1\\x1\"\n", &[b"\x00\xffxg1x1"]);
    check(b"'\\n\\''\n", &[b"\\n'"]);
    check(b"\"\" ''\n", &[b"", b""]);
    check(b"ab\"cd\" e'f'\x0bg\n", &[b"abcd", b"ef", b"g"]);
    check(b"\"'\" '\"'\n", &[b"'", b"\""]);
}

#[test]
fn quotes_that_do_not_match_up_are_refused() {
    for line in ["\"", "'", "\"a", "'a\\'", "\"a\\\"", "\"a\"b", "'a'b", "\"a\"\"b\"", "a \"\\"] {
        check_error(format!("{line}\n").as_bytes(), "unbalanced quotes in request");
    }
}
