//! `hits`: the hit ratio of a cache under Zipf traces, ours against Redis. See [`bench::hits`].

use std::path::PathBuf;
use std::process::ExitCode;

use bench::arguments::{self, program, value};
use bench::clock::{Clock, utc_date};
use bench::hits::{Hits, Trace, measure};
use bench::output::{Table, line};
use bench::process::machine;
use bench::results;
use bench::server::Binary;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;

/// How unevenly keys are asked for.
const EXPONENTS: [f64; 3] = [0.8, 1.0, 1.2];

fn main() -> ExitCode {
    match compare(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hits: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(matches: &ArgMatches) -> Result<(), String> {
    let subject = Binary::probe(program("RIALTO_BIN", "target/release/rialto"))?;
    let reference = Binary::probe(program("REDIS_BIN", "redis-server"))?;
    let shards = usize::from(value::<u16>(matches, "shards"));
    let policies = value::<String>(matches, "policies");
    let mut table = Table::new(&[
        "policy, exponent",
        &subject.version,
        &reference.version,
        "difference, points",
        "keys held, %",
    ]);
    let mut cells = Vec::new();
    for policy in policies.split(',') {
        for exponent in EXPONENTS {
            let trace = Trace {
                key_count: value::<u32>(matches, "keys") as usize,
                request_count: value::<u32>(matches, "requests") as usize,
                rate: value::<u32>(matches, "rate") as usize,
                exponent,
                value_len: 100,
                seed: 7,
            };
            let ours = measure(&subject, shards, policy, &trace)?;
            let theirs = measure(&reference, 1, policy, &trace)?;
            eprintln!("{policy} {exponent}: {ours:?} {theirs:?}");
            table.row(vec![
                format!("{policy}, {exponent:.1}"),
                percent(ours.ratio),
                percent(theirs.ratio),
                format!("{:+.2}", 100.0 * (ours.ratio - theirs.ratio)),
                format!("{} / {}", percent(ours.held), percent(theirs.held)),
            ]);
            let figures = |hits: Hits| json!({"ratio": hits.ratio, "held": hits.held});
            cells.push(json!({
                "policy": policy, "exponent": exponent,
                "subject": figures(ours), "reference": figures(theirs),
            }));
        }
    }
    let markdown = format!(
        "# Hit ratios in per cent, a tenth of the keys fits, {shards} shards\n\n{}\n\n{}\n",
        machine(),
        table.markdown()
    );
    line(&markdown);
    let Some(out) = matches.get_one::<PathBuf>("out") else { return Ok(()) };
    let date = utc_date(Clock::start().started_unix_us());
    let name = results::name(matches, "hits");
    results::save(out, &date, &name, &markdown, &json!({ "shards": shards, "cells": cells }))
}

fn percent(part: f64) -> String {
    format!("{:.2}", 100.0 * part)
}

fn command() -> Command {
    let count = |name: &'static str, default: &'static str, help: &'static str| {
        let parser = value_parser!(u32).range(1_000..);
        Arg::new(name).long(name).default_value(default).value_parser(parser).help(help)
    };
    let shards = value_parser!(u16).range(1..);
    Command::new("hits")
        .about("Measures the hit ratio of a cache under Zipf traces, ours against Redis")
        .after_help("Programs: RIALTO_BIN (target/release/rialto), REDIS_BIN (redis-server).")
        .arg(count("keys", "100000", "Different keys"))
        .arg(count("requests", "1000000", "Requests; hits count in the second half"))
        .arg(count("rate", "50000", "Requests per second"))
        .arg(
            Arg::new("policies")
                .long("policies")
                .default_value("allkeys-lru,allkeys-lfu")
                .help("Policies to measure, separated by commas"),
        )
        .arg(
            Arg::new("shards")
                .long("shards")
                .default_value("1")
                .value_parser(shards)
                .help("Shards of Rialto"),
        )
        .arg(arguments::out("Directory for the results; nothing is written without it"))
        .arg(arguments::name())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
