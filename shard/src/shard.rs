//! The shard: [`Shard::execute`] runs one call, [`Shard::take_effects`] hands out what writes did.
//!
//! Path: `server::core` -> here -> `commands` -> `keyspace`; effects go back to the core at the end of its tick.
//! Owner: one core. Nothing here blocks, allocates by an unchecked length, or reads a clock.

use crate::args::Args;
use crate::call::{Call, Now, Outcome};
use crate::commands::{Body, Run};
use crate::context::{LookupStats, ReadContext, WriteContext};
use crate::effects::{Effects, Record, Written};
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::options::Options;
use crate::rng::Rng;
use crate::waiters::Waiters;
use protocol::command::key_spec;
use protocol::reply::Writer;
use smallvec::SmallVec;

/// One shard.
#[derive(Debug)]
pub struct Shard {
    keyspace: Keyspace,
    options: Options,
    rng: Rng,
    effects: Effects,
    waiters: Waiters,
    stats: LookupStats,
}

impl Shard {
    /// An empty shard of `databases` databases; `seed` starts its random numbers.
    #[must_use]
    pub fn new(options: Options, databases: usize, seed: u64) -> Self {
        Shard {
            keyspace: Keyspace::new(databases),
            options,
            rng: Rng::new(seed),
            effects: Effects::default(),
            waiters: Waiters::default(),
            stats: LookupStats::default(),
        }
    }

    /// Runs one call and appends its reply to `reply`.
    pub fn execute(&mut self, now: Now, call: &Call<'_>, reply: &mut Vec<u8>) -> Outcome {
        let start = reply.len();
        let mut writer = Writer::new(reply, call.resp);
        match self.run(now, call, &mut writer) {
            Ok(outcome) => outcome,
            Err(error) => {
                writer.rewind(start);
                writer.error(&error.as_bytes());
                Outcome::Failed
            }
        }
    }

    /// What writes did so far; the caller empties it.
    pub fn effects_mut(&mut self) -> &mut Effects {
        &mut self.effects
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
            | Run::EveryShard { body: Body::Read(read), .. } => {
                read(&self.read_context(now, call), args, reply)?;
                Ok(Outcome::Replied)
            }
            Run::Write(write)
            | Run::GatherWrite { local: write, .. }
            | Run::Split { body: Body::Write(write), .. }
            | Run::EveryShard { body: Body::Write(write), .. } => {
                let written = write(&mut self.write_context(now, call), args, reply)?;
                self.record(now, call, written);
                Ok(Outcome::Replied)
            }
            Run::FirstOf { serve, timeout, empty } => {
                if let Some(timeout) = timeout {
                    timeout(args)?;
                }
                let mut key_indices = SmallVec::<[usize; 8]>::new();
                key_spec::key_indices(call.command.spec.keys, call.argv, |i| key_indices.push(i));
                for key_index in key_indices {
                    let ctx = &mut self.write_context(now, call);
                    if let Some(written) = serve(ctx, key_index, args, reply)? {
                        self.record(now, call, written);
                        return Ok(Outcome::Replied);
                    }
                }
                if timeout.is_some() {
                    return Ok(Outcome::Blocked);
                }
                empty(reply);
                Ok(Outcome::Replied)
            }
        }
    }

    fn record(&mut self, now: Now, call: &Call<'_>, written: Written) {
        if let Some(event) = written.event {
            let key = call.argv.get(1).expect("a write that reports an event has a key");
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

    fn read_context<'a>(&'a self, now: Now, call: &Call<'_>) -> ReadContext<'a> {
        ReadContext {
            now,
            db: self.keyspace.database(call.db),
            db_index: call.db,
            keyspace: &self.keyspace,
            options: &self.options,
            client: call.client,
            stats: &self.stats,
        }
    }

    fn write_context<'a>(&'a mut self, now: Now, call: &Call<'_>) -> WriteContext<'a> {
        WriteContext {
            now,
            keyspace: &mut self.keyspace,
            db_index: call.db,
            options: &self.options,
            rng: &mut self.rng,
            client: call.client,
            effects: &mut self.effects,
            waiters: &mut self.waiters,
        }
    }
}
