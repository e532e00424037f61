//! A run: some elements of a list, one behind the other in one allocation.
//!
//! Path: `types::list` -> here -> `types::element`.
//! Layout: groups of 16 elements. Before each group but the first stands a link: the distance in bytes from the start
//! of the group before it (`u16` le). So nothing is stored with each element for walking backwards: that goes from link
//! to link, and forwards inside a group.
//!
//! Adding behind the last element and removing from either end cost O(1); elements removed in front leave a gap until
//! half of the bytes are one. A run has a direction: one that grows to the left holds its elements the other way round,
//! so that it too grows behind its last element.
//! Invariant: the bytes from `start` on are `count` elements with the links between them; the first of them is number
//! `phase` of its group; `last_group` is where the last group starts, or where it would, if `start` lies behind that.

use super::End;
use crate::memory::{block_size, shrink};
use crate::types::element::Element;
use std::ops::Range;

/// Elements of a group.
const GROUP_LEN: usize = 16;
/// Bytes of a link.
const LINK_SIZE: usize = 2;
/// Largest size of a run with more than one element: of blocks of 3.5 KiB the allocator fits eighteen into 64 KiB, of 4 KiB
/// fifteen, of 8 KiB seven. A link must span twice as much, since there may be a gap in front.
pub(super) const SIZE_MAX: usize = 7 << 9;
const _: () = assert!(2 * SIZE_MAX <= u16::MAX as usize);
/// Up to this size a run takes elements at its other end too, by being written anew.
const REWRITTEN_SIZE_MAX: usize = 256;

/// Some elements of a list.
#[derive(Clone, Debug)]
pub(super) struct Run {
    bytes: Vec<u8>,
    /// Where the first element begins.
    start: u32,
    count: u32,
    last_group: u32,
    phase: u8,
    /// The end of the list that this run grows to.
    growth: End,
}

impl Run {
    /// An empty run that grows to `growth`.
    pub(super) fn new(growth: End) -> Self {
        Run { bytes: Vec::new(), start: 0, count: 0, last_group: 0, phase: 0, growth }
    }

    /// An empty run with room for `size` bytes of elements and links.
    pub(super) fn with_room(growth: End, size: usize) -> Self {
        Run { bytes: Vec::with_capacity(size), ..Run::new(growth) }
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the elements and links.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() - self.start as usize
    }

    /// Bytes of heap, as the allocator counts them.
    pub(super) fn heap_size(&self) -> usize {
        block_size(self.bytes.capacity())
    }

    /// Whether an element of `size` bytes fits in.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.count == 0 || self.size() + LINK_SIZE + size <= SIZE_MAX
    }

    /// Whether it can be added at `end` without much being moved.
    pub(super) fn takes(&self, end: End, size: usize) -> bool {
        self.has_room(size) && (end == self.growth || self.size() <= REWRITTEN_SIZE_MAX)
    }

    /// The elements whose indices lie in `range`, from either end.
    pub(super) fn range(&self, range: Range<usize>) -> Elements<'_> {
        let range = match self.growth {
            End::Right => range,
            End::Left => self.len() - range.end..self.len() - range.start,
        };
        Elements(self.growth, self.stored(range))
    }

    /// Adds an element at one end; the caller has looked whether it [fits](Run::has_room).
    pub(super) fn push(&mut self, end: End, element: Element<'_>) {
        if self.count == 0 {
            self.growth = end;
        }
        if end == self.growth {
            self.append(element);
        } else {
            self.rewrite(0..0, Some(element));
        }
    }

    /// Inserts an element so that it gets `index`. Cost: O(n).
    pub(super) fn insert(&mut self, index: usize, element: Element<'_>) {
        let index = match self.growth {
            End::Right => index,
            End::Left => self.len() - index,
        };
        if index == self.len() {
            self.append(element);
        } else {
            self.rewrite(index..index, Some(element));
        }
    }

    /// Replaces element `index`; the caller has looked whether that fits. Cost: a move of the bytes behind it, if it is of another size.
    pub(super) fn set(&mut self, index: usize, element: Element<'_>) {
        let index = self.stored_index(index);
        let (at, group) = self.seek(index);
        let old_size = Element::size_at(&self.bytes[at..]);
        let mut encoded = Vec::with_capacity(element.size());
        element.encode(&mut encoded);
        if encoded.len() == old_size {
            self.bytes[at..at + old_size].copy_from_slice(&encoded);
            return;
        }
        let last_start = self.last_group as usize;
        if group < last_start {
            let next = self.next_group(index, at);
            let link = next - LINK_SIZE..next;
            let distance = self.link(next) + encoded.len() - old_size;
            let distance = u16::try_from(distance).expect("a run is smaller than a link spans");
            self.bytes[link].copy_from_slice(&distance.to_le_bytes());
            self.last_group = offset(last_start + encoded.len() - old_size);
        }
        self.reserve(encoded.len().saturating_sub(old_size));
        self.bytes.splice(at..at + old_size, encoded);
    }

    /// Takes the element at one end out of a run that has some, after handing it to `read`.
    pub(super) fn pop<T>(&mut self, end: End, read: impl FnOnce(Element<'_>) -> T) -> T {
        let index = if end == self.growth { self.len() - 1 } else { 0 };
        let (at, group) = self.seek(index);
        let (element, size) = Element::decode(&self.bytes[at..]);
        let result = read(element);
        if self.count == 1 {
            *self = Run::new(self.growth);
        } else if end == self.growth {
            self.cut_behind(index, at, group);
        } else {
            self.cut_before(1, self.next_at(0, at + size));
        }
        result
    }

    /// Removes the elements whose indices lie in `range`.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        let range = match self.growth {
            End::Right => range,
            End::Left => self.len() - range.end..self.len() - range.start,
        };
        if range.is_empty() {
            return;
        }
        if range.len() == self.len() {
            *self = Run::new(self.growth);
        } else if range.end == self.len() {
            self.truncate(range.start);
        } else if range.start == 0 {
            self.skip(range.end);
        } else {
            self.rewrite(range, None);
        }
    }

    /// Removes the elements for which `keep` says no; it is asked in the order of the list.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Element<'_>) -> bool) {
        let mut kept = Run::new(End::Right);
        let mut is_changed = false;
        for element in self.range(0..self.len()) {
            if keep(element) {
                kept.append(element);
            } else {
                is_changed = true;
            }
        }
        if is_changed {
            kept.seal();
            *self = kept;
        }
    }

    /// Moves the elements from `index` on into a run of their own.
    pub(super) fn split_off(&mut self, index: usize) -> Run {
        let mut tail = Run::new(End::Right);
        self.range(index..self.len()).for_each(|element| tail.append(element));
        self.remove(index..self.len());
        tail.seal();
        self.seal();
        tail
    }

    /// Gives back memory that nothing is in: for a run that is not about to grow.
    pub(super) fn seal(&mut self) {
        self.close_gap();
        if block_size(self.bytes.len()) < self.heap_size() {
            shrink(&mut self.bytes, 0);
        }
    }

    fn append(&mut self, element: Element<'_>) {
        self.make_room(element.size());
        element.encode(&mut self.bytes);
        self.count += 1;
    }

    /// Makes room for an element behind the last one; starts a new group if that one's is full.
    fn make_room(&mut self, size: usize) {
        let number = usize::from(self.phase) + self.len();
        let is_new_group = number > 0 && number.is_multiple_of(GROUP_LEN) && self.count > 0;
        self.reserve(size + if is_new_group { LINK_SIZE } else { 0 });
        if is_new_group {
            let start = self.bytes.len() + LINK_SIZE;
            let distance = start - self.last_group as usize;
            let distance = u16::try_from(distance).expect("a run is smaller than a link spans");
            self.bytes.extend_from_slice(&distance.to_le_bytes());
            self.last_group = offset(start);
        }
    }

    /// Reserves what the allocator would give anyway for `more` bytes.
    fn reserve(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            self.bytes.reserve_exact(block_size(needed) - self.bytes.len());
        }
    }

    /// Writes all elements anew, those of `removed` left out and `inserted` in their place.
    fn rewrite(&mut self, removed: Range<usize>, inserted: Option<Element<'_>>) {
        let mut run = Run::new(self.growth);
        run.bytes.reserve_exact(block_size(self.size() + inserted.map_or(0, Element::size)));
        self.stored(0..removed.start).for_each(|element| run.append(element));
        inserted.into_iter().for_each(|element| run.append(element));
        self.stored(removed.end..self.len()).for_each(|element| run.append(element));
        *self = run;
    }

    /// Keeps the first `count` elements, of more.
    fn truncate(&mut self, count: usize) {
        let (at, group) = self.seek(count);
        self.cut_behind(count, at, group);
    }

    /// Removes the elements from number `count` on, not all, which begins at `at` in the group at `group`.
    fn cut_behind(&mut self, count: usize, at: usize, group: usize) {
        // The first element of a group goes with the link before it, and the group before becomes the last.
        let is_group_start = at == group && group > self.start as usize;
        if is_group_start {
            self.last_group = offset(self.group_before(group));
            self.bytes.truncate(at - LINK_SIZE);
        } else {
            self.last_group = offset(group);
            self.bytes.truncate(at);
        }
        self.count = u32::try_from(count).expect("fewer than there were");
        self.shrink();
    }

    /// Leaves out the first `count` elements, of more.
    fn skip(&mut self, count: usize) {
        self.cut_before(count, self.seek(count).0);
    }

    /// Leaves out the first `count` elements, not all; the one behind them begins at `at`.
    fn cut_before(&mut self, count: usize, at: usize) {
        self.start = offset(at);
        self.phase = ((usize::from(self.phase) + count) % GROUP_LEN) as u8;
        self.count -= u32::try_from(count).expect("no more than there are");
        if self.start as usize > self.bytes.len() / 2 {
            self.close_gap();
            self.shrink();
        }
    }

    fn close_gap(&mut self) {
        let start = self.start as usize;
        self.bytes.drain(..start);
        self.last_group = self.last_group.saturating_sub(self.start);
        self.start = 0;
    }

    fn shrink(&mut self) {
        if self.bytes.capacity() > 2 * self.bytes.len() + 64 {
            shrink(&mut self.bytes, 0);
        }
    }

    /// The index in stored order.
    fn stored_index(&self, index: usize) -> usize {
        match self.growth {
            End::Right => index,
            End::Left => self.len() - 1 - index,
        }
    }

    /// The elements in stored order.
    fn stored(&self, range: Range<usize>) -> Stored<'_> {
        let at = if range.is_empty() { 0 } else { self.seek(range.start).0 };
        Stored { run: self, range, at, group: [0; GROUP_LEN], group_first: usize::MAX }
    }

    /// The index in stored order of the first element of the group that element `index` is in.
    fn first_of_group(&self, index: usize) -> usize {
        let number = usize::from(self.phase) + index;
        (number - number % GROUP_LEN).saturating_sub(usize::from(self.phase))
    }

    /// Where stored element `index` begins, and the group it is in; that of the first group may be anywhere up to
    /// `start`. Cost: a step per group behind it, none if it is in the first, and one per element of the group before it.
    fn seek(&self, index: usize) -> (usize, usize) {
        let first = self.first_of_group(index);
        let mut group = self.start as usize;
        if first > 0 {
            group = group.max(self.last_group as usize);
            let mut group_first = self.first_of_group(self.len() - 1);
            while group_first > first {
                group = self.group_before(group);
                group_first = self.first_of_group(group_first - 1);
            }
        }
        let mut at = group;
        for _ in first..index {
            at += Element::size_at(&self.bytes[at..]);
        }
        (at, group)
    }

    /// Where the group before the one at `group` starts, or where its elements that are left do.
    fn group_before(&self, group: usize) -> usize {
        group.saturating_sub(self.link(group)).max(self.start as usize)
    }

    /// Where the element behind stored element `index`, which ends at `end`, begins: there may be a link in between.
    fn next_at(&self, index: usize, end: usize) -> usize {
        let is_last = (usize::from(self.phase) + index + 1).is_multiple_of(GROUP_LEN);
        if is_last { end + LINK_SIZE } else { end }
    }

    /// The distance that stands before the group at `group`.
    fn link(&self, group: usize) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[group - 2], self.bytes[group - 1]]))
    }

    /// Where the group behind that of stored element `index`, which begins at `at`, starts.
    fn next_group(&self, index: usize, mut at: usize) -> usize {
        let number = usize::from(self.phase) + index;
        for _ in number % GROUP_LEN..GROUP_LEN {
            at += Element::size_at(&self.bytes[at..]);
        }
        at + LINK_SIZE
    }

    /// Panics unless the elements fill the bytes, seen from either end.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let forwards = self.range(0..self.len()).collect::<Vec<_>>();
        let mut backwards = self.range(0..self.len()).rev().collect::<Vec<_>>();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.len(), self.len());
        if let Some(last) = self.len().checked_sub(1) {
            let (at, group) = self.seek(last);
            assert_eq!(at + Element::size_at(&self.bytes[at..]), self.bytes.len());
            assert_eq!(group, (self.last_group as usize).max(self.start as usize));
        }
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a run is smaller than 4 GiB")
}

/// Elements of a run in the order of the list, from either end.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a>(End, Stored<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        match self.0 {
            End::Right => self.1.next(),
            End::Left => self.1.next_back(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1.size_hint()
    }
}

impl DoubleEndedIterator for Elements<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self.0 {
            End::Right => self.1.next_back(),
            End::Left => self.1.next(),
        }
    }
}

/// Elements of a run in stored order, from either end.
#[derive(Clone, Debug)]
struct Stored<'a> {
    run: &'a Run,
    range: Range<usize>,
    /// Where element `range.start` begins.
    at: usize,
    /// Where the elements of the group that was last walked backwards begin.
    group: [u32; GROUP_LEN],
    /// The first element of that group.
    group_first: usize,
}

impl<'a> Iterator for Stored<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let index = self.range.next()?;
        let (element, size) = Element::decode(&self.run.bytes[self.at..]);
        self.at = self.run.next_at(index, self.at + size);
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for Stored<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let index = self.range.next_back()?;
        let bytes = &self.run.bytes;
        if self.group_first > index {
            let first = self.run.first_of_group(index);
            let mut at = match self.group_first {
                usize::MAX => self.run.seek(first).0,
                _ => self.run.group_before(self.group[0] as usize),
            };
            for (place, begin) in self.group.iter_mut().enumerate().take(index + 1 - first) {
                *begin = offset(at);
                if first + place < index {
                    at += Element::size_at(&bytes[at..]);
                }
            }
            self.group_first = first;
        }
        let at = self.group[index - self.group_first] as usize;
        Some(Element::decode(&bytes[at..]).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn it_does_what_a_vector_does() {
        let seed = 0x0002_0bad;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for round in 0..40 {
            let mut run = Run::new(if round % 2 == 0 { End::Left } else { End::Right });
            let mut model: Vec<Vec<u8>> = Vec::new();
            for step in 0..400 {
                let element = match rng.below(3) {
                    0 => (rng.next_u64().cast_signed() >> rng.below(64)).to_string().into_bytes(),
                    _ => vec![b'x'; rng.below(if step % 50 == 0 { 500 } else { 30 })],
                };
                let len = model.len();
                match rng.below(12) {
                    0..4 => {
                        run.push(End::Left, Element::of(&element));
                        model.insert(0, element);
                    }
                    4..8 => {
                        run.push(End::Right, Element::of(&element));
                        model.push(element);
                    }
                    8 => {
                        let index = rng.below(len + 1);
                        run.insert(index, Element::of(&element));
                        model.insert(index, element);
                    }
                    9 if len > 0 => {
                        let index = rng.below(len);
                        run.set(index, Element::of(&element));
                        model[index] = element;
                    }
                    10 if len > 0 && rng.below(2) == 0 => {
                        let end = if rng.below(2) == 0 { End::Left } else { End::Right };
                        for _ in 0..len.min(20) {
                            let at = if end == End::Left { 0 } else { model.len() - 1 };
                            let taken = run.pop(end, |element| element.text().to_vec());
                            assert_eq!(taken, model.remove(at));
                            run.check_invariants();
                        }
                    }
                    10 => {
                        let start = rng.below(len + 1);
                        let end = (start + rng.below(20)).min(len);
                        let (start, end) = match rng.below(3) {
                            0 => (0, end - start),
                            1 => (len - (end - start), len),
                            _ => (start, end),
                        };
                        run.remove(start..end);
                        model.drain(start..end);
                    }
                    11 if rng.below(20) == 0 => {
                        let mut count = 0;
                        run.retain(|_| (count += 1, count % 3 != 0).1);
                        let mut count = 0;
                        model.retain(|_| (count += 1, count % 3 != 0).1);
                        let at = rng.below(model.len() + 1);
                        let tail = run.split_off(at);
                        let texts = tail.range(0..tail.len()).map(|e| e.text().to_vec());
                        assert_eq!(texts.collect::<Vec<_>>(), model.split_off(at));
                    }
                    _ => {}
                }
                let context = format!("round {round} step {step}");
                assert_eq!(run.len(), model.len(), "{context}");
                run.check_invariants();
                let start = rng.below(model.len() + 1);
                let end = start + rng.below(model.len() + 1 - start);
                let mut both = run.range(start..end);
                let mut expected = model[start..end].iter();
                loop {
                    let (element, text) = match rng.below(2) {
                        0 => (both.next(), expected.next()),
                        _ => (both.next_back(), expected.next_back()),
                    };
                    let element = element.map(|element| element.text().to_vec());
                    assert_eq!(element.as_ref(), text, "{context}");
                    if text.is_none() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_queue_in_one_run_stays_small() {
        let mut run = Run::new(End::Right);
        for number in 0..100_000 {
            run.push(End::Right, Element::Integer(number));
            if number >= 100 {
                run.remove(0..1);
            }
        }
        run.check_invariants();
        assert_eq!(run.len(), 100);
        assert!(run.heap_size() < 2048, "{}", run.heap_size());
    }
}
