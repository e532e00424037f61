//! Everything with a thread or a socket: cores, their rings and connections, routing over shards.
//!
//! Reading order: [`startup`] (configuration to running server), [`core`] (one core, tick by tick), [`connection`]
//! (one client), [`dispatch`] and [`router`] (what becomes of a request), [`transaction`] (commands over several
//! shards), [`mailbox`], [`message`] and [`batch`] (how cores talk), [`answers`] (what they answer), [`pubsub`], [`tracking`],
//! [`commands`], and [`runtime`] (the seam to kernel, clock and executor).

mod answers;
pub mod batch;
pub mod check;
pub mod clients;
pub mod commands;
pub mod connection;
pub mod core;
pub mod dispatch;
pub mod histogram;
pub mod inbox;
pub mod info;
pub mod journal;
pub mod lease;
pub mod listener;
pub mod mailbox;
pub mod memory;
pub mod message;
mod monitor;
pub mod options;
pub mod peer;
pub mod pubsub;
pub mod reading;
pub mod recovery;
mod redact;
pub mod registry;
pub mod router;
pub mod runtime;
pub mod scripting;
pub mod shared;
mod shutdown;
pub mod startup;
pub mod statistics;
mod supervision;
pub mod tracking;
pub mod transaction;
