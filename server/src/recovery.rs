//! Start-up with an append-only file: lock the directory, read the segments in parallel, fill the shards.
//!
//! A segment holds the history of one shard, FLUSHALL included, so it is replayed into a shard of its own; where the
//! number of shards has changed, the entries move to the shards of their slots afterwards.

use crate::journal::{Journal, Log};
use crate::scripting;
use ops::config::Settings;
use persistence::aof::{self, Commands, Recovery, Replay, SegmentReader};
use persistence::disk::{Disk, RealDisk};
use persistence::lock::{self, DirectoryLock};
use persistence::{AofError, LockError};
use protocol::number::parse_i64;
use protocol::request::ArgvBuf;
use protocol::slot::{SLOT_COUNT, slot_of};
use script::Catalog;
use shard::{Now, Shard};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the data could not be recovered: one sentence.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The directory is not ours to use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file is damaged or cannot be read.
    #[error(transparent)]
    Aof(#[from] AofError),
    /// A frame is whole, but holds something that cannot be replayed.
    #[error(
        "{file}: the frame at byte {offset} holds a command that cannot be replayed: {problem}; it was written by \
         another version, or by something else than Rialto"
    )]
    Replay {
        /// The segment.
        file: String,
        /// Where its payload begins.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The system is out of something.
    #[error("cannot start a thread to load the append-only file: {0}")]
    Thread(#[from] io::Error),
}

/// Everything a server with an append-only file starts from.
#[derive(Debug)]
pub struct Recovered {
    /// The shards, filled.
    pub shards: Vec<Shard>,
    /// One journal per shard.
    pub journals: Vec<Journal>,
    /// What they share.
    pub log: Log,
    /// Held as long as the server runs.
    pub lock: DirectoryLock,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Commands replayed.
    pub command_count: u64,
    /// The libraries of functions.
    pub functions: Catalog,
}

/// Recovers the data of `settings.dir` into the shards that `new_shard` makes.
///
/// # Errors
/// Why the server must not start with this directory.
pub fn recover(
    settings: &Settings,
    shard_count: usize,
    now: Now,
    mut new_shard: impl FnMut() -> Shard,
) -> Result<Recovered, RecoveryError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let lock = lock::lock(&*disk, &settings.dir, std::process::id())?;
    let options = aof::Options {
        dir: PathBuf::from(&settings.dir),
        folder_name: settings.appenddirname.clone(),
        file_name: settings.appendfilename.clone(),
        is_torn_tail_cut: settings.aof_load_truncated,
    };
    let recovery = Recovery::begin(disk, options)?;
    let scanned = in_parallel(recovery.scans().iter().collect(), |scan| Ok(scan.run()?))?;
    let plan = recovery.plan(scanned)?;
    let mut shards: Vec<Shard> = Vec::new();
    let mut command_count = 0;
    let mut functions = Catalog::default();
    for Replay { shard_count, readers, .. } in plan.replays() {
        shards = spread(shards, usize::from(shard_count), &mut new_shard);
        let work: Vec<(SegmentReader, Shard)> = readers.into_iter().zip(shards).collect();
        let done = in_parallel(work, |(reader, shard)| replay(reader, shard, now))?;
        shards = Vec::with_capacity(done.len());
        for Replayed { shard, count, function_changes } in done {
            shards.push(shard);
            command_count += count;
            for (file, offset, argv) in function_changes {
                let replayed = scripting::functions::replay(&functions, argv.as_argv());
                let broken = |problem| RecoveryError::Replay { file, offset, problem };
                functions = replayed.map_err(broken)?;
            }
        }
    }
    let shards = spread(shards, shard_count, &mut new_shard);
    let started = plan.start(u16::try_from(shard_count).expect("at most 1024 shards"))?;
    let journals = started.writers.into_iter().enumerate();
    Ok(Recovered {
        shards,
        journals: journals.map(|(core, writer)| Journal::new(core, writer)).collect(),
        log: Log::new(started.epoch, started.journal, shard_count),
        lock,
        warnings: started.report.warnings(),
        command_count,
        functions,
    })
}

/// Runs `work` on every item, each on a thread of its own; the results stand in the order of the items.
fn in_parallel<I: Send, O: Send>(
    items: Vec<I>,
    work: impl Fn(I) -> Result<O, RecoveryError> + Sync,
) -> Result<Vec<O>, RecoveryError> {
    let work = &work;
    std::thread::scope(|scope| {
        let mut threads = Vec::with_capacity(items.len());
        for item in items {
            let name = format!("load-{}", threads.len());
            let thread = std::thread::Builder::new().name(name);
            threads.push(thread.spawn_scoped(scope, move || work(item))?);
        }
        threads.into_iter().map(|thread| thread.join().expect("loading does not panic")).collect()
    })
}

/// A shard that one segment has been replayed into.
struct Replayed {
    shard: Shard,
    /// Commands.
    count: u64,
    /// Those among them that change libraries of functions, each with its file and frame: they are no business of a
    /// shard.
    function_changes: Vec<(String, u64, ArgvBuf)>,
}

/// Replays one segment.
fn replay(
    mut reader: SegmentReader,
    mut shard: Shard,
    now: Now,
) -> Result<Replayed, RecoveryError> {
    let mut count = 0;
    let mut function_changes = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        let broken = |problem: String| RecoveryError::Replay {
            file: frame.path.display().to_string(),
            offset: frame.payload_offset,
            problem,
        };
        let mut db = 0;
        let mut commands = Commands::new(frame.payload);
        while let Some(argv) = commands.next_command().map_err(|e| broken(e.to_string()))? {
            count += 1;
            if argv.get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"FUNCTION")) {
                let file = frame.path.display().to_string();
                function_changes.push((file, frame.payload_offset, ArgvBuf::from_argv(argv)));
                continue;
            }
            if argv.get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"SELECT")) {
                let index = argv.get(1).and_then(parse_i64).and_then(|n| u16::try_from(n).ok());
                let known = index.filter(|n| usize::from(*n) < shard.keyspace().database_count());
                db = known.ok_or_else(|| {
                    broken("it selects a database beyond the parameter databases".to_owned())
                })?;
                continue;
            }
            shard
                .replay(now, db, argv)
                .map_err(|error| broken(String::from_utf8_lossy(&error.as_bytes()).into_owned()))?;
        }
    }
    Ok(Replayed { shard, count, function_changes })
}

/// Moves all entries to `count` shards, by their slots; nothing happens if there are so many already.
fn spread(shards: Vec<Shard>, count: usize, new_shard: &mut impl FnMut() -> Shard) -> Vec<Shard> {
    if shards.len() == count {
        return shards;
    }
    let mut spread: Vec<Shard> = (0..count).map(|_| new_shard()).collect();
    for mut shard in shards {
        shard.drain(|db, key, entry| {
            let index = usize::from(slot_of(&key)) * count / usize::from(SLOT_COUNT);
            spread[index].adopt(db, &key, entry);
        });
    }
    spread
}
