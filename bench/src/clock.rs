//! The only place of this crate that reads a clock.
//!
//! A [`Clock`] is started once per run and handed to every thread, so that all times of a run are on
//! one axis: microseconds since its start. Wall-clock times are the start's wall time plus that, so
//! they never jump while a run lasts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time axis of one run. Copies share the axis.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_unix_us: u64,
}

impl Clock {
    /// A clock that reads zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "measuring is this crate's business")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_unix_us: micros(since_epoch) }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        micros(self.elapsed())
    }

    /// Wall-clock time of the start, in microseconds since 1970.
    #[must_use]
    pub fn started_unix_us(&self) -> u64 {
        self.started_unix_us
    }

    /// Wall-clock time now, in microseconds since 1970.
    #[must_use]
    pub fn unix_us(&self) -> u64 {
        self.started_unix_us + self.elapsed_us()
    }
}

/// The UTC date `YYYY-MM-DD` of a wall-clock time in microseconds since 1970.
#[must_use]
pub fn utc_date(unix_us: u64) -> String {
    let mut days = unix_us / 86_400_000_000;
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

fn is_leap_year(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn days_of_year(year: u64) -> u64 {
    if is_leap_year(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        const DAY_US: u64 = 86_400_000_000;
        assert_eq!(utc_date(0), "1970-01-01");
        assert_eq!(utc_date(DAY_US - 1), "1970-01-01");
        assert_eq!(utc_date(59 * DAY_US), "1970-03-01");
        assert_eq!(utc_date(951_782_400_000_000), "2000-02-29");
        assert_eq!(utc_date(1_735_689_599_999_999), "2024-12-31");
        assert_eq!(utc_date(1_735_689_600_000_000), "2025-01-01");
    }

    #[test]
    fn a_clock_goes_forward() {
        let clock = Clock::start();
        let before_us = clock.unix_us();
        assert!(before_us >= clock.started_unix_us());
        assert!(clock.unix_us() >= before_us);
    }
}
