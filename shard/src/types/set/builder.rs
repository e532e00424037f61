//! Sets that are made of members of other sets: what commands over several sets answer or store.
//!
//! Path: `commands::set::algebra` -> here -> `types::set`. The members stay where they are until it is known what becomes of
//! them: an answer needs no set, and a packed set is written in one go. Only where there are too many for a small form
//! do they go into a table at once.
//! Invariant: form and order are those that a set gets to which Redis adds the members one by one.

use super::lookup::{Elements, elements_with_room};
use super::{Form, Member, Set, SetLimits, Whole};
use crate::types::element::Element;
use crate::types::intset::IntSet;
use crate::types::packed::Packed;
use crate::types::paged_table::PagedTable;

/// The form in which Redis begins to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// As integers, as long as all members are. Those before the first that is none are in ascending order for ever.
    Integers,
    /// Packed. If all members turn out to be integers, the result becomes a set of those in the end.
    Packed,
}

/// Members on their way into a set.
#[derive(Debug)]
pub struct Builder<'a> {
    beginning: Beginning,
    limits: SetLimits,
    /// All different.
    members: Vec<Element<'a>>,
    /// What [`Builder::insert`] has added to `members`.
    seen: Elements<'a>,
    /// Has all members, once they are too many for any small form.
    table: Option<Box<PagedTable<Whole>>>,
    /// The form, once it cannot change any more.
    settled: Option<SmallForm>,
}

/// What members that are not in a table yet become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SmallForm {
    Integers,
    Packed,
    Table,
}

impl<'a> Builder<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(beginning: Beginning, limits: SetLimits) -> Self {
        let seen = elements_with_room(0);
        Builder { beginning, limits, members: Vec::new(), seen, table: None, settled: None }
    }

    /// Makes room for about `count` members, if those are few.
    pub fn reserve(&mut self, count: usize) {
        let count = count.min(self.small_max());
        self.members.reserve(count);
    }

    /// Adds a member that has not been added before.
    pub fn push(&mut self, member: Member<'a>) {
        match &mut self.table {
            Some(table) => add(table, member),
            None => self.push_element(member.element()),
        }
    }

    /// Adds a member that may have been added before, in this way.
    pub fn insert(&mut self, member: Member<'a>) {
        match &mut self.table {
            Some(table) => add(table, member),
            None => {
                let element = member.element();
                if self.seen.is_empty() {
                    self.seen.reserve(self.members.capacity());
                }
                if self.seen.insert(element) {
                    self.push_element(element);
                }
            }
        }
    }

    fn push_element(&mut self, element: Element<'a>) {
        self.members.push(element);
        if self.members.len() > self.small_max() {
            self.table = Some(table_of(&self.members));
            self.members = Vec::new();
            self.seen = elements_with_room(0);
        }
    }

    /// Most members of any small form.
    fn small_max(&self) -> usize {
        self.limits.entries_max.max(self.limits.integers_max)
    }

    /// Takes out what is among `others`, after everything has been added; the form is what it was with them.
    pub fn exclude<'o>(&mut self, others: impl Iterator<Item = Member<'o>>) {
        match &mut self.table {
            Some(table) => {
                for member in others {
                    if table.is_empty() {
                        break;
                    }
                    member.with_bytes(|bytes| table.remove(bytes));
                }
            }
            None => {
                self.settle();
                let mut excluded = elements_with_room(0);
                excluded.extend(others.map(Member::element));
                self.members.retain(|member| !excluded.contains(member));
            }
        }
    }

    /// Hands each member to `visit`, in order.
    pub fn for_each(mut self, visit: impl FnMut(Member<'_>)) {
        match &self.table {
            Some(table) => table.rows().map(Member::Bytes).for_each(visit),
            None => {
                self.settle();
                self.members.into_iter().map(Member::from).for_each(visit);
            }
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.as_ref().map_or(self.members.len(), |table| table.len())
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The set.
    #[must_use]
    pub fn finish(mut self) -> Set {
        if let Some(table) = self.table {
            return Set { form: Form::Large(table) };
        }
        let form = match self.settle() {
            SmallForm::Integers => {
                let mut integers = IntSet::default();
                self.members.iter().filter_map(|&member| integer(member)).for_each(|integer| {
                    integers.insert(integer);
                });
                Form::Integers(integers)
            }
            SmallForm::Packed => {
                let mut packed = Packed::default();
                packed.push(&self.members);
                Form::Small(packed)
            }
            SmallForm::Table => Form::Large(table_of(&self.members)),
        };
        Set { form }
    }

    /// Puts the members that are not in a table into their order, and says which form they get.
    fn settle(&mut self) -> SmallForm {
        if let Some(form) = self.settled {
            return form;
        }
        let SetLimits { integers_max, entries_max, value_len_max } = self.limits;
        let first_text = self.members.iter().position(|&member| integer(member).is_none());
        let integer_count = first_text.unwrap_or(self.members.len());
        let form = if first_text.is_none() && integer_count <= integers_max {
            SmallForm::Integers
        } else if self.beginning == Beginning::Integers && integer_count > integers_max {
            SmallForm::Table
        } else if self.members.len() <= entries_max
            && self.members.iter().all(|member| member.text().len() <= value_len_max)
        {
            SmallForm::Packed
        } else {
            SmallForm::Table
        };
        if self.beginning == Beginning::Integers || form == SmallForm::Integers {
            self.members[..integer_count].sort_unstable_by_key(|&member| integer(member));
        }
        self.settled = Some(form);
        form
    }
}

fn integer(member: Element<'_>) -> Option<i64> {
    match member {
        Element::Integer(integer) => Some(integer),
        Element::Decimal(_) | Element::Text(_) => None,
    }
}

/// A table of members that are all different.
fn table_of(members: &[Element<'_>]) -> Box<PagedTable<Whole>> {
    let mut table = Box::default();
    members.iter().for_each(|&member| add(&mut table, member.into()));
    table
}

/// Adds a member unless it is there.
fn add(table: &mut PagedTable<Whole>, member: Member<'_>) {
    // An error is the row that is there already.
    member.with_bytes(|bytes| table.push(bytes, &[bytes]).ok());
}
