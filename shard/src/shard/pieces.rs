//! A shard's part in a command whose keys lie on several shards.
//!
//! The router reads a [`Piece`] of every key ([`Shard::piece`]), computes what is to be written with the command's
//! `plan`, and hands each shard its part ([`Shard::apply`]). Keeping others out in between is the router's business.

use super::{Shard, key_at};
use crate::args::Args;
use crate::call::{Call, Now};
use crate::commands::{KeyWrite, Piece, Run, Steps, Transfer};
use crate::context::WriteContext;
use crate::error::CommandError;
use crate::keyspace::entry::Entry;
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
        let (Run::Gather { piece, .. }
        | Run::GatherWrite { piece, .. }
        | Run::Steps(Steps { piece, .. })
        | Run::Transfer(Transfer { piece, .. })) = call.command.run
        else {
            unreachable!("only commands that gather have pieces")
        };
        let piece = piece(&self.read_context(now, call), key_index, Args::new(call.argv));
        self.settle(now);
        piece
    }

    /// Writes keys of this shard as the command's plan says, in order, and serves clients that wait for them. The
    /// journal gets commands that have the same effect on this shard alone.
    pub fn apply(&mut self, now: Now, call: &Call<'_>, writes: Vec<KeyWrite>) {
        for write in writes {
            let key = key_at(call.argv, write.key_index);
            let mut ctx = self.context(now, write.db, call.client);
            let is_change = match write.entry {
                Some(entry) => {
                    put(&mut ctx, key, *entry);
                    true
                }
                None => take(&mut ctx, key),
            };
            if is_change {
                ctx.changed(key, write.event);
            }
        }
        self.settle(now);
    }
}

/// Stores `entry` in place of whatever is there.
fn put(ctx: &mut WriteContext<'_>, key: &[u8], entry: Entry) {
    take(ctx, key);
    if ctx.options.is_journaling {
        let (db, journal) = (ctx.db_index, &mut ctx.effects.journal);
        let (value, at_ms) = (entry.value.view(), entry.expire_at_ms());
        rebuild::commands(key, value, at_ms, &mut |command| journal.append(db, command.as_argv()));
    }
    ctx.insert(key, entry);
}

/// Removes `key`; says whether it was there.
fn take(ctx: &mut WriteContext<'_>, key: &[u8]) -> bool {
    let was_there = ctx.remove(key);
    if was_there && ctx.options.is_journaling {
        ctx.effects.journal.append_args(ctx.db_index, &[b"DEL", key]);
    }
    was_there
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Rig, argv_of};
    use super::*;
    use crate::commands;
    use crate::event::{Event, EventClasses};
    use protocol::reply::{Resp, Writer};

    /// Runs a `GatherWrite` command over two shards, the first key on the first, the second on the second.
    fn over_two_shards(rigs: &mut [Rig; 2], line: &str) -> String {
        let argv = argv_of(line);
        let command = commands::find(argv.as_argv().get(0).unwrap()).unwrap();
        let Run::GatherWrite { plan, .. } = command.run else { panic!("{line}") };
        let mut pieces = Vec::new();
        for (rig, key_index) in rigs.iter_mut().zip([1, 2]) {
            let call = rig.call(command, argv.as_argv());
            pieces.push(rig.shard.piece(rig.now, &call, key_index));
        }
        let mut reply = Vec::new();
        let mut writer = Writer::new(&mut reply, Resp::V2);
        let result = pieces.into_iter().collect::<Result<Vec<_>, _>>().and_then(|pieces| {
            let options = crate::Options::default();
            plan(&options, rigs[0].now, 0, Args::new(argv.as_argv()), pieces, &mut writer)
        });
        match result {
            Ok(writes) => {
                for (rig, key_index) in rigs.iter_mut().zip([1, 2]) {
                    let own = writes.iter().filter(|write| write.key_index == key_index).cloned();
                    let call = rig.call(command, argv.as_argv());
                    rig.shard.apply(rig.now, &call, own.collect());
                }
            }
            Err(error) => writer.error(&error.as_bytes()),
        }
        String::from_utf8(reply).unwrap()
    }

    fn two_shards() -> [Rig; 2] {
        [Rig::new(), Rig::new()]
    }

    #[test]
    fn a_value_moves_to_another_shard_with_its_expiry() {
        let mut rigs = two_shards();
        rigs[0].run("HSET a f v");
        rigs[0].run("PEXPIRE a 1000");
        rigs[1].run("SET b old");
        rigs[1].take_journal();
        assert_eq!(over_two_shards(&mut rigs, "RENAME a b"), "+OK\r\n");
        assert_eq!(rigs[0].run("EXISTS a"), ":0\r\n");
        assert_eq!(rigs[1].run("HGET b f"), "$1\r\nv\r\n");
        assert_eq!(rigs[1].run("PTTL b"), ":1000\r\n");
        assert!(rigs[0].take_journal().ends_with(&["DEL a".to_owned()]));
        assert_eq!(rigs[1].take_journal(), ["DEL b", "HSET b f v", "PEXPIREAT b 1700000001000"]);
        let events = |rig: &mut Rig| std::mem::take(&mut rig.shard.effects_mut().events);
        assert_eq!(events(&mut rigs[0]).last().unwrap().event, Event::RENAME_FROM);
        assert_eq!(events(&mut rigs[1]).last().unwrap().event, Event::RENAME_TO);
    }

    #[test]
    fn plans_answer_as_the_command_on_one_shard() {
        let mut rigs = two_shards();
        assert_eq!(over_two_shards(&mut rigs, "RENAME a b"), "-ERR no such key\r\n");
        assert_eq!(over_two_shards(&mut rigs, "COPY a b"), ":0\r\n");
        rigs[0].run("SET a 1");
        assert_eq!(
            over_two_shards(&mut rigs, "COPY a b DB 99"),
            "-ERR DB index is out of range\r\n"
        );
        assert_eq!(over_two_shards(&mut rigs, "COPY a b"), ":1\r\n");
        assert_eq!(over_two_shards(&mut rigs, "COPY a b"), ":0\r\n");
        assert_eq!(over_two_shards(&mut rigs, "RENAMENX a b"), ":0\r\n");
        assert_eq!(over_two_shards(&mut rigs, "COPY a b DB 3"), ":1\r\n");
        rigs[0].run("SET a 2");
        assert_eq!(over_two_shards(&mut rigs, "COPY a b REPLACE"), ":1\r\n");
        assert_eq!(rigs[1].run("GET b"), "$1\r\n2\r\n");
        rigs[1].run("DEL b");
        assert_eq!(over_two_shards(&mut rigs, "RENAMENX a b"), ":1\r\n");
        assert_eq!(rigs[1].run("GET b"), "$1\r\n2\r\n");
        rigs[1].db = 3;
        assert_eq!(rigs[1].run("GET b"), "$1\r\n1\r\n");
    }

    #[test]
    fn nothing_is_journaled_unless_somebody_wants_it() {
        let mut rigs = two_shards();
        let options =
            crate::Options { notify_keyspace_events: EventClasses::NONE, ..Default::default() };
        rigs.iter_mut().for_each(|rig| rig.shard.set_options(options.clone()));
        rigs[0].run("SET a 1");
        assert_eq!(over_two_shards(&mut rigs, "RENAME a b"), "+OK\r\n");
        assert!(rigs.iter_mut().all(|rig| rig.take_journal().is_empty()));
    }
}
