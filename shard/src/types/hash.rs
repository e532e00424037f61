//! Hashes: fields with values. Packed while small, a table beyond the thresholds.
//!
//! Path: `commands::hash` -> here -> `types::packed` or `types::paged_table`.
//! Small form: a packed run of field, value, field, value, … in the order the fields were added (`listpack`).
//! Large form: rows of a table, many of them in one allocation (`hashtable`). A hash never goes back to the small form.
//! Source: thresholds and names as in Redis 7.2 (`hash-max-listpack-entries`, `hash-max-listpack-value`).

use crate::memory::block_size;
use crate::options::Options;
use crate::types::element::{Element, Text};
use crate::types::packed::{self, Packed, PackedMut, PackedRef, Spot};
use crate::types::paged_table::{Layout, PagedTable, Touch};
use crate::types::rebuild::Batches;
use protocol::request::ArgvBuf;

/// How large the small form may get.
#[derive(Clone, Copy, Debug)]
pub struct HashLimits {
    /// Most fields (`hash-max-listpack-entries`).
    pub entries_max: usize,
    /// Longest field or value in bytes (`hash-max-listpack-value`).
    pub value_len_max: usize,
}

impl From<&Options> for HashLimits {
    fn from(options: &Options) -> Self {
        HashLimits {
            entries_max: options.hash_max_listpack_entries,
            value_len_max: options.hash_max_listpack_value,
        }
    }
}

impl HashLimits {
    /// Whether setting `count` fields, the longest of their texts `len_max` bytes long, makes a hash large: even if not
    /// all of them turn out to be new (as in Redis).
    #[must_use]
    pub fn are_exceeded_by(self, count: usize, len_max: usize) -> bool {
        count > self.entries_max || len_max > self.value_len_max
    }

    fn is_too_long(self, field: &[u8], value: &[u8]) -> bool {
        field.len().max(value.len()) > self.value_len_max
    }
}

/// A hash.
#[derive(Clone, Debug)]
pub struct Hash {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Small(Packed),
    /// In a box, because most hashes are small.
    Large(Box<PagedTable<Pair>>),
}

/// A hash, to read: a [`Hash`], or one whose small form lies elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct HashRef<'a> {
    form: FormRef<'a>,
}

#[derive(Clone, Copy, Debug)]
enum FormRef<'a> {
    Small(PackedRef<'a>),
    Large(&'a PagedTable<Pair>),
}

/// Rows of a field and its value: `[field length][field][value]`. A length below 255 takes one byte; a longer one five:
/// 255 and the length as `u32` le.
#[derive(Debug)]
struct Pair;

/// Field lengths below this take one byte.
const LONG_LEN: u8 = 255;

impl Layout for Pair {
    fn key(row: &[u8]) -> &[u8] {
        split(row).0
    }
}

/// Hands the beginning of a row to `write`: the length of `field` as it stands there.
fn with_len<T>(field: &[u8], write: impl FnOnce(&[u8]) -> T) -> T {
    match u8::try_from(field.len()) {
        Ok(short) if short < LONG_LEN => write(&[short]),
        _ => {
            let len = u32::try_from(field.len()).expect("an argument is smaller than 4 GiB");
            let [a, b, c, d] = len.to_le_bytes();
            write(&[LONG_LEN, a, b, c, d])
        }
    }
}

/// The field and the value of a row.
fn split(row: &[u8]) -> (&[u8], &[u8]) {
    let (&short, rest) = row.split_first().expect("a row begins with a length");
    if short < LONG_LEN {
        return rest.split_at(usize::from(short));
    }
    let (len, rest) = rest.split_first_chunk::<4>().expect("a long length has four bytes");
    rest.split_at(u32::from_le_bytes(*len) as usize)
}

/// The same, as elements; those of a row are text, also where it is that of a number.
fn elements(row: &[u8]) -> (Element<'_>, Element<'_>) {
    let (field, value) = split(row);
    (Element::Text(field), Element::Text(value))
}

impl Default for Hash {
    fn default() -> Self {
        Hash { form: Form::Small(Packed::default()) }
    }
}

impl<'a> HashRef<'a> {
    /// The hash whose small form has these elements.
    #[must_use]
    #[inline]
    pub fn from_packed(packed: PackedRef<'a>) -> Self {
        HashRef { form: FormRef::Small(packed) }
    }

    /// The elements of the small form.
    #[must_use]
    pub fn packed(self) -> Option<PackedRef<'a>> {
        match self.form {
            FormRef::Small(packed) => Some(packed),
            FormRef::Large(_) => None,
        }
    }

    /// A copy that can be changed.
    #[must_use]
    pub fn to_hash(self) -> Hash {
        let form = match self.form {
            FormRef::Small(packed) => Form::Small(packed.to_packed()),
            FormRef::Large(table) => Form::Large(Box::new(table.clone())),
        };
        Hash { form }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(self) -> usize {
        match self.form {
            FormRef::Small(packed) => packed.len() / 2,
            FormRef::Large(table) => table.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The name OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        match self.form {
            FormRef::Small(_) => "listpack",
            FormRef::Large(_) => "hashtable",
        }
    }

    /// The value of `field`.
    #[must_use]
    pub fn get(self, field: &[u8]) -> Option<Text<'a>> {
        match self.form {
            FormRef::Small(packed) => {
                find(packed, field).map(|spot| packed.get(packed.after(spot)).text())
            }
            FormRef::Large(table) => {
                table.find(field).map(|index| Text::Stored(split(table.row(index)).1))
            }
        }
    }

    /// All fields with their values: in the order they were added while the form is small.
    pub fn iter(self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> {
        let (small, large) = match self.form {
            FormRef::Small(packed) => (packed.iter(), None),
            FormRef::Large(table) => (packed::Iter::default(), Some(table.rows())),
        };
        pairs(small, large.into_iter().flatten())
    }

    /// Field `index`, which is below [`HashRef::len`], in the order of [`HashRef::iter`]. Cost: O(1) in the large form.
    #[must_use]
    pub fn at(self, index: usize) -> (Element<'a>, Element<'a>) {
        match self.form {
            FormRef::Small(packed) => {
                let spot = packed.spot(2 * index).expect("an index below len");
                (packed.get(spot), packed.get(packed.after(spot)))
            }
            FormRef::Large(table) => elements(table.row(index)),
        }
    }

    /// The fields at `indices`, each below [`HashRef::len`]. Cost: O(1) for each, in the small form O(n) for all.
    #[must_use]
    pub fn pick(self, indices: &[usize]) -> Vec<(Element<'a>, Element<'a>)> {
        match self.form {
            FormRef::Small(_) => {
                let all = self.iter().collect::<Vec<_>>();
                indices.iter().map(|&index| all[index]).collect()
            }
            FormRef::Large(_) => indices.iter().map(|&index| self.at(index)).collect(),
        }
    }

    /// About `count` fields from `cursor` on, and where to go on; 0 begins, and 0 says it is over. The small form
    /// gives everything at once, as in Redis.
    pub fn scan(
        self,
        cursor: u64,
        count: usize,
    ) -> (u64, impl Iterator<Item = (Element<'a>, Element<'a>)>) {
        let (cursor, small, large) = match self.form {
            FormRef::Small(packed) => (0, packed.iter(), None),
            FormRef::Large(table) => {
                let (cursor, rows) = table.scan(cursor, count);
                (cursor, packed::Iter::default(), Some(rows))
            }
        };
        (cursor, pairs(small, large.into_iter().flatten()))
    }

    /// Hands out commands that make this hash under `key`.
    pub fn rebuild(self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let mut batches = Batches::new(&[b"HSET", key], emit);
        for (field, value) in self.iter() {
            batches.push(&[&field.text(), &value.text()]);
        }
        batches.finish();
    }
}

impl Hash {
    /// It, to read.
    #[must_use]
    #[inline]
    pub fn view(&self) -> HashRef<'_> {
        let form = match &self.form {
            Form::Small(packed) => FormRef::Small(packed.view()),
            Form::Large(table) => FormRef::Large(table),
        };
        HashRef { form }
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// The table of the large form, to touch what a lookup is going to read.
    #[must_use]
    pub fn table(&self) -> Option<Touch<'_>> {
        match &self.form {
            Form::Large(table) => Some(table.touch()),
            Form::Small(_) => None,
        }
    }

    /// Bytes of heap this holds. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.heap_size(),
            Form::Large(table) => block_size(size_of::<PagedTable<Pair>>()) + table.heap_size(),
        }
    }

    /// Drops about `budget` fields, without regard to order; the hash must not be used any more but to go on so. Says
    /// whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.form {
            Form::Large(table) => table.free_some(budget),
            Form::Small(_) => {
                *self = Hash::default();
                false
            }
        }
    }

    /// Sets `field` to `value`; `true` if it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: HashLimits) -> bool {
        if limits.is_too_long(field, value) {
            self.enlarge();
        }
        match &mut self.form {
            Form::Small(packed) => {
                if let Some(spot) = find(packed.view(), field) {
                    packed.replace(packed.view().after(spot), Element::of(value));
                    return false;
                }
                packed.push(&[Element::of(field), Element::of(value)]);
                if self.len() > limits.entries_max {
                    self.enlarge();
                }
                true
            }
            Form::Large(table) => {
                let added = with_len(field, |len| table.push(field, &[len, field, value]));
                if let Err(index) = added {
                    let kept_len = table.row(index).len() - split(table.row(index)).1.len();
                    table.replace_tail(index, kept_len, &[value]);
                }
                added.is_ok()
            }
        }
    }

    /// Removes `field`; `false` if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.form {
            Form::Small(packed) => {
                let found = find(packed.view(), field);
                if let Some(spot) = found {
                    packed.remove(spot, 2);
                }
                found.is_some()
            }
            Form::Large(table) => table.remove(field),
        }
    }

    /// Goes over to the large form, which it keeps.
    pub fn enlarge(&mut self) {
        if let Form::Small(packed) = &self.form {
            let mut table = Box::<PagedTable<Pair>>::default();
            for (field, value) in HashRef::from_packed(packed.view()).iter() {
                let (field, value) = (field.text(), value.text());
                let added = with_len(&field, |len| table.push(&field, &[len, &field, &value]));
                debug_assert!(added.is_ok(), "a hash has each field once");
            }
            self.form = Form::Large(table);
        }
    }
}

/// Sets `field` to `value` in the small form without moving anything. Says whether that could be done: the field is there,
/// the new value takes as many bytes as the old one, and keeps to the limits. Otherwise nothing has happened.
pub fn overwrite(
    packed: &mut PackedMut<'_>,
    field: &[u8],
    value: &[u8],
    limits: HashLimits,
) -> bool {
    if limits.is_too_long(field, value) {
        return false;
    }
    let run = packed.view();
    match find(run, field).map(|spot| run.after(spot)) {
        Some(spot) => packed.replace(spot, Element::of(value)),
        None => false,
    }
}

/// The pairs of either form; the other one is empty.
fn pairs<'a>(
    mut small: packed::Iter<'a>,
    large: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (Element<'a>, Element<'a>)> {
    let small = std::iter::from_fn(move || Some((small.next()?, small.next()?)));
    small.chain(large.map(elements))
}

/// Where `field` begins.
#[inline]
fn find(packed: PackedRef<'_>, field: &[u8]) -> Option<Spot> {
    packed.find(Element::of(field), 2)
}

/// The same fields with the same values, in whatever order and form.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        let (all, other) = (self.view(), other.view());
        all.len() == other.len()
            && all.iter().all(|(field, value)| other.get(&field.text()) == Some(value.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    const LIMITS: HashLimits = HashLimits { entries_max: 8, value_len_max: 4 };

    fn hash(pairs: &[(&str, &str)]) -> Hash {
        let mut hash = Hash::default();
        for (field, value) in pairs {
            hash.set(field.as_bytes(), value.as_bytes(), LIMITS);
        }
        hash
    }

    fn text_of((field, value): (Element<'_>, Element<'_>)) -> [Vec<u8>; 2] {
        [field, value].map(|element| element.text().to_vec())
    }

    #[test]
    fn it_grows_into_a_table_past_either_threshold() {
        let mut hash = hash(&[("1", ""), ("2", ""), ("3", ""), ("4", "")]);
        for field in [b"5", b"6", b"7", b"8"] {
            hash.set(field, b"1234", LIMITS);
        }
        assert_eq!(hash.view().encoding(), "listpack");
        let mut many = hash.clone();
        many.set(b"9", b"", LIMITS);
        assert_eq!(many.view().encoding(), "hashtable");
        many.remove(b"9");
        assert_eq!(many.view().encoding(), "hashtable");
        assert_eq!(many, hash);
        hash.set(b"8", b"12345", LIMITS);
        assert_eq!(hash.view().encoding(), "hashtable");
        assert_eq!(hash.view().get(b"8"), Some(Text::Stored(b"12345")));
        assert_ne!(many, hash);
    }

    #[test]
    fn many_fields_at_once_or_a_long_one_make_it_large() {
        for (count, len_max, is_exceeded) in [(8, 4, false), (9, 1, true), (1, 5, true)] {
            assert_eq!(LIMITS.are_exceeded_by(count, len_max), is_exceeded);
        }
        let mut large = hash(&[("a", "1"), ("b", "x")]);
        large.enlarge();
        assert_eq!(large.view().encoding(), "hashtable");
        assert_eq!(large, hash(&[("b", "x"), ("a", "1")]));
    }

    #[test]
    fn a_value_is_overwritten_by_one_that_takes_as_many_bytes() {
        let mut packed =
            hash(&[("a", "1"), ("b", "xyz"), ("c", "")]).view().packed().unwrap().to_packed();
        let mut set = |field: &str, value: &str| {
            overwrite(&mut packed.view_mut(), field.as_bytes(), value.as_bytes(), LIMITS)
        };
        assert!(set("a", "7") && set("b", "zyx") && set("c", ""));
        assert!(!set("a", "x") && !set("a", "200") && !set("b", "zy") && !set("c", "x"));
        assert!(!set("d", "1") && !set("xyz", "1") && !set("b", "12345"));
        let hash = HashRef::from_packed(packed.view());
        let pairs = hash.iter().map(|pair| text_of(pair).concat());
        assert_eq!(pairs.collect::<Vec<_>>(), [b"a7".as_slice(), b"bzyx", b"c"]);
    }

    #[test]
    fn the_small_form_keeps_the_order_of_fields() {
        let mut hash = hash(&[("b", "1"), ("a", "2"), ("c", "3")]);
        hash.set(b"b", b"4", LIMITS);
        hash.remove(b"a");
        hash.set(b"a", b"5", LIMITS);
        let fields = hash.view().iter().map(|(field, _)| field).collect::<Vec<_>>();
        assert_eq!(fields, [b"b", b"c", b"a"].map(|field| Element::Text(field)));
        assert_eq!(hash.view().at(2), (Element::Text(b"a"), Element::Integer(5)));
    }

    #[test]
    fn it_is_rebuilt_in_batches() {
        let mut hash = Hash::default();
        for number in 0..150 {
            hash.set(format!("f{number}").as_bytes(), b"v", LIMITS);
        }
        let mut commands = Vec::new();
        hash.view().rebuild(b"key", &mut |command| commands.push(command));
        let lens = commands.iter().map(|command| command.as_argv().len()).collect::<Vec<_>>();
        assert_eq!(lens, [2 + 128, 2 + 128, 2 + 44]);
        let mut copy = Hash::default();
        for command in &commands {
            assert_eq!(command.as_argv().get(1), Some(b"key".as_slice()));
            let members = command.as_argv().iter().skip(2).collect::<Vec<_>>();
            for pair in members.chunks(2) {
                copy.set(pair[0], pair[1], LIMITS);
            }
        }
        assert_eq!(copy, hash);
        Hash::default().view().rebuild(b"key", &mut |_| panic!("an empty hash has no members"));
    }

    #[test]
    fn it_does_what_a_map_does() {
        let seed = 0x4a54;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for round in 0..50 {
            let limits = HashLimits { entries_max: rng.below(40), value_len_max: 6 };
            let mut hash = Hash::default();
            let mut model = BTreeMap::new();
            for step in 0..500 {
                let mut field = rng.below(15).to_string().into_bytes();
                if rng.below(2) == 0 {
                    field.extend_from_slice(b".50");
                }
                let value = match rng.below(2) {
                    0 => vec![b'v'; rng.below(if round % 2 == 0 { 6 } else { 8 })],
                    _ => format!("{}.{}", rng.below(300), rng.below(1_000)).into_bytes(),
                };
                if rng.below(3) > 0 {
                    let is_new = hash.set(&field, &value, limits);
                    assert_eq!(is_new, model.insert(field, value).is_none(), "step {step}");
                } else {
                    assert_eq!(hash.remove(&field), model.remove(&field).is_some(), "step {step}");
                }
                assert_eq!(hash.len(), model.len());
            }
            let mut pairs = hash.view().iter().map(text_of).collect::<Vec<_>>();
            let at = (0..hash.len()).map(|index| text_of(hash.view().at(index)));
            assert_eq!(at.collect::<Vec<_>>(), pairs);
            pairs.sort();
            let model = model.into_iter().map(|(field, value)| [field, value]);
            assert_eq!(pairs, model.collect::<Vec<_>>(), "round {round}");
        }
    }
}
