//! `atomic`: server CPU of transactions, scripts and commands of many keys. See [`bench::atomic`].

use std::process::ExitCode;

use bench::arguments::{self, program, round_count, value};
use bench::atomic::{CELLS, Cell, cpu_us, exec_p99_us};
use bench::clock::{Clock, utc_date};
use bench::output::{Table, line, median};
use bench::process::{allowed_cpus, load_average, machine};
use bench::results;
use bench::server::Binary;
use clap::{ArgMatches, Command};
use serde_json::json;

/// How many times slower EXEC over two shards may be than on one.
const EXEC_TARGET: f64 = 3.0;
/// `--only` word that asks for the latency of EXEC.
const EXEC: &str = "EXEC";

/// Samples of a cell: ours and those of the reference, by round.
type Samples = [Vec<f64>; 2];

fn main() -> ExitCode {
    match measure(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("atomic: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(matches: &ArgMatches) -> Result<(), String> {
    let rounds = round_count(matches);
    let part = if matches.get_flag("quick") { 8 } else { 1 };
    let only = value::<String>(matches, "only");
    let is_asked = |name: &str| only.split(',').any(|word| name.contains(word));
    let subject = Binary::probe(program("RIALTO_BIN", "target/release/rialto"))
        .map_err(|error| format!("{error}; build it with `make build`, or set RIALTO_BIN"))?;
    let contenders = [subject, Binary::probe(program("REDIS_BIN", "redis-server"))?];
    let cpus = allowed_cpus().map_err(|error| format!("cannot tell the CPUs: {error}"))?;
    let load_before = load_average();
    let cells: Vec<&Cell> = CELLS.iter().filter(|cell| is_asked(cell.name)).collect();
    let mut samples = vec![Samples::default(); cells.len()];
    let mut exec_us = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            // Who was first in one round is last in the next.
            let index = (round + turn) % contenders.len();
            let binary = &contenders[index];
            eprintln!("round {} of {rounds}: {}", round + 1, binary.version);
            for (cell, samples) in cells.iter().zip(&mut samples) {
                samples[index].push(cpu_us(binary, cell, &cpus, part)?);
            }
        }
        if is_asked(EXEC) {
            let p99 = exec_p99_us(&contenders[0], &cpus, part)?;
            exec_us.iter_mut().zip(p99).for_each(|(all, us)| all.push(us));
        }
    }
    let date = utc_date(Clock::start().started_unix_us());
    let mut markdown = format!(
        "# Atomic operations, {date}\n\n\
         - Machine: {}, load average before: {load_before:.2}\n- Subject: {}\n- Reference: {}\n\
         - No log, medians of {rounds} rounds in turn\n\n\
         ## Microseconds of server CPU\n\n{}\n",
        machine(),
        contenders[0].version,
        contenders[1].version,
        ratio_table(&cells, &samples),
    );
    if is_asked(EXEC) {
        markdown.push_str(&exec_line(&exec_us));
    }
    line(&markdown);
    let figures = cells.iter().zip(&samples).map(|(cell, [ours, theirs])| {
        json!({ "cell": cell.name, "target": cell.target, "us": ours, "reference_us": theirs })
    });
    let json = json!({
        "machine": machine(), "load_before": load_before, "cells": figures.collect::<Vec<_>>(),
        "exec_p99_us": exec_us,
    });
    results::keep(matches, "atomic", &date, &markdown, &json)
}

fn ratio_table(cells: &[&Cell], samples: &[Samples]) -> String {
    let mut table = Table::new(&["operation", "shards", "ours", "Redis", "ratio", "target", ""]);
    for (cell, [ours, theirs]) in cells.iter().zip(samples) {
        let (ours, theirs) = (median(ours), median(theirs));
        table.row(vec![
            cell.name.to_owned(),
            cell.shards.to_string(),
            format!("{ours:.2}"),
            format!("{theirs:.2}"),
            format!("{:.2}", ours / theirs),
            format!("{:.1}", cell.target),
            verdict(ours / theirs, cell.target).to_owned(),
        ]);
    }
    table.markdown()
}

fn exec_line([one, two]: &[Vec<f64>; 2]) -> String {
    let (one, two) = (median(one), median(two));
    format!(
        "\nEXEC of two SETs, one client, 99th percentile: {one:.0} us on one shard, {two:.0} us over two: \
         {:.2} times (target {EXEC_TARGET:.1}), {}\n",
        two / one,
        verdict(two / one, EXEC_TARGET),
    )
}

fn verdict(ratio: f64, target: f64) -> &'static str {
    if ratio <= target { "met" } else { "MISSED" }
}

fn command() -> Command {
    Command::new("atomic")
        .about(
            "Measures server CPU of transactions, scripts and commands of many keys, beside Redis",
        )
        .after_help("Programs: RIALTO_BIN (target/release/rialto), REDIS_BIN (redis-server).")
        .arg(arguments::rounds())
        .arg(arguments::quick())
        .arg(arguments::only("Parts of the names of what to measure, such as MSET,EXEC, by commas"))
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
