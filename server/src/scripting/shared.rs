//! What all cores know of scripts: texts, libraries, and what runs for long.

use parking_lot::Mutex;
use script::{Catalog, Source};
use shard::locks::Claims;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Scripts and libraries of the server. The locks are taken on rare paths only: cores keep copies and look at the numbers.
#[derive(Debug, Default)]
pub struct Scripts {
    /// Scripts by their SHA-1.
    sources: Mutex<HashMap<String, Arc<Source>>>,
    /// How often SCRIPT FLUSH has run: copies of an earlier time are not valid any more.
    pub(super) flush_count: AtomicU64,
    catalog: Mutex<Arc<Catalog>>,
    /// How often the libraries have changed.
    pub(super) catalog_version: AtomicU64,
    running: Mutex<Vec<Arc<Running>>>,
    /// How many of them are busy.
    busy_count: AtomicUsize,
    /// Whether one that has written asks for all shards: two would wait for each other.
    is_widening: AtomicBool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call what they otherwise may not.
    pub is_deny_disabled: AtomicBool,
}

/// What a script gets that has written on one shard and can have no other any more, since somebody else may have been
/// there already who waits for what it has touched.
pub(crate) const CANNOT_WIDEN: &str = "ERR Script touched a key of another shard that it has not declared, after it has written, while somebody else used \
     keys of both. Declare all keys in KEYS, or give them one hash tag; when it runs again, all shards are locked for it";

/// A script that runs for longer than one go.
#[derive(Debug)]
pub struct Running {
    /// Its SHA-1, or the function.
    pub name: String,
    /// The request.
    pub argv: Vec<Vec<u8>>,
    /// Whether it is a function.
    pub is_function: bool,
    /// When it began, in microseconds since 1970.
    pub began_at_us: i64,
    /// Whether it has written something.
    pub has_written: AtomicBool,
    /// Whether somebody wants it to end.
    pub is_killed: AtomicBool,
    /// What others must wait for.
    pub holds: Holds,
    /// Whether it has been running for so long that others get an error instead of waiting.
    pub is_busy: AtomicBool,
}

/// What a script that runs for long has locked.
#[derive(Debug)]
pub enum Holds {
    /// A whole shard.
    Shard(usize),
    /// All shards.
    Everything,
    /// Some keys.
    Keys(BTreeSet<Box<[u8]>>),
}

impl Holds {
    /// Whether some of `claims` must wait for it, on a shard where it holds something.
    #[must_use]
    pub fn meets(&self, claims: &Claims) -> bool {
        match self {
            Holds::Shard(_) | Holds::Everything => true,
            Holds::Keys(keys) => keys.iter().any(|key| claims.has(key)),
        }
    }
}

/// Why a script cannot be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unkillable {
    /// There is none.
    NotBusy,
    /// It has written.
    HasWritten,
    /// It is a function, and a script was meant, or the other way round.
    OtherKind,
}

impl Scripts {
    /// The script with this SHA-1, in lower case.
    #[must_use]
    pub fn find(&self, sha: &str) -> Option<Arc<Source>> {
        self.sources.lock().get(sha).cloned()
    }

    /// Adds a script; the one with this text that is there already stays.
    pub fn add(&self, source: Arc<Source>) -> Arc<Source> {
        self.sources.lock().entry(source.sha.clone()).or_insert(source).clone()
    }

    /// Forgets all scripts.
    pub fn flush(&self) {
        let mut sources = self.sources.lock();
        sources.clear();
        self.flush_count.fetch_add(1, Ordering::Release);
    }

    /// How many scripts there are, and the bytes of their texts.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let sources = self.sources.lock();
        (sources.len(), sources.values().map(|source| source.text.len()).sum())
    }

    /// The libraries as they are now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.lock().clone()
    }

    /// Replaces the libraries.
    pub fn set_catalog(&self, catalog: Catalog) {
        let mut current = self.catalog.lock();
        *current = Arc::new(catalog);
        self.catalog_version.fetch_add(1, Ordering::Release);
    }

    /// Enters a script that runs for long.
    pub(super) fn enter(&self, running: Arc<Running>) {
        self.running.lock().push(running);
    }

    /// A script that held one shard holds everything now; returns how it is shown from now on.
    pub(super) fn hold_everything(&self, running: &Arc<Running>) -> Arc<Running> {
        let load = |flag: &AtomicBool| flag.load(Ordering::Acquire).into();
        let wider = Arc::new(Running {
            name: running.name.clone(),
            argv: running.argv.clone(),
            is_function: running.is_function,
            began_at_us: running.began_at_us,
            has_written: load(&running.has_written),
            is_killed: load(&running.is_killed),
            holds: Holds::Everything,
            is_busy: false.into(),
        });
        self.leave(running);
        self.enter(wider.clone());
        wider
    }

    /// It has ended.
    pub(super) fn leave(&self, running: &Arc<Running>) {
        self.running.lock().retain(|other| !Arc::ptr_eq(other, running));
        if running.is_busy.load(Ordering::Relaxed) {
            self.busy_count.fetch_sub(1, Ordering::Release);
        }
    }

    /// Whether a script that has written may ask for all shards: one at a time, until [`Scripts::end_widening`].
    #[must_use]
    pub(super) fn begin_widening(&self) -> bool {
        !self.is_widening.swap(true, Ordering::AcqRel)
    }

    /// It has them, or has not got them.
    pub(super) fn end_widening(&self) {
        self.is_widening.store(false, Ordering::Release);
    }

    /// From now on others get an error instead of waiting for it.
    pub(super) fn note_busy(&self, running: &Running) {
        if !running.is_busy.swap(true, Ordering::Relaxed) {
            self.busy_count.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether some script has been running for too long.
    #[must_use]
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.busy_count.load(Ordering::Relaxed) > 0
    }

    /// The first script that has been running for too long and of whose locks `is_needed` is true.
    #[must_use]
    pub fn busy(&self, is_needed: impl Fn(&Holds) -> bool) -> Option<Arc<Running>> {
        let running = self.running.lock();
        let is_it =
            |one: &&Arc<Running>| one.is_busy.load(Ordering::Relaxed) && is_needed(&one.holds);
        running.iter().find(is_it).cloned()
    }

    /// The script that has been running longest.
    #[must_use]
    pub fn longest(&self) -> Option<Arc<Running>> {
        self.running.lock().first().cloned()
    }

    /// Ends all scripts, or functions, that have not written.
    ///
    /// # Errors
    /// Why none was ended.
    pub fn kill(&self, is_function: bool) -> Result<(), Unkillable> {
        let mut result = Err(Unkillable::NotBusy);
        for running in &*self.running.lock() {
            let one = if running.has_written.load(Ordering::Acquire) {
                Err(Unkillable::HasWritten)
            } else if running.is_function != is_function {
                Err(Unkillable::OtherKind)
            } else {
                running.is_killed.store(true, Ordering::Release);
                Ok(())
            };
            if result.is_err() && (one.is_ok() || result == Err(Unkillable::NotBusy)) {
                result = one;
            }
        }
        result
    }
}
