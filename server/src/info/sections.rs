//! The sections of INFO, one function each, in the order of Redis's fields.

use super::Section;
use super::process::{self, CpuTimes};
use crate::clients::ClientFlags;
use crate::core::Core;
use crate::message::CoreReport;
use crate::startup::REDIS_VERSION;
use ops::config::Supervised;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering;

/// What a section is made from.
pub(super) struct Source<'a> {
    pub(super) core: &'a Core,
    /// Of every core; none if no chosen section needs them.
    pub(super) reports: &'a [CoreReport],
}

/// Lines under way.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn head(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        self.write(format_args!("# {title}\r\n"));
    }

    pub(super) fn add(&mut self, field: &str, value: impl Display) {
        self.write(format_args!("{field}:{value}\r\n"));
    }

    /// Bytes, and the same for people.
    pub(super) fn add_bytes(&mut self, field: &str, bytes: u64) {
        self.add(field, bytes);
        self.add(&format!("{field}_human"), human(bytes));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing to a String cannot fail");
    }
}

/// The text of these sections.
pub(super) fn render(core: &Core, chosen: &[Section], reports: &[CoreReport]) -> String {
    let source = Source { core, reports };
    let mut lines = Lines::default();
    for section in chosen {
        match section {
            Section::Server => source.server(&mut lines),
            Section::Clients => source.clients(&mut lines),
            Section::Memory => source.memory(&mut lines),
            Section::Persistence => source.persistence(&mut lines),
            Section::Stats => source.stats(&mut lines),
            Section::Replication => source.replication(&mut lines),
            Section::Cpu => source.cpu(&mut lines),
            Section::Modules => lines.head("Modules"),
            Section::Commandstats => source.command_statistics(&mut lines),
            Section::Errorstats => source.error_statistics(&mut lines),
            Section::Latencystats => source.latency_statistics(&mut lines),
            Section::Cluster => {
                lines.head("Cluster");
                lines.add("cluster_enabled", 0);
            }
            Section::Keyspace => source.keyspace(&mut lines),
        }
    }
    lines.0
}

impl Source<'_> {
    fn server(&self, lines: &mut Lines) {
        let (shared, settings) = (&self.core.shared, self.core.settings());
        let now_us = self.core.now().unix_us;
        let uptime_s = (now_us - shared.started_at_us).max(0) / 1_000_000;
        let supervised = match settings.supervised {
            Supervised::No => "no",
            Supervised::Systemd => "systemd",
            Supervised::Upstart => "upstart",
            Supervised::Auto => "unknown",
        };
        let executable = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        let config_file = shared.config().file().map(|path| path.display().to_string());
        lines.head("Server");
        lines.add("redis_version", REDIS_VERSION);
        lines.add("redis_git_sha1", "00000000");
        lines.add("redis_git_dirty", 0);
        lines.add("redis_mode", "standalone");
        lines.add("os", process::operating_system());
        lines.add("arch_bits", usize::BITS);
        lines.add("monotonic_clock", "POSIX clock_gettime");
        lines.add("multiplexing_api", "io_uring");
        lines.add("process_id", std::process::id());
        lines.add("process_supervised", supervised);
        lines.add("run_id", &shared.run_id);
        lines.add("tcp_port", settings.port);
        lines.add("server_time_usec", now_us);
        lines.add("uptime_in_seconds", uptime_s);
        lines.add("uptime_in_days", uptime_s / 86_400);
        lines.add("hz", settings.hz);
        lines.add("configured_hz", settings.hz);
        lines.add("lru_clock", (now_us / 1_000_000) & 0x00FF_FFFF);
        lines.add("executable", executable.display());
        lines.add("config_file", config_file.unwrap_or_default());
        lines.add("io_threads_active", 0);
        let mut listener_count = 0;
        if settings.port > 0 && !settings.bind.is_empty() {
            let addresses: String =
                settings.bind.iter().map(|address| format!(",bind={address}")).collect();
            lines.add("listener0", format_args!("name=tcp{addresses},port={}", settings.port));
            listener_count += 1;
        }
        if let Some(path) = shared.listening.unix_path() {
            let field = format!("listener{listener_count}");
            lines.add(&field, format_args!("name=unix,bind={path}"));
        }
        lines.add("rialto_version", env!("CARGO_PKG_VERSION"));
        lines.add("rialto_shards", shared.shard_count());
    }

    fn clients(&self, lines: &mut Lines) {
        let shared = &self.core.shared;
        let (mut input_max, mut output_max, mut blocked_count, mut tracking_count) = (0, 0, 0, 0);
        for client in shared.clients.all() {
            input_max = input_max.max(client.query_len.load(Ordering::Relaxed) as usize);
            output_max = output_max.max(client.output_len.load(Ordering::Relaxed));
            blocked_count += u32::from(client.is_waiting());
            let is_closing = client.has_flag(ClientFlags::CLOSE_AFTER_REPLY);
            let is_tracking = client.has_flag(ClientFlags::TRACKING) && !is_closing;
            tracking_count += u32::from(is_tracking);
        }
        lines.head("Clients");
        lines.add("connected_clients", shared.clients.len());
        lines.add("cluster_connections", 0);
        lines.add("maxclients", self.core.settings().maxclients);
        lines.add("client_recent_max_input_buffer", input_max);
        lines.add("client_recent_max_output_buffer", output_max);
        lines.add("blocked_clients", blocked_count);
        lines.add("tracking_clients", tracking_count);
        let sum = |of: fn(&CoreReport) -> usize| self.reports.iter().map(of).sum::<usize>();
        lines.add("total_blocking_keys", sum(|report| report.shard.blocking_keys));
        let on_nokey = sum(|report| report.shard.blocking_keys_on_nokey);
        lines.add("total_blocking_keys_on_nokey", on_nokey);
    }

    fn persistence(&self, lines: &mut Lines) {
        let shared = &self.core.shared;
        let change_count: u64 = self.reports.iter().map(|report| report.shard.change_count).sum();
        let is_failed = shared.log.as_ref().is_some_and(|log| log.is_failed());
        lines.head("Persistence");
        lines.add("loading", u8::from(!shared.metrics.is_ready()));
        lines.add("async_loading", 0);
        lines.add("current_cow_peak", 0);
        lines.add("current_cow_size", 0);
        lines.add("current_cow_size_age", 0);
        lines.add("current_fork_perc", "0.00");
        lines.add("current_save_keys_processed", 0);
        lines.add("current_save_keys_total", 0);
        lines.add("rdb_changes_since_last_save", change_count);
        lines.add("rdb_bgsave_in_progress", 0);
        lines.add("rdb_last_save_time", shared.started_at_us / 1_000_000);
        lines.add("rdb_last_bgsave_status", "ok");
        lines.add("rdb_last_bgsave_time_sec", -1);
        lines.add("rdb_current_bgsave_time_sec", -1);
        lines.add("rdb_saves", 0);
        lines.add("rdb_last_cow_size", 0);
        lines.add("rdb_last_load_keys_expired", 0);
        lines.add("rdb_last_load_keys_loaded", 0);
        lines.add("aof_enabled", u8::from(shared.log.is_some()));
        lines.add("aof_rewrite_in_progress", 0);
        lines.add("aof_rewrite_scheduled", 0);
        lines.add("aof_last_rewrite_time_sec", -1);
        lines.add("aof_current_rewrite_time_sec", -1);
        lines.add("aof_last_bgrewrite_status", "ok");
        lines.add("aof_rewrites", 0);
        lines.add("aof_rewrites_consecutive_failures", 0);
        lines.add("aof_last_write_status", if is_failed { "err" } else { "ok" });
        lines.add("aof_last_cow_size", 0);
        lines.add("module_fork_in_progress", 0);
        lines.add("module_fork_last_cow_size", 0);
    }

    fn stats(&self, lines: &mut Lines) {
        let shared = &self.core.shared;
        let totals = shared.totals();
        let rate = shared.rates.average();
        let statistics = &shared.command_statistics;
        let rows = shared.registry.rows();
        let command_ns: u64 = statistics
            .iter()
            .flat_map(|core| rows.iter().map(|row| core.command(row.id).ns.get()))
            .sum();
        let sum = |of: fn(&CoreReport) -> usize| self.reports.iter().map(of).sum::<usize>();
        let patterns = self.reports.first().map_or(0, |report| report.pattern_count);
        let exceeded_now_ms = shared.memory.exceeded_ms(self.core.now().unix_ms()).1;
        let expires = |report: &CoreReport| {
            report.shard.databases.iter().map(|database| database.expires).sum::<usize>() as f64
        };
        let expiring_count: f64 = self.reports.iter().map(expires).sum();
        let stale = self.reports.iter().map(|report| report.shard.stale_part * expires(report));
        let stale_percent = 100.0 * stale.sum::<f64>() / expiring_count.max(1.0);
        lines.head("Stats");
        lines.add("total_connections_received", totals.connections_received);
        lines.add("total_commands_processed", totals.commands_processed);
        lines.add("instantaneous_ops_per_sec", rate.commands.round());
        lines.add("total_net_input_bytes", totals.net_input_bytes);
        lines.add("total_net_output_bytes", totals.net_output_bytes);
        lines.add("total_net_repl_input_bytes", 0);
        lines.add("total_net_repl_output_bytes", 0);
        lines.add("instantaneous_input_kbps", format_args!("{:.2}", rate.input_bytes / 1024.0));
        lines.add("instantaneous_output_kbps", format_args!("{:.2}", rate.output_bytes / 1024.0));
        lines.add("instantaneous_input_repl_kbps", "0.00");
        lines.add("instantaneous_output_repl_kbps", "0.00");
        lines.add("rejected_connections", totals.connections_rejected);
        lines.add("sync_full", 0);
        lines.add("sync_partial_ok", 0);
        lines.add("sync_partial_err", 0);
        lines.add("expired_keys", totals.expired_keys);
        lines.add("expired_stale_perc", format_args!("{stale_percent:.2}"));
        lines.add("expired_time_cap_reached_count", totals.expire_cycles_capped);
        lines.add("expire_cycle_cpu_milliseconds", totals.expire_cycle_us / 1000);
        lines.add("evicted_keys", totals.evicted_keys);
        lines.add("evicted_clients", 0);
        lines.add("total_eviction_exceeded_time", totals.memory_exceeded_ms);
        lines.add("current_eviction_exceeded_time", exceeded_now_ms);
        lines.add("keyspace_hits", totals.keyspace_hits);
        lines.add("keyspace_misses", totals.keyspace_misses);
        lines.add("pubsub_channels", sum(|report| report.channel_count));
        lines.add("pubsub_patterns", patterns);
        lines.add("pubsubshard_channels", sum(|report| report.shard_channel_count));
        lines.add("latest_fork_usec", 0);
        lines.add("total_forks", 0);
        lines.add("migrate_cached_sockets", 0);
        lines.add("slave_expires_tracked_keys", 0);
        lines.add("active_defrag_hits", 0);
        lines.add("active_defrag_misses", 0);
        lines.add("active_defrag_key_hits", 0);
        lines.add("active_defrag_key_misses", 0);
        lines.add("total_active_defrag_time", 0);
        lines.add("current_active_defrag_time", 0);
        lines.add("tracking_total_keys", sum(|report| report.tracking.keys));
        lines.add("tracking_total_items", sum(|report| report.tracking.items));
        let prefixes = self.reports.first().map_or(0, |report| report.tracking.prefixes);
        lines.add("tracking_total_prefixes", prefixes);
        lines.add("unexpected_error_replies", 0);
        lines.add("total_error_replies", totals.error_replies);
        lines.add("dump_payload_sanitizations", 0);
        lines.add("total_reads_processed", totals.reads);
        lines.add("total_writes_processed", totals.writes);
        lines.add("io_threaded_reads_processed", 0);
        lines.add("io_threaded_writes_processed", 0);
        lines.add("eventloop_cycles", totals.ticks);
        lines.add("eventloop_duration_cmd_sum", command_ns / 1000);
        lines.add("instantaneous_eventloop_cycles_per_sec", rate.ticks.round());
    }

    fn replication(&self, lines: &mut Lines) {
        let shared = &self.core.shared;
        let backlog = shared.config().get(&[b"repl-backlog-size"]).pop();
        let backlog = backlog.map(|(_, value)| String::from_utf8_lossy(&value).into_owned());
        lines.head("Replication");
        lines.add("role", "master");
        lines.add("connected_slaves", 0);
        lines.add("master_failover_state", "no-failover");
        lines.add("master_replid", shared.replication_id());
        lines.add("master_replid2", "0".repeat(40));
        lines.add("master_repl_offset", 0);
        lines.add("second_repl_offset", -1);
        lines.add("repl_backlog_active", 0);
        lines.add("repl_backlog_size", backlog.unwrap_or_default());
        lines.add("repl_backlog_first_byte_offset", 0);
        lines.add("repl_backlog_histlen", 0);
    }

    fn cpu(&self, lines: &mut Lines) {
        let times = CpuTimes::read();
        let seconds = |us: u64| format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        lines.head("CPU");
        lines.add("used_cpu_sys", seconds(times.system_us));
        lines.add("used_cpu_user", seconds(times.user_us));
        lines.add("used_cpu_sys_children", seconds(times.children_system_us));
        lines.add("used_cpu_user_children", seconds(times.children_user_us));
    }

    fn command_statistics(&self, lines: &mut Lines) {
        let shared = &self.core.shared;
        lines.head("Commandstats");
        for row in shared.registry.rows() {
            let (mut calls, mut ns, mut rejected, mut failed) = (0, 0, 0, 0);
            for core in &shared.command_statistics {
                let counters = core.command(row.id);
                calls += counters.calls.get();
                ns += counters.ns.get();
                rejected += counters.rejected.get();
                failed += counters.failed.get();
            }
            if calls + rejected + failed == 0 {
                continue;
            }
            let us = ns / 1000;
            let us_per_call = us as f64 / calls.max(1) as f64;
            lines.add(
                &format!("cmdstat_{}", row.full_name()),
                format_args!(
                    "calls={calls},usec={us},usec_per_call={us_per_call:.2},\
                     rejected_calls={rejected},failed_calls={failed}"
                ),
            );
        }
    }

    fn latency_statistics(&self, lines: &mut Lines) {
        let shared = &self.core.shared;
        let settings = self.core.settings();
        lines.head("Latencystats");
        if !settings.latency_tracking {
            return;
        }
        for row in shared.registry.rows() {
            let times = shared.run_times(row.id);
            if times.count() == 0 {
                continue;
            }
            let percentiles = settings.latency_tracking_info_percentiles.iter().map(|percentile| {
                let us = times.percentile_ns(*percentile) as f64 / 1000.0;
                format!("p{percentile}={us:.3}")
            });
            let percentiles: Vec<String> = percentiles.collect();
            let field = format!("latency_percentiles_usec_{}", row.full_name());
            lines.add(&field, percentiles.join(","));
        }
    }

    fn error_statistics(&self, lines: &mut Lines) {
        let mut counts = BTreeMap::new();
        for core in &self.core.shared.error_statistics {
            core.add_to(&mut counts);
        }
        lines.head("Errorstats");
        for (code, count) in counts {
            lines.add(&format!("errorstat_{}", safe(&code)), format_args!("count={count}"));
        }
    }

    fn keyspace(&self, lines: &mut Lines) {
        lines.head("Keyspace");
        for db in 0..self.reports.first().map_or(0, |report| report.shard.databases.len()) {
            let (mut keys, mut expires, mut ttl_sum) = (0, 0, 0);
            for report in self.reports {
                let figures = report.shard.databases[db];
                keys += figures.keys;
                expires += figures.expires;
                ttl_sum += i128::from(figures.average_ttl_ms) * figures.expires as i128;
            }
            if keys > 0 {
                let average_ttl_ms = ttl_sum / expires.max(1) as i128;
                let value = format_args!("keys={keys},expires={expires},avg_ttl={average_ttl_ms}");
                lines.add(&format!("db{db}"), value);
            }
        }
    }
}

/// An error code without what would break the line.
fn safe(code: &[u8]) -> String {
    let is_unsafe = |c: char| matches!(c, '#' | ':' | '\n' | '\r');
    String::from_utf8_lossy(code).replace(is_unsafe, "_")
}

/// `512B`, `1.50K`, `2.00G`, as Redis writes bytes for people.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1536, "1.50K"),
            (1 << 20, "1.00M"),
            (3 << 30, "3.00G"),
            (5 << 40, "5.00T"),
            (1 << 50, "1.00P"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn sections_are_parted_by_an_empty_line() {
        let mut lines = Lines::default();
        lines.head("A");
        lines.add("x", 1);
        lines.head("B");
        assert_eq!(lines.0, "# A\r\nx:1\r\n\r\n# B\r\n");
    }

    #[test]
    fn codes_cannot_break_a_line() {
        assert_eq!(safe(b"A:B#C\r\n"), "A_B_C__");
    }
}
