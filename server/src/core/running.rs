//! Commands on a core: run on its shard, measured, counted; settings, pauses and statistics beside them.
//!
//! Path: `connection` and `Core::handle` -> [`Core::run_here`] -> `shard::Shard::execute`.

use super::Core;
use crate::batch::Batch;
use crate::commands::{ServerCommand, ServerRun};
use crate::connection::Session;
use crate::histogram::Histogram;
use crate::message::{Message, Notice};
use crate::options::shard_options;
use crate::registry::{CommandId, Kind, Registered};
use crate::router;
use crate::runtime::clock::{self, Moment};
use crate::scripting::{Started, Unfinished};
use crate::tracking::KeysRead;
use ops::config::Settings;
use ops::latency::Sample;
use ops::metrics::CoreCounters;
use protocol::command::Flags;
use protocol::request::Argv;
use protocol::slot::slot_of;
use shard::Shard;
use shard::call::ClientFacts;
use shard::commands::Run;
use shard::keyspace::{Likely, WARM_MAX};
use shard::rng::Rng;
use shard::{Call, Now, Outcome};
use smallvec::SmallVec;
use std::cell::{Ref, RefMut};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Who a command runs for.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Protocol version of its reply.
    pub resp: protocol::reply::Resp,
    /// The client.
    pub client: ClientFacts,
}

impl Core {
    /// The moment of this tick.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now.get()
    }

    /// Changes the moment, while something is done that belongs to another.
    pub(super) fn set_now(&self, now: Now) {
        self.now.set(now);
    }

    /// This core's copy of the settings.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// This core's settings, to look at without holding on to them.
    pub fn settings_ref(&self) -> std::cell::Ref<'_, Arc<Settings>> {
        self.settings.borrow()
    }

    /// Touches what commands are likely to touch; see `shard::keyspace::Database::warm`. Keys of another core too, if
    /// several lie there and its shard can be borrowed, as it will be for the commands.
    pub fn warm<'k>(&self, db: u16, likely: impl Iterator<Item = Likely<'k>>) {
        if self.shared.shard_count() == 1 {
            return self.shard().keyspace().database(db).warm(likely);
        }
        let placed: SmallVec<[(Likely<'k>, usize); WARM_MAX]> =
            likely.map(|one| (one, self.shared.shard_of_slot(slot_of(one.key)))).collect();
        let likely_of = |shard| {
            let there = placed.iter().filter(move |(_, home)| *home == shard);
            there.map(|(one, _)| *one)
        };
        self.shard().keyspace().database(db).warm(likely_of(self.id));
        for (index, (_, shard)) in placed.iter().enumerate() {
            let is_there = |(_, home): &(Likely<'k>, usize)| home == shard;
            let is_first = !placed[..index].iter().any(is_there);
            let is_alone = !placed[index + 1..].iter().any(is_there);
            if *shard == self.id || !is_first || is_alone {
                continue;
            }
            if let Some(lent) = self.shared.leases.borrow(*shard) {
                lent.keyspace().database(db).warm(likely_of(*shard));
            }
        }
    }

    /// Takes over the settings as they are now.
    pub fn take_over_settings(&self) {
        let settings = self.shared.config().settings().clone();
        let is_journaling = self.journal.borrow().is_some();
        let mut shard = self.shard_mut();
        let payload_checksum = shard.options().payload_checksum; // set by DEBUG alone
        let options = shard_options(&settings);
        shard.set_options(shard::Options { is_journaling, payload_checksum, ..options });
        drop(shard);
        self.spike_after_us.set(spike_after_us(&settings));
        self.is_timing.set(settings.latency_tracking);
        self.memory_limit.set(settings.maxmemory_bytes);
        *self.settings.borrow_mut() = Arc::new(settings);
        self.start_listening();
    }

    /// Whether this client must give a password before it may do anything else.
    #[must_use]
    pub fn needs_login(&self, session: &Session) -> bool {
        !session.is_authenticated && !self.settings.borrow().requirepass.is_empty()
    }

    /// Whether writes need more replicas (`min-replicas-to-write`) than there are: none.
    #[must_use]
    pub fn lacks_replicas(&self) -> bool {
        let settings = self.settings.borrow();
        settings.min_replicas_to_write > 0 && settings.min_replicas_max_lag_s > 0
    }

    /// This core's counters.
    #[must_use]
    pub fn counters(&self) -> &CoreCounters {
        &self.counters
    }

    /// Runs a command of this core's shard; returns how it ended and how many microseconds it took.
    pub fn run_here(
        &self,
        command: &Registered,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) -> (Outcome, u64) {
        let Kind::Shard(shard_command) = command.kind else {
            unreachable!("only commands of a shard are run on one")
        };
        let call =
            Call { command: shard_command, argv, db, resp: caller.resp, client: caller.client };
        let start = reply.len();
        let outcome = self.execute(&call, reply);
        if outcome == Outcome::Failed {
            self.note_error(&reply[start..]);
        }
        (outcome, self.account(command, outcome))
    }

    /// This core's shard.
    pub fn shard(&self) -> Ref<'_, Shard> {
        Ref::map(self.shard.borrow(), |held| &**held.as_ref().expect("a core that runs is awake"))
    }

    /// This core's shard, to change it.
    pub fn shard_mut(&self) -> RefMut<'_, Shard> {
        let awake = "a core that runs is awake";
        RefMut::map(self.shard.borrow_mut(), |held| &mut **held.as_mut().expect(awake))
    }

    /// Whether a command of this core's shard may run at once. Not if this core has run another on a borrowed shard in
    /// this tick and has unread messages: that shard may have seen what they bring, and a pipeline must not go back.
    #[must_use]
    pub fn may_run_here(&self) -> bool {
        !self.has_borrowed.get() || self.is_clear_to(self.id)
    }

    /// Runs a command in place on the shard of a core that sleeps; `None` if it must be sent there.
    ///
    /// The same order as if it had been sent: nothing that was sent before is still under way to that shard, neither
    /// from here nor in a flush that is going on. Not for a write that must enter the journal, since only the shard's
    /// own core writes that, and not while anybody tracks keys, since only that core knows who has read them. Nor for a
    /// write under `maxmemory`: what one thread allocates and another frees comes back to the allocator late.
    pub fn run_lent(
        &self,
        shard: usize,
        command: &Registered,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) -> Option<(Outcome, u64)> {
        let Kind::Shard(shard_command) = command.kind else { return None };
        let is_fit = match shard_command.run {
            Run::Read(_) => true,
            Run::Write(_) => self.may_lend_writes(),
            _ => false,
        };
        if !is_fit || self.shared.tracking_count.load(Ordering::Acquire) > 0 {
            return None;
        }
        let mut lent = self.shared.leases.borrow(shard)?;
        if !self.is_clear_to(shard) {
            return None;
        }
        if !lent.locks().is_empty() {
            return None;
        }
        self.note_borrowed();
        lent.hold_expiry(self.is_paused(Flags::WRITE));
        let call =
            Call { command: shard_command, argv, db, resp: caller.resp, client: caller.client };
        let start = reply.len();
        let outcome = lent.execute(self.now.get(), &call, reply);
        let has_effects = !lent.effects_mut().is_empty();
        drop(lent);
        if has_effects {
            // An expired key, a served client, a keyspace event: its own core sees to it.
            self.mailbox.post(shard, Message::Tell(Box::new(Notice::Effects)));
        }
        if outcome == Outcome::Failed {
            self.note_error(&reply[start..]);
        }
        Some((outcome, self.account(command, outcome)))
    }

    /// Whether writes may run on a borrowed shard.
    pub(crate) fn may_lend_writes(&self) -> bool {
        self.shared.log.is_none() && self.memory_limit.get() == 0
    }

    /// Whether nothing is under way to a core.
    pub(crate) fn is_clear_to(&self, core: usize) -> bool {
        self.mailbox.is_clear_to(&self.shared.switchboard, core)
    }

    /// Notes that this core has run something on a borrowed shard: see [`Core::may_run_here`].
    pub(crate) fn note_borrowed(&self) {
        self.has_borrowed.set(true);
    }

    /// Runs a call on this core's shard without counting it.
    pub fn execute(&self, call: &Call<'_>, reply: &mut Vec<u8>) -> Outcome {
        self.execute_at(self.now.get(), call, reply)
    }

    /// The same as if it were `now`: all of a script runs at one moment.
    pub fn execute_at(&self, now: Now, call: &Call<'_>, reply: &mut Vec<u8>) -> Outcome {
        let mut shard = self.shard_mut();
        let outcome = shard.execute(now, call, reply);
        self.track(&mut shard, call, KeysRead::All);
        outcome
    }

    /// Counts a command that has just ended; returns its microseconds.
    pub fn account(&self, command: &Registered, outcome: Outcome) -> u64 {
        let ns = self.lap_ns();
        self.account_ns(command, outcome, ns)
    }

    /// Nanoseconds since the last command ended, which begin anew.
    fn lap_ns(&self) -> u64 {
        let moment = Moment::now();
        moment.ns_since(self.last_moment.replace(moment))
    }

    /// Counts a command whose parts took so many nanoseconds; returns microseconds.
    pub(crate) fn account_split(&self, command: CommandId, ns: u64, outcome: Outcome) -> u64 {
        self.account_ns(self.shared.registry.get(command), outcome, ns)
    }

    fn account_ns(&self, command: &Registered, outcome: Outcome, ns: u64) -> u64 {
        let counters = self.shared.command_statistics[self.id].command(command.id);
        counters.calls.add(1);
        counters.ns.add(ns);
        if self.is_timing.get() {
            counters.times.get_or_init(Histogram::default).add(ns);
        }
        if outcome == Outcome::Failed {
            counters.failed.add(1);
        }
        let us = ns / 1000;
        if us >= self.spike_after_us.get() {
            self.note_spike(command, us / 1000);
        }
        us
    }

    /// Enters a slow command in the latency monitor.
    #[cold]
    pub(super) fn note_spike(&self, command: &Registered, latency_ms: u64) {
        let event = if command.is(Flags::FAST) { "fast-command" } else { "command" };
        self.note_event(event, latency_ms);
    }

    /// Enters something slow in the latency monitor.
    #[cold]
    pub(super) fn note_event(&self, event: &'static str, latency_ms: u64) {
        let unix_time_s = (self.now().unix_us / 1_000_000).unsigned_abs();
        self.shared.latency.push(event, Sample { unix_time_s, latency_ms });
    }

    /// Counts an error reply, given as it is sent or without its `-`.
    pub fn note_error(&self, reply: &[u8]) {
        self.counters.error_replies.increment();
        self.shared.error_statistics[self.id].count(reply);
    }

    /// Measures the command that is ending from `begun_at` on: it has lasted longer than this tick.
    pub fn set_stopwatch(&self, begun_at: Moment) {
        self.last_moment.set(begun_at);
    }

    /// Measures the next command from now on.
    pub fn restart_stopwatch(&self) {
        self.last_moment.set(Moment::now());
    }

    /// Draws from this core's random numbers.
    pub fn with_rng<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    /// When this tick's first command began, or the last one ended: a moment that has certainly passed.
    #[must_use]
    pub fn tick_start(&self) -> Moment {
        self.last_moment.get()
    }

    /// A random number below `bound`, which is not 0.
    #[must_use]
    pub fn random_below(&self, bound: usize) -> usize {
        self.rng.borrow_mut().below(bound)
    }

    /// Sets this core's statistics to zero.
    pub fn reset_statistics(&self) {
        self.shared.command_statistics[self.id].reset();
        self.shared.error_statistics[self.id].reset();
        self.publish_counters();
    }

    /// Until when CLIENT PAUSE holds back a command with these flags; `None` if it does not.
    #[must_use]
    pub fn paused_until(&self, flags: Flags) -> Option<Moment> {
        let until_ms = self.shared.paused_until_ms.load(Ordering::Acquire);
        if until_ms == 0 || !self.is_paused(flags) {
            return None;
        }
        // One more: the pause began within a millisecond, not at its start.
        let wait_ms = until_ms + 1 - clock::unix_us() / 1000;
        (wait_ms > 0).then(|| Moment::now().after(Duration::from_millis(wait_ms.unsigned_abs())))
    }

    /// Whether CLIENT PAUSE holds back commands with these flags.
    #[must_use]
    pub fn is_paused(&self, flags: Flags) -> bool {
        let until_ms = self.shared.paused_until_ms.load(Ordering::Relaxed);
        if until_ms == 0 || until_ms < self.now().unix_ms() {
            return false;
        }
        let is_write = flags.contains(Flags::WRITE) || flags.contains(Flags::MAY_REPLICATE);
        is_write || !self.shared.is_pausing_writes_only.load(Ordering::Relaxed)
    }

    /// Runs a batch. A script in it that does not end in one go, or a transaction with one, is returned with its number:
    /// nothing behind it has run.
    pub(super) fn run_batch(
        self: &Rc<Self>,
        batch: &mut Batch,
    ) -> Option<(usize, Box<Unfinished>)> {
        let mut replies = std::mem::take(&mut batch.replies);
        let mut reply_ends = std::mem::take(&mut batch.reply_ends);
        let unfinished = self.run_range(batch, 0..batch.len(), &mut replies, |end, reply_end| {
            reply_ends.resize(end, reply_end as u32);
        });
        batch.replies = replies;
        batch.reply_ends = reply_ends;
        if unfinished.is_some() {
            return unfinished;
        }
        self.counters().hops_received.add(batch.len() as u64);
        None
    }

    /// Runs `calls` of a batch; `ended` is told, for each call or transaction, the number of the call behind it and
    /// where its reply ends.
    pub(super) fn run_range(
        self: &Rc<Self>,
        batch: &mut Batch,
        calls: Range<usize>,
        replies: &mut Vec<u8>,
        mut ended: impl FnMut(usize, usize),
    ) -> Option<(usize, Box<Unfinished>)> {
        let slow_after_us = self.slow_after_us();
        let caller = Caller { resp: batch.resp, client: batch.client };
        let Range { start: mut index, end } = calls;
        let mut warm_end = index;
        let mut slow = std::mem::take(&mut batch.slow);
        let mut part_ns = std::mem::take(&mut batch.part_ns);
        while index < end {
            if index >= warm_end && end - index > 1 {
                warm_end = end.min(index + WARM_MAX);
                let db = batch.call(index).1;
                // A part has several keys, and sees to them itself.
                let calls = (index..warm_end).filter(|index| !batch.is_part(*index));
                let likely = calls.filter_map(|index| router::likely(batch.call(index).2));
                self.shard().keyspace().database(db).warm(likely);
            }
            let mut note = |index: usize, us: u64| {
                if us >= slow_after_us {
                    slow.push((index as u32, us));
                }
            };
            if let Some((calls, watched)) = batch.unit_at(index) {
                let behind = calls.end;
                let unfinished = self.run_unit(batch, calls, watched, caller, replies, note);
                if let Some(unfinished) = unfinished {
                    batch.slow = slow;
                    batch.part_ns = part_ns;
                    return Some((index, unfinished));
                }
                index = behind;
            } else {
                let (id, db, argv) = batch.call(index);
                let command = self.shared.registry.get(id);
                let us = match command.kind {
                    Kind::Shard(shard_command) if batch.is_part(index) => {
                        // It is counted, and logged if it was slow, when all parts have come together.
                        let Caller { resp, client } = caller;
                        let call = Call { command: shard_command, argv, db, resp, client };
                        let _ = self.execute(&call, replies);
                        part_ns.push((index as u32, self.lap_ns()));
                        index += 1;
                        ended(index, replies.len());
                        continue;
                    }
                    Kind::Shard(_) if self.refuse_for_memory(command, batch.resp, replies) => 0,
                    Kind::Shard(_) => self.run_here(command, db, argv, caller, replies).1,
                    Kind::Server(ServerCommand { run: ServerRun::Script(kind), .. }) => {
                        match self.start_script(command, *kind, db, argv, caller, replies) {
                            Started::Ended(outcome) => self.account(command, outcome),
                            Started::Unfinished(unfinished) => {
                                batch.slow = slow;
                                batch.part_ns = part_ns;
                                return Some((index, unfinished));
                            }
                        }
                    }
                    Kind::Server(_) => {
                        self.publish_here(command, argv, caller, replies);
                        self.account(command, Outcome::Replied)
                    }
                };
                note(index, us);
                index += 1;
            }
            ended(index, replies.len());
        }
        batch.slow = slow;
        batch.part_ns = part_ns;
        None
    }

    /// From how many microseconds on a command is slow; `u64::MAX` if none is.
    #[must_use]
    pub fn slow_after_us(&self) -> u64 {
        u64::try_from(self.settings.borrow().slowlog_log_slower_than_us).unwrap_or(u64::MAX)
    }
}

pub(super) fn spike_after_us(settings: &Settings) -> u64 {
    match settings.latency_monitor_threshold_ms {
        0 => u64::MAX,
        threshold_ms => threshold_ms.saturating_mul(1000),
    }
}
