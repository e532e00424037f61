//! Locks that one transaction holds on several shards, from its first step to its last.
//!
//! Path: `forms`, `exec` -> here -> `core::locking` on every shard. All locks are asked for in one flush, so that shards
//! see the transactions of all cores in one order, and none waits for a later one.

use crate::core::Core;
use crate::message::{Answer, Message, Notice, Question, TransactionId};
use shard::locks::{Claims, Mode};
use shard::{CommandError, Now};
use std::collections::BTreeMap;

/// The locks of one transaction. They must be given back: by [`Held::ask_last`], or by [`Held::release`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Held {
    id: TransactionId,
    /// Where it holds locks.
    shards: Vec<usize>,
    /// The moment of the script that runs under these locks.
    now: Option<Now>,
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
    ///
    /// # Errors
    /// BUSY, if a script holds one of them for too long. Then nothing is held.
    pub(crate) async fn acquire(
        core: &Core,
        wanted: BTreeMap<usize, Wanted>,
    ) -> Result<(Held, Vec<Answer>), CommandError> {
        // Only who asks for nothing but locks may be told to ask anew.
        let again: Vec<(usize, Claims)> = match is_repeatable(&wanted) {
            true => wanted.iter().map(|(shard, wanted)| (*shard, wanted.claims.clone())).collect(),
            false => Vec::new(),
        };
        let mut tried = Held::try_acquire(core, wanted).await;
        loop {
            match tried {
                Ok(acquired) => return Ok(acquired),
                Err(Answer::Refused(text)) => return Err(CommandError::text(text)),
                Err(_) => {
                    let wanted = |(shard, claims): &(usize, Claims)| {
                        (*shard, Wanted { claims: claims.clone(), then: None })
                    };
                    let wanted = again.iter().map(wanted).collect();
                    tried = Held::try_acquire(core, wanted).await;
                }
            }
        }
    }

    /// Asks for locks once. The error is the answer of a shard that does not give them; then nothing is held.
    async fn try_acquire(
        core: &Core,
        wanted: BTreeMap<usize, Wanted>,
    ) -> Result<(Held, Vec<Answer>), Answer> {
        let held = Held {
            id: core.next_transaction(),
            shards: wanted.keys().copied().collect(),
            now: None,
        };
        let is_repeatable = is_repeatable(&wanted);
        let ask = |(shard, Wanted { claims, then })| {
            let then = then.map(Box::new);
            core.start_ask(shard, Question::Lock { id: held.id, claims, then, is_repeatable })
        };
        let asks: Vec<_> = wanted.into_iter().map(ask).collect();
        let mut answers = Vec::with_capacity(asks.len());
        let mut refusal = None;
        for ask in asks {
            match ask.await {
                answer @ (Answer::Refused(_) | Answer::Again) => {
                    if refusal.is_none() {
                        // Who must go first may wait for what is held, or will be: all of it goes back at once.
                        held.let_go(core);
                    }
                    if !matches!(refusal, Some(Answer::Refused(_))) {
                        refusal = Some(answer);
                    }
                }
                answer => answers.push(answer),
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok((held, answers)),
        }
    }

    /// Takes the locks of all shards for a script that holds its own shard under `id` and has written there; `touched` is
    /// all that it has touched.
    ///
    /// # Errors
    /// The text of the error, if somebody waits for what it has touched who may have been elsewhere already. Then the
    /// script holds its own shard as before.
    pub(crate) async fn widen(
        core: &Core,
        id: TransactionId,
        touched: Claims,
    ) -> Result<Held, &'static str> {
        let own = core.start_ask(core.id, Question::Widen { id, touched });
        let others: Vec<usize> =
            (0..core.shared.shard_count()).filter(|shard| *shard != core.id).collect();
        let lock = || {
            let claims = Claims::whole(Mode::Exclusive);
            Question::Lock { id, claims, then: None, is_repeatable: false }
        };
        let asks: Vec<_> = others.iter().map(|shard| core.start_ask(*shard, lock())).collect();
        let mut refusal = refusal_of(&own.await);
        if refusal.is_some() {
            // Who waits for this script may hold what it asks for: it must not wait for that.
            let held = Held { id, shards: others.clone(), now: None };
            held.release(core);
        }
        let is_given_up = refusal.is_some();
        let mut held = Held { id, shards: Vec::with_capacity(others.len() + 1), now: None };
        for (shard, ask) in others.into_iter().zip(asks) {
            match refusal_of(&ask.await) {
                Some(text) => refusal = Some(text),
                None => held.shards.push(shard),
            }
        }
        match refusal {
            None => {
                held.shards.push(core.id);
                Ok(held)
            }
            Some(text) => {
                if !is_given_up {
                    held.release(core);
                }
                Err(text)
            }
        }
    }

    /// A question for a shard whose locks are held.
    pub(crate) fn under(&self, question: Question) -> Question {
        let then = Some(Box::new(question));
        Question::Under { id: self.id, then, now: self.now, is_last: false }
    }

    /// All that is asked from now on happens at `now`, or when it happens.
    pub(crate) fn set_moment(&mut self, now: Option<Now>) {
        self.now = now;
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
                    let now = self.now;
                    let last = Question::Under { id: self.id, then, now, is_last: true };
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
        self.let_go(core);
    }

    fn let_go(&self, core: &Core) {
        for shard in &self.shards {
            core.post_in_turn(*shard, Message::Tell(Box::new(Notice::Release(self.id))));
        }
    }
}

/// Whether a request for locks asks for nothing else, so that it can be made again.
fn is_repeatable(wanted: &BTreeMap<usize, Wanted>) -> bool {
    wanted.values().all(|wanted| wanted.then.is_none())
}

/// Why a lock was refused, if it was.
fn refusal_of(answer: &Answer) -> Option<&'static str> {
    match answer {
        Answer::Refused(text) => Some(text),
        _ => None,
    }
}
