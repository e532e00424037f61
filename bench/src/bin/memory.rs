//! `memory`: resident bytes per key and element, side by side with Redis. See [`bench::memory`].

use std::process::ExitCode;

use bench::arguments::{self, program, value};
use bench::clock::{Clock, utc_date};
use bench::memory::churn::{self, Churn};
use bench::memory::data::{ALL, Data};
use bench::memory::stalls::{self, Removal, Stall};
use bench::memory::{Cost, measure};
use bench::output::{Table, line};
use bench::process::machine;
use bench::results;
use bench::server::Binary;
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

/// `--only` word that asks for the churn.
const CHURN: &str = "churn";
/// And the one that asks for stalls.
const STALLS: &str = "stalls";

fn main() -> ExitCode {
    match compare(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(matches: &ArgMatches) -> Result<(), String> {
    let subject = Binary::probe(program("RIALTO_BIN", "target/release/rialto"))
        .map_err(|error| format!("{error}; build it with `make build`, or set RIALTO_BIN"))?;
    let reference = Binary::probe(program("REDIS_BIN", "redis-server"))?;
    let is_quick = matches.get_flag("quick");
    let part = if is_quick { 8 } else { 1 };
    let only = value::<String>(matches, "only");
    let is_asked = |name: &str| only.split(',').any(|word| name.contains(word));
    let mut cells = Vec::new();
    let mut costs = Table::new(&[
        "data",
        "unit",
        &format!("{}, bytes", subject.version),
        &format!("{}, bytes", reference.version),
        "ratio",
        "accounted, bytes",
        "peak while loading",
        "longest table work, µs",
    ]);
    for data in ALL.iter().filter(|data| is_asked(data.name)) {
        let ours = measure(&subject, data, part)?;
        let theirs = measure(&reference, data, part)?;
        eprintln!("{}: {ours:?} {theirs:?}", data.name);
        costs.row(cost_row(data, ours, theirs));
        cells.push(json!({
            "data": data.name, "unit": data.unit,
            "subject": cost_json(ours), "reference": cost_json(theirs),
        }));
    }
    let mut markdown = format!(
        "# Memory, one shard, no log{}\n\n{}\n",
        if is_quick { ", an eighth of the data" } else { "" },
        machine()
    );
    if !cells.is_empty() {
        markdown.push_str(&format!("\n## Resident memory\n\n{}\n", costs.markdown()));
    }
    if is_asked(CHURN) {
        let (text, figures) = churn_report(&subject, &reference, (256 << 20) / part as u64)?;
        markdown.push_str(&text);
        cells.push(figures);
    }
    if is_asked(STALLS) {
        let (text, figures) = stalls_report(&subject, &reference, part)?;
        markdown.push_str(&text);
        cells.push(figures);
    }
    line(&markdown);
    let date = utc_date(Clock::start().started_unix_us());
    let json = json!({ "machine": machine(), "cells": cells });
    results::keep(matches, "memory", &date, &markdown, &json)
}

fn cost_row(data: &Data, ours: Option<Cost>, theirs: Option<Cost>) -> Vec<String> {
    let show = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let ratio = ours.zip(theirs).map(|(ours, theirs)| ours.bytes_each / theirs.bytes_each);
    vec![
        data.name.to_owned(),
        data.unit.to_owned(),
        show(ours.map(|cost| cost.bytes_each), 1),
        show(theirs.map(|cost| cost.bytes_each), 1),
        show(ratio, 2),
        show(ours.map(|cost| cost.accounted_each), 1),
        show(ours.map(|cost| cost.peak), 2),
        show(ours.and_then(|cost| cost.table_longest_us).map(|time| time as f64), 0),
    ]
}

fn cost_json(cost: Option<Cost>) -> Value {
    cost.map_or(Value::Null, |cost| {
        json!({
            "bytes_each": cost.bytes_each, "peak": cost.peak,
            "accounted_each": cost.accounted_each, "table_longest_us": cost.table_longest_us,
        })
    })
}

/// Ours and Redis under churn, as a section of the report.
fn churn_report(
    subject: &Binary,
    reference: &Binary,
    limit: u64,
) -> Result<(String, Value), String> {
    let mut table = Table::new(&["server", "resident, peak", "resident, end", "accounted, end"]);
    let mut figures = Vec::new();
    for (binary, shards) in [(subject, 1), (subject, 2), (reference, 1)] {
        let churned @ Churn { peak, end, accounted } = churn::measure(binary, shards, limit)?;
        eprintln!("churn, {}, {shards} shards: {churned:?}", binary.version);
        let name = match shards {
            1 => binary.version.clone(),
            _ => format!("{}, {shards} shards", binary.version),
        };
        let cells = [peak, end, accounted].map(|ratio| format!("{ratio:.2}"));
        table.row([vec![name], cells.to_vec()].concat());
        figures.push(json!({
            "server": binary.version, "shards": shards, "peak": peak, "end": end,
            "accounted": accounted,
        }));
    }
    let markdown = format!(
        "\n## Values of 8 bytes to 16 KiB that come and go under maxmemory {} MiB, as multiples of it\n\n{}\n",
        limit >> 20,
        table.markdown()
    );
    Ok((markdown, json!({ "churn": figures, "limit": limit })))
}

/// What others notice of large removals, ours and Redis, as a section of the report.
fn stalls_report(
    subject: &Binary,
    reference: &Binary,
    part: usize,
) -> Result<(String, Value), String> {
    let mut table = Table::new(&[
        "removed",
        &format!("{}, longest PING, µs", subject.version),
        &format!("{}, longest PING, µs", reference.version),
        "longest slice, µs",
        "gone after, ms",
    ]);
    let mut figures = Vec::new();
    for removal in Removal::all() {
        let ours = stalls::measure(subject, removal, part)?;
        let theirs = stalls::measure(reference, removal, part)?;
        eprintln!("{}: {ours:?} {theirs:?}", removal.name());
        table.row(vec![
            removal.name(),
            ours.ping_longest_us.to_string(),
            theirs.ping_longest_us.to_string(),
            ours.slice_longest_us.map_or_else(|| "-".to_owned(), |time| time.to_string()),
            format!("{:.1} / {:.1}", ours.gone_ms, theirs.gone_ms),
        ]);
        let json = |stall: Stall| {
            json!({
                "ping_longest_us": stall.ping_longest_us, "gone_ms": stall.gone_ms,
                "slice_longest_us": stall.slice_longest_us,
            })
        };
        figures.push(json!({
            "removed": removal.name(), "subject": json(ours), "reference": json(theirs),
        }));
    }
    let markdown = format!("\n## What others notice of large removals\n\n{}\n", table.markdown());
    Ok((markdown, json!({ "stalls": figures })))
}

fn command() -> Command {
    Command::new("memory")
        .about("Measures resident bytes per key and element, side by side with Redis")
        .after_help("Programs: RIALTO_BIN (target/release/rialto), REDIS_BIN (redis-server).")
        .arg(arguments::quick())
        .arg(arguments::only(
            "Parts of the names of what to measure, separated by commas; churn and stalls are two",
        ))
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
