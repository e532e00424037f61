//! The table against a map, and its invariants while it grows and shrinks.

mod collections;

use super::*;
use crate::options::Options;
use crate::rng::Rng;
use crate::types::hash::{Hash, HashLimits};
use crate::types::list::List;
use crate::types::string::Str;
use crate::value::ValueRef;
use std::collections::BTreeMap;

fn table() -> Table {
    Table::new(RandomState::with_seeds(1, 2, 3, 4), || 0)
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
        Some(place) => table.replace(place, entry, Access::default()),
        None => {
            let place = table.insert_new(hash, key, entry, Access::default());
            assert_eq!(table.key(place), key);
        }
    }
}

fn take(table: &mut Table, key: &[u8]) -> Option<Entry> {
    let place = table.locate(table.hash(key), key)?;
    Some(table.take(place))
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
            seen += table.segment_entries(segment).count();
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
    let mut rng = Rng::new(seed);
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
                table.take_due(index, due_at, |_| {});
                index += 1;
            }
            // Merging moves due entries into segments that were looked at before: go round once more.
            for index in 0..table.segment_count() {
                table.take_due(index, due_at, |_| {});
            }
            model.retain(|_, (_, at_ms)| at_ms.is_none_or(|at| at >= due_at));
        }
        if step % 500 == 0 {
            table.check_invariants();
            let found: BTreeMap<_, _> = table
                .iter()
                .map(|(key, entry)| {
                    let ValueRef::String(StrRef::Int(number)) = entry.value else { panic!() };
                    (key.to_vec(), (number, entry.expire_at_ms()))
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
    let mut due = Vec::new();
    table.take_due(0, 20, |key| due.push(key.to_vec()));
    assert_eq!(due, [b"a"]);
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

#[test]
fn a_change_through_a_guard_is_counted_when_the_guard_goes() {
    let mut table = table();
    put(&mut table, b"h", Entry::new(Hash::default().into_value()));
    let place = table.locate(table.hash(b"h"), b"h").unwrap();
    let before = table.data_bytes();
    let mut hash = table.value_mut::<Hash>(place).unwrap();
    let limits = HashLimits::from(&Options::default());
    for number in 0..1_000 {
        hash.set(format!("field{number}").as_bytes(), b"value", limits);
    }
    drop(hash);
    assert!(table.data_bytes() > before + 1_000 * 16);
    table.check_invariants();
    assert!(table.value_mut::<List>(place).is_err());
}

#[test]
fn a_large_value_is_freed_in_slices_after_it_has_gone() {
    let mut table = table();
    let mut hash = Hash::default();
    let limits = HashLimits::from(&Options::default());
    for number in 0..1_000 {
        hash.set(format!("field{number}").as_bytes(), b"value", limits);
    }
    put(&mut table, b"h", Entry::new(hash.into_value()));
    put(&mut table, b"h", entry(1));
    assert!(table.discarded_bytes() > 16_000);
    table.check_invariants();
    let mut step_count = 1;
    while table.free(100) {
        step_count += 1;
    }
    assert!((5..=10).contains(&step_count), "{step_count}");
    assert_eq!(table.discarded_bytes(), 0);
}

#[test]
fn a_collection_in_one_piece_of_memory_goes_at_once() {
    let mut table = table();
    let mut hash = Hash::default();
    let limits = HashLimits::from(&Options::default());
    for number in 0..100 {
        hash.set(format!("field{number}").as_bytes(), b"value", limits);
    }
    assert_eq!(hash.view().encoding(), "listpack");
    put(&mut table, b"h", Entry::new(hash.into_value()));
    put(&mut table, b"h", entry(1));
    assert_eq!(table.discarded_count(), 0);
    table.check_invariants();
}

#[test]
fn a_string_takes_the_place_of_any_value_and_leaves_the_expiry() {
    let mut table = table();
    let values = [b"1".as_slice(), b"abc", b"xyz", &[b'a'; 200], &[b'b'; 200], b""];
    put(&mut table, b"k", Entry::expiring(Hash::default().into_value(), 7));
    let place = table.locate(table.hash(b"k"), b"k").unwrap();
    for value in values {
        table.replace_string(place, StrRef::new(value), Some(7));
        let entry = table.get(place);
        let string = entry.value.as_type::<Str>().unwrap();
        assert_eq!(string.to_str(), Str::new(value));
        assert_eq!(entry.expire_at_ms(), Some(7));
        table.check_invariants();
    }
}

/// Any string, of any form and length that makes a difference.
fn any_string(rng: &mut Rng) -> Vec<u8> {
    let len = [1, 5, 16, 44, 45, 150, 250, 260, 1_000][rng.below(9)] + rng.below(3);
    match rng.below(3) {
        0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
        _ => (0..len).map(|_| b'a' + rng.below(26) as u8).collect(),
    }
}

#[test]
fn strings_of_all_forms_under_keys_of_all_lengths_stay_what_they_are() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let (mut table, mut model) = (table(), BTreeMap::<Vec<u8>, (Vec<u8>, Option<i64>)>::new());
        for step in 0..15_000 {
            let number = rng.below(if step / 3_000 % 2 == 0 { 1_500 } else { 60 }) as u64;
            let key = [key(number), vec![b'-'; [0, 0, 0, 120, 160, 300][number as usize % 6]]];
            let key = key.concat();
            let hash = table.hash(&key);
            let place = table.locate(hash, &key);
            assert_eq!(place.is_some(), model.contains_key(&key));
            let string = any_string(&mut rng);
            let expiry = [None, Some(rng.below(1_000) as i64), Some(1 << 50)][rng.below(3)];
            match (rng.below(6), place) {
                (0..3, Some(place)) => {
                    table.replace_string(place, StrRef::new(&string), expiry);
                    model.insert(key, (string, expiry));
                }
                (0..4, None) => {
                    let string_ref = StrRef::new(&string);
                    table.insert_string(hash, &key, string_ref, expiry, Access::default());
                    model.insert(key, (string, expiry));
                }
                (3, Some(place)) => {
                    let mut changed = table.value_mut::<Str>(place).unwrap();
                    changed.make_raw().extend_from_slice(b"tail");
                    drop(changed);
                    model.get_mut(&key).unwrap().0.extend_from_slice(b"tail");
                }
                (4, Some(place)) => {
                    table.set_expiry(place, expiry);
                    table.set_access(place, Access::from_bits(9));
                    model.get_mut(&key).unwrap().1 = expiry;
                }
                (_, Some(place)) => {
                    let entry = table.take(place);
                    let (string, expiry) = model.remove(&key).unwrap();
                    let Value::String(found) = &entry.value else { panic!("a string") };
                    assert!(found.with_bytes(|found| found == string));
                    assert_eq!(entry.expire_at_ms(), expiry);
                }
                (_, None) => {}
            }
            if step % 300 == 0 {
                table.check_invariants();
                assert_eq!(table.len(), model.len());
                for (key, entry) in table.iter() {
                    let (string, expiry) = &model[key];
                    let found = entry.value.as_type::<Str>().unwrap();
                    assert!(found.with_bytes(|found| found == string), "seed {seed} {step}");
                    assert_eq!(entry.expire_at_ms(), *expiry);
                }
            }
        }
    }
}

#[test]
fn a_segment_whose_arena_is_full_sends_strings_outside() {
    let mut segment = Segment::default();
    let hasher = RandomState::with_seeds(1, 2, 3, 4);
    let mut tools = Tools { hasher, work: Work::new(|| 0) };
    let value = [b'v'; 200];
    for number in 0..900 {
        let key = key(number);
        let hash = hash_key(&tools.hasher, &key);
        let string = NewValue::String(StrRef::from_text(&value));
        segment.insert(hash, &key, string, (None, Access::default()), &mut tools);
    }
    segment.check_invariants(&tools.hasher);
    for number in 0..900 {
        let key = key(number);
        let slot = segment.find(hash_key(&tools.hasher, &key), &key).unwrap();
        let entry = segment.entry(slot, Place { segment: 0, slot }).unwrap();
        assert!(entry.value.as_type::<Str>().unwrap().with_bytes(|found| found == value));
        segment.remove(slot, &mut tools);
    }
    segment.check_invariants(&tools.hasher);
    assert_eq!(segment.bytes().data, 0);
}

#[test]
fn a_full_arena_is_packed_whatever_the_sizes_of_its_records() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut segment = Segment::default();
        let hasher = RandomState::with_seeds(1, 2, 3, seed);
        let mut tools = Tools { hasher, work: Work::new(|| 0) };
        let mut model = BTreeMap::new();
        for number in 0..900 {
            let key = key(number);
            let hash = hash_key(&tools.hasher, &key);
            let value = vec![b'v'; 60 + rng.below(180)];
            let string = NewValue::String(StrRef::from_text(&value));
            segment.insert(hash, &key, string, (None, Access::default()), &mut tools);
            model.insert(key, value);
        }
        segment.check_invariants(&tools.hasher);
        for (key, value) in &model {
            let slot = segment.find(hash_key(&tools.hasher, key), key).unwrap();
            let entry = segment.entry(slot, Place { segment: 0, slot }).unwrap();
            assert!(entry.value.as_type::<Str>().unwrap().with_bytes(|found| found == value));
        }
    }
}

#[test]
fn a_value_under_an_expiry_that_needs_more_room_than_any_record_stays() {
    let mut table = table();
    let value = [b'v'; 240];
    let hash = table.hash(b"key");
    let place =
        table.insert_string(hash, b"key", StrRef::from_text(&value), None, Access::default());
    for expiry in [Some(5), Some(i64::MAX), None, Some(i64::MIN)] {
        table.set_expiry(place, expiry);
        assert_eq!(table.get(place).expire_at_ms(), expiry);
        table.check_invariants();
    }
    let entry = table.get(place);
    assert!(entry.value.as_type::<Str>().unwrap().with_bytes(|found| found == value));
}

#[test]
fn versions_tell_which_segments_have_changed() {
    let mut table = table();
    for number in 0..5_000 {
        put(&mut table, &key(number), entry(1));
    }
    let version = table.change_count();
    let place = table.locate(table.hash(b"key:7"), b"key:7").unwrap();
    table.set_access(place, Access::from_bits(1));
    assert_eq!(table.change_count(), version, "a use is no change");
    table.replace_string(place, StrRef::Int(2), None);
    let changed: Vec<usize> = (0..table.segment_count())
        .filter(|index| table.segment_version(*index) > version)
        .collect();
    assert_eq!(changed, [place.segment]);
}

#[test]
fn work_is_bounded_by_a_segment_and_timed_with_the_clock_that_is_handed_in() {
    thread_local! {
        static TIME: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    fn tick() -> u64 {
        TIME.set(TIME.get() + 5);
        TIME.get()
    }
    let mut table = table();
    table.set_clock(tick);
    for number in 0..50_000 {
        put(&mut table, &key(number), entry(number as i64));
    }
    let grown = table.work_stats();
    assert!((SEGMENT_LEN..=3 * SEGMENT_LEN).contains(&grown.moved_max), "{grown:?}");
    assert_eq!(grown.longest_ns, 5);
    table.reset_work_stats();
    assert_eq!(table.work_stats(), WorkStats::default());
}
