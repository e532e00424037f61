//! What a server answers: RESP2 and RESP3 values and their parser.

use std::fmt;

/// How deep replies may be nested; deeper ones are taken for an error of the server.
const DEPTH_MAX: usize = 32;

/// One reply (or RESP3 push) of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `+OK`
    Simple(Vec<u8>),
    /// `-ERR ...`, without the dash
    Error(Vec<u8>),
    /// `:1`
    Integer(i64),
    /// `$3`, or `$-1` for `None`
    Bulk(Option<Vec<u8>>),
    /// `*2`, or `*-1` for `None`
    Array(Option<Vec<Value>>),
    /// `_`
    Null,
    /// `#t`
    Boolean(bool),
    /// `,1.5`, as text: tests compare what was sent, not what it means
    Double(Vec<u8>),
    /// `(123`
    BigNumber(Vec<u8>),
    /// `=7`, format and text
    Verbatim([u8; 3], Vec<u8>),
    /// `%1`
    Map(Vec<(Value, Value)>),
    /// `~1`
    Set(Vec<Value>),
    /// `>2`
    Push(Vec<Value>),
}

/// Bytes that are no RESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed reply: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Value {
    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The text of a string reply of any kind (simple, bulk, verbatim).
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(text) | Value::Bulk(Some(text)) | Value::Verbatim(_, text) => Some(text),
            _ => None,
        }
    }

    /// The same as [`as_bytes`](Self::as_bytes), as readable text; "" for anything else.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.as_bytes().unwrap_or_default()).into_owned()
    }

    /// The elements of an array, set or push.
    pub fn elements(&self) -> Option<&[Value]> {
        match self {
            Value::Array(Some(items)) | Value::Set(items) | Value::Push(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it is an error reply that begins with `prefix`.
    pub fn is_error(&self, prefix: &str) -> bool {
        matches!(self, Value::Error(text) if text.starts_with(prefix.as_bytes()))
    }

    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        *self == Value::Simple(b"OK".to_vec())
    }
}

/// Parses the value at the start of `bytes`: the value and its length in bytes, or `None` if more
/// bytes are needed.
///
/// # Errors
/// When the bytes cannot become a reply whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Option<(Value, usize)>, Malformed> {
    let mut parser = Parser { bytes, at: 0 };
    Ok(parser.value(0)?.map(|value| (value, parser.at)))
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed(format!("nested deeper than {DEPTH_MAX}")));
        }
        let Some(line) = self.line() else { return Ok(None) };
        let Some((kind, rest)) = line.split_first() else {
            return Err(Malformed("an empty line".into()));
        };
        let value = match kind {
            b'+' => Value::Simple(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Integer(number(rest)?),
            b',' => Value::Double(rest.to_vec()),
            b'(' => Value::BigNumber(rest.to_vec()),
            b'_' => Value::Null,
            b'#' => Value::Boolean(rest == b"t"),
            b'$' | b'=' => return self.string(*kind, number(rest)?),
            b'*' if rest == b"-1" => Value::Array(None),
            b'*' | b'~' | b'>' | b'%' => return self.aggregate(*kind, number(rest)?, depth),
            other => {
                return Err(Malformed(format!(
                    "type byte {:?} in {:?}",
                    char::from(*other),
                    String::from_utf8_lossy(line)
                )));
            }
        };
        Ok(Some(value))
    }

    /// The next line without its line end; `None` (and nothing consumed) while it is incomplete.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        Some(&rest[..end])
    }

    fn string(&mut self, kind: u8, len: i64) -> Result<Option<Value>, Malformed> {
        if len == -1 && kind == b'$' {
            return Ok(Some(Value::Bulk(None)));
        }
        let len = length(len)?;
        let rest = &self.bytes[self.at..];
        if rest.len() < len + 2 {
            return Ok(None);
        }
        if &rest[len..len + 2] != b"\r\n" {
            return Err(Malformed("a string longer than its length".into()));
        }
        self.at += len + 2;
        let text = &rest[..len];
        if kind == b'$' {
            return Ok(Some(Value::Bulk(Some(text.to_vec()))));
        }
        match text {
            [a, b, c, b':', text @ ..] => Ok(Some(Value::Verbatim([*a, *b, *c], text.to_vec()))),
            _ => Err(Malformed("a verbatim string without its format".into())),
        }
    }

    fn aggregate(&mut self, kind: u8, len: i64, depth: usize) -> Result<Option<Value>, Malformed> {
        let len = length(len)?;
        if kind == b'%' {
            let mut pairs = Vec::new();
            for _ in 0..len {
                let Some(key) = self.value(depth + 1)? else { return Ok(None) };
                let Some(value) = self.value(depth + 1)? else { return Ok(None) };
                pairs.push((key, value));
            }
            return Ok(Some(Value::Map(pairs)));
        }
        let mut items = Vec::new();
        for _ in 0..len {
            let Some(item) = self.value(depth + 1)? else { return Ok(None) };
            items.push(item);
        }
        Ok(Some(match kind {
            b'*' => Value::Array(Some(items)),
            b'~' => Value::Set(items),
            _ => Value::Push(items),
        }))
    }
}

fn number(text: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Malformed(format!("{:?} is no number", String::from_utf8_lossy(text))))
}

fn length(len: i64) -> Result<usize, Malformed> {
    usize::try_from(len).map_err(|_| Malformed(format!("a length of {len}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Value {
        let (value, len) = parse(bytes).expect("well formed").expect("complete");
        assert_eq!(len, bytes.len());
        value
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(whole(b"+OK\r\n"), Value::Simple(b"OK".to_vec()));
        assert_eq!(whole(b"-ERR no\r\n"), Value::Error(b"ERR no".to_vec()));
        assert_eq!(whole(b":-3\r\n"), Value::Integer(-3));
        assert_eq!(whole(b"$4\r\na\r\nb\r\n"), Value::Bulk(Some(b"a\r\nb".to_vec())));
        assert_eq!(whole(b"$-1\r\n"), Value::Bulk(None));
        assert_eq!(whole(b"*-1\r\n"), Value::Array(None));
        assert_eq!(
            whole(b"*2\r\n:1\r\n*0\r\n"),
            Value::Array(Some(vec![Value::Integer(1), Value::Array(Some(vec![]))]))
        );
        assert_eq!(whole(b"_\r\n"), Value::Null);
        assert_eq!(whole(b"#t\r\n"), Value::Boolean(true));
        assert_eq!(whole(b",inf\r\n"), Value::Double(b"inf".to_vec()));
        assert_eq!(whole(b"(123\r\n"), Value::BigNumber(b"123".to_vec()));
        assert_eq!(whole(b"=6\r\ntxt:hi\r\n"), Value::Verbatim(*b"txt", b"hi".to_vec()));
        assert_eq!(
            whole(b"%1\r\n+a\r\n:1\r\n"),
            Value::Map(vec![(Value::Simple(b"a".to_vec()), Value::Integer(1))])
        );
        assert_eq!(whole(b"~1\r\n:1\r\n"), Value::Set(vec![Value::Integer(1)]));
        assert_eq!(whole(b">1\r\n:1\r\n"), Value::Push(vec![Value::Integer(1)]));
    }

    #[test]
    fn every_proper_prefix_asks_for_more() {
        let bytes = b"*3\r\n$3\r\nfoo\r\n%1\r\n+a\r\n=6\r\ntxt:hi\r\n:1\r\n";
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "prefix of {end} bytes");
        }
        whole(bytes);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in
            [&b"hello\r\n"[..], b"\r\n", b":x\r\n", b"$-2\r\n", b"*-2\r\n", b"$1\r\nab\r\n"]
        {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(parse(&b"*1\r\n".repeat(DEPTH_MAX + 2)).is_err());
    }
}
