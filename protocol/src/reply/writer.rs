//! Appends replies to a buffer that somebody else owns and reuses, so a reply costs no allocation.

use super::Resp;
use crate::number::{LongDouble, format_f64};

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
        self.line(b'+', text.as_bytes());
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

    /// A double: `,0.5` in RESP3, its text as a bulk string in RESP2; see [`format_f64`].
    pub fn double(&mut self, value: f64) {
        self.number_text(format_f64(value).as_bytes());
    }

    /// A double from 80-bit arithmetic, with at most 17 digits behind the point; see [`LongDouble`].
    pub fn long_double(&mut self, value: LongDouble) {
        self.number_text(&value.to_text());
    }

    /// A truth value: `#t` or `#f` in RESP3, 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match (self.resp, value) {
            (Resp::V2, _) => self.integer(i64::from(value)),
            (Resp::V3, true) => self.out.extend_from_slice(b"#t\r\n"),
            (Resp::V3, false) => self.out.extend_from_slice(b"#f\r\n"),
        }
    }

    /// An integer of any size, as its decimal digits: `(123` in RESP3, a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &[u8]) {
        match self.resp {
            Resp::V2 => self.bulk(digits),
            Resp::V3 => self.line(b'(', digits),
        }
    }

    /// Text for people to read, such as INFO: `=` with its format in RESP3, a bulk string in RESP2.
    ///
    /// The format is `txt` for plain text or `mkd` for Markdown.
    pub fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.out.extend_from_slice(format);
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
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

    /// Head of `count` pairs that say something about the reply behind them. RESP3 only: RESP2 has no place for
    /// them, so the caller looks at [`Writer::resp`] first.
    pub fn attribute(&mut self, count: usize) {
        assert!(self.resp == Resp::V3, "RESP2 has no attributes");
        self.header(b'|', count as i64);
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
        self.head_before(position, |writer| writer.array(count));
    }

    /// Inserts the head of a set, like [`Writer::array_before`].
    pub fn set_before(&mut self, position: usize, count: usize) {
        self.head_before(position, |writer| writer.set(count));
    }

    /// Inserts the head of a map of `count` pairs, like [`Writer::array_before`].
    pub fn map_before(&mut self, position: usize, count: usize) {
        self.head_before(position, |writer| writer.map(count));
    }

    fn head_before(&mut self, position: usize, write_head: impl FnOnce(&mut Self)) {
        let end = self.out.len();
        write_head(self);
        let head_len = self.out.len() - end;
        self.out[position..].rotate_right(head_len);
    }

    fn number_text(&mut self, text: &[u8]) {
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => self.line(b',', text),
        }
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, kind: u8, value: i64) {
        self.out.push(kind);
        let mut digits = itoa::Buffer::new();
        self.out.extend_from_slice(digits.format(value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `write` writes in RESP2 and in RESP3.
    #[track_caller]
    fn check(write: impl Fn(&mut Writer<'_>), resp2: &str, resp3: &str) {
        for (resp, expected) in [(Resp::V2, resp2), (Resp::V3, resp3)] {
            let mut out = b"before".to_vec();
            write(&mut Writer::new(&mut out, resp));
            let written = out.strip_prefix(b"before").expect("what was there stays");
            assert_eq!(written.escape_ascii().to_string(), expected.escape_default().to_string());
        }
    }

    #[test]
    fn types_that_both_versions_have() {
        check(|w| w.ok(), "+OK\r\n", "+OK\r\n");
        check(|w| w.status("QUEUED"), "+QUEUED\r\n", "+QUEUED\r\n");
        check(|w| w.error(b"ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n");
        check(|w| w.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
        check(|w| w.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n");
        check(|w| w.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
        check(|w| w.array(0), "*0\r\n", "*0\r\n");
    }

    #[test]
    fn types_that_resp2_lacks() {
        check(|w| w.null(), "$-1\r\n", "_\r\n");
        check(|w| w.null_array(), "*-1\r\n", "_\r\n");
        check(|w| w.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(|w| w.double(3.0), "$1\r\n3\r\n", ",3\r\n");
        check(|w| w.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
        check(
            |w| w.long_double(LongDouble::from(0.1)),
            "$19\r\n0.10000000000000001\r\n",
            ",0.10000000000000001\r\n",
        );
        check(|w| w.boolean(true), ":1\r\n", "#t\r\n");
        check(|w| w.boolean(false), ":0\r\n", "#f\r\n");
        check(|w| w.big_number(b"-12"), "$3\r\n-12\r\n", "(-12\r\n");
        check(|w| w.verbatim(b"txt", b"hi\r\n"), "$4\r\nhi\r\n\r\n", "=8\r\ntxt:hi\r\n\r\n");
        check(|w| w.map(2), "*4\r\n", "%2\r\n");
        check(|w| w.set(2), "*2\r\n", "~2\r\n");
        check(|w| w.push(3), "*3\r\n", ">3\r\n");
    }

    #[test]
    fn an_attribute_goes_before_a_reply() {
        let mut out = Vec::new();
        Writer::new(&mut out, Resp::V3).attribute(1);
        assert_eq!(out, b"|1\r\n");
    }

    #[test]
    fn a_head_can_follow_its_elements() {
        let write = |head: fn(&mut Writer<'_>, usize)| {
            move |w: &mut Writer<'_>| {
                let position = w.position();
                w.integer(1);
                w.integer(2);
                head(w, position);
            }
        };
        check(write(|w, at| w.array_before(at, 2)), "*2\r\n:1\r\n:2\r\n", "*2\r\n:1\r\n:2\r\n");
        check(write(|w, at| w.set_before(at, 2)), "*2\r\n:1\r\n:2\r\n", "~2\r\n:1\r\n:2\r\n");
        check(write(|w, at| w.map_before(at, 1)), "*2\r\n:1\r\n:2\r\n", "%1\r\n:1\r\n:2\r\n");
        check(write(|w, at| w.rewind(at)), "", "");
    }
}
