//! How much memory the server uses, as all cores together see it: what `maxmemory` is compared with.
//!
//! Each core publishes its share and reads the sum; a sum may be a tick old, never torn. What counts: data (keys, values,
//! tables), the buffers of clients beyond [`BUFFERS_FREE`], and journal entries that are not in the file yet.
//! docs/eviction.md says what follows from it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Bytes of client buffers per core that are not counted: what a server that serves has under way, however little data
/// it holds.
const BUFFERS_FREE: u64 = 1 << 20;

/// The shares of all cores.
#[derive(Debug)]
pub struct MemoryShares {
    cores: Vec<Share>,
    /// The largest sum that anybody has seen.
    peak: AtomicU64,
    /// The sum of a server without data or clients.
    startup: AtomicU64,
    /// Since when the sum has been above the limit, in milliseconds since 1970; 0 while it is not.
    exceeded_since_ms: AtomicI64,
    /// For how many milliseconds it was, before that.
    exceeded_ms: AtomicU64,
}

/// The share of one core. Aligned so that no two cores write to the same cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Share {
    data: AtomicU64,
    /// Bytes that are being freed.
    discarded: AtomicU64,
    buffers: AtomicU64,
    journal: AtomicU64,
    /// Whether the policy lets none of its keys leave.
    is_exhausted: AtomicBool,
    /// Whether it has been told that memory is full and has not looked yet.
    is_told: AtomicBool,
}

/// Memory by what it is used for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Keys, values, tables.
    pub data: u64,
    /// Removed data that is being freed; it does not count against `maxmemory`.
    pub discarded: u64,
    /// Buffers of clients, all of them.
    pub buffers: u64,
    /// Those of them that count against `maxmemory`.
    pub buffers_counted: u64,
    /// Journal entries that are not in the file yet.
    pub journal: u64,
}

impl MemoryUse {
    /// All of it.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.data + self.discarded + self.buffers + self.journal
    }

    /// What does not count against `maxmemory`.
    #[must_use]
    pub fn not_counted(&self) -> u64 {
        self.discarded + self.buffers - self.buffers_counted
    }

    /// What is compared with `maxmemory`.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.used() - self.not_counted()
    }
}

impl MemoryShares {
    /// Shares of so many cores, all 0.
    #[must_use]
    pub fn new(core_count: usize) -> Self {
        MemoryShares {
            cores: (0..core_count).map(|_| Share::default()).collect(),
            peak: AtomicU64::new(0),
            startup: AtomicU64::new(0),
            exceeded_since_ms: AtomicI64::new(0),
            exceeded_ms: AtomicU64::new(0),
        }
    }

    /// Publishes the data of core `core`'s shard: written by whoever holds the shard.
    pub fn set_data(&self, core: usize, bytes: usize) {
        self.cores[core].data.store(bytes as u64, Ordering::Relaxed);
    }

    /// Publishes how much of what a core's shard has removed is not freed yet.
    pub fn set_discarded(&self, core: usize, bytes: usize) {
        self.cores[core].discarded.store(bytes as u64, Ordering::Relaxed);
    }

    /// Publishes the client buffers of a core.
    pub fn set_buffers(&self, core: usize, bytes: u64) {
        self.cores[core].buffers.store(bytes, Ordering::Relaxed);
    }

    /// Publishes the journal entries that a core has not written yet.
    pub fn set_journal(&self, core: usize, bytes: usize) {
        self.cores[core].journal.store(bytes as u64, Ordering::Relaxed);
    }

    /// Publishes whether the policy lets no key of a core's shard leave.
    pub fn set_exhausted(&self, core: usize, is_exhausted: bool) {
        self.cores[core].is_exhausted.store(is_exhausted, Ordering::Relaxed);
    }

    /// Whether no shard has a key that may leave, as far as each has looked.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.cores.iter().all(|share| share.is_exhausted.load(Ordering::Relaxed))
    }

    /// Whether core `core` is to be told that memory is full: once until it has looked.
    #[must_use]
    pub fn may_tell(&self, core: usize) -> bool {
        !self.cores[core].is_told.swap(true, Ordering::Relaxed)
    }

    /// Core `core` looks now.
    pub fn has_looked(&self, core: usize) {
        self.cores[core].is_told.store(false, Ordering::Relaxed);
    }

    /// The data of one core's shard.
    #[must_use]
    pub fn data_of(&self, core: usize) -> u64 {
        self.cores[core].data.load(Ordering::Relaxed)
    }

    /// The client buffers of one core.
    #[must_use]
    pub fn buffers_of(&self, core: usize) -> u64 {
        self.cores[core].buffers.load(Ordering::Relaxed)
    }

    /// What all cores use. Cost: a few loads per core.
    #[must_use]
    pub fn sum(&self) -> MemoryUse {
        let mut sum = MemoryUse::default();
        for share in &self.cores {
            let buffers = share.buffers.load(Ordering::Relaxed);
            sum.data += share.data.load(Ordering::Relaxed);
            sum.discarded += share.discarded.load(Ordering::Relaxed);
            sum.buffers += buffers;
            sum.buffers_counted += buffers.saturating_sub(BUFFERS_FREE);
            sum.journal += share.journal.load(Ordering::Relaxed);
        }
        sum
    }

    /// What all cores use, entered as a peak if it is one.
    pub fn note_peak(&self) -> MemoryUse {
        let sum = self.sum();
        self.peak.fetch_max(sum.used(), Ordering::Relaxed);
        sum
    }

    /// The largest sum that anybody has seen, in bytes.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Forgets larger sums of the past.
    pub fn reset_peak(&self) {
        self.peak.store(self.sum().used(), Ordering::Relaxed);
    }

    /// Enters the sum of a server without data or clients, in bytes.
    pub fn set_startup(&self, bytes: u64) {
        self.startup.store(bytes, Ordering::Relaxed);
    }

    /// The sum of a server without data or clients, in bytes.
    #[must_use]
    pub fn startup(&self) -> u64 {
        self.startup.load(Ordering::Relaxed)
    }

    /// Notes at `now_ms`, in milliseconds since 1970, whether the sum is above the limit.
    pub fn note_exceeded(&self, is_exceeded: bool, now_ms: i64) {
        let since = &self.exceeded_since_ms;
        if is_exceeded {
            if since.load(Ordering::Relaxed) == 0 {
                since.store(now_ms, Ordering::Relaxed);
            }
        } else if since.load(Ordering::Relaxed) != 0 {
            // Of several cores that see the end, one counts it.
            let since_ms = since.swap(0, Ordering::Relaxed);
            if since_ms != 0 {
                let ms = (now_ms - since_ms).max(0).unsigned_abs();
                self.exceeded_ms.fetch_add(ms, Ordering::Relaxed);
            }
        }
    }

    /// For how long the sum has been above the limit: in all, and at a stretch until now, in milliseconds.
    #[must_use]
    pub fn exceeded_ms(&self, now_ms: i64) -> (u64, u64) {
        let current = match self.exceeded_since_ms.load(Ordering::Relaxed) {
            0 => 0,
            since_ms => (now_ms - since_ms).max(0).unsigned_abs(),
        };
        (self.exceeded_ms.load(Ordering::Relaxed) + current, current)
    }
}

/// The part of `excess` that the shard with `own` of `all` bytes of data gives: in proportion, so that a shard with
/// little data is not emptied for one with much.
#[must_use]
pub fn part_of(excess: u64, own: u64, all: u64) -> usize {
    let part = u128::from(excess) * u128::from(own) / u128::from(all.max(1)) + 1;
    usize::try_from(part).unwrap_or(usize::MAX)
}

/// Steps of eviction that `maxmemory-eviction-tenacity` allows at a time: 50 microseconds' worth for each of the first
/// ten, 15 per cent more for each above, without an end at 100.
#[must_use]
pub fn eviction_budget(tenacity: u8) -> usize {
    const STEPS_PER_US: f64 = 8.0;
    let us = match tenacity {
        0..=10 => 50.0 * f64::from(tenacity),
        11..=99 => 500.0 * 1.15_f64.powi(i32::from(tenacity) - 10),
        _ => return usize::MAX,
    };
    (us * STEPS_PER_US) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_count_beyond_what_is_free() {
        let shares = MemoryShares::new(2);
        shares.set_data(0, 100);
        shares.set_data(1, 50);
        shares.set_buffers(0, 1000);
        shares.set_buffers(1, BUFFERS_FREE + 7);
        shares.set_journal(1, 3);
        let sum = shares.note_peak();
        assert_eq!((sum.data, sum.buffers_counted, sum.journal), (150, 7, 3));
        assert_eq!(sum.buffers, BUFFERS_FREE + 1007);
        assert_eq!((sum.counted(), sum.used()), (160, 160 + BUFFERS_FREE + 1000));
        shares.set_data(0, 0);
        assert_eq!((shares.sum().counted(), shares.peak()), (60, sum.used()));
        shares.reset_peak();
        assert_eq!(shares.peak(), shares.sum().used());
    }

    #[test]
    fn time_above_the_limit_adds_up() {
        let shares = MemoryShares::new(1);
        shares.note_exceeded(false, 1_000);
        shares.note_exceeded(true, 2_000);
        shares.note_exceeded(true, 2_500);
        assert_eq!(shares.exceeded_ms(3_000), (1_000, 1_000));
        shares.note_exceeded(false, 3_000);
        shares.note_exceeded(true, 9_000);
        assert_eq!(shares.exceeded_ms(9_100), (1_100, 100));
    }

    #[test]
    fn a_core_is_told_once_until_it_looks() {
        let shares = MemoryShares::new(2);
        assert!(shares.may_tell(1));
        assert!(!shares.may_tell(1));
        shares.has_looked(1);
        assert!(shares.may_tell(1));
        shares.set_exhausted(0, true);
        assert!(!shares.is_exhausted());
        shares.set_exhausted(1, true);
        assert!(shares.is_exhausted());
    }

    #[test]
    fn shards_give_in_proportion_and_together_enough() {
        assert_eq!(part_of(1_000, 300, 400), 751);
        assert_eq!(part_of(1_000, 100, 400), 251);
        assert_eq!(part_of(1_000, 0, 0), 1);
        assert_eq!(part_of(u64::MAX, u64::MAX, 1), usize::MAX);
    }

    #[test]
    fn tenacity_is_time() {
        assert_eq!(eviction_budget(0), 0);
        assert_eq!(eviction_budget(10), 10 * eviction_budget(1));
        assert!(eviction_budget(11) > eviction_budget(10));
        assert!(eviction_budget(99) > 100_000 * eviction_budget(10));
        assert_eq!(eviction_budget(100), usize::MAX);
    }
}
