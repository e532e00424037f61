//! After a crash: does the server still have what it had acknowledged?
//!
//! With `appendfsync everysec` a server may lose about the last second. So everything acknowledged more
//! than the allowance before the last acknowledgement must be there: per symbol a state and a snapshot
//! at least that new, and the leaderboard. And nothing may be there that never was: each value is whole,
//! and not newer than what can have been sent.

use std::path::Path;

use redis::{Client, Connection, RedisResult};

use super::content::{self, SNAPSHOT_TTL_S};
use super::leaderboard::{self, STRATEGY_COUNT};
use super::record::Record;
use super::symbol::{self, SWEEP_BATCH, Symbol, must_have_snapshot};
use super::world;
use crate::clock::Clock;

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Symbols that had to be there.
    pub required: usize,
    /// Symbols whose state is older than the last acknowledged one (within the allowance or not).
    pub behind: usize,
    /// How long before the last acknowledgement the first lost tick had been acknowledged, in
    /// microseconds; 0 if nothing was lost.
    pub lost_us: u64,
    /// What breaks the promise.
    pub violations: Vec<String>,
}

impl Findings {
    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { required, behind, lost_us, violations } = self;
        let lost_ms = *lost_us as f64 / 1000.0;
        let count = violations.len();
        format!(
            "{required} symbols required, {behind} behind, {lost_ms:.1} ms lost, {count} violations"
        )
    }
}

/// What the record says of one symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Claim {
    /// The newest tick that may not be lost; 0 for none.
    required: u64,
    /// When that was acknowledged.
    required_at_us: u64,
    /// The newest acknowledged tick.
    last: u64,
}

/// Compares the server at `url` with the record at `path`.
///
/// # Errors
/// When the record cannot be read or the server does not answer.
pub fn check(url: &str, path: &Path, allow_lost_us: u64) -> Result<Findings, String> {
    let record = Record::read(path)?;
    let client = Client::open(url).map_err(|error| format!("--url {url}: {error}"))?;
    let connected = world::connect(&client);
    let mut connection = connected.map_err(|error| format!("cannot connect to {url}: {error}"))?;
    compare(&mut connection, &record, allow_lost_us).map_err(|error| format!("{url}: {error}"))
}

fn compare(
    connection: &mut Connection,
    record: &Record,
    allow_lost_us: u64,
) -> RedisResult<Findings> {
    let claims = claims(record, allow_lost_us);
    let mut stored = Vec::with_capacity(claims.len());
    let mut findings = Findings::default();
    let symbols: Vec<Symbol> = (0..claims.len()).map(symbol::new_symbol).collect();
    for (symbols, claims) in symbols.chunks(SWEEP_BATCH).zip(claims.chunks(SWEEP_BATCH)) {
        let values = symbol::read_values(connection, symbols)?;
        let ttls_ms = read_ttls(connection, symbols)?;
        let now_us = Clock::start().unix_us().saturating_sub(record.started_unix_us);
        for (index, (state, snapshot)) in values.into_iter().enumerate() {
            let (symbol, claim) = (&symbols[index], claims[index]);
            let name = &symbol.name;
            let state = state.map(|text| content::check_state(name, &text)).transpose();
            let must_exist = claim.required > 0;
            stored.push(findings.judge("state", symbol, claim, record.batch, state, must_exist));
            let snapshot = content::check_snapshot(name, &snapshot);
            let must_exist = must_have_snapshot(claim.required_at_us, now_us);
            findings.judge("snapshot", symbol, claim, record.batch, snapshot, must_exist);
            findings.judge_ttl(symbol, claim, ttls_ms[index]);
        }
    }
    findings.required = claims.iter().filter(|claim| claim.required > 0).count();
    findings.behind =
        stored.iter().zip(&claims).filter(|(stored, claim)| **stored < claim.last).count();
    findings.lost_us = lost_us(record, &stored);
    findings.judge_leaderboard(connection, record, allow_lost_us)?;
    Ok(findings)
}

impl Findings {
    /// Judges one value of a symbol. Returns its sequence number, 0 if it is absent or broken.
    fn judge(
        &mut self,
        what: &str,
        symbol: &Symbol,
        claim: Claim,
        batch: u64,
        stored: Result<Option<u64>, String>,
        must_exist: bool,
    ) -> u64 {
        let (name, required, last) = (&symbol.name, claim.required, claim.last);
        match stored {
            Err(text) => self.violations.push(text),
            Ok(None) if must_exist => {
                let text = format!("{what} of {name} is gone, {required} is required");
                self.violations.push(text);
            }
            Ok(None) => {}
            Ok(Some(sequence)) => {
                // An expired snapshot may be succeeded by nothing, but not by an older one.
                if sequence < required {
                    let text = format!("{what} of {name} is {sequence}, {required} is required");
                    self.violations.push(text);
                }
                if last > 0 && sequence > last + batch {
                    let text =
                        format!("{what} of {name} is {sequence}, only {last} was acknowledged");
                    self.violations.push(text);
                }
                return sequence;
            }
        }
        0
    }

    /// An acknowledged EXPIRE is as durable as the value it belongs to.
    fn judge_ttl(&mut self, symbol: &Symbol, claim: Claim, ttl_ms: i64) {
        let is_lost = claim.required > 0 && ttl_ms == -1;
        let ttl_max_ms = (SNAPSHOT_TTL_S * 1000).cast_signed();
        if is_lost || ttl_ms > ttl_max_ms {
            let text = format!("{} expires in {ttl_ms} ms", symbol.snapshot_key);
            self.violations.push(text);
        }
    }

    fn judge_leaderboard(
        &mut self,
        connection: &mut Connection,
        record: &Record,
        allow_lost_us: u64,
    ) -> RedisResult<()> {
        let before_us = record.last_us().saturating_sub(allow_lost_us);
        let required =
            record.rounds.iter().filter(|round| round.0 < before_us).map(|round| round.1);
        let (Some(required), Some(&(_, last))) = (required.max(), record.rounds.last()) else {
            return Ok(());
        };
        let stored = leaderboard::read_top(connection, STRATEGY_COUNT as usize)?;
        // The update after the last acknowledged one may have been on its way.
        if !(required..=last + 1).any(|round| leaderboard::ranking(round) == stored) {
            let text = format!("the leaderboard is that of no round in {required}..={}", last + 1);
            self.violations.push(text);
        }
        Ok(())
    }
}

/// What is claimed of each symbol by its index.
fn claims(record: &Record, allow_lost_us: u64) -> Vec<Claim> {
    let mut claims = vec![Claim::default(); record.symbols];
    let before_us = record.last_us().saturating_sub(allow_lost_us);
    for tick in &record.ticks {
        let claim = &mut claims[tick.symbol];
        claim.last = claim.last.max(tick.sequence);
        if tick.at_us < before_us && tick.sequence > claim.required {
            claim.required = tick.sequence;
            claim.required_at_us = tick.at_us;
        }
    }
    claims
}

/// See [`Findings::lost_us`]; `stored` has the stored sequence number of each symbol.
fn lost_us(record: &Record, stored: &[u64]) -> u64 {
    let lost = record.ticks.iter().filter(|tick| tick.sequence > stored[tick.symbol]);
    let first_lost_us = lost.map(|tick| tick.at_us).min();
    first_lost_us.map_or(0, |at_us| record.last_us() - at_us)
}

/// Remaining milliseconds of each snapshot; -1 without expiry, -2 without snapshot.
fn read_ttls(connection: &mut Connection, symbols: &[Symbol]) -> RedisResult<Vec<i64>> {
    let mut pipeline = redis::pipe();
    for symbol in symbols {
        pipeline.cmd("PTTL").arg(&symbol.snapshot_key);
    }
    pipeline.query(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::record::Tick;

    fn record() -> Record {
        let tick = |at_us, symbol, sequence| Tick { at_us, symbol, sequence };
        let ticks = vec![tick(100, 0, 1), tick(200, 0, 2), tick(900, 1, 5), tick(1_500, 0, 3)];
        Record { symbols: 3, batch: 2, ticks, ..Record::default() }
    }

    fn judge(sequence: Option<u64>, claim: Claim) -> usize {
        let mut findings = Findings::default();
        let must_exist = claim.required > 0;
        findings.judge("state", &symbol::new_symbol(0), claim, 2, Ok(sequence), must_exist);
        findings.violations.len()
    }

    #[test]
    fn the_allowance_is_counted_from_the_last_acknowledgement() {
        let claims = claims(&record(), 1_000);
        assert_eq!(claims[0], Claim { required: 2, required_at_us: 200, last: 3 });
        assert_eq!(claims[1], Claim { required: 0, required_at_us: 0, last: 5 });
        assert_eq!(claims[2], Claim::default());
    }

    #[test]
    fn what_was_lost_is_measured() {
        assert_eq!(lost_us(&record(), &[3, 5, 0]), 0);
        assert_eq!(lost_us(&record(), &[2, 5, 0]), 0, "the last moment itself is 0 us ago");
        assert_eq!(lost_us(&record(), &[3, 4, 0]), 600);
        assert_eq!(lost_us(&record(), &[0, 5, 0]), 1_400);
    }

    #[test]
    fn too_old_absent_and_never_sent_are_violations() {
        let claim = Claim { required: 10, required_at_us: 1, last: 12 };
        assert_eq!(judge(Some(10), claim), 0);
        assert_eq!(judge(Some(14), claim), 0, "a batch may have been on its way");
        assert_eq!(judge(Some(9), claim), 1);
        assert_eq!(judge(Some(15), claim), 1);
        assert_eq!(judge(None, claim), 1);
        assert_eq!(judge(None, Claim { required: 0, required_at_us: 0, last: 12 }), 0);
    }

    #[test]
    fn a_lost_expiry_is_a_violation() {
        let claim = Claim { required: 10, required_at_us: 1, last: 12 };
        let symbol = symbol::new_symbol(0);
        let mut findings = Findings::default();
        findings.judge_ttl(&symbol, claim, 60_000);
        findings.judge_ttl(&symbol, claim, -2);
        assert!(findings.violations.is_empty());
        findings.judge_ttl(&symbol, claim, -1);
        findings.judge_ttl(&symbol, claim, 60_001);
        assert_eq!(findings.violations.len(), 2);
    }
}
