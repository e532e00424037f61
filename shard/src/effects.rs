//! What writes did, collected in one place: journal entries, keyspace events, served waiters, changed keys.
//!
//! Path: `shard::execute` -> here; the core takes everything out at the end of its tick. A write command returns
//! [`Written`], so that nothing can be forgotten.

use crate::event::{Event, EventClasses};
use crate::options::Options;
use crate::waiters::Served;
use crate::watch::Watches;
use protocol::request::{Argv, ArgvBuf};

/// What a write command did, for the journal and the observers of its first key.
#[derive(Debug)]
#[must_use]
pub struct Written {
    pub(crate) record: Record,
    pub(crate) event: Option<Event>,
}

/// How a write enters the journal.
#[derive(Debug)]
pub(crate) enum Record {
    /// Not at all: nothing changed.
    Nothing,
    /// As the client sent it.
    Verbatim,
    /// As these commands, which have the same effect whenever they are replayed.
    Commands(Vec<ArgvBuf>),
}

impl Written {
    /// Nothing changed.
    pub fn unchanged() -> Self {
        Written { record: Record::Nothing, event: None }
    }

    /// The first key changed; the request itself can be replayed.
    pub fn changed(event: Event) -> Self {
        Written { record: Record::Verbatim, event: Some(event) }
    }

    /// Keys changed and the command has reported each with `WriteContext::changed`; the request can be replayed.
    pub fn reported() -> Self {
        Written { record: Record::Verbatim, event: None }
    }

    /// The same change, but the command has put what is to be replayed in the journal itself, with
    /// `WriteContext::journal`.
    pub fn journaled(self) -> Self {
        Written { record: Record::Nothing, ..self }
    }

    /// The same change, but replayed as `command` (EXPIRE as PEXPIREAT, INCRBYFLOAT as SET).
    pub fn rewritten(self, command: ArgvBuf) -> Self {
        self.rewritten_all(vec![command])
    }

    /// The same change, but replayed as `commands`, in order.
    pub fn rewritten_all(self, commands: Vec<ArgvBuf>) -> Self {
        Written { record: Record::Commands(commands), ..self }
    }
}

/// One keyspace event that is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// Database of the key.
    pub db: u16,
    /// What happened.
    pub event: Event,
    /// To which key.
    pub key: Box<[u8]>,
}

/// What clients that hold copies of values must hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// A key changed, in whatever database.
    Key {
        /// The key.
        key: Box<[u8]>,
        /// The client that changed it; 0 for the server itself.
        client_id: u64,
    },
    /// A database was flushed.
    All,
}

/// Everything that writes did since the core last took it.
#[derive(Debug, Default)]
pub struct Effects {
    /// Journal entries, as RESP commands; SELECT stands where the database changes.
    pub journal: Journal,
    /// Keyspace events that somebody asked for.
    pub events: Vec<KeyEvent>,
    /// Replies for clients that were blocked.
    pub served: Vec<Served>,
    /// Changes since the last save, as INFO counts them.
    pub change_count: u64,
    /// Whether somebody holds copies of values, so that `touched` is wanted.
    pub is_tracking: bool,
    /// Keys that changed, in order.
    pub touched: Vec<Touched>,
    /// Keys that clients WATCH.
    pub(crate) watches: Watches,
}

impl Effects {
    /// Whether nothing is waiting to be taken out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.journal.as_bytes().is_empty() && self.events.is_empty() && self.served.is_empty()
    }

    /// Notes that `key` has been removed because its time had come.
    pub(crate) fn expired(&mut self, options: &Options, db: u16, key: &[u8]) {
        if options.is_journaling {
            self.journal.append_args(db, &[b"DEL", key]);
        }
        self.notify(options.notify_keyspace_events, db, Event::EXPIRED, key);
        self.touch(key, 0);
        self.watches.expired(db, key);
    }

    /// Notes that `key` has been removed because memory was full.
    pub(crate) fn evicted(&mut self, options: &Options, db: u16, key: &[u8]) {
        if options.is_journaling {
            self.journal.append_args(db, &[b"DEL", key]);
        }
        self.notify(options.notify_keyspace_events, db, Event::EVICTED, key);
        self.touch(key, 0);
        self.watches.touch(db, key);
    }

    /// Notes that client `client_id` has changed `key`, if somebody holds copies.
    pub(crate) fn touch(&mut self, key: &[u8], client_id: u64) {
        if self.is_tracking {
            self.touched.push(Touched::Key { key: key.into(), client_id });
        }
    }

    /// Notes that a database has been flushed, if somebody holds copies.
    pub(crate) fn touch_all(&mut self) {
        if self.is_tracking {
            self.touched.push(Touched::All);
        }
    }

    /// Notes `event` on `key`, if `enabled` asks for its class.
    pub(crate) fn notify(&mut self, enabled: EventClasses, db: u16, event: Event, key: &[u8]) {
        if enabled.contains(event.class) {
            self.events.push(KeyEvent { db, event, key: key.into() });
        }
    }
}

/// Journal entries of one shard, in the order they happened, as RESP commands.
///
/// Whoever takes the bytes out calls [`Journal::clear`]: the next entries begin with a SELECT of their own where the
/// database is not 0, so every piece can be replayed alone.
#[derive(Debug, Default)]
pub struct Journal {
    bytes: Vec<u8>,
    db: u16,
}

/// A place in a [`Journal`].
#[derive(Clone, Copy, Debug)]
pub struct JournalMark {
    len: usize,
    db: u16,
}

impl Journal {
    /// The entries so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the entries and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.db = 0;
    }

    /// Adds one command that ran in database `db`.
    pub fn append(&mut self, db: u16, argv: Argv<'_>) {
        self.select(db);
        self.encode(argv.len(), argv.iter());
    }

    /// Adds one command, given as its arguments, that ran in database `db`.
    pub fn append_args(&mut self, db: u16, args: &[&[u8]]) {
        self.select(db);
        self.encode(args.len(), args.iter().copied());
    }

    /// Adds all entries of `other`.
    pub fn append_all(&mut self, other: &Journal) {
        if !other.bytes.is_empty() {
            self.select(0);
            self.bytes.extend_from_slice(&other.bytes);
            self.db = other.db;
        }
    }

    /// How far the entries go, for [`Journal::rewind`].
    #[must_use]
    pub fn mark(&self) -> JournalMark {
        JournalMark { len: self.bytes.len(), db: self.db }
    }

    /// Forgets the entries behind `mark`.
    pub fn rewind(&mut self, mark: JournalMark) {
        self.bytes.truncate(mark.len);
        self.db = mark.db;
    }

    /// Takes out the entries behind `mark`, as a journal of their own. Costs a copy of them.
    #[must_use]
    pub fn split_off(&mut self, mark: JournalMark) -> Journal {
        let mut own = Journal::default();
        own.select(mark.db);
        own.bytes.extend_from_slice(&self.bytes[mark.len..]);
        own.db = self.db;
        self.rewind(mark);
        own
    }

    fn select(&mut self, db: u16) {
        if db != self.db {
            self.db = db;
            let mut digits = itoa::Buffer::new();
            self.encode(2, [b"SELECT", digits.format(db).as_bytes()].into_iter());
        }
    }

    fn encode<'a>(&mut self, arg_count: usize, args: impl Iterator<Item = &'a [u8]>) {
        self.header(b'*', arg_count);
        for arg in args {
            self.header(b'$', arg.len());
            self.bytes.extend_from_slice(arg);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn header(&mut self, kind: u8, value: usize) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }
}
