//! The library `struct`: values to bytes by a format, and back. Source: its documented behaviour (struct 0.2).
//!
//! A format is a sequence of options: `>` big, `<` little endian, `=` as this machine; `![n]` alignment; `b B h H l L T i[n]
//! I[n]` integers of 1, 2, 8, 8 and n bytes; `f d` floating point; `x` a zero byte; `s` a text up to a zero byte; `c[n]` n
//! bytes, where `c0` is the whole text when packing and as many bytes as the number before says when unpacking.

use crate::library::{Arguments, Failure, bad_argument, function, function_many, number};
use mlua::{Lua, Result, Table, Value};

/// Longest integer in bytes.
const INTEGER_LEN_MAX: usize = 32;
/// Alignment without a number behind `!`.
const ALIGNMENT_DEFAULT: usize = 8;

/// The table `struct`.
pub(crate) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    table.set(
        "pack",
        function(lua, |lua, arguments| {
            let packed = pack(&arguments)?;
            Ok(Value::String(lua.create_string(packed)?))
        })?,
    )?;
    table.set(
        "size",
        function(lua, |_, arguments| {
            let format = arguments.bytes("size", 0)?;
            let mut options = Options::new(&format, "size");
            let mut size = 0_usize;
            while let Some(option) = options.next(size)? {
                match option.kind {
                    Kind::Zero => {
                        return Err(bad_argument("size", 0, "variable-size format in 'size'"));
                    }
                    Kind::Bytes(0) => {
                        return Err(bad_argument("size", 0, "variable-size format in 'size'"));
                    }
                    _ => size = size.saturating_add(option.padding + option.kind.len()),
                }
            }
            Ok(Value::Integer(size as i64))
        })?,
    )?;
    table.set("unpack", function_many(lua, unpack)?)?;
    Ok(table)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Padding,
    Integer {
        len: usize,
        is_signed: bool,
    },
    Float,
    Double,
    /// So many bytes.
    Bytes(usize),
    /// A text with a zero byte behind it.
    Zero,
}

impl Kind {
    fn len(self) -> usize {
        match self {
            Kind::Padding => 1,
            Kind::Integer { len, .. } | Kind::Bytes(len) => len,
            Kind::Float => 4,
            Kind::Double => 8,
            Kind::Zero => 0,
        }
    }
}

struct FormatOption {
    kind: Kind,
    /// Bytes in front of it, for its alignment.
    padding: usize,
}

/// Reads a format.
struct Options<'a> {
    rest: &'a [u8],
    function: &'static str,
    is_big: bool,
    alignment: usize,
}

impl<'a> Options<'a> {
    fn new(format: &'a [u8], function: &'static str) -> Self {
        Options { rest: format, function, is_big: cfg!(target_endian = "big"), alignment: 1 }
    }

    fn count(&mut self, default: usize) -> std::result::Result<usize, Failure> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if text.is_empty() {
            return Ok(default);
        }
        let count = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i32>().ok());
        count.map(|count| count as usize).ok_or_else(|| "integral size overflow".into())
    }

    fn integer_len(&mut self, default: usize) -> std::result::Result<usize, Failure> {
        let len = self.count(default)?;
        if len == 0 || len > INTEGER_LEN_MAX {
            return Err(Failure::Text(format!(
                "integral size {len} is larger than limit of {INTEGER_LEN_MAX}"
            )));
        }
        Ok(len)
    }

    /// The next option that stands for bytes, given where it will stand.
    fn next(&mut self, position: usize) -> std::result::Result<Option<FormatOption>, Failure> {
        while let Some((&letter, rest)) = self.rest.split_first() {
            self.rest = rest;
            let integer = |len, is_signed| Kind::Integer { len, is_signed };
            let kind = match letter {
                b' ' => continue,
                b'>' => {
                    self.is_big = true;
                    continue;
                }
                b'<' => {
                    self.is_big = false;
                    continue;
                }
                b'=' => {
                    self.is_big = cfg!(target_endian = "big");
                    continue;
                }
                b'!' => {
                    let alignment = self.count(ALIGNMENT_DEFAULT)?;
                    if !alignment.is_power_of_two() {
                        return Err("alignment is not a power of 2".into());
                    }
                    self.alignment = alignment;
                    continue;
                }
                b'x' => Kind::Padding,
                b'b' => integer(1, true),
                b'B' => integer(1, false),
                b'h' => integer(2, true),
                b'H' => integer(2, false),
                b'l' => integer(8, true),
                b'L' | b'T' => integer(8, false),
                b'i' => integer(self.integer_len(4)?, true),
                b'I' => integer(self.integer_len(4)?, false),
                b'f' => Kind::Float,
                b'd' => Kind::Double,
                b's' => Kind::Zero,
                b'c' => Kind::Bytes(self.count(1)?),
                _ => {
                    let text = format!("invalid format option '{}'", char::from(letter));
                    return Err(bad_argument(self.function, 0, &text));
                }
            };
            let alignment = match kind {
                Kind::Integer { len, .. } => len.min(self.alignment),
                Kind::Float | Kind::Double => kind.len().min(self.alignment),
                _ => 1,
            };
            let padding = match alignment {
                0 | 1 => 0,
                _ if !alignment.is_power_of_two() => {
                    return Err("alignment is not a power of 2".into());
                }
                _ => (alignment - position % alignment) % alignment,
            };
            return Ok(Some(FormatOption { kind, padding }));
        }
        Ok(None)
    }
}

fn pack(arguments: &Arguments) -> std::result::Result<Vec<u8>, Failure> {
    let format = arguments.bytes("pack", 0)?;
    let mut options = Options::new(&format, "pack");
    let mut out = Vec::new();
    let mut index = 1;
    while let Some(option) = options.next(out.len())? {
        out.resize(out.len() + option.padding, 0);
        match option.kind {
            Kind::Padding => {
                out.push(0);
                continue;
            }
            Kind::Integer { len, .. } => {
                let value = arguments.number("pack", index)?;
                let value = if value < 0.0 { value as i64 as u64 } else { value as u64 };
                let fill = if arguments.number("pack", index)? < 0.0 { 0xff } else { 0 };
                let mut bytes = value.to_le_bytes().to_vec();
                bytes.resize(len, fill);
                if options.is_big {
                    bytes.reverse();
                }
                out.extend_from_slice(&bytes);
            }
            Kind::Float => {
                let value = arguments.number("pack", index)? as f32;
                let bytes = if options.is_big { value.to_be_bytes() } else { value.to_le_bytes() };
                out.extend_from_slice(&bytes);
            }
            Kind::Double => {
                let value = arguments.number("pack", index)?;
                let bytes = if options.is_big { value.to_be_bytes() } else { value.to_le_bytes() };
                out.extend_from_slice(&bytes);
            }
            Kind::Bytes(len) => {
                let text = arguments.bytes("pack", index)?;
                let len = if len == 0 { text.len() } else { len };
                let part = text.get(..len);
                out.extend_from_slice(
                    part.ok_or_else(|| bad_argument("pack", index, "string too short"))?,
                );
            }
            Kind::Zero => {
                out.extend_from_slice(&arguments.bytes("pack", index)?);
                out.push(0);
            }
        }
        index += 1;
    }
    Ok(out)
}

fn unpack(lua: &Lua, arguments: Arguments) -> std::result::Result<Vec<Value>, Failure> {
    let format = arguments.bytes("unpack", 0)?;
    let data = arguments.bytes("unpack", 1)?;
    let start = arguments.integer_or("unpack", 2, 1)?;
    let mut at = usize::try_from(start - 1)
        .map_err(|_| bad_argument("unpack", 2, "offset must be 1 or greater"))?;
    let too_short = || bad_argument("unpack", 1, "data string too short");
    let mut options = Options::new(&format, "unpack");
    let mut values = Vec::new();
    while let Some(option) = options.next(at)? {
        at = at.checked_add(option.padding).ok_or_else(too_short)?;
        let len = match option.kind {
            Kind::Bytes(0) => {
                let len = match values.pop() {
                    Some(Value::Integer(len)) => usize::try_from(len).ok(),
                    _ => return Err("format 'c0' needs a previous size".into()),
                };
                len.ok_or_else(too_short)?
            }
            Kind::Zero => {
                let rest = data.get(at..).ok_or_else(too_short)?;
                rest.iter().position(|&byte| byte == 0).ok_or("unfinished string in data")?
            }
            kind => kind.len(),
        };
        let end = at.checked_add(len).ok_or_else(too_short)?;
        let bytes = data.get(at..end).ok_or_else(too_short)?;
        at = end;
        let little = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            if options.is_big {
                bytes.reverse();
            }
            bytes
        };
        values.push(match option.kind {
            Kind::Padding => continue,
            Kind::Integer { is_signed, .. } => integer(&little(bytes), is_signed),
            Kind::Float => {
                let bytes = little(bytes).try_into().expect("four bytes");
                number(f64::from(f32::from_le_bytes(bytes)))
            }
            Kind::Double => {
                number(f64::from_le_bytes(little(bytes).try_into().expect("eight bytes")))
            }
            Kind::Bytes(_) => Value::String(lua.create_string(bytes)?),
            Kind::Zero => {
                at += 1;
                Value::String(lua.create_string(bytes)?)
            }
        });
    }
    values.push(Value::Integer(at as i64 + 1));
    Ok(values)
}

/// The integer in `bytes`, the lowest first; of a long one the lowest eight count.
fn integer(bytes: &[u8], is_signed: bool) -> Value {
    let is_negative = is_signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut word = [if is_negative { 0xff } else { 0 }; 8];
    let len = bytes.len().min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    if is_signed {
        number(i64::from_le_bytes(word) as f64)
    } else {
        number(u64::from_le_bytes(word) as f64)
    }
}
