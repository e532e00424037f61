//! Reading what the command lines of this crate's programs have in common.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

/// Reads a duration such as `500ms`, `10s` or `2m`; a bare number is seconds.
///
/// # Errors
/// Says what is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits_end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let unit_ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    match ms {
        Some(ms) if unit_ms > 0 && ms <= DURATION_MAX_MS => Ok(Duration::from_millis(ms)),
        _ => Err("expected a duration of at most a year, such as 500ms, 10s or 2m".to_owned()),
    }
}

const DURATION_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// The value of an option that has a default.
#[must_use]
pub fn value<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).expect("the option has a default").clone()
}

/// The path of a program: what the environment variable says, if it is set and not empty.
#[must_use]
pub fn program(variable: &str, default: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) if !path.is_empty() => path.into(),
        _ => default.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "s", "-1s", "1.5s", "10 s", "9999999999999999h", "1y"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
