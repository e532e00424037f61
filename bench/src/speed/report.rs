//! The result of a run: Markdown for people, JSON for programs.

use serde_json::{Value, json};

use super::plan::{PIPELINES, ROWS};
use super::rounds::{Contender, Measured, Role, Settings};
use super::sample::{CONNECTION_COUNT, KEY_COUNT, Sample, VALUE_SIZE};
use crate::output::Table;

/// All that was measured, and where.
#[derive(Debug)]
pub struct Report<'a> {
    /// How it was measured.
    pub settings: &'a Settings,
    /// Who took part.
    pub contenders: &'a [Contender],
    /// The samples.
    pub measured: &'a [Measured],
    /// UTC date.
    pub date: String,
    /// CPU, number of CPUs and kernel.
    pub machine: String,
    /// Load average of the machine when the run began.
    pub load_before: f64,
}

impl Report<'_> {
    /// The report as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut parts = vec![format!("# Server CPU per operation, {}", self.date), self.setup()];
        if self.index_of(Role::Subject).is_some() {
            parts.push("## Ratios to the reference".to_owned());
            parts.push(self.ratios().markdown());
        }
        parts.push("## Microseconds of server CPU per operation".to_owned());
        parts.push(self.details().markdown());
        parts.push("## Seen by the client".to_owned());
        parts.push(self.client_view().markdown());
        parts.join("\n\n") + "\n"
    }

    /// Everything, each sample included.
    #[must_use]
    pub fn json(&self) -> Value {
        let contenders: Vec<Value> = self
            .contenders
            .iter()
            .map(|contender| {
                json!({
                    "version": contender.binary.version,
                    "role": format!("{:?}", contender.role).to_lowercase(),
                })
            })
            .collect();
        let cells: Vec<Value> =
            self.measured.iter().map(|measured| self.cell_json(measured)).collect();
        json!({
            "date": self.date,
            "machine": self.machine,
            "load_before": self.load_before,
            "rounds": self.settings.rounds,
            "quick": self.settings.quick,
            "keys": KEY_COUNT,
            "value_bytes": VALUE_SIZE,
            "connections": CONNECTION_COUNT,
            "contenders": contenders,
            "cells": cells,
        })
    }

    fn cell_json(&self, measured: &Measured) -> Value {
        let contenders: Vec<Value> = (0..self.contenders.len())
            .filter(|&index| !measured.samples[index].is_empty())
            .map(|index| {
                let samples = &measured.samples[index];
                let figure =
                    |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<_>>();
                json!({
                    "version": self.contenders[index].binary.version,
                    "cpu_us": figure(|sample| sample.cpu_us),
                    "per_second": figure(|sample| sample.per_second),
                    "p50_ms": figure(|sample| sample.p50_ms),
                    "ratio": self.index_of(Role::Reference)
                        .and_then(|reference| measured.ratio(index, reference)),
                })
            })
            .collect();
        json!({
            "row": measured.cell.row.id,
            "pipeline": measured.cell.pipeline,
            "command": measured.cell.operation.name(),
            "operations": measured.cell.operations(self.settings.quick),
            "target": measured.cell.target,
            "contenders": contenders,
        })
    }

    /// The first contender with this role.
    fn index_of(&self, role: Role) -> Option<usize> {
        self.contenders.iter().position(|contender| contender.role == role)
    }

    /// Machine, versions and parameters, as a list.
    fn setup(&self) -> String {
        let mut lines =
            vec![format!("- Machine: {}, load average before: {}", self.machine, self.load_before)];
        for contender in self.contenders {
            lines.push(format!("- {:?}: {}", contender.role, contender.binary.version));
        }
        lines.push(format!(
            "- Load: redis-benchmark -r {KEY_COUNT} -d {VALUE_SIZE} -c {CONNECTION_COUNT}, medians of {} \
             rounds in turn{}",
            self.settings.rounds,
            if self.settings.quick { ", quick: fewer operations, more noise" } else { "" },
        ));
        lines.join("\n")
    }

    /// The table of the targets: rows as [`ROWS`], columns as [`PIPELINES`].
    fn ratios(&self) -> Table {
        let mut table = Table::new(&["ratio (target)", "P=1", "P=16", "P=64"]);
        for row in ROWS {
            for &operation in row.commands {
                let cell = |pipeline: u64| {
                    let found = self.measured.iter().find(|measured| {
                        let cell = &measured.cell;
                        (cell.row.id, cell.pipeline, cell.operation)
                            == (row.id, pipeline, operation)
                    });
                    found
                        .and_then(|measured| self.verdict(measured))
                        .unwrap_or_else(|| "-".to_owned())
                };
                let mut cells = vec![format!("{}, {}", row.title, operation.name())];
                cells.extend(PIPELINES.into_iter().map(cell));
                if cells[1..].iter().any(|cell| cell != "-") {
                    table.row(cells);
                }
            }
        }
        table
    }

    /// The subject's ratio beside its target, and whether it is met.
    fn verdict(&self, measured: &Measured) -> Option<String> {
        let ratio =
            measured.ratio(self.index_of(Role::Subject)?, self.index_of(Role::Reference)?)?;
        let target = measured.cell.target;
        let verdict = if ratio <= target { "met" } else { "MISSED" };
        Some(format!("{ratio:.2} ({target:.2}) {verdict}"))
    }

    /// CPU per operation of every contender, with the ratio and its spread over the rounds.
    fn details(&self) -> Table {
        let reference = self.index_of(Role::Reference);
        let mut table = self.table_by_contender("cell");
        for measured in self.measured {
            table.row(self.row_of(measured, |index| {
                let cpu_us = measured.median(index, |sample| sample.cpu_us)?;
                let Some(reference) = reference.filter(|&reference| reference != index) else {
                    return Some(format!("{cpu_us:.3}"));
                };
                let ratio = measured.ratio(index, reference)?;
                let ratios = measured.ratios(index, reference);
                let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let high = ratios.iter().copied().fold(0.0, f64::max);
                Some(format!("{cpu_us:.3} = {ratio:.2} ({low:.2}-{high:.2})"))
            }));
        }
        table
    }

    /// Throughput and median latency of every contender.
    fn client_view(&self) -> Table {
        let mut table = self.table_by_contender("k operations/s, p50 ms");
        for measured in self.measured {
            table.row(self.row_of(measured, |index| {
                let per_second = measured.median(index, |sample| sample.per_second)?;
                let p50_ms = measured.median(index, |sample| sample.p50_ms)?;
                Some(format!("{:.0}, {p50_ms:.3}", per_second / 1000.0))
            }));
        }
        table
    }

    fn table_by_contender(&self, corner: &str) -> Table {
        let mut header = vec![corner];
        header.extend(self.contenders.iter().map(|contender| contender.binary.version.as_str()));
        Table::new(&header)
    }

    fn row_of(&self, measured: &Measured, text: impl Fn(usize) -> Option<String>) -> Vec<String> {
        let mut cells = vec![format!("{} {}", measured.cell.row.id, measured.cell.name())];
        let texts =
            (0..self.contenders.len()).map(|index| text(index).unwrap_or_else(|| "-".into()));
        cells.extend(texts);
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Binary, Flavor};
    use crate::speed::plan::cells;

    fn contender(version: &str, role: Role) -> Contender {
        let binary =
            Binary { path: "x".into(), flavor: Flavor::Redis, version: version.to_owned() };
        Contender { binary, role }
    }

    #[test]
    fn a_report_gives_ratio_target_and_verdict() {
        let cells = cells("1shard:P1:GET,1shard:P16:GET").unwrap();
        let settings = Settings {
            cells: cells.clone(),
            rounds: 1,
            quick: true,
            client: "c".into(),
            cpus: vec![0],
        };
        let contenders =
            [contender("rialto 0.1.0", Role::Subject), contender("redis 7", Role::Reference)];
        let sample = |cpu_us| vec![Sample { cpu_us, per_second: 90_000.0, p50_ms: 0.25 }];
        let measured: Vec<Measured> = cells
            .into_iter()
            .map(|cell| Measured { cell, samples: vec![sample(3.5), sample(5.0)] })
            .collect();
        let report = Report {
            settings: &settings,
            contenders: &contenders,
            measured: &measured,
            date: "2025-01-01".to_owned(),
            machine: "m".to_owned(),
            load_before: 0.1,
        };
        let text = report.markdown();
        assert!(text.contains("0.70 (1.00) met"), "{text}");
        assert!(text.contains("0.70 (0.60) MISSED"), "{text}");
        assert!(text.contains("3.500 = 0.70 (0.70-0.70)"), "{text}");
        assert!(text.contains("90, 0.250"), "{text}");
        let json = report.json();
        assert_eq!(json["cells"][1]["pipeline"], 16);
        assert_eq!(json["cells"][1]["contenders"][0]["cpu_us"][0], 3.5);
        assert_eq!(json["cells"][1]["contenders"][0]["ratio"], 0.7);
    }
}
