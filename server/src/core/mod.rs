//! A core: one thread that owns a shard, connections, mailboxes and a ring, and drives them tick by tick.
//!
//! One tick ([`Core::drive`]): take what the kernel has finished, drain the mailbox, let the woken connections run,
//! write the journal, publish what is for other cores, send replies, sleep if nothing is left. The driver task is the
//! only thing that blocks, and it blocks in the ring.

mod asking;
mod connections;
mod delivery;
mod locking;
mod memory;
mod running;
mod units;

use asking::Asks;
use locking::Waiting;
pub(crate) use locking::{ScriptLock, claims};
pub use running::Caller;
use running::spike_after_us;
pub(crate) use units::write_empty;

use crate::batch::Batch;
use crate::connection::{self, Ahead, Exchange, Scratch};
use crate::journal::{FrameEpochs, Journal};
use crate::lease::Held;
use crate::listener::CoreListeners;
use crate::mailbox::{Arrived, Epochs, Mailbox};
use crate::message::Message;
use crate::peer::Peer;
use crate::pubsub::PubSub;
use crate::runtime::clock::{self, Moment};
use crate::runtime::executor;
use crate::runtime::reactor::{Reactor, SocketKey};
use crate::scripting::CoreScripts;
use crate::shared::Shared;
use crate::tracking::Tracking;
use ops::config::Settings;
use ops::metrics::CoreCounters;
use protocol::command::Flags;
use shard::Now;
use shard::locks::LockId;
use shard::rng::Rng;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rounds of tasks per tick before the core looks at its ring again.
const ROUNDS_MAX: usize = 4;
/// Longest sleep: the core looks at its clock-driven work at least this often.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// How soon a core tries again when another core's mailbox is full.
const RETRY_AFTER: Duration = Duration::from_micros(100);
/// How often a core expires keys and frees memory while there is more to do, in microseconds; else it is `hz` times
/// per second.
const UPKEEP_BUSY_US: i64 = 250;
/// Entries looked at, and freed, each time: well under a millisecond, and a million a second.
const EXPIRE_BUDGET: usize = 500;
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
    /// Its data, held while the core is awake.
    shard: RefCell<Option<Held>>,
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
    /// What holds locks of its shard, and what waits for them.
    waiting: RefCell<Waiting>,
    /// The lock under which something that has waited for it is running.
    granted_place: Cell<Option<LockId>>,
    /// Its interpreters.
    pub(crate) scripts: RefCell<CoreScripts>,
    /// Transactions that this core has coordinated.
    transaction_count: Cell<u64>,
    spare_batches: RefCell<Vec<Box<Batch>>>,
    spare_exchanges: RefCell<Vec<Box<Exchange>>>,
    spare_ahead: RefCell<Option<Ahead>>,
    pub(crate) part_scratch: RefCell<Scratch>,
    rng: RefCell<Rng>,
    now: Cell<Now>,
    /// The epoch of what the shard does now.
    epoch: Cell<Epochs>,
    /// Whether this core has run something on a borrowed shard since it last drained its mailbox.
    has_borrowed: Cell<bool>,
    /// When the last command ended: what the next one's duration is measured from.
    last_moment: Cell<Moment>,
    /// When [`Core::keep_house`] has something to do again, in microseconds since 1970.
    next_upkeep_us: Cell<i64>,
    /// When [`Core::tend_connections`] is due again, in microseconds since 1970.
    next_tending_us: Cell<i64>,
    /// From how many microseconds on a command is a latency spike; `u64::MAX` if none is.
    spike_after_us: Cell<u64>,
    /// Whether run times of commands are counted (`latency-tracking`).
    is_timing: Cell<bool>,
    /// `maxmemory` in bytes; 0: no limit.
    memory_limit: Cell<u64>,
    /// Bytes of its shard's tables beside keys and values, as of the last upkeep.
    table_bytes: Cell<usize>,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub is_expiring: Cell<bool>,
    is_stopping: Cell<bool>,
}

impl Core {
    /// A core around its shard.
    #[must_use]
    pub fn new(
        id: usize,
        shared: Arc<Shared>,
        reactor: Rc<Reactor>,
        mailbox: Mailbox,
        journal: Option<Journal>,
    ) -> Rc<Core> {
        let shard = RefCell::new(Some(shared.leases.hold(id)));
        let settings = Arc::new(shared.config().settings().clone());
        let counters = shared.metrics.core(id);
        shared.switchboard.set_wake_fd(id, reactor.wake_fd());
        let bell = reactor.signal_sender().expect("a few descriptors are left at the start");
        shared.inboxes[id].set_bell(bell);
        let spike_after_us = Cell::new(spike_after_us(&settings));
        let is_timing = Cell::new(settings.latency_tracking);
        let memory_limit = Cell::new(settings.maxmemory_bytes);
        Rc::new(Core {
            id,
            shared,
            reactor,
            shard,
            journal: RefCell::new(journal),
            pubsub: RefCell::default(),
            listeners: RefCell::default(),
            tracking: RefCell::default(),
            settings: RefCell::new(settings),
            counters,
            mailbox,
            peers: RefCell::default(),
            asks: RefCell::default(),
            waiting: RefCell::default(),
            granted_place: Cell::new(None),
            scripts: RefCell::default(),
            transaction_count: Cell::new(0),
            spare_batches: RefCell::default(),
            spare_exchanges: RefCell::default(),
            spare_ahead: RefCell::default(),
            part_scratch: RefCell::default(),
            rng: RefCell::new(Rng::new(clock::unix_us() as u64 ^ (id as u64) << 56)),
            now: Cell::new(Now { unix_us: clock::unix_us() }),
            epoch: Cell::new(0),
            has_borrowed: Cell::new(false),
            last_moment: Cell::new(Moment::now()),
            next_upkeep_us: Cell::new(0),
            next_tending_us: Cell::new(0),
            spike_after_us,
            is_timing,
            memory_limit,
            table_bytes: Cell::new(0),
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
            self.has_borrowed.set(false);
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
    fn stop(self: &Rc<Self>) {
        self.reactor.stop_listening();
        self.settle_waiting();
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
        let mut shard = self.shard_mut();
        let entries = &mut shard.effects_mut().journal;
        if let (Some(journal), Some(log)) =
            (self.journal.borrow_mut().as_mut(), self.shared.log.as_ref())
        {
            let policy = self.settings.borrow().appendfsync;
            let epoch = log.epoch(self.epoch.get());
            let closable = log.epoch(self.closable_epoch(self.epoch.get()));
            let bytes = entries.as_bytes();
            let epochs = FrameEpochs { epoch, closable };
            journal.commit(log, policy, epochs, bytes, &self.reactor, &self.counters);
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
        // CLIENT PAUSE holds back every change, also that of expiry.
        self.shard_mut().hold_expiry(self.is_paused(Flags::WRITE));
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
        if may_sleep {
            *self.shard.borrow_mut() = None;
        }
        self.reactor
            .enter(may_sleep, deadline)
            .expect("the ring works as long as the process lives");
        if may_sleep {
            *self.shard.borrow_mut() = Some(self.shared.leases.hold(self.id));
            self.mailbox.wake_up(&self.shared.switchboard);
        }
    }

    /// What writes did in this tick: keyspace events, served clients.
    fn dispatch_effects(self: &Rc<Self>) {
        self.hand_out_served();
        self.publish_events();
        self.settle_tracking();
    }

    /// Hands replies to clients that waited for a key of this core's shard, before they are told of anything else.
    pub(crate) fn hand_out_served(&self) {
        let served = std::mem::take(&mut self.shard_mut().effects_mut().served);
        for served in served {
            let token = SocketKey::from_token(served.id.token);
            let core = usize::from(served.id.core);
            if core == self.id {
                self.unblock_served(token, served.reply);
            } else {
                self.post_away(core, Message::Served { token, reply: served.reply });
            }
        }
    }

    /// Expires keys and frees memory, a little in every tick.
    fn keep_house(&self) {
        let now = self.now();
        if let Some(log) = &self.shared.log {
            log.keep_clock(now.unix_us, &self.shared.switchboard);
        }
        if now.unix_us >= self.next_tending_us.get() {
            self.tend_connections();
            self.publish_buffers();
            self.next_tending_us.set(now.unix_us + connection::upkeep::PERIOD_US);
        }
        let is_due = now.unix_us >= self.next_upkeep_us.get();
        self.tend_memory();
        if !is_due {
            return;
        }
        let mut shard = self.shard_mut();
        // CLIENT PAUSE holds back every change, also that of expiry.
        let may_expire = self.is_expiring.get() && !self.is_paused(Flags::WRITE);
        let begun_at = Moment::now();
        let is_expiring = may_expire && shard.expire_cycle(now, EXPIRE_BUDGET);
        let expire_ns = Moment::now().ns_since(begun_at);
        self.counters.expire_cycle_us.add(expire_ns / 1000);
        if expire_ns / 1000 >= self.spike_after_us.get() {
            self.note_event("expire-cycle", expire_ns / 1_000_000);
        }
        self.counters.expire_cycles_capped.add(u64::from(is_expiring));
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
        let stats = self.shard().stats(self.now());
        self.counters.keyspace_hits.set(stats.hits);
        self.counters.keyspace_misses.set(stats.misses);
        self.counters.expired_keys.set(stats.expired);
        self.counters.evicted_keys.set(stats.evicted);
        self.counters.lazyfreed_objects.set(stats.freed);
        self.counters.lazyfree_pending.set(stats.pending_count as u64);
        self.publish_memory();
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
}
