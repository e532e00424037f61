//! MODULE: there are no modules, and none can be loaded.

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        docs: &MODULE,
        subcommands: &[
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                docs: &MODULE_HELP,
                ..CommandSpec::new("help", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::NOSCRIPT]),
                tips: &["nondeterministic_output_order"],
                docs: &MODULE_LIST,
                ..CommandSpec::new("list", Group::Server)
            },
            CommandSpec {
                arity: -3,
                flags: Flags::of(&[Flags::ADMIN, Flags::NO_ASYNC_LOADING, Flags::NOSCRIPT]),
                docs: &MODULE_LOAD,
                ..CommandSpec::new("load", Group::Server)
            },
            CommandSpec {
                arity: -3,
                flags: Flags::of(&[Flags::ADMIN, Flags::NO_ASYNC_LOADING, Flags::NOSCRIPT]),
                docs: &MODULE_LOADEX,
                ..CommandSpec::new("loadex", Group::Server)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::of(&[Flags::ADMIN, Flags::NO_ASYNC_LOADING, Flags::NOSCRIPT]),
                docs: &MODULE_UNLOAD,
                ..CommandSpec::new("unload", Group::Server)
            },
        ],
        ..CommandSpec::new("module", Group::Server)
    },
    run: ServerRun::Now(module),
}];

const NO_MODULES: &str = "ERR Error loading the extension. Please check the server logs.";
const NO_SUCH_MODULE: &str = "ERR Error unloading module: no such module with that name";

fn module(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let word = args.bytes()?.to_ascii_lowercase();
    match word.as_slice() {
        b"list" => connection.reply(|writer| writer.array(0)),
        b"load" | b"loadex" | b"unload" => {
            let access = connection.core.settings().enable_module_command;
            connection.check_access(access, "MODULE", "enable-module-command")?;
            if word == b"unload" {
                return Err(CommandError::text(NO_SUCH_MODULE));
            }
            tracing::warn!("no module can be loaded: Rialto has none");
            return Err(CommandError::text(NO_MODULES));
        }
        _ => connection.reply_help(&COMMANDS[0].spec),
    }
    Ok(())
}

const MODULE: Docs = Docs {
    summary: "Modules, of which there are none.",
    since: "4.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const MODULE_HELP: Docs = Docs {
    summary: "Lists the subcommands of MODULE.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const MODULE_LIST: Docs = Docs {
    summary: "Lists the loaded modules: none.",
    since: "4.0.0",
    complexity: "O(1)",
    examples: &["> MODULE LIST\n(empty array)"],
    ..Docs::NONE
};

const MODULE_LOAD: Docs = Docs {
    summary: "Refused: no modules can be loaded.",
    since: "4.0.0",
    complexity: "O(1)",
    arguments: &[Argument::string("path"), Argument::string("arg").optional().repeated()],
    ..Docs::NONE
};

const MODULE_LOADEX: Docs = Docs {
    summary: "Refused: no modules can be loaded.",
    since: "7.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::string("path"),
        Argument::block("configs", &[Argument::string("name"), Argument::string("value")])
            .token("CONFIG")
            .optional()
            .token_repeated(),
        Argument::string("args").token("ARGS").optional().repeated(),
    ],
    ..Docs::NONE
};

const MODULE_UNLOAD: Docs = Docs {
    summary: "Refused: no modules can be loaded.",
    since: "4.0.0",
    complexity: "O(1)",
    arguments: &[Argument::string("name")],
    ..Docs::NONE
};
