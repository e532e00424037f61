//! Commands whose keys are spread over shards, each of which runs its part (MGET, MSET, DEL): done in place where that is
//! possible, else sent with the other commands of the pipeline.
//!
//! The parts of one command leave in one flush, so that they run at one moment on all shards: see `mailbox`.

use super::Connection;
use crate::core::{Caller, Core};
use crate::message::{Message, Notice};
use crate::registry::{Kind, Registered};
use crate::transaction::parts::{Parts, merge_replies};
use protocol::command::Flags;
use protocol::request::{Argv, Span};
use shard::commands::Run;
use shard::{Call, Outcome, Shard};
use smallvec::SmallVec;
use std::sync::atomic::Ordering;

/// Bytes of memory kept for the next command, at most.
const KEPT_SIZE_MAX: usize = 64 << 10;

/// Memory for running parts in place, used again and again.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Where the arguments of one part stand in the request.
    spans: Vec<Span>,
    /// The replies of all, and the places of their keys.
    replies: Vec<u8>,
    orders: Vec<usize>,
}

impl Scratch {
    /// Empties it; memory that was needed only once is given back.
    fn clear(&mut self) {
        self.spans.clear();
        self.spans.shrink_to(KEPT_SIZE_MAX / size_of::<Span>());
        self.replies.clear();
        self.replies.shrink_to(KEPT_SIZE_MAX);
        self.orders.clear();
        self.orders.shrink_to(KEPT_SIZE_MAX / size_of::<usize>());
    }
}

impl Connection {
    /// Runs a command whose keys are spread, or sends it away.
    pub(super) fn run_split(&mut self, command: &Registered, argv: Argv<'_>) {
        let core = self.core.clone();
        let db = self.session.db;
        let Some(parts) = Parts::of(&core, command, argv) else {
            // Something is missing: one shard, any, says what.
            let exchange = self.exchange.get_or_insert_with(|| core.spare_exchange());
            return exchange.send(core.id, command.id, db, argv, || core.spare_batch());
        };
        if self.exchange.is_none() {
            let (caller, start) = (self.caller(), self.replies.len());
            if let Some(us) = core.run_parts(command, db, &parts, caller, &mut self.replies) {
                self.reply_written(start);
                if us >= core.slow_after_us() {
                    self.log_slow(argv, us);
                }
                return self.end_command();
            }
        }
        let exchange = self.exchange.get_or_insert_with(|| core.spare_exchange());
        exchange.send_parts(command, db, &parts, || core.spare_batch());
    }
}

impl Core {
    /// Runs all parts in place, on this core's shard and on borrowed ones, and appends the reply; returns microseconds.
    /// `None` if they must be sent: see [`Core::run_lent`], whose conditions hold for every shard here, this core's too.
    /// All shards are held before the first part runs, so nobody sees one part without the others.
    fn run_parts(
        &self,
        command: &Registered,
        db: u16,
        parts: &Parts<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) -> Option<u64> {
        let Kind::Shard(shard_command) = command.kind else { return None };
        let Run::Split { merge, .. } = shard_command.run else { return None };
        let may_lend = !command.is(Flags::WRITE) || self.may_lend_writes();
        if !may_lend || self.shared.tracking_count.load(Ordering::Acquire) > 0 {
            return None;
        }
        let mut lent = SmallVec::<[_; 4]>::new();
        for shard in parts.shards().iter().filter(|shard| **shard != self.id) {
            lent.push((*shard, self.shared.leases.borrow(*shard)?));
        }
        if !parts.shards().iter().all(|shard| self.is_clear_to(*shard)) {
            return None;
        }
        let is_unlocked = |shard: &Shard| shard.locks().is_empty();
        if !is_unlocked(&self.shard()) || !lent.iter().all(|(_, shard)| is_unlocked(shard)) {
            return None;
        }
        self.note_borrowed();
        let mut scratch = self.part_scratch.take();
        let Scratch { spans, replies, orders } = &mut scratch;
        let mut ends = SmallVec::<[(usize, usize); 4]>::new();
        for shard in parts.shards() {
            let argv = parts.argv(*shard, spans);
            let Caller { resp, client } = caller;
            let call = Call { command: shard_command, argv, db, resp, client };
            let _ = match lent.iter_mut().find(|(other, _)| other == shard) {
                Some((_, lent)) => {
                    lent.hold_expiry(self.is_paused(Flags::WRITE));
                    lent.execute(self.now(), &call, replies)
                }
                None => self.execute(&call, replies),
            };
            orders.extend(parts.orders(*shard));
            ends.push((replies.len(), orders.len()));
        }
        let touched = lent.iter_mut().filter_map(|(shard, lent)| {
            let has_effects = !lent.effects_mut().is_empty();
            has_effects.then_some(*shard)
        });
        let touched: SmallVec<[usize; 4]> = touched.collect();
        drop(lent);
        for shard in touched {
            // An expired key, a served client, a keyspace event: its own core sees to it.
            self.post_away(shard, Message::Tell(Box::new(Notice::Effects)));
        }
        let start = reply.len();
        let mut answers = SmallVec::<[(&[u8], &[usize]); 4]>::new();
        let (mut reply_start, mut order_start) = (0, 0);
        for (reply_end, order_end) in ends {
            answers.push((&replies[reply_start..reply_end], &orders[order_start..order_end]));
            (reply_start, order_start) = (reply_end, order_end);
        }
        let outcome = merge_replies(merge, caller.resp, &answers, reply);
        drop(answers);
        scratch.clear();
        *self.part_scratch.borrow_mut() = scratch;
        if outcome == Outcome::Failed {
            self.note_error(&reply[start..]);
        }
        Some(self.account(command, outcome))
    }
}
