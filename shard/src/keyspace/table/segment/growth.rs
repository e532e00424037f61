//! What moves the entries of a segment: splits and merges, packing the arena, rebuilding the index.

use super::{Segment, Tools};
use crate::keyspace::table::KeyHash;
use crate::keyspace::table::arena::Arena;
use crate::keyspace::table::index::{Index, SLOTS_MIN};
use crate::keyspace::table::record::{Record, RecordKey, RecordValue};
use crate::keyspace::table::work::Work;
use crate::memory::block_size;
use ahash::RandomState;

/// A value that an arena without room sends outside takes more bytes than this.
const TIGHT_SIZE_MAX: usize = 8;

impl Segment {
    /// Packs the records into a new arena, without holes. Long values go outside if `is_tight`, or if there is no room for
    /// them: records of different sizes may take more pages in another order.
    pub(super) fn pack(&mut self, is_tight: bool, work: &mut Work) {
        work.measure(self.len(), || {
            if is_tight || !self.pack_as_it_is() {
                self.pack_tightly();
            }
        });
    }

    /// Says whether the records could be packed; if not, nothing has happened.
    fn pack_as_it_is(&mut self) -> bool {
        let mut new = Arena::default();
        let mut offsets = Vec::with_capacity(self.len());
        for (slot, offset) in self.index.iter() {
            let record = Record::read(self.arena.bytes(offset));
            let Some(offset) = new.alloc_next(record.size()) else { return false };
            record.write(new.bytes_mut(offset));
            offsets.push((slot, offset));
        }
        offsets.into_iter().for_each(|(slot, offset)| self.index.set(slot, offset));
        new.finish();
        self.arena = new;
        true
    }

    fn pack_tightly(&mut self) {
        let old = std::mem::take(&mut self.arena);
        let mut new = Arena::default();
        for slot in 0..self.index.slot_count() {
            let Some(offset) = self.index.get(slot) else { continue };
            let mut record = Record::read(old.bytes(offset));
            record.value = self.tightened(record.value);
            let offset = new.alloc_next(record.size());
            let offset = offset.expect("some hundred entries fit when long values are outside");
            record.write(new.bytes_mut(offset));
            self.index.set(slot, offset);
        }
        new.finish();
        self.arena = new;
    }

    /// The same value, kept outside if it is long.
    pub(super) fn tightened<'a>(&mut self, value: RecordValue<'a>) -> RecordValue<'a> {
        match value.view() {
            Some(inside) if value.size() > TIGHT_SIZE_MAX => {
                RecordValue::Outside(self.put_outside(inside.to_value()))
            }
            _ => value,
        }
    }

    pub(super) fn tidy_arena(&mut self, work: &mut Work) {
        if self.arena.is_wasteful() {
            self.pack(false, work);
        }
    }

    /// Gives back memory if much is unused.
    pub(super) fn tidy(&mut self, tools: &mut Tools) {
        self.tidy_arena(&mut tools.work);
        let len = self.len();
        if self.slot_count() > SLOTS_MIN && len * 4 < self.index.room() {
            tools.work.measure(len, || self.rebuild_index(len + len / 2, &tools.hasher));
        }
    }

    /// Makes two segments of this one: the entries that `is_high` accepts go to the second.
    pub(in super::super) fn split(
        mut self,
        hasher: &RandomState,
        is_high: impl Fn(KeyHash) -> bool,
    ) -> (Segment, Segment) {
        let hashed = |(_, offset): (usize, u16)| (self.hash_at(offset, hasher), offset);
        let records: Vec<(KeyHash, u16)> = self.index.iter().map(hashed).collect();
        let high_count = records.iter().filter(|(hash, _)| is_high(*hash)).count();
        let mut low = Segment::with_room(records.len() - high_count);
        let mut high = Segment::with_room(high_count);
        for (hash, offset) in records {
            let half = if is_high(hash) { &mut high } else { &mut low };
            half.adopt(hash, offset, &mut self);
        }
        low.arena.finish();
        high.arena.finish();
        (low, high)
    }

    /// Takes all entries of `other` in.
    pub(in super::super) fn merge(&mut self, mut other: Segment, hasher: &RandomState) {
        let len = self.len() + other.len();
        if len > self.index.room() {
            self.rebuild_index(len, hasher);
        }
        for slot in 0..other.slot_count() {
            if let Some(offset) = other.index.get(slot) {
                let hash = other.hash_at(offset, hasher);
                self.adopt(hash, offset, &mut other);
            }
        }
        self.arena.finish();
    }

    /// Takes the record at `offset` of `other` in, which may not be read any more. There is room in the index.
    fn adopt(&mut self, hash: KeyHash, offset: u16, other: &mut Segment) {
        let Segment { arena, outside, outside_bytes, .. } = other;
        let mut record = Record::read(arena.bytes(offset));
        if let Some(from) = outside {
            if let RecordKey::Outside(id) = record.key {
                let key = from.keys.remove(id);
                *outside_bytes -= block_size(key.len());
                record.key = RecordKey::Outside(self.put_key_outside(key));
            }
            if let RecordValue::Outside(id) = record.value {
                let value = from.values.remove(id);
                *outside_bytes -= value.heap_size();
                record.value = RecordValue::Outside(self.put_outside(value));
            }
        }
        self.note_expiry(record.expire_at_ms);
        let new_offset = match self.arena.alloc_next(record.size()) {
            Some(new_offset) => {
                record.write(self.arena.bytes_mut(new_offset));
                new_offset
            }
            None => self.place(record, &mut Work::new(|| 0)),
        };
        self.index.insert(hash, new_offset);
    }

    pub(super) fn rebuild_index(&mut self, room: usize, hasher: &RandomState) {
        let mut index = Index::with_room(room);
        for (_, offset) in self.index.iter() {
            index.insert(self.hash_at(offset, hasher), offset);
        }
        self.index = index;
    }
}
