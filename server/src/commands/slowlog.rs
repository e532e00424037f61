//! SLOWLOG: the commands that took long. What is in it, and what is left out of it, say `ops::slowlog` and `redact`.

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group};
use protocol::number;
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        docs: &SLOWLOG,
        subcommands: &[
            CommandSpec {
                arity: -2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::STALE]),
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                docs: &SLOWLOG_GET,
                ..CommandSpec::new("get", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                docs: &SLOWLOG_HELP,
                ..CommandSpec::new("help", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::STALE]),
                tips: &[
                    "request_policy:all_nodes",
                    "response_policy:agg_sum",
                    "nondeterministic_output",
                ],
                docs: &SLOWLOG_LEN,
                ..CommandSpec::new("len", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::STALE]),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                docs: &SLOWLOG_RESET,
                ..CommandSpec::new("reset", Group::Server)
            },
        ],
        ..CommandSpec::new("slowlog", Group::Server)
    },
    run: ServerRun::Now(slowlog),
}];

/// Entries that GET shows if it is not told how many.
const SHOWN_COUNT: usize = 10;

fn slowlog(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let shared = connection.core.shared.clone();
    match args.bytes()?.to_ascii_lowercase().as_slice() {
        b"get" => get(connection, args)?,
        b"len" => connection.reply(|writer| writer.integer(shared.slow_log.len() as i64)),
        b"reset" => {
            shared.slow_log.reset();
            connection.reply(|writer| writer.ok());
        }
        _ => connection.reply_help(&COMMANDS[0].spec),
    }
    Ok(())
}

fn get(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.remaining() > 1 {
        return Err(super::help::wrong_arguments(args.argv()));
    }
    let count = match args.bytes() {
        Ok(text) => count(text)?,
        Err(_) => SHOWN_COUNT,
    };
    let entries = connection.core.shared.slow_log.get(count);
    connection.reply(|writer| {
        writer.array(entries.len());
        for entry in &entries {
            writer.array(6);
            writer.integer(entry.id as i64);
            writer.integer(entry.unix_time_s as i64);
            writer.integer(entry.duration_us as i64);
            writer.array(entry.args.len());
            entry.args.iter().for_each(|arg| writer.bulk(arg));
            writer.bulk(entry.client_address.as_bytes());
            writer.bulk(&entry.client_name);
        }
    });
    Ok(())
}

/// How many entries are asked for; -1 for all.
fn count(text: &[u8]) -> Result<usize, CommandError> {
    let count = number::parse_i64(text).filter(|count| *count >= -1);
    let count =
        count.ok_or(CommandError::text("ERR count should be greater than or equal to -1"))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

const SLOWLOG: Docs = Docs {
    summary: "Shows the commands that took long.",
    since: "2.2.12",
    complexity: "depends on the subcommand",
    ..Docs::NONE
};

const SLOWLOG_GET: Docs = Docs {
    summary: "Shows the latest slow commands, the newest first.",
    since: "2.2.12",
    complexity: "O(entries)",
    arguments: &[Argument::integer("count").optional()],
    ..Docs::NONE
};

const SLOWLOG_HELP: Docs = Docs {
    summary: "Lists the subcommands of SLOWLOG.",
    since: "6.2.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const SLOWLOG_LEN: Docs = Docs {
    summary: "Counts the slow commands that are kept.",
    since: "2.2.12",
    complexity: "O(1)",
    ..Docs::NONE
};

const SLOWLOG_RESET: Docs = Docs {
    summary: "Forgets the slow commands.",
    since: "2.2.12",
    complexity: "O(entries)",
    examples: &["> SLOWLOG RESET\nOK"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_means_all() {
        assert_eq!(count(b"-1"), Ok(usize::MAX));
        assert_eq!(count(b"0"), Ok(0));
        assert_eq!(count(b"7"), Ok(7));
        assert!(count(b"-2").is_err() && count(b"x").is_err());
    }
}
