//! The keyspace: numbered databases, each a table of entries. Knows keys, values and expiry; knows no command.

pub mod entry;

use crate::call::Now;
use entry::Entry;
use std::collections::HashMap;

/// All databases of one shard.
#[derive(Debug)]
pub struct Keyspace {
    databases: Vec<Database>,
}

impl Keyspace {
    /// `count` empty databases (`databases`).
    #[must_use]
    pub fn new(count: usize) -> Self {
        Keyspace { databases: (0..count).map(|_| Database::default()).collect() }
    }

    /// Database `index`, which the connection has checked when it was selected.
    #[must_use]
    pub fn database(&self, index: u16) -> &Database {
        &self.databases[usize::from(index)]
    }

    /// Database `index`, to change it.
    pub fn database_mut(&mut self, index: u16) -> &mut Database {
        &mut self.databases[usize::from(index)]
    }
}

/// One database.
#[derive(Debug, Default)]
pub struct Database {
    table: HashMap<Box<[u8]>, Entry>,
}

impl Database {
    /// How many keys there are, expired ones that nobody has met yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The entry of `key`, unless it has expired.
    #[must_use]
    pub fn find(&self, key: &[u8], now: Now) -> Option<&Entry> {
        self.table.get(key).filter(|entry| !entry.is_expired(now))
    }

    /// The entry of `key`, expired or not.
    pub fn find_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.table.get_mut(key)
    }

    /// Stores an entry under `key` and returns the one it replaces.
    pub fn insert(&mut self, key: &[u8], entry: Entry) -> Option<Entry> {
        self.table.insert(key.into(), entry)
    }

    /// Takes the entry of `key` out.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.table.remove(key)
    }
}
