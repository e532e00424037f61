//! The folder of the append-only files while a server runs: makes a new segment after a disk error.
//!
//! After a failed fsync the kernel may have dropped what was not durable, and says so only once. So the old file counts
//! only as far as it was durable before (`length` in the manifest); what was written after that is read back, checked,
//! and written again to a new file, which is synced before anything else happens.
//! Owner: shared by all cores; used rarely.

use super::epoch::Epoch;
use super::frame::Kind;
use super::manifest::Manifest;
use super::reader::{Filter, Part, SegmentReader};
use super::writer::SegmentWriter;
use super::{Options, Segment};
use crate::AofError;
use crate::disk::Disk;
use std::sync::{Arc, Mutex, PoisonError};

/// The folder and its manifest.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    options: Options,
    manifest: Mutex<Manifest>,
}

/// A replacement that failed, with the poisoned writer: try again later.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ReplaceError {
    /// The old writer, still poisoned.
    pub writer: Box<SegmentWriter>,
    /// Why.
    #[source]
    pub error: AofError,
}

impl Journal {
    pub(super) fn new(disk: Arc<dyn Disk>, options: Options, manifest: Manifest) -> Self {
        Journal { disk, options, manifest: Mutex::new(manifest) }
    }

    /// Continues a poisoned writer's segment in a new file of the next sequence number.
    ///
    /// Everything that `old` had written is durable in the new file, or the replacement fails and leaves no trace: the
    /// disk is still full or sick, or the old file cannot be read back. Then try again, about once a second. Blocking:
    /// copies what was not durable (about a second of writes) and syncs; not for a core's own thread if that matters.
    /// No fsync of `old` may be in flight.
    pub fn replace(&self, old: SegmentWriter) -> Result<SegmentWriter, ReplaceError> {
        assert!(!old.is_syncing(), "wait for the fsync in flight");
        match self.try_replace(&old) {
            Ok(writer) => Ok(writer),
            Err(error) => Err(ReplaceError { writer: Box::new(old), error }),
        }
    }

    fn try_replace(&self, old: &SegmentWriter) -> Result<SegmentWriter, AofError> {
        let mut manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = next_seq(&*self.disk, &self.options, &manifest)?;
        let name = self.options.segment_name(seq, old.segment().shard);
        let segment = Segment { name, seq, sealed_len: None, ..old.segment().clone() };
        let path = segment.path(&self.options.folder());
        let made = self.make(old, segment.clone());
        let stored = made.and_then(|writer| {
            let mut next = manifest.clone();
            for listed in &mut next.segments {
                if listed.seq == old.segment().seq {
                    listed.sealed_len = Some(old.durable());
                }
            }
            next.segments.push(segment);
            next.store(&*self.disk, &self.options)?;
            *manifest = next;
            Ok(writer)
        });
        if stored.is_err() {
            // If even this fails, the file stays unlisted and its number is not used again.
            let _ = self.disk.remove(&path);
        }
        stored
    }

    /// Makes the new file with all that was not durable in the old one.
    fn make(&self, old: &SegmentWriter, segment: Segment) -> Result<SegmentWriter, AofError> {
        let folder = self.options.folder();
        let closed = old.durable_closed();
        let mut writer =
            SegmentWriter::create(&*self.disk, &folder, segment, closed.next(), closed)?;
        let part = Part {
            path: old.path().to_path_buf(),
            seq: old.segment().seq,
            start: old.durable(),
            end: old.written(),
        };
        let filter = Filter { last: Epoch::new(u64::MAX), void: Arc::new([]) };
        let shard = old.segment().shard;
        let mut reader = SegmentReader::new(Arc::clone(&self.disk), shard, vec![part], filter);
        while let Some(header) = reader.advance()? {
            match header.kind {
                Kind::Commands { transaction: None } => {
                    writer.append(header.epoch, reader.payload())?;
                }
                Kind::Commands { transaction: Some(transaction) } => {
                    writer.append_transaction(header.epoch, transaction, reader.payload())?;
                }
                Kind::Closed => writer.close(header.epoch)?,
                Kind::Start(_) => unreachable!("start frames are durable before others follow"),
            }
        }
        writer.sync()?;
        self.disk.sync_folder(&folder).map_err(AofError::io("sync", &folder))?;
        Ok(writer)
    }
}

/// The first sequence number that no file in the folder has, listed or not.
pub(super) fn next_seq(
    disk: &dyn Disk,
    options: &Options,
    manifest: &Manifest,
) -> Result<u64, AofError> {
    let folder = options.folder();
    let names = disk.list(&folder).map_err(AofError::io("list", &folder))?;
    let on_disk = names.iter().filter_map(|name| options.seq_in_name(name));
    let listed = manifest.segments.iter().map(|segment| segment.seq);
    Ok(on_disk.chain(listed).max().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aof::{Started, open};
    use crate::disk::{Effect, Fault, FaultyDisk, MemoryDisk, Operation};

    fn start(disk: &FaultyDisk) -> Started {
        open(Arc::new(disk.clone()), Options::new("/data")).unwrap().start(1).unwrap()
    }

    fn fail(disk: &FaultyDisk, operation: Operation, errno: i32) {
        let effect = Effect::Errno(errno);
        disk.set_fault(Some(Fault { operation: Some(operation), at: 0, effect }));
    }

    fn replay(disk: MemoryDisk) -> Vec<Vec<u8>> {
        let plan = open(Arc::new(disk), Options::new("/data")).unwrap();
        let mut found = Vec::new();
        for mut reader in plan.replays().into_iter().flat_map(|replay| replay.readers) {
            while let Some(frame) = reader.next_frame().unwrap() {
                found.push(frame.payload.to_vec());
            }
        }
        found
    }

    #[test]
    fn a_full_disk_is_survived_once_there_is_room_again() {
        let memory = MemoryDisk::with_folder("/data");
        let disk = FaultyDisk::new(memory.clone(), None);
        let Started { mut writers, journal, epoch, .. } = start(&disk);
        let mut writer = writers.remove(0);
        writer.append(epoch, b"before").unwrap();
        fail(&disk, Operation::Write, 28);
        writer.append(epoch, b"kept by the core").unwrap_err();

        let failed = journal.replace(writer).unwrap_err();
        assert!(failed.error.is_disk_full(), "{failed}");
        assert_eq!(memory.list(&Options::new("/data").folder()).unwrap().len(), 2, "no trace");
        disk.heal();
        let mut writer = journal.replace(*failed.writer).unwrap();
        assert_eq!(writer.segment().name, "appendonly.aof.2.shard0.incr.aof");
        writer.append(epoch, b"kept by the core").unwrap();
        writer.sync().unwrap();
        // Whatever the power failure keeps of the old file, all is in the new one.
        for choice in [1, 2] {
            let after = memory.after_power_failure(|| choice);
            assert_eq!(replay(after), [b"before".to_vec(), b"kept by the core".to_vec()]);
        }
    }

    #[test]
    fn after_a_failed_fsync_the_old_file_counts_only_as_far_as_it_was_durable() {
        let memory = MemoryDisk::with_folder("/data");
        let disk = FaultyDisk::new(memory.clone(), None);
        let Started { mut writers, journal, epoch, .. } = start(&disk);
        let mut writer = writers.remove(0);
        writer.append(epoch, b"durable").unwrap();
        writer.sync().unwrap();
        let durable = writer.durable();
        writer.append(epoch, b"doubtful").unwrap();
        fail(&disk, Operation::Sync, 5);
        writer.sync().unwrap_err();
        disk.heal();
        let writer = journal.replace(writer).unwrap();
        assert_eq!(writer.durable(), writer.written());
        let manifest = Manifest::load(&memory, &Options::new("/data")).unwrap().unwrap();
        assert_eq!(manifest.segments[0].sealed_len, Some(durable));
        let after = memory.after_power_failure(|| 1);
        assert_eq!(replay(after), [b"durable".to_vec(), b"doubtful".to_vec()]);
    }

    #[test]
    fn what_cannot_be_read_back_is_not_given_up() {
        let disk = FaultyDisk::new(MemoryDisk::with_folder("/data"), None);
        let Started { mut writers, journal, epoch, .. } = start(&disk);
        let mut writer = writers.remove(0);
        writer.append(epoch, b"doubtful").unwrap();
        fail(&disk, Operation::Sync, 5);
        writer.sync().unwrap_err();
        fail(&disk, Operation::Read, 5);
        let failed = journal.replace(writer).unwrap_err();
        assert!(failed.to_string().starts_with("cannot read /data/appendonlydir/"), "{failed}");
        disk.heal();
        journal.replace(*failed.writer).unwrap();
    }
}
