//! The commands of one connection that are at other cores, and the order in which all replies leave.

use super::Watched;
use crate::batch::Batch;
use crate::core::{Caller, Core};
use crate::peer::{Batches, Peer};
use crate::registry::{CommandId, Kind, Registered};
use crate::transaction::parts::{Parts, merge_replies};
use protocol::request::{Argv, ArgvBuf};
use shard::Outcome;
use shard::commands::{self, Command, Merge};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Where a run of replies comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// This core, written while others were awaited.
    Late,
    /// The batch of this shard.
    Shard(usize),
    /// The batches of several shards, which together hold the reply of this one of the commands whose keys are spread.
    Split(usize),
}

/// A command whose keys are spread over shards: its parts, and how their replies become one.
#[derive(Clone, Copy, Debug)]
struct Split {
    command: CommandId,
    merge: Merge,
    /// Arguments that all parts begin with.
    head_len: usize,
    /// Behind its last part among all [`Exchange::parts`].
    parts_end: usize,
}

/// A part of such a command.
#[derive(Clone, Copy, Debug)]
struct Part {
    shard: usize,
    /// Its call in the batch of the shard.
    call: usize,
    /// Behind its last place among all [`Exchange::orders`].
    orders_end: usize,
}

/// Such a command when its replies have come.
pub(super) struct Ended {
    /// The command.
    pub(super) command: CommandId,
    /// How long its parts took, together.
    pub(super) ns: u64,
    /// How it ended.
    pub(super) outcome: Outcome,
}

/// A slow command, with the microseconds that it took.
pub(super) type Slow = (ArgvBuf, u64);

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
    splits: Vec<Split>,
    /// Of all splits, in their order; the places of their keys likewise.
    parts: Vec<Part>,
    orders: Vec<usize>,
    args_len: usize,
    /// Whether a script is among them.
    has_script: bool,
    /// The shard of a script among them that may turn out to touch others.
    restless_at: Option<usize>,
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
            splits: Vec::new(),
            parts: Vec::new(),
            orders: Vec::new(),
            args_len: 0,
            has_script: false,
            restless_at: None,
        }
    }

    /// Bytes of arguments collected.
    pub(super) fn args_len(&self) -> usize {
        self.args_len
    }

    /// Notes that a script for `shard` is among the commands. The rest of its batch waits while it takes long, so no command
    /// may have parts there and elsewhere. A restless one may yet touch keys of other shards: only what waits behind it in
    /// its own batch is sure not to run before that.
    pub(super) fn note_script(&mut self, shard: usize, is_restless: bool) {
        self.has_script = true;
        if is_restless {
            self.restless_at = Some(shard);
        }
    }

    /// Whether a command for `shard` may join.
    pub(super) fn may_join(&self, shard: usize) -> bool {
        self.restless_at.is_none_or(|only| only == shard)
    }

    /// Whether a command with parts on several shards may join.
    pub(super) fn may_split(&self) -> bool {
        !self.has_script
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

    /// Adds a command whose keys are spread: each shard gets its part.
    pub(super) fn send_parts(
        &mut self,
        command: &Registered,
        db: u16,
        parts: &Parts<'_>,
        spare: impl Fn() -> Box<Batch>,
    ) {
        let Kind::Shard(Command { run: commands::Run::Split { merge, .. }, .. }) = command.kind
        else {
            unreachable!("only such commands have parts")
        };
        for shard in parts.shards().iter().copied() {
            let batch = self.batches[shard].get_or_insert_with(&spare);
            let before = batch.args_len();
            batch.push_part(command.id, db, parts.args(shard));
            self.args_len += batch.args_len() - before;
            self.orders.extend(parts.orders(shard));
            let (call, orders_end) = (batch.len() - 1, self.orders.len());
            self.parts.push(Part { shard, call, orders_end });
        }
        let (head_len, parts_end) = (parts.head_len, self.parts.len());
        self.splits.push(Split { command: command.id, merge: *merge, head_len, parts_end });
        self.note(Source::Split(self.splits.len() - 1), 0);
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

    /// Takes the batches that have come back and appends all replies to `replies`, in the order of the requests. `ended`
    /// is told of each command whose keys are spread, with its reply, and gives back its microseconds if it was slow: those
    /// are returned.
    pub(super) fn merge(
        &mut self,
        batches: Batches,
        replies: &mut Vec<u8>,
        mut ended: impl FnMut(Ended, &[u8]) -> Option<u64>,
    ) -> Vec<Slow> {
        let mut slow = Vec::new();
        for mut batch in batches {
            // In their order already, unless some have waited for a lock.
            batch.part_ns.sort_unstable();
            let shard = batch.shard;
            self.done[shard] = Some(batch);
        }
        let mut late_at = 0;
        let mut order = std::mem::take(&mut self.order);
        for run in order.drain(..) {
            match run.source {
                Source::Late => {
                    replies.extend_from_slice(&self.late[late_at..run.end]);
                    late_at = run.end;
                }
                Source::Shard(shard) => {
                    let part = self.take_replies(shard, run.end);
                    replies.extend_from_slice(&self.done(shard).replies[part]);
                }
                Source::Split(number) => {
                    if let Some(us) = self.merge_split(number, replies, &mut ended) {
                        slow.push((self.split_request(number), us));
                    }
                }
            }
        }
        self.order = order;
        self.splits.clear();
        self.parts.clear();
        self.orders.clear();
        self.late.clear();
        self.args_len = 0;
        self.has_script = false;
        self.restless_at = None;
        slow
    }

    fn done(&self, shard: usize) -> &Batch {
        self.done[shard].as_ref().expect("every batch has come back")
    }

    /// Where the replies of a batch lie that have not been taken, up to that of the call before `end`.
    fn take_replies(&mut self, shard: usize, end: usize) -> Range<usize> {
        let batch = self.done[shard].as_mut().expect("every batch has come back");
        let end = batch.reply_ends[end - 1] as usize;
        std::mem::replace(&mut batch.merged_len, end)..end
    }

    fn merge_split(
        &mut self,
        number: usize,
        replies: &mut Vec<u8>,
        ended: &mut impl FnMut(Ended, &[u8]) -> Option<u64>,
    ) -> Option<u64> {
        let Split { command, merge, .. } = self.splits[number];
        let parts = self.parts_of(number);
        let ranges: SmallVec<[Range<usize>; 4]> = parts
            .clone()
            .map(|at| self.take_replies(self.parts[at].shard, self.parts[at].call + 1))
            .collect();
        let mut answers = SmallVec::<[(&[u8], &[usize]); 4]>::new();
        let mut ns = 0;
        for (at, range) in parts.clone().zip(ranges) {
            let part = self.parts[at];
            let batch = self.done(part.shard);
            answers.push((&batch.replies[range], self.orders_of(at)));
            let place = batch.part_ns.binary_search_by_key(&part.call, |(call, _)| *call as usize);
            ns += place.map_or(0, |place| batch.part_ns[place].1);
        }
        let start = replies.len();
        let resp = self.done(self.parts[parts.start].shard).resp;
        let outcome = merge_replies(merge, resp, &answers, replies);
        ended(Ended { command, ns, outcome }, &replies[start..])
    }

    /// The parts of a command whose keys are spread.
    fn parts_of(&self, number: usize) -> Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.splits[before].parts_end);
        start..self.splits[number].parts_end
    }

    /// The places that the keys of a part have in the whole command.
    fn orders_of(&self, part: usize) -> &[usize] {
        let start = part.checked_sub(1).map_or(0, |before| self.parts[before].orders_end);
        &self.orders[start..self.parts[part].orders_end]
    }

    /// A request whose keys are spread, put together again. Cost: as long as it is.
    fn split_request(&self, number: usize) -> ArgvBuf {
        let head_len = self.splits[number].head_len;
        let mut head = None;
        let mut by_key: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        for at in self.parts_of(number) {
            let Part { shard, call, .. } = self.parts[at];
            let (argv, orders) = (self.done(shard).call(call).2, self.orders_of(at));
            let step = (argv.len() - head_len) / orders.len().max(1);
            for (place, order) in orders.iter().enumerate() {
                let start = head_len + place * step;
                by_key
                    .insert(*order, (start..start + step).filter_map(|at| argv.get(at)).collect());
            }
            head.get_or_insert(argv.iter().take(head_len));
        }
        head.into_iter().flatten().chain(by_key.into_values().flatten()).collect()
    }

    /// The batches that have come back, merged.
    pub(super) fn take_done(&mut self) -> impl Iterator<Item = Box<Batch>> + use<> {
        let done: smallvec::SmallVec<[Box<Batch>; 8]> =
            self.done.iter_mut().filter_map(Option::take).collect();
        done.into_iter()
    }
}
