//! One interpreter: compiles scripts and runs them, one at a time, in the same unchangeable world.

use crate::host::{Host, Look};
use crate::redis::{self, Session, Suspend};
use crate::{bit, cjson, cmsgpack, reply, structs};
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, IntoLua, Lua, LuaOptions, StdLib, Table, Value, VmState};
use protocol::reply::{Resp, Writer};
use smallvec::SmallVec;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

/// Instructions between two looks at whether the script must end.
pub const INSTRUCTIONS_PER_LOOK: u32 = 100_000;
/// Where the functions of the prelude come from, as they name themselves.
const PRELUDE: &str = "=prelude";

/// Functions of ours that may run within each other: a command of a script, and what lets others run in its middle.
const NESTED_CALLS: usize = 4;

/// An interpreter. Scripts that are compiled by one cannot run in another.
pub struct Vm {
    pub(crate) lua: Lua,
    /// Runs a script, whose keys and arguments become globals, and describes its error.
    run: Function,
    /// The same for a function, which gets them as parameters.
    run_function: Function,
    /// Shows a library that is being loaded nothing but a `redis` of its own.
    loading: Function,
    /// Shows the usual globals again.
    loaded: Function,
    session: Rc<Session>,
}

/// What `prelude.lua` returns: the functions `run`, `run_function`, `loading` and `loaded`, and the globals.
type Prepared = (Function, Function, Function, Function, Table);

/// A compiled script.
#[derive(Clone, Debug)]
pub struct Script(pub(crate) Function);

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned something.
    Returned,
    /// It was stopped by an error, or returned one.
    Failed {
        /// Whether a command that failed has counted the error already.
        is_counted: bool,
    },
}

/// What a script is called with.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// How errors name the script: its SHA-1, or the function.
    pub name: &'a str,
    /// Its keys.
    pub keys: &'a [&'a [u8]],
    /// Its other arguments.
    pub args: &'a [&'a [u8]],
    /// Whether both are parameters of the function; otherwise they are the globals `KEYS` and `ARGV`.
    pub has_parameters: bool,
    /// The protocol of the client.
    pub resp: Resp,
}

impl Vm {
    /// A new interpreter. Cost: some hundred microseconds.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new() -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let session = Rc::new(Session::default());
        // Numbers nobody can guess, until a script chooses its own seed.
        session.random.set(redis::seed_state(RandomState::new().build_hasher().finish() as u32));
        let (run, run_function, loading, loaded, globals) = Self::prepare(&lua, &session)?;
        lua.set_globals(globals)?;
        Self::make_room(&lua)?;
        Self::watch(&lua, &session)?;
        Ok(Vm { lua, run, run_function, loading, loaded, session })
    }

    /// Builds what `prelude.lua` needs and runs it.
    fn prepare(lua: &Lua, session: &Rc<Session>) -> mlua::Result<Prepared> {
        let os = lua.create_table()?;
        let own = session.clone();
        let clock = move |_: &Lua, _| {
            let seconds = own.host.borrow().as_ref().map_or(0.0, |host| host.clock());
            Ok(Value::Number(seconds))
        };
        os.set("clock", crate::library::function(lua, clock)?)?;
        let libraries = lua.create_table()?;
        libraries.set("bit", bit::library(lua)?)?;
        libraries.set("cjson", cjson::library(lua)?)?;
        libraries.set("cmsgpack", cmsgpack::library(lua)?)?;
        libraries.set("struct", structs::library(lua)?)?;
        libraries.set("redis", redis::library(lua, session)?)?;
        libraries.set("os", os)?;
        let host = lua.create_table()?;
        host.set("libraries", libraries)?;
        host.set("math", redis::math(lua, session)?)?;
        let (call, pcall) = redis::callers(lua, session)?;
        host.set("call", call)?;
        host.set("pcall", pcall)?;
        host.set("plain", lua.create_function(crate::library::plain_error)?)?;
        host.set("where", lua.create_function(|lua, ()| Ok(line_of_script(lua)))?)?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name(PRELUDE);
        prelude.call(host)
    }

    /// Of each function of ours that runs, `mlua` keeps a value for its failure, which it makes on the stack of that
    /// function and uses again. Made now, it needs no room beside as many arguments as Lua allows.
    fn make_room(lua: &Lua) -> mlua::Result<()> {
        let nested = lua.create_function(|_, (own, depth): (Function, usize)| match depth {
            0 => Ok(()),
            _ => own.call::<()>((own.clone(), depth - 1)),
        })?;
        nested.call((nested.clone(), NESTED_CALLS))
    }

    /// Looks now and then whether the script must end.
    fn watch(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
        let session = session.clone();
        let every_so_often = HookTriggers::new().every_nth_instruction(INSTRUCTIONS_PER_LOOK);
        lua.set_global_hook(every_so_often, move |lua, _| {
            let Some(host) = session.host.borrow().clone() else { return Ok(VmState::Continue) };
            let_others_run(lua, &session, &*host)?;
            Ok(VmState::Continue)
        })
    }

    /// Makes `suspend` what a script calls to let others run.
    pub(crate) fn set_suspend(&self, suspend: Option<Suspend>) {
        *self.session.suspend.borrow_mut() = suspend;
    }

    /// Compiles the text of a script, without its `#!` line.
    ///
    /// # Errors
    /// What the compiler says, with the line.
    pub fn compile(&self, text: &[u8]) -> Result<Script, String> {
        self.compile_as(text, "@user_script").map(Script)
    }

    pub(crate) fn compile_as(&self, text: &[u8], name: &str) -> Result<Function, String> {
        let chunk = self.lua.load(text).set_name(name).set_mode(ChunkMode::Text);
        chunk.into_function().map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => message,
            other => other.to_string(),
        })
    }

    /// Runs `script` and appends its reply.
    pub fn run(
        &self,
        script: &Script,
        invocation: Invocation<'_>,
        host: Rc<dyn Host>,
        reply: &mut Vec<u8>,
    ) -> Ended {
        let start = reply.len();
        self.session.host.replace(Some(host));
        self.session.resp.set(Resp::V2);
        let ended = self.try_run(script, invocation, reply);
        self.session.host.replace(None);
        if self.session.ended_by.take().is_some() {
            // The hook of every line goes; a new look every so often comes.
            if let Err(error) = Self::watch(&self.lua, &self.session) {
                return Self::refuse(&error, invocation, start, reply);
            }
        }
        match ended {
            Ok(ended) => ended,
            Err(error) => Self::refuse(&error, invocation, start, reply),
        }
    }

    fn try_run(
        &self,
        script: &Script,
        invocation: Invocation<'_>,
        reply: &mut Vec<u8>,
    ) -> mlua::Result<Ended> {
        let keys = self.sequence(invocation.keys)?;
        let args = self.sequence(invocation.args)?;
        let run = if invocation.has_parameters { &self.run_function } else { &self.run };
        let (is_done, value): (bool, Value) = run.call((&script.0, keys, args))?;
        let mut writer = Writer::new(reply, invocation.resp);
        if is_done {
            reply::append(&mut writer, &value, self.session.resp.get())?;
            return match &value {
                Value::Table(table) if is_error(table)? => {
                    Ok(Ended::Failed { is_counted: is_counted(table)? })
                }
                _ => Ok(Ended::Returned),
            };
        }
        let Value::Table(problem) = value else {
            let name = invocation.name;
            writer.error(format!("ERR Error running script {name}, execution failure").as_bytes());
            return Ok(Ended::Failed { is_counted: false });
        };
        let mut text = match reply::text_field(&problem, "err")? {
            _ if self.session.ended_by.get().is_some() => {
                self.session.ended_by.get().unwrap_or_default().as_bytes().to_vec()
            }
            Some(text) => text,
            None => b"ERR unknown error".to_vec(),
        };
        if let Some(source) = reply::text_field(&problem, "source")?
            && let Value::Integer(line) = problem.raw_get("line")?
        {
            let place = format!(" script: {}, on ", invocation.name);
            text.extend_from_slice(place.as_bytes());
            text.extend_from_slice(&source);
            text.extend_from_slice(format!(":{line}.").as_bytes());
        }
        writer.error(&text);
        Ok(Ended::Failed { is_counted: is_counted(&problem)? })
    }

    /// The interpreter itself has failed: out of memory.
    fn refuse(
        error: &mlua::Error,
        invocation: Invocation<'_>,
        start: usize,
        reply: &mut Vec<u8>,
    ) -> Ended {
        reply.truncate(start);
        let name = invocation.name;
        let text = format!("ERR Error running script {name}, {error}").replace(['\r', '\n'], " ");
        Writer::new(reply, invocation.resp).error(text.as_bytes());
        Ended::Failed { is_counted: false }
    }

    /// A table of `texts`.
    fn sequence(&self, texts: &[&[u8]]) -> mlua::Result<Table> {
        // What `mlua` takes for text goes onto Lua's stack as it is; other bytes need a handle each.
        let plain = texts.iter().map(|text| std::str::from_utf8(text).ok());
        match plain.collect::<Option<SmallVec<[&str; 16]>>>() {
            Some(texts) => self.lua.create_sequence_from(texts),
            None => self.lua.create_sequence_from(texts.iter().copied().map(Text)),
        }
    }

    /// From now on a library is loaded, which calls `register` and sees no commands.
    pub(crate) fn begin_loading(&self, register: Function) -> mlua::Result<()> {
        self.loading.call((register, redis::library(&self.lua, &self.session)?))
    }

    /// The library has been loaded.
    pub(crate) fn end_loading(&self) -> mlua::Result<()> {
        self.loaded.call(())
    }

    /// Runs `body` under the error handler: its result, or the text of its error. `host` says when it must end.
    pub(crate) fn call_described(
        &self,
        body: &Function,
        host: Rc<dyn Host>,
    ) -> Result<Value, Vec<u8>> {
        self.session.host.replace(Some(host));
        let result: mlua::Result<(bool, Value)> = self.run_function.call(body);
        self.session.host.replace(None);
        if let Some(reason) = self.session.ended_by.take() {
            Self::watch(&self.lua, &self.session).map_err(|e| format!("ERR {e}").into_bytes())?;
            return Err(reason.as_bytes().to_vec());
        }
        match result {
            Ok((true, value)) => Ok(value),
            Ok((false, Value::Table(problem))) => {
                let text = reply::text_field(&problem, "err").ok().flatten();
                Err(text.unwrap_or_else(|| b"ERR unknown error".to_vec()))
            }
            Ok((false, _)) => Err(b"ERR execution failure".to_vec()),
            Err(error) => Err(format!("ERR {error}").into_bytes()),
        }
    }

    /// Bytes the interpreter holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.lua.used_memory()
    }
}

/// Bytes that become a Lua string.
struct Text<'a>(&'a [u8]);

impl IntoLua for Text<'_> {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        lua.create_string(self.0).map(Value::String)
    }
}

/// Whether a table that a script returns is an error.
fn is_error(table: &Table) -> mlua::Result<bool> {
    Ok(reply::text_field(table, "err")?.is_some())
}

/// Whether a command has counted an error.
fn is_counted(error: &Table) -> mlua::Result<bool> {
    Ok(error.raw_get::<Value>("ignore_error_stats_update")? == Value::Boolean(true))
}

/// Lets others run, if it is time for that, and ends the script if it is told to.
pub(crate) fn let_others_run(lua: &Lua, session: &Session, host: &dyn Host) -> mlua::Result<()> {
    let mut look = host.look();
    while look == Look::Pause && session.suspend()? {
        look = host.look();
    }
    end_if_told(lua, session, look)
}

/// Ends the script if it is told to: from here on every line fails, so that one that catches errors ends too.
pub(crate) fn end_if_told(lua: &Lua, session: &Session, look: Look) -> mlua::Result<()> {
    let Look::End(reason) = look else { return Ok(()) };
    session.ended_by.set(Some(reason));
    let fail = move || mlua::Error::runtime(reason);
    lua.set_global_hook(HookTriggers::EVERY_LINE, move |_, _| Err(fail()))?;
    Err(mlua::Error::runtime(reason))
}

/// Source and line of the innermost function that belongs to the script.
fn line_of_script(lua: &Lua) -> (Option<String>, Option<usize>) {
    let mut level = 1;
    loop {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.map(|name| name.into_owned()).unwrap_or_default();
            (source.what != "C" && name != PRELUDE && !name.is_empty())
                .then(|| (name, debug.current_line()))
        });
        match found {
            None => return (None, None),
            Some(Some((name, Some(line)))) => return (Some(name), Some(line)),
            Some(_) => level += 1,
        }
    }
}
