//! The hash table of one database: many small segments that split and merge one at a time.
//!
//! ```text
//! hash   63 . . . . . . . . . . . . . 16 15 . . . . . 0
//!        |  bits that choose the segment | place inside |
//! ```
//! *Linear hashing* (Litwin 1980). With `n` segments and `2^k <= n < 2^(k+1)`, the lowest `k + 1` of the bits above
//! choose the segment; where that number is not below `n`, the lowest `k` do. Segment `n` is made by splitting segment
//! `n - 2^k` by its next bit, and unmade by merging the two again. So growing costs one split of a few hundred entries
//! at a time, whatever the size; there is no directory to double and no hash that could force one deep. A segment is a
//! `hashbrown` table of about [`SEGMENT_LEN`] entries, at most twice that.
//!
//! **Hash order.** The [`Position`] of an entry is those bits in reverse. A split or merge then never changes the order
//! of entries, only where the borders between segments lie; that is what SCAN's cursor stands on (`keyspace::scan`).
//!
//! Invariants: an entry lies in the segment its hash names; each segment's and the table's counts of expiring entries
//! are exact; a segment's `soonest_ms` is at most the expiry of each of its entries. `check_invariants` tests them.

use crate::error::CommandError;
use crate::keyspace::access::Access;
use crate::keyspace::entry::{Entry, EntryRef};
use crate::keyspace::guard::ValueMut;
use crate::memory::block_size;
use crate::rng::Rng;
use crate::types::string::{Str, StrRef};
use crate::value::{Typed, Value};
use ahash::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Entries per segment, on average, at which one more segment is made. Small enough that a split takes some tens of
/// microseconds, large enough that a segment's own few dozen bytes do not count; and 2 x 192 entries, the mean of a
/// segment that is about to split, fit 512 buckets with room for chance.
const SEGMENT_LEN: usize = 192;
/// Entries per segment, on average, below which one is unmade: half, so that a steady size causes neither.
const SEGMENT_LEN_MIN: usize = SEGMENT_LEN / 2;
/// Segments per chunk. Chunks never move, so that the list of segments grows without copying them.
const CHUNK_LEN: usize = 1024;
/// The lowest bit of a hash that chooses the segment. Those below choose the bucket inside, and `hashbrown` compares
/// the uppermost seven first: a segment has to leave both alone.
const SEGMENT_SHIFT: u32 = 16;

/// Number of bits of a [`Position`].
pub(crate) const POSITION_BITS: u32 = 40;

/// A place in hash order: below `2^POSITION_BITS`. Several entries may share one, by chance.
pub(crate) type Position = u64;

/// Collections of more elements than this are freed in slices.
const FREE_AT_ONCE_MAX: usize = 64;
/// Stands for "does not expire".
const NEVER: i64 = i64::MIN;

/// A key with its entry.
#[derive(Debug)]
struct Slot {
    key: Box<[u8]>,
    value: Value,
    /// [`NEVER`] if it does not expire.
    expire_at_ms: i64,
    access: Access,
}

impl Slot {
    fn expire_at_ms(&self) -> Option<i64> {
        (self.expire_at_ms != NEVER).then_some(self.expire_at_ms)
    }

    fn data_bytes(&self) -> usize {
        size_of::<Slot>() + block_size(self.key.len()) + self.value.heap_size()
    }

    #[inline]
    fn view(&self, place: Place) -> EntryRef<'_> {
        EntryRef {
            value: self.value.view(),
            expire_at_ms: self.expire_at_ms(),
            access: self.access,
            place,
        }
    }
}

/// Where an entry lies; good until the next insertion or removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    segment: usize,
    bucket: usize,
}

/// Where a lookup is going to look: see [`Table::touch`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Candidate<'a>(Option<&'a Slot>);

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

    pub(crate) fn position(self) -> Position {
        (self.0 >> SEGMENT_SHIFT).reverse_bits() >> (64 - POSITION_BITS)
    }
}

#[derive(Debug)]
struct Segment {
    slots: HashTable<Slot>,
    expiring_count: usize,
    /// Lower bound of the expiries, `i64::MAX` if nothing expires.
    soonest_ms: i64,
}

impl Segment {
    fn with_capacity(capacity: usize) -> Self {
        let slots = HashTable::with_capacity(capacity);
        Segment { slots, expiring_count: 0, soonest_ms: i64::MAX }
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

    fn insert(&mut self, hash: KeyHash, slot: Slot, hasher: &RandomState) -> usize {
        self.note_expiry(slot.expire_at_ms());
        let rehash = |slot: &Slot| hash_key(hasher, &slot.key).0;
        self.slots.insert_unique(hash.0, slot, rehash).bucket_index()
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
    /// Bytes of all keys and entries.
    data_bytes: usize,
    /// Large values that have been removed, dropped bit by bit: see [`Table::free`].
    discarded: Vec<Value>,
    /// Bytes of those.
    discarded_bytes: usize,
    hasher: RandomState,
}

impl Table {
    /// An empty table; owns no heap for entries yet.
    pub(crate) fn new(hasher: RandomState) -> Self {
        Table {
            chunks: vec![vec![Segment::with_capacity(0)]],
            segment_count: 1,
            mask: 1,
            len: 0,
            expiring_count: 0,
            expiry_sum_ms: 0,
            data_bytes: 0,
            discarded: Vec::new(),
            discarded_bytes: 0,
            hasher,
        }
    }

    pub(crate) fn hasher(&self) -> &RandomState {
        &self.hasher
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
        hash_key(&self.hasher, key)
    }

    /// Where `key` lies. Cost: one probe.
    #[inline]
    pub(crate) fn locate(&self, hash: KeyHash, key: &[u8]) -> Option<Place> {
        let segment = self.segment_of(hash);
        let slots = &self.segment(segment).slots;
        let bucket = slots.find_bucket_index(hash.0, |slot| *slot.key == *key)?;
        Some(Place { segment, bucket })
    }

    /// The entry of `key`: what [`Table::locate`] and [`Table::get`] give together, in one step.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<EntryRef<'_>> {
        self.locate(hash, key).map(|place| self.get(place))
    }

    /// Loads the first bytes of what a lookup of `hash` is going to read: most often the right entry, but nobody has
    /// compared the key. Gives a number that means nothing, so that the loads are not left out.
    #[inline]
    pub(crate) fn touch(&self, candidate: Candidate<'_>) -> u64 {
        let Candidate(Some(slot)) = candidate else { return 0 };
        u64::from(slot.key.first().copied().unwrap_or_default())
            + u64::from(slot.value.first_byte())
    }

    /// Where a lookup of `hash` is going to look; for [`Table::touch`].
    #[inline]
    pub(crate) fn candidate(&self, hash: KeyHash) -> Candidate<'_> {
        Candidate(self.segment(self.segment_of(hash)).slots.find(hash.0, |_| true))
    }

    /// The entry at `place`.
    #[inline]
    pub(crate) fn get(&self, place: Place) -> EntryRef<'_> {
        self.slot(place).view(place)
    }

    /// The key at `place`.
    #[cfg(test)]
    pub(crate) fn key(&self, place: Place) -> &[u8] {
        &self.slot(place).key
    }

    #[inline]
    fn slot(&self, place: Place) -> &Slot {
        let slots = &self.segment(place.segment).slots;
        slots.get_bucket(place.bucket).expect("a place names an entry")
    }

    #[inline]
    fn slot_mut(&mut self, place: Place) -> &mut Slot {
        let slots = &mut self.segment_mut(place.segment).slots;
        slots.get_bucket_mut(place.bucket).expect("a place names an entry")
    }

    /// The value at `place`, to change it.
    ///
    /// # Errors
    /// WRONGTYPE if it is of another type.
    pub(crate) fn value_mut<T: Typed>(
        &mut self,
        place: Place,
    ) -> Result<ValueMut<'_, T>, CommandError> {
        let slots = &mut self.chunks[place.segment / CHUNK_LEN][place.segment % CHUNK_LEN].slots;
        let slot = slots.get_bucket_mut(place.bucket).expect("a place names an entry");
        let value = T::from_value_mut(&mut slot.value).ok_or(CommandError::WrongType)?;
        Ok(ValueMut::new(value, &mut self.data_bytes))
    }

    /// Adds a key that is not there. May split a segment first, so earlier places are void.
    pub(crate) fn insert_new(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        entry: Entry,
        access: Access,
    ) -> Place {
        debug_assert!(self.locate(hash, key).is_none());
        if self.len >= self.segment_count * SEGMENT_LEN {
            self.split_next();
        }
        let expire_at_ms = entry.expire_at_ms();
        self.len += 1;
        self.count_expiry(expire_at_ms);
        let segment = self.segment_of(hash);
        let expire_at_ms = expire_at_ms.unwrap_or(NEVER);
        let slot = Slot { key: key.into(), value: entry.value, expire_at_ms, access };
        self.data_bytes += slot.data_bytes();
        let (segment_mut, hasher) = self.segment_and_hasher(segment);
        let bucket = segment_mut.insert(hash, slot, hasher);
        Place { segment, bucket }
    }

    /// Puts `entry` in place of the one at `place`, which stays good.
    pub(crate) fn replace(&mut self, place: Place, entry: Entry, access: Access) {
        self.set_expiry(place, entry.expire_at_ms());
        self.data_bytes += entry.value.heap_size();
        let slot = self.slot_mut(place);
        slot.access = access;
        let old = std::mem::replace(&mut slot.value, entry.value);
        self.data_bytes -= old.heap_size();
        self.discard(old);
    }

    /// Puts a string in place of the value at `place`, which stays good, and in its memory if it fits; the expiry
    /// stays.
    pub(crate) fn replace_string(&mut self, place: Place, string: StrRef<'_>) {
        if let Ok(mut old) = self.value_mut::<Str>(place) {
            old.assign(string);
            return;
        }
        let (access, expiry) = (self.get(place).access, self.get(place).expire_at_ms);
        let entry = Entry::new(Value::String(string.to_str())).with_expiry(expiry);
        self.replace(place, entry, access);
    }

    /// Changes when the entry at `place` expires; the place stays good.
    pub(crate) fn set_expiry(&mut self, place: Place, at_ms: Option<i64>) {
        let old_expiry = self.slot(place).expire_at_ms();
        if old_expiry != at_ms {
            self.move_expiry(place.segment, old_expiry, at_ms);
            self.slot_mut(place).expire_at_ms = at_ms.unwrap_or(NEVER);
        }
    }

    /// Changes when the entry at `place` was last used; the place stays good.
    #[inline]
    pub(crate) fn set_access(&mut self, place: Place, access: Access) {
        self.slot_mut(place).access = access;
    }

    /// Removes the entry at `place`. May merge segments, so other places are void. A large value is freed later.
    pub(crate) fn remove(&mut self, place: Place) {
        let slot = self.take_slot(place);
        self.discard(slot.value);
    }

    /// Takes out the entry at `place`. May merge segments, so other places are void.
    pub(crate) fn take(&mut self, place: Place) -> Entry {
        let slot = self.take_slot(place);
        let expire_at_ms = slot.expire_at_ms();
        Entry::new(slot.value).with_expiry(expire_at_ms)
    }

    fn take_slot(&mut self, place: Place) -> Slot {
        let (segment, hasher) = self.segment_and_hasher(place.segment);
        let occupied = segment.slots.get_bucket_entry(place.bucket).ok();
        let (slot, _) = occupied.expect("a place names an entry").remove();
        segment.forget_expiry(slot.expire_at_ms());
        // A table that has emptied gives memory back, at most once per halving.
        if segment.slots.capacity() > 28 && segment.slots.len() * 4 < segment.slots.capacity() {
            let capacity = segment.slots.len() * 2;
            segment.slots.shrink_to(capacity, |slot| hash_key(hasher, &slot.key).0);
        }
        self.len -= 1;
        self.data_bytes -= slot.data_bytes();
        self.uncount_expiry(slot.expire_at_ms());
        if self.is_sparse() {
            self.merge_last();
        }
        slot
    }

    /// Drops a value that is no longer in the table: now if it is small, later if it is large.
    fn discard(&mut self, value: Value) {
        if value.len() > FREE_AT_ONCE_MAX {
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

    /// Bytes of all keys and entries.
    pub(crate) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Bytes of removed values that have not been freed yet.
    pub(crate) fn discarded_bytes(&self) -> usize {
        self.discarded_bytes
    }

    /// Bytes of the entry at `place` with its key. Cost: O(1).
    pub(crate) fn entry_bytes(&self, place: Place) -> usize {
        self.slot(place).data_bytes()
    }

    /// How many removed values have not been freed yet.
    pub(crate) fn discarded_count(&self) -> usize {
        self.discarded.len()
    }

    /// About the bytes of what finds the entries: a few segments speak for all. Cost: O(1), but for the chunks.
    pub(crate) fn overhead_bytes(&self) -> usize {
        const LOOKS_MAX: usize = 32;
        let index = |segment: usize| {
            let slots = &self.segment(segment).slots;
            slots.allocation_size().saturating_sub(slots.len() * size_of::<Slot>())
        };
        let step = self.segment_count.div_ceil(LOOKS_MAX);
        let looks = (0..self.segment_count).step_by(step);
        let look_count = looks.len();
        let indices = looks.map(index).sum::<usize>() * self.segment_count / look_count;
        indices + self.chunks.len() * CHUNK_LEN.min(self.segment_count) * size_of::<Segment>()
    }

    /// A key and entry of segment `index`, drawn by lot; only among those that expire if `is_expiring`. `None` if
    /// there is none, or if the lot fell on nothing a few times. Cost: O(1).
    pub(crate) fn draw(
        &self,
        index: usize,
        is_expiring: bool,
        rng: &mut Rng,
    ) -> Option<(&[u8], EntryRef<'_>)> {
        const DRAWS_MAX: usize = 32;
        let segment = self.segment(index);
        if segment.slots.is_empty() || is_expiring && segment.expiring_count == 0 {
            return None;
        }
        for _ in 0..DRAWS_MAX {
            let bucket = rng.below(segment.slots.num_buckets());
            let slot = segment.slots.get_bucket(bucket);
            if let Some(slot) = slot.filter(|slot| !is_expiring || slot.expire_at_ms != NEVER) {
                return Some((&slot.key, slot.view(Place { segment: index, bucket })));
            }
        }
        None
    }

    /// All keys and entries, segment by segment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], EntryRef<'_>)> {
        (0..self.segment_count).flat_map(|index| self.segment_entries(index))
    }

    /// Takes all keys and entries out, segment by segment.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (Box<[u8]>, Entry)> {
        let slots = self.chunks.into_iter().flatten().flat_map(|segment| segment.slots.into_iter());
        slots.map(|slot| {
            let entry = Entry::new(slot.value).with_access(slot.access);
            let expire_at_ms = (slot.expire_at_ms != NEVER).then_some(slot.expire_at_ms);
            (slot.key, entry.with_expiry(expire_at_ms))
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
            dropped_count += segment.slots.len() + 1;
            self.len -= segment.slots.len();
            for slot in segment.slots {
                self.data_bytes -= slot.data_bytes();
                self.discard(slot.value);
            }
        }
        true
    }

    /// The segment that holds `position`.
    pub(crate) fn segment_at(&self, position: Position) -> usize {
        self.choose_segment(reverse_position(position))
    }

    /// The first position behind segment `index`; `None` behind the last in hash order.
    pub(crate) fn position_after(&self, index: usize) -> Option<Position> {
        // Where `index + 2^k` exists, `index` is split and its border lies one bit deeper.
        let half = (self.mask >> 1) + 1;
        let is_deep = index >= half || index + half < self.segment_count;
        let depth = self.mask.count_ones() - u32::from(!is_deep);
        let first = (index as u64).reverse_bits() >> (64 - POSITION_BITS);
        // Depth 0 is a single segment, which spans everything; so does wrapping past the end.
        let after = first + (1 << (POSITION_BITS - depth));
        (after < 1 << POSITION_BITS).then_some(after)
    }

    /// How many entries segment `index` has.
    pub(crate) fn segment_len(&self, index: usize) -> usize {
        self.segment(index).slots.len()
    }

    /// The keys and entries of segment `index`.
    pub(crate) fn segment_entries(
        &self,
        index: usize,
    ) -> impl Iterator<Item = (&[u8], EntryRef<'_>)> {
        let slots = &self.segment(index).slots;
        (0..slots.num_buckets()).filter_map(move |bucket| {
            let slot = slots.get_bucket(bucket)?;
            Some((&*slot.key, slot.view(Place { segment: index, bucket })))
        })
    }

    /// Lower bound of the expiries in segment `index`; `i64::MAX` if nothing there expires.
    pub(crate) fn soonest_ms(&self, index: usize) -> i64 {
        self.segment(index).soonest_ms
    }

    /// Removes the entries of segment `index` whose expiry lies before `now_ms`, after handing each key to `taken`.
    /// May merge segments.
    pub(crate) fn take_due(&mut self, index: usize, now_ms: i64, mut taken: impl FnMut(&[u8])) {
        let segment = self.segment_mut(index);
        let mut soonest_ms = i64::MAX;
        let is_due = |slot: &mut Slot| match slot.expire_at_ms() {
            Some(at_ms) if at_ms < now_ms => true,
            Some(at_ms) => {
                soonest_ms = soonest_ms.min(at_ms);
                false
            }
            None => false,
        };
        let due: Vec<Slot> = segment.slots.extract_if(is_due).collect();
        segment.soonest_ms = soonest_ms;
        segment.expiring_count -= due.len();
        self.len -= due.len();
        for slot in due {
            taken(&slot.key);
            self.uncount_expiry(slot.expire_at_ms());
            self.data_bytes -= slot.data_bytes();
            self.discard(slot.value);
        }
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

    fn segment_and_hasher(&mut self, index: usize) -> (&mut Segment, &RandomState) {
        (&mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN], &self.hasher)
    }

    /// Makes segment `n` from the entries of segment `n - 2^k` whose next bit is set.
    fn split_next(&mut self) {
        let new = self.segment_count;
        let bit = (self.mask >> 1) + 1;
        let old = new - bit;
        let whole = std::mem::replace(self.segment_mut(old), Segment::with_capacity(0));
        let half_len = whole.slots.len() / 2;
        let mut low = Segment::with_capacity(half_len);
        let mut high = Segment::with_capacity(half_len);
        for slot in whole.slots {
            let hash = self.hash(&slot.key);
            let half = if hash.segment_bits() & bit == 0 { &mut low } else { &mut high };
            half.insert(hash, slot, &self.hasher);
        }
        *self.segment_mut(old) = low;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(high),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(high);
                self.chunks.push(chunk);
            }
        }
        self.segment_count += 1;
        if self.segment_count > self.mask {
            self.mask = 2 * self.mask + 1;
        }
    }

    fn is_sparse(&self) -> bool {
        self.segment_count > 1 && self.len < self.segment_count * SEGMENT_LEN_MIN
    }

    /// Puts the entries of the last segment back into the one it was split from.
    fn merge_last(&mut self) {
        let chunk = self.chunks.last_mut().expect("a table has a segment");
        let last = chunk.pop().expect("a chunk is never empty");
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.segment_count -= 1;
        if self.segment_count <= self.mask >> 1 {
            self.mask >>= 1;
        }
        let into = self.segment_count & (self.mask >> 1);
        let (segment, hasher) = self.segment_and_hasher(into);
        segment.slots.reserve(last.slots.len(), |slot| hash_key(hasher, &slot.key).0);
        for slot in last.slots {
            segment.insert(hash_key(hasher, &slot.key), slot, hasher);
        }
    }

    fn move_expiry(&mut self, segment: usize, from: Option<i64>, to: Option<i64>) {
        self.uncount_expiry(from);
        self.count_expiry(to);
        let segment = self.segment_mut(segment);
        segment.forget_expiry(from);
        segment.note_expiry(to);
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
        let (mut len, mut expiring, mut sum, mut data_bytes) = (0, 0, 0, 0);
        assert!(self.mask.count_ones() == self.mask.trailing_ones());
        assert!(self.segment_count <= self.mask && self.segment_count > self.mask >> 1);
        for (index, segment) in self.chunks.iter().flatten().enumerate() {
            let mut segment_expiring = 0;
            for slot in &segment.slots {
                let hash = self.hash(&slot.key);
                data_bytes += slot.data_bytes();
                assert_eq!(self.segment_of(hash), index);
                assert_eq!(self.segment_at(hash.position()), index);
                assert!(self.position_after(index).is_none_or(|after| hash.position() < after));
                if let Some(at_ms) = slot.expire_at_ms() {
                    segment_expiring += 1;
                    sum += i128::from(at_ms);
                    assert!(segment.soonest_ms <= at_ms);
                }
            }
            assert_eq!(segment.expiring_count, segment_expiring);
            len += segment.slots.len();
            expiring += segment_expiring;
        }
        let segment_count: usize = self.chunks.iter().map(Vec::len).sum();
        assert_eq!(self.segment_count, segment_count);
        assert_eq!(self.data_bytes, data_bytes);
        assert_eq!((self.len, self.expiring_count, self.expiry_sum_ms), (len, expiring, sum));
    }
}

#[inline]
fn hash_key(hasher: &RandomState, key: &[u8]) -> KeyHash {
    let mut state = hasher.build_hasher();
    state.write(key);
    KeyHash(state.finish())
}

fn reverse_position(position: Position) -> usize {
    (position << (64 - POSITION_BITS)).reverse_bits() as usize
}

#[cfg(test)]
mod tests;
