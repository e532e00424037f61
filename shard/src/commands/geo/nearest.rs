//! Sorting only as far as needed: the nearest few of many places.
//!
//! Where places are equally far, Redis's order is what its partial quicksort leaves; so this is the same algorithm.
//! Source: Bentley and McIlroy, "Engineering a Sort Function" (1993), leaving out what lies behind the wanted front.

use std::cmp::Ordering;

/// Below this many items they are sorted by insertion.
const INSERTION_MAX: usize = 7;
/// Above this many items the pivot is a median of medians.
const MEDIAN_OF_NINE_MIN: usize = 40;

/// Moves the least `wanted` items to the front and sorts them; the others come in any order behind.
///
/// Cost: O(n + wanted log wanted) on average, O(n log n) at worst.
pub(super) fn sort_front<T>(items: &mut [T], wanted: usize, compare: &impl Fn(&T, &T) -> Ordering) {
    // Twice what halving needs; beyond that the order of the items is made up to hurt.
    let depth_max = 2 * (items.len().max(1).ilog2() as usize + 1);
    sort_part(items, wanted, compare, depth_max);
}

fn sort_part<T>(
    items: &mut [T],
    wanted: usize,
    compare: &impl Fn(&T, &T) -> Ordering,
    depth_max: usize,
) {
    if items.len() < INSERTION_MAX {
        return sort_by_insertion(items, compare);
    }
    if depth_max == 0 {
        return items.sort_by(compare);
    }
    items.swap(0, pivot(items, compare));
    let Parts { less, greater } = partition(items, compare);
    sort_part(&mut items[..less], wanted, compare, depth_max - 1);
    let greater_start = items.len() - greater;
    if greater_start < wanted {
        let rest = &mut items[greater_start..];
        sort_part(rest, wanted - greater_start, compare, depth_max - 1);
    }
}

fn sort_by_insertion<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// The index of an item that is likely to stand near the middle.
fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let median = |a: usize, b: usize, c: usize| {
        let compare = |left: usize, right: usize| compare(&items[left], &items[right]);
        if compare(a, b).is_lt() {
            match (compare(b, c), compare(a, c)) {
                (Ordering::Less, _) => b,
                (_, Ordering::Less) => c,
                _ => a,
            }
        } else {
            match (compare(b, c), compare(a, c)) {
                (Ordering::Greater, _) => b,
                (_, Ordering::Less) => a,
                _ => c,
            }
        }
    };
    let (mut first, mut middle, mut last) = (0, items.len() / 2, items.len() - 1);
    if items.len() > MEDIAN_OF_NINE_MIN {
        let step = items.len() / 8;
        first = median(0, step, 2 * step);
        middle = median(middle - step, middle, middle + step);
        last = median(last - 2 * step, last - step, last);
    }
    if items.len() > INSERTION_MAX { median(first, middle, last) } else { middle }
}

/// How many items are less than the pivot, and how many greater.
struct Parts {
    less: usize,
    greater: usize,
}

/// Orders items as less, equal, greater, where the first one is the pivot. Equal ones are collected at both ends first.
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> Parts {
    let count = items.len();
    // items[..left_equal] and items[right_equal + 1..] equal the pivot; items[low..=high] is not yet looked at.
    let (mut left_equal, mut low) = (1, 1);
    let (mut high, mut right_equal) = (count - 1, count - 1);
    loop {
        while low <= high {
            match compare(&items[low], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(left_equal, low);
                    left_equal += 1;
                }
                Ordering::Less => {}
            }
            low += 1;
        }
        while low <= high {
            match compare(&items[high], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(high, right_equal);
                    right_equal -= 1;
                }
                Ordering::Greater => {}
            }
            high -= 1;
        }
        if low > high {
            break;
        }
        items.swap(low, high);
        low += 1;
        high -= 1;
    }
    let (less, greater) = (low - left_equal, right_equal - high);
    let moved = left_equal.min(less);
    (0..moved).for_each(|index| items.swap(index, low - moved + index));
    let moved = greater.min(count - 1 - right_equal);
    (0..moved).for_each(|index| items.swap(low + index, count - moved + index));
    Parts { less, greater }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_front_is_sorted_and_nothing_is_lost() {
        let seed = 6;
        let mut rng = Rng::new(seed);
        for round in 0..3000 {
            let value_count = 1 + rng.below(50);
            let items: Vec<usize> = (0..rng.below(200)).map(|_| rng.below(value_count)).collect();
            let wanted = 1 + rng.below(items.len() + 1);
            let mut sorted = items.clone();
            sorted.sort_unstable();
            let mut front = items.clone();
            sort_front(&mut front, wanted, &usize::cmp);
            let wanted = wanted.min(items.len());
            assert_eq!(front[..wanted], sorted[..wanted], "seed {seed}, round {round}");
            front.sort_unstable();
            assert_eq!(front, sorted, "seed {seed}, round {round}");
        }
    }

    #[test]
    fn few_items_keep_their_order_where_they_are_equal() {
        let mut items = [(1, 'a'), (0, 'b'), (1, 'c'), (0, 'd'), (1, 'e'), (0, 'f')];
        sort_front(&mut items, 3, &|a, b| a.0.cmp(&b.0));
        assert_eq!(items.map(|(_, letter)| letter), ['b', 'd', 'f', 'a', 'c', 'e']);
    }

    #[test]
    fn equal_and_ordered_items_are_no_trouble() {
        for mut items in [vec![5; 1000], (0..1000).collect(), (0..1000).rev().collect::<Vec<_>>()] {
            let mut sorted = items.clone();
            sorted.sort_unstable();
            sort_front(&mut items, 1000, &i32::cmp);
            assert_eq!(items, sorted);
        }
    }
}
