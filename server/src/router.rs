//! Where a request runs: its keys' slots, their shards, and what the command says of running over several.

use crate::commands::ServerRun;
use crate::core::Core;
use crate::registry::{Kind, Registered};
use crate::scripting;
use protocol::command::key_spec;
use protocol::request::Argv;
use protocol::slot::slot_of;
use shard::args::Args;
use shard::commands::{Command, Reach, Run};
use shard::keyspace::Likely;
use smallvec::SmallVec;

/// Where a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// On this shard, whole.
    Shard(usize),
    /// On the core that owns its channel.
    Owner(usize),
    /// On the core of this shard, as a script.
    Script(usize),
    /// On several shards, each with its own keys, independently.
    Split,
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
                ServerRun::Script(kind) => script_route(core, command, kind, argv),
                ServerRun::Now(_) | ServerRun::Early(_) | ServerRun::Later(_) => Route::Server,
            };
        }
    };
    let is_alone = core.shared.shard_count() == 1;
    match shard_command.run {
        _ if shard_command.timeout().is_some() => Route::Several,
        Run::AllOf { .. } if shard_command.waits_ms(Args::new(argv)).is_some() => Route::Several,
        _ if is_alone => Route::Shard(0),
        Run::Read(_) | Run::Write(_) => match only_key(command) {
            Some(index) => Route::Shard(shard_of(core, argv.get(index))),
            None => shard_of_all(core, command, argv),
        },
        Run::EveryShard { .. } | Run::Scan(_) | Run::AnyShard(_) => Route::Several,
        Run::Steps(_) if reaches_anywhere(shard_command, argv) => Route::Several,
        Run::Split { .. } => match shard_of_all(core, command, argv) {
            Route::Several => Route::Split,
            route => route,
        },
        Run::Gather { .. }
        | Run::GatherWrite { .. }
        | Run::Steps(_)
        | Run::FirstOf { .. }
        | Run::AllOf { .. }
        | Run::Transfer(_) => shard_of_all(core, command, argv),
    }
}

/// Where a script runs: on the shard of its keys, if that is one and it touches no others.
fn script_route(core: &Core, command: &Registered, kind: scripting::Kind, argv: Argv<'_>) -> Route {
    if core.shared.shard_count() == 1 {
        return Route::Script(0);
    }
    match shard_of_all(core, command, argv) {
        Route::Shard(shard) if !core.may_script_wander(kind, argv) => Route::Script(shard),
        _ => Route::Server,
    }
}

/// Whether the data may name keys of any shard, beyond those of the request.
#[must_use]
pub fn reaches_anywhere(command: &Command, argv: Argv<'_>) -> bool {
    match command.run {
        Run::Steps(steps) => matches!((steps.reach)(Args::new(argv)), Reach::Anywhere(_)),
        _ => false,
    }
}

/// Whether a request is about all keys there are.
#[must_use]
pub fn is_everywhere(command: &Command, argv: Argv<'_>) -> bool {
    matches!(command.run, Run::EveryShard { .. } | Run::Scan(_) | Run::AnyShard(_))
        || reaches_anywhere(command, argv)
}

/// Where the keys of one or more commands lie, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// There is no key: any shard will do.
    #[default]
    Any,
    /// On this shard.
    Shard(usize),
    /// On several shards, or a core's own business.
    Several,
}

impl Home {
    /// Where the keys of both lie.
    #[must_use]
    pub fn and(self, other: Home) -> Home {
        match (self, other) {
            (Home::Any, home) | (home, Home::Any) => home,
            (Home::Shard(one), Home::Shard(two)) if one == two => self,
            _ => Home::Several,
        }
    }
}

/// Where the keys of a request lie, whether it may wait or not. Those of a script that may touch others lie anywhere.
#[must_use]
pub fn home(core: &Core, command: &Registered, argv: Argv<'_>) -> Home {
    let is_alone = core.shared.shard_count() == 1;
    let is_anywhere = match command.kind {
        Kind::Shard(shard_command) => !is_alone && is_everywhere(shard_command, argv),
        Kind::Server(_) => match command.script() {
            Some(kind) => !is_alone && !core.is_script_plain(kind, argv),
            None => true,
        },
    };
    if is_anywhere {
        return Home::Several;
    }
    if is_alone {
        return Home::Shard(0);
    }
    home_of_keys(core, command, argv)
}

/// Where the keys of a request lie that its arguments name.
fn home_of_keys(core: &Core, command: &Registered, argv: Argv<'_>) -> Home {
    let mut all = Home::Any;
    key_indices(command, argv, |index| {
        // Two shards are several, wherever the other keys lie.
        if all != Home::Several {
            all = all.and(Home::Shard(shard_of(core, argv.get(index))));
        }
    });
    all
}

/// The shard of a key or channel.
#[must_use]
pub fn shard_of(core: &Core, key: Option<&[u8]>) -> usize {
    core.shared.shard_of_slot(slot_of(key.unwrap_or_default()))
}

/// What a request is likely to read. The first key is most likely the first argument, or of a script the one behind the
/// number of its keys; an element of a collection stands behind it, or behind the score of ZADD. A guess, for what only
/// saves time.
#[must_use]
#[inline]
pub fn likely<'a>(argv: Argv<'a>) -> Option<Likely<'a>> {
    let name = argv.get(0)?;
    let is_script = match name.first() {
        Some(b'e' | b'E') => name.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"eval")),
        Some(b'f' | b'F') => name.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"fcall")),
        _ => false,
    };
    if is_script {
        return argv.get(3).map(Likely::key);
    }
    let has_score = argv.len() == 4 && matches!(name.first(), Some(b'z' | b'Z'));
    let element = argv.get(if has_score { 3 } else { 2 }).unwrap_or_default();
    argv.get(1).map(|key| Likely { key, element })
}

/// The keys of a request, as indices into argv, each with its shard.
#[must_use]
pub fn keys(core: &Core, command: &Registered, argv: Argv<'_>) -> SmallVec<[(usize, usize); 8]> {
    let mut keys = SmallVec::new();
    key_indices(command, argv, |index| keys.push((index, shard_of(core, argv.get(index)))));
    keys
}

/// Tells `found` where the keys of a request stand in argv.
pub(crate) fn key_indices(command: &Registered, argv: Argv<'_>, mut found: impl FnMut(usize)) {
    key_spec::key_indices(command.spec.keys, argv, &mut found);
    if let Kind::Shard(shard_command) = command.kind {
        shard_command.extra_key(argv).into_iter().for_each(found);
    }
}

/// The shard of all keys, if there is one.
fn shard_of_all(core: &Core, command: &Registered, argv: Argv<'_>) -> Route {
    match home_of_keys(core, command, argv) {
        Home::Any => Route::Shard(core.id), // no key, or a malformed request: any shard can say what is wrong
        Home::Shard(shard) => Route::Shard(shard),
        Home::Several => Route::Several,
    }
}

/// Whether a command has at most one key, as its first argument, and touches no other.
#[must_use]
pub fn takes_one_key(command: &Registered) -> bool {
    let is_fit = match command.kind {
        Kind::Shard(command) => matches!(command.run, Run::Read(_) | Run::Write(_)),
        Kind::Server(_) => command.spec.keys.is_empty(),
    };
    is_fit && (command.spec.keys.is_empty() || only_key(command) == Some(1))
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
