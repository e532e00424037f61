//! A writer: the only one that ticks its symbols.
//!
//! With a rate, ticks have due times; a writer that falls behind sends up to a batch of late ticks in one
//! pipeline, and their latency counts from when they were due. Without a rate it always sends a batch.
//! Either way it waits when a subscriber is some 20,000 events behind.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Connection, Pipeline, RedisResult, Value};

use super::content::{self, EVENT_CHANNEL, SNAPSHOT_FIELDS, SNAPSHOT_TTL_S};
use super::latency::{Latencies, Operation};
use super::world::{Phase, Violation, World};
use crate::random::{Random, Weighted};

/// Commands of one tick.
pub const TICK_COMMANDS: usize = 4;

/// Ticks until the run drains.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run(world: &World, number: usize, latencies: &mut Latencies) -> RedisResult<()> {
    let options = &world.options;
    let (symbols, weights) = world.share(number, options.writers);
    let sequences = symbols.iter().map(|&index| world.symbols[index].acknowledged()).collect();
    let mut writer = Writer {
        world,
        connection: world.connect()?,
        weighted: Weighted::new(weights),
        random: world.random("writer", number),
        symbols,
        sequences,
        ticks: Vec::with_capacity(options.batch),
    };
    if options.rate == 0 {
        while world.phase() == Phase::Running {
            world.wait_for_subscribers();
            let sent_us = world.clock.elapsed_us();
            let replied_us = writer.send(options.batch)?;
            latencies.record(Operation::Tick, replied_us - sent_us, options.batch as u64);
        }
        return Ok(());
    }
    let pace = Pace { rate: options.rate as f64 / options.writers as f64 };
    let started = world.clock.elapsed();
    let mut sent_count = 0;
    while world.wait_until(started + pace.due(sent_count)) == Phase::Running {
        world.wait_for_subscribers();
        let late = pace.count_due(world.clock.elapsed() - started).saturating_sub(sent_count);
        let count = late.clamp(1, options.batch as u64);
        let replied_us = writer.send(usize::try_from(count).expect("at most a batch"))?;
        for tick in sent_count..sent_count + count {
            let due = started + pace.due(tick);
            let due_us = u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
            latencies.record(Operation::Tick, replied_us.saturating_sub(due_us), 1);
        }
        sent_count += count;
    }
    Ok(())
}

/// When the ticks of a writer are due.
struct Pace {
    /// Ticks per second; positive.
    rate: f64,
}

impl Pace {
    /// When tick number `tick` (from 0) is due, since the writer's start.
    fn due(&self, tick: u64) -> Duration {
        Duration::from_secs_f64(tick as f64 / self.rate)
    }

    /// How many ticks are due this long after the writer's start.
    fn count_due(&self, elapsed: Duration) -> u64 {
        (elapsed.as_secs_f64() * self.rate) as u64 + 1
    }
}

struct Writer<'a> {
    world: &'a World,
    connection: Connection,
    /// Chooses among `symbols`.
    weighted: Weighted,
    random: Random,
    /// Indexes of this writer's symbols.
    symbols: Vec<usize>,
    /// The last sequence number sent of each of `symbols`.
    sequences: Vec<u64>,
    /// Symbol index and sequence number of each tick of the pipeline.
    ticks: Vec<(usize, u64)>,
}

impl Writer<'_> {
    /// Sends this many ticks in one pipeline, checks the replies, and notes what was acknowledged.
    /// Returns when the last reply was there.
    fn send(&mut self, count: usize) -> RedisResult<u64> {
        let mut pipeline = redis::pipe();
        self.ticks.clear();
        for _ in 0..count {
            let mine = self.weighted.choose(&mut self.random);
            self.sequences[mine] += 1;
            let tick = (self.symbols[mine], self.sequences[mine]);
            self.add(&mut pipeline, tick);
            self.ticks.push(tick);
        }
        let replies = pipeline.query::<Vec<Value>>(&mut self.connection)?;
        let replied_us = self.world.clock.elapsed_us();
        self.world.published.fetch_add(count as u64, Ordering::Relaxed);
        for (tick, replies) in self.ticks.iter().zip(replies.chunks(TICK_COMMANDS)) {
            self.check(*tick, replies);
        }
        if let Some(recorder) = &self.world.recorder
            && let Err(error) = recorder.ticks(replied_us, &self.ticks)
        {
            self.world.stop(Violation::Record, error.to_string());
        }
        for &(index, sequence) in &self.ticks {
            self.world.symbols[index].acknowledge(sequence, replied_us);
        }
        Ok(replied_us)
    }

    fn add(&self, pipeline: &mut Pipeline, (index, sequence): (usize, u64)) {
        let symbol = &self.world.symbols[index];
        pipeline.cmd("HSET").arg(&symbol.snapshot_key);
        for (field, value) in
            SNAPSHOT_FIELDS.iter().zip(content::snapshot_values(&symbol.name, sequence))
        {
            pipeline.arg(*field).arg(value);
        }
        pipeline.cmd("EXPIRE").arg(&symbol.snapshot_key).arg(SNAPSHOT_TTL_S);
        pipeline.cmd("SET").arg(&symbol.state_key).arg(content::state_json(&symbol.name, sequence));
        let event = content::event_json(&symbol.name, sequence, self.world.clock.unix_us());
        pipeline.cmd("PUBLISH").arg(EVENT_CHANNEL).arg(event);
    }

    fn check(&self, (index, sequence): (usize, u64), replies: &[Value]) {
        let subscribers = self.world.options.subscribers;
        let good = match replies {
            [Value::Int(0 | 5), Value::Int(1), Value::Okay, Value::Int(receivers)] => {
                usize::try_from(*receivers).is_ok_and(|receivers| receivers >= subscribers)
            }
            _ => false,
        };
        if !good {
            let name = &self.world.symbols[index].name;
            let text = format!(
                "tick {sequence} of {name}: HSET, EXPIRE, SET, PUBLISH answered {replies:?}; \
                 {subscribers} subscribers"
            );
            self.world.violate(Violation::Reply, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_due_at_the_rate() {
        let pace = Pace { rate: 100.0 };
        assert_eq!(pace.due(0), Duration::ZERO);
        assert_eq!(pace.due(250), Duration::from_millis(2_500));
        assert_eq!(pace.count_due(Duration::ZERO), 1);
        assert_eq!(pace.count_due(Duration::from_millis(2_501)), 251);
    }
}
