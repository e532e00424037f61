//! The locks of two shards and three transactions, explored in every order in which things can happen.
//!
//! The shards' locks are the real ones (`shard::locks`); modelled is what the server adds: requests leave in flushes that
//! every shard handles in one order, each at its own pace; a transaction that has all its locks goes on whenever it
//! likes. Checked is, in every situation: nobody has a lock that conflicts with another's; at every end: everybody has
//! come to an end, and no lock is left; on every way: transactions that meet on both shards have their effects in the same
//! order on both.

use shard::locks::{Claims, LockId, Locks, Mode};
use std::collections::{BTreeMap, BTreeSet, HashSet};

const SHARDS: usize = 2;

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It has its effect on each shard as soon as it may (MSET, a transaction of such commands).
    OneStep,
    /// It locks, and has its effect on all shards in a later step (RENAME, EXEC over several shards).
    Locking,
    /// The same, and it asks for nothing but its locks before it has them all: it may be told to ask anew (EXEC without
    /// watched keys, a script).
    Repeatable,
    /// It locks, finds that it needs more, gives back its locks and locks both shards whole (a script that uses keys it
    /// has not declared).
    Undeclared,
    /// It writes on the first shard at once, alone there; only then it finds that it needs the second too, and asks for
    /// both without giving back what it has (a script that uses a key it has not declared after it has written). It may
    /// be refused: then it ends where it is.
    Widening,
}

/// One transaction: its kind, and the keys it writes and reads on each shard.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    kind: Kind,
    writes: [&'static [&'static str]; SHARDS],
    reads: [&'static [&'static str]; SHARDS],
}

impl Transaction {
    /// Whether it may have had an effect, or hold a lock, on one shard while it waits on another.
    fn is_elsewhere(&self) -> bool {
        // A script that has not run yet has asked for nothing but its shard.
        self.kind != Kind::Widening
            && (0..SHARDS)
                .all(|shard| !self.writes[shard].is_empty() || !self.reads[shard].is_empty())
    }

    fn claims(&self, shard: usize) -> Claims {
        let mut claims = Claims::default();
        self.writes[shard].iter().for_each(|key| claims.add(key.as_bytes(), Mode::Exclusive));
        self.reads[shard].iter().for_each(|key| claims.add(key.as_bytes(), Mode::Shared));
        claims
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Message {
    /// Transaction number n asks for its locks.
    Request(usize),
    /// It asks for the whole shards.
    RequestWhole(usize),
    /// It has its effect and gives back its locks.
    Commit(usize),
    /// It gives back its locks without any effect.
    GiveUp(usize),
    /// It runs on the first shard, which it locks as it is.
    Run(usize),
    /// Having run there, it asks for both shards.
    Widen(usize),
    /// Having been refused, it takes back what it asks of the second.
    Withdraw(usize),
    /// It ends on the first shard alone.
    End(usize),
    /// Having been sent back, it gives back what it has or waits for.
    LetGo(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Waiting,
    WaitingWhole,
    /// It has asked for both shards, having run on the first.
    Widening,
    /// It was refused.
    Withdrawing,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shard {
    locks: Locks,
    /// Flushes handled.
    handled: usize,
    /// Who stands at which place in the locks.
    places: BTreeMap<LockId, usize>,
    granted: BTreeSet<usize>,
    /// Who has written here, holds the shard and may be asking for the other.
    running: BTreeSet<usize>,
    /// Who was refused.
    refused: BTreeSet<usize>,
    /// Who was told to give back its locks and to ask for them anew.
    sent_back: BTreeSet<usize>,
    /// Transactions in the order of their effects here.
    effects: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// All flushes, in the order of their stamps.
    flushes: Vec<Message>,
    shards: [Shard; SHARDS],
    phases: Vec<Phase>,
}

impl Shard {
    fn new() -> Self {
        Shard {
            locks: Locks::default(),
            handled: 0,
            places: BTreeMap::new(),
            granted: BTreeSet::new(),
            running: BTreeSet::new(),
            refused: BTreeSet::new(),
            sent_back: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    fn place_of(&self, number: usize) -> LockId {
        let place = self.places.iter().find(|(_, other)| **other == number);
        *place.expect("only who has a lock gives it back").0
    }

    fn request(&mut self, transactions: &[Transaction], own: usize, number: usize, claims: Claims) {
        let (place, is_granted) = self.locks.request(claims);
        self.places.insert(place, number);
        if is_granted {
            self.grant(transactions, own, vec![place]);
        }
    }

    fn grant(&mut self, transactions: &[Transaction], own: usize, mut places: Vec<LockId>) {
        while let Some(place) = places.pop() {
            let number = self.places[&place];
            if transactions[number].kind == Kind::OneStep {
                self.effects.push(number);
                places.extend(self.release(place));
            } else if transactions[number].kind == Kind::Widening
                && own == 0
                && !self.effects.contains(&number)
            {
                self.effects.push(number);
                self.running.insert(number);
            } else {
                self.granted.insert(number);
            }
        }
    }

    fn release(&mut self, place: LockId) -> Vec<LockId> {
        self.places.remove(&place);
        let freed = self.locks.remove(place);
        self.locks.grant(freed)
    }

    /// A script that has run here wants both shards: it goes behind those that do not need what it has touched. If
    /// somebody needs it who may have been on the other shard, it is refused.
    fn widen(&mut self, transactions: &[Transaction], number: usize) {
        let place = self.place_of(number);
        let may_go = |place: LockId| transactions[self.places[&place]].kind == Kind::Repeatable;
        let (behind, going) = self.locks.behind(place, &transactions[number].claims(0), may_go);
        let is_elsewhere = |place: &LockId| transactions[self.places[place]].is_elsewhere();
        if behind.iter().any(is_elsewhere) {
            self.refused.insert(number);
            return;
        }
        for place in going {
            self.locks.remove(place);
            self.sent_back.extend(self.places.remove(&place));
        }
        let widened = self.locks.widen(place, &behind);
        self.places.remove(&place);
        self.places.insert(widened.id, number);
        self.running.remove(&number);
        for (old, new) in widened.moved {
            let moved = self.places.remove(&old).expect("it has its place");
            self.places.insert(new, moved);
        }
        self.grant(transactions, 0, widened.granted);
    }

    /// Handles the next flush.
    fn handle(&mut self, transactions: &[Transaction], own: usize, message: Message) {
        self.handled += 1;
        match message {
            Message::Request(number) => {
                let claims = transactions[number].claims(own);
                if transactions[number].kind == Kind::OneStep && !self.locks.is_in_the_way(&claims)
                {
                    self.effects.push(number);
                } else {
                    self.request(transactions, own, number, claims);
                }
            }
            Message::RequestWhole(number) => {
                self.request(transactions, own, number, Claims::whole(Mode::Exclusive));
            }
            Message::Run(number) if own == 0 => {
                self.request(transactions, own, number, Claims::whole(Mode::Exclusive));
            }
            Message::Widen(number) if own == 0 => self.widen(transactions, number),
            Message::Widen(number) => {
                self.request(transactions, own, number, Claims::whole(Mode::Exclusive));
            }
            Message::Withdraw(number) if own == 1 => {
                self.granted.remove(&number);
                let granted = self.release(self.place_of(number));
                self.grant(transactions, own, granted);
            }
            Message::End(number) if own == 0 => {
                self.running.remove(&number);
                let granted = self.release(self.place_of(number));
                self.grant(transactions, own, granted);
            }
            Message::LetGo(number) if own == 0 => drop(self.sent_back.remove(&number)),
            Message::LetGo(number) => {
                self.granted.remove(&number);
                let granted = self.release(self.place_of(number));
                self.grant(transactions, own, granted);
            }
            Message::Run(_) | Message::Withdraw(_) | Message::End(_) => {}
            Message::Commit(number) | Message::GiveUp(number) => {
                let is_first_effect = !self.effects.contains(&number);
                if matches!(message, Message::Commit(_)) && is_first_effect {
                    self.effects.push(number);
                }
                self.granted.remove(&number);
                let granted = self.release(self.place_of(number));
                self.grant(transactions, own, granted);
            }
        }
    }
}

impl State {
    fn new(count: usize) -> Self {
        State {
            flushes: Vec::new(),
            shards: [Shard::new(), Shard::new()],
            phases: vec![Phase::Idle; count],
        }
    }

    /// Every situation that one thing happening leads to.
    fn next(&self, transactions: &[Transaction]) -> Vec<State> {
        let mut all = Vec::new();
        for (number, transaction) in transactions.iter().enumerate() {
            let has_all = self.shards.iter().all(|shard| shard.granted.contains(&number));
            let is_widening = transaction.kind == Kind::Widening;
            let is_refused = self.shards[0].refused.contains(&number);
            let others_widen = self
                .phases
                .iter()
                .any(|phase| matches!(phase, Phase::Widening | Phase::Withdrawing));
            let is_unhandled =
                |own: usize, message| self.flushes[self.shards[own].handled..].contains(&message);
            let step = match self.phases[number] {
                Phase::Idle => Some(match transaction.kind {
                    Kind::OneStep => (Message::Request(number), Phase::Ended),
                    Kind::Locking | Kind::Repeatable | Kind::Undeclared => {
                        (Message::Request(number), Phase::Waiting)
                    }
                    Kind::Widening => (Message::Run(number), Phase::Waiting),
                }),
                // One script at a time asks for more than it has.
                Phase::Waiting if is_widening && self.shards[0].running.contains(&number) => {
                    Some(match others_widen {
                        true => (Message::End(number), Phase::Ended),
                        false => (Message::Widen(number), Phase::Widening),
                    })
                }
                Phase::Waiting if self.shards[0].sent_back.contains(&number) => {
                    Some((Message::LetGo(number), Phase::Idle))
                }
                Phase::Waiting if is_widening => None,
                Phase::Widening if is_refused => {
                    Some((Message::Withdraw(number), Phase::Withdrawing))
                }
                Phase::Withdrawing if !is_unhandled(1, Message::Withdraw(number)) => {
                    Some((Message::End(number), Phase::Ended))
                }
                Phase::Widening if has_all => Some((Message::Commit(number), Phase::Ended)),
                Phase::Waiting if has_all && transaction.kind == Kind::Undeclared => {
                    Some((Message::GiveUp(number), Phase::WaitingWhole))
                }
                Phase::Waiting | Phase::WaitingWhole if has_all => {
                    Some((Message::Commit(number), Phase::Ended))
                }
                _ => None,
            };
            // Locks that are being given back are not had any more.
            let is_leaving = (0..SHARDS).any(|own| {
                is_unhandled(own, Message::GiveUp(number))
                    || is_unhandled(own, Message::LetGo(number))
            });
            if let Some((message, phase)) = step.filter(|_| !is_leaving) {
                let mut next = self.clone();
                next.flushes.push(message);
                if let Message::GiveUp(number) = message {
                    next.flushes.push(Message::RequestWhole(number));
                }
                next.phases[number] = phase;
                all.push(next);
            }
        }
        for (own, shard) in self.shards.iter().enumerate() {
            if let Some(message) = self.flushes.get(shard.handled) {
                let mut next = self.clone();
                next.shards[own].handle(transactions, own, *message);
                all.push(next);
            }
        }
        all
    }

    fn check(&self, transactions: &[Transaction]) {
        for shard in &self.shards {
            let whole = |number: &usize| {
                use Phase::{WaitingWhole, Widening, Withdrawing};
                matches!(self.phases[*number], WaitingWhole | Widening | Withdrawing)
                    // Until then it has the keys that it first asked for.
                    && !self.flushes[shard.handled..].contains(&Message::GiveUp(*number))
            };
            assert!(
                shard.running.is_empty() || shard.running.len() == 1 && shard.granted.is_empty(),
                "somebody is where a script runs: {self:#?}"
            );
            if shard.granted.iter().any(whole) {
                assert_eq!(shard.granted.len(), 1, "somebody shares a whole shard: {self:#?}");
            }
        }
        for one in 0..transactions.len() {
            for other in one + 1..transactions.len() {
                self.check_pair(transactions, one, other);
            }
        }
    }

    fn check_pair(&self, transactions: &[Transaction], one: usize, other: usize) {
        let meets = |own: usize| {
            let (one, other) = (&transactions[one], &transactions[other]);
            let is_whole = one.kind == Kind::Undeclared || other.kind == Kind::Undeclared;
            let touches = |transaction: &Transaction, key: &&str| {
                transaction.writes[own].contains(key) || transaction.reads[own].contains(key)
            };
            is_whole
                || one.writes[own].iter().any(|key| touches(other, key))
                || other.writes[own].iter().any(|key| touches(one, key))
        };
        let orders: BTreeSet<bool> = self
            .shards
            .iter()
            .enumerate()
            .filter(|(own, _)| meets(*own))
            .filter_map(|(_, shard)| {
                let at = |number| shard.effects.iter().position(|effect| *effect == number);
                at(one).zip(at(other)).map(|(one, other)| one < other)
            })
            .collect();
        assert!(orders.len() < 2, "{one} and {other} met in both orders: {self:#?}");
    }

    fn check_end(&self, transactions: &[Transaction]) {
        assert!(
            self.phases.iter().all(|phase| *phase == Phase::Ended),
            "somebody waits for ever: {self:#?}"
        );
        for shard in &self.shards {
            assert!(shard.locks.is_empty(), "a lock is left: {self:#?}");
            let effects: BTreeSet<_> = shard.effects.iter().collect();
            assert_eq!(effects.len(), shard.effects.len(), "an effect came twice: {self:#?}");
        }
        for (number, transaction) in transactions.iter().enumerate() {
            let has_effect = |own: usize| self.shards[own].effects.contains(&number);
            assert!(has_effect(0), "an effect is missing: {self:#?}");
            let may_end_on_first = transaction.kind == Kind::Widening;
            assert!(has_effect(1) || may_end_on_first, "an effect is missing: {self:#?}");
        }
    }
}

/// Explores everything; returns how many situations there are, and how many ends.
fn explore(transactions: &[Transaction]) -> (usize, Vec<State>) {
    let mut ends = Vec::new();
    let first = State::new(transactions.len());
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        state.check(transactions);
        let next = state.next(transactions);
        if next.is_empty() {
            state.check_end(transactions);
            ends.push(state.clone());
        }
        open.extend(next.into_iter().filter(|state| seen.insert(state.clone())));
    }
    (seen.len(), ends)
}

#[test]
fn no_order_of_events_leads_to_a_deadlock_a_lost_lock_or_half_a_transaction() {
    let on = |writes, reads, kind| Transaction { kind, writes, reads };
    let kinds = [Kind::OneStep, Kind::Locking, Kind::Undeclared];
    let mut state_count = 0;
    for first in kinds {
        for second in kinds {
            let transactions = [
                on([&["a"], &["x"]], [&[], &[]], first),
                on([&["a", "b"], &["y"]], [&[], &["x"]], second),
                on([&["b"], &["x", "y"]], [&["a"], &[]], Kind::Locking),
            ];
            state_count += explore(&transactions).0;
        }
    }
    assert!(state_count > 1_000, "{state_count} situations are too few to be all");
}

#[test]
fn a_script_that_widens_after_a_write_gets_both_shards_or_is_refused() {
    let on = |writes, reads, kind| Transaction { kind, writes, reads };
    let kinds = [Kind::OneStep, Kind::Locking, Kind::Repeatable, Kind::Undeclared, Kind::Widening];
    let (mut state_count, mut widened_count, mut refused_count) = (0, 0, 0);
    for second in kinds {
        for third in kinds {
            let transactions = [
                on([&["a"], &["x"]], [&[], &[]], Kind::Widening),
                // It meets the script on the second shard alone.
                on([&["b"], &["x"]], [&[], &[]], second),
                // It meets it on both.
                on([&["a"], &["y"]], [&[], &["x"]], third),
            ];
            let (count, ends) = explore(&transactions);
            state_count += count;
            let is_widened = |end: &&State| end.shards[1].effects.contains(&0);
            widened_count += ends.iter().filter(is_widened).count();
            refused_count += ends.iter().filter(|end| !is_widened(end)).count();
        }
    }
    assert!(state_count > 1_000, "{state_count} situations are too few to be all");
    assert!(widened_count > 0 && refused_count > 0, "{widened_count} {refused_count}");
}

#[test]
fn a_script_that_meets_only_transactions_that_may_ask_anew_is_never_refused() {
    let on = |writes, kind| Transaction { kind, writes, reads: [&[], &[]] };
    let transactions = [
        on([&["a"], &["x", "y"]], Kind::Widening),
        on([&["a"], &["x"]], Kind::Repeatable),
        on([&["a", "b"], &["x", "y"]], Kind::Repeatable),
    ];
    let (_, ends) = explore(&transactions);
    assert!(ends.iter().all(|end| end.shards[1].effects.contains(&0)));
}

#[test]
fn a_script_that_shares_nothing_on_its_own_shard_is_never_refused() {
    let on = |writes, kind| Transaction { kind, writes, reads: [&[], &[]] };
    for second in [Kind::OneStep, Kind::Locking] {
        for third in [Kind::OneStep, Kind::Locking] {
            let transactions = [
                on([&["a"], &["x", "y"]], Kind::Widening),
                on([&["b"], &["x"]], second),
                on([&["b"], &["x", "y"]], third),
            ];
            let (_, ends) = explore(&transactions);
            assert!(ends.iter().all(|end| end.shards[1].effects.contains(&0)));
        }
    }
}
