//! Publish and subscribe over cores.
//!
//! A channel belongs to a shard by its slot, like a key. Its core, the owner, knows how many subscribers each core
//! has; a pattern's subscribers are known to every owner. PUBLISH is one hop to the owner, which counts the receivers
//! and sends the message once to every core that has some ([`Delivery`], shared by reference count); each core hands
//! it to its own subscribers. So a channel has one total order and the count is exact.
//!
//! Invariant: owner counts = sum over cores of local subscribers, changed by [`Change`] before a subscription is
//! confirmed to the client.

mod frame;
mod notify;
mod subscriptions;

pub use frame::Frame;
pub use notify::Notification;
pub use subscriptions::Subscriptions;

use crate::peer::Peer;
use crate::runtime::reactor::SocketKey;
use ahash::AHashMap;
use protocol::glob;
use std::rc::Rc;
use std::sync::Arc;

/// The three kinds of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    ShardChannel,
}

impl Topic {
    /// All kinds.
    pub const ALL: [Topic; 3] = [Topic::Channel, Topic::Pattern, Topic::ShardChannel];
}

/// One value per kind of subscription.
#[derive(Debug, Default)]
pub struct ByTopic<T>([T; 3]);

impl<T> ByTopic<T> {
    /// The value of a kind.
    #[must_use]
    pub fn get(&self, topic: Topic) -> &T {
        &self.0[topic as usize]
    }

    /// The value of a kind, to change it.
    pub fn get_mut(&mut self, topic: Topic) -> &mut T {
        &mut self.0[topic as usize]
    }
}

/// A core gains a subscriber of something, or loses one.
#[derive(Clone, Debug)]
pub struct Change {
    /// The core.
    pub core: usize,
    /// Kind.
    pub topic: Topic,
    /// Channel or pattern.
    pub name: Box<[u8]>,
    /// One more, or one less.
    pub is_added: bool,
}

/// One message on its way to a core's subscribers.
#[derive(Debug)]
pub struct Delivery {
    /// Kind of channel: never a pattern.
    topic: Topic,
    channel: Box<[u8]>,
    /// For subscribers of the channel.
    frame: Frame,
    /// Patterns that match, each with the message for its subscribers.
    pattern_frames: Vec<(Box<[u8]>, Frame)>,
}

/// A message that somebody gets.
#[derive(Debug)]
pub struct Published {
    /// How many subscriptions it reaches.
    pub receiver_count: u64,
    /// The cores that have some of them.
    pub cores: Vec<usize>,
    /// What each of these cores is to deliver.
    pub delivery: Arc<Delivery>,
}

/// Subscribers per core, of one channel or pattern.
type CoreCounts = Vec<(usize, u32)>;
type Subscribers = Vec<Rc<Peer>>;

/// The subscriptions one core knows of: as owner of channels, and of its own connections.
#[derive(Debug, Default)]
pub struct PubSub {
    /// Channels this core owns, and all patterns.
    owned: ByTopic<AHashMap<Box<[u8]>, CoreCounts>>,
    /// Subscribers among this core's connections.
    local: ByTopic<AHashMap<Box<[u8]>, Subscribers>>,
}

impl PubSub {
    // ---- as owner

    /// Counts a subscriber in or out.
    pub fn apply(&mut self, change: Change) {
        let owned = self.owned.get_mut(change.topic);
        if change.is_added {
            let counts = owned.entry(change.name).or_default();
            match counts.iter_mut().find(|(core, _)| *core == change.core) {
                Some((_, count)) => *count += 1,
                None => counts.push((change.core, 1)),
            }
            return;
        }
        let Some(counts) = owned.get_mut(&change.name) else { return };
        if let Some((_, count)) = counts.iter_mut().find(|(core, _)| *core == change.core) {
            *count -= 1;
        }
        counts.retain(|(_, count)| *count > 0);
        if counts.is_empty() {
            owned.remove(&change.name);
        }
    }

    /// How many channels of this kind with subscribers this core owns; for patterns, how many there are.
    #[must_use]
    pub fn owned_count(&self, topic: Topic) -> usize {
        self.owned.get(topic).len()
    }

    /// Publishes on a channel this core owns; `None` if nobody listens. Cost: O(patterns).
    #[must_use]
    pub fn publish(&self, topic: Topic, channel: &[u8], payload: &[u8]) -> Option<Published> {
        let mut receiver_count = 0;
        let mut cores: Vec<usize> = Vec::new();
        let mut count_in = |counts: &CoreCounts| {
            for (core, count) in counts {
                receiver_count += u64::from(*count);
                if !cores.contains(core) {
                    cores.push(*core);
                }
            }
        };
        if let Some(counts) = self.owned.get(topic).get(channel) {
            count_in(counts);
        }
        let mut pattern_frames = Vec::new();
        if topic == Topic::Channel {
            for (pattern, counts) in self.owned.get(Topic::Pattern) {
                if glob::matches(pattern, channel, false) {
                    count_in(counts);
                    let frame = Frame::new(&[b"pmessage", pattern, channel, payload]);
                    pattern_frames.push((pattern.clone(), frame));
                }
            }
        }
        if cores.is_empty() {
            return None;
        }
        let word: &[u8] = if topic == Topic::Channel { b"message" } else { b"smessage" };
        let frame = Frame::new(&[word, channel, payload]);
        let delivery = Delivery { topic, channel: channel.into(), frame, pattern_frames };
        Some(Published { receiver_count, cores, delivery: Arc::new(delivery) })
    }

    /// Channels of this core with subscribers that match `pattern`.
    #[must_use]
    pub fn channels(&self, topic: Topic, pattern: Option<&[u8]>) -> Vec<Vec<u8>> {
        let is_match = |name: &[u8]| pattern.is_none_or(|p| glob::matches(p, name, false));
        let names = self.owned.get(topic).keys().filter(|name| is_match(name));
        names.map(|name| name.to_vec()).collect()
    }

    /// Subscribers of a channel that this core owns.
    #[must_use]
    pub fn subscriber_count(&self, topic: Topic, channel: &[u8]) -> u64 {
        let counts = self.owned.get(topic).get(channel);
        counts.map_or(0, |counts| counts.iter().map(|(_, count)| u64::from(*count)).sum())
    }

    /// How many patterns have subscribers, on whatever core.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.owned.get(Topic::Pattern).len()
    }

    /// How many channels of this core have subscribers.
    #[must_use]
    pub fn channel_count(&self, topic: Topic) -> usize {
        self.owned.get(topic).len()
    }

    // ---- for this core's connections

    /// Adds a subscriber.
    pub fn subscribe(&mut self, topic: Topic, name: &[u8], peer: Rc<Peer>) {
        self.local.get_mut(topic).entry(name.into()).or_default().push(peer);
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&mut self, topic: Topic, name: &[u8], key: SocketKey) {
        let local = self.local.get_mut(topic);
        let Some(subscribers) = local.get_mut(name) else { return };
        if let Some(index) = subscribers.iter().position(|peer| peer.key == key) {
            subscribers.swap_remove(index);
        }
        if subscribers.is_empty() {
            local.remove(name);
        }
    }

    /// Hands a message to this core's subscribers: `send(peer, frame)` once for each.
    pub fn deliver(&self, delivery: &Delivery, mut send: impl FnMut(&Peer, &Frame)) {
        let mut send_all = |topic: Topic, name: &[u8], frame: &Frame| {
            let subscribers = self.local.get(topic).get(name);
            subscribers.into_iter().flatten().for_each(|peer| send(peer, frame));
        };
        send_all(delivery.topic, &delivery.channel, &delivery.frame);
        for (pattern, frame) in &delivery.pattern_frames {
            send_all(Topic::Pattern, pattern, frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(core: usize, topic: Topic, name: &str, is_added: bool) -> Change {
        Change { core, topic, name: name.as_bytes().into(), is_added }
    }

    /// Receivers and cores of a message on `channel`.
    fn publish(pubsub: &PubSub, topic: Topic, channel: &str) -> (u64, Vec<usize>) {
        let published = pubsub.publish(topic, channel.as_bytes(), b"x");
        published.map_or((0, vec![]), |published| (published.receiver_count, published.cores))
    }

    #[test]
    fn an_owner_counts_subscribers_by_core() {
        let mut owner = PubSub::default();
        assert_eq!(publish(&owner, Topic::Channel, "news"), (0, vec![]));
        for core in [0, 2, 2] {
            owner.apply(change(core, Topic::Channel, "news", true));
        }
        assert_eq!(publish(&owner, Topic::Channel, "news"), (3, vec![0, 2]));
        owner.apply(change(0, Topic::Channel, "news", false));
        assert_eq!(publish(&owner, Topic::Channel, "news"), (2, vec![2]));
        assert_eq!(owner.subscriber_count(Topic::Channel, b"news"), 2);
        owner.apply(change(2, Topic::Channel, "news", false));
        owner.apply(change(2, Topic::Channel, "news", false));
        assert_eq!(owner.channel_count(Topic::Channel), 0);
    }

    #[test]
    fn patterns_hear_channels_but_not_shard_channels() {
        let mut owner = PubSub::default();
        owner.apply(change(1, Topic::Pattern, "n*", true));
        owner.apply(change(1, Topic::Channel, "news", true));
        assert_eq!(publish(&owner, Topic::Channel, "news"), (2, vec![1]));
        assert_eq!(publish(&owner, Topic::ShardChannel, "news"), (0, vec![]));
        assert_eq!(owner.pattern_count(), 1);
        assert_eq!(owner.channels(Topic::Channel, Some(b"n*")), [b"news".to_vec()]);
        assert!(owner.channels(Topic::Channel, Some(b"x*")).is_empty());
    }
}
