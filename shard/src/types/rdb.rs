//! Values as RDB bytes, and back: for DUMP and RESTORE, and for whatever else writes or reads RDB.
//!
//! Path: `commands::key::dump` -> here, one file per type -> `persistence::rdb`.
//! A value is written in the encoding that OBJECT ENCODING names, as Redis 7.2 writes it, and read from any that a
//! Redis since 2.4 has written. Reading checks everything: an element that stands twice, a score that is no number, a
//! collection without elements are damage, whatever the checksum says. The thresholds of this server decide in which
//! form a value that has been read is held, as in Redis.

mod hash;
mod list;
mod set;
mod sorted_set;
mod stream;
#[cfg(test)]
mod tests;

use crate::options::Options;
use crate::types::element::Element as PackedElement;
use crate::types::packed::PackedRef;
use crate::types::string::Str;
use crate::value::{Value, ValueRef};
use persistence::rdb::listpack::{Builder, Listpack};
use persistence::rdb::payload::{self, Checksum};
use persistence::rdb::ziplist;
use persistence::rdb::{Compression, Element, PayloadError, RdbError, Reader, ValueType, Writer};

/// Why a payload is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Its frame is wrong: version or checksum.
    #[error(transparent)]
    Frame(#[from] PayloadError),
    /// What stands inside is wrong.
    #[error(transparent)]
    Value(#[from] RdbError),
}

/// The payload of DUMP for a value.
#[must_use]
pub fn dump(value: ValueRef<'_>, compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, compression);
    writer.value_type(value_type(value));
    save(value, &mut writer);
    payload::seal(&mut bytes);
    bytes
}

/// The value of a payload of DUMP. What stands behind the value is not looked at, as in Redis.
///
/// # Errors
/// What is wrong with the frame or with the value.
pub fn restore(
    payload: &[u8],
    checksum: Checksum,
    options: &Options,
) -> Result<Value, RestoreError> {
    let mut reader = Reader::new(payload::open(payload, checksum)?);
    let code = reader.byte()?;
    let value_type =
        ValueType::from_code(code).ok_or(reader.damaged("a value of an unknown type"))?;
    Ok(load(value_type, &mut reader, options)?)
}

/// The type that [`save`] writes a value as.
#[must_use]
pub fn value_type(value: ValueRef<'_>) -> ValueType {
    match value {
        ValueRef::String(_) => ValueType::String,
        ValueRef::List(_) => ValueType::ListQuicklist2,
        ValueRef::Set(set) => set::value_type(set),
        ValueRef::SortedSet(set) => sorted_set::value_type(set),
        ValueRef::Hash(hash) => hash::value_type(hash),
        ValueRef::Stream(_) => ValueType::Stream3,
    }
}

/// Writes a value, without its type. Cost: O(size).
pub fn save(value: ValueRef<'_>, writer: &mut Writer<'_>) {
    match value {
        ValueRef::String(string) => string.with_bytes(|bytes| writer.string(bytes)),
        ValueRef::List(list) => list::save(list, writer),
        ValueRef::Set(set) => set::save(set, writer),
        ValueRef::SortedSet(set) => sorted_set::save(set, writer),
        ValueRef::Hash(hash) => hash::save(hash, writer),
        ValueRef::Stream(stream) => stream::save(stream, writer),
    }
}

/// Reads the value behind its type.
///
/// # Errors
/// What is wrong with it. Nothing panics, and no more is allocated than the bytes at hand can fill.
pub fn load(
    value_type: ValueType,
    reader: &mut Reader<'_>,
    options: &Options,
) -> Result<Value, RdbError> {
    match value_type {
        ValueType::String => Ok(Value::String(Str::new(&reader.string()?))),
        ValueType::List
        | ValueType::ListZiplist
        | ValueType::ListQuicklist
        | ValueType::ListQuicklist2 => list::load(value_type, reader, options),
        ValueType::Set | ValueType::SetIntset | ValueType::SetListpack => {
            set::load(value_type, reader, options)
        }
        ValueType::Hash
        | ValueType::HashZipmap
        | ValueType::HashZiplist
        | ValueType::HashListpack => hash::load(value_type, reader, options),
        ValueType::SortedSet
        | ValueType::SortedSetText
        | ValueType::SortedSetZiplist
        | ValueType::SortedSetListpack => sorted_set::load(value_type, reader, options),
        ValueType::Stream | ValueType::Stream2 | ValueType::Stream3 => {
            stream::load(value_type, reader)
        }
    }
}

/// A listpack of packed elements.
fn listpack_of(elements: PackedRef<'_>) -> Vec<u8> {
    // Beside its text, an element takes a byte or two there that it does not take here.
    let mut builder = Builder::with_room(elements.bytes().len() + 2 * elements.len());
    for element in elements.iter() {
        match element {
            PackedElement::Integer(integer) => builder.push_integer(integer),
            PackedElement::Decimal(decimal) => decimal.with_bytes(|text| builder.push_text(text)),
            PackedElement::Text(text) => builder.push_text(text),
        }
    }
    builder.finish()
}

/// An error for a collection without elements, which no server writes.
fn check_filled(is_empty: bool, reader: &Reader<'_>) -> Result<(), RdbError> {
    if is_empty { Err(reader.damaged("a collection without elements")) } else { Ok(()) }
}

/// Hands the elements of a listpack in a string to `each`.
fn for_each_in_listpack(
    reader: &mut Reader<'_>,
    mut each: impl FnMut(Element<'_>) -> Result<(), RdbError>,
) -> Result<(), RdbError> {
    let bytes = reader.string()?;
    let listpack = Listpack::parse(&bytes).ok_or(reader.damaged("no listpack"))?;
    listpack.iter().try_for_each(&mut each)
}

/// Hands the entries of a ziplist in a string to `each`.
fn for_each_in_ziplist(
    reader: &mut Reader<'_>,
    each: impl FnMut(Element<'_>) -> Result<(), RdbError>,
) -> Result<(), RdbError> {
    let bytes = reader.string()?;
    let entries = ziplist::parse(&bytes).ok_or(reader.damaged("no ziplist"))?;
    entries.into_iter().try_for_each(each)
}
