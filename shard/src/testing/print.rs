//! Replies as redis-cli prints them to a terminal, and commands as one would type them.

/// What came does not read as RESP: a text for people.
pub type Malformed = String;

/// Prints `bytes`, which are exactly one reply, without the last line end.
///
/// # Errors
/// If they are not one whole reply.
pub fn whole_reply(bytes: &[u8]) -> Result<String, Malformed> {
    let (text, len) = reply(bytes)?;
    if len == bytes.len() {
        Ok(text)
    } else {
        Err(format!("bytes behind the reply: {}", bytes[len..].escape_ascii()))
    }
}

/// Prints any number of replies, one behind the other.
///
/// # Errors
/// If `bytes` are not whole replies.
pub fn replies(mut bytes: &[u8]) -> Result<String, Malformed> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (text, len) = reply(bytes)?;
        texts.push(text);
        bytes = &bytes[len..];
    }
    Ok(texts.join("\n"))
}

/// Prints the first reply in `bytes`, without the last line end, and says how many bytes it takes.
///
/// # Errors
/// If there is no whole reply at the start of `bytes`.
pub fn reply(bytes: &[u8]) -> Result<(String, usize), Malformed> {
    let mut cursor = Cursor { bytes, position: 0 };
    let mut out = String::new();
    cursor.print("", &mut out)?;
    out.truncate(out.trim_end_matches('\n').len());
    Ok((out, cursor.position))
}

/// Prints RESP commands, one on each line, as one would type them.
///
/// # Errors
/// If `bytes` are not whole commands.
pub fn commands(bytes: &[u8]) -> Result<String, Malformed> {
    let mut cursor = Cursor { bytes, position: 0 };
    let mut lines = Vec::new();
    while cursor.position < bytes.len() {
        let (b'*', count) = cursor.header()? else { return Err("not a command".to_owned()) };
        let mut words = Vec::new();
        for _ in 0..cursor.count(count)? {
            let (b'$', len) = cursor.header()? else { return Err("not an argument".to_owned()) };
            words.push(word(cursor.payload(len)?));
        }
        lines.push(words.join(" "));
    }
    Ok(lines.join("\n"))
}

/// One argument as one would type it: quoted only where it must be.
#[must_use]
pub fn word(bytes: &[u8]) -> String {
    let is_plain = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !bytes.is_empty() && bytes.iter().all(is_plain) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        quoted(bytes)
    }
}

/// A string in double quotes, with redis-cli's escapes.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend(['\\', byte as char]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// Reads a reply from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Prints one reply and its line end. Lines after the first begin with `prefix`.
    fn print(&mut self, prefix: &str, out: &mut String) -> Result<(), Malformed> {
        let (kind, text) = self.line()?;
        let shown = String::from_utf8_lossy(text);
        match kind {
            b'+' => out.push_str(&shown),
            b'-' => out.extend(["(error) ", &shown]),
            b':' => out.extend(["(integer) ", &shown]),
            b',' => out.extend(["(double) ", &shown]),
            b'(' => out.extend(["(bignum) ", &shown]),
            b'#' => out.push_str(if text == b"t" { "(true)" } else { "(false)" }),
            b'_' => out.push_str("(nil)"),
            b'$' | b'*' if text == b"-1" => out.push_str("(nil)"),
            b'$' => out.push_str(&quoted(self.payload(parse_len(text)?)?)),
            b'=' => {
                let text = self.payload(parse_len(text)?)?;
                out.push_str(&String::from_utf8_lossy(text.get(4..).unwrap_or_default()));
            }
            b'*' | b'~' | b'>' | b'%' => {
                let count = self.count(parse_len(text)?)?;
                return self.print_elements(kind, count, prefix, out);
            }
            _ => return Err(format!("unknown type {}", kind.escape_ascii())),
        }
        out.push('\n');
        Ok(())
    }

    fn print_elements(
        &mut self,
        kind: u8,
        count: usize,
        prefix: &str,
        out: &mut String,
    ) -> Result<(), Malformed> {
        if count == 0 {
            out.push_str(match kind {
                b'%' => "(empty hash)\n",
                b'~' => "(empty set)\n",
                b'>' => "(empty push)\n",
                _ => "(empty array)\n",
            });
            return Ok(());
        }
        let width = count.to_string().len();
        let inner = format!("{prefix}{:1$}", "", width + 2);
        let mark = match kind {
            b'%' => '#',
            b'~' => '~',
            _ => ')',
        };
        for index in 0..count {
            let prefix = if index == 0 { "" } else { prefix };
            out.push_str(&format!("{prefix}{:width$}{mark} ", index + 1));
            self.print(&inner, out)?;
            if kind == b'%' {
                out.pop();
                let mut value = String::new();
                self.print(&inner, &mut value)?;
                // A value of several lines begins on a line of its own; redis-cli leaves a space before it.
                let is_long = value.trim_end_matches('\n').contains('\n');
                out.push_str(if is_long { " =>\n" } else { " => " });
                out.extend([if is_long { &inner } else { "" }, &value]);
            }
        }
        Ok(())
    }

    /// Takes a line: its first byte and the rest, without the line end.
    fn line(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let rest = &self.bytes[self.position..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or("no line end")?;
        self.position += end + 2;
        let (&kind, text) = rest[..end].split_first().ok_or("an empty line")?;
        Ok((kind, text))
    }

    fn header(&mut self) -> Result<(u8, usize), Malformed> {
        let (kind, text) = self.line()?;
        Ok((kind, parse_len(text)?))
    }

    /// Takes `len` bytes and the line end behind them.
    fn payload(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.position..];
        let payload = rest.get(..len).ok_or("a string is cut off")?;
        if rest.get(len..len + 2) != Some(b"\r\n") {
            return Err("no line end behind a string".to_owned());
        }
        self.position += len + 2;
        Ok(payload)
    }

    /// A number of elements that the rest can hold: each takes three bytes at least.
    fn count(&self, announced: usize) -> Result<usize, Malformed> {
        let possible = (self.bytes.len() - self.position) / 3;
        if announced <= possible { Ok(announced) } else { Err("an array is cut off".to_owned()) }
    }
}

fn parse_len(text: &[u8]) -> Result<usize, Malformed> {
    let len = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    len.ok_or_else(|| format!("not a length: {}", text.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(bytes: &[u8]) -> String {
        whole_reply(bytes).unwrap()
    }

    #[test]
    fn scalars_print_as_in_redis_cli() {
        assert_eq!(print(b"+OK\r\n"), "OK");
        assert_eq!(print(b"-ERR no\r\n"), "(error) ERR no");
        assert_eq!(print(b":-3\r\n"), "(integer) -3");
        assert_eq!(print(b"$3\r\na\"\xff\r\n"), r#""a\"\xff""#);
        assert_eq!(print(b"$-1\r\n"), "(nil)");
        assert_eq!(print(b"*-1\r\n"), "(nil)");
        assert_eq!(print(b"_\r\n"), "(nil)");
        assert_eq!(print(b",1.5\r\n"), "(double) 1.5");
        assert_eq!(print(b"#t\r\n"), "(true)");
        assert_eq!(print(b"#f\r\n"), "(false)");
        assert_eq!(print(b"=8\r\ntxt:a\nbc\r\n"), "a\nbc");
        assert_eq!(print(b"(123\r\n"), "(bignum) 123");
    }

    #[test]
    fn arrays_are_numbered_and_nested_ones_indented() {
        assert_eq!(print(b"*0\r\n"), "(empty array)");
        let nested = b"*2\r\n*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n:3\r\n";
        assert_eq!(
            print(nested),
            "1) 1) \"a\"\n   2) 1) (integer) 1\n      2) (integer) 2\n2) (integer) 3"
        );
        let ten = format!("*10\r\n{}", ":0\r\n".repeat(10));
        assert!(print(ten.as_bytes()).starts_with(" 1) (integer) 0\n 2) "));
        assert!(print(ten.as_bytes()).ends_with("\n10) (integer) 0"));
    }

    #[test]
    fn maps_sets_and_pushes_have_their_own_marks() {
        assert_eq!(print(b"%0\r\n"), "(empty hash)");
        assert_eq!(print(b"~0\r\n"), "(empty set)");
        assert_eq!(print(b"%1\r\n$1\r\na\r\n:1\r\n"), "1# \"a\" => (integer) 1");
        assert_eq!(
            print(b"%2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n$1\r\nb\r\n*1\r\n:3\r\n"),
            "1# \"a\" =>\n   1) (integer) 1\n   2) (integer) 2\n2# \"b\" => 1) (integer) 3"
        );
        assert_eq!(print(b"~1\r\n:1\r\n"), "1~ (integer) 1");
        assert_eq!(print(b">1\r\n:1\r\n"), "1) (integer) 1");
    }

    #[test]
    fn commands_print_as_one_would_type_them() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(commands(bytes).unwrap(), "GET \"a b\"\nPING");
        assert_eq!(commands(b"").unwrap(), "");
    }

    #[test]
    fn several_replies_print_one_behind_the_other() {
        assert_eq!(replies(b":1\r\n*1\r\n+a\r\n").unwrap(), "(integer) 1\n1) a");
        assert_eq!(replies(b"").unwrap(), "");
        assert!(replies(b":1\r\n:").is_err());
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_an_error() {
        let whole = b"*2\r\n$1\r\na\r\n%1\r\n:1\r\n=5\r\ntxt:a\r\n";
        assert!(whole_reply(whole).is_ok());
        for len in 0..whole.len() {
            assert!(whole_reply(&whole[..len]).is_err(), "{len} bytes");
        }
        assert!(whole_reply(b"+OK\r\n+OK\r\n").is_err());
        assert!(whole_reply(b"*999999999999\r\n").is_err());
        assert!(whole_reply(b"?\r\n").is_err());
    }
}
