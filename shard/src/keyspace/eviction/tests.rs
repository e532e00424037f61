//! Each policy against a model: what leaves is what the policy says, as far as sampling can tell.

use super::*;
use crate::keyspace::access::Access;
use crate::keyspace::entry::Entry;
use crate::types::string::Str;
use crate::value::Value;
use ahash::RandomState;
use std::collections::BTreeSet;

const NOW: Now = Now { unix_us: 1_700_000_000_000_000 };

fn rules(among: Among, order: Order) -> Rules {
    let use_rule = UseRule::Frequency { log_factor: 10, decay_minutes: 1 };
    Rules { among, order, samples: 5, use_rule }
}

/// Keys `k0` to `k<count>` of database 1: the higher the number, the sooner it should leave by each order. Every third
/// has an expiry.
fn keyspace(count: u32, order: Order) -> Keyspace {
    let mut keyspace = Keyspace::new(3, RandomState::with_seeds(1, 2, 3, 4));
    for number in 0..count {
        let expire_at_ms = (number % 3 == 0).then_some(1_800_000_000_000 - i64::from(number));
        let entry = Entry::new(Value::String(Str::Int(1))).with_expiry(expire_at_ms);
        let access = match order {
            Order::LeastFrequent => {
                Access::with_frequency(NOW, 255 - u8::try_from(number * 255 / count).unwrap())
            }
            _ => Access::with_idle(NOW, number),
        };
        let key = format!("k{number}");
        keyspace.database_mut(1).insert(key.as_bytes(), entry.with_access(access));
    }
    keyspace
}

fn number_of(key: &[u8]) -> u32 {
    std::str::from_utf8(&key[1..]).unwrap().parse().unwrap()
}

/// Removes `count` keys; returns their numbers.
fn evict(keyspace: &mut Keyspace, rules: &Rules, count: usize) -> Vec<u32> {
    let mut eviction = Eviction::default();
    let mut rng = Rng::new(9);
    let mut gone = Vec::new();
    let mut steps = 0;
    for _ in 0..count * 100 {
        if gone.len() == count {
            break;
        }
        match eviction.choose(keyspace, NOW, rules, &mut rng, &mut steps) {
            Choice::Key(db, key) => {
                assert_eq!(db, 1);
                assert!(keyspace.database_mut(db).remove(&key));
                gone.push(number_of(&key));
            }
            Choice::NotMet => {}
            Choice::NoneLeft => break,
        }
        assert!(eviction.pool.len() <= POOL_LEN);
        assert!(eviction.pool.is_sorted_by_key(|candidate| candidate.score));
    }
    gone
}

#[test]
fn the_worst_keys_leave_first() {
    for order in [Order::LeastRecent, Order::LeastFrequent, Order::SoonestExpiry] {
        let among = match order {
            Order::SoonestExpiry => Among::Volatile,
            _ => Among::AllKeys,
        };
        let mut keyspace = keyspace(3_000, order);
        let gone = evict(&mut keyspace, &rules(among, order), 300);
        assert_eq!(gone.len(), 300);
        let late_count = gone.iter().filter(|number| **number >= 2_100).count();
        assert!(late_count > 285, "{order:?}: {late_count} of 300 are of the worst 30 %");
        keyspace.database(1).table().check_invariants();
    }
}

#[test]
fn volatile_policies_touch_no_other_key_and_find_the_last_one() {
    for order in [Order::LeastRecent, Order::LeastFrequent, Order::SoonestExpiry, Order::Random] {
        let mut keyspace = keyspace(3_000, order);
        let gone = evict(&mut keyspace, &rules(Among::Volatile, order), usize::MAX / 100);
        let expected: BTreeSet<u32> = (0..3_000).filter(|number| number % 3 == 0).collect();
        assert_eq!(gone.into_iter().collect::<BTreeSet<_>>(), expected, "{order:?}");
        assert_eq!(keyspace.database(1).len(), 2_000);
    }
}

#[test]
fn any_key_means_any() {
    let mut keyspace = keyspace(3_000, Order::Random);
    let gone = evict(&mut keyspace, &rules(Among::AllKeys, Order::Random), 1_500);
    let late_count = gone.iter().filter(|number| **number >= 1_500).count();
    assert!((650..850).contains(&late_count), "{late_count} of 1500");
}

/// Keys that leave by lot must leave all segments alike: a segment gets new keys however many it has.
#[test]
fn segments_stay_even_while_keys_come_and_go() {
    let equal = Access::with_frequency(NOW, 5);
    for order in [Order::Random, Order::LeastFrequent] {
        let mut keyspace = Keyspace::new(3, RandomState::with_seeds(1, 2, 3, 4));
        let rules = rules(Among::AllKeys, order);
        let mut eviction = Eviction::default();
        let (mut rng, mut steps) = (Rng::new(9), 0);
        for number in 0..200_000 {
            let entry = Entry::new(Value::String(Str::Int(1))).with_access(equal);
            keyspace.database_mut(1).insert(format!("k{number}").as_bytes(), entry);
            while keyspace.database(1).len() > 2_000 {
                if let Choice::Key(db, key) =
                    eviction.choose(&keyspace, NOW, &rules, &mut rng, &mut steps)
                {
                    keyspace.database_mut(db).remove(&key);
                }
            }
        }
        let table = keyspace.database(1).table();
        let lens = (0..table.segment_count()).map(|index| table.segment_len(index));
        let len_max = lens.max().unwrap();
        assert!(len_max < 400, "{order:?}: a segment has {len_max} of 2000 entries");
    }
}

#[test]
fn all_keys_can_leave() {
    for order in [Order::LeastRecent, Order::LeastFrequent, Order::Random] {
        let mut keyspace = keyspace(1_000, order);
        let gone = evict(&mut keyspace, &rules(Among::AllKeys, order), usize::MAX / 100);
        assert_eq!(gone.len(), 1_000, "{order:?}");
        assert!(keyspace.database(1).is_empty());
    }
}

#[test]
fn a_candidate_that_is_used_meanwhile_stays() {
    let mut keyspace = keyspace(2_000, Order::LeastRecent);
    let rules = rules(Among::AllKeys, Order::LeastRecent);
    let mut eviction = Eviction::default();
    let (mut rng, mut steps) = (Rng::new(1), 0);
    let _ = eviction.choose(&keyspace, NOW, &rules, &mut rng, &mut steps);
    let used: Vec<Box<[u8]>> = eviction.pool.iter().map(|c| c.key.clone()).collect();
    assert!(!used.is_empty());
    for key in &used {
        let place = keyspace.database(1).locate(key).unwrap();
        let used = Access::new(NOW, UseRule::Recency);
        keyspace.database_mut(1).table_mut().set_access(place, used);
    }
    for _ in 0..used.len() {
        if let Choice::Key(_, key) = eviction.choose(&keyspace, NOW, &rules, &mut rng, &mut steps) {
            assert!(!used.contains(&key), "k{} has just been used", number_of(&key));
        }
    }
}
