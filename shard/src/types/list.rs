//! Lists: byte strings in order, cheap at both ends and by position.
//!
//! Path: `commands::list` -> here -> `types::list::run`.
//! The elements stand in runs of up to 3.5 KiB, one behind the other; most lists are a single one. Small form
//! (`listpack`) and large form (`quicklist`) differ in name only.
//! Invariants: no run is empty, but for the one of a list without elements. `packed_size` is what Redis's listpack of
//! the same elements would take, its head and end included, since the threshold (`list-max-listpack-size`) is about
//! that size. A large list goes back to the small form when it has shrunk to half the threshold. Source: sizes,
//! thresholds and names as in Redis 7.2.

mod run;

pub use crate::types::element::{Element, Text};

use crate::memory::block_size;
use crate::options::Options;
use crate::types::rebuild::Batches;
use protocol::request::ArgvBuf;
use run::Run;
use std::collections::VecDeque;
use std::ops::Range;

/// What a listpack takes without any element: length, count and end.
const EMPTY_SIZE: usize = 7;
/// Sizes in bytes that the negative values of `list-max-listpack-size` stand for: -1 is the first, below -5 the last.
const SIZE_CLASSES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
/// Largest size in bytes where the threshold is a number of elements.
const COUNTED_SIZE_MAX: usize = 8 << 10;
/// A new run at an end gets as much room as this part of the list takes, up to all that it may need: so that the runs
/// of a long list are not moved again and again while they grow.
const ROOM_PART: usize = 8;
/// Two neighbouring runs that are no larger together become one.
const JOINED_SIZE_MAX: usize = run::SIZE_MAX / 2;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first element: `LEFT`.
    Left,
    /// The last element: `RIGHT`.
    Right,
}

impl End {
    /// Reads `LEFT` or `RIGHT`, in any case.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<End> {
        match word {
            _ if word.eq_ignore_ascii_case(b"LEFT") => Some(End::Left),
            _ if word.eq_ignore_ascii_case(b"RIGHT") => Some(End::Right),
            _ => None,
        }
    }

    /// The word that [`End::parse`] reads.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            End::Left => "LEFT",
            End::Right => "RIGHT",
        }
    }
}

/// How large the small form may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimit {
    size_max: usize,
    count_max: usize,
    /// Where the threshold is a number of elements the size is limited too, but only on the way up.
    is_counted: bool,
}

impl From<&Options> for ListLimit {
    fn from(options: &Options) -> Self {
        match usize::try_from(options.list_max_listpack_size) {
            Ok(count) => {
                ListLimit { size_max: COUNTED_SIZE_MAX, count_max: count.max(1), is_counted: true }
            }
            Err(_) => {
                let class = options.list_max_listpack_size.unsigned_abs() as usize - 1;
                let size_max = SIZE_CLASSES[class.min(SIZE_CLASSES.len() - 1)];
                ListLimit { size_max, count_max: usize::MAX, is_counted: false }
            }
        }
    }
}

impl ListLimit {
    fn is_exceeded(self, size: usize, count: usize) -> bool {
        size > self.size_max || count > self.count_max
    }

    /// Whether a list that has shrunk is so small that it goes back to the small form.
    fn is_far(self, size: usize, count: usize) -> bool {
        (self.is_counted || size <= self.size_max / 2) && count <= self.count_max / 2
    }
}

/// A list.
#[derive(Debug)]
pub struct List {
    runs: Runs,
    len: usize,
    packed_size: usize,
    /// Bytes of heap of all runs.
    run_heap: usize,
    /// Whether it is in the large form.
    is_large: bool,
}

#[derive(Clone, Debug)]
enum Runs {
    One(Run),
    Many(VecDeque<Run>),
}

impl Runs {
    fn len(&self) -> usize {
        match self {
            Runs::One(_) => 1,
            Runs::Many(runs) => runs.len(),
        }
    }

    fn get(&self, at: usize) -> &Run {
        match self {
            Runs::One(run) => run,
            Runs::Many(runs) => &runs[at],
        }
    }

    fn get_mut(&mut self, at: usize) -> &mut Run {
        match self {
            Runs::One(run) => run,
            Runs::Many(runs) => &mut runs[at],
        }
    }

    fn insert(&mut self, at: usize, run: Run) {
        if let Runs::One(only) = self {
            let only = std::mem::replace(only, Run::new(End::Right));
            let mut runs = VecDeque::with_capacity(2);
            runs.push_back(only);
            *self = Runs::Many(runs);
        }
        if let Runs::Many(runs) = self {
            runs.insert(at, run);
        }
    }

    /// Removes the runs of `range`; one remains in any case, an empty one if need be.
    fn remove(&mut self, range: Range<usize>) {
        match self {
            Runs::One(run) if !range.is_empty() => *run = Run::new(End::Right),
            Runs::One(_) => {}
            Runs::Many(runs) => {
                runs.drain(range);
                if runs.len() < 2 {
                    *self = Runs::One(runs.pop_front().unwrap_or(Run::new(End::Right)));
                } else if runs.len() < runs.capacity() / 4 {
                    runs.shrink_to(2 * runs.len());
                }
            }
        }
    }

    fn heap_size(&self) -> usize {
        match self {
            Runs::One(_) => 0,
            Runs::Many(runs) => block_size(runs.capacity() * size_of::<Run>()),
        }
    }
}

impl Default for List {
    fn default() -> Self {
        let runs = Runs::One(Run::new(End::Right));
        List { runs, len: 0, packed_size: EMPTY_SIZE, run_heap: 0, is_large: false }
    }
}

impl Clone for List {
    fn clone(&self) -> Self {
        let runs = self.runs.clone();
        let run_heap = (0..runs.len()).map(|at| runs.get(at).heap_size()).sum();
        List { runs, run_heap, ..*self }
    }
}

impl List {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The name OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        if self.is_large { "quicklist" } else { "listpack" }
    }

    /// Bytes of heap this holds, as the allocator counts them. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.run_heap + self.runs.heap_size()
    }

    /// Element `index`. Cost: O(r), r runs up to it from the nearer end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        (index < self.len).then(|| self.range(index..index + 1).next()).flatten()
    }

    /// The element at one end.
    #[must_use]
    pub fn end(&self, end: End) -> Option<Element<'_>> {
        self.range(self.range_at(end, 1)).next()
    }

    /// All elements in order, from either end.
    #[must_use]
    pub fn iter(&self) -> Elements<'_> {
        self.range(0..self.len)
    }

    /// Where the `count` elements at one end are; all of them if there are fewer.
    #[must_use]
    pub fn range_at(&self, end: End, count: usize) -> Range<usize> {
        let count = count.min(self.len);
        match end {
            End::Left => 0..count,
            End::Right => self.len - count..self.len,
        }
    }

    /// The elements of `range`, which must lie inside the list.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Elements<'_> {
        let left_count = range.len();
        if left_count == 0 {
            return Elements { list: self, front: None, runs: 0..0, back: None, left_count };
        }
        let (first, start) = self.locate(range.start);
        let (last, end) = self.locate(range.end - 1);
        let in_run = |at: usize| {
            let run = self.runs.get(at);
            let start = if at == first { start } else { 0 };
            let end = if at == last { end + 1 } else { run.len() };
            run.range(start..end)
        };
        let back = (last > first).then(|| in_run(last));
        let runs = first + 1..last.max(first + 1);
        Elements { list: self, front: Some(in_run(first)), runs, back, left_count }
    }

    /// Makes ready for `count` elements of `size` bytes in all: goes over to the large form now if they would not fit.
    pub fn prepare(&mut self, count: usize, size: usize, limit: ListLimit) {
        self.is_large |= limit.is_exceeded(self.packed_size + size, self.len + count);
    }

    /// Goes back to the small form if the list has become small enough; called after elements were removed or
    /// replaced.
    pub fn settle(&mut self, limit: ListLimit) {
        self.is_large &= !limit.is_far(self.packed_size, self.len);
    }

    /// Adds an element at one end; [`List::prepare`] has been called for it.
    pub fn push(&mut self, end: End, element: &[u8]) {
        let element = Element::of(element);
        self.len += 1;
        self.packed_size += element.listpack_size();
        let last = match end {
            End::Left => 0,
            End::Right => self.runs.len() - 1,
        };
        if self.runs.get(last).takes(end, element.size()) {
            return self.change(last, |run| run.push(end, element));
        }
        self.change(last, Run::seal);
        let at = if end == End::Left { 0 } else { self.runs.len() };
        let room = (self.runs.len() * run::SIZE_MAX / ROOM_PART).min(run::SIZE_MAX);
        self.insert_run(at, Run::with_room(end, room));
        self.change(at, |run| run.push(end, element));
    }

    /// Inserts an element so that it gets `index`, which is at most the length; [`List::prepare`] has been called.
    /// Cost: as [`List::get`], and O(1) elements of one run are moved.
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        if index == self.len {
            return self.push(End::Right, element);
        }
        let (at, inside) = self.locate(index);
        let element = Element::of(element);
        self.len += 1;
        self.packed_size += element.listpack_size();
        if self.runs.get(at).has_room(element.size()) {
            return self.change(at, |run| run.insert(inside, element));
        }
        let mut between = at;
        if inside > 0 {
            let mut tail = None;
            self.change(at, |run| tail = Some(run.split_off(inside)));
            between += 1;
            tail.into_iter().for_each(|tail| self.insert_run(between, tail));
        }
        self.insert_run(between, Run::new(End::Right));
        self.change(between, |run| run.push(End::Right, element));
        self.join(between);
        self.join(between.saturating_sub(1));
    }

    /// Replaces element `index`, which exists; [`List::prepare`] has been called. Cost: as [`List::insert`].
    pub fn set(&mut self, index: usize, element: &[u8]) {
        let (at, inside) = self.locate(index);
        let old = self.get(index).expect("the caller has looked");
        let new = Element::of(element);
        let run = self.runs.get(at);
        let old_size = old.size();
        let fits = new.size() <= old_size || run.len() == 1 || run.has_room(new.size() - old_size);
        if !fits {
            self.remove(index..index + 1);
            return self.insert(index, element);
        }
        self.packed_size -= old.listpack_size();
        self.packed_size += new.listpack_size();
        self.change(at, |run| run.set(inside, new));
    }

    /// Takes the element at one end out of a list that has some, after handing it to `read`. Cost: O(1).
    pub fn pop<T>(&mut self, end: End, read: impl FnOnce(Element<'_>) -> T) -> T {
        let at = match end {
            End::Left => 0,
            End::Right => self.runs.len() - 1,
        };
        let (result, size) =
            self.change(at, |run| run.pop(end, |element| (read(element), element.listpack_size())));
        self.len -= 1;
        self.packed_size -= size;
        if self.runs.get(at).len() == 0 {
            self.remove_runs(at..at + 1);
        }
        result
    }

    /// Removes the elements of `range`, which must lie inside the list. Cost: O(1) for each.
    pub fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let is_inside = range.start > 0 && range.end < self.len;
        let removed_size = self.range(range.clone()).map(Element::listpack_size).sum::<usize>();
        self.packed_size -= removed_size;
        self.len -= range.len();
        let (first, start) = self.locate_in(range.start, self.len + range.len());
        let mut left_count = range.len();
        let mut emptied = first..first;
        for at in first..self.runs.len() {
            let start = if at == first { start } else { 0 };
            let run_len = self.runs.get(at).len();
            let count = left_count.min(run_len - start);
            left_count -= count;
            if count == run_len {
                emptied = if emptied.is_empty() { at..at + 1 } else { emptied.start..at + 1 };
            } else if count > 0 {
                self.change(at, |run| run.remove(start..start + count));
            }
            if left_count == 0 {
                break;
            }
        }
        self.remove_runs(emptied);
        // At the ends a small run is about to grow or to go: a queue that is pushed to at one end and popped from at
        // the other would be joined, and begun anew, with every element.
        if is_inside {
            self.join(first);
            self.join(first.saturating_sub(1));
        }
    }

    /// Removes elements equal to `element`, at most `count_max`, looking from `end` on, and returns how many.
    pub fn remove_equal(&mut self, end: End, element: &[u8], count_max: usize) -> usize {
        let element = Element::of(element);
        let equal_count = self.iter().filter(|candidate| *candidate == element).count();
        let removed_count = equal_count.min(count_max);
        if removed_count == 0 {
            return 0;
        }
        let first = match end {
            End::Left => 0,
            End::Right => equal_count - removed_count,
        };
        let removed = first..first + removed_count;
        let mut seen_count = 0;
        for at in (0..self.runs.len()).rev() {
            // From the back, so that a run that has become empty can go: what is seen is counted from there too.
            let run = self.runs.get(at);
            let in_run = run.range(0..run.len()).filter(|candidate| *candidate == element).count();
            if in_run == 0 {
                continue;
            }
            seen_count += in_run;
            let mut number = equal_count - seen_count;
            self.change(at, |run| {
                run.retain(|candidate| {
                    if candidate != element {
                        return true;
                    }
                    number += 1;
                    !removed.contains(&(number - 1))
                });
            });
            if self.runs.get(at).len() == 0 {
                self.remove_runs(at..at + 1);
            }
            self.join(at);
        }
        self.len -= removed_count;
        self.packed_size -= removed_count * element.listpack_size();
        removed_count
    }

    /// Drops about `budget` elements of a list that nobody needs any more; says whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        self.remove(self.range_at(End::Right, budget));
        !self.is_empty()
    }

    /// Hands out commands that make this list under `key`.
    pub fn rebuild(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let mut batches = Batches::new(&[b"RPUSH", key], emit);
        self.iter().for_each(|element| batches.push(&[&element.text()]));
        batches.finish();
    }

    /// The run of element `index` and the index of the element in it. Cost: O(r), r runs up to it from the nearer end.
    fn locate(&self, index: usize) -> (usize, usize) {
        self.locate_in(index, self.len)
    }

    /// The same while the runs hold `len` elements.
    fn locate_in(&self, index: usize, len: usize) -> (usize, usize) {
        let run_count = self.runs.len();
        if index < len / 2 {
            let mut inside = index;
            for at in 0..run_count {
                let run_len = self.runs.get(at).len();
                if inside < run_len {
                    return (at, inside);
                }
                inside -= run_len;
            }
        } else {
            let mut begin = len;
            for at in (0..run_count).rev() {
                begin -= self.runs.get(at).len();
                if begin <= index {
                    return (at, index - begin);
                }
            }
        }
        unreachable!("the index lies inside the list")
    }

    /// Changes run `at` and counts its memory again.
    fn change<T>(&mut self, at: usize, change: impl FnOnce(&mut Run) -> T) -> T {
        let run = self.runs.get_mut(at);
        self.run_heap -= run.heap_size();
        let result = change(run);
        self.run_heap += run.heap_size();
        result
    }

    fn insert_run(&mut self, at: usize, run: Run) {
        self.run_heap += run.heap_size();
        self.runs.insert(at, run);
    }

    fn remove_runs(&mut self, range: Range<usize>) {
        for at in range.clone() {
            self.run_heap -= self.runs.get(at).heap_size();
        }
        self.runs.remove(range);
    }

    /// Makes one of run `at` and the one behind it if both are small.
    fn join(&mut self, at: usize) {
        if at + 1 >= self.runs.len() {
            return;
        }
        let (left, right) = (self.runs.get(at), self.runs.get(at + 1));
        if left.size() + right.size() > JOINED_SIZE_MAX {
            return;
        }
        let mut joined = Run::new(End::Right);
        for run in [left, right] {
            run.range(0..run.len()).for_each(|element| joined.push(End::Right, element));
        }
        self.remove_runs(at + 1..at + 2);
        self.change(at, |run| *run = joined);
    }

    /// Panics unless lengths and sizes are those of the elements.
    #[cfg(test)]
    fn check_invariants(&self) {
        let size = self.iter().map(Element::listpack_size).sum::<usize>();
        assert_eq!(self.packed_size, EMPTY_SIZE + size);
        assert_eq!(self.iter().count(), self.len);
        let runs = (0..self.runs.len()).map(|at| self.runs.get(at));
        assert_eq!(runs.clone().map(Run::len).sum::<usize>(), self.len);
        assert_eq!(runs.clone().map(Run::heap_size).sum::<usize>(), self.run_heap);
        assert!(self.is_empty() || runs.clone().all(|run| run.len() > 0));
        assert!(runs.clone().all(|run| run.len() == 1 || run.size() <= run::SIZE_MAX));
        runs.for_each(Run::check_invariants);
    }
}

/// Elements of a [`List`], from either end.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    list: &'a List,
    front: Option<run::Elements<'a>>,
    /// The runs between `front` and `back`.
    runs: Range<usize>,
    back: Option<run::Elements<'a>>,
    left_count: usize,
}

impl<'a> Elements<'a> {
    fn whole_run(&self, at: usize) -> run::Elements<'a> {
        let run = self.list.runs.get(at);
        run.range(0..run.len())
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        if self.left_count == 0 {
            return None;
        }
        self.left_count -= 1;
        loop {
            if let Some(element) = self.front.as_mut().and_then(Iterator::next) {
                return Some(element);
            }
            self.front = match self.runs.next() {
                Some(at) => Some(self.whole_run(at)),
                None => return self.back.as_mut()?.next(),
            };
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left_count, Some(self.left_count))
    }
}

impl DoubleEndedIterator for Elements<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.left_count == 0 {
            return None;
        }
        self.left_count -= 1;
        loop {
            if let Some(element) = self.back.as_mut().and_then(DoubleEndedIterator::next_back) {
                return Some(element);
            }
            self.back = match self.runs.next_back() {
                Some(at) => Some(self.whole_run(at)),
                None => return self.front.as_mut()?.next_back(),
            };
        }
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// The same elements in the same order, in whatever form.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests;
