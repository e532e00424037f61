//! Lists against vectors, and what they weigh.

use super::*;
use crate::rng::Rng;

fn limit(list_max_listpack_size: i64) -> ListLimit {
    ListLimit::from(&Options { list_max_listpack_size, ..Options::default() })
}

fn push(list: &mut List, end: End, element: &[u8], limit: ListLimit) {
    list.prepare(1, element.len(), limit);
    list.push(end, element);
}

#[test]
fn a_threshold_is_a_size_or_a_count() {
    let mut list = List::default();
    for _ in 0..3 {
        push(&mut list, End::Right, b"a", limit(3));
    }
    assert_eq!(list.encoding(), "listpack");
    push(&mut list, End::Right, b"a", limit(3));
    assert_eq!(list.encoding(), "quicklist");
    list.remove(0..2);
    list.settle(limit(3));
    assert_eq!(list.encoding(), "quicklist");
    list.remove(0..1);
    list.settle(limit(3));
    assert_eq!(list.encoding(), "listpack");

    let mut list = List::default();
    push(&mut list, End::Left, &[b'x'; 8000], limit(-2));
    assert_eq!(list.encoding(), "listpack");
    push(&mut list, End::Left, &[b'x'; 179], limit(-2)); // 7 + 8007 + 179 is more than 8192
    assert_eq!(list.encoding(), "quicklist");
    list.settle(limit(-2));
    assert_eq!(list.encoding(), "quicklist");
    list.remove(1..2);
    list.settle(limit(-2));
    assert_eq!(list.encoding(), "listpack");
    assert_eq!(limit(-7), limit(-5));
    assert_eq!(limit(0), limit(1));
}

#[test]
fn it_is_rebuilt_in_batches() {
    let mut list = List::default();
    (0..65).for_each(|number: u8| push(&mut list, End::Right, &[number], limit(-2)));
    let mut copy = List::default();
    let mut lens = Vec::new();
    list.rebuild(b"key", &mut |command| {
        lens.push(command.as_argv().len());
        for element in command.as_argv().iter().skip(2) {
            push(&mut copy, End::Right, element, limit(-2));
        }
    });
    assert_eq!(lens, [2 + 64, 2 + 1]);
    assert_eq!(copy, list);
}

fn texts<'a>(elements: impl Iterator<Item = Element<'a>>) -> Vec<Vec<u8>> {
    elements.map(|element| element.text().to_vec()).collect()
}

/// Mostly short, so that some are equal; at times so long that few or none fit into a run.
fn element(rng: &mut Rng, is_long: bool) -> Vec<u8> {
    match rng.below(if is_long { 4 } else { 40 }) {
        0 => vec![b'x'; rng.below(3000)],
        1 if rng.below(20) == 0 => vec![b'y'; 8000 + rng.below(3000)],
        _ => rng.below(20).to_string().into_bytes(),
    }
}

#[test]
fn it_does_what_a_vector_does() {
    let seed = 0x7157;
    println!("seed {seed:#x}");
    let mut rng = Rng::new(seed);
    for round in 0..40 {
        let limit = limit(rng.below(60) as i64);
        let mut list = List::default();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for step in 0..500 {
            let element = element(&mut rng, round % 2 == 0);
            let index = rng.below(model.len() + 1);
            let end = if rng.below(2) == 0 { End::Left } else { End::Right };
            list.prepare(1, element.len(), limit);
            match rng.below(9) {
                0..3 => {
                    list.push(end, &element);
                    let at = if end == End::Left { 0 } else { model.len() };
                    model.insert(at, element);
                }
                3 => {
                    list.insert(index, &element);
                    model.insert(index, element);
                }
                4 if index < model.len() => {
                    list.set(index, &element);
                    model[index] = element;
                }
                5 if rng.below(2) == 0 => {
                    let count = rng.below((model.len() - index).min(9) + 1);
                    assert_eq!(
                        texts(list.range(index..index + count)),
                        model[index..index + count]
                    );
                    list.remove(index..index + count);
                    model.drain(index..index + count);
                    list.settle(limit);
                }
                6 => {
                    let count_max = rng.below(3);
                    let mut kept = Vec::new();
                    let mut removed_count = 0;
                    if end == End::Right {
                        model.reverse();
                    }
                    for candidate in model {
                        if candidate == element && removed_count < count_max {
                            removed_count += 1;
                        } else {
                            kept.push(candidate);
                        }
                    }
                    model = kept;
                    if end == End::Right {
                        model.reverse();
                    }
                    assert_eq!(list.remove_equal(end, &element, count_max), removed_count);
                    list.settle(limit);
                }
                7 if !model.is_empty() => {
                    let at = if end == End::Left { 0 } else { model.len() - 1 };
                    let taken = list.pop(end, |element| element.text().to_vec());
                    assert_eq!(taken, model.remove(at), "step {step}");
                    list.settle(limit);
                }
                _ => assert_eq!(texts(list.get(index).into_iter()).first(), model.get(index)),
            }
            list.check_invariants();
            assert_eq!(list.len(), model.len());
            assert_eq!(texts(list.iter()), model, "step {step}");
            model.reverse();
            assert_eq!(texts(list.iter().rev()), model, "step {step}");
            model.reverse();
        }
        assert_eq!(list.clone(), list);
        list.clone().check_invariants();
        while list.free_some(7) {
            list.check_invariants();
        }
        assert_eq!((list.len(), list.heap_size()), (0, 0));
    }
}

#[test]
fn a_long_list_is_a_queue_in_either_direction() {
    for (into, out_of) in [(End::Left, End::Right), (End::Right, End::Left), (End::Left, End::Left)]
    {
        let mut list = List::default();
        for number in 0..30_000_u32 {
            push(&mut list, into, format!("element:{number}").as_bytes(), limit(-2));
        }
        list.check_invariants();
        let bytes = list.heap_size() as f64 / 30_000.0;
        assert!((13.5..14.6).contains(&bytes), "{bytes} bytes for 13 on average");
        let mut middle = Vec::new();
        list.range(14_999..15_001).for_each(|element| middle.push(element.text().to_vec()));
        middle.sort();
        assert_eq!(middle, [b"element:14999", b"element:15000"]);
        for number in 0..30_000_u32 {
            let number = if into == out_of { 29_999 - number } else { number };
            let expected = format!("element:{number}").into_bytes();
            assert_eq!(list.end(out_of).unwrap().text().to_vec(), expected);
            assert_eq!(list.pop(out_of, |element| element.text().to_vec()), expected);
        }
        list.check_invariants();
        assert_eq!(list.heap_size(), 0);
    }
}

#[test]
fn a_short_queue_is_not_made_anew_at_each_step() {
    let mut list = List::default();
    (0..100).for_each(|_| push(&mut list, End::Right, &[b'x'; 16], limit(-2)));
    let mut run_count_changes = 0;
    for _ in 0..1000 {
        let run_count = list.runs.len();
        push(&mut list, End::Left, &[b'x'; 16], limit(-2));
        list.remove(list.range_at(End::Right, 1));
        run_count_changes += usize::from(list.runs.len() != run_count);
        list.check_invariants();
    }
    // A second run begins, and the first one goes when it is empty.
    assert_eq!(run_count_changes, 2);
    assert_eq!(list.len(), 100);
    assert!(list.heap_size() < 4000, "{}", list.heap_size());
}
