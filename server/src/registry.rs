//! All commands by name: those of the shards and those of the server, in one table made at start-up.

use crate::commands::{ServerCommand, ServerRun};
use crate::scripting;
use ahash::AHashMap;
use protocol::command::{CommandSpec, Flags};
use protocol::request::Argv;
use shard::commands::Command;
use std::borrow::Cow;

/// Longest name that is looked up; no command's name is longer.
const NAME_LEN_MAX: usize = 32;

/// Number of a command in the [`Registry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u16);

/// One command or subcommand and how it runs.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Its number.
    pub id: CommandId,
    /// Its metadata.
    pub spec: &'static CommandSpec,
    /// How it runs; a subcommand runs as its container does.
    pub kind: Kind,
    /// The command this is a subcommand of.
    pub container: Option<&'static CommandSpec>,
    /// Number of its first subcommand; the others follow.
    first_subcommand: u16,
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
    /// `get`, or `client|list` for a subcommand.
    #[must_use]
    pub fn full_name(&self) -> Cow<'static, str> {
        match self.container {
            Some(container) => format!("{}|{}", container.name, self.spec.name).into(),
            None => self.spec.name.into(),
        }
    }

    /// `get`, or `client` for each of its subcommands.
    #[must_use]
    pub fn top_name(&self) -> &'static str {
        self.container.unwrap_or(self.spec).name
    }

    /// How it runs a script, if that is what it does.
    #[must_use]
    #[inline]
    pub fn script(&self) -> Option<scripting::Kind> {
        match self.kind {
            Kind::Server(ServerCommand { run: ServerRun::Script(kind), .. }) => Some(*kind),
            _ => None,
        }
    }

    /// Whether it runs a script.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.script().is_some()
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
    /// Commands, then the subcommands of each.
    rows: Vec<Registered>,
    by_name: AHashMap<Name, CommandId>,
}

/// The name of a command in lower case, as numbers, which are hashed and compared faster than text: every request looks
/// one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name {
    words: [u128; NAME_LEN_MAX / 16],
    len: usize,
}

impl Name {
    /// `None` if no command has a name as long as this.
    fn new(name: &[u8]) -> Option<Name> {
        let mut words = [0; NAME_LEN_MAX / 16];
        if name.len() > NAME_LEN_MAX {
            return None;
        }
        let lower = |word, byte: &u8| word << 8 | u128::from(byte.to_ascii_lowercase());
        for (word, bytes) in words.iter_mut().zip(name.chunks(16)) {
            *word = bytes.iter().fold(0, lower);
        }
        Some(Name { words, len: name.len() })
    }
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
        let mut registry = Registry { rows: Vec::new(), by_name: AHashMap::new() };
        for (spec, kind) in all {
            let id = registry.push(spec, kind, None);
            let name = Name::new(spec.name.as_bytes()).expect("names in the tables are short");
            let former = registry.by_name.insert(name, id);
            assert!(former.is_none(), "command {} stands in two tables", spec.name);
        }
        for index in 0..registry.rows.len() {
            let Registered { spec, kind, .. } = registry.rows[index];
            registry.rows[index].first_subcommand = registry.next_id().0;
            for subcommand in spec.subcommands {
                registry.push(subcommand, kind, Some(spec));
            }
        }
        for (old, new) in renames {
            let old_name = Name::new(old.as_bytes());
            let id = old_name.and_then(|name| registry.by_name.remove(&name));
            let id = id.ok_or_else(|| old.clone())?;
            if !new.is_empty() {
                let name = Name::new(new.as_bytes()).ok_or_else(|| new.clone())?;
                if registry.by_name.contains_key(&name) {
                    return Err(new.clone());
                }
                registry.by_name.insert(name, id);
            }
        }
        Ok(registry)
    }

    fn next_id(&self) -> CommandId {
        CommandId(u16::try_from(self.rows.len()).expect("fewer commands than 65536"))
    }

    fn push(
        &mut self,
        spec: &'static CommandSpec,
        kind: Kind,
        container: Option<&'static CommandSpec>,
    ) -> CommandId {
        let id = self.next_id();
        self.rows.push(Registered { id, spec, kind, container, first_subcommand: 0 });
        id
    }

    /// The command of this name, in any case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Registered> {
        self.by_name.get(&Name::new(name)?).map(|id| self.get(*id))
    }

    /// The subcommand of `command` that `word` names, in any case.
    #[must_use]
    pub fn subcommand(&self, command: &Registered, word: &[u8]) -> Option<&Registered> {
        let is_named = |sub: &CommandSpec| sub.name.as_bytes().eq_ignore_ascii_case(word);
        let index = command.spec.subcommands.iter().position(is_named)?;
        self.rows.get(usize::from(command.first_subcommand) + index)
    }

    /// The command or subcommand with this full name (`get`, `client|list`), in any case.
    #[must_use]
    pub fn find_full(&self, name: &[u8]) -> Option<&Registered> {
        match name.iter().position(|byte| *byte == b'|') {
            Some(bar) => self.subcommand(self.find(&name[..bar])?, &name[bar + 1..]),
            None => self.find(name),
        }
    }

    /// The command that the request `argv` is: its subcommand, if it has some.
    #[must_use]
    pub fn find_request(&self, argv: Argv<'_>) -> Option<&Registered> {
        let command = self.find(argv.get(0)?)?;
        match argv.get(1) {
            Some(word) if !command.spec.subcommands.is_empty() => self.subcommand(command, word),
            _ => Some(command),
        }
    }

    /// Row number `id`.
    #[must_use]
    pub fn get(&self, id: CommandId) -> &Registered {
        &self.rows[usize::from(id.0)]
    }

    /// Commands and subcommands, in the order of their numbers.
    #[must_use]
    pub fn rows(&self) -> &[Registered] {
        &self.rows
    }

    /// The commands that can be called, in the order of their numbers.
    #[must_use]
    pub fn callable(&self) -> Vec<&Registered> {
        let mut ids: Vec<CommandId> = self.by_name.values().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| self.get(id)).collect()
    }

    /// The subcommands of `command`.
    pub fn subcommands(&self, command: &Registered) -> &[Registered] {
        let first = usize::from(command.first_subcommand);
        &self.rows[first..first + command.spec.subcommands.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn registry() -> Registry {
        Registry::new(&[]).unwrap()
    }

    #[test]
    fn subcommands_have_rows_of_their_own() {
        let registry = registry();
        let encoding = registry.find_full(b"Object|ENCODING").unwrap();
        assert_eq!(encoding.full_name(), "object|encoding");
        assert_eq!(registry.get(encoding.id).spec.name, "encoding");
        assert!(registry.find_full(b"object|colour").is_none());
        assert!(registry.find_full(b"get|encoding").is_none());
        assert_eq!(registry.find_full(b"get").unwrap().full_name(), "get");
    }

    #[test]
    fn a_request_is_its_subcommand() {
        let registry = registry();
        let name = |line: &str| {
            let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
            registry.find_request(argv.as_argv()).map(|row| row.full_name().into_owned())
        };
        assert_eq!(name("object help").as_deref(), Some("object|help"));
        assert_eq!(name("OBJECT").as_deref(), Some("object"));
        assert_eq!(name("object colour"), None);
        assert_eq!(name("get encoding").as_deref(), Some("get"));
    }

    #[test]
    fn renamed_commands_have_only_their_new_name() {
        let rename = |from: &str, to: &str| Registry::new(&[(from.to_owned(), to.to_owned())]);
        let registry = rename("GET", "fetch").unwrap();
        assert!(registry.find(b"get").is_none());
        assert_eq!(registry.find(b"FETCH").unwrap().spec.name, "get");
        let registry = rename("get", "").unwrap();
        assert!(registry.callable().iter().all(|row| row.spec.name != "get"));
        assert_eq!(rename("get", "set").unwrap_err(), "set");
        assert_eq!(rename("nothing", "x").unwrap_err(), "nothing");
    }
}
