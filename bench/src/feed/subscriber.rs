//! A subscriber of `state_update`: like the bridges that feed WebSockets, it sees every event in order.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use redis::{Connection, RedisResult};

use super::content::{self, EVENT_CHANNEL, Event};
use super::latency::{Latencies, Operation};
use super::world::{Phase, Violation, World, lock};
use crate::random::mix;

/// How long to wait for an event before looking whether the run goes on.
const SILENCE: Duration = Duration::from_millis(250);
/// So many silences after the last writer has ended, the rest of the events is lost.
const SILENCES_MAX: u32 = 40;
/// One event in so many is followed by a GET: the state may not be older than its event.
const PROBE_EVERY: u64 = 16;

/// Subscribes, says so, and listens until the end event.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run(
    world: &World,
    number: usize,
    subscribed: &Sender<()>,
    latencies: &mut Latencies,
) -> RedisResult<()> {
    let mut probe = world.connect()?;
    let mut connection = world.connect()?;
    let mut subscription = connection.as_pubsub();
    subscription.subscribe(EVENT_CHANNEL)?;
    subscription.set_read_timeout(Some(SILENCE))?;
    // The other side only stops counting early when the run is already over.
    let _ = subscribed.send(());

    let mut seen = Seen::new(world);
    let mut silences = 0;
    loop {
        let message = match subscription.get_message() {
            Ok(message) => message,
            Err(error) if error.is_timeout() => {
                silences += u32::from(world.phase() == Phase::Draining);
                if world.phase() == Phase::Over {
                    return Ok(());
                }
                if silences > SILENCES_MAX {
                    world.violate(Violation::Gap, "the last events did not arrive");
                    return Ok(());
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        silences = 0;
        match content::check_event(message.get_payload_bytes()) {
            Err(text) => world.violate(Violation::Torn, text),
            Ok(Event::End { run }) if run == world.run => break,
            Ok(Event::End { .. }) => {}
            Ok(Event::Tick { symbol, sequence, sent_unix_us }) => {
                let latency_us = world.clock.unix_us().saturating_sub(sent_unix_us);
                latencies.record(Operation::Event, latency_us, 1);
                let Some(index) = world.symbol_index(&symbol) else {
                    world.violate(Violation::Torn, format!("an event of {symbol}, unknown here"));
                    continue;
                };
                world.received[number].fetch_add(1, Ordering::Relaxed);
                seen.note(world, index, sequence);
                if seen.count.is_multiple_of(PROBE_EVERY) {
                    probe_state(world, &mut probe, index, sequence)?;
                }
            }
        }
    }
    seen.verify_end(world);
    Ok(())
}

/// What a subscriber has seen.
struct Seen {
    /// Events of this run.
    count: u64,
    /// Changes with each event and with their order.
    order: u64,
    /// The last sequence number of each symbol.
    last: Vec<u64>,
}

impl Seen {
    fn new(world: &World) -> Self {
        let last = world.symbols.iter().map(|symbol| symbol.first).collect();
        Self { count: 0, order: 0, last }
    }

    fn note(&mut self, world: &World, index: usize, sequence: u64) {
        self.count += 1;
        self.order = mix(self.order ^ mix(sequence) ^ index as u64);
        let last = self.last[index];
        let name = &world.symbols[index].name;
        if sequence <= last {
            world.violate(Violation::Order, format!("event {sequence} of {name} after {last}"));
            return;
        }
        if sequence != last + 1 {
            world.violate(Violation::Gap, format!("event {sequence} of {name} after {last}"));
        }
        self.last[index] = sequence;
    }

    /// The end event was published after the last tick, so by now every tick must have been seen.
    fn verify_end(&self, world: &World) {
        for (symbol, &last) in world.symbols.iter().zip(&self.last) {
            let expected = symbol.acknowledged();
            if last != expected {
                let text = format!("{} ends at {last}, published {expected}", symbol.name);
                world.violate(Violation::Gap, text);
            }
        }
        lock(&world.event_orders).push(self.order);
    }
}

fn probe_state(
    world: &World,
    probe: &mut Connection,
    index: usize,
    sequence: u64,
) -> RedisResult<()> {
    let symbol = &world.symbols[index];
    let text = redis::cmd("GET").arg(&symbol.state_key).query::<Option<Vec<u8>>>(probe)?;
    match content::check_state(&symbol.name, &text.unwrap_or_default()) {
        Err(text) => world.violate(Violation::Torn, text),
        Ok(stored) if stored < sequence => {
            let text = format!("state of {} is {stored}, its event {sequence}", symbol.name);
            world.violate(Violation::Stale, text);
        }
        Ok(_) => {}
    }
    Ok(())
}
