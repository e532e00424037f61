//! The bytes of one entry in an arena: key, value, expiry and access clock one behind the other.
//!
//! ```text
//!  0      1        4        5            6 (5)      12 (11)
//!  +------+--------+--------+------------+----------+-----...-----+------...------+
//!  | form | access | key    | value      | expiry   | key         | value         |
//!  |  u8  |  u24   | len u8 | len u8     | u48 ms   |             |               |
//!  +------+--------+--------+------------+----------+-----...-----+------...------+
//!                        texts and packed  if any
//!
//! form   bits 0-3  value: 0-3 integer of 1, 2, 4, 8 bytes; 4 text; 5 text that was changed in place; 6 elsewhere;
//!                  7 packed hash: how many elements there are (u8), then these (`types::packed`)
//!        bits 4-5  expiry: 0 none; 1 six bytes; 2 eight bytes, for times that six cannot hold
//!        bit  6    the key is elsewhere too
//! ```
//! Numbers are little-endian. A value or key that is *elsewhere* takes two bytes, the number of its place among what the
//! segment keeps outside (`outside`).

use super::arena::is_same_room;
use crate::keyspace::access::Access;
use crate::types::packed::{PackedMut, PackedRef};
use crate::types::string::StrRef;
use crate::value::{PackedKind, PackedValue, ValueRef};

/// Longest record, as far as that is chosen: a value that would make it longer goes elsewhere. (An expiry that is set
/// afterwards may make it a few bytes longer.)
pub(super) const RECORD_MAX: usize = 256;
/// Longest key in a record.
const KEY_MAX: usize = 160;
/// Bytes before the expiry, without the length of the value.
const HEAD: usize = 5;

const KIND_MASK: u8 = 0x0F;
const KIND_TEXT: u8 = 4;
const KIND_CHANGED_TEXT: u8 = 5;
const KIND_OUTSIDE: u8 = 6;
/// The first kind of packed collections; the others follow in the order of [`PACKED_KINDS`].
const KIND_PACKED: u8 = 7;
const PACKED_KINDS: [PackedKind; 1] = [PackedKind::Hash];
const EXPIRY_SHIFT: u32 = 4;
const EXPIRY_MASK: u8 = 0x30;
const EXPIRY_SHORT: u8 = 1 << EXPIRY_SHIFT;
const EXPIRY_LONG: u8 = 2 << EXPIRY_SHIFT;
const LONG_KEY: u8 = 0x40;
/// Expiries below this fit six bytes.
const SHORT_EXPIRY_END: i64 = 1 << 48;

/// Where the key begins, by form.
const KEY_START: [u8; 128] = {
    let mut starts = [0; 128];
    let mut form = 0;
    while form < 128 {
        let kind = form as u8 & KIND_MASK;
        let value_len = has_len(kind) as usize;
        let expiry = match form as u8 & EXPIRY_MASK {
            EXPIRY_SHORT => 6,
            EXPIRY_LONG => 8,
            _ => 0,
        };
        starts[form] = (HEAD + value_len + expiry) as u8;
        form += 1;
    }
    starts
};

/// Whether the head of a record says how long a value of this kind is.
const fn has_len(kind: u8) -> bool {
    kind == KIND_TEXT || kind == KIND_CHANGED_TEXT || kind >= KIND_PACKED
}

/// A place among what a segment keeps outside its arena.
pub(super) type OutsideId = u16;

/// A record's key.
#[derive(Clone, Copy, Debug)]
pub(super) enum RecordKey<'a> {
    /// The key.
    Inside(&'a [u8]),
    /// A long key, kept outside.
    Outside(OutsideId),
}

impl RecordKey<'_> {
    /// Bytes it takes in a record.
    pub(super) fn size(self) -> usize {
        match self {
            RecordKey::Inside(key) => key.len(),
            RecordKey::Outside(_) => size_of::<OutsideId>(),
        }
    }
}

/// A record's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum RecordValue<'a> {
    /// A string.
    Inside(StrRef<'a>),
    /// A small collection.
    Packed(PackedValue<'a>),
    /// Anything else, kept outside.
    Outside(OutsideId),
}

impl<'a> RecordValue<'a> {
    /// `value`, if it may lie in a record beside a key that takes `key_size` bytes there.
    #[inline]
    pub(super) fn fitting(key_size: usize, value: ValueRef<'a>) -> Option<Self> {
        if let ValueRef::String(string) = value {
            return is_short_string(key_size, string).then_some(RecordValue::Inside(string));
        }
        let packed = value.packed()?;
        let size = HEAD + 1 + key_size + 1 + packed.elements.bytes().len();
        (size <= RECORD_MAX).then_some(RecordValue::Packed(packed))
    }

    /// Bytes it takes in a record.
    #[inline]
    pub(super) fn size(self) -> usize {
        match self {
            RecordValue::Inside(StrRef::Int(integer)) => 1 << integer_kind(integer),
            RecordValue::Inside(StrRef::Embedded(text) | StrRef::Raw(text)) => text.len(),
            RecordValue::Packed(packed) => 1 + packed.elements.bytes().len(),
            RecordValue::Outside(_) => size_of::<OutsideId>(),
        }
    }

    /// It, to read, if it is in the record.
    #[inline]
    pub(super) fn view(self) -> Option<ValueRef<'a>> {
        match self {
            RecordValue::Inside(string) => Some(ValueRef::String(string)),
            RecordValue::Packed(packed) => Some(packed.view()),
            RecordValue::Outside(_) => None,
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) key: RecordKey<'a>,
    pub(super) value: RecordValue<'a>,
    pub(super) expire_at_ms: Option<i64>,
    pub(super) access: Access,
}

/// Whether `key` is short enough to lie in a record.
pub(super) fn is_short_key(key: &[u8]) -> bool {
    key.len() <= KEY_MAX
}

/// Whether `string` may lie in a record beside a key that takes `key_size` bytes there.
fn is_short_string(key_size: usize, string: StrRef<'_>) -> bool {
    match string {
        StrRef::Int(_) => true,
        StrRef::Embedded(text) | StrRef::Raw(text) => {
            HEAD + 1 + key_size + text.len() <= RECORD_MAX
        }
    }
}

impl<'a> Record<'a> {
    /// Bytes it takes.
    pub(super) fn size(&self) -> usize {
        usize::from(KEY_START[usize::from(self.form())]) + self.key.size() + self.value.size()
    }

    /// Its value, if that is kept outside.
    pub(super) fn outside_value(&self) -> Option<OutsideId> {
        match self.value {
            RecordValue::Inside(_) | RecordValue::Packed(_) => None,
            RecordValue::Outside(id) => Some(id),
        }
    }

    fn form(&self) -> u8 {
        let value = match self.value {
            RecordValue::Inside(StrRef::Int(integer)) => integer_kind(integer),
            RecordValue::Inside(StrRef::Embedded(_)) => KIND_TEXT,
            RecordValue::Inside(StrRef::Raw(_)) => KIND_CHANGED_TEXT,
            RecordValue::Packed(packed) => KIND_PACKED + packed.kind as u8,
            RecordValue::Outside(_) => KIND_OUTSIDE,
        };
        let expiry = match self.expire_at_ms {
            None => 0,
            Some(at_ms) if is_short_expiry(at_ms) => EXPIRY_SHORT,
            Some(_) => EXPIRY_LONG,
        };
        let key = if matches!(self.key, RecordKey::Outside(_)) { LONG_KEY } else { 0 };
        value | expiry | key
    }

    /// Writes it to the front of `bytes`.
    pub(super) fn write(&self, bytes: &mut [u8]) {
        let form = self.form();
        let key_start = usize::from(KEY_START[usize::from(form)]);
        let value_start = key_start + self.key.size();
        bytes[0] = form;
        bytes[4] = self.key.size() as u8;
        match self.key {
            RecordKey::Inside(key) => bytes[key_start..value_start].copy_from_slice(key),
            RecordKey::Outside(id) => {
                bytes[key_start..value_start].copy_from_slice(&id.to_le_bytes());
            }
        }
        self.write_fields(bytes, key_start, value_start);
    }

    /// Writes all but the form and the key.
    #[inline]
    fn write_fields(&self, bytes: &mut [u8], key_start: usize, value_start: usize) {
        write_access(bytes, self.access);
        if let Some(at_ms) = self.expire_at_ms {
            let len = if is_short_expiry(at_ms) { 6 } else { 8 };
            bytes[key_start - len..key_start].copy_from_slice(&at_ms.to_le_bytes()[..len]);
        }
        let value = &mut bytes[value_start..value_start + self.value.size()];
        match self.value {
            RecordValue::Inside(StrRef::Int(integer)) => {
                value.copy_from_slice(&integer.to_le_bytes()[..value.len()]);
            }
            RecordValue::Inside(StrRef::Embedded(text) | StrRef::Raw(text)) => {
                value.copy_from_slice(text);
                bytes[HEAD] = text.len() as u8;
            }
            RecordValue::Packed(PackedValue { elements, .. }) => {
                value[0] = elements.len() as u8;
                value[1..].copy_from_slice(elements.bytes());
                bytes[HEAD] = 1 + elements.bytes().len() as u8;
            }
            RecordValue::Outside(id) => value.copy_from_slice(&id.to_le_bytes()),
        }
    }

    /// Puts another value and expiry into the record at the front of `bytes`, if they take the same fields as those that
    /// are there; says whether they do.
    #[inline]
    pub(super) fn overwrite(
        bytes: &mut [u8],
        value: RecordValue<'_>,
        expire_at_ms: Option<i64>,
        access: Access,
    ) -> bool {
        let key =
            if bytes[0] & LONG_KEY == 0 { RecordKey::Inside(&[]) } else { RecordKey::Outside(0) };
        let new = Record { key, value, expire_at_ms, access };
        let key_start = usize::from(KEY_START[usize::from(bytes[0] & 0x7F)]);
        let value_start = key_start + usize::from(bytes[4]);
        let old_len = match has_len(bytes[0] & KIND_MASK) {
            true => usize::from(bytes[HEAD]),
            false => value.size(),
        };
        let len = value.size();
        if bytes[0] != new.form() || !is_same_room(value_start + old_len, value_start + len) {
            return false;
        }
        new.write_fields(bytes, key_start, value_start);
        true
    }

    /// Reads the record at the front of `bytes`.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Record<'a> {
        let form = bytes[0];
        let key_start = usize::from(KEY_START[usize::from(form & 0x7F)]);
        let value_start = key_start + usize::from(bytes[4]);
        let field = &bytes[key_start..value_start];
        let key = match form & LONG_KEY {
            0 => RecordKey::Inside(field),
            _ => RecordKey::Outside(u16::from_le_bytes(fixed(field))),
        };
        let rest = &bytes[value_start..];
        let value = match form & KIND_MASK {
            0 => RecordValue::Inside(StrRef::Int(i8::from_le_bytes(fixed(rest)).into())),
            1 => RecordValue::Inside(StrRef::Int(i16::from_le_bytes(fixed(rest)).into())),
            2 => RecordValue::Inside(StrRef::Int(i32::from_le_bytes(fixed(rest)).into())),
            3 => RecordValue::Inside(StrRef::Int(i64::from_le_bytes(fixed(rest)))),
            KIND_TEXT => RecordValue::Inside(StrRef::Embedded(&rest[..usize::from(bytes[HEAD])])),
            KIND_CHANGED_TEXT => {
                RecordValue::Inside(StrRef::Raw(&rest[..usize::from(bytes[HEAD])]))
            }
            KIND_OUTSIDE => RecordValue::Outside(u16::from_le_bytes(fixed(rest))),
            kind => {
                let elements = PackedRef::new(&rest[1..usize::from(bytes[HEAD])], rest[0].into());
                let kind = PACKED_KINDS[usize::from(kind - KIND_PACKED)];
                RecordValue::Packed(PackedValue { kind, elements })
            }
        };
        Record { key, value, expire_at_ms: read_expiry(bytes), access: read_access(bytes) }
    }
}

/// The number of the value of the record at the front of `bytes`, if that is kept outside.
#[inline]
pub(super) fn read_outside_value(bytes: &[u8]) -> Option<OutsideId> {
    if bytes[0] & KIND_MASK != KIND_OUTSIDE {
        return None;
    }
    let start = usize::from(KEY_START[usize::from(bytes[0] & 0x7F)]) + usize::from(bytes[4]);
    Some(u16::from_le_bytes(fixed(&bytes[start..])))
}

/// Whether the record at the front of `bytes` has a packed collection in it.
#[inline]
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes[0] & KIND_MASK >= KIND_PACKED
}

/// The elements of the packed collection in the record at the front of `bytes`.
#[inline]
pub(super) fn elements_mut(bytes: &mut [u8]) -> Option<PackedMut<'_>> {
    if !is_packed(bytes) {
        return None;
    }
    let start = usize::from(KEY_START[usize::from(bytes[0] & 0x7F)]) + usize::from(bytes[4]);
    let end = start + usize::from(bytes[HEAD]);
    let (count, elements) = bytes[start..end].split_first_mut()?;
    Some(PackedMut::new(elements, u32::from(*count)))
}

/// The key of the record at the front of `bytes`.
#[inline]
pub(super) fn read_key(bytes: &[u8]) -> RecordKey<'_> {
    let key_start = usize::from(KEY_START[usize::from(bytes[0] & 0x7F)]);
    let field = &bytes[key_start..key_start + usize::from(bytes[4])];
    match bytes[0] & LONG_KEY {
        0 => RecordKey::Inside(field),
        _ => RecordKey::Outside(u16::from_le_bytes(fixed(field))),
    }
}

/// The expiry of the record at the front of `bytes`.
#[inline]
pub(super) fn read_expiry(bytes: &[u8]) -> Option<i64> {
    let form = bytes[0];
    let end = usize::from(KEY_START[usize::from(form & 0x7F)]);
    match form & EXPIRY_MASK {
        0 => None,
        EXPIRY_SHORT => {
            let mut at_ms = [0; 8];
            at_ms[..6].copy_from_slice(&bytes[end - 6..end]);
            Some(i64::from_le_bytes(at_ms))
        }
        _ => Some(i64::from_le_bytes(fixed(&bytes[end - 8..end]))),
    }
}

#[inline]
pub(super) fn read_access(bytes: &[u8]) -> Access {
    Access::from_bits(u32::from_le_bytes(fixed(bytes)) >> 8)
}

/// Puts a string and an expiry in place of those of the record at the front of `bytes`, if they take the same fields;
/// gives the expiry that was there.
#[inline]
pub(super) fn overwrite_string(
    bytes: &mut [u8],
    string: StrRef<'_>,
    expire_at_ms: Option<i64>,
) -> Option<Option<i64>> {
    if !is_short_string(usize::from(bytes[4]), string) {
        return None;
    }
    let (old_expiry, access) = (read_expiry(bytes), read_access(bytes));
    let value = RecordValue::Inside(string);
    Record::overwrite(bytes, value, expire_at_ms, access).then_some(old_expiry)
}

/// Changes the access clock of the record at the front of `bytes`.
#[inline]
pub(super) fn write_access(bytes: &mut [u8], access: Access) {
    bytes[1..4].copy_from_slice(&access.bits().to_le_bytes()[..3]);
}

fn is_short_expiry(at_ms: i64) -> bool {
    (0..SHORT_EXPIRY_END).contains(&at_ms)
}

/// The form of the smallest field that holds `integer`: it has two to the power of that many bytes.
fn integer_kind(integer: i64) -> u8 {
    if i8::try_from(integer).is_ok() {
        0
    } else if i16::try_from(integer).is_ok() {
        1
    } else if i32::try_from(integer).is_ok() {
        2
    } else {
        3
    }
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a record has all its fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_overwritten_only_by_one_of_the_same_fields() {
        let record = |string, expire_at_ms| Record {
            key: RecordKey::Inside(b"key"),
            value: RecordValue::Inside(string),
            expire_at_ms,
            access: Access::from_bits(5),
        };
        let texts = [StrRef::Int(1), StrRef::Int(200), StrRef::Embedded(b"ab"), StrRef::Raw(b"ab")];
        let texts = texts.into_iter().chain([StrRef::Embedded(b"xyz"), StrRef::Embedded(b"abcde")]);
        let records: Vec<_> = texts.flat_map(|s| [None, Some(9)].map(|e| record(s, e))).collect();
        for old in &records {
            for new in &records {
                let mut bytes = vec![0; 64];
                old.write(&mut bytes);
                let is_done =
                    Record::overwrite(&mut bytes, new.value, new.expire_at_ms, new.access);
                let is_same = old.form() == new.form() && is_same_room(old.size(), new.size());
                assert_eq!(is_done, is_same);
                let expected = if is_done { new } else { old };
                assert_eq!(format!("{:?}", Record::read(&bytes)), format!("{expected:?}"));
            }
        }
    }

    #[test]
    fn what_is_written_is_read_in_as_many_bytes_as_it_says() {
        let strings = [
            (StrRef::Int(-128), 1),
            (StrRef::Int(128), 2),
            (StrRef::Int(-40_000), 4),
            (StrRef::Int(i64::MIN), 8),
            (StrRef::Embedded(b""), 1),
            (StrRef::Embedded(b"text"), 5),
            (StrRef::Raw(&[b'x'; 90]), 91),
        ];
        let values = strings.map(|(string, size)| (RecordValue::Inside(string), size));
        let values = values.into_iter().chain([(RecordValue::Outside(65_534), 2)]);
        for (value, value_size) in values {
            for (key, key_size) in [
                (RecordKey::Inside(b"".as_slice()), 0),
                (RecordKey::Inside(b"key"), 3),
                (RecordKey::Outside(7), 2),
            ] {
                for (expire_at_ms, expiry_size) in
                    [(None, 0), (Some(1 << 47), 6), (Some(1 << 48), 8), (Some(-1), 8)]
                {
                    let access = Access::from_bits(0xAB_CDEF);
                    let record = Record { key, value, expire_at_ms, access };
                    assert_eq!(record.size(), HEAD + value_size + key_size + expiry_size);
                    let mut bytes = vec![0; record.size()];
                    record.write(&mut bytes);
                    let read = Record::read(&bytes);
                    assert_eq!(format!("{read:?}"), format!("{record:?}"));
                    assert_eq!(format!("{:?}", read_key(&bytes)), format!("{key:?}"));
                    assert_eq!(read_expiry(&bytes), expire_at_ms);
                    write_access(&mut bytes, Access::from_bits(1));
                    assert_eq!(Record::read(&bytes).access, Access::from_bits(1));
                }
            }
        }
    }
}
