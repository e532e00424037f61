//! Replay: the payloads of one shard's frames, as far as they are kept.
//!
//! Path: `recovery` makes one [`SegmentReader`] per shard and generation -> here -> the caller cuts payloads into commands
//! with [`Commands`](super::Commands) and routes them. Holds one frame at a time, so files of any size can be read.

use super::epoch::Epoch;
use super::frame::{HEADER_LEN_MAX, Header, Kind, Place, Transaction};
use super::window::Window;
use crate::AofError;
use crate::disk::Disk;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which frames count.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// No epoch after this one does.
    pub(super) last: Epoch,
    /// Nor do these.
    pub(super) void: Arc<[RangeInclusive<Epoch>]>,
}

impl Filter {
    fn keeps(&self, epoch: Epoch) -> bool {
        epoch <= self.last && !self.void.iter().any(|range| range.contains(&epoch))
    }
}

/// One file, and the part of it that is read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) seq: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The commands that one tick of one core wrote.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When.
    pub epoch: Epoch,
    /// Set if they are this shard's part of a transaction.
    pub transaction: Option<Transaction>,
    /// RESP commands; database 0 is selected before the first.
    pub payload: &'a [u8],
    /// The file.
    pub path: &'a Path,
    /// Where the payload begins in it.
    pub payload_offset: u64,
}

/// Reads the frames of one shard in one generation, in the order they were written. `Send`: read shards in parallel.
#[derive(Debug)]
pub struct SegmentReader {
    disk: Arc<dyn Disk>,
    shard: u16,
    parts: std::vec::IntoIter<Part>,
    current: Option<Current>,
    filter: Filter,
    read_bytes: u64,
    total_bytes: u64,
}

/// The file being read. Its window begins at the frame that was handed out last.
#[derive(Debug)]
struct Current {
    window: Window,
    seq: u64,
    header_len: usize,
    frame_len: usize,
}

impl SegmentReader {
    pub(super) fn new(disk: Arc<dyn Disk>, shard: u16, parts: Vec<Part>, filter: Filter) -> Self {
        let total_bytes = parts.iter().map(|part| part.end - part.start).sum();
        let parts = parts.into_iter();
        SegmentReader { disk, shard, parts, current: None, filter, read_bytes: 0, total_bytes }
    }

    /// The shard that wrote these frames, from 0. With another number of shards its keys may live elsewhere now.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// Bytes read so far, and bytes in all: for progress.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.read_bytes, self.total_bytes)
    }

    /// The next frame with commands that counts; `None` at the end.
    ///
    /// Cost: one copy of the file into memory and a checksum. Errors: the disk failed, or the file has changed since it
    /// was scanned.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, AofError> {
        let (epoch, transaction) = loop {
            match self.advance()? {
                None => return Ok(None),
                Some(Header { kind: Kind::Commands { transaction }, epoch, .. })
                    if self.filter.keeps(epoch) =>
                {
                    break (epoch, transaction);
                }
                Some(_) => {}
            }
        };
        let current = self.current.as_ref().expect("advance returned a frame of it");
        Ok(Some(Frame {
            epoch,
            transaction,
            payload: current.payload(),
            path: current.window.path(),
            payload_offset: current.window.offset() + current.header_len as u64,
        }))
    }

    /// Moves to the next frame of any kind; `None` at the end. Its payload is [`SegmentReader::payload`].
    pub(super) fn advance(&mut self) -> Result<Option<Header>, AofError> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(header) = current.advance()?
            {
                self.read_bytes += current.frame_len as u64;
                return Ok(Some(header));
            }
            let Some(part) = self.parts.next() else {
                self.current = None;
                return Ok(None);
            };
            let window = Window::open(&*self.disk, &part.path, part.start, part.end)?;
            if window.limit() < part.end {
                return Err(changed(&window, &format!("{} bytes", part.end)));
            }
            self.current = Some(Current { window, seq: part.seq, header_len: 0, frame_len: 0 });
        }
    }

    /// The payload of the frame that `advance` moved to.
    pub(super) fn payload(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], Current::payload)
    }
}

impl Current {
    fn advance(&mut self) -> Result<Option<Header>, AofError> {
        self.window.consume(self.frame_len);
        (self.header_len, self.frame_len) = (0, 0);
        if self.window.remaining() == 0 {
            return Ok(None);
        }
        let place = Place { seq: self.seq, offset: self.window.offset() };
        let parsed = Header::parse(self.window.fill(HEADER_LEN_MAX)?, place);
        let (header, header_len) =
            parsed.map_err(|error| changed(&self.window, &error.to_string()))?;
        let frame_len = header.payload_len.saturating_add(header_len as u64);
        if frame_len > self.window.remaining() {
            return Err(changed(&self.window, "a whole frame"));
        }
        let frame_len = usize::try_from(frame_len).expect("64-bit");
        let frame = self.window.fill(frame_len)?;
        let is_intact = frame.len() >= frame_len
            && crc32c::crc32c(&frame[header_len..frame_len]) == header.payload_sum;
        if !is_intact {
            return Err(changed(&self.window, "an intact payload"));
        }
        (self.header_len, self.frame_len) = (header_len, frame_len);
        Ok(Some(header))
    }

    fn payload(&self) -> &[u8] {
        &self.window.held()[self.header_len..self.frame_len]
    }
}

/// A frame that the scan found intact is not, now.
fn changed(window: &Window, expected: &str) -> AofError {
    let reason =
        format!("expected {expected} at offset {}, as when the file was checked", window.offset());
    let source = io::Error::new(io::ErrorKind::InvalidData, reason);
    AofError::Io { action: "read", path: window.path().to_path_buf(), source }
}
