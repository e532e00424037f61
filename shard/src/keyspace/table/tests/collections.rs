//! Collections against maps, at sizes around those where a record, or the packed form, ends.

use super::*;
use crate::types::hash::{self, HashRef};

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Text(Vec<u8>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
}

const LIMITS: HashLimits = HashLimits { entries_max: 30, value_len_max: 64 };

fn pairs(hash: HashRef<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    hash.iter().map(|(field, value)| (field.text().to_vec(), value.text().to_vec())).collect()
}

fn held(value: ValueRef<'_>) -> Held {
    match value {
        ValueRef::String(string) => Held::Text(string.with_bytes(<[u8]>::to_vec)),
        ValueRef::Hash(hash) => Held::Hash(pairs(hash)),
        _ => panic!("a string or a hash"),
    }
}

/// A field or value: often one that there is already, or one of the same length.
fn word(rng: &mut Rng) -> Vec<u8> {
    match rng.below(4) {
        0 => rng.below(100).to_string().into_bytes(),
        1 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
        2 => vec![b'a' + rng.below(26) as u8; 1 + rng.below(3)],
        _ => vec![b'a' + rng.below(26) as u8; [5, 30, 62, 63, 64, 65][rng.below(6)]],
    }
}

/// Changes a hash in the table and its model in the same way.
fn change(table: &mut Table, place: Place, model: &mut BTreeMap<Vec<u8>, Vec<u8>>, rng: &mut Rng) {
    let mut hash = table.value_mut::<Hash>(place).unwrap();
    assert_eq!(pairs(hash.view()), *model);
    let known = model.keys().nth(rng.below(model.len().max(1))).cloned();
    for _ in 0..1 + rng.below(4) {
        let field = known.clone().filter(|_| rng.below(2) == 0).unwrap_or_else(|| word(rng));
        let value = word(rng);
        match rng.below(4) {
            0 => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
            1 => {
                let is_set = hash
                    .elements()
                    .is_some_and(|mut packed| hash::overwrite(&mut packed, &field, &value, LIMITS));
                if is_set {
                    assert!(model.insert(field, value).is_some(), "only what is there");
                }
            }
            _ => {
                let is_new = hash.set(&field, &value, LIMITS);
                assert_eq!(is_new, model.insert(field, value).is_none());
            }
        }
        assert_eq!(pairs(hash.view()), *model);
    }
}

#[test]
fn hashes_of_all_sizes_under_keys_of_all_lengths_stay_what_they_are() {
    let mut seen = BTreeMap::new();
    for seed in 0..4 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let (mut table, mut model) = (table(), BTreeMap::<Vec<u8>, (Held, Option<i64>)>::new());
        for step in 0..30_000 {
            // The range of keys breathes, so that segments split and merge.
            let range = if step / 6_000 % 2 == 0 { 1_200 } else { 60 };
            let any_key = |rng: &mut Rng| {
                let number = rng.below(range);
                [key(number as u64), vec![b'-'; [0, 0, 0, 120, 160, 300][number % 6]]].concat()
            };
            let key = any_key(&mut rng);
            let hash = table.hash(&key);
            let place = table.locate(hash, &key);
            assert_eq!(place.is_some(), model.contains_key(&key));
            let expiry = [None, Some(rng.below(1_000) as i64), Some(1 << 50)][rng.below(3)];
            match (rng.below(12), place) {
                (0..7, Some(place)) => {
                    let (value, _) = model.get_mut(&key).unwrap();
                    match value {
                        Held::Hash(pairs) => change(&mut table, place, pairs, &mut rng),
                        Held::Text(_) => assert!(table.value_mut::<Hash>(place).is_err()),
                    }
                }
                (0..9, None) => {
                    let mut pairs = BTreeMap::new();
                    let new = Entry::new(Hash::default().into_value()).with_expiry(expiry);
                    let place = table.insert_new(hash, &key, new, Access::default());
                    change(&mut table, place, &mut pairs, &mut rng);
                    model.insert(key, (Held::Hash(pairs), expiry));
                }
                (7, Some(place)) => {
                    table.set_expiry(place, expiry);
                    table.set_access(place, Access::from_bits(9));
                    model.get_mut(&key).unwrap().1 = expiry;
                }
                (8, Some(place)) => {
                    let text = word(&mut rng);
                    table.replace_string(place, StrRef::new(&text), expiry);
                    model.insert(key, (Held::Text(text), expiry));
                }
                (9 | 10, Some(place)) => {
                    // As a rename does: taken from one key, stored under another.
                    let entry = table.take(place);
                    let found = model.remove(&key).unwrap();
                    assert_eq!((held(entry.value.view()), entry.expire_at_ms()), found);
                    let other = any_key(&mut rng);
                    put(&mut table, &other, entry);
                    model.insert(other, found);
                }
                (_, Some(place)) => {
                    table.remove(place);
                    model.remove(&key);
                }
                (_, None) => {}
            }
            if step % 1_000 == 0 {
                table.check_invariants();
                let found = table
                    .iter()
                    .map(|(key, entry)| (key.to_vec(), (held(entry.value), entry.expire_at_ms())));
                assert!(found.collect::<BTreeMap<_, _>>() == model, "seed {seed} step {step}");
                for (_, entry) in table.iter() {
                    let is_inside =
                        table.segment(entry.place().segment).is_packed(entry.place().slot);
                    *seen.entry((entry.value.encoding(), is_inside)).or_insert(0) += 1;
                }
            }
        }
    }
    println!("{seen:?}");
    for form in [("listpack", true), ("listpack", false), ("hashtable", false)] {
        assert!(seen[&form] > 100, "{form:?}");
    }
}

#[test]
fn a_small_hash_needs_no_allocation_and_is_changed_where_it_lies() {
    let mut table = table();
    let mut hash = Hash::default();
    for (field, value) in [("price", "101.25"), ("volume", "700"), ("bid", "101.24")] {
        hash.set(field.as_bytes(), value.as_bytes(), LIMITS);
    }
    put(&mut table, b"market:snapshot:ABC", Entry::expiring(hash.into_value(), 5));
    let place = table.locate(table.hash(b"market:snapshot:ABC"), b"market:snapshot:ABC").unwrap();
    // Head, length, expiry, key, count and six elements.
    let size = 5 + 1 + 6 + 19 + 1 + (6 + 4) + (7 + 2) + (4 + 4);
    assert_eq!(table.data_bytes(), (size as usize).next_multiple_of(arena::UNIT));
    let version = table.change_count();
    let mut guard = table.value_mut::<Hash>(place).unwrap();
    let mut set = |field: &str, value: &str| {
        let mut packed = guard.elements().unwrap();
        hash::overwrite(&mut packed, field.as_bytes(), value.as_bytes(), LIMITS)
    };
    assert!(set("price", "101.26") && set("volume", "701") && !set("bid", "99.5"));
    drop(guard);
    assert!(table.change_count() > version);
    let entry = table.get(place);
    let hash = entry.value.as_type::<Hash>().unwrap();
    assert_eq!(hash.get(b"price").as_deref(), Some(b"101.26".as_slice()));
    assert_eq!(hash.get(b"volume").as_deref(), Some(b"701".as_slice()));
    assert_eq!(entry.expire_at_ms(), Some(5));
    table.check_invariants();
}
