//! A script on the shard of its keys: run in one go, if it is short.

use super::cores::Buffers;
use super::host::{Scope, ScriptHost};
use super::paused::Paused;
use super::request::{Kind, Request};
use super::rest::RestOfUnit;
use crate::core::{Caller, Core};
use crate::registry::Registered;
use crate::router::Home;
use protocol::command::Flags;
use protocol::reply::Writer;
use protocol::request::{Argv, ArgvBuf};
use script::{Ended, Interpreter, Job, Progress, Source};
use shard::Outcome;
use std::rc::Rc;
use std::sync::Arc;

/// What has become of a script.
pub(crate) enum Started {
    /// It has ended, and its reply has been written. The caller counts it; the stopwatch has run from its beginning.
    Ended(Outcome),
    /// It goes on later, as [`Core::finish_script`] says.
    Unfinished(Box<Unfinished>),
}

/// A script that does not end in one go, or a transaction with one.
pub(crate) enum Unfinished {
    /// It has paused.
    Paused(Paused),
    /// It has paused, and the rest of its transaction waits for it.
    Unit(Paused, RestOfUnit),
    /// It is to run where it may touch all shards.
    Wandering(Wandering),
}

/// A script that is to run where it may touch more than one shard.
pub(crate) struct Wandering {
    pub(super) request: Request,
    pub(super) argv: ArgvBuf,
    pub(super) db: u16,
    pub(super) caller: Caller,
}

/// What is done with the reply of a script.
pub(crate) type Done = Box<dyn FnOnce(&Rc<Core>, Vec<u8>)>;

/// Who gets the reply of a script that has not ended in one go.
pub(crate) enum Then {
    /// Who waits for the answer to this question.
    Ticket(u32),
    /// A batch; see `core::locking`.
    Batch(Done),
}

/// A script with all that belongs to its run.
pub(super) struct Running {
    pub(super) interpreter: Interpreter,
    pub(super) host: Rc<ScriptHost>,
}

impl Running {
    /// Runs it until it ends, or pauses with something left to do here.
    fn start(&mut self, job: Job) -> Progress {
        let mut progress = self.interpreter.start(job);
        while self.host.has_left() && matches!(progress, Progress::Paused) {
            progress = self.interpreter.resume();
        }
        progress
    }
}

/// What has become of a command of a transaction.
pub(crate) enum InUnit {
    /// It has ended, has been counted, and took so many microseconds.
    Ended(u64),
    /// It has paused.
    Paused(Box<PausedInUnit>),
}

/// A script of a transaction that has paused.
pub(crate) struct PausedInUnit {
    pub(super) running: Running,
    pub(super) request: Request,
}

impl Core {
    /// Runs a script all of whose keys lie on this core's shard, until it ends or has taken long.
    pub(crate) fn start_script(
        self: &Rc<Self>,
        command: &Registered,
        kind: Kind,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) -> Started {
        let is_read_only = command.is(Flags::READONLY);
        let request = match Request::read(self, kind, is_read_only, argv) {
            Ok(request) => request,
            Err(text) => return Started::Ended(self.refuse_script(&text, caller, reply)),
        };
        if self.shared.shard_count() > 1 && request.may_wander(argv) {
            let argv = ArgvBuf::from_argv(argv);
            let wandering = Wandering { request, argv, db, caller };
            return Started::Unfinished(Box::new(Unfinished::Wandering(wandering)));
        }
        let begun_at = self.tick_start();
        let (mut running, job) = match self.prepare_run(&request, db, argv, caller) {
            Ok(prepared) => prepared,
            Err(text) => return Started::Ended(self.refuse_script(&text, caller, reply)),
        };
        let mark = self.shard_mut().effects_mut().journal.mark();
        self.shard_mut().begin_unit();
        match running.start(job) {
            Progress::Ended(job, ended) => {
                self.shard_mut().end_unit(self.now());
                if running.host.has_left() {
                    self.scripts.borrow_mut().give_back(running.interpreter);
                    request.note_way(true);
                    let wandering = Wandering { request, argv: job.argv, db, caller };
                    return Started::Unfinished(Box::new(Unfinished::Wandering(wandering)));
                }
                let outcome = self.finish_run(running, job, ended, reply);
                self.set_stopwatch(begun_at);
                Started::Ended(outcome)
            }
            Progress::Paused => {
                self.shard_mut().suspend_unit();
                // What it writes enters the journal when it ends: all of it, or nothing.
                let own = self.shard_mut().effects_mut().journal.split_off(mark);
                let paused = Paused::new(self, running, request, own, argv, caller);
                Started::Unfinished(Box::new(Unfinished::Paused(paused)))
            }
        }
    }

    /// Runs a script in the middle of a transaction of this core's shard, of which it is known that it touches no others,
    /// until it ends or has taken long.
    pub(crate) fn start_script_in_unit(
        self: &Rc<Self>,
        command: &Registered,
        kind: Kind,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) -> InUnit {
        let request = Request::read(self, kind, command.is(Flags::READONLY), argv);
        let begun_at = self.tick_start();
        let prepared = request.and_then(|request| {
            let (running, job) = self.prepare_run(&request, db, argv, caller)?;
            Ok((request, running, job))
        });
        let (request, mut running, job) = match prepared {
            Ok(prepared) => prepared,
            Err(text) => {
                let outcome = self.refuse_script(&text, caller, reply);
                return InUnit::Ended(self.account(command, outcome));
            }
        };
        match running.start(job) {
            Progress::Ended(job, ended) => {
                let outcome = self.finish_run(running, job, ended, reply);
                self.set_stopwatch(begun_at);
                InUnit::Ended(self.account(command, outcome))
            }
            Progress::Paused => InUnit::Paused(Box::new(PausedInUnit { running, request })),
        }
    }

    /// An interpreter for a script on this core's shard, and what it is to do.
    ///
    /// # Errors
    /// If there is no memory for one more interpreter.
    fn prepare_run(
        self: &Rc<Self>,
        request: &Request,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
    ) -> Result<(Running, Job), String> {
        let mut scripts = self.scripts.borrow_mut();
        let interpreter = scripts.take_interpreter()?;
        let Buffers { argv, reply } = scripts.take_buffers(argv);
        drop(scripts);
        let (home, session) = (Home::Shard(self.id), (db, caller));
        let (core, begun_at) = (self.clone(), self.tick_start());
        let host = Rc::new(ScriptHost::new(core, request, Scope::Shard, home, session, begun_at));
        let job = Job {
            what: request.what.clone(),
            argv,
            key_count: request.key_count,
            resp: caller.resp,
            host: host.clone(),
            reply,
        };
        Ok((Running { interpreter, host }, job))
    }

    /// Appends the reply of a script that has ended in one go, and keeps what it ran with for the next.
    fn finish_run(&self, running: Running, job: Job, ended: Ended, reply: &mut Vec<u8>) -> Outcome {
        let outcome = self.outcome_of_script(ended, &job.reply);
        reply.extend_from_slice(&job.reply);
        let mut scripts = self.scripts.borrow_mut();
        scripts.give_back(running.interpreter);
        scripts.keep_buffers(Buffers { argv: job.argv, reply: job.reply });
        outcome
    }

    /// Makes a script known to the server.
    ///
    /// # Errors
    /// The error reply.
    pub(crate) fn load_script(&self, text: &[u8]) -> Result<Arc<Source>, String> {
        let mut scripts = self.scripts.borrow_mut();
        let loaded = scripts.by_text(&self.shared.scripts, &self.shared.registry, text);
        loaded.map_err(|problem| format!("ERR {problem}"))
    }

    /// Whether a script may touch keys that it does not declare, as far as one can see.
    pub(crate) fn may_script_wander(&self, kind: Kind, argv: Argv<'_>) -> bool {
        // One that cannot be read has an error to report, which any shard can do.
        Request::read(self, kind, false, argv).is_ok_and(|request| request.may_wander(argv))
    }

    /// Whether the text of a script shows that it touches no keys but those it is given. It does not become known by this.
    pub(crate) fn is_script_plain(&self, kind: Kind, argv: Argv<'_>) -> bool {
        let body = argv.get(1).unwrap_or_default();
        let mut scripts = self.scripts.borrow_mut();
        match kind {
            Kind::Text => scripts.is_plain_text(&self.shared.registry, body),
            Kind::Sha => {
                scripts.by_sha(&self.shared.scripts, body).is_some_and(|source| source.is_plain)
            }
            Kind::Function => false,
        }
    }

    /// A script that is to run where it may touch several shards.
    ///
    /// # Errors
    /// The error reply.
    pub(crate) fn prepare_script(
        &self,
        command: &Registered,
        kind: Kind,
        db: u16,
        argv: Argv<'_>,
        caller: Caller,
    ) -> Result<Wandering, String> {
        let is_read_only = command.is(Flags::READONLY);
        let request = Request::read(self, kind, is_read_only, argv)?;
        Ok(Wandering { request, argv: ArgvBuf::from_argv(argv), db, caller })
    }

    /// Counts the error of a script that has failed.
    pub(super) fn outcome_of_script(&self, ended: Ended, reply: &[u8]) -> Outcome {
        match ended {
            Ended::Returned if reply.first() != Some(&b'-') => Outcome::Replied,
            Ended::Failed { is_counted: true } => Outcome::Failed,
            _ => {
                self.note_error(reply);
                Outcome::Failed
            }
        }
    }

    fn refuse_script(&self, text: &str, caller: Caller, reply: &mut Vec<u8>) -> Outcome {
        self.note_error(text.as_bytes());
        Writer::new(reply, caller.resp).error(text.as_bytes());
        Outcome::Failed
    }

    /// Takes what has not ended in one go to its end; `then` gets its reply.
    pub(crate) fn finish_script(self: &Rc<Self>, unfinished: Box<Unfinished>, then: Then) {
        let core = self.clone();
        crate::runtime::executor::spawn(async move {
            let reply = match *unfinished {
                Unfinished::Paused(paused) => paused.run_to_end(&core, None).await,
                Unfinished::Unit(paused, rest) => paused.run_to_end(&core, Some(rest)).await,
                Unfinished::Wandering(wandering) => wandering.run(&core, None).await,
            };
            core.reactor.note_activity();
            match then {
                Then::Ticket(ticket) => core.answered(ticket, reply),
                Then::Batch(done) => done(&core, reply),
            }
        });
        self.reactor.note_activity();
    }
}
