//! What INFO commandstats, latencystats and errorstats say: counters of each command and each error on each core, written by that
//! core alone.
//!
//! The counters of a core as a whole are `ops::metrics::CoreCounters`.

use crate::histogram::Histogram;
use crate::registry::CommandId;
use ops::metrics::Tally;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock};

/// Counters of one command on one core.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// Times it ran.
    pub calls: Tally,
    /// Nanoseconds it ran.
    pub ns: Tally,
    /// Times it was refused before it ran.
    pub rejected: Tally,
    /// Times it answered an error.
    pub failed: Tally,
    /// How long it ran each time (`latency-tracking`); nothing before the first.
    pub times: OnceLock<Histogram>,
}

/// Counters of all commands on one core. Aligned so that two cores never write the same cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct CommandStatistics(Vec<CommandCounters>);

impl CommandStatistics {
    /// Zero for each of `command_count` commands.
    #[must_use]
    pub fn new(command_count: usize) -> Self {
        CommandStatistics((0..command_count).map(|_| CommandCounters::default()).collect())
    }

    /// The counters of one command.
    #[must_use]
    pub fn command(&self, id: CommandId) -> &CommandCounters {
        &self.0[usize::from(id.0)]
    }

    /// Sets all to zero, as CONFIG RESETSTAT does. Only their core may call it.
    pub fn reset(&self) {
        for command in &self.0 {
            for tally in [&command.calls, &command.ns, &command.rejected, &command.failed] {
                tally.set(0);
            }
            if let Some(times) = command.times.get() {
                times.reset();
            }
        }
    }
}

/// Most error codes that are counted apart, and the longest, in bytes. Our own are far fewer and shorter.
const ERROR_CODES_MAX: usize = 128;
const ERROR_CODE_LEN_MAX: usize = 32;

/// Error replies of one core by code, such as `WRONGTYPE`. Errors are rare, so that a mutex is good enough.
#[derive(Debug, Default)]
pub struct ErrorStatistics(Mutex<BTreeMap<Box<[u8]>, u64>>);

impl ErrorStatistics {
    /// Counts a reply, with or without its `-`.
    pub fn count(&self, reply: &[u8]) {
        let code = error_code(reply);
        let mut counts = self.lock();
        if let Some(count) = counts.get_mut(code) {
            *count += 1;
        } else if counts.len() < ERROR_CODES_MAX {
            counts.insert(code.into(), 1);
        }
    }

    /// Adds the counts of this core to `sums`.
    pub fn add_to(&self, sums: &mut BTreeMap<Box<[u8]>, u64>) {
        for (code, count) in self.lock().iter() {
            *sums.entry(code.clone()).or_default() += count;
        }
    }

    /// Sets all to zero.
    pub fn reset(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<[u8]>, u64>> {
        self.0.lock().expect("nothing panics while it holds the counts")
    }
}

/// The first word of an error; `ERR` if it has none.
fn error_code(reply: &[u8]) -> &[u8] {
    let text = reply.strip_prefix(b"-").unwrap_or(reply);
    let head = &text[..text.len().min(ERROR_CODE_LEN_MAX)];
    match head.iter().position(|byte| *byte == b' ') {
        Some(end) if end > 0 => &head[..end],
        _ => b"ERR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word() {
        let statistics = ErrorStatistics::default();
        for reply in ["-ERR syntax error\r\n", "ERR other", "WRONGTYPE Operation", "-nospace"] {
            statistics.count(reply.as_bytes());
        }
        let mut sums = BTreeMap::new();
        statistics.add_to(&mut sums);
        statistics.add_to(&mut sums);
        let sums: Vec<_> =
            sums.iter().map(|(code, n)| (code.escape_ascii().to_string(), *n)).collect();
        assert_eq!(sums, [("ERR".to_owned(), 6), ("WRONGTYPE".to_owned(), 2)]);
    }

    #[test]
    fn invented_codes_take_bounded_memory() {
        let statistics = ErrorStatistics::default();
        for number in 0..1000 {
            statistics.count(format!("CODE{number} text").as_bytes());
        }
        let mut sums = BTreeMap::new();
        statistics.add_to(&mut sums);
        assert_eq!(sums.len(), ERROR_CODES_MAX);
        statistics.reset();
        sums.clear();
        statistics.add_to(&mut sums);
        assert!(sums.is_empty());
    }
}
