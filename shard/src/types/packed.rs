//! Packed elements: a run of them in one allocation, the form of collections while they are small.
//!
//! Path: `types::{hash, set, sorted_set}` -> here -> `types::element`.
//! Layout: how many elements there are (`u32` le), then the elements one behind the other, text that is an integer as
//! one. Nothing is stored for walking backwards: who wants that walks forwards once and remembers.
//! Invariant: the elements fill the allocation exactly, and are as many as it says. Without any there is no allocation.
//!
//! Every change writes the bytes behind it anew, so the owner keeps it small (a few KiB).

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

/// Where an element begins: a byte offset, good until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot(usize);

impl Packed {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.first_chunk().map_or(0, |&count| u32::from_le_bytes(count) as usize)
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

    /// All elements in order, from either end.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(self.start(), self.len())
    }

    /// All elements in order, each with where it begins.
    #[must_use]
    pub fn spots(&self) -> Spots<'_> {
        Spots(self.iter())
    }

    /// The elements of `range`, which must lie inside. Cost: a walk up to them.
    pub fn range(&self, range: Range<usize>) -> Iter<'_> {
        self.iter_from(self.spot(range.start).unwrap_or(self.end()), range.len())
    }

    /// Where element `index` begins, or `None` past the end. Cost: a walk up to it.
    #[must_use]
    pub fn spot(&self, index: usize) -> Option<Spot> {
        self.spots().nth(index).map(|(spot, _)| spot)
    }

    /// Where the first element begins.
    #[must_use]
    pub fn start(&self) -> Spot {
        Spot(HEAD.min(self.bytes.len()))
    }

    /// Where the next element would begin.
    #[must_use]
    pub fn end(&self) -> Spot {
        Spot(self.bytes.len())
    }

    /// The element at `spot`.
    #[must_use]
    pub fn get(&self, spot: Spot) -> Element<'_> {
        Element::decode(&self.bytes[spot.0..]).0
    }

    /// Where the element behind the one at `spot` begins; [`Packed::end`] behind the last.
    #[must_use]
    pub fn after(&self, spot: Spot) -> Spot {
        Spot(spot.0 + Element::size_at(&self.bytes[spot.0..]))
    }

    /// Adds elements at the end.
    pub fn push(&mut self, elements: &[Element<'_>]) {
        self.insert(self.end(), elements);
    }

    /// Inserts elements before the one at `spot`.
    pub fn insert(&mut self, spot: Spot, elements: &[Element<'_>]) {
        self.splice(spot.0..spot.0, 0, elements);
    }

    /// Replaces the element at `spot`.
    pub fn replace(&mut self, spot: Spot, element: Element<'_>) {
        self.splice(spot.0..self.after(spot).0, 1, &[element]);
    }

    /// Removes `count` elements, the one at `spot` first; the elements behind it must exist.
    pub fn remove(&mut self, spot: Spot, count: usize) {
        let end = (0..count).fold(spot, |end, _| self.after(end));
        self.splice(spot.0..end.0, count, &[]);
    }

    /// Removes the elements for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(Element<'_>) -> bool) {
        let kept = self.iter().filter(|&element| keep(element)).collect::<Vec<_>>();
        let mut packed = Packed::default();
        packed.push(&kept);
        *self = packed;
    }

    fn iter_from(&self, start: Spot, count: usize) -> Iter<'_> {
        Iter { bytes: &self.bytes, at: start.0, count, starts: Vec::new() }
    }

    /// Puts `elements` in the place of the bytes of `removed`, which are `removed_count` elements. Takes exactly the
    /// memory that is needed: these buffers are many and small, and the allocator rounds up anyway.
    fn splice(&mut self, removed: Range<usize>, removed_count: usize, elements: &[Element<'_>]) {
        let count = self.len() + elements.len() - removed_count;
        if count == 0 {
            return *self = Packed::default();
        }
        let count = u32::try_from(count).expect("fewer elements than bytes of a request");
        let size = elements.iter().map(|element| element.size()).sum::<usize>();
        let old_len = self.bytes.len();
        let new_len = old_len.max(HEAD) + size - removed.len();
        let bytes = if removed.start == old_len && block_size(new_len) == block_size(old_len) {
            // The block has room: it grows where it is.
            let mut bytes = Vec::from(std::mem::take(&mut self.bytes));
            bytes.reserve_exact(size);
            bytes[..HEAD].copy_from_slice(&count.to_le_bytes());
            elements.iter().for_each(|element| element.encode(&mut bytes));
            bytes
        } else {
            let mut bytes = Vec::with_capacity(new_len);
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(self.bytes.get(HEAD..removed.start).unwrap_or_default());
            elements.iter().for_each(|element| element.encode(&mut bytes));
            bytes.extend_from_slice(&self.bytes[removed.end..]);
            bytes
        };
        debug_assert_eq!(bytes.len(), new_len);
        self.bytes = bytes.into_boxed_slice();
    }

    /// Panics unless the elements fill the allocation exactly, read from either end.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        let mut at = self.start();
        let mut count = 0;
        while at != self.end() {
            at = self.after(at);
            count += 1;
        }
        assert_eq!(count, self.len());
        assert_eq!(count == 0, self.bytes.is_empty());
        let mut backwards = self.iter().rev().collect::<Vec<_>>();
        backwards.reverse();
        assert_eq!(backwards, self.iter().collect::<Vec<_>>());
    }
}

/// Elements of a [`Packed`], from either end. The first step from the back costs a walk over all.
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

/// Elements of a [`Packed`] with where each begins.
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
            let spot = packed.spot(index);
            assert_eq!(spot.is_some(), index < model.len(), "step {step}");
            match (rng.below(8), spot) {
                (0..3, spot) => {
                    let new = [new, other];
                    let elements = new.each_ref().map(|text| Element::of(text));
                    packed.insert(spot.unwrap_or(packed.end()), &elements);
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
                    assert_eq!(&*packed.get(spot).text(), model[index]);
                    let end = model.len().min(index + 3);
                    let range = packed.range(index..end).map(|element| element.text().to_vec());
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
            assert!(packed.iter().eq(model.iter().map(|text| Element::of(text))), "step {step}");
            if model.len() > 60 {
                packed.remove(packed.spot(0).unwrap(), 50);
                model.drain(..50);
            }
        }
    }

    #[test]
    fn it_is_walked_from_both_ends_at_once() {
        let mut packed = Packed::default();
        (0..1000).for_each(|number| packed.push(&[Element::Integer(number)]));
        let mut rng = Rng::new(17);
        let mut elements = packed.range(100..900);
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
        assert_eq!(packed.bytes.len(), 4 + 6 + 7 + 1);
        packed.remove(packed.start(), 3);
        assert_eq!(packed, Packed::default());
    }
}
