//! SLOWLOG: the last commands that took longer than `slowlog-log-slower-than`.
//!
//! Writers are rare by definition, so one mutex guards the log; a core holds it only to link an entry that
//! is already built. Long commands are cut as Redis cuts them: at most 32 arguments of 128 bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const ARGS_MAX: usize = 32;
const ARG_LEN_MAX: usize = 128;

/// One slow command, as SLOWLOG GET shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowEntry {
    /// Counts up from 0 and never starts again, not even after a reset.
    pub id: u64,
    /// When it ran, in seconds since 1970.
    pub unix_time_s: u64,
    /// How long it ran, in microseconds.
    pub duration_us: u64,
    /// The command and its arguments, cut to size.
    pub args: Vec<Vec<u8>>,
    /// Address of the client.
    pub client_address: String,
    /// Name of the client; empty if it has none.
    pub client_name: Vec<u8>,
}

/// A command that was slow, as its core saw it.
#[derive(Debug, Clone, Copy)]
pub struct SlowCommand<'a, A> {
    /// When it ran, in seconds since 1970.
    pub unix_time_s: u64,
    /// How long it ran, in microseconds.
    pub duration_us: u64,
    /// The command and its arguments, secrets already hidden.
    pub args: &'a [A],
    /// Address of the client.
    pub client_address: &'a str,
    /// Name of the client; empty if it has none.
    pub client_name: &'a [u8],
}

/// The log. Shared by all cores.
#[derive(Debug, Default)]
pub struct SlowLog(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next_id: u64,
    /// Newest first.
    entries: VecDeque<Arc<SlowEntry>>,
}

impl SlowLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> SlowLog {
        SlowLog::default()
    }

    /// Adds a command, and drops the oldest beyond `max_len` (`slowlog-max-len`).
    pub fn push<A: AsRef<[u8]>>(&self, command: SlowCommand<'_, A>, max_len: u64) {
        let args = trim(command.args);
        let mut log = self.lock();
        let entry = SlowEntry {
            id: log.next_id,
            unix_time_s: command.unix_time_s,
            duration_us: command.duration_us,
            args,
            client_address: command.client_address.to_owned(),
            client_name: command.client_name.to_vec(),
        };
        log.next_id += 1;
        log.entries.push_front(Arc::new(entry));
        let max_len = usize::try_from(max_len).unwrap_or(usize::MAX);
        log.entries.truncate(max_len);
    }

    /// The newest entries, newest first; at most `count`.
    #[must_use]
    pub fn get(&self, count: usize) -> Vec<Arc<SlowEntry>> {
        self.lock().entries.iter().take(count).map(Arc::clone).collect()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Says whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries.
    pub fn reset(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No code that can panic runs under the lock between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts a command: the 32nd word stands for all that follow, a long word says how much is missing.
fn trim<A: AsRef<[u8]>>(args: &[A]) -> Vec<Vec<u8>> {
    let kept_count = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let (kept, rest) = args.split_at(kept_count);
    let mut trimmed: Vec<Vec<u8>> = kept.iter().map(|arg| trim_arg(arg.as_ref())).collect();
    if !rest.is_empty() {
        trimmed.push(format!("... ({} more arguments)", rest.len()).into_bytes());
    }
    trimmed
}

fn trim_arg(arg: &[u8]) -> Vec<u8> {
    match arg.split_at_checked(ARG_LEN_MAX) {
        Some((head, rest)) if !rest.is_empty() => {
            [head, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
        }
        _ => arg.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(log: &SlowLog, args: &[&[u8]], max_len: u64) {
        let command = SlowCommand {
            unix_time_s: 100,
            duration_us: 12_345,
            args,
            client_address: "127.0.0.1:5000",
            client_name: b"feed",
        };
        log.push(command, max_len);
    }

    #[test]
    fn newest_first_and_bounded() {
        let log = SlowLog::new();
        for name in [b"a", b"b", b"c"] {
            push(&log, &[name], 2);
        }
        let entries = log.get(10);
        let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [2, 1]);
        assert_eq!(entries[0].args, [b"c".to_vec()]);
        assert_eq!(entries[0].duration_us, 12_345);
        assert_eq!(log.get(1).len(), 1);
        assert_eq!(log.len(), 2);
    }

    #[test]
    fn ids_go_on_after_a_reset() {
        let log = SlowLog::new();
        push(&log, &[b"a"], 9);
        log.reset();
        assert!(log.is_empty());
        push(&log, &[b"b"], 9);
        assert_eq!(log.get(1)[0].id, 1);
    }

    #[test]
    fn a_length_of_zero_keeps_nothing() {
        let log = SlowLog::new();
        push(&log, &[b"a"], 0);
        assert!(log.is_empty());
    }

    #[test]
    fn many_arguments_are_counted_instead() {
        let args = [b"x".as_slice(); 33];
        assert_eq!(trim(&args[..32]).len(), 32);
        let trimmed = trim(&args);
        assert_eq!(trimmed.len(), 32);
        assert_eq!(trimmed[30], b"x");
        assert_eq!(trimmed[31], b"... (2 more arguments)");
    }

    #[test]
    fn long_arguments_are_cut() {
        assert_eq!(trim_arg(&[b'y'; 128]), [b'y'; 128]);
        let expected = [[b'y'; 128].as_slice(), b"... (2 more bytes)"].concat();
        assert_eq!(trim_arg(&[b'y'; 130]), expected);
    }
}
