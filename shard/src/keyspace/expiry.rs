//! The active expiry cycle: finds entries whose time has come although nobody asks for them.
//!
//! It goes round all databases, segment by segment. A segment knows a lower bound of its soonest expiry, so one with
//! nothing due costs one comparison, and one that is looked at has something due or learns its true bound. Unlike
//! Redis's cycle it does not sample: one round finds everything that was due when it passed.
//!
//! Expiry on access is in `context`: every lookup treats an entry whose time has come as missing.

use crate::call::Now;
use crate::keyspace::{Database, Keyspace};

/// Where the cycle goes on.
#[derive(Debug, Default)]
pub(crate) struct ExpiryCycle {
    db: u16,
    segment: usize,
    /// Keys with an expiry when the round began, and how many of them it has found due so far.
    round_count: usize,
    due_count: usize,
    /// Running mean of the part that was due.
    stale_part: f64,
}

/// What a round adds to the running mean.
const ROUND_WEIGHT: f64 = 0.05;

impl ExpiryCycle {
    /// Which part of the keys with an expiry had passed it when the last rounds came by: 0 to 1.
    pub(crate) fn stale_part(&self) -> f64 {
        self.stale_part
    }

    /// Removes what is due, hands on each key, and stops at the end of the round or after about `budget` steps (a segment
    /// passed or an entry looked at). Says whether the round is unfinished.
    ///
    /// With `is_held`, keys that it names stay: a later round finds them again.
    pub(crate) fn run(
        &mut self,
        keyspace: &mut Keyspace,
        now: Now,
        budget: usize,
        is_held: Option<&dyn Fn(&[u8]) -> bool>,
        mut taken: impl FnMut(u16, &[u8]),
    ) -> bool {
        let now_ms = now.unix_ms();
        let mut step_count = 0;
        if (self.db, self.segment) == (0, 0) {
            let databases = keyspace.databases().iter();
            self.round_count = databases.map(|database| database.expiring_count()).sum();
            self.due_count = 0;
        }
        while usize::from(self.db) < keyspace.database_count() {
            let database = keyspace.database_mut(self.db);
            while database.expiring_count() > 0 && self.segment < database.table().segment_count() {
                if step_count >= budget {
                    return true;
                }
                step_count += 1;
                if database.table().soonest_ms(self.segment) < now_ms {
                    step_count += database.table().segment_len(self.segment);
                    let db = self.db;
                    let due_count = &mut self.due_count;
                    let taken = |key: &[u8]| {
                        *due_count += 1;
                        taken(db, key);
                    };
                    match is_held {
                        Some(is_held) => {
                            take_due_unless(database, self.segment, now, is_held, taken);
                        }
                        None => database.table_mut().take_due(self.segment, now_ms, taken),
                    }
                }
                self.segment += 1;
            }
            self.db += 1;
            self.segment = 0;
        }
        self.db = 0;
        let part = self.due_count.min(self.round_count) as f64 / self.round_count.max(1) as f64;
        self.stale_part += ROUND_WEIGHT * (part - self.stale_part);
        false
    }
}

/// Removes the entries of one segment that are due, one by one, but for those that are held.
fn take_due_unless(
    database: &mut Database,
    segment: usize,
    now: Now,
    is_held: &dyn Fn(&[u8]) -> bool,
    mut taken: impl FnMut(&[u8]),
) {
    let entries = database.table().segment_entries(segment);
    let due = entries.filter(|(key, entry)| entry.is_expired(now) && !is_held(key));
    let due: Vec<Box<[u8]>> = due.map(|(key, _)| key.into()).collect();
    for key in due {
        database.remove(&key);
        taken(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::entry::Entry;
    use crate::types::string::Str;
    use crate::value::Value;
    use ahash::RandomState;

    fn keyspace(count: i64) -> Keyspace {
        let mut keyspace = Keyspace::new(2, RandomState::with_seeds(1, 2, 3, 4));
        for number in 0..count {
            let entry = Entry::expiring(Value::String(Str::Int(number)), number);
            keyspace.database_mut(1).insert(format!("k{number}").as_bytes(), entry);
        }
        keyspace
    }

    fn at_ms(unix_ms: i64) -> Now {
        Now { unix_us: unix_ms * 1000 }
    }

    #[test]
    fn one_round_takes_all_that_is_due_and_nothing_else() {
        let mut keyspace = keyspace(10_000);
        let mut cycle = ExpiryCycle::default();
        let mut taken_count = 0;
        let is_unfinished = cycle.run(&mut keyspace, at_ms(5_000), usize::MAX, None, |db, key| {
            assert_eq!(db, 1);
            let number: i64 = str::from_utf8(&key[1..]).unwrap().parse().unwrap();
            assert!(number <= 4_999, "it expires at that millisecond");
            taken_count += 1;
        });
        // Segments that merge meanwhile may carry a few entries to where the round has been.
        assert!(!is_unfinished);
        cycle.run(&mut keyspace, at_ms(5_000), usize::MAX, None, |_, _| taken_count += 1);
        assert_eq!((taken_count, keyspace.database(1).len()), (5_000, 5_000));
        keyspace.database(1).table().check_invariants();
    }

    #[test]
    fn a_budget_cuts_a_round_into_pieces() {
        let mut keyspace = keyspace(10_000);
        let mut cycle = ExpiryCycle::default();
        let (mut taken_count, mut piece_count) = (0, 0);
        loop {
            let before = taken_count;
            let is_unfinished = cycle.run(&mut keyspace, at_ms(99_999), 500, None, |_, _| {
                taken_count += 1;
            });
            assert!(taken_count - before < 1_000, "a piece is about as large as its budget");
            piece_count += 1;
            if !is_unfinished && keyspace.database(1).is_empty() {
                break;
            }
        }
        assert!(piece_count > 10);
        assert_eq!(taken_count, 10_000);
    }

    #[test]
    fn what_is_held_stays_and_is_found_again() {
        let mut keyspace = keyspace(5_000);
        let mut cycle = ExpiryCycle::default();
        let is_held = |key: &[u8]| key == b"k1" || key == b"k77";
        let (mut taken_count, mut before) = (0, usize::MAX);
        // A round leaves what merging segments carry to where it has been.
        while taken_count != before {
            before = taken_count;
            cycle.run(&mut keyspace, at_ms(5_000), usize::MAX, Some(&is_held), |_, key| {
                assert!(!is_held(key));
                taken_count += 1;
            });
        }
        assert_eq!((taken_count, keyspace.database(1).len()), (4_998, 2));
        keyspace.database(1).table().check_invariants();
        let mut taken = Vec::new();
        cycle.run(&mut keyspace, at_ms(5_000), usize::MAX, None, |_, key| taken.push(key.to_vec()));
        taken.sort();
        assert_eq!(taken, [&b"k1"[..], b"k77"]);
    }

    #[test]
    fn segments_with_nothing_due_are_passed_without_a_look() {
        let mut keyspace = keyspace(10_000);
        let mut cycle = ExpiryCycle::default();
        let segment_count = keyspace.database(1).table().segment_count();
        // One step per segment is enough for a whole round, since nothing is due.
        assert!(
            !cycle.run(&mut keyspace, at_ms(-1), segment_count, None, |_, _| panic!("not due"))
        );
        assert!(
            cycle.run(&mut keyspace, at_ms(-1), segment_count - 1, None, |_, _| panic!("not due"))
        );
    }
}
