//! What the rest of a core knows of one of its connections: the mail it waits for, and orders to close.
//!
//! Owner: the core of the connection; shared between the connection's task and the core's driver on one thread.

use crate::batch::Batch;
use crate::clients::{Client, ClientFlags};
use crate::runtime::reactor::SocketKey;
use protocol::reply::Resp;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One connection as its core sees it.
#[derive(Debug)]
pub struct Peer {
    /// Its socket.
    pub key: SocketKey,
    /// Its row in the client registry.
    pub client: Arc<Client>,
    /// Its protocol version, for messages that others send it.
    pub resp: Cell<Resp>,
    /// What has come for it, and its task while that waits.
    mail: RefCell<Mail>,
    /// Batches that are still away.
    pub away_count: Cell<u32>,
    /// Whether the connection is making replies. Pushed messages wait behind them, so that what a client is told of
    /// a key or channel comes in the order it happened.
    pub is_busy: Cell<bool>,
    /// Why the connection is to be closed.
    pub close: Cell<Option<Close>>,
    /// When the soft output limit was first exceeded, in milliseconds since 1970; 0 if it is not.
    pub over_soft_limit_since_ms: Cell<i64>,
}

/// Batches of one exchange. Two need no memory of their own.
pub type Batches = SmallVec<[Box<Batch>; 2]>;

/// What comes for a connection. One cell for all of it: every idle connection pays for these fields.
#[derive(Debug, Default)]
struct Mail {
    /// Batches that have come back.
    batches: Batches,
    /// How its blocking command ended.
    unblocked: Option<Box<Unblocked>>,
    /// Pushed messages that wait, encoded.
    held: Vec<u8>,
    /// The task, while it waits for any of this.
    waker: Option<Waker>,
}

/// How a blocking command ended.
#[derive(Debug)]
pub enum Unblocked {
    /// It was served; the reply.
    Served(Vec<u8>),
    /// CLIENT UNBLOCK: as if its time were over.
    TimedOut,
    /// CLIENT UNBLOCK … ERROR.
    Error,
}

/// Why a connection is closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// At once: CLIENT KILL, limits, time-outs.
    Now,
    /// Once its replies are sent: QUIT, shutdown.
    AfterReplies,
}

impl Peer {
    /// A connection that waits for nothing.
    #[must_use]
    pub fn new(key: SocketKey, client: Arc<Client>) -> Self {
        Peer {
            key,
            client,
            resp: Cell::new(Resp::V2),
            mail: RefCell::default(),
            away_count: Cell::new(0),
            is_busy: Cell::new(false),
            close: Cell::new(None),
            over_soft_limit_since_ms: Cell::new(0),
        }
    }

    /// A batch has come back.
    pub fn batch_done(&self, batch: Box<Batch>) {
        self.mail.borrow_mut().batches.push(batch);
        self.away_count.set(self.away_count.get() - 1);
        if self.away_count.get() == 0 {
            self.wake();
        }
    }

    /// The batches that have come back.
    #[must_use]
    pub fn take_batches(&self) -> Batches {
        std::mem::take(&mut self.mail.borrow_mut().batches)
    }

    /// Pushed messages that wait, encoded.
    #[must_use]
    pub fn held(&self) -> RefMut<'_, Vec<u8>> {
        RefMut::map(self.mail.borrow_mut(), |mail| &mut mail.held)
    }

    /// Orders the connection to close.
    pub fn order_close(&self, close: Close) {
        if self.close.get() != Some(Close::Now) {
            self.close.set(Some(close));
        }
        self.client.set_flag(ClientFlags::CLOSE_AFTER_REPLY, true);
        self.wake();
    }

    /// How the blocking command has ended, if it has; asked once.
    #[must_use]
    pub fn take_unblocked(&self) -> Option<Unblocked> {
        self.mail.borrow_mut().unblocked.take().map(|how| *how)
    }

    /// The blocking command has ended.
    pub fn unblock(&self, how: Unblocked) {
        self.mail.borrow_mut().unblocked = Some(Box::new(how));
        self.is_busy.set(true);
        self.wake();
    }

    /// Waits until `ready` gives something; it is asked whenever anything here changes.
    pub fn poll_until<T>(
        &self,
        cx: &Context<'_>,
        ready: impl FnOnce(&Peer) -> Option<T>,
    ) -> Poll<T> {
        match ready(self) {
            Some(value) => Poll::Ready(value),
            None => {
                self.mail.borrow_mut().waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Wakes the task, if it waits for something here, to look again.
    pub fn wake(&self) {
        let waker = self.mail.borrow_mut().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
