//! Scripts of one connection: run at once if their keys lie here and they are short; otherwise their reply is awaited.

use super::{Connection, Deferred};
use crate::core::Core;
use crate::registry::Registered;
use crate::router::{self, Route};
use crate::runtime::clock::Moment;
use crate::scripting::{Kind, Started, Then, Unfinished};
use crate::transaction::Held;
use protocol::request::{Argv, ArgvBuf};
use shard::Outcome;
use std::rc::Rc;

impl Connection {
    /// Runs a script on this core's shard. What it returns must be awaited: the script has not ended.
    pub(super) fn run_script_here(
        &mut self,
        command: &Registered,
        kind: Kind,
        argv: Argv<'_>,
    ) -> Option<Deferred> {
        let core = self.core.clone();
        self.note_command(command);
        let start = self.reply_position();
        let (db, caller) = (self.session.db, self.caller());
        match core.start_script(command, kind, db, argv, caller, &mut self.replies) {
            Started::Ended(outcome) => {
                let us = core.account(command, outcome);
                self.reply_written(start);
                if us >= core.slow_after_us() {
                    self.log_slow(argv, us);
                }
                self.end_command();
                None
            }
            Started::Unfinished(unfinished) => {
                Some(Deferred::awaiting(command, argv, finish(&core, unfinished)))
            }
        }
    }

    /// Runs a script that had to wait for the replies before it.
    pub(super) async fn run_script(
        &mut self,
        core: &Rc<Core>,
        command: &Registered,
        kind: Kind,
        argv: &ArgvBuf,
    ) -> Outcome {
        let (db, caller) = (self.session.db, self.caller());
        let start = self.replies.len();
        let view = argv.as_argv();
        let unfinished = match router::route(core, command, view) {
            Route::Script(shard) if shard == core.id && core.shard().locks().is_empty() => {
                match core.start_script(command, kind, db, view, caller, &mut self.replies) {
                    Started::Ended(outcome) => {
                        self.leave_out_unwanted(start);
                        return outcome;
                    }
                    Started::Unfinished(unfinished) => unfinished,
                }
            }
            Route::Script(shard) => {
                self.send_away(shard, command, view);
                self.finish_exchange().await;
                self.leave_out_unwanted(start);
                return Outcome::Replied;
            }
            _ => match core.prepare_script(command, kind, db, view, caller) {
                Ok(wandering) => Box::new(Unfinished::Wandering(wandering)),
                Err(text) => {
                    self.reply(|writer| writer.error(text.as_bytes()));
                    core.note_error(text.as_bytes());
                    return Outcome::Failed;
                }
            },
        };
        let ticket = finish(core, unfinished);
        self.await_script(core, ticket).await
    }

    /// Runs a script that EXEC has locked all shards for.
    pub(crate) async fn run_script_in_exec(
        &mut self,
        core: &Rc<Core>,
        command: &Registered,
        argv: Argv<'_>,
        held: &mut Option<Held>,
    ) -> Outcome {
        let kind = command.script().expect("it is a script");
        let (db, caller) = (self.session.db, self.caller());
        match core.prepare_script(command, kind, db, argv, caller) {
            Ok(wandering) => {
                let reply = wandering.run(core, Some(held)).await;
                self.replies.extend_from_slice(&reply);
                match reply.first() {
                    Some(b'-') => Outcome::Failed,
                    _ => Outcome::Replied,
                }
            }
            Err(text) => {
                self.reply(|writer| writer.error(text.as_bytes()));
                core.note_error(text.as_bytes());
                Outcome::Failed
            }
        }
    }

    /// Waits for the reply of a script that has begun.
    pub(super) async fn await_script(&mut self, core: &Rc<Core>, ticket: u32) -> Outcome {
        self.flush();
        let reply = match core.await_answer(ticket).await {
            crate::message::Answer::Reply(reply) => reply,
            _ => unreachable!("a reply was asked for"),
        };
        let start = self.replies.len();
        self.replies.extend_from_slice(&reply);
        self.leave_out_unwanted(start);
        match reply.first() {
            Some(b'-') => Outcome::Failed,
            _ => Outcome::Replied,
        }
    }

    /// Awaits a script that has begun at `begun_at` and counts it.
    pub(super) async fn end_script(&mut self, command: &Registered, argv: &ArgvBuf, ticket: u32) {
        let core = self.core.clone();
        let begun_at = Moment::now();
        let outcome = self.await_script(&core, ticket).await;
        core.set_stopwatch(begun_at);
        let us = core.account(command, outcome);
        if us >= core.slow_after_us() {
            self.log_slow(argv.as_argv(), us);
        }
        self.end_command();
    }
}

/// Takes a script to its end in a task of its own; returns under which number its reply will be.
pub(super) fn finish(core: &Rc<Core>, unfinished: Box<Unfinished>) -> u32 {
    let ticket = core.open_ticket();
    core.finish_script(unfinished, Then::Ticket(ticket));
    ticket
}
