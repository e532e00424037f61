//! One entry: a value, when it expires and when it was last used. [`Entry`] owns its value and goes into a table or
//! comes out of one; [`EntryRef`] is what a lookup gives.

use crate::call::Now;
use crate::keyspace::access::Access;
use crate::keyspace::table::Place;
use crate::value::{Value, ValueRef};

/// A value with its expiry, on its way into a table or out of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    expire_at_ms: Option<i64>,
    access: Option<Access>,
}

impl Entry {
    /// A value that does not expire.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Entry { value, expire_at_ms: None, access: None }
    }

    /// A value that expires at `at_ms`, in milliseconds since 1970.
    #[must_use]
    pub fn expiring(value: Value, at_ms: i64) -> Self {
        Entry::new(value).with_expiry(Some(at_ms))
    }

    /// The same entry with another expiry, in milliseconds since 1970; `None` if it never expires.
    #[must_use]
    pub fn with_expiry(mut self, at_ms: Option<i64>) -> Self {
        self.expire_at_ms = at_ms;
        self
    }

    /// The same entry, last used as `access` says: storing it is no use of it then.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// When it expires, in milliseconds since 1970.
    #[must_use]
    pub fn expire_at_ms(&self) -> Option<i64> {
        self.expire_at_ms
    }

    /// When it was last used, if somebody has said so.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        self.access
    }
}

/// An entry of a table, to read.
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'a> {
    /// The value.
    pub value: ValueRef<'a>,
    pub(super) expire_at_ms: Option<i64>,
    pub(super) access: Access,
    pub(super) place: Place,
}

/// Whether an expiry, in milliseconds since 1970, lies in the past.
#[inline]
pub(crate) fn is_past(expire_at_ms: Option<i64>, now: Now) -> bool {
    expire_at_ms.is_some_and(|at_ms| at_ms < now.unix_ms())
}

impl EntryRef<'_> {
    /// When it expires, in milliseconds since 1970.
    #[must_use]
    pub fn expire_at_ms(&self) -> Option<i64> {
        self.expire_at_ms
    }

    /// Whether its time has come.
    #[must_use]
    #[inline]
    pub fn is_expired(&self, now: Now) -> bool {
        is_past(self.expire_at_ms, now)
    }

    /// How it has been used.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// A copy that owns its value: the same value and expiry; when it was used stays behind. Cost: a copy of the value.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        Entry::new(self.value.to_value()).with_expiry(self.expire_at_ms)
    }

    /// Where it lies; good until the next change of the table.
    pub(crate) fn place(&self) -> Place {
        self.place
    }
}
