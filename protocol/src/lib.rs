//! RESP bytes and command metadata. Knows no socket, no key and no clock; it only turns bytes into requests,
//! replies into bytes, and describes commands.
//!
//! Reading order: [`request`] (bytes to argument slices), [`reply`] (values to bytes, and back for the parts of a
//! multi-shard command), [`command`] (what COMMAND INFO and COMMAND DOCS know), then the helpers.
//!
//! Limits on what a client may send live in [`limits`]; each names the parameter that sets it.
#![forbid(unsafe_code)]

pub mod command;
pub mod error;
pub mod glob;
pub mod limits;
pub mod number;
pub mod reply;
pub mod request;
pub mod slot;
