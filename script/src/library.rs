//! What the libraries of scripts share: how their functions take arguments and fail.
//!
//! Functions are called by scripts directly, so that the line which called is still there when they fail. What they raise
//! is an object; whatever catches errors (`pcall` and the like in `prelude.lua`) turns it into what scripts expect.

use mlua::{Function, Lua, MultiValue, Result, Value};

/// What a function of a library returns.
pub(crate) type Outcome = std::result::Result<Value, Failure>;

/// Why a function failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the script gets to read, behind the line that called.
    Text(String),
    /// An error like that of a failed command: the text behind its code, without a line.
    Reply(String),
    /// The interpreter itself failed, for want of memory.
    Lua(mlua::Error),
}

impl Failure {
    /// The error that ends the call. To be made where it is raised: it names the line of the script.
    fn into_error(self, lua: &Lua) -> mlua::Error {
        match self {
            Failure::Text(text) => {
                let place = lua.inspect_stack(1, |debug| {
                    let source = debug.source().short_src.map(|name| name.into_owned());
                    Some(format!("{}:{}: ", source?, debug.current_line()?))
                });
                let place = place.flatten().unwrap_or_default();
                mlua::Error::external(Raised::Text(format!("{place}{text}")))
            }
            Failure::Reply(text) => mlua::Error::external(Raised::Reply {
                message: format!("ERR {text}").into_bytes(),
                is_counted: false,
            }),
            Failure::Lua(error) => error,
        }
    }
}

/// An error on its way to the script. Rust can only raise objects: [`plain_error`] gives what a script expects to see.
#[derive(Debug)]
pub(crate) enum Raised {
    /// A text with its line.
    Text(String),
    /// The error of a command.
    Reply {
        /// Code and text.
        message: Vec<u8>,
        /// Whether the command has counted the error.
        is_counted: bool,
    },
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Raised::Text(text) => f.write_str(text),
            Raised::Reply { message, .. } => f.write_str(&String::from_utf8_lossy(message)),
        }
    }
}

impl std::error::Error for Raised {}

impl From<mlua::Error> for Failure {
    fn from(error: mlua::Error) -> Self {
        Failure::Lua(error)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure::Text(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Failure::Text(text.to_owned())
    }
}

/// The failure of argument `index`, counted from 0, of the function `name`.
pub(crate) fn bad_argument(name: &str, index: usize, problem: &str) -> Failure {
    Failure::Text(format!("bad argument #{} to '{name}' ({problem})", index + 1))
}

/// Arguments of a call.
pub(crate) struct Arguments(Vec<Value>);

impl Arguments {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(crate) fn values(&self) -> &[Value] {
        &self.0
    }

    /// Argument `index`; nil if it is missing.
    pub(crate) fn get(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Nil)
    }

    /// Argument `index` as a number; a text that is one counts, as everywhere in Lua.
    pub(crate) fn number(&self, name: &str, index: usize) -> std::result::Result<f64, Failure> {
        match self.get(index) {
            Value::Integer(value) => Ok(*value as f64),
            Value::Number(value) => Ok(*value),
            Value::String(text) => std::str::from_utf8(&text.as_bytes())
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| bad_argument(name, index, "number expected, got string")),
            other => Err(self.unexpected(name, index, "number", other)),
        }
    }

    /// Argument `index` as an integer, `default` if it is missing.
    pub(crate) fn integer_or(
        &self,
        name: &str,
        index: usize,
        default: i64,
    ) -> std::result::Result<i64, Failure> {
        if matches!(self.get(index), Value::Nil) {
            return Ok(default);
        }
        Ok(self.number(name, index)? as i64)
    }

    /// The bytes of argument `index`; a number counts as its text.
    pub(crate) fn bytes(&self, name: &str, index: usize) -> std::result::Result<Vec<u8>, Failure> {
        match self.get(index) {
            Value::String(text) => Ok(text.as_bytes().to_vec()),
            Value::Integer(value) => Ok(value.to_string().into_bytes()),
            Value::Number(value) => Ok(crate::cjson::format_general(*value, 14).into_bytes()),
            other => Err(self.unexpected(name, index, "string", other)),
        }
    }

    fn unexpected(&self, name: &str, index: usize, wanted: &str, found: &Value) -> Failure {
        let found = if index < self.0.len() { type_name(found) } else { "no value" };
        bad_argument(name, index, &format!("{wanted} expected, got {found}"))
    }
}

/// The name `type()` gives in Lua 5.1.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}

/// A number as Lua has it: an integer where it is one.
pub(crate) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9.0e15 && !(value == 0.0 && value.is_sign_negative()) {
        Value::Integer(value as i64)
    } else {
        Value::Number(value)
    }
}

/// Makes a function of a library of `run`.
pub(crate) fn function(
    lua: &Lua,
    run: impl Fn(&Lua, Arguments) -> Outcome + 'static,
) -> Result<Function> {
    lua.create_function(move |lua, arguments: MultiValue| {
        let result = run(lua, Arguments(arguments.into_iter().collect()));
        result.map_err(|failure| failure.into_error(lua))
    })
}

/// Makes a function with any number of results of `run`.
pub(crate) fn function_many(
    lua: &Lua,
    run: impl Fn(&Lua, Arguments) -> std::result::Result<Vec<Value>, Failure> + 'static,
) -> Result<Function> {
    lua.create_function(move |lua, arguments: MultiValue| {
        let result = run(lua, Arguments(arguments.into_iter().collect()));
        result.map(MultiValue::from_vec).map_err(|failure| failure.into_error(lua))
    })
}

/// What a script gets to see of an error that Rust raised: a text, or a table like that of a failed command.
pub(crate) fn plain_error(lua: &Lua, problem: Value) -> Result<Value> {
    let Value::Error(error) = &problem else { return Ok(problem) };
    let mut error = &**error;
    while let mlua::Error::CallbackError { cause, .. } = error {
        error = cause;
    }
    match error.downcast_ref::<Raised>() {
        Some(Raised::Text(text)) => Ok(Value::String(lua.create_string(text)?)),
        Some(Raised::Reply { message, is_counted }) => {
            let table = crate::reply::error_table(lua, message, *is_counted)?;
            Ok(Value::Table(table))
        }
        None => Ok(Value::String(lua.create_string(error.to_string())?)),
    }
}
