//! Walking a database in hash order, a few entries at a time: SCAN, and sampling for RANDOMKEY.
//!
//! A cursor is a place in hash order ([`Position`]). Splitting and merging segments never changes that order, so an
//! entry that is there from the first step to the last is met exactly once, whatever happens to others meanwhile. One
//! that comes or goes on the way may be met or not. This is more than Redis promises: there it may be met twice.

use crate::keyspace::Database;
use crate::keyspace::entry::EntryRef;
use crate::keyspace::table::{KeyHash, POSITION_BITS, Position};
use crate::rng::Rng;

/// How many bits a cursor has.
pub const CURSOR_BITS: u32 = POSITION_BITS;
/// Where positions end.
const END: Position = 1 << POSITION_BITS;
/// A step looks at first where it expects twice as many entries as are wanted, and this many more.
const SPARE_COUNT: u64 = 16;
/// How many segments a sample may look into before it takes the next key in hash order.
const SAMPLE_TRIES_MAX: usize = 16;

/// An entry of a segment: its position in the upper bits, its slot in the lower ones, so that comparing two is one step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found(u64);

const SLOT_BITS: u32 = u64::BITS - POSITION_BITS;

impl Found {
    fn new(position: Position, slot: usize) -> Self {
        debug_assert!(slot < 1 << SLOT_BITS);
        Found(position << SLOT_BITS | slot as u64)
    }

    fn position(self) -> Position {
        self.0 >> SLOT_BITS
    }

    fn slot(self) -> usize {
        self.0 as usize & ((1 << SLOT_BITS) - 1)
    }
}

impl Database {
    /// Hands at least `count` entries from `cursor` on to `found`, if there are so many, and returns where to go on;
    /// 0 at the end. Entries at the same position come together, so now and then there are more than `count`. Those of
    /// one segment come in no order.
    ///
    /// A cursor past the last position is the end. Cost: O(`count` + entries of one segment), of which only those that
    /// are handed out are read beyond their keys.
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut found: impl FnMut(&'a [u8], EntryRef<'a>),
    ) -> u64 {
        let table = self.table();
        let mut left_count = count.max(1);
        // Entries are spread evenly over all positions, so there are enough of them among the next ones, but for bad luck.
        let mean_gap = END / (table.len() as u64).max(1);
        let likely_count = (left_count as u64).saturating_mul(2).saturating_add(SPARE_COUNT);
        let mut stretch = mean_gap.saturating_mul(likely_count);
        let mut ahead = Vec::new();
        let mut position: Position = cursor;
        while position < END {
            let segment = table.segment_at(position);
            let segment_end = table.position_after(segment).unwrap_or(END);
            let end = segment_end.min(position.saturating_add(stretch));
            ahead.clear();
            table.for_each_position(segment, |at, slot| {
                if (position..end).contains(&at) {
                    ahead.push(Found::new(at, slot));
                }
            });
            let ahead_count = ahead.len();
            position = end;
            if ahead_count > left_count {
                let last = ahead.select_nth_unstable(left_count - 1).1.position();
                ahead.retain(|found| found.position() <= last);
                if ahead.len() < ahead_count {
                    position = last + 1;
                }
            }
            for slot in ahead.iter().map(|found| found.slot()) {
                let (key, entry) = table.key_and_entry(segment, slot);
                found(key, entry);
            }
            left_count = left_count.saturating_sub(ahead.len());
            if left_count == 0 && position < END {
                return position;
            }
            stretch = END;
        }
        0
    }

    /// A key chosen at random, expired or not; `None` if there is none. Cost: O(1).
    ///
    /// Keys are almost equally likely: a segment is chosen by its share of hash order, a key of it by lot.
    pub fn sample(&self, rng: &mut Rng) -> Option<(&[u8], EntryRef<'_>)> {
        if self.is_empty() {
            return None;
        }
        let mut position = 0;
        for _ in 0..SAMPLE_TRIES_MAX {
            position = random_position(rng);
            let table = self.table();
            let sample = table.draw(table.segment_at(position), false, rng);
            if sample.is_some() {
                return sample;
            }
        }
        // Only a table that has just lost nearly all its keys has so many empty segments.
        let mut sample = None;
        for start in [position, 0] {
            self.scan(start, 1, |key, entry| sample = sample.or(Some((key, entry))));
            if sample.is_some() {
                break;
            }
        }
        sample
    }

    /// Hands about `count` keys chosen at random to `found`, only such as expire if `is_expiring`: fewer if they are
    /// hard to find, the same one twice by chance. All are equally likely: where those that leave are chosen by lot again
    /// and again, any other choice would let some segments grow without end. For eviction. Cost: O(`count`).
    pub fn sample_some<'a>(
        &'a self,
        count: usize,
        is_expiring: bool,
        rng: &mut Rng,
        mut found: impl FnMut(&'a [u8], EntryRef<'a>),
    ) {
        let table = self.table();
        let known_count = if is_expiring { table.expiring_count() } else { table.len() };
        if known_count == 0 {
            return;
        }
        let mut found_count = 0;
        // Every second segment that is met is passed over.
        for _ in 0..2 * (count + SAMPLE_TRIES_MAX) {
            let segment = table.draw_segment(random_position(rng), is_expiring, rng);
            let drawn = segment.and_then(|segment| table.draw(segment, is_expiring, rng));
            if let Some((key, entry)) = drawn {
                found(key, entry);
                found_count += 1;
            }
            if found_count == count {
                break;
            }
        }
    }
}

fn random_position(rng: &mut Rng) -> Position {
    KeyHash::from_random(rng.next_u64()).position()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Keyspace;
    use crate::keyspace::entry::Entry;
    use crate::types::string::Str;
    use crate::value::Value;
    use ahash::RandomState;
    use std::collections::{BTreeMap, BTreeSet};

    fn keyspace() -> Keyspace {
        Keyspace::new(1, RandomState::with_seeds(5, 6, 7, 8))
    }

    fn put(keyspace: &mut Keyspace, key: &str) {
        let entry = Entry::new(Value::String(Str::Int(1)));
        keyspace.database_mut(0).insert(key.as_bytes(), entry);
    }

    #[test]
    fn a_scan_of_a_still_database_meets_each_key_once_in_steps_of_about_count() {
        let mut keyspace = keyspace();
        for number in 0..3_000 {
            put(&mut keyspace, &format!("k{number}"));
        }
        for count in [1, 10, 500, 10_000] {
            let (mut cursor, mut seen) = (0, BTreeSet::new());
            loop {
                let mut step_count = 0;
                cursor = keyspace.database(0).scan(cursor, count, |key, _| {
                    assert!(seen.insert(key.to_vec()), "met twice");
                    step_count += 1;
                });
                assert!(step_count <= count + 1);
                if cursor == 0 {
                    break;
                }
                assert!(step_count >= count);
            }
            assert_eq!(seen.len(), 3_000);
        }
    }

    #[test]
    fn whatever_comes_and_goes_a_key_that_stays_is_met_exactly_once() {
        for seed in 0..20 {
            println!("seed {seed}");
            let mut rng = Rng::new(seed);
            let mut keyspace = keyspace();
            let stay_count = 1 + rng.below(400);
            for number in 0..stay_count {
                put(&mut keyspace, &format!("stay{number}"));
            }
            let (mut cursor, mut seen) = (0, BTreeMap::<Vec<u8>, usize>::new());
            let mut is_growing = true;
            loop {
                let count = 1 + rng.below(20);
                cursor = keyspace.database(0).scan(cursor, count, |key, _| {
                    *seen.entry(key.to_vec()).or_default() += 1;
                });
                if cursor == 0 {
                    break;
                }
                is_growing ^= rng.below(8) == 0;
                for _ in 0..rng.below(600) {
                    let key = format!("pass{}", rng.below(6_000));
                    if is_growing {
                        put(&mut keyspace, &key);
                    } else {
                        keyspace.database_mut(0).remove(key.as_bytes());
                    }
                }
            }
            for number in 0..stay_count {
                let key = format!("stay{number}").into_bytes();
                assert_eq!(seen.get(&key), Some(&1), "seed {seed}, key {number}");
            }
        }
    }

    #[test]
    fn any_cursor_is_a_place_to_go_on_from() {
        let mut keyspace = keyspace();
        put(&mut keyspace, "a");
        for cursor in [1, 1 << 39, (1 << 40) - 1, 1 << 40, u64::MAX] {
            keyspace.database(0).scan(cursor, 10, |_, _| {});
        }
        assert_eq!(keyspace.database(0).scan(1 << 40, 10, |_, _| panic!("behind the end")), 0);
    }

    #[test]
    fn every_key_is_sampled_about_as_often() {
        let mut keyspace = keyspace();
        let mut rng = Rng::new(3);
        assert!(keyspace.database(0).sample(&mut rng).is_none());
        for number in 0..1_000 {
            put(&mut keyspace, &format!("k{number}"));
        }
        let mut counts = BTreeMap::<Vec<u8>, usize>::new();
        for _ in 0..100_000 {
            let (key, _) = keyspace.database(0).sample(&mut rng).unwrap();
            *counts.entry(key.to_vec()).or_default() += 1;
        }
        assert_eq!(counts.len(), 1_000);
        assert!(counts.values().all(|count| (40..200).contains(count)), "{counts:?}");
    }

    #[test]
    fn samples_can_be_of_expiring_keys_alone() {
        let mut keyspace = keyspace();
        let mut rng = Rng::new(4);
        keyspace.database(0).sample_some(5, true, &mut rng, |_, _| panic!("there is none"));
        for number in 0..2_000 {
            put(&mut keyspace, &format!("k{number}"));
            let entry = Entry::expiring(Value::String(Str::Int(1)), 10);
            keyspace.database_mut(0).insert(format!("e{number}").as_bytes(), entry);
        }
        let (mut all_count, mut expiring_count) = (0, 0);
        for _ in 0..100 {
            keyspace.database(0).sample_some(5, false, &mut rng, |_, _| all_count += 1);
            keyspace.database(0).sample_some(5, true, &mut rng, |key, entry| {
                assert!(key.starts_with(b"e") && entry.expire_at_ms() == Some(10));
                expiring_count += 1;
            });
        }
        assert_eq!((all_count, expiring_count), (500, 500));
    }

    #[test]
    fn a_lone_key_is_found() {
        let mut keyspace = keyspace();
        put(&mut keyspace, "only");
        let mut rng = Rng::new(1);
        assert_eq!(keyspace.database(0).sample(&mut rng).unwrap().0, b"only");
    }
}
