//! Sets: integers in order or packed while small, a table beyond the thresholds.
//!
//! Path: `commands::set` -> here -> `types::{intset, packed, paged_table}`.
//! Forms: sorted integers (`intset`) while every member is one; a packed run in the order the members were added
//! (`listpack`); a table (`hashtable`). Each may turn into a later one, never back.
//! Results of commands over several sets are put together by `builder`, with the help of `lookup`.
//! Source: thresholds, names and when a form changes as in Redis 7.2 (`set-max-intset-entries`,
//! `set-max-listpack-entries`, `set-max-listpack-value`).

mod builder;
mod lookup;

pub use builder::{Beginning, Builder};
pub use lookup::Lookup;

use crate::memory::block_size;
use crate::options::Options;
use crate::types::decimal::Decimal;
use crate::types::element::Element;
use crate::types::intset::IntSet;
use crate::types::packed::{self, Packed, PackedRef, Spot};
use crate::types::paged_table::{Layout, PagedTable, Touch};
use crate::types::rebuild::Batches;
use protocol::number;
use protocol::request::ArgvBuf;
use std::ops::Range;

/// How large the small forms may get.
#[derive(Clone, Copy, Debug)]
pub struct SetLimits {
    /// Most members of integers in order (`set-max-intset-entries`).
    pub integers_max: usize,
    /// Most members of a packed run (`set-max-listpack-entries`).
    pub entries_max: usize,
    /// Longest member of a packed run in bytes (`set-max-listpack-value`).
    pub value_len_max: usize,
}

/// Redis has no integer set with more members, whatever the parameter says.
const INTEGERS_MAX: usize = 1 << 30;

impl From<&Options> for SetLimits {
    fn from(options: &Options) -> Self {
        SetLimits {
            integers_max: options.set_max_intset_entries.min(INTEGERS_MAX),
            entries_max: options.set_max_listpack_entries,
            value_len_max: options.set_max_listpack_value,
        }
    }
}

/// A set.
#[derive(Clone, Debug)]
pub struct Set {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Integers(IntSet),
    Small(Packed),
    /// In a box, because most sets are small.
    Large(Box<PagedTable<Whole>>),
}

/// Rows that are nothing but their key.
#[derive(Debug)]
struct Whole;

impl Layout for Whole {
    fn key(row: &[u8]) -> &[u8] {
        row
    }
}

/// A member, as its set stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member<'a> {
    /// An integer of a form that keeps those as numbers; its bytes are its decimal digits.
    Integer(i64),
    /// A number with a point of such a form.
    Decimal(Decimal),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> From<Element<'a>> for Member<'a> {
    fn from(element: Element<'a>) -> Self {
        match element {
            Element::Integer(integer) => Member::Integer(integer),
            Element::Decimal(decimal) => Member::Decimal(decimal),
            Element::Text(text) => Member::Bytes(text),
        }
    }
}

impl<'a> Member<'a> {
    /// It as an element.
    #[must_use]
    pub fn element(self) -> Element<'a> {
        match self {
            Member::Integer(integer) => Element::Integer(integer),
            Member::Decimal(decimal) => Element::Decimal(decimal),
            Member::Bytes(bytes) => Element::of(bytes),
        }
    }

    /// Hands its bytes to `read`.
    pub fn with_bytes<T>(self, read: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Member::Integer(integer) => read(itoa::Buffer::new().format(integer).as_bytes()),
            Member::Decimal(decimal) => decimal.with_bytes(read),
            Member::Bytes(bytes) => read(bytes),
        }
    }

    /// A copy of its bytes.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// Its value, if it is an integer in its shortest form.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self {
            Member::Integer(integer) => Some(integer),
            Member::Decimal(_) => None,
            Member::Bytes(bytes) => number::parse_i64(bytes),
        }
    }
}

impl Default for Set {
    fn default() -> Self {
        Set { form: Form::Integers(IntSet::default()) }
    }
}

impl Set {
    /// An empty set in the packed form, for results that Redis collects there.
    #[must_use]
    pub fn packed() -> Self {
        Set { form: Form::Small(Packed::default()) }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Integers(integers) => integers.len(),
            Form::Small(packed) => packed.len(),
            Form::Large(table) => table.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Integers(_) => "intset",
            Form::Small(_) => "listpack",
            Form::Large(_) => "hashtable",
        }
    }

    /// The integers, while the set has that form.
    #[must_use]
    pub fn integers(&self) -> Option<&IntSet> {
        match &self.form {
            Form::Integers(integers) => Some(integers),
            _ => None,
        }
    }

    /// The members, while the set has the packed form: they are found by searching from end to end.
    #[must_use]
    pub fn packed_members(&self) -> Option<PackedRef<'_>> {
        match &self.form {
            Form::Small(packed) => Some(packed.view()),
            _ => None,
        }
    }

    /// The table of the large form, to touch what a lookup is going to read.
    #[must_use]
    pub fn table(&self) -> Option<Touch<'_>> {
        match &self.form {
            Form::Large(table) => Some(table.touch()),
            Form::Integers(_) | Form::Small(_) => None,
        }
    }

    /// Bytes of heap this holds. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.form {
            Form::Integers(integers) => integers.heap_size(),
            Form::Small(packed) => packed.heap_size(),
            Form::Large(table) => block_size(size_of::<PagedTable<Whole>>()) + table.heap_size(),
        }
    }

    /// Drops about `budget` members, without regard to order; the set must not be used any more but to go on so. Says
    /// whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.form {
            Form::Large(table) => table.free_some(budget),
            Form::Integers(_) | Form::Small(_) => {
                *self = Set::default();
                false
            }
        }
    }

    /// Whether `member` is in the set. Cost: O(log n) among integers, O(n) while packed, O(1) in the table.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.form {
            Form::Integers(integers) => {
                number::parse_i64(member).is_some_and(|integer| integers.contains(integer))
            }
            Form::Small(packed) => find(packed.view(), member).is_some(),
            Form::Large(table) => table.find(member).is_some(),
        }
    }

    /// The same for a member of another set.
    #[must_use]
    pub fn has(&self, member: Member<'_>) -> bool {
        match (&self.form, member) {
            (Form::Integers(integers), Member::Integer(integer)) => integers.contains(integer),
            _ => member.with_bytes(|bytes| self.contains(bytes)),
        }
    }

    /// All members: ascending if they are integers, in the order they were added while packed.
    #[must_use]
    pub fn iter(&self) -> Members<'_> {
        Members(match &self.form {
            Form::Integers(integers) => Walk::Integers(integers, 0..integers.len()),
            Form::Small(packed) => Walk::Small(packed.view().iter()),
            Form::Large(table) => Walk::Large(table, 0..table.len()),
        })
    }

    /// Member `index`, which is below [`Set::len`], in the order of [`Set::iter`]. Cost: O(1), O(n) while packed.
    #[must_use]
    pub fn at(&self, index: usize) -> Member<'_> {
        match &self.form {
            Form::Integers(integers) => Member::Integer(integers.get(index)),
            Form::Small(packed) => {
                let packed = packed.view();
                packed.get(packed.spot(index).expect("an index below len")).into()
            }
            Form::Large(table) => Member::Bytes(table.row(index)),
        }
    }

    /// The members at `indices`, each below [`Set::len`]. Cost: O(1) for each, while packed O(n) for all.
    #[must_use]
    pub fn pick(&self, indices: &[usize]) -> Vec<Member<'_>> {
        match &self.form {
            Form::Small(_) => {
                let all = self.iter().collect::<Vec<_>>();
                indices.iter().map(|&index| all[index]).collect()
            }
            _ => indices.iter().map(|&index| self.at(index)).collect(),
        }
    }

    /// About `count` members from `cursor` on, and where to go on; 0 begins, and 0 says it is over. The small forms give
    /// everything at once, as in Redis.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = Member<'_>>) {
        let (cursor, large, small) = match &self.form {
            Form::Large(table) => {
                let (cursor, rows) = table.scan(cursor, count);
                (cursor, Some(rows), None)
            }
            Form::Integers(_) | Form::Small(_) => (0, None, Some(self.iter())),
        };
        let large = large.into_iter().flatten().map(Member::Bytes);
        (cursor, large.chain(small.into_iter().flatten()))
    }

    /// Makes ready for `count` members to be added, the first of them `first`: chooses the form of an empty set, and
    /// goes over to the table now if so many would not fit, even if not all of them turn out to be new (as in Redis).
    pub fn prepare(&mut self, first: &[u8], count: usize, limits: SetLimits) {
        if self.is_empty() {
            let is_integer = number::parse_i64(first).is_some() && count <= limits.integers_max;
            *self = if is_integer { Set::default() } else { Set::packed() };
        }
        let is_full = match &self.form {
            Form::Integers(_) => count > limits.integers_max,
            Form::Small(_) => count > limits.entries_max,
            Form::Large(_) => false,
        };
        if is_full {
            self.enlarge();
        }
    }

    /// Adds `member`; `false` if it was there.
    pub fn insert(&mut self, member: &[u8], limits: SetLimits) -> bool {
        match &mut self.form {
            Form::Integers(integers) => {
                if let Some(integer) = number::parse_i64(member) {
                    let is_new = integers.insert(integer);
                    if integers.len() > limits.integers_max {
                        self.enlarge();
                    }
                    return is_new;
                }
                self.leave_integers(member.len(), limits);
                self.insert(member, limits)
            }
            Form::Small(packed) => {
                if find(packed.view(), member).is_some() {
                    return false;
                }
                if packed.len() < limits.entries_max && member.len() <= limits.value_len_max {
                    packed.push(&[Element::of(member)]);
                    return true;
                }
                self.enlarge();
                self.insert(member, limits)
            }
            Form::Large(table) => table.push(member, &[member]).is_ok(),
        }
    }

    /// Removes `member`; `false` if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.form {
            Form::Integers(integers) => {
                number::parse_i64(member).is_some_and(|integer| integers.remove(integer))
            }
            Form::Small(packed) => {
                let found = find(packed.view(), member);
                if let Some(spot) = found {
                    packed.remove(spot, 1);
                }
                found.is_some()
            }
            Form::Large(table) => table.remove(member),
        }
    }

    /// Takes out member `index`, which is below [`Set::len`]. Cost: O(1) in the table.
    pub fn take(&mut self, index: usize) -> Vec<u8> {
        if let Form::Small(packed) = &mut self.form {
            let elements = packed.view();
            let spot = elements.spot(index).expect("an index below len");
            let member = elements.get(spot).text().to_vec();
            packed.remove(spot, 1);
            return member;
        }
        let member = self.at(index).to_vec();
        self.remove_all(&[index]);
        member
    }

    /// Removes the members at `indices`, which exist and ascend. Cost: O(1) for each in the table.
    pub fn remove_all(&mut self, indices: &[usize]) {
        match &mut self.form {
            Form::Integers(integers) => integers.remove_all(indices),
            Form::Small(packed) => {
                let mut removed = indices.iter().copied().peekable();
                let mut index = 0;
                packed.retain(|_| {
                    let is_kept = removed.next_if_eq(&index).is_none();
                    index += 1;
                    is_kept
                });
            }
            Form::Large(table) => indices.iter().rev().for_each(|&index| table.swap_remove(index)),
        }
    }

    /// Goes back from the table to the packed form, if it fits.
    pub fn repack(&mut self, limits: SetLimits) {
        if let Form::Large(_) = self.form {
            let mut packed = Set::packed();
            for member in self.iter() {
                member.with_bytes(|bytes| packed.insert(bytes, limits));
            }
            *self = packed;
        }
    }

    /// Hands out commands that make this set under `key`.
    pub fn rebuild(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let mut batches = Batches::new(&[b"SADD", key], emit);
        self.iter().for_each(|member| member.with_bytes(|bytes| batches.push(&[bytes])));
        batches.finish();
    }

    /// Leaves the form of integers, for a member that is none and has `len` bytes.
    fn leave_integers(&mut self, len: usize, limits: SetLimits) {
        let Form::Integers(integers) = &self.form else { return };
        let ends = [0, integers.len().saturating_sub(1)];
        let ends = ends.iter().filter(|_| !integers.is_empty()).map(|&end| integers.get(end));
        let digits_len = ends.map(|integer| itoa::Buffer::new().format(integer).len()).max();
        let len_max = len.max(digits_len.unwrap_or(0));
        if integers.len() < limits.entries_max && len_max <= limits.value_len_max {
            let mut packed = Packed::default();
            integers.iter().for_each(|integer| packed.push(&[Element::Integer(integer)]));
            self.form = Form::Small(packed);
        } else {
            self.enlarge();
        }
    }

    /// Goes over to the table.
    fn enlarge(&mut self) {
        let mut table = Box::<PagedTable<Whole>>::default();
        for member in self.iter() {
            let is_new = member.with_bytes(|bytes| table.push(bytes, &[bytes]).is_ok());
            debug_assert!(is_new, "a set has each member once");
        }
        self.form = Form::Large(table);
    }
}

/// Members of a [`Set`].
#[derive(Clone, Debug)]
pub struct Members<'a>(Walk<'a>);

#[derive(Clone, Debug)]
enum Walk<'a> {
    Integers(&'a IntSet, Range<usize>),
    Small(packed::Iter<'a>),
    Large(&'a PagedTable<Whole>, Range<usize>),
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match &mut self.0 {
            Walk::Integers(integers, range) => {
                range.next().map(|index| Member::Integer(integers.get(index)))
            }
            Walk::Small(elements) => elements.next().map(Member::from),
            Walk::Large(table, range) => range.next().map(|index| Member::Bytes(table.row(index))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Small(elements) => elements.size_hint(),
            Walk::Integers(_, range) | Walk::Large(_, range) => range.size_hint(),
        }
    }
}

/// Where `member` begins.
fn find(packed: PackedRef<'_>, member: &[u8]) -> Option<Spot> {
    packed.find(Element::of(member), 1)
}

/// The same members, in whatever order and form.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.has(member))
    }
}

#[cfg(test)]
mod tests;
