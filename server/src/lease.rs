//! Whose shard it is at the moment: its own core's while that is awake; any core's while it sleeps.
//!
//! A core holds the lock of its shard as long as it is awake and lets go of it before it sleeps. Another core that has a
//! command for it may then run it in place (*lending*), instead of waking a core for a microsecond's
//! work: see `Core::run_lent` for when that is allowed.
//! Invariant: a shard without a holder has no unread messages and nothing half done.

use parking_lot::lock_api::ArcMutexGuard;
use parking_lot::{Mutex, MutexGuard, RawMutex};
use shard::Shard;
use std::sync::Arc;

/// A shard held by its own core.
pub type Held = ArcMutexGuard<RawMutex, Shard>;

/// The shards of all cores.
pub struct Leases(Vec<Arc<Mutex<Shard>>>);

impl Leases {
    /// The shards, in the order of their cores.
    #[must_use]
    pub fn new(shards: Vec<Shard>) -> Self {
        Leases(shards.into_iter().map(|shard| Arc::new(Mutex::new(shard))).collect())
    }

    /// Takes a shard for its own core; waits for a core that is just running a command on it.
    pub fn hold(&self, core: usize) -> Held {
        self.0[core].lock_arc()
    }

    /// Borrows the shard of another core, if that sleeps and nobody else has borrowed it.
    #[must_use]
    pub fn borrow(&self, core: usize) -> Option<MutexGuard<'_, Shard>> {
        self.0[core].try_lock()
    }
}
