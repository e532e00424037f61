//! How well eviction chooses: the hit ratio of a cache under requests that follow the law of Zipf.
//!
//! A client asks for keys; what is missing it stores, as an application does that keeps a database's rows in a cache.
//! `maxmemory` is set so that a tenth of the keys fit, whatever a key costs the server: what is compared is the choice of
//! keys, not their size. The same requests go to each server.
//! Hits are counted in the second half only, when the cache is full and has settled. Requests are paced: LRU clocks tick
//! in seconds, and a trace that is over in two would say nothing of them.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::clock::Clock;
use crate::pipe::{Pipe, Reply, encode};
use crate::random::{Random, Weighted};
use crate::server::{Binary, Log, Options, Server, TempDir};

/// Requests sent at a time.
const BATCH_LEN: usize = 50;
/// How often the limit is corrected until a tenth of the keys fits.
const LIMIT_TRIES: usize = 6;
/// How long a server may take to know what it uses.
const PUBLISHED_WITHIN: Duration = Duration::from_millis(300);

/// One trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trace {
    /// Different keys that are asked for.
    pub key_count: usize,
    /// Requests.
    pub request_count: usize,
    /// Requests per second.
    pub rate: usize,
    /// How unevenly: the key of rank `r` has weight `1 / r^exponent`.
    pub exponent: f64,
    /// Length of each value.
    pub value_len: usize,
    /// Where the requests come from.
    pub seed: u64,
}

/// How a cache did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hits {
    /// Hits of all requests of the second half, 0 to 1.
    pub ratio: f64,
    /// Keys that were in the cache in the end, as a part of all.
    pub held: f64,
}

/// Runs `trace` against `binary` with `policy`.
///
/// # Errors
/// When the server cannot be started or the connection is lost.
pub fn measure(
    binary: &Binary,
    shards: usize,
    policy: &str,
    trace: &Trace,
) -> Result<Hits, String> {
    let describe = |error: io::Error| format!("{} with {policy}: {error}", binary.version);
    let dir = TempDir::new("hits")?;
    let options = Options { shards, log: Log::Off, cpus: Vec::new() };
    let server = Server::start(binary, &options, dir.path())?;
    let mut pipe = Pipe::connect(server.port()).map_err(describe)?;
    prepare(&mut pipe, policy, trace).map_err(describe)?;
    run(&mut pipe, trace).map_err(describe)
}

/// Finds the limit with which a tenth of the keys fits, and empties the server.
fn prepare(pipe: &mut Pipe, policy: &str, trace: &Trace) -> io::Result<()> {
    let value = vec![b'v'; trace.value_len];
    let wanted = trace.key_count / 10;
    let load = |pipe: &mut Pipe, count| {
        pipe.load(count, |bytes, number| encode(bytes, &[b"SET", &key(number), &value]))
    };
    load(pipe, wanted)?;
    // Shards publish what they use ten times a second.
    std::thread::sleep(PUBLISHED_WITHIN);
    let mut limit = pipe.info("used_memory")? - pipe.info("mem_not_counted_for_evict")?;
    pipe.call(&[b"CONFIG", b"SET", b"maxmemory-policy", policy.as_bytes()])?;
    for _ in 0..LIMIT_TRIES {
        pipe.call(&[b"CONFIG", b"SET", b"maxmemory", limit.to_string().as_bytes()])?;
        load(pipe, trace.key_count)?;
        let held = size(pipe)?;
        // Some of what is used stands for no key: step half-way only.
        let change = limit as f64 * (wanted as f64 / held as f64 - 1.0) * 0.7;
        limit = (limit as f64 + change) as u64;
    }
    pipe.call(&[b"FLUSHALL"])?;
    std::thread::sleep(PUBLISHED_WITHIN);
    pipe.call(&[b"CONFIG", b"SET", b"maxmemory", limit.to_string().as_bytes()])?;
    Ok(())
}

/// How many keys there are.
fn size(pipe: &mut Pipe) -> io::Result<usize> {
    match pipe.call(&[b"DBSIZE"])? {
        Reply::Integer(count) => Ok(usize::try_from(count).unwrap_or_default().max(1)),
        other => Err(io::Error::other(format!("DBSIZE answered {other:?}"))),
    }
}

fn run(pipe: &mut Pipe, trace: &Trace) -> io::Result<Hits> {
    let weights = (0..trace.key_count).map(|rank| (rank as f64 + 1.0).powf(-trace.exponent));
    let weighted = Weighted::new(weights);
    let mut random = Random::new(trace.seed);
    let value = vec![b'v'; trace.value_len];
    let (mut hit_count, mut counted) = (0, 0);
    let clock = Clock::start();
    let mut bytes = Vec::new();
    for first in (0..trace.request_count).step_by(BATCH_LEN) {
        let due = Duration::from_secs_f64(first as f64 / trace.rate as f64);
        std::thread::sleep(due.saturating_sub(clock.elapsed()));
        let asked: [usize; BATCH_LEN] = std::array::from_fn(|_| weighted.choose(&mut random));
        bytes.clear();
        asked.iter().for_each(|number| encode(&mut bytes, &[b"GET", &key(*number)]));
        pipe.send(&bytes)?;
        let mut missing = BTreeSet::new();
        for number in asked {
            match pipe.read()? {
                Reply::Bulk => hit_count += usize::from(first >= trace.request_count / 2),
                Reply::Nil => _ = missing.insert(number),
                other => return Err(io::Error::other(format!("GET answered {other:?}"))),
            }
        }
        counted += if first >= trace.request_count / 2 { BATCH_LEN } else { 0 };
        bytes.clear();
        missing.iter().for_each(|number| encode(&mut bytes, &[b"SET", &key(*number), &value]));
        pipe.send(&bytes)?;
        for _ in &missing {
            if let Reply::Error(text) = pipe.read()? {
                return Err(io::Error::other(text));
            }
        }
    }
    let held = size(pipe)?;
    Ok(Hits {
        ratio: hit_count as f64 / counted.max(1) as f64,
        held: held as f64 / trace.key_count as f64,
    })
}

fn key(number: usize) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}
