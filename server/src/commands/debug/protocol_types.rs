//! DEBUG PROTOCOL: one value of each type of the protocol, for tests of clients.

use crate::connection::Connection;
use protocol::reply::{Resp, Writer};
use shard::CommandError;

impl Connection {
    /// Answers a value of the type `name`.
    pub(super) fn reply_of_type(&mut self, name: &[u8]) -> Result<(), CommandError> {
        let mut value = Vec::new();
        write_of_type(name, &mut Writer::new(&mut value, self.session.resp))?;
        self.reply(|writer| writer.raw(&value));
        Ok(())
    }
}

/// Writes a value of the type `name`.
///
/// # Errors
/// There is no such type.
pub(crate) fn write_of_type(name: &[u8], writer: &mut Writer<'_>) -> Result<(), CommandError> {
    let name = name.to_ascii_lowercase();
    match name.as_slice() {
        b"string" => writer.bulk(b"Hello World"),
        b"integer" => writer.integer(12345),
        b"double" => {
            #[expect(clippy::approx_constant, reason = "clients' tests expect these digits")]
            let number = 3.141;
            writer.double(number);
        }
        b"bignum" => writer.big_number(b"1234567999999999999999999999999999999"),
        b"null" => writer.null(),
        b"true" | b"false" => writer.boolean(name == b"true"),
        b"verbatim" => writer.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"array" | b"set" => {
            match name.as_slice() {
                b"set" => writer.set(3),
                _ => writer.array(3),
            }
            (0..3).for_each(|number| writer.integer(number));
        }
        b"map" => {
            writer.map(3);
            for number in 0..3 {
                writer.integer(number);
                writer.boolean(number == 1);
            }
        }
        b"attrib" => {
            if writer.resp() == Resp::V3 {
                writer.attribute(1);
                writer.bulk(b"key-popularity");
                writer.array(2);
                writer.bulk(b"key:123");
                writer.integer(90);
            }
            writer.bulk(b"Some real reply following the attribute");
        }
        b"push" if writer.resp() == Resp::V2 => {
            return Err(CommandError::text("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            // A push never stands inside a reply: it comes behind that of the command.
            writer.bulk(b"Some real reply following the push reply");
            writer.push(2);
            writer.bulk(b"server-cpu-usage");
            writer.integer(42);
        }
        _ => {
            return Err(CommandError::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
