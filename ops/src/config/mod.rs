//! Configuration: one table of parameters, from which everything else follows.
//!
//! Path: command line and redis.conf -> `load` -> [`Config`] -> [`Settings`] -> cores. CONFIG GET, SET
//! and REWRITE work on the same `Config`.
//!
//! A `Config` holds one [`Value`] per row of the table and the [`Settings`] made from them. It is plain
//! data and never half changed: [`Config::set`] makes a new one, the server puts it into effect, and
//! keeps the old one if that fails.
//!
//! To add a parameter, add its row to a file of `params/`, and its field to [`Settings`] if it has an
//! effect; `UPDATE_DOCS=1 cargo test -p ops` refreshes docs/config.md.

mod choices;
mod docs;
mod error;
mod kind;
mod load;
mod number;
mod parameter;
mod params;
mod rewrite;
mod settings;
mod special;
mod value;
mod words;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub use choices::{
    Access, AppendFsync, Choices, LogLevel, MaxmemoryPolicy, SanitizeDumpPayload, ShutdownFlags,
    Supervised,
};
pub use docs::documentation;
pub use error::{ConfigError, Origin, RewriteError, SetError};
pub use kind::Kind;
pub use parameter::{Change, Effect, Parameter};
pub use settings::Settings;
pub use value::{BindAddress, KeyspaceEvents, OutputLimit, SavePoint, SizeOrPercent, Value};

static PARAMETERS: LazyLock<Vec<&'static Parameter>> =
    LazyLock::new(|| params::TABLE.iter().flat_map(|group| group.rows).collect());

/// Every parameter, in the order of docs/config.md.
#[must_use]
pub fn parameters() -> &'static [&'static Parameter] {
    &PARAMETERS
}

/// Finds a parameter by its name or alias, whatever the case. Cost: one pass over the table.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Parameter> {
    lookup(name).map(|found| PARAMETERS[found.index])
}

/// A name that was found: the row, and the row's own spelling of the name or alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    index: usize,
    name: &'static str,
}

fn lookup(name: &[u8]) -> Option<Found> {
    names().find(|found| found.name.as_bytes().eq_ignore_ascii_case(name))
}

/// All names and aliases.
fn names() -> impl Iterator<Item = Found> {
    PARAMETERS.iter().enumerate().flat_map(|(index, parameter)| {
        let names = [Some(parameter.name), parameter.alias];
        names.into_iter().flatten().map(move |name| Found { index, name })
    })
}

/// A command under another name (`rename-command`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The command's own name.
    pub from: String,
    /// The new name; empty: the command cannot be called at all.
    pub to: String,
}

/// The whole configuration. Cloning costs a few kilobytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// One value per row, in the order of [`parameters`].
    values: Vec<Value>,
    /// Whether a file or the command line gave the value, in the same order.
    given: Vec<bool>,
    settings: Settings,
    renames: Vec<Rename>,
    file: Option<PathBuf>,
}

/// Who asks CONFIG SET, and when.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetContext {
    /// The client is on this machine (loopback address or Unix socket).
    pub is_client_local: bool,
    /// The server is loading data.
    pub is_loading: bool,
}

/// A valid CONFIG SET that is not in effect yet.
#[derive(Debug, Clone)]
pub struct PendingChange {
    /// The configuration as it will be.
    pub config: Config,
    /// The parameters that get another value, in the order they were named.
    pub applied: Vec<Applied>,
}

/// One parameter that gets another value.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Which one.
    pub parameter: &'static Parameter,
    /// The value before, as CONFIG GET prints it.
    pub old: Vec<u8>,
    /// The value to come, as CONFIG GET prints it.
    pub new: Vec<u8>,
}

impl Config {
    /// The configuration of a server that was told nothing.
    #[must_use]
    pub fn defaults() -> Config {
        let values: Vec<Value> = PARAMETERS.iter().map(|row| row.default_value()).collect();
        let given = vec![false; values.len()];
        let settings = settings_of(&values);
        Config { values, given, settings, renames: Vec::new(), file: None }
    }

    /// Reads the configuration as `redis-server` does: `file` first, then the words of the command line,
    /// later ones winning. Without `file`, a first word that does not begin with `-` is the file; a single
    /// `-` as first or last word reads more of the file from standard input.
    ///
    /// # Errors
    /// The first thing that is wrong, as one sentence.
    pub fn load(file: Option<&Path>, command_line: &[String]) -> Result<Config, ConfigError> {
        load::load(file, command_line)
    }

    /// The typed values.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Renamed commands, in the order given.
    #[must_use]
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// The file it was read from, as an absolute path.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Says whether a file, the command line or CONFIG SET gave this parameter a value.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        lookup(name.as_bytes()).is_some_and(|found| self.given[found.index])
    }

    /// Parameters that ask for something, other than the default, although nothing depends on them, with the reason:
    /// what a careful server says in its log at start.
    pub fn without_effect(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        PARAMETERS.iter().zip(&self.values).filter_map(|(row, value)| match row.effect {
            Effect::None(why) if *value != row.default_value() && !value.is_nothing() => {
                Some((row.name, why))
            }
            _ => None,
        })
    }

    /// Answers CONFIG GET: names and values that match any of the patterns, each name once.
    ///
    /// A pattern without `*`, `?` or `[` is a name and comes back as it was written. Hidden parameters
    /// need their exact name. Cost: one pass over the table per pattern.
    #[must_use]
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen: Vec<&'static str> = Vec::new();
        let mut matches = Vec::new();
        for pattern in patterns {
            let is_pattern = pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
            let found = names().filter(|found| match is_pattern {
                true => {
                    !PARAMETERS[found.index].is_hidden
                        && protocol::glob::matches(pattern, found.name.as_bytes(), true)
                }
                false => found.name.as_bytes().eq_ignore_ascii_case(pattern),
            });
            for found in found {
                if seen.contains(&found.name) {
                    continue;
                }
                seen.push(found.name);
                let name = if is_pattern { found.name.as_bytes() } else { pattern };
                matches.push((name.to_vec(), self.print(found.index)));
            }
        }
        matches
    }

    /// Prepares CONFIG SET: all pairs of name and value, or none.
    ///
    /// The server puts the change into effect and then keeps `PendingChange::config`; if it cannot, it
    /// drops it, and answers with [`SetError::not_applied`]. A new `dir` is looked up on disk.
    ///
    /// # Errors
    /// What Redis answers, for the first pair that is wrong.
    pub fn set(
        &self,
        pairs: &[(&[u8], &[u8])],
        context: SetContext,
    ) -> Result<PendingChange, SetError> {
        let mut names: Vec<Found> = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let found = self.check_settable(name, context)?;
            if names.contains(&found) {
                return Err(failed(name, "duplicate parameter"));
            }
            names.push(found);
        }

        let mut values = self.values.clone();
        let mut given = self.given.clone();
        for (found, (_, text)) in names.iter().zip(pairs) {
            let row = PARAMETERS[found.index];
            let words = match row.is_multi_arg() {
                true if text.is_empty() => no_words(row),
                true => text.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect(),
                false => vec![text.to_vec()],
            };
            values[found.index] = row
                .parse(&words, &values[found.index])
                .map_err(|problem| failed(found.name.as_bytes(), &problem))?;
            if row.change == Change::Unchanged && values[found.index] != self.values[found.index] {
                return Err(failed(found.name.as_bytes(), IMMUTABLE));
            }
            given[found.index] = true;
        }

        let settings = settings_of(&values);
        let config = Config { values, given, settings, ..self.clone() };
        let applied = names
            .iter()
            .filter(|found| config.values[found.index] != self.values[found.index])
            .map(|found| Applied {
                parameter: PARAMETERS[found.index],
                old: self.print(found.index),
                new: config.print(found.index),
            })
            .collect();
        Ok(PendingChange { config, applied })
    }

    /// Answers CONFIG REWRITE: brings the file up to date, keeping its comments and order.
    ///
    /// The file is replaced at once or not at all. Blocks on the disk: not for a serving core.
    ///
    /// # Errors
    /// There is no file, or it cannot be read or replaced.
    pub fn rewrite(&self) -> Result<(), RewriteError> {
        rewrite::rewrite(self)
    }

    fn check_settable(&self, name: &[u8], context: SetContext) -> Result<Found, SetError> {
        let found = lookup(name)
            .ok_or_else(|| SetError::Unknown { name: String::from_utf8_lossy(name).into() })?;
        let row = PARAMETERS[found.index];
        let may_change_protected = match self.settings.enable_protected_configs {
            Access::Yes => true,
            Access::Local => context.is_client_local,
            Access::No => false,
        };
        match row.change {
            Change::Never => Err(failed(name, IMMUTABLE)),
            Change::Protected if !may_change_protected => {
                Err(failed(name, "can't set protected config"))
            }
            _ if row.is_denied_while_loading && context.is_loading => Err(SetError::Loading),
            Change::Runtime | Change::Protected | Change::Unchanged => Ok(found),
        }
    }

    fn print(&self, index: usize) -> Vec<u8> {
        PARAMETERS[index].kind.print(&self.values[index])
    }
}

/// Why CONFIG SET refuses what is read at start only.
const IMMUTABLE: &str = "can't set immutable config";

/// What an empty value means to a parameter of several words: an empty list where there can be one.
fn no_words(row: &Parameter) -> Vec<Vec<u8>> {
    match row.kind {
        Kind::Bind | Kind::Save | Kind::Percentiles => vec![Vec::new()],
        _ => Vec::new(),
    }
}

fn failed(name: &[u8], problem: &str) -> SetError {
    SetError::Failed {
        name: String::from_utf8_lossy(name).into_owned(),
        problem: problem.to_owned(),
    }
}

fn settings_of(values: &[Value]) -> Settings {
    let mut settings = Settings::blank();
    for (row, value) in PARAMETERS.iter().zip(values) {
        (row.store)(&mut settings, value);
    }
    settings
}

#[cfg(test)]
mod tests;
