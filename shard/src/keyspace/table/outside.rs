//! What a segment keeps outside its arena: values that are not short strings, and long keys.

use super::record::OutsideId;
use crate::memory::block_size;
use crate::value::Value;

/// Values and keys that records name by number.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) values: Slab<Value>,
    pub(super) keys: Slab<Box<[u8]>>,
}

impl Outside {
    pub(super) fn is_empty(&self) -> bool {
        self.values.items.len() == self.values.vacant.len()
            && self.keys.items.len() == self.keys.vacant.len()
    }

    /// Bytes of the lists themselves, as the allocator counts them.
    pub(super) fn heap_size(&self) -> usize {
        block_size(size_of::<Outside>()) + self.values.heap_size() + self.keys.heap_size()
    }
}

/// Things that keep their number as long as they stay.
#[derive(Debug)]
pub(super) struct Slab<T> {
    items: Vec<Option<T>>,
    vacant: Vec<OutsideId>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { items: Vec::new(), vacant: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts `item` in and gives it a number.
    pub(super) fn insert(&mut self, item: T) -> OutsideId {
        if let Some(id) = self.vacant.pop() {
            self.items[usize::from(id)] = Some(item);
            return id;
        }
        let len = self.items.len();
        let id = OutsideId::try_from(len).expect("a segment has some hundred entries");
        if len == self.items.capacity() {
            self.items.reserve_exact(1 + len / 4);
        }
        self.items.push(Some(item));
        id
    }

    /// Takes the item out; its number may be given to another.
    pub(super) fn remove(&mut self, id: OutsideId) -> T {
        let item = self.items[usize::from(id)].take().expect("a record's number names an item");
        self.vacant.push(id);
        item
    }

    #[inline]
    pub(super) fn get(&self, id: OutsideId) -> &T {
        self.items[usize::from(id)].as_ref().expect("a record's number names an item")
    }

    pub(super) fn get_mut(&mut self, id: OutsideId) -> &mut T {
        self.items[usize::from(id)].as_mut().expect("a record's number names an item")
    }

    /// All items, taken out.
    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.items.into_iter().flatten()
    }

    /// All items.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    fn heap_size(&self) -> usize {
        block_size(self.items.capacity() * size_of::<Option<T>>())
            + block_size(self.vacant.capacity() * size_of::<OutsideId>())
    }
}

const _: () = assert!(size_of::<Option<Value>>() == size_of::<Value>(), "an empty place is free");
