//! Errors of this crate. Each displays as one sentence that names the file and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong with the append-only files.
#[derive(Debug, thiserror::Error)]
pub enum AofError {
    /// A file or folder could not be opened, read, made, renamed or removed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb: "open", "read".
        action: &'static str,
        /// Of which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A write or an fsync of a segment failed; its writer takes nothing more and must be replaced.
    #[error("{0}")]
    WriterFailed(Failure),
    /// A file is not as it was written, and it is not just the end that a crash tore.
    #[error(
        "{} is damaged at offset {offset}: expected {expected}; `rialto check --fix {}` repairs it and would lose {lost}",
        path.display(), folder.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// First byte that is wrong.
        offset: u64,
        /// What should stand there.
        expected: String,
        /// The data directory.
        folder: PathBuf,
        /// What a repair would drop, in words.
        lost: String,
    },
    /// The last frames are torn, and `aof-load-truncated` forbids to cut them.
    #[error(
        "{} ends at offset {offset} with an incomplete frame (expected {expected}); set aof-load-truncated to yes or \
         run `rialto check --fix {}`; either would lose {lost}",
        path.display(), folder.display()
    )]
    TornTail {
        /// Which file.
        path: PathBuf,
        /// Where the intact frames end.
        offset: u64,
        /// What should stand there.
        expected: String,
        /// The data directory.
        folder: PathBuf,
        /// What a repair would drop, in words.
        lost: String,
    },
    /// The manifest is not one we understand.
    #[error("{} line {line}: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What was expected, and what to do.
        reason: String,
    },
    /// The files belong to a real Redis, which also writes base files in RDB format.
    #[error(
        "{} was written by Redis ({found}), which Rialto cannot load yet; move it away to start empty, or keep using \
         Redis for this data", path.display()
    )]
    WrittenByRedis {
        /// The manifest or file.
        path: PathBuf,
        /// How we know.
        found: String,
    },
    /// There are segments, but no manifest that says in which order they count.
    #[error(
        "{} is missing beside {segment}; restore it from a backup, or move the folder away to start empty",
        path.display()
    )]
    ManifestMissing {
        /// The manifest.
        path: PathBuf,
        /// One of the segments found.
        segment: String,
    },
    /// The manifest lists a file that is not there.
    #[error("{} is missing, but the manifest lists it; restore it from a backup", .0.display())]
    FileMissing(PathBuf),
    /// The files are intact, but they do not belong together.
    #[error("{} does not belong to the other files: {reason}; restore all of them from one backup", path.display())]
    Inconsistent {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A frame is intact, but its payload is not a run of RESP commands.
    #[error("{}: the command at offset {offset} is malformed: {source}", path.display())]
    Command {
        /// Which file.
        path: PathBuf,
        /// Offset in the file.
        offset: u64,
        /// What was expected.
        source: crate::aof::CommandsError,
    },
}

impl AofError {
    /// Makes an [`AofError::Io`] of an I/O error; for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AofError {
        move |source| AofError::Io { action, path: path.to_path_buf(), source }
    }

    /// Whether a full disk (or quota) is the cause, so that trying again later makes sense.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let kind = match self {
            AofError::Io { source, .. } => source.kind(),
            AofError::WriterFailed(failure) => failure.kind,
            _ => return false,
        };
        matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The first failure of a writer. Cheap to clone: every later append reports it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action} {} at offset {offset}: {cause}", path.display())]
pub struct Failure {
    /// "write" or "fsync".
    pub action: &'static str,
    /// Which segment.
    pub path: Arc<Path>,
    /// Where: the first byte that is not written, or not known to be durable.
    pub offset: u64,
    /// The kind of the I/O error.
    pub kind: io::ErrorKind,
    /// The I/O error in words.
    pub cause: String,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server uses it.
    #[error(
        "the data directory {} is in use by another server ({holder}); stop that server or set another directory \
         with --dir", folder.display()
    )]
    Held {
        /// The data directory.
        folder: PathBuf,
        /// "pid 123", or that the pid is not known.
        holder: String,
    },
    /// It does not exist.
    #[error("the data directory {} does not exist; create it or set another with --dir", .0.display())]
    Missing(PathBuf),
    /// It is a file.
    #[error("the data directory {} is not a directory; set another with --dir", .0.display())]
    NotAFolder(PathBuf),
    /// We may not write there.
    #[error(
        "the data directory {} cannot be written ({source}); give this user write permission, mount it read-write, \
         or set another with --dir", folder.display()
    )]
    ReadOnly {
        /// The data directory.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot lock the data directory {}: {source}", folder.display())]
    Io {
        /// The data directory.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}
