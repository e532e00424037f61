//! Where a request runs: its keys' slots, their shards, and what the command says of running over several.

use crate::commands::ServerRun;
use crate::core::Core;
use crate::registry::{Kind, Registered};
use protocol::command::key_spec;
use protocol::request::Argv;
use protocol::slot::slot_of;
use shard::args::Args;
use shard::commands::{Reach, Run};
use smallvec::SmallVec;

/// Where a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// On this shard, whole.
    Shard(usize),
    /// On the core that owns its channel.
    Owner(usize),
    /// On several shards, or it may wait; see `transaction`.
    Several,
    /// On the core of the connection.
    Server,
}

/// Decides where a request runs.
#[must_use]
pub fn route(core: &Core, command: &Registered, argv: Argv<'_>) -> Route {
    let shard_command = match command.kind {
        Kind::Shard(shard_command) => shard_command,
        Kind::Server(server_command) => {
            return match server_command.run {
                ServerRun::Publish(_) => Route::Owner(shard_of(core, argv.get(1))),
                ServerRun::Now(_) | ServerRun::Later(_) => Route::Server,
            };
        }
    };
    let is_alone = core.shared.shard_count() == 1;
    match shard_command.run {
        _ if shard_command.timeout().is_some() => Route::Several,
        _ if is_alone => Route::Shard(0),
        Run::Read(_) | Run::Write(_) => match only_key(command) {
            Some(index) => Route::Shard(shard_of(core, argv.get(index))),
            None => shard_of_all(core, command, argv),
        },
        Run::EveryShard { .. } | Run::Scan(_) | Run::AnyShard(_) => Route::Several,
        Run::Steps(steps) if matches!((steps.reach)(Args::new(argv)), Reach::Anywhere(_)) => {
            Route::Several
        }
        Run::Split { .. }
        | Run::Gather { .. }
        | Run::GatherWrite { .. }
        | Run::Steps(_)
        | Run::FirstOf { .. }
        | Run::Transfer(_) => shard_of_all(core, command, argv),
    }
}

/// The shard of a key or channel.
#[must_use]
pub fn shard_of(core: &Core, key: Option<&[u8]>) -> usize {
    core.shared.shard_of_slot(slot_of(key.unwrap_or_default()))
}

/// The keys of a request, as indices into argv, each with its shard.
#[must_use]
pub fn keys(core: &Core, command: &Registered, argv: Argv<'_>) -> SmallVec<[(usize, usize); 8]> {
    let mut keys = SmallVec::new();
    key_spec::key_indices(command.spec.keys, argv, |index| {
        keys.push((index, shard_of(core, argv.get(index))));
    });
    if let Kind::Shard(shard_command) = command.kind
        && let Some(index) = shard_command.extra_key(argv)
    {
        keys.push((index, shard_of(core, argv.get(index))));
    }
    keys
}

/// The shard of all keys, if there is one.
fn shard_of_all(core: &Core, command: &Registered, argv: Argv<'_>) -> Route {
    let keys = keys(core, command, argv);
    match keys.first() {
        None => Route::Shard(core.id), // no key, or a malformed request: any shard can say what is wrong
        Some(&(_, shard)) if keys.iter().all(|(_, other)| *other == shard) => Route::Shard(shard),
        Some(_) => Route::Several,
    }
}

/// The position of the key, for a command that has exactly one at a fixed place.
fn only_key(command: &Registered) -> Option<usize> {
    use protocol::command::{BeginSearch, FindKeys};
    match command.spec.keys {
        [spec] => match (spec.begin, spec.find) {
            (BeginSearch::Index(index), FindKeys::Range { last: 0, .. }) => Some(index),
            _ => None,
        },
        _ => None,
    }
}
