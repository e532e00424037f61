//! Hashes as RDB bytes: a listpack while small, else pairs of strings; of older servers also ziplists and zipmaps.

use super::{check_filled, for_each_in_listpack, for_each_in_ziplist, listpack_of};
use crate::options::Options;
use crate::types::hash::{Hash, HashLimits, HashRef};
use crate::value::{Typed, Value};
use persistence::rdb::{Element, RdbError, Reader, ValueType, Writer, zipmap};

pub(super) fn value_type(hash: HashRef<'_>) -> ValueType {
    if hash.encoding() == "listpack" { ValueType::HashListpack } else { ValueType::Hash }
}

/// Writes a hash as its [`value_type`].
pub(super) fn save(hash: HashRef<'_>, writer: &mut Writer<'_>) {
    if let Some(packed) = hash.packed() {
        writer.string(&listpack_of(packed));
        return;
    }
    writer.length(hash.len() as u64);
    for (field, value) in hash.iter() {
        writer.string(&field.text());
        writer.string(&value.text());
    }
}

/// Reads a hash of any of its types.
pub(super) fn load(
    value_type: ValueType,
    reader: &mut Reader<'_>,
    options: &Options,
) -> Result<Value, RdbError> {
    let limits = HashLimits::from(options);
    // What is packed already stays so, as long as there are not too many: nobody looks how long its texts are.
    let packed_limits = HashLimits { value_len_max: usize::MAX, ..limits };
    let mut pairs = Pairs { hash: Hash::default(), limits: packed_limits, field: None };
    let place = reader.clone();
    match value_type {
        ValueType::HashListpack => for_each_in_listpack(reader, |e| pairs.push(e, &place))?,
        ValueType::HashZiplist => for_each_in_ziplist(reader, |e| pairs.push(e, &place))?,
        ValueType::HashZipmap => {
            pairs.limits = limits;
            let bytes = reader.string()?;
            for (field, value) in zipmap::parse(&bytes).ok_or(reader.damaged("no zipmap"))? {
                pairs.insert(field, value, reader)?;
            }
        }
        _ => {
            pairs.limits = limits;
            for _ in 0..reader.count()? {
                let (field, value) = (reader.string()?, reader.string()?);
                pairs.insert(&field, &value, reader)?;
            }
        }
    }
    if pairs.field.is_some() {
        return Err(reader.damaged("a field without a value"));
    }
    check_filled(pairs.hash.is_empty(), reader)?;
    Ok(pairs.hash.into_value())
}

/// A hash that is being read.
struct Pairs {
    hash: Hash,
    limits: HashLimits,
    /// The field whose value comes next.
    field: Option<Vec<u8>>,
}

impl Pairs {
    /// Takes a field or the value behind it.
    fn push(&mut self, element: Element<'_>, reader: &Reader<'_>) -> Result<(), RdbError> {
        let text = element.to_text();
        match self.field.take() {
            Some(field) => self.insert(&field, &text, reader),
            None => {
                self.field = Some(text.into_owned());
                Ok(())
            }
        }
    }

    fn insert(&mut self, field: &[u8], value: &[u8], reader: &Reader<'_>) -> Result<(), RdbError> {
        let is_new = self.hash.set(field, value, self.limits);
        if is_new { Ok(()) } else { Err(reader.damaged("a field stands twice")) }
    }
}
