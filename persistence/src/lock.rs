//! The lock of the data directory: two servers on the same files would destroy them.
//!
//! A file `rialto.lock` is held with flock(2) for the life of the process and contains the pid of its holder. It stays
//! behind when the server stops; only the lock counts, so a crash needs no clean-up.

use crate::LockError;
use crate::disk::{self, Disk, File, Mode};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the lock file in the data directory.
pub const LOCK_FILE_NAME: &str = "rialto.lock";

/// Longest pid that we read back, in bytes.
const PID_LEN_MAX: usize = 20;

/// The lock; given back when this is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    #[expect(dead_code, reason = "closing the file gives the lock back")]
    file: Box<dyn File>,
    path: PathBuf,
}

impl DirectoryLock {
    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the exclusive lock of `folder`, without waiting.
///
/// `pid` is noted in the lock file, for the message of the next server that tries.
pub fn lock(disk: &dyn Disk, folder: &Path, pid: u32) -> Result<DirectoryLock, LockError> {
    let other = |source| LockError::Io { folder: folder.to_path_buf(), source };
    disk.list(folder).map_err(|error| explain(folder, error))?;
    let path = folder.join(LOCK_FILE_NAME);
    let file = disk.open(&path, Mode::Create).map_err(|error| explain(folder, error))?;
    if !file.try_lock().map_err(other)? {
        return Err(LockError::Held { folder: folder.to_path_buf(), holder: holder(&*file) });
    }
    file.set_size(0).map_err(other)?;
    disk::write_all_at(&*file, format!("{pid}\n").as_bytes(), 0).map_err(other)?;
    Ok(DirectoryLock { file, path })
}

/// Turns what the disk said about the directory into a sentence with a remedy.
fn explain(folder: &Path, source: io::Error) -> LockError {
    let folder = folder.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotFound => LockError::Missing(folder),
        io::ErrorKind::NotADirectory => LockError::NotAFolder(folder),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            LockError::ReadOnly { folder, source }
        }
        _ => LockError::Io { folder, source },
    }
}

/// Who holds the lock, as far as its file tells.
fn holder(file: &dyn File) -> String {
    let mut bytes = [0; PID_LEN_MAX];
    let len = disk::read_full_at(file, &mut bytes, 0).unwrap_or(0);
    let pid = std::str::from_utf8(&bytes[..len]).ok().and_then(|text| text.trim().parse().ok());
    pid.map_or_else(|| "pid unknown".to_owned(), |pid: u32| format!("pid {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{MemoryDisk, RealDisk};

    #[test]
    fn the_second_server_is_told_who_holds_the_lock() {
        let disk = MemoryDisk::with_folder("/data");
        let first = lock(&disk, Path::new("/data"), 4711).unwrap();
        let error = lock(&disk, Path::new("/data"), 4712).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data directory /data is in use by another server (pid 4711); stop that server or set another \
             directory with --dir"
        );
        drop(first);
        lock(&disk, Path::new("/data"), 4712).unwrap();
    }

    #[test]
    fn the_kernel_keeps_two_handles_apart() {
        let folder = std::env::temp_dir().join(format!("rialto-lock-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let first = lock(&RealDisk, &folder, std::process::id()).unwrap();
        let error = lock(&RealDisk, &folder, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        drop(first);
        drop(lock(&RealDisk, &folder, 1).unwrap());

        let file = folder.join(LOCK_FILE_NAME);
        let error = lock(&RealDisk, &file, 1).unwrap_err().to_string();
        assert!(error.ends_with("is not a directory; set another with --dir"), "{error}");
        let error = lock(&RealDisk, &folder.join("none"), 1).unwrap_err().to_string();
        assert!(error.ends_with("does not exist; create it or set another with --dir"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_read_only_directory_is_named_with_the_remedy() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            let error = explain(Path::new("/data"), kind.into()).to_string();
            assert!(error.starts_with("the data directory /data cannot be written ("), "{error}");
        }
    }
}
