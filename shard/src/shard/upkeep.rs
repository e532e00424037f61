//! Keeping house between commands: active expiry, freeing what was flushed, figures for INFO, DEBUG OBJECT.

use super::Shard;
use crate::call::Now;
use crate::keyspace::{Clock, WorkStats};
use crate::types::rebuild;

/// Steps that `active-expire-effort` adds to a budget, in per cent per level above the first.
const EFFORT_STEP_PERCENT: usize = 25;

/// Figures of one shard, as INFO adds them up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// `keyspace_hits`.
    pub hits: u64,
    /// `keyspace_misses`.
    pub misses: u64,
    /// `expired_keys`.
    pub expired: u64,
    /// `rdb_changes_since_last_save`: never reset here, the caller remembers what it was at the last save.
    pub change_count: u64,
    /// The largest pieces of table work within one operation: how much growth can hold up a command.
    pub table_work: WorkStats,
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
}

impl Shard {
    /// Removes keys whose time has come although nobody asks for them. Says whether the round over all databases is
    /// unfinished; the next call goes on there.
    ///
    /// Cost: about `budget` steps (an entry looked at, or up to a few hundred entries with nothing due passed), more
    /// if `active-expire-effort` is above 1. Does nothing while the cycle is switched off.
    pub fn expire_cycle(&mut self, now: Now, budget: usize) -> bool {
        if !self.options.is_active_expire_on {
            return false;
        }
        let effort = usize::from(self.options.active_expire_effort.clamp(1, 10));
        let budget = budget + budget / 100 * EFFORT_STEP_PERCENT * (effort - 1);
        let mut cycle = std::mem::take(&mut self.expiry_cycle);
        let (stats, effects, options) = (&self.stats, &mut self.effects, &self.options);
        let is_unfinished = cycle.run(&mut self.keyspace, now, budget, |db, key| {
            stats.expired.set(stats.expired.get() + 1);
            effects.expired(options, db, key);
        });
        self.expiry_cycle = cycle;
        is_unfinished
    }

    /// Frees about `budget` entries of databases that were flushed, or elements of large values that were removed; says
    /// whether some may be left.
    pub fn free_cycle(&mut self, budget: usize) -> bool {
        self.keyspace.free(budget)
    }

    /// Figures for INFO. Cost: O(databases).
    #[must_use]
    pub fn stats(&self, now: Now) -> Stats {
        let databases = self.keyspace.databases().iter().map(|database| DatabaseStats {
            keys: database.len(),
            expires: database.expiring_count(),
            average_ttl_ms: database.average_ttl_ms(now),
        });
        Stats {
            hits: self.stats.hits.get(),
            misses: self.stats.misses.get(),
            expired: self.stats.expired.get(),
            change_count: self.effects.change_count,
            table_work: self.keyspace.work_stats(),
            databases: databases.collect(),
        }
    }

    /// Measures with `clock` how long table work takes; without, [`Stats::table_work`] counts entries alone. Nothing else
    /// depends on it.
    pub fn set_clock(&mut self, clock: Clock) {
        self.keyspace.set_clock(clock);
    }

    /// Sets the figures of [`Shard::stats`] that count events back to 0 (CONFIG RESETSTAT), but for the change count.
    pub fn reset_stats(&mut self) {
        self.stats = crate::context::LookupStats::default();
        self.keyspace.reset_work_stats();
    }

    /// Empties database `db` and returns how many keys it had. Nobody is told and nothing is journaled: for a server
    /// that replaces its data, not for FLUSHDB.
    pub fn flush(&mut self, db: u16) -> usize {
        self.keyspace.flush(db)
    }

    /// An estimate of the bytes that `key` and its value take: the entry, the key, and what the value consists of,
    /// without the unused room of its encoding. `None` if there is no such key. Cost: O(elements).
    #[must_use]
    pub fn memory_usage(&self, now: Now, db: u16, key: &[u8]) -> Option<usize> {
        let entry = self.keyspace.database(db).find_any(key)?;
        if entry.is_expired(now) {
            return None;
        }
        let mut len = 32 + key.len();
        rebuild::commands(key, entry.value, entry.expire_at_ms(), &mut |command| {
            len += command.as_argv().iter().skip(2).map(<[u8]>::len).sum::<usize>();
        });
        Some(len)
    }

    /// The line of DEBUG OBJECT about `key`; `None` if there is no such key. Expired keys are shown too, nothing counts
    /// as a lookup. `serializedlength` is the length of the value's journal entries.
    #[must_use]
    pub fn debug_object(&self, now: Now, db: u16, key: &[u8]) -> Option<String> {
        let entry = self.keyspace.database(db).find_any(key)?;
        let mut len = 0;
        rebuild::commands(key, entry.value, entry.expire_at_ms(), &mut |command| {
            len += command.as_argv().iter().skip(2).map(<[u8]>::len).sum::<usize>();
        });
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
    use crate::options::Options;

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
        assert_eq!(rig.shard.memory_usage(rig.now, 0, b"k"), Some(short + 10));
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
        let rest = "refcount:1 encoding:listpack serializedlength:2 lru:5501184 lru_seconds_idle:3";
        assert!(text.ends_with(rest), "{text}");
        assert_eq!(rig.run("OBJECT IDLETIME k"), ":3\r\n");
        assert_eq!(rig.shard.debug_object(rig.now, 0, b"none"), None);
    }
}
