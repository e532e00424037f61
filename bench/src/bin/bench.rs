//! `bench`: server CPU per operation, side by side with Redis. See [`bench::speed`].

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench::arguments::{program, value};
use bench::clock::{Clock, utc_date};
use bench::output::line;
use bench::process::{allowed_cpus, load_average, machine};
use bench::results;
use bench::server::Binary;
use bench::speed::plan::cells;
use bench::speed::report::Report;
use bench::speed::rounds::{Contender, Role, Settings, run};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

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
    let quick = matches.get_flag("quick");
    let settings = Settings {
        cells: cells(&value::<String>(matches, "only"))?,
        rounds: matches
            .get_one::<u16>("rounds")
            .map_or(if quick { 1 } else { 5 }, |&rounds| rounds.into()),
        quick,
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
    let out = matches.get_one::<PathBuf>("out").cloned();
    // A quick look is not worth keeping, unless somebody says where.
    match out.or_else(|| (!quick).then(|| PathBuf::from(results::DIR))) {
        Some(out) => write(&report, &out, matches.get_one::<String>("name")),
        None => Ok(()),
    }
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

/// Writes `<date>-<name>.md` and `.json`.
fn write(report: &Report<'_>, dir: &Path, name: Option<&String>) -> Result<(), String> {
    let name = name.cloned().or_else(results::commit).unwrap_or_else(|| "local".to_owned());
    results::save(dir, &report.date, &name, &report.markdown(), &report.json())
}

fn command() -> Command {
    Command::new("bench")
        .about("Measures server CPU per operation, side by side with Redis")
        .after_help(
            "Programs, by environment variable: RIALTO_BIN (target/release/rialto), REDIS_BIN \
             (redis-server), BENCHMARK_BIN (redis-benchmark); and for comparison REDIS72_BIN, \
             VALKEY_BIN, POGOCACHE_BIN.",
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_parser(value_parser!(u16).range(1..))
                .help("How many times everything is measured (default: 5, or 1 with --quick)"),
        )
        .arg(
            Arg::new("quick")
                .long("quick")
                .action(ArgAction::SetTrue)
                .help("An eighth of the operations, and nothing written unless --out says where"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                .default_value("")
                .hide_default_value(true)
                .help("Cells to measure, such as 1shard:P16:GET or everysec,2shards:P64"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_parser(value_parser!(PathBuf))
                .help("Directory for the results (default: bench/results)"),
        )
        .arg(Arg::new("name").long("name").help("Name of the results (default: the git commit)"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
