//! One entry: a value, when it expires and when it was last used.

use crate::call::Now;
use crate::keyspace::access::AccessClock;
use crate::value::Value;

/// Stands for "does not expire" in [`Entry::expire_at_ms`]'s field: one word instead of two.
const NEVER: i64 = i64::MIN;

/// A value with its expiry.
///
/// The value may be changed in place. The expiry may not: the table counts expiring entries, so it changes through
/// [`KeyEntry::set_expiry`](crate::context::KeyEntry::set_expiry) or with the whole entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    expire_at_ms: i64,
    accessed: AccessClock,
}

impl Entry {
    /// A value that does not expire.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Entry { value, expire_at_ms: NEVER, accessed: AccessClock::default() }
    }

    /// A value that expires at `at_ms`, in milliseconds since 1970.
    #[must_use]
    pub fn expiring(value: Value, at_ms: i64) -> Self {
        Entry::new(value).with_expiry(Some(at_ms))
    }

    /// The same entry with another expiry, in milliseconds since 1970; `None` if it never expires.
    #[must_use]
    pub fn with_expiry(mut self, at_ms: Option<i64>) -> Self {
        self.set_expiry(at_ms);
        self
    }

    /// When it expires, in milliseconds since 1970.
    #[must_use]
    pub fn expire_at_ms(&self) -> Option<i64> {
        (self.expire_at_ms != NEVER).then_some(self.expire_at_ms)
    }

    /// Whether its time has come.
    #[must_use]
    pub fn is_expired(&self, now: Now) -> bool {
        self.expire_at_ms < now.unix_ms() && self.expire_at_ms != NEVER
    }

    /// How it has been used.
    #[must_use]
    pub fn accessed(&self) -> &AccessClock {
        &self.accessed
    }

    /// Only the table calls this on an entry it holds: it counts what expires.
    pub(super) fn set_expiry(&mut self, at_ms: Option<i64>) {
        self.expire_at_ms = at_ms.unwrap_or(NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::string::Str;

    #[test]
    fn an_entry_expires_in_the_millisecond_it_names() {
        let entry = Entry::expiring(Value::String(Str::Int(1)), 5);
        assert!(!entry.is_expired(Now { unix_us: 5_999 }));
        assert!(entry.is_expired(Now { unix_us: 6_000 }));
        assert_eq!(entry.expire_at_ms(), Some(5));
        let entry = entry.with_expiry(None);
        assert_eq!(entry.expire_at_ms(), None);
        assert!(!entry.is_expired(Now { unix_us: i64::MAX }));
    }
}
