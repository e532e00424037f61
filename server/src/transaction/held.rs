//! Locks that one transaction holds on several shards, from its first step to its last.
//!
//! Path: `forms`, `exec` -> here -> `core::locking` on every shard. All locks are asked for in one flush, so that shards
//! see the transactions of all cores in one order, and none waits for a later one.

use crate::core::Core;
use crate::message::{Answer, Message, Notice, Question, TransactionId};
use shard::locks::Claims;
use std::collections::BTreeMap;

/// The locks of one transaction. They must be given back: by [`Held::ask_last`], or by [`Held::release`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Held {
    id: TransactionId,
    /// Where it holds locks.
    shards: Vec<usize>,
}

/// Asks all questions at one moment; the answers stand in their order.
pub(crate) async fn ask_all(
    core: &Core,
    questions: impl IntoIterator<Item = (usize, Question)>,
    held: Option<&Held>,
) -> Vec<Answer> {
    let ask = |(shard, question)| {
        let question = match held {
            Some(held) => held.under(question),
            None => question,
        };
        core.start_ask(shard, question)
    };
    let asks: Vec<_> = questions.into_iter().map(ask).collect();
    let mut answers = Vec::with_capacity(asks.len());
    for ask in asks {
        answers.push(ask.await);
    }
    answers
}

/// What a transaction wants of one shard: its locks, and what it asks as soon as it has them.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The locks.
    pub(crate) claims: Claims,
    /// The question.
    pub(crate) then: Option<Question>,
}

impl Held {
    /// Asks all shards in `wanted` for their locks, and waits until all are granted; the answers stand in the order of
    /// the shards.
    pub(crate) async fn acquire(
        core: &Core,
        wanted: BTreeMap<usize, Wanted>,
    ) -> (Held, Vec<Answer>) {
        let held = Held { id: core.next_transaction(), shards: wanted.keys().copied().collect() };
        let ask = |(shard, Wanted { claims, then })| {
            let then = then.map(Box::new);
            core.start_ask(shard, Question::Lock { id: held.id, claims, then })
        };
        let asks: Vec<_> = wanted.into_iter().map(ask).collect();
        let mut answers = Vec::with_capacity(asks.len());
        for ask in asks {
            answers.push(ask.await);
        }
        (held, answers)
    }

    /// A question for a shard whose locks are held.
    pub(crate) fn under(&self, question: Question) -> Question {
        Question::Under { id: self.id, then: Some(Box::new(question)), is_last: false }
    }

    /// Asks the last questions, gives back all locks with them, and waits for the answers, which stand in the order of
    /// the shards asked.
    pub(crate) async fn ask_last(
        self,
        core: &Core,
        mut questions: BTreeMap<usize, Question>,
    ) -> Vec<Answer> {
        let mut asks = Vec::with_capacity(questions.len());
        for shard in self.shards {
            match questions.remove(&shard) {
                Some(question) => {
                    let then = Some(Box::new(question));
                    let last = Question::Under { id: self.id, then, is_last: true };
                    asks.push(core.start_ask(shard, last));
                }
                None => core.post_in_turn(shard, Message::Tell(Box::new(Notice::Release(self.id)))),
            }
        }
        debug_assert!(questions.is_empty(), "a transaction asks only where it holds locks");
        let mut answers = Vec::with_capacity(asks.len());
        for ask in asks {
            answers.push(ask.await);
        }
        answers
    }

    /// Gives back all locks.
    pub(crate) fn release(self, core: &Core) {
        for shard in self.shards {
            core.post_in_turn(shard, Message::Tell(Box::new(Notice::Release(self.id))));
        }
    }
}
