//! The connections of a core, and memory that they use again.
//!
//! Path: `runtime::reactor` accepts -> [`Core::take_connections`] chooses a core -> [`Core::adopt`] there.

use super::{Core, SPARE_COUNT_MAX};
use crate::batch::Batch;
use crate::connection::{self, Ahead, Exchange};
use crate::message::{Message, NewConnection};
use crate::peer::Peer;
use crate::runtime::executor;
use crate::runtime::reactor::SocketKey;
use std::rc::Rc;
use std::sync::atomic::Ordering;

impl Core {
    pub(super) fn take_connections(self: &Rc<Self>) {
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

    pub(super) fn adopt(self: &Rc<Self>, connection: NewConnection) {
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
