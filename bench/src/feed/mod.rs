//! The market-data feed: the load of a trading platform, with every invariant it relies on checked.
//!
//! | Role | Does | Checks |
//! |---|---|---|
//! | writer ([`writer`]) | per tick, pipelined: HSET and EXPIRE of the snapshot, SET of the state, PUBLISH of the event | each reply; that PUBLISH reached every subscriber |
//! | reader ([`reader`]) | HGETALL and GET | values are whole, never older than what was acknowledged or read before, gone after 60 s and not earlier |
//! | subscriber ([`subscriber`]) | SUBSCRIBE, and a GET now and then | no gap, no step back, the state is at least as new as its event; all subscribers saw the same order |
//! | producer, worker ([`queue`]) | LPUSH; BRPOP with timeout 1 | every task exactly once, in the order of its producer |
//! | leaderboard ([`leaderboard`]) | ZADD once a second; ZREVRANGE 0 4 WITHSCORES | the five are those of one update, in order |
//!
//! A run is deterministic in what it writes: the seed decides which symbol ticks next, and [`content`]
//! makes the texts. A run goes on from the sequence numbers that it finds on the server, so it can
//! follow another one, or a restart. Two feeds at once on one database disturb each other.
//!
//! Reading order: [`content`], [`symbol`] and [`world`] (what the roles share), the roles, [`latency`], [`report`], then
//! [`record`], [`check`] and [`crash`], which are about a server that was killed.

pub mod content;
pub mod symbol;
pub mod world;

pub mod leaderboard;
pub mod queue;
pub mod reader;
pub mod subscriber;
pub mod writer;

pub mod latency;
pub mod report;

pub mod check;
pub mod crash;
pub mod record;

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use redis::RedisResult;

use latency::Latencies;
use report::Report;
use world::{Phase, World};

/// What a run is made of. The limits are checked by [`Options::validate`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the server: `redis://[:password@]host:port/db`, `?protocol=resp3` for RESP3.
    pub url: String,
    /// Decides which symbols tick, and what is pushed.
    pub seed: u64,
    /// How many symbols there are, 1 to 10,000.
    pub symbols: usize,
    /// Writers; each owns its share of the symbols.
    pub writers: usize,
    /// Readers.
    pub readers: usize,
    /// Subscribers of `state_update`.
    pub subscribers: usize,
    /// Producers of `queue:tasks`.
    pub producers: usize,
    /// Workers of `queue:tasks`; without workers there are no producers.
    pub workers: usize,
    /// Ticks per second of all writers together; 0 for as fast as possible.
    pub rate: u64,
    /// Reads per second of all readers together; 0 for as fast as possible.
    pub read_rate: u64,
    /// Pushes per second of each producer.
    pub task_rate: u64,
    /// Most ticks in one pipeline.
    pub batch: usize,
    /// How long to write.
    pub duration: Duration,
    /// Where to record what was acknowledged, if anywhere.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".to_owned(),
            seed: 1,
            symbols: 500,
            writers: 2,
            readers: 3,
            subscribers: 2,
            producers: 1,
            workers: 2,
            rate: 0,
            read_rate: 0,
            task_rate: 500,
            batch: 8,
            duration: Duration::from_secs(10),
            record: None,
        }
    }
}

impl Options {
    /// Most threads of one role.
    pub const ROLE_MAX: usize = 1_000;
    /// Most ticks in one pipeline.
    pub const BATCH_MAX: usize = 10_000;

    /// # Errors
    /// Names the first option that is out of range.
    pub fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, min: usize, max: usize| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(format!("--{name} must be between {min} and {max}, not {value}"))
        };
        within("symbols", self.symbols, 1, content::SYMBOLS_MAX)?;
        within("writers", self.writers, 1, self.symbols.min(Self::ROLE_MAX))?;
        within("readers", self.readers, 0, Self::ROLE_MAX)?;
        within("subscribers", self.subscribers, 0, Self::ROLE_MAX)?;
        within("producers", self.producers, 0, Self::ROLE_MAX)?;
        within("workers", self.workers, 0, Self::ROLE_MAX)?;
        within("batch", self.batch, 1, Self::BATCH_MAX)
    }
}

/// Runs the feed to its end: until the duration is over, an invariant breaks in a way that leaves a
/// role unable to go on, or the connection is lost.
///
/// # Errors
/// When it could not begin: a bad option, no server, a record file that cannot be written.
pub fn run(options: Options) -> Result<Report, String> {
    options.validate()?;
    let world = World::open(options)?;
    let mut latencies = Latencies::default();
    let worked = std::thread::scope(|scope| run_roles(scope, &world, &mut latencies))?;
    world.verify_end();
    Ok(Report::new(&world, worked, &latencies))
}

type Role<'scope> = ScopedJoinHandle<'scope, Latencies>;

/// Starts all roles, lets them run, and ends them in order: first who writes, then who listens.
/// Returns how long all of them worked.
fn run_roles<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    world: &'env World,
    latencies: &mut Latencies,
) -> Result<Duration, String> {
    let options = &world.options;
    let mut listening = Vec::new();
    let mut writing = Vec::new();

    let (subscribed, subscriptions) = mpsc::channel();
    for number in 0..options.subscribers {
        let subscribed = subscribed.clone();
        let role = move |latencies: &mut _| subscriber::run(world, number, &subscribed, latencies);
        listening.push(start(scope, world, "subscriber", role)?);
    }
    drop(subscribed);
    // Ends early when a subscriber failed; the phase is over then.
    for () in subscriptions.iter().take(options.subscribers) {}

    for number in 0..options.readers {
        let role = move |latencies: &mut _| reader::run(world, number, latencies);
        listening.push(start(scope, world, "reader", role)?);
    }
    for _ in 0..options.workers {
        let role = move |latencies: &mut _| queue::run_worker(world, latencies);
        listening.push(start(scope, world, "worker", role)?);
    }
    for number in 0..world.queue.producer_count() {
        let role = move |latencies: &mut _| queue::run_producer(world, number, latencies);
        writing.push(start(scope, world, "producer", role)?);
    }
    let role = move |latencies: &mut _| leaderboard::run_reader(world, latencies);
    listening.push(start(scope, world, "ranking", role)?);
    let role = move |latencies: &mut _| leaderboard::run_updater(world, latencies);
    writing.push(start(scope, world, "leaderboard", role)?);
    for number in 0..options.writers {
        let role = move |latencies: &mut _| writer::run(world, number, latencies);
        writing.push(start(scope, world, "writer", role)?);
    }

    let began = world.clock.elapsed();
    world.wait_until(began + options.duration);
    let worked = world.clock.elapsed() - began;
    world.advance(Phase::Draining);
    join(writing, latencies);
    world.publish_end();
    join(listening, latencies);
    Ok(worked)
}

/// Waits for the end of these roles and adds up what they measured.
fn join(roles: Vec<Role<'_>>, latencies: &mut Latencies) {
    for role in roles {
        latencies.add(&role.join().expect("a role returns its errors and does not panic"));
    }
}

/// Starts one thread of a role. Its error ends the run for all.
fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    world: &'env World,
    name: &'static str,
    role: impl FnOnce(&mut Latencies) -> RedisResult<()> + Send + 'scope,
) -> Result<Role<'scope>, String> {
    let body = move || {
        let mut latencies = Latencies::default();
        if let Err(error) = role(&mut latencies) {
            world.fail(name, &error);
        }
        latencies
    };
    let thread = Builder::new().name(name.to_owned()).spawn_scoped(scope, body);
    thread.map_err(|error| {
        world.advance(Phase::Over);
        format!("cannot start a {name}: {error}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_named() {
        let defaults = Options::default();
        assert_eq!(defaults.validate(), Ok(()));
        let error = Options { symbols: 10_001, ..defaults.clone() }.validate().unwrap_err();
        assert_eq!(error, "--symbols must be between 1 and 10000, not 10001");
        let error = Options { symbols: 3, writers: 4, ..defaults.clone() }.validate().unwrap_err();
        assert_eq!(error, "--writers must be between 1 and 3, not 4");
        assert!(Options { batch: 0, ..defaults }.validate().is_err());
    }

    #[test]
    fn a_run_without_a_server_says_so() {
        let url = "redis://127.0.0.1:1/0".to_owned();
        let error = run(Options { url, ..Options::default() }).unwrap_err();
        assert!(error.contains("cannot connect"), "{error}");
    }
}
