//! Server CPU per operation, side by side with Redis, from one run.
//!
//! Every round starts each server in turn, loads the same keys, lets `redis-benchmark` send a fixed number of
//! operations, and divides the CPU time that the server used by that number. The client's own CPU does
//! not count. Ratios are of medians over the rounds, to the reference of the same run; the order of the
//! servers turns with each round.
//!
//! Reading order: [`plan`] (what is measured, and the targets), [`sample`] (one measurement),
//! [`rounds`] (all of them, in turn), [`report`].

pub mod plan;
pub mod sample;

pub mod rounds;

pub mod report;
