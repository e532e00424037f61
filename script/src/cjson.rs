//! The library `cjson`: JSON to Lua values and back. Source: the documented behaviour of lua-cjson 2.1.
//!
//! `null` is a value of its own, `cjson.null`. A table whose keys are all positive integers is an array, any other
//! (and the empty one) an object. Settings belong to the library object: `cjson.new()` gives one with its own.

mod decode;
mod encode;

pub(crate) use encode::format_general;

use crate::library::{Arguments, Failure, Outcome, bad_argument, function};
use mlua::{LightUserData, Lua, Result, Table, Value};
use std::cell::RefCell;
use std::rc::Rc;

/// What `cjson.null` is.
const NULL: Value = Value::LightUserData(LightUserData(std::ptr::null_mut()));

/// What a script can set.
#[derive(Clone, Debug)]
struct Settings {
    /// Whether too sparse an array becomes an object instead of an error.
    is_sparse_converted: bool,
    /// An array with more than this many places per element is too sparse; 0 for any.
    sparse_ratio: i64,
    /// Arrays up to this many places are never too sparse.
    sparse_safe: i64,
    encode_depth_max: usize,
    decode_depth_max: usize,
    /// Significant digits of numbers, 1 to 14.
    precision: usize,
    encode_invalid: InvalidNumbers,
    is_decoding_invalid: bool,
    is_buffer_kept: bool,
}

/// What becomes of infinities and NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InvalidNumbers {
    Refused,
    Written,
    AsNull,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            is_sparse_converted: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            precision: 14,
            encode_invalid: InvalidNumbers::Refused,
            is_decoding_invalid: true,
            is_buffer_kept: true,
        }
    }
}

/// The table `cjson`.
pub(crate) fn library(lua: &Lua) -> Result<Table> {
    let settings = Rc::new(RefCell::new(Settings::default()));
    let table = lua.create_table()?;
    table.set("null", NULL)?;
    table.set("_NAME", "cjson")?;
    table.set("_VERSION", "2.1.0")?;
    table.set("new", function(lua, |lua, _| Ok(Value::Table(library(lua)?)))?)?;

    let own = settings.clone();
    table.set(
        "encode",
        function(lua, move |lua, arguments: Arguments| {
            if arguments.len() != 1 {
                return Err(bad_argument("encode", 0, "expected 1 argument"));
            }
            let mut text = Vec::new();
            encode::append(&own.borrow(), arguments.get(0), 0, &mut text)?;
            Ok(Value::String(lua.create_string(&text)?))
        })?,
    )?;
    let own = settings.clone();
    table.set(
        "decode",
        function(lua, move |lua, arguments: Arguments| {
            if arguments.len() != 1 {
                return Err(bad_argument("decode", 0, "expected 1 argument"));
            }
            decode::parse(lua, &own.borrow(), &arguments.bytes("decode", 0)?)
        })?,
    )?;
    add_settings(lua, &table, &settings)?;
    Ok(table)
}

/// Adds the functions that change settings and answer with what is set.
fn add_settings(lua: &Lua, table: &Table, settings: &Rc<RefCell<Settings>>) -> Result<()> {
    let add = |name: &'static str, set: fn(&mut Settings, &str, &Arguments) -> Outcome| {
        let own = settings.clone();
        let run = move |_: &Lua, arguments: Arguments| set(&mut own.borrow_mut(), name, &arguments);
        table.set(name, function(lua, run)?)
    };
    add("encode_max_depth", |settings, name, arguments| {
        let depth =
            bounded(arguments, name, 0, settings.encode_depth_max as i64, 1, i64::from(i32::MAX))?;
        settings.encode_depth_max = depth as usize;
        Ok(Value::Integer(depth))
    })?;
    add("decode_max_depth", |settings, name, arguments| {
        let depth =
            bounded(arguments, name, 0, settings.decode_depth_max as i64, 1, i64::from(i32::MAX))?;
        // Deeper texts would not fit the stack of a core.
        settings.decode_depth_max = (depth as usize).min(DEPTH_MAX);
        Ok(Value::Integer(depth))
    })?;
    add("encode_number_precision", |settings, name, arguments| {
        let digits = bounded(arguments, name, 0, settings.precision as i64, 1, 14)?;
        settings.precision = digits as usize;
        Ok(Value::Integer(digits))
    })?;
    add("encode_keep_buffer", |settings, name, arguments| {
        settings.is_buffer_kept = switch(arguments, name, settings.is_buffer_kept)?;
        Ok(Value::Boolean(settings.is_buffer_kept))
    })?;
    add("decode_invalid_numbers", |settings, name, arguments| {
        settings.is_decoding_invalid = switch(arguments, name, settings.is_decoding_invalid)?;
        Ok(Value::Boolean(settings.is_decoding_invalid))
    })?;
    add("encode_invalid_numbers", |settings, name, arguments| {
        settings.encode_invalid = match arguments.get(0) {
            Value::Nil => settings.encode_invalid,
            Value::Boolean(true) => InvalidNumbers::Written,
            Value::Boolean(false) => InvalidNumbers::Refused,
            Value::String(text) if *text.as_bytes() == *b"on" => InvalidNumbers::Written,
            Value::String(text) if *text.as_bytes() == *b"off" => InvalidNumbers::Refused,
            Value::String(text) if *text.as_bytes() == *b"null" => InvalidNumbers::AsNull,
            _ => return Err(bad_argument(name, 0, "invalid option")),
        };
        Ok(Value::Boolean(settings.encode_invalid != InvalidNumbers::Refused))
    })?;
    add("encode_sparse_array", |settings, name, arguments| {
        settings.is_sparse_converted = switch(arguments, name, settings.is_sparse_converted)?;
        let max = i64::from(i32::MAX);
        settings.sparse_ratio = bounded(arguments, name, 1, settings.sparse_ratio, 0, max)?;
        settings.sparse_safe = bounded(arguments, name, 2, settings.sparse_safe, 0, max)?;
        Ok(Value::Boolean(settings.is_sparse_converted))
    })
}

/// Deepest nesting that is ever read or written: both recurse.
const DEPTH_MAX: usize = 1000;

fn bounded(
    arguments: &Arguments,
    name: &str,
    index: usize,
    default: i64,
    min: i64,
    max: i64,
) -> std::result::Result<i64, Failure> {
    let value = arguments.integer_or(name, index, default)?;
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(bad_argument(name, index, &format!("expected integer between {min} and {max}")))
}

fn switch(arguments: &Arguments, name: &str, default: bool) -> std::result::Result<bool, Failure> {
    match arguments.get(0) {
        Value::Nil => Ok(default),
        Value::Boolean(value) => Ok(*value),
        Value::String(text) if *text.as_bytes() == *b"on" => Ok(true),
        Value::String(text) if *text.as_bytes() == *b"off" => Ok(false),
        _ => Err(bad_argument(name, 0, "invalid option")),
    }
}
