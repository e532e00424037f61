//! Commands over several shards that need more than one step: one function per form of `shard::commands::Run`.

use super::parts::elements;
use super::steps::in_order;
use super::{Held, Ran, Several, outcome_of, reply_of};
use crate::core::{self, Caller};
use crate::message::{Answer, OwnedCall, Question};
use crate::reading::{self, Reading};
use crate::router;
use crate::transaction::held::{Wanted, ask_all};
use protocol::reply::{Resp, Writer, parse};
use protocol::request::ArgvBuf;
use shard::args::Args;
use shard::commands::key::scan;
use shard::commands::{Gathered, KeyWrite, Piece, PlanFn, Run, Steps, Transfer};
use shard::{CommandError, Outcome};
use std::collections::BTreeMap;

impl Several<'_> {
    /// Runs the command under the locks of the transaction around it, or under its own.
    pub(super) async fn run_in_steps(&self, held: &mut Option<Held>, reply: &mut Vec<u8>) -> Ran {
        match self.command.run {
            Run::GatherWrite { plan, .. } => self.gather_write(plan, held.as_ref(), reply).await,
            Run::Steps(steps) => self.steps(steps, held.as_ref(), reply).await,
            Run::FirstOf { .. } => self.first_of(held, reply).await,
            Run::Transfer(transfer) => self.transfer(transfer, held, reply).await,
            Run::AllOf { .. } => self.all_of(held.as_ref(), reply).await,
            Run::Scan(_) => self.scan(held.as_ref(), reply).await,
            _ => unreachable!("every other form is done in one step"),
        }
    }

    /// All keys serve at once. A client that may wait is not made to: it is in the middle of a transaction.
    async fn all_of(&self, held: Option<&Held>, reply: &mut Vec<u8>) -> Ran {
        let Several { core, registered, db, argv, caller, .. } = *self;
        match reading::run(core, registered, db, argv, caller, held, reply).await {
            Reading::Done(outcome) => Ok(outcome),
            Reading::Waits(_) => Ok(Outcome::Blocked),
        }
    }

    /// What the command wants of each shard of its keys.
    fn wanted(&self, keys: &[(usize, usize)]) -> BTreeMap<usize, Wanted> {
        let mut wanted: BTreeMap<usize, Wanted> = BTreeMap::new();
        let shards: Vec<usize> = match self.reaches_anywhere() {
            true => (0..self.core.shared.shard_count()).collect(),
            false => keys.iter().map(|(_, shard)| *shard).collect(),
        };
        for shard in shards {
            wanted.entry(shard).or_insert_with(|| {
                let is_there = |key: &[u8]| router::shard_of(self.core, Some(key)) == shard;
                let claims = core::claims(self.command, self.argv, is_there);
                Wanted { claims, then: None }
            });
        }
        wanted
    }

    /// Asks for the pieces of all keys, and for their locks if the transaction around does not hold them; the locks of
    /// the command's own come back with the pieces. The error is that there are none to be had.
    async fn locked_pieces(
        &self,
        held: Option<&Held>,
    ) -> Result<(Option<Held>, Result<Vec<Piece>, CommandError>), CommandError> {
        let keys = self.keys();
        let (parts, orders) = self.pieces(&keys);
        let (own, answers) = match held {
            Some(held) => (None, ask_all(self.core, parts, Some(held)).await),
            None => {
                let mut wanted = self.wanted(&keys);
                let shards: Vec<usize> = parts.iter().map(|(shard, _)| *shard).collect();
                for (shard, question) in parts {
                    wanted.entry(shard).or_default().then = Some(question);
                }
                let all: Vec<usize> = wanted.keys().copied().collect();
                let (own, answers) = Held::acquire(self.core, wanted).await?;
                let asked = all.into_iter().zip(answers);
                let answers = asked.filter(|(shard, _)| shards.contains(shard));
                (Some(own), answers.map(|(_, answer)| answer).collect())
            }
        };
        Ok((own, in_order(answers, orders)))
    }

    /// Each shard writes its part, which is the last thing under the command's own locks.
    async fn write_last(&self, writes: &[KeyWrite], own: Option<Held>, held: Option<&Held>) {
        let mut by_shard: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for write in writes {
            let shard = router::shard_of(self.core, self.argv.get(write.key_index));
            by_shard.entry(shard).or_default().push(write.clone());
        }
        let writes = by_shard
            .into_iter()
            .map(|(shard, writes)| (shard, Question::Apply(self.whole_call(), writes)));
        match own {
            Some(own) => drop(own.ask_last(self.core, writes.collect()).await),
            None => drop(ask_all(self.core, writes, held).await),
        }
    }

    /// Reads the pieces of all keys, computes what is to be written, and writes that.
    async fn gather_write(&self, plan: PlanFn, held: Option<&Held>, reply: &mut Vec<u8>) -> Ran {
        let (own, pieces) = self.locked_pieces(held).await?;
        let now = self.core.now();
        let options = self.core.shard().options().clone();
        let result = pieces.and_then(|pieces| {
            let mut writer = Writer::new(reply, self.caller.resp);
            plan(&options, now, self.db, Args::new(self.argv), pieces, &mut writer)
        });
        let writes = result.as_ref().map_or(&[][..], Vec::as_slice);
        self.write_last(writes, own, held).await;
        result.map(|_| Outcome::Replied)
    }

    /// Pieces, then other commands on single keys, then what is to be written.
    async fn steps(&self, steps: Steps, held: Option<&Held>, reply: &mut Vec<u8>) -> Ran {
        let (own, pieces) = self.locked_pieces(held).await?;
        let locks = own.as_ref().or(held).expect("locks are its own or those around it");
        let result = self.middle_and_end(steps, pieces, locks, reply).await;
        let writes = result.as_ref().map_or(&[][..], Vec::as_slice);
        self.write_last(writes, own, held).await;
        result.map(|_| Outcome::Replied)
    }

    async fn middle_and_end(
        &self,
        steps: Steps,
        pieces: Result<Vec<Piece>, CommandError>,
        locks: &Held,
        reply: &mut Vec<u8>,
    ) -> Result<Vec<KeyWrite>, CommandError> {
        let args = Args::new(self.argv);
        let pieces = pieces?;
        let replies = self.run_all((steps.next)(args, &pieces)?, locks).await;
        let gathered = Gathered { pieces, replies };
        let options = self.core.shard().options().clone();
        let mut writer = Writer::new(reply, self.caller.resp);
        (steps.finish)(&options, self.db, args, gathered, &mut writer)
    }

    /// Runs other commands for the client of this one, each at the shard of its first argument, and returns the
    /// replies in their order, in version 2 of the protocol.
    async fn run_all(&self, commands: Vec<ArgvBuf>, locks: &Held) -> Vec<Vec<u8>> {
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
        let (mut questions, mut all_orders) = (Vec::new(), Vec::new());
        for (shard, (orders, calls)) in by_shard {
            questions.push((shard, Question::RunAll(calls)));
            all_orders.push(orders);
        }
        let answers = ask_all(self.core, questions, Some(locks)).await;
        for (answer, orders) in answers.into_iter().zip(all_orders) {
            let Answer::Replies(answered) = answer else { unreachable!("replies were asked for") };
            for (order, answer) in orders.into_iter().zip(answered) {
                replies[order] = answer;
            }
        }
        replies
    }

    /// Tries the keys in the order of the arguments.
    async fn first_of(&self, held: &mut Option<Held>, reply: &mut Vec<u8>) -> Ran {
        let Run::FirstOf { check, timeout, empty, .. } = self.command.run else {
            unreachable!("the form was matched")
        };
        check(Args::new(self.argv))?;
        if let Some(timeout) = timeout {
            timeout(Args::new(self.argv))?;
        }
        let keys = self.keys();
        let is_around = held.is_some();
        let locks = match held.take() {
            Some(around) => around,
            None => Held::acquire(self.core, self.wanted(&keys)).await?.0,
        };
        let mut outcome = Outcome::Blocked;
        for (index, shard) in keys {
            let question = Question::TryServe(self.whole_call(), index);
            let part = reply_of(self.core.start_ask(shard, locks.under(question)).await);
            outcome = outcome_of(&part);
            if outcome != Outcome::Blocked {
                reply.extend_from_slice(&part);
                break;
            }
        }
        if outcome == Outcome::Blocked && timeout.is_none() {
            empty(&mut Writer::new(reply, self.caller.resp));
            outcome = Outcome::Replied;
        }
        // Who is to wait must be entered before anybody else may change one of the keys.
        if is_around || outcome == Outcome::Blocked {
            *held = Some(locks);
        } else {
            locks.release(self.core);
        }
        Ok(outcome)
    }

    /// Moves an element from the first key to the second.
    async fn transfer(
        &self,
        transfer: Transfer,
        held: &mut Option<Held>,
        reply: &mut Vec<u8>,
    ) -> Ran {
        let args = Args::new(self.argv);
        let take = (transfer.take)(args)?;
        if let Some(timeout) = transfer.timeout {
            timeout(args)?;
        }
        let keys = self.keys();
        let &[(_, source), (_, target)] = &keys[..] else {
            unreachable!("an element goes from one key to another")
        };
        let is_around = held.is_some();
        let (parts, orders) = self.pieces(&keys);
        let (locks, answers) = match held.take() {
            Some(around) => {
                let answers = ask_all(self.core, parts, Some(&around)).await;
                (around, answers)
            }
            None => {
                let mut wanted = self.wanted(&keys);
                for (shard, question) in parts {
                    wanted.entry(shard).or_default().then = Some(question);
                }
                Held::acquire(self.core, wanted).await?
            }
        };
        let result = self.move_element(transfer, take, (source, target), answers, orders, &locks);
        let result = result.await.map(|part| {
            reply.extend_from_slice(&part);
            outcome_of(&part)
        });
        let result = match result {
            Ok(Outcome::Blocked) if transfer.timeout.is_none() => {
                (transfer.empty)(&mut Writer::new(reply, self.caller.resp));
                Ok(Outcome::Replied)
            }
            result => result,
        };
        // Who is to wait must be entered before anybody else may change one of the keys.
        if is_around || matches!(result, Ok(Outcome::Blocked)) {
            *held = Some(locks);
        } else {
            locks.release(self.core);
        }
        result
    }

    /// Takes the element out and puts it in, both keys being locked; the reply is empty if there is none.
    async fn move_element(
        &self,
        transfer: Transfer,
        take: ArgvBuf,
        (source, target): (usize, usize),
        answers: Vec<Answer>,
        orders: Vec<Vec<usize>>,
        locks: &Held,
    ) -> Result<Vec<u8>, CommandError> {
        let of_source = orders.iter().position(|orders| orders.contains(&0)).unwrap_or_default();
        let mut pieces = Vec::with_capacity(2);
        for answer in answers {
            let Answer::Pieces(answered) = answer else { unreachable!("pieces were asked for") };
            pieces.push(answered.map_err(|(_, error)| error));
        }
        let piece_of_source = pieces.swap_remove(of_source)?;
        if piece_of_source.first() == Some(&Piece::Missing) {
            return Ok(Vec::new());
        }
        // An error of the target counts only if there is something to move.
        let _ = pieces.pop().unwrap_or(Ok(Vec::new()))?;
        let taken = self.run_at(source, take, locks).await;
        let Some(element) = parse::bulk(&taken) else { return Ok(taken) };
        let give = (transfer.give)(Args::new(self.argv), element)?;
        let given = self.run_at(target, give, locks).await;
        Ok(if parse::is_error(&given) { given } else { taken })
    }

    /// Runs another command at one shard, for the client of this one.
    async fn run_at(&self, shard: usize, argv: ArgvBuf, locks: &Held) -> Vec<u8> {
        let name = argv.as_argv().get(0).expect("a command has a name");
        let command =
            shard::commands::find(name).expect("commands are replaced by some that exist");
        let Caller { resp, client } = self.caller;
        let call = OwnedCall { command, argv, db: self.db, resp, client };
        reply_of(self.core.start_ask(shard, locks.under(Question::Run(call))).await)
    }

    /// SCAN: shard after shard, the cursor says which. As on one shard, a step goes on until it has visited COUNT keys,
    /// so that a small dataset comes whole.
    async fn scan(&self, held: Option<&Held>, reply: &mut Vec<u8>) -> Ran {
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
            let part = vec![(shard, Question::Run(self.call(argv)))];
            let answer = ask_all(self.core, part, held).await.pop();
            let mut part = answer.map(reply_of).unwrap_or_default();
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
}

/// Whether an answer says yes.
pub(super) fn is_yes(answer: &Answer) -> bool {
    matches!(answer, Answer::Done(true))
}
