//! Bytes on disk: the append-only log of a server that runs one shard per core, and the RDB format ([`rdb`]).
//!
//! Knows no command and no socket. Everything that touches storage goes through [`disk`], so that tests can stop the
//! machine after any single operation. The format and its reasons: `docs/aof.md`.
//!
//! # Which file is what
//! ```text
//! <dir>/rialto.lock                                    held while a server runs           lock
//! <dir>/appendonlydir/appendonly.aof.manifest          which files count, in which order  aof::manifest
//! <dir>/appendonlydir/appendonly.aof.1.shard0.incr.aof frames of shard 0                  aof::frame
//! <dir>/appendonlydir/appendonly.aof.2.shard1.incr.aof frames of shard 1
//! ```
//!
//! # The life of a server, in the order of the calls
//! 1. [`lock::lock`] the data directory.
//! 2. [`aof::Recovery::begin`] reads the manifest; run each of its scans, in parallel if you like;
//!    [`aof::Recovery::plan`] decides what is kept. [`aof::open`] does these three at once.
//! 3. Replay [`aof::Plan::replays`]: one generation after the other, the shards of a generation in parallel;
//!    [`aof::Commands`] cuts a payload into commands.
//! 4. [`aof::Plan::start`] makes the files ready and returns one [`aof::SegmentWriter`] per shard, the
//!    [`aof::Journal`] that replaces a writer after a disk error, and the first epoch for the [`aof::EpochClock`].
//! 5. Each core appends one frame per tick and closes epochs; see [`aof::SegmentWriter`].
//! 6. At a clean shutdown each core calls [`aof::SegmentWriter::seal`]: nothing is lost.
//!
//! `rialto check [--fix]` is [`aof::repair`].
#![forbid(unsafe_code)]

pub mod aof;
pub mod disk;
mod error;
pub mod lock;
pub mod rdb;

pub use error::{AofError, Failure, LockError};
