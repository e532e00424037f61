//! CLIENT: who is connected, and how each connection is served.
//!
//! Connections are described from the registry all cores share (`clients`), so no core is asked; what changes a
//! connection of another core (KILL, UNBLOCK) is asked of that core.

mod control;
mod describe;
mod docs;
mod identity;
mod tracking;

pub(crate) use identity::{check_name, set_name};

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use protocol::command::{Categories, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] =
    &[ServerCommand { spec: CLIENT, run: ServerRun::Later(client) }];

const CLIENT: CommandSpec = CommandSpec {
    arity: -2,
    docs: &docs::CLIENT,
    subcommands: &[
        row("caching", 3, PLAIN, &docs::CACHING),
        row("getname", 2, PLAIN, &docs::GETNAME),
        row("getredir", 2, PLAIN, &docs::GETREDIR),
        row("help", 2, Flags::of(&[Flags::LOADING, Flags::STALE]), &docs::HELP),
        row("id", 2, PLAIN, &docs::ID),
        CommandSpec { tips: &["nondeterministic_output"], ..row("info", 2, PLAIN, &docs::INFO) },
        row("kill", -3, ADMIN, &docs::KILL),
        CommandSpec { tips: &["nondeterministic_output"], ..row("list", -2, ADMIN, &docs::LIST) },
        row("no-evict", 3, ADMIN, &docs::NO_EVICT),
        row("no-touch", 3, PLAIN, &docs::NO_TOUCH),
        row("pause", -3, ADMIN, &docs::PAUSE),
        row("reply", 3, PLAIN, &docs::REPLY),
        CommandSpec { tips: ON_ALL_NODES, ..row("setinfo", 4, PLAIN, &docs::SETINFO) },
        CommandSpec { tips: ON_ALL_NODES, ..row("setname", 3, PLAIN, &docs::SETNAME) },
        row("tracking", -3, PLAIN, &docs::TRACKING),
        row("trackinginfo", 2, PLAIN, &docs::TRACKINGINFO),
        row("unblock", -3, ADMIN, &docs::UNBLOCK),
        row("unpause", 2, ADMIN, &docs::UNPAUSE),
    ],
    ..CommandSpec::new("client", Group::Connection)
};

const PLAIN: Flags = Flags::of(&[Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]);
const ADMIN: Flags = Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]);
const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// A subcommand.
const fn row(name: &'static str, arity: i8, flags: Flags, docs: &'static Docs) -> CommandSpec {
    CommandSpec {
        arity,
        flags,
        categories: Categories::CONNECTION,
        docs,
        ..CommandSpec::new(name, Group::Connection)
    }
}

fn client<'a>(connection: &'a mut Connection, mut args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        let word = args.bytes()?;
        let subcommand = CLIENT.subcommand(word).expect("the gates let known subcommands through");
        match subcommand.name {
            "caching" => return tracking::caching(connection, args),
            "getname" => identity::getname(connection),
            "getredir" => tracking::getredir(connection),
            "help" => connection.reply_help(&CLIENT),
            "id" => identity::id(connection),
            "info" => describe::info(connection),
            "kill" => return control::kill(connection, args).await,
            "list" => return describe::list(connection, args),
            "no-evict" => return control::no_evict(connection, args),
            "no-touch" => return control::no_touch(connection, args),
            "pause" => return control::pause(connection, args),
            "reply" => return control::reply(connection, args),
            "setinfo" => return identity::setinfo(connection, args),
            "setname" => return identity::setname(connection, args),
            "tracking" => return tracking::tracking(connection, args).await,
            "trackinginfo" => tracking::trackinginfo(connection),
            "unblock" => return control::unblock(connection, args).await,
            "unpause" => control::unpause(connection),
            name => unreachable!("subcommand {name} has a row and no function"),
        }
        Ok(())
    })
}

/// Reads `on` or `off`.
fn on_or_off(mut args: Args<'_>) -> Result<bool, CommandError> {
    let is_on = args.take_token("on");
    if !is_on && !args.take_token("off") {
        return Err(CommandError::Syntax);
    }
    Ok(is_on)
}
