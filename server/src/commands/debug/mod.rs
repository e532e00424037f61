//! DEBUG: helpers for people who test the server. `enable-debug-command` says who may use them.
//!
//! Only what means something here is there; the rest of Redis's helpers answer that they are missing, and why.

mod dataset;
mod populate;
mod protocol_types;

pub(crate) use protocol_types::write_of_type;

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::core::Core;
use crate::info;
use crate::message::{Answer, CoreQuestion, Question};
use crate::router;
use crate::startup::random_id;
use persistence::rdb::payload::Checksum;
use protocol::command::{CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
        docs: &DEBUG,
        ..CommandSpec::new("debug", Group::Server)
    },
    run: ServerRun::Later(debug),
}];

const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANGE-REPL-ID",
    "    Gives the history of writes a new name.",
    "DIGEST",
    "    Answers a digest of all keys and values, equal to that of a Redis with the same.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Answers a digest of each key's value.",
    "ERROR <text>",
    "    Answers an error with this text.",
    "HTSTATS <db>",
    "    Shows how many keys of a database lie on each shard, and the largest piece of table work of one operation.",
    "LOADAOF",
    "    Makes every value anew from the commands that a rewritten append-only file would hold.",
    "LOG <message>",
    "    Writes a line to the log.",
    "OBJECT <key>",
    "    Describes a value in memory.",
    "PAUSE-CRON <0|1>",
    "    Accepted; no client waits for what is done from time to time.",
    "POPULATE <count> [<prefix> [<size>]]",
    "    Makes strings <prefix>:<number>, where there are none.",
    "PROTOCOL <type>",
    "    Answers a value of this type.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Accepted; nodes of lists have one form only.",
    "RELOAD [MERGE] [NOFLUSH]",
    "    Makes every value anew from the RDB bytes that a snapshot would hold.",
    "REPLYBUFFER <option> <value>",
    "    Accepted; replies have no buffer of their own in a client.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Removes expired keys that nobody asks for, or leaves them.",
    "SET-DISABLE-DENY-SCRIPTS <0|1>",
    "    Accepted; there are no scripts.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Lets RESTORE take payloads with a wrong checksum, or not.",
    "SLEEP <seconds>",
    "    Stops all cores for a while.",
    "HELP",
    "    Prints this help.",
];

fn debug<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        let access = connection.core.settings().enable_debug_command;
        connection.check_access(access, "DEBUG", "enable-debug-command")?;
        run(connection, args).await
    })
}

async fn run(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let word = args.bytes()?.to_ascii_lowercase();
    match (word.as_slice(), args.remaining()) {
        (b"change-repl-id", 0) => {
            let id = core.with_rng(random_id);
            tracing::info!("the history of writes has a new name: {id}");
            core.shared.set_replication_id(id);
            connection.reply(|writer| writer.ok());
        }
        (b"digest", 0) => connection.digest().await,
        (b"digest-value", _) => connection.digests_of_values(args).await,
        (b"error", 1) => {
            let text = args.bytes()?;
            connection.reply(|writer| writer.error(text));
        }
        (b"help", 0) => connection.reply(|writer| {
            writer.array(HELP.len());
            HELP.iter().for_each(|line| writer.status(line));
        }),
        (b"htstats", 1..) => key_counts(connection, args).await?,
        (b"loadaof", 0) => connection.load_aof().await?,
        (b"log", 1) => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.bytes()?));
            connection.reply(|writer| writer.ok());
        }
        (b"object", 1) => object(connection, args).await?,
        (b"pause-cron", 1) => connection.reply(|writer| writer.ok()),
        (b"populate", 1..=3) => connection.populate(args).await?,
        (b"protocol", 1) => connection.reply_of_type(args.bytes()?)?,
        (b"quicklist-packed-threshold", 1) => {
            check_threshold(args.bytes()?)?;
            connection.reply(|writer| writer.ok());
        }
        (b"reload", _) => connection.reload(args).await?,
        (b"replybuffer", 2) => {
            if !args.take_token("peak-reset-time") && !args.take_token("resizing") {
                return Err(super::help::wrong_arguments(args.argv()));
            }
            connection.reply(|writer| writer.ok());
        }
        (b"set-active-expire", 1) => {
            let is_on = number_of(args.bytes()?) != 0.0;
            core.ask_all(|_| Question::Core(CoreQuestion::SetActiveExpire(is_on))).await;
            connection.reply(|writer| writer.ok());
        }
        (b"set-disable-deny-scripts", 1) => {
            let is_disabled = number_of(args.bytes()?) != 0.0;
            core.shared.scripts.is_deny_disabled.store(is_disabled, Ordering::Relaxed);
            connection.reply(|writer| writer.ok());
        }
        (b"set-skip-checksum-validation", 1) => {
            let is_checked = number_of(args.bytes()?) == 0.0;
            let checksum = if is_checked { Checksum::Checked } else { Checksum::Ignored };
            connection.set_payload_checksum(checksum).await;
        }
        (b"sleep", 1) => {
            sleep(&core, args.bytes()?).await;
            connection.reply(|writer| writer.ok());
        }
        _ => return Err(super::help::wrong_arguments(args.argv())),
    }
    Ok(())
}

/// Reads a number as C's `strtod` does: as much of the text as is one, 0 if none is.
fn number_of(text: &[u8]) -> f64 {
    let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.".contains(byte);
    let len = text.iter().position(|byte| !is_number(byte)).unwrap_or(text.len());
    let text = std::str::from_utf8(&text[..len]).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// So many seconds.
pub(crate) fn duration_of(seconds: &[u8]) -> Duration {
    Duration::try_from_secs_f64(number_of(seconds)).unwrap_or_default()
}

/// Stops all cores at once.
async fn sleep(core: &Rc<Core>, seconds: &[u8]) {
    let duration = duration_of(seconds);
    let question = || Question::Core(CoreQuestion::Sleep(duration));
    let others = (0..core.shared.shard_count()).filter(|other| *other != core.id);
    let others: Vec<_> = others.map(|other| core.start_ask(other, question())).collect();
    // The questions leave at the end of the tick, so this core goes to sleep in the next.
    core.reactor.sleep_until(core.tick_start()).await;
    core.ask(core.id, question()).await;
    for other in others {
        other.await;
    }
}

async fn object(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let key = args.key()?;
    let question = CoreQuestion::DebugObject(connection.session.db, key.to_vec());
    let owner = router::shard_of(&core, Some(key));
    match core.ask(owner, Question::Core(question)).await {
        Answer::Text(Some(text)) => connection.reply(|writer| writer.status(&text)),
        Answer::Text(None) => return Err(CommandError::NoSuchKey),
        other => unreachable!("the core answers a text, not {other:?}"),
    }
    Ok(())
}

async fn key_counts(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let db = args.integer()?;
    let count = i64::from(core.settings().databases);
    if !(0..count).contains(&db) {
        return Err(CommandError::text("ERR Out of range database"));
    }
    let reports = info::collect(&core).await;
    let mut text = String::new();
    for (index, report) in reports.iter().enumerate() {
        let figures = report.shard.databases[db as usize];
        let (keys, expires) = (figures.keys, figures.expires);
        writeln!(text, "shard {index}: {keys} keys, {expires} of them with an expiry")
            .expect("a String takes all");
        let (moved, ns) = (report.shard.table_work.moved_max, report.shard.table_work.longest_ns);
        writeln!(text, "  most table work in one operation: {moved} keys moved, {ns} ns")
            .expect("a String takes all");
    }
    connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
    Ok(())
}

/// Checks a size such as `1b` or `64kb`: more than 1 byte and less than 4 GiB, or 0 for the default.
fn check_threshold(text: &[u8]) -> Result<(), CommandError> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(digits);
    let unit: Option<u64> = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => Some(1),
        b"k" => Some(1000),
        b"kb" => Some(1 << 10),
        b"m" => Some(1_000_000),
        b"mb" => Some(1 << 20),
        b"g" => Some(1_000_000_000),
        b"gb" => Some(1 << 30),
        _ => None,
    };
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    let size = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    match size {
        Some(0..=0xffff_ffff) => Ok(()),
        _ => Err(CommandError::text(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        )),
    }
}

const DEBUG: Docs = Docs {
    summary: "Helpers for people who test the server.",
    since: "1.0.0",
    complexity: "depends on the subcommand",
    is_syscmd: true,
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        assert_eq!(number_of(b"0.25"), 0.25);
        assert_eq!(number_of(b"2seconds"), 2.0);
        assert_eq!(number_of(b"x"), 0.0);
        assert_eq!(number_of(b"-1"), -1.0);
    }

    #[test]
    fn thresholds_are_memory_values_below_4_gib() {
        for text in ["0", "1b", "10b", "64kb", "1GB", "4294967295"] {
            assert!(check_threshold(text.as_bytes()).is_ok(), "{text}");
        }
        for text in ["4gb", "x", "", "5x", "99999999999999999999"] {
            assert!(check_threshold(text.as_bytes()).is_err(), "{text}");
        }
    }
}
