//! Streams as RDB bytes: their blocks as listpacks, what they count, and their groups.
//!
//! ```text
//! count of blocks, each: its first id (16 bytes be, as a string), its listpack (as a string)
//! length, last id, first id, greatest deleted id, count of entries ever added    first id on: not in the oldest form
//! count of groups, each:
//!     name, last id, entries read                                                not in the oldest form
//!     count of pending entries, each: id (16 bytes be), time of delivery, count of deliveries
//!     count of consumers, each:
//!         name, time seen, time active                                           time active: only in the newest form
//!         count of its pending entries, their ids
//! ```
//! A listpack holds: count of live entries, count of deleted ones, count of shared fields, these, 0; then each entry:
//! flags, id (as milliseconds and sequence number beyond the first id), own fields and values, count of its elements.

use crate::types::stream::block::Block;
use crate::types::stream::{Group, Pending, Stream, StreamId, Text};
use crate::value::{Typed, Value};
use persistence::rdb::listpack::{Builder, Listpack};
use persistence::rdb::{Element, RdbError, Reader, ValueType, Writer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Flag of an entry: it is deleted.
const DELETED: i64 = 1;
/// Flag of an entry: it has the shared fields.
const SHARED_FIELDS: i64 = 2;
/// Entries read of a group where that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Writes a stream in the newest form.
pub(super) fn save(stream: &Stream, writer: &mut Writer<'_>) {
    let entries = &stream.entries;
    writer.length(entries.block_count() as u64);
    for block in entries.blocks(StreamId::MIN, StreamId::MAX) {
        writer.string(&raw_id(block.first()));
        writer.string(&listpack_of(block));
    }
    writer.length(entries.len() as u64);
    for id in [entries.last_id(), entries.first_id(), entries.max_deleted_id()] {
        save_id(id, writer);
    }
    writer.length(entries.added_count());
    writer.length(stream.groups.len() as u64);
    for (name, group) in stream.groups.iter() {
        writer.string(name);
        save_id(group.last_id, writer);
        writer.length(group.entries_read.map_or(UNKNOWN, |count| count as u64));
        save_group(group, writer);
    }
}

fn save_group(group: &Group, writer: &mut Writer<'_>) {
    writer.length(group.pending_count() as u64);
    for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX) {
        writer.bytes(&raw_id(id));
        writer.milliseconds(pending.delivered_at_ms);
        writer.length(pending.delivery_count as u64);
    }
    writer.length(group.consumers().len() as u64);
    for consumer in group.consumers() {
        writer.string(consumer.name());
        writer.milliseconds(consumer.seen_at_ms);
        writer.milliseconds(consumer.active_at_ms);
        writer.length(consumer.pending_count() as u64);
        for id in consumer.pending(StreamId::MIN..=StreamId::MAX) {
            writer.bytes(&raw_id(id));
        }
    }
}

fn save_id(id: StreamId, writer: &mut Writer<'_>) {
    writer.length(id.ms);
    writer.length(id.seq);
}

fn raw_id(id: StreamId) -> [u8; 16] {
    let mut raw = [0; 16];
    raw[..8].copy_from_slice(&id.ms.to_be_bytes());
    raw[8..].copy_from_slice(&id.seq.to_be_bytes());
    raw
}

fn listpack_of(block: &Block) -> Vec<u8> {
    let mut builder = Builder::default();
    let push = |builder: &mut Builder, text: Text<'_>| match text {
        Text::Bytes(bytes) => builder.push(bytes),
        Text::Integer(integer) => builder.push_integer(integer),
        Text::Decimal(_) => text.with_bytes(|bytes| builder.push(bytes)),
    };
    builder.push_integer(block.live_count() as i64);
    builder.push_integer(block.deleted_count() as i64);
    builder.push_integer(block.shared_fields().len() as i64);
    block.shared_fields().for_each(|field| push(&mut builder, field));
    builder.push_integer(0);
    let first = block.first();
    for (entry, is_deleted) in block.all_entries() {
        let pairs = entry.pairs();
        let count = pairs.len() as i64;
        let is_shared = !entry.has_own_fields();
        let flags = i64::from(is_deleted) * DELETED + i64::from(is_shared) * SHARED_FIELDS;
        builder.push_integer(flags);
        builder.push_integer(entry.id.ms.wrapping_sub(first.ms) as i64);
        builder.push_integer(entry.id.seq.wrapping_sub(first.seq) as i64);
        if !is_shared {
            builder.push_integer(count);
        }
        for (field, value) in pairs {
            if !is_shared {
                push(&mut builder, field);
            }
            push(&mut builder, value);
        }
        builder.push_integer(if is_shared { count + 3 } else { 2 * count + 4 });
    }
    builder.finish()
}

/// Reads a stream of any form.
pub(super) fn load(value_type: ValueType, reader: &mut Reader<'_>) -> Result<Value, RdbError> {
    let is_oldest = value_type == ValueType::Stream;
    let mut stream = Stream::default();
    for _ in 0..reader.count()? {
        let first = reader.string()?;
        let first = first.as_ref().try_into().map_err(|_| reader.damaged("no id of a block"))?;
        let bytes = reader.string()?;
        let block = load_block(id_of(first), &bytes).ok_or(reader.damaged("no block"))?;
        if !stream.entries.push_block(block) {
            return Err(reader.damaged("blocks out of order"));
        }
    }
    if reader.length()? != stream.entries.len() as u64 {
        return Err(reader.damaged("a wrong number of entries"));
    }
    let last_id = load_id(reader)?;
    if last_id < stream.entries.last_id() {
        return Err(reader.damaged("a last id before the last entry"));
    }
    if is_oldest {
        stream.entries.set_figures(last_id, None, None);
    } else {
        let _first_id = load_id(reader)?;
        let max_deleted_id = load_id(reader)?;
        let added_count = reader.length()?;
        stream.entries.set_figures(last_id, Some(added_count), Some(max_deleted_id));
    }
    for _ in 0..reader.count()? {
        load_group(&mut stream, value_type, reader)?;
    }
    Ok(stream.into_value())
}

fn load_id(reader: &mut Reader<'_>) -> Result<StreamId, RdbError> {
    Ok(StreamId::new(reader.length()?, reader.length()?))
}

fn id_of(raw: [u8; 16]) -> StreamId {
    let bits = u128::from_be_bytes(raw);
    StreamId::new((bits >> 64) as u64, bits as u64)
}

/// The elements of a listpack, one by one.
struct Elements<I>(I);

impl<'a, I: Iterator<Item = Element<'a>>> Elements<I> {
    fn integer(&mut self) -> Option<i64> {
        match self.0.next()? {
            Element::Integer(integer) => Some(integer),
            Element::Text(_) => None,
        }
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }

    /// `count` texts. Nothing is allocated for more than there are.
    fn texts(&mut self, count: usize) -> Option<Vec<Cow<'a, [u8]>>> {
        (0..count).map(|_| Some(self.0.next()?.to_text())).collect()
    }
}

/// A block from its listpack; `None` if that is damaged.
fn load_block(first: StreamId, bytes: &[u8]) -> Option<Block> {
    let listpack = Listpack::parse(bytes)?;
    let mut elements = Elements(listpack.iter());
    let (live_count, deleted_count) = (elements.count()?, elements.count()?);
    let shared_count = elements.count()?;
    let shared = elements.texts(shared_count)?;
    if elements.integer()? != 0 {
        return None;
    }
    // The block takes fields with their values; here there are no values yet.
    let with_values = shared.iter().flat_map(|field| [&**field, b"".as_slice()]);
    let mut block = Block::new(first, shared_count, with_values);
    let entry_count = live_count.checked_add(deleted_count)?;
    for index in 0..entry_count {
        let flags = elements.integer()?;
        let ms = first.ms.checked_add_signed(elements.integer()?)?;
        let id = StreamId::new(ms, first.seq.wrapping_add(elements.integer()? as u64));
        if id < first || (index > 0 && id <= block.last()) {
            return None;
        }
        let items = if flags & SHARED_FIELDS != 0 {
            let values = elements.texts(shared_count)?;
            let pairs = shared.iter().cloned().zip(values);
            pairs.flat_map(|(field, value)| [field, value]).collect()
        } else {
            let count = elements.count()?;
            elements.texts(count.checked_mul(2)?)?
        };
        elements.integer()?;
        let head = block.push(id, items.len() / 2, items.iter().map(|item| &**item));
        if flags & DELETED != 0 {
            block.delete(head);
        }
    }
    let is_whole = elements.0.next().is_none() && block.live_count() == live_count;
    (is_whole && entry_count > 0).then_some(block)
}

fn load_group(
    stream: &mut Stream,
    value_type: ValueType,
    reader: &mut Reader<'_>,
) -> Result<(), RdbError> {
    let name = reader.string()?;
    let last_id = load_id(reader)?;
    let entries_read = if value_type == ValueType::Stream {
        stream.entries.added_up_to(last_id).map(|count| count as i64)
    } else {
        i64::try_from(reader.length()?).ok()
    };
    if !stream.groups.add(&name, last_id, entries_read) {
        return Err(reader.damaged("a group stands twice"));
    }
    let mut group = stream.groups.get_mut(&name).expect("it has just been added");
    let mut pending = BTreeMap::new();
    for _ in 0..reader.count()? {
        let id = id_of(reader.array()?);
        let delivery = (reader.milliseconds()?, reader.length()? as i64);
        if pending.insert(id, delivery).is_some() {
            return Err(reader.damaged("a pending entry stands twice"));
        }
    }
    for _ in 0..reader.count()? {
        let name = reader.string()?;
        if group.find(&name).is_some() {
            return Err(reader.damaged("a consumer stands twice"));
        }
        let seen_at_ms = reader.milliseconds()?;
        let consumer = group.add_consumer(&name, seen_at_ms);
        group.consumer_mut(consumer).active_at_ms = match value_type {
            ValueType::Stream3 => reader.milliseconds()?,
            _ => seen_at_ms,
        };
        for _ in 0..reader.count()? {
            let id = id_of(reader.array()?);
            let delivery = pending.remove(&id);
            let (delivered_at_ms, delivery_count) =
                delivery.ok_or(reader.damaged("an entry pending for a consumer only"))?;
            group.deliver(id, Pending { consumer, delivered_at_ms, delivery_count });
        }
    }
    if pending.is_empty() { Ok(()) } else { Err(reader.damaged("an entry pending for nobody")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::types::rdb::{dump, restore};
    use crate::types::stream::{BlockLimit, Entries};
    use persistence::rdb::Compression;
    use persistence::rdb::payload::Checksum;

    fn some_stream() -> Stream {
        let mut stream = Stream::default();
        let limit = BlockLimit { size_max: 4096, entries_max: 3 };
        for ms in 1..=8 {
            let own = format!("field{}", ms % 4);
            let items = [own.as_bytes(), b"-12345", b"b", b"text"];
            stream.entries.push(StreamId::new(ms, 9 - ms), 2, items.into_iter(), limit);
        }
        stream.entries.delete(&[StreamId::new(1, 8), StreamId::new(5, 4)]);
        stream.groups.add(b"g", StreamId::new(3, 0), None);
        stream.groups.add(b"h", StreamId::new(8, 1), Some(8));
        let mut group = stream.groups.get_mut(b"g").unwrap();
        let [alice, bob] = [b"alice".as_slice(), b"bob"].map(|name| group.add_consumer(name, 77));
        group.consumer_mut(alice).active_at_ms = 78;
        for (ms, consumer) in [(1, alice), (2, bob), (3, alice)] {
            let pending = Pending { consumer, delivered_at_ms: 79, delivery_count: 2 };
            group.deliver(StreamId::new(ms, 9 - ms), pending);
        }
        drop(group);
        stream
    }

    fn back(payload: &[u8]) -> Stream {
        let value = restore(payload, Checksum::Checked, &Options::default()).unwrap();
        value.view().as_type::<Stream>().unwrap().clone()
    }

    #[test]
    fn a_stream_comes_back_with_its_blocks_and_groups() {
        for stream in [Stream::default(), some_stream()] {
            let payload = dump(stream.clone().into_value().view(), Compression::Lzf);
            let copy = back(&payload);
            assert_eq!(copy, stream);
            assert_eq!(copy.entries.block_count(), stream.entries.block_count());
            assert_eq!(copy.entries.first_id(), stream.entries.first_id());
            assert_eq!(copy.entries.radix_node_count(), stream.entries.radix_node_count());
            let sizes = |entries: &Entries| -> Vec<usize> {
                let blocks = entries.blocks(StreamId::MIN, StreamId::MAX);
                blocks
                    .map(|block| (block.listpack_size(), listpack_of(block).len()))
                    .map(|(a, b)| {
                        assert_eq!(a, b, "the size is reckoned as the listpack is written");
                        a
                    })
                    .collect()
            };
            assert_eq!(sizes(&copy.entries), sizes(&stream.entries));
        }
    }

    #[test]
    fn damage_is_found_and_never_panics() {
        let mut bytes = Vec::new();
        save(&some_stream(), &mut Writer::new(&mut bytes, Compression::Off));
        for at in 0..bytes.len() {
            assert!(load(ValueType::Stream3, &mut Reader::new(&bytes[..at])).is_err(), "{at}");
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                // Some changes give another stream; none may panic.
                let _ = load(ValueType::Stream3, &mut Reader::new(&damaged));
                let _ = load(ValueType::Stream2, &mut Reader::new(&damaged));
                let _ = load(ValueType::Stream, &mut Reader::new(&damaged));
            }
        }
    }
}
