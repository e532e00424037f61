//! A script on the shard of its keys: run in one go, if it is short.

use super::cores::Buffers;
use super::host::{Scope, ScriptHost};
use super::paused::Paused;
use super::request::{Kind, Request};
use crate::core::{Caller, Core};
use crate::registry::Registered;
use crate::router::Home;
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

/// A script that does not end in one go.
pub(crate) enum Unfinished {
    /// It has paused.
    Paused(Paused),
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
        let is_read_only = command.is(protocol::command::Flags::READONLY);
        let request = match Request::read(self, kind, is_read_only, argv) {
            Ok(request) => request,
            Err(text) => return self.refuse_script(&text, caller, reply),
        };
        if self.shared.shard_count() > 1 && request.may_wander(argv) {
            let argv = ArgvBuf::from_argv(argv);
            let wandering = Wandering { request, argv, db, caller };
            return Started::Unfinished(Box::new(Unfinished::Wandering(wandering)));
        }
        let begun_at = self.tick_start();
        let interpreter = self.scripts.borrow_mut().take_interpreter();
        let mut interpreter = match interpreter {
            Ok(interpreter) => interpreter,
            Err(text) => return self.refuse_script(&text, caller, reply),
        };
        let (home, session) = (Home::Shard(self.id), (db, caller));
        let host = ScriptHost::new(self.clone(), &request, Scope::Shard, home, session, begun_at);
        let host = Rc::new(host);
        let Buffers { argv: own_argv, reply: own_reply } =
            self.scripts.borrow_mut().take_buffers(argv);
        let job = Job {
            what: request.what.clone(),
            argv: own_argv,
            key_count: request.key_count,
            resp: caller.resp,
            host: host.clone(),
            reply: own_reply,
        };
        let mark = self.shard_mut().effects_mut().journal.mark();
        self.shard_mut().begin_unit();
        let mut progress = interpreter.start(job);
        while host.has_left() && matches!(progress, Progress::Paused) {
            progress = interpreter.resume();
        }
        let running = Running { interpreter, host };
        match progress {
            Progress::Ended(job, ended) => {
                self.shard_mut().end_unit(self.now());
                let Running { interpreter, host } = running;
                self.scripts.borrow_mut().give_back(interpreter);
                let Job { argv, reply: own_reply, .. } = job;
                if host.has_left() {
                    request.note_way(true);
                    let wandering = Wandering { request, argv, db, caller };
                    return Started::Unfinished(Box::new(Unfinished::Wandering(wandering)));
                }
                let outcome = self.outcome_of_script(ended, &own_reply);
                reply.extend_from_slice(&own_reply);
                self.scripts.borrow_mut().keep_buffers(Buffers { argv, reply: own_reply });
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
        let is_read_only = command.is(protocol::command::Flags::READONLY);
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

    fn refuse_script(&self, text: &str, caller: Caller, reply: &mut Vec<u8>) -> Started {
        self.note_error(text.as_bytes());
        Writer::new(reply, caller.resp).error(text.as_bytes());
        Started::Ended(Outcome::Failed)
    }

    /// Takes what has not ended in one go to its end; `then` gets its reply.
    pub(crate) fn finish_script(self: &Rc<Self>, unfinished: Box<Unfinished>, then: Then) {
        let core = self.clone();
        crate::runtime::executor::spawn(async move {
            let reply = match *unfinished {
                Unfinished::Paused(paused) => paused.run_to_end(&core).await,
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
