//! The clocks. The only place that reads one; everybody else is handed the time.

use nix::time::{ClockId, clock_gettime};
use quanta::Clock;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, from the wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where time enters")]
pub fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A moment on the clock that never goes back, in nanoseconds since some fixed moment of this process. It is the
/// processor's own clock where that is steady, which is read twice as fast as the system's: every command reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    ns: u64,
}

impl Moment {
    /// The present moment. Cost: about 15 ns.
    #[must_use]
    pub fn now() -> Moment {
        let (clock, start) = &*PROCESS_START;
        Moment { ns: clock.delta_as_nanos(*start, clock.raw()) }
    }

    /// Nanoseconds from `earlier` to this moment; 0 if it is later.
    #[must_use]
    pub fn ns_since(self, earlier: Moment) -> u64 {
        self.ns.saturating_sub(earlier.ns)
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn after(self, duration: Duration) -> Moment {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Moment { ns: self.ns.saturating_add(ns) }
    }

    /// How long until this moment from `now` on; zero if it has passed.
    #[must_use]
    pub fn until(self, now: Moment) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(now.ns))
    }
}

/// Nanoseconds of CPU time that this thread has used: what shards measure pieces of their own work with. A thread that
/// has lost its CPU to another is not charged with that. Cost: a system call, about 0.3 microseconds.
#[must_use]
pub fn thread_ns() -> u64 {
    let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    used.map_or(0, |used| u64::try_from(used.as_nanos()).unwrap_or(u64::MAX))
}

/// The clock, and what it read first.
static PROCESS_START: LazyLock<(Clock, u64)> = LazyLock::new(|| {
    let clock = Clock::new();
    let start = clock.raw();
    (clock, start)
});
