//! Keyspace notifications: what happened to keys of this core's shard, published on channels.
//!
//! Path: `shard::effects` -> `Core::dispatch_effects`, once per tick -> here -> the owners of the channels.

use super::Topic;
use crate::core::Core;
use crate::message::{Message, Notice};
use protocol::slot::slot_of;
use shard::effects::KeyEvent;
use shard::event::EventClasses;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Channel and payload.
type Publication = (Vec<u8>, Vec<u8>);

impl Core {
    /// Publishes each event on `__keyspace@<db>__:<key>`, on `__keyevent@<db>__:<event>`, or on both, as
    /// `notify-keyspace-events` says.
    pub(crate) fn publish_events(self: &Rc<Self>, events: &[KeyEvent]) {
        let classes = self.shard.borrow().options().notify_keyspace_events;
        let mut away: BTreeMap<usize, Vec<Publication>> = BTreeMap::new();
        for (channel, payload) in events.iter().flat_map(|event| publications(event, classes)) {
            let owner = self.shared.shard_of_slot(slot_of(&channel));
            if owner == self.id {
                self.publish(Topic::Channel, &channel, &payload);
            } else {
                away.entry(owner).or_default().push((channel, payload));
            }
        }
        for (owner, messages) in away {
            self.post(owner, Message::Tell(Box::new(Notice::Publish(messages))));
        }
    }
}

fn publications(event: &KeyEvent, classes: EventClasses) -> impl Iterator<Item = Publication> {
    let KeyEvent { db, event, key } = event;
    let channel = |kind: &str, name: &[u8]| {
        let mut channel = format!("__{kind}@{db}__:").into_bytes();
        channel.extend_from_slice(name);
        channel
    };
    let name = event.name.as_bytes();
    let of_key =
        classes.contains(EventClasses::KEYSPACE).then(|| (channel("keyspace", key), name.to_vec()));
    let of_event =
        classes.contains(EventClasses::KEYEVENT).then(|| (channel("keyevent", name), key.to_vec()));
    of_key.into_iter().chain(of_event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shard::event::Event;

    #[test]
    fn an_event_is_published_by_key_and_by_kind() {
        let event = KeyEvent { db: 3, event: Event::EXPIRE, key: Box::from(&b"k:1"[..]) };
        let published = |letters: &[u8]| -> Vec<String> {
            let classes = EventClasses::parse(letters).unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            publications(&event, classes)
                .map(|(channel, payload)| format!("{} {}", text(channel), text(payload)))
                .collect()
        };
        let both = ["__keyspace@3__:k:1 expire", "__keyevent@3__:expire k:1"];
        assert_eq!(published(b"KEA"), both);
        assert_eq!(published(b"Kg"), both[..1]);
        assert_eq!(published(b"Eg"), both[1..]);
    }
}
