//! What the keyspace costs: nanoseconds per GET and SET, bytes per key, and the longest piece of table work.
//!
//! ```text
//! cargo run --release -p shard --example keyspace
//! ```
//! Keys and values have 16 bytes. The commands run as the server runs them, but without network and journal; keys come
//! in random order, so that in a large table most of them are not in a cache. "warm" runs them in batches of sixteen
//! whose keys are touched first, as the server does with a pipeline. Bytes are what the process holds more than before
//! (`VmRSS`), with the allocator that the server has.

use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::keyspace::WARM_MAX;
use shard::rng::Rng;
use shard::{Call, Now, Options, Shard, call::ClientFacts, commands};
use std::io::Write;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OPERATIONS: usize = 1_000_000;

fn key(number: usize) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

struct Bench {
    shard: Shard,
    reply: Vec<u8>,
}

impl Bench {
    fn run(&mut self, argv: &ArgvBuf) {
        let argv = argv.as_argv();
        let command = commands::find(argv.get(0).unwrap_or_default()).expect("a command");
        let client = ClientFacts::default();
        let call = Call { command, argv, db: 0, resp: Resp::V2, client };
        self.reply.clear();
        let _ = self.shard.execute(Now { unix_us: 1_700_000_000_000_000 }, &call, &mut self.reply);
    }

    /// Nanoseconds per command.
    fn time(&mut self, requests: &[ArgvBuf], is_warm: bool) -> f64 {
        let start = now();
        for batch in requests.chunks(WARM_MAX) {
            if is_warm {
                let keys = batch.iter().filter_map(|argv| argv.as_argv().get(1));
                self.shard.keyspace().database(0).warm(keys);
            }
            batch.iter().for_each(|argv| self.run(argv));
        }
        start.elapsed().as_nanos() as f64 / requests.len() as f64
    }
}

#[allow(clippy::disallowed_methods, reason = "this measures")]
fn now() -> Instant {
    Instant::now()
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|text| text.parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

fn main() {
    let mut out = std::io::stdout();
    for key_count in [100_000, 1_000_000, 2_000_000] {
        let mut bench = Bench { shard: Shard::new(Options::default(), 16, 1), reply: Vec::new() };
        let before = resident_bytes();
        let start = now();
        for number in 0..key_count {
            let value = format!("value:{number:010}").into_bytes();
            bench.run(&[b"SET".as_slice(), &key(number), &value].into_iter().collect());
        }
        let fill = start.elapsed().as_nanos() as f64 / key_count as f64;
        let keyspace = bench.shard.keyspace();
        let (data, overhead) = (keyspace.data_bytes(), keyspace.overhead_bytes());
        let bytes = |bytes: usize| bytes as f64 / key_count as f64;
        let resident = bytes(resident_bytes().saturating_sub(before));
        let (data, overhead) = (bytes(data), bytes(overhead));
        let mut rng = Rng::new(7);
        let numbers: Vec<usize> = (0..OPERATIONS).map(|_| rng.below(key_count)).collect();
        let get = |number: &usize| [b"GET".as_slice(), &key(*number)].into_iter().collect();
        let set = |number: &usize| {
            [b"SET".as_slice(), &key(*number), b"value-0123456789"].into_iter().collect()
        };
        let gets: Vec<ArgvBuf> = numbers.iter().map(get).collect();
        let sets: Vec<ArgvBuf> = numbers.iter().map(set).collect();
        let mut best = [f64::MAX; 4];
        for _ in 0..5 {
            for (best, (requests, is_warm)) in
                best.iter_mut().zip([(&gets, false), (&gets, true), (&sets, false), (&sets, true)])
            {
                *best = best.min(bench.time(requests, is_warm));
            }
        }
        let [get, get_warm, set, set_warm] = best;
        let _ = writeln!(
            out,
            "{key_count:>8} keys: fill {fill:.0} ns, GET {get:.0} ns (warm {get_warm:.0}), \
             SET {set:.0} ns (warm {set_warm:.0}); {resident:.1} bytes/key resident, \
             {data:.1} data + {overhead:.1} overhead",
        );
    }
}
