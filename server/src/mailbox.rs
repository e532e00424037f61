//! How cores talk: one bounded single-producer ring per ordered pair of cores, published once per tick.
//!
//! Order that clients can see is kept across all rings. Every flush takes a stamp from one global counter, and a core
//! handles what it finds in stamp order. A flush to several cores is not one step, so a sender announces it before it
//! takes its stamp and withdraws the announcement when it is done; a receiver that holds a message with a later stamp
//! waits for earlier flushes to be complete. So if one client's request is answered before another's is sent, every
//! core sees them in that order.
//!
//! Owner: one core holds its [`Mailbox`]; the [`Switchboard`] is shared by all.
//! Invariant: a full ring never blocks: messages wait at their sender, in order.

use crate::message::Message;
use crate::runtime::reactor::Reactor;
use rtrb::{Consumer, Producer, RingBuffer};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering, fence};

/// Messages one ring holds.
const RING_CAPACITY: usize = 1024;
/// Announced, but the stamp is not known yet: counts as the earliest of all.
const STAMP_UNKNOWN: u64 = 1;
/// No flush under way.
const STAMP_NONE: u64 = 0;

/// What all cores share to talk to each other.
#[derive(Debug)]
pub struct Switchboard {
    /// Stamp of the latest flush. Starts at 1, so that stamps are never 0 or 1.
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
            wake_fd: AtomicI32::new(-1),
        });
        let switchboard =
            Switchboard { stamp: AtomicU64::new(STAMP_UNKNOWN), lines: lines.collect() };
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
}

impl Mailbox {
    fn empty(core: usize) -> Mailbox {
        Mailbox { core, outgoing: RefCell::default(), incoming: RefCell::default() }
    }

    /// Queues `message` for another core; it goes out with the next [`Mailbox::flush`].
    pub fn post(&self, core: usize, message: Message) {
        debug_assert_ne!(core, self.core, "a core does not write to itself");
        self.outgoing.borrow_mut()[core].queue.push_back(message);
    }

    /// Publishes everything queued, and wakes the receivers that sleep. Returns whether something had to stay because
    /// a ring was full; then nothing of later order went out either.
    pub fn flush(&self, switchboard: &Switchboard, reactor: &Reactor) -> bool {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.iter().all(|out| out.queue.is_empty()) {
            return false;
        }
        // All or nothing, so that no message overtakes an earlier one on its way to another core; only a queue longer
        // than a whole ring goes out in pieces.
        let has_room = |out: &Outgoing| match &out.ring {
            Some(ring) => ring.slots() >= out.queue.len().min(RING_CAPACITY),
            None => true,
        };
        if !outgoing.iter().all(has_room) {
            return true;
        }
        let line = &switchboard.lines[self.core];
        line.flushing.store(STAMP_UNKNOWN, Ordering::SeqCst);
        let stamp = switchboard.stamp.fetch_add(1, Ordering::SeqCst) + 1;
        line.flushing.store(stamp, Ordering::SeqCst);
        let mut is_rest = false;
        for out in outgoing.iter_mut().filter(|out| !out.queue.is_empty()) {
            let ring = out.ring.as_mut().expect("a core does not write to itself");
            let count = out.queue.len().min(RING_CAPACITY);
            let messages = out.queue.drain(..count).map(|message| Stamped { stamp, message });
            let chunk = ring.write_chunk_uninit(count).expect("room was checked above");
            chunk.fill_from_iter(messages);
            is_rest |= !out.queue.is_empty();
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
        is_rest
    }

    /// Moves the messages that have arrived, in order, to `messages`, each with its sender.
    pub fn drain(&self, switchboard: &Switchboard, messages: &mut Vec<(usize, Message)>) {
        let mut incoming = self.incoming.borrow_mut();
        incoming.take_all();
        if incoming.held.is_empty() {
            return;
        }
        if incoming.rings.len() > 2 {
            let newest = incoming.held.iter().map(|(stamped, _)| stamped.stamp).max();
            let newest = newest.expect("not empty");
            switchboard.wait_for_flushes_before(newest, self.core);
            incoming.take_all();
            incoming.held.sort_by_key(|(stamped, _)| stamped.stamp);
            // What came with the second look may have later stamps than a flush that is under way now.
            let ready = incoming.held.partition_point(|(stamped, _)| stamped.stamp <= newest);
            messages.extend(incoming.held.drain(..ready).map(|(s, from)| (from, s.message)));
        } else {
            messages.extend(incoming.held.drain(..).map(|(s, from)| (from, s.message)));
        }
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
    fn take_all(&mut self) {
        for (from, ring) in self.rings.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            let count = ring.slots();
            if count > 0 {
                let chunk = ring.read_chunk(count).expect("so many were counted");
                self.held.extend(chunk.into_iter().map(|stamped| (stamped, from)));
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
