//! Consumer groups: how far a group has read, its consumers, and the entries they have not acknowledged.
//!
//! Path: `types::stream` -> here.
//! Invariant: a pending entry belongs to one consumer of its group, and stands in that consumer's list too.

use super::id::StreamId;
use crate::memory::{block_size, tree_size};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut, RangeInclusive};
use std::sync::Arc;

/// A consumer of a group, good until the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// One delivery that has not been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who has it.
    pub consumer: ConsumerId,
    /// When it was last delivered, in milliseconds since 1970.
    pub delivered_at_ms: i64,
    /// How often it was delivered.
    pub delivery_count: i64,
}

/// One consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    name: Arc<[u8]>,
    /// When it last tried to read or claim, in milliseconds since 1970.
    pub seen_at_ms: i64,
    /// When it last got something, in milliseconds since 1970; -1 for never.
    pub active_at_ms: i64,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries it has not acknowledged.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of what it has not acknowledged.
    fn pending_size(&self) -> usize {
        tree_size(self.pending.len(), size_of::<StreamId>())
    }

    /// The ids of entries in a range that it has not acknowledged, in order.
    pub fn pending(&self, ids: RangeInclusive<StreamId>) -> impl Iterator<Item = StreamId> + '_ {
        let is_range = ids.start() <= ids.end();
        is_range.then(|| self.pending.range(ids).copied()).into_iter().flatten()
    }
}

/// One group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The id of the last entry that it has delivered.
    pub last_id: StreamId,
    /// How many entries of the stream it has passed, if that is known.
    pub entries_read: Option<i64>,
    pending: BTreeMap<StreamId, Pending>,
    /// By number.
    consumers: Vec<Option<Consumer>>,
    /// Numbers of removed consumers.
    free: Vec<ConsumerId>,
    by_name: BTreeMap<Arc<[u8]>, ConsumerId>,
    /// Bytes of the consumers' names, and of what they have not acknowledged.
    consumers_size: usize,
}

/// Bytes of a consumer's name.
fn name_size(name: &[u8]) -> usize {
    const COUNTS: usize = 2 * size_of::<usize>();
    block_size((COUNTS + name.len()).next_multiple_of(size_of::<usize>()))
}

impl Group {
    /// The consumer `name`.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).copied()
    }

    /// A consumer.
    #[must_use]
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect("an id of a consumer that is there")
    }

    /// A consumer, to change its times.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect("an id of a consumer that is there")
    }

    /// All consumers in the order of their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.by_name.values().map(|id| self.consumer(*id))
    }

    /// Adds a consumer, whose name must be new, seen now and never active.
    pub fn add_consumer(&mut self, name: &[u8], now_ms: i64) -> ConsumerId {
        assert!(!self.by_name.contains_key(name), "the name is new");
        let name: Arc<[u8]> = name.into();
        let id = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.consumers.len());
            self.consumers.push(None);
            ConsumerId(index.expect("fewer consumers than bytes of memory"))
        });
        self.consumers_size += name_size(&name);
        self.by_name.insert(Arc::clone(&name), id);
        let consumer =
            Consumer { name, seen_at_ms: now_ms, active_at_ms: -1, pending: BTreeSet::new() };
        self.consumers[id.0 as usize] = Some(consumer);
        id
    }

    /// Removes a consumer with its pending entries; returns how many these were.
    pub fn remove_consumer(&mut self, id: ConsumerId) -> usize {
        let consumer = self.consumers[id.0 as usize].take();
        let consumer = consumer.expect("an id of a consumer that is there");
        self.free.push(id);
        self.by_name.remove(&consumer.name);
        self.consumers_size -= name_size(&consumer.name) + consumer.pending_size();
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        self.drop_empty_tree();
        consumer.pending.len()
    }

    /// How many entries nobody has acknowledged.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// The delivery of one entry that nobody has acknowledged.
    #[must_use]
    pub fn pending_at(&self, id: StreamId) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// Deliveries of the entries in a range that nobody has acknowledged, in order.
    pub fn pending(
        &self,
        ids: RangeInclusive<StreamId>,
    ) -> impl DoubleEndedIterator<Item = (StreamId, Pending)> + '_ {
        let is_range = ids.start() <= ids.end();
        let found = is_range.then(|| self.pending.range(ids)).into_iter().flatten();
        found.map(|(id, pending)| (*id, *pending))
    }

    /// The first delivery from `start` on.
    #[must_use]
    pub fn next_pending(&self, start: StreamId) -> Option<(StreamId, Pending)> {
        self.pending.range(start..).next().map(|(id, pending)| (*id, *pending))
    }

    /// Notes a delivery, whoever had the entry before.
    pub fn deliver(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        if before.is_some_and(|before| before.consumer == pending.consumer) {
            return;
        }
        if let Some(before) = before {
            self.change_pending(before.consumer, |ids| ids.remove(&id));
        }
        self.change_pending(pending.consumer, |ids| ids.insert(id));
    }

    /// Changes what a consumer has not acknowledged, and counts its bytes.
    fn change_pending(
        &mut self,
        id: ConsumerId,
        change: impl FnOnce(&mut BTreeSet<StreamId>) -> bool,
    ) {
        let consumer = self.consumer_mut(id);
        let before = consumer.pending_size();
        change(&mut consumer.pending);
        if consumer.pending.is_empty() {
            // A tree that was emptied keeps a node.
            consumer.pending = BTreeSet::new();
        }
        let after = consumer.pending_size();
        self.consumers_size = self.consumers_size + after - before;
    }

    fn drop_empty_tree(&mut self) {
        if self.pending.is_empty() {
            // As above.
            self.pending = BTreeMap::new();
        }
    }

    /// Forgets the delivery of an entry; says whether there was one.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.change_pending(pending.consumer, |ids| ids.remove(&id));
        self.drop_empty_tree();
        true
    }

    /// About the bytes of heap it holds.
    fn heap_size(&self) -> usize {
        tree_size(self.pending.len(), size_of::<(StreamId, Pending)>())
            + block_size(self.consumers.capacity() * size_of::<Option<Consumer>>())
            + block_size(self.free.capacity() * size_of::<ConsumerId>())
            + tree_size(self.by_name.len(), size_of::<Arc<[u8]>>() + size_of::<ConsumerId>())
            + self.consumers_size
    }

    /// Drops about `budget` pending entries or consumers; says whether some are left. For a group that is going.
    fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if self.pending.pop_first().is_none() {
                break;
            }
        }
        let mut freed_count = 0;
        while let Some(Some(consumer)) = self.consumers.last_mut() {
            while freed_count < budget && consumer.pending.pop_first().is_some() {
                freed_count += 1;
            }
            if freed_count >= budget {
                break;
            }
            freed_count += 1;
            self.consumers.pop();
        }
        let is_done = self.pending.is_empty() && freed_count < budget;
        if is_done {
            // Only names are left, and slots of removed consumers.
            self.consumers.clear();
        }
        !is_done
    }

    /// Panics unless consumers and group agree on what is pending.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let by_consumer: usize = self.consumers().map(Consumer::pending_count).sum();
        assert_eq!(by_consumer, self.pending.len());
        for (id, pending) in &self.pending {
            assert!(self.consumer(pending.consumer).pending.contains(id));
        }
        assert_eq!(self.consumers.iter().flatten().count(), self.by_name.len());
        let sizes = self.consumers().map(|one| name_size(&one.name) + one.pending_size());
        assert_eq!(sizes.sum::<usize>(), self.consumers_size);
    }
}

/// The same to a client, however consumers are numbered.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        let deliveries = |group: &Group| -> Vec<_> {
            let all = group.pending.iter();
            all.map(|(id, p)| (*id, p.delivered_at_ms, p.delivery_count)).collect()
        };
        self.last_id == other.last_id
            && self.entries_read == other.entries_read
            && self.consumers().eq(other.consumers())
            && deliveries(self) == deliveries(other)
    }
}

/// The groups of a stream by name.
#[derive(Debug, Default)]
pub struct Groups {
    by_name: BTreeMap<Box<[u8]>, Group>,
    /// Bytes of heap of names and groups.
    heap_size: usize,
}

impl Clone for Groups {
    fn clone(&self) -> Self {
        let by_name = self.by_name.clone();
        // Copies have no room to spare, so they may be smaller.
        let sizes = by_name.iter().map(|(name, group)| block_size(name.len()) + group.heap_size());
        Groups { heap_size: sizes.sum(), by_name }
    }
}

impl Groups {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All groups with their names, in the order of these.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, group))
    }

    /// The group `name`.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }

    /// The group `name`, to change it.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<GroupMut<'_>> {
        let group = self.by_name.get_mut(name)?;
        let size_before = group.heap_size();
        Some(GroupMut { group, size_before, total: &mut self.heap_size })
    }

    /// Adds a group; `false`, and nothing is changed, if there is one of this name.
    pub fn add(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<i64>) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        self.heap_size += block_size(name.len());
        self.by_name.insert(name.into(), Group { last_id, entries_read, ..Group::default() });
        true
    }

    /// Removes a group with all it has; says whether there was one.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.by_name.remove(name) else { return false };
        self.heap_size -= block_size(name.len()) + group.heap_size();
        if self.by_name.is_empty() {
            self.by_name = BTreeMap::new();
        }
        true
    }

    /// About the bytes of heap all of them hold. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.heap_size + tree_size(self.by_name.len(), size_of::<(Box<[u8]>, Group)>())
    }

    /// As [`Group::free_some`], for all groups.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let Some(mut group) = self.by_name.first_entry() else { return false };
        if !group.get_mut().free_some(budget) {
            group.remove();
        }
        !self.by_name.is_empty()
    }

    /// Panics unless what is counted agrees with the groups.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        self.by_name.values().for_each(Group::check_invariants);
        let sizes = self.iter().map(|(name, group)| block_size(name.len()) + group.heap_size());
        assert_eq!(sizes.sum::<usize>(), self.heap_size);
    }
}

impl PartialEq for Groups {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

/// A group that may be changed; what it holds is counted again when this goes.
#[derive(Debug)]
pub struct GroupMut<'a> {
    group: &'a mut Group,
    size_before: usize,
    total: &'a mut usize,
}

impl Deref for GroupMut<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for GroupMut<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for GroupMut<'_> {
    fn drop(&mut self) {
        *self.total = *self.total + self.group.heap_size() - self.size_before;
    }
}
