//! Commands on strings.
//!
//! What they share stands here: storing a whole string, and the expiry options of SET and GETEX ([`expiry`]).

pub mod counter;
mod expiry;
pub mod lcs;
pub mod multi;
pub mod range;
pub mod value;

use crate::context::{KeyEntry, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::types::string::StrRef;

/// What becomes of the expiry of a key that gets a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewExpiry {
    /// The key does not expire.
    Never,
    /// It stays what it was.
    Keep,
    /// In milliseconds since 1970.
    At(i64),
}

/// Stores a string under a key, whatever it held before. The caller reports the event.
fn store(found: &mut KeyEntry<'_, '_, '_>, string: &[u8], expiry: NewExpiry) {
    let expire_at_ms = match expiry {
        NewExpiry::Never => None,
        NewExpiry::Keep => found.expire_at_ms(),
        NewExpiry::At(at_ms) => Some(at_ms),
    };
    found.store_string(StrRef::new(string), expire_at_ms);
}

/// Has `written` replayed as the command `args`.
fn replayed_as(ctx: &mut WriteContext<'_>, written: Written, args: &[&[u8]]) -> Written {
    ctx.journal(args);
    written.journaled()
}

/// The longest string that a command may make: `proto-max-bulk-len`, but what is in the journal was allowed once.
fn len_max(ctx: &WriteContext<'_>) -> usize {
    if ctx.is_replaying { usize::MAX } else { ctx.options.proto_max_bulk_len }
}

/// Refuses a string of `len` and `added` bytes together if that is more than `len_max`.
fn check_len(len: usize, added: usize, len_max: usize) -> Result<(), CommandError> {
    match len.checked_add(added) {
        Some(total) if total <= len_max => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}
