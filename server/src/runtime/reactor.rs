//! What one core waits for: sockets, listeners, timers, files being synced, wakes from other threads.
//!
//! Owner: one core, on its own thread. The driver task (`server::core`) calls, once per tick, [`Reactor::reap`] (take
//! what has happened), lets the woken tasks run, and calls [`Reactor::enter`], which sends what the tick has produced
//! and sleeps if nothing is left to do. It is the only thing that blocks a core.
//!
//! Invariant: an entry of the socket table lives until the kernel has answered every operation that refers to it.

use super::buffers::Buffers;
use super::clock::Moment;
use super::ring::{Completion, Ring, Wait};
use super::socket::{HELD_MAX, SocketState};
use super::spares::Spares;
use super::timer::Timers;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::Poll;

/// What an operation is for: the upper byte of its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Purpose {
    Accept = 1,
    Recv = 2,
    Send = 3,
    Wake = 4,
    Signal = 5,
    Datasync = 6,
    Cancel = 7,
}

impl Purpose {
    fn of(user_data: u64) -> Option<Purpose> {
        [
            Purpose::Accept,
            Purpose::Recv,
            Purpose::Send,
            Purpose::Wake,
            Purpose::Signal,
            Purpose::Datasync,
            Purpose::Cancel,
        ]
        .into_iter()
        .find(|purpose| *purpose as u8 == (user_data >> 56) as u8)
    }

    /// User data: purpose, 24 bits of generation, 32 bits of index.
    fn tag(self, generation: u32, index: u32) -> u64 {
        (self as u64) << 56 | u64::from(generation & GENERATION_MASK) << 32 | u64::from(index)
    }
}

const GENERATION_MASK: u32 = (1 << 24) - 1;

/// One socket of this core. A key of a socket that is gone matches nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SocketKey {
    index: u32,
    generation: u32,
}

impl SocketKey {
    /// Its place in the socket table; tables beside it use the same.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The key as one number, for messages that know no sockets.
    #[must_use]
    pub fn to_token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key behind [`SocketKey::to_token`].
    #[must_use]
    pub fn from_token(token: u64) -> SocketKey {
        SocketKey { index: token as u32, generation: (token >> 32) as u32 }
    }
}

/// What a core's thread is woken by from outside io_uring: the other end of [`Reactor::signal_sender`].
#[derive(Debug)]
struct Signal {
    receiver: UnixStream,
    sender: UnixStream,
}

/// The reactor of one core.
pub struct Reactor {
    // Dropped in this order: the ring first, then the memory it refers to.
    ring: RefCell<Ring>,
    buffers: Buffers,
    sockets: RefCell<Sockets>,
    timers: RefCell<Timers>,
    listeners: RefCell<Vec<Listener>>,
    accepted: RefCell<Vec<Accepted>>,
    synced: RefCell<Vec<(u32, io::Result<()>)>>,
    /// Sockets with bytes to send that are not in flight.
    dirty: RefCell<Vec<SocketKey>>,
    /// Sockets that wait for provided buffers.
    starved: RefCell<Vec<SocketKey>>,
    spares: Spares,
    completions: RefCell<Vec<Completion>>,
    signal: Signal,
    /// Whether listening is over for good.
    is_closing: Cell<bool>,
    /// Sends since the process began.
    send_count: Cell<u64>,
    /// Polls of tasks since the process began: what the driver compares to know whether anything ran.
    activity: Cell<u64>,
}

#[derive(Debug)]
struct Listener {
    /// `None` once it is forgotten; its number is not given again.
    fd: Option<OwnedFd>,
    is_accepting: bool,
}

/// A connection that a listener has accepted.
#[derive(Debug)]
pub struct Accepted {
    /// Number of the listener, as [`Reactor::listen`] returned it.
    pub listener: usize,
    /// The connected socket.
    pub fd: OwnedFd,
}

/// The socket table: slots with a generation each, so that an old key matches nothing.
#[derive(Debug, Default)]
struct Sockets {
    slots: Vec<(u32, Option<Box<SocketState>>)>,
    free: Vec<u32>,
}

impl Sockets {
    fn insert(&mut self, state: SocketState) -> SocketKey {
        let state = Some(Box::new(state));
        match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.1 = state;
                SocketKey { index, generation: slot.0 }
            }
            None => {
                let index = u32::try_from(self.slots.len()).expect("fewer sockets than 2^32");
                self.slots.push((0, state));
                SocketKey { index, generation: 0 }
            }
        }
    }

    fn get(&mut self, key: SocketKey) -> Option<&mut SocketState> {
        let (generation, state) = self.slots.get_mut(key.index as usize)?;
        if *generation & GENERATION_MASK == key.generation & GENERATION_MASK {
            state.as_deref_mut()
        } else {
            None
        }
    }

    fn remove(&mut self, key: SocketKey) {
        let slot = &mut self.slots[key.index as usize];
        slot.0 = slot.0.wrapping_add(1) & GENERATION_MASK;
        slot.1 = None;
        self.free.push(key.index);
    }
}

impl Reactor {
    /// Makes the reactor. Must be called on the core's own thread.
    ///
    /// # Errors
    /// If io_uring or the wake socket cannot be made.
    pub fn new() -> io::Result<Rc<Reactor>> {
        let (ring, buffers) = Ring::new()?;
        let (sender, receiver) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        let reactor = Reactor {
            ring: RefCell::new(ring),
            buffers,
            sockets: RefCell::default(),
            timers: RefCell::default(),
            listeners: RefCell::default(),
            accepted: RefCell::default(),
            synced: RefCell::default(),
            dirty: RefCell::default(),
            starved: RefCell::default(),
            spares: Spares::default(),
            completions: RefCell::default(),
            signal: Signal { receiver, sender },
            is_closing: Cell::new(false),
            send_count: Cell::new(0),
            activity: Cell::new(0),
        };
        let fd = reactor.signal.receiver.as_raw_fd();
        reactor.ring.borrow_mut().poll_readable(fd, Purpose::Signal.tag(0, 0));
        Ok(Rc::new(reactor))
    }

    /// By which other cores wake this one, through their own [`Reactor::wake`].
    #[must_use]
    pub fn wake_fd(&self) -> RawFd {
        self.ring.borrow().fd()
    }

    /// By which any thread wakes this core: it writes a byte.
    ///
    /// # Errors
    /// If the process is out of descriptors.
    pub fn signal_sender(&self) -> io::Result<UnixStream> {
        self.signal.sender.try_clone()
    }

    /// Wakes the core whose [`Reactor::wake_fd`] this is, with this tick's submission.
    pub fn wake(&self, wake_fd: RawFd) {
        self.ring.borrow_mut().wake(wake_fd, Purpose::Wake.tag(0, 0));
    }

    /// Notes that a task was polled or has something to do, so that the driver looks again before it sleeps.
    pub fn note_activity(&self) {
        self.activity.set(self.activity.get() + 1);
    }

    /// Sends to sockets since the process began.
    #[must_use]
    pub fn send_count(&self) -> u64 {
        self.send_count.get()
    }

    /// How often [`Reactor::note_activity`] was called.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.activity.get()
    }

    // ---- listeners

    /// Starts accepting on a listening socket; returns its number.
    pub fn listen(&self, fd: OwnedFd) -> usize {
        let mut listeners = self.listeners.borrow_mut();
        listeners.push(Listener { fd: Some(fd), is_accepting: false });
        let number = listeners.len() - 1;
        drop(listeners);
        self.accept(number);
        number
    }

    /// Stops accepting on listener `number`, for good.
    pub fn forget_listener(&self, number: usize) {
        let mut listeners = self.listeners.borrow_mut();
        let listener = &mut listeners[number];
        listener.fd = None;
        if listener.is_accepting {
            let tag = Purpose::Accept.tag(0, number as u32);
            self.ring.borrow_mut().cancel(tag, Purpose::Cancel.tag(0, 0));
        }
    }

    /// Accepts again where the system had run out of descriptors or memory. Called now and then.
    pub fn resume_listening(&self) {
        let is_accepting = |listener: &Listener| listener.is_accepting;
        let stopped: Vec<usize> = {
            let listeners = self.listeners.borrow();
            (0..listeners.len()).filter(|&number| !is_accepting(&listeners[number])).collect()
        };
        if !self.is_closing.get() {
            stopped.into_iter().for_each(|number| self.accept(number));
        }
    }

    /// Stops accepting everywhere, for good.
    pub fn stop_listening(&self) {
        self.is_closing.set(true);
        let mut ring = self.ring.borrow_mut();
        for (number, listener) in self.listeners.borrow().iter().enumerate() {
            if listener.is_accepting {
                let tag = Purpose::Accept.tag(0, number as u32);
                ring.cancel(tag, Purpose::Cancel.tag(0, 0));
            }
        }
    }

    /// The connections accepted since the last call.
    pub fn take_accepted(&self) -> Vec<Accepted> {
        std::mem::take(&mut self.accepted.borrow_mut())
    }

    fn accept(&self, number: usize) {
        let mut listeners = self.listeners.borrow_mut();
        let listener = &mut listeners[number];
        let Some(fd) = &listener.fd else { return };
        let fd = fd.as_raw_fd();
        listener.is_accepting = true;
        self.ring.borrow_mut().accept(fd, Purpose::Accept.tag(0, number as u32));
    }

    // ---- sockets

    pub(super) fn add_socket(&self, fd: OwnedFd) -> SocketKey {
        let key = self.sockets.borrow_mut().insert(SocketState::new(fd));
        self.with_socket(key, |state| self.receive(key, state));
        key
    }

    /// Runs `f` on the state of a socket that its owner still holds.
    pub(super) fn with_socket<T>(
        &self,
        key: SocketKey,
        f: impl FnOnce(&mut SocketState) -> T,
    ) -> T {
        let mut sockets = self.sockets.borrow_mut();
        f(sockets.get(key).expect("the owner of a socket keeps its state alive"))
    }

    pub(super) fn take_received(&self, key: SocketKey) -> Option<(u16, u32)> {
        self.with_socket(key, |state| {
            let taken = state.received.pop_front();
            if taken.is_some() && !state.is_receiving && state.received.len() < HELD_MAX / 2 {
                self.receive(key, state);
            }
            taken
        })
    }

    pub(super) fn buffer_bytes(&self, buffer: u16, len: usize) -> &[u8] {
        self.buffers.bytes(buffer, len)
    }

    pub(super) fn give_back(&self, buffer: u16) {
        self.buffers.give_back(buffer);
    }

    pub(super) fn release_socket(&self, key: SocketKey) {
        let is_done = self.with_socket(key, |state| {
            state.is_released = true;
            state.recv_waker = None;
            state.flush_waker = None;
            state.pending = Vec::new();
            while let Some((buffer, _)) = state.received.pop_front() {
                self.buffers.give_back(buffer);
            }
            if state.is_receiving || state.is_sending {
                // Ends the operations under way; the peer sees the connection close at once.
                let _ = socket2::SockRef::from(&state.fd).shutdown(std::net::Shutdown::Both);
            }
            !state.is_receiving && !state.is_sending
        });
        if is_done {
            self.sockets.borrow_mut().remove(key);
        }
    }

    /// Wakes the task that waits for bytes of a socket, so that it looks whether it is to close.
    pub fn wake_receiver(&self, key: SocketKey) {
        self.note_activity();
        if let Some(state) = self.sockets.borrow_mut().get(key) {
            wake(&mut state.recv_waker);
        }
    }

    /// Queues `bytes` for a socket and leaves the buffer empty; they go out at the end of the tick. Returns how many
    /// bytes wait to be sent now; 0 if the socket is gone.
    pub fn send(&self, key: SocketKey, bytes: &mut Vec<u8>) -> usize {
        let mut sockets = self.sockets.borrow_mut();
        let Some(state) = sockets.get(key).filter(|state| !state.is_broken && !state.is_released)
        else {
            bytes.clear();
            return 0;
        };
        if state.pending.is_empty() {
            self.recycle(std::mem::replace(&mut state.pending, std::mem::take(bytes)));
            if !state.is_sending && !state.pending.is_empty() {
                self.dirty.borrow_mut().push(key);
            }
        } else {
            state.pending.append(bytes);
        }
        state.unsent_len()
    }

    /// Queues a copy of `bytes` for a socket; see [`Reactor::send`].
    pub fn send_copy(&self, key: SocketKey, bytes: &[u8]) -> usize {
        let mut sockets = self.sockets.borrow_mut();
        let Some(state) = sockets.get(key).filter(|state| !state.is_broken && !state.is_released)
        else {
            return 0;
        };
        if state.pending.is_empty() {
            if state.pending.capacity() == 0 {
                state.pending = self.spare_buffer();
            }
            if !state.is_sending {
                self.dirty.borrow_mut().push(key);
            }
        }
        state.pending.extend_from_slice(bytes);
        state.unsent_len()
    }

    /// Bytes that wait to be sent to a socket; 0 if it is gone.
    #[must_use]
    pub fn unsent_len(&self, key: SocketKey) -> usize {
        self.sockets.borrow_mut().get(key).map_or(0, |state| state.unsent_len())
    }

    /// An empty buffer, most often one that was used before.
    #[must_use]
    pub fn spare_buffer(&self) -> Vec<u8> {
        self.spares.take()
    }

    /// Keeps a buffer for [`Reactor::spare_buffer`], unless it is too large or there are enough.
    pub fn recycle(&self, buffer: Vec<u8>) {
        self.spares.put(buffer);
    }

    fn receive(&self, key: SocketKey, state: &mut SocketState) {
        if state.is_ended || state.is_broken || state.is_released {
            return;
        }
        state.is_receiving = true;
        state.is_pausing = false;
        let tag = Purpose::Recv.tag(key.generation, key.index);
        self.ring.borrow_mut().recv(state.raw_fd(), tag);
    }

    #[expect(unsafe_code, reason = "U-04: the kernel reads the bytes later")]
    fn start_sending(&self, key: SocketKey, state: &mut SocketState) {
        if state.sent_len == state.sending.len() {
            state.sent_len = 0;
            self.recycle(std::mem::replace(&mut state.sending, std::mem::take(&mut state.pending)));
        }
        state.is_sending = true;
        self.send_count.set(self.send_count.get() + 1);
        let tag = Purpose::Send.tag(key.generation, key.index);
        let bytes = &state.sending[state.sent_len..];
        // SAFETY: `sending` is neither changed nor dropped while `is_sending` is set: `send` appends to `pending`
        // only, and a released state stays in the table until the completion has come.
        unsafe { self.ring.borrow_mut().send(state.raw_fd(), bytes, tag) };
    }

    // ---- files

    /// Brings a file's data to the disk; the outcome appears in [`Reactor::take_synced`] under `token`.
    pub fn datasync(&self, fd: RawFd, token: u32) {
        self.ring.borrow_mut().datasync(fd, Purpose::Datasync.tag(0, token));
    }

    /// Files synced since the last call, with the token of each.
    pub fn take_synced(&self) -> Vec<(u32, io::Result<()>)> {
        std::mem::take(&mut self.synced.borrow_mut())
    }

    // ---- timers

    /// Waits until `deadline`.
    pub async fn sleep_until(&self, deadline: Moment) {
        let timer = Timer { reactor: self, id: Cell::new(None) };
        poll_fn(|cx| {
            self.note_activity();
            let mut timers = self.timers.borrow_mut();
            match timer.id.get() {
                None => timer.id.set(Some(timers.start(deadline, cx.waker().clone()))),
                Some(id) if !timers.is_pending(id) => return Poll::Ready(()),
                Some(id) => timers.set_waker(id, cx.waker()),
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes every task whose time has come.
    pub fn fire_timers(&self, now: Moment) {
        self.timers.borrow_mut().fire(now);
    }

    // ---- the tick

    /// Takes what has happened since the last [`Reactor::enter`] and wakes the tasks it concerns.
    pub fn reap(&self) {
        let mut completions = self.completions.take();
        self.ring.borrow_mut().take_completions(&mut completions);
        for completion in completions.drain(..) {
            self.dispatch(completion);
        }
        self.completions.replace(completions);
        for key in std::mem::take(&mut *self.starved.borrow_mut()) {
            let mut sockets = self.sockets.borrow_mut();
            if let Some(state) = sockets.get(key).filter(|state| !state.is_receiving) {
                self.receive(key, state);
            }
        }
    }

    /// Starts sending what the tick has produced, submits everything, and sleeps until something happens, or until
    /// `deadline`, if `may_sleep`.
    ///
    /// # Errors
    /// If the ring fails, which ends the core.
    pub fn enter(&self, may_sleep: bool, deadline: Moment) -> io::Result<()> {
        let mut dirty = self.dirty.take();
        for key in dirty.drain(..) {
            let mut sockets = self.sockets.borrow_mut();
            let state = sockets.get(key).filter(|state| !state.is_sending && !state.is_broken);
            if let Some(state) = state.filter(|state| !state.pending.is_empty()) {
                self.start_sending(key, state);
            }
        }
        self.dirty.replace(dirty);
        let soonest = self.timers.borrow_mut().soonest().map_or(deadline, |at| at.min(deadline));
        let wait = match may_sleep {
            false => Wait::No,
            true => Wait::AtMost(soonest.until(Moment::now())),
        };
        self.ring.borrow_mut().enter(wait)
    }

    fn dispatch(&self, completion: Completion) {
        let index = completion.user_data as u32;
        let generation = (completion.user_data >> 32) as u32 & GENERATION_MASK;
        let key = SocketKey { index, generation };
        match Purpose::of(completion.user_data) {
            Some(Purpose::Recv) => self.received(key, completion),
            Some(Purpose::Send) => self.sent(key, completion),
            Some(Purpose::Accept) => self.connected(index as usize, completion),
            Some(Purpose::Datasync) => {
                let result = match completion.result {
                    0.. => Ok(()),
                    errno => Err(io::Error::from_raw_os_error(-errno)),
                };
                self.synced.borrow_mut().push((index, result));
            }
            Some(Purpose::Signal) => {
                // The bytes mean nothing; whoever wrote them has left a message in an inbox.
                let mut bytes = [0; 64];
                while matches!((&self.signal.receiver).read(&mut bytes), Ok(1..)) {}
                if !completion.has_more {
                    let fd = self.signal.receiver.as_raw_fd();
                    self.ring.borrow_mut().poll_readable(fd, Purpose::Signal.tag(0, 0));
                }
            }
            Some(Purpose::Wake | Purpose::Cancel) | None => {}
        }
    }

    fn received(&self, key: SocketKey, completion: Completion) {
        let mut sockets = self.sockets.borrow_mut();
        let Some(state) = sockets.get(key) else {
            if let Some(buffer) = completion.buffer {
                self.buffers.give_back(buffer);
            }
            return;
        };
        state.is_receiving = completion.has_more;
        match (completion.result, completion.buffer) {
            (1.., Some(buffer)) if state.is_released => self.buffers.give_back(buffer),
            (len @ 1.., Some(buffer)) => {
                state.received.push_back(buffer, len as u32);
                if state.received.len() >= HELD_MAX {
                    if state.is_receiving && !state.is_pausing {
                        state.is_pausing = true;
                        let target = Purpose::Recv.tag(key.generation, key.index);
                        self.ring.borrow_mut().cancel(target, Purpose::Cancel.tag(0, 0));
                    }
                } else if !state.is_receiving {
                    self.receive(key, state);
                }
            }
            (result, buffer) => {
                if let Some(buffer) = buffer {
                    self.buffers.give_back(buffer);
                }
                match -result {
                    0 => state.is_ended = true,
                    libc::ENOBUFS => self.starved.borrow_mut().push(key),
                    libc::ECANCELED | libc::EINTR | libc::EAGAIN => {
                        if state.received.len() < HELD_MAX / 2 {
                            self.receive(key, state);
                        }
                    }
                    _ => {
                        state.is_ended = true;
                        state.is_broken = true;
                        wake(&mut state.flush_waker);
                    }
                }
            }
        }
        wake(&mut state.recv_waker);
        self.forget_if_done(key, &mut sockets);
    }

    fn sent(&self, key: SocketKey, completion: Completion) {
        let mut sockets = self.sockets.borrow_mut();
        let Some(state) = sockets.get(key) else { return };
        state.is_sending = false;
        match usize::try_from(completion.result) {
            Ok(len) => {
                state.sent_len += len;
                if state.is_released {
                } else if state.sent_len < state.sending.len() {
                    self.start_sending(key, state);
                } else {
                    state.sent_len = 0;
                    self.recycle(std::mem::take(&mut state.sending));
                    if state.pending.is_empty() {
                        wake(&mut state.flush_waker);
                    } else {
                        self.dirty.borrow_mut().push(key);
                    }
                }
            }
            Err(_) => {
                state.is_broken = true;
                state.is_ended = true;
                state.pending = Vec::new();
                state.sending = Vec::new();
                state.sent_len = 0;
                wake(&mut state.flush_waker);
                wake(&mut state.recv_waker);
            }
        }
        self.forget_if_done(key, &mut sockets);
    }

    fn forget_if_done(&self, key: SocketKey, sockets: &mut Sockets) {
        let is_done = sockets
            .get(key)
            .is_some_and(|state| state.is_released && !state.is_receiving && !state.is_sending);
        if is_done {
            sockets.remove(key);
        }
    }

    #[expect(unsafe_code, reason = "U-04: the kernel hands over a descriptor")]
    fn connected(&self, listener: usize, completion: Completion) {
        if completion.result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
            let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
            self.accepted.borrow_mut().push(Accepted { listener, fd });
        }
        if !completion.has_more {
            self.listeners.borrow_mut()[listener].is_accepting = false;
            // Out of descriptors or memory: connections wait in the backlog until `resume_listening`.
            if completion.result >= 0 {
                self.accept(listener);
            }
        }
    }
}

/// Ends a timer whose task no longer waits for it.
struct Timer<'a> {
    reactor: &'a Reactor,
    id: Cell<Option<u64>>,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.get() {
            self.reactor.timers.borrow_mut().cancel(id);
        }
    }
}

fn wake(waker: &mut Option<std::task::Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
