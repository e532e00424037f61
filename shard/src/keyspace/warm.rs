//! Touching ahead: what the next commands of a pipeline are likely to read is loaded before the first of them runs, so
//! that their cache misses overlap instead of following each other.
//!
//! Path: `server::connection::ahead` -> [`Database::warm`] -> `table`, and `types::paged_table` for the elements of
//! large collections. Changes nothing and promises nothing.
//! Short loops, each of which loads what the one before has found out: the processor runs several rounds of each at
//! once. Measured with `make bench` and `make bench-types`: docs/benchmarking.md.

use super::Database;
use super::table::{Candidate, KeyHash};
use crate::types::hash_index;
use crate::types::paged_table::Touch;
use crate::value::Value;
use smallvec::SmallVec;

/// Most commands that [`Database::warm`] looks at.
pub const WARM_MAX: usize = 16;
/// Rows from which on the elements of a collection are looked at: a smaller one stays in the cache by itself, and to look
/// costs more than it saves.
const ROWS_MIN: usize = 32 << 10;

/// What a command is likely to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Likely<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// An element of the collection under that key; empty if the command names none.
    pub element: &'a [u8],
}

impl<'a> Likely<'a> {
    /// A key of which nobody knows more.
    #[must_use]
    pub fn key(key: &'a [u8]) -> Self {
        Likely { key, element: &[] }
    }
}

/// A lookup that is going to come: of what hash, in which table.
struct Lookup<'a> {
    table: Touch<'a>,
    hash: u64,
}

impl Database {
    /// Touches what commands on `likely` are going to touch, at most [`WARM_MAX`] of them.
    pub fn warm<'k>(&self, likely: impl Iterator<Item = Likely<'k>>) {
        let mut hashes = SmallVec::<[KeyHash; WARM_MAX]>::new();
        // Elements, each with the place of its key among the hashes.
        let mut elements = SmallVec::<[(usize, &[u8]); WARM_MAX]>::new();
        let mut last_key = [].as_slice();
        for Likely { key, element } in likely.take(WARM_MAX) {
            if hashes.is_empty() || key != last_key {
                hashes.push(self.table.hash(key));
                last_key = key;
            }
            if !element.is_empty() {
                elements.push((hashes.len() - 1, element));
            }
        }
        // A processor looks only some hundred instructions ahead: what loads is kept apart from what computes.
        let index_bytes: SmallVec<[&u8; WARM_MAX]> =
            hashes.iter().filter_map(|hash| self.table.index_byte(*hash)).collect();
        let mut touched = sum(index_bytes.into_iter());
        let candidates: SmallVec<[Candidate<'_>; WARM_MAX]> =
            hashes.iter().map(|hash| self.table.candidate(*hash)).collect();
        for candidate in &candidates {
            touched = touched.wrapping_add(self.table.touch(*candidate));
        }
        let mut lookups = SmallVec::<[Lookup<'_>; WARM_MAX]>::new();
        for (at, element) in elements {
            let value = self.table.outside_value(hashes[at], candidates[at]);
            if let Some(table) = value.and_then(Value::table)
                && table.row_count() >= ROWS_MIN
            {
                lookups.push(Lookup { table, hash: hash_index::hash(element) });
            }
        }
        if !lookups.is_empty() {
            touched = touched.wrapping_add(warm_elements(&lookups));
        }
        std::hint::black_box(touched);
    }
}

/// Loads bytes of different cache lines; the number means nothing.
fn sum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

/// Touches what the lookups are going to touch; the number means nothing.
fn warm_elements(lookups: &[Lookup<'_>]) -> u64 {
    let index = lookups.iter().map(|lookup| lookup.table.index(lookup.hash));
    let mut touched = index.fold(0, u64::wrapping_add);
    let mut rows = SmallVec::<[(Touch<'_>, usize); WARM_MAX]>::new();
    for Lookup { table, hash } in lookups {
        if let Some(row) = table.candidate(*hash) {
            touched = touched.wrapping_add(table.page(row));
            rows.push((*table, row));
        }
    }
    let rows = rows.into_iter().map(|(table, row)| table.row(row));
    rows.fold(touched, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::tests::Rig;

    #[test]
    fn warming_finds_nothing_wrong_with_any_value_and_changes_nothing() {
        let mut rig = Rig::new();
        rig.run("SET text value");
        rig.run("RPUSH list a b");
        rig.run("HSET small f v");
        for start in (0..ROWS_MIN + 1000).step_by(1000) {
            let all = |one: fn(usize) -> String| {
                (start..start + 1000).map(one).collect::<Vec<_>>().join(" ")
            };
            rig.run(&format!("SADD set {}", all(|number| format!("m{number}"))));
            rig.run(&format!("HSET hash {}", all(|number| format!("m{number} v"))));
            rig.run(&format!("ZADD zset {}", all(|number| format!("{number} m{number}"))));
        }
        let database = rig.shard.keyspace().database(0);
        let version = database.version();
        let keys = ["none", "text", "list", "small", "set", "set", "hash", "zset"];
        for element in ["", "m7", "m999", "none", "a longer element than there is any"] {
            let likely =
                keys.iter().map(|key| Likely { key: key.as_bytes(), element: element.as_bytes() });
            database.warm(likely.clone());
            database.warm(likely.cycle().take(3 * WARM_MAX));
        }
        database.warm(std::iter::empty());
        assert_eq!(database.version(), version);
    }

    #[test]
    fn a_large_collection_is_found_by_its_candidate() {
        let mut rig = Rig::new();
        for number in 0..1000 {
            rig.run(&format!("SADD set m{number}"));
        }
        let database = rig.shard.keyspace().database(0);
        let hash = database.table.hash(b"set");
        let value = database.table.outside_value(hash, database.table.candidate(hash));
        let table = value.and_then(Value::table).expect("a set of 1000 members is large");
        for number in 0..1000 {
            let member = format!("m{number}");
            assert!(table.candidate(hash_index::hash(member.as_bytes())).is_some(), "{member}");
        }
    }
}
