//! The shard: [`Shard::execute`] runs one call, [`Shard::effects_mut`] hands out what writes did.
//!
//! Path: `server::core` -> here -> `commands` -> `keyspace`; effects go back to the core at the end of its tick.
//! Owner: one core. Nothing here blocks, allocates by an unchecked length, or reads a clock.
//!
//! Beside `execute` the router uses: [`Shard::piece`] and [`Shard::apply`] for commands over several shards
//! (`shard/pieces.rs`), [`Shard::try_serve`], [`Shard::wait`] and [`Shard::forget_waiter`] for clients that block
//! (`shard/blocking.rs`), [`Shard::replay`], [`Shard::drain`] and [`Shard::adopt`] at load (`shard/load.rs`), and
//! [`Shard::expire_cycle`], [`Shard::evict`], [`Shard::free_cycle`], [`Shard::stats`] to keep house (`shard/upkeep.rs`).

mod blocking;
mod debug;
mod load;
mod pieces;
pub mod serving;
mod slices;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;

pub use slices::SliceStats;
pub use upkeep::{DatabaseStats, Evicted, EvictionEnd, Stats};

use crate::args::Args;
use crate::call::{Call, ClientFacts, Now, Outcome};
use crate::commands::{Body, Run, ServeFn, Steps, TimeoutFn, Transfer};
use crate::context::{LookupStats, ReadContext, ReadNotes, WriteContext};
use crate::effects::{Effects, Record, Written};
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::{Clock, Eviction, ExpiryCycle, Keyspace};
use crate::locks::{LockId, Locks};
use crate::options::Options;
use crate::rng::Rng;
use crate::waiters::Waiters;
use ahash::RandomState;
use protocol::command::BeginSearch;
use protocol::reply::Writer;
use protocol::request::Argv;
use std::cell::RefCell;

/// One shard.
#[derive(Debug)]
pub struct Shard {
    keyspace: Keyspace,
    options: Options,
    rng: RefCell<Rng>,
    effects: Effects,
    waiters: Waiters,
    stats: LookupStats,
    notes: ReadNotes,
    expiry_cycle: ExpiryCycle,
    eviction: Eviction,
    /// Whether a transaction is running: clients that wait are served behind it.
    is_in_unit: bool,
    /// Whether keys whose time has come stay where they are; they are not found all the same.
    is_expiry_held: bool,
    locks: Locks,
    /// Measures slices of housekeeping.
    clock: Clock,
    slices: SliceStats,
}

impl Shard {
    /// An empty shard of `databases` databases; `seed` starts its random numbers and keys its hash function.
    #[must_use]
    pub fn new(options: Options, databases: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut draw = || rng.next_u64();
        let hasher = RandomState::with_seeds(draw(), draw(), draw(), draw());
        Shard {
            keyspace: Keyspace::new(databases, hasher.clone()),
            options,
            rng: RefCell::new(rng),
            effects: Effects::default(),
            waiters: Waiters::new(hasher),
            stats: LookupStats::default(),
            notes: ReadNotes::default(),
            expiry_cycle: ExpiryCycle::default(),
            eviction: Eviction::default(),
            is_in_unit: false,
            is_expiry_held: false,
            locks: Locks::default(),
            clock: || 0,
            slices: SliceStats::default(),
        }
    }

    /// Runs one call and appends its reply to `reply`. Clients that its writes can serve are served.
    ///
    /// [`Outcome::Blocked`]: nothing has been appended; the caller registers the client with [`Shard::wait`].
    pub fn execute(&mut self, now: Now, call: &Call<'_>, reply: &mut Vec<u8>) -> Outcome {
        let mut writer = Writer::new(reply, call.resp);
        let start = writer.position();
        let result = self.run(now, call, &mut writer);
        let outcome = finish(result, start, &mut writer);
        self.settle(now);
        outcome
    }

    /// Whether keys whose time has come are left where they are when reads meet them, although they are not found: while
    /// nothing may change (CLIENT PAUSE).
    #[inline]
    pub fn hold_expiry(&mut self, is_held: bool) {
        self.is_expiry_held = is_held;
    }

    /// The calls that follow are one transaction: clients that wait are served behind the last of them.
    pub fn begin_unit(&mut self) {
        debug_assert!(!self.is_in_unit, "transactions are not nested");
        self.is_in_unit = true;
    }

    /// The transaction is over.
    pub fn end_unit(&mut self, now: Now) {
        self.is_in_unit = false;
        self.settle(now);
    }

    /// The transaction lets other calls run in between; [`Shard::begin_unit`] continues it.
    pub fn suspend_unit(&mut self) {
        self.is_in_unit = false;
    }

    /// What is claimed by commands over several shards.
    #[must_use]
    #[inline]
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    /// The same, to enter a request.
    pub fn locks_mut(&mut self) -> &mut Locks {
        &mut self.locks
    }

    /// Gives back what request `id` has claimed, serves clients that waited for it, and then grants it to others; returns
    /// them, in order.
    pub fn unlock(&mut self, now: Now, id: LockId) -> Vec<LockId> {
        let freed = self.locks.remove(id);
        self.settle(now);
        self.locks.grant(freed)
    }

    /// What writes did so far; the caller empties it.
    pub fn effects_mut(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// The parameters in force.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Parameters, from the next call on.
    pub fn set_options(&mut self, options: Options) {
        if options.maxmemory_policy != self.options.maxmemory_policy {
            self.eviction.forget();
        }
        self.options = options;
    }

    /// The data, to look at.
    #[must_use]
    pub fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    fn run(
        &mut self,
        now: Now,
        call: &Call<'_>,
        reply: &mut Writer<'_>,
    ) -> Result<Outcome, CommandError> {
        let args = Args::new(call.argv);
        match call.command.run {
            Run::Read(read)
            | Run::Scan(read)
            | Run::AnyShard(read)
            | Run::Gather { local: read, .. }
            | Run::Split { body: Body::Read(read), .. }
            | Run::EveryShard { body: Body::Read(read), .. }
            | Run::Steps(Steps { local: Body::Read(read), .. }) => {
                read(&self.read_context(now, call), args, reply)?;
                Ok(Outcome::Replied)
            }
            Run::Write(write)
            | Run::GatherWrite { local: write, .. }
            | Run::Split { body: Body::Write(write), .. }
            | Run::EveryShard { body: Body::Write(write), .. }
            | Run::Steps(Steps { local: Body::Write(write), .. }) => {
                let written = write(&mut self.write_context(now, call), args, reply)?;
                self.record(now, call, None, written);
                Ok(Outcome::Replied)
            }
            Run::AllOf { patience, .. } => {
                let is_patient = patience(args)?.is_some();
                let key_indices = call.command.waited_keys(call.argv);
                if self.serve_all(now, call, &key_indices, reply)? {
                    return Ok(Outcome::Replied);
                }
                if is_patient {
                    return Ok(Outcome::Blocked);
                }
                reply.null_array();
                Ok(Outcome::Replied)
            }
            Run::FirstOf { check, serve, timeout, empty } => {
                check(args)?;
                self.first_of(now, call, serve, timeout, empty, reply)
            }
            Run::Transfer(Transfer { local, timeout, empty, .. }) => {
                self.first_of(now, call, local, timeout, empty, reply)
            }
        }
    }

    /// Tries the keys that the command could wait for, in order, until one can serve.
    fn first_of(
        &mut self,
        now: Now,
        call: &Call<'_>,
        serve: ServeFn,
        timeout: Option<TimeoutFn>,
        empty: fn(&mut Writer<'_>),
        reply: &mut Writer<'_>,
    ) -> Result<Outcome, CommandError> {
        let args = Args::new(call.argv);
        if let Some(timeout) = timeout {
            timeout(args)?;
        }
        for key_index in call.command.waited_keys(call.argv) {
            let ctx = &mut self.write_context(now, call);
            if let Some(written) = serve(ctx, key_index, args, reply)? {
                self.record(now, call, Some(key_index), written);
                return Ok(Outcome::Replied);
            }
        }
        if timeout.is_some() {
            return Ok(Outcome::Blocked);
        }
        empty(reply);
        Ok(Outcome::Replied)
    }

    /// Reports what a write did: its event, on key number `key_index` (`None`: the command's first key), and its
    /// journal entry.
    fn record(&mut self, now: Now, call: &Call<'_>, key_index: Option<usize>, written: Written) {
        if let Some(event) = written.event {
            let key_index = key_index.unwrap_or_else(|| first_key_index(call));
            let key = call.argv.get(key_index).expect("a write that reports an event has a key");
            self.write_context(now, call).changed(key, event);
        }
        if !self.options.is_journaling {
            return;
        }
        match written.record {
            Record::Nothing => {}
            Record::Verbatim => self.effects.journal.append(call.db, call.argv),
            Record::Commands(commands) => {
                for command in commands {
                    self.effects.journal.append(call.db, command.as_argv());
                }
            }
        }
    }

    /// What is done behind each command: expired keys that reads met are removed, waiting clients are served.
    #[inline]
    fn settle(&mut self, now: Now) {
        if !self.notes.is_empty() {
            self.settle_notes(now);
        }
        if !self.waiters.is_empty() && !self.is_in_unit {
            self.serve_ready(now);
        }
    }

    #[cold]
    fn settle_notes(&mut self, now: Now) {
        for noted in self.notes.take_used() {
            let table = self.keyspace.database_mut(noted.db).table_mut();
            table.set_access(noted.place, noted.access);
        }
        let (mut expired, missed) = self.notes.take();
        if self.is_expiry_held {
            expired.clear();
        }
        for (db, key) in expired {
            // A read that met the key twice has noted it twice.
            let database = self.keyspace.database_mut(db);
            if database.find_any(&key).is_some_and(|entry| entry.is_expired(now)) {
                database.remove(&key);
                self.note_expired(db, &key);
            }
        }
        for (db, key) in missed {
            self.effects.notify(self.options.notify_keyspace_events, db, Event::KEY_MISS, &key);
        }
    }

    fn note_expired(&mut self, db: u16, key: &[u8]) {
        self.stats.expired.set(self.stats.expired.get() + 1);
        self.effects.expired(&self.options, db, key);
        self.waiters.touch(db, key);
    }

    fn read_context<'a>(&'a self, now: Now, call: &Call<'_>) -> ReadContext<'a> {
        ReadContext {
            now,
            db: self.keyspace.database(call.db),
            db_index: call.db,
            keyspace: &self.keyspace,
            options: &self.options,
            rng: &self.rng,
            client: call.client,
            stats: &self.stats,
            notes: &self.notes,
        }
    }

    fn write_context<'a>(&'a mut self, now: Now, call: &Call<'_>) -> WriteContext<'a> {
        self.context(now, call.db, call.client)
    }

    fn context(&mut self, now: Now, db_index: u16, client: ClientFacts) -> WriteContext<'_> {
        WriteContext {
            now,
            keyspace: &mut self.keyspace,
            db_index,
            options: &self.options,
            rng: self.rng.get_mut(),
            client,
            is_replaying: false,
            effects: &mut self.effects,
            waiters: &mut self.waiters,
            stats: &self.stats,
        }
    }
}

/// Turns an error into its reply, in place of whatever was written since `start`.
fn finish(result: Result<Outcome, CommandError>, start: usize, writer: &mut Writer<'_>) -> Outcome {
    match result {
        Ok(outcome) => outcome,
        Err(error) => {
            writer.rewind(start);
            writer.error(&error.as_bytes());
            Outcome::Failed
        }
    }
}

/// Where the key that `Written::changed` speaks of stands: where the command's first specification begins.
fn first_key_index(call: &Call<'_>) -> usize {
    match call.command.keys(call.argv).first().map(|spec| spec.begin) {
        Some(BeginSearch::Index(index)) => index,
        _ => 1,
    }
}

/// The key at `key_index`, an index that the router has from the command's key specifications.
fn key_at(argv: Argv<'_>, key_index: usize) -> &[u8] {
    argv.get(key_index).expect("the router hands out indices of keys")
}
