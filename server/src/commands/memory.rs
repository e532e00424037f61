//! MEMORY: where the memory goes, as far as it is accounted for: the process as a whole, and an estimate per key.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::info::{self, Figures};
use crate::memory::MemoryUse;
use crate::message::{Answer, CoreQuestion, CoreReport, Question};
use crate::router;
use crate::startup::ALLOCATOR;
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
                let core = connection.core.clone();
                let reports = info::collect(&core).await;
                let text = diagnosis(&Figures::collect(&core, &reports), info::system_memory());
                connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
            }
            b"malloc-stats" => malloc_stats(connection).await,
            // The allocator gives memory back by itself.
            b"purge" => connection.reply(|writer| writer.ok()),
            b"stats" => stats(connection).await,
            b"usage" => usage(connection, args).await?,
            _ => connection.reply_help(&COMMANDS[0].spec),
        }
        Ok(())
    })
}

/// The bytes of one key.
async fn usage(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let key = args.key()?;
    while !args.is_empty() {
        // A value knows its size: no element is looked at, whatever number is asked for.
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

/// What the process holds, as the kernel sees it, and what of it is accounted for.
async fn malloc_stats(connection: &mut Connection) {
    let core = connection.core.clone();
    let reports = info::collect(&core).await;
    let figures = Figures::collect(&core, &reports);
    let MemoryUse { data, buffers, journal, .. } = figures.by_purpose;
    let text = format!(
        "{ALLOCATOR}; it keeps no figures of its own that are free to read.\n\
         Accounted for, in bytes: data {data}, client buffers {buffers}, journal {journal}, together {}\n\
         Of the process, by the kernel:\n{}",
        figures.used(),
        info::status_lines(),
    );
    connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
}

async fn stats(connection: &mut Connection) {
    let core = connection.core.clone();
    let reports = info::collect(&core).await;
    let figures = Figures::collect(&core, &reports);
    let tables = tables(&reports);
    let resident = figures.process.resident;
    let fragmentation = figures.fragmentation();
    let fragmentation_bytes = figures.fragmentation_bytes();
    connection.reply(|writer| {
        writer.map(FIELD_COUNT + tables.len());
        number(writer, "peak.allocated", figures.peak);
        number(writer, "total.allocated", figures.used());
        number(writer, "startup.allocated", figures.startup);
        number(writer, "replication.backlog", 0);
        number(writer, "clients.slaves", 0);
        number(writer, "clients.normal", figures.by_purpose.buffers);
        number(writer, "cluster.links", 0);
        number(writer, "aof.buffer", figures.by_purpose.journal);
        number(writer, "lua.caches", 0);
        number(writer, "functions.caches", 0);
        for (db, bytes) in &tables {
            writer.bulk(format!("db.{db}").as_bytes());
            writer.map(3);
            number(writer, "overhead.hashtable.main", *bytes as u64);
            // Expiries stand in the entries, and slots follow from the keys: neither has a table of its own.
            number(writer, "overhead.hashtable.expires", 0);
            number(writer, "overhead.hashtable.slot-to-keys", 0);
        }
        number(writer, "overhead.total", figures.overhead());
        number(writer, "keys.count", figures.key_count);
        number(writer, "keys.bytes-per-key", figures.bytes_per_key());
        number(writer, "dataset.bytes", figures.dataset());
        ratio(writer, "dataset.percentage", figures.dataset_percent());
        ratio(writer, "peak.percentage", figures.peak_percent());
        number(writer, "allocator.allocated", figures.used());
        number(writer, "allocator.active", resident);
        number(writer, "allocator.resident", resident);
        ratio(writer, "allocator-fragmentation.ratio", fragmentation);
        signed(writer, "allocator-fragmentation.bytes", fragmentation_bytes);
        ratio(writer, "allocator-rss.ratio", 1.0);
        number(writer, "allocator-rss.bytes", 0);
        ratio(writer, "rss-overhead.ratio", 1.0);
        number(writer, "rss-overhead.bytes", 0);
        ratio(writer, "fragmentation", fragmentation);
        signed(writer, "fragmentation.bytes", fragmentation_bytes);
    });
}

/// Fields of MEMORY STATS beside those of the databases.
const FIELD_COUNT: usize = 27;

fn number(writer: &mut Writer<'_>, name: &str, value: u64) {
    signed(writer, name, value as i64);
}

fn signed(writer: &mut Writer<'_>, name: &str, value: i64) {
    writer.bulk(name.as_bytes());
    writer.integer(value);
}

fn ratio(writer: &mut Writer<'_>, name: &str, value: f64) {
    writer.bulk(name.as_bytes());
    writer.double(value);
}

/// Databases that hold keys, each with the bytes of its tables on all shards.
fn tables(reports: &[CoreReport]) -> Vec<(usize, usize)> {
    let count = reports.first().map_or(0, |report| report.shard.databases.len());
    let figures = |db: usize| reports.iter().map(move |report| report.shard.databases[db]);
    (0..count)
        .filter(|db| figures(*db).any(|database| database.keys > 0))
        .map(|db| (db, figures(db).map(|database| database.table_bytes).sum()))
        .collect()
}

/// What MEMORY DOCTOR says.
fn diagnosis(figures: &Figures, system: u64) -> String {
    const SMALL_MAX: u64 = 5 << 20;
    const SYSTEM_PERCENT_MAX: u64 = 90;
    const LIMIT_PERCENT_MAX: u64 = 95;
    const PEAK_FACTOR_MAX: f64 = 1.5;
    const FRAGMENTATION_MAX: f64 = 1.4;
    const FRAGMENTATION_MIN_BYTES: i64 = 10 << 20;
    const CLIENT_BUFFER_MAX: u64 = 200 << 10;
    let used = figures.used();
    if used < SMALL_MAX {
        return "This server holds next to no data: there is nothing to say about its memory yet.\n"
            .to_owned();
    }
    let mut text = String::new();
    let mut say = |is_so: bool, line: &str| {
        if is_so {
            text.push_str(" * ");
            text.push_str(line);
            text.push('\n');
        }
    };
    say(
        figures.process.resident > system / 100 * SYSTEM_PERCENT_MAX,
        "Full machine: the process holds more than 90% of the machine's memory. Set or lower maxmemory.",
    );
    say(
        figures.limit > 0 && used > figures.limit / 100 * LIMIT_PERCENT_MAX,
        "Close to maxmemory: keys are evicted by maxmemory-policy, or writes are refused.",
    );
    say(
        figures.peak as f64 > used as f64 * PEAK_FACTOR_MAX,
        "Past peak: more than one and a half times as much memory was in use before. What the allocator has not given \
         back will be used again.",
    );
    say(
        figures.fragmentation() > FRAGMENTATION_MAX
            && figures.fragmentation_bytes() > FRAGMENTATION_MIN_BYTES,
        "Fragmentation: the process holds more than 1.4 times what is in use. After a peak this is usual and \
         harmless; if it lasts, values of very different sizes come and go.",
    );
    say(
        figures.by_purpose.buffers / figures.client_count.max(1) > CLIENT_BUFFER_MAX,
        "Large client buffers: more than 200 KiB per client on average. CLIENT LIST shows whose (omem, qbuf).",
    );
    if text.is_empty() {
        return "Nothing about the memory of this server is out of the ordinary.\n".to_owned();
    }
    text.insert_str(0, "What is worth a look:\n\n");
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
    summary: "Tells the bytes that a key and its value take.",
    since: "4.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::integer("count").token("SAMPLES").optional()],
    examples: &["> MEMORY USAGE missing\n(nil)"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Memory;

    #[test]
    fn the_doctor_notices_what_is_out_of_the_ordinary() {
        const MIB: u64 = 1 << 20;
        let healthy = Figures {
            by_purpose: MemoryUse { data: 100 * MIB, ..MemoryUse::default() },
            peak: 110 * MIB,
            process: Memory { resident: 120 * MIB, resident_peak: 120 * MIB },
            client_count: 10,
            ..Figures::default()
        };
        let say = |figures: Figures| diagnosis(&figures, 1000 * MIB);
        assert!(say(healthy).contains("Nothing"));
        assert!(say(Figures { peak: 200 * MIB, ..healthy }).contains("Past peak"));
        assert!(say(Figures { limit: 101 * MIB, ..healthy }).contains("maxmemory"));
        let process =
            |resident| Figures { process: Memory { resident, ..healthy.process }, ..healthy };
        assert!(say(process(150 * MIB)).contains("Fragmentation"));
        assert!(say(process(950 * MIB)).contains("Full machine"));
        let by_purpose = MemoryUse { buffers: 10 * MIB, ..healthy.by_purpose };
        assert!(say(Figures { by_purpose, ..healthy }).contains("Large client buffers"));
        assert!(say(Figures::default()).contains("next to no data"));
    }
}
