//! A bounded window that moves forward over a file.
//!
//! Invariant: `bytes[start..end]` are the bytes of the file from `offset` on; it never reads at or past `limit`.

use crate::AofError;
use crate::disk::{self, Disk, File, Mode};
use std::path::{Path, PathBuf};

/// Read at a time, and held unless more is asked for, in bytes.
const CHUNK_LEN: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Window {
    file: Box<dyn File>,
    path: PathBuf,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    limit: u64,
}

impl Window {
    /// Opens `path` at `offset`; reads as if the file ended at `limit`, if that is before its end.
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        offset: u64,
        limit: u64,
    ) -> Result<Window, AofError> {
        let file = disk.open(path, Mode::Read).map_err(AofError::io("open", path))?;
        let size = file.size().map_err(AofError::io("read", path))?;
        let limit = limit.min(size);
        let path = path.to_path_buf();
        Ok(Window { file, path, bytes: Vec::new(), start: 0, end: 0, offset, limit })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Offset in the file of the first byte of the window.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes from the start of the window to the limit.
    pub(super) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.offset)
    }

    fn remaining_len(&self) -> usize {
        usize::try_from(self.remaining()).unwrap_or(usize::MAX)
    }

    /// Where reading ends: the limit, or the end of the file if that is before it.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// At least `want` bytes from the start of the window, or all up to the limit if these are fewer. Holds as much as the
    /// largest `want` and reads ahead, so `want` must be backed by bytes that exist, or small.
    pub(super) fn fill(&mut self, want: usize) -> Result<&[u8], AofError> {
        let want = want.min(self.remaining_len());
        if self.end - self.start < want {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let space = want.max(CHUNK_LEN.min(self.remaining_len()));
            if self.bytes.len() < space || self.bytes.len() > 4 * space.max(CHUNK_LEN) {
                // Grown for a large frame, or still as large as one that has passed.
                self.bytes.truncate(self.end);
                self.bytes.resize(space, 0);
                self.bytes.shrink_to_fit();
            }
            let read_at = self.offset + self.end as u64;
            let readable = usize::try_from(self.limit - read_at).unwrap_or(usize::MAX);
            let space = &mut self.bytes[self.end..];
            let len = space.len().min(readable);
            let read = disk::read_full_at(&*self.file, &mut space[..len], read_at)
                .map_err(AofError::io("read", &self.path))?;
            self.end += read;
            if read < len {
                // The file became shorter while we read it.
                self.limit = self.offset + self.end as u64;
            }
        }
        Ok(&self.bytes[self.start..self.end])
    }

    /// The bytes that are there already.
    pub(super) fn held(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves forward over `len` bytes that are in the window.
    pub(super) fn consume(&mut self, len: usize) {
        assert!(len <= self.end - self.start);
        self.start += len;
        self.offset += len as u64;
    }

    /// Moves to `offset`, forgetting what was read.
    pub(super) fn seek(&mut self, offset: u64) {
        (self.start, self.end, self.offset) = (0, 0, offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn it_grows_for_a_large_want_and_shrinks_again() {
        let disk = MemoryDisk::with_folder("/d");
        let path = Path::new("/d/f");
        let bytes: Vec<u8> = (0..8 * CHUNK_LEN).map(|index| (index % 251) as u8).collect();
        disk.open(path, Mode::CreateNew).unwrap().write_at(&bytes, 0).unwrap();
        let mut window = Window::open(&disk, path, 0, u64::MAX).unwrap();
        assert!(window.fill(1).unwrap().len() <= CHUNK_LEN);
        assert_eq!(&window.fill(6 * CHUNK_LEN).unwrap()[..6 * CHUNK_LEN], &bytes[..6 * CHUNK_LEN]);
        window.consume(6 * CHUNK_LEN);
        assert_eq!(window.fill(10).unwrap()[..10], bytes[6 * CHUNK_LEN..6 * CHUNK_LEN + 10]);
        assert!(window.bytes.capacity() <= 4 * CHUNK_LEN);
        assert_eq!(window.fill(usize::MAX).unwrap(), &bytes[6 * CHUNK_LEN..]);
    }

    #[test]
    fn it_never_reads_past_its_limit() {
        let disk = MemoryDisk::with_folder("/d");
        let path = Path::new("/d/f");
        disk.open(path, Mode::CreateNew).unwrap().write_at(b"0123456789", 0).unwrap();
        let mut window = Window::open(&disk, path, 2, 5).unwrap();
        assert_eq!(window.fill(100).unwrap(), b"234");
        window.consume(3);
        assert_eq!(window.remaining(), 0);
        assert!(window.fill(1).unwrap().is_empty());
    }
}
