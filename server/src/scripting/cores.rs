//! What one core has for scripts: interpreters, and copies of what all cores know.

use super::Scripts;
use crate::registry::Registry;
use crate::router;
use ahash::AHashMap;
use protocol::request::{Argv, ArgvBuf};
use script::{Catalog, Interpreter, Source};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Interpreters a core keeps while nothing runs in them.
const IDLE_COUNT_MAX: usize = 2;
/// Scripts a core finds without asking; beyond that it begins anew.
const KNOWN_COUNT_MAX: usize = 1000;

/// Bytes of a request or a reply that are kept for the next script, at most.
const KEPT_SIZE_MAX: usize = 64 << 10;

/// Memory for the request and the reply of a script, used again and again.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) argv: ArgvBuf,
    pub(super) reply: Vec<u8>,
}

/// Interpreters and scripts of one core.
#[derive(Default)]
pub struct CoreScripts {
    idle: Vec<Interpreter>,
    /// What each interpreter holds, also while a script runs in it.
    memory: Vec<Rc<Cell<usize>>>,
    spare_buffers: Buffers,
    by_text: AHashMap<Box<[u8]>, Arc<Source>>,
    by_sha: AHashMap<Box<[u8]>, Arc<Source>>,
    flush_count: u64,
    catalog: Arc<Catalog>,
    catalog_version: u64,
}

impl CoreScripts {
    /// An interpreter in which nothing runs.
    ///
    /// # Errors
    /// If there is no memory for one more.
    pub(super) fn take_interpreter(&mut self) -> Result<Interpreter, String> {
        if let Some(interpreter) = self.idle.pop() {
            return Ok(interpreter);
        }
        let interpreter = Interpreter::new()?;
        // Nobody else looks at those of interpreters that have gone.
        self.memory.retain(|memory| Rc::strong_count(memory) > 1);
        self.memory.push(interpreter.memory());
        Ok(interpreter)
    }

    /// Bytes that Lua holds in this core's interpreters.
    #[must_use]
    pub fn memory(&self) -> usize {
        let present = self.memory.iter().filter(|memory| Rc::strong_count(memory) > 1);
        present.map(|memory| memory.get()).sum()
    }

    /// Takes an interpreter back.
    pub(super) fn give_back(&mut self, interpreter: Interpreter) {
        if self.idle.len() < IDLE_COUNT_MAX {
            self.idle.push(interpreter);
        }
    }

    /// Buffers with a copy of a request, and room for its reply.
    pub(super) fn take_buffers(&mut self, argv: Argv<'_>) -> Buffers {
        let mut buffers = std::mem::take(&mut self.spare_buffers);
        buffers.argv.copy_from(argv);
        buffers.reply.clear();
        buffers
    }

    /// Takes buffers back, unless they have become large.
    pub(super) fn keep_buffers(&mut self, buffers: Buffers) {
        if buffers.argv.heap_size().max(buffers.reply.capacity()) <= KEPT_SIZE_MAX {
            self.spare_buffers = buffers;
        }
    }

    /// The script with this text, which is compiled if nobody has it yet.
    ///
    /// # Errors
    /// The text of the error reply, without its code.
    pub(super) fn by_text(
        &mut self,
        all: &Scripts,
        registry: &Registry,
        text: &[u8],
    ) -> Result<Arc<Source>, String> {
        self.forget_flushed(all);
        if let Some(source) = self.by_text.get(text) {
            return Ok(source.clone());
        }
        let sha = script::sha1_hex(text);
        let source = match all.find(&sha) {
            Some(source) => source,
            None => {
                let source = Arc::new(Source::new(text, |name| takes_one_key(registry, name))?);
                let mut interpreter = self.take_interpreter()?;
                let checked = interpreter.check(source.clone());
                self.give_back(interpreter);
                checked.map_err(|problem| {
                    format!("Error compiling script (new function): {problem}")
                })?;
                all.add(source)
            }
        };
        if self.by_text.len() >= KNOWN_COUNT_MAX {
            self.by_text.clear();
        }
        self.by_text.insert(text.into(), source.clone());
        Ok(source)
    }

    /// Whether the text of a script shows that it touches no keys but those it is given. It need not be known, and does not
    /// become so.
    pub(super) fn is_plain_text(&self, registry: &Registry, text: &[u8]) -> bool {
        match self.by_text.get(text) {
            Some(source) => source.is_plain,
            None => Source::new(text, |name| takes_one_key(registry, name))
                .is_ok_and(|source| source.is_plain),
        }
    }

    /// The script with this SHA-1, in any case.
    pub(super) fn by_sha(&mut self, all: &Scripts, sha: &[u8]) -> Option<Arc<Source>> {
        self.forget_flushed(all);
        if let Some(source) = self.by_sha.get(sha) {
            return Some(source.clone());
        }
        let lower = std::str::from_utf8(sha).ok()?.to_ascii_lowercase();
        let source = all.find(&lower)?;
        if self.by_sha.len() >= KNOWN_COUNT_MAX {
            self.by_sha.clear();
        }
        self.by_sha.insert(sha.into(), source.clone());
        Some(source)
    }

    /// The libraries as they are now.
    pub(super) fn catalog(&mut self, all: &Scripts) -> Arc<Catalog> {
        let version = all.catalog_version.load(Ordering::Acquire);
        if version != self.catalog_version {
            self.catalog = all.catalog();
            self.catalog_version = version;
        }
        self.catalog.clone()
    }

    fn forget_flushed(&mut self, all: &Scripts) {
        let flush_count = all.flush_count.load(Ordering::Acquire);
        if flush_count != self.flush_count {
            self.flush_count = flush_count;
            self.by_text.clear();
            self.by_sha.clear();
            // Their compiled scripts go with them.
            self.idle.clear();
        }
    }
}

/// Whether a command has at most one key, as its first argument, and touches no other.
fn takes_one_key(registry: &Registry, name: &[u8]) -> bool {
    registry.find(name).is_some_and(router::takes_one_key)
}
