//! Waiting for a condition, bounded: the only place of this crate that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once, in a loaded environment.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// Waits until `condition` holds; false if it does not within `limit`.
pub fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(INTERVAL);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not hold within [`PATIENCE`]; `what` says what was awaited.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(within(PATIENCE, condition), "waited {PATIENCE:?} in vain for: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        until("the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    fn waiting_ends() {
        assert!(!within(Duration::from_millis(1), || false));
    }
}
