//! Looking many members up in one set, for commands over several.
//!
//! Path: `commands::set::algebra` -> here. A packed set is searched from end to end, so looking all members of one packed
//! set up in another would cost the product of their sizes: its members are put into an index first. That lives as long
//! as the command, and borrows the members.

use super::{Form, Member, Set};
use crate::types::element::Element;
use crate::types::hash_index;
use ahash::RandomState;
use std::collections::HashSet;

/// Different elements that lie elsewhere.
pub(super) type Elements<'a> = HashSet<Element<'a>, RandomState>;

/// An empty set of elements with room for `capacity`.
pub(super) fn elements_with_room<'a>(capacity: usize) -> Elements<'a> {
    HashSet::with_capacity_and_hasher(capacity, hash_index::hasher())
}

/// So few lookups, or lookups among so few members, cost less without an index. Source: measured, members of 11 bytes.
const SEARCHES_MAX: usize = 12;

/// A set in which many members are looked up.
#[derive(Debug)]
pub struct Lookup<'a> {
    set: &'a Set,
    /// The members of a packed set.
    index: Option<Elements<'a>>,
}

impl<'a> Lookup<'a> {
    /// Gets ready for up to `count` lookups in `set`. Cost: O(n) for a packed set, else O(1).
    #[must_use]
    pub fn new(set: &'a Set, count: usize) -> Self {
        let index = match &set.form {
            Form::Small(packed) if count.min(packed.len()) > SEARCHES_MAX => {
                let mut index = elements_with_room(packed.len());
                index.extend(packed.view().iter());
                Some(index)
            }
            _ => None,
        };
        Lookup { set, index }
    }

    /// Whether `member` is in the set.
    #[must_use]
    pub fn has(&self, member: Member<'_>) -> bool {
        match &self.index {
            Some(index) => index.contains(&member.element()),
            None => self.set.has(member),
        }
    }
}
