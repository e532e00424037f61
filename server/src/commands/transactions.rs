//! Transactions: DISCARD EXEC MULTI UNWATCH WATCH.
//!
//! What they change is in `connection::multi`; how a queue runs that one shard cannot run alone, in `transaction::exec`.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::{Connection, WatchedKey};
use crate::message::Question;
use crate::router;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            flags: ALLOWED_WHEN_BUSY,
            categories: Categories::TRANSACTION,
            docs: &DISCARD,
            ..CommandSpec::new("discard", Group::Transactions)
        },
        run: ServerRun::Early(discard),
    },
    ServerCommand {
        spec: CommandSpec {
            flags: Flags::of(&[Flags::LOADING, Flags::NOSCRIPT, Flags::SKIP_SLOWLOG, Flags::STALE]),
            categories: Categories::TRANSACTION,
            docs: &EXEC,
            ..CommandSpec::new("exec", Group::Transactions)
        },
        run: ServerRun::Later(exec),
    },
    ServerCommand {
        spec: CommandSpec {
            flags: ALLOWED_WHEN_BUSY,
            categories: Categories::TRANSACTION,
            docs: &MULTI,
            ..CommandSpec::new("multi", Group::Transactions)
        },
        run: ServerRun::Early(multi),
    },
    ServerCommand {
        spec: CommandSpec {
            flags: ALLOWED_WHEN_BUSY,
            categories: Categories::TRANSACTION,
            docs: &UNWATCH,
            ..CommandSpec::new("unwatch", Group::Transactions)
        },
        run: ServerRun::Now(unwatch),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -2,
            flags: ALLOWED_WHEN_BUSY,
            categories: Categories::TRANSACTION,
            keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
            docs: &WATCH,
            ..CommandSpec::new("watch", Group::Transactions)
        },
        run: ServerRun::Later(watch),
    },
];

const ALLOWED_WHEN_BUSY: Flags =
    Flags::of(&[Flags::ALLOW_BUSY, Flags::FAST, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]);

fn multi(connection: &mut Connection, _: Args<'_>) -> Result<(), CommandError> {
    if connection.session.is_in_multi() {
        return Err(CommandError::text("ERR MULTI calls can not be nested"));
    }
    connection.open_multi();
    connection.reply(|writer| writer.ok());
    Ok(())
}

fn discard(connection: &mut Connection, _: Args<'_>) -> Result<(), CommandError> {
    if !connection.session.is_in_multi() {
        return Err(CommandError::text("ERR DISCARD without MULTI"));
    }
    connection.discard();
    connection.reply(|writer| writer.ok());
    Ok(())
}

fn exec<'a>(connection: &'a mut Connection, _: Args<'a>) -> LaterReply<'a> {
    Box::pin(connection.exec())
}

fn unwatch(connection: &mut Connection, _: Args<'_>) -> Result<(), CommandError> {
    connection.unwatch();
    connection.reply(|writer| writer.ok());
    Ok(())
}

fn watch<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        if connection.session.is_in_multi() {
            return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
        }
        let (core, db) = (connection.core.clone(), connection.session.db);
        let multi = connection.session.multi.get_or_insert_default();
        if !multi.watch.is_broken() {
            for key in args.rest() {
                let shard = router::shard_of(&core, Some(key));
                let key = WatchedKey { db, shard, key: key.into() };
                if !multi.watched.contains(&key) {
                    multi.watched.push(key);
                }
            }
            // A shard that has a key already keeps it as it is.
            let by_shard = multi.watched_by_shard().into_iter();
            let asks: Vec<_> = by_shard
                .map(|(shard, watched)| core.start_ask(shard, Question::Watch(watched)))
                .collect();
            for ask in asks {
                ask.await;
            }
        }
        connection.reply(|writer| writer.ok());
        Ok(())
    })
}

const DISCARD: Docs = Docs {
    summary: "Forgets the commands queued since MULTI, and all watched keys.",
    since: "2.0.0",
    complexity: "O(n), n commands queued",
    examples: &[
        "> MULTI\nOK\n> SET n 1\nQUEUED\n> DISCARD\nOK\n> GET n\n(nil)",
        "> DISCARD\n(error) ERR DISCARD without MULTI",
    ],
    ..Docs::NONE
};

const EXEC: Docs = Docs {
    summary: "Runs the commands queued since MULTI, with nothing else in between, unless a watched key has changed.",
    since: "1.2.0",
    complexity: "that of the commands",
    examples: &[
        "> MULTI\nOK\n> INCR n\nQUEUED\n> INCRBY n 2\nQUEUED\n> EXEC\n1) (integer) 1\n2) (integer) 3",
        "> MULTI\nOK\n> NOSUCH\n(error) ERR unknown command 'NOSUCH', with args beginning with: \n> EXEC\n(error) \
         EXECABORT Transaction discarded because of previous errors.",
    ],
    ..Docs::NONE
};

const MULTI: Docs = Docs {
    summary: "Begins a transaction: the commands that follow are queued until EXEC.",
    since: "1.2.0",
    complexity: "O(1)",
    examples: &["> MULTI\nOK\n> SET a 1\nQUEUED\n> GET a\nQUEUED\n> EXEC\n1) OK\n2) \"1\""],
    ..Docs::NONE
};

const UNWATCH: Docs = Docs {
    summary: "Forgets all watched keys.",
    since: "2.2.0",
    complexity: "O(n), n keys watched",
    examples: &[
        "> WATCH a\nOK\n> UNWATCH\nOK\n> SET a 1\nOK\n> MULTI\nOK\n> GET a\nQUEUED\n> EXEC\n1) \"1\"",
    ],
    ..Docs::NONE
};

const WATCH: Docs = Docs {
    summary: "Watches keys: if one of them changes before EXEC, that runs nothing.",
    since: "2.2.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> WATCH a\nOK\n> SET a 1\nOK\n> MULTI\nOK\n> GET a\nQUEUED\n> EXEC\n(nil)"],
    ..Docs::NONE
};
