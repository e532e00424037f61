//! All commands by name: those of the shards and those of the server, in one table made at start-up.

use crate::commands::ServerCommand;
use ahash::AHashMap;
use protocol::command::{CommandSpec, Flags};
use shard::commands::{Command, Run};

/// Longest name that is looked up; no command's name is longer.
const NAME_LEN_MAX: usize = 32;

/// Number of a command in the [`Registry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u16);

/// One command and how it runs.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Its number.
    pub id: CommandId,
    /// Its metadata.
    pub spec: &'static CommandSpec,
    /// How it runs.
    pub kind: Kind,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// On the shards of its keys.
    Shard(&'static Command),
    /// On the core of the connection.
    Server(&'static ServerCommand),
}

impl Registered {
    /// Whether a batch can carry it: one key or channel at argument 1 decides where it runs, whole.
    #[must_use]
    pub fn has_single_key(&self) -> bool {
        match self.kind {
            Kind::Shard(command) => {
                matches!(command.run, Run::Read(_) | Run::Write(_)) && !self.spec.keys.is_empty()
            }
            Kind::Server(_) => false,
        }
    }

    /// Whether it has all of `flags`.
    #[must_use]
    pub fn is(&self, flags: Flags) -> bool {
        self.spec.flags.contains(flags)
    }
}

/// The table.
#[derive(Debug)]
pub struct Registry {
    commands: Vec<Registered>,
    by_name: AHashMap<Box<[u8]>, CommandId>,
}

impl Registry {
    /// All commands; `renames` are `rename-command` lines: old name and new, which is empty to take a command away.
    ///
    /// # Errors
    /// The old name, if there is no such command, or the new one, if there is one already.
    pub fn new(renames: &[(String, String)]) -> Result<Registry, String> {
        let shard = shard::commands::TABLES.iter().copied().flatten();
        let server = crate::commands::TABLES.iter().copied().flatten();
        let all = shard
            .map(|command| (&command.spec, Kind::Shard(command)))
            .chain(server.map(|command| (&command.spec, Kind::Server(command))));
        let mut registry = Registry { commands: Vec::new(), by_name: AHashMap::new() };
        for (index, (spec, kind)) in all.enumerate() {
            let id = CommandId(u16::try_from(index).expect("fewer commands than 65536"));
            registry.commands.push(Registered { id, spec, kind });
            let former = registry.by_name.insert(spec.name.as_bytes().into(), id);
            assert!(former.is_none(), "command {} stands in two tables", spec.name);
            assert!(spec.name.len() <= NAME_LEN_MAX, "{} is too long a name", spec.name);
        }
        for (old, new) in renames {
            let old_name = old.to_ascii_lowercase();
            let id = registry.by_name.remove(old_name.as_bytes()).ok_or_else(|| old.clone())?;
            let new_name = new.to_ascii_lowercase();
            let is_free = !registry.by_name.contains_key(new_name.as_bytes());
            if !new_name.is_empty() {
                if !is_free || new_name.len() > NAME_LEN_MAX {
                    return Err(new.clone());
                }
                registry.by_name.insert(new_name.into_bytes().into(), id);
            }
        }
        Ok(registry)
    }

    /// The command of this name, in any case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Registered> {
        let mut lower = [0; NAME_LEN_MAX];
        let lower = lower.get_mut(..name.len())?;
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        self.by_name.get(&*lower).map(|id| self.get(*id))
    }

    /// Command number `id`.
    #[must_use]
    pub fn get(&self, id: CommandId) -> &Registered {
        &self.commands[usize::from(id.0)]
    }

    /// All commands, in the order of their numbers.
    #[must_use]
    pub fn all(&self) -> &[Registered] {
        &self.commands
    }
}
