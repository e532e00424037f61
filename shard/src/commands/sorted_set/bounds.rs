//! Ranges of a sorted set as clients write them: by rank, by score, by bytes.
//!
//! Path: the other files here read bounds first, so that a wrong one is an error even where there is no key, and then
//! ask [`Bounds::ranks`] which ranks they mean.

use crate::args::Args;
use crate::commands::indices;
use crate::error::CommandError;
use crate::types::sorted_set::SortedSet;
use protocol::number::double::parse_f64_bound;
use std::ops::Range;

/// What a range is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Ranks, from 0 or from -1 backwards.
    Rank,
    /// Scores: `1.5`, `(1.5`, `-inf`.
    Score,
    /// Members of equal score: `[a`, `(a`, `-`, `+`.
    Lex,
}

/// A range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bounds<'a> {
    /// First and last rank.
    Rank(i64, i64),
    /// Lowest and highest score.
    Score(Bound<f64>, Bound<f64>),
    /// Lowest and highest member.
    Lex(Bound<&'a [u8]>, Bound<&'a [u8]>),
}

/// One end of a range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound<T> {
    /// Before everything.
    Lowest,
    /// This value lies inside.
    Included(T),
    /// This value lies outside.
    Excluded(T),
    /// Behind everything.
    Highest,
}

impl<'a> Bounds<'a> {
    /// Reads the next two arguments; `is_reversed` says that the higher one comes first.
    ///
    /// # Errors
    /// `value is not an integer`, `min or max is not a float`, `min or max not valid string range item`.
    pub(super) fn parse(
        by: By,
        args: &mut Args<'a>,
        is_reversed: bool,
    ) -> Result<Self, CommandError> {
        if by == By::Rank {
            return Ok(Bounds::Rank(args.integer()?, args.integer()?));
        }
        let (first, second) = (args.bytes()?, args.bytes()?);
        let (min, max) = if is_reversed { (second, first) } else { (first, second) };
        if by == By::Score {
            let error = CommandError::text("ERR min or max is not a float");
            let bounds = score(min).zip(score(max)).map(|(min, max)| Bounds::Score(min, max));
            bounds.ok_or(error)
        } else {
            let error = CommandError::text("ERR min or max not valid string range item");
            lex(min).zip(lex(max)).map(|(min, max)| Bounds::Lex(min, max)).ok_or(error)
        }
    }

    /// The ranks in `set` that this range covers; ranks count from the highest score if `is_reversed`. A range over
    /// members means nothing where scores differ.
    pub(super) fn ranks(&self, set: &SortedSet, is_reversed: bool) -> Range<usize> {
        let (start, end) = match self {
            Bounds::Rank(first, last) => {
                let span = indices::span(*first, *last, set.len());
                if is_reversed {
                    (set.len() - span.end, set.len() - span.start)
                } else {
                    (span.start, span.end)
                }
            }
            Bounds::Score(min, max) => (
                set.partition_point(|_, score| min.is_above(&score)),
                set.partition_point(|_, score| !max.is_below(&score)),
            ),
            Bounds::Lex(min, max) => (
                set.partition_point(|member, _| min.is_above(&member)),
                set.partition_point(|member, _| !max.is_below(&member)),
            ),
        };
        start..end.max(start)
    }
}

impl<T: PartialOrd> Bound<T> {
    /// Whether `value` is too low for a range that begins here.
    fn is_above(&self, value: &T) -> bool {
        match self {
            Bound::Lowest => false,
            Bound::Included(bound) => value < bound,
            Bound::Excluded(bound) => value <= bound,
            Bound::Highest => true,
        }
    }

    /// Whether `value` is too high for a range that ends here.
    fn is_below(&self, value: &T) -> bool {
        match self {
            Bound::Lowest => true,
            Bound::Included(bound) => value > bound,
            Bound::Excluded(bound) => value >= bound,
            Bound::Highest => false,
        }
    }
}

fn score(text: &[u8]) -> Option<Bound<f64>> {
    match text {
        [b'(', text @ ..] => parse_f64_bound(text).map(Bound::Excluded),
        _ => parse_f64_bound(text).map(Bound::Included),
    }
}

fn lex(text: &[u8]) -> Option<Bound<&[u8]>> {
    match text {
        b"-" => Some(Bound::Lowest),
        b"+" => Some(Bound::Highest),
        [b'[', member @ ..] => Some(Bound::Included(member)),
        [b'(', member @ ..] => Some(Bound::Excluded(member)),
        _ => None,
    }
}
