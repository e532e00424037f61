//! Every metric: name, kind, unit, help. One table; docs/metrics.md, the exposition and the counters of a
//! core follow from it.
//!
//! To add a counter of the cores, add a row to `core_metrics!`: the field, the totals and the exposition
//! come with it. `UPDATE_DOCS=1 cargo test -p ops` refreshes docs/metrics.md.

use super::tally::Tally;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As Prometheus sees it, with the unit at the end.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// What one step means.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
}

macro_rules! core_metrics {
    ($($field:ident: $kind:ident, $name:literal, $unit:literal, $help:literal;)*) => {
        /// What one core counts. The core is the only writer; anyone may read at any time.
        ///
        /// Aligned so that no two cores write to the same cache line.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct CoreCounters {
            $(#[doc = $help] pub $field: Tally,)*
        }

        /// The counters as plain numbers: of one core, or summed over several.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct CoreTotals {
            $(#[doc = $help] pub $field: u64,)*
        }

        /// Metrics that every core has, with the label `core`, in the order of [`CoreTotals::values`].
        pub const CORE_METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: MetricKind::$kind, unit: $unit, help: $help },)*
        ];

        impl CoreCounters {
            /// Reads every counter. The numbers may be a few commands apart.
            #[must_use]
            pub fn totals(&self) -> CoreTotals {
                CoreTotals { $($field: self.$field.get(),)* }
            }
        }

        impl CoreTotals {
            /// The numbers in the order of [`CORE_METRICS`].
            #[must_use]
            pub fn values(&self) -> [u64; CORE_METRICS.len()] {
                [$(self.$field,)*]
            }

            /// Adds another core's numbers.
            pub fn add(&mut self, other: &CoreTotals) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }

            /// What was counted since `baseline`; gauges stay as they are. This is how CONFIG RESETSTAT
            /// starts INFO at 0 while Prometheus sees counters that never go back.
            #[must_use]
            pub fn since(&self, baseline: &CoreTotals) -> CoreTotals {
                CoreTotals {
                    $($field: match MetricKind::$kind {
                        MetricKind::Counter => self.$field.saturating_sub(baseline.$field),
                        MetricKind::Gauge => self.$field,
                    },)*
                }
            }
        }
    };
}

core_metrics! {
    commands_processed: Counter, "rialto_commands_processed_total", "commands",
        "Commands executed for clients of this core.";
    error_replies: Counter, "rialto_error_replies_total", "replies",
        "Error replies sent.";
    connections_open: Gauge, "rialto_connections_open", "connections",
        "Connections that are open now.";
    connections_received: Counter, "rialto_connections_received_total", "connections",
        "Connections accepted.";
    connections_rejected: Counter, "rialto_connections_rejected_total", "connections",
        "Connections refused because of maxclients.";
    net_input_bytes: Counter, "rialto_net_input_bytes_total", "bytes",
        "Bytes received from clients.";
    net_output_bytes: Counter, "rialto_net_output_bytes_total", "bytes",
        "Bytes sent to clients.";
    reads: Counter, "rialto_reads_total", "reads",
        "Receives from sockets that brought data.";
    writes: Counter, "rialto_writes_total", "writes",
        "Sends to sockets.";
    keyspace_hits: Counter, "rialto_keyspace_hits_total", "lookups",
        "Lookups for reading that found the key.";
    keyspace_misses: Counter, "rialto_keyspace_misses_total", "lookups",
        "Lookups for reading that found no key.";
    expired_keys: Counter, "rialto_expired_keys_total", "keys",
        "Keys removed because their time had come.";
    evicted_keys: Counter, "rialto_evicted_keys_total", "keys",
        "Keys removed because of maxmemory.";
    keys: Gauge, "rialto_keys", "keys",
        "Keys of this core's shard, all databases together.";
    keys_with_expiry: Gauge, "rialto_keys_with_expiry", "keys",
        "Keys of this core's shard that will expire.";
    memory_data: Gauge, "rialto_memory_data_bytes", "bytes",
        "Bytes that this core's shard takes for keys, values and tables.";
    memory_buffers: Gauge, "rialto_memory_client_buffers_bytes", "bytes",
        "Bytes of requests and replies that this core's connections hold.";
    memory_exceeded_ms: Counter, "rialto_memory_exceeded_milliseconds_total", "milliseconds",
        "Time during which all cores together used more than maxmemory; counted by core 0.";
    lazyfreed_objects: Counter, "rialto_lazyfreed_objects_total", "values",
        "Values freed behind the command that removed them.";
    lazyfree_pending: Gauge, "rialto_lazyfree_pending_objects", "values",
        "Values that commands have removed and that are not freed yet.";
    expire_cycles_capped: Counter, "rialto_expire_cycles_capped_total", "cycles",
        "Times the active expiry cycle stopped because its time was over.";
    expire_cycle_us: Counter, "rialto_expire_cycle_microseconds_total", "microseconds",
        "Time spent in the active expiry cycle.";
    hops_sent: Counter, "rialto_hops_sent_total", "commands",
        "Commands sent to the shard of another core.";
    hops_received: Counter, "rialto_hops_received_total", "commands",
        "Commands executed for another core.";
    hop_batches: Counter, "rialto_hop_batches_total", "messages",
        "Messages that carried the commands sent to other cores.";
    pubsub_messages: Counter, "rialto_pubsub_messages_total", "messages",
        "Messages delivered to subscribers.";
    aof_appended_bytes: Counter, "rialto_aof_appended_bytes_total", "bytes",
        "Bytes that entered the append-only file's buffer.";
    aof_written_bytes: Counter, "rialto_aof_written_bytes_total", "bytes",
        "Bytes written to the append-only file.";
    aof_durable_bytes: Counter, "rialto_aof_durable_bytes_total", "bytes",
        "Bytes of the append-only file that are on disk for certain.";
    aof_fsyncs: Counter, "rialto_aof_fsyncs_total", "calls",
        "Times the append-only file was forced to disk.";
    ticks: Counter, "rialto_ticks_total", "ticks",
        "Turns of this core's loop.";
    sleeps: Counter, "rialto_sleeps_total", "sleeps",
        "Times this core slept because there was nothing to do.";
}

pub(super) const BUILD_INFO: Metric = Metric {
    name: "rialto_build_info",
    kind: MetricKind::Gauge,
    unit: "always 1",
    help: "The version that runs, as labels.",
};
pub(super) const UPTIME: Metric = Metric {
    name: "rialto_uptime_seconds",
    kind: MetricKind::Gauge,
    unit: "seconds",
    help: "Time since the process started to serve.",
};
pub(super) const READY: Metric = Metric {
    name: "rialto_ready",
    kind: MetricKind::Gauge,
    unit: "0 or 1",
    help: "Whether clients are served, as /readyz says.",
};
pub(super) const RESIDENT_MEMORY: Metric = Metric {
    name: "rialto_process_resident_memory_bytes",
    kind: MetricKind::Gauge,
    unit: "bytes",
    help: "Memory of the process that is in RAM.",
};
pub(super) const VIRTUAL_MEMORY: Metric = Metric {
    name: "rialto_process_virtual_memory_bytes",
    kind: MetricKind::Gauge,
    unit: "bytes",
    help: "Address space of the process.",
};
pub(super) const THREADS: Metric = Metric {
    name: "rialto_process_threads",
    kind: MetricKind::Gauge,
    unit: "threads",
    help: "Threads of the process.",
};

/// Metrics of the process as a whole.
pub const PROCESS_METRICS: &[Metric] =
    &[BUILD_INFO, UPTIME, READY, RESIDENT_MEMORY, VIRTUAL_MEMORY, THREADS];

/// The text of docs/metrics.md.
#[must_use]
pub fn documentation() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         <!-- Generated from ops/src/metrics/names.rs by `UPDATE_DOCS=1 cargo test -p ops`. -->\n\n\
         `GET /metrics` on `metrics-port` answers in the Prometheus text format. Cores count in plain\n\
         memory and are only read, so scraping never slows a core down. Counters start at 0 with the\n\
         process and never go back; CONFIG RESETSTAT does not touch them.\n",
    );
    let groups = [
        ("Per core", "Each has the label `core`, the core's number from 0.", CORE_METRICS),
        (
            "Per process",
            "`rialto_build_info` has the labels `version` and `redis_version`.",
            PROCESS_METRICS,
        ),
    ];
    for (title, labels, metrics) in groups {
        page.push_str(&format!(
            "\n## {title}\n\n{labels}\n\n| Metric | Kind | Unit | Meaning |\n|---|---|---|---|\n"
        ));
        for Metric { name, kind, unit, help } in metrics {
            let kind = match kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
            };
            page.push_str(&format!("| `{name}` | {kind} | {unit} | {help} |\n"));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_unique_and_end_with_what_they_count() {
        let mut names = Vec::new();
        for metric in CORE_METRICS.iter().chain(PROCESS_METRICS) {
            assert!(metric.name.starts_with("rialto_"), "{}", metric.name);
            assert_eq!(
                metric.kind == MetricKind::Counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
            assert_eq!(metric.unit == "bytes", metric.name.contains("_bytes"), "{}", metric.name);
            assert!(!names.contains(&metric.name), "{} twice", metric.name);
            names.push(metric.name);
        }
    }

    #[test]
    fn totals_add_up_and_count_from_a_baseline() {
        let counters = CoreCounters::default();
        counters.commands_processed.add(5);
        counters.keys.set(7);
        let baseline = counters.totals();
        counters.commands_processed.add(3);
        let mut sum = counters.totals();
        sum.add(&counters.totals());
        assert_eq!((sum.commands_processed, sum.keys), (16, 14));
        let since = counters.totals().since(&baseline);
        assert_eq!((since.commands_processed, since.keys), (3, 7));
    }

    #[test]
    fn docs_metrics_md_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, documentation()).expect("docs/metrics.md can be written");
        }
        let current = std::fs::read_to_string(&path).expect("docs/metrics.md exists");
        assert!(
            current == documentation(),
            "docs/metrics.md is stale: UPDATE_DOCS=1 cargo test -p ops"
        );
    }
}
