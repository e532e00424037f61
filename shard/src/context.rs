//! All that a command may touch. A read command gets the data immutably, so it cannot change anything.

use crate::call::{ClientFacts, Now};
use crate::effects::Effects;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::keyspace::{Database, Keyspace};
use crate::options::Options;
use crate::rng::Rng;
use crate::value::Typed;
use crate::waiters::Waiters;
use std::cell::Cell;

/// What a read command sees.
pub struct ReadContext<'a> {
    /// The moment of the call.
    pub now: Now,
    /// The selected database.
    pub db: &'a Database,
    /// Its index.
    pub db_index: u16,
    /// All databases.
    pub keyspace: &'a Keyspace,
    /// Parameters.
    pub options: &'a Options,
    /// The client that asked.
    pub client: ClientFacts,
    pub(crate) stats: &'a LookupStats,
}

/// Lookups by read commands, as INFO counts them.
#[derive(Debug, Default)]
pub struct LookupStats {
    /// Keys found (`keyspace_hits`).
    pub hits: Cell<u64>,
    /// Keys not found (`keyspace_misses`).
    pub misses: Cell<u64>,
}

impl<'a> ReadContext<'a> {
    /// The entry of `key`; counts a hit or a miss.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&'a Entry> {
        let entry = self.db.find(key, self.now);
        let count = if entry.is_some() { &self.stats.hits } else { &self.stats.misses };
        count.set(count.get() + 1);
        entry
    }

    /// The value of `key` as a `T`.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn get<T: Typed + 'a>(&self, key: &[u8]) -> Result<Option<&'a T>, CommandError> {
        self.find(key).map(|entry| T::from_value(&entry.value)).transpose()
    }
}

/// What a write command sees and changes.
pub struct WriteContext<'a> {
    /// The moment of the call.
    pub now: Now,
    /// All databases.
    pub keyspace: &'a mut Keyspace,
    /// Index of the selected database.
    pub db_index: u16,
    /// Parameters.
    pub options: &'a Options,
    /// Random numbers.
    pub rng: &'a mut Rng,
    /// The client that asked.
    pub client: ClientFacts,
    pub(crate) effects: &'a mut Effects,
    pub(crate) waiters: &'a mut Waiters,
}

impl WriteContext<'_> {
    /// The selected database.
    pub fn db(&mut self) -> &mut Database {
        self.keyspace.database_mut(self.db_index)
    }

    /// The entry of `key`; one that has expired is removed first.
    pub fn find(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.expire_if_due(key);
        self.db().find_mut(key)
    }

    /// The value of `key` as a `T`.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn get_mut<T: Typed>(&mut self, key: &[u8]) -> Result<Option<&mut T>, CommandError> {
        self.find(key).map(|entry| T::from_value_mut(&mut entry.value)).transpose()
    }

    /// The value of `key` as a `T`, made empty if there is none.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn get_or_create<T: Typed + Default>(
        &mut self,
        key: &[u8],
    ) -> Result<&mut T, CommandError> {
        if self.find(key).is_none() {
            self.db().insert(key, Entry::new(T::default().into_value()));
        }
        Ok(self.get_mut(key)?.expect("it was found or has just been made"))
    }

    /// Takes `key` out; `None` if there was no such key. The caller reports the event.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.expire_if_due(key);
        self.db().remove(key)
    }

    /// Takes `key` out because its collection has become empty, and reports `del`.
    pub fn remove_emptied(&mut self, key: &[u8]) {
        if self.db().remove(key).is_some() {
            self.changed(key, Event::DEL);
        }
    }

    /// Tells all observers that `event` happened to `key`: keyspace events, waiting clients, change count.
    pub fn changed(&mut self, key: &[u8], event: Event) {
        self.effects.change_count += 1;
        self.effects.notify(self.options.notify_keyspace_events, self.db_index, event, key);
        self.waiters.touch(self.db_index, key);
    }

    fn expire_if_due(&mut self, key: &[u8]) {
        let now = self.now;
        let is_due = self.db().find_mut(key).is_some_and(|entry| entry.is_expired(now));
        if is_due {
            self.db().remove(key);
            self.changed(key, Event::EXPIRED);
        }
    }
}
