//! RESP bytes and command metadata; knows no socket and no key.

pub mod glob;
