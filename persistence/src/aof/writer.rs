//! Segment writer: the commands of a tick in, one frame in the file out.
//!
//! Path: the core's journal, at the end of its tick -> here -> `disk::File`. Read back by `scan` and `reader`.
//! Invariant: durable <= written (byte offsets, each at the end of a frame); whatever is below `written` is whole frames,
//! unless the file could not even be cut after a failed write.
//! Owner: one per core; no other core touches it.

use super::Segment;
use super::epoch::Epoch;
use super::frame::{HEADER_LEN_MAX, Header, Kind, Place, Start, Transaction};
use crate::disk::{self, Disk, File, Mode};
use crate::{AofError, Failure};
use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;

/// With `appendfsync everysec`, the longest time between two fsyncs while something is written, in milliseconds.
pub const SYNC_INTERVAL_MS: u64 = 1000;

/// Largest frame buffer that is kept between ticks, in bytes.
const BUFFER_KEEP_MAX: usize = 1 << 20;

/// Appends frames to the segment of one shard.
///
/// Each tick, in this order: collect the inputs; read `epoch` from the clock; run the commands; call
/// [`SegmentWriter::close_before`]`(epoch)`, then [`SegmentWriter::append`]`(epoch, ..)` if anything was written; then
/// send the replies. A core without writes calls `close_before` too, once the clock has moved.
///
/// A failed write or fsync poisons the writer: every later append fails with the same error, and
/// [`Journal::replace`](super::Journal::replace) is the way out. The commands of a failed append are not in the file; the
/// caller keeps them and appends them to the new writer before anything else. Until then the whole server must refuse
/// writes, since no epoch can be closed.
#[derive(Debug)]
pub struct SegmentWriter {
    file: Box<dyn File>,
    path: Arc<Path>,
    segment: Segment,
    /// The frame being written; reused.
    buffer: Vec<u8>,
    written: u64,
    durable: u64,
    closed: Epoch,
    /// What `closed` was at `durable`.
    durable_closed: Epoch,
    /// Highest epoch of a frame.
    latest: Epoch,
    pending: Option<PendingSync>,
    sync_started_at_ms: Option<u64>,
    failure: Option<Failure>,
}

/// An fsync in flight: everything below `offset` is durable once it has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingSync {
    /// The file to sync; `None` for a file that is not the kernel's (then use [`SegmentWriter::sync`]).
    pub fd: Option<RawFd>,
    /// Bytes written when it started.
    pub offset: u64,
    closed: Epoch,
}

impl SegmentWriter {
    /// Makes the file of `segment` with a durable start frame. The caller syncs the folder and lists it.
    pub(super) fn create(
        disk: &dyn Disk,
        folder: &Path,
        segment: Segment,
        epoch: Epoch,
        kept: Epoch,
    ) -> Result<SegmentWriter, AofError> {
        let path = segment.path(folder);
        let file = disk.open(&path, Mode::CreateNew).map_err(AofError::io("create", &path))?;
        let mut writer = SegmentWriter::at(file, &path, segment, 0);
        writer.start(epoch, kept)?;
        writer.sync()?;
        Ok(writer)
    }

    /// Takes over a file whose first `len` bytes are whole, durable frames and that ends there.
    pub(super) fn at(file: Box<dyn File>, path: &Path, segment: Segment, len: u64) -> Self {
        SegmentWriter {
            file,
            path: path.into(),
            segment,
            buffer: Vec::new(),
            written: len,
            durable: len,
            closed: Epoch::ZERO,
            durable_closed: Epoch::ZERO,
            latest: Epoch::ZERO,
            pending: None,
            sync_started_at_ms: None,
            failure: None,
        }
    }

    /// Appends a start frame: epochs count from `epoch`, those between `kept` and it are void.
    pub(super) fn start(&mut self, epoch: Epoch, kept: Epoch) -> Result<(), AofError> {
        let start = Start {
            kept,
            generation: self.segment.generation,
            shard: self.segment.shard,
            shard_count: self.segment.shard_count,
        };
        self.closed = epoch.previous();
        self.put(Kind::Start(start), epoch, &[])
    }

    /// Appends the commands of one tick, which ran in `epoch`, as one frame with one write.
    ///
    /// `commands` are whole RESP commands that can be replayed on their own (database 0 is selected before them).
    /// Nothing happens if there are none. `epoch` must not be closed. Allocates only when a frame is larger than all
    /// before. Error: [`AofError::WriterFailed`], the same each time once it has occurred.
    pub fn append(&mut self, epoch: Epoch, commands: &[u8]) -> Result<(), AofError> {
        if commands.is_empty() {
            return self.check_healthy();
        }
        self.put(Kind::Commands { transaction: None }, epoch, commands)
    }

    /// Appends this shard's part of a transaction over several shards, as [`SegmentWriter::append`] does.
    pub fn append_transaction(
        &mut self,
        epoch: Epoch,
        transaction: Transaction,
        commands: &[u8],
    ) -> Result<(), AofError> {
        self.put(Kind::Commands { transaction: Some(transaction) }, epoch, commands)
    }

    /// Writes that `epoch` is over: no frame of it or of an earlier one follows. Does nothing if it was closed before.
    pub fn close(&mut self, epoch: Epoch) -> Result<(), AofError> {
        if epoch <= self.closed {
            return self.check_healthy();
        }
        self.put(Kind::Closed, epoch, &[])?;
        self.closed = epoch;
        Ok(())
    }

    /// Closes all epochs before `current`, what the clock says. Almost always it only compares two numbers.
    pub fn close_before(&mut self, current: Epoch) -> Result<(), AofError> {
        self.close(current.previous())
    }

    /// Ends the segment at a clean shutdown: closes `epoch`, after which nothing more may be appended in it, and makes
    /// everything durable. The last marker proves that all before it was, so that any damage there will be noticed.
    pub fn seal(&mut self, epoch: Epoch) -> Result<(), AofError> {
        self.close(epoch)?;
        self.sync()?;
        self.put(Kind::Closed, epoch, &[])?;
        self.sync()
    }

    fn put(&mut self, kind: Kind, epoch: Epoch, payload: &[u8]) -> Result<(), AofError> {
        self.check_healthy()?;
        assert!(
            epoch > self.closed || matches!(kind, Kind::Closed) && epoch == self.closed,
            "nothing may be appended to a closed epoch"
        );
        let header = Header {
            kind,
            epoch,
            synced: self.durable,
            payload_len: payload.len() as u64,
            payload_sum: crc32c::crc32c(payload),
        };
        self.buffer.clear();
        self.buffer.reserve(HEADER_LEN_MAX + payload.len());
        header.encode(Place { seq: self.segment.seq, offset: self.written }, &mut self.buffer);
        self.buffer.extend_from_slice(payload);
        let result = disk::write_all_at(&*self.file, &self.buffer, self.written);
        let len = self.buffer.len() as u64;
        if self.buffer.capacity() > BUFFER_KEEP_MAX {
            self.buffer = Vec::new();
        }
        if let Err(error) = result {
            // What was written of the frame must not stay. If the cut fails too, the manifest will say where the file
            // ends when the writer is replaced, and recovery will see a torn tail if it comes first.
            let _ = self.file.set_size(self.written);
            return Err(self.poison("write", self.written, &error));
        }
        self.written += len;
        self.latest = self.latest.max(epoch);
        Ok(())
    }

    /// Whether an fsync should start now, with `appendfsync everysec`: none is in flight, something is not durable, and
    /// either an epoch was closed since the last one or [`SYNC_INTERVAL_MS`] have passed.
    #[must_use]
    pub fn sync_due(&self, now_ms: u64) -> bool {
        if self.pending.is_some() || self.failure.is_some() || self.durable == self.written {
            return false;
        }
        let is_late = self
            .sync_started_at_ms
            .is_none_or(|started_at_ms| now_ms.saturating_sub(started_at_ms) >= SYNC_INTERVAL_MS);
        is_late || self.closed > self.durable_closed
    }

    /// Notes that the caller starts an fdatasync of `fd` now. Exactly one [`SegmentWriter::sync_finished`] must follow,
    /// and the writer must not be dropped or replaced before it.
    pub fn sync_started(&mut self, now_ms: u64) -> PendingSync {
        assert!(self.pending.is_none(), "one fsync at a time");
        let pending =
            PendingSync { fd: self.file.raw_fd(), offset: self.written, closed: self.closed };
        self.pending = Some(pending);
        self.sync_started_at_ms = Some(now_ms);
        pending
    }

    /// Takes the outcome of the fsync in flight. After an error the file is never trusted again.
    pub fn sync_finished(&mut self, result: io::Result<()>) -> Result<(), AofError> {
        let pending = self.pending.take().expect("sync_started was called before");
        match result {
            Ok(()) => {
                assert!(self.durable <= pending.offset && pending.offset <= self.written);
                self.durable = pending.offset;
                self.durable_closed = pending.closed;
                Ok(())
            }
            Err(error) => Err(self.poison("fsync", self.durable, &error)),
        }
    }

    /// Makes everything written durable, blocking the thread: for start-up, shutdown and tests.
    pub fn sync(&mut self) -> Result<(), AofError> {
        self.check_healthy()?;
        assert!(self.pending.is_none(), "one fsync at a time");
        self.pending = Some(PendingSync { fd: None, offset: self.written, closed: self.closed });
        let result = self.file.sync();
        self.sync_finished(result)
    }

    /// As [`SegmentWriter::sync`], but leaves a sync that is in flight alone: what it covers is on its way, and what
    /// came after it is made durable here.
    pub fn sync_if_idle(&mut self) -> Result<(), AofError> {
        if self.pending.is_none() {
            return self.sync();
        }
        self.check_healthy()?;
        self.file.sync().map_err(|error| self.poison("fsync", self.durable, &error))
    }

    fn check_healthy(&self) -> Result<(), AofError> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(AofError::WriterFailed(failure.clone())),
        }
    }

    fn poison(&mut self, action: &'static str, offset: u64, error: &io::Error) -> AofError {
        let failure = Failure {
            action,
            path: Arc::clone(&self.path),
            offset,
            kind: error.kind(),
            cause: error.to_string(),
        };
        AofError::WriterFailed(self.failure.get_or_insert(failure).clone())
    }

    /// The first failure, if the writer is poisoned.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether an fsync is in flight.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.pending.is_some()
    }

    /// Bytes written to the file, all of them whole frames.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that survive a power failure.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// The last epoch that is closed.
    #[must_use]
    pub fn closed(&self) -> Epoch {
        self.closed
    }

    /// The last epoch whose end is durable.
    #[must_use]
    pub fn durable_closed(&self) -> Epoch {
        self.durable_closed
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Effect, Fault, FaultyDisk, MemoryDisk, Operation};

    const FOLDER: &str = "/aof";

    fn segment() -> Segment {
        Segment {
            name: "s".to_owned(),
            seq: 1,
            generation: 1,
            shard: 0,
            shard_count: 1,
            sealed_len: None,
        }
    }

    fn writer(disk: &dyn Disk) -> SegmentWriter {
        SegmentWriter::create(disk, Path::new(FOLDER), segment(), Epoch::new(1), Epoch::ZERO)
            .unwrap()
    }

    fn bytes(disk: &dyn Disk) -> Vec<u8> {
        let file = disk.open(Path::new("/aof/s"), Mode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
        disk::read_full_at(&*file, &mut bytes, 0).unwrap();
        bytes
    }

    fn faulty(operation: Operation, at: u64, effect: Effect) -> FaultyDisk {
        let disk = FaultyDisk::new(MemoryDisk::with_folder(FOLDER), None);
        disk.set_fault(Some(Fault { operation: Some(operation), at, effect }));
        disk
    }

    #[test]
    fn a_frame_costs_one_write() {
        let disk = FaultyDisk::new(MemoryDisk::with_folder(FOLDER), None);
        let mut writer = writer(&disk);
        let before = disk.count();
        writer.append(Epoch::new(1), b"*1\r\n$4\r\nPING\r\n").unwrap();
        assert_eq!(disk.count() - before, 1);
        writer.append(Epoch::new(1), b"").unwrap();
        assert_eq!(disk.count() - before, 1);
        assert_eq!(writer.written(), bytes(&disk).len() as u64);
    }

    #[test]
    fn a_short_write_is_completed() {
        let disk = faulty(Operation::Write, 1, Effect::ShortWrite(10));
        let mut writer = writer(&disk);
        writer.append(Epoch::new(1), b"payload").unwrap();
        assert!(bytes(&disk).ends_with(b"\r\npayload"));
        assert_eq!(writer.written(), bytes(&disk).len() as u64);
    }

    #[test]
    fn a_failed_write_leaves_no_torn_frame_and_poisons_the_writer() {
        let disk = FaultyDisk::new(MemoryDisk::with_folder(FOLDER), None);
        let mut writer = writer(&disk);
        let good = bytes(&disk);
        disk.set_fault(Some(Fault {
            operation: Some(Operation::Write),
            at: 0,
            effect: Effect::Errno(28),
        }));
        let first = writer.append(Epoch::new(1), b"payload").unwrap_err();
        assert!(first.is_disk_full());
        let text = first.to_string();
        let expected = format!("cannot write /aof/s at offset {}: ", good.len());
        assert!(text.starts_with(&expected), "{text}");
        disk.heal();
        assert_eq!(writer.append(Epoch::new(1), b"payload").unwrap_err().to_string(), text);
        assert_eq!(writer.close(Epoch::new(1)).unwrap_err().to_string(), text);
        assert_eq!(writer.sync().unwrap_err().to_string(), text);
        assert_eq!(bytes(&disk), good);
    }

    #[test]
    fn a_short_write_before_a_full_disk_is_cut_back() {
        let disk = faulty(Operation::Write, 1, Effect::ShortWrite(10));
        let mut writer = writer(&disk);
        let good = bytes(&disk);
        // The rest of the frame meets a full disk: let the next write fail as well.
        struct ShortThenFull(std::sync::atomic::AtomicU32, Box<dyn File>);
        impl std::fmt::Debug for ShortThenFull {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("ShortThenFull")
            }
        }
        impl File for ShortThenFull {
            fn size(&self) -> io::Result<u64> {
                self.1.size()
            }
            fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
                self.1.read_at(buffer, offset)
            }
            fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
                match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    0 => self.1.write_at(&bytes[..10], offset),
                    _ => Err(io::Error::from_raw_os_error(28)),
                }
            }
            fn set_size(&self, size: u64) -> io::Result<()> {
                self.1.set_size(size)
            }
            fn sync(&self) -> io::Result<()> {
                self.1.sync()
            }
            fn try_lock(&self) -> io::Result<bool> {
                self.1.try_lock()
            }
            fn raw_fd(&self) -> Option<RawFd> {
                None
            }
        }
        disk.heal();
        let inner = disk.open(Path::new("/aof/s"), Mode::Write).unwrap();
        writer.file = Box::new(ShortThenFull(0.into(), inner));
        writer.append(Epoch::new(1), b"payload").unwrap_err();
        assert_eq!(bytes(&disk), good);
    }

    #[test]
    fn everysec_asks_for_one_fsync_at_a_time() {
        let disk = MemoryDisk::with_folder(FOLDER);
        let mut writer = writer(&disk);
        assert!(!writer.sync_due(0), "the start frame is durable");
        writer.append(Epoch::new(1), b"a").unwrap();
        assert!(writer.sync_due(10_000));
        let pending = writer.sync_started(10_000);
        assert_eq!(pending.offset, writer.written());
        writer.append(Epoch::new(1), b"b").unwrap();
        assert!(!writer.sync_due(20_000), "one is in flight");
        writer.sync_finished(Ok(())).unwrap();
        assert_eq!(writer.durable(), pending.offset);
        assert!(!writer.sync_due(10_999));
        assert!(writer.sync_due(11_000));
        writer.close_before(Epoch::new(2)).unwrap();
        assert!(writer.sync_due(10_500), "the end of an epoch is synced at once");
    }

    #[test]
    fn a_failed_fsync_poisons_the_writer_at_the_durable_offset() {
        let disk = MemoryDisk::with_folder(FOLDER);
        let mut writer = writer(&disk);
        let durable = writer.durable();
        writer.append(Epoch::new(1), b"a").unwrap();
        writer.sync_started(0);
        let error = writer.sync_finished(Err(io::Error::from_raw_os_error(5))).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("cannot fsync /aof/s at offset {durable}: ")),
            "{error}"
        );
        assert!(!writer.sync_due(10_000));
        writer.append(Epoch::new(1), b"b").unwrap_err();
    }

    #[test]
    fn an_epoch_is_closed_once() {
        let disk = MemoryDisk::with_folder(FOLDER);
        let mut writer = writer(&disk);
        writer.close_before(Epoch::new(3)).unwrap();
        let written = writer.written();
        writer.close_before(Epoch::new(3)).unwrap();
        assert_eq!(writer.written(), written);
        assert_eq!(writer.closed(), Epoch::new(2));
    }

    #[test]
    fn the_frame_buffer_does_not_stay_large() {
        let disk = MemoryDisk::with_folder(FOLDER);
        let mut writer = writer(&disk);
        writer.append(Epoch::new(1), &vec![b'x'; 4 * BUFFER_KEEP_MAX]).unwrap();
        assert!(writer.buffer.capacity() <= BUFFER_KEEP_MAX);
    }
}
