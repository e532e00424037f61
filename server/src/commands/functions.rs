//! Libraries of functions: FUNCTION. What they are stands in the crate `script`, how they run in `crate::scripting`.
//!
//! A change is made by the core of shard 0, one after the other, and enters its journal; all cores see the new libraries
//! from their next call on.

use super::scripting::{BUSY_SCRIPT, check_flush_word, kill};
use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::message::{Answer, CoreQuestion, FunctionChange, Question};
use crate::scripting::functions;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        docs: &FUNCTION,
        subcommands: &[
            CommandSpec {
                arity: 3,
                flags: Flags::of(&[Flags::NOSCRIPT, Flags::WRITE]),
                categories: Categories::SCRIPTING,
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                docs: &FUNCTION_DELETE,
                ..CommandSpec::new("delete", Group::Scripting)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::NOSCRIPT,
                categories: Categories::SCRIPTING,
                docs: &FUNCTION_DUMP,
                ..CommandSpec::new("dump", Group::Scripting)
            },
            CommandSpec {
                arity: -2,
                flags: Flags::of(&[Flags::NOSCRIPT, Flags::WRITE]),
                categories: Categories::SCRIPTING,
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                docs: &FUNCTION_FLUSH,
                ..CommandSpec::new("flush", Group::Scripting)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                categories: Categories::SCRIPTING,
                docs: &FUNCTION_HELP,
                ..CommandSpec::new("help", Group::Scripting)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ALLOW_BUSY, Flags::NOSCRIPT]),
                categories: Categories::SCRIPTING,
                tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
                docs: &FUNCTION_KILL,
                ..CommandSpec::new("kill", Group::Scripting)
            },
            CommandSpec {
                arity: -2,
                flags: Flags::NOSCRIPT,
                categories: Categories::SCRIPTING,
                tips: &["nondeterministic_output_order"],
                docs: &FUNCTION_LIST,
                ..CommandSpec::new("list", Group::Scripting)
            },
            CommandSpec {
                arity: -3,
                flags: Flags::of(&[Flags::DENYOOM, Flags::NOSCRIPT, Flags::WRITE]),
                categories: Categories::SCRIPTING,
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                docs: &FUNCTION_LOAD,
                ..CommandSpec::new("load", Group::Scripting)
            },
            CommandSpec {
                arity: -3,
                flags: Flags::of(&[Flags::DENYOOM, Flags::NOSCRIPT, Flags::WRITE]),
                categories: Categories::SCRIPTING,
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                docs: &FUNCTION_RESTORE,
                ..CommandSpec::new("restore", Group::Scripting)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ALLOW_BUSY, Flags::NOSCRIPT]),
                categories: Categories::SCRIPTING,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: &FUNCTION_STATS,
                ..CommandSpec::new("stats", Group::Scripting)
            },
        ],
        ..CommandSpec::new("function", Group::Scripting)
    },
    run: ServerRun::Later(function),
}];

fn function<'a>(connection: &'a mut Connection, mut args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        match args.bytes()?.to_ascii_lowercase().as_slice() {
            b"load" => load(connection, args).await,
            b"delete" => change(connection, FunctionChange::Delete(args.bytes()?.to_vec())).await,
            b"flush" => {
                if args.remaining() > 1 {
                    return Err(super::help::wrong_arguments(args.argv()));
                }
                let problem = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option";
                check_flush_word(&mut args, problem)?;
                change(connection, FunctionChange::Flush).await
            }
            b"restore" => restore(connection, args).await,
            b"dump" => {
                let payload = functions::dump(&connection.core.shared.scripts.catalog());
                connection.reply(|writer| writer.bulk(&payload));
                Ok(())
            }
            b"list" => list(connection, args),
            b"stats" => stats(connection),
            b"kill" => kill(connection, true),
            _ => {
                connection.reply_help(&COMMANDS[0].spec);
                Ok(())
            }
        }
    })
}

async fn load(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let mut may_replace = false;
    while args.remaining() > 1 {
        let word = args.bytes()?;
        if !word.eq_ignore_ascii_case(b"replace") {
            return Err(CommandError::showing("ERR Unknown option given: ", word, ""));
        }
        may_replace = true;
    }
    let text = args.bytes().map_err(|_| CommandError::text("ERR Function code is missing"))?;
    change(connection, FunctionChange::Load { text: text.to_vec(), may_replace }).await
}

async fn restore(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.remaining() > 2 {
        return Err(super::help::wrong_arguments(args.argv()));
    }
    let payload = args.bytes()?.to_vec();
    let policy = match args.bytes().map(<[u8]>::to_ascii_lowercase).as_deref() {
        Err(_) | Ok(b"append") => functions::Policy::Append,
        Ok(b"replace") => functions::Policy::Replace,
        Ok(b"flush") => functions::Policy::Flush,
        Ok(_) => {
            return Err(CommandError::text(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    change(connection, FunctionChange::Restore { payload, policy }).await
}

/// Makes a change on all cores.
async fn change(connection: &mut Connection, change: FunctionChange) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let question = Question::Core(CoreQuestion::ChangeFunctions(change));
    let Answer::Named(result) = core.ask(functions::KEEPER, question).await else {
        unreachable!("a change of functions is answered with a name")
    };
    match result {
        Ok(Some(name)) => connection.reply(|writer| writer.bulk(name.as_bytes())),
        Ok(None) => connection.reply(|writer| writer.ok()),
        Err(problem) => return Err(CommandError::Text(format!("ERR {problem}").into())),
    }
    Ok(())
}

fn list(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let mut has_code = false;
    let mut pattern = None;
    while let Ok(word) = args.bytes() {
        if !has_code && word.eq_ignore_ascii_case(b"withcode") {
            has_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            let missing = CommandError::text("ERR library name argument was not given");
            pattern = Some(args.bytes().map_err(|_| missing)?);
        } else {
            return Err(CommandError::showing("ERR Unknown argument ", word, ""));
        }
    }
    let catalog = connection.core.shared.scripts.catalog();
    let is_wanted = |name: &str| {
        pattern.is_none_or(|pattern| protocol::glob::matches(pattern, name.as_bytes(), true))
    };
    let shown: Vec<_> = catalog.libraries().filter(|library| is_wanted(&library.name)).collect();
    connection.reply(|writer| {
        writer.array(shown.len());
        for library in shown {
            writer.map(if has_code { 4 } else { 3 });
            writer.bulk(b"library_name");
            writer.bulk(library.name.as_bytes());
            writer.bulk(b"engine");
            writer.bulk(b"LUA");
            writer.bulk(b"functions");
            writer.array(library.functions.len());
            for function in &library.functions {
                writer.map(3);
                writer.bulk(b"name");
                writer.bulk(function.name.as_bytes());
                writer.bulk(b"description");
                match &function.description {
                    Some(text) => writer.bulk(text.as_bytes()),
                    None => writer.null(),
                }
                writer.bulk(b"flags");
                writer.set(function.flags.names().count());
                function.flags.names().for_each(|name| writer.status(name));
            }
            if has_code {
                writer.bulk(b"library_code");
                writer.bulk(&library.text);
            }
        }
    });
    Ok(())
}

fn stats(connection: &mut Connection) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let running = core.shared.scripts.longest();
    if running.as_ref().is_some_and(|running| !running.is_function) {
        return Err(CommandError::text(BUSY_SCRIPT));
    }
    let catalog = core.shared.scripts.catalog();
    let now_us = core.now().unix_us;
    connection.reply(|writer| {
        writer.map(2);
        writer.bulk(b"running_script");
        match &running {
            None => writer.null(),
            Some(running) => {
                writer.map(3);
                writer.bulk(b"name");
                writer.bulk(running.name.as_bytes());
                writer.bulk(b"command");
                writer.array(running.argv.len());
                running.argv.iter().for_each(|arg| writer.bulk(arg));
                writer.bulk(b"duration_ms");
                writer.integer((now_us - running.began_at_us).max(0) / 1000);
            }
        }
        writer.bulk(b"engines");
        writer.map(1);
        writer.bulk(b"LUA");
        writer.map(2);
        writer.bulk(b"libraries_count");
        writer.integer(catalog.libraries().len() as i64);
        writer.bulk(b"functions_count");
        writer.integer(catalog.function_count() as i64);
    });
    Ok(())
}

const FUNCTION: Docs = Docs {
    summary: "Manages libraries of functions.",
    since: "7.0.0",
    complexity: "depends on the subcommand",
    ..Docs::NONE
};

const FUNCTION_DELETE: Docs = Docs {
    summary: "Removes a library with its functions.",
    since: "7.0.0",
    complexity: "O(1)",
    arguments: &[Argument::string("library-name")],
    examples: &["> FUNCTION DELETE nosuch\n(error) ERR Library not found"],
    ..Docs::NONE
};

const FUNCTION_DUMP: Docs = Docs {
    summary: "Writes all libraries as a payload for FUNCTION RESTORE.",
    since: "7.0.0",
    complexity: "O(length of the libraries)",
    ..Docs::NONE
};

const FUNCTION_FLUSH: Docs = Docs {
    summary: "Removes all libraries.",
    since: "7.0.0",
    complexity: "O(libraries)",
    arguments: &[Argument::one_of(
        "flush-type",
        &[Argument::word("async", "ASYNC"), Argument::word("sync", "SYNC")],
    )
    .optional()],
    examples: &["> FUNCTION FLUSH\nOK"],
    ..Docs::NONE
};

const FUNCTION_HELP: Docs = Docs {
    summary: "Lists the subcommands of FUNCTION.",
    since: "7.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const FUNCTION_KILL: Docs = Docs {
    summary: "Ends functions that run for long and have not written.",
    since: "7.0.0",
    complexity: "O(1)",
    examples: &["> FUNCTION KILL\n(error) NOTBUSY No scripts in execution right now."],
    ..Docs::NONE
};

const FUNCTION_LIST: Docs = Docs {
    summary: "Shows the libraries and their functions.",
    since: "7.0.0",
    complexity: "O(functions)",
    arguments: &[
        Argument::string("library-name-pattern").token("LIBRARYNAME").optional(),
        Argument::word("withcode", "WITHCODE").optional(),
    ],
    examples: &["> FUNCTION LIST LIBRARYNAME nosuch\n(empty array)"],
    ..Docs::NONE
};

const FUNCTION_LOAD: Docs = Docs {
    summary: "Adds a library of functions.",
    since: "7.0.0",
    complexity: "O(length of the library)",
    arguments: &[
        Argument::word("replace", "REPLACE").optional(),
        Argument::string("function-code"),
    ],
    examples: &["> FUNCTION LOAD \"return 1\"\n(error) ERR Missing library metadata"],
    ..Docs::NONE
};

const FUNCTION_RESTORE: Docs = Docs {
    summary: "Adds the libraries of a payload that FUNCTION DUMP has written.",
    since: "7.0.0",
    complexity: "O(length of the payload)",
    arguments: &[
        Argument::string("serialized-value"),
        Argument::one_of(
            "policy",
            &[
                Argument::word("flush", "FLUSH"),
                Argument::word("append", "APPEND"),
                Argument::word("replace", "REPLACE"),
            ],
        )
        .optional(),
    ],
    examples: &["> FUNCTION RESTORE x\n(error) ERR DUMP payload version or checksum are wrong"],
    ..Docs::NONE
};

const FUNCTION_STATS: Docs = Docs {
    summary: "Shows which function runs for long, and how many libraries there are.",
    since: "7.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};
