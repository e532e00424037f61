//! One shard: a part of the keyspace, its expiry and the commands on it. Plain data: no I/O, no clock, no randomness
//! of its own, no threads. Everything it needs comes in with a call ([`Now`], [`Options`], a seed), everything it
//! did comes out (reply bytes, [`Outcome`], [`effects::Effects`]). So it is `Send`, deterministic and testable alone.
//!
//! Reading order: [`shard`] (the way in), [`call`], [`context`] (all a command may touch), [`args`], [`commands`],
//! [`keyspace`], [`types`], [`effects`] (the way out), [`waiters`] (blocked clients).
#![forbid(unsafe_code)]

pub mod args;
pub mod call;
pub mod commands;
pub mod context;
pub mod digest;
pub mod effects;
pub mod error;
pub mod event;
pub mod keyspace;
pub mod locks;
pub mod memory;
pub mod options;
pub mod rng;
pub mod shard;
pub mod types;
pub mod value;
pub mod waiters;
pub mod watch;

pub use call::{Call, Now, Outcome};
pub use error::CommandError;
pub use options::Options;
pub use shard::Shard;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Shard>()
};
