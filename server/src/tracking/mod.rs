//! Client-side caching: telling clients that a value they may hold a copy of has changed (CLIENT TRACKING).
//!
//! Path: a shard reports the keys its writes touch (`shard::effects::Touched`) -> here, at the shard's core, which
//! knows who has read its keys ([`Table`]) or wants to hear of a prefix ([`Prefixes`]) -> the core of the client, or
//! of the client it redirects to -> the socket, behind the replies that are being made (`Peer::is_busy`).
//!
//! Invariant: a client that was sent a value and holds it is in the table of the key's shard, or an invalidation that
//! comes behind that value is on its way. So touched keys are taken out at once behind the command that wrote them,
//! before the next one reads; only the messages wait for the end of the tick, where they go behind the replies that
//! the tick has sent off. A message too many does no harm.
//! Nothing here costs anything while nobody tracks: `Effects::is_tracking` is false then.

mod prefixes;
mod table;

pub use prefixes::Prefixes;
pub use table::Table;

use crate::clients::{Client, ClientFlags};
use crate::core::Core;
use crate::message::{Message, Notice};
use crate::runtime::reactor::SocketKey;
use prefixes::Changed;
use protocol::command::{Flags, key_spec};
use protocol::reply::{Resp, Writer};
use shard::effects::Touched;
use shard::{Call, Shard};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The channel on which clients that speak RESP2 get the invalidations of others.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// Keys forgotten per tick at most, where more are remembered than `tracking-table-max-keys` allows.
const FORGET_MAX: usize = 1_000;

/// What one core knows of copies of its shard's values.
#[derive(Debug, Default)]
pub struct Tracking {
    table: Table,
    prefixes: Prefixes,
    /// Messages for the end of the tick, each with the core it is for.
    outgoing: Vec<(usize, Invalidation)>,
    /// How many keys of the table are counted in `Shared::tracked_keys`.
    counted_len: usize,
}

/// Figures of one core for INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackingFigures {
    /// Keys of its shard that somebody may hold.
    pub keys: usize,
    /// Clients that may hold them, summed up over the keys.
    pub items: usize,
    /// Prefixes that somebody wants to hear of; every core knows all.
    pub prefixes: usize,
}

impl Tracking {
    /// The figures for INFO.
    #[must_use]
    pub fn figures(&self) -> TrackingFigures {
        TrackingFigures {
            keys: self.table.len(),
            items: self.table.item_count(),
            prefixes: self.prefixes.len(),
        }
    }

    /// Brings the sum over all cores up to date.
    fn count_keys(&mut self, sum: &AtomicUsize) {
        let len = self.table.len();
        match len.checked_sub(self.counted_len) {
            Some(more) if more > 0 => drop(sum.fetch_add(more, Ordering::Relaxed)),
            Some(_) => {}
            None => drop(sum.fetch_sub(self.counted_len - len, Ordering::Relaxed)),
        }
        self.counted_len = len;
    }
}

/// A message to one client.
#[derive(Clone, Debug)]
pub struct Invalidation {
    /// The client that gets it.
    to: u64,
    /// Whether it gets it in place of another one.
    is_redirected: bool,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// These keys have changed: an array of them, encoded.
    Keys(Arc<[u8]>),
    /// All keys may have changed.
    All,
    /// The client that was to get the invalidations has gone; its id.
    RedirectBroken(u64),
}

/// Which keys of a call its shard has read.
#[derive(Clone, Copy, Debug)]
pub enum KeysRead<'a> {
    /// All that the command names.
    All,
    /// Those at these positions of its arguments.
    At(&'a [usize]),
}

impl Core {
    /// A client begins to track, by these prefixes or by what it reads.
    pub(crate) fn start_tracking(&self, client_id: u64, prefixes: &[Box<[u8]>]) {
        self.shard_mut().effects_mut().is_tracking = true;
        let known = &mut self.tracking.borrow_mut().prefixes;
        prefixes.iter().for_each(|prefix| known.add(prefix, client_id));
    }

    /// A client no longer tracks by these prefixes.
    pub(crate) fn forget_prefixes(&self, client_id: u64, prefixes: &[Box<[u8]>]) {
        let known = &mut self.tracking.borrow_mut().prefixes;
        prefixes.iter().for_each(|prefix| known.remove(prefix, client_id));
    }

    /// Follows what the shard has just run: keys that were written are invalidated, keys that were read are remembered.
    pub(crate) fn track(&self, shard: &mut Shard, call: &Call<'_>, keys_read: KeysRead<'_>) {
        let effects = shard.effects_mut();
        if !effects.is_tracking {
            return;
        }
        self.invalidate_touched(std::mem::take(&mut effects.touched));
        let is_read = call.command.spec.flags.contains(Flags::READONLY);
        if !call.client.is_tracking || !is_read {
            return;
        }
        let table = &mut self.tracking.borrow_mut().table;
        let mut remember = |index: usize| {
            if let Some(key) = call.argv.get(index) {
                table.remember(key, call.client.id);
            }
        };
        match keys_read {
            KeysRead::All => {
                key_spec::key_indices(call.command.keys(call.argv), call.argv, remember)
            }
            KeysRead::At(indices) => indices.iter().for_each(|index| remember(*index)),
        }
    }

    /// What the end of a tick brings: keys that expired meanwhile, too many keys, and the messages of the tick.
    pub(crate) fn settle_tracking(&self) {
        let touched = {
            let mut shard = self.shard_mut();
            let effects = shard.effects_mut();
            if !effects.is_tracking {
                return;
            }
            effects.is_tracking = self.shared.tracking_count.load(Ordering::Acquire) > 0;
            std::mem::take(&mut effects.touched)
        };
        self.invalidate_touched(touched);
        self.forget_keys_beyond_limit();
        self.broadcast_changed();
        self.send_invalidations();
        if self.shared.tracking_count.load(Ordering::Acquire) == 0 {
            let tracking = &mut *self.tracking.borrow_mut();
            tracking.table.clear();
            tracking.count_keys(&self.shared.tracked_keys);
        }
    }

    fn invalidate_touched(&self, touched: Vec<Touched>) {
        if touched.is_empty() {
            return;
        }
        let mut is_flushed = false;
        let mut tracking = self.tracking.borrow_mut();
        for touched in touched {
            match touched {
                Touched::Key { key, client_id } => {
                    tracking.prefixes.note(&key, client_id);
                    let readers = tracking.table.take(&key);
                    self.invalidate(&mut tracking, &key, &readers, client_id);
                }
                Touched::All => {
                    tracking.table.clear();
                    is_flushed = true;
                }
            }
        }
        drop(tracking);
        // Of several shards, the core that flushes them all tells the clients.
        if is_flushed && self.shared.shard_count() == 1 {
            self.invalidate_all();
        }
    }

    /// Tells the readers of a key that it has changed, but for the one that changed it, if it wants that (NOLOOP).
    fn invalidate(&self, tracking: &mut Tracking, key: &[u8], readers: &[u64], writer: u64) {
        if readers.is_empty() {
            return;
        }
        let keys: Arc<[u8]> = encode_keys([key].into_iter()).into();
        for reader in readers {
            let Some(client) = self.shared.clients.get(*reader) else { continue };
            let is_own = *reader == writer && client.has_flag(ClientFlags::TRACKING_NOLOOP);
            if !is_own && !client.has_flag(ClientFlags::TRACKING_BCAST) {
                let message = self.address(&client, Content::Keys(keys.clone()));
                tracking.outgoing.extend(message);
            }
        }
    }

    /// Forgets keys as if they had changed, while all cores together know of more than is allowed: exactly as many, as
    /// each core takes one off the sum before it forgets one of its own.
    fn forget_keys_beyond_limit(&self) {
        let max = self.settings_ref().tracking_table_max_keys as usize;
        let sum = &self.shared.tracked_keys;
        let mut tracking = self.tracking.borrow_mut();
        tracking.count_keys(sum);
        if max == 0 {
            return;
        }
        let one_less = |sum: usize| (sum > max).then(|| sum - 1);
        for _ in 0..FORGET_MAX.min(tracking.table.len()) {
            if sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                return;
            }
            tracking.counted_len -= 1;
            let Some((key, readers)) = tracking.table.take_any() else { return };
            self.invalidate(&mut tracking, &key, &readers, 0);
        }
    }

    /// Tells clients of all keys with their prefixes that have changed in this tick, in one message each.
    fn broadcast_changed(&self) {
        let tracking = &mut *self.tracking.borrow_mut();
        let outgoing = &mut tracking.outgoing;
        tracking.prefixes.take_changed(|clients, changed| {
            let all: Arc<[u8]> = encode_keys(changed.keys().map(|key| &**key)).into();
            for id in clients {
                let Some(client) = self.shared.clients.get(*id) else { continue };
                let keys = match client.has_flag(ClientFlags::TRACKING_NOLOOP) {
                    false => Some(all.clone()),
                    true => encode_keys_of_others(changed, *id),
                };
                if let Some(keys) = keys {
                    outgoing.extend(self.address(&client, Content::Keys(keys)));
                }
            }
        });
    }

    /// Tells every tracking client of this core that all keys may have changed.
    pub(crate) fn invalidate_all(&self) {
        let mut tracking = self.tracking.borrow_mut();
        for peer in self.peers() {
            tracking.outgoing.extend(self.address(&peer.client, Content::All));
        }
    }

    /// A message for `client`, with the core it goes to: its own, or that of the client it redirects to. `None` if it
    /// is not to hear of it.
    fn address(&self, client: &Client, content: Content) -> Option<(usize, Invalidation)> {
        if !client.has_flag(ClientFlags::TRACKING) {
            return None;
        }
        let redirect = client.redirect.load(Ordering::Relaxed);
        if redirect == 0 {
            let message = Invalidation { to: client.id, is_redirected: false, content };
            return Some((client.core.into(), message));
        }
        let receiver = self.shared.clients.get(redirect);
        // One that is being closed may never read it.
        let receiver = receiver.filter(|one| !one.has_flag(ClientFlags::CLOSE_AFTER_REPLY));
        if let Some(receiver) = receiver {
            let message = Invalidation { to: redirect, is_redirected: true, content };
            return Some((receiver.core.into(), message));
        }
        client.set_flag(ClientFlags::TRACKING_BROKEN_REDIRECT, true);
        let content = Content::RedirectBroken(redirect);
        Some((client.core.into(), Invalidation { to: client.id, is_redirected: false, content }))
    }

    /// Sends the messages so far. Not while a batch runs: its reply is to leave before them.
    pub(crate) fn send_invalidations(&self) {
        let outgoing = std::mem::take(&mut self.tracking.borrow_mut().outgoing);
        if outgoing.is_empty() {
            return;
        }
        // A client that waited gets its reply before it hears of what that has changed.
        self.hand_out_served();
        let mut by_core: Vec<Vec<Invalidation>> = Vec::new();
        by_core.resize_with(self.shared.shard_count(), Vec::new);
        for (core, message) in outgoing {
            by_core[core].push(message);
        }
        for (core, messages) in by_core.into_iter().enumerate() {
            if core == self.id {
                self.deliver_invalidations(&messages);
            } else if !messages.is_empty() {
                self.post_away(core, Message::Tell(Box::new(Notice::Invalidate(messages))));
            }
        }
    }

    /// Hands messages to clients of this core.
    pub(crate) fn deliver_invalidations(&self, messages: &[Invalidation]) {
        for message in messages {
            let client = self.shared.clients.get(message.to);
            let key = client.map(|client| client.token.load(Ordering::Relaxed));
            let Some(peer) = key.and_then(|token| self.peer(SocketKey::from_token(token))) else {
                continue;
            };
            let is_subscriber = peer.client.has_flag(ClientFlags::PUBSUB);
            if let Some(bytes) = encode(message, peer.resp.get(), is_subscriber) {
                self.push(&peer, &bytes);
            }
        }
    }
}

/// The bytes of a message. `None` if the client cannot be told: in RESP2 only a subscriber can, and only for others.
fn encode(message: &Invalidation, resp: Resp, is_subscriber: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, resp);
    match resp {
        Resp::V3 => writer.push(2),
        Resp::V2 if message.is_redirected && is_subscriber => {
            writer.push(3);
            writer.bulk(b"message");
            writer.bulk(CHANNEL);
        }
        Resp::V2 => return None,
    }
    let word = match message.content {
        Content::RedirectBroken(_) => "tracking-redir-broken",
        Content::Keys(_) | Content::All => "invalidate",
    };
    if resp == Resp::V3 {
        writer.bulk(word.as_bytes());
    }
    match &message.content {
        Content::Keys(keys) => writer.raw(keys),
        Content::All => writer.null(),
        Content::RedirectBroken(id) => writer.integer(*id as i64),
    }
    Some(bytes)
}

/// An array of keys, the same in both versions.
fn encode_keys<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Resp::V2);
    writer.array(keys.len());
    keys.for_each(|key| writer.bulk(key));
    bytes
}

/// The keys that others than this client have changed; `None` if there is none.
fn encode_keys_of_others(changed: &Changed, own_id: u64) -> Option<Arc<[u8]>> {
    let others = changed.iter().filter(|(_, writer)| **writer != own_id);
    let keys: Vec<&[u8]> = others.map(|(key, _)| &**key).collect();
    (!keys.is_empty()).then(|| encode_keys(keys.into_iter()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: Content, is_redirected: bool) -> Invalidation {
        Invalidation { to: 1, is_redirected, content }
    }

    fn keys() -> Content {
        Content::Keys(encode_keys([&b"a"[..], b"b"].into_iter()).into())
    }

    #[track_caller]
    fn check(message: &Invalidation, resp: Resp, is_subscriber: bool, expected: Option<&str>) {
        let bytes = encode(message, resp, is_subscriber);
        let text = bytes.map(|bytes| String::from_utf8(bytes).unwrap().replace("\r\n", " "));
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn resp3_has_pushes_of_its_own() {
        let expected = ">2 $10 invalidate *2 $1 a $1 b ";
        check(&message(keys(), false), Resp::V3, false, Some(expected));
        check(&message(Content::All, true), Resp::V3, false, Some(">2 $10 invalidate _ "));
        let broken = message(Content::RedirectBroken(7), false);
        check(&broken, Resp::V3, false, Some(">2 $21 tracking-redir-broken :7 "));
    }

    #[test]
    fn resp2_hears_as_a_subscriber_in_place_of_another() {
        let head = "*3 $7 message $20 __redis__:invalidate";
        let expected = format!("{head} *2 $1 a $1 b ");
        check(&message(keys(), true), Resp::V2, true, Some(&expected));
        check(&message(Content::All, true), Resp::V2, true, Some(&format!("{head} $-1 ")));
        check(&message(keys(), true), Resp::V2, false, None);
        check(&message(keys(), false), Resp::V2, true, None);
    }

    #[test]
    fn a_client_that_wants_no_echo_hears_of_others_only() {
        let changed: Changed = [(Box::from(&b"a"[..]), 1), (Box::from(&b"b"[..]), 2)].into();
        let keys = encode_keys_of_others(&changed, 1).expect("b is of another");
        assert_eq!(&*keys, b"*1\r\n$1\r\nb\r\n");
        let own: Changed = [(Box::from(&b"a"[..]), 1)].into();
        assert!(encode_keys_of_others(&own, 1).is_none());
    }
}
