//! What scripts do with the locks of their shard: one that takes long holds it, one that has written may ask for all
//! shards, and once one has been running for too long, those that wait for it are told.
//!
//! Path: `scripting::paused` -> here -> `shard::locks`; `Notice::Busy` -> [`Core::refuse_waiting`].

use super::{Open, PartialBatch, Place, Task, has_parts};
use crate::connection::exec_abort;
use crate::core::Core;
use crate::message::{Answer, Message, TransactionId};
use crate::scripting::{CANNOT_WIDEN, Running};
use protocol::reply::Writer;
use shard::effects::Journal;
use shard::locks::{Claims, Widened};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// A lock that a script has asked for.
pub(crate) struct ScriptLock {
    pub(crate) id: TransactionId,
    ticket: u32,
}

impl Core {
    /// Asks for a lock for a script that goes on later; `journal` is what it has written so far.
    pub(crate) fn lock_for_script(&self, claims: Claims, journal: Journal) -> ScriptLock {
        let id = self.next_transaction();
        let ticket = self.asks.borrow_mut().open();
        // One that has waited for its lock keeps it.
        let own = self.granted_place.take();
        let (place, is_granted) = match own {
            Some(place) => (place, true),
            None => self.shard_mut().locks_mut().request(claims),
        };
        let task = (!is_granted).then_some(Task::Begin {
            from: self.id,
            ticket,
            then: None,
            is_repeatable: false,
        });
        let mut waiting = self.waiting.borrow_mut();
        waiting.transactions.insert(id, place);
        let open = Open { epoch: self.epoch.get(), is_bound: false, task, journal };
        waiting.open.insert(place, open);
        if is_granted {
            let answer = Box::new(Answer::Done(true));
            self.asks.borrow_mut().answered(ticket, answer);
        }
        ScriptLock { id, ticket }
    }

    /// Waits until the lock is granted.
    pub(crate) async fn wait_for_script_lock(&self, lock: ScriptLock) {
        let _granted = self.await_answer(lock.ticket).await;
    }

    /// Does something for a script that holds its lock: what it writes is kept with the lock.
    pub(crate) fn within_script_lock<T>(&self, id: TransactionId, work: impl FnOnce() -> T) -> T {
        let place = self.waiting.borrow().transactions.get(&id).copied();
        let place = place.expect("a script goes on only while it holds its lock");
        let own = self.take_journal_of(place);
        let shared = std::mem::replace(&mut self.shard_mut().effects_mut().journal, own);
        let result = work();
        let own = std::mem::replace(&mut self.shard_mut().effects_mut().journal, shared);
        self.waiting.borrow_mut().open.get_mut(&place).expect("it is open").journal = own;
        result
    }

    /// Answers commands of clients that wait for a lock with an error, and transactions that have not begun. What is
    /// done in one step over several shards goes on waiting: it has run on others.
    pub(in crate::core) fn refuse_waiting(self: &Rc<Self>, running: &Running) {
        let text = running.busy_error();
        let places: Vec<Place> = {
            let waiting = self.waiting.borrow();
            let shard = self.shard();
            let is_refused = |place: Place, open: &Open| match &open.task {
                Some(Task::Calls { batch, calls }) => {
                    let batch = batch.borrow();
                    let is_needing = |index| {
                        let (id, _, argv) = batch.batch.call(index);
                        self.needs(self.shared.registry.get(id), argv, &running.holds)
                    };
                    !has_parts(&batch, calls.clone()) && calls.clone().any(is_needing)
                }
                Some(Task::Begin { .. }) => {
                    shard.locks().awaited(place).is_some_and(|claims| running.holds.meets(claims))
                }
                _ => false,
            };
            let open = waiting.open.iter().filter(|(place, open)| is_refused(**place, open));
            open.map(|(place, _)| *place).collect()
        };
        let now = self.now();
        for place in places {
            let open = self.waiting.borrow_mut().open.remove(&place);
            let granted = self.shard_mut().unlock(now, place);
            match open.and_then(|open| open.task) {
                Some(Task::Calls { batch, calls }) => {
                    let (next, has_script) =
                        (calls.end, self.has_script(&batch.borrow().batch, calls.clone()));
                    self.refuse_calls(&batch, calls, text);
                    if has_script {
                        self.go_on_with_batch(&batch, next);
                    }
                }
                Some(Task::Begin { from, ticket, .. }) => {
                    self.waiting.borrow_mut().transactions.retain(|_, other| *other != place);
                    let answer = Box::new(Answer::Refused(text));
                    self.post(from, Message::Answer { ticket, answer });
                }
                _ => {}
            }
            self.run_granted(granted);
        }
    }

    /// Answers a command of a batch, or a transaction, with an error instead of running it.
    fn refuse_calls(
        self: &Rc<Self>,
        partial: &Rc<RefCell<PartialBatch>>,
        calls: Range<usize>,
        text: &str,
    ) {
        let mut reply = Vec::new();
        {
            let batch = &partial.borrow().batch;
            let text: Cow<'_, [u8]> = match batch.unit_at(calls.start) {
                Some((_, watched)) => {
                    watched.into_iter().for_each(|watched| self.unwatch(watched));
                    exec_abort(text.as_bytes()).into()
                }
                None => text.as_bytes().into(),
            };
            Writer::new(&mut reply, batch.resp).error(&text);
            self.note_error(&text);
        }
        self.calls_done(partial, calls, reply);
    }

    /// Asks for the whole shard anew, as of now, for a script that holds it: those who came in between and do not need
    /// what it has `touched` go first, since they may have been on other shards already. Transactions that need it and
    /// have asked for nothing but their locks ask anew. If somebody else needs it who may have been elsewhere, there is
    /// no order for the two, and the script is refused.
    pub(super) fn widen(
        self: &Rc<Self>,
        from: usize,
        ticket: u32,
        id: TransactionId,
        touched: &Claims,
    ) {
        let place = self.waiting.borrow().transactions.get(&id).copied();
        let place = place.expect("a script widens the lock that it holds");
        let may_go = |place: Place| {
            let is_idle =
                |open: &Open| matches!(open.task, Some(Task::Begin { is_repeatable: true, .. }));
            self.waiting.borrow().open.get(&place).is_some_and(is_idle)
        };
        let (behind, going) = self.shard().locks().behind(place, touched, may_go);
        let is_elsewhere = |place: &Place| self.waiting.borrow().open[place].is_bound;
        if behind.iter().any(is_elsewhere) {
            let answer = Box::new(Answer::Refused(CANNOT_WIDEN));
            return self.post(from, Message::Answer { ticket, answer });
        }
        for place in going {
            self.send_back(place);
        }
        let Widened { id: new, moved, mut granted } =
            self.shard_mut().locks_mut().widen(place, &behind);
        {
            let mut waiting = self.waiting.borrow_mut();
            let waiting = &mut *waiting;
            let journal = waiting.open.remove(&place).expect("it is open").journal;
            let task = Some(Task::Begin { from, ticket, then: None, is_repeatable: false });
            let open = Open { epoch: self.epoch.get(), is_bound: true, task, journal };
            waiting.open.insert(new, open);
            let moved: BTreeMap<Place, Place> = moved.into_iter().chain([(place, new)]).collect();
            for (old, new) in moved.iter().filter(|(old, _)| **old != place) {
                let open = waiting.open.remove(old).expect("it is open");
                waiting.open.insert(*new, open);
            }
            for place in waiting.transactions.values_mut() {
                *place = moved.get(place).copied().unwrap_or(*place);
            }
        }
        granted.sort_unstable();
        self.run_granted(granted);
    }

    /// A transaction that waits and has not begun is to ask anew for all its locks.
    fn send_back(self: &Rc<Self>, place: Place) {
        self.shard_mut().locks_mut().remove(place);
        let mut waiting = self.waiting.borrow_mut();
        waiting.transactions.retain(|_, other| *other != place);
        let open = waiting.open.remove(&place);
        drop(waiting);
        if let Some(Task::Begin { from, ticket, .. }) = open.and_then(|open| open.task) {
            self.post(from, Message::Answer { ticket, answer: Box::new(Answer::Again) });
        }
    }

    /// A script that held a lock has ended.
    pub(crate) fn unlock_for_script(self: &Rc<Self>, id: TransactionId) {
        let place = self.waiting.borrow_mut().transactions.remove(&id);
        let granted = self.end(place.expect("it was locked"));
        self.run_granted(granted);
    }
}
