//! Replies: values to RESP2 or RESP3 bytes.
//!
//! Path: `shard::commands` and `server::commands` write here; `server::connection::output` sends the bytes.
//! The [`Writer`] appends to a buffer that somebody else owns and reuses, so a reply costs no allocation.

/// Protocol version of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resp {
    /// RESP2: what every client speaks until it says HELLO 3.
    #[default]
    V2,
    /// RESP3.
    V3,
}

/// Appends replies to a buffer in one protocol version.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    resp: Resp,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, resp: Resp) -> Self {
        Writer { out, resp }
    }

    /// The version this writer encodes.
    #[must_use]
    pub fn resp(&self) -> Resp {
        self.resp
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status, such as `QUEUED`. The text holds no line break.
    pub fn status(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// An error. `text` begins with its code (`ERR`, `WRONGTYPE`); line breaks in it become spaces, as in Redis.
    pub fn error(&mut self, text: &[u8]) {
        self.out.push(b'-');
        self.out.extend(text.iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A bulk string.
    pub fn bulk(&mut self, value: &[u8]) {
        self.header(b'$', value.len() as i64);
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Null: `$-1` in RESP2, `_` in RESP3.
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.resp {
            Resp::V2 => b"$-1\r\n",
            Resp::V3 => b"_\r\n",
        });
    }

    /// Null where RESP2 expects an array: `*-1` in RESP2, `_` in RESP3.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.resp {
            Resp::V2 => b"*-1\r\n",
            Resp::V3 => b"_\r\n",
        });
    }

    /// Head of an array of `count` elements, which follow.
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count as i64);
    }

    /// Head of a map of `count` pairs, which follow; a flat array in RESP2.
    pub fn map(&mut self, count: usize) {
        match self.resp {
            Resp::V2 => self.header(b'*', 2 * count as i64),
            Resp::V3 => self.header(b'%', count as i64),
        }
    }

    /// Head of a set of `count` elements, which follow; an array in RESP2.
    pub fn set(&mut self, count: usize) {
        match self.resp {
            Resp::V2 => self.header(b'*', count as i64),
            Resp::V3 => self.header(b'~', count as i64),
        }
    }

    /// Head of a push message of `count` elements, which follow; an array in RESP2.
    pub fn push(&mut self, count: usize) {
        match self.resp {
            Resp::V2 => self.header(b'*', count as i64),
            Resp::V3 => self.header(b'>', count as i64),
        }
    }

    /// Bytes that are already encoded for this version.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Where the next reply would begin; see [`Writer::rewind`].
    #[must_use]
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything written since `position`.
    pub fn rewind(&mut self, position: usize) {
        self.out.truncate(position);
    }

    /// Inserts the head of an array of `count` elements before the elements written since `position`.
    ///
    /// For replies whose length is known only at their end. Cost: one move of those bytes.
    pub fn array_before(&mut self, position: usize, count: usize) {
        let end = self.out.len();
        self.array(count);
        let head_len = self.out.len() - end;
        self.out[position..].rotate_right(head_len);
    }

    fn header(&mut self, kind: u8, value: i64) {
        self.out.push(kind);
        let mut digits = itoa::Buffer::new();
        self.out.extend_from_slice(digits.format(value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}
