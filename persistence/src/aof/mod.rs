//! The append-only log: one segment per core, one consistent recovery.
//!
//! Reading order: [`frame`] (what is on disk), [`epoch`] (what makes N segments one log), [`writer`], [`manifest`]
//! (which files count), [`scan`] (what one segment holds), [`recovery`] (what is kept of all of them), [`reader`] and
//! [`commands`] (replay), [`journal`] (new segments), [`repair`].
//!
//! Layout after Redis 7's multi-part AOF; the whole story with the reasons is `docs/aof.md`.

pub mod commands;
pub mod epoch;
pub mod frame;
pub mod journal;
pub mod manifest;
pub mod reader;
pub mod recovery;
pub mod repair;
pub mod scan;
pub mod writer;

mod start;
mod window;

pub use commands::{Commands, CommandsError};
pub use epoch::{Epoch, EpochClock};
pub use frame::{ShardSet, Transaction};
pub use journal::{Journal, ReplaceError};
pub use reader::{Frame, SegmentReader};
pub use recovery::{Plan, Recovery, Replay, open};
pub use repair::Report;
pub use start::Started;
pub use writer::{PendingSync, SegmentWriter};

use std::path::{Path, PathBuf};

/// Where the files are and how they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The data directory (`dir`). It must exist.
    pub dir: PathBuf,
    /// Folder of the append-only files inside it (`appenddirname`). Made if it is missing.
    pub folder_name: String,
    /// How the names of the files begin (`appendfilename`).
    pub file_name: String,
    /// Whether a torn tail is cut with a warning (`aof-load-truncated yes`) or refuses to start.
    pub is_torn_tail_cut: bool,
}

impl Options {
    /// Redis's defaults in `dir`: `appendonlydir`, `appendonly.aof`, `aof-load-truncated yes`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Options {
            dir: dir.into(),
            folder_name: "appendonlydir".to_owned(),
            file_name: "appendonly.aof".to_owned(),
            is_torn_tail_cut: true,
        }
    }

    /// The folder of the append-only files.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.dir.join(&self.folder_name)
    }

    /// The manifest.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.folder().join(format!("{}.manifest", self.file_name))
    }

    /// Name of the segment with sequence number `seq`, which belongs to `shard`.
    #[must_use]
    pub fn segment_name(&self, seq: u64, shard: u16) -> String {
        format!("{}.{seq}.shard{shard}.incr.aof", self.file_name)
    }

    /// The sequence number in `name`, if it is the name of a segment or of a file of Redis's own layout.
    fn seq_in_name(&self, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(&self.file_name)?.strip_prefix('.')?;
        let (seq, kind) = rest.split_once('.')?;
        let is_ours = kind.ends_with("incr.aof") || kind.starts_with("base.");
        if is_ours { seq.parse().ok() } else { None }
    }
}

/// One segment: which file it is and which part of the log it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Name in the folder of the append-only files.
    pub name: String,
    /// Sequence number, unique in the folder; rises with every new file.
    pub seq: u64,
    /// Which stretch with an unchanged number of shards it belongs to, from 1.
    pub generation: u64,
    /// Which shard wrote it, from 0.
    pub shard: u16,
    /// Of how many.
    pub shard_count: u16,
    /// Set once nothing more is appended: bytes that count. What follows them, if anything, does not.
    pub sealed_len: Option<u64>,
}

impl Segment {
    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.name)
    }
}
