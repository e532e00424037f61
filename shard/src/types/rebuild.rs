//! Rebuilding: the commands that make a value again, for the journal (COPY and RENAME between shards, rewrites).
//!
//! Path: each type's `rebuild` -> here -> the journal.

use crate::keyspace::entry::Entry;
use crate::value::Value;
use protocol::request::ArgvBuf;

/// Most members of a collection in one command.
pub const BATCH_MEMBERS_MAX: usize = 64;

/// Hands on commands that make `entry` under `key`, where there is no such key yet, in order.
pub fn commands(key: &[u8], entry: &Entry, emit: &mut dyn FnMut(ArgvBuf)) {
    match &entry.value {
        Value::String(string) => {
            string.with_bytes(|bytes| emit([b"SET".as_slice(), key, bytes].into_iter().collect()));
        }
        Value::List(list) => list.rebuild(key, emit),
        Value::Set(set) => set.rebuild(key, emit),
        Value::SortedSet(set) => set.rebuild(key, emit),
        Value::Hash(hash) => hash.rebuild(key, emit),
    }
    if let Some(at_ms) = entry.expire_at_ms() {
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
