//! Filling a shard at start: replaying the journal, and moving entries when the number of shards has changed.

use super::Shard;
use crate::args::Args;
use crate::call::{Call, ClientFacts, Now};
use crate::commands::{self, Body, Run, Steps};
use crate::context::WriteContext;
use crate::error::CommandError;
use crate::keyspace::entry::Entry;
use protocol::command::key_spec;
use protocol::reply::{Resp, Writer};
use protocol::request::Argv;

impl Shard {
    /// Runs one command of the journal in database `db`, all of whose keys belong to this shard. Nothing expires,
    /// nobody is told, nothing is journaled. The connection's own commands (SELECT, MULTI) are the caller's business.
    ///
    /// # Errors
    /// The error a client would have got. A command that is unknown or writes nothing has no place in a journal.
    pub fn replay(&mut self, now: Now, db: u16, argv: Argv<'_>) -> Result<(), CommandError> {
        let name = argv.get(0).unwrap_or_default();
        let command = commands::find(name)
            .ok_or(CommandError::text("ERR unknown command in the append-only file"))?;
        if !command.spec.accepts(argv.len()) {
            return Err(CommandError::WrongArity(command.spec.name.into()));
        }
        let client = ClientFacts { is_no_touch: true, ..ClientFacts::default() };
        let call = Call { command, argv, db, resp: Resp::V2, client };
        let args = Args::new(argv);
        let mut reply = Vec::new();
        let mut writer = Writer::new(&mut reply, Resp::V2);
        let mut ctx = WriteContext { is_replaying: true, ..self.write_context(now, &call) };
        match command.run {
            Run::Write(write)
            | Run::GatherWrite { local: write, .. }
            | Run::Split { body: Body::Write(write), .. }
            | Run::EveryShard { body: Body::Write(write), .. }
            | Run::Steps(Steps { local: Body::Write(write), .. }) => {
                let _ = write(&mut ctx, args, &mut writer)?;
                Ok(())
            }
            Run::FirstOf { serve, .. } => {
                let mut key_indices = Vec::new();
                key_spec::key_indices(command.keys(argv), argv, |index| key_indices.push(index));
                for key_index in key_indices {
                    if serve(&mut ctx, key_index, args, &mut writer)?.is_some() {
                        break;
                    }
                }
                Ok(())
            }
            _ => Err(CommandError::text("ERR command in the append-only file writes nothing")),
        }
    }

    /// Takes all entries out and hands each with its database and key to `taken`: the number of shards has changed and
    /// they belong elsewhere. Waiting clients, counters and the journal stay as they are.
    pub fn drain(&mut self, mut taken: impl FnMut(u16, Box<[u8]>, Entry)) {
        for (db, key, entry) in self.keyspace.drain() {
            taken(db, key, entry);
        }
    }

    /// Puts an entry in whose key belongs to this shard, in place of one that may be there. Nobody is told.
    pub fn adopt(&mut self, db: u16, key: &[u8], entry: Entry) {
        self.keyspace.database_mut(db).insert(key, entry);
    }
}
