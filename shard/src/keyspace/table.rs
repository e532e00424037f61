//! The hash table of one database: many small segments that split and merge one at a time.
//!
//! ```text
//! hash   63 . . 56 55 . . . . . . . . . . 16 15 . . . . . 0
//!        |  tag   | bits that choose the segment | home inside |
//! ```
//! *Linear hashing* (Litwin 1980). With `n` segments and `2^k <= n < 2^(k+1)`, the lowest `k + 1` of the bits above
//! choose the segment; where that number is not below `n`, the lowest `k` do. Segment `n` is made by splitting segment
//! `n - 2^k` by its next bit, and unmade by merging the two again. So growing costs one split of a few hundred entries
//! at a time, whatever the size; there is no directory to double and no hash that could force one deep. What a segment
//! is made of, byte by byte: `segment`, and docs/keyspace.md.
//!
//! **Hash order.** The [`Position`] of an entry is those bits in reverse. A split or merge then never changes the order
//! of entries, only where the borders between segments lie; that is what SCAN's cursor stands on (`keyspace::scan`).
//!
//! Invariants: an entry lies in the segment its hash names; each segment's and the table's counts of expiring entries
//! and bytes are exact; a segment's `soonest_ms` is at most the expiry of each of its entries. `check_invariants` tests
//! them.

mod arena;
mod growth;
mod index;
mod outside;
mod record;
mod segment;
mod walk;
mod work;

pub(crate) use segment::Bytes;
pub use work::{Clock, WorkStats};

use crate::error::CommandError;
use crate::keyspace::access::Access;
use crate::keyspace::entry::{Entry, EntryRef};
use crate::keyspace::guard::ValueMut;
use crate::memory::block_size;
use crate::types::packed::PackedMut;
use crate::types::string::{Str, StrRef};
use crate::value::{Typed, Value, ValueRef};
use ahash::RandomState;
use segment::{NewValue, Segment, Tools};
use std::hash::{BuildHasher, Hasher};
use work::Work;

/// Entries per segment, on average, at which one more segment is made. Small enough that a split takes some tens of
/// microseconds and that twice as many records of the largest size fit an arena; large enough that a segment's own bytes
/// do not count.
const SEGMENT_LEN: usize = 192;
/// Segments per chunk. Chunks never move, so that the list of segments grows without copying them.
const CHUNK_LEN: usize = 1024;
/// The lowest bit of a hash that chooses the segment. Those below choose the group inside, the uppermost eight are the
/// tag: a segment has to leave both alone.
const SEGMENT_SHIFT: u32 = 16;

/// Number of bits of a [`Position`].
pub(crate) const POSITION_BITS: u32 = 40;

/// A place in hash order: below `2^POSITION_BITS`. Several entries may share one, by chance.
pub(crate) type Position = u64;

/// Strings of more bytes than this are large: one takes the memory of another.
const LARGE_LEN_MIN: usize = 256;
/// Collections of more pieces than this are freed in slices.
const FREE_AT_ONCE_MAX: usize = 64;
/// Where an entry lies; good until the next insertion or removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    segment: usize,
    slot: usize,
}

/// Where a lookup is going to look: see [`Table::touch`].
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a>(Option<&'a [u8]>);

/// A key's hash, computed once per command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// The hash of no key in particular, to choose a random place.
    pub(crate) fn from_random(bits: u64) -> Self {
        KeyHash(bits)
    }

    fn segment_bits(self) -> usize {
        (self.0 >> SEGMENT_SHIFT) as usize
    }

    /// What chooses the place inside a segment.
    fn low_bits(self) -> u16 {
        self.0 as u16
    }

    /// What tells entries of the same place apart.
    fn top_bits(self) -> u8 {
        (self.0 >> 56) as u8
    }

    pub(crate) fn position(self) -> Position {
        (self.0 >> SEGMENT_SHIFT).reverse_bits() >> (64 - POSITION_BITS)
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    /// All chunks but the last hold [`CHUNK_LEN`] segments. Never empty.
    chunks: Vec<Vec<Segment>>,
    segment_count: usize,
    /// `2^(k+1) - 1`, where `2^k <= segment_count < 2^(k+1)`.
    mask: usize,
    len: usize,
    expiring_count: usize,
    /// Sum of all expiries, for their average.
    expiry_sum_ms: i128,
    /// Bytes of all segments.
    bytes: Bytes,
    /// How many changes there have been.
    change_count: u64,
    /// Large values that have been removed, dropped bit by bit: see [`Table::free`].
    discarded: Vec<Value>,
    /// Bytes of those.
    discarded_bytes: usize,
    tools: Tools,
}

impl Table {
    /// An empty table; owns no heap for entries yet. Its work is measured with `clock`.
    pub(crate) fn new(hasher: RandomState, clock: Clock) -> Self {
        Table {
            chunks: vec![vec![Segment::default()]],
            segment_count: 1,
            mask: 1,
            len: 0,
            expiring_count: 0,
            expiry_sum_ms: 0,
            bytes: Bytes::default(),
            change_count: 0,
            discarded: Vec::new(),
            discarded_bytes: 0,
            tools: Tools { hasher, work: Work::new(clock) },
        }
    }

    /// An empty table with the same hasher and clock.
    pub(crate) fn new_like(&self) -> Self {
        Table::new(self.tools.hasher.clone(), self.tools.work.clock())
    }

    /// Measures the table's work with `clock` from now on.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.tools.work.set_clock(clock);
    }

    /// The largest pieces of work since the last reset.
    pub(crate) fn work_stats(&self) -> WorkStats {
        self.tools.work.stats()
    }

    /// Forgets what work there was.
    pub(crate) fn reset_work_stats(&mut self) {
        self.tools.work.reset();
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many entries have an expiry.
    pub(crate) fn expiring_count(&self) -> usize {
        self.expiring_count
    }

    /// Sum of all expiries, milliseconds since 1970.
    pub(crate) fn expiry_sum_ms(&self) -> i128 {
        self.expiry_sum_ms
    }

    pub(crate) fn segment_count(&self) -> usize {
        self.segment_count
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        hash_key(&self.tools.hasher, key)
    }

    /// Where `key` lies. Cost: one probe.
    #[inline]
    pub(crate) fn locate(&self, hash: KeyHash, key: &[u8]) -> Option<Place> {
        let segment = self.segment_of(hash);
        let slot = self.segment(segment).find(hash, key)?;
        Some(Place { segment, slot })
    }

    /// The entry of `key`: what [`Table::locate`] and [`Table::get`] give together, in one step.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<EntryRef<'_>> {
        let index = self.segment_of(hash);
        let segment = self.segment(index);
        let slot = segment.find(hash, key)?;
        segment.entry(slot, Place { segment: index, slot })
    }

    /// A byte of the part of the index that a lookup of `hash` is going to read, to be loaded ahead; it means nothing by
    /// itself. First step of three: see `Database::warm`.
    #[inline]
    pub(crate) fn index_byte(&self, hash: KeyHash) -> Option<&u8> {
        self.segment(self.segment_of(hash)).index_byte(hash)
    }

    /// Where a lookup of `hash` is going to look: most often the right entry, but nobody has compared the key. Second
    /// step.
    #[inline]
    pub(crate) fn candidate(&self, hash: KeyHash) -> Candidate<'_> {
        Candidate(self.segment(self.segment_of(hash)).first_candidate(hash))
    }

    /// Loads some bytes of what has been found there. Third step.
    #[inline]
    pub(crate) fn touch(&self, candidate: Candidate<'_>) -> u64 {
        // A short record begins in one cache line and ends in one of the next two.
        const NEXT_LINES: [usize; 2] = [40, 88];
        let Candidate(Some(record)) = candidate else { return 0 };
        let [next, last] = NEXT_LINES.map(|at| record.get(at).copied().unwrap_or_default());
        u64::from(record.first().copied().unwrap_or_default()) + u64::from(next) + u64::from(last)
    }

    /// The value that the record found there names, if it lies outside of it.
    #[inline]
    pub(crate) fn outside_value(&self, hash: KeyHash, candidate: Candidate<'_>) -> Option<&Value> {
        self.segment(self.segment_of(hash)).outside_value(candidate.0?)
    }

    /// The entry at `place`.
    #[inline]
    pub(crate) fn get(&self, place: Place) -> EntryRef<'_> {
        self.segment(place.segment).entry(place.slot, place).expect("a place names an entry")
    }

    /// When the entry at `place` expires, in milliseconds since 1970, and when it was last used.
    #[inline]
    pub(crate) fn clocks(&self, place: Place) -> (Option<i64>, Access) {
        self.segment(place.segment).clocks(place.slot)
    }

    /// The key at `place`.
    #[cfg(test)]
    pub(crate) fn key(&self, place: Place) -> &[u8] {
        self.key_and_entry(place.segment, place.slot).0
    }

    /// Changes segment `index`: what changes its bytes comes through here, so that they are counted and the version moves on.
    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Segment, &mut Tools) -> T) -> T {
        let segment = &mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN];
        let before = segment.bytes();
        self.tools.work.begin();
        let result = change(segment, &mut self.tools);
        self.bytes = self.bytes + segment.bytes() - before;
        self.note_change(index);
        result
    }

    /// Moves the version of segment `index` on.
    fn note_change(&mut self, index: usize) {
        self.change_count += 1;
        self.segment_mut(index).version = self.change_count;
    }

    /// The value at `place`, to change it.
    ///
    /// # Errors
    /// WRONGTYPE if it is of another type.
    pub(crate) fn value_mut<T: Typed>(
        &mut self,
        place: Place,
    ) -> Result<ValueMut<'_, T>, CommandError> {
        let id = match self.segment(place.segment).outside_id(place.slot) {
            Some(id) => id,
            None => {
                self.get(place).value.as_type::<T>()?;
                if self.segment(place.segment).is_packed(place.slot) {
                    self.note_change(place.segment);
                    return Ok(ValueMut::inside(self, place));
                }
                self.change(place.segment, |segment, tools| {
                    segment.move_outside(place.slot, &mut tools.work)
                })
            }
        };
        self.note_change(place.segment);
        let segment = &mut self.chunks[place.segment / CHUNK_LEN][place.segment % CHUNK_LEN];
        let (value, outside_bytes) = segment.value_mut(id);
        let value = T::from_value_mut(value).ok_or(CommandError::WrongType)?;
        Ok(ValueMut::outside(value, outside_bytes, &mut self.bytes))
    }

    /// The elements of the packed collection in the record at `place`, to replace some by others of the same size.
    pub(super) fn elements_mut(&mut self, place: Place) -> Option<PackedMut<'_>> {
        self.segment_mut(place.segment).elements_mut(place.slot)
    }

    /// Puts another value of the same type in place of the packed collection in the record at `place`, which stays good.
    pub(super) fn put_back<T: Typed>(&mut self, place: Place, value: T) {
        self.change(place.segment, |segment, tools| {
            segment.put_back(place.slot, value, &mut tools.work);
        });
    }

    /// Adds a key that is not there. May split a segment first, so earlier places are void.
    pub(crate) fn insert_new(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        entry: Entry,
        access: Access,
    ) -> Place {
        let expire_at_ms = entry.expire_at_ms();
        self.insert_value(hash, key, NewValue::Owned(entry.value), expire_at_ms, access)
    }

    /// Adds a key that is not there, with a string. May split a segment first, so earlier places are void.
    pub(crate) fn insert_string(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        string: StrRef<'_>,
        expire_at_ms: Option<i64>,
        access: Access,
    ) -> Place {
        self.insert_value(hash, key, NewValue::String(string), expire_at_ms, access)
    }

    fn insert_value(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        value: NewValue<'_>,
        expire_at_ms: Option<i64>,
        access: Access,
    ) -> Place {
        debug_assert!(self.locate(hash, key).is_none());
        if self.len >= self.segment_count * SEGMENT_LEN {
            self.split_next();
        }
        self.len += 1;
        self.count_expiry(expire_at_ms);
        let segment = self.segment_of(hash);
        let slot = self.change(segment, |segment, tools| {
            segment.insert(hash, key, value, (expire_at_ms, access), tools)
        });
        Place { segment, slot }
    }

    /// Puts `entry` in place of the one at `place`, which stays good.
    pub(crate) fn replace(&mut self, place: Place, entry: Entry, access: Access) {
        let expire_at_ms = entry.expire_at_ms();
        self.replace_value(place, NewValue::Owned(entry.value), expire_at_ms, access);
    }

    /// Puts a string in place of the value at `place`, which stays good, and in its memory if it fits.
    pub(crate) fn replace_string(
        &mut self,
        place: Place,
        string: StrRef<'_>,
        expire_at_ms: Option<i64>,
    ) {
        let segment = self.segment_mut(place.segment);
        if let Some(old_expiry) = segment.overwrite_string(place.slot, string, expire_at_ms) {
            self.note_change(place.segment);
            if old_expiry != expire_at_ms {
                self.uncount_expiry(old_expiry);
                self.count_expiry(expire_at_ms);
            }
            return;
        }
        let entry = self.get(place);
        let access = entry.access();
        let is_large = |string| matches!(string, StrRef::Raw(text) if text.len() > LARGE_LEN_MIN);
        let is_large_string = matches!(entry.value, ValueRef::String(old) if is_large(old));
        if is_large_string && is_large(string) {
            if let Ok(mut old) = self.value_mut::<Str>(place) {
                old.assign(string);
            }
            self.set_expiry(place, expire_at_ms);
            return;
        }
        self.replace_value(place, NewValue::String(string), expire_at_ms, access);
    }

    fn replace_value(
        &mut self,
        place: Place,
        value: NewValue<'_>,
        expire_at_ms: Option<i64>,
        access: Access,
    ) {
        self.uncount_expiry(self.get(place).expire_at_ms());
        self.count_expiry(expire_at_ms);
        let old = self.change(place.segment, |segment, tools| {
            segment.update(place.slot, value, (expire_at_ms, access), &mut tools.work)
        });
        if let Some(old) = old {
            self.discard(old);
        }
    }

    /// Changes when the entry at `place` expires; the place stays good.
    pub(crate) fn set_expiry(&mut self, place: Place, at_ms: Option<i64>) {
        let old_expiry = self.get(place).expire_at_ms();
        if old_expiry != at_ms {
            self.uncount_expiry(old_expiry);
            self.count_expiry(at_ms);
            self.change(place.segment, |segment, tools| {
                segment.set_expiry(place.slot, at_ms, &mut tools.work);
            });
        }
    }

    /// Changes when the entry at `place` was last used; the place stays good.
    #[inline]
    pub(crate) fn set_access(&mut self, place: Place, access: Access) {
        self.segment_mut(place.segment).set_access(place.slot, access);
    }

    /// Removes the entry at `place`. May merge segments, so other places are void. A large value is freed later.
    pub(crate) fn remove(&mut self, place: Place) {
        let expire_at_ms = self.get(place).expire_at_ms();
        let value = self.change(place.segment, |segment, tools| segment.remove(place.slot, tools));
        if let Some(value) = value {
            self.discard(value);
        }
        self.note_removed(expire_at_ms);
    }

    /// Takes out the entry at `place`. May merge segments, so other places are void.
    pub(crate) fn take(&mut self, place: Place) -> Entry {
        let entry = self.change(place.segment, |segment, tools| segment.take(place.slot, tools));
        self.note_removed(entry.expire_at_ms());
        entry
    }

    fn note_removed(&mut self, expire_at_ms: Option<i64>) {
        self.len -= 1;
        self.uncount_expiry(expire_at_ms);
        if self.is_sparse() {
            self.merge_last();
        }
    }

    /// Drops a value that is no longer in the table: now if it is small, later if it is large.
    fn discard(&mut self, value: Value) {
        if value.piece_count() > FREE_AT_ONCE_MAX {
            self.discarded_bytes += value.heap_size();
            self.discarded.push(value);
        }
    }

    /// Frees about `budget` elements of large values that have been removed; says whether some are left.
    pub(crate) fn free(&mut self, budget: usize) -> bool {
        let Some(value) = self.discarded.last_mut() else { return false };
        let before = value.heap_size();
        let is_left = value.free_some(budget);
        self.discarded_bytes -= before;
        if is_left {
            self.discarded_bytes += value.heap_size();
        } else {
            self.discarded.pop();
        }
        !self.discarded.is_empty()
    }

    /// Bytes of all keys, values and what is known about them.
    pub(crate) fn data_bytes(&self) -> usize {
        self.bytes.data
    }

    /// Bytes of removed values that have not been freed yet.
    pub(crate) fn discarded_bytes(&self) -> usize {
        self.discarded_bytes
    }

    /// Bytes of the entry at `place` with its key, and of its slot in the index. Cost: O(1).
    pub(crate) fn entry_bytes(&self, place: Place) -> usize {
        self.segment(place.segment).entry_bytes(place.slot)
    }

    /// How many removed values have not been freed yet.
    pub(crate) fn discarded_count(&self) -> usize {
        self.discarded.len()
    }

    /// Bytes of what finds the entries, and of unused room. Cost: O(keys / 200 000).
    pub(crate) fn overhead_bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Segment>());
        self.bytes.held - self.bytes.data + chunks.map(block_size).sum::<usize>()
    }

    /// How many changes there have been.
    pub(crate) fn change_count(&self) -> u64 {
        self.change_count
    }

    /// Takes all keys and entries out, segment by segment.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (Box<[u8]>, Entry)> {
        self.chunks.into_iter().flatten().flat_map(|mut segment| {
            let mut slot = 0;
            std::iter::from_fn(move || segment.pop(&mut slot))
        })
    }

    /// Drops entries, some hundreds at a time, until about `budget` of them are gone; says whether some are left.
    /// What remains can only be dropped further.
    pub(crate) fn dismantle(&mut self, budget: usize) -> bool {
        if !self.discarded.is_empty() {
            self.free(budget);
            return true;
        }
        let mut dropped_count = 0;
        while dropped_count <= budget {
            let Some(chunk) = self.chunks.last_mut() else { return !self.discarded.is_empty() };
            let Some(segment) = chunk.pop() else {
                self.chunks.pop();
                continue;
            };
            dropped_count += segment.len() + 1;
            self.len -= segment.len();
            self.bytes = self.bytes - segment.bytes();
            segment.into_values().for_each(|value| self.discard(value));
        }
        true
    }

    /// Removes the entries of segment `index` whose expiry lies before `now_ms`, after handing each key to `taken`.
    /// May merge segments.
    pub(crate) fn take_due(&mut self, index: usize, now_ms: i64, mut taken: impl FnMut(&[u8])) {
        let (mut due_count, mut due_sum_ms) = (0, 0);
        let mut dropped = Vec::new();
        self.change(index, |segment, tools| {
            let taken = |key: &[u8], at_ms| {
                due_count += 1;
                due_sum_ms += i128::from(at_ms);
                taken(key);
            };
            segment.take_due(now_ms, tools, taken, |value| dropped.push(value));
        });
        self.len -= due_count;
        self.expiring_count -= due_count;
        self.expiry_sum_ms -= due_sum_ms;
        dropped.into_iter().for_each(|value| self.discard(value));
        while self.is_sparse() {
            self.merge_last();
        }
    }

    #[inline]
    fn segment_of(&self, hash: KeyHash) -> usize {
        self.choose_segment(hash.segment_bits())
    }

    #[inline]
    fn choose_segment(&self, bits: usize) -> usize {
        let index = bits & self.mask;
        if index < self.segment_count { index } else { index & (self.mask >> 1) }
    }

    #[inline]
    fn segment(&self, index: usize) -> &Segment {
        &self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }

    #[inline]
    fn segment_mut(&mut self, index: usize) -> &mut Segment {
        &mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }

    fn count_expiry(&mut self, expire_at_ms: Option<i64>) {
        if let Some(at_ms) = expire_at_ms {
            self.expiring_count += 1;
            self.expiry_sum_ms += i128::from(at_ms);
        }
    }

    fn uncount_expiry(&mut self, expire_at_ms: Option<i64>) {
        if let Some(at_ms) = expire_at_ms {
            self.expiring_count -= 1;
            self.expiry_sum_ms -= i128::from(at_ms);
        }
    }

    /// Panics if an invariant of the file's head does not hold. Cost: O(entries).
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let (mut len, mut expiring, mut sum, mut bytes) = (0, 0, 0, Bytes::default());
        assert!(self.mask.count_ones() == self.mask.trailing_ones());
        assert!(self.segment_count <= self.mask && self.segment_count > self.mask >> 1);
        for (index, segment) in self.chunks.iter().flatten().enumerate() {
            segment.check_invariants(&self.tools.hasher);
            assert!(segment.version <= self.change_count);
            for (key, entry) in self.segment_entries(index) {
                let hash = self.hash(key);
                assert_eq!(self.segment_of(hash), index);
                assert_eq!(self.segment_at(hash.position()), index);
                assert!(self.position_after(index).is_none_or(|after| hash.position() < after));
                sum += entry.expire_at_ms().map_or(0, i128::from);
            }
            bytes = bytes + segment.bytes();
            len += segment.len();
            expiring += segment.expiring_count();
        }
        let segment_count: usize = self.chunks.iter().map(Vec::len).sum();
        assert_eq!(self.segment_count, segment_count);
        assert_eq!(self.bytes, bytes);
        assert_eq!((self.len, self.expiring_count, self.expiry_sum_ms), (len, expiring, sum));
    }
}

#[inline]
fn hash_key(hasher: &RandomState, key: &[u8]) -> KeyHash {
    let mut state = hasher.build_hasher();
    state.write(key);
    KeyHash(state.finish())
}

#[cfg(test)]
mod tests;
