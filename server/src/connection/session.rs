//! What a connection is in the middle of: user, database, protocol version, subscriptions, reply mode.

use crate::pubsub::Topic;
use ahash::AHashSet;
use protocol::reply::Resp;

/// State of one connection that commands change.
#[derive(Debug)]
pub struct Session {
    /// Selected database.
    pub db: u16,
    /// Protocol version.
    pub resp: Resp,
    /// Whether it has authenticated, or need not.
    pub is_authenticated: bool,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-TOUCH.
    pub is_no_touch: bool,
    /// MONITOR.
    pub is_monitor: bool,
    /// Subscriptions; most connections have none.
    pub subscriptions: Option<Box<AHashSet<(Topic, Box<[u8]>)>>>,
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
            subscriptions: None,
        }
    }

    /// Whether the reply of the command being run goes to the client.
    #[must_use]
    pub fn wants_reply(&self) -> bool {
        matches!(self.reply_mode, ReplyMode::On | ReplyMode::SkipNext)
    }

    /// How many subscriptions of `topic` there are.
    #[must_use]
    pub fn subscription_count(&self, topic: Topic) -> usize {
        let all = self.subscriptions.iter().flat_map(|all| all.iter());
        all.filter(|(known, _)| *known == topic).count()
    }

    /// Whether only a few commands are allowed: RESP2 with a subscription.
    #[must_use]
    pub fn is_in_pubsub_mode(&self) -> bool {
        self.resp == Resp::V2 && self.subscriptions.as_ref().is_some_and(|all| !all.is_empty())
    }
}
