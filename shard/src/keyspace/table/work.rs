//! How much table work one operation does beyond its own entry: splits, merges, growing an index, packing an arena.
//! Each is bounded by the entries of a segment; these are the figures that show it.

/// A clock in nanoseconds that only counts forwards: best one of CPU time, so that a thread that was not running is not
/// taken for a slow one. Handed in, since a shard reads none of its own; it measures, and nothing depends on it.
pub type Clock = fn() -> u64;

/// The largest pieces of work that the table has done at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkStats {
    /// Most entries that were moved within one operation.
    pub moved_max: usize,
    /// Longest time that an operation spent on it, in nanoseconds; 0 without a clock.
    pub longest_ns: u64,
}

impl WorkStats {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: WorkStats) -> WorkStats {
        WorkStats {
            moved_max: self.moved_max.max(other.moved_max),
            longest_ns: self.longest_ns.max(other.longest_ns),
        }
    }
}

/// Measures the work of one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    clock: Clock,
    stats: WorkStats,
    /// Of the operation that runs.
    moved_count: usize,
    spent_ns: u64,
}

impl Work {
    pub(super) fn new(clock: Clock) -> Self {
        Work { clock, stats: WorkStats::default(), moved_count: 0, spent_ns: 0 }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    pub(super) fn stats(&self) -> WorkStats {
        self.stats
    }

    pub(super) fn reset(&mut self) {
        self.stats = WorkStats::default();
    }

    /// Begins an operation.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.moved_count = 0;
        self.spent_ns = 0;
    }

    /// Runs a piece of work that moves `moved_count` entries.
    pub(super) fn measure<T>(&mut self, moved_count: usize, work: impl FnOnce() -> T) -> T {
        let start = (self.clock)();
        let result = work();
        self.spent_ns += (self.clock)().saturating_sub(start);
        self.moved_count += moved_count;
        let own = WorkStats { moved_max: self.moved_count, longest_ns: self.spent_ns };
        self.stats = self.stats.max(own);
        result
    }
}
