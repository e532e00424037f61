//! EXEC of commands that one shard cannot run alone: keys on several shards, watched keys elsewhere, or commands of the
//! server among them.
//!
//! Path: `commands::transactions` -> [`Connection::exec`]. Commands that follow each other and can each be done in one
//! step are asked for together ([`Connection::run_steps`]). If that is all there is, everything runs at one moment, and
//! no lock is needed. Else all keys are locked first, watched ones too, and given back behind the last command: nobody
//! sees anything in between, and the log has all of it or nothing.

use super::forms::is_yes;
use super::held::{self, Wanted};
use super::{Held, Several};
use crate::connection::{Connection, Multi, exec_abort};
use crate::core;
use crate::message::{Answer, Question};
use crate::registry::{Kind, Registered};
use crate::router;
use crate::runtime::clock::Moment;
use protocol::reply::Writer;
use protocol::request::ArgvBuf;
use shard::commands::Run;
use shard::locks::{Claims, Mode};
use shard::{CommandError, Outcome};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// A stretch of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stretch {
    /// Commands that are each done in one step.
    Steps(Range<usize>),
    /// A command that needs several.
    Form(usize),
    /// A script.
    Script(usize),
    /// A command of the server.
    Server(usize),
}

impl Connection {
    /// EXEC, once the replies before it are complete.
    ///
    /// # Errors
    /// There was no MULTI, or a command could not be queued.
    pub(crate) async fn exec(&mut self) -> Result<(), CommandError> {
        if !self.session.is_in_multi() {
            return Err(CommandError::text("ERR EXEC without MULTI"));
        }
        let multi = self.take_multi().expect("it was just there");
        if multi.is_spoilt {
            self.end_watches(&multi);
            return Err(CommandError::text(
                "EXECABORT Transaction discarded because of previous errors.",
            ));
        }
        let start = self.replies.len();
        let result = self.exec_queue(&multi).await;
        if !self.session.wants_reply() {
            self.replies.truncate(start);
        }
        self.core.recycle_batch(multi.queue);
        result
    }

    async fn exec_queue(&mut self, multi: &Multi) -> Result<(), CommandError> {
        let core = self.core.clone();
        let stretches = self.stretches(multi);
        let is_server = |stretch: &Stretch| matches!(stretch, Stretch::Server(_));
        let is_one_moment = matches!(stretches.as_slice(), [] | [Stretch::Steps(_)]);
        let needs_locks =
            !multi.watched.is_empty() || !is_one_moment && !stretches.iter().all(is_server);
        let mut held = None;
        if needs_locks {
            let acquired = Held::acquire(&core, self.wanted(multi)).await;
            let (locks, answers) = match acquired {
                Ok(acquired) => acquired,
                Err(busy) => {
                    self.end_watches(multi);
                    let text = String::from_utf8_lossy(&exec_abort(&busy.as_bytes())).into_owned();
                    return Err(CommandError::Text(text.into()));
                }
            };
            if multi.watch.is_broken() || answers.iter().any(is_yes) {
                locks.release(&core);
                self.reply(|writer| writer.null_array());
                return Ok(());
            }
            held = Some(locks);
        }
        Writer::new(&mut self.replies, self.session.resp).array(multi.queue.len());
        self.session.is_in_exec = true;
        // Clients that wait are served behind the last command, also where that is one of the server.
        let stretch_count = stretches.len();
        for (index, stretch) in stretches.into_iter().enumerate() {
            match stretch {
                Stretch::Steps(calls) => {
                    let is_last = index + 1 == stretch_count;
                    self.run_steps(multi, calls, &mut held, is_last).await;
                }
                Stretch::Form(call) | Stretch::Script(call) | Stretch::Server(call) => {
                    self.run_queued(multi, call, &mut held).await;
                }
            }
        }
        self.session.is_in_exec = false;
        if let Some(held) = held {
            held.release(&core);
        }
        Ok(())
    }

    /// The queue in stretches.
    fn stretches(&self, multi: &Multi) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for index in 0..multi.queue.len() {
            let (id, db, argv) = multi.queue.call(index);
            let command = self.core.shared.registry.get(id);
            if matches!(command.kind, Kind::Server(_)) {
                stretches.push(match command.is_script() {
                    true => Stretch::Script(index),
                    false => Stretch::Server(index),
                });
                continue;
            }
            let several = Several::new(&self.core, command, db, argv, self.caller());
            match stretches.last_mut() {
                _ if !several.is_one_step() => stretches.push(Stretch::Form(index)),
                Some(Stretch::Steps(calls)) => calls.end = index + 1,
                _ => stretches.push(Stretch::Steps(index..index + 1)),
            }
        }
        stretches
    }

    /// What the queue wants of each shard: its keys, and the watched ones with the question whether they have changed.
    fn wanted(&self, multi: &Multi) -> BTreeMap<usize, Wanted> {
        let core = &self.core;
        let mut wanted: BTreeMap<usize, Wanted> = BTreeMap::new();
        for index in 0..multi.queue.len() {
            let (id, _, argv) = multi.queue.call(index);
            let registered = core.shared.registry.get(id);
            if registered.is_script() {
                core.claim_for_script(registered, argv, |shard, claims| {
                    wanted.entry(shard).or_default().claims.join(claims);
                });
            }
            let Kind::Shard(command) = registered.kind else { continue };
            let shards: Vec<usize> = match command.run {
                Run::EveryShard { .. } | Run::Scan(_) | Run::AnyShard(_) => {
                    (0..core.shared.shard_count()).collect()
                }
                _ if router::reaches_anywhere(command, argv) => {
                    (0..core.shared.shard_count()).collect()
                }
                _ => router::keys(core, registered, argv).iter().map(|(_, shard)| *shard).collect(),
            };
            let shards = if shards.is_empty() { vec![core.id] } else { shards };
            for shard in shards {
                let is_there = |key: &[u8]| router::shard_of(core, Some(key)) == shard;
                let claims = core::claims(command, argv, is_there);
                wanted.entry(shard).or_default().claims.join(claims);
            }
        }
        for (shard, watched) in multi.watched_by_shard() {
            let wanted = wanted.entry(shard).or_default();
            let mut claims = Claims::default();
            watched.keys.iter().for_each(|(_, key)| claims.add(key, Mode::Shared));
            wanted.claims.join(claims);
            wanted.then = Some(Question::EndWatch(watched));
        }
        wanted
    }

    /// Runs commands that are each done in one step, all at one moment; gives back the locks if it is the last.
    async fn run_steps(
        &mut self,
        multi: &Multi,
        calls: Range<usize>,
        held: &mut Option<Held>,
        is_last: bool,
    ) {
        let core = self.core.clone();
        let mut questions: BTreeMap<usize, Vec<Question>> = BTreeMap::new();
        let mut finishes = Vec::with_capacity(calls.len());
        core.restart_stopwatch();
        for index in calls.clone() {
            let several = self.queued(&core, multi, index);
            let step = several.step().expect("it was found to be done in one step");
            let shards: Vec<usize> = step.parts.iter().map(|(shard, _)| *shard).collect();
            for (shard, question) in step.parts {
                questions.entry(shard).or_default().push(question);
            }
            finishes.push((step.finish, shards));
        }
        let shards: Vec<usize> = questions.keys().copied().collect();
        let questions = questions.into_iter().map(|(shard, all)| (shard, Question::All(all)));
        let answers = match held.take() {
            Some(locks) if is_last => locks.ask_last(&core, questions.collect()).await,
            around => {
                *held = around;
                held::ask_all(&core, questions, held.as_ref()).await
            }
        };
        let mut answers: BTreeMap<usize, VecDeque<Answer>> =
            shards.into_iter().zip(answers.into_iter().map(all_of)).collect();
        let mut is_flushed = false;
        for (index, (finish, shards)) in calls.zip(finishes) {
            let own = shards.iter().filter_map(|shard| answers.get_mut(shard)?.pop_front());
            let own = own.collect();
            let several = self.queued(&core, multi, index);
            let mut reply = Vec::new();
            let result = several.finish(finish, own, &mut reply);
            let outcome = several.outcome(result, 0, &mut reply);
            is_flushed |= several.is_flush();
            if outcome == Outcome::Blocked {
                core::write_empty(
                    several.registered,
                    &mut Writer::new(&mut reply, self.session.resp),
                );
            }
            if outcome == Outcome::Failed {
                core.note_error(&reply);
            }
            self.replies.extend_from_slice(&reply);
            self.note_queued(multi, index, outcome);
        }
        if is_flushed && let Some(index) = multi.queue.len().checked_sub(1) {
            self.queued(&core, multi, index).tell_flushed().await;
        }
    }

    /// Runs one command that needs several steps, or one of the server.
    async fn run_queued(&mut self, multi: &Multi, index: usize, held: &mut Option<Held>) {
        let core = self.core.clone();
        let (id, _, argv) = multi.queue.call(index);
        let command = core.shared.registry.get(id);
        core.restart_stopwatch();
        let outcome = match command.kind {
            Kind::Server(_) if command.is_script() => {
                self.run_script_in_exec(&core, command, argv, held).await
            }
            Kind::Server(_) => {
                let argv = ArgvBuf::from_argv(argv);
                let begun_at = Moment::now();
                let outcome = self.run_deferred_command(&core, command, &argv).await;
                core.set_stopwatch(begun_at);
                outcome
            }
            Kind::Shard(_) => {
                let (db, caller) = (self.session.db, self.caller());
                let mut reply = Vec::new();
                let outcome = super::run(&core, command, db, argv, caller, held, &mut reply).await;
                if outcome == Outcome::Blocked {
                    core::write_empty(command, &mut Writer::new(&mut reply, caller.resp));
                }
                if outcome == Outcome::Failed {
                    core.note_error(&reply);
                }
                self.replies.extend_from_slice(&reply);
                outcome
            }
        };
        self.note_queued(multi, index, outcome);
    }

    /// A queued command of the shards, as the client's database and protocol are now.
    fn queued<'a>(&self, core: &'a core::Core, multi: &'a Multi, index: usize) -> Several<'a> {
        let (id, _, argv) = multi.queue.call(index);
        let command: &Registered = core.shared.registry.get(id);
        Several::new(core, command, self.session.db, argv, self.caller())
    }

    /// Counts and shows a queued command that has run.
    fn note_queued(&self, multi: &Multi, index: usize, outcome: Outcome) {
        let core = &self.core;
        let (id, _, argv) = multi.queue.call(index);
        let command = core.shared.registry.get(id);
        core.feed_monitors(command, &self.session, &self.peer.client, argv);
        core.counters().commands_processed.add(1);
        let us = core.account(command, outcome);
        if us >= core.slow_after_us() {
            self.log_slow(argv, us);
        }
    }
}

fn all_of(answer: Answer) -> VecDeque<Answer> {
    match answer {
        Answer::All(answers) => answers.into(),
        _ => unreachable!("several things were asked for"),
    }
}
