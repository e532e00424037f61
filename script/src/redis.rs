//! The table `redis`: commands and what else a script may ask of the server.
//!
//! What a command answers becomes a Lua value; its error is raised (`redis.call`) or returned (`redis.pcall`).

use crate::host::{Called, Host};
use crate::library::{Arguments, Failure, Raised, function};
use crate::reply;
use crate::vm::{end_if_told, let_others_run};
use mlua::{Function, Lua, MultiValue, Result, Table, Thread, Value};
use protocol::number::format_f64;
use protocol::reply::{Reply, Resp};
use protocol::request::ArgvBuf;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What is there only while a script runs, and buffers that are used again.
pub(crate) struct Session {
    pub(crate) host: RefCell<Option<Rc<dyn Host>>>,
    /// What `redis.setresp` chose.
    pub(crate) resp: Cell<Resp>,
    /// Lets others run while the script waits; `None` if this interpreter cannot wait.
    pub(crate) suspend: RefCell<Option<Suspend>>,
    /// Why the script that runs must end.
    pub(crate) ended_by: Cell<Option<&'static str>>,
    /// State of `math.random`: a script sees the same numbers each time it runs.
    pub(crate) random: Cell<u64>,
    argv: RefCell<ArgvBuf>,
    reply: RefCell<Vec<u8>>,
}

/// How an interpreter lets others run.
#[derive(Clone)]
pub(crate) struct Suspend {
    /// Returns when the script is resumed.
    pub(crate) function: Function,
    /// The same on a stack of Lua's own: each time it is resumed it calls the function once.
    pub(crate) waiter: Thread,
    /// How often the function has returned.
    pub(crate) count: Rc<Cell<u64>>,
}

impl Default for Session {
    fn default() -> Self {
        Session {
            host: RefCell::default(),
            resp: Cell::new(Resp::V2),
            suspend: RefCell::default(),
            ended_by: Cell::default(),
            random: Cell::default(),
            argv: RefCell::new(ArgvBuf::new()),
            reply: RefCell::default(),
        }
    }
}

impl Session {
    /// Lets others run until the script is resumed; `false` if that is not possible here.
    pub(crate) fn suspend(&self) -> Result<bool> {
        let suspend = self.suspend.borrow().clone();
        let Some(suspend) = suspend else { return Ok(false) };
        let count = suspend.count.get();
        match suspend.function.call::<()>(()) {
            // So many arguments that there is no room for a call beside them: Lua allows 8000 values. The waiter has room of
            // its own; what fails afterwards, for the same reason, is to look for results, of which there are none.
            Err(mlua::Error::StackError) => {
                let resumed = suspend.waiter.resume::<()>(());
                if suspend.count.get() == count {
                    resumed?
                }
            }
            result => result?,
        }
        Ok(true)
    }

    fn host(&self) -> std::result::Result<Rc<dyn Host>, Failure> {
        self.host.borrow().clone().ok_or_else(|| "commands can be run only by a script".into())
    }
}

/// What Redis 7.2.6 this answers for.
const VERSION: &str = "7.2.6";
const VERSION_NUMBER: i64 = 0x0007_0206;
/// `redis.REPL_AOF`, `redis.REPL_REPLICA`.
const PROPAGATE_ALL: i64 = 3;

/// The table `redis`, without `call` and `pcall`: those are [`callers`].
pub(crate) fn library(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", 1),
        ("REPL_SLAVE", 2),
        ("REPL_REPLICA", 2),
        ("REPL_ALL", PROPAGATE_ALL),
        ("REDIS_VERSION_NUM", VERSION_NUMBER),
    ] {
        table.set(name, value)?;
    }
    table.set("REDIS_VERSION", VERSION)?;
    table.set(
        "sha1hex",
        function(lua, |lua, arguments| {
            if arguments.len() != 1 {
                return Err("wrong number of arguments".into());
            }
            let digest = crate::sha1_hex(&arguments.bytes("sha1hex", 0)?);
            Ok(Value::String(lua.create_string(digest)?))
        })?,
    )?;
    table.set(
        "error_reply",
        function(lua, |lua, arguments| {
            let [Value::String(text)] = arguments.values() else {
                return Ok(Value::Table(wrong_arguments(lua)?));
            };
            let text = text.as_bytes().to_vec();
            let text = text.strip_prefix(b"-").unwrap_or(&text);
            let message = match text.contains(&b' ') {
                true => text.to_vec(),
                false => [b"ERR ", text].concat(),
            };
            Ok(Value::Table(reply::error_table(lua, message.trim_ascii_end(), false)?))
        })?,
    )?;
    table.set(
        "status_reply",
        function(lua, |lua, arguments| {
            let [Value::String(text)] = arguments.values() else {
                return Ok(Value::Table(wrong_arguments(lua)?));
            };
            let table = lua.create_table()?;
            table.raw_set("ok", text.clone())?;
            Ok(Value::Table(table))
        })?,
    )?;
    table.set("replicate_commands", function(lua, |_, _| Ok(Value::Boolean(true)))?)?;
    // The debugger of redis-cli --ldb does not exist here: both do nothing, as in Redis outside of a debugging session.
    table.set("breakpoint", function(lua, |_, _| Ok(Value::Boolean(false)))?)?;
    table.set("debug", function(lua, |_, _| Ok(Value::Nil))?)?;
    add_questions(lua, &table, session)?;
    Ok(table)
}

/// Adds the functions that need the server.
fn add_questions(lua: &Lua, table: &Table, session: &Rc<Session>) -> Result<()> {
    let own = session.clone();
    table.set(
        "setresp",
        function(lua, move |_, arguments| {
            if arguments.len() != 1 {
                return Err(err("redis.setresp() requires one argument."));
            }
            match arguments.get(0) {
                Value::Integer(2) => own.resp.set(Resp::V2),
                Value::Integer(3) => own.resp.set(Resp::V3),
                _ => return Err(err("RESP version must be 2 or 3.")),
            }
            Ok(Value::Nil)
        })?,
    )?;
    let own = session.clone();
    table.set(
        "set_repl",
        function(lua, move |_, arguments| {
            if arguments.len() != 1 {
                return Err(err("redis.set_repl() requires one argument."));
            }
            let targets = arguments.integer_or("set_repl", 0, 0)?;
            if !(0..=PROPAGATE_ALL).contains(&targets) {
                return Err(err(
                    "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
                ));
            }
            own.host()?.set_propagation(targets as u8);
            Ok(Value::Nil)
        })?,
    )?;
    let own = session.clone();
    table.set(
        "acl_check_cmd",
        function(lua, move |_, arguments| {
            let argv = argv_of(arguments.values()).map_err(err)?;
            match own.host()?.may_run(argv.as_argv()) {
                Some(may) => Ok(Value::Boolean(may)),
                None => Err(err("Invalid command passed to redis.acl_check_cmd()")),
            }
        })?,
    )?;
    let own = session.clone();
    table.set(
        "log",
        function(lua, move |_, arguments| {
            if arguments.len() < 2 {
                return Err(err("redis.log() requires two arguments or more."));
            }
            let Ok(level) = arguments.number("log", 0) else {
                return Err(err("First argument must be a number (log level)."));
            };
            if !(0.0..4.0).contains(&level) {
                return Err(err("Invalid debug level."));
            }
            let words = (1..arguments.len()).filter_map(|index| arguments.bytes("log", index).ok());
            let text = words.collect::<Vec<_>>().join(&b' ');
            if let Some(host) = &*own.host.borrow() {
                host.log(level as u8, &text);
            }
            Ok(Value::Nil)
        })?,
    )
}

/// `redis.call`, which raises the error of a command, and `redis.pcall`, which returns it.
pub(crate) fn callers(lua: &Lua, session: &Rc<Session>) -> Result<(Function, Function)> {
    let own = session.clone();
    let call = lua.create_function(move |lua, arguments: MultiValue| {
        match invoke(lua, &own, &arguments)? {
            Ok(value) => Ok(value),
            Err(raised) => Err(mlua::Error::external(raised)),
        }
    })?;
    let own = session.clone();
    let pcall = lua.create_function(move |lua, arguments: MultiValue| {
        match invoke(lua, &own, &arguments)? {
            Ok(value) => Ok(value),
            Err(Raised::Reply { message, is_counted }) => {
                Ok(Value::Table(reply::error_table(lua, &message, is_counted)?))
            }
            Err(Raised::Text(text)) => Ok(Value::String(lua.create_string(text)?)),
        }
    })?;
    Ok((call, pcall))
}

/// Runs the command `arguments` and gives its reply, or its error.
fn invoke(
    lua: &Lua,
    session: &Session,
    arguments: &MultiValue,
) -> Result<std::result::Result<Value, Raised>> {
    let failed = |text: &str| {
        Ok(Err(Raised::Reply { message: format!("ERR {text}").into_bytes(), is_counted: false }))
    };
    let Ok(host) = session.host() else {
        return failed("redis.call/pcall can only be called inside a script invocation");
    };
    // A command of a script cannot run a script, so nobody else holds the buffers.
    let mut argv = session.argv.borrow_mut();
    argv.clear();
    if let Err(problem) = fill_argv(&mut argv, arguments.iter()) {
        return failed(problem);
    }
    let mut encoded = session.reply.borrow_mut();
    encoded.clear();
    match host.call(argv.as_argv(), session.resp.get(), &mut encoded) {
        Called::Done => {}
        Called::Pauses => let_others_run(lua, session, &*host)?,
        Called::Waits => {
            if !session.suspend()? {
                return failed("this command would have to wait");
            }
            end_if_told(lua, session, host.look())?;
            host.answer(&mut encoded);
        }
    }
    let parsed = Reply::parse(&encoded).map_err(mlua::Error::external)?;
    let (decoded, _) = parsed.ok_or_else(|| mlua::Error::runtime("a reply is cut off"))?;
    if let Reply::Error(message) = decoded {
        return Ok(Err(Raised::Reply { message: reply::with_code(message), is_counted: true }));
    }
    match session.resp.get() {
        Resp::V2 => reply::to_lua(lua, decoded),
        Resp::V3 => reply::to_lua_resp3(lua, decoded),
    }
    .map(Ok)
}

fn argv_of(values: &[Value]) -> std::result::Result<ArgvBuf, &'static str> {
    let mut argv = ArgvBuf::new();
    fill_argv(&mut argv, values.iter())?;
    Ok(argv)
}

fn fill_argv<'a>(
    argv: &mut ArgvBuf,
    values: impl ExactSizeIterator<Item = &'a Value>,
) -> std::result::Result<(), &'static str> {
    if values.len() == 0 {
        return Err("Please specify at least one argument for this redis lib call");
    }
    for value in values {
        match value {
            Value::String(text) => argv.push(&text.as_bytes()),
            Value::Integer(value) => argv.push(itoa::Buffer::new().format(*value).as_bytes()),
            Value::Number(value) => argv.push(format_f64(*value).as_bytes()),
            _ => return Err("Lua redis lib command arguments must be strings or integers"),
        }
    }
    Ok(())
}

fn wrong_arguments(lua: &Lua) -> Result<Table> {
    reply::error_table(lua, b"ERR wrong number or type of arguments", false)
}

/// The failure of a function of `redis`: an error like that of a command.
fn err(text: &str) -> Failure {
    Failure::Reply(text.to_owned())
}

/// `math.random` and `math.randomseed`: the same numbers on every machine, and in every run of a script.
///
/// Source: the generator of `lrand48`, POSIX: x' = 0x5deece66d x + 11 modulo 2^48, of which the upper 31 bits count.
pub(crate) fn math(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let table = lua.create_table()?;
    let own = session.clone();
    table.set(
        "random",
        function(lua, move |_, arguments: Arguments| {
            let state =
                own.random.get().wrapping_mul(0x5_deec_e66d).wrapping_add(11) & ((1 << 48) - 1);
            own.random.set(state);
            let max = f64::from(i32::MAX);
            let fraction = ((state >> 17) % (i32::MAX as u64)) as f64 / max;
            let (low, high) = match arguments.len() {
                0 => return Ok(Value::Number(fraction)),
                1 => (1.0, arguments.number("random", 0)?.trunc()),
                2 => {
                    (arguments.number("random", 0)?.trunc(), arguments.number("random", 1)?.trunc())
                }
                _ => return Err("wrong number of arguments".into()),
            };
            if low > high {
                let index = arguments.len() - 1;
                return Err(crate::library::bad_argument("random", index, "interval is empty"));
            }
            Ok(crate::library::number((fraction * (high - low + 1.0)).floor() + low))
        })?,
    )?;
    let own = session.clone();
    table.set(
        "randomseed",
        function(lua, move |_, arguments: Arguments| {
            let seed = arguments.number("randomseed", 0)? as i64 as u32;
            own.random.set(seed_state(seed));
            Ok(Value::Nil)
        })?,
    )?;
    Ok(table)
}

/// The state of the generator behind `randomseed(seed)`.
pub(crate) fn seed_state(seed: u32) -> u64 {
    u64::from(seed) << 16 | 0x330e
}
