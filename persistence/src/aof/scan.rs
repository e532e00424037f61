//! What one segment holds: how far it is intact, which epochs are closed, and whether damage is only a torn tail.
//!
//! Path: `recovery` makes one [`Scan`] per segment; run them in parallel. Reads the file once, in a bounded buffer.
//!
//! **Torn tail.** A power failure may lose any part of what was not synced. Each frame tells how much was (`synced`). So
//! damage at offset d is a torn tail if nothing proves that d was synced: no later frame with `synced` > d, no length
//! in the manifest beyond d, and d not in the start frame, which is durable before the manifest lists the file.

use super::Segment;
use super::epoch::Epoch;
use super::frame::{HEADER_LEN_MAX, Header, Kind, MAGIC, Place, Start};
use super::window::Window;
use crate::AofError;
use crate::disk::Disk;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

/// Epochs for which a scan remembers where they end; some hours of writing. Older ones are looked up by another scan.
const SPAN_COUNT_MAX: usize = 1 << 14;

/// The work of reading one segment through. Plain data: send it to any thread.
#[derive(Clone, Debug)]
pub struct Scan {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segment: Segment,
}

/// What one segment holds.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The segment.
    pub segment: Segment,
    /// Bytes in the file.
    pub file_len: u64,
    /// Bytes from its beginning that are intact frames.
    pub intact_len: u64,
    /// What follows the intact frames, if anything does that should count.
    pub damage: Option<Damage>,
    /// The last epoch that is closed here.
    pub closed: Epoch,
    /// The epoch of the first start frame; 0 if even that is damaged.
    pub first_epoch: Epoch,
    /// Bytes of the first start frame.
    pub first_len: u64,
    /// Highest epoch of any intact frame.
    pub latest: Epoch,
    /// Intact frames, markers included.
    pub frame_count: u64,
    /// Epochs that count nowhere, as the start frames here say.
    pub void: Vec<RangeInclusive<Epoch>>,
    /// What each of the last epochs holds.
    spans: BTreeMap<Epoch, Span>,
    /// Epochs up to this one have been forgotten; the last of them ends at `forgotten_end`.
    forgotten: Epoch,
    forgotten_end: u64,
    /// Set by a scan that looks for one cut only.
    watched: Option<Watched>,
}

/// The first bytes that are not an intact frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub offset: u64,
    /// What should stand there.
    pub expected: String,
    /// Why it is more than a torn tail, in words; `None` if it is one.
    pub proof: Option<String>,
}

/// Where a segment ends once later epochs are dropped, and what is dropped.
///
/// The end comes after the last frame that is kept, and after the marker that closes the last epoch that is kept, or, where
/// a core closed several epochs at once, the marker that closes it among others. So the next recovery finds
/// the same cut, even if it comes before anything new is written. Frames before the end may still be later than the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes that stay.
    pub(super) kept_len: u64,
    /// Command frames that do not count.
    pub(super) dropped_frames: u64,
    /// Their bytes.
    pub(super) dropped_bytes: u64,
}

/// What a segment holds of one epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    /// End of the last frame of it.
    end: u64,
    /// End of the first marker that closes it.
    closed_end: Option<u64>,
    command_frames: u64,
    command_bytes: u64,
}

/// One cut, in the making.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    last: Epoch,
    is_closed: bool,
    cut: Cut,
}

impl Scan {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf, segment: Segment) -> Self {
        Scan { disk, folder, segment }
    }

    /// Reads the segment. Damage is part of the result; an error means that the disk failed.
    pub fn run(&self) -> Result<Scanned, AofError> {
        self.run_watching(None)
    }

    fn run_watching(&self, last: Option<Epoch>) -> Result<Scanned, AofError> {
        let limit = self.segment.sealed_len.unwrap_or(u64::MAX);
        let mut window = match Window::open(&*self.disk, &self.path(), 0, limit) {
            Err(AofError::Io { path, source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(AofError::FileMissing(path));
            }
            opened => opened?,
        };
        let mut scanned = Scanned::new(self.segment.clone(), window.limit());
        scanned.watched = last.map(|last| Watched { last, ..Watched::default() });
        let damage = loop {
            if window.remaining() == 0 {
                break match self.segment.sealed_len {
                    _ if scanned.frame_count == 0 => Some("a start frame".to_owned()),
                    Some(len) if len > window.offset() => Some(format!("a file of {len} bytes")),
                    _ => None,
                };
            }
            match scanned.read_frame(&mut window)? {
                Ok(()) => scanned.intact_len = window.offset(),
                Err(expected) => break Some(expected),
            }
        };
        if let Some(expected) = damage {
            let offset = scanned.intact_len;
            let proof = self.proof(&scanned, &mut window)?;
            scanned.damage = Some(Damage { offset, expected, proof });
        }
        Ok(scanned)
    }

    /// Looks for proof that the bytes at the end of the intact part had been durable.
    fn proof(&self, scanned: &Scanned, window: &mut Window) -> Result<Option<String>, AofError> {
        let damaged_at = scanned.intact_len;
        if let Some(len) = self.segment.sealed_len {
            return Ok(Some(format!("the manifest says that {len} bytes were durable")));
        }
        if scanned.frame_count == 0 {
            return Ok(Some("every segment begins with a durable start frame".to_owned()));
        }
        let later = find_synced_past(window, self.segment.seq, damaged_at)?;
        Ok(later.map(|(offset, synced)| {
            format!("the frame at offset {offset} says that {synced} bytes were durable")
        }))
    }

    /// Where `scanned`, a result of this scan, ends if no epoch after `last` is kept.
    pub(super) fn cut(&self, scanned: &Scanned, last: Epoch) -> Result<Cut, AofError> {
        if let Some(cut) = scanned.cut_after(last) {
            return Ok(cut);
        }
        let again = self.run_watching(Some(last))?;
        let cut = again.watched.expect("it was set before the scan").cut;
        Ok(Cut { kept_len: cut.kept_len.max(again.first_len), ..cut })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.segment.path(&self.folder)
    }
}

impl Scanned {
    fn new(segment: Segment, file_len: u64) -> Self {
        Scanned {
            segment,
            file_len,
            intact_len: 0,
            damage: None,
            closed: Epoch::ZERO,
            first_epoch: Epoch::ZERO,
            first_len: 0,
            latest: Epoch::ZERO,
            frame_count: 0,
            void: Vec::new(),
            spans: BTreeMap::new(),
            forgotten: Epoch::ZERO,
            forgotten_end: 0,
            watched: None,
        }
    }

    /// Reads the frame at the start of the window and moves past it; `Err` says what was expected there instead.
    fn read_frame(&mut self, window: &mut Window) -> Result<Result<(), String>, AofError> {
        let offset = window.offset();
        let place = Place { seq: self.segment.seq, offset };
        let head = window.fill(HEADER_LEN_MAX)?;
        let (header, header_len) = match Header::parse(head, place) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(expected) = self.check(&header, offset) {
            return Ok(Err(expected));
        }
        window.consume(header_len);
        if header.payload_len > window.remaining() {
            let missing = header.payload_len - window.remaining();
            return Ok(Err(format!("a frame with {missing} more bytes")));
        }
        let sum = sum_payload(window, header.payload_len)?;
        if sum != header.payload_sum {
            return Ok(Err(format!(
                "a payload with checksum {:08x} instead of {sum:08x}",
                header.payload_sum
            )));
        }
        self.note(&header, offset, window.offset());
        Ok(Ok(()))
    }

    /// Whether an intact header may stand here at all.
    fn check(&self, header: &Header, offset: u64) -> Result<(), String> {
        if header.synced > offset {
            return Err(format!("a frame that knows of at most {offset} durable bytes"));
        }
        match header.kind {
            Kind::Start(start) => self.check_start(start, header.epoch)?,
            _ if self.frame_count == 0 => return Err("a start frame".to_owned()),
            Kind::Commands { .. } if header.epoch <= self.closed => {
                return Err(format!("an epoch after {}, which is closed", self.closed));
            }
            Kind::Closed if header.epoch < self.closed => {
                return Err(format!("an epoch after {}, which is closed", self.closed));
            }
            Kind::Closed | Kind::Commands { .. } => {}
        }
        if header.payload_len != 0 && !matches!(header.kind, Kind::Commands { .. }) {
            return Err("a marker without payload".to_owned());
        }
        Ok(())
    }

    fn check_start(&self, start: Start, epoch: Epoch) -> Result<(), String> {
        let segment = &self.segment;
        let expected = (segment.generation, segment.shard, segment.shard_count);
        if (start.generation, start.shard, start.shard_count) != expected {
            return Err(format!(
                "a start frame of generation {}, shard {} of {}",
                segment.generation, segment.shard, segment.shard_count
            ));
        }
        let before = self.latest.max(self.closed).max(start.kept);
        if epoch <= before {
            return Err(format!("a start at an epoch after {before}"));
        }
        Ok(())
    }

    fn note(&mut self, header: &Header, offset: u64, end: u64) {
        self.frame_count += 1;
        match header.kind {
            Kind::Start(start) => {
                if self.frame_count == 1 {
                    (self.first_epoch, self.first_len) = (header.epoch, end);
                }
                if start.kept.next() < header.epoch {
                    self.void.push(start.kept.next()..=header.epoch.previous());
                }
                self.closed = header.epoch.previous();
                self.note_span(self.closed, end, None);
            }
            Kind::Closed => {
                self.closed = header.epoch;
                self.latest = self.latest.max(header.epoch);
                self.note_span(header.epoch, end, None);
            }
            Kind::Commands { .. } => {
                self.latest = self.latest.max(header.epoch);
                self.note_span(header.epoch, end, Some(end - offset));
            }
        }
    }

    /// Notes that a frame of `epoch` ends at `end`; `command_bytes` is its length if it holds commands, else it is a
    /// marker.
    fn note_span(&mut self, epoch: Epoch, end: u64, command_bytes: Option<u64>) {
        if let Some(watched) = &mut self.watched {
            watched.note(epoch, end, command_bytes);
            return;
        }
        let span = self.spans.entry(epoch).or_default();
        span.end = end;
        match command_bytes {
            None => _ = span.closed_end.get_or_insert(end),
            Some(bytes) => {
                span.command_frames += 1;
                span.command_bytes += bytes;
            }
        }
        if self.spans.len() > SPAN_COUNT_MAX
            && let Some((first, span)) = self.spans.pop_first()
        {
            self.forgotten = self.forgotten.max(first);
            self.forgotten_end = self.forgotten_end.max(span.end);
        }
    }

    /// The cut that keeps nothing of the segment.
    pub(super) fn everything(&self) -> Cut {
        Cut { kept_len: 0, dropped_frames: self.frame_count, dropped_bytes: self.intact_len }
    }

    /// Where the segment ends if no epoch after `last` counts; `None` if that is not remembered.
    fn cut_after(&self, last: Epoch) -> Option<Cut> {
        if last <= self.forgotten && self.forgotten > Epoch::ZERO {
            return None;
        }
        let kept_ends = self.spans.range(..=last).map(|(_, span)| span.end);
        let closed_end = self.spans.range(last..).find_map(|(_, span)| span.closed_end);
        let least = [self.forgotten_end, self.first_len];
        let kept_len = kept_ends.chain(closed_end).chain(least).max().unwrap_or(0);
        let mut cut = Cut { kept_len, ..Cut::default() };
        for (_, span) in self.spans.range(last.next()..) {
            cut.dropped_frames += span.command_frames;
            cut.dropped_bytes += span.command_bytes;
        }
        Some(cut)
    }
}

impl Watched {
    fn note(&mut self, epoch: Epoch, end: u64, command_bytes: Option<u64>) {
        let closes = command_bytes.is_none() && epoch >= self.last && !self.is_closed;
        self.is_closed |= closes;
        if epoch <= self.last || closes {
            self.cut.kept_len = end;
        } else if let Some(bytes) = command_bytes {
            self.cut.dropped_frames += 1;
            self.cut.dropped_bytes += bytes;
        }
    }
}

/// CRC32C of the next `len` bytes, which exist; moves past them.
fn sum_payload(window: &mut Window, len: u64) -> Result<u32, AofError> {
    let (mut sum, mut left) = (0, len);
    while left > 0 {
        let bytes = window.fill(1)?;
        if bytes.is_empty() {
            break; // The file became shorter; the sum will not fit.
        }
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        sum = crc32c::crc32c_append(sum, &bytes[..len]);
        window.consume(len);
        left -= len as u64;
    }
    Ok(sum)
}

/// Finds, after the damage at `damaged_at`, a frame header that proves that the byte there was durable. Returns where it
/// stands and what it says. The checksum of a header covers its place, so nothing else can look like one.
fn find_synced_past(
    window: &mut Window,
    seq: u64,
    damaged_at: u64,
) -> Result<Option<(u64, u64)>, AofError> {
    let finder = memchr::memmem::Finder::new(MAGIC);
    window.seek(damaged_at + 1);
    while window.remaining() >= MAGIC.len() as u64 {
        window.fill(HEADER_LEN_MAX)?;
        let held = window.held();
        let Some(at) = finder.find(held) else {
            let len = held.len() - (MAGIC.len() - 1).min(held.len());
            window.consume(len.max(1).min(held.len()));
            continue;
        };
        window.consume(at);
        let offset = window.offset();
        let head = window.fill(HEADER_LEN_MAX)?;
        match Header::parse(head, Place { seq, offset }) {
            Ok((header, _)) if header.synced > damaged_at => {
                return Ok(Some((offset, header.synced)));
            }
            _ => window.consume(1),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aof::SegmentWriter;
    use crate::disk::MemoryDisk;

    fn segment() -> Segment {
        Segment {
            name: "s".to_owned(),
            seq: 1,
            generation: 1,
            shard: 0,
            shard_count: 2,
            sealed_len: None,
        }
    }

    fn scan(disk: &MemoryDisk) -> Scan {
        Scan::new(Arc::new(disk.clone()), PathBuf::from("/aof"), segment())
    }

    fn writer(disk: &MemoryDisk) -> SegmentWriter {
        let folder = std::path::Path::new("/aof");
        SegmentWriter::create(disk, folder, segment(), Epoch::new(1), Epoch::ZERO).unwrap()
    }

    #[test]
    fn a_cut_far_back_is_found_by_another_scan() {
        let disk = MemoryDisk::with_folder("/aof");
        let mut writer = writer(&disk);
        let epoch_count = SPAN_COUNT_MAX as u64 + 100;
        let mut ends = vec![writer.written()];
        for epoch in 1..=epoch_count {
            writer.append(Epoch::new(epoch), b"x").unwrap();
            writer.close(Epoch::new(epoch)).unwrap();
            ends.push(writer.written());
        }
        let scan = scan(&disk);
        let scanned = scan.run().unwrap();
        assert_eq!(scanned.closed, Epoch::new(epoch_count));
        assert!(scanned.spans.len() <= SPAN_COUNT_MAX);
        for last in [0, 1, 50, 99, 100, 101, epoch_count - 1, epoch_count] {
            let cut = scan.cut(&scanned, Epoch::new(last)).unwrap();
            assert_eq!(cut.kept_len, ends[usize::try_from(last).unwrap()], "after epoch {last}");
            assert_eq!(cut.dropped_frames, epoch_count - last, "after epoch {last}");
        }
    }

    #[test]
    fn a_cut_stays_behind_the_marker_that_closes_it_among_others() {
        let disk = MemoryDisk::with_folder("/aof");
        let mut writer = writer(&disk);
        writer.append(Epoch::new(1), b"1").unwrap();
        writer.close(Epoch::new(1)).unwrap();
        writer.append(Epoch::new(3), b"3").unwrap();
        writer.close(Epoch::new(3)).unwrap();
        let closed_end = writer.written();
        writer.append(Epoch::new(4), b"4").unwrap();
        let scan = scan(&disk);
        let scanned = scan.run().unwrap();
        let watched = scan.run_watching(Some(Epoch::new(2))).unwrap().watched.unwrap().cut;
        for cut in [scan.cut(&scanned, Epoch::new(2)).unwrap(), watched] {
            assert_eq!(cut.kept_len, closed_end);
            assert_eq!(cut.dropped_frames, 2);
        }
    }

    #[test]
    fn a_frame_of_a_closed_epoch_is_damage() {
        let disk = MemoryDisk::with_folder("/aof");
        let mut writer = writer(&disk);
        writer.close(Epoch::new(5)).unwrap();
        let offset = writer.written();
        // No writer of ours does this; the bytes are as intact as any.
        let place = Place { seq: 1, offset };
        let header = Header {
            kind: Kind::Commands { transaction: None },
            epoch: Epoch::new(5),
            synced: 0,
            payload_len: 0,
            payload_sum: 0,
        };
        let mut bytes = Vec::new();
        header.encode(place, &mut bytes);
        let path = std::path::Path::new("/aof/s");
        let file = disk.open(path, crate::disk::Mode::Write).unwrap();
        file.write_at(&bytes, offset).unwrap();
        let damage = scan(&disk).run().unwrap().damage.unwrap();
        assert_eq!(damage.offset, offset);
        assert_eq!(damage.expected, "an epoch after 5, which is closed");
    }
}
