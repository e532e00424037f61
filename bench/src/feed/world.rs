//! What the threads of a run share: the symbols, the phase, and what went wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Client, Connection, RedisError, RedisResult};

use super::record::Recorder;
use super::symbol::{self, SWEEP_BATCH, Symbol, must_have_snapshot};
use super::{Options, content, leaderboard, queue};
use crate::clock::Clock;
use crate::random::{Random, mix, zipf_weight};

/// No reply may take longer.
const REPLY_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Events that may be on their way to a subscriber before the writers wait for it. Far below the output
/// buffer limit of 32 MB at which Redis drops a subscriber.
const EVENTS_BEHIND_MAX: u64 = 20_000;
/// How long a writer waits before it looks at the subscribers again.
const BEHIND_PAUSE: Duration = Duration::from_millis(1);
/// Texts of violations that are kept; the rest is counted.
const EXAMPLES_MAX: usize = 10;

/// What a run is doing. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everybody works.
    Running,
    /// Writers end; listeners take what is left.
    Draining,
    /// Everybody ends.
    Over,
}

/// An invariant that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// A value that is not exactly one tick's.
    Torn,
    /// A value older than one acknowledged or read before.
    Stale,
    /// A value that should be there and is not.
    Missing,
    /// A value that should have expired.
    Expired,
    /// Events that a subscriber did not get.
    Gap,
    /// Events in another order than published, or twice.
    Order,
    /// A task lost, doubled or out of order.
    Task,
    /// A ranking that never was.
    Ranking,
    /// A reply that means something else than success.
    Reply,
    /// The record of acknowledged ticks could not be written.
    Record,
}

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The duration was over.
    Completed,
    /// A connection was lost; which and how.
    Disconnected(String),
    /// A role could not go on; the violations say why.
    Stopped,
}

/// The shared state of a run.
#[derive(Debug)]
pub struct World {
    /// What the run is made of.
    pub options: Options,
    /// The run's time axis.
    pub clock: Clock,
    /// Tells this run's tasks and end event from those of other runs.
    pub run: u64,
    /// By index; [`content::symbol_name`] gives the names.
    pub symbols: Vec<Symbol>,
    /// Symbol indexes, most active first.
    pub ranking: Vec<usize>,
    /// What became of the tasks.
    pub queue: queue::Ledger,
    /// Which updates of the leaderboard may be read.
    pub rounds: leaderboard::Rounds,
    /// Events acknowledged by the server.
    pub published: AtomicU64,
    /// Events received, by subscriber.
    pub received: Vec<AtomicU64>,
    /// Rolling hashes over all events, one of each subscriber that got to the end.
    pub event_orders: Mutex<Vec<u64>>,
    /// Where acknowledged ticks are recorded.
    pub recorder: Option<Recorder>,
    client: Client,
    symbol_index: HashMap<String, usize>,
    phase: AtomicU8,
    phase_lock: Mutex<()>,
    phase_changed: Condvar,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    disconnected: Option<String>,
    stopped: bool,
    counts: BTreeMap<Violation, u64>,
    examples: Vec<String>,
}

impl World {
    /// Connects, reads where the stored ticks stand, and opens the record file.
    ///
    /// # Errors
    /// When there is no server, or the file cannot be written.
    pub fn open(options: Options) -> Result<Self, String> {
        let client = Client::open(options.url.as_str())
            .map_err(|error| format!("--url {}: {error}", options.url))?;
        let mut connection = connect(&client)
            .map_err(|error| format!("cannot connect to {}: {error}", options.url))?;
        // A missing password is told best by a command of its own.
        let ponged = redis::cmd("PING").query::<String>(&mut connection);
        ponged.map_err(|error| format!("{} refuses: {error}", options.url))?;
        let clock = Clock::start();
        let symbols = symbol::read_symbols(&mut connection, options.symbols)?;
        let mut ranking: Vec<usize> = (0..symbols.len()).collect();
        Random::new(options.seed).shuffle(&mut ranking);
        let symbol_index =
            symbols.iter().enumerate().map(|(index, symbol)| (symbol.name.clone(), index));
        let recorder = match &options.record {
            Some(path) => Some(Recorder::create(path, &options, clock.started_unix_us())?),
            None => None,
        };
        Ok(Self {
            clock,
            run: clock.started_unix_us(),
            symbol_index: symbol_index.collect(),
            symbols,
            ranking,
            queue: queue::Ledger::new(if options.workers == 0 { 0 } else { options.producers }),
            rounds: leaderboard::Rounds::new(clock.started_unix_us() / 1_000_000),
            published: AtomicU64::new(0),
            received: (0..options.subscribers).map(|_| AtomicU64::new(0)).collect(),
            event_orders: Mutex::default(),
            recorder,
            client,
            phase: AtomicU8::new(Phase::Running as u8),
            phase_lock: Mutex::default(),
            phase_changed: Condvar::new(),
            trouble: Mutex::default(),
            options,
        })
    }

    /// A new connection to the server.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn connect(&self) -> RedisResult<Connection> {
        connect(&self.client)
    }

    /// A generator of its own for each thread of each role.
    #[must_use]
    pub fn random(&self, role: &str, number: usize) -> Random {
        let role = role.bytes().fold(0, |hash, letter| mix(hash ^ u64::from(letter)));
        Random::new(mix(self.options.seed) ^ role ^ mix(number as u64))
    }

    /// Symbol indexes and their weights, by the law of Zipf, for one of `shares` that together have
    /// all symbols.
    #[must_use]
    pub fn share(&self, number: usize, shares: usize) -> (Vec<usize>, Vec<f64>) {
        let ranks = || (number..self.ranking.len()).step_by(shares);
        (ranks().map(|rank| self.ranking[rank]).collect(), ranks().map(zipf_weight).collect())
    }

    /// The index of a symbol by its name.
    #[must_use]
    pub fn symbol_index(&self, name: &str) -> Option<usize> {
        self.symbol_index.get(name).copied()
    }

    /// What the run is doing now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Over,
        }
    }

    /// Goes on to `phase`, if the run is not already there or past it.
    pub fn advance(&self, phase: Phase) {
        let _guard = lock(&self.phase_lock);
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.phase_changed.notify_all();
    }

    /// Waits until this time of the run, or until it is no longer [`Phase::Running`], which it tells.
    pub fn wait_until(&self, at: Duration) -> Phase {
        if at <= self.clock.elapsed() {
            return self.phase(); // Without the lock: who works as fast as possible comes this way.
        }
        let mut guard = lock(&self.phase_lock);
        loop {
            let left = at.saturating_sub(self.clock.elapsed());
            let phase = self.phase();
            if left.is_zero() || phase != Phase::Running {
                return phase;
            }
            let waited = self.phase_changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits, while the run is [`Phase::Running`], for subscribers that are far behind. A platform ticks at
    /// its own pace; a load generator must not drown its own subscribers.
    pub fn wait_for_subscribers(&self) {
        let is_behind = || {
            let published = self.published.load(Ordering::Relaxed);
            let received = self.received.iter().map(|count| count.load(Ordering::Relaxed)).min();
            received.is_some_and(|received| published.saturating_sub(received) > EVENTS_BEHIND_MAX)
        };
        while is_behind() && self.phase() == Phase::Running {
            self.wait_until(self.clock.elapsed() + BEHIND_PAUSE);
        }
    }

    /// Notes that an invariant broke.
    pub fn violate(&self, violation: Violation, text: impl Into<String>) {
        let mut trouble = lock(&self.trouble);
        *trouble.counts.entry(violation).or_default() += 1;
        if trouble.examples.len() < EXAMPLES_MAX {
            trouble.examples.push(format!("{violation:?}: {}", text.into()));
        }
    }

    /// Ends the run because of the error that a role met.
    pub fn fail(&self, role: &str, error: &RedisError) {
        let lost = error.is_io_error() && !error.is_timeout();
        if lost || error.is_connection_dropped() {
            let mut trouble = lock(&self.trouble);
            trouble.disconnected.get_or_insert_with(|| format!("{role}: {error}"));
        } else {
            self.stop(Violation::Reply, format!("{role}: {error}"));
        }
        self.advance(Phase::Over);
    }

    /// Ends the run because a role cannot go on.
    pub fn stop(&self, violation: Violation, text: impl Into<String>) {
        self.violate(violation, text);
        lock(&self.trouble).stopped = true;
        self.advance(Phase::Over);
    }

    /// How the run ended, or stands.
    #[must_use]
    pub fn ending(&self) -> Ending {
        let trouble = lock(&self.trouble);
        match &trouble.disconnected {
            Some(reason) => Ending::Disconnected(reason.clone()),
            None if trouble.stopped => Ending::Stopped,
            None => Ending::Completed,
        }
    }

    /// How often each invariant broke, and some of the texts.
    #[must_use]
    pub fn violations(&self) -> (BTreeMap<Violation, u64>, Vec<String>) {
        let trouble = lock(&self.trouble);
        (trouble.counts.clone(), trouble.examples.clone())
    }

    /// Publishes the event that ends the subscribers.
    pub fn publish_end(&self) {
        if self.phase() == Phase::Over || self.options.subscribers == 0 {
            return;
        }
        let published = self.connect().and_then(|mut connection| {
            redis::cmd("PUBLISH")
                .arg(content::EVENT_CHANNEL)
                .arg(content::end_json(self.run))
                .query::<u64>(&mut connection)
        });
        if let Err(error) = published {
            self.fail("end event", &error);
        }
    }

    /// After the last tick: every symbol stands exactly where its writer left it, every task was
    /// done, and all subscribers saw one order. A run that was cut off is not held to that.
    pub fn verify_end(&self) {
        if self.ending() != Ending::Completed {
            return;
        }
        let swept = self.connect().and_then(|mut connection| self.verify_symbols(&mut connection));
        if let Err(error) = swept {
            self.fail("last look", &error);
        }
        self.queue.verify_end(self);
        let orders = lock(&self.event_orders);
        if orders.windows(2).any(|pair| pair[0] != pair[1]) {
            self.violate(Violation::Order, "two subscribers saw different orders of events");
        }
    }

    fn verify_symbols(&self, connection: &mut Connection) -> RedisResult<()> {
        for symbols in self.symbols.chunks(SWEEP_BATCH) {
            let values = symbol::read_values(connection, symbols)?;
            let now_us = self.clock.elapsed_us();
            for (symbol, (state, snapshot)) in symbols.iter().zip(values) {
                let expected = symbol.acknowledged();
                let state = state.map(|text| content::check_state(&symbol.name, &text)).transpose();
                self.verify_value("state", symbol, state, expected != 0);
                // A snapshot of an earlier run is only held to being whole.
                let at_us = symbol.acknowledged_at_us();
                match content::check_snapshot(&symbol.name, &snapshot) {
                    Ok(_) if at_us == 0 => {}
                    value => {
                        let must_exist = must_have_snapshot(at_us, now_us);
                        self.verify_value("snapshot", symbol, value, must_exist);
                    }
                }
            }
        }
        Ok(())
    }

    fn verify_value(
        &self,
        what: &str,
        symbol: &Symbol,
        stored: Result<Option<u64>, String>,
        must_exist: bool,
    ) {
        let (name, expected) = (&symbol.name, symbol.acknowledged());
        match stored {
            Err(text) => self.violate(Violation::Torn, text),
            Ok(Some(sequence)) if sequence != expected => {
                let text = format!("{what} of {name} ends at {sequence}, acknowledged {expected}");
                self.violate(Violation::Stale, text);
            }
            Ok(None) if must_exist => {
                self.violate(Violation::Missing, format!("{what} of {name} is gone"));
            }
            Ok(_) => {}
        }
    }
}

/// A connection that gives up on a server that does not answer.
///
/// # Errors
/// When it cannot be made.
pub fn connect(client: &Client) -> RedisResult<Connection> {
    let connection = client.get_connection_with_timeout(CONNECT_WITHIN)?;
    connection.set_read_timeout(Some(REPLY_WITHIN))?;
    connection.set_write_timeout(Some(REPLY_WITHIN))?;
    Ok(connection)
}

/// Locks, also after a panic elsewhere: what the mutexes of a run hold is valid at any time.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
