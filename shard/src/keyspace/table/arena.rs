//! The memory that one segment's records lie in: pages, filled from the front.
//!
//! All pages but the last have [`PAGE`] bytes; the last grows in steps of [`STEP`] or what the allocator gives above that.
//! These are sizes that it gives exactly, and every segment uses the same few: what one gives back fits the next, so
//! that nothing stays between as segments grow at different times. A record never lies across pages.
//!
//! An *offset* counts units of [`UNIT`] bytes from the start of the first page; 16 bits reach over [`ARENA_MAX`] bytes.
//! What is freed becomes a *hole*, and holes are chained through their first bytes:
//!
//! ```text
//!  +-------------+--------------+-----
//!  | next u16    | units u16    |  ...
//!  +-------------+--------------+-----
//! ```
//! The youngest few are tried for each new record. The arena does not know where records begin: its owner packs them
//! anew when too much is wasted ([`Arena::is_wasteful`]).

use crate::memory::block_size;

/// What offsets count.
pub(super) const UNIT: usize = 2;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes by which the last page grows.
const STEP: usize = 256;
/// Units of a page.
const PAGE_UNITS: usize = PAGE / UNIT;
/// Most bytes of an arena.
const ARENA_MAX: usize = (u16::MAX as usize + 1) * UNIT;
/// No record begins here: it would have no room.
const NOWHERE: u16 = u16::MAX;
/// Bytes of the smallest hole that can be found again.
const HOLE_MIN: usize = 4;
/// How many holes are tried for a record.
const HOLE_TRIES_MAX: usize = 4;
/// Less waste than this is left alone.
const WASTE_MIN: usize = 512;
/// The part of an arena that may be waste: one in so many bytes.
const WASTE_PART: usize = 8;

/// Pages of bytes.
#[derive(Debug)]
pub(super) struct Arena {
    pages: Vec<Box<[u8]>>,
    /// Sum of their lengths.
    page_bytes: u32,
    /// Bytes of the last page that are taken, holes included.
    tail_len: u32,
    /// Bytes that are taken by records.
    used: u32,
    /// What was wasted when all records had just been packed: ends of pages that were too short for the next record.
    packed_waste: u32,
    first_hole: u16,
}

impl Default for Arena {
    fn default() -> Self {
        let (page_bytes, tail_len, used, packed_waste) = (0, 0, 0, 0);
        let first_hole = NOWHERE;
        Arena { pages: Vec::new(), page_bytes, tail_len, used, packed_waste, first_hole }
    }
}

impl Arena {
    /// Bytes that are taken by records.
    pub(super) fn used(&self) -> usize {
        self.used as usize
    }

    /// Bytes of heap, as the allocator counts them.
    pub(super) fn heap_size(&self) -> usize {
        block_size(self.pages.capacity() * size_of::<Box<[u8]>>()) + self.page_bytes as usize
    }

    /// Bytes that are neither taken by records nor free behind the last of them.
    fn waste(&self) -> usize {
        let whole_pages = self.pages.len().saturating_sub(1) * PAGE;
        whole_pages + self.tail_len as usize - self.used as usize
    }

    /// Whether packing the records anew is worth it.
    pub(super) fn is_wasteful(&self) -> bool {
        let avoidable = self.waste().saturating_sub(self.packed_waste as usize);
        avoidable > WASTE_MIN && avoidable * WASTE_PART > self.page_bytes as usize
    }

    /// Bytes from `offset` to the end of its page.
    #[inline]
    pub(super) fn bytes(&self, offset: u16) -> &[u8] {
        let (page, at) = split(offset);
        &self.pages[page][at..]
    }

    /// The same, to change them.
    #[inline]
    pub(super) fn bytes_mut(&mut self, offset: u16) -> &mut [u8] {
        let (page, at) = split(offset);
        &mut self.pages[page][at..]
    }

    /// Room for a record of `size` bytes; `None` if the arena is as large as can be.
    pub(super) fn alloc(&mut self, size: usize) -> Option<u16> {
        let size = rounded(size);
        let offset = match self.take_hole(size) {
            Some(offset) => offset,
            None => self.extend(size, STEP)?,
        };
        self.used += size as u32;
        Some(offset)
    }

    /// The same without a look at holes, for many records in a row; [`Arena::finish`] is to follow.
    pub(super) fn alloc_next(&mut self, size: usize) -> Option<u16> {
        let size = rounded(size);
        let offset = self.extend(size, PAGE)?;
        self.used += size as u32;
        Some(offset)
    }

    /// Gives back what the last page has too much, after the arena has been filled in one go.
    pub(super) fn finish(&mut self) {
        let len = tail_size(self.tail_len as usize, STEP);
        if self.pages.last().is_some_and(|tail| tail.len() > len) {
            self.resize_tail(len);
        }
        self.pages.shrink_to_fit();
        self.packed_waste = self.waste() as u32;
    }

    /// Frees a record of `size` bytes.
    pub(super) fn free(&mut self, offset: u16, size: usize) {
        let size = rounded(size);
        self.used -= size as u32;
        self.add_hole(offset, size);
    }

    fn add_hole(&mut self, offset: u16, size: usize) {
        if size >= HOLE_MIN {
            let (next, units) = (self.first_hole, (size / UNIT) as u16);
            let bytes = self.bytes_mut(offset);
            bytes[..2].copy_from_slice(&next.to_le_bytes());
            bytes[2..4].copy_from_slice(&units.to_le_bytes());
            self.first_hole = offset;
        }
    }

    /// A hole of at least `size` bytes; what is left of it becomes a hole again.
    fn take_hole(&mut self, size: usize) -> Option<u16> {
        let (mut before, mut offset) = (NOWHERE, self.first_hole);
        for _ in 0..HOLE_TRIES_MAX {
            if offset == NOWHERE {
                return None;
            }
            let (next, hole_size) = self.hole(offset);
            if hole_size >= size {
                if before == NOWHERE {
                    self.first_hole = next;
                } else {
                    self.bytes_mut(before)[..2].copy_from_slice(&next.to_le_bytes());
                }
                if hole_size > size {
                    self.add_hole(offset + (size / UNIT) as u16, hole_size - size);
                }
                return Some(offset);
            }
            (before, offset) = (offset, next);
        }
        None
    }

    /// The hole behind the one at `offset`, and the size of that one.
    fn hole(&self, offset: u16) -> (u16, usize) {
        let &[next_low, next_high, units_low, units_high] =
            self.bytes(offset).first_chunk().expect("a hole has four bytes");
        let units = u16::from_le_bytes([units_low, units_high]);
        (u16::from_le_bytes([next_low, next_high]), usize::from(units) * UNIT)
    }

    /// Room behind the last record; pages grow by `step`.
    fn extend(&mut self, size: usize, step: usize) -> Option<u16> {
        debug_assert!(size <= PAGE);
        if self.pages.is_empty() || self.tail_len as usize + size > PAGE {
            if (self.pages.len() + 1) * PAGE > ARENA_MAX {
                return None;
            }
            if self.pages.len() == self.pages.capacity() {
                self.pages.reserve_exact(2 + self.pages.len() / 4);
            }
            self.pages.push(Box::default());
            self.tail_len = 0;
        }
        let at = self.tail_len as usize;
        let offset = (self.pages.len() - 1) * PAGE_UNITS + at / UNIT;
        if self.pages.last().is_some_and(|tail| tail.len() < at + size) {
            self.resize_tail(tail_size(at + size, step));
        }
        self.tail_len += size as u32;
        Some(offset as u16)
    }

    fn resize_tail(&mut self, len: usize) {
        let tail = self.pages.last_mut().expect("an arena that is resized has a page");
        let mut resized = Vec::with_capacity(len);
        resized.extend_from_slice(&tail[..tail.len().min(len)]);
        resized.resize(len, 0);
        self.page_bytes = self.page_bytes + len as u32 - tail.len() as u32;
        *tail = resized.into_boxed_slice();
    }
}

fn split(offset: u16) -> (usize, usize) {
    (usize::from(offset) / PAGE_UNITS, usize::from(offset) % PAGE_UNITS * UNIT)
}

/// Bytes of a last page that has `len` of them taken and grows by `step`.
fn tail_size(len: usize, step: usize) -> usize {
    block_size(len.next_multiple_of(step))
}

fn rounded(size: usize) -> usize {
    size.next_multiple_of(UNIT)
}

/// Whether a record keeps its room when its size changes from `old` to `new`.
pub(super) fn is_same_room(old: usize, new: usize) -> bool {
    rounded(old) == rounded(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn records_never_share_a_byte_and_all_bytes_are_counted() {
        for seed in 0..20 {
            println!("seed {seed}");
            let mut rng = Rng::new(seed);
            let mut arena = Arena::default();
            let mut records: Vec<(u16, usize, u8)> = Vec::new();
            for step in 0..3_000 {
                if rng.below(5) < 3 {
                    let size = HOLE_MIN + rng.below(260);
                    let Some(offset) = arena.alloc(size) else { continue };
                    arena.bytes_mut(offset)[..size].fill(step as u8);
                    records.push((offset, size, step as u8));
                } else if !records.is_empty() {
                    let (offset, size, _) = records.swap_remove(rng.below(records.len()));
                    arena.free(offset, size);
                }
                let used = records.iter().map(|(_, size, _)| size.next_multiple_of(UNIT));
                assert_eq!(arena.used(), used.sum::<usize>());
                let page_bytes = arena.pages.iter().map(|page| page.len()).sum::<usize>();
                assert_eq!(arena.page_bytes as usize, page_bytes);
            }
            for (offset, size, byte) in records {
                assert!(arena.bytes(offset)[..size].iter().all(|found| *found == byte));
            }
        }
    }

    #[test]
    fn what_is_freed_is_taken_again() {
        let mut arena = Arena::default();
        let offsets: Vec<u16> = (0..100).map(|_| arena.alloc(38).unwrap()).collect();
        let heap_size = arena.heap_size();
        for round in 0..1_000 {
            arena.free(offsets[round % 100], 38);
            assert_eq!(arena.alloc(38), Some(offsets[round % 100]));
        }
        assert_eq!(arena.heap_size(), heap_size);
        assert!(!arena.is_wasteful());
        offsets.iter().take(20).for_each(|offset| arena.free(*offset, 38));
        assert!(arena.is_wasteful());
    }

    #[test]
    fn it_ends_where_offsets_end() {
        let mut arena = Arena::default();
        let mut count = 0;
        while arena.alloc_next(256).is_some() {
            count += 1;
        }
        assert_eq!(count, ARENA_MAX / 256);
        arena.finish();
        assert_eq!(arena.page_bytes as usize, ARENA_MAX);
    }
}
