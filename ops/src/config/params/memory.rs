//! How much memory data may take, how it leaves, and when values change their encoding.

use super::{INT_MAX, INT_MIN, LONG_MAX, ULONG_MAX};
use crate::config::choices::{MaxmemoryPolicy, SanitizeDumpPayload};
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;

const NO_DEFRAG: &str = "there is no active defragmentation";

const NO_CLIENT_EVICTION: &str =
    "a client is closed by its own limits (client-output-buffer-limit, client-query-buffer-limit)";

const FREED_IN_STEPS: &str =
    "a shard frees values itself, and what was flushed in steps, whoever asked for it";

const NO_SETS: &str = "sets are not built yet";

pub(super) const ROWS: &[Parameter] = &[
    Parameter::memory("maxmemory", 0, ULONG_MAX, "0")
        .store(|s, v| s.maxmemory_bytes = v.number())
        .docs("Bytes that data and buffers may take; 0: no limit."),
    Parameter::choice("maxmemory-policy", MaxmemoryPolicy::CHOICES, "noeviction")
        .store(|s, v| s.maxmemory_policy = MaxmemoryPolicy::from_code(v.code()))
        .docs("Which keys leave at the limit."),
    Parameter::integer("maxmemory-samples", 1, INT_MAX, "5")
        .store(|s, v| s.maxmemory_samples = v.number())
        .docs("Keys looked at to find one to evict."),
    Parameter::integer("maxmemory-eviction-tenacity", 0, 100, "10")
        .store(|s, v| s.maxmemory_eviction_tenacity = v.number())
        .docs("How long one eviction may go on: 0 is short, 100 until enough is free."),
    Parameter::of_kind("maxmemory-clients", Kind::MemoryOrPercent, "0")
        .store(|s, v| s.maxmemory_clients = v.size_or_percent())
        .docs("Bytes that client buffers may take together; 0: no limit.")
        .no_effect(NO_CLIENT_EVICTION),
    Parameter::integer("lfu-log-factor", 0, INT_MAX, "10")
        .store(|s, v| s.lfu_log_factor = v.number())
        .docs("How fast the LFU counter saturates; larger is slower."),
    Parameter::integer("lfu-decay-time", 0, INT_MAX, "1")
        .store(|s, v| s.lfu_decay_time_minutes = v.number())
        .docs("Minutes after which an idle key's LFU counter drops by one; 0: never."),
    Parameter::integer("hz", 0, INT_MAX, "10")
        .clamped(1, 500)
        .store(|s, v| s.hz = v.number())
        .docs("Periodic work per second; moved into 1 to 500."),
    Parameter::integer("active-expire-effort", 1, 10, "1")
        .store(|s, v| s.active_expire_effort = v.number())
        .docs("How much time goes into removing expired keys."),
    Parameter::flag("lazyfree-lazy-eviction", "no")
        .store(|s, v| s.lazyfree_lazy_eviction = v.flag())
        .docs("Free evicted values in the background.")
        .no_effect(FREED_IN_STEPS),
    Parameter::flag("lazyfree-lazy-expire", "no")
        .store(|s, v| s.lazyfree_lazy_expire = v.flag())
        .docs("Free expired values in the background.")
        .no_effect(FREED_IN_STEPS),
    Parameter::flag("lazyfree-lazy-server-del", "no")
        .store(|s, v| s.lazyfree_lazy_server_del = v.flag())
        .docs("Free overwritten values in the background.")
        .no_effect(FREED_IN_STEPS),
    Parameter::flag("lazyfree-lazy-user-del", "no")
        .store(|s, v| s.lazyfree_lazy_user_del = v.flag())
        .docs("DEL behaves like UNLINK.")
        .no_effect(FREED_IN_STEPS),
    Parameter::flag("lazyfree-lazy-user-flush", "no")
        .store(|s, v| s.lazyfree_lazy_user_flush = v.flag())
        .docs("FLUSHDB and FLUSHALL are ASYNC unless they say SYNC.")
        .no_effect(FREED_IN_STEPS),
    Parameter::integer("hash-max-listpack-entries", 0, LONG_MAX, "512")
        .alias("hash-max-ziplist-entries")
        .store(|s, v| s.hash_max_listpack_entries = v.number())
        .docs("Fields up to which a hash stays a listpack."),
    Parameter::memory("hash-max-listpack-value", 0, LONG_MAX, "64")
        .alias("hash-max-ziplist-value")
        .store(|s, v| s.hash_max_listpack_value_bytes = v.number())
        .docs("Bytes per field or value up to which a hash stays a listpack."),
    Parameter::integer("list-max-listpack-size", INT_MIN, INT_MAX, "-2")
        .alias("list-max-ziplist-size")
        .store(|s, v| s.list_max_listpack_size = v.number())
        .docs("Positive: entries per list node; -1 to -5: 4, 8, 16, 32 or 64 KiB per node."),
    Parameter::integer("list-compress-depth", 0, INT_MAX, "0")
        .store(|s, v| s.list_compress_depth = v.number())
        .docs("List nodes at each end that stay uncompressed; 0 compresses none.")
        .no_effect("nodes of lists are not compressed"),
    Parameter::integer("set-max-intset-entries", 0, LONG_MAX, "512")
        .store(|s, v| s.set_max_intset_entries = v.number())
        .docs("Members up to which a set of integers stays an intset.")
        .no_effect(NO_SETS),
    Parameter::integer("set-max-listpack-entries", 0, LONG_MAX, "128")
        .store(|s, v| s.set_max_listpack_entries = v.number())
        .docs("Members up to which a set stays a listpack.")
        .no_effect(NO_SETS),
    Parameter::integer("set-max-listpack-value", 0, LONG_MAX, "64")
        .store(|s, v| s.set_max_listpack_value_bytes = v.number())
        .docs("Bytes per member up to which a set stays a listpack.")
        .no_effect(NO_SETS),
    Parameter::integer("zset-max-listpack-entries", 0, LONG_MAX, "128")
        .alias("zset-max-ziplist-entries")
        .store(|s, v| s.zset_max_listpack_entries = v.number())
        .docs("Members up to which a sorted set stays a listpack."),
    Parameter::memory("zset-max-listpack-value", 0, LONG_MAX, "64")
        .alias("zset-max-ziplist-value")
        .store(|s, v| s.zset_max_listpack_value_bytes = v.number())
        .docs("Bytes per member up to which a sorted set stays a listpack."),
    Parameter::memory("stream-node-max-bytes", 0, LONG_MAX, "4096")
        .store(|s, v| s.stream_node_max_bytes = v.number())
        .docs("Bytes of one stream node; 0: no limit."),
    Parameter::integer("stream-node-max-entries", 0, LONG_MAX, "100")
        .store(|s, v| s.stream_node_max_entries = v.number())
        .docs("Entries of one stream node; 0: no limit."),
    Parameter::memory("hll-sparse-max-bytes", 0, LONG_MAX, "3000")
        .store(|s, v| s.hll_sparse_max_bytes = v.number())
        .docs("Bytes up to which a HyperLogLog stays sparse."),
    Parameter::choice("sanitize-dump-payload", SanitizeDumpPayload::CHOICES, "no")
        .store(|s, v| s.sanitize_dump_payload = SanitizeDumpPayload::from_code(v.code()))
        .docs("Whether RESTORE checks the whole payload.")
        .no_effect("RESTORE always checks all of it"),
    Parameter::flag("activedefrag", "no")
        .refused("Active defragmentation cannot be enabled: Rialto has none"),
    Parameter::integer("active-defrag-cycle-min", 1, 99, "1").no_effect(NO_DEFRAG),
    Parameter::integer("active-defrag-cycle-max", 1, 99, "25").no_effect(NO_DEFRAG),
    Parameter::integer("active-defrag-threshold-lower", 0, 1000, "10").no_effect(NO_DEFRAG),
    Parameter::integer("active-defrag-threshold-upper", 0, 1000, "100").no_effect(NO_DEFRAG),
    Parameter::memory("active-defrag-ignore-bytes", 1, LONG_MAX, "104857600").no_effect(NO_DEFRAG),
    Parameter::integer("active-defrag-max-scan-fields", 1, LONG_MAX, "1000").no_effect(NO_DEFRAG),
    Parameter::flag("activerehashing", "yes").no_effect("the table never rehashes as a whole"),
    Parameter::flag("jemalloc-bg-thread", "yes").no_effect("the allocator is not jemalloc"),
    Parameter::flag("disable-thp", "yes").fixed().no_effect("huge pages are left as they are"),
];
