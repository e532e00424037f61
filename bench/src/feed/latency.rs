//! How long each operation of the feed took.

use hdrhistogram::Histogram;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A tick: HSET, EXPIRE, SET and PUBLISH in one pipeline; from when it was due, if the rate is
    /// limited, so that a stall is charged to every tick it delayed.
    Tick,
    /// HGETALL of a snapshot.
    Hgetall,
    /// GET of a state.
    Get,
    /// An event, from before it was sent to its subscriber having it.
    Event,
    /// LPUSH of up to three tasks.
    Lpush,
    /// A task, from before it was pushed to a worker having it.
    Task,
    /// ZADD of all strategies.
    Zadd,
    /// ZREVRANGE of the first five.
    Zrevrange,
}

impl Operation {
    /// All, in the order of a report.
    pub const ALL: [Self; 8] = [
        Self::Tick,
        Self::Hgetall,
        Self::Get,
        Self::Event,
        Self::Lpush,
        Self::Task,
        Self::Zadd,
        Self::Zrevrange,
    ];

    /// Its name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tick => "tick (HSET EXPIRE SET PUBLISH)",
            Self::Hgetall => "HGETALL",
            Self::Get => "GET",
            Self::Event => "event (PUBLISH to subscriber)",
            Self::Lpush => "LPUSH",
            Self::Task => "task (LPUSH to BRPOP)",
            Self::Zadd => "ZADD",
            Self::Zrevrange => "ZREVRANGE",
        }
    }
}

/// A histogram of microseconds for each [`Operation`]; one per thread, added up at the end.
#[derive(Debug, Clone)]
pub struct Latencies {
    histograms: Vec<Histogram<u64>>,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new(3).expect("three significant digits are supported");
        Self { histograms: vec![histogram; Operation::ALL.len()] }
    }
}

impl Latencies {
    /// Notes that `operation` took this long, `count` times.
    pub fn record(&mut self, operation: Operation, latency_us: u64, count: u64) {
        let histogram = &mut self.histograms[operation as usize];
        histogram.record_n(latency_us, count).expect("the histogram resizes itself");
    }

    /// Adds what another thread measured.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            mine.add(theirs).expect("the histogram resizes itself");
        }
    }

    /// The histogram of an operation, in microseconds.
    #[must_use]
    pub fn of(&self, operation: Operation) -> &Histogram<u64> {
        &self.histograms[operation as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let mut sum = Latencies::default();
        let mut one = Latencies::default();
        one.record(Operation::Get, 100, 3);
        sum.record(Operation::Get, 50_000_000, 1);
        sum.add(&one);
        assert_eq!(sum.of(Operation::Get).len(), 4);
        assert_eq!(sum.of(Operation::Get).value_at_quantile(0.5), 100);
        assert!(sum.of(Operation::Get).max() >= 50_000_000);
        assert_eq!(sum.of(Operation::Tick).len(), 0);
    }

    #[test]
    fn every_operation_has_its_place() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, index);
        }
    }
}
