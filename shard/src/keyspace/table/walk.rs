//! Looking at the table segment by segment: in hash order for SCAN, by lot for samples, in no order at all.

use super::{POSITION_BITS, Place, Position, Table};
use crate::keyspace::entry::EntryRef;
use crate::rng::Rng;

impl Table {
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
        if segment.len() == 0 || is_expiring && segment.expiring_count() == 0 {
            return None;
        }
        for _ in 0..DRAWS_MAX {
            let slot = rng.below(segment.slot_count());
            if !is_expiring || segment.is_expiring(slot) {
                let found = segment.key_and_entry(slot, Place { segment: index, slot });
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// The segment at `position`, which was drawn by lot, or `None` to have another drawn: the fewer entries a segment has
    /// for its share of hash order, the more often. So each entry of the table is as likely as any other (of those that
    /// expire if `is_expiring`), and a segment that has got too many loses them when keys leave by lot.
    pub(crate) fn draw_segment(
        &self,
        position: Position,
        is_expiring: bool,
        rng: &mut Rng,
    ) -> Option<usize> {
        let index = self.segment_at(position);
        let segment = self.segment(index);
        let (count, total) = match is_expiring {
            true => (segment.expiring_count(), self.expiring_count()),
            false => (segment.len(), self.len()),
        };
        let share = if self.is_deep(index) { 1 } else { 2 };
        let usual = total * share / (self.mask + 1);
        // One with twice as many as usual, or more, is always taken.
        (rng.below(2 * usual.max(1)) < count).then_some(index)
    }

    /// All keys and entries, segment by segment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], EntryRef<'_>)> {
        (0..self.segment_count).flat_map(|index| self.segment_entries(index))
    }

    /// The segment that holds `position`.
    pub(crate) fn segment_at(&self, position: Position) -> usize {
        self.choose_segment(reverse_position(position))
    }

    /// The first position behind segment `index`; `None` behind the last in hash order.
    pub(crate) fn position_after(&self, index: usize) -> Option<Position> {
        let depth = self.mask.count_ones() - u32::from(!self.is_deep(index));
        let first = (index as u64).reverse_bits() >> (64 - POSITION_BITS);
        // Depth 0 is a single segment, which spans everything; so does wrapping past the end.
        let after = first + (1 << (POSITION_BITS - depth));
        (after < 1 << POSITION_BITS).then_some(after)
    }

    /// Whether segment `index` has been split, or come of a split, in this round: its border lies one bit deeper then.
    fn is_deep(&self, index: usize) -> bool {
        let half = (self.mask >> 1) + 1;
        index >= half || index + half < self.segment_count
    }

    /// How many entries segment `index` has.
    pub(crate) fn segment_len(&self, index: usize) -> usize {
        self.segment(index).len()
    }

    /// The keys and entries of segment `index`.
    pub(crate) fn segment_entries(
        &self,
        index: usize,
    ) -> impl Iterator<Item = (&[u8], EntryRef<'_>)> {
        let segment = self.segment(index);
        (0..segment.slot_count())
            .filter_map(move |slot| segment.key_and_entry(slot, Place { segment: index, slot }))
    }

    /// Hands the slots of segment `index` that are taken to `found`, each with the position of its entry. Reads keys and
    /// nothing else.
    #[inline]
    pub(crate) fn for_each_position(&self, index: usize, mut found: impl FnMut(Position, usize)) {
        let segment = self.segment(index);
        segment.for_each_hash(&self.tools.hasher, |slot, hash| found(hash.position(), slot));
    }

    /// The key and entry in a slot of segment `index` that is taken.
    pub(crate) fn key_and_entry(&self, index: usize, slot: usize) -> (&[u8], EntryRef<'_>) {
        let found = self.segment(index).key_and_entry(slot, Place { segment: index, slot });
        found.expect("the slot is taken")
    }

    /// Lower bound of the expiries in segment `index`; `i64::MAX` if nothing there expires.
    pub(crate) fn soonest_ms(&self, index: usize) -> i64 {
        self.segment(index).soonest_ms()
    }

    /// The count of changes at the last change of segment `index`: whoever remembers [`Table::change_count`] sees by it
    /// what has changed since.
    pub(crate) fn segment_version(&self, index: usize) -> u64 {
        self.segment(index).version
    }
}

fn reverse_position(position: Position) -> usize {
    (position << (64 - POSITION_BITS)).reverse_bits() as usize
}
