//! Dense table: entries without gaps, found by key, in any number and without ever moving all of them.
//!
//! Path: the large form of `types::sorted_set` -> here -> `types::{chunks, hash_index}`. Entries that are nothing but
//! bytes take less room in a [`paged_table`](super::paged_table).
//! What the numbering gives: any entry by index, so a fair random one costs O(1); an order that depends on nothing but
//! the history of the collection (never on a hash); and a scan that needs no state.
//!
//! Scan: the cursor is an index, and a scan walks down from the end. An entry only ever moves when it takes the place
//! of a removed one, from the end to a lower index; so one that the scan has not reached yet stays ahead of it, and
//! every entry that is there all the time is met at least once.
//! Invariant: the index holds each number below the length once, under the hash of that entry's key.

use super::chunks::Chunks;
use super::hash_index::{self, HashIndex};

/// Something with a key that never changes while it is in a table.
pub trait Keyed {
    /// Its key.
    fn key(&self) -> &[u8];

    /// Bytes of heap it holds; they do not change while it is in a table.
    fn heap_size(&self) -> usize;
}

/// Entries found by key.
#[derive(Clone, Debug)]
pub struct DenseTable<E> {
    entries: Chunks<E>,
    index: HashIndex,
    /// Bytes of heap that the entries hold.
    entries_size: usize,
}

impl<E> Default for DenseTable<E> {
    fn default() -> Self {
        DenseTable { entries: Chunks::default(), index: HashIndex::default(), entries_size: 0 }
    }
}

impl<E: Keyed> DenseTable<E> {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of heap this holds, with what its entries point to. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.entries.heap_size() + self.index.heap_size() + self.entries_size
    }

    /// All entries, by index.
    #[must_use]
    pub fn entries(&self) -> &Chunks<E> {
        &self.entries
    }

    /// Entry `index`, which is below [`DenseTable::len`], to change it; its key and its heap must stay as they are.
    pub fn entry_mut(&mut self, index: usize) -> &mut E {
        &mut self.entries[index]
    }

    /// The index of the entry with this key.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        let is_it = |number: u32| self.entries[number as usize].key() == key;
        self.index.find(hash_index::hash(key), is_it).map(|number| number as usize)
    }

    /// Adds an entry at the end. The caller has looked: there is none with its key.
    pub fn push(&mut self, entry: E) {
        debug_assert!(self.find(entry.key()).is_none());
        let number = u32::try_from(self.entries.len()).expect("fewer entries than 2^32");
        let hash = hash_index::hash(entry.key());
        self.entries_size += entry.heap_size();
        self.entries.push(entry);
        let entries = &self.entries;
        self.index.insert(hash, number, |number| hash_of(entries, number));
    }

    /// Takes entry `index` out; the last entry takes its place.
    pub fn swap_remove(&mut self, index: usize) -> E {
        let number = u32::try_from(index).expect("fewer entries than 2^32");
        let last = u32::try_from(self.entries.len() - 1).expect("fewer entries than 2^32");
        self.index.remove(hash_of(&self.entries, number), number);
        if number != last {
            self.index.renumber(hash_of(&self.entries, last), last, number);
        }
        let removed = self.entries.swap_remove(index);
        self.entries_size -= removed.heap_size();
        removed
    }

    /// About `count` entries from `cursor` on, and where to go on; 0 begins, and 0 says it is over.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = &E>) {
        let end = match usize::try_from(cursor) {
            Ok(cursor) if cursor != 0 => cursor.min(self.len()),
            _ => self.len(),
        };
        let start = end.saturating_sub(count);
        (start as u64, self.entries.range(start..end))
    }

    /// Drops about `budget` entries, without regard to order; the table must not be used any more but to go on so.
    /// Says whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(entry) = self.entries.pop() else { break };
            self.entries_size -= entry.heap_size();
        }
        let mut index_left = true;
        while index_left && self.entries.is_empty() {
            index_left = self.index.free_some();
        }
        !self.entries.is_empty()
    }

    /// Panics unless the index and the entries agree.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        self.index.check_invariants(self.len(), |number| hash_of(&self.entries, number));
        let heap_size = self.entries.iter().map(Keyed::heap_size).sum::<usize>();
        assert_eq!(self.entries_size, heap_size);
    }
}

fn hash_of<E: Keyed>(entries: &Chunks<E>, number: u32) -> u64 {
    hash_index::hash(entries[number as usize].key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::{HashMap, HashSet};

    #[derive(Clone, Debug)]
    struct Numbered(Vec<u8>, u64);

    impl Keyed for Numbered {
        fn key(&self) -> &[u8] {
            &self.0
        }

        fn heap_size(&self) -> usize {
            self.0.capacity()
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
        let mut table = DenseTable::<Numbered>::default();
        let mut model = HashMap::new();
        for step in 0..50_000 {
            let key = key(&mut rng, if step < 25_000 { 2000 } else { 50 });
            let value = rng.next_u64();
            match (rng.below(2), table.find(&key)) {
                (0, Some(index)) => table.entry_mut(index).1 = value,
                (0, None) => table.push(Numbered(key.clone(), value)),
                (_, Some(index)) => assert_eq!(table.swap_remove(index).0, key),
                (_, None) => assert!(!model.contains_key(&key), "step {step}"),
            }
            match table.find(&key) {
                Some(_) => model.insert(key, value),
                None => model.remove(&key),
            };
            assert_eq!(table.len(), model.len(), "step {step}");
            if step % 1000 == 0 {
                table.check_invariants();
                for entry in table.entries().iter() {
                    assert_eq!(model.get(&entry.0), Some(&entry.1), "step {step}");
                }
            }
        }
    }

    #[test]
    fn a_scan_meets_every_entry_that_stays() {
        let seed = 0x5ca_4b1e;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for _ in 0..200 {
            let mut table = DenseTable::<Numbered>::default();
            for number in 0..300_u64 {
                table.push(Numbered(number.to_string().into_bytes(), number));
            }
            let mut cursor = 0;
            let mut met = HashSet::new();
            loop {
                let (next, entries) = table.scan(cursor, 1 + rng.below(20));
                met.extend(entries.map(|entry| entry.1));
                cursor = next;
                if cursor == 0 {
                    break;
                }
                for _ in 0..rng.below(30) {
                    let key = key(&mut rng, 600); // even numbers below 300 stay
                    let number = std::str::from_utf8(&key).unwrap().parse::<u64>().unwrap();
                    match table.find(&key) {
                        Some(index) if number % 2 == 1 || number >= 300 => {
                            table.swap_remove(index);
                        }
                        Some(_) => {}
                        None => table.push(Numbered(key, number)),
                    }
                }
            }
            assert!((0..300).step_by(2).all(|number| met.contains(&number)));
        }
    }

    #[test]
    fn it_is_freed_in_slices() {
        let mut table = DenseTable::<Numbered>::default();
        for number in 0..10_000_u64 {
            table.push(Numbered(number.to_string().into_bytes(), number));
        }
        let mut slice_count = 1;
        while table.free_some(1000) {
            slice_count += 1;
        }
        assert_eq!(slice_count, 10);
        assert_eq!(table.heap_size(), 0);
    }
}
