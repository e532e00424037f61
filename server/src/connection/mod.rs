//! One connection: a task that reads, parses, runs or sends away, and replies in order.
//!
//! Path: `runtime::socket` -> [`Connection::serve`] -> `dispatch` -> here again -> `runtime::reactor`.
//! Commands of this core's shard run at once; those of other shards are collected in an [`Exchange`], one batch per
//! shard, and everything that is not a plain command of one shard is deferred until the replies before it are
//! complete. Invariant: replies leave in the order of the requests, whatever core wrote them.

mod ahead;
mod deferred;
mod exchange;
mod multi;
mod open;
pub mod output;
mod scripts;
pub mod session;
mod split;
pub mod tracking;
pub(crate) mod upkeep;

pub(crate) use ahead::{Ahead, ParseEnd};
pub use exchange::Exchange;
pub use multi::{Multi, Watched, WatchedKey, exec_abort, is_never_queued};
pub use session::{ReplyMode, Session};
pub(crate) use split::Scratch;
pub use tracking::{TrackingMode, TrackingState};

use crate::commands::{NowFn, ServerRun};
use crate::core::{Caller, Core};
use crate::dispatch::{self, Step};
use crate::peer::{Close, Peer};
use crate::redact::redacted;
use crate::registry::{CommandId, Kind, Registered};
use crate::runtime::socket::{Chunk, Socket};
use protocol::command::Group;
use protocol::limits::Limits;
use protocol::reply::Writer;
use protocol::request::{Argv, ArgvBuf, Parser};
use shard::Outcome;
use shard::args::Args;
use shard::call::ClientFacts;
use shard::keyspace::WARM_MAX;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Bytes of requests sent away before their replies are awaited.
const AWAY_SIZE_MAX: usize = 1 << 20;
/// Bytes of replies collected before they are handed to the socket.
const REPLY_SIZE_MAX: usize = 256 << 10;

/// One connection. Its memory while idle is what `docs/threading.md` counts: keep it small.
pub struct Connection {
    pub(crate) core: Rc<Core>,
    pub(crate) socket: Socket,
    pub(crate) peer: Rc<Peer>,
    pub(crate) session: Session,
    /// The parser, while part of a request has been received.
    parser: Option<Box<Parser>>,
    /// Bytes received that are not a whole request yet, or wait for a deferred command to end.
    query: Vec<u8>,
    /// Replies, in order, that no other core has to be waited for.
    pub(crate) replies: Vec<u8>,
    /// Commands at other cores; `None` while there is none.
    exchange: Option<Box<Exchange>>,
}

/// A command that runs once the replies before it are complete.
#[derive(Debug)]
pub(crate) struct Deferred {
    pub(crate) command: CommandId,
    pub(crate) argv: ArgvBuf,
    /// For a script, or EXEC with one, that has begun and not ended: where its reply will be.
    pub(crate) ticket: Option<u32>,
}

impl Deferred {
    fn new(command: &Registered, argv: Argv<'_>) -> Self {
        Deferred { command: command.id, argv: ArgvBuf::from_argv(argv), ticket: None }
    }

    /// For one that has begun: its reply will be under the number `ticket`.
    fn awaiting(command: &Registered, argv: Argv<'_>, ticket: u32) -> Self {
        Deferred { ticket: Some(ticket), ..Deferred::new(command, argv) }
    }
}

/// What [`Connection::process`] did with its input.
struct Processed {
    consumed: usize,
    deferred: Option<Deferred>,
    /// Whether it stopped only because enough was collected.
    has_more: bool,
}

impl Connection {
    /// The connection's life.
    ///
    /// What is rare and large is boxed, and so is the connection itself: the size of this future is most of what an
    /// idle connection costs.
    pub async fn serve(mut self: Box<Self>) {
        while let Some(chunk) = self.next_chunk().await {
            self.peer.is_busy.set(true);
            match self.receive(chunk) {
                Processed { deferred: None, has_more: false, .. } => self.finish_exchange().await,
                processed => Box::pin(self.go_on(processed)).await,
            }
            self.flush();
            self.peer.is_busy.set(false);
            self.note_query();
            self.check_query_limit();
            if self.peer.close.get().is_some() {
                break;
            }
        }
        Box::pin(self.close()).await;
    }

    /// The next bytes; `None` once the peer sends no more or the connection is to be closed.
    async fn next_chunk(&mut self) -> Option<Chunk> {
        poll_fn(|cx| {
            if self.peer.close.get().is_some() {
                return Poll::Ready(None);
            }
            self.socket.poll_recv(cx)
        })
        .await
    }

    /// Runs the requests in `chunk`, or behind what was received before; keeps what is not a whole request yet.
    fn receive(&mut self, chunk: Chunk) -> Processed {
        self.core.counters().reads.add(1);
        self.core.counters().net_input_bytes.add(chunk.len() as u64);
        self.note_active(chunk.len());
        if !self.query.is_empty() {
            self.query.extend_from_slice(&chunk);
            drop(chunk);
            return self.process_query();
        }
        let processed = self.process(&chunk);
        if processed.consumed < chunk.len() {
            self.query = self.core.reactor.spare_buffer();
            self.query.extend_from_slice(&chunk[processed.consumed..]);
        }
        processed
    }

    /// Runs the requests at the start of the query buffer, and keeps what is behind them.
    fn process_query(&mut self) -> Processed {
        let mut query = std::mem::take(&mut self.query);
        let processed = self.process(&query);
        if processed.consumed < query.len() {
            query.drain(..processed.consumed);
            self.query = query;
        } else {
            self.core.reactor.recycle(query);
        }
        processed
    }

    /// Completes what was begun, and runs what stands behind it in the query buffer.
    async fn go_on(&mut self, mut processed: Processed) {
        loop {
            self.finish_exchange().await;
            let is_end = processed.deferred.is_none() && !processed.has_more;
            if let Some(deferred) = processed.deferred {
                Box::pin(self.run_deferred(deferred)).await;
            }
            if is_end || self.query.is_empty() || self.peer.close.get().is_some() {
                return;
            }
            processed = self.process_query();
        }
    }

    /// Runs whole requests at the start of `input` until one must be deferred, enough is collected, or none is left.
    fn process(&mut self, input: &[u8]) -> Processed {
        let core = self.core.clone();
        if self.replies.capacity() == 0 {
            self.replies = core.reactor.spare_buffer();
        }
        let mut ahead = core.spare_ahead();
        let mut parser = self.parser.take().map_or_else(Parser::new, |parser| *parser);
        let mut consumed = 0;
        let mut deferred = None;
        let mut has_more = false;
        'input: while consumed < input.len() && self.peer.close.get().is_none() {
            if self.replies.len() >= REPLY_SIZE_MAX && self.exchange.is_none() {
                self.flush();
            }
            if self.exchange.as_ref().is_some_and(|exchange| exchange.args_len() > AWAY_SIZE_MAX) {
                has_more = true;
                break;
            }
            let rest = &input[consumed..];
            let (limits, max) = (self.limits(), self.ahead_max());
            let end = ahead.parse(&mut parser, rest, &limits, max);
            // Behind a command that is away nothing runs now: all goes into batches, whose cores touch their keys.
            if self.exchange.is_none() {
                core.warm(self.session.db, ahead.likely(rest));
            }
            for index in 0..ahead.len() {
                let (argv, behind) = ahead.request(rest, index);
                deferred = self.run(argv);
                if deferred.is_some() || self.peer.close.get().is_some() {
                    // What was parsed beyond this is parsed again, by the rules that hold then; a request that is not
                    // whole yet from its beginning, since others may stand before it.
                    parser = Parser::new();
                    consumed += behind;
                    break 'input;
                }
            }
            consumed += ahead.parsed_len();
            match end {
                ParseEnd::More => {}
                ParseEnd::Quoted { len, argv } => {
                    consumed += len;
                    deferred = self.run(argv.as_argv());
                    if deferred.is_some() {
                        break;
                    }
                }
                ParseEnd::Incomplete => break,
                ParseEnd::Malformed(error) => {
                    let text = error.text();
                    self.reply(|writer| writer.error(&text));
                    core.note_error(&text);
                    self.peer.order_close(Close::AfterReplies);
                    consumed = input.len();
                }
            }
        }
        core.recycle_ahead(ahead);
        self.parser = parser.is_inside_request().then(|| Box::new(parser));
        Processed { consumed, deferred, has_more }
    }

    /// The limits that hold for the next request.
    fn limits(&self) -> Limits {
        Limits {
            bulk_len_max: self.core.settings_ref().proto_max_bulk_len_bytes as usize,
            is_unauthenticated: self.core.needs_login(&self.session),
        }
    }

    /// How many requests may be parsed before the first of them runs: one, if it may change the rules for the next.
    fn ahead_max(&self) -> usize {
        if self.core.needs_login(&self.session) { 1 } else { WARM_MAX }
    }

    /// Runs one request, sends it away, or says that it must be deferred.
    fn run(&mut self, argv: Argv<'_>) -> Option<Deferred> {
        let core = self.core.clone();
        match dispatch::dispatch(&core, &self.session, argv) {
            Step::Refuse(text) => {
                let text = match self.refused_in_multi(argv, &text) {
                    Some(text) => text.into(),
                    None => text,
                };
                self.reply(|writer| writer.error(&text));
                core.note_error(&text);
                self.end_command();
                None
            }
            Step::Here(command)
                if self.exchange.is_none()
                    && core.may_run_here()
                    && !locked(&core, command, argv) =>
            {
                self.note_command(command);
                let start = self.reply_position();
                let (db, caller) = (self.session.db, self.caller());
                let (outcome, us) = core.run_here(command, db, argv, caller, &mut self.replies);
                debug_assert_ne!(outcome, Outcome::Blocked, "blocking commands are deferred");
                self.reply_written(start);
                if us >= core.slow_after_us() {
                    self.log_slow(argv, us);
                }
                self.end_command();
                None
            }
            Step::PublishHere(command) if self.exchange.is_none() && core.may_run_here() => {
                self.note_command(command);
                let start = self.reply_position();
                let caller = self.caller();
                core.publish_here(command, argv, caller, &mut self.replies);
                core.account(command, Outcome::Replied);
                self.reply_written(start);
                self.end_command();
                None
            }
            Step::ScriptHere(command, kind)
                if self.exchange.is_none()
                    && core.may_run_here()
                    && core.shard().locks().is_empty() =>
            {
                self.run_script_here(command, kind, argv)
            }
            Step::Queue(command) => {
                self.queue(command, argv);
                None
            }
            Step::Exec(command) => self.exec_at_once(command, argv),
            Step::Early(command, run) => {
                self.note_command(command);
                let outcome = self.run_now(run, argv);
                core.account(command, outcome);
                self.end_command();
                None
            }
            Step::Now(command, run) if self.exchange.is_none() => {
                self.note_command(command);
                let outcome = self.run_now(run, argv);
                let us = core.account(command, outcome);
                if us >= core.slow_after_us() {
                    self.log_slow(argv, us);
                }
                self.end_command();
                None
            }
            // Behind a command that is away or has seen more, one of this core's waits its turn: it would run first.
            Step::Here(command) | Step::PublishHere(command) | Step::ScriptHere(command, _)
                if self.may_join(core.id) =>
            {
                self.note_command(command);
                self.send_away(core.id, command, argv);
                None
            }
            Step::Away(command, shard) if self.may_send_away() && self.may_join(shard) => {
                self.note_command(command);
                if self.run_lent(shard, command, argv) {
                    return None;
                }
                self.send_away(shard, command, argv);
                None
            }
            Step::Split(command) if self.may_send_away() && self.may_split() => {
                self.note_command(command);
                self.run_split(command, argv);
                None
            }
            // A subscription is asked for at other cores: it is shown when it has come about, or ended.
            Step::Defer(command) if is_subscription(command) => {
                core.counters().commands_processed.add(1);
                Some(Deferred::new(command, argv))
            }
            Step::Here(command)
            | Step::PublishHere(command)
            | Step::ScriptHere(command, _)
            | Step::Away(command, _)
            | Step::Split(command)
            | Step::Now(command, _)
            | Step::Defer(command) => {
                self.note_command(command);
                Some(Deferred::new(command, argv))
            }
        }
    }

    /// Runs a command on the shard of a core that sleeps; `false` if it must be sent there, as it must behind one that
    /// has been sent away.
    fn run_lent(&mut self, shard: usize, command: &Registered, argv: Argv<'_>) -> bool {
        if self.exchange.is_some() {
            return false;
        }
        let core = self.core.clone();
        let (db, caller) = (self.session.db, self.caller());
        let start = self.replies.len();
        let Some((_, us)) = core.run_lent(shard, command, db, argv, caller, &mut self.replies)
        else {
            return false;
        };
        self.reply_written(start);
        if us >= core.slow_after_us() {
            self.log_slow(argv, us);
        }
        self.end_command();
        true
    }

    /// Whether commands may join a batch: what holds for one command alone, CLIENT REPLY skip or CLIENT CACHING, does
    /// not hold for the batch.
    fn may_send_away(&self) -> bool {
        self.session.reply_mode == ReplyMode::On && !self.session.is_caching_exception()
    }

    /// What is said for one command ends with it (CLIENT REPLY skip, CLIENT CACHING), and what the client is told
    /// because of it comes right behind its reply, if that is here.
    fn end_command(&mut self) {
        self.session.command_ended();
        if self.session.tracking.is_some() {
            if !self.session.is_in_multi() {
                self.session.end_caching_exception();
            }
            self.core.send_invalidations();
        }
        if self.exchange.is_none() {
            self.release_held();
        }
    }

    /// Runs a command about this connection alone; its error takes the place of what it has written.
    fn run_now(&mut self, run: NowFn, argv: Argv<'_>) -> Outcome {
        let start = self.replies.len();
        match run(self, Args::new(argv)) {
            Ok(()) => Outcome::Replied,
            Err(error) => {
                self.replies.truncate(start);
                self.reply(|writer| writer.error(&error.as_bytes()));
                self.core.note_error(&error.as_bytes());
                Outcome::Failed
            }
        }
    }

    /// Whether a command with parts on several shards may join those that are being sent.
    fn may_split(&self) -> bool {
        self.exchange.as_ref().is_none_or(|exchange| exchange.may_split())
    }

    /// Whether a command for `shard` may join those that are being sent.
    fn may_join(&self, shard: usize) -> bool {
        self.exchange.as_ref().is_none_or(|exchange| exchange.may_join(shard))
    }

    /// Sends one command to a shard, with the next [`Connection::finish_exchange`].
    pub(crate) fn send_away(&mut self, shard: usize, command: &Registered, argv: Argv<'_>) {
        let core = self.core.clone();
        let exchange = self.exchange.get_or_insert_with(|| core.spare_exchange());
        exchange.send(shard, command.id, self.session.db, argv, || core.spare_batch());
        if let Some(kind) = command.script() {
            exchange.note_script(shard, !core.is_script_plain(kind, argv));
        }
    }

    /// Sends the batches away, waits for all of them, and puts the replies in order.
    pub(crate) async fn finish_exchange(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let caller = self.caller();
        let sent_count = exchange.post(&self.core, &self.peer, caller);
        self.core.counters().hop_batches.add(sent_count);
        let peer = self.peer.clone();
        poll_fn(|cx| {
            self.core.reactor.note_activity();
            peer.poll_until(cx, |peer| (peer.away_count.get() == 0).then_some(()))
        })
        .await;
        let slow = exchange.merge(peer.take_batches(), &mut self.replies, |split, reply| {
            if split.outcome == Outcome::Failed {
                self.core.note_error(reply);
            }
            let us = self.core.account_split(split.command, split.ns, split.outcome);
            (us >= self.core.slow_after_us()).then_some(us)
        });
        for (argv, us) in slow {
            self.log_slow(argv.as_argv(), us);
        }
        for batch in exchange.take_done() {
            for (index, us) in &batch.slow {
                self.log_slow(batch.call(*index as usize).2, *us);
            }
            self.core.recycle_batch(batch);
        }
        self.core.recycle_exchange(exchange);
    }

    // ---- replies

    /// Writes one reply of this core's own.
    pub(crate) fn reply(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let start = self.reply_position();
        let resp = self.session.resp;
        let replies = match &mut self.exchange {
            Some(exchange) => &mut exchange.late,
            None => &mut self.replies,
        };
        write(&mut Writer::new(replies, resp));
        self.reply_written(start);
    }

    /// Writes a push message of this core's own, which the client gets whatever replies it wants.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        debug_assert!(self.exchange.is_none(), "pushes are written by deferred commands");
        write(&mut Writer::new(&mut self.replies, self.session.resp));
    }

    /// Puts the messages that others have pushed behind the replies, which are complete.
    pub(crate) fn release_held(&mut self) {
        let mut held = self.peer.held();
        if !held.is_empty() {
            self.replies.append(&mut held);
        }
    }

    fn reply_position(&self) -> usize {
        self.exchange.as_ref().map_or(self.replies.len(), |exchange| exchange.late.len())
    }

    /// Called behind every reply of this core: takes it back if the client wants none, and notes its place.
    /// [`Session::command_ended`] follows once the command is over.
    fn reply_written(&mut self, start: usize) {
        let is_wanted = self.session.wants_reply();
        match &mut self.exchange {
            Some(exchange) => {
                if !is_wanted {
                    exchange.late.truncate(start);
                }
                exchange.note_late();
            }
            None if !is_wanted => self.replies.truncate(start),
            None => {}
        }
    }

    /// Hands the replies, which are complete, to the socket, and the messages that have waited behind them; they go
    /// out at the end of the tick.
    pub(crate) fn flush(&mut self) {
        self.release_held();
        if self.replies.is_empty() {
            // Nobody else could use the buffer while this connection has nothing to say.
            return self.core.reactor.recycle(std::mem::take(&mut self.replies));
        }
        self.core.counters().net_output_bytes.add(self.replies.len() as u64);
        let unsent_len = self.core.reactor.send(self.socket.key(), &mut self.replies);
        output::check_limit(&self.core, &self.peer, unsent_len);
    }

    // ---- facts

    /// Who commands run for.
    pub(crate) fn caller(&self) -> Caller {
        let client = ClientFacts {
            id: self.peer.client.id,
            is_no_touch: self.session.is_no_touch,
            is_tracking: self.session.tracking.as_ref().is_some_and(|t| t.remembers_next()),
        };
        Caller { resp: self.session.resp, client }
    }

    fn note_command(&self, command: &Registered) {
        self.peer.client.last_command.store(command.id.0, Ordering::Relaxed);
        self.core.counters().commands_processed.add(1);
    }

    /// Notes that `chunk_len` bytes of requests have come. They count as waiting until what they bring has run.
    fn note_active(&self, chunk_len: usize) {
        let client = &self.peer.client;
        client.active_at_ms.store(self.core.now().unix_ms(), Ordering::Relaxed);
        client.query_len.store((self.query.len() + chunk_len) as u32, Ordering::Relaxed);
        client.output_len.store(self.core.reactor.unsent_len(self.peer.key), Ordering::Relaxed);
    }

    /// Shows in the client registry what waits in the query buffer.
    fn note_query(&self) {
        let client = &self.peer.client;
        client.query_len.store(self.query.len() as u32, Ordering::Relaxed);
        client.query_capacity.store(self.query.capacity() as u32, Ordering::Relaxed);
    }

    fn check_query_limit(&self) {
        let limit = self.core.settings().client_query_buffer_limit_bytes;
        // Commands that wait for EXEC have not run yet either.
        if (self.query.len() + self.queued_len()) as u64 > limit {
            tracing::warn!(
                client = self.peer.client.id,
                "closing a client that has exceeded client-query-buffer-limit"
            );
            self.peer.order_close(Close::Now);
        }
    }

    /// Arguments of a slow command for SLOWLOG.
    pub(crate) fn log_slow(&self, argv: Argv<'_>, us: u64) {
        let args = redacted(argv);
        let max_len = self.core.settings().slowlog_max_len;
        self.core.shared.log_slow(self.core.now(), &args, us, &self.peer.client, max_len);
    }
}

/// Whether a command asks for subscriptions, or ends some.
fn is_subscription(command: &Registered) -> bool {
    let is_later = |run: &ServerRun| matches!(run, ServerRun::Later(_));
    command.spec.group == Group::PubSub
        && matches!(command.kind, Kind::Server(command) if is_later(&command.run))
}

/// Whether a command of this core's shard must wait for a lock: then it is sent there, and waits its turn.
#[inline]
fn locked(core: &Core, command: &Registered, argv: Argv<'_>) -> bool {
    matches!(command.kind, Kind::Shard(command) if core.must_wait(command, argv))
}
