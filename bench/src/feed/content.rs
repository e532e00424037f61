//! What a tick of the feed consists of.
//!
//! Every text is a function of symbol and sequence number alone. So a reader takes the sequence out of
//! what it got, makes the text again and compares: a value that mixes two ticks cannot pass. The only
//! exception is the `timestamp` of an event, which is the wall clock, for measuring how long it took.
//!
//! Prices are integers in cents, so that no float is rounded differently anywhere.

use serde_json::Value;

use crate::random::mix;

/// The channel of events.
pub const EVENT_CHANNEL: &str = "state_update";
/// Time to live of a snapshot, in seconds.
pub const SNAPSHOT_TTL_S: u64 = 60;
/// Fields of a snapshot, in the order of [`snapshot_values`].
pub const SNAPSHOT_FIELDS: [&str; 5] = ["price", "volume", "bid", "ask", "timestamp"];
/// Most symbols a feed may have.
pub const SYMBOLS_MAX: usize = 10_000;

/// `timestamp` of sequence 0 in states and snapshots; one millisecond per tick follows.
const TIMESTAMP_BASE_MS: u64 = 1_700_000_000_000;

/// The upper-case name of a symbol: four letters, a different one for each index.
#[must_use]
pub fn symbol_name(index: usize) -> String {
    const NAMES: usize = 26 * 26 * 26 * 26;
    const STRIDE: usize = 170_707; // Shares no factor with NAMES, so all names are reached once.
    assert!(index < NAMES);
    let mut rest = (index * STRIDE + 9_001) % NAMES;
    let mut name = String::with_capacity(4);
    for _ in 0..4 {
        name.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    name
}

/// Key of the state of a symbol.
#[must_use]
pub fn state_key(symbol: &str) -> String {
    format!("physics:state:{symbol}")
}

/// Key of the snapshot of a symbol.
#[must_use]
pub fn snapshot_key(symbol: &str) -> String {
    format!("market:snapshot:{symbol}")
}

/// The state of `symbol` after tick `sequence`: a JSON object of 7 fields, about 150 bytes.
#[must_use]
pub fn state_json(symbol: &str, sequence: u64) -> String {
    let price = price_cents(symbol, sequence);
    let velocity = velocity_cents(symbol, sequence);
    let acceleration = velocity - velocity_cents(symbol, sequence.saturating_sub(1));
    format!(
        "{{\"symbol\":\"{symbol}\",\"sequence\":{sequence},\"timestamp\":{},\"price\":{},\
         \"velocity\":{},\"acceleration\":{},\"energy\":{}}}",
        timestamp_ms(sequence),
        decimal(price),
        decimal(velocity),
        decimal(acceleration),
        decimal(velocity * velocity),
    )
}

/// The sequence number of a state, if the text is exactly the state of that sequence number.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_state(symbol: &str, text: &[u8]) -> Result<u64, String> {
    let sequence = serde_json::from_slice::<Value>(text)
        .ok()
        .and_then(|state| state.get("sequence")?.as_u64())
        .ok_or_else(|| format!("state of {symbol} has no sequence: {}", shown(text)))?;
    if text != state_json(symbol, sequence).as_bytes() {
        return Err(format!("state of {symbol} is not that of tick {sequence}: {}", shown(text)));
    }
    Ok(sequence)
}

/// The values of [`SNAPSHOT_FIELDS`] of `symbol` after tick `sequence`.
#[must_use]
pub fn snapshot_values(symbol: &str, sequence: u64) -> [String; 5] {
    let price = price_cents(symbol, sequence);
    let spread = 1 + (mix(seed_of(symbol) ^ sequence) % 9).cast_signed();
    let volume = mix(seed_of(symbol).wrapping_add(sequence)) % 100_000;
    [
        decimal(price),
        volume.to_string(),
        decimal(price - spread),
        decimal(price + spread),
        timestamp_ms(sequence).to_string(),
    ]
}

/// The sequence number of a snapshot, if its fields are exactly those of that sequence number; `None`
/// if there is no snapshot. Fields may come in any order.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_snapshot(symbol: &str, fields: &[(String, String)]) -> Result<Option<u64>, String> {
    if fields.is_empty() {
        return Ok(None);
    }
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
    let sequence = field("timestamp")
        .and_then(|timestamp| timestamp.parse::<u64>().ok()?.checked_sub(TIMESTAMP_BASE_MS))
        .ok_or_else(|| format!("snapshot of {symbol} has no timestamp: {fields:?}"))?;
    let expected = snapshot_values(symbol, sequence);
    let whole = fields.len() == expected.len()
        && SNAPSHOT_FIELDS.iter().zip(&expected).all(|(name, value)| field(name) == Some(value));
    if !whole {
        return Err(format!("snapshot of {symbol} is torn: {fields:?}, expected {expected:?}"));
    }
    Ok(Some(sequence))
}

/// The event that announces tick `sequence`; `unix_us` is the time of sending.
#[must_use]
pub fn event_json(symbol: &str, sequence: u64, unix_us: u64) -> String {
    format!(
        "{{\"event\":\"state_update\",\"symbol\":\"{symbol}\",\"timestamp\":{unix_us},\
         \"data\":{{\"sequence\":{sequence},\"price\":{}}}}}",
        decimal(price_cents(symbol, sequence))
    )
}

/// The event after the last one: subscribers stop when they see it.
#[must_use]
pub fn end_json(run: u64) -> String {
    format!("{{\"event\":\"feed_end\",\"run\":{run}}}")
}

/// What a subscriber received.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A tick.
    Tick {
        /// Its symbol.
        symbol: String,
        /// Its sequence number.
        sequence: u64,
        /// When it was sent, in microseconds since 1970.
        sent_unix_us: u64,
    },
    /// The feed with this run number has ended.
    End {
        /// The number given to [`end_json`].
        run: u64,
    },
}

/// Reads an event and checks that it is whole.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_event(text: &[u8]) -> Result<Event, String> {
    parse_event(text).ok_or_else(|| format!("event is not one of the feed's: {}", shown(text)))
}

fn parse_event(text: &[u8]) -> Option<Event> {
    let event = serde_json::from_slice::<Value>(text).ok()?;
    if event.get("event")?.as_str()? == "feed_end" {
        return Some(Event::End { run: event.get("run")?.as_u64()? });
    }
    let symbol = event.get("symbol")?.as_str()?.to_owned();
    let sent_unix_us = event.get("timestamp")?.as_u64()?;
    let sequence = event.get("data")?.get("sequence")?.as_u64()?;
    let whole = text == event_json(&symbol, sequence, sent_unix_us).as_bytes();
    whole.then_some(Event::Tick { symbol, sequence, sent_unix_us })
}

/// A price that swings around a level of the symbol's own, with a little noise; never below 5.00.
fn price_cents(symbol: &str, sequence: u64) -> i64 {
    let seed = seed_of(symbol);
    let level = 1_000 + (seed % 50_000).cast_signed();
    let half_swing = level / 20;
    let period = 200 + seed % 800;
    let phase = (sequence % period).cast_signed();
    let period = period.cast_signed();
    let swing = half_swing * (4 * phase - 2 * period).abs() / period - half_swing;
    let noise = (mix(seed ^ sequence.rotate_left(17)) % 21).cast_signed() - 10;
    level + swing + noise
}

fn velocity_cents(symbol: &str, sequence: u64) -> i64 {
    price_cents(symbol, sequence) - price_cents(symbol, sequence.saturating_sub(1))
}

fn timestamp_ms(sequence: u64) -> u64 {
    TIMESTAMP_BASE_MS.wrapping_add(sequence)
}

fn seed_of(symbol: &str) -> u64 {
    symbol.bytes().fold(0, |seed, letter| mix(seed ^ u64::from(letter)))
}

/// Hundredths as a decimal number that is valid JSON.
fn decimal(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let magnitude = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100)
}

/// The beginning of a text that came from outside, for an error message.
fn shown(text: &[u8]) -> String {
    const BYTES_SHOWN: usize = 200;
    String::from_utf8_lossy(&text[..text.len().min(BYTES_SHOWN)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(symbol: &str, sequence: u64) -> Vec<(String, String)> {
        let names = SNAPSHOT_FIELDS.iter().map(ToString::to_string);
        names.zip(snapshot_values(symbol, sequence)).collect()
    }

    #[test]
    fn symbols_have_names_of_their_own() {
        let mut names: Vec<String> = (0..SYMBOLS_MAX).map(symbol_name).collect();
        assert!(names.iter().all(|name| name.len() == 4));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SYMBOLS_MAX);
    }

    #[test]
    fn a_state_has_seven_fields_in_about_150_bytes() {
        for sequence in [0, 1, 12_345, 9_999_999] {
            let text = state_json("ABCD", sequence);
            let state: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(state.as_object().unwrap().len(), 7);
            assert!((110..170).contains(&text.len()), "{} bytes: {text}", text.len());
            assert_eq!(check_state("ABCD", text.as_bytes()), Ok(sequence));
        }
    }

    #[test]
    fn a_state_of_two_ticks_is_found() {
        let text = state_json("ABCD", 41).replace("\"sequence\":41", "\"sequence\":42");
        assert!(check_state("ABCD", text.as_bytes()).unwrap_err().contains("not that of tick 42"));
        assert!(check_state("ABCD", state_json("ABCE", 42).as_bytes()).is_err());
        for text in ["", "{", "[]", "{\"sequence\":-1}", "\u{0}"] {
            assert!(check_state("ABCD", text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_torn_snapshot_is_found() {
        assert_eq!(check_snapshot("ABCD", &[]), Ok(None));
        assert_eq!(check_snapshot("ABCD", &fields("ABCD", 7)), Ok(Some(7)));
        let mut reversed = fields("ABCD", 7);
        reversed.reverse();
        assert_eq!(check_snapshot("ABCD", &reversed), Ok(Some(7)));
        for torn in 0..5 {
            let mut mixed = fields("ABCD", 7);
            mixed[torn] = fields("ABCD", 8)[torn].clone();
            assert!(check_snapshot("ABCD", &mixed).unwrap_err().contains("torn"), "field {torn}");
        }
        assert!(check_snapshot("ABCD", &fields("ABCD", 7)[1..]).is_err());
        assert!(check_snapshot("ABCD", &fields("ABCD", 7)[..4]).is_err());
        assert!(check_snapshot("ABCD", &[("timestamp".into(), "1".into())]).is_err());
    }

    #[test]
    fn an_event_is_read_back() {
        let text = event_json("ABCD", 9, 1_234_567);
        let tick = Event::Tick { symbol: "ABCD".into(), sequence: 9, sent_unix_us: 1_234_567 };
        assert_eq!(check_event(text.as_bytes()), Ok(tick));
        assert_eq!(check_event(end_json(5).as_bytes()), Ok(Event::End { run: 5 }));
        let damaged = text.replace("\"sequence\":9", "\"sequence\":8");
        assert!(check_event(damaged.as_bytes()).is_err());
        assert!(check_event(b"hello").is_err());
    }

    #[test]
    fn prices_are_positive_and_move() {
        for index in 0..100 {
            let symbol = symbol_name(index);
            let prices: Vec<i64> = (0..2_000).map(|n| price_cents(&symbol, n)).collect();
            assert!(prices.iter().all(|&price| price >= 500));
            assert!(prices.iter().max() > prices.iter().min());
        }
    }

    #[test]
    fn decimals_keep_sign_and_places() {
        assert_eq!(decimal(12_345), "123.45");
        assert_eq!(decimal(-5), "-0.05");
        assert_eq!(decimal(0), "0.00");
    }
}
