//! The only door to storage.
//!
//! Owner: whoever writes or recovers the log. Three implementations: [`RealDisk`] (Linux files), [`MemoryDisk`] (files in
//! memory that know what an fsync has made durable and can lose the rest), [`FaultyDisk`] (any of these with one fault
//! at a chosen operation). Blocking: each call is one system call or a few.

mod faulty;
mod memory;
mod real;

pub use faulty::{Effect, Fault, FaultyDisk, Operation};
pub use memory::MemoryDisk;
pub use real::RealDisk;

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It exists; only read.
    Read,
    /// It exists; read and write.
    Write,
    /// It must not exist yet; read and write.
    CreateNew,
    /// Made if it is missing, kept as it is otherwise; read and write.
    Create,
}

/// A tree of folders and files.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file. Errors as `std::fs::OpenOptions::open`.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn File>>;

    /// Names of the files and folders in `folder`, sorted. `NotFound` if there is no such folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes one folder; its parent must exist. `AlreadyExists` if there is one.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name, replacing what had it. Atomic, but durable only after [`Disk::sync_folder`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `folder` durable (fsync of the folder).
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// One open file. Offsets and sizes are bytes.
pub trait File: fmt::Debug + Send {
    /// Bytes in the file.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file. May read less than asked.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset`, as pwrite(2): may write less than asked, and is not durable before [`File::sync`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file, or extends it with zeros.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Makes bytes and size durable (fdatasync). After an error nothing is known about what is durable.
    fn sync(&self) -> io::Result<()>;

    /// Takes the exclusive lock of the file, held until it is closed; `false` if another process or handle has it.
    fn try_lock(&self) -> io::Result<bool>;

    /// The descriptor, for a caller with a ring of its own; `None` for files that are not the kernel's.
    fn raw_fd(&self) -> Option<RawFd>;
}

/// Writes all of `bytes` at `offset`, however many writes it takes.
pub(crate) fn write_all_at(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads at `offset` until `buffer` is full or the file ends; returns the count of bytes read.
pub(crate) fn read_full_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
