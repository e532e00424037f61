//! Who has read which keys of one shard, and so may hold copies.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys with the clients that read them. Clients that have gone or track no more are dropped with their keys.
#[derive(Debug, Default)]
pub struct Table {
    keys: BTreeMap<Box<[u8]>, Vec<u64>>,
    /// Readers, summed up over the keys.
    item_count: usize,
    /// The key that was last forgotten for want of room; the next one behind it goes next.
    cursor: Box<[u8]>,
}

impl Table {
    /// Notes that a client has read `key`. Cost: O(log keys).
    pub fn remember(&mut self, key: &[u8], client_id: u64) {
        match self.keys.get_mut(key) {
            Some(readers) => {
                if let Err(index) = readers.binary_search(&client_id) {
                    readers.insert(index, client_id);
                    self.item_count += 1;
                }
            }
            None => {
                self.keys.insert(key.into(), vec![client_id]);
                self.item_count += 1;
            }
        }
    }

    /// Forgets `key` and returns who has read it.
    pub fn take(&mut self, key: &[u8]) -> Vec<u64> {
        let readers = self.keys.remove(key).unwrap_or_default();
        self.item_count -= readers.len();
        readers
    }

    /// Forgets some key, another each time.
    pub fn take_any(&mut self) -> Option<(Box<[u8]>, Vec<u64>)> {
        let behind = (Bound::Excluded(&*self.cursor), Bound::Unbounded);
        let next = self.keys.range::<[u8], _>(behind).next().or_else(|| self.keys.iter().next());
        let key = next?.0.clone();
        let readers = self.take(&key);
        self.cursor = key.clone();
        Some((key, readers))
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.item_count = 0;
    }

    /// How many readers there are, summed up over the keys.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.item_count
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_each_reader_once() {
        let mut table = Table::default();
        for client_id in [7, 3, 7, 5, 3] {
            table.remember(b"k", client_id);
        }
        assert_eq!(table.len(), 1);
        assert_eq!(table.take(b"k"), [3, 5, 7]);
        assert!(table.take(b"k").is_empty());
        assert!(table.is_empty());
    }

    #[test]
    fn keys_are_forgotten_in_turn() {
        let mut table = Table::default();
        for key in ["b", "a", "c"] {
            table.remember(key.as_bytes(), 1);
        }
        let mut take = || table.take_any().map(|(key, _)| String::from_utf8(key.into()).unwrap());
        assert_eq!(take().as_deref(), Some("a"));
        assert_eq!(take().as_deref(), Some("b"));
        table.remember(b"a", 1);
        let mut take = || table.take_any().map(|(key, _)| String::from_utf8(key.into()).unwrap());
        assert_eq!(take().as_deref(), Some("c"));
        assert_eq!(take().as_deref(), Some("a"));
        assert_eq!(take(), None);
    }
}
