//! Commands over several shards, and EXEC: who is asked what, and how the answers become one reply.
//!
//! Path: `connection::deferred` -> [`run`] -> `Core::start_ask` -> `answers` on the other cores.
//! What is asked of several shards at once runs at one moment on all of them (`mailbox`): so a command that can be put
//! as questions that need not know each other's answers is atomic without a lock ([`steps`]: MGET, MSET, DEL, FLUSHALL),
//! and so is a transaction of such commands ([`exec`]). What must read first and write then (RENAME, COPY, MSETNX, BLPOP
//! over several shards) locks its keys in the first step, and gives them back in the last ([`held`], [`forms`]).

mod exec;
mod forms;
mod held;
pub(crate) mod parts;
mod steps;

pub(crate) use held::{Held, Wanted, ask_all};

use crate::core::{Caller, Core};
use crate::message::{Answer, OwnedCall};
use crate::registry::{Kind, Registered};
use crate::router;
use protocol::reply::Writer;
use protocol::request::{Argv, ArgvBuf};
use shard::commands::{Command, Run};
use shard::{CommandError, Outcome};

/// Runs a command over several shards and appends its reply. The outcome is that of `Shard::execute`.
///
/// `held` is what the transaction around it has locked. A command that is to wait ([`Outcome::Blocked`]) may leave its
/// own locks there: they are given back once it has been entered as waiting.
pub(crate) async fn run(
    core: &Core,
    command: &Registered,
    db: u16,
    argv: Argv<'_>,
    caller: Caller,
    held: &mut Option<Held>,
    reply: &mut Vec<u8>,
) -> Outcome {
    let start = reply.len();
    let several = Several::new(core, command, db, argv, caller);
    let result = match several.step() {
        Some(step) => {
            let answers = held::ask_all(core, step.parts, held.as_ref()).await;
            several.finish(step.finish, answers, reply)
        }
        None => several.run_in_steps(held, reply).await,
    };
    if several.is_flush() {
        several.tell_flushed().await;
    }
    several.outcome(result, start, reply)
}

/// One command over several shards.
pub(super) struct Several<'a> {
    pub(super) core: &'a Core,
    pub(super) command: &'static Command,
    pub(super) registered: &'a Registered,
    pub(super) db: u16,
    pub(super) argv: Argv<'a>,
    pub(super) caller: Caller,
}

/// How a command ended, or its error.
pub(super) type Ran = Result<Outcome, CommandError>;

impl<'a> Several<'a> {
    /// A command of the shards; one of the server is none.
    pub(super) fn new(
        core: &'a Core,
        registered: &'a Registered,
        db: u16,
        argv: Argv<'a>,
        caller: Caller,
    ) -> Self {
        let Kind::Shard(command) = registered.kind else {
            unreachable!("only commands of a shard run over several")
        };
        Several { core, command, registered, db, argv, caller }
    }

    /// Turns an error into its reply, in place of whatever was written since `start`.
    pub(super) fn outcome(&self, result: Ran, start: usize, reply: &mut Vec<u8>) -> Outcome {
        result.unwrap_or_else(|error| {
            reply.truncate(start);
            Writer::new(reply, self.caller.resp).error(&error.as_bytes());
            Outcome::Failed
        })
    }

    pub(super) fn call(&self, argv: ArgvBuf) -> OwnedCall {
        let Caller { resp, client } = self.caller;
        OwnedCall { command: self.command, argv, db: self.db, resp, client }
    }

    pub(super) fn whole_call(&self) -> OwnedCall {
        self.call(ArgvBuf::from_argv(self.argv))
    }

    /// The keys with their shards.
    pub(super) fn keys(&self) -> smallvec::SmallVec<[(usize, usize); 8]> {
        router::keys(self.core, self.registered, self.argv)
    }

    /// Whether the data may name keys of any shard.
    pub(super) fn reaches_anywhere(&self) -> bool {
        router::reaches_anywhere(self.command, self.argv)
    }

    /// Whether clients that hold copies of values must be told that all are gone.
    pub(super) fn is_flush(&self) -> bool {
        self.core.shared.shard_count() > 1
            && matches!(self.command.run, Run::EveryShard { .. })
            && self.command.spec.name.starts_with("flush")
    }

    /// Tells them. Only now have all shards been flushed, so that nobody reads an old value after the message.
    pub(super) async fn tell_flushed(&self) {
        use crate::message::{CoreQuestion, Question};
        self.core.ask_all(|_| Question::Core(CoreQuestion::InvalidateAll)).await;
    }
}

/// The reply in an answer.
pub(super) fn reply_of(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Reply(reply) => reply,
        _ => unreachable!("a reply was asked for"),
    }
}

/// How a command ended, by its reply: none at all if it is to wait.
pub(super) fn outcome_of(reply: &[u8]) -> Outcome {
    match reply.first() {
        None => Outcome::Blocked,
        Some(b'-') => Outcome::Failed,
        Some(_) => Outcome::Replied,
    }
}
