//! Rebuilding: the commands that make a value again, for the journal (COPY and RENAME between shards, rewrites).
//!
//! Path: each type's `rebuild` -> here -> the journal.

use crate::value::ValueRef;
use protocol::request::ArgvBuf;

/// Most members of a collection in one command.
pub const BATCH_MEMBERS_MAX: usize = 64;

/// Hands on commands that make `value` under `key`, where there is no such key yet, in order; `expire_at_ms` is in
/// milliseconds since 1970.
pub fn commands(
    key: &[u8],
    value: ValueRef<'_>,
    expire_at_ms: Option<i64>,
    emit: &mut dyn FnMut(ArgvBuf),
) {
    match value {
        ValueRef::String(string) => {
            string.with_bytes(|bytes| emit([b"SET".as_slice(), key, bytes].into_iter().collect()));
        }
        ValueRef::List(list) => list.rebuild(key, emit),
        ValueRef::Set(set) => set.rebuild(key, emit),
        ValueRef::SortedSet(set) => set.rebuild(key, emit),
        ValueRef::Hash(hash) => hash.rebuild(key, emit),
        ValueRef::Stream(stream) => stream.rebuild(key, emit),
    }
    if let Some(at_ms) = expire_at_ms {
        let mut digits = itoa::Buffer::new();
        let at_ms = digits.format(at_ms).as_bytes();
        emit([b"PEXPIREAT".as_slice(), key, at_ms].into_iter().collect());
    }
}

/// Collects members into commands of at most [`BATCH_MEMBERS_MAX`].
pub(crate) struct Batches<'a> {
    /// What each command begins with: its name and the key.
    head: ArgvBuf,
    emit: &'a mut dyn FnMut(ArgvBuf),
    command: ArgvBuf,
    member_count: usize,
}

impl<'a> Batches<'a> {
    /// Commands that begin with `head` and are handed to `emit`.
    pub(crate) fn new(head: &[&[u8]], emit: &'a mut dyn FnMut(ArgvBuf)) -> Self {
        let head = head.iter().copied().collect::<ArgvBuf>();
        Batches { command: head.clone(), head, emit, member_count: 0 }
    }

    /// Adds one member: one argument, or several that belong together.
    pub(crate) fn push(&mut self, member: &[&[u8]]) {
        if self.member_count == BATCH_MEMBERS_MAX {
            let next = self.head.clone();
            (self.emit)(std::mem::replace(&mut self.command, next));
            self.member_count = 0;
        }
        member.iter().for_each(|arg| self.command.push(arg));
        self.member_count += 1;
    }

    /// Hands out what is left.
    pub(crate) fn finish(self) {
        if self.member_count > 0 {
            (self.emit)(self.command);
        }
    }
}
