//! One connected socket of a core: bytes in as lent buffers, bytes out in the order they were given.
//!
//! Receiving goes on by itself (multishot) and stops only when the holder does not take what has arrived. Sending
//! never waits: bytes are collected and go out together at the end of the tick.

use super::reactor::{Reactor, SocketKey};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Received buffers a socket may hold before it stops receiving.
pub(super) const HELD_MAX: usize = 8;

/// State of one socket inside the reactor.
#[derive(Debug)]
pub(super) struct SocketState {
    pub(super) fd: OwnedFd,
    /// Buffers with bytes that nobody has taken yet.
    pub(super) received: Received,
    /// Whether a receive operation is under way.
    pub(super) is_receiving: bool,
    /// Whether its cancellation has been asked for.
    pub(super) is_pausing: bool,
    /// No more bytes will come: the peer has closed its side, or the connection failed.
    pub(super) is_ended: bool,
    /// The connection failed, or its owner has let go: nothing is sent any more.
    pub(super) is_broken: bool,
    /// The owner has let go; the state lives on until the kernel has answered everything.
    pub(super) is_released: bool,
    /// Bytes to send after those in flight.
    pub(super) pending: Vec<u8>,
    /// Bytes in flight, and how many of them are sent.
    pub(super) sending: Vec<u8>,
    pub(super) sent_len: usize,
    pub(super) is_sending: bool,
    /// The task that waits for bytes or the end.
    pub(super) recv_waker: Option<Waker>,
    /// The task that waits for everything to be sent.
    pub(super) flush_waker: Option<Waker>,
}

/// Received buffers that nobody has taken yet: id and length of each. Most often there is at most one, which needs no
/// memory of its own.
#[derive(Debug, Default)]
pub(super) struct Received {
    first: Option<(u16, u32)>,
    #[expect(clippy::box_collection, reason = "one word in an idle socket instead of four")]
    others: Option<Box<VecDeque<(u16, u32)>>>,
}

impl Received {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }

    pub(super) fn push_back(&mut self, buffer: u16, len: u32) {
        match self.first {
            None => self.first = Some((buffer, len)),
            Some(_) => self.others.get_or_insert_default().push_back((buffer, len)),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<(u16, u32)> {
        let next = self.others.as_mut().and_then(|others| others.pop_front());
        if next.is_none() {
            self.others = None;
        }
        std::mem::replace(&mut self.first, next)
    }
}

impl SocketState {
    pub(super) fn new(fd: OwnedFd) -> Self {
        SocketState {
            fd,
            received: Received::default(),
            is_receiving: false,
            is_pausing: false,
            is_ended: false,
            is_broken: false,
            is_released: false,
            pending: Vec::new(),
            sending: Vec::new(),
            sent_len: 0,
            is_sending: false,
            recv_waker: None,
            flush_waker: None,
        }
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Bytes that wait to be sent.
    pub(super) fn unsent_len(&self) -> usize {
        self.pending.len() + self.sending.len() - self.sent_len
    }
}

/// A connected socket, owned by one task.
pub struct Socket {
    reactor: Rc<Reactor>,
    key: SocketKey,
}

impl Socket {
    /// Hands a connected descriptor to the reactor and starts receiving.
    #[must_use]
    pub fn new(reactor: Rc<Reactor>, fd: OwnedFd) -> Self {
        let key = reactor.add_socket(fd);
        Socket { reactor, key }
    }

    /// What other tasks of this core send by.
    #[must_use]
    pub fn key(&self) -> SocketKey {
        self.key
    }

    /// The next bytes received; `None` once no more will come.
    pub async fn recv(&mut self) -> Option<Chunk> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for the next bytes received; see [`Socket::recv`].
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        self.reactor.note_activity();
        let taken = self.reactor.take_received(self.key);
        match taken {
            Some((buffer, len)) => {
                let reactor = self.reactor.clone();
                Poll::Ready(Some(Chunk { reactor, buffer, len }))
            }
            None if self.is_ended() => Poll::Ready(None),
            None => {
                self.reactor.with_socket(self.key, |state| set_waker(&mut state.recv_waker, cx));
                Poll::Pending
            }
        }
    }

    /// Whether the peer will send nothing more, apart from bytes not yet taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.reactor.with_socket(self.key, |state| state.is_ended || state.is_broken)
    }

    /// Whether the connection has failed, so that sending is pointless.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.reactor.with_socket(self.key, |state| state.is_broken)
    }

    /// Waits until the peer has closed its side or the connection has failed; bytes that arrive meanwhile are kept.
    pub async fn ended(&self) {
        poll_fn(|cx| {
            self.reactor.note_activity();
            if self.is_ended() {
                return Poll::Ready(());
            }
            self.reactor.with_socket(self.key, |state| set_waker(&mut state.recv_waker, cx));
            Poll::Pending
        })
        .await;
    }

    /// Waits until everything given to [`Reactor::send`] is with the kernel, or the connection has failed.
    pub async fn flushed(&self) {
        poll_fn(|cx| {
            self.reactor.note_activity();
            let is_done = self
                .reactor
                .with_socket(self.key, |state| state.is_broken || state.unsent_len() == 0);
            if is_done {
                return Poll::Ready(());
            }
            self.reactor.with_socket(self.key, |state| set_waker(&mut state.flush_waker, cx));
            Poll::Pending
        })
        .await;
    }

    /// Descriptor number, as CLIENT LIST shows it.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.reactor.with_socket(self.key, |state| state.raw_fd())
    }
}

fn set_waker(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reactor.release_socket(self.key);
    }
}

/// Bytes received, in a buffer lent by the reactor until this is dropped.
pub struct Chunk {
    reactor: Rc<Reactor>,
    buffer: u16,
    len: u32,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.reactor.buffer_bytes(self.buffer, self.len as usize)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.reactor.give_back(self.buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_taken_in_the_order_they_came() {
        let mut received = Received::default();
        assert_eq!(received.pop_front(), None);
        for id in 0..5 {
            received.push_back(id, u32::from(id) + 1);
        }
        assert_eq!(received.len(), 5);
        assert_eq!(received.pop_front(), Some((0, 1)));
        received.push_back(5, 6);
        let rest: Vec<u16> =
            std::iter::from_fn(|| received.pop_front()).map(|(id, _)| id).collect();
        assert_eq!(rest, [1, 2, 3, 4, 5]);
        assert!(received.others.is_none(), "an empty queue holds no memory");
    }
}
