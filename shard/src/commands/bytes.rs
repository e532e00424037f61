//! Strings as bytes, for commands that look into them or change them inside: bitmaps and HyperLogLogs.
//!
//! What is changed through here has the encoding `raw`, as in Redis.

use super::Piece;
use crate::context::{ReadContext, WriteContext};
use crate::error::CommandError;
use crate::keyspace::entry::Entry;
use crate::types::string::Str;
use crate::value::Value;
use protocol::request::Argv;

/// Hands the bytes of the string under `key` to `read`; `None` if there is no such key.
///
/// # Errors
/// WRONGTYPE.
pub(super) fn read<T>(
    ctx: &ReadContext<'_>,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, CommandError> {
    Ok(ctx.get_string(key)?.map(|string| string.with_bytes(read)))
}

/// The same for a write that also looks at keys it leaves alone: counts a hit or a miss, as a read does.
///
/// # Errors
/// WRONGTYPE.
pub(super) fn read_in_write<T>(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, CommandError> {
    let found = ctx.entry(key).counted();
    Ok(found.value::<Str>()?.map(|string| string.with_bytes(read)))
}

/// A string that is about to be changed.
pub(super) struct Edited<'a> {
    string: &'a mut Str,
    /// Whether there was no such key: the string is empty then.
    pub(super) is_new: bool,
}

impl<'a> Edited<'a> {
    /// Hands the bytes to `read` and leaves the encoding as it is.
    pub(super) fn look<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        self.string.with_bytes(read)
    }

    /// The bytes, to change them.
    pub(super) fn bytes(self) -> &'a mut Vec<u8> {
        self.string.make_raw()
    }
}

/// Hands the string under `key` to `edit`; makes an empty string if there is no such key. The caller
/// reports the event.
///
/// # Errors
/// WRONGTYPE.
pub(super) fn edit<T>(
    ctx: &mut WriteContext<'_>,
    key: &[u8],
    edit: impl FnOnce(Edited<'_>) -> T,
) -> Result<T, CommandError> {
    let mut found = ctx.entry(key);
    let is_new = !found.exists();
    if is_new {
        found.store(raw(Vec::new()));
    }
    let mut string = found.value_mut::<Str>()?.expect("it was there or has just been stored");
    Ok(edit(Edited { string: &mut string, is_new }))
}

/// An entry with these bytes that does not expire.
pub(super) fn raw(bytes: Vec<u8>) -> Entry {
    Entry::new(Value::String(Str::Raw(bytes)))
}

/// A copy of the string under key number `key_index`, for a command over several shards. A key of another type is just
/// present: of several mistakes the one of the first key counts, and only [`read_piece`] goes by the order of the keys.
pub(super) fn piece(ctx: &ReadContext<'_>, key_index: usize, argv: Argv<'_>) -> Piece {
    let key = argv.get(key_index).expect("an index of a key");
    match ctx.find(key) {
        None => Piece::Missing,
        Some(entry) if entry.value.as_type::<Str>().is_err() => Piece::Present,
        Some(entry) => Piece::Entry(Box::new(entry.to_entry())),
    }
}

/// Hands the bytes of a piece to `read`; `None` if there is no such key.
///
/// # Errors
/// WRONGTYPE.
pub(super) fn read_piece<T>(
    piece: &Piece,
    read: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, CommandError> {
    match piece {
        Piece::Entry(entry) => Ok(Some(entry.value.view().as_type::<Str>()?.with_bytes(read))),
        Piece::Missing => Ok(None),
        Piece::Present => Err(CommandError::WrongType),
    }
}
