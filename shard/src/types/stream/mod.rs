//! Streams: entries with growing ids, and groups of consumers that share them out.
//!
//! Path: `commands::stream` -> here -> [`entries`] (blocks of packed entries) and [`group`].
//! A stream may be without entries and still exist: its last id and its groups matter.

pub mod block;
pub mod entries;
pub mod group;
pub mod id;
mod radix;
mod text;

#[cfg(test)]
mod tests;

pub use block::{BlockLimit, Entry};
pub use entries::{Entries, Threshold, Trim};
pub use group::{Consumer, ConsumerId, Group, Groups, Pending};
pub use id::StreamId;
pub use text::Text;

use crate::options::Options;
use protocol::request::ArgvBuf;

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// What it holds.
    pub entries: Entries,
    /// Who reads it in turns.
    pub groups: Groups,
}

impl From<&Options> for BlockLimit {
    fn from(options: &Options) -> Self {
        BlockLimit {
            size_max: options.stream_node_max_bytes,
            entries_max: options.stream_node_max_entries,
        }
    }
}

impl Stream {
    /// What OBJECT ENCODING calls it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    /// About the bytes of heap it holds. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.entries.heap_size() + self.groups.heap_size()
    }

    /// Drops about `budget` entries or pending ones; says whether some are left. For a stream that nobody sees any
    /// more: what it counts is wrong from then on.
    pub fn free_some(&mut self, budget: usize) -> bool {
        self.entries.free_some(budget) || self.groups.free_some(budget)
    }

    /// How many entries a group has still before it; `None` if deletions make that unknowable.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let entries = &self.entries;
        let added_count = entries.added_count() as i64;
        if added_count == 0 {
            return Some(0);
        }
        match group.entries_read {
            Some(read_count) if !entries.may_have_gaps_from(group.last_id) => {
                Some(added_count.wrapping_sub(read_count))
            }
            _ => {
                let read_count = entries.added_up_to(group.last_id)? as i64;
                Some(added_count.wrapping_sub(read_count))
            }
        }
    }

    /// Hands on commands that make this stream under `key`, where there is no such key.
    pub fn rebuild(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        self.rebuild_entries(key, emit);
        for (name, group) in self.groups.iter() {
            let last_id = group.last_id.text();
            let entries_read = group.entries_read.unwrap_or(-1).to_string();
            emit(argv(&[
                b"XGROUP",
                b"CREATE",
                key,
                name,
                &last_id,
                b"ENTRIESREAD",
                entries_read.as_bytes(),
            ]));
            for consumer in group.consumers() {
                emit(argv(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]));
            }
            for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX) {
                let consumer = group.consumer(pending.consumer).name();
                emit(claim(key, name, consumer, id, pending));
            }
        }
    }

    fn rebuild_entries(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let entries = &self.entries;
        if entries.is_empty() {
            // Makes a stream without entries.
            emit(argv(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]));
        }
        for entry in entries.range(StreamId::MIN, StreamId::MAX) {
            let mut command = argv(&[b"XADD", key, &entry.id.text()]);
            for (field, value) in entry.pairs() {
                field.with_bytes(|bytes| command.push(bytes));
                value.with_bytes(|bytes| command.push(bytes));
            }
            emit(command);
        }
        emit(argv(&[
            b"XSETID",
            key,
            &entries.last_id().text(),
            b"ENTRIESADDED",
            entries.added_count().to_string().as_bytes(),
            b"MAXDELETEDID",
            &entries.max_deleted_id().text(),
        ]));
    }
}

/// The command that makes one entry pending.
fn claim(key: &[u8], group: &[u8], consumer: &[u8], id: StreamId, pending: Pending) -> ArgvBuf {
    argv(&[
        b"XCLAIM",
        key,
        group,
        consumer,
        b"0",
        &id.text(),
        b"TIME",
        pending.delivered_at_ms.to_string().as_bytes(),
        b"RETRYCOUNT",
        pending.delivery_count.to_string().as_bytes(),
        b"FORCE",
        b"JUSTID",
    ])
}

fn argv(args: &[&[u8]]) -> ArgvBuf {
    args.iter().copied().collect()
}
