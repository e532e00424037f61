//! Chunks: a sequence that grows without moving what it holds: items lie in chunks of a fixed number.
//!
//! Path: `types::{pages, hash_index}` -> here.
//! Only the first chunk grows by copying, up to [`CHUNK_LEN`] items, so that small sequences stay small. What grows
//! without bound is the list of chunks: 24 bytes for [`CHUNK_LEN`] items.
//! Invariant: every chunk but the last is full, none is empty.

use crate::memory::{self, block_size};
use std::ops::{Index, IndexMut, Range};

/// Items in a full chunk.
const CHUNK_LEN: usize = 64;

/// A sequence of items, each found by its number in O(1).
#[derive(Clone, Debug)]
pub struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of heap of the sequence itself, without what its items point to. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        let list = block_size(self.chunks.capacity() * size_of::<Vec<T>>());
        let first = self.chunks.first().map_or(0, Vec::capacity);
        let others = self.chunks.len().saturating_sub(1);
        list + block_size(first * size_of::<T>()) + others * block_size(CHUNK_LEN * size_of::<T>())
    }

    /// Item `index`, if it exists.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK_LEN)?.get(index % CHUNK_LEN)
    }

    /// All items, from either end.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.range(0..self.len)
    }

    /// The items of `range`, which exist, from either end.
    pub fn range(
        &self,
        range: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        range.map(|index| &self[index])
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        if self.len.is_multiple_of(CHUNK_LEN) {
            let capacity = if self.len == 0 { 1 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        self.chunks.last_mut().expect("a chunk with room is there").push(item);
        self.len += 1;
    }

    /// Takes the last item out.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.chunks.last_mut()?;
        let item = last.pop();
        self.len -= 1;
        if last.is_empty() {
            self.chunks.pop();
            shrink(&mut self.chunks);
        } else if self.chunks.len() == 1 {
            shrink(&mut self.chunks[0]);
        }
        item
    }

    /// Takes item `index` out, which exists; the last item takes its place.
    pub fn swap_remove(&mut self, index: usize) -> T {
        assert!(index < self.len, "the item exists");
        let last = self.pop().expect("there is an item");
        if index == self.len { last } else { std::mem::replace(&mut self[index], last) }
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }
}

/// Gives memory back when three quarters of it are unused.
fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > 4 * items.len() {
        memory::shrink(items, 2 * items.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn it_does_what_a_vector_does() {
        let seed = 0xc4_0a7e;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        let mut chunks = Chunks::default();
        let mut model = Vec::new();
        for step in 0..5000 {
            let is_growing = step % 1500 < 800;
            match rng.below(10) {
                0..7 if is_growing => {
                    let item = rng.next_u64();
                    chunks.push(item);
                    model.push(item);
                }
                0..5 => assert_eq!(chunks.pop(), model.pop(), "step {step}"),
                _ if !model.is_empty() => {
                    let index = rng.below(model.len());
                    assert_eq!(chunks.swap_remove(index), model.swap_remove(index));
                }
                _ => assert_eq!(chunks.get(0), None),
            }
            assert_eq!(chunks.len(), model.len());
            assert_eq!(chunks.is_empty(), model.is_empty());
        }
        assert!(chunks.iter().eq(&model));
        assert!(chunks.iter().rev().eq(model.iter().rev()));
        model.iter().enumerate().for_each(|(i, item)| assert_eq!(chunks.get(i), Some(item)));
        assert_eq!(chunks.get(model.len()), None);
    }

    #[test]
    fn it_takes_little_more_than_its_items() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.heap_size(), 0);
        for count in 1..=10_000_u64 {
            chunks.push(count);
            let items_size = chunks.len() * 8;
            assert!(chunks.heap_size() <= 2 * items_size + 640, "{count}");
        }
        while chunks.pop().is_some() {
            assert!(chunks.heap_size() <= 4 * chunks.len() * 8 + 640, "{}", chunks.len());
        }
    }
}
