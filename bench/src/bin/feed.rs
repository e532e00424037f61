//! `feed`: the market-data feed against any Redis-compatible server. See [`bench::feed`].

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::arguments::{duration, value};
use bench::feed::check::check;
use bench::feed::crash::{CrashTest, crash_test};
use bench::feed::{Options, run};
use bench::output::line;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// Exit code for a run that could not begin.
const EXIT_NOT_BEGUN: u8 = 2;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let allow_lost_us = value::<u64>(&matches, "allow-lost-ms").saturating_mul(1000);
    let outcome = if let Some(path) = matches.get_one::<PathBuf>("check") {
        check_record(&value::<String>(&matches, "url"), path, allow_lost_us)
    } else if matches.get_flag("crash-test") {
        run_crash_test(&matches, allow_lost_us)
    } else {
        run(options(&matches)).map(|report| {
            line(report.text());
            report.exit_code(matches.get_flag("survive-disconnect"))
        })
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        eprintln!("feed: {error}");
        EXIT_NOT_BEGUN
    }))
}

fn check_record(url: &str, path: &std::path::Path, allow_lost_us: u64) -> Result<u8, String> {
    let findings = check(url, path, allow_lost_us)?;
    line(findings.summary());
    for violation in &findings.violations {
        line(format!("  {violation}"));
    }
    Ok(u8::from(!findings.violations.is_empty()))
}

fn run_crash_test(matches: &ArgMatches, allow_lost_us: u64) -> Result<u8, String> {
    let test = CrashTest {
        server: value(matches, "server-bin"),
        shards: value(matches, "shards"),
        crashes: value(matches, "crashes"),
        allow_lost_us,
        feed: options(matches),
    };
    test.feed.validate()?;
    if let Err(error) = crash_test(&test) {
        line(format!("FAILED: {error}"));
        return Ok(1);
    }
    line("\ncrash test passed");
    Ok(0)
}

fn options(matches: &ArgMatches) -> Options {
    let records = matches.get_flag("verify-after-restart");
    Options {
        url: value(matches, "url"),
        seed: value(matches, "seed"),
        symbols: value(matches, "symbols"),
        writers: value(matches, "writers"),
        readers: value(matches, "readers"),
        subscribers: value(matches, "subscribers"),
        producers: value(matches, "producers"),
        workers: value(matches, "workers"),
        rate: value(matches, "rate"),
        read_rate: value(matches, "read-rate"),
        task_rate: value(matches, "task-rate"),
        batch: value(matches, "batch"),
        duration: value::<Duration>(matches, "duration"),
        record: matches.get_one::<PathBuf>("state").filter(|_| records).cloned(),
    }
}

fn command() -> Command {
    let count = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .default_value(default)
            .value_parser(value_parser!(usize))
            .help(help)
    };
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).default_value(default).value_parser(value_parser!(u64)).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("feed")
        .about(
            "Runs the market-data feed against a Redis-compatible server and checks what it reads",
        )
        .after_help(
            "Exit codes: 0 all invariants held; 1 one broke; 2 could not begin; 3 connection lost \
             with --survive-disconnect.",
        )
        .arg(
            Arg::new("url")
                .long("url")
                .default_value("redis://127.0.0.1:6379/0")
                .help("redis://[:password@]host:port/db, with ?protocol=resp3 for RESP3"),
        )
        .arg(number("seed", "1", "Seed; the same seed writes the same"))
        .arg(count("symbols", "500", "Symbols, up to 10000"))
        .arg(count("writers", "2", "Writers; they share the symbols"))
        .arg(count("readers", "3", "Readers (HGETALL and GET)"))
        .arg(count("subscribers", "2", "Subscribers of state_update"))
        .arg(count("producers", "1", "Producers of queue:tasks"))
        .arg(count("workers", "2", "Workers of queue:tasks; 0 turns the queue off"))
        .arg(number("rate", "0", "Ticks per second; 0 for as fast as possible"))
        .arg(number("read-rate", "0", "Reads per second; 0 for as fast as possible"))
        .arg(number("task-rate", "500", "Pushes per second of each producer"))
        .arg(count("batch", "8", "Most ticks in one pipeline"))
        .arg(
            Arg::new("duration")
                .long("duration")
                .default_value("10s")
                .value_parser(duration)
                .help("How long to write, such as 10s or 2m"),
        )
        .arg(flag("survive-disconnect", "A lost connection ends the run with exit code 3"))
        .arg(
            flag("verify-after-restart", "Record in --state what is acknowledged")
                .requires("state"),
        )
        .arg(
            Arg::new("state")
                .long("state")
                .value_parser(value_parser!(PathBuf))
                .requires("verify-after-restart")
                .help("File of the record"),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with_all(["crash-test", "state"])
                .help("Compare the server with this record and end"),
        )
        .arg(number("allow-lost-ms", "1000", "What a restart may lose (--check, --crash-test)"))
        .arg(flag("crash-test", "Start --server-bin, kill it in the middle, restart it and check"))
        .arg(
            Arg::new("server-bin")
                .long("server-bin")
                .default_value("target/release/rialto")
                .value_parser(value_parser!(PathBuf))
                .help("Server program of --crash-test: rialto, redis-server or valkey-server"),
        )
        .arg(count("shards", "2", "Shards of the server of --crash-test"))
        .arg(
            Arg::new("crashes")
                .long("crashes")
                .default_value("1")
                .value_parser(value_parser!(u32))
                .help("How many times --crash-test kills the server"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_its_defaults_are_those_of_the_library() {
        command().debug_assert();
        let from_command_line = options(&command().get_matches_from(["feed"]));
        assert_eq!(format!("{from_command_line:?}"), format!("{:?}", Options::default()));
    }
}
