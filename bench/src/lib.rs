//! Load and measurements from outside: what Rialto does for its users, and what it costs.
//!
//! Seven programs stand on this library, and each works against any Redis-compatible server:
//!
//! * `feed`: the market-data feed. Writes, reads and subscribes as trading platforms do, and checks
//!   everything it reads ([`feed`]);
//! * `bench`: server CPU per operation, side by side with Redis, from one run ([`speed`]);
//! * `types`: the same for the commands of all data types, and time against size ([`types`]);
//! * `atomic`: what transactions, scripts and commands of many keys cost ([`atomic`]);
//! * `idle`: what idle connections cost ([`idle`]);
//! * `memory`: what keys and elements cost, what is left of `maxmemory` under churn, and what others notice of large
//!   removals ([`memory`]);
//! * `hits`: how well eviction chooses: the hit ratio of a cache ([`hits`]).
//!
//! Reading order: [`arguments`], [`clock`], [`random`], [`output`], [`process`], [`server`], [`pipe`],
//! [`results`], [`lockstep`], then the seven.
//! `docs/benchmarking.md` says how to run them and how to read what they print.

pub mod arguments;
pub mod clock;
pub mod lockstep;
pub mod output;
pub mod pipe;
pub mod process;
pub mod random;
pub mod results;
pub mod server;

pub mod atomic;
pub mod feed;
pub mod hits;
pub mod idle;
pub mod memory;
pub mod speed;
pub mod types;
