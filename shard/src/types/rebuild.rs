//! Rebuilding: the commands that make a value again, for the journal (COPY and RENAME between shards, rewrites).
//!
//! Path: each type's `rebuild` -> here -> the journal.

use protocol::request::ArgvBuf;

/// Most members of a collection in one command.
pub const BATCH_MEMBERS_MAX: usize = 64;

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
