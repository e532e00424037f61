//! What a run tells: rates, latencies, and every invariant that broke.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latency::{Latencies, Operation};
use super::world::{Ending, Violation, World};
use super::writer::TICK_COMMANDS;
use crate::output::Table;

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// How many times each invariant broke.
    pub broken: BTreeMap<Violation, u64>,
    /// Ticks acknowledged.
    pub ticks: u64,
    text: String,
}

impl Report {
    /// Tells of a run whose roles worked this long.
    pub(super) fn new(world: &World, worked: Duration, latencies: &Latencies) -> Self {
        let seconds = worked.as_secs_f64();
        let ending = world.ending();
        let (counts, examples) = world.violations();
        let ticks = latencies.of(Operation::Tick).len();
        let mut lines = vec![
            title(world, seconds),
            String::new(),
            table(latencies, seconds).markdown(),
            String::new(),
        ];
        lines.push(format!("commands: {:.0} per second", commands(latencies) as f64 / seconds));
        if world.queue.leftovers() > 0 {
            lines.push(format!("tasks of earlier runs: {}", world.queue.leftovers()));
        }
        match &ending {
            Ending::Completed => lines.push("ended: after its duration".to_owned()),
            Ending::Disconnected(reason) => {
                lines.push(format!("ended: connection lost; {reason}"));
            }
            Ending::Stopped => lines.push("ended: a role could not go on".to_owned()),
        }
        if counts.is_empty() {
            lines.push("gaps 0, mismatches 0: every invariant held".to_owned());
        } else {
            let counted: Vec<String> =
                counts.iter().map(|(violation, count)| format!("{violation:?} {count}")).collect();
            lines.push(format!("INVARIANTS BROKEN: {}", counted.join(", ")));
            lines.extend(examples.into_iter().map(|example| format!("  {example}")));
        }
        Self { ending, broken: counts, ticks, text: lines.join("\n") }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Exit code of a program that ran it: 0 all held; 1 an invariant broke, or the connection was lost
    /// unexpectedly; 3 the connection was lost, as was to be survived.
    #[must_use]
    pub fn exit_code(&self, survive_disconnect: bool) -> u8 {
        match self.ending {
            _ if !self.broken.is_empty() => 1,
            Ending::Completed => 0,
            Ending::Disconnected(_) if survive_disconnect => 3,
            Ending::Disconnected(_) | Ending::Stopped => 1,
        }
    }
}

fn title(world: &World, seconds: f64) -> String {
    let options = &world.options;
    format!(
        "feed: {} symbols, {} writers, {} readers, {} subscribers, {} producers, {} workers, seed {}, \
         {seconds:.1} s",
        options.symbols,
        options.writers,
        options.readers,
        options.subscribers,
        world.queue.producer_count(),
        options.workers,
        options.seed,
    )
}

fn table(latencies: &Latencies, seconds: f64) -> Table {
    let header =
        ["operation", "count", "per s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms"];
    let mut table = Table::new(&header);
    for operation in Operation::ALL {
        let histogram = latencies.of(operation);
        let ms = |us: u64| format!("{:.3}", us as f64 / 1000.0);
        let quantile = |quantile: f64| ms(histogram.value_at_quantile(quantile));
        table.row(vec![
            operation.name().to_owned(),
            histogram.len().to_string(),
            format!("{:.0}", histogram.len() as f64 / seconds),
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
            quantile(0.999),
            ms(histogram.max()),
        ]);
    }
    table
}

/// Commands answered, without those of subscribers' probes and of empty BRPOPs.
fn commands(latencies: &Latencies) -> u64 {
    let count = |operation| latencies.of(operation).len();
    let single = [
        Operation::Hgetall,
        Operation::Get,
        Operation::Lpush,
        Operation::Task,
        Operation::Zadd,
        Operation::Zrevrange,
    ];
    count(Operation::Tick) * TICK_COMMANDS as u64 + single.into_iter().map(count).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_how_it_went() {
        let report = |ending, violations| {
            let broken = (0..violations).map(|_| (Violation::Gap, 1)).collect();
            Report { ending, broken, ticks: 0, text: String::new() }
        };
        let lost = || Ending::Disconnected("writer: gone".to_owned());
        assert_eq!(report(Ending::Completed, 0).exit_code(false), 0);
        assert_eq!(report(Ending::Completed, 1).exit_code(false), 1);
        assert_eq!(report(lost(), 0).exit_code(true), 3);
        assert_eq!(report(lost(), 0).exit_code(false), 1);
        assert_eq!(report(lost(), 2).exit_code(true), 1);
        assert_eq!(report(Ending::Stopped, 1).exit_code(true), 1);
    }
}
