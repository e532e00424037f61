//! When an entry was last used: OBJECT IDLETIME, and the order in which `allkeys-lru` evicts.

use crate::call::Now;
use std::cell::Cell;

/// The second in which an entry was last used. Reads set it too, and they only borrow the entry: so it is a cell.
///
/// Seconds since 1970, 32 bits unsigned: good until 2106.
#[derive(Clone, Debug, Default)]
pub struct AccessClock(Cell<u32>);

impl AccessClock {
    /// Sets it to the second of `now`.
    pub fn touch(&self, now: Now) {
        let seconds = seconds(now);
        // A hot key is read many times a second: leave its cache line clean then.
        if self.0.get() != seconds {
            self.0.set(seconds);
        }
    }

    /// The second it was last used in, since 1970.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.0.get()
    }

    /// Seconds since it was last used; 0 if the clock went backwards.
    #[must_use]
    pub fn idle_seconds(&self, now: Now) -> u32 {
        seconds(now).saturating_sub(self.0.get())
    }
}

/// Two entries are equal whenever they were used.
impl PartialEq for AccessClock {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn seconds(now: Now) -> u32 {
    u32::try_from(now.unix_us / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_counts_whole_seconds_and_never_goes_below_zero() {
        let clock = AccessClock::default();
        clock.touch(Now { unix_us: 10_999_999 });
        assert_eq!(clock.seconds(), 10);
        assert_eq!(clock.idle_seconds(Now { unix_us: 13_000_000 }), 3);
        assert_eq!(clock.idle_seconds(Now { unix_us: 1_000_000 }), 0);
    }
}
