//! What the keyspace costs: CPU time per GET and SET, bytes per key, and the largest piece of table work.
//!
//! ```text
//! cargo run --release -p shard --example keyspace
//! ```
//! Keys and values have 16 bytes. The commands run as the server runs them, but without network and journal; keys come
//! in random order, so that in a large table most of them are not in a cache. "warm" runs them in batches of sixteen
//! whose keys are touched first, as the server does with a pipeline. Times are of the CPU, best of five rounds. Bytes
//! are what the process holds more than before (`VmRSS`), with the allocator that the server has. Each number of keys
//! (arguments, or some) is a process of its own.

use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::keyspace::WARM_MAX;
use shard::rng::Rng;
use shard::{Call, Now, Options, Shard, call::ClientFacts, commands};
use std::io::Write;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OPERATIONS: usize = 300_000;

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
        let start = cpu_ns();
        for batch in requests.chunks(WARM_MAX) {
            if is_warm {
                let keys = batch.iter().filter_map(|argv| argv.as_argv().get(1));
                self.shard.keyspace().database(0).warm(keys);
            }
            batch.iter().for_each(|argv| self.run(argv));
        }
        (cpu_ns() - start) as f64 / requests.len() as f64
    }
}

/// Nanoseconds that this process has run, which has one thread.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|text| text.parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, count] = arguments.as_slice() {
        measure(count.parse().expect("a number of keys"));
        return;
    }
    for count in ["100000", "1000000", "2000000"] {
        let status = Command::new(&arguments[0]).arg(count).status();
        assert!(status.expect("this program can be run").success());
    }
}

fn measure(key_count: usize) {
    let mut bench = Bench { shard: Shard::new(Options::default(), 16, 1), reply: Vec::new() };
    let before = resident_bytes();
    let start = cpu_ns();
    for number in 0..key_count {
        let value = format!("value:{number:010}").into_bytes();
        bench.run(&[b"SET".as_slice(), &key(number), &value].into_iter().collect());
    }
    let fill = (cpu_ns() - start) as f64 / key_count as f64;
    let bytes = |bytes: usize| bytes as f64 / key_count as f64;
    let resident = bytes(resident_bytes().saturating_sub(before));
    let keyspace = bench.shard.keyspace();
    let (data, overhead) = (bytes(keyspace.data_bytes()), bytes(keyspace.overhead_bytes()));

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
        let rounds = [(&gets, false), (&gets, true), (&sets, false), (&sets, true)];
        for (best, (requests, is_warm)) in best.iter_mut().zip(rounds) {
            *best = best.min(bench.time(requests, is_warm));
        }
    }
    let [get, get_warm, set, set_warm] = best;
    let work = bench.shard.keyspace().work_stats();
    let _ = writeln!(
        std::io::stdout(),
        "{key_count:>8} keys: fill {fill:.0} ns, GET {get:.0} ns (warm {get_warm:.0}), SET {set:.0} ns \
         (warm {set_warm:.0}); {resident:.1} bytes/key resident, {data:.1} data + {overhead:.1} \
         overhead; at most {} entries moved at once",
        work.moved_max,
    );
}
