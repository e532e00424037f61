//! Whatever way the bytes of a connection are cut into reads, the server finds the same requests and the same error.
//! And whatever the bytes are, the parser neither panics nor holds more memory than they account for.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::error::ProtocolError;
use protocol::limits::{INLINE_LEN_MAX, Limits};
use protocol::request::{Argv, Parsed, Parser};

/// What a connection has to say, in order.
#[derive(Debug, PartialEq)]
enum Event {
    Request { args: Vec<Vec<u8>>, len: usize },
    Empty { len: usize },
    Error(ProtocolError),
    Unfinished { len: usize },
}

/// Feeds `input` in reads of the given lengths, the last of which brings all the rest.
///
/// The unread bytes move to new memory before each call, and the spans are dropped whenever the parser's promise says
/// they may be.
fn events(input: &[u8], read_lens: &[usize], limits: &Limits) -> Vec<Event> {
    let mut parser = Parser::new();
    let mut events = Vec::new();
    let mut spans = Vec::new();
    let mut wanted_len = None;
    let mut start = 0;
    let mut end = 0_usize;
    for read_len in read_lens.iter().copied().chain([usize::MAX]) {
        end = input.len().min(end.saturating_add(read_len));
        loop {
            let unread = input[start..end].to_vec();
            let parsed = parser.next(&unread, limits, &mut spans);
            assert!(parser.heap_size() <= 64 + 4 * unread.len());
            assert!(spans.capacity() <= 64 + 4 * unread.len());
            let event = match parsed {
                Ok(Parsed::Request { len }) => {
                    let args = Argv::new(&unread[..len], &spans);
                    Event::Request { args: args.iter().map(<[u8]>::to_vec).collect(), len }
                }
                Ok(Parsed::Quoted { len, argv }) => {
                    let args = argv.as_argv();
                    Event::Request { args: args.iter().map(<[u8]>::to_vec).collect(), len }
                }
                Ok(Parsed::Empty { len }) => Event::Empty { len },
                Ok(Parsed::Incomplete { wanted }) => {
                    assert!(wanted > 0);
                    assert!(spans.is_empty(), "an unfinished request leaves no span behind");
                    wanted_len = Some(unread.len() + wanted);
                    break;
                }
                Err(error) => {
                    events.push(Event::Error(error));
                    return events;
                }
            };
            if let Event::Request { len, .. } | Event::Empty { len } = event {
                assert!(wanted_len.is_none_or(|wanted_len| wanted_len <= len), "wanted too much");
                assert!(len > 0 && len <= unread.len());
                assert!(!parser.is_inside_request());
                assert_eq!(parser.heap_size(), 0);
                start += len;
            }
            events.push(event);
            spans.clear();
            wanted_len = None;
        }
    }
    events.push(Event::Unfinished { len: end - start });
    events
}

/// Pieces that requests, and mistakes in requests, are made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let arg = vec(any::<u8>(), 0..40);
    let request = vec(arg, 1..14).prop_map(|args| {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
            bytes.extend(arg);
            bytes.extend(b"\r\n");
        }
        bytes
    });
    let word = prop::sample::select(vec![
        "*",
        "$",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "0",
        "1",
        "2",
        "10",
        "11",
        "-1",
        "0123",
        "99999999999",
        "2147483647",
        "536870913",
        "16385",
        "GET",
        " ",
        "\t",
        "\"",
        "'",
        "\\",
        "\\x4",
        "a",
        "*1\r\n",
        "*3\r\n",
        "$1\r\n",
        "$3\r\nSET\r\n",
        "$100\r\n",
        "\u{b}",
        "*0\r\n",
        "*-1\r\n",
    ]);
    let words = vec(word, 1..12).prop_map(|words| words.concat().into_bytes());
    let typed = "[a-z \t\"'\\\\x0-9]{0,30}\r?\n".prop_map(String::into_bytes);
    let long = (prop::sample::select(vec!["*", "$", "*2\r\n$", "a", " "]), 0_usize..8).prop_map(
        |(first, extra)| [first.as_bytes(), &vec![b'1'; INLINE_LEN_MAX - 4 + extra]].concat(),
    );
    prop_oneof![
        20 => request,
        10 => words,
        10 => typed,
        2 => vec(any::<u8>(), 0..20),
        1 => long,
    ]
}

/// A few pieces in a row, and now and then a byte of them changed.
fn input() -> impl Strategy<Value = Vec<u8>> {
    (vec(piece(), 0..6), prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())))
        .prop_map(|(pieces, change)| {
            let mut bytes = pieces.concat();
            if let (Some((index, byte)), false) = (change, bytes.is_empty()) {
                let position = index.index(bytes.len());
                bytes[position] = byte;
            }
            bytes
        })
}

fn limits() -> impl Strategy<Value = Limits> {
    let bulk_len_max = prop::sample::select(vec![20, 512 << 20, usize::MAX]);
    (bulk_len_max, any::<bool>())
        .prop_map(|(bulk_len_max, is_unauthenticated)| Limits { bulk_len_max, is_unauthenticated })
}

fn read_lens() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(0_usize..4, 0..200), vec(0_usize..60, 0..20), vec(0_usize..70_000, 0..4)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_gives_the_same_requests(
        input in input(), read_lens in read_lens(), limits in limits(),
    ) {
        prop_assert_eq!(events(&input, &read_lens, &limits), events(&input, &[], &limits));
    }

    #[test]
    fn random_bytes_do_no_harm(
        input in vec(any::<u8>(), 0..300), read_lens in read_lens(), limits in limits(),
    ) {
        prop_assert_eq!(events(&input, &read_lens, &limits), events(&input, &[], &limits));
    }
}

#[test]
fn every_split_of_a_conversation_gives_the_same_requests() {
    let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n\r\nSET k \"a b\"\r\n*0\r\nGET k\n\
        *12\r\n$1\r\na\r\n$0\r\n\r\n$2\r\nbc";
    let limits = Limits::default();
    let whole = events(input, &[], &limits);
    assert_eq!(whole.len(), 6, "{whole:?}");
    for first in 0..input.len() {
        for second in 0..input.len() - first {
            assert_eq!(events(input, &[first, second], &limits), whole, "{first} {second}");
        }
    }
    assert_eq!(events(input, &vec![1; input.len()], &limits), whole);
}
