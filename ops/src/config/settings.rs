//! The parameters that have an effect, typed: what the rest of the server reads.
//!
//! A `Settings` is plain data. It is made from the table by [`Config`](super::Config), never by hand, so
//! every value has passed its row's checks; a core reads its own copy and never parses text.

use std::path::PathBuf;

use super::choices::{
    Access, AppendFsync, LogLevel, MaxmemoryPolicy, SanitizeDumpPayload, ShutdownFlags, Supervised,
};
use super::value::{BindAddress, KeyspaceEvents, OutputLimit, SavePoint, SizeOrPercent};

macro_rules! settings {
    ($($(#[$meta:meta])+ $field:ident: $type:ty,)*) => {
        /// Typed values of the parameters that have an effect. Names are those of the parameters, with
        /// the unit at the end.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings { $($(#[$meta])+ pub $field: $type,)* }

        impl Settings {
            /// A canvas for the rows of the table to write on; nothing of it is meant to be read.
            pub(super) fn blank() -> Settings {
                Settings { $($field: Default::default(),)* }
            }
        }
    };
}

settings! {
    // Network

    /// Addresses to listen on; none means that TCP is off.
    bind: Vec<BindAddress>,
    /// TCP port; 0 means that TCP is off.
    port: u16,
    /// Path of the Unix socket.
    unixsocket: Option<PathBuf>,
    /// File mode of the Unix socket; 0 leaves it to the umask.
    unixsocketperm: u32,
    /// Length of the queue of connections not accepted yet.
    tcp_backlog: u32,
    /// Seconds between keep-alive probes; 0 sends none.
    tcp_keepalive_s: u32,
    /// Seconds after which an idle client is closed; 0 keeps it.
    timeout_s: u32,
    /// Refuse other machines while there is neither a password nor a `bind`.
    protected_mode: bool,

    // Clients and limits

    /// Connections at a time.
    maxclients: u32,
    /// Password of the default user; empty means that none is needed.
    requirepass: Vec<u8>,
    /// Number of databases that SELECT can choose.
    databases: u32,
    /// Output limits of normal clients.
    output_limit_normal: OutputLimit,
    /// Output limits of replicas.
    output_limit_replica: OutputLimit,
    /// Output limits of subscribers.
    output_limit_pubsub: OutputLimit,
    /// Bytes of requests that a client may have sent and not yet had executed.
    client_query_buffer_limit_bytes: u64,
    /// Bytes of one argument.
    proto_max_bulk_len_bytes: u64,
    /// Keys remembered for client-side caching; 0 means no limit.
    tracking_table_max_keys: u64,
    /// Milliseconds after which a script makes the server answer BUSY; 0 never.
    busy_reply_threshold_ms: u64,
    /// Who may use DEBUG.
    enable_debug_command: Access,
    /// Who may use MODULE LOAD.
    enable_module_command: Access,
    /// Who may change protected parameters.
    enable_protected_configs: Access,

    // Memory

    /// Bytes of data that are allowed; 0 means no limit.
    maxmemory_bytes: u64,
    /// What happens at the limit.
    maxmemory_policy: MaxmemoryPolicy,
    /// Keys looked at to find one to evict.
    maxmemory_samples: u32,
    /// How long one eviction may go on, 0 (short) to 100 (until done).
    maxmemory_eviction_tenacity: u8,
    /// Bytes of client buffers that are allowed; 0 means no limit.
    maxmemory_clients: SizeOrPercent,
    /// How fast the LFU counter saturates.
    lfu_log_factor: u32,
    /// Minutes after which the LFU counter is halved.
    lfu_decay_time_minutes: u32,
    /// Periodic work per second.
    hz: u16,
    /// How much of its time a core spends on removing expired keys, 1 to 10.
    active_expire_effort: u8,
    /// Free evicted values in the background.
    lazyfree_lazy_eviction: bool,
    /// Free expired values in the background.
    lazyfree_lazy_expire: bool,
    /// Free overwritten values in the background.
    lazyfree_lazy_server_del: bool,
    /// DEL behaves like UNLINK.
    lazyfree_lazy_user_del: bool,
    /// FLUSHDB and FLUSHALL are ASYNC unless they say SYNC.
    lazyfree_lazy_user_flush: bool,
    /// Fields up to which a hash stays a listpack.
    hash_max_listpack_entries: u64,
    /// Bytes per field or value up to which a hash stays a listpack.
    hash_max_listpack_value_bytes: u64,
    /// Positive: entries per list node; -1 to -5: 4, 8, 16, 32 or 64 KiB per list node.
    list_max_listpack_size: i32,
    /// List nodes at each end that stay uncompressed; 0 compresses none.
    list_compress_depth: u32,
    /// Members up to which a set of integers stays an intset.
    set_max_intset_entries: u64,
    /// Members up to which a set stays a listpack.
    set_max_listpack_entries: u64,
    /// Bytes per member up to which a set stays a listpack.
    set_max_listpack_value_bytes: u64,
    /// Members up to which a sorted set stays a listpack.
    zset_max_listpack_entries: u64,
    /// Bytes per member up to which a sorted set stays a listpack.
    zset_max_listpack_value_bytes: u64,
    /// Bytes of one stream node; 0 means no limit.
    stream_node_max_bytes: u64,
    /// Entries of one stream node; 0 means no limit.
    stream_node_max_entries: u64,
    /// Bytes up to which a HyperLogLog stays sparse.
    hll_sparse_max_bytes: u64,
    /// Whether RESTORE checks the whole payload.
    sanitize_dump_payload: SanitizeDumpPayload,

    // Persistence

    /// Directory of all data files, absolute.
    dir: PathBuf,
    /// File name of the snapshot.
    dbfilename: String,
    /// Save points; none means that no snapshot is taken by itself.
    save: Vec<SavePoint>,
    /// Keep an append-only file.
    appendonly: bool,
    /// When it is forced to disk.
    appendfsync: AppendFsync,
    /// First part of its file names.
    appendfilename: String,
    /// Its directory, below `dir`.
    appenddirname: String,
    /// Start with a torn tail by cutting it off.
    aof_load_truncated: bool,
    /// Write the base of the append-only file in RDB form.
    aof_use_rdb_preamble: bool,
    /// Annotate the append-only file with times.
    aof_timestamp_enabled: bool,
    /// Growth in percent at which the append-only file is rewritten; 0 never.
    auto_aof_rewrite_percentage: u32,
    /// Bytes below which the append-only file is not rewritten.
    auto_aof_rewrite_min_size_bytes: u64,
    /// Refuse writes after a failed snapshot.
    stop_writes_on_bgsave_error: bool,
    /// Compress strings in snapshots.
    rdbcompression: bool,
    /// Put a checksum at the end of snapshots.
    rdbchecksum: bool,

    // Replication

    /// Replicas without which writes are refused; 0 needs none.
    min_replicas_to_write: u32,
    /// Seconds after which a silent replica does not count.
    min_replicas_max_lag_s: u32,

    // Observation

    /// Microseconds from which a command enters the slow log; negative never, 0 always.
    slowlog_log_slower_than_us: i64,
    /// Entries of the slow log.
    slowlog_max_len: u64,
    /// Milliseconds from which an event is a latency spike; 0 never.
    latency_monitor_threshold_ms: u64,
    /// Keep a latency histogram per command.
    latency_tracking: bool,
    /// Percentiles that INFO latencystats prints.
    latency_tracking_info_percentiles: Vec<f64>,
    /// Keyspace notifications that are published.
    notify_keyspace_events: KeyspaceEvents,
    /// Which lines are written to the log.
    loglevel: LogLevel,
    /// File of the log; none means standard output.
    logfile: Option<PathBuf>,

    // Process

    /// File that holds the process id.
    pidfile: Option<PathBuf>,
    /// Detach from the terminal.
    daemonize: bool,
    /// Who starts and watches the process.
    supervised: Supervised,
    /// Seconds that a shutdown waits for replicas.
    shutdown_timeout_s: u32,
    /// What SIGINT asks for.
    shutdown_on_sigint: ShutdownFlags,
    /// What SIGTERM asks for.
    shutdown_on_sigterm: ShutdownFlags,

    // Rialto's own

    /// Shards, each with a core of its own; 0 means one per CPU of this process.
    shards: u16,
    /// Port of /metrics, /healthz and /readyz; 0 means none.
    metrics_port: u16,
    /// Address of that port.
    metrics_bind: String,
}
