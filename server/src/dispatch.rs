//! The gates: the only place where a request is refused, in the order Redis refuses (processCommand): does it exist,
//! arity, authentication, memory, disk, subscriber mode; then it is queued (MULTI), or the router says where it runs.
//!
//! Path: `connection::run` -> here -> `router`.

use crate::commands::{NowFn, ServerCommand, ServerRun};
use crate::connection::{Session, is_never_queued};
use crate::core::Core;
use crate::registry::{Kind, Registered};
use crate::router::{self, Route};
use crate::scripting;
use protocol::command::Flags;
use protocol::error::shown;
use protocol::request::Argv;
use std::borrow::Cow;

/// What becomes of a request.
pub enum Step<'a> {
    /// It is refused with this error.
    Refuse(Cow<'static, [u8]>),
    /// It runs here, at once: its keys lie on this core's shard.
    Here(&'a Registered),
    /// It publishes on a channel of this core.
    PublishHere(&'a Registered),
    /// It is a script whose keys lie on this core's shard.
    ScriptHere(&'a Registered, scripting::Kind),
    /// It runs at this shard, whole.
    Away(&'a Registered, usize),
    /// Its keys lie on several shards, each of which runs its part.
    Split(&'a Registered),
    /// It concerns this connection alone and answers at once, if no reply before it is awaited.
    Now(&'a Registered, NowFn),
    /// The same, even while replies before it are awaited.
    Early(&'a Registered, NowFn),
    /// It waits for EXEC.
    Queue(&'a Registered),
    /// It is EXEC: the queue runs.
    Exec(&'a Registered),
    /// It runs once the replies before it are complete.
    Defer(&'a Registered),
}

/// Bytes of an unknown command's arguments that its error shows.
const SHOWN_LEN_MAX: usize = 128;

/// The reply to a command that may need memory while there is none and no key may leave.
pub const OUT_OF_MEMORY: &[u8] = b"OOM command not allowed when used memory > 'maxmemory'.";

/// Decides about one request.
pub fn dispatch<'a>(core: &'a Core, session: &Session, argv: Argv<'_>) -> Step<'a> {
    let name = argv.get(0).unwrap_or_default();
    let registry = &core.shared.registry;
    let Some(mut command) = registry.find(name) else {
        return Step::Refuse(Cow::Owned(unknown_command(name, argv)));
    };
    if !command.spec.subcommands.is_empty() && argv.len() > 1 {
        let word = argv.get(1).unwrap_or_default();
        match registry.subcommand(command, word) {
            Some(subcommand) => command = subcommand,
            None => return Step::Refuse(Cow::Owned(unknown_subcommand(command, word))),
        }
    }
    let spec = command.spec;
    if !spec.accepts(argv.len()) {
        let name = command.full_name();
        let text = format!("ERR wrong number of arguments for '{name}' command");
        return refuse(core, command, text.into_bytes());
    }
    if !spec.flags.contains(Flags::NO_AUTH) && core.needs_login(session) {
        return refuse(core, command, b"NOAUTH Authentication required.".to_vec());
    }
    let flags = session.flags_of(command);
    let is_in_multi = session.is_in_multi();
    if is_in_multi && flags.contains(Flags::NO_MULTI) {
        let text = b"ERR Command not allowed inside a transaction";
        return refuse(core, command, text.to_vec());
    }
    // What waits for EXEC takes memory, whatever it is.
    let is_queued = is_in_multi && !is_never_queued(command);
    if (flags.contains(Flags::DENYOOM) || is_queued) && !core.make_room() {
        return refuse(core, command, OUT_OF_MEMORY.to_vec());
    }
    if flags.contains(Flags::WRITE)
        && let Some(log) = core.shared.log.as_ref().filter(|log| log.is_failed())
    {
        let text = format!("MISCONF Errors writing to the AOF file: {}", log.cause());
        return refuse(core, command, text.into_bytes());
    }
    if flags.contains(Flags::WRITE) && core.lacks_replicas() {
        let text = b"NOREPLICAS Not enough good replicas to write.";
        return refuse(core, command, text.to_vec());
    }
    if session.is_in_pubsub_mode() && !is_allowed_while_subscribed(command) {
        let name = command.full_name();
        let text = format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
             in this context"
        );
        return refuse(core, command, text.into_bytes());
    }
    if core.shared.scripts.is_busy()
        && let Some(text) = core.busy_error(command, argv, is_in_multi)
    {
        return refuse(core, command, text.as_bytes().to_vec());
    }
    if core.is_paused(flags) && core.is_paused(core.promised_flags(command, flags, argv)) {
        return Step::Defer(command);
    }
    if is_queued {
        return Step::Queue(command);
    }
    if core.shared.is_monitored() {
        return Step::Defer(command);
    }
    if is_in_multi && spec.name == "exec" {
        return Step::Exec(command);
    }
    match router::route(core, command, argv) {
        Route::Shard(shard) if shard == core.id => Step::Here(command),
        Route::Owner(shard) if shard == core.id => Step::PublishHere(command),
        Route::Script(shard) if shard == core.id => match command.script() {
            Some(kind) => Step::ScriptHere(command, kind),
            None => Step::Defer(command),
        },
        Route::Shard(shard) | Route::Owner(shard) | Route::Script(shard) => {
            Step::Away(command, shard)
        }
        Route::Split => Step::Split(command),
        Route::Several => Step::Defer(command),
        Route::Server => match command.kind {
            Kind::Server(ServerCommand { run: ServerRun::Now(run), .. }) => {
                Step::Now(command, *run)
            }
            Kind::Server(ServerCommand { run: ServerRun::Early(run), .. }) => {
                Step::Early(command, *run)
            }
            _ => Step::Defer(command),
        },
    }
}

fn refuse<'a>(core: &Core, command: &Registered, text: Vec<u8>) -> Step<'a> {
    core.shared.command_statistics[core.id].command(command.id).rejected.increment();
    Step::Refuse(Cow::Owned(text))
}

fn is_allowed_while_subscribed(command: &Registered) -> bool {
    let is_subcommand = command.container.is_some();
    !is_subcommand
        && matches!(
            command.spec.name,
            "ping"
                | "quit"
                | "reset"
                | "subscribe"
                | "unsubscribe"
                | "psubscribe"
                | "punsubscribe"
                | "ssubscribe"
                | "sunsubscribe"
        )
}

/// `ERR unknown command 'x', with args beginning with: 'a' 'b' `, as Redis words it.
fn unknown_command(name: &[u8], argv: Argv<'_>) -> Vec<u8> {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(shown(&name[..name.len().min(SHOWN_LEN_MAX)]));
    text.extend_from_slice(b"', with args beginning with: ");
    let mut shown_len = 0;
    for arg in argv.iter().skip(1) {
        if shown_len >= SHOWN_LEN_MAX {
            break;
        }
        let arg = shown(&arg[..arg.len().min(SHOWN_LEN_MAX - shown_len)]);
        text.push(b'\'');
        text.extend_from_slice(arg);
        text.extend_from_slice(b"' ");
        shown_len += arg.len() + 3;
    }
    text
}

fn unknown_subcommand(command: &Registered, word: &[u8]) -> Vec<u8> {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(shown(&word[..word.len().min(SHOWN_LEN_MAX)]));
    let upper = command.spec.name.to_ascii_uppercase();
    text.extend_from_slice(format!("'. Try {upper} HELP.").as_bytes());
    text
}
