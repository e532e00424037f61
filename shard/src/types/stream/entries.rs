//! The entries of a stream: blocks in the order of their ids, and what Redis counts about them.
//!
//! Path: `types::stream` -> here -> `types::stream::block`.
//! New entries go into the last block, `tail`, which has room to grow; when it is full it is sealed and a new one begins.
//! Invariant: ids grow from entry to entry, over all blocks. Blocks end where Redis's nodes end (see `block`).

use super::block::{Block, BlockLimit, Entry, Slot, Slots};
use super::id::StreamId;
use super::radix;
use crate::memory::tree_size;
use std::collections::{BTreeMap, btree_map};

/// Entries in order.
#[derive(Debug)]
pub struct Entries {
    /// Full blocks by the id of their first entry.
    sealed: BTreeMap<StreamId, Block>,
    tail: Option<Block>,
    len: usize,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added_count: u64,
    /// Nodes of Redis's radix tree of the same blocks.
    radix_node_count: usize,
    /// Bytes of heap of what is in the blocks.
    heap_size: usize,
}

/// What is trimmed away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// The oldest entries, until no more than so many are left: MAXLEN.
    Len(u64),
    /// Entries with ids below this one: MINID.
    Id(StreamId),
}

/// How entries are trimmed away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What goes.
    pub threshold: Threshold,
    /// Whether only whole blocks go: `~`.
    pub is_approximate: bool,
    /// Most entries that go; 0 for no limit.
    pub limit: u64,
}

impl Default for Entries {
    fn default() -> Self {
        Entries {
            sealed: BTreeMap::new(),
            tail: None,
            len: 0,
            first_id: StreamId::MIN,
            last_id: StreamId::MIN,
            max_deleted_id: StreamId::MIN,
            added_count: 0,
            radix_node_count: radix::EMPTY,
            heap_size: 0,
        }
    }
}

impl Entries {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none. The stream exists all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first entry as of the last time that entries went from the front; 0-0 if there is none.
    #[must_use]
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The greatest id that an entry ever had, or that XSETID has set.
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The greatest id that XDEL has deleted; 0-0 if none.
    #[must_use]
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    #[must_use]
    pub fn added_count(&self) -> u64 {
        self.added_count
    }

    /// How many blocks there are: Redis's `radix-tree-keys`.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.sealed.len() + usize::from(self.tail.is_some())
    }

    /// Redis's `radix-tree-nodes`.
    #[must_use]
    pub fn radix_node_count(&self) -> usize {
        self.radix_node_count
    }

    /// Bytes of heap this holds.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.heap_size + tree_size(self.sealed.len(), size_of::<(StreamId, Block)>())
    }

    /// Sets what XSETID sets; `None` leaves a figure as it is.
    pub fn set_figures(
        &mut self,
        last_id: StreamId,
        added_count: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        self.last_id = last_id;
        self.added_count = added_count.unwrap_or(self.added_count);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// Adds an entry, whose id must be above [`Entries::last_id`]. `items` are its fields, each before its value.
    /// Cost: O(1), and O(log blocks) where a block begins.
    pub fn push<'a>(
        &mut self,
        id: StreamId,
        field_count: usize,
        items: impl Iterator<Item = &'a [u8]> + Clone,
        limit: BlockLimit,
    ) {
        assert!(id > self.last_id, "ids grow");
        let added_len = items.clone().map(<[u8]>::len).sum();
        if self.tail.as_ref().is_none_or(|tail| tail.is_full(added_len, limit)) {
            self.begin_block(Block::new(id, field_count, items.clone()));
        }
        let tail = self.tail.as_mut().expect("a block has been begun if there was none");
        let before = tail.heap_size();
        tail.push(id, field_count, items);
        self.heap_size = self.heap_size + tail.heap_size() - before;
        self.len += 1;
        self.added_count += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
    }

    /// Adds a block as a whole, whose ids must be above all others: `false`, and nothing is changed, if they are not.
    pub fn push_block(&mut self, block: Block) -> bool {
        if self.tail.as_ref().is_some_and(|tail| block.first() <= tail.last()) {
            return false;
        }
        self.len += block.live_count();
        self.added_count += block.live_count() as u64;
        self.last_id = block.last();
        self.begin_block(block);
        self.find_first_id();
        true
    }

    fn begin_block(&mut self, block: Block) {
        if let Some(mut full) = self.tail.take() {
            self.heap_size -= full.heap_size();
            full.seal();
            self.heap_size += full.heap_size();
            self.sealed.insert(full.first(), full);
        }
        self.radix_node_count += self.radix_nodes_of(block.first());
        self.heap_size += block.heap_size();
        self.tail = Some(block);
    }

    /// How many nodes of the radix tree belong to the block `first` alone, which is not there now.
    fn radix_nodes_of(&self, first: StreamId) -> usize {
        let tail = self.tail.as_ref().map(Block::first);
        let before = self.sealed.range(..first).next_back().map(|(id, _)| *id);
        let behind = self.sealed.range(first..).next().map(|(id, _)| *id);
        let before = tail.filter(|tail| *tail < first).or(before);
        let behind = behind.or(tail.filter(|tail| *tail > first));
        radix::added_by(first, [before, behind], |from, to| {
            tail.is_some_and(|tail| (from..=to).contains(&tail))
                || self.sealed.range(from..=to).next().is_some()
        })
    }

    /// Takes out the block whose first entry has this id.
    fn remove_block(&mut self, first: StreamId) {
        let is_tail = self.tail.as_ref().is_some_and(|tail| tail.first() == first);
        let block = if is_tail { self.tail.take() } else { self.sealed.remove(&first) };
        if self.sealed.is_empty() {
            // A tree that was emptied keeps a node.
            self.sealed = BTreeMap::new();
        }
        let block = block.expect("the caller has found it");
        self.len -= block.live_count();
        self.heap_size -= block.heap_size();
        self.radix_node_count -= self.radix_nodes_of(first);
    }

    fn first_block(&self) -> Option<&Block> {
        self.sealed.first_key_value().map(|(_, block)| block).or(self.tail.as_ref())
    }

    /// The block where an entry with this id is, if there is one.
    fn block_at(&self, id: StreamId) -> Option<&Block> {
        let tail = self.tail.as_ref().filter(|tail| tail.first() <= id);
        let block =
            tail.or_else(|| self.sealed.range(..=id).next_back().map(|(_, block)| block))?;
        (id <= block.last()).then_some(block)
    }

    fn block_mut(&mut self, first: StreamId) -> &mut Block {
        let tail = self.tail.as_mut().filter(|tail| tail.first() == first);
        tail.or_else(|| self.sealed.get_mut(&first)).expect("the caller has found it")
    }

    /// Whether there is an entry with this id. Cost: O(log blocks + entries of a block).
    #[must_use]
    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// The entry with this id. Cost: as [`Entries::contains`].
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.slot(id).map(Slot::entry)
    }

    fn slot(&self, id: StreamId) -> Option<Slot<'_>> {
        let slot = self.block_at(id)?.slots().find(|slot| slot.id >= id)?;
        (slot.id == id && !slot.is_deleted).then_some(slot)
    }

    /// Deletes the entries with these ids, as XDEL does; returns how many there were.
    pub fn delete(&mut self, ids: &[StreamId]) -> usize {
        let mut deleted_count = 0;
        let mut is_first_gone = false;
        for &id in ids {
            let Some(head_offset) = self.slot(id).map(|slot| slot.head_offset) else { continue };
            let first = self.block_at(id).expect("its entry was found").first();
            let block = self.block_mut(first);
            if block.live_count() == 1 {
                self.remove_block(first);
            } else {
                block.delete(head_offset);
                self.len -= 1;
            }
            is_first_gone |= id == self.first_id;
            self.max_deleted_id = self.max_deleted_id.max(id);
            deleted_count += 1;
        }
        if deleted_count > 0 && (self.is_empty() || is_first_gone) {
            self.find_first_id();
        }
        deleted_count
    }

    /// Removes entries from the front; returns how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut deleted_count = 0;
        while let Some(block) = self.first_block() {
            let (first, live_count) = (block.first(), block.live_count() as u64);
            if matches!(trim.threshold, Threshold::Len(len) if self.len as u64 <= len) {
                break;
            }
            if trim.limit > 0 && deleted_count + live_count > trim.limit {
                break;
            }
            let is_whole = match trim.threshold {
                Threshold::Len(len) => self.len as u64 - live_count >= len,
                Threshold::Id(id) => block.last() < id,
            };
            if is_whole {
                self.remove_block(first);
                deleted_count += live_count;
                continue;
            }
            if !trim.is_approximate {
                deleted_count += self.trim_inside(first, trim.threshold) as u64;
            }
            break;
        }
        if deleted_count > 0 {
            self.find_first_id();
        }
        deleted_count
    }

    /// Deletes entries at the front of a block that stays.
    fn trim_inside(&mut self, first: StreamId, threshold: Threshold) -> usize {
        let len = self.len as u64;
        let deleted_count = match threshold {
            Threshold::Len(max) => self.block_mut(first).delete_first((len - max) as usize),
            Threshold::Id(id) => self.block_mut(first).delete_below(id),
        };
        self.len -= deleted_count;
        deleted_count
    }

    fn find_first_id(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next();
        self.first_id = first.map_or(StreamId::MIN, |entry| entry.id);
    }

    /// The id of the first entry that is still held, even if it is deleted; `None` if there is no block.
    #[must_use]
    pub fn first_held_id(&self) -> Option<StreamId> {
        self.first_block().map(Block::first)
    }

    /// The id of the last entry. Cost: O(1), unless the last block has deleted entries.
    #[must_use]
    pub fn last_live_id(&self) -> Option<StreamId> {
        match &self.tail {
            Some(tail) if tail.deleted_count() == 0 => Some(tail.last()),
            _ => self.range_back(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id),
        }
    }

    /// The entries from `start` to `end`, both included. Cost: O(log blocks + entries of a block), then O(1) each.
    #[must_use]
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range { blocks: self.blocks(start, end), slots: None, start, end }
    }

    /// The same entries, the last one first.
    #[must_use]
    pub fn range_back(&self, start: StreamId, end: StreamId) -> RangeBack<'_> {
        RangeBack { blocks: self.blocks(start, end), slots: Vec::new(), start, end }
    }

    /// The blocks that may have entries from `start` to `end`, both included.
    #[must_use]
    pub fn blocks(&self, start: StreamId, end: StreamId) -> Blocks<'_> {
        if start > end {
            return Blocks { sealed: self.sealed.range(end..end), tail: None };
        }
        let from = match &self.tail {
            Some(tail) if tail.first() <= start => start,
            _ => self.sealed.range(..=start).next_back().map_or(start, |(first, _)| *first),
        };
        let tail = self.tail.as_ref().filter(|tail| tail.first() <= end);
        Blocks { sealed: self.sealed.range(from..=end), tail }
    }

    /// Whether an entry from `start` on may have been deleted by XDEL: only the greatest such id is known.
    #[must_use]
    pub fn may_have_gaps_from(&self, start: StreamId) -> bool {
        !self.is_empty()
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to the one with this id; `None` if that cannot be told.
    #[must_use]
    pub fn added_up_to(&self, id: StreamId) -> Option<u64> {
        if self.added_count == 0 {
            return Some(0);
        }
        if id == self.last_id || (self.is_empty() && id < self.last_id) {
            return Some(self.added_count);
        }
        let has_gaps = self.max_deleted_id != StreamId::MIN && self.max_deleted_id >= self.first_id;
        if id > self.last_id || has_gaps || id > self.first_id {
            return None;
        }
        let before_first = self.added_count.wrapping_sub(self.len as u64);
        Some(before_first.wrapping_add(u64::from(id == self.first_id)))
    }

    /// Drops blocks with about `budget` entries; says whether some are left. For a stream that is going.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let mut freed_count = 0;
        while freed_count < budget {
            let freed =
                self.sealed.pop_first().map(|(_, block)| block).or_else(|| self.tail.take());
            let Some(block) = freed else { return false };
            freed_count += block.live_count() + block.deleted_count();
        }
        self.first_block().is_some()
    }

    /// Panics unless what is counted agrees with the blocks.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let blocks: Vec<_> = self.blocks(StreamId::MIN, StreamId::MAX).collect();
        blocks.iter().for_each(|block| block.check_invariants());
        assert!(blocks.is_sorted_by(|a, b| a.last() < b.first()));
        assert_eq!(blocks.iter().map(|block| block.live_count()).sum::<usize>(), self.len());
        let heap_size: usize = blocks.iter().map(|block| block.heap_size()).sum();
        assert_eq!(heap_size, self.heap_size);
        assert!(blocks.last().is_none_or(|block| block.last() <= self.last_id));
    }
}

/// A copy has no unused room.
impl Clone for Entries {
    fn clone(&self) -> Self {
        let mut copy = Entries { sealed: self.sealed.clone(), tail: self.tail.clone(), ..*self };
        copy.heap_size = copy.blocks(StreamId::MIN, StreamId::MAX).map(Block::heap_size).sum();
        copy
    }
}

/// The same entries and figures, however they lie in blocks.
impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        let figures = |entries: &Entries| {
            let Entries { len, last_id, max_deleted_id, added_count, .. } = *entries;
            (len, last_id, max_deleted_id, added_count)
        };
        figures(self) == figures(other)
            && self
                .range(StreamId::MIN, StreamId::MAX)
                .eq(other.range(StreamId::MIN, StreamId::MAX))
    }
}

/// Blocks in order, from either end.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    sealed: btree_map::Range<'a, StreamId, Block>,
    tail: Option<&'a Block>,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a Block;

    fn next(&mut self) -> Option<&'a Block> {
        self.sealed.next().map(|(_, block)| block).or_else(|| self.tail.take())
    }
}

impl<'a> DoubleEndedIterator for Blocks<'a> {
    fn next_back(&mut self) -> Option<&'a Block> {
        self.tail.take().or_else(|| self.sealed.next_back().map(|(_, block)| block))
    }
}

/// Entries of a range, the first one first.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    blocks: Blocks<'a>,
    slots: Option<Slots<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            for slot in self.slots.iter_mut().flatten() {
                if slot.id > self.end {
                    break;
                }
                if slot.id >= self.start && !slot.is_deleted {
                    return Some(slot.entry());
                }
            }
            let block = self.blocks.next()?;
            self.slots = (block.last() >= self.start).then(|| block.slots());
        }
    }
}

/// Entries of a range, the last one first.
#[derive(Clone, Debug)]
pub struct RangeBack<'a> {
    blocks: Blocks<'a>,
    /// Those of a block that are still to come, in order.
    slots: Vec<Slot<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(slot) = self.slots.pop() {
                return Some(slot.entry());
            }
            let block = self.blocks.next_back()?;
            let (start, end) = (self.start, self.end);
            let wanted = |slot: &Slot<'_>| (start..=end).contains(&slot.id) && !slot.is_deleted;
            self.slots.extend(block.slots().filter(wanted));
        }
    }
}
