//! The journal of one core: entries of a tick in, one frame in the core's append-only segment out.
//!
//! Path: `shard::effects` -> `Core::commit_journal` -> here -> `persistence::aof::SegmentWriter`.
//! Called at the end of every tick, before anything that depends on its writes leaves the core. Invariant: what the
//! shard has done is in the segment or in `unwritten`, and while `unwritten` is not empty no client may write.

use crate::mailbox::{Epochs, Switchboard};
use crate::runtime::clock;
use crate::runtime::reactor::Reactor;
use ops::config::AppendFsync;
use ops::metrics::CoreCounters;
use persistence::AofError;
use persistence::aof::{self, Epoch, SegmentWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

/// How often the epoch advances while something is written, in microseconds: at least twice a second.
const EPOCH_US: i64 = 250_000;
/// How often a failed segment is tried anew, in microseconds.
const RETRY_US: i64 = 1_000_000;
/// The token of the only file a core syncs.
const SYNC_TOKEN: u32 = 0;

/// What the journals of all cores share.
#[derive(Debug)]
pub struct Log {
    /// The epoch of the file that the server's epoch 0 is.
    first: Epoch,
    /// Whether anything was written since the epoch last advanced.
    is_dirty: AtomicBool,
    journal: aof::Journal,
    /// When the epoch last advanced, in microseconds since 1970; locked by the core that keeps the clock just now.
    advanced_at_us: Mutex<i64>,
    /// One flag per core: its segment has failed, and nobody may write.
    failed: Vec<AtomicBool>,
    /// Why, for the error that writes get.
    cause: Mutex<String>,
}

impl Log {
    /// The log of a server whose recovery is complete.
    #[must_use]
    pub fn new(first: Epoch, journal: aof::Journal, core_count: usize) -> Self {
        Log {
            first,
            is_dirty: AtomicBool::new(false),
            journal,
            advanced_at_us: Mutex::new(0),
            failed: (0..core_count).map(|_| AtomicBool::new(false)).collect(),
            cause: Mutex::default(),
        }
    }

    /// The epoch of the file that the server's `epoch` is.
    #[must_use]
    pub fn epoch(&self, epoch: Epochs) -> Epoch {
        Epoch::new(self.first.get() + u64::from(epoch))
    }

    /// Begins a new epoch if it is time and something was written. Any core may call it at any time.
    pub fn keep_clock(&self, now_us: i64, switchboard: &Switchboard) {
        // Whoever comes while another core is here has nothing to do.
        let mut advanced_at_us = match self.advanced_at_us.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if now_us - *advanced_at_us >= EPOCH_US && self.is_dirty.swap(false, Ordering::AcqRel) {
            switchboard.advance_epoch();
            *advanced_at_us = now_us;
        }
    }

    /// Whether some core cannot write its segment, so that nobody may write.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.failed.iter().any(|failed| failed.load(Ordering::Relaxed))
    }

    /// What MISCONF tells the client.
    #[must_use]
    pub fn cause(&self) -> String {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where in history a frame stands.
#[derive(Clone, Copy, Debug)]
pub struct FrameEpochs {
    /// When its commands ran.
    pub epoch: Epoch,
    /// Nothing of an epoch before this one follows.
    pub closable: Epoch,
}

/// The journal of one core.
#[derive(Debug)]
pub struct Journal {
    core: usize,
    /// `None` only while it is being replaced.
    writer: Option<SegmentWriter>,
    /// Entries that a failed segment did not take.
    unwritten: Vec<u8>,
    retry_at_us: i64,
    appended_len: u64,
    written_before: u64,
}

impl Journal {
    /// A journal that appends to `writer`'s segment.
    #[must_use]
    pub fn new(core: usize, writer: SegmentWriter) -> Self {
        let written_before = writer.written();
        Journal {
            core,
            writer: Some(writer),
            unwritten: Vec::new(),
            retry_at_us: 0,
            appended_len: 0,
            written_before,
        }
    }

    /// Bytes of entries that the file has not taken yet: none, unless it cannot be written.
    #[must_use]
    pub fn unwritten_len(&self) -> usize {
        self.unwritten.len()
    }

    /// Appends the entries of a tick and keeps the segment's epochs, fsyncs and counters going.
    ///
    /// With `always` the entries are on the disk when this returns.
    pub fn commit(
        &mut self,
        log: &Log,
        policy: AppendFsync,
        epochs: FrameEpochs,
        entries: &[u8],
        reactor: &Reactor,
        counters: &CoreCounters,
    ) {
        self.take_synced(log, reactor, counters);
        if !self.unwritten.is_empty() || self.writer().failure().is_some() {
            self.unwritten.extend_from_slice(entries);
            self.try_again(log, epochs);
            return;
        }
        let result = self.writer().close_before(epochs.closable);
        let result = result.and_then(|()| self.writer().append(epochs.epoch, entries));
        if let Err(error) = result {
            self.unwritten.extend_from_slice(entries);
            self.fail(log, &error);
            return;
        }
        if !entries.is_empty() {
            log.is_dirty.store(true, Ordering::Release);
            self.appended_len += entries.len() as u64;
            counters.aof_appended_bytes.set(self.appended_len);
            counters.aof_written_bytes.set(self.writer().written() - self.written_before);
            if policy == AppendFsync::Always {
                let result = self.writer().sync_if_idle();
                counters.aof_fsyncs.increment();
                if let Err(error) = result {
                    // Replies that depend on it must not leave, and the file can never be trusted again: as Redis does.
                    tracing::error!("{error}; with appendfsync always the server cannot go on");
                    std::process::exit(1);
                }
            }
        }
        if policy == AppendFsync::Everysec {
            self.start_sync(reactor);
        }
    }

    /// Ends the segment at a clean shutdown. Every core has stopped writing, and all are given the same log.
    pub fn seal(&mut self, log: &Log, epoch: Epoch, reactor: &Reactor, counters: &CoreCounters) {
        while self.writer().is_syncing() {
            let deadline = clock::Moment::now().after(std::time::Duration::from_millis(100));
            if reactor.enter(true, deadline).is_err() {
                return;
            }
            reactor.reap();
            self.take_synced(log, reactor, counters);
        }
        if let Err(error) = self.writer().seal(epoch) {
            tracing::error!("{error}");
        }
    }

    fn writer(&mut self) -> &mut SegmentWriter {
        self.writer.as_mut().expect("it is put back whenever it was taken")
    }

    fn start_sync(&mut self, reactor: &Reactor) {
        let now_ms = (clock::unix_us() / 1000).unsigned_abs();
        if !self.writer().sync_due(now_ms) {
            return;
        }
        let pending = self.writer().sync_started(now_ms);
        let fd = pending.fd.expect("a serving core's segment is a file of the kernel's");
        reactor.datasync(fd, SYNC_TOKEN);
    }

    fn take_synced(&mut self, log: &Log, reactor: &Reactor, counters: &CoreCounters) {
        for (_, result) in reactor.take_synced() {
            if let Err(error) = self.writer().sync_finished(result) {
                self.fail(log, &error);
            }
            counters.aof_fsyncs.increment();
            let durable = self.writer().durable().saturating_sub(self.written_before);
            counters.aof_durable_bytes.set(durable);
        }
    }

    fn fail(&mut self, log: &Log, error: &AofError) {
        tracing::error!("{error}; writes are refused until the append-only file can be written");
        let cause = self.writer().failure().map_or_else(String::new, |f| f.cause.clone());
        *log.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        log.failed[self.core].store(true, Ordering::Relaxed);
        self.retry_at_us = clock::unix_us() + RETRY_US;
    }

    /// Continues in a new segment, once a second, until the disk takes it.
    fn try_again(&mut self, log: &Log, epochs: FrameEpochs) {
        let now_us = clock::unix_us();
        if now_us < self.retry_at_us || self.writer().is_syncing() {
            return;
        }
        self.retry_at_us = now_us + RETRY_US;
        if self.writer().failure().is_some() {
            let old = self.writer.take().expect("it is put back whenever it was taken");
            match log.journal.replace(old) {
                Ok(writer) => {
                    self.written_before = 0;
                    self.writer = Some(writer);
                }
                Err(error) => {
                    tracing::warn!("the append-only file still cannot be written: {error}");
                    self.writer = Some(*error.writer);
                    return;
                }
            }
        }
        let unwritten = std::mem::take(&mut self.unwritten);
        let result = self.writer().close_before(epochs.closable);
        let result = result.and_then(|()| self.writer().append(epochs.epoch, &unwritten));
        match result {
            Ok(()) => {
                log.is_dirty.store(true, Ordering::Release);
                log.failed[self.core].store(false, Ordering::Relaxed);
                tracing::warn!("the append-only file can be written again");
            }
            Err(error) => {
                self.unwritten = unwritten;
                self.fail(log, &error);
            }
        }
    }
}
