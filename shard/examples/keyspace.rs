//! What the keyspace costs: CPU time per command, bytes per key, and the largest piece of table work.
//!
//! ```text
//! cargo run --release -p shard --example keyspace [strings|hashes COUNT]
//! ```
//! Strings have keys and values of 16 bytes, hashes five fields each. The commands run as the server runs them, but
//! without network and journal; keys come in random order, so that in a large table most of them are not in a cache.
//! "warm" runs them in batches of sixteen whose keys are touched first, as the server does with a pipeline. Times are of
//! the CPU, best of five rounds. Bytes are what the process holds more than before (`VmRSS`), with the allocator that the
//! server has. Each kind and number of keys is a process of its own.

use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::keyspace::{Likely, WARM_MAX};
use shard::rng::Rng;
use shard::{Call, Now, Options, Shard, call::ClientFacts, commands};
use std::io::Write;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OPERATIONS: usize = 300_000;

/// One kind of data.
struct Kind {
    name: &'static str,
    key_counts: &'static [usize],
    /// Stores key `number`.
    fill: fn(usize) -> ArgvBuf,
    /// Commands on key `number`.
    commands: &'static [(&'static str, fn(usize) -> ArgvBuf)],
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "strings",
        key_counts: &[100_000, 1_000_000, 2_000_000],
        fill: |number| request(&["SET", &key(number), &format!("value:{number:010}")]),
        commands: &[
            ("GET", |number| request(&["GET", &key(number)])),
            ("SET", |number| request(&["SET", &key(number), "value-0123456789"])),
        ],
    },
    Kind {
        name: "hashes",
        key_counts: &[100_000, 500_000],
        fill: |number| quote(number, number),
        commands: &[
            ("HGET", |number| request(&["HGET", &symbol(number), "ask"])),
            ("HGETALL", |number| request(&["HGETALL", &symbol(number)])),
            ("HSET of five", |number| quote(number, number + 1)),
            ("HSET of one", |number| request(&["HSET", &symbol(number), "bid", "101.75"])),
            ("HSET of another length", |number| {
                let volume = if number.is_multiple_of(2) { "7" } else { "1234567" };
                request(&["HSET", &symbol(number), "volume", volume])
            }),
            ("HINCRBY", |number| request(&["HINCRBY", &symbol(number), "volume", "1"])),
        ],
    },
];

fn request(words: &[&str]) -> ArgvBuf {
    words.iter().map(|word| word.as_bytes()).collect()
}

fn key(number: usize) -> String {
    format!("key:{number:012}")
}

fn symbol(number: usize) -> String {
    format!("market:snapshot:SYM{number:07}")
}

/// Stores the quote of a symbol at tick `tick`.
fn quote(number: usize, tick: usize) -> ArgvBuf {
    let price = format!("{:.2}", 100.0 + (tick % 10_000) as f64 / 100.0);
    let volume = format!("{}", 1_000 + tick % 90_000);
    request(&[
        "HSET",
        &symbol(number),
        "price",
        &price,
        "volume",
        &volume,
        "bid",
        &price,
        "ask",
        &price,
        "timestamp",
        "1700000000.125",
    ])
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
                self.shard.keyspace().database(0).warm(keys.map(Likely::key));
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
    if let [_, name, count] = arguments.as_slice() {
        let kind = KINDS.iter().find(|kind| kind.name == name).expect("a kind of data");
        measure(kind, count.parse().expect("a number of keys"));
        return;
    }
    for kind in &KINDS {
        for count in kind.key_counts {
            let status = Command::new(&arguments[0]).args([kind.name, &count.to_string()]).status();
            assert!(status.expect("this program can be run").success());
        }
    }
}

fn measure(kind: &Kind, key_count: usize) {
    let mut bench = Bench { shard: Shard::new(Options::default(), 16, 1), reply: Vec::new() };
    let before = resident_bytes();
    let start = cpu_ns();
    for number in 0..key_count {
        bench.run(&(kind.fill)(number));
    }
    let fill = (cpu_ns() - start) as f64 / key_count as f64;
    let bytes = |bytes: usize| bytes as f64 / key_count as f64;
    let resident = bytes(resident_bytes().saturating_sub(before));
    let keyspace = bench.shard.keyspace();
    let (data, overhead) = (bytes(keyspace.data_bytes()), bytes(keyspace.overhead_bytes()));

    let mut rng = Rng::new(7);
    let numbers: Vec<usize> = (0..OPERATIONS).map(|_| rng.below(key_count)).collect();
    let mut times = String::new();
    for (name, command) in kind.commands {
        let requests: Vec<ArgvBuf> = numbers.iter().map(|number| command(*number)).collect();
        let mut best = [f64::MAX; 2];
        for _ in 0..5 {
            for (best, is_warm) in best.iter_mut().zip([false, true]) {
                *best = best.min(bench.time(&requests, is_warm));
            }
        }
        times.push_str(&format!(", {name} {:.0} ns (warm {:.0})", best[0], best[1]));
    }
    let work = bench.shard.keyspace().work_stats();
    let _ = writeln!(
        std::io::stdout(),
        "{key_count:>8} {}: fill {fill:.0} ns{times}; {resident:.1} bytes/key resident, {data:.1} data + \
         {overhead:.1} overhead; at most {} entries moved at once",
        kind.name,
        work.moved_max,
    );
}
