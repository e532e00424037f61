//! `bench`: server CPU per operation, side by side with Redis. See [`bench::speed`].

use std::process::ExitCode;

use bench::arguments::{self, program, round_count, value};
use bench::clock::{Clock, utc_date};
use bench::output::line;
use bench::process::{allowed_cpus, load_average, machine};
use bench::results;
use bench::server::Binary;
use bench::speed::plan::cells;
use bench::speed::report::Report;
use bench::speed::rounds::{Contender, Role, Settings, run};
use clap::{ArgMatches, Command};

/// A load average above this, before anything was started, comes from somebody else.
const LOAD_QUIET: f64 = 0.5;

/// Servers for comparison: the variables that name their programs.
const PEERS: [&str; 3] = ["REDIS72_BIN", "VALKEY_BIN", "POGOCACHE_BIN"];

fn main() -> ExitCode {
    match measure(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(matches: &ArgMatches) -> Result<(), String> {
    let settings = Settings {
        cells: cells(&value::<String>(matches, "only"))?,
        rounds: round_count(matches),
        quick: matches.get_flag("quick"),
        client: program("BENCHMARK_BIN", "redis-benchmark"),
        cpus: allowed_cpus().map_err(|error| format!("cannot tell the CPUs: {error}"))?,
    };
    let contenders = contenders()?;
    let clock = Clock::start();
    let load_before = load_average();
    if load_before > LOAD_QUIET {
        eprintln!("the machine is busy (load average {load_before}): expect noise");
    }
    let measured = run(&settings, &contenders, |progress| eprintln!("{progress}"))?;
    let report = Report {
        settings: &settings,
        contenders: &contenders,
        measured: &measured,
        date: utc_date(clock.started_unix_us()),
        machine: machine(),
        load_before,
    };
    line(report.markdown());
    results::keep(matches, "", &report.date, &report.markdown(), &report.json())
}

/// Rialto, Redis, and the peers that the environment names.
fn contenders() -> Result<Vec<Contender>, String> {
    let subject = Binary::probe(program("RIALTO_BIN", "target/release/rialto"))
        .map_err(|error| format!("{error}; build it with `make build`, or set RIALTO_BIN"))?;
    let reference = Binary::probe(program("REDIS_BIN", "redis-server"))?;
    let mut contenders = vec![
        Contender { binary: subject, role: Role::Subject },
        Contender { binary: reference, role: Role::Reference },
    ];
    for variable in PEERS {
        let path = program(variable, "");
        if !path.as_os_str().is_empty() {
            contenders.push(Contender { binary: Binary::probe(path)?, role: Role::Peer });
        }
    }
    Ok(contenders)
}

fn command() -> Command {
    Command::new("bench")
        .about("Measures server CPU per operation, side by side with Redis")
        .after_help(
            "Programs, by environment variable: RIALTO_BIN (target/release/rialto), REDIS_BIN \
             (redis-server), BENCHMARK_BIN (redis-benchmark); and for comparison REDIS72_BIN, \
             VALKEY_BIN, POGOCACHE_BIN.",
        )
        .arg(arguments::rounds())
        .arg(arguments::quick())
        .arg(arguments::only("Cells to measure, such as 1shard:P16:GET or everysec,2shards:P64"))
        .arg(arguments::out_by_default())
        .arg(arguments::name())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
