//! Values between Lua and RESP, both ways. Source: "Lua API reference" of Redis 7, "Data type conversion".

use mlua::{Lua, Result, Table, Value};
use protocol::reply::{Reply, Resp, Writer};

/// The table that stands for an error: `message` is code and text, without `-`.
///
/// `is_counted` says that the command that failed has counted it already.
pub(crate) fn error_table(lua: &Lua, message: &[u8], is_counted: bool) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(message)?)?;
    if is_counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}

/// The text of an error with a code in front: one that has none, since it is a single word, gets `ERR`.
pub(crate) fn with_code(message: Vec<u8>) -> Vec<u8> {
    if message.contains(&b' ') { message } else { [b"ERR ", &message[..]].concat() }
}

/// The Lua value of a reply.
pub(crate) fn to_lua(lua: &Lua, reply: Reply) -> Result<Value> {
    let single = |field: &str, value: Value| {
        let table = lua.create_table()?;
        table.raw_set(field, value)?;
        Ok(Value::Table(table))
    };
    let text = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    match reply {
        Reply::Status(bytes) => single("ok", text(&bytes)?),
        Reply::Error(bytes) => {
            // A text of one word has no code of its own.
            let message =
                if bytes.contains(&b' ') { bytes } else { [b"ERR ", &bytes[..]].concat() };
            Ok(Value::Table(error_table(lua, &message, true)?))
        }
        // Lua has no other numbers than doubles: beyond 2^53 digits are lost, as in Redis.
        Reply::Integer(value) => Ok(Value::Number(value as f64)),
        Reply::Bulk(bytes) => text(&bytes),
        Reply::Null | Reply::NullArray => Ok(Value::Boolean(false)),
        Reply::Array(elements) | Reply::Push(elements) => {
            let table = lua.create_table_with_capacity(elements.len(), 0)?;
            for (index, element) in elements.into_iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, element)?)?;
            }
            Ok(Value::Table(table))
        }
        Reply::Double(value) => single("double", Value::Number(value)),
        Reply::Boolean(value) => Ok(Value::Boolean(value)),
        Reply::BigNumber(digits) => single("big_number", text(&digits)?),
        Reply::Verbatim { format, text: bytes } => {
            let inner = lua.create_table()?;
            inner.raw_set("string", text(&bytes)?)?;
            inner.raw_set("format", text(&format)?)?;
            single("verbatim_string", Value::Table(inner))
        }
        Reply::Map(pairs) => {
            let inner = lua.create_table()?;
            for (key, value) in pairs {
                let key = to_lua(lua, key)?;
                // RESP3 has null keys, Lua has not.
                if key != Value::Nil {
                    inner.raw_set(key, to_lua(lua, value)?)?;
                }
            }
            single("map", Value::Table(inner))
        }
        Reply::Set(elements) => {
            let inner = lua.create_table()?;
            for element in elements {
                inner.raw_set(to_lua(lua, element)?, true)?;
            }
            single("set", Value::Table(inner))
        }
        Reply::Attribute { reply, .. } => to_lua(lua, *reply),
    }
}

/// The Lua value of a reply in RESP3, where nothing is nil instead of false.
pub(crate) fn to_lua_resp3(lua: &Lua, reply: Reply) -> Result<Value> {
    match reply {
        Reply::Null => Ok(Value::Nil),
        Reply::Array(elements) => {
            let table = lua.create_table_with_capacity(elements.len(), 0)?;
            for (index, element) in elements.into_iter().enumerate() {
                table.raw_set(index + 1, to_lua_resp3(lua, element)?)?;
            }
            Ok(Value::Table(table))
        }
        Reply::Map(pairs) => {
            let inner = lua.create_table()?;
            for (key, value) in pairs {
                let key = to_lua_resp3(lua, key)?;
                if key != Value::Nil {
                    inner.raw_set(key, to_lua_resp3(lua, value)?)?;
                }
            }
            let table = lua.create_table()?;
            table.raw_set("map", inner)?;
            Ok(Value::Table(table))
        }
        other => to_lua(lua, other),
    }
}

/// Deepest nesting of what a script may return.
const DEPTH_MAX: usize = 1000;

/// Appends what a script returned. `script_resp` is what the script chose with `redis.setresp`; the writer has the
/// protocol of the client.
pub(crate) fn append(writer: &mut Writer<'_>, value: &Value, script_resp: Resp) -> Result<()> {
    append_at(writer, value, script_resp, 0)
}

fn append_at(
    writer: &mut Writer<'_>,
    value: &Value,
    script_resp: Resp,
    depth: usize,
) -> Result<()> {
    match value {
        Value::String(text) => writer.bulk(&text.as_bytes()),
        Value::Boolean(value) if script_resp == Resp::V3 => writer.boolean(*value),
        Value::Boolean(true) => writer.integer(1),
        Value::Integer(value) => writer.integer(*value),
        Value::Number(value) => writer.integer(truncated(*value)),
        Value::Table(_) if depth == DEPTH_MAX => writer.error(b"ERR reached lua stack limit"),
        Value::Table(table) => {
            return append_table(writer, table, script_resp, depth + 1);
        }
        _ => writer.null(),
    }
    Ok(())
}

/// A number as an integer, as the processor cuts it: what does not fit is the smallest.
fn truncated(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

fn append_table(
    writer: &mut Writer<'_>,
    table: &Table,
    script_resp: Resp,
    depth: usize,
) -> Result<()> {
    if let Some(text) = text_field(table, "err")? {
        writer.error(&one_line(&text));
        return Ok(());
    }
    if let Some(text) = text_field(table, "ok")? {
        writer.status(&String::from_utf8_lossy(&one_line(&text)));
        return Ok(());
    }
    let double = match table.raw_get("double")? {
        Value::Integer(value) => Some(value as f64),
        Value::Number(value) => Some(value),
        _ => None,
    };
    if let Some(value) = double {
        writer.double(value);
        return Ok(());
    }
    if let Some(digits) = text_field(table, "big_number")? {
        writer.big_number(&one_line(&digits));
        return Ok(());
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
        && let Some(format) = text_field(&verbatim, "format")?
        && let Some(text) = text_field(&verbatim, "string")?
    {
        let mut three = *b"txt";
        let len = format.len().min(3);
        three[..len].copy_from_slice(&format[..len]);
        writer.verbatim(&three, &text);
        return Ok(());
    }
    if let Value::Table(map) = table.raw_get("map")? {
        let pairs = map.pairs::<Value, Value>().collect::<Result<Vec<_>>>()?;
        writer.map(pairs.len());
        for (key, value) in &pairs {
            append_at(writer, key, script_resp, depth)?;
            append_at(writer, value, script_resp, depth)?;
        }
        return Ok(());
    }
    if let Value::Table(set) = table.raw_get("set")? {
        let pairs = set.pairs::<Value, Value>().collect::<Result<Vec<_>>>()?;
        writer.set(pairs.len());
        for (member, _) in &pairs {
            append_at(writer, member, script_resp, depth)?;
        }
        return Ok(());
    }
    let start = writer.position();
    let mut count = 0;
    loop {
        let element: Value = table.raw_get(count + 1)?;
        if element == Value::Nil {
            break;
        }
        append_at(writer, &element, script_resp, depth)?;
        count += 1;
    }
    writer.array_before(start, count);
    Ok(())
}

/// Field `name` of `table`, if it is a text.
pub(crate) fn text_field(table: &Table, name: &str) -> Result<Option<Vec<u8>>> {
    Ok(match table.raw_get(name)? {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        _ => None,
    })
}

fn one_line(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}
