//! SUBSCRIBE, UNSUBSCRIBE and their kin for patterns and shard channels.
//!
//! Path: a subscription is entered at this core first, then counted at the owner of the channel (of a pattern: at
//! every core), and confirmed to the client last. Messages that arrive meanwhile wait behind the confirmation, since
//! the connection is busy (`Peer::is_busy`). The channels of one command are counted with one question per core.

use crate::clients::ClientFlags;
use crate::commands::LaterReply;
use crate::connection::Connection;
use crate::message::Question;
use crate::pubsub::{Change, Topic};
use crate::router;
use shard::args::Args;
use std::sync::atomic::Ordering;

pub(super) fn subscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(begin(connection, Topic::Channel, args))
}

pub(super) fn psubscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(begin(connection, Topic::Pattern, args))
}

pub(super) fn ssubscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(begin(connection, Topic::ShardChannel, args))
}

pub(super) fn unsubscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(end(connection, Topic::Channel, args))
}

pub(super) fn punsubscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(end(connection, Topic::Pattern, args))
}

pub(super) fn sunsubscribe<'a>(connection: &'a mut Connection, args: Args<'a>) -> LaterReply<'a> {
    Box::pin(end(connection, Topic::ShardChannel, args))
}

async fn begin(
    connection: &mut Connection,
    topic: Topic,
    args: Args<'_>,
) -> Result<(), shard::CommandError> {
    let core = connection.core.clone();
    let mut added = Vec::new();
    // The count a client is told with each name is that of the moment when it was added.
    let mut counts = Vec::new();
    for name in args.rest() {
        let all = connection.session.subscriptions.get_or_insert_default();
        if all.insert(topic, name) {
            core.pubsub.borrow_mut().subscribe(topic, name, connection.peer.clone());
            added.push(name.into());
        }
        counts.push(all.told_count(topic));
    }
    connection.count_at_owners(topic, added, true).await;
    connection.note_subscriptions();
    for (name, count) in args.rest().zip(counts) {
        connection.confirm(topic, true, Some(name), count);
    }
    Ok(())
}

async fn end(
    connection: &mut Connection,
    topic: Topic,
    args: Args<'_>,
) -> Result<(), shard::CommandError> {
    // Messages that have arrived come before the confirmation; none comes behind it.
    connection.release_held();
    let names: Vec<Box<[u8]>> = match args.is_empty() {
        true => connection.session.names(topic),
        false => args.rest().map(Box::from).collect(),
    };
    if names.is_empty() {
        let count = connection.session.told_count(topic);
        connection.confirm(topic, false, None, count);
        return Ok(());
    }
    let counts = connection.end_subscriptions(topic, &names).await;
    for (name, count) in names.iter().zip(counts) {
        connection.confirm(topic, false, Some(name), count);
    }
    Ok(())
}

impl Connection {
    /// Ends subscriptions without a word to the client; returns the count it is told with each of `names`.
    async fn end_subscriptions(&mut self, topic: Topic, names: &[Box<[u8]>]) -> Vec<usize> {
        let core = self.core.clone();
        let mut removed = Vec::new();
        let mut counts = Vec::with_capacity(names.len());
        for name in names {
            let is_removed =
                self.session.subscriptions.as_mut().is_some_and(|all| all.remove(topic, name));
            if is_removed {
                core.pubsub.borrow_mut().unsubscribe(topic, name, self.peer.key);
                removed.push(name.clone());
            }
            counts.push(self.session.told_count(topic));
        }
        if self.session.subscriptions.as_ref().is_some_and(|all| all.is_empty()) {
            self.session.subscriptions = None;
        }
        self.count_at_owners(topic, removed, false).await;
        self.note_subscriptions();
        counts
    }

    /// Counts subscriptions in or out where PUBLISH will look for them.
    async fn count_at_owners(&self, topic: Topic, names: Vec<Box<[u8]>>, is_added: bool) {
        let core = &self.core;
        let mut by_core = vec![Vec::new(); core.shared.shard_count()];
        for name in names {
            let owners = match topic {
                Topic::Pattern => 0..by_core.len(),
                Topic::Channel | Topic::ShardChannel => {
                    let owner = router::shard_of(core, Some(&name));
                    owner..owner + 1
                }
            };
            for changes in &mut by_core[owners] {
                changes.push(Change { core: core.id, topic, name: name.clone(), is_added });
            }
        }
        let asked = by_core.into_iter().enumerate().filter(|(_, changes)| !changes.is_empty());
        let asks: Vec<_> = asked
            .map(|(owner, changes)| core.start_ask(owner, Question::Subscribe(changes)))
            .collect();
        for ask in asks {
            ask.await;
        }
    }

    /// Tells the client of a subscription begun or ended, whatever replies it wants, and how many it has then.
    fn confirm(&mut self, topic: Topic, is_added: bool, name: Option<&[u8]>, count: usize) {
        let word = match (topic, is_added) {
            (Topic::Channel, true) => "subscribe",
            (Topic::Channel, false) => "unsubscribe",
            (Topic::Pattern, true) => "psubscribe",
            (Topic::Pattern, false) => "punsubscribe",
            (Topic::ShardChannel, true) => "ssubscribe",
            (Topic::ShardChannel, false) => "sunsubscribe",
        };
        self.push(|writer| {
            writer.push(3);
            writer.bulk(word.as_bytes());
            match name {
                Some(name) => writer.bulk(name),
                None => writer.null(),
            }
            writer.integer(count as i64);
        });
    }

    /// Shows the registry what this connection has subscribed to.
    fn note_subscriptions(&self) {
        let client = &self.peer.client;
        let subscriptions = self.session.subscriptions.as_deref();
        let count = |topic| subscriptions.map_or(0, |all| all.count(topic)) as u32;
        client.channel_count.store(count(Topic::Channel), Ordering::Relaxed);
        client.pattern_count.store(count(Topic::Pattern), Ordering::Relaxed);
        client.shard_channel_count.store(count(Topic::ShardChannel), Ordering::Relaxed);
        client.set_flag(ClientFlags::PUBSUB, subscriptions.is_some());
    }

    /// Ends all subscriptions without a word: RESET, or the connection is going.
    pub(crate) async fn leave(&mut self) {
        for topic in Topic::ALL {
            let names = self.session.names(topic);
            if !names.is_empty() {
                self.end_subscriptions(topic, &names).await;
            }
        }
    }
}
