//! A request to run a script: what it runs, with which keys, and whether it may.

use super::CoreScripts;
use crate::core::Core;
use crate::registry::Registered;
use crate::router;
use protocol::command::Flags;
use protocol::number::parse_i64;
use protocol::request::Argv;
use script::What;
use script::habits::Habits;
use script::header::ScriptFlags;

/// Which command runs a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVAL, with the text.
    Text,
    /// EVALSHA, with the SHA-1 of the text.
    Sha,
    /// FCALL, with the name of a function.
    Function,
}

/// A script that is to run.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) what: What,
    pub(super) key_count: usize,
    /// It may not write.
    pub(super) is_read_only: bool,
    /// It may run, and write, when memory is full.
    pub(super) allows_oom: bool,
    /// Its text shows that it touches only the keys it is given.
    pub(super) is_plain: bool,
    /// It has kept to the shard of its keys so often that it is expected to, if they carry one hash tag.
    keeps_home: bool,
}

impl Request {
    /// Reads a request and asks the gates that scripts have of their own, in Redis's order.
    ///
    /// # Errors
    /// The error reply.
    pub(super) fn read(
        core: &Core,
        kind: Kind,
        is_read_only: bool,
        argv: Argv<'_>,
    ) -> Result<Request, String> {
        let all = &core.shared.scripts;
        let mut scripts = core.scripts.borrow_mut();
        let body = argv.get(1).unwrap_or_default();
        let (what, key_count, flags) = match kind {
            Kind::Function => Self::function(core, &mut scripts, argv, body)?,
            Kind::Text | Kind::Sha => {
                let number = argv.get(2).and_then(parse_i64);
                let number = number.ok_or("ERR value is not an integer or out of range")?;
                let key_count = check_key_count(number, argv.len())?;
                let source = match kind {
                    Kind::Sha => scripts
                        .by_sha(all, body)
                        .ok_or("NOSCRIPT No matching script. Please use EVAL.")?,
                    _ => scripts
                        .by_text(all, &core.shared.registry, body)
                        .map_err(|problem| format!("ERR {problem}"))?,
                };
                let flags = source.flags;
                (What::Script(source), key_count, flags)
            }
        };
        drop(scripts);
        let has_flags = !flags.has(ScriptFlags::NONE_DECLARED);
        if has_flags {
            check_flags(core, flags, is_read_only)?;
        }
        let is_plain = matches!(&what, What::Script(source) if source.is_plain);
        let keeps_home = !is_plain && habits_of(&what).is_some_and(Habits::keeps_home);
        Ok(Request {
            what,
            key_count,
            is_read_only: is_read_only || has_flags && flags.has(ScriptFlags::NO_WRITES),
            allows_oom: has_flags && flags.has(ScriptFlags::ALLOW_OOM),
            is_plain,
            keeps_home,
        })
    }

    fn function(
        core: &Core,
        scripts: &mut CoreScripts,
        argv: Argv<'_>,
        name: &[u8],
    ) -> Result<(What, usize, ScriptFlags), String> {
        let catalog = scripts.catalog(&core.shared.scripts);
        let function = catalog.find(name).ok_or("ERR Function not found")?;
        let number = argv.get(2).and_then(parse_i64).ok_or("ERR Bad number of keys provided")?;
        let key_count = check_key_count(number, argv.len())?;
        let (name, flags) = (function.name.clone(), function.flags);
        Ok((What::Function(catalog, name), key_count, flags))
    }

    /// The SHA-1 of the script, or the function.
    pub(super) fn name(&self) -> &str {
        match &self.what {
            What::Script(source) => &source.sha,
            What::Function(_, name) => name,
        }
    }

    pub(super) fn is_function(&self) -> bool {
        matches!(self.what, What::Function(..))
    }

    /// Whether it may touch keys beyond those it is given, as far as one can know; `argv` is the request.
    pub(super) fn may_wander(&self, argv: Argv<'_>) -> bool {
        let stays = self.is_plain || self.keeps_home && self.tagged_key(argv).is_some();
        !stays
    }

    /// A key, if all carry the same hash tag: then whatever a script makes of them lies on their shard too, as in a
    /// cluster.
    fn tagged_key<'a>(&self, argv: Argv<'a>) -> Option<&'a [u8]> {
        let mut keys = argv.iter().skip(3).take(self.key_count);
        let first = keys.next()?;
        let first_tag = tag(first)?;
        keys.all(|key| tag(key) == Some(first_tag)).then_some(first)
    }

    /// The shard that it would run on if it were known to keep to the shard of its keys; `None` if it has none.
    pub(super) fn home(&self, core: &Core, argv: Argv<'_>) -> Option<usize> {
        self.tagged_key(argv).map(|key| router::shard_of(core, Some(key)))
    }

    /// Notes that it has touched a key of another shard, or that it has not.
    pub(super) fn note_way(&self, has_wandered: bool) {
        match habits_of(&self.what) {
            Some(habits) if has_wandered => habits.note_wandering(),
            Some(habits) => habits.note_home_run(),
            None => {}
        }
    }
}

/// Where a script or function has been seen to go.
fn habits_of(what: &What) -> Option<&Habits> {
    match what {
        What::Script(source) => Some(&source.habits),
        What::Function(catalog, name) => catalog.find(name.as_bytes()).map(|f| &f.habits),
    }
}

/// The hash tag of a key.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let len = key[open + 1..].iter().position(|&byte| byte == b'}')?;
    (len > 0).then(|| &key[open + 1..open + 1 + len])
}

impl Core {
    /// `flags` of a request; those of a script follow from what its first line promises, if it has one.
    pub(crate) fn promised_flags(
        &self,
        command: &Registered,
        flags: Flags,
        argv: Argv<'_>,
    ) -> Flags {
        let promised = command.script().and_then(|kind| self.promise_of(kind, argv));
        let promised = promised.filter(|promised| !promised.has(ScriptFlags::NONE_DECLARED));
        let Some(promised) = promised else { return flags };
        let only_reads = promised.has(ScriptFlags::NO_WRITES);
        let flags = flags.without(Flags::of(&[Flags::DENYOOM, Flags::MAY_REPLICATE, Flags::WRITE]));
        let write = if only_reads { Flags::NONE } else { Flags::WRITE };
        let is_spare = only_reads || promised.has(ScriptFlags::ALLOW_OOM);
        let denyoom = if is_spare { Flags::NONE } else { Flags::DENYOOM };
        Flags::of(&[flags, write, denyoom])
    }

    /// What a script promises; `None` if nobody knows it.
    fn promise_of(&self, kind: Kind, argv: Argv<'_>) -> Option<ScriptFlags> {
        let body = argv.get(1)?;
        let mut scripts = self.scripts.borrow_mut();
        match kind {
            Kind::Text => script::header::script(body).ok().map(|(flags, _)| flags),
            Kind::Sha => scripts.by_sha(&self.shared.scripts, body).map(|source| source.flags),
            Kind::Function => {
                scripts.catalog(&self.shared.scripts).find(body).map(|function| function.flags)
            }
        }
    }
}

fn check_key_count(number: i64, argc: usize) -> Result<usize, String> {
    if number > (argc - 3) as i64 {
        return Err("ERR Number of keys can't be greater than number of args".to_owned());
    }
    usize::try_from(number).map_err(|_| "ERR Number of keys can't be negative".to_owned())
}

/// What a script with a `#!` line, or a function, must not do as things are.
fn check_flags(core: &Core, flags: ScriptFlags, is_read_only: bool) -> Result<(), String> {
    if !flags.has(ScriptFlags::NO_WRITES) {
        if let Some(log) = core.shared.log.as_ref().filter(|log| log.is_failed()) {
            return Err(format!(
                "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. \
                 Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {}",
                log.cause()
            ));
        }
        if is_read_only {
            return Err("ERR Can not execute a script with write flag using *_ro command.".into());
        }
        if core.lacks_replicas() {
            return Err("NOREPLICAS Not enough good replicas to write.".into());
        }
    }
    let may_run_full = flags.has(ScriptFlags::ALLOW_OOM) || flags.has(ScriptFlags::NO_WRITES);
    if !may_run_full && !core.make_room() {
        return Err(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > \
                    'maxmemory'"
                .into(),
        );
    }
    Ok(())
}
