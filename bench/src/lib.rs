//! Load and measurements from outside: what Rialto does for its users, and what it costs.
//!
//! Programs stand on this library that work against any Redis-compatible server:
//!
//! * `feed`: the market-data feed. Writes, reads and subscribes as trading platforms do, and checks
//!   everything it reads ([`feed`]).
//!
//! Reading order: [`arguments`], [`clock`], [`random`], [`output`], [`process`], [`server`], then the above.

pub mod arguments;
pub mod clock;
pub mod output;
pub mod process;
pub mod random;
pub mod server;

pub mod feed;
