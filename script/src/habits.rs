//! Where a script has been seen to go: whether it keeps to the shard of its keys.
//!
//! Read before every run whose text does not show what it touches; written on the rare runs that say something new.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Runs that must have kept to the shard of their keys before a script is expected to.
pub const HOME_RUN_MIN: u32 = 64;

/// What has been seen of a script or function.
#[derive(Debug, Default)]
pub struct Habits {
    home_run_count: AtomicU32,
    has_wandered: AtomicBool,
}

impl Habits {
    /// Whether it is expected to keep to the shard of its keys.
    #[must_use]
    pub fn keeps_home(&self) -> bool {
        self.home_run_count.load(Ordering::Relaxed) >= HOME_RUN_MIN
            && !self.has_wandered.load(Ordering::Relaxed)
    }

    /// It has run to its end, could have touched anything, and has kept to the shard of its keys.
    pub fn note_home_run(&self) {
        if self.home_run_count.load(Ordering::Relaxed) < HOME_RUN_MIN {
            self.home_run_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has touched a key of another shard: nobody will expect it to keep to one any more.
    pub fn note_wandering(&self) {
        self.has_wandered.store(true, Ordering::Relaxed);
    }
}

/// Two functions that say the same of themselves are equal, whatever has been seen of them.
impl PartialEq for Habits {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Habits {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_trusted_once_it_has_kept_home_often_and_as_long_as_it_does() {
        let habits = Habits::default();
        for _ in 0..HOME_RUN_MIN {
            assert!(!habits.keeps_home());
            habits.note_home_run();
        }
        assert!(habits.keeps_home());
        habits.note_wandering();
        assert!(!habits.keeps_home());
        habits.note_home_run();
        assert!(!habits.keeps_home());
    }
}
