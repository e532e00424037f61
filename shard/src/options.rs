//! Parameters that change what a shard does. The server fills this from its configuration and hands every shard a
//! new copy when CONFIG SET changes one.

use crate::event::EventClasses;
use crate::keyspace::access::UseRule;
use crate::keyspace::eviction::Policy;
use persistence::rdb::Compression;
use persistence::rdb::payload::Checksum;

/// Parameters of a shard, named like the redis.conf parameters they come from.
#[derive(Clone, Debug)]
pub struct Options {
    /// `hash-max-listpack-entries`.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`, bytes.
    pub hash_max_listpack_value: usize,
    /// `list-max-listpack-size`: entries if positive, size class if negative.
    pub list_max_listpack_size: i64,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`, bytes.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`, bytes.
    pub zset_max_listpack_value: usize,
    /// `stream-node-max-bytes`; 0 for no limit.
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`; 0 for no limit.
    pub stream_node_max_entries: usize,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_max_bytes: usize,
    /// `proto-max-bulk-len`, bytes: the longest string a command may make.
    pub proto_max_bulk_len: usize,
    /// `notify-keyspace-events`.
    pub notify_keyspace_events: EventClasses,
    /// `maxmemory-policy`.
    pub maxmemory_policy: Policy,
    /// `maxmemory-samples`, at least 1.
    pub maxmemory_samples: usize,
    /// What a use of a key changes, by the policy, `lfu-log-factor` and `lfu-decay-time`.
    pub use_rule: UseRule,
    /// `active-expire-effort`, 1 to 10.
    pub active_expire_effort: u8,
    /// Whether the active expiry cycle runs (DEBUG SET-ACTIVE-EXPIRE switches it off).
    pub is_active_expire_on: bool,
    /// Whether writes are turned into journal entries (an append-only file or a replica wants them).
    pub is_journaling: bool,
    /// `rdbcompression`: whether DUMP compresses.
    pub rdb_compression: Compression,
    /// Whether RESTORE looks at checksums (DEBUG SET-SKIP-CHECKSUM-VALIDATION switches that off).
    pub payload_checksum: Checksum,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            hll_sparse_max_bytes: 3000,
            proto_max_bulk_len: 512 << 20,
            notify_keyspace_events: EventClasses::NONE,
            maxmemory_policy: Policy::NoEviction,
            maxmemory_samples: 5,
            use_rule: UseRule::Recency,
            active_expire_effort: 1,
            is_active_expire_on: true,
            is_journaling: false,
            rdb_compression: Compression::Lzf,
            payload_checksum: Checksum::Checked,
        }
    }
}
