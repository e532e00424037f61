//! Growing and shrinking, one segment at a time.

use super::segment::Segment;
use super::{CHUNK_LEN, KeyHash, SEGMENT_LEN, Table};

/// Entries per segment, on average, below which one is unmade: half, so that a steady size causes neither.
const SEGMENT_LEN_MIN: usize = SEGMENT_LEN / 2;

impl Table {
    /// Makes segment `n` from the entries of segment `n - 2^k` whose next bit is set.
    pub(super) fn split_next(&mut self) {
        let bit = (self.mask >> 1) + 1;
        let old = self.segment_count - bit;
        let mut high = Segment::default();
        self.change(old, |segment, tools| {
            let whole = std::mem::take(segment);
            let is_high = |hash: KeyHash| hash.segment_bits() & bit != 0;
            let moved_count = whole.len();
            let split = || whole.split(&tools.hasher, is_high);
            (*segment, high) = tools.work.measure(moved_count, split);
        });
        high.version = self.change_count;
        self.bytes = self.bytes + high.bytes();
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(high),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(high);
                self.chunks.push(chunk);
            }
        }
        self.segment_count += 1;
        if self.segment_count > self.mask {
            self.mask = 2 * self.mask + 1;
        }
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.segment_count > 1 && self.len < self.segment_count * SEGMENT_LEN_MIN
    }

    /// Puts the entries of the last segment back into the one it was split from.
    pub(super) fn merge_last(&mut self) {
        let chunk = self.chunks.last_mut().expect("a table has a segment");
        let last = chunk.pop().expect("a chunk is never empty");
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.segment_count -= 1;
        if self.segment_count <= self.mask >> 1 {
            self.mask >>= 1;
        }
        let into = self.segment_count & (self.mask >> 1);
        self.bytes = self.bytes - last.bytes();
        self.change(into, |segment, tools| {
            let moved_count = segment.len() + last.len();
            tools.work.measure(moved_count, || segment.merge(last, &tools.hasher));
        });
    }
}
