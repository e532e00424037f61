//! Lua values to JSON.

use super::{DEPTH_MAX, InvalidNumbers, Settings};
use crate::library::{Failure, type_name};
use mlua::{Table, Value};

type Written = Result<(), Failure>;

/// Appends `value`, which stands `depth` tables deep, as JSON.
pub(super) fn append(
    settings: &Settings,
    value: &Value,
    depth: usize,
    out: &mut Vec<u8>,
) -> Written {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Integer(value) => append_number(settings, *value as f64, out)?,
        Value::Number(value) => append_number(settings, *value, out)?,
        Value::String(text) => append_text(&text.as_bytes(), out),
        Value::LightUserData(data) if data.0.is_null() => out.extend_from_slice(b"null"),
        Value::Table(table) => {
            append_table(settings, table, depth + 1, out)?;
        }
        other => return Err(unsupported(type_name(other), "type not supported")),
    }
    Ok(())
}

fn unsupported(what: &str, why: &str) -> Failure {
    Failure::Text(format!("Cannot serialise {what}: {why}"))
}

fn append_table(settings: &Settings, table: &Table, depth: usize, out: &mut Vec<u8>) -> Written {
    if depth > settings.encode_depth_max.min(DEPTH_MAX) {
        return Err(Failure::Text(format!("Cannot serialise, excessive depth ({depth})")));
    }
    if let Some(len) = array_len(settings, table)? {
        out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                out.push(b',');
            }
            append(settings, &table.raw_get::<Value>(index)?, depth, out)?;
        }
        out.push(b']');
        return Ok(());
    }
    out.push(b'{');
    let mut is_first = true;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        match &key {
            Value::String(text) => append_text(&text.as_bytes(), out),
            Value::Integer(_) | Value::Number(_) => {
                out.push(b'"');
                append(settings, &key, depth, out)?;
                out.push(b'"');
            }
            _ => return Err(unsupported("table", "table key must be a number or string")),
        }
        out.push(b':');
        append(settings, &value, depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// The length of `table` as an array; `None` if it is an object.
fn array_len(settings: &Settings, table: &Table) -> Result<Option<i64>, Failure> {
    let (mut max, mut count) = (0, 0);
    for pair in table.pairs::<Value, Value>() {
        match pair?.0 {
            Value::Integer(key) if key > 0 => {
                max = max.max(key);
                count += 1;
            }
            _ => return Ok(None),
        }
    }
    let is_sparse = settings.sparse_ratio > 0
        && max > count * settings.sparse_ratio
        && max > settings.sparse_safe;
    if is_sparse && !settings.is_sparse_converted {
        return Err(unsupported("table", "excessively sparse array"));
    }
    Ok((count > 0 && !is_sparse).then_some(max))
}

fn append_number(settings: &Settings, value: f64, out: &mut Vec<u8>) -> Written {
    if !value.is_finite() {
        match settings.encode_invalid {
            InvalidNumbers::Refused => {
                return Err(unsupported("number", "must not be NaN or Inf"));
            }
            InvalidNumbers::AsNull => {
                out.extend_from_slice(b"null");
                return Ok(());
            }
            InvalidNumbers::Written if value.is_nan() => {
                out.extend_from_slice(b"nan");
                return Ok(());
            }
            InvalidNumbers::Written => {}
        }
    }
    out.extend_from_slice(format_general(value, settings.precision).as_bytes());
    Ok(())
}

fn append_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'/' => out.extend_from_slice(b"\\/"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// `value` with at most `digits` significant digits and no needless zeros, with an exponent where that is shorter: the
/// format `%g` of C.
pub(crate) fn format_general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("that is the form of {:e}");
    let exponent: i32 = exponent.parse().expect("Rust writes it");
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_c_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e14, "1e+14"),
            (99_999_999_999_999.0, "99999999999999"),
            (123_456_789_012_345.0, "1.2345678901234e+14"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (std::f64::consts::PI, "3.1415926535898"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(format_general(value, 14), text);
        }
        assert_eq!(format_general(std::f64::consts::PI, 3), "3.14");
        assert_eq!(format_general(f64::NEG_INFINITY, 14), "-inf");
    }
}
