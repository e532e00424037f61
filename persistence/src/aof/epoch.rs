//! Epochs: what makes the segments of all cores one log.
//!
//! A global counter that advances at least twice a second while something is written. Every frame carries the epoch its
//! core read after it had collected the inputs of its tick. A client that saw the reply of one write and then
//! sends another reads its effect from a later point of the counter, on whatever core; so "all frames up to epoch E" never
//! holds an effect without its cause.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stretch of history, counted from 1; 0 stands for "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Before everything.
    pub const ZERO: Epoch = Epoch(0);

    /// Epoch number `number`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Epoch(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Epoch(self.0.saturating_add(1))
    }

    /// The epoch before this one; that of 0 is 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Epoch(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The global counter, shared by all cores.
///
/// One thread calls [`EpochClock::advance_if_dirty`], twice a second or more often; all cores read it each tick. An idle
/// server does not advance, so it writes nothing.
#[derive(Debug)]
pub struct EpochClock {
    current: AtomicU64,
    /// The latest epoch in which a core wrote.
    dirty: AtomicU64,
}

impl EpochClock {
    /// Starts at `epoch`, as [`Started::epoch`](super::Started::epoch) says after recovery.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        EpochClock { current: AtomicU64::new(epoch.get()), dirty: AtomicU64::new(0) }
    }

    /// The epoch of writes whose inputs were collected before this call.
    #[must_use]
    pub fn current(&self) -> Epoch {
        // Acquire pairs with the Release in `advance_if_dirty`. That a client's cause comes before its effect needs no
        // more than the order of this one location, since the reply that carried the cause went through the kernel.
        Epoch(self.current.load(Ordering::Acquire))
    }

    /// Notes that something was written in `epoch`. Call it after every append; usually it is one relaxed load.
    pub fn mark_dirty(&self, epoch: Epoch) {
        if self.dirty.load(Ordering::Relaxed) < epoch.get() {
            self.dirty.fetch_max(epoch.get(), Ordering::Release);
        }
    }

    /// Begins the next epoch if something was written in the current one; returns whether it did. One caller only.
    pub fn advance_if_dirty(&self) -> bool {
        let current = self.current.load(Ordering::Relaxed);
        // Acquire pairs with the Release in `mark_dirty`.
        let is_dirty = self.dirty.load(Ordering::Acquire) >= current;
        if is_dirty {
            self.current.store(current.saturating_add(1), Ordering::Release);
        }
        is_dirty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_only_when_the_current_epoch_was_written_in() {
        let clock = EpochClock::new(Epoch::new(7));
        assert!(!clock.advance_if_dirty());
        clock.mark_dirty(clock.current());
        assert!(clock.advance_if_dirty());
        assert_eq!(clock.current(), Epoch::new(8));
        assert!(!clock.advance_if_dirty());
        // A slow core reports its write late: the epoch has already moved past it.
        clock.mark_dirty(Epoch::new(7));
        assert!(!clock.advance_if_dirty());
    }
}
