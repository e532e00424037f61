//! Values: the five basic types and their encodings, and what OBJECT ENCODING calls them.

use crate::error::CommandError;
use crate::types::hash::Hash;
use crate::types::list::List;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;
use crate::types::string::Str;

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
    /// Name of its encoding, as OBJECT ENCODING prints it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::String(string) => string.encoding(),
            Value::List(list) => list.encoding(),
            Value::Set(set) => set.encoding(),
            Value::SortedSet(set) => set.encoding(),
            Value::Hash(hash) => hash.encoding(),
        }
    }

    /// The first byte of a string, loaded from wherever it lies; 0 of anything else.
    #[inline]
    pub(crate) fn first_byte(&self) -> u8 {
        match self {
            Value::String(string) => string.first_byte(),
            _ => 0,
        }
    }

    /// The type of this value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Value::String(_) => Kind::String,
            Value::List(_) => Kind::List,
            Value::Set(_) => Kind::Set,
            Value::SortedSet(_) => Kind::SortedSet,
            Value::Hash(_) => Kind::Hash,
        }
    }
}

/// A Rust type that is one of the types of values; lets a command ask for `get::<Hash>(key)`.
pub trait Typed: Sized {
    /// Borrows it from a value.
    ///
    /// # Errors
    /// WRONGTYPE if the value is of another type.
    fn from_value(value: &Value) -> Result<&Self, CommandError>;

    /// Borrows it mutably from a value.
    ///
    /// # Errors
    /// WRONGTYPE if the value is of another type.
    fn from_value_mut(value: &mut Value) -> Result<&mut Self, CommandError>;

    /// Makes a value of it.
    fn into_value(self) -> Value;
}

impl Typed for Str {
    fn from_value(value: &Value) -> Result<&Self, CommandError> {
        match value {
            Value::String(string) => Ok(string),
            _ => Err(CommandError::WrongType),
        }
    }

    fn from_value_mut(value: &mut Value) -> Result<&mut Self, CommandError> {
        match value {
            Value::String(string) => Ok(string),
            _ => Err(CommandError::WrongType),
        }
    }

    fn into_value(self) -> Value {
        Value::String(self)
    }
}
