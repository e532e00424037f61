//! MONITOR: a line per command, for the clients that watch.

use crate::clients::Client;
use crate::connection::Session;
use crate::core::Core;
use crate::message::{Message, Notice};
use crate::registry::Registered;
use protocol::command::Flags;
use protocol::request::Argv;
use std::rc::Rc;

impl Core {
    /// Shows a command to all clients that MONITOR, on whatever core.
    pub(crate) fn feed_monitors(
        self: &Rc<Self>,
        command: &Registered,
        session: &Session,
        client: &Client,
        argv: Argv<'_>,
    ) {
        let is_hidden = command.is(Flags::SKIP_MONITOR) || command.is(Flags::ADMIN);
        if is_hidden || !self.shared.is_monitored() {
            return;
        }
        let line = line(self.now().unix_us, session.db, &client.address(), argv);
        for core in 0..self.shared.shard_count() {
            self.post(core, Message::Tell(Box::new(Notice::Monitor(line.clone()))));
        }
    }
}

/// `+1700000000.123456 [0 127.0.0.1:50000] "SET" "k" "v"`, as Redis prints it.
fn line(unix_us: i64, db: u16, address: &str, argv: Argv<'_>) -> Vec<u8> {
    let (seconds, micros) = (unix_us / 1_000_000, unix_us % 1_000_000);
    let mut line = format!("+{seconds}.{micros:06} [{db} {address}]").into_bytes();
    for arg in argv.iter() {
        line.extend_from_slice(b" \"");
        for &byte in arg {
            match byte {
                b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                b'\t' => line.extend_from_slice(b"\\t"),
                0x07 => line.extend_from_slice(b"\\a"),
                0x08 => line.extend_from_slice(b"\\b"),
                0x20..=0x7e => line.push(byte),
                _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            }
        }
        line.push(b'"');
    }
    line.extend_from_slice(b"\r\n");
    line
}
