//! Whatever concurrent clients see can be explained by one order of their operations, on any number of shards: commands
//! over several shards, transactions, watched keys, clients that wait, keys that expire, clients that go away.
//!
//! `ATOMIC_SEED=n` repeats the choices of the clients (not their timing), `ATOMIC_SECONDS=n` makes it last longer.

use std::time::{Duration, Instant};

use blackbox::rng::{Rng, seed_from_env};
use blackbox::serializability::checker::check;
use blackbox::serializability::recorder::{Plan, record};
use blackbox::server::Options;

/// How long each number of shards is tried.
fn patience() -> Duration {
    let seconds = std::env::var("ATOMIC_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

fn histories_can_be_explained(shards: usize) {
    let first_seed = seed_from_env("ATOMIC_SEED");
    let mut seeds = Rng::new(first_seed);
    let server = Options::rialto().shards(shards).start();
    let begun_at = Instant::now();
    let (mut history_count, mut event_count) = (0, 0);
    while begun_at.elapsed() < patience() {
        let seed = if history_count == 0 { first_seed } else { seeds.next_u64() };
        let clients = 2 + history_count % 5;
        let history = record(&server, Plan { clients, operations: 60, seed });
        if let Err(violation) = check(&history) {
            panic!("ATOMIC_SEED={seed}, {clients} clients, {shards} shards: {violation}");
        }
        history_count += 1;
        event_count += history.len();
    }
    eprintln!("{history_count} histories with {event_count} operations on {shards} shards");
    assert!(event_count > 0);
}

#[test]
fn histories_on_one_shard_can_be_explained() {
    histories_can_be_explained(1);
}

#[test]
fn histories_on_two_shards_can_be_explained() {
    histories_can_be_explained(2);
}

#[test]
fn histories_on_four_shards_can_be_explained() {
    histories_can_be_explained(4);
}
