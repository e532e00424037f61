//! The quoting of redis-cli: a line of text to arguments, bytes to a quoted text.

/// Splits a line into arguments as redis-cli does: `"..."` with escapes (`\n`, `\xff`, ...), `'...'`
/// in which only `\'` is special, and bare words.
///
/// # Errors
/// When a quote is not closed or is followed by something else than space.
pub fn split(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut args = Vec::new();
    let mut rest = line.as_bytes();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(args);
        }
        let (arg, after) = next_argument(rest).map_err(|problem| format!("{problem}: {line}"))?;
        args.push(arg);
        rest = after;
    }
}

fn next_argument(text: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    match text.first() {
        Some(b'"') => quoted(&text[1..], b'"'),
        Some(b'\'') => quoted(&text[1..], b'\''),
        _ => {
            let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
            Ok((text[..end].to_vec(), &text[end..]))
        }
    }
}

fn quoted(text: &[u8], quote: u8) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut arg = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == quote {
            if rest.first().is_some_and(|next| !next.is_ascii_whitespace()) {
                return Err("a closing quote must be followed by a space");
            }
            return Ok((arg, rest));
        }
        if byte != b'\\' {
            arg.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else { break };
        match (quote, escape) {
            (b'\'', b'\'') => arg.push(b'\''),
            (b'\'', _) => {
                arg.push(b'\\');
                continue;
            }
            (_, b'x') => {
                if let Some(byte) = hex_byte(after) {
                    arg.push(byte);
                    rest = &after[2..];
                    continue;
                }
                arg.push(b'x');
            }
            (_, b'n') => arg.push(b'\n'),
            (_, b'r') => arg.push(b'\r'),
            (_, b't') => arg.push(b'\t'),
            (_, b'b') => arg.push(0x08),
            (_, b'a') => arg.push(0x07),
            (_, other) => arg.push(other),
        }
        rest = after;
    }
    Err("a quote is not closed")
}

fn hex_byte(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// Writes bytes as redis-cli prints a string: in double quotes, with everything escaped that is not
/// printable ASCII.
pub fn quote(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn words(line: &str) -> Vec<Vec<u8>> {
        split(line).expect("well formed")
    }

    #[test]
    fn words_and_quotes_are_arguments() {
        assert_eq!(words("  SET  k  v "), [b"SET", &b"k"[..], b"v"]);
        assert_eq!(words(r#"SET "a b" """#), [&b"SET"[..], b"a b", b""]);
        assert_eq!(words(r#""\x00\xff\n\"\\""#), [b"\x00\xff\n\"\\"]);
        assert_eq!(words(r"'it\'s' '\n'"), [&b"it's"[..], b"\\n"]);
        assert!(words("").is_empty());
    }

    #[test]
    fn open_quotes_are_refused() {
        for line in [r#"SET "a"#, "SET 'a", r#""a"b"#, r#""a\"#] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_quoted_splits_back() {
        let mut rng = Rng::new(3);
        for _ in 0..500 {
            let len = rng.below(20);
            let bytes: Vec<u8> = (0..len).map(|_| rng.next_u64().to_le_bytes()[0]).collect();
            assert_eq!(words(&quote(&bytes)), std::slice::from_ref(&bytes));
        }
    }
}
