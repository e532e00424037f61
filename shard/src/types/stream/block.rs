//! A block: some dozens of entries in a row, packed into one allocation.
//!
//! Path: `types::stream::entries` -> here -> `types::stream::text`.
//! Layout: the fields of the first entry, which most entries share, then the entries. An entry is
//! `[size: varint][head: u8][id][own fields][values]`, where `size` counts what stands behind it. The head says how the
//! id follows from that of the entry before (in the first entry: from itself), whether the entry is deleted, and whether
//! its fields are those of the block; if not, `own fields` is their number, and each stands before its value.
//! Deleted entries stay where they are, marked, until the whole block goes, as in Redis: trimming with `~` drops whole
//! blocks, so blocks must end where Redis's nodes end. [`Block::listpack_size`] is what the node would take there.

use super::id::StreamId;
use super::text::{self, Reader, Text};
use crate::memory::{block_size, shrink};
use crate::types::element::Element;
use std::iter::FusedIterator;

/// A node of Redis is never larger, whatever `stream-node-max-bytes` says.
const LISTPACK_SIZE_MAX: usize = 1 << 30;
/// What a listpack takes besides its elements: length, count and end.
const LISTPACK_FRAME_SIZE: usize = 7;
/// What the flags of an entry take in a listpack.
const LISTPACK_FLAGS_SIZE: usize = 2;

/// Bit of a head: the entry is deleted.
const DELETED: u8 = 1;
/// Bit of a head: the entry has fields of its own.
const OWN_FIELDS: u8 = 2;
/// Bits of a head that say how the id follows.
const ID_FORM: u8 = 0b1100;
/// The same milliseconds, the next sequence number.
const NEXT: u8 = 0;
/// The same milliseconds, and a varint to add to the sequence number.
const SAME_MS: u8 = 0b0100;
/// A varint to add to the milliseconds; the sequence number is 0.
const LATER_MS: u8 = 0b1000;
/// A varint to add to the milliseconds, and the sequence number as a varint.
const LATER_MS_SEQ: u8 = 0b1100;

/// How large a block may get: `stream-node-max-bytes` and `stream-node-max-entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimit {
    /// Bytes; 0 for no limit but Redis's own.
    pub size_max: usize,
    /// Entries, deleted ones included; 0 for no limit.
    pub entries_max: usize,
}

/// Some entries in a row.
#[derive(Clone, Debug)]
pub struct Block {
    first: StreamId,
    last: StreamId,
    live_count: u32,
    deleted_count: u32,
    field_count: u32,
    /// Where the entries begin, behind the shared fields.
    entries_start: u32,
    /// What a listpack takes for all but the numbers of live and deleted entries.
    listpack_size: usize,
    bytes: Vec<u8>,
}

impl Block {
    /// A block whose first entry, not yet in it, will have this id and these fields.
    pub(crate) fn new<'a>(
        first: StreamId,
        field_count: usize,
        items: impl Iterator<Item = &'a [u8]>,
    ) -> Block {
        let mut bytes = Vec::new();
        let fields_size: usize = items.step_by(2).map(|field| text::push(&mut bytes, field)).sum();
        Block {
            first,
            last: first,
            live_count: 0,
            deleted_count: 0,
            field_count: count_u32(field_count),
            entries_start: count_u32(bytes.len()),
            listpack_size: LISTPACK_FRAME_SIZE
                + integer_size(field_count as i64)
                + fields_size
                + integer_size(0),
            bytes,
        }
    }

    /// The id of the first entry, even if that is deleted.
    #[must_use]
    pub fn first(&self) -> StreamId {
        self.first
    }

    /// The id of the last entry, even if that is deleted.
    #[must_use]
    pub fn last(&self) -> StreamId {
        self.last
    }

    /// How many entries there are, without deleted ones.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.live_count as usize
    }

    /// How many deleted entries are still in it.
    #[must_use]
    pub fn deleted_count(&self) -> usize {
        self.deleted_count as usize
    }

    /// Bytes of heap this holds.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        block_size(self.bytes.capacity())
    }

    /// What Redis's listpack of the same entries takes.
    #[must_use]
    pub fn listpack_size(&self) -> usize {
        self.listpack_size
            + integer_size(i64::from(self.live_count))
            + integer_size(i64::from(self.deleted_count))
    }

    /// Whether an entry of `added_len` bytes (its fields and values, as the client sent them) belongs into the next
    /// block.
    pub(super) fn is_full(&self, added_len: usize, limit: BlockLimit) -> bool {
        let size_max = match limit.size_max {
            0 => LISTPACK_SIZE_MAX,
            size_max => size_max.min(LISTPACK_SIZE_MAX),
        };
        let entry_count = self.live_count() + self.deleted_count();
        self.listpack_size() + added_len >= size_max
            || (limit.entries_max > 0 && entry_count >= limit.entries_max)
    }

    /// Adds an entry at the end; returns what [`Block::delete`] knows it by. Its id is above all others; `items` are its
    /// fields, each before its value.
    pub(crate) fn push<'a>(
        &mut self,
        id: StreamId,
        field_count: usize,
        items: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> usize {
        let has_own_fields = !self.has_fields(field_count, items.clone());
        let start = self.bytes.len();
        // Nearly always the size takes one byte.
        self.bytes.push(0);
        let mut listpack_size = self.push_id(id, has_own_fields);
        let mut part_count = 3 + field_count;
        if has_own_fields {
            part_count += 1 + field_count;
            text::push_varint(&mut self.bytes, field_count as u64);
            listpack_size += integer_size(field_count as i64);
        }
        for (index, item) in items.enumerate() {
            if has_own_fields || index % 2 == 1 {
                listpack_size += text::push(&mut self.bytes, item);
            }
        }
        listpack_size += integer_size(part_count as i64);
        let head_offset = self.write_size(start);
        self.last = id;
        self.live_count += 1;
        self.listpack_size += listpack_size;
        head_offset
    }

    /// Appends the head and the id; returns what flags and id take in a listpack.
    fn push_id(&mut self, id: StreamId, has_own_fields: bool) -> usize {
        let flags = if has_own_fields { OWN_FIELDS } else { 0 };
        let bytes = &mut self.bytes;
        let last = self.last;
        if id.ms != last.ms {
            bytes.push(flags | if id.seq == 0 { LATER_MS } else { LATER_MS_SEQ });
            text::push_varint(bytes, id.ms - last.ms);
            if id.seq != 0 {
                text::push_varint(bytes, id.seq);
            }
        } else if self.live_count + self.deleted_count > 0 && id.seq == last.seq + 1 {
            bytes.push(flags | NEXT);
        } else {
            bytes.push(flags | SAME_MS);
            text::push_varint(bytes, id.seq - last.seq);
        }
        LISTPACK_FLAGS_SIZE
            + integer_size(id.ms.wrapping_sub(self.first.ms) as i64)
            + integer_size(id.seq.wrapping_sub(self.first.seq) as i64)
    }

    /// Puts the size of the entry that fills the buffer from `start` on into the byte left for it there; returns where
    /// its head stands then.
    fn write_size(&mut self, start: usize) -> usize {
        let size = self.bytes.len() - start - 1;
        let more = text::varint_size(size as u64) - 1;
        if more == 0 {
            self.bytes[start] = size as u8;
            return start + 1;
        }
        let end = self.bytes.len();
        self.bytes.resize(end + more, 0);
        self.bytes.copy_within(start + 1..end, start + 1 + more);
        let mut digits = Vec::with_capacity(more + 1);
        text::push_varint(&mut digits, size as u64);
        self.bytes[start..=start + more].copy_from_slice(&digits);
        start + more + 1
    }

    /// Whether `items` have the shared fields.
    fn has_fields<'a>(&self, field_count: usize, items: impl Iterator<Item = &'a [u8]>) -> bool {
        if field_count != self.field_count as usize {
            return false;
        }
        let mut fields = self.fields();
        items.step_by(2).all(|field| fields.text().with_bytes(|shared| shared == field))
    }

    fn fields(&self) -> Reader<'_> {
        Reader { rest: &self.bytes[..self.entries_start as usize] }
    }

    /// The fields of the first entry, which others share.
    pub(crate) fn shared_fields(&self) -> impl ExactSizeIterator<Item = Text<'_>> {
        let mut fields = self.fields();
        (0..self.field_count).map(move |_| fields.text())
    }

    /// All entries in order, each with whether it is deleted.
    pub(crate) fn all_entries(&self) -> impl Iterator<Item = (Entry<'_>, bool)> {
        self.slots().map(|slot| (slot.entry(), slot.is_deleted))
    }

    /// All entries in order, deleted ones too.
    pub(super) fn slots(&self) -> Slots<'_> {
        let rest = Reader { rest: &self.bytes[self.entries_start as usize..] };
        Slots { block: self, rest, previous: self.first }
    }

    /// Marks the entry whose head stands at `head_offset` as deleted, which it is not yet.
    pub(crate) fn delete(&mut self, head_offset: usize) {
        assert!(self.bytes[head_offset] & DELETED == 0);
        self.bytes[head_offset] |= DELETED;
        self.live_count -= 1;
        self.deleted_count += 1;
    }

    /// Marks the first `count` live entries as deleted; returns how many.
    pub(super) fn delete_first(&mut self, count: usize) -> usize {
        let live = self.slots().filter(|slot| !slot.is_deleted);
        let offsets: Vec<usize> = live.take(count).map(|slot| slot.head_offset).collect();
        offsets.iter().for_each(|&offset| self.delete(offset));
        offsets.len()
    }

    /// Marks the live entries with ids below `id` as deleted; returns how many.
    pub(super) fn delete_below(&mut self, id: StreamId) -> usize {
        let below = self.slots().take_while(|slot| slot.id < id);
        let count = below.filter(|slot| !slot.is_deleted).count();
        self.delete_first(count)
    }

    /// Gives back unused room: nothing is added any more.
    pub(super) fn seal(&mut self) {
        if block_size(self.bytes.len()) < self.heap_size() {
            shrink(&mut self.bytes, 0);
        }
    }

    /// Panics unless counts and ids agree with the bytes.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let slots: Vec<_> = self.slots().collect();
        let live_count = slots.iter().filter(|slot| !slot.is_deleted).count();
        assert_eq!(live_count, self.live_count());
        assert_eq!(slots.len() - live_count, self.deleted_count());
        assert_eq!(slots.first().map(|slot| slot.id), Some(self.first));
        assert_eq!(slots.last().map(|slot| slot.id), Some(self.last));
        assert!(slots.is_sorted_by(|a, b| a.id < b.id));
    }
}

/// What an integer takes in a listpack.
fn integer_size(integer: i64) -> usize {
    Element::Integer(integer).listpack_size()
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).expect("an entry is smaller than 4 GiB")
}

/// One entry of a block, perhaps deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) id: StreamId,
    pub(super) is_deleted: bool,
    /// Where its head stands in the block.
    pub(super) head_offset: usize,
    entry: Entry<'a>,
}

impl<'a> Slot<'a> {
    /// The entry, whether deleted or not.
    pub(super) fn entry(self) -> Entry<'a> {
        self.entry
    }
}

/// All entries of a block in order.
#[derive(Clone, Debug)]
pub(super) struct Slots<'a> {
    block: &'a Block,
    rest: Reader<'a>,
    previous: StreamId,
}

impl<'a> Iterator for Slots<'a> {
    type Item = Slot<'a>;

    #[inline]
    fn next(&mut self) -> Option<Slot<'a>> {
        if self.rest.rest.is_empty() {
            return None;
        }
        let size = self.rest.varint() as usize;
        let head_offset = self.block.bytes.len() - self.rest.rest.len();
        let mut body = Reader { rest: self.rest.bytes(size) };
        let head = body.byte();
        let StreamId { ms, seq } = self.previous;
        let id = match head & ID_FORM {
            NEXT => StreamId { ms, seq: seq + 1 },
            SAME_MS => StreamId { ms, seq: seq + body.varint() },
            LATER_MS => StreamId { ms: ms + body.varint(), seq: 0 },
            _ => {
                let ms = ms + body.varint();
                StreamId { ms, seq: body.varint() }
            }
        };
        self.previous = id;
        let own_fields = head & OWN_FIELDS != 0;
        let entry = Entry { id, block: self.block, has_own_fields: own_fields, body };
        Some(Slot { id, is_deleted: head & DELETED != 0, head_offset, entry })
    }
}

impl FusedIterator for Slots<'_> {}

/// One entry of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    block: &'a Block,
    has_own_fields: bool,
    /// Behind the id: own fields and values.
    body: Reader<'a>,
}

impl<'a> Entry<'a> {
    /// Whether it has other fields than the first entry of its block.
    pub(crate) fn has_own_fields(self) -> bool {
        self.has_own_fields
    }

    /// Its fields with their values, in order.
    #[must_use]
    #[inline]
    pub fn pairs(self) -> Pairs<'a> {
        let mut body = self.body;
        if self.has_own_fields {
            let count = body.varint() as usize;
            return Pairs { count, shared_fields: None, body };
        }
        let count = self.block.field_count as usize;
        Pairs { count, shared_fields: Some(self.block.fields()), body }
    }
}

impl PartialEq for Entry<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.pairs().eq(other.pairs())
    }
}

/// Fields with their values.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    count: usize,
    shared_fields: Option<Reader<'a>>,
    body: Reader<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Text<'a>, Text<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let field = self.shared_fields.as_mut().unwrap_or(&mut self.body).text();
        Some((field, self.body.text()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId::new(ms, seq)
    }

    fn push(block: &mut Block, id: StreamId, items: &[&str]) {
        block.push(id, items.len() / 2, items.iter().map(|item| item.as_bytes()));
    }

    fn block(first: StreamId, items: &[&str]) -> Block {
        let mut block =
            Block::new(first, items.len() / 2, items.iter().map(|item| item.as_bytes()));
        push(&mut block, first, items);
        block
    }

    fn text(text: Text<'_>) -> String {
        text.with_bytes(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn print(block: &Block) -> Vec<String> {
        let slots = block.slots().filter(|slot| !slot.is_deleted);
        slots
            .map(|slot| {
                let pairs = slot.entry().pairs().map(|(f, v)| format!(" {}={}", text(f), text(v)));
                format!("{}-{}{}", slot.id.ms, slot.id.seq, pairs.collect::<String>())
            })
            .collect()
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let long = "x".repeat(200);
        let mut block = block(id(5, 3), &["a", "1", "b", "x"]);
        push(&mut block, id(5, 4), &["a", "-70000", "b", ""]);
        push(&mut block, id(5, 40), &["a", &long, "b", "y"]);
        push(&mut block, id(6, 0), &["c", "1"]);
        push(&mut block, id(900, 2), &["a", "1", "c", "2"]);
        push(&mut block, StreamId::MAX, &["a", "1", "b", "2"]);
        assert_eq!(
            print(&block),
            [
                "5-3 a=1 b=x".to_owned(),
                "5-4 a=-70000 b=".to_owned(),
                format!("5-40 a={long} b=y"),
                "6-0 c=1".to_owned(),
                "900-2 a=1 c=2".to_owned(),
                "18446744073709551615-18446744073709551615 a=1 b=2".to_owned(),
            ]
        );
        block.check_invariants();
        assert_eq!(block.delete_below(id(5, 40)), 2);
        block.check_invariants();
        assert_eq!(block.delete_first(1), 1);
        assert_eq!((block.live_count(), block.deleted_count()), (3, 3));
        assert_eq!(print(&block)[0], "6-0 c=1");
        assert_eq!((block.first(), block.last()), (id(5, 3), StreamId::MAX));
    }

    #[test]
    fn an_entry_with_shared_fields_costs_two_bytes_beside_its_values() {
        let mut block = block(id(5, 0), &["field", "value"]);
        let before = block.bytes.len();
        push(&mut block, id(5, 1), &["field", "value"]);
        assert_eq!(block.bytes.len() - before, 2 + 1 + 5);
        let before = block.bytes.len();
        push(&mut block, id(6, 0), &["field", "100"]);
        assert_eq!(block.bytes.len() - before, 3 + 1);
    }

    #[test]
    fn sizes_are_those_of_a_listpack() {
        // Frame 7, counts 2 and 2, number of fields 2, `a` 3, end of the master entry 2.
        let mut block = block(id(5, 0), &["a", "x"]);
        // Flags 2, id 2 and 2, `x` 3, number of parts 2.
        assert_eq!(block.listpack_size(), 18 + 11);
        push(&mut block, id(1005, 0), &["a", "1000"]);
        assert_eq!(block.listpack_size(), 29 + 2 + 3 + 2 + 3 + 2);
        push(&mut block, id(1005, 1), &["b", "x"]);
        // A number of fields, and the field itself.
        assert_eq!(block.listpack_size(), 41 + 2 + 3 + 2 + 2 + 3 + 3 + 2);
        let limit = |size_max, entries_max| BlockLimit { size_max, entries_max };
        assert!(!block.is_full(2, limit(61, 4)));
        assert!(block.is_full(3, limit(61, 4)));
        assert!(block.is_full(2, limit(61, 3)));
        assert!(!block.is_full(1 << 20, limit(0, 0)));
        assert!(block.is_full(1 << 30, limit(0, 0)));
    }
}
