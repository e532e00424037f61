//! How cores talk: one bounded single-producer ring per ordered pair of cores, published once per tick.
//!
//! Order that clients can see is kept across all rings. Every flush takes a [`Stamp`] from one global counter, and a core
//! handles what it finds in stamp order. A flush to several cores is not one step, so a sender announces it before it
//! takes its stamp and withdraws the announcement when it is done; a receiver that holds a message with a later stamp
//! waits for earlier flushes to be complete. So everything behaves as if each flush happened at one moment, on all
//! cores; what a connection sends to its own core behind something for another goes the same way.
//!
//! The upper half of a stamp is the epoch of the append-only file. So a flush lies in one epoch on whatever core its
//! commands run, and an epoch is a cut through all of history: see docs/aof.md.
//!
//! Owner: one core holds its [`Mailbox`]; the [`Switchboard`] is shared by all.
//! Invariant: a full ring never blocks: messages wait at their sender, in order.

use crate::message::Message;
use crate::runtime::reactor::Reactor;
use rtrb::{Consumer, Producer, RingBuffer};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering, fence};

/// Messages one ring holds.
const RING_CAPACITY: usize = 1024;
/// Announced, but the stamp is not known yet: counts as the earliest of all.
const STAMP_UNKNOWN: u64 = 1;
/// No flush under way.
const STAMP_NONE: u64 = 0;
/// The first stamp.
const STAMP_FIRST: u64 = 2;
/// Bits of a stamp below its epoch. Flushes that overflow them carry into the epoch, which is harmless: it advances.
const EPOCH_SHIFT: u32 = 32;

/// Epochs since the server started, as the upper half of a stamp counts them.
pub type Epochs = u32;

fn epoch_of(stamp: u64) -> Epochs {
    (stamp >> EPOCH_SHIFT) as Epochs
}

/// What all cores share to talk to each other.
#[derive(Debug)]
pub struct Switchboard {
    /// The stamp of the next flush.
    stamp: AtomicU64,
    lines: Vec<Line>,
}

/// What the others see of one core.
#[derive(Debug)]
#[repr(align(128))]
struct Line {
    /// Set by the core before it sleeps; whoever clears it must wake the core.
    is_sleeping: AtomicBool,
    /// Stamp of the flush under way.
    flushing: AtomicU64,
    /// Messages to this core that are published, or about to be, and not taken out yet.
    unread_count: AtomicUsize,
    /// By which the core is woken; -1 until it runs.
    wake_fd: AtomicI32,
}

impl Switchboard {
    /// Lines for `core_count` cores, and the mailbox of each.
    #[must_use]
    pub fn new(core_count: usize) -> (Switchboard, Vec<Mailbox>) {
        let lines = (0..core_count).map(|_| Line {
            is_sleeping: AtomicBool::new(false),
            flushing: AtomicU64::new(STAMP_NONE),
            unread_count: AtomicUsize::new(0),
            wake_fd: AtomicI32::new(-1),
        });
        let switchboard =
            Switchboard { stamp: AtomicU64::new(STAMP_FIRST), lines: lines.collect() };
        let mut mailboxes: Vec<Mailbox> = (0..core_count).map(Mailbox::empty).collect();
        for from in 0..core_count {
            for to in 0..core_count {
                let (producer, consumer) = match from == to {
                    true => (None, None),
                    false => {
                        let (producer, consumer) = RingBuffer::new(RING_CAPACITY);
                        (Some(producer), Some(consumer))
                    }
                };
                mailboxes[from]
                    .outgoing
                    .get_mut()
                    .push(Outgoing { ring: producer, queue: VecDeque::new() });
                mailboxes[to].incoming.get_mut().rings.push(consumer);
            }
        }
        (switchboard, mailboxes)
    }

    /// How many cores there are.
    #[must_use]
    pub fn core_count(&self) -> usize {
        self.lines.len()
    }

    /// The epoch of flushes that begin now.
    #[must_use]
    pub fn epoch(&self) -> Epochs {
        epoch_of(self.stamp.load(Ordering::SeqCst))
    }

    /// Begins the next epoch.
    pub fn advance_epoch(&self) {
        let next = |stamp: u64| Some(((stamp >> EPOCH_SHIFT) + 1) << EPOCH_SHIFT);
        // It always succeeds: `next` never gives up.
        let _ = self.stamp.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// Says by which descriptor `core` is woken.
    pub fn set_wake_fd(&self, core: usize, fd: RawFd) {
        self.lines[core].wake_fd.store(fd, Ordering::Release);
    }
}

/// One message with the stamp of its flush.
struct Stamped {
    stamp: u64,
    message: Message,
}

/// A message that has arrived.
pub struct Arrived {
    /// The epoch of its flush.
    pub epoch: Epochs,
    /// Its sender.
    pub from: usize,
    /// What it says.
    pub message: Message,
}

/// The rings of one core.
pub struct Mailbox {
    core: usize,
    outgoing: RefCell<Vec<Outgoing>>,
    incoming: RefCell<Incoming>,
}

struct Outgoing {
    ring: Option<Producer<Stamped>>,
    queue: VecDeque<Message>,
}

#[derive(Default)]
struct Incoming {
    /// By sender.
    rings: Vec<Option<Consumer<Stamped>>>,
    /// Taken from the rings and not handled yet, with their senders.
    held: Vec<(Stamped, usize)>,
    /// Every message of an earlier epoch has been handed out.
    complete_before: Epochs,
}

impl Mailbox {
    fn empty(core: usize) -> Mailbox {
        Mailbox { core, outgoing: RefCell::default(), incoming: RefCell::default() }
    }

    /// Queues `message` for a core, which may be this one; it goes out with the next [`Mailbox::flush`].
    pub fn post(&self, core: usize, message: Message) {
        self.outgoing.borrow_mut()[core].queue.push_back(message);
    }

    /// Publishes everything queued, and wakes the receivers that sleep. Returns whether something had to stay because
    /// a ring was full: then nothing went out.
    pub fn flush(&self, switchboard: &Switchboard, reactor: &Reactor) -> bool {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.iter().all(|out| out.queue.is_empty()) {
            return false;
        }
        // All or nothing, so that no message overtakes an earlier one on its way to another core, and what is asked of
        // several cores has one stamp. One free slot is enough: it takes all that has no slot of its own.
        let has_room = |out: &Outgoing| match &out.ring {
            Some(ring) => out.queue.is_empty() || ring.slots() > 0,
            None => true,
        };
        if !outgoing.iter().all(has_room) {
            return true;
        }
        let line = &switchboard.lines[self.core];
        line.flushing.store(STAMP_UNKNOWN, Ordering::SeqCst);
        let stamp = switchboard.stamp.fetch_add(1, Ordering::SeqCst);
        line.flushing.store(stamp, Ordering::SeqCst);
        let queued = |(_, out): &(usize, &mut Outgoing)| !out.queue.is_empty();
        for (core, out) in outgoing.iter_mut().enumerate().filter(queued) {
            let Some(ring) = &mut out.ring else {
                let own =
                    out.queue.drain(..).map(|message| (Stamped { stamp, message }, self.core));
                self.incoming.borrow_mut().held.extend(own);
                continue;
            };
            let slots = ring.slots();
            if out.queue.len() > slots {
                let rest = out.queue.split_off(slots - 1);
                out.queue.push_back(Message::Many(rest.into()));
            }
            let count = out.queue.len();
            let messages = out.queue.drain(..).map(|message| Stamped { stamp, message });
            switchboard.lines[core].unread_count.fetch_add(count, Ordering::SeqCst);
            let chunk = ring.write_chunk_uninit(count).expect("room was checked above");
            chunk.fill_from_iter(messages);
        }
        line.flushing.store(STAMP_NONE, Ordering::SeqCst);
        // Pairs with the fence in `prepare_to_sleep`: either we see the flag, or the receiver sees the messages.
        fence(Ordering::SeqCst);
        for (core, line) in
            switchboard.lines.iter().enumerate().filter(|(core, _)| *core != self.core)
        {
            let _ = core;
            if line.is_sleeping.load(Ordering::Relaxed)
                && line.is_sleeping.swap(false, Ordering::AcqRel)
            {
                reactor.wake(line.wake_fd.load(Ordering::Acquire));
            }
        }
        false
    }

    /// Whether nothing is under way to a core: all that was sent before has been handed out there. A core that sleeps
    /// holds nothing back; this one may, what came behind its horizon.
    #[must_use]
    pub fn is_clear_to(&self, switchboard: &Switchboard, core: usize) -> bool {
        // In this order: a flush that is no longer going on has counted its messages before.
        let is_flushing = |line: &Line| line.flushing.load(Ordering::SeqCst) != STAMP_NONE;
        !switchboard.lines.iter().any(is_flushing)
            && switchboard.lines[core].unread_count.load(Ordering::SeqCst) == 0
            && self.outgoing.borrow()[core].queue.is_empty()
            && (core != self.core || self.incoming.borrow().held.is_empty())
    }

    /// Moves the messages that have arrived to `messages`, in stamp order.
    ///
    /// Every message of an epoch before `current` is among them, or was before: none can come any more. `current` is
    /// what [`Switchboard::epoch`] said before this call.
    pub fn drain(&self, switchboard: &Switchboard, current: Epochs, messages: &mut Vec<Arrived>) {
        let mut incoming = self.incoming.borrow_mut();
        incoming.take_all(&switchboard.lines[self.core]);
        let newest = incoming.held.iter().map(|(stamped, _)| stamped.stamp).max();
        let is_new_epoch = current > incoming.complete_before;
        if newest.is_none() && !is_new_epoch {
            return;
        }
        let epoch_begin = u64::from(current) << EPOCH_SHIFT;
        let horizon = newest.unwrap_or_default().max(epoch_begin);
        switchboard.wait_for_flushes_before(horizon, self.core);
        incoming.complete_before = current;
        incoming.take_all(&switchboard.lines[self.core]);
        incoming.held.sort_by_key(|(stamped, _)| stamped.stamp);
        // What came with the second look may have a later stamp than a flush that is under way now.
        let ready = incoming.held.partition_point(|(stamped, _)| stamped.stamp <= horizon);
        let arrived =
            |(Stamped { stamp, message }, from)| Arrived { epoch: epoch_of(stamp), from, message };
        messages.extend(incoming.held.drain(..ready).map(arrived));
    }

    /// Announces that this core is going to sleep; `false` if a message has arrived, so that it must not.
    pub fn prepare_to_sleep(&self, switchboard: &Switchboard) -> bool {
        let line = &switchboard.lines[self.core];
        line.is_sleeping.store(true, Ordering::Relaxed);
        // Pairs with the fence in `flush`.
        fence(Ordering::SeqCst);
        let incoming = self.incoming.borrow();
        let is_empty =
            incoming.held.is_empty() && incoming.rings.iter().flatten().all(|ring| ring.is_empty());
        if !is_empty {
            line.is_sleeping.store(false, Ordering::Relaxed);
        }
        is_empty
    }

    /// Withdraws [`Mailbox::prepare_to_sleep`].
    pub fn wake_up(&self, switchboard: &Switchboard) {
        switchboard.lines[self.core].is_sleeping.store(false, Ordering::Relaxed);
    }
}

impl Incoming {
    fn take_all(&mut self, line: &Line) {
        for (from, ring) in self.rings.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            let count = ring.slots();
            if count > 0 {
                let chunk = ring.read_chunk(count).expect("so many were counted");
                self.held.extend(chunk.into_iter().map(|stamped| (stamped, from)));
                line.unread_count.fetch_sub(count, Ordering::SeqCst);
            }
        }
    }
}

impl Switchboard {
    /// Waits until every other core's flush with a stamp before `stamp` is complete. A flush takes well under a
    /// microsecond, unless its core has lost its CPU.
    fn wait_for_flushes_before(&self, stamp: u64, own: usize) {
        for (_, line) in self.lines.iter().enumerate().filter(|(core, _)| *core != own) {
            let mut spin_count = 0;
            loop {
                let flushing = line.flushing.load(Ordering::SeqCst);
                if flushing == STAMP_NONE || flushing > stamp {
                    break;
                }
                spin_count += 1;
                match spin_count % 128 {
                    0 => std::thread::yield_now(),
                    _ => std::hint::spin_loop(),
                }
            }
        }
    }
}
