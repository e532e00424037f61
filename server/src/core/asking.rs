//! How a core talks to others and to itself: messages handled, posted, and questions asked and answered.
//!
//! Path: `mailbox` -> [`Core::handle`]; `transaction` and `commands` -> [`Core::start_ask`] -> `mailbox` -> `answers`.

use super::Core;
use crate::batch::Batch;
use crate::message::{Answer, Message, Notice, Question, TransactionId};
use crate::peer::Unblocked;
use crate::runtime::executor;
use crate::runtime::reactor::SocketKey;
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Questions that wait for an answer.
#[derive(Default)]
pub(super) struct Asks {
    waiting: HashMap<u32, Ask>,
    next_ticket: u32,
}

enum Ask {
    Waiting(Option<Waker>),
    Answered(Box<Answer>),
}

impl Core {
    pub(super) fn handle(self: &Rc<Self>, from: usize, message: Message) {
        match message {
            Message::Batch(batch) if !self.shard().locks().is_empty() => {
                self.run_batch_in_turn(from, batch);
            }
            Message::Batch(mut batch) => match self.run_batch(&mut batch) {
                None => self.post(from, Message::BatchDone(batch)),
                Some((index, unfinished)) => self.split_batch(from, batch, index, unfinished),
            },
            Message::BatchDone(batch) => {
                if let Some(peer) = self.peer(batch.token) {
                    peer.batch_done(batch);
                }
            }
            Message::Connection(connection) => self.adopt(*connection),
            Message::Ask { ticket, question } => self.answer_in_turn(from, ticket, *question),
            Message::Answer { ticket, answer } => self.asks.borrow_mut().answered(ticket, answer),
            Message::Deliver(delivery) => self.deliver(&delivery),
            Message::Served { token, reply } => self.unblock_served(token, reply),
            Message::Many(messages) => {
                messages.into_iter().for_each(|message| self.handle(from, message));
            }
            Message::Tell(notice) => self.heed(*notice),
        }
    }

    /// Hands a client of this core the reply that it waits for.
    pub(super) fn unblock_served(&self, token: SocketKey, reply: Vec<u8>) {
        if let Some(peer) = self.peer(token) {
            self.reactor.note_activity();
            peer.unblock(Unblocked::Served(reply));
        }
    }

    /// Sends a message to a core; to this one, it is handled at once.
    pub fn post(self: &Rc<Self>, core: usize, message: Message) {
        if core == self.id {
            self.handle(core, message);
        } else {
            self.mailbox.post(core, message);
        }
    }

    /// Sends the commands of a connection to a core, which may be this one; they run in the order of the flushes.
    pub fn post_batch(&self, core: usize, batch: Box<Batch>) {
        self.mailbox.post(core, Message::Batch(batch));
    }

    /// Sends a message to a core, which may be this one, with the next flush.
    pub(crate) fn post_in_turn(&self, core: usize, message: Message) {
        self.mailbox.post(core, message);
    }

    /// A number for a transaction over several shards.
    pub(crate) fn next_transaction(&self) -> TransactionId {
        let count = self.transaction_count.get() + 1;
        self.transaction_count.set(count);
        (self.id as u64) << 48 | count
    }

    /// Sends a message to another core.
    pub(crate) fn post_away(&self, core: usize, message: Message) {
        self.mailbox.post(core, message);
    }

    /// Asks a core and waits for its answer; this core answers at once, unless a lock is in the way.
    pub async fn ask(&self, core: usize, question: Question) -> Answer {
        if core == self.id && !self.must_ask_wait(&question) {
            return self.answer(question);
        }
        let ticket = self.asks.borrow_mut().open();
        self.mailbox.post(core, Message::Ask { ticket, question: Box::new(question) });
        self.await_answer(ticket).await
    }

    /// Asks every core, in parallel; the answers come in the order of the cores.
    pub async fn ask_all(&self, mut question: impl FnMut(usize) -> Question) -> Vec<Answer> {
        let cores = 0..self.shared.shard_count();
        let asks: Vec<_> = cores.map(|core| self.start_ask(core, question(core))).collect();
        let mut answers = Vec::with_capacity(asks.len());
        for ask in asks {
            answers.push(ask.await);
        }
        answers
    }

    /// Asks a core, which may be this one, with the next flush; the future returned waits for the answer.
    ///
    /// All that is asked in one tick is answered at one moment of the order in which flushes run, on all cores: so a
    /// command that asks several cores once is atomic.
    pub fn start_ask(&self, core: usize, question: Question) -> impl Future<Output = Answer> + '_ {
        let ticket = self.asks.borrow_mut().open();
        self.mailbox.post(core, Message::Ask { ticket, question: Box::new(question) });
        self.await_answer(ticket)
    }

    /// A number under which this core waits for an answer that it gives itself.
    pub(crate) fn open_ticket(&self) -> u32 {
        self.asks.borrow_mut().open()
    }

    /// Answers what waits under `ticket`.
    pub(crate) fn answered(&self, ticket: u32, reply: Vec<u8>) {
        self.asks.borrow_mut().answered(ticket, Box::new(Answer::Reply(reply)));
    }

    /// Runs what would block this core on a thread of its own, and waits for its answer.
    ///
    /// # Panics
    /// If the system has no thread left.
    pub fn run_aside(
        &self,
        name: &str,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> impl Future<Output = Answer> + '_ {
        let ticket = self.asks.borrow_mut().open();
        let (shared, id) = (self.shared.clone(), self.id);
        executor::spawn_aside(name, move || {
            let answer = Box::new(work());
            shared.inboxes[id].post(Message::Answer { ticket, answer });
        });
        self.await_answer(ticket)
    }

    pub(crate) fn await_answer(&self, ticket: u32) -> impl Future<Output = Answer> + '_ {
        poll_fn(move |cx| {
            self.reactor.note_activity();
            self.asks.borrow_mut().poll(ticket, cx.waker())
        })
    }

    /// Tells a core something; this one heeds it at once.
    pub(crate) fn tell(self: &Rc<Self>, core: usize, notice: Notice) {
        if core == self.id {
            self.heed(notice);
        } else {
            self.mailbox.post(core, Message::Tell(Box::new(notice)));
        }
    }

    pub(super) fn heed(self: &Rc<Self>, notice: Notice) {
        match notice {
            Notice::Monitor(line) => self.send_to_monitors(&line),
            Notice::Busy(running) => self.refuse_waiting(&running),
            Notice::Release(id) => self.release(id),
            Notice::Unwatch(watched) => self.unwatch(&watched),
            Notice::Forget(waiter, key_indices) => {
                self.shard_mut().forget_waiter(self.now(), &waiter, &key_indices);
            }
            Notice::Unpaused => self.peers().iter().for_each(|peer| peer.wake()),
            Notice::Signal(signal) => self.heed_signal(signal),
            // Every tick looks at the effects of its shard, and at its memory.
            Notice::Effects | Notice::MemoryFull => {}
            Notice::Shutdown => self.is_stopping.set(true),
            Notice::Invalidate(messages) => self.deliver_invalidations(&messages),
            Notice::Publish(notifications) => self.publish_all(&notifications),
        }
    }
}

impl Asks {
    pub(super) fn open(&mut self) -> u32 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.waiting.insert(ticket, Ask::Waiting(None));
        ticket
    }

    pub(super) fn answered(&mut self, ticket: u32, answer: Box<Answer>) {
        let former = self.waiting.insert(ticket, Ask::Answered(answer));
        if let Some(Ask::Waiting(Some(waker))) = former {
            waker.wake();
        }
    }

    pub(super) fn poll(&mut self, ticket: u32, waker: &Waker) -> Poll<Answer> {
        match self.waiting.remove(&ticket) {
            Some(Ask::Answered(answer)) => Poll::Ready(*answer),
            _ => {
                self.waiting.insert(ticket, Ask::Waiting(Some(waker.clone())));
                Poll::Pending
            }
        }
    }
}
