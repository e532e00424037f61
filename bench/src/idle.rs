//! What connections cost that do nothing: resident bytes each, and the CPU of a server full of them.
//!
//! Each connection asks one PING before it falls silent, as every client library does, so a server that
//! keeps buffers after the first request shows them. Servers give memory back with a delay, so the
//! figure is taken when resident memory has settled.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::clock::Clock;
use crate::process::{cpu_time, resident_bytes};
use crate::server::{Binary, Log, Options, Server, TempDir};

/// Resident memory has settled when it has moved by less than this part for [`SETTLED_FOR`].
const SETTLED_PART: f64 = 0.002;
///
/// Longer than the ten seconds after which jemalloc gives unused pages back.
const SETTLED_FOR: Duration = Duration::from_secs(12);
/// After this long it is taken as it is.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the idle CPU is watched.
const CPU_WATCHED_FOR: Duration = Duration::from_secs(3);
/// No PING takes longer.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// A server with this many idle connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Idle {
    /// Connections open.
    pub connections: usize,
    /// Resident bytes of the server.
    pub resident_bytes: u64,
    /// CPU of the server, as a part of one core.
    pub cpu_part: f64,
}

/// Starts a server and measures it with no connection, then with each of `counts` (ascending).
///
/// # Errors
/// When the server cannot be started or refuses a connection.
pub fn measure(binary: &Binary, shards: usize, counts: &[usize]) -> Result<Vec<Idle>, String> {
    let dir = TempDir::new("idle")?;
    let options = Options { shards, log: Log::Off, cpus: Vec::new() };
    let server = Server::start(binary, &options, dir.path())?;
    let mut connections = Vec::new();
    let mut measured = Vec::new();
    for &count in std::iter::once(&0).chain(counts) {
        while connections.len() < count {
            let connection = connect(server.port())
                .map_err(|error| format!("connection {}: {error}", connections.len() + 1))?;
            connections.push(connection);
        }
        measured.push(watch(&server, count).map_err(|error| error.to_string())?);
    }
    // One that was dropped on the way would have made the others look cheap.
    for (index, connection) in connections.iter_mut().enumerate() {
        ping(connection).map_err(|error| format!("connection {}: {error}", index + 1))?;
    }
    Ok(measured)
}

/// Bytes per connection between two measurements; negative if memory shrank.
#[must_use]
pub fn bytes_per_connection(fewer: &Idle, more: &Idle) -> f64 {
    let bytes = more.resident_bytes as f64 - fewer.resident_bytes as f64;
    bytes / (more.connections - fewer.connections) as f64
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(REPLY_WITHIN))?;
    ping(&mut connection)?;
    Ok(connection)
}

fn ping(connection: &mut TcpStream) -> io::Result<()> {
    const PONG: &[u8; 7] = b"+PONG\r\n";
    connection.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    let mut reply = [0; PONG.len()];
    connection.read_exact(&mut reply).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::other("PING was not answered within 10 s"),
        _ => error,
    })?;
    if &reply == PONG { Ok(()) } else { Err(io::Error::other("PING was not answered with PONG")) }
}

/// Waits until resident memory has settled, then takes it and the CPU.
fn watch(server: &Server, connections: usize) -> io::Result<Idle> {
    let clock = Clock::start();
    let mut settled = resident_bytes(server.pid())?;
    let mut settled_since = clock.elapsed();
    while clock.elapsed() < settled_since + SETTLED_FOR && clock.elapsed() < SETTLED_WITHIN {
        std::thread::sleep(LOOK_EVERY);
        let now = resident_bytes(server.pid())?;
        if (now as f64 - settled as f64).abs() > settled as f64 * SETTLED_PART {
            (settled, settled_since) = (now, clock.elapsed());
        }
    }
    let resident_bytes = resident_bytes(server.pid())?;
    let cpu_before = cpu_time(server.pid())?;
    let watched_since = clock.elapsed();
    std::thread::sleep(CPU_WATCHED_FOR);
    let cpu = cpu_time(server.pid())?.saturating_sub(cpu_before);
    let watched = clock.elapsed() - watched_since;
    let cpu_part = cpu.as_secs_f64() / watched.as_secs_f64();
    Ok(Idle { connections, resident_bytes, cpu_part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shared_among_the_connections_that_came() {
        let idle =
            |connections, resident_bytes| Idle { connections, resident_bytes, cpu_part: 0.0 };
        assert_eq!(bytes_per_connection(&idle(0, 1_000), &idle(10, 6_000)), 500.0);
        assert_eq!(bytes_per_connection(&idle(10, 6_000), &idle(30, 5_000)), -50.0);
    }
}
