//! Connections in lockstep: each sends a pipeline of requests, then all replies are read. What counts is the CPU time that
//! the kernel notes for the server meanwhile.

use std::io;
use std::ops::RangeFrom;

use crate::pipe::{Pipe, Reply};
use crate::process::cpu_time;
use crate::server::Server;

/// Connections of the client.
pub const CONNECTION_COUNT: usize = 50;

/// What is asked.
pub struct Load<R> {
    /// Operations per pipeline.
    pub pipeline: usize,
    /// Replies that one operation gets.
    pub reply_count: usize,
    /// Appends an operation's requests, by its number.
    pub request: R,
    /// Whether every operation finds something.
    pub hits: bool,
}

/// Runs about `operation_count` operations, after a twentieth as many to warm up; returns microseconds of the server's CPU
/// per operation.
///
/// # Errors
/// The connection is lost, an error is answered, or there is a miss where there should be a hit.
pub fn cpu_us<R: FnMut(&mut Vec<u8>, usize)>(
    server: &Server,
    load: &mut Load<R>,
    operation_count: usize,
) -> io::Result<f64> {
    let connect = |_| Pipe::connect(server.port());
    let mut connections = (0..CONNECTION_COUNT).map(connect).collect::<io::Result<Vec<_>>>()?;
    let turn_len = CONNECTION_COUNT * load.pipeline;
    let turn_count = (operation_count / turn_len).max(1);
    let mut turns = 0..;
    take_turns(&mut connections, load, &mut turns, (turn_count / 20).max(1))?;
    let before = cpu_time(server.pid())?;
    take_turns(&mut connections, load, &mut turns, turn_count)?;
    let cpu = cpu_time(server.pid())?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / (turn_count * turn_len) as f64)
}

fn take_turns<R: FnMut(&mut Vec<u8>, usize)>(
    connections: &mut [Pipe],
    load: &mut Load<R>,
    turns: &mut RangeFrom<usize>,
    count: usize,
) -> io::Result<()> {
    let turn_len = connections.len() * load.pipeline;
    let mut requests = Vec::new();
    for turn in turns.take(count) {
        for (at, connection) in connections.iter_mut().enumerate() {
            requests.clear();
            for place in 0..load.pipeline {
                (load.request)(&mut requests, turn * turn_len + at * load.pipeline + place);
            }
            connection.send(&requests)?;
        }
        for connection in &mut *connections {
            for _ in 0..load.pipeline * load.reply_count {
                check(connection.read()?, load.hits)?;
            }
        }
    }
    Ok(())
}

/// Whether a reply is what a request should get.
fn check(reply: Reply, hits: bool) -> io::Result<()> {
    match reply {
        Reply::Error(text) => Err(io::Error::other(text)),
        Reply::Nil | Reply::Array(0) if hits => Err(io::Error::other("a miss")),
        _ => Ok(()),
    }
}
