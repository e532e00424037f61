//! The library `bit`: operations on 32-bit integers. Source: its documented behaviour (BitOp 1.0).
//!
//! Every argument is taken modulo 2^32, every result is a signed 32-bit number.

use crate::library::{Arguments, Failure, Outcome, function};
use mlua::{Lua, Result, Table, Value};

/// The table `bit`.
pub(crate) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    let unary: [(&'static str, fn(u32) -> u32); 3] =
        [("tobit", |a| a), ("bnot", |a| !a), ("bswap", u32::swap_bytes)];
    for (name, run) in unary {
        table.set(
            name,
            function(lua, move |_, arguments| number(run(bits(&arguments, name, 0)?)))?,
        )?;
    }
    let folds: [(&'static str, fn(u32, u32) -> u32); 3] =
        [("band", |a, b| a & b), ("bor", |a, b| a | b), ("bxor", |a, b| a ^ b)];
    for (name, run) in folds {
        let fold = move |_: &Lua, arguments: Arguments| {
            let mut result = bits(&arguments, name, 0)?;
            for index in 1..arguments.len() {
                result = run(result, bits(&arguments, name, index)?);
            }
            number(result)
        };
        table.set(name, function(lua, fold)?)?;
    }
    let shifts: [(&'static str, fn(u32, u32) -> u32); 5] = [
        ("lshift", |a, n| a << n),
        ("rshift", |a, n| a >> n),
        ("arshift", |a, n| ((a as i32) >> n) as u32),
        ("rol", u32::rotate_left),
        ("ror", u32::rotate_right),
    ];
    for (name, run) in shifts {
        let shift = move |_: &Lua, arguments: Arguments| {
            number(run(bits(&arguments, name, 0)?, bits(&arguments, name, 1)? & 31))
        };
        table.set(name, function(lua, shift)?)?;
    }
    table.set("tohex", function(lua, tohex)?)?;
    Ok(table)
}

/// `tohex(number [, digits])`: the lowest digits in hexadecimal, 8 of them by default, in capitals if negative.
fn tohex(lua: &Lua, arguments: Arguments) -> Outcome {
    let value = bits(&arguments, "tohex", 0)?;
    let digits = if arguments.len() > 1 { bits(&arguments, "tohex", 1)? as i32 } else { 8 };
    let count = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(Value::String(lua.create_string(&text[8 - count..])?))
}

fn number(bits: u32) -> Outcome {
    Ok(Value::Integer(i64::from(bits as i32)))
}

/// Argument `index` modulo 2^32, rounded to the nearest integer, halves to even.
fn bits(arguments: &Arguments, name: &str, index: usize) -> std::result::Result<u32, Failure> {
    let value = arguments.number(name, index)?.round_ties_even();
    // What does not fit 64 bits has no lower 32 bits that mean anything: zero, as for infinity.
    Ok(if value.abs() < 9.2e18 { value as i64 as u32 } else { 0 })
}
