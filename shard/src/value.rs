//! Values: the basic types and their encodings, and what OBJECT ENCODING calls them.
//!
//! [`Value`] owns one, [`ValueRef`] is what a lookup in a table gives, [`PackedValue`] is a small collection as bytes. To
//! add a type: a variant in each, a row in `typed!` at the end of this page, and the methods it names (`heap_size`,
//! `free_some`, `len`, `encoding`) in the type.

use crate::error::CommandError;
use crate::memory::block_size;
use crate::types::hash::{Hash, HashRef};
use crate::types::list::List;
use crate::types::packed::PackedRef;
use crate::types::paged_table::Touch;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;
use crate::types::stream::Stream;
use crate::types::string::{Str, StrRef};
use std::convert;

/// The value of one key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string, possibly an integer.
    String(Str),
    /// Elements in order.
    List(Box<List>),
    /// Members without order.
    Set(Box<Set>),
    /// Members by score.
    SortedSet(Box<SortedSet>),
    /// Fields with values.
    Hash(Box<Hash>),
    /// Entries with growing ids.
    Stream(Box<Stream>),
}

/// The value of one key, to read.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// A string, possibly an integer.
    String(StrRef<'a>),
    /// Elements in order.
    List(&'a List),
    /// Members without order.
    Set(&'a Set),
    /// Members by score.
    SortedSet(&'a SortedSet),
    /// Fields with values.
    Hash(HashRef<'a>),
    /// Entries with growing ids.
    Stream(&'a Stream),
}

/// A collection in its packed form: what a table may keep inside the record of its key.
#[derive(Clone, Copy, Debug)]
pub struct PackedValue<'a> {
    /// Its type.
    pub kind: PackedKind,
    /// Its elements.
    pub elements: PackedRef<'a>,
}

/// Types of collections that have a packed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedKind {
    /// Field, value, field, value, …
    Hash,
}

impl<'a> PackedValue<'a> {
    /// It, to read as any value.
    #[must_use]
    #[inline]
    pub fn view(self) -> ValueRef<'a> {
        match self.kind {
            PackedKind::Hash => ValueRef::Hash(HashRef::from_packed(self.elements)),
        }
    }
}

/// Name of a type, as TYPE prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `string`
    String,
    /// `list`
    List,
    /// `set`
    Set,
    /// `zset`
    SortedSet,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
}

impl Kind {
    /// The word TYPE prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::SortedSet => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }
}

impl Value {
    /// The value, to read.
    #[must_use]
    #[inline]
    pub fn view(&self) -> ValueRef<'_> {
        match self {
            Value::String(string) => ValueRef::String(string.view()),
            Value::List(list) => ValueRef::List(list),
            Value::Set(set) => ValueRef::Set(set),
            Value::SortedSet(set) => ValueRef::SortedSet(set),
            Value::Hash(hash) => ValueRef::Hash(hash.view()),
            Value::Stream(stream) => ValueRef::Stream(stream),
        }
    }

    /// The table of a large collection, to touch what a lookup in it is going to read.
    #[must_use]
    #[inline]
    pub fn table(&self) -> Option<Touch<'_>> {
        match self {
            Value::Set(set) => set.table(),
            Value::SortedSet(set) => set.table(),
            Value::Hash(hash) => hash.table(),
            Value::String(_) | Value::List(_) | Value::Stream(_) => None,
        }
    }

    /// How many elements it has; 1 for a string.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Value::String(_) => 1,
            Value::List(list) => list.len(),
            Value::Set(set) => set.len(),
            Value::SortedSet(set) => set.len(),
            Value::Hash(hash) => hash.len(),
            Value::Stream(stream) => stream.entries.len(),
        }
    }

    /// About how many steps it takes to free it: a collection in one piece of memory goes at once.
    #[must_use]
    pub fn piece_count(&self) -> usize {
        match self {
            Value::Set(_) | Value::SortedSet(_) | Value::Hash(_) if self.table().is_none() => 1,
            _ => self.len(),
        }
    }

    /// Whether it has no element; a collection that is stored in a table has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap it holds, as the allocator counts them. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match self {
            Value::String(string) => string.heap_size(),
            Value::List(list) => block_size(size_of::<List>()) + list.heap_size(),
            Value::Set(set) => block_size(size_of::<Set>()) + set.heap_size(),
            Value::SortedSet(set) => block_size(size_of::<SortedSet>()) + set.heap_size(),
            Value::Hash(hash) => block_size(size_of::<Hash>()) + hash.heap_size(),
            Value::Stream(stream) => block_size(size_of::<Stream>()) + stream.heap_size(),
        }
    }

    /// Frees about `budget` elements of a value that nobody needs any more; says whether some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        match self {
            Value::String(_) => false,
            Value::List(list) => list.free_some(budget),
            Value::Set(set) => set.free_some(budget),
            Value::SortedSet(set) => set.free_some(budget),
            Value::Hash(hash) => hash.free_some(budget),
            Value::Stream(stream) => stream.free_some(budget),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// Name of its encoding, as OBJECT ENCODING prints it.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        match self {
            ValueRef::String(string) => string.encoding(),
            ValueRef::List(list) => list.encoding(),
            ValueRef::Set(set) => set.encoding(),
            ValueRef::SortedSet(set) => set.encoding(),
            ValueRef::Hash(hash) => hash.encoding(),
            ValueRef::Stream(stream) => stream.encoding(),
        }
    }

    /// Its type.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            ValueRef::String(_) => Kind::String,
            ValueRef::List(_) => Kind::List,
            ValueRef::Set(_) => Kind::Set,
            ValueRef::SortedSet(_) => Kind::SortedSet,
            ValueRef::Hash(_) => Kind::Hash,
            ValueRef::Stream(_) => Kind::Stream,
        }
    }

    /// It as packed elements, if it is a collection in that form.
    #[must_use]
    pub fn packed(self) -> Option<PackedValue<'a>> {
        match self {
            ValueRef::Hash(hash) => {
                Some(PackedValue { kind: PackedKind::Hash, elements: hash.packed()? })
            }
            _ => None,
        }
    }

    /// It as a `T`.
    ///
    /// # Errors
    /// WRONGTYPE if it is of another type.
    #[inline]
    pub fn as_type<T: Typed>(self) -> Result<T::Ref<'a>, CommandError> {
        T::read(self).ok_or(CommandError::WrongType)
    }

    /// A copy of its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::String(string) => Value::String(string.to_str()),
            ValueRef::List(list) => Value::List(Box::new(list.clone())),
            ValueRef::Set(set) => Value::Set(Box::new(set.clone())),
            ValueRef::SortedSet(set) => Value::SortedSet(Box::new(set.clone())),
            ValueRef::Hash(hash) => Value::Hash(Box::new(hash.to_hash())),
            ValueRef::Stream(stream) => Value::Stream(Box::new(stream.clone())),
        }
    }
}

/// A Rust type that is one of the types of values; lets a command ask for `get::<Hash>(key)`.
pub trait Typed: Sized {
    /// What a lookup gives: a reference, or something as light that can be read in the same way.
    type Ref<'a>: Copy;

    /// It, if the value is of this type.
    fn read(value: ValueRef<'_>) -> Option<Self::Ref<'_>>;

    /// It, to change it, if the value is of this type.
    fn from_value_mut(value: &mut Value) -> Option<&mut Self>;

    /// A copy of what a lookup gave.
    fn copy(found: Self::Ref<'_>) -> Self;

    /// It, to read.
    fn view(&self) -> ValueRef<'_>;

    /// Makes a value of it.
    fn into_value(self) -> Value;

    /// Bytes of heap it holds, as the allocator counts them. Cost: O(1).
    fn heap_size(&self) -> usize;
}

impl Typed for Str {
    type Ref<'a> = StrRef<'a>;

    #[inline]
    fn read(value: ValueRef<'_>) -> Option<StrRef<'_>> {
        match value {
            ValueRef::String(string) => Some(string),
            _ => None,
        }
    }

    fn from_value_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::String(string) => Some(string),
            _ => None,
        }
    }

    fn copy(found: StrRef<'_>) -> Self {
        found.to_str()
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::String(self.view())
    }

    fn into_value(self) -> Value {
        Value::String(self)
    }

    fn heap_size(&self) -> usize {
        self.heap_size()
    }
}

/// Implements [`Typed`] for collections: the variant, the type in its box, what it is read as, and how the one comes from
/// the other.
macro_rules! typed {
    ($($variant:ident($type:ty): $ref:ty, $view:path, $copy:path);+ $(;)?) => {$(
        impl Typed for $type {
            type Ref<'a> = $ref;

            #[inline]
            fn read(value: ValueRef<'_>) -> Option<Self::Ref<'_>> {
                match value {
                    ValueRef::$variant(found) => Some(found),
                    _ => None,
                }
            }

            fn from_value_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$variant(found) => Some(found),
                    _ => None,
                }
            }

            fn copy(found: Self::Ref<'_>) -> Self {
                $copy(found)
            }

            fn view(&self) -> ValueRef<'_> {
                ValueRef::$variant($view(self))
            }

            fn into_value(self) -> Value {
                Value::$variant(Box::new(self))
            }

            fn heap_size(&self) -> usize {
                self.heap_size()
            }
        }
    )+};
}

typed! {
    List(List): &'a List, convert::identity, List::clone;
    Set(Set): &'a Set, convert::identity, Set::clone;
    SortedSet(SortedSet): &'a SortedSet, convert::identity, SortedSet::clone;
    Hash(Hash): HashRef<'a>, Hash::view, HashRef::to_hash;
    Stream(Stream): &'a Stream, convert::identity, Stream::clone;
}
