//! Publish and subscribe: PUBLISH SUBSCRIBE.
//!
//! Path: a subscription is entered at this core first, then counted at the owner of the channel (of a pattern: at
//! every core), and confirmed to the client last; messages that arrive meanwhile wait behind the confirmation.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::clients::ClientFlags;
use crate::connection::Connection;
use crate::message::Question;
use crate::pubsub::{Change, Topic};
use crate::router;
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group};
use shard::args::Args;
use std::sync::atomic::Ordering;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::FAST, Flags::LOADING, Flags::PUBSUB, Flags::STALE]),
            docs: &PUBLISH,
            ..CommandSpec::new("publish", Group::PubSub)
        },
        run: ServerRun::Publish(Topic::Channel),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::LOADING, Flags::NOSCRIPT, Flags::PUBSUB, Flags::STALE]),
            docs: &SUBSCRIBE,
            ..CommandSpec::new("subscribe", Group::PubSub)
        },
        run: ServerRun::Later(subscribe),
    },
];

fn subscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        for name in args.rest() {
            connection.subscribe(Topic::Channel, name).await;
        }
        Ok(())
    })
}

impl Connection {
    /// Enters one subscription and confirms it.
    async fn subscribe(&mut self, topic: Topic, name: &[u8]) {
        let core = self.core.clone();
        self.peer.is_subscribing.set(true);
        let all = self.session.subscriptions.get_or_insert_default();
        if all.insert((topic, name.into())) {
            core.pubsub.borrow_mut().subscribe(topic, name, self.peer.clone());
            self.count_at_owners(topic, name, true).await;
        }
        self.confirm(topic, true, Some(name));
        self.release_held();
    }

    /// Ends one subscription, without a word to the client.
    async fn unsubscribe_quietly(&mut self, topic: Topic, name: &[u8]) {
        let core = self.core.clone();
        let all = self.session.subscriptions.get_or_insert_default();
        if all.remove(&(topic, Box::from(name))) {
            core.pubsub.borrow_mut().unsubscribe(topic, name, self.peer.key);
            self.count_at_owners(topic, name, false).await;
        }
    }

    /// Counts a subscription in or out where PUBLISH will look for it.
    async fn count_at_owners(&self, topic: Topic, name: &[u8], is_added: bool) {
        let core = &self.core;
        let change =
            || Question::Subscribe(Change { core: core.id, topic, name: name.into(), is_added });
        match topic {
            Topic::Pattern => {
                core.ask_all(|_| change()).await;
            }
            Topic::Channel | Topic::ShardChannel => {
                core.ask(router::shard_of(core, Some(name)), change()).await;
            }
        }
    }

    /// Tells the client of a subscription begun or ended, with the number it has now.
    fn confirm(&mut self, topic: Topic, is_added: bool, name: Option<&[u8]>) {
        let word = match (topic, is_added) {
            (Topic::Channel, true) => "subscribe",
            (Topic::Channel, false) => "unsubscribe",
            (Topic::Pattern, true) => "psubscribe",
            (Topic::Pattern, false) => "punsubscribe",
            (Topic::ShardChannel, true) => "ssubscribe",
            (Topic::ShardChannel, false) => "sunsubscribe",
        };
        let count = match topic {
            Topic::ShardChannel => self.session.subscription_count(topic),
            Topic::Channel | Topic::Pattern => {
                self.session.subscription_count(Topic::Channel)
                    + self.session.subscription_count(Topic::Pattern)
            }
        };
        self.note_subscriptions();
        self.reply(|writer| {
            writer.push(3);
            writer.bulk(word.as_bytes());
            match name {
                Some(name) => writer.bulk(name),
                None => writer.null(),
            }
            writer.integer(count as i64);
        });
    }

    fn note_subscriptions(&self) {
        let client = &self.peer.client;
        let count = |topic| self.session.subscription_count(topic) as u32;
        client.channel_count.store(count(Topic::Channel), Ordering::Relaxed);
        client.pattern_count.store(count(Topic::Pattern), Ordering::Relaxed);
        client.shard_channel_count.store(count(Topic::ShardChannel), Ordering::Relaxed);
        let is_subscriber = self.session.subscriptions.as_ref().is_some_and(|all| !all.is_empty());
        client.set_flag(ClientFlags::PUBSUB, is_subscriber);
    }

    /// Lets messages through again, those that were held first.
    fn release_held(&mut self) {
        self.peer.is_subscribing.set(false);
        let held = self.peer.held.take();
        self.replies.extend_from_slice(&held);
    }

    /// Ends all subscriptions; the connection is going.
    pub(crate) async fn leave(&mut self) {
        let Some(all) = &self.session.subscriptions else { return };
        let names: Vec<(Topic, Box<[u8]>)> = all.iter().cloned().collect();
        for (topic, name) in names {
            self.unsubscribe_quietly(topic, &name).await;
        }
        self.note_subscriptions();
    }
}

const PUBLISH: Docs = Docs {
    summary: "Sends a message to the subscribers of a channel.",
    since: "2.0.0",
    complexity: "O(1) at the channel's owner, plus one message per core with subscribers and one send per subscriber",
    arguments: &[Argument::string("channel"), Argument::string("message")],
    examples: &["> PUBLISH news hello\n(integer) 0"],
    ..Docs::NONE
};

const SUBSCRIBE: Docs = Docs {
    summary: "Listens to messages of channels.",
    since: "2.0.0",
    complexity: "O(1) per channel",
    arguments: &[Argument::string("channel").repeated()],
    examples: &["> SUBSCRIBE news\n1) \"subscribe\"\n2) \"news\"\n3) (integer) 1"],
    ..Docs::NONE
};
