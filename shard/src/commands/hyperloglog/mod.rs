//! Commands on HyperLogLogs: strings that estimate how many different elements were added.

pub mod count;
pub mod debug;

use crate::error::CommandError;
use crate::types::hyperloglog::NotValid;

impl From<NotValid> for CommandError {
    fn from(not_valid: NotValid) -> Self {
        CommandError::text(match not_valid {
            NotValid::Foreign => "WRONGTYPE Key is not a valid HyperLogLog string value.",
            NotValid::Corrupted => "INVALIDOBJ Corrupted HLL object detected",
        })
    }
}
