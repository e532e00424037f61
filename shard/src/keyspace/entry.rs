//! One entry: a value and when it expires.

use crate::call::Now;
use crate::value::Value;

/// A value with its expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// When it expires, in milliseconds since 1970.
    pub expire_at_ms: Option<i64>,
}

impl Entry {
    /// A value that does not expire.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Entry { value, expire_at_ms: None }
    }

    /// Whether its time has come.
    #[must_use]
    pub fn is_expired(&self, now: Now) -> bool {
        self.expire_at_ms.is_some_and(|at| at <= now.unix_ms())
    }
}
