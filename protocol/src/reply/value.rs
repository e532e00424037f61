//! A decoded reply, as a client sees it. The server itself never decodes replies.

use super::parse::Token;
use crate::error::ReplyError;
use crate::number::{parse_f64, parse_i64};

/// Deepest nesting of a reply that is decoded. Redis's deepest, COMMAND DOCS, has about a dozen levels.
const NESTING_MAX: usize = 64;

/// One reply with all its elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+`.
    Status(Vec<u8>),
    /// `-` or `!`: code and message.
    Error(Vec<u8>),
    /// `:`.
    Integer(i64),
    /// `$`.
    Bulk(Vec<u8>),
    /// `$-1` or `_`.
    Null,
    /// `*-1`.
    NullArray,
    /// `*`.
    Array(Vec<Reply>),
    /// `,`.
    Double(f64),
    /// `#`.
    Boolean(bool),
    /// `(`: decimal digits.
    BigNumber(Vec<u8>),
    /// `=`.
    Verbatim {
        /// `txt` or `mkd`.
        format: [u8; 3],
        /// The text itself.
        text: Vec<u8>,
    },
    /// `%`: pairs in the order of the wire.
    Map(Vec<(Reply, Reply)>),
    /// `~`: in the order of the wire.
    Set(Vec<Reply>),
    /// `>`.
    Push(Vec<Reply>),
    /// `|`, and the reply behind it.
    Attribute {
        /// What it says about the reply.
        pairs: Vec<(Reply, Reply)>,
        /// The reply.
        reply: Box<Reply>,
    },
}

impl Reply {
    /// Decodes the reply that `bytes` begins with, and says how many bytes it takes. `None` if it is not all there
    /// yet: the next call begins anew.
    ///
    /// Memory is in proportion to the bytes there are, never to a count announced.
    ///
    /// # Errors
    /// If the bytes are no reply, or one nested deeper than 64 levels.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, ReplyError> {
        let mut decoder = Decoder { bytes, position: 0 };
        let reply = decoder.reply(NESTING_MAX)?;
        Ok(reply.map(|reply| (reply, decoder.position)))
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Decoder<'_> {
    /// Decodes one reply with at most `depth` levels.
    fn reply(&mut self, depth: usize) -> Result<Option<Reply>, ReplyError> {
        let Some((token, len)) = Token::read(&self.bytes[self.position..])? else {
            return Ok(None);
        };
        self.position += len;
        let depth = depth.checked_sub(1).ok_or(ReplyError::TooDeep)?;
        match token {
            Token::Line { kind, text } => line(kind, text).map(Some),
            Token::Bulk { kind, text } => bulk(kind, text).map(Some),
            Token::Null { kind: b'*' } => Ok(Some(Reply::NullArray)),
            Token::Null { .. } => Ok(Some(Reply::Null)),
            Token::Aggregate { kind: b'%', count } => Ok(self.pairs(count, depth)?.map(Reply::Map)),
            Token::Aggregate { kind, count } => {
                let Some(elements) = self.elements(count, depth)? else {
                    return Ok(None);
                };
                Ok(Some(match kind {
                    b'~' => Reply::Set(elements),
                    b'>' => Reply::Push(elements),
                    _ => Reply::Array(elements),
                }))
            }
            Token::Attribute { count } => {
                let Some(pairs) = self.pairs(count, depth)? else {
                    return Ok(None);
                };
                let reply = self.reply(depth)?;
                Ok(reply.map(|reply| Reply::Attribute { pairs, reply: Box::new(reply) }))
            }
        }
    }

    fn elements(&mut self, count: u64, depth: usize) -> Result<Option<Vec<Reply>>, ReplyError> {
        let mut elements = Vec::new();
        for _ in 0..count {
            let Some(element) = self.reply(depth)? else {
                return Ok(None);
            };
            elements.push(element);
        }
        Ok(Some(elements))
    }

    fn pairs(
        &mut self,
        count: u64,
        depth: usize,
    ) -> Result<Option<Vec<(Reply, Reply)>>, ReplyError> {
        let mut pairs = Vec::new();
        for _ in 0..count {
            let (Some(key), Some(value)) = (self.reply(depth)?, self.reply(depth)?) else {
                return Ok(None);
            };
            pairs.push((key, value));
        }
        Ok(Some(pairs))
    }
}

fn line(kind: u8, text: &[u8]) -> Result<Reply, ReplyError> {
    let reply = match (kind, text) {
        (b'+', _) => Some(Reply::Status(text.to_vec())),
        (b'-', _) => Some(Reply::Error(text.to_vec())),
        (b':', _) => parse_i64(text).map(Reply::Integer),
        (b',', b"nan") => Some(Reply::Double(f64::NAN)),
        (b',', _) => parse_f64(text).map(Reply::Double),
        (b'#', b"t") => Some(Reply::Boolean(true)),
        (b'#', b"f") => Some(Reply::Boolean(false)),
        (b'(', [b'-', digits @ ..] | digits) if is_number(digits) => {
            Some(Reply::BigNumber(text.to_vec()))
        }
        _ => None,
    };
    reply.ok_or(ReplyError::InvalidValue)
}

fn is_number(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn bulk(kind: u8, text: &[u8]) -> Result<Reply, ReplyError> {
    match (kind, text) {
        (b'!', _) => Ok(Reply::Error(text.to_vec())),
        (b'=', &[a, b, c, b':', ref text @ ..]) => {
            Ok(Reply::Verbatim { format: [a, b, c], text: text.to_vec() })
        }
        (b'=', _) => Err(ReplyError::InvalidValue),
        _ => Ok(Reply::Bulk(text.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::parse::{element_len, elements};
    use crate::reply::{Resp, Writer};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn write(reply: &Reply, writer: &mut Writer<'_>) {
        let write_pairs = |pairs: &[(Reply, Reply)], writer: &mut Writer<'_>| {
            for (key, value) in pairs {
                write(key, writer);
                write(value, writer);
            }
        };
        match reply {
            Reply::Status(text) => writer.status(std::str::from_utf8(text).expect("ASCII")),
            Reply::Error(text) => writer.error(text),
            Reply::Integer(value) => writer.integer(*value),
            Reply::Bulk(text) => writer.bulk(text),
            Reply::Null => writer.null(),
            Reply::NullArray => writer.raw(b"*-1\r\n"),
            Reply::Double(value) => writer.double(*value),
            Reply::Boolean(value) => writer.boolean(*value),
            Reply::BigNumber(digits) => writer.big_number(digits),
            Reply::Verbatim { format, text } => writer.verbatim(format, text),
            Reply::Map(pairs) => {
                writer.map(pairs.len());
                write_pairs(pairs, writer);
            }
            Reply::Attribute { pairs, reply } => {
                writer.attribute(pairs.len());
                write_pairs(pairs, writer);
                write(reply, writer);
            }
            Reply::Array(elements) => {
                writer.array(elements.len());
                elements.iter().for_each(|element| write(element, writer));
            }
            Reply::Set(elements) => {
                writer.set(elements.len());
                elements.iter().for_each(|element| write(element, writer));
            }
            Reply::Push(elements) => {
                writer.push(elements.len());
                elements.iter().for_each(|element| write(element, writer));
            }
        }
    }

    fn reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            "[a-zA-Z ]{0,9}".prop_map(|text| Reply::Status(text.into_bytes())),
            "[A-Z]{1,9} [a-z ]{0,9}".prop_map(|text| Reply::Error(text.into_bytes())),
            any::<i64>().prop_map(Reply::Integer),
            vec(any::<u8>(), 0..20).prop_map(Reply::Bulk),
            Just(Reply::Null),
            Just(Reply::NullArray),
            any::<f64>().prop_map(Reply::Double),
            any::<bool>().prop_map(Reply::Boolean),
            "-?[1-9][0-9]{0,30}".prop_map(|text| Reply::BigNumber(text.into_bytes())),
            vec(any::<u8>(), 0..20).prop_map(|text| Reply::Verbatim { format: *b"txt", text }),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let pairs = || vec((inner.clone(), inner.clone()), 0..3);
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Reply::Array),
                vec(inner.clone(), 0..5).prop_map(Reply::Set),
                vec(inner.clone(), 0..5).prop_map(Reply::Push),
                pairs().prop_map(Reply::Map),
                (pairs(), inner.clone())
                    .prop_map(|(pairs, reply)| Reply::Attribute { pairs, reply: Box::new(reply) }),
            ]
        })
    }

    #[test]
    fn values_that_do_not_fit_their_type_are_refused() {
        for bytes in
            [":x\r\n", ":\r\n", ",x\r\n", "#x\r\n", "(\r\n", "(1x\r\n", "(-\r\n", "=3\r\ntxt\r\n"]
        {
            assert_eq!(Reply::parse(bytes.as_bytes()), Err(ReplyError::InvalidValue), "{bytes:?}");
        }
    }

    #[test]
    fn a_huge_announcement_reserves_nothing() {
        for head in ["*4294967295\r\n", "%4294967295\r\n+k\r\n", "$4294967295\r\nab"] {
            assert_eq!(Reply::parse(head.as_bytes()), Ok(None), "{head:?}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth| "*1\r\n".repeat(depth) + ":1\r\n";
        assert!(matches!(Reply::parse(nested(NESTING_MAX - 1).as_bytes()), Ok(Some(_))));
        assert_eq!(Reply::parse(nested(NESTING_MAX).as_bytes()), Err(ReplyError::TooDeep));
        assert_eq!(Reply::parse(nested(1_000_000).as_bytes()), Err(ReplyError::TooDeep));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(reply in reply()) {
            let mut bytes = Vec::new();
            write(&reply, &mut Writer::new(&mut bytes, Resp::V3));
            prop_assert_eq!(element_len(&bytes), Ok(Some(bytes.len())));
            prop_assert_eq!(Reply::parse(&bytes), Ok(Some((reply.clone(), bytes.len()))));
            for len in 0..bytes.len() {
                prop_assert_eq!(element_len(&bytes[..len]), Ok(None));
                prop_assert_eq!(Reply::parse(&bytes[..len]), Ok(None));
            }
            if let Reply::Array(parts) | Reply::Set(parts) | Reply::Push(parts) = &reply {
                let encoded: Result<Vec<_>, _> = elements(&bytes).expect("an aggregate").collect();
                let decoded: Vec<_> = encoded
                    .expect("whole")
                    .into_iter()
                    .map(|element| Reply::parse(element).expect("good").expect("whole").0)
                    .collect();
                prop_assert_eq!(&decoded, parts);
            }
        }

        #[test]
        fn random_bytes_do_no_harm(text in "[-+:,#($!=_*~>%|0-9a\r\n]{0,60}", bytes: Vec<u8>) {
            for bytes in [text.as_bytes(), &bytes] {
                let len = element_len(bytes);
                match Reply::parse(bytes) {
                    Ok(Some((_, reply_len))) => prop_assert_eq!(len, Ok(Some(reply_len))),
                    Ok(None) => prop_assert_eq!(len, Ok(None)),
                    Err(_) => {}
                }
            }
        }
    }
}
