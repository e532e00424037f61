//! The last step of recovery: the files are cut to what is kept and get ready for new frames.
//!
//! Order, so that a stop anywhere leads to the same cut again: all files are cut and synced before any frame is
//! appended; new files are whole and durable before the manifest lists them.

use super::epoch::Epoch;
use super::journal::{self, Journal};
use super::manifest::Manifest;
use super::recovery::Plan;
use super::writer::SegmentWriter;
use super::{Report, Segment};
use crate::AofError;
use crate::disk::Mode;
use std::io;

/// The log, ready to be written.
#[derive(Debug)]
pub struct Started {
    /// One per shard, in order.
    pub writers: Vec<SegmentWriter>,
    /// Makes new segments; share it.
    pub journal: Journal,
    /// What the clock starts with: later than anything in the log.
    pub epoch: Epoch,
    /// What was found and dropped; its warnings belong in the text log.
    pub report: Report,
}

impl Plan {
    /// Carries the plan out for a server with `shard_count` shards: drops what is not kept, then gives every shard a
    /// segment to append to: its old one, or a new generation if the number of shards has changed. Replay first.
    ///
    /// Blocking: a few fsyncs per shard. After an error it may be tried again with a new plan.
    pub fn start(self, shard_count: u16) -> Result<Started, AofError> {
        assert!((1..=super::frame::SHARD_COUNT_MAX).contains(&shard_count));
        self.create_folder()?;
        let old_writers = self.cut_files()?;
        let mut manifest = self.kept_manifest();
        let is_changed = self.files.iter().map(|file| &file.scanned.segment).ne(&manifest.segments);
        if is_changed {
            manifest.store(&*self.disk, &self.options)?;
        }
        let writers = if self.shard_count() == Some(shard_count) {
            self.resume(old_writers)?
        } else {
            self.begin_generation(&mut manifest, shard_count)?
        };
        let (epoch, report) = (self.next, self.report());
        let journal = Journal::new(self.disk, self.options, manifest);
        Ok(Started { writers, journal, epoch, report })
    }

    fn create_folder(&self) -> Result<(), AofError> {
        let folder = self.options.folder();
        match self.disk.create_folder(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(AofError::io("create", &folder))?,
        }
        // Also if it was there: the last process may have been killed between making a name (of this folder, or of the
        // manifest in it) and syncing it, and we are going to build on these names.
        for folder in [&self.options.dir, &folder] {
            self.disk.sync_folder(folder).map_err(AofError::io("sync", folder))?;
        }
        Ok(())
    }

    /// Cuts the last file of each shard to what is kept and makes that durable; returns writers that go on from there, in
    /// order of shards.
    fn cut_files(&self) -> Result<Vec<SegmentWriter>, AofError> {
        let mut writers = Vec::new();
        for plan in self.files.iter().filter(|file| file.is_last) {
            let segment = Segment { sealed_len: None, ..plan.scanned.segment.clone() };
            let path = segment.path(&self.options.folder());
            let file = self.disk.open(&path, Mode::Write).map_err(AofError::io("open", &path))?;
            let size = file.size().map_err(AofError::io("read", &path))?;
            if size != plan.kept_len {
                file.set_size(plan.kept_len).map_err(AofError::io("cut", &path))?;
            }
            // Also if nothing was cut: what was read may be in memory only, and later frames will build on it.
            file.sync().map_err(AofError::io("sync", &path))?;
            writers.push(SegmentWriter::at(file, &path, segment, plan.kept_len));
        }
        writers.sort_by_key(|writer| writer.segment().shard);
        Ok(writers)
    }

    /// The manifest without dropped files, in which exactly the last file of each shard is open.
    fn kept_manifest(&self) -> Manifest {
        let kept = self.files.iter().filter(|file| !file.is_dropped);
        let segments = kept.map(|file| {
            let mut segment = file.scanned.segment.clone();
            if file.is_last {
                segment.sealed_len = None;
            }
            segment
        });
        Manifest { segments: segments.collect() }
    }

    /// Goes on with the old segments.
    fn resume(&self, mut writers: Vec<SegmentWriter>) -> Result<Vec<SegmentWriter>, AofError> {
        for writer in &mut writers {
            writer.start(self.next, self.last)?;
        }
        for writer in &mut writers {
            writer.sync()?;
        }
        Ok(writers)
    }

    /// Seals the old segments and makes new ones.
    fn begin_generation(
        &self,
        manifest: &mut Manifest,
        shard_count: u16,
    ) -> Result<Vec<SegmentWriter>, AofError> {
        let generation = manifest.segments.last().map_or(1, |last| last.generation + 1);
        let last_lens: Vec<(u64, u64)> = self
            .files
            .iter()
            .filter(|file| file.is_last)
            .map(|file| (file.scanned.segment.seq, file.kept_len))
            .collect();
        for segment in &mut manifest.segments {
            if let Some((_, len)) = last_lens.iter().find(|(seq, _)| *seq == segment.seq) {
                segment.sealed_len = Some(*len);
            }
        }
        let first_seq = journal::next_seq(&*self.disk, &self.options, manifest)?;
        let folder = self.options.folder();
        let mut writers = Vec::new();
        for shard in 0..shard_count {
            let seq = first_seq + u64::from(shard);
            let name = self.options.segment_name(seq, shard);
            let segment = Segment { name, seq, generation, shard, shard_count, sealed_len: None };
            manifest.segments.push(segment.clone());
            let writer =
                SegmentWriter::create(&*self.disk, &folder, segment, self.next, self.last)?;
            writers.push(writer);
        }
        self.disk.sync_folder(&folder).map_err(AofError::io("sync", &folder))?;
        manifest.store(&*self.disk, &self.options)?;
        Ok(writers)
    }
}
