//! What the commands of the data types cost the server: CPU per operation, side by side with Redis, and how that grows
//! with the size of a collection.
//!
//! Each server runs on one shard without a log. It gets the data of all cells, then each cell in turn: connections
//! in lockstep, every one of which sends a pipeline of requests and then reads the replies. What counts is the CPU time
//! that the kernel notes for the server. An error, or a miss where there should be a hit, ends the run.
//!
//! Reading order: [`plan`] (what is asked), this page.

pub mod plan;

use std::io;

use crate::output::median;
use crate::pipe::{Pipe, Reply};
use crate::process::cpu_time;
use crate::server::{Binary, Log, Options, Server, TempDir};
use crate::speed::plan::placement;
use plan::Cell;

/// Connections of the client.
pub const CONNECTION_COUNT: usize = 50;

/// Microseconds of server CPU per operation: by contender, by cell, by round.
pub type Samples = Vec<Vec<Vec<f64>>>;

/// Takes all samples. `progress` is told what is being measured.
///
/// # Errors
/// When a server cannot be started, or does not answer as it should.
pub fn run(
    cells: &[Cell],
    contenders: &[Binary],
    rounds: usize,
    part: usize,
    cpus: &[usize],
    mut progress: impl FnMut(&str),
) -> Result<Samples, String> {
    let mut samples = vec![vec![Vec::new(); cells.len()]; contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            // Who was first in one round is last in the next.
            let index = if round % 2 == 0 { turn } else { contenders.len() - 1 - turn };
            let binary = &contenders[index];
            progress(&format!("round {} of {rounds}: {}", round + 1, binary.version));
            let dir = TempDir::new("types")?;
            let options = Options { shards: 1, log: Log::Off, cpus: placement(cpus, 1).0 };
            let server = Server::start(binary, &options, dir.path())?;
            for (at, cell) in cells.iter().enumerate() {
                let sample = measure(&server, cell, part)
                    .map_err(|error| format!("{}, {}: {error}", binary.version, cell.name()))?;
                samples[index][at].push(sample);
            }
        }
    }
    Ok(samples)
}

/// The median over the rounds.
#[must_use]
pub fn cpu_us(samples: &Samples, contender: usize, cell: usize) -> f64 {
    median(&samples[contender][cell])
}

/// Loads what a cell needs, warms the server up and takes one sample.
fn measure(server: &Server, cell: &Cell, part: usize) -> io::Result<f64> {
    let workload = &cell.workload;
    let mut loader = Pipe::connect(server.port())?;
    let is_loaded = loader.call(&[b"EXISTS", format!("loaded:{}", cell.data()).as_bytes()])?;
    if is_loaded == Reply::Integer(0) {
        let request = |bytes: &mut Vec<u8>, number| (workload.load)(bytes, number, cell.size);
        loader.load((workload.load_count)(cell.size), request)?;
        loader.call(&[b"SET", format!("loaded:{}", cell.data()).as_bytes(), b"1"])?;
    }
    let connect = |_| Pipe::connect(server.port());
    let mut connections = (0..CONNECTION_COUNT).map(connect).collect::<io::Result<Vec<_>>>()?;
    let turn_len = CONNECTION_COUNT * cell.pipeline;
    let turn_count = (cell.operations() / part / turn_len).max(1);
    let mut turns = 0..;
    let mut take_turns = |count: usize| {
        let mut requests = Vec::new();
        for turn in turns.by_ref().take(count) {
            for (at, connection) in connections.iter_mut().enumerate() {
                requests.clear();
                for place in 0..cell.pipeline {
                    let number = turn * turn_len + at * cell.pipeline + place;
                    (workload.request)(&mut requests, number, cell.size);
                }
                connection.send(&requests)?;
            }
            for connection in &mut connections {
                for _ in 0..cell.pipeline {
                    check(connection.read()?, workload.hits)?;
                }
            }
        }
        Ok::<(), io::Error>(())
    };
    take_turns((turn_count / 20).max(1))?;
    let before = cpu_time(server.pid())?;
    take_turns(turn_count)?;
    let cpu = cpu_time(server.pid())?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / (turn_count * turn_len) as f64)
}

/// Whether a reply is what a request should get.
fn check(reply: Reply, hits: bool) -> io::Result<()> {
    match reply {
        Reply::Error(text) => Err(io::Error::other(text)),
        Reply::Nil | Reply::Array(0) if hits => Err(io::Error::other("a miss")),
        _ => Ok(()),
    }
}
