//! Metrics: cores count, the ops thread reads and prints.
//!
//! Path: a core's [`CoreCounters`] -> [`Metrics::render`] -> `/metrics`. INFO reads the same counters
//! through [`Metrics::totals`], so the two agree.
//! Invariant: reading never makes a core wait, and no number is printed that was not counted or read.

mod names;
mod process;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub use names::{
    CORE_METRICS, CoreCounters, CoreTotals, Metric, MetricKind, PROCESS_METRICS, documentation,
};
pub use tally::Tally;

/// What `rialto_build_info` says.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// Rialto's version.
    pub version: &'static str,
    /// The version of Redis that clients are told.
    pub redis_version: &'static str,
}

/// All metrics of the process. One exists; the server and the ops thread share it.
pub struct Metrics {
    cores: Vec<Arc<CoreCounters>>,
    is_ready: AtomicBool,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// For each core, its instruments in the order of [`CORE_METRICS`].
    instruments: Vec<Vec<Instrument>>,
    started: crate::clock::Stopwatch,
}

/// Where the exporter keeps the last printed value.
enum Instrument {
    Counter(Counter),
    Gauge(Gauge),
}

impl Metrics {
    /// Counters for so many cores, all 0, in a server that is not ready; uptime counts from here.
    #[must_use]
    pub fn new(build: BuildInfo, core_count: usize) -> Metrics {
        let recorder = PrometheusBuilder::new().build_recorder();
        for metric in CORE_METRICS.iter().chain(PROCESS_METRICS) {
            match metric.kind {
                MetricKind::Counter => {
                    recorder.describe_counter(metric.name.into(), None, metric.help.into());
                }
                MetricKind::Gauge => {
                    recorder.describe_gauge(metric.name.into(), None, metric.help.into());
                }
            }
        }
        let instruments = (0..core_count)
            .map(|core| {
                let label = Label::new("core", core.to_string());
                CORE_METRICS
                    .iter()
                    .map(|metric| Instrument::register(&recorder, metric, vec![label.clone()]))
                    .collect()
            })
            .collect();
        let labels = vec![
            Label::from_static_parts("version", build.version),
            Label::from_static_parts("redis_version", build.redis_version),
        ];
        Instrument::register(&recorder, &names::BUILD_INFO, labels).record(1);
        Metrics {
            cores: (0..core_count).map(|_| Arc::default()).collect(),
            is_ready: AtomicBool::new(false),
            handle: recorder.handle(),
            recorder,
            instruments,
            started: crate::clock::Stopwatch::start(),
        }
    }

    /// The counters of a core, for that core to write.
    ///
    /// # Panics
    /// If there are not so many cores.
    #[must_use]
    pub fn core(&self, index: usize) -> Arc<CoreCounters> {
        Arc::clone(&self.cores[index])
    }

    /// All cores together. Cost: a few loads per core.
    #[must_use]
    pub fn totals(&self) -> CoreTotals {
        let mut sum = CoreTotals::default();
        for core in &self.cores {
            sum.add(&core.totals());
        }
        sum
    }

    /// Time since [`Metrics::new`].
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Says whether clients are served: true once data is recovered, false again from the start of a
    /// shutdown. `/readyz` answers by it.
    pub fn set_ready(&self, is_ready: bool) {
        // Release here, Acquire in `is_ready`: who sees true also sees the recovery before it.
        self.is_ready.store(is_ready, Ordering::Release);
    }

    /// What [`Metrics::set_ready`] was told last.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Everything in the Prometheus text format. Cost: some 100 microseconds; reads /proc.
    #[must_use]
    pub fn render(&self) -> String {
        for (core, instruments) in self.cores.iter().zip(&self.instruments) {
            for (instrument, value) in instruments.iter().zip(core.totals().values()) {
                instrument.record(value);
            }
        }
        self.gauge(&names::UPTIME).set(self.uptime().as_secs_f64());
        self.gauge(&names::READY).set(f64::from(u8::from(self.is_ready())));
        let status = process::Status::read();
        let readings = [
            (names::RESIDENT_MEMORY, status.resident_bytes),
            (names::VIRTUAL_MEMORY, status.virtual_bytes),
            (names::THREADS, status.thread_count),
        ];
        for (metric, value) in readings {
            if let Some(value) = value {
                self.gauge(&metric).set(to_f64(value));
            }
        }
        self.handle.render()
    }

    fn gauge(&self, metric: &Metric) -> Gauge {
        self.recorder.register_gauge(&Key::from_static_name(metric.name), &METADATA)
    }
}

const METADATA: Metadata<'_> = Metadata::new("ops", Level::INFO, None);

impl Instrument {
    fn register(recorder: &PrometheusRecorder, metric: &Metric, labels: Vec<Label>) -> Instrument {
        let key = Key::from_parts(metric.name, labels);
        match metric.kind {
            MetricKind::Counter => Instrument::Counter(recorder.register_counter(&key, &METADATA)),
            MetricKind::Gauge => Instrument::Gauge(recorder.register_gauge(&key, &METADATA)),
        }
    }

    fn record(&self, value: u64) {
        match self {
            Instrument::Counter(counter) => counter.absolute(value),
            Instrument::Gauge(gauge) => gauge.set(to_f64(value)),
        }
    }
}

/// Prometheus numbers are doubles: exact up to 2^53, which no gauge of ours reaches.
#[expect(clippy::cast_precision_loss, reason = "gauges stay below 2^53")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: BuildInfo = BuildInfo { version: "0.1.0", redis_version: "7.2.6" };

    fn line(page: &str, start: &str) -> String {
        let mut lines = page.lines().filter(|line| line.starts_with(start));
        let found = lines.next().unwrap_or_else(|| panic!("no line begins with {start}\n{page}"));
        assert_eq!(lines.next(), None, "only one line begins with {start}");
        found.to_owned()
    }

    #[test]
    fn each_core_is_a_line_of_its_own() {
        let metrics = Metrics::new(BUILD, 2);
        metrics.core(0).commands_processed.add(5);
        metrics.core(1).commands_processed.add(7);
        metrics.core(1).keys.set(3);
        let page = metrics.render();
        for expected in [
            "# HELP rialto_commands_processed_total Commands executed for clients of this core.",
            "# TYPE rialto_commands_processed_total counter",
            r#"rialto_commands_processed_total{core="0"} 5"#,
            r#"rialto_commands_processed_total{core="1"} 7"#,
            "# TYPE rialto_keys gauge",
            r#"rialto_keys{core="1"} 3"#,
            r#"rialto_build_info{version="0.1.0",redis_version="7.2.6"} 1"#,
        ] {
            assert_eq!(line(&page, expected), expected);
        }
        assert_eq!(metrics.totals().commands_processed, 12);
        metrics.core(0).commands_processed.add(1);
        assert_eq!(
            line(&metrics.render(), r#"rialto_commands_processed_total{core="0"}"#),
            r#"rialto_commands_processed_total{core="0"} 6"#
        );
    }

    #[test]
    fn every_metric_of_the_table_is_printed_and_no_other() {
        let metrics = Metrics::new(BUILD, 1);
        let page = metrics.render();
        let printed: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|line| line.split(' ').next())
            .collect();
        let known: Vec<_> =
            CORE_METRICS.iter().chain(PROCESS_METRICS).map(|metric| metric.name).collect();
        for name in &known {
            assert!(printed.contains(name), "{name} is not printed");
        }
        assert_eq!(printed.len(), known.len(), "{printed:?}");
    }

    #[test]
    fn memory_and_readiness_are_real() {
        let metrics = Metrics::new(BUILD, 1);
        let resident = line(&metrics.render(), "rialto_process_resident_memory_bytes ");
        let bytes: f64 = resident.rsplit(' ').next().expect("a value").parse().expect("a number");
        assert!(bytes > 1e6, "{resident}");
        assert_eq!(line(&metrics.render(), "rialto_ready "), "rialto_ready 0");
        metrics.set_ready(true);
        assert_eq!(line(&metrics.render(), "rialto_ready "), "rialto_ready 1");
    }
}
