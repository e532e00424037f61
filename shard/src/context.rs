//! All that a command may touch. A read command gets the data immutably, so it cannot change anything.
//!
//! An entry whose time has come is missing to every lookup. A write command removes it on the spot; a read command
//! notes its key in [`ReadNotes`], and the shard removes it behind the command.

use crate::call::{ClientFacts, Now};
use crate::effects::Effects;
use crate::error::CommandError;
use crate::event::{Event, EventClasses};
use crate::keyspace::access::Access;
use crate::keyspace::entry::Entry;
use crate::keyspace::table::{KeyHash, Place};
use crate::keyspace::{Database, Keyspace};
use crate::options::Options;
use crate::rng::Rng;
use crate::value::Typed;
use crate::waiters::{DbKey, Waiters};
use std::cell::{Cell, RefCell, RefMut};

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
    pub(crate) rng: &'a RefCell<Rng>,
    pub(crate) stats: &'a LookupStats,
    pub(crate) notes: &'a ReadNotes,
}

/// Lookups by commands, as INFO counts them. Cells, since reads count too.
#[derive(Debug, Default)]
pub struct LookupStats {
    /// Keys found (`keyspace_hits`).
    pub hits: Cell<u64>,
    /// Keys not found (`keyspace_misses`).
    pub misses: Cell<u64>,
    /// Keys removed because their time had come (`expired_keys`).
    pub expired: Cell<u64>,
    /// Keys removed because memory was full (`evicted_keys`).
    pub evicted: Cell<u64>,
    /// Values freed behind the commands that removed them (`lazyfreed_objects`).
    pub freed: Cell<u64>,
}

/// What read commands leave for the shard to do behind them.
#[derive(Debug, Default)]
pub(crate) struct ReadNotes {
    has_any: Cell<bool>,
    expired: RefCell<Vec<DbKey>>,
    missed: RefCell<Vec<DbKey>>,
}

impl ReadNotes {
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_any.get()
    }

    /// Takes out the keys that were found expired, and those that were missed and are to be reported.
    pub(crate) fn take(&mut self) -> (Vec<DbKey>, Vec<DbKey>) {
        self.has_any.set(false);
        (self.expired.take(), self.missed.take())
    }

    fn add(&self, list: &RefCell<Vec<DbKey>>, db: u16, key: &[u8]) {
        self.has_any.set(true);
        list.borrow_mut().push((db, key.into()));
    }
}

impl<'a> ReadContext<'a> {
    /// The entry of `key`; counts a hit or a miss, and as a use of the key.
    #[must_use]
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&'a Entry> {
        let entry = self.peek(key)?;
        if !self.client.is_no_touch {
            self.mark_used(entry);
        }
        Some(entry)
    }

    /// Counts a use of an entry.
    #[inline]
    pub fn mark_used(&self, entry: &Entry) {
        let access = entry.accessed().get();
        let rule = self.options.use_rule;
        entry.accessed().set(access.used(self.now, rule, &mut self.rng.borrow_mut()));
    }

    /// The entry of `key` for a command that asks about the key, not for its value (TYPE, TTL, OBJECT): counts a hit
    /// or a miss, but is no use of the key.
    #[must_use]
    #[inline]
    pub fn peek(&self, key: &[u8]) -> Option<&'a Entry> {
        let entry = self.live(self.db_index, key, self.db.find_any(key));
        let count = if entry.is_some() { &self.stats.hits } else { &self.stats.misses };
        count.set(count.get() + 1);
        if entry.is_none() && self.options.notify_keyspace_events.contains(EventClasses::KEY_MISS) {
            self.notes.add(&self.notes.missed, self.db_index, key);
        }
        entry
    }

    /// The entry of `key` in database `db`, uncounted.
    #[must_use]
    pub fn peek_in(&self, db: u16, key: &[u8]) -> Option<&'a Entry> {
        self.live(db, key, self.keyspace.database(db).find_any(key))
    }

    /// The value of `key` as a `T`.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    #[inline]
    pub fn get<T: Typed + 'a>(&self, key: &[u8]) -> Result<Option<&'a T>, CommandError> {
        self.find(key).map(|entry| T::from_value(&entry.value)).transpose()
    }

    /// Random numbers; hold it no longer than for one statement or loop.
    #[must_use]
    pub fn rng(&self) -> RefMut<'a, Rng> {
        self.rng.borrow_mut()
    }

    /// `entry` as a lookup of `key` in database `db` gives it: nothing, if its time has come; it is removed behind the
    /// command then.
    #[must_use]
    #[inline]
    pub fn live(&self, db: u16, key: &[u8], entry: Option<&'a Entry>) -> Option<&'a Entry> {
        let entry = entry?;
        if entry.is_expired(self.now) {
            self.notes.add(&self.notes.expired, db, key);
            return None;
        }
        Some(entry)
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
    /// Whether the command comes from the journal at load: nothing expires then, and nobody is told.
    pub is_replaying: bool,
    pub(crate) effects: &'a mut Effects,
    pub(crate) waiters: &'a mut Waiters,
    pub(crate) stats: &'a LookupStats,
}

impl<'a> WriteContext<'a> {
    /// The selected database.
    pub fn db(&mut self) -> &mut Database {
        self.keyspace.database_mut(self.db_index)
    }

    /// The same context in another database, whose index the caller has checked.
    pub fn in_database(&mut self, db_index: u16) -> WriteContext<'_> {
        WriteContext {
            now: self.now,
            keyspace: self.keyspace,
            db_index,
            options: self.options,
            rng: self.rng,
            client: self.client,
            is_replaying: self.is_replaying,
            effects: self.effects,
            waiters: self.waiters,
            stats: self.stats,
        }
    }

    /// `key` looked up once, to be read, replaced, given an expiry or removed: for commands that do several of these.
    pub fn entry<'c, 'k>(&'c mut self, key: &'k [u8]) -> KeyEntry<'c, 'a, 'k> {
        let hash = self.db().table().hash(key);
        let place = self.locate(hash, key);
        KeyEntry { ctx: self, key, hash, place }
    }

    /// The entry of `key`, to change its value; one that has expired is removed first.
    pub fn find(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let place = self.locate(self.keyspace.database(self.db_index).table().hash(key), key)?;
        Some(self.db().table_mut().entry_mut(place))
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
        let mut found = self.entry(key);
        if found.place.is_none() {
            found.store(Entry::new(T::default().into_value()));
        }
        let place = found.place.expect("it was found or has just been made");
        T::from_value_mut(&mut self.db().table_mut().entry_mut(place).value)
    }

    /// Stores `entry` under `key`, whatever was there, and returns that. The caller reports the event.
    pub fn insert(&mut self, key: &[u8], entry: Entry) -> Option<Entry> {
        self.entry(key).store(entry)
    }

    /// Changes when `key` expires, in milliseconds since 1970; says whether there is such a key.
    pub fn set_expiry(&mut self, key: &[u8], at_ms: Option<i64>) -> bool {
        let mut found = self.entry(key);
        found.set_expiry(at_ms);
        found.exists()
    }

    /// Takes `key` out; `None` if there was no such key. The caller reports the event.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.entry(key).remove()
    }

    /// Takes `key` out because its collection has become empty, and reports `del`.
    pub fn remove_emptied(&mut self, key: &[u8]) {
        if self.db().remove(key).is_some() {
            self.changed(key, Event::DEL);
        }
    }

    /// Tells all observers that `event` happened to `key`: keyspace events, holders of copies, waiting clients, change
    /// count.
    ///
    /// Every change of a key comes through here (or [`Effects::expired`], or a flush or swap of its database).
    pub fn changed(&mut self, key: &[u8], event: Event) {
        if self.is_replaying {
            return;
        }
        self.effects.change_count += 1;
        self.effects.notify(self.options.notify_keyspace_events, self.db_index, event, key);
        self.effects.touch(key, self.client.id);
        self.waiters.touch(self.db_index, key);
    }

    /// Tells of one more event of a change that [`WriteContext::changed`] has been told of: SET with an expiry is one
    /// change, but `set` and `expire`.
    pub fn notify(&mut self, key: &[u8], event: Event) {
        if !self.is_replaying {
            self.effects.notify(self.options.notify_keyspace_events, self.db_index, event, key);
        }
    }

    /// Adds `args` to the journal, if there is one, as what this write is replayed as: see [`Written::journaled`].
    ///
    /// Cost: no allocation, where [`Written::rewritten`] needs some.
    ///
    /// [`Written::journaled`]: crate::effects::Written::journaled
    /// [`Written::rewritten`]: crate::effects::Written::rewritten
    pub fn journal(&mut self, args: &[&[u8]]) {
        if self.options.is_journaling && !self.is_replaying {
            self.effects.journal.append_args(self.db_index, args);
        }
    }

    /// Empties database `db` and returns how many keys it had. Cost: O(1), whatever the size; the memory is freed
    /// behind, see [`Shard::free_cycle`](crate::Shard::free_cycle).
    pub fn flush(&mut self, db: u16) -> usize {
        let key_count = self.keyspace.flush(db);
        if !self.is_replaying {
            self.effects.change_count += key_count as u64;
            self.effects.touch_all();
        }
        key_count
    }

    /// Exchanges two databases, so that clients connected to one see the other's keys: clients that wait there too.
    pub fn swap(&mut self, first: u16, second: u16) {
        self.keyspace.swap(first, second);
        if first != second && !self.is_replaying {
            self.effects.change_count += 1;
            self.waiters.touch_all(first);
            self.waiters.touch_all(second);
        }
    }

    /// Where `key` lies. Counts as a use; removes it if its time has come.
    fn locate(&mut self, hash: KeyHash, key: &[u8]) -> Option<Place> {
        let table = self.keyspace.database(self.db_index).table();
        let place = table.locate(hash, key)?;
        let entry = &table.slot(place).entry;
        if entry.is_expired(self.now) && !self.is_replaying {
            self.db().table_mut().remove(place);
            self.stats.expired.set(self.stats.expired.get() + 1);
            self.effects.expired(self.options, self.db_index, key);
            return None;
        }
        if !self.client.is_no_touch {
            let access = entry.accessed().get();
            entry.accessed().set(access.used(self.now, self.options.use_rule, self.rng));
        }
        Some(place)
    }
}

/// One key of a write command, looked up once. There may be no such key.
pub struct KeyEntry<'c, 'a, 'k> {
    ctx: &'c mut WriteContext<'a>,
    key: &'k [u8],
    hash: KeyHash,
    place: Option<Place>,
}

impl KeyEntry<'_, '_, '_> {
    /// Whether there is such a key.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.place.is_some()
    }

    /// The entry.
    #[must_use]
    pub fn get(&self) -> Option<&Entry> {
        let place = self.place?;
        Some(&self.ctx.keyspace.database(self.ctx.db_index).table().slot(place).entry)
    }

    /// The entry, to change its value.
    pub fn get_mut(&mut self) -> Option<&mut Entry> {
        let place = self.place?;
        Some(self.ctx.db().table_mut().entry_mut(place))
    }

    /// The value as a `T`.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn value<T: Typed>(&self) -> Result<Option<&T>, CommandError> {
        self.get().map(|entry| T::from_value(&entry.value)).transpose()
    }

    /// The value as a `T`, to change it.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn value_mut<T: Typed>(&mut self) -> Result<Option<&mut T>, CommandError> {
        self.get_mut().map(|entry| T::from_value_mut(&mut entry.value)).transpose()
    }

    /// When the key expires, in milliseconds since 1970.
    #[must_use]
    pub fn expire_at_ms(&self) -> Option<i64> {
        self.get()?.expire_at_ms()
    }

    /// Counts the lookup as a hit or a miss, for a write that also answers with the value (SET GET, GETDEL).
    #[must_use]
    pub fn counted(self) -> Self {
        let stats = self.ctx.stats;
        let count = if self.exists() { &stats.hits } else { &stats.misses };
        count.set(count.get() + 1);
        if !self.exists() && !self.ctx.is_replaying {
            let enabled = self.ctx.options.notify_keyspace_events;
            self.ctx.effects.notify(enabled, self.ctx.db_index, Event::KEY_MISS, self.key);
        }
        self
    }

    /// Stores `entry` under the key, whatever was there, and returns that.
    pub fn store(&mut self, entry: Entry) -> Option<Entry> {
        let (now, rule) = (self.ctx.now, self.ctx.options.use_rule);
        let table = self.ctx.db().table_mut();
        if let Some(place) = self.place {
            // A new value under an old key: it is the key that is used often, or not.
            entry.accessed().set(table.slot(place).entry.accessed().get());
            return Some(table.replace(place, entry));
        }
        entry.accessed().set(Access::new(now, rule));
        self.place = Some(table.insert_new(self.hash, self.key, entry));
        if !self.ctx.is_replaying {
            let enabled = self.ctx.options.notify_keyspace_events;
            self.ctx.effects.notify(enabled, self.ctx.db_index, Event::NEW, self.key);
        }
        None
    }

    /// Changes when the key expires, in milliseconds since 1970; does nothing if there is no such key.
    pub fn set_expiry(&mut self, at_ms: Option<i64>) {
        if let Some(place) = self.place {
            self.ctx.db().table_mut().set_expiry(place, at_ms);
        }
    }

    /// Takes the key out.
    pub fn remove(&mut self) -> Option<Entry> {
        let place = self.place.take()?;
        Some(self.ctx.db().table_mut().remove(place).entry)
    }
}
