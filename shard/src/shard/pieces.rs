//! A shard's part in a command whose keys lie on several shards.
//!
//! The router reads a [`Piece`] of every key ([`Shard::piece`]), computes what is to be written with the command's
//! `plan`, and hands each shard its part ([`Shard::apply`]). Keeping others out in between is the router's business.

use super::{Shard, key_at};
use crate::args::Args;
use crate::call::{Call, Now};
use crate::commands::{KeyWrite, Piece, Run};
use crate::error::CommandError;
use crate::types::rebuild;

impl Shard {
    /// Reads what the command needs of key number `key_index`, one that belongs to this shard.
    ///
    /// # Errors
    /// Those of the command: syntax, WRONGTYPE.
    pub fn piece(
        &mut self,
        now: Now,
        call: &Call<'_>,
        key_index: usize,
    ) -> Result<Piece, CommandError> {
        let (Run::Gather { piece, .. } | Run::GatherWrite { piece, .. }) = call.command.run else {
            unreachable!("only commands that gather have pieces")
        };
        let piece = piece(&self.read_context(now, call), key_index, Args::new(call.argv));
        self.settle(now);
        piece
    }

    /// Writes keys of this shard as the command's plan says, in order. The journal gets commands that have the same
    /// effect on this shard alone.
    pub fn apply(&mut self, now: Now, call: &Call<'_>, writes: Vec<KeyWrite>) {
        for write in writes {
            let key = key_at(call.argv, write.key_index);
            self.apply_one(now, call, key, write);
        }
        self.settle(now);
    }

    fn apply_one(&mut self, now: Now, call: &Call<'_>, key: &[u8], write: KeyWrite) {
        let KeyWrite { db, entry, event, .. } = write;
        let is_journaling = self.options.is_journaling;
        let mut ctx = self.context(now, db, call.client);
        let journal = |ctx: &mut crate::context::WriteContext<'_>, args: &[&[u8]]| {
            if is_journaling {
                ctx.effects.journal.append_args(db, args);
            }
        };
        let was_there = match entry {
            None => ctx.remove(key).is_some(),
            Some(entry) => {
                let mut commands = Vec::new();
                if is_journaling {
                    rebuild::commands(key, &entry, &mut |command| commands.push(command));
                }
                if ctx.insert(key, *entry).is_some() {
                    journal(&mut ctx, &[b"DEL", key]);
                }
                for command in commands {
                    ctx.effects.journal.append(db, command.as_argv());
                }
                ctx.changed(key, event);
                return;
            }
        };
        if was_there {
            journal(&mut ctx, &[b"DEL", key]);
            ctx.changed(key, event);
        }
    }
}
