//! Transactions all of whose keys lie on one shard: its core runs them whole, as one unit, without any lock.
//!
//! Path: `connection::multi` or a `Batch` -> [`Core::run_unit`] or, on a borrowed shard, [`Core::run_lent_unit`].
//! Nothing else runs in between, clients that wait are served behind, and the journal entries of a unit lie in one frame.

use super::{Caller, Core};
use crate::batch::Batch;
use crate::connection::Watched;
use crate::registry::{Kind, Registered};
use crate::scripting::{InUnit, Unfinished};
use protocol::reply::Writer;
use protocol::request::Argv;
use shard::Outcome;
use shard::commands::{Run, Transfer};
use std::ops::Range;
use std::rc::Rc;

impl Core {
    /// Runs `calls` of `batch` and appends the reply of EXEC: an array of their replies, or null if one of the watched
    /// keys has changed. `ended` is told each call with its microseconds. A transaction with a script that takes long is
    /// returned, and nothing is appended.
    pub(crate) fn run_unit(
        self: &Rc<Self>,
        batch: &Batch,
        calls: Range<usize>,
        watched: Option<&Watched>,
        caller: Caller,
        replies: &mut Vec<u8>,
        mut ended: impl FnMut(usize, u64),
    ) -> Option<Box<Unfinished>> {
        let (now, start) = (self.now(), replies.len());
        let mut writer = Writer::new(replies, caller.resp);
        if watched.is_some_and(|watched| watched.end_broken(now, &mut self.shard_mut())) {
            writer.null_array();
            return None;
        }
        writer.array(calls.len());
        let mark = self.shard_mut().effects_mut().journal.mark();
        self.shard_mut().begin_unit();
        for index in calls.clone() {
            let (id, db, argv) = batch.call(index);
            let command = self.shared.registry.get(id);
            match self.run_in_unit(command, db, argv, caller, replies) {
                InUnit::Ended(us) => ended(index, us),
                InUnit::Paused(script) => {
                    self.shard_mut().suspend_unit();
                    let reply = replies.split_off(start);
                    let rest = index..calls.end;
                    return Some(self.pause_unit(*script, batch, rest, caller, reply, mark));
                }
            }
        }
        self.shard_mut().end_unit(now);
        None
    }

    /// Runs all of `batch` as a transaction in place, on the shard of a core that sleeps, as [`Core::run_unit`] does. `false`
    /// if it must be sent there: see [`Core::run_lent`], whose conditions hold for each of its commands.
    pub(crate) fn run_lent_unit(
        &self,
        shard: usize,
        batch: &Batch,
        watched: Option<&Watched>,
        caller: Caller,
        replies: &mut Vec<u8>,
        mut ended: impl FnMut(usize, u64),
    ) -> bool {
        let mut commands =
            (0..batch.len()).map(|index| self.shared.registry.get(batch.call(index).0));
        if !commands.all(|command| self.is_fit_to_lend(command)) {
            return false;
        }
        let Some(mut lent) = self.borrow_free(shard) else { return false };
        let now = self.now();
        let mut writer = Writer::new(replies, caller.resp);
        if watched.is_some_and(|watched| watched.end_broken(now, &mut lent)) {
            writer.null_array();
            return true;
        }
        writer.array(batch.len());
        lent.begin_unit();
        for index in 0..batch.len() {
            let (id, db, argv) = batch.call(index);
            let command = self.shared.registry.get(id);
            let (outcome, us) = self.run_on(&mut lent, command, db, argv, caller, replies);
            debug_assert_ne!(outcome, Outcome::Blocked, "only reads and writes are lent a shard");
            ended(index, us);
        }
        lent.end_unit(now);
        self.give_back(shard, lent);
        true
    }

    /// Runs one command of a transaction, and counts it.
    pub(crate) fn run_in_unit(
        self: &Rc<Self>,
        command: &Registered,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
        replies: &mut Vec<u8>,
    ) -> InUnit {
        if let Some(kind) = command.script() {
            return self.start_script_in_unit(command, kind, db, argv, caller, replies);
        }
        let (outcome, us) = self.run_here(command, db, argv, caller, replies);
        if outcome == Outcome::Blocked {
            write_empty(command, &mut Writer::new(replies, caller.resp));
        }
        InUnit::Ended(us)
    }
}

/// Writes the reply of a blocking command that finds nothing where nobody may wait.
pub(crate) fn write_empty(command: &Registered, writer: &mut Writer<'_>) {
    let Kind::Shard(command) = command.kind else { return };
    match command.run {
        Run::FirstOf { empty, .. } | Run::Transfer(Transfer { empty, .. }) => empty(writer),
        Run::AllOf { .. } => writer.null_array(),
        _ => {}
    }
}
