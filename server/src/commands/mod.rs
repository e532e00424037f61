//! The commands that touch connections, cores or configuration rather than keys: one file per topic.
//!
//! A row is like that of `shard::commands`; its function runs on the core of the connection once the replies before
//! it are complete, and may ask other cores ([`ServerRun::Later`]).

mod access;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod debug;
pub mod functions;
mod help;
pub mod info;
pub mod latency;
pub mod memory;
pub mod module;
pub mod monitor;
pub mod pubsub;
pub mod scripting;
pub mod shutdown;
pub mod slowlog;
pub mod transactions;

use crate::connection::Connection;
use protocol::command::CommandSpec;
use shard::CommandError;
use shard::args::Args;
use std::future::Future;
use std::pin::Pin;

/// A row of the command table.
#[derive(Debug)]
pub struct ServerCommand {
    /// What it is.
    pub spec: CommandSpec,
    /// How it runs.
    pub run: ServerRun,
}

/// A command that answers at once. It writes to `connection` by `Connection::reply`.
pub type NowFn = fn(&mut Connection, Args<'_>) -> Result<(), CommandError>;
/// A command that asks other cores, or waits.
pub type LaterFn = for<'a> fn(&'a mut Connection, Args<'a>) -> LaterReply<'a>;
/// What a [`LaterFn`] returns.
pub type LaterReply<'a> = Pin<Box<dyn Future<Output = Result<(), CommandError>> + 'a>>;

/// How a command of the server runs.
#[derive(Clone, Copy, Debug)]
pub enum ServerRun {
    /// At once.
    Now(NowFn),
    /// At once, even while replies before its own are awaited: it changes only what the connection itself does next.
    Early(NowFn),
    /// It may have to wait for other cores.
    Later(LaterFn),
    /// It runs a script, on the shard of its keys if that is one.
    Script(crate::scripting::Kind),
    /// It publishes on a channel, at the core that owns it (PUBLISH, SPUBLISH).
    Publish(crate::pubsub::Topic),
}

/// All topics' rows.
pub const TABLES: &[&[ServerCommand]] = &[
    client::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    functions::COMMANDS,
    info::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    module::COMMANDS,
    monitor::COMMANDS,
    pubsub::COMMANDS,
    scripting::COMMANDS,
    shutdown::COMMANDS,
    slowlog::COMMANDS,
    transactions::COMMANDS,
];
