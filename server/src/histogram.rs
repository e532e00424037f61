//! How run times of a command are distributed: what LATENCY HISTOGRAM and INFO latencystats are made from.
//!
//! Path: `Core::account` -> [`Histogram::add`], on the core that has run the command; read from any core as [`RunTimes`],
//! the sum over all cores. Times are told apart to within one part in 128, so that a percentile has two right digits.

use ops::metrics::Tally;

/// Longer times count as this one: a second, in nanoseconds.
const NS_MAX: u64 = 1_000_000_000;
/// Times below are counted each for itself; above, each doubling of the time has half as many counters.
const EXACT_NS: u64 = 256;
const PER_DOUBLING: usize = 128;
const COUNTER_COUNT: usize = counter_of(NS_MAX) + 1;

/// The bound of the first step of LATENCY HISTOGRAM, in nanoseconds; each step is twice the one before.
const FIRST_STEP_NS: u64 = 1024;

/// The counter of a time.
const fn counter_of(ns: u64) -> usize {
    if ns < EXACT_NS {
        return ns as usize;
    }
    let shift = ns.ilog2() - PER_DOUBLING.ilog2();
    shift as usize * PER_DOUBLING + (ns >> shift) as usize
}

/// The longest time that has the same counter as `ns`.
const fn longest_like(ns: u64) -> u64 {
    if ns < EXACT_NS {
        return ns;
    }
    let shift = ns.ilog2() - PER_DOUBLING.ilog2();
    ns | ((1 << shift) - 1)
}

/// The longest time of a counter.
const fn longest_of(counter: usize) -> u64 {
    if counter < EXACT_NS as usize {
        return counter as u64;
    }
    let shift = counter / PER_DOUBLING - 1;
    (((counter - shift * PER_DOUBLING + 1) as u64) << shift) - 1
}

/// Run times of one command on one core, written by that core alone.
#[derive(Debug)]
pub struct Histogram(Box<[Tally]>);

impl Default for Histogram {
    fn default() -> Self {
        Histogram((0..COUNTER_COUNT).map(|_| Tally::default()).collect())
    }
}

impl Histogram {
    /// Counts a time in nanoseconds.
    #[inline]
    pub fn add(&self, ns: u64) {
        self.0[counter_of(ns.min(NS_MAX))].add(1);
    }

    /// Forgets all. Only its core may call it.
    pub fn reset(&self) {
        self.0.iter().for_each(|tally| tally.set(0));
    }
}

/// Run times of one command on all cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTimes {
    /// How many times each counter stands for; empty if there is none.
    counts: Vec<u64>,
    count: u64,
}

impl RunTimes {
    /// Adds those of one core.
    pub fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(COUNTER_COUNT, 0);
        for (sum, tally) in self.counts.iter_mut().zip(&histogram.0) {
            let count = tally.get();
            *sum += count;
            self.count += count;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time that `percentile` per cent of them do not exceed, in nanoseconds; 0 if there is none.
    #[must_use]
    pub fn percentile_ns(&self, percentile: f64) -> u64 {
        let wanted = (percentile.clamp(0.0, 100.0) / 100.0 * self.count as f64 + 0.5) as u64;
        let wanted = wanted.max(1);
        let mut seen = 0;
        let counter = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        counter.map_or(0, longest_of)
    }

    /// How many of them took no longer than each step: microseconds and a count, for the steps that add some.
    #[must_use]
    pub fn steps(&self) -> Vec<(u64, u64)> {
        let mut steps = Vec::new();
        let (mut seen, mut next) = (0, 0);
        let mut bound_ns = FIRST_STEP_NS;
        while seen < self.count {
            let longest_ns = longest_like(bound_ns);
            let end = counter_of(bound_ns.min(NS_MAX)) + 1;
            let added: u64 = self.counts[next..end].iter().sum();
            if added > 0 {
                seen += added;
                steps.push((longest_ns / 1000, seen));
            }
            next = end;
            bound_ns *= 2;
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: &[u64]) -> RunTimes {
        let histogram = Histogram::default();
        all.iter().for_each(|ns| histogram.add(*ns));
        let mut times = RunTimes::default();
        times.add(&histogram);
        times
    }

    #[test]
    fn counters_follow_each_other_without_a_gap() {
        let mut ns = 0;
        for counter in 0..COUNTER_COUNT {
            assert_eq!(counter_of(ns), counter, "at {ns}");
            let longest = longest_of(counter);
            assert_eq!(longest, longest_like(ns), "at {ns}");
            assert_eq!(counter_of(longest), counter);
            ns = longest + 1;
        }
        assert!(ns > NS_MAX);
    }

    #[test]
    fn a_percentile_has_two_right_digits() {
        let all: Vec<u64> = (1..=100).map(|n| n * 10_000).collect();
        let times = times(&all);
        for (percentile, exact) in [(50.0, 500_000), (99.0, 990_000), (99.9, 1_000_000)] {
            let ns = times.percentile_ns(percentile);
            assert!((exact..exact + exact / 100).contains(&ns), "{percentile}: {ns}");
        }
        assert_eq!(RunTimes::default().percentile_ns(50.0), 0);
    }

    #[test]
    fn steps_double_and_add_up() {
        let times = times(&[500, 900, 1_500, 33_000, 33_100, 5_000_000_000]);
        assert_eq!(times.steps(), [(1, 2), (2, 3), (33, 4), (66, 5), (1_082_130, 6)]);
        assert_eq!(times.count(), 6);
        assert!(RunTimes::default().steps().is_empty());
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let histogram = Histogram::default();
        histogram.add(7);
        histogram.reset();
        let mut times = RunTimes::default();
        times.add(&histogram);
        assert_eq!(times.count(), 0);
    }
}
