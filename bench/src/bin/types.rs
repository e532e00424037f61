//! `types`: server CPU per operation of every data type, and time against size. See [`bench::types`].

use std::process::ExitCode;

use bench::arguments::{self, program, round_count, value};
use bench::clock::{Clock, utc_date};
use bench::output::{Table, line};
use bench::process::{allowed_cpus, load_average, machine};
use bench::results;
use bench::server::Binary;
use bench::types::plan::{Cell, SIZES, ratios, sizes};
use bench::types::{Samples, cpu_us, run};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

fn main() -> ExitCode {
    match measure(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("types: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(matches: &ArgMatches) -> Result<(), String> {
    let rounds = round_count(matches);
    let part = if matches.get_flag("quick") { 8 } else { 1 };
    let only = value::<String>(matches, "only");
    let words = only.split(',').filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let subject = Binary::probe(program("RIALTO_BIN", "target/release/rialto"))
        .map_err(|error| format!("{error}; build it with `make build`, or set RIALTO_BIN"))?;
    let contenders = [subject, Binary::probe(program("REDIS_BIN", "redis-server"))?];
    let cpus = allowed_cpus().map_err(|error| format!("cannot tell the CPUs: {error}"))?;
    let load_before = load_average();
    let measured = |cells: &[Cell]| {
        run(cells, &contenders, rounds, part, &cpus, |progress| eprintln!("{progress}"))
    };
    let (by_command, by_size) = (ratios(&words), sizes(&words));
    let command_samples = measured(&by_command)?;
    let size_samples = measured(&by_size)?;
    let date = utc_date(Clock::start().started_unix_us());
    let markdown = format!(
        "# Server CPU per operation of the data types, {date}\n\n\
         - Machine: {}, load average before: {load_before:.2}\n- Subject: {}\n- Reference: {}\n\
         - One shard, no log, medians of {rounds} rounds in turn\n\n\
         {}\n\n## Time against size, microseconds at P=16\n\n{}\n",
        machine(),
        contenders[0].version,
        contenders[1].version,
        ratio_table(&by_command, &command_samples),
        size_table(&by_size, &size_samples),
    );
    line(&markdown);
    let cells = [figures(&by_command, &command_samples), figures(&by_size, &size_samples)].concat();
    let json = json!({ "machine": machine(), "load_before": load_before, "cells": cells });
    results::keep(matches, "types", &date, &markdown, &json)
}

fn ratio_table(cells: &[Cell], samples: &Samples) -> String {
    let mut table = Table::new(&["command", "ours, us", "Redis, us", "ratio", "target", ""]);
    for (at, cell) in cells.iter().enumerate() {
        let (ours, theirs) = (cpu_us(samples, 0, at), cpu_us(samples, 1, at));
        let target = cell.target.unwrap_or(1.0);
        let verdict = if ours <= theirs * target { "met" } else { "MISSED" };
        table.row(vec![
            cell.name(),
            format!("{ours:.2}"),
            format!("{theirs:.2}"),
            format!("{:.2}", ours / theirs),
            format!("{target:.1}"),
            verdict.to_owned(),
        ]);
    }
    table.markdown()
}

fn size_table(cells: &[Cell], samples: &Samples) -> String {
    let sizes = SIZES.map(|size| size.to_string());
    let header = ["ours / Redis"].into_iter().chain(sizes.iter().map(String::as_str));
    let mut table = Table::new(&header.collect::<Vec<_>>());
    let mut first = 0;
    for cells in cells.chunk_by(|a, b| a.workload.name == b.workload.name) {
        let mut cols = vec![cells[0].workload.name.to_owned()];
        for size in SIZES {
            let at = cells.iter().position(|cell| cell.size == size);
            cols.push(at.map_or_else(String::new, |at| {
                let cpu_us = |contender| cpu_us(samples, contender, first + at);
                format!("{:.2} / {:.2}", cpu_us(0), cpu_us(1))
            }));
        }
        first += cells.len();
        table.row(cols);
    }
    table.markdown()
}

fn figures(cells: &[Cell], samples: &Samples) -> Vec<Value> {
    let figure = |(at, cell): (usize, &Cell)| {
        json!({
            "cell": cell.name(), "size": cell.size, "pipeline": cell.pipeline, "target": cell.target,
            "cpu_us": samples[0][at], "reference_cpu_us": samples[1][at],
        })
    };
    cells.iter().enumerate().map(figure).collect()
}

fn command() -> Command {
    Command::new("types")
        .about("Measures server CPU per operation of every data type, side by side with Redis")
        .after_help("Programs: RIALTO_BIN (target/release/rialto), REDIS_BIN (redis-server).")
        .arg(arguments::rounds())
        .arg(arguments::quick())
        .arg(arguments::only("Parts of the names of what to measure, such as P16,ZRANK, by commas"))
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
