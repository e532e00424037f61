//! Memory in figures: what INFO memory, MEMORY STATS and MEMORY DOCTOR say, from the same numbers.
//!
//! *Used* is what the server accounts for: data, client buffers, journal entries not yet in the file. *Resident* is what
//! the kernel says of the process. The allocator is not asked: what it holds is taken to be all that is resident, as
//! Redis does with an allocator that it cannot ask.

use super::process::{self, Memory};
use super::sections::{Lines, Source, human};
use crate::core::Core;
use crate::memory::MemoryUse;
use crate::message::CoreReport;
use crate::startup::ALLOCATOR;
use shard::keyspace::WorkStats;
use shard::shard::SliceStats;

/// Figures of one moment, in bytes where nothing else is said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// By purpose.
    pub(crate) by_purpose: MemoryUse,
    /// The largest use so far.
    pub(crate) peak: u64,
    /// Without data or clients.
    pub(crate) startup: u64,
    /// What tables take beside keys and values.
    pub(crate) tables: u64,
    /// Of the process, as the kernel sees it.
    pub(crate) process: Memory,
    /// How many keys there are.
    pub(crate) key_count: u64,
    /// Connections.
    pub(crate) client_count: u64,
    /// Values that are gone for clients and not yet freed.
    pub(crate) pending_count: u64,
    /// `maxmemory`; 0: no limit.
    pub(crate) limit: u64,
    /// The largest pieces of work that growing or shrinking a table has put into one operation.
    pub(crate) table_work: WorkStats,
    /// The longest slices of housekeeping.
    pub(crate) slices: SliceStats,
}

impl Figures {
    /// Of this moment, with what the cores have reported just now.
    pub(crate) fn collect(core: &Core, reports: &[CoreReport]) -> Figures {
        let memory = &core.shared.memory;
        let by_purpose = memory.note_peak();
        let databases = reports.iter().flat_map(|report| &report.shard.databases);
        Figures {
            by_purpose,
            peak: memory.peak(),
            startup: memory.startup(),
            tables: databases.clone().map(|database| database.table_bytes as u64).sum(),
            process: Memory::read(),
            key_count: databases.map(|database| database.keys as u64).sum(),
            client_count: core.shared.clients.len() as u64,
            pending_count: reports.iter().map(|report| report.shard.pending_count as u64).sum(),
            limit: core.settings_ref().maxmemory_bytes,
            table_work: reports
                .iter()
                .fold(WorkStats::default(), |most, report| most.max(report.shard.table_work)),
            slices: reports
                .iter()
                .fold(SliceStats::default(), |most, report| most.max(report.shard.slices)),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.by_purpose.used()
    }

    /// What is no data: buffers, the journal, the tables' own structure.
    pub(crate) fn overhead(&self) -> u64 {
        let MemoryUse { buffers, journal, .. } = self.by_purpose;
        (self.startup.max(self.tables) + buffers + journal).min(self.used())
    }

    pub(crate) fn dataset(&self) -> u64 {
        self.used() - self.overhead()
    }

    /// The part of what was added since the start that is data, in per cent.
    pub(crate) fn dataset_percent(&self) -> f64 {
        percent(self.dataset(), self.used().saturating_sub(self.startup))
    }

    pub(crate) fn peak_percent(&self) -> f64 {
        percent(self.used(), self.peak)
    }

    pub(crate) fn bytes_per_key(&self) -> u64 {
        self.used().saturating_sub(self.startup) / self.key_count.max(1)
    }

    /// Resident bytes for each byte that is used.
    pub(crate) fn fragmentation(&self) -> f64 {
        self.process.resident as f64 / self.used().max(1) as f64
    }

    /// Resident bytes that are not used.
    pub(crate) fn fragmentation_bytes(&self) -> i64 {
        self.process.resident as i64 - self.used() as i64
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

impl Source<'_> {
    pub(super) fn memory(&self, lines: &mut Lines) {
        let settings = self.core.settings();
        let figures = Figures::collect(self.core, self.reports);
        let totals = self.core.shared.totals();
        let resident = figures.process.resident;
        let ratio = |lines: &mut Lines, name: &str, value: f64| {
            lines.add(name, format_args!("{value:.2}"));
        };
        let scripts = &self.core.shared.scripts;
        let (script_count, script_bytes) = scripts.count();
        let catalog = scripts.catalog();
        let library_bytes = catalog.libraries().map(|library| library.text.len()).sum::<usize>();
        let interpreter_bytes = |report: &CoreReport| report.interpreter_bytes as u64;
        let interpreter_bytes: u64 = self.reports.iter().map(interpreter_bytes).sum();
        lines.head("Memory");
        lines.add_bytes("used_memory", figures.used());
        lines.add_bytes("used_memory_rss", resident);
        lines.add_bytes("used_memory_peak", figures.peak);
        lines.add("used_memory_peak_perc", format_args!("{:.2}%", figures.peak_percent()));
        lines.add("used_memory_overhead", figures.overhead());
        lines.add("used_memory_startup", figures.startup);
        lines.add("used_memory_dataset", figures.dataset());
        lines.add("used_memory_dataset_perc", format_args!("{:.2}%", figures.dataset_percent()));
        lines.add("allocator_allocated", figures.used());
        lines.add("allocator_active", resident);
        lines.add("allocator_resident", resident);
        lines.add_bytes("total_system_memory", process::system_memory());
        lines.add("used_memory_lua", interpreter_bytes);
        lines.add("used_memory_vm_eval", interpreter_bytes);
        lines.add("used_memory_lua_human", human(interpreter_bytes));
        lines.add("used_memory_scripts_eval", script_bytes);
        lines.add("number_of_cached_scripts", script_count);
        lines.add("number_of_functions", catalog.function_count());
        lines.add("number_of_libraries", catalog.libraries().len());
        // Functions run in the interpreters of scripts.
        lines.add("used_memory_vm_functions", 0);
        lines.add_bytes("used_memory_vm_total", interpreter_bytes);
        lines.add("used_memory_functions", library_bytes);
        lines.add_bytes("used_memory_scripts", (script_bytes + library_bytes) as u64);
        lines.add_bytes("maxmemory", settings.maxmemory_bytes);
        lines.add("maxmemory_policy", settings.maxmemory_policy.word());
        ratio(lines, "allocator_frag_ratio", figures.fragmentation());
        lines.add("allocator_frag_bytes", figures.fragmentation_bytes());
        ratio(lines, "allocator_rss_ratio", 1.0);
        lines.add("allocator_rss_bytes", 0);
        ratio(lines, "rss_overhead_ratio", 1.0);
        lines.add("rss_overhead_bytes", 0);
        ratio(lines, "mem_fragmentation_ratio", figures.fragmentation());
        lines.add("mem_fragmentation_bytes", figures.fragmentation_bytes());
        lines.add("mem_not_counted_for_evict", figures.by_purpose.not_counted());
        lines.add("mem_replication_backlog", 0);
        lines.add("mem_total_replication_buffers", 0);
        lines.add("mem_clients_slaves", 0);
        lines.add("mem_clients_normal", figures.by_purpose.buffers);
        lines.add("mem_cluster_links", 0);
        lines.add("mem_aof_buffer", figures.by_purpose.journal);
        lines.add("mem_allocator", ALLOCATOR);
        lines.add("active_defrag_running", 0);
        lines.add("lazyfree_pending_objects", figures.pending_count);
        lines.add("lazyfreed_objects", totals.lazyfreed_objects);
        lines.add("table_longest_us", figures.table_work.longest_ns.div_ceil(1_000));
        lines.add("table_moved_max", figures.table_work.moved_max);
        lines.add("expire_slice_longest_us", figures.slices.expire_ns.div_ceil(1_000));
        lines.add("evict_slice_longest_us", figures.slices.evict_ns.div_ceil(1_000));
        lines.add("free_slice_longest_us", figures.slices.free_ns.div_ceil(1_000));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_data_or_overhead() {
        let figures = Figures {
            by_purpose: MemoryUse {
                data: 9_000,
                buffers: 700,
                journal: 300,
                ..MemoryUse::default()
            },
            peak: 20_000,
            startup: 1_000,
            tables: 2_000,
            process: Memory { resident: 15_000, resident_peak: 15_000 },
            key_count: 90,
            ..Figures::default()
        };
        assert_eq!(figures.used(), 10_000);
        assert_eq!((figures.overhead(), figures.dataset()), (3_000, 7_000));
        assert_eq!(figures.bytes_per_key(), 100);
        assert_eq!(figures.peak_percent(), 50.0);
        assert_eq!((figures.fragmentation(), figures.fragmentation_bytes()), (1.5, 5_000));
        assert!((figures.dataset_percent() - 77.78).abs() < 0.01);
    }

    #[test]
    fn an_empty_server_divides_by_nothing() {
        let figures = Figures::default();
        assert_eq!((figures.used(), figures.dataset(), figures.bytes_per_key()), (0, 0, 0));
        assert_eq!((figures.dataset_percent(), figures.peak_percent()), (0.0, 0.0));
    }
}
