//! How an entry has been used: 24 bits, which the policy in force reads as *when* or as *how often*.
//!
//! ```text
//! LRU policies, and none:   23 . . . . . . . . . . . . 0      seconds since 1970, modulo 2^24 (194 days)
//! LFU policies:             23 . . . . . . 8  7 . . . . 0     minutes since 1970, modulo 2^16 | counter
//! ```
//! OBJECT IDLETIME and OBJECT FREQ show them; eviction orders keys by them. A change of policy leaves the bits as they
//! are, as in Redis: they mean something else then, until the key is used again.
//!
//! The counter of LFU is logarithmic (Morris 1978): a use raises a counter `c` with probability
//! `1 / ((c - 5) * lfu-log-factor + 1)`, so 255 stands for about a million uses at the default factor 10. It falls by
//! one for each `lfu-decay-time` minutes without a use.

use crate::call::Now;
use crate::rng::Rng;

/// The bits that are used.
const MASK: u32 = 0x00FF_FFFF;
/// Minutes are kept modulo 2^16.
const MINUTES_MASK: u32 = 0xFFFF;
/// The counter of a new key: it gets a chance to be used before it is the first to leave.
const COUNTER_NEW: u8 = 5;
/// A moment that lies so many seconds ahead, and no further, is one of a clock that has been set back: an idle time of
/// 0 and not of half a year.
const SET_BACK_MAX_S: u32 = 86_400;

/// What a use of a key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseRule {
    /// When it was.
    Recency,
    /// How many there were.
    Frequency {
        /// `lfu-log-factor`: how much harder each step of the counter is than the one before.
        log_factor: u32,
        /// `lfu-decay-time`: minutes without a use that lower the counter by one; 0: nothing does.
        decay_minutes: u32,
    },
}

/// How an entry has been used, in 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// Of an entry that has just been made.
    #[must_use]
    pub fn new(now: Now, rule: UseRule) -> Self {
        match rule {
            UseRule::Recency => Access(seconds(now) & MASK),
            UseRule::Frequency { .. } => Access::with_frequency(now, COUNTER_NEW),
        }
    }

    /// Of an entry that was last used `idle_seconds` ago, as an LRU policy sees it.
    #[must_use]
    pub fn with_idle(now: Now, idle_seconds: u32) -> Self {
        Access(seconds(now).wrapping_sub(idle_seconds) & MASK)
    }

    /// Of an entry whose counter is `counter`, as an LFU policy sees it.
    #[must_use]
    pub fn with_frequency(now: Now, counter: u8) -> Self {
        Access(minutes(now) << 8 | u32::from(counter))
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

    /// The same after one more use.
    #[must_use]
    #[inline]
    pub fn used(self, now: Now, rule: UseRule, rng: &mut Rng) -> Self {
        match rule {
            UseRule::Recency => Access(seconds(now) & MASK),
            UseRule::Frequency { log_factor, .. } => {
                let counter = self.frequency(now, rule);
                let steps = u64::from(counter.saturating_sub(COUNTER_NEW)) * u64::from(log_factor);
                let is_raised = (u128::from(rng.next_u64()) * u128::from(steps + 1)) >> 64 == 0;
                Access::with_frequency(now, counter.saturating_add(u8::from(is_raised)))
            }
        }
    }

    /// Seconds since it was last used, up to 194 days; 0 if the clock has been set back. Means something under LRU
    /// policies.
    #[must_use]
    pub fn idle_seconds(self, now: Now) -> u32 {
        let idle = seconds(now).wrapping_sub(self.0) & MASK;
        if idle > MASK - SET_BACK_MAX_S { 0 } else { idle }
    }

    /// Its counter, lowered by the time that has passed. Means something under LFU policies.
    #[must_use]
    pub fn frequency(self, now: Now, rule: UseRule) -> u8 {
        let counter = (self.0 & 0xFF) as u8;
        let UseRule::Frequency { decay_minutes: period @ 1.., .. } = rule else { return counter };
        let idle_minutes = minutes(now).wrapping_sub(self.0 >> 8) & MINUTES_MASK;
        let periods = idle_minutes / period;
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }
}

/// Seconds since 1970, modulo 2^32.
fn seconds(now: Now) -> u32 {
    (now.unix_us / 1_000_000) as u32
}

/// Minutes since 1970, modulo 2^16.
fn minutes(now: Now) -> u32 {
    ((now.unix_us / 60_000_000) as u32) & MINUTES_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: UseRule = UseRule::Frequency { log_factor: 10, decay_minutes: 1 };

    fn at_s(unix_s: i64) -> Now {
        Now { unix_us: unix_s * 1_000_000 + 999_999 }
    }

    fn counter_after(uses: usize, rule: UseRule) -> u8 {
        let mut rng = Rng::new(7);
        let mut access = Access::new(at_s(0), rule);
        for _ in 0..uses {
            access = access.used(at_s(0), rule, &mut rng);
        }
        access.frequency(at_s(0), rule)
    }

    #[test]
    fn idle_time_counts_whole_seconds_and_goes_round_after_194_days() {
        let access = Access::new(at_s(10), UseRule::Recency);
        assert_eq!(access.idle_seconds(at_s(10)), 0);
        assert_eq!(access.idle_seconds(at_s(13)), 3);
        let days = 190 * 86_400;
        assert_eq!(access.idle_seconds(at_s(10 + days)), 190 * 86_400);
        let late = i64::from(MASK) - 5;
        assert_eq!(Access::new(at_s(late), UseRule::Recency).idle_seconds(at_s(late + 20)), 20);
        assert_eq!(Access::with_idle(at_s(1_000), 70).idle_seconds(at_s(1_000)), 70);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_old() {
        let access = Access::new(at_s(100_000), UseRule::Recency);
        assert_eq!(access.idle_seconds(at_s(99_999)), 0);
        assert_eq!(access.idle_seconds(at_s(100_000 - i64::from(SET_BACK_MAX_S))), 0);
    }

    #[test]
    fn the_counter_is_logarithmic() {
        assert_eq!(counter_after(0, DEFAULTS), COUNTER_NEW);
        assert!((8..=14).contains(&counter_after(100, DEFAULTS)));
        assert!((14..=24).contains(&counter_after(1_000, DEFAULTS)));
        assert!((100..=190).contains(&counter_after(100_000, DEFAULTS)));
        let steep = UseRule::Frequency { log_factor: 0, decay_minutes: 1 };
        assert_eq!(counter_after(100, steep), 105);
        assert_eq!(counter_after(1_000, steep), 255);
    }

    #[test]
    fn the_counter_falls_with_the_minutes() {
        let access = Access::with_frequency(at_s(0), 100);
        let rule = |decay_minutes| UseRule::Frequency { log_factor: 10, decay_minutes };
        assert_eq!(access.frequency(at_s(59), rule(1)), 100);
        assert_eq!(access.frequency(at_s(600), rule(1)), 90);
        assert_eq!(access.frequency(at_s(600), rule(3)), 97);
        assert_eq!(access.frequency(at_s(60_000), rule(1)), 0);
        assert_eq!(access.frequency(at_s(60_000), rule(0)), 100);
    }

    #[test]
    fn stored_bits_come_back() {
        let access = Access::with_frequency(at_s(1_700_000_000), 200);
        assert!(access.bits() <= MASK);
        assert_eq!(Access::from_bits(access.bits()), access);
        assert_eq!(Access::from_bits(u32::MAX).bits(), MASK);
    }
}
