//! MEMORY: where the memory goes, as far as it is accounted for: the process as a whole, and an estimate per key.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::info::{self, Memory};
use crate::message::{Answer, CoreQuestion, Question};
use crate::router;
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        docs: &MEMORY,
        subcommands: &[
            CommandSpec {
                arity: 2,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: &MEMORY_DOCTOR,
                ..CommandSpec::new("doctor", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                docs: &MEMORY_HELP,
                ..CommandSpec::new("help", Group::Server)
            },
            CommandSpec {
                arity: 2,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: &MEMORY_MALLOC_STATS,
                ..CommandSpec::new("malloc-stats", Group::Server)
            },
            CommandSpec {
                arity: 2,
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                docs: &MEMORY_PURGE,
                ..CommandSpec::new("purge", Group::Server)
            },
            CommandSpec {
                arity: 2,
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                docs: &MEMORY_STATS,
                ..CommandSpec::new("stats", Group::Server)
            },
            CommandSpec {
                arity: -3,
                flags: Flags::READONLY,
                keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
                docs: &MEMORY_USAGE,
                ..CommandSpec::new("usage", Group::Server)
            },
        ],
        ..CommandSpec::new("memory", Group::Server)
    },
    run: ServerRun::Later(memory),
}];

fn memory<'a>(connection: &'a mut Connection, mut args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        match args.bytes()?.to_ascii_lowercase().as_slice() {
            b"doctor" => {
                let text = diagnosis(&Memory::read(), info::system_memory());
                connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
            }
            b"malloc-stats" => connection
                .reply(|writer| writer.bulk(b"Stats not supported for the current allocator")),
            // The allocator gives memory back by itself.
            b"purge" => connection.reply(|writer| writer.ok()),
            b"stats" => stats(connection).await,
            b"usage" => usage(connection, args).await?,
            _ => connection.reply_help(&COMMANDS[0].spec),
        }
        Ok(())
    })
}

/// An estimate of the bytes of one key.
async fn usage(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let key = args.key()?;
    while !args.is_empty() {
        // All elements are looked at, whatever number is asked for.
        if !args.take_token("SAMPLES") || args.is_empty() || args.integer()? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    let core = connection.core.clone();
    let question = CoreQuestion::MemoryUsage(connection.session.db, key.to_vec());
    let owner = router::shard_of(&core, Some(key));
    match core.ask(owner, Question::Core(question)).await {
        Answer::Count(0) => connection.reply(|writer| writer.null()),
        Answer::Count(len) => connection.reply(|writer| writer.integer(len as i64)),
        other => unreachable!("the core answers a count, not {other:?}"),
    }
    Ok(())
}

async fn stats(connection: &mut Connection) {
    let core = connection.core.clone();
    let reports = info::collect(&core).await;
    let databases = reports.iter().flat_map(|report| &report.shard.databases);
    let key_count: usize = databases.map(|database| database.keys).sum();
    let Memory { resident, resident_peak } = Memory::read();
    let percent = 100.0 * resident as f64 / resident_peak.max(1) as f64;
    connection.reply(|writer| {
        let number = |writer: &mut Writer<'_>, name: &str, value: u64| {
            writer.bulk(name.as_bytes());
            writer.integer(value as i64);
        };
        writer.map(11);
        number(writer, "peak.allocated", resident_peak);
        number(writer, "total.allocated", resident);
        number(writer, "replication.backlog", 0);
        number(writer, "clients.slaves", 0);
        number(writer, "clients.normal", info::client_buffers(&core.shared));
        number(writer, "cluster.links", 0);
        number(writer, "aof.buffer", 0);
        number(writer, "lua.caches", 0);
        number(writer, "functions.caches", 0);
        number(writer, "keys.count", key_count as u64);
        writer.bulk(b"peak.percentage");
        writer.double(percent);
    });
}

/// What MEMORY DOCTOR says.
fn diagnosis(memory: &Memory, system: u64) -> String {
    const SYSTEM_PERCENT_MAX: u64 = 90;
    const PEAK_FACTOR_MAX: f64 = 1.5;
    let mut text = String::new();
    if memory.resident > system / 100 * SYSTEM_PERCENT_MAX {
        text.push_str("The process holds more than 90% of the machine's memory.\n");
    }
    if memory.resident_peak as f64 > memory.resident as f64 * PEAK_FACTOR_MAX {
        text.push_str("At its peak the process held much more memory than now.\n");
    }
    if text.is_empty() {
        text.push_str("Nothing about the memory of the process is out of the ordinary.\n");
    }
    text
}

const MEMORY: Docs = Docs {
    summary: "Tells where the memory goes.",
    since: "4.0.0",
    complexity: "depends on the subcommand",
    ..Docs::NONE
};

const MEMORY_DOCTOR: Docs = Docs {
    summary: "Says in words whether the use of memory is healthy.",
    since: "4.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const MEMORY_HELP: Docs = Docs {
    summary: "Lists the subcommands of MEMORY.",
    since: "4.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const MEMORY_MALLOC_STATS: Docs = Docs {
    summary: "Shows the figures of the allocator.",
    since: "4.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const MEMORY_PURGE: Docs = Docs {
    summary: "Asks the allocator to give unused memory back.",
    since: "4.0.0",
    complexity: "O(1)",
    examples: &["> MEMORY PURGE\nOK"],
    ..Docs::NONE
};

const MEMORY_STATS: Docs = Docs {
    summary: "Shows in detail where the memory goes.",
    since: "4.0.0",
    complexity: "O(cores)",
    ..Docs::NONE
};

const MEMORY_USAGE: Docs = Docs {
    summary: "Estimates the bytes that a key and its value take.",
    since: "4.0.0",
    complexity: "O(elements)",
    arguments: &[Argument::key("key"), Argument::integer("count").token("SAMPLES").optional()],
    examples: &["> MEMORY USAGE missing\n(nil)"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_notices_a_full_machine_and_a_past_peak() {
        let say = |resident, resident_peak| diagnosis(&Memory { resident, resident_peak }, 1000);
        assert!(say(950, 950).contains("90%"));
        assert!(say(100, 400).contains("peak"));
        assert!(say(100, 110).contains("Nothing"));
    }
}
