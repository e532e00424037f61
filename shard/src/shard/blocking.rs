//! Clients that wait for a key: registering them, serving them, forgetting them.
//!
//! A blocking command over several shards goes like this. The router asks the shards of the keys, in the order of the
//! keys, to serve one key each ([`Shard::try_serve`]); if none can, it registers the client with every shard
//! ([`Shard::wait`]). From then on the first shard where one of its keys becomes ready takes the client's claim and
//! serves it; the reply leaves in [`Effects::served`](crate::effects::Effects::served). The client's core then tells
//! the other shards to forget it. A timeout is the core's business: it takes the claim itself.
//!
//! A client whose element is to go to another shard cannot be served here ([`Waiter::is_remote`]): when its turn comes
//! it is told to try again, and the key is kept from those behind it until it has.
//!
//! Always holds: behind each command no waiting client can be served any more.

#[cfg(test)]
mod tests;

use super::{Shard, finish, key_at};
use crate::args::Args;
use crate::call::{Call, ClientFacts, Now, Outcome};
use crate::commands::{Command, Run, ServeFn, Transfer};
use crate::value::Kind;
use crate::waiters::{DbKey, Served, Waiter};
use protocol::command::Group;
use protocol::reply::Writer;

impl Shard {
    /// Tries to serve a `FirstOf` command from key number `key_index` alone, one that belongs to this shard.
    ///
    /// [`Outcome::Blocked`]: this key cannot, and nothing has been appended; the next one is to be asked, or the client
    /// waits, or the command's `empty` reply is due. The router has checked the timeout.
    pub fn try_serve(
        &mut self,
        now: Now,
        call: &Call<'_>,
        key_index: usize,
        reply: &mut Vec<u8>,
    ) -> Outcome {
        let mut writer = Writer::new(reply, call.resp);
        let start = writer.position();
        let (serve, _) = serve_of(call.command);
        let ctx = &mut self.write_context(now, call);
        let result = serve(ctx, key_index, Args::new(call.argv), &mut writer);
        let result = result.map(|written| match written {
            Some(written) => {
                self.record(now, call, Some(key_index), written);
                Outcome::Replied
            }
            None => Outcome::Blocked,
        });
        let outcome = finish(result, start, &mut writer);
        self.settle(now);
        outcome
    }

    /// Registers a client that waits on the keys at `key_indices`, which belong to this shard. If one of them has
    /// become ready since the client was told to wait, it is served at once, unless its claim has been taken.
    pub fn wait(&mut self, now: Now, waiter: &Waiter, key_indices: &[usize]) {
        if waiter.claim.is_taken() {
            return;
        }
        if matches!(waiter.command.run, Run::AllOf { .. }) {
            return self.wait_for_any(now, waiter, key_indices);
        }
        for &key_index in key_indices {
            let key = key_at(waiter.argv.as_argv(), key_index);
            let kind = self.keyspace.database(waiter.db).find(key, now).map(|e| e.value.kind());
            if kind.is_some_and(|kind| wants(waiter.command, kind)) {
                if waiter.claim.take() {
                    self.serve(now, key_index, waiter);
                    self.settle(now);
                }
                return;
            }
        }
        for &key_index in key_indices {
            self.waiters.push(key_index, waiter.clone());
        }
    }

    /// Forgets a client that no longer waits on the keys at `key_indices`, which belong to this shard: it has been
    /// served elsewhere, its time is over, or it has gone.
    pub fn forget_waiter(&mut self, now: Now, waiter: &Waiter, key_indices: &[usize]) {
        for &key_index in key_indices {
            let key = key_at(waiter.argv.as_argv(), key_index);
            self.waiters.remove(waiter.db, key, waiter.id);
        }
        self.settle(now);
    }

    /// Whether some client waits on a key of this shard.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Serves waiting clients from the keys that have changed. Serving may change other keys (BLMOVE); each step ends
    /// one client's waiting, so this ends.
    pub(super) fn serve_ready(&mut self, now: Now) {
        let mut postponed = Vec::new();
        while let Some(key) = self.waiters.next_ready() {
            if self.locks.is_empty() || self.may_serve(&key) {
                while self.serve_next(now, &key) {}
                self.wake_readers(now, &key);
            } else {
                postponed.push(key);
            }
        }
        self.waiters.postpone(postponed);
    }

    /// Whether clients that wait for `key` may be served although something is locked: not in the middle of what has
    /// locked it, and a client whose command touches more keys than one not while anybody claims any of them.
    fn may_serve(&self, (db, key): &DbKey) -> bool {
        let is_free = |waiter: &Waiter| {
            let argv = waiter.argv.as_argv();
            let keys = waiter.command.keys(argv);
            let mut is_free = true;
            protocol::command::key_spec::key_indices(keys, argv, |index| {
                is_free &= !self.locks.is_claimed(key_at(argv, index));
            });
            is_free || keys.len() == 1
        };
        !self.locks.is_held(key) && self.waiters.waiting(*db, key).all(is_free)
    }

    /// Serves the client that has waited longest for `key` and can use it; says whether there was one.
    fn serve_next(&mut self, now: Now, key: &DbKey) -> bool {
        let Some(entry) = self.keyspace.database(key.0).find(&key.1, now) else { return false };
        let kind = entry.value.kind();
        // A client whose claim is lost between these two steps is no longer in the queue, so the loop ends.
        while let Some((key_index, waiter)) =
            self.waiters.take(key, |waiter| wants(waiter.command, kind))
        {
            if waiter.claim.take() {
                let key_index = self.first_ready(now, key_index, &waiter);
                self.serve(now, key_index, &waiter);
                if !waiter.is_remote {
                    // It may have waited for other keys of this shard too.
                    let argv = waiter.argv.as_argv();
                    for index in waiter.command.waited_keys(argv) {
                        self.waiters.remove(waiter.db, key_at(argv, index), waiter.id);
                    }
                }
                return true;
            }
        }
        false
    }

    /// The key that a client is served from whose turn has come for the one at `ready`: as Redis 7.2 runs the command once
    /// more, that is the leftmost of its keys that has something. Keys of other shards are not looked at.
    fn first_ready(&mut self, now: Now, ready: usize, waiter: &Waiter) -> usize {
        let Run::FirstOf { .. } = waiter.command.run else { return ready };
        let argv = waiter.argv.as_argv();
        let waited = waiter.command.waited_keys(argv).into_iter().take_while(|at| *at < ready);
        for key_index in waited {
            let key = key_at(argv, key_index);
            let entry = self.keyspace.database(waiter.db).find(key, now);
            let has_something =
                entry.is_some_and(|entry| wants(waiter.command, entry.value.kind()));
            if has_something && !self.locks.is_claimed(key) {
                return key_index;
            }
        }
        ready
    }

    /// Runs the command of a client whose claim has been taken, on a key that is there and of the right type.
    fn serve(&mut self, now: Now, key_index: usize, waiter: &Waiter) {
        let argv = waiter.argv.as_argv();
        if waiter.is_remote {
            self.waiters.offer(waiter.db, key_at(argv, key_index), waiter.id);
            self.effects.served.push(Served { id: waiter.id, reply: Vec::new() });
            return;
        }
        let call = Call {
            command: waiter.command,
            argv,
            db: waiter.db,
            resp: waiter.resp,
            client: ClientFacts::default(),
        };
        let (serve, empty) = serve_of(waiter.command);
        let mut reply = Vec::new();
        let mut writer = Writer::new(&mut reply, waiter.resp);
        let ctx = &mut self.write_context(now, &call);
        let result = serve(ctx, key_index, Args::new(argv), &mut writer);
        let result = result.map(|written| {
            match written {
                Some(written) => self.record(now, &call, Some(key_index), written),
                None => empty(&mut writer),
            }
            Outcome::Replied
        });
        let _ = finish(result, 0, &mut writer);
        self.effects.served.push(Served { id: waiter.id, reply });
    }
}

/// How a command is served, and its reply if it is not.
fn serve_of(command: &Command) -> (ServeFn, fn(&mut Writer<'_>)) {
    match command.run {
        Run::FirstOf { serve, empty, .. } => (serve, empty),
        Run::Transfer(Transfer { local, empty, .. }) => (local, empty),
        _ => unreachable!("only commands that take from the first of their keys are served"),
    }
}

/// Whether a blocking command can take something from a value of this kind. Values of these kinds are never empty.
fn wants(command: &Command, kind: Kind) -> bool {
    match command.spec.group {
        Group::List => kind == Kind::List,
        Group::SortedSet => kind == Kind::SortedSet,
        _ => false,
    }
}
