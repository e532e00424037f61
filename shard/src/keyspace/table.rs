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

use crate::keyspace::entry::Entry;
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

/// A key with its entry.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: Box<[u8]>,
    pub(crate) entry: Entry,
}

impl Slot {
    /// About the bytes it takes.
    fn size(&self) -> usize {
        size_of::<Slot>() + self.key.len() + self.entry.value.size()
    }
}

/// Where an entry lies; good until the next insertion or removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    segment: usize,
    bucket: usize,
}

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
        self.note_expiry(slot.entry.expire_at_ms());
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
    /// Bytes of all slots, as each was when it was put in.
    data_bytes: usize,
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
            hasher,
        }
    }

    pub(crate) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of all slots, as each was when it was put in.
    pub(crate) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Bytes of the segments themselves.
    pub(crate) fn table_bytes(&self) -> usize {
        self.segment_count * size_of::<Segment>()
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

    /// The entry of `key`: what [`Table::locate`] and [`Table::slot`] give together, in one step.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<&Entry> {
        let slots = &self.segment(self.segment_of(hash)).slots;
        slots.find(hash.0, |slot| *slot.key == *key).map(|slot| &slot.entry)
    }

    /// The first slot whose hash looks like `hash`: most often that of the key, but nobody has compared the key.
    #[inline]
    pub(crate) fn candidate(&self, hash: KeyHash) -> Option<&Slot> {
        self.segment(self.segment_of(hash)).slots.find(hash.0, |_| true)
    }

    /// The slot at `place`.
    #[inline]
    pub(crate) fn slot(&self, place: Place) -> &Slot {
        let slots = &self.segment(place.segment).slots;
        slots.get_bucket(place.bucket).expect("a place names an entry")
    }

    /// The entry at `place`, to change its value.
    #[inline]
    pub(crate) fn entry_mut(&mut self, place: Place) -> &mut Entry {
        let slots = &mut self.segment_mut(place.segment).slots;
        &mut slots.get_bucket_mut(place.bucket).expect("a place names an entry").entry
    }

    /// Adds a key that is not there. May split a segment first, so earlier places are void.
    pub(crate) fn insert_new(&mut self, hash: KeyHash, key: &[u8], entry: Entry) -> Place {
        debug_assert!(self.locate(hash, key).is_none());
        if self.len >= self.segment_count * SEGMENT_LEN {
            self.split_next();
        }
        self.len += 1;
        self.count_expiry(entry.expire_at_ms());
        let segment = self.segment_of(hash);
        let slot = Slot { key: key.into(), entry };
        self.data_bytes += slot.size();
        let (segment_mut, hasher) = self.segment_and_hasher(segment);
        let bucket = segment_mut.insert(hash, slot, hasher);
        Place { segment, bucket }
    }

    /// Puts `entry` in place of the one at `place`, which stays good.
    pub(crate) fn replace(&mut self, place: Place, entry: Entry) -> Entry {
        let old_expiry = self.slot(place).entry.expire_at_ms();
        let new_expiry = entry.expire_at_ms();
        if old_expiry != new_expiry {
            self.move_expiry(place.segment, old_expiry, new_expiry);
        }
        let size = self.slot(place).size();
        let old = std::mem::replace(self.entry_mut(place), entry);
        self.data_bytes = (self.data_bytes + self.slot(place).size()).saturating_sub(size);
        old
    }

    /// Changes when the entry at `place` expires; the place stays good.
    pub(crate) fn set_expiry(&mut self, place: Place, at_ms: Option<i64>) {
        let old_expiry = self.slot(place).entry.expire_at_ms();
        self.move_expiry(place.segment, old_expiry, at_ms);
        self.entry_mut(place).set_expiry(at_ms);
    }

    /// Takes out the entry at `place`. May merge segments, so other places are void.
    pub(crate) fn remove(&mut self, place: Place) -> Slot {
        let (segment, hasher) = self.segment_and_hasher(place.segment);
        let occupied = segment.slots.get_bucket_entry(place.bucket).ok();
        let (slot, _) = occupied.expect("a place names an entry").remove();
        segment.forget_expiry(slot.entry.expire_at_ms());
        // A table that has emptied gives memory back, at most once per halving.
        if segment.slots.capacity() > 28 && segment.slots.len() * 4 < segment.slots.capacity() {
            let capacity = segment.slots.len() * 2;
            segment.slots.shrink_to(capacity, |slot| hash_key(hasher, &slot.key).0);
        }
        self.len -= 1;
        self.data_bytes = self.data_bytes.saturating_sub(slot.size());
        self.uncount_expiry(slot.entry.expire_at_ms());
        if self.is_sparse() {
            self.merge_last();
        }
        slot
    }

    /// All entries, segment by segment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().flatten().flat_map(|segment| segment.slots.iter())
    }

    /// Takes all entries out, segment by segment.
    pub(crate) fn into_slots(self) -> impl Iterator<Item = Slot> {
        self.chunks.into_iter().flatten().flat_map(|segment| segment.slots.into_iter())
    }

    /// Drops entries, some hundreds at a time, until about `budget` of them are gone; says whether some are left.
    /// What remains can only be dropped further.
    pub(crate) fn dismantle(&mut self, budget: usize) -> bool {
        let mut dropped_count = 0;
        while dropped_count <= budget {
            let Some(chunk) = self.chunks.last_mut() else { return false };
            match chunk.pop() {
                Some(segment) => {
                    self.len -= segment.slots.len();
                    dropped_count += segment.slots.len() + 1;
                }
                None => drop(self.chunks.pop()),
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

    /// The entries of segment `index`.
    pub(crate) fn segment_slots(&self, index: usize) -> impl ExactSizeIterator<Item = &Slot> {
        self.segment(index).slots.iter()
    }

    /// Lower bound of the expiries in segment `index`; `i64::MAX` if nothing there expires.
    pub(crate) fn soonest_ms(&self, index: usize) -> i64 {
        self.segment(index).soonest_ms
    }

    /// Takes out the entries of segment `index` whose expiry lies before `now_ms`. May merge segments.
    pub(crate) fn take_due(&mut self, index: usize, now_ms: i64) -> Vec<Slot> {
        let segment = self.segment_mut(index);
        let mut soonest_ms = i64::MAX;
        let is_due = |slot: &mut Slot| match slot.entry.expire_at_ms() {
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
        for slot in &due {
            self.data_bytes = self.data_bytes.saturating_sub(slot.size());
            self.uncount_expiry(slot.entry.expire_at_ms());
        }
        while self.is_sparse() {
            self.merge_last();
        }
        due
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
        let (mut len, mut expiring, mut sum) = (0, 0, 0);
        assert!(self.mask.count_ones() == self.mask.trailing_ones());
        assert!(self.segment_count <= self.mask && self.segment_count > self.mask >> 1);
        for (index, segment) in self.chunks.iter().flatten().enumerate() {
            let mut segment_expiring = 0;
            for slot in &segment.slots {
                let hash = self.hash(&slot.key);
                assert_eq!(self.segment_of(hash), index);
                assert_eq!(self.segment_at(hash.position()), index);
                assert!(self.position_after(index).is_none_or(|after| hash.position() < after));
                if let Some(at_ms) = slot.entry.expire_at_ms() {
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
