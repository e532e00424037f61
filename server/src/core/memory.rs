//! A core's part in keeping to `maxmemory`: it publishes what it uses, and evicts keys of its shard while all cores
//! together use too much.
//!
//! Path: `dispatch` -> [`Core::make_room`] before a command that may need memory; [`Core::tend_memory`] once a tick.
//! Every core gives in proportion to its data, so that no shard evicts for a limit that is not reached, and none is
//! emptied for another. No slice is longer than `maxmemory-eviction-tenacity` allows.

use super::Core;
use crate::dispatch::OUT_OF_MEMORY;
use crate::journal::Journal;
use crate::memory::{eviction_budget, part_of};
use crate::message::{Message, Notice};
use crate::registry::Registered;
use protocol::command::Flags;
use protocol::reply::{Resp, Writer};
use shard::keyspace::eviction::Policy;
use shard::shard::EvictionEnd;
use std::sync::atomic::Ordering;

/// What an eviction slice has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slice {
    /// Memory is below the limit, or this core has given its part.
    Done,
    /// This core has more to give.
    Unfinished,
    /// No shard has a key that may leave.
    Full,
}

impl Core {
    /// Makes room before a command that may need memory: `false` if memory is full and no key may leave.
    ///
    /// Cost: one comparison without `maxmemory`; a few loads per core below it; above it one slice of eviction.
    #[must_use]
    #[inline]
    pub fn make_room(&self) -> bool {
        self.memory_limit.get() == 0 || self.evict_slice() != Slice::Full
    }

    /// Evicts a slice, if memory is full, whoever asks for it or not.
    pub(super) fn tend_memory(&self) {
        if self.memory_limit.get() > 0 {
            self.shared.memory.has_looked(self.id);
            if self.evict_slice() == Slice::Unfinished {
                self.next_upkeep_us.set(self.now().unix_us);
            }
        }
    }

    /// Publishes the data of this core's shard. Cost: O(databases).
    fn publish_data(&self) {
        let data_bytes = self.shard().keyspace().data_bytes();
        self.shared.memory.set_data(self.id, data_bytes + self.table_bytes.get());
    }

    /// Publishes what this core's connections hold. Cost: O(connections of this core).
    pub(crate) fn publish_buffers(&self) {
        let held = self.peers().into_iter().map(|peer| {
            let client = &peer.client;
            u64::from(client.query_capacity.load(Ordering::Relaxed))
                + client.output_len.load(Ordering::Relaxed) as u64
        });
        self.shared.memory.set_buffers(self.id, held.sum());
    }

    /// Publishes this core's shares, and writes them where Prometheus reads them.
    pub(super) fn publish_memory(&self) {
        let (memory, counters) = (&self.shared.memory, self.counters());
        self.table_bytes.set(self.shard().keyspace().overhead_bytes());
        self.publish_data();
        memory.set_discarded(self.id, self.shard().keyspace().discarded_bytes());
        counters.memory_data.set(memory.data_of(self.id));
        counters.memory_buffers.set(memory.buffers_of(self.id));
        let unwritten_len = self.journal.borrow().as_ref().map_or(0, Journal::unwritten_len);
        memory.set_journal(self.id, unwritten_len);
        if self.id == 0 {
            memory.note_peak();
            counters.memory_exceeded_ms.set(memory.exceeded_ms(self.now().unix_ms()).0);
        }
    }

    /// Answers a command that may need memory with an error, if memory is full and no key may leave; says whether it
    /// has. For a command that was let through by another core, some time ago.
    pub(super) fn refuse_for_memory(
        &self,
        command: &Registered,
        resp: Resp,
        reply: &mut Vec<u8>,
    ) -> bool {
        let is_refused = command.is(Flags::DENYOOM) && !self.make_room();
        if is_refused {
            self.shared.command_statistics[self.id].command(command.id).rejected.increment();
            self.note_error(OUT_OF_MEMORY);
            Writer::new(reply, resp).error(OUT_OF_MEMORY);
        }
        is_refused
    }

    fn evict_slice(&self) -> Slice {
        self.publish_data();
        let (memory, limit) = (&self.shared.memory, self.memory_limit.get());
        let sum = memory.sum();
        let excess = sum.counted().saturating_sub(limit);
        memory.note_exceeded(excess > 0, self.now().unix_ms());
        // CLIENT PAUSE holds back every change, also that of eviction.
        if excess == 0 || self.is_paused(Flags::WRITE) {
            return Slice::Done;
        }
        let policy = self.shard().options().maxmemory_policy;
        if policy == Policy::NoEviction {
            return Slice::Full;
        }
        let wanted = part_of(excess, memory.data_of(self.id), sum.data);
        let budget = eviction_budget(self.settings_ref().maxmemory_eviction_tenacity);
        let evicted = self.shard_mut().evict(self.now(), wanted, budget);
        self.publish_data();
        memory.set_exhausted(self.id, evicted.end == EvictionEnd::NothingLeft);
        let is_over = memory.sum().counted() > limit;
        memory.note_exceeded(is_over, self.now().unix_ms());
        if !is_over {
            return Slice::Done;
        }
        self.tell_others();
        match evicted.end {
            EvictionEnd::OutOfBudget => Slice::Unfinished,
            EvictionEnd::NothingLeft if memory.is_exhausted() => Slice::Full,
            _ => Slice::Done,
        }
    }

    /// Tells the other cores, which may sleep, that memory is full.
    fn tell_others(&self) {
        for core in (0..self.shared.shard_count()).filter(|core| *core != self.id) {
            if self.shared.memory.may_tell(core) {
                self.post_away(core, Message::Tell(Box::new(Notice::MemoryFull)));
            }
        }
    }
}
