//! Integer sets: the form of a set while all its members are integers and there are few of them.
//!
//! Path: `types::set` -> here.
//! Layout: sorted integers of one width, the narrowest that holds them all. An insertion may widen it, as in Redis
//! nothing makes it narrower again.

use crate::memory::block_size;

/// Integers in ascending order.
#[derive(Clone, Debug)]
pub struct IntSet {
    integers: Integers,
}

#[derive(Clone, Debug)]
enum Integers {
    Two(Vec<i16>),
    Four(Vec<i32>),
    Eight(Vec<i64>),
}

/// Does the same with the integers, whatever their width.
macro_rules! with_integers {
    ($set:expr, $integers:ident => $body:expr) => {
        match $set {
            Integers::Two($integers) => $body,
            Integers::Four($integers) => $body,
            Integers::Eight($integers) => $body,
        }
    };
}

impl Default for IntSet {
    fn default() -> Self {
        IntSet { integers: Integers::Two(Vec::new()) }
    }
}

impl IntSet {
    /// How many integers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        with_integers!(&self.integers, integers => integers.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that each integer takes: 2, 4 or 8.
    #[must_use]
    pub fn width(&self) -> usize {
        with_integers!(&self.integers, integers => width_of(integers))
    }

    /// Bytes of heap this holds.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        with_integers!(&self.integers, integers => block_size(integers.capacity() * width_of(integers)))
    }

    /// Integer `index`, which exists, in ascending order.
    #[must_use]
    pub fn get(&self, index: usize) -> i64 {
        with_integers!(&self.integers, integers => wide(integers[index]))
    }

    /// All integers, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Whether `integer` is there. Cost: O(log n).
    #[must_use]
    pub fn contains(&self, integer: i64) -> bool {
        self.search(integer).is_ok()
    }

    /// Adds `integer`; `false` if it was there.
    pub fn insert(&mut self, integer: i64) -> bool {
        let Err(index) = self.search(integer) else { return false };
        self.widen_for(integer);
        match &mut self.integers {
            Integers::Two(integers) => insert(integers, index, integer as i16),
            Integers::Four(integers) => insert(integers, index, integer as i32),
            Integers::Eight(integers) => insert(integers, index, integer),
        }
        true
    }

    /// Removes `integer`; `false` if it was not there.
    pub fn remove(&mut self, integer: i64) -> bool {
        let found = self.search(integer);
        if let Ok(index) = found {
            with_integers!(&mut self.integers, integers => remove(integers, index));
        }
        found.is_ok()
    }

    /// Removes the integers at `indices`, which exist and ascend.
    pub fn remove_all(&mut self, indices: &[usize]) {
        for &index in indices.iter().rev() {
            with_integers!(&mut self.integers, integers => remove(integers, index));
        }
    }

    /// Where `integer` is, or where it would be.
    fn search(&self, integer: i64) -> Result<usize, usize> {
        with_integers!(&self.integers, integers => {
            integers.binary_search_by(|&other| wide(other).cmp(&integer))
        })
    }

    /// Makes the integers so wide that `integer` fits.
    fn widen_for(&mut self, integer: i64) {
        let fits_four = i32::try_from(integer).is_ok();
        let fits_two = i16::try_from(integer).is_ok();
        match &self.integers {
            Integers::Two(_) if fits_two => {}
            Integers::Two(narrow) if fits_four => {
                self.integers = Integers::Four(narrow.iter().map(|&i| i32::from(i)).collect());
            }
            Integers::Four(_) if fits_four => {}
            Integers::Eight(_) => {}
            Integers::Two(_) | Integers::Four(_) => {
                self.integers = Integers::Eight(self.iter().collect());
            }
        }
    }
}

fn wide(integer: impl Into<i64>) -> i64 {
    integer.into()
}

fn width_of<T>(_: &[T]) -> usize {
    size_of::<T>()
}

fn insert<T>(integers: &mut Vec<T>, index: usize, integer: T) {
    if integers.len() == integers.capacity() {
        // All of the block that the allocator gives for one more.
        let capacity = block_size((integers.len() + 1) * size_of::<T>()) / size_of::<T>();
        integers.reserve_exact(capacity - integers.len());
    }
    integers.insert(index, integer);
}

fn remove<T>(integers: &mut Vec<T>, index: usize) {
    integers.remove(index);
    if integers.capacity() > 2 * integers.len() + 8 {
        integers.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn it_widens_with_its_greatest_member_and_never_narrows() {
        let mut set = IntSet::default();
        for (integer, width) in [
            (1, 2),
            (i64::from(i16::MIN), 2),
            (i64::from(i16::MAX) + 1, 4),
            (i64::from(i32::MAX), 4),
            (i64::from(i32::MIN) - 1, 8),
            (i64::MAX, 8),
            (0, 8),
        ] {
            assert!(set.insert(integer));
            assert_eq!(set.width(), width, "{integer}");
        }
        set.remove_all(&[0, 5, 6]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [-32768, 0, 1, 32768]);
        assert_eq!(set.width(), 8);
        let mut far = IntSet::default();
        far.insert(5);
        far.insert(i64::MIN);
        assert_eq!((far.width(), far.get(0), far.get(1)), (8, i64::MIN, 5));
    }

    #[test]
    fn it_does_what_an_ordered_set_does() {
        let seed = 0x1275e7;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for bits in [4, 17, 40] {
            let mut set = IntSet::default();
            let mut model = BTreeSet::new();
            for step in 0..3000 {
                let integer = (rng.next_u64() as i64) >> (64 - bits);
                match rng.below(3) {
                    0 => assert_eq!(set.remove(integer), model.remove(&integer), "step {step}"),
                    1 => assert_eq!(set.insert(integer), model.insert(integer), "step {step}"),
                    _ => assert_eq!(set.contains(integer), model.contains(&integer)),
                }
                assert!(set.heap_size() <= (2 * set.len() + 24) * set.width());
            }
            assert!(set.iter().eq(model.iter().copied()), "{bits} bits");
        }
    }
}
