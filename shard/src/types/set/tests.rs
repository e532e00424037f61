//! Sets: forms at their thresholds, and random changes against a model.

use super::*;
use crate::rng::Rng;
use std::collections::BTreeSet;

const LIMITS: SetLimits = SetLimits { integers_max: 6, entries_max: 4, value_len_max: 4 };

fn set(members: &[&str]) -> Set {
    let mut set = Set::default();
    members.iter().for_each(|member| {
        set.insert(member.as_bytes(), LIMITS);
    });
    set
}

#[test]
fn it_changes_its_form_at_the_thresholds() {
    for (members, encoding) in [
        (&["1", "2", "3", "4", "5", "6"][..], "intset"),
        (&["1", "2", "3", "4", "5", "6", "7"], "hashtable"),
        (&["1", "2", "3", "a"], "listpack"),
        (&["1", "2", "3", "4", "a"], "hashtable"),
        (&["12345", "a"], "hashtable"),
        (&["-1234", "a"], "hashtable"),
        (&["-123", "a"], "listpack"),
        (&["a", "abcde"], "hashtable"),
        (&["abcde"], "hashtable"),
        (&["a", "b", "c", "d"], "listpack"),
        (&["a", "b", "c", "d", "e"], "hashtable"),
        (&["01"], "listpack"),
    ] {
        assert_eq!(set(members).encoding(), encoding, "{members:?}");
        assert_eq!(set(members).len(), members.len());
    }
}

#[test]
fn the_number_of_members_that_come_chooses_the_form() {
    let prepared = |first: &str, count| {
        let mut set = Set::default();
        set.prepare(first.as_bytes(), count, LIMITS);
        set.encoding()
    };
    assert_eq!(prepared("1", 6), "intset");
    assert_eq!(prepared("1", 7), "hashtable");
    assert_eq!(prepared("a", 4), "listpack");
    assert_eq!(prepared("a", 5), "hashtable");
    let mut packed = set(&["a"]);
    packed.prepare(b"a", 5, LIMITS);
    assert_eq!(packed.encoding(), "hashtable");
    let few_integers = SetLimits { integers_max: 2, ..LIMITS };
    let mut set = Set::default();
    set.prepare(b"1", 3, few_integers);
    assert_eq!(set.encoding(), "listpack");
}

#[test]
fn a_result_may_turn_into_integers() {
    let built = |members: &[&str]| {
        let mut builder = Builder::new(Beginning::Packed, LIMITS);
        members.iter().for_each(|member| builder.push(Member::Bytes(member.as_bytes())));
        builder.finish()
    };
    let all = built(&["3", "1", "2"]);
    assert_eq!(all.encoding(), "intset");
    assert_eq!(list(&all), [b"1", b"2", b"3"]);
    assert_eq!(built(&["1", "a"]).encoding(), "listpack");
}

#[test]
fn it_is_rebuilt_in_batches() {
    let mut set = Set::default();
    (0..150).for_each(|number| {
        set.insert(format!("m{number}").as_bytes(), LIMITS);
    });
    let mut copy = Set::default();
    let mut lens = Vec::new();
    set.rebuild(b"key", &mut |command| {
        lens.push(command.as_argv().len());
        command.as_argv().iter().skip(2).for_each(|member| {
            copy.insert(member, LIMITS);
        });
    });
    assert_eq!(lens, [2 + 64, 2 + 64, 2 + 22]);
    assert_eq!(copy, set);
}

#[test]
fn it_does_what_an_ordered_set_of_strings_does() {
    let seed = 0x5e_75e7;
    println!("seed {seed:#x}");
    let mut rng = Rng::new(seed);
    for round in 0..60 {
        let limits =
            SetLimits { integers_max: rng.below(40), entries_max: rng.below(40), value_len_max: 3 };
        let mut set = Set::default();
        let mut model = BTreeSet::new();
        for step in 0..400 {
            let number = rng.below(60);
            let member = match number % 8 {
                0 if round % 3 > 0 => format!("m{number}"),
                4 if round % 3 > 0 => format!("{}.{}", number / 10, number % 10),
                _ => number.to_string(),
            };
            let member = member.into_bytes();
            match rng.below(8) {
                0..4 => {
                    let is_new = set.insert(&member, limits);
                    assert_eq!(is_new, model.insert(member), "round {round} step {step}");
                }
                4..6 => assert_eq!(set.remove(&member), model.remove(&member), "step {step}"),
                6 if !set.is_empty() => {
                    let member = set.take(rng.below(set.len()));
                    assert!(model.remove(&member), "step {step}");
                }
                _ => {
                    let indices = (0..set.len()).filter(|_| rng.below(5) == 0);
                    let indices = indices.collect::<Vec<_>>();
                    for member in set.pick(&indices) {
                        assert!(model.remove(&member.to_vec()), "step {step}");
                    }
                    set.remove_all(&indices);
                }
            }
            assert_eq!(set.contains(b"8"), model.contains(b"8".as_slice()));
            assert_eq!(set.len(), model.len(), "round {round} step {step}");
        }
        let listed = set.iter().map(Member::to_vec).collect::<Vec<_>>();
        let at = (0..set.len()).map(|index| set.at(index).to_vec());
        assert_eq!(at.collect::<Vec<_>>(), listed);
        let mut scanned = Vec::new();
        let mut cursor = 0;
        loop {
            let (next, members) = set.scan(cursor, 7);
            scanned.extend(members.map(Member::to_vec));
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        for mut members in [listed, scanned] {
            members.sort();
            assert!(members.iter().eq(&model), "round {round}");
        }
    }
}

/// Members of all kinds: short and long, integers, numbers with a point, texts.
fn any_member(rng: &mut Rng, text_share: usize) -> Vec<u8> {
    let number = rng.below(40);
    match rng.below(10) {
        kind if kind >= text_share => (number as i64 - 20).to_string(),
        0 => format!("{}.5", number),
        1 => format!("text{number}"),
        _ => format!("m{number}"),
    }
    .into_bytes()
}

fn any_limits(rng: &mut Rng) -> SetLimits {
    SetLimits { integers_max: rng.below(40), entries_max: rng.below(40), value_len_max: 4 }
}

fn list(set: &Set) -> Vec<Vec<u8>> {
    set.iter().map(Member::to_vec).collect()
}

#[test]
fn a_builder_does_what_adding_one_by_one_does() {
    for seed in 0..2_000 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let limits = any_limits(&mut rng);
        let text_share = rng.below(11);
        let members =
            (0..rng.below(60)).map(|_| any_member(&mut rng, text_share)).collect::<Vec<_>>();
        let members = members.iter().map(|member| Member::Bytes(member)).collect::<Vec<_>>();

        for beginning in [Beginning::Integers, Beginning::Packed] {
            let mut set = match beginning {
                Beginning::Integers => Set::default(),
                Beginning::Packed => Set::packed(),
            };
            let build = || {
                let mut builder = Builder::new(beginning, limits);
                members.iter().for_each(|&member| builder.insert(member));
                builder
            };
            for member in &members {
                member.with_bytes(|bytes| set.insert(bytes, limits));
            }
            let others = (0..rng.below(30)).map(|_| any_member(&mut rng, text_share));
            let others = others.collect::<Vec<_>>();
            let mut rest = build();
            rest.exclude(others.iter().map(|member| Member::Bytes(member)));
            if beginning == Beginning::Packed {
                narrow(&mut set, limits);
            }
            let built = build().finish();
            assert_eq!(built.encoding(), set.encoding(), "{beginning:?}");
            assert_eq!(built, set, "{beginning:?}");

            let mut answered = Vec::new();
            build().for_each(|member| answered.push(member.to_vec()));
            let mut expected = list(&set);
            // A table is in no order.
            if set.encoding() == "hashtable" {
                answered.sort();
                expected.sort();
            } else {
                assert_eq!(list(&built), expected, "{beginning:?}");
            }
            assert_eq!(answered, expected, "{beginning:?}");

            others.iter().for_each(|member| {
                set.remove(member);
            });
            let rest = rest.finish();
            assert_eq!(rest.encoding(), set.encoding(), "{beginning:?}");
            assert_eq!(rest, set, "{beginning:?}");
        }
    }
}

/// Turns a set of nothing but integers, if they are not too many, into the form of such.
fn narrow(set: &mut Set, limits: SetLimits) {
    let integers = set.iter().map(Member::integer).collect::<Option<Vec<_>>>();
    if let Some(integers) = integers.filter(|integers| integers.len() <= limits.integers_max) {
        *set = Set::default();
        integers.iter().for_each(|integer| {
            set.insert(integer.to_string().as_bytes(), limits);
        });
    }
}

#[test]
fn an_indexed_set_has_the_same_members() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let limits = any_limits(&mut rng);
        let text_share = rng.below(11);
        let mut set = Set::default();
        for _ in 0..rng.below(60) {
            set.insert(&any_member(&mut rng, text_share), limits);
        }
        for count in [0, 1, 100] {
            let lookup = Lookup::new(&set, count);
            assert!(set.iter().all(|member| lookup.has(member)));
            for _ in 0..50 {
                let member = any_member(&mut rng, text_share);
                assert_eq!(lookup.has(Member::Bytes(&member)), set.contains(&member));
            }
        }
    }
}
