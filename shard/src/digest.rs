//! Digests of values and data sets, for DEBUG DIGEST and DEBUG DIGEST-VALUE: the same 20 bytes as Redis's.
//!
//! Two operations on a digest, from SHA-1: `add` does not depend on the order of what is added, `mix` does.
//! ```text
//! add(digest, bytes) = digest xor SHA1(bytes)
//! mix(digest, bytes) = SHA1(add(digest, bytes))
//! ```
//! A key's digest mixes the key, the number of its type and the value; the data set's adds those of all keys of a
//! database, behind a mix of the database's number. Parts of a database on several shards are joined by xor.

use crate::keyspace::Database;
use crate::keyspace::entry::EntryRef;
use crate::types::stream::StreamId;
use crate::value::{Kind, ValueRef};
use protocol::number::format_f64_shortest;
use sha1::{Digest as _, Sha1};
use std::fmt;

/// What is added for a key that expires, whenever that is.
const EXPIRES: &[u8] = b"!!expire!!";

/// A digest of something; all zero of nothing. Displays as 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    /// Adds something whose place does not matter.
    pub fn add(&mut self, bytes: &[u8]) {
        self.join(Digest(Sha1::digest(bytes).into()));
    }

    /// Adds something whose place matters.
    pub fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Joins the digests of two parts that were made by [`Digest::add`].
    pub fn join(&mut self, other: Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(byte, other)| *byte ^= other);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest of an entry without its key (DEBUG DIGEST-VALUE). Cost: O(size).
#[must_use]
pub fn of_entry(entry: &EntryRef<'_>) -> Digest {
    let mut digest = Digest::default();
    mix_entry(&mut digest, entry);
    digest
}

/// The part of a data set's digest that comes from these keys of one database. Cost: O(size).
#[must_use]
pub fn of_keys(database: &Database) -> Digest {
    let mut all = Digest::default();
    for (key, entry) in database.iter() {
        let mut digest = Digest::default();
        digest.mix(key);
        mix_entry(&mut digest, &entry);
        all.add(&digest.0);
    }
    all
}

/// The digest of a data set from those of its databases, in order; `None` for a database without keys.
#[must_use]
pub fn of_databases(databases: impl IntoIterator<Item = Option<Digest>>) -> Digest {
    let mut all = Digest::default();
    for (index, database) in (0_u32..).zip(databases) {
        if let Some(keys) = database {
            all.mix(&index.to_be_bytes());
            all.join(keys);
        }
    }
    all
}

fn mix_entry(digest: &mut Digest, entry: &EntryRef<'_>) {
    digest.mix(&type_number(entry.value.kind()).to_be_bytes());
    match entry.value {
        ValueRef::String(string) => string.with_bytes(|bytes| digest.mix(bytes)),
        ValueRef::List(list) => list.iter().for_each(|element| digest.mix(&element.text())),
        ValueRef::Set(set) => {
            set.iter().for_each(|member| member.with_bytes(|bytes| digest.add(bytes)));
        }
        ValueRef::SortedSet(set) => {
            for (member, score) in set.iter() {
                add_pair(digest, member, format_f64_shortest(score).as_bytes());
            }
        }
        ValueRef::Hash(hash) => {
            hash.iter().for_each(|(field, value)| add_pair(digest, &field.text(), &value.text()));
        }
        ValueRef::Stream(stream) => {
            for entry in stream.entries.range(StreamId::MIN, StreamId::MAX) {
                digest.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                for (field, value) in entry.pairs() {
                    field.with_bytes(|bytes| digest.mix(bytes));
                    value.with_bytes(|bytes| digest.mix(bytes));
                }
            }
        }
    }
    if entry.expire_at_ms().is_some() {
        digest.add(EXPIRES);
    }
}

fn add_pair(digest: &mut Digest, first: &[u8], second: &[u8]) {
    let mut pair = Digest::default();
    pair.mix(first);
    pair.mix(second);
    digest.add(&pair.0);
}

/// The number Redis knows a type by.
fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::SortedSet => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}
