//! Keeping house between commands: active expiry, freeing what was flushed, figures for INFO, DEBUG OBJECT.

use super::Shard;
use super::slices::{MEASURED_BYTES_MIN, SliceStats, Stopwatch};
use crate::call::Now;
use crate::keyspace::eviction::{Choice, Policy, Rules};
use crate::keyspace::{Clock, WorkStats};
use crate::types::rdb;
use persistence::rdb::Writer;

/// Steps that `active-expire-effort` adds to a budget, in per cent per level above the first.
const EFFORT_STEP_PERCENT: usize = 25;

/// Steps of a budget that the removal of one key by [`Shard::evict`] counts: it costs about as much as looking at so
/// many entries.
const EVICTION_STEPS: usize = 8;
/// After so many locked keys in a row a slice ends: perhaps there are no others, and the budget may have no end.
const EVICTION_LOCKED_MAX: usize = 64;
/// More keys than this are not looked at for one removal, whatever `maxmemory-samples` says.
const EVICTION_SAMPLES_MAX: usize = 64;

/// What [`Shard::evict`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// Bytes of data that are gone.
    pub bytes: usize,
    /// Why it stopped.
    pub end: EvictionEnd,
}

/// Why [`Shard::evict`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionEnd {
    /// As much as was wanted is gone.
    Enough,
    /// There is more to do.
    OutOfBudget,
    /// The policy lets no further key leave.
    NothingLeft,
}

/// Figures of one shard, as INFO adds them up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// `keyspace_hits`.
    pub hits: u64,
    /// `keyspace_misses`.
    pub misses: u64,
    /// `expired_keys`.
    pub expired: u64,
    /// `evicted_keys`.
    pub evicted: u64,
    /// Which part of the keys with an expiry had passed it when the last rounds of active expiry came by, 0 to 1.
    pub stale_part: f64,
    /// `lazyfreed_objects`.
    pub freed: u64,
    /// `lazyfree_pending_objects`.
    pub pending_count: usize,
    /// `rdb_changes_since_last_save`: never reset here, the caller remembers what it was at the last save.
    pub change_count: u64,
    /// The largest pieces of table work within one operation: how much growth can hold up a command.
    pub table_work: WorkStats,
    /// The longest slices of expiry, eviction and freeing: how much they can hold up a command.
    pub slices: SliceStats,
    /// `total_blocking_keys`.
    pub blocking_keys: usize,
    /// `total_blocking_keys_on_nokey`.
    pub blocking_keys_on_nokey: usize,
    /// One for each database.
    pub databases: Vec<DatabaseStats>,
}

/// Figures of one database, as INFO keyspace shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseStats {
    /// Keys, expired ones that nobody has met yet included.
    pub keys: usize,
    /// Keys with an expiry.
    pub expires: usize,
    /// Their average time to live in milliseconds; 0 if there are none.
    pub average_ttl_ms: i64,
    /// Bytes of the table beside keys and values.
    pub table_bytes: usize,
}

impl Shard {
    /// Removes keys whose time has come although nobody asks for them. Says whether the round over all databases is
    /// unfinished; the next call goes on there. Keys that are locked stay for a later round.
    ///
    /// Cost: about `budget` steps (an entry looked at, or up to a few hundred entries with nothing due passed), more
    /// if `active-expire-effort` is above 1. Does nothing while the cycle is switched off.
    pub fn expire_cycle(&mut self, now: Now, budget: usize) -> bool {
        if !self.options.is_active_expire_on {
            return false;
        }
        let stopwatch = Stopwatch::start(self.clock);
        let effort = usize::from(self.options.active_expire_effort.clamp(1, 10));
        let budget = budget + budget / 100 * EFFORT_STEP_PERCENT * (effort - 1);
        let mut cycle = std::mem::take(&mut self.expiry_cycle);
        let (stats, effects, options) = (&self.stats, &mut self.effects, &self.options);
        let waiters = &mut self.waiters;
        // What is locked must stay as it is.
        let is_locked = |key: &[u8]| self.locks.is_claimed(key);
        let is_held: Option<&dyn Fn(&[u8]) -> bool> =
            if self.locks.is_empty() { None } else { Some(&is_locked) };
        let is_unfinished = cycle.run(&mut self.keyspace, now, budget, is_held, |db, key| {
            stats.expired.set(stats.expired.get() + 1);
            effects.expired(options, db, key);
            waiters.touch(db, key);
        });
        self.expiry_cycle = cycle;
        self.settle(now);
        stopwatch.stop(&mut self.slices.expire_ns);
        is_unfinished
    }

    /// Removes keys by `maxmemory-policy` until `wanted_bytes` of data are gone, no key may leave, or about `budget`
    /// steps are done: a step is an entry looked at, a removal counts for eight. At least one key leaves, if one may and
    /// is met.
    ///
    /// Each removal enters the journal as DEL, is reported as `evicted` and counted.
    pub fn evict(&mut self, now: Now, wanted_bytes: usize, budget: usize) -> Evicted {
        let Policy::Evict { among, order } = self.options.maxmemory_policy else {
            return Evicted { bytes: 0, end: EvictionEnd::NothingLeft };
        };
        let is_large = wanted_bytes >= MEASURED_BYTES_MIN;
        let stopwatch = is_large.then(|| Stopwatch::start(self.clock));
        let samples = self.options.maxmemory_samples.clamp(1, EVICTION_SAMPLES_MAX);
        let rules = Rules { among, order, samples, use_rule: self.options.use_rule };
        let bytes_before = self.keyspace.data_bytes();
        let mut eviction = std::mem::take(&mut self.eviction);
        let (mut steps, mut bytes, mut locked_count) = (0, 0, 0);
        let end = loop {
            let rng = self.rng.get_mut();
            match eviction.choose(&self.keyspace, now, &rules, rng, &mut steps) {
                // What is locked must stay as it is.
                Choice::Key(_, key) if self.locks.is_claimed(&key) => {
                    steps += EVICTION_STEPS;
                    locked_count += 1;
                    if locked_count >= EVICTION_LOCKED_MAX {
                        break EvictionEnd::OutOfBudget;
                    }
                }
                Choice::Key(db, key) => {
                    locked_count = 0;
                    self.keyspace.database_mut(db).remove(&key);
                    self.stats.evicted.set(self.stats.evicted.get() + 1);
                    self.effects.evicted(&self.options, db, &key);
                    steps += EVICTION_STEPS;
                }
                Choice::NotMet => {}
                Choice::NoneLeft => break EvictionEnd::NothingLeft,
            }
            bytes = bytes_before.saturating_sub(self.keyspace.data_bytes());
            if bytes >= wanted_bytes {
                break EvictionEnd::Enough;
            }
            if steps >= budget {
                break EvictionEnd::OutOfBudget;
            }
        };
        self.eviction = eviction;
        if let Some(stopwatch) = stopwatch {
            stopwatch.stop(&mut self.slices.evict_ns);
        }
        Evicted { bytes, end }
    }

    /// Frees about `budget` entries of databases that were flushed, or elements of large values that were removed; says
    /// whether some may be left.
    pub fn free_cycle(&mut self, budget: usize) -> bool {
        let before = self.keyspace.pending_count();
        if before == 0 {
            return false;
        }
        let stopwatch = Stopwatch::start(self.clock);
        let has_more = self.keyspace.free(budget);
        stopwatch.stop(&mut self.slices.free_ns);
        let freed_count = before - self.keyspace.pending_count();
        self.stats.freed.set(self.stats.freed.get() + freed_count as u64);
        has_more
    }

    /// Figures for INFO. Cost: O(databases).
    #[must_use]
    pub fn stats(&self, now: Now) -> Stats {
        let (blocking_keys, blocking_keys_on_nokey) = self.waiters.key_counts();
        let databases = self.keyspace.databases().iter().map(|database| DatabaseStats {
            keys: database.len(),
            expires: database.expiring_count(),
            average_ttl_ms: database.average_ttl_ms(now),
            table_bytes: database.overhead_bytes(),
        });
        Stats {
            hits: self.stats.hits.get(),
            misses: self.stats.misses.get(),
            expired: self.stats.expired.get(),
            evicted: self.stats.evicted.get(),
            stale_part: self.expiry_cycle.stale_part(),
            freed: self.stats.freed.get(),
            pending_count: self.keyspace.pending_count(),
            change_count: self.effects.change_count,
            table_work: self.keyspace.work_stats(),
            slices: self.slices,
            blocking_keys,
            blocking_keys_on_nokey,
            databases: databases.collect(),
        }
    }

    /// Measures with `clock` how long table work and slices of housekeeping take; without, [`Stats::table_work`] counts
    /// entries alone. Nothing else depends on it.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.keyspace.set_clock(clock);
    }

    /// Sets the figures of [`Shard::stats`] that count events back to 0 (CONFIG RESETSTAT), but for the change count.
    pub fn reset_stats(&mut self) {
        self.stats = crate::context::LookupStats::default();
        self.slices = SliceStats::default();
        self.keyspace.reset_work_stats();
    }

    /// Empties database `db` and returns how many keys it had. Nobody is told and nothing is journaled: for a server
    /// that replaces its data, not for FLUSHDB.
    pub fn flush(&mut self, db: u16) -> usize {
        self.keyspace.flush(db)
    }

    /// The bytes that `key` and its value take, as the allocator counts them. `None` if there is no such key. Cost: O(1).
    #[must_use]
    pub fn memory_usage(&self, now: Now, db: u16, key: &[u8]) -> Option<usize> {
        let database = self.keyspace.database(db);
        let entry = database.find_any(key).filter(|entry| !entry.is_expired(now))?;
        Some(database.table().entry_bytes(entry.place()))
    }

    /// The line of DEBUG OBJECT about `key`; `None` if there is no such key. Expired keys are shown too, nothing counts
    /// as a lookup. `serializedlength` is the length of the value as RDB writes it, without its type. Cost: O(size).
    #[must_use]
    pub fn debug_object(&self, now: Now, db: u16, key: &[u8]) -> Option<String> {
        let entry = self.keyspace.database(db).find_any(key)?;
        let mut bytes = Vec::new();
        rdb::save(entry.value, &mut Writer::new(&mut bytes, self.options.rdb_compression));
        let len = bytes.len();
        Some(format!(
            "Value at:{:p} refcount:1 encoding:{} serializedlength:{len} lru:{} \
             lru_seconds_idle:{}",
            std::ptr::from_ref(self),
            entry.value.encoding(),
            entry.access().bits(),
            entry.access().idle_seconds(now),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Rig;
    use super::*;
    use crate::keyspace::eviction::{Among, Order};
    use crate::locks::{Claims, Mode};
    use crate::options::Options;
    use crate::watch::Watch;

    #[test]
    fn the_longest_slices_are_known_until_the_figures_are_reset() {
        thread_local!(static NS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
        fn tick() -> u64 {
            NS.replace(NS.get() + 7)
        }
        let mut rig = Rig::new();
        rig.shard.set_clock(tick);
        let longest = |rig: &Rig| {
            let SliceStats { expire_ns, evict_ns, free_ns } = rig.shard.stats(rig.now).slices;
            [expire_ns > 0, evict_ns > 0, free_ns > 0]
        };
        assert_eq!(longest(&rig), [false; 3]);
        rig.shard.expire_cycle(rig.now, 100);
        assert_eq!(longest(&rig), [true, false, false]);
        rig.run("SET a 1");
        rig.run("FLUSHALL ASYNC");
        while rig.shard.free_cycle(100) {}
        assert_eq!(longest(&rig), [true, false, true]);
        let policy = Policy::Evict { among: Among::AllKeys, order: Order::Random };
        rig.shard.set_options(Options { maxmemory_policy: policy, ..Options::default() });
        rig.run("SET b 1");
        rig.shard.evict(rig.now, 1, 100);
        assert_eq!(longest(&rig), [true, false, true]);
        rig.run("SET c 1");
        rig.shard.evict(rig.now, MEASURED_BYTES_MIN, 100);
        assert_eq!(longest(&rig), [true; 3]);
        rig.shard.reset_stats();
        assert_eq!(longest(&rig), [false; 3]);
    }

    #[test]
    fn the_cycle_removes_what_nobody_asks_for_and_journals_it() {
        let mut rig = Rig::new();
        rig.run("SET a 1");
        rig.run("PEXPIRE a 10");
        rig.run("SET b 1");
        rig.db = 5;
        rig.run("HSET c f v");
        rig.run("PEXPIRE c 20");
        rig.take_journal();
        rig.shard.effects_mut().events.clear();
        assert!(!rig.shard.expire_cycle(rig.now, 1_000));
        assert!(rig.take_journal().is_empty());
        rig.advance_ms(10);
        assert!(!rig.shard.expire_cycle(rig.now, 1_000));
        assert!(rig.take_journal().is_empty(), "a key lives through its last millisecond");
        rig.advance_ms(1);
        assert!(!rig.shard.expire_cycle(rig.now, 1_000));
        assert_eq!(rig.take_journal(), ["DEL a"]);
        rig.advance_ms(10);
        assert!(!rig.shard.expire_cycle(rig.now, 1_000));
        assert_eq!(rig.take_journal(), ["SELECT 5", "DEL c"]);
        let events = std::mem::take(&mut rig.shard.effects_mut().events);
        assert!(events.iter().all(|event| event.event.name == "expired"));
        assert_eq!(events.len(), 2);
        assert_eq!(rig.shard.stats(rig.now).expired, 2);
    }

    fn full(policy: Policy) -> Rig {
        let mut rig = Rig::new();
        let options = Options { maxmemory_policy: policy, ..rig.shard.options().clone() };
        rig.shard.set_options(options);
        rig
    }

    const LEAST_RECENT: Policy = Policy::Evict { among: Among::AllKeys, order: Order::LeastRecent };

    #[test]
    fn eviction_is_journaled_reported_and_counted() {
        let mut rig = full(LEAST_RECENT);
        rig.run("SET a 1");
        rig.db = 5;
        rig.run("HSET b f v");
        rig.take_journal();
        let effects = rig.shard.effects_mut();
        effects.events.clear();
        effects.is_tracking = true;
        let evicted = rig.shard.evict(rig.now, usize::MAX, 1_000);
        assert_eq!(evicted.end, EvictionEnd::NothingLeft);
        assert!(evicted.bytes > 0);
        let mut journal = rig.take_journal();
        journal.sort();
        assert_eq!(journal, ["DEL a", "DEL b", "SELECT 5"]);
        let effects = rig.shard.effects_mut();
        assert_eq!(effects.events.len(), 2);
        assert!(effects.events.iter().all(|event| event.event.name == "evicted"));
        assert_eq!(effects.touched.len(), 2);
        assert_eq!(rig.shard.stats(rig.now).evicted, 2);
        assert_eq!(rig.run("DBSIZE"), ":0\r\n");
    }

    #[test]
    fn what_is_evicted_breaks_its_watch() {
        let mut rig = full(LEAST_RECENT);
        rig.run("SET a 1");
        let (watch, other) = (Watch::default(), Watch::default());
        rig.shard.watch(rig.now, rig.db, b"a", &watch);
        rig.shard.watch(rig.now, rig.db, b"b", &other);
        rig.shard.evict(rig.now, usize::MAX, 1_000);
        assert!(watch.is_broken());
        assert!(!other.is_broken(), "no such key was there");
    }

    #[test]
    fn what_is_locked_is_neither_evicted_nor_expired() {
        let mut rig = full(LEAST_RECENT);
        for key in ["a", "b", "c"] {
            rig.run(&format!("SET {key} 1 PX 10"));
        }
        rig.run("SET d 1");
        let mut claims = Claims::default();
        claims.add(b"a", Mode::Shared);
        let (id, _) = rig.shard.locks_mut().request(claims);
        rig.advance_ms(11);
        rig.take_journal();
        rig.shard.expire_cycle(rig.now, 1_000);
        let mut journal = rig.take_journal();
        journal.sort();
        assert_eq!(journal, ["DEL b", "DEL c"]);
        rig.shard.evict(rig.now, usize::MAX, 1_000);
        assert_eq!(rig.take_journal(), ["DEL d"]);
        rig.shard.unlock(rig.now, id);
        rig.shard.expire_cycle(rig.now, 1_000);
        assert_eq!(rig.take_journal(), ["DEL a"]);
    }

    #[test]
    fn a_shard_that_is_locked_whole_keeps_all() {
        let mut rig = full(LEAST_RECENT);
        rig.run("SET a 1 PX 10");
        rig.run("SET b 1");
        let (id, _) = rig.shard.locks_mut().request(Claims::whole(Mode::Shared));
        rig.advance_ms(11);
        rig.take_journal();
        rig.shard.expire_cycle(rig.now, 1_000);
        let evicted = rig.shard.evict(rig.now, usize::MAX, usize::MAX);
        assert_eq!(evicted, Evicted { bytes: 0, end: EvictionEnd::OutOfBudget });
        assert!(rig.take_journal().is_empty());
        rig.shard.unlock(rig.now, id);
        rig.shard.expire_cycle(rig.now, 1_000);
        rig.shard.evict(rig.now, usize::MAX, 1_000);
        assert_eq!(rig.take_journal(), ["DEL a", "DEL b"]);
    }

    #[test]
    fn eviction_stops_when_enough_is_gone_or_its_budget_is() {
        let mut rig = full(LEAST_RECENT);
        for number in 0..2_000 {
            rig.run(&format!("SET key:{number} 0123456789"));
        }
        let before = rig.shard.keyspace().data_bytes();
        let some = rig.shard.evict(rig.now, before / 10, usize::MAX);
        assert_eq!(some.end, EvictionEnd::Enough);
        assert!((before / 10..before / 8).contains(&some.bytes), "{some:?} of {before}");
        assert_eq!(rig.shard.keyspace().data_bytes(), before - some.bytes);
        let gone = rig.shard.stats(rig.now).evicted;
        let slice = rig.shard.evict(rig.now, usize::MAX, 1_000);
        assert_eq!(slice.end, EvictionEnd::OutOfBudget);
        let gone = rig.shard.stats(rig.now).evicted - gone;
        assert!((1..=1_000 / EVICTION_STEPS as u64 + 1).contains(&gone), "{gone}");
    }

    #[test]
    fn without_a_policy_nothing_leaves() {
        let mut rig = full(Policy::NoEviction);
        rig.run("SET a 1");
        let evicted = rig.shard.evict(rig.now, 1, 1_000);
        assert_eq!(evicted, Evicted { bytes: 0, end: EvictionEnd::NothingLeft });
        assert_eq!(rig.run("DBSIZE"), ":1\r\n");
    }

    #[test]
    fn the_cycle_can_be_switched_off_and_worked_harder() {
        let fill = |options: Options| {
            let mut rig = Rig::new();
            rig.shard.set_options(options);
            for number in 0..5_000 {
                rig.run(&format!("SET k{number} v"));
                rig.run(&format!("PEXPIRE k{number} 1"));
            }
            rig.advance_ms(2);
            rig.shard.expire_cycle(rig.now, 1_000);
            rig.shard.stats(rig.now).expired
        };
        let off = Options { is_active_expire_on: false, ..Options::default() };
        assert_eq!(fill(off), 0);
        let usual = fill(Options::default());
        assert!((1_000..2_000).contains(&usual), "{usual}");
        let hard = fill(Options { active_expire_effort: 10, ..Options::default() });
        assert!(hard > 3 * usual, "{hard}");
    }

    #[test]
    fn figures_count_keys_expiries_and_lookups() {
        let mut rig = Rig::new();
        rig.run("HSET a f v");
        rig.run("HSET b f v");
        rig.run("PEXPIRE a 1000");
        rig.run("PEXPIRE b 3000");
        rig.run("HSET c f v");
        rig.run("HGET a f");
        rig.run("HGET none f");
        rig.run("EXISTS a none none");
        let stats = rig.shard.stats(rig.now);
        assert_eq!((stats.hits, stats.misses, stats.expired), (2, 3, 0));
        assert_eq!(stats.change_count, 5);
        let db = stats.databases[0];
        assert_eq!((db.keys, db.expires, db.average_ttl_ms), (3, 2, 2_000));
        rig.run("PERSIST a");
        rig.run("DEL b");
        let db = rig.shard.stats(rig.now).databases[0];
        assert_eq!((db.keys, db.expires, db.average_ttl_ms), (2, 0, 0));
        rig.shard.reset_stats();
        assert_eq!(rig.shard.stats(rig.now).misses, 0);
    }

    #[test]
    fn flushed_entries_are_freed_in_steps() {
        let mut rig = Rig::new();
        for number in 0..5_000 {
            rig.run(&format!("SET k{number} v"));
        }
        rig.run("FLUSHALL");
        assert_eq!(rig.run("DBSIZE"), ":0\r\n");
        rig.run("SET k v");
        let mut step_count = 1;
        while rig.shard.free_cycle(1_000) {
            step_count += 1;
        }
        assert!((3..=6).contains(&step_count), "{step_count}");
        assert_eq!(rig.run("DBSIZE"), ":1\r\n");
    }

    #[test]
    fn memory_usage_grows_with_the_value_and_ends_with_the_key() {
        let mut rig = Rig::new();
        rig.run("SET k v PX 10");
        let short = rig.shard.memory_usage(rig.now, 0, b"k").unwrap();
        assert!(short > 2 && short < 200, "{short}");
        rig.run("APPEND k 0123456789");
        let long = rig.shard.memory_usage(rig.now, 0, b"k").unwrap();
        assert!(long >= short && long < short + 64, "{short} -> {long}");
        rig.run("RPUSH list a b c");
        let list = rig.shard.memory_usage(rig.now, 0, b"list").unwrap();
        assert!(list > 40 && list < 1_000, "{list}");
        assert_eq!(rig.shard.memory_usage(rig.now, 0, b"none"), None);
        assert_eq!(rig.shard.memory_usage(rig.now, 1, b"k"), None);
        rig.advance_ms(11);
        assert_eq!(rig.shard.memory_usage(rig.now, 0, b"k"), None);
    }

    #[test]
    fn debug_object_describes_an_entry_and_does_not_use_it() {
        let mut rig = Rig::new();
        rig.run("HSET k f v");
        rig.advance_ms(3_000);
        let text = rig.shard.debug_object(rig.now, 0, b"k").unwrap();
        assert!(text.starts_with("Value at:0x"), "{text}");
        let rest =
            "refcount:1 encoding:listpack serializedlength:14 lru:5501184 lru_seconds_idle:3";
        assert!(text.ends_with(rest), "{text}");
        assert_eq!(rig.run("OBJECT IDLETIME k"), ":3\r\n");
        assert_eq!(rig.shard.debug_object(rig.now, 0, b"none"), None);
    }
}
