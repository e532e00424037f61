//! Packed strings: a run of byte strings in one allocation, the form of collections while they are small.
//!
//! Path: `types::{list, hash, set, sorted_set}` -> here.
//! Layout: entries one behind the other. An entry is `[len][bytes][len]`, so it can be walked from both ends. A
//! length below 255 takes one byte; a longer one takes five: before the bytes 255 and the length as `u32` le,
//! behind them the length as `u32` le and 255.
//! Invariant: the entries fill the buffer exactly, and `count` of them.
//!
//! Every change moves the bytes behind it, so the owner keeps it small (a few KiB).

use std::ops::Range;

/// Lengths below this take one byte.
const LONG_LEN: u8 = 255;

/// A run of byte strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    count: u32,
}

/// Where an entry begins: a byte offset, good until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot(usize);

impl Packed {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of heap this holds.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }

    /// All entries in order, from either end.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes, base: 0, count: self.len() }
    }

    /// All entries in order, each with where it begins.
    #[must_use]
    pub fn spots(&self) -> Spots<'_> {
        Spots(self.iter())
    }

    /// The entries of `range`, which must lie inside.
    pub fn range(&self, range: Range<usize>) -> std::iter::Take<Iter<'_>> {
        let start = self.spot(range.start).unwrap_or(self.end());
        let count = self.len().saturating_sub(range.start);
        Iter { rest: &self.bytes[start.0..], base: start.0, count }.take(range.len())
    }

    /// Where entry `index` begins, or `None` past the end. Cost: a walk from the nearer end.
    #[must_use]
    pub fn spot(&self, index: usize) -> Option<Spot> {
        if index >= self.len() {
            return None;
        }
        let from_end = self.len() - 1 - index;
        let mut spots = self.spots();
        let found = if index <= from_end { spots.nth(index) } else { spots.nth_back(from_end) };
        found.map(|(spot, _)| spot)
    }

    /// Where the first entry begins.
    #[must_use]
    pub fn start(&self) -> Spot {
        Spot(0)
    }

    /// Where the next entry would begin.
    #[must_use]
    pub fn end(&self) -> Spot {
        Spot(self.bytes.len())
    }

    /// The entry at `spot`.
    #[must_use]
    pub fn get(&self, spot: Spot) -> &[u8] {
        let (entry, _) =
            split_front(&self.bytes[spot.0..]).expect("a spot is where an entry begins");
        entry
    }

    /// Where the entry behind the one at `spot` begins; [`Packed::end`] behind the last.
    #[must_use]
    pub fn after(&self, spot: Spot) -> Spot {
        Spot(spot.0 + entry_size(self.get(spot).len()))
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: &[u8]) {
        self.insert(self.end(), &[entry]);
    }

    /// Inserts an entry before the one at `spot`; its bytes are those of `parts`, joined.
    pub fn insert(&mut self, spot: Spot, parts: &[&[u8]]) {
        self.splice(spot.0, 0, parts);
        self.count += 1;
    }

    /// Replaces the entry at `spot` by the bytes of `parts`, joined.
    pub fn replace(&mut self, spot: Spot, parts: &[&[u8]]) {
        let removed_size = entry_size(self.get(spot).len());
        self.splice(spot.0, removed_size, parts);
    }

    /// Removes `count` entries, the one at `spot` first; the entries behind them must exist.
    pub fn remove(&mut self, spot: Spot, count: usize) {
        let mut end = spot;
        for _ in 0..count {
            end = self.after(end);
        }
        self.bytes.drain(spot.0..end.0);
        self.count -= u32::try_from(count).expect("no more than there are");
        self.shrink();
    }

    /// Removes the entries for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let (mut from, mut to) = (self.start(), self.start());
        while from != self.end() {
            let next = self.after(from);
            if keep(self.get(from)) {
                self.bytes.copy_within(from.0..next.0, to.0);
                to.0 += next.0 - from.0;
            } else {
                self.count -= 1;
            }
            from = next;
        }
        self.bytes.truncate(to.0);
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.bytes.capacity() > 2 * self.bytes.len() + 64 {
            self.bytes.shrink_to_fit();
        }
    }

    /// Puts one new entry in the place of `removed_size` bytes at `at`. Grows by exactly what is needed: these
    /// buffers are many and small, and the allocator rounds up anyway.
    fn splice(&mut self, at: usize, removed_size: usize, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let old_end = self.bytes.len();
        let inserted_size = entry_size(len);
        if inserted_size > removed_size {
            let growth = inserted_size - removed_size;
            self.bytes.reserve_exact(growth);
            self.bytes.resize(old_end + growth, 0);
        }
        self.bytes.copy_within(at + removed_size..old_end, at + inserted_size);
        self.bytes.truncate(old_end + inserted_size - removed_size);
        write_entry(&mut self.bytes[at..at + inserted_size], len, parts);
    }

    /// Panics unless the entries fill the buffer exactly, read from either end.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        let mut rest = self.bytes.as_slice();
        let mut count = 0;
        while let Some((_, behind)) = split_front(rest) {
            rest = behind;
            count += 1;
        }
        assert!(rest.is_empty());
        assert_eq!(count, self.len());
        let mut backwards = self.iter().rev().collect::<Vec<_>>();
        backwards.reverse();
        assert_eq!(backwards, self.iter().collect::<Vec<_>>());
    }
}

/// Entries of a [`Packed`], from either end.
#[derive(Clone, Debug, Default)]
pub struct Iter<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the buffer.
    base: usize,
    count: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (entry, rest) = split_front(self.rest)?;
        self.base += self.rest.len() - rest.len();
        self.rest = rest;
        self.count -= 1;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<&'a [u8]> {
        let (entry, rest) = split_back(self.rest)?;
        self.rest = rest;
        self.count -= 1;
        Some(entry)
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Entries of a [`Packed`] with where each begins, from either end.
#[derive(Clone, Debug)]
pub struct Spots<'a>(Iter<'a>);

impl<'a> Iterator for Spots<'a> {
    type Item = (Spot, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let spot = Spot(self.0.base);
        self.0.next().map(|entry| (spot, entry))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Spots<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.0.next_back()?;
        Some((Spot(self.0.base + self.0.rest.len()), entry))
    }
}

impl ExactSizeIterator for Spots<'_> {}

/// Bytes that an entry of `len` bytes takes.
fn entry_size(len: usize) -> usize {
    len + if len < LONG_LEN as usize { 2 } else { 10 }
}

fn write_entry(into: &mut [u8], len: usize, parts: &[&[u8]]) {
    let size = into.len();
    let mut at = match u8::try_from(len) {
        Ok(short) if short < LONG_LEN => {
            into[0] = short;
            into[size - 1] = short;
            1
        }
        _ => {
            let long = u32::try_from(len).expect("an argument is smaller than 4 GiB").to_le_bytes();
            into[0] = LONG_LEN;
            into[1..5].copy_from_slice(&long);
            into[size - 5..size - 1].copy_from_slice(&long);
            into[size - 1] = LONG_LEN;
            5
        }
    };
    for part in parts {
        into[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
}

/// The first entry of `bytes` and what stands behind it.
fn split_front(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&short, rest) = bytes.split_first()?;
    if short < LONG_LEN {
        let (entry, rest) = rest.split_at(short as usize);
        return Some((entry, &rest[1..]));
    }
    let (len, rest) = rest.split_first_chunk::<4>().expect("a long length has four bytes");
    let (entry, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
    Some((entry, &rest[5..]))
}

/// The last entry of `bytes` and what stands before it.
fn split_back(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&short, rest) = bytes.split_last()?;
    if short < LONG_LEN {
        let (rest, entry) = rest.split_at(rest.len() - short as usize);
        return Some((entry, &rest[..rest.len() - 1]));
    }
    let (rest, len) = rest.split_last_chunk::<4>().expect("a long length has four bytes");
    let (rest, entry) = rest.split_at(rest.len() - u32::from_le_bytes(*len) as usize);
    Some((entry, &rest[..rest.len() - 5]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn entry(rng: &mut Rng) -> Vec<u8> {
        let len = match rng.below(10) {
            0 => 250 + rng.below(10),
            1 => 1000,
            _ => rng.below(6),
        };
        (0..len).map(|_| rng.next_u64() as u8).collect()
    }

    #[test]
    fn it_does_what_a_vector_of_strings_does() {
        let seed = 0x9ac4_ed01;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        let mut packed = Packed::default();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for step in 0..20_000 {
            let new = entry(&mut rng);
            let index = rng.below(model.len() + 1);
            let spot = packed.spot(index);
            assert_eq!(spot.is_some(), index < model.len(), "step {step}");
            match (rng.below(8), spot) {
                (0..3, spot) => {
                    let (left, right) = new.split_at(rng.below(new.len() + 1));
                    packed.insert(spot.unwrap_or(packed.end()), &[left, right]);
                    model.insert(index, new);
                }
                (3, Some(spot)) => {
                    packed.replace(spot, &[&new]);
                    model[index] = new;
                }
                (4..6, Some(spot)) => {
                    let count = 1 + rng.below((model.len() - index).min(3));
                    packed.remove(spot, count);
                    model.drain(index..index + count);
                }
                (6, Some(spot)) => {
                    assert_eq!(packed.get(spot), model[index]);
                    let end = model.len().min(index + 3);
                    assert!(packed.range(index..end).eq(&model[index..end]));
                    assert!(packed.range(index..end).rev().eq(model[index..end].iter().rev()));
                    packed.retain(|entry| entry.len() != 3);
                    model.retain(|entry| entry.len() != 3);
                }
                (_, None) => {}
                (_, Some(_)) => {
                    packed.push(&new);
                    model.push(new);
                }
            }
            packed.check_invariants();
            assert!(packed.iter().eq(model.iter().map(Vec::as_slice)), "step {step}");
            if model.len() > 60 {
                packed.remove(packed.spot(0).unwrap(), 50);
                model.drain(..50);
            }
        }
    }
}
