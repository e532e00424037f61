//! What a core does for locks of its shard: commands that meet one wait here, transactions over several shards hold them.
//!
//! Path: `Core::handle` -> here -> `shard::locks`. Everything that waits runs in the order in which it came, as soon as
//! nothing before it holds or wants its keys. What may be part of something that has run on other shards already runs in
//! the epoch in which it came, so that the log keeps both or none: an epoch is not closed while something of it is open here
//! (`Core::closable_epoch`). What concerns this shard alone, a command that waits or a long script, keeps no epoch open: it
//! runs in that of the first one behind it that does, or else in the present one. What a transaction writes enters the
//! journal when it ends.
//! Invariant: every request in the shard's locks has its place in [`Waiting`].

mod scripts;

pub(crate) use scripts::ScriptLock;

use super::{Caller, Core};
use crate::batch::Batch;
use crate::commands::ServerRun;
use crate::mailbox::Epochs;
use crate::message::{Answer, Message, OwnedCall, Question, TransactionId};
use crate::registry::Kind;
use crate::router;
use crate::scripting::{Then, Unfinished};
use protocol::command::{Flags, KeyFlags, key_spec};
use protocol::request::Argv;
use shard::Outcome;
use shard::call::ClientFacts;
use shard::commands::{Command, Run};
use shard::effects::Journal;
use shard::locks::{Claims, LockId as Place, Mode};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

/// Everything at one core that holds a lock or waits for one.
#[derive(Default)]
pub(super) struct Waiting {
    /// By place in the shard's locks, so in the order in which they came.
    open: BTreeMap<Place, Open>,
    /// The transactions among them, by the number that their coordinator has given them.
    transactions: HashMap<TransactionId, Place>,
}

/// One that holds a lock or waits for one.
struct Open {
    /// The epoch of the flush that brought it.
    epoch: Epochs,
    /// Whether that is the epoch it runs in: others may have run in it on other shards.
    is_bound: bool,
    /// What to do once its lock is granted; `None` once that is done.
    task: Option<Task>,
    /// What a transaction has written so far.
    journal: Journal,
}

/// What waits for a lock.
enum Task {
    /// A question that is answered at one moment; the lock goes with it.
    Ask { from: usize, ticket: u32, question: Question },
    /// A transaction begins, and keeps the lock.
    Begin { from: usize, ticket: u32, then: Option<Question>, is_repeatable: bool },
    /// Calls of a batch: one, or a transaction.
    Calls { batch: Rc<RefCell<PartialBatch>>, calls: Range<usize> },
}

/// A batch some of whose calls wait.
struct PartialBatch {
    batch: Box<Batch>,
    from: usize,
    /// Replies by the first call each is for.
    replies: BTreeMap<usize, Vec<u8>>,
    /// Calls that have not run.
    left_count: usize,
}

impl Core {
    /// Whether a command of this core's shard must wait for a lock.
    #[inline]
    pub(crate) fn must_wait(&self, command: &Command, argv: Argv<'_>) -> bool {
        let shard = self.shard();
        !shard.locks().is_empty() && shard.locks().is_in_the_way(&self.claims(command, argv))
    }

    /// Whether a transaction of this core's shard must wait for a lock.
    pub(crate) fn must_unit_wait(&self, queue: &Batch, calls: Range<usize>) -> bool {
        let shard = self.shard();
        !shard.locks().is_empty()
            && shard.locks().is_in_the_way(&self.claims_of_calls(queue, calls))
    }

    /// Whether a question about keys of this core's shard must wait for a lock.
    pub(super) fn must_ask_wait(&self, question: &Question) -> bool {
        if matches!(question, Question::Lock { .. } | Question::Widen { .. }) {
            return true;
        }
        let shard = self.shard();
        !shard.locks().is_empty()
            && self
                .claims_of_question(question)
                .is_some_and(|claims| shard.locks().is_in_the_way(&claims))
    }

    /// The epoch before which all may be closed: `epoch`, unless something of an earlier one is open.
    pub(super) fn closable_epoch(&self, epoch: Epochs) -> Epochs {
        let waiting = self.waiting.borrow();
        let bound = waiting.open.values().find(|open| open.is_bound);
        bound.map_or(epoch, |open| open.epoch.min(epoch))
    }

    /// The epoch that something runs in.
    fn epoch_of(&self, place: Place) -> Epochs {
        let waiting = self.waiting.borrow();
        let bound = waiting.open.range(place..).map(|(_, open)| open).find(|open| open.is_bound);
        bound.map_or(self.epoch.get(), |open| open.epoch.min(self.epoch.get()))
    }

    // ---- asked

    /// Answers a question, now or when its lock is granted.
    pub(super) fn answer_in_turn(self: &Rc<Self>, from: usize, ticket: u32, question: Question) {
        let (claims, task) = match question {
            Question::Lock { id, claims, then, is_repeatable } => {
                let then = then.map(|then| *then);
                let task = Task::Begin { from, ticket, then, is_repeatable };
                let (place, is_granted) = self.shard_mut().locks_mut().request(claims);
                self.waiting.borrow_mut().transactions.insert(id, place);
                self.enter(place, task);
                if is_granted {
                    self.run_granted(vec![place]);
                }
                return;
            }
            Question::Widen { id, touched } => return self.widen(from, ticket, id, &touched),
            Question::Under { id, then, now, is_last } => {
                let present = self.now();
                self.set_now(now.unwrap_or(present));
                let answer = self.answer_under(id, then.map(|then| *then));
                self.set_now(present);
                if is_last {
                    self.release(id);
                }
                self.post(from, Message::Answer { ticket, answer: Box::new(answer) });
                return;
            }
            Question::Publish(command, argv, resp) => {
                let mut reply = Vec::new();
                let caller = Caller { resp, client: ClientFacts::default() };
                let command = self.shared.registry.get(command);
                self.publish_here(command, argv.as_argv(), caller, &mut reply);
                let answer = Box::new(Answer::Reply(reply));
                self.post(from, Message::Answer { ticket, answer });
                return;
            }
            question if self.must_ask_wait(&question) => {
                let claims = self.claims_of_question(&question).unwrap_or_default();
                (claims, Task::Ask { from, ticket, question })
            }
            question => {
                let answer = Box::new(self.answer(question));
                self.post(from, Message::Answer { ticket, answer });
                return;
            }
        };
        let (place, _) = self.shard_mut().locks_mut().request(claims);
        self.enter(place, task);
    }

    /// Ends a transaction that has nothing more to do here.
    pub(super) fn release(self: &Rc<Self>, id: TransactionId) {
        // It may have been refused its lock since it was released.
        let is_there = self.waiting.borrow().transactions.contains_key(&id);
        if is_there {
            let place = self.waiting.borrow_mut().transactions.remove(&id).expect("it is there");
            self.answer_given_up(place);
            let granted = self.end(place);
            self.run_granted(granted);
        }
    }

    /// Does something for a transaction that holds its lock.
    fn answer_under(self: &Rc<Self>, id: TransactionId, question: Option<Question>) -> Answer {
        let place = self.waiting.borrow().transactions.get(&id).copied();
        let place = place.expect("a transaction asks only where it holds a lock");
        let mut answer = Answer::Done(true);
        if let Some(question) = question {
            let own = self.take_journal_of(place);
            let shared = std::mem::replace(&mut self.shard_mut().effects_mut().journal, own);
            answer = self.answer(question);
            let own = std::mem::replace(&mut self.shard_mut().effects_mut().journal, shared);
            self.waiting.borrow_mut().open.get_mut(&place).expect("it is open").journal = own;
        }
        answer
    }

    /// Answers one that gives up before it has its lock: nobody must wait for an answer that never comes.
    fn answer_given_up(self: &Rc<Self>, place: Place) {
        let task = self.waiting.borrow_mut().open.get_mut(&place).and_then(|open| open.task.take());
        if let Some(Task::Begin { from, ticket, .. }) = task {
            self.post(from, Message::Answer { ticket, answer: Box::new(Answer::Done(false)) });
        }
    }

    fn take_journal_of(&self, place: Place) -> Journal {
        let mut waiting = self.waiting.borrow_mut();
        std::mem::take(&mut waiting.open.get_mut(&place).expect("it is open").journal)
    }

    // ---- batches

    /// Runs the commands of a batch while something is locked: those that meet no lock at once.
    pub(super) fn run_batch_in_turn(self: &Rc<Self>, from: usize, batch: Box<Batch>) {
        let left_count = batch.len();
        let partial = PartialBatch { batch, from, replies: BTreeMap::new(), left_count };
        self.go_on_with_batch(&Rc::new(RefCell::new(partial)), 0);
    }

    /// A script that is call `index` of a batch has not ended in one go: the calls behind it wait until it has.
    pub(super) fn split_batch(
        self: &Rc<Self>,
        from: usize,
        mut batch: Box<Batch>,
        index: usize,
        unfinished: Box<Unfinished>,
    ) {
        let mut replies = BTreeMap::new();
        let done = std::mem::take(&mut batch.replies);
        let (mut start, mut call) = (0, 0);
        while call < index {
            let next = batch.unit_at(call).map_or(call + 1, |(calls, _)| calls.end);
            let end = batch.reply_ends[next - 1] as usize;
            replies.insert(call, done[start..end].to_vec());
            (start, call) = (end, next);
        }
        let left_count = batch.len() - index;
        let partial = PartialBatch { batch, from, replies, left_count };
        self.wait_for_script(&Rc::new(RefCell::new(partial)), index, unfinished);
    }

    /// Takes a script of a batch to its end; the calls behind it wait for that.
    fn wait_for_script(
        self: &Rc<Self>,
        partial: &Rc<RefCell<PartialBatch>>,
        index: usize,
        unfinished: Box<Unfinished>,
    ) {
        let (partial, begun_at) = (partial.clone(), self.tick_start());
        let unit = partial.borrow().batch.unit_at(index).map(|(calls, _)| calls);
        let done = move |core: &Rc<Core>, reply: Vec<u8>| {
            // The commands of a transaction have been counted by themselves.
            if unit.is_none() {
                core.set_stopwatch(begun_at);
                let command = core.shared.registry.get(partial.borrow().batch.call(index).0);
                let outcome = match reply.first() {
                    Some(b'-') => Outcome::Failed,
                    _ => Outcome::Replied,
                };
                let us = core.account(command, outcome);
                if us >= core.slow_after_us() {
                    partial.borrow_mut().batch.slow.push((index as u32, us));
                }
            }
            let calls = unit.clone().unwrap_or(index..index + 1);
            let next = calls.end;
            core.calls_done(&partial, calls, reply);
            core.go_on_with_batch(&partial, next);
        };
        self.finish_script(unfinished, Then::Batch(Box::new(done)));
    }

    /// Runs calls of a batch from `first` on. One that meets a lock waits, and others overtake it; but none overtakes a
    /// script, which may give its lock back in order to ask for more.
    fn go_on_with_batch(self: &Rc<Self>, partial: &Rc<RefCell<PartialBatch>>, first: usize) {
        let mut index = first;
        while index < partial.borrow().batch.len() {
            let (calls, claims) = {
                let batch = &partial.borrow().batch;
                let calls = batch.unit_at(index).map_or(index..index + 1, |(calls, _)| calls);
                let claims = self.claims_of_calls(batch, calls.clone());
                (calls, claims)
            };
            index = calls.end;
            if self.shard().locks().is_in_the_way(&claims) {
                let (place, _) = self.shard_mut().locks_mut().request(claims);
                let has_script = self.has_script(&partial.borrow().batch, calls.clone());
                self.enter(place, Task::Calls { batch: partial.clone(), calls });
                if has_script {
                    return;
                }
            } else if let Some(unfinished) = self.run_calls(partial, calls.clone()) {
                return self.wait_for_script(partial, calls.start, unfinished);
            }
        }
    }

    /// Whether one of the calls is a script.
    pub(crate) fn has_script(&self, batch: &Batch, mut calls: Range<usize>) -> bool {
        calls.any(|index| self.shared.registry.get(batch.call(index).0).is_script())
    }

    /// Runs calls of a batch; the last of them sends it back. A script that has not ended is returned.
    fn run_calls(
        self: &Rc<Self>,
        partial: &Rc<RefCell<PartialBatch>>,
        calls: Range<usize>,
    ) -> Option<Box<Unfinished>> {
        let mut reply = Vec::new();
        let unfinished = {
            let batch = &mut partial.borrow_mut().batch;
            self.run_range(batch, calls.clone(), &mut reply, |_, _| {})
        };
        match unfinished {
            Some((_, unfinished)) => Some(unfinished),
            None => {
                self.calls_done(partial, calls, reply);
                None
            }
        }
    }

    /// Notes the reply of calls of a batch; the last of them sends it back.
    fn calls_done(
        self: &Rc<Self>,
        partial: &Rc<RefCell<PartialBatch>>,
        calls: Range<usize>,
        reply: Vec<u8>,
    ) {
        let mut partial = partial.borrow_mut();
        let partial = &mut *partial;
        partial.left_count -= calls.len();
        partial.replies.insert(calls.start, reply);
        if partial.left_count > 0 {
            return;
        }
        let mut batch = std::mem::take(&mut partial.batch);
        batch.reply_ends.clear();
        let mut replies = std::mem::take(&mut batch.replies);
        let parts = std::mem::take(&mut partial.replies);
        let starts: Vec<usize> = parts.keys().copied().chain([batch.len()]).collect();
        for ((_, part), next) in parts.iter().zip(&starts[1..]) {
            replies.extend_from_slice(part);
            batch.reply_ends.resize(*next, replies.len() as u32);
        }
        batch.replies = replies;
        self.counters().hops_received.add(batch.len() as u64);
        self.post(partial.from, Message::BatchDone(batch));
    }

    // ---- granted

    fn enter(&self, place: Place, task: Task) {
        let is_bound = match &task {
            Task::Calls { batch, calls } => has_parts(&batch.borrow(), calls.clone()),
            _ => true,
        };
        let (epoch, journal) = (self.epoch.get(), Journal::default());
        let open = Open { epoch, is_bound, task: Some(task), journal };
        self.waiting.borrow_mut().open.insert(place, open);
    }

    /// Runs what was granted, and what is granted because of that.
    fn run_granted(self: &Rc<Self>, granted: Vec<Place>) {
        let mut granted = VecDeque::from(granted);
        while let Some(place) = granted.pop_front() {
            let task = {
                let mut waiting = self.waiting.borrow_mut();
                let open = waiting.open.get_mut(&place).expect("who is granted something waits");
                open.task.take().expect("a lock is granted once")
            };
            let epoch = self.epoch_of(place);
            if let Task::Begin { from, ticket, then, .. } = task {
                // It reads, and what it removes because its time has come is in the log at once.
                let answer = then.map_or(Answer::Done(false), |then| {
                    self.within_epoch(epoch, || self.answer(then))
                });
                self.post(from, Message::Answer { ticket, answer: Box::new(answer) });
                continue;
            }
            self.granted_place.set(Some(place));
            let ended = self.within_epoch(epoch, || match task {
                Task::Ask { from, ticket, question } => {
                    let answer = Box::new(self.answer(question));
                    self.post(from, Message::Answer { ticket, answer });
                    None
                }
                Task::Calls { batch, calls } => {
                    let has_script = self.has_script(&batch.borrow().batch, calls.clone());
                    if let Some(unfinished) = self.run_calls(&batch, calls.clone()) {
                        self.wait_for_script(&batch, calls.start, unfinished);
                        return None;
                    }
                    has_script.then_some((batch, calls.end))
                }
                Task::Begin { .. } => unreachable!("handled above"),
            });
            // A script that has paused has taken it.
            if self.granted_place.take().is_some() {
                granted.extend(self.end(place));
            }
            if let Some((batch, next)) = ended {
                self.go_on_with_batch(&batch, next);
            }
        }
    }

    /// Gives back a lock; returns who gets one now.
    fn end(&self, place: Place) -> Vec<Place> {
        let epoch = self.epoch_of(place);
        let journal = self.take_journal_of(place);
        let granted = self.within_epoch(epoch, || {
            let now = self.now();
            let mut shard = self.shard_mut();
            shard.effects_mut().journal.append_all(&journal);
            shard.unlock(now, place)
        });
        // Only now may its epoch be closed.
        self.waiting.borrow_mut().open.remove(&place);
        granted
    }

    /// Does something whose journal entries lie in `epoch`, which is not closed yet.
    fn within_epoch<T>(&self, epoch: Epochs, work: impl FnOnce() -> T) -> T {
        let current = self.epoch.get();
        if epoch == current {
            return work();
        }
        self.commit_journal();
        self.epoch.set(epoch);
        let result = work();
        self.commit_journal();
        self.epoch.set(current);
        result
    }

    /// The server is stopping, and no message comes any more: transactions that have not ended never will, and are on no
    /// shard; parts of commands that have run on other shards run here too.
    pub(super) fn settle_waiting(self: &Rc<Self>) {
        loop {
            let given_up = {
                let waiting = self.waiting.borrow();
                waiting.transactions.iter().next().map(|(id, place)| (*id, *place))
            };
            let Some((id, place)) = given_up else { return };
            let mut waiting = self.waiting.borrow_mut();
            waiting.transactions.remove(&id);
            waiting.open.remove(&place);
            drop(waiting);
            let now = self.now();
            let granted = self.shard_mut().unlock(now, place);
            self.run_granted(granted);
        }
    }

    // ---- claims

    /// What a command claims of this core's shard.
    pub(crate) fn claims(&self, command: &Command, argv: Argv<'_>) -> Claims {
        claims(command, argv, |key| router::shard_of(self, Some(key)) == self.id)
    }

    fn claims_of_calls(&self, batch: &Batch, calls: Range<usize>) -> Claims {
        let mut all = Claims::default();
        for index in calls {
            let (id, _, argv) = batch.call(index);
            let registered = self.shared.registry.get(id);
            match registered.kind {
                Kind::Shard(command) => all.join(self.claims(command, argv)),
                Kind::Server(command) if matches!(command.run, ServerRun::Script(_)) => {
                    // It may touch more of the shard than it declares.
                    let mode = match registered.is(Flags::READONLY) {
                        true => Mode::Shared,
                        false => Mode::Exclusive,
                    };
                    all.join(Claims::whole(mode));
                }
                Kind::Server(_) => {}
            }
        }
        all
    }

    /// What a question claims of this core's shard; `None` if it has nothing to do with keys, or holds its lock already.
    fn claims_of_question(&self, question: &Question) -> Option<Claims> {
        let claims = |call: &OwnedCall| Some(self.claims(call.command, call.argv.as_argv()));
        match question {
            Question::Run(call)
            | Question::Pieces(call, _)
            | Question::Apply(call, _)
            | Question::CheckKeys(call, _)
            | Question::ServeKeys(call, _)
            | Question::TryServe(call, _) => claims(call),
            Question::RunAll(calls) => {
                let mut all = Claims::default();
                calls.iter().filter_map(claims).for_each(|claims| all.join(claims));
                Some(all)
            }
            Question::Wait(waiter, _) => Some(self.claims(waiter.command, waiter.argv.as_argv())),
            Question::All(questions) => {
                let mut all = Claims::default();
                for claims in questions.iter().filter_map(|one| self.claims_of_question(one)) {
                    all.join(claims);
                }
                Some(all)
            }
            Question::Lock { .. }
            | Question::Widen { .. }
            | Question::Under { .. }
            | Question::Watch(_)
            | Question::EndWatch(_)
            | Question::Publish(..)
            | Question::Subscribe(_)
            | Question::Core(_) => None,
        }
    }
}

/// Whether one of the calls is part of a command that runs on other shards too.
fn has_parts(batch: &PartialBatch, mut calls: Range<usize>) -> bool {
    calls.any(|index| batch.batch.is_part(index))
}

/// What a command claims of the keys for which `is_here` is true: to read what it only reads, else to write.
pub(crate) fn claims(command: &Command, argv: Argv<'_>, is_here: impl Fn(&[u8]) -> bool) -> Claims {
    let is_write = command.spec.flags.contains(Flags::WRITE);
    let specs = command.keys(argv);
    let has_reach = matches!(command.run, Run::Steps(_));
    let is_incomplete =
        !has_reach && specs.iter().any(|spec| spec.flags.contains(KeyFlags::INCOMPLETE));
    let is_everywhere =
        matches!(command.run, Run::EveryShard { .. } | Run::Scan(_) | Run::AnyShard(_));
    if is_incomplete || is_everywhere {
        return Claims::whole(if is_write { Mode::Exclusive } else { Mode::Shared });
    }
    let mut claims = match router::reaches_anywhere(command, argv) {
        true => Claims::whole(Mode::Shared),
        false => Claims::default(),
    };
    let extra = command.extra_key(argv).and_then(|index| argv.get(index));
    if let Some(key) = extra.filter(|key| is_here(key)) {
        claims.add(key, Mode::Exclusive);
    }
    for spec in specs {
        let is_read = !is_write || spec.flags.contains(KeyFlags::RO);
        let mode = if is_read { Mode::Shared } else { Mode::Exclusive };
        key_spec::key_indices(std::slice::from_ref(spec), argv, |index| {
            if let Some(key) = argv.get(index).filter(|key| is_here(key)) {
                claims.add(key, mode);
            }
        });
    }
    claims
}
