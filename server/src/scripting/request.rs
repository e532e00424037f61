//! A request to run a script: what it runs, with which keys, and whether it may.

use super::CoreScripts;
use crate::core::Core;
use protocol::number::parse_i64;
use protocol::request::Argv;
use script::What;
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
    /// The SHA-1 of the script, or the function.
    pub(super) name: String,
    pub(super) key_count: usize,
    /// It may not write.
    pub(super) is_read_only: bool,
    /// It may run, and write, when memory is full.
    pub(super) allows_oom: bool,
    /// It may touch keys anywhere, whatever it declares.
    pub(super) may_wander: bool,
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
        let (what, name, key_count, flags) = match kind {
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
                (What::Script(source.clone()), source.sha.clone(), key_count, source.flags)
            }
        };
        drop(scripts);
        let has_flags = !flags.has(ScriptFlags::NONE_DECLARED);
        if has_flags {
            check_flags(core, flags, is_read_only)?;
        }
        let may_wander = match &what {
            What::Script(source) => source.may_wander(),
            What::Function(..) => true,
        };
        Ok(Request {
            what,
            name,
            key_count,
            is_read_only: is_read_only || has_flags && flags.has(ScriptFlags::NO_WRITES),
            allows_oom: has_flags && flags.has(ScriptFlags::ALLOW_OOM),
            may_wander,
        })
    }

    fn function(
        core: &Core,
        scripts: &mut CoreScripts,
        argv: Argv<'_>,
        name: &[u8],
    ) -> Result<(What, String, usize, ScriptFlags), String> {
        let catalog = scripts.catalog(&core.shared.scripts);
        let function = catalog.find(name).ok_or("ERR Function not found")?;
        let number = argv.get(2).and_then(parse_i64).ok_or("ERR Bad number of keys provided")?;
        let key_count = check_key_count(number, argv.len())?;
        let (name, flags) = (function.name.clone(), function.flags);
        Ok((What::Function(catalog.clone(), name.clone()), name, key_count, flags))
    }

    pub(super) fn is_function(&self) -> bool {
        matches!(self.what, What::Function(..))
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
