//! What happened per second lately: the `instantaneous_` fields of INFO.
//!
//! Core 0 adds a sample in its upkeep; INFO averages the last few, as Redis does.

use ops::metrics::CoreTotals;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

/// Samples that are averaged, and the shortest time between two, in microseconds.
const SAMPLE_COUNT: usize = 16;
const SAMPLE_US: i64 = 100_000;

/// Rates over the last samples.
#[derive(Debug, Default)]
pub struct Rates(Mutex<Samples>);

#[derive(Debug, Default)]
struct Samples {
    /// Counters at the last sample, and when it was taken, in microseconds since 1970.
    last: Option<(i64, CoreTotals)>,
    latest: VecDeque<Rate>,
}

/// What happened per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Commands.
    pub commands: f64,
    /// Bytes received.
    pub input_bytes: f64,
    /// Bytes sent.
    pub output_bytes: f64,
    /// Turns of all cores' loops.
    pub ticks: f64,
}

impl Rates {
    /// Takes a sample of the counters, unless the last one is too young.
    pub fn sample(&self, now_us: i64, totals: &CoreTotals) {
        let mut samples = self.lock();
        if let Some((since_us, before)) = samples.last {
            let us = now_us - since_us;
            if (0..SAMPLE_US).contains(&us) {
                return;
            }
            if us > 0 {
                if samples.latest.len() == SAMPLE_COUNT {
                    samples.latest.pop_front();
                }
                samples.latest.push_back(rate(&totals.since(&before), us));
            }
        }
        samples.last = Some((now_us, *totals));
    }

    /// The average of the last samples.
    #[must_use]
    pub fn average(&self) -> Rate {
        let samples = self.lock();
        let count = samples.latest.len().max(1) as f64;
        let sum = |of: fn(&Rate) -> f64| samples.latest.iter().map(of).sum::<f64>() / count;
        Rate {
            commands: sum(|rate| rate.commands),
            input_bytes: sum(|rate| rate.input_bytes),
            output_bytes: sum(|rate| rate.output_bytes),
            ticks: sum(|rate| rate.ticks),
        }
    }

    /// Forgets the samples, as CONFIG RESETSTAT does.
    pub fn reset(&self) {
        *self.lock() = Samples::default();
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().expect("nothing panics while it holds the samples")
    }
}

fn rate(done: &CoreTotals, us: i64) -> Rate {
    let per_second = |count: u64| count as f64 * 1e6 / us as f64;
    Rate {
        commands: per_second(done.commands_processed),
        input_bytes: per_second(done.net_input_bytes),
        output_bytes: per_second(done.net_output_bytes),
        ticks: per_second(done.ticks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(commands_processed: u64) -> CoreTotals {
        CoreTotals { commands_processed, ..CoreTotals::default() }
    }

    #[test]
    fn rates_are_averages_of_the_last_samples() {
        let rates = Rates::default();
        assert_eq!(rates.average(), Rate::default());
        rates.sample(0, &totals(0));
        rates.sample(50_000, &totals(7));
        assert_eq!(rates.average().commands, 0.0, "too soon for a sample");
        rates.sample(100_000, &totals(10));
        assert_eq!(rates.average().commands, 100.0);
        rates.sample(300_000, &totals(70));
        assert_eq!(rates.average().commands, 200.0);
    }

    #[test]
    fn old_samples_leave() {
        let rates = Rates::default();
        rates.sample(0, &totals(0));
        rates.sample(SAMPLE_US, &totals(1_000));
        assert!(rates.average().commands > 0.0);
        for number in 0..i64::try_from(SAMPLE_COUNT).unwrap() {
            rates.sample((number + 2) * SAMPLE_US, &totals(1_000));
        }
        assert_eq!(rates.average().commands, 0.0);
        rates.reset();
        rates.sample(0, &totals(5));
        assert_eq!(rates.average().commands, 0.0);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_rate() {
        let rates = Rates::default();
        rates.sample(1_000_000, &totals(1));
        rates.sample(500_000, &totals(100));
        assert_eq!(rates.average().commands, 0.0);
        rates.sample(600_000, &totals(110));
        assert_eq!(rates.average().commands, 100.0);
    }
}
