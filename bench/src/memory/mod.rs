//! What data costs in memory: resident bytes per key and per element, side by side with Redis.
//!
//! For each kind of data each server is started anew, its resident memory is taken, the data is loaded in one pipeline
//! as `redis-cli --pipe` does, and once resident memory has settled the growth is divided by the keys. The kernel's
//! high-water mark says how much more was needed on the way. Servers run without a log and on one shard.
//! Elements are some dozen megabytes in all, not much more than the buffers that a server takes once for whatever it is
//! sent; so those buffers are filled before, and some elements are loaded, in collections of their own.
//!
//! Reading order: [`data`] (what is loaded), this page, [`churn`] (values that come and go under a limit), [`stalls`] (what
//! others notice of large removals).

pub mod churn;
pub mod data;
pub mod stalls;

use std::io;
use std::time::Duration;

use crate::clock::Clock;
use crate::pipe::{Pipe, encode};
use crate::process::{peak_resident_bytes, resident_bytes};
use crate::server::{Binary, Log, Options, Server, TempDir};
use data::Data;

/// Memory has settled once it has not moved by this part for that long.
const SETTLED_PART: f64 = 0.002;
const SETTLED_FOR: Duration = Duration::from_millis(1_500);
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Requests that fill a server's receive buffers, and bytes of each.
const FILLING_COUNT: usize = 4 << 10;
const FILLING_LEN: usize = 16_000;

/// What one server needs for one kind of data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Resident bytes for each key or element.
    pub bytes_each: f64,
    /// Highest growth on the way, as a multiple of the growth in the end.
    pub peak: f64,
    /// What the server accounts for, for each key or element.
    pub accounted_each: f64,
    /// The longest that growing a table has held up one request, in microseconds, where the server says so.
    pub table_longest_us: Option<u64>,
}

/// Starts `binary`, loads `data`, and says what it costs; `None` if the server does not know the command.
///
/// # Errors
/// When the server cannot be started or the connection is lost.
pub fn measure(binary: &Binary, data: &Data, part: usize) -> Result<Option<Cost>, String> {
    let describe = |error: io::Error| format!("{} with {}: {error}", binary.version, data.name);
    let dir = TempDir::new("memory")?;
    let options = Options { shards: 1, log: Log::Off, cpus: Vec::new() };
    let server = Server::start(binary, &options, dir.path())?;
    let mut pipe = Pipe::connect(server.port()).map_err(describe)?;
    let count = (data.request_count / part).max(1);
    let first = if data.is_warmed { count / 4 } else { 0 };
    if data.is_warmed {
        let text = vec![b'x'; FILLING_LEN];
        let fill = |bytes: &mut Vec<u8>, _| encode(bytes, &[b"SET", b"filling", &text]);
        pipe.load(FILLING_COUNT, fill).map_err(describe)?;
        pipe.call(&[b"DEL", b"filling"]).map_err(describe)?;
        pipe.load(first, data.request).map_err(describe)?;
    }
    let before = settled(&server).map_err(describe)?;
    let accounted_before = pipe.info("used_memory").map_err(describe)?;
    let request = |bytes: &mut Vec<u8>, number| (data.request)(bytes, first + number);
    if let Err(error) = pipe.load(count, request) {
        let is_unknown = error.to_string().contains("unknown command");
        return if is_unknown { Ok(None) } else { Err(describe(error)) };
    }
    let peak = peak_resident_bytes(server.pid()).map_err(describe)?;
    let after = settled(&server).map_err(describe)?;
    let accounted = pipe.info("used_memory").map_err(describe)?.saturating_sub(accounted_before);
    let growth = after.saturating_sub(before).max(1) as f64;
    let each = (count * data.each_per_request) as f64;
    Ok(Some(Cost {
        bytes_each: growth / each,
        peak: peak.saturating_sub(before) as f64 / growth,
        accounted_each: accounted as f64 / each,
        table_longest_us: pipe.info("table_longest_us").ok(),
    }))
}

/// Waits until resident memory has settled; returns it.
pub(crate) fn settled(server: &Server) -> io::Result<u64> {
    let clock = Clock::start();
    let mut resident = resident_bytes(server.pid())?;
    let mut since = clock.elapsed();
    while clock.elapsed() < since + SETTLED_FOR && clock.elapsed() < SETTLED_WITHIN {
        std::thread::sleep(LOOK_EVERY);
        let now = resident_bytes(server.pid())?;
        if (now as f64 - resident as f64).abs() > resident as f64 * SETTLED_PART {
            (resident, since) = (now, clock.elapsed());
        }
    }
    resident_bytes(server.pid())
}
