//! All measurements of a run: every server in turn, several times.

use std::path::PathBuf;

use super::plan::{Cell, Row, placement};
use super::sample::{Client, Sample, measure, preload};
use crate::output::median;
use crate::server::{self, Binary, Flavor, Log, Server, TempDir};

/// A server that takes part.
#[derive(Debug, Clone)]
pub struct Contender {
    /// The program.
    pub binary: Binary,
    /// What it is here for.
    pub role: Role,
}

/// What a server takes part for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that the targets are for.
    Subject,
    /// The one that ratios are to.
    Reference,
    /// For comparison.
    Peer,
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to measure.
    pub cells: Vec<Cell>,
    /// How many times.
    pub rounds: usize,
    /// An eighth of the operations.
    pub quick: bool,
    /// `redis-benchmark`.
    pub client: PathBuf,
    /// CPUs that may be used.
    pub cpus: Vec<usize>,
}

/// The samples of one cell.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The cell.
    pub cell: Cell,
    /// By contender, then by round; empty for a contender that has no such row.
    pub samples: Vec<Vec<Sample>>,
}

impl Measured {
    /// The median over the rounds of one figure of one contender.
    #[must_use]
    pub fn median(&self, contender: usize, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        let samples = &self.samples[contender];
        let values: Vec<f64> = samples.iter().map(figure).collect();
        (!values.is_empty()).then(|| median(&values))
    }

    /// CPU per operation of `contender` to that of `reference`, by round.
    #[must_use]
    pub fn ratios(&self, contender: usize, reference: usize) -> Vec<f64> {
        let pairs = self.samples[contender].iter().zip(&self.samples[reference]);
        pairs.map(|(mine, theirs)| mine.cpu_us / theirs.cpu_us).collect()
    }

    /// CPU per operation of `contender` to that of `reference`, both medians over the rounds.
    #[must_use]
    pub fn ratio(&self, contender: usize, reference: usize) -> Option<f64> {
        let cpu_us = |contender| self.median(contender, |sample| sample.cpu_us);
        Some(cpu_us(contender)? / cpu_us(reference)?)
    }
}

/// Takes all samples. `progress` is told what is being measured.
///
/// # Errors
/// When a server cannot be started, or a sample is not what it should be.
pub fn run(
    settings: &Settings,
    contenders: &[Contender],
    mut progress: impl FnMut(&str),
) -> Result<Vec<Measured>, String> {
    let empty = vec![Vec::new(); contenders.len()];
    let mut all: Vec<Measured> =
        settings.cells.iter().map(|&cell| Measured { cell, samples: empty.clone() }).collect();
    for round in 0..settings.rounds {
        // Cells of a row stand together, so a server is started once for all of them.
        for row in all.chunk_by_mut(|a, b| a.cell.row.id == b.cell.row.id) {
            for turn in 0..contenders.len() {
                // Who was first in one round is last in the next.
                let index = if round % 2 == 0 { turn } else { contenders.len() - 1 - turn };
                let contender = &contenders[index];
                if !can_have(contender, &row[0].cell.row) {
                    continue;
                }
                let (id, version) = (row[0].cell.row.id, &contender.binary.version);
                progress(&format!("round {} of {}, {id}: {version}", round + 1, settings.rounds));
                let samples = run_row(settings, contender, row)
                    .map_err(|error| format!("{id}, {version}: {error}"))?;
                for (measured, sample) in row.iter_mut().zip(samples) {
                    measured.samples[index].push(sample);
                }
            }
        }
    }
    Ok(all)
}

/// Pogocache has no log to compare.
fn can_have(contender: &Contender, row: &Row) -> bool {
    contender.binary.flavor != Flavor::Pogocache || row.log == Log::Off
}

/// Starts a server and takes one sample of each cell of a row.
fn run_row(
    settings: &Settings,
    contender: &Contender,
    row: &[Measured],
) -> Result<Vec<Sample>, String> {
    let Row { shards, log, .. } = row[0].cell.row;
    let (server_cpus, client_cpus) = placement(&settings.cpus, shards);
    let dir = TempDir::new("bench")?;
    let options = server::Options { shards, log, cpus: server_cpus };
    let server = Server::start(&contender.binary, &options, dir.path())?;
    let client = Client { program: settings.client.clone(), cpus: client_cpus };
    preload(&server, &client, &row[0].cell)?;
    row.iter()
        .map(|measured| {
            let cell = &measured.cell;
            measure(&server, &client, cell, cell.operations(settings.quick))
                .map_err(|error| format!("{}: {error}", cell.name()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speed::plan::cells;

    #[test]
    fn ratios_are_of_medians() {
        let sample = |cpu_us| Sample { cpu_us, per_second: 0.0, p50_ms: 0.0 };
        let measured = Measured {
            cell: cells("1shard:P1:GET").unwrap()[0],
            samples: vec![
                [1.0, 2.0, 9.0].map(sample).to_vec(),
                [4.0, 2.0, 8.0].map(sample).to_vec(),
                Vec::new(),
            ],
        };
        assert_eq!(measured.ratio(0, 1), Some(0.5));
        assert_eq!(measured.ratios(0, 1), [0.25, 1.0, 1.125]);
        assert_eq!(measured.ratio(2, 1), None);
    }
}
