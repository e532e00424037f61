//! The control plane: configuration, metrics, HTTP for operators, signals, logs.
//!
//! It knows no shard and no protocol, and never takes part in serving: cores write their counters and
//! read their settings; everything else happens on a thread of its own.
//!
//! Modules in reading order: [`config`], [`metrics`], [`http`], [`log`], [`slowlog`], [`latency`].

pub mod config;

#[cfg(test)]
mod testing;
