//! One segment: a few hundred entries and all that is needed to find, change and drop them.
//!
//! An entry is a *record* (`record`) in the segment's *arena* (`arena`), found through its *index* (`index`); what is too
//! large for a record lies *outside* (`outside`). A slot of the index stands for the entry, whatever becomes of the
//! record; slots change only when the index is rebuilt.

mod growth;

use super::arena::Arena;
use super::index::{self, Index};
use super::outside::Outside;
use super::record::{self, OutsideId, Record, RecordKey, RecordValue};
use super::work::Work;
use super::{KeyHash, Place, hash_key};
use crate::keyspace::access::Access;
use crate::keyspace::entry::{Entry, EntryRef};
use crate::memory::block_size;
use crate::types::packed::PackedMut;
use crate::types::string::StrRef;
use crate::value::{Typed, Value, ValueRef};
use ahash::RandomState;
use smallvec::SmallVec;
use std::ops::{Add, Sub};

/// What all segments of a table use.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) hasher: RandomState,
    pub(super) work: Work,
}

/// A value on its way in.
#[derive(Debug)]
pub(super) enum NewValue<'a> {
    /// A string that is copied.
    String(StrRef<'a>),
    /// Any value.
    Owned(Value),
}

impl NewValue<'_> {
    fn view(&self) -> ValueRef<'_> {
        match self {
            NewValue::String(string) => ValueRef::String(*string),
            NewValue::Owned(value) => value.view(),
        }
    }

    fn into_value(self) -> Value {
        match self {
            NewValue::String(string) => Value::String(string.to_str()),
            NewValue::Owned(value) => value,
        }
    }
}

/// Bytes, as the allocator counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// Of entries.
    pub(crate) data: usize,
    /// Of entries, of what finds them, and of unused room.
    pub(crate) held: usize,
}

impl Add for Bytes {
    type Output = Bytes;

    fn add(self, other: Bytes) -> Bytes {
        Bytes { data: self.data + other.data, held: self.held + other.held }
    }
}

impl Sub for Bytes {
    type Output = Bytes;

    fn sub(self, other: Bytes) -> Bytes {
        Bytes { data: self.data - other.data, held: self.held - other.held }
    }
}

/// A few hundred entries.
#[derive(Debug)]
pub(super) struct Segment {
    index: Index,
    arena: Arena,
    outside: Option<Box<Outside>>,
    /// Bytes of heap of the values and keys outside.
    outside_bytes: usize,
    expiring_count: u32,
    /// Lower bound of the expiries, `i64::MAX` if nothing expires.
    soonest_ms: i64,
    /// The table's count of changes at the last change of this segment.
    pub(super) version: u64,
}

impl Default for Segment {
    fn default() -> Self {
        Segment {
            index: Index::default(),
            arena: Arena::default(),
            outside: None,
            outside_bytes: 0,
            expiring_count: 0,
            soonest_ms: i64::MAX,
            version: 0,
        }
    }
}

impl Segment {
    /// An empty segment that is going to have about `len` entries at once.
    fn with_room(len: usize) -> Self {
        Segment { index: Index::with_room(len), ..Segment::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many slots there are; a slot's number is below.
    pub(super) fn slot_count(&self) -> usize {
        self.index.slot_count()
    }

    pub(super) fn expiring_count(&self) -> usize {
        self.expiring_count as usize
    }

    pub(super) fn soonest_ms(&self) -> i64 {
        self.soonest_ms
    }

    pub(super) fn bytes(&self) -> Bytes {
        let lists = self.outside.as_ref().map_or(0, |outside| outside.heap_size());
        let held = self.index.heap_size() + self.arena.heap_size() + lists + self.outside_bytes;
        Bytes { data: self.arena.used() + self.outside_bytes, held }
    }

    /// Bytes that the entry in `slot` takes, its slot included.
    pub(super) fn entry_bytes(&self, slot: usize) -> usize {
        let record = self.record(slot).expect("a place names an entry");
        let key = match record.key {
            RecordKey::Inside(_) => 0,
            RecordKey::Outside(id) => {
                size_of::<Box<[u8]>>() + block_size(self.outside().keys.get(id).len())
            }
        };
        let value = match record.value {
            RecordValue::Inside(_) | RecordValue::Packed(_) => 0,
            RecordValue::Outside(id) => {
                size_of::<Value>() + self.outside().values.get(id).heap_size()
            }
        };
        index::SLOT_SIZE + record.size() + key + value
    }

    /// The slot of `key`.
    #[inline]
    pub(super) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<usize> {
        self.index.find(hash, |offset| match record::read_key(self.arena.bytes(offset)) {
            RecordKey::Inside(found) => found == key,
            RecordKey::Outside(id) => **self.outside().keys.get(id) == *key,
        })
    }

    /// The byte of the index that a lookup of `hash` reads first.
    #[inline]
    pub(super) fn index_byte(&self, hash: KeyHash) -> Option<&u8> {
        self.index.first_byte(hash)
    }

    /// The record that a lookup of `hash` compares first.
    #[inline]
    pub(super) fn first_candidate(&self, hash: KeyHash) -> Option<&[u8]> {
        self.index.first_candidate(hash).map(|offset| self.arena.bytes(offset))
    }

    /// The value that a record of this segment names, if that is kept outside.
    #[inline]
    pub(super) fn outside_value(&self, record: &[u8]) -> Option<&Value> {
        record::read_outside_value(record).map(|id| self.outside().values.get(id))
    }

    /// The entry in `slot`, if there is one.
    #[inline]
    pub(super) fn entry(&self, slot: usize, place: Place) -> Option<EntryRef<'_>> {
        let record = self.record(slot)?;
        Some(self.view(&record, place))
    }

    /// The key and entry in `slot`, if there is one.
    pub(super) fn key_and_entry(&self, slot: usize, place: Place) -> Option<(&[u8], EntryRef<'_>)> {
        let record = self.record(slot)?;
        Some((self.key_of(&record), self.view(&record, place)))
    }

    /// Whether there is an entry in `slot`, one that expires.
    pub(super) fn is_expiring(&self, slot: usize) -> bool {
        let offset = self.index.get(slot);
        offset.is_some_and(|offset| record::read_expiry(self.arena.bytes(offset)).is_some())
    }

    #[inline]
    fn view<'a>(&'a self, record: &Record<'a>, place: Place) -> EntryRef<'a> {
        let value = match record.value {
            RecordValue::Inside(string) => ValueRef::String(string),
            RecordValue::Packed(packed) => packed.view(),
            RecordValue::Outside(id) => self.outside().values.get(id).view(),
        };
        EntryRef { value, expire_at_ms: record.expire_at_ms, access: record.access, place }
    }

    #[inline]
    fn record(&self, slot: usize) -> Option<Record<'_>> {
        self.index.get(slot).map(|offset| Record::read(self.arena.bytes(offset)))
    }

    /// Hands the slots that are taken to `found`, with the hashes of their keys.
    #[inline]
    pub(super) fn for_each_hash(
        &self,
        hasher: &RandomState,
        mut found: impl FnMut(usize, KeyHash),
    ) {
        self.index.iter().for_each(|(slot, offset)| found(slot, self.hash_at(offset, hasher)));
    }

    fn offset(&self, slot: usize) -> u16 {
        self.index.get(slot).expect("a place names an entry")
    }

    fn key_of<'a>(&'a self, record: &Record<'a>) -> &'a [u8] {
        match record.key {
            RecordKey::Inside(key) => key,
            RecordKey::Outside(id) => self.outside().keys.get(id),
        }
    }

    #[inline]
    fn hash_at(&self, offset: u16, hasher: &RandomState) -> KeyHash {
        match record::read_key(self.arena.bytes(offset)) {
            RecordKey::Inside(key) => hash_key(hasher, key),
            RecordKey::Outside(id) => hash_key(hasher, self.outside().keys.get(id)),
        }
    }

    /// Adds a key that is not there and returns its slot.
    pub(super) fn insert(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        value: NewValue<'_>,
        (expire_at_ms, access): (Option<i64>, Access),
        tools: &mut Tools,
    ) -> usize {
        if self.len() >= self.index.room() {
            let len = self.len();
            tools.work.measure(len, || self.rebuild_index(len + 1, &tools.hasher));
        }
        let key = match record::is_short_key(key) {
            true => RecordKey::Inside(key),
            false => RecordKey::Outside(self.put_key_outside(key.into())),
        };
        if let Some(value) = RecordValue::fitting(key.size(), value.view()) {
            return self.add(hash, Record { key, value, expire_at_ms, access }, &mut tools.work);
        }
        let value = RecordValue::Outside(self.put_outside(value.into_value()));
        self.add(hash, Record { key, value, expire_at_ms, access }, &mut tools.work)
    }

    /// Adds a record whose parts outside are in place.
    fn add(&mut self, hash: KeyHash, record: Record<'_>, work: &mut Work) -> usize {
        self.note_expiry(record.expire_at_ms);
        let offset = self.place(record, work);
        self.index.insert(hash, offset)
    }

    /// Puts another value, expiry and access clock into `slot`, which stays; returns the value that was there, if it was
    /// kept outside.
    pub(super) fn update(
        &mut self,
        slot: usize,
        value: NewValue<'_>,
        (expire_at_ms, access): (Option<i64>, Access),
        work: &mut Work,
    ) -> Option<Value> {
        let key_size = self.record(slot).expect("a place names an entry").key.size();
        if let Some(value) = RecordValue::fitting(key_size, value.view()) {
            return self.rewrite(slot, value, expire_at_ms, access, work);
        }
        let value = RecordValue::Outside(self.put_outside(value.into_value()));
        self.rewrite(slot, value, expire_at_ms, access, work)
    }

    /// When the entry in `slot` expires, and when it was last used.
    #[inline]
    pub(super) fn clocks(&self, slot: usize) -> (Option<i64>, Access) {
        let bytes = self.arena.bytes(self.offset(slot));
        (record::read_expiry(bytes), record::read_access(bytes))
    }

    /// The number of the value in `slot`, if that is kept outside.
    #[inline]
    pub(super) fn outside_id(&self, slot: usize) -> Option<OutsideId> {
        record::read_outside_value(self.arena.bytes(self.offset(slot)))
    }

    /// Whether there is a packed collection in the record of `slot`.
    #[inline]
    pub(super) fn is_packed(&self, slot: usize) -> bool {
        record::is_packed(self.arena.bytes(self.offset(slot)))
    }

    /// The elements of the packed collection in the record of `slot`, to replace some by others of the same size.
    pub(super) fn elements_mut(&mut self, slot: usize) -> Option<PackedMut<'_>> {
        let offset = self.offset(slot);
        record::elements_mut(self.arena.bytes_mut(offset))
    }

    /// Puts `value` in place of the packed collection in the record of `slot`.
    pub(super) fn put_back<T: Typed>(&mut self, slot: usize, value: T, work: &mut Work) {
        let record = self.record(slot).expect("a place names an entry");
        let (key_size, expire_at_ms, access) =
            (record.key.size(), record.expire_at_ms, record.access);
        if let Some(value) = RecordValue::fitting(key_size, value.view()) {
            self.rewrite(slot, value, expire_at_ms, access, work);
            return;
        }
        let value = RecordValue::Outside(self.put_outside(value.into_value()));
        self.rewrite(slot, value, expire_at_ms, access, work);
    }

    /// Puts a string and an expiry into `slot` if they take the same room as what is there: bytes do not change then.
    /// Gives the expiry that was there.
    #[inline]
    pub(super) fn overwrite_string(
        &mut self,
        slot: usize,
        string: StrRef<'_>,
        expire_at_ms: Option<i64>,
    ) -> Option<Option<i64>> {
        let offset = self.offset(slot);
        let bytes = self.arena.bytes_mut(offset);
        let old_expiry = record::overwrite_string(bytes, string, expire_at_ms)?;
        if old_expiry != expire_at_ms {
            self.forget_expiry(old_expiry);
            self.note_expiry(expire_at_ms);
        }
        Some(old_expiry)
    }

    /// Changes when the entry in `slot` expires.
    pub(super) fn set_expiry(&mut self, slot: usize, at_ms: Option<i64>, work: &mut Work) {
        let offset = self.offset(slot);
        let size = Record::read(self.arena.bytes(offset)).size();
        // The record may move, so its value is handed on from a copy.
        let copy = SmallVec::<[u8; 256]>::from_slice(&self.arena.bytes(offset)[..size]);
        let record = Record::read(&copy);
        self.rewrite(slot, record.value, at_ms, record.access, work);
    }

    /// Changes when the entry in `slot` was last used.
    #[inline]
    pub(super) fn set_access(&mut self, slot: usize, access: Access) {
        let offset = self.offset(slot);
        record::write_access(self.arena.bytes_mut(offset), access);
    }

    /// Writes the record of `slot` anew, in its place if it fits. Returns the value that it named outside before, if it
    /// does not name that any more.
    fn rewrite(
        &mut self,
        slot: usize,
        value: RecordValue<'_>,
        expire_at_ms: Option<i64>,
        access: Access,
        work: &mut Work,
    ) -> Option<Value> {
        let offset = self.offset(slot);
        let old = Record::read(self.arena.bytes(offset));
        let (old_id, old_expiry) = (old.outside_value(), old.expire_at_ms);
        if old_expiry != expire_at_ms {
            self.forget_expiry(old_expiry);
            self.note_expiry(expire_at_ms);
        }
        let bytes = self.arena.bytes_mut(offset);
        if Record::overwrite(bytes, value, expire_at_ms, access) {
            return self.drop_unnamed(old_id, value);
        }
        let old = Record::read(self.arena.bytes(offset));
        let text: SmallVec<[u8; 64]>;
        let key = match old.key {
            RecordKey::Inside(key) => {
                text = SmallVec::from_slice(key);
                RecordKey::Inside(&text)
            }
            RecordKey::Outside(id) => RecordKey::Outside(id),
        };
        let new_offset = self.place(Record { key, value, expire_at_ms, access }, work);
        // Making room may have moved the old record, and its value.
        let offset = self.offset(slot);
        let old = Record::read(self.arena.bytes(offset));
        let (old_id, old_size) = (old.outside_value(), old.size());
        self.index.set(slot, new_offset);
        self.arena.free(offset, old_size);
        self.tidy_arena(work);
        self.drop_unnamed(old_id, value)
    }

    /// Takes out the value that a record has named, unless it names it still.
    fn drop_unnamed(&mut self, id: Option<OutsideId>, value: RecordValue<'_>) -> Option<Value> {
        match (id, value) {
            (Some(old), RecordValue::Outside(new)) if old == new => None,
            (Some(id), _) => Some(self.take_outside(id)),
            (None, _) => None,
        }
    }

    /// Writes a record to where there is room and says where that is.
    fn place(&mut self, mut record: Record<'_>, work: &mut Work) -> u16 {
        let size = record.size();
        let mut offset = self.arena.alloc(size);
        if offset.is_none() {
            self.pack(false, work);
            offset = self.arena.alloc(size);
        }
        if offset.is_none() {
            self.pack(true, work);
            record.value = self.tightened(record.value);
            offset = self.arena.alloc(record.size());
        }
        let offset = offset.expect("some hundred entries fit when long strings are outside");
        record.write(self.arena.bytes_mut(offset));
        offset
    }

    /// Removes the entry in `slot`, and gives back memory if much is unused. Slots are void.
    pub(super) fn remove(&mut self, slot: usize, tools: &mut Tools) -> Option<Value> {
        let value = self.remove_slot(slot, &tools.hasher);
        self.tidy(tools);
        value
    }

    /// Takes the entry in `slot` out. Slots are void.
    pub(super) fn take(&mut self, slot: usize, tools: &mut Tools) -> Entry {
        let record = self.record(slot).expect("a place names an entry");
        let (expire_at_ms, access) = (record.expire_at_ms, record.access);
        let inside = record.value.view().map(ValueRef::to_value);
        let value = self.remove(slot, tools);
        let value = value.or(inside).expect("a value is inside or outside");
        Entry::new(value).with_expiry(expire_at_ms).with_access(access)
    }

    /// Removes the entry in `slot`; returns its value if it was kept outside. Other slots stay.
    fn remove_slot(&mut self, slot: usize, hasher: &RandomState) -> Option<Value> {
        let offset = self.offset(slot);
        let hash = self.hash_at(offset, hasher);
        let record = Record::read(self.arena.bytes(offset));
        let (size, expire_at_ms) = (record.size(), record.expire_at_ms);
        let value_id = record.outside_value();
        if let RecordKey::Outside(id) = record.key {
            self.take_key_outside(id);
        }
        self.index.remove(hash, slot);
        self.arena.free(offset, size);
        self.forget_expiry(expire_at_ms);
        value_id.map(|id| self.take_outside(id))
    }

    /// Removes the entries whose expiry lies before `now_ms`, after handing each key and expiry to `taken`, and hands
    /// what they kept outside to `dropped`.
    pub(super) fn take_due(
        &mut self,
        now_ms: i64,
        tools: &mut Tools,
        mut taken: impl FnMut(&[u8], i64),
        mut dropped: impl FnMut(Value),
    ) {
        let mut soonest_ms = i64::MAX;
        for slot in 0..self.slot_count() {
            let Some(record) = self.record(slot) else { continue };
            match record.expire_at_ms {
                Some(at_ms) if at_ms < now_ms => {
                    taken(self.key_of(&record), at_ms);
                    if let Some(value) = self.remove_slot(slot, &tools.hasher) {
                        dropped(value);
                    }
                }
                Some(at_ms) => soonest_ms = soonest_ms.min(at_ms),
                None => {}
            }
        }
        self.soonest_ms = soonest_ms;
        self.tidy(tools);
    }

    /// Takes one entry out, any; `None` if none is left. Cost: O(slots), the next slot to look at is `slot`.
    pub(super) fn pop(&mut self, slot: &mut usize) -> Option<(Box<[u8]>, Entry)> {
        while *slot < self.slot_count() {
            let at = *slot;
            *slot += 1;
            let Some(record) = self.record(at) else { continue };
            let key = self.key_of(&record).into();
            let (expire_at_ms, access) = (record.expire_at_ms, record.access);
            let value = match record.value {
                RecordValue::Outside(id) => self.take_outside_quietly(id),
                RecordValue::Inside(string) => Value::String(string.to_str()),
                RecordValue::Packed(packed) => packed.view().to_value(),
            };
            let entry = Entry::new(value).with_expiry(expire_at_ms).with_access(access);
            return Some((key, entry));
        }
        None
    }

    /// What is kept outside, to be dropped.
    pub(super) fn into_values(self) -> impl Iterator<Item = Value> {
        self.outside.into_iter().flat_map(|outside| outside.values.into_items())
    }

    /// Makes the value in `slot`, which is in the record, one that is kept outside, so that it can be changed; returns its
    /// number.
    pub(super) fn move_outside(&mut self, slot: usize, work: &mut Work) -> OutsideId {
        let record = self.record(slot).expect("a place names an entry");
        let (expire_at_ms, access) = (record.expire_at_ms, record.access);
        let value = record.value.view().expect("the value is in the record").to_value();
        let id = self.put_outside(value);
        self.rewrite(slot, RecordValue::Outside(id), expire_at_ms, access, work);
        id
    }

    /// The value of this number, and the count of bytes that it has a part in.
    #[inline]
    pub(super) fn value_mut(&mut self, id: OutsideId) -> (&mut Value, &mut usize) {
        let outside = self.outside.as_mut().expect("a record names something outside");
        (outside.values.get_mut(id), &mut self.outside_bytes)
    }

    fn outside(&self) -> &Outside {
        self.outside.as_ref().expect("a record names something outside")
    }

    fn put_outside(&mut self, value: Value) -> OutsideId {
        self.outside_bytes += value.heap_size();
        self.outside.get_or_insert_default().values.insert(value)
    }

    fn put_key_outside(&mut self, key: Box<[u8]>) -> OutsideId {
        self.outside_bytes += block_size(key.len());
        self.outside.get_or_insert_default().keys.insert(key)
    }

    fn take_outside(&mut self, id: OutsideId) -> Value {
        let value = self.take_outside_quietly(id);
        if self.outside().is_empty() {
            self.outside = None;
        }
        value
    }

    fn take_outside_quietly(&mut self, id: OutsideId) -> Value {
        let outside = self.outside.as_mut().expect("a record names something outside");
        let value = outside.values.remove(id);
        self.outside_bytes -= value.heap_size();
        value
    }

    fn take_key_outside(&mut self, id: OutsideId) {
        let outside = self.outside.as_mut().expect("a record names something outside");
        self.outside_bytes -= block_size(outside.keys.remove(id).len());
        if outside.is_empty() {
            self.outside = None;
        }
    }

    /// Counts an expiry that comes in.
    fn note_expiry(&mut self, expire_at_ms: Option<i64>) {
        if let Some(at_ms) = expire_at_ms {
            self.expiring_count += 1;
            self.soonest_ms = self.soonest_ms.min(at_ms);
        }
    }

    /// Counts an expiry that goes.
    fn forget_expiry(&mut self, expire_at_ms: Option<i64>) {
        if expire_at_ms.is_some() {
            self.expiring_count -= 1;
            if self.expiring_count == 0 {
                self.soonest_ms = i64::MAX;
            }
        }
    }

    /// Panics if a count is wrong or a key is not found. Cost: O(entries).
    #[cfg(test)]
    pub(super) fn check_invariants(&self, hasher: &RandomState) {
        let (mut used, mut expiring_count, mut soonest_ms) = (0, 0, i64::MAX);
        for (slot, offset) in self.index.iter() {
            let record = self.record(slot).unwrap();
            used += record.size().next_multiple_of(super::arena::UNIT);
            assert_eq!(self.find(self.hash_at(offset, hasher), self.key_of(&record)), Some(slot));
            if let Some(at_ms) = record.expire_at_ms {
                expiring_count += 1;
                soonest_ms = soonest_ms.min(at_ms);
            }
        }
        let outside_bytes = self.outside.as_ref().map_or(0, |outside| {
            assert!(!outside.is_empty());
            let values = outside.values.iter().map(Value::heap_size);
            let keys = outside.keys.iter().map(|key| block_size(key.len()));
            values.sum::<usize>() + keys.sum::<usize>()
        });
        assert_eq!((self.arena.used(), self.outside_bytes), (used, outside_bytes));
        assert_eq!(self.expiring_count(), expiring_count);
        assert!(self.soonest_ms <= soonest_ms);
    }
}
