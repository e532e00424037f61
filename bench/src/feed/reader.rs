//! A reader: HGETALL of snapshots and GET of states, in turn, the active symbols more often.

use std::time::Duration;

use redis::{Connection, RedisResult};

use super::content;
use super::latency::{Latencies, Operation};
use super::symbol::{Symbol, must_have_snapshot};
use super::world::{Phase, Violation, World};
use crate::random::Weighted;

/// Reads until the run drains.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run(world: &World, number: usize, latencies: &mut Latencies) -> RedisResult<()> {
    let mut connection = world.connect()?;
    let mut random = world.random("reader", number);
    let (symbols, weights) = world.share(0, 1);
    let weighted = Weighted::new(weights);
    let mut seen = vec![Seen::default(); world.symbols.len()];
    let pause = match world.options.read_rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs(world.options.readers as u64).div_f64(rate as f64),
    };
    let mut next_at = world.clock.elapsed();
    let mut wants_snapshot = false;
    while world.wait_until(next_at) == Phase::Running {
        let index = symbols[weighted.choose(&mut random)];
        let (symbol, seen) = (&world.symbols[index], &mut seen[index]);
        wants_snapshot = !wants_snapshot;
        let sent_us = world.clock.elapsed_us();
        let operation = if wants_snapshot {
            read_snapshot(world, &mut connection, symbol, seen)?;
            Operation::Hgetall
        } else {
            read_state(world, &mut connection, symbol, seen)?;
            Operation::Get
        };
        latencies.record(operation, world.clock.elapsed_us() - sent_us, 1);
        next_at += pause;
    }
    Ok(())
}

/// The newest tick of a symbol that one reader has read.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    state: u64,
    snapshot: u64,
}

fn read_state(
    world: &World,
    connection: &mut Connection,
    symbol: &Symbol,
    seen: &mut Seen,
) -> RedisResult<()> {
    let expected = symbol.acknowledged().max(seen.state);
    let text = redis::cmd("GET").arg(&symbol.state_key).query::<Option<Vec<u8>>>(connection)?;
    let Some(text) = text else {
        if expected > 0 {
            world.violate(Violation::Missing, format!("no state of {}", symbol.name));
        }
        return Ok(());
    };
    match content::check_state(&symbol.name, &text) {
        Err(text) => world.violate(Violation::Torn, text),
        Ok(sequence) => seen.state = not_older(world, "state", symbol, sequence, expected),
    }
    Ok(())
}

fn read_snapshot(
    world: &World,
    connection: &mut Connection,
    symbol: &Symbol,
    seen: &mut Seen,
) -> RedisResult<()> {
    let at_us = symbol.acknowledged_at_us();
    // What an earlier run left is whole, but need not be as new as the state beside it.
    let acknowledged = if at_us == 0 { 0 } else { symbol.acknowledged() };
    let expected = acknowledged.max(seen.snapshot);
    let sent_us = world.clock.elapsed_us();
    let fields = redis::cmd("HGETALL")
        .arg(&symbol.snapshot_key)
        .query::<Vec<(String, String)>>(connection)?;
    match content::check_snapshot(&symbol.name, &fields) {
        Err(text) => world.violate(Violation::Torn, text),
        Ok(None) => {
            if must_have_snapshot(at_us, world.clock.elapsed_us()) {
                world.violate(Violation::Missing, format!("no snapshot of {}", symbol.name));
            }
        }
        Ok(Some(sequence)) => {
            if symbol.must_have_expired(sequence, sent_us) {
                let text = format!("snapshot {sequence} of {} outlived its time", symbol.name);
                world.violate(Violation::Expired, text);
            }
            seen.snapshot = not_older(world, "snapshot", symbol, sequence, expected);
        }
    }
    Ok(())
}

/// Checks that what was read is not older than it may be; the newer of both is what was seen now.
fn not_older(world: &World, what: &str, symbol: &Symbol, sequence: u64, expected: u64) -> u64 {
    if sequence < expected {
        let text = format!("{what} of {} is {sequence}, after {expected}", symbol.name);
        world.violate(Violation::Stale, text);
    }
    sequence.max(expected)
}
