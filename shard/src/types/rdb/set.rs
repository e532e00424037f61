//! Sets as RDB bytes: an intset or a listpack while small, else strings.

use super::{check_filled, for_each_in_listpack, listpack_of};
use crate::options::Options;
use crate::types::set::{Set, SetLimits};
use crate::value::{Typed, Value};
use persistence::rdb::{RdbError, Reader, ValueType, Writer, intset};

pub(super) fn value_type(set: &Set) -> ValueType {
    match set.encoding() {
        "intset" => ValueType::SetIntset,
        "listpack" => ValueType::SetListpack,
        _ => ValueType::Set,
    }
}

/// Writes a set as its [`value_type`].
pub(super) fn save(set: &Set, writer: &mut Writer<'_>) {
    if let Some(integers) = set.integers() {
        writer.string(&intset::of(&integers.iter().collect::<Vec<_>>()));
    } else if let Some(packed) = set.packed_members() {
        writer.string(&listpack_of(packed));
    } else {
        writer.length(set.len() as u64);
        set.iter().for_each(|member| member.with_bytes(|bytes| writer.string(bytes)));
    }
}

/// Reads a set of any of its types.
pub(super) fn load(
    value_type: ValueType,
    reader: &mut Reader<'_>,
    options: &Options,
) -> Result<Value, RdbError> {
    let limits = SetLimits::from(options);
    let place = reader.clone();
    let mut set = if value_type == ValueType::SetListpack { Set::packed() } else { Set::default() };
    let mut insert = |member: &[u8], limits| {
        let is_new = set.insert(member, limits);
        if is_new { Ok(()) } else { Err(place.damaged("a member stands twice")) }
    };
    match value_type {
        ValueType::SetIntset => {
            let bytes = reader.string()?;
            for integer in intset::parse(&bytes).ok_or(reader.damaged("no intset"))? {
                insert(itoa::Buffer::new().format(integer).as_bytes(), limits)?;
            }
        }
        ValueType::SetListpack => {
            // What is packed already stays so, as long as there are not too many: nobody looks how long its texts are.
            let packed_limits = SetLimits { value_len_max: usize::MAX, ..limits };
            for_each_in_listpack(reader, |element| insert(&element.to_text(), packed_limits))?;
        }
        _ => {
            for _ in 0..reader.count()? {
                insert(&reader.string()?, limits)?;
            }
        }
    }
    check_filled(set.is_empty(), reader)?;
    Ok(set.into_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::options;
    use crate::types::rdb::{dump, restore};
    use persistence::rdb::Compression;
    use persistence::rdb::payload::Checksum;

    #[test]
    fn a_set_keeps_its_form_and_members() {
        let options = options();
        let long = format!("a {}", "b".repeat(65));
        for (members, encoding) in
            [("3 -1 70000", "intset"), ("b a 1", "listpack"), (&long, "hashtable")]
        {
            let mut set = Set::default();
            for member in members.split(' ') {
                set.insert(member.as_bytes(), (&options).into());
            }
            let value = set.into_value();
            let payload = dump(value.view(), Compression::Lzf);
            let restored = restore(&payload, Checksum::Checked, &options).unwrap();
            assert_eq!(restored, value);
            assert_eq!(restored.view().encoding(), encoding);
        }
    }
}
