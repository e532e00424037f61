//! Keyspace notifications: what writes did, published like messages of clients (`notify-keyspace-events`).
//!
//! Path: `shard::effects` -> here, at the core of the shard -> the core that owns the channel. Events of one key leave
//! their shard in the order they happened, and the way to an owner keeps it.

use super::Topic;
use crate::core::Core;
use crate::message::{Message, Notice};
use crate::router;
use shard::effects::KeyEvent;
use shard::event::EventClasses;
use std::rc::Rc;

/// A message that the server itself publishes.
#[derive(Debug, PartialEq, Eq)]
pub struct Notification {
    /// `__keyspace@<db>__:<key>` or `__keyevent@<db>__:<event>`.
    pub channel: Vec<u8>,
    /// The event's name, or the key.
    pub payload: Box<[u8]>,
}

/// What is published of an event: on the channel of its key, on that of its kind, or on both.
fn notifications(enabled: EventClasses, event: KeyEvent) -> Vec<Notification> {
    let KeyEvent { db, event, key } = event;
    let mut notifications = Vec::with_capacity(2);
    if enabled.contains(EventClasses::KEYSPACE) {
        let mut channel = format!("__keyspace@{db}__:").into_bytes();
        channel.extend_from_slice(&key);
        notifications.push(Notification { channel, payload: event.name.as_bytes().into() });
    }
    if enabled.contains(EventClasses::KEYEVENT) {
        let channel = format!("__keyevent@{db}__:{}", event.name).into_bytes();
        notifications.push(Notification { channel, payload: key });
    }
    notifications
}

impl Core {
    /// Publishes the events of this core's shard since the last call: at the end of every tick, and before a message
    /// of a client, so that it does not overtake them.
    pub(crate) fn publish_events(self: &Rc<Self>) {
        let events = std::mem::take(&mut self.shard_mut().effects_mut().events);
        if events.is_empty() {
            return;
        }
        let enabled = self.shard().options().notify_keyspace_events;
        let mut by_owner: Vec<Vec<Notification>> = Vec::new();
        by_owner.resize_with(self.shared.shard_count(), Vec::new);
        for notification in events.into_iter().flat_map(|event| notifications(enabled, event)) {
            by_owner[router::shard_of(self, Some(&notification.channel))].push(notification);
        }
        for (owner, notifications) in by_owner.into_iter().enumerate() {
            if !notifications.is_empty() {
                self.post(owner, Message::Tell(Box::new(Notice::Publish(notifications))));
            }
        }
    }

    /// Publishes what another core's shard, or this one's, reports on channels of this core.
    pub(crate) fn publish_all(self: &Rc<Self>, notifications: &[Notification]) {
        for Notification { channel, payload } in notifications {
            self.publish(Topic::Channel, channel, payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shard::event::Event;

    fn channels(letters: &[u8]) -> Vec<(String, String)> {
        let enabled = EventClasses::parse(letters).unwrap();
        let event = KeyEvent { db: 3, event: Event::SET, key: Box::from(&b"k"[..]) };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        notifications(enabled, event).iter().map(|n| (text(&n.channel), text(&n.payload))).collect()
    }

    #[test]
    fn an_event_is_published_by_key_and_by_kind() {
        let pair = |channel: &str, payload: &str| (channel.to_owned(), payload.to_owned());
        let (by_key, by_kind) = (("__keyspace@3__:k", "set"), ("__keyevent@3__:set", "k"));
        assert_eq!(channels(b"K$"), [pair(by_key.0, by_key.1)]);
        assert_eq!(channels(b"E$"), [pair(by_kind.0, by_kind.1)]);
        assert_eq!(channels(b"KEA"), [pair(by_key.0, by_key.1), pair(by_kind.0, by_kind.1)]);
    }
}
