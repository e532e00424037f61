//! How long the longest slice of housekeeping has taken: the figures that show whether a command may have waited for it.

use crate::keyspace::Clock;

/// A slice of eviction that is to give fewer bytes than this is not measured: it is a few removals, and the clock would
/// cost as much as they do.
pub(super) const MEASURED_BYTES_MIN: usize = 16 << 10;

/// The longest slices of each kind, in nanoseconds; 0 if there was none, or no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceStats {
    /// Of active expiry.
    pub expire_ns: u64,
    /// Of eviction; small ones are not measured.
    pub evict_ns: u64,
    /// Of freeing what was removed.
    pub free_ns: u64,
}

impl SliceStats {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: SliceStats) -> SliceStats {
        SliceStats {
            expire_ns: self.expire_ns.max(other.expire_ns),
            evict_ns: self.evict_ns.max(other.evict_ns),
            free_ns: self.free_ns.max(other.free_ns),
        }
    }
}

/// Measures one slice.
pub(super) struct Stopwatch {
    clock: Clock,
    begun_at_ns: u64,
}

impl Stopwatch {
    pub(super) fn start(clock: Clock) -> Self {
        Stopwatch { clock, begun_at_ns: clock() }
    }

    /// Notes the time since the start, if it is the longest.
    pub(super) fn stop(self, longest_ns: &mut u64) {
        let ns = (self.clock)().saturating_sub(self.begun_at_ns);
        *longest_ns = ns.max(*longest_ns);
    }
}
