//! A core: one thread that owns a shard, connections, mailboxes and a ring, and drives them tick by tick.
//!
//! One tick ([`Core::drive`]): take what the kernel has finished, drain the mailbox, let the woken connections run,
//! write the journal, publish what is for other cores, send replies, sleep if nothing is left. The driver task is the
//! only thing that blocks, and it blocks in the ring.

use crate::batch::Batch;
use crate::clients::ClientFlags;
use crate::commands::{ServerCommand, ServerRun};
use crate::connection::{self, Ahead, Exchange, Session};
use crate::journal::Journal;
use crate::listener::CoreListeners;
use crate::mailbox::{Arrived, Epochs, Mailbox};
use crate::message::{Answer, Message, NewConnection, Notice, Question};
use crate::options::shard_options;
use crate::peer::{Close, Peer, Unblocked};
use crate::pubsub::{Delivery, PubSub, Topic};
use crate::registry::{Kind, Registered};
use crate::runtime::clock::{self, Moment};
use crate::runtime::executor;
use crate::runtime::reactor::{Reactor, SocketKey};
use crate::shared::Shared;
use crate::tracking::{KeysRead, Tracking};
use ops::config::Settings;
use ops::latency::Sample;
use ops::metrics::CoreCounters;
use protocol::command::Flags;
use protocol::reply::Writer;
use protocol::request::Argv;
use protocol::slot::slot_of;
use shard::call::ClientFacts;
use shard::keyspace::WARM_MAX;
use shard::rng::Rng;
use shard::{Call, Now, Outcome, Shard};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Rounds of tasks per tick before the core looks at its ring again.
const ROUNDS_MAX: usize = 4;
/// Longest sleep: the core looks at its clock-driven work at least this often.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// How soon a core tries again when another core's mailbox is full.
const RETRY_AFTER: Duration = Duration::from_micros(100);
/// How often a core expires keys and frees memory while there is more to do, in microseconds; else it is `hz` times
/// per second.
const UPKEEP_BUSY_US: i64 = 1_000;
/// Entries looked at, and freed, each time: well under a millisecond.
const EXPIRE_BUDGET: usize = 2_000;
const FREE_BUDGET: usize = 2_000;
/// Spare batches and exchanges a core keeps.
const SPARE_COUNT_MAX: usize = 64;

/// One core. Everything in it belongs to its thread, apart from [`Shared`].
pub struct Core {
    /// Its number, which is also that of its shard.
    pub id: usize,
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// Its ring.
    pub reactor: Rc<Reactor>,
    /// Its data.
    pub shard: RefCell<Shard>,
    /// Its subscriptions.
    pub pubsub: RefCell<PubSub>,
    pub(crate) listeners: RefCell<CoreListeners>,
    journal: RefCell<Option<Journal>>,
    /// Who may hold copies of its shard's values.
    pub tracking: RefCell<Tracking>,
    settings: RefCell<Arc<Settings>>,
    counters: Arc<CoreCounters>,
    mailbox: Mailbox,
    peers: RefCell<Vec<Option<Rc<Peer>>>>,
    asks: RefCell<Asks>,
    spare_batches: RefCell<Vec<Box<Batch>>>,
    spare_exchanges: RefCell<Vec<Box<Exchange>>>,
    spare_ahead: RefCell<Option<Ahead>>,
    rng: RefCell<Rng>,
    now: Cell<Now>,
    /// The epoch of what the shard does now.
    epoch: Cell<Epochs>,
    /// When the last command ended: what the next one's duration is measured from.
    last_moment: Cell<Moment>,
    /// When [`Core::keep_house`] has something to do again, in microseconds since 1970.
    next_upkeep_us: Cell<i64>,
    /// When [`Core::tend_connections`] is due again, in microseconds since 1970.
    next_tending_us: Cell<i64>,
    /// From how many microseconds on a command is a latency spike; `u64::MAX` if none is.
    spike_after_us: Cell<u64>,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub is_expiring: Cell<bool>,
    is_stopping: Cell<bool>,
}

/// Questions that wait for an answer.
#[derive(Default)]
struct Asks {
    waiting: HashMap<u32, Ask>,
    next_ticket: u32,
}

enum Ask {
    Waiting(Option<Waker>),
    Answered(Box<Answer>),
}

impl Core {
    /// A core around its shard.
    #[must_use]
    pub fn new(
        id: usize,
        shared: Arc<Shared>,
        reactor: Rc<Reactor>,
        mailbox: Mailbox,
        shard: Shard,
        journal: Option<Journal>,
    ) -> Rc<Core> {
        let settings = Arc::new(shared.config().settings().clone());
        let counters = shared.metrics.core(id);
        shared.switchboard.set_wake_fd(id, reactor.wake_fd());
        let bell = reactor.signal_sender().expect("a few descriptors are left at the start");
        shared.inboxes[id].set_bell(bell);
        let spike_after_us = Cell::new(spike_after_us(&settings));
        Rc::new(Core {
            id,
            shared,
            reactor,
            shard: RefCell::new(shard),
            journal: RefCell::new(journal),
            pubsub: RefCell::default(),
            listeners: RefCell::default(),
            tracking: RefCell::default(),
            settings: RefCell::new(settings),
            counters,
            mailbox,
            peers: RefCell::default(),
            asks: RefCell::default(),
            spare_batches: RefCell::default(),
            spare_exchanges: RefCell::default(),
            spare_ahead: RefCell::default(),
            rng: RefCell::new(Rng::new(clock::unix_us() as u64 ^ (id as u64) << 56)),
            now: Cell::new(Now { unix_us: clock::unix_us() }),
            epoch: Cell::new(0),
            last_moment: Cell::new(Moment::now()),
            next_upkeep_us: Cell::new(0),
            next_tending_us: Cell::new(0),
            spike_after_us,
            is_expiring: Cell::new(true),
            is_stopping: Cell::new(false),
        })
    }

    /// The core's life.
    pub async fn drive(self: Rc<Self>) {
        let mut messages = Vec::new();
        while !self.is_stopping.get() {
            self.read_clocks();
            self.reactor.reap();
            self.reactor.fire_timers(self.last_moment.get());
            self.take_connections();
            // Read behind `reap`: what a client does after a reply lies in the same epoch or a later one.
            let epoch = self.shared.switchboard.epoch();
            self.mailbox.drain(&self.shared.switchboard, epoch, &mut messages);
            let mut is_quiet = messages.is_empty();
            for Arrived { epoch, from, message } in messages.drain(..) {
                self.enter_epoch(epoch);
                self.handle(from, message);
            }
            self.enter_epoch(epoch);
            for message in self.shared.inboxes[self.id].take() {
                is_quiet = false;
                self.handle(self.id, message);
            }
            is_quiet &= self.run_tasks().await;
            let before = self.reactor.activity();
            self.keep_house();
            self.dispatch_effects();
            // A client that has just been served or closed wants its task to run before the core sleeps.
            is_quiet &= self.reactor.activity() == before;
            self.commit_journal();
            let is_congested = self.mailbox.flush(&self.shared.switchboard, &self.reactor);
            self.sleep(is_quiet, is_congested);
        }
        self.stop();
    }

    /// Ends the core: its last entries, and once all cores have come so far, the end of its segment.
    fn stop(&self) {
        self.reactor.stop_listening();
        self.commit_journal();
        self.shared.stop_barrier.wait();
        if let (Some(journal), Some(log)) =
            (self.journal.borrow_mut().as_mut(), self.shared.log.as_ref())
        {
            let epoch = log.epoch(self.shared.switchboard.epoch());
            journal.seal(log, epoch, &self.reactor, &self.counters);
        }
    }

    /// What the shard does from now on lies in `epoch`, unless it has gone further already.
    fn enter_epoch(&self, epoch: Epochs) {
        if epoch > self.epoch.get() {
            self.commit_journal();
            self.epoch.set(epoch);
        }
    }

    /// Writes what the shard did in this tick, before anything that depends on it leaves the core.
    fn commit_journal(&self) {
        let mut shard = self.shard.borrow_mut();
        let entries = &mut shard.effects_mut().journal;
        if let (Some(journal), Some(log)) =
            (self.journal.borrow_mut().as_mut(), self.shared.log.as_ref())
        {
            let policy = self.settings.borrow().appendfsync;
            let epoch = log.epoch(self.epoch.get());
            let bytes = entries.as_bytes();
            journal.commit(log, policy, epoch, bytes, &self.reactor, &self.counters);
        }
        entries.clear();
    }

    /// Lets woken tasks run; `true` if all of them have come to rest.
    async fn run_tasks(&self) -> bool {
        for _ in 0..ROUNDS_MAX {
            let before = self.reactor.activity();
            executor::yield_now().await;
            if self.reactor.activity() == before {
                return true;
            }
        }
        false
    }

    fn read_clocks(&self) {
        self.now.set(Now { unix_us: clock::unix_us() });
        self.last_moment.set(Moment::now());
        self.counters().ticks.add(1);
    }

    fn sleep(&self, is_quiet: bool, is_congested: bool) {
        let may_sleep = is_quiet && self.mailbox.prepare_to_sleep(&self.shared.switchboard);
        let upkeep_us = self.next_upkeep_us.get().saturating_sub(self.now().unix_us).max(0);
        let longest = match is_congested {
            true => RETRY_AFTER,
            false => SLEEP_MAX.min(Duration::from_micros(upkeep_us.unsigned_abs())),
        };
        let deadline = self.last_moment.get().after(longest);
        self.counters().sleeps.add(u64::from(may_sleep));
        self.reactor
            .enter(may_sleep, deadline)
            .expect("the ring works as long as the process lives");
        if may_sleep {
            self.mailbox.wake_up(&self.shared.switchboard);
        }
    }

    // ---- messages

    fn handle(self: &Rc<Self>, from: usize, message: Message) {
        match message {
            Message::Batch(mut batch) => {
                self.run_batch(&mut batch);
                self.post(from, Message::BatchDone(batch));
            }
            Message::BatchDone(batch) => {
                if let Some(peer) = self.peer(batch.token) {
                    peer.batch_done(batch);
                }
            }
            Message::Connection(connection) => self.adopt(*connection),
            Message::Ask { ticket, question } => {
                let answer = Box::new(self.answer(*question));
                self.post(from, Message::Answer { ticket, answer });
            }
            Message::Answer { ticket, answer } => self.asks.borrow_mut().answered(ticket, answer),
            Message::Deliver(delivery) => self.deliver(&delivery),
            Message::Served { token, reply } => {
                if let Some(peer) = self.peer(token) {
                    self.reactor.note_activity();
                    peer.unblock(Unblocked::Served(reply));
                }
            }
            Message::Tell(notice) => self.heed(*notice),
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

    /// Sends a message to another core.
    pub(crate) fn post_away(&self, core: usize, message: Message) {
        self.mailbox.post(core, message);
    }

    /// Asks a core and waits for its answer; this core answers at once.
    pub async fn ask(&self, core: usize, question: Question) -> Answer {
        if core == self.id {
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

    fn await_answer(&self, ticket: u32) -> impl Future<Output = Answer> + '_ {
        poll_fn(move |cx| {
            self.reactor.note_activity();
            self.asks.borrow_mut().poll(ticket, cx.waker())
        })
    }

    fn heed(self: &Rc<Self>, notice: Notice) {
        match notice {
            Notice::Monitor(line) => self.send_to_monitors(&line),
            Notice::Unpaused => self.peers().iter().for_each(|peer| peer.wake()),
            Notice::Signal(signal) => self.heed_signal(signal),
            Notice::Shutdown => self.is_stopping.set(true),
            Notice::Invalidate(messages) => self.deliver_invalidations(&messages),
            Notice::Publish(notifications) => self.publish_all(&notifications),
        }
    }

    // ---- running commands

    /// The moment of this tick.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now.get()
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

    /// Touches what commands on these keys are going to touch; see `shard::keyspace::Database::warm`.
    pub fn warm<'k>(&self, db: u16, keys: impl Iterator<Item = &'k [u8]>) {
        let shard = self.shard.borrow();
        let database = shard.keyspace().database(db);
        if self.shared.shard_count() == 1 {
            database.warm(keys);
        } else {
            let is_here = |key: &&[u8]| self.shared.shard_of_slot(slot_of(key)) == self.id;
            database.warm(keys.filter(is_here));
        }
    }

    /// Takes over the settings as they are now.
    pub fn take_over_settings(&self) {
        let settings = self.shared.config().settings().clone();
        let is_journaling = self.journal.borrow().is_some();
        let options = shard::Options { is_journaling, ..shard_options(&settings) };
        self.shard.borrow_mut().set_options(options);
        self.spike_after_us.set(spike_after_us(&settings));
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

    /// Runs a call on this core's shard without counting it.
    pub fn execute(&self, call: &Call<'_>, reply: &mut Vec<u8>) -> Outcome {
        let mut shard = self.shard.borrow_mut();
        let outcome = shard.execute(self.now.get(), call, reply);
        self.track(&mut shard, call, KeysRead::All);
        outcome
    }

    /// Counts a command that has just ended; returns its microseconds.
    pub fn account(&self, command: &Registered, outcome: Outcome) -> u64 {
        let moment = Moment::now();
        let ns = moment.ns_since(self.last_moment.replace(moment));
        let counters = self.shared.command_statistics[self.id].command(command.id);
        counters.calls.add(1);
        counters.ns.add(ns);
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
    fn note_spike(&self, command: &Registered, latency_ms: u64) {
        let event = if command.is(Flags::FAST) { "fast-command" } else { "command" };
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

    fn run_batch(self: &Rc<Self>, batch: &mut Batch) {
        let slow_after_us = self.slow_after_us();
        let caller = Caller { resp: batch.resp, client: batch.client };
        let mut replies = std::mem::take(&mut batch.replies);
        for index in 0..batch.len() {
            if index % WARM_MAX == 0 && batch.len() > 1 {
                let next = index..batch.len().min(index + WARM_MAX);
                let db = batch.call(index).1;
                let keys = next.filter_map(|index| batch.call(index).2.get(1));
                self.shard.borrow().keyspace().database(db).warm(keys);
            }
            let (id, db, argv) = batch.call(index);
            let command = self.shared.registry.get(id);
            let us = match command.kind {
                Kind::Shard(_) => self.run_here(command, db, argv, caller, &mut replies).1,
                Kind::Server(_) => {
                    self.publish_here(command, argv, caller, &mut replies);
                    self.account(command, Outcome::Replied)
                }
            };
            batch.reply_ends.push(replies.len() as u32);
            if us >= slow_after_us {
                batch.slow.push((index as u32, us));
            }
        }
        batch.replies = replies;
        self.counters.hops_received.add(batch.len() as u64);
    }

    /// From how many microseconds on a command is slow; `u64::MAX` if none is.
    #[must_use]
    pub fn slow_after_us(&self) -> u64 {
        u64::try_from(self.settings.borrow().slowlog_log_slower_than_us).unwrap_or(u64::MAX)
    }

    /// Publishes on a channel of this core: PUBLISH or SPUBLISH.
    pub fn publish_here(
        self: &Rc<Self>,
        command: &Registered,
        argv: Argv<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) {
        let (Some(channel), Some(payload)) = (argv.get(1), argv.get(2)) else {
            unreachable!("the arity was checked")
        };
        let Kind::Server(ServerCommand { run: ServerRun::Publish(topic), .. }) = command.kind
        else {
            unreachable!("only PUBLISH and SPUBLISH publish")
        };
        self.publish_events();
        let receiver_count = self.publish(*topic, channel, payload);
        Writer::new(reply, caller.resp).integer(receiver_count as i64);
    }

    /// Publishes on a channel of this core; returns the number of receivers.
    pub fn publish(self: &Rc<Self>, topic: Topic, channel: &[u8], payload: &[u8]) -> u64 {
        let published = self.pubsub.borrow().publish(topic, channel, payload);
        let Some(published) = published else { return 0 };
        for core in published.cores {
            self.post(core, Message::Deliver(published.delivery.clone()));
        }
        published.receiver_count
    }

    fn deliver(&self, delivery: &Delivery) {
        let mut message_count = 0;
        self.pubsub.borrow().deliver(delivery, |peer, frame| {
            message_count += 1;
            self.push(peer, frame.bytes(peer.resp.get()));
        });
        self.counters().pubsub_messages.add(message_count);
    }

    /// Sends a message to a connection of this core, behind the replies that it is making.
    pub fn push(&self, peer: &Peer, message: &[u8]) {
        if peer.close.get() == Some(Close::Now) {
            return;
        }
        let unsent_len = if peer.is_busy.get() {
            let mut held = peer.held.borrow_mut();
            held.extend_from_slice(message);
            held.len() + self.reactor.unsent_len(peer.key)
        } else {
            self.counters().net_output_bytes.add(message.len() as u64);
            self.reactor.send_copy(peer.key, message)
        };
        connection::output::check_limit(self, peer, unsent_len);
    }

    /// Orders a connection of this core to close.
    pub fn close_peer(&self, peer: &Peer, close: Close) {
        peer.order_close(close);
        self.reactor.wake_receiver(peer.key);
    }

    fn send_to_monitors(&self, line: &[u8]) {
        let peers = self.peers.borrow();
        let monitors =
            peers.iter().flatten().filter(|peer| peer.client.has_flag(ClientFlags::MONITOR));
        for peer in monitors {
            let unsent_len = self.reactor.send_copy(peer.key, line);
            connection::output::check_limit(self, peer, unsent_len);
        }
    }

    /// What writes did in this tick: keyspace events, served clients.
    fn dispatch_effects(self: &Rc<Self>) {
        let served = std::mem::take(&mut self.shard.borrow_mut().effects_mut().served);
        for served in served {
            let token = SocketKey::from_token(served.id.token);
            let message = Message::Served { token, reply: served.reply };
            self.post(usize::from(served.id.core), message);
        }
        self.publish_events();
        self.settle_tracking();
    }

    /// Expires keys and frees memory, a little in every tick.
    fn keep_house(&self) {
        let now = self.now();
        if let Some(log) = &self.shared.log {
            log.keep_clock(now.unix_us, &self.shared.switchboard);
        }
        if now.unix_us >= self.next_tending_us.get() {
            self.tend_connections();
            self.next_tending_us.set(now.unix_us + connection::upkeep::PERIOD_US);
        }
        if now.unix_us < self.next_upkeep_us.get() {
            return;
        }
        let mut shard = self.shard.borrow_mut();
        // CLIENT PAUSE holds back every change, also that of expiry.
        let may_expire = self.is_expiring.get() && !self.is_paused(Flags::WRITE);
        let is_expiring = may_expire && shard.expire_cycle(now, EXPIRE_BUDGET);
        let has_more = shard.free_cycle(FREE_BUDGET) || is_expiring;
        let period = match has_more {
            true => UPKEEP_BUSY_US,
            false => 1_000_000 / i64::from(self.settings.borrow().hz.max(1)),
        };
        self.next_upkeep_us.set(now.unix_us + period);
        drop(shard);
        self.publish_counters();
        if self.id == 0 {
            self.shared.rates.sample(now.unix_us, &self.shared.metrics.totals());
        }
        self.reactor.resume_listening();
    }

    /// Writes the figures of shard and connections where others read them; returns those of the shard.
    pub fn publish_counters(&self) -> shard::shard::Stats {
        let stats = self.shard.borrow().stats(self.now());
        self.counters.keyspace_hits.set(stats.hits);
        self.counters.keyspace_misses.set(stats.misses);
        self.counters.expired_keys.set(stats.expired);
        let (keys, expires) = stats.databases.iter().fold((0, 0), |(keys, expires), db| {
            (keys + db.keys as u64, expires + db.expires as u64)
        });
        self.counters.keys.set(keys);
        self.counters.keys_with_expiry.set(expires);
        self.counters.writes.set(self.reactor.send_count());
        let connections = self.shared.connection_counts[self.id].load(Ordering::Relaxed);
        self.counters.connections_open.set(connections as u64);
        stats
    }

    // ---- connections

    fn take_connections(self: &Rc<Self>) {
        for accepted in self.reactor.take_accepted() {
            let counts = &self.shared.connection_counts;
            let loads = counts.iter().map(|count| count.load(Ordering::Relaxed));
            let core = loads.enumerate().min_by_key(|(core, load)| (*load, *core != self.id));
            let core = core.map_or(self.id, |(core, _)| core);
            counts[core].fetch_add(1, Ordering::Relaxed);
            self.counters().connections_received.add(1);
            let is_unix = self.is_unix_listener(accepted.listener);
            let connection = NewConnection { fd: accepted.fd, is_unix };
            self.post(core, Message::Connection(Box::new(connection)));
        }
    }

    fn adopt(self: &Rc<Self>, connection: NewConnection) {
        if let Some(connection) = connection::Connection::open(self.clone(), connection) {
            executor::spawn(Box::new(connection).serve());
        }
    }

    /// Enters a connection in this core's table.
    pub fn add_peer(&self, peer: Rc<Peer>) {
        let mut peers = self.peers.borrow_mut();
        let index = peer.key.index();
        if peers.len() <= index {
            peers.resize(index + 1, None);
        }
        peers[index] = Some(peer);
    }

    /// Removes a connection from this core's table.
    pub fn remove_peer(&self, key: SocketKey) {
        if self.peer(key).is_some() {
            self.peers.borrow_mut()[key.index()] = None;
        }
    }

    /// The connection of this core with this key.
    #[must_use]
    pub fn peer(&self, key: SocketKey) -> Option<Rc<Peer>> {
        let peers = self.peers.borrow();
        let peer = peers.get(key.index())?.as_ref()?;
        (peer.key == key).then(|| peer.clone())
    }

    /// All connections of this core.
    #[must_use]
    pub fn peers(&self) -> Vec<Rc<Peer>> {
        self.peers.borrow().iter().flatten().cloned().collect()
    }

    // ---- memory that is used again

    /// An empty batch.
    #[must_use]
    pub fn spare_batch(&self) -> Box<Batch> {
        self.spare_batches.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes back a batch.
    pub fn recycle_batch(&self, mut batch: Box<Batch>) {
        let mut spare = self.spare_batches.borrow_mut();
        if spare.len() < SPARE_COUNT_MAX {
            batch.reset();
            spare.push(batch);
        }
    }

    /// An empty exchange.
    #[must_use]
    pub fn spare_exchange(&self) -> Box<Exchange> {
        let spare = self.spare_exchanges.borrow_mut().pop();
        spare.unwrap_or_else(|| Box::new(Exchange::new(self.shared.shard_count())))
    }

    /// Room for requests parsed ahead.
    pub(crate) fn spare_ahead(&self) -> Ahead {
        self.spare_ahead.take().unwrap_or_default()
    }

    /// Takes that room back.
    pub(crate) fn recycle_ahead(&self, mut ahead: Ahead) {
        if ahead.is_small() {
            ahead.clear();
            *self.spare_ahead.borrow_mut() = Some(ahead);
        }
    }

    /// Takes back an exchange, which is empty.
    pub fn recycle_exchange(&self, exchange: Box<Exchange>) {
        let mut spare = self.spare_exchanges.borrow_mut();
        if spare.len() < SPARE_COUNT_MAX {
            spare.push(exchange);
        }
    }
}

fn spike_after_us(settings: &Settings) -> u64 {
    match settings.latency_monitor_threshold_ms {
        0 => u64::MAX,
        threshold_ms => threshold_ms.saturating_mul(1000),
    }
}

/// Who a command runs for.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Protocol version of its reply.
    pub resp: protocol::reply::Resp,
    /// The client.
    pub client: ClientFacts,
}

impl Asks {
    fn open(&mut self) -> u32 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.waiting.insert(ticket, Ask::Waiting(None));
        ticket
    }

    fn answered(&mut self, ticket: u32, answer: Box<Answer>) {
        let former = self.waiting.insert(ticket, Ask::Answered(answer));
        if let Some(Ask::Waiting(Some(waker))) = former {
            waker.wake();
        }
    }

    fn poll(&mut self, ticket: u32, waker: &Waker) -> Poll<Answer> {
        match self.waiting.remove(&ticket) {
            Some(Ask::Answered(answer)) => Poll::Ready(*answer),
            _ => {
                self.waiting.insert(ticket, Ask::Waiting(Some(waker.clone())));
                Poll::Pending
            }
        }
    }
}
