//! The keyspace: numbered databases, each a table of entries. Knows keys, values and expiry; knows no command.
//!
//! Reading order: [`entry`], `table` (where entries lie), [`scan`] (walking them), `expiry`, [`access`], [`eviction`].

pub mod access;
pub mod entry;
pub mod eviction;
mod expiry;
pub mod scan;
pub(crate) mod table;

pub(crate) use eviction::Eviction;
pub(crate) use expiry::ExpiryCycle;

use crate::call::Now;
use ahash::RandomState;
use entry::Entry;
use table::{Place, Slot, Table};

/// All databases of one shard.
#[derive(Debug)]
pub struct Keyspace {
    databases: Vec<Database>,
    /// Flushed tables, dropped bit by bit: see [`Keyspace::free`].
    discarded: Vec<Table>,
}

impl Keyspace {
    /// `count` empty databases (`databases`) that hash their keys with `hasher`.
    #[must_use]
    pub fn new(count: usize, hasher: RandomState) -> Self {
        let databases = (0..count).map(|_| Database::new(hasher.clone())).collect();
        Keyspace { databases, discarded: Vec::new() }
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
        let empty = Table::new(database.table.hasher().clone());
        let old = std::mem::replace(&mut database.table, empty);
        let key_count = old.len();
        if key_count > 0 {
            self.discarded.push(old);
        }
        key_count
    }

    /// Bytes that keys, values and tables take. Cost: O(databases).
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.databases.iter().map(|database| database.table.data_bytes()).sum()
    }

    /// Exchanges the contents of two databases. Cost: O(1).
    pub fn swap(&mut self, first: u16, second: u16) {
        self.databases.swap(usize::from(first), usize::from(second));
    }

    /// Drops about `budget` entries of flushed databases; says whether some are left.
    pub fn free(&mut self, budget: usize) -> bool {
        let Some(table) = self.discarded.last_mut() else { return false };
        if !table.dismantle(budget) {
            self.discarded.pop();
        }
        !self.discarded.is_empty()
    }

    /// How many entries of flushed databases are not dropped yet.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.discarded.iter().map(Table::len).sum()
    }

    /// Takes all entries out, database by database.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u16, Box<[u8]>, Entry)> {
        let tables = self.databases.iter_mut().zip(0..).map(|(database, index)| {
            let empty = Table::new(database.table.hasher().clone());
            (index, std::mem::replace(&mut database.table, empty))
        });
        tables.flat_map(|(index, table)| {
            table.into_slots().map(move |slot| (index, slot.key, slot.entry))
        })
    }
}

/// Most keys that [`Database::warm`] looks at.
pub const WARM_MAX: usize = 16;

/// One database.
#[derive(Debug)]
pub struct Database {
    table: Table,
}

impl Database {
    fn new(hasher: RandomState) -> Self {
        Database { table: Table::new(hasher) }
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

    /// Bytes of the table beside keys and values.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.table.table_bytes()
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
    pub fn find(&self, key: &[u8], now: Now) -> Option<&Entry> {
        self.find_any(key).filter(|entry| !entry.is_expired(now))
    }

    /// The entry of `key`, expired or not.
    #[must_use]
    #[inline]
    pub fn find_any(&self, key: &[u8]) -> Option<&Entry> {
        self.table.find(self.table.hash(key), key)
    }

    /// Touches what lookups of `keys` are going to touch, at most [`WARM_MAX`] of them, so that the cache misses of a
    /// pipeline overlap instead of following each other. Changes nothing and promises nothing.
    ///
    /// Two loops without branches on what was loaded: the processor runs several rounds of each at once. Measured with
    /// `make bench`: docs/benchmarking.md.
    pub fn warm<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut slots = [None; WARM_MAX];
        for (slot, key) in slots.iter_mut().zip(keys) {
            *slot = self.table.candidate(self.table.hash(key));
        }
        let touch = |slot: &Slot| {
            u64::from(slot.key.first().copied().unwrap_or_default())
                + u64::from(slot.entry.value.first_byte())
        };
        let touched = slots.into_iter().flatten().map(touch).fold(0, u64::wrapping_add);
        std::hint::black_box(touched);
    }

    /// The entry of `key`, expired or not, to change its value.
    #[inline]
    pub fn find_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let place = self.locate(key)?;
        Some(self.table.entry_mut(place))
    }

    /// Stores an entry under `key` and returns the one it replaces.
    pub fn insert(&mut self, key: &[u8], entry: Entry) -> Option<Entry> {
        let hash = self.table.hash(key);
        match self.table.locate(hash, key) {
            Some(place) => Some(self.table.replace(place, entry)),
            None => {
                self.table.insert_new(hash, key, entry);
                None
            }
        }
    }

    /// Takes the entry of `key` out.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.locate(key)?;
        Some(self.table.remove(place).entry)
    }

    /// All keys with their entries, in no order that means anything, expired ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.table.iter().map(|slot| (&*slot.key, &slot.entry))
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
