//! `idle`: what connections cost that do nothing, ours against Redis. See [`bench::idle`].

use std::process::ExitCode;

use bench::arguments::{program, value};
use bench::idle::{bytes_per_connection, measure};
use bench::output::{Table, line, median};
use bench::process::{machine, raise_file_limit};
use bench::server::Binary;
use clap::{Arg, ArgMatches, Command, value_parser};

/// Numbers of connections that are measured.
const COUNTS: [usize; 2] = [1_000, 5_000];

fn main() -> ExitCode {
    match compare(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(matches: &ArgMatches) -> Result<(), String> {
    raise_file_limit().map_err(|error| format!("cannot raise the limit of open files: {error}"))?;
    let rounds = value::<u16>(matches, "rounds");
    let shards = usize::from(value::<u16>(matches, "shards"));
    let mut table = Table::new(&[
        "server",
        "RSS with none, KiB",
        "bytes each at 1,000",
        "bytes each at 5,000",
        "CPU at 5,000, % of a core",
    ]);
    for path in
        [program("RIALTO_BIN", "target/release/rialto"), program("REDIS_BIN", "redis-server")]
    {
        let binary = Binary::probe(path)?;
        let mut figures = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            let measured = measure(&binary, shards, &COUNTS)?;
            let [none, few, many] = measured[..] else { unreachable!("none and both counts") };
            let round = [
                none.resident_bytes as f64 / 1024.0,
                bytes_per_connection(&none, &few),
                bytes_per_connection(&none, &many),
                many.cpu_part * 100.0,
            ];
            for (figure, value) in figures.iter_mut().zip(round) {
                figure.push(value);
            }
        }
        let [resident, few, many, cpu] = figures.map(|values| median(&values));
        let figures = [format!("{resident:.0}"), format!("{few:.0}"), format!("{many:.0}")];
        let mut cells = vec![binary.version];
        cells.extend(figures);
        cells.push(format!("{cpu:.2}"));
        table.row(cells);
    }
    line(format!("Idle connections, medians of {rounds} rounds, {}\n", machine()));
    line(table.markdown());
    Ok(())
}

fn command() -> Command {
    let count = |name: &'static str, default: &'static str, help: &'static str| {
        let parser = value_parser!(u16).range(1..);
        Arg::new(name).long(name).default_value(default).value_parser(parser).help(help)
    };
    Command::new("idle")
        .about("Measures resident bytes per idle connection, ours against Redis")
        .after_help("Programs: RIALTO_BIN (target/release/rialto), REDIS_BIN (redis-server).")
        .arg(count("rounds", "3", "How many times everything is measured"))
        .arg(count("shards", "1", "Shards of Rialto"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
