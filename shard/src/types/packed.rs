//! Packed elements: a run of them in one piece of memory, the form of collections while they are small.
//!
//! Path: `types::{hash, set, sorted_set}` -> here -> `types::element`.
//! [`Packed`] owns its memory: how many elements there are (`u32` le), then the elements one behind the other, text that
//! is an integer as one. [`PackedRef`] reads such elements wherever they lie, also inside the record of a key
//! (`keyspace::table::record`). Nothing is stored for walking backwards: who wants that walks forwards once and remembers.
//! Invariant: the elements fill the allocation exactly, and are as many as it says. Without any there is no allocation.
//!
//! Every change of a size writes the bytes behind it anew, so the owner keeps it small (a few KiB).

use crate::memory::block_size;
use crate::types::element::Element;
use std::ops::Range;

/// Bytes before the first element.
const HEAD: usize = 4;

/// A run of elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Box<[u8]>,
}

/// Elements of a run, to read, wherever they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedRef<'a> {
    elements: &'a [u8],
    count: u32,
}

/// Elements of a run, to replace some by others of the same size.
#[derive(Debug)]
pub struct PackedMut<'a> {
    elements: &'a mut [u8],
    count: u32,
}

/// Where an element begins: a byte offset behind the start of the first one, good until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot(usize);

impl Spot {
    /// It as a number, for an index over the run.
    #[must_use]
    pub fn offset(self) -> u32 {
        u32::try_from(self.0).expect("a small collection has less than 4 GiB")
    }

    /// The spot that gave this number, in the same run.
    #[must_use]
    pub fn from_offset(offset: u32) -> Self {
        Spot(offset as usize)
    }
}

impl<'a> PackedRef<'a> {
    /// The elements that a run of `count` gave as its [`PackedRef::bytes`].
    #[must_use]
    #[inline]
    pub fn new(elements: &'a [u8], count: u32) -> Self {
        PackedRef { elements, count }
    }

    /// The elements as they are stored, one behind the other.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.elements
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.count as usize
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// A run of its own.
    #[must_use]
    pub fn to_packed(self) -> Packed {
        if self.is_empty() {
            return Packed::default();
        }
        let bytes = [&self.count.to_le_bytes(), self.elements].concat();
        Packed { bytes: bytes.into_boxed_slice() }
    }

    /// All elements in order, from either end.
    #[must_use]
    pub fn iter(self) -> Iter<'a> {
        self.iter_from(self.start(), self.len())
    }

    /// All elements in order, each with where it begins.
    #[must_use]
    pub fn spots(self) -> Spots<'a> {
        Spots(self.iter())
    }

    /// The elements of `range`, which must lie inside. Cost: a walk up to them.
    #[must_use]
    pub fn range(self, range: Range<usize>) -> Iter<'a> {
        self.iter_from(self.spot(range.start).unwrap_or(self.end()), range.len())
    }

    /// Where element `index` begins, or `None` past the end. Cost: a walk up to it.
    #[must_use]
    pub fn spot(self, index: usize) -> Option<Spot> {
        let walk = || (0..index).fold(self.start(), |spot, _| self.after(spot));
        (index < self.len()).then(walk)
    }

    /// Where the first of every `step` elements, beginning with the first of all, that equals `element` begins.
    #[must_use]
    #[inline]
    pub fn find(self, element: Element<'_>, step: usize) -> Option<Spot> {
        let mut spot = self.start();
        while spot != self.end() {
            if element.is_at(&self.elements[spot.0..]) {
                return Some(spot);
            }
            spot = (0..step).fold(spot, |spot, _| self.after(spot));
        }
        None
    }

    /// Where the first element begins.
    #[must_use]
    #[inline]
    pub fn start(self) -> Spot {
        Spot(0)
    }

    /// Where the next element would begin.
    #[must_use]
    #[inline]
    pub fn end(self) -> Spot {
        Spot(self.elements.len())
    }

    /// The element at `spot`.
    #[must_use]
    #[inline]
    pub fn get(self, spot: Spot) -> Element<'a> {
        Element::decode(&self.elements[spot.0..]).0
    }

    /// Whether the element at `spot` equals `element`.
    #[must_use]
    #[inline]
    pub fn is_at(self, spot: Spot, element: Element<'_>) -> bool {
        element.is_at(&self.elements[spot.0..])
    }

    /// Where the element behind the one at `spot` begins; [`PackedRef::end`] behind the last.
    #[must_use]
    #[inline]
    pub fn after(self, spot: Spot) -> Spot {
        Spot(spot.0 + Element::size_at(&self.elements[spot.0..]))
    }

    fn iter_from(self, start: Spot, count: usize) -> Iter<'a> {
        Iter { bytes: self.elements, at: start.0, count, starts: Vec::new() }
    }
}

impl<'a> PackedMut<'a> {
    /// The elements that a run of `count` gave as its [`PackedRef::bytes`].
    #[must_use]
    pub fn new(elements: &'a mut [u8], count: u32) -> Self {
        PackedMut { elements, count }
    }

    /// They, to read.
    #[must_use]
    pub fn view(&self) -> PackedRef<'_> {
        PackedRef { elements: self.elements, count: self.count }
    }

    /// Replaces the element at `spot` if the new one takes as many bytes; says whether it does.
    pub fn replace(&mut self, spot: Spot, element: Element<'_>) -> bool {
        let range = spot.0..self.view().after(spot).0;
        let is_same_size = element.size() == range.len();
        if is_same_size {
            element.write(&mut self.elements[range]);
        }
        is_same_size
    }
}

impl Packed {
    /// It, to read.
    #[must_use]
    #[inline]
    pub fn view(&self) -> PackedRef<'_> {
        match self.bytes.split_first_chunk() {
            Some((count, elements)) => PackedRef { elements, count: u32::from_le_bytes(*count) },
            None => PackedRef::default(),
        }
    }

    /// It, to replace elements by others of the same size.
    #[must_use]
    pub fn view_mut(&mut self) -> PackedMut<'_> {
        match self.bytes.split_first_chunk_mut() {
            Some((count, elements)) => PackedMut { elements, count: u32::from_le_bytes(*count) },
            None => PackedMut { elements: &mut [], count: 0 },
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of heap this holds, as the allocator counts them.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        block_size(self.bytes.len())
    }

    /// Adds elements at the end.
    pub fn push(&mut self, elements: &[Element<'_>]) {
        self.insert(self.view().end(), elements);
    }

    /// Inserts elements before the one at `spot`.
    pub fn insert(&mut self, spot: Spot, elements: &[Element<'_>]) {
        self.splice(spot..spot, 0, elements);
    }

    /// Replaces the element at `spot`.
    pub fn replace(&mut self, spot: Spot, element: Element<'_>) {
        if !self.view_mut().replace(spot, element) {
            self.splice(spot..self.view().after(spot), 1, &[element]);
        }
    }

    /// Removes `count` elements, the one at `spot` first; the elements behind it must exist.
    pub fn remove(&mut self, spot: Spot, count: usize) {
        let end = (0..count).fold(spot, |end, _| self.view().after(end));
        self.splice(spot..end, count, &[]);
    }

    /// Removes the elements for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(Element<'_>) -> bool) {
        let kept = self.view().iter().filter(|&element| keep(element)).collect::<Vec<_>>();
        let mut packed = Packed::default();
        packed.push(&kept);
        *self = packed;
    }

    /// Puts `elements` in the place of the bytes of `removed`, which are `removed_count` elements. Takes exactly the
    /// memory that is needed: these buffers are many and small. As the allocator rounds up, most changes find room in
    /// the block that is there.
    fn splice(&mut self, removed: Range<Spot>, removed_count: usize, elements: &[Element<'_>]) {
        let count = self.len() + elements.len() - removed_count;
        if count == 0 {
            return *self = Packed::default();
        }
        let count = u32::try_from(count).expect("fewer elements than bytes of a request");
        let size = elements.iter().map(|element| element.size()).sum::<usize>();
        let removed = HEAD + removed.start.0..HEAD + removed.end.0;
        let old_len = self.bytes.len();
        let new_len = old_len.max(HEAD) + size - removed.len();
        let mut bytes = Vec::from(std::mem::take(&mut self.bytes));
        if block_size(new_len) == block_size(old_len) {
            // The block stays, and what lies behind the change moves within it.
            let len_max = old_len.max(new_len);
            bytes.reserve_exact(len_max - old_len);
            bytes.resize(len_max, 0);
            bytes.copy_within(removed.end..old_len, removed.start + size);
            bytes.truncate(new_len);
        } else {
            let mut moved = Vec::with_capacity(new_len);
            moved.extend_from_slice(bytes.get(..removed.start).unwrap_or(&[0; HEAD]));
            moved.resize(removed.start + size, 0);
            moved.extend_from_slice(bytes.get(removed.end..).unwrap_or_default());
            bytes = moved;
        }
        bytes[..HEAD].copy_from_slice(&count.to_le_bytes());
        let mut rest = &mut bytes[removed.start..];
        for element in elements {
            let (place, behind) = rest.split_at_mut(element.size());
            element.write(place);
            rest = behind;
        }
        debug_assert_eq!(bytes.len(), new_len);
        self.bytes = bytes.into_boxed_slice();
    }

    /// Panics unless the elements fill the allocation exactly, read from either end.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        let run = self.view();
        let mut at = run.start();
        let mut count = 0;
        while at != run.end() {
            at = run.after(at);
            count += 1;
        }
        assert_eq!(count, run.len());
        assert_eq!(count == 0, self.bytes.is_empty());
        let mut backwards = run.iter().rev().collect::<Vec<_>>();
        backwards.reverse();
        assert_eq!(backwards, run.iter().collect::<Vec<_>>());
    }
}

/// Elements of a run, from either end. The first step from the back costs a walk over all.
#[derive(Clone, Debug, Default)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    /// Where the next element begins.
    at: usize,
    /// How many are left.
    count: usize,
    /// Where those begin that were left when it was first asked for the last one, as far as they still are.
    starts: Vec<u32>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (element, size) = Element::decode(&self.bytes[self.at..]);
        self.at += size;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl<'a> Iter<'a> {
    /// Takes the last one, with where it begins.
    fn take_last(&mut self) -> Option<(Spot, Element<'a>)> {
        self.count = self.count.checked_sub(1)?;
        if self.starts.is_empty() {
            let mut at = self.at;
            for _ in 0..=self.count {
                self.starts
                    .push(u32::try_from(at).expect("a small collection has less than 4 GiB"));
                at += Element::size_at(&self.bytes[at..]);
            }
        }
        let at = self.starts.pop().expect("each that is left has a start") as usize;
        Some((Spot(at), Element::decode(&self.bytes[at..]).0))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<Element<'a>> {
        self.take_last().map(|(_, element)| element)
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Elements of a run with where each begins.
#[derive(Clone, Debug)]
pub struct Spots<'a>(Iter<'a>);

impl<'a> Iterator for Spots<'a> {
    type Item = (Spot, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let spot = Spot(self.0.at);
        self.0.next().map(|element| (spot, element))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Spots<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn text(rng: &mut Rng) -> Vec<u8> {
        let len = match rng.below(10) {
            0 => 60 + rng.below(10),
            1 => 5000,
            2..4 => return rng.below(100_000).to_string().into_bytes(),
            4 => return format!("{}.{:02}", rng.below(1_000), rng.below(100)).into_bytes(),
            _ => rng.below(6),
        };
        (0..len).map(|_| rng.next_u64() as u8).collect()
    }

    #[test]
    fn it_does_what_a_vector_of_strings_does() {
        let seed = 0x9ac4_ed01;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        let mut packed = Packed::default();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for step in 0..20_000 {
            let (new, other) = (text(&mut rng), text(&mut rng));
            let index = rng.below(model.len() + 1);
            let spot = packed.view().spot(index);
            assert_eq!(spot.is_some(), index < model.len(), "step {step}");
            match (rng.below(8), spot) {
                (0..3, spot) => {
                    let new = [new, other];
                    let elements = new.each_ref().map(|text| Element::of(text));
                    packed.insert(spot.unwrap_or(packed.view().end()), &elements);
                    model.splice(index..index, new);
                }
                (3, Some(spot)) => {
                    packed.replace(spot, Element::of(&new));
                    model[index] = new;
                }
                (4..6, Some(spot)) => {
                    let count = 1 + rng.below((model.len() - index).min(3));
                    packed.remove(spot, count);
                    model.drain(index..index + count);
                }
                (6, Some(spot)) => {
                    assert_eq!(&*packed.view().get(spot).text(), model[index]);
                    let end = model.len().min(index + 3);
                    let range =
                        packed.view().range(index..end).map(|element| element.text().to_vec());
                    assert!(range.eq(model[index..end].iter().cloned()));
                    packed.retain(|element| element.text().len() != 3);
                    model.retain(|text| text.len() != 3);
                }
                (_, None) => {}
                (_, Some(_)) => {
                    packed.push(&[Element::of(&new)]);
                    model.push(new);
                }
            }
            packed.check_invariants();
            assert_eq!(packed.view().to_packed(), packed);
            assert!(
                packed.view().iter().eq(model.iter().map(|text| Element::of(text))),
                "step {step}"
            );
            if model.len() > 60 {
                packed.remove(packed.view().start(), 50);
                model.drain(..50);
            }
        }
    }

    #[test]
    fn each_element_is_found_and_no_other() {
        let long = "x".repeat(100);
        let texts = ["", "a", "b", "ab", "bb", "bab", "7", "-70000", "1.25", &long[..63], &long];
        let mut packed = Packed::default();
        texts.iter().for_each(|text| packed.push(&[Element::of(text.as_bytes())]));
        for (index, text) in texts.iter().enumerate() {
            let spot = packed.view().spot(index);
            assert_eq!(packed.view().find(Element::of(text.as_bytes()), 1), spot, "{text}");
        }
        for text in ["c", "ba", "aab", "baa", "8", "1.26", &long[..62], &long[..64]] {
            assert_eq!(packed.view().find(Element::of(text.as_bytes()), 1), None, "{text}");
        }
    }

    #[test]
    fn it_is_walked_from_both_ends_at_once() {
        let mut packed = Packed::default();
        (0..1000).for_each(|number| packed.push(&[Element::Integer(number)]));
        let mut rng = Rng::new(17);
        let mut elements = packed.view().range(100..900);
        let (mut front, mut back) = (100, 900);
        while front < back {
            assert_eq!(elements.len(), (back - front) as usize);
            if rng.below(2) == 0 {
                assert_eq!(elements.next(), Some(Element::Integer(front)));
                front += 1;
            } else {
                back -= 1;
                assert_eq!(elements.next_back(), Some(Element::Integer(back)));
            }
        }
        assert_eq!((elements.next(), elements.next_back()), (None, None));
    }

    #[test]
    fn it_takes_four_bytes_beside_its_elements() {
        let mut packed = Packed::default();
        assert_eq!(packed.heap_size(), 0);
        packed.push(&[Element::of(b"price"), Element::of(b"101.25"), Element::of(b"42")]);
        assert_eq!(packed.bytes.len(), 4 + 6 + 4 + 1);
        packed.remove(packed.view().start(), 3);
        assert_eq!(packed, Packed::default());
    }
}
