//! The symbols of a run, and what the server has acknowledged and holds of them.
//!
//! Each symbol has one writer. `acknowledged` is stored (Release) after the server's reply and loaded
//! (Acquire) by a reader before it asks, so a reader may demand at least that tick.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{Connection, RedisResult};

use super::content::{self, SNAPSHOT_TTL_S};

/// How exactly an expiry can be judged from outside.
const EXPIRY_MARGIN_US: u64 = 1_000_000;
/// Keys asked for in one pipeline when all symbols are read.
pub(super) const SWEEP_BATCH: usize = 500;

/// One symbol of the feed.
#[derive(Debug)]
pub struct Symbol {
    /// Upper-case name.
    pub name: String,
    /// Key of its state.
    pub state_key: String,
    /// Key of its snapshot.
    pub snapshot_key: String,
    /// The sequence number that the server held when the run began; 0 for none.
    pub first: u64,
    acknowledged: AtomicU64,
    /// When, in microseconds of the run; 0 while this run has not written it.
    acknowledged_at_us: AtomicU64,
}

impl Symbol {
    /// Notes that the server has acknowledged tick `sequence`. Only the symbol's writer calls this.
    pub fn acknowledge(&self, sequence: u64, at_us: u64) {
        // Time first: whoever sees the new sequence also sees a time that is not too old.
        self.acknowledged_at_us.store(at_us.max(1), Ordering::Release);
        self.acknowledged.store(sequence, Ordering::Release);
    }

    /// The last tick that the server has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// When its last tick was acknowledged, in microseconds of the run; 0 if this run has not written
    /// it yet.
    pub fn acknowledged_at_us(&self) -> u64 {
        self.acknowledged_at_us.load(Ordering::Acquire)
    }

    /// Whether a snapshot of tick `sequence` must have expired for a request sent at `now_us`.
    #[must_use]
    pub fn must_have_expired(&self, sequence: u64, now_us: u64) -> bool {
        let at_us = self.acknowledged_at_us();
        at_us != 0
            && sequence == self.acknowledged()
            && now_us > at_us + SNAPSHOT_TTL_S * 1_000_000 + EXPIRY_MARGIN_US
    }
}

/// Whether a snapshot acknowledged at `at_us` (0: never) must be in a reply that arrives at `now_us`.
#[must_use]
pub fn must_have_snapshot(at_us: u64, now_us: u64) -> bool {
    at_us != 0 && now_us + EXPIRY_MARGIN_US < at_us + SNAPSHOT_TTL_S * 1_000_000
}

/// What the server holds of a symbol: the state, and the fields of the snapshot.
pub type Values = (Option<Vec<u8>>, Vec<(String, String)>);

/// Reads state and snapshot of each symbol in one pipeline.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn read_values(connection: &mut Connection, symbols: &[Symbol]) -> RedisResult<Vec<Values>> {
    let mut pipeline = redis::pipe();
    for symbol in symbols {
        pipeline.cmd("GET").arg(&symbol.state_key).cmd("HGETALL").arg(&symbol.snapshot_key);
    }
    let mut replies = pipeline.query::<Vec<redis::Value>>(connection)?.into_iter();
    let mut values = Vec::with_capacity(symbols.len());
    while let (Some(state), Some(snapshot)) = (replies.next(), replies.next()) {
        values.push((redis::from_redis_value(state)?, redis::from_redis_value(snapshot)?));
    }
    Ok(values)
}

/// The first `count` symbols, each with the sequence number that the server holds of it.
///
/// # Errors
/// When the server fails or holds something else under such a key.
pub fn read_symbols(connection: &mut Connection, count: usize) -> Result<Vec<Symbol>, String> {
    let mut symbols: Vec<Symbol> = (0..count).map(new_symbol).collect();
    for symbols in symbols.chunks_mut(SWEEP_BATCH) {
        let values = read_values(connection, symbols)
            .map_err(|error| format!("cannot read the stored states: {error}"))?;
        for (symbol, (state, _)) in symbols.iter_mut().zip(values) {
            let Some(state) = state else { continue };
            symbol.first = content::check_state(&symbol.name, &state).map_err(|text| {
                format!("{} was not written by this feed: {text}", symbol.state_key)
            })?;
            *symbol.acknowledged.get_mut() = symbol.first;
        }
    }
    Ok(symbols)
}

pub(super) fn new_symbol(index: usize) -> Symbol {
    let name = content::symbol_name(index);
    Symbol {
        state_key: content::state_key(&name),
        snapshot_key: content::snapshot_key(&name),
        name,
        first: 0,
        acknowledged: AtomicU64::new(0),
        acknowledged_at_us: AtomicU64::new(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_must_live_for_its_time_and_no_longer() {
        let symbol = new_symbol(0);
        assert!(!must_have_snapshot(symbol.acknowledged_at_us(), 5), "nothing was written yet");
        symbol.acknowledge(3, 10_000_000);
        assert!(must_have_snapshot(symbol.acknowledged_at_us(), 68_999_999));
        assert!(!must_have_snapshot(10_000_000, 69_000_001), "within the margin nothing is judged");
        assert!(!symbol.must_have_expired(3, 71_000_000));
        assert!(symbol.must_have_expired(3, 71_000_001));
        assert!(!symbol.must_have_expired(4, 71_000_001), "a newer tick is on its way");
    }
}
