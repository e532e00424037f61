//! MULTI of one connection: the commands that wait for EXEC, and the keys that it watches.
//!
//! Path: `dispatch` says [`Step::Queue`](crate::dispatch::Step) -> [`Connection::queue`]; EXEC -> [`Connection::exec_at_once`]
//! if all keys lie on one shard, which then runs the queue as one unit (`core::units`), else `transaction::exec`.
//! Owner: the connection. Nothing is allocated for a client that uses none of this.

use super::scripts::finish;
use super::{Connection, Deferred, Session};
use crate::batch::Batch;
use crate::clients::ClientFlags;
use crate::core::Core;
use crate::message::{Message, Notice};
use crate::registry::Registered;
use crate::router::{self, Home};
use protocol::command::Flags;
use protocol::request::Argv;
use shard::watch::Watch;
use shard::{Now, Outcome, Shard};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// MULTI and WATCH of one connection.
#[derive(Debug, Default)]
pub struct Multi {
    /// Between MULTI and EXEC: commands are queued.
    pub(crate) is_open: bool,
    /// A command was refused while it should be queued: EXEC will run nothing.
    pub(crate) is_spoilt: bool,
    /// The flags of all queued commands.
    pub(crate) flags: Flags,
    /// The queued commands.
    pub(crate) queue: Box<Batch>,
    /// Where their keys lie, all together.
    pub(crate) home: Home,
    /// What is watched.
    pub(crate) watched: Vec<WatchedKey>,
    /// Whether any of it has changed.
    pub(crate) watch: Watch,
}

/// A watched key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedKey {
    /// Its database.
    pub db: u16,
    /// Its shard.
    pub shard: usize,
    /// The key.
    pub key: Box<[u8]>,
}

/// The watched keys of one client that lie on one shard.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Whether any has changed.
    pub watch: Watch,
    /// The keys with their databases.
    pub keys: Vec<(u16, Box<[u8]>)>,
}

impl Watched {
    /// Enters the keys at their shard.
    pub fn begin(&self, now: Now, shard: &mut Shard) {
        self.keys.iter().for_each(|(db, key)| shard.watch(now, *db, key, &self.watch));
    }

    /// Whether one of the keys has changed, or its time has come.
    #[must_use]
    pub fn is_broken(&self, now: Now, shard: &mut Shard) -> bool {
        self.watch.is_broken()
            || self.keys.iter().any(|(db, key)| shard.is_watch_broken(now, *db, key, &self.watch))
    }

    /// Whether one of the keys has changed, or its time has come; takes them out again.
    #[must_use]
    pub fn end_broken(&self, now: Now, shard: &mut Shard) -> bool {
        let is_broken = self.is_broken(now, shard);
        self.end(shard);
        is_broken
    }

    /// Takes the keys out again.
    pub fn end(&self, shard: &mut Shard) {
        self.keys.iter().for_each(|(db, key)| shard.unwatch(*db, key, &self.watch));
    }
}

impl Multi {
    /// The watched keys, by shard.
    #[must_use]
    pub fn watched_by_shard(&self) -> BTreeMap<usize, Watched> {
        let mut by_shard = BTreeMap::new();
        for watched in &self.watched {
            let none = || Watched { watch: self.watch.clone(), keys: Vec::new() };
            let all = by_shard.entry(watched.shard).or_insert_with(none);
            all.keys.push((watched.db, watched.key.clone()));
        }
        by_shard
    }

    /// Whether all watched keys lie on `shard`.
    fn watches_only(&self, shard: usize) -> bool {
        self.watched.iter().all(|watched| watched.shard == shard)
    }
}

impl Session {
    /// Whether commands are being queued for EXEC.
    #[must_use]
    pub fn is_in_multi(&self) -> bool {
        self.multi.as_ref().is_some_and(|multi| multi.is_open)
    }

    /// What `command` asks for at the gates: EXEC the same as all that it would run.
    #[must_use]
    pub fn flags_of(&self, command: &Registered) -> Flags {
        match &self.multi {
            Some(multi) if multi.is_open && command.spec.name == "exec" => {
                Flags::of(&[command.spec.flags, multi.flags])
            }
            _ => command.spec.flags,
        }
    }
}

/// The error of EXEC when `error` keeps the transaction from running.
#[must_use]
pub fn exec_abort(error: &[u8]) -> Vec<u8> {
    let reason = error.strip_prefix(b"ERR ").unwrap_or(error);
    [b"EXECABORT Transaction discarded because of: ", reason].concat()
}

/// Whether a command runs at once although others are being queued.
#[must_use]
pub fn is_never_queued(command: &Registered) -> bool {
    let names = ["exec", "discard", "multi", "watch", "quit", "reset"];
    command.container.is_none() && names.contains(&command.spec.name)
}

impl Connection {
    /// Begins to queue.
    pub(crate) fn open_multi(&mut self) {
        self.session.multi.get_or_insert_default().is_open = true;
        self.note_multi();
    }

    /// Queues a command for EXEC.
    pub(super) fn queue(&mut self, command: &Registered, argv: Argv<'_>) {
        let core = self.core.clone();
        self.peer.client.last_command.store(command.id.0, Ordering::Relaxed);
        let db = self.session.db;
        let multi = self.session.multi.as_mut().expect("it has been opened");
        // What will not run takes no memory.
        if !multi.is_spoilt && !multi.watch.is_broken() {
            multi.home = multi.home.and(router::home(&core, command, argv));
            let flags = core.promised_flags(command, command.spec.flags, argv);
            multi.flags = Flags::of(&[multi.flags, flags]);
            multi.queue.push(command.id, db, argv);
        }
        self.note_multi();
        self.reply(|writer| writer.status("QUEUED"));
        self.end_command();
    }

    /// The error of a refused command, as the client gets it: EXEC must fail if a command could not be queued.
    pub(super) fn refused_in_multi(&mut self, argv: Argv<'_>, text: &[u8]) -> Option<Vec<u8>> {
        let multi = self.session.multi.as_mut().filter(|multi| multi.is_open)?;
        multi.is_spoilt = true;
        let command = argv.get(0).and_then(|name| self.core.shared.registry.find(name));
        if command.is_none_or(|command| command.spec.name != "exec") {
            return None;
        }
        self.discard();
        Some(exec_abort(text))
    }

    /// Ends MULTI and WATCH: nothing is queued or watched any more.
    pub(crate) fn discard(&mut self) {
        if let Some(multi) = self.take_multi() {
            self.end_watches(&multi);
            self.core.recycle_batch(multi.queue);
        }
    }

    /// Takes out what EXEC runs; from now on commands run at once again.
    pub(crate) fn take_multi(&mut self) -> Option<Multi> {
        let multi = self.session.multi.take()?;
        self.note_multi();
        Some(*multi)
    }

    /// Watches no key any more.
    pub(crate) fn unwatch(&mut self) {
        let Some(multi) = &mut self.session.multi else { return };
        let ended = Multi {
            watched: std::mem::take(&mut multi.watched),
            watch: std::mem::take(&mut multi.watch),
            ..Multi::default()
        };
        if !multi.is_open {
            self.session.multi = None;
        }
        self.end_watches(&ended);
    }

    /// Tells the shards that a client watches no longer.
    pub(crate) fn end_watches(&self, multi: &Multi) {
        for (shard, watched) in multi.watched_by_shard() {
            self.core.post(shard, Message::Tell(Box::new(Notice::Unwatch(watched))));
        }
    }

    /// EXEC of commands whose keys all lie on one shard, as all watched ones do: runs them here, or sends them there, as
    /// one unit. It is deferred if it must wait for the replies before it, or concerns more than that shard; or if a script
    /// takes long, whose reply is awaited.
    pub(super) fn exec_at_once(&mut self, exec: &Registered, argv: Argv<'_>) -> Option<Deferred> {
        self.note_command(exec);
        let Some((shard, multi)) = self.take_unit() else {
            return Some(Deferred::new(exec, argv));
        };
        let core = self.core.clone();
        let watched = multi.watched_by_shard().remove(&shard);
        core.counters().commands_processed.add(multi.queue.len() as u64);
        let caller = self.caller();
        let all = 0..multi.queue.len();
        let is_free = || !core.must_unit_wait(&multi.queue, all.clone());
        let slow_after_us = core.slow_after_us();
        let mut slow = Vec::new();
        let note = |index: usize, us: u64| {
            if us >= slow_after_us {
                slow.push((index, us));
            }
        };
        let (queue, keys, replies) = (&multi.queue, watched.as_ref(), &mut self.replies);
        let mut unfinished = None;
        let has_run = if self.exchange.is_some() {
            false
        } else if shard != core.id {
            core.run_lent_unit(shard, queue, keys, caller, replies, note)
        } else if core.may_run_here() && is_free() {
            unfinished = core.run_unit(queue, all.clone(), keys, caller, replies, note);
            true
        } else {
            false
        };
        for (index, us) in slow {
            self.log_slow(multi.queue.call(index).2, us);
        }
        if !has_run {
            let exchange = self.exchange.get_or_insert_with(|| core.spare_exchange());
            exchange.send_unit(shard, &multi.queue, watched, || core.spare_batch());
            if core.has_script(&multi.queue, all) {
                // Known to touch no keys but those it is given.
                exchange.note_script(shard, false);
            }
        }
        core.recycle_batch(multi.queue);
        if let Some(unfinished) = unfinished {
            return Some(Deferred::awaiting(exec, argv, finish(&core, unfinished)));
        }
        core.account(exec, Outcome::Replied);
        self.end_command();
        None
    }

    /// Takes out what EXEC runs, with the shard of all its keys, if it can run there as one unit.
    fn take_unit(&mut self) -> Option<(usize, Multi)> {
        let multi = self.session.multi.as_ref().filter(|multi| multi.is_open)?;
        let Home::Shard(shard) = multi.home else { return None };
        let may_send = self.may_send_away() && self.may_join(shard);
        if multi.is_spoilt || !may_send || !multi.watches_only(shard) {
            return None;
        }
        Some((shard, self.take_multi().expect("it was just there")))
    }

    /// Shows in the client registry what is queued.
    fn note_multi(&self) {
        let client = &self.peer.client;
        let open = self.session.multi.as_ref().filter(|multi| multi.is_open);
        client.set_flag(ClientFlags::MULTI, open.is_some());
        let count = open.map_or(-1, |multi| multi.queue.len() as i32);
        client.queued_count.store(count, Ordering::Relaxed);
        let len = open.map_or(0, |multi| multi.queue.args_len());
        client.queued_len.store(len as u32, Ordering::Relaxed);
    }

    /// Bytes of queued commands, which count as requests that have not run yet.
    pub(super) fn queued_len(&self) -> usize {
        self.session.multi.as_ref().map_or(0, |multi| multi.queue.args_len())
    }
}

impl Core {
    /// Begins to watch keys of this core's shard.
    pub(crate) fn watch(&self, watched: &Watched) {
        watched.begin(self.now(), &mut self.shard_mut());
    }

    /// Watches keys of this core's shard no longer.
    pub(crate) fn unwatch(&self, watched: &Watched) {
        watched.end(&mut self.shard_mut());
    }
}
