//! SHUTDOWN: the end of the server at a client's wish; see `crate::shutdown`.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::connection::Connection;
use ops::config::ShutdownFlags;
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -1,
        flags: Flags::of(&[
            Flags::ADMIN,
            Flags::ALLOW_BUSY,
            Flags::LOADING,
            Flags::NO_MULTI,
            Flags::NOSCRIPT,
            Flags::STALE,
        ]),
        docs: &SHUTDOWN,
        ..CommandSpec::new("shutdown", Group::Server)
    },
    run: ServerRun::Later(shutdown),
}];

fn shutdown<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        let flags = parse(args)?;
        let Some(flags) = flags else {
            // A shutdown waits for nothing, so there is never one to abort.
            return Err(CommandError::text("ERR No shutdown in progress."));
        };
        // Only who gives up what a script does may end the server amid one.
        if !flags.nosave
            && let Some(running) = connection.core.shared.scripts.busy(|_| true)
        {
            return Err(CommandError::text(running.busy_error()));
        }
        tracing::info!("a client asks for a shutdown");
        connection.core.shared.shut_down(flags).map_err(|error| {
            tracing::warn!("no shutdown: {error}");
            CommandError::text("ERR Errors trying to SHUTDOWN. Check logs.")
        })?;
        // The connection ends with the server, without a reply.
        std::future::pending().await
    })
}

/// What is asked for; `None` for ABORT.
fn parse(args: Args<'_>) -> Result<Option<ShutdownFlags>, CommandError> {
    let mut flags = ShutdownFlags::default();
    let mut is_abort = false;
    for word in args.rest() {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => flags.nosave = true,
            b"save" => flags.save = true,
            b"now" => flags.now = true,
            b"force" => flags.force = true,
            b"abort" => is_abort = true,
            _ => return Err(CommandError::Syntax),
        }
    }
    let is_contradictory = flags.save && flags.nosave;
    match is_abort {
        _ if is_contradictory => Err(CommandError::Syntax),
        true if flags != ShutdownFlags::default() => Err(CommandError::Syntax),
        true => Ok(None),
        false => Ok(Some(flags)),
    }
}

const SHUTDOWN: Docs = Docs {
    summary: "Ends the server in good order.",
    since: "1.0.0",
    complexity: "O(data not yet on disk)",
    arguments: &[
        Argument::one_of(
            "save-selector",
            &[Argument::word("nosave", "NOSAVE"), Argument::word("save", "SAVE")],
        )
        .optional(),
        Argument::word("now", "NOW").optional().since("7.0.0"),
        Argument::word("force", "FORCE").optional().since("7.0.0"),
        Argument::word("abort", "ABORT").optional().since("7.0.0"),
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn parsed(line: &str) -> Result<Option<ShutdownFlags>, CommandError> {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        parse(Args::new(argv.as_argv()))
    }

    #[test]
    fn words_come_in_any_order_and_case() {
        assert_eq!(parsed("SHUTDOWN"), Ok(Some(ShutdownFlags::default())));
        let expected = ShutdownFlags { nosave: true, now: true, ..ShutdownFlags::default() };
        assert_eq!(parsed("shutdown NOW nosave"), Ok(Some(expected)));
        assert_eq!(parsed("SHUTDOWN ABORT"), Ok(None));
    }

    #[test]
    fn contradictions_are_refused() {
        for line in ["SHUTDOWN x", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"] {
            assert_eq!(parsed(line), Err(CommandError::Syntax), "{line}");
        }
    }
}
