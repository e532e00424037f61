//! MONITOR: a line per command, for the clients that watch.

use crate::clients::{Client, ClientFlags};
use crate::connection::{Connection, Session};
use crate::core::Core;
use crate::message::{Message, Notice};
use crate::redact::redacted;
use crate::registry::Registered;
use protocol::command::Flags;
use protocol::request::Argv;
use std::rc::Rc;
use std::sync::atomic::Ordering;

impl Core {
    /// Shows a command to all clients that MONITOR, on whatever core.
    pub(crate) fn feed_monitors(
        self: &Rc<Self>,
        command: &Registered,
        session: &Session,
        client: &Client,
        argv: Argv<'_>,
    ) {
        // Scripts are shown before their commands, so not where other commands are.
        let is_hidden = command.is(Flags::SKIP_MONITOR) && !command.is_script();
        if !is_hidden {
            self.show(command, session.db, &client.address(), argv);
        }
    }

    /// The same for a command of a script.
    pub(crate) fn feed_monitors_of_script(
        self: &Rc<Self>,
        command: &Registered,
        db: u16,
        argv: Argv<'_>,
    ) {
        self.show(command, db, "lua", argv);
    }

    fn show(self: &Rc<Self>, command: &Registered, db: u16, address: &str, argv: Argv<'_>) {
        if command.is(Flags::ADMIN) || !self.shared.is_monitored() {
            return;
        }
        let line = line(self.now().unix_us, db, address, argv);
        for core in 0..self.shared.shard_count() {
            self.post(core, Message::Tell(Box::new(Notice::Monitor(line.clone()))));
        }
    }
}

/// `+1700000000.123456 [0 127.0.0.1:50000] "SET" "k" "v"`, as Redis prints it.
fn line(unix_us: i64, db: u16, address: &str, argv: Argv<'_>) -> Vec<u8> {
    let (seconds, micros) = (unix_us / 1_000_000, unix_us % 1_000_000);
    let mut line = format!("+{seconds}.{micros:06} [{db} {address}]").into_bytes();
    for arg in redacted(argv) {
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

impl Connection {
    /// Starts to watch; MONITOR.
    pub(crate) fn start_monitoring(&mut self) {
        self.reply(|writer| writer.ok());
        // The first line must not overtake the reply.
        self.flush();
        if !std::mem::replace(&mut self.session.is_monitor, true) {
            self.peer.client.set_flag(ClientFlags::MONITOR, true);
            self.core.shared.monitor_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Watches no longer: RESET, or the end of the connection.
    pub(crate) fn stop_monitoring(&mut self) {
        if std::mem::take(&mut self.session.is_monitor) {
            self.peer.client.set_flag(ClientFlags::MONITOR, false);
            self.core.shared.monitor_count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    #[test]
    fn a_line_quotes_what_is_not_plain_text() {
        let argv: ArgvBuf = [&b"SET"[..], b"a\"\\", b"\r\n\t\x00\xff"].into_iter().collect();
        let line = line(1_700_000_000_000_042, 3, "127.0.0.1:5", argv.as_argv());
        let expected =
            "+1700000000.000042 [3 127.0.0.1:5] \"SET\" \"a\\\"\\\\\" \"\\r\\n\\t\\x00\\xff\"\r\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn a_password_is_not_shown() {
        let argv: ArgvBuf = [&b"AUTH"[..], b"secret"].into_iter().collect();
        let line = line(0, 0, "?:0", argv.as_argv());
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "+0.000000 [0 ?:0] \"AUTH\" \"(redacted)\"\r\n"
        );
    }
}
