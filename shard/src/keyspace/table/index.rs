//! What finds the records of one segment: groups of slots, each group one cache line.
//!
//! ```text
//!  0                20      21      24                                                64
//!  +----------------+-------+-------+--------------------------------------------------+
//!  | 20 tags of u8  | spill |       | 20 offsets of u16                                |
//!  +----------------+-------+-------+--------------------------------------------------+
//! ```
//! A *slot* is a tag and an offset. The tag is eight bits of the hash that nothing else looks at, 0 where the slot is
//! empty; the offset says where in the arena the record lies. A record's *home* is the group its hash names; where that
//! is full it goes to the next, and each group that it has passed counts one more in `spill`. So a lookup reads one line
//! and compares one key, but for chance, and it is over at the first group that nothing has passed.
//!
//! Groups are allocated in *blocks* of four, and the index grows by a block at a time. So all indexes are made of pieces
//! of one size, and what one gives back fits the next. Were an index a single allocation, all of a table, which have
//! about as many records each, would grow from one size of the allocator to the next at about the same time, and the
//! memory of the old size would stay behind.

use super::KeyHash;
use crate::memory::block_size;
use smallvec::SmallVec;

/// Slots of one group.
pub(super) const GROUP_LEN: usize = 20;
/// Groups of one block.
const BLOCK_LEN: usize = 4;
/// Blocks whose pointers lie in the index itself: enough for a segment before it is split.
const INLINE_BLOCKS: usize = 6;
/// Slots of the smallest index.
pub(super) const SLOTS_MIN: usize = BLOCK_LEN * GROUP_LEN;
/// Bytes of the tag and the offset of a slot.
pub(super) const SLOT_SIZE: usize = 3;
/// Tags in front of the spill count, in words.
const TAG_WORDS: usize = 3;
/// Where the count of spilled records lies among the tags.
const SPILL: usize = GROUP_LEN;
/// A count that has got here stays: it may be more.
const SPILL_MAX: u8 = u8::MAX;
/// Of so many slots ...
const LOAD_SLOTS: usize = 8;
/// ... at most so many are taken.
const LOAD_MAX: usize = 7;

#[derive(Clone, Debug)]
#[repr(C)]
struct Group {
    tags: [u8; 8 * TAG_WORDS],
    offsets: [u16; GROUP_LEN],
}

const _: () = assert!(size_of::<Group>() == 64, "a group is a cache line");

impl Group {
    const EMPTY: Group = Group { tags: [0; 8 * TAG_WORDS], offsets: [0; GROUP_LEN] };

    /// One bit for each slot with this tag.
    #[inline]
    fn matching(&self, tag: u8) -> u32 {
        const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
        // The eight flags of a word, one per byte, side by side in its top byte.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let pattern = u64::from_ne_bytes([tag; 8]);
        let mut found = 0;
        for word in 0..TAG_WORDS {
            let tags = &self.tags[8 * word..8 * word + 8];
            let word_tags = u64::from_le_bytes(*tags.first_chunk().expect("eight tags"));
            let differing = word_tags ^ pattern;
            let equal = !(((differing & LOW) + LOW) | differing | LOW) >> 7;
            found |= ((equal.wrapping_mul(GATHER) >> 56) as u32) << (8 * word);
        }
        found & ((1 << GROUP_LEN) - 1)
    }
}

/// The slots of one segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    blocks: SmallVec<[Box<[Group; BLOCK_LEN]>; INLINE_BLOCKS]>,
    len: usize,
}

impl Index {
    /// An index with room for `len` records at least.
    pub(super) fn with_room(len: usize) -> Self {
        let block_count = (len * LOAD_SLOTS).div_ceil(LOAD_MAX * SLOTS_MIN);
        let blocks = (0..block_count).map(|_| Box::new([Group::EMPTY; BLOCK_LEN]));
        Index { blocks: blocks.collect(), len: 0 }
    }

    /// How many slots are taken.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many slots there are; a slot's number is below.
    pub(super) fn slot_count(&self) -> usize {
        self.group_count() * GROUP_LEN
    }

    /// How many records there is room for.
    pub(super) fn room(&self) -> usize {
        self.slot_count() * LOAD_MAX / LOAD_SLOTS
    }

    /// Bytes of heap, as the allocator counts them.
    pub(super) fn heap_size(&self) -> usize {
        let list_len = if self.blocks.spilled() { self.blocks.capacity() } else { 0 };
        self.blocks.len() * block_size(BLOCK_LEN * size_of::<Group>())
            + block_size(list_len * size_of::<Box<[Group; BLOCK_LEN]>>())
    }

    #[inline]
    fn group_count(&self) -> usize {
        self.blocks.len() * BLOCK_LEN
    }

    #[inline]
    fn group(&self, at: usize) -> &Group {
        &self.blocks[at / BLOCK_LEN][at % BLOCK_LEN]
    }

    #[inline]
    fn group_mut(&mut self, at: usize) -> &mut Group {
        &mut self.blocks[at / BLOCK_LEN][at % BLOCK_LEN]
    }

    /// The offset in slot `slot`, if it is taken.
    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<u16> {
        let group = self.group(slot / GROUP_LEN);
        let slot = slot % GROUP_LEN;
        (group.tags[slot] != 0).then(|| group.offsets[slot])
    }

    /// Changes the offset in slot `slot`, which is taken.
    pub(super) fn set(&mut self, slot: usize, offset: u16) {
        self.group_mut(slot / GROUP_LEN).offsets[slot % GROUP_LEN] = offset;
    }

    /// The slot of `hash` whose offset `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, hash: KeyHash, mut is_it: impl FnMut(u16) -> bool) -> Option<usize> {
        let tag = tag(hash);
        let mut at = self.home(hash);
        for _ in 0..self.group_count() {
            let group = self.group(at);
            let mut found = group.matching(tag);
            while found != 0 {
                let slot = found.trailing_zeros() as usize;
                if is_it(group.offsets[slot]) {
                    return Some(at * GROUP_LEN + slot);
                }
                found &= found - 1;
            }
            if group.tags[SPILL] == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// The byte that a lookup of `hash` reads first; it means nothing by itself.
    #[inline]
    pub(super) fn first_byte(&self, hash: KeyHash) -> Option<&u8> {
        if self.blocks.is_empty() { None } else { self.group(self.home(hash)).tags.first() }
    }

    /// The offset that a lookup of `hash` compares first: most often the right one.
    #[inline]
    pub(super) fn first_candidate(&self, hash: KeyHash) -> Option<u16> {
        if self.blocks.is_empty() {
            return None;
        }
        let group = self.group(self.home(hash));
        let slot = group.matching(tag(hash)).trailing_zeros() as usize;
        group.offsets.get(slot).copied()
    }

    /// Adds a record that is not there, and returns its slot. There must be room.
    pub(super) fn insert(&mut self, hash: KeyHash, offset: u16) -> usize {
        debug_assert!(self.len < self.slot_count());
        let mut at = self.home(hash);
        loop {
            let group = self.group_mut(at);
            let empty = group.matching(0);
            if empty != 0 {
                let slot = empty.trailing_zeros() as usize;
                group.tags[slot] = tag(hash);
                group.offsets[slot] = offset;
                self.len += 1;
                return at * GROUP_LEN + slot;
            }
            group.tags[SPILL] = group.tags[SPILL].saturating_add(1);
            at = self.after(at);
        }
    }

    /// Empties slot `slot`, which holds a record of `hash`.
    pub(super) fn remove(&mut self, hash: KeyHash, slot: usize) {
        let end = slot / GROUP_LEN;
        let mut at = self.home(hash);
        while at != end {
            let spill = &mut self.group_mut(at).tags[SPILL];
            if *spill < SPILL_MAX {
                *spill -= 1;
            }
            at = self.after(at);
        }
        self.group_mut(end).tags[slot % GROUP_LEN] = 0;
        self.len -= 1;
    }

    /// All slots that are taken, with their offsets.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u16)> {
        let groups = self.blocks.iter().flat_map(|block| block.iter()).enumerate();
        groups.flat_map(|(at, group)| {
            let slots = group.tags.iter().zip(&group.offsets).enumerate();
            let taken = slots.filter(|(_, (tag, _))| **tag != 0);
            taken.map(move |(slot, (_, offset))| (at * GROUP_LEN + slot, *offset))
        })
    }

    #[inline]
    fn home(&self, hash: KeyHash) -> usize {
        // The low bits as a fraction of all groups.
        (usize::from(hash.low_bits()) * self.group_count()) >> u16::BITS
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.group_count() { 0 } else { at + 1 }
    }
}

#[inline]
fn tag(hash: KeyHash) -> u8 {
    hash.top_bits().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    #[test]
    fn equal_tags_are_found_and_nothing_else() {
        let mut group = Group::EMPTY;
        for (slot, tag) in group.tags.iter_mut().enumerate() {
            *tag = [7, 8, 6, 0, 0x87, 0xFF][slot % 6];
        }
        let expected = |tag| {
            let matching = (0..GROUP_LEN).filter(|slot| group.tags[*slot] == tag);
            matching.fold(0, |found, slot| found | 1_u32 << slot)
        };
        for tag in 0..=255 {
            assert_eq!(group.matching(tag), expected(tag), "{tag}");
        }
    }

    #[test]
    fn it_finds_what_a_map_finds_however_full() {
        for seed in 0..50 {
            println!("seed {seed}");
            let mut rng = Rng::new(seed);
            let room = 1 + rng.below(300);
            let mut index = Index::with_room(room);
            assert!(index.room() >= room);
            let mut model = BTreeMap::new();
            for step in 0..2_000 {
                // Few different hashes, so that groups overflow.
                let number = rng.below(2 * index.slot_count()) as u64;
                let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (number << 3);
                let hash = KeyHash::from_random(if seed % 2 == 0 { spread } else { number });
                let offset = number as u16;
                let slot = index.find(hash, |found| found == offset);
                assert_eq!(slot.is_some(), model.contains_key(&offset), "step {step}");
                match slot {
                    Some(slot) => {
                        assert_eq!(index.get(slot), Some(offset));
                        index.remove(hash, slot);
                        model.remove(&offset);
                    }
                    None if index.len() < index.slot_count() => {
                        let slot = index.insert(hash, offset);
                        model.insert(offset, hash);
                        assert_eq!(index.get(slot), Some(offset));
                    }
                    None => {}
                }
                assert_eq!(index.len(), model.len());
            }
            assert_eq!(index.iter().count(), model.len());
            for (offset, hash) in model {
                assert!(index.find(hash, |found| found == offset).is_some());
            }
        }
    }
}
