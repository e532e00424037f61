//! When an entry was last used: OBJECT IDLETIME, and the order in which `allkeys-lru` evicts.

use crate::call::Now;

/// The bits that are stored.
const MASK: u32 = 0x00FF_FFFF;
/// A moment that lies at most so many seconds ahead is one of a clock that has been set back.
const SET_BACK_MAX_S: u32 = 86_400;

/// When an entry was last used: seconds since 1970, modulo 2^24 (194 days). A plain value; the table keeps it beside
/// each entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// Of an entry that has just been made.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Access(seconds(now) & MASK)
    }

    /// The same after one more use.
    #[must_use]
    #[inline]
    pub fn used(self, now: Now) -> Self {
        Access(seconds(now) & MASK)
    }

    /// The same bits from where they were stored; those above the 24th are dropped.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Access(bits & MASK)
    }

    /// The 24 bits, to be stored.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Seconds since it was last used; 0 if the clock has been set back.
    #[must_use]
    pub fn idle_seconds(self, now: Now) -> u32 {
        let idle = seconds(now).wrapping_sub(self.0) & MASK;
        if idle > MASK - SET_BACK_MAX_S { 0 } else { idle }
    }
}

/// Seconds since 1970, modulo 2^32.
fn seconds(now: Now) -> u32 {
    (now.unix_us / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_counts_whole_seconds_and_never_goes_below_zero() {
        let access = Access::new(Now { unix_us: 10_999_999 });
        assert_eq!(access.bits(), 10);
        assert_eq!(Access::from_bits(access.bits()), access);
        assert_eq!(access.idle_seconds(Now { unix_us: 13_000_000 }), 3);
        assert_eq!(access.idle_seconds(Now { unix_us: 1_000_000 }), 0);
    }

    #[test]
    fn the_clock_goes_round() {
        let before = Access::new(Now { unix_us: i64::from(MASK) * 1_000_000 });
        assert_eq!(before.idle_seconds(Now { unix_us: (i64::from(MASK) + 8) * 1_000_000 }), 8);
    }
}
