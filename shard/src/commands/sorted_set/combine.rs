//! Union, intersection and difference of sorted sets: reading what is asked for, and computing it.
//!
//! Path: `algebra` answers with what is computed here, `store` stores it. All inputs are at hand, wherever they lay.

use crate::args::Args;
use crate::error::CommandError;
use crate::types::set::{Member, Set};
use crate::types::sorted_set::SortedSet;
use crate::value::ValueRef;
use ahash::RandomState;
use protocol::number;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Hashes members while they are combined. No order and no reply depends on the seeds.
const HASHER: RandomState = RandomState::with_seeds(
    0x13f5_3c1b_6ac1_29d4,
    0x8fe2_7d04_91b6_5e3a,
    0x52a9_e6f7_0d38_4cb1,
    0xc406_b58f_e172_9a6d,
);

/// What is done with the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Members of any input.
    Union,
    /// Members of all inputs.
    Inter,
    /// Members of the first input that no other has.
    Diff,
}

/// What becomes of the result; it decides which options there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlet {
    /// The client gets the members.
    Reply,
    /// They are stored.
    Store,
    /// The client gets their number.
    Count,
}

/// How the scores of a member that several inputs have become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Option<Aggregate> {
        match word {
            _ if word.eq_ignore_ascii_case(b"SUM") => Some(Aggregate::Sum),
            _ if word.eq_ignore_ascii_case(b"MIN") => Some(Aggregate::Min),
            _ if word.eq_ignore_ascii_case(b"MAX") => Some(Aggregate::Max),
            _ => None,
        }
    }

    /// Opposite infinities cancel out: their sum is 0.
    fn apply(self, score: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => or_zero(score + other),
            Aggregate::Min => {
                if other < score {
                    other
                } else {
                    score
                }
            }
            Aggregate::Max => {
                if other > score {
                    other
                } else {
                    score
                }
            }
        }
    }
}

/// 0 in the place of what is no number.
fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What stands under one of the keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// Nothing.
    Missing,
    /// A set, each member of which has the score 1.
    Set(&'a Set),
    /// A sorted set.
    SortedSet(&'a SortedSet),
}

/// Score of the members of a set.
const SET_SCORE: f64 = 1.0;

impl<'a> Input<'a> {
    /// The input that `value` is.
    ///
    /// # Errors
    /// WRONGTYPE if it is neither a set nor a sorted set.
    pub(super) fn of(value: Option<ValueRef<'a>>) -> Result<Self, CommandError> {
        match value {
            None => Ok(Input::Missing),
            Some(ValueRef::Set(set)) => Ok(Input::Set(set)),
            Some(ValueRef::SortedSet(set)) => Ok(Input::SortedSet(set)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Input::Missing => 0,
            Input::Set(set) => set.len(),
            Input::SortedSet(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Input::Missing => None,
            Input::Set(set) => set.contains(member).then_some(SET_SCORE),
            Input::SortedSet(set) => set.score(member),
        }
    }

    /// Whether a member is found by searching from end to end.
    fn is_packed(self) -> bool {
        match self {
            Input::Missing => false,
            Input::Set(set) => set.packed_members().is_some(),
            Input::SortedSet(set) => set.is_small(),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = (Cow<'a, [u8]>, f64)> + 'a> {
        match self {
            Input::Missing => Box::new(std::iter::empty()),
            Input::Set(set) => Box::new(set.iter().map(|member| (bytes_of(member), SET_SCORE))),
            Input::SortedSet(set) => {
                Box::new(set.iter().map(|(member, score)| (Cow::Borrowed(member), score)))
            }
        }
    }
}

/// So few lookups, or lookups among so few members, cost less without an index. Source: measured, members of 11 bytes.
const SEARCHES_MAX: usize = 12;

/// An input in which many members are looked up.
#[derive(Debug)]
enum Lookup<'a> {
    Direct(Input<'a>),
    /// The scores of a packed input by member.
    Index(HashMap<Cow<'a, [u8]>, f64, RandomState>),
}

impl<'a> Lookup<'a> {
    /// Gets ready for up to `count` lookups in `input`. Cost: O(n) for a packed input, else O(1).
    fn new(input: Input<'a>, count: usize) -> Self {
        if !input.is_packed() || count.min(input.len()) <= SEARCHES_MAX {
            return Lookup::Direct(input);
        }
        let mut index = HashMap::with_capacity_and_hasher(input.len(), HASHER);
        index.extend(input.iter());
        Lookup::Index(index)
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Lookup::Direct(input) => input.score(member),
            Lookup::Index(index) => index.get(member).copied(),
        }
    }
}

/// The bytes of a member of a set; those of integers have to be made.
fn bytes_of(member: Member<'_>) -> Cow<'_, [u8]> {
    match member {
        Member::Bytes(bytes) => Cow::Borrowed(bytes),
        Member::Integer(_) | Member::Decimal(_) => Cow::Owned(member.to_vec()),
    }
}

/// Where the input keys stand in the request: reads `numkeys` and leaves out the keys.
///
/// # Errors
/// `ERR value is not an integer`, `ERR at least 1 input key is needed for '...' command`, `ERR syntax error` if there
/// are fewer arguments than keys.
pub(super) fn input_keys(args: &mut Args<'_>) -> Result<Range<usize>, CommandError> {
    let key_count = args.integer()?;
    if key_count < 1 {
        let name = String::from_utf8_lossy(args.argv().get(0).unwrap_or_default()).to_lowercase();
        let text = format!("ERR at least 1 input key is needed for '{name}' command");
        return Err(CommandError::Text(Cow::Owned(text)));
    }
    let key_count = usize::try_from(key_count).unwrap_or(usize::MAX);
    if key_count > args.remaining() {
        return Err(CommandError::Syntax);
    }
    let first = args.position();
    (0..key_count).for_each(|_| args.skip());
    Ok(first..first + key_count)
}

/// What is asked for beside operation and keys.
#[derive(Clone, Debug)]
pub(super) struct Request {
    operation: Operation,
    /// What the scores of each input are multiplied by; empty: by 1.
    weights: Vec<f64>,
    aggregate: Aggregate,
    /// WITHSCORES.
    pub(super) has_scores: bool,
    /// How far to count, 0 for no limit.
    limit: usize,
}

/// A member with its score.
pub(super) type Scored<'a> = (f64, Cow<'a, [u8]>);

impl Request {
    /// Reads the options behind the keys.
    ///
    /// # Errors
    /// `ERR weight value is not a float`, `ERR LIMIT can't be negative`, `ERR syntax error`.
    pub(super) fn parse(
        operation: Operation,
        outlet: Outlet,
        input_count: usize,
        mut args: Args<'_>,
    ) -> Result<Self, CommandError> {
        let aggregate = Aggregate::Sum;
        let mut request =
            Request { operation, weights: Vec::new(), aggregate, has_scores: false, limit: 0 };
        let has_weights = operation != Operation::Diff && outlet != Outlet::Count;
        while !args.is_empty() {
            let left_count = args.remaining();
            if has_weights && left_count > input_count && args.take_token("WEIGHTS") {
                request.weights.clear();
                for _ in 0..input_count {
                    let weight = number::parse_f64(args.bytes()?);
                    let error = CommandError::text("ERR weight value is not a float");
                    request.weights.push(weight.ok_or(error)?);
                }
            } else if has_weights && left_count > 1 && args.take_token("AGGREGATE") {
                request.aggregate = Aggregate::parse(args.bytes()?).ok_or(CommandError::Syntax)?;
            } else if outlet == Outlet::Reply && args.take_token("WITHSCORES") {
                request.has_scores = true;
            } else if outlet == Outlet::Count && left_count > 1 && args.take_token("LIMIT") {
                request.limit = args.count_or("ERR LIMIT can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(request)
    }

    /// The result, in the order of a sorted set.
    ///
    /// Cost: for n members in the result and m in all inputs, O(m + n log n) for a union, O(k s + n log n) for an
    /// intersection of k inputs, the smallest of which has s members, O(min(k f, m) + n log n) for a difference whose
    /// first input has f.
    pub(super) fn run<'a>(&self, inputs: &[Input<'a>]) -> Vec<Scored<'a>> {
        let mut members = match self.operation {
            Operation::Union => self.union(inputs),
            Operation::Inter => self.inter(inputs).collect(),
            Operation::Diff => diff(inputs),
        };
        members.sort_unstable_by(|(score, member), (other_score, other)| {
            let by_score = score.partial_cmp(other_score).expect("no score is NaN");
            by_score.then_with(|| member.cmp(other))
        });
        members
    }

    /// How many members the intersection has, as far as the limit goes.
    pub(super) fn count(&self, inputs: &[Input<'_>]) -> usize {
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        self.inter(inputs).take(limit).count()
    }

    /// The inputs with their weights, the smallest first: the order in which scores are added up.
    fn by_len<'a>(&self, inputs: &[Input<'a>]) -> Vec<(Input<'a>, f64)> {
        let weights = self.weights.iter().copied().chain(std::iter::repeat(1.0));
        let mut inputs = inputs.iter().copied().zip(weights).collect::<Vec<_>>();
        inputs.sort_by_key(|(input, _)| input.len());
        inputs
    }

    fn union<'a>(&self, inputs: &[Input<'a>]) -> Vec<Scored<'a>> {
        let mut scores: HashMap<Cow<'a, [u8]>, f64, RandomState> = HashMap::with_hasher(HASHER);
        for (input, weight) in self.by_len(inputs) {
            for (member, score) in input.iter() {
                let score = or_zero(weight * score);
                let aggregated = scores.entry(member);
                aggregated
                    .and_modify(|sum| *sum = self.aggregate.apply(*sum, score))
                    .or_insert(score);
            }
        }
        scores.into_iter().map(|(member, score)| (score, member)).collect()
    }

    fn inter<'a>(&self, inputs: &[Input<'a>]) -> impl Iterator<Item = Scored<'a>> {
        let inputs = self.by_len(inputs);
        let (smallest, first_weight) = inputs.first().copied().unwrap_or((Input::Missing, 1.0));
        let others = inputs.iter().skip(1);
        let others = others.map(|(input, weight)| (Lookup::new(*input, smallest.len()), *weight));
        let others = others.collect::<Vec<_>>();
        smallest.iter().filter_map(move |(member, score)| {
            let mut sum = or_zero(first_weight * score);
            for (input, weight) in &others {
                sum = self.aggregate.apply(sum, weight * input.score(&member)?);
            }
            Some((sum, member))
        })
    }
}

fn diff<'a>(inputs: &[Input<'a>]) -> Vec<Scored<'a>> {
    let Some((first, others)) = inputs.split_first() else { return Vec::new() };
    let others_len = others.iter().map(|other| other.len()).sum::<usize>();
    let members = first.iter().map(|(member, score)| (score, member));
    if others_len < first.len().saturating_mul(others.len()) {
        let mut excluded: HashSet<Cow<'_, [u8]>, RandomState> = HashSet::with_hasher(HASHER);
        others.iter().for_each(|other| excluded.extend(other.iter().map(|(member, _)| member)));
        members.filter(|(_, member)| !excluded.contains(member)).collect()
    } else {
        let others = others.iter().map(|&other| Lookup::new(other, first.len()));
        let others = others.collect::<Vec<_>>();
        let is_elsewhere = |member: &[u8]| others.iter().any(|o| o.score(member).is_some());
        members.filter(|(_, member)| !is_elsewhere(member)).collect()
    }
}
