//! A GET request over a plain socket, for the metrics and health pages.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::PATIENCE;

/// What an HTTP server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200, 404, ...
    pub status: u16,
    /// Header lines without the status line.
    pub head: String,
    /// Everything after the empty line.
    pub body: String,
}

/// Asks for a page; the server is told to close afterwards.
///
/// # Errors
/// Those of the socket, and `InvalidData` when the answer is no HTTP.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text))
}

fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status_line, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some(Response { status, head: head.into(), body: body.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_apart() {
        let response = parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody").unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "body"));
        assert_eq!(response.head, "A: b");
        assert_eq!(parse("+PONG\r\n"), None);
    }
}
