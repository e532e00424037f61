//! Which key leaves when memory is full: the eight policies of `maxmemory-policy`.
//!
//! Path: `shard::upkeep` (`Shard::evict`) -> [`Eviction::choose`] -> the caller removes the key and tells of it.
//!
//! A policy gives every entry a *score*; the highest leaves first. Nobody sorts all keys: each choice looks at a few
//! entries picked at random and keeps the best it has ever seen in a *pool*, so that what is chosen gets better with
//! every choice (Redis 3.0 does the same). Other than in Redis a candidate is looked at again before it leaves, and one
//! that has been used meanwhile stays. docs/eviction.md has the hit ratios that come of it.
//!
//! Invariant: the pool is in ascending order of scores and has at most [`POOL_LEN`] candidates.

use crate::call::Now;
use crate::keyspace::access::UseRule;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::{Database, Keyspace};
use crate::rng::Rng;

/// Candidates that are kept from one choice to the next.
const POOL_LEN: usize = 64;
/// Keys that are looked at for each that `maxmemory-samples` asks for.
const LOOKS_PER_SAMPLE: usize = 2;
/// Segments that one choice walks at most.
const WALK_MAX: usize = 1024;

/// `maxmemory-policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// No key leaves: commands that need memory are refused.
    #[default]
    NoEviction,
    /// These leave.
    Evict {
        /// Among which keys.
        among: Among,
        /// In which order.
        order: Order,
    },
}

/// Which keys may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// All.
    AllKeys,
    /// Those with an expiry.
    Volatile,
}

/// Which key leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one that was used longest ago.
    LeastRecent,
    /// The one that is used least often.
    LeastFrequent,
    /// Any.
    Random,
    /// The one that expires soonest.
    SoonestExpiry,
}

impl Policy {
    /// Whether keys know how often, and not when, they are used.
    #[must_use]
    pub fn is_lfu(self) -> bool {
        matches!(self, Policy::Evict { order: Order::LeastFrequent, .. })
    }
}

/// What a choice goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) among: Among,
    pub(crate) order: Order,
    /// `maxmemory-samples`.
    pub(crate) samples: usize,
    pub(crate) use_rule: UseRule,
}

impl Rules {
    fn may_leave(&self, entry: &EntryRef<'_>) -> bool {
        self.among == Among::AllKeys || entry.expire_at_ms().is_some()
    }

    fn score(&self, entry: &EntryRef<'_>, now: Now) -> u64 {
        match self.order {
            Order::LeastRecent => u64::from(entry.access().idle_seconds(now)),
            Order::LeastFrequent => {
                u64::from(u8::MAX - entry.access().frequency(now, self.use_rule))
            }
            Order::SoonestExpiry => {
                u64::MAX - entry.expire_at_ms().unwrap_or(0).max(0).cast_unsigned()
            }
            Order::Random => 0,
        }
    }

    /// How many keys of `database` may leave.
    fn count(&self, database: &Database) -> usize {
        match self.among {
            Among::AllKeys => database.len(),
            Among::Volatile => database.expiring_count(),
        }
    }
}

/// A key that may leave.
#[derive(Debug)]
struct Candidate {
    score: u64,
    db: u16,
    key: Box<[u8]>,
}

/// What is remembered from one choice to the next.
#[derive(Debug, Default)]
pub(crate) struct Eviction {
    pool: Vec<Candidate>,
    /// The database that gives the next key of a random policy.
    next_db: u16,
    /// Where the walk for keys with an expiry goes on.
    walk: usize,
}

/// What a choice has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This key of this database leaves.
    Key(u16, Box<[u8]>),
    /// There are such keys, but none was met in the time of one choice.
    NotMet,
    /// No key may leave.
    NoneLeft,
}

impl Eviction {
    /// Forgets the candidates: they were chosen by another policy.
    pub(crate) fn forget(&mut self) {
        self.pool.clear();
    }

    /// The next key to leave. `steps` is raised by about what the choice has cost, in entries looked at.
    pub(crate) fn choose(
        &mut self,
        keyspace: &Keyspace,
        now: Now,
        rules: &Rules,
        rng: &mut Rng,
        steps: &mut usize,
    ) -> Choice {
        if keyspace.databases().iter().all(|database| rules.count(database) == 0) {
            return Choice::NoneLeft;
        }
        if rules.order == Order::Random {
            return self.choose_any(keyspace, rules, rng, steps);
        }
        for (database, db) in keyspace.databases().iter().zip(0..) {
            if rules.count(database) > 0 {
                self.fill(database, db, now, rules, rng, steps);
            }
        }
        while let Some(candidate) = self.pool.pop() {
            *steps += 1;
            let entry = keyspace.database(candidate.db).find_any(&candidate.key);
            let is_still_as_good = |entry: EntryRef<'_>| {
                rules.may_leave(&entry) && rules.score(&entry, now) >= candidate.score
            };
            if entry.is_some_and(is_still_as_good) {
                return Choice::Key(candidate.db, candidate.key);
            }
        }
        Choice::NotMet
    }

    /// Puts the best of a sample of one database into the pool.
    fn fill(
        &mut self,
        database: &Database,
        db: u16,
        now: Now,
        rules: &Rules,
        rng: &mut Rng,
        steps: &mut usize,
    ) {
        let mut met_count = 0;
        let is_expiring = rules.among == Among::Volatile;
        database.sample_some(rules.samples * LOOKS_PER_SAMPLE, is_expiring, rng, |key, entry| {
            met_count += 1;
            self.offer(rules.score(&entry, now), db, key);
        });
        *steps += met_count;
        if met_count == 0 && self.pool.is_empty() {
            let mut walk = self.walk;
            database.walk_expiring(&mut walk, steps, |key, entry| {
                self.offer(rules.score(&entry, now), db, key);
            });
            self.walk = walk;
        }
    }

    /// Keeps a key among the candidates, unless the pool is full of better ones.
    fn offer(&mut self, score: u64, db: u16, key: &[u8]) {
        let place = self.pool.partition_point(|other| other.score < score);
        let mut equals = self.pool[place..].iter().take_while(|other| other.score == score);
        if equals.any(|other| other.db == db && *other.key == *key) {
            return;
        }
        if self.pool.len() < POOL_LEN {
            self.pool.insert(place, Candidate { score, db, key: key.into() });
        } else if place > 0 {
            self.pool[..place].rotate_left(1);
            self.pool[place - 1] = Candidate { score, db, key: key.into() };
        }
    }

    /// Any key, of each database in turn.
    fn choose_any(
        &mut self,
        keyspace: &Keyspace,
        rules: &Rules,
        rng: &mut Rng,
        steps: &mut usize,
    ) -> Choice {
        let count = keyspace.database_count();
        let first = usize::from(self.next_db);
        let mut dbs = (0..count).map(|offset| (first + offset) % count);
        let has_some = |db: &usize| rules.count(&keyspace.databases()[*db]) > 0;
        let Some(index) = dbs.find(has_some) else { return Choice::NoneLeft };
        let (database, db) = (&keyspace.databases()[index], index as u16);
        self.next_db = ((index + 1) % count) as u16;
        let mut chosen: Option<Box<[u8]>> = None;
        database.sample_some(1, rules.among == Among::Volatile, rng, |key, _| {
            chosen = Some(key.into());
        });
        *steps += 1;
        if let Some(key) = chosen {
            return Choice::Key(db, key);
        }
        let mut met_count = 0;
        database.walk_expiring(&mut self.walk, steps, |key, _| {
            met_count += 1;
            if rng.below(met_count) == 0 {
                chosen = Some(key.into());
            }
        });
        chosen.map_or(Choice::NotMet, |key| Choice::Key(db, key))
    }
}

impl Database {
    /// Walks on from segment `from` to the next one that has entries with an expiry, over [`WALK_MAX`] at most, and
    /// hands those to `found`.
    fn walk_expiring(
        &self,
        from: &mut usize,
        steps: &mut usize,
        mut found: impl FnMut(&[u8], EntryRef<'_>),
    ) {
        let table = self.table();
        for _ in 0..WALK_MAX.min(table.segment_count()) {
            let segment = *from % table.segment_count();
            *from = segment + 1;
            *steps += 1;
            if table.soonest_ms(segment) == i64::MAX {
                continue;
            }
            *steps += table.segment_len(segment);
            let entries = table.segment_entries(segment);
            for (key, entry) in entries.filter(|(_, entry)| entry.expire_at_ms().is_some()) {
                found(key, entry);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests;
