//! Commands over several shards: who is asked what, and how the answers become one reply.
//!
//! Path: `connection::deferred` -> here -> `Core::ask` -> `answers` on the other cores. One function per form of
//! `shard::commands::Run`. What is asked of several shards at once runs at one moment on all of them (`mailbox`), so a
//! command of one step is atomic: MGET, MSET, DEL, FLUSHALL. One that reads first and writes then (RENAME, COPY, MSETNX)
//! is not yet; docs/transactions.md says what is to come.

use crate::core::{Caller, Core};
use crate::message::{Answer, CoreQuestion, OwnedCall, Question};
use crate::registry::{Kind, Registered};
use crate::router;
use protocol::reply::parse;
use protocol::reply::{Resp, Writer};
use protocol::request::{Argv, ArgvBuf};
use shard::args::Args;
use shard::commands::key::scan;
use shard::commands::{FinishFn, Gathered, KeyWrite, Merge, Piece, PlanFn, Run, Steps, Transfer};
use shard::{CommandError, Outcome};
use std::collections::BTreeMap;

/// Runs a command over several shards and appends its reply. The outcome is that of `Shard::execute`.
pub async fn run(
    core: &Core,
    command: &Registered,
    db: u16,
    argv: Argv<'_>,
    caller: Caller,
    reply: &mut Vec<u8>,
) -> Outcome {
    let start = reply.len();
    let several = Several { core, command, db, argv, caller };
    let result = match shard_run(command) {
        Run::Split { merge, .. } => several.split(merge, reply).await,
        Run::EveryShard { merge, .. } => several.every_shard(merge, reply).await,
        Run::Gather { finish, .. } => several.gather(finish, reply).await,
        Run::GatherWrite { plan, .. } => several.gather_write(plan, reply).await,
        Run::Steps(steps) => several.steps(steps, reply).await,
        Run::FirstOf { empty, .. } => several.first_of(empty, reply).await,
        Run::Transfer(transfer) => several.transfer(transfer, reply).await,
        Run::Scan(_) => several.scan(reply).await,
        Run::AnyShard(_) => several.any_shard(reply).await,
        Run::Read(_) | Run::Write(_) => several.at(several.shard_of_first_key(), reply).await,
    };
    match result {
        Ok(outcome) => outcome,
        Err(error) => {
            reply.truncate(start);
            Writer::new(reply, caller.resp).error(&error.as_bytes());
            Outcome::Failed
        }
    }
}

/// How a command of the shards runs.
fn shard_run(command: &Registered) -> Run {
    match command.kind {
        Kind::Shard(shard_command) => shard_command.run,
        Kind::Server(_) => unreachable!("only commands of a shard run over several"),
    }
}

struct Several<'a> {
    core: &'a Core,
    command: &'a Registered,
    db: u16,
    argv: Argv<'a>,
    caller: Caller,
}

type Ran = Result<Outcome, CommandError>;

impl Several<'_> {
    fn call(&self, argv: ArgvBuf) -> OwnedCall {
        let Kind::Shard(command) = self.command.kind else {
            unreachable!("only commands of a shard run over several")
        };
        let Caller { resp, client } = self.caller;
        OwnedCall { command, argv, db: self.db, resp, client }
    }

    fn whole_call(&self) -> OwnedCall {
        self.call(ArgvBuf::from_argv(self.argv))
    }

    fn shard_of_first_key(&self) -> usize {
        let keys = router::keys(self.core, self.command, self.argv);
        keys.first().map_or(self.core.id, |(_, shard)| *shard)
    }

    /// Runs the whole command at one shard.
    async fn at(&self, shard: usize, reply: &mut Vec<u8>) -> Ran {
        let answer = self.core.ask(shard, Question::Run(self.whole_call())).await;
        let part = reply_of(answer);
        reply.extend_from_slice(&part);
        Ok(outcome_of(&part))
    }

    /// Each shard runs the command with its own keys.
    async fn split(&self, merge: Merge, reply: &mut Vec<u8>) -> Ran {
        let keys = router::keys(self.core, self.command, self.argv);
        let Some(&(first_index, first_shard)) = keys.first() else {
            return self.at(self.core.id, reply).await;
        };
        if keys.iter().all(|(_, shard)| *shard == first_shard) {
            return self.at(first_shard, reply).await;
        }
        // What stands from one key to the next goes with the key: the value of MSET, the field of a map.
        let step = keys.get(1).map_or(1, |(second, _)| second - first_index);
        let last_index = keys.last().map_or(first_index, |(index, _)| *index);
        if last_index + step != self.argv.len() {
            // A value is missing: one shard says so, and none writes.
            return self.at(first_shard, reply).await;
        }
        let mut parts: BTreeMap<usize, (ArgvBuf, Vec<usize>)> = BTreeMap::new();
        for (order, (index, shard)) in keys.iter().enumerate() {
            let (argv, orders) = parts.entry(*shard).or_insert_with(|| {
                let head = (0..first_index).filter_map(|index| self.argv.get(index));
                (head.collect(), Vec::new())
            });
            (*index..index + step).filter_map(|i| self.argv.get(i)).for_each(|arg| argv.push(arg));
            orders.push(order);
        }
        let mut asks = Vec::with_capacity(parts.len());
        for (shard, (argv, orders)) in parts {
            let question = Question::Run(self.call(argv));
            asks.push((self.core.start_ask(shard, question), orders));
        }
        let mut answers = Vec::with_capacity(asks.len());
        for (ask, orders) in asks {
            answers.push((reply_of(ask.await), orders));
        }
        Ok(merge_replies(merge, self.caller.resp, &answers, reply))
    }

    /// Every shard runs the whole command.
    async fn every_shard(&self, merge: Merge, reply: &mut Vec<u8>) -> Ran {
        let answers = self.core.ask_all(|_| Question::Run(self.whole_call())).await;
        if self.command.spec.name.starts_with("flush") {
            // Only now have all shards been flushed, so that nobody reads an old value after the message.
            self.core.ask_all(|_| Question::Core(CoreQuestion::InvalidateAll)).await;
        }
        let answers: Vec<_> =
            answers.into_iter().map(|answer| (reply_of(answer), Vec::new())).collect();
        Ok(merge_replies(merge, self.caller.resp, &answers, reply))
    }

    /// The pieces of all keys, in the order of the keys.
    async fn pieces(&self) -> Result<Vec<Piece>, CommandError> {
        let keys = router::keys(self.core, self.command, self.argv);
        let mut by_shard: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (order, (index, shard)) in keys.iter().enumerate() {
            by_shard.entry(*shard).or_default().push((order, *index));
        }
        let asks: Vec<_> = by_shard
            .into_iter()
            .map(|(shard, keys)| {
                let indices = keys.iter().map(|(_, index)| *index).collect();
                let question = Question::Pieces(self.whole_call(), indices);
                (self.core.start_ask(shard, question), keys)
            })
            .collect();
        let mut pieces = vec![Piece::Missing; keys.len()];
        for (ask, keys) in asks {
            let Answer::Pieces(answered) = ask.await else { unreachable!("pieces were asked for") };
            for ((order, _), piece) in keys.into_iter().zip(answered?) {
                pieces[order] = piece;
            }
        }
        Ok(pieces)
    }

    async fn gather(&self, finish: FinishFn, reply: &mut Vec<u8>) -> Ran {
        let pieces = self.pieces().await?;
        let mut writer = Writer::new(reply, self.caller.resp);
        let options = self.core.shard().options().clone();
        finish(&options, Args::new(self.argv), &pieces, &mut writer)?;
        Ok(Outcome::Replied)
    }

    async fn gather_write(&self, plan: PlanFn, reply: &mut Vec<u8>) -> Ran {
        let pieces = self.pieces().await?;
        let mut writer = Writer::new(reply, self.caller.resp);
        let now = self.core.now();
        let options = self.core.shard().options().clone();
        let writes = plan(&options, now, self.db, Args::new(self.argv), pieces, &mut writer)?;
        self.apply(writes).await;
        Ok(Outcome::Replied)
    }

    /// Each shard writes its part.
    async fn apply(&self, writes: Vec<KeyWrite>) {
        let mut by_shard: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for write in writes {
            let shard = router::shard_of(self.core, self.argv.get(write.key_index));
            by_shard.entry(shard).or_default().push(write);
        }
        let asks: Vec<_> = by_shard
            .into_iter()
            .map(|(shard, writes)| {
                self.core.start_ask(shard, Question::Apply(self.whole_call(), writes))
            })
            .collect();
        for ask in asks {
            ask.await;
        }
    }

    /// Pieces, then other commands on single keys, then what is to be written.
    async fn steps(&self, steps: Steps, reply: &mut Vec<u8>) -> Ran {
        let args = Args::new(self.argv);
        let pieces = self.pieces().await?;
        let replies = self.run_all((steps.next)(args, &pieces)?).await;
        let gathered = Gathered { pieces, replies };
        let options = self.core.shard().options().clone();
        let mut writer = Writer::new(reply, self.caller.resp);
        let writes = (steps.finish)(&options, self.db, args, gathered, &mut writer)?;
        self.apply(writes).await;
        Ok(Outcome::Replied)
    }

    /// Runs other commands for the client of this one, each at the shard of its first argument, and returns the
    /// replies in their order, in version 2 of the protocol.
    async fn run_all(&self, commands: Vec<ArgvBuf>) -> Vec<Vec<u8>> {
        let mut replies = vec![Vec::new(); commands.len()];
        let mut by_shard: BTreeMap<usize, (Vec<usize>, Vec<OwnedCall>)> = BTreeMap::new();
        for (order, argv) in commands.into_iter().enumerate() {
            let name = argv.as_argv().get(0).unwrap_or_default();
            let command = shard::commands::find(name).expect("a step consists of commands");
            let shard = router::shard_of(self.core, argv.as_argv().get(1));
            let (db, client) = (self.db, self.caller.client);
            let (orders, calls) = by_shard.entry(shard).or_default();
            orders.push(order);
            calls.push(OwnedCall { command, argv, db, resp: Resp::V2, client });
        }
        let asks: Vec<_> = by_shard
            .into_iter()
            .map(|(shard, (orders, calls))| {
                (self.core.start_ask(shard, Question::RunAll(calls)), orders)
            })
            .collect();
        for (ask, orders) in asks {
            let Answer::Replies(answered) = ask.await else {
                unreachable!("replies were asked for")
            };
            for (order, answer) in orders.into_iter().zip(answered) {
                replies[order] = answer;
            }
        }
        replies
    }

    /// Tries the keys in the order of the arguments.
    async fn first_of(&self, empty: fn(&mut Writer<'_>), reply: &mut Vec<u8>) -> Ran {
        let Run::FirstOf { check, timeout, .. } = shard_run(self.command) else {
            unreachable!("the form was matched")
        };
        check(Args::new(self.argv))?;
        if let Some(timeout) = timeout {
            timeout(Args::new(self.argv))?;
        }
        for (index, shard) in router::keys(self.core, self.command, self.argv) {
            let question = Question::TryServe(self.whole_call(), index);
            let part = reply_of(self.core.ask(shard, question).await);
            if !part.is_empty() {
                reply.extend_from_slice(&part);
                return Ok(outcome_of(&part));
            }
        }
        if timeout.is_some() {
            return Ok(Outcome::Blocked);
        }
        empty(&mut Writer::new(reply, self.caller.resp));
        Ok(Outcome::Replied)
    }

    /// Moves an element from the first key to the second.
    async fn transfer(&self, transfer: Transfer, reply: &mut Vec<u8>) -> Ran {
        let args = Args::new(self.argv);
        let take = (transfer.take)(args)?;
        if let Some(timeout) = transfer.timeout {
            timeout(args)?;
        }
        let keys = router::keys(self.core, self.command, self.argv);
        let &[(source, source_shard), (target, target_shard)] = &keys[..] else {
            unreachable!("an element goes from one key to another")
        };
        if source_shard == target_shard {
            let start = reply.len();
            let outcome = self.at(source_shard, reply).await?;
            return Ok(if reply.len() == start { Outcome::Blocked } else { outcome });
        }
        let ask =
            |shard, key| self.core.start_ask(shard, Question::Pieces(self.whole_call(), vec![key]));
        let (of_source, of_target) = (ask(source_shard, source), ask(target_shard, target));
        let (of_source, of_target) = (of_source.await, of_target.await);
        if only_piece(of_source)? == Piece::Missing {
            if transfer.timeout.is_some() {
                return Ok(Outcome::Blocked);
            }
            (transfer.empty)(&mut Writer::new(reply, self.caller.resp));
            return Ok(Outcome::Replied);
        }
        only_piece(of_target)?;
        let taken = self.run_at(source_shard, take).await;
        let Some(element) = parse::bulk(&taken) else {
            reply.extend_from_slice(&taken);
            return Ok(outcome_of(&taken));
        };
        let given = self.run_at(target_shard, (transfer.give)(args, element)?).await;
        let part = if parse::is_error(&given) { given } else { taken };
        reply.extend_from_slice(&part);
        Ok(outcome_of(&part))
    }

    /// Runs another command at one shard, for the client of this one.
    async fn run_at(&self, shard: usize, argv: ArgvBuf) -> Vec<u8> {
        let name = argv.as_argv().get(0).expect("a command has a name");
        let command =
            shard::commands::find(name).expect("commands are replaced by some that exist");
        let Caller { resp, client } = self.caller;
        let call = OwnedCall { command, argv, db: self.db, resp, client };
        reply_of(self.core.ask(shard, Question::Run(call)).await)
    }

    /// SCAN: shard after shard, the cursor says which. As on one shard, a step goes on until it has visited COUNT keys,
    /// so that a small dataset comes whole.
    async fn scan(&self, reply: &mut Vec<u8>) -> Ran {
        let shard_count = self.core.shared.shard_count();
        let first = scan::cursor_shard(self.argv, shard_count)?;
        let wanted_count = scan::count(self.argv);
        let mut keys = Vec::new();
        let mut key_count = 0;
        for shard in first..shard_count {
            let mut argv = ArgvBuf::from_argv(self.argv);
            if shard > first {
                argv.set(1, b"0");
            }
            let mut part = reply_of(self.core.ask(shard, Question::Run(self.call(argv))).await);
            if outcome_of(&part) == Outcome::Failed {
                reply.extend_from_slice(&part);
                return Ok(Outcome::Failed);
            }
            scan::globalize_cursor(&mut part, 0, shard, shard_count);
            let mut halves = elements(&part);
            let cursor = halves.next().expect("SCAN answers a cursor and keys").to_vec();
            let found = halves.next().expect("SCAN answers a cursor and keys");
            for key in elements(found) {
                keys.extend_from_slice(key);
                key_count += 1;
            }
            let is_shard_done = scan::cursor_shard_of(&cursor) != Some(shard);
            if !is_shard_done || key_count >= wanted_count || shard + 1 == shard_count {
                let mut writer = Writer::new(reply, self.caller.resp);
                writer.array(2);
                writer.raw(&cursor);
                writer.array(key_count);
                writer.raw(&keys);
                break;
            }
        }
        Ok(Outcome::Replied)
    }

    /// RANDOMKEY: a shard chosen by how many keys it has, then the others.
    async fn any_shard(&self, reply: &mut Vec<u8>) -> Ran {
        let question = |_| Question::Core(crate::message::CoreQuestion::KeyCount(self.db));
        let counts = self.core.ask_all(question).await;
        let counts: Vec<usize> = counts
            .into_iter()
            .map(|answer| match answer {
                Answer::Count(count) => count as usize,
                _ => 0,
            })
            .collect();
        let total: usize = counts.iter().sum();
        let mut rest = if total == 0 { 0 } else { self.core.random_below(total) };
        let mut chosen = self.core.id;
        for (shard, count) in counts.iter().enumerate() {
            if rest < *count {
                chosen = shard;
                break;
            }
            rest -= count;
        }
        self.at(chosen, reply).await
    }
}

/// The piece of the one key that was asked for.
fn only_piece(answer: Answer) -> Result<Piece, CommandError> {
    let Answer::Pieces(pieces) = answer else { unreachable!("pieces were asked for") };
    Ok(pieces?.pop().expect("one piece for each key"))
}

fn reply_of(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Reply(reply) => reply,
        _ => unreachable!("a reply was asked for"),
    }
}

/// The elements of an encoded array; none of anything else.
fn elements(encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    parse::elements(encoded).into_iter().flatten().flatten()
}

fn outcome_of(reply: &[u8]) -> Outcome {
    if reply.first() == Some(&b'-') { Outcome::Failed } else { Outcome::Replied }
}

/// Makes one reply of several; the first error wins. With each part the places of its keys among all keys.
fn merge_replies(
    merge: Merge,
    resp: Resp,
    parts: &[(Vec<u8>, Vec<usize>)],
    reply: &mut Vec<u8>,
) -> Outcome {
    if let Some((error, _)) = parts.iter().find(|(part, _)| outcome_of(part) == Outcome::Failed) {
        reply.extend_from_slice(error);
        return Outcome::Failed;
    }
    let mut writer = Writer::new(reply, resp);
    match merge {
        Merge::AllOk => writer.ok(),
        Merge::Sum => {
            let counts = parts.iter().filter_map(|(part, _)| parse::integer(part).ok());
            writer.integer(counts.sum());
        }
        Merge::Concat => {
            writer.array(parts.iter().map(|(part, _)| elements(part).count()).sum());
            parts.iter().flat_map(|(part, _)| elements(part)).for_each(|one| writer.raw(one));
        }
        Merge::ByKey => {
            let key_count = parts.iter().map(|(_, orders)| orders.len()).sum();
            let mut by_key: Vec<&[u8]> = vec![b""; key_count];
            for (part, orders) in parts {
                for (order, element) in orders.iter().zip(elements(part)) {
                    by_key[*order] = element;
                }
            }
            writer.array(key_count);
            by_key.into_iter().for_each(|element| writer.raw(element));
        }
    }
    Outcome::Replied
}
