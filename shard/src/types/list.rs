//! Lists: byte strings in order, cheap at both ends. Packed while small, a double-ended queue beyond the threshold.
//!
//! Path: `commands::list` -> here -> `types::packed`.
//! Small form: one packed run (`listpack`). Large form: one allocation per element (`quicklist`).
//! Invariant: `packed_size` is what Redis's listpack of the same elements would take, its head and end included, since
//! the threshold (`list-max-listpack-size`) is about that size. A large list goes back to the small form when it has
//! shrunk to half the threshold. Source: sizes, thresholds and names as in Redis 7.2.

use crate::options::Options;
use crate::types::packed::Packed;
use crate::types::rebuild::Batches;
use protocol::number;
use protocol::request::ArgvBuf;
use std::collections::VecDeque;
use std::ops::Range;

/// What a listpack takes without any element: length, count and end.
const EMPTY_SIZE: usize = 7;
/// Sizes in bytes that the negative values of `list-max-listpack-size` stand for: -1 is the first, below -5 the last.
const SIZE_CLASSES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
/// Largest size in bytes where the threshold is a number of elements.
const COUNTED_SIZE_MAX: usize = 8 << 10;

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
#[derive(Clone, Debug)]
pub struct List {
    form: Form,
    packed_size: usize,
}

#[derive(Clone, Debug)]
enum Form {
    Small(Packed),
    Large(VecDeque<Box<[u8]>>),
}

impl Default for List {
    fn default() -> Self {
        List { form: Form::Small(Packed::default()), packed_size: EMPTY_SIZE }
    }
}

impl List {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.len(),
            Form::Large(deque) => deque.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Small(_) => "listpack",
            Form::Large(_) => "quicklist",
        }
    }

    /// Bytes of heap this holds. Cost: O(n) in the large form.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.heap_size(),
            Form::Large(deque) => {
                let elements = deque.iter().map(|element| element.len());
                deque.capacity() * size_of::<Box<[u8]>>() + elements.sum::<usize>()
            }
        }
    }

    /// Element `index`. Cost: O(1) in the large form.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        match &self.form {
            Form::Small(packed) => packed.spot(index).map(|spot| packed.get(spot)),
            Form::Large(deque) => deque.get(index).map(|element| &**element),
        }
    }

    /// The element at one end.
    #[must_use]
    pub fn end(&self, end: End) -> Option<&[u8]> {
        self.range(self.range_at(end, 1)).next()
    }

    /// All elements in order, from either end.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let (small, large) = match &self.form {
            Form::Small(packed) => (Some(packed), None),
            Form::Large(deque) => (None, Some(deque)),
        };
        let small = small.into_iter().flat_map(Packed::iter);
        small.chain(large.into_iter().flatten().map(|element| &**element))
    }

    /// Where the `count` elements at one end are; all of them if there are fewer.
    #[must_use]
    pub fn range_at(&self, end: End, count: usize) -> Range<usize> {
        let count = count.min(self.len());
        match end {
            End::Left => 0..count,
            End::Right => self.len() - count..self.len(),
        }
    }

    /// The elements of `range`, which must lie inside the list.
    pub fn range(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = &[u8]> {
        let (small, large) = match &self.form {
            Form::Small(packed) => (Some(packed.range(range)), None),
            Form::Large(deque) => (None, Some(deque.range(range))),
        };
        small.into_iter().flatten().chain(large.into_iter().flatten().map(|element| &**element))
    }

    /// Makes ready for `count` elements of `size` bytes in all: goes over to the large form now if they would not fit.
    pub fn prepare(&mut self, count: usize, size: usize, limit: ListLimit) {
        if limit.is_exceeded(self.packed_size + size, self.len() + count) {
            self.enlarge();
        }
    }

    /// Goes back to the small form if the list has become small enough; called after elements were removed or
    /// replaced. Cost: O(n), but only after that many elements have gone.
    pub fn settle(&mut self, limit: ListLimit) {
        if let Form::Large(deque) = &self.form
            && limit.is_far(self.packed_size, deque.len())
        {
            let mut packed = Packed::default();
            deque.iter().for_each(|element| packed.push(element));
            self.form = Form::Small(packed);
        }
    }

    /// Adds an element at one end; [`List::prepare`] has been called for it.
    pub fn push(&mut self, end: End, element: &[u8]) {
        self.packed_size += packed_size(element);
        match (&mut self.form, end) {
            (Form::Small(packed), End::Left) => packed.insert(packed.start(), &[element]),
            (Form::Small(packed), End::Right) => packed.push(element),
            (Form::Large(deque), End::Left) => deque.push_front(element.into()),
            (Form::Large(deque), End::Right) => deque.push_back(element.into()),
        }
    }

    /// Inserts an element so that it gets `index`, which is at most the length; [`List::prepare`] has been called.
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        self.packed_size += packed_size(element);
        match &mut self.form {
            Form::Small(packed) => {
                let spot = packed.spot(index).unwrap_or(packed.end());
                packed.insert(spot, &[element]);
            }
            Form::Large(deque) => deque.insert(index, element.into()),
        }
    }

    /// Replaces element `index`, which exists; [`List::prepare`] has been called.
    pub fn set(&mut self, index: usize, element: &[u8]) {
        let old = self.get(index).expect("the caller has looked");
        self.packed_size -= packed_size(old);
        self.packed_size += packed_size(element);
        match &mut self.form {
            Form::Small(packed) => {
                let spot = packed.spot(index).expect("the caller has looked");
                packed.replace(spot, &[element]);
            }
            Form::Large(deque) => deque[index] = element.into(),
        }
    }

    /// Removes the elements of `range`, which must lie inside the list.
    pub fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.packed_size -= self.range(range.clone()).map(packed_size).sum::<usize>();
        match &mut self.form {
            Form::Small(packed) => {
                let spot = packed.spot(range.start).expect("the range lies inside the list");
                packed.remove(spot, range.len());
            }
            Form::Large(deque) => {
                deque.drain(range);
                if deque.len() < deque.capacity() / 4 {
                    deque.shrink_to(2 * deque.len());
                }
            }
        }
    }

    /// Removes elements equal to `element`, at most `count_max`, looking from `end` on, and returns how many.
    pub fn remove_equal(&mut self, end: End, element: &[u8], count_max: usize) -> usize {
        let equal_count = self.iter().filter(|candidate| *candidate == element).count();
        let removed_count = equal_count.min(count_max);
        let first = match end {
            End::Left => 0,
            End::Right => equal_count - removed_count,
        };
        let mut seen_count = 0;
        let mut keep = |candidate: &[u8]| {
            if candidate != element {
                return true;
            }
            seen_count += 1;
            !(first..first + removed_count).contains(&(seen_count - 1))
        };
        match &mut self.form {
            Form::Small(packed) => packed.retain(keep),
            Form::Large(deque) => deque.retain(|candidate| keep(candidate)),
        }
        self.packed_size -= removed_count * packed_size(element);
        removed_count
    }

    /// Drops about `budget` elements of a list that nobody needs any more; says whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        let len = self.len();
        self.remove(len.saturating_sub(budget)..len);
        !self.is_empty()
    }

    /// Hands out commands that make this list under `key`.
    pub fn rebuild(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let mut batches = Batches::new(&[b"RPUSH", key], emit);
        self.iter().for_each(|element| batches.push(&[element]));
        batches.finish();
    }

    fn enlarge(&mut self) {
        if let Form::Small(packed) = &self.form {
            self.form = Form::Large(packed.iter().map(Box::from).collect());
        }
    }

    /// Panics unless the size is that of the elements.
    #[cfg(test)]
    fn check_invariants(&self) {
        let size = self.iter().map(packed_size).sum::<usize>();
        assert_eq!(self.packed_size, EMPTY_SIZE + size);
        if let Form::Small(packed) = &self.form {
            packed.check_invariants();
        }
    }
}

/// The size of one element in a listpack, in bytes: its head, its text unless it is an integer, and its length again
/// for walking backwards.
fn packed_size(element: &[u8]) -> usize {
    let size = match number::parse_i64(element) {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(-32_768..=32_767) => 3,
        Some(-8_388_608..=8_388_607) => 4,
        Some(-2_147_483_648..=2_147_483_647) => 5,
        Some(_) => 9,
        None => match element.len() {
            len @ 0..64 => 1 + len,
            len @ 64..4096 => 2 + len,
            len => 5 + len,
        },
    };
    let size_len = match size {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        2_097_152..268_435_456 => 4,
        _ => 5,
    };
    size + size_len
}

/// The same elements in the same order, in whatever form.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
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
    fn sizes_are_those_of_a_listpack() {
        for (element, size) in [
            ("", 2),
            ("a", 3),
            ("0", 2),
            ("127", 2),
            ("128", 3),
            ("-1", 3),
            ("4095", 3),
            ("4096", 4),
            ("32768", 5),
            ("8388608", 6),
            ("2147483648", 10),
            ("01", 4),
        ] {
            assert_eq!(packed_size(element.as_bytes()), size, "{element:?}");
        }
        assert_eq!(packed_size(&[b'x'; 63]), 65);
        assert_eq!(packed_size(&[b'x'; 64]), 67);
        assert_eq!(packed_size(&[b'x'; 125]), 128);
        assert_eq!(packed_size(&[b'x'; 126]), 130);
        assert_eq!(packed_size(&[b'x'; 4096]), 4103);
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

    #[test]
    fn it_does_what_a_vector_does() {
        let seed = 0x7157;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for _ in 0..40 {
            let limit = limit(rng.below(60) as i64);
            let mut list = List::default();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for step in 0..500 {
                let element = rng.below(20).to_string().into_bytes();
                let index = rng.below(model.len() + 1);
                let end = if rng.below(2) == 0 { End::Left } else { End::Right };
                list.prepare(1, element.len(), limit);
                match rng.below(8) {
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
                    5 => {
                        let count = rng.below((model.len() - index).min(9) + 1);
                        assert!(list.range(index..index + count).eq(&model[index..index + count]));
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
                    _ => assert_eq!(list.get(index), model.get(index).map(Vec::as_slice)),
                }
                list.check_invariants();
                assert_eq!(list.len(), model.len());
                assert!(list.iter().eq(&model), "step {step}");
                assert!(list.iter().rev().eq(model.iter().rev()), "step {step}");
            }
        }
    }
}
