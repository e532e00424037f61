//! The only place of this crate that reads the clock: for log lines and for the uptime.
//!
//! Nothing that a client or a shard can observe depends on it; entries of the slow log and the latency
//! monitor are stamped by their writers.

use std::time::{Duration, Instant, SystemTime};

/// Measures how long ago it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        #[expect(clippy::disallowed_methods, reason = "the ops thread is not simulated")]
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Time since 1970-01-01 UTC.
pub(crate) fn unix_time() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "log lines carry the time of day")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
