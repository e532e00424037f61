//! MONITOR: see every command that the server runs; the lines are made in `crate::monitor`.

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use protocol::command::{CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
        docs: &MONITOR,
        ..CommandSpec::new("monitor", Group::Server)
    },
    run: ServerRun::Now(monitor),
}];

fn monitor(connection: &mut Connection, _: Args<'_>) -> Result<(), CommandError> {
    if connection.session.is_in_exec {
        return Err(CommandError::text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    connection.start_monitoring();
    Ok(())
}

const MONITOR: Docs = Docs {
    summary: "Shows this client every command that the server runs, until it leaves.",
    since: "1.0.0",
    complexity: "O(1), plus one line per command from then on",
    ..Docs::NONE
};
