//! Commands that wait until the replies before them are complete: those of the server itself, those over several
//! shards, those that block, and all commands while clients are paused or watched.

use super::{Connection, Deferred, is_never_queued};
use crate::clients::ClientFlags;
use crate::commands::ServerRun;
use crate::core::{Caller, Core};
use crate::message::{Notice, Question};
use crate::peer::{Peer, Unblocked};
use crate::reading::{self, Reading};
use crate::registry::{Kind, Registered};
use crate::router::{self, Route};
use crate::runtime::clock::Moment;
use crate::transaction::{self, Held};
use protocol::command::Flags;
use protocol::request::Argv;
use shard::args::Args;
use shard::commands::Run;
use shard::waiters::{Claim, Waiter, WaiterId};
use shard::{Call, Outcome};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

impl Connection {
    /// Runs a deferred command and appends its reply.
    pub(super) async fn run_deferred(&mut self, deferred: Deferred) {
        let core = self.core.clone();
        let Deferred { command, argv, ticket } = deferred;
        let command = &core.shared.registry.get(command).clone();
        if let Some(ticket) = ticket {
            return self.end_script(command, &argv, ticket).await;
        }
        let flags = self.session.flags_of(command);
        let flags = match core.is_paused(flags) {
            true => core.promised_flags(command, flags, argv.as_argv()),
            false => flags,
        };
        if !self.wait_while_paused(flags).await {
            return;
        }
        if self.session.is_in_multi() && !is_never_queued(command) {
            self.queue(command, argv.as_argv());
            return;
        }
        // Commands of the server may change what is shown (SELECT) or who watches (RESET); others may block.
        let is_shown_first = matches!(command.kind, Kind::Shard(_)) || command.is_script();
        if is_shown_first {
            core.feed_monitors(command, &self.session, &self.peer.client, argv.as_argv());
        }
        core.restart_stopwatch();
        let begun_at = Moment::now();
        let outcome = self.run_deferred_command(&core, command, &argv).await;
        self.peer.client.last_command.store(command.id.0, Ordering::Relaxed);
        if !command.is(Flags::BLOCKING) {
            // A command that waits has begun anew when it had waited enough; others count from their beginning.
            core.set_stopwatch(begun_at);
        }
        if !is_shown_first {
            core.feed_monitors(command, &self.session, &self.peer.client, argv.as_argv());
        }
        self.session.command_ended();
        if command.top_name() != "client" && !self.session.is_in_multi() {
            self.session.end_caching_exception();
        }
        self.core.send_invalidations();
        self.release_held();
        if outcome != Outcome::Blocked && !self.is_counted_elsewhere(command, argv.as_argv()) {
            let us = core.account(command, outcome);
            // What EXEC runs is logged by itself.
            if us >= core.slow_after_us() && !command.is(Flags::SKIP_SLOWLOG) {
                self.log_slow(argv.as_argv(), us);
            }
        }
    }

    pub(crate) async fn run_deferred_command(
        &mut self,
        core: &Rc<Core>,
        command: &Registered,
        argv: &protocol::request::ArgvBuf,
    ) -> Outcome {
        match command.kind {
            Kind::Server(server_command) => {
                let args = Args::new(argv.as_argv());
                let start = self.replies.len();
                let result = match server_command.run {
                    ServerRun::Now(run) | ServerRun::Early(run) => run(self, args),
                    ServerRun::Later(run) => run(self, args).await,
                    ServerRun::Publish(_) => self.publish(command, argv).await,
                    ServerRun::Script(kind) => {
                        return self.run_script(core, command, kind, argv).await;
                    }
                };
                match result {
                    Ok(()) => Outcome::Replied,
                    Err(error) => {
                        self.replies.truncate(start);
                        self.reply(|writer| writer.error(&error.as_bytes()));
                        core.note_error(&error.as_bytes());
                        Outcome::Failed
                    }
                }
            }
            Kind::Shard(shard_command) => {
                let (db, caller) = (self.session.db, self.caller());
                let start = self.replies.len();
                let replies = &mut self.replies;
                let mut held = None;
                let argv_view = argv.as_argv();
                let outcome = match router::route(core, command, argv_view) {
                    Route::Shard(shard)
                        if shard == core.id && !core.must_wait(shard_command, argv_view) =>
                    {
                        let Caller { resp, client } = caller;
                        let call =
                            Call { command: shard_command, argv: argv_view, db, resp, client };
                        core.execute(&call, replies)
                    }
                    _ if matches!(shard_command.run, Run::AllOf { .. }) => {
                        let held = held.as_ref();
                        let reading =
                            reading::run(core, command, db, argv_view, caller, held, replies).await;
                        match reading {
                            Reading::Done(outcome) => outcome,
                            Reading::Waits(argv) => return self.block(command, &argv, None).await,
                        }
                    }
                    _ => {
                        let held = &mut held;
                        transaction::run(core, command, db, argv_view, caller, held, replies).await
                    }
                };
                if outcome == Outcome::Failed {
                    core.note_error(&self.replies[start..]);
                }
                if outcome == Outcome::Blocked {
                    return self.block(command, argv, held).await;
                }
                self.leave_out_unwanted(start);
                outcome
            }
        }
    }

    /// Takes back the reply that begins at `start`, if the client wants none.
    pub(super) fn leave_out_unwanted(&mut self, start: usize) {
        if !self.session.wants_reply() {
            self.replies.truncate(start);
        }
    }

    /// Whether another core counts this command, because it is the one that runs it: PUBLISH to a channel of its own.
    fn is_counted_elsewhere(&self, command: &Registered, argv: Argv<'_>) -> bool {
        let Kind::Server(server_command) = command.kind else { return false };
        if command.is_script() {
            let route = router::route(&self.core, command, argv);
            return matches!(route, Route::Script(shard) if shard != self.core.id);
        }
        matches!(server_command.run, ServerRun::Publish(_))
            && router::shard_of(&self.core, argv.get(1)) != self.core.id
    }

    /// Publishes where the channel is owned, one message alone.
    async fn publish(
        &mut self,
        command: &Registered,
        argv: &protocol::request::ArgvBuf,
    ) -> Result<(), shard::CommandError> {
        let core = self.core.clone();
        let argv = argv.as_argv();
        let owner = router::shard_of(&core, argv.get(1));
        let caller = self.caller();
        let start = self.replies.len();
        if owner == core.id {
            core.publish_here(command, argv, caller, &mut self.replies);
        } else {
            let exchange = self.exchange.get_or_insert_with(|| core.spare_exchange());
            exchange.send(owner, command.id, self.session.db, argv, || core.spare_batch());
            self.finish_exchange().await;
        }
        self.leave_out_unwanted(start);
        Ok(())
    }

    /// Waits for a key of a blocking command to be able to serve, its timeout, CLIENT UNBLOCK or the client's end.
    /// Locks on the keys, if there are any, are given back when the client has been entered as waiting.
    async fn block(
        &mut self,
        command: &Registered,
        argv: &protocol::request::ArgvBuf,
        mut held: Option<Held>,
    ) -> Outcome {
        let core = self.core.clone();
        let Kind::Shard(shard_command) = command.kind else {
            unreachable!("commands of the server do not wait for keys")
        };
        let timeout_ms = shard_command.waits_ms(Args::new(argv.as_argv()));
        let timeout_ms = timeout_ms.expect("only commands that were told to wait do");
        let id = WaiterId { core: core.id as u16, token: self.peer.key.to_token() };
        let _ = self.peer.take_unblocked();
        self.note_query();
        self.flush();
        self.peer.is_busy.set(false);

        let waited_keys = shard_command.waited_keys(argv.as_argv());
        let mut by_shard: BTreeMap<usize, Vec<usize>> = Default::default();
        let mut is_remote = false;
        for (index, shard) in router::keys(&core, command, argv.as_argv()) {
            if waited_keys.contains(&index) {
                by_shard.entry(shard).or_default().push(index);
            } else {
                is_remote |= !by_shard.contains_key(&shard);
            }
        }
        let mut waiter = Waiter {
            id,
            claim: Claim::default(),
            command: shard_command,
            argv: Arc::new(argv.clone()),
            db: self.session.db,
            resp: self.session.resp,
            is_remote,
            is_back: false,
            own_keys: Arc::default(),
        };
        let deadline =
            (timeout_ms > 0).then(|| Moment::now().after(Duration::from_millis(timeout_ms)));
        let how = loop {
            let how = self.wait_for_keys(&waiter, &by_shard, held.take(), deadline).await;
            let is_called = matches!(&how, Unblocked::Served(reply) if reply.is_empty());
            let is_gone = self.socket.is_ended() || self.peer.close.get().is_some();
            let mut reply = Vec::new();
            if is_called && !is_gone {
                let (argv, caller) = (argv.as_argv(), self.caller());
                let (held, reply) = (&mut held, &mut reply);
                let _ =
                    transaction::run(&core, command, waiter.db, argv, caller, held, reply).await;
            }
            for (shard, indices) in &by_shard {
                // Nobody can serve it any more, and what it asks next comes behind this: there is nothing to wait for.
                core.tell(*shard, Notice::Forget(waiter.clone(), indices.clone()));
            }
            if !is_called || is_gone {
                break how;
            }
            if !reply.is_empty() {
                break Unblocked::Served(reply);
            }
            waiter.claim = Claim::default();
            waiter.is_back = true;
        };
        self.peer.is_busy.set(true);
        self.peer.client.set_claim(None);
        core.restart_stopwatch();

        match how {
            Unblocked::Served(reply) => {
                self.reply(|writer| writer.raw(&reply));
                if reply.first() == Some(&b'-') {
                    core.note_error(&reply);
                    return Outcome::Failed;
                }
                Outcome::Replied
            }
            Unblocked::TimedOut => {
                self.reply(|writer| writer.null_array());
                Outcome::Replied
            }
            Unblocked::Error => {
                let text = b"UNBLOCKED client unblocked via CLIENT UNBLOCK";
                self.reply(|writer| writer.error(text));
                core.note_error(text);
                Outcome::Failed
            }
        }
    }

    /// Registers a client with the shards of its keys and waits until one serves it, or it need wait no longer. Others
    /// see it as blocked from when all of these shards know of it until somebody has taken its claim.
    async fn wait_for_keys(
        &self,
        waiter: &Waiter,
        by_shard: &BTreeMap<usize, Vec<usize>>,
        held: Option<Held>,
        deadline: Option<Moment>,
    ) -> Unblocked {
        let wait = |(shard, indices): (&usize, &Vec<usize>)| {
            (*shard, Question::Wait(waiter.clone(), indices.clone()))
        };
        let questions = by_shard.iter().map(wait);
        match held {
            Some(held) => drop(held.ask_last(&self.core, questions.collect()).await),
            None => drop(transaction::ask_all(&self.core, questions, None).await),
        }
        self.peer.client.set_claim(Some(waiter.claim.clone()));
        match self.wait_unblocked(deadline).await {
            Some(how) => how,
            None if waiter.claim.take() => Unblocked::TimedOut,
            // Somebody was faster: how it ends is on its way.
            None => poll_fn(|cx| self.poll_unblocked(cx)).await,
        }
    }

    /// Waits for the end of a blocking command; `None` at its deadline, or when the client has gone.
    async fn wait_unblocked(&self, deadline: Option<Moment>) -> Option<Unblocked> {
        let unblocked = poll_fn(|cx| match self.poll_unblocked(cx) {
            Poll::Pending if self.peer.close.get().is_some() => Poll::Ready(None),
            how => how.map(Some),
        });
        let gone = async {
            self.socket.ended().await;
            None
        };
        let expired = async {
            match deadline {
                Some(deadline) => self.core.reactor.sleep_until(deadline).await,
                None => std::future::pending().await,
            }
            None
        };
        futures_lite::future::or(unblocked, futures_lite::future::or(gone, expired)).await
    }

    /// How the blocking command has ended, once somebody has ended it who took its claim.
    fn poll_unblocked(&self, cx: &Context<'_>) -> Poll<Unblocked> {
        self.core.reactor.note_activity();
        self.peer.poll_until(cx, Peer::take_unblocked)
    }

    /// Waits for the end of CLIENT PAUSE, if it concerns this command; `false` if the client has gone meanwhile.
    async fn wait_while_paused(&mut self, flags: Flags) -> bool {
        while let Some(until) = self.core.paused_until(flags) {
            self.flush();
            self.peer.is_busy.set(false);
            self.peer.client.set_flag(ClientFlags::PAUSED, true);
            let unpaused = poll_fn(|cx| {
                self.core.reactor.note_activity();
                self.peer.poll_until(cx, |peer| {
                    let is_over = peer.close.get().is_some() || !self.core.is_paused(flags);
                    is_over.then_some(())
                })
            });
            let gone = self.socket.ended();
            let over = self.core.reactor.sleep_until(until);
            futures_lite::future::or(unpaused, futures_lite::future::or(gone, over)).await;
            self.peer.client.set_flag(ClientFlags::PAUSED, false);
            self.peer.is_busy.set(true);
            if self.socket.is_ended() || self.peer.close.get().is_some() {
                return false;
            }
        }
        true
    }
}
