//! Nanoseconds to parse requests of 1 to 512 arguments, pipelines, requests cut in two, and to find a key's slot.
//!
//! `cargo bench -p protocol`. Each line is the fastest of many short rounds: what the code costs when nothing
//! interferes, which repeats better than a mean.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use protocol::limits::Limits;
use protocol::request::{Parsed, Parser, Span};
use protocol::slot::slot_of;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 300;
const ROUND_STEPS: u32 = 2_000;

/// Prints the time of one `step`, divided by the `count` of things it does.
fn measure(name: &str, count: usize, mut step: impl FnMut()) {
    let mut best_ns = f64::INFINITY;
    for _ in 0..ROUNDS {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let start = Instant::now();
        for _ in 0..ROUND_STEPS {
            step();
        }
        best_ns = best_ns.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUND_STEPS));
    }
    println!("{name:<36} {:>8.1} ns", best_ns / count as f64);
}

/// One request as a client sends it.
fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Parses all requests of `input`, and returns how many there were.
fn parse_all(input: &[u8], spans: &mut Vec<Span>) -> usize {
    let limits = Limits::default();
    let mut parser = Parser::new();
    let mut position = 0;
    let mut count = 0;
    while position < input.len() {
        spans.clear();
        match parser.next(&input[position..], &limits, spans) {
            Ok(Parsed::Request { len }) => position += len,
            other => panic!("{other:?}"),
        }
        black_box(&spans);
        count += 1;
    }
    count
}

fn main() {
    let mut spans = Vec::with_capacity(1024);
    for arg_count in [1, 2, 3, 16, 512] {
        let input = request(&vec![&b"sixteen bytes..."[..]; arg_count]);
        let name = format!("request of {arg_count} arguments of 16 bytes");
        measure(&name, 1, || assert_eq!(parse_all(black_box(&input), &mut spans), 1));
    }
    let inline = b"SET key:000000012345 value\r\n";
    measure("inline request of 3 arguments", 1, || {
        assert_eq!(parse_all(black_box(inline), &mut spans), 1);
    });

    let set = request(&[b"SET", b"key:000000012345", &[b'x'; 64]]);
    for depth in [1, 16, 64] {
        let input = set.repeat(depth);
        let name = format!("each SET of {depth} in a pipeline");
        measure(&name, depth, || assert_eq!(parse_all(black_box(&input), &mut spans), depth));
    }

    let input = request(&[&b"sixteen bytes..."[..]; 16]);
    let first = &input[..input.len() / 2];
    let limits = Limits::default();
    let mut parser = Parser::new();
    measure("16 arguments in two reads", 1, || {
        spans.clear();
        let half = parser.next(black_box(first), &limits, &mut spans);
        assert!(matches!(half, Ok(Parsed::Incomplete { .. })));
        let whole = parser.next(black_box(&input), &limits, &mut spans);
        assert_eq!(whole, Ok(Parsed::Request { len: input.len() }));
    });

    for key in ["a", "key:000000012345", "{user1000}.following"] {
        measure(&format!("slot of {key}"), 1, || {
            black_box(slot_of(black_box(key.as_bytes())));
        });
    }
}
