//! Dense table: entries in a vector without gaps, found by key through a table of their indices.
//!
//! Path: the large forms of `types::{hash, set, sorted_set}` -> here.
//! What the vector gives: any entry by index, so a fair random one costs O(1); an order that depends on nothing but
//! the history of the collection (never on a hash); and a scan that needs no state.
//!
//! Scan: the cursor is an index, and a scan walks down from the end. An entry only ever moves when it takes the place
//! of a removed one, from the end to a lower index; so one that the scan has not reached yet stays ahead of it, and
//! every entry that is there all the time is met at least once.
//! Invariant: `index` holds each index below `entries.len()` once, under the hash of that entry's key.

use ahash::RandomState;
use hashbrown::HashTable;

/// Tables smaller than this keep their memory when entries are removed.
const SHRINK_CAPACITY_MIN: usize = 64;

/// Hashes the keys. No order and no reply depends on the seeds.
const HASHER: RandomState = RandomState::with_seeds(
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
);

/// Something with a key that never changes while it is in a table.
pub trait Keyed {
    /// Its key.
    fn key(&self) -> &[u8];
}

/// Entries found by key.
#[derive(Clone, Debug)]
pub struct DenseTable<E> {
    entries: Vec<E>,
    index: HashTable<u32>,
}

impl<E> Default for DenseTable<E> {
    fn default() -> Self {
        DenseTable { entries: Vec::new(), index: HashTable::new() }
    }
}

impl<E: Keyed> DenseTable<E> {
    /// An empty table with room for `capacity` entries.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        DenseTable {
            entries: Vec::with_capacity(capacity),
            index: HashTable::with_capacity(capacity),
        }
    }

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

    /// Bytes of heap of the table itself, without what its entries point to.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.entries.capacity() * size_of::<E>() + self.index.allocation_size()
    }

    /// All entries, by index.
    #[must_use]
    pub fn entries(&self) -> &[E] {
        &self.entries
    }

    /// Entry `index`, which is below [`DenseTable::len`], to change it; its key must stay as it is.
    pub fn entry_mut(&mut self, index: usize) -> &mut E {
        &mut self.entries[index]
    }

    /// The index of the entry with this key.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<usize> {
        let is_it = |&index: &u32| self.entries[index as usize].key() == key;
        self.index.find(HASHER.hash_one(key), is_it).map(|&index| index as usize)
    }

    /// Adds an entry at the end. The caller has looked: there is none with its key.
    pub fn push(&mut self, entry: E) {
        debug_assert!(self.find(entry.key()).is_none());
        let index = u32::try_from(self.entries.len()).expect("fewer entries than 2^32");
        let hash = HASHER.hash_one(entry.key());
        self.entries.push(entry);
        let entries = &self.entries;
        self.index.insert_unique(hash, index, |&i| HASHER.hash_one(entries[i as usize].key()));
    }

    /// Takes entry `index` out; the last entry takes its place.
    pub fn swap_remove(&mut self, index: usize) -> E {
        let last = self.entries.len() - 1;
        self.slot_of(index).remove();
        if index != last {
            *self.slot_of(last).get_mut() = u32::try_from(index).expect("fewer entries than 2^32");
        }
        let removed = self.entries.swap_remove(index);
        self.shrink();
        removed
    }

    /// About `count` entries from `cursor` on, and where to go on; 0 begins, and 0 says it is over.
    #[must_use]
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, &[E]) {
        let end = match usize::try_from(cursor) {
            Ok(cursor) if cursor != 0 => cursor.min(self.entries.len()),
            _ => self.entries.len(),
        };
        let start = end.saturating_sub(count);
        (start as u64, &self.entries[start..end])
    }

    /// The place in `index` that holds the number of entry `index`.
    fn slot_of(&mut self, index: usize) -> hashbrown::hash_table::OccupiedEntry<'_, u32> {
        let hash = HASHER.hash_one(self.entries[index].key());
        self.index
            .find_entry(hash, |&candidate| candidate as usize == index)
            .expect("every entry is in the index")
    }

    /// Gives memory back when three quarters of it are unused.
    fn shrink(&mut self) {
        let len = self.entries.len();
        if self.entries.capacity() > SHRINK_CAPACITY_MIN && len < self.entries.capacity() / 4 {
            let entries = &mut self.entries;
            entries.shrink_to(2 * len);
            self.index.shrink_to(2 * len, |&i| HASHER.hash_one(entries[i as usize].key()));
        }
    }

    /// Panics unless the index and the entries agree.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        assert_eq!(self.index.len(), self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            assert_eq!(self.find(entry.key()), Some(index));
        }
    }
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
                for entry in table.entries() {
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
                met.extend(entries.iter().map(|entry| entry.1));
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
}
