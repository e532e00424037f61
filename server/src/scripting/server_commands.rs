//! Commands of the server that a script runs: INFO, COMMAND, MEMORY, PUBSUB, SLOWLOG and the like.
//!
//! Such a command works for a connection. A script has none: it may run on another core than its client's, and what it
//! does must not change its client. So the command gets a connection that nobody is at the other end of, and the script
//! waits for its reply.

use super::host::Wanted;
use crate::commands::{ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::core::Core;
use crate::registry::Registered;
use protocol::command::Flags;
use protocol::reply::Writer;
use protocol::request::Argv;
use shard::args::Args;
use shard::{CommandError, Outcome};
use std::rc::Rc;

/// Commands that are about the server alone. Those of them that Redis keeps from scripts have stopped at the gates, unless
/// tests have opened these.
const ABOUT_THE_SERVER: &[&str] = &[
    "client", "command", "config", "info", "latency", "lolwut", "memory", "module", "pubsub",
    "slowlog",
];

/// Whether a script may run a command of the server in this way: one that is about the server, or the HELP of any.
pub(super) fn is_about_server(command: &Registered) -> bool {
    let is_help = command.container.is_some() && command.spec.name == "help";
    is_help || ABOUT_THE_SERVER.contains(&command.top_name())
}

/// Runs a command of the server for a script; returns its reply.
pub(super) async fn run(
    core: &Rc<Core>,
    command: &Registered,
    server_command: &ServerCommand,
    wanted: Wanted,
) -> Vec<u8> {
    // It may ask nobody: a script that does nothing else must not keep the core for itself.
    core.let_others_run().await;
    core.restart_stopwatch();
    let result = answer(core, command, server_command, wanted.argv.as_argv(), &wanted).await;
    let outcome = if result.is_ok() { Outcome::Replied } else { Outcome::Failed };
    core.account(command, outcome);
    result.unwrap_or_else(|error| {
        let mut reply = Vec::new();
        Writer::new(&mut reply, wanted.resp).error(&error.as_bytes());
        reply
    })
}

async fn answer(
    core: &Rc<Core>,
    command: &Registered,
    server_command: &ServerCommand,
    argv: Argv<'_>,
    wanted: &Wanted,
) -> Result<Vec<u8>, CommandError> {
    let connection = Connection::for_script(core.clone(), wanted.db, wanted.resp);
    let mut connection = connection.map_err(|error| {
        CommandError::Text(format!("ERR cannot run '{}': {error}", command.full_name()).into())
    })?;
    match server_command.run {
        ServerRun::Now(run) | ServerRun::Early(run) => run(&mut connection, Args::new(argv))?,
        ServerRun::Later(run) => run(&mut connection, Args::new(argv)).await?,
        ServerRun::Script(_) | ServerRun::Publish(_) => {
            unreachable!("they are not about the server alone")
        }
    }
    let mut reply = std::mem::take(&mut connection.replies);
    // What asks for no reply (CLIENT REPLY) has none.
    if reply.is_empty() {
        Writer::new(&mut reply, wanted.resp).null();
    }
    Ok(reply)
}

/// Whether a command is one that Redis lets no script run.
pub(super) fn is_kept_from_scripts(core: &Core, command: &Registered) -> bool {
    use std::sync::atomic::Ordering;
    command.is(Flags::NOSCRIPT) && !core.shared.scripts.is_deny_disabled.load(Ordering::Relaxed)
}
