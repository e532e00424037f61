//! Commands about the connection itself: PING ECHO SELECT.

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;
use std::sync::atomic::Ordering;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            arity: -1,
            flags: Flags::FAST,
            categories: Categories::CONNECTION,
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            docs: &PING,
            ..CommandSpec::new("ping", Group::Connection)
        },
        run: ServerRun::Now(ping),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &SELECT,
            ..CommandSpec::new("select", Group::Connection)
        },
        run: ServerRun::Now(select),
    },
];

fn ping(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.remaining() > 1 {
        return Err(CommandError::WrongArity("ping".into()));
    }
    let message = args.bytes().ok();
    let is_subscribed = connection.session.is_in_pubsub_mode();
    connection.reply(|writer| match (is_subscribed, message) {
        (true, message) => {
            writer.array(2);
            writer.bulk(b"pong");
            writer.bulk(message.unwrap_or_default());
        }
        (false, Some(message)) => writer.bulk(message),
        (false, None) => writer.status("PONG"),
    });
    Ok(())
}

fn select(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let index = args.integer()?;
    let count = connection.core.settings().databases;
    if !(0..i64::from(count)).contains(&index) {
        return Err(CommandError::text("ERR DB index is out of range"));
    }
    connection.session.db = index as u16;
    connection.peer.client.db.store(index as u16, Ordering::Relaxed);
    connection.reply(|writer| writer.ok());
    Ok(())
}

const PING: Docs = Docs {
    summary: "Answers PONG, or the message given.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::string("message").optional()],
    examples: &["> PING\nPONG"],
    ..Docs::NONE
};

const SELECT: Docs = Docs {
    summary: "Selects the database that the connection's commands work on.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::integer("index")],
    examples: &["> SELECT 1\nOK"],
    ..Docs::NONE
};
