//! The part of the settings that a shard needs.

use ops::config::{KeyspaceEvents, MaxmemoryPolicy, Settings};
use persistence::rdb::Compression;
use shard::Options;
use shard::event::EventClasses;
use shard::keyspace::access::UseRule;
use shard::keyspace::eviction::{Among, Order, Policy};

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
        stream_node_max_bytes: settings.stream_node_max_bytes as usize,
        stream_node_max_entries: settings.stream_node_max_entries as usize,
        hll_sparse_max_bytes: settings.hll_sparse_max_bytes as usize,
        proto_max_bulk_len: settings.proto_max_bulk_len_bytes as usize,
        notify_keyspace_events: event_classes(settings.notify_keyspace_events),
        maxmemory_policy: policy(settings.maxmemory_policy),
        maxmemory_samples: settings.maxmemory_samples as usize,
        use_rule: use_rule(settings),
        active_expire_effort: settings.active_expire_effort,
        is_journaling: settings.appendonly,
        rdb_compression: match settings.rdbcompression {
            true => Compression::Lzf,
            false => Compression::Off,
        },
        ..Options::default()
    }
}

fn policy(policy: MaxmemoryPolicy) -> Policy {
    let evict = |among, order| Policy::Evict { among, order };
    match policy {
        MaxmemoryPolicy::Noeviction => Policy::NoEviction,
        MaxmemoryPolicy::AllkeysLru => evict(Among::AllKeys, Order::LeastRecent),
        MaxmemoryPolicy::AllkeysLfu => evict(Among::AllKeys, Order::LeastFrequent),
        MaxmemoryPolicy::AllkeysRandom => evict(Among::AllKeys, Order::Random),
        MaxmemoryPolicy::VolatileLru => evict(Among::Volatile, Order::LeastRecent),
        MaxmemoryPolicy::VolatileLfu => evict(Among::Volatile, Order::LeastFrequent),
        MaxmemoryPolicy::VolatileRandom => evict(Among::Volatile, Order::Random),
        MaxmemoryPolicy::VolatileTtl => evict(Among::Volatile, Order::SoonestExpiry),
    }
}

/// What a use of a key changes: how often it is used, if the policy goes by that.
fn use_rule(settings: &Settings) -> UseRule {
    match policy(settings.maxmemory_policy).is_lfu() {
        true => UseRule::Frequency {
            log_factor: settings.lfu_log_factor,
            decay_minutes: settings.lfu_decay_time_minutes,
        },
        false => UseRule::Recency,
    }
}

/// The classes a shard is to report: none at all if they would be published on no kind of channel.
fn event_classes(events: KeyspaceEvents) -> EventClasses {
    if !events.has(b'K') && !events.has(b'E') {
        return EventClasses::NONE;
    }
    let chosen = b"KEg$lshzxetmdn".iter().copied().filter(|letter| events.has(*letter));
    let letters: Vec<u8> = chosen.collect();
    EventClasses::parse(&letters).expect("both sides know the same letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(letters: &[u8]) -> EventClasses {
        event_classes(KeyspaceEvents::parse(letters).unwrap())
    }

    #[test]
    fn letters_mean_the_same_to_shards() {
        for letters in [&b"KEA"[..], b"E$x", b"Kg", b"KEmn", b"KlshzetdE"] {
            assert_eq!(classes(letters), EventClasses::parse(letters).unwrap());
        }
    }

    #[test]
    fn without_a_kind_of_channel_nothing_is_reported() {
        assert_eq!(classes(b"A"), EventClasses::NONE);
        assert_eq!(classes(b""), EventClasses::NONE);
    }
}
