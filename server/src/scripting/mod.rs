//! Scripts and functions: who runs them where, and what happens when they take long.
//!
//! Path: a row with `ServerRun::Script` -> `router` says where its keys lie -> [`Core::start_script`] there -> the crate
//! `script`, which asks back by [`host`] for each command.
//!
//! If all keys of a script lie on one shard it runs on that core, in one go and without a lock, each command directly on
//! the shard ([`run`]). One that takes longer than a few milliseconds is suspended, holds the lock of the whole shard, and
//! goes on in slices between what else the core has to do ([`paused`]). Keys on several shards, or keys that a script has
//! not declared, are locked first; then the script runs on one core and asks the shards ([`across`]).
//!
//! Shared by all cores: the scripts known, the libraries, and which scripts run for long ([`Scripts`]). Each core has
//! interpreters of its own ([`CoreScripts`]).

mod across;
mod busy;
mod cores;
pub mod functions;
mod host;
mod paused;
mod request;
mod rest;
mod run;
mod server_commands;
mod shared;
mod sorting;

pub use cores::CoreScripts;
pub use request::Kind;
pub(crate) use run::{InUnit, Started, Then, Unfinished};
pub(crate) use shared::CANNOT_WIDEN;
pub use shared::{Holds, Running, Scripts, Unkillable};
