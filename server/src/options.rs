//! The part of the settings that a shard needs.

use ops::config::{KeyspaceEvents, Settings};
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
        notify_keyspace_events: event_classes(settings.notify_keyspace_events),
        active_expire_effort: settings.active_expire_effort,
        is_journaling: settings.appendonly,
        ..Options::default()
    }
}

/// The classes of events that are published: none unless `K` or `E` says on which channels.
fn event_classes(events: KeyspaceEvents) -> EventClasses {
    if !events.has(b'K') && !events.has(b'E') {
        return EventClasses::NONE;
    }
    let letters: Vec<u8> = b"KEg$lshzxetmdn".iter().copied().filter(|l| events.has(*l)).collect();
    EventClasses::parse(&letters).expect("both know the same letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_classes() {
        let classes = |letters: &[u8]| event_classes(KeyspaceEvents::parse(letters).unwrap());
        assert_eq!(classes(b""), EventClasses::NONE);
        assert_eq!(classes(b"Ag"), EventClasses::NONE);
        let all = classes(b"KEA");
        for class in [EventClasses::KEYSPACE, EventClasses::KEYEVENT, EventClasses::ALL] {
            assert!(all.contains(class));
        }
        assert!(!all.contains(EventClasses::KEY_MISS));
        assert!(classes(b"Km").contains(EventClasses::KEY_MISS));
        assert_eq!(classes(b"xE"), EventClasses::parse(b"xE").unwrap());
    }
}
