//! Changes of the libraries of functions: made by one core, one after the other, so that all see them in one order, and
//! written to its journal.

use crate::core::Core;
use crate::runtime::clock::Moment;
use persistence::rdb::payload::{self, Checksum};
use persistence::rdb::{Compression, Reader, Writer as RdbWriter};
use protocol::reply::{Resp, Writer};
use protocol::request::Argv;
use script::{Called, Catalog, Host, Look};
use std::rc::Rc;
use std::time::Duration;

/// The core that makes changes, and whose journal has them.
pub const KEEPER: usize = 0;
/// How long a library may take to load.
const LOAD_MAX: Duration = Duration::from_millis(500);
/// The byte before a library in a payload.
const LIBRARY: u8 = 245;
/// The byte before a library as versions before 7.0 wrote it.
const LIBRARY_BEFORE_7: u8 = 246;

/// A change of the libraries.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds a library.
    Load {
        /// Its text.
        text: Vec<u8>,
        /// Whether it takes the place of one with its name.
        may_replace: bool,
    },
    /// Removes a library.
    Delete(Vec<u8>),
    /// Removes all.
    Flush,
    /// Adds those of a payload.
    Restore {
        /// The payload.
        payload: Vec<u8>,
        /// What becomes of those that are there.
        policy: Policy,
    },
}

/// What RESTORE does with the libraries that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// They stay, and none may have the name of a new one.
    Append,
    /// They stay, unless a new one has their name.
    Replace,
    /// They go.
    Flush,
}

impl Core {
    /// Makes a change; returns the name of the library that it has loaded.
    pub(crate) fn change_functions(&self, change: &Change) -> Result<Option<String>, String> {
        let scripts = &self.shared.scripts;
        let (catalog, name) = apply(&scripts.catalog(), change)?;
        scripts.set_catalog(catalog);
        let mut shard = self.shard_mut();
        if shard.options().is_journaling {
            let args = journaled(change);
            let args: Vec<&[u8]> = args.iter().map(|arg| &**arg).collect();
            shard.effects_mut().journal.append_args(0, &args);
        }
        shard.effects_mut().change_count += 1;
        Ok(name)
    }
}

/// The libraries after `change`, and the name of the one that was loaded.
///
/// # Errors
/// The text of the error reply, without its code.
fn apply(catalog: &Catalog, change: &Change) -> Result<(Catalog, Option<String>), String> {
    match change {
        Change::Load { text, may_replace } => {
            let (catalog, name) = catalog.with(text, *may_replace, loading())?;
            Ok((catalog, Some(name)))
        }
        Change::Delete(name) => match catalog.without(name) {
            Some(catalog) => Ok((catalog, None)),
            None => Err("Library not found".to_owned()),
        },
        Change::Flush => Ok((Catalog::default(), None)),
        Change::Restore { payload, policy } => {
            let new = read(payload)?;
            let catalog = match policy {
                Policy::Flush => new,
                Policy::Append => catalog.joined(&new, false)?,
                Policy::Replace => catalog.joined(&new, true)?,
            };
            Ok((catalog, None))
        }
    }
}

/// The command by which the journal tells of a change.
fn journaled(change: &Change) -> Vec<Vec<u8>> {
    let words: &[&[u8]] = match change {
        Change::Load { text, may_replace: false } => &[b"LOAD", text],
        Change::Load { text, may_replace: true } => &[b"LOAD", b"REPLACE", text],
        Change::Delete(name) => &[b"DELETE", name],
        Change::Flush => &[b"FLUSH"],
        Change::Restore { payload, policy } => match policy {
            Policy::Append => &[b"RESTORE", payload, b"APPEND"],
            Policy::Replace => &[b"RESTORE", payload, b"REPLACE"],
            Policy::Flush => &[b"RESTORE", payload, b"FLUSH"],
        },
    };
    [b"FUNCTION".as_slice()].into_iter().chain(words.iter().copied()).map(<[u8]>::to_vec).collect()
}

/// Makes the change that `argv`, a command of the journal, tells of.
///
/// # Errors
/// Why it cannot be made: the journal was not written by this server.
pub(crate) fn replay(catalog: &Catalog, argv: Argv<'_>) -> Result<Catalog, String> {
    let words: Vec<&[u8]> = argv.iter().skip(1).collect();
    let change = match words[..] {
        [b"LOAD", text] => Change::Load { text: text.to_vec(), may_replace: false },
        [b"LOAD", b"REPLACE", text] => Change::Load { text: text.to_vec(), may_replace: true },
        [b"DELETE", name] => Change::Delete(name.to_vec()),
        [b"FLUSH"] => Change::Flush,
        [b"RESTORE", payload, word] => {
            let policy = match word {
                b"REPLACE" => Policy::Replace,
                b"FLUSH" => Policy::Flush,
                _ => Policy::Append,
            };
            Change::Restore { payload: payload.to_vec(), policy }
        }
        _ => return Err("FUNCTION has no such subcommand that changes something".to_owned()),
    };
    apply(catalog, &change).map(|(catalog, _)| catalog)
}

/// All libraries as a payload.
pub(crate) fn dump(catalog: &Catalog) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RdbWriter::new(&mut bytes, Compression::Lzf);
    for library in catalog.libraries() {
        writer.byte(LIBRARY);
        writer.string(&library.text);
    }
    payload::seal(&mut bytes);
    bytes
}

/// The libraries of a payload.
fn read(sealed: &[u8]) -> Result<Catalog, String> {
    let wrong = |_| "DUMP payload version or checksum are wrong".to_owned();
    let inner = payload::open(sealed, Checksum::Checked).map_err(wrong)?;
    let mut reader = Reader::new(inner);
    let mut catalog = Catalog::default();
    while !reader.is_empty() {
        match reader.byte() {
            Ok(LIBRARY) => {}
            Ok(LIBRARY_BEFORE_7) => return Err("Pre-GA function format not supported".to_owned()),
            _ => return Err("given type is not a function".to_owned()),
        }
        let text = reader.string();
        let text = text.map_err(|_| "Failed loading library code".to_owned())?;
        catalog = catalog.with(&text, false, loading())?.0;
    }
    Ok(catalog)
}

fn loading() -> Rc<dyn Host> {
    Rc::new(Loading { ends_at: Moment::now().after(LOAD_MAX) })
}

/// The host of a library that is being loaded: there is none for its commands, and it must be quick.
struct Loading {
    ends_at: Moment,
}

impl Host for Loading {
    fn call(&self, _: Argv<'_>, resp: Resp, reply: &mut Vec<u8>) -> Called {
        let text = b"ERR redis.call/pcall can only be called inside a script invocation";
        Writer::new(reply, resp).error(text);
        Called::Done
    }

    fn answer(&self, _: &mut Vec<u8>) {}

    fn may_run(&self, _: Argv<'_>) -> Option<bool> {
        None
    }

    fn log(&self, level: u8, text: &[u8]) {
        super::host::log(level, text);
    }

    fn set_propagation(&self, _: u8) {}

    fn clock(&self) -> f64 {
        0.0
    }

    fn look(&self) -> Look {
        match Moment::now() >= self.ends_at {
            true => Look::End("FUNCTION LOAD timeout"),
            false => Look::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn library(name: &str, function: &str) -> Vec<u8> {
        let code = format!("redis.register_function('{function}', function() return 1 end)");
        format!("#!lua name={name}\n{code}").into_bytes()
    }

    fn with(catalog: &Catalog, change: Change) -> Result<Catalog, String> {
        // What the journal says has the same effect.
        let argv: ArgvBuf = journaled(&change).iter().map(|arg| &**arg).collect();
        let replayed = replay(catalog, argv.as_argv());
        let applied = apply(catalog, &change).map(|(catalog, _)| catalog);
        let names = |result: &Result<Catalog, String>| {
            let catalog = result.as_ref().map_err(Clone::clone)?;
            Ok::<_, String>(catalog.libraries().map(|library| library.name.clone()).collect())
        };
        let (one, other): (Result<Vec<_>, _>, Result<Vec<_>, _>) =
            (names(&replayed), names(&applied));
        assert_eq!(one, other);
        applied
    }

    #[test]
    fn libraries_come_and_go() {
        let none = Catalog::default();
        let load = |text: Vec<u8>| Change::Load { text, may_replace: false };
        let one = with(&none, load(library("a", "f"))).unwrap();
        let two = with(&one, load(library("b", "g"))).unwrap();
        assert_eq!(two.libraries().len(), 2);
        let clash = with(&two, load(library("c", "g")));
        assert_eq!(clash.unwrap_err(), "Function g already exists");
        let rest = with(&two, Change::Delete(b"a".to_vec())).unwrap();
        assert!(rest.find(b"f").is_none() && rest.find(b"G").is_some());
        assert_eq!(with(&rest, Change::Delete(b"a".to_vec())).unwrap_err(), "Library not found");
        assert_eq!(with(&rest, Change::Flush).unwrap().libraries().len(), 0);
    }

    #[test]
    fn a_payload_restores_what_was_dumped() {
        let none = Catalog::default();
        let load = |text: Vec<u8>| Change::Load { text, may_replace: false };
        let both = with(&with(&none, load(library("a", "f"))).unwrap(), load(library("b", "g")));
        let payload = dump(&both.unwrap());
        let restore =
            |catalog, policy| with(catalog, Change::Restore { payload: payload.clone(), policy });
        let restored = restore(&none, Policy::Append).unwrap();
        assert_eq!(restored.function_count(), 2);
        assert_eq!(restore(&restored, Policy::Append).unwrap_err(), "Library a already exists");
        assert!(restore(&restored, Policy::Replace).is_ok());
        let other = with(&none, load(library("z", "h"))).unwrap();
        assert_eq!(restore(&other, Policy::Flush).unwrap().libraries().len(), 2);
        assert_eq!(restore(&other, Policy::Append).unwrap().libraries().len(), 3);
        for len in 0..payload.len() {
            let change =
                Change::Restore { payload: payload[..len].to_vec(), policy: Policy::Append };
            assert!(apply(&none, &change).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_library_that_does_not_end_is_stopped() {
        let text = b"#!lua name=l\nwhile true do pcall(function() while true do end end) end";
        let change = Change::Load { text: text.to_vec(), may_replace: false };
        let problem = apply(&Catalog::default(), &change).unwrap_err();
        assert_eq!(problem, "Error registering functions: FUNCTION LOAD timeout");
    }
}
