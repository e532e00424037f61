//! What it does to everybody else when much is removed at once: a client asks PING after PING while a million keys expire
//! in the same millisecond, or while a collection of a million elements is deleted.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::data::{self, Data};
use crate::clock::Clock;
use crate::pipe::{Pipe, Reply, encode};
use crate::server::{Binary, Log, Options, Server, TempDir};

/// Keys that expire, and elements of a collection.
const COUNT: usize = 1_000_000;
/// When the keys expire, counted from when they begin to be written.
const EXPIRE_AFTER: Duration = Duration::from_secs(12);
/// How long a server may take to remove them.
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether they are gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long PING is asked once a collection was deleted.
const PINGED_FOR: Duration = Duration::from_millis(500);

/// What is removed.
#[derive(Debug, Clone, Copy)]
pub enum Removal {
    /// Keys that expire in the same millisecond.
    Expiry,
    /// A collection.
    Collection {
        /// Its name in [`data::ALL`].
        data: &'static str,
        /// What removes it, without the key.
        command: &'static str,
        /// Its key.
        key: &'static str,
    },
}

/// What that does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stall {
    /// The longest PING, in microseconds.
    pub ping_longest_us: u64,
    /// The longest slice of expiry or of freeing, in microseconds of CPU time, where the server says so.
    pub slice_longest_us: Option<u64>,
    /// How long the keys were there after their time, in milliseconds; how long the command took that deletes.
    pub gone_ms: f64,
}

impl Removal {
    /// Everything that is measured.
    #[must_use]
    pub fn all() -> Vec<Removal> {
        let collections = [
            ("list of 1,000,000", "rpush:0"),
            ("set of 1,000,000", "sadd:0"),
            ("hash of 1,000,000", "hset:0"),
            ("sorted set of 1,000,000", "zadd:0"),
        ];
        let commands = ["DEL", "UNLINK", "FLUSHALL"];
        let removals = collections.iter().flat_map(|&(data, key)| {
            commands.map(|command| Removal::Collection { data, command, key })
        });
        [Removal::Expiry].into_iter().chain(removals).collect()
    }

    /// What reports call it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Removal::Expiry => "expiry of 1,000,000 keys".to_owned(),
            Removal::Collection { data, command, .. } => format!("{command}, {data}"),
        }
    }

    /// The field of INFO that says how long the longest slice took.
    fn slice_field(self) -> &'static str {
        match self {
            Removal::Expiry => "expire_slice_longest_us",
            Removal::Collection { .. } => "free_slice_longest_us",
        }
    }
}

/// Starts `binary`, loads the `part`th part of what is removed, and removes it.
///
/// # Errors
/// When the server cannot be started, refuses something, keeps what should go, or the connection is lost.
pub fn measure(binary: &Binary, removal: Removal, part: usize) -> Result<Stall, String> {
    let describe =
        |error: io::Error| format!("{} with {}: {error}", binary.version, removal.name());
    let dir = TempDir::new("stalls")?;
    let options = Options { shards: 1, log: Log::Off, cpus: Vec::new() };
    let server = Server::start(binary, &options, dir.path())?;
    let mut pipe = Pipe::connect(server.port()).map_err(describe)?;
    let mut pinger = Pipe::connect(server.port()).map_err(describe)?;
    let count = COUNT / part;
    let measured = match removal {
        Removal::Expiry => expire(&mut pipe, &mut pinger, count),
        Removal::Collection { data, command, key } => {
            let data = data::ALL.iter().find(|kind| kind.name == data).expect("it is one of them");
            remove(&mut pipe, &mut pinger, data, count, [command, key])
        }
    };
    let (ping_longest, gone) = measured.map_err(describe)?;
    Ok(Stall {
        ping_longest_us: ping_longest.as_micros() as u64,
        slice_longest_us: pipe.info(removal.slice_field()).ok(),
        gone_ms: gone.as_secs_f64() * 1e3,
    })
}

/// Lets `count` keys expire; returns the longest PING meanwhile, and how long the last key was there after its time.
fn expire(pipe: &mut Pipe, pinger: &mut Pipe, count: usize) -> io::Result<(Duration, Duration)> {
    let clock = Clock::start();
    let at_ms = clock.started_unix_us() / 1_000 + EXPIRE_AFTER.as_millis() as u64;
    let at = at_ms.to_string();
    pipe.load(count, |bytes, number| {
        let key = format!("key:{number:012}");
        encode(bytes, &[b"SET", key.as_bytes(), b"value", b"PXAT", at.as_bytes()]);
    })?;
    if size(pipe)? != count as i64 {
        return Err(io::Error::other("keys expired before all were written"));
    }
    while_pinging(pinger, || {
        let due = || Duration::from_micros(clock.unix_us().saturating_sub(at_ms * 1_000));
        while size(pipe)? > 0 {
            if due() > GONE_WITHIN {
                return Err(io::Error::other("expired keys are still there"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(due())
    })
}

/// Deletes a collection of `count` elements; returns the longest PING meanwhile, and how long the command took.
fn remove(
    pipe: &mut Pipe,
    pinger: &mut Pipe,
    data: &Data,
    count: usize,
    [command, key]: [&str; 2],
) -> io::Result<(Duration, Duration)> {
    pipe.load(count / data.each_per_request, data.request)?;
    let words = [command.as_bytes(), key.as_bytes()];
    let words = if command == "FLUSHALL" { &words[..1] } else { &words[..] };
    while_pinging(pinger, || {
        let clock = Clock::start();
        pipe.call(words)?;
        let took = clock.elapsed();
        thread::sleep(PINGED_FOR);
        match size(pipe)? {
            0 => Ok(took),
            _ => Err(io::Error::other("the collection is still there")),
        }
    })
}

/// How many keys there are.
fn size(pipe: &mut Pipe) -> io::Result<i64> {
    match pipe.call(&[b"DBSIZE"])? {
        Reply::Integer(count) => Ok(count),
        other => Err(io::Error::other(format!("DBSIZE answered {other:?}"))),
    }
}

/// Asks PING without a pause while `work` goes on; returns the longest that one took, and what `work` says.
fn while_pinging<T>(
    pinger: &mut Pipe,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<(Duration, T)> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            let clock = Clock::start();
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let asked = clock.elapsed();
                pinger.call(&[b"PING"])?;
                longest = longest.max(clock.elapsed() - asked);
            }
            Ok(longest)
        });
        let result = work();
        is_over.store(true, Ordering::Relaxed);
        let longest: io::Result<Duration> = pinging.join().expect("the pinger does not panic");
        Ok((longest?, result?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_collection_is_deleted_under_its_own_key() {
        for removal in Removal::all() {
            let Removal::Collection { data, key, .. } = removal else { continue };
            let data = data::ALL.iter().find(|kind| kind.name == data).expect("it is one of them");
            let mut bytes = Vec::new();
            for number in [0, COUNT / data.each_per_request - 1] {
                bytes.clear();
                (data.request)(&mut bytes, number);
                let text = String::from_utf8_lossy(&bytes);
                assert_eq!(text.lines().nth(4), Some(key), "{}", removal.name());
            }
        }
    }
}
