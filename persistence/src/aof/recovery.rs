//! Recovery: from what is on disk to what is kept.
//!
//! Path: start-up -> [`Recovery::begin`] -> scans (in parallel) -> [`Recovery::plan`] -> replay -> [`Plan::start`].
//! Nothing on disk changes before `start`.
//!
//! **The cut.** Kept is every frame up to the last epoch that was closed on every shard of the newest generation; with
//! one shard, every intact frame. Older generations are complete: they were cut before the newer one began. So no effect
//! is kept without its cause, whatever a crash did to the ends of the files.

use super::epoch::Epoch;
use super::manifest::Manifest;
use super::reader::{Filter, Part, SegmentReader};
use super::scan::{Cut, Scan, Scanned};
use super::{Options, Segment};
use crate::AofError;
use crate::disk::Disk;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The files that the manifest lists, not yet read.
#[derive(Debug)]
pub struct Recovery {
    disk: Arc<dyn Disk>,
    options: Options,
    manifest: Manifest,
    scans: Vec<Scan>,
}

/// What is kept.
#[derive(Debug)]
pub struct Plan {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    /// In the order of the manifest.
    pub(super) files: Vec<FilePlan>,
    /// The last epoch that is kept.
    pub(super) last: Epoch,
    /// The first epoch that was never used.
    pub(super) next: Epoch,
    pub(super) void: Arc<[RangeInclusive<Epoch>]>,
}

/// What is kept of one file.
#[derive(Debug)]
pub(super) struct FilePlan {
    pub(super) scanned: Scanned,
    /// Bytes from its beginning that stay.
    pub(super) kept_len: u64,
    /// What goes of its intact part.
    pub(super) cut: Cut,
    /// Whether it goes as a whole, because it continues something that is damaged.
    pub(super) is_dropped: bool,
    /// Whether it is the last file of its shard, the one that new frames are appended to.
    pub(super) is_last: bool,
}

/// One generation to replay.
#[derive(Debug)]
pub struct Replay {
    /// Its number.
    pub generation: u64,
    /// How many shards wrote it.
    pub shard_count: u16,
    /// One per shard. Their order among each other does not matter.
    pub readers: Vec<SegmentReader>,
}

/// Reads the manifest and all segments, one after the other, and decides what is kept.
pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Plan, AofError> {
    let recovery = Recovery::begin(disk, options)?;
    let scanned = recovery.scans().iter().map(Scan::run).collect::<Result<_, _>>()?;
    recovery.plan(scanned)
}

impl Recovery {
    /// Reads the manifest. Without one, and without data, there is nothing to scan.
    pub fn begin(disk: Arc<dyn Disk>, options: Options) -> Result<Recovery, AofError> {
        let manifest = Manifest::load(&*disk, &options)?.unwrap_or_default();
        let scans = manifest
            .segments
            .iter()
            .map(|segment| Scan::new(Arc::clone(&disk), options.folder(), segment.clone()))
            .collect();
        Ok(Recovery { disk, options, manifest, scans })
    }

    /// The scans to run; clone them to run them on several threads.
    #[must_use]
    pub fn scans(&self) -> &[Scan] {
        &self.scans
    }

    /// Decides what is kept. `scanned` are the results of all scans, in their order.
    ///
    /// Errors: damage that is more than a torn tail; a torn tail, if the options say so; files that do not belong
    /// together.
    pub fn plan(self, scanned: Vec<Scanned>) -> Result<Plan, AofError> {
        let plan = self.plan_around_damage(scanned)?;
        match plan.refusal() {
            Some(error) => Err(error),
            None => Ok(plan),
        }
    }

    /// As `plan`, but with what can be kept in spite of any damage.
    pub(super) fn plan_around_damage(self, scanned: Vec<Scanned>) -> Result<Plan, AofError> {
        assert!(
            scanned.iter().map(|scanned| &scanned.segment).eq(&self.manifest.segments),
            "one result per scan, in order"
        );
        self.check_generations(&scanned)?;
        let cut = cut(&scanned);
        let void = scanned.iter().flat_map(|scanned| scanned.void.iter().cloned()).collect();
        let mut files = Vec::new();
        for (index, (scan, scanned)) in self.scans.iter().zip(scanned).enumerate() {
            let is_dropped = cut.is_dropped(index, &scanned.segment);
            let is_last = cut.last_files.contains(&index);
            let cut = if is_dropped { scanned.everything() } else { scan.cut(&scanned, cut.last)? };
            // A sealed file stays as it is: what goes of it is void by the start frames that follow.
            let kept_len = match is_last || is_dropped {
                true => cut.kept_len,
                false => scanned.intact_len,
            };
            files.push(FilePlan { scanned, kept_len, cut, is_dropped, is_last });
        }
        let Recovery { disk, options, .. } = self;
        Ok(Plan { disk, options, files, last: cut.last, next: cut.next, void })
    }

    /// Checks that each generation began after the one before it had been completed.
    fn check_generations(&self, scanned: &[Scanned]) -> Result<(), AofError> {
        let mut before = Epoch::ZERO;
        for generation in generations(scanned) {
            let latest = reach(generation);
            for (scan, scanned) in self.scans.iter().zip(scanned) {
                let is_early = scanned.frame_count > 0 && scanned.first_epoch <= before;
                if scanned.segment.generation == generation[0].segment.generation && is_early {
                    let reason = format!(
                        "it starts at epoch {}, but the generation before it reaches epoch {before}",
                        scanned.first_epoch
                    );
                    return Err(AofError::Inconsistent { path: scan.path(), reason });
                }
            }
            before = before.max(latest);
        }
        Ok(())
    }
}

/// Where history is cut.
struct GlobalCut {
    last: Epoch,
    next: Epoch,
    /// The last generation that stays.
    generation: u64,
    /// For each shard of that generation, the index of the last file that stays.
    last_files: Vec<usize>,
}

impl GlobalCut {
    fn is_dropped(&self, index: usize, segment: &Segment) -> bool {
        segment.generation > self.generation
            || segment.generation == self.generation
                && self.last_files.get(usize::from(segment.shard)).is_some_and(|last| index > *last)
    }
}

/// Finds the cut: the first generation with damage is the last one that stays, and in it each shard up to its damage.
fn cut(scanned: &[Scanned]) -> GlobalCut {
    let mut cut =
        GlobalCut { last: Epoch::ZERO, next: Epoch::new(1), generation: 0, last_files: Vec::new() };
    let mut offset = 0;
    for generation in generations(scanned) {
        let segment = &generation[0].segment;
        let shard_count = segment.shard_count;
        cut.generation = segment.generation;
        // What was complete before this generation began stays, whatever happened to it.
        let floor = cut.next.previous();
        let mut is_damaged = vec![false; usize::from(shard_count)];
        let mut closed = vec![floor; usize::from(shard_count)];
        cut.last_files = vec![0; usize::from(shard_count)];
        for (index, scanned) in generation.iter().enumerate() {
            let shard = usize::from(scanned.segment.shard);
            if is_damaged[shard] {
                continue;
            }
            cut.last_files[shard] = offset + index;
            is_damaged[shard] = scanned.damage.is_some();
            let end = if shard_count == 1 { scanned.latest } else { Epoch::ZERO };
            closed[shard] = closed[shard].max(scanned.closed).max(end);
        }
        cut.last = closed.into_iter().min().unwrap_or(floor);
        cut.next = reach(generation).next().max(cut.next);
        offset += generation.len();
        if is_damaged.contains(&true) {
            break;
        }
    }
    cut
}

fn generations(scanned: &[Scanned]) -> impl Iterator<Item = &[Scanned]> {
    scanned.chunk_by(|a, b| a.segment.generation == b.segment.generation)
}

/// The highest epoch that any frame or marker names.
fn reach(scanned: &[Scanned]) -> Epoch {
    scanned.iter().map(|scanned| scanned.latest.max(scanned.closed)).max().unwrap_or_default()
}

impl Plan {
    /// The last epoch that is kept.
    #[must_use]
    pub fn last_epoch(&self) -> Epoch {
        self.last
    }

    /// The number of shards that wrote the newest generation; `None` if there is no data yet.
    #[must_use]
    pub fn shard_count(&self) -> Option<u16> {
        let file = self.files.iter().find(|file| file.is_last)?;
        Some(file.scanned.segment.shard_count)
    }

    /// Readers for what is kept. Replay the generations in this order, each before the next; the shards of one in any
    /// order or in parallel.
    #[must_use]
    pub fn replays(&self) -> Vec<Replay> {
        let kept: Vec<&FilePlan> = self.files.iter().filter(|file| !file.is_dropped).collect();
        kept.chunk_by(|a, b| a.generation() == b.generation())
            .map(|files| {
                let shard_count = files[0].scanned.segment.shard_count;
                let readers = (0..shard_count).map(|shard| self.reader(files, shard)).collect();
                Replay { generation: files[0].generation(), shard_count, readers }
            })
            .collect()
    }

    fn reader(&self, files: &[&FilePlan], shard: u16) -> SegmentReader {
        let parts = files
            .iter()
            .filter(|file| file.scanned.segment.shard == shard)
            .map(|file| Part {
                path: file.scanned.segment.path(&self.options.folder()),
                seq: file.scanned.segment.seq,
                start: 0,
                end: file.kept_len,
            })
            .collect();
        let filter = Filter { last: self.last, void: Arc::clone(&self.void) };
        SegmentReader::new(Arc::clone(&self.disk), shard, parts, filter)
    }

    /// Why this plan must not be carried out without being asked to.
    fn refusal(&self) -> Option<AofError> {
        let damaged = |file: &FilePlan| {
            let damage = file.scanned.damage.clone()?;
            let path = file.scanned.segment.path(&self.options.folder());
            Some((path, damage))
        };
        let damages: Vec<_> = self.files.iter().filter_map(damaged).collect();
        let worst = damages.iter().find(|(_, damage)| damage.proof.is_some());
        let (path, damage) = worst.or(damages.first())?.clone();
        let (offset, expected) = (damage.offset, damage.expected);
        let (folder, lost) = (self.options.dir.clone(), self.report().loss());
        match damage.proof {
            Some(proof) => {
                let expected = format!("{expected} ({proof})");
                Some(AofError::Damaged { path, offset, expected, folder, lost })
            }
            None if self.options.is_torn_tail_cut => None,
            None => Some(AofError::TornTail { path, offset, expected, folder, lost }),
        }
    }
}

impl FilePlan {
    pub(super) fn generation(&self) -> u64 {
        self.scanned.segment.generation
    }
}
