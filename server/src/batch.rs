//! A batch: all commands of one connection's read that belong to one other shard, and their replies.
//!
//! Path: `connection` fills it, `mailbox` carries it there and back, `core` runs it, `connection` takes the replies.
//! Its memory travels with it and is used again, so a command that hops allocates nothing.

use crate::connection::Watched;
use crate::registry::CommandId;
use crate::runtime::reactor::SocketKey;
use protocol::reply::Resp;
use protocol::request::{Argv, Span};
use shard::call::ClientFacts;
use std::ops::Range;

/// Memory a batch keeps for its next use, in bytes.
const KEPT_SIZE_MAX: usize = 64 << 10;

/// Commands for one shard, in order, with their replies.
#[derive(Debug, Default)]
pub struct Batch {
    /// The connection that waits for it.
    pub token: SocketKey,
    /// The client behind it.
    pub client: ClientFacts,
    /// Its protocol version.
    pub resp: Resp,
    /// The shard it is for.
    pub shard: usize,
    /// Bytes of replies that the connection has taken.
    pub merged_len: usize,
    args: Vec<u8>,
    spans: Vec<Span>,
    calls: Vec<BatchCall>,
    /// Transactions among the calls, in their order.
    units: Vec<Unit>,
    /// The replies, one behind the other.
    pub replies: Vec<u8>,
    /// Where each reply ends.
    pub reply_ends: Vec<u32>,
    /// Parts of commands that other batches have parts of too: index of the call, and nanoseconds it took.
    pub part_ns: Vec<(u32, u64)>,
    /// Calls that took longer than `slowlog-log-slower-than`: index and microseconds.
    pub slow: Vec<(u32, u64)>,
}

/// Calls that run as one transaction, with one reply.
#[derive(Debug)]
struct Unit {
    calls: Range<usize>,
    watched: Option<Watched>,
}

/// One call of a batch.
#[derive(Clone, Copy, Debug)]
struct BatchCall {
    command: CommandId,
    db: u16,
    /// Whether it is part of a command that runs on other shards too.
    is_part: bool,
    /// Its arguments lie at and behind these positions, up to those of the next call.
    args_start: u32,
    spans_start: u32,
}

impl Batch {
    /// Adds a call with a copy of its arguments.
    pub fn push(&mut self, command: CommandId, db: u16, argv: Argv<'_>) {
        self.push_args(command, db, argv.iter(), false);
    }

    /// Adds this shard's part of a command.
    pub fn push_part<'a>(
        &mut self,
        command: CommandId,
        db: u16,
        args: impl Iterator<Item = &'a [u8]>,
    ) {
        self.push_args(command, db, args, true);
    }

    fn push_args<'a>(
        &mut self,
        command: CommandId,
        db: u16,
        args: impl Iterator<Item = &'a [u8]>,
        is_part: bool,
    ) {
        let (args_start, spans_start) = (self.args.len() as u32, self.spans.len() as u32);
        self.calls.push(BatchCall { command, db, is_part, args_start, spans_start });
        for arg in args {
            let start = self.args.len() as u32 - args_start;
            self.args.extend_from_slice(arg);
            self.spans.push(Span { start, len: arg.len() as u32 });
        }
    }

    /// Whether call `index` is part of a command that runs on other shards too.
    #[must_use]
    pub fn is_part(&self, index: usize) -> bool {
        self.calls[index].is_part
    }

    /// Adds all calls of `queue` as one transaction, which runs unless one of the watched keys has changed.
    pub fn push_unit(&mut self, queue: &Batch, watched: Option<Watched>) {
        let first = self.len();
        for index in 0..queue.len() {
            let (command, db, argv) = queue.call(index);
            self.push(command, db, argv);
        }
        self.units.push(Unit { calls: first..self.len(), watched });
    }

    /// The transaction that begins with call `index`, with what it depends on.
    #[must_use]
    pub fn unit_at(&self, index: usize) -> Option<(Range<usize>, Option<&Watched>)> {
        let place = self.units.binary_search_by_key(&index, |unit| unit.calls.start).ok()?;
        let unit = &self.units[place];
        Some((unit.calls.clone(), unit.watched.as_ref()))
    }

    /// How many calls there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Bytes of arguments, which bounds what one batch may carry.
    #[must_use]
    pub fn args_len(&self) -> usize {
        self.args.len()
    }

    /// Call `index`: its command, database and arguments.
    #[must_use]
    pub fn call(&self, index: usize) -> (CommandId, u16, Argv<'_>) {
        let call = self.calls[index];
        let spans_end = match self.calls.get(index + 1) {
            Some(next) => next.spans_start as usize,
            None => self.spans.len(),
        };
        let bytes = &self.args[call.args_start as usize..];
        let spans = &self.spans[call.spans_start as usize..spans_end];
        (call.command, call.db, Argv::new(bytes, spans))
    }

    /// Empties the batch for its next use; memory that was needed only once is given back.
    pub fn reset(&mut self) {
        self.args.clear();
        self.spans.clear();
        self.calls.clear();
        self.units.clear();
        self.replies.clear();
        self.reply_ends.clear();
        self.slow.clear();
        self.part_ns.clear();
        self.merged_len = 0;
        self.args.shrink_to(KEPT_SIZE_MAX);
        self.replies.shrink_to(KEPT_SIZE_MAX);
    }
}
