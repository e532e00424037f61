//! What the commands of the data types cost the server: CPU per operation, side by side with Redis, and how that grows
//! with the size of a collection.
//!
//! Each server runs on one shard without a log. It gets the data of all cells, then each cell in turn, by connections in
//! [lockstep](crate::lockstep).
//!
//! Reading order: [`plan`] (what is asked), this page.

pub mod plan;

use std::io;

use crate::lockstep::{self, Load};
use crate::output::median;
use crate::pipe::{Pipe, Reply};
use crate::server::{Binary, Log, Options, Server, TempDir};
use crate::speed::plan::placement;
use plan::Cell;

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
    let mut load = Load {
        pipeline: cell.pipeline,
        reply_count: 1,
        request: |bytes: &mut Vec<u8>, number| (workload.request)(bytes, number, cell.size),
        hits: workload.hits,
    };
    lockstep::cpu_us(server, &mut load, cell.operations() / part)
}
