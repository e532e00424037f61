//! Reading what the command lines of this crate's programs have in common.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

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

/// `--rounds`: how often everything is measured; see [`round_count`].
#[must_use]
pub fn rounds() -> Arg {
    Arg::new("rounds")
        .long("rounds")
        .value_parser(value_parser!(u16).range(1..))
        .help("How many times everything is measured (default: 5, or 1 with --quick)")
}

/// What `--rounds` and `--quick` say together.
#[must_use]
pub fn round_count(matches: &ArgMatches) -> usize {
    let default = if matches.get_flag("quick") { 1 } else { 5 };
    matches.get_one::<u16>("rounds").map_or(default, |&count| count.into())
}

/// `--quick`.
#[must_use]
pub fn quick() -> Arg {
    let help = "An eighth of the work, and nothing written unless --out says where";
    Arg::new("quick").long("quick").action(ArgAction::SetTrue).help(help)
}

/// `--only`, with its help.
#[must_use]
pub fn only(help: &'static str) -> Arg {
    Arg::new("only").long("only").default_value("").hide_default_value(true).help(help)
}

/// `--out`, where results go, with its help.
#[must_use]
pub fn out(help: &'static str) -> Arg {
    Arg::new("out").long("out").value_parser(value_parser!(PathBuf)).help(help)
}

/// `--out` of a program that keeps its results unless `--quick` is given; see [`crate::results::keep`].
#[must_use]
pub fn out_by_default() -> Arg {
    out("Directory for the results (default: bench/results)")
}

/// `--name`.
#[must_use]
pub fn name() -> Arg {
    Arg::new("name").long("name").help("Name of the results (default: the git commit)")
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
