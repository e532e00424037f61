//! A push message, encoded once for each protocol version that somebody listens in.

use protocol::reply::{Resp, Writer};
use std::sync::OnceLock;

/// An encoded message that many connections get.
#[derive(Debug)]
pub struct Frame {
    resp2: Vec<u8>,
    /// The same with another first byte; made when the first client needs it.
    resp3: OnceLock<Vec<u8>>,
}

impl Frame {
    /// A push of `parts`, all bulk strings.
    #[must_use]
    pub fn new(parts: &[&[u8]]) -> Frame {
        let mut resp2 = Vec::with_capacity(parts.iter().map(|part| part.len() + 16).sum());
        let mut writer = Writer::new(&mut resp2, Resp::V2);
        writer.push(parts.len());
        parts.iter().for_each(|part| writer.bulk(part));
        Frame { resp2, resp3: OnceLock::new() }
    }

    /// The message for a client that speaks `resp`.
    #[must_use]
    pub fn bytes(&self, resp: Resp) -> &[u8] {
        match resp {
            Resp::V2 => &self.resp2,
            Resp::V3 => self.resp3.get_or_init(|| {
                let mut bytes = self.resp2.clone();
                bytes[0] = b'>';
                bytes
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ_in_the_first_byte() {
        let frame = Frame::new(&[b"message", b"ch", b"\x00\xff"]);
        let rest = b"3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\n\x00\xff\r\n";
        assert_eq!(frame.bytes(Resp::V2), [b"*", rest.as_slice()].concat());
        assert_eq!(frame.bytes(Resp::V3), [b">", rest.as_slice()].concat());
    }
}
