//! Commands on hashes.

pub mod field;
