//! Sorted sets: members by score, and among equal scores by bytes. Packed while small; beyond the thresholds a table
//! from member to score beside a ranked list in order.
//!
//! Path: `commands::sorted_set` -> here -> `types::{packed, paged_table, ranked}`.
//! Small form: a packed run, each entry a score and a member (`listpack`; `score`). Large form (`skiplist`): the members
//! in a table; the ranked list holds score and row number, so a member's bytes are stored once, and finding a place
//! looks at them only where scores are equal. A sorted set never goes back to the small form.
//! Invariant of the large form: the list is sorted and holds each place of the table once, with that member's score.
//! No score is NaN. Source: thresholds and names as in Redis 7.2.

mod score;

use crate::memory::block_size;
use crate::options::Options;
use crate::types::element::Element;
use crate::types::packed::{self, Packed, PackedRef, Spot};
use crate::types::paged_table::{Layout, PagedTable, Touch};
use crate::types::ranked::{self, RankedList};
use crate::types::rebuild::Batches;
use protocol::number;
use protocol::request::ArgvBuf;
use score::split;
use std::ops::Range;

/// How large the small form may get.
#[derive(Clone, Copy, Debug)]
pub struct SortedSetLimits {
    /// Most members (`zset-max-listpack-entries`).
    pub entries_max: usize,
    /// Longest member in bytes (`zset-max-listpack-value`).
    pub value_len_max: usize,
}

impl From<&Options> for SortedSetLimits {
    fn from(options: &Options) -> Self {
        SortedSetLimits {
            entries_max: options.zset_max_listpack_entries,
            value_len_max: options.zset_max_listpack_value,
        }
    }
}

/// A sorted set.
#[derive(Clone, Debug)]
pub struct SortedSet {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Small(Packed),
    /// In a box, because most sorted sets are small.
    Large(Box<Large>),
}

#[derive(Clone, Debug, Default)]
struct Large {
    members: PagedTable<Scored>,
    order: RankedList<Place>,
}

/// Rows of a member and its score (f64 le).
#[derive(Debug)]
struct Scored;

impl Layout for Scored {
    fn key(row: &[u8]) -> &[u8] {
        split_row(row).0
    }
}

/// The member and the score of a row.
fn split_row(row: &[u8]) -> (&[u8], f64) {
    let (member, score) = row.split_last_chunk().expect("a row ends with its score");
    (member, f64::from_le_bytes(*score))
}

/// A place in the order: the score, and which row of the table it is. Packed to twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, packed(4))]
struct Place {
    score: f64,
    row: u32,
}

impl Place {
    fn new(score: f64, row: usize) -> Self {
        Place { score, row: u32::try_from(row).expect("a table has fewer rows than 2^32") }
    }

    /// The number of the row.
    fn row(self) -> usize {
        self.row as usize
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        SortedSet { form: Form::Small(Packed::default()) }
    }
}

impl SortedSet {
    /// A sorted set of `members`, which are in order: by score, and among equal scores by bytes.
    #[must_use]
    pub fn from_sorted(members: &[(f64, &[u8])], limits: SortedSetLimits) -> Self {
        let len_max = members.iter().map(|(_, member)| member.len()).max().unwrap_or(0);
        let form = if members.len() <= limits.entries_max && len_max <= limits.value_len_max {
            let entries = members.iter().map(|(score, member)| score::join(*score, member));
            let entries = entries.collect::<Vec<_>>();
            let elements = entries.iter().map(|entry| Element::Text(entry)).collect::<Vec<_>>();
            let mut packed = Packed::default();
            packed.push(&elements);
            Form::Small(packed)
        } else {
            Form::Large(Box::new(Large::from_sorted(members.iter().copied())))
        };
        SortedSet { form }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.len(),
            Form::Large(large) => large.members.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is the small form.
    #[must_use]
    pub fn is_small(&self) -> bool {
        matches!(self.form, Form::Small(_))
    }

    /// The name OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Small(_) => "listpack",
            Form::Large(_) => "skiplist",
        }
    }

    /// The table of the large form, to touch what a lookup is going to read.
    #[must_use]
    pub fn table(&self) -> Option<Touch<'_>> {
        match &self.form {
            Form::Large(large) => Some(large.members.touch()),
            Form::Small(_) => None,
        }
    }

    /// Bytes of heap this holds, as the allocator counts them. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.heap_size(),
            Form::Large(large) => {
                block_size(size_of::<Large>()) + large.members.heap_size() + large.order.heap_size()
            }
        }
    }

    /// The score of `member`. Cost: O(1) in the large form.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.form {
            Form::Small(packed) => find(packed.view(), member).map(|(_, _, score)| score),
            Form::Large(large) => large.members.find(member).map(|row| large.pair(row).1),
        }
    }

    /// The rank of `member`, from 0 for the lowest score, and its score. Cost: O(log n) in the large form.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.form {
            Form::Small(packed) => {
                find(packed.view(), member).map(|(rank, _, score)| (rank, score))
            }
            Form::Large(large) => {
                let score = self.score(member)?;
                Some((large.rank(score, member), score))
            }
        }
    }

    /// How many members stand before the first one for which `is_before` says no; it must say yes for the lowest
    /// members and no for the others. Cost: O(log n) in the large form.
    #[must_use]
    pub fn partition_point(&self, is_before: impl Fn(&[u8], f64) -> bool) -> usize {
        match &self.form {
            Form::Small(packed) => {
                let is_before = |entry| matches!(split(entry), (s, m) if is_before(m, s));
                packed.view().iter().take_while(|&entry| is_before(entry)).count()
            }
            Form::Large(large) => large
                .order
                .partition_point(|place| is_before(large.pair(place.row()).0, place.score)),
        }
    }

    /// The members with ranks in `range`, as far as they exist, with their scores, from either end. Cost: O(log n)
    /// and O(1) for each.
    pub fn range(&self, range: Range<usize>) -> Members<'_> {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        match &self.form {
            Form::Small(packed) => Members(Walk::Small(packed.view().range(range))),
            Form::Large(large) => Members(Walk::Large(large, large.order.range(range))),
        }
    }

    /// All members with their scores, the lowest first.
    pub fn iter(&self) -> Members<'_> {
        self.range(0..self.len())
    }

    /// The members at `indices`, each below the length; which member has which index changes with every write. Cost:
    /// O(1) for each in the large form.
    #[must_use]
    pub fn pick(&self, indices: &[usize]) -> Vec<(&[u8], f64)> {
        match &self.form {
            Form::Small(packed) => {
                let members = packed.view().iter().map(split).collect::<Vec<_>>();
                let pick = |&index: &usize| members[index];
                indices.iter().map(pick).map(|(score, member)| (member, score)).collect()
            }
            Form::Large(large) => indices.iter().map(|&row| large.pair(row)).collect(),
        }
    }

    /// About `count` members from `cursor` on, with their scores, and where to go on; 0 begins, and 0 says it is over.
    /// The small form gives everything at once, as in Redis.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = (&[u8], f64)>) {
        let (cursor, small, large) = match &self.form {
            Form::Small(_) => (0, Some(self.iter()), None),
            Form::Large(large) => {
                let (cursor, rows) = large.members.scan(cursor, count);
                (cursor, None, Some(rows))
            }
        };
        let large = large.into_iter().flatten().map(split_row);
        (cursor, small.into_iter().flatten().chain(large))
    }

    /// Makes ready for `count` members to be added: goes over to the large form now if they alone would not fit the
    /// small one (as in Redis).
    pub fn prepare(&mut self, count: usize, limits: SortedSetLimits) {
        if count > limits.entries_max {
            self.enlarge();
        }
    }

    /// Gives `member` this score, which is not NaN; adds it if there is none.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: SortedSetLimits) {
        if let Form::Small(packed) = &mut self.form {
            let (found, behind) = place(packed.view(), member, score);
            let other_count = packed.len() - usize::from(found.is_some());
            if other_count < limits.entries_max
                && (member.len() <= limits.value_len_max || found.is_some())
            {
                let entry = score::join(score, member);
                let add = |packed: &mut Packed| packed.insert(behind, &[Element::Text(&entry)]);
                // What lies further back changes first, so that the spot before it stays good.
                match found {
                    Some(found) if found > behind => {
                        packed.remove(found, 1);
                        add(packed);
                    }
                    Some(found) => {
                        add(packed);
                        packed.remove(found, 1);
                    }
                    None => add(packed),
                }
                return;
            }
            self.enlarge();
        }
        if let Form::Large(large) = &mut self.form {
            large.insert(member, score);
        }
    }

    /// Removes `member`; `false` if there is none.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.form {
            Form::Small(packed) => {
                let found = find(packed.view(), member);
                if let Some((_, spot, _)) = found {
                    packed.remove(spot, 1);
                }
                found.is_some()
            }
            Form::Large(large) => {
                let found = large.members.find(member);
                if let Some(row) = found {
                    large.remove(large.rank(large.pair(row).1, member));
                }
                found.is_some()
            }
        }
    }

    /// Removes the members with ranks in `range`, all of which exist. Cost: O(log n) for each in the large form.
    pub fn remove_range(&mut self, range: Range<usize>) {
        match &mut self.form {
            Form::Small(packed) => {
                if let Some(spot) = packed.view().spot(range.start) {
                    packed.remove(spot, range.len());
                }
            }
            Form::Large(large) => range.rev().for_each(|rank| large.remove(rank)),
        }
    }

    /// Drops about `budget` members, without regard to order; the set must not be used any more but to go on so. Says
    /// whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.form {
            Form::Small(_) => {
                *self = SortedSet::default();
                false
            }
            Form::Large(large) => {
                // Every member is there twice.
                let budget = budget.div_ceil(2);
                let order_left = large.order.free_some(budget);
                large.members.free_some(budget) || order_left
            }
        }
    }

    /// Hands out commands that make this sorted set under `key`.
    pub fn rebuild(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let mut batches = Batches::new(&[b"ZADD", key], emit);
        // Negative zeros come last, when the form is the large one again, which knows them.
        let is_negative_zero = |score: f64| score == 0.0 && score.is_sign_negative();
        for is_last in [false, true] {
            let members = self.iter().filter(|(_, score)| is_negative_zero(*score) == is_last);
            for (member, score) in members {
                batches.push(&[number::format_f64(score).as_bytes(), member]);
            }
        }
        batches.finish();
    }

    fn enlarge(&mut self) {
        if let Form::Small(packed) = &self.form {
            self.form = Form::Large(Box::new(Large::from_sorted(packed.view().iter().map(split))));
        }
    }

    /// Panics unless members are in order, and table and list agree.
    #[cfg(test)]
    fn check_invariants(&self) {
        let pairs = self.iter().map(|(member, score)| (score, member)).collect::<Vec<_>>();
        assert!(pairs.is_sorted());
        assert_eq!(pairs.len(), self.len());
        match &self.form {
            Form::Small(packed) => packed.check_invariants(),
            Form::Large(large) => {
                large.members.check_invariants();
                assert_eq!(large.order.len(), large.members.len());
                for place in large.order.range(0..large.order.len()) {
                    assert_eq!(large.pair(place.row()).1, { place.score });
                }
            }
        }
    }
}

impl Large {
    fn from_sorted<'a>(members: impl Iterator<Item = (f64, &'a [u8])>) -> Self {
        let mut large = Large::default();
        for (rank, (score, member)) in members.enumerate() {
            let added = large.members.push(member, &[member, &score.to_le_bytes()]);
            debug_assert!(added.is_ok(), "a sorted set has each member once");
            large.order.insert(rank, Place::new(score, rank));
        }
        large
    }

    /// Member and score of a row.
    fn pair(&self, row: usize) -> (&[u8], f64) {
        split_row(self.members.row(row))
    }

    /// How many members stand before this pair.
    fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.order.partition_point(|place| {
            place.score < score || (place.score == score && self.pair(place.row()).0 < member)
        })
    }

    fn insert(&mut self, member: &[u8], score: f64) {
        let score_bytes = score.to_le_bytes();
        let row = match self.members.push(member, &[member, &score_bytes]) {
            Ok(()) => self.members.len() - 1,
            Err(row) => {
                let old_score = self.pair(row).1;
                self.order.remove(self.rank(old_score, member));
                self.members.replace_tail(row, member.len(), &[&score_bytes]);
                row
            }
        };
        self.order.insert(self.rank(score, member), Place::new(score, row));
    }

    fn remove(&mut self, rank: usize) {
        let row = self.order.remove(rank).row();
        let last = self.members.len() - 1;
        if row != last {
            // The last row of the table is about to take the place of the removed one.
            let (member, score) = self.pair(last);
            self.order.set(self.rank(score, member), Place::new(score, row));
        }
        self.members.swap_remove(row);
    }
}

/// The rank of `member`, where its entry begins, and its score.
fn find(packed: PackedRef<'_>, member: &[u8]) -> Option<(usize, Spot, f64)> {
    let mut entries = packed.spots().enumerate();
    let (rank, (spot, entry)) = entries.find(|(_, (_, entry))| score::member(*entry) == member)?;
    Some((rank, spot, split(entry).0))
}

/// Where the entry of `member` begins, if there is one, and before which other it belongs with this score.
fn place(packed: PackedRef<'_>, member: &[u8], score: f64) -> (Option<Spot>, Spot) {
    let (mut found, mut behind) = (None, None);
    for (spot, entry) in packed.spots() {
        if score::member(entry) == member {
            found = Some(spot);
        } else if behind.is_none() && split(entry) > (score, member) {
            behind = Some(spot);
        }
        if found.is_some() && behind.is_some() {
            break;
        }
    }
    (found, behind.unwrap_or(packed.end()))
}

/// Members of a [`SortedSet`] with their scores, from either end.
#[derive(Clone, Debug)]
pub struct Members<'a>(Walk<'a>);

#[derive(Clone, Debug)]
enum Walk<'a> {
    Small(packed::Iter<'a>),
    Large(&'a Large, ranked::Items<'a, Place>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Small(entries) => {
                entries.next().map(split).map(|(score, member)| (member, score))
            }
            Walk::Large(large, places) => places.next().map(|place| large.pair(place.row())),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Small(entries) => entries.size_hint(),
            Walk::Large(_, places) => places.size_hint(),
        }
    }
}

impl ExactSizeIterator for Members<'_> {}

impl DoubleEndedIterator for Members<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Small(entries) => {
                entries.next_back().map(split).map(|(score, member)| (member, score))
            }
            Walk::Large(large, places) => places.next_back().map(|place| large.pair(place.row())),
        }
    }
}

/// The same members with the same scores, in whatever form.
impl PartialEq for SortedSet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    const LIMITS: SortedSetLimits = SortedSetLimits { entries_max: 4, value_len_max: 4 };

    fn set(pairs: &[(f64, &str)]) -> SortedSet {
        let mut set = SortedSet::default();
        pairs.iter().for_each(|(score, member)| set.insert(member.as_bytes(), *score, LIMITS));
        set
    }

    #[test]
    fn it_grows_into_a_list_with_ranks_past_either_threshold() {
        let mut four = set(&[(1.0, "a"), (2.0, "b"), (3.0, "c"), (4.0, "d")]);
        assert_eq!(four.encoding(), "listpack");
        four.insert(b"a", 9.0, LIMITS);
        assert_eq!(four.encoding(), "listpack");
        let mut five = four.clone();
        five.insert(b"e", 5.0, LIMITS);
        assert_eq!(five.encoding(), "skiplist");
        five.remove(b"e");
        assert_eq!(five.encoding(), "skiplist");
        assert_eq!(five, four);
        assert_eq!(set(&[(1.0, "1234")]).encoding(), "listpack");
        assert_eq!(set(&[(1.0, "12345")]).encoding(), "skiplist");
        let mut many = SortedSet::default();
        many.prepare(5, LIMITS);
        assert_eq!(many.encoding(), "skiplist");
    }

    #[test]
    fn equal_scores_are_ordered_by_bytes() {
        for extra in [None, Some("longer")] {
            let mut set = set(&[(0.0, "b"), (-0.0, "a"), (0.0, "ab"), (f64::NEG_INFINITY, "z")]);
            if let Some(member) = extra {
                set.insert(member.as_bytes(), f64::INFINITY, LIMITS);
            }
            let members = set.range(0..4).map(|(member, _)| member).collect::<Vec<_>>();
            assert_eq!(members, [b"z".as_slice(), b"a", b"ab", b"b"]);
        }
    }

    #[test]
    fn only_the_large_form_knows_a_negative_zero() {
        let small = set(&[(-0.0, "a")]);
        assert!(small.score(b"a").unwrap().is_sign_positive());
        let large = set(&[(-0.0, "12345")]);
        assert!(large.score(b"12345").unwrap().is_sign_negative());
    }

    #[test]
    fn it_is_rebuilt_in_batches() {
        let mut set = SortedSet::default();
        for number in 0..100 {
            set.insert(format!("m{number}").as_bytes(), f64::from(number) / 3.0, LIMITS);
        }
        let mut copy = SortedSet::default();
        let mut lens = Vec::new();
        set.rebuild(b"key", &mut |command| {
            lens.push(command.as_argv().len());
            let args = command.as_argv().iter().skip(2).collect::<Vec<_>>();
            for pair in args.chunks(2) {
                copy.insert(pair[1], number::parse_f64(pair[0]).unwrap(), LIMITS);
            }
        });
        assert_eq!(lens, [2 + 128, 2 + 72]);
        assert_eq!(copy, set);
    }

    #[test]
    fn it_does_what_a_sorted_vector_does() {
        let seed = 0x50_47ed;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for round in 0..12 {
            let limits = SortedSetLimits { entries_max: rng.below(60), value_len_max: 64 };
            let mut set = SortedSet::default();
            let mut model: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
            for step in 0..400 {
                let member = rng.below(300).to_string().into_bytes();
                let score = rng.below(20) as f64 - 10.0;
                match rng.below(8) {
                    0..5 => {
                        set.insert(&member, score, limits);
                        model.insert(member.clone(), score);
                    }
                    5 | 6 => assert_eq!(set.remove(&member), model.remove(&member).is_some()),
                    _ => {
                        let start = rng.below(set.len() + 1);
                        let end = (start + rng.below(4)).min(set.len());
                        let removed = set.range(start..end).map(|(member, _)| member.to_vec());
                        removed.collect::<Vec<_>>().iter().for_each(|member| {
                            model.remove(member).unwrap();
                        });
                        set.remove_range(start..end);
                    }
                }
                let mut order = model.iter().map(|(m, s)| (*s, m.as_slice())).collect::<Vec<_>>();
                order.sort_by(|a, b| a.partial_cmp(b).unwrap());
                let context = format!("round {round} step {step}");
                assert!(set.iter().eq(order.iter().map(|(s, m)| (*m, *s))), "{context}");
                assert!(set.iter().rev().eq(order.iter().rev().map(|(s, m)| (*m, *s))));
                let rank = order.iter().position(|(_, m)| *m == member);
                assert_eq!(set.rank(&member).map(|(rank, _)| rank), rank, "{context}");
                assert_eq!(set.score(&member), model.get(&member).copied(), "{context}");
                let below = order.iter().filter(|(s, _)| *s < score).count();
                assert_eq!(set.partition_point(|_, s| s < score), below, "{context}");
                let mut met = Vec::new();
                let mut cursor = 0;
                loop {
                    let (next, members) = set.scan(cursor, 7);
                    met.extend(members.map(|(member, score)| (score, member)));
                    cursor = next;
                    if cursor == 0 {
                        break;
                    }
                }
                met.sort_by(|a, b| a.partial_cmp(b).unwrap());
                assert_eq!(met, order, "{context}");
                if step % 20 == 0 {
                    set.check_invariants();
                }
            }
        }
    }
}
