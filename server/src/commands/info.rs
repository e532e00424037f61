//! What the server is, in words and figures: INFO LOLWUT TIME.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::info::{self, Section};
use crate::runtime::clock;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            arity: -1,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::DANGEROUS,
            tips: &[
                "nondeterministic_output",
                "request_policy:all_shards",
                "response_policy:special",
            ],
            docs: &INFO,
            ..CommandSpec::new("info", Group::Server)
        },
        run: ServerRun::Later(info),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -1,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            docs: &LOLWUT,
            ..CommandSpec::new("lolwut", Group::Server)
        },
        run: ServerRun::Now(lolwut),
    },
    ServerCommand {
        spec: CommandSpec {
            flags: Flags::of(&[Flags::FAST, Flags::LOADING, Flags::STALE]),
            tips: &["nondeterministic_output"],
            docs: &TIME,
            ..CommandSpec::new("time", Group::Server)
        },
        run: ServerRun::Now(time),
    },
];

fn info<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        let core = connection.core.clone();
        let text = info::text(&core, &Section::chosen(args.rest())).await;
        connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
        Ok(())
    })
}

fn time(connection: &mut Connection, _: Args<'_>) -> Result<(), CommandError> {
    // Not the moment of the tick: who asks for the time twice wants to see it pass.
    let now_us = clock::unix_us();
    connection.reply(|writer| {
        writer.array(2);
        for part in [now_us / 1_000_000, now_us % 1_000_000] {
            writer.bulk(itoa::Buffer::new().format(part).as_bytes());
        }
    });
    Ok(())
}

/// The bridge, and who is asked for news on it.
const RIALTO: &str = concat!(
    "            ____|____            \n",
    "        ___/ _ | | _ \\___        \n",
    "     __/__/ |_|_|_| \\__\\__     \n",
    "  __/__/____.-\"\"\"-.____\\__\\__  \n",
    " |_________/       \\_________| \n",
    " ~~~~~~~~~ ~~~~~~~~~ ~~~~~~~~~~ \n",
    "\nWhat news on the Rialto? ver. ",
    env!("CARGO_PKG_VERSION"),
    "\n",
);

fn lolwut(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.take_token("VERSION") {
        args.integer()?;
    }
    connection.reply(|writer| writer.verbatim(b"txt", RIALTO.as_bytes()));
    Ok(())
}

const INFO: Docs = Docs {
    summary: "Describes the state of the server in lines for people and programs.",
    since: "1.0.0",
    complexity: "O(1), plus O(clients), O(commands) or O(cores) for some sections",
    arguments: &[Argument::string("section").optional().repeated()],
    examples: &["> INFO cluster\n\"# Cluster\\r\\ncluster_enabled:0\\r\\n\""],
    ..Docs::NONE
};

const LOLWUT: Docs = Docs {
    summary: "Draws something to look at.",
    since: "5.0.0",
    complexity: "O(1)",
    arguments: &[Argument::integer("version").token("VERSION").optional()],
    ..Docs::NONE
};

const TIME: Docs = Docs {
    summary: "Tells the time of the server: seconds since 1970, and microseconds in that second.",
    since: "2.6.0",
    complexity: "O(1)",
    ..Docs::NONE
};
