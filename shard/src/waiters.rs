//! Clients that wait on keys of this shard (BLPOP and its kin): first come, first served per key.
//!
//! A client may wait on keys of several shards; its [`Claim`] is shared by all of them, and the first shard that can
//! serve it takes the claim, so nothing is popped twice or for a client that has gone. A queue may still hold clients
//! whose claim has been taken; they are dropped when the queue is next looked at or the client is forgotten.

use crate::commands::{Command, Run, ServeEach};
use ahash::RandomState;
use hashbrown::HashMap;
use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use std::collections::VecDeque;
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

/// The right to serve one blocked client, taken at most once: by the shard that serves it, or by the client's own core
/// when its time is over or it has gone.
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
    /// Whether serving it takes another shard too (BLMOVE to a key elsewhere). It is told to come again then: its
    /// [`Served::reply`] is empty, and nobody else is served from the key until it is forgotten.
    pub is_remote: bool,
    /// Whether it was told to come again, and somebody else was faster: it waits before all others then.
    pub is_back: bool,
    /// Its keys on this shard, as indices into its argv, if all of them are looked at together (XREAD): the shard
    /// fills this.
    pub own_keys: Arc<[usize]>,
}

/// A blocked client that has been served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Who.
    pub id: WaiterId,
    /// The reply; empty for one that [is remote](Waiter::is_remote).
    pub reply: Vec<u8>,
}

/// A key with its database.
pub type DbKey = (u16, Box<[u8]>);

/// Waiting clients in the order they came, each with the index of the key in its argv.
type Queue = VecDeque<(usize, Waiter)>;

/// The queues of waiting clients, by key.
#[derive(Debug)]
pub struct Waiters {
    /// By database; only as many as were ever needed.
    queues: Vec<HashMap<Box<[u8]>, Queue, RandomState>>,
    queue_count: usize,
    /// Keys that have changed while somebody waits for them; looked at behind the command. None twice.
    ready: VecDeque<DbKey>,
    /// Keys that a remote client has been told of and may be about to take from.
    offers: Vec<(DbKey, WaiterId)>,
    hasher: RandomState,
}

impl Waiters {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Waiters {
            queues: Vec::new(),
            queue_count: 0,
            ready: VecDeque::new(),
            offers: Vec::new(),
            hasher,
        }
    }

    /// Whether nobody waits: the only question a write asks on the way.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue_count == 0
    }

    /// For how many keys somebody waits, and for how many of these with a group, which a deleted key concerns too. Who
    /// has been served elsewhere does not wait any more. Cost: O(clients that wait).
    #[must_use]
    pub fn key_counts(&self) -> (usize, usize) {
        let is_group = |waiter: &Waiter| {
            matches!(waiter.command.run, Run::AllOf { serve: ServeEach::Write(_), .. })
        };
        let queues = self.queues.iter().flat_map(HashMap::values);
        queues.fold((0, 0), |(key_count, group_count), queue| {
            let mut waiting =
                queue.iter().map(|(_, waiter)| waiter).filter(|waiter| !waiter.claim.is_taken());
            let is_waited_for = waiting.clone().next().is_some();
            (
                key_count + usize::from(is_waited_for),
                group_count + usize::from(waiting.any(is_group)),
            )
        })
    }

    /// Puts `waiter` into the queue of its key number `key_index` (an index into its argv).
    pub fn push(&mut self, key_index: usize, waiter: Waiter) {
        let db = usize::from(waiter.db);
        if self.queues.len() <= db {
            self.queues.resize_with(db + 1, || HashMap::with_hasher(self.hasher.clone()));
        }
        let argv = Arc::clone(&waiter.argv);
        let key = argv.as_argv().get(key_index).expect("an index of a key");
        let queues = &mut self.queues[db];
        let queue = queues.entry(key.into()).or_insert_with(|| {
            self.queue_count += 1;
            Queue::new()
        });
        if waiter.is_back {
            queue.push_front((key_index, waiter));
        } else {
            queue.push_back((key_index, waiter));
        }
    }

    /// Notes that `key` has changed, if somebody waits for it.
    #[inline]
    pub(crate) fn touch(&mut self, db: u16, key: &[u8]) {
        if !self.is_empty() {
            self.touch_queue(db, key);
        }
    }

    fn touch_queue(&mut self, db: u16, key: &[u8]) {
        let is_waited_for = self.queues.get(usize::from(db)).is_some_and(|q| q.contains_key(key));
        if is_waited_for && !self.ready.iter().any(|(at, ready)| *at == db && **ready == *key) {
            self.ready.push_back((db, key.into()));
        }
    }

    /// Notes every key of database `db` that somebody waits for: its contents have been exchanged.
    pub(crate) fn touch_all(&mut self, db: u16) {
        let Some(queues) = self.queues.get(usize::from(db)) else { return };
        let mut keys: Vec<Box<[u8]>> = queues.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys {
            self.touch_queue(db, &key);
        }
    }

    /// Notes keys again that have changed and could not be served yet.
    pub(crate) fn postpone(&mut self, keys: Vec<DbKey>) {
        self.ready.extend(keys);
    }

    /// The clients that wait for `key`, in their order.
    pub(crate) fn waiting(&self, db: u16, key: &[u8]) -> impl Iterator<Item = &Waiter> {
        let queue = self.queues.get(usize::from(db)).and_then(|queues| queues.get(key));
        queue.into_iter().flatten().map(|(_, waiter)| waiter)
    }

    /// The next key that has changed while somebody waits for it.
    pub(crate) fn next_ready(&mut self) -> Option<DbKey> {
        self.ready.pop_front()
    }

    /// Keeps `key` for the remote client `id`, until it is forgotten.
    pub(crate) fn offer(&mut self, db: u16, key: &[u8], id: WaiterId) {
        self.offers.push(((db, key.into()), id));
    }

    /// Takes the client that has waited longest for `key` among those that `is_fit` accepts, and drops those that were
    /// served elsewhere or have gone. There is none while the key is kept for somebody.
    pub(crate) fn take(
        &mut self,
        (db, key): &DbKey,
        is_fit: impl Fn(&Waiter) -> bool,
    ) -> Option<(usize, Waiter)> {
        if self.offers.iter().any(|((at, offered), _)| at == db && offered == key) {
            return None;
        }
        let queue = self.queues.get_mut(usize::from(*db))?.get_mut(key)?;
        let mut found = None;
        let mut index = 0;
        while let (Some((_, waiter)), None) = (queue.get(index), &found) {
            if waiter.claim.is_taken() {
                queue.remove(index);
            } else if is_fit(waiter) {
                found = queue.remove(index);
            } else {
                index += 1;
            }
        }
        self.drop_if_empty(*db, key);
        found
    }

    /// Takes the clients out that look at all their keys together when `key` changes, in the order they came. Those
    /// that were served elsewhere or have gone are dropped.
    pub(crate) fn take_readers(&mut self, (db, key): &DbKey) -> Vec<(usize, Waiter)> {
        let queue = self.queues.get_mut(usize::from(*db)).and_then(|queues| queues.get_mut(key));
        let Some(queue) = queue else { return Vec::new() };
        let is_reader = |waiter: &Waiter| matches!(waiter.command.run, Run::AllOf { .. });
        let (readers, others) = std::mem::take(queue)
            .into_iter()
            .filter(|(_, waiter)| !waiter.claim.is_taken())
            .partition::<Vec<_>, _>(|(_, waiter)| is_reader(waiter));
        queue.extend(others);
        self.drop_if_empty(*db, key);
        readers
    }

    /// Puts clients that [`Waiters::take_readers`] has given back, before whoever came since.
    pub(crate) fn put_back(&mut self, (db, key): &DbKey, readers: Vec<(usize, Waiter)>) {
        if readers.is_empty() {
            return;
        }
        let queue = self.queues[usize::from(*db)].entry(key.clone()).or_insert_with(|| {
            self.queue_count += 1;
            Queue::new()
        });
        readers.into_iter().rev().for_each(|reader| queue.push_front(reader));
    }

    /// Forgets a client that no longer waits on `key`. If the key was kept for it, it is the next one's turn.
    pub fn remove(&mut self, db: u16, key: &[u8], id: WaiterId) {
        let offer_count = self.offers.len();
        self.offers.retain(|((at, offered), to)| (*at, &**offered, *to) != (db, key, id));
        if self.offers.len() < offer_count {
            self.touch(db, key);
        }
        let queue = self.queues.get_mut(usize::from(db)).and_then(|queues| queues.get_mut(key));
        if let Some(queue) = queue {
            queue.retain(|(_, waiter)| waiter.id != id);
            self.drop_if_empty(db, key);
        }
    }

    fn drop_if_empty(&mut self, db: u16, key: &[u8]) {
        let queues = &mut self.queues[usize::from(db)];
        if queues.get(key).is_some_and(VecDeque::is_empty) {
            queues.remove(key);
            self.queue_count -= 1;
        }
    }
}
