//! JSON to Lua values. Errors name what was expected, what was found and where, counted from 1.

use super::{NULL, Settings};
use crate::library::{Failure, Outcome, number};
use mlua::{Lua, Value};

/// The value of the text `json`.
pub(super) fn parse(lua: &Lua, settings: &Settings, json: &[u8]) -> Outcome {
    // The encodings of more than one byte per character, told by their zeros: RFC 4627, section 3.
    if json.len() >= 2 && (json[0] == 0 || json[1] == 0) {
        return Err("JSON parser does not support UTF-16 or UTF-32".into());
    }
    let mut parser = Parser { lua, settings, json, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.skip_space();
    if parser.at < json.len() {
        return Err(parser.unexpected("the end"));
    }
    Ok(value)
}

struct Parser<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    json: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `word` if it comes next.
    fn take(&mut self, word: &[u8]) -> bool {
        let is_next = self.json[self.at..].starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    fn value(&mut self) -> Outcome {
        self.skip_space();
        match self.peek() {
            Some(b'"') => {
                let text = self.text()?;
                Ok(Value::String(self.lua.create_string(&text)?))
            }
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'n') if self.take(b"null") => Ok(NULL),
            Some(b't') if self.take(b"true") => Ok(Value::Boolean(true)),
            Some(b'f') if self.take(b"false") => Ok(Value::Boolean(false)),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Outcome) -> Outcome {
        self.depth += 1;
        if self.depth > self.settings.decode_depth_max {
            let (depth, place) = (self.depth, self.at + 1);
            return Err(Failure::Text(format!(
                "Found too many nested data structures ({depth}) at character {place}"
            )));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Outcome {
        let table = self.lua.create_table()?;
        self.skip_space();
        if self.take(b"}") {
            return Ok(Value::Table(table));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("object key string"));
            }
            let key = self.text()?;
            self.skip_space();
            if !self.take(b":") {
                return Err(self.unexpected("colon"));
            }
            let value = self.value()?;
            table.raw_set(self.lua.create_string(&key)?, value)?;
            self.skip_space();
            if self.take(b"}") {
                return Ok(Value::Table(table));
            }
            if !self.take(b",") {
                return Err(self.unexpected("comma or object end"));
            }
        }
    }

    fn array(&mut self) -> Outcome {
        let table = self.lua.create_table()?;
        self.skip_space();
        if self.take(b"]") {
            return Ok(Value::Table(table));
        }
        for index in 1_i64.. {
            let value = self.value()?;
            table.raw_set(index, value)?;
            self.skip_space();
            if self.take(b"]") {
                break;
            }
            if !self.take(b",") {
                return Err(self.unexpected("comma or array end"));
            }
        }
        Ok(Value::Table(table))
    }

    fn number(&mut self) -> Outcome {
        let rest = &self.json[self.at..];
        let is_part =
            |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let len = rest.iter().take_while(is_part).count();
        let text = std::str::from_utf8(&rest[..len]).unwrap_or_default();
        let body = text.trim_start_matches('-');
        let starts_plainly = body.starts_with(|c: char| c.is_ascii_digit());
        // A leading zero or a hexadecimal number is as invalid as an infinity: read only where those are.
        let is_odd =
            body.len() > 1 && body.starts_with('0') && !body[1..].starts_with(['.', 'e', 'E']);
        let value = if starts_plainly && !is_odd {
            text.parse().ok()
        } else if self.settings.is_decoding_invalid {
            odd_number(text)
        } else {
            None
        };
        match value {
            Some(value) => {
                self.at += len;
                Ok(number(value))
            }
            None if starts_plainly || text.starts_with('-') => {
                Err(self.found("value", "invalid number"))
            }
            None => Err(self.unexpected("value")),
        }
    }

    /// A text in quotes, its escapes resolved.
    fn text(&mut self) -> Result<Vec<u8>, Failure> {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek() {
                None => {
                    self.at = self.json.len();
                    return Err(self.found("value", "unexpected end of string"));
                }
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    let escaped = self.json.get(self.at + 1).copied().unwrap_or_default();
                    let byte = match escaped {
                        b'"' | b'\\' | b'/' => escaped,
                        b'b' => 0x08,
                        b'f' => 0x0c,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            self.unicode(&mut text)?;
                            continue;
                        }
                        _ => return Err(self.found("value", "invalid escape code")),
                    };
                    text.push(byte);
                    self.at += 2;
                }
                Some(byte) if byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r' => {
                    self.at = start.max(self.at);
                    return Err(self.found("value", "invalid token"));
                }
                Some(byte) => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// `\uXXXX`, or two of them that are one character.
    fn unicode(&mut self, text: &mut Vec<u8>) -> Result<(), Failure> {
        let invalid = "invalid unicode escape code";
        let Some(first) = self.code_unit(self.at) else { return Err(self.found("value", invalid)) };
        let (code, len) = match first {
            0xd800..0xdc00 => match self.code_unit(self.at + 6) {
                Some(second @ 0xdc00..0xe000) => {
                    (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                }
                _ => return Err(self.found("value", invalid)),
            },
            _ => (first, 6),
        };
        match char::from_u32(code) {
            Some(character) => {
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes())
            }
            // The second half of a pair, alone: written as it is.
            None => text.extend_from_slice(&[
                0xe0 | (code >> 12) as u8,
                0x80 | (code >> 6 & 0x3f) as u8,
                0x80 | (code & 0x3f) as u8,
            ]),
        }
        self.at += len;
        Ok(())
    }

    fn code_unit(&self, at: usize) -> Option<u32> {
        let escape = self.json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        if !escape.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    }

    fn unexpected(&self, wanted: &str) -> Failure {
        let found = match self.peek() {
            None => "T_END",
            Some(b'{') => "T_OBJ_BEGIN",
            Some(b'}') => "T_OBJ_END",
            Some(b'[') => "T_ARR_BEGIN",
            Some(b']') => "T_ARR_END",
            Some(b':') => "T_COLON",
            Some(b',') => "T_COMMA",
            Some(b'"') => "T_STRING",
            Some(b'0'..=b'9' | b'-') => "T_NUMBER",
            Some(_) if self.json[self.at..].starts_with(b"null") => "T_NULL",
            Some(_) if self.json[self.at..].starts_with(b"true") => "T_BOOLEAN",
            Some(_) if self.json[self.at..].starts_with(b"false") => "T_BOOLEAN",
            Some(_) => "invalid token",
        };
        self.found(wanted, found)
    }

    fn found(&self, wanted: &str, found: &str) -> Failure {
        Failure::Text(format!("Expected {wanted} but found {found} at character {}", self.at + 1))
    }
}

/// Numbers that are none in JSON: hexadecimal ones, those with leading zeros, infinities and NaN.
fn odd_number(text: &str) -> Option<f64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1.0, body),
        None => (1.0, text),
    };
    let lower = body.to_ascii_lowercase();
    let value = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        other => match other.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()? as f64,
            None if other.starts_with(|c: char| c.is_ascii_digit()) => other.parse().ok()?,
            None => return None,
        },
    };
    Some(sign * value)
}
