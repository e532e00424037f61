//! A small blocking RESP client: bytes in, bytes out, replies in order.
//!
//! Two kinds of methods: `try_*` return `io::Result`, for tests in which the connection may break;
//! the others panic with what went wrong, so that an ordinary test reads like a dialogue.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::quoting;
use crate::value::{self, Value};
use crate::wait::PATIENCE;

/// How much is read from the socket at once.
const READ_SIZE: usize = 64 << 10;

/// A reply and the bytes it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the bytes mean.
    pub value: Value,
    /// What the server sent.
    pub raw: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Bytes received; those before `start` have been handed out.
    buffer: Vec<u8>,
    start: usize,
}

impl Client {
    /// Connects to a server on this machine.
    ///
    /// # Errors
    /// Those of `connect(2)`.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, buffer: Vec::new(), start: 0 })
    }

    /// The address of this end, as the server shows it in CLIENT LIST.
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// How long a read may wait; `None` is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.stream.set_read_timeout(timeout).expect("the timeout is not zero");
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Those of `write(2)`.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).expect("the server takes what is sent");
    }

    /// Sends one command.
    pub fn send(&mut self, args: &[impl AsRef<[u8]>]) {
        self.send_raw(&encode(args));
    }

    /// The next reply, waiting for it as long as the read timeout says.
    ///
    /// # Errors
    /// `UnexpectedEof` when the server has closed, `WouldBlock` when nothing came in time,
    /// `InvalidData` when what came is no RESP, or what `read(2)` says.
    pub fn try_read(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) = self.try_take()? {
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    /// The next reply.
    pub fn read(&mut self) -> Reply {
        match self.try_read() {
            Ok(reply) => reply,
            Err(error) => panic!(
                "no reply: {error}; unread bytes: {}",
                quoting::quote(&self.buffer[self.start..])
            ),
        }
    }

    /// The next `count` replies.
    pub fn read_many(&mut self, count: usize) -> Vec<Reply> {
        (0..count).map(|_| self.read()).collect()
    }

    /// Sends a command and waits for its reply.
    ///
    /// # Errors
    /// As [`try_read`](Self::try_read) and [`try_send_raw`](Self::try_send_raw).
    pub fn try_call(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<Value> {
        self.try_send_raw(&encode(args))?;
        Ok(self.try_read()?.value)
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, args: &[impl AsRef<[u8]>]) -> Value {
        self.send(args);
        self.read().value
    }

    /// Sends a command written as in redis-cli and waits for its reply.
    pub fn run(&mut self, line: &str) -> Value {
        self.call(&quoting::split(line).expect("the command is quoted well"))
    }

    /// Sends a command written as in redis-cli that must answer `OK`.
    pub fn ok(&mut self, line: &str) {
        let value = self.run(line);
        assert!(value.is_ok(), "{line}: {value:?}");
    }

    /// Everything the server sends until it closes the connection.
    ///
    /// # Errors
    /// As `read(2)`; a reset by the peer counts as a close.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(error) if is_close(&error) => return Ok(self.buffer.split_off(self.start)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the server has closed the connection and everything it sent was read.
    ///
    /// # Errors
    /// When something else than the end comes, or nothing in time.
    pub fn expect_close(&mut self) -> Result<(), String> {
        match self.try_read() {
            Ok(reply) => Err(format!("a reply instead of the end: {}", quoting::quote(&reply.raw))),
            Err(error) if is_close(&error) => Ok(()),
            Err(error) => Err(format!("no end: {error}")),
        }
    }

    /// Whether nothing has arrived that was not yet read. Does not wait.
    pub fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket can be made non-blocking");
        let filled = self.fill();
        self.stream.set_nonblocking(false).expect("a socket can be made blocking");
        let would_block = filled.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        would_block && self.start == self.buffer.len()
    }

    /// Tells the server that nothing more will be sent; replies can still be read.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// A reply that has already been received completely.
    fn try_take(&mut self) -> io::Result<Option<Reply>> {
        let unread = &self.buffer[self.start..];
        let parsed = value::parse(unread)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let Some((value, len)) = parsed else { return Ok(None) };
        let raw = unread[..len].to_vec();
        self.start += len;
        Ok(Some(Reply { value, raw }))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let received = self.buffer.len();
        self.buffer.resize(received + READ_SIZE, 0);
        let read = self.stream.read(&mut self.buffer[received..]);
        self.buffer.truncate(received + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Whether an error of a read or write means that the other side is gone.
pub fn is_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// A command as an array of bulk strings.
pub fn encode(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(encode(&["GET", "k"]), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }

    #[test]
    fn replies_are_read_one_by_one_however_they_arrive() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            for part in [&b"+O"[..], b"K\r\n:1\r", b"\n$-1\r\n"] {
                socket.write_all(part).unwrap();
                socket.flush().unwrap();
            }
        });
        let mut client = Client::connect(address).unwrap();
        assert_eq!(client.read().raw, b"+OK\r\n");
        assert_eq!(client.read().value, Value::Integer(1));
        assert_eq!(client.read().value, Value::Bulk(None));
        client.expect_close().unwrap();
        server.join().unwrap();
    }
}
