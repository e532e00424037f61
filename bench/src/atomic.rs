//! What atomic operations cost: commands of many keys, transactions and scripts, and how much slower a transaction over
//! two shards is for its client than one on a single shard.

use std::io;

use crate::clock::Clock;
use crate::lockstep::{self, Load};
use crate::pipe::{Pipe, Reply, encode};
use crate::random::mix;
use crate::server::{Binary, Log, Options, Server, TempDir};
use crate::speed::plan::placement;

/// Keys that are drawn from.
const KEY_COUNT: usize = 100_000;
/// Keys of one MSET or MGET.
const KEYS_PER_CALL: usize = 10;
/// Transactions whose latency is taken, of each kind.
const TRANSACTION_COUNT: usize = 20_000;
/// A script with one key.
const SCRIPT: &[u8] = b"return redis.call('INCRBY', KEYS[1], ARGV[1])";

/// One measurement of CPU time.
#[derive(Clone, Copy)]
pub struct Cell {
    /// Name for reports and `--only`.
    pub name: &'static str,
    /// Shards of Rialto.
    pub shards: usize,
    /// Operations per pipeline.
    pub pipeline: usize,
    /// Into how many parts an operation's time is divided: its keys, or 1.
    pub parts: usize,
    /// Highest ratio that meets the target.
    pub target: f64,
    /// Replies to one operation.
    reply_count: usize,
    request: fn(&mut Vec<u8>, usize),
}

/// All cells.
pub const CELLS: &[Cell] = &[
    many_keys("P1 MSET of 10 keys (per key)", 1, mset),
    many_keys("P16 MSET of 10 keys (per key)", 16, mset),
    many_keys("P1 MGET of 10 keys (per key)", 1, mget),
    many_keys("P16 MGET of 10 keys (per key)", 16, mget),
    one_shard("P1 EVAL with one key", 1, 1.0, 1, eval),
    one_shard("P16 EVAL with one key", 16, 0.8, 1, eval),
    one_shard("P16 MULTI of 5 commands on one hash tag", 16, 0.8, 7, multi),
    Cell { shards: 2, ..one_shard("P16 MULTI, two shards", 16, 0.8, 7, multi) },
];

const fn many_keys(name: &'static str, pipeline: usize, request: fn(&mut Vec<u8>, usize)) -> Cell {
    Cell { name, shards: 2, pipeline, parts: KEYS_PER_CALL, target: 0.6, reply_count: 1, request }
}

const fn one_shard(
    name: &'static str,
    pipeline: usize,
    target: f64,
    reply_count: usize,
    request: fn(&mut Vec<u8>, usize),
) -> Cell {
    Cell { name, shards: 1, pipeline, parts: 1, target, reply_count, request }
}

impl Cell {
    fn operation_count(&self) -> usize {
        let whole = if self.pipeline == 1 { 100_000 } else { 400_000 };
        whole / (self.parts * self.reply_count).min(4)
    }
}

/// Microseconds of server CPU per operation, or per key.
///
/// # Errors
/// When the server cannot be started, or does not answer as it should.
pub fn cpu_us(binary: &Binary, cell: &Cell, cpus: &[usize], part: usize) -> Result<f64, String> {
    let describe = |error: io::Error| format!("{}, {}: {error}", binary.version, cell.name);
    let (_dir, server) = start(binary, cell.shards, cpus)?;
    let mut loader = Pipe::connect(server.port()).map_err(describe)?;
    loader.load(KEY_COUNT / KEYS_PER_CALL, load).map_err(describe)?;
    let Cell { pipeline, reply_count, request, .. } = *cell;
    let mut load = Load { pipeline, reply_count, request, hits: true };
    let us = lockstep::cpu_us(&server, &mut load, cell.operation_count() / part);
    Ok(us.map_err(describe)? / cell.parts as f64)
}

/// The 99th percentile of how long EXEC of two SETs takes, in microseconds: with both keys on one shard, and with keys on
/// two. One client alone.
///
/// # Errors
/// As [`cpu_us`].
pub fn exec_p99_us(binary: &Binary, cpus: &[usize], part: usize) -> Result<[f64; 2], String> {
    let (_dir, server) = start(binary, 2, cpus)?;
    let p99 = |keys: [&str; 2]| -> io::Result<f64> {
        let mut pipe = Pipe::connect(server.port())?;
        let mut requests = Vec::new();
        encode(&mut requests, &[b"MULTI"]);
        keys.iter().for_each(|key| encode(&mut requests, &[b"SET", key.as_bytes(), b"1"]));
        encode(&mut requests, &[b"EXEC"]);
        let clock = Clock::start();
        let mut times = Vec::new();
        for _ in 0..TRANSACTION_COUNT / part {
            let begun_at = clock.elapsed();
            pipe.send(&requests)?;
            for _ in 0..keys.len() + 2 {
                if let Reply::Error(text) = pipe.read()? {
                    return Err(io::Error::other(text));
                }
            }
            times.push((clock.elapsed() - begun_at).as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() * 99 / 100])
    };
    // `{a}` and `{b}` hash to slots of different halves.
    let both = p99(["{a}1", "{a}2"]).and_then(|one| Ok([one, p99(["{a}1", "{b}1"])?]));
    both.map_err(|error| format!("{}, EXEC: {error}", binary.version))
}

fn start(binary: &Binary, shards: usize, cpus: &[usize]) -> Result<(TempDir, Server), String> {
    let dir = TempDir::new("atomic")?;
    let options = Options { shards, log: Log::Off, cpus: placement(cpus, shards).0 };
    let server = Server::start(binary, &options, dir.path())?;
    Ok((dir, server))
}

fn key(number: usize) -> Vec<u8> {
    format!("key:{:012}", number % KEY_COUNT).into_bytes()
}

/// A number of a key that looks drawn by chance, and is the same for every server.
fn anywhere(number: usize) -> usize {
    mix(number as u64) as usize % KEY_COUNT
}

fn load(bytes: &mut Vec<u8>, number: usize) {
    let keys: Vec<_> = (0..KEYS_PER_CALL).map(|at| key(number * KEYS_PER_CALL + at)).collect();
    set_all(bytes, &keys);
}

fn scattered(number: usize) -> Vec<Vec<u8>> {
    (0..KEYS_PER_CALL).map(|at| key(anywhere(number * KEYS_PER_CALL + at))).collect()
}

fn set_all(bytes: &mut Vec<u8>, keys: &[Vec<u8>]) {
    let mut args: Vec<&[u8]> = vec![b"MSET"];
    keys.iter().for_each(|key| args.extend([key.as_slice(), &[b'1'; 64]]));
    encode(bytes, &args);
}

fn mset(bytes: &mut Vec<u8>, number: usize) {
    set_all(bytes, &scattered(number));
}

fn mget(bytes: &mut Vec<u8>, number: usize) {
    let keys = scattered(number);
    let mut args: Vec<&[u8]> = vec![b"MGET"];
    args.extend(keys.iter().map(Vec::as_slice));
    encode(bytes, &args);
}

fn eval(bytes: &mut Vec<u8>, number: usize) {
    let key = format!("count:{}", anywhere(number));
    encode(bytes, &[b"EVAL", SCRIPT, b"1", key.as_bytes(), b"1"]);
}

fn multi(bytes: &mut Vec<u8>, number: usize) {
    let tag = anywhere(number);
    let [quote, count, rank] = ["quote", "count", "rank"].map(|name| format!("{name}:{{{tag}}}"));
    let [quote, count, rank] = [quote.as_bytes(), count.as_bytes(), rank.as_bytes()];
    encode(bytes, &[b"MULTI"]);
    encode(bytes, &[b"HSET", quote, b"bid", b"101.25", b"ask", b"101.50"]);
    encode(bytes, &[b"INCR", count]);
    encode(bytes, &[b"SET", rank, b"7"]);
    encode(bytes, &[b"HGET", quote, b"bid"]);
    encode(bytes, &[b"GET", count]);
    encode(bytes, &[b"EXEC"]);
}
