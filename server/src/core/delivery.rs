//! Messages to connections of this core that did not ask for them just now: published ones, and what MONITOR shows.
//!
//! Path: PUBLISH -> [`Core::publish`] at the owner of the channel -> `Message::Deliver` -> [`Core::push`].

use super::{Caller, Core};
use crate::clients::ClientFlags;
use crate::commands::{ServerCommand, ServerRun};
use crate::connection::{self};
use crate::message::Message;
use crate::peer::{Close, Peer};
use crate::pubsub::{Delivery, Topic};
use crate::registry::{Kind, Registered};
use protocol::reply::Writer;
use protocol::request::Argv;
use std::rc::Rc;

impl Core {
    /// Publishes on a channel of this core: PUBLISH or SPUBLISH.
    pub fn publish_here(
        self: &Rc<Self>,
        command: &Registered,
        argv: Argv<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) {
        let (Some(channel), Some(payload)) = (argv.get(1), argv.get(2)) else {
            unreachable!("the arity was checked")
        };
        let Kind::Server(ServerCommand { run: ServerRun::Publish(topic), .. }) = command.kind
        else {
            unreachable!("only PUBLISH and SPUBLISH publish")
        };
        self.publish_events();
        let receiver_count = self.publish(*topic, channel, payload);
        Writer::new(reply, caller.resp).integer(receiver_count as i64);
    }

    /// Publishes on a channel of this core; returns the number of receivers.
    pub fn publish(self: &Rc<Self>, topic: Topic, channel: &[u8], payload: &[u8]) -> u64 {
        let published = self.pubsub.borrow().publish(topic, channel, payload);
        let Some(published) = published else { return 0 };
        for core in published.cores {
            self.post(core, Message::Deliver(published.delivery.clone()));
        }
        published.receiver_count
    }

    pub(super) fn deliver(&self, delivery: &Delivery) {
        let mut message_count = 0;
        self.pubsub.borrow().deliver(delivery, |peer, frame| {
            message_count += 1;
            self.push(peer, frame.bytes(peer.resp.get()));
        });
        self.counters().pubsub_messages.add(message_count);
    }

    /// Sends a message to a connection of this core, behind the replies that it is making.
    pub fn push(&self, peer: &Peer, message: &[u8]) {
        if peer.close.get() == Some(Close::Now) {
            return;
        }
        let unsent_len = if peer.is_busy.get() {
            let mut held = peer.held();
            held.extend_from_slice(message);
            held.len() + self.reactor.unsent_len(peer.key)
        } else {
            self.counters().net_output_bytes.add(message.len() as u64);
            self.reactor.send_copy(peer.key, message)
        };
        connection::output::check_limit(self, peer, unsent_len);
    }

    /// Orders a connection of this core to close.
    pub fn close_peer(&self, peer: &Peer, close: Close) {
        peer.order_close(close);
        self.reactor.wake_receiver(peer.key);
    }

    pub(super) fn send_to_monitors(&self, line: &[u8]) {
        let peers = self.peers.borrow();
        let monitors =
            peers.iter().flatten().filter(|peer| peer.client.has_flag(ClientFlags::MONITOR));
        for peer in monitors {
            let unsent_len = self.reactor.send_copy(peer.key, line);
            connection::output::check_limit(self, peer, unsent_len);
        }
    }
}
