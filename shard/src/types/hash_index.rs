//! Hash index: finds the numbers of entries by the hash of their keys, and grows a little at a time.
//!
//! Path: `types::paged_table` -> here. The index knows no keys: its owner says which entry a number
//! stands for, and what the hash of that entry is.
//!
//! Layout: segments of about [`SEGMENT_LEN`] slots. The lower half of a hash says which segment, by linear hashing
//! (Litwin 1980): with every [`SEGMENT_LEN`] entries one more segment is split, in a fixed order, so there is never a
//! moment at which everything moves. The upper 16 bits of a hash are its tag; a segment is sorted by tag. Tags are
//! spread evenly, so where one stands is guessed from its value and found a few steps away.
//! Invariant: each number stands once, in the segment of its entry's hash, under its tag.

use super::chunks::Chunks;
use crate::memory::{block_size, shrink};
use ahash::RandomState;
use std::sync::OnceLock;

/// Entries per segment on average; one that is due to be split has up to twice as many.
const SEGMENT_LEN: usize = 128;

static HASHER: OnceLock<RandomState> = OnceLock::new();

/// Keys the hash function of all collections in this process, so that nobody outside can choose members that collide.
/// Only the first call counts, and only before the first hash; without one the key is fixed, as tests want it. No
/// order and no reply depends on it.
pub fn seed(seed: u64) {
    let mut rng = crate::rng::Rng::new(seed);
    let mut draw = || rng.next_u64();
    HASHER.get_or_init(|| RandomState::with_seeds(draw(), draw(), draw(), draw()));
}

/// The hash of a key.
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    keyed().hash_one(key)
}

/// The same hash function, for maps of the standard library.
#[must_use]
pub fn hasher() -> RandomState {
    keyed().clone()
}

fn keyed() -> &'static RandomState {
    HASHER.get_or_init(|| {
        RandomState::with_seeds(
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
        )
    })
}

/// Numbers of entries by hash.
#[derive(Clone, Debug, Default)]
pub struct HashIndex {
    segments: Chunks<Segment>,
    len: usize,
    /// Bytes of heap of all segments.
    segments_size: usize,
}

/// Slots sorted by tag.
#[derive(Clone, Debug, Default)]
struct Segment {
    slots: Vec<Slot>,
}

/// A tag and a number; the number in two halves, so that a slot takes six bytes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u16,
    number: [u16; 2],
}

impl Slot {
    fn new(hash: u64, number: u32) -> Self {
        Slot { tag: tag_of(hash), number: [(number >> 16) as u16, (number & 0xffff) as u16] }
    }

    fn number(self) -> u32 {
        u32::from(self.number[0]) << 16 | u32::from(self.number[1])
    }
}

fn tag_of(hash: u64) -> u16 {
    (hash >> 48) as u16
}

impl HashIndex {
    /// Bytes of heap this holds. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.segments.heap_size() + self.segments_size
    }

    /// The number under `hash` for which `is_it` says yes.
    #[must_use]
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.segments.is_empty() {
            return None;
        }
        let segment = &self.segments[self.segment_of(hash)];
        segment.under(tag_of(hash)).map(|(_, number)| number).find(|&number| is_it(number))
    }

    /// Loads what a lookup of `hash` reads first; the number means nothing.
    #[must_use]
    #[inline]
    pub fn touch(&self, hash: u64) -> u64 {
        if self.segments.is_empty() {
            return 0;
        }
        let segment = &self.segments[self.segment_of(hash)];
        segment.slots.get(segment.guess(tag_of(hash))).map_or(0, |slot| slot.tag.into())
    }

    /// Adds a number, which is not there yet, under `hash`; `hash_of` gives the hash of any number that is there.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if self.segments.is_empty() {
            self.segments.push(Segment::default());
        }
        let home = self.segment_of(hash);
        self.resize(home, |segment| segment.insert(Slot::new(hash, number)));
        self.len += 1;
        if self.len > self.segments.len() * SEGMENT_LEN {
            self.split(hash_of);
        }
    }

    /// Takes out a number that is there under `hash`.
    pub fn remove(&mut self, hash: u64, number: u32) {
        let home = self.segment_of(hash);
        self.resize(home, |segment| segment.remove(tag_of(hash), number));
        self.len -= 1;
        if self.segments.len() > 1 && self.len < self.segments.len() * SEGMENT_LEN / 4 {
            self.merge();
        }
    }

    /// Puts the number `to` in the place of `from`, which is there under `hash`.
    pub fn renumber(&mut self, hash: u64, from: u32, to: u32) {
        let home = self.segment_of(hash);
        let segment = &mut self.segments[home];
        let at = segment.place(tag_of(hash), from);
        segment.slots[at] = Slot::new(hash, to);
    }

    /// Drops a segment, for an owner that drops its entries; the index finds nothing any more. Says whether
    /// something is left.
    pub fn free_some(&mut self) -> bool {
        if let Some(segment) = self.segments.pop() {
            self.segments_size -= segment.heap_size();
        }
        !self.segments.is_empty()
    }

    /// The segment of a hash.
    fn segment_of(&self, hash: u64) -> usize {
        address(hash, self.segments.len())
    }

    /// Splits the segment whose turn it is.
    fn split(&mut self, hash_of: impl Fn(u32) -> u64) {
        let new = self.segments.len();
        let old = partner(new);
        let mut moved = Segment::default();
        self.resize(old, |segment| {
            segment.slots.retain(|&slot| {
                let stays = address(hash_of(slot.number()), new + 1) == old;
                if !stays {
                    moved.slots.push(slot);
                }
                stays
            });
            segment.refit();
        });
        moved.refit();
        self.segments_size += moved.heap_size();
        self.segments.push(moved);
    }

    /// Undoes the last split.
    fn merge(&mut self) {
        let Some(last) = self.segments.pop() else { return };
        self.segments_size -= last.heap_size();
        let home = partner(self.segments.len());
        self.resize(home, |segment| {
            segment.slots.reserve_exact(last.slots.len());
            segment.slots.extend(last.slots);
            segment.slots.sort_by_key(|slot| slot.tag);
        });
    }

    /// Changes segment `at` and counts its memory again.
    fn resize(&mut self, at: usize, change: impl FnOnce(&mut Segment)) {
        let segment = &mut self.segments[at];
        self.segments_size -= segment.heap_size();
        change(segment);
        self.segments_size += segment.heap_size();
    }

    /// Panics unless there are `len` numbers, each where `hash_of` says.
    #[cfg(test)]
    pub fn check_invariants(&self, len: usize, hash_of: impl Fn(u32) -> u64) {
        assert_eq!(self.len, len);
        let mut numbers = Vec::new();
        let mut size = 0;
        for (at, segment) in self.segments.iter().enumerate() {
            assert!(segment.slots.is_sorted_by_key(|slot| slot.tag));
            for slot in &segment.slots {
                let hash = hash_of(slot.number());
                assert_eq!((self.segment_of(hash), tag_of(hash)), (at, slot.tag));
                numbers.push(slot.number() as usize);
            }
            size += segment.heap_size();
        }
        assert_eq!(self.segments_size, size);
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..len));
    }
}

/// Where a hash belongs among `count` segments: as many of its bits as there are in `count`, or one less where that
/// segment does not exist yet.
fn address(hash: u64, count: usize) -> usize {
    let mask = count.next_power_of_two() - 1;
    let wide = hash as u32 as usize & mask;
    if wide < count { wide } else { wide & (mask >> 1) }
}

/// The segment that segment `new`, not the first, is split off from.
fn partner(new: usize) -> usize {
    new - (1 << new.ilog2())
}

impl Segment {
    fn heap_size(&self) -> usize {
        block_size(self.slots.capacity() * size_of::<Slot>())
    }

    /// Where slots with `tag` should stand, if tags are spread evenly.
    fn guess(&self, tag: u16) -> usize {
        (usize::from(tag) * self.slots.len()) >> 16
    }

    /// Where the first slot with `tag` or a greater one stands.
    fn first(&self, tag: u16) -> usize {
        let slots = &*self.slots;
        let mut at = self.guess(tag);
        while at > 0 && slots[at - 1].tag >= tag {
            at -= 1;
        }
        while at < slots.len() && slots[at].tag < tag {
            at += 1;
        }
        at
    }

    /// The numbers under `tag`, each with its place.
    fn under(&self, tag: u16) -> impl Iterator<Item = (usize, u32)> {
        let first = self.first(tag);
        let slots = self.slots[first..].iter().take_while(move |slot| slot.tag == tag);
        slots.enumerate().map(move |(offset, slot)| (first + offset, slot.number()))
    }

    /// Where `number` stands, which is there under `tag`.
    fn place(&self, tag: u16, number: u32) -> usize {
        let mut slots = self.under(tag);
        slots.find(|slot| slot.1 == number).expect("every entry is in the index").0
    }

    fn insert(&mut self, slot: Slot) {
        let slots = &mut self.slots;
        if slots.len() == slots.capacity() {
            slots.reserve_exact(fitting(slots.len() + 1) - slots.len());
        }
        let at = self.first(slot.tag);
        self.slots.insert(at, slot);
    }

    fn remove(&mut self, tag: u16, number: u32) {
        self.slots.remove(self.place(tag, number));
        self.shrink();
    }

    /// Gives memory back when a third of it is unused.
    fn shrink(&mut self) {
        let capacity = fitting(self.slots.len());
        if self.slots.capacity() > capacity + capacity / 2 {
            self.refit();
        }
    }

    /// Gives back all memory that is not in the block that is needed.
    fn refit(&mut self) {
        let capacity = fitting(self.slots.len());
        shrink(&mut self.slots, capacity);
    }
}

/// How many slots there is room for in the block that the allocator gives for `len`.
fn fitting(len: usize) -> usize {
    block_size(len * size_of::<Slot>()) / size_of::<Slot>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(number: u32) -> u64 {
        hash(&number.to_le_bytes())
    }

    #[test]
    fn it_grows_and_shrinks_by_one_segment_at_a_time() {
        let mut index = HashIndex::default();
        assert_eq!(index.find(hash_of(0), |_| true), None);
        let count = 20_000;
        for number in 0..count {
            let segment_count = index.segments.len();
            index.insert(hash_of(number), number, hash_of);
            assert!(index.segments.len() <= segment_count + 1);
            assert_eq!(index.find(hash_of(number / 2), |n| n == number / 2), Some(number / 2));
            assert_eq!(index.find(hash_of(number + 1), |n| n == number + 1), None);
        }
        index.check_invariants(count as usize, hash_of);
        let longest = index.segments.iter().map(|segment| segment.slots.len()).max();
        assert!(longest < Some(3 * SEGMENT_LEN), "{longest:?}");
        let slots_size = count as usize * size_of::<Slot>();
        assert!(index.heap_size() < slots_size * 5 / 4, "{}", index.heap_size());
        for number in (0..count).rev() {
            index.remove(hash_of(number), number);
            if number % 1000 == 0 {
                index.check_invariants(number as usize, hash_of);
            }
        }
        assert_eq!(index.segments.len(), 1);
        assert!(index.heap_size() < 200, "{}", index.heap_size());
    }

    #[test]
    fn numbers_with_one_hash_are_kept_apart() {
        let mut index = HashIndex::default();
        for number in 0..300 {
            index.insert(7, number, |_| 7);
        }
        for number in 0..300 {
            assert_eq!(index.find(7, |n| n == number), Some(number));
        }
        index.renumber(7, 150, 1000);
        assert_eq!(index.find(7, |n| n == 150), None);
        assert_eq!(index.find(7, |n| n == 1000), Some(1000));
        index.remove(7, 1000);
        assert_eq!(index.find(7, |n| n == 1000), None);
    }

    #[test]
    fn it_is_freed_in_steps() {
        let mut index = HashIndex::default();
        (0..5000).for_each(|number| index.insert(hash_of(number), number, hash_of));
        let mut step_count = 1;
        while index.free_some() {
            step_count += 1;
        }
        assert!(step_count > 10);
        assert_eq!(index.segments_size, 0);
    }
}
