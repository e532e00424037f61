//! Parameters with a grammar of their own: `bind`, `save`, `client-output-buffer-limit`,
//! `notify-keyspace-events`, `oom-score-adj-values`, `latency-tracking-info-percentiles`, `replicaof`, `dir`.

use std::path::Path;

use super::number;
use super::value::{BindAddress, KeyspaceEvents, OutputLimit, SavePoint, Value};

const BIND_ADDRESSES_MAX: usize = 16;
const WRONG_COUNT: &str = "wrong number of arguments";

pub(super) fn bind(words: &[Vec<u8>]) -> Result<Value, String> {
    if words.len() > BIND_ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".to_owned());
    }
    if is_single_empty(words) {
        return Ok(Value::Bind(Vec::new()));
    }
    Ok(Value::Bind(words.iter().map(|word| BindAddress::parse(word)).collect()))
}

pub(super) fn save(words: &[Vec<u8>]) -> Result<Value, String> {
    if is_single_empty(words) {
        return Ok(Value::Save(Vec::new()));
    }
    let point = |pair: &[Vec<u8>]| {
        let [seconds, changes] = pair else { return None };
        let seconds = u64::try_from(number::lenient_integer(seconds, 10)?).ok()?;
        let changes = u64::try_from(number::lenient_integer(changes, 10)?).ok()?;
        (seconds >= 1).then_some(SavePoint { seconds, changes })
    };
    let points: Option<Vec<SavePoint>> = words.chunks(2).map(point).collect();
    points.map(Value::Save).ok_or_else(|| "Invalid save parameters".to_owned())
}

pub(super) fn output_limits(words: &[Vec<u8>], current: &Value) -> Result<Value, String> {
    let Value::OutputLimits(mut limits) = *current else {
        unreachable!("the row starts from three limits")
    };
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    for group in words.chunks(4) {
        let [class, hard, soft, seconds] = group else { unreachable!("the count is whole") };
        let index = match class.to_ascii_lowercase().as_slice() {
            b"normal" => 0,
            b"slave" | b"replica" => 1,
            b"pubsub" => 2,
            _ => {
                return Err(
                    "Invalid client class specified in buffer limit configuration.".to_owned()
                );
            }
        };
        limits[index] = output_limit(hard, soft, seconds).ok_or_else(|| {
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned()
        })?;
    }
    Ok(Value::OutputLimits(limits))
}

fn output_limit(hard: &[u8], soft: &[u8], seconds: &[u8]) -> Option<OutputLimit> {
    Some(OutputLimit {
        hard_bytes: number::memory(hard)?.try_into().ok()?,
        soft_bytes: number::memory(soft)?.try_into().ok()?,
        soft_seconds: number::lenient_integer(seconds, 10)?.try_into().ok()?,
    })
}

pub(super) fn events(word: &[u8]) -> Result<Value, String> {
    KeyspaceEvents::parse(word)
        .map(Value::Events)
        .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned())
}

pub(super) fn oom_scores(words: &[Vec<u8>]) -> Result<Value, String> {
    if words.len() != 3 {
        return Err(WRONG_COUNT.to_owned());
    }
    let score = |word: &Vec<u8>| {
        number::lenient_integer(word, 10).filter(|score| (-2000..=2000).contains(score))
    };
    let scores: Option<Vec<i64>> = words.iter().map(score).collect();
    scores.map(Value::Numbers).ok_or_else(|| {
        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned()
    })
}

pub(super) fn percentiles(words: &[Vec<u8>]) -> Result<Value, String> {
    if is_single_empty(words) {
        return Ok(Value::Percentiles(Vec::new()));
    }
    let mut percentiles = Vec::with_capacity(words.len());
    for word in words {
        let text = std::str::from_utf8(word).ok();
        let percentile: f64 = text
            .and_then(|text| text.parse().ok())
            .filter(|percentile: &f64| !percentile.is_nan())
            .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&percentile) {
            return Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                    .to_owned(),
            );
        }
        percentiles.push(percentile);
    }
    Ok(Value::Percentiles(percentiles))
}

pub(super) fn primary(words: &[Vec<u8>]) -> Result<Value, String> {
    let [host, port] = words else { return Err(WRONG_COUNT.to_owned()) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Value::Primary(None));
    }
    let port = number::lenient_integer(port, 10).and_then(|port| u16::try_from(port).ok());
    match port {
        Some(port) => Ok(Value::Primary(Some((String::from_utf8_lossy(host).into_owned(), port)))),
        None => Err("Invalid master port".to_owned()),
    }
}

/// An existing directory, as an absolute path without links; what is wrong in the system's words.
pub(super) fn directory(word: &[u8]) -> Result<Value, String> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    let path = Path::new(std::ffi::OsStr::from_bytes(word));
    let path = path.canonicalize().map_err(|error| crate::system_text(&error))?;
    match path.read_dir() {
        Ok(_) => Ok(Value::Text(path.into_os_string().into_vec())),
        Err(error) => Err(crate::system_text(&error)),
    }
}

pub(super) fn print(value: &Value) -> String {
    match value {
        Value::Bind(addresses) => join(addresses, BindAddress::to_string),
        Value::Save(points) => join(points, |point| format!("{} {}", point.seconds, point.changes)),
        Value::OutputLimits(limits) => {
            let classes = ["normal", "slave", "pubsub"].into_iter().zip(limits);
            let classes: Vec<_> = classes.collect();
            join(&classes, |(class, limit)| {
                format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
            })
        }
        Value::Events(events) => events.to_string(),
        Value::Numbers(numbers) => join(numbers, i64::to_string),
        Value::Percentiles(percentiles) => join(percentiles, |percentile| {
            let text = format!("{percentile:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }),
        Value::Primary(None) => String::new(),
        Value::Primary(Some((host, port))) => format!("{host} {port}"),
        Value::Flag(_) | Value::Number(_) | Value::Choice(_) | Value::Text(_) => {
            unreachable!("these print by their kind")
        }
    }
}

fn join<T>(items: &[T], print: impl Fn(&T) -> String) -> String {
    items.iter().map(print).collect::<Vec<_>>().join(" ")
}

fn is_single_empty(words: &[Vec<u8>]) -> bool {
    matches!(words, [word] if word.is_empty())
}
