//! What a connection is in the middle of: user, database, protocol version, subscriptions, reply mode.
//!
//! What others see of it too (the client registry, the [`Peer`](crate::peer::Peer)) is changed by the functions of
//! [`Connection`] here, so that the three agree.

use super::{Connection, Multi, TrackingState};
use crate::clients::ClientFlags;
use crate::pubsub::{Subscriptions, Topic};
use protocol::reply::Resp;
use std::sync::atomic::Ordering;

/// State of one connection that commands change.
#[derive(Debug)]
pub struct Session {
    /// Selected database.
    pub db: u16,
    /// Protocol version.
    pub resp: Resp,
    /// Whether it has authenticated, or needed no password when it connected.
    pub is_authenticated: bool,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-TOUCH.
    pub is_no_touch: bool,
    /// MONITOR.
    pub is_monitor: bool,
    /// CLIENT TRACKING, if it is on.
    pub tracking: Option<Box<TrackingState>>,
    /// Subscriptions; `None` where there are none, as for most connections.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// MULTI and WATCH; `None` where there is neither, as for most connections.
    pub multi: Option<Box<Multi>>,
    /// Whether EXEC is running its commands.
    pub is_in_exec: bool,
}

/// Which replies a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// All.
    On,
    /// None.
    Off,
    /// CLIENT REPLY SKIP has just run: the next command's is left out.
    SkipNext,
    /// That of the command being run is left out.
    Skip,
}

impl Session {
    /// A new connection.
    #[must_use]
    pub fn new(is_authenticated: bool) -> Self {
        Session {
            db: 0,
            resp: Resp::V2,
            is_authenticated,
            reply_mode: ReplyMode::On,
            is_no_touch: false,
            is_monitor: false,
            tracking: None,
            subscriptions: None,
            multi: None,
            is_in_exec: false,
        }
    }

    /// Whether the reply of the command being run goes to the client.
    #[must_use]
    pub fn wants_reply(&self) -> bool {
        matches!(self.reply_mode, ReplyMode::On | ReplyMode::SkipNext)
    }

    /// A command has ended: a reply left out on demand is left out once.
    pub fn command_ended(&mut self) {
        self.reply_mode = match self.reply_mode {
            ReplyMode::SkipNext => ReplyMode::Skip,
            ReplyMode::Skip => ReplyMode::On,
            mode => mode,
        };
    }

    /// The number a client is told when it begins or ends a subscription of this kind.
    #[must_use]
    pub fn told_count(&self, topic: Topic) -> usize {
        self.subscriptions.as_ref().map_or(0, |all| all.told_count(topic))
    }

    /// All subscriptions of a kind, in no order.
    #[must_use]
    pub fn names(&self, topic: Topic) -> Vec<Box<[u8]>> {
        self.subscriptions.as_ref().map_or_else(Vec::new, |all| all.names(topic))
    }

    /// Whether only a few commands are allowed: RESP2 with a subscription.
    #[must_use]
    pub fn is_in_pubsub_mode(&self) -> bool {
        self.resp == Resp::V2 && self.subscriptions.is_some()
    }
}

impl Connection {
    /// Selects a database, whose index the caller has checked.
    pub(crate) fn set_db(&mut self, db: u16) {
        self.session.db = db;
        self.peer.client.db.store(db, Ordering::Relaxed);
    }

    /// Speaks another version of the protocol from the next reply on.
    pub(crate) fn set_resp(&mut self, resp: Resp) {
        self.session.resp = resp;
        self.peer.resp.set(resp);
        let number = if resp == Resp::V2 { 2 } else { 3 };
        self.peer.client.resp.store(number, Ordering::Relaxed);
    }

    /// Notes that the client has proved who it is, or no longer has.
    pub(crate) fn set_authenticated(&mut self, is_authenticated: bool) {
        self.session.is_authenticated = is_authenticated;
        self.peer.client.set_flag(ClientFlags::AUTHENTICATED, is_authenticated);
    }

    /// Switches CLIENT NO-TOUCH.
    pub(crate) fn set_no_touch(&mut self, is_no_touch: bool) {
        self.session.is_no_touch = is_no_touch;
        self.peer.client.set_flag(ClientFlags::NO_TOUCH, is_no_touch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_left_out_on_demand_is_left_out_once() {
        let mut session = Session::new(true);
        session.reply_mode = ReplyMode::SkipNext;
        assert!(session.wants_reply(), "CLIENT REPLY SKIP itself writes nothing");
        session.command_ended();
        assert!(!session.wants_reply());
        session.command_ended();
        assert!(session.wants_reply());
    }

    #[test]
    fn replies_switched_off_stay_off() {
        let mut session = Session::new(true);
        session.reply_mode = ReplyMode::Off;
        session.command_ended();
        assert!(!session.wants_reply());
    }

    #[test]
    fn only_resp2_has_a_subscriber_mode() {
        let mut session = Session::new(true);
        assert!(!session.is_in_pubsub_mode());
        session.subscriptions.get_or_insert_default().insert(Topic::Channel, b"c");
        assert!(session.is_in_pubsub_mode());
        session.resp = Resp::V3;
        assert!(!session.is_in_pubsub_mode());
    }
}
