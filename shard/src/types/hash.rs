//! Hashes: fields with values. Packed while small, a table beyond the thresholds.
//!
//! Path: `commands::hash` -> here -> `types::packed` or `types::dense_table`.
//! Small form: a packed run of field, value, field, value, … in the order the fields were added (`listpack`).
//! Large form: one allocation per pair, found through a table (`hashtable`). A hash never goes back to the small form.
//! Source: thresholds and names as in Redis 7.2 (`hash-max-listpack-entries`, `hash-max-listpack-value`).

use crate::memory::block_size;
use crate::options::Options;
use crate::types::dense_table::{DenseTable, Keyed};
use crate::types::packed::{self, Packed, Spot};
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

/// A hash.
#[derive(Clone, Debug)]
pub struct Hash {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Small(Packed),
    Large(Large),
}

#[derive(Clone, Debug, Default)]
struct Large {
    pairs: DenseTable<Pair>,
    /// Bytes of heap of all pairs.
    pair_bytes: usize,
}

impl Large {
    fn push(&mut self, pair: Pair) {
        self.pair_bytes += pair.heap_size();
        self.pairs.push(pair);
    }

    fn set_value(&mut self, index: usize, value: &[u8]) {
        let pair = self.pairs.entry_mut(index);
        self.pair_bytes -= pair.heap_size();
        pair.set_value(value);
        self.pair_bytes += pair.heap_size();
    }

    fn remove(&mut self, index: usize) {
        self.pair_bytes -= self.pairs.swap_remove(index).heap_size();
    }
}

/// A field and its value, one behind the other in one allocation.
#[derive(Clone, Debug)]
struct Pair {
    bytes: Box<[u8]>,
    field_len: u32,
}

impl Pair {
    fn new(field: &[u8], value: &[u8]) -> Self {
        let field_len = u32::try_from(field.len()).expect("an argument is smaller than 4 GiB");
        Pair { bytes: [field, value].concat().into_boxed_slice(), field_len }
    }

    fn field(&self) -> &[u8] {
        &self.bytes[..self.field_len as usize]
    }

    fn value(&self) -> &[u8] {
        &self.bytes[self.field_len as usize..]
    }

    fn heap_size(&self) -> usize {
        block_size(self.bytes.len())
    }

    fn set_value(&mut self, value: &[u8]) {
        if value.len() == self.value().len() {
            self.bytes[self.field_len as usize..].copy_from_slice(value);
        } else {
            *self = Pair::new(self.field(), value);
        }
    }
}

impl Keyed for Pair {
    fn key(&self) -> &[u8] {
        self.field()
    }
}

impl Default for Hash {
    fn default() -> Self {
        Hash { form: Form::Small(Packed::default()) }
    }
}

impl Hash {
    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.len() / 2,
            Form::Large(large) => large.pairs.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name OBJECT ENCODING prints.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Small(_) => "listpack",
            Form::Large(_) => "hashtable",
        }
    }

    /// Bytes of heap this holds, as the allocator counts them. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.form {
            Form::Small(packed) => packed.heap_size(),
            Form::Large(large) => large.pairs.heap_size() + large.pair_bytes,
        }
    }

    /// The value of `field`.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match &self.form {
            Form::Small(packed) => find(packed, field).map(|spot| packed.get(packed.after(spot))),
            Form::Large(Large { pairs, .. }) => {
                pairs.find(field).map(|index| pairs.entries()[index].value())
            }
        }
    }

    /// All fields with their values: in the order they were added while the form is small.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        match &self.form {
            Form::Small(packed) => pairs(packed.iter(), &[]),
            Form::Large(large) => pairs(packed::Iter::default(), large.pairs.entries()),
        }
    }

    /// Field `index`, which is below [`Hash::len`], in the order of [`Hash::iter`]. Cost: O(1) in the large form.
    #[must_use]
    pub fn at(&self, index: usize) -> (&[u8], &[u8]) {
        match &self.form {
            Form::Small(packed) => {
                let spot = packed.spot(2 * index).expect("an index below len");
                (packed.get(spot), packed.get(packed.after(spot)))
            }
            Form::Large(large) => {
                let pair = &large.pairs.entries()[index];
                (pair.field(), pair.value())
            }
        }
    }

    /// The fields at `indices`, each below [`Hash::len`]. Cost: O(1) for each, in the small form O(n) for all.
    #[must_use]
    pub fn pick(&self, indices: &[usize]) -> Vec<(&[u8], &[u8])> {
        match &self.form {
            Form::Small(_) => {
                let all = self.iter().collect::<Vec<_>>();
                indices.iter().map(|&index| all[index]).collect()
            }
            Form::Large(_) => indices.iter().map(|&index| self.at(index)).collect(),
        }
    }

    /// About `count` fields from `cursor` on, and where to go on; 0 begins, and 0 says it is over. The small form
    /// gives everything at once, as in Redis.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, impl Iterator<Item = (&[u8], &[u8])>) {
        match &self.form {
            Form::Small(packed) => (0, pairs(packed.iter(), &[])),
            Form::Large(large) => {
                let (cursor, entries) = large.pairs.scan(cursor, count);
                (cursor, pairs(packed::Iter::default(), entries))
            }
        }
    }

    /// Makes ready for `count` fields to be set, the longest of their texts `len_max` bytes long: goes over to the
    /// large form now if they would not fit the small one, even if not all of them turn out to be new (as in Redis).
    pub fn prepare(&mut self, count: usize, len_max: usize, limits: HashLimits) {
        if count > limits.entries_max {
            self.enlarge(count);
        } else if len_max > limits.value_len_max {
            self.enlarge(0);
        }
    }

    /// Sets `field` to `value`; `true` if it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: HashLimits) -> bool {
        if field.len().max(value.len()) > limits.value_len_max {
            self.enlarge(0);
        }
        match &mut self.form {
            Form::Small(packed) => {
                if let Some(spot) = find(packed, field) {
                    packed.replace(packed.after(spot), &[value]);
                    return false;
                }
                packed.push(field);
                packed.push(value);
                if self.len() > limits.entries_max {
                    self.enlarge(0);
                }
                true
            }
            Form::Large(large) => {
                let found = large.pairs.find(field);
                match found {
                    Some(index) => large.set_value(index, value),
                    None => large.push(Pair::new(field, value)),
                }
                found.is_none()
            }
        }
    }

    /// Removes `field`; `false` if there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.form {
            Form::Small(packed) => {
                let found = find(packed, field);
                if let Some(spot) = found {
                    packed.remove(spot, 2);
                }
                found.is_some()
            }
            Form::Large(large) => {
                let found = large.pairs.find(field);
                if let Some(index) = found {
                    large.remove(index);
                }
                found.is_some()
            }
        }
    }

    /// Drops about `budget` fields of a hash that nobody needs any more; says whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.form {
            Form::Small(_) => false,
            Form::Large(large) => {
                let len = large.pairs.len();
                (len.saturating_sub(budget)..len).rev().for_each(|index| large.remove(index));
                !large.pairs.is_empty()
            }
        }
    }

    /// Hands out commands that make this hash under `key`.
    pub fn rebuild(&self, key: &[u8], emit: &mut dyn FnMut(ArgvBuf)) {
        let mut batches = Batches::new(&[b"HSET", key], emit);
        for (field, value) in self.iter() {
            batches.push(&[field, value]);
        }
        batches.finish();
    }

    /// Goes over to the large form, with room for `extra` fields more.
    fn enlarge(&mut self, extra: usize) {
        if let Form::Small(_) = self.form {
            let pairs = DenseTable::with_capacity(self.len() + extra);
            let mut large = Large { pairs, pair_bytes: 0 };
            self.iter().for_each(|(field, value)| large.push(Pair::new(field, value)));
            self.form = Form::Large(large);
        }
    }
}

/// The pairs of either form; the other one is empty.
fn pairs<'a>(
    mut small: packed::Iter<'a>,
    large: &'a [Pair],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let small = std::iter::from_fn(move || Some((small.next()?, small.next()?)));
    small.chain(large.iter().map(|pair| (pair.field(), pair.value())))
}

/// Where `field` begins.
fn find(packed: &Packed, field: &[u8]) -> Option<Spot> {
    let mut fields = packed.spots().step_by(2);
    fields.find(|(_, text)| *text == field).map(|(spot, _)| spot)
}

/// The same fields with the same values, in whatever order and form.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|(field, value)| other.get(field) == Some(value))
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

    #[test]
    fn it_grows_into_a_table_past_either_threshold() {
        let mut hash = hash(&[("1", ""), ("2", ""), ("3", ""), ("4", "")]);
        for field in [b"5", b"6", b"7", b"8"] {
            hash.set(field, b"1234", LIMITS);
        }
        assert_eq!(hash.encoding(), "listpack");
        let mut many = hash.clone();
        many.set(b"9", b"", LIMITS);
        assert_eq!(many.encoding(), "hashtable");
        many.remove(b"9");
        assert_eq!(many.encoding(), "hashtable");
        assert_eq!(many, hash);
        hash.set(b"8", b"12345", LIMITS);
        assert_eq!(hash.encoding(), "hashtable");
        assert_eq!(hash.get(b"8"), Some(b"12345".as_slice()));
        assert_ne!(many, hash);
    }

    #[test]
    fn it_makes_ready_for_many_fields_at_once() {
        let mut hash = Hash::default();
        hash.prepare(8, 4, LIMITS);
        assert_eq!(hash.encoding(), "listpack");
        let mut many = hash.clone();
        many.prepare(9, 1, LIMITS);
        assert_eq!(many.encoding(), "hashtable");
        hash.prepare(1, 5, LIMITS);
        assert_eq!(hash.encoding(), "hashtable");
    }

    #[test]
    fn the_small_form_keeps_the_order_of_fields() {
        let mut hash = hash(&[("b", "1"), ("a", "2"), ("c", "3")]);
        hash.set(b"b", b"4", LIMITS);
        hash.remove(b"a");
        hash.set(b"a", b"5", LIMITS);
        let fields = hash.iter().map(|(field, _)| field).collect::<Vec<_>>();
        assert_eq!(fields, [b"b", b"c", b"a"]);
        assert_eq!(hash.at(2), (b"a".as_slice(), b"5".as_slice()));
    }

    #[test]
    fn it_is_rebuilt_in_batches() {
        let mut hash = Hash::default();
        for number in 0..150 {
            hash.set(format!("f{number}").as_bytes(), b"v", LIMITS);
        }
        let mut commands = Vec::new();
        hash.rebuild(b"key", &mut |command| commands.push(command));
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
        Hash::default().rebuild(b"key", &mut |_| panic!("an empty hash has no members"));
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
                let field = rng.below(30).to_string().into_bytes();
                let value = vec![b'v'; rng.below(if round % 2 == 0 { 6 } else { 8 })];
                if rng.below(3) > 0 {
                    let is_new = hash.set(&field, &value, limits);
                    assert_eq!(is_new, model.insert(field, value).is_none(), "step {step}");
                } else {
                    assert_eq!(hash.remove(&field), model.remove(&field).is_some(), "step {step}");
                }
                assert_eq!(hash.len(), model.len());
            }
            let mut pairs = hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect::<Vec<_>>();
            let at = (0..hash.len()).map(|i| hash.at(i)).map(|(f, v)| (f.to_vec(), v.to_vec()));
            assert_eq!(at.collect::<Vec<_>>(), pairs);
            pairs.sort();
            assert_eq!(pairs, model.into_iter().collect::<Vec<_>>(), "round {round}");
        }
    }
}
