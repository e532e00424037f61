//! All that a command may touch. A read command gets the data immutably, so it cannot change anything.
//!
//! An entry whose time has come is missing to every lookup. A write command removes it on the spot; a read command
//! notes its key in [`ReadNotes`], and the shard removes it behind the command. In the same way a read that uses a key
//! notes when, if that changes anything.

use crate::call::{ClientFacts, Now};
use crate::effects::Effects;
use crate::error::CommandError;
use crate::event::{Event, EventClasses};
use crate::keyspace::access::Access;
use crate::keyspace::entry::{Entry, EntryRef, is_past};
use crate::keyspace::table::{KeyHash, Place};
use crate::keyspace::{Database, Keyspace, ValueMut};
use crate::options::Options;
use crate::rng::Rng;
use crate::types::string::{Str, StrRef};
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
    used: RefCell<Vec<Use>>,
    expired: RefCell<Vec<DbKey>>,
    missed: RefCell<Vec<DbKey>>,
}

/// That an entry has been used: where it lies and what its access clock is to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) db: u16,
    pub(crate) place: Place,
    pub(crate) access: Access,
}

impl ReadNotes {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_any.get()
    }

    /// Takes out the uses. They come first: the places are good until something is removed.
    pub(crate) fn take_used(&mut self) -> std::vec::Drain<'_, Use> {
        self.used.get_mut().drain(..)
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

    fn add_use(&self, noted: Use) {
        self.has_any.set(true);
        self.used.borrow_mut().push(noted);
    }
}

impl<'a> ReadContext<'a> {
    /// The entry of `key`; counts a hit or a miss, and as a use of the key.
    #[must_use]
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<EntryRef<'a>> {
        let entry = self.peek(key)?;
        if !self.client.is_no_touch {
            self.touch(&entry);
        }
        Some(entry)
    }

    /// The entry of `key` for a command that asks about the key, not for its value (TYPE, TTL): counts a hit
    /// or a miss, but is no use of the key.
    #[must_use]
    #[inline]
    pub fn peek(&self, key: &[u8]) -> Option<EntryRef<'a>> {
        let entry = self.peek_quietly(key);
        if entry.is_none() && self.options.notify_keyspace_events.contains(EventClasses::KEY_MISS) {
            self.notes.add(&self.notes.missed, self.db_index, key);
        }
        entry
    }

    /// The same for OBJECT, which counts a miss but does not report it.
    #[must_use]
    #[inline]
    pub fn peek_quietly(&self, key: &[u8]) -> Option<EntryRef<'a>> {
        let entry = self.live(self.db_index, key, self.db.find_any(key));
        let count = if entry.is_some() { &self.stats.hits } else { &self.stats.misses };
        count.set(count.get() + 1);
        entry
    }

    /// The entry of `key` in database `db`, uncounted.
    #[must_use]
    pub fn peek_in(&self, db: u16, key: &[u8]) -> Option<EntryRef<'a>> {
        self.live(db, key, self.keyspace.database(db).find_any(key))
    }

    /// Counts as a use of an entry of the selected database. It is noted behind the command, and only if it changes
    /// anything: a hot key stays clean.
    #[inline]
    pub fn touch(&self, entry: &EntryRef<'_>) {
        let rule = self.options.use_rule;
        let access = entry.access().used(self.now, rule, &mut self.rng.borrow_mut());
        if access != entry.access() {
            self.notes.add_use(Use { db: self.db_index, place: entry.place(), access });
        }
    }

    /// The value of `key` as a `T`: what that is read as, a reference or something as light.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    #[inline]
    pub fn get<T: Typed>(&self, key: &[u8]) -> Result<Option<T::Ref<'a>>, CommandError> {
        self.find(key).map(|entry| entry.value.as_type::<T>()).transpose()
    }

    /// The string that `key` holds.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    #[inline]
    pub fn get_string(&self, key: &[u8]) -> Result<Option<StrRef<'a>>, CommandError> {
        self.get::<Str>(key)
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
    pub fn live(&self, db: u16, key: &[u8], entry: Option<EntryRef<'a>>) -> Option<EntryRef<'a>> {
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

    /// The entry of `key`, to read; one that has expired is removed first. Counts as a use.
    pub fn find(&mut self, key: &[u8]) -> Option<EntryRef<'_>> {
        let place = self.locate(self.keyspace.database(self.db_index).table().hash(key), key)?;
        Some(self.db().table().get(place))
    }

    /// The value of `key` as a `T`, to read.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn get<T: Typed>(&mut self, key: &[u8]) -> Result<Option<T::Ref<'_>>, CommandError> {
        self.find(key).map(|entry| entry.value.as_type::<T>()).transpose()
    }

    /// The value of `key` as a `T`, to change it.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn get_mut<T: Typed>(
        &mut self,
        key: &[u8],
    ) -> Result<Option<ValueMut<'_, T>>, CommandError> {
        let hash = self.db().table().hash(key);
        let Some(place) = self.locate(hash, key) else { return Ok(None) };
        self.db().table_mut().value_mut(place).map(Some)
    }

    /// The value of `key` as a `T`, to change it; made empty if there is none.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn get_or_create<T: Typed + Default>(
        &mut self,
        key: &[u8],
    ) -> Result<ValueMut<'_, T>, CommandError> {
        let mut found = self.entry(key);
        if found.place.is_none() {
            found.store(Entry::new(T::default().into_value()));
        }
        let place = found.place.expect("it was found or has just been made");
        self.db().table_mut().value_mut(place)
    }

    /// The string that `key` holds, to change some of its bytes; made empty if there is none. What it is changed with,
    /// such as [`Str::make_raw`], says what becomes of its encoding.
    ///
    /// Cost: O(1) for a long string, whatever its length; a short one is copied.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn edit_string(&mut self, key: &[u8]) -> Result<ValueMut<'_, Str>, CommandError> {
        self.get_or_create::<Str>(key)
    }

    /// Stores `entry` under `key`, whatever was there; says whether there was something. The caller reports the event.
    pub fn insert(&mut self, key: &[u8], entry: Entry) -> bool {
        let mut found = self.entry(key);
        let was_there = found.exists();
        found.store(entry);
        was_there
    }

    /// Changes when `key` expires, in milliseconds since 1970; says whether there is such a key.
    pub fn set_expiry(&mut self, key: &[u8], at_ms: Option<i64>) -> bool {
        let mut found = self.entry(key);
        found.set_expiry(at_ms);
        found.exists()
    }

    /// Removes `key`; says whether it was there. The caller reports the event. Cost: O(1), whatever the value: a large
    /// one is freed behind, see [`Shard::free_cycle`](crate::Shard::free_cycle).
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.entry(key).remove()
    }

    /// Takes `key` out with its value; `None` if there is no such key. The caller reports the event.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        self.entry(key).take()
    }

    /// Takes `key` out because its collection has become empty, and reports `del`.
    pub fn remove_emptied(&mut self, key: &[u8]) {
        if self.db().remove(key) {
            self.also_changed(key, Event::DEL);
        }
    }

    /// Tells all observers that `event` happened to `key`: keyspace events, holders of copies, waiting clients, change
    /// count.
    ///
    /// Every change of a key comes through here (or [`WriteContext::touched`], or [`Effects::expired`], or a flush or
    /// swap of its database).
    pub fn changed(&mut self, key: &[u8], event: Event) {
        if !self.is_replaying {
            self.effects.change_count += 1;
            self.also_changed(key, event);
        }
    }

    /// The same for what comes with another change and is not counted as one more: the element that LMOVE puts in, the
    /// key that goes with its last element.
    pub fn also_changed(&mut self, key: &[u8], event: Event) {
        self.notify(key, event);
        self.tell_holders(key);
    }

    /// Tells observers that `key` changed, without an event: PFCOUNT stores what it has counted.
    pub fn touched(&mut self, key: &[u8]) {
        if !self.is_replaying {
            self.effects.change_count += 1;
            self.tell_holders(key);
        }
    }

    /// Tells those who hold copies of `key`, and those who wait for it.
    fn tell_holders(&mut self, key: &[u8]) {
        if self.is_replaying {
            return;
        }
        self.effects.touch(key, self.client.id);
        self.effects.watches.touch(self.db_index, key);
        self.waiters.touch(self.db_index, key);
    }

    /// Counts a change of `key` and tells of its `event`, but leaves alone those who hold copies or wait: the groups of
    /// a stream are no part of what clients read of it.
    pub fn changed_aside(&mut self, key: &[u8], event: Event) {
        self.count_change();
        self.notify(key, event);
    }

    /// Counts a change that has no event of its own.
    pub fn count_change(&mut self) {
        if !self.is_replaying {
            self.effects.change_count += 1;
        }
    }

    /// Lets clients that wait for `key` look again, for a change that [`WriteContext::changed`] was not told of.
    pub fn wake_waiters(&mut self, key: &[u8]) {
        if !self.is_replaying {
            self.waiters.touch(self.db_index, key);
        }
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
        self.effects.watches.emptied(self.keyspace, db);
        let key_count = self.keyspace.flush(db);
        if !self.is_replaying {
            self.effects.change_count += key_count as u64;
            self.effects.touch_all();
            self.waiters.touch_all(db);
        }
        key_count
    }

    /// Exchanges two databases, so that clients connected to one see the other's keys: clients that wait there too.
    pub fn swap(&mut self, first: u16, second: u16) {
        if first != second {
            let watches = &mut self.effects.watches;
            watches.replaced(self.keyspace, self.now, first, second);
            watches.replaced(self.keyspace, self.now, second, first);
        }
        self.keyspace.swap(first, second);
        if first != second && !self.is_replaying {
            self.effects.change_count += 1;
            self.waiters.touch_all(first);
            self.waiters.touch_all(second);
        }
    }

    /// Where `key` lies. Counts as a use; removes it if its time has come.
    fn locate(&mut self, hash: KeyHash, key: &[u8]) -> Option<Place> {
        let (now, is_replaying) = (self.now, self.is_replaying);
        let is_touching = !self.client.is_no_touch;
        let table = self.keyspace.database_mut(self.db_index).table_mut();
        let place = table.locate(hash, key)?;
        let (expire_at_ms, access) = table.clocks(place);
        if is_past(expire_at_ms, now) && !is_replaying {
            table.remove(place);
            self.stats.expired.set(self.stats.expired.get() + 1);
            self.effects.expired(self.options, self.db_index, key);
            self.waiters.touch(self.db_index, key);
            return None;
        }
        let used = access.used(now, self.options.use_rule, self.rng);
        if is_touching && used != access {
            table.set_access(place, used);
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

    /// The entry, to read.
    #[must_use]
    pub fn get(&self) -> Option<EntryRef<'_>> {
        let place = self.place?;
        Some(self.ctx.keyspace.database(self.ctx.db_index).table().get(place))
    }

    /// The value as a `T`, to read.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn value<T: Typed>(&self) -> Result<Option<T::Ref<'_>>, CommandError> {
        self.get().map(|entry| entry.value.as_type::<T>()).transpose()
    }

    /// The value as a `T`, to change it.
    ///
    /// # Errors
    /// WRONGTYPE if the key holds another type.
    pub fn value_mut<T: Typed>(&mut self) -> Result<Option<ValueMut<'_, T>>, CommandError> {
        let Some(place) = self.place else { return Ok(None) };
        self.ctx.db().table_mut().value_mut(place).map(Some)
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

    /// Stores `entry` under the key, whatever was there. A new value under an old key leaves it used as often as it was;
    /// unless the entry says how it was used.
    pub fn store(&mut self, entry: Entry) {
        let access = entry.access().unwrap_or_else(|| match self.get() {
            Some(old) => old.access(),
            None => Access::new(self.ctx.now, self.ctx.options.use_rule),
        });
        let (hash, key) = (self.hash, self.key);
        let table = self.ctx.db().table_mut();
        match self.place {
            Some(place) => table.replace(place, entry, access),
            None => {
                self.place = Some(table.insert_new(hash, key, entry, access));
                self.notify_new();
            }
        }
    }

    /// Stores a string under the key, whatever was there; `expire_at_ms` is in milliseconds since 1970, `None` if it
    /// does not expire.
    ///
    /// Cost: in the old value's memory if the new one is as long.
    pub fn store_string(&mut self, string: StrRef<'_>, expire_at_ms: Option<i64>) {
        let access = Access::new(self.ctx.now, self.ctx.options.use_rule);
        let (hash, key) = (self.hash, self.key);
        let table = self.ctx.db().table_mut();
        match self.place {
            Some(place) => table.replace_string(place, string, expire_at_ms),
            None => {
                self.place = Some(table.insert_string(hash, key, string, expire_at_ms, access));
                self.notify_new();
            }
        }
    }

    /// Changes when the key expires, in milliseconds since 1970; does nothing if there is no such key.
    pub fn set_expiry(&mut self, at_ms: Option<i64>) {
        if let Some(place) = self.place {
            self.ctx.db().table_mut().set_expiry(place, at_ms);
        }
    }

    /// Removes the key; says whether it was there. Cost: as [`WriteContext::remove`].
    pub fn remove(&mut self) -> bool {
        let place = self.place.take();
        if let Some(place) = place {
            self.ctx.db().table_mut().remove(place);
        }
        place.is_some()
    }

    /// Takes the key out with its value.
    pub fn take(&mut self) -> Option<Entry> {
        let place = self.place.take()?;
        Some(self.ctx.db().table_mut().take(place))
    }

    fn notify_new(&mut self) {
        if !self.ctx.is_replaying {
            let enabled = self.ctx.options.notify_keyspace_events;
            self.ctx.effects.notify(enabled, self.ctx.db_index, Event::NEW, self.key);
        }
    }
}
