//! What all cores and the ops thread share. Everything here is read-only, atomic, or locked only on rare paths.

use crate::clients::Client;
use crate::clients::Clients;
use crate::histogram::RunTimes;
use crate::inbox::Inbox;
use crate::info::Rates;
use crate::journal::Log;
use crate::lease::Leases;
use crate::listener::Listening;
use crate::mailbox::Switchboard;
use crate::memory::MemoryShares;
use crate::registry::{CommandId, Registry};
use crate::scripting::Scripts;
use crate::statistics::{CommandStatistics, ErrorStatistics};
use ops::config::Config;
use ops::latency::LatencyMonitor;
use ops::log::LogControl;
use ops::metrics::{CoreTotals, Metrics};
use ops::slowlog::{SlowCommand, SlowLog};
use shard::{Now, Shard};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

/// Shared by all cores of one server.
pub struct Shared {
    /// How cores wake each other.
    pub switchboard: Switchboard,
    /// The shards, for cores that borrow one.
    pub leases: Leases,
    /// Commands by name.
    pub registry: Registry,
    /// All connections.
    pub clients: Clients,
    config: Mutex<Config>,
    /// Counters of each core, and what Prometheus sees of them.
    pub metrics: Arc<Metrics>,
    /// Counters of each command on each core.
    pub command_statistics: Vec<CommandStatistics>,
    /// Error replies of each core by their code.
    pub error_statistics: Vec<ErrorStatistics>,
    /// The counters as they were at the last CONFIG RESETSTAT.
    totals_at_reset: Mutex<CoreTotals>,
    /// What INFO says of the last second.
    pub rates: Rates,
    /// Scripts and functions.
    pub scripts: Scripts,
    /// SLOWLOG.
    pub slow_log: SlowLog,
    /// LATENCY.
    pub latency: LatencyMonitor,
    /// The text log.
    pub text_log: LogControl,
    /// Mail for each core from threads that are no cores.
    pub inboxes: Vec<Inbox>,
    /// Listening sockets, each accepted on by every core.
    pub listening: Listening,
    /// Whether the configuration names addresses to listen on, which ends protected mode.
    pub is_bind_given: bool,
    /// Connections of each core, those on their way included: what decides which core gets the next one.
    pub connection_counts: Vec<AtomicUsize>,
    /// Clients that track keys.
    pub tracking_count: AtomicUsize,
    /// Keys that they may hold, as each core has last counted its own.
    pub tracked_keys: AtomicUsize,
    /// Clients that MONITOR.
    pub monitor_count: AtomicUsize,
    /// When CLIENT PAUSE ends, in milliseconds since 1970; 0 if nobody is paused.
    pub paused_until_ms: AtomicI64,
    /// Whether CLIENT PAUSE stops only writes.
    pub is_pausing_writes_only: AtomicBool,
    /// Run id: 40 hexadecimal digits, new at every start.
    pub run_id: String,
    /// Name of this history of writes for replicas: 40 hexadecimal digits.
    replication_id: Mutex<String>,
    /// When the server started, in microseconds since 1970.
    pub started_at_us: i64,
    /// The append-only file, if there is one.
    pub log: Option<Log>,
    /// How much memory the cores use.
    pub memory: MemoryShares,
    /// Where the cores, and the thread that starts them, meet when all are ready: nobody is served before.
    pub start_barrier: Barrier,
    /// Where the cores meet when all have stopped writing.
    pub stop_barrier: Barrier,
}

impl Shared {
    /// Assembles what is shared. `config` has been read, `listeners` are bound, and nothing runs yet.
    #[must_use]
    pub fn new(
        switchboard: Switchboard,
        registry: Registry,
        config: Config,
        metrics: Arc<Metrics>,
        listening: Listening,
        identity: Identity,
        data: Data,
    ) -> Shared {
        let core_count = switchboard.core_count();
        let command_count = registry.rows().len();
        let is_bind_given = config.is_given("bind");
        Shared {
            switchboard,
            leases: Leases::new(data.shards),
            registry,
            clients: Clients::default(),
            config: Mutex::new(config),
            metrics,
            command_statistics: (0..core_count)
                .map(|_| CommandStatistics::new(command_count))
                .collect(),
            error_statistics: (0..core_count).map(|_| ErrorStatistics::default()).collect(),
            totals_at_reset: Mutex::default(),
            rates: Rates::default(),
            scripts: Scripts::default(),
            slow_log: SlowLog::new(),
            latency: LatencyMonitor::new(),
            text_log: identity.text_log,
            inboxes: (0..core_count).map(|_| Inbox::default()).collect(),
            listening,
            is_bind_given,
            connection_counts: (0..core_count).map(|_| AtomicUsize::new(0)).collect(),
            tracking_count: AtomicUsize::new(0),
            tracked_keys: AtomicUsize::new(0),
            monitor_count: AtomicUsize::new(0),
            paused_until_ms: AtomicI64::new(0),
            is_pausing_writes_only: AtomicBool::new(false),
            run_id: identity.run_id,
            replication_id: Mutex::new(identity.replication_id),
            started_at_us: identity.started_at_us,
            log: data.log,
            memory: MemoryShares::new(core_count),
            start_barrier: Barrier::new(core_count + 1),
            stop_barrier: Barrier::new(core_count),
        }
    }

    /// The configuration, locked. Cores read their own copy of the settings instead.
    pub fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().expect("nothing panics while it holds the configuration")
    }

    /// The counters of all cores since the start or the last CONFIG RESETSTAT.
    #[must_use]
    pub fn totals(&self) -> CoreTotals {
        self.metrics.totals().since(&self.lock_totals())
    }

    /// Counts from here on, as CONFIG RESETSTAT asks for.
    pub fn reset_totals(&self) {
        *self.lock_totals() = self.metrics.totals();
        self.rates.reset();
    }

    /// How long a command ran each time since then, on all cores.
    #[must_use]
    pub fn run_times(&self, command: CommandId) -> RunTimes {
        let mut sum = RunTimes::default();
        let cores = self.command_statistics.iter();
        for times in cores.filter_map(|core| core.command(command).times.get()) {
            sum.add(times);
        }
        sum
    }

    fn lock_totals(&self) -> MutexGuard<'_, CoreTotals> {
        self.totals_at_reset.lock().expect("nothing panics while it holds the counters")
    }

    /// How many shards there are.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.connection_counts.len()
    }

    /// The shard of a hash slot: contiguous ranges of slots, as even as can be.
    #[must_use]
    pub fn shard_of_slot(&self, slot: u16) -> usize {
        usize::from(slot) * self.shard_count() / usize::from(protocol::slot::SLOT_COUNT)
    }

    /// Name of this history of writes for replicas.
    #[must_use]
    pub fn replication_id(&self) -> String {
        self.replication_id.lock().expect("nothing panics while it holds the id").clone()
    }

    /// Gives the history of writes another name.
    pub fn set_replication_id(&self, id: String) {
        *self.replication_id.lock().expect("nothing panics while it holds the id") = id;
    }

    /// Whether somebody watches all commands.
    #[must_use]
    pub fn is_monitored(&self) -> bool {
        self.monitor_count.load(Ordering::Relaxed) > 0
    }

    /// Enters a slow command in SLOWLOG.
    pub fn log_slow(&self, now: Now, args: &[&[u8]], us: u64, client: &Client, max_len: u64) {
        let names = client.names();
        let command = SlowCommand {
            unix_time_s: (now.unix_us / 1_000_000) as u64,
            duration_us: us,
            args,
            client_address: &client.address(),
            client_name: &names.name,
        };
        self.slow_log.push(command, max_len);
    }
}

/// What the server starts from.
pub struct Data {
    /// The shards, filled.
    pub shards: Vec<Shard>,
    /// The append-only file, if there is one.
    pub log: Option<Log>,
}

/// What distinguishes this run of the server from others.
#[derive(Debug)]
pub struct Identity {
    /// 40 hexadecimal digits.
    pub run_id: String,
    /// 40 hexadecimal digits.
    pub replication_id: String,
    /// In microseconds since 1970.
    pub started_at_us: i64,
    /// Its text log.
    pub text_log: LogControl,
}
