//! What one connection has subscribed to.

use super::{ByTopic, Topic};
use ahash::AHashSet;

/// Subscriptions of one connection.
#[derive(Debug, Default)]
pub struct Subscriptions(ByTopic<AHashSet<Box<[u8]>>>);

impl Subscriptions {
    /// Adds one; `false` if it was there.
    pub fn insert(&mut self, topic: Topic, name: &[u8]) -> bool {
        let names = self.0.get_mut(topic);
        !names.contains(name) && names.insert(name.into())
    }

    /// Takes one away; `false` if there was none.
    pub fn remove(&mut self, topic: Topic, name: &[u8]) -> bool {
        self.0.get_mut(topic).remove(name)
    }

    /// How many there are of a kind.
    #[must_use]
    pub fn count(&self, topic: Topic) -> usize {
        self.0.get(topic).len()
    }

    /// The number a client is told when it begins or ends a subscription of this kind: shard channels are counted
    /// apart from channels and patterns.
    #[must_use]
    pub fn told_count(&self, topic: Topic) -> usize {
        match topic {
            Topic::ShardChannel => self.count(topic),
            Topic::Channel | Topic::Pattern => {
                self.count(Topic::Channel) + self.count(Topic::Pattern)
            }
        }
    }

    /// Whether there is none of any kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Topic::ALL.iter().all(|topic| self.count(*topic) == 0)
    }

    /// All of a kind, in no order.
    #[must_use]
    pub fn names(&self, topic: Topic) -> Vec<Box<[u8]>> {
        self.0.get(topic).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_patterns_are_counted_together_shard_channels_alone() {
        let mut all = Subscriptions::default();
        assert!(all.is_empty());
        assert!(all.insert(Topic::Channel, b"a"));
        assert!(!all.insert(Topic::Channel, b"a"));
        assert!(all.insert(Topic::Pattern, b"a"));
        assert!(all.insert(Topic::ShardChannel, b"a"));
        assert_eq!(all.told_count(Topic::Channel), 2);
        assert_eq!(all.told_count(Topic::ShardChannel), 1);
        assert!(all.remove(Topic::Channel, b"a"));
        assert!(!all.remove(Topic::Channel, b"a"));
        assert_eq!(all.told_count(Topic::Pattern), 1);
        assert!(!all.is_empty());
    }
}
