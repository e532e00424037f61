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
    /// It locks, finds that it needs more, gives back its locks and locks both shards whole (a script that uses keys it
    /// has not declared).
    Undeclared,
}

/// One transaction: its kind, and the keys it writes and reads on each shard.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    kind: Kind,
    writes: [&'static [&'static str]; SHARDS],
    reads: [&'static [&'static str]; SHARDS],
}

impl Transaction {
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Waiting,
    WaitingWhole,
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
            effects: Vec::new(),
        }
    }

    fn place_of(&self, number: usize) -> LockId {
        let place = self.places.iter().find(|(_, other)| **other == number);
        *place.expect("only who has a lock gives it back").0
    }

    fn request(&mut self, transactions: &[Transaction], number: usize, claims: Claims) {
        let (place, is_granted) = self.locks.request(claims);
        self.places.insert(place, number);
        if is_granted {
            self.grant(transactions, vec![place]);
        }
    }

    fn grant(&mut self, transactions: &[Transaction], mut places: Vec<LockId>) {
        while let Some(place) = places.pop() {
            let number = self.places[&place];
            if transactions[number].kind == Kind::OneStep {
                self.effects.push(number);
                places.extend(self.release(place));
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
                    self.request(transactions, number, claims);
                }
            }
            Message::RequestWhole(number) => {
                self.request(transactions, number, Claims::whole(Mode::Exclusive));
            }
            Message::Commit(number) | Message::GiveUp(number) => {
                if matches!(message, Message::Commit(_)) {
                    self.effects.push(number);
                }
                self.granted.remove(&number);
                let granted = self.release(self.place_of(number));
                self.grant(transactions, granted);
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
            let step = match self.phases[number] {
                Phase::Idle => Some((
                    Message::Request(number),
                    match transaction.kind {
                        Kind::OneStep => Phase::Ended,
                        Kind::Locking | Kind::Undeclared => Phase::Waiting,
                    },
                )),
                Phase::Waiting if has_all && transaction.kind == Kind::Undeclared => {
                    Some((Message::GiveUp(number), Phase::WaitingWhole))
                }
                Phase::Waiting | Phase::WaitingWhole if has_all => {
                    Some((Message::Commit(number), Phase::Ended))
                }
                _ => None,
            };
            // Locks that are being given back are not had any more.
            let is_leaving = self
                .shards
                .iter()
                .any(|shard| self.flushes[shard.handled..].contains(&Message::GiveUp(number)));
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
            let whole = |number: &usize| self.phases[*number] == Phase::WaitingWhole;
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

    fn check_end(&self) {
        assert!(
            self.phases.iter().all(|phase| *phase == Phase::Ended),
            "somebody waits for ever: {self:#?}"
        );
        for shard in &self.shards {
            assert!(shard.locks.is_empty(), "a lock is left: {self:#?}");
            let effects: BTreeSet<_> = shard.effects.iter().collect();
            assert_eq!(effects.len(), shard.effects.len(), "an effect came twice: {self:#?}");
            assert_eq!(effects.len(), self.phases.len(), "an effect is missing: {self:#?}");
        }
    }
}

/// Explores everything; returns how many situations there are.
fn explore(transactions: &[Transaction]) -> usize {
    let first = State::new(transactions.len());
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        state.check(transactions);
        let next = state.next(transactions);
        if next.is_empty() {
            state.check_end();
        }
        open.extend(next.into_iter().filter(|state| seen.insert(state.clone())));
    }
    seen.len()
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
            state_count += explore(&transactions);
        }
    }
    assert!(state_count > 1_000, "{state_count} situations are too few to be all");
}
