//! The table against a map, and its invariants while it grows and shrinks.

use super::*;
use crate::types::string::Str;
use crate::value::Value;
use std::collections::BTreeMap;

fn table() -> Table {
    Table::new(RandomState::with_seeds(1, 2, 3, 4))
}

fn entry(number: i64) -> Entry {
    Entry::new(Value::String(Str::Int(number)))
}

fn key(number: u64) -> Vec<u8> {
    format!("key:{number}").into_bytes()
}

fn put(table: &mut Table, key: &[u8], entry: Entry) {
    let hash = table.hash(key);
    match table.locate(hash, key) {
        Some(place) => drop(table.replace(place, entry)),
        None => {
            let place = table.insert_new(hash, key, entry);
            assert_eq!(&*table.slot(place).key, key);
        }
    }
}

fn take(table: &mut Table, key: &[u8]) -> Option<Entry> {
    let place = table.locate(table.hash(key), key)?;
    Some(table.remove(place).entry)
}

#[test]
fn it_grows_and_shrinks_one_segment_at_a_time() {
    let mut table = table();
    let mut segment_count = 1;
    for number in 0..30_000 {
        put(&mut table, &key(number), entry(1));
        assert!(table.segment_count() - segment_count <= 1);
        segment_count = table.segment_count();
    }
    assert!(segment_count > 100);
    table.check_invariants();
    for number in 0..30_000 {
        assert!(take(&mut table, &key(number)).is_some());
        assert!(segment_count - table.segment_count() <= 1);
        segment_count = table.segment_count();
        if number % 1_000 == 0 {
            table.check_invariants();
        }
    }
    assert_eq!((table.len(), table.segment_count()), (0, 1));
}

#[test]
fn segments_follow_each_other_in_hash_order_without_a_gap() {
    let mut table = table();
    for number in 0..5_000 {
        put(&mut table, &key(number), entry(1));
        if number % 97 != 0 {
            continue;
        }
        let (mut position, mut seen) = (Some(0), 0);
        while let Some(at) = position {
            let segment = table.segment_at(at);
            seen += table.segment_slots(segment).len();
            position = table.position_after(segment);
            assert!(position.is_none_or(|after| after > at));
        }
        assert_eq!(seen, table.len());
    }
}

#[test]
fn random_changes_leave_what_a_map_holds() {
    let seed = 7;
    println!("seed {seed}");
    let mut rng = crate::rng::Rng::new(seed);
    let (mut table, mut model) = (table(), BTreeMap::new());
    for step in 0..60_000 {
        // The range of keys breathes, so that the table grows and shrinks.
        let range = if step / 10_000 % 2 == 0 { 4_000 } else { 100 };
        let key = key(rng.below(range) as u64);
        let at_ms = rng.below(1_000) as i64;
        match rng.below(5) {
            0 | 1 => {
                put(&mut table, &key, entry(step).with_expiry(Some(at_ms)));
                model.insert(key, (step, Some(at_ms)));
            }
            2 => {
                put(&mut table, &key, entry(step));
                model.insert(key, (step, None));
            }
            3 => assert_eq!(take(&mut table, &key).is_some(), model.remove(&key).is_some()),
            _ => {
                let place = table.locate(table.hash(&key), &key);
                assert_eq!(place.is_some(), model.contains_key(&key));
                if let Some(place) = place {
                    table.set_expiry(place, Some(at_ms));
                    model.get_mut(&key).unwrap().1 = Some(at_ms);
                }
            }
        }
        if step % 10_000 == 9_999 {
            let due_at = rng.below(500) as i64;
            let mut index = 0;
            while index < table.segment_count() {
                table.take_due(index, due_at);
                index += 1;
            }
            // Merging moves due entries into segments that were looked at before: go round once more.
            for index in 0..table.segment_count() {
                table.take_due(index, due_at);
            }
            model.retain(|_, (_, at_ms)| at_ms.is_none_or(|at| at >= due_at));
        }
        if step % 500 == 0 {
            table.check_invariants();
            let found: BTreeMap<_, _> = table
                .iter()
                .map(|slot| {
                    let Value::String(Str::Int(number)) = slot.entry.value else { panic!() };
                    (slot.key.to_vec(), (number, slot.entry.expire_at_ms()))
                })
                .collect();
            assert_eq!(found, model);
        }
    }
}

#[test]
fn due_entries_are_taken_and_the_soonest_of_the_rest_is_known() {
    let mut table = table();
    put(&mut table, b"a", entry(1).with_expiry(Some(10)));
    put(&mut table, b"b", entry(1).with_expiry(Some(30)));
    put(&mut table, b"c", entry(1));
    assert_eq!(table.soonest_ms(0), 10);
    let due = table.take_due(0, 20);
    assert_eq!(due.len(), 1);
    assert_eq!(&*due[0].key, b"a");
    assert_eq!((table.soonest_ms(0), table.expiring_count(), table.len()), (30, 1, 2));
    table.check_invariants();
}

#[test]
fn dismantling_is_bounded_and_ends() {
    let mut table = table();
    for number in 0..10_000 {
        put(&mut table, &key(number), entry(1));
    }
    let mut step_count = 0;
    while table.dismantle(1_000) {
        step_count += 1;
    }
    assert!((5..=10).contains(&step_count), "{step_count}");
}
