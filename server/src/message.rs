//! Everything one core may say to another: a closed set, so that this page shows all that crosses cores.

use crate::batch::Batch;
use crate::connection::Watched;
use crate::pubsub::{Delivery, Topic};
use crate::registry::CommandId;
use crate::runtime::reactor::SocketKey;
pub use crate::scripting::functions::Change as FunctionChange;
use crate::tracking::TrackingFigures;
use persistence::rdb::payload::Checksum;
use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::Now;
use shard::call::ClientFacts;
use shard::commands::{Command, KeyWrite, Piece};
use shard::digest::Digest;
use shard::locks::Claims;
use shard::shard::serving::{KeyError, KeyPart};
use shard::waiters::Waiter;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// One message.
pub enum Message {
    /// Commands of one connection for this core's shard.
    Batch(Box<Batch>),
    /// Commands of one connection that have run, with their replies.
    BatchDone(Box<Batch>),
    /// Several, for which the ring had too few slots.
    Many(Vec<Message>),
    /// A connection that another core has accepted.
    Connection(Box<NewConnection>),
    /// A question; the answer goes back under `ticket`.
    Ask {
        /// Number of the question at the core that asks.
        ticket: u32,
        /// What is asked.
        question: Box<Question>,
    },
    /// The answer to question `ticket`.
    Answer {
        /// Number of the question at the core that asked.
        ticket: u32,
        /// The answer.
        answer: Box<Answer>,
    },
    /// A published message for the subscribers of this core.
    Deliver(Arc<Delivery>),
    /// A blocked client of this core has been served.
    Served {
        /// Its connection.
        token: SocketKey,
        /// Its reply.
        reply: Vec<u8>,
    },
    /// A change that every core makes to its own state; nobody waits for it.
    Tell(Box<Notice>),
}

/// A connection on its way to the core that will own it.
#[derive(Debug)]
pub struct NewConnection {
    /// The connected socket.
    pub fd: OwnedFd,
    /// Whether it came over a Unix socket.
    pub is_unix: bool,
}

/// One command with arguments of its own, for another core's shard.
#[derive(Clone, Debug)]
pub struct OwnedCall {
    /// The row of the command table.
    pub command: &'static Command,
    /// The request.
    pub argv: ArgvBuf,
    /// Database.
    pub db: u16,
    /// Protocol version of the client.
    pub resp: Resp,
    /// The client.
    pub client: ClientFacts,
}

/// Number of a transaction over several shards, unique in a server; its coordinator gives it.
pub type TransactionId = u64;

/// What a core asks another.
#[derive(Debug)]
pub enum Question {
    /// Run a command whose keys all lie there (or its part of a command over several shards).
    Run(OwnedCall),
    /// Run commands whose keys lie there, one after the other.
    RunAll(Vec<OwnedCall>),
    /// Read the pieces of these keys (indices into argv).
    Pieces(OwnedCall, Vec<usize>),
    /// Write these keys.
    Apply(OwnedCall, Vec<KeyWrite>),
    /// Try to serve from one key (an index into argv).
    TryServe(OwnedCall, usize),
    /// Look at these keys (indices into argv), of a command that all its keys serve.
    CheckKeys(OwnedCall, Vec<usize>),
    /// Serve from these keys, if all of them are right.
    ServeKeys(OwnedCall, Vec<usize>),
    /// Let a client wait for these keys (indices into argv).
    Wait(Waiter, Vec<usize>),
    /// All of these, at one moment.
    All(Vec<Question>),
    /// Lock these keys for a transaction as soon as nobody before it has them, and answer `then` at that moment; or answer
    /// [`Answer::Refused`], if a script has been running for too long.
    Lock {
        /// The transaction.
        id: TransactionId,
        /// What it needs of this shard.
        claims: Claims,
        /// What it wants to know at once.
        then: Option<Box<Question>>,
        /// Whether it may be told to ask anew: it wants to know nothing on any shard before it has all its locks.
        is_repeatable: bool,
    },
    /// Lock the whole shard, as [`Question::Lock`] does, for a script that holds it already and has touched this much of
    /// it: it lets go before those who do not need what it has touched.
    Widen {
        /// The script.
        id: TransactionId,
        /// What it has touched.
        touched: Claims,
    },
    /// Something for a transaction that holds its lock.
    Under {
        /// The transaction.
        id: TransactionId,
        /// What to do.
        then: Option<Box<Question>>,
        /// The moment at which it is done, if that is not the present: all of a script happens at one.
        now: Option<Now>,
        /// Whether it gives back the lock then.
        is_last: bool,
    },
    /// Watch these keys no longer, and say whether one of them has changed.
    EndWatch(Watched),
    /// Let a client watch these keys.
    Watch(Watched),
    /// Publish on a channel of that core, by PUBLISH or SPUBLISH, for a client with this protocol.
    Publish(CommandId, ArgvBuf, Resp),
    /// Change subscriptions of the asking core; see `pubsub`.
    Subscribe(Vec<crate::pubsub::Change>),
    /// Something about the core itself; see `commands`.
    Core(CoreQuestion),
}

/// Questions about a core rather than about keys.
#[derive(Clone, Debug)]
pub enum CoreQuestion {
    /// Take over the settings as they are now.
    Settings,
    /// Bring the counters up to date, and say what INFO cannot read from them.
    Report,
    /// Describe the value of this key, as DEBUG OBJECT does.
    DebugObject(u16, Vec<u8>),
    /// The shard's part of the data set's digest, for each database (DEBUG DIGEST).
    Digests,
    /// The digest of the value of this key (DEBUG DIGEST-VALUE).
    DigestOfValue(u16, Vec<u8>),
    /// Make every value anew from its RDB bytes (DEBUG RELOAD).
    Reload,
    /// Make every value anew from the commands a journal written now would hold (DEBUG LOADAOF).
    Rebuild,
    /// Whether RESTORE looks at checksums (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    SetPayloadChecksum(Checksum),
    /// Estimate the bytes of this key and its value; 0 if there is no such key.
    MemoryUsage(u16, Vec<u8>),
    /// How many keys are in this database.
    KeyCount(u16),
    /// Channels with subscribers that match the pattern.
    Channels(Topic, Option<Vec<u8>>),
    /// Subscribers of each of these channels.
    SubscriberCounts(Topic, Vec<Vec<u8>>),
    /// A client begins to track: report the keys that writes touch, and tell it of those with these prefixes.
    Track {
        /// The client.
        client_id: u64,
        /// Its prefixes, if it tracks by prefix.
        prefixes: Vec<Box<[u8]>>,
    },
    /// A client no longer wants to hear of keys with these prefixes.
    Untrack {
        /// The client.
        client_id: u64,
        /// Its prefixes.
        prefixes: Vec<Box<[u8]>>,
    },
    /// All shards have been flushed: tell the clients that track.
    InvalidateAll,
    /// Close the connection.
    CloseClient(SocketKey),
    /// Unblock the connection, with a timeout or an error.
    UnblockClient {
        /// The connection.
        token: SocketKey,
        /// Whether it gets the UNBLOCKED error instead of its timeout reply.
        is_error: bool,
    },
    /// Sleep, as DEBUG SLEEP does.
    Sleep(std::time::Duration),
    /// Switch the active expiry cycle, as DEBUG SET-ACTIVE-EXPIRE does.
    SetActiveExpire(bool),
    /// Reset the statistics of this core.
    ResetStatistics,
    /// Change the libraries of functions.
    ChangeFunctions(FunctionChange),
    /// Bring the append-only segment to the disk and close its epoch.
    CloseJournal,
}

/// What a core answers.
#[derive(Debug)]
pub enum Answer {
    /// An encoded reply.
    Reply(Vec<u8>),
    /// The replies of several commands.
    Replies(Vec<Vec<u8>>),
    /// The pieces asked for.
    Pieces(Result<Vec<Piece>, KeyError>),
    /// How each key was found and what it has for the client, or the first that is not right.
    KeyParts(Result<Vec<KeyPart>, KeyError>),
    /// Those of [`Question::All`].
    All(Vec<Answer>),
    /// Whether it was done, or there was such a thing.
    Done(bool),
    /// There is no lock to be had; the text of the error.
    Refused(&'static str),
    /// Somebody must go first: give back all locks and ask for them anew.
    Again,
    /// A number.
    Count(u64),
    /// One number per thing asked for.
    Counts(Vec<u64>),
    /// A text, if there is something to say.
    Text(Option<String>),
    /// Digests, one for each database with keys.
    Digests(Vec<Option<Digest>>),
    /// Names.
    Names(Vec<Vec<u8>>),
    /// What a change of the libraries has come to: the name of the one loaded, or the error's text.
    Named(Result<Option<String>, String>),
    /// How something done aside ended, with the error's text.
    Result(Result<(), String>),
    /// What INFO asks for.
    Report(Box<CoreReport>),
}

/// What a core says for INFO, as of this moment.
#[derive(Clone, Debug, Default)]
pub struct CoreReport {
    /// Figures of its shard.
    pub shard: shard::shard::Stats,
    /// Channels with subscribers that it owns.
    pub channel_count: usize,
    /// Patterns with subscribers; every core knows all.
    pub pattern_count: usize,
    /// Shard channels with subscribers that it owns.
    pub shard_channel_count: usize,
    /// CLIENT TRACKING.
    pub tracking: TrackingFigures,
    /// Bytes that its Lua interpreters hold.
    pub interpreter_bytes: usize,
}

/// A change that every core makes to its own state.
#[derive(Debug)]
pub enum Notice {
    /// A line for the clients that MONITOR.
    Monitor(Vec<u8>),
    /// A command that was run in place on that core's shard has left something to do.
    Effects,
    /// A script has been running for too long: what waits for it gets an error.
    Busy(Arc<crate::scripting::Running>),
    /// A transaction ends without doing anything more.
    Release(TransactionId),
    /// A client watches these keys no longer.
    Unwatch(Watched),
    /// A client waits for these keys (indices into argv) no longer.
    Forget(Waiter, Vec<usize>),
    /// Memory is full: that core is to evict keys.
    MemoryFull,
    /// Clients are no longer paused.
    Unpaused,
    /// The process was asked to stop.
    Signal(ops::http::StopSignal),
    /// The server is shutting down: close everything.
    Shutdown,
    /// Clients of the core may hold values that are no longer true.
    Invalidate(Vec<crate::tracking::Invalidation>),
    /// Keyspace notifications on channels that the core owns, in the order they happened.
    Publish(Vec<crate::pubsub::Notification>),
}
