//! The keyspace: numbered databases, each a table of entries. Knows keys, values and expiry; knows no command.
//!
//! Reading order: [`entry`], `table` (where entries lie), [`scan`] (walking them), `expiry`, [`access`], [`eviction`], `warm`.

pub mod access;
pub mod entry;
pub mod eviction;
mod expiry;
mod guard;
pub mod scan;
pub(crate) mod table;
mod warm;

pub(crate) use eviction::Eviction;
pub(crate) use expiry::ExpiryCycle;
pub use guard::ValueMut;
pub use table::{Clock, WorkStats};
pub use warm::{Likely, WARM_MAX};

use crate::call::Now;
use ahash::RandomState;
use entry::{Entry, EntryRef};
use table::{Place, Table};

/// All databases of one shard.
#[derive(Debug)]
pub struct Keyspace {
    databases: Vec<Database>,
    /// Flushed tables, dropped bit by bit: see [`Keyspace::free`].
    discarded: Vec<Table>,
    /// Of tables that are gone.
    past_work: WorkStats,
}

impl Keyspace {
    /// `count` empty databases (`databases`) that hash their keys with `hasher`.
    #[must_use]
    pub fn new(count: usize, hasher: RandomState) -> Self {
        let databases = (0..count).map(|_| Database::new(hasher.clone())).collect();
        Keyspace { databases, discarded: Vec::new(), past_work: WorkStats::default() }
    }

    /// How many databases there are.
    #[must_use]
    pub fn database_count(&self) -> usize {
        self.databases.len()
    }

    /// Database `index`, which the connection has checked when it was selected.
    #[must_use]
    #[inline]
    pub fn database(&self, index: u16) -> &Database {
        &self.databases[usize::from(index)]
    }

    /// Database `index`, to change it.
    #[inline]
    pub fn database_mut(&mut self, index: u16) -> &mut Database {
        &mut self.databases[usize::from(index)]
    }

    /// All databases in order.
    #[must_use]
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// Empties database `index` and returns how many keys it had. Cost: O(1); the memory is freed by
    /// [`Keyspace::free`].
    pub fn flush(&mut self, index: u16) -> usize {
        let database = self.database_mut(index);
        let empty = database.table.new_like();
        let old = std::mem::replace(&mut database.table, empty);
        self.past_work = self.past_work.max(old.work_stats());
        let key_count = old.len();
        if key_count > 0 {
            self.discarded.push(old);
        }
        key_count
    }

    /// Exchanges the contents of two databases. Cost: O(1).
    pub fn swap(&mut self, first: u16, second: u16) {
        self.databases.swap(usize::from(first), usize::from(second));
    }

    /// Frees about `budget` entries of flushed databases, or elements of large values that have been removed; says
    /// whether some are left.
    pub fn free(&mut self, budget: usize) -> bool {
        if let Some(table) = self.discarded.last_mut() {
            if !table.dismantle(budget) {
                self.discarded.pop();
            }
            return true;
        }
        let mut databases = self.databases.iter_mut();
        match databases.find(|database| database.table.discarded_bytes() > 0) {
            Some(database) => {
                database.table.free(budget);
                true
            }
            None => false,
        }
    }

    /// Bytes of all keys and values and what is known about them. Cost: O(databases).
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.databases.iter().map(Database::data_bytes).sum()
    }

    /// Bytes of what was removed or flushed and has not been freed yet. Cost: O(databases).
    #[must_use]
    pub fn discarded_bytes(&self) -> usize {
        let flushed =
            self.discarded.iter().map(|table| table.data_bytes() + table.discarded_bytes());
        let removed = self.databases.iter().map(|database| database.table.discarded_bytes());
        flushed.sum::<usize>() + removed.sum::<usize>()
    }

    /// Bytes of what finds the keys, and of room that is not used. Cost: O(databases).
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        self.databases.iter().map(Database::overhead_bytes).sum()
    }

    /// How many entries of flushed databases, and large values that were removed, have not been freed yet. Cost:
    /// O(databases).
    #[must_use]
    pub fn pending_count(&self) -> usize {
        let flushed = self.discarded.iter().map(|table| table.len() + table.discarded_count());
        let removed = self.databases.iter().map(|database| database.table.discarded_count());
        flushed.sum::<usize>() + removed.sum::<usize>()
    }

    /// Measures the work of all tables with `clock` from now on.
    pub fn set_clock(&mut self, clock: Clock) {
        self.databases.iter_mut().for_each(|database| database.table.set_clock(clock));
    }

    /// The largest pieces of work that any table has done within one operation since the last reset.
    #[must_use]
    pub fn work_stats(&self) -> WorkStats {
        let tables = self.databases.iter().map(|database| database.table.work_stats());
        tables.fold(self.past_work, WorkStats::max)
    }

    /// Forgets what work there was.
    pub fn reset_work_stats(&mut self) {
        self.past_work = WorkStats::default();
        self.databases.iter_mut().for_each(|database| database.table.reset_work_stats());
    }

    /// Takes all entries out, database by database.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u16, Box<[u8]>, Entry)> {
        let tables = self.databases.iter_mut().zip(0..).map(|(database, index)| {
            let empty = database.table.new_like();
            (index, std::mem::replace(&mut database.table, empty))
        });
        tables.flat_map(|(index, table)| {
            table.into_entries().map(move |(key, entry)| (index, key, entry))
        })
    }
}

/// One database.
#[derive(Debug)]
pub struct Database {
    table: Table,
}

impl Database {
    fn new(hasher: RandomState) -> Self {
        Database { table: Table::new(hasher, || 0) }
    }

    /// How many keys there are, expired ones that nobody has met yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys have an expiry.
    #[must_use]
    pub fn expiring_count(&self) -> usize {
        self.table.expiring_count()
    }

    /// Average time to live of the keys with an expiry, in milliseconds; 0 if there are none.
    #[must_use]
    pub fn average_ttl_ms(&self, now: Now) -> i64 {
        let count = self.table.expiring_count() as i128;
        if count == 0 {
            return 0;
        }
        let average = self.table.expiry_sum_ms() / count - i128::from(now.unix_ms());
        i64::try_from(average.max(0)).unwrap_or(i64::MAX)
    }

    /// The entry of `key`, unless it has expired. Cost: one hash, one probe.
    #[must_use]
    #[inline]
    pub fn find(&self, key: &[u8], now: Now) -> Option<EntryRef<'_>> {
        self.find_any(key).filter(|entry| !entry.is_expired(now))
    }

    /// The entry of `key`, expired or not.
    #[must_use]
    #[inline]
    pub fn find_any(&self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.table.find(self.table.hash(key), key)
    }

    /// Bytes of all keys and values and what is known about them, without what finds them. Cost: O(1).
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.table.data_bytes()
    }

    /// Bytes of what finds the keys, and of room that is not used. Cost: O(1), but for one step in some 200 000 keys.
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        self.table.overhead_bytes()
    }

    /// How many changes there have been, uses of keys left out.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.table.change_count()
    }

    /// Of each piece of the table, in order: what [`Database::version`] was at its last change. Splits and merges are
    /// changes of all the pieces that take part. Whoever remembers the version sees by these what has changed since.
    pub fn piece_versions(&self) -> impl Iterator<Item = u64> {
        (0..self.table.segment_count()).map(|index| self.table.segment_version(index))
    }

    /// Stores an entry under `key`; says whether it replaces one.
    pub fn insert(&mut self, key: &[u8], entry: Entry) -> bool {
        let hash = self.table.hash(key);
        let access = entry.access().unwrap_or_default();
        match self.table.locate(hash, key) {
            Some(place) => {
                self.table.replace(place, entry, access);
                true
            }
            None => {
                self.table.insert_new(hash, key, entry, access);
                false
            }
        }
    }

    /// Removes `key`; says whether it was there. A large value is freed later.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let found = self.locate(key);
        if let Some(place) = found {
            self.table.remove(place);
        }
        found.is_some()
    }

    /// All keys with their entries, in no order that means anything, expired ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], EntryRef<'_>)> {
        self.table.iter()
    }

    pub(crate) fn locate(&self, key: &[u8]) -> Option<Place> {
        self.table.locate(self.table.hash(key), key)
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }
}
