//! What `rialto check` says and what `rialto check --fix` does.
//!
//! A repair keeps the longest consistent prefix of history: it cuts at the first damage and drops, on all shards,
//! everything later than the last epoch that was closed before it. Files that are dropped as a whole are taken out of
//! the manifest and stay in the folder.

use super::epoch::Epoch;
use super::recovery::{FilePlan, Plan, Recovery};
use super::scan::{Damage, Scan};
use super::{Options, Segment};
use crate::AofError;
use crate::disk::Disk;
use std::fmt;
use std::sync::Arc;

/// What recovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every file that the manifest lists, in its order.
    pub files: Vec<FileReport>,
    /// The last epoch that is kept.
    pub last: Epoch,
    /// The highest epoch found.
    pub found: Epoch,
}

/// What recovery found in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub segment: Segment,
    /// Bytes in it.
    pub len: u64,
    /// Intact frames in it, markers included.
    pub frame_count: u64,
    /// The last epoch closed in it.
    pub closed: Epoch,
    /// The first bytes that are not intact, if any.
    pub damage: Option<Damage>,
    /// Bytes that are dropped: frames with commands that are later than the cut, and all that is damaged.
    pub dropped_bytes: u64,
    /// Intact frames with commands that are dropped.
    pub dropped_frames: u64,
}

/// Checks the files; changes nothing. The error says why they could not be checked at all.
pub fn check(disk: Arc<dyn Disk>, options: Options) -> Result<Report, AofError> {
    Ok(plan(disk, options)?.report())
}

/// Cuts away all damage, so that a server starts with what is left. Returns what was found and dropped.
///
/// The caller holds the lock of the data directory. Does nothing if there is no data.
pub fn fix(disk: Arc<dyn Disk>, options: Options) -> Result<Report, AofError> {
    let plan = plan(disk, options)?;
    let report = plan.report();
    if let Some(shard_count) = plan.shard_count().filter(|_| report.has_damage()) {
        plan.start(shard_count)?;
    }
    Ok(report)
}

fn plan(disk: Arc<dyn Disk>, options: Options) -> Result<Plan, AofError> {
    let recovery = Recovery::begin(disk, options)?;
    let scanned = recovery.scans().iter().map(Scan::run).collect::<Result<_, _>>()?;
    recovery.plan_around_damage(scanned)
}

impl Plan {
    /// What was found.
    #[must_use]
    pub fn report(&self) -> Report {
        let files = self.files.iter().map(FilePlan::report).collect();
        Report { files, last: self.last, found: self.next.previous() }
    }
}

impl FilePlan {
    fn report(&self) -> FileReport {
        let scanned = &self.scanned;
        let damaged_bytes = scanned.file_len - scanned.intact_len;
        FileReport {
            segment: scanned.segment.clone(),
            len: scanned.file_len,
            frame_count: scanned.frame_count,
            closed: scanned.closed,
            damage: scanned.damage.clone(),
            dropped_bytes: self.cut.dropped_bytes + damaged_bytes,
            dropped_frames: self.cut.dropped_frames,
        }
    }
}

impl Report {
    /// Whether there is any damage, a torn tail included.
    #[must_use]
    pub fn has_damage(&self) -> bool {
        self.files.iter().any(|file| file.damage.is_some())
    }

    /// Bytes that are dropped, over all files.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.dropped_bytes).sum()
    }

    /// What is dropped, in words.
    #[must_use]
    pub fn loss(&self) -> String {
        let files = self.files.iter().filter(|file| file.dropped_bytes > 0).count();
        if files == 0 {
            return "nothing".to_owned();
        }
        let (bytes, last) = (self.dropped_bytes(), self.last);
        let epochs = match self.found > last {
            true => format!(": what was written after epoch {last} of {}", self.found),
            false => String::new(),
        };
        let plural = if files == 1 { "" } else { "s" };
        format!("{bytes} bytes in {files} file{plural}{epochs}")
    }

    /// One sentence for each thing that an operator should know; none after a clean shutdown.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let torn = self.files.iter().filter_map(|file| {
            let damage = file.damage.as_ref()?;
            Some(format!(
                "{} is truncated at offset {}: the last {} bytes are not whole frames (expected {})",
                file.segment.name,
                damage.offset,
                file.len - damage.offset,
                damage.expected
            ))
        });
        let dropped = (self.dropped_bytes() > 0).then(|| format!("dropped {}", self.loss()));
        torn.chain(dropped).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            write!(f, "{}: {} bytes, ", file.segment.name, file.len)?;
            write!(f, "{} frames, closed up to epoch {}", file.frame_count, file.closed)?;
            match &file.damage {
                None => writeln!(f, ", intact")?,
                Some(Damage { offset, expected, proof: None }) => {
                    writeln!(f, ", torn tail at offset {offset}: expected {expected}")?;
                }
                Some(Damage { offset, expected, proof: Some(proof) }) => {
                    writeln!(f, ", damaged at offset {offset}: expected {expected} ({proof})")?;
                }
            }
        }
        write!(f, "a start keeps everything up to epoch {} and drops {}", self.last, self.loss())
    }
}
