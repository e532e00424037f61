//! Keys that clients WATCH: who must hear that one has changed.
//!
//! Path: WATCH -> [`Shard::watch`]; every change of a key -> [`Watches::touch`]; EXEC -> [`Shard::is_watch_broken`].
//! A client may watch keys of several shards; its [`Watch`] is shared by all of them, and once any of them has marked it,
//! its EXEC runs nothing. Nothing here costs anything while nobody watches.

use crate::call::Now;
use crate::keyspace::Keyspace;
use crate::shard::Shard;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one client watches, from its first WATCH to its EXEC, DISCARD or UNWATCH: whether any of it has changed.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<AtomicBool>);

impl Watch {
    /// Notes that a key has changed. Release here, Acquire in [`Watch::is_broken`].
    pub fn mark_broken(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a key has changed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn is_same(&self, other: &Watch) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// One client that watches a key.
#[derive(Debug)]
struct Watcher {
    watch: Watch,
    /// Whether the key's time had come already: its removal is no change then.
    was_expired: bool,
}

/// The watched keys of one shard, each with its clients.
#[derive(Debug, Default)]
pub struct Watches {
    /// By database; only as many as were ever needed.
    keys: Vec<BTreeMap<Box<[u8]>, Vec<Watcher>>>,
    key_count: usize,
}

impl Watches {
    /// Whether nobody watches: the only question a write asks on the way.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.key_count == 0
    }

    /// Marks the watches of a key that has changed.
    #[inline]
    pub(crate) fn touch(&mut self, db: u16, key: &[u8]) {
        if !self.is_empty() {
            for watcher in self.watchers(db, key) {
                watcher.watch.mark_broken();
            }
        }
    }

    /// The same for a key that has been removed because its time had come. Who began to watch it after that moment had
    /// no such key, and has none now.
    #[inline]
    pub(crate) fn expired(&mut self, db: u16, key: &[u8]) {
        if !self.is_empty() {
            for watcher in self.watchers(db, key) {
                if !std::mem::take(&mut watcher.was_expired) {
                    watcher.watch.mark_broken();
                }
            }
        }
    }

    /// What becomes of watches in database `db`, which is about to be emptied.
    pub(crate) fn emptied(&mut self, keyspace: &Keyspace, db: u16) {
        let Some(keys) = self.keys.get_mut(usize::from(db)) else { return };
        let database = keyspace.database(db);
        for (key, watchers) in keys.iter_mut().filter(|(key, _)| database.find_any(key).is_some()) {
            let _ = key;
            for watcher in watchers {
                if !std::mem::take(&mut watcher.was_expired) {
                    watcher.watch.mark_broken();
                }
            }
        }
    }

    /// What becomes of watches in database `db`, which is about to get the keys of `other`: broken are those of keys that
    /// are in either, unless there is none before and after because its time has come.
    pub(crate) fn replaced(&mut self, keyspace: &Keyspace, now: Now, db: u16, other: u16) {
        let Some(keys) = self.keys.get_mut(usize::from(db)) else { return };
        for (key, watchers) in keys {
            let before = keyspace.database(db).find_any(key);
            let after = keyspace.database(other).find_any(key);
            let is_after_expired = after.is_some_and(|entry| entry.is_expired(now));
            if before.is_none() && after.is_none() {
                continue;
            }
            for watcher in watchers {
                let was_missing = watcher.was_expired || before.is_none();
                if was_missing && (after.is_none() || is_after_expired) {
                    watcher.was_expired = is_after_expired;
                } else {
                    watcher.watch.mark_broken();
                }
            }
        }
    }

    fn watchers(&mut self, db: u16, key: &[u8]) -> &mut [Watcher] {
        let keys = self.keys.get_mut(usize::from(db));
        keys.and_then(|keys| keys.get_mut(key)).map_or(&mut [], Vec::as_mut_slice)
    }

    fn add(&mut self, db: u16, key: &[u8], watch: &Watch, was_expired: bool) {
        let db = usize::from(db);
        if self.keys.len() <= db {
            self.keys.resize_with(db + 1, BTreeMap::default);
        }
        let watchers = self.keys[db].entry(key.into()).or_default();
        self.key_count += usize::from(watchers.is_empty());
        if !watchers.iter().any(|watcher| watcher.watch.is_same(watch)) {
            watchers.push(Watcher { watch: watch.clone(), was_expired });
        }
    }

    fn remove(&mut self, db: u16, key: &[u8], watch: &Watch) {
        let Some(keys) = self.keys.get_mut(usize::from(db)) else { return };
        let Some(watchers) = keys.get_mut(key) else { return };
        watchers.retain(|watcher| !watcher.watch.is_same(watch));
        if watchers.is_empty() {
            keys.remove(key);
            self.key_count -= 1;
        }
    }

    fn was_expired(&self, db: u16, key: &[u8], watch: &Watch) -> bool {
        let watchers = self.keys.get(usize::from(db)).and_then(|keys| keys.get(key));
        let own = watchers.and_then(|all| all.iter().find(|one| one.watch.is_same(watch)));
        own.is_some_and(|watcher| watcher.was_expired)
    }
}

impl Shard {
    /// Watches `key`, which belongs to this shard, from now on. Cost: O(clients that watch it).
    pub fn watch(&mut self, now: Now, db: u16, key: &[u8], watch: &Watch) {
        let entry = self.keyspace().database(db).find_any(key);
        let was_expired = entry.is_some_and(|entry| entry.is_expired(now));
        self.effects_mut().watches.add(db, key, watch, was_expired);
    }

    /// Watches `key` no longer.
    pub fn unwatch(&mut self, db: u16, key: &[u8], watch: &Watch) {
        self.effects_mut().watches.remove(db, key, watch);
    }

    /// Whether an EXEC that depends on `key`, which belongs to this shard, must not run: something watched has changed,
    /// or the time of the key has come since it is watched.
    #[must_use]
    pub fn is_watch_broken(&mut self, now: Now, db: u16, key: &[u8], watch: &Watch) -> bool {
        let entry = self.keyspace().database(db).find_any(key);
        let is_expired = entry.is_some_and(|entry| entry.is_expired(now));
        watch.is_broken() || is_expired && !self.effects_mut().watches.was_expired(db, key, watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::tests::Rig;

    fn watching(rig: &mut Rig, key: &str) -> Watch {
        let watch = Watch::default();
        let now = rig.now;
        rig.shard.watch(now, rig.db, key.as_bytes(), &watch);
        watch
    }

    fn is_broken(rig: &mut Rig, key: &str, watch: &Watch) -> bool {
        let now = rig.now;
        rig.shard.is_watch_broken(now, rig.db, key.as_bytes(), watch)
    }

    #[test]
    fn a_change_breaks_the_watch_of_its_key_in_its_database() {
        let mut rig = Rig::new();
        let (a, b) = (watching(&mut rig, "a"), watching(&mut rig, "b"));
        rig.run("SET a 1");
        rig.run("GET b");
        rig.run("DEL b");
        assert!(is_broken(&mut rig, "a", &a));
        assert!(!is_broken(&mut rig, "b", &b), "nothing was there before or after");
        rig.db = 1;
        rig.run("SET b 1");
        rig.db = 0;
        assert!(!is_broken(&mut rig, "b", &b));
        rig.run("RENAME a b");
        assert!(is_broken(&mut rig, "b", &b));
    }

    #[test]
    fn a_key_that_expires_breaks_its_watch_before_and_after_it_is_removed() {
        let mut rig = Rig::new();
        rig.run("SET a 1 PX 10");
        rig.run("SET b 1 PX 10");
        let (a, b) = (watching(&mut rig, "a"), watching(&mut rig, "b"));
        rig.advance_ms(11);
        assert!(is_broken(&mut rig, "a", &a));
        rig.run("GET b");
        assert!(b.is_broken());
    }

    #[test]
    fn the_removal_of_a_key_that_had_expired_before_is_no_change() {
        let mut rig = Rig::new();
        rig.run("SET a 1 PX 10");
        rig.run("SET b 1 PX 10");
        rig.advance_ms(11);
        let (a, b) = (watching(&mut rig, "a"), watching(&mut rig, "b"));
        assert!(!is_broken(&mut rig, "a", &a));
        rig.run("GET a");
        rig.run("FLUSHDB");
        assert!(!is_broken(&mut rig, "a", &a));
        assert!(!is_broken(&mut rig, "b", &b));
        rig.run("SET a 2");
        assert!(is_broken(&mut rig, "a", &a));
    }

    #[test]
    fn a_flush_breaks_the_watches_of_keys_that_were_there() {
        let mut rig = Rig::new();
        rig.run("SET a 1");
        let (a, none) = (watching(&mut rig, "a"), watching(&mut rig, "none"));
        rig.run("FLUSHALL");
        assert!(is_broken(&mut rig, "a", &a));
        assert!(!is_broken(&mut rig, "none", &none));
    }

    #[test]
    fn a_swap_breaks_the_watches_of_keys_in_either_database() {
        let mut rig = Rig::new();
        rig.run("SET here 1");
        rig.db = 1;
        rig.run("SET there 1");
        rig.run("SET late 1 PX 10");
        rig.db = 0;
        let (here, there) = (watching(&mut rig, "here"), watching(&mut rig, "there"));
        let (late, none) = (watching(&mut rig, "late"), watching(&mut rig, "none"));
        rig.advance_ms(11);
        rig.run("SWAPDB 0 1");
        assert!(here.is_broken() && there.is_broken());
        assert!(!is_broken(&mut rig, "late", &late), "there was none, and it has expired");
        assert!(!is_broken(&mut rig, "none", &none));
    }

    #[test]
    fn a_watch_that_has_ended_is_forgotten() {
        let mut rig = Rig::new();
        let watch = watching(&mut rig, "a");
        watching(&mut rig, "a");
        rig.shard.unwatch(0, b"a", &watch);
        rig.run("SET a 1");
        assert!(!watch.is_broken());
        let mut other = watching(&mut rig, "b");
        rig.shard.watch(rig.now, 0, b"b", &other);
        rig.shard.unwatch(0, b"b", &other);
        rig.shard.unwatch(0, b"b", &other);
        other = watching(&mut rig, "c");
        rig.shard.unwatch(0, b"c", &other);
        assert_eq!(rig.shard.effects_mut().watches.key_count, 1);
    }
}
