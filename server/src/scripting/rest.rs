//! The rest of a transaction one of whose scripts takes long: it runs under the lock of that script, so that nobody sees
//! the transaction half done.
//!
//! Path: [`Core::run_unit`] -> [`Unfinished::Unit`] -> `paused` -> here. What the whole transaction writes is kept with the
//! lock, and enters the journal when it ends.

use super::paused::{self, Paused, enter};
use super::run::{InUnit, PausedInUnit, Unfinished};
use crate::batch::Batch;
use crate::core::{Caller, Core};
use crate::message::TransactionId;
use crate::registry::CommandId;
use crate::runtime::clock::Moment;
use crate::transaction::Held;
use shard::Outcome;
use shard::effects::JournalMark;
use std::ops::Range;
use std::rc::Rc;

/// What of a transaction has not run when one of its scripts pauses.
pub(crate) struct RestOfUnit {
    /// The script that has paused, and when it began.
    command: CommandId,
    begun_at: Moment,
    /// The commands behind it.
    calls: Box<Batch>,
    /// The reply so far.
    reply: Vec<u8>,
}

impl Core {
    /// A script that is call `index` of the transaction `calls` has paused; `reply` is that of the transaction so far, and
    /// `mark` is where its journal entries begin.
    pub(crate) fn pause_unit(
        self: &Rc<Self>,
        script: PausedInUnit,
        batch: &Batch,
        calls: Range<usize>,
        caller: Caller,
        reply: Vec<u8>,
        mark: JournalMark,
    ) -> Box<Unfinished> {
        let PausedInUnit { running, request } = script;
        let own = self.shard_mut().effects_mut().journal.split_off(mark);
        let (command, _, argv) = batch.call(calls.start);
        let paused = Paused::new(self, running, request, own, argv, caller);
        let mut rest = self.spare_batch();
        for index in calls.start + 1..calls.end {
            let (command, db, argv) = batch.call(index);
            rest.push(command, db, argv);
        }
        let begun_at = self.tick_start();
        let rest = RestOfUnit { command, begun_at, calls: rest, reply };
        Box::new(Unfinished::Unit(paused, rest))
    }
}

impl RestOfUnit {
    /// Runs it under the lock `id` once the script that has paused has ended with `reply`; returns the reply of all.
    pub(super) async fn run(
        self,
        core: &Rc<Core>,
        id: TransactionId,
        caller: Caller,
        reply: &[u8],
        outcome: Outcome,
        held: &mut Option<Held>,
    ) -> Vec<u8> {
        let RestOfUnit { command, begun_at, calls, reply: mut all } = self;
        all.extend_from_slice(reply);
        core.set_stopwatch(begun_at);
        core.account(core.shared.registry.get(command), outcome);
        for index in 0..calls.len() {
            let (command, db, argv) = calls.call(index);
            let command = core.shared.registry.get(command);
            let begun_at = Moment::now();
            core.set_stopwatch(begun_at);
            let ran = core.within_script_lock(id, || {
                core.shard_mut().begin_unit();
                let ran = core.run_in_unit(command, db, argv, caller, &mut all);
                core.shard_mut().suspend_unit();
                ran
            });
            if let InUnit::Paused(script) = ran {
                let PausedInUnit { running, request } = *script;
                let shown = enter(core, &running, &request, argv);
                let ended = paused::run_in_slices(core, id, running, &request, shown, caller, held);
                let (reply, outcome) = Box::pin(ended).await;
                all.extend_from_slice(&reply);
                core.set_stopwatch(begun_at);
                core.account(command, outcome);
            }
        }
        core.recycle_batch(calls);
        all
    }
}
