//! The latency monitor: spikes of named events (`command`, `aof-write`, `expire-cycle`, ...).
//!
//! Each event keeps its last 160 seconds with a spike, one sample per second, the worst. Like the slow log
//! it is written rarely, so one mutex guards it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SAMPLES_MAX: usize = 160;

/// The worst spike of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since 1970.
    pub unix_time_s: u64,
    /// Milliseconds.
    pub latency_ms: u64,
}

/// What LATENCY LATEST says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatestSpike {
    /// Name of the event.
    pub event: &'static str,
    /// The last sample.
    pub sample: Sample,
    /// The worst latency ever, in milliseconds.
    pub max_ms: u64,
}

/// The monitor. Shared by all cores.
#[derive(Debug, Default)]
pub struct LatencyMonitor(Mutex<BTreeMap<&'static str, Series>>);

#[derive(Debug, Default)]
struct Series {
    max_ms: u64,
    /// Oldest first.
    samples: VecDeque<Sample>,
}

impl LatencyMonitor {
    /// A monitor that has seen nothing.
    #[must_use]
    pub fn new() -> LatencyMonitor {
        LatencyMonitor::default()
    }

    /// Adds a spike that reached `latency-monitor-threshold`.
    pub fn push(&self, event: &'static str, sample: Sample) {
        let mut events = self.lock();
        let series = events.entry(event).or_default();
        series.max_ms = series.max_ms.max(sample.latency_ms);
        match series.samples.back_mut() {
            Some(last) if last.unix_time_s == sample.unix_time_s => {
                last.latency_ms = last.latency_ms.max(sample.latency_ms);
            }
            _ => {
                if series.samples.len() == SAMPLES_MAX {
                    series.samples.pop_front();
                }
                series.samples.push_back(sample);
            }
        }
    }

    /// The samples of an event, oldest first; none if it is unknown.
    #[must_use]
    pub fn history(&self, event: &[u8]) -> Vec<Sample> {
        let name = std::str::from_utf8(event).unwrap_or_default();
        self.lock()
            .get(name)
            .map(|series| series.samples.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The worst latency of an event ever, in milliseconds; 0 if it is unknown.
    #[must_use]
    pub fn max_ms(&self, event: &[u8]) -> u64 {
        let name = std::str::from_utf8(event).unwrap_or_default();
        self.lock().get(name).map_or(0, |series| series.max_ms)
    }

    /// The last spike of every event, by name.
    #[must_use]
    pub fn latest(&self) -> Vec<LatestSpike> {
        let events = self.lock();
        let spike = |(event, series): (&&'static str, &Series)| {
            let sample = *series.samples.back()?;
            Some(LatestSpike { event, sample, max_ms: series.max_ms })
        };
        events.iter().filter_map(spike).collect()
    }

    /// Forgets one event, whatever the case of its name. Returns how many were known: 0 or 1.
    pub fn reset(&self, event: &[u8]) -> usize {
        let mut events = self.lock();
        let count = events.len();
        events.retain(|name, _| !name.as_bytes().eq_ignore_ascii_case(event));
        count - events.len()
    }

    /// Forgets every event. Returns how many were known.
    pub fn reset_all(&self) -> usize {
        std::mem::take(&mut *self.lock()).len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Series>> {
        // No code that can panic runs under the lock between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(unix_time_s: u64, latency_ms: u64) -> Sample {
        Sample { unix_time_s, latency_ms }
    }

    #[test]
    fn a_second_keeps_its_worst_spike() {
        let monitor = LatencyMonitor::new();
        for (second, latency) in [(1, 50), (1, 90), (1, 70), (2, 20)] {
            monitor.push("command", sample(second, latency));
        }
        assert_eq!(monitor.history(b"command"), [sample(1, 90), sample(2, 20)]);
        let expected = LatestSpike { event: "command", sample: sample(2, 20), max_ms: 90 };
        assert_eq!(monitor.latest(), [expected]);
        assert_eq!((monitor.max_ms(b"command"), monitor.max_ms(b"fork")), (90, 0));
        assert!(monitor.history(b"fork").is_empty());
    }

    #[test]
    fn only_the_last_samples_are_kept() {
        let monitor = LatencyMonitor::new();
        (0..200).for_each(|second| monitor.push("command", sample(second, 1)));
        let history = monitor.history(b"command");
        assert_eq!((history.len(), history[0].unix_time_s), (160, 40));
    }

    #[test]
    fn reset_forgets_one_or_all() {
        let monitor = LatencyMonitor::new();
        for event in ["command", "aof-write", "expire-cycle"] {
            monitor.push(event, sample(1, 1));
        }
        assert_eq!(monitor.reset(b"COMMAND"), 1);
        assert_eq!(monitor.reset(b"command"), 0);
        assert_eq!(monitor.reset_all(), 2);
        assert!(monitor.latest().is_empty());
    }
}
