//! CONFIG: parameters while the server runs.
//!
//! Path: CONFIG SET -> `ops::config` checks -> [`apply`] puts into effect what belongs to the process -> every core
//! takes over the settings -> OK. All cores have the new settings before the client sees its reply.

mod apply;

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::message::{Answer, CoreQuestion, Question};
use ops::config::{SetContext, SetError};
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        docs: &CONFIG,
        subcommands: &[
            CommandSpec {
                arity: -3,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                docs: &CONFIG_GET,
                ..CommandSpec::new("get", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                docs: &CONFIG_HELP,
                ..CommandSpec::new("help", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: &CONFIG_RESETSTAT,
                ..CommandSpec::new("resetstat", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: &CONFIG_REWRITE,
                ..CommandSpec::new("rewrite", Group::Server)
            },
            CommandSpec {
                arity: -4,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: &CONFIG_SET,
                ..CommandSpec::new("set", Group::Server)
            },
        ],
        ..CommandSpec::new("config", Group::Server)
    },
    run: ServerRun::Later(config),
}];

fn config<'a>(connection: &'a mut Connection, mut args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        match args.bytes()?.to_ascii_lowercase().as_slice() {
            b"get" => get(connection, args),
            b"set" => set(connection, args).await?,
            b"resetstat" => reset_statistics(connection).await,
            b"rewrite" => rewrite(connection).await?,
            _ => connection.reply_help(&COMMANDS[0].spec),
        }
        Ok(())
    })
}

fn get(connection: &mut Connection, args: Args<'_>) {
    let patterns: Vec<&[u8]> = args.rest().collect();
    let found = connection.core.shared.config().get(&patterns);
    connection.reply(|writer| {
        writer.map(found.len());
        for (name, value) in &found {
            writer.bulk(name);
            writer.bulk(value);
        }
    });
}

async fn set(connection: &mut Connection, args: Args<'_>) -> Result<(), CommandError> {
    let words: Vec<&[u8]> = args.rest().collect();
    if !words.len().is_multiple_of(2) {
        return Err(refused(&SetError::NotPairs));
    }
    let pairs: Vec<(&[u8], &[u8])> = words.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let core = connection.core.clone();
    let context = SetContext {
        is_client_local: connection.is_local(),
        is_loading: !core.shared.metrics.is_ready(),
    };
    change(&core.shared, &pairs, context).map_err(|error| refused(&error))?;
    core.ask_all(|_| Question::Core(CoreQuestion::Settings)).await;
    connection.reply(|writer| writer.ok());
    Ok(())
}

/// Changes the configuration, all pairs or none. Whoever changes it at the same time waits.
fn change(
    shared: &crate::shared::Shared,
    pairs: &[(&[u8], &[u8])],
    context: SetContext,
) -> Result<(), SetError> {
    let mut config = shared.config();
    let change = config.set(pairs, context)?;
    apply::apply(shared, config.settings(), &change)?;
    *config = change.config;
    Ok(())
}

fn refused(error: &SetError) -> CommandError {
    CommandError::Text(error.reply().into())
}

async fn reset_statistics(connection: &mut Connection) {
    let core = connection.core.clone();
    core.ask_all(|_| Question::Core(CoreQuestion::ResetStatistics)).await;
    core.shared.reset_totals();
    connection.reply(|writer| writer.ok());
}

/// Rewrites the file on a thread of its own, because it waits for the disk.
async fn rewrite(connection: &mut Connection) -> Result<(), CommandError> {
    let config = connection.core.shared.config().clone();
    let answer = connection.core.run_aside("rewrite", move || match config.rewrite() {
        Ok(()) => Answer::Result(Ok(())),
        Err(error) => Answer::Result(Err(error.to_string())),
    });
    match answer.await {
        Answer::Result(Ok(())) => {
            tracing::info!("CONFIG REWRITE executed with success.");
            connection.reply(|writer| writer.ok());
            Ok(())
        }
        Answer::Result(Err(problem)) => {
            tracing::warn!("CONFIG REWRITE failed: {problem}");
            Err(CommandError::Text(problem.into()))
        }
        other => unreachable!("the rewrite answers a result, not {other:?}"),
    }
}

const CONFIG: Docs = Docs {
    summary: "Reads and changes the server's configuration.",
    since: "2.0.0",
    complexity: "depends on the subcommand",
    ..Docs::NONE
};

const CONFIG_GET: Docs = Docs {
    summary: "Shows the parameters whose names match the patterns, with their values.",
    since: "2.0.0",
    complexity: "O(patterns times parameters)",
    arguments: &[Argument::string("parameter").repeated()],
    examples: &["> CONFIG GET maxmemory\n1) \"maxmemory\"\n2) \"0\""],
    ..Docs::NONE
};

const CONFIG_HELP: Docs = Docs {
    summary: "Lists the subcommands of CONFIG.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const CONFIG_RESETSTAT: Docs = Docs {
    summary: "Starts the counters of INFO again from zero.",
    since: "2.0.0",
    complexity: "O(commands)",
    examples: &["> CONFIG RESETSTAT\nOK"],
    ..Docs::NONE
};

const CONFIG_REWRITE: Docs = Docs {
    summary: "Writes the values in force to the configuration file, and keeps its comments.",
    since: "2.8.0",
    complexity: "O(size of the file)",
    ..Docs::NONE
};

const CONFIG_SET: Docs = Docs {
    summary: "Changes parameters while the server runs: all that are named, or none.",
    since: "2.0.0",
    complexity: "O(parameters)",
    arguments: &[Argument::block(
        "data",
        &[Argument::string("parameter"), Argument::string("value")],
    )
    .repeated()],
    examples: &["> CONFIG SET slowlog-max-len 128\nOK"],
    ..Docs::NONE
};
