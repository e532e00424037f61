//! Clients that wait on keys of this shard (BLPOP and its kin): first come, first served per key.
//!
//! A client may wait on keys of several shards; its [`Claim`] is shared by all of them, and the first shard that can
//! serve it takes the claim, so nothing is popped twice or for a client that has gone.

use crate::commands::Command;
use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who waits: the core of the connection and its token there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaiterId {
    /// Core of the connection.
    pub core: u16,
    /// Token of the connection on its core.
    pub token: u64,
}

/// The right to serve one blocked client, taken at most once.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Takes the right; `false` if somebody was faster. Pairs with itself on the other cores.
    #[must_use]
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether somebody has taken it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One blocked client with the request it waits with.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Who waits.
    pub id: WaiterId,
    /// The right to serve it.
    pub claim: Claim,
    /// The row of its command.
    pub command: &'static Command,
    /// Its request.
    pub argv: Arc<ArgvBuf>,
    /// Its database.
    pub db: u16,
    /// Its protocol version.
    pub resp: Resp,
}

/// A blocked client that has been served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Who.
    pub id: WaiterId,
    /// The reply.
    pub reply: Vec<u8>,
}

/// A key with its database.
pub type DbKey = (u16, Box<[u8]>);

/// The queues of waiting clients, by key; beside each waiter the index of the key in its argv.
#[derive(Debug, Default)]
pub struct Waiters {
    queues: HashMap<DbKey, VecDeque<(usize, Waiter)>>,
    /// Keys that have changed while somebody waits for them; looked at after the command.
    pub(crate) ready: Vec<DbKey>,
}

impl Waiters {
    /// Whether nobody waits: the only question a write asks on the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Puts `waiter` at the end of the queue of its key number `key_index` (an index into its argv).
    pub fn push(&mut self, key_index: usize, waiter: Waiter) {
        let key = waiter.argv.as_argv().get(key_index).expect("an index of a key").into();
        self.queues.entry((waiter.db, key)).or_default().push_back((key_index, waiter));
    }

    /// Notes that `key` has changed, if somebody waits for it.
    pub(crate) fn touch(&mut self, db: u16, key: &[u8]) {
        if self.queues.is_empty() {
            return;
        }
        let key = (db, key.into());
        if self.queues.contains_key(&key) && !self.ready.contains(&key) {
            self.ready.push(key);
        }
    }

    /// Takes the client that has waited longest for `key`, leaving out those that were served elsewhere or have gone.
    pub fn pop(&mut self, key: &DbKey) -> Option<(usize, Waiter)> {
        let queue = self.queues.get_mut(key)?;
        let mut found = None;
        while let Some(waiter) = queue.pop_front() {
            if !waiter.1.claim.is_taken() {
                found = Some(waiter);
                break;
            }
        }
        if queue.is_empty() {
            self.queues.remove(key);
        }
        found
    }

    /// Puts a client back at the head of its queue: it could not be served after all.
    pub fn put_back(&mut self, key: DbKey, waiter: (usize, Waiter)) {
        self.queues.entry(key).or_default().push_front(waiter);
    }

    /// Forgets a client that no longer waits on `key`.
    pub fn remove(&mut self, db: u16, key: &[u8], id: WaiterId) {
        let key = (db, key.into());
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.retain(|(_, waiter)| waiter.id != id);
            if queue.is_empty() {
                self.queues.remove(&key);
            }
        }
    }
}
