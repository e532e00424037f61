//! A number with one writer and any number of readers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or gauge that one thread writes and others read.
///
/// Writing is a plain load and store (no locked instruction), so a second writer would lose counts:
/// give each core its own. Readers see every value whole, a moment late at most.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Adds to the number; wraps after 2^64. Only the owner may call it.
    #[inline]
    pub fn add(&self, amount: u64) {
        // Relaxed: the number stands for itself, nothing else is published with it.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Adds one. Only the owner may call it.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Replaces the number. Only the owner may call it.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number as it is now. Anyone may call it.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_the_owner_counted() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1000).for_each(|_| tally.increment()));
        });
        tally.add(5);
        assert_eq!(tally.get(), 1005);
        tally.set(3);
        assert_eq!(tally.get(), 3);
    }
}
