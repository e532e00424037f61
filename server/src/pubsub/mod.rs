//! Publish and subscribe over cores.
//!
//! A channel belongs to a shard by its slot, like a key. Its core, the owner, knows how many subscribers each core
//! has; a patterns' subscribers are known to every owner. PUBLISH is one hop to the owner, which counts the receivers
//! and sends the message once to every core that has some ([`Delivery`], shared by reference count); each core hands
//! it to its own subscribers. So a channel has one total order and the count is exact.
//!
//! Invariant: owner counts = sum over cores of local subscribers, changed by [`Change`] before a subscription is
//! confirmed to the client.

mod events;

use crate::peer::Peer;
use crate::runtime::reactor::SocketKey;
use ahash::AHashMap;
use protocol::glob;
use protocol::reply::{Resp, Writer};
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

/// A core gains its first subscriber of something, one more, or loses one.
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
    pub topic: Topic,
    /// The channel.
    pub channel: Box<[u8]>,
    /// The message for subscribers of the channel, encoded for RESP2.
    frame: Vec<u8>,
    /// Patterns that match, each with the message for its subscribers, encoded for RESP2.
    pattern_frames: Vec<(Box<[u8]>, Vec<u8>)>,
}

/// Subscribers per core, of one channel or pattern.
type CoreCounts = Vec<(usize, u32)>;
type Subscribers = Vec<Rc<Peer>>;

/// The subscriptions one core knows of: as owner of channels, and of its own connections.
#[derive(Debug, Default)]
pub struct PubSub {
    /// Channels this core owns, and all patterns.
    owned: AHashMap<(Topic, Box<[u8]>), CoreCounts>,
    /// How many of `owned` are patterns, so that PUBLISH need not look when there is none.
    pattern_count: usize,
    /// Subscribers among this core's connections.
    local: AHashMap<(Topic, Box<[u8]>), Subscribers>,
}

impl PubSub {
    // ---- as owner

    /// Counts a subscriber in or out.
    pub fn apply(&mut self, change: Change) {
        let key = (change.topic, change.name);
        let is_pattern = change.topic == Topic::Pattern;
        if change.is_added {
            let counts = self.owned.entry(key).or_default();
            self.pattern_count += usize::from(is_pattern && counts.is_empty());
            match counts.iter_mut().find(|(core, _)| *core == change.core) {
                Some((_, count)) => *count += 1,
                None => counts.push((change.core, 1)),
            }
            return;
        }
        let Some(counts) = self.owned.get_mut(&key) else { return };
        if let Some((_, count)) = counts.iter_mut().find(|(core, _)| *core == change.core) {
            *count -= 1;
        }
        counts.retain(|(_, count)| *count > 0);
        if counts.is_empty() {
            self.owned.remove(&key);
            self.pattern_count -= usize::from(is_pattern);
        }
    }

    /// How many channels of this kind with subscribers this core owns; for patterns, how many there are.
    #[must_use]
    pub fn owned_count(&self, topic: Topic) -> usize {
        match topic {
            Topic::Pattern => self.pattern_count,
            _ => self.owned.keys().filter(|(kind, _)| *kind == topic).count(),
        }
    }

    /// Publishes on a channel this core owns: the number of receivers, the cores that have some, and what they get.
    #[must_use]
    pub fn publish(
        &self,
        topic: Topic,
        channel: &[u8],
        payload: &[u8],
    ) -> (u64, Option<(Vec<usize>, Arc<Delivery>)>) {
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
        let key = (topic, Box::from(channel));
        if let Some(counts) = self.owned.get(&key) {
            count_in(counts);
        }
        let mut pattern_frames = Vec::new();
        if topic == Topic::Channel && self.pattern_count > 0 {
            for ((known, pattern), counts) in &self.owned {
                if *known == Topic::Pattern && glob::matches(pattern, channel, false) {
                    count_in(counts);
                    let parts: [&[u8]; 4] = [b"pmessage", pattern, channel, payload];
                    pattern_frames.push((pattern.clone(), encode(&parts)));
                }
            }
        }
        if cores.is_empty() {
            return (0, None);
        }
        let word: &[u8] = if topic == Topic::Channel { b"message" } else { b"smessage" };
        let frame = encode(&[word, channel, payload]);
        let delivery = Delivery { topic, channel: key.1, frame, pattern_frames };
        (receiver_count, Some((cores, Arc::new(delivery))))
    }

    /// Channels of this core with subscribers that match `pattern`.
    #[must_use]
    pub fn channels(&self, topic: Topic, pattern: Option<&[u8]>) -> Vec<Vec<u8>> {
        let matches = |name: &[u8]| pattern.is_none_or(|p| glob::matches(p, name, false));
        let of_topic = self.owned.keys().filter(|(known, name)| *known == topic && matches(name));
        of_topic.map(|(_, name)| name.to_vec()).collect()
    }

    /// Subscribers of a channel that this core owns.
    #[must_use]
    pub fn subscriber_count(&self, topic: Topic, channel: &[u8]) -> u64 {
        let counts = self.owned.get(&(topic, Box::from(channel)));
        counts.map_or(0, |counts| counts.iter().map(|(_, count)| u64::from(*count)).sum())
    }

    /// How many patterns have subscribers, on whatever core.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.pattern_count
    }

    /// How many channels of this core have subscribers.
    #[must_use]
    pub fn channel_count(&self, topic: Topic) -> usize {
        self.owned.keys().filter(|(known, _)| *known == topic).count()
    }

    // ---- for this core's connections

    /// Adds a subscriber.
    pub fn subscribe(&mut self, topic: Topic, name: &[u8], peer: Rc<Peer>) {
        self.local.entry((topic, name.into())).or_default().push(peer);
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&mut self, topic: Topic, name: &[u8], key: SocketKey) {
        let topic_name = (topic, Box::from(name));
        if let Some(subscribers) = self.local.get_mut(&topic_name) {
            subscribers.retain(|peer| peer.key != key);
            if subscribers.is_empty() {
                self.local.remove(&topic_name);
            }
        }
    }

    /// Hands a message to this core's subscribers: `send(peer, frame)` once for each.
    pub fn deliver(&self, delivery: &Delivery, mut send: impl FnMut(&Peer, &[u8])) {
        let mut send_all = |topic: Topic, name: &[u8], frame: &[u8]| {
            if let Some(subscribers) = self.local.get(&(topic, Box::from(name))) {
                subscribers.iter().for_each(|peer| send(peer, frame));
            }
        };
        send_all(delivery.topic, &delivery.channel, &delivery.frame);
        for (pattern, frame) in &delivery.pattern_frames {
            send_all(Topic::Pattern, pattern, frame);
        }
    }
}

/// The first byte of a push message for `resp`: the rest is the same in both versions.
#[must_use]
pub fn first_byte(resp: Resp) -> u8 {
    match resp {
        Resp::V2 => b'*',
        Resp::V3 => b'>',
    }
}

fn encode(parts: &[&[u8]]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(parts.iter().map(|part| part.len() + 16).sum());
    let mut writer = Writer::new(&mut frame, Resp::V2);
    writer.push(parts.len());
    parts.iter().for_each(|part| writer.bulk(part));
    frame
}
