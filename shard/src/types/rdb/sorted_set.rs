//! Sorted sets as RDB bytes: a listpack while small, else members with scores of 8 bytes; of older servers also
//! ziplists, and scores as text.

use super::{check_filled, for_each_in_listpack, for_each_in_ziplist};
use crate::options::Options;
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use crate::value::{Typed, Value};
use persistence::rdb::listpack::Builder;
use persistence::rdb::{Element, RdbError, Reader, ValueType, Writer};
use protocol::number::{self, double};
use std::borrow::Cow;

/// Below it every integer is a double of its own, and is written without an exponent.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

pub(super) fn value_type(set: &SortedSet) -> ValueType {
    if set.is_small() { ValueType::SortedSetListpack } else { ValueType::SortedSet }
}

/// Writes a sorted set as its [`value_type`].
pub(super) fn save(set: &SortedSet, writer: &mut Writer<'_>) {
    if set.is_small() {
        let mut builder = Builder::with_room(2 * set.heap_size());
        for (member, score) in set.iter() {
            builder.push(member);
            match score as i64 {
                // Its text is that of the integer; there is no negative zero in this form.
                integer if integer as f64 == score && score.abs() < EXACT_MAX => {
                    builder.push_integer(integer);
                }
                _ => builder.push(number::format_f64(score).as_bytes()),
            }
        }
        writer.string(&builder.finish());
        return;
    }
    writer.length(set.len() as u64);
    for (member, score) in set.iter().rev() {
        writer.string(member);
        writer.double(score);
    }
}

/// Reads a sorted set of any of its types.
pub(super) fn load(
    value_type: ValueType,
    reader: &mut Reader<'_>,
    options: &Options,
) -> Result<Value, RdbError> {
    let limits = SortedSetLimits::from(options);
    // What is packed already stays so, as long as there are not too many: nobody looks how long its members are.
    let packed_limits = SortedSetLimits { value_len_max: usize::MAX, ..limits };
    let mut members = Members { set: SortedSet::default(), limits: packed_limits, member: None };
    let place = reader.clone();
    match value_type {
        ValueType::SortedSetListpack => for_each_in_listpack(reader, |e| members.push(e, &place))?,
        ValueType::SortedSetZiplist => for_each_in_ziplist(reader, |e| members.push(e, &place))?,
        _ => {
            members.limits = limits;
            members.insert_all(value_type, reader)?;
        }
    }
    if members.member.is_some() {
        return Err(reader.damaged("a member without a score"));
    }
    check_filled(members.set.is_empty(), reader)?;
    Ok(members.set.into_value())
}

/// A sorted set that is being read.
struct Members {
    set: SortedSet,
    limits: SortedSetLimits,
    /// The member whose score comes next.
    member: Option<Vec<u8>>,
}

impl Members {
    /// Takes a member or the score behind it.
    fn push(&mut self, element: Element<'_>, reader: &Reader<'_>) -> Result<(), RdbError> {
        let Some(member) = self.member.take() else {
            self.member = Some(element.to_text().into_owned());
            return Ok(());
        };
        let score = match element {
            Element::Integer(integer) => Some(integer as f64),
            Element::Text(text) => double::parse_f64_bound(text),
        };
        let score = score.ok_or(reader.damaged("a score that is no number"))?;
        self.insert(&member, score, reader)
    }

    /// Takes all members of a form that is not packed. Which form they get is settled before the first goes in: on a
    /// way through the small one a negative zero would lose its sign.
    fn insert_all(
        &mut self,
        value_type: ValueType,
        reader: &mut Reader<'_>,
    ) -> Result<(), RdbError> {
        let count = reader.count()?;
        let mut few = Vec::new();
        if count <= self.limits.entries_max {
            for _ in 0..count {
                few.push(read_member(value_type, reader)?);
            }
        }
        let is_long = |(member, _): &(Cow<'_, [u8]>, f64)| member.len() > self.limits.value_len_max;
        if count > self.limits.entries_max || few.iter().any(is_long) {
            self.set.prepare(usize::MAX, self.limits);
        }
        for _ in few.len()..count {
            let (member, score) = read_member(value_type, reader)?;
            self.insert(&member, score, reader)?;
        }
        few.iter().try_for_each(|(member, score)| self.insert(member, *score, reader))
    }

    fn insert(&mut self, member: &[u8], score: f64, reader: &Reader<'_>) -> Result<(), RdbError> {
        if score.is_nan() {
            return Err(reader.damaged("a score that is no number"));
        }
        if self.set.score(member).is_some() {
            return Err(reader.damaged("a member stands twice"));
        }
        self.set.insert(member, score, self.limits);
        Ok(())
    }
}

fn read_member<'a>(
    value_type: ValueType,
    reader: &mut Reader<'a>,
) -> Result<(Cow<'a, [u8]>, f64), RdbError> {
    let member = reader.string()?;
    let score = match value_type {
        ValueType::SortedSetText => reader.double_text()?,
        _ => reader.double()?,
    };
    Ok((member, score))
}
