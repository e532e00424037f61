//! Lua 5.1 for scripts: EVAL and FUNCTION. Knows no key, no shard and no socket: commands are run by a [`Host`].
//!
//! Reading order: [`host`] (what a script may ask of the server), [`vm`] (one interpreter: compile, run), `prelude.lua`
//! (the world that scripts see, and how it is kept unchanged), `redis` (`redis.call` and its like), `reply` (values between
//! Lua and RESP), [`header`] (the `#!lua` line), [`functions`] (libraries of functions), and the libraries every script
//! has: `cjson`, `cmsgpack`, `structs`, `bit`. Then what the server works with: [`Source`] and [`Catalog`] (scripts and
//! libraries as plain data, shared by all cores) and [`Interpreter`] (an interpreter that can be suspended).
//!
//! What always holds: whatever a script does, the next one finds the same globals; an error of a script is a reply.
#![forbid(unsafe_code)]

mod bit;
pub mod catalog;
mod cjson;
mod cmsgpack;
pub mod functions;
pub mod habits;
pub mod header;
pub mod host;
pub mod interpreter;
mod library;
mod reach;
mod redis;
mod reply;
mod source;
mod structs;
pub mod vm;

pub use catalog::Catalog;
pub use host::{Called, Host, Look};
pub use interpreter::{Interpreter, Job, Progress, What};
pub use source::Source;
pub use vm::{Ended, Script, Vm};

use sha1::{Digest, Sha1};

/// The name of a script: the SHA-1 of its text in 40 hexadecimal digits.
#[must_use]
pub fn sha1_hex(text: &[u8]) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
