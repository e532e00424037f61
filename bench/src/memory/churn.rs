//! Values of mixed sizes that come and go under `maxmemory`: how much the process holds, compared with the limit.
//!
//! Sizes are spread evenly over the doublings from 8 bytes to 16 KiB, keys are drawn evenly from four times as many as fit,
//! and twelve times the limit is written: so every block of memory has been freed and used again, most often for a value
//! of another size. This is what fragments an allocator.

use std::fmt::Write;
use std::io;

use crate::pipe::{Pipe, Reply, encode};
use crate::process::resident_bytes;
use crate::random::Random;
use crate::server::{Binary, Log, Options, Server, TempDir};

/// Bytes written, as a multiple of the limit.
const WRITTEN_FACTOR: u64 = 12;
/// Requests sent at a time: few, so that buffers do not count.
const BATCH_LEN: usize = 100;
/// Sizes lie between two to these powers.
const SIZE_BITS: std::ops::Range<usize> = 3..14;

/// What the process held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Churn {
    /// Resident bytes at most, as a multiple of the limit.
    pub peak: f64,
    /// Resident bytes in the end, as a multiple of the limit.
    pub end: f64,
    /// What the server accounts for in the end, as a multiple of the limit.
    pub accounted: f64,
}

/// Runs `binary` with `maxmemory` and `allkeys-lru` under such writes.
///
/// # Errors
/// When the server cannot be started, refuses a write, or the connection is lost.
pub fn measure(binary: &Binary, shards: usize, limit: u64) -> Result<Churn, String> {
    let describe = |error: io::Error| format!("{} under churn: {error}", binary.version);
    let dir = TempDir::new("churn")?;
    let options = Options { shards, log: Log::Off, cpus: Vec::new() };
    let server = Server::start(binary, &options, dir.path())?;
    let mut pipe = Pipe::connect(server.port()).map_err(describe)?;
    run(&mut pipe, &server, limit).map_err(describe)
}

fn run(pipe: &mut Pipe, server: &Server, limit: u64) -> io::Result<Churn> {
    let number = limit.to_string();
    pipe.call(&[b"CONFIG", b"SET", b"maxmemory", number.as_bytes()])?;
    pipe.call(&[b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru"])?;
    let mut random = Random::new(20);
    let text = vec![b'x'; 2 << SIZE_BITS.end];
    let mean_size: usize = SIZE_BITS.map(|bits| 3 << bits >> 1).sum::<usize>() / SIZE_BITS.len();
    let key_count = 4 * limit as usize / mean_size;
    let (mut written, mut peak) = (0, 0);
    let (mut bytes, mut key) = (Vec::new(), String::new());
    while written < limit * WRITTEN_FACTOR {
        bytes.clear();
        for _ in 0..BATCH_LEN {
            let size = 1 << (SIZE_BITS.start + random.below(SIZE_BITS.len()));
            let size = size + random.below(size);
            key.clear();
            write!(key, "key:{}", random.below(key_count)).expect("memory");
            encode(&mut bytes, &[b"SET", key.as_bytes(), &text[..size]]);
            written += size as u64;
        }
        pipe.send(&bytes)?;
        for _ in 0..BATCH_LEN {
            if let Reply::Error(text) = pipe.read()? {
                return Err(io::Error::other(text));
            }
        }
        peak = peak.max(resident_bytes(server.pid())?);
    }
    let of_limit = |bytes: u64| bytes as f64 / limit as f64;
    let accounted = pipe.info("used_memory")?;
    let end = resident_bytes(server.pid())?;
    Ok(Churn { peak: of_limit(peak), end: of_limit(end), accounted: of_limit(accounted) })
}
