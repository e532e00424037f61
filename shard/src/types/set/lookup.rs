//! Looking many members up in one set, for commands over several.
//!
//! Path: `commands::set::algebra` -> here. A packed set is searched from end to end, so looking all members of one packed
//! set up in another would cost the product of their sizes: its members are put into an index first. That lives as long
//! as the command, and borrows the members.

use super::{Member, Set};
use crate::types::element::Element;
use crate::types::hash_index;
use crate::types::packed::{PackedRef, Spot};
use ahash::RandomState;
use std::collections::HashSet;

/// Different elements that lie elsewhere.
pub(super) type Elements<'a> = HashSet<Element<'a>, RandomState>;

/// An empty set of elements with room for `capacity`.
pub(super) fn elements_with_room<'a>(capacity: usize) -> Elements<'a> {
    HashSet::with_capacity_and_hasher(capacity, hash_index::hasher())
}

/// So few lookups, or lookups among so few members, cost less without an index. Source: measured, members of 11 bytes.
const SEARCHES_MAX: usize = 12;

/// A set in which many members are looked up.
#[derive(Debug)]
pub struct Lookup<'a> {
    set: &'a Set,
    /// The members of a packed set.
    index: Option<Index<'a>>,
}

impl<'a> Lookup<'a> {
    /// Gets ready for up to `count` lookups in `set`. Cost: O(n) for a packed set, else O(1).
    #[must_use]
    pub fn new(set: &'a Set, count: usize) -> Self {
        let packed = set.packed_members();
        let packed = packed.filter(|packed| count.min(packed.len()) > SEARCHES_MAX);
        Lookup { set, index: packed.map(Index::new) }
    }

    /// Whether `member` is in the set.
    #[must_use]
    pub fn has(&self, member: Member<'_>) -> bool {
        match &self.index {
            Some(index) => index.has(member.element()),
            None => self.set.has(member),
        }
    }
}

/// Where the elements of a packed run lie, by hash. A set of the standard library would copy them and compare them with
/// each other, which such sets are too small to make up for.
#[derive(Debug)]
struct Index<'a> {
    packed: PackedRef<'a>,
    /// A power of two of them, at most half of which are taken. An element stands in the slot that its hash names, or in
    /// the next one that was free.
    slots: Vec<Slot>,
    hasher: RandomState,
}

/// The upper half of a hash, and where its element begins, counted from 1; 0 if there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    start: u32,
}

impl<'a> Index<'a> {
    fn new(packed: PackedRef<'a>) -> Self {
        let slots = vec![Slot::default(); (2 * packed.len()).next_power_of_two()];
        let mut index = Index { packed, slots, hasher: hash_index::hasher() };
        for (spot, element) in packed.spots() {
            let (hash, mut at) = index.home(element);
            while index.slots[at].start != 0 {
                at = index.after(at);
            }
            index.slots[at] = Slot { hash, start: spot.offset() + 1 };
        }
        index
    }

    fn has(&self, element: Element<'_>) -> bool {
        let (hash, mut at) = self.home(element);
        while let Slot { hash: found, start: start @ 1.. } = self.slots[at] {
            if found == hash && self.packed.is_at(Spot::from_offset(start - 1), element) {
                return true;
            }
            at = self.after(at);
        }
        false
    }

    /// The hash that is kept of an element, and the slot it should stand in.
    fn home(&self, element: Element<'_>) -> (u32, usize) {
        let hash = self.hasher.hash_one(element);
        ((hash >> 32) as u32, hash as usize & (self.slots.len() - 1))
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}
