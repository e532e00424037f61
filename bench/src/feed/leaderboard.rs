//! The leaderboard: `leaderboard:strategies`, all scores updated by one ZADD a second, its top read.
//!
//! The scores are a function of the round, so a reader knows every ranking that may be read while it
//! asks, to the last digit and with the order of equal scores. A mix of two rounds is none of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Connection, RedisResult};

use super::latency::{Latencies, Operation};
use super::world::{Phase, Violation, World};
use crate::random::mix;

/// The sorted set.
pub const LEADERBOARD_KEY: &str = "leaderboard:strategies";
/// How many strategies it ranks.
pub const STRATEGY_COUNT: u64 = 20;

const UPDATE_EVERY: Duration = Duration::from_secs(1);
const READ_EVERY: Duration = Duration::from_millis(50);
/// Places that are read.
const TOP_COUNT: usize = 5;

/// Members and scores, best first.
pub type Ranking = Vec<(String, f64)>;

/// Which rounds may be read. Rounds count upwards from the run's start in seconds since 1970, so those
/// of a later run are higher.
#[derive(Debug)]
pub struct Rounds {
    /// No round of this run is lower.
    first: u64,
    /// The last one that the server acknowledged; `first - 1` before the first.
    acknowledged: AtomicU64,
    /// The last one sent.
    sent: AtomicU64,
}

impl Rounds {
    /// Nothing sent yet; the first round will be `first`.
    #[must_use]
    pub fn new(first: u64) -> Self {
        let before = first.saturating_sub(1);
        Self { first, acknowledged: AtomicU64::new(before), sent: AtomicU64::new(before) }
    }
}

/// The whole ranking of a round, as ZREVRANGE gives it: by score, then by member, both descending.
#[must_use]
pub fn ranking(round: u64) -> Ranking {
    let mut ranking: Ranking =
        (0..STRATEGY_COUNT).map(|strategy| (member(strategy), sharpe(strategy, round))).collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    ranking
}

fn member(strategy: u64) -> String {
    format!("strategy:{strategy:02}")
}

/// A Sharpe ratio between -1 and 4 in steps of a quarter, so that equal scores are frequent.
fn sharpe(strategy: u64, round: u64) -> f64 {
    (mix(mix(round) ^ strategy) % 21) as f64 / 4.0 - 1.0
}

/// Updates the leaderboard once a second until the run drains.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run_updater(world: &World, latencies: &mut Latencies) -> RedisResult<()> {
    let mut connection = world.connect()?;
    let mut next_at = world.clock.elapsed();
    let mut round = world.rounds.first;
    while world.wait_until(next_at) == Phase::Running {
        let mut update = redis::cmd("ZADD");
        update.arg(LEADERBOARD_KEY);
        for (member, score) in ranking(round) {
            update.arg(score).arg(member);
        }
        let sent_us = world.clock.elapsed_us();
        world.rounds.sent.store(round, Ordering::Release);
        let added = update.query::<u64>(&mut connection)?;
        let replied_us = world.clock.elapsed_us();
        latencies.record(Operation::Zadd, replied_us - sent_us, 1);
        if added != 0 && added != STRATEGY_COUNT {
            let text = format!("ZADD of {STRATEGY_COUNT} strategies added {added}");
            world.violate(Violation::Reply, text);
        }
        if let Some(recorder) = &world.recorder
            && let Err(error) = recorder.round(replied_us, round)
        {
            world.stop(Violation::Record, error.to_string());
        }
        world.rounds.acknowledged.store(round, Ordering::Release);
        round += 1;
        next_at += UPDATE_EVERY;
    }
    Ok(())
}

/// Reads the top of the leaderboard until the run drains.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run_reader(world: &World, latencies: &mut Latencies) -> RedisResult<()> {
    let mut connection = world.connect()?;
    let mut next_at = world.clock.elapsed();
    while world.wait_until(next_at) == Phase::Running {
        let oldest = world.rounds.acknowledged.load(Ordering::Acquire);
        let sent_us = world.clock.elapsed_us();
        let top = read_top(&mut connection, TOP_COUNT)?;
        latencies.record(Operation::Zrevrange, world.clock.elapsed_us() - sent_us, 1);
        let newest = world.rounds.sent.load(Ordering::Acquire);
        let is_known = (oldest..=newest).any(|round| ranking(round)[..TOP_COUNT] == top[..]);
        // Before the first update of this run there is what an earlier run left, or nothing.
        if !is_known && oldest >= world.rounds.first {
            let text = format!("{top:?} is the top of no round in {oldest}..={newest}");
            world.violate(Violation::Ranking, text);
        }
        next_at += READ_EVERY;
    }
    Ok(())
}

/// The first `count` of the leaderboard.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn read_top(connection: &mut Connection, count: usize) -> RedisResult<Ranking> {
    redis::cmd("ZREVRANGE")
        .arg(LEADERBOARD_KEY)
        .arg(0)
        .arg(count.saturating_sub(1))
        .arg("WITHSCORES")
        .query(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_is_in_order_and_complete() {
        let mut equal_count = 0;
        for round in 0..100 {
            let ranking = ranking(round);
            assert_eq!(ranking.len(), 20);
            for pair in ranking.windows(2) {
                assert!(pair[0].1 > pair[1].1 || (pair[0].1 == pair[1].1 && pair[0].0 > pair[1].0));
                equal_count += u32::from(pair[0].1 == pair[1].1);
            }
        }
        assert!(equal_count > 100, "equal scores must be frequent, to test their order");
    }

    #[test]
    fn rounds_differ() {
        assert_eq!(ranking(5), ranking(5));
        assert_ne!(ranking(5)[..5], ranking(6)[..5]);
    }
}
