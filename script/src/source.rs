//! The text of a script, known to the whole server; each interpreter compiles it for itself.

use crate::habits::Habits;
use crate::header::{self, ScriptFlags};
use crate::{reach, sha1_hex};
use std::sync::atomic::{AtomicU64, Ordering};

/// A script for EVAL.
#[derive(Debug)]
pub struct Source {
    /// Its number, which no other source has.
    pub id: u64,
    /// The SHA-1 of its text.
    pub sha: String,
    /// What its first line promises.
    pub flags: ScriptFlags,
    /// The whole text.
    pub text: Box<[u8]>,
    code_start: usize,
    /// Whether its text shows that it touches no keys but those it is given.
    pub is_plain: bool,
    /// Where it has been seen to go.
    pub habits: Habits,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Source {
    /// Reads the first line of `text`. `takes_one_key` knows the commands that have at most one key, as their first
    /// argument.
    ///
    /// # Errors
    /// The text of the error reply, without its code.
    pub fn new(text: &[u8], takes_one_key: impl Fn(&[u8]) -> bool) -> Result<Source, String> {
        let (flags, code) = header::script(text)?;
        let is_plain = reach::touches_only_its_keys(code, takes_one_key);
        Ok(Source {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            sha: sha1_hex(text),
            flags,
            text: text.into(),
            code_start: text.len() - code.len(),
            is_plain,
            habits: Habits::default(),
        })
    }

    /// What is compiled: all but the first line.
    #[must_use]
    pub fn code(&self) -> &[u8] {
        &self.text[self.code_start..]
    }
}
