//! The control plane: configuration, metrics, HTTP for operators, signals, logs.
//!
//! It knows no shard and no command, and never takes part in serving: cores write their counters and
//! read their settings; everything else happens on a thread of its own.
//!
//! Modules in reading order: [`config`], [`metrics`], [`http`], [`log`], [`slowlog`], [`latency`].

mod clock;
pub mod config;
pub mod http;
pub mod latency;
pub mod log;
pub mod metrics;
pub mod slowlog;

#[cfg(test)]
mod testing;

/// The system's own sentence for an error, without the number that Rust appends.
pub(crate) fn system_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((sentence, _)) => sentence.to_owned(),
        None => text,
    }
}
