//! The commands of one connection that are at other cores, and the order in which all replies leave.

use super::Watched;
use crate::batch::Batch;
use crate::core::{Caller, Core};
use crate::peer::Peer;
use crate::registry::CommandId;
use protocol::request::Argv;
use std::rc::Rc;

/// Where a run of replies comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// This core, written while others were awaited.
    Late,
    /// The batch of this shard.
    Shard(usize),
}

/// Consecutive replies of one source.
#[derive(Clone, Copy, Debug)]
struct Run {
    source: Source,
    /// For [`Source::Late`] the byte, for [`Source::Shard`] the number of the call, behind the run.
    end: usize,
}

/// Commands that are away. Empty, it is kept by its core and used again.
#[derive(Debug)]
pub struct Exchange {
    /// Batches by shard, not sent yet.
    batches: Vec<Option<Box<Batch>>>,
    /// Batches that have come back, by shard.
    done: Vec<Option<Box<Batch>>>,
    /// Replies of this core that stand behind replies of others.
    pub(super) late: Vec<u8>,
    order: Vec<Run>,
    args_len: usize,
}

impl Exchange {
    /// Nothing away.
    #[must_use]
    pub fn new(shard_count: usize) -> Self {
        Exchange {
            batches: (0..shard_count).map(|_| None).collect(),
            done: (0..shard_count).map(|_| None).collect(),
            late: Vec::new(),
            order: Vec::new(),
            args_len: 0,
        }
    }

    /// Bytes of arguments collected.
    pub(super) fn args_len(&self) -> usize {
        self.args_len
    }

    /// Adds a command for `shard`.
    pub(super) fn send(
        &mut self,
        shard: usize,
        command: CommandId,
        db: u16,
        argv: Argv<'_>,
        spare: impl FnOnce() -> Box<Batch>,
    ) {
        let batch = self.batches[shard].get_or_insert_with(spare);
        let before = batch.args_len();
        batch.push(command, db, argv);
        self.args_len += batch.args_len() - before;
        let end = batch.len();
        self.note(Source::Shard(shard), end);
    }

    /// Adds the commands of a transaction for `shard`.
    pub(super) fn send_unit(
        &mut self,
        shard: usize,
        queue: &Batch,
        watched: Option<Watched>,
        spare: impl FnOnce() -> Box<Batch>,
    ) {
        let batch = self.batches[shard].get_or_insert_with(spare);
        batch.push_unit(queue, watched);
        self.args_len += queue.args_len();
        let end = batch.len();
        self.note(Source::Shard(shard), end);
    }

    /// Notes that this core has written a reply to [`Exchange::late`].
    pub(super) fn note_late(&mut self) {
        self.note(Source::Late, self.late.len());
    }

    fn note(&mut self, source: Source, end: usize) {
        match self.order.last_mut() {
            Some(run) if run.source == source => run.end = end,
            _ => self.order.push(Run { source, end }),
        }
    }

    /// Posts every batch to its core; returns how many.
    pub(super) fn post(&mut self, core: &Rc<Core>, peer: &Peer, caller: Caller) -> u64 {
        let mut sent_count = 0;
        for (shard, batch) in self.batches.iter_mut().enumerate() {
            if let Some(mut batch) = batch.take() {
                batch.token = peer.key;
                batch.client = caller.client;
                batch.resp = caller.resp;
                batch.shard = shard;
                sent_count += 1;
                core.counters().hops_sent.add(batch.len() as u64);
                core.post_batch(shard, batch);
            }
        }
        peer.away_count.set(sent_count);
        u64::from(sent_count)
    }

    /// Takes the batches that have come back and appends all replies to `replies`, in the order of the requests.
    pub(super) fn merge(&mut self, batches: Vec<Box<Batch>>, replies: &mut Vec<u8>) {
        for batch in batches {
            let shard = batch.shard;
            self.done[shard] = Some(batch);
        }
        let mut late_at = 0;
        for run in self.order.drain(..) {
            match run.source {
                Source::Late => {
                    replies.extend_from_slice(&self.late[late_at..run.end]);
                    late_at = run.end;
                }
                Source::Shard(shard) => {
                    let batch = self.done[shard].as_mut().expect("every batch has come back");
                    let end = batch.reply_ends[run.end - 1] as usize;
                    replies.extend_from_slice(&batch.replies[batch.merged_len..end]);
                    batch.merged_len = end;
                }
            }
        }
        self.late.clear();
        self.args_len = 0;
    }

    /// The batches that have come back, merged.
    pub(super) fn take_done(&mut self) -> impl Iterator<Item = Box<Batch>> + use<> {
        let done: smallvec::SmallVec<[Box<Batch>; 8]> =
            self.done.iter_mut().filter_map(Option::take).collect();
        done.into_iter()
    }
}
