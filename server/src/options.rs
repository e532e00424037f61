//! The part of the settings that a shard needs.

use ops::config::Settings;
use shard::Options;
use shard::event::EventClasses;

/// Fills a shard's options from the settings.
#[must_use]
pub fn shard_options(settings: &Settings) -> Options {
    Options {
        hash_max_listpack_entries: settings.hash_max_listpack_entries as usize,
        hash_max_listpack_value: settings.hash_max_listpack_value_bytes as usize,
        list_max_listpack_size: i64::from(settings.list_max_listpack_size),
        set_max_intset_entries: settings.set_max_intset_entries as usize,
        set_max_listpack_entries: settings.set_max_listpack_entries as usize,
        set_max_listpack_value: settings.set_max_listpack_value_bytes as usize,
        zset_max_listpack_entries: settings.zset_max_listpack_entries as usize,
        zset_max_listpack_value: settings.zset_max_listpack_value_bytes as usize,
        proto_max_bulk_len: settings.proto_max_bulk_len_bytes as usize,
        notify_keyspace_events: EventClasses::NONE,
        active_expire_effort: settings.active_expire_effort,
        is_journaling: settings.appendonly,
        ..Options::default()
    }
}
