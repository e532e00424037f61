//! Pages: byte strings by number, many of them in one allocation.
//!
//! Path: `types::paged_table` -> here.
//! Layout: a page holds [`PAGE_LEN`] rows, one behind the other without gaps, and where each ends. So a row costs two
//! bytes beside its own, and nothing is moved but the rest of a page when one changes. A row of [`LONG_LEN`] bytes
//! or more lies in an allocation of its own, which bounds what is moved: a page has less than 16 KiB.
//! Invariant: every page but the last is full, none is empty. A long row takes no bytes in the page.

use super::chunks::Chunks;
use crate::memory::{block_size, shrink};
use smallvec::SmallVec;

/// Rows in a full page.
const PAGE_LEN: usize = 64;
/// Rows of this length in bytes, or longer, lie alone.
const LONG_LEN: usize = 256;

const _: () = assert!(PAGE_LEN * LONG_LEN <= u16::MAX as usize, "ends fit their type");

/// A sequence of byte strings, called rows.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pages: Chunks<Page>,
    len: usize,
    /// Bytes of heap of all pages.
    pages_size: usize,
}

#[derive(Clone, Debug)]
struct Page {
    /// Where each row ends in `bytes`; a row begins where the one before it ends.
    ends: [u16; PAGE_LEN],
    len: u8,
    bytes: Vec<u8>,
    /// The long rows.
    longs: Vec<Long>,
}

#[derive(Clone, Debug)]
struct Long {
    /// Which row of the page it is.
    slot: usize,
    bytes: Box<[u8]>,
}

/// A row that has been taken out.
struct Taken {
    short: SmallVec<[u8; LONG_LEN]>,
    long: Option<Box<[u8]>>,
}

impl Pages {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of heap this holds. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.pages.heap_size() + self.pages_size
    }

    /// Row `index`, which exists.
    #[must_use]
    pub fn row(&self, index: usize) -> &[u8] {
        self.pages[index / PAGE_LEN].row(index % PAGE_LEN)
    }

    /// Loads what says where row `index`, which exists, lies; the number means nothing.
    #[must_use]
    #[inline]
    pub fn touch(&self, index: usize) -> u64 {
        let page = &self.pages[index / PAGE_LEN];
        (page.bytes.len() + page.start(index % PAGE_LEN)) as u64
    }

    /// Adds a row at the end: the bytes of `parts`, joined.
    pub fn push(&mut self, parts: &[&[u8]]) {
        let slot = self.len % PAGE_LEN;
        if slot == 0 {
            // Pages of one collection are about equally large.
            let capacity = self.pages.iter().next_back().map_or(0, |page| page.bytes.len());
            let page = Page::with_capacity(capacity);
            self.pages_size += page.heap_size(0);
            self.pages.push(page);
        }
        self.len += 1;
        self.change(self.len - 1, |page, slot| {
            page.open();
            page.write(slot, 0, parts);
            if slot + 1 == PAGE_LEN {
                page.shrink();
            }
        });
    }

    /// Puts the bytes of `parts`, joined, in the place of what stands behind the first `kept_len` bytes of row
    /// `index`.
    pub fn replace_tail(&mut self, index: usize, kept_len: usize, parts: &[&[u8]]) {
        self.change(index, |page, slot| page.write(slot, kept_len, parts));
    }

    /// Removes row `index`, which exists; the last row takes its place.
    pub fn swap_remove(&mut self, index: usize) {
        assert!(index < self.len, "the row exists");
        let last = self.pop();
        if index == self.len {
            return;
        }
        self.change(index, |page, slot| match last.long {
            Some(bytes) => page.put_long(slot, bytes),
            None => page.write(slot, 0, &[&last.short]),
        });
    }

    /// Drops the last page; says whether something is left.
    pub fn free_some(&mut self) -> bool {
        if let Some(page) = self.pages.pop() {
            self.len -= usize::from(page.len);
            let longs_size = page.longs.iter().map(|long| block_size(long.bytes.len()));
            self.pages_size -= page.base_size() + longs_size.sum::<usize>();
        }
        !self.is_empty()
    }

    /// Takes the last row, which exists, out.
    fn pop(&mut self) -> Taken {
        let mut taken = Taken { short: SmallVec::new(), long: None };
        self.change(self.len - 1, |page, slot| taken = page.close(slot));
        self.len -= 1;
        if self.len.is_multiple_of(PAGE_LEN) {
            let page = self.pages.pop().expect("the row had a page");
            self.pages_size -= page.base_size();
        }
        taken
    }

    /// Changes row `index` and counts the memory of its page again.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Page, usize)) {
        let (page, slot) = (&mut self.pages[index / PAGE_LEN], index % PAGE_LEN);
        self.pages_size -= page.heap_size(slot);
        change(page, slot);
        self.pages_size += page.heap_size(slot);
    }

    /// Panics unless the pages are as they should be and their memory has been counted right.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        let mut size = 0;
        let mut len = 0;
        for page in self.pages.iter() {
            assert!(page.len > 0);
            assert!(page.ends[..usize::from(page.len)].is_sorted());
            assert_eq!(usize::from(page.ends[usize::from(page.len) - 1]), page.bytes.len());
            size += page.base_size();
            for long in &page.longs {
                assert!(long.bytes.len() >= LONG_LEN && long.slot < usize::from(page.len));
                assert!(page.short(long.slot).is_empty());
                size += block_size(long.bytes.len());
            }
            len += usize::from(page.len);
        }
        assert_eq!((len, self.pages.len()), (self.len, self.len.div_ceil(PAGE_LEN)));
        assert_eq!(size, self.pages_size);
    }
}

impl Page {
    fn with_capacity(capacity: usize) -> Self {
        let bytes = Vec::with_capacity(capacity);
        Page { ends: [0; PAGE_LEN], len: 0, bytes, longs: Vec::new() }
    }

    /// Bytes of heap without those of long rows.
    fn base_size(&self) -> usize {
        block_size(self.bytes.capacity()) + block_size(self.longs.capacity() * size_of::<Long>())
    }

    /// Bytes of heap, of the long rows only that of `slot`.
    fn heap_size(&self, slot: usize) -> usize {
        let long = self.long_at(slot).map_or(0, |at| self.longs[at].bytes.len());
        self.base_size() + block_size(long)
    }

    fn row(&self, slot: usize) -> &[u8] {
        let short = self.short(slot);
        if !short.is_empty() {
            return short;
        }
        self.long_at(slot).map_or(short, |at| &self.longs[at].bytes)
    }

    fn start(&self, slot: usize) -> usize {
        if slot == 0 { 0 } else { usize::from(self.ends[slot - 1]) }
    }

    /// The bytes of row `slot` that lie in the page.
    fn short(&self, slot: usize) -> &[u8] {
        &self.bytes[self.start(slot)..usize::from(self.ends[slot])]
    }

    fn long_at(&self, slot: usize) -> Option<usize> {
        self.longs.iter().position(|long| long.slot == slot)
    }

    /// Adds an empty row.
    fn open(&mut self) {
        self.ends[usize::from(self.len)] = self.end();
        self.len += 1;
    }

    /// Takes row `slot`, the last one, out.
    fn close(&mut self, slot: usize) -> Taken {
        let long = self.long_at(slot).map(|at| self.longs.swap_remove(at).bytes);
        let taken = Taken { short: SmallVec::from_slice(self.short(slot)), long };
        self.bytes.truncate(self.start(slot));
        self.len -= 1;
        self.shrink();
        taken
    }

    /// Makes row `slot` its first `kept_len` bytes and those of `parts`, joined.
    fn write(&mut self, slot: usize, kept_len: usize, parts: &[&[u8]]) {
        let len = kept_len + parts.iter().map(|part| part.len()).sum::<usize>();
        if len >= LONG_LEN {
            let mut bytes = Vec::with_capacity(len);
            bytes.extend_from_slice(&self.row(slot)[..kept_len]);
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            self.put_long(slot, bytes.into_boxed_slice());
            return;
        }
        let long = self.long_at(slot).map(|at| self.longs.swap_remove(at).bytes);
        self.resize(slot, len);
        let row = self.start(slot)..self.start(slot) + len;
        let row = &mut self.bytes[row];
        if let Some(long) = long {
            row[..kept_len].copy_from_slice(&long[..kept_len]);
        }
        let mut at = kept_len;
        for part in parts {
            row[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
    }

    fn put_long(&mut self, slot: usize, bytes: Box<[u8]>) {
        self.resize(slot, 0);
        match self.long_at(slot) {
            Some(at) => self.longs[at].bytes = bytes,
            None => self.longs.push(Long { slot, bytes }),
        }
    }

    /// Gives row `slot` a length of `len` bytes in the page: it is cut, or anything stands behind what it had.
    fn resize(&mut self, slot: usize, len: usize) {
        let (start, end) = (self.start(slot), usize::from(self.ends[slot]));
        let (new_end, old_len) = (start + len, self.bytes.len());
        if new_end > end {
            let growth = new_end - end;
            self.reserve(growth);
            self.bytes.resize(old_len + growth, 0);
            self.bytes.copy_within(end..old_len, new_end);
        } else if new_end < end {
            self.bytes.copy_within(end..old_len, new_end);
            self.bytes.truncate(old_len - (end - new_end));
            self.shrink();
        }
        for behind in &mut self.ends[slot..usize::from(self.len)] {
            *behind = position(usize::from(*behind) + new_end - end);
        }
    }

    /// Makes room for `growth` bytes: a bit more than needed, and all of the block that the allocator gives.
    fn reserve(&mut self, growth: usize) {
        let len = self.bytes.len() + growth;
        if len > self.bytes.capacity() {
            self.bytes.reserve_exact(block_size(len + len / 16) - self.bytes.len());
        }
    }

    /// Gives memory back when a third of it is unused.
    fn shrink(&mut self) {
        let len = self.bytes.len();
        if self.bytes.capacity() > len + len / 2 + 16 {
            shrink(&mut self.bytes, block_size(len));
        }
        if self.longs.capacity() > 2 * self.longs.len() + 4 {
            shrink(&mut self.longs, 0);
        }
    }

    fn end(&self) -> u16 {
        position(self.bytes.len())
    }
}

fn position(offset: usize) -> u16 {
    u16::try_from(offset).expect("a page has less than 64 KiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn row(rng: &mut Rng) -> Vec<u8> {
        let len = match rng.below(20) {
            0 => LONG_LEN - 2 + rng.below(5),
            1 => 0,
            2 => 1000,
            _ => rng.below(20),
        };
        (0..len).map(|_| rng.next_u64() as u8).collect()
    }

    #[test]
    fn it_does_what_a_vector_of_strings_does() {
        let seed = 0x9a_6e5;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        let mut pages = Pages::default();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for step in 0..20_000 {
            let new = row(&mut rng);
            let is_growing = step % 4000 < 2000;
            match rng.below(if is_growing { 8 } else { 6 }) {
                0 | 1 if !model.is_empty() => {
                    let index = rng.below(model.len());
                    pages.swap_remove(index);
                    model.swap_remove(index);
                }
                2 if !model.is_empty() => {
                    let index = rng.below(model.len());
                    let kept_len = rng.below(model[index].len() + 1);
                    let (left, right) = new.split_at(rng.below(new.len() + 1));
                    pages.replace_tail(index, kept_len, &[left, right]);
                    model[index].truncate(kept_len);
                    model[index].extend(new);
                }
                _ => {
                    let (left, right) = new.split_at(rng.below(new.len() + 1));
                    pages.push(&[left, right]);
                    model.push(new);
                }
            }
            assert_eq!(pages.len(), model.len(), "step {step}");
            if step % 100 == 0 {
                pages.check_invariants();
                let rows = (0..pages.len()).map(|index| pages.row(index));
                assert!(rows.eq(model.iter().map(Vec::as_slice)), "step {step}");
            }
        }
    }

    #[test]
    fn a_row_costs_little_beside_its_bytes() {
        for (count, cost_max) in [(130, 24), (1000, 18), (10_000, 16)] {
            let mut pages = Pages::default();
            for number in 0..count {
                pages.push(&[format!("m{number:09}").as_bytes()]);
            }
            let cost = pages.heap_size() / count;
            assert!((12..cost_max).contains(&cost), "{count} rows: {cost} bytes each");
        }
    }

    #[test]
    fn it_is_freed_in_steps() {
        let mut rng = Rng::new(3);
        let mut pages = Pages::default();
        (0..1000).for_each(|_| pages.push(&[&row(&mut rng)]));
        let mut len = pages.len();
        while pages.free_some() {
            assert!(pages.len() < len && len - pages.len() <= PAGE_LEN);
            len = pages.len();
            pages.check_invariants();
        }
        assert_eq!(pages.pages_size, 0);
    }
}
