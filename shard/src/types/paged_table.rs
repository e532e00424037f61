//! Paged table: rows of bytes found by key, many of them in one allocation, in any number and without ever moving all
//! of them. [`Layout`] says where in a row its key is.
//!
//! Path: the large forms of `types::{hash, set, sorted_set}` -> here -> `types::{pages, hash_index}`.
//! Rows are numbered without gaps. What that gives: any row by number, so a fair random one costs O(1); an order that
//! depends on nothing but the history of the collection (never on a hash); and a scan that needs no state.
//!
//! Scan: the cursor is a number, and a scan walks down from the end. A row only ever moves when it takes the place of a
//! removed one, from the end to a lower number; so one that the scan has not reached yet stays ahead of it, and every
//! row that is there all the time is met at least once.
//! Invariant: the index holds each row's number once, under the hash of that row's key.

use super::hash_index::{self, HashIndex};
use super::pages::Pages;
use std::marker::PhantomData;
use std::ops::Range;

/// Where the key is in the rows of a table.
pub trait Layout {
    /// The key of a row; it never changes while the row is in a table.
    fn key(row: &[u8]) -> &[u8];
}

/// Rows found by key.
#[derive(Debug)]
pub struct PagedTable<L> {
    rows: Pages,
    index: HashIndex,
    layout: PhantomData<fn() -> L>,
}

/// A table, to load what a lookup is going to read before it comes: see `keyspace::warm`. The numbers that come back mean
/// nothing; they are there so that the loads are not left out.
#[derive(Clone, Copy, Debug)]
pub struct Touch<'a> {
    rows: &'a Pages,
    index: &'a HashIndex,
}

impl Touch<'_> {
    /// How many rows there are.
    #[must_use]
    #[inline]
    pub fn row_count(self) -> usize {
        self.rows.len()
    }

    /// Loads the part of the index that a lookup of `hash` reads first. First step of four.
    #[must_use]
    #[inline]
    pub fn index(self, hash: u64) -> u64 {
        self.index.touch(hash)
    }

    /// The row that a lookup of `hash` compares first: most often the right one. Second step.
    #[must_use]
    #[inline]
    pub fn candidate(self, hash: u64) -> Option<usize> {
        self.index.find(hash, |_| true).map(|number| number as usize)
    }

    /// Loads what says where that row lies. Third step.
    #[must_use]
    #[inline]
    pub fn page(self, row: usize) -> u64 {
        self.rows.touch(row)
    }

    /// Loads the beginning of that row. Fourth step.
    #[must_use]
    #[inline]
    pub fn row(self, row: usize) -> u64 {
        self.rows.row(row).first().copied().unwrap_or_default().into()
    }
}

impl<L> Clone for PagedTable<L> {
    fn clone(&self) -> Self {
        PagedTable { rows: self.rows.clone(), index: self.index.clone(), layout: PhantomData }
    }
}

impl<L> Default for PagedTable<L> {
    fn default() -> Self {
        PagedTable { rows: Pages::default(), index: HashIndex::default(), layout: PhantomData }
    }
}

impl<L: Layout> PagedTable<L> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap this holds. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.rows.heap_size() + self.index.heap_size()
    }

    /// The table, to touch what a lookup is going to read.
    #[must_use]
    pub fn touch(&self) -> Touch<'_> {
        Touch { rows: &self.rows, index: &self.index }
    }

    /// Row `index`, which exists.
    #[must_use]
    pub fn row(&self, index: usize) -> &[u8] {
        self.rows.row(index)
    }

    /// All rows, by number.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.range(0..self.len())
    }

    /// The rows of `range`, which exist.
    pub fn range(
        &self,
        range: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        range.map(|index| self.row(index))
    }

    /// The number of the row with this key.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        self.find_hashed(hash_index::hash(key), key).map(|number| number as usize)
    }

    /// The number of the row with this key; if there is none, adds the bytes of `parts`, joined, which have that key.
    ///
    /// # Errors
    /// The number of the row that was there.
    pub fn push(&mut self, key: &[u8], parts: &[&[u8]]) -> Result<(), usize> {
        let hash = hash_index::hash(key);
        if let Some(number) = self.find_hashed(hash, key) {
            return Err(number as usize);
        }
        let number = u32::try_from(self.len()).expect("fewer rows than 2^32");
        self.rows.push(parts);
        debug_assert_eq!(L::key(self.row(number as usize)), key);
        let rows = &self.rows;
        self.index.insert(hash, number, |number| hash_of::<L>(rows, number));
        Ok(())
    }

    /// Puts the bytes of `parts`, joined, in the place of what stands behind the first `kept_len` bytes of row
    /// `index`; its key lies in what is kept.
    pub fn replace_tail(&mut self, index: usize, kept_len: usize, parts: &[&[u8]]) {
        self.rows.replace_tail(index, kept_len, parts);
    }

    /// Removes the row with this key; says whether there was one. The last row takes its place.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hash = hash_index::hash(key);
        let found = self.find_hashed(hash, key);
        if let Some(number) = found {
            self.remove_hashed(hash, number);
        }
        found.is_some()
    }

    /// Removes row `index`, which exists; the last row takes its place.
    pub fn swap_remove(&mut self, index: usize) {
        let number = u32::try_from(index).expect("fewer rows than 2^32");
        self.remove_hashed(hash_of::<L>(&self.rows, number), number);
    }

    /// About `count` rows from `cursor` on, and where to go on; 0 begins, and 0 says it is over.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = &[u8]>) {
        let end = match usize::try_from(cursor) {
            Ok(cursor) if cursor != 0 => cursor.min(self.len()),
            _ => self.len(),
        };
        let start = end.saturating_sub(count);
        (start as u64, self.range(start..end))
    }

    /// Drops about `budget` rows, without regard to order; the table must not be used any more but to go on so. Says
    /// whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        let end = self.len().saturating_sub(budget);
        let mut are_left = true;
        while are_left && (self.len() > end || self.is_empty()) {
            let rows_left = self.rows.free_some();
            are_left = self.index.free_some() || rows_left;
        }
        are_left
    }

    fn find_hashed(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |number| L::key(self.rows.row(number as usize)) == key)
    }

    fn remove_hashed(&mut self, hash: u64, number: u32) {
        let last = u32::try_from(self.len() - 1).expect("fewer rows than 2^32");
        self.index.remove(hash, number);
        if number != last {
            self.index.renumber(hash_of::<L>(&self.rows, last), last, number);
        }
        self.rows.swap_remove(number as usize);
    }

    /// Panics unless the index and the rows agree.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        self.rows.check_invariants();
        self.index.check_invariants(self.len(), |number| hash_of::<L>(&self.rows, number));
    }
}

fn hash_of<L: Layout>(rows: &Pages, number: u32) -> u64 {
    hash_index::hash(L::key(rows.row(number as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::{HashMap, HashSet};

    /// The key is all but the last byte.
    #[derive(Debug)]
    struct Tail;

    impl Layout for Tail {
        fn key(row: &[u8]) -> &[u8] {
            &row[..row.len() - 1]
        }
    }

    fn key(rng: &mut Rng, bound: usize) -> Vec<u8> {
        rng.below(bound).to_string().into_bytes()
    }

    #[test]
    fn it_finds_what_a_map_finds() {
        let seed = 0xde_15e7;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        let mut table = PagedTable::<Tail>::default();
        let mut model = HashMap::new();
        for step in 0..50_000 {
            let key = key(&mut rng, if step < 25_000 { 2000 } else { 50 });
            let value = rng.next_u64() as u8;
            match rng.below(4) {
                0 | 1 => {
                    if let Err(index) = table.push(&key, &[&key, &[value]]) {
                        table.replace_tail(index, key.len(), &[&[value]]);
                    }
                    model.insert(key, value);
                }
                2 => assert_eq!(table.remove(&key), model.remove(&key).is_some(), "step {step}"),
                _ => {
                    let found = table.find(&key);
                    assert_eq!(found.is_some(), model.remove(&key).is_some(), "step {step}");
                    if let Some(index) = found {
                        table.swap_remove(index);
                    }
                }
            }
            assert_eq!(table.len(), model.len(), "step {step}");
            if step % 1000 == 0 {
                table.check_invariants();
                for row in table.rows() {
                    assert_eq!(model.get(Tail::key(row)), row.last(), "step {step}");
                }
            }
        }
    }

    #[test]
    fn a_scan_meets_every_row_that_stays() {
        let seed = 0x5ca_4b1e;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for _ in 0..200 {
            let mut table = PagedTable::<Tail>::default();
            for number in 0..300_u64 {
                let key = number.to_string().into_bytes();
                table.push(&key, &[&key, b"."]).unwrap();
            }
            let mut cursor = 0;
            let mut met = HashSet::new();
            loop {
                let (next, rows) = table.scan(cursor, 1 + rng.below(20));
                met.extend(rows.map(|row| Tail::key(row).to_vec()));
                cursor = next;
                if cursor == 0 {
                    break;
                }
                for _ in 0..rng.below(30) {
                    let key = key(&mut rng, 600); // even numbers below 300 stay
                    let number = std::str::from_utf8(&key).unwrap().parse::<u64>().unwrap();
                    match table.find(&key) {
                        Some(index) if number % 2 == 1 || number >= 300 => table.swap_remove(index),
                        Some(_) => {}
                        None => table.push(&key, &[&key, b"."]).unwrap(),
                    }
                }
            }
            let mut staying = (0..300).step_by(2).map(|number| number.to_string().into_bytes());
            assert!(staying.all(|key| met.contains(&key)));
        }
    }

    #[test]
    fn it_is_freed_in_slices() {
        let mut table = PagedTable::<Tail>::default();
        for number in 0..10_000 {
            let key = format!("{number}").into_bytes();
            table.push(&key, &[&key, b"."]).unwrap();
        }
        let mut slice_count = 1;
        while table.free_some(1000) {
            slice_count += 1;
        }
        assert_eq!(slice_count, 10);
        assert_eq!((table.len(), table.index.heap_size()), (0, 0));
    }
}
