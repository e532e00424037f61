//! Requests in bulk: bytes out, replies counted. What `redis-cli --pipe` does, and a little more.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

/// Bytes collected before they are sent.
const CHUNK_SIZE: usize = 256 << 10;

/// One reply, as far as a load generator cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A string that is there.
    Bulk,
    /// A missing one.
    Nil,
    /// A status.
    Status,
    /// An integer.
    Integer(i64),
    /// An array with so many elements, which have been read and are of no interest.
    Array(usize),
    /// An error, with its text.
    Error(String),
}

/// A connection that writes requests in bulk and reads simple replies.
#[derive(Debug)]
pub struct Pipe {
    socket: TcpStream,
    replies: BufReader<TcpStream>,
}

impl Pipe {
    /// Connects to a server on 127.0.0.1.
    ///
    /// # Errors
    /// When there is none.
    pub fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        let replies = BufReader::with_capacity(64 << 10, socket.try_clone()?);
        Ok(Self { socket, replies })
    }

    /// Sends requests as they are.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn send(&mut self, requests: &[u8]) -> io::Result<()> {
        self.socket.write_all(requests)
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// When the connection is lost or the reply is of no kind that was expected.
    pub fn read(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        let text = line.trim_end();
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| io::Error::other(format!("odd reply {text:?}")))
        };
        match text.split_at_checked(1) {
            Some(("+", _)) => Ok(Reply::Status),
            Some((":", rest)) => Ok(Reply::Integer(number(rest)?)),
            Some(("-", rest)) => Ok(Reply::Error(rest.to_owned())),
            Some(("$" | "*", "-1")) => Ok(Reply::Nil),
            Some(("*", rest)) => {
                let len = usize::try_from(number(rest)?).map_err(io::Error::other)?;
                for _ in 0..len {
                    if let Reply::Error(text) = self.read()? {
                        return Ok(Reply::Error(text));
                    }
                }
                Ok(Reply::Array(len))
            }
            Some(("$", rest)) => {
                let len = number(rest)?.unsigned_abs() + 2;
                let mut bulk = (&mut self.replies).take(len);
                io::copy(&mut bulk, &mut io::sink())?;
                Ok(Reply::Bulk)
            }
            _ => Err(io::Error::other(format!("odd reply {text:?}"))),
        }
    }

    /// One request and its reply.
    ///
    /// # Errors
    /// As [`Pipe::read`].
    pub fn call(&mut self, args: &[&[u8]]) -> io::Result<Reply> {
        let mut request = Vec::new();
        encode(&mut request, args);
        self.send(&request)?;
        self.read()
    }

    /// A field of INFO that is a number.
    ///
    /// # Errors
    /// When the connection is lost or there is no such field.
    pub fn info(&mut self, field: &str) -> io::Result<u64> {
        self.send(b"*1\r\n$4\r\nINFO\r\n")?;
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        let len = line.trim_start_matches('$').trim_end().parse::<usize>();
        let mut text = vec![0; len.map_err(io::Error::other)? + 2];
        self.replies.read_exact(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = value.and_then(|value| value.trim().parse().ok());
        number.ok_or_else(|| io::Error::other(format!("INFO has no number {field}")))
    }

    /// Sends `count` requests, each made by `request` from its number, while a thread of its own reads the replies.
    ///
    /// # Errors
    /// When the connection is lost; or the first error reply.
    pub fn load(&mut self, count: usize, request: impl Fn(&mut Vec<u8>, usize)) -> io::Result<()> {
        let Self { socket, replies } = self;
        let mut reader =
            Pipe { socket: socket.try_clone()?, replies: BufReader::new(socket.try_clone()?) };
        debug_assert!(replies.buffer().is_empty(), "every reply before was read");
        thread::scope(|scope| {
            let read_all = scope.spawn(move || {
                let mut first_error = None;
                for _ in 0..count {
                    if let Reply::Error(text) = reader.read()? {
                        first_error.get_or_insert(text);
                    }
                }
                first_error.map_or(Ok(()), |text| Err(io::Error::other(text)))
            });
            let mut bytes = Vec::with_capacity(CHUNK_SIZE * 2);
            for number in 0..count {
                request(&mut bytes, number);
                if bytes.len() >= CHUNK_SIZE || number + 1 == count {
                    socket.write_all(&bytes)?;
                    bytes.clear();
                }
            }
            read_all.join().expect("the reader does not panic")
        })
    }
}

/// Appends one request.
pub fn encode(bytes: &mut Vec<u8>, args: &[&[u8]]) {
    let write = |bytes: &mut Vec<u8>, kind: char, len: usize| {
        write!(bytes, "{kind}{len}\r\n").expect("writing to memory cannot fail");
    };
    write(bytes, '*', args.len());
    for arg in args {
        write(bytes, '$', arg.len());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn requests_are_resp() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &[b"SET", b"k", b""]);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }

    #[test]
    fn replies_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let mut pipe = Pipe::connect(port).expect("it listens");
        let (mut server, _) = listener.accept().expect("it has connected");
        server
            .write_all(
                b"+OK\r\n$-1\r\n$3\r\nabc\r\n:-7\r\n-ERR no\r\n*2\r\n*1\r\n:1\r\n$1\r\nx\r\n%0\r\n",
            )
            .expect("open");
        let mut next = || pipe.read().expect("a reply");
        assert_eq!(next(), Reply::Status);
        assert_eq!(next(), Reply::Nil);
        assert_eq!(next(), Reply::Bulk);
        assert_eq!(next(), Reply::Integer(-7));
        assert_eq!(next(), Reply::Error("ERR no".to_owned()));
        assert_eq!(next(), Reply::Array(2));
        assert!(pipe.read().is_err());
    }
}
