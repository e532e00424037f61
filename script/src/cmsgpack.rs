//! The library `cmsgpack`: MessagePack to Lua values and back. Source: the MessagePack specification, and the documented
//! behaviour of lua-cmsgpack 0.4.
//!
//! A table whose keys are 1 to n is an array, any other a map. Tables nested deeper than [`DEPTH_MAX`] become nil.

use crate::library::{Arguments, Failure, bad_argument, function, function_many, number};
use mlua::{Lua, Result, Table, Value};

/// Deepest nesting that is written.
const DEPTH_MAX: usize = 16;
/// Deepest nesting that is read: reading recurses.
const READ_DEPTH_MAX: usize = 500;
const MISSING: &str = "Missing bytes in input.";

/// The table `cmsgpack`.
pub(crate) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    table.set("_NAME", "cmsgpack")?;
    table.set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.set(
        "pack",
        function(lua, |lua, arguments| {
            if arguments.len() == 0 {
                return Err(bad_argument("pack", 0, "MessagePack pack needs input."));
            }
            let mut out = Vec::new();
            for value in arguments.values() {
                append(value, 0, &mut out)?;
            }
            Ok(Value::String(lua.create_string(out)?))
        })?,
    )?;
    table.set(
        "unpack",
        function_many(lua, |lua, arguments| unpack(lua, &arguments, "unpack", 0, 0))?,
    )?;
    table.set(
        "unpack_one",
        function_many(lua, |lua, arguments| {
            let offset = arguments.integer_or("unpack_one", 1, 0)?;
            unpack(lua, &arguments, "unpack_one", 1, offset)
        })?,
    )?;
    table.set(
        "unpack_limit",
        function_many(lua, |lua, arguments| {
            let limit = arguments.number("unpack_limit", 1)? as i64;
            let offset = arguments.integer_or("unpack_limit", 2, 0)?;
            unpack(lua, &arguments, "unpack_limit", limit, offset)
        })?,
    )?;
    Ok(table)
}

fn append(value: &Value, depth: usize, out: &mut Vec<u8>) -> std::result::Result<(), Failure> {
    match value {
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Integer(value) => append_integer(*value, out),
        Value::Number(value) => append_float(*value, out),
        Value::String(text) => append_text(&text.as_bytes(), out),
        Value::Table(table) if depth < DEPTH_MAX => append_table(table, depth, out)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

fn append_integer(value: i64, out: &mut Vec<u8>) {
    match value {
        0..=127 => out.push(value as u8),
        128..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => head(0xcd, &(value as u16).to_be_bytes(), out),
        0x1_0000..=0xffff_ffff => head(0xce, &(value as u32).to_be_bytes(), out),
        0x1_0000_0000.. => head(0xcf, &value.to_be_bytes(), out),
        -32..=-1 => out.push(value as u8),
        -128..=-33 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=-129 => head(0xd1, &(value as i16).to_be_bytes(), out),
        -0x8000_0000..=-0x8001 => head(0xd2, &(value as i32).to_be_bytes(), out),
        _ => head(0xd3, &value.to_be_bytes(), out),
    }
}

fn append_float(value: f64, out: &mut Vec<u8>) {
    let short = value as f32;
    if f64::from(short) == value {
        head(0xca, &short.to_be_bytes(), out);
    } else {
        head(0xcb, &value.to_be_bytes(), out);
    }
}

fn append_text(text: &[u8], out: &mut Vec<u8>) {
    match text.len() {
        len @ 0..32 => out.push(0xa0 | len as u8),
        len @ 32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        len @ 0x100..=0xffff => head(0xda, &(len as u16).to_be_bytes(), out),
        len => head(0xdb, &(len as u32).to_be_bytes(), out),
    }
    out.extend_from_slice(text);
}

fn append_table(
    table: &Table,
    depth: usize,
    out: &mut Vec<u8>,
) -> std::result::Result<(), Failure> {
    let (mut count, mut max, mut is_array) = (0_usize, 0, true);
    for pair in table.pairs::<Value, Value>() {
        match pair?.0 {
            Value::Integer(key) if key > 0 => max = max.max(key),
            _ => is_array = false,
        }
        count += 1;
    }
    if is_array && count > 0 && max == count as i64 {
        container(count, 0x90, 0xdc, out);
        for index in 1..=max {
            append(&table.raw_get::<Value>(index)?, depth + 1, out)?;
        }
        return Ok(());
    }
    // Nobody can tell an empty array from an empty map: it is written as an array.
    if count == 0 {
        container(0, 0x90, 0xdc, out);
        return Ok(());
    }
    container(count, 0x80, 0xde, out);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        append(&key, depth + 1, out)?;
        append(&value, depth + 1, out)?;
    }
    Ok(())
}

/// The head of an array or map: its short form, and the first of its two long ones.
fn container(count: usize, short: u8, long: u8, out: &mut Vec<u8>) {
    match count {
        0..16 => out.push(short | count as u8),
        16..=0xffff => head(long, &(count as u16).to_be_bytes(), out),
        _ => head(long + 1, &(count as u32).to_be_bytes(), out),
    }
}

fn head(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

/// At most `limit` values (0: all) from `offset` on; with a limit, behind the offset to go on at, or -1 at the end.
fn unpack(
    lua: &Lua,
    arguments: &Arguments,
    name: &'static str,
    limit: i64,
    offset: i64,
) -> std::result::Result<Vec<Value>, Failure> {
    let data = arguments.bytes(name, 0)?;
    if offset < 0 || limit < 0 {
        return Err(Failure::Text(format!(
            "Invalid request to unpack with offset of {offset} and limit of {}.",
            data.len()
        )));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    if start > data.len() {
        return Err(Failure::Text(format!(
            "Start offset {offset} greater than input length {}.",
            data.len()
        )));
    }
    let mut reader = Reader { lua, data: &data, at: start };
    let mut values = Vec::new();
    while reader.at < data.len() && (limit == 0 || (values.len() as i64) < limit) {
        values.push(reader.value(0)?);
    }
    if limit > 0 {
        let next = if reader.at < data.len() { reader.at as i64 } else { -1 };
        values.insert(0, Value::Integer(next));
    }
    Ok(values)
}

struct Reader<'a> {
    lua: &'a Lua,
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> std::result::Result<&'a [u8], Failure> {
        let end = self.at.checked_add(len).ok_or(MISSING)?;
        let bytes = self.data.get(self.at..end).ok_or(MISSING)?;
        self.at = end;
        Ok(bytes)
    }

    fn unsigned(&mut self, len: usize) -> std::result::Result<u64, Failure> {
        Ok(self.take(len)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, len: usize) -> std::result::Result<f64, Failure> {
        let shift = 64 - 8 * len as u32;
        Ok((((self.unsigned(len)? << shift) as i64) >> shift) as f64)
    }

    fn value(&mut self, depth: usize) -> std::result::Result<Value, Failure> {
        if depth > READ_DEPTH_MAX {
            return Err("Bad data format in input.".into());
        }
        let kind = self.unsigned(1)? as u8;
        Ok(match kind {
            0..=0x7f => Value::Integer(i64::from(kind)),
            0xe0..=0xff => Value::Integer(i64::from(kind as i8)),
            0x80..=0x8f => self.map(usize::from(kind & 15), depth)?,
            0x90..=0x9f => self.array(usize::from(kind & 15), depth)?,
            0xa0..=0xbf => self.text(usize::from(kind & 31))?,
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Boolean(kind == 0xc3),
            0xc4 | 0xd9 => self.sized(1, Self::text)?,
            0xc5 | 0xda => self.sized(2, Self::text)?,
            0xc6 | 0xdb => self.sized(4, Self::text)?,
            0xca => number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => number(f64::from_bits(self.unsigned(8)?)),
            0xcc => number(self.unsigned(1)? as f64),
            0xcd => number(self.unsigned(2)? as f64),
            0xce => number(self.unsigned(4)? as f64),
            0xcf => number(self.unsigned(8)? as f64),
            0xd0 => number(self.signed(1)?),
            0xd1 => number(self.signed(2)?),
            0xd2 => number(self.signed(4)?),
            0xd3 => number(self.signed(8)?),
            0xdc => self.sized(2, |reader, count| reader.array(count, depth))?,
            0xdd => self.sized(4, |reader, count| reader.array(count, depth))?,
            0xde => self.sized(2, |reader, count| reader.map(count, depth))?,
            0xdf => self.sized(4, |reader, count| reader.map(count, depth))?,
            _ => return Err("Bad data format in input.".into()),
        })
    }

    /// Something with its length in front, in `len` bytes.
    fn sized(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Self, usize) -> std::result::Result<Value, Failure>,
    ) -> std::result::Result<Value, Failure> {
        let count = self.unsigned(len)? as usize;
        read(self, count)
    }

    fn text(&mut self, len: usize) -> std::result::Result<Value, Failure> {
        let bytes = self.take(len)?;
        Ok(Value::String(self.lua.create_string(bytes)?))
    }

    fn array(&mut self, count: usize, depth: usize) -> std::result::Result<Value, Failure> {
        // The count is not believed: the table grows with what is really there.
        let table = self.lua.create_table()?;
        for index in 1..=count {
            table.raw_set(index, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, count: usize, depth: usize) -> std::result::Result<Value, Failure> {
        let table = self.lua.create_table()?;
        for _ in 0..count {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            if matches!(key, Value::Nil) || matches!(key, Value::Number(number) if number.is_nan())
            {
                return Err("Bad data format in input.".into());
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}
