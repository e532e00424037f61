//! Drawing random members: HRANDFIELD, SRANDMEMBER, SPOP and their kin.

use crate::error::CommandError;
use crate::rng::Rng;
use ahash::RandomState;
use protocol::reply::Writer;
use std::collections::HashSet;

/// How many members are drawn at a time.
const DRAW_COUNT_MAX: usize = 1000;
/// Most bytes that a reply with repeated members may take; less in tests, so that they are quick. Redis has no bound
/// there and goes on until it is killed.
const REPLY_SIZE_MAX: usize = if cfg!(test) { 1 << 20 } else { 512 << 20 };

/// What `count` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// So many different members, or all if there are fewer.
    Distinct(usize),
    /// So many members, each drawn from all of them.
    Repeated(usize),
}

impl Draw {
    /// A positive count asks for different members; a negative one allows repetitions.
    pub(crate) fn from_count(count: i64) -> Draw {
        let size = count.unsigned_abs() as usize;
        if count < 0 { Draw::Repeated(size) } else { Draw::Distinct(size) }
    }

    /// How many members this draws of `len`.
    pub(crate) fn count(self, len: usize) -> usize {
        match self {
            Draw::Distinct(count) => count.min(len),
            Draw::Repeated(count) => {
                if len == 0 {
                    0
                } else {
                    count
                }
            }
        }
    }

    /// Draws members of a collection with `len` of them: `pick` looks up many by index, `write` replies with one.
    ///
    /// # Errors
    /// `ERR value is out of range` if the reply grows beyond all bounds.
    pub(crate) fn write<T>(
        self,
        len: usize,
        rng: &mut Rng,
        reply: &mut Writer<'_>,
        pick: impl Fn(&[usize]) -> Vec<T>,
        write: impl Fn(T, &mut Writer<'_>),
    ) -> Result<(), CommandError> {
        if let Draw::Distinct(_) = self {
            let indices = distinct(self.count(len), len, rng);
            pick(&indices).into_iter().for_each(|member| write(member, reply));
            return Ok(());
        }
        let start = reply.position();
        let mut left_count = self.count(len);
        while left_count > 0 {
            let count = left_count.min(DRAW_COUNT_MAX);
            let indices = (0..count).map(|_| rng.below(len)).collect::<Vec<_>>();
            for member in pick(&indices) {
                write(member, reply);
                if reply.position() - start > REPLY_SIZE_MAX {
                    return Err(CommandError::OutOfRange);
                }
            }
            left_count -= count;
        }
        Ok(())
    }
}

/// Draws `count` different indices below `len`, which is at least `count`. Every set of them is equally likely, the
/// order is not random. Cost: O(count). Source: Floyd, in Bentley, "Programming Pearls: A sample of brilliance", 1987.
pub(crate) fn distinct(count: usize, len: usize, rng: &mut Rng) -> Vec<usize> {
    if count == len {
        return (0..len).collect();
    }
    let mut drawn = HashSet::with_capacity_and_hasher(count, RandomState::with_seeds(1, 2, 3, 4));
    let mut indices = Vec::with_capacity(count);
    for last in len - count..len {
        let index = rng.below(last + 1);
        let index = if drawn.insert(index) { index } else { last };
        drawn.insert(index);
        indices.push(index);
    }
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_indices_are_different_and_all_are_drawn() {
        let mut rng = Rng::new(5);
        let mut hits = [0; 7];
        for _ in 0..7000 {
            let mut indices = distinct(3, 7, &mut rng);
            indices.iter().for_each(|&index| hits[index] += 1);
            indices.sort_unstable();
            indices.dedup();
            assert_eq!(indices.len(), 3);
        }
        assert!(hits.iter().all(|&hit_count| (2700..3300).contains(&hit_count)), "{hits:?}");
        assert_eq!(distinct(7, 7, &mut rng), [0, 1, 2, 3, 4, 5, 6]);
        assert!(distinct(0, 7, &mut rng).is_empty());
    }
}
