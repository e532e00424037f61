//! The request parser on any bytes, whole and in reads whose lengths the input chooses.
//!
//! The first byte sets the limits, the second how many of the bytes behind it are read lengths.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::error::ProtocolError;
use protocol::limits::Limits;
use protocol::request::{Argv, ArgvBuf, Parsed, Parser};

#[derive(Debug, PartialEq)]
enum Event {
    Request { argv: ArgvBuf, len: usize },
    Empty { len: usize },
    Error(ProtocolError),
}

fn events(input: &[u8], read_lens: &[u8], limits: &Limits) -> Vec<Event> {
    let mut parser = Parser::new();
    let mut spans = Vec::new();
    let mut events = Vec::new();
    let (mut start, mut end) = (0, 0);
    for read_len in read_lens.iter().map(|&len| usize::from(len)).chain([input.len()]) {
        end = input.len().min(end + read_len);
        loop {
            let unread = &input[start..end];
            let parsed = parser.next(unread, limits, &mut spans);
            assert!(parser.heap_size() <= 64 + 4 * unread.len());
            let (event, len) = match parsed {
                Ok(Parsed::Request { len }) => {
                    let argv = ArgvBuf::from_argv(Argv::new(&unread[..len], &spans));
                    (Event::Request { argv, len }, len)
                }
                Ok(Parsed::Quoted { len, argv }) => (Event::Request { argv, len }, len),
                Ok(Parsed::Empty { len }) => (Event::Empty { len }, len),
                Ok(Parsed::Incomplete { wanted }) => {
                    assert!(wanted > 0 && spans.is_empty());
                    break;
                }
                Err(error) => {
                    events.push(Event::Error(error));
                    return events;
                }
            };
            events.push(event);
            start += len;
            spans.clear();
        }
    }
    events
}

fuzz_target!(|data: &[u8]| {
    let [limits, read_count, rest @ ..] = data else { return };
    let limits = Limits {
        bulk_len_max: if limits & 1 == 0 { 512 << 20 } else { usize::MAX },
        is_unauthenticated: limits & 2 == 0,
    };
    let (read_lens, input) = rest.split_at(rest.len().min(usize::from(*read_count)));
    assert_eq!(events(input, read_lens, &limits), events(input, &[], &limits));
});
