//! Black-box tests: a running server, a socket, and what may be seen from outside.
//!
//! Nothing here links to the server's crates: a server is a program that is started on a free port and
//! spoken to over TCP, so every test can be run against Rialto and against a real Redis alike.
//!
//! Reading order: [`server`] starts and stops a server, [`client`] speaks RESP to it, [`value`] and
//! [`notation`] are what it answers and how that is written down, [`script`] reads dialogues
//! (`tests/scripts/**.resp`) and [`player`] plays them, [`oracle`] compares two servers by [`rules`],
//! [`dataset`] and [`events`], [`random`] invents commands of a [`grammar`] and [`pools`]. docs/testing.md says how to run and extend all of this.

pub mod client;
pub mod dataset;
pub mod events;
pub mod fixture;
pub mod grammar;
pub mod http;
pub mod notation;
pub mod oracle;
pub mod player;
pub mod pools;
pub mod process;
pub mod quoting;
pub mod random;
pub mod rng;
pub mod rules;
pub mod script;
pub mod serializability;
pub mod server;
pub mod value;
pub mod wait;
