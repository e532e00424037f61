//! Commands as questions that can all be asked at one moment, and what becomes of the answers.

use super::parts::{Parts, merge_replies};
use super::{Ran, Several, outcome_of, reply_of};
use crate::message::{Answer, CoreQuestion, Question};
use protocol::reply::Writer;
use protocol::request::ArgvBuf;
use shard::args::Args;
use shard::commands::{FinishFn, Merge, Piece, Run};
use shard::shard::serving::KeyError;
use shard::{CommandError, Outcome};
use std::collections::BTreeMap;

/// A command that is done in one step.
pub(super) struct Step {
    /// Whom to ask what, by shard.
    pub(super) parts: Vec<(usize, Question)>,
    /// What becomes of the answers, which stand in the order of the parts.
    pub(super) finish: Finish,
}

/// How the answers of a step become one reply.
pub(super) enum Finish {
    /// There is one, and it is the reply.
    Whole,
    /// Each is a reply; with each the places of its keys among all keys.
    Merge(Merge, Vec<Vec<usize>>),
    /// Each holds the pieces of the keys at these places.
    Pieces(FinishFn, Vec<Vec<usize>>),
    /// Each is a number of keys and a reply: one is chosen.
    Choose,
}

impl Several<'_> {
    /// The command as one step; `None` if it has to know an answer before it can ask the next question.
    pub(super) fn step(&self) -> Option<Step> {
        let keys = self.keys();
        let first_shard = keys.first().map_or(self.core.id, |(_, shard)| *shard);
        let is_alone = self.core.shared.shard_count() == 1;
        let has_one_home = is_alone
            || !self.reaches_anywhere() && keys.iter().all(|(_, shard)| *shard == first_shard);
        match self.command.run {
            Run::EveryShard { .. } | Run::Scan(_) | Run::AnyShard(_) if is_alone => {
                Some(self.whole_at(first_shard))
            }
            Run::EveryShard { merge, .. } => Some(self.every_shard(merge)),
            Run::AnyShard(_) => Some(self.any_shard()),
            Run::Scan(_) => None,
            // One shard may run it whole, or say what is wrong with it.
            _ if has_one_home => Some(self.whole_at(first_shard)),
            Run::Split { merge, .. } => Some(self.split(merge, first_shard)),
            Run::Gather { finish, .. } => {
                let (parts, orders) = self.pieces(&keys);
                Some(Step { parts, finish: Finish::Pieces(finish, orders) })
            }
            Run::Read(_) | Run::Write(_) => Some(self.whole_at(first_shard)),
            Run::GatherWrite { .. }
            | Run::Steps(_)
            | Run::FirstOf { .. }
            | Run::AllOf { .. }
            | Run::Transfer(_) => None,
        }
    }

    fn whole_at(&self, shard: usize) -> Step {
        let parts = vec![(shard, Question::Run(self.whole_call()))];
        Step { parts, finish: Finish::Whole }
    }

    /// Every shard runs the whole command.
    fn every_shard(&self, merge: Merge) -> Step {
        let shards = 0..self.core.shared.shard_count();
        let parts: Vec<_> = shards.map(|shard| (shard, Question::Run(self.whole_call()))).collect();
        let orders = vec![Vec::new(); parts.len()];
        Step { parts, finish: Finish::Merge(merge, orders) }
    }

    /// Each shard says how many keys it has and what it would answer.
    fn any_shard(&self) -> Step {
        let shards = 0..self.core.shared.shard_count();
        let question = |shard| {
            let count = Question::Core(CoreQuestion::KeyCount(self.db));
            (shard, Question::All(vec![count, Question::Run(self.whole_call())]))
        };
        Step { parts: shards.map(question).collect(), finish: Finish::Choose }
    }

    /// Each shard runs the command with its own keys.
    fn split(&self, merge: Merge, first_shard: usize) -> Step {
        let Some(split) = Parts::of(self.core, self.registered, self.argv) else {
            // A value is missing: one shard says so, and none writes.
            return self.whole_at(first_shard);
        };
        let shards = split.shards();
        let part = |shard: &usize| {
            let argv: ArgvBuf = split.args(*shard).collect();
            (*shard, Question::Run(self.call(argv)))
        };
        let orders = shards.iter().map(|shard| split.orders(*shard).collect()).collect();
        Step { parts: shards.iter().map(part).collect(), finish: Finish::Merge(merge, orders) }
    }

    /// The questions for the pieces of all keys, with the places of the keys of each.
    pub(super) fn pieces(
        &self,
        keys: &[(usize, usize)],
    ) -> (Vec<(usize, Question)>, Vec<Vec<usize>>) {
        let mut by_shard: BTreeMap<usize, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (order, (index, shard)) in keys.iter().enumerate() {
            let (indices, orders) = by_shard.entry(*shard).or_default();
            indices.push(*index);
            orders.push(order);
        }
        let (mut parts, mut all_orders) = (Vec::new(), Vec::new());
        for (shard, (indices, orders)) in by_shard {
            parts.push((shard, Question::Pieces(self.whole_call(), indices)));
            all_orders.push(orders);
        }
        (parts, all_orders)
    }

    /// Whether the command can be put as one step.
    pub(super) fn is_one_step(&self) -> bool {
        let is_alone = self.core.shared.shard_count() == 1;
        match self.command.run {
            Run::Scan(_) => is_alone,
            Run::Steps(_) if self.reaches_anywhere() => is_alone,
            Run::GatherWrite { .. }
            | Run::Steps(_)
            | Run::FirstOf { .. }
            | Run::AllOf { .. }
            | Run::Transfer(_) => {
                let keys = self.keys();
                is_alone || keys.iter().all(|(_, shard)| *shard == keys[0].1)
            }
            _ => true,
        }
    }

    /// Makes one reply of the answers.
    pub(super) fn finish(&self, finish: Finish, answers: Vec<Answer>, reply: &mut Vec<u8>) -> Ran {
        match finish {
            Finish::Whole => {
                let part = answers.into_iter().next().map(reply_of).unwrap_or_default();
                reply.extend_from_slice(&part);
                Ok(outcome_of(&part))
            }
            Finish::Merge(merge, orders) => {
                let answers: Vec<_> = answers.into_iter().map(reply_of).collect();
                let parts = answers.iter().map(Vec::as_slice).zip(orders.iter().map(Vec::as_slice));
                Ok(merge_replies(merge, self.caller.resp, &parts.collect::<Vec<_>>(), reply))
            }
            Finish::Pieces(finish, orders) => {
                let pieces = in_order(answers, orders)?;
                let mut writer = Writer::new(reply, self.caller.resp);
                let options = self.core.shard().options().clone();
                finish(&options, Args::new(self.argv), &pieces, &mut writer)?;
                Ok(Outcome::Replied)
            }
            Finish::Choose => {
                let part = self.choose(answers);
                reply.extend_from_slice(&part);
                Ok(outcome_of(&part))
            }
        }
    }

    /// The reply of one shard, chosen by how many keys it has.
    fn choose(&self, answers: Vec<Answer>) -> Vec<u8> {
        let mut replies: Vec<(usize, Vec<u8>)> = answers.into_iter().map(counted_reply).collect();
        let total: usize = replies.iter().map(|(count, _)| count).sum();
        let mut rest = if total == 0 { 0 } else { self.core.random_below(total) };
        let chosen = replies.iter().position(|(count, _)| {
            let is_it = rest < *count;
            rest = rest.saturating_sub(*count);
            is_it
        });
        replies.swap_remove(chosen.unwrap_or_default()).1
    }
}

fn counted_reply(answer: Answer) -> (usize, Vec<u8>) {
    let Answer::All(both) = answer else { unreachable!("two things were asked for") };
    let Ok([Answer::Count(count), reply]) = <[Answer; 2]>::try_from(both) else {
        unreachable!("a number and a reply were asked for")
    };
    (count as usize, reply_of(reply))
}

/// The pieces in the order of the keys, from answers that hold those at the places in `orders`. The error of the first
/// key wins.
pub(super) fn in_order(
    answers: Vec<Answer>,
    orders: Vec<Vec<usize>>,
) -> Result<Vec<Piece>, CommandError> {
    let mut pieces = vec![Piece::Missing; orders.iter().map(Vec::len).sum()];
    let mut first_error: Option<KeyError> = None;
    for (answer, orders) in answers.into_iter().zip(orders) {
        let Answer::Pieces(answered) = answer else { unreachable!("pieces were asked for") };
        match answered {
            Ok(answered) => {
                for (order, piece) in orders.into_iter().zip(answered) {
                    pieces[order] = piece;
                }
            }
            Err((place, error)) => {
                let order = orders[place];
                if first_error.as_ref().is_none_or(|(first, _)| order < *first) {
                    first_error = Some((order, error));
                }
            }
        }
    }
    match first_error {
        Some((_, error)) => Err(error),
        None => Ok(pieces),
    }
}
