//! Prefixes of keys whose changes clients want to hear of, whether they have read them or not (CLIENT TRACKING … BCAST).

use std::collections::{BTreeMap, BTreeSet};

/// Changed keys, each with the client that changed it last.
pub(super) type Changed = BTreeMap<Box<[u8]>, u64>;

/// All prefixes; every core knows all of them, with the keys of its own shard.
#[derive(Debug, Default)]
pub struct Prefixes(BTreeMap<Box<[u8]>, Prefix>);

#[derive(Debug, Default)]
struct Prefix {
    clients: BTreeSet<u64>,
    changed: Changed,
}

impl Prefixes {
    /// Adds a client to a prefix.
    pub fn add(&mut self, prefix: &[u8], client_id: u64) {
        self.0.entry(prefix.into()).or_default().clients.insert(client_id);
    }

    /// Takes a client away from a prefix.
    pub fn remove(&mut self, prefix: &[u8], client_id: u64) {
        if let Some(known) = self.0.get_mut(prefix) {
            known.clients.remove(&client_id);
            if known.clients.is_empty() {
                self.0.remove(prefix);
            }
        }
    }

    /// How many prefixes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that a client has changed `key`. Cost: O(prefixes).
    pub fn note(&mut self, key: &[u8], client_id: u64) {
        for (prefix, known) in &mut self.0 {
            if key.starts_with(prefix) {
                known.changed.insert(key.into(), client_id);
            }
        }
    }

    /// Hands out what has changed since the last call: `tell(clients, changed)` once for each prefix with changes.
    pub fn take_changed(&mut self, mut tell: impl FnMut(&BTreeSet<u64>, &Changed)) {
        for known in self.0.values_mut().filter(|known| !known.changed.is_empty()) {
            tell(&known.clients, &std::mem::take(&mut known.changed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(prefixes: &mut Prefixes) -> Vec<(Vec<u64>, Vec<String>)> {
        let mut taken = Vec::new();
        prefixes.take_changed(|clients, changed| {
            let keys = changed.keys().map(|key| String::from_utf8(key.to_vec()).unwrap());
            taken.push((clients.iter().copied().collect(), keys.collect()));
        });
        taken
    }

    #[test]
    fn clients_hear_of_keys_with_their_prefix_once() {
        let mut prefixes = Prefixes::default();
        prefixes.add(b"user:", 1);
        prefixes.add(b"user:", 2);
        prefixes.add(b"", 3);
        for key in ["user:2", "user:1", "user:2", "other"] {
            prefixes.note(key.as_bytes(), 9);
        }
        let all = vec!["other".to_owned(), "user:1".to_owned(), "user:2".to_owned()];
        let users = all[1..].to_vec();
        assert_eq!(take(&mut prefixes), [(vec![3], all), (vec![1, 2], users)]);
        assert!(take(&mut prefixes).is_empty());
    }

    #[test]
    fn a_prefix_without_clients_is_forgotten() {
        let mut prefixes = Prefixes::default();
        prefixes.add(b"a", 1);
        prefixes.remove(b"a", 1);
        prefixes.note(b"abc", 9);
        assert!(take(&mut prefixes).is_empty());
        assert!(prefixes.0.is_empty());
    }
}
